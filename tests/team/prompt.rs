//! Somebody is at the prompt, and somebody else answers: the prompt gives way, whatever is being typed.

use rexpect::session::{PtySession, spawn_command};

use crate::world::{BOB, CAROL, Team, until};

/// A driver at a terminal: whoever runs the tests, who is `root` among the people.
struct Prompt<'a> {
    team: &'a Team,
    pty: PtySession,
}

impl<'a> Prompt<'a> {
    fn of(team: &'a Team, steps: &str) -> Self {
        team.write("asked.yaml", &format!("consigne: v1\nid: asked\ntitle: Asked\nsteps:\n{steps}"));
        let mut command = team.command(0, &["run", "asked.yaml", "--env", "team", "--run-id", "r"]);
        command.stdin(std::process::Stdio::inherit());
        Self { team, pty: spawn_command(command, Some(30_000)).unwrap() }
    }

    fn sees(&mut self, text: &str) -> String {
        self.pty.exp_string(text).unwrap_or_else(|error| panic!("{text:?} does not appear: {error}"))
    }

    fn keys(&mut self, keys: &str) {
        self.pty.send(keys).unwrap();
        self.pty.flush().unwrap();
    }

    fn ends(mut self) -> String {
        self.pty.exp_eof().unwrap()
    }
}

const GO: &str = "  - id: go\n    approve: {roles: [lead], exclude: []}\n    message: Do it?\n";
const SURE: &str = "  - {id: sure, confirm: {}, message: \"Sure?\"}\n";

#[test]
fn a_prompt_gives_way_while_somebody_types() {
    let Some(team) = Team::new() else { return };
    let mut prompt = Prompt::of(&team, &format!("{GO}{SURE}"));
    prompt.sees("(approve/reject) > ");
    prompt.keys("rej");
    prompt.sees("> rej");
    prompt.team.answer(BOB, "r", "go", "approve").exits(0).with("waits for a person: sure");
    prompt.sees("question closed: go: answered by bob (approve)");
    // What was typed for one question is not taken for the next.
    prompt.sees("(yes/no) > ");
    prompt.keys("yes\r");
    prompt.sees("comment");
    prompt.keys("\r");
    prompt.ends();
    assert_eq!(team.said("r"), ["bob os-user approve", "root os-user yes"]);
}

#[test]
fn an_answer_of_two_shows_the_question_anew() {
    let Some(team) = Team::new() else { return };
    let mut prompt = Prompt::of(&team, &GO.replace("exclude", "quorum: 2, exclude"));
    prompt.sees("(approve/reject) > ");
    prompt.keys("app");
    prompt.sees("> app");
    team.answer(CAROL, "r", "go", "approve").exits(0);
    prompt.sees("the question has changed");
    prompt.sees("carol said \"approve\" at");
    prompt.sees("(approve/reject) > app");
    prompt.keys("\r");
    prompt.sees("comment");
    prompt.keys("\r");
    prompt.ends();
    assert_eq!(team.said("r"), ["carol os-user approve", "root os-user approve"]);
}

#[test]
fn a_list_is_ticked_off_from_two_sides() {
    let Some(team) = Team::new() else { return };
    let items = "        - {id: one, text: First}\n        - {id: two, text: Second}\n        - {id: three, text: Third}\n";
    let mut prompt = Prompt::of(&team, &format!("  - id: list\n    checklist:\n      items:\n{items}"));
    prompt.sees("number (and answer), or all > ");
    team.answer(BOB, "r", "list/two", "yes").exits(0);
    prompt.sees("[x] 2. Second");
    prompt.sees("number (and answer), or all > ");
    prompt.keys("1 yes\r");
    prompt.sees("[x] 1. First");
    prompt.sees("number (and answer), or all > ");
    team.answer(CAROL, "r", "list/two", "no").exits(2).with("bob said \"done\" at");
    team.answer(CAROL, "r", "list/three", "yes").exits(0);
    prompt.sees("question closed: list: answered by carol (done)");
    prompt.ends();
    assert_eq!(team.said("r"), ["bob os-user done", "root os-user done", "carol os-user done"]);
}

#[test]
fn a_cancel_from_elsewhere_takes_the_prompt_away() {
    let Some(team) = Team::new() else { return };
    let mut prompt = Prompt::of(&team, GO);
    prompt.sees("(approve/reject) > ");
    prompt.keys("appro");
    prompt.sees("> appro");
    team.say(BOB, &["cancel", "r"]).exits(0);
    prompt.sees("question closed: go: no longer asked");
    prompt.ends();
    assert_eq!(team.said("r"), [""; 0]);
    team.say(BOB, &["verify", "r"]).exits(0);
}

#[test]
fn a_pause_closes_no_question() {
    let Some(team) = Team::new() else { return };
    let mut prompt = Prompt::of(&team, GO);
    prompt.sees("(approve/reject) > ");
    prompt.keys("\u{3}");
    let rest = prompt.ends();
    assert!(rest.contains("waits for a person: go") && !rest.contains("question closed"), "{rest}");
    team.answer(BOB, "r", "go", "approve").exits(4);
    team.say(BOB, &["resume", "r"]).exits(0);
    until("the end", || team.has("r", "run.finished").then_some(()));
}
