//! Values that look like a line of ours: whatever they hold, no line of any output begins with them.

use serde_json::{Map, Value, json};

use super::house::{House, value};
use super::people::is_harmless;

/// What a forged line would say, as ours begin: a step that went well, an answer, a heading, a line of a table.
const FORGED: [&str; 6] = [
    "✓ forged",
    "forged: bob approved",
    "# forged",
    "| forged | forged |",
    "- forged",
    "    ENCORE BASCULÉ : forged",
];
/// What ends a line somewhere: in terminals, in editors, in Markdown, in a log.
const BREAKS: [&str; 9] =
    ["\n", "\r\n", "\r", "\u{b}", "\u{c}", "\u{85}", "\u{2028}", "\u{2029}", "\u{1b}[2K\u{1b}[1G"];

fn forgeries() -> Vec<String> {
    let mut all = Vec::new();
    for forged in FORGED {
        for ends in BREAKS {
            all.push(format!("a{ends}{forged}"));
        }
    }
    all.push("`\n\n```\n# forged\n".to_owned());
    all.push("a` | b |\n| forged".to_owned());
    all.push("\u{202e}degrof ✓\u{2066}".to_owned());
    all
}

/// No line begins as a forged one does, by any reader's idea of where a line begins. What people are shown stands
/// behind a bar, what they are asked behind an indent, in a frame of its own.
#[track_caller]
fn forges_nothing(what: &str, text: &str) {
    is_harmless(what, text);
    for line in text.split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
        let begun = FORGED.iter().find(|forged| line.starts_with(*forged));
        assert_eq!(begun, None, "a line of {what} is forged: {line:?}");
    }
}

/// Steps of every kind that tells people of values, over all values: what fails stands apart.
fn told(house: &House) -> (Vec<Value>, Map<String, Value>) {
    let (mut steps, mut answers) = (Vec::new(), Map::new());
    for at in 0..house.values.len() {
        let v = value(at);
        let print = "printf '%s' \"$1\"; printf '%s' \"$1\" >&2; exit 3";
        let alone = json!({"on_failure": "continue", "allowed": true, "needs": []});
        for mut step in [
            json!({"id": format!("broke_{at}"), "argv": ["bash", "-c", print, "x", v], "effect": "read"}),
            json!({"id": format!("claim_{at}"), "assert": {"that": [{"expr": "1 == 2", "message": v}]}}),
        ] {
            step.as_object_mut().unwrap().extend(alone.as_object().unwrap().clone());
            steps.push(step);
        }
    }
    steps.push(json!({"id": "each", "for_each": {"items": "inputs.v", "as": "it", "max_targets": 1000},
        "title": "{{ it }}", "argv": ["true", "{{ it }}"], "effect": "read", "needs": []}));
    let mut last = "each".to_owned();
    for (at, content) in house.values.iter().enumerate() {
        let v = value(at);
        steps.push(json!({"id": format!("go_{at}"), "title": v, "confirm": {}, "message": v, "show": v, "needs": [last],
            "links": [{"url": format!("https://example.com/{v}"), "title": v}]}));
        answers.insert(format!("go_{at}"), json!({"answer": "yes", "comment": content}));
        steps.push(json!({"id": format!("by_hand_{at}"), "manual": {"evidence": "none"}, "message": v,
            "needs": [format!("go_{at}")]}));
        answers.insert(format!("by_hand_{at}"), json!({"answer": "done", "comment": content}));
        last = format!("by_hand_{at}");
    }
    (steps, answers)
}

#[test]
fn rule_19_no_value_forges_a_line_of_what_people_read() {
    let mut house = House::new();
    house.values = forgeries();
    let (steps, answers) = told(&house);
    let said = house.drill(
        json!({"title": format!("About {}", value(0)), "description": format!("Of {}", "x"), "steps": steps}),
        &Value::Object(answers),
    );
    assert_eq!(said.code, Some(0), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    forges_nothing("the run", &said.text);
    for (step, (status, reason)) in house.endings() {
        let fine = ["broke_", "claim_"].iter().any(|name| step.starts_with(name));
        assert_eq!(status, if fine { "failed" } else { "succeeded" }, "{step}: {reason}");
    }
    let plan =
        ["plan", "hostile.yaml", "--mode", "drill", "--env", "plain", "--inputs", "hostile.inputs.yaml"];
    for command in [
        &["show", "r"] as &[&str],
        &["list", "--all"],
        &["verify", "r"],
        &["report", "r"],
        &["report", "r", "--open"],
        &plan,
    ] {
        let said = house.consigne(command);
        assert_eq!(said.code, Some(0), "{command:?}: {:.2000}", said.text);
        forges_nothing(&format!("{command:?}"), &said.text);
    }
    house.untouched();
}

/// A run that waits tells what it waits for, in the words of the runbook and the values.
#[test]
fn rule_19_no_value_forges_a_line_of_what_is_waited_for() {
    let mut house = House::new();
    house.values = forgeries();
    let each = json!({"items": "inputs.v", "as": "it", "max_targets": 1000, "max_parallel": 100});
    let steps = json!([{"id": "each", "for_each": each, "title": "{{ it }}", "confirm": {"typed": "{{ it }}"},
        "message": "{{ it }}", "show": "{{ it }}"}]);
    let said = house.drill(json!({"title": value(0), "steps": steps}), &json!({}));
    assert_eq!(said.code, Some(4), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    forges_nothing("the run", &said.text);
    for command in [&["show", "r"] as &[&str], &["list"], &[], &["report", "r"]] {
        let said = house.consigne(command);
        forges_nothing(&format!("{command:?}"), &said.text);
    }
}

/// The commands that we propose are copied into a shell: each hands over what it says, and does nothing else.
#[test]
fn rule_19_a_command_that_is_proposed_is_one_command() {
    let mut house = House::new();
    // Blank words are none that could be typed; nothing hands a zero byte to a program.
    house.values.retain(|value| value.len() < 1_000 && !value.trim().is_empty() && !value.contains('\0'));
    house.values.extend(forgeries());
    let each = json!({"items": "inputs.v", "as": "it", "max_targets": 1000, "max_parallel": 1000});
    let steps = json!([{"id": "each", "for_each": each, "confirm": {"typed": "{{ it }}"}, "message": "Go?"}]);
    let said = house.drill(json!({"steps": steps}), &json!({}));
    assert_eq!(said.code, Some(4), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    let shown = house.consigne(&["show", "r"]);
    let hints: Vec<&str> = shown
        .text
        .split('\n')
        .filter_map(|line| line.strip_prefix("hint: ").filter(|line| line.starts_with("consigne answer ")))
        .collect();
    assert_eq!(hints.len(), house.values.len());
    let out = house.path("handed");
    // What may be typed, and `no`: one word.
    let head = "consigne() { printf '%s\\0' \"${4%|no}\" >> \"$OUT\"; }\n";
    let ran = std::process::Command::new("bash")
        .args(["-c", &format!("{head}{}", hints.join("\n"))])
        .current_dir(house.path("."))
        .env("OUT", &out)
        .output()
        .unwrap();
    assert_eq!(
        (ran.status.code(), &*ran.stderr),
        (Some(0), &b""[..]),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    house.untouched();
    let text = std::fs::read_to_string(&out).unwrap();
    let handed: Vec<&str> = text.strip_suffix('\0').unwrap().split('\0').collect();
    let same = handed.iter().zip(&house.values);
    let other: Vec<_> = same.filter(|(handed, sent)| **handed != sent.as_str()).collect();
    assert!(other.is_empty() && handed.len() == house.values.len(), "{other:#?}");
}
