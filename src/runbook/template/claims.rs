//! Tests of values: `is of_type("integer")`, `is matching("^[a-z]+$")`.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};
use regex::RegexBuilder;

use crate::clock::Timestamp;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1024 * 1024;

pub(super) fn add_to(engine: &mut Environment<'_>) {
    engine.add_test("of_type", of_type);
    engine.add_test("matching", matching);
}

/// Whether a value is what an input of that type may be: `string`, `integer`, `list`, `list of string`, …
fn of_type(value: &Value, name: &str) -> Result<bool, Error> {
    if let Some(of) = name.strip_prefix("list of ") {
        if value.kind() != ValueKind::Seq {
            return Ok(false);
        }
        for member in value.try_iter()? {
            if !of_type(&member, of)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Ok(match name {
        "string" | "file" => value.kind() == ValueKind::String,
        "integer" => value.is_integer(),
        "number" => value.kind() == ValueKind::Number,
        "boolean" => value.kind() == ValueKind::Bool,
        "list" => value.kind() == ValueKind::Seq,
        "datetime" => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        _ => {
            return Err(refused(
                "`of_type` takes the name of a type, such as \"integer\" or \"list of string\"",
            ));
        }
    })
}

/// Whether a text, or every member of a list, matches a regular expression somewhere.
fn matching(value: &Value, pattern: &str) -> Result<bool, Error> {
    let regex = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
    let regex = regex.map_err(|_| refused("`matching` takes a regular expression that can be read"))?;
    if value.kind() != ValueKind::Seq {
        return Ok(value.as_str().is_some_and(|text| regex.is_match(text)));
    }
    Ok(value.try_iter()?.all(|member| member.as_str().is_some_and(|text| regex.is_match(text))))
}

fn refused(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

#[cfg(test)]
mod tests {
    use super::super::{Expr, Lookup, Scope};

    struct Nothing;

    impl Scope for Nothing {
        fn lookup(&self, _: &str, _: &str) -> Lookup {
            Lookup::Missing
        }
    }

    #[test]
    fn values_are_of_a_type_or_not() {
        for (expr, holds) in [
            ("1 is of_type('integer')", true),
            ("1.5 is of_type('integer')", false),
            ("1.5 is of_type('number')", true),
            ("'1' is of_type('number')", false),
            ("'a' is of_type('string')", true),
            ("none is of_type('string')", false),
            ("['a', 'b'] is of_type('list of string')", true),
            ("['a', 1] is of_type('list of string')", false),
            ("'ab' is of_type('list of string')", false),
            ("true is of_type('boolean')", true),
            ("'2026-11-23T06:30:00+01:00' is of_type('datetime')", true),
            ("'soon' is of_type('datetime')", false),
            ("'acme' is matching('^[a-z]+$')", true),
            ("'Acme' is matching('^[a-z]+$')", false),
            ("['a', 'b'] is matching('^[a-z]$')", true),
            ("['a', 'B'] is matching('^[a-z]$')", false),
            ("1 is matching('1')", false),
        ] {
            assert_eq!(Expr::parse(expr).unwrap().holds(&Nothing), Ok(holds), "{expr}");
        }
        assert!(Expr::parse("1 is of_type('thing')").unwrap().holds(&Nothing).is_err());
        assert!(Expr::parse("'' is matching('(')").unwrap().holds(&Nothing).is_err());
    }
}
