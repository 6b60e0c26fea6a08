//! Where things live: `--runs`, `$CONSIGNE_HOME`, or the XDG state directory.

use std::path::{Path, PathBuf};

use super::error::CliError;
use super::exit::Exit;

/// The folders of this user, or of the team that shares `$CONSIGNE_HOME`.
#[derive(Debug, Clone)]
pub struct Home {
    pub root: PathBuf,
    pub runs: PathBuf,
}

impl Home {
    /// # Errors
    /// Neither `$CONSIGNE_HOME` nor `$XDG_STATE_HOME` nor `$HOME` is set.
    pub fn find(runs: Option<&Path>) -> Result<Self, CliError> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set("CONSIGNE_HOME")
            .or_else(|| set("XDG_STATE_HOME").map(|state| state.join("consigne")))
            .or_else(|| set("HOME").map(|home| home.join(".local/state/consigne")))
            .ok_or_else(|| {
                CliError::new(Exit::Usage, "no folder for runs: neither CONSIGNE_HOME nor HOME is set")
                    .hint("set CONSIGNE_HOME, or give --runs")
            })?;
        let root = std::path::absolute(&root).unwrap_or(root);
        let runs = match runs {
            Some(runs) => std::path::absolute(runs).unwrap_or_else(|_| runs.to_owned()),
            None => root.join("runs"),
        };
        Ok(Self { root, runs })
    }

    /// The directory of a run named by its directory, its id or an unambiguous beginning of its id.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn run_dir(&self, name: &str) -> Result<PathBuf, CliError> {
        let path = Path::new(name);
        if name.contains('/') || path.join("events.jsonl").exists() || path.join("wal.jsonl").exists() {
            return if holds_run(path) {
                Ok(path.to_owned())
            } else {
                Err(CliError::new(Exit::Usage, format!("no run in {name}"))
                    .hint("give the id or the directory of a run"))
            };
        }
        let known = self.run_ids()?;
        if name.is_empty() {
            return Err(CliError::new(Exit::Usage, "no run is named").hint("`consigne list` shows the runs"));
        }
        if known.iter().any(|id| id == name) {
            return Ok(self.runs.join(name));
        }
        let matching: Vec<&String> = known.iter().filter(|id| id.starts_with(name)).collect();
        match matching.as_slice() {
            [only] => Ok(self.runs.join(only)),
            [] => Err(CliError::new(Exit::Usage, format!("no run `{name}` in {}", self.runs.display()))
                .hint("`consigne list` shows the runs")),
            several => Err(CliError::new(Exit::Usage, format!("{} runs begin with `{name}`", several.len()))
                .hint(several.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(", "))),
        }
    }

    /// Ids of all runs, sorted.
    ///
    /// # Errors
    /// The folder exists and cannot be read.
    pub fn run_ids(&self) -> Result<Vec<String>, CliError> {
        let entries = match std::fs::read_dir(&self.runs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(CliError::file(Exit::Usage, "list", &self.runs, &error)),
        };
        let mut ids: Vec<String> = entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().join("plan").is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        ids.sort();
        Ok(ids)
    }
}

/// What a run directory, or a copy of its record, has at least one of.
fn holds_run(path: &Path) -> bool {
    ["events.jsonl", "wal.jsonl", "plan", "record.dsse.json"].iter().any(|name| path.join(name).exists())
}
