//! What a run needs of the world before it begins: targets that no other run has, and a window that is open.

use std::borrow::Cow;

use crate::runbook::decode::{Decode, Keys, Reader, Spanned, record, words};
use crate::runbook::scalar::{Millis, Text};
use crate::runbook::template::Template;
use crate::runbook::yaml::{Node, Value};

record! {
    /// Names that no two runs may hold at once. A list of names alone will do.
    pub struct LockDecl {
        /// The names. A run takes all of them or none.
        must names: Vec<Spanned<Template>>,
        /// What follows when another run holds one of them; `ask` unless it says so.
        may on_busy: BusyWord,
    }
}

words! {
    /// What follows when another run holds a target: somebody at the terminal is asked, the run fails, or it waits.
    pub enum BusyWord { Ask = "ask", Fail = "fail", Queue = "queue", }
}

record! {
    /// A time in which the runbook may be run.
    pub struct WindowDecl {
        /// When it opens, as a cron line: minute, hour, day of the month, month, day of the week.
        must cron: Spanned<String>,
        /// The time zone of the cron line, such as `Europe/Paris`.
        must zone: Spanned<String>,
        /// How long it stays open.
        must r#for: Spanned<Millis>,
        /// What people call it.
        may title: Text,
    }
}

/// A list of names, or names and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Locks(pub LockDecl);

impl Decode for Locks {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Map { .. } => reader.value(node).map(Self),
            _ => {
                let names = reader.value(node)?;
                Some(Self(LockDecl { span: node.span, keys: Keys::default(), names, on_busy: None }))
            }
        }
    }
}

impl schemars::JsonSchema for Locks {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Locks".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (list, decl) =
            (generator.subschema_for::<Vec<Spanned<Template>>>(), generator.subschema_for::<LockDecl>());
        schemars::json_schema!({"anyOf": [list, decl]})
    }
}
