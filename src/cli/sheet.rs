//! A plan as people read it: one sheet of plain text, French or English, readable in 80 columns without colour.
//!
//! Pure: a preview in, lines out; the same lines for the same preview.

mod beside;
mod choice;
mod ends;
mod guards;
mod limits;
mod lists;
mod points;
mod targets;

use serde_json::Value;

use super::args::Lang;
use crate::operator::request::{self, plain};
use crate::plan::preview::{Entitled, Foreseen, MachineTime, Preview, StepPreview};
use crate::plan::{
    Accept, Effect, ErrorClass, Evidence, Expect, GateNode, Identity, Kind, Localized, Mode, OnFailure,
    OnTimeout, OtherwisePutBack, ProbeOf, RunOn, SecretSource, Section, StepNode,
};
use crate::runbook::template::Rendered;

const WIDTH: usize = 80;
/// Where the lines of a step begin.
const INDENT: &str = "       ";

/// The whole sheet.
pub(super) fn lines(preview: &Preview, lang: Lang) -> Vec<String> {
    let mut sheet = Sheet { lang, out: Vec::new(), width: WIDTH };
    sheet.head(preview);
    sheet.guards(preview);
    let mut section = Section::Main;
    let mut nesting = lists::Nesting::default();
    for (at, step) in preview.steps.iter().enumerate() {
        if step.node.section == section {
            sheet.blank(nesting.shared(&step.node));
        } else {
            sheet.out.push(String::new());
            section = step.node.section;
            let line = sheet.pick("── à la fin, quoi qu'il arrive ──", "── at the end, whatever happens ──");
            sheet.out.push(line.to_owned());
        }
        sheet.nested(&mut nesting, at + 1, step, preview);
    }
    sheet.out
}

struct Sheet {
    lang: Lang,
    out: Vec<String>,
    /// What is left of the width for the step in hand.
    width: usize,
}

impl Sheet {
    const fn pick<'t>(&self, fr: &'t str, en: &'t str) -> &'t str {
        self.lang.pick(fr, en)
    }

