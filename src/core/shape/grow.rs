//! How a shape comes to be and grows: each step of the graph gets its place, and each item of a loop gets places for
//! everything inside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Frame, List, NewItem, Place, Shape, Written};
use crate::plan::{Graph, Kind, RunOn, Section, StepNode};

impl Shape {
    /// Gives a step its place in a frame.
    pub(super) fn settle_down(&mut self, at: usize, frame: usize) -> Result<usize, String> {
        let list = self.list_for(at, frame)?;
        let graph = self.graph.clone();
        let step = &graph.steps[at];
        let item = (frame != 0).then(|| {
            self.counts[at] += 1;
            self.counts[at]
        });
        let node = self.node_for(at, frame, item);
        let resolve = |names: &[String]| -> Vec<usize> {
            names.iter().filter_map(|name| self.resolve(name, frame)).collect()
        };
        let (needs, reverts) = (resolve(&node.needs), resolve(&node.reverts));
        let named: Vec<usize> =
            node.gates.iter().filter_map(|gate| self.written.get(gate).copied()).collect();
        let gates = self.plans[at].covered_by.iter();
        let covered_by: Vec<usize> = gates.filter_map(|gate| self.around(*gate, frame)).collect();
        let owner = self.lists[list].owner;
        let mut guards: Vec<usize> =
            needs.iter().copied().filter(|need| self.node(*need).kind.is_gate()).collect();
        guards.extend(covered_by.iter().copied());
        guards.extend(named.iter().filter_map(|gate| self.around(*gate, frame)));
        guards.extend(owner.into_iter().flat_map(|owner| self.places[owner].guards.iter().copied()));
        guards.sort_unstable();
        guards.dedup();
        let scope =
            owner.and_then(|owner| if self.is_whole(owner) { self.places[owner].scope } else { Some(owner) });
        let place = self.places.len();
        let whole = node.each.is_some() || node.repeat.is_some();
        let members = (whole || node.kind == Kind::Group).then(|| self.add_list(place, false, step.section));
        let handlers = node.group.filter(|group| group.handlers && !whole);
        let handlers = handlers.map(|_| self.add_list(place, true, step.section));
        needs.iter().for_each(|need| self.dependents[*need].push(place));
        self.dependents.push(Vec::new());
        self.lists[list].members.push(place);
        self.by_name.insert(node.id.clone(), place);
        self.by_frame.insert((at, frame), place);
        self.places_of[at].push(place);
        if let Some(label) = self.label_in(&step.id, frame) {
            self.by_label.insert(label, place);
        }
        let written = at;
        let place_of = Place {
            node,
            written,
            item,
            frame,
            list,
            needs,
            covered_by,
            guards,
            members,
            handlers,
            scope,
            reverts,
        };
        self.places.push(Arc::new(place_of));
        Ok(place)
    }

    /// The list that a step joins in a frame.
    fn list_for(&self, at: usize, frame: usize) -> Result<usize, String> {
        let step = &self.graph.steps[at];
        let list = if self.frames[frame].of == Some(at) {
            let parent = self.frames[frame].parent;
            self.by_frame.get(&(at, parent)).and_then(|whole| self.places[*whole].members)
        } else if let Some(group) = &step.within {
            let group = self.written.get(group).and_then(|group| self.by_frame.get(&(*group, frame)));
            let lists = group.map(|group| (self.places[*group].members, self.places[*group].handlers));
            lists.and_then(|(members, handlers)| if step.handles { handlers } else { members })
        } else {
            Some(match step.section {
                Section::Main => 0,
                Section::Finally => 1,
                Section::Guard => super::GUARDS,
            })
        };
        list.ok_or_else(|| format!("step `{}` stands in no list", step.id))
    }

    /// What is done at a place: of a loop, what is about each item, or what is about the whole.
    fn node_for(&self, at: usize, frame: usize, item: Option<u32>) -> StepNode {
        let mut node = self.graph.steps[at].clone();
        if let Some(item) = item {
            node.id = format!("{}[{item}]", node.id);
        }
        let when_each = node.each.as_ref().is_some_and(|each| each.when_each);
        if self.frames[frame].of == Some(at) {
            node.conditional &= when_each;
            (node.each, node.repeat) = (None, None);
            (node.needs, node.gates) = (Vec::new(), Vec::new());
            (node.above, node.allowed, node.run_on) = (false, false, RunOn::Success);
            node.on_failure = None;
        } else if when_each {
            node.conditional = false;
        }
        node
    }

    fn add_list(&mut self, owner: usize, handlers: bool, section: Section) -> usize {
        self.lists.push(List { owner: Some(owner), handlers, section, members: Vec::new() });
        self.lists.len() - 1
    }

