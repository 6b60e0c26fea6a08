//! What is fuzzed: one function per target, bytes in, a panic out when the product breaks a promise.
//!
//! Shared by the fuzzers (`fuzz_targets/`) and by the test that replays what they found (`tests/corpora`), so that a
//! stored input means the same in both. Nothing here may be slow by itself: an input that takes seconds is a finding.
#![allow(dead_code, reason = "each fuzzer uses one of them")]

use std::collections::BTreeMap;
use std::path::Path;

use consigne::diag::{self, Diagnostic, Rendering, Severity};
use consigne::journal::{
    Chain, Disclosed, Disclosure, Entry, Journal, JournalError, Malformed, canonical, parse_canonical,
};
use consigne::record::approval::Approval;
use consigne::record::{AllowedSigners, Envelope, SignedTreeHead, SshSignature, Sums, VerifierKey};
use consigne::runbook::extract::{self, Document, Globals};
use consigne::runbook::shell::{self, Script};
use consigne::runbook::template::{Lookup, Scope, Template};
use consigne::runbook::{answers as answers_file, check, load as loading};
use serde_json::json;

pub type Target = fn(&[u8]);

/// All of them, by the name of their corpus.
pub const TARGETS: [(&str, Target); 11] = [
    ("answers", answers),
    ("approval", approval),
    ("envelope", envelope),
    ("filter", filter),
    ("journal", journal),
    ("line", line),
    ("load", load),
    ("lower", lower),
    ("signature", signature),
    ("template", template),
    ("tree_head", tree_head),
];

/// A runbook: it is read and checked, or every reason why not has a position in it.
pub fn load(data: &[u8]) {
    let Some(source) = source(data) else { return };
    let (document, mut problems) = loading::runbook(&source);
    match &document {
        Some(document) => problems.extend(check::check(document, None)),
        None => assert!(!problems.is_empty(), "nothing was read and nothing is said"),
    }
    well_placed(source.text(), &problems);
}

/// A script: its values become variables of a script that holds none of them, or are refused in their places; what it
/// would remove has a place in it.
pub fn lower(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let within = |at: &std::ops::Range<usize>| assert!(text.get(at.clone()).is_some(), "{at:?} of {text:?}");
    let Ok(script) = Script::parse_all(text) else { return };
    let lowering = shell::Lowering::of(&script);
    let (lowered, reading) = (&lowering.lowered, lowering.reading());
    if lowering.refused.is_empty() {
        let holes = script.template().exprs().len();
        let variables = lowered.text.matches("${CSG_").count() - text.matches("${CSG_").count();
        assert_eq!(variables, holes, "{}", lowered.text);
        assert!(lowered.values.len() <= holes);
    }
    for refusal in &lowering.refused {
        within(&refusal.at);
        assert!(text[refusal.at.clone()].starts_with("{{") && !refusal.why.help().is_empty());
    }
    let dangers = shell::in_script(&reading, &shell::Scratch::new(std::iter::empty(), None))
        .into_iter()
        .map(|danger| danger.range);
    let wipes = shell::wipes(&reading, &std::collections::BTreeSet::new());
    let places = dangers.chain(wipes.into_iter().map(|wipe| wipe.range));
    places.for_each(|place| within(&lowered.in_source(&place)));
    lowered.mishaps(&reading).iter().for_each(|(_, at)| within(at));
}

/// A file of answers.
pub fn answers(data: &[u8]) {
    let Some(source) = source(data) else { return };
    let (_, problems) = answers_file::from_source(&source);
    well_placed(source.text(), &problems);
}

fn source(data: &[u8]) -> Option<std::sync::Arc<diag::Source>> {
    match loading::from_bytes("fuzz.yaml", data.to_vec()) {
        Ok(source) => Some(source),
        Err(problem) => {
            assert_eq!(problem.code, "not-utf-8");
            // What looks like UTF-16 is called that, though its zero bytes are characters too.
            assert!(std::str::from_utf8(data).is_err() || data.contains(&0));
            None
        }
    }
}

