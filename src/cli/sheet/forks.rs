//! Where a run can go one way or another, as a tree: what decides it, and where each way leads.

use super::super::args::Lang;
use super::{Sheet, WIDTH, duration};
use crate::plan::preview::{Fork, ForkKind, On, Preview, Then, Way};
use crate::plan::{Section, StepNode};

/// Room that nesting leaves for words.
const LEAST: usize = 46;

impl Sheet {
    pub(super) fn forks(&mut self, preview: &Preview) {
        self.out.push(String::new());
        self.out.push(self.pick("── où elle peut aller ──", "── where it can go ──").to_owned());
        let text = self.pick(
            "Une étape qui échoue sans rien dire ici : on demande quoi faire ; sans personne, l'exécution se \
             termine en échec.",
            "A step that fails and says nothing here: people are asked what to do; unattended, the run ends as \
             failed.",
        );
        self.wrapped(text, "  ", "  ");
        let mut forks = preview.forks.iter().peekable();
        let mut groups: Vec<&str> = Vec::new();
        let mut section = Section::Main;
        for (at, step) in preview.steps.iter().enumerate() {
            let node = &step.node;
            let around = node.within.as_deref();
            groups.truncate(groups.iter().position(|group| Some(*group) == around).map_or(0, |at| at + 1));
            let bars = "│  ".repeat(groups.len());
            let mut own = Vec::new();
            while let Some(fork) = forks.next_if(|fork| fork.step == node.id) {
                own.push(fork);
            }
            if !own.is_empty() && node.section != section {
                section = node.section;
                self.out.push(self.pick("  à la fin :", "  at the end:").to_owned());
            }
            if !own.is_empty() || node.group.is_some() {
                self.tree(&format!("├─ {}. {}{}", at + 1, node.id, marks(node, self.lang)), &bars, "│     ");
            }
            for (nth, fork) in own.iter().enumerate() {
                self.fork(fork, &bars, nth + 1 == own.len());
            }
            if node.group.is_some() {
                groups.push(&node.id);
            }
        }
    }

    /// A line of the tree, and what it goes on with further in.
    fn tree(&mut self, text: &str, bars: &str, deeper: &str) {
        self.width = WIDTH.max(bars.chars().count() + LEAST);
        self.wrapped(text, &format!("  {bars}"), &format!("  {bars}{deeper}"));
        self.width = WIDTH;
    }

    fn fork(&mut self, fork: &Fork, bars: &str, last: bool) {
        let head = self.asked(fork);
        if !head.is_empty() {
            self.tree(&format!("│  {head}"), bars, "│      ");
        }
        for (nth, way) in fork.ways.iter().enumerate() {
            let end = last && nth + 1 == fork.ways.len();
            let (corner, deeper) = if end { ("└─", "│      ") } else { ("├─", "│  │   ") };
            let known = match (fork.known, way.on) {
                (Some(true), On::Yes) | (Some(false), On::No) => {
                    self.pick("  ← déjà décidé", "  ← decided already")
                }
                _ => "",
            };
            let text = format!("│  {corner} {} → {}{known}", self.on(way, fork.kind), self.then(way));
            self.tree(&text, bars, deeper);
        }
    }

    /// What is asked, and who or what decides it.
    fn asked(&self, fork: &Fork) -> String {
        let expr = fork.expr.as_deref().unwrap_or_default();
        let by = fork.decided_by.join(", ");
        let later = match (fork.known, by.as_str()) {
            (Some(_), _) | (None, "") => String::new(),
            (None, by) => format!("  <{} {by}>", self.pick("décidé plus tard par", "decided later by")),
        };
        match fork.kind {
            ForkKind::When => format!("{} {expr}{later}", self.pick("si", "if")),
            ForkKind::List => {
                format!("{} {expr}{later}", self.pick("pour chaque élément de", "for each item of"))
            }
            ForkKind::Rounds => format!("{} {expr}{later}", self.pick("répété jusqu'à", "again until")),
            ForkKind::Choice if fork.expr.is_some() => {
                format!("{} {expr}{later}", self.pick("à choisir dans", "to be chosen from"))
            }
            _ => String::new(),
        }
    }

