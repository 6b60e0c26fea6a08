//! What a script or a program would remove or change, as far as its text shows.
//!
//! Owns the table of dangerous commands. It is asked of every command that can be seen: in pipelines, behind wrappers,
//! in the text that a second shell or a database client gets. Meant to catch the forgotten declaration, not the
//! determined author. A script that cannot be read is judged by its words alone.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::LazyLock;

use regex::RegexSet;
use tree_sitter::Node;

use super::reader::{Hazard, SHELLS, WORDS, hazards, piped_into, reads_input};
use super::scratch::Scratch;
use super::tree::{self, Command, Reading};
use super::word::Word;
use super::wrapper::{is_repeated, past_options, programs};
use super::writer;

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
        if reader.is_some_and(|name| SHELLS.contains(&name.as_str()) || name == "ssh") {
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
        for (at, hazard) in hazards(words) {
            if let Hazard::Code(reader) = hazard {
                let text = words[at..].iter().map(Word::text).collect::<Vec<_>>().join(" ");
                let script = match reader.as_str() {
                    "ssh" | "eval" => text,
                    // This shell runs it, with the variables that it has.
                    "trap" => words[at].as_script(),
                    _ => words[at].text(),
                };
                if SHELLS.contains(&reader.as_str())
                    || matches!(
                        reader.as_str(),
                        "ssh" | "eval" | "su" | "runuser" | "flock" | "trap" | "watch" | "env"
                    )
                {
                    self.inner.push((script, range.clone()));
                }
            }
        }
        if heard {
            let text = words.iter().map(Word::text).collect::<Vec<_>>().join(" ");
            self.statements(&text, range);
        }
    }

    /// What database clients are told.
    fn statements(&mut self, text: &str, range: Range<usize>) {
        static STATEMENTS: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
            RegexSet::new([
                r"(?i)\bDROP\s+(TABLE|DATABASE|SCHEMA|KEYSPACE|INDEX|VIEW|USER|ROLE|COLLECTION|FUNCTION|TRIGGER|COLUMN)\b",
                r"(?i)\bTRUNCATE\s+(TABLE\s+)?\w",
                r"(?i)\bDELETE\s+FROM\b",
                r"(?i)\b(FLUSHALL|FLUSHDB)\b",
                r"\b(dropDatabase|deleteMany|deleteOne)\b|\.drop\(",
                r"\b[a-z]+:(delete|destroy)\b",
                r"\b(rmtree|removedirs|unlinkSync|rmSync|rm_rf)\b|\b(os\.(remove|rmdir)|unlink)\s*\(",
                r"(?i)\b(UPDATE\s+\S+\s+SET|(INSERT|REPLACE)\s+INTO|ALTER\s+(TABLE|DATABASE|ROLE))\b",
            ])
            .ok()
        });
        const NAMES: [&str; 8] =
            ["DROP", "TRUNCATE", "DELETE FROM", "FLUSHALL", "delete", "…:delete", "unlink", "UPDATE"];
        let Some(statements) = STATEMENTS.as_ref() else { return };
        for at in statements.matches(text) {
            let level = if at + 1 == NAMES.len() { Level::Changes } else { Level::Removes };
            self.say(level, format!("`{}`", NAMES[at]), range.clone());
        }
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
    match name.as_str() {
        "rm" if rest.iter().any(|word| !word.is_option()) && rest.iter().all(own) => None,
        "rm" if is_recursive(rest) => removes("-r"),
        "rm" | "unlink" | "rmdir" if is_repeated(words, at) => removes("for each"),
        // What lies anywhere else than beside the runbook is somebody's.
        "rm" | "unlink" | "rmdir" if foreign() => removes(""),
        "tar" if has("--remove-files") => removes("--remove-files"),
        "chmod" | "chown" | "chgrp" if is_recursive(rest) => changes("-R"),
        "iptables" | "ip6tables" if has("-F") || has("-X") || has("--flush") => removes("-F"),
        "fdisk" | "sfdisk" | "parted" if !has("-l") && !has("--list") && !has("print") => changes(""),
        "journalctl" if begins("--vacuum") => removes("--vacuum"),
        "umount" | "swapoff" => changes(""),
        "shred" | "wipefs" | "mkswap" | "userdel" | "groupdel" | "dropdb" | "dropuser" | "lvremove"
        | "vgremove" | "pvremove" | "sgdisk" => removes(""),
        name if name.starts_with("mkfs") => removes(""),
        "dd" if rest.iter().any(|word| !scratch.has(&word.behind("of="), place) && begins("of=")) => {
            removes("of=")
        }
        "truncate" if writer::writes(&name, rest, false, &|word| scratch.has(word, place)) => removes(""),
        "find" if has("-delete") => removes("-delete"),
        "crontab" if has("-r") => removes("-r"),
        "rsync" if begins("--del") && !writer::tries(rest) => removes("--delete"),
        "curl" | "wget" | "http" | "https" | "xh" if call(rest).is_some() => match call(rest)? {
            (Level::Removes, method) => removes(&method),
            (Level::Changes, method) => changes(&method),
        },
        "sed" | "perl" if writer::is_in_place(&name, rest) => {
            if rest.last().is_some_and(|word| scratch.has(word, place)) { None } else { changes("-i") }
        }
        "git" => git(rest).and_then(|(level, what)| match level {
            Level::Removes => removes(what),
            Level::Changes => changes(what),
        }),
        "kubectl" | "oc" | "helm" | "flux" => cluster(&name, rest),
        _ if writer::writes(&name, rest, scratch.has(&Word::literal("x"), place), &|word| {
            scratch.has(word, place)
        }) =>
        {
            changes("")
        }
        _ => verb(&name, rest),
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
            .any(|word| sends.iter().any(|flag| word.start().starts_with(flag)))
            .then(|| (Level::Changes, "POST".to_owned())),
    }
}

