//! One line of input being edited. Pure: keys in, what they mean out; drawing is a string.
//!
//! The editing itself is rustyline's line buffer, which moves and deletes by what readers take for a character.
//! The drawing never wraps: a text that is longer than the terminal scrolls sideways. So it can be wiped and drawn
//! again at any moment with a carriage return and spaces, which every terminal understands, and lines of output
//! can appear above it without garbling what is being typed.

use rustyline::history::{History, SearchDirection};
use rustyline::line_buffer::{ChangeListener, DeleteListener, Direction, LineBuffer};
use rustyline::{At, KeyCode, KeyEvent, Modifiers, Movement, Word};
use textwrap::core::display_width;

use super::keys::ROOM;

/// What a key means for whoever reads the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing that matters.
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

/// The text with its cursor.
#[derive(Debug)]
pub(super) struct Line {
    buffer: LineBuffer,
    killed: Killed,
    /// Which earlier answer is shown, if one is.
    recalled: Option<usize>,
    /// What was being typed before an earlier answer was looked up.
    draft: String,
    /// Columns that the last drawing took.
    drawn: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            buffer: LineBuffer::with_capacity(ROOM),
            killed: Killed::default(),
            recalled: None,
            draft: String::new(),
            drawn: 0,
        }
    }
}

/// The text that was cut out last by more than a character: Ctrl-Y puts it back.
#[derive(Debug, Default)]
struct Killed {
    text: String,
    killing: bool,
}

impl DeleteListener for Killed {
    fn start_killing(&mut self) {
        self.killing = true;
    }

    fn delete(&mut self, _: usize, text: &str, _: Direction) {
        if self.killing {
            text.clone_into(&mut self.text);
        }
    }

    fn stop_killing(&mut self) {
        self.killing = false;
    }
}

impl ChangeListener for Killed {
    fn insert_char(&mut self, _: usize, _: char) {}
    fn insert_str(&mut self, _: usize, _: &str) {}
    fn replace(&mut self, _: usize, _: &str, _: &str) {}
}

impl Line {
    /// A line with something in it, the cursor behind.
    pub fn with(text: &str) -> Self {
        let mut line = Self::default();
        line.become_text(text);
        line
    }

    pub fn text(&self) -> &str {
        self.buffer.as_str()
    }

    /// The cursor, in bytes.
    pub fn cursor(&self) -> usize {
        self.buffer.pos()
    }

    /// Replaces what stands between `start` and the cursor.
    pub fn complete(&mut self, start: usize, with: &str) {
        self.buffer.replace(start..self.buffer.pos(), with, &mut self.killed);
    }

    /// Inserts a text. One that is too long for the line is left out.
    pub fn insert(&mut self, text: &str) {
        // C1 controls and the marks that turn the direction of text have no business in an answer.
        let text: String = text.chars().filter(|c| !is_unsafe(*c)).collect();
        self.buffer.yank(&text, 1, &mut self.killed);
    }

    /// Does what a key says. `earlier` is what was answered before.
    pub fn press(&mut self, key: KeyEvent, earlier: &dyn History) -> Meaning {
        let KeyEvent(code, held) = key;
        let word = held.intersects(Modifiers::CTRL | Modifiers::ALT);
        match code {
            KeyCode::Enter => return Meaning::Enter,
            KeyCode::Tab => return Meaning::Complete,
            KeyCode::Char(c) if held == Modifiers::CTRL => return self.control(c, earlier),
            KeyCode::Char('b') | KeyCode::Left if word => self.buffer.move_to_prev_word(Word::Emacs, 1),
            KeyCode::Char('f') | KeyCode::Right if word => {
                self.buffer.move_to_next_word(At::AfterEnd, Word::Emacs, 1)
            }
            KeyCode::Char('d') | KeyCode::Delete if word => {
                self.kill(&Movement::ForwardWord(1, At::AfterEnd, Word::Emacs))
            }
            KeyCode::Backspace if word => self.kill(&Movement::BackwardWord(1, Word::Emacs)),
            KeyCode::Char(c) if !word && !is_unsafe(c) => {
                self.buffer.insert(c, 1, &mut self.killed).is_some()
            }
            KeyCode::Left => self.buffer.move_backward(1),
            KeyCode::Right => self.buffer.move_forward(1),
            KeyCode::Home => self.buffer.move_home(),
            KeyCode::End => self.buffer.move_end(),
            KeyCode::Delete => self.kill(&Movement::ForwardChar(1)),
            KeyCode::Backspace => self.kill(&Movement::BackwardChar(1)),
            KeyCode::Up => self.recall(earlier, SearchDirection::Reverse),
            KeyCode::Down => self.recall(earlier, SearchDirection::Forward),
            _ => false,
        }
        .into()
    }

