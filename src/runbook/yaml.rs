//! YAML to a tree with positions. The only file that knows the YAML library.
//!
//! Reads the parser's events and not a serde front end of it: only the events tell how a scalar was written (an
//! unquoted `yes` is refused, a quoted one is text) and let every problem of a file be reported at once. Refuses what
//! the runbook language does without: tags, merge keys, duplicate keys, several documents, alias bombs.

mod moved;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, StructureStyle};

use crate::diag::{Diagnostic, Source, Span, offset};

/// Nesting of lists and mappings.
pub const MAX_DEPTH: usize = 64;
/// Bytes of a file.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// What anchors and aliases may add, in bytes: this much, and a few times the size of the file.
const ALIAS_SLACK: usize = 64 * 1024;
const ALIAS_FACTOR: usize = 4;

/// A value and where it stands. Its texts are those of the file, as far as they are written as they are meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<'s> {
    pub span: Span,
    pub value: Value<'s>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value<'s> {
    Scalar { text: Cow<'s, str>, style: Style },
    List(Vec<Node<'s>>),
    Map { entries: Vec<(Key<'s>, Node<'s>)>, flow: bool },
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Quoted,
    Block,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Key<'s> {
    pub text: Cow<'s, str>,
    pub span: Span,
    pub plain: bool,
}

/// Reads one document. A tree comes back as far as the text is YAML at all.
pub fn parse(source: &Arc<Source>) -> (Option<Node<'_>>, Vec<Diagnostic>) {
    let mut tree = Tree {
        source,
        problems: Vec::new(),
        anchors: BTreeMap::new(),
        unused: BTreeMap::new(),
        budget: 0,
        open: Vec::new(),
        root: None,
    };
    tree.budget = source.text().len() * ALIAS_FACTOR + ALIAS_SLACK;
    let mut documents = 0;
    for next in Parser::new_from_str(source.text()) {
        let (event, span) = match next {
            Ok(next) => next,
            Err(error) => {
                tree.syntax(&error);
                return (None, tree.problems);
            }
        };
        let span = span.byte_range().map_or(Span::default(), |range| Span::new(range.start, range.end));
        if matches!(event, Event::DocumentStart(..)) {
            documents += 1;
            if documents > 1 {
                let message = "a second document begins here, one file is one runbook";
                tree.problems.push(Diagnostic::error("syntax", span.at(source), message));
                break;
            }
        }
        if !tree.take(event, span) {
            return (None, tree.problems);
        }
    }
    for span in std::mem::take(&mut tree.unused).into_values() {
        tree.problems.push(lonely_anchor(source, span));
    }
    (tree.root, tree.problems)
}

struct Tree<'s> {
    source: &'s Arc<Source>,
    problems: Vec<Diagnostic>,
    anchors: BTreeMap<usize, Node<'s>>,
    /// Anchors of texts that no alias has named.
    unused: BTreeMap<usize, Span>,
    /// Bytes that anchors and aliases may still add.
    budget: usize,
    open: Vec<Open<'s>>,
    root: Option<Node<'s>>,
}

/// A list or mapping whose end has not come yet.
struct Open<'s> {
    start: Span,
    anchor: usize,
    holds: Holds<'s>,
}

enum Holds<'s> {
    List(Vec<Node<'s>>),
    Map { entries: Vec<(Key<'s>, Node<'s>)>, seen: Seen<'s>, key: Option<Key<'s>>, flow: bool },
}

/// The keys of a mapping that has not ended, once they are too many to be gone through one by one.
#[derive(Default)]
struct Seen<'s>(BTreeSet<Cow<'s, str>>);

impl<'s> Seen<'s> {
    const FEW: usize = 16;

    fn holds(&self, entries: &[(Key<'s>, Node<'s>)], name: &str) -> bool {
        if entries.len() <= Self::FEW {
            return entries.iter().any(|(key, _)| key.text == name);
        }
        self.0.contains(name)
    }