/// Whether signals go to this shell, its children and its jobs alone.
fn own(rest: &[Word]) -> bool {
    let mut targets = rest.iter().filter(|word| word.own_process() || !word.is_option()).peekable();
    targets.peek().is_some() && targets.all(|word| word.own_process() || word.start().starts_with('%'))
}

fn git(rest: &[Word]) -> Option<(Level, &'static str)> {
    let at = past_options(rest, 0, &["-C", "-c", "--git-dir", "--work-tree"]);
    let (verb, rest) = (rest.get(at)?.whole()?, &rest[at + 1..]);
    let has = |texts: &[&str]| rest.iter().any(|word| word.is_one_of(texts));
    let begins = |text: &str| rest.iter().any(|word| word.start().starts_with(text));
    match verb.as_str() {
        "push"
            if has(&["-f", "--mirror", "--delete", "-d", "--prune"])
                || begins("--force")
                || begins("+")
                || begins(":") =>
        {
            Some((Level::Removes, "push --force"))
        }
        "push" => Some((Level::Changes, "push")),
        "reset" if has(&["--hard"]) => Some((Level::Removes, "reset --hard")),
        "clean" if begins("-f") || begins("-d") || begins("-x") || has(&["--force"]) => {
            Some((Level::Removes, "clean"))
        }
        "branch" if has(&["-D", "-d", "--delete"]) => Some((Level::Removes, "branch -D")),
        "stash" if has(&["drop", "clear"]) => Some((Level::Removes, "stash drop")),
        "rm" | "restore" => Some((Level::Changes, "rm")),
        "checkout" if has(&["--", "-f", "."]) => Some((Level::Changes, "checkout --")),
        "filter-branch" | "filter-repo" => Some((Level::Removes, "filter-branch")),
        _ => None,
    }
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
        ("helm", "install" | "upgrade" | "rollback") => Level::Changes,
        ("flux", "suspend" | "resume" | "reconcile" | "create") => Level::Changes,
        _ => return None,
    };
    let zero = if verb == "scale" && level == Level::Removes { " --replicas=0" } else { "" };
    Some((level, format!("`{name} {verb}{zero}`")))
}

