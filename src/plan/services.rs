//! The services of a practice environment, frozen into the plan so that a resume can start them again.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::values::ProbeOf;
use crate::runbook::template::Rendered;

/// A process that runs beside a run and ends with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub name: String,
    /// The first element `consigne` stands for the running program.
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub port: u16,
    /// A private folder, kept over restarts.
    pub state: String,
    /// When it may be used.
    pub ready: Option<ProbeOf<Rendered>>,
}

/// File name of the services below `plan/`; held back, since it holds paths of the host.
pub const SERVICES_FILE: &str = "services.json";

impl Service {
    /// The services of a stored run; none where the file is absent.
    ///
    /// # Errors
    /// The file cannot be read, or is not what was written.
    pub fn load_all(plan_dir: &Path) -> Result<Vec<Self>, String> {
        let path = plan_dir.join(SERVICES_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        }
    }
}
