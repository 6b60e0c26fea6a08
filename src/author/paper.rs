//! A runbook on paper: a checklist in Markdown for the day the tool itself is down, for review, for the wiki.
//!
//! A pure function of the runbook and of what is known beforehand. What the tool would do by itself is written out
//! for a person; what only the tool can give (the signed record) becomes lines to fill in.

mod call;
mod fill;
mod guards;
mod limits;
mod lists;
mod message;
mod step;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::runbook::environment::Environment;
use crate::runbook::flow;
use crate::runbook::inputs;
use crate::runbook::load::Document;
use crate::runbook::scalar::{Data, Entries};
use crate::runbook::schema::{Class, LinkDecl, SecretDecl, Step, Var};
use fill::{Known, code};

/// A place to write on.
const BLANK: &str = "____________________";

/// A runbook and what is known of the day it will be used.
#[derive(Debug, Clone, Copy)]
pub struct Paper<'a> {
    pub document: &'a Document,
    pub environment: Option<&'a Environment>,
    pub inputs: &'a BTreeMap<String, Value>,
    pub french: bool,
}

impl Paper<'_> {
    /// The checklist, in Markdown.
    pub fn markdown(&self) -> String {
        let known = self.known();
        let mut blocks = self.head(&known);
        blocks.extend(self.beforehand(&known));
        blocks.extend(self.guards(&known));
        blocks.push(format!("## {}", self.say("Étapes", "Steps")));
        let first = self.say(
            "Dans l'ordre. Cocher ce qui est fait, noter l'heure. `<…>` : à remplacer par la valeur notée.",
            "In this order. Tick what is done, note the time. `<…>`: put the value in its place.",
        );
        blocks.push(first.to_owned());
        let filters = self.say(
            "Dans les filtres jq, `.body` est le corps de la réponse, `.status` son statut, `.stdout` ce qu'un programme écrit.",
            "In jq filters `.body` is the body of the answer, `.status` its status, `.stdout` what a program prints.",
        );
        blocks.push(filters.to_owned());
        let runbook = &self.document.runbook;
        blocks.extend(self.steps(&known, false));
        if runbook.finally.as_ref().is_some_and(|finally| !finally.is_empty()) {
            blocks.push(format!(
                "## {}",
                self.say("À la fin, dans tous les cas", "At the end, whatever happened")
            ));
            let why = self.say(
                "Aussi après un échec, un refus ou un abandon.",
                "Also after a failure, a refusal, or when it was called off.",
            );
            blocks.push(why.to_owned());
            blocks.extend(self.steps(&known, true));
        }
        blocks.extend(self.foot());
        format!("{}\n", blocks.join("\n\n"))
    }

    const fn say(&self, fr: &'static str, en: &'static str) -> &'static str {
        if self.french { fr } else { en }
    }

    fn known(&self) -> Known {
        let runbook = &self.document.runbook;
        let mut known = Known { inputs: self.inputs.clone(), french: self.french, ..Known::default() };
        for (number, step) in (1..).zip(flow::steps(runbook)) {
            known.numbers.insert(step.name().to_owned(), number);
        }
        for (name, value) in self.vars() {
            if let Some(value) = value.and_then(constant) {
                known.vars.insert(name.to_owned(), value);
            }
        }
        known
    }

    /// Variables and what they are: from the environment, else the default.
    fn vars(&self) -> Vec<(&str, Option<&Data>)> {
        let given = |name: &str| {
            let vars = self.environment.and_then(|environment| environment.decl.vars.as_ref());
            vars.and_then(|vars| vars.get(name)).map(|data| &data.value)
        };
        let declared = self.document.runbook.vars.iter().flat_map(Entries::iter);
        declared
            .map(|(name, var)| {
                let own = match var {
                    Var::Required => None,
                    Var::Value(data) => Some(&data.value),
                };
                (name.value.as_str(), given(&name.value).or(own))
            })
            .collect()
    }

    fn head(&self, known: &Known) -> Vec<String> {
        let runbook = &self.document.runbook;
        let title = runbook.title.as_ref().map(|title| known.line(title)).filter(|title| !title.is_empty());
        let mut facts = vec![format!("`{}`", runbook.id.value)];
        facts.extend(runbook.category.map(|category| category.name().to_owned()));
        if let Some(owners) = &runbook.owners {
            let owners: Vec<&str> = owners.iter().map(|owner| owner.value.as_str()).collect();
            facts.push(format!("{} {}", self.say("confié à", "looked after by"), owners.join(", ")));
        }
        if let Some(environment) = self.environment {
            facts.push(format!("{} `{}`", self.say("environnement", "environment"), environment.name));
        }
        let mut blocks =
            vec![format!("# {}", title.unwrap_or_else(|| runbook.id.value.clone())), facts.join(" · ")];
        if let Some(description) = &runbook.description {
            blocks.push(format!("## {}", self.say("Quand s'en servir", "When to use it")));
            blocks.push(known.words(description));
        }
        if let Some(alerts) = runbook.alerts.as_ref().filter(|alerts| !alerts.is_empty()) {
            let alerts: Vec<String> = alerts.iter().map(|alert| code(&alert.value)).collect();
            blocks.push(format!("{} {}", self.say("Alertes :", "Alerts:"), alerts.join(", ")));
        }
        blocks.extend(self.links(known, runbook.links.as_deref()));
        let rows = [
            self.say("Commencé le, à", "Begun on, at"),
            self.say("Par", "By"),
            self.say("Motif, ticket", "Reason, ticket"),
        ];
        let rows = rows.map(|row| format!("| {row} | {BLANK} |"));
        blocks.push(format!("| | |\n|---|---|\n{}", rows.join("\n")));
        blocks
    }

    /// What has to be known, and whom to ask.
    fn beforehand(&self, known: &Known) -> Vec<String> {
        let mut blocks = Vec::new();
        let mut part = |title: &str, rows: Vec<String>| {
            if !rows.is_empty() {
                blocks.push(format!("## {title}"));
                blocks.push(rows.join("\n"));
            }
        };
        part(self.say("Ce qu'il faut savoir", "What has to be known"), self.inputs_table(known));
        part(self.say("Variables", "Variables"), self.vars_table(known));
        part(self.say("Secrets, jamais sur cette feuille", "Secrets, never on this sheet"), self.secrets());
        part(self.say("Qui peut répondre", "Who may answer"), self.roles());
        let locks = self.document.runbook.locks();
        let locks = locks.map(|lock| format!("- [ ] {}", code(&known.plain(&lock.value))));
        part(
            self.say("Personne d'autre n'y travaille en ce moment", "Nobody else is at work on it"),
            locks.collect(),
        );
        let windows = self.document.runbook.windows.iter().flatten();
        let windows = windows.map(|window| {
            let title = window.title.as_ref().map(|title| format!("{}: ", known.line(title)));
            let (cron, zone) = (code(&window.cron.value), &window.zone.value);
            format!("- {}{cron} {zone}, {}", title.unwrap_or_default(), step::duration(window.r#for.value))
        });
        part(self.say("Quand c'est permis", "When it may be done"), windows.collect());
        blocks
    }

    /// Pages to look at, whole: on paper nothing can be followed.
    fn links(&self, known: &Known, links: Option<&[LinkDecl]>) -> Option<String> {
        let line = |link: &LinkDecl| {
            let title = link.title.as_ref().map(|title| format!("{}: ", known.line(title)));
            format!("→ {}{}", title.unwrap_or_default(), code(&known.address(&link.url.value)))
        };
        let lines: Vec<String> = links?.iter().map(line).collect();
        (!lines.is_empty()).then(|| lines.join("\\\n"))
    }

    fn inputs_table(&self, known: &Known) -> Vec<String> {
        let mut rows = Vec::new();
        for (name, decl) in self.document.runbook.inputs.iter().flat_map(Entries::iter) {
            let title = decl.title.as_ref().map(|title| known.line(title)).unwrap_or_default();
            let secret = decl.class == Some(Class::Secret);
            let value = known.inputs.get(&name.value).filter(|_| !secret);
            let value = value.map_or_else(|| BLANK.to_owned(), |value| code(&shown(value)));
            let mut wanted = code(&inputs::wanted(decl));
            if let Some(default) = decl.default.as_ref().filter(|_| !secret) {
                let word = self.say("sinon", "else");
                wanted.push_str(&format!(", {word} {}", code(&shown(&default.value.literal()))));
            }
            rows.push(row(&[&code(&name.value), &title, &wanted, &value]));
        }
        let head = self.say(
            "| Nom | Quoi | Forme | Valeur |\n|---|---|---|---|",
            "| Name | What | Form | Value |\n|---|---|---|---|",
        );
        table(head, rows)
    }

    fn vars_table(&self, known: &Known) -> Vec<String> {
        let rows = self.vars().into_iter().map(|(name, data)| {
            let value = data.map_or_else(|| BLANK.to_owned(), |data| code(&shown(&known.json(data))));
            row(&[&code(name), &value])
        });
        table(self.say("| Nom | Valeur |\n|---|---|", "| Name | Value |\n|---|---|"), rows.collect())
    }

    fn secrets(&self) -> Vec<String> {
        let given = |name: &str| {
            let secrets = self.environment.and_then(|environment| environment.decl.secrets.as_ref());
            secrets.and_then(|secrets| secrets.get(name))
        };
        let declared = self.document.runbook.secrets.iter().flat_map(Entries::iter);
        declared
            .map(|(name, own)| {
                let source = self.source(given(&name.value).unwrap_or(own));
                format!("- {}: {source}", code(&format!("<secret {}>", name.value)))
            })
            .collect()
    }

    fn source(&self, secret: &SecretDecl) -> String {
        if let Some(name) = &secret.env {
            return format!(
                "{} {}",
                self.say("variable d'environnement", "environment variable"),
                code(&name.value)
            );
        }
        if let Some(file) = &secret.file {
            return format!("{} {}", self.say("fichier", "file"), code(file.value.source()));
        }
        if let Some(command) = &secret.command {
            let words: Vec<&str> = command.value.iter().map(|word| word.value.source()).collect();
            return format!("{} {}", self.say("imprimé par", "printed by"), code(&words.join(" ")));
        }
        self.say("demandé à qui le connaît", "asked of somebody who knows it").to_owned()
    }

    /// The people of the roles that steps name.
    fn roles(&self) -> Vec<String> {
        let Some(environment) = self.environment else { return Vec::new() };
        let mut named: Vec<&str> = Vec::new();
        for step in flow::steps(&self.document.runbook) {
            let approve = step
                .approve
                .iter()
                .flat_map(|approve| approve.roles.value.iter().chain(approve.escalate_to.iter().flatten()));
            let by = step.by.iter().flat_map(|by| by.roles.iter().flatten());
            named.extend(approve.chain(by).map(|role| role.value.as_str()));
        }
        named.sort_unstable();
        named.dedup();
        let rows = named.into_iter().map(|role| {
            let people: Vec<&str> = environment
                .role(role)
                .unwrap_or_default()
                .iter()
                .map(|person| person.value.as_str())
                .collect();
            format!("- `{role}`: {}", people.join(", "))
        });
        rows.collect()
    }

    fn foot(&self) -> Vec<String> {
        let mut blocks = vec![format!("## {}", self.say("Clôture", "Closing"))];
        let toggles: Vec<String> = flow::steps(&self.document.runbook)
            .enumerate()
            .filter(|(_, step)| step.put_back.is_some())
            .map(|(at, _)| match self.french {
                true => format!(
                    "- [ ] Ce qu'a basculé l'étape {} est remis en place, ou laissé par décision de {BLANK}",
                    at + 1
                ),
                false => {
                    format!("- [ ] What step {} switched is put back, or left by decision of {BLANK}", at + 1)
                }
            })
            .collect();
        if !toggles.is_empty() {
            blocks.push(toggles.join("\n"));
        }
        let rows = [
            self.say(
                "Issue (réussi, échoué, refusé, abandonné)",
                "Outcome (succeeded, failed, refused, called off)",
            ),
            self.say("Ce qui s'est passé autrement que prévu", "What went otherwise than planned"),
            self.say(
                "Ce qui reste ouvert, qui s'en occupe, jusqu'à quand",
                "What is still open, who looks after it, until when",
            ),
            self.say("Terminé le, à", "Ended on, at"),
            self.say("Nom et signature", "Name and signature"),
            self.say("Relu par, signature", "Reviewed by, signature"),
        ];
        let rows = rows.map(|row| format!("| {row} | {BLANK} |"));
        blocks.push(format!("| | |\n|---|---|\n{}", rows.join("\n")));
        blocks
    }

    /// The number of a step, as people refer to it.
    fn number(&self, known: &Known, step: &Step) -> usize {
        known.numbers.get(step.name()).copied().unwrap_or_default()
    }
}

/// Data without any expression.
fn constant(data: &Data) -> Option<Value> {
    let mut templates = Vec::new();
    data.templates(&mut templates);
    let open = templates.iter().any(|template| template.value.refs().next().is_some());
    (!open).then(|| Known::default().json(data))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A row of a table.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
    format!("| {} |", cells.join(" | "))
}

fn table(head: &str, rows: Vec<String>) -> Vec<String> {
    if rows.is_empty() { rows } else { std::iter::once(head.to_owned()).chain(rows).collect() }
}

#[cfg(test)]
mod tests;