    fn on(&self, way: &Way, kind: ForkKind) -> String {
        let limit = way.limit.as_deref().unwrap_or_default();
        let after = way.after_ms.map(duration).unwrap_or_default();
        match way.on {
            On::Always => self.pick("toujours", "always").to_owned(),
            On::Yes => self.pick("oui", "yes").to_owned(),
            On::No => self.pick("non", "no").to_owned(),
            On::NoAnswer => format!("{} {after}", self.pick("sans réponse en", "no answer within")),
            On::BreakGlass => format!("{} {after}", self.pick("bris de glace après", "break glass after")),
            On::Option => way
                .option
                .clone()
                .unwrap_or_else(|| self.pick("quel que soit le choix", "whatever is chosen").to_owned()),
            On::Items => self.pick("chaque élément", "each item").to_owned(),
            On::Empty => self.pick("liste vide", "empty list").to_owned(),
            On::TooMany => format!("{} {limit}", self.pick("plus de", "more than")),
            On::Canary => {
                let soak = if after.is_empty() {
                    String::new()
                } else {
                    format!("{} {after}", self.pick(", observés", ", watched for"))
                };
                match self.lang {
                    Lang::Fr => format!("canari de {limit} réussi{soak}"),
                    Lang::En => format!("canary of {limit} went well{soak}"),
                }
            }
            On::TooManyFailed => match self.lang {
                Lang::Fr => format!("plus de {limit} échecs"),
                Lang::En => format!("more than {limit} failed"),
            },
            On::Holds => self.pick("c'est le cas", "it holds").to_owned(),
            On::LastRound => match self.lang {
                Lang::Fr => format!("pas après {limit} fois"),
                Lang::En => format!("not after {limit} times"),
            },
            On::FailedBefore => self.pick("un échec avant elle", "something before it failed").to_owned(),
            On::NothingFailed => self.pick("aucun échec avant elle", "nothing before it failed").to_owned(),
            On::AlreadyDone => self.pick("preuve trouvée d'abord", "proof found beforehand").to_owned(),
            On::Failed if kind == ForkKind::Handlers => {
                self.pick("une de ses étapes échoue", "a step of it fails").to_owned()
            }
            On::Failed => self.pick("échec", "failed").to_owned(),
            On::ScopeSucceeded => self.pick("fin réussie", "end in success").to_owned(),
            On::Otherwise if kind == ForkKind::PutBack => {
                self.pick("toute autre fin", "any other end").to_owned()
            }
            On::Otherwise if kind == ForkKind::Proof => self.pick("pas de preuve", "no proof").to_owned(),
            On::Otherwise => self.pick("sinon", "otherwise").to_owned(),
        }
    }

    fn then(&self, way: &Way) -> String {
        let names = way.names.join(", ");
        let listed =
            |word: &str| if names.is_empty() { word.to_owned() } else { format!("{word} : {names}") };
        let listed = |fr: &str, en: &str| match self.lang {
            Lang::Fr => listed(fr),
            Lang::En => listed(en).replacen(" : ", ": ", 1),
        };
        let plain = |fr: &'static str, en: &'static str| self.pick(fr, en).to_owned();
        match way.then {
            Then::Taken => plain("l'étape a lieu", "the step takes place"),
            Then::Skipped => plain("sautée, la suite continue", "skipped, what follows goes on"),
            Then::GoesOn => {
                let on = listed("la suite continue", "what follows goes on");
                let skips = way.skips.join(", ");
                if skips.is_empty() {
                    on
                } else {
                    format!("{on} ; {} {skips}", self.pick("sans", "without"))
                        .replace(" ; ", self.pick(" ; ", "; "))
                }
            }
            Then::Each => listed("fait", "is done"),
            Then::Succeeded => plain("l'exécution s'arrête ici (réussie)", "the run ends here (succeeded)"),
            Then::FailedRun => plain("l'exécution se termine en échec", "the run ends as failed"),
            Then::Refused => plain("l'exécution se termine, refusée", "the run ends, refused"),
            Then::UsedSucceeded => {
                format!(
                    "{} {names} {}",
                    self.pick("ici s'arrête", "here ends"),
                    self.pick("(réussi)", "(succeeded)")
                )
            }
            Then::UsedFailed => {
                format!(
                    "{} {names} {}",
                    self.pick("ici s'arrête", "here ends"),
                    self.pick("(en échec)", "(failed)")
                )
            }
            Then::SkipsDependents => plain(
                "ce qui en dépend est sauté, le reste continue",
                "what depends on it is skipped, the rest goes on",
            ),
            Then::AsksPeople => plain("on demande quoi faire", "people are asked"),
            Then::Escalates => {
                let again = self.pick("encore autant, et c'est non", "as long again, and it is a no");
                format!("{} ; {again}", listed("ouverte aussi à", "open to more"))
                    .replace(" ; ", self.pick(" ; ", "; "))
            }
            Then::OpensAlone => {
                listed("ouverte par une personne seule, avec sa raison", "opened by one alone, with a reason")
            }
            Then::Undoes => {
                plain("ce qui est fait est défait, puis échec", "what was done is undone, then failed")
            }
            Then::Fails => plain("elle a échoué", "it has failed"),
            Then::HandlesAndGoesOn => listed("secours, puis la suite", "handled, then what follows"),
            Then::HandlesAndFails => {
                listed("secours, puis échec du groupe", "handled, then the group has failed")
            }
            Then::NoFurtherItem => plain("aucun autre ne commence", "no further one begins"),
            Then::PutsBack => plain("remis en place", "put back"),
        }
    }
}

/// What kind of place it is, where that is more than a step.
fn marks(node: &StepNode, lang: Lang) -> String {
    let kind = match (&node.used, node.kind.is_gate(), &node.group) {
        (Some(used), ..) => format!("runbook {}", used.runbook),
        (None, true, _) => lang.pick("PORTE", "GATE").to_owned(),
        (None, false, Some(_)) => lang.pick("groupe", "group").to_owned(),
        (None, false, None) => node.kind.name().to_owned(),
    };
    let handles = if node.handles { lang.pick(", si échec", ", on failure") } else { "" };
    format!(" [{kind}{handles}]")
}
