//! Which step waits for which: the order of a runbook, and questions about what lies upstream.
//!
//! Everything here is iterative and close to linear in steps and edges; questions about many steps are answered for
//! 64 of them in one pass.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};

use super::schema::{Runbook, Step};

/// The graph of a runbook. Steps are counted from 0: the main list, then `finally`.
#[derive(Debug)]
pub struct Flow {
    /// By step: what it waits for. Without `needs`: the steps above it that nothing else above waits for.
    pub needs: Vec<Vec<usize>>,
    /// By step: it waits for everything above it in its list.
    pub above: Vec<bool>,
    /// Index of the first step of `finally`.
    pub main: usize,
    names: BTreeMap<String, usize>,
    order: Result<Vec<usize>, Vec<usize>>,
}

impl Flow {
    pub fn new(runbook: &Runbook) -> Self {
        let main = runbook.steps.len();
        let steps: Vec<&Step> = steps(runbook).collect();
        let mut names = BTreeMap::new();
        for (at, step) in steps.iter().enumerate() {
            if let Some(id) = &step.id {
                names.entry(id.value.clone()).or_insert(at);
            }
        }
        let mut needs = Vec::with_capacity(steps.len());
        let mut above = Vec::with_capacity(steps.len());
        let mut frontier = Frontier::new(steps.len());
        for (at, step) in steps.iter().enumerate() {
            if at == main {
                frontier = Frontier::new(steps.len());
            }
            let same_list = |other: &usize| (*other < main) == (at < main) && *other != at;
            let wanted = match &step.needs {
                None => frontier.sinks(),
                Some(ids) => {
                    ids.iter().filter_map(|id| names.get(&id.value).copied()).filter(same_list).collect()
                }
            };
            frontier.add(at, &wanted, step.needs.is_none());
            above.push(step.needs.is_none());
            needs.push(wanted);
        }
        let order = sorted(&needs);
        Self { needs, above, main, names, order }
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

    /// The steps in an order that respects `needs` and follows the file where it can; on a cycle, its steps.
    pub fn order(&self) -> Result<&[usize], &[usize]> {
        self.order.as_deref().map_err(Vec::as_slice)
    }

    /// For each step that `of` asks for: which of `targets` lie upstream of it, as indices into `targets`. Empty on a cycle.
    pub fn upstream(&self, targets: &[usize], of: impl Fn(usize) -> bool) -> Vec<Vec<u32>> {
        self.blocks(targets, &[], of)
    }

    /// As [`Flow::upstream`], but only along ways on which no step of `stop` lies between.
    pub fn nearest(&self, targets: &[usize], stop: &[bool], of: impl Fn(usize) -> bool) -> Vec<Vec<u32>> {
        self.blocks(targets, stop, of)
    }

    /// Which of the pairs (step, target) have the target upstream of the step.
    pub fn are_upstream(&self, pairs: &[(usize, usize)]) -> Vec<bool> {
        let mut out: Vec<bool> =
            pairs.iter().map(|(step, target)| self.is_plainly_upstream(*step, *target)).collect();
        let open = |at: &usize| !out[*at];
        let mut by_target: Vec<usize> = (0..pairs.len()).filter(open).collect();
        by_target.sort_by_key(|at| pairs[*at].1);
        let mut targets: Vec<usize> = by_target.iter().map(|at| pairs[*at].1).collect();
        targets.dedup();
        let mut next = by_target.into_iter().peekable();
        for chunk in targets.chunks(64) {
            let masks = self.masks(chunk, &[]);
            while let Some(at) = next.next_if(|at| chunk.binary_search(&pairs[*at].1).is_ok()) {
                let (step, target) = pairs[at];
                let bit = chunk.binary_search(&target).unwrap_or(0);
                out[at] = masks[step] & (1 << bit) != 0;
            }
        }
        out
    }

    fn blocks(&self, targets: &[usize], stop: &[bool], of: impl Fn(usize) -> bool) -> Vec<Vec<u32>> {
        let mut found = vec![Vec::new(); self.len()];
        let mut block = 0;
        self.each_block(targets, stop, |_, masks| {
            for (step, mask) in masks.iter().enumerate().filter(|(step, _)| of(*step)) {
                found[step].extend(bits(*mask).map(|bit| block + bit));
            }
            block += 64;
        });
        found
    }

    /// Hands over 64 targets at a time, with the bits of those upstream of each step.
    pub fn each_block(&self, targets: &[usize], stop: &[bool], mut take: impl FnMut(&[usize], &[u64])) {
        targets.chunks(64).for_each(|chunk| take(chunk, &self.masks(chunk, stop)));
    }

    /// For each step: the bits of at most 64 targets that lie strictly upstream, not looking past `stop`.
    fn masks(&self, targets: &[usize], stop: &[bool]) -> Vec<u64> {
        let mut own = vec![0_u64; self.len()];
        for (bit, target) in targets.iter().enumerate() {
            own[*target] |= 1 << bit;
        }
        self.gather(&own, stop)
    }

    /// For each step: the bits that steps strictly upstream own, not looking past `stop`. Zero on a cycle.
    pub fn gather(&self, own: &[u64], stop: &[bool]) -> Vec<u64> {
        let passes = |step: usize| !stop.get(step).is_some_and(|stop| *stop);
        let mut masks = vec![0_u64; self.len()];
        for step in self.order.as_deref().unwrap_or(&[]) {
            let through = |need: usize| if passes(need) { masks[need] } else { 0 };
            masks[*step] = self.needs[*step].iter().fold(0, |all, need| all | own[*need] | through(*need));
        }
        masks
    }

    /// What stands above a step without `needs` is upstream of it; no search is needed.
    fn is_plainly_upstream(&self, step: usize, target: usize) -> bool {
        self.above[step] && target < step && (target < self.main) == (step < self.main) && self.order.is_ok()
    }

    /// A way from a step that waits for nothing to `step`, first to last.
    pub fn path_to(&self, step: usize) -> Vec<usize> {
        let mut path = vec![step];
        let mut at = step;
        while let Some(need) = self.needs[at].first() {
            if path.len() > self.len() {
                break;
            }
            path.push(*need);
            at = *need;
        }
        path.reverse();
        path
    }
}

/// The places of the bits that are set.
pub fn bits(mask: u64) -> impl Iterator<Item = u32> {
    let mut rest = mask;
    std::iter::from_fn(move || {
        let bit = rest.trailing_zeros();
        rest &= rest.checked_sub(1)?;
        Some(bit)
    })
}

/// Every step, those of `finally` last.
pub fn steps(runbook: &Runbook) -> impl Iterator<Item = &Step> {
    runbook.steps.iter().chain(runbook.finally.iter().flatten())
}

/// The steps above, kept as those that nothing above waits for.
struct Frontier {
    needed: Vec<bool>,
    sinks: Vec<usize>,
}

impl Frontier {
    fn new(steps: usize) -> Self {
        Self { needed: vec![false; steps], sinks: Vec::new() }
    }

