//! A prompt on a terminal: bytes in, an edited line out. Knows nothing of questions; whoever asks heeds what else
//! happens between two steps.

use std::collections::VecDeque;

use rustyline::completion::{FilenameCompleter, Pair, longest_common_prefix};
use rustyline::history::{History, MemHistory};

use super::dialog::{Break, Offer};
use super::keys::{Keys, Pasted, Typed};
use super::line::{Line, Meaning, is_unsafe};
use super::screen::{Heard, Screen, one_line};
use super::wording::{Lang, Text};

/// What one step brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heeded {
    /// The line is not finished.
    Going,
    Entered,
    /// Ctrl-C.
    Interrupt,
}

pub(super) struct Prompt {
    pub screen: Screen,
    pub lang: Lang,
    /// Typed and not used yet.
    bytes: VecDeque<u8>,
    keys: Keys,
    /// A paste is coming in that began before the question was asked.
    late_paste: bool,
    /// What was answered before, for the arrow keys. No secret is ever asked for here.
    earlier: MemHistory,
}

impl Prompt {
    pub fn on(screen: Screen) -> Self {
        Self {
            screen,
            lang: Lang::En,
            bytes: VecDeque::new(),
            keys: Keys::default(),
            late_paste: false,
            earlier: MemHistory::new(),
        }
    }

    /// Forgets what was typed before anything was asked: a gate is not opened by an impatient Enter. It is read all
    /// the same, since without the mark at its beginning the rest of a paste would be keys.
    pub fn forget_typed(&mut self) {
        self.bytes.extend(self.screen.typed_ahead());
        for byte in self.bytes.drain(..) {
            self.keys.feed(byte);
        }
        self.late_paste = self.keys.is_pasting();
    }

    /// For the arrow keys.
    pub fn remember(&mut self, typed: &str) {
        // Kept in memory, it cannot fail.
        let _ = self.earlier.add(typed);
    }

    /// Takes the next key, or waits a moment for one.
    pub fn step(&mut self, line: &mut Line, prompt: &str, offer: &Offer) -> Result<Heeded, Break> {
        let Some(byte) = self.bytes.pop_front() else {
            match self.screen.read() {
                Heard::Bytes(bytes) => self.bytes.extend(bytes),
                Heard::Silence => self.keys.pause(),
                Heard::Gone => return Err(Break::Hangup),
            }
            return Ok(Heeded::Going);
        };
        let key = match self.keys.feed(byte) {
            Some(Typed::Key(key)) => key,
            Some(Typed::Pasted(pasted)) => {
                self.paste(line, prompt, &pasted);
                return Ok(Heeded::Going);
            }
            None => return Ok(Heeded::Going),
        };
        match line.press(key, &self.earlier) {
            Meaning::Nothing => {}
            Meaning::Edited if self.bytes.is_empty() => self.draw(line, prompt),
            Meaning::Edited => {}
            Meaning::Enter => {
                self.draw(line, prompt);
                self.screen.print("\n");
                return Ok(Heeded::Entered);
            }
            Meaning::Complete => self.complete(line, prompt, offer),
            Meaning::Interrupt => {
                self.screen.print("^C\n");
                return Ok(Heeded::Interrupt);
            }
            Meaning::Eof => {
                self.screen.print("\n");
                return Err(Break::Hangup);
            }
            Meaning::Suspend => {
                let wiped = line.wipe();
                self.screen.print(&wiped);
                self.screen.suspend();
                self.draw(line, prompt);
            }
        }
        Ok(Heeded::Going)
    }

    pub fn draw(&mut self, line: &mut Line, prompt: &str) {
        let drawn = line.draw(prompt, self.screen.columns());
        self.screen.print(&drawn);
    }

    /// Takes a paste into the line, and says so when it was more than a line.
    fn paste(&mut self, line: &mut Line, prompt: &str, pasted: &Pasted) {
        if self.late_paste {
            self.forget_typed();
            return self.draw(line, prompt);
        }
        line.insert(&pasted.line);
        if pasted.more {
            let wiped = line.wipe();
            self.screen.print(&format!("{wiped}  {}\n", self.lang.text(Text::PastedMore)));
        }
        self.draw(line, prompt);
    }

    /// Completes what stands before the cursor, or shows what it could become.
    fn complete(&mut self, line: &mut Line, prompt: &str, offer: &Offer) {
        let (start, found) = candidates(offer, &line.text()[..line.cursor()]);
        let typed = line.cursor() - start;
        match longest_common_prefix(&found) {
            Some(common) if found.len() == 1 || common.len() > typed => line.complete(start, common),
            _ if found.len() > 1 => {
                let names: Vec<&str> = found.iter().map(|pair| pair.display.as_str()).collect();
                let wiped = line.wipe();
                self.screen.print(&format!("{wiped}  {}\n", one_line(&names.join("  "))));
            }
            _ => {}
        }
        self.draw(line, prompt);
    }
}

/// What a text can become, and from where on.
fn candidates(offer: &Offer, typed: &str) -> (usize, Vec<Pair>) {
    match offer {
        Offer::Nothing => (0, Vec::new()),
        Offer::Words(words) => (0, beginning_with(words, typed)),
        Offer::Several(words) => {
            let start = typed.rfind([' ', ',']).map_or(0, |at| at + 1);
            (start, beginning_with(words, &typed[start..]))
        }
        Offer::Files => {
            // A folder that cannot be read has nothing to offer.
            let found = FilenameCompleter::new().complete_path(typed, typed.len());
            let (start, mut found) = found.unwrap_or_default();
            found.retain(|pair| !pair.replacement.chars().any(is_unsafe));
            (start, found)
        }
    }
}

/// Nothing that could move the cursor is offered.
fn beginning_with(words: &[String], typed: &str) -> Vec<Pair> {
    let fitting = words.iter().filter(|word| word.starts_with(typed) && !word.chars().any(is_unsafe));
    fitting.map(|word| Pair { display: word.clone(), replacement: word.clone() }).collect()
}
