//! How a question looks on a terminal: the whole of what is asked, readable without colour.
//!
//! Pure: a question in, text out. Every text from outside is made harmless, and a literal that imitates a
//! reference (`<secret …>`) is marked, so that what an approver reads is what he approves.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::question::{Question, Tried};
use super::request;
use super::screen::{harmless, one_line};
use super::wording::{Lang, Text, consequence, effect, kind, mode, word};
use crate::clock::Timestamp;
use crate::core::state::ItemState;
use crate::core::{AskKind, Decision};
use crate::plan::{Action, Effect, Evidence, Mode};
use crate::runbook::template::Rendered;

/// Lines of each output that are shown unless all are asked for.
const TAIL: usize = 15;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const ALARM: Style = AnsiColor::Red.on_default().bold();
const NOTE: Style = AnsiColor::Yellow.on_default();

/// The view of one question.
pub struct Layout<'a> {
    question: &'a Question,
    now: Timestamp,
    width: usize,
    /// Long outputs are not cut.
    whole: bool,
    out: String,
}

impl<'a> Layout<'a> {
    pub fn new(question: &'a Question, now: Timestamp, width: usize) -> Self {
        Self { question, now, width: width.clamp(40, 120), whole: false, out: String::new() }
    }

    #[must_use]
    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// The text, with line breaks, ending in one.
    pub fn render(mut self) -> String {
        let q = self.question;
        self.head();
        for text in [&q.prompt].into_iter().flatten() {
            self.wrapped(text, "  ");
        }
        for text in q.lang.asked_before(&q.earlier) {
            self.hanging(&one_line(&text), "  ");
        }
        self.exhibits();
        self.still_to_come();
        self.beside();
        self.trouble();
        self.requests();
        self.items();
        self.options();
        self.people();
        self.choices();
        self.out
    }

