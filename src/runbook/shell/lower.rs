//! Lowering: each `{{ }}` of a script becomes an environment variable, placed by what it stands in.
//!
//! A bare word becomes `"${CSG_1}"`, a piece of a text in double quotes `${CSG_1}`. bash expands a variable after it
//! has parsed the script and never parses what it found, so a value is one word, or a part of one, whatever is in it.
//! The script that is sent is constant; the values are in the environment of the child alone, rendered like those of
//! `env`. Where a value would be read once more, it is refused: as arithmetic or the name of a variable (a subscript
//! is code), as the name of a program, by a second shell or client, in a here-document; and where bash fills nothing
//! in: in single quotes and comments. The finished script is parsed again, and each variable must stand in it as a
//! quoted expansion, so a difference between two parses is an error here and not a surprise in bash.
//!
//! A value that begins with `-` is handed over as it is: only its program knows whether that is an option. For programs
//! whose options make them run or write something else (`ssh`, `tar`, `find`, `git` …) a value may therefore not begin
//! a word in front of `--`; for `rm` and its like `check` warns.

use std::ops::Range;

use tree_sitter::{Node, Tree};

use super::interpreter::steers;
use super::reader::{Hazard, hazards, is_operator, reads_input};
use super::refusal::{Refusal, Refused, VALUES};
use super::tree::{self, Reading, children, commands, opening, words};
use super::{SCRIPT_BYTES, Script};
use crate::runbook::template::{Braced, Expr, Template};

/// The names of the variables that values travel in begin with it; nothing else may.
pub const PREFIX: &str = "CSG_";

/// A script as bash gets it, and the variables that it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowered {
    pub text: String,
    /// By name; one per expression, however often it stands there.
    pub values: Vec<(String, Template)>,
    /// Where each variable stands in the text, and its value in the script as written.
    places: Vec<(Range<usize>, Range<usize>)>,
    /// Quotes that were put around each of them, on either side.
    quotes: Vec<usize>,
}

impl Lowered {
    /// A script as it is written.
    pub fn unchanged(script: &Script) -> Self {
        Self { text: script.source().to_owned(), values: Vec::new(), places: Vec::new(), quotes: Vec::new() }
    }

    /// Bytes of the text, as those of the script that was written.
    pub fn in_source(&self, range: &Range<usize>) -> Range<usize> {
        let written = |at: usize| {
            let before = self.places.partition_point(|(place, _)| place.end <= at);
            match (before.checked_sub(1).map(|before| &self.places[before]), self.places.get(before)) {
                // Within a variable: where its value begins.
                (_, Some((place, source))) if place.start <= at => source.start,
                (Some((place, source)), _) => {
                    source.end + (at - place.end).saturating_sub(self.quotes[before - 1])
                }
                (None, _) => at,
            }
        };
        let start = written(range.start);
        start..written(range.end).max(start)
    }

    /// Values that could pass for an option of a program, which is then a mishap: the program, and where.
    pub fn mishaps(&self, script: &Reading<'_>) -> Vec<(String, Range<usize>)> {
        let mut found = Vec::new();
        for command in &script.commands {
            for (at, hazard) in hazards(&command.words) {
                let word = &command.words[at].range;
                let place = self.places.iter().find(|(place, _)| word.contains(&place.start));
                if let (Hazard::Option { program, grave: false }, Some((place, source))) = (hazard, place)
                    && begins(word, &self.text, place.start)
                {
                    found.push((program, source.clone()));
                }
            }
        }
        found
    }
}

/// A lowered script that can be read.
pub struct Lowering {
    /// As it is written, where that is refused.
    pub lowered: Lowered,
    /// Every value that cannot be made safe.
    pub refused: Vec<Refusal>,
    tree: Option<Tree>,
}

impl Lowering {
    pub fn of(script: &Script) -> Self {
        match parsed(script) {
            Ok((lowered, tree)) => {
                let tree = tree.or_else(|| tree::parse(&lowered.text));
                Self { lowered, refused: Vec::new(), tree }
            }
            Err(refused) => {
                let lowered = Lowered::unchanged(script);
                let tree = tree::parse(&lowered.text);
                Self { lowered, refused, tree }
            }
        }
    }

