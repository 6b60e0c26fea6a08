//! The graph, indexed once: names to positions, and who waits for whom. Immutable for the length of a run.

use std::collections::BTreeMap;

use crate::plan::{Graph, Section, StepNode};

/// A graph with its edges as positions. Positions live in memory only; the journal has names.
#[derive(Debug, PartialEq)]
pub struct Shape {
    graph: Graph,
    by_name: BTreeMap<String, usize>,
    dependents: Vec<Vec<usize>>,
    needs: Vec<Vec<usize>>,
    /// Gates whose approval binds the step.
    covered_by: Vec<Vec<usize>>,
    main: usize,
}

impl Shape {
    /// # Errors
    /// A graph that no plan builder makes: an unknown or repeated name, a need that does not come before, steps of
    /// `finally` among the others. Stored plans are checked by this.
    pub fn new(graph: Graph) -> Result<Self, String> {
        let mut by_name = BTreeMap::new();
        let mut needs = Vec::with_capacity(graph.steps.len());
        let mut dependents = vec![Vec::new(); graph.steps.len()];
        let mut covered_by = vec![Vec::new(); graph.steps.len()];
        let main = graph.steps.iter().take_while(|step| step.section == Section::Main).count();
        for (at, step) in graph.steps.iter().enumerate() {
            if (step.section == Section::Main) != (at < main) {
                return Err(format!("step `{}` stands in the wrong section", step.id));
            }
            let mut own = Vec::with_capacity(step.needs.len());
            for name in &step.needs {
                let need: usize = *by_name.get(name).ok_or_else(|| {
                    format!("step `{}` needs `{name}`, which does not come before it", step.id)
                })?;
                if graph.steps[need].section == step.section {
                    own.push(need);
                    dependents[need].push(at);
                } else {
                    return Err(format!("step `{}` needs `{name}` of another section", step.id));
                }
            }
            needs.push(own);
            if by_name.insert(step.id.clone(), at).is_some() {
                return Err(format!("two steps are called `{}`", step.id));
            }
        }
        for (at, step) in graph.steps.iter().enumerate() {
            for name in step.gate.iter().flat_map(|gate| &gate.covers) {
                let covered = *by_name
                    .get(name)
                    .ok_or_else(|| format!("`{}` covers `{name}`, which is no step", step.id))?;
                if covered <= at {
                    return Err(format!("`{}` covers `{name}`, which does not come after it", step.id));
                }
                covered_by[covered].push(at);
            }
        }
        Ok(Self { graph, by_name, dependents, needs, covered_by, main })
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    pub fn len(&self) -> usize {
        self.graph.steps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.graph.steps.is_empty()
    }

    /// Number of steps in the main section; they come first.
    pub fn main(&self) -> usize {
        self.main
    }

    pub fn node(&self, at: usize) -> &StepNode {
        &self.graph.steps[at]
    }

    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub fn needs(&self, at: usize) -> &[usize] {
        &self.needs[at]
    }

    pub fn dependents(&self, at: usize) -> &[usize] {
        &self.dependents[at]
    }

    pub fn covered_by(&self, at: usize) -> &[usize] {
        &self.covered_by[at]
    }

    pub fn is_main(&self, at: usize) -> bool {
        at < self.main
    }
}
