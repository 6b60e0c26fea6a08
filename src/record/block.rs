//! What travels between two machines: the text of a decision on its way to whoever signs it, and back with the
//! signature.
//!
//! Owns how it is framed, and how it is found in what somebody pasted: quoted, indented, with lines of other people
//! round it. It trusts nothing: what comes out is read strictly by [`super::approval`] and [`super::sshsig`].

/// Frame of a text that waits for its signature. A signed one needs none: it ends in the signature.
pub const BEGIN: &str = "-----BEGIN CONSIGNE APPROVAL-----";
pub const END: &str = "-----END CONSIGNE APPROVAL-----";

const FIRST: &str = "consigne-approval: ";
const LAST: &str = "how: ";
const ARMOR: [&str; 2] = ["-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"];

/// What was found in a paste, each line without what chat put before and behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    pub text: Option<String>,
    pub armor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("neither the text of a decision nor an SSH signature was found")]
    Nothing,
    #[error("{0} was found twice, and not the same")]
    Several(&'static str),
    #[error("line {line}: {what} begins here and has no end")]
    BreaksOff { what: &'static str, line: usize },
}

const TEXT: &str = "the text of a decision";
const SIGNATURE: &str = "an SSH signature";

impl Found {
    /// # Errors
    /// There is nothing, or not all of it, or something else too.
    pub fn in_paste(pasted: &str) -> Result<Self, Unfit> {
        let lines: Vec<&str> = pasted.lines().map(str::trim_end).collect();
        let (mut found, mut at) = (Self::default(), 0);
        while at < lines.len() {
            let begins = |mark: &str| lines[at].find(mark).filter(|from| is_quoting(&lines[at][..*from]));
            let (place, what, from) = if let Some(from) = begins(FIRST) {
                (&mut found.text, TEXT, from)
            } else if let Some(from) = begins(ARMOR[0]) {
                (&mut found.armor, SIGNATURE, from)
            } else {
                at += 1;
                continue;
            };
            let quote = &lines[at][..from];
            let ends = |line: &str| if what == TEXT { line.starts_with(LAST) } else { line == ARMOR[1] };
            let whole: Vec<&str> = lines[at..].iter().map(|line| unquoted(line, quote)).collect();
            // Not beyond the beginning of anything else.
            let next = |line: &&str| line.starts_with("-----") || line.starts_with(FIRST);
            let reach = whole.iter().skip(1).position(|line| next(line) || ends(line)).map(|end| end + 1);
            let end = reach.filter(|end| ends(whole[*end]));
            let end = end.ok_or(Unfit::BreaksOff { what, line: at + 1 })?;
            let piece = if what == TEXT { unfolded(&whole[..=end]) } else { whole[..=end].join("\n") + "\n" };
            if place.replace(piece.clone()).is_some_and(|earlier| earlier != piece) {
                return Err(Unfit::Several(what));
            }
            at += end + 1;
        }
        if found == Self::default() { Err(Unfit::Nothing) } else { Ok(found) }
    }
}

const KEYS: [&str; 15] = [
    "consigne-approval",
    "run",
    "runbook",
    "mode",
    "org",
    "step",
    "ask",
    "head",
    "nonce",
    "expires",
    "shown",
    "decision",
    "comment",
    "who",
    "how",
];

/// Lines that were copied off a screen may be cut at its edge. Where that was not all, the strict reader says so, or
/// the signature.
fn unfolded(lines: &[&str]) -> String {
    let mut out = String::new();
    for line in lines {
        let begins = line.split_once(':').is_some_and(|(key, _)| KEYS.contains(&key));
        if begins && !out.is_empty() {
            out.push('\n');
        }
        out.push_str(line);
    }
    out + "\n"
}

/// What chat and mail put before a line that is quoted.
fn is_quoting(before: &str) -> bool {
    before.chars().all(|c| matches!(c, ' ' | '\t' | '>' | '|' | '│' | '┃' | '\u{a0}' | '\u{feff}'))
}

/// The line without its quoting. A line that is quoted otherwise stays as it is, for the strict reader to refuse.
fn unquoted<'a>(line: &'a str, quote: &str) -> &'a str {
    line.strip_prefix(quote).or_else(|| line.strip_prefix(quote.trim_end())).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::super::approval::tests::approval;
    use super::*;
    use proptest::prelude::*;

    const SIG: &str = "-----BEGIN SSH SIGNATURE-----\nAAAA\nBBBB\n-----END SSH SIGNATURE-----\n";

    #[test]
    fn a_block_is_found_however_it_was_pasted() {
        let text = approval().text();
        let signed = format!("{text}{SIG}");
        for framed in [
            signed.clone(),
            format!("> bob, please?\n{BEGIN}\n{text}{END}\nthanks\n{SIG}"),
            signed.replace('\n', "\r\n"),
            signed.lines().map(|line| format!("> > {line}\n")).collect(),
            signed.lines().map(|line| format!("    {line}   \n")).collect(),
            format!("{signed}{signed}"),
            signed.replace("ababab", "ab\nabab"),
            format!("﻿{}", signed.trim_end()),
        ] {
            let found = Found::in_paste(&framed).unwrap();
            assert_eq!(found.text.as_deref(), Some(text.as_str()), "{framed}");
            assert_eq!(found.armor.as_deref(), Some(SIG), "{framed}");
        }
        assert_eq!(Found::in_paste(&text).unwrap().armor, None);
        assert_eq!(Found::in_paste(SIG).unwrap().text, None);
    }

    #[test]
    fn half_a_block_and_two_blocks_are_refused() {
        let text = approval().text();
        let other = text.replace("who: alice", "who: bob");
        assert_eq!(Found::in_paste("hello\n"), Err(Unfit::Nothing));
        assert_eq!(Found::in_paste(&format!("{text}{other}")), Err(Unfit::Several(TEXT)));
        let cut = text.replace("how: ssh-key\n", "");
        assert_eq!(Found::in_paste(&format!("\n{cut}")), Err(Unfit::BreaksOff { what: TEXT, line: 2 }));
        assert_eq!(Found::in_paste(&format!("{cut}{text}")), Err(Unfit::BreaksOff { what: TEXT, line: 1 }));
        let cut = SIG.replace("-----END", "");
        assert_eq!(Found::in_paste(&cut), Err(Unfit::BreaksOff { what: SIGNATURE, line: 1 }));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "(> )?(consigne-approval: |how: |-----BEGIN SSH SIGNATURE-----|[a-z>é\n ]){0,12}") {
            let _ = Found::in_paste(&noise);
        }
    }
}
