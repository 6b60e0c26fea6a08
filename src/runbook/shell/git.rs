//! What `git` does to a repository, and to those of others.

use super::danger::Level;
use super::word::Word;
use super::wrapper::past_options;

/// Verbs that write, whatever stands behind them.
#[rustfmt::skip]
const WRITES: [&str; 30] = [
    "add", "am", "apply", "bisect", "checkout", "cherry-pick", "clone", "commit", "filter-branch", "gc", "init", "merge",
    "mv", "pull", "push", "rebase", "remote", "repack", "replace", "reset", "restore", "revert", "rm", "stash", "submodule",
    "switch", "tag", "update-index", "update-ref", "worktree",
];
const TRIES: [&str; 7] = ["-n", "--dry-run", "--check", "--stat", "--numstat", "-l", "--list"];

/// `scratch`: whether a folder is nobody's.
pub(super) fn git(rest: &[Word], scratch: &dyn Fn(&Word) -> bool) -> Option<(Level, &'static str)> {
    let at = past_options(rest, 0, &["-C", "-c", "--git-dir", "--work-tree"]);
    let (verb, own) = (rest.get(at)?.whole()?, &rest[at + 1..]);
    let has = |texts: &[&str]| own.iter().any(|word| word.is_one_of(texts));
    let begins = |text: &str| own.iter().any(|word| word.start().starts_with(text));
    if verb == "push" {
        let forced = has(&["-f", "--mirror", "--delete", "-d", "--prune"])
            || ["--force", "+", ":"].into_iter().any(begins);
        let level = if forced { (Level::Removes, "push --force") } else { (Level::Changes, "push") };
        return Some(level).filter(|_| !has(&["-n", "--dry-run"]));
    }
    if is_own(&verb, &rest[..at], own, scratch) {
        return None;
    }
    let tries = has(&TRIES);
    let plain = own.iter().filter(|word| !word.is_option()).count();
    match verb.as_str() {
        "reset" if has(&["--hard"]) => Some((Level::Removes, "reset --hard")),
        "clean" if tries => None,
        "clean" if begins("-f") || begins("-d") || begins("-x") || has(&["--force"]) => {
            Some((Level::Removes, "clean"))
        }
        "branch" if has(&["-D", "-d", "--delete"]) => Some((Level::Removes, "branch -D")),
        "branch" if plain > 0 && !begins("-") => Some((Level::Changes, "branch")),
        "tag" if has(&["-d", "--delete"]) => Some((Level::Removes, "tag -d")),
        "stash" if has(&["drop", "clear"]) => Some((Level::Removes, "stash drop")),
        "filter-branch" | "filter-repo" => Some((Level::Removes, "filter-branch")),
        "gc" if begins("--prune") => Some((Level::Removes, "gc --prune")),
        "config" if plain > 1 && !begins("--get") => Some((Level::Changes, "config")),
        verb if tries || asks(verb, own) => None,
        verb => WRITES.into_iter().find(|name| *name == verb).map(|name| (Level::Changes, name)),
    }
}

/// Whether all that is written is a copy of a repository that is nobody's.
fn is_own(verb: &str, before: &[Word], own: &[Word], scratch: &dyn Fn(&Word) -> bool) -> bool {
    let folder = before.windows(2).find(|pair| pair[0].is("-C")).map(|pair| &pair[1]);
    let target = own.iter().rfind(|word| !word.is_option()).filter(|_| verb == "clone");
    [folder, target].into_iter().flatten().any(scratch) || (folder.is_none() && scratch(&Word::literal("x")))
}

/// Verbs that only look, as they are called here.
fn asks(verb: &str, own: &[Word]) -> bool {
    let first = own.iter().find(|word| !word.is_option());
    match verb {
        "tag" | "remote" => first.is_none_or(|word| word.is_one_of(&["show", "get-url"])),
        "submodule" if first.is_none() => true,
        "stash" | "worktree" | "submodule" | "bisect" => {
            first.is_some_and(|word| word.is_one_of(&["list", "show", "status", "summary", "log"]))
        }
        _ => false,
    }
}
