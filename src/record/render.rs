//! The report and `VERIFY.md`: pure functions of the journal's public fields, in the language of the run.
//!
//! Owns the templates (`templates/`, compiled in) and their version, which stands in line 0. A report made by another
//! version is not compared. Verdicts are not its business: they come from `verify`.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::approval::{must_escape, wire};
use super::history::History;
use super::namespace;
use super::note::TreeHead;
use super::origin;
use crate::clock::Timestamp;
use crate::core::{Actor, Event, Fact, Status, VoidReason};
use crate::journal::Commitment;
use crate::plan::{Mode, Rerun};

/// Version of the templates. Raise it with every change to them, or to what is put into them.
pub const TEMPLATE: u32 = 2;

const REPORT_EN: &str = include_str!("../../templates/report.en.md");
const REPORT_FR: &str = include_str!("../../templates/report.fr.md");
const VERIFY_EN: &str = include_str!("../../templates/verify.en.md");
const VERIFY_FR: &str = include_str!("../../templates/verify.fr.md");

/// A template does not fit what is put into it: a bug.
#[derive(Debug, thiserror::Error)]
#[error("the template {name} cannot be filled: {kind}")]
pub struct RenderError {
    name: &'static str,
    kind: String,
}

#[derive(Serialize)]
struct Report {
    live: bool,
    mode_word: &'static str,
    run: String,
    runbook: String,
    mode: &'static str,
    environment: Option<String>,
    rerun: Option<Rerun>,
    started: String,
    starter: Option<String>,
    finished: Option<String>,
    duration: String,
    outcome: String,
    reason: String,
    still_open: Vec<String>,
    resumes: u32,
    recoveries: usize,
    executor: String,
    key: String,
    tool: String,
    lines: u64,
    root: String,
    deviations: usize,
    steps: Vec<StepRow>,
    origins: Vec<OriginRow>,
    overrides: Vec<OverrideRow>,
    glass: Vec<GlassRow>,
    overtimes: Vec<OvertimeRow>,
    approvals: Vec<ApprovalRow>,
    timeline: Vec<TimelineRow>,
    disclosed: Vec<DisclosedRow>,
    hidden_count: usize,
    hidden: Vec<HiddenRow>,
    plan: Vec<PlanRow>,
}

#[derive(Serialize)]
struct StepRow {
    deviates: bool,
    id: String,
    kind: &'static str,
    effect: String,
    status: &'static str,
    reason: String,
    attempts: u32,
    ended: String,
}

/// Of a rehearsal: who said what an attempt was answered.
#[derive(Serialize)]
struct OriginRow {
    place: String,
    role: &'static str,
    origin: String,
    made_up: bool,
}

#[derive(Serialize)]
struct OverrideRow {
    seq: u64,
    at: String,
    step: String,
    how: &'static str,
    by: String,
}

/// A gate that somebody opened alone.
#[derive(Serialize)]
struct GlassRow {
    at: String,
    step: String,
    by: String,
    /// Held back unless the report is opened.
    why: Option<String>,
}

#[derive(Serialize)]
struct OvertimeRow {
    step: String,
    took: String,
    timebox: String,
}

#[derive(Serialize)]
struct ApprovalRow {
    at: String,
    step: String,
    kind: String,
    decision: String,
    by: String,
    texts: String,
}

#[derive(Serialize)]
struct TimelineRow {
    seq: u64,
    at: String,
    event: &'static str,
    step: String,
    by: String,
    details: String,
}

#[derive(Serialize)]
struct DisclosedRow {
    seq: u64,
    event: &'static str,
    name: String,
    value: String,
}

#[derive(Serialize)]
struct HiddenRow {
    name: String,
    count: usize,
}

#[derive(Serialize)]
struct PlanRow {
    name: String,
    sha256: String,
}

#[derive(Serialize)]
struct Check<'a> {
    run: &'a str,
    runbook: &'a str,
    mode: &'static str,
    lines: u64,
    root: String,
    principal: String,
    namespace: String,
    verify_time: String,
}

