//! `consigne answer`: somebody's word on an open question of a parked run.

use serde_json::Value;

use super::args::AnswerArgs;
use super::drive::{self, launch_error};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::show::seen_summary;
use super::ui::Ui;
use super::waiting;
use crate::core::{Actor, Answer, Ask, How, Input, State};
use crate::engine::identity;
use crate::operator::EvidenceStore;
use crate::plan::Mode;
use crate::runbook::answers::Answers;

pub(super) fn answer(args: &AnswerArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.common.json);
    let home = Home::find(args.common.runs.as_deref())?;
    let dir = home.run_dir(&args.run)?;
    let mut reopened = drive::reopen(&dir, &home)?;
    let (step, part) = match args.step.split_once('/') {
        Some((step, part)) => (step, Some(part.to_owned())),
        None => (args.step.as_str(), None),
    };
    if reopened.state.run.finished.is_some() {
        return Err(CliError::new(Exit::Usage, format!("run {} is over", reopened.id))
            .hint(format!("consigne report {}", drive::shown_name(&reopened.id, &dir, &home))));
    }
    let ask = question(&reopened.state, step)?;
    let graph = &reopened.plan.graph;
    let me = identity::actor(&graph.people, &identity::os_user());
    let actor = match &args.as_person {
        Some(name) if graph.role_play && graph.mode != Mode::Live => {
            Actor { who: name.clone(), how: How::Played, played_by: Some(me.who.clone()) }
        }
        Some(name) => {
            let message = format!("answering as {name} needs `role_play` in a practice environment");
            return Err(CliError::new(Exit::Usage, message));
        }
        None => me.clone(),
    };
    let store = crate::engine::evidence::Kept::in_run(&dir);
    let mut evidence = Vec::new();
    for path in &args.evidence {
        evidence.push(store.keep(path).map_err(|error| CliError::new(Exit::Usage, error.to_string()))?);
    }
    if let Some(key) = drive::own_key(&args.common)? {
        reopened.book.sign_with(key);
    }
    let answer = Answer {
        ask: ask.id,
        part,
        value: value(&args.value),
        comment: args.comment.clone(),
        evidence,
        actor,
        shown: None,
    };
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

/// The open question of a step, or the last one, so that a second answer hears what the first one said.
fn question<'a>(state: &'a State, step: &str) -> Result<&'a Ask, CliError> {
    let Some((_, found)) = state.find(step) else {
        let names: Vec<&str> =
            state.open_asks().map(|ask| state.shape().node(ask.step).id.as_str()).collect();
        let error = CliError::new(Exit::Usage, format!("the run has no step `{step}`"));
        return Err(match crate::diag::closest(step, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if names.is_empty() => error.hint("nothing is asked at present"),
            None => error.hint(format!("asked at present: {}", names.join(", "))),
        });
    };
    let ask = found.ask.or(found.last_ask).and_then(|id| state.ask(id));
    ask.ok_or_else(|| {
        CliError::new(Exit::Usage, format!("nothing is asked about `{step}`"))
            .hint("`consigne show` says what the run waits for")
    })
}

/// A word is a word; what reads as a JSON object, list, number or literal is that.
fn value(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Number(_))) => value,
        Ok(Value::String(word)) => Value::String(word),
        _ => Value::String(text.to_owned()),
    }
}
