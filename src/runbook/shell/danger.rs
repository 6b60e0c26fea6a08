//! What a script or a program would remove or change, as far as its text shows.
//!
//! Owns the table of dangerous commands. It is asked of every command that can be seen: in pipelines, behind wrappers,
//! in the text that a second shell or a database client gets. Meant to catch the forgotten declaration, not the
//! determined author. A script that cannot be read is judged by its words alone.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use tree_sitter::Node;

use super::git;
use super::reader::{Hazard, SHELLS, WORDS, hazards, piped_into, reads_input};
use super::scratch::Scratch;
use super::statement;
use super::tree::{self, Command, Reading};
use super::word::Word;
use super::wrapper::{is_repeated, past_options, programs};
use super::{verb, writer};

/// How much a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It changes something: never a read.
    Changes,
    /// It removes something, or takes it out of service.
    Removes,
}

/// A command that does something to the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Danger {
    pub level: Level,
    /// The command, and what it does: `` `kubectl delete` ``.
    pub what: String,
    /// Its bytes in the script; nothing for a program without a shell.
    pub range: Range<usize>,
}

/// What hands a script on, besides shells.
const RUNS: [&str; 20] = [
    "ssh", "eval", "su", "runuser", "flock", "trap", "watch", "env", "script", "parallel", "tmux", "screen",
    "gcloud", "az", "fly", "flyctl", "ansible", "salt", "heroku", "socat",
];

/// Scripts within scripts that are looked at.
const SCRIPTS: usize = 64;

/// Everything that a script visibly does.
pub fn in_script(script: &Reading<'_>, scratch: &Scratch) -> Vec<Danger> {
    let mut look = Look::new(scratch);
    look.script(script);
    let mut found = std::mem::take(&mut look.found);
    let mut open: VecDeque<_> = look.handed_on().collect();
    let mut read = 1;
    while let Some((text, place, known)) = open.pop_front() {
        read += 1;
        let tree = tree::parse(&text);
        let mut look = Look::new(&known);
        look.script(&Reading::new(&text, tree.as_ref()));
        let dangers = std::mem::take(&mut look.found);
        found.extend(dangers.into_iter().map(|danger| Danger { range: place.clone(), ..danger }));
        if read < SCRIPTS {
            open.extend(look.handed_on().map(|(text, _, known)| (text, place.clone(), known)));
        }
    }
    found.dedup();
    found
}

/// Everything that a program with its arguments visibly does.
pub fn in_argv(words: &[Word], scratch: &Scratch) -> Vec<Danger> {
    let mut look = Look::new(scratch);
    look.command(words, 0..0, true);
    let inner = std::mem::take(&mut look.inner);
    let within = inner.into_iter().flat_map(|(text, _)| {
        let tree = tree::parse(&text);
        in_script(&Reading::new(&text, tree.as_ref()), scratch)
    });
    look.found.extend(within.map(|danger| Danger { range: 0..0, ..danger }));
    look.found
}

struct Look {
    found: Vec<Danger>,
    /// Scripts for second shells, and what stands for them in this one.
    inner: Vec<(String, Range<usize>)>,
    scratch: Scratch,
}

impl Look {
    fn new(scratch: &Scratch) -> Self {
        Self { found: Vec::new(), inner: Vec::new(), scratch: scratch.clone() }
    }

    /// What second shells get, with what they know of their files.
    fn handed_on(self) -> impl Iterator<Item = (String, Range<usize>, Scratch)> {
        let known = self.scratch.outside();
        self.inner.into_iter().map(move |(text, place)| (text, place, known.clone()))
    }

    fn script(&mut self, script: &Reading<'_>) {
        let (text, Some(root)) = (script.text, script.root) else { return self.raw(script.text) };
        self.scratch = self.scratch.within(root, text, &script.commands);
        for Command { node, words, feeds } in &script.commands {
            let heard =
                !matches!(words[0].program().as_deref(), Some("echo" | "printf" | "grep" | "egrep" | "cat"));
            self.command(words, node.byte_range(), heard || *feeds);
        }
        tree::walk(root, |node, above| match node.kind() {
            "file_redirect" => self.redirect(node, text),
            "heredoc_body" | "herestring_redirect" => self.handed(node, above, text),
            _ => {}
        });
        if root.has_error() {
            self.raw(text);
        }
    }

