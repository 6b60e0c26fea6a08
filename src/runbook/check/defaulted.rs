//! Whether an expression says what stands in for an output that may not be there.
//!
//! Follows the engine's own order of evaluation: what stands behind `X is defined and` is read only where X is there.
//! What it cannot follow counts as not said. It evaluates nothing.

use crate::runbook::template;

/// Whether `steps.id.field` is read only where it is there, or with `| default(…)` directly behind it. A member of it
/// has no default of its own: the engine fails at what is above the member.
pub(super) fn has_default(source: &str, id: &str, field: Option<&str>) -> bool {
    let tokens = template::tokens(source);
    let path = Path { id, field };
    (0..tokens.len()).any(|at| path.at(&tokens, at).is_some()) && path.is_covered(&tokens)
}

struct Path<'a> {
    id: &'a str,
    field: Option<&'a str>,
}

impl Path<'_> {
    /// The number of tokens of the path, where it begins here.
    fn at(&self, tokens: &[&str], at: usize) -> Option<usize> {
        if tokens[at] != "steps" || at > 0 && tokens[at - 1] == "." {
            return None;
        }
        let behind = &tokens[at + 1..];
        let mut length = match behind {
            [".", id, ..] if *id == self.id => 3,
            ["[", id, "]", ..]
                if id.len() > 2 && id.starts_with(['"', '\'']) && id[1..id.len() - 1] == *self.id =>
            {
                4
            }
            _ => return None,
        };
        let below = &tokens[at + length..];
        match self.field {
            Some(field) if below.first() == Some(&".") && below.get(1) == Some(&field) => length += 2,
            // A member by its name is a path of its own.
            None if below.first() != Some(&".") => {}
            _ => return None,
        }
        Some(length)
    }

    fn is_covered(&self, tokens: &[&str]) -> bool {
        if let Some(at) = find(tokens, "if") {
            let (value, behind) = (&tokens[..at], &tokens[at + 1..]);
            let (test, otherwise) = match find(behind, "else") {
                Some(at) => (&behind[..at], &behind[at + 1..]),
                None => (behind, &[][..]),
            };
            return self.is_covered(test)
                && (self.shows(test, true) || self.is_covered(value))
                && (self.shows(test, false) || self.is_covered(otherwise));
        }
        for (word, holds) in [("or", false), ("and", true)] {
            if find(tokens, word).is_some() {
                for part in split(tokens, &[word]) {
                    if !self.is_covered(part) {
                        return false;
                    }
                    if self.shows(part, holds) {
                        return true;
                    }
                }
                return true;
            }
        }
        self.is_leaf_covered(tokens)
    }

    /// Without `if`, `or` and `and`, but for those in brackets: all of it is read.
    fn is_leaf_covered(&self, tokens: &[&str]) -> bool {
        let mut at = 0;
        while at < tokens.len() {
            if let Some(length) = self.at(tokens, at) {
                let behind = &tokens[at + length..];
                let tested = matches!(
                    behind,
                    ["is", "defined" | "undefined", ..] | ["is", "not", "defined" | "undefined", ..]
                );
                if !(tested || behind.starts_with(&["|", "default"])) || is_negated(&tokens[..at]) {
                    return false;
                }
                at += length;
            } else if opens(tokens[at]) {
                let end = at + 1 + closing(&tokens[at + 1..]);
                if !split(&tokens[at + 1..end], &[",", ":"]).iter().all(|part| self.is_covered(part)) {
                    return false;
                }
                at = end + 1;
            } else {
                at += 1;
            }
        }
        true
    }

    /// Whether the path is there wherever a condition holds, or does not hold.
    fn shows(&self, tokens: &[&str], holds: bool) -> bool {
        if find(tokens, "if").is_some() {
            return false;
        }
        for (word, all) in [("or", holds), ("and", !holds)] {
            if find(tokens, word).is_some() {
                let parts = split(tokens, &[word]);
                let mut shown = parts.iter().map(|part| self.shows(part, holds));
                return if all { shown.all(|shown| shown) } else { shown.any(|shown| shown) };
            }
        }
        match tokens {
            ["not", rest @ ..] => self.shows(rest, !holds),
            ["(", inside @ .., ")"] if closing(inside) == inside.len() => self.shows(inside, holds),
            [] => false,
            _ => self.at(tokens, 0).is_some_and(|length| match &tokens[length..] {
                ["is", "defined"] | ["is", "not", "undefined"] => holds,
                ["is", "undefined"] | ["is", "not", "defined"] => !holds,
                _ => false,
            }),
        }
    }
}

