//! What stands in groups, lists and rounds: nested, and told how often.

use super::super::args::Lang;
use super::{Sheet, WIDTH, duration};
use crate::plan::preview::{MachineTime, Preview, StepPreview};
use crate::plan::{EachNode, Share, StepNode};

/// Room that nesting leaves for words.
const LEAST: usize = 50;

/// The groups around the step in hand, outermost first.
#[derive(Default)]
pub(super) struct Nesting(Vec<String>);

impl Nesting {
    /// How many of them a step stands in.
    pub(super) fn shared(&self, node: &StepNode) -> usize {
        let within = |id: &String| self.0.iter().position(|group| group == id);
        node.within.as_ref().and_then(within).map_or(0, |at| at + 1)
    }
}

pub(super) const fn from_the_start(node: &StepNode, lang: Lang) -> &'static str {
    if node.handles {
        lang.pick("dès l'échec du groupe", "as soon as the group fails")
    } else if node.within.is_some() {
        lang.pick("dès le début du groupe", "from the start of the group")
    } else {
        lang.pick("dès le début", "from the start")
    }
}

impl Sheet {
    /// Which lists count once in a time, having no limit.
    pub(super) fn of_one_item(&self, time: &MachineTime) -> String {
        if time.of_one_item.is_empty() {
            return String::new();
        }
        let besides = self.pick(" ; un seul élément compté de", "; counting one item of");
        format!("{besides} {}", time.of_one_item.join(", "))
    }

    pub(super) fn blank(&mut self, depth: usize) {
        self.out.push("│ ".repeat(depth).trim_end().to_owned());
    }

    /// A step as deep as it stands.
    pub(super) fn nested(
        &mut self,
        nesting: &mut Nesting,
        number: usize,
        step: &StepPreview,
        preview: &Preview,
    ) {
        let node = &step.node;
        nesting.0.truncate(nesting.shared(node));
        let depth = nesting.0.len();
        let from = self.out.len();
        self.width = WIDTH.saturating_sub(2 * depth).max(LEAST);
        if node.handles && node.needs.is_empty() {
            let group = node.within.as_deref().unwrap_or_default();
            let line = match self.lang {
                Lang::Fr => format!("── si une étape de {group} échoue ──"),
                Lang::En => format!("── if a step of {group} fails ──"),
            };
            self.wrapped(&line, "", "   ");
        }
        self.step(number, step, preview);
        let bars = "│ ".repeat(depth);
        self.out[from..].iter_mut().for_each(|line| *line = format!("{bars}{line}").trim_end().to_owned());
        self.width = WIDTH;
        if node.group.is_some() {
            nesting.0.push(node.id.clone());
        }
    }

    /// How often something is done, what of it, and what it comes to.
    pub(super) fn loops(&mut self, step: &StepPreview) {
        let node = &step.node;
        if let (Some(each), Some(list)) = (&node.each, &step.each) {
            let key = list.key.as_ref().map(|key| format!(" ({})", key.source())).unwrap_or_default();
            let text = match self.lang {
                Lang::Fr => format!("pour chaque {}{key} de {}", list.name, list.items.source()),
                Lang::En => format!("for each {}{key} of {}", list.name, list.items.source()),
            };
            self.note(&text);
            let how = self.how(each);
            self.note(&how);
        }
        if let (Some(repeat), Some(until)) = (&node.repeat, &step.repeat_until) {
            let every = repeat.every_ms.map(duration);
            let mut text = match self.lang {
                Lang::Fr => format!("répété jusqu'à {}, {} fois au plus", until.expr, repeat.max),
                Lang::En => format!("again until {}, {} times at most", until.expr, repeat.max),
            };
            if let Some(every) = every {
                text.push_str(&format!(", {} {every}", self.pick("à intervalles de", "with a break of")));
            }
            self.note(&text);
        }
        if let Some(group) = &node.group {
            if group.handlers && group.then_continue {
                self.note(self.pick(
                    "en cas d'échec : ses étapes de secours, et si elles réussissent la suite continue",
                    "if a step fails: what it has for that, and if that succeeds what follows goes on",
                ));
            } else if group.handlers {
                self.note(self.pick(
                    "en cas d'échec : ses étapes de secours, puis le groupe a échoué",
                    "if a step fails: what it has for that, then the group has failed",
                ));
            }
        }
        if !node.reverts.is_empty() {
            let steps = node.reverts.join(", ");
            self.note(&format!("{} {steps}", self.pick("reprend dès maintenant :", "takes back by now:")));
        }
    }

    fn how(&self, each: &EachNode) -> String {
        let mut out = vec![match self.lang {
            Lang::Fr => format!("{} à la fois", each.max_parallel),
            Lang::En => format!("{} at a time", each.max_parallel),
        }];
        if let Some(most) = each.max_targets {
            out.push(match self.lang {
                Lang::Fr => format!("{most} au plus"),
                Lang::En => format!("{most} at most"),
            });
        }
        if let Some(canary) = &each.canary {
            let first = match self.lang {
                Lang::Fr => format!("d'abord {}", canary.count),
                Lang::En => format!("{} first", canary.count),
            };
            let soak = canary
                .soak_ms
                .map(|soak| format!(", {} {}", self.pick("observés", "watched for"), duration(soak)));
            let then = if canary.ask {
                self.pick(", puis on demande", ", then somebody is asked")
            } else {
                self.pick(", puis les autres", ", then the others")
            };
            out.push(format!("{first}{}{then}", soak.unwrap_or_default()));
        }
        if let Some(most) = each.max_failures {
            let most = match most {
                Share::Count(count) => count.to_string(),
                Share::Percent(percent) => format!("{percent}{}", self.pick("\u{a0}%", "%")),
            };
            out.push(match self.lang {
                Lang::Fr => format!("plus de {most} échecs et aucun autre ne commence"),
                Lang::En => format!("more than {most} failed and no further one begins"),
            });
        }
        out.push(if each.empty_ok {
            self.pick("une liste vide est permise", "an empty list is fine").to_owned()
        } else {
            self.pick("une liste vide est un échec", "an empty list is a failure").to_owned()
        });
        out.join(self.pick(" ; ", "; "))
    }
}
