//! What lies upstream of a step: which steps have ended when it starts, which gates were opened.
//!
//! Questions about many steps are answered for 64 of them in one pass over all steps. Nothing here recurses.

use super::flow::Flow;

/// What of a group counts for those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everything in it has ended, one way or another; what it does on a failure comes after its steps.
    Ended,
    /// Whatever stands in its steps.
    Behind,
    /// Only what must have gone well for the group to have gone well.
    Open,
}

impl Flow {
    /// For each step that `of` asks for: which of `targets` lie upstream of it, as indices into `targets`. Empty on a cycle.
    pub fn upstream(&self, targets: &[usize], reach: Reach, of: impl Fn(usize) -> bool) -> Vec<Vec<u32>> {
        self.blocks(targets, &[], reach, of)
    }

    /// As [`Flow::upstream`], but only along ways on which no step of `stop` lies between.
    pub fn nearest(&self, targets: &[usize], stop: &[bool], of: impl Fn(usize) -> bool) -> Vec<Vec<u32>> {
        self.blocks(targets, stop, Reach::Open, of)
    }

    /// Which of the pairs (step, target) have the target ended before the step starts.
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
            let masks = self.masks(chunk, &[], Reach::Ended);
            while let Some(at) = next.next_if(|at| chunk.binary_search(&pairs[*at].1).is_ok()) {
                let (step, target) = pairs[at];
                let bit = chunk.binary_search(&target).unwrap_or(0);
                out[at] = masks[step] & (1 << bit) != 0;
            }
        }
        out
    }

    fn blocks(
        &self,
        targets: &[usize],
        stop: &[bool],
        reach: Reach,
        of: impl Fn(usize) -> bool,
    ) -> Vec<Vec<u32>> {
        let mut found = vec![Vec::new(); self.len()];
        let mut block = 0;
        for chunk in targets.chunks(64) {
            let masks = self.masks(chunk, stop, reach);
            for (step, mask) in masks.iter().enumerate().filter(|(step, mask)| **mask != 0 && of(*step)) {
                found[step].extend(bits(*mask).map(|bit| block + bit));
            }
            block += 64;
        }
        found
    }

    /// Hands over 64 targets at a time, with the bits of those upstream of each step.
    pub fn each_block(&self, targets: &[usize], reach: Reach, mut take: impl FnMut(&[usize], &[u64])) {
        targets.chunks(64).for_each(|chunk| take(chunk, &self.masks(chunk, &[], reach)));
    }

    /// For each step: the bits of at most 64 targets that lie strictly upstream, not looking past `stop`.
    fn masks(&self, targets: &[usize], stop: &[bool], reach: Reach) -> Vec<u64> {
        let mut own = vec![0_u64; self.len()];
        for (bit, target) in targets.iter().enumerate() {
            own[*target] |= 1 << bit;
        }
        self.gather(&own, stop, reach)
    }

    /// For each step: the bits that steps strictly upstream own, not looking past `stop`. Zero on a cycle.
    pub fn gather(&self, own: &[u64], stop: &[bool], reach: Reach) -> Vec<u64> {
        let mut masks = vec![0_u64; self.len()];
        let Ok(order) = self.order() else { return masks };
        let exits = if stop.is_empty() {
            self.all_exits(own, reach, order)
        } else {
            self.nearest_exits(own, stop, order)
        };
        for step in order {
            let place = self.lists.places[*step];
            masks[*step] = match place.within {
                Some(group) if self.needs[*step].is_empty() => {
                    let begun = masks[group];
                    if place.handles && reach == Reach::Ended { begun | exits.of_steps[group] } else { begun }
                }
                _ => {
                    let through = |need: usize| if exits.stops[need] { 0 } else { masks[need] };
                    let needs = self.needs[*step].iter();
                    needs.fold(0, |all, need| all | own[*need] | exits.out[*need] | through(*need))
                }
            };
        }
        masks
    }

    /// What comes out of each group where nothing stands in the way.
    fn all_exits(&self, own: &[u64], reach: Reach, order: &[usize]) -> Exits {
        let mut exits = Exits::new(vec![false; self.len()]);
        for step in order.iter().rev() {
            let place = self.lists.places[*step];
            let Some(group) = place.within else { continue };
            let counts = match reach {
                Reach::Ended => true,
                Reach::Behind => !place.handles,
                Reach::Open => self.holds[*step] && !self.blind[group],
            };
            if counts {
                let all = own[*step] | exits.out[*step];
                exits.out[group] |= all;
                exits.of_steps[group] |= if place.handles { 0 } else { all };
            }
        }
        exits
    }

    /// What comes out of each group, not looking past `stop`; what cannot hold outside does not come out.
    fn nearest_exits(&self, own: &[u64], stop: &[bool], order: &[usize]) -> Exits {
        let all = self.all_exits(own, Reach::Open, order);
        let mut exits = Exits::new(stop.to_vec());
        // Within one list: the bits behind each step, and whether a way leads there past nothing that stops outside.
        let mut behind = vec![0_u64; self.len()];
        let mut free = vec![true; self.len()];
        for group in order.iter().rev() {
            let Some(list) =
                self.lists.inside(*group).next().filter(|_| !self.lists.members(*group).is_empty())
            else {
                continue;
            };
            for step in &self.lists.steps[list] {
                let needs = &self.needs[*step];
                let before = needs.iter().fold(0, |all, need| all | behind[*need]);
                let past = if exits.stops[*step] { 0 } else { before };
                behind[*step] = own[*step] | exits.out[*step] | past;
                let comes = needs.is_empty() || needs.iter().any(|need| free[*need]);
                free[*step] = comes && !(exits.stops[*step] && self.holds[*step]);
            }
            let sinks = &self.sinks[list];
            exits.out[*group] = sinks.iter().fold(0, |bits, step| bits | behind[*step]) & all.out[*group];
            exits.stops[*group] = !self.blind[*group] && !sinks.iter().any(|step| free[*step]);
        }
        exits
    }

    /// What stands above a step without `needs` is upstream of it; no search is needed.
    pub fn is_plainly_upstream(&self, step: usize, target: usize) -> bool {
        let Some((step, target)) = self.lists.side_by_side(step, target).filter(|_| self.order().is_ok())
        else {
            return false;
        };
        self.above[step] && target < step && self.lists.of[step] == self.lists.of[target]
    }
}

/// What comes out of each group.
struct Exits {
    out: Vec<u64>,
    /// As `out`, of its steps alone.
    of_steps: Vec<u64>,
    /// By step: nothing is looked for past it.
    stops: Vec<bool>,
}

impl Exits {
    fn new(stops: Vec<bool>) -> Self {
        Self { out: vec![0; stops.len()], of_steps: vec![0; stops.len()], stops }
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