    fn control(&mut self, letter: char, earlier: &dyn History) -> Meaning {
        match letter {
            'C' => return Meaning::Interrupt,
            'D' if self.buffer.is_empty() => return Meaning::Eof,
            'J' => return Meaning::Enter,
            'L' => return Meaning::Edited,
            'Z' => return Meaning::Suspend,
            'A' => self.buffer.move_home(),
            'B' => self.buffer.move_backward(1),
            'D' => self.kill(&Movement::ForwardChar(1)),
            'E' => self.buffer.move_end(),
            'F' => self.buffer.move_forward(1),
            'K' => self.kill(&Movement::EndOfLine),
            'N' => self.recall(earlier, SearchDirection::Forward),
            'P' => self.recall(earlier, SearchDirection::Reverse),
            'T' => self.buffer.transpose_chars(&mut self.killed),
            'U' => self.kill(&Movement::BeginningOfLine),
            'W' => self.kill(&Movement::BackwardWord(1, Word::Big)),
            'Y' => self.buffer.yank(&self.killed.text.clone(), 1, &mut self.killed).is_some(),
            _ => false,
        }
        .into()
    }

    fn kill(&mut self, what: &Movement) -> bool {
        self.buffer.kill(what, &mut self.killed)
    }

    /// An earlier answer, or behind the last of them what was being typed.
    fn recall(&mut self, earlier: &dyn History, towards: SearchDirection) -> bool {
        let at = self.recalled.unwrap_or(earlier.len());
        let next = match towards {
            SearchDirection::Reverse => at.checked_sub(1),
            SearchDirection::Forward => (at < earlier.len()).then_some(at + 1),
        };
        let Some(next) = next else { return false };
        if self.recalled.is_none() {
            self.buffer.as_str().clone_into(&mut self.draft);
        }
        let found = earlier.get(next, towards).ok().flatten();
        self.recalled = found.as_ref().map(|_| next);
        let text = found.map_or_else(|| std::mem::take(&mut self.draft), |found| found.entry.into_owned());
        self.become_text(&text);
        true
    }

    fn become_text(&mut self, text: &str) {
        self.buffer.replace(0..self.buffer.len(), text, &mut self.killed);
    }

    /// Draws prompt and text over what was drawn before, the cursor in its place.
    pub fn draw(&mut self, prompt: &str, columns: usize) -> String {
        let prompt = &clipped(prompt, columns.saturating_sub(20).max(10));
        let room = columns.saturating_sub(display_width(prompt) + 1).max(8);
        let (before, after) = self.visible(room);
        let shown = format!("{prompt}{before}{after}");
        let width = display_width(&shown);
        let blank = " ".repeat(self.drawn.saturating_sub(width));
        self.drawn = width;
        format!("\r{shown}{blank}\r{prompt}{before}")
    }

    /// What fits of the text before the cursor, and then of the text behind it, in whole characters.
    fn visible(&mut self, room: usize) -> (String, String) {
        let cursor = self.buffer.pos();
        let mut start = cursor;
        while self.buffer.move_backward(1)
            && display_width(&self.buffer.as_str()[self.buffer.pos()..cursor]) <= room
        {
            start = self.buffer.pos();
        }
        self.buffer.set_pos(cursor);
        while let Some(next) = self.buffer.next_pos(1)
            && display_width(&self.buffer.as_str()[start..next]) <= room
        {
            self.buffer.set_pos(next);
        }
        let end = self.buffer.pos();
        self.buffer.set_pos(cursor);
        let text = self.buffer.as_str();
        (text[start..cursor].to_owned(), text[cursor..end].to_owned())
    }

    /// Removes the drawing; the cursor stands at the left edge.
    pub fn wipe(&mut self) -> String {
        let blank = " ".repeat(self.drawn);
        self.drawn = 0;
        format!("\r{blank}\r")
    }
}

impl From<bool> for Meaning {
    /// Whether something has changed.
    fn from(changed: bool) -> Self {
        if changed { Self::Edited } else { Self::Nothing }
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
    let breaks = matches!(c, '\u{2028}' | '\u{2029}');
    c.is_control() || turns || breaks
}

#[cfg(test)]
mod tests {
    use rustyline::history::MemHistory;

    use super::super::keys::{Keys, Typed};
    use super::*;

    /// A line after these bytes, and what the last of them meant.
    fn after(earlier: &MemHistory, bytes: &[u8]) -> (Line, Meaning) {
        let (mut line, mut keys, mut meaning) = (Line::default(), Keys::default(), Meaning::Nothing);
        for byte in bytes {
            match keys.feed(*byte) {
                Some(Typed::Key(key)) => meaning = line.press(key, earlier),
                Some(Typed::Pasted(pasted)) => line.insert(&pasted.line),
                None => {}
            }
        }
        (line, meaning)
    }

    fn typed(bytes: &[u8]) -> String {
        after(&MemHistory::new(), bytes).0.text().to_owned()
    }

