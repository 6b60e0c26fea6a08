//! Choices of a list: how the list comes to be when its question opens, and what an answer picks of it.
//!
//! The list is read once. From then on it is what stands in the question, whatever its source has become.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::scope::Names;
use super::super::state::{Ask, State};
use super::Refused;
use crate::plan::{Choosing, Computed, ManyNode, Plan, StepNode};
use crate::runbook::template::{Expr, Lookup, Scope};

/// Options of one choice, at most: what a person can read.
const MOST: usize = 1_000;

/// One option as it is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choosable {
    pub id: String,
    pub text: String,
}

/// The list of a choice whose question opens now, or why it cannot be asked.
pub(super) fn options(plan: &Plan, state: &State, step: usize) -> Result<Vec<Choosable>, String> {
    let names = Names::of(plan, state, Some(step));
    let options = match state.values(plan, step).and_then(|values| values.choice.as_ref()) {
        None => return Err("there is no list".to_owned()),
        Some(Choosing::Computed(list)) => computed(list, &names)?,
        Some(Choosing::Listed(all)) => all
            .iter()
            .map(|option| {
                let text = option.text.in_lang(&state.run.lang);
                let text = text.map(|text| {
                    text.render(&names).map_or_else(|_| text.source().to_owned(), |text| text.to_string())
                });
                Choosable { text: text.unwrap_or_else(|| option.id.clone()), id: option.id.clone() }
            })
            .collect(),
    };
    let (count, least) = (options.len(), least(state.shape().node(step).many));
    if count == 0 {
        return Err("the list is empty: there is nothing to choose".to_owned());
    }
    if count < least {
        return Err(format!("the list has {count} entries, and at least {least} are to be chosen"));
    }
    Ok(options)
}

fn computed(list: &Computed, names: &Names<'_>) -> Result<Vec<Choosable>, String> {
    let Value::Array(entries) = list.from.value(names).map_err(|error| error.to_string())? else {
        return Err(format!("`{}` gives no list", list.from.source()));
    };
    if entries.len() > MOST {
        return Err(format!("the list has {} entries, the limit is {MOST}", entries.len()));
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::with_capacity(entries.len());
    for (at, entry) in entries.iter().enumerate() {
        let scope = Entry { names, entry };
        let of = |expr: &Expr| {
            let value = expr.value(&scope).map_err(|error| format!("entry {}: {error}", at + 1))?;
            as_text(&value)
                .ok_or_else(|| format!("entry {}: `{}` gives neither text nor number", at + 1, expr.source()))
        };
        let id = of(&list.id)?;
        if id.trim() != id || id.is_empty() || id.chars().any(char::is_control) {
            return Err(format!(
                "entry {}: its id is empty, or begins, ends or breaks with white space",
                at + 1
            ));
        }
        if !seen.insert(id.clone()) {
            return Err(format!("two entries have the id `{id}`"));
        }
        let text = list.label.as_ref().map_or_else(|| Ok(id.clone()), of)?;
        out.push(Choosable { id, text });
    }
    Ok(out)
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// The names of the step, and the entry that an expression is about.
struct Entry<'a> {
    names: &'a Names<'a>,
    entry: &'a Value,
}

impl Scope for Entry<'_> {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        self.names.lookup(root, name)
    }

    fn whole(&self, root: &str) -> Option<Lookup> {
        if root == "item" { Some(Lookup::Known(self.entry.clone())) } else { self.names.whole(root) }
    }
}

/// The list that a question was opened with; none where it is not disclosed.
pub fn listed(ask: &Ask) -> Vec<Choosable> {
    ask.shown.get("options").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn least(many: Option<ManyNode>) -> usize {
    many.map_or(1, |many| many.min as usize)
}

/// What an answer comes to, as `steps.ID.answer` gives it: an id, or of several a list of ids, in the order of the
/// list.
///
/// # Errors
/// As [`picked`].
pub(super) fn chosen(ask: &Ask, node: &StepNode, value: &Value) -> Result<Value, Refused> {
    let options = listed(ask);
    let picked = picked(&options, node.many, value)?;
    let mut ids = picked.into_iter().filter_map(|at| options.get(at)).map(|option| option.id.clone());
    Ok(if node.many.is_some() { ids.collect() } else { ids.next().into() })
}

/// The positions that an answer picks: an id, a list of ids, or ids with commas between them; also below `choice`.
///
/// # Errors
/// It names something else, something twice, or too few or too many.
pub fn picked(
    options: &[Choosable],
    many: Option<ManyNode>,
    value: &Value,
) -> Result<BTreeSet<usize>, Refused> {
    let value = value.get("choice").unwrap_or(value);
    let find = |id: &str| options.iter().position(|option| option.id == id);
    let mut picked = BTreeSet::new();
    for id in ids(value, many.is_some(), &find)? {
        let Some(at) = find(&id) else {
            let near = crate::diag::closest(&id, options.iter().map(|option| option.id.as_str()));
            let hint = near.map_or_else(|| offered(options), |near| format!("did you mean `{near}`?"));
            return Err(Refused::new("not-a-choice", format!("the list has no `{id}`")).hint(hint));
        };
        if !picked.insert(at) {
            return Err(Refused::new("not-a-choice", format!("`{id}` is named twice")));
        }
    }
    let (count, least) = (picked.len(), least(many));
    let most = many.map_or(1, |many| many.max.map_or(options.len(), |max| max as usize));
    if count < least || count > most {
        let wanted = match (least, most) {
            (1, 1) => "one".to_owned(),
            (least, most) if least == most => format!("exactly {least}"),
            (least, most) => format!("from {least} to {most}"),
        };
        let message = format!("{count} of the list, expected {wanted}");
        return Err(Refused::new("how-many", message).hint(offered(options)));
    }
    Ok(picked)
}

fn ids(value: &Value, many: bool, find: &dyn Fn(&str) -> Option<usize>) -> Result<Vec<String>, Refused> {
    let ill = || {
        let expected = if many { "an id or a list of ids" } else { "an id" };
        Refused::new("ill-typed", format!("the answer to a choice is {expected}"))
    };
    match value {
        Value::Array(list) => list.iter().map(|id| as_text(id).ok_or_else(ill)).collect(),
        // A text that is an id is that one, whatever commas it has.
        Value::String(text) if many && find(text).is_none() => {
            Ok(text.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect())
        }
        _ => Ok(vec![as_text(value).ok_or_else(ill)?]),
    }
}

/// The first few ids, for a hint.
fn offered(options: &[Choosable]) -> String {
    const FEW: usize = 12;
    let ids: Vec<&str> = options.iter().take(FEW).map(|option| option.id.as_str()).collect();
    let more =
        if options.len() > FEW { format!(", and {} more", options.len() - FEW) } else { String::new() };
    format!("there is: {}{more}", ids.join(", "))
}
