//! One test for each shape, named after it.

use crate::world::World;

#[test]
fn a_chain_of_compensations_runs_in_reverse_order() {
    let drill = World::of("compensation").drill("{}", &[]).ends(1);
    drill.did(&["open-account", "open-storage", "fail-billing", "close-storage", "close-account"]);
    assert_eq!(drill.count("reversal.closed"), 2, "{}", drill.said);
}

#[test]
fn it_is_mended_until_the_test_is_green() {
    let drill = World::of("until-green").drill("{}", &[]).ends(0);
    drill.did(&["mend", "mend", "green-after-3"]);
}

#[test]
fn an_output_is_shown_approved_or_pushed_back() {
    let answers = "\"accept:1\": {answer: reject, as: bob, comment: \"too long\"}\n\
                   \"accept:2\": {answer: reject, as: bob, comment: \"no date\"}\n\
                   \"accept:3\": {answer: approve, as: bob}\n";
    let drill = World::of("push-back").drill(answers, &[]).ends(0);
    drill.did(&["draft", "draft", "draft", "publish draft 3"]);
    // Nobody accepts: nothing is published, and the run does not succeed.
    let drill = World::of("push-back").drill("accept: {answer: reject, as: bob}\nwording: end\n", &[]);
    assert_ne!(drill.code, Some(0), "{}", drill.said);
    drill.did(&["draft", "draft", "draft", "draft"]);
}

const HOSTS: &str = "hosts=[\"web-01\", \"web-02\", \"web-03\"]";

#[test]
fn hosts_are_updated_one_by_one_drained_before_and_enabled_after() {
    let go = "go: {answer: approve, as: bob}\nroll: yes\n";
    let host = |host: &str| ["drain", "update", "enable"].map(|verb| format!("{verb} {host}"));
    let all: Vec<String> = ["web-01", "web-02", "web-03"].into_iter().flat_map(host).collect();
    let drill = World::of("rolling").drill(go, &[HOSTS]).ends(0);
    drill.did(&all.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(drill.count("step.expanded"), 1, "the list is laid out once");

    // The canary breaks: nobody but it is touched, and it is not enabled unless somebody says so.
    let world = World::of("rolling");
    world.mark("broken-web-01");
    let answers = "go: {answer: approve, as: bob}\n\"update:web-01\": end\n\
                   \"drain:web-01\": {answer: {choice: leave_open, owner: bob, review_at: \"2030-01-01T00:00:00Z\"}, comment: \"broken\"}\n";
    let drill = world.drill(answers, &[HOSTS]).ends(1);
    drill.did(&["drain web-01", "update web-01"]);

    // A host that is not healthy after the change is not enabled by itself.
    let world = World::of("rolling");
    world.mark("sick-web-02");
    let answers =
        format!("{go}\"drain:web-02\": {{answer: done, comment: \"repaired and enabled by hand\"}}\n");
    let drill = world.drill(&answers, &[HOSTS]).ends(0);
    drill.did(&[
        "drain web-01",
        "update web-01",
        "enable web-01",
        "drain web-02",
        "update web-02",
        "drain web-03",
        "update web-03",
        "enable web-03",
    ]);
    world.unmark("sick-web-02");
}

#[test]
fn an_exit_code_decides_between_two_branches() {
    World::of("two-branches").drill("{}", &["state=full"]).ends(0).did(&["look full", "promote"]);
    World::of("two-branches").drill("{}", &["state=lag"]).ends(0).did(&["look lag", "stop-writes", "replay"]);
}

#[test]
fn a_schedule_counts_down_to_an_instant() {
    // All of its instants have passed: everything is done at once, in order.
    let at = "2020-02-29T12:00:00+01:00";
    let drill = World::of("t-minus").drill("{}", &[&format!("at={at}")]).ends(0);
    drill.did(&[&format!("notice {at}"), "freeze", "cut", "look full"]);
    assert_eq!(drill.count("wait.started"), 0);
}

#[test]
fn paused_pipelines_go_on_in_the_order_that_is_written() {
    let drill = World::of("pipelines").drill("{}", &[]).ends(0);
    let tail = &drill.log[2..];
    assert_eq!(tail, ["pause ingest", "pause clean", "change", "resume ingest", "resume clean", "after"]);
    assert_eq!(drill.count("reversal.closed"), 4, "two reverted here, two undos that nobody chose");
}

#[test]
fn many_are_deleted_page_by_page() {
    let drill = World::of("mass-delete").drill("sure: {answer: approve, as: bob}\n", &[]).ends(0);
    let mut log = drill.log.clone();
    log.sort();
    assert_eq!(log, ["remove a1", "remove a2", "remove a3", "remove a4", "remove a5"]);
    assert_eq!(drill.count("approval.attested"), 3, "each page is approved by itself: {}", drill.said);
    // The second page is refused: the first is gone, the others stay.
    let answers = "\"sure:1\": {answer: approve, as: bob}\n\"sure:2\": {answer: reject, as: bob}\n";
    let mut log = World::of("mass-delete").drill(answers, &[]).ends(1).log;
    log.sort();
    assert_eq!(log, ["remove a1", "remove a2"]);
}

#[test]
fn two_hosts_are_watched_while_a_third_is_changed() {
    let inputs = ["target=db-03", "others=[\"db-01\", \"db-02\"]"];
    let drill = World::of("watched-change").drill("{}", &inputs).ends(0);
    drill.did(&["update db-03", "after"]);
}
