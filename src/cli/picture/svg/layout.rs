//! Where the boxes of one list stand: in rows from top to bottom, so that every arrow leads down. Arrows that pass a
//! row have a place of their own in it and run through no box.
//!
//! Whole pixels only, and the same for the same list.

use std::collections::BTreeMap;

/// Boxes beside each other; further ones stand in the rows below.
const MOST_IN_ROW: usize = 5;
/// Places for arrows that pass rows; with more of them arrows run straight.
const MOST_PASSES: usize = 20_000;
const SWEEPS: usize = 4;
const BESIDE: i32 = 24;
const BELOW: i32 = 34;
const PASS: i32 = 12;

/// The boxes and arrows of a list, from its own corner.
#[derive(Default)]
pub(super) struct Layout {
    pub size: (i32, i32),
    /// By step: its upper left corner.
    pub places: BTreeMap<usize, (i32, i32)>,
    pub arrows: Vec<Arrow>,
}

pub(super) struct Arrow {
    pub to: usize,
    /// Where it begins, then each pair of points between which it runs straight down, then where it ends.
    pub points: Vec<(i32, i32)>,
}

/// A box, or the place of an arrow that passes.
struct Item {
    row: usize,
    size: (i32, i32),
    step: Option<usize>,
    x: i32,
}

/// `list` is in an order that respects all arrows of `after`.
pub(super) fn layout(list: &[usize], after: &[Vec<usize>], size: impl Fn(usize) -> (i32, i32)) -> Layout {
    let rows_of = rows(list, after);
    let mut grid = Grid { items: Vec::new(), rows: Vec::new(), links: Vec::new() };
    let mut item_of = BTreeMap::new();
    for step in list.iter().copied() {
        item_of.insert(step, grid.put(rows_of[&step], size(step), Some(step)));
    }
    let arrows: Vec<(usize, usize)> = list
        .iter()
        .flat_map(|from| after[*from].iter().map(move |to| (*from, *to)))
        .filter(|(_, to)| rows_of.contains_key(to))
        .collect();
    let passed: usize = arrows.iter().map(|(from, to)| rows_of[to] - rows_of[from] - 1).sum();
    let mut ways: Vec<Vec<usize>> = Vec::new();
    for (from, to) in &arrows {
        let mut way = vec![item_of[from]];
        if passed <= MOST_PASSES {
            way.extend((rows_of[from] + 1..rows_of[to]).map(|row| grid.put(row, (PASS, 0), None)));
        }
        way.push(item_of[to]);
        grid.links.extend(way.windows(2).map(|pair| (pair[0], pair[1])));
        ways.push(way);
    }
    grid.arrange();
    let tops = grid.stand();
    grid.drawn(&arrows, &ways, &tops)
}

fn rows(list: &[usize], after: &[Vec<usize>]) -> BTreeMap<usize, usize> {
    let mut rows: BTreeMap<usize, usize> = list.iter().map(|step| (*step, 0)).collect();
    let mut taken: Vec<usize> = Vec::new();
    for step in list {
        let mut row = rows[step];
        while taken.get(row).is_some_and(|taken| *taken >= MOST_IN_ROW) {
            row += 1;
        }
        taken.resize(taken.len().max(row + 1), 0);
        taken[row] += 1;
        rows.insert(*step, row);
        for to in &after[*step] {
            if let Some(below) = rows.get_mut(to) {
                *below = (*below).max(row + 1);
            }
        }
    }
    rows
}

struct Grid {
    items: Vec<Item>,
    rows: Vec<Vec<usize>>,
    /// From an item to one further down.
    links: Vec<(usize, usize)>,
}

impl Grid {
    fn put(&mut self, row: usize, size: (i32, i32), step: Option<usize>) -> usize {
        let at = self.items.len();
        self.items.push(Item { row, size, step, x: 0 });
        self.rows.resize_with(self.rows.len().max(row + 1), Vec::new);
        self.rows[row].push(at);
        at
    }

