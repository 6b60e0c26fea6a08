//! Syntax trees of bash.
//!
//! Owns the parser and its bounds. The parser keeps its own stack and so do the walks here, so depth is only memory.
//! Its time grows with the square of pipes, here-documents, arrays and tests: beyond a bound that no procedure reaches
//! it is not asked, and the script counts as one that cannot be read.

use std::cell::RefCell;
use std::ops::Range;

use tree_sitter::{Node, Parser, Tree};

use super::SCRIPT_BYTES;
use super::word::{Word, is_word};

/// How often each of these may stand in a script.
const DEAR: [&str; 4] = ["|", "<<", "=(", "[["];
const DEAR_LIMIT: usize = 1_000;

thread_local! {
    static PARSER: RefCell<Option<Parser>> = const { RefCell::new(None) };
}

/// The tree of a script; `None` where it is beyond the bounds. A tree may hold errors.
pub(super) fn parse(text: &str) -> Option<Tree> {
    let too_many = |sign: &&str| text.matches(*sign).take(DEAR_LIMIT + 1).count() > DEAR_LIMIT;
    if text.len() > SCRIPT_BYTES || DEAR.iter().any(too_many) {
        return None;
    }
    PARSER.with_borrow_mut(|parser| {
        if parser.is_none() {
            let mut fresh = Parser::new();
            fresh.set_language(&tree_sitter_bash::LANGUAGE.into()).ok()?;
            *parser = Some(fresh);
        }
        parser.as_mut()?.parse(text, None)
    })
}

/// Every node below `root`, itself first, in the order of the text, each with what it stands in.
pub(super) fn walk<'t>(root: Node<'t>, mut visit: impl FnMut(Node<'t>, &[Node<'t>])) {
    let mut cursor = root.walk();
    let mut above = Vec::new();
    loop {
        let node = cursor.node();
        visit(node, &above);
        if cursor.goto_first_child() {
            above.push(node);
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
            above.pop();
        }
    }
}

/// From the root to the smallest node around the bytes.
pub(super) fn path(tree: &Tree, around: Range<usize>) -> Vec<Node<'_>> {
    let mut cursor = tree.walk();
    let mut out = vec![cursor.node()];
    while cursor.goto_first_child_for_byte(around.start).is_some() {
        let node = cursor.node();
        if node.start_byte() > around.start || node.end_byte() < around.end {
            break;
        }
        out.push(node);
    }
    out
}

pub(super) fn children<'t>(node: Node<'t>) -> Vec<Node<'t>> {
    let mut cursor = node.walk();
    node.children(&mut cursor).collect()
}

/// Its first token: `` ` `` of a substitution, `((` of an arithmetic command, `[[` of a test.
pub(super) fn opening(node: Node<'_>) -> &'static str {
    node.child(0).map_or("", |child| child.kind())
}

/// A script that was read once, for everything that looks at it.
pub struct Reading<'t> {
    pub(super) text: &'t str,
    /// Nothing where the script is beyond the bounds.
    pub(super) root: Option<Node<'t>>,
    pub(super) commands: Vec<Command<'t>>,
}

impl<'t> Reading<'t> {
    pub(super) fn new(text: &'t str, tree: Option<&'t Tree>) -> Self {
        let root = tree.map(Tree::root_node);
        Self { text, root, commands: root.map_or_else(Vec::new, |root| commands(root, text)) }
    }
}

/// A command with its words, those behind its redirections included.
pub(super) struct Command<'t> {
    pub(super) node: Node<'t>,
    pub(super) words: Vec<Word>,
    /// What it prints goes to another command.
    pub(super) feeds: bool,
}

/// Every command below `root`, in the order of the text.
pub(super) fn commands<'t>(root: Node<'t>, text: &str) -> Vec<Command<'t>> {
    let mut out: Vec<Command<'t>> = Vec::new();
    let mut trailing: Option<(usize, Vec<Word>)> = None;
    walk(root, |node, above| match node.kind() {
        "redirected_statement" => {
            trailing = node.child_by_field_name("body").map(|body| (body.id(), behind(node, text)));
        }
        "command" | "declaration_command" | "unset_command" => {
            let mut words = words(node, text);
            if let Some((_, behind)) = trailing.take_if(|(body, _)| *body == node.id()) {
                words.extend(behind);
            }
            if !words.is_empty() {
                out.push(Command { node, words, feeds: feeds(node, above) });
            }
        }
        _ => {}
    });
    out
}

/// The words of a command, from the name of its program on; its assignments are none of them.
pub(super) fn words(command: Node<'_>, text: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let declares = command.kind() != "command";
    for child in children(command) {
        match child.kind() {
            "command_name" => {
                out.push(Word::of(child.child(0).unwrap_or(child), text));
            }
            "variable_assignment" if !declares => {}
            "variable_assignment" | "variable_name" => out.push(Word::of(child, text)),
            kind if is_word(kind) || declares => out.push(Word::of(child, text)),
            _ => {}
        }
    }
    out
}

/// Words that stand behind a redirection and belong to the command all the same.
fn behind(redirected: Node<'_>, text: &str) -> Vec<Word> {
    let mut out = Vec::new();
    for redirect in children(redirected) {
        let mut cursor = redirect.walk();
        match redirect.kind() {
            "file_redirect" => {
                let all = redirect.children_by_field_name("destination", &mut cursor);
                out.extend(all.skip(1).map(|node| Word::of(node, text)));
            }
            "heredoc_redirect" => {
                let all = redirect.children_by_field_name("argument", &mut cursor);
                out.extend(all.map(|node| Word::of(node, text)));
            }
            _ => {}
        }
    }
    out
}

fn feeds(node: Node<'_>, above: &[Node<'_>]) -> bool {
    let pipeline = above.iter().rev().find(|above| above.kind() != "redirected_statement");
    pipeline.is_some_and(|pipeline| pipeline.kind() == "pipeline" && pipeline.end_byte() > node.end_byte())
}
