//! Values in what machines are asked: programs, calls, files, folders, locks, conditions.

use serde_json::{Value, json};

use super::house::{House, value};
use super::recorder::{Heard, Recorder, decoded};
use super::values::is_handed_over;

/// The values that a program can be handed, with their numbers.
fn handed(house: &House) -> Vec<(usize, &String)> {
    house
        .values
        .iter()
        .enumerate()
        .filter(|(_, value)| is_handed_over(value) && value.len() < 60_000)
        .collect()
}

pub fn written(house: &House, name: &str) -> Vec<String> {
    let bytes = std::fs::read(house.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let texts = bytes.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0);
    texts.map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
}

#[test]
fn rule_19_programs_get_every_value_as_it_is() {
    let house = House::new();
    let handed = handed(&house);
    let all: Vec<String> = handed.iter().map(|(at, _)| value(*at)).collect();
    let mut argv = vec!["sh".to_owned(), "-c".into(), "printf '%s\\0' \"$@\" > argv".into(), "sh".into()];
    argv.extend(all.iter().cloned());
    let env: serde_json::Map<String, Value> =
        all.iter().enumerate().map(|(at, text)| (format!("V{at}"), json!(text))).collect();
    let echoed: String = (0..all.len()).map(|at| format!("printf '%s\\0' \"$V{at}\"; ")).collect();
    let bare: String = all.iter().map(|text| format!("printf '%s\\0' {text} \"<{text}>\"\n")).collect();
    let when: Vec<Value> = handed
        .iter()
        .map(|(at, _)| json!({"expr": format!("inputs.v[{at}] ~ '' == inputs.v[{at}]"), "message": value(*at)}))
        .collect();
    // A longer name is refused when the run is planned.
    let short = handed.iter().filter(|(_, value)| value.len() < 60);
    let locks: Vec<String> = short.map(|(at, _)| format!("thing/{}", value(*at))).collect();
    let said = house.drill(
        json!({"lock": locks, "steps": [
            {"id": "argv", "argv": argv, "effect": "write"},
            {"id": "env", "shell": format!("{{ {echoed} }} > env"), "env": env, "effect": "write"},
            {"id": "script", "shell": format!("exec > script\n{bare}"), "effect": "write"},
            {"id": "claims", "assert": {"that": when}, "when": format!("inputs.v[{}] == inputs.v[{}]", handed[9].0, handed[9].0)},
        ]}),
        &json!({}),
    );
    assert_eq!(said.code, Some(0), "{}", said.text);
    let sent: Vec<String> = handed.iter().map(|(_, value)| (*value).clone()).collect();
    assert_eq!(written(&house, "argv"), sent);
    assert_eq!(written(&house, "env"), sent);
    let twice: Vec<String> = sent.iter().flat_map(|value| [value.clone(), format!("<{value}>")]).collect();
    assert_eq!(written(&house, "script"), twice);
    assert_eq!(house.consigne(&["verify", "r"]).code, Some(0));
}

#[test]
fn rule_19_what_a_program_cannot_be_handed_is_refused() {
    let house = House::new();
    let mut steps = Vec::new();
    let refused = house.values.iter().enumerate().filter(|(_, value)| !is_handed_over(value));
    for (at, _) in refused.clone() {
        for (place, step) in [
            ("argv", json!({"argv": ["touch", value(at)]})),
            ("env", json!({"argv": ["touch", "made"], "env": {"V": value(at)}})),
            ("script", json!({"shell": format!("touch made {}", value(at))})),
            ("folder", json!({"argv": ["touch", "made"], "cwd": value(at)})),
        ] {
            let mut step = step;
            let more = json!({"id": format!("{place}_{at}"), "effect": "write", "on_failure": "continue", "allowed": true, "needs": []});
            step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            steps.push(step);
        }
    }
    let count = steps.len();
    let said = house.drill(json!({"steps": steps}), &json!({}));
    assert_eq!(said.code, Some(0), "{}", &said.text[..2_000.min(said.text.len())]);
    assert!(!house.path("made").exists());
    for (step, (status, reason)) in house.endings() {
        assert_eq!((status.as_str(), reason.as_str()), ("failed", "request"), "{step}");
    }
    let told = house.consigne(&["report", "r", "--open"]).text;
    let causes = [
        "holds a zero byte, which ends a text for the system",
        "bytes, the system takes at most 131071; write it to a file",
    ];
    let found: usize = causes.iter().map(|cause| told.matches(cause).count()).sum();
    assert!(count >= 20 && found >= count, "{found} of {count}");
}

/// A step that calls, and goes on where the call is refused.
fn call(kind: &str, at: usize, port: u16, http: &Value) -> Value {
    let http: Value =
        serde_json::from_str(&http.to_string().replace("BASE", &format!("http://127.0.0.1:{port}"))).unwrap();
    json!({"id": format!("{kind}_{at}"), "http": http, "needs": [], "on_failure": "continue", "allowed": true,
        "retry": {"max_attempts": 1}})
}

/// What a call gave its place, as the server read it.
fn arrived(heard: &Heard, kind: &str) -> Option<Vec<u8>> {
    let (path, query) = heard.target().split_once('?').unwrap_or((heard.target(), ""));
    let parts: Vec<&str> = path.split('/').collect();
    let field = |text: &str| decoded(text.strip_prefix("v=").filter(|text| !text.contains('&'))?, true);
    match kind {
        "path" => (parts.len() == 5 && parts[4] == "end").then(|| decoded(parts[3], false)).flatten(),
        "query" => field(query),
        "header" => heard.header("x-value").map(<[u8]>::to_vec),
        "key" => heard.header("idempotency-key").map(<[u8]>::to_vec),
        "json" => {
            let body: Value = serde_json::from_slice(&heard.body).ok()?;
            let whole = body["a"]["v"].as_str()?;
            (body["mixed"].as_str()? == format!("<{whole}>")
                && body["all"][1] == json!(whole)
                && body.as_object()?.len() == 3)
                .then(|| whole.as_bytes().to_vec())
        }
        "form" => field(std::str::from_utf8(&heard.body).ok()?),
        _ => Some(heard.body.clone()),
    }
}

