//! Certificates of rehearsals as people meet them: what one says, whether it counts, and how a plan stands.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::args::{Lang, VerifyArgs};
use super::certify::today;
use super::chosen::frozen_runbook;
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::shelf;
use super::ui::Ui;
use crate::clock::Timestamp;
use crate::engine::certified::{self, NotCertified};
use crate::operator::one_line;
use crate::plan::{Mode, Plan, digest};
use crate::record::certificate::{Certificate, Counted, Read, Refusal, files_of};
use crate::record::trust::Trust;

/// `consigne verify FILE`, where the file is a certificate.
pub(super) fn verify(args: &VerifyArgs, file: &Path) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    if args.as_mode.is_some() {
        let message = format!("{} is a file: a certificate is of no mode", file.display());
        return Err(CliError::new(Exit::Usage, message));
    }
    let home = Home::find(args.runs.as_deref())?;
    let folder = args.trust.clone().unwrap_or_else(|| home.root.join("trust"));
    let trust = Trust::load(&folder).map_err(|error| {
        CliError::new(Exit::Damaged, error.to_string())
            .hint("give the folder of the keys you trust with --trust DIR")
    })?;
    let bytes =
        Certificate::bytes_of(file).map_err(|error| CliError::file(Exit::Damaged, "read", file, &error))?;
    let expected = match &args.runbook {
        None => None,
        Some(named) => {
            let document = today(&shelf::located(named)?)?;
            let files = files_of(&digest::digests(&frozen_runbook(&document)));
            Some((document.runbook.id.value.clone(), files))
        }
    };
    let now = drive::clock().now();
    let read = Certificate::read(&bytes, &trust, now);
    let refusal = match &read {
        Ok(read) => judged(read, expected.as_ref(), now).err(),
        Err(refusal) => Some(refusal.clone()),
    };
    told(args, ui, read.ok(), refusal.as_ref());
    Ok(if refusal.is_none() { Exit::Done } else { Exit::Damaged })
}

type Version = (String, BTreeMap<String, String>);

fn judged(read: &Read, expected: Option<&Version>, now: Timestamp) -> Result<(), Refusal> {
    if let Some((runbook, files)) = expected {
        read.is_for(runbook, files)?;
    }
    read.certificate.is_current(now)
}

/// What it says, as far as somebody signed it who is trusted, and the verdict.
fn told(args: &VerifyArgs, ui: Ui, read: Option<Read>, refusal: Option<&Refusal>) {
    if args.json {
        let (certificate, files) = read.map(|read| (read.certificate, read.files)).unzip();
        let refused = refusal.map(ToString::to_string);
        ui.json(&json!({
            "ok": refusal.is_none(), "refused": refused, "certificate": certificate, "files": files,
        }));
        return;
    }
    for line in read.iter().flat_map(|read| lines(&read.certificate, drive::spoken(None))) {
        ui.data(&line);
    }
    ui.data(&match refusal {
        None => "VERIFIED as a rehearsal certificate".to_owned(),
        Some(refusal) => format!("NOT VERIFIED: {}", one_line(&refusal.to_string())),
    });
}

/// What a certificate says, a line each.
pub(super) fn lines(certificate: &Certificate, lang: Lang) -> Vec<String> {
    let Certificate { runbook, digest, issuer, issued_on, expires_on, rehearsal, .. } = certificate;
    let Certificate { proof, answered, coverage, .. } = certificate;
    let pick = |fr, en| lang.pick(fr, en);
    let counts = |map: &BTreeMap<String, u64>| {
        map.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
    };
    let listed = |list: &[String]| {
        if list.is_empty() { pick("rien", "nothing").to_owned() } else { list.join(", ") }
    };
    let people = answered.iter().map(|one| {
        let how = serde_json::to_value(one.how).unwrap_or_default();
        let played = one.played_by.as_ref().map(|by| format!(", {by}")).unwrap_or_default();
        format!("{} ({}{played}) {}", one.who, how.as_str().unwrap_or_default(), one.answers)
    });
    let people = people.collect::<Vec<_>>();
    let environment = rehearsal.environment.as_deref().unwrap_or("-");
    let not_done = proof.not_done.iter().map(|(step, status)| format!("{step} ({status})"));
    let entries = [
        ("runbook", "runbook", format!("{runbook} {digest}")),
        ("répétition", "rehearsal", format!("{}, {environment}, {}", rehearsal.run, rehearsal.on)),
        ("racine", "root", format!("{} {}", rehearsal.lines, rehearsal.root)),
        ("issue", "ending", proof.ending.clone()),
        ("réponses", "answers", counts(&proof.answers)),
        ("inventé", "made up", listed(&proof.made_up)),
        ("pannes", "faults", listed(&proof.faults)),
        ("non fait", "not done", listed(&not_done.collect::<Vec<_>>())),
        ("personnes", "people", listed(&people)),
        (
            "parcouru",
            "walked",
            format!(
                "{} / {}, {} %, {} {}",
                coverage.walked,
                coverage.edges,
                coverage.percent,
                coverage.by_rehearsal,
                pick("par cette répétition", "by this rehearsal")
            ),
        ),
        ("compté", "counted", counted(&coverage.runs)),
        ("signé", "signed", format!("{} ({}), {issued_on}", issuer.principal, issuer.org)),
        ("jusqu'au", "until", expires_on.to_string()),
    ];
    entries.into_iter().map(|(fr, en, text)| format!("{:<11} {}", pick(fr, en), one_line(&text))).collect()
}

/// The runs whose ways count, kind by kind, as whoever signs has to stand for them.
fn counted(runs: &[Counted]) -> String {
    let of_mode = |mode: Mode| {
        let ids = runs.iter().filter(|run| run.mode == mode).map(|run| run.run.as_str());
        let ids = ids.collect::<Vec<_>>();
        (!ids.is_empty()).then(|| format!("{} {}", mode.name(), ids.join(", ")))
    };
    let all = [Mode::Live, Mode::Drill, Mode::Rehearsal].into_iter().filter_map(of_mode);
    all.collect::<Vec<_>>().join("; ")
}

/// How a plan stands that needs one, in one line. None where it needs none.
pub(super) fn standing(
    plan: &Plan,
    frozen: &BTreeMap<String, Vec<u8>>,
    now: Timestamp,
    lang: Lang,
) -> Result<Option<String>, CliError> {
    if plan.graph.certificate.is_none() {
        return Ok(None);
    }
    let home = Home::find(None)?;
    Ok(match certified::standing(plan, frozen, &home.root, now) {
        Ok(None) => None,
        // What it names and what it says may come from anywhere.
        Ok(Some(standing)) => certified::told(&standing).in_lang(lang.code()).map(|text| one_line(text)),
        Err(error) => Some(one_line(&error.to_string())),
    })
}

/// A run that may not begin, and what to do about it.
pub(super) fn not_certified(error: &NotCertified) -> CliError {
    let cli = CliError::new(Exit::Invalid, error.to_string());
    match error {
        NotCertified::Missing { .. } | NotCertified::Refused { .. } => cli
            .hint("consigne rehearse FILE, and `consigne certify RUN` makes one of the rehearsal")
            .hint("nothing was started"),
        NotCertified::Key(_) | NotCertified::Trust(_) | NotCertified::Journal(_) => {
            cli.hint("nothing was started")
        }
    }
}