    /// What stands in a text that is handed to a command.
    fn handed(&mut self, node: Node<'_>, above: &[Node<'_>], text: &str) {
        let own = &text[node.byte_range()];
        let taker = |above: &&&Node<'_>| matches!(above.kind(), "redirected_statement" | "command");
        let statement = above.iter().rev().find(|above| taker(&above)).copied();
        let Some(statement) = statement else { return };
        let commands = tree::commands(statement, text);
        let document = above.iter().rev().find(|above| above.kind() == "heredoc_redirect");
        let reader = commands.iter().find_map(|command| reads_input(&command.words));
        let reader = reader.or_else(|| document.and_then(|document| piped_into(*document, text)));
        if let Some(name) = reader.as_ref().filter(|name| statement::is_read(name)) {
            self.code(name, own, &node.byte_range());
        }
        if reader.is_some_and(|name| {
            SHELLS.contains(&name.as_str()) || ["ssh", "at", "batch"].contains(&name.as_str())
        }) {
            self.inner.push((
                own.trim_start_matches("<<<").trim().trim_matches(['"', '\'']).to_owned(),
                node.byte_range(),
            ));
        } else if commands.iter().any(|command| !command.words[0].is_one_of(&["cat", "tee", "grep"])) {
            self.statements(own, node.byte_range());
        }
    }

    fn redirect(&mut self, node: Node<'_>, text: &str) {
        const WRITES: [&str; 6] = [">", ">|", "&>", ">>", "&>>", ">&"];
        let sign = tree::children(node).into_iter().find(|child| WRITES.contains(&child.kind()));
        let Some((sign, target)) = sign.zip(node.child_by_field_name("destination")) else { return };
        let word = Word::of(target, text);
        let stream = sign.kind() == ">&" && word.text().chars().all(|c| c.is_ascii_digit() || c == '-');
        if !stream && !self.scratch.has(&word, node.start_byte()) {
            let (sign, name) = (sign.kind(), &text[target.byte_range()]);
            self.say(Level::Changes, format!("`{sign} {name}` writes that file"), node.byte_range());
        }
    }

    fn command(&mut self, words: &[Word], range: Range<usize>, heard: bool) {
        let words = &words[..words.len().min(WORDS)];
        for at in programs(words) {
            if let Some((level, what)) = program(words, at, &self.scratch, range.start) {
                self.say(level, what, range.clone());
            }
        }
        let mut told = BTreeSet::new();
        for (at, hazard) in hazards(words) {
            let Hazard::Code(reader) = hazard else { continue };
            if statement::is_read(&reader) {
                // What stands behind its code are its arguments.
                if told.insert(reader.clone()) {
                    self.code(&reader, &words[at].text(), &range);
                }
                continue;
            }
            let script = match reader.as_str() {
                "ssh" | "eval" | "parallel" | "heroku" | "salt" | "tmux" | "screen" => {
                    words[at..].iter().map(Word::text).collect::<Vec<_>>().join(" ")
                }
                // This shell runs it, with the variables that it has.
                "trap" => words[at].as_script(),
                _ => words[at].text(),
            };
            if SHELLS.contains(&reader.as_str()) || RUNS.contains(&reader.as_str()) {
                let joined = script
                    .strip_prefix("--")
                    .and_then(|rest| rest.split_once('='))
                    .map(|(_, code)| code.to_owned());
                self.inner.push((joined.unwrap_or(script), range.clone()));
            }
        }
        if heard {
            let text = words.iter().map(Word::text).collect::<Vec<_>>().join(" ");
            self.statements(&text, range);
        }
    }

    /// What database clients are told.
    fn statements(&mut self, text: &str, range: Range<usize>) {
        for (level, what) in statement::statements(text) {
            self.say(level, what, range.clone());
        }
    }

    /// What an interpreter is given.
    fn code(&mut self, name: &str, text: &str, range: &Range<usize>) {
        for (level, what) in statement::of_code(name, text) {
            self.say(level, what, range.clone());
        }
        self.inner.extend(statement::commands_of(name, text).into_iter().map(|text| (text, range.clone())));
    }

    /// A script that cannot be read: its lines, cut where commands may begin.
    fn raw(&mut self, text: &str) {
        let mut from = 0;
        for line in text.split_inclusive(['\n', ';', '|', '&', '(', ')', '`', '{', '}']) {
            let bare = line.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && !"/-_.*\"'".contains(c));
            let words: Vec<Word> = bare
                .split_whitespace()
                .map(|word| Word::literal(word.trim_matches(['"', '\''])))
                .skip_while(|word| word.is_one_of(&["if", "then", "else", "do", "while", "until", "$"]))
                .take(1_000)
                .collect();
            if !words.is_empty() {
                for at in programs(&words) {
                    if let Some((level, what)) = program(&words, at, &self.scratch, from) {
                        self.say(level, what, from..from + bare.len());
                    }
                }
                self.statements(bare, from..from + bare.len());
            }
            from += line.len();
        }
    }

    fn say(&mut self, level: Level, what: String, range: Range<usize>) {
        let danger = Danger { level, what, range };
        if !self.found.contains(&danger) {
            self.found.push(danger);
        }
    }
}

