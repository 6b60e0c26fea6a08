//! What was expected of a case, held against what its rehearsal did.

use serde_json::Value;

use super::trace::{Asked, Point, Request, Trace};
use crate::diag::Span;
use crate::plan::Values;
use crate::runbook::cases::{AskedDecl, EndingDecl, ExpectDecl, Fate, PointDecl, RequestDecl};
use crate::runbook::extract::{self, Document, Globals};
use crate::runbook::scalar::Entries;

/// Most points, questions or requests that are shown as found.
const MOST: usize = 40;

/// Something that is not as it was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    pub about: About,
    /// Where the expectation stands in the file of tests.
    pub at: Span,
    pub expected: String,
    /// What there was instead, one a line.
    pub found: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    Path,
    Step,
    Question,
    Request,
    Ending,
}

/// All that is not as expected, in the order of the file.
pub fn judge(expect: &ExpectDecl, trace: &Trace, values: &Values) -> Vec<Miss> {
    let mut out = Vec::new();
    out.extend(expect.path.as_deref().and_then(|path| in_order(path, trace)));
    let whole_at = expect.keys.get("whole_path").unwrap_or(expect.span);
    out.extend(expect.whole_path.as_deref().and_then(|path| whole(path, whole_at, trace)));
    out.extend(expect.steps.iter().flat_map(Entries::iter).filter_map(|(name, fate)| {
        let point = PointDecl { name: name.clone(), fate: Some(fate.clone()) };
        step(&point, trace)
    }));
    out.extend(expect.asked.iter().flatten().filter_map(|wanted| question(wanted, trace)));
    let globals = Globals::new(&values.inputs, &values.vars);
    out.extend(expect.requests.iter().flatten().filter_map(|wanted| request(wanted, trace, &globals)));
    out.extend(expect.ending.iter().flat_map(|wanted| ending(wanted, trace)));
    out.sort_by_key(|miss| miss.at);
    out
}

impl Point {
    pub fn shown(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(" {}", self.reason) };
        format!("{}: {}{reason}", self.name, self.fate)
    }

    fn is(&self, wanted: &PointDecl) -> bool {
        self.name == wanted.name.value
            && match &wanted.fate {
                None => true,
                Some(Fate::Word(word, reason)) => {
                    self.fate == *word && reason.as_ref().is_none_or(|reason| *reason == self.reason)
                }
                Some(Fate::Never) => false,
            }
    }
}

fn shown(wanted: &PointDecl) -> String {
    let name = &wanted.name.value;
    match &wanted.fate {
        None => name.clone(),
        Some(Fate::Word(word, Some(reason))) => format!("{name}: {word} {reason}"),
        Some(Fate::Word(word, None)) => format!("{name}: {word}"),
        Some(Fate::Never) => format!("{name}: false"),
    }
}

/// The first point of a path that does not come behind those before it.
fn in_order(path: &[PointDecl], trace: &Trace) -> Option<Miss> {
    let mut from = 0;
    for wanted in path {
        match trace.points[from..].iter().position(|point| point.is(wanted)) {
            Some(at) => from += at + 1,
            None => {
                let rest = trace.points[from..].iter();
                // What belongs to the path is enough, unless a proof or an item is looked for.
                let minor = !trace.points.iter().any(|point| point.walked && point.name == wanted.name.value);
                let found = rest.filter(|point| minor || point.walked || point.fate == "skipped");
                return Some(miss(About::Path, wanted, found.map(Point::shown).collect()));
            }
        }
    }
    None
}

/// An empty path is one, too: nothing was walked.
fn whole(path: &[PointDecl], empty_at: Span, trace: &Trace) -> Option<Miss> {
    let mut points = trace.points.iter().filter(|point| point.walked);
    for wanted in path {
        let rest: Vec<String> = points.clone().map(Point::shown).collect();
        if points.next().is_none_or(|point| !point.is(wanted)) {
            return Some(miss(About::Path, wanted, rest));
        }
    }
    let rest: Vec<String> = points.map(Point::shown).collect();
    let at = path.last().map_or(empty_at, |last| last.name.span);
    (!rest.is_empty()).then(|| Miss { about: About::Path, at, expected: "-".to_owned(), found: rest })
}

fn miss(about: About, wanted: &PointDecl, found: Vec<String>) -> Miss {
    Miss { about, at: wanted.name.span, expected: shown(wanted), found: few(found) }
}

