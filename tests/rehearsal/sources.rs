//! Where the answers of the outside come from, in which order, and that everybody sees it.

use crate::world::{Rehearsals, said};

const RUNBOOK: &str = r#"consigne: v1
id: three-reads
title: {fr: "Trois lectures", en: "Three reads"}
steps:
  - id: scripted
    http: {get: "http://127.0.0.1:9/scripted"}
    outputs: {name: ".body.name", size: ".body.size"}
  - id: fixed
    argv: [program-that-nobody-has]
    effect: read
    outputs: {line: {filter: ".stdout", class: public}}
  - id: invented
    http: {get: "http://127.0.0.1:9/invented"}
    expect: {status: [203], that: ['.body.state == "open"']}
    outputs: {state: ".body.state", count: ".body.count"}
  - id: enough
    assert: {that: [{expr: "steps.invented.count > 0", message: "None"}, {expr: "steps.invented.state == 'open'", message: "Shut"}]}
"#;

#[test]
fn each_source_is_asked_in_its_turn_and_named() {
    let world = Rehearsals::new();
    let runbook = world.write("three.yaml", RUNBOOK);
    world.write(
        "three.fixture.yaml",
        "steps:\n  fixed: {exit: 0, stdout: from-the-fixture}\n  scripted: {status: 500}\n",
    );
    let scenario =
        world.write("s.yaml", "steps:\n  scripted: {outputs: {name: x}}\n  fixed: {undo: {exit: 0}}\n");
    let made = world.rehearse("out", &runbook, &["--scenario", scenario.to_str().unwrap()], 0);
    let worker = |step: &str| made.of("attempt.finished", step)[0]["data"]["worker"].clone();
    assert_eq!(worker("scripted"), "scenario; size=placeholder");
    assert_eq!(worker("fixed"), "fixture");
    assert_eq!(made.of("attempt.finished", "fixed")[0]["data"]["outputs"]["line"], "\"from-the-fixture\"");
    assert_eq!(worker("invented"), "placeholder");
    assert_eq!(made.of("attempt.finished", "invented")[0]["data"]["code"], 203);
    // The narration, the summary, `show` and the report all say it.
    made.says("scripted: ok <- scenario (size: placeholder)");
    made.says("not proved, being made up: invented, scripted: size");
    made.says("given and never asked for: fixed (undo), scripted");
    let dir = made.dir.to_str().unwrap();
    assert!(
        said(&world.consigne(&["show", dir]))
            .contains("scripted                 scenario (size: placeholder)")
    );
    let report = std::fs::read_to_string(made.dir.join("report.md")).unwrap();
    assert!(report.contains("THIS WAS A REHEARSAL"), "{report}");
    assert!(report.contains("| `scripted` | do | **scenario (size: placeholder)** |"), "{report}");
    assert!(report.contains("| `fixed` | do | fixture |"), "{report}");
    let french = said(&world.consigne(&["report", dir, "--lang", "fr"]));
    assert!(french.contains("UNE RÉPÉTITION") && french.contains("**inventé**"), "{french}");
}

#[test]
fn a_scenario_that_does_not_fit_is_refused_with_its_place() {
    let world = Rehearsals::new();
    let runbook = world.write("three.yaml", RUNBOOK);
    let scenario = world.write("s.yaml", "steps:\n  scriptd: {status: 200}\nabsent: [nobody]\n");
    let args =
        ["rehearse", runbook.to_str().unwrap(), "--scenario", scenario.to_str().unwrap(), "--out", "out"];
    let output = world.consigne(&args);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("s.yaml:2:3") && text.contains("did you mean `scripted`"), "{text}");
    assert!(text.contains("`nobody`"), "{text}");
    assert!(!world.path("out").exists(), "nothing is begun");
}

#[test]
fn reads_are_done_for_real_when_that_is_asked_for_and_nothing_else() {
    let world = Rehearsals::new();
    let touched = world.path("touched");
    let runbook = world.write(
        "live.yaml",
        &format!(
            "consigne: v1\nid: live-reads\ntitle: Live\nsteps:\n  - id: look\n    shell: \"echo real\"\n    effect: read\n    outputs: {{line: {{filter: \".stdout\", class: public}}}}\n  - id: change\n    shell: \"touch {}\"\n    effect: write\n    verify:\n      shell: \"echo looked >> {}\"\n",
            touched.display(),
            touched.display()
        ),
    );
    let made = world.rehearse("out", &runbook, &["--live-reads"], 0);
    let look = &made.of("attempt.finished", "look")[0]["data"];
    assert_eq!((&look["worker"], &look["outputs"]["line"]), (&"live".into(), &"\"real\\n\"".into()));
    assert_eq!(made.of("attempt.finished", "change")[0]["data"]["worker"], "placeholder");
    assert!(!touched.exists(), "neither a write nor the proof of one is done");
}

