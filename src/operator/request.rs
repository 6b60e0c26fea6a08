//! How a request looks: to whoever approves it, and to whoever plans it.
//!
//! Pure: an action in, lines out. Every text from outside is made harmless, and a literal that imitates a reference
//! (`<secret …>`) is marked, so that what is read is what is sent.

pub use super::screen::harmless;
use crate::plan::{Action, Auth, Body, Notice, Program, ProgramCall, ShellCall};
use crate::runbook::template::{Rendered, Segment, Tree};

/// The lines of a request, each begun by `indent` and as far as words allow no wider than `width`.
pub fn lines(action: &Action<Rendered>, indent: &str, width: usize) -> Vec<String> {
    let mut lines = Lines { indent, width, out: Vec::new() };
    lines.action(action);
    lines.out
}

struct Lines<'a> {
    indent: &'a str,
    width: usize,
    out: Vec<String>,
}

impl Lines<'_> {
    fn action(&mut self, action: &Action<Rendered>) {
        match action {
            Action::Http(call) => {
                self.hanging(&format!("{} {}", harmless(&call.method), plain(&call.url)));
                let authorization = match &call.auth {
                    Auth::None => None,
                    Auth::Bearer(name) => Some(format!("Authorization: Bearer <secret {name}>")),
                    Auth::Basic(user, name) => {
                        Some(format!("Authorization: Basic {}:<secret {name}>", plain(user)))
                    }
                    Auth::Header(header, name) => Some(format!("{}: <secret {name}>", harmless(header))),
                };
                self.pairs("?", " = ", &call.query);
                if let Some(line) = authorization {
                    self.hanging(&line);
                }
                self.pairs("", ": ", &call.headers);
                self.body(&call.body);
            }
            Action::Shell(call) => self.script(call),
            Action::Argv(call) => self.program(call),
            Action::Remote(call) => {
                let reach = call.reach.as_ref().map(|reach| format!(" ({})", harmless(&reach.shown())));
                self.hanging(&format!("@ {}{}", plain(&call.host), reach.unwrap_or_default()));
                match &call.program {
                    Program::Shell(call) => self.script(call),
                    Program::Argv(call) => self.program(call),
                }
            }
            Action::Notify(notice) => self.notice(notice),
        }
    }

    fn notice(&mut self, notice: &Notice<Rendered>) {
        for recipient in &notice.to {
            let over: Vec<String> =
                recipient.channels.iter().map(|channel| harmless(&channel.shown())).collect();
            self.hanging(&format!("to {}: {}", harmless(&recipient.name), over.join(", ")));
        }
        if notice.first && notice.to.len() > 1 {
            self.hanging("(only the first of them who can be reached)");
        }
        for (lang, subject, text) in notice.pages() {
            self.hanging(&format!("[{lang}] {}", plain(subject)));
            plain(text).lines().for_each(|line| self.literal(&format!("| {line}")));
        }
    }

    fn script(&mut self, call: &ShellCall<Rendered>) {
        for line in harmless(&call.script).trim_end().lines() {
            self.literal(&format!("$ {line}"));
        }
        self.around(&call.env, call.cwd.as_ref());
    }

    fn program(&mut self, call: &ProgramCall<Rendered>) {
        let words: Vec<String> = call.argv.iter().map(argument).collect();
        self.hanging(&words.join(" "));
        self.around(&call.env, call.cwd.as_ref());
    }

    fn around(&mut self, env: &[(String, Rendered)], cwd: Option<&Rendered>) {
        self.pairs("", "=", env);
        if let Some(cwd) = cwd {
            self.hanging(&format!("(cwd {})", plain(cwd)));
        }
    }

    fn pairs(&mut self, before: &str, between: &str, pairs: &[(String, Rendered)]) {
        for (name, value) in pairs {
            self.hanging(&format!("{before}{}{between}{}", harmless(name), plain(value)));
        }
    }

    fn body(&mut self, body: &Body<Rendered>) {
        match body {
            Body::None => {}
            Body::Json(tree) => json(tree, 0).lines().for_each(|line| self.hanging(line)),
            Body::Form(fields) => self.pairs("  ", " = ", fields),
            Body::Text(text) => plain(text).lines().for_each(|line| self.literal(&format!("| {line}"))),
            Body::File(path) => self.hanging(&format!("< {}", plain(path))),
        }
    }

    /// A line that is never broken.
    fn literal(&mut self, line: &str) {
        self.out.push(format!("{}{line}", self.indent));
    }

    /// A text whose continuation lines stand further in.
    fn hanging(&mut self, text: &str) {
        let deeper = format!("{}    ", self.indent);
        let options =
            textwrap::Options::new(self.width).initial_indent(self.indent).subsequent_indent(&deeper);
        self.out.extend(textwrap::wrap(text, options).iter().map(|line| line.trim_end().to_owned()));
    }
}

/// A reference as it is read, or a literal that cannot pass for one.
fn segment(segment: &Segment) -> String {
    match segment {
        Segment::Text(text) => {
            let marked = ["<secret ", "<decided later", "<run.work>"];
            marked.iter().fold(harmless(text), |text, mark| text.replace(mark, &format!("\\{mark}")))
        }
        Segment::Secret(name) => format!("<secret {}>", harmless(name)),
        Segment::Later(expr) => format!("<decided later by {}>", harmless(expr)),
        Segment::Work => "<run.work>".to_owned(),
    }
}

/// A text with its references, on the lines that it has.
pub fn plain(text: &Rendered) -> String {
    text.segments().iter().map(segment).collect()
}

/// An argument as a shell would take it, so that its borders are seen.
fn argument(text: &Rendered) -> String {
    match text.as_plain() {
        Some(text) => segment(&Segment::Text(shell_words::quote(text).into_owned())),
        None => format!("\"{}\"", plain(text)),
    }
}

/// JSON over several lines; a text that is one reference stands without quotes.
fn json(tree: &Tree<Rendered>, depth: usize) -> String {
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    match tree {
        Tree::Null => "null".to_owned(),
        Tree::Bool(yes) => yes.to_string(),
        Tree::Number(number) => number.clone(),
        Tree::Text(text) => match text.segments() {
            [Segment::Secret(_) | Segment::Later(_)] => plain(text),
            segments => {
                let parts = segments.iter().map(|part| match part {
                    Segment::Text(literal) => {
                        let quoted = serde_json::Value::from(literal.as_str()).to_string();
                        segment(&Segment::Text(quoted[1..quoted.len() - 1].to_owned()))
                    }
                    reference => segment(reference),
                });
                format!("\"{}\"", parts.collect::<String>())
            }
        },
        Tree::List(list) if list.is_empty() => "[]".to_owned(),
        Tree::Map(map) if map.is_empty() => "{}".to_owned(),
        Tree::List(list) => {
            let items: Vec<String> =
                list.iter().map(|item| format!("{inner}{}", json(item, depth + 1))).collect();
            format!("[\n{}\n{outer}]", items.join(",\n"))
        }
        Tree::Map(map) => {
            let entry = |(name, value): &(String, Tree<Rendered>)| {
                let name = harmless(&serde_json::Value::from(name.as_str()).to_string());
                format!("{inner}{name}: {}", json(value, depth + 1))
            };
            let entries: Vec<String> = map.iter().map(entry).collect();
            format!("{{\n{}\n{outer}}}", entries.join(",\n"))
        }
    }
}
