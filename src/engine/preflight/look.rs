//! A look at this host and at the people of an environment, for one plan: what is there, what is missing, and what
//! could not be checked, which never counts as there. Shows no secret; of what children inherit, values only of the
//! few variables that are never secret.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{Access, access, statvfs};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Place, found, wanted};
use crate::clock::Clock;
use crate::engine::ambient;
use crate::engine::certified;
use crate::engine::identity;
use crate::plan::preview::{self, DECIDED_LATER};
use crate::plan::{GateNode, Identity, Kind, Localized, Plan, SecretSource, Service};
use crate::record::certificate::Standing;
use crate::record::keys::{ExecutorKey, KeyError};
use crate::record::ledger::LEDGER;
use crate::record::trust::Trust;
use crate::runbook::environment::AT_START;
use crate::runner::{Inherited, Secrets, answers};

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Less room than this is none.
const LEAST_ROOM: u64 = 16 * 1024 * 1024;
/// Variables whose values are no secret.
const SHOWN: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
const AGENT: &str = "SSH_AUTH_SOCK";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    Program,
    Secret,
    Target,
    Host,
    Gate,
    Certificate,
    Signer,
    Key,
    Folder,
    Clock,
    Context,
    Variable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Ok,
    Missing,
    NotChecked,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub about: About,
    pub name: String,
    pub verdict: Verdict,
    pub detail: Localized<String>,
}

/// What is looked at, and from where.
pub struct Look<'a> {
    pub plan: &'a Plan,
    /// Those that a drill would start.
    pub services: &'a [Service],
    pub secrets: &'a Secrets,
    /// The files that a run of it would freeze, besides the plan.
    pub frozen: &'a BTreeMap<String, Vec<u8>>,
    pub home: &'a Path,
    pub runs: &'a Path,
    pub clock: &'a dyn Clock,
}

fn finding(about: About, name: &str, verdict: Verdict, detail: Localized<String>) -> Finding {
    Finding { about, name: name.to_owned(), verdict, detail }
}

/// Data and messages, the same in both languages.
fn as_is(text: impl Into<String>) -> Localized<String> {
    Localized::both(text.into())
}

fn said(fr: &str, en: &str) -> Localized<String> {
    Localized { fr: Some(fr.to_owned()), en: Some(en.to_owned()) }
}

