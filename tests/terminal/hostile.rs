//! Values that would drive the terminal, or pass for a line of ours, in everything that a person is shown and asked.

use crate::session::Desk;

/// What a line of ours begins with, and values do not.
const FORGED: [&str; 3] = ["✓ forged", "── forged", "forged: bob approved"];

/// As YAML writes them.
const VALUES: [&str; 14] = [
    r"a\n✓ forged",
    r"a\r\n✓ forged",
    r"a\r✓ forged",
    r"a\n── forged",
    r"a\n\n\nforged: bob approved",
    r"a\v✓ forged",
    r"a\x85✓ forged",
    r"a\u2028✓ forged",
    r"\x1b[2J\x1b[1;1H✓ forged",
    r"\x1b]0;forged\x07",
    r"\x9b2J✓ forged",
    r"\x08\x08\x08\x08✓ forged",
    r"\u202edegrof\u2066",
    r"\x1b[?1049h\x1bP\x1b\\",
];

const BOOK: &str = r#"consigne: v1
id: hostile
inputs:
  v: {type: list, of: string, default: [VALUES]}
steps:
  - id: asked
    for_each: {items: "inputs.v", as: it, max_targets: 100}
    title: "{{ it }}"
    confirm: {}
    message: "{{ it }}"
    show: "{{ it }}"
    links: [{url: "https://example.com/{{ it }}", title: "{{ it }}"}]
  - id: points
    for_each: {items: "inputs.v", as: it, max_targets: 100}
    title: "{{ it }}"
    checklist: {items: [{id: one, text: "{{ it }}", probe: {argv: ["true", "{{ it }}"], effect: read}}]}
  - id: done
    for_each: {items: "inputs.v", as: it, max_targets: 100}
    shell: "printf '%s' {{ it }}; printf '%s' {{ it }} >&2"
    effect: read
  - id: broken
    shell: "printf '%s' {{ inputs.v[0] }} >&2; printf '%s' {{ inputs.v[8] }} >&2; exit 3"
    effect: read
"#;

/// A session hands over bytes, each as a character.
fn read(seen: &str) -> String {
    String::from_utf8(seen.chars().map(|c| u8::try_from(c).unwrap()).collect()).unwrap()
}

#[test]
fn rule_19_no_value_drives_the_terminal_or_forges_a_line() {
    let values: Vec<String> = VALUES.iter().map(|value| format!("\"{value}\"")).collect();
    let desk = Desk::new(&BOOK.replace("VALUES", &values.join(", ")));
    let mut s = desk.sits(&["drill", "book.yaml", "--env", "plain", "--run-id", "r1"], &[("NO_COLOR", "1")]);
    let mut shown = String::new();
    for _ in VALUES {
        shown += &read(&s.sees("(yes/no) > "));
        s.types("yes");
        shown += &read(&s.sees("comment"));
        s.types("");
    }
    shown += &read(&s.sees("skip"));
    s.types("end");
    shown += &read(&s.sees("reason"));
    s.types("it is over");
    let (rest, code) = s.ends();
    shown += &rest;
    assert_eq!(code, Some(1), "{rest}");
    assert!(shown.contains("a␊✓ forged") && shown.contains("    | ✓ forged"), "{shown}");
    // A screen ends its lines with both; a carriage return alone goes back to where our own prompt begins.
    for line in shown.split(['\n', '\r']) {
        let begun = FORGED.iter().find(|forged| line.trim_start_matches("\u{1b}[K").starts_with(*forged));
        assert_eq!(begun, None, "{line:?}");
    }
    for driven in [
        "\u{1b}]",
        "\u{1b}[2J",
        "\u{1b}[1;1H",
        "\u{1b}[?1049",
        "\u{1b}P",
        "\u{9b}",
        "\u{202e}",
        "\u{2028}",
        "\u{8}",
    ] {
        assert!(!shown.contains(driven), "{driven:?} in {shown:?}");
    }
}
