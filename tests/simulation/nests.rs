//! Random plans with groups, lists, rounds and reverts, in each other and around everything else, in the normal form
//! that a plan builder gives them.

use std::collections::BTreeSet;

use consigne::plan::*;
use consigne::runbook::template::Expr;
use serde_json::json;

use crate::plans::{any_kind, cover, empty, put, reading, upstream};
use crate::rng::Rng;

/// Where steps are being put.
#[derive(Debug, Clone)]
struct Spot {
    section: Section,
    within: Option<String>,
    handles: bool,
    depth: usize,
}

/// A plan of about `most` steps, many of them inside others.
pub fn random(rng: &mut Rng, most: usize) -> Plan {
    let mut plan = empty(rng);
    for (name, list) in [
        ("names", json!(["a", "b", "c"])),
        ("pairs", json!([{"name": "p-1", "n": 1}, {"name": "p-2", "n": 2}])),
        ("doubled", json!(["d", "e", "d"])),
        ("none", json!([])),
        ("one", json!(["solo"])),
    ] {
        plan.values.inputs.insert(name.into(), list);
    }
    let mut left = 2 + rng.upto(most);
    let main = Spot { section: Section::Main, within: None, handles: false, depth: 0 };
    while left > 0 {
        fill(rng, &mut plan, &main, &mut left);
    }
    let mut left = if rng.percent(25) { 1 + rng.upto(4) } else { 0 };
    let finally = Spot { section: Section::Finally, ..main };
    while left > 0 {
        fill(rng, &mut plan, &finally, &mut left);
    }
    cover(rng, &mut plan);
    ends(&mut plan);
    crate::leavings::some(rng, &mut plan);
    crate::limits::some(rng, &mut plan);
    plan
}

/// An `end` ends the used runbook that it stands in, where no list and no rounds lie between.
fn ends(plan: &mut Plan) {
    for at in 0..plan.graph.steps.len() {
        if plan.graph.steps[at].kind != Kind::End {
            continue;
        }
        let mut within = plan.graph.steps[at].within.clone();
        while let Some(id) = within {
            let group = find(plan, &id);
            if group.used.is_some() {
                plan.graph.steps[at].ends = Some(id);
                break;
            }
            if group.each.is_some() || group.repeat.is_some() {
                break;
            }
            within = group.within.clone();
        }
    }
}

/// One more step, with all that is in it.
fn fill(rng: &mut Rng, plan: &mut Plan, spot: &Spot, left: &mut usize) {
    *left = left.saturating_sub(1);
    let id = format!("s{}", plan.graph.steps.len());
    let mut node = match rng.upto(100) {
        0..=24 if spot.depth < 3 => StepNode::new(&id, Kind::Group, Effect::Read),
        25..=30 => StepNode::new(&id, Kind::Revert, Effect::Write),
        _ => any_kind(rng, &id),
    };
    (node.section, node.within, node.handles) = (spot.section, spot.within.clone(), spot.handles);
    let mut values = StepValues::default();
    if node.kind == Kind::Revert {
        node.reverts = reversible(rng, plan, &node);
    }
    let may_loop = !matches!(node.kind, Kind::End | Kind::Revert) && loops_of(plan, &node).len() < 2;
    let often = if node.kind == Kind::Group { 35 } else { 14 };
    if may_loop && rng.percent(often) {
        let (each, list) = list(rng, plan, &node);
        (node.each, values.each) = (Some(each), Some(list));
    } else if may_loop && node.kind == Kind::Group && rng.percent(30) {
        let every_ms = rng.percent(40).then(|| 1 + rng.below(900));
        node.repeat = Some(RepeatNode { max: 1 + small(rng, 3), every_ms });
    }
    let is_group = node.kind == Kind::Group;
    if is_group {
        let used = rng.percent(25);
        let handlers = !used && rng.percent(40);
        node.group = Some(GroupNode { handlers, then_continue: rng.percent(50) });
        node.used = used.then(|| UsedNode { runbook: "used".to_owned(), digest: "0".repeat(64) });
    }
    put(rng, plan, node, values);
    // The defaults are what this is about; and few runs are to end at once.
    let keep = rng.percent(35);
    if let Some(node) = plan.graph.steps.iter_mut().find(|step| step.id == id) {
        node.on_failure = node.on_failure.filter(|_| keep);
        if !keep {
            node.run_on = RunOn::Success;
            node.gates.clear();
        }
        if let Some(gate) = &mut node.gate {
            gate.on_reject_continue |= rng.percent(60);
        }
    }
    if is_group {
        members(rng, plan, spot, &id, left);
    }
}

