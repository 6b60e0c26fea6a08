//! Lists inside lists: each is a drawing of its own, set into that of the list around it. Nothing here recurses.

use std::collections::BTreeMap;

use super::super::args::Lang;
use super::{Lanes, MOST_LANES, Told, WIDTH, lanes_needed, listed, mark, quoted};
use crate::operator::request::harmless;
use crate::plan::{Plan, Section, Share, StepNode, StepValues};

/// Room that nesting leaves for words.
const LEAST: usize = 40;

/// A group, or none, and whether the list is what it does on a failure, or at the end.
type List = (Option<usize>, bool);

/// The lists of a plan and what follows what.
pub(super) struct Picture<'a> {
    plan: &'a Plan,
    lang: Lang,
    after: Vec<Vec<usize>>,
    lists: BTreeMap<List, Vec<usize>>,
    depths: Vec<usize>,
    drawable: bool,
}

impl<'a> Picture<'a> {
    pub(super) fn of(plan: &'a Plan, lang: Lang, after: Vec<Vec<usize>>) -> Self {
        let steps = &plan.graph.steps;
        let mut lists: BTreeMap<List, Vec<usize>> = BTreeMap::new();
        let mut depths = vec![0; steps.len()];
        for (at, group) in groups(steps).into_iter().enumerate() {
            depths[at] = group.map_or(0, |group| depths[group] + 1);
            let second =
                if group.is_some() { steps[at].handles } else { steps[at].section == Section::Finally };
            lists.entry((group, second)).or_default().push(at);
        }
        let drawable = lists.values().all(|list| lanes_needed(&after, list) <= MOST_LANES);
        Self { plan, lang, after, lists, depths, drawable }
    }

    /// The main list, and what is done at the end.
    pub(super) fn sections(&self) -> [Vec<String>; 2] {
        let mut inside: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        // Whatever stands in a group stands behind it.
        for group in (0..self.plan.graph.steps.len()).rev() {
            let lists = [false, true].map(|handles| self.lists.get(&(Some(group), handles)));
            if lists.iter().all(Option::is_none) {
                continue;
            }
            let mut lines = lists[0].map(|list| self.list(list, &mut inside)).unwrap_or_default();
            if let Some(handlers) = lists[1] {
                lines.push(self.lang.pick("── si une étape échoue ──", "── if a step fails ──").to_owned());
                lines.extend(self.list(handlers, &mut inside));
            }
            inside.insert(group, lines);
        }
        [false, true].map(|finally| {
            self.lists.get(&(None, finally)).map(|list| self.list(list, &mut inside)).unwrap_or_default()
        })
    }

    fn list(&self, list: &[usize], inside: &mut BTreeMap<usize, Vec<String>>) -> Vec<String> {
        let mut lanes = Lanes::default();
        let mut out = Vec::new();
        for at in list.iter().copied() {
            let node = &self.plan.graph.steps[at];
            let words = super::words(node, self.plan.step_values(at), self.lang);
            let width = WIDTH.saturating_sub(4 * self.depths[at]).max(LEAST);
            let within = inside.remove(&at).unwrap_or_default();
            if self.drawable {
                let told = Told { words: &words, inside: &within, width };
                lanes.step(at, mark(node), &told, &self.after[at], &mut out);
            } else {
                listed(node, &words, width, self.lang, &mut out);
                out.extend(within.iter().map(|line| format!("    {line}")));
            }
        }
        out
    }
}

/// By step: the group that it belongs to.
pub(super) fn groups(steps: &[StepNode]) -> Vec<Option<usize>> {
    let all = steps.iter().enumerate().filter(|(_, step)| step.group.is_some());
    let by_name: BTreeMap<&str, usize> = all.map(|(at, step)| (step.id.as_str(), at)).collect();
    let of = |step: &StepNode| step.within.as_deref().and_then(|id| by_name.get(id).copied());
    steps.iter().map(of).collect()
}

/// For which items, how often, and what is taken back.
pub(super) fn words(node: &StepNode, values: Option<&StepValues>, lang: Lang) -> Vec<String> {
    let mut out = Vec::new();
    if let (Some(each), Some(list)) = (&node.each, values.and_then(|values| values.each.as_ref())) {
        let most = match (each.max_targets, lang) {
            (None, _) => String::new(),
            (Some(most), Lang::Fr) => format!(", {most} au plus"),
            (Some(most), Lang::En) => format!(", {most} at most"),
        };
        let items = harmless(list.items.source());
        out.push(format!(
            "{} {} {} {items}{most}",
            lang.pick("pour chaque", "for each"),
            list.name,
            lang.pick("de", "of")
        ));
        if let Some(canary) = &each.canary {
            let then = if canary.ask {
                lang.pick(", puis on demande", ", then somebody is asked")
            } else {
                lang.pick(", puis les autres", ", then the others")
            };
            out.push(match lang {
                Lang::Fr => format!("d'abord {}{then}", canary.count),
                Lang::En => format!("{} first{then}", canary.count),
            });
        }
        match (each.max_failures, lang) {
            (None, _) => {}
            (Some(most), Lang::Fr) => out.push(format!("s'arrête à plus de {} échecs", share(most))),
            (Some(most), Lang::En) => out.push(format!("stops at more than {} failed", share(most))),
        }
    }
    if let (Some(repeat), Some(until)) =
        (&node.repeat, values.and_then(|values| values.repeat_until.as_ref()))
    {
        let until = harmless(until.source());
        out.push(match lang {
            Lang::Fr => format!("répété jusqu'à {until}, {} fois au plus", repeat.max),
            Lang::En => format!("again until {until}, {} times at most", repeat.max),
        });
    }
    if node.group.is_some_and(|group| group.then_continue) {
        out.push(
            lang.pick("échec : traité ici, puis la suite", "failed: handled here, then what follows")
                .to_owned(),
        );
    }
    if !node.reverts.is_empty() {
        out.push(format!("{} {}", lang.pick("reprend", "takes back"), node.reverts.join(", ")));
    }
    out
}

fn share(most: Share) -> String {
    match most {
        Share::Count(count) => count.to_string(),
        Share::Percent(percent) => format!("{percent}%"),
    }
}

/// Boxes of Mermaid, one in the other.
pub(super) struct Boxes {
    within: Vec<List>,
    open: Vec<List>,
}

impl Boxes {
    pub(super) fn of(plan: &Plan) -> Self {
        let steps = &plan.graph.steps;
        let within = groups(steps).into_iter().zip(steps).map(|(group, step)| (group, step.handles));
        Self { within: within.collect(), open: Vec::new() }
    }

    /// Ends what a step does not stand in, and begins what its group does on a failure.
    pub(super) fn before(&mut self, at: usize, lang: Lang, out: &mut Vec<String>) {
        let own = self.within[at];
        while let Some(top) = self.open.last().copied().filter(|top| *top != own) {
            if own.1 && top == (own.0, false) {
                let label = quoted(lang.pick("si une étape échoue", "if a step fails"));
                out.push(format!("  subgraph h{}[{label}]", top.0.unwrap_or_default()));
                self.open.push(own);
                return;
            }
            out.push("  end".to_owned());
            self.open.pop();
        }
    }

    pub(super) fn open(&mut self, at: usize, label: &str, out: &mut Vec<String>) {
        out.push(format!("  subgraph s{at}[{label}]"));
        self.open.push((Some(at), false));
    }

    pub(super) fn close(&mut self, out: &mut Vec<String>) {
        out.extend(self.open.drain(..).map(|_| "  end".to_owned()));
    }
}
