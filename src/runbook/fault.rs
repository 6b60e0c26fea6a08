//! Faults: what can go wrong at a step of a rehearsal, as scenarios and command lines write it.
//!
//! Owns the words. What becomes of them is the rehearsal's.

use super::decode::words;

words! {
    /// What goes wrong at a step.
    pub enum FaultKind {
        Failure = "failure",
        Timeout = "timeout",
        Wrong = "wrong",
        Dropped = "dropped",
        Refusal = "refusal",
        Absent = "absent",
        CrashBefore = "crash-before",
        CrashAfter = "crash-after",
        ClockForward = "clock-forward",
        ClockBack = "clock-back",
    }
}

impl FaultKind {
    pub const ALL: [Self; 10] = [
        Self::Failure,
        Self::Timeout,
        Self::Wrong,
        Self::Dropped,
        Self::Refusal,
        Self::Absent,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::ClockForward,
        Self::ClockBack,
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == word)
    }

    /// What the outside answers; the others are about people, the executor and its clock.
    pub const fn is_answered(self) -> bool {
        matches!(self, Self::Failure | Self::Timeout | Self::Wrong | Self::Dropped)
    }
}

/// Something that goes wrong, and where: the id of a step, `step:key`, `list/item`, or of a guard.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub place: String,
    pub kind: FaultKind,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.place, self.kind.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read() {
        let names: Vec<&str> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names, FaultKind::WORDS);
        assert!(FaultKind::ALL.iter().all(|kind| FaultKind::parse(kind.name()) == Some(*kind)));
        assert_eq!(FaultKind::parse("oops"), None);
    }
}
