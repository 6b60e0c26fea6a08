//! `consigne sign`: a person decides about a run on another machine, with an SSH key.
//!
//! Needs no home, no run and no network: only what was pasted. Shows what is agreed to before it signs, and signs
//! exactly the text, or nothing. Keys of agents, and keys with a passphrase, stay with `ssh-keygen`.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::args::{Lang, SignArgs};
use super::drive::locale;
use super::error::CliError;
use super::exit::Exit;
use super::ui::Ui;
use crate::clock::{Clock, SystemClock};
use crate::core::Decision;
use crate::plan::Mode;
use crate::record::approval::{Approval, escape, wire};
use crate::record::block::Found;
use crate::record::sshsig::{FileKey, FileKeyError, SshSignature};

/// Longest line that a terminal hands over whole, and largest block, in bytes.
const TERMINAL_LINE: usize = 4_095;
const MOST: u64 = 16 << 20;

pub(super) fn sign(args: &SignArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(false);
    let pasted = match &args.file {
        Some(path) if path.as_os_str() != "-" => read(path)?,
        _ => paste(Path::new("-"))?,
    };
    let usage = |error: &dyn std::fmt::Display| CliError::new(Exit::Usage, error.to_string());
    let found = Found::in_paste(&pasted).map_err(|error| usage(&error).hint(AS_CODE))?;
    let text = found.text.ok_or_else(|| usage(&"there is a signature, but not the text of a decision"))?;
    let block = Approval::parse(text.as_bytes())
        .map_err(|error| usage(&format!("the text, {error}")).hint(AS_CODE))?;
    let now = SystemClock::new().now();
    if let Some(expires) = block.expires.filter(|expires| now > *expires) {
        return Err(usage(&format!("this expired at {expires}, and it is {now} here"))
            .hint("nothing is signed; the run asks again if it still needs an answer"));
    }
    let approval = filled(block, args)?;
    let left = approval.expires.map(|expires| expires.since(now));
    told(&approval, left).iter().for_each(|line| ui.say(line));
    if !args.yes && !agreed(&approval)? {
        ui.say(pick("rien n'est signé", "nothing is signed"));
        return Ok(Exit::RunFailed);
    }
    let key = args.key.clone().map_or_else(usual_key, Ok)?;
    let signature = signature(&approval, &key)?;
    let signed = format!("{}{}", approval.text(), signature.armor());
    match &args.output {
        Some(path) => write_new(path, &signed)?,
        None => ui.data(signed.trim_end_matches('\n')),
    }
    ui.say(&format!("{} {}", pick("signé par", "signed with"), signature.key().fingerprint()));
    let (run, step, word) = (&approval.run, &approval.step, wire(&approval.decision));
    ui.hint(&format!("there, anybody hands it in: consigne answer {run} {step} {word} --signature FILE"));
    Ok(Exit::Done)
}

const AS_CODE: &str = "let it be sent as a code block or as a file: chat changes what it takes for text";

/// The text as it will be signed: with name, decision and comment.
fn filled(block: Approval, args: &SignArgs) -> Result<Approval, CliError> {
    let who = match &args.as_person {
        Some(name) => name.clone(),
        None if block.is_unnamed() => named(&block)?,
        None => block.who.clone(),
    };
    let decision = match (args.reject, block.decision) {
        (_, Decision::Approve) if args.break_glass => Decision::BreakGlass,
        (true, Decision::Yes | Decision::No) => Decision::No,
        (true, _) => Decision::Reject,
        (false, given) => given,
    };
    let comment = args.comment.clone().or_else(|| block.comment.clone());
    Ok(Approval { who, decision, comment, ..block })
}

/// Asks whose decision it is.
fn named(block: &Approval) -> Result<String, CliError> {
    let who = escape(block.who.trim_start_matches('?').trim());
    loop {
        let name = ask(&format!("{} {who}", pick("votre nom parmi", "your name among")), "--as NAME")?;
        if !name.is_empty() && !name.starts_with(['-', '?']) && !name.contains(' ') {
            return Ok(name);
        }
    }
}

/// What is about to be signed, in lines that no value can break or disguise.
fn told(approval: &Approval, left: Option<u64>) -> Vec<String> {
    let live = approval.mode == Mode::Live;
    let mode = if live { pick("RÉEL", "LIVE") } else { approval.mode.name() };
    let until = approval.expires.zip(left).map_or_else(
        || pick("sans limite", "no time limit").to_owned(),
        |(at, left)| format!("{at} ({} min)", left / 60_000),
    );
    let plan = approval.plan.get(..12).unwrap_or_default();
    let decision = wire(&approval.decision).to_uppercase();
    let mut lines = vec![
        pick("Vous signez une décision avec votre clé SSH :", "You sign a decision with your SSH key:")
            .to_owned(),
        format!("  {:<10} {} ({mode})", "run", escape(&approval.run)),
        format!("  {:<10} {} sha256:{plan}…", "runbook", escape(&approval.runbook)),
        format!("  {:<10} {}", pick("étape", "step"), escape(&approval.step)),
        format!("  {:<10} {}", pick("pour", "for"), escape(&approval.org)),
        format!("  {:<10} {until}", pick("jusqu'à", "until")),
        format!("  {:<10} {}", pick("vous êtes", "you are"), escape(&approval.who)),
        format!("  {:<10} {decision}", pick("décision", "decision")),
    ];
    if let Some(comment) = &approval.comment {
        lines.push(format!("  {:<10} {}", pick("motif", "comment"), escape(comment)));
    }
    lines.push(
        pick("Ce qui est demandé, et ce qui sera fait :", "What is asked, and what will be done:").to_owned(),
    );
    lines.extend(approval.shown.iter().map(|line| format!("  | {}", escape(line))));
    lines
}

