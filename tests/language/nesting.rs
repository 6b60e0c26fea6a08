//! Groups as deep and as wide as they may be: no stack overflows, nothing grows faster than the file.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use consigne::author::paper::Paper;
use consigne::plan::outline;
use consigne::plan::preview::Preview;
use consigne::runbook::flow::Flow;
use consigne::runbook::load::{self, Document};
use consigne::runbook::reach::Reach;
use consigne::runbook::schema::Step;
use consigne::runbook::{check, lists};

fn read(text: String) -> (Option<Document>, Vec<&'static str>) {
    let source = load::from_bytes("nested.yaml", text.into_bytes()).unwrap();
    let (document, problems) = load::runbook(&source);
    (document, problems.into_iter().map(|problem| problem.code).collect())
}

fn nested(groups: usize) -> String {
    let mut out = String::from("consigne: v1\nid: nested\nsteps:\n");
    let mut pad = String::from("  ");
    for at in 0..groups {
        writeln!(out, "{pad}- id: g{at}\n{pad}  group:\n{pad}    steps:").unwrap();
        pad.push_str("      ");
    }
    writeln!(out, "{pad}- {{id: last, argv: [\"date\"], effect: read}}").unwrap();
    out
}

/// As deep as YAML may be nested: a group takes three levels.
#[test]
fn as_deep_as_a_file_may_be() {
    let (document, problems) = read(nested(20));
    assert!(problems.is_empty(), "{problems:?}");
    let document = document.unwrap();
    assert!(check::check(&document, None).is_empty());
    assert_eq!(lists::steps(&document.runbook).count(), 21);
    assert_eq!(outline(&document).graph.steps[20].within.as_deref(), Some("g19"));
    assert_eq!(read(nested(21)).1, ["limit"]);
}

/// Deeper than any file, on a stack on which nothing that calls itself for each group would come back.
#[test]
fn no_depth_overflows_the_stack() {
    const DEEP: usize = 3_000;
    let (document, _) = read("consigne: v1\nid: t\nsteps:\n  - {id: a, group: {steps: [{id: b, argv: [\"date\"], effect: read}]}}\n".into());
    let mut document = document.unwrap();
    let group: Step = document.runbook.steps.remove(0);
    let mut inner = group.group.clone().unwrap().steps.remove(0);
    for at in 0..DEEP {
        let mut around = Step { group: None, ..group.clone() };
        around.id.as_mut().unwrap().value = format!("g{at}");
        let mut holder = group.group.clone().unwrap();
        holder.steps = vec![inner];
        around.group = Some(holder);
        inner = around;
    }
    document.runbook.steps = vec![inner];
    let looks = move || {
        let found = check::check(&document, None);
        let plan = outline(&document);
        let preview = Preview::of(&plan, &[]).unwrap();
        let steps = preview.steps.len();
        // Taking it apart again is the one thing that goes down step by step, and no file is so deep.
        std::mem::forget(document);
        (found.len(), steps, preview.machine_time.at_most_ms)
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(looks).unwrap();
    assert_eq!(thread.join().unwrap(), (0, DEEP + 1, 600_000));
}

#[test]
fn paper_and_plan_go_as_deep() {
    let (document, _) = read(nested(20));
    let document = document.unwrap();
    let paper = Paper { document: &document, environment: None, inputs: &Default::default(), french: false };
    let text = paper.markdown();
    let depth =
        text.lines().find(|line| line.contains("`last`")).map(|line| line.len() - line.trim_start().len());
    assert_eq!(depth, Some(40), "two spaces for each group");
}

/// As many steps as a file may have, each waiting for the one above it, on the stack of a thread that has little:
/// nothing that calls itself along the order would come back.
#[test]
fn the_longest_chain_overflows_no_stack() {
    let mut text = String::from("consigne: v1\nid: chain\nsteps:\n");
    for at in 0..load::MAX_STEPS {
        let needs = if at % 2 == 0 { String::new() } else { format!(", needs: [s{}]", at - 1) };
        writeln!(text, "  - {{id: s{at}, argv: [\"date\"], effect: read{needs}}}").unwrap();
    }
    let looks = move || {
        let (document, problems) = read(text);
        assert!(problems.is_empty(), "{problems:?}");
        let document = document.unwrap();
        let found = check::check(&document, None);
        assert!(found.is_empty(), "{:?}", found.first());
        let flow = Flow::new(&document.runbook);
        let last = flow.len() - 1;
        assert_eq!(flow.path_to(last).len(), load::MAX_STEPS);
        assert!(flow.gather(&vec![1; flow.len()], &[], Reach::Ended).iter().skip(1).all(|mask| *mask == 1));
    };
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(looks).unwrap().join().unwrap();
}

fn wide(members: usize) -> String {
    let mut out = String::from(
        "consigne: v1\nid: wide\nsteps:\n  - id: all\n    group:\n      parallel: true\n      steps:\n",
    );
    for at in 0..members {
        let _ = match at % 4 {
            0 => writeln!(
                out,
                "        - {{id: s{at}, argv: [\"date\"], effect: read, outputs: {{x: \".json\"}}}}"
            ),
            1 => writeln!(
                out,
                "        - {{id: s{at}, needs: [s{}], argv: [\"echo\", \"{{{{ steps.s{}.x }}}}\"], effect: read}}",
                at - 1,
                at - 1
            ),
            2 => writeln!(out, "        - {{id: s{at}, confirm: {{}}, message: \"Go on?\"}}"),
            _ => writeln!(
                out,
                "        - {{id: s{at}, needs: [s{}], group: {{steps: [{{id: t{at}, argv: [\"drop\"], effect: destructive}}]}}}}",
                at - 1
            ),
        };
    }
    out.push_str("  - {id: after, argv: [\"echo\", \"{{ steps.s0.x }}\"], effect: read}\n");
    out
}

fn time(members: usize) -> Duration {
    let text = wide(members);
    let start = Instant::now();
    let (document, problems) = read(text);
    assert!(problems.is_empty(), "{problems:?}");
    let document = document.unwrap();
    let found = check::check(&document, None);
    assert!(found.is_empty(), "{:?}", found.first());
    assert!(outline(&document).graph.steps.len() > members);
    start.elapsed()
}

/// As for long runbooks: a quadratic check of wide groups is far outside.
#[test]
fn ten_thousand_members_are_no_more_than_ten_thousand_steps() {
    let small = time(1_250).max(Duration::from_millis(5));
    let large = time(10_000);
    assert!(large < small * 32, "1,250 members took {small:?}, 10,000 took {large:?}");
}