#[test]
fn a_list_is_rehearsed_item_by_item() {
    let world = Rehearsals::new();
    let runbook = world.path("rolling.yaml");
    std::fs::copy(crate::world::repository("tests/shapes/rolling.yaml"), &runbook).unwrap();
    world.write("environments/practice.yaml", "people: {bob: {}}\nroles: {lead: [bob]}\n");
    let scenario = world.write(
        "s.yaml",
        "steps:\n  \"update:web-02\": {exit: 1, stderr: \"no route\"}\n  \"update:web-03\": {exit: 1}\nanswers:\n  go: {answer: approve, as: bob}\n  roll: \"yes\"\n  \"update:web-02\": end\n  \"drain:web-02\": {answer: {choice: leave_open, owner: bob, review_at: \"2030-01-01T00:00:00Z\"}, comment: broken}\n",
    );
    let hosts = "hosts=[\"web-01\", \"web-02\", \"web-03\"]";
    let args = ["--scenario", scenario.to_str().unwrap(), "--input", "do=/nowhere", "--input", hosts];
    let made = world.rehearse("out", &runbook, &args, 1);
    made.says("update:web-01: ok 0 <- placeholder");
    made.says("update:web-02: exit 1 <- scenario");
    made.says("still open: put_back of drain");
    made.says("given and never asked for: update:web-03");
    made.says("not walked: drain:web-02 (put_back), roll:web-03");
    let back =
        made.of("attempt.started", "drain").into_iter().filter(|event| event["data"]["role"] == "put_back");
    assert_eq!(back.map(|event| event["item"].clone()).collect::<Vec<_>>(), [1], "the healthy one alone");
}

#[test]
fn a_poll_of_years_ends_and_its_last_call_decides() {
    let house = Rehearsals::new();
    let runbook = |poll: &str| {
        house.write(
            "polls.yaml",
            &format!(
                "consigne: v1\nid: polls\nsteps:\n  - {{id: look, argv: [look], effect: read, poll: {{{poll}}}, allowed: true}}\n"
            ),
        )
    };
    let said = house.write("s.yaml", "steps: {look: {exit: 3}}\n");
    let with = ["--scenario", said.to_str().unwrap()];
    let never = house.rehearse("never", &runbook("every: 1s, within: 100000h"), &with, 4);
    let end = &never.of("attempt.finished", "look")[0];
    assert_eq!(
        (&end["data"]["result"], &end["data"]["reason"]),
        (&"timed_out".into(), &"within".into()),
        "{end}"
    );
    // What holds has to hold for as long as it says, however often that was looked at.
    let good = house.write("s.yaml", "steps: {look: {exit: 0}}\n");
    assert_eq!(good, said);
    let steady = house.rehearse("steady", &runbook("every: 1s, within: 100000h, steady: 50000h"), &with, 0);
    assert_eq!(steady.of("attempt.finished", "look")[0]["data"]["result"], "succeeded");
    let started = &steady.of("attempt.started", "look")[0];
    assert!(started["data"].is_object(), "{started}");
}

#[test]
fn what_cannot_be_read_twice_or_written_is_said_before_anything_is_rehearsed() {
    let house = Rehearsals::new();
    let runbook = house
        .write("look.yaml", "consigne: v1\nid: look\nsteps:\n  - {id: look, argv: [look], effect: read}\n");
    let script = format!(
        "$0 rehearse {} --out {} --scenario <(echo 'steps: {{look: {{exit: 0}}}}')",
        runbook.display(),
        house.path("piped").display()
    );
    let output =
        house.command("bash").args(["-c", &script, env!("CARGO_BIN_EXE_consigne")]).output().unwrap();
    let text = said(&output);
    assert!(!output.status.success() && text.contains("give a file that can be read again"), "{text}");
    assert!(!house.path("piped").exists(), "{text}");
    let record = house.path("nowhere/look.fixture.yaml");
    let output =
        house.consigne(&["rehearse", runbook.to_str().unwrap(), "--record", record.to_str().unwrap()]);
    let text = said(&output);
    assert!(!output.status.success() && text.contains("there is no folder"), "{text}");
}
