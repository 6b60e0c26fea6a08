//! Runbooks as drawings that other programs show, and as data.

use serde_json::json;

use crate::environment::TestEnvironment;

const ODD: &str = r#"consigne: v1
id: odd
title: "</title><script>alert(1)</script> & \"q\" 'q' ]]>"
inputs: {on: {type: boolean, default: true}}
steps:
  - {id: look, argv: ["date"], effect: read, title: "<b onload=x>a & b</b> \u007f\u0007\u202e"}
  - {id: left, needs: [look], argv: ["date"], effect: read, when: "inputs.on and 1 < 2"}
  - {id: right, needs: [look], argv: ["date"], effect: read}
  - {id: go, confirm: {}, message: "Go on?"}
  - {id: wipe, argv: ["wipe"], effect: destructive}
  - id: both
    group:
      steps:
        - {id: one, argv: ["date"], effect: write}
        - id: inner
          group: {parallel: true, steps: [{id: two, manual: {}, effect: write, message: "x"}, {id: three, argv: ["date"], effect: read}]}
      on_failure: [{id: rescue, argv: ["date"], effect: read}]
  - {id: after, needs: [both], run_on: failure, argv: ["date"], effect: read}
finally:
  - {id: tidy, argv: ["date"], effect: read}
"#;

/// The elements of a drawing, each with its attributes, if it is well-formed XML and nothing else.
fn elements(svg: &str) -> Vec<(String, Vec<(String, String)>)> {
    let (mut open, mut found, mut rest) = (Vec::new(), Vec::new(), svg);
    let entities = |text: &str| {
        for part in text.split('&').skip(1) {
            assert!(
                ["amp;", "lt;", "gt;", "quot;", "#39;"].iter().any(|known| part.starts_with(known)),
                "&{part}"
            );
        }
        assert!(!text.contains(['<', '>']) || text.contains('{'), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    };
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        entities(text);
        assert!(!open.is_empty() || text.trim().is_empty(), "text outside: {text}");
        let end = tag.find('>').expect("a tag ends");
        let inside = &tag[1..end];
        rest = &tag[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let alone = inside.ends_with('/');
        let inside = inside.trim_end_matches('/');
        let (name, mut attributes) = inside.split_once(' ').unwrap_or((inside, ""));
        let mut all = Vec::new();
        while let Some((key, value)) = attributes.trim_start().split_once("=\"") {
            let (value, others) = value.split_once('"').expect("a value ends");
            entities(value);
            assert!(all.iter().all(|(other, _)| other != key), "{key} twice in {name}");
            all.push((key.to_owned(), value.to_owned()));
            attributes = others;
        }
        assert!(attributes.trim().is_empty(), "{attributes}");
        if !alone {
            open.push(name.to_owned());
        }
        found.push((name.to_owned(), all));
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} {rest}");
    found
}

#[test]
fn a_drawing_is_one_file_that_loads_and_runs_nothing() {
    let env = TestEnvironment::new();
    env.write("odd.yaml", ODD);
    let said = env.consigne(&["graph", "odd.yaml", "--svg", "--lang", "en"]).ends(0);
    let all = elements(&said.stdout);
    for (name, attributes) in &all {
        let known = ["svg", "title", "style", "defs", "marker", "path", "rect", "polygon", "text"]
            .contains(&name.as_str());
        assert!(known, "<{name}>");
        for (key, value) in attributes {
            assert!(!key.starts_with("on") && !key.contains("href"), "{key}");
            assert!(!value.contains("url(") || value == "url(#tip)", "{value}");
            assert!(!value.contains("://") || value == "http://www.w3.org/2000/svg", "{value}");
        }
    }
    let with = |class: &str| {
        let points = |(name, attributes): &(String, Vec<(String, String)>)| {
            let has = attributes.iter().any(|(key, value)| key == "class" && value == class);
            let points = attributes.iter().find(|(key, _)| key == "points");
            has.then(|| (name.clone(), points.map_or(0, |(_, points)| points.split(' ').count())))
        };
        all.iter().filter_map(points).collect::<Vec<_>>()
    };
    let polygon = |points| ("polygon".to_owned(), points);
    // Each once in the drawing and once in the legend; what destroys has a double line.
    assert_eq!(with("box gate"), [polygon(6), polygon(6)], "told apart without colour");
    assert_eq!(with("box destructive"), vec![polygon(8); 4], "told apart without colour");
    assert_eq!(with("box person"), [polygon(4), polygon(4)]);
    assert_eq!(with("box group").len(), 2, "groups are boxes");
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(said.stdout) });
}

/// Thirty steps in a row and side by side stay on a page that can be read.
#[test]
fn thirty_steps_stay_on_a_page() {
    let env = TestEnvironment::new();
    let step = |at: usize| {
        let needs =
            if at % 10 < 6 && at > 0 { format!("needs: [s{}], ", at / 10 * 10) } else { String::new() };
        let needs = if at.is_multiple_of(10) { String::new() } else { needs };
        format!(
            "  - {{id: s{at}, {needs}argv: [\"date\"], effect: read, title: \"Step number {at} with a title of some length\"}}\n"
        )
    };
    let steps: String = (0..30).map(step).collect();
    env.write("many.yaml", &format!("consigne: v1\nid: many\ntitle: \"Many\"\nsteps:\n{steps}"));
    let said = env.consigne(&["graph", "many.yaml", "--svg"]).ends(0);
    let all = elements(&said.stdout);
    let number = |key: &str| {
        let (_, value) = all[0].1.iter().find(|(name, _)| name == key).unwrap();
        value.parse::<u32>().unwrap()
    };
    assert!(
        number("width") <= 2_000 && number("height") <= 3_000,
        "{} × {}",
        number("width"),
        number("height")
    );
    let texts = said.stdout.lines().filter(|line| line.starts_with("<text"));
    assert!(texts.clone().count() >= 90, "every step has its id and its title");
}

#[test]
fn a_picture_is_data_too() {
    let env = TestEnvironment::new();
    env.write("odd.yaml", ODD);
    let drawn = env.consigne(&["graph", "odd.yaml", "--json"]).ends(0).json();
    assert_eq!(drawn["format"], "consigne.graph/v1");
    let ids: Vec<&str> =
        drawn["steps"].as_array().unwrap().iter().map(|step| step["node"]["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "look", "left", "right", "go", "wipe", "both", "one", "inner", "two", "three", "rescue", "after",
            "tidy"
        ]
    );
    let arrows = drawn["arrows"].as_array().unwrap();
    for arrow in [["look", "left"], ["look", "right"], ["left", "go"], ["wipe", "both"], ["one", "inner"]] {
        assert!(arrows.contains(&json!(arrow)), "{arrow:?} in {arrows:?}");
    }
    let forks = drawn["forks"].as_array().unwrap();
    let when = forks.iter().find(|fork| fork["kind"] == "when").unwrap();
    assert_eq!((&when["step"], when.get("known")), (&json!("left"), None), "no input is given yet");
    let picture = env.consigne(&["graph", "odd.yaml", "--lang", "en"]).ends(0);
    assert!(picture.stdout.contains("▲ wipe [argv, DESTRUCTIVE]"), "{picture}");
    let mermaid = env.consigne(&["graph", "odd.yaml", "--mermaid"]).ends(0);
    assert!(mermaid.stdout.contains("[[\"wipe"), "{mermaid}");
    env.consigne(&["graph", "odd.yaml", "--svg", "--json"]).ends(2).code.unwrap();
}
