//! The picture of a runbook as data: its steps, which follows which, and where it can go. Without inputs and without an
//! environment, so that nothing in it is decided yet. A format: fields are added, never removed or reused.

use serde::Serialize;

use super::forks::{Fork, forks};
use crate::plan::{Localized, Plan, StepNode};
use crate::runbook::template::Template;

/// Name and version of the format.
pub const FORMAT: &str = "consigne.graph/v1";

#[derive(Debug, Clone, Serialize)]
pub struct Drawn {
    pub format: &'static str,
    pub runbook: String,
    pub title: Localized<String>,
    pub steps: Vec<DrawnStep>,
    /// From a step to one that follows directly; what follows from others is left out.
    pub arrows: Vec<(String, String)>,
    pub forks: Vec<Fork>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DrawnStep {
    /// As in `plan/graph.json`.
    pub node: StepNode,
    /// As it is written.
    pub title: Localized<Template>,
}

impl Drawn {
    /// `after`: by step, what comes directly after it.
    pub fn of(outline: &Plan, after: &[Vec<usize>]) -> Self {
        let steps = &outline.graph.steps;
        let arrows = after.iter().enumerate().flat_map(|(from, all)| all.iter().map(move |to| (from, *to)));
        let title =
            |at: usize| outline.step_values(at).map(|values| values.title.clone()).unwrap_or_default();
        Self {
            format: FORMAT,
            runbook: outline.graph.runbook.clone(),
            title: outline.values.title.clone(),
            steps: steps
                .iter()
                .enumerate()
                .map(|(at, node)| DrawnStep { node: node.clone(), title: title(at) })
                .collect(),
            arrows: arrows.map(|(from, to)| (steps[from].id.clone(), steps[to].id.clone())).collect(),
            forks: forks(outline, false),
        }
    }
}
