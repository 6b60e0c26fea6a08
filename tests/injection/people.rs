//! Values in what people read and answer: titles, messages, shown values, words to type, lists, choices.

use serde_json::{Map, Value, json};

use super::house::{House, value};

/// Nothing that a terminal obeys, and nothing that turns a line around.
#[track_caller]
pub fn is_harmless(what: &str, text: &str) {
    let bad = text.chars().find(|c| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || ('\u{202a}'..='\u{202e}').contains(c)
            || ('\u{2066}'..='\u{2069}').contains(c)
    });
    assert_eq!(bad, None, "on the screen by {what}");
}

#[test]
fn rule_19_people_see_every_value_harmless_and_type_it_as_it_is() {
    let house = House::new();
    // A long text is read once, not two hundred times.
    let shown: Vec<usize> = (0..house.values.len()).filter(|at| house.values[*at].len() < 1_000).collect();
    let (mut steps, mut answers) = (Vec::new(), Map::new());
    for at in &shown {
        let v = value(*at);
        // A word of nothing but white space is none that could be typed.
        let typed = !house.values[*at].trim().is_empty();
        let confirm = if typed { json!({"typed": v}) } else { json!({}) };
        steps.push(json!({"id": format!("typed_{at}"), "title": format!("Of {v}"), "confirm": confirm,
            "message": format!("Type {v}, please"), "show": v}));
        answers.insert(
            format!("typed_{at}"),
            if typed { json!({"answer": house.values[*at]}) } else { json!("yes") },
        );
    }
    let items: Vec<Value> = shown
        .iter()
        .map(|at| json!({"id": format!("i{at}"), "text": format!("Seen: {}", value(*at))}))
        .collect();
    shown.iter().for_each(|at| drop(answers.insert(format!("items/i{at}"), json!("yes"))));
    steps.push(json!({"id": "items", "checklist": {"mode": "do-confirm", "items": items}}));
    let options: Vec<Value> = shown
        .iter()
        .map(|at| json!({"id": format!("o{at}"), "text": format!("Take {}", value(*at))}))
        .collect();
    steps.push(json!({"id": "choice", "choice": {"options": options}, "message": "Which?"}));
    answers.insert("choice".into(), json!(format!("o{}", shown[7])));
    steps.push(json!({"id": "told", "assert": {"that": [{"expr": format!("steps.choice.answer == 'o{}'", shown[7])}]}}));

    let said =
        house.drill(json!({"title": format!("About {}", value(1)), "steps": steps}), &Value::Object(answers));
    let end = said.text.char_indices().rev().nth(2_000).map_or(0, |(at, _)| at);
    assert_eq!(said.code, Some(0), "{}", &said.text[end..]);
    is_harmless("the run", &said.text);
    for (step, (status, reason)) in house.endings() {
        assert_eq!(status, "succeeded", "{step}: {reason}");
    }
    for command in [&["show", "r"] as &[&str], &["list"], &["verify", "r"], &["report", "r"], &[]] {
        let said = house.consigne(command);
        assert_eq!(said.code, Some(0), "{command:?}: {:.2000}", said.text);
        if command != ["report", "r"] {
            is_harmless(&format!("{command:?}"), &said.text);
        }
    }
    let plan = house.consigne(&[
        "plan",
        "hostile.yaml",
        "--mode",
        "drill",
        "--env",
        "plain",
        "--inputs",
        "hostile.inputs.yaml",
    ]);
    assert_eq!(plan.code, Some(0));
    is_harmless("plan", &plan.text);
    house.untouched();
}

/// Another word than the one that is wanted opens nothing, however alike they look.
#[test]
fn rule_19_a_word_to_type_is_that_word() {
    for (wanted, typed) in [
        ("acme", "acm\u{435}"),
        ("é", "e\u{301}"),
        ("a", "a\u{200b}"),
        ("*", "x"),
        ("{{ inputs.v }}", "x"),
        ("yes", "YES"),
    ] {
        let mut house = House::new();
        house.values = vec![wanted.to_owned()];
        let said = house.drill(
            json!({"steps": [
                {"id": "go", "confirm": {"typed": value(0)}, "message": "Go?"},
                {"id": "done", "argv": ["touch", "done"], "effect": "write"},
            ]}),
            &json!({"go": {"answer": typed}}),
        );
        assert_ne!(said.code, Some(0), "{wanted:?} by {typed:?}: {}", said.text);
        assert!(!house.path("done").exists(), "{wanted:?} by {typed:?}");
    }
}
