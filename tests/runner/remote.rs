//! Programs on other hosts: what reaches them, what comes back, and what becomes of them when nobody listens any more.

use std::path::{Path, PathBuf};

use consigne::core::{AttemptResult, Outcome};
use consigne::plan::{Effect, ErrorClass, Reach};
use consigne::runner::{CancelToken, TailSink, cancellation};

use crate::hosts::{Sshd, narrow, script, stand_in, via, words};
use crate::world::{CANARY, World, alive, alive_in, contains, request, secret, text, until, with_outputs};

/// Every way that this machine has, by name.
fn ways(world: &mut World, sshd: Option<&Sshd>) -> Vec<(&'static str, Reach)> {
    let mut ways = vec![
        ("env", via(&["env"])),
        ("second shell", via(&["sh", "-c", "exec \"$@\"", "via"])),
        ("stand-in", fake(world, "bash")),
    ];
    ways.extend(sshd.map(|sshd| ("sshd", sshd.reach())));
    ways
}

/// The stand-in for ssh becomes the one that is found.
fn fake(world: &mut World, login: &str) -> Reach {
    let bin = stand_in(world.dir.path(), login);
    let mut variables = world.context.inherited.variables().clone();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    variables.insert("PATH".into(), path.into());
    // The real one, for the real server, is found behind another name of its folder.
    world.context.inherited = consigne::runner::Inherited::of(variables);
    Reach::Ssh(consigne::plan::SshHost {
        address: "deploy@there".into(),
        port: None,
        identity_file: None,
        known_hosts: None,
        options: Vec::new(),
    })
}

/// One world for each way, since a stand-in hides the real ssh.
fn worlds(run: &str, sshd: Option<&Sshd>) -> Vec<(&'static str, World, Reach)> {
    let mut out = Vec::new();
    for (number, (name, _)) in ways(&mut World::new("count"), sshd).into_iter().enumerate() {
        let mut world = World::new(&format!("{run}-{number}"));
        let inherited = world.context.inherited.clone();
        let (_, reach) = ways(&mut world, sshd).swap_remove(number);
        if name == "sshd" {
            world.context.inherited = inherited;
        }
        out.push((name, world, reach));
    }
    out
}

/// A hundred texts that a shell could read as something else.
fn hostile() -> Vec<String> {
    let mut out: Vec<String> = [
        "",
        " ",
        "  two  spaces ",
        "it's",
        "''",
        "'",
        "'\\''",
        "\"",
        "\\",
        "\\\\",
        "a\\",
        "$HOME",
        "$(id)",
        "`id`",
        "${x}",
        "$((1+1))",
        "!",
        "!!",
        "a!b",
        "#",
        " # x",
        "*",
        "?",
        "[a-z]",
        "~",
        "~root",
        "{a,b}",
        "a;b",
        ";",
        "&",
        "&&",
        "|",
        "||",
        ">",
        "> x",
        "<",
        "<<EOF",
        "(",
        ")",
        "a\nb",
        "\n",
        "\n\n",
        "end\n",
        "\r",
        "\r\n",
        "\t",
        "\x0b",
        "\x0c",
        "\x1b[31m",
        "\x07",
        "\x08",
        "\x7f",
        "-n",
        "-e",
        "--",
        "-",
        "-c",
        "--help",
        "-rf",
        "=",
        "a=b",
        "A=$B",
        "%s",
        "%n%s",
        "\\n",
        "\\0",
        "\\x41",
        "$'a'",
        "é",
        "日本語",
        "😀",
        "\u{202e}abc",
        "\u{feff}",
        "\u{2028}",
        "exec sh -c 'id'",
        "'; id; '",
        "\"; id; \"",
        "$(printf '\\n')",
        "$IFS",
        "@",
        "$@",
        "$*",
        "$#",
        "$$",
        "$?",
        "$!",
        "if",
        "done",
        "}",
        "{ id; }",
        "set -x",
        "eval x",
        "go",
        "\ngo\n",
        "EOF",
        "ready",
        "ended 0",
    ]
    .map(str::to_owned)
    .to_vec();
    out.push("x".repeat(100_000));
    out.push("'".repeat(30_000));
    out.push("\n'\"$`\\".repeat(5_000));
    assert!(out.len() >= 100, "{}", out.len());
    out
}