    fn text(&self, text: Text) -> &'static str {
        self.question.lang.text(text)
    }

    fn fill(&self, text: Text, values: &[(&str, &str)]) -> String {
        self.question.lang.fill(text, values)
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn styled(&mut self, style: Style, line: &str) {
        let _ = writeln!(self.out, "{style}{line}{style:#}");
    }

    fn wrapped(&mut self, text: &str, indent: &str) {
        let options = textwrap::Options::new(self.width).initial_indent(indent).subsequent_indent(indent);
        for line in textwrap::wrap(harmless(text).trim_end(), options) {
            self.line(&line);
        }
    }

    /// A text whose continuation lines stand further in.
    fn hanging(&mut self, text: &str, indent: &str) {
        let deeper = format!("{indent}    ");
        let options = textwrap::Options::new(self.width).initial_indent(indent).subsequent_indent(&deeper);
        for line in textwrap::wrap(text, options) {
            self.line(&line);
        }
    }

    fn head(&mut self) {
        let q = self.question;
        let environment =
            q.environment.as_deref().map(|name| format!(" {}", harmless(name))).unwrap_or_default();
        let style = if q.mode == Mode::Live { ALARM } else { NOTE };
        self.line("");
        let title = q.title.as_deref().unwrap_or(&q.step);
        self.styled(BOLD, &format!("── {}", one_line(title)));
        if q.mode == Mode::Rehearsal {
            let line = self.text(Text::DoNotDoIt);
            self.styled(NOTE, &format!("   {line}"));
        }
        let (kind, mode) = (self.text(kind(q.kind)), self.text(mode(q.mode)));
        let step = harmless(&q.step);
        let _ = writeln!(self.out, "   {DIM}{step} · {kind} ·{DIM:#} {style}{mode}{environment}{style:#}");
    }

    /// All of it: what is decided upon must have been seen.
    fn exhibits(&mut self) {
        for exhibit in &self.question.show {
            if let Some(of) = &exhibit.of {
                self.line(&format!("  {}:", one_line(of)));
            }
            for line in harmless(&exhibit.text).trim_end().lines() {
                self.line(&format!("    | {line}"));
            }
        }
    }

    /// What a yes lets begin, each by the name that it has everywhere.
    fn still_to_come(&mut self) {
        let q = self.question;
        if !q.to_come.is_empty() {
            let line = self.fill(Text::ToCome, &[("items", &q.to_come.join(", "))]);
            self.hanging(&line, "  ");
        }
    }

    /// What helps and decides nothing. An address is never broken: it is there to be followed.
    fn beside(&mut self) {
        let q = self.question;
        if let Some(estimate) = q.estimate_ms {
            let line = self.fill(Text::Usually, &[("time", &duration(estimate))]);
            self.wrapped(&line, "  ");
        }
        for link in &q.links {
            let code = if q.lang == Lang::Fr { "fr" } else { "en" };
            if let Some(title) = link.title.in_lang(code) {
                self.wrapped(&one_line(title), "  ");
            }
            self.line(&format!("  → {}", one_line(&link.url)));
        }
    }

    fn trouble(&mut self) {
        let q = self.question;
        if let Some(tried) = &q.tried {
            self.tried(tried);
        } else if let Some(reason) = &q.reason {
            let line = self.fill(Text::AskedBecause, &[("reason", &harmless(reason))]);
            self.wrapped(&line, "  ");
        }
        if let Some(why) = &q.why {
            let line = self.fill(Text::Detail, &[("why", why)]);
            self.wrapped(&line, "  ");
        }
    }

    fn tried(&mut self, tried: &Tried) {
        let q = self.question;
        if let Some(action) = &tried.action {
            let text = format!("{} [{}]", self.text(Text::Tried), self.text(effect(tried.effect)));
            self.line(&text);
            self.action(action, "    ");
        }
        let code = tried.code.map(|code| format!(" {code}")).unwrap_or_default();
        let left = match q.reason.as_deref().filter(|_| q.kind == AskKind::PutBack) {
            Some("run_not_clean") => Some(Text::NotClean),
            Some("only_if_false") => Some(Text::NotFit),
            Some("only_if_unreadable") => Some(Text::NotAsked),
            _ => None,
        };
        let reason = q.reason.as_deref().filter(|_| left.is_none()).unwrap_or(&tried.reason);
        let attempt = tried.attempt.to_string();
        let line = self.fill(Text::Happened, &[("reason", reason), ("code", &code), ("attempt", &attempt)]);
        self.styled(ALARM, &one_line(&line));
        if let Some(left) = left {
            self.styled(ALARM, self.text(left));
        }
        for (name, text) in tried.excerpts.iter().filter(|(_, text)| !text.trim().is_empty()) {
            self.line(&format!("  {name}:"));
            let text = harmless(text);
            let lines: Vec<&str> = text.trim_end().lines().collect();
            let from = if self.whole { 0 } else { lines.len().saturating_sub(TAIL) };
            if from > 0 {
                let cut = self.fill(Text::EarlierLines, &[("count", &from.to_string())]);
                self.line(&format!("    {cut}"));
            }
            for line in &lines[from..] {
                self.line(&format!("    | {line}"));
            }
        }
    }

    fn requests(&mut self) {
        let q = self.question;
        if !q.requests.is_empty() {
            self.styled(BOLD, self.text(Text::WillBeDone));
        } else if !q.covers.is_empty() {
            let steps = q.covers.join(", ");
            let line = self.fill(Text::Opens, &[("steps", &steps)]);
            self.wrapped(&line, "  ");
        }
        for (number, shown) in q.requests.iter().enumerate() {
            let style = if shown.effect == Effect::Destructive { ALARM } else { NOTE };
            let label = self.text(effect(shown.effect));
            let step = harmless(&shown.step);
            let rescue = if q.rescues.contains(&shown.step) { self.text(Text::OnFailure) } else { "" };
            let number = number + 1;
            let _ = writeln!(self.out, "  {number}. {BOLD}{step}{BOLD:#} {style}[{label}]{style:#}{rescue}");
            self.action(&shown.action, "     ");
        }
        self.limit();
    }

    /// What goes through an approval without having been shown.
    fn limit(&mut self) {
        let Some(limit) = &self.question.limit else { return };
        if let Some(filter) = &limit.filter {
            let line = self.fill(Text::LimitFilter, &[("filter", &harmless(filter.source()))]);
            self.styled(ALARM, &line);
            for (name, value) in &limit.reads {
                let value = harmless(&value.to_string());
                let line = self.fill(Text::LimitReads, &[("name", name), ("value", &value)]);
                self.wrapped(&line, "    ");
            }
        }
        let line = self.fill(Text::LimitCount, &[("most", &limit.max_targets.to_string())]);
        self.wrapped(&line, "  ");
    }

    fn action(&mut self, action: &Action<Rendered>, indent: &str) {
        for line in request::lines(action, indent, self.width) {
            self.line(&line);
        }
    }

    fn items(&mut self) {
        let items = &self.question.items;
        for (number, item) in items.iter().enumerate() {
            let (mark, state) = match item.state {
                ItemState::Unprobed => ("[ ]", Text::ItemUnprobed),
                ItemState::Open => ("[ ]", Text::ItemOpen),
                ItemState::Proved => ("[x]", Text::ItemProved),
                ItemState::Confirmed => ("[x]", Text::ItemConfirmed),
                ItemState::Refuted => ("[!]", Text::ItemRefuted),
                ItemState::Refused => ("[!]", Text::ItemRefused),
            };
            let mut notes = vec![self.text(state)];
            if item.evidence == Evidence::Required && item.state.is_open() {
                notes.push(self.text(Text::WithEvidence));
            }
            if item.read_back.is_some() && item.state.is_open() {
                notes.push(self.text(Text::ToReadBack));
            }
            let line = format!("{mark} {}. {} ({})", number + 1, harmless(&item.text), notes.join(", "));
            self.hanging(&line, "  ");
        }
    }

    fn options(&mut self) {
        let q = self.question;
        if q.options.is_empty() {
            return;
        }
        let head = match q.how_many() {
            Some(wanted) => self.fill(Text::ChooseMany, &[("wanted", &wanted)]),
            None => self.text(Text::ChooseOne).to_owned(),
        };
        self.line(&head);
        for (at, option) in q.options.iter().enumerate() {
            let number = if q.is_numbered() { format!("{}. ", at + 1) } else { String::new() };
            let (id, text) = (one_line(&option.id), one_line(&option.text));
            let line = if id == text { format!("{number}{id}") } else { format!("{number}{id}  {text}") };
            self.hanging(&line, "  ");
        }
    }

    fn people(&mut self) {
        let q = self.question;
        let gate = matches!(q.kind, AskKind::Approve | AskKind::Confirm);
        if gate || !q.who.anybody || !q.who.not.is_empty() {
            let line = self.fill(Text::WhoMay, &[("who", &who(q))]);
            self.wrapped(&line, "  ");
        }
        if q.kind == AskKind::Approve && q.who.quorum > 1 {
            let line = self.fill(Text::Quorum, &[("quorum", &q.who.quorum.to_string())]);
            self.wrapped(&line, "  ");
        }
        if q.second_person {
            self.wrapped(self.text(Text::SecondPerson), "  ");
        }
        for given in q.given.iter().filter(|_| gate) {
            let at = given.at.to_string();
            let said = self.text(word(given.decision));
            let line = self.fill(Text::Said, &[("who", &given.actor.who), ("word", said), ("at", &at)]);
            self.wrapped(&line, "  ");
        }
        if let Some(glass) = &q.glass {
            let who = if glass.people.is_empty() {
                self.text(Text::Nobody).to_owned()
            } else {
                glass.people.join(", ")
            };
            let line = self.fill(Text::GlassFrom, &[("at", &glass.from.to_string()), ("who", &who)]);
            self.wrapped(&line, "  ");
            self.line(&format!("    consigne answer {} {} break_glass --comment …", q.run, q.step));
        }
        if let Some(until) = q.timebox {
            let (left, at) = (duration(until.since(self.now)), until.to_string());
            let over = duration(self.now.since(until));
            let line = match self.now > until {
                true => self.fill(Text::TimeboxOver, &[("over", &over)]),
                false => self.fill(Text::TimeboxLeft, &[("left", &left), ("at", &at)]),
            };
            self.wrapped(&line, "  ");
        }
        if let Some(expires) = q.expires {
            let left = duration(expires.since(self.now));
            let line = self.fill(Text::OpenUntil, &[("at", &expires.to_string()), ("left", &left)]);
            self.wrapped(&line, "  ");
        }
    }

    fn choices(&mut self) {
        let q = self.question;
        if q.choices.is_empty() || q.kind == AskKind::Checklist || q.typed.is_some() {
            return;
        }
        self.line(self.text(Text::Choices));
        let longest =
            q.choices.iter().map(|c| self.text(word(c.decision)).chars().count()).max().unwrap_or(0);
        for choice in &q.choices {
            let name = self.text(word(choice.decision));
            let line = format!("{name:longest$}  {}", self.text(consequence(q.kind, choice.decision)));
            self.hanging(&line, "  ");
        }
    }
}

