//! Programs on other hosts: through `ssh`, or behind a program of the environment's (`via`).
//!
//! Owns how a host is reached and how program, variables and folder get there. What leads there (`ssh`, the prefix) is
//! given nothing but `sh -c 'c=$(head -c N) && eval "$c"'`, as one quoted text for the login shell of an ssh host and as
//! plain arguments behind a prefix. Everything else follows through its standard input ([`session`]), every element in
//! single quotes: so no value, and no secret of `env`, stands in an argument list here or there, the login shell may be
//! any, and a value of any bytes arrives as it is. The far side needs a POSIX `sh` and `head`, for scripts `bash`.
//!
//! What its end means: nothing happened unless `go` was sent; a program that began and did not say how it ended is
//! lost. Stopped, or cut off, or past its time, the far side ends the program with its group ([`FAR`]).

mod session;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::fill::{Plain, fill};
use super::process::{self, Ran, RunError, Stop};
use super::program::{self, lost, nothing, reason_of};
use super::sweep::{ATTEMPT_MARK, DIR_MARK, Mark, OwnedProcess, RUN_MARK};
use super::{Boxed, Call, Inherited, Observation, Runner, Trouble};
use crate::plan::{Action, ErrorClass, Program, Reach, RemoteCall, SshHost};

pub(super) use session::{Session, Stage};

/// What the far side runs.
const FAR: &str = include_str!("remote/far.sh");
/// One argument or variable of a program cannot be longer than this, its end included.
const LONGEST: usize = 128 * 1024;
/// What the far side has beyond the time-out before it ends the program by itself.
const MARGIN: Duration = Duration::from_secs(30);
/// Exit codes that a shell gives where a signal ended the program.
const BY_SIGNAL: std::ops::RangeInclusive<i32> = 129..=192;
/// Never another way: a session without anybody to ask, which opens nothing but itself.
const ALWAYS: [&str; 7] = [
    "BatchMode=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "ControlMaster=no",
];
/// Unless the environment says otherwise: a dead link ends.
const UNLESS: [&str; 3] = ["ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3"];

/// Runs scripts and programs elsewhere.
pub(super) struct Remote;

impl Runner for Remote {
    fn observe<'a>(&'a self, call: Call<'a>) -> Boxed<'a, Observation> {
        Box::pin(observe(call))
    }
}

async fn observe(call: Call<'_>) -> Observation {
    let begun = call.context.clock.mono();
    let filled = match fill(&call.request.probe.action, call.context).await {
        Ok(filled) => filled,
        Err(error) => return nothing(reason_of(&error), &error.to_string()),
    };
    let Action::Remote(remote) = &filled.action else {
        return nothing("request", "it names no host");
    };
    let Some(reach) = &remote.reach else {
        return nothing("request", "nothing says how its host is reached");
    };
    let mark = Mark { run: call.context.run.clone(), attempt: call.request.key.to_string() };
    let session =
        match session(remote, &far_environment(&call, remote, &mark), call.timeout, call.context.grace) {
            Ok(session) => session,
            Err(why) => return nothing("request", &why),
        };
    let context = call.context;
    let argv = leading(reach, &context.base_dir, session.size);
    let program = argv.first().cloned().unwrap_or_default();
    let environment = environment(&context.inherited, &mark, &context.dir);
    let command = match process::command(&argv, &environment, &context.base_dir) {
        Ok(command) => command,
        Err(error) => return nothing("spawn", &format!("cannot run `{program}`: {error}")),
    };
    let captures = ["stdout", "stderr"].map(|stream| program::capture(&call, stream));
    let session = &session.session;
    match process::converse(command, &mark, context, call.timeout, call.cancel, captures, session).await {
        Ok(ran) => {
            let elapsed = context.clock.mono().saturating_sub(begun);
            observed(&call, remote, &session.stage(), &ran, elapsed).await
        }
        Err(RunError::Spawn(error)) => nothing("spawn", &format!("cannot run `{program}`: {error}")),
        Err(error) if !session.has_begun() => nothing("connect", &error.to_string()),
        Err(error) => Observation {
            end: lost("capture", ErrorClass::Other, error.to_string()),
            ..Observation::default()
        },
    }
}

