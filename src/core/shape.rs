//! The graph as a run goes through it: places, and who waits for whom. What stands inside a list or a round has a place
//! for each item once the list is known, so the shape grows with the run, and never shrinks or moves.
//!
//! Owns how a step of the graph becomes places, and what a name means where it is read. It knows no status and decides
//! nothing. Positions live in memory only: the journal names a step and the number of its item.

mod grow;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempt::Json;
use crate::plan::{Effect, Graph, GuardNode, Section, StepNode};

/// The list of the guards.
const GUARDS: usize = 2;

/// A graph with its edges as positions.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Its guards stand among its steps, behind them.
    graph: Arc<Graph>,
    /// Name to position in the graph.
    written: BTreeMap<String, usize>,
    /// By position in the graph: what it says about the whole family.
    plans: Arc<Vec<Written>>,
    places: Vec<Arc<Place>>,
    dependents: Vec<Vec<usize>>,
    lists: Vec<List>,
    frames: Vec<Frame>,
    by_name: BTreeMap<String, usize>,
    by_label: BTreeMap<String, usize>,
    by_frame: BTreeMap<(usize, usize), usize>,
    /// The newest frame that a loop made in another.
    newest: BTreeMap<(usize, usize), usize>,
    /// By position in the graph.
    places_of: Vec<Vec<usize>>,
    /// By position in the graph: items so far.
    counts: Vec<u32>,
}

/// A step of the graph, as far as it is the same at all of its places.
#[derive(Debug, PartialEq, Default)]
struct Written {
    /// Everything inside it, in the order of the graph. For loops only.
    inside: Vec<usize>,
    /// The loops around it, outermost first; not itself.
    loops: Vec<usize>,
    covered_by: Vec<usize>,
    /// By gates inside rounds that come before it: the last round's counts.
    covered_after: Vec<usize>,
}

/// One step, or one item of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    node: StepNode,
    written: usize,
    item: Option<u32>,
    frame: usize,
    list: usize,
    needs: Vec<usize>,
    covered_by: Vec<usize>,
    /// Every gate that has to be open before it starts.
    guards: Vec<usize>,
    /// Its own lists: of its steps, or of its items; and of what it does on failure.
    members: Option<usize>,
    handlers: Option<usize>,
    /// The group that its toggles are put back with.
    scope: Option<usize>,
    reverts: Vec<usize>,
}

/// Steps that come one after the other or side by side, or the items of a loop.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// The place whose list it is; none for the lists of the run: main section, `finally`, guards.
    pub owner: Option<usize>,
    pub handlers: bool,
    pub section: Section,
    pub members: Vec<usize>,
}

/// One item, or one round: where the names inside a loop are at home.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub parent: usize,
    /// The loop, as a position in the graph.
    pub of: Option<usize>,
    /// Counted from 0 along the list; an item that is done again keeps it.
    pub nth: usize,
    /// Absent where the reader lacks the disclosure.
    pub key: Option<String>,
    pub value: Option<Json>,
}

/// An item that is to be begun.
#[derive(Debug, Clone, PartialEq)]
pub struct NewItem {
    pub nth: usize,
    pub key: Option<String>,
    pub value: Option<Json>,
}

