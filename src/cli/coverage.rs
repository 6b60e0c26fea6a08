//! `consigne check --coverage`: which ways through a runbook anybody ever walked, and how long ago. Reads the runs that
//! there are; keeps nothing.

use std::path::Path;

use serde_json::{Value, json};

use super::args::CheckArgs;
use super::drive;
use super::error::CliError;
use super::home::Home;
use super::ui::Ui;
use crate::clock::Timestamp;
use crate::diag::Span;
use crate::plan::Mode;
use crate::record::coverage::{Coverage, Edge, Evidence, Past, Seen};
use crate::runbook::lists;
use crate::runbook::load::Document;

/// Days after which practice is called old, where nobody says otherwise.
const OLD: u32 = 90;
const DAY_MS: u64 = 86_400_000;

/// What is asked about the runbooks of one command.
pub(super) struct Covering<'a> {
    args: &'a CheckArgs,
    home: Home,
    ids: Vec<String>,
    now: Timestamp,
    ui: Ui,
}

impl<'a> Covering<'a> {
    /// # Errors
    /// There is no folder of runs, or it cannot be read.
    pub(super) fn new(args: &'a CheckArgs, ui: Ui) -> Result<Self, CliError> {
        let home = Home::find(args.runs.as_deref())?;
        let ids = home.run_ids()?;
        Ok(Self { args, home, ids, now: drive::clock().now(), ui })
    }

    /// Says what was walked of a runbook, and whether that is less than was asked for.
    pub(super) fn report(&self, file: &Path, document: &Document) -> bool {
        let mut coverage = Coverage::of(document);
        for id in &self.ids {
            match Past::read_if(&self.home.runs.join(id), coverage.runbook()) {
                Ok(Some(run)) => drop(coverage.add(&run)),
                Ok(None) => {}
                // What is wrong with it is for `verify` to say.
                Err(error) => self.ui.say(&format!("warning: run {id} counts for nothing: {error}")),
            }
        }
        let old = self.is_old(&coverage);
        let few =
            self.args.min.is_some_and(|min| coverage.walked() * 100 < coverage.all() * usize::from(min));
        let places = Places::of(document);
        if self.args.json {
            self.ui.json(&self.json(file, &coverage, &places, old));
        } else {
            self.say(file, &coverage, &places, old);
        }
        few || (old && self.args.max_age.is_some())
    }

    fn max_age(&self) -> u32 {
        self.args.max_age.unwrap_or(OLD)
    }

    fn is_old(&self, coverage: &Coverage) -> bool {
        let most = u64::from(self.max_age()) * DAY_MS;
        coverage.runs.practised().is_none_or(|seen| self.now.since(seen.at) > most)
    }

    fn say(&self, file: &Path, coverage: &Coverage, places: &Places<'_>, old: bool) {
        let count = |mode: Mode| {
            let of_mode = |seen: &Evidence| seen.best().is_some_and(|(best, _)| best == mode);
            coverage.edges().filter(|(_, seen)| seen.is_some_and(of_mode)).count()
        };
        let by = [(Mode::Live, "live"), (Mode::Drill, "by drill"), (Mode::Rehearsal, "by rehearsal")];
        let by = by.map(|(mode, word)| format!("{} {word}", count(mode)));
        let (walked, all, percent) = (coverage.walked(), coverage.all(), coverage.percent());
        let (file, by) = (file.display(), by.join(", "));
        self.ui.line(&format!("{file}: {walked} of {all} edges walked, {percent} % ({by})"));
        let Evidence { live, drill, rehearsal } = &coverage.runs;
        let last = [("live", live), ("drill", drill), ("rehearsal", rehearsal)];
        let last = last.map(|(word, seen)| format!("{word} {}", self.ago(seen.as_ref())));
        self.ui.line(&format!("  last: {}", last.join(" · ")));
        if old {
            let most = self.max_age();
            self.ui.line(&format!("  OLD: nobody drilled or rehearsed it within {most} days"));
        }
        let never: Vec<&Edge> = coverage.never().collect();
        if !never.is_empty() {
            self.ui.line("  never walked:");
        }
        for edge in never {
            self.ui.line(&format!("    {}{edge} ({})", places.shown(edge), edge.way.says()));
        }
        if !self.args.all {
            return;
        }
        self.ui.line("  walked:");
        for (edge, seen) in coverage.edges() {
            if let Some((mode, best)) = seen.and_then(Evidence::best) {
                let last = self.ago(seen.and_then(Evidence::last));
                let (at, mode, run) = (places.shown(edge), mode.name(), &best.run);
                self.ui.line(&format!("    {at}{edge}: {mode} {run}, last {last}"));
            }
        }
    }

    fn ago(&self, seen: Option<&Seen>) -> String {
        match seen.map(|seen| self.now.since(seen.at) / DAY_MS) {
            None => "never".to_owned(),
            Some(0) => "today".to_owned(),
            Some(1) => "1 day ago".to_owned(),
            Some(days) => format!("{days} days ago"),
        }
    }

    fn json(&self, file: &Path, coverage: &Coverage, places: &Places<'_>, old: bool) -> Value {
        let edges: Vec<Value> = coverage
            .edges()
            .map(|(edge, seen)| {
                let place = places.of_edge(edge);
                json!({
                    "step": edge.step,
                    "way": edge.way.to_string(),
                    "says": edge.way.says(),
                    "file": place.as_ref().map(|(file, _)| file),
                    "line": place.as_ref().map(|(_, line)| line),
                    "walked": seen.map(of_all),
                    "best": seen.and_then(Evidence::best).map(|(mode, _)| mode.name()),
                    "last": seen.and_then(Evidence::last).map(|seen| seen.at),
                })
            })
            .collect();
        json!({"coverage": {
            "file": file,
            "runbook": coverage.runbook(),
            "edges": coverage.all(),
            "walked": coverage.walked(),
            "percent": coverage.percent(),
            "last": of_all(&coverage.runs),
            "old": old,
            "list": edges,
        }})
    }
}

fn of_all(evidence: &Evidence) -> Value {
    let of = |seen: &Option<Seen>| seen.as_ref().map(|seen| json!({"run": seen.run, "at": seen.at}));
    json!({
        "live": of(&evidence.live),
        "drill": of(&evidence.drill),
        "rehearsal": of(&evidence.rehearsal),
    })
}

/// Where steps and guards are written, those of used runbooks in their own file.
struct Places<'d> {
    document: &'d Document,
    spans: std::collections::BTreeMap<&'d str, Span>,
}

impl<'d> Places<'d> {
    fn of(document: &'d Document) -> Self {
        let runbook = &document.runbook;
        let steps = lists::steps(runbook).filter_map(|step| step.id.as_ref());
        let guards = runbook.guards.iter().flatten().map(|guard| &guard.id);
        let spans = steps.chain(guards).map(|id| (id.value.as_str(), id.span)).collect();
        Self { document, spans }
    }

    fn of_edge(&self, edge: &Edge) -> Option<(String, usize)> {
        let span = match &edge.step {
            Some(step) => *self.spans.get(step.as_str())?,
            None => self.document.runbook.keys.get("finally")?,
        };
        let place: crate::diag::Place = span.at(&self.document.source).into();
        Some((place.source.name().to_owned(), place.source.position(place.span.start).0))
    }

    fn shown(&self, edge: &Edge) -> String {
        self.of_edge(edge).map(|(file, line)| format!("{file}:{line} ")).unwrap_or_default()
    }
}
