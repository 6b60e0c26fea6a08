//! The one place of this module that prints, and the terminal's modes.
//!
//! Everything goes to stderr, since stdout is data; prompts go to the terminal itself when stderr is a file. A
//! write that fails is not an error of the run: whoever closed the terminal has stopped reading. A program that a step
//! started may have taken the terminal or changed its modes; both are put right ([`super::foreground`]). Text from outside
//! is made harmless before it gets here (see [`harmless`]).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use anstream::AutoStream;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

use super::foreground;
use super::line::is_unsafe;

/// Why there is nobody to ask here.
#[derive(Debug, thiserror::Error)]
pub enum TerminalError {
    #[error("cannot open the terminal /dev/tty: {source}")]
    Open { source: io::Error },
    #[error("cannot start the thread of the terminal: {source}")]
    Thread { source: io::Error },
}

/// Where lines for people go when there is no terminal, or beside it.
pub(super) struct Talk {
    out: Option<AutoStream<File>>,
}

impl Talk {
    pub fn stderr() -> Self {
        let file = io::stderr().as_fd().try_clone_to_owned().ok().map(File::from);
        Self { out: file.map(AutoStream::auto) }
    }

    fn of(file: File) -> Self {
        Self { out: Some(AutoStream::auto(file)) }
    }

    pub fn print(&mut self, text: &str) {
        let Some(out) = &mut self.out else { return };
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            self.out = None;
        }
    }

    pub fn line(&mut self, text: &str) {
        self.print(&format!("{text}\n"));
    }
}

/// The terminal of this process.
pub(super) struct Screen {
    tty: File,
    /// Questions, prompts, and lines while stderr is the terminal.
    talk: Talk,
    /// Lines, when stderr is something else.
    log: Option<Talk>,
    /// How the terminal was found, while this process may set it.
    found: Option<Termios>,
    raw: bool,
    /// The terminal can mark what is pasted.
    marks_pastes: bool,
}

const PASTES_MARKED: &[u8] = b"\x1b[?2004h";
const PASTES_PLAIN: &[u8] = b"\x1b[?2004l";

/// What a read brought.
pub(super) enum Heard {
    Bytes(Vec<u8>),
    /// Nothing within a tenth of a second.
    Silence,
    /// The terminal is gone.
    Gone,
}

impl Screen {
    /// # Errors
    /// There is no terminal.
    pub fn open() -> Result<Self, TerminalError> {
        let opened = OpenOptions::new().read(true).write(true).open("/dev/tty");
        let tty = opened.map_err(|source| TerminalError::Open { source })?;
        let copy = tty.try_clone().map_err(|source| TerminalError::Open { source })?;
        let on_stderr = rustix::termios::isatty(io::stderr());
        let talk = if on_stderr { Talk::stderr() } else { Talk::of(copy) };
        let marks_pastes =
            std::env::var("TERM").is_ok_and(|term| !["dumb", "cons25", "emacs"].contains(&&*term));
        let found = if foreground::is_ours(&tty) { tcgetattr(&tty).ok() } else { None };
        Ok(Self { tty, talk, log: (!on_stderr).then(Talk::stderr), found, raw: false, marks_pastes })
    }

    pub fn print(&mut self, text: &str) {
        self.talk.print(text);
    }

    /// A line that is no part of a question.
    pub fn say(&mut self, line: &str) {
        self.log.as_mut().unwrap_or(&mut self.talk).line(line);
    }

    /// The bell, for somebody who looks elsewhere. Past the stripping of colours, since it is none.
    pub fn ring(&mut self) {
        // It fails when the terminal is gone, and then nobody hears it.
        let _ = self.tty.write_all(b"\x07");
    }

    /// Whether what [`Screen::say`] prints appears on the terminal, where a prompt may be up.
    pub fn says_here(&self) -> bool {
        self.log.is_none()
    }

    pub fn columns(&self) -> usize {
        tcgetwinsize(&self.tty)
            .map_or(80, |size| if size.ws_col == 0 { 80 } else { usize::from(size.ws_col) })
    }

