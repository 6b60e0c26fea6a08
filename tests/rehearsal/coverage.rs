//! Each kind of edge is walked by a rehearsal that was made for it, and by no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use consigne::record::coverage::Past;
use serde_json::Value;

use crate::world::{Rehearsals, said};

const ENVIRONMENT: &str = "people: {bob: {}, eve: {}}\nroles: {ops: [bob], chief: [eve]}\n";

struct World {
    rehearsals: Rehearsals,
    runbook: PathBuf,
    made: usize,
}

impl World {
    fn new(runbook: &str) -> Self {
        let rehearsals = Rehearsals::new();
        rehearsals.write("environments/practice.yaml", ENVIRONMENT);
        let runbook = rehearsals.write("it.yaml", runbook);
        Self { rehearsals, runbook, made: 0 }
    }

    /// The edges that a rehearsal with this scenario walks.
    fn walks(&mut self, scenario: &str, more: &[&str]) -> BTreeSet<String> {
        self.made += 1;
        let name = format!("runs/{}", self.made);
        let scenario = self.rehearsals.write("scenario.yaml", scenario);
        let dir = self.rehearsals.path(&name);
        let (runbook, out) = (self.runbook.to_str().unwrap(), dir.to_str().unwrap());
        let scenario = scenario.to_str().unwrap();
        let mut args = vec!["rehearse", runbook, "--out", out, "--no-past", "--scenario", scenario];
        args.extend(more);
        let output = self.rehearsals.consigne(&args);
        assert!(output.status.code().is_some_and(|code| code < 2), "{}", said(&output));
        of(&dir)
    }

    /// What `check --coverage` says of all that was made, edge by edge: by what it was walked, if at all.
    fn covered(&self) -> BTreeMap<String, Option<String>> {
        let runs = self.rehearsals.path("runs");
        let runbook = self.runbook.to_str().unwrap();
        let args = ["check", runbook, "--coverage", "--json", "--runs", runs.to_str().unwrap()];
        let output = self.rehearsals.consigne(&args);
        let found: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
        let edge = |edge: &Value| {
            let name =
                format!("{}: {}", edge["step"].as_str().unwrap_or("finally"), edge["way"].as_str().unwrap());
            (name, edge["best"].as_str().map(str::to_owned))
        };
        found["coverage"]["list"].as_array().unwrap().iter().map(edge).collect()
    }

    /// Every edge there is was walked by one of the rehearsals.
    fn leaves_nothing(&self) {
        let covered = self.covered();
        let never: Vec<_> = covered.iter().filter(|(_, best)| best.is_none()).map(|(edge, _)| edge).collect();
        assert!(never.is_empty() && !covered.is_empty(), "{never:?}");
        assert!(covered.values().flatten().all(|best| best == "rehearsal"), "{covered:?}");
    }
}

fn of(dir: &Path) -> BTreeSet<String> {
    Past::read(dir).unwrap().walked.iter().map(ToString::to_string).collect()
}

fn edges(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|edge| (*edge).to_owned()).collect()
}