    pub fn reading(&self) -> Reading<'_> {
        Reading::new(&self.lowered.text, self.tree.as_ref())
    }
}

/// Puts variables where the values are.
///
/// # Errors
/// Every value that cannot be made safe, with the reason.
pub fn lower(script: &Script) -> Result<Lowered, Vec<Refusal>> {
    parsed(script).map(|(lowered, _)| lowered)
}

/// With the tree of the result, where one was needed.
fn parsed(script: &Script) -> Result<(Lowered, Option<Tree>), Vec<Refusal>> {
    let template = script.template();
    if template.exprs().is_empty() {
        return Ok((Lowered::unchanged(script), None));
    }
    let mut marked = Marked::new(template);
    let all = |marked: &Marked<'_>, why: Refused| -> Vec<Refusal> {
        marked
            .places
            .iter()
            .map(|place| Refusal { at: place.source.clone(), why: why.clone() })
            .take(1)
            .collect()
    };
    if marked.places.len() > VALUES {
        return Err(all(&marked, Refused::TooMany));
    }
    if marked.text.len() > SCRIPT_BYTES {
        return Err(all(&marked, Refused::TooLong));
    }
    let Some(tree) = tree::parse(&marked.text) else { return Err(all(&marked, Refused::Unreadable)) };
    let mut refused = Vec::new();
    for place in &mut marked.places {
        match quoting(&tree::path(&tree, place.marked.clone())) {
            Ok(quoted) => place.quoted = quoted,
            Err(why) => refused.push(Refusal { at: place.source.clone(), why }),
        }
    }
    if refused.is_empty() && tree.root_node().has_error() {
        refused = all(&marked, Refused::Unreadable);
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let lowered = marked.lowered();
    proven(&lowered).map(|tree| (lowered, Some(tree)))
}

/// A script with a word in the place of each value.
struct Marked<'a> {
    text: String,
    places: Vec<Place<'a>>,
}

struct Place<'a> {
    expr: &'a Expr,
    /// In the script as written.
    source: Range<usize>,
    /// In the marked text.
    marked: Range<usize>,
    /// Within double quotes.
    quoted: bool,
}

impl<'a> Marked<'a> {
    fn new(template: &'a Template) -> Self {
        let source = template.source();
        // A word that the script does not hold; letters and digits, so that it joins what stands beside it.
        let mark = (0..).map(|n| format!("Csg{n}V")).find(|mark| !source.contains(mark.as_str()));
        let mark = mark.unwrap_or_default();
        let mut out = Self { text: String::new(), places: Vec::new() };
        let mut from = 0;
        for (number, Braced { expr, at }) in template.exprs().iter().enumerate() {
            out.text.push_str(&source[from..at.start]);
            let start = out.text.len();
            out.text.push_str(&format!("{mark}{number:05}Z"));
            let marked = start..out.text.len();
            out.places.push(Place { expr, source: at.clone(), marked, quoted: false });
            from = at.end;
        }
        out.text.push_str(&source[from..]);
        out
    }

    fn lowered(&self) -> Lowered {
        let mut out =
            Lowered { text: String::new(), values: Vec::new(), places: Vec::new(), quotes: Vec::new() };
        let mut from = 0;
        for place in &self.places {
            out.text.push_str(&self.text[from..place.marked.start]);
            let braced = Template::of(place.expr);
            let known = out.values.iter().position(|(_, value)| *value == braced);
            let number = known.unwrap_or(out.values.len()) + 1;
            if known.is_none() {
                out.values.push((format!("{PREFIX}{number}"), braced));
            }
            let quote = if place.quoted { "" } else { "\"" };
            let start = out.text.len() + quote.len();
            out.text.push_str(&format!("{quote}${{{PREFIX}{number}}}{quote}"));
            out.places.push((start..out.text.len() - quote.len(), place.source.clone()));
            out.quotes.push(quote.len());
            from = place.marked.end;
        }
        out.text.push_str(&self.text[from..]);
        out
    }
}

