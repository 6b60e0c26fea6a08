//! What people are asked for: the inputs of a run and the fields of a form.

use super::Checker;
use super::shape::regex;
use crate::runbook::inputs;
use crate::runbook::schema::{InputDecl, TypeWord};

pub(super) fn input(checker: &mut Checker<'_>, name: &str, decl: &InputDecl) {
    let kind = decl.r#type.value;
    match (kind, &decl.of) {
        (TypeWord::List, None) => {
            let problem = checker.error("missing-key", decl.r#type.span, "a list says what it is a list of");
            checker.push(problem.help("add `of: string`, or another type"));
        }
        (TypeWord::List, Some(of)) if of.value == TypeWord::List => {
            checker.fail("bad-value", of.span, "a list of lists cannot be given");
        }
        (TypeWord::List, Some(_)) | (_, None) => {}
        (_, Some(of)) => checker.fail("key-not-for-kind", of.span, "`of` belongs to lists"),
    }
    let numeric = [kind, decl.of.as_ref().map_or(kind, |of| of.value)];
    let numeric = numeric.iter().any(|kind| matches!(kind, TypeWord::Integer | TypeWord::Number));
    for bound in decl.min.iter().chain(&decl.max).filter(|_| !numeric) {
        checker.fail("key-not-for-kind", bound.span, "`min` and `max` belong to numbers");
    }
    if let (Some(min), Some(max)) = (&decl.min, &decl.max)
        && min.value > max.value
    {
        checker.fail("bad-value", max.span, "`max` is less than `min`");
    }
    if let Some(pattern) = &decl.pattern {
        regex(checker, pattern);
    }
    if let Some(default) = &decl.default
        && let Err(message) = inputs::check_value(decl, &default.value.literal())
    {
        checker.fail("ill-typed", default.span, format!("the default of `{name}`: {message}"));
    }
}