/// The report. `head` is the last tree head; with `open`, the hidden fields that `history` was read with are shown.
///
/// # Errors
/// A bug in a template.
pub fn report(
    history: &History,
    commitments: &[Commitment],
    head: &TreeHead,
    host: &str,
    open: bool,
) -> Result<String, RenderError> {
    let source = if history.state.run.lang == "fr" {
        ("report.fr.md", REPORT_FR)
    } else {
        ("report.en.md", REPORT_EN)
    };
    fill(source, &context(history, commitments, head, host, open))
}

/// `VERIFY.md`: the two commands.
///
/// # Errors
/// A bug in a template.
pub fn verify_page(
    history: &History,
    head: &TreeHead,
    (org, host): (&str, &str),
) -> Result<String, RenderError> {
    let source = if history.state.run.lang == "fr" {
        ("verify.fr.md", VERIFY_FR)
    } else {
        ("verify.en.md", VERIFY_EN)
    };
    let mode = history.graph().mode.name();
    let check = Check {
        run: &history.state.run.id,
        runbook: &history.graph().runbook,
        mode,
        lines: head.size,
        root: head.root_base64(),
        principal: format!("executor@{host}"),
        namespace: namespace::seal(mode, org),
        verify_time: verify_time(history.last_at()),
    };
    fill(source, &check)
}

/// As `ssh-keygen -Overify-time` wants it, in UTC.
fn verify_time(at: Timestamp) -> String {
    let digits: String = at.to_string()[..19].chars().filter(char::is_ascii_digit).collect();
    format!("{digits}Z")
}

fn fill<T: Serialize>(
    (name, source): (&'static str, &'static str),
    context: &T,
) -> Result<String, RenderError> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax =
        SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    engine.set_syntax(syntax.map_err(|e| RenderError { name, kind: e.kind().to_string() })?);
    engine.set_formatter(|out, state, value| match value.as_str() {
        Some(text) => out.write_str(&markdown(text)).map_err(minijinja::Error::from),
        None => minijinja::escape_formatter(out, state, value),
    });
    engine.render_named_str(name, source, Serde(context)).map_err(|e| {
        let kind =
            format!("{} in line {}", e.detail().unwrap_or("cannot be evaluated"), e.line().unwrap_or(0));
        RenderError { name, kind }
    })
}

