//! What can be known to be missing before the first step: [`programs`] and [`secrets`] are what a run refuses to start
//! without, [`Look`] is the whole list for people, of which those two are a part.

mod look;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::plan::{Action, Plan, Probe, SecretSource};
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
    for (step, values) in plan.values.all() {
        for probe in values.probes() {
            if let Some((name, place)) = program(probe) {
                out.push(Wanted { name, step: step.clone(), place });
            }
        }
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
        Action::Http(_) => return None,
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
    let later = if name.contains('/') { !name.starts_with('/') } else { own_path };
    let place = if later { Place::WhenItStarts } else { found(name).map_or(Place::Nowhere, Place::At) };
    Some((name.to_owned(), place))
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
