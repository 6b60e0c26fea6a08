//! A person at a terminal, on a thread of its own.
//!
//! The thread owns the terminal alone: whoever wants to show something sends an order. While a prompt is up the
//! thread listens to both, keys and orders, so a line of progress appears above what is being typed and a
//! withdrawn question disappears at once. No signal is involved: Ctrl-C at a prompt is a byte, and a real SIGINT
//! stays with the driver. (A line editor that blocks in `read` needs a signal to be cancelled, takes the driver's
//! handler away while it reads, and can block or lose lines that are printed as a prompt ends.)

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use tokio::sync::mpsc::UnboundedSender;

use super::dialog::{Break, Offer, Talker, converse};
use super::evidence::{EvidenceError, EvidenceStore};
use super::layout::{Layout, who};
use super::line::{Key, Line};
use super::parse;
use super::question::Question;
use super::screen::{Heard, Screen, TerminalError, harmless};
use super::wording::{Lang, Text, refusal_fr};
use super::{Operator, Reply};
use crate::clock::{Clock, Timestamp};
use crate::core::{EvidenceRef, Refused};

/// What a terminal needs to know.
pub struct Setup {
    /// The person at the keyboard, as the core names him: `alice`, `os:root`.
    pub me: String,
    pub clock: Arc<dyn Clock>,
    pub evidence: Box<dyn EvidenceStore>,
    pub replies: UnboundedSender<Reply>,
}

/// The terminal of this process as an operator.
pub struct Terminal {
    orders: Sender<Order>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    Ask(Box<Question>),
    Withdraw { ask: u32, note: String },
    Refused { ask: u32, why: Refused },
    Say(String),
    Close,
}

impl Terminal {
    /// # Errors
    /// There is no terminal, or no thread for it.
    pub fn open(setup: Setup) -> Result<Self, TerminalError> {
        let screen = Screen::open()?;
        let (orders, received) = channel();
        let mut console = Console {
            screen,
            orders: received,
            setup,
            queue: VecDeque::new(),
            parked: Vec::new(),
            current: None,
            keys: VecDeque::new(),
            kept: None,
            lines: 0,
            last: None,
            gone: false,
        };
        let thread = std::thread::Builder::new().name("terminal".to_owned()).spawn(move || console.run());
        Ok(Self { orders, thread: Some(thread.map_err(|source| TerminalError::Thread { source })?) })
    }

    fn order(&self, order: Order) {
        // The thread is gone only after it has been closed: then nobody looks any more.
        let _ = self.orders.send(order);
    }
}

impl Operator for Terminal {
    fn ask(&mut self, question: Question) {
        self.order(Order::Ask(Box::new(question)));
    }

    fn withdraw(&mut self, ask: u32, note: &str) {
        self.order(Order::Withdraw { ask, note: note.to_owned() });
    }

    fn refused(&mut self, ask: u32, why: &Refused) {
        self.order(Order::Refused { ask, why: why.clone() });
    }

    fn say(&mut self, line: &str) {
        self.order(Order::Say(line.to_owned()));
    }