    /// Takes in the last of the entries.
    fn add(&mut self, entries: &[(Key<'s>, Node<'s>)]) {
        match entries.len() {
            0..=Self::FEW => {}
            count => {
                let new = if self.0.is_empty() { entries } else { &entries[count - 1..] };
                self.0.extend(new.iter().map(|(key, _)| key.text.clone()));
            }
        }
    }
}

impl<'s> Tree<'s> {
    /// Takes one event in; false when reading cannot go on.
    fn take(&mut self, event: Event<'s>, span: Span) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    _ => Style::Block,
                };
                let node = Node { span, value: Value::Scalar { text, style } };
                return self.add(node, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                return self.enter(Open { start: span, anchor, holds: Holds::List(Vec::new()) });
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let flow = style == StructureStyle::Flow;
                let holds = Holds::Map { entries: Vec::new(), seen: Seen::default(), key: None, flow };
                return self.enter(Open { start: span, anchor, holds });
            }
            Event::SequenceEnd | Event::MappingEnd => return self.leave(span),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => {}
        }
        true
    }

    fn enter(&mut self, open: Open<'s>) -> bool {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            self.problems.push(Diagnostic::error("limit", open.start.at(self.source), message));
            return false;
        }
        self.open.push(open);
        true
    }

    fn leave(&mut self, end: Span) -> bool {
        let Some(open) = self.open.pop() else { return true };
        let value = match open.holds {
            Holds::List(list) => Value::List(list),
            Holds::Map { entries, flow, .. } => Value::Map { entries, flow },
        };
        let start = open.start.start;
        let span = Span { start, end: self.trimmed(start, end.end) };
        self.add(Node { span, value }, open.anchor)
    }

    /// Where a block really ends: the parser counts the white space after it.
    fn trimmed(&self, start: u32, end: u32) -> u32 {
        let text = self.source.slice(Span { start, end });
        start + offset(text.trim_end().len().max(1))
    }

    fn alias(&mut self, anchor: usize, span: Span) -> bool {
        let Some(node) = self.anchors.get(&anchor) else {
            let message = "this alias stands inside the value it names";
            self.problems.push(Diagnostic::error("limit", span.at(self.source), message));
            return false;
        };
        let (size, depth) = (node.size(), node.depth());
        self.unused.remove(&anchor);
        if !self.spend(size, span) {
            return false;
        }
        let Some(mut node) = self.anchors.get(&anchor).cloned() else { return false };
        if self.open.len() + depth > MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            self.problems.push(Diagnostic::error("limit", span.at(self.source), message));
            return false;
        }
        node.span = span;
        self.add(node, 0)
    }

    /// Takes from the budget; false, with a problem, when it is used up.
    fn spend(&mut self, size: usize, span: Span) -> bool {
        match self.budget.checked_sub(size) {
            Some(rest) => {
                self.budget = rest;
                true
            }
            None => {
                let message = "anchors and aliases make this file many times larger than it is written";
                self.problems.push(Diagnostic::error("limit", span.at(self.source), message));
                false
            }
        }
    }

    /// False when reading cannot go on.
    fn add(&mut self, node: Node<'s>, anchor: usize) -> bool {
        if anchor != 0 {
            if !self.spend(node.size(), node.span) {
                return false;
            }
            if let Value::Scalar { .. } = node.value {
                self.unused.insert(anchor, node.span);
            }
            self.anchors.insert(anchor, node.clone());
        }
        let source = self.source;
        match self.open.last_mut().map(|open| &mut open.holds) {
            None => self.root = Some(node),
            Some(Holds::List(list)) => list.push(node),
            Some(Holds::Map { entries, seen, key, flow }) => match key.take() {
                None => {
                    let found = as_key(node, source, &mut self.problems);
                    *key = Some(found);
                }
                Some(name) => {
                    if name.text == "<<" && name.plain {
                        self.problems.push(merge_key(&name, source));
                    } else if seen.holds(entries, &name.text) {
                        self.problems.push(duplicate(&name, entries, *flow, source));
                    } else {
                        entries.push((name, node));
                        seen.add(entries);
                    }
                }
            },
        }
        true
    }

    fn refuse_tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            let before = self.source.text().get(..span.start as usize).unwrap_or("");
            let from = before.rfind('!').filter(|at| !before[*at..].contains('\n'));
            // `!!binary` begins with two.
            let from = from.map(|at| at - usize::from(before[..at].ends_with('!')));
            let span = from.map_or(span, |from| Span::new(from, span.start as usize));
            let problem =
                Diagnostic::error("tag", span.at(self.source), "a YAML tag, which runbooks do without")
                    .help("leave the tag out; to make a text of it, put it in quotes");
            self.problems.push(problem);
        }
    }

    fn syntax(&mut self, error: &ScanError) {
        let text = self.source.text();
        let mut at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
        while at > 0 && (at == text.len() || !text.is_char_boundary(at)) {
            at -= 1;
        }
        let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let line = text[start..].lines().next().unwrap_or("");
        let message = format!("this is not YAML: {}", error.info().replace('\n', " "));
        let mut problem = Diagnostic::error("syntax", character(text, at).at(self.source), message);
        if let Some(help) = syntax_help(line, text[at..].chars().next(), &error.info()) {
            problem = problem.help(help);
        }
        self.problems.push(problem);
    }
}

