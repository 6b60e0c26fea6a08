//! What a used runbook is given: for each of its inputs an expression of the one that uses it.

use std::collections::BTreeMap;

use super::{Putting, expression};
use crate::diag::{Diagnostic, Span};
use crate::runbook::decode::Spanned;
use crate::runbook::inputs::{check_value, wanted};
use crate::runbook::scalar::{Condition, Data, Entries};
use crate::runbook::schema::{Class, InputDecl, Runbook, TypeWord, UseDecl};
use crate::runbook::template::{Expr, literal};
use crate::runbook::texts::TARGET;

/// What is given, and what has to hold of it.
pub(super) struct Arguments {
    pub inputs: BTreeMap<String, String>,
    /// Decided by inputs and variables: before the run, with what is said then.
    pub before: Vec<(Condition, String)>,
    /// Decided when its turn has come.
    pub during: Vec<Claim>,
}

/// That an input is what the used runbook asks for.
pub(super) struct Claim {
    expr: String,
    fr: String,
    en: String,
}

impl Claim {
    /// As it stands in a runbook.
    pub fn written(&self) -> serde_json::Value {
        let text = |text: &str| format!("{{{{ {} }}}}", literal(&text.into()));
        serde_json::json!({"expr": self.expr, "message": {"fr": text(&self.fr), "en": text(&self.en)}})
    }
}

/// `None`: it cannot be used so, and that was said.
pub(super) fn of(putting: &mut Putting<'_>, decl: &UseDecl, child: &Runbook) -> Option<Arguments> {
    let before = putting.problems.len();
    let given = |name: &str| decl.inputs.as_ref().and_then(|inputs| inputs.get(name));
    let declared: Vec<&str> =
        child.inputs.iter().flat_map(Entries::iter).map(|(name, _)| name.value.as_str()).collect();
    let name = &decl.r#use;
    for (key, _) in
        decl.inputs.iter().flat_map(Entries::iter).filter(|(key, _)| !declared.contains(&&*key.value))
    {
        let message = format!("`{}` declares no input `{}`", name.value, key.value);
        let problem = Diagnostic::error("unknown-input", key.span.at(&putting.source), message);
        putting.problems.push(problem.suggest(&key.value, declared.iter().copied()));
    }
    let mut out = Arguments { inputs: BTreeMap::new(), before: Vec::new(), during: Vec::new() };
    for (input, asked) in child.inputs.iter().flat_map(Entries::iter) {
        let Some(data) = given(&input.value) else {
            match &asked.default {
                Some(default) => {
                    out.inputs.insert(input.value.clone(), literal(&default.value.literal()));
                }
                None => {
                    let message =
                        format!("input `{}` of `{}` is missing ({})", input.value, name.value, wanted(asked));
                    let help = format!("add it to `inputs` of this step: `{}: …`", input.value);
                    putting.refuse("missing-input", name.span, message, &help);
                }
            }
            continue;
        };
        if let Some(root) = captured(&data.value) {
            let message = format!("`{root}` means something else inside of `{}`", name.value);
            let help = "call the item otherwise (`as`), or take the value from a step";
            putting.refuse("used-runbook", data.span, message, help);
            continue;
        }
        if asked.class == Some(Class::Secret) {
            secret(putting, &input.value, data, &mut out);
            continue;
        }
        let mut texts = Vec::new();
        data.value.templates(&mut texts);
        let written = expression(&data.value);
        if texts.iter().any(|text| text.value.refs().any(|path| path.starts_with("secrets."))) {
            let message =
                format!("input `{}` of `{}` is no secret: it would be seen", input.value, name.value);
            putting.refuse("secret-use", data.span, message, "add `class: secret` to that input");
        } else if texts.iter().all(|text| text.value.refs().next().is_none()) {
            if let Err(why) = check_value(asked, &plain(&data.value)) {
                let message = format!("input `{}` of `{}`: {why}", input.value, name.value);
                putting.refuse("ill-typed", data.span, message, "give it what the runbook asks for");
            }
        } else {
            claim(&mut out, (&input.value, &name.value), asked, &written, data.span);
        }
        out.inputs.insert(input.value.clone(), written);
    }
    (putting.problems.len() == before).then_some(out)
}

