//! Values that a script carries on in variables of its own, to where bash or another reader would take them as code:
//! `n={{ inputs.n }}; echo $((n + 1))` runs what stands in `n`.
//!
//! Follows assignments, lists of `for`, `read <<<`, `set --` and calls of functions. What a program prints is its own:
//! a value is not followed through `$( )` into arithmetic. Meant to catch the honest script, as the table of readers is.

use std::collections::BTreeMap;
use std::ops::Range;

use tree_sitter::Node;

use super::reader::{Hazard, SHELLS, hazards, piped_into, reads_input};
use super::refusal::Refused;
use super::tree::{self, Reading, children, commands, opening, words};
use super::word::Word;

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

/// Scripts within scripts that values are followed into.
const SCRIPTS: usize = 64;

/// What holds a value, by name, each with where that came in.
type Holds = BTreeMap<String, String>;

/// Where the values of `origins`, and of what is assigned from them, are taken as code. What the variables of `{{ }}`
/// themselves stand in is judged by lowering.
pub fn carried(script: &Reading<'_>, origins: &[String], lowered: &str) -> Vec<Carried> {
    if origins.is_empty() {
        return Vec::new();
    }
    let holds = origins.iter().map(|name| (name.clone(), name.clone())).collect();
    let (mut found, holds) = followed(script, holds, lowered);
    let inner =
        script.commands.iter().flat_map(|command| handed_on(&command.words, &held_by(&holds), &holds));
    found.extend(within(inner.collect(), lowered));
    found
}

/// The same of a program's arguments, some of which hold a value: their number, and what they came in by.
pub fn carried_by(words: &[Word], values: &BTreeMap<usize, String>, env: &[String]) -> Vec<Carried> {
    if values.is_empty() && env.is_empty() {
        return Vec::new();
    }
    let holds = env.iter().map(|name| (name.clone(), name.clone())).collect();
    let numbered: Vec<Word> =
        words.iter().enumerate().map(|(at, word)| Word { range: at..at + 1, ..word.clone() }).collect();
    let value = |word: &Word| values.get(&word.range.start).cloned();
    within(handed_on(&numbered, &value, &holds), super::PREFIX)
}

/// A script that a second shell is given with arguments of its own.
struct Inner {
    text: String,
    holds: Holds,
    /// Its bytes in the script that it stands in.
    at: Range<usize>,
}

/// Follows values into scripts that are handed on, as they are written.
fn within(open: Vec<Inner>, lowered: &str) -> Vec<Carried> {
    let (mut found, mut open, mut read) = (Vec::new(), open, 0);
    while let Some(Inner { text, holds, at }) = open.pop().filter(|_| read < SCRIPTS) {
        read += 1;
        let tree = tree::parse(&text);
        let script = Reading::new(&text, tree.as_ref());
        let (inside, holds) = followed(&script, holds, lowered);
        found.extend(inside.into_iter().map(|carried| Carried { at: at.clone(), ..carried }));
        let value = held_by(&holds);
        let inner = script.commands.iter().flat_map(|command| handed_on(&command.words, &value, &holds));
        open.extend(inner.map(|inner| Inner { at: at.clone(), ..inner }));
    }
    found
}

/// Where the value that a word expands to came in.
fn held_by(holds: &Holds) -> impl Fn(&Word) -> Option<String> {
    |word| word.names().find_map(|name| holds.get(name).cloned())
}

/// The scripts that the words of a command hand to a second shell. It knows variables by their name, and its arguments.
fn handed_on(words: &[Word], value: &dyn Fn(&Word) -> Option<String>, holds: &Holds) -> Vec<Inner> {
    let mut out = Vec::new();
    for (at, hazard) in hazards(words) {
        let Hazard::Code(reader) = hazard else { continue };
        let is_shell = SHELLS.contains(&reader.as_str());
        let same = ["eval", "trap", "su", "runuser", "script", "flock", "watch"].contains(&reader.as_str());
        let Some(text) = words[at].whole().filter(|_| is_shell || same) else { continue };
        let named =
            holds.iter().filter(|(name, _)| !name.starts_with(|c: char| !c.is_alphabetic() && c != '_'));
        let mut known: Holds = named.map(|(name, origin)| (name.clone(), origin.clone())).collect();
        // `env NAME=value sh -c …`
        for word in &words[..at] {
            let name = word.start().split_once('=').map(|(name, _)| name.to_owned());
            known.extend(name.zip(value(word)));
        }
        for (number, word) in words[at + 1..].iter().enumerate().filter(|_| is_shell) {
            if let Some(origin) = value(word) {
                known.insert(number.to_string(), origin.clone());
                // `$0` is none of them.
                if number > 0 {
                    known.extend(["@", "*"].map(|all| (all.to_owned(), origin.clone())));
                }
            }
        }
        if !known.is_empty() {
            out.push(Inner { text, holds: known, at: words[at].range.clone() });
        }
    }
    out
}

/// Where values are taken as code in a script, and what holds one in the end.
fn followed(script: &Reading<'_>, mut holds: Holds, lowered: &str) -> (Vec<Carried>, Holds) {
    let (text, Some(root)) = (script.text, script.root) else { return (Vec::new(), holds) };
    for _ in 0..ROUNDS {
        let before = holds.len();
        pass_on(root, text, &mut holds);
        if holds.len() == before {
            break;
        }
    }
    // Lowering judges its own variables.
    if holds.keys().all(|name| name.starts_with(lowered)) {
        return (Vec::new(), holds);
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
            // `"$@"` runs what stands first in it.
            let first = !["@", "*"].contains(&name.as_str()) || holds.contains_key("1");
            judged(node, above, text, expands, keyed)
                .filter(|why| first || *why != Refused::Names("what is run"))
        };
        found.extend(why.map(|why| Carried { name, origin: origin.clone(), why, at: node.byte_range() }));
    });
    (found, holds)
}

/// One step further: what is assigned from a variable that holds a value holds it too.
fn pass_on(root: Node<'_>, text: &str, holds: &mut Holds) {
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
                let called = words(node, text).first().and_then(Word::whole);
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
fn held(node: Node<'_>, text: &str, holds: &Holds) -> Option<String> {
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
