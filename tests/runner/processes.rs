//! Children that misbehave.

use std::time::{Duration, Instant};

use consigne::core::AttemptResult;
use consigne::plan::{Effect, ErrorClass};
use consigne::runner::{CancelToken, TailSink, cancellation, sweep_leftovers};

use crate::world::{World, alive, alive_in, argv, request, shell, until, with_outputs};

#[tokio::test]
async fn a_program_sees_exactly_its_environment() {
    let world = World::new("env-run");
    let mut attempt = request(
        shell("env | cut -d= -f1 | sort | tr '\\n' ' '; echo $PLAIN $CONSIGNE_STEP"),
        Effect::Read,
        20_000,
    );
    attempt.idempotency_key = Some("k1".into());
    let outcome = world.run(with_outputs(attempt, &[("out", ".stdout")])).await;
    assert_eq!(outcome.result, AttemptResult::Succeeded, "{outcome:?}");
    let out = outcome.outputs["out"].value();
    let out = out.as_str().unwrap();
    let names = [
        "CONSIGNE_ATTEMPT",
        "CONSIGNE_IDEMPOTENCY_KEY",
        "CONSIGNE_RUN",
        "CONSIGNE_RUN_DIR",
        "CONSIGNE_STEP",
        "PLAIN",
        "TOKEN",
    ];
    assert!(names.iter().all(|name| out.contains(name)) && out.ends_with("a b suspend\n"), "{out}");
    let allowed = ["PATH", "HOME", "LANG", "TZ", "SSH_AUTH_SOCK", "PWD", "SHLVL", "_", "a", "b", "suspend"];
    let surplus: Vec<_> =
        out.split_whitespace().filter(|name| !names.contains(name) && !allowed.contains(name)).collect();
    assert!(surplus.is_empty(), "{surplus:?}");
}

#[tokio::test]
async fn scripts_are_strict_and_their_exit_is_judged() {
    let world = World::new("strict-run");
    for (script, code) in [("false; echo on", 1), ("exit 7", 7), ("echo $NOT_SET", 127), ("false | true", 1)]
    {
        let outcome = world.shell(Effect::Write, script).await;
        assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "exit"), "{script}");
        assert_eq!(
            outcome.code.map(|got| got == code || script.contains("NOT_SET")),
            Some(true),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_started_has_not_happened() {
    let world = World::new("spawn-run");
    std::fs::write(world.dir.path().join("data"), "x").unwrap();
    for program in ["no-such-program-at-all", "./data", "./missing", "", "/"] {
        let outcome = world.run(request(argv(&[program]), Effect::Destructive, 5_000)).await;
        assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "spawn"), "{program}");
        assert!(outcome.excerpts["error"].contains(program), "{outcome:?}");
    }
    let outcome = world.run(request(argv(&["echo", "a b", "$HOME"]), Effect::Read, 5_000)).await;
    assert_eq!(outcome.excerpts["stdout"], "a b $HOME\n");
}

#[tokio::test]
async fn death_by_signal_is_unknown_unless_it_only_read() {
    let world = World::new("signal-run");
    for (effect, result) in [(Effect::Write, AttemptResult::Unknown), (Effect::Read, AttemptResult::Failed)] {
        let outcome = world.shell(effect, "kill -KILL $$").await;
        assert_eq!((outcome.result, outcome.reason.as_str(), outcome.code), (result, "signal", None));
    }
}

#[tokio::test]
async fn a_time_out_ends_the_whole_group_also_what_ignores_term() {
    let world = World::new("timeout-run");
    let script = "trap '' TERM; sleep 61 & sleep 62 & echo begun; while true; do sleep 63; done";
    let begun = Instant::now();
    let outcome = world.run(request(shell(script), Effect::Write, 400)).await;
    assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Unknown, "timeout"));
    assert_eq!((outcome.class, outcome.excerpts["stdout"].as_str()), (Some(ErrorClass::Timeout), "begun\n"));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(alive("CONSIGNE_RUN=timeout-run"), Vec::<String>::new());
}