impl Look<'_> {
    /// Everything, in a fixed order. Connects to targets, runs programs that print secrets, changes nothing.
    pub async fn around(&self) -> Vec<Finding> {
        let mut out = self.programs();
        out.extend(self.secrets().await);
        out.extend(self.targets().await);
        out.extend(self.hosts().await);
        out.extend(self.gates());
        out.extend(self.certificate());
        out.extend(self.signers());
        out.extend(self.key());
        out.push(self.folder());
        out.push(self.time());
        out.extend(self.contexts());
        out.extend(self.variables());
        out
    }

    fn programs(&self) -> Vec<Finding> {
        let mut out: Vec<Finding> = wanted(self.plan)
            .into_iter()
            .map(|wanted| match wanted.place {
                Place::At(path) => {
                    finding(About::Program, &wanted.name, Verdict::Ok, as_is(path.display().to_string()))
                }
                Place::Nowhere => {
                    let detail = said(
                        &format!("introuvable (étape {})", wanted.step),
                        &format!("not found (step {})", wanted.step),
                    );
                    finding(About::Program, &wanted.name, Verdict::Missing, detail)
                }
                Place::WhenItStarts => {
                    let detail = said(
                        &format!("trouvé au début de l'étape {}", wanted.step),
                        &format!("found when step {} starts", wanted.step),
                    );
                    finding(About::Program, &wanted.name, Verdict::NotChecked, detail)
                }
            })
            .collect();
        // Several steps need the same one.
        out.dedup_by(|one, other| one.name == other.name && one.verdict == other.verdict);
        for service in self.services {
            let Some(name) = service.argv.first().filter(|name| *name != "consigne") else { continue };
            let (verdict, detail) = match found(name) {
                Some(path) => (Verdict::Ok, as_is(path.display().to_string())),
                None => (
                    Verdict::Missing,
                    said(
                        &format!("introuvable (service {})", service.name),
                        &format!("not found (service {})", service.name),
                    ),
                ),
            };
            out.push(finding(About::Program, name, verdict, detail));
        }
        out
    }

    async fn secrets(&self) -> Vec<Finding> {
        let mut out = Vec::new();
        for (name, source) in &self.plan.values.secrets {
            let (verdict, detail) = match source {
                SecretSource::Prompt => {
                    (Verdict::NotChecked, said("demandé au départ", "typed when the run starts"))
                }
                SecretSource::File(path) if path.contains(AT_START) => {
                    (Verdict::NotChecked, said("écrit par un service", "written by a service"))
                }
                source => match self.secrets.get(name).await {
                    Ok(_) => (Verdict::Ok, from(source)),
                    Err(error) => (Verdict::Missing, as_is(error.to_string())),
                },
            };
            out.push(finding(About::Secret, name, verdict, detail));
        }
        out
    }

    async fn targets(&self) -> Vec<Finding> {
        let mut targets = preview::targets(self.plan);
        targets.retain(|target| target.host.is_none());
        let mut tries = JoinSet::new();
        for (number, target) in targets.iter().enumerate() {
            if let Some((_, address)) = target.target.split_once("://").filter(|_| is_known(&target.target)) {
                let address = address.to_owned();
                tries.spawn(async move { (number, connected(&address).await) });
            }
        }
        let mut tried: Vec<_> = tries.join_all().await;
        tried.sort_by_key(|(number, _)| *number);
        let result = |at: usize| tried.iter().find(|(number, _)| *number == at).map(|(_, result)| result);
        targets
            .iter()
            .enumerate()
            .map(|(at, target)| {
                let (verdict, detail) = match result(at) {
                    Some(Ok(())) => (Verdict::Ok, said("répond", "accepts connections")),
                    Some(Err(why)) => (Verdict::Missing, as_is(why.clone())),
                    None if target.target == DECIDED_LATER => {
                        let steps = target.steps.join(", ");
                        (
                            Verdict::NotChecked,
                            said(&format!("décidé plus tard ({steps})"), &format!("decided later ({steps})")),
                        )
                    }
                    None => (Verdict::NotChecked, said("lancé avec l'exécution", "started with the run")),
                };
                finding(About::Target, &target.target, verdict, detail)
            })
            .collect()
    }

    /// Hosts that programs run on: whether they would begin there.
    async fn hosts(&self) -> Vec<Finding> {
        let mut tries = JoinSet::new();
        for (name, reach) in self.plan.values.hosts.clone() {
            let (inherited, base_dir) =
                (self.secrets.inherited().clone(), self.secrets.base_dir().to_owned());
            tries.spawn(async move {
                let shown = reach.shown();
                if reach.begins_with_the_run() {
                    let detail = said("lancé avec l'exécution", "started with the run");
                    return finding(About::Host, &name, Verdict::NotChecked, detail);
                }
                let (verdict, detail) = match answers(&reach, &inherited, &base_dir).await {
                    Ok(()) => (Verdict::Ok, as_is(shown)),
                    Err(why) => (Verdict::Missing, as_is(format!("{shown}: {why}"))),
                };
                finding(About::Host, &name, verdict, detail)
            });
        }
        let mut out = tries.join_all().await;
        out.sort_by(|one, other| one.name.cmp(&other.name));
        out
    }

    /// Gates that could never be opened by somebody who is not the person at this process.
    fn gates(&self) -> Vec<Finding> {
        let graph = &self.plan.graph;
        let me = identity::actor(&graph.people, &identity::os_user()).who;
        let gate = |gate: &GateNode| {
            let mut people = self.holders(&gate.who.roles);
            people.retain(|person| graph.role_play || !gate.who.not_starter || *person != me);
            let enough = people.len() >= usize::try_from(gate.quorum).unwrap_or(usize::MAX);
            let names = if people.is_empty() { "-".to_owned() } else { people.join(", ") };
            let (roles, quorum) = (gate.who.roles.join(", "), gate.quorum);
            if enough {
                let quorum = if quorum > 1 { format!(", {quorum} ×") } else { String::new() };
                (Verdict::Ok, as_is(format!("{names} ({roles}{quorum})")))
            } else {
                let fr = format!("il faut {quorum} personne(s) de {roles}, vous non compris : {names}");
                let en = format!("it takes {quorum} of {roles}, not counting you: {names}");
                (Verdict::Missing, said(&fr, &en))
            }
        };
        let named = graph.steps.iter().filter_map(|step| Some((step, step.gate.as_ref()?)));
        named
            .filter(|(_, gate)| !gate.who.roles.is_empty())
            .map(|(step, node)| {
                let (verdict, detail) = gate(node);
                finding(About::Gate, &step.id, verdict, detail)
            })
            .collect()
    }

    /// Where a run may only begin with a rehearsal certificate: whether there is one.
    fn certificate(&self) -> Option<Finding> {
        let name = &self.plan.graph.runbook;
        let standing = certified::standing(self.plan, self.frozen, self.home, self.clock.now());
        let (verdict, detail) = match standing {
            Ok(standing) => (
                if matches!(standing, Some(Standing::Valid(_))) { Verdict::Ok } else { Verdict::Missing },
                certified::told(&standing?),
            ),
            Err(error) => (Verdict::Missing, as_is(error.to_string())),
        };
        Some(finding(About::Certificate, name, verdict, detail))
    }

    fn holders(&self, roles: &[String]) -> Vec<String> {
        let people = &self.plan.graph.people;
        let mut all: Vec<String> =
            roles.iter().filter_map(|role| people.roles.get(role)).flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// Where decisions must be signed: the keys of those who may decide.
    fn signers(&self) -> Vec<Finding> {
        let graph = &self.plan.graph;
        if graph.identity != Identity::SshKey {
            return Vec::new();
        }
        let approvals = graph
            .steps
            .iter()
            .filter(|step| step.kind == Kind::Approve)
            .filter_map(|step| step.gate.as_ref());
        let roles: Vec<String> =
            approvals.flat_map(|gate| gate.who.roles.iter().chain(&gate.escalate_to)).cloned().collect();
        let trust = Trust::load(&self.home.join("trust"));
        let enrolled = |principal: &str| match &trust {
            Ok(trust) if trust.signers().signers().iter().any(|signer| signer.is_principal(principal)) => {
                (Verdict::Ok, as_is(principal))
            }
            Ok(trust) => {
                let path = trust.dir().join("allowed_signers").display().to_string();
                let (fr, en) = (
                    format!("{principal} ne figure pas dans {path}"),
                    format!("{principal} is not in {path}"),
                );
                (Verdict::Missing, said(&fr, &en))
            }
            Err(error) => (Verdict::Missing, as_is(error.to_string())),
        };
        let people = self.holders(&roles);
        let check = |person: &String| {
            let principal = graph.people.people.get(person).and_then(|person| person.ssh.as_deref());
            let (verdict, detail) = match principal {
                Some(principal) => enrolled(principal),
                None => (
                    Verdict::Missing,
                    said(
                        "l'environnement ne lui donne pas de clé (`ssh`)",
                        "the environment gives no key (`ssh`)",
                    ),
                ),
            };
            finding(About::Signer, person, verdict, detail)
        };
        people.iter().map(check).collect()
    }

    fn key(&self) -> Option<Finding> {
        let (verdict, detail) = match ExecutorKey::load(self.home) {
            Ok(key) => {
                (Verdict::Ok, as_is(format!("{} {}", key.principal(), key.signer_key().fingerprint())))
            }
            Err(KeyError::Missing { .. }) => {
                (Verdict::NotChecked, said("faite par la première exécution", "the first run makes it"))
            }
            Err(error) => (Verdict::Missing, as_is(error.to_string())),
        };
        Some(finding(About::Key, "executor", verdict, detail))
    }

    /// Whether runs can be written, and how much room there is.
    fn folder(&self) -> Finding {
        let name = self.runs.display().to_string();
        let nearest = self.runs.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        if !nearest.is_dir() || access(nearest, Access::WRITE_OK | Access::EXEC_OK).is_err() {
            let near = nearest.display();
            let detail =
                said(&format!("on ne peut pas écrire dans {near}"), &format!("{near} cannot be written to"));
            return finding(About::Folder, &name, Verdict::Missing, detail);
        }
        let room = statvfs(nearest).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        let (kind, mount) = mounted(nearest).unwrap_or_else(|| ("?".to_owned(), PathBuf::from("?")));
        match room {
            Ok(room) => {
                let (mount, mib) = (mount.display(), room / 1024 / 1024);
                let detail = said(
                    &format!("{mib} Mio libres, {kind} monté sur {mount}"),
                    &format!("{mib} MiB free, {kind} mounted on {mount}"),
                );
                let verdict = if room < LEAST_ROOM { Verdict::Missing } else { Verdict::Ok };
                finding(About::Folder, &name, verdict, detail)
            }
            Err(error) => finding(About::Folder, &name, Verdict::NotChecked, as_is(error.to_string())),
        }
    }

    /// The clock must not stand before what was written last; whether it is right, only a time service knows.
    fn time(&self) -> Finding {
        let ledger = std::fs::metadata(self.home.join(LEDGER)).and_then(|file| file.modified()).ok();
        let written = ledger.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let now = self.clock.now();
        let behind =
            written.is_some_and(|at| i128::from(now.millis()) + 1_000 < at.as_millis().cast_signed());
        let (verdict, detail) = if behind {
            (
                Verdict::Missing,
                said(
                    "retarde : plus tôt que la dernière ligne du registre",
                    "behind: earlier than the last line of the ledger",
                ),
            )
        } else if Path::new("/run/systemd/timesync/synchronized").exists() {
            (Verdict::Ok, said("synchronisée", "synchronised"))
        } else {
            (
                Verdict::NotChecked,
                said(
                    "rien ici ne dit si elle est synchronisée",
                    "nothing here says whether it is synchronised",
                ),
            )
        };
        finding(About::Clock, "clock", verdict, detail)
    }

    fn contexts(&self) -> Vec<Finding> {
        let contexts = ambient::contexts(self.plan, self.secrets.inherited(), self.secrets.base_dir());
        let one = |context: ambient::Context| match context.value {
            Some(value) => finding(About::Context, context.name, Verdict::Ok, as_is(value)),
            None => finding(
                About::Context,
                context.name,
                Verdict::NotChecked,
                said("aucun n'est réglé", "none is set"),
            ),
        };
        contexts.into_iter().map(one).collect()
    }

    /// What children inherit. Nothing but `PATH` is needed by itself.
    fn variables(&self) -> Vec<Finding> {
        let inherited: &Inherited = self.secrets.inherited();
        let fixed = SHOWN.into_iter().chain([AGENT]);
        let declared = self.plan.values.env_inherit.iter().map(String::as_str);
        let mut names: Vec<&str> = fixed.collect();
        declared.for_each(|name| {
            if !names.contains(&name) {
                names.push(name);
            }
        });
        let one = |name: &&str| {
            let value = inherited.variables().get(*name);
            let (verdict, detail) = match value {
                Some(value) if SHOWN.contains(name) => (Verdict::Ok, as_is(value.to_string_lossy())),
                Some(_) => (Verdict::Ok, said("transmise", "handed on")),
                None if *name == "PATH" => (Verdict::Missing, said("absente", "not set")),
                None => (Verdict::NotChecked, said("absente", "not set")),
            };
            finding(About::Variable, name, verdict, detail)
        };
        names.iter().map(one).collect()
    }
}

fn from(source: &SecretSource) -> Localized<String> {
    match source {
        SecretSource::Env(name) => said(&format!("variable {name}"), &format!("variable {name}")),
        SecretSource::File(path) => said(&format!("fichier {path}"), &format!("file {path}")),
        SecretSource::Command(argv) => {
            let program = argv.first().map_or("", String::as_str);
            said(&format!("commande {program}"), &format!("command {program}"))
        }
        SecretSource::Prompt => Localized::default(),
    }
}

fn is_known(target: &str) -> bool {
    target != DECIDED_LATER && !target.contains(AT_START)
}

async fn connected(address: &str) -> Result<(), String> {
    match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT.as_secs())),
    }
}

/// Kind and place of the file system that a path lies on.
fn mounted(path: &Path) -> Option<(String, PathBuf)> {
    let path = std::fs::canonicalize(path).ok()?;
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let lines = table.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mount = before.split(' ').nth(4)?.replace("\\040", " ");
        Some((after.split(' ').next()?.to_owned(), PathBuf::from(mount)))
    });
    // Of two on the same place, the later one is seen.
    lines.filter(|(_, mount)| path.starts_with(mount)).max_by_key(|(_, mount)| mount.components().count())
}
