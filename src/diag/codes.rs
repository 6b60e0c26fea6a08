//! The table of codes. A code never changes its meaning; scripts and editors rely on it.

use std::fmt;

/// A code, what it stands for, and what to do about it, each in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    pub name: &'static str,
    pub meaning: &'static str,
    /// The hint of a finding that has none of its own.
    pub fix: &'static str,
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

/// The code of that name.
pub fn code(name: &str) -> Option<&'static Code> {
    CODES.binary_search_by(|code| code.name.cmp(name)).ok().map(|at| &CODES[at])
}

const fn row(name: &'static str, meaning: &'static str, fix: &'static str) -> Code {
    Code { name, meaning, fix }
}

#[rustfmt::skip]
const CODES: &[Code] = &[
    row("anchor", "a YAML anchor that nothing refers to, most often a text that begins with `&`", "put the text in quotes, or take out the `&name`"),
    row("approval-covers", "an approval covers a step that it cannot bind", "name only steps that send something and wait for this approval"),
    row("approval-limit", "a `filter` or `max_targets` of an approval that lets nothing through, or judges nothing", "say of a `target` what has to be true of it, and how many may go through"),
    row("bad-duration", "a duration without a unit, of no length, or that is none", "write a number with its unit, such as 30s, 5m or 1h 30m"),
    row("bad-expression", "a condition or template that minijinja cannot read", "correct the expression: names with dots, `==`, `and`, filters after `|`"),
    row("bad-filter", "a jq filter that cannot be compiled", "correct the jq filter; try it with `jq` on a result"),
    row("bad-id", "an identifier with characters that are not allowed", "use small letters and digits, with `-` in ids of runbooks and `_` in ids of steps"),
    row("bad-letter", "a template of a message without its first line, a subject or a text", "begin it with `Subject: …`, then an empty line, then the text"),
    row("bad-pattern", "a regular expression that cannot be compiled", "correct the regular expression; write it in single quotes"),
    row("bad-schema", "a JSON Schema that cannot be used", "write a JSON Schema, such as {type: object, required: [id]}"),
    row("bad-value", "a value outside what its key allows", "write a value that the key allows"),
    row("bad-window", "a window that never opens, or in a time zone that there is not", "write a cron line of five fields and the name of a time zone"),
    row("braces", "braces around an expression that needs none", "take the braces out"),
    row("comment-in-filter", "` #` cuts an unquoted filter short", "put the filter in quotes"),
    row("comment-in-text", "` #` cuts an unquoted text short", "put the text in quotes, or a space behind the `#`"),
    row("credentials", "a call that says twice how it proves who it is from", "keep one of `bearer`, `basic` and `header`"),
    row("cycle", "steps that wait for each other", "take one of the `needs` out"),
    row("duplicate-id", "two steps or items of one name", "give one of them another id"),
    row("duplicate-key", "one key twice in one mapping", "keep one of the two"),
    row("effect-contradiction", "a declared effect that the step visibly exceeds", "declare the effect that the step really has"),
    row("effect-undeclared", "a shell, argv or manual step that does not say what it does to the world", "add `effect: read`, `write`, `destructive` or `notify`"),
    row("empty", "a program, script, form, list or expectation that holds nothing", "write what belongs there, or leave the key out"),
    row("empty-role", "a role that nobody holds", "name a role, and somebody who holds it"),
    row("empty-variable", "`rm -r` behind something that may be empty", "write `${NAME:?}`, which ends the script when it is empty"),
    row("environment", "an environment that does not give what the runbook needs", "name an environment that exists and gives what the runbook asks for"),
    row("escalation", "a time-out that escalates to nobody", "add `escalate_to: [role]`"),
    row("flow-accident", "a comma, colon or bracket that YAML reads as structure", "put the text in quotes"),
    row("folded", "lines of a script that YAML joins into one", "begin the script with `shell: |`"),
    row("gate-policy", "a gate that something else than a person could open or pass", "leave the key out: a gate is opened by people"),
    row("group-policy", "a group that says what follows a failure, and nothing runs on one", "add `on_failure` to the group, or take `then` out"),
    row("ill-typed", "an input of another type than declared", "give a value of the declared type"),
    row("inside-group", "`needs` that name a step of another list", "name the group that the step belongs to, or say it of the group around both"),
    row("inside-list", "a step of a list that is read, named or excluded from outside, where no item is meant", "read `steps.LIST.items`, or do it inside the list"),
    row("item-key", "a key of items that does not tell them apart, or reads something else", "write an expression about the item alone, such as `tenant.id`"),
    row("item-name", "a name of items that something else has already", "give one item a name of its own, in small letters"),
    row("key-not-for-kind", "a key that means nothing for this kind of step", "leave the key out, or move it to a step of the kind it belongs to"),
    row("limit", "a file or a structure beyond a limit", "split the file, or write less of it"),
    row("list-policy", "a count of items with which nothing begins, or that nothing reaches", "write a count that the list can reach, or leave the key out"),
    row("max-targets", "a list without a limit whose items are changed", "add `max_targets`, the longest list that can be right"),
    row("may-be-skipped", "an output of a step that may not have run, read without a default", "add `| default(…)`, or give both steps the same `when`"),
    row("merge-key", "a YAML merge key", "write the keys out"),
    row("missing-input", "an input that is required and not given", "give it with `--input NAME=VALUE`, or in an inputs file"),
    row("missing-key", "a key that is required and absent", "add the key"),
    row("no-kind", "a step that does nothing", "give the step one kind, such as `http`, `argv` or `manual`"),
    row("no-message", "a gate that does not say what it asks", "add a `message` that says what a yes means, and for whom"),
    row("not-built-yet", "a key that the language knows and this version cannot do", "do without the key until a later version"),
    row("not-readable", "a file that cannot be read", "check the path and the permissions of the file"),
    row("not-upstream", "an output of a step that does not come before", "read it in a later step, or add the step to `needs`"),
    row("not-utf-8", "a file that is not UTF-8 text", "save the file as UTF-8"),
    row("option-like", "a value that a program could take for an option", "put `--` in front of it, or begin the word with something of your own"),
    row("poll-policy", "a poll that cannot work as written", "poll a read, with `every` shorter than `within`"),
    row("probe-not-read", "a probe that would change something", "ask with a call that changes nothing, or say `effect: read` where it does not"),
    row("protected", "something that a protected environment refuses", "do what the protected environment wants, or use another one"),
    row("reaches-round-gate", "`needs` that reach round an earlier gate without naming it", "add the gate to `needs`, or name it in `past`"),
    row("repeat-policy", "rounds that could not end, not begin, or not differ", "count rounds from 1, and read in `until` what a round gives"),
    row("retry-policy", "a retry that cannot work, or that could do something twice", "retry within the bounds, and a write only with a key or a `verify`"),
    row("revert-target", "a step that a `revert` cannot take back", "name steps with an `undo` or a `put_back`, in the same list or around it"),
    row("second-shell", "a value in a text that a second shell or client parses", "hand the value over as an argument of its own, or through `env`"),
    row("secret-source", "a secret with no source, or with several", "keep one of `env`, `file`, `command` and `prompt`"),
    row("secret-use", "a secret where its value could be seen", "use the secret whole, in `bearer`, `basic`, `header`, headers, `env` or a JSON body"),
    row("shared-target", "a drill that would touch what a protected environment names", "point the drill elsewhere, or list the variable under `shared`"),
    row("shell-template", "a value in a script where it could not stay a value", "hand the value over through `env`"),
    row("syntax", "text that is not YAML", "correct the line; put texts in quotes and indent with spaces"),
    row("tag", "a YAML tag", "leave the tag out"),
    row("target-decided-later", "a destructive target that the approver cannot see", "move the approval behind the step that decides the target"),
    row("too-many-kinds", "a step of two kinds", "make it two steps"),
    row("trailing-space", "white space behind the `\\` that continues a line of a script", "take the white space out"),
    row("unattended", "an answer declared where only a person may answer", "leave `unattended` out"),
    row("ungated", "a destructive step that no gate stands in front of", "put an `approve` or a `confirm` in front of the step"),
    row("unknown-host", "a host that the environment does not know", "add the host to the environment, or name another"),
    row("unknown-input", "an input that the runbook does not declare", "declare the input, or do not give it"),
    row("unknown-key", "a key that the language does not know", "correct the key, or its indentation"),
    row("unknown-name", "a name in a template that nothing declares", "name an input, variable, secret or output that exists"),
    row("unknown-recipient", "somebody to be told whom nobody can reach", "name a contact, role or person of the environment with a channel"),
    row("unknown-role", "a role that the environment does not know", "add the role to the environment, or name another"),
    row("unknown-step", "a reference to a step that does not exist", "name a step that exists"),
    row("unknown-template", "a template of a message that is nowhere", "write `templates/NAME.en.txt` beside the runbook, or name one that is there"),
    row("unquoted", "a text that YAML reads as something else", "put the text in quotes"),
    row("unused-past", "`past` names something that is no gate reached round", "take it out of `past`"),
    row("used-runbook", "a runbook that a step cannot use", "use one that is there, stands by itself, and says nothing about a whole run"),
    row("work-use", "the scratch folder where its path means nothing, or would be seen", "use `run.work` whole, in arguments, `env`, `cwd` and paths of files on this machine"),
    row("wrong-type", "a value of another type than its key wants", "write a value of the type that the key wants"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_code_is_explained() {
        assert!(CODES.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(CODES.iter().all(|code| !code.meaning.is_empty() && !code.meaning.ends_with('.')));
        assert!(CODES.iter().all(|code| !code.fix.is_empty() && !code.fix.ends_with('.')));
        assert!(code("cycle").is_some() && code("cycles").is_none());
    }
}
