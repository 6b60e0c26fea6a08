//! A real ssh server on loopback, for whoever tests what goes to another host.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use consigne::plan::{Reach, SshHost};

const SSHD: &str = "/usr/sbin/sshd";

/// A server of its own, with its own port, keys and configuration. Ends with the test.
pub struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    server: Child,
    /// A port that stays ours, and that nobody listens on.
    silent: TcpSocket,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _gone = self.server.kill();
        let _reaped = self.server.wait();
    }
}

impl Sshd {
    /// `None`, with the reason on the screen, where there can be none.
    pub fn start() -> Option<Self> {
        if let Err(why) = &*INSTALLED {
            // Past the capture of the harness: who reads the output must see what was not run.
            let _closed = writeln!(std::io::stderr(), "not run: a real ssh server: {why}");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        for (name, kind) in [("host", "ed25519"), ("user", "ed25519"), ("stranger", "ed25519")] {
            let key = dir.path().join(name);
            let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-f"]).arg(&key).status();
            assert!(made.unwrap().success());
        }
        fs::copy(dir.path().join("user.pub"), dir.path().join("authorized")).unwrap();
        let silent = TcpSocket::new_v4().unwrap();
        silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // Somebody else may take the port between the look and the start.
        let (port, server) = (0..10).find_map(|_| serve(dir.path())).expect("the server does not come up");
        let known = |key: &str, file: &str, port: u16| {
            let key = fs::read_to_string(dir.path().join(key)).unwrap();
            fs::write(dir.path().join(file), format!("[127.0.0.1]:{port} {key}")).unwrap();
        };
        known("host.pub", "known", port);
        known("stranger.pub", "known-otherwise", port);
        Some(Self { dir, port, server, silent })
    }

    fn host(&self, key: &str, known: &str, port: u16) -> Reach {
        let path = |name: &str| Some(self.dir.path().join(name).display().to_string());
        Reach::Ssh(SshHost {
            address: "127.0.0.1".to_owned(),
            port: Some(port),
            identity_file: path(key),
            known_hosts: path(known),
            options: Vec::new(),
        })
    }

    pub fn reach(&self) -> Reach {
        self.host("user", "known", self.port)
    }

    /// Its key is another one than it should be.
    pub fn impostor(&self) -> Reach {
        self.host("user", "known-otherwise", self.port)
    }

    /// We have no key that it knows.
    pub fn uninvited(&self) -> Reach {
        self.host("stranger", "known", self.port)
    }

    /// Nobody listens there.
    pub fn nowhere(&self) -> Reach {
        self.host("user", "known", self.silent.local_addr().unwrap().port())
    }

    /// Cuts every connection that it has, without a word.
    pub fn cut(&self) {
        let server = self.server.id().to_string();
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
        for child in children.split_whitespace() {
            let _gone = Command::new("kill").args(["-KILL", child]).status();
        }
    }
}

/// A server on a port that was free a moment ago; `None` where it is not any more.
fn serve(dir: &Path) -> Option<(u16, Child)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = dir.display();
    // A home of its own: what the shell of this user reads there may take any time.
    let config = format!(
        "SetEnv HOME={place}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized\n\
         StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin yes\n\
         KbdInteractiveAuthentication no\nMaxStartups 100\n"
    );
    fs::write(dir.join("config"), config).unwrap();
    let mut server = Command::new(SSHD);
    server.arg("-D").arg("-f").arg(dir.join("config")).stderr(Stdio::null());
    let mut server = server.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if server.try_wait().unwrap().is_some() {
            return None;
        }
        // Its own child looks after each connection: what answers is this server.
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() && server.try_wait().unwrap().is_none() {
            return Some((port, server));
        }
        assert!(Instant::now() < until, "the server does not come up");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A server is there, or comes from the system's registry where this user may install it.
static INSTALLED: LazyLock<Result<(), String>> = LazyLock::new(|| {
    let there = || Path::new(SSHD).is_file();
    let root = rustix::process::geteuid().is_root();
    if !there() && root {
        let mut install = Command::new("timeout");
        install.args(["120", "apt-get", "install", "-qy", "--no-install-recommends", "openssh-server"]);
        install.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        let _said = install.output();
    }
    if !there() {
        return Err(format!("{SSHD} is missing and cannot be installed"));
    }
    if root {
        // Where it keeps itself apart from its sessions; made by its service otherwise.
        fs::create_dir_all("/run/sshd").map_err(|error| error.to_string())?;
    }
    Ok(())
});
