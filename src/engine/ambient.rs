//! What the tools that a runbook uses will take for granted here: the current Kubernetes context, the cloud project
//! and account. Read from the files that the tools read, as the children of a run will see them; no tool is started.
//!
//! Only tools that the runbook names are looked at: as a program, as a word of a script, or behind `sudo` and its kin.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::plan::{Action, Channel, Plan, Reach, SecretSource};
use crate::runbook::load;
use crate::runbook::yaml::{self, Node, Value};
use crate::runner::Inherited;

const KUBERNETES: &[&str] =
    &["kubectl", "helm", "helmfile", "kustomize", "oc", "flux", "k9s", "stern", "velero", "istioctl"];
const GOOGLE: &[&str] = &["gcloud", "gsutil", "bq"];
const AMAZON: &[&str] = &["aws", "eksctl", "sam"];
const AZURE: &[&str] = &["az"];
/// Programs that start the one that is meant.
const WRAPPERS: &[&str] =
    &["env", "sudo", "doas", "timeout", "nice", "ionice", "nohup", "time", "xargs", "stdbuf"];

/// Something that a tool takes for granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    pub name: &'static str,
    /// `None`: nothing is configured.
    pub value: Option<String>,
}

/// What the tools of a plan take for granted, in a fixed order.
pub fn contexts(plan: &Plan, inherited: &Inherited, base_dir: &Path) -> Vec<Context> {
    let tools = tools(plan);
    let uses = |names: &[&str]| names.iter().any(|name| tools.contains(*name));
    let around = Around { variables: inherited.variables(), base_dir };
    let mut out = Vec::new();
    if uses(KUBERNETES) {
        out.push(Context { name: "kube context", value: around.kubernetes() });
    }
    if uses(GOOGLE) {
        let [project, account] = around.google();
        out.push(Context { name: "gcloud project", value: project });
        out.push(Context { name: "gcloud account", value: account });
    }
    if uses(AMAZON) {
        out.push(Context { name: "aws profile", value: Some(around.amazon()) });
    }
    if uses(AZURE) {
        out.push(Context { name: "azure subscription", value: around.azure() });
    }
    out
}

/// Every word of a plan that could be the name of a program.
fn tools(plan: &Plan) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut argv = |words: &mut dyn Iterator<Item = &str>| {
        let Some(first) = words.next().map(base_name) else { return };
        if WRAPPERS.contains(&first) {
            out.extend(words.map(|word| base_name(word).to_owned()));
        }
        out.insert(first.to_owned());
    };
    let mut scripts = Vec::new();
    for probe in plan.values.all().flat_map(|(_, values)| values.probes()) {
        match &probe.action {
            Action::Http(_) => {}
            Action::Notify(notice) => {
                for channel in notice.to.iter().flat_map(|recipient| &recipient.channels) {
                    if let Channel::Command(words) = channel {
                        argv(&mut words.iter().map(String::as_str));
                    }
                }
            }
            Action::Shell(call) => scripts.push(call.script.as_str()),
            Action::Argv(call) => argv(&mut call.argv.iter().map(crate::runbook::template::Template::source)),
            // What it finds around it is another machine's.
            Action::Remote(_) => {}
        }
    }
    for reach in plan.values.hosts.values() {
        if let Reach::Via(prefix) = reach {
            argv(&mut prefix.iter().map(String::as_str));
        }
    }
    for source in plan.values.secrets.values() {
        if let SecretSource::Command(words) = source {
            argv(&mut words.iter().map(String::as_str));
        }
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    for script in scripts {
        out.extend(script.split(|c| !is_part(c)).map(|word| base_name(word).to_owned()));
    }
    out
}

fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// What children of the run find around them.
struct Around<'a> {
    variables: &'a BTreeMap<String, OsString>,
    base_dir: &'a Path,
}

