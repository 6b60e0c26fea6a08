//! What can be known to be missing before the first step: [`programs`] and [`secrets`] are what a run refuses to start
//! without, [`Look`] is the whole list for people, of which those two are a part.

mod look;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::plan::{Action, Channel, Plan, Probe, Reach, SecretSource, host};
use crate::runner::Secrets;

pub use look::{About, Finding, Look, Verdict};

/// A program that a step needs.
struct Wanted {
    name: String,
    step: String,
    place: Place,
}

enum Place {
    At(PathBuf),
    Nowhere,
    /// Named by a value, by a path that begins where its step runs, or to be found along a `PATH` of its step.
    WhenItStarts,
}

/// Programs that the plan names literally and that are not there, one message each.
pub fn programs(plan: &Plan) -> Vec<String> {
    let missing = wanted(plan).into_iter().filter(|wanted| matches!(wanted.place, Place::Nowhere));
    missing
        .map(|Wanted { name, step, .. }| {
            format!("step `{step}` needs the program `{name}`, which is not there")
        })
        .collect()
}

/// Every program of a plan with the first step that needs it, sorted.
fn wanted(plan: &Plan) -> Vec<Wanted> {
    let mut out = Vec::new();
    for (step, values) in &plan.values.steps {
        for probe in values.probes() {
            for (name, place) in program(probe).into_iter().chain(messengers(probe)) {
                out.push(Wanted { name, step: step.clone(), place });
            }
        }
    }
    let remote = host::used(plan);
    for (name, reach) in &plan.values.hosts {
        let program = match reach {
            Reach::Ssh(_) => "ssh",
            Reach::Via(prefix) => prefix.first().map_or("", String::as_str),
        };
        let users = remote.iter().filter(|used| used.name.as_ref().is_none_or(|used| used == name));
        let place = found(program).map_or(Place::Nowhere, Place::At);
        let step = users.flat_map(|used| used.steps.first()).next().cloned().unwrap_or_default();
        out.push(Wanted { name: program.to_owned(), step, place });
    }
    out.sort_by(|one, other| (&one.name, &one.step).cmp(&(&other.name, &other.step)));
    out.dedup_by(|one, other| one.name == other.name && one.step == other.step);
    out
}

/// Secrets that are the caller's to provide and cannot be had, one message each: variables, what was
/// typed, and files that do not lie in the run, where a service may be yet to write them. Before any service is started.
pub async fn secrets(plan: &Plan, run_dir: &Path, secrets: &Secrets) -> Vec<String> {
    let mut missing = Vec::new();
    for (name, source) in &plan.values.secrets {
        let provided = match source {
            SecretSource::Env(_) => true,
            SecretSource::File(path) => !secrets.base_dir().join(path).starts_with(run_dir),
            SecretSource::Prompt => secrets.can_ask(),
            SecretSource::Command(_) => false,
        };
        if provided && let Err(error) = secrets.get(name).await {
            missing.push(error.to_string());
        }
    }
    missing
}

fn program(probe: &Probe) -> Option<(String, Place)> {
    let (name, env) = match &probe.action {
        // What leads to a host is wanted once for all that runs there.
        Action::Http(_) | Action::Remote(_) | Action::Notify(_) => return None,
        Action::Shell(call) => ("bash", &call.env),
        Action::Argv(call) => {
            let first = call.argv.first()?;
            if first.refs().next().is_some() {
                return Some((first.source().to_owned(), Place::WhenItStarts));
            }
            (first.source(), &call.env)
        }
    };
    let own_path = env.iter().any(|(name, _)| name == "PATH");
    Some((name.to_owned(), place_of(name, own_path)))
}

/// The programs that a message is given to.
fn messengers(probe: &Probe) -> Vec<(String, Place)> {
    let Action::Notify(notice) = &probe.action else { return Vec::new() };
    let channels = notice.to.iter().flat_map(|recipient| &recipient.channels);
    let programs = channels.filter_map(|channel| match channel {
        Channel::Command(argv) => argv.first(),
        Channel::Mail(_) | Channel::Slack(_) => None,
    });
    programs.map(|name| (name.clone(), place_of(name, false))).collect()
}

fn place_of(name: &str, own_path: bool) -> Place {
    let later = if name.contains('/') { !name.starts_with('/') } else { own_path };
    if later { Place::WhenItStarts } else { found(name).map_or(Place::Nowhere, Place::At) }
}

/// Where a program is, along the `PATH` of this process unless it is named by a path.
fn found(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| is_executable(path));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|folder| folder.join(program));
    candidates.find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