/// A file of the machine, and not one beside the runbook.
fn overwrites(word: &Word, scratch: &Scratch, place: usize) -> bool {
    word.start().starts_with('/') && !scratch.has(word, place)
}

/// What the program at that place does with the words behind it.
fn program(words: &[Word], at: usize, scratch: &Scratch, place: usize) -> Option<(Level, String)> {
    let name = words[at].program()?;
    let behind = &words[at + 1..];
    let end = behind.iter().position(|word| word.is_one_of(&[";", "+"])).unwrap_or(behind.len());
    let rest = &behind[..end];
    let removes = |what: &str| {
        Some((Level::Removes, format!("`{name}{}{what}`", if what.is_empty() { "" } else { " " })))
    };
    let changes = |what: &str| {
        Some((Level::Changes, format!("`{name}{}{what}`", if what.is_empty() { "" } else { " " })))
    };
    let has = |text: &str| rest.iter().any(|word| word.is(text));
    let begins = |text: &str| rest.iter().any(|word| word.start().starts_with(text));
    let own = |word: &Word| word.is_option() || scratch.is_own(word, place);
    let foreign = || rest.iter().any(|word| overwrites(word, scratch, place));
    match name.as_ref() {
        "rm" if rest.iter().any(|word| !word.is_option()) && rest.iter().all(own) => None,
        "rm" if is_recursive(rest) => removes("-r"),
        "rm" | "unlink" | "rmdir" if is_repeated(words, at) => removes("for each"),
        // What lies anywhere else than beside the runbook is somebody's.
        "rm" | "unlink" | "rmdir" if foreign() => removes(""),
        "tar" if has("--remove-files") => removes("--remove-files"),
        "chmod" | "chown" | "chgrp" if is_recursive(rest) => changes("-R"),
        "fdisk" | "sfdisk" | "parted" if !has("-l") && !has("--list") && !has("print") => changes(""),
        "journalctl" if begins("--vacuum") => removes("--vacuum"),
        name if name.starts_with("mkfs") => removes(""),
        "dd" if rest.iter().any(|word| !scratch.has(&word.behind("of="), place) && begins("of=")) => {
            removes("of=")
        }
        "truncate" if writer::writes(&name, rest, false, &|word| scratch.has(word, place)) => removes(""),
        "find" if has("-delete") => removes("-delete"),
        "crontab" if has("-r") => removes("-r"),
        "rsync" if begins("--del") && !writer::tries(rest) => removes("--delete"),
        "gh" if !has("api") => verb::verb(&name, rest),
        "curl" | "wget" | "http" | "https" | "xh" | "gh" if call(rest).is_some() => match call(rest)? {
            (Level::Removes, method) => removes(&method),
            (Level::Changes, method) => changes(&method),
        },
        "sed" | "perl" if writer::is_in_place(&name, rest) => {
            let files = writer::rewritten(&name, rest);
            let ours = !files.is_empty() && files.iter().all(|word| scratch.has(word, place));
            if ours { None } else { changes("-i") }
        }
        "git" => git::git(rest, &|word| scratch.has(word, place)).and_then(|(level, what)| match level {
            Level::Removes => removes(what),
            Level::Changes => changes(what),
        }),
        "kubectl" | "oc" | "helm" | "flux"
            if !rest.iter().find(|word| !word.is_option()).is_some_and(|word| word.is("cp")) =>
        {
            cluster(&name, rest)
        }
        _ if writer::writes(&name, rest, scratch.has(&Word::literal("x"), place), &|word| {
            scratch.has(word, place)
        }) =>
        {
            changes("")
        }
        // A signal to oneself, or to what one started, is nobody else's matter; signal 0 asks whether one is there.
        "kill" if self::own(rest) || rest.first().is_some_and(|word| word.is("-0")) => None,
        "kill" => changes(""),
        _ => service(&name, rest, &|word| scratch.has(word, place)),
    }
}