/// A name that stands for something else where it would be put: the filter of an approval calls what it judges
/// `target`, a choice its entries `item`, and every step itself `step`.
fn captured(data: &Data) -> Option<&'static str> {
    let mut texts = Vec::new();
    data.templates(&mut texts);
    let mut roots = texts.iter().flat_map(|text| text.value.refs()).filter_map(|path| path.split('.').next());
    roots.find_map(|root| [TARGET, "item", "step"].into_iter().find(|name| *name == root))
}

/// A value whose texts hold no name: what stands in braces is constant.
fn plain(data: &Data) -> serde_json::Value {
    struct Nothing;
    impl crate::runbook::template::Scope for Nothing {
        fn lookup(&self, _: &str, _: &str) -> crate::runbook::template::Lookup {
            crate::runbook::template::Lookup::Missing
        }
    }
    let value = Expr::parse(&expression(data)).ok().and_then(|expr| expr.value(&Nothing).ok());
    value.unwrap_or(serde_json::Value::Null)
}

/// A secret is handed on by its name, and is never looked at.
fn secret(putting: &mut Putting<'_>, input: &str, data: &Spanned<Data>, out: &mut Arguments) {
    let whole = match &data.value {
        Data::Text(text) => Some(text.value.as_expression()),
        _ => None,
    };
    let expr = whole.and_then(|whole| Expr::parse(&whole).ok());
    match expr.filter(|expr| expr.secret().is_some() || expr.path().is_some()) {
        Some(expr) => {
            out.inputs.insert(input.to_owned(), expr.source().to_owned());
        }
        None => {
            let message = format!("input `{input}` is a secret, which is handed on by its name");
            putting.refuse(
                "secret-use",
                data.span,
                message,
                "write the name of a secret alone: \"{{ secrets.name }}\"",
            );
        }
    }
}

fn claim(out: &mut Arguments, (input, runbook): (&str, &str), asked: &InputDecl, written: &str, span: Span) {
    let kind = match (asked.r#type.value, &asked.of) {
        (TypeWord::List, of) => {
            format!("list of {}", of.as_ref().map_or(TypeWord::String, |of| of.value).name())
        }
        (kind, _) => kind.name().to_owned(),
    };
    let mut claims = vec![format!("({written}) is of_type({})", literal(&kind.into()))];
    if let Some(pattern) = &asked.pattern {
        claims.push(format!("({written}) is matching({})", literal(&pattern.value.as_str().into())));
    }
    let bounds = [(asked.min.as_ref(), ">="), (asked.max.as_ref(), "<=")];
    for (bound, sign) in bounds.into_iter().filter_map(|(bound, sign)| Some((bound?, sign))) {
        claims.push(format!("({written}) {sign} {}", literal(&bound.value.into())));
    }
    if let Some(words) = &asked.r#enum {
        let words: Vec<serde_json::Value> = words.value.iter().map(Data::literal).collect();
        claims.push(format!("({written}) in {}", literal(&words.into())));
    }
    let expr = claims.join(" and ");
    let Ok(parsed) = Expr::parse(&expr) else { return };
    let wanted = wanted(asked);
    let en = format!("input `{input}` of `{runbook}` is not what it asks for ({wanted})");
    if parsed.refs().iter().all(|path| path.starts_with("inputs.") || path.starts_with("vars.")) {
        out.before.push((Spanned { value: parsed, span }, en));
    } else {
        let fr = format!("l'entrée `{input}` de `{runbook}` n'est pas ce qui est demandé ({wanted})");
        out.during.push(Claim { expr, fr, en });
    }
}
