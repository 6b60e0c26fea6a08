//! More output than memory should hold. How much memory was used is what the kernel says, not how long it took.
//!
//! 128 MiB by default; `CONSIGNE_FLOOD_MIB=1024 cargo test --test nasty flood` is a gigabyte.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use super::house::House;

const MIB: u64 = 1024 * 1024;
/// Less than what is printed: a run that kept it all would be found.
const MOST_MEMORY: u64 = 100 * MIB;

/// What is printed in all, half of it on each of two streams.
fn flood() -> u64 {
    let mib = std::env::var("CONSIGNE_FLOOD_MIB").ok().map_or(128, |mib| mib.parse().unwrap());
    mib / 2 * 2 * MIB
}

/// Runs the runbook; gives the most memory that the program had at any time.
fn peak(house: &House) -> u64 {
    let mut command = house.command(&["run", "book.yaml", "--unattended", "--run-id", "r"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    // The high-water mark only grows, so the last look before the end is enough.
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        most = most.max(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(most > MIB, "nothing was measured");
    most
}

fn blobs(house: &House) -> Vec<u64> {
    let blobs = std::fs::read_dir(house.run().join("blobs")).unwrap();
    let mut sizes: Vec<u64> = blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn two_streams_of_a_program_at_once() {
    let half = flood() / 2;
    let text = format!(
        "consigne: v1\nid: flood\nsecrets:\n  t: {{env: PLANTED}}\nsteps:\n  - id: flood\n    shell: |\n      set +o pipefail\n      (yes \"some line of output, again and again\" | head -c {half} >&2) &\n      yes \"another line\" | head -c {}\n      wait\n    env: {{T: \"{{{{ secrets.t }}}}\"}}\n    effect: read\n    timeout: 10m\n",
        half - 1
    );
    let house = House::new(&text.replace("{env: PLANTED}", "{file: secret}"));
    std::fs::write(house.path("secret"), "a-secret/with+signs=\"é\"").unwrap();
    let most = peak(&house);
    assert_eq!(blobs(&house), [half - 1, half], "all of it is kept");
    assert!(most < MOST_MEMORY, "{} MiB of memory", most / MIB);
}

#[test]
fn an_answer_that_does_not_end_for_long() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let length = flood();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").unwrap();
        let chunk = vec![b'x'; 64 * 1024];
        for _ in 0..length / chunk.len() as u64 {
            stream.write_all(&chunk).unwrap();
        }
    });
    let text = format!(
        "consigne: v1\nid: flood\nsteps:\n  - id: flood\n    http: {{get: \"http://127.0.0.1:{port}/\"}}\n    effect: read\n    timeout: 10m\n"
    );
    let house = House::new(&text);
    let most = peak(&house);
    assert_eq!(blobs(&house), [flood()]);
    assert!(most < MOST_MEMORY, "{} MiB of memory", most / MIB);
}
