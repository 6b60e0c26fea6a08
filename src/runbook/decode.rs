//! From the tree to typed values, reporting everything that does not fit and going on.
//!
//! Owns the way a record is declared (`record!`, `words!`): one declaration gives the type, its reading with all
//! diagnostics, and its JSON Schema, so that the three cannot differ.

mod texts;

use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::act::KINDS;
use super::schema::home_of;
use super::shell::Script;
use super::template::{Expr, Renaming, Template, TemplateError};
use super::yaml::{self, Key, Node, Plain, Style, Value, resolve};
use crate::diag::{Diagnostic, Source, Span, closest};

/// Reads values out of a tree and collects what does not fit.
pub struct Reader<'s> {
    pub source: &'s Arc<Source>,
    pub problems: Vec<Diagnostic>,
    /// For a runbook that another one uses.
    pub names: Option<&'s Renaming>,
}

impl<'s> Reader<'s> {
    pub const fn new(source: &'s Arc<Source>) -> Self {
        Self { source, problems: Vec::new(), names: None }
    }

    /// What was read, in the names of whoever uses the runbook.
    fn renamed<T>(
        &mut self,
        node: &Node<'_>,
        value: T,
        rename: impl FnOnce(&T, &Renaming) -> Result<T, TemplateError>,
    ) -> Option<T> {
        let Some(names) = self.names else { return Some(value) };
        match rename(&value, names) {
            Ok(value) => Some(value),
            Err(error) => self.refuse("bad-expression", node.span, error.message),
        }
    }
}

/// A value that can be read; `None` when it cannot, with the reason among the problems.
pub trait Decode: Sized {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self>;
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

/// The keys that a record was written with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Keys {
    known: Vec<(&'static str, Span)>,
    /// How many of them are kinds of a step, and the first of those: asked for again and again.
    kinds: usize,
    kind: Option<&'static str>,
    /// A key stood there that is not known, or not built yet.
    pub foreign: bool,
}

impl Keys {
    pub fn push(&mut self, name: &'static str, span: Span) {
        if KINDS.contains(&name) {
            self.kinds += 1;
            self.kind = self.kind.or(Some(name));
        }
        self.known.push((name, span));
    }

    /// The kind of step that it was written with, when that is exactly one.
    pub fn kind(&self) -> Option<&'static str> {
        self.kind.filter(|_| self.kinds == 1)
    }

    pub fn get(&self, name: &str) -> Option<Span> {
        self.known.iter().find(|(known, _)| *known == name).map(|(_, span)| *span)
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Span)> {
        self.known.iter().copied()
    }
}

/// The name of a field without the mark of a raw identifier.
pub const fn bare(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Declares a mapping: `must` keys, `may` keys, and keys that the language knows and this version cannot do.
macro_rules! record {
    (@type must $ty:ty) => { $ty };
    (@type may $ty:ty) => { Option<$ty> };
    (@absent must $name:expr, $keys:ident, $node:ident, $reader:ident) => {
        if !$keys.has($name) {
            $reader.missing($node, $name);
        }
    };
    (@absent may $name:expr, $keys:ident, $node:ident, $reader:ident) => {};
    (@take must $field:ident) => { $field? };
    (@take may $field:ident) => { $field };
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[doc = $doc:literal])* $kind:ident $field:ident: $ty:ty,)*
    } $(later [$($later:literal),* $(,)?])?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        pub struct $name {
            #[schemars(skip)]
            pub span: $crate::diag::Span,
            #[schemars(skip)]
            pub keys: $crate::runbook::decode::Keys,
            $($(#[doc = $doc])* pub $field: record!(@type $kind $ty),)*
        }

        impl $name {
            /// The keys that this version can do.
            pub const NAMES: &'static [&'static str] = &[$($crate::runbook::decode::bare(stringify!($field))),*];
            /// The keys that the language knows besides.
            pub const LATER: &'static [&'static str] = &[$($($later),*)?];
        }

        impl $crate::runbook::decode::Decode for $name {
            fn decode(
                node: &$crate::runbook::yaml::Node<'_>,
                reader: &mut $crate::runbook::decode::Reader<'_>,
            ) -> Option<Self> {
                let (entries, flow) = reader.mapping(node)?;
                let mut keys = $crate::runbook::decode::Keys::default();
                $(let mut $field: Option<$ty> = None;)*
                for (key, value) in entries {
                    $(
                        if key.text == $crate::runbook::decode::bare(stringify!($field)) {
                            keys.push($crate::runbook::decode::bare(stringify!($field)), key.span);
                            $field = reader.value(value);
                            continue;
                        }
                    )*
                    keys.foreign = true;
                    reader.foreign_key(key, value, flow, Self::NAMES, Self::LATER);
                }
                $(record!(@absent $kind $crate::runbook::decode::bare(stringify!($field)), keys, node, reader);)*
                Some(Self { span: node.span, keys, $($field: record!(@take $kind $field),)* })
            }
        }
    };
}

