//! Programs that run other programs: `sudo`, `timeout`, `xargs`, `find -exec`, `kubectl exec`.
//!
//! Owns where in the words of a command programs are named. Where that cannot be told exactly, too many places are
//! named rather than too few.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::reader::WORDS;
use super::word::Word;

/// How a wrapper is called: its options, so many words of its own, then the program.
struct Wrapper {
    names: &'static [&'static str],
    with_value: &'static [&'static str],
    own: usize,
}

const fn wrapper(names: &'static [&'static str], with_value: &'static [&'static str], own: usize) -> Wrapper {
    Wrapper { names, with_value, own }
}

const WRAPPERS: &[Wrapper] = &[
    wrapper(
        &["sudo", "doas"],
        &["-u", "-g", "-h", "-p", "-C", "-T", "-R", "-D", "-r", "-t", "-U", "--user", "--group"],
        0,
    ),
    wrapper(&["env"], &["-u", "--unset", "-C", "--chdir"], 0),
    wrapper(
        &[
            "nohup",
            "setsid",
            "command",
            "builtin",
            "coproc",
            "unbuffer",
            "busybox",
            "toybox",
            "chronic",
            "rlwrap",
            "eatmydata",
            "fakeroot",
            "xvfb-run",
            "dbus-run-session",
            "proxychains",
            "torsocks",
            "linux64",
            "!",
            "then",
            "do",
        ],
        &[],
        0,
    ),
    wrapper(&["runuser"], &["-u", "-g", "-G", "-l", "-s", "-w", "--user", "--group"], 0),
    wrapper(&["setpriv"], &["--reuid", "--regid", "--groups", "--inh-caps", "--bounding-set"], 0),
    wrapper(&["gosu", "su-exec", "runcon", "s6-setuidgid"], &["-t", "-u", "-r"], 1),
    wrapper(&["chpst"], &["-u", "-U", "-e", "-b", "-m", "-d", "-n"], 0),
    wrapper(&["sshpass"], &["-p", "-f", "-d", "-P"], 0),
    wrapper(&["cpulimit"], &["-l", "-p", "-e", "--limit"], 0),
    wrapper(&["prlimit", "firejail", "numactl"], &["--pid"], 0),
    wrapper(&["exec"], &["-a"], 0),
    wrapper(&["time"], &["-o", "-f", "--output", "--format"], 0),
    wrapper(&["nice", "chrt"], &["-n", "--adjustment"], 0),
    wrapper(&["ionice"], &["-c", "-n", "-p", "--class", "--classdata"], 0),
    wrapper(&["timeout"], &["-s", "-k", "--signal", "--kill-after"], 1),
    wrapper(&["stdbuf"], &["-i", "-o", "-e"], 0),
    wrapper(&["chroot", "taskset"], &["-c"], 1),
    wrapper(&["flock"], &["-w", "-E", "--timeout", "--wait", "--conflict-exit-code"], 1),
    wrapper(&["strace", "ltrace"], &["-e", "-o", "-p", "-s"], 0),
    wrapper(&["unshare", "nsenter"], &["-t", "--target", "-S", "-G"], 0),
    wrapper(&["systemd-run"], &["-p", "-u", "--unit", "--property", "--uid", "--gid", "-E", "--setenv"], 0),
    wrapper(
        &["xargs"],
        &["-I", "-n", "-P", "-L", "-d", "-E", "-s", "-a", "--max-args", "--max-procs", "--delimiter"],
        0,
    ),
];

static BY_NAME: LazyLock<BTreeMap<&str, &Wrapper>> = LazyLock::new(|| {
    let named = |wrapper: &'static Wrapper| wrapper.names.iter().map(move |name| (*name, wrapper));
    WRAPPERS.iter().flat_map(named).collect()
});

/// Programs that start another one in a place of their own.
const ELSEWHERE: [&str; 9] =
    ["kubectl", "oc", "docker", "podman", "nerdctl", "lxc", "vagrant", "gcloud", "docker-compose"];
