//! YAML to a tree with positions. The only file that knows the YAML library.
//!
//! Reads the parser's events and not a serde front end of it: only the events tell how a scalar was written (an
//! unquoted `yes` is refused, a quoted one is text) and let every problem of a file be reported at once. Refuses what
//! the runbook language does without: tags, merge keys, duplicate keys, several documents, alias bombs.

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

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Scalar { text: String, style: Style },
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, flow: bool },
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Quoted,
    Block,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub text: String,
    pub span: Span,
    pub plain: bool,
}

/// Reads one document. A tree comes back as far as the text is YAML at all.
pub fn parse(source: &Arc<Source>) -> (Option<Node>, Vec<Diagnostic>) {
    let mut tree = Tree {
        source,
        problems: Vec::new(),
        anchors: BTreeMap::new(),
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
    (tree.root, tree.problems)
}

struct Tree<'s> {
    source: &'s Arc<Source>,
    problems: Vec<Diagnostic>,
    anchors: BTreeMap<usize, Node>,
    /// Bytes that anchors and aliases may still add.
    budget: usize,
    open: Vec<Open>,
    root: Option<Node>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    start: Span,
    anchor: usize,
    holds: Holds,
}

enum Holds {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, seen: BTreeSet<String>, key: Option<Key>, flow: bool },
}

impl Tree<'_> {
    /// Takes one event in; false when reading cannot go on.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    _ => Style::Block,
                };
                let node = Node { span, value: Value::Scalar { text: text.into_owned(), style } };
                return self.add(node, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                return self.enter(Open { start: span, anchor, holds: Holds::List(Vec::new()) });
            }
            Event::MappingStart(style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let flow = style == StructureStyle::Flow;
                let holds = Holds::Map { entries: Vec::new(), seen: BTreeSet::new(), key: None, flow };
                return self.enter(Open { start: span, anchor, holds });
            }
            Event::SequenceEnd | Event::MappingEnd => return self.leave(span),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => {}
        }
        true
    }

    fn enter(&mut self, open: Open) -> bool {
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
    fn add(&mut self, node: Node, anchor: usize) -> bool {
        if anchor != 0 {
            if !self.spend(node.size(), node.span) {
                return false;
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
                    } else if seen.contains(&name.text) {
                        self.problems.push(duplicate(&name, entries, *flow, source));
                    } else {
                        seen.insert(name.text.clone());
                        entries.push((name, node));
                    }
                }
            },
        }
        true
    }

    fn refuse_tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            let problem =
                Diagnostic::error("tag", span.at(self.source), "a YAML tag, which runbooks do without")
                    .label("this value carries a tag (`!…` in front of it)")
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
        if let Some(help) = syntax_help(line) {
            problem = problem.help(help);
        }
        self.problems.push(problem);
    }
}

/// What most often is behind a line that is not YAML.
fn syntax_help(line: &str) -> Option<&'static str> {
    let trimmed = line.trim_start().trim_start_matches("- ");
    let value = trimmed.split_once(": ").map_or(trimmed, |(_, value)| value).trim_start();
    if line.starts_with([' ', '\t']) && line.trim_start_matches(' ').starts_with('\t') {
        return Some("indent with spaces, YAML refuses tabs");
    }
    if value.starts_with("{{") {
        return Some("quote a value that begins with `{{`: \"{{ … }}\"");
    }
    if trimmed.contains("[]") || (trimmed.contains('{') && trimmed.contains('[')) {
        return Some(
            "quote a jq filter: in braces and brackets YAML reads `[`, `]`, `{`, `}` and `,` as its own",
        );
    }
    if !value.starts_with(['"', '\'', '|', '>', '{', '[']) && value.contains(": ") {
        return Some("a text with `: ` in it must be quoted: \"…: …\"");
    }
    None
}

fn as_key(node: Node, source: &Arc<Source>, problems: &mut Vec<Diagnostic>) -> Key {
    match node.value {
        Value::Scalar { text, style } => Key { text, span: node.span, plain: style == Style::Plain },
        Value::List(_) | Value::Map { .. } => {
            let message = "a key must be a text, found a list or a mapping";
            let help = "a value that begins with `{{` must be quoted: \"{{ … }}\"";
            problems.push(Diagnostic::error("flow-accident", node.span.at(source), message).help(help));
            Key { text: String::new(), span: node.span, plain: false }
        }
    }
}

fn merge_key(name: &Key, source: &Arc<Source>) -> Diagnostic {
    Diagnostic::error("merge-key", name.span.at(source), "a merge key, which runbooks do without")
        .help("write the keys out: a reader under stress should not have to look them up elsewhere")
}

