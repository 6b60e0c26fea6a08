//! Bytes of a terminal as keys. Pure.
//!
//! The keys are rustyline's; its own decoder is part of its terminal layer, which is not used here (see
//! `terminal.rs`). What is pasted never acts as keys: it comes as one piece when it has ended, of which only the
//! first line counts, so that pasted line breaks answer nothing.

use rustyline::{KeyCode, KeyEvent, Modifiers};

/// What a byte completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Key(KeyEvent),
    Pasted(Pasted),
}

/// A text that was pasted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pasted {
    /// Its first line.
    pub line: String,
    /// There was more than can be taken.
    pub more: bool,
    broken: bool,
}

/// What is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Keys {
    partial: Vec<u8>,
    escape: Option<Vec<u8>>,
    /// Nothing has followed the byte of Escape for a while.
    lone: bool,
    paste: Option<Pasted>,
}

const ESC: u8 = 0x1b;
/// No sequence that means anything is longer.
const LONGEST: usize = 16;
/// What one line can be, in bytes. A paste is not kept beyond it.
pub(super) const ROOM: usize = 4096;

impl Keys {
    pub fn feed(&mut self, byte: u8) -> Option<Typed> {
        if std::mem::take(&mut self.lone) && byte != b'[' {
            self.escape = None;
        }
        let key = if byte == ESC || self.escape.is_some() {
            self.escaped(byte)?
        } else {
            KeyEvent::from(self.character(byte)?)
        };
        match (self.paste.as_mut(), key.0) {
            (None, KeyCode::BracketedPasteStart) => self.paste = Some(Pasted::default()),
            (None, KeyCode::BracketedPasteEnd) => {}
            (None, _) => return Some(Typed::Key(key)),
            (Some(_), KeyCode::BracketedPasteEnd) => return self.paste.take().map(Typed::Pasted),
            // Terminals keep it out of what they paste; were the end of a paste lost, it is the way out.
            (Some(_), _) if key == KeyEvent::ctrl('C') => {
                self.paste = None;
                return Some(Typed::Key(key));
            }
            (Some(paste), _) => paste.take(key),
        }
        None
    }

    /// A pause in the input: what looked like the beginning of a sequence was the key Escape itself, unless a slow
    /// line has torn the two apart.
    pub fn pause(&mut self) {
        self.lone = self.escape.as_ref().is_some_and(Vec::is_empty);
    }

    /// A paste has begun and not ended.
    pub fn is_pasting(&self) -> bool {
        self.paste.is_some()
    }

    /// One UTF-8 sequence at a time; what is none is dropped.
    fn character(&mut self, byte: u8) -> Option<char> {
        if !(0x80..0xc0).contains(&byte) {
            self.partial.clear();
        }
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(text) => {
                let character = text.chars().next();
                self.partial.clear();
                character
            }
            Err(error) => {
                if error.error_len().is_some() {
                    self.partial.clear();
                }
                None
            }
        }
    }

    fn escaped(&mut self, byte: u8) -> Option<KeyEvent> {
        self.partial.clear();
        let sequence = self.escape.as_mut().filter(|_| byte != ESC);
        let Some(sequence) = sequence else {
            self.escape = Some(Vec::new());
            return None;
        };
        sequence.push(byte);
        let key = match sequence.as_slice() {
            [b'[' | b'O'] => return None,
            [b'[' | b'O', parameters @ .., last @ 0x40..=0x7e] => function(parameters, *last),
            [b'[', ..] if sequence.len() <= LONGEST => return None,
            [one] => KeyEvent::alt(char::from(*one)),
            _ => KeyEvent(KeyCode::UnknownEscSeq, Modifiers::NONE),
        };
        self.escape = None;
        Some(key)
    }
}

impl Pasted {
    fn take(&mut self, key: KeyEvent) {
        let character = match key {
            KeyEvent(KeyCode::Char(c), Modifiers::NONE) => c,
            KeyEvent(KeyCode::Tab, _) => ' ',
            KeyEvent(KeyCode::Enter, _) => '\n',
            other if other == KeyEvent::ctrl('J') => '\n',
            _ => return,
        };
        if character == '\n' {
            self.broken = true;
        } else if self.broken || self.line.len() + character.len_utf8() > ROOM {
            self.more |= !character.is_whitespace();
        } else {
            self.line.push(character);
        }
    }
}