impl Shape {
    /// # Errors
    /// A graph that no plan builder makes: an unknown or repeated name, a need that does not come before or belongs to
    /// another list, steps of `finally` among the others. Stored plans are checked by this.
    pub fn new(mut graph: Graph) -> Result<Self, String> {
        // A guard has a place like any step: attempts and questions are about it.
        let guards: Vec<StepNode> = graph.guards.iter().map(GuardNode::node).collect();
        graph.steps.extend(guards);
        let mut written = BTreeMap::new();
        for (at, step) in graph.steps.iter().enumerate() {
            if written.insert(step.id.clone(), at).is_some() {
                return Err(format!("two steps are called `{}`", step.id));
            }
        }
        let plans = Arc::new(grow::families(&graph, &written)?);
        let list = |section| List { owner: None, handlers: false, section, members: Vec::new() };
        let counts = vec![0; graph.steps.len()];
        let places_of = vec![Vec::new(); graph.steps.len()];
        let mut shape = Self {
            graph: Arc::new(graph),
            written,
            plans,
            places: Vec::new(),
            dependents: Vec::new(),
            lists: vec![list(Section::Main), list(Section::Finally), list(Section::Guard)],
            frames: vec![Frame { parent: 0, of: None, nth: 0, key: None, value: None }],
            by_name: BTreeMap::new(),
            by_label: BTreeMap::new(),
            by_frame: BTreeMap::new(),
            newest: BTreeMap::new(),
            places_of,
            counts,
        };
        let mut section = Section::Main;
        for at in 0..shape.graph.steps.len() {
            let step = &shape.graph.steps[at];
            let (before, now) = (section, step.section);
            section = now;
            if rank(now) < rank(before) {
                return Err(format!("step `{}` stands in the wrong section", step.id));
            }
            if shape.plans[at].loops.is_empty() {
                shape.settle_down(at, 0)?;
            }
        }
        for at in 0..shape.graph.steps.len() {
            shape.check_needs(at)?;
        }
        Ok(shape)
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What is done at a place. For an item its name has the number: `isolate[3]`.
    pub fn node(&self, at: usize) -> &StepNode {
        &self.places[at].node
    }

    /// The step as it stands in the graph.
    pub fn written(&self, at: usize) -> &StepNode {
        &self.graph.steps[self.places[at].written]
    }

    /// Number of the item, where the step is inside a loop.
    pub fn item(&self, at: usize) -> Option<u32> {
        self.places[at].item
    }

    /// How people call it: `isolate:acme-42`, or by number where the key is not known.
    pub fn label(&self, at: usize) -> String {
        let place = &self.places[at];
        self.label_in(&self.written(at).id, place.frame).unwrap_or_else(|| place.node.id.clone())
    }

    fn label_in(&self, name: &str, frame: usize) -> Option<String> {
        let mut keys = Vec::new();
        let mut at = frame;
        while let Some(of) = self.frames[at].of {
            let key = self.frames[at].key.as_ref();
            let round = self.graph.steps[of].repeat.is_some();
            keys.push(if round { (self.frames[at].nth + 1).to_string() } else { spoken(key?) });
            at = self.frames[at].parent;
        }
        keys.reverse();
        Some(keys.iter().fold(name.to_owned(), |label, key| format!("{label}:{key}")))
    }

    /// Where a step is read: behind what stands above it, inside what it belongs to, item by item.
    pub fn reading_order(&self, name: &str) -> Vec<usize> {
        let outermost = || self.loops_with(name).into_iter().find_map(|of| self.find(&of));
        let mut order = Vec::new();
        let mut at = self.find(name).or_else(outermost);
        while let Some(place) = at {
            order.push(place);
            at = self.owner(place);
        }
        order.reverse();
        if order.is_empty() { vec![usize::MAX] } else { order }
    }

    /// By name, or as people call it.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).or_else(|| self.by_label.get(name)).copied()
    }

    /// By what the journal says.
    pub fn find_item(&self, step: &str, item: Option<u32>) -> Option<usize> {
        match item {
            None => self.by_name.get(step).copied(),
            Some(item) => self.by_name.get(&format!("{step}[{item}]")).copied(),
        }
    }

    /// What a name means where it is read: the step of the same item or round, else of what is around it, else of the
    /// last round of what has rounds.
    pub fn resolve(&self, name: &str, frame: usize) -> Option<usize> {
        self.lookup(*self.written.get(name)?, frame)
    }

    fn lookup(&self, of: usize, frame: usize) -> Option<usize> {
        self.around(of, frame).or_else(|| self.last_round(of, frame))
    }

    /// In the same item or round, or in what is around it.
    fn around(&self, of: usize, frame: usize) -> Option<usize> {
        let mut at = frame;
        loop {
            let found = self.by_frame.get(&(of, at)).copied();
            if found.is_some() || at == 0 {
                return found;
            }
            at = self.frames[at].parent;
        }
    }

    /// The frame around `frame` in which a step may be done: up from every loop that it does not stand in.
    pub fn shared(&self, name: &str, mut frame: usize) -> usize {
        let Some(at) = self.written.get(name) else { return frame };
        let own = &self.graph.steps[*at];
        let looped = own.each.is_some() || own.repeat.is_some();
        let is_around = |of: &usize| self.plans[*at].loops.contains(of) || (looped && of == at);
        while self.frames[frame].of.is_some_and(|of| !is_around(&of)) {
            frame = self.frames[frame].parent;
        }
        frame
    }