/// A minus sign in front, which the engine reads before what stands behind.
fn is_negated(before: &[&str]) -> bool {
    let [rest @ .., "-"] = before else { return false };
    const WORDS: [&str; 7] = ["if", "else", "or", "and", "not", "in", "is"];
    let value = |token: &&str| {
        token.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '"' | '\'' | ')' | ']' | '}'))
            && !WORDS.contains(token)
    };
    !rest.last().is_some_and(value)
}

fn opens(token: &str) -> bool {
    matches!(token, "(" | "[" | "{")
}

fn closes(token: &str) -> bool {
    matches!(token, ")" | "]" | "}")
}

/// Where the bracket closes that opened in front of these.
fn closing(tokens: &[&str]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        if closes(token) && depth == 0 {
            return at;
        }
        depth = if opens(token) { depth + 1 } else { depth.saturating_sub(usize::from(closes(token))) };
    }
    tokens.len()
}

/// Where a word stands outside of brackets.
fn find(tokens: &[&str], word: &str) -> Option<usize> {
    let first = split(tokens, &[word])[0].len();
    (first < tokens.len()).then_some(first)
}

/// Cut at words that stand outside of brackets, and are no members. Never empty.
fn split<'t, 's>(tokens: &'t [&'s str], words: &[&str]) -> Vec<&'t [&'s str]> {
    let (mut out, mut from, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        if opens(token) {
            depth += 1;
        } else if closes(token) {
            depth = depth.saturating_sub(1);
        } else if depth == 0 && words.contains(token) && (at == 0 || tokens[at - 1] != ".") {
            out.push(&tokens[from..at]);
            from = at + 1;
        }
    }
    out.push(&tokens[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::template::{Expr, Lookup, Scope};
    use serde_json::json;

    /// A step that was skipped, and one that was not.
    struct Skipped(bool);

    impl Scope for Skipped {
        fn lookup(&self, root: &str, name: &str) -> Lookup {
            match (root, name) {
                ("steps", "a" | "a/b") if self.0 => Lookup::Known(json!({"outcome": "skipped"})),
                ("steps", "a" | "a/b") => {
                    Lookup::Known(json!({"outcome": "succeeded", "x": {"y": 1}, "xy": 2}))
                }
                ("inputs", _) => Lookup::Known(json!(true)),
                _ => Lookup::Missing,
            }
        }
    }

    #[test]
    fn defaults_are_seen_as_the_engine_sees_them() {
        for (source, seen) in [
            ("steps.a.x | default('')", true),
            ("steps . a . x|default", true),
            ("(steps.a.x | default({})).y | default(1)", true),
            ("5 ~ steps.a.x | default(0)", true),
            ("steps.a.x is defined and steps.a.x.y == 1", true),
            ("inputs.i and (steps.a.x is defined) and steps.a.x.y == 1", true),
            ("steps.a.x is not defined or steps.a.x.y == 1", true),
            ("not (steps.a.x is defined and inputs.i) or steps.a.x.y == 1", true),
            ("steps.a.x.y if steps.a.x is defined else 0", true),
            ("0 if steps.a.x is undefined else steps.a.x.y", true),
            ("[steps.a.x | default(1), {'k': steps.a.x is defined}]", true),
            ("steps.a.x", false),
            ("steps.a.x.y | default(1)", false),
            ("steps.a.x.y is defined", false),
            ("steps.a.x | upper | default('')", false),
            ("steps.a.xy | default('') ~ steps.a.x", false),
            ("-steps.a.x | default(1)", false),
            ("inputs.i ~ -steps.a.x | default(1)", false),
            ("steps.a.x is defined or steps.a.x == 1", false),
            ("steps.a.x == 1 and steps.a.x is defined", false),
            ("'steps.a.x is defined' ~ steps.a.x", false),
            ("'steps.a.x | default(1)' ~ steps.a.x.y", false),
            ("steps.a.x if steps.a.x is undefined else 0", false),
            ("(steps.a.x is defined or inputs.i) and steps.a.x.y == 1", false),
            ("[steps.a.x is defined, steps.a.x.y]", false),
            ("inputs.i | default(steps.a.x is defined) ~ steps.a.x.y", false),
        ] {
            assert_eq!(has_default(source, "a", Some("x")), seen, "{source}");
            let expr = Expr::parse(source).unwrap();
            assert_eq!(
                expr.value(&Skipped(true)).is_ok(),
                seen,
                "{source}: {:?}",
                expr.value(&Skipped(true))
            );
            let indexed =
                source.replace("steps.a.", "steps[\"a/b\"].").replace("steps . a .", "steps['a/b'].");
            assert_eq!(has_default(&indexed, "a/b", Some("x")), seen, "{indexed}");
        }
        assert!(!has_default("steps.a.xy | default('')", "a", Some("x")), "another output");
        assert!(has_default("steps.a | default(0)", "a", None));
        assert!(!has_default("steps.a.x | default(0) ~ steps.a", "a", None));
    }
}
