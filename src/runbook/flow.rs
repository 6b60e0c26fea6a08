//! Which step waits for which: the order of a runbook, list by list, and which gates hold outside their list.
//!
//! Everything here is iterative and close to linear in steps and edges. What lies upstream is asked in `reach`.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use super::lists::{self, Lists};
use super::schema::{EndWord, RejectWord, RunOnWord, Runbook, Step, ThenWord};

pub use super::lists::steps;

/// The graph of a runbook. Steps are counted from 0 as they stand in the file: the main list, then `finally`, those of
/// a group behind it.
#[derive(Debug)]
pub struct Flow {
    /// By step: what of its own list it waits for. Without `needs`: the steps above it that nothing else above waits
    /// for.
    pub needs: Vec<Vec<usize>>,
    /// By step: it waits for everything above it in its list.
    pub above: Vec<bool>,
    /// Index of the first step of `finally`.
    pub main: usize,
    pub lists: Lists,
    /// By step: once its list has gone well, so has it, and so have the gates in it that hold.
    pub(super) holds: Vec<bool>,
    /// By group: its having gone well says nothing about the gates in it.
    pub(super) blind: Vec<bool>,
    /// Steps that end a used runbook early, with success, and the group that it stands in.
    ends: BTreeMap<usize, usize>,
    /// Groups that are blind for no other reason.
    only_ended: BTreeSet<usize>,
    /// By step: it, or a step before it, may fail or be left out, and the group they stand in goes well.
    spared: Vec<bool>,
    /// By step: a gate before it in its list may be refused without ending the run.
    pushed_back: Vec<bool>,
    names: IndexMap<String, usize>,
    /// By list: the steps of it that no other one of it waits for.
    pub(super) sinks: Vec<Vec<usize>>,
    order: Result<Vec<usize>, Vec<usize>>,
}

impl Flow {
    pub fn new(runbook: &Runbook) -> Self {
        let (steps, places): (Vec<&Step>, Vec<_>) = lists::walk(runbook).unzip();
        let main = places.iter().position(|place| place.finally).unwrap_or(places.len());
        let mut lists = Lists::new(places);
        let mut names = IndexMap::with_capacity(steps.len());
        for (at, step) in steps.iter().enumerate() {
            if let Some(id) = &step.id {
                names.entry(id.value.clone()).or_insert(at);
            }
        }
        let mut needs = Vec::with_capacity(steps.len());
        let mut above = Vec::with_capacity(steps.len());
        let mut frontier = Frontier::new(steps.len(), lists.steps.len());
        for (at, step) in steps.iter().enumerate() {
            let list = lists.of[at];
            let same_list = |other: &usize| lists.of[*other] == list && *other != at;
            let place = lists.places[at];
            let beside = !place.handles && place.within.is_some_and(|group| is_parallel(steps[group]));
            let wanted = match &step.needs {
                None if beside => Vec::new(),
                None => frontier.sinks(list),
                Some(ids) => {
                    ids.iter().filter_map(|id| names.get(&id.value).copied()).filter(same_list).collect()
                }
            };
            let waits = step.needs.is_none() && !beside;
            frontier.add(list, at, &wanted, waits);
            above.push(waits);
            needs.push(wanted);
        }
        let sinks = (0..lists.steps.len()).map(|list| frontier.sinks(list)).collect();
        let order = sorted(&needs, &mut lists);
        let mut flow = Self {
            holds: vec![false; steps.len()],
            blind: vec![false; steps.len()],
            ends: BTreeMap::new(),
            only_ended: BTreeSet::new(),
            spared: vec![false; steps.len()],
            pushed_back: vec![false; steps.len()],
            needs,
            above,
            main,
            lists,
            names,
            sinks,
            order,
        };
        flow.exits(&steps);
        flow
    }

