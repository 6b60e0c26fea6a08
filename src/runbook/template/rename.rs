//! The names of a runbook that another one uses, as those of the one that uses it.
//!
//! Rewrites expressions only: what stands between them stays. A step `before` of a runbook used by a step `check`
//! becomes `steps["check/before"]`, an input what was written for it, an item of a list another name where its own
//! would hide one. Nothing is evaluated here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Expr, Part, Template, TemplateError};

/// What the names of a used runbook stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Renaming {
    /// The step that uses it.
    pub parent: String,
    /// By name of the input: an expression in the names of whoever uses it.
    pub inputs: BTreeMap<String, String>,
    /// Names of items that would hide another one.
    pub items: BTreeMap<String, String>,
}

impl Renaming {
    /// The id of a step of the used runbook.
    pub fn id(&self, id: &str) -> String {
        format!("{}/{id}", self.parent)
    }

    /// The name of a secret, of a credential or of a step to exclude: `steps.x`, `steps.x.key`, `inputs.key`. Any
    /// other stays; so does an input that is no name by itself.
    pub fn name(&self, name: &str) -> String {
        if let Some(rest) = name.strip_prefix("steps.") {
            return format!("steps.{}/{rest}", self.parent);
        }
        let given = name.strip_prefix("inputs.").and_then(|input| self.inputs.get(input));
        let Some(given) = given.and_then(|given| Expr::parse(given).ok()) else { return name.to_owned() };
        match (given.secret(), given.path()) {
            (Some(secret), _) => secret.to_owned(),
            (None, Some(path)) => path.to_owned(),
            (None, None) => name.to_owned(),
        }
    }

    fn path(&self, path: &str, indexed: bool) -> Option<String> {
        let (root, rest) = path.split_once('.').map_or((path, ""), |(root, rest)| (root, rest));
        let (name, below) = rest.find('.').map_or((rest, ""), |at| rest.split_at(at));
        match root {
            "steps" if !name.is_empty() => Some(format!("steps[\"{}\"]{below}", self.id(name))),
            "inputs" if !name.is_empty() => {
                let given = self.inputs.get(name)?;
                let whole =
                    Expr::parse(given).is_ok_and(|expr| expr.path().is_some() || expr.secret().is_some());
                let follows = !below.is_empty() || indexed;
                Some(if whole {
                    format!("{given}{below}")
                } else if follows || !is_literal(given) {
                    format!("({given}){below}")
                } else {
                    given.clone()
                })
            }
            _ => {
                let name = self.items.get(root)?;
                Some(if rest.is_empty() { name.clone() } else { format!("{name}.{rest}") })
            }
        }
    }

    fn rewrite(&self, source: &str) -> String {
        let mut out = String::with_capacity(source.len());
        let mut rest = source;
        // The last character that is no space: a name behind `.`, `|` or `is` is no value.
        let mut before = "";
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' | '\'' => super::called::quoted(rest, first),
                c if begins_name(c) => joined(rest),
                c if c.is_numeric() => {
                    rest.find(|c: char| !(is_in_name(c) || c == '.')).unwrap_or(rest.len())
                }
                c => c.len_utf8(),
            };
            let (token, behind) = rest.split_at(length);
            let named = begins_name(first);
            let is_value = named && !matches!(before, "." | "|" | "is");
            let follows = behind.trim_start();
            let argument = follows.starts_with('=') && !follows.starts_with("==");
            let index = step_index(token, behind).filter(|_| is_value);
            if let Some((id, end)) = index {
                out.push_str(&format!("steps[\"{}\"]", self.id(id)));
                before = "]";
                rest = &behind[end..];
                continue;
            }
            let path: String = token.split_whitespace().collect();
            let renamed = self.path(&path, follows.starts_with('[')).filter(|_| is_value && !argument);
            out.push_str(renamed.as_deref().unwrap_or(token));
            if !(token.trim().is_empty() || before == "is" && token == "not") {
                before = token;
            }
            rest = behind;
        }
        out
    }

    /// Whether an expression reads under its new names what it read under its own, and nothing else.
    fn keeps(&self, before: &Expr, after: &Expr) -> bool {
        let mut wanted = BTreeSet::new();
        for path in before.refs() {
            let (root, name) = name_of(path);
            let given = Some(name).filter(|_| root == "inputs").and_then(|name| self.inputs.get(name));
            match (given.map(|given| Expr::parse(given)), self.items.get(root)) {
                (Some(Ok(given)), _) => {
                    wanted.extend(given.refs().iter().map(|path| name_of(path)).map(owned));
                }
                (None, None) if root == "steps" => {
                    wanted.insert((root.to_owned(), self.id(name)));
                }
                (None, Some(item)) => {
                    wanted.insert((item.clone(), String::new()));
                }
                _ => {
                    wanted.insert(owned((root, name)));
                }
            }
        }
        let found: BTreeSet<_> = after.refs().iter().map(|path| owned(name_of(path))).collect();
        wanted == found
    }
}