fn few(mut found: Vec<String>) -> Vec<String> {
    if found.len() > MOST {
        found.truncate(MOST);
        found.push("…".to_owned());
    }
    found
}

fn step(wanted: &PointDecl, trace: &Trace) -> Option<Miss> {
    let of_it = || trace.points.iter().filter(|point| point.name == wanted.name.value);
    let holds = match wanted.fate {
        Some(Fate::Never) => of_it().next().is_none(),
        _ => of_it().any(|point| point.is(wanted)),
    };
    (!holds).then(|| miss(About::Step, wanted, of_it().map(Point::shown).collect()))
}

fn question(wanted: &AskedDecl, trace: &Trace) -> Option<Miss> {
    let is = |asked: &&Asked| {
        asked.step == wanted.step.value
            && wanted.kind.is_none_or(|kind| kind.name() == asked.kind)
            && wanted.by.as_ref().is_none_or(|by| same(by, &asked.by))
            && wanted.reason.as_ref().is_none_or(|reason| *reason == asked.reason)
            && wanted.says.as_ref().is_none_or(|says| asked.prompt.contains(says))
    };
    let times = trace.asked.iter().filter(is).count();
    if counts(times, wanted.times, wanted.absent) {
        return None;
    }
    let mut expected = vec![wanted.step.value.clone()];
    expected.extend(wanted.kind.map(|kind| kind.name().to_owned()));
    expected.extend(wanted.by.as_ref().map(|by| format!("by {}", by.join(", "))));
    expected.extend(wanted.reason.as_ref().map(|reason| format!("reason {reason}")));
    expected.extend(wanted.says.as_ref().map(|says| format!("says \"{says}\"")));
    let found = trace.asked.iter().map(|asked| {
        let reason =
            if asked.reason.is_empty() { String::new() } else { format!(" · reason {}", asked.reason) };
        let says = match &wanted.says {
            Some(_) if asked.step == wanted.step.value => format!(" · says \"{}\"", asked.prompt),
            _ => String::new(),
        };
        format!("{} · {} · by {}{reason}{says}", asked.step, asked.kind, asked.by.join(", "))
    });
    let expected = counted(&expected.join(" · "), wanted.times, wanted.absent);
    Some(Miss { about: About::Question, at: wanted.span, expected, found: few(found.collect()) })
}

fn same(one: &[String], other: &[String]) -> bool {
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list
    };
    sorted(one) == sorted(other)
}

/// Whether so many are as many as there should be.
const fn counts(found: usize, times: Option<u32>, absent: Option<bool>) -> bool {
    match (times, absent) {
        (_, Some(true)) => found == 0,
        (Some(times), _) => found == times as usize,
        (None, _) => found > 0,
    }
}

fn counted(what: &str, times: Option<u32>, absent: Option<bool>) -> String {
    match (times, absent) {
        (_, Some(true)) => format!("0 × {what}"),
        (Some(times), _) => format!("{times} × {what}"),
        (None, _) => what.to_owned(),
    }
}

fn request(wanted: &RequestDecl, trace: &Trace, globals: &Globals) -> Option<Miss> {
    let times = trace.requests.iter().filter(|made| is_wanted(wanted, made, globals)).count();
    if counts(times, wanted.times, wanted.absent) {
        return None;
    }
    let of_it = |made: &&Request| {
        wanted.step.as_ref().is_none_or(|step| step.value == made.step)
            && wanted.part.is_none_or(|part| part.name() == made.part)
    };
    // Those of the step say most; where it made none, all of them.
    let mut found: Vec<String> =
        trace.requests.iter().filter(of_it).map(|made| made.document.to_string()).collect();
    if found.is_empty() {
        let all = trace.requests.iter();
        found = all.map(|made| format!("{} ({})", made.step, made.part)).collect();
    }
    let mut parts: Vec<String> = Vec::new();
    parts.extend(wanted.step.as_ref().map(|step| step.value.clone()));
    parts.extend(wanted.part.map(|part| format!("({})", part.name())));
    parts.extend(wanted.method.clone());
    parts.extend(wanted.url.clone());
    let pairs = |all: &Option<Entries<String>>| -> Vec<String> {
        let all = all.iter().flat_map(Entries::iter);
        all.map(|(name, value)| format!("{}={value}", name.value)).collect()
    };
    parts.extend(pairs(&wanted.query));
    parts.extend(pairs(&wanted.headers));
    parts.extend(wanted.body.as_ref().map(|body| body.literal().to_string()));
    parts.extend(wanted.argv.as_ref().map(|argv| format!("{argv:?}")));
    parts.extend(wanted.shell.as_ref().map(|script| format!("{script:?}")));
    parts.extend(wanted.host.as_ref().map(|host| format!("@ {host}")));
    parts.extend(wanted.that.iter().flat_map(|many| &many.0).map(|filter| format!("| {}", filter.value.0)));
    let expected = counted(&parts.join(" "), wanted.times, wanted.absent);
    Some(Miss { about: About::Request, at: wanted.span, expected, found: few(found) })
}

