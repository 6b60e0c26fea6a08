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
    let asks = |word: &Word| word.is_one_of(&["--help", "--version"]);
    if rest.iter().take_while(|word| !word.is("--")).any(asks) {
        return false;
    }
    match name {
        "rm" | "unlink" | "rmdir" | "mv" | "mkfifo" | "mknod" | "tee" | "truncate" => {
            foreign(&operands(rest, &["-s"]))
        }
        "touch" => foreign(&operands(rest, &["-d", "-t", "-r"])),
        "mkdir" => foreign(&operands(rest, &["-m"])),
        "install" if rest.iter().any(|word| short(word, &['d'])) || has(&["--directory"]) => {
            foreign(&operands(rest, &["-m", "-o", "-g"]))
        }
        "chmod" | "chown" | "chgrp" | "setfacl" | "chattr" => {
            // `-x` takes a right away, and is no option.
            let all = operands(rest, &[]);
            let mode = all.first().is_some_and(|_| !rest.first().is_some_and(is_mode));
            foreign(&all[usize::from(mode).min(all.len())..])
        }
        "rsync" if tries(rest) => false,
        "sort" => named(rest, &["-o", "--output"], 'o').any(|file| !scratch(&file)),
        "find" => {
            let printed = |pair: &&[Word]| pair[0].is_one_of(&["-fprint", "-fprint0", "-fprintf", "-fls"]);
            foreign(&rest.windows(2).filter(printed).map(|pair| &pair[1]).collect::<Vec<_>>())
        }
        "cp" | "ln" | "install" | "scp" | "rsync" => {
            let all = operands(rest, &["-m", "-o", "-g", "-e", "-i", "-P", "-F", "--exclude", "--include"]);
            match value(rest, &["-t", "--target-directory"]) {
                Some(folder) => !scratch(folder),
                None => all.len() > 1 && last(&all),
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
        "curl" => {
            let by_itself = has(&["--remote-name", "--remote-name-all"])
                || rest.iter().any(|word| short(word, &['O']) && !word.start().starts_with("-o"));
            (by_itself && !here)
                || named(rest, &["-o", "--output"], 'o').any(|file| !file.is("-") && !scratch(&file))
        }
        "wget" => {
            let to = named(rest, &["-O", "--output-document"], 'O').next();
            let to = to.or_else(|| named(rest, &["-P", "--directory-prefix"], 'P').next());
            let stays = has(&["--spider", "--version", "--help"]);
            !stays && to.map_or(!here, |file| !file.is("-") && !scratch(&file))
        }
        _ => sets_up(name, rest, scratch),
    }
}

/// Programs that write keys, and what belongs to the machine.
fn sets_up(name: &str, rest: &[Word], scratch: &dyn Fn(&Word) -> bool) -> bool {
    let has = |flags: &[&str]| rest.iter().any(|word| word.is_one_of(flags));
    match name {
        "openssl" => {
            let out = named(rest, &["-out", "-keyout", "-writerand"], '\0').any(|file| !scratch(&file));
            out || (has(&["ca"]) && !has(&["-status", "-help"]))
        }
        "ssh-keygen" => {
            let looks = rest.iter().any(|word| short(word, &['l', 'F', 'y', 'L', 'B', 'Q', 'Y']));
            !looks && !named(rest, &["-f"], 'f').any(|file| scratch(&file))
        }
        "htpasswd" => !rest.iter().any(|word| short(word, &['n', 'v'])),
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

/// What the options name: behind one, joined to it (`--output=FILE`), or where short options stand in one word, of which
/// the last takes what is left of it, or the next: `-so FILE`, `-oFILE`.
fn named<'w>(rest: &'w [Word], flags: &'w [&str], last: char) -> impl Iterator<Item = Word> + 'w {
    rest.iter().enumerate().filter_map(move |(at, word)| {
        let next = || rest.get(at + 1).cloned();
        if word.is_one_of(flags) {
            return next();
        }
        let joined = flags.iter().filter(|flag| flag.starts_with("--")).map(|flag| format!("{flag}="));
        if let Some(prefix) = joined.into_iter().find(|prefix| word.start().starts_with(prefix)) {
            return Some(word.behind(&prefix));
        }
        let letters = word.start().strip_prefix('-').filter(|letters| !letters.starts_with('-'))?;
        let to = letters.find(|letter: char| letter == last || !letter.is_ascii_alphabetic())?;
        let before = &word.start()[..=to + last.len_utf8()];
        letters[to..]
            .starts_with(last)
            .then(|| if word.is(before) { next() } else { Some(word.behind(before)) })?
    })
}

/// Whether `rsync` says what it would do, and does nothing.
pub(super) fn tries(rest: &[Word]) -> bool {
    let short = |word: &Word| {
        let letters = word.start().strip_prefix('-').filter(|letters| !letters.starts_with('-'));
        // Behind these stands a value.
        letters.is_some_and(|letters| {
            letters.split(['e', 'f', 'B', 'M', 'T']).next().is_some_and(|own| own.contains('n'))
        })
    };
    rest.iter().take_while(|word| !word.is("--")).any(|word| word.is("--dry-run") || short(word))
}

/// Whether `sed` or `perl` writes the files that it reads: `-i`, `-Ei`, `-pi.bak`.
pub(super) fn is_in_place(name: &str, rest: &[Word]) -> bool {
    // What is left of a word behind these is their value.
    let takes = if name == "sed" { "efl" } else { "eEIMmxFCD" };
    rest.iter().take_while(|word| !word.is("--")).any(|word| {
        let letters = word.start().strip_prefix('-').filter(|letters| !letters.starts_with('-'));
        let own = letters.and_then(|letters| letters.split(|letter| takes.contains(letter)).next());
        word.start().starts_with("--in-place") || own.is_some_and(|own| own.contains('i'))
    })
}

/// The files that `sed` or `perl` rewrites: what stands behind its program.
pub(super) fn rewritten<'w>(name: &str, rest: &'w [Word]) -> Vec<&'w Word> {
    let code: &[char] = if name == "sed" { &['e'] } else { &['e', 'E'] };
    let given = rest.iter().any(|word| short(word, code) || word.start().starts_with("--expression"));
    let mut all = Vec::new();
    for (at, word) in rest.iter().enumerate().filter(|(_, word)| !word.is_option()) {
        if !(at > 0 && short(&rest[at - 1], code) && rest[at - 1].text().ends_with(code)) {
            all.push(word);
        }
    }
    all.split_off(usize::from(!given).min(all.len()))
}

/// `tar`: an archive that is written, or unpacked.
fn archive(rest: &[Word], here: bool, scratch: &dyn Fn(&Word) -> bool) -> bool {
    let Some(first) = rest.first() else { return false };
    let letters = |letter: char| {
        // Behind `f` stands the name of a file.
        let own = |word: &Word| word.start().split('f').next().is_some_and(|own| own.contains(letter));
        rest.iter().any(|word| short(word, &[letter]) && own(word))
            || (!first.is_option() && first.text().contains(letter))
    };
    let has = |flags: &[&str]| rest.iter().any(|word| word.is_one_of(flags));
    let old = rest.get(1).filter(|_| !first.is_option() && first.text().ends_with('f')).cloned();
    let file = old.or_else(|| named(rest, &["--file"], 'f').next());
    if letters('t') || has(&["--list"]) {
        false
    } else if letters('x') || has(&["--extract", "--get"]) {
        !letters('O')
            && !has(&["--to-stdout"])
            && value(rest, &["-C", "--directory"]).map_or(!here, |to| !scratch(to))
    } else {
        file.is_some_and(|file| !file.is("-") && !scratch(&file))
    }
}
