//! The socket of a run: how words from elsewhere reach the process that drives it.
//!
//! Owns the wire and its limits. The driver greets, the peer says one line, the driver replies with one line. The
//! kernel says who the peer is; what a peer claims of itself never counts. Garbage, floods and silence cost the peer
//! its connection and the run nothing. Decides nothing: requests go to the driver's loop, and "taken" is said only
//! once the entry is on disk.
//!
//! The socket stands in the directory of the run, under a lock that one process holds: who holds it replaces what a
//! killed driver left behind, and removes his own before he lets go.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener as Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::identity;
use super::word::Word;
use crate::ownership;

/// Its name in the directory of a run.
pub const NAME: &str = "socket";
/// Version of the wire.
pub const VERSION: u32 = 1;
/// Largest file that goes with a word, in bytes.
pub const MOST_EVIDENCE: usize = 16 << 20;
/// Longest request: two of the largest files, and what is said about them.
pub const MOST_REQUEST: usize = 44 << 20;

/// Connections that are listened to at a time; more wait.
const MOST_PEERS: usize = 16;
/// A longer request is read alone, so that all peers together hold little memory.
const SMALL_REQUEST: usize = 128 << 10;
/// What is said besides the evidence.
const MOST_TEXT: usize = 64 << 10;
/// A signed text with all that was shown, and its signature.
const MOST_SIGNED: usize = 1 << 20;
const MOST_FILES: usize = 16;
const MOST_NAME: usize = 255;
/// How long a peer may take for its line, and to take in ours.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for a long line, from its turn on.
const LONG_PATIENCE: Duration = Duration::from_secs(30);
/// How long replies that are on their way are waited for at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the driver says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Greeting {
    pub v: u32,
    pub run: String,
}

/// What a peer says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub v: u32,
    pub verb: Verb,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verb {
    Answer(Word),
    Cancel { reason: String },
}

/// What the driver replies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    pub v: u32,
    pub said: Said,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Said {
    /// It is on disk. Without news: it said nothing that had not been said before.
    Taken { news: bool },
    /// Nothing has changed, and why.
    Refused { code: String, message: String, hint: Option<String> },
    /// Nothing has changed: what goes with it could not be kept.
    Unkept { message: String },
    /// Nothing has changed: the driver is about to let go of the run.
    Leaving {},
}

/// A request on its way to the driver.
#[derive(Debug)]
pub(super) struct Remote {
    /// Name of the user at the other end, as the system knows him.
    pub(super) user: String,
    pub(super) verb: Verb,
    pub(super) reply: oneshot::Sender<Said>,
    /// Room for a long request, until it is done with.
    _room: Option<OwnedSemaphorePermit>,
}

/// A socket that is listened to.
pub(super) struct Socket {
    path: PathBuf,
    pub(super) requests: mpsc::Receiver<Remote>,
    leaving: watch::Sender<bool>,
    listener: tokio::task::JoinHandle<()>,
}

impl Socket {
    /// Listens in the directory of a run whose lock this process holds.
    ///
    /// # Errors
    /// There can be no socket there.
    pub(super) fn listen(dir: &Path, run: &str) -> io::Result<Self> {
        let path = dir.join(NAME);
        remove(&path)?;
        let bound = in_folder(dir, |short| Bound::bind(short))?;
        share(dir, &path)?;
        bound.set_nonblocking(true)?;
        let listener = UnixListener::from_std(bound)?;
        let (send, requests) = mpsc::channel(MOST_PEERS);
        let (leaving, told) = watch::channel(false);
        let greeting = line(&Greeting { v: VERSION, run: run.to_owned() })?;
        let door = Door {
            dir: dir.to_owned(),
            greeting: greeting.into(),
            peers: Arc::new(Semaphore::new(MOST_PEERS)),
            room: Arc::new(Semaphore::new(1)),
            send,
            leaving: told,
        };
        Ok(Self { path, requests, leaving, listener: tokio::spawn(door.keep(listener)) })
    }