/// Declares a choice of words.
macro_rules! words {
    ($(#[doc = $about:literal])* pub enum $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($variant,)*
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::runbook::decode::words_schema(concat!($($about),*), Self::WORDS)
            }
        }

        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),*];

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::runbook::decode::Decode for $name {
            fn decode(
                node: &$crate::runbook::yaml::Node<'_>,
                reader: &mut $crate::runbook::decode::Reader<'_>,
            ) -> Option<Self> {
                match reader.word(node, Self::WORDS)? {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {record, words};

/// A choice of words for editors. A word that is a number may stand without quotes.
pub(super) fn words_schema(about: &str, words: &[&str]) -> Schema {
    let texts = words.iter().map(|word| serde_json::Value::from(*word));
    let numbers = words.iter().filter_map(|word| word.parse::<i64>().ok()).map(serde_json::Value::from);
    let all: Vec<serde_json::Value> = texts.chain(numbers).collect();
    schemars::json_schema!({"description": about.trim(), "enum": all})
}

impl Reader<'_> {
    pub fn value<T: Decode>(&mut self, node: &Node<'_>) -> Option<T> {
        T::decode(node, self)
    }

    pub fn mapping<'n, 's>(&mut self, node: &'n Node<'s>) -> Option<(&'n [(Key<'s>, Node<'s>)], bool)> {
        match &node.value {
            Value::Map { entries, flow } => Some((entries, *flow)),
            _ => self.wrong(node, "a mapping"),
        }
    }

    /// A value of another type than wanted.
    pub fn wrong<T>(&mut self, node: &Node<'_>, wanted: &str) -> Option<T> {
        let message = format!("expected {wanted}, found {}", node.kind());
        let mut problem = Diagnostic::error("wrong-type", node.span.at(self.source), message);
        match &node.value {
            Value::Map { entries, .. } if templates(entries, self.source.slice(node.span)) => {
                problem.code = "flow-accident";
                problem = problem.help("quote a value that begins with `{{`: \"{{ … }}\"");
            }
            Value::Map { entries, flow: false } if entries.len() == 1 && wanted == "a text" => {
                problem.code = "flow-accident";
                let written = self.source.slice(node.span).lines().next().unwrap_or("").trim_end();
                problem = problem
                    .label("the colon makes a mapping of it")
                    .help(format!("quote the text: {}", quoted(written)));
            }
            Value::List(list) if wanted == "a text" && list.is_empty() => {
                problem.code = "flow-accident";
                problem = problem.help("quote a jq filter that begins with `[`");
            }
            Value::Scalar { .. } if node.is_null() => {
                problem = problem
                    .help("write the value behind the colon or indented below it, or leave the key out");
            }
            _ => {}
        }
        self.problems.push(problem);
        None
    }

    pub fn refuse<T>(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Option<T> {
        self.problems.push(Diagnostic::error(code, span.at(self.source), message));
        None
    }

    pub fn missing(&mut self, node: &Node<'_>, name: &str) {
        let message = format!("the key `{name}` is missing here");
        self.problems.push(Diagnostic::error("missing-key", node.span.at(self.source), message));
    }

    pub fn foreign_key(
        &mut self,
        key: &Key<'_>,
        value: &Node<'_>,
        flow: bool,
        names: &[&str],
        later: &[&str],
    ) {
        if key.text.is_empty() && !key.plain {
            // Not a text at all, which was reported when it was read.
            return;
        }
        let at = key.span.at(self.source);
        if later.contains(&&*key.text) {
            let message =
                format!("`{}` is known to the language, but this version cannot do it yet", key.text);
            self.problems.push(Diagnostic::error("not-built-yet", at, message));
            return;
        }
        if flow && value.is_null() {
            let message = format!("`{}` has no value: a comma or bracket ended the text before it", key.text);
            let help = "inside `{ }` and `[ ]` a text with commas, colons or brackets must be quoted";
            self.problems.push(Diagnostic::error("flow-accident", at, message).help(help));
            return;
        }
        let message = format!("unknown key `{}`", key.text);
        let mut problem = Diagnostic::error("unknown-key", at, message);
        let home = home_of(&key.text);
        if let Some(home) = home {
            problem = problem.help(format!("`{}` is a key of {home}: is the indentation right?", key.text));
        }
        if closest(&key.text, names.iter().copied()).is_some() {
            problem = problem.suggest(&key.text, names.iter().copied());
        } else if let Some(name) = closest(&key.text, later.iter().copied()) {
            problem =
                problem.help(format!("`{name}` is known to the language, but this version cannot do it yet"));
        } else if home.is_none() && !names.is_empty() {
            problem = problem.help(format!("known here: {}", names.join(", ")));
        }
        self.problems.push(problem);
    }

    /// A text, refusing what YAML readers disagree about.
    pub fn text<'n>(&mut self, node: &'n Node<'_>) -> Option<&'n str> {
        let Value::Scalar { text, style } = &node.value else { return self.wrong(node, "a text") };
        if *style != Style::Plain {
            return Some(text);
        }
        if node.is_null() && !self.source.slice(node.span).starts_with(['~', 'n', 'N']) {
            // Nothing stands there at all.
            return self.wrong(node, "a text");
        }
        if let Some(reading) = yaml::trap(text) {
            let message = format!("unquoted `{text}` reads as {reading}, expected a text");
            let problem = Diagnostic::error("unquoted", node.span.at(self.source), message)
                .help(format!("write {} to mean the text, quotes included", quoted(text)));
            self.problems.push(problem);
            return None;
        }
        Some(text)
    }

    /// One of a few words; YAML's own words may stand unquoted.
    pub fn word(&mut self, node: &Node<'_>, words: &'static [&'static str]) -> Option<&'static str> {
        let Value::Scalar { text, .. } = &node.value else {
            return self.wrong(node, &format!("one of {}", words.join(", ")));
        };
        if let Some(word) = words.iter().find(|word| *word == text) {
            return Some(word);
        }
        let message = format!("`{text}` is not one of {}", words.join(", "));
        let problem = Diagnostic::error("bad-value", node.span.at(self.source), message)
            .suggest(text, words.iter().copied());
        self.problems.push(problem);
        None
    }

    /// A scalar as it is written, whatever it would mean.
    pub fn raw<'n>(&mut self, node: &'n Node<'_>, wanted: &str) -> Option<&'n str> {
        match &node.value {
            Value::Scalar { text, style } if !text.is_empty() || *style != Style::Plain => Some(text),
            _ => self.wrong(node, wanted),
        }
    }

    pub fn number(&mut self, node: &Node<'_>, wanted: &str) -> Option<Plain> {
        match &node.value {
            Value::Scalar { text, style: Style::Plain } => match resolve(text) {
                number @ (Plain::Integer(_) | Plain::Float(_)) => Some(number),
                _ => self.wrong(node, wanted),
            },
            _ => self.wrong(node, wanted),
        }
    }
}

/// Whether an unquoted `{{ … }}` was read as nested mappings.
fn templates(entries: &[(Key<'_>, Node<'_>)], written: &str) -> bool {
    entries.len() == 1 && written.trim_start().starts_with("{{") || written.trim_start().starts_with("{ {")
}

/// A text as it is to be written.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { value: T::decode(node, reader)?, span: node.span })
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::List(list) => {
                let mut out = Self::with_capacity(list.len());
                out.extend(list.iter().filter_map(|node| T::decode(node, reader)));
                Some(out)
            }
            _ => reader.wrong(node, "a list"),
        }
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        T::decode(node, reader).map(Box::new)
    }
}

impl Decode for String {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.text(node).map(str::to_owned)
    }
}

impl Decode for bool {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar { text, style: Style::Plain } => {
                match (resolve(text), text.to_ascii_lowercase().as_str()) {
                    (Plain::Bool(yes), _) => Some(yes),
                    (_, word @ ("yes" | "on" | "y" | "no" | "off" | "n")) => {
                        let meant = if matches!(word, "yes" | "on" | "y") { "true" } else { "false" };
                        let message = format!("expected true or false, found the text `{text}`");
                        let problem = Diagnostic::error("unquoted", node.span.at(reader.source), message);
                        reader.problems.push(problem.help(format!("write `{meant}`")));
                        None
                    }
                    _ => reader.wrong(node, "true or false"),
                }
            }
            _ => reader.wrong(node, "true or false"),
        }
    }
}

