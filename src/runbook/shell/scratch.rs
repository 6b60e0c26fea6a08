//! Which files are nobody's: temporary ones, and those in the scratch folder of the run. Whoever writes those changes
//! nothing in the world, and may call himself a read.

use std::collections::BTreeSet;
use std::ops::Range;

use tree_sitter::Node;

use super::tree::{self, Command};
use super::word::{Open, Piece, Word};
use crate::runbook::template::{Part, Template, WORK};

/// Rounds in which names of scratch files go on from variable to variable.
const ROUNDS: usize = 4;

/// What is known of a script's files before it is read.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// Variables that hold the path of one.
    names: BTreeSet<String>,
    /// Variables that hold the name of one in whatever folder the script is in.
    below: BTreeSet<String>,
    /// The folder that it begins in is one.
    here: bool,
    /// Where it goes to another folder: from there on, within what, and whether that is scratch.
    moves: Vec<(usize, Range<usize>, bool)>,
}

impl Scratch {
    /// `variables`: of its environment, with what they hold.
    pub fn new<'t>(variables: impl Iterator<Item = (&'t str, &'t Template)>, cwd: Option<&Template>) -> Self {
        let names = variables.filter(|(_, value)| begins_in_scratch(value)).map(|(name, _)| name.to_owned());
        let names = names.chain(["TMPDIR".to_owned()]).collect();
        Self { names, below: BTreeSet::new(), here: cwd.is_some_and(begins_in_scratch), moves: Vec::new() }
    }

    /// What its text says besides: `dir=$(mktemp -d)`, `cd "$dir"`.
    pub(super) fn within(&self, root: Node<'_>, text: &str, commands: &[Command<'_>]) -> Self {
        let mut own = self.clone();
        let mut assigned: Vec<(String, Word)> = Vec::new();
        tree::walk(root, |node, _| {
            let parts = node.child_by_field_name("name").zip(node.child_by_field_name("value"));
            if let Some((name, value)) = parts.filter(|_| node.kind() == "variable_assignment") {
                assigned.push((text[name.byte_range()].to_owned(), Word::of(value, text)));
            }
        });
        for _ in 0..ROUNDS {
            let before = own.names.len();
            let holds = |name: &String| {
                assigned
                    .iter()
                    .filter(|(other, _)| other == name)
                    .all(|(_, value)| own.is_there(value, false))
            };
            let new: Vec<String> =
                assigned.iter().map(|(name, _)| name).filter(|name| holds(name)).cloned().collect();
            own.names.extend(new);
            if own.names.len() == before {
                break;
            }
        }
        let doubtful = assigned.iter().filter(|(_, value)| !own.is_there(value, false));
        let doubtful: BTreeSet<String> = doubtful.map(|(name, _)| name.clone()).collect();
        own.names.retain(|name| !doubtful.contains(name));
        let elsewhere =
            assigned.iter().filter(|(_, value)| value.start().is_empty() || !own.is_there(value, true));
        let elsewhere: BTreeSet<&String> = elsewhere.map(|(name, _)| name).collect();
        own.below =
            assigned.iter().map(|(name, _)| name).filter(|name| !elsewhere.contains(name)).cloned().collect();
        for command in commands.iter().filter(|command| command.words[0].is_one_of(&["cd", "pushd", "popd"]))
        {
            let at = command.node.end_byte();
            // From a folder of its own into one below it.
            let to = command.words.iter().skip(1).find(|word| !word.is_option());
            let to = to.is_some_and(|to| own.has(to, at));
            own.moves.push((at, subshell(command.node), to));
        }
        own
    }

    /// What a shell within it begins with.
    pub(super) fn outside(&self) -> Self {
        Self { moves: Vec::new(), ..self.clone() }
    }

    /// Whether a file that is named at that byte is nobody's.
    pub(super) fn has(&self, word: &Word, at: usize) -> bool {
        let moved = self.moves.iter().rev().find(|(from, within, _)| *from <= at && within.contains(&at));
        self.is_there(word, moved.map_or(self.here, |(_, _, scratch)| *scratch))
    }

    fn is_there(&self, word: &Word, here: bool) -> bool {
        if word.text().split('/').any(|part| part == "..") {
            return false;
        }
        match word.pieces.first() {
            None => true,
            Some(Piece::Text(path)) => is_temporary(path) || (here && !path.starts_with(['/', '~'])),
            Some(Piece::Open(Open { name, scratch, .. })) => {
                let named = |all: &BTreeSet<String>| name.as_ref().is_some_and(|name| all.contains(name));
                *scratch || named(&self.names) || (here && named(&self.below))
            }
        }
    }

    /// Whether it is scratch that the run, or the script itself, has made for itself alone.
    pub(super) fn is_own(&self, word: &Word, at: usize) -> bool {
        matches!(word.pieces.first(), Some(Piece::Open(_))) && self.has(word, at)
    }
}

/// The nearest shell within the script that a change of folder holds in.
fn subshell(node: Node<'_>) -> Range<usize> {
    let (mut at, mut around) = (node, node.parent());
    while let Some(outer) = around {
        if matches!(outer.kind(), "subshell" | "command_substitution" | "process_substitution" | "pipeline") {
            return outer.byte_range();
        }
        (at, around) = (outer, outer.parent());
    }
    at.byte_range()
}

/// A path that is no file of anybody's.
pub(super) fn is_temporary(path: &str) -> bool {
    const FOLDERS: [&str; 9] = [
        "/dev/null",
        "/dev/std",
        "/dev/tty",
        "/dev/fd/",
        "/dev/tcp/",
        "/dev/udp/",
        "/proc/self/",
        "/tmp/",
        "/var/tmp/",
    ];
    path == "/tmp" || FOLDERS.iter().any(|start| path.starts_with(start))
}

fn begins_in_scratch(path: &Template) -> bool {
    match path.parts().next() {
        Some(Part::Text(text)) => is_temporary(text) && !path.source().split('/').any(|part| part == ".."),
        Some(Part::Expr(expr)) => expr.source().trim() == WORK,
        None => false,
    }
}