/// What a path begins with, and the name below it; of an item only what it is called.
fn name_of(path: &str) -> (&str, &str) {
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    let known = matches!(root, "steps" | "inputs" | "vars" | "secrets" | "step" | "run" | "services");
    (root, if known { rest.split('.').next().unwrap_or_default() } else { "" })
}

fn owned((root, name): (&str, &str)) -> (String, String) {
    (root.to_owned(), name.to_owned())
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of a name with what is joined to it by dots. Around a dot there may be spaces.
fn joined(text: &str) -> usize {
    let name = |text: &str| text.find(|c: char| !is_in_name(c)).unwrap_or(text.len());
    let mut end = name(text);
    loop {
        let Some(behind) = text[end..].trim_start().strip_prefix('.') else { return end };
        let next = behind.trim_start();
        let length = name(next);
        if length == 0 {
            return end;
        }
        end = text.len() - next.len() + length;
    }
}

/// The id in `steps["id"]`, and where it ends behind `steps`.
pub(super) fn step_index<'a>(token: &str, behind: &'a str) -> Option<(&'a str, usize)> {
    if token != "steps" {
        return None;
    }
    let inside = behind.strip_prefix('[')?;
    let quote = inside.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (id, after) = inside[1..].split_once(quote)?;
    let fits = !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_/".contains(&b));
    (fits && after.starts_with(']')).then_some((id, id.len() + 4))
}

fn is_literal(source: &str) -> bool {
    source == "none" || serde_json::from_str::<serde::de::IgnoredAny>(source).is_ok()
}

/// A value as an expression.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(list) => {
            let list: Vec<String> = list.iter().map(literal).collect();
            format!("[{}]", list.join(", "))
        }
        Value::Object(map) => {
            let map: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), literal(value)))
                .collect();
            format!("{{{}}}", map.join(", "))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

impl Template {
    /// The same text as an expression: a template that is one whole `{{ }}` is that expression.
    pub fn as_expression(&self) -> String {
        if let Some(expr) = self.whole() {
            return expr.source.clone();
        }
        let piece = |part: Part<'_>| match part {
            Part::Text(text) => literal(&Value::from(text)),
            Part::Expr(expr) => format!("({})", expr.source),
        };
        let pieces: Vec<String> = self.parts().map(piece).collect();
        if pieces.is_empty() { literal(&Value::from("")) } else { pieces.join(" ~ ") }
    }

    /// The same text in the names of whoever uses the runbook. `script`: `{%` is text in it.
    ///
    /// # Errors
    /// An expression that cannot be read any more.
    pub fn renamed(&self, by: &Renaming, script: bool) -> Result<Self, TemplateError> {
        if self.refs().next().is_none() {
            return Ok(self.clone());
        }
        let mut source = String::with_capacity(self.source.len());
        for part in self.parts() {
            match part {
                Part::Text(text) => source.push_str(text),
                Part::Expr(expr) => {
                    source.push_str("{{ ");
                    source.push_str(&by.rewrite(&expr.source));
                    source.push_str(" }}");
                }
            }
        }
        let parsed = if script { Self::parse_script(&source) } else { Self::parse_all(&source) };
        let renamed = parsed.map_err(|mut errors| errors.swap_remove(0))?;
        let pairs = || self.exprs.iter().zip(&renamed.exprs);
        let kept = self.exprs.len() == renamed.exprs.len()
            && pairs().all(|(before, after)| by.keeps(&before.expr, &after.expr));
        if kept { Ok(renamed) } else { Err(ambiguous()) }
    }
}

