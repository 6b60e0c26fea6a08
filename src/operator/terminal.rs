//! A person at a terminal, on a thread of its own.
//!
//! The thread owns the terminal alone: whoever wants to show something sends an order. While a prompt is up the
//! thread listens to both, keys and orders, so a line of progress appears above what is being typed and a
//! withdrawn question disappears at once. No signal is involved: Ctrl-C at a prompt is a byte, and a real SIGINT
//! stays with the driver. (`rustyline::Editor::readline` blocks in `read` and needs a signal to be cancelled, takes
//! the driver's handler away while it reads, and its printer can block as a prompt ends. So its parts are used:
//! the line buffer, the history, the completion of file names.)

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::dialog::{Break, Offer, Reader, Talker, converse};
use super::elsewhere;
use super::evidence::{EvidenceError, EvidenceStore};
use super::layout::{Layout, who};
use super::line::Line;
use super::prompt::{Heeded, Prompt};
use super::question::Question;
use super::screen::{Screen, TerminalError, harmless, one_line};
use super::wording::{Lang, Text, refusal};
use super::{Operator, Reply};
use crate::clock::{Clock, Timestamp};
use crate::core::{EvidenceRef, Refused};

/// What a terminal needs to know.
pub struct Setup {
    /// The person at the keyboard, as the core names him: `alice`, `os:root`.
    pub me: String,
    /// A key of that person signs what he decides here.
    pub signs: bool,
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
    Remind(String),
    Redraw,
    Close,
}

