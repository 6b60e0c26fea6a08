//! `consigne review`: somebody looks at a gate that was opened by breaking the glass. And who still has to.

use std::path::Path;

use serde_json::{Value, json};

use super::args::{ReviewArgs, VerdictWord};
use super::drive::{self, journal_error};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::keys::key_error;
use super::show::{Seen, look};
use super::ui::Ui;
use crate::clock::Timestamp;
use crate::core::{How, State};
use crate::engine::identity;
use crate::journal::{Hash, Journal};
use crate::record::approval::wire;
use crate::record::keys::ExecutorKey;
use crate::record::ledger::{About, Ledger, Moment};
use crate::record::note::TreeHead;
use crate::record::review::{Broken, FileError, Review, Verdict, broken, gates};
use crate::record::sshsig::FileKey;
use crate::record::trust::Trust;

pub(super) fn review(args: &ReviewArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let seen = look(&dir)?;
    let executor = ExecutorKey::load(&home.root).map_err(key_error)?;
    let trust = Trust::load(&home.root.join("trust"))
        .map_err(|error| CliError::new(Exit::Invalid, error.to_string()))?;
    let usage = |message: String| CliError::new(Exit::Usage, message);
    let gates =
        broken(&dir, &seen.state, trust.signers(), &executor).map_err(|error| journal_error(&error))?;
    let shape = seen.state.shape();
    let named_step = shape.find(&args.step).map_or(&args.step, |at| &shape.node(at).id);
    let gate = gates.into_iter().rfind(|gate| gate.step == *named_step);
    let gate = gate.ok_or_else(|| usage(format!("nobody opened `{}` by breaking the glass", args.step)))?;
    let (review, head) = reviewed(args, &seen, &gate, &executor, &dir)?;
    review.fits(&seen.state).map_err(|why| {
        usage(why).hint(format!("`{}` is reviewed by {}", gate.step, named(&gate.reviewers)))
    })?;
    let text = review.text();
    let signature = match &args.key {
        Some(path) => FileKey::load(path).and_then(|key| key.sign(&review.namespace(), text.as_bytes())),
        None => executor.sign(&review.namespace(), text.as_bytes()),
    };
    let signature = signature.map_err(|error| usage(error.to_string()))?;
    let armor = signature.armor();
    review
        .check(armor.as_bytes(), trust.signers(), &seen.state, &executor.principal())
        .map_err(|why| usage(why).hint("`consigne keys list` shows who is trusted"))?;
    review.file_in(&dir, &signature).map_err(|error| match error {
        FileError::Said { .. } => usage(error.to_string()).hint("what was said stands"),
        FileError::Journal(error) => journal_error(&error),
    })?;
    let note = format!("{}: {} by {}: {}", review.step, wire(&review.verdict), review.who, review.comment);
    let about = About {
        moment: Moment::Reviewed,
        runbook: &review.runbook,
        mode: review.mode,
        dir: &dir,
        status: None,
        note: Some(&note),
    };
    Ledger::of(&home.root)
        .append(review.at, &review.run, &head, about)
        .map_err(|error| journal_error(&error))?;
    if args.json {
        ui.json(
            &json!({"run": review.run, "step": review.step, "verdict": review.verdict, "who": review.who}),
        );
    } else {
        ui.say(&format!("{} has reviewed `{}`: {}", review.who, review.step, wire(&review.verdict)));
    }
    Ok(Exit::Done)
}