/// What programs do to this machine, and to others.
fn service(name: &str, rest: &[Word], scratch: &dyn Fn(&Word) -> bool) -> Option<(Level, String)> {
    let has = |text: &str| rest.iter().any(|word| word.is(text));
    let begins = |text: &str| rest.iter().any(|word| word.start().starts_with(text));
    let changes = |what: &str| Some((Level::Changes, format!("`{name}{what}`")));
    match name {
        "awk" | "gawk" if has("inplace") => changes(" -i inplace"),
        "kubectl" | "oc" | "docker" | "podman" | "nerdctl"
            if rest.iter().find(|word| !word.is_option()).is_some_and(|word| word.is("cp")) =>
        {
            let to = rest.iter().rfind(|word| !word.is_option());
            if to.is_some_and(scratch) { None } else { changes(" cp") }
        }
        "ifconfig" if rest.len() > 1 => changes(""),
        "init" if rest.first().is_some_and(|word| word.text().len() == 1) => changes(""),
        "modprobe" if !rest.is_empty() && !has("-n") && !has("--dry-run") && !has("-c") => changes(""),
        "nvme" if has("format") || has("sanitize") => Some((Level::Removes, format!("`{name} format`"))),
        "ansible-playbook" if !has("--check") && !has("-C") && !begins("--list") && !begins("--syntax") => {
            changes("")
        }
        _ => verb::verb(name, rest),
    }
}

pub(super) fn is_recursive(rest: &[Word]) -> bool {
    rest.iter().take_while(|word| !word.is("--")).any(|word| {
        let start = word.start();
        let short = start.starts_with('-') && !start.starts_with("--") && start.contains(['r', 'R']);
        short || word.is("--recursive")
    })
}

/// The method of a call by `curl` and its like.
fn call(rest: &[Word]) -> Option<(Level, String)> {
    let method = rest.iter().enumerate().find_map(|(at, word)| {
        let text = word.text();
        let behind = || rest.get(at + 1).map(Word::text);
        match text.as_str() {
            "-X" | "--request" | "--method" => behind(),
            // `-sX`: short options in one word, of which the last takes the next.
            _ if text.len() > 2
                && text.starts_with('-')
                && !text.starts_with("--")
                && text.ends_with('X') =>
            {
                behind()
            }
            "DELETE" | "PUT" | "POST" | "PATCH" if at == 0 => Some(text),
            _ => ["-X", "--request=", "--method="]
                .iter()
                .find_map(|flag| text.strip_prefix(flag).map(str::to_owned)),
        }
    });
    let sends = ["-d", "--data", "-F", "--form", "--json", "-T", "--upload-file", "--post-"];
    match method.map(|method| method.to_ascii_uppercase()) {
        Some(method) if method == "DELETE" => Some((Level::Removes, method)),
        Some(method) if matches!(method.as_str(), "PUT" | "POST" | "PATCH") => Some((Level::Changes, method)),
        Some(_) => None,
        None if rest.iter().any(|word| word.is("-G") || word.is("--get")) => None,
        None => rest
            .iter()
            .any(|word| sends.iter().any(|flag| word.start().starts_with(flag)) || sends_bundled(word))
            .then(|| (Level::Changes, "POST".to_owned())),
    }
}

