//! Messages to people: over mail, a webhook, or a program of theirs.
//!
//! Owns what it means that somebody was reached: one channel of his took the message. Whoever has it is remembered
//! under the key of the message in a side file of the run, so that another attempt goes only to those who have not.
//! What a server refused was not sent; a message whose last byte was under way when the answer got lost may have been.
//! Nothing of what a server says is believed beyond that, and no error quotes a secret.

mod mail;
mod told;
mod webhook;

use std::sync::{Mutex, PoisonError};

use super::capture::Capture;
use super::fill::{Filled, Plain, fill};
use super::judge::{Answer, Parts};
use super::process::{self, RunError, Stop};
use super::program::{environment, lost, nothing, reason_of};
use super::sweep::Mark;
use super::{Boxed, Call, CancelLevel, End, Observation, Runner, Trouble};
use crate::plan::{Action, Channel, ErrorClass, Notice, Recipient};
use told::Told;

/// A longer text is no message. It has to fit into a variable of a program, too.
const LONGEST: usize = 64 * 1024;

/// What is said of somebody who has the message already.
pub const SENT_BEFORE: &str = "sent before";

/// Sends messages.
pub(super) struct Notify {
    webhooks: webhook::Webhooks,
}

impl Notify {
    pub(super) fn new() -> Self {
        Self { webhooks: webhook::Webhooks::new() }
    }

    async fn call(&self, call: Call<'_>) -> Observation {
        let begun = call.context.clock.mono();
        let filled = match fill(&call.request.probe.action, call.context).await {
            Ok(filled) => filled,
            Err(error) => return nothing(reason_of(&error), &error.to_string()),
        };
        let Action::Notify(notice) = &filled.action else {
            return nothing("request", "a call or a program is not a message");
        };
        if let Err(message) = sendable(notice) {
            return nothing("request", &message);
        }
        let told = match Told::open(&call.context.dir, call.request.idempotency_key.as_deref()) {
            Ok(told) => told,
            Err(error) => return nothing("capture", &error.to_string()),
        };
        let round = Round {
            call: &call,
            filled: &filled,
            notice,
            webhooks: &self.webhooks,
            told,
            progress: Mutex::default(),
        };
        let stopped = tokio::select! {
            () = round.all() => None,
            () = tokio::time::sleep(call.timeout) => Some(("timeout", ErrorClass::Timeout)),
            () = call.cancel.reached(CancelLevel::Stop) => Some(("cancelled", ErrorClass::Other)),
        };
        let progress = round.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
        let elapsed = call.context.clock.mono().saturating_sub(begun);
        progress.observation(notice.first, stopped, elapsed)
    }
}

impl Runner for Notify {
    fn observe<'a>(&'a self, call: Call<'a>) -> Boxed<'a, Observation> {
        Box::pin(self.call(call))
    }
}

/// A subject is one line: what would end a header must not be in it. No value is quoted.
fn sendable(notice: &Notice<Plain>) -> Result<(), String> {
    if notice.to.is_empty() {
        return Err("there is nobody to tell".to_owned());
    }
    for (lang, subject, text) in notice.pages() {
        if subject.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(format!("the subject ({lang}) holds a line break or another control character"));
        }
        if text.contains('\0') {
            return Err(format!("the text ({lang}) holds a byte that is zero"));
        }
        if subject.len() + text.len() > LONGEST {
            return Err(format!("the message ({lang}) is larger than {LONGEST} bytes"));
        }
    }
    Ok(())
}

/// What became of a message on one channel.
enum Sent {
    Yes,
    /// Refused, or never sent.
    No(ErrorClass, String),
    /// It may have arrived.
    Perhaps(ErrorClass, String),
}

/// A message in the language of whoever gets it.
struct Words<'a> {
    subject: &'a str,
    text: &'a str,
}

