//! Groups, lists and rounds on paper: what stands in them is set in, what is done more than once has room to be ticked
//! as often.

use super::fill::{Known, code};
use super::step::{duration, indented};
use super::{BLANK, Paper};
use crate::runbook::decode::Spanned;
use crate::runbook::lists::{self, Lists};
use crate::runbook::schema::{CanaryDecl, CanaryWord, EachDecl, EffectWord, GroupDecl, MaxWord, RepeatDecl};
use crate::runbook::schema::{EmptyWord, ShareDecl, Step, ThenWord};

/// Lines for items and rounds.
const LINES: usize = 4;

impl Paper<'_> {
    /// The steps of the main list or of `finally`, those of a group behind it and set in.
    pub(super) fn steps(&self, known: &Known, finally: bool) -> Vec<String> {
        let mut depths: Vec<usize> = Vec::new();
        let mut handling: Vec<bool> = Vec::new();
        let mut out = Vec::new();
        for (step, place) in lists::walk(&self.document.runbook) {
            let depth = place.within.map_or(0, |group| depths[group] + 1);
            depths.push(depth);
            handling.push(false);
            if place.finally != finally {
                continue;
            }
            let deep = |block: String| (0..depth).fold(block, |block, _| indented(&block));
            if let Some(group) = place.within.filter(|group| place.handles && !handling[*group]) {
                handling[group] = true;
                let head = match self.french {
                    true => format!("**Si une étape du groupe {} échoue :**", group + 1),
                    false => format!("**If a step of group {} fails:**", group + 1),
                };
                out.push(deep(head));
            }
            out.push(deep(self.step(known, step)));
        }
        out
    }

    /// What an approval covers unless it says so: all that acts, up to the next gate; inside a list, of one item.
    pub(super) fn behind(&self, gate: &Step) -> Vec<Spanned<String>> {
        let (steps, places): (Vec<&Step>, Vec<_>) = lists::walk(&self.document.runbook).unzip();
        let lists = Lists::new(places);
        let Some(at) = steps.iter().position(|step| step.name() == gate.name()) else { return Vec::new() };
        let list = lists.around(at).find(|group| steps[*group].for_each.is_some());
        let section = lists.places[at].finally;
        let end = list.map_or(steps.len(), |list| lists.ends[list]);
        let after =
            (at + 1..end).take_while(|at| !steps[*at].is_gate() && lists.places[*at].finally == section);
        let acting = after
            .map(|at| steps[at])
            .filter(|step| (step.runs() || step.manual.is_some()) && step.effect_word() != EffectWord::Read);
        acting.filter_map(|step| step.id.clone()).collect()
    }

    /// How a step that has others in it, or is done more than once, is gone through.
    pub(super) fn loops(&self, known: &Known, step: &Step) -> Vec<String> {
        let mut out = Vec::new();
        out.extend(step.for_each.iter().flat_map(|each| self.each(known, each)));
        out.extend(step.repeat.iter().flat_map(|repeat| self.rounds(known, repeat)));
        out.extend(step.group.as_ref().map(|group| self.group(group)));
        if let Some(named) = &step.revert {
            let of = |id: &Spanned<String>| match known.numbers.get(&id.value) {
                Some(number) => format!("{} {number}", self.say("l'étape", "step")),
                None => code(&id.value),
            };
            let steps: Vec<String> = named.value.iter().map(of).collect();
            let what = self.say(
                "**Reprendre dès maintenant**, comme il y est dit sous « revenir en arrière » ou « remettre en place » :",
                "**Take back by now**, as it says there under “take it back” or “to be put back”:",
            );
            out.push(format!("{what} {}.", steps.join(", ")));
        }
        out
    }

    fn group(&self, group: &GroupDecl) -> String {
        let mut out = match group.parallel {
            Some(true) => self.say(
                "Les étapes qui suivent, dans l'ordre que l'on veut ou en même temps.",
                "The steps set in below, in any order or at the same time.",
            ),
            Some(false) | None => {
                self.say("Les étapes en retrait, dans l'ordre.", "The steps set in below, in order.")
            }
        }
        .to_owned();
        if group.on_failure.as_ref().is_some_and(|steps| !steps.is_empty()) {
            out.push(' ');
            out.push_str(match group.then {
                Some(ThenWord::Continue) => self.say(
                    "Si l'une échoue : ce qui est dit à la fin pour ce cas, et si cela réussit continuer.",
                    "If one fails: what stands at the end for that, and if it succeeds go on.",
                ),
                Some(ThenWord::Fail) | None => self.say(
                    "Si l'une échoue : ce qui est dit à la fin pour ce cas, puis le groupe a échoué.",
                    "If one fails: what stands at the end for that, then the group has failed.",
                ),
            });
        }
        out
    }

    fn each(&self, known: &Known, each: &EachDecl) -> Vec<String> {
        let (name, list) = (code(&each.r#as.value), known.condition(&each.items));
        let mut head = match self.french {
            true => format!("**Pour chaque** {name} de {list}"),
            false => format!("**For each** {name} of {list}"),
        };
        let at_once = each.max_parallel.as_ref().map_or(1, |most| most.value);
        head.push_str(&match self.french {
            true => format!(", {at_once} à la fois."),
            false => format!(", {at_once} at a time."),
        });
        if let Some(most) = &each.max_targets {
            head.push_str(&match self.french {
                true => format!(" Plus de {} : ne pas commencer.", most.value),
                false => format!(" More than {}: do not begin.", most.value),
            });
        }
        head.push_str(match each.empty {
            Some(EmptyWord::Ok) => self.say(" Liste vide : rien à faire.", " An empty list: nothing to do."),
            Some(EmptyWord::Error) | None => {
                self.say(" Liste vide : c'est un échec.", " An empty list: that is a failure.")
            }
        });
        let mut out = vec![head];
        out.extend(each.canary.as_ref().map(|canary| self.canary(canary)));
        if let Some(most) = &each.max_failures {
            let most = match most.value {
                ShareDecl::Count(count) => count.to_string(),
                ShareDecl::Percent(percent) => format!("{percent}%"),
            };
            out.push(match self.french {
                true => format!("Plus de {most} échecs : n'en commencer aucun autre."),
                false => format!("More than {most} failed: begin no further one."),
            });
        }
        out.push(self.lines(self.say("| Lequel | Issue | Heure |", "| Which | Outcome | Time |")));
        out
    }

    fn canary(&self, canary: &CanaryDecl) -> String {
        let mut out = match self.french {
            true => format!("D'abord {}", canary.count.value),
            false => format!("{} first", canary.count.value),
        };
        if let Some(soak) = &canary.soak {
            out.push_str(&format!(", {} {}", self.say("les observer", "watch for"), duration(soak.value)));
        }
        out.push_str(match canary.then {
            Some(CanaryWord::Go) => self.say(", puis les autres.", ", then the others."),
            Some(CanaryWord::Ask) | None => self.say(
                ", puis décider à deux si les autres suivent. Noter qui.",
                ", then decide together whether the others follow. Note who.",
            ),
        });
        out
    }

    fn rounds(&self, known: &Known, repeat: &RepeatDecl) -> Vec<String> {
        let (until, most) = (known.condition(&repeat.until), repeat.max.value);
        let mut head = match self.french {
            true => format!("**Recommencer** jusqu'à {until}, {most} fois au plus"),
            false => format!("**Again** until {until}, {most} times at most"),
        };
        if let Some(every) = &repeat.every {
            head.push_str(&format!(
                ", {} {}",
                self.say("à intervalles de", "with a break of"),
                duration(every.value)
            ));
        }
        head.push_str(". ");
        head.push_str(match repeat.on_max {
            Some(MaxWord::Fail) => {
                self.say("Toujours pas ? C'est un échec.", "Still not? That is a failure.")
            }
            Some(MaxWord::Ask) | None => {
                self.say("Toujours pas ? Décider à deux.", "Still not? Decide together.")
            }
        });
        vec![head, self.lines(self.say("| Tour | Issue | Heure |", "| Round | Outcome | Time |"))]
    }

    fn lines(&self, head: &str) -> String {
        let line = format!("| {BLANK} | ________ | ________ |");
        let lines = vec![line; LINES];
        format!("{head}\n|---|---|---|\n{}", lines.join("\n"))
    }
}
