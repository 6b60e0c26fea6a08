//! What the envelope says of a run: the in-toto statement, made of public fields alone. Writing and verifying make it
//! from the same history, so a summary that says anything else is found out.

use serde_json::{Value, json};

use super::approval::wire;
use super::dsse::{Statement, Subject};
use super::history::History;
use super::layout;
use super::note::TreeHead;
use crate::core::Fact;
use crate::journal::{Hash, file};
use crate::plan::Mode;

/// `runbook-run`, `runbook-drill` or `runbook-rehearsal`: none passes for another.
pub(crate) fn predicate_type(mode: Mode, org: &str) -> String {
    let kind = match mode {
        Mode::Live => "run",
        Mode::Drill => "drill",
        Mode::Rehearsal => "rehearsal",
    };
    format!("https://{org}/attestation/runbook-{kind}/v1")
}

/// Digests of the files the statement is about, in their order.
pub(crate) struct Subjects {
    pub events: Hash,
    pub head: Hash,
    pub graph: Hash,
    pub report: Hash,
    pub verify: Hash,
}

/// `head` is the last tree head, over all lines.
pub(crate) fn statement(
    history: &History,
    head: &TreeHead,
    (org, host): (&str, &str),
    files: &Subjects,
) -> Statement {
    let subjects = vec![
        Subject::new(file::EVENTS, files.events),
        Subject::new(format!("{}/{}", layout::HEADS, layout::head_name(head.size)), files.head),
        Subject::new(format!("{}/{}", layout::PLAN, layout::GRAPH), files.graph),
        Subject::new(layout::REPORT, files.report),
        Subject::new(layout::VERIFY, files.verify),
    ];
    let predicate = json!({
        "runDefinition": definition(history),
        "runDetails": {
            "executor": executor(history, host),
            "metadata": metadata(history),
            "outcome": outcome(history),
            "steps": steps(history),
            "approvals": approvals(history),
            "overrides": overrides(history),
            "journal": {"lines": head.size, "root": head.root_base64(), "recoveries": history.recoveries()},
        },
    });
    Statement::new(subjects, predicate_type(history.graph().mode, org), predicate)
}

fn definition(history: &History) -> Value {
    let graph = history.graph();
    json!({
        "runbook": graph.runbook,
        "mode": graph.mode.name(),
        "environment": graph.environment,
        "semantics": graph.semantics,
        "plan": history.plan(),
    })
}

fn executor(history: &History, host: &str) -> Value {
    match history.start() {
        Some(Fact::RunStarted { tool, executor, .. }) => {
            json!({"id": format!("executor@{host}"), "key": executor, "tool": tool})
        }
        _ => Value::Null,
    }
}

fn metadata(history: &History) -> Value {
    let run = &history.state.run;
    json!({
        "invocationId": run.id,
        "startedBy": run.starter.as_ref().map(|actor| json!(actor)),
        "startedOn": run.started,
        "finishedOn": run.finished.as_ref().map(|finished| finished.at),
        "resumes": run.resumes,
    })
}

fn outcome(history: &History) -> Value {
    match &history.state.run.finished {
        Some(finished) => json!({
            "status": finished.status,
            "reason": finished.reason,
            "stillOpen": finished.still_open,
        }),
        None => json!({"status": history.state.status()}),
    }
}

fn steps(history: &History) -> Value {
    let places = history.state.places();
    let steps =
        places.map(|at| (history.state.shape().node(at), history.state.step(at))).map(|(node, step)| {
            json!({
                "id": node.id,
                "kind": node.kind,
                "effect": node.effect,
                "status": step.status,
                "reason": step.reason,
                "attempts": step.attempts,
            })
        });
    Value::Array(steps.collect())
}

fn approvals(history: &History) -> Value {
    let attested = history.attested();
    let answers = history.gate_answers().into_iter().map(|answer| {
        let texts: Vec<Value> = attested
            .iter()
            .filter(|text| text.ask == answer.ask)
            .map(|text| json!({"file": text.file, "sha256": text.sha256, "signer": text.signer, "personal": text.personal}))
            .collect();
        json!({
            "ask": answer.ask,
            "step": answer.step.id,
            "kind": wire(&answer.kind),
            "decision": wire(&answer.given.decision),
            "by": answer.given.actor,
            "on": answer.given.at,
            "texts": texts,
        })
    });
    Value::Array(answers.collect())
}

fn overrides(history: &History) -> Value {
    let overrides = history.overrides().into_iter();
    let overrides = overrides.map(|o| json!({"seq": o.seq, "step": o.step, "how": o.how, "by": o.actor}));
    Value::Array(overrides.collect())
}