/// What came of it, by how far it came.
async fn observed(
    call: &Call<'_>,
    remote: &RemoteCall<Plain>,
    stage: &Stage,
    ran: &Ran,
    elapsed_ms: u64,
) -> Observation {
    let host = remote.host.as_str();
    let mut out = program::printed(ran);
    let unbegun = |reason, class, message: String| super::End::Nothing(Trouble { reason, class, message });
    out.end = match (stage, ran.stop) {
        (Stage::Opening | Stage::Ready, Stop::Cancelled) => super::End::Cancelled,
        (Stage::Opening | Stage::Ready, stop) => {
            out.code = ran.status.code().map(i64::from);
            let last = ran.stderr.excerpt.lines().rev().find(|line| !line.trim().is_empty());
            let why = match (stop, last) {
                (Stop::TimedOut, _) => "its time-out came first".to_owned(),
                (_, Some(line)) => line.trim().chars().take(300).collect(),
                (_, None) if ran.status.success() => {
                    "what leads there ended at once: does it hand its standard input on?".to_owned()
                }
                (_, None) => format!("what leads there ended with {}", ran.status),
            };
            unbegun(
                "connect",
                ErrorClass::Connect,
                format!("`{host}` was not reached, nothing began there: {why}"),
            )
        }
        (Stage::Refused(what), _) => unbegun("spawn", ErrorClass::Other, refused(remote, what)),
        (Stage::Begun | Stage::Ended(_), Stop::TimedOut) => {
            let limit = call.timeout.as_millis();
            lost("timeout", ErrorClass::Timeout, format!("it was ended after its time-out of {limit} ms"))
        }
        (Stage::Begun | Stage::Ended(_), Stop::Cancelled) => {
            lost("cancelled", ErrorClass::Other, "it was told to stop".to_owned())
        }
        (Stage::Begun, Stop::ByItself) => {
            out.code = ran.status.code().map(i64::from);
            let message = format!("the connection to `{host}` ended before the program said how it ended");
            lost("connection_lost", ErrorClass::Connect, message)
        }
        (Stage::Ended(status), Stop::ByItself) => {
            out.code = Some(i64::from(*status));
            let expected = call.request.probe.accept.expect.exit.contains(status);
            if BY_SIGNAL.contains(status) && !expected {
                let message =
                    format!("it was ended by signal {}, as its exit code {status} says", status - 128);
                lost("signal", ErrorClass::Other, message)
            } else {
                program::answered(call, ran, *status, elapsed_ms, &mut out).await
            }
        }
    };
    out
}

fn refused(remote: &RemoteCall<Plain>, what: &str) -> String {
    let host = remote.host.as_str();
    let (program, cwd) = match &remote.program {
        Program::Shell(call) => ("bash", &call.cwd),
        Program::Argv(call) => (call.argv.first().map_or("", |word| word.as_str()), &call.cwd),
    };
    match what {
        "folder" => {
            let folder = cwd.as_ref().map_or("", |cwd| cwd.as_str());
            format!("`{host}` has no folder {folder} that the program could run in")
        }
        "environment" => format!("the shell of `{host}` does not take the variables of the step"),
        _ => format!("`{host}` has no program `{program}`"),
    }
}

/// Whether a host answers: as far as a program would begin there, and no further.
///
/// # Errors
/// Why it does not.
pub async fn answers(reach: &Reach, inherited: &Inherited, base_dir: &Path) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let mark = random_mark()?;
    let preamble = preamble(&mark, &[Zeroizing::new("bash".to_owned())], &BTreeMap::new(), None, [0, 1])?;
    let argv = leading(reach, base_dir, preamble.len());
    let mut command = process::command(&argv, inherited.variables(), base_dir)
        .map_err(|error| format!("{}: {error}", argv.first().map_or("", String::as_str)))?;
    command.stdin(std::process::Stdio::piped()).kill_on_drop(true);
    // Ours while it lives: no sweep takes it for something left behind.
    let mut owned = OwnedProcess::announce();
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    child.id().into_iter().for_each(|pid| owned.is(pid));
    let session = Session::new(&mark, preamble);
    let look = async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (Some(mut line), Some(mut out), Some(mut err)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err("it has no pipes".to_owned());
        };
        // Longer than a pipe holds it is not, and who does not listen says why.
        let _gone = line.write_all(session.preamble().as_bytes()).await;
        let mut buffer = vec![0; 4096];
        while let Ok(count @ 1..) = out.read(&mut buffer).await {
            session.hear(&buffer[..count]);
            match session.stage() {
                Stage::Opening => {}
                Stage::Refused(_) => return Err("it has no bash".to_owned()),
                _ => return Ok(()),
            }
        }
        let mut said = Vec::new();
        let _partly = (&mut err).take(4096).read_to_end(&mut said).await;
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        Err(last.map_or_else(|| "it does not answer".to_owned(), |line| line.trim().to_owned()))
    };
    tokio::time::timeout(PATIENCE, look)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
}

/// A conversation that has not begun, and the length of its first text.
struct Opening {
    session: Session,
    size: usize,
}

