//! What no text may be, whatever it says: a name that nobody reads to its end, a target that is locked twice, bytes that
//! no program can be handed.

use super::Checker;
use crate::diag::Span;
use crate::runbook::act::Act;
use crate::runbook::decode::Spanned;
use crate::runbook::scalar::{Data, Entries};

/// Characters of one name: it stands on lines of a screen, in names of files and in each entry about it.
const NAME: usize = 128;

/// A name, without what it is put below.
pub(super) fn name(checker: &mut Checker<'_>, name: &Spanned<String>) {
    let own = name.value.rsplit('/').next().unwrap_or_default();
    let length = own.chars().count();
    if length > NAME {
        let message = format!("this name has {length} characters, a name has at most {NAME}");
        let problem = checker.error("limit", name.span, message);
        checker.push(
            problem
                .help("give it a shorter one; what people read is the `title`, the `text` or the `message`"),
        );
    }
}

/// Two locks of one name are one.
pub(super) fn locks(checker: &mut Checker<'_>) {
    let all: Vec<_> = checker.runbook.locks().collect();
    for (at, lock) in all.iter().enumerate() {
        let same = |other: &&&Spanned<_>| other.value == lock.value;
        if let Some(first) = all[..at].iter().find(same) {
            let message = format!("`{}` is locked already", lock.value.source());
            let problem = checker.error("bad-value", lock.span, message);
            let first = first.span.at(checker.source);
            checker.push(problem.also(first, "first here").help("name each target once"));
        }
    }
}

/// Names of headers and fields are sent as they are written.
pub(super) fn fields(checker: &mut Checker<'_>, act: Act<'_>) {
    let Some(http) = act.http else { return };
    let named = [&http.headers, &http.query, &http.form].into_iter().flatten().flat_map(Entries::iter);
    let mut found: Vec<Span> =
        named.filter(|(name, _)| name.value.contains("{{")).map(|(name, _)| name.span).collect();
    if http.json.as_ref().is_some_and(Data::names_values) {
        found.extend(act.kinds().next().map(|(_, span)| span));
    }
    for span in found {
        let message = "a name is taken as it is, an expression in it would never be read";
        let problem = checker.error("unknown-name", span, message);
        checker.push(
            problem.help("write the name out; a whole object can be a value: \"{{ steps.x.object }}\""),
        );
    }
}

/// A program is handed texts that end at their first NUL.
pub(super) fn handed(checker: &mut Checker<'_>, act: Act<'_>) {
    let argv = act.argv.into_iter().flat_map(|argv| &argv.value).map(|word| (word.span, word.value.source()));
    let script = act.shell.map(|script| (script.span, script.value.source()));
    let env =
        act.env.into_iter().flat_map(Entries::iter).map(|(_, value)| (value.span, value.value.source()));
    let cwd = act.cwd.map(|cwd| (cwd.span, cwd.value.source()));
    let all = script.into_iter().chain(argv).chain(env).chain(cwd);
    let found: Vec<Span> = all.filter(|(_, text)| text.contains('\0')).map(|(span, _)| span).collect();
    for span in found {
        let problem = checker.error("bad-value", span, "no program can be handed a NUL: its text ends there");
        checker.push(problem.help("take it out; `printf '\\000'` in a script makes one"));
    }
}
