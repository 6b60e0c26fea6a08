//! Windows as whoever starts a run meets them: open, or closed until when, and a reason for going on all the same.

use std::fmt::Write;

use super::error::CliError;
use super::exit::Exit;
use crate::clock::{Clock, Timestamp};
use crate::core::Input;
use crate::engine::identity;
use crate::plan::{Localized, OpenAt, Plan};
use crate::runbook::schema::WindowDecl;
use crate::runbook::window::Window;

/// What is written down where a run goes on outside of its windows. None: it is in one of them, or has none.
///
/// # Errors
/// No window is open, and there is no reason, or the environment takes none.
pub(super) fn within(
    plan: &Plan,
    reason: Option<&str>,
    french: bool,
    clock: &dyn Clock,
) -> Result<Option<Input>, CliError> {
    let (windows, now) = (&plan.values.windows, clock.now());
    if windows.is_empty() || open(windows, now).is_some() {
        return Ok(None);
    }
    let closed = |message: &str| {
        let error = CliError::new(Exit::RunFailed, message);
        let next = next(windows, now);
        error.hint(next.map_or_else(
            || "no window opens any more".to_owned(),
            |(window, at)| format!("the next window opens at {}", shown(window, at)),
        ))
    };
    match reason.map(str::trim) {
        Some("") => Err(CliError::new(Exit::Usage, "running outside every window needs a reason")),
        Some(_) if plan.values.windows_required => {
            Err(closed("outside every window, and this environment takes no reason for that"))
        }
        Some(reason) => {
            let actor = identity::actor(&plan.graph.people, &identity::os_user());
            let text = if french { "hors de toute fenêtre :" } else { "outside every window:" };
            Ok(Some(Input::Note { actor, text: format!("{text} {reason}") }))
        }
        None if plan.values.windows_required => Err(closed("outside every window; nothing was started")),
        None => Err(closed("outside every window; nothing was started")
            .hint("`--outside-window REASON` goes on, and the record says why")),
    }
}

/// How windows stand now, in one line. None where there are none.
pub(super) fn standing(windows: &[OpenAt], now: Timestamp, french: bool) -> Option<String> {
    let word = |fr: &'static str, en: &'static str| if french { fr } else { en };
    if windows.is_empty() {
        return None;
    }
    let mut line = String::new();
    let _never_fails = match open(windows, now) {
        Some((window, until)) => {
            write!(line, "{} {}", word("ouverte jusqu'au", "open until"), shown(window, until))
        }
        None => match next(windows, now) {
            Some((window, at)) => {
                write!(line, "{} {}", word("fermée, prochaine le", "closed, next at"), shown(window, at))
            }
            None => write!(line, "{}", word("fermée, pour toujours", "closed, for good")),
        },
    };
    Some(line)
}

/// Windows as a runbook writes them.
pub(super) fn written(decls: &[WindowDecl]) -> Vec<OpenAt> {
    let of = |decl: &WindowDecl| OpenAt {
        cron: decl.cron.value.clone(),
        zone: decl.zone.value.clone(),
        open_ms: decl.r#for.value.0,
        title: Localized::default(),
    };
    decls.iter().map(of).collect()
}

/// The window that is open longest, and until when.
fn open(windows: &[OpenAt], now: Timestamp) -> Option<(&OpenAt, Timestamp)> {
    let until = |at: &OpenAt| asked(at)?.open_until(now);
    windows.iter().filter_map(|at| Some((at, until(at)?))).max_by_key(|(_, until)| *until)
}

/// The window that opens next, and when.
fn next(windows: &[OpenAt], now: Timestamp) -> Option<(&OpenAt, Timestamp)> {
    let opens = |at: &OpenAt| asked(at)?.next(now);
    windows.iter().filter_map(|at| Some((at, opens(at)?))).min_by_key(|(_, opens)| *opens)
}

fn asked(at: &OpenAt) -> Option<Window> {
    Window::new(&at.cron, &at.zone, at.open_ms).ok()
}

/// An instant by the clock of the window, and by the one on the wall here.
fn shown(window: &OpenAt, at: Timestamp) -> String {
    let there = asked(window).map_or_else(|| at.to_string(), |window| window.local(at));
    let here = chrono::DateTime::from_timestamp_millis(at.millis())
        .map(|at| at.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M %:z").to_string());
    here.map_or_else(|| there.clone(), |here| format!("{there} ({here})"))
}
