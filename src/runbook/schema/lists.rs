//! Steps that belong together, are done for each item of a list, or in rounds.

use super::Step;
use crate::diag::Diagnostic;
use crate::runbook::decode::{Decode, Reader, Spanned, record, words};
use crate::runbook::scalar::{Condition, Millis};
use crate::runbook::yaml::Node;

record! {
    /// Steps that belong together. It ends when they have, and has failed if one of them has.
    pub struct GroupDecl {
        /// Its steps, in order: one without `needs` waits for everything above it here.
        must steps: Vec<Step>,
        /// They run side by side: one without `needs` waits for none of the others.
        may parallel: bool,
        /// Steps that run when one of the others has failed.
        may on_failure: Vec<Step>,
        /// What a group that has failed comes to once `on_failure` has run well.
        may then: ThenWord,
    }
}

record! {
    /// A list whose items a step is done for, one by one or some at a time.
    pub struct EachDecl {
        /// The list: an expression without braces, read once, before the first item.
        must items: Condition,
        /// What one item is called inside the step.
        must r#as: Spanned<String>,
        /// An expression about one item, for its name in the run; without it, an item is its own name.
        may key: Condition,
        /// So many items at a time.
        may max_parallel: Spanned<u32>,
        /// The first items go before the others.
        may canary: CanaryDecl,
        /// More items than this are refused. Needed where something is written or destroyed.
        may max_targets: Spanned<u32>,
        /// More failed items than this (a number, or a part such as `10%`), and no further one begins. Of gates none may stay shut.
        may max_failures: Spanned<ShareDecl>,
        /// What a list without items is.
        may empty: EmptyWord,
    }
}

record! {
    /// The first items of a list, which go before the others.
    pub struct CanaryDecl {
        /// How many.
        must count: Spanned<u32>,
        /// Whether somebody is asked before the others follow.
        may then: CanaryWord,
        /// How long the first ones are watched before.
        may soak: Spanned<Millis>,
    }
}

record! {
    /// How often a group is gone through.
    pub struct RepeatDecl {
        /// An expression without braces, judged after each round that did not fail: no further round once it holds.
        must until: Condition,
        /// Rounds, at most.
        must max: Spanned<u32>,
        /// How long to wait between two rounds.
        may every: Spanned<Millis>,
        /// What follows when it does not hold after the last round.
        may on_max: MaxWord,
    }
}

words! {
    /// What a group that has failed comes to once its `on_failure` has run well.
    pub enum ThenWord { Fail = "fail", Continue = "continue", }
}

words! {
    /// What a list without items is.
    pub enum EmptyWord { Error = "error", Ok = "ok", }
}

words! {
    /// Whether somebody is asked before the other items follow.
    pub enum CanaryWord { Ask = "ask", Go = "go", }
}

words! {
    /// What follows when it does not hold after the last round.
    pub enum MaxWord { Ask = "ask", Fail = "fail", }
}

/// A part of a list: so many items, or so many of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareDecl {
    Count(u32),
    Percent(u32),
}

impl Decode for ShareDecl {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let text = reader.raw(node, "a number such as 2, or a part such as 10%")?;
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        if share.is_none() {
            let message = format!("`{text}` is neither a number of items nor a part of them");
            let problem = Diagnostic::error("bad-value", node.span.at(reader.source), message);
            reader.problems.push(problem.help("write a whole number such as 2, or a part such as 10%"));
        }
        share
    }
}

impl schemars::JsonSchema for ShareDecl {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A number of items, or a part of them in per cent.",
            "examples": [2, "10%"],
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]
        })
    }
}
