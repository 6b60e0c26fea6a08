//! The picture as SVG: one file that needs nothing else, runs nothing and loads nothing.
//!
//! Groups are boxes around their steps. What a step is shows by its shape, so that a print without colour says the same:
//! a gate has two points, what destroys has its corners cut and a double line, people's steps lean, an end is round.
//! Every text is escaped; nothing of a runbook becomes part of the drawing. Nothing here recurses.

mod layout;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use textwrap::core::display_width;

use super::super::args::Lang;
use super::lists::groups;
use super::{arrows, title, words};
use crate::operator::request::harmless;
use crate::plan::{Effect, Kind, Plan, RunOn, Section, StepNode};
use layout::{Layout, layout};

/// Of a text, in characters.
const COLUMNS: usize = 38;
/// In the fixed-width face of the picture, with some room to spare where another one is used.
const LETTER: i32 = 8;
const LINE: i32 = 16;
const MARGIN: i32 = 20;
const PADDING: i32 = 14;

const STYLE: &str = "text{font:12px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#111}\
.id{font-weight:bold}.box{fill:#fff;stroke:#333;stroke-width:1.2}.write{fill:#eef4ff}.gate{fill:#fff3cd;stroke-width:2}\
.destructive{fill:#fde2e1;stroke:#8b0000;stroke-width:2}.person{fill:#eefaf0}.end{fill:#e6e6e6}\
.group{fill:#f6f6f6;stroke:#777;stroke-dasharray:6 3}.line{fill:none;stroke:#333;stroke-width:1.2}.maybe{stroke-dasharray:4 3}";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Read,
    Write,
    Destructive,
    Gate,
    Person,
    End,
    Group,
    Revert,
}

impl Shape {
    const fn of(node: &StepNode) -> Self {
        match node.kind {
            Kind::Approve | Kind::Confirm => Self::Gate,
            Kind::Group => Self::Group,
            Kind::Revert => Self::Revert,
            Kind::End => Self::End,
            _ if matches!(node.effect, Effect::Destructive) => Self::Destructive,
            Kind::Input | Kind::Choice | Kind::Checklist | Kind::Manual => Self::Person,
            _ if matches!(node.effect, Effect::Read) => Self::Read,
            _ => Self::Write,
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Read => "box",
            Self::Write | Self::Revert => "box write",
            Self::Destructive => "box destructive",
            Self::Gate => "box gate",
            Self::Person => "box person",
            Self::End => "box end",
            Self::Group => "box group",
        }
    }
}

/// The lines of the file.
pub(in crate::cli) fn svg(plan: &Plan, lang: Lang) -> Vec<String> {
    let drawing = Drawing::of(plan, lang);
    let name = escaped(&title(plan, lang));
    let (width, height) = drawing.size;
    let mut out = vec![
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="{name}">"#
        ),
        format!("<title>{name}</title>"),
        format!("<style>{STYLE}</style>"),
        r##"<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z" fill="#333"/></marker></defs>"##.to_owned(),
        format!(r##"<rect width="{width}" height="{height}" fill="#fff"/>"##),
        format!(r#"<text class="id" x="{MARGIN}" y="{}">{name}</text>"#, MARGIN + 4),
    ];
    out.extend(drawing.lines());
    out.push("</svg>".to_owned());
    out
}

/// What belongs to a list: a group or none, and whether it is what is done on a failure, or at the end.
type List = (Option<usize>, bool);

struct Drawing<'a> {
    plan: &'a Plan,
    lang: Lang,
    size: (i32, i32),
    /// By step: what stands in its box, and how large that is.
    texts: Vec<Vec<String>>,
    sizes: Vec<(i32, i32)>,
    places: Vec<(i32, i32)>,
    lists: BTreeMap<List, Layout>,
    /// By list: its corner.
    corners: BTreeMap<List, (i32, i32)>,
    legend: i32,
}

impl<'a> Drawing<'a> {
    fn of(plan: &'a Plan, lang: Lang) -> Self {
        let steps = &plan.graph.steps;
        let after = arrows(steps);
        let mut members: BTreeMap<List, Vec<usize>> = BTreeMap::new();
        for (at, group) in groups(steps).into_iter().enumerate() {
            let second =
                if group.is_some() { steps[at].handles } else { steps[at].section == Section::Finally };
            members.entry((group, second)).or_default().push(at);
        }
        let texts: Vec<Vec<String>> =
            steps.iter().enumerate().map(|(at, node)| text(plan, at, node, lang)).collect();
        let mut drawing = Self {
            plan,
            lang,
            size: (0, 0),
            sizes: texts.iter().zip(steps).map(|(text, node)| own_size(text, node)).collect(),
            texts,
            places: vec![(0, 0); steps.len()],
            lists: BTreeMap::new(),
            corners: BTreeMap::new(),
            legend: 0,
        };
        // What stands in a group stands behind it, so that it has its size when the group is measured.
        for group in (0..steps.len()).rev().map(Some).chain([None]) {
            for second in [false, true] {
                if let Some(list) = members.get(&(group, second)) {
                    let laid_out = layout(list, &after, |at| drawing.sizes[at]);
                    drawing.grow(group, second, laid_out.size);
                    drawing.lists.insert((group, second), laid_out);
                }
            }
        }
        drawing.stand(&members);
        drawing
    }

