//! `consigne` alone: what waits for whoever types it, what is switched or unknown, what stands still, and the
//! runbooks. Whoever has nothing yet reads what to type next.

use serde_json::json;

use super::args::{Cli, Lang};
use super::drive;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::overview::{About, Going, Open, Overview, Toggle, ToggleState, text};
use super::past::Past;
use super::runbooks::{Listing, today};
use super::shelf::Shelf;
use super::ui::Ui;
use crate::clock::Timestamp;
use crate::core::AskKind;
use crate::engine::identity;
use crate::plan::Mode;
use crate::runbook::catalogue::Found;

/// Runbooks that are shown; more are found by words.
const MOST_RUNBOOKS: usize = 12;

pub(super) fn first(args: &Cli) -> Result<Exit, CliError> {
    let ui = Ui::new(args.json);
    let home = Home::find(args.runs.as_deref())?;
    let overview = Overview::of(&home)?;
    let shelf = Shelf::find(&[]);
    let (past, damage) = match Past::of(&home) {
        Ok(past) => (past, None),
        Err(error) => (Past::default(), Some(error)),
    };
    let french = drive::locale() == Lang::Fr;
    let listing =
        Listing { shelf: &shelf, past: &past, french, today: today(), now: super::drive::clock().now() };
    if args.json {
        let mut value = overview.json();
        value["user"] = json!(identity::os_user());
        value["runbooks"] = shelf.catalogue.found.iter().map(|found| listing.json(found)).collect();
        value["gaps"] = shelf.catalogue.gaps.iter().map(|gap| json!(gap.to_string())).collect();
        ui.json(&value);
    } else {
        Screen { ui, french, now: drive::clock().now() }.show(&overview, &listing, &home);
    }
    damage.map_or_else(|| Ok(overview.exit()), Err)
}

struct Screen {
    ui: Ui,
    french: bool,
    now: Timestamp,
}

