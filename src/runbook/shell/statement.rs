//! What databases and interpreters are told: the statements of their languages that remove or change something.
//!
//! Owns the tables. They are asked of text: nothing here understands those languages.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use super::danger::Level;
use super::interpreter::interpreter;
use super::scratch::is_temporary;

/// A form of statement, what it does, and its name.
type Form = (&'static str, Level, &'static str);

#[rustfmt::skip]
const STATEMENTS: &[Form] = &[
    (r"(?i)\bDROP\s+(\w+\s+){0,2}?(TABLE|DATABASE|SCHEMA|KEYSPACE|INDEX|VIEW|USER|ROLE|COLLECTION|FUNCTION|PROCEDURE|TRIGGER|COLUMN|EXTENSION|SEQUENCE|TYPE|POLICY|PUBLICATION|SUBSCRIPTION|OWNED|PARTITION|CONSTRAINT|TABLESPACE)\b",
        Level::Removes, "DROP"),
    (r"(?i)\bTRUNCATE\s+(TABLE\s+)?\w", Level::Removes, "TRUNCATE"),
    (r"(?i)\bDELETE\s+(\w+\s+)?FROM\b", Level::Removes, "DELETE FROM"),
    (r"(?i)\b(FLUSHALL|FLUSHDB)\b", Level::Removes, "FLUSHALL"),
    (r"\b(dropDatabase|deleteMany|deleteOne|findOneAndDelete)\b|\.drop(Index(es)?)?\(|\bdb\.\w+\.remove\(", Level::Removes, "delete"),
    (r"\b[a-z]+:(delete|destroy)\b", Level::Removes, "…:delete"),
    (r"\b(rmtree|removedirs|unlinkSync|rmSync|rm_rf)\b|\b(os\.(remove|rmdir)|unlink)\s*\(", Level::Removes, "unlink"),
    (r"(?i)\bUPDATE\s+(ONLY\s+)?\S+\s+((AS\s+)?\w+\s+)?SET\b|\b(INSERT|REPLACE|MERGE)\s+(IGNORE\s+)?INTO\b", Level::Changes, "UPDATE"),
    (r"(?i)\bALTER\s+(TABLE|DATABASE|ROLE|USER|SYSTEM|SCHEMA|INDEX|VIEW|SEQUENCE|TYPE|FUNCTION|POLICY|EXTENSION|KEYSPACE|DEFAULT)\b", Level::Changes, "ALTER"),
    (r"(?i)\bCREATE\s+(OR\s+REPLACE\s+)?(\w+\s+)?(TABLE|DATABASE|SCHEMA|KEYSPACE|INDEX|VIEW|USER|ROLE|FUNCTION|PROCEDURE|TRIGGER|EXTENSION|SEQUENCE|TYPE|POLICY|PUBLICATION|SUBSCRIPTION|TABLESPACE)\s+\S",
        Level::Changes, "CREATE"),
    (r"(?i)\bGRANT\s+\w[^;]*\sTO\s|\bREVOKE\s+\w[^;]*\sFROM\s", Level::Changes, "GRANT"),
    (r"(?i)\bCOPY\s+\S+\s*(\([^)]*\)\s*)?FROM\b|\bTO\s+PROGRAM\b|\bLOAD\s+DATA\s|\bRENAME\s+TABLE\s", Level::Changes, "COPY"),
    (r"(?i)\b(REINDEX|VACUUM\s+FULL|REFRESH\s+MATERIALIZED|FLUSH\s+PRIVILEGES|SET\s+GLOBAL|RESET\s+(MASTER|REPLICA|SLAVE))\b", Level::Changes, "maintenance"),
    (r"(?i)\b(pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_promote|pg_switch_wal|setval|nextval|lo_unlink|pg_drop_replication_slot)\s*\(", Level::Changes, "a function that changes something"),
    (r"\bdb\b\S*\.(insert(One|Many)?|update(One|Many)?|replaceOne|findOneAnd(Update|Replace)|bulkWrite|createIndex(es)?|createCollection|createUser|dropUser|renameCollection)\(", Level::Changes, "update"),
];

