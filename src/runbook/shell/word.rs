//! Words of a command: what is literal in them, and where something is filled in.

use std::borrow::Cow;
use std::ops::Range;

use tree_sitter::Node;

use super::tree::children;
use crate::runbook::template::{Part, Template, WORK};

/// One word of a command, its quotes taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub(super) pieces: Vec<Piece>,
    /// Its bytes in the script.
    pub(super) range: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// Something that is known only when the script runs.
    Open(Open),
}

/// An expansion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Open {
    /// Of a variable.
    pub(super) name: Option<String>,
    /// The script itself says that it is not empty: `${NAME:?}`, `${NAME:-x}`.
    pub(super) guarded: bool,
    /// It is a path in the scratch folder of the run, or one that the script has made for itself.
    pub(super) scratch: bool,
}

const WORDS: [&str; 13] = [
    "word",
    "string",
    "raw_string",
    "ansi_c_string",
    "translated_string",
    "concatenation",
    "number",
    "simple_expansion",
    "expansion",
    "command_substitution",
    "process_substitution",
    "arithmetic_expansion",
    "brace_expression",
];

/// Whether a node of that kind is a word of a command.
pub(super) fn is_word(kind: &str) -> bool {
    WORDS.contains(&kind)
}

impl Word {
    pub(super) fn of(node: Node<'_>, text: &str) -> Self {
        let mut word = Self { pieces: Vec::new(), range: node.byte_range() };
        if matches!(node.kind(), "concatenation" | "variable_assignment") {
            children(node).into_iter().for_each(|child| word.take(child, text));
        } else {
            word.take(node, text);
        }
        word
    }

    pub(super) fn literal(text: &str) -> Self {
        Self { pieces: vec![Piece::Text(text.to_owned())], range: 0..0 }
    }

    /// An argument of a program that is called without a shell.
    pub fn argument(template: &Template) -> Self {
        let pieces = template.parts().map(|part| match part {
            Part::Text(text) => Piece::Text(text.to_owned()),
            Part::Expr(expr) => {
                Piece::Open(Open { scratch: expr.source().trim() == WORK, ..Open::default() })
            }
        });
        Self { pieces: pieces.collect(), range: 0..0 }
    }

