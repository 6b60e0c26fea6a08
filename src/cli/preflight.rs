//! `consigne preflight`: whether what a run needs is here. What could not be checked is said, and never counts as there.

use std::path::Path;

use super::args::{Lang, ModeChoice, PreflightArgs};
use super::chosen::{Chosen, invalid};
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use super::{drive, plan};
use crate::engine::preflight::{About, Finding, Look, Verdict};
use crate::operator::request::harmless;
use crate::plan::{Mode, service};
use crate::runner::{Inherited, Secrets};

/// Name and version of the JSON.
const FORMAT: &str = "consigne.preflight/v1";

pub(super) fn preflight(args: &PreflightArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let asked = args.mode.map(|mode| match mode {
        ModeChoice::Live => Mode::Live,
        ModeChoice::Drill => Mode::Drill,
    });
    let mode = plan::mode(&args.choice, asked)?;
    let practise = |error| plan::or_practise(error, &args.choice, mode);
    let chosen = Chosen::of_any_inputs(&args.choice, mode, ui).map_err(practise)?;
    let services = plan::undecided(&chosen);
    let plan = chosen.plan(&services).map_err(practise)?;
    let started = match chosen.environment.as_ref().filter(|_| chosen.mode == Mode::Drill) {
        Some(environment) => service::services(environment, &services).map_err(invalid)?,
        None => Vec::new(),
    };
    let folder =
        chosen.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base_dir = std::fs::canonicalize(folder)
        .map_err(|error| CliError::file(Exit::Invalid, "find the folder of", &chosen.file, &error))?;
    let inherited = Inherited::snapshot(&plan.values.env_inherit);
    let secrets = Secrets::new(plan.values.secrets.clone(), &base_dir, inherited, None);
    let clock = drive::clock();
    let look = Look {
        plan: &plan,
        services: &started,
        secrets: &secrets,
        frozen: &chosen.frozen(),
        home: &home.root,
        runs: &home.runs,
        clock: clock.as_ref(),
    };
    let findings = super::runtime()?.block_on(look.around());
    let missing = findings.iter().any(|finding| finding.verdict == Verdict::Missing);
    if args.json {
        ui.json(&serde_json::json!({
            "format": FORMAT,
            "runbook": plan.graph.runbook,
            "mode": plan.graph.mode,
            "environment": plan.graph.environment,
            "ok": !missing,
            "findings": findings,
        }));
    } else {
        let lang = drive::spoken(args.lang);
        findings.iter().for_each(|finding| ui.listed("", &line(finding, lang)));
        ui.data(&summary(&findings, lang));
    }
    Ok(if missing { Exit::Invalid } else { Exit::Done })
}

fn line(finding: &Finding, lang: Lang) -> String {
    let about = match finding.about {
        About::Program => lang.pick("programme", "program"),
        About::Secret => "secret",
        About::Target => lang.pick("cible", "target"),
        About::Host => lang.pick("hôte", "host"),
        About::Gate => lang.pick("porte", "gate"),
        About::Certificate => lang.pick("certificat", "certif."),
        About::Signer => lang.pick("signataire", "signer"),
        About::Key => lang.pick("clé", "key"),
        About::Folder => lang.pick("dossier", "folder"),
        About::Clock => lang.pick("horloge", "clock"),
        About::Context => lang.pick("contexte", "context"),
        About::Variable => "variable",
    };
    let detail = finding.detail.in_lang(lang.code()).map(|detail| harmless(detail).replace('\n', " "));
    let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{:<11} {about:<10} {}{detail}", word(finding.verdict, lang), harmless(&finding.name))
}

const fn word(verdict: Verdict, lang: Lang) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Missing => lang.pick("MANQUE", "MISSING"),
        Verdict::NotChecked => lang.pick("non vérifié", "not checked"),
    }
}

fn summary(findings: &[Finding], lang: Lang) -> String {
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let told = [Verdict::Ok, Verdict::Missing, Verdict::NotChecked]
        .map(|verdict| format!("{} {}", count(verdict), word(verdict, lang).to_lowercase()));
    told.join(", ")
}