#[rustfmt::skip]
const CODE: &[Form] = &[
    (r"\b(rmtree|removedirs|unlinkSync|rmSync|rmdirSync|rm_rf|rm_r|remove_entry|remove_dir)\b|\bunlink\b|\bos\.(remove|rmdir)\b|\b(File|Dir|FileUtils)\.(delete|rm|rmdir|unlink)\b|\bfs\.(promises\.)?rm(dir)?\(",
        Level::Removes, "removes files"),
    (r#"\b(requests|session|client|axios|httpx|http)\.delete\(|\bmethod["']?\s*[:=]\s*["']DELETE|Net::HTTP::Delete"#, Level::Removes, "sends a DELETE"),
    (r#"\bopen\s*\([^()]*,\s*(mode\s*=\s*)?["'][rbt]*[wax+]"#, Level::Changes, "writes a file"),
    (r#"\bopen\s*\(?[^;()]*["']\s*\+?>|\bfopen\s*\([^()]*,\s*["'][waxc]"#, Level::Changes, "writes a file"),
    (r"\b(write_text|write_bytes|writeFile(Sync)?|appendFile(Sync)?|createWriteStream|file_put_contents|copyFile(Sync)?|renameSync|mkdirSync|chmodSync|symlinkSync)\b|\b(File|IO)\.(write|binwrite|rename|chmod|symlink)\b|\bFileUtils\.(cp|mv|mkdir|touch|chmod|chown|ln)",
        Level::Changes, "writes a file"),
    (r"\bos\.(rename|replace|mkdir|makedirs|chmod|chown|symlink|link|truncate|kill|mkfifo)\b|\bshutil\.(move|copy\w*|chown)\b|\.(touch|mkdir|rename|symlink_to)\(", Level::Changes, "writes a file"),
    (r#"\b(requests|session|client|axios|httpx|http)\.(post|put|patch)\(|\bmethod["']?\s*[:=]\s*["'](POST|PUT|PATCH)|Net::HTTP::(Post|Put|Patch)|\bsmtplib\b"#, Level::Changes, "sends something"),
];

/// Where an interpreter runs something else.
const RUNS: &str = r"\b(os\.(system|popen|exec\w*|spawn\w*)|subprocess|popen|Popen|child_process|exec(Sync|File|FileSync)?|spawn(Sync)?|system|shell_exec|passthru|proc_open|qx|Kernel|getline)\b|`|\|";

/// What a text says to a database, as far as it shows.
pub(super) fn statements(text: &str) -> Vec<(Level, String)> {
    static SET: LazyLock<Option<RegexSet>> = LazyLock::new(|| set(STATEMENTS));
    static SHOWN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\bSHOW\s+CREATE\b").ok());
    let found: Vec<_> = named(&SET, STATEMENTS, text).collect();
    // How something was created is asked by that word, too.
    let shown = |name: &str| name == "CREATE" && SHOWN.as_ref().is_some_and(|form| form.is_match(text));
    let done = found.into_iter().filter(|(_, name)| !shown(name));
    done.map(|(level, name)| (level, format!("`{name}`"))).collect()
}

/// Whether the code that a program is given is looked at here.
pub(super) fn is_read(program: &str) -> bool {
    interpreter(program).is_some() || is_awk(program)
}

/// What code does to files and servers by itself.
pub(super) fn of_code(program: &str, text: &str) -> Vec<(Level, String)> {
    static SET: LazyLock<Option<RegexSet>> = LazyLock::new(|| set(CODE));
    if is_awk(program) {
        let writes = printed(text).into_iter().find(|to| to.as_ref().is_none_or(|to| !is_temporary(to)));
        return writes.map(|_| (Level::Changes, format!("`{program}` writes a file"))).into_iter().collect();
    }
    named(&SET, CODE, text).map(|(level, name)| (level, format!("`{program}` {name}"))).collect()
}

/// What code runs besides, as a shell would: the texts in it, one by one and together, where it runs anything.
pub(super) fn commands_of(program: &str, text: &str) -> Vec<String> {
    static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(RUNS).ok());
    // What `awk` and `perl` join by `|` may be two conditions as well: their texts are no commands then.
    if !FORM
        .as_ref()
        .is_some_and(|form| form.is_match(&without_quoted(text)) || (!is_awk(program) && text.contains('`')))
    {
        return Vec::new();
    }
    let texts = quoted(text);
    let whole = texts.join(" ");
    texts.into_iter().map(str::to_owned).filter(|text| text.contains(' ')).chain([whole]).collect()
}

fn is_awk(program: &str) -> bool {
    matches!(program, "awk" | "gawk" | "mawk" | "nawk")
}

fn set(forms: &[Form]) -> Option<RegexSet> {
    RegexSet::new(forms.iter().map(|(form, ..)| form)).ok()
}

fn named<'f>(
    set: &Option<RegexSet>,
    forms: &'f [Form],
    text: &str,
) -> impl Iterator<Item = (Level, &'f str)> {
    let found = set.as_ref().map(|set| set.matches(text).into_iter().collect::<Vec<_>>()).unwrap_or_default();
    found.into_iter().map(|at| (forms[at].1, forms[at].2))
}

/// Where `awk` prints to, other than its output; nothing for a name that it works out.
fn printed(program: &str) -> Vec<Option<String>> {
    let (mut out, mut depth, mut prints, mut rest) = (Vec::new(), 0_i32, false, program);
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '"' => length = string(rest),
            '(' => depth += 1,
            ')' => depth -= 1,
            ';' | '}' | '\n' => prints = false,
            '>' if prints && depth == 0 => {
                let to = rest.trim_start_matches('>').trim_start();
                let written = to.strip_prefix('"').and_then(|text| text.split('"').next()).map(str::to_owned);
                out.push(written);
                prints = false;
            }
            'p' if rest.starts_with("print") => (prints, depth) = (true, 0),
            _ => {}
        }
        rest = &rest[length..];
    }
    out
}

/// The length of the text in quotes that it begins with.
fn string(text: &str) -> usize {
    let quote = text.chars().next().unwrap_or('"');
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// What stands in quotes, and between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(['"', '\'', '`']) {
        rest = &rest[at..];
        let length = string(rest);
        out.extend(rest.get(1..length.saturating_sub(1)));
        rest = &rest[length..];
    }
    out
}

fn without_quoted(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['"', '\'']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..][string(&rest[at..])..];
    }
    out + rest
}