/// `-sSd DATA`: short options in one word, the last of which sends what is given.
fn sends_bundled(word: &Word) -> bool {
    let letters = word.start().strip_prefix('-').filter(|letters| !letters.starts_with('-'));
    let behind =
        letters.map(|letters| letters.trim_start_matches(|c| "sSfLkvigGqnNOJRalp0123456".contains(c)));
    behind.is_some_and(|behind| behind.starts_with(['d', 'F', 'T']))
}

/// Whether signals go to this shell, its children and its jobs alone.
fn own(rest: &[Word]) -> bool {
    let mut targets = rest.iter().filter(|word| word.own_process() || !word.is_option()).peekable();
    targets.peek().is_some() && targets.all(|word| word.own_process() || word.start().starts_with('%'))
}

/// Clusters: verbs that remove, and those that change.
fn cluster(name: &str, rest: &[Word]) -> Option<(Level, String)> {
    const WITH_VALUE: [&str; 9] = [
        "-n",
        "--namespace",
        "--context",
        "--cluster",
        "--kubeconfig",
        "--kube-context",
        "-s",
        "--server",
        "--user",
    ];
    let at = past_options(rest, 0, &WITH_VALUE);
    let verb = rest.get(at)?.whole()?;
    let rest = &rest[at + 1..];
    let begins = |text: &str| rest.iter().any(|word| word.start().starts_with(text));
    if begins("--dry-run") {
        return None;
    }
    let none = rest.windows(2).any(|pair| pair[0].is("--replicas") && pair[1].is("0"))
        || rest.iter().any(|word| word.is("--replicas=0"));
    let level = match (name, verb.as_str()) {
        ("kubectl" | "oc", "delete" | "drain") | ("helm" | "flux", "delete" | "uninstall") => Level::Removes,
        ("kubectl" | "oc", "scale") if none => Level::Removes,
        ("kubectl" | "oc", "replace") if begins("--force") => Level::Removes,
        ("kubectl" | "oc", "apply") if begins("--prune") => Level::Removes,
        (
            "kubectl" | "oc",
            "patch" | "scale" | "replace" | "apply" | "create" | "annotate" | "label" | "taint" | "cordon"
            | "uncordon" | "edit" | "set" | "expose" | "autoscale" | "run" | "certificate" | "debug",
        ) => Level::Changes,
        ("kubectl" | "oc", "rollout")
            if rest.first().is_some_and(|word| !word.is_one_of(&["status", "history"])) =>
        {
            Level::Changes
        }
        ("kubectl", "config")
            if rest
                .first()
                .is_some_and(|word| !word.is_one_of(&["view", "current-context", "get-contexts"])) =>
        {
            Level::Changes
        }
        ("oc", "adm") if rest.first().is_some_and(|word| word.is_one_of(&["drain", "prune"])) => {
            Level::Removes
        }
        ("oc", "adm")
            if rest.first().is_some_and(|word| word.is_one_of(&["cordon", "uncordon", "taint"])) =>
        {
            Level::Changes
        }
        (
            "oc",
            "new-app" | "new-project" | "start-build" | "import-image" | "tag" | "policy" | "process"
            | "rsync",
        ) => Level::Changes,
        ("helm", "install" | "upgrade" | "rollback" | "push" | "test") => Level::Changes,
        ("flux", "suspend" | "resume" | "reconcile" | "create") => Level::Changes,
        _ => return None,
    };
    let zero = if verb == "scale" && level == Level::Removes { " --replicas=0" } else { "" };
    Some((level, format!("`{name} {verb}{zero}`")))
}