    fn of<'t, T: Clone>(&self, text: &'t Localized<T>) -> Option<&'t T> {
        text.in_lang(self.lang.code())
    }

    fn wrapped(&mut self, text: &str, first: &str, rest: &str) {
        let options = textwrap::Options::new(self.width)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .initial_indent(first)
            .subsequent_indent(rest);
        let text = request::harmless(text);
        self.out
            .extend(textwrap::wrap(text.trim_end(), options).iter().map(|line| line.trim_end().to_owned()));
    }

    fn note(&mut self, text: &str) {
        self.wrapped(text, INDENT, "           ");
    }

    /// A line of the head: a word, and what belongs to it.
    fn entry(&mut self, name: &str, text: &str) {
        self.wrapped(text, &format!("  {name:<11}"), "             ");
    }

    fn head(&mut self, preview: &Preview) {
        let title = self.of(&preview.title).map(|title| format!(": {title}")).unwrap_or_default();
        let name = format!("{} {}{title}", self.pick("PLAN de", "PLAN of"), preview.runbook);
        self.wrapped(&name, "", "  ");
        let mode = match preview.mode {
            Mode::Live => self.pick("RÉEL", "LIVE"),
            Mode::Drill => self.pick("EXERCICE", "DRILL"),
            Mode::Rehearsal => self.pick("RÉPÉTITION", "REHEARSAL"),
        };
        let environment = preview.environment.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let protected = if preview.protected {
            self.pick(", environnement protégé", ", protected environment")
        } else {
            ""
        };
        let nothing = self.pick("rien n'est fait", "nothing is done");
        self.wrapped(&format!("{mode}{environment}{protected} · {nothing}"), "  ", "  ");
        for (name, value) in &preview.inputs {
            self.entry(self.pick("entrée", "input"), &format!("{name} = {value}"));
        }
        for (name, value) in &preview.vars {
            self.entry("variable", &format!("{name} = {value}"));
        }
        for (name, source) in &preview.secrets {
            let source = self.source(source);
            self.entry("secret", &format!("{name} ({source})"));
        }
        self.targets(preview);
        for service in &preview.services {
            let argv = service.argv.join(" ");
            self.entry("service", &format!("{}: {argv}", service.name));
        }
        for target in &preview.targets {
            let steps = target.steps.join(", ");
            self.entry(self.pick("cible", "target"), &format!("{} ({steps})", target.target));
        }
        if preview.identity == Identity::SshKey {
            let text = self.pick(
                "les accords doivent être signés par une clé SSH",
                "approvals must be signed by an SSH key",
            );
            self.entry(self.pick("identité", "identity"), text);
        }
        let time = self.time(&preview.machine_time, preview.deadline_ms);
        self.entry(self.pick("durée", "time"), &time);
        self.beside(preview);
        self.entry(self.pick("empreinte", "digest"), &preview.digest);
    }

    fn source(&self, source: &SecretSource) -> String {
        match source {
            SecretSource::Env(name) => format!("{} {name}", self.pick("variable", "variable")),
            SecretSource::File(path) => format!("{} {path}", self.pick("fichier", "file")),
            SecretSource::Command(argv) => format!("{} {}", self.pick("commande", "command"), argv.join(" ")),
            SecretSource::Prompt => self.pick("demandé au terminal", "asked on the terminal").to_owned(),
        }
    }

    fn time(&self, time: &MachineTime, deadline: Option<u64>) -> String {
        let most = duration(time.at_most_ms);
        let mut out = match self.lang {
            Lang::Fr => format!("machines : {most} au plus ; les personnes et les retours en arrière en sus"),
            Lang::En => format!("machines at most {most}; people and reversals come on top"),
        };
        if !time.open_ended.is_empty() {
            let steps = time.open_ended.join(", ");
            let besides = self.pick(" ; sans compter l'attente de", "; not counting the wait of");
            out.push_str(&format!("{besides} {steps}"));
        }
        out.push_str(&self.of_one_item(time));
        if let Some(deadline) = deadline {
            let word = self.pick(" ; échéance de l'exécution :", "; deadline of the run:");
            out.push_str(&format!("{word} {}", duration(deadline)));
        }
        out
    }

    fn step(&mut self, number: usize, step: &StepPreview, preview: &Preview) {
        let node = &step.node;
        let effect = match node.effect {
            _ if node.kind.is_gate() => self.pick("PORTE", "GATE"),
            Effect::Read => self.pick("lecture", "read"),
            Effect::Write => self.pick("écriture", "write"),
            Effect::Destructive => self.pick("DESTRUCTIF", "DESTRUCTIVE"),
            Effect::Notify => self.pick("notification", "notify"),
        };
        let title = self.of(&step.title).map(|title| format!("  {}", plain(title))).unwrap_or_default();
        // What people do and what is decided here touches nothing.
        let quiet = node.effect == Effect::Read && !node.kind.runs() && !node.kind.is_gate();
        let effect = if quiet { String::new() } else { format!(", {effect}") };
        let kind = node
            .used
            .as_ref()
            .map_or_else(|| node.kind.name().to_owned(), |used| format!("runbook {}", used.runbook));
        let head = format!("{} [{kind}{effect}]{title}", node.id);
        self.wrapped(&head, &format!("{number:>4}. "), INDENT);
        self.order(node);
        if let Some(when) = &step.when {
            self.when(when, node);
        }
        if let Some(message) = self.of(&step.message) {
            let text = plain(message);
            self.note(&text);
        }
        for text in &step.show {
            self.note(&format!("{} {}", self.pick("montre", "shows"), plain(text)));
        }
        self.beside_step(step);
        self.loops(step);
        self.act(step);
        self.person(step);
        self.ways(step);
        self.reversals(step);
        self.gate(step, preview);
        self.tail(node);
    }

    /// When its turn comes.
    fn order(&mut self, node: &StepNode) {
        if !node.above {
            let text = if node.needs.is_empty() {
                lists::from_the_start(node, self.lang).to_owned()
            } else {
                format!("{} {}", self.pick("après", "after"), node.needs.join(", "))
            };
            self.note(&text);
        }
        let when = match node.run_on {
            RunOn::Success => return,
            RunOn::Failure => self.pick(
                "seulement si quelque chose avant a échoué ; sinon : sautée",
                "only if something before it failed; otherwise: skipped",
            ),
            RunOn::Finished => self.pick(
                "que ce qui précède ait réussi ou échoué",
                "whether what comes before succeeded or failed",
            ),
        };
        let gates = node.gates.join(", ");
        let behind = if gates.is_empty() {
            String::new()
        } else {
            format!("{} {gates}", self.pick(" ; jamais sans", "; never without"))
        };
        self.note(&format!("{when}{behind}"));
    }

    fn act(&mut self, step: &StepPreview) {
        self.request("", 0, step.act.as_ref());
        for claim in &step.assertions {
            let state = match claim.claim.known {
                Some(true) => self.pick(" <déjà vrai>", " <holds already>"),
                Some(false) => self.pick(" <déjà faux>", " <does not hold already>"),
                None => "",
            };
            self.note(&format!("{} {}{state}", self.pick("exige", "requires"), claim.claim.expr));
        }
        if let (Some(end), None) = (step.node.end, &step.when) {
            let text = self.ends(&step.node, end);
            self.note(&text);
        }
        if let Some(wait) = step.node.wait_ms {
            self.note(&format!("{} {}", self.pick("attend", "waits"), duration(wait)));
        }
        if let Some(until) = &step.until {
            self.note(&format!("{} {}", self.pick("attend jusqu'à", "waits until"), plain(until)));
        }
        self.request(self.pick("preuve de l'effet :", "proof of the effect:"), 1, step.verify.as_ref());
        if step.node.verify.is_some_and(|verify| verify.first) {
            self.note(self.pick(
                "la preuve est cherchée d'abord : déjà fait, l'étape est sautée",
                "the proof is sought first: done already, the step is skipped",
            ));
        }
    }

    /// A request below its heading; without one, in its step's place.
    fn request(&mut self, heading: &str, depth: usize, foreseen: Option<&Foreseen>) {
        let Some(foreseen) = foreseen else { return };
        let indent = &format!("{INDENT}{}", "  ".repeat(depth));
        if !heading.is_empty() {
            self.note(&format!("{}{heading}", "  ".repeat(depth - 1)));
        }
        match foreseen {
            Foreseen::Request(probe) => {
                self.out.extend(request::lines(&probe.action, indent, self.width));
                self.judged(probe, indent);
            }
            Foreseen::Fails(why) => {
                let text =
                    format!("{} {why}", self.pick("ne peut pas être préparée :", "cannot be prepared:"));
                self.wrapped(&text, indent, &format!("{indent}    "));
            }
        }
    }

    fn judged(&mut self, probe: &ProbeOf<Rendered>, indent: &str) {
        let Accept { expect, absent, poll, outputs, secrets } = &probe.accept;
        let mut texts = Vec::new();
        let holds = expectation(expect);
        if !holds.is_empty() {
            texts.push(format!("{} {}", self.pick("bon si", "good if"), holds.join(", ")));
        }
        if let Some(absent) = absent {
            let holds = expectation(absent).join(", ");
            texts.push(format!("{} {holds}", self.pick("pas fait si", "not done if")));
        }
        if let Some(poll) = poll {
            let (every, within) = (duration(poll.every_ms), duration(poll.within_ms));
            let mut text = match self.lang {
                Lang::Fr => format!("demandé toutes les {every} pendant {within}"),
                Lang::En => format!("asked every {every} for {within}"),
            };
            for (word, filter) in [
                (self.pick("jusqu'à", "until"), &poll.until),
                (self.pick("échec si", "failed if"), &poll.fail_if),
            ] {
                text.push_str(
                    &filter.as_ref().map(|filter| format!(", {word} {filter}")).unwrap_or_default(),
                );
            }
            if let Some(steady) = poll.steady_ms {
                text.push_str(&format!(", {} {}", self.pick("stable", "steady for"), duration(steady)));
            }
            texts.push(text);
        }
        if !(outputs.is_empty() && secrets.is_empty()) {
            let named = |(name, filter): (&String, &String)| format!("{name} = {filter}");
            let sealed =
                |taken| format!("{} ({})", named(taken), self.pick("secret, scellé", "secret, sealed"));
            let names: Vec<String> = outputs.iter().map(named).chain(secrets.iter().map(sealed)).collect();
            texts.push(format!("{} {}", self.pick("en retient", "takes"), names.join(", ")));
        }
        for text in texts {
            self.wrapped(&format!("→ {text}"), indent, &format!("{indent}    "));
        }
    }

    /// What is asked of people, gates aside.
    fn person(&mut self, step: &StepPreview) {
        self.points(step);
        self.choice(step);
        for field in &step.node.fields {
            let kind = crate::plan::preview::kind_name(&field.kind);
            self.note(&format!("{} {} ({kind})", self.pick("demande", "asks for"), field.name));
        }
        if let Some(typed) = &step.typed {
            self.note(&format!(
                "{} {}",
                self.pick("à taper en toutes lettres :", "to be typed in full:"),
                plain(typed)
            ));
        }
        if step.node.kind == Kind::Manual {
            let evidence = step.node.evidence.map_or("", |evidence| self.evidence(evidence));
            self.note(&format!("{}{evidence}", self.pick("à faire à la main", "to be done by hand")));
        }
        if let Some(answers) = step.answers.as_ref().filter(|_| step.node.gate.is_none()) {
            let who = self.who(answers);
            self.note(&format!("{} {who}", self.pick("peut répondre :", "may answer:")));
        }
        if let Some(answer) = &step.unattended {
            let text = self.pick("sans personne, la réponse est", "unattended, the answer is");
            self.note(&format!("{text} {answer}"));
        }
    }

    const fn evidence(&self, evidence: Evidence) -> &'static str {
        match evidence {
            Evidence::None => "",
            Evidence::Optional => self.pick(" (preuve possible)", " (evidence optional)"),
            Evidence::Required => self.pick(" (preuve exigée)", " (evidence required)"),
        }
    }

    fn who(&self, who: &Entitled) -> String {
        let people = who.people.join(", ");
        let mut out = match (who.anybody, people.is_empty()) {
            (true, _) => self.pick("tout le monde", "anybody").to_owned(),
            (false, true) => {
                format!("{} ({})", self.pick("PERSONNE", "NOBODY"), who.roles.join(", "))
            }
            (false, false) => format!("{people} ({})", who.roles.join(", ")),
        };
        if who.not_starter {
            out.push_str(self.pick(", sauf qui lance l'exécution", ", except who starts the run"));
        }
        if !who.not_steps.is_empty() {
            let steps = who.not_steps.join(", ");
            out.push_str(&format!(
                "{} {steps}",
                self.pick(", sauf qui a répondu à", ", except who answered")
            ));
        }
        out
    }

    /// How often, how long, and what if not.
    fn ways(&mut self, step: &StepPreview) {
        let node = &step.node;
        if node.kind.runs() {
            let timeout = node.timeout_ms.map_or_else(String::new, duration);
            let tries = node.retry.max_attempts;
            let mut text = match self.lang {
                Lang::Fr => {
                    format!("{tries} essai{} de {timeout} au plus", if tries == 1 { "" } else { "s" })
                }
                Lang::En => {
                    format!("{tries} attempt{} of at most {timeout}", if tries == 1 { "" } else { "s" })
                }
            };
            if tries > 1 {
                let errors: Vec<&str> = node.retry.errors.iter().map(|error| error_name(*error)).collect();
                text.push_str(&format!(
                    "{} {}",
                    self.pick(", répétés sur", ", repeated on"),
                    errors.join(", ")
                ));
            }
            if let Some(deadline) = node.deadline_ms {
                text.push_str(&format!("{} {}", self.pick(", échéance", ", deadline"), duration(deadline)));
            }
            self.note(&text);
            if node.keyed {
                let key = step.idempotency_key.as_ref().map_or_else(|| "auto".to_owned(), plain);
                self.note(&format!("{} {key}", self.pick("clé d'idempotence :", "idempotency key:")));
            }
        }
        let failure = match node.on_failure {
            None => None,
            Some(OnFailure::Ask) => Some(self.pick("on demande quoi faire", "people are asked")),
            Some(OnFailure::Stop) => {
                Some(self.pick("l'exécution se termine en échec", "the run ends as failed"))
            }
            Some(OnFailure::Continue) => Some(self.pick(
                "ce qui en dépend est sauté, le reste continue",
                "what depends on it is skipped, the rest goes on",
            )),
            Some(OnFailure::Undo) => Some(self.pick(
                "ce qui est fait est défait, puis échec",
                "what was done is undone, then the run fails",
            )),
        };
        if let Some(failure) = failure {
            self.note(&format!("{} {failure}", self.pick("en cas d'échec :", "if it fails:")));
        }
        if node.allowed {
            self.note(self.pick("son échec est permis", "its failure is allowed"));
        }
    }

    fn reversals(&mut self, step: &StepPreview) {
        self.request(self.pick("pour défaire :", "to undo it:"), 1, step.undo.as_ref());
        self.request(self.pick("remis en place par :", "put back by:"), 1, step.put_back.as_ref());
        self.request(self.pick("mais seulement si :", "but only if:"), 1, step.only_if.as_ref());
        if let Some(back) = &step.node.put_back {
            let text = match back.otherwise {
                OtherwisePutBack::Ask => {
                    self.pick("sinon, une personne décide", "otherwise a person decides")
                }
                OtherwisePutBack::Auto => {
                    self.pick("sinon, remis en place quand même", "otherwise it is put back all the same")
                }
            };
            self.note(text);
        }
    }

    fn gate(&mut self, step: &StepPreview, preview: &Preview) {
        let (Some(gate), Some(who)) = (&step.node.gate, &step.answers) else { return };
        if step.node.kind == Kind::Approve {
            let covers = if gate.covers.is_empty() {
                self.pick("rien", "nothing").to_owned()
            } else {
                gate.covers.join(", ")
            };
            self.note(&format!(
                "{} {covers}",
                self.pick("porte sur, à l'octet près :", "covers, to the byte:")
            ));
        } else if !step.behind.is_empty() {
            let behind = step.behind.join(", ");
            self.note(&format!("{} {behind}", self.pick("derrière :", "behind it:")));
        }
        self.limit(step);
        let quorum = match (who.quorum, self.lang) {
            (1, _) => String::new(),
            (n, Lang::Fr) => format!(" ; il faut {n} personnes"),
            (n, Lang::En) => format!("; it takes {n} people"),
        };
        self.note(&format!("{} {}{quorum}", self.pick("peut l'ouvrir :", "may open it:"), self.who(who)));
        if preview.role_play {
            self.note(self.pick("ici, une personne joue tous les rôles", "here, one person plays all roles"));
        }
        self.out_of_time(step.node.timeout_ms, gate, who);
        let refused = if gate.on_reject_continue {
            self.pick(
                "ce qui en dépend est sauté, le reste continue",
                "what depends on it is skipped, the rest goes on",
            )
        } else {
            self.pick("l'exécution se termine, refusée", "the run ends, refused")
        };
        self.note(&format!(
            "  {} {}",
            self.pick("oui :", "yes:"),
            self.pick("la suite continue", "what follows goes on")
        ));
        self.note(&format!("  {} {refused}", self.pick("non :", "no: ")));
    }

    fn out_of_time(&mut self, timeout: Option<u64>, gate: &GateNode, who: &Entitled) {
        let Some(timeout) = timeout else { return };
        let after = duration(timeout);
        let what = match (gate.on_timeout, self.lang) {
            (OnTimeout::Refuse, Lang::Fr) => format!("sans réponse en {after} : c'est non"),
            (OnTimeout::Refuse, Lang::En) => format!("no answer within {after}: that is a no"),
            (OnTimeout::Escalate, lang) => {
                let more = format!("{} ({})", who.escalated.join(", "), gate.escalate_to.join(", "));
                match lang {
                    Lang::Fr => format!(
                        "sans réponse en {after} : ouverte aussi à {more} ; encore {after} et c'est non"
                    ),
                    Lang::En => {
                        format!("no answer within {after}: open to {more}, too; {after} more and it is a no")
                    }
                }
            }
        };
        self.note(&what);
    }

    fn tail(&mut self, node: &StepNode) {
        let exported: Vec<&str> =
            node.outputs.iter().filter(|output| output.public).map(|output| output.name.as_str()).collect();
        if !exported.is_empty() {
            self.note(&format!(
                "{} {}",
                self.pick("en clair au dossier :", "in clear in the record:"),
                exported.join(", ")
            ));
        }
    }
}

