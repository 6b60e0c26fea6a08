//! Letters: the templates of messages, found by name and read with their positions.
//!
//! A letter is `templates/NAME.fr.txt` and `NAME.en.txt`, one of them or both, beside the runbook or in a folder above;
//! the nearest folder that has either wins. Its first line is `Subject: …`, then an empty line, then the text. Some come
//! with the program. What may be named in a letter is `check`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decode::Spanned;
use super::flow;
use super::load;
use super::schema::Runbook;
use super::template::Template;
use crate::diag::{Diagnostic, Source, Span};

/// The letter that tells those who may approve.
pub const WANTED: &str = "approval-wanted";
/// The letter that tells those to whom a question was passed on.
pub const ESCALATED: &str = "escalated";

/// Those that come with the program, with their French and their English text.
const OURS: [(&str, &str, &str); 3] = [
    (
        "run-finished",
        include_str!("../../templates/run-finished.fr.txt"),
        include_str!("../../templates/run-finished.en.txt"),
    ),
    (
        WANTED,
        include_str!("../../templates/approval-wanted.fr.txt"),
        include_str!("../../templates/approval-wanted.en.txt"),
    ),
    (
        ESCALATED,
        include_str!("../../templates/escalated.fr.txt"),
        include_str!("../../templates/escalated.en.txt"),
    ),
];

/// A letter in the languages that it exists in.
#[derive(Debug, Clone, Default)]
pub struct Letter {
    pub fr: Option<Page>,
    pub en: Option<Page>,
}

/// A letter in one language.
#[derive(Debug, Clone)]
pub struct Page {
    pub source: Arc<Source>,
    pub subject: Spanned<Template>,
    pub text: Spanned<Template>,
}

impl Letter {
    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        self.fr.iter().chain(&self.en)
    }
}

/// The letters that a runbook sends, by name; those that are nowhere are left out.
pub type Letters = BTreeMap<String, Letter>;

/// Finds and reads the letters of a runbook.
pub(super) fn load(runbook: &Runbook, file: &Path, problems: &mut Vec<Diagnostic>) -> Letters {
    let mut names: BTreeSet<&str> = BTreeSet::new();
    for step in flow::steps(runbook) {
        names.extend(step.notify.iter().filter_map(|notify| Some(notify.template.as_ref()?.value.as_str())));
        if let Some(approve) = &step.approve {
            names.extend((approve.notify == Some(true)).then_some(WANTED));
            names.extend(approve.escalates().then_some(ESCALATED));
        }
    }
    if names.is_empty() {
        return Letters::new();
    }
    let folders = folders(file);
    names.into_iter().filter_map(|name| Some((name.to_owned(), find(name, &folders, problems)?))).collect()
}