fn well_placed(text: &str, problems: &[Diagnostic]) {
    for problem in problems {
        for at in problem.at.iter().chain(problem.labels.iter().map(|label| &label.at)) {
            let (start, end) = (at.span.start as usize, at.span.end as usize);
            let inside = start <= end && end <= text.len();
            assert!(inside && text.is_char_boundary(start) && text.is_char_boundary(end), "{problem:?}");
        }
        let placed = problem.at.is_some() || problem.severity == Severity::Warning || text_is_blank(text);
        assert!(placed, "an error without a position: {problem:?}");
    }
    let how = Rendering { colour: false, unicode: true, width: 100 };
    assert_eq!(diag::render_all(problems, how, 10).is_empty(), problems.is_empty());
    for problem in problems.iter().take(10) {
        assert!(diag::to_json(problem)["message"].is_string());
    }
}

/// An empty file has no place to point at.
fn text_is_blank(text: &str) -> bool {
    text.lines().all(|line| matches!(line.trim().as_bytes(), [] | [b'#', ..] | b"---" | b"..."))
}

/// A text with expressions, rendered in a small world.
pub fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Template::parse(text) {
        Ok(template) => {
            assert_eq!(template.source(), text);
            let rendered = template.render(&World);
            let tree = template.render_tree(&World);
            assert_eq!(rendered.is_ok(), tree.is_ok(), "{rendered:?} {tree:?}");
            if let Ok(rendered) = rendered {
                let stored = serde_json::to_string(&rendered).unwrap();
                assert_eq!(
                    serde_json::from_str::<consigne::runbook::template::Rendered>(&stored).unwrap(),
                    rendered
                );
            }
        }
        Err(error) => assert!(error.offset <= text.len() && text.is_char_boundary(error.offset), "{error:?}"),
    }
}

struct World;

impl Scope for World {
    fn lookup(&self, root: &str, name: &str) -> Lookup {
        match (root, name) {
            ("inputs", "name") => Lookup::Known(json!("acme \"{{ x }}\" é")),
            ("inputs", "count") => Lookup::Known(json!(7)),
            ("inputs", "list") => Lookup::Known(json!([1, "two", null, {"three": 3.5}])),
            ("inputs" | "vars", _) => Lookup::Missing,
            ("steps", "before") => Lookup::Known(json!({"name": "x", "deep": {"er": [true, false]}})),
            ("steps", _) => Lookup::Later,
            _ => Lookup::Missing,
        }
    }
}

/// A filter, a line feed, and the document that it runs over.
pub fn filter(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (filter, document) = text.split_once('\n').unwrap_or((text, ""));
    if let Err(error) = extract::check_filter(filter) {
        assert!(error.offset <= filter.len(), "{error:?}");
        return;
    }
    let default = r#"{"status":200,"headers":{"a":"b"},"body":{"n":[1,2.50,{"x":"y"}]},"elapsed_ms":3}"#;
    let document = Document::parse(document).or_else(|_| Document::parse(default)).unwrap();
    let globals = Globals::new(&BTreeMap::from([("name".to_owned(), json!("acme"))]), &BTreeMap::new());
    if let Ok(text) = extract::run(filter, &document, &globals) {
        assert!(text.len() <= extract::OUTPUT_LIMIT);
        assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok(), "not JSON: {text}");
    }
    let _ = extract::holds(filter, &document, &globals);
}

/// A run's folder: what the log, the lines and the disclosures hold, with a zero byte between them. Reading and
/// opening agree, and whatever is damaged has a place.
pub fn journal(data: &[u8]) {
    let folder = folder();
    let mut parts = data.split(|byte| *byte == 0);
    for name in ["wal.jsonl", "events.jsonl", "disclosures.jsonl"] {
        if let Some(part) = parts.next().filter(|part| !part.is_empty()) {
            std::fs::write(folder.path().join(name), part).unwrap();
        }
    }
    let read = Journal::read_all(folder.path());
    placed(folder.path(), read.as_ref().err());
    let opened = Journal::open(folder.path());
    placed(folder.path(), opened.as_ref().err());
    if let Ok(opened) = opened {
        assert_eq!(opened.entries, read.unwrap().entries, "reading and opening differ");
        drop(opened.journal);
        let again = Journal::open(folder.path()).unwrap();
        assert!(again.recovered.is_none(), "a torn end was found twice");
        assert_eq!(again.entries, opened.entries);
    }
}

