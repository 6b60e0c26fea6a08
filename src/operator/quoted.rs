//! A text as bash takes it: one word on one line, whatever it holds. Pure.
//!
//! For command lines that people copy. Nothing of the text is left out or replaced, so the word that is handed over is
//! the text itself; what a terminal would obey stands as the code of its bytes.

use std::fmt::Write;

use super::line::is_unsafe;

pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if !text.chars().any(is_unsafe) {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let mut out = String::from("$'");
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\\' | '\'' => out.extend(['\\', c]),
            c if is_unsafe(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bash_takes_it_as_one_word() {
        for text in [
            "",
            "a b",
            "it's",
            "'; touch /tmp/x; '",
            "a\nb'c\\",
            "\u{1b}[2J\r\u{202e}x",
            "\u{85}é\t$(id)",
            "{a,b}",
        ] {
            let line = quoted(text);
            assert!(!line.chars().any(is_unsafe), "{line:?}");
            let script = format!("printf '%s.' {line}");
            let said = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(said.stdout).unwrap(), format!("{text}."), "{line}");
        }
    }
}