/// Names of the letters that a runbook could send.
pub fn names(file: &Path) -> Vec<String> {
    let listed =
        folders(file).into_iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    let mut names: Vec<String> = listed
        .filter_map(|entry| {
            let name = entry.file_name().to_str()?.to_owned();
            ["fr", "en"].iter().find_map(|lang| name.strip_suffix(&format!(".{lang}.txt")).map(str::to_owned))
        })
        .chain(OURS.iter().map(|(name, ..)| (*name).to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The folders that may hold letters of a runbook, nearest first.
fn folders(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.ancestors().map(|folder| folder.join("templates")).filter(|folder| folder.is_dir()).collect()
}

fn find(name: &str, folders: &[PathBuf], problems: &mut Vec<Diagnostic>) -> Option<Letter> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if name.is_empty() || !name.bytes().all(plain) {
        return None;
    }
    for folder in folders {
        let path = |lang: &str| Some(folder.join(format!("{name}.{lang}.txt"))).filter(|path| path.is_file());
        let (fr, en) = (path("fr"), path("en"));
        if fr.is_some() || en.is_some() {
            let mut read = |path: PathBuf| match load::source(&path) {
                Ok(source) => page(&source, problems),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            };
            return Some(Letter { fr: fr.and_then(&mut read), en: en.and_then(&mut read) });
        }
    }
    let (_, fr, en) = OURS.iter().find(|(own, ..)| *own == name)?;
    let mut read = |lang: &str, text: &str| page(&Source::new(format!("{name}.{lang}.txt"), text), problems);
    Some(Letter { fr: read("fr", fr), en: read("en", en) })
}

/// The first line is the subject, what stands behind the empty line the text.
fn page(source: &Arc<Source>, problems: &mut Vec<Diagnostic>) -> Option<Page> {
    let text = source.text();
    let line = text.lines().next().unwrap_or("");
    let Some(rest) = line.strip_prefix("Subject:") else {
        let at = Span::new(0, line.len()).at(source);
        let problem = Diagnostic::error("bad-letter", at, "the first line of a letter is `Subject: …`");
        problems.push(problem.help("write what it is about there, then an empty line, then the text"));
        return None;
    };
    let behind = &text[line.len()..];
    let body = behind.trim_start_matches(['\r', '\n']);
    let (from, to) = (line.len() - rest.trim_start().len(), text.len() - body.len());
    if rest.trim().is_empty() || body.trim().is_empty() {
        let at = Span::new(0, line.len().max(1)).at(source);
        problems.push(Diagnostic::error("bad-letter", at, "a letter has a subject and a text"));
        return None;
    }
    let subject = template(source, from, rest.trim(), problems);
    let text = template(source, to, body.trim_end(), problems);
    Some(Page { source: Arc::clone(source), subject: subject?, text: text? })
}

fn template(
    source: &Arc<Source>,
    start: usize,
    text: &str,
    problems: &mut Vec<Diagnostic>,
) -> Option<Spanned<Template>> {
    match Template::parse_all(text) {
        Ok(value) => Some(Spanned { value, span: Span::new(start, start + text.len()) }),
        Err(errors) => {
            for error in errors {
                let at = start + error.offset.min(text.len());
                let end = source.text().ceil_char_boundary((at + 1).min(source.text().len()));
                let place = Span::new(at, end).at(source);
                problems.push(Diagnostic::error("bad-expression", place, error.message));
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<(String, String)>, Vec<&'static str>) {
        let mut problems = Vec::new();
        let page = page(&Source::new("x.en.txt", text), &mut problems);
        let texts = page.map(|page| {
            for part in [&page.subject, &page.text] {
                assert_eq!(page.source.slice(part.span), part.value.source());
            }
            (page.subject.value.source().to_owned(), page.text.value.source().to_owned())
        });
        (texts, problems.into_iter().map(|problem| problem.code).collect())
    }

    #[test]
    fn a_letter_is_a_subject_and_a_text() {
        let (texts, problems) = read("Subject:  é {{ run.id }} \n\nOne\n\ntwo {{ inputs.x }}\n");
        assert_eq!(texts, Some(("é {{ run.id }}".to_owned(), "One\n\ntwo {{ inputs.x }}".to_owned())));
        assert_eq!(problems, [""; 0]);
        for bad in ["", "Hello\n\ntext", "Subject:\n\ntext", "Subject: x\n\n \n", "Subject: x"] {
            assert_eq!(read(bad), (None, vec!["bad-letter"]), "{bad:?}");
        }
        assert_eq!(read("Subject: {{ }\n\n{{ 1 + }} é\n").1, ["bad-expression"; 2]);
    }

    #[test]
    fn ours_can_be_read() {
        let mut problems = Vec::new();
        for (name, ..) in OURS {
            let letter = find(name, &[], &mut problems).unwrap();
            assert_eq!(letter.pages().count(), 2, "{name}");
        }
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn the_nearest_folder_wins_and_no_name_leads_out_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("deep");
        for (at, subject) in [(folder.path(), "far"), (&deep, "near")] {
            std::fs::create_dir_all(at.join("templates")).unwrap();
            std::fs::write(at.join("templates/x.en.txt"), format!("Subject: {subject}\n\ntext\n")).unwrap();
        }
        std::fs::write(folder.path().join("secret.en.txt"), "Subject: s\n\ntext\n").unwrap();
        let folders = folders(&deep.join("r.yaml"));
        let mut problems = Vec::new();
        let found = find("x", &folders, &mut problems).unwrap();
        assert_eq!(found.en.unwrap().subject.value.source(), "near");
        assert!(find("../secret", &folders, &mut problems).is_none());
        assert!(find("absent", &folders, &mut problems).is_none());
        assert!(names(&deep.join("r.yaml")).contains(&"run-finished".to_owned()));
    }
}
