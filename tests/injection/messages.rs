//! Values in messages: letters, webhooks, programs, and what the environment says about those who are told.

use base64::Engine;
use serde_json::{Value, json};

use super::house::{House, value};
use super::recorder::Recorder;

/// The mailbox of a practice environment, a webhook of ours, and a program that writes down what it is given.
fn environment(house: &House, hook: u16) -> Value {
    std::fs::create_dir(house.path("told")).unwrap();
    let told = house.path("told").display().to_string();
    std::fs::write(house.path("hook"), format!("http://127.0.0.1:{hook}/hook")).unwrap();
    let program =
        "{ printf '%s\\0' \"$CONSIGNE_SUBJECT\" \"$CONSIGNE_TEXT\"; cat; printf '\\0'; } > \"$0/$$\"";
    json!({
        "role_play": true, "people": {"bob": {}}, "roles": {"ops": ["bob"]},
        "services": {"mailbox": {
            "argv": ["consigne", "practice", "--mailbox", "--port", "{{ services.mailbox.port }}", "--state", house.path("mail")],
            "port": "auto", "ready": {"tcp": true}}},
        "secrets": {"hook": {"file": house.path("hook")}},
        "mail": {"server": "127.0.0.1:{{ services.mailbox.port }}", "from": "runs@practice.example", "tls": "none"},
        "contacts": {
            "mailed": {"mail": "ops@practice.example"}, "hooked": {"slack": "hook"},
            "called": {"command": ["bash", "-c", program, told]},
        },
    })
}

/// Headers of a letter of ours, each once, and nothing else.
const HEADERS: [&str; 10] = [
    "auto-submitted",
    "content-transfer-encoding",
    "content-type",
    "date",
    "from",
    "message-id",
    "mime-version",
    "subject",
    "to",
    "x-rcptto",
];

/// The headers of a letter by name, unfolded, and its text.
fn letter(mail: &str) -> (Vec<(String, String)>, String) {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let headers: Vec<(String, String)> = unfolded
        .split("\r\n")
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let how = &headers.iter().find(|(name, _)| name == "content-transfer-encoding").unwrap().1;
    let text = match how.as_str() {
        "quoted-printable" => printable(body),
        "base64" => decode64(&body.replace("\r\n", "")),
        _ => body.to_owned(),
    };
    (headers, text.replace("\r\n", "\n"))
}

fn decode64(text: &str) -> String {
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

fn printable(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    super::recorder::decoded(&joined.replace('%', "=25").replace('=', "%"), false)
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .unwrap()
}

/// A subject as a reader shows it: words that were encoded stand beside each other without a space.
fn subject(header: &str) -> String {
    let mut out = String::new();
    let mut was_encoded = false;
    for word in header.split(' ') {
        let encoded = word.strip_prefix("=?utf-8?b?").and_then(|word| word.strip_suffix("?="));
        if !(out.is_empty() || was_encoded && encoded.is_some()) {
            out.push(' ');
        }
        out.push_str(&encoded.map_or_else(|| word.to_owned(), decode64));
        was_encoded = encoded.is_some();
    }
    out
}

fn mails(house: &House) -> Vec<String> {
    let mut files: Vec<_> =
        std::fs::read_dir(house.path("mail/new")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| String::from_utf8(std::fs::read(file).unwrap()).unwrap()).collect()
}

/// In which order values arrived does not matter: nothing is lost, nothing is added.
fn sorted(mut all: Vec<(String, String)>) -> Vec<(String, String)> {
    all.sort();
    all
}

#[test]
fn rule_19_a_message_carries_every_value_and_no_header_of_its_own() {
    let house = House::new();
    let hook = Recorder::new();
    house.write("environments/plain.yaml", &environment(&house, hook.port));
    let sent: Vec<&String> = house.values.iter().filter(|value| value.len() < 20_000).collect();
    let is_line =
        |text: &str| !text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
    let (mut steps, mut expected) = (Vec::new(), Vec::new());
    for (at, content) in house.values.iter().enumerate().filter(|(_, value)| value.len() < 20_000) {
        // Once in both, and once where only its text may hold it.
        for (name, about) in [("both", format!("<{}>", value(at))), ("text", "<>".to_owned())] {
            if name == "both" || !is_line(content) {
                steps.push(json!({"id": format!("{name}_{at}"), "needs": [],
                    "notify": {"to": ["mailed", "hooked", "called"], "subject": about, "text": format!("<{}>", value(at))}}));
            }
        }
        if !content.contains('\0') {
            let about = if is_line(content) { content.as_str() } else { "" };
            expected.push((format!("[drill] <{about}>"), format!("<{content}>")));
        }
    }
    let said = house.drill(json!({"steps": steps}), &json!({}));
    assert_eq!(said.code, Some(0), "{}", &said.text[said.text.len().saturating_sub(3_000)..]);
    assert!(sent.len() > 200);
    for (step, (status, reason)) in house.endings() {
        let (name, at) = step.split_once('_').unwrap();
        let content = &house.values[at.parse::<usize>().unwrap()];
        let refused = content.contains('\0') || (name == "both" && !is_line(content));
        let ended = if refused { ("failed", "request") } else { ("succeeded", "ok") };
        assert_eq!((status.as_str(), reason.as_str()).0, ended.0, "{step}: {reason} {content:?}");
        assert!(!refused || reason == "request", "{step}: {reason}");
    }
    let expected = sorted(expected);
    let called = std::fs::read_dir(house.path("told")).unwrap().map(|file| {
        let written = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let fields: Vec<&str> = written.strip_suffix('\0').unwrap().split('\0').collect();
        let [subject, text, input] = fields[..] else { panic!("{fields:?}") };
        assert_eq!(text, input, "as a variable and as input");
        (subject.to_owned(), text.to_owned())
    });
    assert!(sorted(called.collect()) == expected, "the program is told something else");
    mailed(&house, &expected);
    hooked(&hook, &expected);
}

fn mailed(house: &House, expected: &[(String, String)]) {
    let mut got = Vec::new();
    for mail in mails(house) {
        let (headers, text) = letter(&mail);
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, HEADERS, "{mail}");
        let header = |name: &str| headers.iter().find(|(own, _)| own == name).unwrap().1.clone();
        assert_eq!(
            (header("x-rcptto").as_str(), header("to").as_str()),
            ("ops@practice.example", "ops@practice.example")
        );
        got.push((subject(&header("subject")), text.strip_suffix('\n').unwrap_or(&text).to_owned()));
    }
    // Lines of a mail end in one way only, and its text in one.
    let lines = |text: &String| text.replace("\r\n", "\n").replace('\r', "\n");
    let expected: Vec<_> = expected.iter().map(|(subject, text)| (subject.clone(), lines(text))).collect();
    let (got, expected) = (sorted(got), sorted(expected));
    let other: Vec<_> = got.iter().zip(&expected).filter(|(got, sent)| got != sent).take(3).collect();
    assert!(
        other.is_empty() && got.len() == expected.len(),
        "{} of {}: {other:#?}",
        got.len(),
        expected.len()
    );
}

