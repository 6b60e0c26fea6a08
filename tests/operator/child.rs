//! The process at the other end of the pseudo-terminal: a driver in miniature around the real core and terminal.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use consigne::clock::SystemClock;
use consigne::core::{Actor, Answer, AskKind, AttemptResult, EvidenceRef, How, Input};
use consigne::operator::{EvidenceError, EvidenceStore, Operator, Question, Reply, Setup, Terminal, measure};
use consigne::plan::{Evidence, Kind, ManyNode, Mode};
use serde_json::json;

use super::sample::*;

/// Name of the case to play.
pub const CASE: &str = "CONSIGNE_TEST_OPERATOR_CASE";
/// Socket on which orders come.
pub const CONTROL: &str = "CONSIGNE_TEST_OPERATOR_CONTROL";

enum Heard {
    Reply(Reply),
    Order(String),
    Signal,
}

struct Measured;

impl EvidenceStore for Measured {
    fn keep(&self, path: &Path) -> Result<EvidenceRef, EvidenceError> {
        measure(path)
    }
}

fn world(case: &str) -> (World, &'static str) {
    let approve = || vec![gate("go", Kind::Approve, &["s"]), call("s")];
    match case {
        "approve" => (World::new(Mode::Live, false, "en", approve()), "bob"),
        "parked" => (World::new(Mode::Live, false, "en", approve()), "alice"),
        "refused" | "refused in French" => {
            let mut steps = approve();
            steps[0].0.gate.as_mut().unwrap().quorum = 2;
            let lang = if case == "refused" { "en" } else { "fr" };
            (World::new(Mode::Drill, true, lang, steps), "os:root")
        }
        "typed" => (World::new(Mode::Live, false, "en", vec![typed("sure")]), "alice"),
        "form" => (World::new(Mode::Live, false, "en", vec![form("f")]), "alice"),
        "checklist" => {
            let items = [
                ("up", true, Evidence::None),
                ("told", false, Evidence::Required),
                ("seen", false, Evidence::None),
            ];
            (World::new(Mode::Live, false, "en", vec![checklist("l", &items)]), "alice")
        }
        "choice" => {
            let shops = [("lyon", "The shop in Lyon"), ("lille", "The one in Lille"), ("paris", "Paris")];
            let one = choice("first", &shops, None);
            let many = choice("then", &shops, Some(ManyNode { min: 1, max: Some(2) }));
            (World::new(Mode::Live, false, "en", vec![one, many]), "alice")
        }
        "manual" => (World::new(Mode::Drill, false, "fr", vec![manual("m", Evidence::None)]), "alice"),
        "failure" => (World::new(Mode::Live, false, "en", vec![call("s"), reader("close", "s")]), "alice"),
        "unknown" => (
            World::new(Mode::Live, false, "en", vec![toggle("mode"), gate("go", Kind::Confirm, &[])]),
            "alice",
        ),
        "two" => {
            let mut second = typed("sure");
            second.0.needs = vec!["start".to_owned()];
            second.0.above = false;
            let mut go = gate("go", Kind::Approve, &["s"]);
            go.0.above = false;
            go.0.needs = vec!["start".to_owned()];
            let mut start = call("start");
            start.0.above = false;
            let mut s = call("s");
            s.0.needs = vec!["go".to_owned()];
            (World::new(Mode::Live, false, "en", vec![start, go, second, s]), "bob")
        }
        other => panic!("no case {other}"),
    }
}

/// What the attempts of a case come to.
fn outcome(case: &str) -> (AttemptResult, &'static str) {
    match case {
        "failure" => (AttemptResult::Failed, "status"),
        "unknown" => (AttemptResult::Unknown, "reset"),
        _ => (AttemptResult::Succeeded, "ok"),
    }
}