fn small(rng: &mut Rng, end: usize) -> u32 {
    u32::try_from(rng.upto(end)).unwrap_or(0)
}

fn members(rng: &mut Rng, plan: &mut Plan, spot: &Spot, id: &str, left: &mut usize) {
    let inner = Spot { within: Some(id.to_owned()), handles: false, depth: spot.depth + 1, ..spot.clone() };
    for _ in 0..1 + rng.upto(4) {
        fill(rng, plan, &inner, left);
    }
    if find(plan, id).group.is_some_and(|group| group.handlers) {
        let handlers = Spot { handles: true, ..inner };
        for _ in 0..1 + rng.upto(2) {
            fill(rng, plan, &handlers, left);
        }
    }
    if find(plan, id).repeat.is_some() {
        let until = until(rng, plan, id);
        if let Some(values) = plan.values.steps.get_mut(id) {
            values.repeat_until = Some(until);
        }
    }
}

pub fn find<'a>(plan: &'a Plan, id: &str) -> &'a StepNode {
    plan.graph.steps.iter().find(|step| step.id == id).expect("a step of the plan")
}

/// Something that changes from round to round.
fn until(rng: &mut Rng, plan: &Plan, id: &str) -> Expr {
    let inside =
        plan.graph.steps.iter().filter(|step| step.within.as_deref() == Some(id) && step.each.is_none());
    let gives: Vec<&StepNode> = inside.collect();
    let source = match rng.upto(10) {
        0 => "true".to_owned(),
        1 => "steps.nothing.v == 1".to_owned(),
        _ if gives.is_empty() => "false".to_owned(),
        _ => {
            let of = rng.pick(&gives);
            let output = of.outputs.iter().find(|output| output.name == "v");
            match output {
                Some(_) => format!("(steps.{}.v | default(\"none\")) == \"red\"", of.id),
                None => format!("steps.{}.outcome == \"succeeded\"", of.id),
            }
        }
    };
    expr(&source)
}

pub fn expr(source: &str) -> Expr {
    Expr::parse(source).expect("expressions of these tests are well formed")
}

/// A list from an input, from what an earlier step gave, or from the item around it.
fn list(rng: &mut Rng, plan: &Plan, node: &StepNode) -> (EachNode, Each) {
    let name = format!("of_{}", node.id);
    let before = upstream(plan, node);
    let giving = plan.graph.steps.iter().filter(|step| before.contains(&step.id) && step.each.is_none());
    let giving: Vec<&StepNode> =
        giving.filter(|step| step.outputs.iter().any(|output| output.name == "l")).collect();
    let around: Vec<String> = items_around(plan, node).collect();
    let mut key = None;
    let items = match rng.upto(40) {
        0 => "inputs.doubled".to_owned(),
        1 => "inputs.none".to_owned(),
        2 => "inputs.pairs".to_owned(),
        3 => "inputs.color".to_owned(),
        4..=8 => {
            key = Some(format!("{name}.name"));
            "inputs.pairs".to_owned()
        }
        9 | 10 => "inputs.one".to_owned(),
        11..=20 if !giving.is_empty() => format!("steps.{}.l", rng.pick(&giving).id),
        21 | 22 => match reading(rng, plan, node).filter(|path| !path.contains(".items")) {
            Some(path) => format!("[({path}), \"x\", \"y\"]"),
            None => "inputs.names".to_owned(),
        },
        23..=28 if !around.is_empty() => format!("[{} ~ \"-i\", \"z\"]", rng.pick(&around)),
        29..=31 => "[\"a\", \"b\", \"c\", \"d\", \"e\"]".to_owned(),
        _ => "inputs.names".to_owned(),
    };
    if rng.percent(3) {
        key = Some(rng.pick(&["\"same\"".to_owned(), format!("{name}.nothing")]));
    }
    let canary = rng.percent(40).then(|| CanaryNode {
        count: 1 + small(rng, 2),
        ask: rng.percent(60),
        soak_ms: rng.percent(50).then(|| 1 + rng.below(1_500)),
    });
    let max_failures = match rng.upto(4) {
        0 => Some(Share::Count(small(rng, 3))),
        1 => Some(Share::Percent(rng.pick(&[10, 34, 50, 100]))),
        _ => None,
    };
    let each = EachNode {
        max_parallel: 1 + small(rng, 3),
        canary,
        max_targets: Some(if rng.percent(6) { 2 } else { rng.pick(&[5, 50]) }),
        max_failures,
        empty_ok: rng.percent(50),
        when_each: false,
    };
    (each, Each { items: expr(&items), name, key: key.as_deref().map(expr) })
}