/// Who may answer, in words.
pub(super) fn who(q: &Question) -> String {
    let lang = q.lang;
    let names = if q.who.anybody {
        lang.text(Text::Anybody).to_owned()
    } else if q.who.people.is_empty() {
        lang.text(Text::Nobody).to_owned()
    } else {
        q.who.people.join(", ")
    };
    if q.who.anybody && !q.who.not.is_empty() {
        lang.fill(Text::Except, &[("who", &names), ("not", &q.who.not.join(", "))])
    } else {
        names
    }
}

/// The words of decisions, for a prompt: `approve/reject`.
pub(super) fn words(lang: Lang, decisions: impl IntoIterator<Item = Decision>) -> Vec<&'static str> {
    decisions.into_iter().map(|decision| lang.text(word(decision))).collect()
}

/// `29 min`, `2 h 5 min`, `40 s`.
fn duration(millis: u64) -> String {
    let seconds = millis / 1_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, _) => format!("{m} min"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::*;
    use super::*;
    use crate::core::AttemptResult;
    use crate::plan::Kind;

    fn view(question: &Question, whole: bool) -> String {
        let layout = Layout::new(question, question.opened, 80);
        let layout = if whole { layout.whole() } else { layout };
        anstream::adapter::strip_str(&layout.render()).to_string()
    }

    #[test]
    fn an_approval_is_the_whole_request() {
        let mut go = gate("go", Kind::Approve, &["suspend"]);
        go.0.timeout_ms = Some(1_800_000);
        let world = World::new(Mode::Live, false, "en", vec![go, call("suspend")]);
        insta::assert_snapshot!(view(&world.questions().remove(0), false), @r#"
        ── Go ahead
           go · approval · LIVE practice
          Suspend acme?
        What will be done:
          1. suspend [write]
             PATCH https://api.test/tenants/acme
             Authorization: Bearer <secret admin_token>
             X-Reason: overdue
             {
               "status": "suspended",
               "at": <decided later by step.started_at>
             }
          May answer: bob, carol
          Open until 2026-11-18T11:36:41.000Z (30 min left)
        Answers:
          approve  exactly what is shown may be done
          reject   nothing is done, the gate stays shut
        "#);
    }

    #[test]
    fn an_approval_says_what_it_lets_through_unseen() {
        let mut go = gate("go", Kind::Approve, &["suspend"]);
        let of = [("suspend".to_owned(), vec![crate::plan::ActOf::Do])].into();
        let limit = crate::plan::LimitNode { max_targets: 3, of, filtered: true };
        go.0.gate.as_mut().unwrap().limit = Some(limit);
        let filter = "target is startingwith(inputs.tenant)";
        go.1.filter = Some(crate::runbook::template::Expr::parse(filter).unwrap());
        let shown = |lang: &str| {
            let steps = vec![go.clone(), call("suspend")];
            let world = World::of_tenant("ac\u{1b}me", Mode::Live, false, lang, steps);
            view(&world.questions().remove(0), false)
        };
        let (english, french) = (shown("en"), shown("fr"));
        for line in [
            "A target that is decided later has to satisfy: target is startingwith(inputs.tenant)\n",
            "    with inputs.tenant = \"ac\\u001bme\"\n",
            "  Destructive targets: 3 at most; for more, the approval is asked for again.\n",
        ] {
            assert!(english.contains(line), "{line}: {english}");
        }
        for line in [
            "Une cible décidée plus tard doit satisfaire : target is startingwith(inputs.tenant)\n",
            "    avec inputs.tenant = ",
            "  Cibles destructives : 3 au plus ; au-delà, l'approbation est redemandée.\n",
        ] {
            assert!(french.contains(line), "{line}: {french}");
        }
    }

    #[test]
    fn a_point_that_is_read_back_says_so_and_not_what() {
        let mut list = checklist("l", &[("said", false, Evidence::None)]);
        list.0.items[0].read_back = true;
        let value = crate::runbook::template::Template::literal("10.0.0.7");
        list.1.items.get_mut("said").unwrap().read_back = Some(value);
        let shown = |lang: &str| {
            let world = World::new(Mode::Live, false, lang, vec![list.clone()]);
            view(&world.questions().remove(0), false)
        };
        let (english, french) = (shown("en"), shown("fr"));
        assert!(english.contains("1. Is said so? (to be checked, to be read back)"), "{english}");
        assert!(french.contains("(à vérifier, à relire en toutes lettres)"), "{french}");
        assert!(!english.contains("10.0.0.7"), "{english}");
    }

    #[test]
    fn what_is_shown_stands_under_the_prompt_and_is_harmless() {
        let mut go = gate("go", Kind::Confirm, &[]);
        let template = |text: &str| crate::runbook::template::Template::parse(text).unwrap();
        go.1.show = vec![template("{{ inputs.tenant }}"), template("for {{ inputs.reason }}")];
        let world = World::of_tenant("a\n\u{1b}[2Jb", Mode::Live, false, "en", vec![go]);
        let text = view(&world.questions().remove(0), false);
        assert!(text.contains("  inputs.tenant:\n    | a\n    | ␛[2Jb\n    | for overdue\n"), "{text}");
    }

    #[test]
    fn a_choice_is_its_list() {
        let options = [("a", "One"), ("b", "b"), ("c", "Three\u{1b}[2J")];
        let many = Some(crate::plan::ManyNode { min: 1, max: None });
        let world = World::new(Mode::Live, false, "en", vec![choice("c", &options, many)]);
        let text = view(&world.questions().remove(0), false);
        let list = "To choose from, from 1 to 3:\n  1. a  One\n  2. b\n  3. c  Three␛[2J\n";
        assert!(text.contains(list), "{text}");
    }

    #[test]
    fn a_question_says_where_to_look_and_how_long_it_takes() {
        let mut go = human("look", Kind::Manual, "Look at the curves");
        let url =
            "https://graphs.example.com/{{ inputs.tenant }}?from={{ run.started_at | minus('1h') | epoch }}";
        let long = "&a-name-that-is-longer=than-any-terminal-is-wide";
        let url = crate::runbook::template::Template::parse(&format!("{url}{long}")).unwrap();
        go.1.links = vec![crate::plan::Link { url, title: both("Curves of {{ inputs.tenant }}") }];
        go.1.estimate_ms = Some(300_000);
        let world = World::of_tenant("a/b", Mode::Drill, false, "en", vec![go]);
        let shown = view(&world.questions().remove(0), false);
        assert!(shown.contains("  Usually takes 5 min\n  Curves of a/b\n"), "{shown}");
        let link = format!("  → https://graphs.example.com/a%2Fb?from=1794996401{long}\n");
        assert!(shown.contains(&link), "{shown}");
    }

    #[test]
    fn a_failure_is_what_was_tried_the_end_of_its_output_and_what_can_be_done() {
        let mut world =
            World::new(Mode::Drill, false, "fr", vec![call("suspend"), reader("close", "suspend")]);
        world.run(AttemptResult::Failed, "status");
        insta::assert_snapshot!(view(&world.questions().remove(0), false), @r#"
        ── suspend
           suspend · échec : que faire ? · EXERCICE practice
        Ce qui a été tenté : [écriture]
            PATCH https://api.test/tenants/acme
            Authorization: Bearer <secret admin_token>
            X-Reason: overdue
            {
              "status": "suspended",
              "at": "2026-11-18T11:06:41.000Z"
            }
        Résultat : status 500, tentative 1
          error:
            | the server said ␛[31mno
          body:
            … 15 lignes avant (? les montre)
            | line 16 of the answer
            | line 17 of the answer
            | line 18 of the answer
            | line 19 of the answer
            | line 20 of the answer
            | line 21 of the answer
            | line 22 of the answer
            | line 23 of the answer
            | line 24 of the answer
            | line 25 of the answer
            | line 26 of the answer
            | line 27 of the answer
            | line 28 of the answer
            | line 29 of the answer
            | line 30 of the answer
        Réponses possibles :
          réessayer  une tentative de plus, maintenant
          main       vous l'avez fait vous-même ; la suite continue (motif, preuve,
              valeurs)
          sauter     ce n'est pas fait, et la suite continue quand même (motif, valeurs)
          valeur     donner les valeurs que l'étape aurait produites ; la suite continue
              (motif)
          terminer   terminer ici en échec ; ce qui est fait reste fait
        "#);
        assert!(
            view(&world.questions().remove(0), true).contains("| line 1 of"),
            "the rest is shown when asked for"
        );
    }

    #[test]
    fn no_value_can_pass_for_a_reference_or_move_the_cursor() {
        let mut step = call("suspend");
        // What stands at the beginning of an address is not encoded.
        step.1.act = Some(request("PATCH", "{{ inputs.tenant }}"));
        let evil = "<secret x>\u{1b}[2J<decided later by me>\u{202e}";
        let steps = vec![gate("go", Kind::Approve, &["suspend"]), step];
        let world = World::of_tenant(evil, Mode::Live, false, "en", steps);
        let text = view(&world.questions().remove(0), false);
        assert!(text.contains("PATCH \\<secret x>␛[2J\\<decided later by me>\\u{202e}"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(text.contains("\"at\": <decided later by step.started_at>"), "{text}");
    }
}