const fn error_name(error: ErrorClass) -> &'static str {
    match error {
        ErrorClass::Connect => "connect",
        ErrorClass::Timeout => "timeout",
        ErrorClass::TooMany => "429",
        ErrorClass::Server => "5xx",
        ErrorClass::Expect => "expect",
        ErrorClass::Other => "other",
    }
}

/// The conditions of a result, as the runbook has them.
fn expectation(expect: &Expect) -> Vec<String> {
    let numbers =
        |name: &str, list: Vec<String>| (!list.is_empty()).then(|| format!("{name} {}", list.join("/")));
    let mut out: Vec<String> = Vec::new();
    out.extend(numbers("exit", expect.exit.iter().map(ToString::to_string).collect()));
    out.extend(numbers("status", expect.status.iter().map(ToString::to_string).collect()));
    out.extend(expect.contains.iter().map(|text| format!("contains {}", Value::from(text.as_str()))));
    out.extend(expect.matches.iter().map(|pattern| format!("matches /{pattern}/")));
    out.extend(expect.that.clone());
    out.extend(expect.schema.as_ref().map(|_| "schema".to_owned()));
    out
}

/// `40 s`, `29 min 30 s`, `2 h 5 min`.
pub(super) fn duration(millis: u64) -> String {
    let (seconds, rest) = (millis / 1_000, millis % 1_000);
    let parts = [(seconds / 3_600, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s"), (rest, "ms")];
    let told: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    if told.is_empty() { "0 s".to_owned() } else { told.join(" ") }
}
