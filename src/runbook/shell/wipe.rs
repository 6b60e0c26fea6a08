//! `rm -r` behind something that may be empty: `rm -rf "$DIR"/*` removes everything if `DIR` is nothing.

use std::collections::BTreeSet;
use std::ops::Range;

use super::danger::is_recursive;
use super::tree::{self, Reading, children};
use super::word::{Open, Piece, Word};
use super::wrapper::programs;

/// A word of `rm -r` that would become another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wipe {
    /// The variable; nothing for another expansion.
    pub name: Option<String>,
    /// What would be removed if it were empty.
    pub left: String,
    /// It begins the word, so that what is left is somewhere else altogether.
    pub first: bool,
    pub range: Range<usize>,
}

/// What a script would remove too much, where neither it nor `filled` says that a variable is not empty.
pub fn wipes(script: &Reading<'_>, filled: &BTreeSet<String>) -> Vec<Wipe> {
    let (text, Some(root)) = (script.text, script.root) else { return Vec::new() };
    let (mut known, mut doubtful) = (filled.clone(), BTreeSet::new());
    tree::walk(root, |node, _| match node.kind() {
        "variable_assignment" => {
            let name = node.child_by_field_name("name").map(|name| text[name.byte_range()].to_owned());
            let value = node.child_by_field_name("value").map(|value| Word::of(value, text));
            let fills = value.is_some_and(|word| fills(&word));
            if let Some(name) = name {
                if fills {
                    known.insert(name)
                } else {
                    doubtful.insert(name)
                };
            }
        }
        // The words of a list are written out, or none at all.
        "for_statement" => {
            let name = node.child_by_field_name("variable").map(|name| text[name.byte_range()].to_owned());
            let quoted = children(node).iter().any(|child| child.kind() == "string");
            known.extend(name.filter(|_| !quoted));
        }
        "expansion" => {
            let own = &text[node.byte_range()];
            let name = own.trim_start_matches("${").split(":?").next().unwrap_or_default();
            if own.contains(":?") {
                known.insert(name.to_owned());
            }
        }
        _ => {}
    });
    known.retain(|name| !doubtful.contains(name));
    let mut found = Vec::new();
    for command in &script.commands {
        let words = &command.words;
        for at in programs(words) {
            let rest = &words[at + 1..];
            if words[at].program().as_deref() == Some("rm") && is_recursive(rest) {
                found.extend(rest.iter().filter_map(|word| wipe(word, &known)));
            }
        }
    }
    found
}

fn fills(word: &Word) -> bool {
    word.pieces.iter().any(|piece| match piece {
        Piece::Text(text) => !text.is_empty(),
        Piece::Open(open) => open.guarded,
    })
}

fn wipe(word: &Word, known: &BTreeSet<String>) -> Option<Wipe> {
    let doubtful =
        |open: &Open| !open.guarded && !open.name.as_ref().is_some_and(|name| known.contains(name));
    let at = word.pieces.iter().position(|piece| matches!(piece, Piece::Open(open) if doubtful(open)))?;
    let name = match &word.pieces[at] {
        Piece::Open(open) => open.name.clone(),
        Piece::Text(_) => None,
    };
    let left = word.pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.as_str(),
        Piece::Open(open) if doubtful(open) => "",
        Piece::Open(_) => "…",
    });
    let left: String = left.collect();
    // Alone it is no word at all, or an empty one, which `rm` refuses; within a name it is only another name.
    let elsewhere = at == 0 && (left.starts_with('/') || left.starts_with(['*', '.', '?']));
    let above = left.ends_with('/') || left.contains("//");
    (elsewhere || above).then(|| Wipe {
        name,
        left: left.replace("//", "/"),
        first: elsewhere,
        range: word.range.clone(),
    })
}