/// Steps with an undo or a `put_back` that a revert here may name.
fn reversible(rng: &mut Rng, plan: &Plan, node: &StepNode) -> Vec<String> {
    let own = loops_of(plan, node);
    let lists = enclosing(plan, node);
    let may = |step: &&StepNode| {
        (step.undo || step.put_back.is_some())
            && own.starts_with(&own_loops(plan, step))
            && step.section == node.section
            && lists.contains(&(step.within.clone(), step.handles))
    };
    let all: Vec<String> = plan.graph.steps.iter().filter(may).map(|step| step.id.clone()).collect();
    all.into_iter().filter(|_| rng.percent(70)).collect()
}

/// The list of a step, and those around it.
fn enclosing(plan: &Plan, node: &StepNode) -> Vec<(Option<String>, bool)> {
    let mut lists = vec![(node.within.clone(), node.handles)];
    let mut at = node.within.clone();
    while let Some(group) = at {
        let group = find(plan, &group);
        lists.push((group.within.clone(), group.handles));
        at = group.within.clone();
    }
    lists
}

/// Whether the group of a step has its steps side by side; every other group does.
pub fn is_beside(plan: &Plan, node: &StepNode) -> bool {
    let Some(group) = node.within.as_ref().filter(|_| !node.handles) else { return false };
    find(plan, group).id.bytes().last().is_some_and(|digit| digit % 3 == 0)
}

/// The loops around a step, outermost first.
pub fn loops_of(plan: &Plan, node: &StepNode) -> Vec<String> {
    let Some(group) = &node.within else { return Vec::new() };
    own_loops(plan, find(plan, group))
}

/// The same, with the step itself if it is one.
pub fn own_loops(plan: &Plan, node: &StepNode) -> Vec<String> {
    let mut loops = loops_of(plan, node);
    if node.each.is_some() || node.repeat.is_some() {
        loops.push(node.id.clone());
    }
    loops
}

/// The names of the items that a step is about.
pub fn items_around<'a>(plan: &'a Plan, node: &'a StepNode) -> impl Iterator<Item = String> + 'a {
    let loops = own_loops(plan, node).into_iter();
    // What is about to be put has no values yet: its own item goes by its name all the same.
    loops.filter_map(move |of| {
        let own = of == node.id;
        let each = if own { node.each.is_some() } else { find(plan, &of).each.is_some() };
        each.then(|| format!("of_{of}"))
    })
}

/// What has ended inside the groups of `before`, and may be read.
pub fn ended_before(plan: &Plan, node: &StepNode, before: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for step in &plan.graph.steps {
        let Some(group) = &step.within else { continue };
        let own = node.handles && node.within.as_ref() == Some(group) && !step.handles;
        let done = before.contains(group) || found.contains(group) || own;
        if done && (own || find(plan, group).each.is_none()) {
            found.insert(step.id.clone());
        }
    }
    found
}

/// Now and then a condition on the item.
pub fn about_each(rng: &mut Rng, node: &mut StepNode, values: &mut StepValues) {
    let (Some(each), Some(list)) = (&mut node.each, &values.each) else { return };
    if rng.percent(60) {
        each.when_each = true;
        values.when = Some(expr(&format!("{} != \"b\"", list.name)));
    }
}

/// Now and then a step gives what a list can be made of.
pub fn gives_a_list(rng: &mut Rng, plan: &Plan, node: &mut StepNode) {
    let nested = plan.values.inputs.contains_key("names");
    if nested && rng.percent(25) {
        node.outputs.push(OutputNode { name: "l".into(), public: rng.percent(40), kind: InputKind::Any });
    }
}

/// A plan whose every write is a toggle, on lists and in groups.
pub fn toggles(rng: &mut Rng, most: usize) -> Plan {
    let mut plan = random(rng, most);
    let Plan { graph, values } = &mut plan;
    for node in graph.steps.iter_mut().filter(|step| step.kind.runs() && step.effect != Effect::Read) {
        let only_if = rng.percent(70);
        let otherwise = rng.pick(&[OtherwisePutBack::Ask, OtherwisePutBack::Ask, OtherwisePutBack::Auto]);
        node.put_back = Some(PutBackNode { only_if, otherwise });
        if let Some(values) = values.steps.get_mut(&node.id) {
            values.put_back = Some(crate::plans::probe("put_back"));
            values.only_if = only_if.then(|| crate::plans::probe("only_if"));
        }
    }
    plan
}