#[test]
fn rule_19_calls_carry_every_value_as_it_is_or_are_refused() {
    let house = House::new();
    let recorder = Recorder::new();
    std::fs::create_dir(house.path("files")).unwrap();
    let mut steps = Vec::new();
    for (at, content) in house.values.iter().enumerate() {
        let v = value(at);
        let named = house.path("files").join(content);
        let below = !content.contains(['/', '\0']) && !content.is_empty() && content.len() < 200;
        if below && ![".", ".."].contains(&content.as_str()) {
            std::fs::write(named, at.to_string()).unwrap();
        }
        for (kind, http) in [
            ("path", json!({"get": format!("BASE/path/{at}/{v}/end")})),
            ("query", json!({"get": format!("BASE/query/{at}"), "query": {"v": v}})),
            ("header", json!({"get": format!("BASE/header/{at}"), "headers": {"X-Value": v}})),
            (
                "json",
                json!({"post": format!("BASE/json/{at}"), "json": {"a": {"v": v}, "mixed": format!("<{v}>"), "all": [1, v]}}),
            ),
            ("form", json!({"post": format!("BASE/form/{at}"), "form": {"v": v}})),
            ("body", json!({"post": format!("BASE/body/{at}"), "body": v})),
            ("file", json!({"post": format!("BASE/file/{at}"), "file": format!("files/{v}")})),
        ] {
            steps.push(call(kind, at, recorder.port, &http));
        }
        let mut keyed =
            call("key", at, recorder.port, &json!({"post": format!("BASE/key/{at}"), "json": {}}));
        keyed["idempotency_key"] = json!(v);
        steps.push(keyed);
    }
    let said = house.drill(json!({"steps": steps}), &json!({}));
    assert_eq!(said.code, Some(0), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    let (mut delivered, mut wrong) = (std::collections::BTreeMap::<String, usize>::new(), Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    for heard in recorder.heard() {
        let mut parts = heard.target().split(['/', '?']).skip(1);
        let (kind, at) =
            (parts.next().unwrap().to_owned(), parts.next().and_then(|at| at.parse::<usize>().ok()));
        let Some(at) = at.filter(|at| *at < house.values.len()) else {
            wrong.push(format!("nobody sends {}", heard.line));
            continue;
        };
        let content = house.values[at].clone();
        // `files//x` is `files/x`.
        let file = || std::fs::read(format!("{}/{content}", house.path("files").display())).unwrap();
        let expected = if kind == "file" { file() } else { content.clone().into_bytes() };
        if arrived(&heard, &kind).as_deref() != Some(&expected[..]) {
            wrong.push(format!(
                "{kind}: {:?} arrived as {:.300?}",
                &house.values[at].chars().take(60).collect::<String>(),
                heard
            ));
        }
        if !seen.insert((kind.clone(), at)) {
            wrong.push(format!("{kind} {at} was sent twice"));
        }
        *delivered.entry(kind).or_default() += 1;
    }
    for (step, (status, reason)) in house.endings() {
        let (kind, at) = step.split_once('_').unwrap();
        let sent = seen.contains(&(kind.to_owned(), at.parse().unwrap()));
        // Nothing is no segment of a path.
        let nothing = kind == "path" && house.values[at.parse::<usize>().unwrap()].is_empty();
        let refused = if nothing { &["render"][..] } else { &["request", "body"] };
        if sent != (status == "succeeded") || !(sent || refused.contains(&reason.as_str())) {
            wrong.push(format!(
                "{step} of {:?} is {status} ({reason})",
                &house.values[at.parse::<usize>().unwrap()].chars().take(60).collect::<String>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{:#?}", &wrong[..wrong.len().min(20)]);
    let all = house.values.len();
    for (kind, least) in [
        ("json", all),
        ("form", all),
        ("body", all),
        ("query", all - 4),
        ("path", all - 10),
        ("header", 120),
        ("key", 120),
        ("file", 100),
    ] {
        assert!(delivered[kind] >= least, "{kind}: {} of {all}", delivered[kind]);
    }
}

#[test]
fn rule_19_a_value_names_one_folder_and_no_other() {
    let house = House::new();
    let mut steps = Vec::new();
    for (at, name) in house.values.iter().enumerate() {
        let below = !name.contains(['/', '\0']) && !name.is_empty() && name.len() < 200;
        if below {
            std::fs::create_dir_all(house.path("folders").join(name)).unwrap();
        }
        steps.push(json!({"id": format!("folder_{at}"), "argv": ["touch", format!("here_{at}")], "cwd": format!("folders/{}", value(at)),
            "effect": "write", "needs": [], "on_failure": "continue", "allowed": true}));
    }
    let said = house.drill(json!({"steps": steps}), &json!({}));
    assert_eq!(said.code, Some(0), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    let mut there = 0;
    for (step, (status, _)) in house.endings() {
        let at: usize = step.split_once('_').unwrap().1.parse().unwrap();
        let name = &house.values[at];
        let touched =
            !name.contains('\0') && house.path("folders").join(name).join(format!("here_{at}")).exists();
        let outside = name.starts_with('/');
        assert!(outside || touched == (status == "succeeded"), "{name:?} is {status}");
        there += usize::from(touched);
    }
    assert!(there > 120, "{there}");
}
