//! SIGKILL of the driver just as somebody speaks to it from elsewhere: what was confirmed to him is in the journal.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::points::answer_truthfully;
use crate::world::{House, Numbers, PATIENCE, Platform, until};

const YES: &str = "{\"v\":1,\"verb\":{\"answer\":{\"step\":\"sure\",\"value\":\"yes\",\"evidence\":[]}}}\n";

#[test]
fn what_was_confirmed_is_in_the_journal() {
    let (mut confirmed, rounds) = (0, 12);
    for round in 0..rounds {
        confirmed += u32::from(speak_and_kill(round));
    }
    assert!(confirmed >= 6, "every second one is killed after its reply, and {confirmed} were confirmed");
}

/// Whether the answer was confirmed.
fn speak_and_kill(round: u64) -> bool {
    let house = House::new(&format!("spoken-{round}"), &["tests/kill/asking.yaml"]);
    let mut drill = house.start(&house.begin("asking.yaml", &[]));
    until("the question", || house.has_event("ask.opened").then_some(()));
    let stream = until("the socket", || connect(&house).ok());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains(&house.run));
    (&stream).write_all(YES.as_bytes()).unwrap();
    let mut reply = None;
    if round.is_multiple_of(2) {
        reply = lines.next();
    } else {
        let at = Instant::now() + Duration::from_micros(Numbers(round).below(6_000));
        while Instant::now() < at {
            std::hint::spin_loop();
        }
    }
    assert!(drill.kill());
    let reply = reply.or_else(|| lines.next()).transpose().unwrap_or_default().unwrap_or_default();
    let confirmed = reply.contains("\"taken\":{\"news\":true}");
    assert!(confirmed || reply.is_empty(), "{reply}");
    let open = house.asks().iter().any(|(_, step)| step == "sure");
    assert!(!(confirmed && open), "round {round}: confirmed, and still asked");
    let again = house.say(&["answer", &house.run, "sure", "yes"]).exits(4);
    assert_eq!(again.err.contains("said before"), !open, "{again:?}");
    std::fs::write(house.books().join("go_on"), "").unwrap();
    for _ in 0..5 {
        let said = house.say(&["resume", &house.run]);
        match said.code {
            Some(4) => answer_truthfully(&house, truth),
            Some(0) => break,
            _ => panic!("{said:?}"),
        }
    }
    house.is_over();
    assert_eq!(house.platform().notices("hooli-19", "plain_notice"), 1);
    confirmed
}

fn truth(_: &House, platform: &Platform, step: &str) -> bool {
    step == "program" || platform.notices("hooli-19", "plain_notice") > 0
}

/// The address of a socket is short, the folder of a test may not be.
fn connect(house: &House) -> std::io::Result<UnixStream> {
    let folder = File::open(house.dir())?;
    UnixStream::connect(format!("/proc/self/fd/{}/socket", folder.as_raw_fd()))
}
