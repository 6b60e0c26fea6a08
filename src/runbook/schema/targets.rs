//! What no two runs may have at once, and what follows when another run has it.

use std::borrow::Cow;

use crate::runbook::decode::{Decode, Keys, Reader, Spanned, record, words};
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

/// A list of names, or names and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Locks(pub LockDecl);

impl Decode for Locks {
    fn decode(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
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
