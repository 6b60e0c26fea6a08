//! Certificates of rehearsals: made of a good rehearsal alone, for exactly its runbook, and needed where an environment
//! says so.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use consigne::clock::{Clock, Timestamp, VirtualClock};
use consigne::engine::certified::NotCertified;
use consigne::engine::launch::{self, Answering, Host, Hosting, LaunchError, NewRun};
use consigne::operator::Unattended;
use consigne::plan::{BuildRequest, Mode, Plan, build};
use consigne::record::certificate::{Certificate, FILE, Refusal};
use consigne::record::keys::ExecutorKey;
use consigne::record::trust::Trust;
use consigne::runbook::check_file;
use consigne::runbook::environment::Services;

use crate::environment::{Said, TestEnvironment, not_run};

const WIPE: &str = r#"consigne: v1
id: wipe
title: {fr: "Effacer", en: "Wipe"}
steps:
  - {id: go, confirm: {}, message: "Wipe?"}
  - {id: wipe, shell: "echo wiped >> @/touched", effect: destructive}
  - {id: tell, runbook: {use: tell}}
"#;

const TELL: &str = r#"consigne: v1
id: tell
title: "Tell"
steps:
  - {id: note, shell: "echo told >> @/touched", effect: write}
"#;

/// A runbook that destroys something, in an environment that asks for a certificate.
fn world(rule: &str) -> TestEnvironment {
    let env = TestEnvironment::new();
    env.write("wipe.yaml", WIPE);
    env.write("tell.yaml", TELL);
    env.write("environments/strict.yaml", &format!("protected: true\nrehearsal_certificate: {rule}\n"));
    env.write("answers.yaml", "go: yes\n");
    env
}

fn rehearse(env: &TestEnvironment, out: &str) -> Said {
    env.consigne(&["rehearse", "wipe.yaml", "--answers", "answers.yaml", "--out", &at(env, out)])
}

/// A folder among the runs.
fn at(env: &TestEnvironment, run: &str) -> String {
    env.run(run).display().to_string()
}

/// A rehearsal with its certificate, and the file of that.
fn certified(env: &TestEnvironment) -> PathBuf {
    let _rehearsed = rehearse(env, "h1").ends(0);
    let _made = env.consigne(&["certify", "h1"]).ends(0);
    kept(env).pop().expect("a certificate")
}

fn kept(env: &TestEnvironment) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(env.path("consigne/certificates")).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = listing.map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn run(env: &TestEnvironment, id: &str) -> Said {
    env.consigne(&["run", "wipe.yaml", "--env", "strict", "--answers", "answers.yaml", "--run-id", id])
}

fn refused(env: &TestEnvironment, why: &str) {
    let said = run(env, "r9").ends(3);
    assert!(said.stderr.contains(why) && said.stderr.contains("nothing was started"), "{why}: {said}");
    assert!(!env.run("r9").exists() && env.touched().is_empty(), "{said}");
    let looked = env.consigne(&["preflight", "wipe.yaml", "--env", "strict"]).ends(3);
    let line = looked.stdout.lines().find(|line| line.contains("certif.")).unwrap_or_default();
    assert!(line.starts_with("MISSING"), "{looked}");
    let planned = env.consigne(&["plan", "wipe.yaml", "--env", "strict"]).ends(0);
    assert!(planned.stdout.contains("Rehearsal certificate: "), "{planned}");
}

/// The certificate, otherwise said and signed anew by the executor of the home.
fn said_otherwise(env: &TestEnvironment, file: &PathBuf, change: fn(&mut Certificate)) {
    let (key, trust) = (ExecutorKey::load(&env.path("consigne")).unwrap(), env.path("consigne/trust"));
    let bytes = std::fs::read(file).unwrap();
    let now = consigne::clock::SystemClock::new().now();
    let mut read = Certificate::read(&bytes, &Trust::load(&trust).unwrap(), now).unwrap();
    change(&mut read.certificate);
    std::fs::write(file, read.certificate.sign(&read.files, key.signing()).unwrap()).unwrap();
}