/// Whether a word that stands there is within double quotes.
fn quoting(path: &[Node<'_>]) -> Result<bool, Refused> {
    for node in path {
        if let Some(why) = forbidden(node) {
            return Err(why);
        }
    }
    let named = |pair: &[Node<'_>]| {
        pair[0].kind() == "function_definition" && pair[0].child_by_field_name("name") == Some(pair[1])
    };
    if path.windows(2).any(named) {
        return Err(Refused::Names("a function"));
    }
    for node in path.iter().rev() {
        match node.kind() {
            "string" => return Ok(true),
            "command_substitution" | "process_substitution" | "program" => return Ok(false),
            _ => {}
        }
    }
    Ok(false)
}

/// Kinds of syntax in which nothing may be filled in, however deep it stands below them.
fn forbidden(node: &Node<'_>) -> Option<Refused> {
    Some(match node.kind() {
        "raw_string" => Refused::Literal("single quotes"),
        "ansi_c_string" | "translated_string" => Refused::Literal("$'…' and $\"…\""),
        "comment" => Refused::Literal("a comment"),
        "heredoc_body" | "heredoc_content" | "heredoc_start" | "heredoc_end" => {
            Refused::Place("a here-document")
        }
        "arithmetic_expansion" => Refused::Calculated("$((…))"),
        "compound_statement" | "test_command" if opening(*node) == "((" => Refused::Calculated("((…))"),
        "subscript" => Refused::Calculated("the index of an array"),
        "expansion" => Refused::Place("${…}"),
        "simple_expansion" | "variable_name" | "special_variable_name" => Refused::Names("a variable"),
        "command_substitution" if opening(*node) == "`" => Refused::Place("backquotes"),
        "regex" | "brace_expression" | "file_descriptor" => Refused::Place("a pattern"),
        _ => return None,
    })
}

/// Whether each variable of the finished script is a quoted expansion in a place where a value stays one.
fn proven(lowered: &Lowered) -> Result<Tree, Vec<Refusal>> {
    let places = &lowered.places;
    let doubtful = |source: &Range<usize>| Refusal { at: source.clone(), why: Refused::Doubtful };
    if lowered.text.len() > SCRIPT_BYTES {
        return Err(places
            .iter()
            .take(1)
            .map(|(_, at)| Refusal { at: at.clone(), why: Refused::TooLong })
            .collect());
    }
    let tree = tree::parse(&lowered.text).filter(|tree| !tree.root_node().has_error());
    let Some(tree) = tree else {
        return Err(places.iter().map(|(_, source)| doubtful(source)).take(1).collect());
    };
    let script = Finished {
        text: &lowered.text,
        feeds_code: feeds_code(tree.root_node(), &lowered.text),
        declared: declared(tree.root_node(), &lowered.text),
    };
    let mut refused = Vec::new();
    for (at, source) in places {
        let mut path = tree::path(&tree, at.clone());
        // Down to the name within the expansion, where the range of both is not the same.
        while path.last().is_some_and(|node| node.kind() != "expansion") && path.len() > 1 {
            path.pop();
        }
        let whole = path.pop().filter(|node| node.byte_range() == *at);
        // `$"…"` is a text to be translated, and its `$` stands outside of the string.
        let quoted =
            |node: &Node<'_>| node.kind() == "string" && !lowered.text[..node.start_byte()].ends_with('$');
        if whole.is_none() || !path.last().is_some_and(quoted) {
            refused.push(doubtful(source));
            continue;
        }
        if let Err(why) = script.stays_a_value(&path, at.start) {
            refused.push(Refusal { at: source.clone(), why });
        }
    }
    if refused.is_empty() { Ok(tree) } else { Err(refused) }
}

/// A process substitution that is written to, and reads what it gets as code.
fn feeds_code(root: Node<'_>, text: &str) -> Option<String> {
    let mut found = None;
    if !text.contains(">(") {
        return found;
    }
    tree::walk(root, |node, _| {
        if node.kind() == "process_substitution" && opening(node) == ">(" {
            let reader = commands(node, text).iter().find_map(|command| reads_input(&command.words));
            found = found.take().or(reader);
        }
    });
    found
}

/// Variables that calculate what they are given, or stand for others.
fn declared(root: Node<'_>, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let words = ["declare", "typeset", "export", "readonly", "local"];
    if !words.iter().any(|word| text.contains(word)) {
        return found;
    }
    for command in commands(root, text).iter().filter(|command| command.node.kind() == "declaration_command")
    {
        let flags = |word: &&super::word::Word| {
            let start = word.start();
            start.starts_with(['-', '+']) && start.contains(['i', 'n', 'a', 'A'])
        };
        if command.words.iter().any(|word| flags(&word)) {
            found.extend(
                command.words.iter().map(|word| word.text().split('=').next().unwrap_or("").to_owned()),
            );
        }
    }
    found
}

/// A finished script, while its variables are judged.
struct Finished<'a> {
    text: &'a str,
    feeds_code: Option<String>,
    declared: Vec<String>,
}

