//! The surroundings of a run's children, frozen when it starts: the variables that they inherit, and what their tools
//! take for granted ([`super::ambient`]). Kept as salted digests, never as values, in the run's held-back host file.
//! A resume compares, and says by name what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ambient;
use crate::plan::Plan;
use crate::runner::Inherited;

/// Each login has another one: only whether there is one is compared.
const AGENT: &str = "SSH_AUTH_SOCK";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surroundings {
    /// Lower-case hex, 32 bytes: a value cannot be guessed from its digest by trying the likely ones in advance.
    salt: String,
    /// Name to digest, of the variables that were set.
    variables: BTreeMap<String, String>,
    /// Name to digest, of what was configured.
    contexts: BTreeMap<String, String>,
}

impl Surroundings {
    /// As they are now, with a salt of their own.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn freeze(plan: &Plan, base_dir: &Path) -> Result<Self, getrandom::Error> {
        let mut salt = [0; 32];
        getrandom::fill(&mut salt)?;
        let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self::taken(salt, plan, base_dir))
    }

    /// Names of what is not as it was: variables, then contexts.
    pub fn differing(&self, plan: &Plan, base_dir: &Path) -> Vec<String> {
        self.differing_but(plan, base_dir, |_| false)
    }

    /// The same for a run that does a part of this one again. It has children of its own, and so variables of its own:
    /// only what says on what they work (the variables that the environment hands on by name, and the contexts) has to be
    /// that of what it takes over.
    pub fn differing_again(&self, plan: &Plan, base_dir: &Path) -> Vec<String> {
        let handed_on = |name: &String| plan.values.env_inherit.contains(name);
        self.differing_but(plan, base_dir, |name| !handed_on(name))
    }

    fn differing_but(&self, plan: &Plan, base_dir: &Path, is_own: impl Fn(&String) -> bool) -> Vec<String> {
        let now = Self::taken(self.salt.clone(), plan, base_dir);
        let differ = |then: &BTreeMap<String, String>, now: &BTreeMap<String, String>| -> Vec<String> {
            let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
            names.into_iter().filter(|name| then.get(*name) != now.get(*name)).cloned().collect()
        };
        let mut all = differ(&self.variables, &now.variables);
        all.retain(|name| !is_own(name));
        all.extend(differ(&self.contexts, &now.contexts));
        all
    }

    fn taken(salt: String, plan: &Plan, base_dir: &Path) -> Self {
        let inherited = Inherited::snapshot(&plan.values.env_inherit);
        let variables = inherited.variables().iter().map(|(name, value)| {
            let value: &[u8] = if name == AGENT { b"set" } else { value.as_bytes() };
            (name.clone(), digest(&salt, "variable", name, value))
        });
        let variables = variables.collect();
        let contexts = ambient::contexts(plan, &inherited, base_dir);
        let contexts = contexts.into_iter().filter_map(|context| {
            let digest = digest(&salt, "context", context.name, context.value?.as_bytes());
            Some((context.name.to_owned(), digest))
        });
        Self { variables, contexts: contexts.collect(), salt }
    }
}

fn digest(salt: &str, what: &str, name: &str, value: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [salt.as_bytes(), what.as_bytes(), name.as_bytes(), value] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::launch::Hosting;

    #[test]
    fn a_host_file_of_an_earlier_version_freezes_nothing_and_keeps_its_bytes() {
        let old = "{\n  \"base_dir\": \"/x\",\n  \"services\": []\n}";
        let hosting: Hosting = serde_json::from_str(old).unwrap();
        assert_eq!(hosting.surroundings, None);
        assert_eq!(serde_json::to_string_pretty(&hosting).unwrap(), old);
    }

    #[test]
    fn a_digest_is_of_one_name_one_value_and_one_salt() {
        let one = digest("00", "variable", "PATH", b"/bin");
        for other in [
            digest("01", "variable", "PATH", b"/bin"),
            digest("00", "context", "PATH", b"/bin"),
            digest("00", "variable", "PAT", b"H/bin"),
            digest("00", "variable", "PATH", b"/bin/"),
        ] {
            assert_ne!(one, other);
        }
    }
}
