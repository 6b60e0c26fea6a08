//! A server on loopback that keeps every request as it came.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request: its first line, its headers in the order of arrival, its body.
#[derive(Debug, Clone)]
pub struct Heard {
    pub line: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }
}

#[derive(Clone)]
pub struct Recorder {
    pub port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Recorder {
    /// Serves until the test ends.
    pub fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let this = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let own = this.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.listen(&stream));
            }
        });
        this
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The requests of a connection, as many as it brings.
    fn listen(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        loop {
            let line = String::from_utf8(next_line(&mut reader)?).ok()?;
            let mut headers = Vec::new();
            loop {
                let header = next_line(&mut reader)?;
                if header.is_empty() {
                    break;
                }
                let colon = header.iter().position(|byte| *byte == b':')?;
                let name = String::from_utf8(header[..colon].to_vec()).ok()?;
                let value = header[colon + 1..].strip_prefix(b" ").unwrap_or(&header[colon + 1..]);
                headers.push((name, value.to_vec()));
            }
            let mut heard = Heard { line, headers, body: Vec::new() };
            heard.body = body(&heard, &mut reader)?;
            self.heard.lock().unwrap().push(heard);
            let mut out = stream;
            out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").ok()?;
        }
    }
}

fn next_line(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    (reader.read_until(b'\n', &mut line).ok()? > 0).then_some(())?;
    line.strip_suffix(b"\r\n").map(<[u8]>::to_vec)
}

fn body(heard: &Heard, reader: &mut impl BufRead) -> Option<Vec<u8>> {
    if heard.header("transfer-encoding").is_some() {
        let mut all = Vec::new();
        loop {
            let size = usize::from_str_radix(&String::from_utf8(next_line(reader)?).ok()?, 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                return Some(all);
            }
            all.extend(&chunk[..size]);
        }
    }
    let length =
        heard.header("content-length").map_or("0", |value| std::str::from_utf8(value).unwrap_or("0"));
    let mut all = vec![0; length.parse().ok()?];
    reader.read_exact(&mut all).ok()?;
    Some(all)
}

/// Without its percent signs; nothing where they are not what they should be.
pub fn decoded(text: &str, plus: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                out.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
            }
            b'+' if plus => out.push(b' '),
            other => out.push(other),
        }
    }
    Some(out)
}
