//! The table of codes. A code never changes its meaning; scripts and editors rely on it.

use std::fmt;

/// A code and what it stands for, in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub name: &'static str,
    pub meaning: &'static str,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every code, in alphabetical order.
pub const fn codes() -> &'static [Code] {
    CODES
}

pub(super) fn is_known(name: &str) -> bool {
    CODES.binary_search_by(|code| code.name.cmp(name)).is_ok()
}

const fn code(name: &'static str, meaning: &'static str) -> Code {
    Code { name, meaning }
}

#[rustfmt::skip]
const CODES: &[Code] = &[
    code("anchor", "a YAML anchor that nothing refers to, most often a text that begins with `&`"),
    code("approval-covers", "an approval covers a step that it cannot bind"),
    code("bad-duration", "a duration without a unit, of no length, or that is none"),
    code("bad-expression", "a condition or template that minijinja cannot read"),
    code("bad-filter", "a jq filter that cannot be compiled"),
    code("bad-id", "an identifier with characters that are not allowed"),
    code("bad-pattern", "a regular expression that cannot be compiled"),
    code("bad-schema", "a JSON Schema that cannot be used"),
    code("bad-value", "a value outside what its key allows"),
    code("braces", "braces around an expression that needs none"),
    code("comment-in-filter", "` #` cuts an unquoted filter short"),
    code("comment-in-text", "` #` cuts an unquoted text short"),
    code("credentials", "a call that says twice how it proves who it is from"),
    code("cycle", "steps that wait for each other"),
    code("duplicate-id", "two steps or items of one name"),
    code("duplicate-key", "one key twice in one mapping"),
    code("effect-contradiction", "a declared effect that the step visibly exceeds"),
    code("effect-undeclared", "a shell, argv or manual step that does not say what it does to the world"),
    code("empty", "a program, script, form, list or expectation that holds nothing"),
    code("empty-role", "a role that nobody holds"),
    code("environment", "an environment that does not give what the runbook needs"),
    code("escalation", "a time-out that escalates to nobody"),
    code("flow-accident", "a comma, colon or bracket that YAML reads as structure"),
    code("folded", "lines of a script that YAML joins into one"),
    code("gate-policy", "a gate that something else than a person could open or pass"),
    code("ill-typed", "an input of another type than declared"),
    code("key-not-for-kind", "a key that means nothing for this kind of step"),
    code("limit", "a file or a structure beyond a limit"),
    code("may-be-skipped", "an output of a step that may not have run, read without a default"),
    code("merge-key", "a YAML merge key"),
    code("missing-input", "an input that is required and not given"),
    code("missing-key", "a key that is required and absent"),
    code("no-kind", "a step that does nothing"),
    code("no-message", "a gate that does not say what it asks"),
    code("not-built-yet", "a key that the language knows and this version cannot do"),
    code("not-readable", "a file that cannot be read"),
    code("not-upstream", "an output of a step that does not come before"),
    code("not-utf-8", "a file that is not UTF-8 text"),
    code("poll-policy", "a poll that cannot work as written"),
    code("probe-not-read", "a probe that would change something"),
    code("protected", "something that a protected environment refuses"),
    code("reaches-round-gate", "`needs` that reach round an earlier gate without naming it"),
    code("retry-policy", "a retry that cannot work, or that could do something twice"),
    code("second-shell", "a value in a text that a second shell or client parses"),
    code("secret-source", "a secret with no source, or with several"),
    code("secret-use", "a secret where its value could be seen"),
    code("shared-target", "a drill that would touch what a protected environment names"),
    code("shell-template", "a value pasted into a shell script"),
    code("syntax", "text that is not YAML"),
    code("tag", "a YAML tag"),
    code("target-decided-later", "a destructive target that the approver cannot see"),
    code("too-many-kinds", "a step of two kinds"),
    code("trailing-space", "white space behind the `\\` that continues a line of a script"),
    code("unattended", "an answer declared where only a person may answer"),
    code("ungated", "a destructive step that no gate stands in front of"),
    code("unknown-input", "an input that the runbook does not declare"),
    code("unknown-key", "a key that the language does not know"),
    code("unknown-name", "a name in a template that nothing declares"),
    code("unknown-role", "a role that the environment does not know"),
    code("unknown-step", "a reference to a step that does not exist"),
    code("unquoted", "a text that YAML reads as something else"),
    code("unused-past", "`past` names something that is no gate reached round"),
    code("wrong-type", "a value of another type than its key wants"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_code_is_explained() {
        assert!(CODES.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(CODES.iter().all(|code| !code.meaning.is_empty() && !code.meaning.ends_with('.')));
        assert!(is_known("cycle") && !is_known("cycles"));
    }
}
