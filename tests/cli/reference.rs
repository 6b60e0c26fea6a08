//! The whole command line as its help shows it: a change to it is seen in review.

use crate::environment::{TestEnvironment, shows};

#[test]
fn the_command_line() {
    let env = TestEnvironment::new();
    let mut all = vec![env.consigne(&["--help"]).ends(0)];
    let top = all[0].stdout.clone();
    let verbs =
        top.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for verb in verbs.filter_map(|line| line.split_whitespace().next()) {
        all.push(env.consigne(&[verb, "--help"]).ends(0));
    }
    for verb in ["init", "show"] {
        all.push(env.consigne(&["keys", verb, "--help"]).ends(0));
    }
    all.push(env.consigne(&["drll"]).ends(2));
    all.push(env.consigne(&["drill"]).ends(2));
    all.push(env.consigne(&["drill", "a.yaml", "--lang", "de"]).ends(2));
    all.push(env.consigne(&["answer", "r"]).ends(2));
    assert!(!env.path("consigne").exists(), "help makes nothing");
    shows!(all);
}
