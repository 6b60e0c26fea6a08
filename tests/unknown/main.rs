//! Outcomes that nobody knows: the answer is lost, late, or an error, and the effect may or may not have taken place.
//!
//! Real runs of the built program, not drills, against a platform whose fault switches the test sets. What counts is
//! the platform's own request log: what reached it, and what took effect.

#![allow(clippy::disallowed_methods, reason = "these tests are the outside world")]

#[path = "../kill/world.rs"]
mod world;

mod asked;
mod settled;
mod tenants;

use std::fs;

use serde_json::{Value, json};

use world::{House, Platform, Said};

/// A house with a platform of its own and an environment that names it.
pub struct Lab {
    pub house: House,
    pub platform: Platform,
}

impl Lab {
    /// `step` is the one step of the runbook, with the platform's next faults on its way.
    pub fn new(run: &str, step: &str, faults: &Value) -> Self {
        let house = House::new(run, &[]);
        let state = house.root.path().join("platform");
        let platform = Platform::of(&state);
        platform.set_faults(faults);
        let environment = format!(
            "vars: {{api: \"{}\"}}\nsecrets:\n  admin_token: {{file: \"{}\"}}\n",
            platform.address(),
            state.join("admin-token").display()
        );
        fs::write(house.books().join("environments/lab.yaml"), environment).unwrap();
        let head = include_str!("head.yaml");
        fs::write(house.books().join("book.yaml"), format!("{head}\n{step}")).unwrap();
        Self { house, platform }
    }

    pub fn run(&self, more: &[&str]) -> Said {
        self.house.say(&[&["run", "book.yaml", "--env", "lab", "--run-id", &self.house.run], more].concat())
    }

    pub fn resume(&self) -> Said {
        self.house.say(&["resume", &self.house.run])
    }

    /// The run is over, and so many writes reached the platform, of which so many took effect.
    #[track_caller]
    pub fn saw(&self, arrived: usize, effects: usize) -> Vec<Value> {
        self.house.is_over();
        let writes = self.platform.writes();
        let found = writes.iter().filter(|write| write["effect"] == true).count();
        assert_eq!((writes.len(), found), (arrived, effects), "arrived, took effect: {writes:#?}");
        writes
    }

    /// The run waits for one person's word on the outcome of the step, and says so to a script.
    #[track_caller]
    pub fn asks_about_the_outcome(&self) {
        let shown = self.house.show();
        assert_eq!(shown["asks"][0]["kind"], "unknown", "{shown:#}");
        assert_eq!(shown["asks"][0]["step"], "act", "{shown:#}");
        assert_eq!(shown["status"], "paused", "{shown:#}");
        assert_eq!(self.house.status_of("act"), "unknown");
        assert_eq!(self.house.processes(), [] as [u32; 0]);
    }
}

/// One fault on the next write.
pub fn fault(kind: &str, more: &Value) -> Value {
    let mut rule = json!({"kind": kind});
    for method in ["PATCH", "POST"] {
        if more["method"] == method {
            rule["match"] = json!({"method": method});
        }
    }
    for (key, value) in more.as_object().unwrap().iter().filter(|(key, _)| *key != "method") {
        rule[key] = value.clone();
    }
    rule
}