fn session(
    remote: &RemoteCall<Plain>,
    environment: &BTreeMap<String, Plain>,
    timeout: Duration,
    grace: Duration,
) -> Result<Opening, String> {
    let (argv, cwd): (Vec<Plain>, _) = match &remote.program {
        Program::Shell(call) => {
            let words = ["bash", "-euo", "pipefail", "-c", &call.script];
            (words.iter().map(|word| Zeroizing::new((*word).to_owned())).collect(), &call.cwd)
        }
        Program::Argv(call) => (call.argv.clone(), &call.cwd),
    };
    let mark = random_mark()?;
    let limits = [(timeout + MARGIN).as_secs(), grace.as_secs().max(1)];
    let preamble = preamble(&mark, &argv, environment, cwd.as_ref(), limits)?;
    Ok(Opening { size: preamble.len(), session: Session::new(&mark, preamble) })
}

fn random_mark() -> Result<String, String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| format!("the system gave no random numbers: {error}"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The script for the far side. In braces, so that a shell that has not got all of it runs none of it.
fn preamble(
    mark: &str,
    argv: &[Plain],
    environment: &BTreeMap<String, Plain>,
    cwd: Option<&Plain>,
    [limit, grace]: [u64; 2],
) -> Result<Plain, String> {
    // Grown to its full size at once, so that no copy of a secret is left behind by growing.
    let values = argv.iter().chain(environment.values()).chain(cwd);
    let room: usize = values.map(|value| quoted_len(value) + 1).sum();
    let names: usize = environment.keys().map(|name| name.len() + 16).sum();
    let mut out = Zeroizing::new(String::with_capacity(FAR.len() + room + names + 256));
    out.push_str(&format!("{{ consigne_mark={mark} consigne_limit={limit} consigne_grace={grace}\n"));
    out.push_str("consigne_env() { :");
    for (name, value) in environment {
        let fits = name.len() + value.len() + 2 <= LONGEST;
        if !is_variable(name) {
            return Err(format!("`{name}` is not a name that a shell gives to a variable"));
        }
        out.push_str(" && export ");
        out.push_str(name);
        out.push('=');
        quote(value, fits, &format!("variable `{name}`"), &mut out)?;
    }
    out.push_str("; }\nconsigne_cd() { :");
    if let Some(cwd) = cwd {
        out.push_str(" && cd -- ");
        // Neither an option nor the folder before this one.
        let below = if cwd.starts_with('/') { "" } else { "./" };
        out.push_str(below);
        quote(cwd, cwd.len() < LONGEST, "`cwd`", &mut out)?;
    }
    out.push_str("; }\nset --");
    for (number, word) in argv.iter().enumerate() {
        out.push(' ');
        quote(word, word.len() < LONGEST, &format!("argument {number}"), &mut out)?;
    }
    out.push('\n');
    out.push_str(FAR);
    out.push_str("}\n");
    Ok(out)
}

fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn quoted_len(value: &str) -> usize {
    value.len() + 2 + 3 * value.bytes().filter(|byte| *byte == b'\'').count()
}

/// In single quotes, where a shell reads nothing but the quote itself.
fn quote(value: &str, fits: bool, what: &str, out: &mut String) -> Result<(), String> {
    if !fits {
        return Err(format!("{what} is longer than the {LONGEST} bytes that a program can be given at once"));
    }
    if value.contains('\0') {
        return Err(format!("{what} holds a NUL byte, which no program can be given"));
    }
    out.push('\'');
    for (number, piece) in value.split('\'').enumerate() {
        out.push_str(if number == 0 { "" } else { "'\\''" });
        out.push_str(piece);
    }
    out.push('\'');
    Ok(())
}

/// The program that leads to the host, with all its arguments.
fn leading(reach: &Reach, base_dir: &Path, size: usize) -> Vec<String> {
    // No quote, backslash or exclamation mark: every login shell reads it in the same way.
    let script = format!("c=$(head -c {size}) && eval \"$c\"");
    match reach {
        Reach::Via(prefix) => {
            let mut argv = prefix.clone();
            argv.extend(["sh".to_owned(), "-c".to_owned(), script]);
            argv
        }
        Reach::Ssh(host) => {
            let mut argv = vec!["ssh".to_owned(), "-T".to_owned()];
            argv.extend(options(host, base_dir).into_iter().flat_map(|option| ["-o".to_owned(), option]));
            argv.extend(host.port.into_iter().flat_map(|port| ["-p".to_owned(), port.to_string()]));
            argv.extend(["--".to_owned(), host.address.clone(), format!("exec sh -c '{script}'")]);
            argv
        }
    }
}

/// Of several settings of one name, ssh takes the first.
fn options(host: &SshHost, base_dir: &Path) -> Vec<String> {
    let file = |path: &str| {
        let own = path.starts_with(['/', '~', '%']);
        let path = if own { path.to_owned() } else { base_dir.join(path).display().to_string() };
        format!("\"{path}\"")
    };
    let mut out: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
    if let Some(path) = &host.identity_file {
        out.push(format!("IdentityFile={}", file(path)));
        out.push("IdentitiesOnly=yes".to_owned());
    }
    if let Some(path) = &host.known_hosts {
        out.push(format!("UserKnownHostsFile={}", file(path)));
        let strictly = ["GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "UpdateHostKeys=no"];
        out.extend(strictly.map(str::to_owned));
    }
    out.extend(host.options.iter().map(|(name, value)| format!("{name}={value}")));
    out.extend(UNLESS.map(str::to_owned));
    out
}

/// What leads there sees none of the step's variables.
fn environment(inherited: &Inherited, mark: &Mark, dir: &Path) -> BTreeMap<String, OsString> {
    let mut out = inherited.variables().clone();
    out.insert(RUN_MARK.into(), mark.run.clone().into());
    out.insert(DIR_MARK.into(), dir.into());
    out.insert(ATTEMPT_MARK.into(), mark.attempt.clone().into());
    out
}

/// The step's variables and the marks of the run, which also find a program that a prefix started on this machine.
fn far_environment(call: &Call<'_>, remote: &RemoteCall<Plain>, mark: &Mark) -> BTreeMap<String, Plain> {
    let env = match &remote.program {
        Program::Shell(call) => &call.env,
        Program::Argv(call) => &call.env,
    };
    let mut out: BTreeMap<String, Plain> = env.iter().cloned().collect();
    let mut put = |name: &str, value: String| out.insert(name.to_owned(), Zeroizing::new(value));
    put(RUN_MARK, mark.run.clone());
    put(DIR_MARK, call.context.dir.display().to_string());
    put(ATTEMPT_MARK, mark.attempt.clone());
    put("CONSIGNE_STEP", call.request.key.step.clone());
    if let Some(key) = &call.request.idempotency_key {
        put("CONSIGNE_IDEMPOTENCY_KEY", key.clone());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Plain {
        Zeroizing::new(text.to_owned())
    }

    fn host(address: &str) -> SshHost {
        let (port, identity_file, known_hosts) = (None, None, None);
        SshHost { address: address.into(), port, identity_file, known_hosts, options: vec![] }
    }

    #[test]
    fn ssh_is_given_nothing_of_the_step() {
        let found = leading(&Reach::Ssh(host("deploy@web-01")), Path::new("/base"), 4711);
        let end: Vec<&str> = found.iter().rev().take(3).map(String::as_str).collect();
        assert_eq!(end, ["exec sh -c 'c=$(head -c 4711) && eval \"$c\"'", "deploy@web-01", "--"]);
        assert!(found.contains(&"BatchMode=yes".to_owned()) && found[1] == "-T");
        let script = &end[0]["exec sh -c '".len()..end[0].len() - 1];
        assert!(!script.contains(['\'', '!', '\\', '\n']), "any login shell reads it alike");
    }

    #[test]
    fn what_must_hold_stands_before_what_the_environment_says_and_defaults_behind_it() {
        let own = [("ForwardAgent", "yes"), ("ConnectTimeout", "3")];
        let options = options(
            &SshHost {
                known_hosts: Some("keys".into()),
                identity_file: Some("~/.ssh/id".into()),
                options: own.map(|(name, value)| (name.into(), value.into())).to_vec(),
                ..host("h")
            },
            Path::new("/base dir"),
        );
        let at = |text: &str| options.iter().position(|option| option == text).expect(text);
        assert!(at("ForwardAgent=no") < at("ForwardAgent=yes"));
        assert!(at("ConnectTimeout=3") < at("ConnectTimeout=10"));
        assert!(at("StrictHostKeyChecking=yes") > at("UserKnownHostsFile=\"/base dir/keys\""));
        at("IdentityFile=\"~/.ssh/id\"");
    }

    #[test]
    fn what_no_program_can_be_given_is_refused_before_anything_is_sent() {
        let none = BTreeMap::new();
        let long = "x".repeat(LONGEST);
        for (argv, named) in [("a\0b", "argument 0 holds a NUL"), (long.as_str(), "argument 0 is longer")] {
            let error = preamble("m", &[plain(argv)], &none, None, [1, 1]).unwrap_err();
            assert!(error.starts_with(named), "{error}");
        }
        for name in ["A-B", "", "1A", "A=B", "A;x"] {
            let env = BTreeMap::from([(name.to_owned(), plain("v"))]);
            assert!(preamble("m", &[], &env, None, [1, 1]).unwrap_err().contains("not a name"));
        }
    }

    #[test]
    fn the_first_text_is_as_long_as_foreseen() {
        let env = BTreeMap::from([("A".to_owned(), plain("it's 'quoted'"))]);
        let text = preamble("m", &[plain("a'b"), plain("")], &env, Some(&plain("-x")), [1, 1]).unwrap();
        assert!(text.capacity() >= text.len());
        assert!(text.contains("set -- 'a'\\''b' ''\n") && text.contains("cd -- ./'-x'"));
        assert!(text.starts_with("{ ") && text.ends_with("}\n"));
    }
}
