//! Where the values of a rehearsal come from, as the journal has it: in `worker` of `attempt.finished`, which says who did
//! an attempt. Nobody decides by it.
//!
//! Written `scenario`, `fixture`, `placeholder`, `live`, `run ID` or `fault KIND`; where single outputs come from elsewhere, they follow:
//! `scenario; name=placeholder, size=run 20261123t115235`. It names no value, so it may be public.

use std::collections::BTreeMap;
use std::fmt;

use crate::core::{Event, Fact, Role, State};
use crate::plan::Mode;

/// Where something comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Scenario,
    Fixture,
    /// What a real run of the runbook was answered.
    Run(String),
    /// Made up.
    Placeholder,
    /// Done for real: a read.
    Live,
    /// A fault of that kind was wished for.
    Fault(String),
}

/// Where what an attempt was answered comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    pub whole: Origin,
    /// Outputs that come from elsewhere.
    pub outputs: BTreeMap<String, Origin>,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "scenario" => Self::Scenario,
            "fixture" => Self::Fixture,
            "placeholder" => Self::Placeholder,
            "live" => Self::Live,
            _ => match text.strip_prefix("fault ") {
                Some(kind) => Self::Fault(kind.to_owned()),
                None => Self::Run(text.strip_prefix("run ")?.to_owned()),
            },
        })
    }

    /// In the language of operators.
    pub fn in_lang(&self, french: bool) -> String {
        match (self, french) {
            (Self::Scenario, true) => "scénario".to_owned(),
            (Self::Scenario, false) => "scenario".to_owned(),
            (Self::Fixture, true) => "enregistrement".to_owned(),
            (Self::Fixture, false) => "fixture".to_owned(),
            (Self::Run(id), true) => format!("exécution {id}"),
            (Self::Run(id), false) => format!("run {id}"),
            (Self::Placeholder, true) => "inventé".to_owned(),
            (Self::Placeholder, false) => "placeholder".to_owned(),
            (Self::Fault(kind), true) => format!("panne {kind}"),
            (Self::Fault(kind), false) => format!("fault {kind}"),
            (Self::Live, true) => "lecture réelle".to_owned(),
            (Self::Live, false) => "live read".to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario => f.write_str("scenario"),
            Self::Fixture => f.write_str("fixture"),
            Self::Run(id) => write!(f, "run {id}"),
            Self::Placeholder => f.write_str("placeholder"),
            Self::Live => f.write_str("live"),
            Self::Fault(kind) => write!(f, "fault {kind}"),
        }
    }
}

impl Origins {
    pub const fn of(whole: Origin) -> Self {
        Self { whole, outputs: BTreeMap::new() }
    }

    pub fn parse(text: &str) -> Option<Self> {
        let (whole, outputs) = text.split_once("; ").unwrap_or((text, ""));
        let outputs = outputs.split(", ").filter(|part| !part.is_empty()).map(|part| {
            let (name, origin) = part.split_once('=')?;
            Some((name.to_owned(), Origin::parse(origin)?))
        });
        Some(Self { whole: Origin::parse(whole)?, outputs: outputs.collect::<Option<_>>()? })
    }

    /// Of an event of a rehearsal; none if it ends no attempt.
    pub fn of_event(event: &Event) -> Option<Self> {
        match &event.fact {
            Fact::AttemptFinished { worker, .. } => Self::parse(worker),
            _ => None,
        }
    }

    /// Something in it is made up.
    pub fn is_made_up(&self) -> bool {
        self.whole == Origin::Placeholder
            || self.outputs.values().any(|origin| *origin == Origin::Placeholder)
    }

    /// In the language of operators, the outputs named.
    pub fn in_lang(&self, french: bool) -> String {
        let others = self.outputs.iter().map(|(name, origin)| format!("{name}: {}", origin.in_lang(french)));
        let others = others.collect::<Vec<_>>().join(", ");
        let whole = self.whole.in_lang(french);
        if others.is_empty() { whole } else { format!("{whole} ({others})") }
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.whole)?;
        for (at, (name, origin)) in self.outputs.iter().enumerate() {
            write!(f, "{}{name}={origin}", if at == 0 { "; " } else { ", " })?;
        }
        Ok(())
    }
}

/// An attempt of a rehearsal, and where what it was answered comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Where, as people call it.
    pub place: String,
    pub role: Role,
    pub origins: Origins,
}

/// Every attempt that ended, in order. Nothing in a run that is no rehearsal.
pub fn rows<'e>(events: impl Iterator<Item = &'e Event>, state: &State) -> Vec<Row> {
    let mut roles = BTreeMap::new();
    let mut out = Vec::new();
    if state.shape().graph().mode != Mode::Rehearsal {
        return out;
    }
    for event in events {
        let Some(step) = &event.step else { continue };
        let key = (step.clone(), event.item, event.attempt);
        if let Fact::AttemptStarted { role, .. } = &event.fact {
            roles.insert(key, *role);
        } else if let (Some(origins), Some(role)) = (Origins::of_event(event), roles.remove(&key)) {
            let place = state.find_item(step, event.item);
            let place = place.map_or_else(|| step.clone(), |(at, _)| state.shape().label(at));
            out.push(Row { place, role, origins });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let runs = Origin::Run("20261123t115235-x".to_owned());
        for (whole, outputs) in [
            (Origin::Scenario, vec![]),
            (Origin::Fault("dropped".to_owned()), vec![]),
            (Origin::Live, vec![("a", Origin::Placeholder), ("b", runs.clone())]),
            (runs, vec![("name", Origin::Fixture)]),
        ] {
            let outputs = outputs.into_iter().map(|(name, origin)| (name.to_owned(), origin)).collect();
            let origins = Origins { whole, outputs };
            assert_eq!(Origins::parse(&origins.to_string()), Some(origins));
        }
        assert_eq!(Origins::parse("local"), None);
        assert_eq!(Origins::parse("scenario; name"), None);
        assert!(Origins::parse("scenario; a=placeholder").unwrap().is_made_up());
        assert!(!Origins::parse("run r1").unwrap().is_made_up());
    }
}
