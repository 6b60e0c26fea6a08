//! Who reads a word, and as what: code, the name of a program, the name of a variable, an option.
//!
//! Owns the table of second readers. A value that stands in a word with a hazard would be more than a value there, so
//! neither `{{ }}` of a script nor that of an `argv` may stand in it.

use std::borrow::Cow;
use std::ops::Range;

use tree_sitter::Node;

use super::interpreter::{self, Interpreter, interpreter, steers};
use super::tree;
use super::word::Word;
use super::wrapper::{is_wrapper, past_options, programs};

/// What a value would be in a word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hazard {
    /// It names what is run.
    Program,
    /// This program reads it as code.
    Code(String),
    /// bash reads it as the name of a variable, whose subscript is code.
    Name(String),
    /// It begins the word, where this program takes `-x` as an option that makes it act otherwise.
    Option { program: String, grave: bool },
}

/// Words of one command that are looked at; in a longer one no word is safe.
pub(super) const WORDS: usize = 1_000;
pub(super) const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "rbash"];
/// Builtins that take names of variables.
const NAMING: [&str; 13] = [
    "let",
    "read",
    "mapfile",
    "readarray",
    "getopts",
    "unset",
    "declare",
    "typeset",
    "local",
    "readonly",
    "export",
    "wait",
    "printf",
];
/// Programs of which an option runs a program, or writes or removes what nobody named.
const OBEDIENT: [&str; 17] = [
    "ssh", "scp", "sftp", "rsync", "tar", "git", "find", "curl", "wget", "set", "sed", "sort", "psql",
    "mysql", "mariadb", "mongosh", "mongo",
];
/// Programs for which an option in the place of a name is a mishap.
const CAREFUL: [&str; 13] = [
    "rm", "rmdir", "mv", "cp", "ln", "chmod", "chown", "chgrp", "shred", "truncate", "kill", "pkill",
    "killall",
];
/// Options of theirs behind which a value stands.
const SSH_VALUES: [&str; 18] = [
    "-b", "-c", "-D", "-E", "-e", "-F", "-I", "-i", "-J", "-L", "-l", "-m", "-o", "-p", "-Q", "-R", "-W",
    "-w",
];
const SQL_VALUES: [&str; 24] = [
    "-h",
    "-U",
    "-p",
    "-d",
    "-v",
    "-P",
    "-F",
    "-R",
    "-o",
    "-u",
    "-D",
    "-T",
    "--host",
    "--port",
    "--dbname",
    "--username",
    "--user",
    "--variable",
    "--set",
    "--pset",
    "--output",
    "--database",
    "--password",
    "--socket",
];
const VALUES: [(&str, &[&str]); 12] = [
    ("psql", &SQL_VALUES),
    ("mysql", &SQL_VALUES),
    ("mariadb", &SQL_VALUES),
    ("sort", &["-k", "-t", "-o", "-T", "-S", "--key", "--output"]),
    ("ssh", &SSH_VALUES),
    ("scp", &["-c", "-F", "-i", "-J", "-l", "-P"]),
    ("sftp", &["-b", "-c", "-F", "-i", "-J", "-l", "-P"]),
    ("rsync", &["-f", "-B", "-M", "-T", "--exclude", "--include", "--filter"]),
    ("tar", &["-f", "-C", "-xf", "-cf", "-tf", "-czf", "-xzf", "-tzf", "--file", "--directory", "--exclude"]),
    ("git", &["-C", "-m", "-b", "--git-dir", "--work-tree", "--message"]),
    (
        "curl",
        &[
            "-X",
            "--request",
            "-u",
            "--user",
            "-A",
            "-m",
            "--max-time",
            "--retry",
            "--url",
            "--data-raw",
            "--connect-timeout",
            "-o",
            "--output",
            "--cacert",
        ],
    ),
    ("wget", &["-O", "-P", "-T", "-t", "--header"]),
];

/// The hazards of a command, each with the place of its word.
pub fn hazards(words: &[Word]) -> Vec<(usize, Hazard)> {
    if words.len() > WORDS {
        let name = words[0].program().unwrap_or_default();
        return (0..words.len()).map(|at| (at, Hazard::Code(name.to_string()))).collect();
    }
    let mut found = Vec::new();
    let programs = programs(words);
    for (number, at) in programs.iter().copied().enumerate() {
        found.push((at, Hazard::Program));
        let Some(name) = words[at].program() else { continue };
        found.extend(code(words, at, &name));
        found.extend(told(words, at, &name));
        found.extend(naming(words, at, &name));
        let end = programs.get(number + 1).copied().unwrap_or(words.len());
        found.extend(options(words, at..end, &name));
    }
    // Shells also where no wrapper is known.
    for at in 1..words.len() {
        let name = words[at].program().filter(|name| SHELLS.contains(&name.as_ref()));
        let script =
            name.and_then(|name| Some((name.into_owned(), script(words, at).filter(|(_, given)| *given)?.0)));
        found.extend(script.map(|(name, at)| (at, Hazard::Code(name))));
    }
    found.retain(|(at, _)| *at < words.len());
    found
}

