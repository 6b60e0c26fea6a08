//! The terminal, driven for real: a child process in a pseudo-terminal asks, this process types and reads.
//!
//! The child is this test executable itself (see `child`): the real core decides about the plan of a case, the real
//! terminal asks. Orders such as "somebody else has answered" reach the child over a socket.
#![allow(clippy::disallowed_methods, reason = "what the core must not do, tests may")]

extern crate consigne;

mod child;
mod sample;

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rexpect::session::{PtySession, spawn_command};
use rustix::termios::{LocalModes, tcgetattr};

/// A child at work on a case.
struct Session {
    pty: PtySession,
    control: UnixStream,
    folder: tempfile::TempDir,
}

impl Session {
    fn of(case: &str) -> Self {
        Self::run(case, "\"$0\" \"$@\" & wait")
    }

    /// Runs a case by a line of shell, which leads the session of the terminal.
    fn run(case: &str, shell: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control");
        let listener = UnixListener::bind(&socket).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", shell]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", "plays_the_child", "--nocapture"]);
        command.env(child::CASE, case).env(child::CONTROL, &socket).env("TERM", "xterm").env("NO_COLOR", "1");
        command.current_dir(folder.path());
        let pty = spawn_command(command, Some(20_000)).unwrap();
        let (control, _) = listener.accept().unwrap();
        Self { pty, control, folder }
    }

    /// Waits for a text. The library that reads takes each byte for a character.
    fn sees(&mut self, text: &str) -> String {
        let bytes: String = text.bytes().map(char::from).collect();
        self.pty.exp_string(&bytes).unwrap_or_else(|error| panic!("{text:?} does not appear: {error}"))
    }

    fn types(&mut self, line: &str) {
        self.pty.send_line(line).unwrap();
    }

    fn keys(&mut self, keys: &str) {
        self.pty.send(keys).unwrap();
        self.pty.flush().unwrap();
    }

    fn control(&mut self, order: &str) {
        writeln!(self.control, "{order}").unwrap();
    }

    /// Waits for the prompt that ends so, and answers.
    fn answers(&mut self, prompt: &str, line: &str) {
        self.sees(prompt);
        self.types(line);
    }

    fn ends(mut self, how: &str) {
        self.sees(&format!("END {how}"));
        self.pty.exp_eof().unwrap();
    }

    fn is_raw(&self) -> bool {
        let terminal = self.pty.process().get_file_handle().unwrap();
        !tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ICANON)
    }
}

/// Not a test of its own: the other side of the others, when they start this executable again.
#[test]
fn plays_the_child() {
    if let Ok(case) = std::env::var(child::CASE) {
        child::play(&case);
    }
}

