//! Answers files: what a person, or the people he plays, will say to each question of a run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::decode::{Decode, Reader, Spanned, record};
use super::load;
use super::scalar::{Data, Many};
use super::yaml::{self, Node, Style};
use crate::diag::{Diagnostic, Place, Source};

record! {
    /// An answer with what belongs to it.
    pub struct AnswerDecl {
        must answer: Word,
        may comment: Spanned<String>,
        /// Paths of files.
        may evidence: Many<Spanned<String>>,
        /// Who it is played by.
        may r#as: Spanned<String>,
    }
}

/// What is answered, word for word: nothing in it is a template. `yes` and `no` need no quotes here.
#[derive(Debug, Clone, PartialEq)]
pub struct Word(pub Value);

impl schemars::JsonSchema for Word {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Answer".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"description": "the answer: a word, or the fields of a form"})
    }
}

impl Decode for Word {
    fn decode(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            yaml::Value::Scalar { text, style } if *style != Style::Plain || is_word(text) => {
                Some(Self((**text).into()))
            }
            yaml::Value::List(list) => Some(Self(
                list.iter().filter_map(|node| reader.value(node)).map(|Self(value)| value).collect(),
            )),
            yaml::Value::Map { entries, flow } => {
                let mut out = serde_json::Map::new();
                for (key, value) in entries {
                    if *flow && value.is_null() && reader.source.slice(value.span).is_empty() {
                        reader.foreign_key(key, value, true, &[], &[]);
                    } else if let Some(Self(value)) = reader.value(value) {
                        out.insert(key.text.clone().into_owned(), value);
                    }
                }
                Some(Self(Value::Object(out)))
            }
            _ => reader.value::<Data>(node).map(|data| Self(data.literal())),
        }
    }
}

fn is_word(text: &str) -> bool {
    matches!(text, "yes" | "no")
}

/// One answer of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileAnswer {
    pub value: Value,
    pub comment: Option<String>,
    /// Paths as written.
    pub evidence: Vec<String>,
    pub played_as: Option<String>,
    /// What is said when it is asked again, or by the next person: a list of answers, each given once.
    pub then: Vec<FileAnswer>,
    /// Its id in the file.
    pub at: Place,
}

/// The answers of a file, by answer id: `step`, `parent/step`, `step:key`, `list/item`.
pub type Answers = BTreeMap<String, FileAnswer>;

/// Reads an answers file.
pub fn read(path: &Path) -> (Answers, Vec<Diagnostic>) {
    match load::source(path) {
        Ok(source) => from_source(&source),
        Err(problem) => (Answers::new(), vec![problem]),
    }
}

/// As [`read`], from a source.
pub fn from_source(source: &Arc<Source>) -> (Answers, Vec<Diagnostic>) {
    let (node, mut problems) = yaml::parse(source);
    let Some(node) = node.filter(|node| !node.is_null()) else { return (Answers::new(), problems) };
    let mut reader = Reader::new(source);
    let out = of_node(&node, &mut reader);
    problems.append(&mut reader.problems);
    (out, problems)
}

/// As [`read`], where they stand inside another file.
pub(super) fn of_node(node: &Node<'_>, reader: &mut Reader<'_>) -> Answers {
    let mut out = Answers::new();
    let Some((entries, _)) = reader.mapping(node) else { return out };
    for (key, value) in entries {
        let at = key.span.at(reader.source).into();
        if let Some(answer) = answer(value, at, reader) {
            out.insert(key.text.to_string(), answer);
        }
    }
    out
}

fn answer(node: &Node<'_>, at: Place, reader: &mut Reader<'_>) -> Option<FileAnswer> {
    let is_record = |node: &Node<'_>| matches!(node.value, yaml::Value::Map { .. });
    // A list of words is what somebody chose of many; one with a record in it is one answer after the other.
    if let yaml::Value::List(list) = &node.value
        && list.iter().any(is_record)
    {
        let mut all = Vec::new();
        for node in list {
            all.push(one(node, at.clone(), reader)?);
        }
        let then = all.split_off(1);
        return all.pop().map(|first| FileAnswer { then, ..first });
    }
    one(node, at, reader)
}

fn one(node: &Node<'_>, at: Place, reader: &mut Reader<'_>) -> Option<FileAnswer> {
    let yaml::Value::Map { .. } = &node.value else {
        let Word(value) = reader.value(node)?;
        let (evidence, then) = (Vec::new(), Vec::new());
        return Some(FileAnswer { value, comment: None, evidence, played_as: None, then, at });
    };
    let decl: AnswerDecl = reader.value(node)?;
    Some(FileAnswer {
        value: decl.answer.0,
        comment: decl.comment.map(|text| text.value),
        evidence: decl.evidence.into_iter().flat_map(|Many(list)| list).map(|path| path.value).collect(),
        played_as: decl.r#as.map(|text| text.value),
        then: Vec::new(),
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_words_or_records() {
        let text = "go: {answer: approve, as: bob, comment: \"seen\"}\ncp/told: {answer: yes, evidence: proof.txt}\nplain: no\nask: {answer: {name: x, n: 3}}\nn: 3\n";
        let (answers, problems) = from_source(&Source::new("a.yaml", text));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(answers["go"].played_as.as_deref(), Some("bob"));
        assert_eq!(
            (&answers["cp/told"].value, &answers["cp/told"].evidence[..]),
            (&"yes".into(), &["proof.txt".to_owned()][..])
        );
        assert_eq!(answers["plain"].value, "no");
        assert_eq!(answers["ask"].value["n"], 3);
    }

    #[test]
    fn a_list_with_records_is_one_answer_after_the_other() {
        let text =
            "go:\n  - {answer: approve, as: bob}\n  - {answer: reject, as: bob}\n  - yes\npick: [a, b]\n";
        let (answers, problems) = from_source(&Source::new("a.yaml", text));
        assert!(problems.is_empty(), "{problems:?}");
        let then: Vec<_> = answers["go"].then.iter().map(|answer| answer.value.clone()).collect();
        assert_eq!((&answers["go"].value, then), (&"approve".into(), vec!["reject".into(), "yes".into()]));
        assert!(answers["pick"].value.is_array() && answers["pick"].then.is_empty());
    }

    #[test]
    fn a_wrong_key_is_reported() {
        let (_, problems) = from_source(&Source::new("a.yaml", "go: {anser: approve}\n"));
        let codes: Vec<_> = problems.iter().map(|p| p.code).collect();
        assert_eq!(codes, ["unknown-key", "missing-key"]);
    }
}