/// In memory where there is such a place: opening syncs.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

fn placed(folder: &Path, error: Option<&JournalError>) {
    if let Some(JournalError::Damaged { path, malformed }) = error {
        let bytes = std::fs::read(path).unwrap_or_default();
        assert!(path.starts_with(folder));
        within(&bytes, malformed);
    }
}

fn within(bytes: &[u8], malformed: &Malformed) {
    let lines = 1 + bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(malformed.offset <= bytes.len() && (1..=lines).contains(&malformed.line), "{malformed:?}");
    assert!(!malformed.what.is_empty());
}

/// One line of the journal, and one disclosure.
pub fn line(data: &[u8]) {
    match parse_canonical(data) {
        Ok(value) => assert_eq!(canonical(&value).unwrap().as_bytes(), data, "a line has one spelling"),
        Err(error) => assert!(error.offset <= data.len(), "{error:?}"),
    }
    let parsed = Entry::parse(data, &Disclosed::new());
    if let Err(malformed) = &parsed {
        within(data, malformed);
    }
    let mut chain = Chain::of_any_run();
    if chain.read(data, &Disclosed::new()).is_ok() {
        assert_eq!((chain.size(), parsed.is_ok()), (1, true));
    }
    if let Some(disclosure) = std::str::from_utf8(data).ok().and_then(|text| Disclosure::parse(text).ok()) {
        assert_eq!(disclosure.encoded().as_bytes(), data);
    }
}

/// The envelope of the record (DSSE), and the file list.
pub fn envelope(data: &[u8]) {
    match Envelope::parse(data) {
        Ok(envelope) => assert_eq!(envelope.to_bytes(), data, "an envelope has one spelling"),
        Err(malformed) => within(data, &malformed),
    }
    if let Err(malformed) = Sums::parse(data) {
        within(data, &malformed);
    }
}

/// A signed note, and the key that verifies one.
pub fn tree_head(data: &[u8]) {
    match SignedTreeHead::parse(data) {
        Ok(head) => assert_eq!(head.to_string().as_bytes(), data, "a tree head has one spelling"),
        Err(malformed) => within(data, &malformed),
    }
    match VerifierKey::parse(data) {
        Ok(key) => {
            // It stands in a file of the reader's own, which may lack its last line feed.
            let written = data.strip_suffix(b"\n").unwrap_or(data);
            assert_eq!(key.to_string().as_bytes(), written, "a key has one spelling");
        }
        Err(malformed) => within(data, &malformed),
    }
}

/// Armoured signatures of ssh-keygen, and who may sign what.
pub fn signature(data: &[u8]) {
    match SshSignature::parse(data) {
        Ok(signature) => {
            assert_eq!(signature.armor().as_bytes(), data, "a signature has one spelling");
            let _ = (signature.key().fingerprint(), signature.verify("consigne", b"text"));
        }
        Err(malformed) => within(data, &malformed),
    }
    match AllowedSigners::parse(data) {
        Ok(signers) => {
            let _ = signers.lints();
            for signer in signers.signers() {
                let at = consigne::clock::Timestamp::from_millis(1_795_000_000_000);
                let _ = (signers.authorise(signer.key(), "consigne", at), signer.is_principal("bob"));
            }
        }
        Err(malformed) => within(data, &malformed),
    }
}

/// The text that a person signs.
pub fn approval(data: &[u8]) {
    match Approval::parse(data) {
        Ok(approval) => assert_eq!(approval.text().as_bytes(), data, "an approval has one spelling"),
        Err(malformed) => within(data, &malformed),
    }
}
