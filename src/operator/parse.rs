//! What somebody typed, turned into what was meant, or a reason why not. Pure.

use std::path::PathBuf;

use serde_json::Value;

use super::question::Field;
use super::wording::{Lang, Text};
use crate::clock::Timestamp;
use crate::plan::InputKind;
use crate::runbook::folding::folded;

/// A word against the words that are offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chosen {
    One(usize),
    None,
    Several(Vec<usize>),
}

/// Finds a word, or the only one that it begins; accents and capitals do not matter. `offered` has the ways to say
/// each choice.
pub(super) fn choose(typed: &str, offered: &[Vec<&str>]) -> Chosen {
    let typed = folded(typed.trim());
    if typed.is_empty() {
        return Chosen::None;
    }
    let matching = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let hits = offered.iter().enumerate().filter(|(_, ways)| ways.iter().any(|way| test(&folded(way))));
        hits.map(|(at, _)| at).collect()
    };
    let exact = matching(&|way| way == typed);
    let found = if exact.is_empty() { matching(&|way| way.starts_with(&typed)) } else { exact };
    match found.as_slice() {
        [] => Chosen::None,
        [one] => Chosen::One(*one),
        _ => Chosen::Several(found),
    }
}

/// What a kind of value is called.
pub(super) const fn kind_name(kind: &InputKind) -> Text {
    match kind {
        InputKind::Any => Text::AnyValue,
        InputKind::String => Text::AString,
        InputKind::Integer => Text::AnInteger,
        InputKind::Number => Text::ANumber,
        InputKind::Boolean => Text::ABoolean,
        InputKind::Datetime => Text::ADatetime,
        InputKind::File => Text::AFile,
        InputKind::List(_) => Text::AList,
    }
}

/// A typed text as a value of a kind.
///
/// # Errors
/// What was expected.
pub(super) fn value(lang: Lang, kind: &InputKind, typed: &str) -> Result<Value, String> {
    let typed = typed.trim();
    let found = match kind {
        InputKind::String => Some(Value::from(if typed == "\"\"" { "" } else { typed })),
        InputKind::File => Some(Value::from(unquoted(typed))),
        InputKind::Any => Some(serde_json::from_str(typed).unwrap_or_else(|_| Value::from(typed))),
        InputKind::Integer => typed.parse::<i64>().ok().map(Value::from),
        InputKind::Number => match typed.parse::<i64>() {
            Ok(whole) => Some(Value::from(whole)),
            Err(_) => {
                typed.replace(',', ".").parse().ok().and_then(serde_json::Number::from_f64).map(Value::from)
            }
        },
        InputKind::Boolean => match typed.to_lowercase().as_str() {
            "yes" | "y" | "true" | "oui" | "o" => Some(Value::from(true)),
            "no" | "n" | "false" | "non" => Some(Value::from(false)),
            _ => None,
        },
        InputKind::Datetime => typed.parse::<Timestamp>().is_ok().then(|| Value::from(typed)),
        InputKind::List(of) => return list(lang, of, typed),
    };
    found.ok_or_else(|| lang.fill(Text::NotAValue, &[("kind", lang.text(kind_name(kind)))]))
}

