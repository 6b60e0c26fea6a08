//! Faults: what can go wrong at a step of a rehearsal, as scenarios and command lines write it.
//!
//! Owns the words. What becomes of them is the rehearsal's.

use super::decode::words;
use super::scenario::Part;

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

/// Something that goes wrong, and where: the id of a step, `step:key`, `list/item`, or of a guard; and what of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub place: String,
    pub part: Part,
    pub kind: FaultKind,
}

impl Fault {
    /// Where it is said to be: `suspend`, `suspend.undo`, `drain:web-01.example.org`, `drain:web-01.example.org.verify`.
    pub fn at(spot: &str, kind: FaultKind) -> Self {
        let part = spot.rsplit_once('.').and_then(|(place, word)| Some((place, Part::of(word)?)));
        let (place, part) = part.unwrap_or((spot, Part::Own));
        Self { place: place.to_owned(), part, kind }
    }

    /// `STEP=KIND`, as a command line has it.
    pub fn parse(text: &str) -> Option<Self> {
        let (spot, word) = text.rsplit_once('=')?;
        Some(Self::at(spot, FaultKind::parse(word)?))
    }

    /// Where it is, as it is written.
    pub fn spot(&self) -> String {
        match self.part {
            Part::Own => self.place.clone(),
            part => format!("{}.{}", self.place, part.name()),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.spot(), self.kind.name())
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

    #[test]
    fn a_place_may_name_a_part() {
        let parts = [("a", Part::Own), ("a.verify", Part::Verify), ("a:web.example.org.undo", Part::Undo)];
        for (spot, part) in parts {
            let fault = Fault::parse(&format!("{spot}=failure")).unwrap();
            assert_eq!((fault.part, fault.spot().as_str()), (part, spot));
        }
        let key = Fault::parse("a:web.example.org=failure").unwrap();
        assert_eq!((key.place.as_str(), key.part), ("a:web.example.org", Part::Own));
        assert_eq!(Fault::parse("a.do=failure"), Fault::parse("a=failure"));
        assert_eq!(Fault::parse("a"), None);
    }
}