    fn sinks(&self) -> Vec<usize> {
        self.sinks.iter().copied().filter(|step| !self.needed[*step]).collect()
    }

    /// `above`: the step waits for all the others, so that it alone is loose.
    fn add(&mut self, step: usize, needs: &[usize], above: bool) {
        for need in needs {
            self.needed[*need] = true;
        }
        if above {
            self.sinks.clear();
        }
        self.sinks.push(step);
    }
}

/// An order that respects `needs`: that of the file wherever no step needs a later one; else a cycle.
fn sorted(needs: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    if needs.iter().enumerate().all(|(step, wanted)| wanted.iter().all(|need| *need < step)) {
        return Ok((0..needs.len()).collect());
    }
    let mut graph = DiGraph::<(), (), usize>::default();
    needs.iter().for_each(|_| {
        graph.add_node(());
    });
    for (step, wanted) in needs.iter().enumerate() {
        wanted.iter().for_each(|need| {
            graph.add_edge(NodeIndex::new(*need), NodeIndex::new(step), ());
        });
    }
    match toposort(&graph, None) {
        Ok(order) => Ok(order.into_iter().map(NodeIndex::index).collect()),
        Err(_) => Err(cycle(&graph, needs)),
    }
}

/// The steps of one cycle, each needing the one before it.
fn cycle(graph: &DiGraph<(), (), usize>, needs: &[Vec<usize>]) -> Vec<usize> {
    let knots = tarjan_scc(graph).into_iter().map(|knot| knot.into_iter().map(NodeIndex::index).collect());
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
        assert_eq!(flow.upstream(&[0, 4], |_| true)[5], [0, 1]);
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
}
