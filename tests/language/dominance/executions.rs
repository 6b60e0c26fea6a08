//! What may happen: every execution of a small graph, by the rules of the language and nothing else.
//!
//! Conditions hold or not, gates are opened or not, steps succeed or fail, lists have no item or one, rounds are enough
//! or not. Gates are decided as late as can be, in every order: whatever may start without one has started before.

use std::collections::BTreeMap;

use super::graphs::{Graph, Kind, Node, RunOn};

/// Executions of one graph, at most.
const MOST: usize = 6_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Failed,
    Rejected,
    When,
    NotNeeded,
    Upstream,
}

/// What every execution together shows of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    pub starts: bool,
    /// It started, and no gate in front of it had been opened.
    pub bypassed: bool,
}

/// What all executions show of dangerous steps; `None` if there are too many.
pub fn all(graph: &Graph) -> Option<BTreeMap<usize, Seen>> {
    let mut seen: BTreeMap<usize, Seen> = BTreeMap::new();
    let mut script: Vec<(usize, usize)> = Vec::new();
    for _ in 0..MOST {
        let mut run = Run::new(graph, script);
        run.whole();
        for (id, bypassed) in run.started {
            let entry = seen.entry(id).or_default();
            entry.starts = true;
            entry.bypassed |= bypassed;
        }
        script = run.script;
        while let Some((choice, of)) = script.pop() {
            if choice + 1 < of {
                script.push((choice + 1, of));
                break;
            }
        }
        if script.is_empty() {
            return Some(seen);
        }
    }
    None
}

/// One step, item, or round.
struct Inst<'a> {
    node: &'a Node,
    /// The list it stands in.
    list: usize,
    /// Items and rounds around it: the step that is gone through, and which.
    frames: Vec<(usize, usize)>,
    /// An item or round, no longer the whole.
    body: bool,
    begun: bool,
    status: Option<Status>,
    /// Its lists, items or rounds.
    inside: Vec<usize>,
    handling: bool,
}

struct List {
    insts: Vec<usize>,
    parallel: bool,
    owner: Option<usize>,
}

struct Run<'a> {
    graph: &'a Graph,
    script: Vec<(usize, usize)>,
    at: usize,
    insts: Vec<Inst<'a>>,
    lists: Vec<List>,
    conditions: [Option<bool>; 2],
    ended: bool,
    started: Vec<(usize, bool)>,
}

impl<'a> Run<'a> {
    fn new(graph: &'a Graph, script: Vec<(usize, usize)>) -> Self {
        let (insts, lists) = (Vec::new(), Vec::new());
        Self { graph, script, at: 0, insts, lists, conditions: [None; 2], ended: false, started: Vec::new() }
    }

    fn choose(&mut self, of: usize) -> usize {
        if self.at == self.script.len() {
            self.script.push((0, of));
        }
        self.at += 1;
        self.script[self.at - 1].0
    }

    fn flip(&mut self) -> bool {
        self.choose(2) == 0
    }

    fn whole(&mut self) {
        for nodes in [&self.graph.main, &self.graph.finally] {
            self.ended = false;
            self.lay(nodes, false, None, &[]);
            while !self.ended && self.advance() {}
            // What has not begun by now never will.
            for inst in &mut self.insts {
                inst.status = inst.status.or(Some(Status::Upstream));
            }
        }
    }

    fn lay(
        &mut self,
        nodes: &'a [Node],
        parallel: bool,
        owner: Option<usize>,
        frames: &[(usize, usize)],
    ) -> usize {
        let list = self.lists.len();
        self.lists.push(List { insts: Vec::new(), parallel, owner });
        for node in nodes {
            self.put(node, list, frames.to_vec(), false);
        }
        list
    }

    fn put(&mut self, node: &'a Node, list: usize, frames: Vec<(usize, usize)>, body: bool) {
        self.lists[list].insts.push(self.insts.len());
        self.insts.push(Inst {
            node,
            list,
            frames,
            body,
            begun: false,
            status: None,
            inside: Vec::new(),
            handling: false,
        });
    }

    /// One thing that happens; false when nothing is left.
    fn advance(&mut self) -> bool {
        let ready: Vec<usize> = (0..self.insts.len()).filter(|at| self.is_ready(*at)).collect();
        let mut gates = Vec::new();
        for at in ready {
            if let Some(skip) = self.skipped(at) {
                self.insts[at].status = Some(skip);
                return true;
            }
            if self.is_loop(at) || self.insts[at].node.kind != Kind::Gate {
                self.begin(at);
                return true;
            }
            gates.push(at);
        }
        if let Some(at) = (0..self.insts.len()).rev().find(|at| self.is_through(*at)) {
            self.conclude(at);
            return true;
        }
        if gates.is_empty() {
            return false;
        }
        let next = if gates.len() == 1 { 0 } else { self.choose(gates.len()) };
        let gate = gates[next];
        let open = self.flip();
        self.insts[gate].status = Some(if open { Status::Ok } else { Status::Rejected });
        self.ended |= !open && !self.insts[gate].node.reject_continues;
        true
    }

