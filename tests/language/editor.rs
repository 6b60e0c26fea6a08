//! An editor at work: the YAML language server, spoken to over its standard input and output, with our schemas.
//!
//! The server is installed once below the target folder, pinned by a lock file. Where there is no node, no npm or no
//! network, the test says "not run" and why.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use consigne::runbook::{environment, schema};
use serde_json::{Value, json};

use super::editing::{Sound, root, sound_files};

const DEADLINE: Duration = Duration::from_secs(50);

/// Said past the capture of the test harness: whoever runs the tests sees it without asking.
fn not_run(why: &str) {
    let _closed = writeln!(std::io::stderr(), "not run: the YAML language server: {why}");
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// The folder with the server in it, or why there is none.
fn installed() -> Result<PathBuf, String> {
    for program in ["node", "npm"] {
        if !has(program) {
            return Err(format!("there is no {program}"));
        }
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("editor");
    std::fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
    let lock = std::fs::read(root().join("tests/language/editor/package-lock.json")).unwrap();
    let server = folder.join("node_modules/yaml-language-server/bin/yaml-language-server");
    if server.is_file() && std::fs::read(folder.join("installed")).is_ok_and(|of| of == lock) {
        return Ok(folder);
    }
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(root().join("tests/language/editor").join(name), folder.join(name)).unwrap();
    }
    let mut npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "--loglevel=error"])
        .args(["--fetch-retries=0", "--fetch-timeout=20000"])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("npm: {e}"))?;
    let begun = Instant::now();
    let status = loop {
        match npm.try_wait().map_err(|e| e.to_string())? {
            Some(status) => break status,
            None if begun.elapsed() > DEADLINE => {
                npm.kill().map_err(|e| e.to_string())?;
                npm.wait().map_err(|e| e.to_string())?;
                return Err("npm was not done in time".to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    if !status.success() {
        let mut said = String::new();
        npm.stderr.take().unwrap().read_to_string(&mut said).map_err(|e| e.to_string())?;
        return Err(format!(
            "npm could not install it: {}",
            said.lines().next().unwrap_or("no reason given")
        ));
    }
    std::fs::write(folder.join("installed"), lock).map_err(|e| e.to_string())?;
    Ok(folder)
}

/// The server, and what it said that nobody asked for yet.
struct Editor {
    server: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    asked: u64,
    findings: Vec<Value>,
    schema: [String; 2],
}

impl Editor {
    fn open(folder: &Path) -> Self {
        let mut server = Command::new("node")
            .arg("node_modules/yaml-language-server/bin/yaml-language-server")
            .arg("--stdio")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, from) = channel();
        let mut out = BufReader::new(server.stdout.take().unwrap());
        std::thread::spawn(move || {
            while let Some(message) = message(&mut out) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let schema = [("runbook", schema::json_schema()), ("environment", environment::json_schema())];
        let schema = schema.map(|(name, schema)| {
            let path = folder.join(format!("{name}.schema.json"));
            std::fs::write(&path, schema.to_string()).unwrap();
            format!("file://{}", path.display())
        });
        let to = server.stdin.take().unwrap();
        let mut editor = Self { server, to, from, asked: 0, findings: Vec::new(), schema };
        let capabilities = json!({"textDocument": {
            "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
            "hover": {"contentFormat": ["markdown"]},
            "publishDiagnostics": {},
        }});
        editor.ask("initialize", &json!({"processId": null, "rootUri": null, "capabilities": capabilities}));
        editor.tell(&json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}));
        editor
    }

    fn tell(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    /// The next message that is not a question to the editor; those are answered on the way.
    fn next(&mut self) -> Value {
        loop {
            let message = self.from.recv_timeout(DEADLINE).expect("the server goes on talking");
            match (message.get("id"), message["method"].as_str()) {
                (Some(id), Some("workspace/configuration")) => {
                    let items = message["params"]["items"].as_array().unwrap();
                    // Nothing is looked up anywhere else.
                    let settings = json!({"schemaStore": {"enable": false}, "validate": true, "hover": true,
                        "completion": true});
                    let answer: Vec<Value> = items
                        .iter()
                        .map(|item| if item["section"] == "yaml" { settings.clone() } else { Value::Null })
                        .collect();
                    self.tell(&json!({"jsonrpc": "2.0", "id": id, "result": answer}));
                }
                (Some(id), Some(_)) => self.tell(&json!({"jsonrpc": "2.0", "id": id, "result": null})),
                _ => return message,
            }
        }
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.tell(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let message = self.next();
            if message["id"] == id {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].clone();
            }
            self.findings.push(message);
        }
    }

    /// Opens a text as a file of that name, and gives what the server finds wrong with it.
    fn findings(&mut self, name: &str, kind: Sound, text: &str) -> Vec<Value> {
        let uri = format!("file:///editor/{name}");
        let schema = &self.schema[usize::from(kind == Sound::Environment)];
        let text = format!("# yaml-language-server: $schema={schema}\n{text}");
        let document = json!({"uri": uri, "languageId": "yaml", "version": 1, "text": text});
        self.tell(&json!({"jsonrpc": "2.0", "method": "textDocument/didOpen",
            "params": {"textDocument": document}}));
        loop {
            let message = if self.findings.is_empty() { self.next() } else { self.findings.remove(0) };
            let about = &message["params"];
            if message["method"] == "textDocument/publishDiagnostics" && about["uri"] == uri.as_str() {
                return about["diagnostics"].as_array().unwrap().clone();
            }
        }
    }

    /// Asks about the place of the mark `¦` in a text.
    fn at_mark(&mut self, method: &str, name: &str, text: &str) -> Value {
        let at = text.find('¦').expect("a mark");
        let before = &text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap().chars().count();
        self.findings(name, Sound::Runbook, &text.replacen('¦', "", 1));
        let uri = format!("file:///editor/{name}");
        let place = json!({"line": line, "character": column});
        self.ask(method, &json!({"textDocument": {"uri": uri}, "position": place}))
    }

    fn completed(&mut self, name: &str, text: &str) -> Vec<(String, String)> {
        let found = self.at_mark("textDocument/completion", name, text);
        let items = found["items"].as_array().unwrap_or_else(|| panic!("{name}: {found}"));
        let text = |value: &Value| value.as_str().or(value["value"].as_str()).unwrap_or("").to_owned();
        items.iter().map(|item| (text(&item["label"]), text(&item["documentation"]))).collect()
    }

    fn hovered(&mut self, name: &str, text: &str) -> String {
        let found = self.at_mark("textDocument/hover", name, text);
        found["contents"]["value"].as_str().unwrap_or_else(|| panic!("{name}: {found}")).to_owned()
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _gone = self.server.kill();
        let _gone = self.server.wait();
    }
}

/// One message: headers, an empty line, JSON.
fn message(out: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if out.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some(("Content-Length", number)) => length = number.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    out.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

const HEAD: &str = "consigne: v1\nid: t\n";

#[test]
fn an_editor_completes_explains_and_corrects() {
    let folder = match installed() {
        Ok(folder) => folder,
        Err(why) => return not_run(&why),
    };
    let mut editor = Editor::open(&folder);
    completes(&mut editor);
    explains(&mut editor);
    corrects(&mut editor);
    leaves_alone(&mut editor);
}

fn completes(editor: &mut Editor) {
    let text = format!("{HEAD}steps:\n  - id: a\n    http:\n      get: \"https://example.com/\"\n    ¦\n");
    let found = editor.completed("keys.yaml", &text);
    let documented = |name: &str| found.iter().find(|(label, _)| label == name).map(|(_, text)| text.clone());
    for key in ["verify", "retry", "on_failure", "idempotency_key"] {
        assert!(documented(key).is_some_and(|text| !text.is_empty()), "{key} is not offered: {found:?}");
    }
    assert!(documented("verify").unwrap().contains("proof that it took effect"), "{found:?}");
    assert!(documented("quorum").is_none() && documented("id").is_none(), "{found:?}");

    let text = format!("{HEAD}steps:\n  - id: a\n    effect: ¦\n");
    let words: Vec<String> =
        editor.completed("words.yaml", &text).into_iter().map(|(label, _)| label).collect();
    assert_eq!(words, ["read", "write", "destructive", "notify"]);

    let text = format!("{HEAD}steps:\n  - id: a\n    http:\n      ¦\n");
    let found = editor.completed("call.yaml", &text);
    assert!(found.iter().any(|(label, _)| label == "patch"), "{found:?}");
    assert!(!found.iter().any(|(label, _)| label == "retry"), "{found:?}");
}

fn explains(editor: &mut Editor) {
    let text = format!("{HEAD}steps:\n  - id: a\n    argv: [date]\n    idempot¦ency_key: auto\n");
    let found = editor.hovered("hover.yaml", &text);
    assert!(found.contains("idempotency") && found.contains("repeating the call is safe"), "{found}");
    let text = format!("{HEAD}steps:\n  - id: a\n    ver¦ify:\n      argv: [date]\n");
    let found = editor.hovered("mapping.yaml", &text);
    assert!(found.contains("The proof that a step took effect"), "{found}");
    let text = format!("{HEAD}steps:\n  - id: go\n    approve:\n      quor¦um: 2\n      roles: [ops]\n");
    let found = editor.hovered("quorum.yaml", &text);
    assert!(found.contains("How many of them it takes"), "{found}");
}

fn corrects(editor: &mut Editor) {
    for (name, steps, message, line, column) in [
        ("key.yaml", "  - id: a\n    efect: read\n", "Property efect is not allowed.", 5, 4),
        (
            "type.yaml",
            "  - id: a\n    retry: {max_attempts: many}\n",
            "Incorrect type. Expected \"integer\".",
            5,
            26,
        ),
        ("word.yaml", "  - id: a\n    effect: reed\n", "Value is not accepted.", 5, 12),
        ("nothing.yaml", "  - id: a\n    argv:\n", "Incorrect type. Expected \"array\".", 5, 9),
        ("absent.yaml", "  - id: a\n    approve: {}\n", "Missing property \"roles\".", 5, 4),
    ] {
        let found = editor.findings(name, Sound::Runbook, &format!("{HEAD}steps:\n{steps}"));
        let said = found.iter().any(|finding| {
            let start = &finding["range"]["start"];
            finding["message"].as_str().unwrap().starts_with(message)
                && (start["line"].as_u64(), start["character"].as_u64()) == (Some(line), Some(column))
        });
        assert!(said, "{name}: {found:#?}");
    }
}

/// Whatever `check` takes, the editor takes.
fn leaves_alone(editor: &mut Editor) {
    for (at, (path, kind)) in sound_files().into_iter().enumerate() {
        let text = std::fs::read_to_string(&path).unwrap();
        let found = editor.findings(&format!("sound-{at}.yaml"), kind, &text);
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}
