//! Programs that write files: which of their words name what they write.
//!
//! Owns the table. Whatever of it is scratch (see [`super::scratch`]) changes nothing.

use super::word::Word;
use super::wrapper::past_options;

/// Whether the program, with the words behind it, writes or removes a file that is not `scratch`. `here`: a file that
/// it names by itself, in its folder, would be scratch.
pub(super) fn writes(name: &str, rest: &[Word], here: bool, scratch: &dyn Fn(&Word) -> bool) -> bool {
    let has = |flags: &[&str]| rest.iter().any(|word| word.is_one_of(flags));
    let foreign = |words: &[&Word]| words.iter().any(|word| !scratch(word));
    let last = |words: &[&Word]| words.last().is_some_and(|word| !scratch(word));
    match name {
        "rm" | "unlink" | "rmdir" | "mv" | "mkfifo" | "mknod" | "tee" | "truncate" => {
            foreign(&operands(rest, &["-s"]))
        }
        "touch" => foreign(&operands(rest, &["-d", "-t", "-r"])),
        "mkdir" => foreign(&operands(rest, &["-m"])),
        "chmod" | "chown" | "chgrp" | "setfacl" | "chattr" => {
            // `-x` takes a right away, and is no option.
            let all = operands(rest, &[]);
            let mode = all.first().is_some_and(|_| !rest.first().is_some_and(is_mode));
            foreign(&all[usize::from(mode).min(all.len())..])
        }
        "cp" | "ln" | "install" | "scp" | "rsync" => {
            let all = operands(rest, &["-m", "-o", "-g", "-e", "-i", "-P", "-F", "--exclude", "--include"]);
            let into = value(rest, &["-t", "--target-directory"]);
            match into {
                Some(folder) => !scratch(folder),
                None => !has(&["-n", "--dry-run"]) && all.len() > 1 && last(&all),
            }
        }
        "gzip" | "gunzip" | "bzip2" | "bunzip2" | "xz" | "unxz" | "zstd" | "unzstd" => {
            let looks = rest.iter().any(|word| {
                word.is_one_of(&["--stdout", "--to-stdout", "--test", "--list"])
                    || short(word, &['c', 't', 'l'])
            });
            !looks && foreign(&operands(rest, &["-S", "-o"]))
        }
        "unzip" => {
            let looks = rest.iter().any(|word| short(word, &['l', 'p', 't', 'Z', 'v']));
            !looks && value(rest, &["-d"]).map_or(!here, |folder| !scratch(folder))
        }
        "tar" => archive(rest, here, scratch),
        "split" | "csplit" => {
            let all = operands(rest, &["-b", "-l", "-n", "-a", "-C"]);
            if all.len() < 2 { !here } else { last(&all) }
        }
        "patch" => !has(&["--dry-run"]) && !here,
        "curl" => fetched(rest, &["-o", "--output"], 'o').map_or_else(
            || {
                (has(&["--remote-name", "--remote-name-all"]) || rest.iter().any(|word| short(word, &['O'])))
                    && !here
            },
            |file| !file.is("-") && !scratch(file),
        ),
        "wget" => {
            let to = fetched(rest, &["-O", "--output-document"], 'O').or_else(|| value(rest, &["-P"]));
            let stays = has(&["--spider", "--version", "--help"])
                || rest.iter().any(|word| word.is("-qO-") || word.is("-O-"));
            !stays && to.map_or(!here, |file| !file.is("-") && !scratch(file))
        }
        "crontab" => !has(&["-l"]),
        "at" | "batch" => !has(&["-l", "-c"]),
        "useradd" | "usermod" | "groupadd" | "groupmod" | "chpasswd" | "adduser" | "addgroup" => true,
        "passwd" => !has(&["-S", "--status"]),
        "sysctl" => {
            has(&["-w", "-p", "--write", "--load", "--system"])
                || rest.iter().any(|word| word.text().contains('='))
        }
        "mount" => !operands(rest, &["-t", "-o"]).is_empty(),
        _ => false,
    }
}

/// The words that are neither options nor values of those.
fn operands<'w>(rest: &'w [Word], with_value: &[&str]) -> Vec<&'w Word> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < rest.len() {
        if rest[at].is("--") {
            all.extend(&rest[at + 1..]);
            break;
        }
        let next = past_options(rest, at, with_value);
        if next == at {
            all.push(&rest[at]);
            at += 1;
        } else {
            at = next.min(rest.len());
        }
    }
    all
}

/// A file mode that looks like an option: `-x`, `-rwx`.
fn is_mode(word: &Word) -> bool {
    let text = word.text();
    text.len() > 1 && text.starts_with('-') && text[1..].chars().all(|c| "rwxXst".contains(c))
}

/// Short options in one word, one of which is among these.
fn short(word: &Word, flags: &[char]) -> bool {
    let start = word.start();
    start.starts_with('-') && !start.starts_with("--") && start[1..].contains(flags)
}

/// What stands behind one of the flags, or joined to a long one.
fn value<'w>(rest: &'w [Word], flags: &[&str]) -> Option<&'w Word> {
    let at = rest.iter().position(|word| word.is_one_of(flags))?;
    rest.get(at + 1)
}

/// The same where short options stand in one word, of which the last takes the next: `-so FILE`.
fn fetched<'w>(rest: &'w [Word], flags: &[&str], last: char) -> Option<&'w Word> {
    value(rest, flags).or_else(|| {
        let at = rest.iter().position(|word| {
            let text = word.text();
            text.len() > 2 && short(word, &[last]) && text.ends_with(last)
        })?;
        rest.get(at + 1)
    })
}

/// `tar`: an archive that is written, or unpacked.
fn archive(rest: &[Word], here: bool, scratch: &dyn Fn(&Word) -> bool) -> bool {
    let Some(first) = rest.first() else { return false };
    let letters = |letter: char| {
        rest.iter().any(|word| short(word, &[letter]))
            || (!first.is_option() && first.text().contains(letter))
    };
    let has = |flags: &[&str]| rest.iter().any(|word| word.is_one_of(flags));
    let file = rest.iter().position(|word| {
        let bundle = word.text();
        word.is("--file") || (bundle.ends_with('f') && (short(word, &['f']) || std::ptr::eq(word, first)))
    });
    let file = file.and_then(|at| rest.get(at + 1));
    if letters('t') || has(&["--list"]) {
        false
    } else if letters('x') || has(&["--extract", "--get"]) {
        !letters('O')
            && !has(&["--to-stdout"])
            && value(rest, &["-C", "--directory"]).map_or(!here, |to| !scratch(to))
    } else {
        file.is_some_and(|file| !file.is("-") && !scratch(file))
    }
}