impl Screen {
    fn word(&self, fr: &'static str, en: &'static str) -> &'static str {
        if self.french { fr } else { en }
    }

    fn show(&self, overview: &Overview, listing: &Listing<'_>, home: &Home) {
        let own = |open: &&Open| !matches!(open.question.kind, AskKind::Unknown | AskKind::PutBack);
        let questions: Vec<&Open> = overview.questions.iter().filter(own).collect();
        let (mine, others): (Vec<&Open>, Vec<&Open>) = questions.into_iter().partition(|open| open.mine);
        self.section(self.word("ATTEND VOTRE RÉPONSE", "WAITS FOR YOU"), &mine, |open| self.question(open));
        self.section(self.word("ATTEND QUELQU'UN D'AUTRE", "WAITS FOR OTHERS"), &others, |open| {
            self.question(open)
        });
        let toggles: Vec<&Toggle> = overview.toggles.iter().collect();
        self.section(self.word("ENCORE BASCULÉ", "OPEN TOGGLES"), &toggles, |toggle| self.toggle(toggle));
        let unknown: Vec<_> = overview.unknown.iter().collect();
        self.section(self.word("ISSUE INCONNUE", "UNKNOWN OUTCOMES"), &unknown, |unknown| {
            let reason = unknown.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let head = self.head(&unknown.run, &format!("{}{reason}", unknown.step));
            [Some(head), unknown.answer.as_ref().map(|answer| format!("    {answer}"))]
                .into_iter()
                .flatten()
                .collect()
        });
        let runs: Vec<&Going> = overview.runs.iter().collect();
        self.section(self.word("EN SUSPENS", "RUNS"), &runs, |going| self.going(going));
        self.section(
            self.word("ILLISIBLE", "CANNOT BE READ"),
            &overview.unreadable.iter().collect::<Vec<_>>(),
            |(id, error)| vec![format!("  {id}  {}", error.message)],
        );
        let quiet = overview.runs.is_empty() && overview.toggles.is_empty() && overview.unreadable.is_empty();
        if quiet {
            let user = identity::os_user();
            self.ui.line(&match self.french {
                true => format!("Rien n'attend personne ({user}, {})", home.runs.display()),
                false => format!("Nothing waits for anybody ({user}, {})", home.runs.display()),
            });
            self.ui.data("");
        }
        if listing.shelf.catalogue.found.is_empty() {
            self.beginner(listing.shelf);
        } else {
            self.runbooks(listing, quiet);
        }
        for gap in &listing.shelf.catalogue.gaps {
            self.ui.say(&format!("warning: {gap}"));
        }
    }

    /// A heading and what stands below it, if anything does.
    fn section<T>(&self, heading: &str, all: &[&T], lines: impl Fn(&T) -> Vec<String>) {
        if all.is_empty() {
            return;
        }
        self.ui.heading(heading);
        all.iter().flat_map(|one| lines(one)).for_each(|line| self.ui.line(&line));
        self.ui.data("");
    }

    /// A line that says of which run it is, and what. What is no drill is said aloud.
    fn head(&self, run: &About, what: &str) -> String {
        let mode = match run.mode {
            Mode::Live => self.word("RÉEL ", "LIVE "),
            Mode::Rehearsal => self.word("répétition : ", "rehearsal: "),
            Mode::Drill => "",
        };
        let title = if run.title.is_empty() { &run.runbook } else { &run.title };
        format!("  {mode}{title} · {what}")
    }

    fn question(&self, open: &Open) -> Vec<String> {
        let question = &open.question;
        let until =
            question.expires.map(|at| format!(", {} {}", self.word("jusqu'à", "until"), self.minute(at)));
        let what = format!("{} · {}{}", question.step, question.called(), until.unwrap_or_default());
        let mut lines = vec![self.head(&open.run, &what)];
        let asked = text(question);
        let asked = textwrap::wrap(asked, 76).into_iter().filter(|line| !line.is_empty());
        lines.extend(asked.map(|line| format!("    {line}")));
        if open.mine {
            lines.push(format!("    {}", open.answer));
        } else {
            let who = if question.who.people.is_empty() {
                self.word("personne ne le peut", "nobody may").to_owned()
            } else {
                question.who.people.join(", ")
            };
            let may = self.word("peut répondre :", "may answer:");
            lines.push(format!("    consigne show {}   {may} {who}", open.run.name));
        }
        lines
    }

    fn toggle(&self, toggle: &Toggle) -> Vec<String> {
        let state = match toggle.state {
            ToggleState::Undecided => self.word("personne n'a décidé", "nobody has decided").to_owned(),
            ToggleState::Failed => self.word("n'a pas pu être défait", "could not be taken back").to_owned(),
            ToggleState::LeftOpen => {
                let left = self.word("laissé ainsi", "left so");
                match toggle.review_at {
                    Some(at) if at <= self.now => {
                        format!(
                            "{left}, {} {}",
                            self.word("À REVOIR DEPUIS", "REVIEW OVERDUE SINCE"),
                            self.minute(at)
                        )
                    }
                    Some(at) => {
                        format!("{left}, {} {}", self.word("à revoir le", "to be reviewed"), self.minute(at))
                    }
                    None => left.to_owned(),
                }
            }
        };
        let mut lines = vec![self.head(&toggle.run, &format!("{} · {state}", toggle.step))];
        let command = toggle.answer.clone().unwrap_or_else(|| format!("consigne show {}", toggle.run.name));
        lines.push(format!("    {command}"));
        lines
    }

    fn going(&self, going: &Going) -> Vec<String> {
        let standing = match (going.driven, going.standing) {
            (true, _) => self.word("un processus s'en occupe", "driven by a process"),
            (false, "interrupted") => self.word("interrompu", "interrupted"),
            (false, "paused") => self.word("en pause", "paused"),
            (false, super::waiting::UNSEALED) => self.word("dossier incomplet", "record not complete"),
            (false, other) => other,
        };
        let mut what = standing.to_owned();
        if let Some((step, at)) = &going.until {
            what.push_str(&format!(", {step} {} {}", self.word("attend", "waits until"), self.minute(*at)));
        }
        let command = going.next().unwrap_or_else(|| format!("consigne show {}", going.run.name));
        vec![self.head(&going.run, &what), format!("    {command}")]
    }

    fn runbooks(&self, listing: &Listing<'_>, quiet: bool) {
        let found = &listing.shelf.catalogue.found;
        self.ui.heading("RUNBOOKS");
        let lang = self.word("fr", "en");
        let width =
            found.iter().filter_map(Found::id).map(|id| id.chars().count()).max().unwrap_or(0).min(32);
        for found in found.iter().take(MOST_RUNBOOKS) {
            match &found.card {
                Some(card) => {
                    let title = card.title.in_lang(lang).unwrap_or_default();
                    self.ui.line(format!("  {:<width$}  {title}", card.id).trim_end());
                    self.ui.line(&format!("    {}", listing.facts(found, false)));
                }
                None => {
                    let wrong = self.word("ne se lit pas", "cannot be read");
                    self.ui.line(&format!("  {}  {wrong}", found.path.display()));
                }
            }
        }
        if let Some(more) = found.len().checked_sub(MOST_RUNBOOKS).filter(|more| *more > 0) {
            self.ui.data(&match self.french {
                true => format!("  … et {more} autres : consigne runbooks [MOTS]"),
                false => format!("  … and {more} more: consigne runbooks [WORDS]"),
            });
        }
        self.ui.data("");
        let id = found.iter().find_map(Found::id).unwrap_or("ID");
        if quiet {
            self.steps(&[
                (
                    format!("consigne drill {id}"),
                    self.word("s'exercer, sans danger", "practise, nothing real"),
                ),
                (format!("consigne run {id}"), self.word("pour de vrai", "for real")),
            ]);
        }
        self.steps(&[
            ("consigne runbooks WORDS".to_owned(), self.word("chercher un runbook", "search the runbooks")),
            ("consigne --help".to_owned(), self.word("toutes les commandes", "every command")),
        ]);
    }

    /// What to type first.
    fn beginner(&self, shelf: &Shelf) {
        let places = shelf.places(self.french);
        self.ui.line(&match self.french {
            true => format!("Aucun runbook ({places})."),
            false => format!("No runbooks ({places})."),
        });
        self.ui.data("");
        self.steps(&[
            ("consigne new ID".to_owned(), self.word("écrire un premier runbook", "write a first runbook")),
            (
                "consigne drill FILE".to_owned(),
                self.word("en exercer un, sans danger", "practise one, nothing real"),
            ),
            (
                "export CONSIGNE_RUNBOOKS=DIR".to_owned(),
                self.word("dire où sont les vôtres", "say where yours are"),
            ),
            ("consigne --help".to_owned(), self.word("toutes les commandes", "every command")),
        ]);
    }

    /// Commands, and what they are for.
    fn steps(&self, steps: &[(String, &str)]) {
        for (command, what) in steps {
            self.ui.line(&format!("  {command:<36}  {what}"));
        }
    }

    /// A moment, as far as people want to know it.
    fn minute(&self, at: Timestamp) -> String {
        let (text, now) = (at.to_string(), self.now.to_string());
        match text.split_once('T') {
            Some((day, time)) => {
                let time = time.get(..5).unwrap_or(time);
                if now.starts_with(day) { format!("{time} UTC") } else { format!("{day} {time} UTC") }
            }
            None => text,
        }
    }
}