macro_rules! whole_number {
    ($($ty:ty),*) => {$(
        impl Decode for $ty {
            fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let found = reader.number(node, "a whole number")?;
                let fits = if let Plain::Integer(number) = found { <$ty>::try_from(number).ok() } else { None };
                if fits.is_none() {
                    let message = format!("expected a whole number from {} to {}", <$ty>::MIN, <$ty>::MAX);
                    return reader.refuse("bad-value", node.span, message);
                }
                fits
            }
        }
    )*};
}
whole_number!(u16, u32, u64, i32);

impl Decode for f64 {
    #[allow(clippy::cast_precision_loss, reason = "bounds and factors as people write them")]
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match reader.number(node, "a number")? {
            Plain::Integer(number) => Some(number as Self),
            Plain::Float(number) => Some(number),
            _ => None,
        }
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

macro_rules! text_schema {
    ($ty:ty, $name:literal, $kind:tt, $description:literal, $example:literal) => {
        impl schemars::JsonSchema for $ty {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": $kind, "description": $description, "examples": [$example]})
            }
        }
    };
}
pub(crate) use text_schema;

text_schema!(
    Template,
    "Template",
    "string",
    "A text with `{{ expression }}` in it.",
    "tenant {{ inputs.tenant_id }}"
);
text_schema!(
    Script,
    "Script",
    "string",
    "A script for bash; each `{{ expression }}` in it becomes an environment variable.",
    "kubectl -n {{ inputs.namespace }} get pods"
);
text_schema!(
    Expr,
    "Expression",
    ["string", "boolean", "number"],
    "An expression without braces.",
    "steps.before.state == \"active\""
);