impl Terminal {
    /// # Errors
    /// There is no terminal, or no thread for it.
    pub fn open(setup: Setup) -> Result<Self, TerminalError> {
        let screen = Screen::open()?;
        let (orders, received) = channel();
        let mut console = Console {
            prompt: Prompt::on(screen),
            orders: received,
            setup,
            queue: VecDeque::new(),
            parked: Vec::new(),
            current: None,
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

    fn remind(&mut self, line: &str) {
        self.order(Order::Remind(line.to_owned()));
    }

    fn redraw(&mut self) {
        self.order(Order::Redraw);
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

/// How often the terminal is looked after while nothing is asked.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What the thread knows.
struct Console {
    prompt: Prompt,
    orders: Receiver<Order>,
    setup: Setup,
    queue: VecDeque<Question>,
    /// Shown, but for somebody else to answer.
    parked: Vec<Question>,
    current: Option<Question>,
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
                match self.orders.recv_timeout(LOOK_AGAIN) {
                    Ok(order) => match self.take(order) {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                    Err(RecvTimeoutError::Timeout) => self.prompt.screen.retake(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                continue;
            };
            if self.gone {
                continue;
            }
            self.show(&question);
            if !question.is_for(&self.setup.me, self.setup.signs) {
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
        self.prompt.screen.raw();
        self.prompt.lang = question.lang;
        self.prompt.forget_typed();
        let answer = converse(self, &question, &me);
        self.prompt.screen.cooked();
        match answer {
            Ok(answer) => {
                self.reply(Reply::Answer(Box::new(answer)));
                self.verdict(question.ask)
            }
            Err(stop) => {
                if stop == Break::Changed
                    && let Some(newer) = self.current.take()
                {
                    self.prompt.screen.print(&format!("{}\n", newer.lang.text(Text::Changed)));
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
            Order::Say(line) => self.prompt.screen.say(&harmless(&line)),
            Order::Remind(line) => {
                self.prompt.screen.print(&(harmless(&line) + "\n"));
                self.prompt.screen.ring();
            }
            // No prompt is up.
            Order::Redraw => {}
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
                && !self.prompt.screen.says_here()
            {
                self.prompt.screen.say(&harmless(text));
                continue;
            }
            let wiped = line.wipe();
            self.prompt.screen.print(&wiped);
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
                // Whoever had the terminal meanwhile may have left it in another mode.
                Order::Redraw => self.prompt.screen.raw(),
                other => self.take(other)?,
            }
            let drawn = line.draw(prompt, self.prompt.screen.columns());
            self.prompt.screen.print(&drawn);
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
        let text = Layout::new(question, self.now(), self.prompt.screen.columns()).render();
        self.prompt.screen.print(&text);
        if !self.queue.is_empty() {
            let count = self.queue.len().to_string();
            self.prompt
                .screen
                .print(&format!("  {}\n", question.lang.fill(Text::MoreWaiting, &[("count", &count)])));
        }
        if question.to_sign.is_some() && question.is_for(&self.setup.me, self.setup.signs) {
            self.prompt.screen.print(&format!("  {}\n", question.lang.text(Text::SignHelp)));
        }
        self.last = Some(question.clone());
    }

    /// A question for somebody else: it stands on the screen and holds up nothing.
    fn park(&mut self, question: Question) {
        let lang = question.lang;
        let (place, words) = question.on_a_command_line();
        let values = [("run", question.run.as_str()), ("place", place.as_str()), ("words", words.as_str())];
        let names = who(&question);
        let not_you = lang.fill(Text::NotYou, &[("me", &self.setup.me), ("who", &names)]);
        let mut text = if question.signed {
            lang.text(Text::SignIt).to_owned()
        } else {
            format!("{not_you}\n  {}", lang.fill(Text::AnswerElsewhere, &values))
        };
        if question.signed && question.to_sign.is_none() {
            text.push_str(&format!("\n  {}", lang.text(Text::NobodySigns)));
        }
        self.prompt.screen.print(&format!("  {}\n", harmless(&text)));
        self.print_block(&question);
        self.parked.push(question);
    }

    /// What somebody elsewhere can sign. Its text is harmless by its own escapes, which must not be touched.
    fn print_block(&mut self, question: &Question) {
        if let Some(block) = elsewhere::block(question, &question.run) {
            self.prompt.screen.print(&block);
        }
    }

    fn print_note(&mut self, question: &Question, note: &str) {
        self.last = None;
        if !note.is_empty() {
            let values = [("step", question.step.as_str()), ("note", note)];
            let line = question.lang.fill(Text::Withdrawn, &values);
            self.prompt.screen.print(&format!("{}\n", one_line(&line)));
        }
    }

    fn print_refusal(&mut self, lang: Lang, why: &Refused) {
        let headline = refusal(lang, why);
        let mut text = format!("  {}\n", lang.fill(Text::Refused, &[("message", &one_line(headline))]));
        if headline != why.message {
            text.push_str(&format!("  {}\n", lang.fill(Text::Detail, &[("why", &one_line(&why.message))])));
        }
        if let Some(hint) = &why.hint {
            text.push_str(&format!("  {}\n", lang.fill(Text::RefusedHint, &[("hint", &one_line(hint))])));
        }
        self.prompt.screen.print(&harmless(&text));
    }

    /// One line of input, while orders are heeded.
    fn read_line(&mut self, prompt: &str, offer: &Offer) -> Result<String, Break> {
        let mut line = Line::with(&self.kept.take().unwrap_or_default());
        self.prompt.draw(&mut line, prompt);
        loop {
            self.listen(&mut line, prompt)?;
            match self.prompt.step(&mut line, prompt, offer)? {
                Heeded::Going => {}
                Heeded::Entered => {
                    self.lines += 1;
                    return Ok(line.text().to_owned());
                }
                Heeded::Interrupt => {
                    self.reply(Reply::Interrupt);
                    line = Line::default();
                    self.prompt.draw(&mut line, prompt);
                }
            }
        }
    }
}

impl Reader for Console {
    fn line(&mut self, prompt: &str, offer: &Offer) -> Result<String, Break> {
        loop {
            let typed = self.read_line(prompt, offer)?;
            if !matches!(typed.trim(), "?" | "??") {
                self.prompt.remember(&typed);
                return Ok(typed);
            }
            self.lines -= 1;
            if let Some(question) = self.current.clone() {
                if typed.trim() == "??" && question.to_sign.is_some() {
                    self.print_block(&question);
                    continue;
                }
                let text = Layout::new(&question, self.now(), self.prompt.screen.columns()).whole().render();
                let help = question.lang.text(Text::MoreHelp);
                self.prompt.screen.print(&format!("{text}  {help}\n"));
            }
        }
    }

    fn print(&mut self, text: &str) {
        self.prompt.screen.print(text);
    }
}

impl Talker for Console {
    fn keep(&mut self, path: &Path) -> Result<EvidenceRef, EvidenceError> {
        self.setup.evidence.keep(path)
    }

    fn now(&self) -> Timestamp {
        self.setup.clock.now()
    }
}