/// The key of a control sequence: what it is stands in its last byte or its first number, Ctrl and the like in its
/// second.
fn function(parameters: &[u8], last: u8) -> KeyEvent {
    let text = std::str::from_utf8(parameters).unwrap_or_default();
    let mut numbers = text.split(';').map(|number| number.parse::<u8>().unwrap_or(1));
    let (first, second) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
    let code = match (last, first) {
        (b'A', _) => KeyCode::Up,
        (b'B', _) => KeyCode::Down,
        (b'C', _) => KeyCode::Right,
        (b'D', _) => KeyCode::Left,
        (b'H', _) | (b'~', 1 | 7) => KeyCode::Home,
        (b'F', _) | (b'~', 4 | 8) => KeyCode::End,
        (b'~', 3) => KeyCode::Delete,
        (b'~', 200) => KeyCode::BracketedPasteStart,
        (b'~', 201) => KeyCode::BracketedPasteEnd,
        _ => KeyCode::UnknownEscSeq,
    };
    let held = second.saturating_sub(1);
    let modifiers = [(1, Modifiers::SHIFT), (2, Modifiers::ALT), (4, Modifiers::CTRL)];
    let held = modifiers.into_iter().filter(|(bit, _)| held & bit != 0).map(|(_, modifier)| modifier);
    KeyEvent(code, held.fold(Modifiers::NONE, |all, one| all | one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> Vec<Typed> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.feed(*byte)).collect()
    }

    fn keys(bytes: &[u8]) -> Vec<KeyEvent> {
        let key = |typed| match typed {
            Typed::Key(key) => key,
            Typed::Pasted(paste) => panic!("{paste:?}"),
        };
        typed(bytes).into_iter().map(key).collect()
    }

    fn pasted(bytes: &[u8]) -> (String, bool) {
        let text = [b"\x1b[200~", bytes, b"\x1b[201~"].concat();
        match typed(&text).as_slice() {
            [Typed::Pasted(paste)] => (paste.line.clone(), paste.more),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_is_utf_8_and_nothing_else() {
        let text = |bytes: &[u8]| -> String {
            let char = |key: KeyEvent| if let KeyCode::Char(c) = key.0 { c } else { '!' };
            keys(bytes).into_iter().map(char).collect()
        };
        assert_eq!(text("à 日本 🇫🇷".as_bytes()), "à 日本 🇫🇷");
        assert_eq!(text(b"a\xffb\xc3(\xe6\x97c\xc0\x80d\x80"), "ab(cd");
    }

    #[test]
    fn sequences_are_keys_with_what_is_held() {
        let plain = |code| KeyEvent(code, Modifiers::NONE);
        let all = keys(b"\x1b[D\x1bOC\x1b[3~\x1b[7~\x1bOF\x1b[A");
        let codes =
            [KeyCode::Left, KeyCode::Right, KeyCode::Delete, KeyCode::Home, KeyCode::End, KeyCode::Up];
        assert_eq!(all, codes.map(plain));
        assert_eq!(keys(b"\x1b[1;5C"), [KeyEvent(KeyCode::Right, Modifiers::CTRL)]);
        assert_eq!(
            keys(b"\x1bb\x1b\x7f"),
            [KeyEvent::alt('b'), KeyEvent(KeyCode::Backspace, Modifiers::ALT)]
        );
        assert_eq!(keys(b"\x1b[99~\x1b[?1z"), [plain(KeyCode::UnknownEscSeq); 2]);
        assert_eq!(keys(b"\x1b[000000000000000000x").last(), Some(&KeyEvent::from('x')), "is given up");
    }

    #[test]
    fn a_lone_escape_key_swallows_nothing_after_a_pause() {
        let mut keys = Keys::default();
        assert_eq!(keys.feed(ESC), None);
        keys.pause();
        assert_eq!(keys.feed(b'y'), Some(Typed::Key(KeyEvent::from('y'))));
    }

    #[test]
    fn a_paste_is_its_first_line_and_never_a_key() {
        assert_eq!(pasted(b"yes"), ("yes".into(), false));
        assert_eq!(pasted(b"yes\r\n"), ("yes".into(), false), "a last line break is no second line");
        assert_eq!(pasted(b"yes\nacme\rno"), ("yes".into(), true));
        assert_eq!(pasted(b"a\tb\x04\x1a\x1b[A\x1b"), ("a b".into(), false));
        assert_eq!(pasted(&[b'x'; ROOM + 1]), ("x".repeat(ROOM), true));
    }

    #[test]
    fn a_paste_survives_pauses_and_ctrl_c_leaves_one_without_end() {
        let mut keys = Keys::default();
        for byte in b"\x1b[200~yes\n\x1b" {
            assert_eq!(keys.feed(*byte), None);
            keys.pause();
        }
        assert!(keys.is_pasting());
        assert_eq!(keys.feed(3), Some(Typed::Key(KeyEvent::ctrl('C'))));
        assert!(!keys.is_pasting());
    }
}