/// The values as hexadecimal, one a line: what was delivered, byte for byte.
fn hex(values: &[String]) -> String {
    let line = |value: &String| value.bytes().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    values.iter().map(line).collect()
}

fn printed(world: &World, outcome: &Outcome) -> String {
    match outcome.blobs.get("stdout") {
        Some(blob) => std::fs::read_to_string(world.context.blobs().path(blob)).unwrap(),
        None => outcome.excerpts.get("stdout").cloned().unwrap_or_default(),
    }
}

#[tokio::test]
async fn rule_21_every_element_reaches_a_host_as_it_is() {
    let sshd = Sshd::start();
    let values = hostile();
    let mut ways = worlds("hostile", sshd.as_ref());
    for login in ["dash", "sh"] {
        let mut world = World::new(&format!("hostile-{login}"));
        let reach = fake(&mut world, login);
        ways.push((login, world, reach));
    }
    for (way, world, reach) in ways {
        let tool = world.dir.path().join("hex");
        let text =
            "#!/bin/bash\nfor v in \"$@\"; do printf %s \"$v\" | od -An -v -tx1 | tr -d ' \\n'; echo; done\n";
        std::fs::write(&tool, text).unwrap();
        std::fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let tool = tool.to_str().unwrap();
        let mut argv = vec![tool];
        argv.extend(values.iter().map(String::as_str));
        let outcome = world.run(request(words(&reach, &argv, &[], None), Effect::Write, 60_000)).await;
        assert_eq!(outcome.result, AttemptResult::Succeeded, "{way}: {outcome:?}");
        assert!(printed(&world, &outcome) == hex(&values), "{way}: arguments");

        let names: Vec<String> = (0..values.len()).map(|number| format!("V{number}")).collect();
        let env: Vec<_> = names
            .iter()
            .zip(&values)
            .map(|(name, value)| (name.as_str(), crate::world::text(value)))
            .collect();
        let all: String = names.iter().map(|name| format!(" \"${name}\"")).collect();
        let action = script(&reach, &format!("'{tool}'{all}"), &env);
        let outcome = world.run(request(action, Effect::Write, 60_000)).await;
        assert_eq!(outcome.result, AttemptResult::Succeeded, "{way}: {outcome:?}");
        assert!(printed(&world, &outcome) == hex(&values), "{way}: variables");
    }
}

#[tokio::test]
async fn a_folder_of_any_name_is_where_the_program_runs() {
    let sshd = Sshd::start();
    for (way, world, reach) in worlds("folder", sshd.as_ref()) {
        for name in ["it's a $(folder)", "-n", "a\nb", "~"] {
            let folder = world.dir.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let action = words(&reach, &["pwd"], &[], folder.to_str());
            let outcome = world.run(request(action, Effect::Read, 20_000)).await;
            assert_eq!(outcome.excerpts["stdout"], format!("{}\n", folder.display()), "{way}: {outcome:?}");
        }
        let action = words(&reach, &["pwd"], &[], Some("/no/such/folder"));
        let outcome = world.run(request(action, Effect::Write, 20_000)).await;
        assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "spawn"), "{way}");
        assert!(outcome.excerpts["error"].contains("/no/such/folder"), "{way}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_secret_stands_in_no_list_of_arguments() {
    let sshd = Sshd::start();
    for (way, world, reach) in worlds("argv", sshd.as_ref()) {
        let (open, go) = (world.dir.path().join("open"), world.dir.path().join("go"));
        let text = format!(
            "touch '{}'; while [ ! -e '{}' ]; do sleep 0.05; done; printf %s \"$TOKEN\" | wc -c; echo \"$TOKEN\"",
            open.display(),
            go.display()
        );
        let action = script(&reach, &text, &[("TOKEN", secret())]);
        let running = world.run(request(action, Effect::Write, 30_000));
        let look = async {
            until("the program runs", || open.exists()).await;
            let lines: Vec<Vec<u8>> = std::fs::read_dir("/proc")
                .unwrap()
                .flatten()
                .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
                .collect();
            std::fs::write(&go, "").unwrap();
            lines
        };
        let (outcome, lines) = tokio::join!(running, look);
        assert_eq!(outcome.result, AttemptResult::Succeeded, "{way}: {outcome:?}");
        assert_eq!(outcome.excerpts["stdout"], format!("{}\n***\n", CANARY.len()), "{way}");
        assert!(lines.iter().any(|line| contains(line, b"touch")), "{way}: the script itself is seen");
        assert!(!lines.iter().any(|line| contains(line, CANARY.as_bytes())), "{way}");
    }
}

