//! The local driver: one task owns the state and the journal of a run, and nobody else touches them.
//!
//! The loop: reconcile what the core wants with what is in flight · wait until something happens · take in everything
//! that is ready, `decide` and `apply` in memory · append all of it with one sync · tell the operator, and whoever
//! spoke from elsewhere. A failed sync ends the driver: what is not on disk has not happened, and nothing it would have
//! enabled has been started.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};

use super::board::Board;
use super::book::{self, Book, BookError};
use super::messengers::{Messengers, Report};
use super::reminders::Reminders;
use super::signals::{Signal, Signals};
use super::socket::{Remote, Said, Socket, Verb};
use super::word::{Unheard, Word};
use super::{identity, narrate};
use crate::clock::{Clock, Timestamp};
use crate::core::{
    Actor, Answer, AttemptKey, Command, Decided, How, Input, Outcome, Phase, Refused, State, decide, wanted,
};
use crate::operator::{Operator, Question, Reply};
use crate::plan::Plan;
use crate::runner::{
    CancelHandle, CancelToken, RunContext, Runners, SealError, TailLine, TailSink, cancellation,
};

/// Between tree heads while a run is live.
const HEAD_EVERY_MS: u64 = crate::record::build::HEAD_EVERY_MS;

/// Everything that drives one run in this process.
pub struct Local {
    pub plan: Arc<Plan>,
    pub state: State,
    pub book: Book,
    pub context: Arc<RunContext>,
    pub runners: Arc<Runners>,
    pub operator: Box<dyn Operator>,
    pub replies: mpsc::UnboundedReceiver<Reply>,
    pub clock: Arc<dyn Clock>,
    /// The user of this process, as the run knows him.
    pub actor: Actor,
    /// Nobody can be asked in this process: a question without an answer pauses the run.
    pub alone: bool,
    /// Leave the run parked instead of sleeping through a long wait.
    pub no_wait: bool,
}

/// Why the driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The run is over and its record is sealed.
    Finished,
    /// It is parked: resume goes on.
    Parked,
}

