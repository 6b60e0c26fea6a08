//! `consigne answer`: somebody's word on an open question of a parked run.

use std::path::Path;

use serde_json::Value;

use super::args::AnswerArgs;
use super::drive::{self, launch_error};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::show::seen_summary;
use super::ui::Ui;
use super::waiting;
use crate::core::Input;
use crate::engine::identity;
use crate::engine::word::{Attached, Unheard, Word};
use crate::runbook::answers::Answers;

/// Largest file that goes with an answer from the command line, in bytes.
const MOST_EVIDENCE: u64 = 16 << 20;

pub(super) fn answer(args: &AnswerArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let mut reopened = drive::reopen(&dir, &home)?;
    if reopened.state.run.finished.is_some() {
        return Err(CliError::new(Exit::Usage, format!("run {} is over", reopened.id))
            .hint(format!("consigne report {}", drive::shown_name(&reopened.id, &dir, &home))));
    }
    let me = identity::actor(&reopened.plan.graph.people, &identity::os_user());
    let word = word(args)?;
    let answer = word.answer(&reopened.plan, &reopened.state, &dir, &me).map_err(unheard)?;
    if let Some(key) = drive::own_key(&args.common)? {
        reopened.book.sign_with(key);
    }
    let input = Input::Answer(Box::new(answer));
    if args.resume {
        return drive::resume_dir_with(reopened, &dir, &home, &args.common, Answers::new(), vec![input], ui);
    }
    let news = reopened.note_down(input, me).map_err(launch_error)?;
    ui.say(if news { "the answer is recorded" } else { "that was said before: nothing has changed" });
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
    })
}

fn attached(path: &Path) -> Result<Attached, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::new(Exit::Usage, error.to_string());
    let measured = crate::operator::measure(path).map_err(|error| failed(&error))?;
    if measured.bytes > MOST_EVIDENCE {
        let message =
            format!("{} has {} bytes, the limit is {MOST_EVIDENCE}", path.display(), measured.bytes);
        return Err(CliError::new(Exit::Usage, message));
    }
    let bytes = std::fs::read(path).map_err(|error| CliError::file(Exit::Usage, "read", path, &error))?;
    Ok(Attached { name: measured.name, bytes })
}

fn unheard(error: Unheard) -> CliError {
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
