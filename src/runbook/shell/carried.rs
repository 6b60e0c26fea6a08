//! Values that a script carries on in variables of its own, to where bash or another reader would take them as code:
//! `n={{ inputs.n }}; echo $((n + 1))` runs what stands in `n`.
//!
//! Follows assignments, lists of `for`, `read <<<`, `set --` and calls of functions. What a program prints is its own:
//! a value is not followed through `$( )` into arithmetic. Meant to catch the honest script, as the table of readers is.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::Node;

use super::reader::{Hazard, hazards, piped_into, reads_input};
use super::refusal::Refused;
use super::tree::{self, Reading, children, commands, opening, words};

/// A variable that is read where its value would be more than a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    pub name: String,
    /// The variable that the value came in by.
    pub origin: String,
    pub why: Refused,
    /// Its bytes in the script that bash gets.
    pub at: Range<usize>,
}

/// Rounds in which values go on from variable to variable.
const ROUNDS: usize = 8;

/// Where the values of `origins`, and of what is assigned from them, are taken as code. What the variables of `{{ }}`
/// themselves stand in is judged by lowering.
pub fn carried(script: &Reading<'_>, origins: &[String], lowered: &str) -> Vec<Carried> {
    let (text, Some(root)) = (script.text, script.root.filter(|_| !origins.is_empty())) else {
        return Vec::new();
    };
    let mut holds: BTreeMap<String, String> =
        origins.iter().map(|name| (name.clone(), name.clone())).collect();
    for _ in 0..ROUNDS {
        let before = holds.len();
        pass_on(root, text, &mut holds);
        if holds.len() == before {
            break;
        }
    }
    let keyed = ["declare -A", "local -A", "typeset -A"].iter().any(|word| text.contains(word));
    let mut found = Vec::new();
    tree::walk(root, |node, above| {
        let own = &text[node.byte_range()];
        let expands = matches!(node.kind(), "expansion" | "simple_expansion");
        let bare = matches!(node.kind(), "variable_name" | "word")
            && !above.last().is_some_and(|above| matches!(above.kind(), "expansion" | "simple_expansion"));
        let bare = bare && !own.starts_with(|c: char| c.is_ascii_digit());
        let name = if expands { expanded(node, text) } else { bare.then(|| own.to_owned()) };
        let Some(name) = name.filter(|name| !name.starts_with(lowered)) else { return };
        let Some(origin) = holds.get(&name) else { return };
        let why = if own.starts_with("${#") {
            None
        } else if own.starts_with("${!") {
            Some(Refused::Variable("${!…}".to_owned()))
        } else {
            judged(node, above, text, expands, keyed)
        };
        found.extend(why.map(|why| Carried { name, origin: origin.clone(), why, at: node.byte_range() }));
    });
    found
}

/// One step further: what is assigned from a variable that holds a value holds it too.
fn pass_on(root: Node<'_>, text: &str, holds: &mut BTreeMap<String, String>) {
    let functions: Vec<String> = tree_names(root, text);
    tree::walk(root, |node, above| {
        let from = || held(node, text, holds);
        let to: Vec<String> = match node.kind() {
            "variable_assignment" => {
                let name = node.child_by_field_name("name").map(|name| text[name.byte_range()].to_owned());
                name.map(|name| name.split('[').next().unwrap_or("").to_owned()).into_iter().collect()
            }
            "for_statement" => {
                let variable = node.child_by_field_name("variable");
                let lists = children(node).into_iter().filter(|child| child.kind() != "do_group");
                let listed = lists.filter_map(|child| held(child, text, holds)).next();
                let (Some(variable), Some(origin)) = (variable, listed) else { return };
                holds.entry(text[variable.byte_range()].to_owned()).or_insert(origin);
                return;
            }
            "herestring_redirect" => {
                let reader = above.last().into_iter().flat_map(|above| commands(*above, text)).next();
                let reader = reader.filter(|command| command.words[0].is("read"));
                let names = reader.into_iter().flat_map(|command| command.words.into_iter().skip(1));
                names.filter(|word| !word.is_option()).filter_map(|word| word.whole()).collect()
            }
            "command" => {
                let called = words(node, text).first().and_then(super::Word::whole);
                let takes = called.is_some_and(|name| name == "set" || functions.contains(&name));
                let places = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "@", "*"];
                if takes { places.map(str::to_owned).to_vec() } else { return }
            }
            _ => return,
        };
        if let Some(origin) = from() {
            for name in to {
                holds.entry(name).or_insert_with(|| origin.clone());
            }
        }
    });
}

