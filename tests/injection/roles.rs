//! Values in everything that is asked about a step, or takes it back: on this machine, behind a prefix, by ssh.

use serde_json::{Map, Value, json};

use super::house::{House, value};
use super::places::written;
use super::sshd::Sshd;
use super::values::is_handed_over;
use consigne::plan::Reach;

/// Where it runs: the words behind `host`, and what declares it.
fn places(sshd: Option<&Sshd>) -> Vec<(&'static str, Value)> {
    let mut all = vec![("here", Value::Null), ("box", json!({"via": ["env", "PLACE=box"]}))];
    if let Some(Reach::Ssh(host)) = sshd.map(Sshd::reach) {
        let by_ssh = json!({"ssh": host.address, "port": host.port, "identity_file": host.identity_file,
            "known_hosts": host.known_hosts});
        all.push(("far", by_ssh));
    }
    all
}

fn environment(places: &[(&'static str, Value)]) -> Value {
    let hosts = places.iter().filter(|(_, how)| !how.is_null());
    let hosts: Map<String, Value> = hosts.map(|(name, how)| ((*name).to_owned(), how.clone())).collect();
    json!({"role_play": true, "people": {"bob": {}}, "roles": {"ops": ["bob"]}, "hosts": hosts})
}

/// What asks about a step, or takes it back.
const ROLES: [&str; 7] = ["poll", "verify", "only_if", "put_back", "probe", "guard", "undo"];

/// What writes down values that it is given, as a program and as a script.
struct Scribe<'a> {
    house: &'a House,
    places: Vec<&'static str>,
    /// Values that nothing can be handed, instead of those that everything can.
    refused: bool,
    /// What is to be written, and the values with which.
    written: Vec<(String, Vec<usize>)>,
}

impl<'a> Scribe<'a> {
    fn of(house: &'a House, places: &[(&'static str, Value)]) -> Self {
        Self {
            house,
            places: places.iter().map(|(place, _)| *place).collect(),
            refused: false,
            written: Vec::new(),
        }
    }

    /// Each role takes every value in one of the places, each place every value in some role.
    fn share(&self, role: &str, place: &str) -> Vec<usize> {
        if self.refused {
            return (0..self.house.values.len()).collect();
        }
        let role = ROLES.iter().position(|other| *other == role).unwrap();
        let place = self.places.iter().position(|other| *other == place).unwrap();
        let count = self.places.len();
        (0..self.house.values.len()).filter(|at| (at + role) % count == place).collect()
    }

    fn writes(&mut self, kind: &str, role: &str, place: &str, effect: &str) -> Value {
        let share = self.share(role, place);
        let name = format!("{place}_{kind}_{role}");
        let file = self.house.path(&name).display().to_string();
        let words: Vec<String> = share.iter().map(|at| value(*at)).collect();
        self.written.push((name, share));
        if kind == "argv" {
            let mut argv =
                vec!["sh".to_owned(), "-c".into(), format!("printf '%s\\0' \"$@\" > {file}"), "sh".into()];
            argv.extend(words);
            return json!({"argv": argv, "effect": effect});
        }
        // Half of them are words of the script, half of them variables.
        let (bare, named) = words.split_at(words.len() / 2);
        let quoted: String = (0..named.len()).map(|at| format!(" \"$V{at}\"")).collect();
        let script = format!("printf '%s\\0' {} {quoted} > {file}", bare.join(" "));
        let env: Map<String, Value> =
            named.iter().enumerate().map(|(at, text)| (format!("V{at}"), json!(text))).collect();
        json!({"shell": script, "env": env, "effect": effect})
    }

    /// Each file holds its values as they are.
    #[track_caller]
    fn has_written_everything(&self) {
        for (name, share) in &self.written {
            let sent: Vec<&String> = share.iter().map(|at| &self.house.values[*at]).collect();
            let got = written(self.house, name);
            let other: Vec<_> = got.iter().zip(&sent).filter(|(got, sent)| got != *sent).collect();
            assert!(other.is_empty() && got.len() == sent.len() && !sent.is_empty(), "{name}: {other:.300?}");
        }
    }

    #[track_caller]
    fn has_written_nothing(&self) {
        for (name, _) in &self.written {
            assert!(!self.house.path(name).exists(), "{name} was written");
        }
    }
}

fn with(mut one: Value, more: &Value) -> Value {
    one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    one
}

fn on(place: &str) -> Value {
    if place == "here" { json!({}) } else { json!({"host": place}) }
}