impl Finished<'_> {
    /// `path` leads to the string around the variable that begins at `at`.
    fn stays_a_value(&self, path: &[Node<'_>], at: usize) -> Result<(), Refused> {
        if let Some(name) = &self.feeds_code {
            return Err(Refused::Code(name.clone()));
        }
        for (depth, node) in path.iter().enumerate() {
            if let Some(why) = forbidden(node) {
                return Err(why);
            }
            let below = path.get(depth + 1).copied();
            match node.kind() {
                "command" | "declaration_command" | "unset_command" => self.in_command(*node, below, at)?,
                "variable_assignment" => self.in_assignment(*node, path.get(depth.wrapping_sub(1)))?,
                "file_redirect" => self.in_redirect(*node, below, path.get(depth.wrapping_sub(1)), at)?,
                "herestring_redirect" => self.read_by(path.get(depth.wrapping_sub(1)).copied())?,
                "pipeline" => self.in_pipeline(*node, below)?,
                "test_command" => in_test(*node, self.text)?,
                // `([{{ value }}]=1)`, also with spaces: an index, though the grammar sees words.
                "array" => {
                    let before = &self.text[node.start_byte()..at];
                    if before.rfind('[') > before.rfind(']') {
                        return Err(Refused::Calculated("the index of an array"));
                    }
                }
                "c_style_for_statement"
                    if below
                        .is_none_or(|below| !matches!(below.kind(), "do_group" | "compound_statement")) =>
                {
                    return Err(Refused::Calculated("for ((…))"));
                }
                "extglob_pattern" => return Err(Refused::Place("a pattern")),
                _ => {}
            }
        }
        Ok(())
    }

    fn in_command(&self, node: Node<'_>, below: Option<Node<'_>>, at: usize) -> Result<(), Refused> {
        let words = words(node, self.text);
        let Some(word) = words.iter().position(|word| word.range.contains(&at)) else {
            // An assignment in front of the program, or a redirection: judged as such.
            return Ok(());
        };
        let begins = begins(&words[word].range, self.text, at);
        if node.kind() == "declaration_command"
            && below.is_some_and(|below| below.kind() == "variable_assignment")
        {
            let plain = self.text[node.byte_range()].starts_with("export")
                && !words.iter().any(super::Word::is_option);
            return if plain { Ok(()) } else { Err(Refused::Variable("declare".to_owned())) };
        }
        for (place, hazard) in hazards(&words) {
            if place != word {
                continue;
            }
            match hazard {
                Hazard::Program => return Err(Refused::Names("what is run")),
                Hazard::Code(name) => return Err(Refused::Code(name)),
                Hazard::Name(name) => return Err(Refused::Variable(name)),
                Hazard::Option { program, grave: true } if begins => return Err(Refused::Option(program)),
                Hazard::Option { .. } => {}
            }
        }
        match node.kind() {
            "command" => Ok(()),
            _ => Err(Refused::Variable(words[0].text())),
        }
    }

    fn in_assignment(&self, node: Node<'_>, above: Option<&Node<'_>>) -> Result<(), Refused> {
        let name = node.child_by_field_name("name").map_or("", |name| &self.text[name.byte_range()]);
        let name = name.split('[').next().unwrap_or(name);
        if above.is_some_and(|above| above.kind() == "c_style_for_statement") {
            return Err(Refused::Calculated("for ((…))"));
        }
        if self.declared.iter().any(|declared| declared == name) {
            return Err(Refused::Variable("declare".to_owned()));
        }
        if steers(name) {
            return Err(Refused::Names("what is run"));
        }
        Ok(())
    }

    fn in_redirect(
        &self,
        node: Node<'_>,
        below: Option<Node<'_>>,
        above: Option<&Node<'_>>,
        at: usize,
    ) -> Result<(), Refused> {
        let Some(below) = below else { return Err(Refused::Doubtful) };
        if below.kind() == "process_substitution" {
            return self.read_by(above.copied());
        }
        let operator =
            children(node).into_iter().find(|child| !child.is_named()).map_or("", |child| child.kind());
        if node.child_by_field_name("destination") != Some(below) || operator.ends_with('&') {
            // Words behind a redirection belong to the command; they are not looked for here.
            return Err(Refused::Place("a redirection"));
        }
        let before = self.text[below.start_byte()..at].trim_matches(['"', '\'']);
        let net = ["/dev/tcp/", "/dev/udp/"];
        if before.is_empty() || net.iter().any(|net| net.starts_with(before) || before.starts_with(net)) {
            return Err(Refused::Opened);
        }
        Ok(())
    }

    fn in_pipeline(&self, node: Node<'_>, below: Option<Node<'_>>) -> Result<(), Refused> {
        let from = below.map_or(0, |below| below.end_byte());
        for later in children(node).into_iter().filter(|child| child.start_byte() >= from) {
            self.read_by(Some(later))?;
        }
        Ok(())
    }

    /// What a statement gets on its standard input must not be code to it.
    fn read_by(&self, statement: Option<Node<'_>>) -> Result<(), Refused> {
        let Some(statement) = statement else { return Err(Refused::Doubtful) };
        match commands(statement, self.text).iter().find_map(|command| reads_input(&command.words)) {
            Some(name) => Err(Refused::Code(name)),
            None => Ok(()),
        }
    }
}