/// A text inside a table or a line of Markdown: it can neither end the cell, begin a construct of its own,
/// nor turn or hide what stands beside it.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Nothing gets out of a code span, in which a backslash escapes nothing.
            '`' => out.push('\''),
            '|' | '\\' | '<' | '[' | '*' | '#' => out.extend(['\\', c]),
            '\n' | '\r' | '\t' => out.push(' '),
            c if must_escape(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn context(history: &History, commitments: &[Commitment], head: &TreeHead, host: &str, open: bool) -> Report {
    let (graph, run) = (history.graph(), &history.state.run);
    let french = run.lang == "fr";
    let steps = step_rows(history);
    let finished = run.finished.as_ref();
    let (tool, key) = match history.start() {
        Some(Fact::RunStarted { tool, executor, .. }) => (tool.clone(), executor.clone()),
        _ => (String::new(), String::new()),
    };
    let end = finished.map_or(history.last_at(), |f| f.at);
    Report {
        live: graph.mode == Mode::Live,
        mode_word: match (graph.mode, french) {
            (Mode::Live, _) => "",
            (Mode::Drill, true) => "UN EXERCICE",
            (Mode::Drill, false) => "A DRILL",
            (Mode::Rehearsal, true) => "UNE RÉPÉTITION",
            (Mode::Rehearsal, false) => "A REHEARSAL",
        },
        run: run.id.clone(),
        runbook: graph.runbook.clone(),
        mode: graph.mode.name(),
        environment: graph.environment.clone(),
        rerun: graph.rerun.clone(),
        started: run.started.map(|at| at.to_string()).unwrap_or_default(),
        starter: run.starter.as_ref().map(person),
        finished: finished.map(|f| f.at.to_string()),
        duration: duration(end.since(run.started.unwrap_or(end))),
        outcome: history.state.status().name().to_owned(),
        reason: finished.map(|f| f.reason.clone()).unwrap_or_default(),
        still_open: finished.map(|f| f.still_open.clone()).unwrap_or_default(),
        resumes: run.resumes,
        recoveries: history.recoveries(),
        executor: format!("executor@{host}"),
        key,
        tool,
        lines: head.size,
        root: head.root_base64(),
        deviations: steps.iter().filter(|s| s.deviates).count(),
        steps,
        origins: origin_rows(history),
        overrides: override_rows(history),
        glass: glass_rows(history, open),
        overtimes: overtime_rows(history),
        approvals: approval_rows(history),
        timeline: timeline(history),
        disclosed: if open { disclosed(history) } else { Vec::new() },
        hidden_count: commitments.len(),
        hidden: hidden_rows(commitments),
        plan: history.plan().into_iter().map(|(name, sha256)| PlanRow { name, sha256 }).collect(),
    }
}

fn person(actor: &Actor) -> String {
    match &actor.played_by {
        Some(by) => format!("{} ({}, {by})", actor.who, wire(&actor.how)),
        None => format!("{} ({})", actor.who, wire(&actor.how)),
    }
}

fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    format!("{}:{:02}:{:02}.{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000)
}

fn step_rows(history: &History) -> Vec<StepRow> {
    let mut rows: Vec<StepRow> = history
        .state
        .places()
        .map(|at| (at, history.state.shape().node(at), history.state.step(at)))
        .map(|(at, node, step)| StepRow {
            deviates: history.deviates(at),
            id: node.id.clone(),
            kind: node.kind.name(),
            effect: wire(&node.effect),
            status: step.status.name(),
            reason: step.reason.clone().unwrap_or_default(),
            attempts: step.attempts,
            ended: step.ended.map(|at| at.to_string()).unwrap_or_default(),
        })
        .collect();
    rows.sort_by_key(|row| !row.deviates);
    rows
}

fn origin_rows(history: &History) -> Vec<OriginRow> {
    let french = history.state.run.lang == "fr";
    let events = history.entries.iter().flat_map(|entry| &entry.events);
    let rows = origin::rows(events, &history.state).into_iter().map(|row| OriginRow {
        place: row.place,
        role: row.role.name(),
        origin: row.origins.in_lang(french),
        made_up: row.origins.is_made_up(),
    });
    rows.collect()
}

fn override_rows(history: &History) -> Vec<OverrideRow> {
    let rows = history.overrides().into_iter().map(|o| OverrideRow {
        seq: o.seq,
        at: o.at.to_string(),
        step: o.step,
        how: o.how.name(),
        by: o.actor.as_ref().map(person).unwrap_or_default(),
    });
    rows.collect()
}

fn glass_rows(history: &History, open: bool) -> Vec<GlassRow> {
    let rows = history.broken_glass().into_iter().map(|answer| GlassRow {
        at: answer.given.at.to_string(),
        step: answer.step.id.clone(),
        by: person(&answer.given.actor),
        why: answer.given.comment.clone().filter(|_| open),
    });
    rows.collect()
}

fn overtime_rows(history: &History) -> Vec<OvertimeRow> {
    let rows = history.overtimes().into_iter().map(|over| OvertimeRow {
        step: over.step,
        took: duration(over.took_ms),
        timebox: duration(over.timebox_ms),
    });
    rows.collect()
}

fn approval_rows(history: &History) -> Vec<ApprovalRow> {
    let attested = history.attested();
    let rows = history.gate_answers().into_iter().map(|answer| {
        let texts = attested.iter().filter(|text| text.ask == answer.ask);
        let texts = texts.map(|text| {
            let by = if text.personal { "personal" } else { "executor" };
            format!("{} ({by}, {})", text.file, text.signer)
        });
        ApprovalRow {
            at: answer.given.at.to_string(),
            step: answer.step.id.clone(),
            kind: wire(&answer.kind),
            decision: wire(&answer.given.decision),
            by: person(&answer.given.actor),
            texts: texts.collect::<Vec<_>>().join(", "),
        }
    });
    rows.collect()
}

fn timeline(history: &History) -> Vec<TimelineRow> {
    let mut rows = Vec::new();
    for entry in &history.entries {
        for event in &entry.events {
            let attempt = event.attempt.map(|n| format!("#{n}")).unwrap_or_default();
            let item = event.item.map(|n| format!("[{n}]")).unwrap_or_default();
            rows.push(TimelineRow {
                seq: entry.seq,
                at: entry.at.to_string(),
                event: event.fact.name(),
                step: event.step.as_ref().map(|step| format!("{step}{item}{attempt}")).unwrap_or_default(),
                by: event.actor.as_ref().map(person).unwrap_or_default(),
                details: details(event),
            });
        }
    }
    rows
}

/// The public particulars of an event, as short as they can be.
fn details(event: &Event) -> String {
    match &event.fact {
        Fact::RunPaused { reason, .. } | Fact::StepUnknown { reason } => reason.clone(),
        Fact::RunEnding { outcome, reason, .. } => format!("{}: {reason}", wire(outcome)),
        Fact::RunFinished { status, reason, .. } => format!("{}: {reason}", status.name()),
        Fact::StepSkipped { reason, .. } => wire(reason),
        Fact::StepSettled { status: Status::Succeeded, .. } => Status::Succeeded.name().to_owned(),
        Fact::StepSettled { status, reason } => format!("{}: {reason}", status.name()),
        Fact::StepOverridden { how } => how.name().to_owned(),
        Fact::AttemptStarted { role, .. } => role.name().to_owned(),
        Fact::AttemptFinished { result, reason, code, started, finished, worker, artifacts, .. } => {
            let code = code.map(|code| format!(" {code}")).unwrap_or_default();
            let left = artifacts
                .iter()
                .map(|(name, blob)| format!(", {name}: {} bytes, sha256 {}", blob.bytes, blob.sha256));
            let millis = finished.since(*started);
            format!("{} ({reason}{code}), {millis} ms, {worker}{}", wire(result), left.collect::<String>())
        }
        Fact::RetryScheduled { due } | Fact::WaitStarted { due } => due.to_string(),
        Fact::AskOpened { kind, reason, .. } => {
            reason.as_ref().map_or_else(|| wire(kind), |reason| format!("{}: {reason}", wire(kind)))
        }
        Fact::AskAnswered { part, decision, .. } => {
            part.as_ref().map_or_else(|| wire(decision), |part| format!("{part}: {}", wire(decision)))
        }
        Fact::AskClosed { how, .. } => wire(how),
        Fact::ApprovalVoided { because, reason: VoidReason::Changed, .. } => because.clone(),
        Fact::ApprovalVoided { because, reason, .. } => format!("{because}: {}", wire(reason)),
        Fact::ApprovalAttested { file, signer, .. } => format!("{file}, {signer}"),
        Fact::ReversalClosed { kind, how, .. } => format!("{}: {}", wire(kind), wire(how)),
        Fact::ClockStepped { back_ms } => format!("-{back_ms} ms"),
        Fact::JournalRecovered { bytes, .. } => format!("{bytes} bytes"),
        Fact::JournalExported { size, .. } => format!("{size} lines"),
        _ => String::new(),
    }
}

fn disclosed(history: &History) -> Vec<DisclosedRow> {
    let mut rows = Vec::new();
    for entry in &history.entries {
        for event in &entry.events {
            for (name, value) in &event.hidden.0 {
                let (seq, event) = (entry.seq, event.fact.name());
                rows.push(DisclosedRow { seq, event, name: name.clone(), value: value.clone() });
            }
        }
    }
    rows
}

fn hidden_rows(commitments: &[Commitment]) -> Vec<HiddenRow> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for commitment in commitments {
        *counts.entry(&commitment.name).or_default() += 1;
    }
    counts.into_iter().map(|(name, count)| HiddenRow { name: name.to_owned(), count }).collect()
}