    /// Its text, when nothing is filled in.
    pub(super) fn whole(&self) -> Option<String> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => Some(text.as_str()),
                Piece::Open(_) => None,
            })
            .collect()
    }

    /// What is literal in it, with nothing where something is filled in.
    pub(super) fn text(&self) -> String {
        let texts = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Open(_) => "",
        });
        texts.collect()
    }

    /// As [`Word::text`], with the variables that are filled in, as a script would expand them.
    pub(super) fn as_script(&self) -> String {
        let mut out = String::new();
        let mut quoted = false;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    quoted ^= text.matches('\'').count() % 2 == 1;
                    out.push_str(text);
                }
                // What is filled in now stands there later, in single quotes as well.
                Piece::Open(Open { name: Some(name), .. }) if quoted => {
                    out.push_str(&format!("'\"${{{name}}}\"'"));
                }
                Piece::Open(Open { name: Some(name), .. }) => out.push_str(&format!("${{{name}}}")),
                Piece::Open(Open { name: None, .. }) => {}
            }
        }
        out
    }

    /// The variables that are filled in.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Open(open) => open.name.as_deref(),
            Piece::Text(_) => None,
        })
    }

    /// This shell, its group, or what it started last: `$$`, `-$$`, `$!`, `0`.
    pub(super) fn own_process(&self) -> bool {
        let group = |text: &str| text.is_empty() || text == "-";
        let expanded = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Open(open) => Some(open.name.as_deref()),
            Piece::Text(_) => None,
        });
        let names: Vec<Option<&str>> = expanded.collect();
        match names.as_slice() {
            [] => self.text() == "0",
            [Some(name)] => matches!(*name, "$" | "!" | "BASHPID") && group(&self.text()),
            _ => false,
        }
    }

    /// The literal text that it begins with.
    pub(super) fn start(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text,
            _ => "",
        }
    }

    /// Without what it begins with; a word that does not begin so is nothing.
    pub(super) fn behind(&self, prefix: &str) -> Self {
        let Some(rest) = self.start().strip_prefix(prefix) else { return Self::literal("/dev/null") };
        let mut pieces = self.pieces.clone();
        pieces[0] = Piece::Text(rest.to_owned());
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Self { pieces, range: self.range.clone() }
    }

    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Text(own)] if own == text)
    }

    pub(super) fn is_one_of(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.is(text))
    }

    /// The name of the program that it names, without folders.
    pub(super) fn program(&self) -> Option<Cow<'_, str>> {
        if let [Piece::Text(text)] = self.pieces.as_slice() {
            return Some(Cow::Borrowed(text.rsplit('/').next().unwrap_or(text)));
        }
        let whole = self.whole()?;
        Some(Cow::Owned(whole.rsplit('/').next().unwrap_or(&whole).to_owned()))
    }

    /// `-x`, `--long`, as far as can be seen.
    pub(super) fn is_option(&self) -> bool {
        let start = self.start();
        start.len() > 1 && start.starts_with('-')
    }

    fn push(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Piece::Text(last)) = self.pieces.last_mut() {
            last.push_str(text);
        } else {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    fn take(&mut self, node: Node<'_>, text: &str) {
        let own = &text[node.byte_range()];
        match node.kind() {
            "word" | "number" => self.push(&unescaped(own, |_| true)),
            "raw_string" => self.push(own.trim_matches('\'')),
            "ansi_c_string" => {
                let inner = own.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\''));
                self.push(&unescaped(inner.unwrap_or(own), |_| true));
            }
            "string" | "translated_string" => self.take_string(node, text),
            "simple_expansion" | "expansion" => self.pieces.push(Piece::Open(open(own))),
            "command_substitution" => {
                let guarded = own.contains("mktemp");
                self.pieces.push(Piece::Open(Open { name: None, guarded, scratch: guarded }));
            }
            "process_substitution" => self.push("/dev/fd/"),
            "arithmetic_expansion" => {
                self.pieces.push(Piece::Open(Open { guarded: true, ..Open::default() }))
            }
            "array" => self.push("(…)"),
            // A child of a word that is itself made of words: never deeper than this.
            "concatenation" => children(node).into_iter().for_each(|child| match child.kind() {
                "string" => self.take_string(child, text),
                "simple_expansion" | "expansion" => {
                    self.pieces.push(Piece::Open(open(&text[child.byte_range()])));
                }
                "command_substitution" => self.pieces.push(Piece::Open(Open::default())),
                _ => self.push(text[child.byte_range()].trim_matches('\'')),
            }),
            _ => self.push(own),
        }
    }

    fn take_string(&mut self, node: Node<'_>, text: &str) {
        let mut from = node.start_byte();
        let in_string = |c: char| matches!(c, '"' | '\\' | '$' | '`' | '\n');
        for child in children(node) {
            self.push(text[from..child.start_byte()].trim_matches('"'));
            match child.kind() {
                "simple_expansion" | "expansion" => {
                    self.pieces.push(Piece::Open(open(&text[child.byte_range()])));
                }
                "command_substitution" | "arithmetic_expansion" => {
                    let scratch = text[child.byte_range()].starts_with("$(mktemp");
                    self.pieces.push(Piece::Open(Open { scratch, ..Open::default() }));
                }
                "\"" => {}
                _ => self.push(&unescaped(&text[child.byte_range()], in_string)),
            }
            from = child.end_byte();
        }
    }
}

/// `$NAME`, `${NAME:?…}`, `${#NAME}`.
fn open(written: &str) -> Open {
    // Always there: the shell itself, and what it started last.
    if let Some(own) = written.strip_prefix('$').filter(|name| matches!(*name, "$" | "!")) {
        return Open { name: Some(own.to_owned()), guarded: true, scratch: false };
    }
    let inner = written.trim_start_matches('$').trim_start_matches('{').trim_end_matches('}');
    if inner.starts_with('#') {
        return Open { guarded: true, ..Open::default() };
    }
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    let filled =
        |rest: &str| rest.starts_with(|c: char| !c.is_whitespace() && !matches!(c, '$' | '"' | '\'' | '`'));
    let guarded =
        rest.starts_with(":?") || rest.strip_prefix(":-").or(rest.strip_prefix(":=")).is_some_and(filled);
    Open { name: (!name.is_empty()).then(|| name.to_owned()), guarded, scratch: false }
}

/// Without the backslashes that take a meaning away.
fn unescaped(text: &str, escapes: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('\\', Some('\n')) => {
                rest.next();
            }
            ('\\', Some(next)) if escapes(next) => {
                out.push(next);
                rest.next();
            }
            _ => out.push(c),
        }
    }
    out
}