/// The text, over the journal as it stands.
fn reviewed(
    args: &ReviewArgs,
    seen: &Seen,
    gate: &Broken,
    executor: &ExecutorKey,
    dir: &Path,
) -> Result<(Review, TreeHead), CliError> {
    let graph = &seen.plan.graph;
    let chain = Journal::read_all(dir).map_err(|error| journal_error(&error))?.chain;
    let head = TreeHead { origin: String::new(), size: chain.size(), root: chain.tree().root() };
    let path = dir.join("plan/graph.json");
    let plan = std::fs::read(&path).map_err(|error| CliError::file(Exit::Damaged, "read", &path, &error))?;
    let me = identity::actor(&graph.people, &identity::os_user()).who;
    let (who, how) = match (&args.as_person, &args.key) {
        (Some(name), _) => (name.clone(), How::Played),
        (None, Some(_)) => (me, How::SshKey),
        (None, None) => (me, How::OsUser),
    };
    let review = Review {
        run: seen.state.run.id.clone(),
        runbook: graph.runbook.clone(),
        plan: Hash::of(&plan).to_string(),
        mode: graph.mode,
        org: executor.org().to_owned(),
        step: gate.step.clone(),
        ask: gate.ask,
        head: (head.size, head.root_base64()),
        verdict: match args.verdict {
            VerdictWord::Accept => Verdict::Accept,
            VerdictWord::Object => Verdict::Object,
        },
        comment: args.comment.clone(),
        who,
        how,
        at: drive::clock().now(),
    };
    Ok((review, head))
}

/// The gates of a run that were opened alone. Without keys to check them by, no review counts.
pub(super) fn of_run(dir: &Path, home: &Home, state: &State) -> Vec<Broken> {
    if state.asks().all(|ask| ask.broke_glass().is_none()) {
        return Vec::new();
    }
    let unreviewed = || gates(state);
    let (executor, trust) = (ExecutorKey::load(&home.root), Trust::load(&home.root.join("trust")));
    match (executor, trust) {
        (Ok(executor), Ok(trust)) => {
            broken(dir, state, trust.signers(), &executor).unwrap_or_else(|_| unreviewed())
        }
        _ => unreviewed(),
    }
}

/// One that still waits for its review.
pub(super) fn is_open(gate: &Broken) -> bool {
    gate.reviews.is_empty()
}

/// What is to be said of a gate that was opened alone, a line each.
pub(super) fn lines(gate: &Broken, french: bool, now: Timestamp) -> Vec<String> {
    let Broken { step, by, at, due, reviewers, reviews, .. } = gate;
    let word = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let opened = word("ouvert par bris de glace :", "opened by breaking the glass:");
    let mut lines = vec![format!("{opened} {step}, {} {}, {at}", word("par", "by"), by.who)];
    if reviews.is_empty() {
        let overdue = now > *due;
        let what = match overdue {
            true => word("REVUE EN RETARD depuis le", "REVIEW OVERDUE since"),
            false => word("à revoir avant le", "to be reviewed by"),
        };
        lines.push(format!("  {what} {due} ({})", named(reviewers)));
    }
    for review in reviews {
        let verdict = match (review.verdict, french) {
            (Verdict::Accept, true) => "revu, accepté",
            (Verdict::Accept, false) => "reviewed, accepted",
            (Verdict::Object, true) => "revu, OBJECTION",
            (Verdict::Object, false) => "reviewed, OBJECTED",
        };
        let Review { who, at, comment, .. } = review;
        lines.push(format!("  {verdict} {} {who}, {at}: {comment}", word("par", "by")));
    }
    lines
}

fn named(people: &[String]) -> String {
    if people.is_empty() { "nobody".to_owned() } else { people.join(", ") }
}

pub(super) fn json(gates: &[Broken], now: Timestamp) -> Value {
    let of = |gate: &Broken| {
        let reviews = gate.reviews.iter().map(|review| {
            json!({"who": review.who, "at": review.at, "verdict": review.verdict, "comment": review.comment})
        });
        json!({
            "step": gate.step,
            "by": gate.by.who,
            "at": gate.at,
            "due": gate.due,
            "overdue": gate.reviews.is_empty() && now > gate.due,
            "reviewers": gate.reviewers,
            "reviews": reviews.collect::<Vec<_>>(),
        })
    };
    gates.iter().map(of).collect()
}