    fn is_loop(&self, at: usize) -> bool {
        let inst = &self.insts[at];
        !inst.body && (inst.node.each || inst.node.repeat)
    }

    fn needs(&self, at: usize) -> Vec<usize> {
        let inst = &self.insts[at];
        let list = &self.lists[inst.list];
        let before = list.insts.iter().copied().take_while(|other| *other != at);
        match &inst.node.needs {
            _ if inst.body => Vec::new(),
            Some(ids) => before.filter(|other| ids.contains(&self.insts[*other].node.id)).collect(),
            None if list.parallel => Vec::new(),
            None => before.collect(),
        }
    }

    fn is_ready(&self, at: usize) -> bool {
        let inst = &self.insts[at];
        let over = self.lists[inst.list].owner.is_some_and(|owner| self.insts[owner].status.is_some());
        inst.status.is_none()
            && !inst.begun
            && !over
            && self.needs(at).iter().all(|need| self.insts[*need].status.is_some())
    }

    fn satisfies(&self, at: usize) -> bool {
        match self.insts[at].status {
            Some(Status::Ok | Status::When) => true,
            Some(Status::NotNeeded) => self.insts[at].node.kind != Kind::Gate,
            _ => false,
        }
    }

    /// Why it does not take place, if so. `when` is judged last.
    fn skipped(&mut self, at: usize) -> Option<Status> {
        let node = self.insts[at].node;
        if self.insts[at].body {
            return None;
        }
        let needs = self.needs(at);
        if node.run_on == RunOn::Success {
            if !needs.iter().all(|need| self.satisfies(*need)) {
                return Some(Status::Upstream);
            }
        } else {
            let mut upstream = Vec::new();
            self.upstream(at, &mut upstream);
            if upstream.iter().any(|other| self.is_shut(*other, true)) {
                return Some(Status::Upstream);
            }
            let failed = needs.iter().any(|need| self.insts[*need].status == Some(Status::Failed));
            if node.run_on == RunOn::Failure && !failed {
                return Some(Status::NotNeeded);
            }
        }
        let when = node.when?;
        if self.conditions[when].is_none() {
            self.conditions[when] = Some(self.flip());
        }
        (self.conditions[when] == Some(false)).then_some(Status::When)
    }

    /// Everything of its list that it waits for, however far.
    fn upstream(&self, at: usize, out: &mut Vec<usize>) {
        for need in self.needs(at) {
            if !out.contains(&need) {
                out.push(need);
                self.upstream(need, out);
            }
        }
    }

    /// A gate that is not open, or a group that has gone round one which it should not have gone well without. `own`:
    /// it stands in the very list of who asks.
    fn is_shut(&self, at: usize, own: bool) -> bool {
        let (inst, node) = (&self.insts[at], self.insts[at].node);
        if node.each || (!own && (node.when.is_some() || node.run_on == RunOn::Failure || self.is_lax(at))) {
            return false;
        }
        if node.kind == Kind::Gate {
            return !self.satisfies(at);
        }
        let says_nothing = node.when.is_some() || node.run_on == RunOn::Failure || node.then_continue;
        if node.kind != Kind::Group || says_nothing {
            return false;
        }
        if node.repeat && !inst.body {
            return match inst.inside.last() {
                Some(round) => {
                    let round = *self.lists[*round].insts.last().unwrap();
                    self.lists_shut(round)
                }
                None => self.holds_a_gate(node),
            };
        }
        if inst.inside.is_empty() { self.holds_a_gate(node) } else { self.lists_shut(at) }
    }

    fn lists_shut(&self, at: usize) -> bool {
        let Some(steps) = self.insts[at].inside.first() else { return false };
        self.lists[*steps].insts.iter().any(|member| self.is_shut(*member, false))
    }

    /// For a group that never began: a gate in it was not opened.
    fn holds_a_gate(&self, node: &Node) -> bool {
        node.steps.iter().enumerate().any(|(at, member)| {
            let before = &node.steps[..at];
            let lax = lax_before(node, before, member);
            let plain = member.when.is_none() && !member.each && member.run_on != RunOn::Failure && !lax;
            plain
                && match member.kind {
                    Kind::Gate => true,
                    Kind::Group => !member.then_continue && self.holds_a_gate(member),
                    Kind::Act => false,
                }
        })
    }

    /// It, or something before it in its list, may fail or be left out, and the group goes well all the same.
    fn is_lax(&self, at: usize) -> bool {
        let mut all = vec![at];
        self.upstream(at, &mut all);
        all.iter().any(|at| is_lax(self.insts[*at].node))
    }

    fn begin(&mut self, at: usize) {
        self.insts[at].begun = true;
        let node = self.insts[at].node;
        let frames = self.insts[at].frames.clone();
        if self.is_loop(at) {
            let list = self.lists.len();
            self.lists.push(List { insts: Vec::new(), parallel: false, owner: Some(at) });
            self.insts[at].inside.push(list);
            if node.repeat || self.flip() {
                self.put(node, list, [frames, vec![(node.id, 1)]].concat(), true);
            } else {
                let status = if node.empty_ok { Status::Ok } else { Status::Failed };
                self.settle(at, status);
            }
            return;
        }
        if node.kind == Kind::Group {
            let list = self.lay(&node.steps, node.parallel, Some(at), &frames);
            self.insts[at].inside.push(list);
            return;
        }
        if node.danger.is_some() {
            let guarded = (0..self.insts.len()).any(|gate| self.guards(gate, at));
            self.started.push((node.id, !guarded));
        }
        let status = if self.flip() { Status::Ok } else { Status::Failed };
        self.settle(at, status);
    }