/// Words that are read as code, or that name a file of code.
fn code(words: &[Word], at: usize, name: &str) -> Vec<(usize, Hazard)> {
    let reads = || Hazard::Code(name.to_owned());
    let all = |places: Vec<usize>| places.into_iter().map(|at| (at, reads())).collect::<Vec<_>>();
    let behind = || (at + 1..words.len()).collect::<Vec<_>>();
    match name {
        _ if SHELLS.contains(&name) => match script(words, at) {
            Some((script, true)) => vec![(script, reads())],
            Some((file, false)) => vec![(file, Hazard::Program)],
            None => Vec::new(),
        }
        .into_iter()
        .chain(after(words, at, &["--rcfile", "--init-file"]).into_iter().map(|at| (at, Hazard::Program)))
        .collect(),
        "source" | "." => vec![(past_options(words, at + 1, &[]), Hazard::Program)],
        "ssh" => {
            let host = past_options(words, at + 1, &SSH_VALUES);
            all((host + 1..words.len()).collect())
        }
        "autossh" | "mosh" => {
            let host = past_options(words, at + 1, &SSH_VALUES);
            all((host + 1..words.len()).collect())
        }
        "pdsh" | "pssh" | "parallel-ssh" | "clush" => {
            let own = ["-w", "-h", "-H", "-l", "-p", "-t", "-g", "-x", "-R", "-f", "-u"];
            all((past_options(words, at + 1, &own)..words.len()).collect())
        }
        // A field that begins with `@` or `<` is the name of a file.
        "curl" => {
            let fields = after(words, at, &["-F", "--form"]).into_iter();
            let begins = |at: &usize| words.get(*at).is_some_and(|word| word.start().ends_with('='));
            all(fields.filter(begins).collect())
        }
        "eval" | "alias" | "bind" | "complete" | "compgen" | "enable" | "parallel" | "hash" => all(behind()),
        "trap" => all(vec![past_options(words, at + 1, &[])]),
        "watch" => all((past_options(words, at + 1, &["-n", "--interval"])..words.len()).collect()),
        "env" | "sudo" | "doas" => {
            let runs = |at: &usize| words[*at].start().split_once('=').is_some_and(|(name, _)| steers(name));
            let steered = (at + 1..words.len()).filter(runs).map(|at| (at, Hazard::Program));
            steered.chain(all(after(words, at, &["-S", "--split-string"]))).collect()
        }
        "tmux" | "screen" | "socat" => all(behind()),
        "su" | "runuser" | "flock" | "script" => {
            let together = bundled(words, at, 'c', "aeFflmnopqsux");
            all(after(words, at, &["-c", "--command"]).into_iter().chain(together).collect())
        }
        "psql" | "cockroach" => {
            let together = bundled(words, at, 'c', "aAbeEHlnqsStVwWxXz01");
            let given = after(words, at, &["-c", "--command", "-e", "--execute"]);
            all(given.into_iter().chain(together).collect())
        }
        "mysql" | "mariadb" => {
            let together = bundled(words, at, 'e', "ABbCcEfGHijLlmNnoqrsTtvVwX");
            let given = after(words, at, &["-e", "--execute", "--init-command"]);
            all(given.into_iter().chain(together).collect())
        }
        "sqlite3" | "duckdb" => {
            all((past_options(words, at + 1, &["-cmd", "-separator"]) + 1..words.len()).collect())
        }
        "mongosh" | "mongo" => all(after(words, at, &["--eval"])),
        _ => language(words, at, name),
    }
}