fn hooked(hook: &Recorder, expected: &[(String, String)]) {
    let mut got = Vec::new();
    for heard in hook.heard() {
        assert_eq!(heard.line, "POST /hook HTTP/1.1");
        let body: Value = serde_json::from_slice(&heard.body).unwrap();
        let fields = body.as_object().unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["text"], "{body}");
        let text = fields["text"].as_str().unwrap();
        assert!(
            !text.replace("&lt;", "").contains(['<', '>']),
            "nobody is called and nothing is linked: {text}"
        );
        let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let (subject, text) = plain.strip_prefix('*').unwrap().split_once("*\n").unwrap();
        got.push((subject.to_owned(), text.to_owned()));
    }
    let got = sorted(got);
    let other: Vec<_> = got.iter().zip(expected).filter(|(got, sent)| got != sent).take(3).collect();
    assert!(
        other.is_empty() && got.len() == expected.len(),
        "{} of {}: {other:#?}",
        got.len(),
        expected.len()
    );
}

/// Whoever writes the environment can be wrong as well: an address is one address, or the step says that it is none.
#[test]
fn rule_19_an_address_is_one_recipient_or_refused() {
    let addresses = [
        "ops@practice.example\r\nBcc: eve@evil.example",
        "ops@practice.example\nRCPT TO:<eve@evil.example>",
        "ops@practice.example, eve@evil.example",
        "ops@practice.example> <eve@evil.example",
        "<ops@practice.example>",
        "Ops <ops@practice.example>",
        "\"a b\"@practice.example",
        "ops@practice.example\0",
        "ops @practice.example",
        "@practice.example",
        "ops@",
        "",
        "ops@pra\u{202e}ctice.example",
        "ops+$(id)@practice.example",
    ];
    let mut taken = 0;
    for address in addresses {
        let house = House::new();
        let mut environment = environment(&house, 1);
        environment["contacts"] = json!({"mailed": {"mail": address}});
        house.write("environments/plain.yaml", &environment);
        let step = json!({"id": "tell", "notify": {"to": ["mailed"], "subject": "s", "text": "t"}, "allowed": false});
        let said = house.drill(json!({"steps": [step]}), &json!({}));
        if said.code == Some(0) {
            for mail in mails(&house) {
                let (headers, _) = letter(&mail);
                assert_eq!(headers.len(), HEADERS.len(), "{mail}");
                assert_eq!(headers[0], ("x-rcptto".to_owned(), address.to_owned()), "{mail}");
            }
            taken += 1;
        } else {
            let told = [said.text.clone(), house.consigne(&["report", "r", "--open"]).text].concat();
            assert!(told.contains("address"), "{address:?}: {told}");
            assert!(!house.path("mail/new").exists() || mails(&house).is_empty(), "{address:?}");
        }
    }
    assert!(taken <= 2, "{taken}");
}
