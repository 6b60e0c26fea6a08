//! The places of a run, as the model of these tests sees them: a step that is done once has its own name, what stands
//! inside a list or a round has a name with a number for each item. Plain and slow, and no code of the core.

use sha2::Digest;
use std::collections::BTreeMap;

use consigne::plan::*;

/// One step, or one item of one.
#[derive(Debug, Clone)]
pub struct Place {
    pub name: String,
    /// Its position in the graph.
    pub at: usize,
    /// What is done there: for an item, without what is about the whole.
    pub node: StepNode,
    /// The item or round it is in, by the name of its place; empty outside all.
    pub frame: String,
    /// The group, or the list or rounds, that it stands in.
    pub owner: Option<String>,
    pub handles: bool,
    /// It stands for all items or rounds together.
    pub whole: bool,
    /// For an item or a round: which, counted from 0. One that is done again keeps it.
    pub nth: Option<usize>,
    /// How people call it, where all names around it are known.
    pub label: String,
    pub key: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Places {
    pub all: BTreeMap<String, Place>,
    /// In the order in which they were made.
    pub order: Vec<String>,
    by_frame: BTreeMap<(String, String), String>,
    counts: BTreeMap<String, u32>,
}

/// The name of a place, from what an event or an attempt says.
pub fn named(step: &str, item: Option<u32>) -> String {
    item.map_or_else(|| step.to_owned(), |item| format!("{step}[{item}]"))
}

/// The loops around a step of the graph, outermost first.
pub fn loops(graph: &Graph, step: &StepNode) -> Vec<String> {
    let mut out = Vec::new();
    let mut at = step.within.as_ref();
    while let Some(group) = at.and_then(|name| graph.steps.iter().find(|other| other.id == *name)) {
        if is_loop(group) {
            out.push(group.id.clone());
        }
        at = group.within.as_ref();
    }
    out.reverse();
    out
}

pub fn is_loop(node: &StepNode) -> bool {
    node.each.is_some() || node.repeat.is_some()
}

impl Places {
    pub fn new(graph: &Graph) -> Self {
        let mut places = Self::default();
        for (at, step) in graph.steps.iter().enumerate() {
            if loops(graph, step).is_empty() {
                places.make(graph, at, "", None);
            }
        }
        places
    }

    /// `item`: it is an item or round of that place.
    fn make(&mut self, graph: &Graph, at: usize, frame: &str, item: Option<(&Place, usize, Option<String>)>) {
        let step = &graph.steps[at];
        let numbered = !frame.is_empty() || item.is_some();
        let count = self.counts.entry(step.id.clone()).or_default();
        *count += u32::from(numbered);
        let name = named(&step.id, numbered.then_some(*count));
        let inner = if item.is_some() { name.clone() } else { frame.to_owned() };
        let owner = match (&item, &step.within) {
            (Some((whole, ..)), _) => Some(whole.name.clone()),
            (None, Some(group)) => self.by_frame.get(&(frame.to_owned(), group.clone())).cloned(),
            (None, None) => None,
        };
        let mut node = StepNode { id: name.clone(), ..step.clone() };
        let about_each = step.each.as_ref().is_some_and(|each| each.when_each);
        let (mut label, mut key, mut nth) = (String::new(), None, None);
        if let Some((whole, number, of)) = item {
            node.conditional = step.conditional && about_each;
            (node.each, node.repeat, node.above, node.allowed) = (None, None, false, false);
            (node.needs, node.gates, node.run_on) = (Vec::new(), Vec::new(), RunOn::Success);
            let spoken = of.as_deref().map_or_else(|| (number + 1).to_string(), spoken);
            let around = whole.label.strip_prefix(&step.id).unwrap_or_default();
            label = format!("{}{around}:{spoken}", step.id);
            (key, nth) = (of, Some(number));
        } else {
            node.conditional = step.conditional && !about_each;
            let around = self.all.get(frame).map(|item| {
                let step = item.label.split(':').next().unwrap_or_default();
                item.label[step.len()..].to_owned()
            });
            label.push_str(&step.id);
            label.push_str(&around.unwrap_or_default());
        }
        let place = Place {
            name: name.clone(),
            at,
            whole: is_loop(&node),
            node,
            frame: inner.clone(),
            owner,
            handles: step.handles && nth.is_none(),
            nth,
            label,
            key,
        };
        self.by_frame.insert((inner, step.id.clone()), name.clone());
        self.order.push(name.clone());
        self.all.insert(name, place);
    }

