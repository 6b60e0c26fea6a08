//! The mailbox of a practice environment: a server that takes mail by SMTP and delivers it to nobody. Each mail is a
//! file in `new` of its folder, written beside and renamed, as a Maildir does it.
//!
//! It takes everything, from everybody on this machine, and knows no extension but `8BITMIME` and `SMTPUTF8`: what it
//! is to prove is that a message left, not that a relay is set up well.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::error::PracticeError;
use super::state::{file_error, make_private_folder};
use crate::ownership;

const LONGEST_LINE: u64 = 4_096;
const LARGEST_MAIL: usize = 1 << 20;
/// A peer that says nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(60);
/// After a failed accept, which is mostly a lack of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// How to run a mailbox.
#[derive(Debug, Clone)]
pub struct MailboxOptions {
    /// Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Made with mode 0700 when absent.
    pub state: PathBuf,
}

/// Takes mail until `shutdown` is ready. `ready` is called once, with the address.
///
/// # Errors
/// When the folder cannot be used or the address cannot be had.
pub async fn serve_mailbox(
    options: MailboxOptions,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), PracticeError> {
    let MailboxOptions { bind, state } = options;
    for folder in [state.clone(), state.join("new"), state.join("tmp")] {
        make_private_folder(&folder)?;
    }
    let held = std::fs::read_dir(state.join("new")).map_err(|source| file_error("read", &state, source))?;
    let mailbox = Arc::new(Mailbox { next: AtomicU64::new(held.count() as u64 + 1), folder: state });
    let listen = |source| PracticeError::Listen { bind, source };
    let listener = TcpListener::bind(bind).await.map_err(listen)?;
    ready(listener.local_addr().map_err(listen)?);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let mailbox = Arc::clone(&mailbox);
                    // A connection that broke is its peer's business.
                    connections.spawn(async move { drop(converse(stream, &mailbox).await) });
                }
                Err(_lack) => tokio::time::sleep(BREATH).await,
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
    Ok(())
}

struct Mailbox {
    folder: PathBuf,
    next: AtomicU64,
}

impl Mailbox {
    fn keep(&self, to: &[String], mail: &[u8]) -> io::Result<()> {
        use io::Write;
        let name = format!("{:06}.eml", self.next.fetch_add(1, Ordering::SeqCst));
        let draft = self.folder.join("tmp").join(&name);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let mut file = ownership::open(&mut options, &draft)?;
        for address in to {
            file.write_all(format!("X-RcptTo: {address}\r\n").as_bytes())?;
        }
        file.write_all(mail)?;
        std::fs::rename(&draft, self.folder.join("new").join(name))
    }
}

async fn converse(stream: TcpStream, mailbox: &Mailbox) -> io::Result<()> {
    let mut peer = Peer(BufReader::new(stream));
    peer.say("220 practice mailbox").await?;
    let (mut from, mut to): (Option<String>, Vec<String>) = (None, Vec::new());
    while let Some(line) = peer.line().await? {
        let upper = line.to_ascii_uppercase();
        let verb = upper.split([' ', ':']).next().unwrap_or("");
        match verb {
            "EHLO" => peer.say("250-practice\r\n250-8BITMIME\r\n250 SMTPUTF8").await?,
            "HELO" | "NOOP" => peer.say("250 ok").await?,
            "RSET" => {
                (from, to) = (None, Vec::new());
                peer.say("250 ok").await?;
            }
            "MAIL" => {
                from = address(&line);
                let said = if from.is_some() { "250 ok" } else { "501 expected MAIL FROM:<address>" };
                peer.say(said).await?;
            }
            "RCPT" if from.is_none() => peer.say("503 first MAIL").await?,
            "RCPT" => match address(&line) {
                Some(address) => {
                    to.push(address);
                    peer.say("250 ok").await?;
                }
                None => peer.say("501 expected RCPT TO:<address>").await?,
            },
            "DATA" if to.is_empty() => peer.say("503 first RCPT").await?,
            "DATA" => {
                peer.say("354 end with a dot alone").await?;
                let Some(mail) = peer.mail().await? else { return peer.say("552 too large").await };
                let said = match mailbox.keep(&std::mem::take(&mut to), &mail) {
                    Ok(()) => "250 kept",
                    Err(_) => "451 cannot keep it",
                };
                from = None;
                peer.say(said).await?;
            }
            "QUIT" => return peer.say("221 good-bye").await,
            _ => peer.say("502 not known here").await?,
        }
    }
    Ok(())
}

/// What stands between the first `<` and the next `>`.
fn address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once('<')?;
    let (address, _) = rest.split_once('>')?;
    Some(address.to_owned())
}

struct Peer(BufReader<TcpStream>);

impl Peer {
    async fn say(&mut self, text: &str) -> io::Result<()> {
        self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).await
    }

    /// A line without its end; `None` when the peer has gone, or says too much.
    async fn line(&mut self) -> io::Result<Option<String>> {
        let bytes = self.bytes().await?;
        let whole = bytes.ends_with(b"\n");
        Ok(whole.then(|| String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned()))
    }

    async fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.0).take(LONGEST_LINE);
        let read = tokio::time::timeout(PATIENCE, bounded.read_until(b'\n', &mut line)).await;
        read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(line)
    }

    /// Up to a dot alone; a line that begins with a dot has one too many. `None`: too large.
    async fn mail(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut out = Vec::new();
        loop {
            let line = self.bytes().await?;
            if line.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == b".\r\n" || line == b".\n" {
                return Ok(Some(out));
            }
            out.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if out.len() > LARGEST_MAIL {
                return Ok(None);
            }
        }
    }
}