/// Programs whose verb says it.
fn verb(name: &str, rest: &[Word]) -> Option<(Level, String)> {
    const CLOUDS: [&str; 12] =
        ["gcloud", "gsutil", "aws", "az", "doctl", "bq", "gh", "s3cmd", "mc", "rclone", "hcloud", "ibmcloud"];
    let plain: Vec<String> = rest.iter().filter(|word| !word.is_option()).filter_map(Word::whole).collect();
    let first = |count: usize, verbs: &[&str]| {
        plain.iter().take(count).find(|word| verbs.contains(&word.as_str())).cloned()
    };
    let said = |level: Level, verb: Option<String>| verb.map(|verb| (level, format!("`{name} {verb}`")));
    match name {
        _ if CLOUDS.contains(&name) => {
            let removing = |word: &&String| {
                matches!(word.as_str(), "delete" | "rm" | "rb" | "del" | "destroy" | "purge" | "remove")
                    || word.starts_with("delete-")
                    || word.starts_with("terminate-")
            };
            let mirrors = plain.iter().any(|word| word == "sync" || word == "rsync")
                && (name == "rclone" || rest.iter().any(|word| word.is_one_of(&["--delete", "-d"])));
            let mirrors = mirrors.then(|| "sync --delete".to_owned());
            said(Level::Removes, plain.iter().take(8).find(removing).cloned().or(mirrors))
        }
        "terraform" | "tofu" | "terragrunt" | "pulumi" | "vagrant" => {
            let whole = rest.iter().any(|word| word.is_one_of(&["-destroy", "--destroy"]));
            let destroy = first(1, &["destroy"]).or_else(|| whole.then(|| "destroy".to_owned()));
            said(Level::Removes, destroy).or_else(|| said(Level::Changes, first(1, &["apply", "up"])))
        }
        "docker" | "podman" | "nerdctl" | "docker-compose" => {
            said(Level::Removes, first(2, &["rm", "rmi", "prune", "down"]))
                .or_else(|| said(Level::Changes, first(2, &["stop", "kill", "restart", "push", "up"])))
        }
        "zfs" | "zpool" => said(Level::Removes, first(1, &["destroy", "rollback"])),
        "restic" | "borg" => said(Level::Removes, first(2, &["forget", "prune", "delete"])),
        "vault" | "consul" | "etcdctl" => said(Level::Removes, first(2, &["delete", "destroy", "del"])),
        "redis-cli" => {
            said(Level::Removes, first(9, &["del", "DEL", "unlink", "UNLINK", "flushall", "flushdb"]))
        }
        "rabbitmqctl" => said(
            Level::Removes,
            first(1, &["reset", "delete_queue", "purge_queue", "delete_vhost", "delete_user"]),
        ),
        "systemctl" | "service" => {
            said(Level::Changes, first(2, &["stop", "disable", "mask", "restart", "start", "enable", "kill"]))
        }
        // A signal to oneself, or to what one started, is nobody else's matter.
        "kill" if own(rest) => None,
        // Signal 0 asks whether a process is there.
        "kill" if rest.first().is_some_and(|word| word.is("-0")) => None,
        "reboot" | "shutdown" | "poweroff" | "halt" | "kill" | "pkill" | "killall" => {
            Some((Level::Changes, format!("`{name}`")))
        }
        _ => manager(name, rest),
    }
}

/// Programs that look after packages, machines, disks and queues.
fn manager(name: &str, rest: &[Word]) -> Option<(Level, String)> {
    const SIMULATES: [&str; 5] = ["-s", "--simulate", "--just-print", "--dry-run", "--no-act"];
    let plain: Vec<String> = rest.iter().filter(|word| !word.is_option()).filter_map(Word::whole).collect();
    let first = |count: usize, verbs: &[&str]| {
        plain.iter().take(count).find(|word| verbs.contains(&word.as_str())).cloned()
    };
    let said = |level: Level, verb: Option<String>| verb.map(|verb| (level, format!("`{name} {verb}`")));
    match name {
        "apt" | "apt-get" if rest.iter().any(|word| word.is_one_of(&SIMULATES)) => None,
        "apt" | "apt-get" | "yum" | "dnf" | "zypper" | "pip" | "pip3" | "npm" | "snap" | "flatpak"
        | "apk" => said(
            Level::Removes,
            first(2, &["remove", "purge", "autoremove", "erase", "uninstall", "unpublish", "del"]),
        )
        .or_else(|| said(Level::Changes, first(2, &["install", "upgrade", "dist-upgrade"]))),
        "openstack" | "velero" | "linode-cli" | "virsh" | "VBoxManage" | "vboxmanage" | "btrfs"
        | "cryptsetup" | "mysqladmin" | "nft" | "ufw" | "influx" | "rabbitmqadmin" | "crictl" | "ctr" => {
            said(
                Level::Removes,
                first(
                    4,
                    &[
                        "delete",
                        "destroy",
                        "undefine",
                        "unregistervm",
                        "luksFormat",
                        "erase",
                        "drop",
                        "flush",
                        "reset",
                        "rm",
                        "rmi",
                        "purge",
                        "linodes-delete",
                    ],
                ),
            )
        }
        "nomad" => said(Level::Changes, first(2, &["stop", "run", "purge"])),
        "kafka-topics" | "kafka-topics.sh" | "kafka-consumer-groups.sh" | "kafka-configs.sh" => {
            let deletes = rest.iter().any(|word| word.is("--delete")).then(|| "--delete".to_owned());
            said(Level::Removes, deletes)
        }
        _ => None,
    }
}
