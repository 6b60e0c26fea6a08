//! The `consigne` program: everything lives in the library, so that tests and benches reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    consigne::cli::main()
}