fn list(lang: Lang, of: &InputKind, typed: &str) -> Result<Value, String> {
    if let Ok(Value::Array(items)) = serde_json::from_str(typed) {
        return Ok(Value::Array(items));
    }
    let items = typed.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| value(lang, of, item)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// A typed text as a value of a field of a form.
///
/// # Errors
/// What was expected.
pub(super) fn field(lang: Lang, field: &Field, typed: &str) -> Result<Value, String> {
    let value = value(lang, &field.kind, typed)?;
    if let Some(number) = value.as_f64() {
        if let Some(min) = field.min.filter(|min| number < *min) {
            return Err(lang.fill(Text::TooSmall, &[("min", &min.to_string())]));
        }
        if let Some(max) = field.max.filter(|max| number > *max) {
            return Err(lang.fill(Text::TooBig, &[("max", &max.to_string())]));
        }
    }
    if let (Some(pattern), Some(text)) = (&field.pattern, value.as_str())
        && !regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
    {
        return Err(lang.fill(Text::NotMatching, &[("pattern", pattern)]));
    }
    match &field.one_of {
        Some(allowed) if !allowed.contains(&value) => {
            let values: Vec<String> = allowed.iter().map(shown).collect();
            Err(lang.fill(Text::NotAllowed, &[("values", &values.join(", "))]))
        }
        _ => Ok(value),
    }
}

/// A value as it is typed.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A moment to come: how long from now, or when.
pub(super) fn moment(now: Timestamp, typed: &str) -> Option<Timestamp> {
    let typed = typed.trim();
    let at = match humantime::parse_duration(typed) {
        Ok(length) => now.plus(u64::try_from(length.as_millis()).ok()?),
        Err(_) => typed.parse().ok()?,
    };
    (at > now).then_some(at)
}

/// A path as shells read it: `~/` is the home folder.
pub(super) fn path(typed: &str) -> PathBuf {
    let typed = unquoted(typed.trim());
    match (typed.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(typed),
    }
}

/// Without the quotes and backslashes that completion or a terminal have put into a path. A path that is not one
/// word for shells is meant as it stands.
fn unquoted(typed: &str) -> String {
    let words = typed.contains(['\\', '\'', '"']).then(|| shell_words::split(typed));
    match words {
        Some(Ok(words)) if words.len() == 1 => words.concat(),
        _ => typed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_by_what_only_it_begins_with() {
        let offered =
            [vec!["retry"], vec!["by_hand"], vec!["rejeter", "reject"], vec!["no"], vec!["not_done"]];
        assert_eq!(choose(" RETRY ", &offered), Chosen::One(0));
        assert_eq!(choose("b", &offered), Chosen::One(1));
        assert_eq!(choose("REJ", &offered), Chosen::One(2));
        assert_eq!(choose("reess", &[vec!["réessayer"]]), Chosen::One(0));
        assert_eq!(choose("re", &offered), Chosen::Several(vec![0, 2]));
        assert_eq!(choose("no", &offered), Chosen::One(3), "a whole word wins over what it begins");
        assert_eq!(choose("", &offered), Chosen::None);
        assert_eq!(choose("yes", &offered), Chosen::None);
    }

    #[test]
    fn values_are_typed_and_explained() {
        let en = |kind: &InputKind, text: &str| value(Lang::En, kind, text);
        assert_eq!(en(&InputKind::Integer, " 12 "), Ok(Value::from(12)));
        assert_eq!(en(&InputKind::Integer, "1.5"), Err("expected a whole number".into()));
        assert_eq!(en(&InputKind::Number, "1,5"), Ok(Value::from(1.5)));
        assert_eq!(value(Lang::Fr, &InputKind::Boolean, "oui"), Ok(Value::from(true)));
        assert_eq!(en(&InputKind::String, "true"), Ok(Value::from("true")));
        assert!(en(&InputKind::Datetime, "2026-11-23T06:30:00").is_err(), "an offset is required");
        assert_eq!(en(&InputKind::List(Box::new(InputKind::Integer)), "1, 2"), Ok(serde_json::json!([1, 2])));
        assert!(en(&InputKind::List(Box::new(InputKind::Integer)), "1, x").is_err());
    }

    #[test]
    fn a_path_is_read_as_shells_do_where_it_is_one_word() {
        for (typed, meant) in [
            (r"my\ report.pdf", "my report.pdf"),
            ("'/tmp/my report.pdf' ", "/tmp/my report.pdf"),
            ("my report.pdf", "my report.pdf"),
            ("report #2.pdf", "report #2.pdf"),
            ("l'avis.pdf", "l'avis.pdf"),
            (r"a\ b c", r"a\ b c"),
        ] {
            assert_eq!(path(typed), PathBuf::from(meant));
        }
        assert_eq!(value(Lang::En, &InputKind::File, r"a\ b"), Ok(Value::from("a b")));
    }

    #[test]
    fn a_review_lies_ahead() {
        let now = Timestamp::from_millis(1_000_000_000_000);
        assert_eq!(moment(now, "2h"), Some(now.plus(7_200_000)));
        assert_eq!(moment(now, "2001-09-09T01:00:00Z"), None, "in the past");
        assert_eq!(moment(now, "tomorrow"), None);
    }
}
