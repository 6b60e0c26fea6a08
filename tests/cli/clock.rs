//! A wall clock that is set back between two looks at a run: said in the journal, and times never go back.

use std::collections::BTreeMap;
use std::sync::Arc;

use consigne::clock::{Clock, Timestamp, VirtualClock};
use consigne::core::{Actor, Answer, Fact, How, Input};
use consigne::engine::launch::{self, Answering, Host, Hosting, NewRun};
use consigne::journal::Journal;
use consigne::operator::Unattended;
use consigne::plan::{BuildRequest, Mode, build};
use consigne::record::keys::ExecutorKey;
use consigne::runbook::check_file;
use consigne::runbook::environment::Services;
use consigne::runbook::inputs::{Given, resolve};

use crate::environment::TestEnvironment;

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn a_clock_that_is_set_back() {
    let env = TestEnvironment::new();
    let (home, dir) = (env.path("consigne"), env.run("r"));
    let report = check_file(&env.work("small.yaml"), Some("plain"));
    let (document, environment) = (report.document.unwrap(), report.environment.unwrap());
    let (inputs, problems) = resolve(&document, &Given::default());
    assert!(problems.is_empty(), "{problems:?}");
    let request = BuildRequest {
        mode: Mode::Drill,
        environment: Some(&environment),
        others: &[],
        inputs: &inputs,
        services: &Services::new(),
    };
    let plan = build(&document, &request).unwrap();
    ExecutorKey::init(&home, "consigne", "host").unwrap();
    let start = Timestamp::from_millis(1_800_000_000_000);
    let own = Arc::new(VirtualClock::at(start));
    let clock: Arc<dyn Clock> = own.clone();
    let host = Host {
        home: home.clone(),
        clock: clock.clone(),
        tool: "consigne test".to_owned(),
        attended: true,
        alone: true,
        no_wait: false,
        prompt_secret: None,
        key: None,
    };
    let new = NewRun {
        id: "r".to_owned(),
        dir: dir.clone(),
        plan,
        hosting: Hosting { base_dir: env.path("work"), services: Vec::new(), surroundings: None },
        frozen: BTreeMap::new(),
        lang: "en".to_owned(),
        first: Vec::new(),
        waits: false,
    };
    let (_send, replies) = tokio::sync::mpsc::unbounded_channel();
    let answering = Answering { operator: Box::new(Unattended::new()), replies };
    launch::begin(new, &host, answering).await.unwrap();

    own.step(-HOUR_MS);
    let mut reopened = launch::reopen(&dir, &home, &clock).unwrap();
    let ask = reopened.state.open_asks().next().unwrap().id;
    let somebody = Actor { who: "os:somebody".to_owned(), how: How::OsUser, played_by: None };
    let answer = Answer {
        ask,
        part: None,
        value: "yes".into(),
        comment: None,
        evidence: Vec::new(),
        actor: somebody.clone(),
        shown: None,
    };
    assert!(reopened.note_down(Input::Answer(Box::new(answer)), somebody).unwrap());
    drop(reopened);

    let entries = Journal::read(&dir).unwrap();
    let back: Vec<u64> = entries
        .iter()
        .flat_map(|entry| &entry.events)
        .filter_map(|event| match event.fact {
            Fact::ClockStepped { back_ms } => Some(back_ms),
            _ => None,
        })
        .collect();
    assert!(back.first() == Some(&HOUR_MS.unsigned_abs()), "{back:?}");
    assert!(entries.windows(2).all(|pair| pair[0].at <= pair[1].at), "times go back");
    assert!(entries.iter().all(|entry| entry.at >= start));
    env.consigne(&["verify", "r"]).ends(4).code.unwrap();
    let report = env.consigne(&["report", "r"]).ends(0);
    assert!(report.stdout.contains("clock.stepped"), "{report}");
}