#[test]
fn a_write_and_its_reversals() {
    let mut world = World::new(
        r#"consigne: v1
id: it
steps:
  - id: act
    http: {post: "http://127.0.0.1:9/act"}
    verify:
      http: {get: "http://127.0.0.1:9/state"}
      expect: {status: 200}
      absent: {status: 404}
    undo: {http: {post: "http://127.0.0.1:9/undo"}}
    on_failure: undo
  - id: pause
    http: {post: "http://127.0.0.1:9/pause"}
    put_back: {http: {post: "http://127.0.0.1:9/go"}}
  - id: last
    http: {get: "http://127.0.0.1:9/last"}
    retry: {max_attempts: 1}
    on_failure: undo
finally:
  - {id: bye, wait: {for: 1s}}
"#,
    );
    let done = ["act: succeeded", "pause: succeeded"];
    let plain = world.walks("steps: {}", &[]);
    let mut expected = edges(&done);
    expected.append(&mut edges(&[
        "pause: put_back",
        "last: succeeded",
        "bye: succeeded",
        "finally: after_success",
    ]));
    assert_eq!(plain, expected);
    let undone = world.walks("steps: {last: {status: 500}}\nanswers: {pause: put_back}", &["--unattended"]);
    let mut expected = edges(&done);
    expected.append(&mut edges(&[
        "pause: put_back_by_person",
        "act: undone",
        "last: failed",
        "bye: succeeded",
        "finally: after_failure",
    ]));
    assert_eq!(undone, expected);
    let open = "answers: {pause: {answer: {choice: leave_open, owner: bob, review_at: '2026-03-02T10:00:00Z'}, comment: later}}";
    let open = world.walks(&format!("steps: {{last: {{status: 500}}}}\n{open}"), &["--unattended"]);
    assert!(open.contains("pause: left_open") && !open.contains("pause: put_back_by_person"), "{open:?}");
    let unknown =
        world.walks("steps: {act: {do: {unknown: true}, verify: {status: 200}}}", &["--unattended"]);
    assert!(unknown.contains("act: unknown") && !unknown.contains("act: absent"), "{unknown:?}");
    let absent = "steps: {act: {do: {unknown: true}, verify: {status: 404}}}";
    let absent = world.walks(absent, &["--unattended"]);
    assert!(absent.is_superset(&edges(&["act: unknown", "act: absent", "act: failed"])), "{absent:?}");
    let unproved = world.walks("steps: {act: {verify: {status: 500}}}", &["--unattended"]);
    assert!(unproved.contains("act: not_verified") && !unproved.contains("act: succeeded"), "{unproved:?}");
    let never: Vec<_> = world.covered().into_iter().filter(|(_, best)| best.is_none()).collect();
    assert_eq!(never, [("pause: failed".to_owned(), None), ("pause: unknown".to_owned(), None)]);
    world.walks("steps: {pause: {fails: connect}}\nanswers: {pause: put_back}", &["--unattended"]);
    world.walks(
        "steps: {pause: {unknown: true}}\nanswers: {pause: {answer: done, comment: seen}}",
        &["--unattended"],
    );
    world.leaves_nothing();
}

#[test]
fn gates_and_questions() {
    let mut world = World::new(
        r#"consigne: v1
id: it
inputs: {quick: {type: boolean, default: false}}
steps:
  - id: which
    choice:
      options: [{id: red, text: "Red"}, {id: blue, text: "Blue"}]
    message: "Which?"
  - id: enough
    when: inputs.quick
    end: succeeded
    message: "Enough"
  - id: look
    checklist: {items: [{id: seen, text: "Seen?"}]}
    timeout: 1h
    on_failure: continue
  - id: rescue
    run_on: failure
    needs: [look]
    wait: {for: 1s}
  - id: go
    needs: [which]
    approve: {roles: [ops], on_timeout: escalate, escalate_to: [chief]}
    timeout: 2h
    message: "Go on?"
  - id: act
    http: {post: "http://127.0.0.1:9/act"}
    on_failure: stop
finally:
  - {id: bye, wait: {for: 1s}}
"#,
    );
    let yes = "go: {answer: approve, as: bob}";
    let happy = world.walks(&format!("answers: {{which: red, look: {{answer: yes}}, {yes}}}"), &[]);
    let expected = edges(&[
        "which: succeeded",
        "which: option red",
        "enough: skipped",
        "look: succeeded",
        "go: opened",
        "act: succeeded",
        "rescue: not_needed",
        "bye: succeeded",
        "finally: after_success",
    ]);
    assert_eq!(happy, expected);
    let taken = world.walks("answers: {which: blue}", &["--input", "quick=true"]);
    assert!(taken.is_superset(&edges(&["enough: taken", "which: option blue"])), "{taken:?}");
    let no = "go: {answer: reject, as: bob, comment: later}";
    let refused =
        world.walks(&format!("answers: {{which: red, look: {{answer: no}}, {no}}}"), &["--unattended"]);
    let expected = ["go: refused", "look: failed", "finally: after_refusal"];
    assert!(refused.is_superset(&edges(&expected)), "{refused:?}");
    let late = world.walks("answers: {which: red}\nabsent: [look, go]", &["--unattended"]);
    let expected = ["look: timed_out", "rescue: succeeded", "go: escalated", "go: timed_out"];
    assert!(late.is_superset(&edges(&expected)) && !late.contains("look: failed"), "{late:?}");
    world.walks(
        &format!("steps: {{act: {{fails: connect}}}}\nanswers: {{which: red, look: {{answer: yes}}, {yes}}}"),
        &["--unattended"],
    );
    let unknown = format!(
        "steps: {{act: {{unknown: true}}}}\nanswers: {{which: red, look: {{answer: yes}}, {yes}, act: {{answer: done, comment: seen}}}}"
    );
    world.walks(&unknown, &["--unattended"]);
    world.leaves_nothing();
}