/// What most often is behind a line that is not YAML.
fn syntax_help(line: &str, found: Option<char>, info: &str) -> Option<&'static str> {
    let trimmed = line.trim_start().trim_start_matches("- ");
    let value = trimmed.split_once(": ").map_or(trimmed, |(_, value)| value).trim_start();
    if line.starts_with([' ', '\t']) && line.trim_start_matches(' ').starts_with('\t') {
        return Some("indent with spaces, YAML refuses tabs");
    }
    if value.starts_with("{{") {
        return Some("quote a value that begins with `{{`: \"{{ … }}\"");
    }
    if info.contains("unclosed quote") {
        return Some("a quote opens here and is never closed");
    }
    if info.contains("trailing content") {
        return Some(
            "what stands behind a closing quote belongs inside: \"…\"; a ' inside '…' is written twice",
        );
    }
    match found {
        Some('%' | '@' | '`') => return Some("quote a text that begins with `%`, `@` or a backtick"),
        Some('*' | '&') if info.contains("anchor") => {
            return Some("quote a text that begins with `*` or `&`: YAML reads an alias or anchor");
        }
        Some(control) if control.is_control() && !control.is_whitespace() => {
            return Some("take the control character out; in double quotes it may be written as \\x07");
        }
        _ => {}
    }
    if value.starts_with('[') && value.contains(']') {
        return Some("quote a jq filter that begins with `[`");
    }
    if trimmed.contains("[]") || (trimmed.contains('{') && trimmed.contains('[')) {
        return Some(
            "quote a jq filter: in braces and brackets YAML reads `[`, `]`, `{`, `}` and `,` as its own",
        );
    }
    if !value.starts_with(['"', '\'', '|', '>', '{', '[']) && value.contains(": ") {
        return Some("a text with `: ` in it must be quoted: \"…: …\"");
    }
    if info.contains("mapping values are not allowed") {
        return Some("a text with `: ` in it must be quoted, and keys of one mapping begin in one column");
    }
    if info.contains("did not find expected key") || info.contains("indentation") {
        return Some("keys of one mapping begin in one column, and so do the dashes of one list");
    }
    None
}

fn as_key<'s>(node: Node<'s>, source: &Arc<Source>, problems: &mut Vec<Diagnostic>) -> Key<'s> {
    match node.value {
        Value::Scalar { text, style } => Key { text, span: node.span, plain: style == Style::Plain },
        Value::List(_) | Value::Map { .. } => {
            let message = "a key must be a text, found a list or a mapping";
            let braces = source.slice(node.span).starts_with('{');
            let help = if braces {
                "a value that begins with `{{` must be quoted: \"{{ … }}\""
            } else {
                "write the key as a text, in quotes where it has brackets, commas or colons"
            };
            problems.push(Diagnostic::error("flow-accident", node.span.at(source), message).help(help));
            Key { text: Cow::Borrowed(""), span: node.span, plain: false }
        }
    }
}