fn tree_names(root: Node<'_>, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    tree::walk(root, |node, _| {
        let name = node.child_by_field_name("name").filter(|_| node.kind() == "function_definition");
        found.extend(name.map(|name| text[name.byte_range()].to_owned()));
    });
    found
}

/// Where a value that is expanded somewhere below came in.
fn held(node: Node<'_>, text: &str, holds: &BTreeMap<String, String>) -> Option<String> {
    let mut origin = None;
    tree::walk(node, |node, _| {
        if matches!(node.kind(), "expansion" | "simple_expansion") {
            let name = expanded(node, text);
            origin = origin.take().or_else(|| holds.get(&name?).cloned());
        }
    });
    origin
}

/// The variable of an expansion.
fn expanded(node: Node<'_>, text: &str) -> Option<String> {
    let rest = text[node.byte_range()].trim_start_matches(['$', '{', '!', '#']);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let name = if end == 0 { rest.get(..1)? } else { &rest[..end] };
    Some(name.to_owned())
}

/// What its surroundings make of a value, from the innermost on.
fn judged(node: Node<'_>, above: &[Node<'_>], text: &str, expands: bool, keyed: bool) -> Option<Refused> {
    for (depth, outer) in above.iter().enumerate().rev() {
        let below = above.get(depth + 1).copied().unwrap_or(node);
        let why = match outer.kind() {
            "command_substitution" | "process_substitution" => return None,
            "arithmetic_expansion" => Some(Refused::Calculated("$((…))")),
            "compound_statement" | "test_command" if opening(*outer) == "((" => {
                Some(Refused::Calculated("((…))"))
            }
            "c_style_for_statement" if !matches!(below.kind(), "do_group" | "compound_statement") => {
                Some(Refused::Calculated("for ((…))"))
            }
            "subscript" if !keyed && outer.child_by_field_name("name") != Some(below) => {
                Some(Refused::Calculated("the index of an array"))
            }
            "binary_expression" => compared(*outer, above, text),
            "unary_expression" => {
                let operator =
                    outer.child_by_field_name("operator").map_or("", |node| &text[node.byte_range()]);
                matches!(operator, "-v" | "-R").then(|| Refused::Variable(operator.to_owned()))
            }
            "command" | "declaration_command" | "unset_command" if expands => {
                in_command(*outer, below, node, text)
            }
            "pipeline" if expands => {
                // What stands in a here-document ends behind the command that it is piped into.
                let later =
                    children(*outer).into_iter().filter(|child| child.start_byte() > below.start_byte());
                later.filter_map(|child| reader(child, text)).next().map(Refused::Code)
            }
            "herestring_redirect" | "heredoc_redirect" if expands => {
                let statement = depth.checked_sub(1).map(|depth| above[depth]);
                let read = statement.and_then(|statement| reader(statement, text));
                read.or_else(|| piped_into(*outer, text)).map(Refused::Code)
            }
            _ => None,
        };
        if why.is_some() {
            return why;
        }
    }
    None
}

/// `[[ a -eq b ]]` calculates both.
fn compared(node: Node<'_>, above: &[Node<'_>], text: &str) -> Option<Refused> {
    let operator = node.child_by_field_name("operator").map_or("", |node| &text[node.byte_range()]);
    let calculates = matches!(operator, "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge");
    let test = above.iter().rev().find(|above| above.kind() == "test_command")?;
    (calculates && opening(*test) == "[[")
        .then_some(Refused::Calculated("[[ … ]] with a comparison of numbers"))
}

fn in_command(command: Node<'_>, below: Node<'_>, node: Node<'_>, text: &str) -> Option<Refused> {
    let words = words(command, text);
    if command.kind() == "declaration_command" {
        let calculates =
            words.iter().any(|word| word.start().starts_with('-') && word.start().contains(['i', 'n']));
        let assigns = below.kind() == "variable_assignment";
        return (calculates || !assigns).then(|| Refused::Variable(words[0].text()));
    }
    let at = words.iter().position(|word| word.range.contains(&node.start_byte()))?;
    hazards(&words).into_iter().filter(|(place, _)| *place == at).find_map(|(_, hazard)| match hazard {
        Hazard::Program => Some(Refused::Names("what is run")),
        Hazard::Code(name) => Some(Refused::Code(name)),
        Hazard::Name(name) if name != "test" || words[at - 1].is_one_of(&["-v", "-R"]) => {
            Some(Refused::Variable(name))
        }
        Hazard::Name(_) | Hazard::Option { .. } => None,
    })
}

fn reader(statement: Node<'_>, text: &str) -> Option<String> {
    commands(statement, text).iter().find_map(|command| reads_input(&command.words))
}