fn agreed(approval: &Approval) -> Result<bool, CliError> {
    let decision = wire(&approval.decision);
    let prompt = format!("{} {decision} (yes/no)", pick("signer :", "sign:"));
    loop {
        match ask(&prompt, "--yes")?.to_lowercase().as_str() {
            "yes" | "oui" => return Ok(true),
            "no" | "non" => return Ok(false),
            _ => {}
        }
    }
}

/// A line from the person at the terminal, wherever the block came from.
fn ask(prompt: &str, instead: &str) -> Result<String, CliError> {
    let nobody = || {
        CliError::new(Exit::Usage, "nobody can be asked: there is no terminal")
            .hint(format!("give {instead}"))
    };
    let mut terminal =
        std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| nobody())?;
    let _unseen = write!(terminal, "{prompt} > ").and_then(|()| terminal.flush());
    let mut line = String::new();
    let read = std::io::BufReader::new(terminal).read_line(&mut line);
    match read {
        Ok(1..) => Ok(line.trim().to_owned()),
        _ => Err(CliError::new(Exit::Usage, "nothing is signed: the terminal was closed")),
    }
}

/// What is pasted into the terminal, up to the end of the block; or all that comes through a pipe.
pub(super) fn paste(name: &Path) -> Result<String, CliError> {
    let stdin = std::io::stdin();
    let failed = |error: std::io::Error| CliError::file(Exit::Usage, "read", name, &error);
    if !stdin.is_terminal() {
        let mut text = String::new();
        stdin.lock().take(MOST).read_to_string(&mut text).map_err(failed)?;
        return Ok(text);
    }
    Ui::new(false)
        .say(pick("collez le bloc, puis Entrée et Ctrl-D :", "paste the block, then Enter and Ctrl-D:"));
    let mut text = String::new();
    for line in stdin.lock().lines() {
        let line = line.map_err(failed)?;
        if line.len() >= TERMINAL_LINE {
            let message = "a line is longer than a terminal hands over";
            return Err(
                CliError::new(Exit::Usage, message).hint("save the block to a file, and name the file")
            );
        }
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

pub(super) fn read(path: &Path) -> Result<String, CliError> {
    let failed = |error: &std::io::Error| CliError::file(Exit::Usage, "read", path, error);
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut text = String::new();
    file.take(MOST).read_to_string(&mut text).map_err(|error| failed(&error))?;
    Ok(text)
}

fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| CliError::file(Exit::Usage, "write", path, &error))
}

/// The key that `ssh` would try first, or its public half where an agent holds it.
fn usual_key() -> Result<PathBuf, CliError> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let names = ["id_ed25519", "id_ecdsa", "id_ed25519.pub", "id_ecdsa.pub"];
    let known = names.map(|name| home.join(".ssh").join(name));
    known.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        CliError::new(Exit::Usage, "there is no ~/.ssh/id_ed25519 and no ~/.ssh/id_ecdsa")
            .hint("name a key with --key; the .pub of a key that an agent holds will do")
    })
}

fn signature(approval: &Approval, key: &Path) -> Result<SshSignature, CliError> {
    let (namespace, text) = (approval.namespace(true), approval.text());
    let failed = |error: &FileKeyError| CliError::new(Exit::Usage, error.to_string());
    match FileKey::load(key) {
        Ok(key) => key.sign(&namespace, text.as_bytes()).map_err(|error| failed(&error)),
        Err(error @ FileKeyError::Read { .. }) => Err(failed(&error)),
        // An agent's, one with a passphrase, or one that only OpenSSH reads.
        Err(_) => by_ssh_keygen(&namespace, &text, key),
    }
}

fn by_ssh_keygen(namespace: &str, text: &str, key: &Path) -> Result<SshSignature, CliError> {
    let failed = |what: String| CliError::new(Exit::Usage, format!("ssh-keygen {what}"));
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", namespace, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("cannot be started: {error}")))?;
    // It says itself why it does not read on.
    let _told_by_its_exit = child.stdin.take().map(|mut input| input.write_all(text.as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(format!("failed: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("signed nothing with {}", key.display())));
    }
    let signature = SshSignature::parse(&output.stdout).map_err(|error| {
        failed(format!("made a signature that does not count here: {}", error.what))
            .hint("keys on security tokens and certificates are not accepted yet")
    })?;
    signature
        .verify(namespace, text.as_bytes())
        .map_err(|error| failed(format!("signed something else: {error}")))?;
    Ok(signature)
}

fn pick(fr: &'static str, en: &'static str) -> &'static str {
    if locale() == Lang::Fr { fr } else { en }
}
