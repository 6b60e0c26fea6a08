//! The picture of a runbook: which step follows which, its gates, what runs on a failure and at the end.
//!
//! Pure: an outline in, lines out. In the terminal every step has a line of its own, in an order that respects all
//! arrows, and the arrows are lanes beside it, as version control draws history. As Mermaid, every label is quoted
//! and encoded: no text of a runbook becomes part of the drawing.

mod lists;

use std::collections::BTreeMap;

use petgraph::algo::tred::{dag_to_toposorted_adjacency_list, dag_transitive_reduction_closure};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::IntoNeighbors;

use super::args::Lang;
use crate::operator::request::harmless;
use crate::plan::{Choosing, Effect, EndStatus, Kind, OnFailure, Plan, RunOn, Section, StepNode, StepValues};

const WIDTH: usize = 80;
/// Lanes that leave room for words; with more, arrows are told instead of drawn.
const MOST_LANES: usize = 16;
/// Steps up to which arrows that follow from others are left out.
const MOST_REDUCED: usize = 2_000;

/// The arrows of an outline: by step, what comes directly after it.
fn arrows(steps: &[StepNode]) -> Vec<Vec<usize>> {
    let by_name: BTreeMap<&str, usize> =
        steps.iter().enumerate().map(|(at, step)| (step.id.as_str(), at)).collect();
    let mut after = vec![Vec::new(); steps.len()];
    for (to, step) in steps.iter().enumerate() {
        for need in &step.needs {
            if let Some(from) = by_name.get(need.as_str()).copied() {
                after[from].push(to);
            }
        }
    }
    if steps.len() <= MOST_REDUCED { reduced(&after) } else { after }
}

/// Without the arrows that others imply.
fn reduced(after: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut graph = DiGraph::<(), (), u32>::new();
    after.iter().for_each(|_| {
        graph.add_node(());
    });
    for (from, to) in after.iter().enumerate().flat_map(|(from, all)| all.iter().map(move |to| (from, *to))) {
        graph.add_edge(NodeIndex::new(from), NodeIndex::new(to), ());
    }
    // The order of the plan respects every arrow.
    let order: Vec<NodeIndex> = graph.node_indices().collect();
    let (sorted, _) = dag_to_toposorted_adjacency_list::<_, u32>(&graph, &order);
    let (reduced, _) = dag_transitive_reduction_closure(&sorted);
    let neighbours = |at: usize| {
        let mut all: Vec<usize> =
            reduced.neighbors(u32::try_from(at).unwrap_or(u32::MAX)).map(|to| to as usize).collect();
        all.sort_unstable();
        all
    };
    (0..after.len()).map(neighbours).collect()
}

/// The picture in plain text.
pub(super) fn terminal(plan: &Plan, lang: Lang) -> Vec<String> {
    let picture = lists::Picture::of(plan, lang, arrows(&plan.graph.steps));
    let [main, finally] = picture.sections();
    let mut out = vec![title(plan, lang), String::new()];
    out.extend(main);
    if !finally.is_empty() {
        out.push(String::new());
        out.push(
            lang.pick("── à la fin, quoi qu'il arrive ──", "── at the end, whatever happens ──").to_owned(),
        );
        out.extend(finally);
    }
    out.push(String::new());
    out.push(legend(plan, lang));
    out
}

fn legend(plan: &Plan, lang: Lang) -> String {
    let mut out = lang
        .pick("◆ porte   ● machine   ○ personne   ■ fin", "◆ gate   ● machine   ○ person   ■ end")
        .to_owned();
    let has = |kind: Kind| plan.graph.steps.iter().any(|node| node.kind == kind);
    if has(Kind::Group) {
        out.push_str(lang.pick("   ▣ groupe", "   ▣ group"));
    }
    if has(Kind::Revert) {
        out.push_str(lang.pick("   ↶ retour", "   ↶ revert"));
    }
    out
}

fn title(plan: &Plan, lang: Lang) -> String {
    let title = plan.values.title.in_lang(lang.code());
    let title = title.map(|title| format!(": {}", harmless(title).replace('\n', " "))).unwrap_or_default();
    format!("{}{title}", plan.graph.runbook)
}

const fn mark(node: &StepNode) -> char {
    match node.kind {
        Kind::Approve | Kind::Confirm => '◆',
        Kind::Http | Kind::Shell | Kind::Argv | Kind::Notify | Kind::Wait | Kind::Assert => '●',
        Kind::Input | Kind::Choice | Kind::Checklist | Kind::Manual => '○',
        Kind::End => '■',
        Kind::Group => '▣',
        Kind::Revert => '↶',
    }
}

