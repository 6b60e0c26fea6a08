//! A planted secret, in every form, nowhere.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use consigne::core::{AttemptResult, Outcome};
use consigne::plan::Effect;

use crate::world::{CANARY, World, contains, request, shell, with_outputs};

fn forms() -> Vec<String> {
    let json = serde_json::to_string(CANARY).unwrap();
    let json = json.trim_matches('"').to_owned();
    let url: String = CANARY
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect();
    vec![
        CANARY.to_owned(),
        STANDARD.encode(CANARY),
        URL_SAFE_NO_PAD.encode(CANARY),
        STANDARD.encode(format!("u:{CANARY}")),
        json.clone(),
        json.replace('é', "\\u00e9"),
        url.replace("%7E", "~"),
        "s3cret+".to_owned(),
    ]
}

fn check(world: &World, outcome: &Outcome) {
    let mut all = serde_json::to_vec(outcome).unwrap();
    all.extend(format!("{outcome:?}").into_bytes());
    all.extend(world.kept());
    for form in forms() {
        assert!(!contains(&all, form.as_bytes()), "{form} in {}", String::from_utf8_lossy(&all));
    }
    assert!(contains(&all, b"***"));
}

#[tokio::test]
async fn a_secret_is_in_no_outcome_and_no_blob() {
    let world = World::new("canary-run");
    let mut file = std::fs::File::create(world.dir.path().join("forms")).unwrap();
    forms().iter().for_each(|form| writeln!(file, "x {form} y").unwrap());
    let script = "echo \"$TOKEN\" >&2; printf 'u:%s' \"$TOKEN\" | base64 -w0; echo; head -n 7 forms; exit 3";
    let outcome = world.shell(Effect::Write, script).await;
    assert_eq!(outcome.reason, "exit");
    check(&world, &outcome);

    let script = "for i in $(seq 2000); do head -n 7 forms; echo \"$TOKEN\"; done";
    let attempt = request(shell(script), Effect::Read, 60_000);
    let outcome = world.run(with_outputs(attempt, &[("line", ".stdout | split(\"\\n\") | .[0]")])).await;
    assert_eq!(outcome.result, AttemptResult::Succeeded, "{outcome:?}");
    assert_eq!(outcome.outputs["line"].text(), "\"x *** y\"");
    assert!(outcome.blobs["stdout"].bytes > 32 * 1024);
    check(&world, &outcome);

    let script = "printf '{\"token\":\"%s\"}' \"$(sed 's/\"/\\\\\"/g' token)\"";
    let attempt = request(shell(script), Effect::Read, 60_000);
    let outcome = world.run(with_outputs(attempt, &[("token", ".json.token")])).await;
    assert_eq!(outcome.outputs["token"].text(), "\"***\"", "{outcome:?}");
    check(&world, &outcome);
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_stops_the_attempt_before_it_acts() {
    let world = World::new("nosecret-run");
    std::fs::write(world.dir.path().join("token"), "short").unwrap();
    let outcome = world.shell(Effect::Write, "echo > acted").await;
    assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "secret"));
    assert!(!outcome.excerpts["error"].contains(": short") && !world.dir.path().join("acted").exists());
}