    fn last_round(&self, of: usize, frame: usize) -> Option<usize> {
        let loops = &self.plans[of].loops;
        let mut around = Vec::new();
        let mut at = frame;
        while let Some(of) = self.frames[at].of {
            around.push((of, at));
            at = self.frames[at].parent;
        }
        around.reverse();
        let common = loops.iter().zip(&around).take_while(|(a, (b, _))| *a == b).count();
        let mut at = if common == 0 { 0 } else { around[common - 1].1 };
        for inner in &loops[common..] {
            self.graph.steps[*inner].repeat?;
            at = *self.newest.get(&(*inner, at))?;
        }
        self.by_frame.get(&(of, at)).copied()
    }

    /// Where a step of the graph is done, as far as that is known by now, inside `frame`. Without what stands for all
    /// items together.
    pub fn all_of(&self, name: &str, frame: usize) -> Vec<usize> {
        let Some(of) = self.written.get(name) else { return Vec::new() };
        let frame = self.shared(name, frame);
        let within = |place: &usize| self.is_within(self.places[*place].frame, frame);
        self.places_of[*of].iter().copied().filter(|at| !self.is_whole(*at)).filter(within).collect()
    }

    /// What a question covers by this name: one item, or wherever the step is done.
    pub fn meant(&self, name: &str, frame: usize) -> Vec<usize> {
        match self.by_name.get(name) {
            Some(at) if !self.is_whole(*at) => vec![*at],
            _ => self.all_of(name, frame),
        }
    }

    /// A step as it stands in the graph: where it stands for all its items together, inside `frame`.
    pub fn wholes_of(&self, name: &str, frame: usize) -> Vec<usize> {
        let Some(of) = self.written.get(name) else { return Vec::new() };
        let of = self.places_of[*of].iter().copied();
        of.filter(|at| self.is_whole(*at) && self.is_within(self.places[*at].frame, frame)).collect()
    }

    fn is_within(&self, mut inner: usize, outer: usize) -> bool {
        while inner != outer && inner != 0 {
            inner = self.frames[inner].parent;
        }
        inner == outer
    }

    /// The loops around a step, itself included if it is one, outermost first.
    pub fn loops_with(&self, name: &str) -> Vec<String> {
        let Some(at) = self.written.get(name) else { return Vec::new() };
        let own = &self.graph.steps[*at];
        let around = self.plans[*at].loops.iter().map(|of| self.graph.steps[*of].id.clone());
        around.chain((own.each.is_some() || own.repeat.is_some()).then(|| own.id.clone())).collect()
    }

    /// How many loops are around a frame.
    pub fn depth(&self, mut frame: usize) -> usize {
        let mut depth = 0;
        while self.frames[frame].of.is_some() {
            depth += 1;
            frame = self.frames[frame].parent;
        }
        depth
    }

    /// Earlier places of the same item of the same list, newest first, where it is one that was done again.
    pub fn same_item(&self, at: usize) -> Vec<usize> {
        let place = &self.places[at];
        let before = self.places_of[place.written].iter().rev().copied().filter(|other| *other < at);
        before.filter(|other| self.is_same_item(place.frame, self.places[*other].frame)).collect()
    }

    fn is_same_item(&self, mut one: usize, mut other: usize) -> bool {
        while one != other {
            let (a, b) = (&self.frames[one], &self.frames[other]);
            let round = a.of.is_none_or(|of| self.graph.steps[of].repeat.is_some());
            if round || (a.of, a.nth) != (b.of, b.nth) {
                return false;
            }
            (one, other) = (a.parent, b.parent);
        }
        true
    }

    /// The names of the steps inside a loop.
    pub fn inside(&self, whole: usize) -> impl Iterator<Item = &String> {
        let inside = self.plans[self.places[whole].written].inside.iter();
        inside.map(|at| &self.graph.steps[*at].id)
    }

    /// What `name` means to the step at `at`; inside a list that it does not stand in, each item of it.
    pub fn meant_from(&self, name: &str, at: usize) -> Vec<usize> {
        match self.resolve(name, self.frame(at)) {
            Some(found) if !self.is_whole(found) => vec![found],
            _ => self.all_of(name, 0),
        }
    }

