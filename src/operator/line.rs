//! One line of input being edited. Pure: bytes in, what they mean out; drawing is a string.
//!
//! It never wraps: a text that is longer than the terminal scrolls sideways. So it can be wiped and drawn again at
//! any moment with a carriage return and spaces, which every terminal understands, and lines of output can appear
//! above it without garbling what is being typed.

use textwrap::core::display_width;

/// What a byte completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// Nothing yet, or nothing that matters.
    Nothing,
    /// The line has to be drawn again.
    Edited,
    Enter,
    Complete,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D on an empty line.
    Eof,
    /// Ctrl-Z.
    Suspend,
}

/// The text, the cursor, and a sequence of bytes that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    cursor: usize,
    partial: Vec<u8>,
    escape: Option<Vec<u8>>,
    /// Columns that the last drawing took.
    drawn: usize,
}

const ESC: u8 = 0x1b;

impl Line {
    /// A line with something in it, the cursor behind.
    pub fn with(text: &str) -> Self {
        Self { text: text.to_owned(), cursor: text.len(), ..Self::default() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn before_cursor(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Replaces the last `bytes` before the cursor.
    pub fn replace_before(&mut self, bytes: usize, with: &str) {
        let start = self.cursor.saturating_sub(bytes);
        if self.text.is_char_boundary(start) {
            self.text.replace_range(start..self.cursor, with);
            self.cursor = start + with.len();
        }
    }

    /// A pause in the input: what looked like the beginning of an escape sequence was the key itself.
    pub fn pause(&mut self) {
        self.escape = None;
    }

    pub fn feed(&mut self, byte: u8) -> Key {
        if self.escape.is_some() {
            return self.escaped(byte);
        }
        match byte {
            ESC => {
                self.escape = Some(Vec::new());
                Key::Nothing
            }
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Complete,
            0x01 => self.go(0),
            0x02 => self.go(self.left()),
            0x03 => Key::Interrupt,
            0x04 if self.text.is_empty() => Key::Eof,
            0x04 => self.cut(self.cursor, self.right()),
            0x05 => self.go(self.text.len()),
            0x06 => self.go(self.right()),
            0x08 | 0x7f => self.cut(self.left(), self.cursor),
            0x0b => self.cut(self.cursor, self.text.len()),
            0x0c => Key::Edited,
            0x15 => self.cut(0, self.cursor),
            0x17 => self.cut(self.word_start(), self.cursor),
            0x1a => Key::Suspend,
            0x00..=0x1f => Key::Nothing,
            _ => self.insert(byte),
        }
    }

    /// One UTF-8 sequence at a time; what is none is dropped.
    fn insert(&mut self, byte: u8) -> Key {
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(text) => {
                // C1 controls and the marks that turn the direction of text have no business in an answer.
                if !text.chars().any(is_unsafe) {
                    self.text.insert_str(self.cursor, text);
                    self.cursor += text.len();
                }
                self.partial.clear();
                Key::Edited
            }
            Err(error) if error.error_len().is_none() && self.partial.len() < 4 => Key::Nothing,
            Err(_) => {
                self.partial.clear();
                Key::Nothing
            }
        }
    }

    fn escaped(&mut self, byte: u8) -> Key {
        let Some(sequence) = self.escape.as_mut() else { return Key::Nothing };
        sequence.push(byte);
        let done = match sequence.as_slice() {
            [b'[' | b'O'] => false,
            [b'[', .., last] | [b'O', last] => (0x40..=0x7e).contains(last) || sequence.len() > 16,
            _ => true,
        };
        if !done {
            return Key::Nothing;
        }
        match self.escape.take().as_deref() {
            Some(b"[C" | b"OC") => self.go(self.right()),
            Some(b"[D" | b"OD") => self.go(self.left()),
            Some(b"[H" | b"OH" | b"[1~" | b"[7~") => self.go(0),
            Some(b"[F" | b"OF" | b"[4~" | b"[8~") => self.go(self.text.len()),
            Some(b"[3~") => self.cut(self.cursor, self.right()),
            _ => Key::Nothing,
        }
    }

    fn go(&mut self, to: usize) -> Key {
        self.cursor = to;
        Key::Edited
    }

    fn cut(&mut self, from: usize, to: usize) -> Key {
        self.text.replace_range(from..to, "");
        self.cursor = from;
        Key::Edited
    }

    /// The start of the character before the cursor, with the marks that combine with it.
    fn left(&self) -> usize {
        let before = self.before_cursor().char_indices().rev();
        let mut wide = before.map(|(at, c)| (at, display_width(c.encode_utf8(&mut [0; 4])) > 0));
        wide.find(|(_, wide)| *wide).map_or(0, |(at, _)| at)
    }

    fn right(&self) -> usize {
        let after = self.text[self.cursor..].char_indices().skip(1);
        let mut wide = after.map(|(at, c)| (at, display_width(c.encode_utf8(&mut [0; 4])) > 0));
        wide.find(|(_, wide)| *wide).map_or(self.text.len(), |(at, _)| self.cursor + at)
    }

    fn word_start(&self) -> usize {
        let before = self.before_cursor().trim_end();
        before.rfind(char::is_whitespace).map_or(0, |at| at + 1).min(self.cursor)
    }

    /// Draws prompt and text over what was drawn before, the cursor in its place.
    pub fn draw(&mut self, prompt: &str, columns: usize) -> String {
        let prompt = &clipped(prompt, columns.saturating_sub(20).max(10));
        let room = columns.saturating_sub(display_width(prompt) + 1).max(8);
        let mut start = 0;
        while display_width(&self.text[start..self.cursor]) > room {
            start += self.text[start..].chars().next().map_or(1, char::len_utf8);
        }
        let mut end = start;
        for c in self.text[start..].chars() {
            if display_width(&self.text[start..end + c.len_utf8()]) > room {
                break;
            }
            end += c.len_utf8();
        }
        let shown = format!("{prompt}{}", &self.text[start..end]);
        let width = display_width(&shown);
        let blank = " ".repeat(self.drawn.saturating_sub(width));
        self.drawn = width;
        format!("\r{shown}{blank}\r{prompt}{}", &self.text[start..self.cursor])
    }

    /// Removes the drawing; the cursor stands at the left edge.
    pub fn wipe(&mut self) -> String {
        let blank = " ".repeat(self.drawn);
        self.drawn = 0;
        format!("\r{blank}\r")
    }
}

/// A prompt that leaves room for an answer: its end, with the choices, matters more than its middle.
fn clipped(prompt: &str, columns: usize) -> String {
    if display_width(prompt) <= columns {
        return prompt.to_owned();
    }
    let take = |chars: &mut dyn Iterator<Item = char>, room: usize| {
        let mut taken = Vec::new();
        let mut width = 0;
        for c in chars {
            width += display_width(c.encode_utf8(&mut [0; 4]));
            if width > room {
                break;
            }
            taken.push(c);
        }
        taken
    };
    let tail = prompt.rfind(" (").map_or("", |at| &prompt[at..]);
    let end = take(&mut tail.chars().rev(), columns * 2 / 3);
    let end_width = display_width(&end.iter().collect::<String>());
    let start = take(&mut prompt.chars(), columns.saturating_sub(end_width + 1));
    start.into_iter().chain(['…']).chain(end.into_iter().rev()).collect()
}

/// Characters that could make a terminal do or show something else than the text.
pub(super) fn is_unsafe(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: &[u8]) -> Line {
        let mut line = Line::default();
        for byte in bytes {
            line.feed(*byte);
        }
        line
    }

    #[test]
    fn keys_edit_the_text() {
        assert_eq!(typed(b"abd\x1b[Dc").text(), "abcd");
        assert_eq!(typed(b"abc\x7f\x08").text(), "a");
        assert_eq!(typed(b"bc\x01a\x05d").text(), "abcd");
        assert_eq!(typed(b"one two \x17").text(), "one ");
        assert_eq!(typed(b"gone\x15kept").text(), "kept");
        assert_eq!(typed(b"abc\x1b[H\x1b[3~").text(), "bc");
        assert_eq!(typed(b"ab\x02\x0b").text(), "a");
        assert_eq!(typed(b"\x1b[5~\x1bx\x1b[1;5Ck").text(), "k");
    }

    #[test]
    fn text_is_utf_8_and_nothing_else() {
        assert_eq!(typed("à côté\u{7f}é 日本\u{7f}".as_bytes()).text(), "à coté 日".replace("coté", "côté"));
        assert_eq!(typed(b"a\xffb\xc3\x28c").text(), "abc");
        assert_eq!(typed("e\u{301}\u{7f}x\u{202e}y".as_bytes()).text(), "xy");
    }

    #[test]
    fn control_keys_are_told_apart_from_text() {
        let mut line = Line::default();
        assert_eq!(line.feed(4), Key::Eof);
        assert_eq!(line.feed(3), Key::Interrupt);
        line.feed(b'x');
        assert_eq!(line.feed(4), Key::Edited, "deletes forward when there is text");
        assert_eq!(line.feed(b'\r'), Key::Enter);
    }

    #[test]
    fn a_lone_escape_key_swallows_nothing_after_a_pause() {
        let mut line = typed(b"\x1b");
        line.pause();
        line.feed(b'y');
        assert_eq!(line.text(), "y");
    }

    #[test]
    fn drawing_never_exceeds_the_columns_and_wipes_what_it_drew() {
        let mut line = Line::with(&"日本".repeat(40));
        let drawn = line.draw("go> ", 40);
        let widest = drawn.split('\r').map(display_width).max().unwrap();
        assert!(widest < 40, "{widest}");
        assert_eq!(display_width(line.wipe().trim_matches('\r')), widest);
        assert_eq!(line.wipe(), "\r\r");
    }

    #[test]
    fn a_long_prompt_keeps_its_choices_and_leaves_room() {
        let prompt = format!("{} (yes/no) > ", "Les tâches planifiées sont suspendues ".repeat(4));
        let drawn = Line::with("yes").draw(&prompt, 60);
        assert!(drawn.ends_with(" (yes/no) > yes") && drawn.contains('…'), "{drawn}");
        assert!(drawn.split('\r').all(|part| display_width(part) < 60));
    }

    #[test]
    fn a_shorter_line_covers_the_longer_one_before() {
        let mut line = Line::with("abcdef");
        line.draw("> ", 80);
        line.replace_before(6, "ab");
        assert_eq!(line.draw("> ", 80), "\r> ab    \r> ab");
    }
}