    /// Brings what belongs together near to each other: each item to the middle of those it is linked with.
    fn arrange(&mut self) {
        let mut above = vec![Vec::new(); self.items.len()];
        let mut below = vec![Vec::new(); self.items.len()];
        for (from, to) in &self.links {
            above[*to].push(*from);
            below[*from].push(*to);
        }
        let mut order = vec![0_usize; self.items.len()];
        let number = |row: &[usize], order: &mut Vec<usize>| {
            row.iter().enumerate().for_each(|(at, item)| order[*item] = at * 1_000 / row.len().max(1));
        };
        self.rows.iter().for_each(|row| number(row, &mut order));
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let linked = if down { &above } else { &below };
            for nth in 0..self.rows.len() {
                let nth = if down { nth } else { self.rows.len() - 1 - nth };
                let middle = |item: usize| {
                    let all = &linked[item];
                    let sum: usize = all.iter().map(|other| order[*other]).sum();
                    sum.checked_div(all.len()).unwrap_or(order[item])
                };
                let mut row = std::mem::take(&mut self.rows[nth]);
                row.sort_by_cached_key(|item| middle(*item));
                number(&row, &mut order);
                self.rows[nth] = row;
            }
        }
    }

    /// Gives every item its place in its row, and every row its top and bottom.
    fn stand(&mut self) -> Vec<(i32, i32)> {
        let width = |items: &[Item], row: &[usize]| {
            let boxes: i32 = row.iter().map(|item| items[*item].size.0).sum();
            boxes + BESIDE * i32::try_from(row.len().saturating_sub(1)).unwrap_or(i32::MAX / BESIDE)
        };
        let most = self.rows.iter().map(|row| width(&self.items, row)).max().unwrap_or(0);
        let mut tops = Vec::new();
        let mut y = 0;
        for row in &self.rows {
            let mut x = (most - width(&self.items, row)) / 2;
            for item in row {
                self.items[*item].x = x;
                x += self.items[*item].size.0 + BESIDE;
            }
            let height = row.iter().map(|item| self.items[*item].size.1).max().unwrap_or(0);
            tops.push((y, y + height));
            y += height + BELOW;
        }
        tops
    }

    fn drawn(&self, arrows: &[(usize, usize)], ways: &[Vec<usize>], tops: &[(i32, i32)]) -> Layout {
        let middle = |item: usize| self.items[item].x + self.items[item].size.0 / 2;
        let arrow = |((_, to), way): (&(usize, usize), &Vec<usize>)| {
            let mut points = Vec::new();
            for (nth, item) in way.iter().enumerate() {
                let (top, bottom) = tops[self.items[*item].row];
                let x = middle(*item);
                match nth {
                    0 => points.extend([(x, top + self.items[*item].size.1), (x, bottom)]),
                    nth if nth + 1 == way.len() => points.push((x, top)),
                    _ => points.extend([(x, top), (x, bottom)]),
                }
            }
            Arrow { to: *to, points }
        };
        let boxes = self.items.iter().filter_map(|item| Some((item.step?, (item.x, tops[item.row].0))));
        let right = self.items.iter().map(|item| item.x + item.size.0).max().unwrap_or(0);
        Layout {
            size: (right, tops.last().map_or(0, |(_, bottom)| *bottom)),
            places: boxes.collect(),
            arrows: arrows.iter().zip(ways).map(arrow).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: (i32, i32) = (100, 40);

    proptest! {
        /// Whatever follows what: no box on another, and every arrow leads down from its box into the other.
        #[test]
        fn boxes_stand_apart_and_arrows_lead_down(edges in proptest::collection::vec((0_usize..24, 0_usize..24), 0..60)) {
            let mut after = vec![Vec::new(); 24];
            for (one, other) in edges {
                let (from, to) = (one.min(other), one.max(other));
                if from != to && !after[from].contains(&to) {
                    after[from].push(to);
                }
            }
            let list: Vec<usize> = (0..24).collect();
            let drawn = layout(&list, &after, |_| SIZE);
            prop_assert_eq!(drawn.places.len(), 24);
            for (one, (x, y)) in &drawn.places {
                for (_, (other_x, other_y)) in drawn.places.iter().filter(|(other, _)| *other > one) {
                    prop_assert!((x - other_x).abs() >= SIZE.0 || (y - other_y).abs() >= SIZE.1);
                }
                prop_assert!(*x >= 0 && x + SIZE.0 <= drawn.size.0 && y + SIZE.1 <= drawn.size.1);
            }
            prop_assert_eq!(drawn.arrows.len(), after.iter().map(Vec::len).sum::<usize>());
            for arrow in &drawn.arrows {
                prop_assert!(arrow.points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
                let begin = arrow.points[0];
                prop_assert!(drawn.places.values().any(|(x, y)| begin == (x + SIZE.0 / 2, y + SIZE.1)));
                let (x, y) = drawn.places[&arrow.to];
                prop_assert_eq!(*arrow.points.last().unwrap(), (x + SIZE.0 / 2, y));
            }
        }
    }
}
