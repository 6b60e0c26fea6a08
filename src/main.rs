//! The `consigne` program: everything lives in the library, so that tests and benches reach it.
fn main() {}
