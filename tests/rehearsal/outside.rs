//! A server on loopback that answers as a test needs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// What the server sets in a cookie: nobody declared it.
pub const COOKIE: &str = "c00kie-of-the-server";
/// A key that the server makes.
pub const BORN: &str = "b0rn-by-the-server-42";

pub struct Outside {
    pub base: String,
    /// Status and body of `/state`.
    state: Arc<Mutex<(u16, String)>>,
}

impl Outside {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new((200, r#"{"id": "x", "n": 1}"#.to_owned())));
        let shared = Arc::clone(&state);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let request = request(&stream);
                let (status, body) = answer(&request, &shared);
                let head = format!(
                    "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nX-Page: 2\r\nSet-Cookie: session={COOKIE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _gone =
                    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            }
        });
        Self { base, state }
    }

    pub fn says(&self, status: u16, body: &str) {
        *self.state.lock().unwrap() = (status, body.to_owned());
    }
}

/// All of it as text.
fn request(stream: &std::net::TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        text.push_str(&line);
    }
    let mut body = vec![0; length];
    let _cut_off = reader.read_exact(&mut body);
    text + &String::from_utf8_lossy(&body)
}

fn answer(request: &str, state: &Mutex<(u16, String)>) -> (u16, String) {
    let path = request.split(' ').nth(1).unwrap_or_default();
    match path.split('?').next().unwrap_or_default() {
        "/echo" => (
            200,
            serde_json::json!({"echo": request.replace("plain-", ""), "password": "plain-in-the-answer"})
                .to_string(),
        ),
        "/born" => (201, serde_json::json!({"key": BORN, "id": 7}).to_string()),
        "/large" => (200, serde_json::json!({"items": vec!["x".repeat(60); 1_000]}).to_string()),
        _ => state.lock().unwrap().clone(),
    }
}