    #[test]
    fn keys_edit_the_text() {
        assert_eq!(typed(b"abd\x1b[Dc"), "abcd");
        assert_eq!(typed(b"abc\x7f\x08"), "a");
        assert_eq!(typed(b"bc\x01a\x05d"), "abcd");
        assert_eq!(typed(b"gone\x15kept"), "kept");
        assert_eq!(typed(b"abc\x1b[H\x1b[3~"), "bc");
        assert_eq!(typed(b"ab\x02\x0b"), "a");
        assert_eq!(typed(b"\x1b[5~\x1bxk"), "k");
    }

    #[test]
    fn words_are_deleted_walked_over_and_put_back() {
        assert_eq!(typed(b"one two \x17"), "one ");
        assert_eq!(typed(b"/var/log\x17x"), "x", "a path is one word for Ctrl-W");
        assert_eq!(typed(b"/var/log\x1b\x7fx"), "/var/x", "and several for Alt-Backspace");
        assert_eq!(typed(b"one two\x1bbX"), "one Xtwo");
        assert_eq!(typed(b"one two\x1b[1;5D\x1b[1;5DX\x1b[1;5CY"), "XoneY two");
        assert_eq!(typed(b"one two\x01\x1bd"), " two");
        assert_eq!(typed(b"one two\x17\x7f\x19\x19"), "onetwotwo");
    }

    #[test]
    fn what_reads_as_one_character_is_deleted_and_passed_as_one() {
        assert_eq!(typed("a🇫🇷\u{7f}b".as_bytes()), "ab");
        assert_eq!(typed("ae\u{301}\u{7f}b".as_bytes()), "ab");
        assert_eq!(typed("a👩\u{200d}🚀\u{1b}[Dx".as_bytes()), "ax👩\u{200d}🚀");
        assert_eq!(typed("🇫🇷a\u{1}\u{4}".as_bytes()), "a");
        assert_eq!(typed("x\u{202e}\u{9b}y".as_bytes()), "xy", "nothing that turns or drives the terminal");
    }

    #[test]
    fn control_keys_are_told_apart_from_text() {
        let meaning = |bytes: &[u8]| after(&MemHistory::new(), bytes).1;
        assert_eq!(meaning(b"\x04"), Meaning::Eof);
        assert_eq!(meaning(b"x\x03"), Meaning::Interrupt);
        assert_eq!(meaning(b"x\x01\x04"), Meaning::Edited, "deletes forward when there is text");
        assert_eq!(meaning(b"x\r"), Meaning::Enter);
        assert_eq!(meaning(b"x\n"), Meaning::Enter);
    }

    #[test]
    fn earlier_answers_come_back_and_what_was_being_typed_too() {
        let mut earlier = MemHistory::new();
        for line in ["approve", "seen", "seen", ""] {
            earlier.add(line).unwrap();
        }
        let text = |bytes: &[u8]| after(&earlier, bytes).0.text().to_owned();
        assert_eq!(text(b"dra\x1b[A"), "seen");
        assert_eq!(text(b"dra\x1b[A\x1b[A"), "approve", "a repeated answer stands there once");
        assert_eq!(text(b"dra\x1b[A\x1b[A\x1b[A!"), "approve!");
        assert_eq!(text(b"dra\x1b[A\x1b[A\x1b[B"), "seen");
        assert_eq!(text(b"dra\x1b[A\x1b[Bft"), "draft");
        assert_eq!(text(b"dra\x1b[Bft\x10\x0e"), "draft");
        assert_eq!(after(&MemHistory::new(), b"\x1b[A").1, Meaning::Nothing);
    }

    #[test]
    fn a_paste_with_line_breaks_is_not_submitted() {
        let (line, meaning) = after(&MemHistory::new(), b"is: \x1b[200~yes\nacme\r\x1b[201~");
        assert_eq!((line.text(), meaning), ("is: yes", Meaning::Edited));
        assert_eq!(typed("\u{1b}[200~a\u{202e}b\u{1b}[201~c".as_bytes()), "abc");
    }

    #[test]
    fn a_line_takes_no_more_than_it_has_room_for() {
        let mut bytes = vec![b'x'; ROOM + 10];
        assert_eq!(typed(&bytes).len(), ROOM);
        bytes.extend(b"\x1b[200~yyy\x1b[201~");
        assert_eq!(typed(&bytes).len(), ROOM);
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
    fn a_long_text_scrolls_with_the_cursor() {
        let mut line = Line::with(&("a".repeat(50) + "z"));
        assert!(line.draw("> ", 40).ends_with("az"));
        line.press(KeyEvent(KeyCode::Home, Modifiers::NONE), &MemHistory::new());
        let drawn = line.draw("> ", 40);
        assert!(drawn.ends_with("\r> ") && !drawn.contains('z') && drawn.contains("> aaa"), "{drawn:?}");
        assert_eq!(line.cursor(), 0);
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
        line.complete(0, "ab");
        assert_eq!(line.draw("> ", 80), "\r> ab    \r> ab");
    }
}