#[tokio::test]
async fn what_it_prints_comes_back_byte_for_byte_and_its_exit_is_judged() {
    let sshd = Sshd::start();
    for (way, world, reach) in worlds("output", sshd.as_ref()) {
        // Nothing eats what follows: the program has no input.
        let text = "cat; read -r x || true; printf 'no end'; printf 'told' >&2; exit 7";
        let outcome = world.run(request(script(&reach, text, &[]), Effect::Write, 20_000)).await;
        assert_eq!(
            (outcome.result, outcome.reason.as_str()),
            (AttemptResult::Failed, "exit"),
            "{way}: {outcome:?}"
        );
        assert_eq!((outcome.code, outcome.excerpts["stdout"].as_str()), (Some(7), "no end"), "{way}");
        assert!(outcome.excerpts["stderr"].ends_with("told"), "{way}: {outcome:?}");

        let action = words(&reach, &["head", "-c", "5000000", "/dev/zero"], &[], None);
        let outcome = world.run(request(action, Effect::Read, 60_000)).await;
        assert_eq!(outcome.blobs["stdout"].bytes, 5_000_000, "{way}: {outcome:?}");

        let action = script(&reach, "echo \"$CONSIGNE_STEP $CONSIGNE_RUN $CONSIGNE_IDEMPOTENCY_KEY\"", &[]);
        let mut attempt = request(action, Effect::Write, 20_000);
        attempt.idempotency_key = Some("k1".into());
        let outcome = world.run(with_outputs(attempt, &[("out", ".stdout")])).await;
        assert_eq!(outcome.outputs["out"].value(), format!("suspend {} k1\n", world.context.run), "{way}");
    }
}

#[tokio::test]
async fn what_is_not_there_has_not_happened() {
    let sshd = Sshd::start();
    for (way, world, reach) in worlds("nothing", sshd.as_ref()) {
        let action = words(&reach, &["no-such-program-at-all"], &[], None);
        let outcome = world.run(request(action, Effect::Destructive, 20_000)).await;
        assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "spawn"), "{way}");
        assert!(outcome.excerpts["error"].contains("no-such-program-at-all"), "{way}: {outcome:?}");
    }
    let world = World::new("nowhere");
    for reach in [via(&["false"]), via(&["sh", "-c", "echo no such pod >&2; exit 1"]), via(&["true"])] {
        let outcome = world.run(request(words(&reach, &["true"], &[], None), Effect::Write, 20_000)).await;
        assert_eq!(
            (outcome.result, outcome.reason.as_str()),
            (AttemptResult::Failed, "connect"),
            "{outcome:?}"
        );
        assert_eq!(outcome.class, Some(ErrorClass::Connect));
    }
    let Some(sshd) = sshd else { return };
    for (reach, why) in [
        (sshd.nowhere(), "refused"),
        (sshd.impostor(), "Host key verification failed"),
        (sshd.uninvited(), "Permission denied"),
    ] {
        let outcome = world.run(request(words(&reach, &["true"], &[], None), Effect::Write, 20_000)).await;
        assert_eq!(
            (outcome.result, outcome.class),
            (AttemptResult::Failed, Some(ErrorClass::Connect)),
            "{why}"
        );
        assert!(outcome.excerpts["error"].contains(why), "{why}: {outcome:?}");
        let answer = consigne::runner::answers(&reach, &world.context.inherited, world.dir.path()).await;
        assert!(answer.unwrap_err().contains(why));
    }
    let there = consigne::runner::answers(&sshd.reach(), &world.context.inherited, world.dir.path()).await;
    assert_eq!(there, Ok(()));
}