/// `&Suspendre le tenant`: the first word is gone from the text.
fn lonely_anchor(source: &Arc<Source>, span: Span) -> Diagnostic {
    let before = source.text().get(..span.start as usize).unwrap_or("");
    let from = before.rfind('&').filter(|at| !before[*at..].contains('\n')).unwrap_or(span.start as usize);
    let whole = Span::new(from, span.end as usize);
    let written = source.slice(whole).lines().next().unwrap_or("").trim_end();
    let name = written.split_whitespace().next().unwrap_or("");
    let message = format!("`{name}` is an anchor to YAML, not a part of the text, and nothing refers to it");
    let quoted = written.replace('\\', "\\\\").replace('"', "\\\"");
    Diagnostic::error("anchor", whole.at(source), message).help(format!("quote the text: \"{quoted}\""))
}

fn merge_key(name: &Key<'_>, source: &Arc<Source>) -> Diagnostic {
    Diagnostic::error("merge-key", name.span.at(source), "a merge key, which runbooks do without")
        .help("write the keys out: a reader under stress should not have to look them up elsewhere")
}

fn duplicate(
    name: &Key<'_>,
    entries: &[(Key<'_>, Node<'_>)],
    flow: bool,
    source: &Arc<Source>,
) -> Diagnostic {
    let message = format!("the key `{}` stands twice in this mapping", name.text);
    let mut problem = Diagnostic::error("duplicate-key", name.span.at(source), message).label("again here");
    if let Some((first, _)) = entries.iter().find(|(key, _)| key.text == name.text) {
        problem = problem.also(first.span.at(source), "first here");
    }
    if flow { problem.help("does a comma split a text in two? quote it") } else { problem }
}

impl Node<'_> {
    /// About what a copy of it takes, in bytes.
    fn size(&self) -> usize {
        const EACH: usize = 16;
        match &self.value {
            Value::Scalar { text, .. } => EACH + text.len(),
            Value::List(list) => EACH + list.iter().map(Self::size).sum::<usize>(),
            Value::Map { entries, .. } => {
                EACH + entries.iter().map(|(key, node)| EACH + key.text.len() + node.size()).sum::<usize>()
            }
        }
    }

    fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(list) => 1 + list.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map { entries, .. } => 1 + entries.iter().map(|(_, node)| node.depth()).max().unwrap_or(0),
        }
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { text, style: Style::Plain } => match resolve(text) {
                Plain::Null => "nothing",
                Plain::Bool(_) => "true or false",
                Plain::Integer(_) | Plain::Float(_) => "a number",
                Plain::Text => "a text",
            },
            Value::Scalar { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map { .. } => "a mapping",
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, style: Style::Plain } if resolve(text) == Plain::Null)
    }
}

/// The whole character that a byte belongs to.
fn character(text: &str, at: usize) -> Span {
    let start = text.floor_char_boundary(at);
    Span::new(start, text.ceil_char_boundary(start + 1))
}

/// What a plain scalar means in the YAML 1.2 core schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Plain {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text,
}

pub fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Plain::Text;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Plain::Integer(number);
    }
    let numeric = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse::<f64>() {
        Ok(number) if numeric && number.is_finite() => Plain::Float(number),
        _ => Plain::Text,
    }
}