#[cfg(test)]
mod tests {
    use super::*;

    words! {
        pub enum Colour { Red = "red", Green = "green", }
    }
    record! {
        /// A thing.
        pub struct Thing {
            must name: Spanned<String>,
            may colour: Colour,
            may r#for: u32,
        } later ["soon"]
    }

    fn thing(text: &str) -> (Option<Thing>, Vec<(&'static str, Vec<String>)>) {
        let source = Source::new("t.yaml", text);
        let (node, _) = yaml::parse(&source);
        let mut reader = Reader::new(&source);
        let found = node.and_then(|node| reader.value(&node));
        (found, reader.problems.into_iter().map(|p| (p.code, p.help)).collect())
    }

    #[test]
    fn every_problem_of_a_record_is_reported() {
        let (found, problems) = thing("naem: x\ncolour: rad\nfor: \"5\"\nsoon: 1\n");
        assert!(found.is_none());
        let codes: Vec<_> = problems.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, ["unknown-key", "bad-value", "wrong-type", "not-built-yet", "missing-key"]);
        assert_eq!(problems[0].1, ["did you mean `name`?"]);
        assert_eq!(problems[1].1, ["did you mean `red`?"]);
        assert_eq!(thing("name: x\ncolour: green\n").0.unwrap().colour.map(Colour::name), Some("green"));
    }

    #[test]
    fn traps_show_the_quoted_fix() {
        let (_, problems) = thing("name: 1.10\n");
        assert_eq!(
            problems,
            [("unquoted", vec!["write \"1.10\" to mean the text, quotes included".to_owned()])]
        );
        assert_eq!(thing("name: \"1.10\"\nfor: 5\n").1, []);
        assert_eq!(thing("name: {{ x }}\n").1[0].0, "flow-accident");
        assert_eq!(thing("name:\n  - Vérifier : le tenant\n").1[0].0, "wrong-type");
    }
}
