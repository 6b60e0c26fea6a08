//! Which step stands in which list: the main one, `finally`, the steps of a group, what it does on a failure.
//!
//! Steps are counted as they stand in the file, those of a group behind it. Nothing here recurses, however deep
//! groups are nested.

use super::schema::{Runbook, Step};

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub within: Option<usize>,
    /// Among what its group does on a failure.
    pub handles: bool,
    pub finally: bool,
}

/// Every step, those of a group behind it, those of `finally` last.
pub fn steps(runbook: &Runbook) -> impl Iterator<Item = &Step> {
    walk(runbook).map(|(step, _)| step)
}

pub fn walk(runbook: &Runbook) -> Walk<'_> {
    let list = |steps, finally| (steps, Place { within: None, handles: false, finally });
    let main = list(runbook.steps.iter(), false);
    let finally = runbook.finally.as_ref().map(|steps| list(steps.iter(), true));
    Walk { open: finally.into_iter().chain([main]).collect(), next: 0 }
}

/// A walk through all steps. See [`steps`].
#[derive(Debug)]
pub struct Walk<'a> {
    open: Vec<(std::slice::Iter<'a, Step>, Place)>,
    next: usize,
}

impl<'a> Iterator for Walk<'a> {
    type Item = (&'a Step, Place);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (list, place) = self.open.last_mut()?;
            let Some(step) = list.next() else {
                self.open.pop();
                continue;
            };
            let place = *place;
            if let Some(group) = &step.group {
                let inside = Place { within: Some(self.next), ..place };
                let handlers = group.on_failure.as_ref().map(|steps| steps.iter());
                self.open.extend(handlers.map(|steps| (steps, Place { handles: true, ..inside })));
                self.open.push((group.steps.iter(), Place { handles: false, ..inside }));
            }
            self.next += 1;
            return Some((step, place));
        }
    }
}

/// The lists of a runbook.
#[derive(Debug)]
pub struct Lists {
    /// By step.
    pub places: Vec<Place>,
    /// By step: the first behind it that does not belong to it.
    pub ends: Vec<usize>,
    /// By step: the number of its list.
    pub of: Vec<usize>,
    /// By list: its steps, in the order of the file.
    pub steps: Vec<Vec<usize>>,
    /// By step: the lists of a group, its steps first, then what it does on a failure.
    inside: Vec<[Option<usize>; 2]>,
}

impl Lists {
    pub fn new(places: Vec<Place>) -> Self {
        let mut lists = Self {
            ends: (1..=places.len()).collect(),
            of: Vec::with_capacity(places.len()),
            steps: vec![Vec::new(), Vec::new()],
            inside: vec![[None; 2]; places.len()],
            places,
        };
        for at in 0..lists.places.len() {
            let place = lists.places[at];
            let number = match place.within {
                None => usize::from(place.finally),
                Some(group) => *lists.inside[group][usize::from(place.handles)].get_or_insert_with(|| {
                    lists.steps.push(Vec::new());
                    lists.steps.len() - 1
                }),
            };
            lists.of.push(number);
            lists.steps[number].push(at);
        }
        for at in (0..lists.places.len()).rev() {
            if let Some(group) = lists.places[at].within {
                lists.ends[group] = lists.ends[group].max(lists.ends[at]);
            }
        }
        lists
    }

    /// The steps of a group, in the order of the file.
    pub fn members(&self, group: usize) -> &[usize] {
        self.inside[group][0].map_or(&[], |list| &self.steps[list])
    }

    /// The numbers of the lists of a group: its steps first, then what it does on a failure.
    pub fn inside(&self, group: usize) -> impl Iterator<Item = usize> {
        self.inside[group].into_iter().flatten()
    }

    /// Whether a step belongs to a group, at whatever depth.
    pub fn belongs(&self, step: usize, group: usize) -> bool {
        group < step && step < self.ends[group]
    }

    /// The groups around a step, innermost first.
    pub fn around(&self, step: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.places[step].within, |group| self.places[*group].within)
    }

    /// Both steps, or the groups around them, as they stand in the innermost list that holds both. Neither, where one
    /// belongs to the other; and where one handles what the other one fails at, two of different lists.
    pub fn side_by_side(&self, one: usize, other: usize) -> Option<(usize, usize)> {
        let lifted = |from: usize, away: usize| {
            let mut at = from;
            while let Some(group) = self.places[at].within.filter(|group| !self.belongs(away, *group)) {
                at = group;
            }
            at
        };
        if one == other || self.belongs(one, other) || self.belongs(other, one) {
            return None;
        }
        Some((lifted(one, other), lifted(other, one)))
    }
}