/// What is said about a step: its first line, and those below.
fn words(node: &StepNode, values: Option<&StepValues>, lang: Lang) -> Vec<String> {
    let title = values.and_then(|values| values.title.in_lang(lang.code()));
    let title =
        title.map(|title| format!("  {}", harmless(title.source()).replace('\n', " "))).unwrap_or_default();
    let mut out = vec![format!("{} [{}]{title}", node.id, kind(node, lang))];
    if let Some(when) = values.and_then(|values| values.when.as_ref()) {
        let otherwise = lang.pick(" ; sinon : sautée", "; otherwise: skipped");
        out.push(format!("{} {}{otherwise}", lang.pick("si", "if"), harmless(when.source())));
    }
    if let Some(run_on) = run_on(node, lang) {
        out.push(run_on.to_owned());
    }
    if let Some(gate) = &node.gate {
        if !gate.who.roles.is_empty() {
            let quorum = if gate.quorum > 1 { format!(" × {}", gate.quorum) } else { String::new() };
            out.push(format!(
                "{} {}{quorum}",
                lang.pick("ouverte par", "opened by"),
                gate.who.roles.join(", ")
            ));
        }
        if !gate.covers.is_empty() {
            out.push(format!("{} {}", lang.pick("porte sur", "covers"), gate.covers.join(", ")));
        }
        if let Some(limit) = &gate.limit {
            out.push(format!(
                "{} {}",
                lang.pick("cibles, au plus :", "targets, at most:"),
                limit.max_targets
            ));
        }
        if let Some(filter) = values.and_then(|values| values.filter.as_ref()) {
            let text = lang.pick("décidées plus tard, si", "decided later, if");
            out.push(format!("{text} {}", harmless(filter.source())));
        }
        out.push(refusal(gate.on_reject_continue, lang).to_owned());
    }
    match values.and_then(|values| values.choice.as_ref()) {
        Some(Choosing::Listed(options)) => {
            let ids: Vec<&str> = options.iter().map(|option| option.id.as_str()).collect();
            out.push(format!("{} {}", chosen(node, lang), ids.join(", ")));
        }
        Some(Choosing::Computed(list)) => {
            out.push(format!("{} {}", chosen(node, lang), harmless(list.from.source())));
        }
        None => {}
    }
    out.extend(lists::words(node, values, lang));
    if let Some(end) = node.end {
        let run = lang.pick("l'exécution s'arrête ici :", "the run ends here:");
        let what =
            node.ends.as_ref().map(|step| format!("{} {step} :", lang.pick("ici s'arrête", "here ends")));
        out.push(format!("{} {}", what.as_deref().unwrap_or(run), end_word(end, lang)));
    }
    out.extend(failure(node, lang).map(str::to_owned));
    let besides = besides(node, lang);
    if !besides.is_empty() {
        out.push(besides.join(", "));
    }
    out
}

const fn chosen(node: &StepNode, lang: Lang) -> &'static str {
    if node.many.is_some() {
        lang.pick("à choisir, plusieurs :", "to choose, several:")
    } else {
        lang.pick("à choisir, un seul :", "to choose, one:")
    }
}

fn kind(node: &StepNode, lang: Lang) -> String {
    let effect = match node.effect {
        _ if !node.kind.runs() && node.effect == Effect::Read || node.kind.is_gate() => {
            return node.kind.name().to_owned();
        }
        Effect::Read => lang.pick("lecture", "read"),
        Effect::Write => lang.pick("écriture", "write"),
        Effect::Destructive => lang.pick("DESTRUCTIF", "DESTRUCTIVE"),
        Effect::Notify => lang.pick("notification", "notify"),
    };
    format!("{}, {effect}", node.kind.name())
}

const fn run_on(node: &StepNode, lang: Lang) -> Option<&'static str> {
    match node.run_on {
        RunOn::Success => None,
        RunOn::Failure => {
            Some(lang.pick("seulement si ce qui précède a échoué", "only if what comes before failed"))
        }
        RunOn::Finished => {
            Some(lang.pick("même si ce qui précède a échoué", "even if what comes before failed"))
        }
    }
}

const fn refusal(goes_on: bool, lang: Lang) -> &'static str {
    if goes_on {
        lang.pick("non : ce qui en dépend est sauté", "no: what depends on it is skipped")
    } else {
        lang.pick("non : l'exécution se termine, refusée", "no: the run ends, refused")
    }
}

const fn end_word(end: EndStatus, lang: Lang) -> &'static str {
    match end {
        EndStatus::Succeeded => lang.pick("réussie", "succeeded"),
        EndStatus::Failed => lang.pick("en échec", "failed"),
    }
}