    /// Somebody has to open something inside it, or for each item of it.
    pub fn has_gate_inside(&self, at: usize) -> bool {
        let of = self.places[at].written;
        let mut inside = vec![false; self.graph.steps.len()];
        inside[of] = true;
        let mut gate = self.graph.steps[of].kind.is_gate();
        for (at, step) in self.graph.steps.iter().enumerate().skip(of + 1) {
            let group = step.within.as_ref().and_then(|group| self.written.get(group));
            inside[at] = group.is_some_and(|group| inside[*group]);
            gate |= inside[at] && step.kind.is_gate();
        }
        gate
    }

    pub fn frame(&self, at: usize) -> usize {
        self.places[at].frame
    }

    pub fn frame_of(&self, frame: usize) -> &Frame {
        &self.frames[frame]
    }

    pub fn needs(&self, at: usize) -> &[usize] {
        &self.places[at].needs
    }

    pub fn dependents(&self, at: usize) -> &[usize] {
        &self.dependents[at]
    }

    /// The gates whose approval binds it.
    pub fn covered_by(&self, at: usize) -> impl Iterator<Item = usize> {
        let place = &self.places[at];
        let rounds = self.plans[place.written].covered_after.iter();
        let rounds = rounds.filter_map(move |gate| self.last_round(*gate, place.frame));
        place.covered_by.iter().copied().chain(rounds)
    }

    /// The gates that cover it, stand among its needs or are named by it, and those of everything around it.
    pub fn guards(&self, at: usize) -> impl Iterator<Item = usize> {
        let place = &self.places[at];
        let covered = self.plans[place.written].covered_after.iter();
        let named = place.node.gates.iter().filter_map(|gate| self.written.get(gate));
        let after = covered.chain(named).filter(|gate| self.around(**gate, place.frame).is_none());
        let rounds = after.filter_map(move |gate| self.last_round(*gate, place.frame));
        place.guards.iter().copied().chain(rounds)
    }

    pub fn is_main(&self, at: usize) -> bool {
        self.lists[self.places[at].list].section == Section::Main
    }

    /// It is no step, but a guard.
    pub fn is_guard(&self, at: usize) -> bool {
        self.places[at].list == GUARDS
    }

    /// The guards of the main section.
    pub fn watch(&self) -> &[usize] {
        &self.lists[GUARDS].members
    }

    /// What it does is not begun unless every guard holds.
    pub fn is_guarded(&self, at: usize) -> bool {
        self.is_main(at) && self.places[at].node.effect != Effect::Read && !self.watch().is_empty()
    }

    /// The list it stands in.
    pub fn list(&self, at: usize) -> usize {
        self.places[at].list
    }

    pub fn lists(&self) -> &[List] {
        &self.lists
    }

    /// The group or the loop it belongs to.
    pub fn owner(&self, at: usize) -> Option<usize> {
        self.lists[self.places[at].list].owner
    }

    /// It stands for all items or rounds together.
    pub fn is_whole(&self, at: usize) -> bool {
        let node = &self.places[at].node;
        node.each.is_some() || node.repeat.is_some()
    }

    /// It has steps or items of its own.
    pub fn is_compound(&self, at: usize) -> bool {
        self.places[at].members.is_some()
    }

    /// The list of its steps or items.
    pub fn members(&self, at: usize) -> Option<usize> {
        self.places[at].members
    }

    pub fn handlers(&self, at: usize) -> Option<usize> {
        self.places[at].handlers
    }

    pub fn scope(&self, at: usize) -> Option<usize> {
        self.places[at].scope
    }

    pub fn reverts(&self, at: usize) -> &[usize] {
        &self.places[at].reverts
    }
}

/// Sections in the order in which a graph has them.
const fn rank(section: Section) -> u8 {
    match section {
        Section::Main => 0,
        Section::Finally => 1,
        Section::Guard => 2,
    }
}

/// A key as it stands in the name of an item: small letters, digits and `-`; else its slug and a short hash.
fn spoken(key: &str) -> String {
    use sha2::Digest;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !key.is_empty() && key.len() <= 60 && key.chars().all(plain) {
        return key.to_owned();
    }
    let hash: String = sha2::Sha256::digest(key).iter().take(3).map(|byte| format!("{byte:02x}")).collect();
    let slug: String = key
        .chars()
        .take(40)
        .map(|c| if plain(c.to_ascii_lowercase()) { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let slug = slug.trim_matches('-');
    if slug.is_empty() { hash } else { format!("{slug}-{hash}") }
}