    /// Looks which gates hold outside their list.
    ///
    /// A group that went well says that its gates were opened, unless one of them can be left out without the group
    /// having failed: by a `when`, by a list without items, by `run_on: failure` where nothing failed, by a step before
    /// it whose failure is allowed, by `then: continue`, or by the early end of a runbook that is used. What runs on a failure says nothing at all.
    fn exits(&mut self, steps: &[&Step]) {
        let Ok(order) = &self.order else { return };
        let fails_only = |step: &Step| step.run_on.as_ref().is_some_and(|on| on.value == RunOnWord::Failure);
        // What a person refuses spreads without being a failure.
        let mut refused: Vec<bool> = steps.iter().map(|step| goes_on_refused(step)).collect();
        for at in order.iter().rev() {
            if let Some(group) = self.lists.places[*at].within.filter(|_| refused[*at]) {
                refused[group] = true;
            }
        }
        for at in (0..steps.len()).filter(|at| steps[*at].end == Some(EndWord::Succeeded)) {
            if let Some(used) = self.lists.around(at).find(|group| steps[*group].runbook.is_some()) {
                self.ends.insert(at, used);
            }
        }
        let ended: BTreeSet<usize> = self.ends.values().copied().collect();
        for at in order {
            let step = steps[*at];
            let (mut spared, mut back) = (false, false);
            for need in &self.needs[*at] {
                spared |= self.spared[*need];
                back |= self.pushed_back[*need] || refused[*need];
            }
            spared |= step.allowed == Some(true) || step.is_gate() && fails_only(step);
            self.spared[*at] = spared;
            self.pushed_back[*at] = back;
            let otherwise = step.when.is_some()
                || step.for_each.is_some()
                || fails_only(step)
                || step.group.as_ref().is_some_and(|group| {
                    group.then == Some(ThenWord::Continue)
                        && group.on_failure.as_ref().is_some_and(|steps| !steps.is_empty())
                });
            if ended.contains(at) && !otherwise {
                self.only_ended.insert(*at);
            }
            self.blind[*at] = otherwise || ended.contains(at);
            self.holds[*at] = !self.lists.places[*at].handles && !spared && !self.blind[*at];
        }
    }

    pub fn len(&self) -> usize {
        self.needs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    pub fn find(&self, id: &str) -> Option<usize> {
        self.names.get(id).copied()
    }

    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The steps in an order that respects `needs` and follows the file where it can, those of a group behind it and
    /// before whatever follows it; on a cycle, its steps.
    pub fn order(&self) -> Result<&[usize], &[usize]> {
        self.order.as_deref().map_err(Vec::as_slice)
    }

    /// Whether a step may have failed, or not have run at all, although the group it stands in went well.
    pub fn is_spared(&self, step: usize) -> bool {
        self.spared[step]
    }

    /// Whether a step may not have run because a gate before it in its list was refused, and the run goes on.
    pub fn is_pushed_back(&self, step: usize) -> bool {
        self.pushed_back[step]
    }

    /// Whether a gate counts as opened, or those of a group do, where the group around has gone well.
    pub fn holds_outside(&self, step: usize) -> bool {
        self.holds[step]
    }

    /// Whether a group that went well says nothing about what stands in it.
    pub fn is_blind(&self, group: usize) -> bool {
        self.blind[group]
    }

    /// Whether a group is blind for no other reason than that the runbook in it may end early.
    pub fn is_only_ended_early(&self, group: usize) -> bool {
        self.only_ended.contains(&group)
    }

    /// The used runbook that a step ends early, with success.
    pub fn ends(&self, step: usize) -> Option<usize> {
        self.ends.get(&step).copied()
    }

    /// A way from a step that waits for nothing to `step`, first to last.
    pub fn path_to(&self, step: usize) -> Vec<usize> {
        let mut path = vec![step];
        let mut at = step;
        while let Some(need) = self.needs[at].first().copied().or(self.lists.places[at].within) {
            if path.len() > self.len() {
                break;
            }
            path.push(need);
            at = need;
        }
        path.reverse();
        path
    }
}

fn is_parallel(group: &Step) -> bool {
    group.group.as_ref().is_some_and(|group| group.parallel == Some(true))
}

/// A gate after whose refusal the run goes on.
fn goes_on_refused(step: &Step) -> bool {
    let word = step.confirm.as_ref().and_then(|confirm| confirm.on_reject);
    word.or(step.approve.as_ref().and_then(|approve| approve.on_reject)) == Some(RejectWord::Continue)
}

/// The steps above, kept as those that nothing above waits for, list by list.
struct Frontier {
    needed: Vec<bool>,
    sinks: Vec<Vec<usize>>,
}

impl Frontier {
    fn new(steps: usize, lists: usize) -> Self {
        Self { needed: vec![false; steps], sinks: vec![Vec::new(); lists] }
    }

    fn sinks(&self, list: usize) -> Vec<usize> {
        self.sinks[list].iter().copied().filter(|step| !self.needed[*step]).collect()
    }

