//! A server that gives back whatever it hears, in every encoding, in every place of an answer, cut into single bytes.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::canary::{BORN, COMMAND, ENV, FILE, written};

/// Serves until the test ends; gives its port.
pub fn serve() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A client that hangs up is part of the test.
                let _ = answer(stream);
            });
        }
    });
    port
}

fn answer(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body);
    let path = head.split(' ').nth(1).unwrap_or("/");
    let mut headers = String::new();
    for line in head.lines().skip(1).filter(|line| line.contains(": ")) {
        let (name, value) = line.split_once(": ").unwrap();
        let _ = write!(headers, "X-Heard-{name}: {value}\r\n");
    }
    let planted = [ENV, COMMAND].into_iter().flat_map(written);
    for (n, (_, text)) in planted.enumerate() {
        let _ = write!(headers, "X-Form-{n}: {text}\r\n");
    }
    let mut out = stream;
    match path {
        "/json" => chunked(&mut out, "200 OK", &headers, &json(&head, &body)),
        "/born" => chunked(&mut out, "201 Made", &format!("{headers}X-Api-Key: {BORN}\r\n"), &born()),
        "/born-error" => chunked(&mut out, "500 Oh", &headers, &born()),
        "/born-text" => chunked(&mut out, "200 OK", &headers, &format!("made: {}", born())),
        "/refused" => chunked(&mut out, "409 Taken", &headers, "{\"error\":\"the name is taken\"}"),
        "/error" => chunked(&mut out, "500 Oh", &headers, &json(&head, &body)),
        "/text" => chunked(&mut out, "404 No", &headers, &text(&head, &body)),
        "/away" => {
            let coded = forms().find(|(what, _)| *what == "component").unwrap().1;
            let headers = format!("{headers}Location: /else?x={coded}\r\n");
            chunked(&mut out, "302 Away", &headers, "gone")
        }
        "/cut" => {
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n{headers}\r\n{}", text(&head, &body))
        }
        "/garbage" => write!(out, "{ENV} {FILE}\r\n{}", text(&head, &body)),
        "/hang" => {
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n{headers}\r\n{}", text(&head, &body))?;
            out.flush()?;
            // Until the client gives up.
            reader.read(&mut [0]).map(drop)
        }
        "/long" => chunked(&mut out, "500 Long", &headers, &text(&head, &body).repeat(20)),
        other => panic!("nobody asked for {other}"),
    }
}

fn forms() -> impl Iterator<Item = (&'static str, String)> {
    [ENV, FILE, COMMAND].into_iter().flat_map(written)
}

fn born() -> String {
    let all: Vec<String> = written(BORN).into_iter().map(|(_, text)| text).collect();
    serde_json::json!({"id": "key_7", "key": BORN, "forms": all, "long": all.concat().repeat(9)}).to_string()
}

fn text(head: &str, body: &str) -> String {
    let mut out = format!("{head}{body}\n");
    for (what, text) in forms() {
        let _ = writeln!(out, "{what}: {text} end");
    }
    out
}

fn json(head: &str, body: &str) -> String {
    let all: Vec<String> = forms().map(|(_, text)| text).collect();
    let heard: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    serde_json::json!({"head": head, "body": body, "heard": heard, "forms": all, "message": format!("no {ENV}")})
        .to_string()
}

/// In single bytes where something is hidden, each in a chunk of its own.
fn chunked(out: &mut TcpStream, status: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let kind = if body.starts_with('{') { "application/json" } else { "text/plain" };
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n{headers}\r\n"
    )?;
    let (single, rest) = body.as_bytes().split_at(body.len().min(2_000));
    for byte in single {
        out.write_all(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n'])?;
    }
    for chunk in rest.chunks(977) {
        write!(out, "{:x}\r\n", chunk.len())?;
        out.write_all(chunk)?;
        out.write_all(b"\r\n")?;
    }
    out.write_all(b"0\r\n\r\n")
}