/// What makes a driver give up. The journal says what is true; resuming is safe.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    #[error(transparent)]
    Book(#[from] BookError),
    #[error(transparent)]
    Sealed(#[from] SealError),
    #[error("cannot watch for signals: {0}")]
    Signals(std::io::Error),
}

/// Everything that can wake the driver.
enum Woken {
    Finished(AttemptKey, Box<Outcome>),
    Reply(Reply),
    /// From elsewhere.
    Request(Remote),
    Signal(Signal),
    Tail(TailLine),
    /// What became of a message about a question.
    Told(Report),
    Clock,
}

struct Loop {
    it: Local,
    in_flight: BTreeMap<AttemptKey, CancelHandle>,
    board: Board,
    /// Absent before the first entry, after the last, and where there can be none.
    socket: Option<Socket>,
    /// What is said from elsewhere, and is not on disk yet.
    heard: Vec<(oneshot::Sender<Said>, Said)>,
    reminders: Reminders,
    messengers: Messengers,
    finished: mpsc::UnboundedReceiver<(AttemptKey, Box<Outcome>)>,
    finish: mpsc::UnboundedSender<(AttemptKey, Box<Outcome>)>,
    tail: broadcast::Receiver<TailLine>,
    tail_sink: broadcast::Sender<TailLine>,
    wake: Option<Timestamp>,
    head_due: Timestamp,
    interrupts: u32,
    leave: bool,
}

impl Local {
    /// Takes in `first` and drives until the run is over or parked.
    ///
    /// # Errors
    /// The first input is refused, or the journal or the record cannot be written.
    pub async fn drive(self, first: Vec<Input>) -> Result<(Stopped, State, Book), DriveError> {
        let mut signals = Signals::watch().map_err(DriveError::Signals)?;
        let (finish, finished) = mpsc::unbounded_channel();
        let (tail_sink, tail) = broadcast::channel(1_024);
        let head_due = self.clock.now().plus(HEAD_EVERY_MS);
        let mut this = Loop {
            it: self,
            in_flight: BTreeMap::new(),
            board: Board::default(),
            socket: None,
            heard: Vec::new(),
            reminders: Reminders::default(),
            messengers: Messengers::new(),
            finished,
            finish,
            tail,
            tail_sink,
            wake: None,
            head_due,
            interrupts: 0,
            leave: false,
        };
        // As a task beside the attempts, the loop goes on in the thread that saw an attempt end, and an attempt begins in
        // the thread that decided it. Polled by whoever called, each would wait for another thread to wake up.
        let driven = tokio::spawn(async move {
            let result = this.run(first, &mut signals).await;
            (result, this)
        });
        let (result, mut this) = match driven.await {
            Ok(driven) => driven,
            // Nobody aborts it.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        // Not told that nothing was taken: where the journal cannot be written, nobody knows.
        this.heard.clear();
        this.stop_listening().await;
        this.it.operator.close();
        for handle in this.in_flight.values() {
            handle.kill();
        }
        Ok((result?, this.it.state, this.it.book))
    }
}

impl Loop {
    async fn run(&mut self, first: Vec<Input>, signals: &mut Signals) -> Result<Stopped, DriveError> {
        let mut batch = Vec::new();
        for input in first {
            let decided = decide(&self.it.plan, &mut self.it.state, self.it.clock.now(), input);
            batch.push(decided.map_err(BookError::from)?);
        }
        self.commit(batch)?;
        self.listen();
        loop {
            self.reconcile();
            if self.it.state.phase() == Phase::Finished {
                self.stop_listening().await;
                self.seal()?;
                return Ok(Stopped::Finished);
            }
            if self.parks()? {
                return Ok(Stopped::Parked);
            }
            let woken = self.wait(signals).await;
            let mut batch = Vec::new();
            let mut inputs = vec![woken];
            self.drain(&mut inputs);
            for woken in inputs {
                self.take(woken, &mut batch);
                // A signature is under the question as it stood: nothing that comes later may change that before both
                // are filed.
                if batch.last().is_some_and(book::is_signed) {
                    self.commit(std::mem::take(&mut batch))?;
                }
            }
            self.commit(batch)?;
            self.head_if_due()?;
        }
    }

    async fn wait(&mut self, signals: &mut Signals) -> Woken {
        let now = self.it.clock.now();
        let head = self.head_due.since(now);
        let quiet = self.reminders.quiet(self.it.clock.mono()).unwrap_or(head);
        let millis = self.wake.map_or(head, |at| at.since(now).min(head)).min(quiet).max(1);
        tokio::select! {
            biased;
            Some((key, outcome)) = self.finished.recv() => Woken::Finished(key, outcome),
            Some(reply) = self.it.replies.recv() => Woken::Reply(reply),
            Some(request) = next_request(&mut self.socket) => Woken::Request(request),
            signal = signals.next() => Woken::Signal(signal),
            Ok(line) = self.tail.recv() => Woken::Tail(line),
            Some(report) = self.messengers.next() => Woken::Told(report),
            () = tokio::time::sleep(Duration::from_millis(millis)) => Woken::Clock,
        }
    }

    /// Everything else that is ready now shares the sync.
    fn drain(&mut self, inputs: &mut Vec<Woken>) {
        while let Ok((key, outcome)) = self.finished.try_recv() {
            inputs.push(Woken::Finished(key, outcome));
        }
        while let Ok(reply) = self.it.replies.try_recv() {
            inputs.push(Woken::Reply(reply));
        }
        while let Some(Ok(request)) = self.socket.as_mut().map(|socket| socket.requests.try_recv()) {
            inputs.push(Woken::Request(request));
        }
        while let Ok(line) = self.tail.try_recv() {
            inputs.push(Woken::Tail(line));
        }
    }

    fn take(&mut self, woken: Woken, batch: &mut Vec<Decided>) {
        match woken {
            Woken::Finished(key, outcome) => {
                self.in_flight.remove(&key);
                self.decide(Input::Finished { key, outcome }, batch);
            }
            Woken::Reply(Reply::Answer(answer)) => {
                let ask = answer.ask;
                match self.answer(*answer, batch) {
                    Ok(_) => self.board.taken(ask),
                    Err(refused) => self.it.operator.refused(ask, &refused),
                }
            }
            Woken::Request(Remote { user, verb, reply, .. }) => {
                let speaker = identity::actor(&self.it.plan.graph.people, &user);
                let said = match verb {
                    Verb::Answer(word) => self.word(word, &speaker, batch),
                    Verb::Cancel { reason } => self.cancel(speaker, reason, batch),
                };
                self.heard.push((reply, said));
            }
            Woken::Reply(Reply::Interrupt) | Woken::Signal(Signal::Interrupt) => self.interrupt(batch),
            Woken::Reply(Reply::Hangup) | Woken::Signal(Signal::Hangup) => self.hang_up(batch),
            Woken::Signal(Signal::Continued) => self.it.operator.redraw(),
            Woken::Tail(line) => {
                let text = narrate::tail(&self.it.state, &line);
                self.it.operator.say(&text);
            }
            Woken::Told(report) if report.is_news() => {
                let text = narrate::told(&report);
                self.decide(Input::Note { actor: self.it.actor.clone(), text }, batch);
            }
            Woken::Told(_) => {}
            Woken::Clock => self.decide(Input::Tick, batch),
        }
    }

    /// What was answered at the prompt, under the signature of whoever signs himself.
    fn answer(&mut self, answer: Answer, batch: &mut Vec<Decided>) -> Result<bool, Refused> {
        let answer = self.it.book.signed(&self.it.plan, &self.it.state, answer)?;
        self.try_decide(Input::Answer(Box::new(answer)), batch)
    }

    fn decide(&mut self, input: Input, batch: &mut Vec<Decided>) {
        // What cannot be answered to anybody is stale by construction.
        let _refused = self.try_decide(input, batch);
    }

    /// Whether it was news.
    fn try_decide(&mut self, input: Input, batch: &mut Vec<Decided>) -> Result<bool, Refused> {
        let decided = decide(&self.it.plan, &mut self.it.state, self.it.clock.now(), input)?;
        let news = !decided.events.is_empty();
        if news {
            batch.push(decided);
        }
        Ok(news)
    }

    /// Somebody's word from elsewhere: an input like every other.
    fn word(&mut self, word: Word, speaker: &Actor, batch: &mut Vec<Decided>) -> Said {
        let Local { plan, state, book, .. } = &mut self.it;
        match book.hear(plan, state, word, speaker) {
            Ok(answer) => said(self.try_decide(Input::Answer(Box::new(answer)), batch)),
            Err(unheard @ Unheard::Evidence(_)) => Said::Unkept { message: unheard.to_string() },
            Err(unheard) => Said::Refused {
                code: if matches!(unheard, Unheard::Signed(_)) { "bad-signature" } else { "unheard" }
                    .to_owned(),
                message: unheard.to_string(),
                hint: unheard.hint(),
            },
        }
    }

    fn cancel(&mut self, actor: Actor, reason: String, batch: &mut Vec<Decided>) -> Said {
        if self.it.state.run.ending.is_some() && self.it.state.run.finished.is_none() {
            return Said::Taken { news: false };
        }
        said(self.try_decide(Input::Cancel { actor, reason }, batch))
    }

    /// Once: nothing new starts. Twice: what runs is stopped. Three times: the process leaves.
    fn interrupt(&mut self, batch: &mut Vec<Decided>) {
        self.interrupts += 1;
        let lang = self.it.state.run.lang.clone();
        match self.interrupts {
            1 => {
                self.pause("interrupted", false, batch);
                if !self.in_flight.is_empty() {
                    self.it.operator.say(&narrate::pausing(&lang, self.in_flight.len()));
                }
            }
            2 => self.pause("interrupted", true, batch),
            _ => self.leave = true,
        }
    }

    fn hang_up(&mut self, batch: &mut Vec<Decided>) {
        if self.interrupts == 0 {
            self.interrupts = 1;
            self.pause("hangup", false, batch);
        }
    }

    fn pause(&mut self, reason: &str, stop: bool, batch: &mut Vec<Decided>) {
        let input = Input::Pause { actor: self.it.actor.clone(), reason: reason.to_owned(), stop };
        self.decide(input, batch);
    }

    fn commit(&mut self, batch: Vec<Decided>) -> Result<(), BookError> {
        let Local { plan, state, book, operator, .. } = &mut self.it;
        book.write(plan, state, batch, &mut |state, event| {
            if let Some(line) = narrate::line(plan, state, event) {
                operator.say(&line);
            }
        })?;
        for (reply, said) in self.heard.drain(..) {
            // Who has gone away finds it in the journal.
            let _gone = reply.send(said);
        }
        Ok(())
    }

    /// Lets others speak to this process. A run without a socket is answered at its prompt.
    fn listen(&mut self) {
        match Socket::listen(&self.it.context.dir, &self.it.state.run.id) {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => self.it.operator.say(&narrate::unreachable(&self.it.state, &error)),
        }
    }

    async fn stop_listening(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.close().await;
        }
    }

    fn head_if_due(&mut self) -> Result<(), BookError> {
        let now = self.it.clock.now();
        if now >= self.head_due {
            self.it.book.sign_head()?;
            self.head_due = now.plus(HEAD_EVERY_MS);
        }
        Ok(())
    }

    /// Compares what ought to be in flight with what is.
    fn reconcile(&mut self) {
        let mut asks = BTreeSet::new();
        self.wake = None;
        for command in wanted(&self.it.state) {
            match command {
                Command::Attempt(key) => self.start(key, false),
                Command::Stop(key) => match self.in_flight.get(&key) {
                    Some(handle) => handle.stop(),
                    // Written down as started and told to stop in one batch: it has to end too, having done nothing.
                    None => self.start(key, true),
                },
                Command::Ask(ask) => {
                    asks.insert(ask);
                }
                Command::WakeAt(at) => self.wake = Some(at),
            }
        }
        let Local { plan, state, book, operator, runners, context, .. } = &mut self.it;
        self.board.show(&asks, (&**plan, &*state), book, operator.as_mut());
        self.messengers.look(&asks, (plan, state), runners, context);
        self.remind(asks);
    }

    /// Questions that no time-out closes are not forgotten either.
    fn remind(&mut self, mut asks: BTreeSet<u32>) {
        let (now, mono) = (self.it.clock.now(), self.it.clock.mono());
        let left = |ask: &u32| {
            let open = self.it.state.ask(*ask)?;
            let timebox = self.it.state.shape().node(open.step).timebox_ms?;
            Some((*ask, open.opened.plus(timebox).since(now)))
        };
        let left = asks.iter().filter_map(left).collect();
        for ask in self.reminders.over(&left, mono) {
            if let Some(question) = Question::of(&self.it.plan, &self.it.state, ask) {
                self.it.operator.remind(&narrate::overtime(&question, now));
            }
        }
        asks.retain(|ask| self.it.state.ask(*ask).is_some_and(|ask| ask.expires.is_none()));
        for ask in self.reminders.look(&asks, self.it.clock.mono()) {
            if let Some(question) = Question::of(&self.it.plan, &self.it.state, ask) {
                let minutes = self.it.clock.now().since(question.opened) / 60_000;
                self.it.operator.remind(&narrate::reminder(&question, minutes));
            }
        }
    }

    fn start(&mut self, key: AttemptKey, stopped: bool) {
        if self.in_flight.contains_key(&key) {
            return;
        }
        let Some(request) = self.it.state.request(&key) else { return };
        let (handle, token): (CancelHandle, CancelToken) = cancellation();
        if stopped {
            handle.stop();
        }
        self.in_flight.insert(key.clone(), handle);
        let (runners, context) = (self.it.runners.clone(), self.it.context.clone());
        let (finish, tail) = (self.finish.clone(), TailSink::to(self.tail_sink.clone()));
        tokio::spawn(async move {
            let outcome = runners.run((*request).clone(), &context, token, tail).await;
            // The driver may be gone: then the journal has no finish, and the next resume asks what happened.
            let _gone = finish.send((key, Box::new(outcome)));
        });
    }

    /// Whether nothing can go on in this process: paused with nothing running, or only people could go on and nobody
    /// is there.
    fn parks(&mut self) -> Result<bool, BookError> {
        if self.leave {
            return Ok(true);
        }
        if !self.in_flight.is_empty() {
            return Ok(false);
        }
        if self.it.state.run.paused.is_some() {
            self.it.book.sign_head()?;
            return Ok(true);
        }
        if self.messengers.are_under_way() {
            return Ok(false);
        }
        let open = !self.it.state.derived().open_asks.is_empty();
        let spoken = self.socket.as_ref().is_some_and(|socket| !socket.requests.is_empty());
        if spoken {
            return Ok(false);
        }
        let nobody = self.it.alone && open && self.it.replies.is_empty();
        let sleeps = self.it.no_wait && self.it.state.derived().loose.is_empty();
        let state = &self.it.state;
        let stuck = state.derived().loose.iter().all(|step| state.waits_for_an_answer(*step));
        if (nobody && stuck) || sleeps {
            let mut batch = Vec::new();
            let reason = if open { "unattended" } else { "waiting" };
            let actor = Actor { who: self.it.actor.who.clone(), how: How::OsUser, played_by: None };
            let _paused =
                self.try_decide(Input::Pause { actor, reason: reason.to_owned(), stop: false }, &mut batch);
            self.commit(batch)?;
            self.it.book.sign_head()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The ending sequence of the record. What was born in the run is erased first: a record that is complete says that
    /// nothing of it is left. Nothing starts any more, so nobody needs the scratch folder.
    fn seal(&mut self) -> Result<(), DriveError> {
        let Local { plan, state, book, context, operator, .. } = &mut self.it;
        if let Err(error) = context.work.wipe() {
            operator.say(&narrate::not_wiped(state, &error));
        }
        context.secrets.erase()?;
        book.seal(plan, state)?;
        Ok(())
    }
}

async fn next_request(socket: &mut Option<Socket>) -> Option<Remote> {
    match socket {
        Some(socket) => socket.requests.recv().await,
        None => std::future::pending().await,
    }
}

fn said(decided: Result<bool, Refused>) -> Said {
    match decided {
        Ok(news) => Said::Taken { news },
        Err(Refused { code, message, hint }) => Said::Refused { code: code.to_owned(), message, hint },
    }
}