    /// Items or rounds of `whole`: which, and their names.
    pub fn expand(&mut self, graph: &Graph, whole: &str, items: &[(usize, Option<String>)]) {
        let whole = self.all[whole].clone();
        let id = &graph.steps[whole.at].id;
        for (nth, key) in items {
            self.make(graph, whole.at, &whole.frame, Some((&whole, *nth, key.clone())));
            let frame = self.order.last().cloned().unwrap_or_default();
            for (at, step) in graph.steps.iter().enumerate() {
                if loops(graph, step).last() == Some(id) {
                    self.make(graph, at, &frame, None);
                }
            }
        }
    }

    /// What a step of the graph is, seen from a frame: there, or further out, or in the newest round.
    pub fn resolve(&self, graph: &Graph, step: &str, frame: &str) -> Option<&Place> {
        let frames = self.frames(frame);
        for frame in &frames {
            if let Some(name) = self.by_frame.get(&(frame.clone(), step.to_owned())) {
                return self.all.get(name);
            }
        }
        let node = graph.steps.iter().find(|other| other.id == step)?;
        let mut at = String::new();
        for around in loops(graph, node) {
            let known =
                frames.iter().find(|frame| self.all.get(*frame).is_some_and(|p| id_of(&p.name) == around));
            at = match known {
                Some(frame) => frame.clone(),
                None => {
                    let whole = self.by_frame.get(&(at, around))?;
                    self.all[whole].node.repeat?;
                    self.items(whole).last()?.name.clone()
                }
            };
        }
        self.by_frame.get(&(at, step.to_owned())).and_then(|name| self.all.get(name))
    }

    /// A frame and those around it, innermost first.
    pub fn frames(&self, frame: &str) -> Vec<String> {
        let mut out = vec![frame.to_owned()];
        let mut at = frame.to_owned();
        while let Some(item) = self.all.get(&at) {
            let whole = item.owner.clone().unwrap_or_default();
            at.clone_from(&self.all[&whole].frame);
            out.push(at.clone());
        }
        out
    }

    /// Items and rounds of a place, or the steps of its list, in the order in which they were made.
    pub fn items(&self, owner: &str) -> impl DoubleEndedIterator<Item = &Place> {
        self.list(Some(owner), false)
    }

    pub fn list(&self, owner: Option<&str>, handles: bool) -> impl DoubleEndedIterator<Item = &Place> {
        let own = move |place: &&Place| place.owner.as_deref() == owner && place.handles == handles;
        self.order.iter().map(|name| &self.all[name]).filter(own)
    }

    /// Everything that a place belongs to, innermost first.
    pub fn around(&self, name: &str) -> Vec<&Place> {
        let mut out = Vec::new();
        let mut at = self.all.get(name).and_then(|place| place.owner.as_ref());
        while let Some(owner) = at.and_then(|owner| self.all.get(owner)) {
            out.push(owner);
            at = owner.owner.as_ref();
        }
        out
    }

    /// Everything inside a place.
    pub fn inside(&self, name: &str) -> Vec<String> {
        let within = |place: &&String| self.around(place).iter().any(|owner| owner.name == name);
        self.order.iter().filter(within).cloned().collect()
    }

    /// The newest of the items with that number.
    pub fn newest(&self, whole: &str) -> BTreeMap<usize, &Place> {
        self.items(whole).filter_map(|item| Some((item.nth?, item))).collect()
    }

    /// The group that its toggles are put back with.
    pub fn scope(&self, name: &str) -> Option<String> {
        self.around(name).into_iter().find(|owner| !owner.whole).map(|owner| owner.name.clone())
    }
}

/// The name that a step has in the graph.
pub fn id_of(place: &str) -> &str {
    place.split('[').next().unwrap_or_default()
}

/// A key as the language writes it in the name of an item: as it is, or its slug and a short hash.
fn spoken(key: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=60).contains(&key.len()) && key.chars().all(plain) {
        return key.to_owned();
    }
    let digest = sha2::Sha256::digest(key);
    let hash: String = digest.iter().take(3).map(|byte| format!("{byte:02x}")).collect();
    let dashed = |c: char| if plain(c.to_ascii_lowercase()) { c.to_ascii_lowercase() } else { '-' };
    let slug: String = key.chars().take(40).map(dashed).collect();
    match slug.trim_matches('-') {
        "" => hash,
        slug => format!("{slug}-{hash}"),
    }
}