fn failure(node: &StepNode, lang: Lang) -> Option<&'static str> {
    match node.on_failure? {
        OnFailure::Ask => None,
        OnFailure::Stop => Some(lang.pick("échec : l'exécution s'arrête", "failed: the run ends")),
        OnFailure::Continue => Some(lang.pick("échec : le reste continue", "failed: the rest goes on")),
        OnFailure::Undo => Some(lang.pick("échec : tout est défait", "failed: all is undone")),
    }
}

fn besides(node: &StepNode, lang: Lang) -> Vec<&'static str> {
    let mut out = Vec::new();
    for (has, fr, en) in [
        (node.verify.is_some(), "preuve de l'effet", "proof of its effect"),
        (node.undo, "peut être défaite", "can be undone"),
        (node.put_back.is_some(), "remise en place à la fin", "put back at the end"),
    ] {
        if has {
            out.push(lang.pick(fr, en));
        }
    }
    out
}

/// A step with its arrows in words.
fn listed(node: &StepNode, words: &[String], width: usize, lang: Lang, out: &mut Vec<String>) {
    let mut words = words.to_vec();
    if !node.needs.is_empty() {
        words.insert(1, format!("{} {}", lang.pick("après", "after"), node.needs.join(", ")));
    }
    write(&words, &format!("{} ", mark(node)), "  ", width, out);
}

fn write(words: &[String], first: &str, rest: &str, width: usize, out: &mut Vec<String>) {
    for (number, line) in words.iter().enumerate() {
        let begin = if number == 0 { first.to_owned() } else { format!("{rest}  ") };
        let rest = format!("{rest}    ");
        let options = textwrap::Options::new(width).initial_indent(&begin).subsequent_indent(&rest);
        out.extend(textwrap::wrap(line, options).iter().map(|line| line.trim_end().to_owned()));
    }
}

/// What is written beside a step, and what stands in it, drawn already.
struct Told<'a> {
    words: &'a [String],
    inside: &'a [String],
    width: usize,
}

/// The lanes beside the steps: each leads down to the step that it names.
#[derive(Default)]
struct Lanes(Vec<Option<usize>>);

impl Lanes {
    /// Where a step stands, and the other lanes that end in it.
    fn take(&mut self, at: usize) -> (usize, Vec<usize>) {
        let mut here = (0..self.0.len()).filter(|lane| self.0[*lane] == Some(at));
        let Some(own) = here.next() else { return (self.free(at), Vec::new()) };
        let others: Vec<usize> = here.collect();
        others.iter().for_each(|lane| self.0[*lane] = None);
        (own, others)
    }

    /// Leads a lane to a step: the first that is free.
    fn free(&mut self, to: usize) -> usize {
        let lane = self.0.iter().position(Option::is_none).unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        self.0[lane] = Some(to);
        lane
    }

    /// Goes on from a step: its own lane to the first that follows, new lanes to the others.
    fn go_on(&mut self, own: usize, after: &[usize]) -> Vec<usize> {
        self.0[own] = after.first().copied();
        let forks = after.iter().skip(1).map(|to| self.free(*to)).collect();
        while self.0.last() == Some(&None) {
            self.0.pop();
        }
        forks
    }

    fn step(&mut self, at: usize, mark: char, told: &Told<'_>, after: &[usize], out: &mut Vec<String>) {
        let (own, merged) = self.take(at);
        if !merged.is_empty() {
            out.push(self.bend(own, &merged, ['╰', '┴', '╯']));
        }
        let row = |mark: char| {
            let lane = |(lane, to): (usize, &Option<usize>)| match to {
                _ if lane == own => format!("{mark} "),
                Some(_) => "│ ".to_owned(),
                None => "  ".to_owned(),
            };
            self.0.iter().enumerate().map(lane).collect::<String>()
        };
        let below = if after.is_empty() { ' ' } else { '│' };
        let below = row(below);
        write(told.words, &row(mark), &below, told.width, out);
        out.extend(told.inside.iter().map(|line| format!("{below}  {line}").trim_end().to_owned()));
        let forks = self.go_on(own, after);
        if !forks.is_empty() {
            out.push(self.bend(own, &forks, ['╭', '┬', '╮']));
        }
    }