/// Whether nothing that is sure to be there stands between the beginning of a word and what is filled in.
fn begins(word: &Range<usize>, text: &str, at: usize) -> bool {
    let before = &text[word.start..at];
    before.chars().all(|c| matches!(c, '"' | '\'' | '{' | '}'))
        || before.starts_with('$')
        || before.starts_with("\"$")
}

/// `[ … ]` takes its operators from its words, `[[ … ]]` calculates some of its operands.
fn in_test(node: Node<'_>, text: &str) -> Result<(), Refused> {
    let simple = opening(node) == "[";
    let mut wrong = None;
    let mut expressions = 0;
    for child in children(node).into_iter().skip(1) {
        tree::walk(child, |node, above| {
            // What stands inside a substitution is a script of its own.
            if above.iter().any(|above| above.kind().ends_with("_substitution")) {
                return;
            }
            let operator = node.child_by_field_name("operator").map_or("", |node| &text[node.byte_range()]);
            match node.kind() {
                "binary_expression" => {
                    expressions += 1;
                    let calculates = matches!(operator, "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge");
                    if calculates && !simple {
                        wrong = Some(Refused::Calculated("[[ … ]] with a comparison of numbers"));
                    } else if simple && !is_operator(operator) {
                        wrong = Some(Refused::Place("[ … ] with several conditions: write [[ … ]]"));
                    }
                }
                "unary_expression" if operator == "-v" || operator == "-R" => {
                    wrong = Some(Refused::Variable(operator.to_owned()));
                }
                "unary_expression" if operator != "!" => expressions += 1,
                _ => {}
            }
        });
    }
    if simple && expressions > 1 {
        wrong = Some(Refused::Place("[ … ] with several conditions: write [[ … ]]"));
    }
    wrong.map_or(Ok(()), Err)
}
