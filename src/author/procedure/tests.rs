use proptest::prelude::*;
use pulldown_cmark::Event;

use super::*;
use crate::diag::Source;
use crate::runbook::schema::Runbook;
use crate::runbook::{check, load};

fn import(markdown: &str) -> Import<'_> {
    Import { markdown, name: "p.md", id: "p", title: None, section: None, french: false }
}

/// The runbook as it is read again; it makes sense.
fn read(procedure: &Procedure) -> Runbook {
    let source = Source::new("p.yaml", procedure.runbook.clone());
    let (document, problems) = load::runbook(&source);
    assert!(problems.is_empty(), "{}\n{problems:?}", procedure.runbook);
    let document = document.unwrap();
    let findings = check::check(&document, None);
    assert!(findings.is_empty(), "{}\n{findings:?}", procedure.runbook);
    document.runbook
}

const PROCEDURE: &str = include_str!("../../../tests/cli/restart.md");

#[test]
fn a_procedure_becomes_a_runbook() {
    let procedure = import(PROCEDURE).procedure().unwrap();
    read(&procedure);
    let notes: Vec<String> =
        procedure.notes.iter().map(|note| format!("{}: {}", note.line, note.message)).collect();
    insta::with_settings!({omit_expression => true}, {
        insta::assert_snapshot!(format!("{}\n---\n{}", procedure.runbook, notes.join("\n")));
    });
}

#[test]
fn a_section_alone_becomes_a_runbook() {
    let section = Import { section: Some("redémarrage"), ..import(PROCEDURE) };
    let runbook = read(&section.procedure().unwrap());
    let ids: Vec<&str> = runbook.steps.iter().map(|step| step.name()).collect();
    assert_eq!(
        ids,
        [
            "arreter_le_service",
            "verifier_que_rien_ne_tourne_plus",
            "verifier_aucun_processus",
            "demarrer_le_service"
        ]
    );
    let none = Import { section: Some("Nowhere"), ..import(PROCEDURE) };
    assert!(matches!(none.procedure(), Err(ImportError::NoSection { .. })));
}

#[test]
fn nothing_to_do_is_refused() {
    assert_eq!(import("").procedure(), Err(ImportError::Empty));
    assert_eq!(import("# Only a title\n").procedure(), Err(ImportError::Empty));
    assert_eq!(import("Call the office.\n").procedure().unwrap().steps, 1);
}

#[test]
fn what_is_left_out_is_said() {
    let text = "- [x] done\n-\n\n[unused]: http://far\n\n## Empty\n";
    let notes: Vec<String> = import(text)
        .procedure()
        .unwrap()
        .notes
        .iter()
        .map(|n| format!("{}: {}", n.line, n.message))
        .collect();
    assert_eq!(
        notes,
        [
            "1: ticked in the Markdown: a run begins with everything undone",
            "2: a list item without text is left out",
            "4: nothing uses the link [unused]: http://far, left out",
            "6: nothing stands below the heading `Empty`: left out",
        ]
    );
}

#[test]
fn a_row_longer_than_its_head_is_kept_whole() {
    let procedure = import("- x\n\n  | a |\n  |---|\n  | b | c | **d** |\n").procedure().unwrap();
    assert!(procedure.runbook.contains("| b | c | **d** |"), "{}", procedure.runbook);
}

/// Pieces of Markdown that mean something to somebody: its reader, YAML's, or that of templates.
fn markdown() -> impl Strategy<Value = String> {
    let word = prop_oneof!["[a-zé]{1,8}", "\\PC{0,6}", "(?s).{0,3}"];
    let mark = prop::sample::select(vec![
        "- ",
        "* ",
        "1. ",
        "- [ ] ",
        "- [x] ",
        "  ",
        "    ",
        "\t",
        "\n",
        "\n\n",
        "# ",
        "## ",
        "### ",
        "> ",
        "```bash\n",
        "```\n",
        "~~~\n",
        "| a | b |\n|---|---|\n",
        "| c |",
        "[l](http://x \"t\")",
        "![p](q.png)",
        "[r]",
        "[r]: http://y\n",
        "[^1]",
        "[^1]: ",
        "**",
        "_",
        "~~",
        "`",
        "{{ x }}",
        "{{",
        "}}",
        "{%",
        "{#",
        "---\n",
        "...\n",
        ": ",
        " #",
        "\"",
        "'",
        "\\",
        "<b>",
        "<!-- c -->",
        "&amp;",
        "yes",
        "\u{feff}",
        "\0",
        "\r",
    ]);
    prop::collection::vec(prop_oneof![word, mark.prop_map(str::to_owned)], 0..60)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_markdown_gives_a_runbook_that_makes_sense(text in markdown()) {
        match import(&text).procedure() {
            Ok(procedure) => prop_assert_eq!(read(&procedure).steps.len(), procedure.steps),
            Err(error) => prop_assert_eq!(error, ImportError::Empty),
        }
    }

    /// Every word of the Markdown is in the runbook, or in a note.
    #[test]
    fn no_word_is_lost(text in markdown()) {
        if let Ok(procedure) = import(&text).procedure() {
            let notes: String = procedure.notes.iter().map(|note| format!("{}\n", note.message)).collect();
            let all = format!("{}{notes}", procedure.runbook);
            for (event, _) in outline::events(&text) {
                let (Event::Text(said) | Event::Code(said)) = event else { continue };
                for word in said.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                    prop_assert!(all.contains(word), "{:?} of\n{}\nis not in\n{}", word, text, all);
                }
            }
        }
    }
}