/// Programs that are given one in a language of their own.
fn language(words: &[Word], at: usize, name: &str) -> Vec<(usize, Hazard)> {
    let all = |places: Vec<usize>| -> Vec<(usize, Hazard)> {
        places.into_iter().map(|at| (at, Hazard::Code(name.to_owned()))).collect()
    };
    let behind = || (at + 1..words.len()).collect::<Vec<_>>();
    match name {
        "awk" | "gawk" | "mawk" | "nawk" => {
            let from_file = (at + 1..words.len()).any(|at| words[at].start().starts_with("-f"));
            let program = past_options(words, at + 1, &["-v", "-F"]);
            let files = after(words, at, &["-f", "--file"]).into_iter().map(|at| (at, Hazard::Program));
            let runs = ["system(", "| getline", "|getline"];
            if words[at..].iter().any(|word| runs.iter().any(|call| word.text().contains(call))) {
                // What is in its variables may be what it runs.
                return all(behind());
            }
            if from_file { files.collect() } else { all(vec![program]) }
        }
        "sed" | "gsed" => {
            let given = after(words, at, &["-e", "--expression"]);
            if given.is_empty() { all(vec![past_options(words, at + 1, &["-f"])]) } else { all(given) }
        }
        "jq" | "yq" => all(vec![filter(words, at)]),
        // `--eval=`, and `NAME=$(shell …)`: whatever it is given is read as a makefile is.
        "make" | "gmake" => all(behind()),
        _ => interpreter(name).map_or_else(Vec::new, |own| interpreted(words, at, name, own)),
    }
}

/// What stands behind options that take code, or that take any setting, and behind verbs that do.
fn told(words: &[Word], at: usize, name: &str) -> Vec<(usize, Hazard)> {
    if !interpreter::takes_code(name) {
        return Vec::new();
    }
    let options: Vec<&str> = interpreter::code_options(name).collect();
    let mut found = if options.is_empty() { Vec::new() } else { after(words, at, &options) };
    if let Some((option, runs)) = interpreter::settings(name) {
        // Behind the verb of `git` it is another option.
        let own = ["-c", "-C", "--git-dir", "--work-tree"];
        let end = if name == "git" { past_options(words, at + 1, &own) } else { words.len() };
        let given = after(&words[..end], at, &[option]).into_iter();
        found.extend(given.filter(|at| words.get(*at).is_some_and(&runs)));
    }
    let verbs = interpreter::code_verbs(name);
    let verb = (at + 1..words.len()).find(|at| words[*at].is_one_of(verbs));
    found.extend(verb.into_iter().flat_map(|verb| verb + 1..words.len()));
    found.into_iter().map(|at| (at, Hazard::Code(name.to_owned()))).collect()
}

/// An interpreter that is not given its program takes the name of its file first.
fn interpreted(words: &[Word], at: usize, name: &str, own: &Interpreter) -> Vec<(usize, Hazard)> {
    let last = |flag: &&&str| flag.len() == 2;
    let together = own.code.iter().filter(last).filter_map(|flag| flag.chars().nth(1));
    let together = together.flat_map(|flag| bundled(words, at, flag, own.plain));
    let code: Vec<usize> = after(words, at, own.code).into_iter().chain(together).collect();
    let runs = after(words, at, own.runs);
    let named = runs.iter().copied().chain(after(words, at, own.loads));
    let mut found: Vec<_> = named.map(|at| (at, Hazard::Program)).collect();
    if name.starts_with("perl") {
        // `<>` opens what it is given as bash does a line: `cmd |` is run.
        let opens = (at + 1..words.len()).find(|at| opens_operands(&words[*at]));
        found.extend(
            opens
                .into_iter()
                .flat_map(|at| at + 1..words.len())
                .map(|at| (at, Hazard::Code(name.to_owned()))),
        );
    }
    if code.is_empty() && runs.is_empty() {
        let with_value = own.with_value.iter().chain(own.loads).copied().collect::<Vec<_>>();
        found.push((past_options(words, at + 1, &with_value), Hazard::Program));
    }
    found.extend(code.into_iter().map(|at| (at, Hazard::Code(name.to_owned()))));
    found
}

/// `perl -n`, `perl -p`, or code that reads from `<>`.
fn opens_operands(word: &Word) -> bool {
    let letters = word.start().strip_prefix('-').filter(|letters| !letters.starts_with('-'));
    let own = letters.and_then(|letters| letters.split(|letter| "eEIMmxFCDi".contains(letter)).next());
    own.is_some_and(|own| own.contains(['n', 'p'])) || word.text().contains("<>")
}

/// What a shell takes first that is no option, and whether it is the script itself (`-c`) or a file of it.
fn script(words: &[Word], shell: usize) -> Option<(usize, bool)> {
    const WITH_VALUE: [&str; 6] = ["-o", "+o", "-O", "+O", "--rcfile", "--init-file"];
    let (mut at, mut given) = (shell + 1, false);
    while let Some(word) = words.get(at) {
        let text = word.text();
        if text == "--" || !word.start().starts_with(['-', '+']) {
            let at = if text == "--" { at + 1 } else { at };
            return (at < words.len()).then_some((at, given));
        }
        given |= text.starts_with('-') && !text.starts_with("--") && text.contains('c');
        let value = WITH_VALUE.contains(&text.as_str()) || (!text.starts_with("--") && text.ends_with('o'));
        at += if value { 2 } else { 1 };
    }
    None
}

