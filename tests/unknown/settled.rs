//! What settles itself: by the probe, or by the same request with the same key.

use serde_json::json;

use crate::{Lab, fault};

/// A suspension with a probe that asks what the tenant's own users see.
const PROBED: &str = r#"
  - id: act
    http: {patch: "/admin/tenants/acme-42", json: {status: suspended}}
    timeout: 400ms
    retry: {max_attempts: 2, delay: 20ms, errors: [connect, 429]}
    verify:
      http: {get: "/health", bearer: none, headers: {X-Tenant-ID: acme-42}}
      expect: {status: [403]}
      absent: {status: [200]}
      poll: {every: 50ms, within: 2s}
"#;

/// A notice that carries a key and has no probe.
const KEYED: &str = r#"
  - id: act
    http:
      post: "/admin/notifications/send"
      json: {tenantId: hooli-19, type: plain_notice, template: plain}
    timeout: 400ms
    idempotency_key: auto
    retry: {max_attempts: 2, delay: 20ms, errors: [connect, 429]}
"#;

fn on_patch(kind: &str) -> serde_json::Value {
    fault(kind, &json!({"method": "PATCH"}))
}

#[test]
fn a_write_whose_answer_is_lost_is_settled_by_its_probe_and_not_repeated() {
    let stall = fault("stall", &json!({"method": "PATCH", "delay_ms": 1_500, "after_effect": true}));
    for (name, lost) in [
        ("dropped", on_patch("drop_after_effect")),
        ("error", on_patch("error_after_effect")),
        ("stalled", stall),
    ] {
        let lab = Lab::new(&format!("settled-{name}"), PROBED, &json!([lost]));
        lab.run(&[]).exits(0);
        lab.saw(1, 1);
        assert_eq!(lab.platform.status("acme-42"), "suspended");
        assert!(lab.house.has_event("step.unknown"));
    }
}

#[test]
fn absent_is_judged_only_when_the_time_of_the_probe_is_over() {
    let slow = fault("slow_propagation", &json!({"method": "PATCH", "for_ms": 600}));
    let lab = Lab::new("propagates", PROBED, &json!([slow, on_patch("drop_after_effect")]));
    lab.run(&[]).exits(0);
    lab.saw(1, 1);
}

#[test]
fn a_success_is_proved_with_the_same_patience() {
    let slow = fault("slow_propagation", &json!({"method": "PATCH", "for_ms": 600}));
    let lab = Lab::new("proved", PROBED, &json!([slow]));
    lab.run(&[]).exits(0);
    lab.saw(1, 1);
    assert!(!lab.house.has_event("step.unknown"));
}

#[test]
fn a_write_that_its_probe_says_is_not_done_is_repeated() {
    let lab = Lab::new("absent", PROBED, &json!([on_patch("drop_before_effect")]));
    lab.run(&[]).exits(0);
    let writes = lab.saw(2, 1);
    assert_eq!(writes[0]["status"], json!(null), "cut off, and without effect");
}

#[test]
fn a_keyed_write_is_sent_again_with_its_key() {
    let stall = fault("stall", &json!({"method": "POST", "delay_ms": 1_500, "after_effect": true}));
    let drop = fault("drop_after_effect", &json!({"method": "POST"}));
    let error = fault("error_after_effect", &json!({"method": "POST"}));
    for (name, lost) in [("dropped", drop), ("error", error), ("stalled", stall)] {
        let lab = Lab::new(&format!("keyed-{name}"), KEYED, &json!([lost]));
        lab.run(&[]).exits(0);
        let writes = lab.saw(2, 1);
        assert!(writes[0]["idempotencyKey"].is_string());
        assert_eq!(writes[0]["idempotencyKey"], writes[1]["idempotencyKey"]);
        assert_eq!(writes[1]["replayed"], true, "{writes:?}");
        assert_eq!(lab.platform.notices("hooli-19", "plain_notice"), 1);
    }
}

#[test]
fn a_keyed_write_that_is_never_answered_is_asked_about() {
    let lost = fault("error_after_effect", &json!({"method": "POST", "times": 9}));
    let lab = Lab::new("never", KEYED, &json!([lost]));
    lab.run(&[]).exits(4);
    lab.asks_about_the_outcome();
    lab.house.answer("act", "done");
    lab.resume().exits(0);
    lab.saw(2, 1);
}

#[test]
fn too_many_requests_is_no_outcome_and_the_server_says_when_to_come_back() {
    let busy = fault("too_many", &json!({"method": "PATCH", "retry_after_s": 1}));
    let lab = Lab::new("busy", PROBED, &json!([busy]));
    lab.run(&[]).exits(0);
    let writes = lab.saw(2, 1);
    let at = |n: usize| writes[n]["time"].as_str().unwrap().parse::<consigne::clock::Timestamp>().unwrap();
    assert!(at(1).since(at(0)) >= 1_000, "{writes:?}");
    assert!(!lab.house.has_event("step.unknown"));
}

#[test]
fn a_read_simply_runs_again() {
    let step = r#"
  - id: act
    http: {get: "/admin/tenants/acme-42"}
    timeout: 300ms
    retry: {max_attempts: 4, delay: 20ms, errors: [connect, timeout, 5xx]}
"#;
    let stall = json!({"kind": "stall", "match": {"path": "/admin"}, "delay_ms": 1_000});
    let drop = json!({"kind": "drop_before_effect", "match": {"path": "/admin"}});
    let lab = Lab::new("read", step, &json!([stall, drop]));
    lab.run(&[]).exits(0);
    lab.saw(0, 0);
    assert!(!lab.house.has_event("step.unknown"));
}