    /// Whether a gate was opened, and of the same item and round as a step.
    fn guards(&self, gate: usize, step: usize) -> bool {
        let (inst, step) = (&self.insts[gate], &self.insts[step]);
        if inst.node.kind != Kind::Gate || inst.status != Some(Status::Ok) || self.is_loop(gate) {
            return false;
        }
        inst.frames.iter().enumerate().all(|(depth, frame)| {
            let rounds = self.graph.all().iter().any(|node| node.id == frame.0 && node.repeat);
            let same = step.frames.contains(frame);
            let inside = step.frames.iter().any(|other| other.0 == frame.0);
            let next = [&inst.frames[..depth], &[(frame.0, frame.1 + 1)]].concat();
            let last = !self.insts.iter().any(|other| other.frames.starts_with(&next));
            same || (rounds && !inside && last)
        })
    }

    fn is_through(&self, at: usize) -> bool {
        let inst = &self.insts[at];
        let open = |list: &usize| self.lists[*list].insts.iter().any(|at| self.insts[*at].status.is_none());
        inst.begun && inst.status.is_none() && !inst.inside.iter().any(open)
    }

    fn conclude(&mut self, at: usize) {
        let node = self.insts[at].node;
        let of = |run: &Self, list: usize, wanted: Status| {
            let mut insts = run.lists[list].insts.iter().map(|at| &run.insts[*at]);
            insts.any(|inst| {
                inst.status == Some(wanted) && !(wanted == Status::Failed && !inst.body && inst.node.allowed)
            })
        };
        let lists = self.insts[at].inside.clone();
        if self.is_loop(at) {
            let last = *self.lists[lists[0]].insts.last().unwrap();
            let status = self.insts[last].status.unwrap();
            if node.each {
                let well = status == Status::Ok || node.tolerant;
                return self.settle(at, if well { Status::Ok } else { status });
            }
            if status == Status::Failed {
                return self.settle(at, Status::Failed);
            }
            if self.flip() {
                return self.settle(at, status);
            }
            let round = self.lists[lists[0]].insts.len();
            if round == 2 {
                return self.settle(at, Status::Failed);
            }
            let frames = self.insts[at].frames.clone();
            self.put(node, lists[0], [frames, vec![(node.id, round + 1)]].concat(), true);
            return;
        }
        let failed = of(self, lists[0], Status::Failed);
        if failed && !self.insts[at].handling && !node.handlers.is_empty() {
            self.insts[at].handling = true;
            let frames = self.insts[at].frames.clone();
            let list = self.lay(&node.handlers, false, Some(at), &frames);
            self.insts[at].inside.push(list);
            return;
        }
        let handlers = lists.get(1).copied();
        let ill = handlers.is_some_and(|list| of(self, list, Status::Failed));
        let rejected = lists.iter().any(|list| of(self, *list, Status::Rejected));
        let status = if ill || failed && !(self.insts[at].handling && node.then_continue) {
            Status::Failed
        } else if rejected {
            Status::Rejected
        } else {
            Status::Ok
        };
        self.settle(at, status);
    }

    /// A failure ends the run, unless something takes care of it.
    fn settle(&mut self, at: usize, status: Status) {
        self.insts[at].status = Some(status);
        if status != Status::Failed {
            return;
        }
        let inst = &self.insts[at];
        let plain_group = inst.node.kind == Kind::Group && !self.is_loop(at);
        let own = if inst.node.each && inst.body { false } else { inst.node.continues };
        if own || plain_group {
            return;
        }
        let mut list = inst.list;
        while let Some(owner) = self.lists[list].owner {
            let of = &self.insts[owner];
            let handled =
                !self.is_loop(owner) && !of.node.handlers.is_empty() && of.inside.first() == Some(&list);
            // Nobody attends: a list decides about its items.
            if handled || (self.is_loop(owner) && of.node.each) {
                return;
            }
            list = of.list;
        }
        self.ended = true;
    }
}

fn is_lax(node: &Node) -> bool {
    node.allowed || (node.kind == Kind::Gate && node.run_on == RunOn::Failure)
}

/// As [`Run::is_lax`], of steps that never began.
fn lax_before(group: &Node, before: &[Node], node: &Node) -> bool {
    if is_lax(node) {
        return true;
    }
    let needed: Vec<&Node> = match &node.needs {
        Some(ids) => before.iter().filter(|other| ids.contains(&other.id)).collect(),
        None if group.parallel => Vec::new(),
        None => before.iter().collect(),
    };
    needed.into_iter().any(|need| {
        let at = before.iter().position(|other| other.id == need.id).unwrap_or(0);
        lax_before(group, &before[..at], need)
    })
}