impl Around<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let value = self.variables.get(name)?.to_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    /// The folder that a variable names, else the one below the home directory.
    fn folder(&self, variable: &str, below_home: &str) -> Option<PathBuf> {
        let named = self.text(variable).map(|path| self.base_dir.join(path));
        named.or_else(|| Some(Path::new(&self.text("HOME")?).join(below_home)))
    }

    /// The current context, its cluster's server and its namespace, from all files of `KUBECONFIG`.
    fn kubernetes(&self) -> Option<String> {
        let files: Vec<PathBuf> = match self.variables.get("KUBECONFIG").filter(|list| !list.is_empty()) {
            Some(list) => std::env::split_paths(list).map(|path| self.base_dir.join(path)).collect(),
            None => vec![Path::new(&self.text("HOME")?).join(".kube/config")],
        };
        let sources: Vec<_> = files.iter().filter_map(|path| load::source(path).ok()).collect();
        let trees: Vec<Node<'_>> = sources.iter().filter_map(|source| yaml::parse(source).0).collect();
        let named = |tree: &Node<'_>| scalar(tree, "current-context").filter(|name| !name.is_empty());
        let name = trees.iter().find_map(named)?;
        let entry = |list: &str, name: &str, of: &str| {
            trees.iter().find_map(|tree| {
                let Value::List(entries) = &value(tree, list)?.value else { return None };
                let entry = entries.iter().find(|entry| scalar(entry, "name").as_deref() == Some(name))?;
                value(entry, of).cloned()
            })
        };
        let context = entry("contexts", &name, "context");
        let of = |key: &str| context.as_ref().and_then(|context| scalar(context, key));
        let cluster = of("cluster").and_then(|name| entry("clusters", &name, "cluster"));
        let server = cluster.as_ref().and_then(|cluster| scalar(cluster, "server"));
        let more: Vec<String> = server.into_iter().chain(of("namespace")).collect();
        Some(with(&name, &more))
    }

    fn google(&self) -> [Option<String>; 2] {
        let folder = self.folder("CLOUDSDK_CONFIG", ".config/gcloud");
        let read = |name: &str| std::fs::read_to_string(folder.as_ref()?.join(name)).ok();
        let active = self.text("CLOUDSDK_ACTIVE_CONFIG_NAME").or_else(|| read("active_config"));
        let active = active.map_or_else(|| "default".to_owned(), |name| name.trim().to_owned());
        let settings =
            if active.contains('/') { None } else { read(&format!("configurations/config_{active}")) };
        let of = |variable: &str, key: &str| {
            self.text(variable).or_else(|| setting(settings.as_deref()?, "core", key))
        };
        [of("CLOUDSDK_CORE_PROJECT", "project"), of("CLOUDSDK_CORE_ACCOUNT", "account")]
    }

    /// The profile, with its region and account as far as they are written down.
    fn amazon(&self) -> String {
        let profile =
            self.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]).unwrap_or_else(|| "default".to_owned());
        let file = self.folder("AWS_CONFIG_FILE", ".aws/config");
        let settings = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let section = if profile == "default" { profile.clone() } else { format!("profile {profile}") };
        let region = self.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]);
        let region = region.or_else(|| setting(&settings, &section, "region"));
        let account = ["sso_account_id", "role_arn"].iter().find_map(|key| setting(&settings, &section, key));
        with(&profile, &region.into_iter().chain(account).collect::<Vec<_>>())
    }

    fn azure(&self) -> Option<String> {
        let file = self.folder("AZURE_CONFIG_DIR", ".azure")?.join("azureProfile.json");
        let text = std::fs::read_to_string(file).ok()?;
        // It begins with a byte order mark.
        let profile: serde_json::Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
        let all = profile["subscriptions"].as_array()?;
        let current = all.iter().find(|one| one["isDefault"] == true)?;
        let of = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let more: Vec<String> = of(&current["id"]).into_iter().chain(of(&current["user"]["name"])).collect();
        Some(with(&of(&current["name"])?, &more))
    }
}

fn with(name: &str, more: &[String]) -> String {
    if more.is_empty() { name.to_owned() } else { format!("{name} ({})", more.join(", ")) }
}

fn value<'n, 's>(node: &'n Node<'s>, key: &str) -> Option<&'n Node<'s>> {
    let Value::Map { entries, .. } = &node.value else { return None };
    entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
}

