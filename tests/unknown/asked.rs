//! What only a person can settle: no probe, no key.

use serde_json::{Value, json};

use crate::{Lab, fault};

const PLAIN: &str = r#"
  - id: act
    http:
      post: "/admin/notifications/send"
      json: {tenantId: hooli-19, type: plain_notice, template: plain}
    timeout: 400ms
    retry: {max_attempts: 2, delay: 20ms, errors: [connect, 429]}
"#;

fn lost(kind: &str) -> Value {
    json!([fault(kind, &json!({"method": "POST"}))])
}

#[test]
fn done_is_taken_at_its_word_and_nothing_is_repeated() {
    let stall = json!([fault("stall", &json!({"method": "POST", "delay_ms": 1_500, "after_effect": true}))]);
    for (name, faults) in
        [("dropped", lost("drop_after_effect")), ("error", lost("error_after_effect")), ("stalled", stall)]
    {
        let lab = Lab::new(&format!("done-{name}"), PLAIN, &faults);
        lab.run(&[]).exits(4);
        lab.asks_about_the_outcome();
        assert_eq!(lab.platform.writes().len(), 1);
        // Asking again changes nothing, and costs nothing.
        lab.resume().exits(4);
        lab.asks_about_the_outcome();
        lab.house.answer("act", "done");
        lab.resume().exits(0);
        lab.saw(1, 1);
        assert_eq!(lab.house.status_of("act"), "overridden");
    }
}

#[test]
fn not_done_is_an_ordinary_failure_that_may_be_retried() {
    let lab = Lab::new("not-done", PLAIN, &lost("drop_before_effect"));
    lab.run(&[]).exits(4);
    lab.asks_about_the_outcome();
    lab.house.answer("act", "not_done");
    lab.resume().exits(0);
    lab.saw(2, 1);
    assert_eq!(lab.house.status_of("act"), "succeeded");
}

#[test]
fn not_done_with_no_tries_left_is_a_failure_to_be_decided_about() {
    let once = PLAIN.lines().filter(|line| !line.contains("retry:")).collect::<Vec<_>>().join("\n");
    let lab = Lab::new("no-tries", &once, &lost("drop_before_effect"));
    lab.run(&[]).exits(4);
    lab.house.answer("act", "not_done");
    lab.resume().exits(4);
    assert_eq!(lab.house.asks(), [("failure".to_owned(), "act".to_owned())]);
    lab.house.answer("act", "retry");
    lab.resume().exits(0);
    lab.saw(2, 1);
}

#[test]
fn a_person_may_have_it_repeated_or_end_the_run() {
    let lab = Lab::new("retry", PLAIN, &lost("drop_before_effect"));
    lab.run(&[]).exits(4);
    lab.house.answer("act", "retry");
    lab.resume().exits(0);
    lab.saw(2, 1);

    let lab = Lab::new("end", PLAIN, &lost("drop_after_effect"));
    lab.run(&[]).exits(4);
    lab.house.answer("act", "end");
    lab.resume().exits(1);
    lab.saw(1, 1);
    assert_eq!(lab.house.show()["status"], "failed");
    assert_eq!(lab.house.status_of("act"), "unknown", "the record does not pretend to know");
}

#[test]
fn rule_05_unattended_it_pauses() {
    let lab = Lab::new("unattended", PLAIN, &lost("drop_after_effect"));
    let said = lab.run(&["--unattended", "--json"]).exits(4);
    assert_eq!(said.json()["asks"][0]["kind"], "unknown", "{said:?}");
    lab.asks_about_the_outcome();
    lab.house.say(&["resume", "unattended", "--unattended"]).exits(4);
    assert_eq!(lab.platform.writes().len(), 1);
    lab.house.answer("act", "done");
    lab.house.say(&["resume", "unattended", "--unattended"]).exits(0);
    lab.saw(1, 1);
}

#[test]
fn an_override_needs_a_reason_and_a_second_word_is_a_conflict() {
    let lab = Lab::new("reason", PLAIN, &lost("drop_after_effect"));
    lab.run(&[]).exits(4);
    let refused = lab.house.say(&["answer", "reason", "act", "done"]).exits(2);
    assert!(refused.err.contains("reason"), "{refused:?}");
    lab.house.say(&["answer", "reason", "act", "perhaps", "--comment", "x"]).exits(2);
    lab.asks_about_the_outcome();
    lab.house.answer("act", "done");
    lab.house.say(&["answer", "reason", "act", "not_done", "--comment", "x"]).exits(2);
    lab.resume().exits(0);
    lab.saw(1, 1);
}

#[test]
fn rule_05_an_answers_file_settles_it_with_a_reason() {
    let lab = Lab::new("file", PLAIN, &lost("drop_after_effect"));
    let answers = "act: {answer: done, comment: \"it is in the outbox\"}\n";
    std::fs::write(lab.house.books().join("answers.yaml"), answers).unwrap();
    lab.run(&["--answers", "answers.yaml"]).exits(0);
    lab.saw(1, 1);
}

#[test]
fn a_program_that_is_ended_by_a_signal_or_a_time_out_is_asked_about() {
    for (name, script) in [("signal", "kill -9 $$"), ("time-out", "sleep 600")] {
        let step = format!("  - id: act\n    shell: \"{script}\"\n    effect: write\n    timeout: 300ms\n");
        let lab = Lab::new(&format!("program-{name}"), &step, &json!([]));
        lab.run(&[]).exits(4);
        lab.asks_about_the_outcome();
        lab.house.answer("act", "done");
        lab.resume().exits(0);
        lab.saw(0, 0);
    }
}