    /// `above`: the step waits for all the others, so that it alone is loose.
    fn add(&mut self, list: usize, step: usize, needs: &[usize], above: bool) {
        for need in needs {
            self.needed[*need] = true;
        }
        if above {
            self.sinks[list].clear();
        }
        self.sinks[list].push(step);
    }
}

/// An order that respects `needs`, and sorts each list by it: that of the file wherever no step needs a later one;
/// else a cycle.
fn sorted(needs: &[Vec<usize>], lists: &mut Lists) -> Result<Vec<usize>, Vec<usize>> {
    if needs.iter().enumerate().all(|(step, wanted)| wanted.iter().all(|need| *need < step)) {
        return Ok((0..needs.len()).collect());
    }
    for list in &mut lists.steps {
        sort_list(needs, list)?;
    }
    let mut out = Vec::with_capacity(needs.len());
    let mut open: Vec<std::slice::Iter<'_, usize>> = vec![lists.steps[1].iter(), lists.steps[0].iter()];
    while let Some(list) = open.last_mut() {
        let Some(step) = list.next() else {
            open.pop();
            continue;
        };
        out.push(*step);
        let inside: Vec<usize> = lists.inside(*step).collect();
        open.extend(inside.iter().rev().map(|list| lists.steps[*list].iter()));
    }
    Ok(out)
}

fn sort_list(needs: &[Vec<usize>], list: &mut Vec<usize>) -> Result<(), Vec<usize>> {
    if list.iter().all(|step| needs[*step].iter().all(|need| need < step)) {
        return Ok(());
    }
    let place: BTreeMap<usize, usize> = list.iter().enumerate().map(|(place, step)| (*step, place)).collect();
    let mut graph = DiGraph::<(), (), usize>::default();
    list.iter().for_each(|_| {
        graph.add_node(());
    });
    for (to, step) in list.iter().enumerate() {
        for from in needs[*step].iter().filter_map(|need| place.get(need)) {
            graph.add_edge(NodeIndex::new(*from), NodeIndex::new(to), ());
        }
    }
    match toposort(&graph, None) {
        Ok(order) => {
            *list = order.into_iter().map(|node| list[node.index()]).collect();
            Ok(())
        }
        Err(_) => Err(cycle(&graph, needs, list)),
    }
}

/// The steps of one cycle, each needing the one before it.
fn cycle(graph: &DiGraph<(), (), usize>, needs: &[Vec<usize>], list: &[usize]) -> Vec<usize> {
    let knots =
        tarjan_scc(graph).into_iter().map(|knot| knot.into_iter().map(|node| list[node.index()]).collect());
    let knots = knots
        .filter(|knot: &BTreeSet<usize>| knot.iter().any(|at| knot.len() > 1 || needs[*at].contains(at)));
    let Some(knot) = knots.min_by_key(|knot| knot.first().copied()) else { return Vec::new() };
    let mut path: Vec<usize> = knot.first().copied().into_iter().collect();
    while let Some(next) = path.last().and_then(|at| needs[*at].iter().find(|need| knot.contains(need))) {
        if let Some(from) = path.iter().position(|at| at == next) {
            let mut cycle = path.split_off(from);
            cycle.reverse();
            return cycle;
        }
        path.push(*next);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::super::reach::Reach;
    use super::*;
    use crate::diag::Source;
    use crate::runbook::load;

    fn flow(steps: &str) -> Flow {
        let source = Source::new("t.yaml", format!("consigne: v1\nid: t\nsteps:\n{steps}"));
        let (document, problems) = load::runbook(&source);
        assert!(problems.is_empty(), "{problems:?}");
        Flow::new(&document.unwrap().runbook)
    }

    #[test]
    fn without_needs_a_step_waits_for_the_loose_ends_above() {
        let flow = flow(
            "  - {id: a}\n  - {id: b, needs: [a]}\n  - {id: c, needs: [a]}\n  - {id: d}\n  - {id: e, needs: []}\n  - {id: f}\n",
        );
        assert_eq!(flow.needs, [vec![], vec![0], vec![0], vec![1, 2], vec![], vec![3, 4]]);
        assert_eq!(flow.order().unwrap(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(flow.upstream(&[0, 4], Reach::Behind, |_| true)[5], [0, 1]);
        assert_eq!(flow.are_upstream(&[(3, 0), (3, 4), (5, 4)]), [true, false, true]);
    }

    #[test]
    fn a_cycle_is_named() {
        let flow = flow(
            "  - {id: a}\n  - {id: b, needs: [d]}\n  - {id: c, needs: [b]}\n  - {id: d, needs: [c, a]}\n",
        );
        let cycle = flow.order().unwrap_err();
        let mut sorted = cycle.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3]);
    }

    #[test]
    fn many_questions_are_answered_in_blocks() {
        let steps: String = (0..300).map(|at| format!("  - {{id: s{at}}}\n")).collect();
        let flow = flow(&steps);
        let pairs: Vec<_> = (0..299).map(|at| (299, at)).chain([(0, 299)]).collect();
        let found = flow.are_upstream(&pairs);
        assert!(found[..299].iter().all(|yes| *yes) && !found[299]);
        assert_eq!(flow.path_to(2), [0, 1, 2]);
    }

    /// A group that holds a gate, a group that does not, and a step behind both.
    const NESTED: &str = "  - id: a\n    group:\n      steps:\n        - {id: b, confirm: {}}\n        - id: c\n          group:\n            parallel: true\n            steps: [{id: d}, {id: e}]\n            on_failure: [{id: f}, {id: g}]\n  - {id: h, needs: [a]}\nfinally:\n  - {id: i}\n";

    #[test]
    fn a_list_of_its_own_for_each_group_and_what_it_does_on_a_failure() {
        let flow = flow(NESTED);
        let at = |id: &str| flow.find(id).unwrap();
        assert_eq!(flow.needs[at("c")], [at("b")]);
        assert!(flow.needs[at("d")].is_empty() && flow.needs[at("e")].is_empty());
        assert_eq!(flow.needs[at("g")], [at("f")]);
        assert_eq!(flow.needs[at("h")], [at("a")]);
        assert_eq!((at("i"), flow.main), (8, 8));
        assert_eq!(flow.lists.ends[at("a")], at("h"));
        assert_eq!(flow.order().unwrap(), (0..9).collect::<Vec<_>>());
        assert_eq!(flow.path_to(at("g")), [at("a"), at("b"), at("c"), at("f"), at("g")]);
        assert_eq!(flow.lists.side_by_side(at("d"), at("h")), Some((at("a"), at("h"))));
        assert_eq!(flow.lists.side_by_side(at("d"), at("c")), None);
    }

    #[test]
    fn what_has_ended_and_what_was_opened_are_two_questions() {
        let flow = flow(NESTED);
        let at = |id: &str| flow.find(id).unwrap();
        let all: Vec<usize> = (0..flow.len()).collect();
        let ended = flow.upstream(&all, Reach::Ended, |_| true);
        let names = |found: &[u32]| found.iter().map(|at| all[*at as usize]).collect::<Vec<_>>();
        assert_eq!(names(&ended[at("f")]), [at("b"), at("d"), at("e")]);
        assert_eq!(names(&ended[at("h")]), (0..7).collect::<Vec<_>>());
        assert!(ended[at("i")].is_empty());
        let open = flow.upstream(&[at("b")], Reach::Open, |_| true);
        let behind: Vec<usize> = (0..flow.len()).filter(|at| !open[*at].is_empty()).collect();
        assert_eq!(behind, ["c", "d", "e", "f", "g", "h"].map(at));
        assert_eq!(
            flow.are_upstream(&[(at("h"), at("g")), (at("f"), at("d")), (at("d"), at("f"))]),
            [true, true, false]
        );
    }

    #[test]
    fn a_list_whose_steps_wait_for_later_ones_is_sorted_by_itself() {
        let flow = flow(
            "  - {id: a, needs: [b]}\n  - id: b\n    group:\n      steps: [{id: c, needs: [d]}, {id: d}]\n      on_failure: [{id: e}]\n",
        );
        let named: Vec<usize> =
            ["b", "d", "c", "e", "a"].into_iter().map(|id| flow.find(id).unwrap()).collect();
        assert!(flow.find("d").is_some());
        // A step without `needs` waits for everything above it, and so for what waits for it.
        assert_eq!(flow.order().unwrap_err().len(), 2);
        let flow = self::flow(
            "  - {id: a, needs: [b]}\n  - id: b\n    needs: []\n    group:\n      steps: [{id: c, needs: [d]}, {id: d, needs: []}]\n      on_failure: [{id: e}]\n",
        );
        assert_eq!(flow.order().unwrap(), named);
    }
}
