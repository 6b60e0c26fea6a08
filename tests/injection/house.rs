//! A folder for a runbook, a home, and a canary that no value may touch.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::values::hostile;

const PLAIN: &str = "role_play: true\npeople:\n  bob: {}\nroles:\n  ops: [bob]\n";

pub struct House {
    folder: tempfile::TempDir,
    pub values: Vec<String>,
}

/// What a command said, and how it ended.
pub struct Said {
    pub code: Option<i32>,
    pub text: String,
}

impl House {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("work/environments")).unwrap();
        std::fs::create_dir_all(folder.path().join("user")).unwrap();
        std::fs::write(folder.path().join("work/environments/plain.yaml"), PLAIN).unwrap();
        let values = hostile(&folder.path().join("canary").display().to_string());
        Self { folder, values }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    pub fn write(&self, name: &str, data: &Value) {
        // JSON is YAML, but for characters that have to be escaped there.
        let mut text = String::new();
        for c in data.to_string().chars() {
            if c.is_ascii() && c != '\u{7f}' {
                text.push(c);
            } else {
                text += &format!("\\U{:08X}", u32::from(c));
            }
        }
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn consigne(&self, args: &[&str]) -> Said {
        let output = Command::new(env!("CARGO_BIN_EXE_consigne"))
            .args(args)
            .current_dir(self.path("."))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path().join("user"))
            .env("CONSIGNE_HOME", self.folder.path().join("home"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        Said { code: output.status.code(), text: String::from_utf8(said).unwrap() }
    }

    /// Runs steps over all values, which they read as `inputs.v`, to the end.
    pub fn drill(&self, book: Value, answers: &Value) -> Said {
        self.drill_as("r", book, answers)
    }

    /// The same under a name.
    pub fn drill_as(&self, run: &str, book: Value, answers: &Value) -> Said {
        let mut whole = json!({
            "consigne": "v1", "id": "hostile",
            "inputs": {"v": {"type": "list", "of": "string"}},
        });
        whole.as_object_mut().unwrap().extend(book.as_object().unwrap().clone());
        self.write("hostile.yaml", &whole);
        self.write("hostile.inputs.yaml", &json!({"v": self.values}));
        self.write("answers.yaml", answers);
        let said = self.consigne(&[
            "drill",
            "hostile.yaml",
            "--env",
            "plain",
            "--inputs",
            "hostile.inputs.yaml",
            "--answers",
            "answers.yaml",
            "--run-id",
            run,
        ]);
        self.untouched();
        said
    }

    /// By step: how it ended, and why it failed.
    pub fn endings(&self) -> std::collections::BTreeMap<String, (String, String)> {
        let shown = self.consigne(&["show", "r", "--json"]);
        let end = shown.text.rfind('}').unwrap();
        let shown: Value = serde_json::from_str(&shown.text[shown.text.find('{').unwrap()..=end]).unwrap();
        let steps = shown["steps"].as_array().unwrap().iter();
        steps
            .map(|step| {
                let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
                (text("id"), (text("status"), text("reason")))
            })
            .collect()
    }

    #[track_caller]
    pub fn untouched(&self) {
        assert!(!self.folder.path().join("canary").exists(), "a value was executed");
    }
}

/// The value of that number, as a template.
pub fn value(at: usize) -> String {
    format!("{{{{ inputs.v[{at}] }}}}")
}
