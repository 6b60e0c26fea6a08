//! `consigne runbooks`: the runbooks that there are, with the last rehearsal, drill and live run, and the day of review.

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::args::{Lang, RunbooksArgs};
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::past::Past;
use super::sheet::duration;
use super::shelf::Shelf;
use super::ui::Ui;
use crate::clock::Timestamp;
use crate::plan::Mode;
use crate::runbook::catalogue::{Card, Found, names};

pub(super) fn runbooks(args: &RunbooksArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let french = drive::locale() == Lang::Fr;
    let home = Home::find(args.runs.as_deref())?;
    let shelf = Shelf::find(&args.dir);
    let (past, damage) = match Past::of(&home) {
        Ok(past) => (past, None),
        Err(error) => (Past::default(), Some(error)),
    };
    let listing = Listing { shelf: &shelf, past: &past, french, today: today(), now: drive::clock().now() };
    let chosen: Vec<&Found> =
        shelf.catalogue.found.iter().filter(|found| found.matches(&args.words)).collect();
    for found in &chosen {
        if args.json {
            ui.json(&listing.json(found));
        } else {
            listing.lines(found, chosen.len() == 1).iter().for_each(|line| ui.line(line));
        }
    }
    for gap in &shelf.catalogue.gaps {
        if args.json {
            ui.json(&json!({"gap": gap.to_string()}));
        } else {
            ui.say(&format!("warning: {gap}"));
        }
    }
    if chosen.is_empty() && !args.json {
        let places = shelf.places(french);
        ui.say(&match (french, shelf.catalogue.found.is_empty()) {
            (true, true) => format!("aucun runbook ({places})"),
            (false, true) => format!("no runbooks ({places})"),
            (true, false) => format!("aucun des runbooks ne dit « {} »", args.words.join(" ")),
            (false, false) => format!("none of the runbooks says \"{}\"", args.words.join(" ")),
        });
        ui.hint("`--dir DIR`, or CONSIGNE_RUNBOOKS, says where to look");
    }
    match damage {
        Some(error) => Err(error.hint("the dates of the last runs are in it")),
        None => Ok(Exit::Done),
    }
}

pub(super) fn today() -> NaiveDate {
    let now = drive::clock().now().to_string();
    now.split('T').next().and_then(|day| day.parse().ok()).unwrap_or_default()
}

/// How runbooks are shown.
pub(super) struct Listing<'a> {
    pub shelf: &'a Shelf,
    pub past: &'a Past,
    pub french: bool,
    pub today: NaiveDate,
    pub now: Timestamp,
}