    /// Makes room in a group for one of its lists, below what it has.
    fn grow(&mut self, group: Option<usize>, second: bool, (width, height): (i32, i32)) {
        let Some(group) = group else { return };
        let own = &mut self.sizes[group];
        let label = if second { LINE } else { 0 };
        self.corners.insert((Some(group), second), (PADDING, own.1 + label));
        *own = (own.0.max(width + 2 * PADDING), own.1 + label + height + PADDING);
    }

    fn stand(&mut self, members: &BTreeMap<List, Vec<usize>>) {
        let size = |second: bool| self.lists.get(&(None, second)).map_or((0, 0), |list| list.size);
        let (main, finally) = (size(false), size(true));
        let top = MARGIN + 2 * LINE;
        self.corners.insert((None, false), (MARGIN, top));
        let mut bottom = top + main.1;
        if finally.1 > 0 {
            self.corners.insert((None, true), (MARGIN, bottom + 3 * LINE));
            bottom += 3 * LINE + finally.1;
        }
        self.legend = bottom + 2 * LINE;
        let title = i32::try_from(display_width(&title(self.plan, self.lang))).unwrap_or(0) * LETTER;
        let width = main.0.max(finally.0).max(title.min(1_600)).max(legend(self.lang).len() as i32 * 150);
        self.size = (width + 2 * MARGIN, self.legend + 3 * LINE);
        for group in std::iter::once(None).chain((0..self.places.len()).map(Some)) {
            for second in [false, true] {
                let (Some(list), Some(corner)) =
                    (members.get(&(group, second)), self.corners.get_mut(&(group, second)))
                else {
                    continue;
                };
                let own = group.map_or((0, 0), |group| self.places[group]);
                *corner = (corner.0 + own.0, corner.1 + own.1);
                let places = &self.lists[&(group, second)].places;
                for at in list {
                    let (x, y) = places[at];
                    self.places[*at] = (x + corner.0, y + corner.1);
                }
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let steps = &self.plan.graph.steps;
        let mut out = Vec::new();
        let (boxes, others): (Vec<usize>, Vec<usize>) =
            (0..steps.len()).partition(|at| steps[*at].group.is_some());
        boxes.into_iter().for_each(|at| self.step(at, &mut out));
        for (key, list) in &self.lists {
            let corner = self.corners[key];
            if key.1 {
                let text = match key.0 {
                    Some(_) => self.lang.pick("si une étape échoue :", "if a step fails:"),
                    None => self.lang.pick("à la fin, quoi qu'il arrive :", "at the end, whatever happens:"),
                };
                out.push(written("id", corner.0, corner.1 - 6, text));
            }
            for arrow in &list.arrows {
                let maybe = if steps[arrow.to].run_on == RunOn::Success { "" } else { " maybe" };
                let path = path(&arrow.points, corner);
                out.push(format!(r#"<path class="line{maybe}" marker-end="url(#tip)" d="{path}"/>"#));
            }
        }
        others.into_iter().for_each(|at| self.step(at, &mut out));
        let mut x = MARGIN;
        for (shape, word) in legend(self.lang) {
            out.push(outline(shape, x, self.legend, 36, 20));
            out.push(written("", x + 44, self.legend + 14, word));
            x += 150;
        }
        out
    }

    fn step(&self, at: usize, out: &mut Vec<String>) {
        let (x, y) = self.places[at];
        let (width, height) = self.sizes[at];
        let shape = Shape::of(&self.plan.graph.steps[at]);
        out.push(outline(shape, x, y, width, height));
        let left = x + side(shape) + 8;
        let mut base = y + 8 + 12;
        for (nth, line) in self.texts[at].iter().enumerate() {
            out.push(written(if nth == 0 { "id" } else { "" }, left, base, line));
            base += LINE;
        }
    }
}

/// What a box says: its step, and what there is to know about it.
fn text(plan: &Plan, at: usize, node: &StepNode, lang: Lang) -> Vec<String> {
    let words = words(node, plan.step_values(at), lang);
    let how = |deeper: &'static str| textwrap::Options::new(COLUMNS).subsequent_indent(deeper);
    let mut out = Vec::new();
    for (nth, line) in words.iter().enumerate() {
        let line = harmless(line).replace('\n', " ");
        let (first, rest) = match line.split_once("]  ").filter(|_| nth == 0) {
            Some((head, title)) => (format!("{head}]"), Some(title.to_owned())),
            None => (line, None),
        };
        let wrap =
            |text: &str| textwrap::wrap(text, how("  ")).into_iter().map(String::from).collect::<Vec<_>>();
        out.extend(wrap(&first));
        out.extend(rest.iter().flat_map(|title| wrap(title)));
    }
    out
}

/// How much room a shape takes at its sides.
const fn side(shape: Shape) -> i32 {
    match shape {
        Shape::Gate => 18,
        Shape::Person | Shape::End | Shape::Destructive => 10,
        _ => 2,
    }
}

fn own_size(text: &[String], node: &StepNode) -> (i32, i32) {
    let columns = text.iter().map(|line| display_width(line)).max().unwrap_or(0);
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX / 64);
    let width = count(columns) * LETTER + 2 * (side(Shape::of(node)) + 8);
    (width, count(text.len()) * LINE + 16)
}

fn outline(shape: Shape, x: i32, y: i32, width: i32, height: i32) -> String {
    let (class, right, bottom) = (shape.class(), x + width, y + height);
    let rect = |radius: i32| {
        format!(r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}"/>"#)
    };
    let polygon = |points: &[(i32, i32)]| {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x},{y}")).collect();
        format!(r#"<polygon class="{class}" points="{}"/>"#, points.join(" "))
    };
    match shape {
        Shape::Read => rect(6),
        Shape::Group => rect(3),
        Shape::End => rect((height / 2).min(22)),
        Shape::Write => rect(0),
        Shape::Gate => {
            let (middle, cut) = (y + height / 2, 16.min(width / 3));
            polygon(&[
                (x, middle),
                (x + cut, y),
                (right - cut, y),
                (right, middle),
                (right - cut, bottom),
                (x + cut, bottom),
            ])
        }
        Shape::Person => polygon(&[(x + 10, y), (right, y), (right - 10, bottom), (x, bottom)]),
        Shape::Revert => {
            let lines =
                format!(r#"<path class="line" d="M{} {y}V{bottom}M{} {y}V{bottom}"/>"#, x + 4, right - 4);
            format!("{}{lines}", rect(0))
        }
        Shape::Destructive => {
            let cut = |inset: i32| {
                let (left, top, right, bottom) = (x + inset, y + inset, right - inset, bottom - inset);
                let c = 8.min(height / 3);
                polygon(&[
                    (left + c, top),
                    (right - c, top),
                    (right, top + c),
                    (right, bottom - c),
                    (right - c, bottom),
                    (left + c, bottom),
                    (left, bottom - c),
                    (left, top + c),
                ])
            };
            format!("{}{}", cut(0), cut(4))
        }
    }
}

/// Straight down through the rows that it passes, and bent in between.
fn path(points: &[(i32, i32)], (left, top): (i32, i32)) -> String {
    let mut out = String::new();
    let mut last = (0, 0);
    for (nth, (x, y)) in points.iter().enumerate() {
        let (x, y) = (x + left, y + top);
        let half = (y - last.1) / 2;
        let _infallible = match nth {
            0 => write!(out, "M{x} {y}"),
            _ if x == last.0 => write!(out, "V{y}"),
            _ => write!(out, "C{} {} {x} {} {x} {y}", last.0, last.1 + half, y - half),
        };
        last = (x, y);
    }
    out
}

fn written(class: &str, x: i32, y: i32, text: &str) -> String {
    let class = if class.is_empty() { String::new() } else { format!(r#" class="{class}""#) };
    format!(r#"<text{class} x="{x}" y="{y}" xml:space="preserve">{}</text>"#, escaped(text))
}

/// Text as XML has it; what no XML may hold is a replacement character.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in harmless(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c < ' ' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

const fn legend(lang: Lang) -> [(Shape, &'static str); 6] {
    [
        (Shape::Gate, lang.pick("porte", "gate")),
        (Shape::Read, lang.pick("lecture", "read")),
        (Shape::Write, lang.pick("écriture", "write")),
        (Shape::Destructive, lang.pick("destructif", "destructive")),
        (Shape::Person, lang.pick("personne", "person")),
        (Shape::End, lang.pick("fin", "end")),
    ]
}