const ENTRANCES: [&str; 4] = ["exec", "run", "ssh", "--"];

/// Places of the names of programs, in order: the first word, and whatever it runs.
pub(super) fn programs(words: &[Word]) -> Vec<usize> {
    let words = &words[..words.len().min(WORDS)];
    let (mut found, mut open) = (BTreeSet::new(), vec![0]);
    while let Some(at) = open.pop() {
        if at >= words.len() || !found.insert(at) {
            continue;
        }
        // What a program runs stands behind it, so this ends.
        open.extend(run_by(words, at));
    }
    found.into_iter().collect()
}

/// Whether that program is run for each of many things that nobody listed.
pub(super) fn is_repeated(words: &[Word], program: usize) -> bool {
    words[..program].iter().any(|word| word.program().is_some_and(|name| name == "xargs" || name == "find"))
}

/// Whether that word is a wrapper, whose options stand before the program.
pub(super) fn is_wrapper(name: &str) -> bool {
    BY_NAME.contains_key(name)
}

fn run_by(words: &[Word], at: usize) -> Vec<usize> {
    let Some(name) = words[at].program() else { return Vec::new() };
    let behind = at + 1..words.len();
    if name == "find" {
        const RUNS: [&str; 4] = ["-exec", "-execdir", "-ok", "-okdir"];
        return behind.filter(|at| words[*at].is_one_of(&RUNS)).map(|at| at + 1).collect();
    }
    if ELSEWHERE.contains(&name.as_ref()) {
        let Some(entrance) = behind.clone().find(|at| words[*at].is_one_of(&ENTRANCES)) else {
            return Vec::new();
        };
        if let Some(border) = (entrance..words.len()).find(|at| words[*at].is("--")) {
            return vec![border + 1];
        }
        // The program stands somewhere behind options and a name that cannot be told apart from here.
        return (entrance + 2..words.len())
            .filter(|at| !words[*at].is_option() && words[*at].whole().is_some())
            .collect();
    }
    let Some(wrapper) = BY_NAME.get(name.as_ref()) else {
        return Vec::new();
    };
    let mut next = past_options(words, at + 1, wrapper.with_value);
    if name == "env" || name == "sudo" || name == "doas" {
        while words.get(next).is_some_and(|word| is_assignment(word.start())) {
            next += 1;
        }
    }
    vec![next + wrapper.own]
}

/// The first word from `at` on that is no option and no value of one.
pub(super) fn past_options(words: &[Word], mut at: usize, with_value: &[&str]) -> usize {
    while let Some(word) = words.get(at) {
        if word.is("--") {
            return at + 1;
        }
        if !word.is_option() {
            return at;
        }
        at += if word.is_one_of(with_value) { 2 } else { 1 };
    }
    at
}

fn is_assignment(text: &str) -> bool {
    let Some((name, _)) = text.split_once('=') else { return false };
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &str) -> Vec<String> {
        let words: Vec<Word> = line.split(' ').map(Word::literal).collect();
        programs(&words).into_iter().map(|at| words[at].text()).collect()
    }

    #[test]
    fn wrappers_are_seen_through() {
        assert_eq!(names("rm -rf x"), ["rm"]);
        assert_eq!(
            names("sudo -u root -- env A=b timeout -k 1 5s nice -n 3 rm x"),
            ["sudo", "env", "timeout", "nice", "rm"]
        );
        assert_eq!(names("xargs -0 -I {} rm {}"), ["xargs", "rm"]);
        assert_eq!(names("find . -name x -exec rm {} ; -okdir mv {} ;"), ["find", "rm", "mv"]);
        assert_eq!(names("kubectl -n x exec pod -- psql -c y"), ["kubectl", "psql"]);
        assert!(names("docker exec -u root db psql -c y").contains(&"psql".to_owned()));
        assert_eq!(names("sudo"), ["sudo"]);
        assert_eq!(names("timeout 5"), ["timeout"]);
    }
}
