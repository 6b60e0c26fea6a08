//! Programs that take code, or the name of what they run or load, from their options: interpreters, clients, editors,
//! and tools with an option that starts another program.
//!
//! Owns the tables. Which words of a command that makes code of, [`super::reader`] says.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::word::Word;

/// An interpreter of a language.
pub(super) struct Interpreter {
    names: &'static [&'static str],
    /// Options behind which code stands.
    pub(super) code: &'static [&'static str],
    /// What the name of the program itself stands behind, where it is not the first word that is no option.
    pub(super) runs: &'static [&'static str],
    /// Options behind which the name of more code stands.
    pub(super) loads: &'static [&'static str],
    /// Options behind which something else stands.
    pub(super) with_value: &'static [&'static str],
    /// Short options that may stand in one word before the one for code, which is the last of them.
    pub(super) plain: &'static str,
}

const NO: &[&str] = &[];

#[rustfmt::skip]
const INTERPRETERS: &[Interpreter] = &[
    of(&["python", "pypy"], &["-c"], &["-m"], NO, &["-W", "-X"], "bBdEhiIOqsSuvPx"),
    of(&["perl"], &["-e", "-E"], NO, &["-M", "-m", "-I"], NO, "acflnpstTuUwWX0123456789"),
    of(&["ruby"], &["-e"], NO, &["-r", "-I"], NO, "aclnpsSvwWy0123456789"),
    of(&["node", "nodejs"], &["-e", "--eval", "-p", "--print"], NO,
        &["-r", "--require", "--import", "--loader", "--experimental-loader"], NO, "ip"),
    of(&["deno", "bun"], &["-e", "--eval", "-p", "--print", "eval"], &["run", "x"], NO, NO, ""),
    of(&["php"], &["-r", "-R", "-B", "-E", "--run"], &["-f", "--file"], &["-d", "-z"], &["-c"], "nqs"),
    of(&["lua", "luajit"], &["-e"], NO, &["-l"], NO, "iEvW"),
    of(&["tclsh", "wish", "guile"], &["-c", "-e"], &["-s"], &["-l"], NO, ""),
    of(&["expect"], &["-c"], &["-f"], NO, NO, ""),
    of(&["R", "Rscript"], &["-e"], &["-f", "--file"], NO, NO, ""),
    of(&["julia"], &["-e", "-E", "--eval", "--print"], NO, &["-L", "--load"], NO, ""),
    of(&["pwsh", "powershell"], &["-c", "-Command", "-command", "-EncodedCommand"], &["-f", "-File", "-file"],
        NO, NO, ""),
    of(&["osascript", "groovy", "scala", "elixir"], &["-e", "--eval"], NO, &["-r"], &["-l"], ""),
    of(&["octave"], &["--eval"], NO, NO, NO, ""),
    of(&["erl"], &["-eval"], &["-s", "-run"], NO, NO, ""),
    of(&["m4"], &["-D", "--define"], NO, &["-R"], &["-I"], ""),
    of(&["java"], NO, &["-jar"], &["-javaagent"], &["-cp", "-classpath", "-p"], ""),
    of(&["npx", "bunx"], NO, NO, &["-p", "--package"], NO, ""),
];

const fn of(
    names: &'static [&'static str],
    code: &'static [&'static str],
    runs: &'static [&'static str],
    loads: &'static [&'static str],
    with_value: &'static [&'static str],
    plain: &'static str,
) -> Interpreter {
    Interpreter { names, code, runs, loads, with_value, plain }
}

/// The interpreter of that name, whatever its version: `python3.11`.
pub(super) fn interpreter(name: &str) -> Option<&'static Interpreter> {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    INTERPRETERS.iter().find(|own| own.names.contains(&name) || own.names.contains(&bare))
}

