//! What a runbook tells people and no machine heeds: links, estimates, alerts, what was changed.

use crate::environment::{TestEnvironment, shows};

const TELLING: &str = r#"consigne: v1
id: telling
title: {fr: "Vider la file", en: "Drain the queue"}
inputs:
  queue: {type: string, default: "a/b c"}
alerts: [QueueTooLong]
links:
  - {url: "https://graphs.example.com/{{ inputs.queue }}", title: {fr: "Courbes", en: "Graphs"}}
  - {url: "https://wiki.example.com/queues"}
changelog:
  - {date: 2026-11-20, by: alice, text: {fr: "Deux voies côte à côte", en: "Two ways side by side"}}
  - {date: 2026-10-01, text: "Written"}
steps:
  - id: look
    manual: {evidence: none}
    effect: read
    message: "Look at the curves"
    estimate: 5m
    links:
      - {url: "https://graphs.example.com/{{ inputs.queue }}?from={{ run.started_at | minus('1h') | epoch }}", title: "Last hour"}
  - {id: left, needs: [look], argv: ["true"], effect: read, estimate: 10m}
  - {id: right, needs: [look], argv: ["true"], effect: read, estimate: 1h}
  - {id: after, needs: [left, right], argv: ["true"], effect: read}
"#;

fn world() -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("telling.yaml", TELLING);
    env
}

#[test]
fn a_plan_adds_up_what_steps_usually_take() {
    let env = world();
    let en = env.consigne(&["plan", "telling.yaml"]).ends(0);
    let fr = env.consigne(&["plan", "telling.yaml", "--lang", "fr"]).ends(0);
    for (said, lines) in [
        (
            &en,
            [
                "usually    1 h 5 min; nothing is said of after",
                "link       Graphs: https://graphs.example.com/a%2Fb%20c",
            ],
        ),
        (
            &fr,
            [
                "d'habitude 1 h 5 min ; rien n'est dit de after",
                "lien       Courbes: https://graphs.example.com/a%2Fb%20c",
            ],
        ),
    ] {
        for line in lines {
            assert!(said.stdout.contains(line), "{line}: {said}");
        }
    }
    assert!(en.stdout.contains("usually takes 10 min"), "{en}");
    let json = env.consigne(&["plan", "telling.yaml", "--json"]).ends(0).json();
    assert_eq!(json["estimate"]["usually_ms"], 3_900_000, "{json}");
    assert_eq!(json["links"][1]["url"], "https://wiki.example.com/queues", "{json}");
}

#[test]
fn a_runbook_is_found_by_its_alert_and_tells_what_it_knows() {
    let env = world();
    let whole = env.consigne(&["runbooks", "--dir", ".", "queuetoolong"]).ends(0);
    let none = env.consigne(&["runbooks", "--dir", ".", "queuetooshort"]);
    shows!([whole, none]);
}

#[test]
fn paper_names_pages_and_times() {
    let env = world();
    let said = env.consigne(&["print", "telling.yaml"]).ends(0);
    for line in [
        "Alerts: `QueueTooLong`",
        "→ Graphs: `https://graphs.example.com/<queue>`\\\n→ `https://wiki.example.com/queues`",
        "Usually takes 1h.",
        "→ Last hour: `https://graphs.example.com/<queue>?from=",
    ] {
        assert!(said.stdout.contains(line), "{line}: {said}");
    }
}