fn duplicate(name: &Key, entries: &[(Key, Node)], flow: bool, source: &Arc<Source>) -> Diagnostic {
    let message = format!("the key `{}` stands twice in this mapping", name.text);
    let mut problem = Diagnostic::error("duplicate-key", name.span.at(source), message).label("again here");
    if let Some((first, _)) = entries.iter().find(|(key, _)| key.text == name.text) {
        problem = problem.also(first.span.at(source), "first here");
    }
    if flow { problem.help("does a comma split a text in two? quote it") } else { problem }
}

impl Node {
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

/// The place in the file of the byte `at` of a scalar's text; the whole scalar where they cannot be matched.
pub fn inner(source: &Source, span: Span, text: &str, at: usize, length: usize) -> Span {
    let raw = source.slice(span);
    let start = span.start as usize;
    let found = if raw.starts_with(text) {
        Some(start + at)
    } else if raw.starts_with(['"', '\'']) {
        raw.get(1..).is_some_and(|raw| raw.starts_with(text)).then_some(start + 1 + at)
    } else {
        in_block(text, source.text(), start, at)
    };
    found.map_or(span, |from| {
        let (first, end) = (character(source.text(), from), from + length);
        if end > first.end as usize && source.text().is_char_boundary(end) {
            Span { end: offset(end), ..first }
        } else {
            first
        }
    })
}

/// The whole character that a byte belongs to.
fn character(text: &str, at: usize) -> Span {
    let start = text.floor_char_boundary(at);
    Span::new(start, text.ceil_char_boundary(start + 1))
}

/// The offset in the file of a byte of a block scalar: its lines are those of the file without their indentation.
fn in_block(text: &str, file: &str, start: usize, at: usize) -> Option<usize> {
    let before = text.get(..at)?;
    let row = before.matches('\n').count();
    let column = at - before.rfind('\n').map_or(0, |i| i + 1);
    let wanted = text.lines().nth(row)?;
    // The span begins at the indicator or at the first line, depending on the parser: the first line that fits.
    let first = text.lines().next()?;
    let mut lines = Vec::new();
    let mut from = file.get(..start)?.rfind('\n').map_or(0, |i| i + 1);
    for line in file.get(from..)?.split_inclusive('\n').take(row + 3) {
        lines.push((from, line));
        from += line.len();
    }
    let top = lines.iter().position(|(_, line)| line.trim() == first.trim() && !first.trim().is_empty())?;
    let (from, line) = lines.get(top + row)?;
    let indent = line.find(wanted.trim_end())?;
    Some(from + indent + column)
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
    let folded = text.to_ascii_lowercase();
    if matches!(folded.as_str(), "yes" | "no" | "on" | "off" | "y" | "n") {
        return Some("true or false, by other YAML readers");
    }
    if folded.starts_with("0x") || folded.starts_with("0o") {
        return Some("a number");
    }
    let mut parts = text.split(':');
    let clock = parts.clone().count() >= 2
        && parts.all(|part| !part.is_empty() && part.len() <= 2 && part.bytes().all(|b| b.is_ascii_digit()));
    clock.then_some("a number of seconds, by other YAML readers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> (Option<Node>, Vec<&'static str>) {
        let source = Source::new("t.yaml", text);
        let (node, problems) = parse(&source);
        (node, problems.iter().map(|p| p.code).collect())
    }

    #[test]
    fn what_the_language_does_without_is_refused_all_at_once() {
        let (node, codes) = tree("a: !x 1\nb: {<<: {c: 1}}\na: 2\n");
        assert!(node.is_some());
        assert_eq!(codes, ["tag", "merge-key", "duplicate-key"]);
        assert_eq!(tree("a: 1\n---\nb: 2\n").1, ["syntax"]);
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
        for text in ["yes", "No", "on", "1.10", "012", "12:30", "1e3", "~", "true", "0x1f", "12:30:10"] {
            assert!(trap(text).is_some(), "{text}");
        }
        for text in ["tenant-a", "1.2.3", "30s", "a:b", "12:acme", "v1", "2024-01-01", "yesterday"] {
            assert!(trap(text).is_none(), "{text}");
        }
    }

    #[test]
    fn offsets_inside_scalars_are_found_in_the_file() {
        let source = Source::new("t.yaml", "a: \"x {{ y }}\"\nb: |\n  echo 1\n  echo {{ z }}\n");
        let (node, _) = parse(&source);
        let Some(Node { value: Value::Map { entries, .. }, .. }) = node else { panic!("a mapping") };
        assert_eq!(source.slice(inner(&source, entries[0].1.span, "x {{ y }}", 2, 7)), "{{ y }}");
        assert_eq!(
            source.slice(inner(&source, entries[1].1.span, "echo 1\necho {{ z }}\n", 12, 7)),
            "{{ z }}"
        );
    }
}