/// Programs, and their options behind which code stands, or what they run.
const OPTIONS: &[(&[&str], &[&str])] = &[
    (&["ssh"], &["-F", "-I"]),
    (&["scp", "sftp"], &["-F", "-S", "-D"]),
    (&["sftp"], &["-b"]),
    (&["rsync"], &["-e", "--rsh", "--rsync-path"]),
    (
        &["tar"],
        &[
            "-I",
            "--use-compress-program",
            "--to-command",
            "--checkpoint-action",
            "--rsh-command",
            "--rmt-command",
            "-F",
            "--info-script",
            "--new-volume-script",
        ],
    ),
    (
        &["git"],
        &[
            "--exec-path",
            "--config-env",
            "--config",
            "--upload-pack",
            "--receive-pack",
            "--exec",
            "--extcmd",
            "--open-files-in-pager",
        ],
    ),
    (&["sort"], &["--compress-program"]),
    (&["split"], &["--filter"]),
    (&["curl"], &["-K", "--config"]),
    (&["wget"], &["-e", "--execute", "--config", "--use-askpass"]),
    (&["env"], &["-S", "--split-string"]),
    (&["man"], &["-P", "--pager", "-H"]),
    (&["zip"], &["-TT", "--unzip-command"]),
    (&["vi", "vim", "nvim", "view", "ex"], &["-c", "--cmd", "-S", "-s", "-u", "+"]),
    (&["emacs"], &["--eval", "-eval", "-f", "--funcall", "-l", "--load"]),
    (&["gdb"], &["-ex", "-iex", "-x", "-ix", "--eval-command", "--command"]),
    (&["dc"], &["-e", "-f", "--expression", "--file"]),
    (&["rg"], &["--pre", "--hostname-bin"]),
    (&["fzf"], &["--preview", "--bind"]),
    (&["tcpdump"], &["-z"]),
    (&["ssh-keygen"], &["-D", "-w"]),
    (&["nmap"], &["--script"]),
    (&["nc", "ncat", "netcat"], &["-e", "-c", "--exec", "--sh-exec", "--lua-exec"]),
    (&["strace", "ltrace"], &["-o"]),
    (&["rpm"], &["-E", "--eval", "-D", "--define", "--pipe"]),
    (&["apt", "apt-get"], &["-c", "--config-file"]),
    (&["helm"], &["--post-renderer"]),
    (&["gcloud"], &["--command"]),
    (&["az"], &["--scripts"]),
    (&["fly", "flyctl"], &["-C", "--command"]),
    (&["ansible"], &["-a", "--args", "-e", "--extra-vars"]),
    (&["ansible-playbook"], &["-e", "--extra-vars"]),
    (&["at"], &["-f"]),
    (&["mutt"], &["-e"]),
    (&["su", "runuser"], &["--session-command", "-s", "--shell"]),
    (&["start-stop-daemon"], &["-x", "--exec", "-a", "--startas"]),
    (&["sed", "gsed"], &["-f", "--file"]),
    (
        &["awk", "gawk", "mawk", "nawk"],
        &["-e", "--source", "-i", "--include", "-l", "--load", "-E", "--exec", "--file"],
    ),
    (&["jq", "yq"], &["-f", "--from-file", "-L"]),
    (&["psql"], &["-f", "--file"]),
    (&["cqlsh"], &["-e", "--execute", "-f", "--file"]),
    (&["clickhouse", "clickhouse-client"], &["-q", "--query", "--queries-file"]),
    (&["sqlcmd"], &["-Q", "-q", "-i"]),
    (&["influx"], &["-execute", "--execute"]),
    (&["duckdb", "sqlite3"], &["-c", "-cmd", "-init"]),
    (&["snowsql"], &["-q", "--query", "-f"]),
    (&["dolt"], &["-q", "--query"]),
    (&["trino", "presto"], &["--execute", "-f", "--file"]),
    (&["hive", "beeline", "spark-sql"], &["-e", "-f"]),
    (&["impala-shell"], &["-q", "--query", "-f"]),
    (&["mongosh", "mongo"], &["--eval", "-f", "--file"]),
    (&["redis-cli", "valkey-cli"], &["--eval"]),
];

/// Every program whose options or verbs take code or settings: of most that are called, there are none.
static TAKING: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let by_option = OPTIONS.iter().flat_map(|(programs, _)| *programs);
    let by_setting = SETTINGS.iter().flat_map(|(programs, ..)| *programs);
    by_option.chain(by_setting).copied().chain(VERBS.iter().map(|(program, _)| *program)).collect()
});

