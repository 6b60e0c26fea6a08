//! Values that name something: files that are kept, files that are shown, folders over there, hosts, items.

use serde_json::{Map, Value, json};

use super::house::{House, value};
use super::places::written;
use super::values::is_handed_over;

/// A name of one file in a folder, and of nothing else.
fn is_below(name: &str) -> bool {
    !name.contains(['/', '\0']) && !["", ".", ".."].contains(&name) && name.len() < 200
}

fn aside(mut step: Value) -> Value {
    let alone = json!({"needs": [], "on_failure": "continue", "allowed": true});
    step.as_object_mut().unwrap().extend(alone.as_object().unwrap().clone());
    step
}

const VIA: &str =
    "role_play: true\npeople: {bob: {}}\nroles: {ops: [bob]}\nhosts: {box: {via: [env, PLACE=box]}}\n";

#[test]
fn rule_19_an_artifact_is_the_file_of_that_name_and_no_other() {
    let house = House::new();
    std::fs::create_dir(house.path("files")).unwrap();
    let mut steps = Vec::new();
    for (at, name) in house.values.iter().enumerate() {
        if is_below(name) {
            std::fs::write(house.path("files").join(name), format!("left {at}")).unwrap();
        }
        steps.push(aside(json!({"id": format!("left_{at}"), "argv": ["true"], "effect": "write",
            "artifacts": {"file": format!("files/{}", value(at))}})));
    }
    let said = house.drill(json!({"steps": steps}), &json!({}));
    assert_eq!(said.code, Some(0), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    let mut expected: Vec<String> = Vec::new();
    for (step, (status, reason)) in house.endings() {
        let at: usize = step.split_once('_').unwrap().1.parse().unwrap();
        let name = &house.values[at];
        // As the system reads it: `files//x` is `files/x`.
        let file = format!("{}/{name}", house.path("files").display());
        let found = !name.contains('\0') && std::fs::symlink_metadata(&file).is_ok_and(|file| file.is_file());
        assert_eq!(status == "succeeded", found, "{name:?} is {status} ({reason})");
        if found {
            expected.push(std::fs::read_to_string(file).unwrap());
        }
    }
    let run = house.path("../home/runs/r/blobs");
    let mut kept = Vec::new();
    for blob in std::fs::read_dir(&run).unwrap().map(|blob| blob.unwrap().path()) {
        let name = blob.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()), "named by a value: {name:?}");
        kept.push(std::fs::read_to_string(blob).unwrap());
    }
    for content in &expected {
        assert!(kept.contains(content), "{content}");
    }
    assert!(expected.len() > 120 && !kept.iter().any(|text| text.contains("root:")), "{}", expected.len());
}