#[test]
fn lists_rounds_and_handlers() {
    let mut world = World::new(
        r#"consigne: v1
id: it
inputs: {hosts: {type: list, of: string, default: [a, b, c, d]}}
steps:
  - id: each
    for_each: {items: inputs.hosts, as: host, canary: {count: 1}, max_failures: 1, empty: ok}
    http: {get: "http://127.0.0.1:9/{{ host }}"}
    retry: {max_attempts: 1}
    on_failure: continue
  - id: few
    for_each: {items: "['x', 'y']", as: it}
    wait: {for: 1s}
  - id: rounds
    repeat: {until: steps.ready.is == "yes", max: 2}
    group:
      steps:
        - id: ready
          http: {get: "http://127.0.0.1:9/ready"}
          retry: {max_attempts: 1}
          outputs: {is: .body.is}
  - id: careful
    group:
      steps:
        - id: risky
          http: {get: "http://127.0.0.1:9/risky"}
          retry: {max_attempts: 1}
      on_failure:
        - {id: mend, wait: {for: 1s}}
      then: continue
"#,
    );
    let ready = "ready: {outputs: {is: 'yes'}}";
    let happy = world.walks(&format!("steps: {{{ready}}}\nanswers: {{each: yes}}"), &["--unattended"]);
    let expected = edges(&[
        "each: succeeded",
        "each: several",
        "each: canary_went_on",
        "few: succeeded",
        "few: several",
        "ready: succeeded",
        "rounds: succeeded",
        "risky: succeeded",
        "careful: succeeded",
    ]);
    assert_eq!(happy, expected);
    let one = format!(
        "steps: {{{ready}, 'each:b': {{status: 500}}, risky: {{status: 500}}}}\nanswers: {{each: yes}}"
    );
    let one = world.walks(&one, &["--unattended"]);
    let expected =
        ["each: failed", "each: some_failed", "risky: failed", "careful: handlers", "mend: succeeded"];
    assert!(one.is_superset(&edges(&expected)) && !one.contains("each: stopped"), "{one:?}");
    let two = format!("steps: {{{ready}, each: {{status: 500}}}}\nanswers: {{each: yes}}");
    let two = world.walks(&two, &["--unattended"]);
    assert!(two.contains("each: stopped"), "{two:?}");
    let refused = world.walks(&format!("steps: {{{ready}}}\nanswers: {{each: no}}"), &["--unattended"]);
    assert!(refused.contains("each: canary_refused") && !refused.contains("each: several"), "{refused:?}");
    let empty =
        world.walks("steps: {ready: {outputs: {is: 'no'}}}", &["--unattended", "--input", "hosts=[]"]);
    assert!(empty.is_superset(&edges(&["each: empty", "rounds: rounds", "rounds: max_rounds"])), "{empty:?}");
    let broken = "steps: {ready: {status: 500}}\nanswers: {each: yes}";
    let broken = world.walks(broken, &["--unattended"]);
    assert!(broken.is_superset(&edges(&["ready: failed", "rounds: failed"])), "{broken:?}");
    world.leaves_nothing();
}

#[test]
fn guards_and_what_is_done_already() {
    let mut world = World::new(
        r#"consigne: v1
id: it
guards:
  - id: healthy
    every: 5m
    http: {get: "http://127.0.0.1:9/health"}
steps:
  - id: act
    http: {post: "http://127.0.0.1:9/act"}
    verify: {first: true, http: {get: "http://127.0.0.1:9/state"}}
"#,
    );
    let trips = "steps: {healthy: [{status: 500}, {status: 200}]}\nanswers: {healthy: retry}";
    let tripped = world.walks(trips, &["--unattended"]);
    assert_eq!(tripped, edges(&["healthy: tripped", "healthy: held", "act: succeeded"]));
    let already = world.walks("steps: {act: {first: {status: 200}}}", &["--unattended"]);
    assert_eq!(already, edges(&["healthy: held", "act: already_done"]));
}