/// Whether any option or verb of the program takes code or settings.
pub(super) fn takes_code(name: &str) -> bool {
    TAKING.contains(name)
}

/// The options of a program behind which code stands.
pub(super) fn code_options(name: &str) -> impl Iterator<Item = &'static str> {
    let own = OPTIONS.iter().filter(move |(names, _)| names.contains(&name));
    own.flat_map(|(_, options)| options.iter().copied())
}

/// Options that take any setting, and what is in the name of those that run something.
const SETTINGS: &[(&[&str], &str, &[&str])] = &[
    (&["ssh", "scp", "sftp"], "-o", &["command", "provider", "include", "match", "xauth"]),
    (
        &["git"],
        "-c",
        &[
            "pager", "editor", "command", "hook", "alias", "external", "helper", "program", "cmd", "include",
            "textconv", "monitor", "pack", "driver", "process", "clean", "smudge", "askpass", "exec",
            "allow", "url",
        ],
    ),
    (&["apt", "apt-get"], "-o", &["invoke", "bin", "options", "dir", "install-pkgs"]),
];

/// Which option of the program takes settings; whether one that begins so could run something.
pub(super) fn settings(name: &str) -> Option<(&'static str, impl Fn(&Word) -> bool + use<>)> {
    let (_, option, keys) = SETTINGS.iter().find(|(names, ..)| names.contains(&name))?;
    let runs = |word: &Word| {
        let start = word.start().trim_start_matches(*option);
        let key = start.split_once(['=', ' ']).map(|(key, _)| key.to_ascii_lowercase());
        key.is_none_or(|key| keys.iter().any(|part| key.contains(part)))
    };
    Some((option, runs))
}

/// Words behind which all that follows is code, by program.
const VERBS: &[(&str, &[&str])] = &[
    ("npm", &["exec"]),
    ("bq", &["query"]),
    ("influx", &["query"]),
    ("heroku", &["run"]),
    ("salt", &["cmd.run", "cmd.shell"]),
    ("redis-cli", &["eval", "EVAL", "script", "SCRIPT", "function", "FUNCTION"]),
    ("valkey-cli", &["eval", "EVAL", "script", "SCRIPT", "function", "FUNCTION"]),
];

/// The words of a program behind which all that follows is code.
pub(super) fn code_verbs(name: &str) -> &'static [&'static str] {
    VERBS.iter().find(|(program, _)| *program == name).map_or(&[], |(_, verbs)| verbs)
}

/// Programs that read their standard input as code unless they are told it otherwise.
#[rustfmt::skip]
const TOLD: [&str; 20] = [
    "psql", "mysql", "mariadb", "mongosh", "mongo", "cockroach", "cqlsh", "clickhouse-client", "sqlcmd",
    "snowsql", "duckdb", "trino", "presto", "hive", "beeline", "spark-sql", "isql", "tsql", "sqlplus", "influx",
];

/// Whether what it reads there is code to it, where neither its options nor its arguments are.
pub(super) fn is_told(name: &str) -> bool {
    TOLD.contains(&name)
}

/// Variables by which a program, or what it loads, is chosen.
pub fn steers(name: &str) -> bool {
    const STEERING: [&str; 24] = [
        "PATH",
        "IFS",
        "ENV",
        "BASH_ENV",
        "PS4",
        "PROMPT_COMMAND",
        "SHELLOPTS",
        "BASHOPTS",
        "CDPATH",
        "GLOBIGNORE",
        "EDITOR",
        "VISUAL",
        "PAGER",
        "BROWSER",
        "PERL5OPT",
        "PERL5LIB",
        "PYTHONSTARTUP",
        "PYTHONPATH",
        "NODE_OPTIONS",
        "RUBYOPT",
        "RUBYLIB",
        "SHELL",
        "HOME",
        "EXECIGNORE",
    ];
    STEERING.contains(&name)
        || name.starts_with("LD_")
        || (name.starts_with("GIT_")
            && !["GIT_AUTHOR_", "GIT_COMMITTER_"].iter().any(|who| name.starts_with(who)))
        || name.starts_with("BASH_")
}