    /// The line on which lanes leave or join another. `corners`: at the left end, in between, at the right end.
    fn bend(&self, own: usize, others: &[usize], corners: [char; 3]) -> String {
        let low = others.iter().copied().chain([own]).min().unwrap_or(own);
        let high = others.iter().copied().chain([own]).max().unwrap_or(own);
        let mut out = String::new();
        for lane in 0..self.0.len().max(high + 1) {
            let live = self.0.get(lane).is_some_and(Option::is_some);
            let inside = lane >= low && lane <= high;
            out.push(match () {
                () if lane == own && low == own => '├',
                () if lane == own && high == own => '┤',
                () if lane == own => '┼',
                () if others.contains(&lane) && lane == low => corners[0],
                () if others.contains(&lane) && lane == high => corners[2],
                () if others.contains(&lane) => corners[1],
                () if inside && live => '┼',
                () if inside => '─',
                () if live => '│',
                () => ' ',
            });
            out.push(if lane >= low && lane < high { '─' } else { ' ' });
        }
        out.trim_end().to_owned()
    }
}

fn lanes_needed(after: &[Vec<usize>], part: &[usize]) -> usize {
    let mut lanes = Lanes::default();
    let mut most = 0;
    for at in part.iter().copied() {
        let (own, _) = lanes.take(at);
        most = most.max(lanes.0.len());
        lanes.go_on(own, &after[at]);
        most = most.max(lanes.0.len());
        if most > MOST_LANES {
            break;
        }
    }
    most
}

/// The picture as Mermaid text.
pub(super) fn mermaid(plan: &Plan, lang: Lang) -> Vec<String> {
    let steps = &plan.graph.steps;
    let after = arrows(steps);
    let main = steps.iter().take_while(|step| step.section == Section::Main).count();
    let mut out = vec!["flowchart TD".to_owned()];
    let mut boxes = lists::Boxes::of(plan);
    for (at, node) in steps.iter().enumerate() {
        boxes.before(at, lang, &mut out);
        if at == main {
            let label = quoted(lang.pick("à la fin, quoi qu'il arrive", "at the end, whatever happens"));
            out.push(format!("  subgraph fin[{label}]"));
        }
        match node.group {
            Some(_) => boxes.open(at, &label(node, plan.step_values(at), lang), &mut out),
            None => out.push(format!("  {}", shape(at, node, plan.step_values(at), lang))),
        }
    }
    boxes.close(&mut out);
    if main < steps.len() {
        out.push("  end".to_owned());
    }
    for (at, node) in steps.iter().enumerate() {
        for to in &after[at] {
            out.push(format!("  {}", arrow(at, *to, &steps[*to], plan.step_values(*to), lang)));
        }
        if let Some(end) = node.end {
            let label = quoted(end_word(end, lang));
            out.push(format!("  s{at} ==> e{at}(({label}))"));
        }
        if node.gate.as_ref().is_some_and(|gate| !gate.on_reject_continue) {
            let (no, refused) = (quoted(lang.pick("non", "no")), quoted(lang.pick("refusée", "refused")));
            out.push(format!("  s{at} -.->|{no}| e{at}(({refused}))"));
        }
        if at < main && main < steps.len() && after[at].is_empty() && node.within.is_none() {
            out.push(format!("  s{at} --> fin"));
        }
    }
    out
}

fn label(node: &StepNode, values: Option<&StepValues>, lang: Lang) -> String {
    let title = values.and_then(|values| values.title.in_lang(lang.code()));
    let title = title.map(|title| format!("<br/>{}", encoded(title.source()))).unwrap_or_default();
    let often = lists::words(node, values, lang);
    let often: String = often.iter().map(|line| format!("<br/>{}", encoded(line))).collect();
    format!("\"{}{title}<br/>{}{often}\"", encoded(&node.id), encoded(&kind(node, lang)))
}

fn shape(at: usize, node: &StepNode, values: Option<&StepValues>, lang: Lang) -> String {
    let label = label(node, values, lang);
    let (open, close) = match mark(node) {
        '◆' => ("{{", "}}"),
        '○' => ("[/", "/]"),
        '■' => ("([", "])"),
        _ => ("[", "]"),
    };
    format!("s{at}{open}{label}{close}")
}

fn arrow(from: usize, to: usize, node: &StepNode, values: Option<&StepValues>, lang: Lang) -> String {
    let when = values.and_then(|values| values.when.as_ref());
    let when = when.map(|when| format!("{} {}", lang.pick("si", "if"), when.source()));
    let label: Vec<String> = run_on(node, lang).map(str::to_owned).into_iter().chain(when).collect();
    let label = if label.is_empty() { String::new() } else { format!("|{}|", quoted(&label.join(", "))) };
    let line = if node.run_on == RunOn::Success { "-->" } else { "-.->" };
    format!("s{from} {line}{label} s{to}")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", encoded(text))
}

/// A text inside a quoted label: whatever could end it, begin a directive or become markup is a character code.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for c in harmless(text).chars() {
        match c {
            '\n' => out.push(' '),
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | '%' | '{' | '}' | '|' | ';' | '*' | '_' | '~' => {
                out.push_str(&format!("#{};", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}