/// Plays a case to its end.
pub fn play(case: &str) {
    std::fs::write("proof.txt", "proof").unwrap();
    let (sender, heard) = channel();
    let control = UnixStream::connect(std::env::var(CONTROL).unwrap()).unwrap();
    signals(&sender);
    let (replies, mut received) = tokio::sync::mpsc::unbounded_channel();
    let (mut world, me) = world(case);
    let setup = Setup {
        me: me.to_owned(),
        signs: false,
        clock: Arc::new(SystemClock::new()),
        evidence: Box::new(Measured),
        replies,
    };
    let mut terminal = Terminal::open(setup).unwrap();
    let orders = sender.clone();
    std::thread::spawn(move || {
        while let Some(reply) = received.blocking_recv() {
            let _ = sender.send(Heard::Reply(reply));
        }
    });
    std::thread::spawn(move || {
        for line in BufReader::new(control).lines().map_while(Result::ok) {
            let _ = orders.send(Heard::Order(line));
        }
    });
    let mut shown = Vec::new();
    let (result, reason) = outcome(case);
    loop {
        world.run(result, reason);
        for question in world.questions() {
            if !shown.contains(&question.ask) {
                shown.push(question.ask);
                terminal.ask(question);
            }
        }
        if world.state.run.finished.is_some() {
            break;
        }
        match heard.recv().unwrap() {
            Heard::Reply(Reply::Answer(answer)) => take(&mut world, &mut terminal, answer),
            Heard::Reply(Reply::Interrupt) => terminal.say("INTERRUPT"),
            Heard::Reply(Reply::Hangup) => {
                std::fs::write("log", "HANGUP").unwrap();
                terminal.say("HANGUP");
                break;
            }
            Heard::Signal => terminal.say("SIGNAL"),
            Heard::Order(order) => match order.split_once(' ').unwrap_or((&order, "")) {
                ("say", line) => terminal.say(line),
                ("remind", line) => terminal.remind(line),
                ("answer", _) => {
                    answer_elsewhere(&mut world, &mut terminal, if me == "bob" { "carol" } else { "bob" })
                }
                ("sigint", _) => {
                    let me = rustix::process::getpid();
                    rustix::process::kill_process(me, rustix::process::Signal::INT).unwrap();
                }
                ("close", _) => {
                    terminal.close();
                    line("CLOSED");
                    break;
                }
                (other, _) => panic!("no order {other}"),
            },
        }
    }
    terminal.close();
    line(&format!("END {}", world.state.status().name()));
}

fn line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A driver has its own handler for SIGINT.
fn signals(sender: &Sender<Heard>) {
    let sender = sender.clone();
    let (ready, wait) = channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut interrupts =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).unwrap();
            let _hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).unwrap();
            ready.send(()).unwrap();
            while interrupts.recv().await.is_some() {
                let _ = sender.send(Heard::Signal);
            }
        });
    });
    wait.recv().unwrap();
}

fn take(world: &mut World, terminal: &mut Terminal, answer: Box<Answer>) {
    let (ask, said) =
        (answer.ask, format!("{} by {} {:?}", answer.value, answer.actor.who, answer.actor.how));
    match world.decide(Input::Answer(answer)) {
        Err(why) => terminal.refused(ask, &why),
        Ok(_) => {
            terminal.say(&format!("TOOK {said}"));
            match Question::of(&world.plan, &world.state, ask) {
                Some(question) => terminal.ask(question),
                None => terminal.withdraw(ask, ""),
            }
        }
    }
}

fn answer_elsewhere(world: &mut World, terminal: &mut Terminal, who: &str) {
    let ask = world.state.open_asks().find(|ask| ask.kind == AskKind::Approve).unwrap().id;
    let answer = Answer {
        ask,
        part: None,
        value: json!("approve"),
        comment: None,
        evidence: Vec::new(),
        actor: Actor { who: who.to_owned(), how: How::SshKey, played_by: None },
        shown: None,
    };
    let _ = world.decide(Input::Answer(Box::new(answer))).unwrap();
    match Question::of(&world.plan, &world.state, ask) {
        Some(question) => terminal.ask(question),
        None => terminal.withdraw(ask, &format!("answered by {who}")),
    }
}