    /// Nobody is listened to any more. Who said something that was not taken is told so.
    pub(super) async fn close(mut self) {
        // First the name: who finds none takes the lock as soon as it is free.
        let _gone = remove(&self.path);
        let _nobody_listens = self.leaving.send(true);
        self.requests.close();
        while let Some(late) = self.requests.recv().await {
            let _gone = late.reply.send(Said::Leaving {});
        }
        // Replies that are on their way: to whoever does not read them they are late anyway.
        let _late = timeout(FAREWELL, &mut self.listener).await;
        self.listener.abort();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _gone = remove(&self.path);
        self.listener.abort();
    }
}

/// Who listens, and what each connection needs.
#[derive(Clone)]
struct Door {
    dir: PathBuf,
    greeting: Arc<[u8]>,
    peers: Arc<Semaphore>,
    room: Arc<Semaphore>,
    send: mpsc::Sender<Remote>,
    leaving: watch::Receiver<bool>,
}

impl Door {
    async fn keep(mut self, listener: UnixListener) {
        let mut connections = JoinSet::new();
        loop {
            let free = self.peers.clone().acquire_owned();
            let accepted = async {
                let place = free.await;
                (place, listener.accept().await)
            };
            tokio::select! {
                biased;
                _ = self.leaving.changed() => break,
                (Ok(place), accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let door = self.clone();
                        connections.spawn(async move {
                            door.attend(stream).await;
                            drop(place);
                        });
                    }
                    // Out of file descriptors, or the peer is gone already: later is another time.
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                },
                Some(_done) = connections.join_next() => {}
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    /// One connection, from greeting to reply. Nothing in it can fail for anybody but the peer.
    async fn attend(mut self, mut stream: UnixStream) {
        let Ok(peer) = stream.peer_cred() else { return };
        if !self.admits(peer.uid()) {
            return;
        }
        let greeting = self.greeting.clone();
        if !matches!(timeout(PATIENCE, stream.write_all(&greeting)).await, Ok(Ok(()))) {
            return;
        }
        let mut leaving = self.leaving.clone();
        let said = tokio::select! {
            biased;
            said = self.hear(&mut stream, peer.uid()) => said,
            _ = leaving.wait_for(|leaving| *leaving) => Some(Said::Leaving {}),
        };
        let Some(said) = said else { return };
        if let Ok(bytes) = line(&Response { v: VERSION, said }) {
            let _gone = timeout(PATIENCE, stream.write_all(&bytes)).await;
        }
    }

    /// The mode of the socket keeps others out already, where the system heeds it.
    fn admits(&self, uid: u32) -> bool {
        let own = rustix::process::geteuid().as_raw();
        let owner = fs::metadata(&self.dir).map_or(own, |dir| dir.uid());
        uid == 0 || uid == own || uid == owner || ownership::is_group_owned(&self.dir)
    }

    /// `None`: there is nobody to reply to, or nothing that could truthfully be said.
    async fn hear(&mut self, stream: &mut UnixStream, uid: u32) -> Option<Said> {
        let (bytes, room) = match read_line(stream, &self.room).await {
            Ok(read) => read,
            Err(unread) => return unread.said(),
        };
        // Looking up a user may ask a directory service, and long lines take their time.
        let understood =
            tokio::task::spawn_blocking(move || (identity::user_of(uid), understand(&bytes))).await;
        let (user, verb) = understood.ok()?;
        let verb = match verb {
            Ok(verb) => verb,
            Err(refused) => return Some(refused),
        };
        let (reply, replied) = oneshot::channel();
        let remote = Remote { user, verb, reply, _room: room };
        if self.send.send(remote).await.is_err() {
            return Some(Said::Leaving {});
        }
        replied.await.ok()
    }
}

/// Why no line came.
enum Unread {
    Silent,
    TooLong,
    HalfALine,
}

impl Unread {
    fn said(&self) -> Option<Said> {
        match self {
            Self::Silent => None,
            Self::TooLong => Some(garbage(format!("a request of more than {MOST_REQUEST} bytes"))),
            Self::HalfALine => Some(garbage("half a line".to_owned())),
        }
    }
}

fn garbage(what: String) -> Said {
    Said::Refused { code: "not-understood".to_owned(), message: what, hint: None }
}

/// One line without its end. A long one waits for its turn, and comes with the room it takes.
async fn read_line(
    stream: &mut UnixStream,
    room: &Arc<Semaphore>,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Unread> {
    let mut bytes = Vec::new();
    match timeout(PATIENCE, read_up_to(stream, &mut bytes, SMALL_REQUEST)).await {
        Ok(Err(Unread::TooLong)) => {}
        Ok(Ok(())) => return Ok((bytes, None)),
        Ok(Err(unread)) => return Err(unread),
        Err(_elapsed) => return Err(Unread::Silent),
    }
    let turn = timeout(LONG_PATIENCE, room.clone().acquire_owned()).await;
    let Ok(Ok(permit)) = turn else { return Err(Unread::Silent) };
    match timeout(LONG_PATIENCE, read_up_to(stream, &mut bytes, MOST_REQUEST)).await {
        Ok(read) => read.map(|()| (bytes, Some(permit))),
        Err(_elapsed) => Err(Unread::Silent),
    }
}

/// Reads to the end of the line. What follows it is nobody's.
async fn read_up_to(stream: &mut UnixStream, bytes: &mut Vec<u8>, most: usize) -> Result<(), Unread> {
    loop {
        let known = bytes.len();
        match stream.read_buf(bytes).await {
            Ok(0) if known == 0 => return Err(Unread::Silent),
            Ok(0) => return Err(Unread::HalfALine),
            Ok(_) => {}
            Err(_) => return Err(Unread::Silent),
        }
        if let Some(end) = bytes[known..].iter().position(|byte| *byte == b'\n') {
            bytes.truncate(known + end);
            return if bytes.len() > MOST_REQUEST { Err(Unread::TooLong) } else { Ok(()) };
        }
        if bytes.len() > most {
            return Err(Unread::TooLong);
        }
    }
}

/// What a line asks for, if it keeps to the limits.
fn understand(bytes: &[u8]) -> Result<Verb, Said> {
    let request: Request = serde_json::from_slice(bytes).map_err(|error| garbage(error.to_string()))?;
    if request.v != VERSION {
        return Err(garbage(format!("a request of version {}, expected {VERSION}", request.v)));
    }
    let fits = match &request.verb {
        Verb::Cancel { reason } => text_fits(reason.len()),
        Verb::Answer(word) => word_fits(word),
    };
    fits.map(|()| request.verb).map_err(garbage)
}

/// # Errors
/// What of the word is more than the driver of a run takes in.
pub fn word_fits(word: &Word) -> Result<(), String> {
    let said = word.step.len()
        + word.value.to_string().len()
        + word.comment.as_ref().map_or(0, String::len)
        + word.plays.as_ref().map_or(0, String::len);
    text_fits(said)?;
    let signed = word.signature.as_ref().map_or(0, String::len);
    if signed > MOST_SIGNED {
        return Err(format!("{signed} bytes are signed, the limit is {MOST_SIGNED}"));
    }
    if word.evidence.len() > MOST_FILES {
        return Err(format!("{} files of evidence, the limit is {MOST_FILES}", word.evidence.len()));
    }
    for file in &word.evidence {
        if file.bytes.len() > MOST_EVIDENCE {
            return Err(format!(
                "{} has {} bytes, the limit is {MOST_EVIDENCE}",
                file.name,
                file.bytes.len()
            ));
        }
        let plain = !file.name.is_empty()
            && file.name.len() <= MOST_NAME
            && !file.name.contains(|c: char| c == '/' || c.is_control());
        if !plain {
            return Err(format!("{:?} is not the name of a file", file.name));
        }
    }
    Ok(())
}

fn text_fits(bytes: usize) -> Result<(), String> {
    if bytes > MOST_TEXT { Err(format!("{bytes} bytes are said, the limit is {MOST_TEXT}")) } else { Ok(()) }
}

/// What came of saying something to the driver of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    Replied(Said),
    /// Nobody drives the run, or not yet, or not any more. Nothing was taken.
    Nobody,
    /// The driver was gone before it replied. Its journal says whether it took what was said.
    Lost,
}

/// Why nothing was said.
#[derive(Debug, thiserror::Error)]
pub enum SpeakError {
    #[error("cannot reach the process that drives the run: {0}")]
    Connect(io::Error),
    #[error("the process that drives the run does not answer")]
    Silent,
    #[error("the process that drives the run speaks version {0}, expected {VERSION}")]
    Version(u32),
    #[error("the request has {0} bytes, the limit is {MOST_REQUEST}")]
    TooLong(usize),
    #[error("the request cannot be written: {0}")]
    Unwritable(io::Error),
}

/// Says something to the process that drives the run in `dir`, and waits for its reply.
///
/// # Errors
/// Nothing was said.
pub fn speak(dir: &Path, verb: &Verb) -> Result<Spoken, SpeakError> {
    use std::io::{BufRead, BufReader, Read, Write};
    let connect = |short: &Path| std::os::unix::net::UnixStream::connect(short);
    let mut stream = match in_folder(dir, connect) {
        Ok(stream) => stream,
        Err(error) if is_nobody(&error) => return Ok(Spoken::Nobody),
        Err(error) => return Err(SpeakError::Connect(error)),
    };
    let request = Request { v: VERSION, verb: verb.clone() };
    let bytes = line(&request).map_err(SpeakError::Unwritable)?;
    if bytes.len() > MOST_REQUEST {
        return Err(SpeakError::TooLong(bytes.len()));
    }
    let wait = Some(LONG_PATIENCE * 2);
    stream
        .set_read_timeout(wait)
        .and_then(|()| stream.set_write_timeout(wait))
        .map_err(SpeakError::Connect)?;
    let reading = stream.try_clone().map_err(SpeakError::Connect)?;
    let mut reading = BufReader::new(reading.take(1 << 20));
    let mut greeting = String::new();
    match reading.read_line(&mut greeting) {
        // Not even greeted: it was leaving.
        Ok(0) => return Ok(Spoken::Nobody),
        Ok(_) => {}
        Err(error) if is_time_out(&error) => return Err(SpeakError::Silent),
        Err(_) => return Ok(Spoken::Nobody),
    }
    let known = serde_json::from_str::<Greeting>(&greeting).map_err(|_| SpeakError::Silent)?;
    if known.v != VERSION {
        return Err(SpeakError::Version(known.v));
    }
    // Refused or leaving, it may reply before it has read everything.
    let written = stream.write_all(&bytes);
    let mut reply = String::new();
    let read = reading.read_line(&mut reply);
    match serde_json::from_str::<Response>(&reply) {
        Ok(Response { said: Said::Leaving {}, .. }) => Ok(Spoken::Nobody),
        Ok(Response { said, .. }) => Ok(Spoken::Replied(said)),
        // Half a request is none.
        Err(_) if written.is_err() => Ok(Spoken::Nobody),
        Err(_) if read.is_err_and(|error| is_time_out(&error)) => Err(SpeakError::Silent),
        Err(_) => Ok(Spoken::Lost),
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Addresses of sockets are short, and the directory of a run may not be: its open handle stands for it.
fn in_folder<T>(dir: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let folder = File::open(dir)?;
    act(Path::new(&format!("/proc/self/fd/{}/{NAME}", folder.as_raw_fd())))
}

/// Removes a socket that is there; anything else of that name is not ours to remove.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        Ok(_) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Those whom the directory lets in may connect.
fn share(dir: &Path, path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(ownership::file_mode(dir)))?;
    let owner = fs::metadata(dir)?.uid();
    if rustix::process::geteuid().is_root() && owner != 0 {
        // Not through a link that somebody of the group may have put in its place.
        std::os::unix::fs::lchown(path, Some(owner), None)?;
    }
    Ok(())
}

fn line<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancel() -> Verb {
        Verb::Cancel { reason: "enough".to_owned() }
    }

    /// A folder whose path is too long for the address of a socket.
    fn deep() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("d".repeat(150)).join("e".repeat(150));
        ownership::make_folder(&dir).unwrap();
        (folder, dir)
    }

    async fn said(dir: &Path) -> Spoken {
        let dir = dir.to_owned();
        tokio::task::spawn_blocking(move || speak(&dir, &cancel()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_request_reaches_whoever_listens_and_nobody_after_him() {
        let (_folder, dir) = deep();
        assert_eq!(said(&dir).await, Spoken::Nobody);
        // What a killed driver left behind.
        drop(in_folder(&dir, |short| Bound::bind(short)).unwrap());
        assert_eq!(said(&dir).await, Spoken::Nobody);
        let mut socket = Socket::listen(&dir, "r").unwrap();
        assert_eq!(fs::metadata(dir.join(NAME)).unwrap().mode() & 0o777, 0o600);
        let (spoken, ()) = tokio::join!(said(&dir), async {
            let remote = socket.requests.recv().await.unwrap();
            assert_eq!((remote.verb, remote.user), (cancel(), identity::os_user()));
            remote.reply.send(Said::Taken { news: true }).unwrap();
        });
        assert_eq!(spoken, Spoken::Replied(Said::Taken { news: true }));
        // Dropped without a word, as where the journal cannot be written.
        let (spoken, ()) = tokio::join!(said(&dir), async { drop(socket.requests.recv().await) });
        assert_eq!(spoken, Spoken::Lost);
        let (spoken, ()) = tokio::join!(said(&dir), async {
            while socket.requests.is_empty() {
                tokio::task::yield_now().await;
            }
            socket.close().await;
        });
        assert_eq!(spoken, Spoken::Nobody, "it was not taken, and may be said elsewhere");
        assert!(!dir.join(NAME).exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let (_folder, dir) = deep();
        fs::write(dir.join(NAME), "mine").unwrap();
        assert!(Socket::listen(&dir, "r").is_err());
        assert_eq!(fs::read(dir.join(NAME)).unwrap(), b"mine");
    }

    #[test]
    fn the_wire_is_what_it_is_documented_to_be() {
        let word = Word {
            step: "go".to_owned(),
            value: "approve".into(),
            comment: None,
            evidence: Vec::new(),
            plays: None,
            signature: None,
        };
        let request = Request { v: VERSION, verb: Verb::Answer(word) };
        let text = "{\"v\":1,\"verb\":{\"answer\":{\"step\":\"go\",\"value\":\"approve\",\"comment\":null,\"evidence\":[],\"plays\":null";
        assert!(serde_json::to_string(&request).unwrap().starts_with(text));
        assert_eq!(understand(&line(&request).unwrap()).unwrap(), request.verb);
        let replies = [
            Said::Taken { news: false },
            Said::Refused { code: "c".into(), message: "m".into(), hint: None },
            Said::Unkept { message: "m".into() },
            Said::Leaving {},
        ];
        let said = replies.map(|said| serde_json::to_string(&Response { v: VERSION, said }).unwrap());
        assert_eq!(
            said,
            [
                r#"{"v":1,"said":{"taken":{"news":false}}}"#,
                r#"{"v":1,"said":{"refused":{"code":"c","message":"m","hint":null}}}"#,
                r#"{"v":1,"said":{"unkept":{"message":"m"}}}"#,
                r#"{"v":1,"said":{"leaving":{}}}"#,
            ]
        );
    }
}