/// Why an unquoted scalar is a trap where a text is wanted, with what it reads as; `None` when it is harmless.
pub fn trap(text: &str) -> Option<&'static str> {
    match resolve(text) {
        Plain::Null => return Some("nothing"),
        Plain::Bool(_) => return Some("true or false"),
        Plain::Integer(_) if text.len() > 1 && text.starts_with('0') => {
            return Some("a number without its zero");
        }
        Plain::Integer(_) | Plain::Float(_) => return Some("a number"),
        Plain::Text => {}
    }
    // Nothing else begins with a letter and is longer than `off`.
    if text.len() > 3 && !text.starts_with(|c: char| c.is_ascii_digit() || "+-.:".contains(c)) {
        return None;
    }
    let folded = text.to_ascii_lowercase();
    if matches!(folded.as_str(), "yes" | "no" | "on" | "off" | "y" | "n") {
        return Some("true or false, by other YAML readers");
    }
    let unsigned = folded.trim_start_matches(['-', '+']);
    if unsigned.starts_with("0x") || unsigned.starts_with("0o") || matches!(unsigned, ".inf" | ".nan") {
        return Some("a number");
    }
    if is_date(text) {
        return Some("a date, by other YAML readers");
    }
    let mut parts = text.split(':');
    let clock = parts.clone().count() >= 2
        && parts.all(|part| !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()));
    clock.then_some("a number of seconds, by other YAML readers")
}

/// `2026-11-23`, alone or with a time behind it.
fn is_date(text: &str) -> bool {
    let Some((day, rest)) = text.split_at_checked(10) else { return false };
    let shape = day.bytes().enumerate().all(|(at, b)| match at {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    });
    shape && (rest.is_empty() || rest.starts_with(['T', 't', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> (bool, Vec<&'static str>) {
        let source = Source::new("t.yaml", text);
        let (node, problems) = parse(&source);
        (node.is_some(), problems.iter().map(|p| p.code).collect())
    }

    #[test]
    fn what_the_language_does_without_is_refused_all_at_once() {
        let (node, codes) = tree("a: !x 1\nb: {<<: {c: 1}}\na: 2\n");
        assert!(node);
        assert_eq!(codes, ["tag", "merge-key", "duplicate-key"]);
        assert_eq!(tree("a: 1\n---\nb: 2\n").1, ["syntax"]);
    }

    #[test]
    fn a_key_is_told_apart_from_many_others() {
        for (count, again) in [(3, 1), (15, 0), (16, 15), (17, 0), (17, 16), (18, 17), (40, 3), (40, 39)] {
            let mut keys: String = (0..count).map(|at| format!("k{at}: 1\n")).collect();
            assert_eq!(tree(&keys).1, [""; 0], "{count}");
            keys.push_str(&format!("k{again}: 2\n"));
            assert_eq!(tree(&keys).1, ["duplicate-key"], "{again} of {count}");
        }
    }

    #[test]
    fn an_alias_bomb_stops_early() {
        let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
        for at in 1..12_u8 {
            let (before, name) = ((b'a' + at - 1) as char, (b'a' + at) as char);
            let refs = vec![format!("*{before}"); 9].join(",");
            bomb.push_str(&format!("{name}: &{name} [{refs}]\n"));
        }
        assert_eq!(tree(&bomb).1, ["limit"]);
        assert_eq!(tree(&format!("{}x", "- ".repeat(100))).1, ["limit"]);
        assert_eq!(tree("a: &x [1]\nb: *x\n").1, [""; 0]);
        let long = format!("a: &a \"{}\"\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(1_000));
        assert_eq!(tree(&long).1, ["limit"], "a long text repeated counts by its length");
    }

    #[test]
    fn unquoted_scalars_that_mean_something_else_are_traps() {
        for text in [
            "yes",
            "No",
            "on",
            "1.10",
            "012",
            "12:30",
            "1e3",
            "~",
            "true",
            "0x1f",
            "12:30:10",
            "2024-01-01",
            "2024-01-01T06:30:00Z",
            ".inf",
        ] {
            assert!(trap(text).is_some(), "{text}");
        }
        for text in ["tenant-a", "1.2.3", "30s", "a:b", "12:acme", "v1", "2024-01-01-a", "yesterday"] {
            assert!(trap(text).is_none(), "{text}");
        }
    }
}
