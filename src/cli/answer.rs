//! `consigne answer`: somebody's word on an open question, to whoever drives the run, or into a run that is parked.

use std::path::Path;

use serde_json::Value;

use super::args::AnswerArgs;
use super::drive::{self, launch_error};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::keys::key_error;
use super::live::{self, Reached};
use super::show::{Seen, look, seen_summary};
use super::ui::Ui;
use super::waiting;
use crate::core::{Actor, AskKind, How, Input, decision};
use crate::engine::identity;
use crate::engine::socket::{MOST_EVIDENCE, Verb};
use crate::engine::word::{Attached, Unheard, Word, question};
use crate::record::build;
use crate::record::keys::ExecutorKey;
use crate::record::sshsig::FileKey;
use crate::runbook::answers::Answers;

const TAKEN: &str = "the answer is recorded, and the run goes on where it is driven";
const NOTED: &str = "the answer is recorded; no process drives the run, so it stays parked";
const SAID_BEFORE: &str = "that was said before: nothing has changed";

pub(super) fn answer(args: &AnswerArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let mut word = word(args)?;
    if let Some(key) = drive::own_key(&args.common)? {
        word.signature = own_signature(&word, &key, &dir, &home)?;
    }
    let mut reopened = match live::reach(&dir, &home, &Verb::Answer(word.clone()))? {
        Reached::Taken(news) => {
            ui.say(if news { TAKEN } else { SAID_BEFORE });
            return live::goes_on(&dir, &home, ui);
        }
        Reached::Parked(reopened) => *reopened,
    };
    if reopened.state.run.finished.is_some() {
        return Err(CliError::new(Exit::Usage, format!("run {} is over", reopened.id))
            .hint(format!("consigne report {}", drive::shown_name(&reopened.id, &dir, &home))));
    }
    let me = identity::actor(&reopened.plan.graph.people, &identity::os_user());
    let answer = reopened.book.hear(&reopened.plan, &reopened.state, word, &me).map_err(unheard)?;
    let input = Input::Answer(Box::new(answer));
    if args.resume {
        drive::surroundings(&mut reopened, &args.common, args.accept.accept_environment, ui)?;
        let then = drive::outside(&reopened, &args.window)?.into_iter().chain([input]).collect();
        return drive::resume_dir_with(reopened, &dir, &home, &args.common, Answers::new(), then, ui);
    }
    let news = reopened.note_down(input, me).map_err(launch_error)?;
    ui.say(if news { NOTED } else { SAID_BEFORE });
    let name = drive::shown_name(&reopened.id, &dir, &home);
    for answer in waiting::answers(&reopened.plan, &reopened.state, &name) {
        ui.hint(&answer);
    }
    ui.hint(&format!("consigne resume {name}"));
    if ui.json {
        ui.json(&seen_summary(&reopened.state, &dir, false));
    }
    Ok(Exit::Waiting)
}

/// What the command line says.
fn word(args: &AnswerArgs) -> Result<Word, CliError> {
    let evidence = args.evidence.iter().map(|path| attached(path)).collect::<Result<_, _>>()?;
    Ok(Word {
        step: args.step.clone(),
        value: value(&args.value),
        comment: args.comment.clone(),
        evidence,
        plays: args.as_person.clone(),
        signature: args.signature.as_deref().map(signature).transpose()?,
    })
}

/// The decision under the signature of whoever gives it here: it is handed in as if it came from elsewhere. None for
/// what is no decision about a gate, and for whom a key does not speak.
fn own_signature(word: &Word, key: &FileKey, dir: &Path, home: &Home) -> Result<Option<String>, CliError> {
    let Seen { plan, state, .. } = look(dir)?;
    let ask = question(&state, word.place(&state).0).map_err(unheard)?;
    let gate = matches!(ask.kind, AskKind::Approve | AskKind::Confirm);
    let said = decision(ask, &word.value).ok().filter(|_| gate && word.plays.is_none());
    let Some(said) = said else { return Ok(None) };
    let actor = Actor { how: How::SshKey, ..identity::actor(&plan.graph.people, &identity::os_user()) };
    let executor = ExecutorKey::load(&home.root).map_err(key_error)?;
    let approval = build::approval(dir, &executor, &state, ask.id, &actor, (said, word.comment.as_deref()))
        .map_err(|error| drive::record_error(&error))?;
    let signature = key.sign(&approval.namespace(true), approval.text().as_bytes());
    let signature = signature.map_err(|error| CliError::new(Exit::Usage, error.to_string()))?;
    Ok(Some(format!("{}{}", approval.text(), signature.armor())))
}

/// What was signed, as it came back: the text and the signature, or the signature alone. A signature that `ssh-keygen`
/// wrote lies beside its text.
fn signature(path: &Path) -> Result<String, CliError> {
    if path.as_os_str() == "-" {
        return super::sign::paste(path);
    }
    let mut signed = super::sign::read(path)?;
    if path.extension().is_some_and(|ending| ending == "sig") && !signed.contains("consigne-approval: ") {
        let text = path.with_extension("");
        if text.is_file() {
            signed.insert_str(0, &format!("{}\n", super::sign::read(&text)?));
        }
    }
    Ok(signed)
}

fn attached(path: &Path) -> Result<Attached, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::new(Exit::Usage, error.to_string());
    let measured = crate::operator::measure(path).map_err(|error| failed(&error))?;
    if measured.bytes > MOST_EVIDENCE as u64 {
        let message =
            format!("{} has {} bytes, the limit is {MOST_EVIDENCE}", path.display(), measured.bytes);
        return Err(CliError::new(Exit::Usage, message));
    }
    let bytes = std::fs::read(path).map_err(|error| CliError::file(Exit::Usage, "read", path, &error))?;
    Ok(Attached { name: measured.name, bytes })
}

pub(super) fn unheard(error: Unheard) -> CliError {
    let exit = if matches!(error, Unheard::Evidence(_)) { Exit::Unwritable } else { Exit::Usage };
    let out = CliError::new(exit, error.to_string());
    match error.hint() {
        Some(hint) => out.hint(hint),
        None => out,
    }
}

/// A word is a word; what reads as a JSON object, list, number or literal is that.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_))) => value,
        Ok(Value::String(word)) => Value::String(word),
        _ => Value::String(text.to_owned()),
    }
}