fn earlier(at: Timestamp, days: i64) -> Timestamp {
    Timestamp::from_millis(at.millis() - days * 86_400_000)
}

#[test]
fn a_destructive_runbook_runs_with_the_certificate_of_its_rehearsal() {
    let env = world("{max_age: 30d, min_coverage: 40}");
    refused(&env, "there is none for `wipe`");
    let file = certified(&env);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let said = env.consigne(&["verify", file.to_str().unwrap(), "--runbook", "wipe"]).ends(0).stdout;
    for line in ["placeholder 2", "tell/note, wipe", "4 / 10, 40 %", "VERIFIED as a rehearsal certificate"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let json = env.consigne(&["verify", file.to_str().unwrap(), "--json"]).ends(0).json();
    assert_eq!((&json["ok"], &json["certificate"]["rehearsal"]["run"]), (&true.into(), &run_of(&env).into()));
    let looked = env.consigne(&["preflight", "wipe.yaml", "--env", "strict"]).ends(0);
    assert!(looked.stdout.contains("wipe: valid until [TIME]"), "{looked}");
    let planned = env.consigne(&["plan", "wipe.yaml", "--env", "strict", "--lang", "fr"]).ends(0);
    assert!(planned.stdout.contains("Certificat de répétition : valable jusqu'au [TIME]"), "{planned}");
    let document = env.consigne(&["plan", "wipe.yaml", "--env", "strict", "--json"]).ends(0).json();
    assert_eq!(
        document["certificate"],
        serde_json::json!({"max_age_ms": 2_592_000_000_u64, "min_coverage": 40})
    );

    let _done = run(&env, "r1").ends(0);
    assert_eq!(env.touched(), ["wiped", "told"]);
    let _verified = env.consigne(&["verify", "r1"]).ends(0);
    let report = env.consigne(&["report", "r1", "--open"]).ends(0).stdout;
    assert!(
        report.contains("rehearsal certificate: ") && report.contains("plan/certificate.dsse.json"),
        "{report}"
    );
    assert_eq!(std::fs::read(env.run("r1").join("plan").join(FILE)).unwrap(), std::fs::read(&file).unwrap());
}

/// Its id, which its folder does not tell.
fn run_of(env: &TestEnvironment) -> String {
    let graph = std::fs::read_to_string(env.run("h1").join("events.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(graph.lines().next().unwrap()).unwrap();
    first["run"].as_str().unwrap().to_owned()
}

fn has_stock_tools(env: &TestEnvironment) -> bool {
    ["jq", "openssl", "ssh-keygen"]
        .iter()
        .all(|tool| env.shell(&format!("command -v {tool}")).code == Some(0))
}

/// A script of `docs`, its exit code and what it says. What waits for ever is ended.
fn script(env: &TestEnvironment, name: &str, args: &[&str]) -> (Option<i32>, String) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let mut command = env.command_of("timeout");
    let output = command.args(["60", "bash"]).arg(script).args(args).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn stock_tools_say_the_same_of_it() {
    let env = world("{}");
    let file = certified(&env);
    let _done = run(&env, "r1").ends(0);
    if !has_stock_tools(&env) {
        return not_run("jq, openssl or ssh-keygen is missing");
    }
    let trust = env.path("consigne/trust");
    let (file, trust) = (file.to_str().unwrap(), trust.to_str().unwrap());
    let plan = format!("{}/plan", at(&env, "h1"));
    let (code, said) = script(&env, "verify-certificate.sh", &[file, trust, &plan]);
    assert!(code == Some(0) && said.contains("VERIFIED: rehearsal"), "{said}");
    let (code, said) = script(&env, "verify.sh", &[&at(&env, "r1"), trust]);
    assert!(code == Some(0) && said.contains("VERIFIED: run r1"), "{said}");
    // The digest by hand, as docs/certificate.md has it.
    let by_hand = format!("cd {plan} && LC_ALL=C sha256sum runbook.yaml uses-*.yaml | sha256sum");
    let by_hand = env.command_of("sh").args(["-c", &by_hand]).output().unwrap();
    let digest = String::from_utf8(by_hand.stdout).unwrap();
    let (_, said) = script(&env, "verify-certificate.sh", &[file, trust]);
    assert!(said.contains(&format!("for sha256:{}", &digest[..64])), "{said}");
}

#[test]
fn stock_tools_trust_nobody_whom_consigne_does_not() {
    let env = world("{}");
    let file = certified(&env);
    if !has_stock_tools(&env) {
        return not_run("jq, openssl or ssh-keygen is missing");
    }
    let (good, trust) = (std::fs::read(&file).unwrap(), env.path("consigne/trust"));
    let signers = trust.join("allowed_signers");
    let known = std::fs::read_to_string(&signers).unwrap();
    let (mine, plan) = (file.to_str().unwrap(), format!("{}/plan", at(&env, "h1")));
    let both = || {
        let own = env.consigne(&["verify", mine, "--runbook", "wipe.yaml"]);
        let (code, said) = script(&env, "verify-certificate.sh", &[mine, trust.to_str().unwrap(), &plan]);
        (own.code == Some(0), code == Some(0), format!("{own}\n{said}"))
    };
    let line = known.lines().find(|line| line.starts_with("executor@")).expect("the executor signs");
    let (who, key) = (line.split(' ').next().unwrap(), &line[line.find("ssh-ed25519").unwrap()..]);
    let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let space = "attest.*@consigne.invalid";
    for (counts, text) in [
        (true, format!("{who} namespaces=\"{space}\" {key}")),
        (true, format!("# others\n\t\n\"{who}\"\tNAMESPACES=\"x,{space}\",valid-after=\"20200101Z\" {key}")),
        (true, format!("{who} namespaces=\"{space}\" {key} cert-authority valid-before=\"20200101Z\"")),
        (false, format!("{who} namespaces=\"seal.*@x\" {key} namespaces=\"{space}\"")),
        (
            false,
            format!(
                "{who} namespaces=\"{space}\",valid-before=\"20200101Z\" {key} valid-before=\"20990101Z\""
            ),
        ),
        (false, format!("{who} namespaces=\"{space}\",valid-after=\"20990101Z\" {key}")),
        (false, format!("{who} CERT-AUTHORITY,namespaces=\"{space}\" {key}")),
        (false, format!("{who} namespaces=\"*.certificate.wipe.*\" {key}")),
        (false, format!("{who} namespaces=\"?ttest.*\" {key}")),
        (false, format!("{who} namespaces=\"a[t]test.*\" {key}")),
        (false, format!("{who} namespaces=\"{space},!attest.*.wipe.*\" {key}")),
        (false, format!("{who} namespaces=\"{space}\",unheard=\"x\" {key}")),
        (false, format!("{who} namespaces=\"{space}\",namespaces=\"{space}\" {key}")),
        (false, format!("{who} namespaces=\"{space}\",valid-after=\"2020\" {key}")),
        (false, format!("{who} {key}")),
        (false, format!("bob namespaces=\"{space}\" {key}")),
        (false, format!("bob namespaces=\"{space}\" {key}\n{who} namespaces=\"{space}\" {key}")),
        (false, format!("nonsense\n{who} namespaces=\"{space}\" {key}")),
    ] {
        std::fs::write(&signers, format!("{text}\n")).unwrap();
        let (own, stock, said) = both();
        assert!(own == counts && stock == counts, "{text}\n{said}");
    }
    std::fs::write(&signers, known).unwrap();
    let changes: [fn(&mut Certificate); 4] = [
        |read| read.runbook = "tell".to_owned(),
        |read| read.issuer.personal = true,
        |read| read.expires_on = earlier(read.issued_on, 1),
        |read| read.issued_on = earlier(read.issued_on, -1),
    ];
    for change in changes {
        std::fs::write(&file, &good).unwrap();
        said_otherwise(&env, &file, change);
        let (own, stock, said) = both();
        assert!(!own && !stock, "{said}");
    }
    std::fs::write(&file, good).unwrap();
    assert!(matches!(both(), (true, true, _)));
}

#[test]
fn one_that_does_not_count_lets_nothing_begin() {
    let env = world("{}");
    let file = certified(&env);
    let good = std::fs::read(&file).unwrap();
    let verified = |why: &str| {
        let said = env.consigne(&["verify", file.to_str().unwrap(), "--runbook", "wipe"]).ends(5);
        assert!(said.stdout.contains(why) && said.stdout.contains("NOT VERIFIED"), "{why}: {said}");
    };
    // One byte of what was signed.
    let mut torn = good.clone();
    let payload = torn.windows(11).position(|part| part == br#""payload":""#).unwrap() + 200;
    torn[payload] = if torn[payload] == b'A' { b'B' } else { b'A' };
    std::fs::write(&file, &torn).unwrap();
    refused(&env, "its signature: the signature of the envelope does not match");
    verified("its signature");
    std::fs::write(&file, &good).unwrap();
    // Time has passed.
    said_otherwise(&env, &file, |made| {
        made.issued_on = earlier(made.issued_on, 91);
        made.expires_on = earlier(made.expires_on, 91);
    });
    refused(&env, "it expired at [TIME]");
    verified("it expired");
    std::fs::write(&file, &good).unwrap();
    // The runbook that it uses is another one.
    env.write("tell.yaml", &TELL.replace("told", "tolled"));
    refused(&env, "it is for another version of the runbook");
    verified("another version");
    env.write("tell.yaml", TELL);
    env.write("wipe.yaml", &format!("{WIPE}# a word more\n"));
    refused(&env, "it is for another version of the runbook");
    env.write("wipe.yaml", WIPE);
    // Who signed it is not trusted (any more).
    let list = env.path("consigne/trust/allowed_signers");
    let text = std::fs::read_to_string(&list).unwrap();
    std::fs::write(&list, text.replace("attest.*", "attest.live.*")).unwrap();
    refused(&env, "not trusted");
    verified("not trusted");
    std::fs::write(&list, text.replace("@consigne.invalid", "@other.example")).unwrap();
    refused(&env, "not trusted");
    std::fs::write(&list, text).unwrap();
    let _done = run(&env, "r1").ends(0);
}

#[test]
fn the_environment_says_how_old_and_how_much() {
    let env = world("{max_age: 30d, min_coverage: 40}");
    let file = certified(&env);
    let good = std::fs::read(&file).unwrap();
    said_otherwise(&env, &file, |made| {
        made.rehearsal.on = earlier(made.rehearsal.on, 31);
        made.issued_on = earlier(made.issued_on, 31);
    });
    refused(&env, "longer ago than 30 days");
    std::fs::write(&file, good).unwrap();
    env.write("environments/strict.yaml", "protected: true\nrehearsal_certificate: {min_coverage: 41}\n");
    refused(&env, "40 % of the edges were walked, expected 41 %");
    // A rehearsal of the same version in which somebody says no walks more.
    env.write("no.yaml", "go: no\n");
    let _refused =
        env.consigne(&["rehearse", "wipe.yaml", "--answers", "no.yaml", "--out", &at(&env, "h2")]).ends(1);
    let made = env.consigne(&["certify", "h1", "--min-coverage", "41", "--json"]).ends(0).json();
    let coverage = &made["certificate"]["coverage"];
    assert_eq!((&coverage["walked"], &coverage["byRehearsal"]), (&5.into(), &4.into()), "{made}");
    assert_eq!(coverage["runs"].as_array().map(Vec::len), Some(2), "{made}");
    let _done = run(&env, "r1").ends(0);
}

#[test]
fn a_rehearsal_that_is_not_good_enough_is_not_certified() {
    let env = world("{}");
    let refused = |args: &[&str], code: i32, why: &str| {
        let said = env.consigne(&[&["certify"], args].concat()).ends(code);
        assert!(said.stderr.contains(why), "{why}: {said}");
        assert!(kept(&env).is_empty(), "{said}");
    };
    refused(&["h0"], 2, "no run `h0`");
    let drill = ["drill", "wipe.yaml", "--env", "plain", "--answers", "answers.yaml", "--run-id", "d1"];
    let _drilled = env.consigne(&drill).ends(0);
    refused(&["d1"], 2, "a certificate is of a rehearsal");
    env.write("no.yaml", "go: no\n");
    let _refused =
        env.consigne(&["rehearse", "wipe.yaml", "--answers", "no.yaml", "--out", &at(&env, "no")]).ends(1);
    refused(&["no"], 1, "ended `refused`");
    let _parked = env.consigne(&["rehearse", "wipe.yaml", "--out", &at(&env, "parked")]).ends(4);
    refused(&["parked"], 4, "is not over");
    let _rehearsed = rehearse(&env, "h1").ends(0);
    refused(&["h1", "--min-coverage", "90"], 1, "expected 90 %");
    refused(&["h1", "--expires", "0d"], 2, "more than nothing");
    refused(&["h1", "--runbook", "tell"], 3, "another version");
    env.write("tell.yaml", &TELL.replace("told", "tolled"));
    refused(&["h1"], 3, "changed since: uses-tell.yaml");
    env.write("tell.yaml", TELL);
    env.write("wipe.yaml", &WIPE.replace("id: wipe", "id: wide"));
    refused(&["h1"], 3, "--runbook FILE says where");
    env.write("wipe.yaml", WIPE);
    let events = env.run("h1").join("events.jsonl");
    let honest = std::fs::read_to_string(&events).unwrap();
    std::fs::write(&events, honest.replacen("succeeded", "succeedef", 1)).unwrap();
    refused(&["h1"], 5, "");
    std::fs::write(&events, honest).unwrap();
    let _made = env.consigne(&["certify", "h1", "--expires", "12h"]).ends(0);
}

#[test]
fn a_person_certifies_with_a_key_that_is_enrolled() {
    let env = world("{}");
    let _rehearsed = rehearse(&env, "h1").ends(0);
    let _keys = env.consigne(&["keys", "init"]).ends(0);
    if env.shell("ssh-keygen -q -t ed25519 -N '' -C bob -f bob").code != Some(0) {
        return not_run("ssh-keygen is missing");
    }
    let stranger = env.consigne(&["certify", "h1", "--key", "bob"]).ends(2);
    assert!(stranger.stderr.contains("is nobody's here"), "{stranger}");
    let _enrolled =
        env.consigne(&["keys", "enrol", "bob@example.com", "bob.pub", "--runbook", "other"]).ends(0);
    let narrow = env.consigne(&["certify", "h1", "--key", "bob"]).ends(2);
    assert!(narrow.stderr.contains("would not count here: not trusted"), "{narrow}");
    let _enrolled =
        env.consigne(&["keys", "enrol", "bob@example.com", "bob.pub", "--runbook", "wipe"]).ends(0);
    let _made =
        env.consigne(&["certify", "h1", "--key", "bob", "-o", "wipe.dsse.json", "--lang", "fr"]).ends(0);
    let said = env.consigne(&["verify", "wipe.dsse.json"]).ends(0).stdout;
    assert!(said.contains("signed      bob@example.com (consigne.invalid)"), "{said}");
    let begun = run(&env, "r1").ends(0);
    assert!(begun.stderr.contains("by bob@example.com, until [TIME]"), "{begun}");
    let _verified = env.consigne(&["verify", "r1"]).ends(0);
}

#[test]
fn only_live_runs_that_destroy_something_need_one() {
    let env = world("{}");
    let answered = ["--answers", "answers.yaml"];
    let _drilled = env
        .consigne(&[&["drill", "wipe.yaml", "--env", "plain", "--run-id", "d1"], &answered[..]].concat())
        .ends(0);
    let _rehearsed =
        env.consigne(&[&["rehearse", "wipe.yaml", "--env", "strict"], &answered[..]].concat()).ends(0);
    let _told = env.consigne(&["run", "tell.yaml", "--env", "strict"]).ends(0);
    let _elsewhere = env.consigne(&[&["run", "wipe.yaml", "--env", "plain"], &answered[..]].concat()).ends(0);
    assert_eq!(env.touched(), ["wiped", "told", "told", "wiped", "told"]);
    refused_once(&env);
}

fn refused_once(env: &TestEnvironment) {
    let said = run(env, "r9").ends(3);
    assert!(said.stderr.contains("there is none for `wipe`"), "{said}");
}

#[test]
fn a_run_that_began_goes_on_and_one_that_is_done_again_needs_its_own() {
    let env = world("{}");
    let file = certified(&env);
    let _parked = env.consigne(&["run", "wipe.yaml", "--env", "strict", "--run-id", "r1"]).ends(4);
    std::fs::remove_file(&file).unwrap();
    let _done = env.consigne(&["answer", "r1", "go", "yes", "--resume"]).ends(0);
    let again = ["rerun", "r1", "--from", "tell", "--run-id", "r2", "--answers", "answers.yaml"];
    let refused = env.consigne(&again).ends(3);
    assert!(refused.stderr.contains("there is none for `wipe`") && !env.run("r2").exists(), "{refused}");
    let _made = env.consigne(&["certify", "h1"]).ends(0);
    let _done = env.consigne(&again).ends(0);
    assert!(env.run("r2").join("plan").join(FILE).exists());
    let _verified = env.consigne(&["verify", "r2"]).ends(0);
}

fn of_nothing(mode: Mode) -> BuildRequest<'static> {
    static NOTHING: (BTreeMap<String, serde_json::Value>, Services) = (BTreeMap::new(), Services::new());
    BuildRequest { mode, environment: None, others: &[], inputs: &NOTHING.0, services: &NOTHING.1 }
}

/// Begins a run of a plan, and says that it is one of those files.
async fn begin(
    env: &TestEnvironment,
    clock: &Arc<dyn Clock>,
    id: &str,
    plan: &Plan,
    frozen: &[(&str, &str)],
) -> Result<(), LaunchError> {
    let host = Host {
        home: env.path("consigne"),
        clock: clock.clone(),
        tool: "consigne test".to_owned(),
        attended: true,
        alone: true,
        no_wait: false,
        prompt_secret: None,
        key: None,
    };
    let bytes = |text: &str| std::fs::read(env.work(text)).unwrap();
    let new = NewRun {
        id: id.to_owned(),
        dir: env.run(id),
        plan: plan.clone(),
        hosting: Hosting { base_dir: env.path("work"), services: Vec::new(), surroundings: None },
        frozen: frozen.iter().map(|(name, file)| ((*name).to_owned(), bytes(file))).collect(),
        lang: "en".to_owned(),
        first: Vec::new(),
        waits: false,
    };
    let (_send, replies) = tokio::sync::mpsc::unbounded_channel();
    let answering = Answering { operator: Box::new(Unattended::new()), replies };
    launch::begin(new, &host, answering).await.map(drop)
}

/// Those that do not are named, and so are those that do.
#[tokio::test]
async fn other_runs_count_that_are_of_a_plan_of_this_runbook() {
    let env = world("{}");
    let _rehearsed = rehearse(&env, "h1").ends(0);
    let answered = ["--answers", "answers.yaml"];
    let drill = ["drill", "wipe.yaml", "--env", "plain", "--run-id", "d1"];
    let _drilled = env.consigne(&[&drill, &answered[..]].concat()).ends(0);
    let live = ["run", "wipe.yaml", "--env", "plain", "--run-id", "r1"];
    let _done = env.consigne(&[&live, &answered[..]].concat()).ends(0);
    let again = ["rerun", "r1", "--from", "tell", "--run-id", "r2"];
    let _again = env.consigne(&[&again, &answered[..]].concat()).ends(0);
    // Sealed by the executor of this home, of these files by name; but what it did is something else.
    std::fs::create_dir(env.work("short")).unwrap();
    env.write("short/tell.yaml", TELL);
    let other = WIPE.replace("  - {id: go, confirm: {}, message: \"Wipe?\"}\n", "");
    env.write("short/wipe.yaml", &other.replace("effect: destructive", "effect: write"));
    let short = check_file(&env.work("short/wipe.yaml"), None).document.unwrap();
    let plan = build(&short, &of_nothing(Mode::Drill)).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(consigne::clock::SystemClock::new());
    let files = [("runbook.yaml", "wipe.yaml"), ("uses-tell.yaml", "tell.yaml")];
    begin(&env, &clock, "d2", &plan, &files).await.unwrap();
    let _verified = env.consigne(&["verify", "d2"]).ends(0);
    // And one whose graph is another one than when it began.
    let _drilled = env.consigne(&[&drill[..5], &["d3"], &answered[..]].concat()).ends(0);
    let graph = env.run("d3").join("plan/graph.json");
    std::fs::write(&graph, std::fs::read_to_string(&graph).unwrap() + "\n").unwrap();

    let made = env.consigne(&["certify", "h1"]).ends(0);
    assert!(made.stderr.contains("run d2 counts for nothing: its plan is none of this runbook"), "{made}");
    assert!(
        made.stderr.contains("run d3 counts for nothing: ") && made.stderr.contains("was changed"),
        "{made}"
    );
    let counted = format!("counted     live r1, r2; drill d1; rehearsal {}", run_of(&env));
    let file = kept(&env).pop().unwrap();
    let said = env.consigne(&["verify", file.to_str().unwrap()]).ends(0);
    for said in [&made, &said] {
        assert!(said.stdout.lines().any(|line| line == counted), "{counted}: {said}");
    }
}

/// By the clock of whoever begins the run.
#[tokio::test]
async fn it_counts_until_its_day_has_come() {
    let env = world("{}");
    let _file = certified(&env);
    let report = check_file(&env.work("wipe.yaml"), Some("strict"));
    let (document, environment) = (report.document.unwrap(), report.environment.unwrap());
    let request = BuildRequest { environment: Some(&environment), ..of_nothing(Mode::Live) };
    let plan = build(&document, &request).unwrap();
    let own = Arc::new(VirtualClock::at(consigne::clock::SystemClock::new().now()));
    let clock: Arc<dyn Clock> = own.clone();
    let begin = async |id: &str, frozen: &[(&str, &str)]| begin(&env, &clock, id, &plan, frozen).await;
    let files = [("runbook.yaml", "wipe.yaml"), ("uses-tell.yaml", "tell.yaml")];
    own.advance(89 * 86_400_000);
    assert!(begin("r1", &files).await.is_ok());
    let less = begin("r2", &files[..1]).await;
    assert!(matches!(
        less,
        Err(LaunchError::NotCertified(NotCertified::Refused { refusal: Refusal::OtherVersion { .. }, .. }))
    ));
    own.advance(86_400_000);
    let late = begin("r3", &files).await;
    assert!(matches!(
        late,
        Err(LaunchError::NotCertified(NotCertified::Refused { refusal: Refusal::Expired(_), .. }))
    ));
    assert!(!env.run("r2").exists() && !env.run("r3").exists());
}

#[test]
fn what_takes_a_step_back_may_destroy_too() {
    let env = world("{}");
    for (key, back) in [("undo", ""), ("put_back", ", only_if: {shell: \"true\"}")] {
        let back = format!("{key}: {{shell: \"echo destroyed >> @/touched\", effect: destructive{back}}}");
        env.write(
            "back.yaml",
            &format!(
                "consigne: v1\nid: back\ntitle: Back\nsteps:\n  - {{id: go, confirm: {{}}, message: \"Make?\"}}\n  - {{id: make, shell: \"echo made >> @/touched\", effect: write, {back}}}\n"
            ),
        );
        let said =
            env.consigne(&["run", "back.yaml", "--env", "strict", "--answers", "answers.yaml"]).ends(3);
        assert!(said.stderr.contains("there is none for `back`"), "{key}: {said}");
        assert!(env.touched().is_empty(), "{key}");
    }
}

#[test]
fn a_rerun_is_asked_what_the_environment_asks_for_today() {
    let env = world("{}");
    env.write("environments/strict.yaml", "{}\n");
    let _before = run(&env, "r1").ends(0);
    env.write("environments/strict.yaml", "protected: true\nrehearsal_certificate: {}\n");
    let again =
        || env.consigne(&["rerun", "r1", "--from", "go", "--answers", "answers.yaml", "--run-id", "r2"]);
    let said = again().ends(3);
    assert!(said.stderr.contains("there is none for `wipe`"), "{said}");
    assert_eq!(env.touched(), ["wiped", "told"]);
    let _certificate = certified(&env);
    let _done = again().ends(0);
    let _verified = env.consigne(&["verify", "r2"]).ends(0);
}

#[test]
fn what_lies_beside_a_certificate_neither_stops_a_run_nor_drives_a_terminal() {
    let env = world("{}");
    let file = certified(&env);
    let folder = file.parent().unwrap();
    std::fs::create_dir(folder.join("wipe.zz.dsse.json")).unwrap();
    let _done = run(&env, "r1").ends(0);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = run(&env, "r2").ends(3);
    assert!(said.stderr.contains("wipe.zz.dsse.json does not count"), "{said}");
    // Nobody has signed the name of a key.
    let mut envelope: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    envelope["signatures"][0]["keyid"] = "\u{1b}[2J\nVERIFIED".into();
    std::fs::write(&file, format!("{envelope}\n")).unwrap();
    let planned = env.consigne(&["plan", "wipe.yaml", "--env", "strict"]).ends(0).stdout;
    assert!(planned.contains("no key in allowed_signers") && !planned.contains('\u{1b}'), "{planned}");
    assert!(!planned.contains("\nVERIFIED"), "{planned}");
    let judged = env.consigne(&["verify", file.to_str().unwrap()]).ends(5).stdout;
    assert!(judged.contains("NOT VERIFIED") && !judged.contains("\nVERIFIED"), "{judged}");
}

#[test]
fn what_never_ends_is_no_certificate() {
    let env = world("{}");
    let file = certified(&env);
    let long = env.work("long.json");
    std::fs::File::create(&long).unwrap().set_len(1 << 40).unwrap();
    let said = env.consigne(&["verify", "long.json"]).ends(5);
    assert!(said.stdout.contains("it is longer than 32 MiB"), "{said}");
    let _made = env.shell("mkfifo pipe.json && ln -s /dev/zero zero.json").ends(0);
    for name in ["pipe.json", "zero.json"] {
        let said = env.consigne(&["verify", name]).ends(5);
        assert!(said.stderr.contains("not a file"), "{said}");
    }
    let trust = env.path("consigne/trust");
    for (name, why) in [("pipe", "not a file"), ("zero", "not a file"), ("long", "longer than 32 MiB")] {
        let file = env.work(&format!("{name}.json"));
        let (code, said) =
            script(&env, "verify-certificate.sh", &[file.to_str().unwrap(), trust.to_str().unwrap()]);
        assert!(code == Some(1) && said.contains(why), "{name}: {said}");
    }
    // Nor does one keep a run from another that counts.
    let folder = file.parent().unwrap();
    std::fs::rename(env.work("pipe.json"), folder.join("wipe.pipe.dsse.json")).unwrap();
    std::fs::rename(&long, folder.join("wipe.long.dsse.json")).unwrap();
    let _done = run(&env, "r1").ends(0);
}