fn scalar(node: &Node<'_>, key: &str) -> Option<String> {
    match &value(node, key)?.value {
        Value::Scalar { text, .. } => Some(text.to_string()),
        Value::List(_) | Value::Map { .. } => None,
    }
}

/// A setting of a section, as in `.ini` files.
fn setting(text: &str, section: &str, key: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim() == section;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| inside)
            && name.trim() == key
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around<'a>(variables: &'a BTreeMap<String, OsString>, home: &'a Path) -> Around<'a> {
        Around { variables, base_dir: home }
    }

    fn write(home: &Path, name: &str, text: &str) {
        let path = home.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn variables(home: &Path, more: &[(&str, &str)]) -> BTreeMap<String, OsString> {
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value)));
        more.chain([("HOME".to_owned(), home.as_os_str().to_owned())]).collect()
    }

    #[test]
    fn the_first_file_that_names_a_context_counts_and_the_others_complete_it() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        assert_eq!(around(&variables(home, &[]), home).kubernetes(), None);
        write(home, ".kube/config", "current-context: at-home\n");
        assert_eq!(around(&variables(home, &[]), home).kubernetes().as_deref(), Some("at-home"));
        write(home, "a", "current-context: \"\"\nclusters:\n- name: c\n  cluster: {server: \"https://c\"}\n");
        write(home, "b", "current-context: x\ncontexts:\n- {name: x, context: {cluster: c, namespace: n}}\n");
        let several = variables(home, &[("KUBECONFIG", "a:gone:b")]);
        assert_eq!(around(&several, home).kubernetes().as_deref(), Some("x (https://c, n)"));
    }

    #[test]
    fn cloud_tools_are_told_as_they_read_their_files() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let none = variables(home, &[]);
        assert_eq!(around(&none, home).google(), [None, None]);
        assert_eq!(around(&none, home).azure(), None);
        write(home, ".config/gcloud/active_config", "ops\n");
        let ini = "[auth]\nproject = wrong\n[core]\naccount = a@example.com\nproject = p-1\n";
        write(home, ".config/gcloud/configurations/config_ops", ini);
        assert_eq!(around(&none, home).google(), [Some("p-1".to_owned()), Some("a@example.com".to_owned())]);
        let forced = variables(home, &[("CLOUDSDK_CORE_PROJECT", "p-2")]);
        assert_eq!(around(&forced, home).google()[0].as_deref(), Some("p-2"));
        write(
            home,
            ".aws/config",
            "[default]\nregion=r-0\n[profile prod]\nregion = r-1\nsso_account_id = 42\n",
        );
        assert_eq!(around(&none, home).amazon(), "default (r-0)");
        assert_eq!(around(&variables(home, &[("AWS_PROFILE", "prod")]), home).amazon(), "prod (r-1, 42)");
        let json = "\u{feff}{\"subscriptions\": [{\"name\": \"n\", \"id\": \"i\", \"isDefault\": true, \"user\": {\"name\": \"u\"}}]}";
        write(home, ".azure/azureProfile.json", json);
        assert_eq!(around(&none, home).azure().as_deref(), Some("n (i, u)"));
    }

    #[test]
    fn only_tools_that_the_runbook_names_are_looked_at() {
        let plan = |steps: &str| {
            let text = format!("consigne: v1\nid: r\nsteps:\n{steps}");
            let source = load::from_bytes("r.yaml", text.into_bytes()).unwrap();
            crate::plan::outline(&load::runbook(&source).0.unwrap())
        };
        let names = |plan: &Plan| -> Vec<&'static str> {
            let all = contexts(plan, &Inherited::default(), Path::new("/"));
            all.into_iter().map(|context| context.name).collect()
        };
        assert_eq!(names(&plan("  - {id: a, shell: \"echo kubectl-like\", effect: read}\n")), [""; 0]);
        let script = plan("  - {id: a, shell: \"x=$(/usr/bin/kubectl get pods)\", effect: read}\n");
        assert_eq!(names(&script), ["kube context"]);
        let behind = plan(
            "  - {id: a, argv: [sudo, -u, ops, az, vm], effect: read}\n  - {id: b, argv: [echo, aws], effect: read}\n",
        );
        assert_eq!(names(&behind), ["azure subscription"]);
    }
}