#[test]
fn an_approval_is_shown_whole_and_given_by_a_word() {
    let mut s = Session::of("approve");
    s.sees("Authorization: Bearer <secret admin_token>");
    s.answers("(approve/reject) > ", "?");
    s.sees("pauses the run");
    s.answers("(approve/reject) > ", "perhaps");
    s.answers("(approve/reject) > ", "app");
    s.answers("comment (Enter: none) > ", "seen");
    s.sees(r#"TOOK "approve" by bob OsUser"#);
    s.ends("succeeded");
}

#[test]
fn a_refused_answer_is_explained_and_asked_again() {
    let mut s = Session::of("refused");
    s.answers("answer as (bob/carol) > ", "bob");
    s.answers("(approve/reject) > ", "approve");
    s.answers("comment", "");
    s.sees("TOOK");
    s.answers("answer as (bob/carol) > ", "bob");
    s.answers("(approve/reject) > ", "reject");
    s.answers("comment", "");
    s.sees("answer refused: bob said \"approve\" at");
    s.answers("answer as (bob/carol) > ", "carol");
    s.answers("(approve/reject) > ", "approve");
    s.answers("comment", "");
    s.ends("succeeded");
}

#[test]
fn a_gate_for_somebody_else_is_shown_and_holds_up_nothing() {
    let mut s = Session::of("parked");
    s.sees("This is not for alice to answer. Waiting for: bob, carol");
    assert!(!s.is_raw(), "Ctrl-C is a signal while nothing is asked here");
    s.control("answer");
    s.sees("question closed: go: answered by bob");
    s.ends("succeeded");
}

#[test]
fn a_confirmation_is_typed_out() {
    let mut s = Session::of("typed");
    s.sees("To confirm, type exactly: acme");
    s.answers("sure > ", "yes");
    s.sees("nothing is confirmed");
    s.answers("sure > ", "acme");
    s.answers("comment", "");
    s.ends("succeeded");
}

#[test]
fn a_form_is_edited_in_the_line_and_completed() {
    let mut s = Session::of("form");
    s.answers("Number of users > ", "12");
    s.sees("at most 9");
    s.sees("Number of users > ");
    s.keys("93\u{1b}[D\u{7f}");
    s.types("");
    s.sees("Colour [blue] > ");
    s.keys("r\t");
    s.types("");
    s.answers("Sure > ", "yes");
    s.sees(r#"TOOK {"count":3,"colour":"red","sure":true}"#);
    s.ends("succeeded");
}

#[test]
fn a_checklist_is_answered_by_numbers_with_evidence() {
    let mut s = Session::of("checklist");
    s.sees("[x] 1. Is up so? (proved by its probe)");
    s.sees("[ ] 2. Is told so? (to be checked, evidence required)");
    s.answers("number (and answer), or all > ", "2 yes");
    s.answers("file as evidence (required) > ", "proof.txt");
    s.sees("kept: proof.txt, 5 bytes");
    s.answers("another file", "");
    s.sees("[x] 2. Is told so? (confirmed)");
    s.answers("number (and answer), or all > ", "all");
    s.ends("succeeded");
}

#[test]
fn a_choice_is_made_by_numbers_and_by_completed_ids() {
    let mut s = Session::of("choice");
    s.sees("To choose from, one:");
    s.sees("2. lille  The one in Lille");
    s.answers("number or id > ", "4");
    s.sees("\"4\" is no answer: lyon, lille, paris");
    s.sees("number or id > ");
    s.keys("l\t");
    s.sees("lyon  lille");
    s.keys("i\t");
    s.types("");
    s.answers("comment", "");
    s.sees(r#"TOOK "lille""#);
    s.sees("To choose from, from 1 to 2:");
    s.sees("numbers or ids, separated by spaces > ");
    s.keys("3 ly\t");
    s.types("");
    s.answers("comment", "");
    s.sees(r#"TOOK ["lyon","paris"]"#);
    s.ends("succeeded");
}

#[test]
fn a_manual_step_speaks_french() {
    let mut s = Session::of("manual");
    s.answers("(fait/pas_fait) > ", "fait");
    s.answers("commentaire (Entrée : aucun) > ", "débranché à 8 h");
    s.sees("débranché à 8 h");
    s.ends("succeeded");
}

#[test]
fn a_failure_is_a_menu_with_consequences() {
    let mut s = Session::of("failure");
    s.sees("Result: status 500, attempt 1");
    s.sees("earlier lines (? shows them)");
    s.sees("one more attempt, now");
    s.answers("(retry/by_hand/skip/set_output/end) > ", "retry");
    s.answers("comment", "");
    s.sees("attempt 2");
    s.answers("(retry/by_hand/skip/set_output/end) > ", "by");
    s.answers("reason (required) > ", "did it in the console");
    s.answers("file as evidence (Enter: none) > ", "");
    s.answers("ticket (a text, read by a later step) > ", "T-7");
    s.sees("Ticket T-7, close it?");
    s.answers("(yes/no) > ", "yes");
    s.answers("comment", "");
    s.ends("succeeded");
}

#[test]
fn an_unknown_outcome_and_a_toggle_are_asked_about() {
    let mut s = Session::of("unknown");
    s.sees("it may take effect TWICE");
    s.answers("(done/not_done/retry/end) > ", "done");
    s.answers("reason (required) > ", "it is there");
    s.answers("file as evidence", "");
    s.answers("(yes/no) > ", "no");
    s.answers("comment", "");
    s.sees("PUT https://api.test/tenants/acme/mode");
    s.answers("(put_back/done/leave_open) > ", "leave_open");
    s.answers("reason (required) > ", "still sick");
    s.answers("who looks after it? > ", "carol");
    s.answers("to be reviewed when?", "4h");
    s.ends("refused");
}

#[test]
fn output_appears_above_what_is_being_typed() {
    let mut s = Session::of("approve");
    s.sees("(approve/reject) > ");
    s.keys("appr");
    s.sees("> appr");
    s.control("say step one is done");
    let before = s.sees("step one is done\r\n");
    assert!(before.ends_with(" \r") || before.ends_with('\r'), "the prompt is wiped first: {before:?}");
    s.sees("(approve/reject) > appr");
    s.control("say \u{1b}[2Jevil");
    s.sees("␛[2Jevil");
    s.keys("ove\r");
    s.answers("comment", "");
    s.sees(r#"TOOK "approve""#);
    s.ends("succeeded");
}

#[test]
fn a_reminder_rings_and_leaves_what_is_being_typed() {
    let mut s = Session::of("approve");
    s.sees("(approve/reject) > ");
    s.keys("appr");
    s.sees("> appr");
    s.control("remind reminder: an answer is waited for");
    s.sees("reminder: an answer is waited for\r\n\u{7}");
    s.sees("(approve/reject) > appr");
    s.keys("ove\r");
    s.answers("comment", "");
    s.ends("succeeded");
}

#[test]
fn a_question_answered_elsewhere_disappears_while_it_is_being_typed() {
    let mut s = Session::of("two");
    s.sees("(approve/reject) > ");
    s.keys("rej");
    s.sees("> rej");
    s.control("answer");
    s.sees("question closed: go: answered by carol");
    // What was typed for one question is not taken for the next.
    s.sees("sure > ");
    s.types("acme");
    s.answers("comment", "");
    s.sees(r#"TOOK "acme""#);
    s.ends("succeeded");
}

#[test]
fn what_is_typed_before_a_question_is_asked_does_not_answer_it() {
    let mut s = Session::of("two");
    s.sees("(approve/reject) > ");
    s.keys("approve\r\racme\r\r");
    s.sees(r#"TOOK "approve""#);
    s.answers("sure > ", "no");
    s.answers("comment", "");
    s.sees(r#"TOOK "no""#);
    s.ends("refused");
}

#[test]
fn another_answer_shows_the_question_anew_and_keeps_what_was_typed() {
    let mut s = Session::of("refused");
    s.sees("answer as (bob/carol) > ");
    s.keys("car");
    s.sees("> car");
    s.control("answer");
    s.sees("the question has changed");
    s.sees("bob said \"approve\" at");
    s.sees("answer as (bob/carol) > car");
    s.keys("\r");
    s.answers("(approve/reject) > ", "approve");
    s.answers("comment", "");
    s.ends("succeeded");
}

#[test]
fn a_paste_with_line_breaks_answers_nothing() {
    let mut s = Session::of("form");
    s.sees("\u{1b}[?2004h");
    s.sees("Number of users > ");
    s.keys("\u{1b}[200~3\nred\nyes\n\u{1b}[201~");
    s.sees("only the first line of the pasted text was taken");
    s.sees("Number of users > 3");
    s.types("");
    s.answers("Colour [blue] > ", "");
    s.answers("Sure > ", "no");
    s.sees("\u{1b}[?2004l");
    s.sees(r#"TOOK {"count":3,"colour":"blue","sure":false}"#);
    s.ends("succeeded");
}

#[test]
fn a_paste_into_a_question_that_closes_does_not_reach_the_next() {
    let mut s = Session::of("two");
    s.sees("(approve/reject) > ");
    s.keys("\u{1b}[200~rej");
    s.control("answer");
    s.sees("question closed: go: answered by carol");
    // Drawn twice, the second time for the cursor; and once more when the paste is over.
    s.sees("sure > ");
    s.sees("sure > ");
    s.keys("\nacme\r\racme\r\u{1b}[201~");
    s.answers("sure > ", "no");
    s.answers("comment", "");
    s.sees(r#"TOOK "no""#);
    s.ends("refused");
}

#[test]
fn earlier_answers_come_back_with_the_arrow_keys() {
    let mut s = Session::of("failure");
    s.answers("(retry/by_hand/skip/set_output/end) > ", "retry");
    s.answers("comment (Enter: none) > ", "once more");
    s.sees("attempt 2");
    s.sees("(retry/by_hand/skip/set_output/end) > ");
    s.keys("en\u{1b}[A\u{1b}[A\r");
    s.sees("(retry/by_hand/skip/set_output/end) > retry");
    s.sees("comment (Enter: none) > ");
    s.keys("\u{1b}[A\r");
    s.sees("comment (Enter: none) > retry");
    s.sees("attempt 3");
    s.control("close");
    s.ends("waiting");
}

#[test]
fn words_and_characters_are_deleted_whole_and_files_completed() {
    let mut s = Session::of("checklist");
    s.answers("number (and answer), or all > ", "2 yes");
    s.sees("file as evidence (required) > ");
    s.keys("nowhere/else 🇫🇷\u{7f}\u{17}pro\t");
    s.sees("file as evidence (required) > proof.txt");
    s.types("");
    s.sees("kept: proof.txt, 5 bytes");
    s.control("close");
    s.ends("waiting");
}

#[test]
fn a_refusal_has_a_french_headline_and_the_rest_below() {
    let mut s = Session::of("refused in French");
    for word in ["approuver", "rejeter"] {
        s.answers("répondre en tant que (bob/carol) > ", "bob");
        s.answers("(approuver/rejeter) > ", word);
        s.answers("commentaire (Entrée : aucun) > ", "");
    }
    s.sees("réponse refusée : quelqu'un a déjà répondu autrement\r\n");
    s.sees("Détail : bob said \"approve\" at");
    s.control("close");
    s.ends("waiting");
}

#[test]
fn lines_go_to_stderr_and_prompts_to_the_terminal() {
    let mut s = Session::run("approve", "\"$0\" \"$@\" 2>err & wait");
    s.sees("(approve/reject) > ");
    s.control("say to be kept");
    s.keys("app\r");
    let between = s.sees("comment (Enter: none) > ");
    assert!(!between.contains("to be kept"), "{between}");
    s.keys("\r");
    s.pty.exp_eof().unwrap();
    let err = std::fs::read_to_string(s.folder.path().join("err")).unwrap();
    assert!(
        err.contains("to be kept") && err.contains("END succeeded") && !err.contains("approve/reject"),
        "{err}"
    );
}

#[test]
fn ctrl_c_interrupts_and_the_prompt_comes_back() {
    let mut s = Session::of("approve");
    s.sees("(approve/reject) > ");
    s.keys("appr\u{3}");
    s.sees("^C");
    s.sees("INTERRUPT");
    s.answers("(approve/reject) > ", "approve");
    s.answers("comment", "");
    s.ends("succeeded");
}

#[test]
fn a_signal_is_not_a_key() {
    let mut s = Session::of("approve");
    s.sees("(approve/reject) > ");
    assert!(s.is_raw());
    s.control("sigint");
    s.sees("SIGNAL");
    s.answers("(approve/reject) > ", "approve");
    s.answers("comment", "");
    s.ends("succeeded");
}

#[test]
fn the_end_of_input_hangs_up_and_restores_the_terminal() {
    let mut s = Session::of("approve");
    s.sees("(approve/reject) > ");
    s.keys("\u{4}");
    s.sees("HANGUP");
    assert!(!s.is_raw());
    s.ends("waiting");
}

#[test]
fn closing_at_a_prompt_restores_the_terminal() {
    let mut s = Session::of("approve");
    s.sees("(approve/reject) > ");
    assert!(s.is_raw());
    s.control("close");
    s.sees("CLOSED");
    assert!(!s.is_raw());
    s.ends("waiting");
}

#[test]
fn a_terminal_that_goes_away_hangs_up() {
    let mut s = Session::of("approve");
    s.sees("(approve/reject) > ");
    let Session { pty, mut control, folder } = s;
    // The leader of the session is ended; whoever reads for us lets go with the next thing that he reads.
    drop(pty);
    let log = folder.path().join("log");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("HANGUP")) {
        assert!(Instant::now() < deadline, "the child does not notice");
        let _ = writeln!(control, "say anything");
        std::thread::yield_now();
    }
}
