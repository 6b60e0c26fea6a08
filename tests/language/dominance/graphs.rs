//! Small runbooks by seed: gates, conditions, groups in groups, lists, rounds, what runs on failures and at the end.

use std::fmt::Write as _;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Act,
    Gate,
    Group,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOn {
    Success,
    Failure,
    Finished,
}

/// How a step is dangerous: itself, or what is armed as it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Danger {
    Itself,
    Undo,
    PutBack,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub id: usize,
    pub kind: Kind,
    /// Number of a condition; each is an input of its own.
    pub when: Option<usize>,
    /// Ids of earlier steps of its list.
    pub needs: Option<Vec<usize>>,
    pub run_on: RunOn,
    pub continues: bool,
    pub allowed: bool,
    pub reject_continues: bool,
    pub each: bool,
    pub empty_ok: bool,
    /// A failed item is no failure of the list.
    pub tolerant: bool,
    pub repeat: bool,
    pub parallel: bool,
    pub then_continue: bool,
    pub steps: Vec<Node>,
    pub handlers: Vec<Node>,
    pub danger: Option<Danger>,
}

#[derive(Debug, Clone)]
pub struct Graph {
    pub main: Vec<Node>,
    pub finally: Vec<Node>,
}

pub struct Seed(u64);

impl Seed {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    /// One time of `n`.
    fn rare(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A graph of at most so many steps, with something dangerous in it.
pub fn graph(seed: u64, most: usize) -> Graph {
    let mut seed = Seed::new(seed);
    loop {
        let mut next = 0;
        let mut budget = most;
        let with_finally = seed.rare(6);
        let main = list(&mut seed, &mut next, &mut budget, 0, true);
        let finally =
            if with_finally { list(&mut seed, &mut next, &mut budget, 1, true) } else { Vec::new() };
        let graph = Graph { main, finally };
        let all = graph.all();
        if all.iter().any(|node| node.danger.is_some()) && all.iter().any(|node| node.kind == Kind::Gate) {
            return graph;
        }
    }
}

fn list(seed: &mut Seed, next: &mut usize, budget: &mut usize, depth: usize, needs: bool) -> Vec<Node> {
    let mut out: Vec<Node> = Vec::new();
    let length = 1 + seed.below(if depth == 0 { 4 } else { 3 });
    for _ in 0..length {
        if *budget == 0 {
            break;
        }
        let above: Vec<usize> = out.iter().map(|node| node.id).collect();
        let node = node(seed, next, budget, depth, &above, needs);
        out.push(node);
    }
    out
}

fn node(
    seed: &mut Seed,
    next: &mut usize,
    budget: &mut usize,
    depth: usize,
    above: &[usize],
    needs: bool,
) -> Node {
    *budget -= 1;
    let id = *next;
    *next += 1;
    let kind = match seed.below(10) {
        0..=2 => Kind::Gate,
        3..=6 if depth < 3 && *budget > 0 => Kind::Group,
        _ => Kind::Act,
    };
    let group = kind == Kind::Group;
    let mut node = Node {
        id,
        kind,
        when: seed.rare(6).then(|| usize::try_from(seed.below(2)).unwrap()),
        needs: (needs && seed.rare(4)).then(|| above.iter().copied().filter(|_| seed.rare(2)).collect()),
        run_on: match seed.below(13) {
            0 => RunOn::Failure,
            1 => RunOn::Finished,
            _ => RunOn::Success,
        },
        continues: kind != Kind::Gate && seed.rare(4),
        allowed: false,
        reject_continues: kind == Kind::Gate && seed.rare(2),
        each: seed.rare(9),
        empty_ok: seed.rare(2),
        tolerant: seed.rare(3),
        repeat: false,
        parallel: group && seed.rare(4),
        then_continue: false,
        steps: Vec::new(),
        handlers: Vec::new(),
        danger: None,
    };
    node.allowed = node.continues && seed.rare(2);
    if group {
        node.steps = list(seed, next, budget, depth + 1, true);
        if node.steps.is_empty() {
            node.kind = Kind::Act;
        }
        if !node.steps.is_empty() && seed.rare(2) && *budget > 0 {
            node.handlers = list(seed, next, budget, depth + 1, true);
            node.then_continue = !node.handlers.is_empty() && !seed.rare(3);
        }
        node.repeat = !node.steps.is_empty() && !node.each && seed.rare(6);
    }
    if node.kind == Kind::Act && seed.rare(2) {
        node.danger = Some(match seed.below(6) {
            0 => Danger::Undo,
            1 => Danger::PutBack,
            _ => Danger::Itself,
        });
    }
    node
}

impl Graph {
    /// Every step, those of a group behind it.
    pub fn all(&self) -> Vec<&Node> {
        let mut out = Vec::new();
        self.main.iter().chain(&self.finally).for_each(|node| node.walk(&mut out));
        out
    }

    pub fn yaml(&self) -> String {
        let mut out = String::from(
            "consigne: v1\nid: t\ninputs:\n  c0: {type: boolean}\n  c1: {type: boolean}\n  items: {type: list, of: string}\nsteps:\n",
        );
        self.main.iter().for_each(|node| node.write(1, &mut out));
        if !self.finally.is_empty() {
            out.push_str("finally:\n");
            self.finally.iter().for_each(|node| node.write(1, &mut out));
        }
        out
    }
}

impl Node {
    fn walk<'a>(&'a self, out: &mut Vec<&'a Self>) {
        out.push(self);
        self.steps.iter().chain(&self.handlers).for_each(|node| node.walk(out));
    }

    fn write(&self, depth: usize, out: &mut String) {
        let pad = "  ".repeat(depth);
        let mut line = |text: String| writeln!(out, "{pad}  {text}").unwrap();
        let mut keys = vec![format!("id: s{}", self.id)];
        keys.extend(self.when.map(|when| format!("when: inputs.c{when}")));
        keys.extend(self.needs.as_ref().map(|needs| {
            let ids: Vec<String> = needs.iter().map(|id| format!("s{id}")).collect();
            format!("needs: [{}]", ids.join(", "))
        }));
        match self.run_on {
            RunOn::Success => {}
            RunOn::Failure => keys.push("run_on: failure".into()),
            RunOn::Finished => keys.push("run_on: finished".into()),
        }
        if self.continues {
            keys.push("on_failure: continue".into());
        }
        if self.allowed {
            keys.push("allowed: true".into());
        }
        if self.each {
            let empty = if self.empty_ok { "ok" } else { "error" };
            let failures = if self.tolerant { ", max_failures: 1" } else { "" };
            keys.push(format!(
                "for_each: {{items: inputs.items, as: i{}, max_targets: 9, empty: {empty}{failures}}}",
                self.id
            ));
        }
        if self.repeat {
            let inner = self.steps[0].id;
            let read = if self.steps[0].each { "items" } else { "outcome" };
            keys.push(format!(
                "repeat: {{until: \"steps.s{inner}.{read} | default('')\", max: 2, on_max: fail}}"
            ));
        }
        match (self.kind, self.danger) {
            (Kind::Gate, _) if self.reject_continues => keys.push("confirm: {on_reject: continue}".into()),
            (Kind::Gate, _) => keys.push("confirm: {}".into()),
            (Kind::Act, danger) => {
                keys.push("argv: [\"x\"]".into());
                match danger {
                    Some(Danger::Itself) => keys.push("effect: destructive".into()),
                    Some(Danger::Undo) => {
                        keys.push("effect: read\nundo: {argv: [\"y\"], effect: destructive}".into());
                    }
                    Some(Danger::PutBack) => {
                        keys.push("effect: read\nput_back: {argv: [\"y\"], effect: destructive}".into());
                    }
                    None => keys.push("effect: read".into()),
                }
            }
            (Kind::Group, _) => {}
        }
        let mut first = true;
        for key in keys.iter().flat_map(|key| key.split('\n')) {
            line(format!("{}{key}", if first { "- " } else { "  " }));
            first = false;
        }
        if self.kind == Kind::Group {
            line("  group:".into());
            if self.parallel {
                line("    parallel: true".into());
            }
            if self.then_continue {
                line("    then: continue".into());
            }
            line("    steps:".into());
            self.steps.iter().for_each(|node| node.write(depth + 3, out));
            if !self.handlers.is_empty() {
                writeln!(out, "{pad}      on_failure:").unwrap();
                self.handlers.iter().for_each(|node| node.write(depth + 3, out));
            }
        }
    }
}