    fn close(&mut self) {
        self.order(Order::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the thread knows.
struct Console {
    screen: Screen,
    orders: Receiver<Order>,
    setup: Setup,
    queue: VecDeque<Question>,
    /// Shown, but for somebody else to answer.
    parked: Vec<Question>,
    current: Option<Question>,
    /// Typed and not used yet.
    keys: VecDeque<u8>,
    /// What was being typed when the question changed.
    kept: Option<String>,
    /// Lines read in this conversation.
    lines: usize,
    /// The question that was shown last and is still the one on the screen.
    last: Option<Question>,
    gone: bool,
}

impl Console {
    fn run(&mut self) {
        loop {
            let Some(question) = self.queue.pop_front() else {
                match self.orders.recv() {
                    Ok(order) => match self.take(order) {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                    Err(_) => return,
                }
            };
            if self.gone {
                continue;
            }
            self.show(&question);
            if !question.is_for(&self.setup.me) {
                self.park(question);
                continue;
            }
            match self.talk(question) {
                Ok(()) | Err(Break::Withdrawn | Break::Changed) => {}
                Err(Break::Hangup) => {
                    self.gone = true;
                    self.reply(Reply::Hangup);
                }
                Err(Break::Closed) => return,
            }
        }
    }

    /// Leads the conversation about a question up to the verdict on its answer.
    fn talk(&mut self, question: Question) -> Result<(), Break> {
        let me = self.setup.me.clone();
        self.lines = 0;
        self.current = Some(question.clone());
        self.screen.forget_typed();
        self.keys.clear();
        self.screen.raw();
        let answer = converse(self, &question, &me);
        self.screen.cooked();
        match answer {
            Ok(answer) => {
                self.reply(Reply::Answer(Box::new(answer)));
                self.verdict(question.ask)
            }
            Err(stop) => {
                if stop == Break::Changed
                    && let Some(newer) = self.current.take()
                {
                    self.screen.print(&format!("{}\n", newer.lang.text(Text::Changed)));
                    self.queue.push_front(newer);
                }
                self.current = None;
                Err(stop)
            }
        }
    }

    /// Waits until the driver has said what became of the answer.
    fn verdict(&mut self, ask: u32) -> Result<(), Break> {
        let question = self.current.take();
        loop {
            let order = self.orders.recv().map_err(|_| Break::Closed)?;
            match order {
                Order::Refused { ask: about, why } if about == ask => {
                    if let Some(question) = question {
                        self.print_refusal(question.lang, &why);
                        self.queue.push_front(question);
                    }
                    return Ok(());
                }
                Order::Ask(newer) if newer.ask == ask => {
                    self.queue.push_front(*newer);
                    return Ok(());
                }
                Order::Withdraw { ask: about, note } if about == ask => {
                    if let Some(question) = question {
                        self.print_note(&question, &note);
                    }
                    return Ok(());
                }
                other => self.take(other)?,
            }
        }
    }

    /// An order that does not touch the prompt that is up, if any.
    fn take(&mut self, order: Order) -> Result<(), Break> {
        match order {
            Order::Ask(question) => {
                self.parked.retain(|parked| parked.ask != question.ask);
                match self.queue.iter_mut().find(|queued| queued.ask == question.ask) {
                    Some(queued) => *queued = *question,
                    None => self.queue.push_back(*question),
                }
            }
            Order::Withdraw { ask, note } => {
                let queued = self.queue.iter().chain(&self.parked).find(|known| known.ask == ask).cloned();
                self.queue.retain(|queued| queued.ask != ask);
                self.parked.retain(|parked| parked.ask != ask);
                if let Some(question) = queued {
                    self.print_note(&question, &note);
                }
            }
            Order::Refused { why, .. } => {
                let lang =
                    self.queue.front().or(self.parked.first()).map_or(Lang::En, |question| question.lang);
                self.print_refusal(lang, &why);
            }
            Order::Say(line) => self.screen.say(&harmless(&line)),
            Order::Close => return Err(Break::Closed),
        }
        Ok(())
    }

    /// Orders that came while a prompt is up. The line is wiped before anything is printed, and drawn again after.
    fn listen(&mut self, line: &mut Line, prompt: &str) -> Result<(), Break> {
        loop {
            let order = match self.orders.try_recv() {
                Ok(order) => order,
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => return Err(Break::Closed),
            };
            let current = self.current.clone();
            let is_current = |ask: u32| current.as_ref().is_some_and(|question| question.ask == ask);
            if let Order::Say(text) = &order
                && !self.screen.says_here()
            {
                self.screen.say(&harmless(text));
                continue;
            }
            let wiped = line.wipe();
            self.screen.print(&wiped);
            match order {
                Order::Ask(newer) if is_current(newer.ask) => {
                    if current.as_ref() != Some(newer.as_ref()) {
                        self.kept = (self.lines == 0).then(|| line.text().to_owned());
                        self.current = Some(*newer);
                        return Err(Break::Changed);
                    }
                }
                Order::Withdraw { ask, note } if is_current(ask) => {
                    if let Some(question) = &current {
                        self.print_note(question, &note);
                    }
                    return Err(Break::Withdrawn);
                }
                other => self.take(other)?,
            }
            let drawn = line.draw(prompt, self.screen.columns());
            self.screen.print(&drawn);
        }
    }

    fn reply(&mut self, reply: Reply) {
        // A driver that does not listen any more is about to close this terminal.
        let _ = self.setup.replies.send(reply);
    }

    /// Shows a question, unless exactly this is what the screen shows already.
    fn show(&mut self, question: &Question) {
        if self.last.as_ref() == Some(question) {
            return;
        }
        let text = Layout::new(question, self.now(), self.screen.columns()).render();
        self.screen.print(&text);
        if !self.queue.is_empty() {
            let count = self.queue.len().to_string();
            self.screen
                .print(&format!("  {}\n", question.lang.fill(Text::MoreWaiting, &[("count", &count)])));
        }
        self.last = Some(question.clone());
    }

    /// A question for somebody else: it stands on the screen and holds up nothing.
    fn park(&mut self, question: Question) {
        let lang = question.lang;
        let values = [("run", question.run.as_str()), ("step", question.step.as_str())];
        let text = if question.signed {
            lang.fill(Text::SignIt, &values)
        } else {
            let names = who(&question);
            let not_you = lang.fill(Text::NotYou, &[("me", &self.setup.me), ("who", &names)]);
            format!("{not_you}\n  {}", lang.fill(Text::AnswerElsewhere, &values))
        };
        self.screen.print(&format!("  {}\n", harmless(&text)));
        self.parked.push(question);
    }

    fn print_note(&mut self, question: &Question, note: &str) {
        self.last = None;
        if !note.is_empty() {
            let values = [("step", question.step.as_str()), ("note", note)];
            let line = question.lang.fill(Text::Withdrawn, &values);
            self.screen.print(&format!("{}\n", harmless(&line)));
        }
    }

    fn print_refusal(&mut self, lang: Lang, why: &Refused) {
        let message = match refusal_fr(why.code).filter(|_| lang == Lang::Fr) {
            Some(fr) => format!("{fr} ({})", why.message),
            None => why.message.clone(),
        };
        let mut text = format!("  {}\n", lang.fill(Text::Refused, &[("message", &message)]));
        if let Some(hint) = &why.hint {
            text.push_str(&format!("  {}\n", lang.fill(Text::RefusedHint, &[("hint", hint)])));
        }
        self.screen.print(&harmless(&text));
    }

    /// One line of input, while orders are heeded.
    fn read_line(&mut self, prompt: &str, offer: &Offer) -> Result<String, Break> {
        let mut line = Line::with(&self.kept.take().unwrap_or_default());
        self.draw(&mut line, prompt);
        loop {
            self.listen(&mut line, prompt)?;
            let Some(byte) = self.keys.pop_front() else {
                match self.screen.read() {
                    Heard::Bytes(bytes) => self.keys.extend(bytes),
                    Heard::Silence => line.pause(),
                    Heard::Gone => return Err(Break::Hangup),
                }
                continue;
            };
            match line.feed(byte) {
                Key::Nothing => {}
                Key::Edited if self.keys.is_empty() => self.draw(&mut line, prompt),
                Key::Edited => {}
                Key::Enter => {
                    self.draw(&mut line, prompt);
                    self.screen.print("\n");
                    self.lines += 1;
                    return Ok(line.text().to_owned());
                }
                Key::Complete => self.complete(&mut line, prompt, offer),
                Key::Interrupt => {
                    self.screen.print("^C\n");
                    self.reply(Reply::Interrupt);
                    line = Line::default();
                    self.draw(&mut line, prompt);
                }
                Key::Eof => {
                    self.screen.print("\n");
                    return Err(Break::Hangup);
                }
                Key::Suspend => {
                    let wiped = line.wipe();
                    self.screen.print(&wiped);
                    self.screen.suspend();
                    self.draw(&mut line, prompt);
                }
            }
        }
    }

    fn draw(&mut self, line: &mut Line, prompt: &str) {
        let drawn = line.draw(prompt, self.screen.columns());
        self.screen.print(&drawn);
    }

    /// Completes what stands before the cursor, or shows what it could become.
    fn complete(&mut self, line: &mut Line, prompt: &str, offer: &Offer) {
        let typed = line.before_cursor().to_owned();
        let found = match offer {
            Offer::Nothing => Vec::new(),
            Offer::Words(words) => words.iter().filter(|word| word.starts_with(&typed)).cloned().collect(),
            Offer::Files => files(&typed),
        };
        let common =
            found.iter().skip(1).fold(found.first().cloned().unwrap_or_default(), |common, other| {
                common.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
            });
        if common.len() > typed.len() {
            line.replace_before(typed.len(), &common);
        } else if found.len() > 1 {
            let wiped = line.wipe();
            self.screen.print(&wiped);
            self.screen.print(&format!("  {}\n", harmless(&found.join("  "))));
        }
        self.draw(line, prompt);
    }
}

/// Paths that begin like this one.
fn files(typed: &str) -> Vec<String> {
    let (folder, start) = typed.rsplit_once('/').map_or(("", typed), |(folder, start)| (folder, start));
    let at = match (folder, typed.starts_with('/')) {
        ("", true) => "/".into(),
        ("", false) => ".".into(),
        (folder, _) => parse::path(&format!("{folder}/")),
    };
    let Ok(entries) = std::fs::read_dir(at) else { return Vec::new() };
    let named = entries.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let shown = name.starts_with(start) && !name.chars().any(super::line::is_unsafe);
        let slash = if entry.file_type().is_ok_and(|kind| kind.is_dir()) { "/" } else { "" };
        shown.then(|| format!("{}{name}{slash}", &typed[..typed.len() - start.len()]))
    });
    let mut found: Vec<String> = named.take(200).collect();
    found.sort();
    found
}

impl Talker for Console {
    fn line(&mut self, prompt: &str, offer: &Offer) -> Result<String, Break> {
        loop {
            let typed = self.read_line(prompt, offer)?;
            if typed.trim() != "?" {
                return Ok(typed);
            }
            self.lines -= 1;
            if let Some(question) = self.current.clone() {
                let text = Layout::new(&question, self.now(), self.screen.columns()).whole().render();
                let help = question.lang.text(Text::MoreHelp);
                self.screen.print(&format!("{text}  {help}\n"));
            }
        }
    }

    fn print(&mut self, text: &str) {
        self.screen.print(text);
    }

    fn keep(&mut self, path: &Path) -> Result<EvidenceRef, EvidenceError> {
        self.setup.evidence.keep(path)
    }

    fn now(&self) -> Timestamp {
        self.setup.clock.now()
    }
}