#[tokio::test]
async fn what_got_term_has_its_grace() {
    let mut world = World::new("grace-run");
    world.context.grace = Duration::from_secs(10);
    // The leader dies of TERM at once; its child cleans up first.
    let script = "bash -c 'trap \"sleep 0.3; echo clean > done; exit\" TERM; echo up > up; while :; do sleep 0.05; done' & wait";
    let (handle, token) = cancellation();
    let up = world.dir.path().join("up");
    let running = world.runners.run(
        request(shell(script), Effect::Read, 20_000),
        &world.context,
        token,
        TailSink::none(),
    );
    let (outcome, ()) = tokio::join!(running, async {
        until("the child is up", || up.exists()).await;
        handle.stop();
    });
    assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Cancelled, "cancelled"));
    assert_eq!(std::fs::read_to_string(world.dir.path().join("done")).unwrap(), "clean\n");
}

#[tokio::test]
async fn kill_does_not_wait_for_grace() {
    let mut world = World::new("kill-run");
    world.context.grace = Duration::from_secs(60);
    let (handle, token) = cancellation();
    let up = world.dir.path().join("up");
    let script = "trap '' TERM; echo > up; while :; do sleep 0.05; done";
    let running = world.runners.run(
        request(shell(script), Effect::Write, 60_000),
        &world.context,
        token,
        TailSink::none(),
    );
    let begun = Instant::now();
    let (outcome, ()) = tokio::join!(running, async {
        until("the script is up", || up.exists()).await;
        handle.stop();
        handle.kill();
    });
    assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Unknown, "cancelled"));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn no_child_outlives_its_step() {
    let world = World::new("escape-run");
    for (name, script) in [
        ("background", "sleep 71 & echo $! > pid"),
        (
            "pipe held in a new session",
            "setsid sleep 72 & sleep 0.1; pgrep -f 'sleep 72' > pid || echo $! > pid",
        ),
        (
            "double fork",
            "(setsid bash -c 'echo $$ > pid; exec sleep 73' >/dev/null 2>&1 &); until [ -s pid ]; do :; done",
        ),
        ("own marks", "CONSIGNE_RUN=other CONSIGNE_ATTEMPT=x sleep 74 & echo $! > pid"),
        ("cleared marks in the group", "env -i sleep 75 & echo $! > pid"),
    ] {
        let pid = world.dir.path().join("pid");
        let _ = std::fs::remove_file(&pid);
        let begun = Instant::now();
        let outcome = world.shell(Effect::Write, script).await;
        assert_eq!(outcome.result, AttemptResult::Succeeded, "{name}: {outcome:?}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{name}: {:?}", begun.elapsed());
        if name != "own marks" {
            assert!(!alive_in(&pid), "{name} is alive");
        }
        assert_eq!(alive("CONSIGNE_RUN=escape-run"), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn what_hides_every_trace_is_gone_when_no_step_runs() {
    let world = World::new("hidden-run");
    let pid = world.dir.path().join("pid");
    let script = "(env -i setsid sleep 76 >/dev/null 2>&1 & echo $! > pid) &
        until [ -s pid ] && [ \"$(cut -d' ' -f6 /proc/$(cat pid)/stat)\" = \"$(cat pid)\" ]; do :; done";
    world.shell(Effect::Write, script).await;
    // Whose it is can only be told when nothing else of this process runs.
    for _ in 0..500 {
        if !alive_in(&pid) {
            return;
        }
        world.shell(Effect::Read, "sleep 0.1").await;
    }
    panic!("it is still alive");
}

#[tokio::test]
async fn a_dropped_attempt_takes_its_processes_with_it() {
    let world = World::new("drop-run");
    let up = world.dir.path().join("up");
    let attempt = world.shell(Effect::Write, "setsid bash -c 'echo > up; exec sleep 81' & sleep 82");
    tokio::select! {
        outcome = attempt => panic!("{outcome:?}"),
        () = until("it is up", || up.exists()) => {}
    }
    until("nothing is left", || alive("CONSIGNE_RUN=drop-run").is_empty()).await;
}

#[tokio::test]
async fn a_flood_is_kept_whole_in_bounded_memory() {
    let world = World::new("flood-run");
    let outcome =
        world.shell(Effect::Read, "head -c 60000000 /dev/zero | tr '\\0' 'x'; echo end; echo note >&2").await;
    assert_eq!(outcome.result, AttemptResult::Succeeded, "{outcome:?}");
    let blob = &outcome.blobs["stdout"];
    assert_eq!(blob.bytes, 60_000_004);
    let path = world.context.blobs().path(blob);
    let sum = std::process::Command::new("sha256sum").arg(&path).output().unwrap().stdout;
    assert!(String::from_utf8(sum).unwrap().starts_with(&blob.sha256));
    assert!(outcome.excerpts["stdout"].ends_with("xend\n") && outcome.excerpts["stdout"].len() < 10_000);
    assert_eq!(outcome.excerpts["stderr"], "note\n");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);

    let flood = request(shell("head -c 60000000 /dev/zero | tr '\\0' 'x'"), Effect::Read, 60_000);
    let outcome = world.run(with_outputs(flood, &[("all", ".stdout")])).await;
    assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "output_too_large"));
}

#[tokio::test]
async fn the_tail_shows_lines_as_they_come() {
    let world = World::new("tail-run");
    let (sender, mut lines) = tokio::sync::broadcast::channel(16);
    let attempt = request(shell("echo one; printf 'two %s' \"$TOKEN\""), Effect::Read, 20_000);
    world.runners.run(attempt, &world.context, CancelToken::never(), TailSink::to(sender)).await;
    assert_eq!(lines.recv().await.unwrap().text, "one");
    assert_eq!(lines.recv().await.unwrap().text, "two ***");
}

#[tokio::test]
async fn leftovers_of_a_killed_run_are_found_and_killed() {
    let world = World::new("left-run");
    // As a killed consigne leaves them: noted in the side file, or found by their marks alone; and a service.
    let script = "trap '' HUP; (env -i sleep 91 & echo $! > cleared; exec sleep 92) & echo > up; sleep 93";
    let spawn = |attempt: Option<&str>, script: &str| {
        let mut command = std::process::Command::new("bash");
        command.args(["-c", script]).env("CONSIGNE_RUN", "left-run").current_dir(world.dir.path());
        attempt.map(|mark| command.env("CONSIGNE_ATTEMPT", mark));
        command.stdout(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut step = spawn(Some("isolate#1"), script);
    let mut service = spawn(None, "exec sleep 94");
    world.context.note_service(service.id(), "platform").unwrap();
    let cleared = world.dir.path().join("cleared");
    until("it is up", || std::fs::read_to_string(&cleared).is_ok_and(|pid| !pid.is_empty())).await;

    let found = sweep_leftovers(world.dir.path(), "left-run").await.unwrap();
    assert!(found.iter().any(|left| left.pid == step.id() && left.attempt.as_deref() == Some("isolate#1")));
    assert!(found.len() >= 3 && found.iter().all(|left| left.gone), "{found:?}");
    assert!(step.wait().unwrap().code().is_none());
    until("what cleared its environment is gone", || !alive_in(&cleared)).await;
    assert!(service.try_wait().unwrap().is_none(), "the service lives");
    assert_eq!(sweep_leftovers(world.dir.path(), "left-run").await.unwrap(), Vec::new());
    assert_eq!(sweep_leftovers(world.dir.path(), "another-run").await.unwrap(), Vec::new());
    service.kill().unwrap();
    service.wait().unwrap();
}

#[tokio::test]
async fn a_noted_process_without_marks_is_a_leftover() {
    let world = World::new("bare-run");
    let mut bare = std::process::Command::new("sleep").arg("96").env_clear().spawn().unwrap();
    world.context.note_service(bare.id(), "bare").unwrap();
    let file = world.dir.path().join("procs.jsonl");
    let line = std::fs::read_to_string(&file).unwrap();
    assert_eq!(sweep_leftovers(world.dir.path(), "bare-run").await.unwrap(), Vec::new(), "a service");
    std::fs::write(&file, line.replace("service", "step")).unwrap();
    let found = sweep_leftovers(world.dir.path(), "bare-run").await.unwrap();
    assert_eq!(found.iter().map(|left| (left.pid, left.gone)).collect::<Vec<_>>(), [(bare.id(), true)]);
    assert!(bare.wait().unwrap().code().is_none());
}

#[tokio::test]
async fn a_number_that_passed_to_another_process_is_left_alone() {
    let world = World::new("reuse-run");
    let mut other =
        std::process::Command::new("sleep").arg("95").env("CONSIGNE_RUN", "reuse-run").spawn().unwrap();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let line = format!(
        "{{\"pid\":{},\"start\":1,\"pgid\":1,\"boot\":\"{}\",\"kind\":\"step\"}}\n{{\"pid\":",
        other.id(),
        boot.trim()
    );
    std::fs::write(world.dir.path().join("procs.jsonl"), line).unwrap();
    assert_eq!(sweep_leftovers(world.dir.path(), "reuse-run").await.unwrap(), Vec::new());
    assert!(other.try_wait().unwrap().is_none());
    other.kill().unwrap();
    other.wait().unwrap();
}