    /// Gives the items of a loop their places, and everything inside each its own.
    ///
    /// # Errors
    /// A graph that [`Shape::new`] would have refused.
    pub fn expand(&mut self, whole: usize, items: Vec<NewItem>) -> Result<(), String> {
        let (of, parent) = (self.places[whole].written, self.places[whole].frame);
        let plans = self.plans.clone();
        for NewItem { nth, key, value } in items {
            let frame = self.frames.len();
            self.frames.push(Frame { parent, of: Some(of), nth, key, value });
            self.newest.insert((of, parent), frame);
            self.settle_down(of, frame)?;
            // What is inside a loop inside this one waits for that one.
            for at in &plans[of].inside {
                if plans[*at].loops.last() == Some(&of) {
                    self.settle_down(*at, frame)?;
                }
            }
        }
        Ok(())
    }

    /// Needs, reverts and named gates are of the same list or around it.
    pub(super) fn check_needs(&self, at: usize) -> Result<(), String> {
        let step = &self.graph.steps[at];
        for name in &step.needs {
            let need =
                self.written.get(name).filter(|need| **need < at).ok_or_else(|| {
                    format!("step `{}` needs `{name}`, which does not come before it", step.id)
                })?;
            let other = &self.graph.steps[*need];
            if (other.section, &other.within, other.handles) != (step.section, &step.within, step.handles) {
                return Err(format!("step `{}` needs `{name}` of another list", step.id));
            }
        }
        // A gate inside a loop that is over is looked up when it counts.
        for name in step.gates.iter().chain(&step.reverts) {
            let known = self.written.get(name).filter(|other| **other < at);
            let gate = step.gates.contains(name);
            let around = known.is_some_and(|other| {
                let (inner, outer) = (&self.plans[at].loops, &self.plans[*other].loops);
                gate || inner.starts_with(outer)
            });
            if !around {
                return Err(format!("step `{}` names `{name}`, which does not come before it", step.id));
            }
        }
        Ok(())
    }
}

/// What a graph says about its steps beyond what stands in each.
pub(super) fn families(graph: &Graph, written: &BTreeMap<String, usize>) -> Result<Vec<Written>, String> {
    let mut all: Vec<Written> = Vec::with_capacity(graph.steps.len());
    for (at, step) in graph.steps.iter().enumerate() {
        let mut loops = Vec::new();
        if let Some(group) = &step.within {
            let group = *written.get(group).filter(|group| **group < at).ok_or_else(|| {
                format!("step `{}` belongs to `{group}`, which does not come before it", step.id)
            })?;
            let around = &graph.steps[group];
            if around.kind != Kind::Group || around.section != step.section {
                return Err(format!(
                    "step `{}` belongs to `{}`, which is no group of its section",
                    step.id, around.id
                ));
            }
            if step.handles && !around.group.is_some_and(|group| group.handlers) {
                return Err(format!("group `{}` does nothing on failure, but `{}` does", around.id, step.id));
            }
            loops.clone_from(&all[group].loops);
            if around.each.is_some() || around.repeat.is_some() {
                loops.push(group);
            }
        } else if step.handles {
            return Err(format!("step `{}` belongs to no group", step.id));
        }
        if step.repeat.is_some() && (step.each.is_some() || step.kind != Kind::Group) {
            return Err(format!("step `{}` is no group with rounds", step.id));
        }
        if step.each.is_some() && matches!(step.kind, Kind::End | Kind::Revert) {
            return Err(format!("step `{}` cannot be done item by item", step.id));
        }
        for around in &loops {
            all[*around].inside.push(at);
        }
        all.push(Written { loops, ..Written::default() });
    }
    for (at, step) in graph.steps.iter().enumerate() {
        for name in step.gate.iter().flat_map(|gate| &gate.covers) {
            let covered = *written
                .get(name)
                .ok_or_else(|| format!("`{}` covers `{name}`, which is no step", step.id))?;
            let gate = own_loops(&all, graph, at);
            let common = gate.iter().zip(&all[covered].loops).take_while(|(a, b)| a == b).count();
            let rounds = |of: &usize| *of != at && graph.steps[*of].repeat.is_some();
            if covered <= at || !gate[common..].iter().all(rounds) {
                return Err(format!("`{}` covers `{name}`, which does not come after it", step.id));
            }
            let rounds = common < gate.len();
            let by = &mut all[covered];
            if rounds { by.covered_after.push(at) } else { by.covered_by.push(at) }
        }
    }
    Ok(all)
}

/// The loops around a step, itself included if it is one.
fn own_loops(all: &[Written], graph: &Graph, at: usize) -> Vec<usize> {
    let mut loops = all[at].loops.clone();
    if graph.steps[at].each.is_some() || graph.steps[at].repeat.is_some() {
        loops.push(at);
    }
    loops
}
