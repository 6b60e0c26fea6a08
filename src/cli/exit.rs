//! Exit codes: documented, stable, and the only numbers a script may rely on.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The run failed, was refused or was cancelled.
    RunFailed,
    /// Wrong usage, unknown run, refused answer.
    Usage,
    /// A runbook, environment, input, secret or program is invalid or missing.
    Invalid,
    /// Paused or waiting for a person; for `verify`: intact but unfinished.
    Waiting,
    /// Verification failed, or a journal is damaged.
    Damaged,
    /// The run or its target is held by another run.
    Held,
    /// A bug in consigne; resuming is safe.
    Bug,
    /// The journal, or what was to be printed, could not be written.
    Unwritable,
}

impl Exit {
    pub const ALL: [Self; 9] = [
        Self::Done,
        Self::RunFailed,
        Self::Usage,
        Self::Invalid,
        Self::Waiting,
        Self::Damaged,
        Self::Held,
        Self::Bug,
        Self::Unwritable,
    ];

    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::RunFailed => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
            Self::Waiting => 4,
            Self::Damaged => 5,
            Self::Held => 6,
            Self::Bug => 70,
            Self::Unwritable => 74,
        }
    }

    /// As the help text and the README say it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::RunFailed => "the run failed, was refused or cancelled; a test failed",
            Self::Usage => "usage, unknown run, refused answer",
            Self::Invalid => "runbook, environment, input, secret or program invalid or missing",
            Self::Waiting => "paused, waiting for a person, or (verify) intact but unfinished",
            Self::Damaged => "verification failed or journal damaged",
            Self::Held => "run or target held by another run",
            Self::Bug => "a bug; resuming is safe",
            Self::Unwritable => "the journal, or the output, could not be written",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_what_scripts_rely_on() {
        let table: Vec<String> =
            Exit::ALL.iter().map(|exit| format!("{} {}", exit.code(), exit.meaning())).collect();
        assert_eq!(
            table,
            [
                "0 done",
                "1 the run failed, was refused or cancelled; a test failed",
                "2 usage, unknown run, refused answer",
                "3 runbook, environment, input, secret or program invalid or missing",
                "4 paused, waiting for a person, or (verify) intact but unfinished",
                "5 verification failed or journal damaged",
                "6 run or target held by another run",
                "70 a bug; resuming is safe",
                "74 the journal, or the output, could not be written",
            ]
        );
    }
}