/// All recipients, one after another.
struct Round<'a> {
    call: &'a Call<'a>,
    filled: &'a Filled,
    notice: &'a Notice<Plain>,
    webhooks: &'a webhook::Webhooks,
    told: Told,
    progress: Mutex<Progress>,
}

/// How far a round has come, also where it is broken off.
#[derive(Debug, Default)]
struct Progress {
    sent: Vec<String>,
    failed: Vec<String>,
    /// Nobody knows whether it has arrived.
    lost: Vec<String>,
    /// What became of each channel, for people.
    lines: Vec<String>,
    classes: Vec<ErrorClass>,
    /// The message is on its way to this one.
    acting: Option<String>,
}

impl Round<'_> {
    async fn all(&self) {
        for (number, recipient) in self.notice.to.iter().enumerate() {
            if self.notice.first && !self.progress(|progress| progress.sent.is_empty()) {
                return;
            }
            self.one(number, recipient).await;
        }
    }

    fn progress<T>(&self, look: impl FnOnce(&mut Progress) -> T) -> T {
        look(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn one(&self, number: usize, recipient: &Recipient) {
        let name = &recipient.name;
        let (mut reached, mut perhaps) = (false, false);
        for (channel, over) in recipient.channels.iter().enumerate() {
            let said = |what: &str| {
                let line = format!("{name}: {}: {what}", over.shown());
                self.progress(|progress| progress.lines.push(line));
            };
            if self.told.has(name, channel) {
                reached = true;
                said(SENT_BEFORE);
                continue;
            }
            match self.send(number, recipient, over).await {
                Sent::Yes => {
                    reached = true;
                    // What cannot be remembered may be sent twice, which is better than not at all.
                    if let Err(error) = self.told.note(name, channel) {
                        tracing::warn!(%error, "a message that was sent is not on the list of those");
                    }
                    said("sent");
                }
                Sent::No(class, why) => {
                    self.progress(|progress| progress.classes.push(class));
                    said(&self.masked(&why));
                }
                Sent::Perhaps(class, why) => {
                    perhaps = true;
                    self.progress(|progress| progress.classes.push(class));
                    said(&format!("perhaps sent: {}", self.masked(&why)));
                }
            }
            self.progress(|progress| progress.acting = None);
        }
        self.progress(|progress| {
            let list = match (reached, perhaps) {
                (true, _) => &mut progress.sent,
                (false, true) => &mut progress.lost,
                (false, false) => &mut progress.failed,
            };
            list.push(name.clone());
        });
    }

    fn masked(&self, text: &str) -> String {
        self.call.context.secrets.masker().text(text)
    }

    async fn send(&self, number: usize, recipient: &Recipient, channel: &Channel) -> Sent {
        let lang = recipient.lang.as_deref().unwrap_or(&self.call.context.lang);
        let (Some(subject), Some(text)) = (self.notice.subject.in_lang(lang), self.notice.text.in_lang(lang))
        else {
            return Sent::No(ErrorClass::Other, "there is nothing to say".to_owned());
        };
        let words = Words { subject, text };
        let acting: &(dyn Fn() + Sync) =
            &|| self.progress(|progress| progress.acting = Some(recipient.name.clone()));
        match channel {
            Channel::Mail(address) => {
                let id = format!("{}.{number}", self.id());
                mail::send(self.call, self.filled, self.notice, address, &id, &words, acting).await
            }
            Channel::Slack(secret) => {
                let address = self.filled.secret(secret);
                self.webhooks.send(self.call, address, &words, acting).await
            }
            Channel::Command(argv) => self.hand_over(argv, recipient, &words, acting).await,
        }
    }

    /// The same for every attempt at the same message.
    fn id(&self) -> String {
        let request = self.call.request;
        let own = || format!("{}.{}", self.call.context.run, request.key.step);
        request.idempotency_key.clone().unwrap_or_else(own)
    }

    /// Gives the message to a program: its text as input, the rest as variables. No shell, and no value in its words.
    async fn hand_over(
        &self,
        argv: &[String],
        recipient: &Recipient,
        words: &Words<'_>,
        acting: &(dyn Fn() + Sync),
    ) -> Sent {
        let no = |why: String| Sent::No(ErrorClass::Other, why);
        let call = self.call;
        let mark = Mark { run: call.context.run.clone(), attempt: call.request.key.to_string() };
        let mut variables = environment(call, &[], &mark);
        variables.insert("CONSIGNE_SUBJECT".into(), words.subject.into());
        variables.insert("CONSIGNE_TEXT".into(), words.text.into());
        variables.insert("CONSIGNE_RECIPIENT".into(), recipient.name.clone().into());
        let input = match input(words.text) {
            Ok(input) => input,
            Err(error) => return no(format!("cannot hand over the text: {error}")),
        };
        let mut command = match process::command(argv, &variables, &call.context.base_dir) {
            Ok(command) => command,
            Err(error) => return no(format!("cannot run it: {error}")),
        };
        command.stdin(input);
        let captures = ["stdout", "stderr"]
            .map(|_| Capture::new(call.context.blobs.clone(), call.context.secrets.masks(), None));
        acting();
        match process::run(command, &mark, call.context, call.timeout, call.cancel, captures).await {
            Ok(ran) => match (ran.stop, ran.status.code()) {
                (Stop::ByItself, Some(0)) => Sent::Yes,
                (Stop::ByItself, Some(exit)) => {
                    let said = ran.stderr.excerpt.lines().next().unwrap_or_default().to_owned();
                    no(format!("it ended with {exit}: {said}"))
                }
                (Stop::TimedOut, _) => {
                    Sent::Perhaps(ErrorClass::Timeout, "it was ended after its time-out".to_owned())
                }
                _ => Sent::Perhaps(ErrorClass::Other, "it was ended by a signal".to_owned()),
            },
            Err(RunError::Spawn(error)) => no(format!("cannot run it: {error}")),
            Err(error) => Sent::Perhaps(ErrorClass::Other, error.to_string()),
        }
    }
}

/// A text that can be read from its beginning to its end, whether or not anybody does.
fn input(text: &str) -> std::io::Result<std::fs::File> {
    use std::io::{Seek, Write};
    let mut file = tempfile::tempfile()?;
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

impl Progress {
    fn observation(
        mut self,
        first: bool,
        stopped: Option<(&'static str, ErrorClass)>,
        elapsed_ms: u64,
    ) -> Observation {
        let cut_off = self.acting.take();
        if let Some(name) = &cut_off {
            self.lines.push(format!("{name}: perhaps sent: it was cut off"));
        }
        let done = if first {
            !self.sent.is_empty()
        } else {
            self.failed.is_empty() && self.lost.is_empty() && stopped.is_none()
        };
        let perhaps = cut_off.is_some() || !self.lost.is_empty();
        let message = self.lines.join("\n");
        let end = match stopped {
            _ if done => {
                End::Answered(Answer::new(Parts::Notice { sent: self.sent, failed: self.failed }, elapsed_ms))
            }
            Some((reason, class)) if perhaps => lost(reason, class, message.clone()),
            None if perhaps => lost("reset", ErrorClass::Server, message.clone()),
            Some(("cancelled", _)) => End::Cancelled,
            Some((reason, class)) => End::Nothing(Trouble { reason, class, message: message.clone() }),
            None => End::Nothing(Trouble {
                reason: "unreached",
                class: worst(&self.classes),
                message: message.clone(),
            }),
        };
        let excerpts = std::collections::BTreeMap::from([("body".to_owned(), message)]);
        Observation { end, excerpts, ..Observation::default() }
    }
}

/// What decides whether another attempt makes sense: one that nothing would mend counts for all.
fn worst(classes: &[ErrorClass]) -> ErrorClass {
    let first = classes.first().copied().unwrap_or(ErrorClass::Other);
    if classes.iter().all(|class| *class == first) { first } else { ErrorClass::Other }
}