/// Every place, as a program and as a script.
fn everywhere(places: &[(&'static str, Value)]) -> impl Iterator<Item = (&'static str, &'static str)> {
    places.iter().flat_map(|(place, _)| [(*place, "argv"), (*place, "shell")])
}

fn asks(scribe: &mut Scribe<'_>, place: &str, kind: &str) -> Vec<Value> {
    let poll = json!({"id": format!("poll_{place}_{kind}"),
        "poll": {"every": "10ms", "within": "1m", "until": ".exit == 0"}});
    let poll = with(scribe.writes(kind, "poll", place, "read"), &poll);
    let verified = json!({"id": format!("does_{place}_{kind}"), "argv": ["true"], "effect": "write",
        "verify": scribe.writes(kind, "verify", place, "read")});
    let item = json!({"id": "one", "text": "It is so", "probe": scribe.writes(kind, "probe", place, "read")});
    let list = json!({"id": format!("list_{place}_{kind}"), "checklist": {"items": [item]}});
    [poll, verified, list].into_iter().map(|step| with(step, &on(place))).collect()
}

fn toggle(scribe: &mut Scribe<'_>, place: &str, kind: &str) -> Value {
    let back = scribe.writes(kind, "put_back", place, "write");
    let only_if = scribe.writes(kind, "only_if", place, "read");
    let back = with(back, &json!({"only_if": only_if, "otherwise": "ask"}));
    let step = json!({"id": format!("toggle_{place}_{kind}"), "argv": ["true"], "effect": "write", "put_back": back});
    with(step, &on(place))
}

fn guard(scribe: &mut Scribe<'_>, place: &str, kind: &str) -> Value {
    let guard = json!({"id": format!("guard_{place}_{kind}"), "every": "1h"});
    with(with(scribe.writes(kind, "guard", place, "read"), &guard), &on(place))
}

/// Steps that are taken back, and one that fails.
fn undone(scribe: &mut Scribe<'_>, all: &[(&str, &str)]) -> Value {
    let mut steps = Vec::new();
    for (place, kind) in all {
        let step = json!({"id": format!("does_{place}_{kind}"), "argv": ["true"], "effect": "write",
            "undo": scribe.writes(kind, "undo", place, "write")});
        steps.push(with(step, &on(place)));
    }
    steps.push(json!({"id": "broken", "argv": ["false"], "effect": "read", "on_failure": "undo"}));
    json!({"steps": steps})
}

#[test]
fn rule_19_whatever_is_asked_about_a_step_or_takes_it_back_gets_every_value_as_it_is() {
    let mut house = House::new();
    house.values.retain(|value| is_handed_over(value) && value.len() < 60_000);
    let sshd = Sshd::start();
    let places = places(sshd.as_ref());
    house.write("environments/plain.yaml", &environment(&places));
    let mut scribe = Scribe::of(&house, &places);
    let (mut steps, mut guards) = (Vec::new(), Vec::new());
    for (place, kind) in everywhere(&places) {
        steps.extend(asks(&mut scribe, place, kind));
        steps.push(toggle(&mut scribe, place, kind));
        guards.push(guard(&mut scribe, place, kind));
    }
    let said = house.drill(json!({"steps": steps, "guards": guards}), &json!({}));
    assert_eq!(said.code, Some(0), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    let all: Vec<_> = everywhere(&places).collect();
    let said = house.drill_as("u", undone(&mut scribe, &all), &json!({}));
    assert_eq!(said.code, Some(1), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    scribe.has_written_everything();
    assert_eq!(house.consigne(&["verify", "r"]).code, Some(0));
}

/// What a program cannot be handed leaves a question to people and nothing done, in every role.
#[test]
fn rule_19_what_cannot_be_handed_over_is_refused_in_every_role() {
    let cases = [
        ("a\0b".to_owned(), "holds a zero byte, which ends a text for the system"),
        ("x".repeat(200_000), "bytes, the system takes at most 131071; write it to a file"),
    ];
    for (bad, cause) in cases {
        let mut house = House::new();
        house.values = vec![bad];
        let places = vec![("here", Value::Null)];
        let mut scribe = Scribe { refused: true, ..Scribe::of(&house, &places) };
        let mut drills = Vec::new();
        for kind in ["argv", "shell"] {
            for mut step in asks(&mut scribe, "here", kind) {
                step["on_failure"] = json!("stop");
                let code = if step.get("poll").is_some() { 1 } else { 4 };
                drills.push((code, json!({"steps": [step]})));
            }
            drills.push((4, json!({"steps": [toggle(&mut scribe, "here", kind)]})));
            let write = json!({"id": "writes", "argv": ["touch", "written"], "effect": "write"});
            drills.push((4, json!({"steps": [write], "guards": [guard(&mut scribe, "here", kind)]})));
            // An undo that fails is told as still open.
            drills.push((1, undone(&mut scribe, &[("here", kind)])));
        }
        for (nth, (code, book)) in drills.into_iter().enumerate() {
            let run = format!("r{nth}");
            let said = house.drill_as(&run, book, &json!({}));
            assert_eq!(said.code, Some(code), "{run}: {:.3000}", said.text);
            let told = house.consigne(&["report", &run, "--open"]).text;
            assert!(told.contains(cause), "{run}: {:.3000}", said.text);
        }
        scribe.has_written_nothing();
        assert!(!house.path("written").exists(), "behind a guard that cannot be asked");
    }
}