/// The filter of `jq`: its first word that is neither an option nor the name or value of a variable.
fn filter(words: &[Word], jq: usize) -> usize {
    let verbs = ["e", "eval", "ea", "eval-all"];
    let verb = words.get(jq + 1).is_some_and(|word| words[jq].is("yq") && word.is_one_of(&verbs));
    let mut at = jq + 1 + usize::from(verb);
    while let Some(word) = words.get(at).filter(|word| word.is_option()) {
        at += match word.text().as_str() {
            "--arg" | "--argjson" | "--slurpfile" | "--rawfile" => 3,
            "--indent" | "-L" | "-f" | "--from-file" => 2,
            _ => 1,
        };
    }
    at
}

/// The words right after one of `flags`, or joined to it: by `=`, or a short one as it stands.
fn after(words: &[Word], from: usize, flags: &[&str]) -> Vec<usize> {
    let place = |at: usize| {
        let text = words[at].text();
        if flags.contains(&text.as_str()) && words[at].pieces.len() == 1 {
            return Some(at + 1);
        }
        let joined = flags.iter().any(|flag| {
            let short = !flag.starts_with("--");
            text.strip_prefix(flag).is_some_and(|rest| {
                rest.starts_with('=')
                    || (short && words[at].start().len() > flag.len())
                    || (short && words[at].pieces.len() > 1 && text == *flag)
            })
        });
        joined.then_some(at)
    };
    (from + 1..words.len()).filter_map(place).collect()
}

/// The words that a short option takes that stands behind others in one word, none of which takes a value itself:
/// `-Atc TEXT`, `-AtcTEXT`.
fn bundled<'w>(words: &'w [Word], from: usize, flag: char, plain: &str) -> impl Iterator<Item = usize> + 'w {
    let plain = plain.to_owned();
    (from + 1..words.len()).filter_map(move |at| {
        let word = &words[at];
        let letters = word.start().strip_prefix('-')?;
        let before = letters.find(|letter| !plain.contains(letter)).filter(|before| *before > 0)?;
        let behind = letters[before..].strip_prefix(flag)?;
        Some(if behind.is_empty() && word.pieces.len() == 1 { at + 1 } else { at })
    })
}

fn naming(words: &[Word], at: usize, name: &str) -> Vec<(usize, Hazard)> {
    if !NAMING.contains(&name) {
        return match name {
            "test" => tested(words, at),
            _ => Vec::new(),
        };
    }
    let format = past_options(words, at + 1, &["-v"]);
    let takes = |word: usize| match name {
        // Behind its option, or as its option: a format that begins with a value could be `-vNAME`.
        "printf" => {
            words[word - 1].is("-v")
                || words[word].start().starts_with("-v")
                || (word == format && words[word].start().is_empty() && !words[word - 1].is("--"))
        }
        "wait" => words[word - 1].is("-p"),
        // `NAME=value` gives one, but `declare` reads a value of an array again.
        "export" => !words[word].start().contains('='),
        _ => true,
    };
    (at + 1..words.len()).filter(|at| takes(*at)).map(|at| (at, Hazard::Name(name.to_owned()))).collect()
}

/// `test`: a value stays one where all that is beside it is written out, so that nothing else can become an operator.
fn tested(words: &[Word], at: usize) -> Vec<(usize, Hazard)> {
    let given = &words[at + 1..];
    let given = if given.first().is_some_and(|word| word.is("!")) { &given[1..] } else { given };
    let fine = match given {
        [] | [_] => true,
        [operator, _] => operator.is_option() && !operator.is_one_of(&["-v", "-R"]),
        [_, operator, _] => operator.whole().is_some_and(|text| is_operator(&text)),
        _ => false,
    };
    if fine {
        Vec::new()
    } else {
        (at + 1..words.len()).map(|at| (at, Hazard::Name("test".to_owned()))).collect()
    }
}

/// Whether a text is an operator between two operands of `[`.
pub(super) fn is_operator(text: &str) -> bool {
    const WORDS: [&str; 14] =
        ["=", "==", "!=", "<", ">", "-nt", "-ot", "-ef", "-eq", "-ne", "-lt", "-le", "-gt", "-ge"];
    WORDS.contains(&text)
}