impl Listing<'_> {
    fn word(&self, fr: &'static str, en: &'static str) -> &'static str {
        if self.french { fr } else { en }
    }

    fn lang(&self) -> &'static str {
        self.word("fr", "en")
    }

    /// A runbook in a few lines; with `whole`, in all that it says of itself.
    fn lines(&self, found: &Found, whole: bool) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(card) = &found.card {
            let title = card.title.in_lang(self.lang()).unwrap_or_default();
            lines.push(format!("{:<20} {title}", card.id).trim_end().to_owned());
            lines.push(format!("    {}", self.facts(found, true)));
            if whole {
                let description = card.description.in_lang(self.lang()).unwrap_or_default();
                let filled = textwrap::wrap(description.trim(), 74);
                lines.extend(filled.iter().filter(|line| !line.is_empty()).map(|line| format!("    {line}")));
                if !card.owners.is_empty() {
                    lines.push(format!(
                        "    {} {}",
                        self.word("confié à", "looked after by"),
                        card.owners.join(", ")
                    ));
                }
                lines.extend(self.beside(card));
            }
        }
        let path = found.path.display();
        if whole || found.card.is_none() {
            lines.push(if found.card.is_none() { path.to_string() } else { format!("    {path}") });
        }
        if let Some(first) = found.problems.first() {
            let wrong = self.word("ne se lit pas :", "cannot be read:");
            let at = first.at.as_ref().map(|at| at.source.position(at.span.start).0);
            let at = at.map(|line| format!(" ({} {line})", self.word("ligne", "line"))).unwrap_or_default();
            lines.push(format!("    {wrong} {}{at}", first.message));
            lines.push(format!("    consigne check {path}"));
        }
        for other in self.shelf.catalogue.namesakes(found) {
            let same = self.word("a le même nom que", "has the same id as");
            lines.push(format!("    {path} {same} {}", other.path.display()));
        }
        lines
    }

    /// What it answers, how long it takes, where more is to be read, what was changed.
    fn beside(&self, card: &Card) -> Vec<String> {
        let mut lines = Vec::new();
        if !card.alerts.is_empty() {
            lines.push(format!("    {} {}", self.word("répond à", "answers"), card.alerts.join(", ")));
        }
        if let Some(estimate) = card.estimate {
            let word = self.word("ses étapes prennent d'habitude", "its steps usually take");
            lines.push(format!("    {word} {}", duration(estimate)));
        }
        for (title, url) in &card.links {
            let title = title.in_lang(self.lang()).map(|title| format!("{title}: ")).unwrap_or_default();
            lines.push(format!("    → {title}{url}"));
        }
        for change in &card.changelog {
            let by = change.by.as_ref().map(|by| format!(" ({by})")).unwrap_or_default();
            let text = change.text.in_lang(self.lang()).unwrap_or_default();
            let text = format!("{}{by}: {}", change.date.0, text.trim());
            let options = textwrap::Options::new(78).initial_indent("    ").subsequent_indent("      ");
            lines.extend(textwrap::wrap(&text, options).iter().map(ToString::to_string));
        }
        lines
    }

    /// Category, drill, live run, review.
    pub(super) fn facts(&self, found: &Found, category: bool) -> String {
        let Some(card) = &found.card else { return String::new() };
        let mut facts = Vec::new();
        let category = card.category.filter(|_| category).map(names);
        facts.extend(category.map(|[fr, en]| self.word(fr, en).to_owned()));
        if let Some(last) = self.past.last(&card.id, Mode::Rehearsal) {
            let shown = last.shown(self.french, self.now);
            facts.push(format!("{} {shown}", self.word("répétition", "rehearsal")));
        }
        facts.push(match self.past.last(&card.id, Mode::Drill) {
            Some(last) => format!("{} {}", self.word("exercice", "drill"), last.shown(self.french, self.now)),
            None => self.word("jamais exercé", "never drilled").to_owned(),
        });
        if let Some(last) = self.past.last(&card.id, Mode::Live) {
            facts.push(format!("{} {}", self.word("réel", "live"), last.shown(self.french, self.now)));
        }
        if let Some(review) = card.review_by {
            let overdue = review.0 < self.today;
            let word = match overdue {
                true => self.word("À RELIRE DEPUIS LE", "REVIEW OVERDUE SINCE"),
                false => self.word("à relire avant le", "review by"),
            };
            facts.push(format!("{word} {}", review.0));
        }
        let window = super::window::standing(&super::window::written(&card.windows), self.now, self.french);
        facts.extend(window.map(|line| format!("{} {line}", self.word("fenêtre", "window"))));
        facts.join(" · ")
    }

    /// A runbook for scripts.
    pub(super) fn json(&self, found: &Found) -> Value {
        let card = found.card.as_ref();
        let last = |mode| card.and_then(|card| self.past.last(&card.id, mode)).map(super::past::Last::json);
        let problems: Vec<Value> = found.problems.iter().map(crate::diag::to_json).collect();
        let namesakes: Vec<_> = self.shelf.catalogue.namesakes(found).map(|other| &other.path).collect();
        json!({
            "id": card.map(|card| &card.id),
            "path": found.path,
            "title": card.map(|card| json!({"fr": card.title.fr, "en": card.title.en})),
            "description": card.map(|card| json!({"fr": card.description.fr, "en": card.description.en})),
            "category": card.and_then(|card| card.category).map(crate::runbook::schema::Category::name),
            "owners": card.map(|card| &card.owners),
            "review_by": card.and_then(|card| card.review_by).map(|day| day.0.to_string()),
            "windows": card.map(|card| card.windows.iter().map(|window| json!({
                "cron": window.cron.value,
                "zone": window.zone.value,
                "for_ms": window.r#for.value.0,
            })).collect::<Vec<_>>()),
            "overdue": card.and_then(|card| card.review_by).is_some_and(|day| day.0 < self.today),
            "alerts": card.map(|card| &card.alerts),
            "links": card.map(|card| card.links.iter().map(|(title, url)| {
                json!({"url": url, "title": {"fr": title.fr, "en": title.en}})
            }).collect::<Vec<_>>()),
            "changelog": card.map(|card| card.changelog.iter().map(|change| json!({
                "date": change.date.0.to_string(),
                "by": change.by,
                "text": {"fr": change.text.fr, "en": change.text.en},
            })).collect::<Vec<_>>()),
            "estimate_ms": card.and_then(|card| card.estimate),
            "last_drill": last(Mode::Drill),
            "last_run": last(Mode::Live),
            "last_rehearsal": last(Mode::Rehearsal),
            "problems": problems,
            "same_id": namesakes,
        })
    }
}