    /// Bytes come one by one, unechoed, and Ctrl-C is a byte like any other; what is pasted comes between marks. A
    /// read gives up after a tenth of a second: that is how a prompt hears that it is withdrawn, without signals.
    pub fn raw(&mut self) {
        self.retake();
        if self.found.is_none() {
            self.found = tcgetattr(&self.tty).ok();
        }
        let Some(found) = &self.found else { return };
        let mut raw = found.clone();
        raw.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
        raw.input_modes &= !(InputModes::ICRNL | InputModes::INLCR | InputModes::IXON | InputModes::ISTRIP);
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = 1;
        if tcsetattr(&self.tty, OptionalActions::Drain, &raw).is_ok() {
            self.raw = true;
            self.mark_pastes(PASTES_MARKED);
        }
    }

    /// Past the stripping of colours: it is a mode of the terminal, no decoration.
    fn mark_pastes(&mut self, mode: &[u8]) {
        if self.marks_pastes {
            // It fails when the terminal is gone, and then nobody pastes.
            let _ = self.tty.write_all(mode);
        }
    }

    /// Back to how the terminal was found.
    pub fn cooked(&mut self) {
        if std::mem::take(&mut self.raw) {
            self.mark_pastes(PASTES_PLAIN);
            self.retake();
            self.restore();
        }
    }

    /// Puts right what a program did to the terminal while no prompt is up.
    pub fn retake(&mut self) {
        if foreground::retake(&self.tty) && !self.raw {
            self.restore();
        }
    }

    fn restore(&self) {
        if let Some(found) = &self.found {
            // It fails when the terminal is gone, and then nobody sees it.
            let _ = tcsetattr(&self.tty, OptionalActions::Drain, found);
        }
    }

    /// What waits to be read, without waiting for more.
    pub fn typed_ahead(&mut self) -> Vec<u8> {
        let mut typed = Vec::new();
        while rustix::io::ioctl_fionread(&self.tty).is_ok_and(|count| count > 0)
            && let Heard::Bytes(bytes) = self.read()
        {
            typed.extend(bytes);
        }
        typed
    }

    pub fn read(&mut self) -> Heard {
        // The time-out of raw mode is not enough: after a stop the terminal may be in another mode, where a read waits
        // for a whole line.
        let mut ready = [PollFd::new(&self.tty, PollFlags::IN)];
        let tenth = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        match poll(&mut ready, Some(&tenth)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {
                if foreground::retake(&self.tty) {
                    self.raw();
                }
                return Heard::Silence;
            }
            _ => {}
        }
        if foreground::retake(&self.tty) {
            // It may have set the modes as well.
            self.raw();
            return Heard::Silence;
        }
        let mut bytes = [0; 64];
        match self.tty.read(&mut bytes) {
            // In raw mode nothing read means that time is over, or that the terminal has hung up.
            Ok(0) if tcgetattr(&self.tty).is_ok() => Heard::Silence,
            Ok(0) => Heard::Gone,
            Ok(count) => Heard::Bytes(bytes[..count].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Heard::Silence,
            Err(_) => Heard::Gone,
        }
    }

    /// Ctrl-Z: stops the process group until it is told to go on.
    pub fn suspend(&mut self) {
        self.cooked();
        let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
        self.raw();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.cooked();
        self.retake();
        // A program may have changed the modes without taking the terminal.
        if foreground::is_ours(&self.tty) {
            self.restore();
        }
    }
}

/// Text from outside, with every character that could move the cursor, change colours or turn the direction of
/// writing replaced by a visible stand-in. Line breaks stay.
pub fn harmless(text: &str) -> String {
    let safe = |c: char| match c {
        '\n' => "\n".to_owned(),
        '\t' => "    ".to_owned(),
        '\u{1b}' => "␛".to_owned(),
        c if is_unsafe(c) => format!("\\u{{{:x}}}", u32::from(c)),
        c => c.to_string(),
    };
    text.replace("\r\n", "\n").chars().map(safe).collect()
}

/// The same where it stands in a line of ours: it cannot begin one of its own.
pub fn one_line(text: &str) -> String {
    harmless(text).replace('\n', "␊")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_line_of_ours_begins_no_other() {
        assert_eq!(one_line("a\r\nb\nc\u{2028}d\u{85}e"), "a␊b␊c\\u{2028}d\\u{85}e");
    }

    #[test]
    fn text_from_outside_cannot_drive_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\r\nc\td\u{202e}e\u{7}"), "a␛[2Jb\nc    d\\u{202e}e\\u{7}");
    }
}