/// Words at whose beginning a value could pass for an option.
fn options(words: &[Word], own: Range<usize>, name: &str) -> Vec<(usize, Hazard)> {
    let grave = OBEDIENT.contains(&name) || is_wrapper(name);
    if !grave && !CAREFUL.contains(&name) {
        return Vec::new();
    }
    let values =
        VALUES.iter().find(|(program, _)| *program == name).map_or(&[] as &[&str], |(_, values)| values);
    let behind = own.start + 1..own.end;
    // What `find` tests and does stands behind its `--` as well.
    let ends = |at: &usize| name != "find" && words[*at].is_one_of(&["--", "--end-of-options"]);
    let border = behind.clone().find(ends).unwrap_or(own.end);
    let takes_value = |before: &Word| {
        before.is_one_of(values)
            || (name == "find" && before.is_option() && !before.is("--"))
            || (is_wrapper(name) && before.is_option())
    };
    let open = (behind.start..border).filter(|at| !takes_value(&words[*at - 1]));
    open.map(|at| (at, Hazard::Option { program: name.to_owned(), grave })).collect()
}

/// Who reads as code what the command behind a here-document prints: `cat <<E | sh`. The pipe stands on the line of its
/// beginning, which the tree does not always keep together; a line that ends in it goes on behind the document.
pub(super) fn piped_into(document: Node<'_>, text: &str) -> Option<String> {
    let rest = text.get(document.start_byte()..)?;
    let line = rest.lines().next()?;
    let pipe = line.replace("||", "  ").find('|')?;
    let behind = line[pipe + 1..].trim_start_matches('&');
    let next = || text.get(document.end_byte()..)?.lines().find(|line| !line.trim().is_empty());
    let script = if behind.trim().is_empty() { next()? } else { behind };
    let tree = tree::parse(script)?;
    tree::commands(tree.root_node(), script).iter().find_map(|command| reads_input(&command.words))
}

/// Who reads its standard input as code, when this command does.
pub(super) fn reads_input(words: &[Word]) -> Option<String> {
    if words.len() > WORDS {
        return words[0].program().map(Cow::into_owned);
    }
    let places = programs(words);
    let shells = (1..words.len())
        .filter(|at| words[*at].program().is_some_and(|name| SHELLS.contains(&name.as_ref())));
    for at in places.into_iter().chain(shells) {
        let Some(name) = words[at].program() else { continue };
        let options_only = |with_value: &[&str]| past_options(words, at + 1, with_value) >= words.len();
        let found = match name.as_ref() {
            name if SHELLS.contains(&name) => {
                let from_input =
                    words[at + 1..].iter().any(|word| word.is("-s") || word.is("-") || word.is("/dev/stdin"));
                script(words, at).is_none() || from_input
            }
            "source" | "." => words.get(at + 1).is_some_and(|word| word.start().starts_with("/dev/")),
            name if interpreter::is_told(name) => {
                code(words, at, name).is_empty()
                    && told(words, at, name).is_empty()
                    && !words[at + 1..].iter().any(|word| word.start().starts_with("-f"))
            }
            "sqlite3" | "redis-cli" | "valkey-cli" | "at" | "batch" | "parallel" | "sftp" | "ftp"
            | "lftp" | "ed" | "ex" | "vi" | "vim" | "dc" | "gdb" | "nsupdate" => true,
            "crontab" => words[at + 1..].iter().any(|word| word.is("-")),
            "awk" | "gawk" | "mawk" | "nawk" | "sed" | "gsed" | "jq" | "yq" | "make" | "gmake" => {
                let taken = after(words, at, &["-f", "--file", "--from-file"]);
                taken.iter().filter_map(|at| words.get(*at)).any(is_input)
            }
            name if interpreter(name).is_some() => options_only(&[]) || words[at + 1..].iter().any(is_input),
            "ssh" => {
                let host = past_options(words, at + 1, &SSH_VALUES);
                host + 1 >= words.len()
                    || words[host + 1..]
                        .iter()
                        .any(|word| word.text().split(' ').any(|part| SHELLS.contains(&part)))
            }
            "xargs" => words[at + 1..].iter().any(|word| word.program().is_some_and(|name| obeys(&name))),
            _ => false,
        };
        if found {
            return Some(name.into_owned());
        }
    }
    None
}

/// Standard input, as the name of a file.
fn is_input(word: &Word) -> bool {
    let text = word.text();
    ["-", "-f-"].contains(&text.as_str()) || text.ends_with("=-") || text.contains("/dev/stdin")
}

/// Whether a word too many, of which nobody knows what it is, makes the program run another one.
fn obeys(name: &str) -> bool {
    SHELLS.contains(&name)
        || OBEDIENT.contains(&name)
        || (is_wrapper(name) && name != "xargs")
        || interpreter(name).is_some()
        || name == "eval"
}