fn is_wanted(wanted: &RequestDecl, made: &Request, globals: &Globals) -> bool {
    let of = |name: &str| made.document.get(name);
    let text = |name: &str| of(name).and_then(Value::as_str);
    let contains = |name: &str, pairs: &Option<Entries<String>>| {
        let mut pairs = pairs.iter().flat_map(Entries::iter);
        pairs.all(|(key, value)| of(name).and_then(|map| map.get(&key.value)?.as_str()) == Some(value))
    };
    // Capital letters or small ones, it is the same header and the same method.
    let headers = || {
        let mut pairs = wanted.headers.iter().flat_map(Entries::iter);
        pairs.all(|(key, value)| {
            let all = of("headers").and_then(Value::as_object).into_iter().flatten();
            let mut of_name = all.filter(|(name, _)| name.eq_ignore_ascii_case(&key.value));
            of_name.any(|(_, found)| found.as_str() == Some(value))
        })
    };
    let holds = |filter: &str| {
        let document = Document::parse(&made.document.to_string());
        document.is_ok_and(|document| extract::holds(filter, &document, globals) == Ok(true))
    };
    let argv = wanted.argv.as_ref().map(|argv| Value::from(argv.clone()));
    wanted.step.as_ref().is_none_or(|step| step.value == made.step)
        && wanted.part.is_none_or(|part| part.name() == made.part)
        && wanted
            .method
            .as_deref()
            .is_none_or(|method| text("method").is_some_and(|made| made.eq_ignore_ascii_case(method)))
        && wanted.url.as_deref().is_none_or(|url| text("url").is_some_and(|made| is_at(url, made)))
        && contains("query", &wanted.query)
        && headers()
        && wanted.body.as_ref().is_none_or(|body| of("body") == Some(&body.literal()))
        && argv.is_none_or(|argv| of("argv") == Some(&argv))
        && wanted.shell.as_ref().is_none_or(|part| text("shell").is_some_and(|script| script.contains(part)))
        && wanted.host.as_deref().is_none_or(|host| text("host") == Some(host))
        && wanted.that.iter().flat_map(|many| &many.0).all(|filter| holds(&filter.value.0))
}

/// Whether an address is the one that is wanted; from `/` on, its end is enough.
fn is_at(wanted: &str, made: &str) -> bool {
    let made = made.split(['?', '#']).next().unwrap_or_default();
    made == wanted || wanted.starts_with('/') && made.ends_with(wanted)
}

fn ending(wanted: &EndingDecl, trace: &Trace) -> Vec<Miss> {
    let mut out = Vec::new();
    let at = |key: &str| wanted.keys.get(key).unwrap_or(wanted.span);
    let mut differs = |key: &str, expected: &str, found: &str| {
        let (expected, found) = (format!("{key}: {expected}"), vec![format!("{key}: {found}")]);
        out.push(Miss { about: About::Ending, at: at(key), expected, found });
    };
    if let Some(status) = wanted.status.filter(|status| status.name() != trace.status) {
        differs("status", status.name(), &format!("{} ({})", trace.status, trace.reason));
    }
    if let Some(reason) = wanted.reason.as_ref().filter(|reason| **reason != trace.reason) {
        differs("reason", reason, &trace.reason);
    }
    if let Some(open) = wanted.open.as_ref().filter(|open| !same(open, &trace.open)) {
        differs("open", &format!("[{}]", open.join(", ")), &format!("[{}]", trace.open.join(", ")));
    }
    out
}