impl Expr {
    /// The same expression in the names of whoever uses the runbook.
    ///
    /// # Errors
    /// It cannot be read any more.
    pub fn renamed(&self, by: &Renaming) -> Result<Self, TemplateError> {
        if self.refs().is_empty() {
            return Ok(self.clone());
        }
        let renamed = Self::parse(&by.rewrite(&self.source))?;
        if by.keeps(self, &renamed) { Ok(renamed) } else { Err(ambiguous()) }
    }
}

fn ambiguous() -> TemplateError {
    let message = "its names cannot be told apart from those of the runbook that uses it: write `root.name`";
    TemplateError { offset: 0, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn renaming() -> Renaming {
        Renaming {
            parent: "deploy".into(),
            inputs: BTreeMap::from([
                ("tenant".into(), "steps.before.tenant".into()),
                ("reason".into(), r#""late \"payment\"""#.into()),
                ("count".into(), "inputs.n + 1".into()),
                ("token".into(), "secrets.token".into()),
                ("whole".into(), r#""acme-" ~ (inputs.n)"#.into()),
            ]),
            items: BTreeMap::from([("host".into(), "host_in_deploy".into())]),
        }
    }

    #[test]
    fn names_become_those_of_the_caller() {
        for (written, renamed) in [
            ("steps.a.x == 'steps.a.x'", r#"steps["deploy/a"].x == 'steps.a.x'"#),
            (
                "inputs.tenant.name | default(inputs.reason)",
                r#"steps.before.tenant.name | default("late \"payment\"")"#,
            ),
            ("inputs.count * 2", "(inputs.n + 1) * 2"),
            ("host.ip ~ host", "host_in_deploy.ip ~ host_in_deploy"),
            ("x.host.ip", "x.host.ip"),
            ("steps.a.l | host(host=1) is host", "steps[\"deploy/a\"].l | host(host=1) is host"),
            ("host == 1", "host_in_deploy == 1"),
            (r#"steps["in/a"].x"#, r#"steps["deploy/in/a"].x"#),
            ("vars.api ~ run.id ~ step.started_at", "vars.api ~ run.id ~ step.started_at"),
            ("f(x).steps.a.b", "f(x).steps.a.b"),
            ("steps . a . x ~ inputs .reason", r#"steps["deploy/a"].x ~ "late \"payment\"""#),
            ("steps\n.a.x[0] . y", "steps[\"deploy/a\"].x[0] . y"),
            ("x . host . ip ~ host .ip", "x . host . ip ~ host_in_deploy.ip"),
            ("inputs.whole | upper", r#"("acme-" ~ (inputs.n)) | upper"#),
            ("1.5 * 2", "1.5 * 2"),
        ] {
            assert_eq!(renaming().rewrite(written), renamed, "{written}");
        }
        assert_eq!(renaming().name("steps.rotate.key"), "steps.deploy/rotate.key");
        assert_eq!(renaming().name("inputs.token"), "token");
        assert_eq!(renaming().name("admin_token"), "admin_token");
    }

    #[test]
    fn what_is_renamed_reads_the_same_values() {
        let template = Template::parse("/x/{{ inputs.tenant }}/{{ inputs.reason }}").unwrap();
        let renamed = template.renamed(&renaming(), false).unwrap();
        assert_eq!(renamed.source(), r#"/x/{{ steps.before.tenant }}/{{ "late \"payment\"" }}"#);
        assert_eq!(renamed.refs().collect::<Vec<_>>(), ["steps.before.tenant"]);
        let expr = Expr::parse("steps.a.x").unwrap().renamed(&renaming()).unwrap();
        assert_eq!(expr.refs(), ["steps.deploy/a.x"]);
        assert_eq!(expr.path(), Some("steps.deploy/a.x"));
    }

    #[test]
    fn values_are_written_as_expressions() {
        struct Nothing;
        impl super::super::Scope for Nothing {
            fn lookup(&self, _: &str, _: &str) -> super::super::Lookup {
                super::super::Lookup::Missing
            }
        }
        let value = json!({"a": [1, null, true, 2.5], "b": "}} \" \\ \u{7} é {{ x }}", "c": {}});
        assert_eq!(Expr::parse(&literal(&value)).unwrap().value(&Nothing).unwrap(), value);
        let template = Template::parse("a-{{ 1 + 1 }}-b").unwrap();
        assert_eq!(Expr::parse(&template.as_expression()).unwrap().value(&Nothing).unwrap(), "a-2-b");
    }
}
