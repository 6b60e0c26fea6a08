//! What can be known to be missing before the first step.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::plan::{Action, Plan, Probe, SecretSource};
use crate::runner::Secrets;

/// Programs that the plan names literally and that are not there, one message each.
pub fn programs(plan: &Plan) -> Vec<String> {
    let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
    for (step, values) in &plan.values.steps {
        let probes = [&values.act, &values.verify, &values.undo, &values.put_back, &values.only_if];
        let items = values.items.values().filter_map(|item| item.probe.as_ref());
        for probe in probes.into_iter().flatten().chain(items) {
            if let Some(program) = program(probe) {
                wanted.insert((program, step.clone()));
            }
        }
    }
    wanted
        .into_iter()
        .filter(|(program, _)| !exists(program))
        .map(|(program, step)| format!("step `{step}` needs the program `{program}`, which is not there"))
        .collect()
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

fn program(probe: &Probe) -> Option<String> {
    match &probe.action {
        Action::Http(_) => None,
        Action::Shell(_) => Some("bash".to_owned()),
        // A program named by a value is known when its step starts.
        Action::Argv(call) => {
            let first = call.argv.first()?;
            first.refs().next().is_none().then(|| first.source().to_owned())
        }
    }
}

fn exists(program: &str) -> bool {
    if program.contains('/') {
        // Relative paths begin where the step's `cwd` says, which only its runner knows.
        return !program.starts_with('/') || is_executable(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_executable(&folder.join(program)))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