/// A script that writes down who it is, ignores TERM where told so, and never ends.
fn endless(pid: &Path, deaf: bool) -> String {
    let trap = if deaf { "trap '' TERM; " } else { "" };
    format!(
        "{trap}sleep 971 & echo $$ > '{0}.new'; mv '{0}.new' '{0}'; while true; do sleep 972; done",
        pid.display()
    )
}

#[tokio::test]
async fn a_time_out_and_a_stop_end_the_program_over_there() {
    let sshd = Sshd::start();
    for (way, world, reach) in worlds("stop", sshd.as_ref()) {
        for (deaf, timed) in [(false, true), (true, false)] {
            let pid = world.dir.path().join(format!("pid-{deaf}"));
            let action = script(&reach, &endless(&pid, deaf), &[]);
            let limit = if timed { 2_500 } else { 60_000 };
            let (handle, token) = cancellation();
            let running = world.runners.run(
                request(action, Effect::Write, limit),
                &world.context,
                token,
                TailSink::none(),
            );
            let stop = async {
                until("the program runs", || pid.exists()).await;
                if !timed {
                    handle.stop();
                }
            };
            let (outcome, ()) = tokio::join!(running, stop);
            let reason = if timed { "timeout" } else { "cancelled" };
            assert_eq!(
                (outcome.result, outcome.reason.as_str()),
                (AttemptResult::Unknown, reason),
                "{way}: {outcome:?}"
            );
            until(&format!("{way}: the program ends"), || !alive_in(&pid)).await;
        }
        // What it started as well, sleepers of the far side itself aside, which end by themselves.
        let mark = format!("CONSIGNE_RUN={}\0", world.context.run);
        until(&format!("{way}: all of it ends"), || {
            alive(&mark).iter().all(|stat| !stat.contains("(sleep)")) || alive(&mark).is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn a_lost_connection_is_unknown_and_ends_the_program() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::new("lost");
    for effect in [Effect::Write, Effect::Read] {
        let pid = world.dir.path().join(format!("pid-{effect:?}"));
        let action = script(&sshd.reach(), &endless(&pid, true), &[]);
        let cut = async {
            until("the program runs", || pid.exists()).await;
            sshd.cut();
        };
        let (outcome, ()) = tokio::join!(world.run(request(action, effect, 60_000)), cut);
        let result = if effect == Effect::Read { AttemptResult::Failed } else { AttemptResult::Unknown };
        assert_eq!((outcome.result, outcome.reason.as_str()), (result, "connection_lost"), "{outcome:?}");
        until("the program ends", || !alive_in(&pid)).await;
    }
}

#[tokio::test]
async fn nobody_left_to_listen_ends_the_program() {
    let sshd = Sshd::start();
    for (way, world, reach) in worlds("dropped", sshd.as_ref()) {
        let pid = world.dir.path().join("pid");
        let attempt = request(script(&reach, &endless(&pid, false), &[]), Effect::Write, 60_000);
        {
            let running = world.runners.run(attempt, &world.context, CancelToken::never(), TailSink::none());
            tokio::select! {
                _ = running => panic!("it never ends by itself"),
                () = until("the program runs", || pid.exists()) => {}
            }
        }
        until(&format!("{way}: the program ends"), || !alive_in(&pid)).await;
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_does_not_hold_its_step() {
    let sshd = Sshd::start();
    for (way, world, reach) in worlds("behind", sshd.as_ref()) {
        let pid = world.dir.path().join("pid");
        let text = format!("sleep 973 & echo $! > '{}'; echo done", pid.display());
        let outcome = world.run(request(script(&reach, &text, &[]), Effect::Write, 30_000)).await;
        assert_eq!(outcome.result, AttemptResult::Succeeded, "{way}: {outcome:?}");
        assert_eq!(outcome.excerpts["stdout"], "done\n", "{way}");
        until(&format!("{way}: the child is removed"), || !alive_in(&pid)).await;
    }
}

#[tokio::test]
async fn a_signal_over_there_is_unknown_unless_its_code_is_expected() {
    let world = World::new("signalled");
    let reach = via(&["env"]);
    let attempt = request(script(&reach, "kill -KILL $$", &[]), Effect::Write, 20_000);
    let outcome = world.run(attempt.clone()).await;
    assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Unknown, "signal"), "{outcome:?}");
    let mut expected = attempt;
    expected.probe.accept.expect.exit = vec![137];
    assert_eq!(world.run(expected).await.result, AttemptResult::Succeeded);
}

#[tokio::test]
async fn any_shell_will_do_and_setsid_may_be_missing() {
    let world = World::new("shells");
    let tools = ["head", "sleep", "bash", "mv", "cat"];
    for (shell, programs) in [("dash", &[&tools[..], &["setsid"]].concat()), ("bash", &tools.to_vec())] {
        let found = ["/bin", "/usr/bin"].map(|folder| PathBuf::from(folder).join(shell));
        let Some(shell) = found.iter().find(|path| path.is_file()) else { continue };
        let reach = narrow(world.dir.path(), shell, programs);
        let outcome = world.run(request(script(&reach, "cat; echo ok", &[]), Effect::Write, 20_000)).await;
        assert_eq!(outcome.result, AttemptResult::Succeeded, "{shell:?}: {outcome:?}");
        let pid = world.dir.path().join(format!("pid-{}", shell.file_name().unwrap().to_string_lossy()));
        let action = script(&reach, &endless(&pid, false), &[]);
        let (handle, token) = cancellation();
        let attempt = request(action, Effect::Write, 60_000);
        let running = world.runners.run(attempt, &world.context, token, TailSink::none());
        let stop = async {
            until("the program runs", || pid.exists()).await;
            handle.stop();
        };
        let (outcome, ()) = tokio::join!(running, stop);
        assert_eq!(outcome.result, AttemptResult::Unknown, "{outcome:?}");
        until("the program ends", || !alive_in(&pid)).await;
    }
}

#[tokio::test]
async fn a_variable_of_the_step_cannot_mislead_the_far_side() {
    let world = World::new("misled");
    let reach = via(&["env"]);
    let env = [
        ("PATH", text("/nowhere")),
        ("IFS", text("e")),
        ("BASH_ENV", text("/dev/null")),
        ("ENV", text("/x")),
    ];
    let outcome = world.run(request(script(&reach, "echo on", &env), Effect::Write, 20_000)).await;
    assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "spawn"), "{outcome:?}");
    let outcome = world.run(request(script(&reach, "echo on", &env[1..]), Effect::Write, 20_000)).await;
    assert_eq!(outcome.excerpts["stdout"], "on\n", "{outcome:?}");
    let huge = text(&"x".repeat(200_000));
    let outcome = world.run(request(script(&reach, "true", &[("V", huge)]), Effect::Write, 20_000)).await;
    assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "request"), "{outcome:?}");
    let outcome =
        world.run(request(words(&reach, &["echo", "a\0b"], &[], None), Effect::Write, 20_000)).await;
    assert!(outcome.excerpts["error"].contains("NUL"), "{outcome:?}");
}