#[test]
fn rule_19_over_there_a_value_names_one_folder_and_no_host() {
    let house = House::new();
    house.write("names.json", &json!(house.values));
    std::fs::write(house.path("environments/plain.yaml"), VIA).unwrap();
    // JSON needs no escapes beyond its own.
    std::fs::write(
        house.path("names.json"),
        json!(house.values.iter().filter(|v| v.len() < 1_000).collect::<Vec<_>>()).to_string(),
    )
    .unwrap();
    let mut steps = vec![
        json!({"id": "list", "argv": ["cat", "names.json"], "effect": "read", "outputs": {"names": ".json"}}),
    ];
    let short: Vec<usize> = (0..house.values.len()).filter(|at| house.values[*at].len() < 1_000).collect();
    for (nth, at) in short.iter().enumerate() {
        let name = &house.values[*at];
        if is_below(name) {
            std::fs::create_dir_all(house.path("folders").join(name)).unwrap();
        }
        let folder = house.path("folders").display().to_string();
        steps.push(aside(
            json!({"id": format!("folder_{at}"), "argv": ["touch", format!("here_{at}")], "host": "box",
            "cwd": format!("{folder}/{}", value(*at)), "effect": "write"}),
        ));
        let mut hosted = aside(json!({"id": format!("host_{at}"), "argv": ["touch", house.path("hosted")],
            "host": format!("{{{{ steps.list.names[{nth}] }}}}"), "effect": "write"}));
        hosted["needs"] = json!(["list"]);
        steps.push(hosted);
    }
    let said = house.drill(json!({"steps": steps}), &json!({}));
    assert_eq!(said.code, Some(0), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    assert!(!house.path("hosted").exists());
    let mut there = 0;
    for (step, (status, reason)) in house.endings() {
        let Some((kind, at)) = step.split_once('_') else { continue };
        let at: usize = at.parse().unwrap();
        let name = &house.values[at];
        if kind == "host" {
            assert_eq!((status.as_str(), reason.as_str()), ("failed", "render"), "{name:?}");
            continue;
        }
        let touched = !name.contains('\0')
            && house.path("folders").join(name.trim_start_matches('/')).join(format!("here_{at}")).exists();
        let outside = name.contains("..") || name.starts_with('/');
        assert!(outside || touched == (status == "succeeded"), "{name:?} is {status} ({reason})");
        there += usize::from(touched);
    }
    assert!(there > 120, "{there}");
}

/// Keys of items, and what people say: each is what it was when a later step reads it.
#[test]
fn rule_19_keys_and_answers_are_read_as_they_were_given() {
    let mut house = House::new();
    house.values.retain(|value| is_handed_over(value) && value.len() < 60_000);
    let all = 0..house.values.len();
    let fields: Map<String, Value> =
        all.clone().map(|at| (format!("f{at}"), json!({"type": "string"}))).collect();
    let filled: Map<String, Value> =
        house.values.iter().enumerate().map(|(at, text)| (format!("f{at}"), json!(text))).collect();
    let write = |name: &str, of: &dyn Fn(usize) -> String| {
        let mut argv =
            vec!["sh".to_owned(), "-c".into(), format!("printf '%s\\0' \"$@\" > {name}"), "sh".into()];
        argv.extend(all.clone().map(of));
        json!({"id": format!("write_{name}"), "argv": argv, "effect": "write"})
    };
    let mut steps = vec![
        json!({"id": "each", "for_each": {"items": "inputs.v", "as": "it", "key": "'k' ~ it", "max_targets": 1000},
            "assert": {"that": [{"expr": "it ~ '' == it"}]}}),
        write("keys", &|at| format!("{{{{ steps.each.items[{at}].key }}}}")),
        json!({"id": "form", "input": {"fields": fields}}),
        write("fields", &|at| format!("{{{{ steps.form.f{at} }}}}")),
    ];
    let mut answers = Map::from_iter([("form".to_owned(), json!({"answer": filled}))]);
    // Files by these names, where there can be one.
    std::fs::create_dir(house.path("proofs")).unwrap();
    for (at, content) in house.values.iter().enumerate() {
        let mut answer = json!({"answer": "done", "comment": content});
        if is_below(content) {
            std::fs::write(house.path("proofs").join(content), "seen").unwrap();
            answer["evidence"] = json!([format!("proofs/{content}")]);
        }
        steps.push(
            json!({"id": format!("said_{at}"), "manual": {"evidence": "optional"}, "message": "Do it"}),
        );
        answers.insert(format!("said_{at}"), answer);
    }
    steps.push(write("comments", &|at| format!("{{{{ steps.said_{at}.comment | default('') }}}}")));
    let said = house.drill(json!({"steps": steps}), &Value::Object(answers));
    assert_eq!(said.code, Some(0), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    for name in ["keys", "fields", "comments"] {
        let got = written(&house, name);
        // An item is called something.
        let got: Vec<&str> = got.iter().map(|text| if name == "keys" { &text[1..] } else { text }).collect();
        let other: Vec<_> =
            got.iter().zip(&house.values).filter(|(got, sent)| **got != sent.as_str()).collect();
        assert!(other.is_empty() && got.len() == house.values.len(), "{name}: {other:.900?}");
    }
    for blob in std::fs::read_dir(house.path("../home/runs/r/blobs")).unwrap() {
        let name = blob.unwrap().file_name();
        assert!(name.to_string_lossy().bytes().all(|byte| byte.is_ascii_hexdigit()), "{name:?}");
    }
    assert_eq!(house.consigne(&["verify", "r"]).code, Some(0));
}
