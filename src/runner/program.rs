//! Programs: `shell` and `argv` actions.
//!
//! Owns the environment that a program sees (what was inherited when the run began, the step's own variables, the
//! marks of the run) and what the way it ended means. A script is literal text: values reach it as variables only.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use super::capture::{Capture, Captured};
use super::fill::{FillError, Plain, fill};
use super::judge::{self, Answer, Parts};
use super::newborn;
use super::process::{self, Ran, RunError, Stop};
use super::sweep::{ATTEMPT_MARK, DIR_MARK, Mark, RUN_MARK};
use super::{Boxed, Call, End, Observation, Runner, Trouble};
use crate::plan::{Action, ErrorClass};

/// Runs scripts and programs on this machine.
pub(super) struct Program;

impl Runner for Program {
    fn observe<'a>(&'a self, call: Call<'a>) -> Boxed<'a, Observation> {
        Box::pin(observe(call))
    }
}

async fn observe(call: Call<'_>) -> Observation {
    let begun = call.context.clock.mono();
    let filled = match fill(&call.request.probe.action, call.context).await {
        Ok(filled) => filled,
        Err(error) => return nothing(reason_of(&error), &error.to_string()),
    };
    let (argv, env, cwd) = match &filled.action {
        Action::Shell(shell) => {
            let argv: Vec<&str> = vec!["bash", "-euo", "pipefail", "-c", &shell.script];
            (argv, &shell.env, &shell.cwd)
        }
        Action::Argv(program) => {
            (program.argv.iter().map(|argument| argument.as_str()).collect(), &program.env, &program.cwd)
        }
        Action::Http(_) | Action::Remote(_) | Action::Notify(_) => {
            return nothing("request", "it is not a program of this machine");
        }
    };
    let mark = Mark { run: call.context.run.clone(), attempt: call.request.key.to_string() };
    let environment = environment(&call, env, &mark);
    let cwd = cwd.as_ref().map_or_else(
        || call.context.base_dir.clone(),
        |cwd| call.context.base_dir.join(PathBuf::from(cwd.as_str())),
    );
    if !cwd.is_dir() {
        return nothing("spawn", &format!("the working directory {} is not a folder", cwd.display()));
    }
    let program = argv.first().copied().unwrap_or_default().to_owned();
    let command = match process::command(&argv, &environment, &cwd) {
        Ok(command) => command,
        Err(error) => return nothing("spawn", &format!("cannot run `{program}`: {error}")),
    };
    let captures = ["stdout", "stderr"].map(|stream| capture(&call, stream));
    match process::run(command, &mark, call.context, call.timeout, call.cancel, captures).await {
        Ok(ran) => {
            let elapsed = call.context.clock.mono().saturating_sub(begun);
            observed(&call, ran, elapsed).await
        }
        Err(RunError::Spawn(error)) => nothing("spawn", &format!("cannot run `{program}`: {error}")),
        Err(error) => Observation {
            end: lost("capture", ErrorClass::Other, error.to_string()),
            ..Observation::default()
        },
    }
}

pub(super) fn environment(
    call: &Call<'_>,
    env: &[(String, Plain)],
    mark: &Mark,
) -> BTreeMap<String, OsString> {
    let mut out = call.context.inherited.variables().clone();
    out.extend(env.iter().map(|(name, value)| (name.clone(), OsString::from(value.as_str()))));
    out.insert(RUN_MARK.into(), mark.run.clone().into());
    out.insert(DIR_MARK.into(), call.context.dir.clone().into());
    out.insert(ATTEMPT_MARK.into(), mark.attempt.clone().into());
    out.insert("CONSIGNE_STEP".into(), call.request.key.step.clone().into());
    if let Some(item) = call.request.key.item {
        out.insert("CONSIGNE_ITEM".into(), item.to_string().into());
    }
    if let Some(key) = &call.request.idempotency_key {
        out.insert("CONSIGNE_IDEMPOTENCY_KEY".into(), key.into());
    }
    out
}

/// Where one of its streams goes.
pub(super) fn capture(call: &Call<'_>, stream: &'static str) -> Capture {
    if call.bears_secrets() {
        return Capture::raw(call.context);
    }
    let tail = call.tail.stream(&call.request.key, stream);
    Capture::new(call.context.blobs.clone(), call.context.secrets.masks(), tail)
}

/// What it printed.
pub(super) fn printed(ran: &Ran) -> Observation {
    let mut out = Observation::default();
    for (name, captured) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        out.excerpts.insert(name.to_owned(), captured.excerpt.clone());
        out.blobs.extend(captured.blob.clone().map(|blob| (name.to_owned(), blob)));
    }
    out
}

async fn observed(call: &Call<'_>, ran: Ran, elapsed_ms: u64) -> Observation {
    let mut out = printed(&ran);
    out.code = ran.status.code().map(i64::from);
    out.end = match (ran.stop, ran.status.code(), ran.status.signal()) {
        (Stop::TimedOut, ..) => {
            let limit = call.timeout.as_millis();
            lost("timeout", ErrorClass::Timeout, format!("it was ended after its time-out of {limit} ms"))
        }
        (Stop::Cancelled, ..) => lost("cancelled", ErrorClass::Other, "it was told to stop".to_owned()),
        (Stop::ByItself, Some(exit), _) => answered(call, &ran, exit, elapsed_ms, &mut out).await,
        (Stop::ByItself, None, signal) => {
            let signal = signal.map_or_else(|| "a signal".to_owned(), |number| format!("signal {number}"));
            lost("signal", ErrorClass::Other, format!("it was ended by {signal}"))
        }
    };
    out
}

/// What it said, now that it has ended by itself.
pub(super) async fn answered(
    call: &Call<'_>,
    ran: &Ran,
    exit: i32,
    elapsed_ms: u64,
    out: &mut Observation,
) -> End {
    if call.bears_secrets() {
        return match newborn::of_program(call, exit, (&ran.stdout.raw, &ran.stderr.raw), out).await {
            Ok(parts) => End::Answered(Answer::new(parts, elapsed_ms)),
            Err(error) => lost("capture", ErrorClass::Other, error.to_string()),
        };
    }
    let text = |captured: &Captured| -> std::io::Result<Option<String>> {
        if !judge::needs_text(&call.request.probe.accept) {
            return Ok(None);
        }
        let whole = captured.whole(&call.context.blobs)?;
        Ok(whole.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    match text(&ran.stdout).and_then(|stdout| Ok((stdout, text(&ran.stderr)?))) {
        Ok((stdout, stderr)) => {
            End::Answered(Answer::new(Parts::Program { exit, stdout, stderr }, elapsed_ms))
        }
        Err(error) => lost("capture", ErrorClass::Other, format!("cannot read back its output: {error}")),
    }
}

pub(super) fn reason_of(error: &FillError) -> &'static str {
    match error {
        FillError::Secret(_) => "secret",
        FillError::Work(_) => "work",
        FillError::Later(_) => "request",
    }
}

pub(super) fn nothing(reason: &'static str, message: &str) -> Observation {
    let trouble = Trouble { reason, class: ErrorClass::Other, message: message.to_owned() };
    Observation { end: End::Nothing(trouble), ..Observation::default() }
}

pub(super) fn lost(reason: &'static str, class: ErrorClass, message: String) -> End {
    End::Lost(Trouble { reason, class, message })
}
