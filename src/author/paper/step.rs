//! A step on paper: a box to tick, what to do, what has to come of it, and what if not.

use std::time::Duration;

use super::call::{self, Surroundings};
use super::fill::{Known, code};
use super::{BLANK, Paper, shown};
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::inputs;
use crate::runbook::scalar::{Entries, Many, Millis};
use crate::runbook::schema::{
    Approve, By, Checklist, ChoiceDecl, Confirm, EffectWord, EndWord, EvidenceWord, Expect, FailureWord,
    ItemDecl, ModeWord, OptionDecl, Output, Poll, RejectWord, RunOnWord, Step, TimeoutWord,
};

impl Paper<'_> {
    pub(super) fn step(&self, known: &Known, step: &Step) -> String {
        let number = self.number(known, step);
        let title = step.title.as_ref().map(|title| known.line(title)).filter(|title| !title.is_empty());
        let effect = match step.kind() {
            Some("http" | "shell" | "argv" | "manual") => format!(" · {}", self.effect(step.effect_word())),
            _ => String::new(),
        };
        let head = format!(
            "- [ ] **{number}. {}** · `{}`{effect} · {} ________",
            title.unwrap_or_else(|| step.name().to_owned()),
            step.name(),
            self.say("heure", "time"),
        );
        let mut blocks = self.conditions(known, step);
        if let Some(estimate) = &step.estimate {
            let word = self.say("Durée habituelle :", "Usually takes");
            blocks.push(format!("{word} {}.", duration(estimate.value)));
        }
        blocks.extend(self.loops(known, step));
        blocks.extend(self.action(known, step));
        blocks.extend(self.result(known, step));
        blocks.extend(self.otherwise(known, step));
        std::iter::once(head)
            .chain(blocks.iter().map(|block| indented(block)))
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    const fn effect(&self, effect: EffectWord) -> &'static str {
        match effect {
            EffectWord::Read => self.say("lecture", "read"),
            EffectWord::Write => self.say("écriture", "write"),
            EffectWord::Destructive => self.say("**DESTRUCTIF**", "**DESTRUCTIVE**"),
            EffectWord::Notify => self.say("notification", "notify"),
        }
    }

    /// When the step is done at all.
    fn conditions(&self, known: &Known, step: &Step) -> Vec<String> {
        let mut out = Vec::new();
        if let Some(when) = &step.when {
            let expression = known.condition(when);
            out.push(format!(
                "**{}** {expression}. {}",
                self.say("Seulement si", "Only if"),
                match step.group {
                    Some(_) => self.say(
                        "Sinon, passer aussi tout ce qui est en retrait.",
                        "Otherwise leave out all that is set in below, too."
                    ),
                    None => self.say("Sinon, passer à la suivante.", "Otherwise go on to the next one."),
                }
            ));
        }
        if let Some(needs) = &step.needs {
            let numbers: Vec<String> =
                needs.iter().filter_map(|id| known.numbers.get(&id.value)).map(ToString::to_string).collect();
            out.push(match (self.french, numbers.is_empty()) {
                (true, true) => {
                    "Peut commencer tout de suite, sans attendre les étapes précédentes.".to_owned()
                }
                (false, true) => "May begin at once, without waiting for the steps above.".to_owned(),
                (true, false) => format!("Après l'étape {}.", numbers.join(", ")),
                (false, false) => format!("After step {}.", numbers.join(", ")),
            });
        }
        match step.run_on.as_ref().map(|run_on| run_on.value) {
            Some(RunOnWord::Failure) => out.push(
                self.say(
                    "**Seulement si** une étape dont elle dépend a échoué.",
                    "**Only if** a step that it depends on failed.",
                )
                .to_owned(),
            ),
            Some(RunOnWord::Finished) => out.push(
                self.say(
                    "Que les étapes précédentes aient réussi ou non.",
                    "Whether the steps before succeeded or not.",
                )
                .to_owned(),
            ),
            Some(RunOnWord::Success) | None => {}
        }
        if let Some(by) = &step.by {
            out.push(format!("{} {}.", self.say("Par :", "By:"), self.who(known, by)));
        }
        out
    }

    fn who(&self, known: &Known, by: &By) -> String {
        let roles: Vec<String> = by.roles.iter().flatten().map(|role| code(&role.value)).collect();
        let anybody = || self.say("tout le monde", "anybody").to_owned();
        let mut out = if roles.is_empty() { anybody() } else { roles.join(", ") };
        out.push_str(&self.except(known, by.exclude.as_deref()));
        out
    }

    /// `, but not …`.
    fn except(&self, known: &Known, exclude: Option<&[Spanned<String>]>) -> String {
        let names: Vec<String> = exclude
            .into_iter()
            .flatten()
            .map(|name| match name.value.strip_prefix("steps.").and_then(|id| known.numbers.get(id)) {
                Some(number) => {
                    format!("{} {number}", self.say("qui a répondu à l'étape", "who answered step"))
                }
                None => self.say("qui a commencé la procédure", "who began the procedure").to_owned(),
            })
            .collect();
        if names.is_empty() {
            String::new()
        } else {
            format!("{} {}", self.say(", sauf", ", but not"), names.join(", "))
        }
    }

    /// What is to be done.
    fn action(&self, known: &Known, step: &Step) -> Vec<String> {
        let mut out: Vec<String> = step.message.iter().map(|message| known.words(message)).collect();
        for text in step.show.iter().flat_map(|show| &show.0) {
            out.push(format!("{} {}", self.say("À lire :", "To be read:"), code(&known.plain(&text.value))));
        }
        out.extend(self.links(known, step.links.as_deref()));
        let keyed = step.idempotency_key.is_some();
        if step.runs() {
            if step.verify.as_ref().is_some_and(|verify| verify.first == Some(true)) {
                out.push(
                    self.say(
                        "D'abord la preuve, plus bas : si c'est déjà fait, ne rien faire.",
                        "The proof first, see below: if it is done already, do nothing.",
                    )
                    .to_owned(),
                );
            }
            out.extend(self.call(known, step.act(), keyed));
            out.extend(step.poll.iter().map(|poll| self.poll(poll)));
        }
        out.extend(step.notify.iter().flat_map(|notify| self.message(known, notify)));
        out.extend(step.confirm.iter().map(|confirm| self.confirm(known, confirm)));
        out.extend(step.approve.iter().flat_map(|approve| self.approve(known, step, approve)));
        for (name, field) in step.input.iter().flat_map(|form| form.fields.iter()) {
            let title = field.title.as_ref().map(|title| known.line(title)).unwrap_or_default();
            let wanted = code(&inputs::wanted(field));
            out.push(format!("{} {title} ({wanted}): {BLANK}", code(&name.value)));
        }
        out.extend(step.choice.iter().flat_map(|choice| self.choice(known, choice)));
        out.extend(step.checklist.iter().flat_map(|list| self.checklist(known, list, step)));
        out.extend(step.manual.iter().filter_map(|manual| self.evidence(manual.evidence)));
        if let Some(wait) = &step.wait {
            let span = wait.r#for.as_ref().map(|millis| duration(millis.value));
            let until = wait.until.as_ref().map(|until| code(&known.plain(&until.value)));
            let until = until.map(|until| format!("{} {until}", self.say("jusqu'à", "until")));
            out.push(format!("{} {}.", self.say("Attendre", "Wait"), span.or(until).unwrap_or_default()));
        }
        for claim in step.assert.iter().flat_map(|assert| &assert.that) {
            let expression = known.condition(&claim.expr);
            let message = claim.message.as_ref().map(|message| known.words(message)).unwrap_or_default();
            out.push(format!("{} {expression}.", self.say("Vérifier que", "Check that")));
            out.push(quote(&format!("**{}** {message}", self.say("Sinon, arrêter :", "Otherwise stop:"))));
        }
        match step.end {
            Some(EndWord::Succeeded) => out.push(
                self.say(
                    "**Fin ici : réussi.** Passer à la clôture.",
                    "**End here: succeeded.** Go on to the closing.",
                )
                .to_owned(),
            ),
            Some(EndWord::Failed) => out.push(
                self.say(
                    "**Fin ici : échec.** Passer à la clôture.",
                    "**End here: failed.** Go on to the closing.",
                )
                .to_owned(),
            ),
            None => {}
        }
        out
    }

    fn call(&self, known: &Known, act: Act<'_>, keyed: bool) -> Vec<String> {
        let defaults = self.document.runbook.defaults.as_ref().and_then(|defaults| defaults.http.as_ref());
        call::blocks(known, act, Surroundings { defaults, keyed })
    }

    fn confirm(&self, known: &Known, confirm: &Confirm) -> String {
        let typed = confirm.typed.as_ref().map(|typed| code(&known.plain(&typed.value)));
        let typed =
            typed.map(|word| format!(" {} {word}.", self.say("Répéter à haute voix :", "Say out loud:")));
        format!(
            "**{}**{} ☐ {} ☐ {} · {} {BLANK} · {} ________\n\n{}",
            self.say("Demander, avant d'aller plus loin.", "Ask, before going on."),
            typed.unwrap_or_default(),
            self.say("oui", "yes"),
            self.say("non", "no"),
            self.say("nom", "name"),
            self.say("heure", "time"),
            self.refused(confirm.on_reject),
        )
    }

    fn approve(&self, known: &Known, step: &Step, approve: &Approve) -> Vec<String> {
        let quorum = approve.quorum.as_ref().map_or(1, |quorum| quorum.value);
        let roles: Vec<String> = approve.roles.value.iter().map(|role| code(&role.value)).collect();
        let starter = self.say(", sauf qui a commencé la procédure", ", but not who began the procedure");
        let except = match &approve.exclude {
            Some(exclude) => self.except(known, Some(exclude)),
            None => starter.to_owned(),
        };
        let ask = match (self.french, quorum) {
            (true, 1) => format!("**Demander** l'accord d'une personne de {}{except}.", roles.join(", ")),
            (true, n) => {
                format!("**Demander** l'accord de {n} personnes différentes de {}{except}.", roles.join(", "))
            }
            (false, 1) => format!("**Ask** for the leave of one person of {}{except}.", roles.join(", ")),
            (false, n) => {
                format!("**Ask** for the leave of {n} different people of {}{except}.", roles.join(", "))
            }
        };
        let covers = approve.covers.clone().unwrap_or_else(|| self.behind(step));
        let covers: Vec<String> =
            covers.iter().filter_map(|id| known.numbers.get(&id.value)).map(ToString::to_string).collect();
        let mut out = vec![ask];
        if !covers.is_empty() {
            out.push(format!(
                "{} {}. {}",
                self.say(
                    "L'accord porte sur ce qui est écrit aux étapes",
                    "It is leave for what is written at steps"
                ),
                covers.join(", "),
                self.say("Si cela change, redemander.", "If that changes, ask again.")
            ));
        }
        out.extend(self.limit(known, approve));
        let head = self.say("| Nom | Oui / non | Heure | Motif |", "| Name | Yes / no | Time | Reason |");
        let rows = vec![format!("| {BLANK} | ______ | ________ | {BLANK} |"); quorum.clamp(1, 20) as usize];
        out.push(format!("{head}\n|---|---|---|---|\n{}", rows.join("\n")));
        let wait = approve.timeout.as_ref().map_or_else(|| "1h".to_owned(), |wait| duration(wait.value));
        let escalate: Vec<String> =
            approve.escalate_to.iter().flatten().map(|role| code(&role.value)).collect();
        let late = match approve.on_timeout.as_ref().map(|word| word.value) {
            Some(TimeoutWord::Escalate) => match self.french {
                true => format!(
                    "Sans réponse après {wait} : demander aussi à {}, encore {wait}, puis c'est non.",
                    escalate.join(", ")
                ),
                false => format!(
                    "No answer within {wait}: ask {} as well, another {wait}, then it is a no.",
                    escalate.join(", ")
                ),
            },
            Some(TimeoutWord::Refuse) | None => match self.french {
                true => format!("Sans réponse après {wait}, c'est non."),
                false => format!("No answer within {wait} is a no."),
            },
        };
        out.push(format!("{late} {}", self.refused(approve.on_reject)));
        out
    }

    const fn refused(&self, on_reject: Option<RejectWord>) -> &'static str {
        match on_reject {
            Some(RejectWord::Continue) => self.say(
                "Non : ne pas faire ce qui en dépend, continuer le reste.",
                "No: leave out what depends on it, go on with the rest.",
            ),
            Some(RejectWord::Refuse) | None => self
                .say("Non : arrêter ici et passer à la clôture.", "No: stop here and go on to the closing."),
        }
    }

    fn choice(&self, known: &Known, choice: &ChoiceDecl) -> Vec<String> {
        let many = choice.many.as_ref().map(|many| {
            let least = many.min.as_ref().map_or(1, |min| min.value);
            let most = many.max.as_ref().map(|max| max.value);
            match (self.french, most) {
                (true, Some(most)) => format!("**Choisir**, de {least} à {most} :"),
                (true, None) => format!("**Choisir**, au moins {least} :"),
                (false, Some(most)) => format!("**Choose**, from {least} to {most}:"),
                (false, None) => format!("**Choose**, at least {least}:"),
            }
        });
        let head = many.unwrap_or_else(|| self.say("**Choisir**, un seul :", "**Choose**, one:").to_owned());
        let mut out = vec![head];
        if let Some(from) = &choice.from {
            let of = self.say("dans la liste", "of the list");
            out.push(format!("{of} {}: {BLANK}", known.condition(from)));
        }
        let options = choice.options.iter().flat_map(|list| &list.value);
        let option =
            |option: &OptionDecl| format!("- [ ] {} {}", code(&option.id.value), known.line(&option.text));
        let options: Vec<String> = options.map(option).collect();
        if !options.is_empty() {
            out.push(options.join("\n"));
        }
        out
    }

    fn checklist(&self, known: &Known, list: &Checklist, step: &Step) -> Vec<String> {
        let mode = match list.mode {
            Some(ModeWord::ReadDo) => {
                self.say("Lire chaque point, le faire, le cocher.", "Read each item, do it, tick it.")
            }
            Some(ModeWord::DoConfirm) | None => self.say(
                "Tout est fait ? Vérifier chaque point, le cocher.",
                "All done? Check each item, tick it.",
            ),
        };
        std::iter::once(mode.to_owned())
            .chain(list.items.value.iter().map(|item| self.item(known, item, step)))
            .collect()
    }

    fn item(&self, known: &Known, item: &ItemDecl, step: &Step) -> String {
        let mut blocks = Vec::new();
        if let Some(probe) = &item.probe {
            let of_step = probe.step.as_ref().and_then(|step| known.numbers.get(&step.value));
            if let Some(number) = of_step {
                let words = self.say("Comme la preuve de l'étape", "As the proof of step");
                blocks.push(format!("{words} {number}."));
            }
            blocks.extend(self.probe(known, probe.act().on(step.host.as_ref())));
        }
        blocks.extend(item.read_back.as_ref().map(|value| {
            format!(
                "{} {}",
                self.say("Relire à haute voix :", "Read back:"),
                code(&known.plain(&value.value))
            )
        }));
        blocks.extend(self.evidence(item.evidence));
        let head = format!("- [ ] {}", known.line(&item.text));
        std::iter::once(head)
            .chain(blocks.iter().map(|block| indented(block)))
            .collect::<Vec<_>>()
            .join("\n\n")
    }

    /// A question to a system and its wanted answer.
    pub(super) fn probe(&self, known: &Known, act: Act<'_>) -> Vec<String> {
        let mut out = self.call(known, act, false);
        if !out.is_empty() {
            out.extend(self.expected(act, self.say("Attendu :", "Expected:")));
            out.extend(act.poll.map(|poll| self.poll(poll)));
        }
        out
    }

    fn evidence(&self, word: Option<EvidenceWord>) -> Option<String> {
        let wanted = match word? {
            EvidenceWord::Required => {
                self.say("Preuve à joindre (obligatoire) :", "Evidence to attach (required):")
            }
            EvidenceWord::Optional => self.say("Preuve à joindre :", "Evidence to attach:"),
            EvidenceWord::None => return None,
        };
        Some(format!("{wanted} {BLANK}"))
    }

    /// What has to come of it, and what to note.
    fn result(&self, known: &Known, step: &Step) -> Vec<String> {
        let mut out = Vec::new();
        if step.runs() && step.notify.is_none() {
            out.extend(self.expected(step.act(), self.say("Attendu :", "Expected:")));
        }
        out.extend(step.outputs.iter().map(|outputs| self.outputs(outputs)));
        if let Some(verify) = &step.verify {
            out.push(format!("**{}**", self.say("Preuve que c'est fait :", "Proof that it is done:")));
            out.extend(self.probe(known, verify.act().on(step.host.as_ref())));
            if let Some(absent) = &verify.absent {
                let words = self.in_words(absent).join(", ");
                let none = self.say(
                    "Ce n'est pas fait, et peut être refait, si :",
                    "It is not done, and may be done again, if:",
                );
                out.push(format!("{none} {words}."));
            }
            out.extend(verify.outputs.iter().map(|outputs| self.outputs(outputs)));
        }
        out
    }

    fn outputs(&self, outputs: &Entries<Output>) -> String {
        let notes: Vec<String> = outputs
            .iter()
            .map(|(name, output)| {
                format!("{} (jq {}): {BLANK}", code(&name.value), code(&output.filter.value.0))
            })
            .collect();
        format!("{} {}", self.say("Noter", "Note"), notes.join(" · "))
    }

    fn expected(&self, act: Act<'_>, label: &str) -> Option<String> {
        let mut words = act.expect.map(|expect| self.in_words(expect)).unwrap_or_default();
        let told = act.expect.is_some_and(|expect| expect.status.is_some() || expect.exit.is_some());
        let until = act.poll.is_some_and(|poll| poll.until.is_some());
        if !told && !until {
            let usual = match act.http {
                Some(_) => self.say("statut 2xx", "status 2xx"),
                None => self.say("code de sortie 0", "exit code 0"),
            };
            words.insert(0, usual.to_owned());
        }
        (!words.is_empty()).then(|| format!("{label} {}.", words.join(", ")))
    }

    fn in_words(&self, expect: &Expect) -> Vec<String> {
        let or = self.say(" ou ", " or ");
        let list = |all: Vec<String>| all.join(or);
        let mut out = Vec::new();
        if let Some(Many(status)) = &expect.status {
            let status = list(status.iter().map(|status| status.value.to_string()).collect());
            out.push(format!("{} {status}", self.say("statut", "status")));
        }
        if let Some(Many(exit)) = &expect.exit {
            let exit = list(exit.iter().map(|exit| exit.value.to_string()).collect());
            out.push(format!("{} {exit}", self.say("code de sortie", "exit code")));
        }
        for text in expect.contains.iter().flat_map(|Many(all)| all) {
            out.push(format!("{} {}", self.say("contient", "contains"), code(&text.value)));
        }
        for pattern in expect.matches.iter().flat_map(|Many(all)| all) {
            out.push(format!("{} {}", self.say("répond au motif", "matches"), code(&pattern.value)));
        }
        for filter in expect.that.iter().flat_map(|Many(all)| all) {
            out.push(format!("{} {}", self.say("est vrai (jq)", "is true (jq)"), code(&filter.value.0)));
        }
        if let Some(schema) = &expect.schema {
            out.push(format!(
                "{} {}",
                self.say("suit le schéma", "follows the schema"),
                code(&shown(&schema.value.literal()))
            ));
        }
        out
    }

    fn poll(&self, poll: &Poll) -> String {
        let (every, within) = (duration(poll.every.value), duration(poll.within.value));
        let mut out = match self.french {
            true => format!("Demander toutes les {every}, pendant {within} au plus"),
            false => format!("Ask every {every}, for {within} at most"),
        };
        if let Some(until) = &poll.until {
            out.push_str(&format!(", {} {}", self.say("jusqu'à", "until"), code(&until.value.0)));
        }
        if let Some(fail) = &poll.fail_if {
            out.push_str(&format!("; {} {}", self.say("échec si", "failed if"), code(&fail.value.0)));
        }
        if let Some(steady) = &poll.steady {
            out.push_str(&format!(
                "; {} {}",
                self.say("stable pendant", "steady for"),
                duration(steady.value)
            ));
        }
        format!("{out}.")
    }

    /// Boxes for what may go wrong, and for taking it back.
    fn otherwise(&self, known: &Known, step: &Step) -> Vec<String> {
        let mut out = Vec::new();
        let acts = step.runs() || step.manual.is_some();
        if acts && !(step.manual.is_some() && step.on_failure.is_none()) {
            out.push(quote(&self.failing(step)));
        }
        if let Some(undo) = &step.undo {
            out.push(self.reversal(
                known,
                undo.act().on(step.host.as_ref()),
                self.say(
                    "**Pour revenir en arrière**, si on le décide :",
                    "**To take it back**, should you decide so:",
                ),
                &[],
            ));
        }
        if let Some(back) = &step.put_back {
            let mut more = Vec::new();
            if let Some(probe) = &back.only_if {
                more.push(self.say("Seulement si :", "Only if:").to_owned());
                more.extend(self.probe(known, probe.act().on(step.host.as_ref())));
            }
            let label = self.say(
                "**À remettre en place** à la fin, la plus récente bascule d'abord :",
                "**To be put back** at the end, what was switched last comes first:",
            );
            out.push(self.reversal(known, back.act().on(step.host.as_ref()), label, &more));
        }
        out
    }

    fn reversal(&self, known: &Known, act: Act<'_>, label: &str, more: &[String]) -> String {
        let mut blocks = vec![format!("- [ ] {label}")];
        let inner = more.iter().cloned().chain(self.probe(known, act));
        blocks.extend(inner.map(|block| indented(&block)));
        quote(&blocks.join("\n\n"))
    }

    fn failing(&self, step: &Step) -> String {
        let mut out = vec![format!("**{}**", self.say("Si cela échoue :", "If it fails:"))];
        if let Some(words) = self.unreached(step) {
            return format!("{} {words}", out.remove(0));
        }
        if let Some(retry) = &step.retry {
            let delay = retry.delay.as_ref().map(|delay| duration(delay.value));
            let errors: Vec<&str> = retry.errors.iter().flatten().map(|error| error.value.name()).collect();
            let mut words = match self.french {
                true => format!("jusqu'à {} essais en tout", retry.max_attempts.value),
                false => format!("up to {} tries in all", retry.max_attempts.value),
            };
            if let Some(delay) = delay {
                words.push_str(
                    &format!(
                        ", {} {delay} {}",
                        self.say("à", ""),
                        self.say("d'intervalle au moins", "apart at least")
                    )
                    .replace("  ", " "),
                );
            }
            if !errors.is_empty() {
                words.push_str(&format!(" ({} {})", self.say("pour :", "on:"), errors.join(", ")));
            }
            out.push(format!("{words};"));
        }
        out.push(match step.on_failure.as_ref().map(|word| word.value) {
            None | Some(FailureWord::Ask) => self.say("arrêter et décider à deux : refaire, faire à la main, sauter, revenir en arrière ou finir ici. Noter qui et pourquoi.", "stop and decide together: again, by hand, skip, take it back, or end here. Note who and why."),
            Some(FailureWord::Stop) => self.say("ne rien commencer d'autre, passer à la clôture : échoué.", "begin nothing else, go on to the closing: failed."),
            Some(FailureWord::Continue) => self.say("le noter, laisser ce qui en dépend, continuer le reste.", "note it, leave out what depends on it, go on with the rest."),
            Some(FailureWord::Undo) => self.say("revenir en arrière partout, l'étape la plus récente d'abord, puis clôture : échoué.", "take everything back, the latest step first, then the closing: failed."),
        }.to_owned());
        let unsure = step.effect_word() != EffectWord::Read && step.runs();
        if unsure {
            out.push(match (step.verify.is_some(), step.idempotency_key.is_some()) {
                (true, _) => self.say("Réponse perdue (délai, coupure, 5xx) ? Ne pas refaire : la preuve ci-dessus dit si c'est fait.", "Answer lost (time-out, cut connection, 5xx)? Do not repeat: the proof above says whether it is done."),
                (false, true) => self.say("Réponse perdue (délai, coupure, 5xx) ? La même demande avec la même clé peut être refaite.", "Answer lost (time-out, cut connection, 5xx)? The same request with the same key may be repeated."),
                (false, false) => self.say("Réponse perdue (délai, coupure, 5xx) ? Ne pas refaire avant de savoir si c'est fait.", "Answer lost (time-out, cut connection, 5xx)? Do not repeat before you know whether it is done."),
            }.to_owned());
        }
        out.join(" ")
    }
}

pub(super) fn duration(millis: Millis) -> String {
    humantime::format_duration(Duration::from_millis(millis.0)).to_string()
}

pub(super) fn indented(block: &str) -> String {
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("  {line}") };
    block.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A box.
fn quote(text: &str) -> String {
    text.split('\n').map(|line| format!("> {line}").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
