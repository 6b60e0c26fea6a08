//! Messages, against servers that take them, refuse them, or go away half way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use consigne::core::{AttemptRequest, AttemptResult, Outcome};
use consigne::plan::{Action, Channel, Effect, ErrorClass, Localized, MailServer, Notice, Recipient};
use consigne::runbook::template::Rendered;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{CANARY, World, contains, request, with_outputs};

/// What a server does when it hears a verb, `.` being the end of a mail.
type Says = &'static [(&'static str, Does)];

#[derive(Clone, Copy)]
enum Does {
    Say(&'static str),
    Drop,
    /// Neither answers nor goes.
    Hang,
}

/// A mail server that has its own ways, and remembers all it hears.
struct Server {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, says, log.clone()));
            }
        });
        Self { port, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn mails(&self) -> Vec<String> {
        self.heard().into_iter().filter(|line| line.contains('\n')).collect()
    }
}

async fn converse(stream: TcpStream, says: Says, log: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let usual = [
        ("hello", "220 here"),
        ("EHLO", "250 here"),
        ("MAIL", "250 ok"),
        ("RCPT", "250 ok"),
        ("DATA", "354 go on"),
        (".", "250 kept"),
        ("QUIT", "221 bye"),
    ];
    let mut verb = "hello".to_owned();
    loop {
        let does = says.iter().find(|(word, _)| *word == verb).map(|(_, does)| *does);
        let usual = usual.iter().find(|(word, _)| *word == verb).map_or("502 what?", |(_, text)| text);
        match does.unwrap_or(Does::Say(usual)) {
            Does::Say(text) => stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).await?,
            Does::Drop => return Ok(()),
            Does::Hang => std::future::pending().await,
        }
        if verb == "DATA" && does.is_none() {
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                if stream.read_line(&mut mail).await? == 0 {
                    return Ok(());
                }
            }
            log.lock().unwrap().push(mail);
            verb = ".".to_owned();
            continue;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        log.lock().unwrap().push(line.trim_end().to_owned());
        verb = line.split([' ', ':', '\r']).next().unwrap_or("").to_uppercase();
    }
}

fn server(port: u16) -> MailServer {
    MailServer {
        host: "127.0.0.1".into(),
        port,
        from: "run@example.com".into(),
        tls: false,
        ca_file: None,
        user: None,
        password: None,
    }
}

fn to(name: &str, channels: Vec<Channel>) -> Recipient {
    Recipient { name: name.into(), lang: None, channels }
}

fn by_mail(name: &str) -> Recipient {
    to(name, vec![Channel::Mail(format!("{name}@example.com"))])
}

fn notice(to: Vec<Recipient>, mail: Option<MailServer>) -> Notice<Rendered> {
    Notice {
        to,
        first: false,
        mail,
        subject: Localized {
            fr: Some(Rendered::literal("Terminé ✓")), en: Some(Rendered::literal("Done"))
        },
        text: Localized {
            fr: Some(Rendered::literal("C'est fait.")),
            en: Some(Rendered::literal("It is done.")),
        },
    }
}

fn sending(notice: Notice<Rendered>) -> AttemptRequest {
    let request = request(Action::Notify(Box::new(notice)), Effect::Notify, 5_000);
    AttemptRequest {
        idempotency_key: Some("k-1".into()),
        ..with_outputs(request, &[("sent", ".sent"), ("failed", ".failed")])
    }
}

fn detail(outcome: &Outcome) -> &str {
    outcome.excerpts.get("body").map_or("", String::as_str)
}

#[tokio::test]
async fn a_mail_is_sent_in_the_language_of_whoever_gets_it() {
    let (world, server_) = (World::new("messages-mail"), Server::start(&[]).await);
    let mut recipients = vec![by_mail("bob"), by_mail("eve")];
    recipients[1].lang = Some("fr".into());
    let outcome = world.run(sending(notice(recipients, Some(server(server_.port))))).await;
    assert_eq!(outcome.result, AttemptResult::Succeeded, "{outcome:?}");
    assert_eq!(outcome.outputs["sent"].text(), r#"["bob","eve"]"#);
    assert_eq!(outcome.outputs["failed"].text(), "[]");
    let mails = server_.mails();
    assert!(
        mails[0].contains("To: bob@example.com\r\n") && mails[0].contains("Subject: Done\r\n"),
        "{mails:?}"
    );
    assert!(mails[0].contains("Message-ID: <k-1.0@example.com>\r\n"), "{mails:?}");
    assert!(mails[1].contains("Subject: =?utf-8?b?VGVybWluw6kg4pyT?=\r\n"), "{mails:?}");
    assert!(mails[1].contains("C'est fait."), "{mails:?}");
}

#[tokio::test]
async fn a_line_that_is_a_dot_does_not_end_a_mail() {
    let (world, server_) = (World::new("messages-dots"), Server::start(&[]).await);
    let mut notice = notice(vec![by_mail("bob")], Some(server(server_.port)));
    notice.text = Localized::both(Rendered::literal("one\n.\nMAIL FROM:<eve@example.com>\n.two"));
    let outcome = world.run(sending(notice)).await;
    assert_eq!(outcome.result, AttemptResult::Succeeded, "{outcome:?}");
    let (mail, heard) = (server_.mails(), server_.heard());
    assert!(mail[0].contains("one\r\n..\r\nMAIL FROM:<eve@example.com>\r\n..two"), "{mail:?}");
    assert!(!heard.iter().any(|line| line.starts_with("MAIL FROM:<eve")), "{heard:?}");
}

#[tokio::test]
async fn a_subject_that_would_be_a_header_is_sent_to_nobody() {
    let (world, server_) = (World::new("messages-header"), Server::start(&[]).await);
    for bad in ["x\r\nBcc: eve@example.com", "x\ny", "x\0", "x\u{2028}y"] {
        let mut notice = notice(vec![by_mail("bob")], Some(server(server_.port)));
        notice.subject = Localized::both(Rendered::literal(bad));
        let outcome = world.run(sending(notice)).await;
        assert_eq!((outcome.result, outcome.reason.as_str()), (AttemptResult::Failed, "request"), "{bad:?}");
    }
    for bad in
        ["bob@example.com>\r\nRCPT TO:<eve@example.com", "bob@example.com\r\nBcc: eve@example.com", "-"]
    {
        let recipient = to("bob", vec![Channel::Mail(bad.into())]);
        let outcome = world.run(sending(notice(vec![recipient], Some(server(server_.port))))).await;
        assert_eq!(outcome.result, AttemptResult::Failed, "{bad:?}");
    }
    assert_eq!(server_.heard(), [""; 0]);
}

#[tokio::test]
async fn what_a_server_says_decides_between_failed_and_unknown() {
    use AttemptResult::{Failed, Unknown};
    use Does::{Drop, Hang, Say};
    let cases: [(&str, Says, AttemptResult, &str, ErrorClass); 11] = [
        ("later", &[("hello", Say("421 later"))], Failed, "unreached", ErrorClass::TooMany),
        ("shut", &[("hello", Say("554 no"))], Failed, "unreached", ErrorClass::Other),
        ("mute", &[("hello", Drop)], Failed, "unreached", ErrorClass::Connect),
        ("grey", &[("RCPT", Say("450 grey"))], Failed, "unreached", ErrorClass::TooMany),
        ("nobody", &[("RCPT", Say("550 no such user"))], Failed, "unreached", ErrorClass::Other),
        ("gone", &[("MAIL", Drop)], Failed, "unreached", ErrorClass::Connect),
        ("no data", &[("DATA", Say("554 no"))], Failed, "unreached", ErrorClass::Other),
        ("spam", &[(".", Say("554 spam"))], Failed, "unreached", ErrorClass::Other),
        ("full", &[(".", Say("452 full"))], Failed, "unreached", ErrorClass::TooMany),
        ("dropped", &[(".", Drop)], Unknown, "reset", ErrorClass::Server),
        ("silent", &[(".", Hang)], Unknown, "timeout", ErrorClass::Timeout),
    ];
    for (name, says, result, reason, class) in cases {
        let world = World::new(&format!("messages-{}", name.replace(' ', "-")));
        let server_ = Server::start(says).await;
        let mut request = sending(notice(vec![by_mail("bob")], Some(server(server_.port))));
        request.timeout_ms = if result == Unknown { 1_000 } else { 20_000 };
        let outcome = world.run(request).await;
        let found = (outcome.result, outcome.reason.as_str(), outcome.class);
        assert_eq!(found, (result, reason, Some(class)), "{name}: {}", detail(&outcome));
    }
    let world = World::new("messages-closed");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let outcome = world.run(sending(notice(vec![by_mail("bob")], Some(server(closed))))).await;
    assert_eq!((outcome.result, outcome.class), (Failed, Some(ErrorClass::Connect)), "{outcome:?}");
    // Before a byte of the mail was sent, a time-out is no doubt.
    let world = World::new("messages-slow");
    let server_ = Server::start(&[("MAIL", Hang)]).await;
    let mut request = sending(notice(vec![by_mail("bob")], Some(server(server_.port))));
    request.timeout_ms = 500;
    let outcome = world.run(request).await;
    assert_eq!((outcome.result, outcome.reason.as_str()), (Failed, "timeout"), "{outcome:?}");
}

#[tokio::test]
async fn nothing_goes_in_the_clear_where_encryption_is_required() {
    let (world, server_) = (World::new("messages-tls"), Server::start(&[]).await);
    let refused =
        Server::start(&[("EHLO", Does::Say("250-here\r\n250 STARTTLS")), ("STARTTLS", Does::Say("454 no"))]);
    let refused = refused.await;
    let none = Server::start(&[
        ("EHLO", Does::Say("250-here\r\n250 STARTTLS")),
        ("STARTTLS", Does::Say("220 go\r\n250 injected")),
    ]);
    let none = none.await;
    for server_ in [&server_, &refused, &none] {
        let mail = MailServer {
            tls: true,
            user: Some("run".into()),
            password: Some("token".into()),
            ..server(server_.port)
        };
        let outcome = world.run(sending(notice(vec![by_mail("bob")], Some(mail)))).await;
        assert_eq!(outcome.result, AttemptResult::Failed, "{outcome:?}");
        let heard = server_.heard();
        assert!(!heard.iter().any(|line| line.starts_with("MAIL") || line.starts_with("AUTH")), "{heard:?}");
        assert!(!contains(format!("{heard:?}{outcome:?}").as_bytes(), CANARY.as_bytes()));
    }
}

#[tokio::test]
async fn whoever_has_a_message_does_not_get_it_again() {
    let (world, server_) = (World::new("messages-again"), Server::start(&[]).await);
    let failing = to("eve", vec![Channel::Command(vec!["false".into()])]);
    let again = || sending(notice(vec![by_mail("bob"), failing.clone()], Some(server(server_.port))));
    let first = world.run(again()).await;
    assert_eq!((first.result, first.reason.as_str()), (AttemptResult::Failed, "unreached"));
    assert!(detail(&first).contains("bob: mail bob@example.com: sent\neve: program false: it ended with 1"));
    let second = world.run(again()).await;
    assert!(detail(&second).contains("bob: mail bob@example.com: sent before\n"), "{second:?}");
    assert_eq!(server_.mails().len(), 1);
    let mut other = again();
    other.idempotency_key = Some("k-2".into());
    world.run(other).await;
    assert_eq!(server_.mails().len(), 2, "another message");
}

#[tokio::test]
async fn one_channel_is_enough_and_the_first_who_is_reached_is_enough_where_that_is_wanted() {
    let (world, server_) = (World::new("messages-first"), Server::start(&[]).await);
    let failing = Channel::Command(vec!["false".into()]);
    let both = to("eve", vec![failing.clone(), Channel::Mail("eve@example.com".into())]);
    let outcome = world.run(sending(notice(vec![both.clone()], Some(server(server_.port))))).await;
    assert_eq!(outcome.result, AttemptResult::Succeeded, "{outcome:?}");
    let list = vec![to("bob", vec![failing]), both, by_mail("carol")];
    let first = Notice { first: true, ..notice(list, Some(server(server_.port))) };
    let mut request = sending(first);
    request.idempotency_key = Some("k-2".into());
    let outcome = world.run(request).await;
    assert_eq!(outcome.outputs["sent"].text(), r#"["eve"]"#, "{outcome:?}");
    assert_eq!(outcome.outputs["failed"].text(), r#"["bob"]"#);
    assert!(!server_.heard().iter().any(|line| line.contains("carol")));
}

#[tokio::test]
async fn a_program_gets_the_text_as_input_and_no_value_in_its_words() {
    let world = World::new("messages-program");
    let out = world.dir.path().join("out");
    let script = "cat > \"$1\"; printf '%s|%s|%s' \"$CONSIGNE_SUBJECT\" \"$CONSIGNE_TEXT\" \"$CONSIGNE_RECIPIENT\" >> \"$1\"";
    let argv = ["bash", "-c", script, "page", out.to_str().unwrap()].map(str::to_owned).to_vec();
    let mut message = notice(vec![to("pager", vec![Channel::Command(argv)])], None);
    let hostile = "$(touch pwned) `id` \"'; rm -rf ~ #\n-x";
    message.text = Localized::both(Rendered::literal(hostile));
    message.subject = Localized::both(Rendered::literal("$(id) -e"));
    let outcome = world.run(sending(message)).await;
    assert_eq!(outcome.result, AttemptResult::Succeeded, "{outcome:?}");
    assert_eq!(std::fs::read_to_string(out).unwrap(), format!("{hostile}$(id) -e|{hostile}|pager"));
    let slow = to("pager", vec![Channel::Command(vec!["sleep".into(), "60".into()])]);
    let mut request = sending(notice(vec![slow], None));
    request.timeout_ms = 300;
    request.idempotency_key = None;
    let outcome = world.run(request).await;
    assert_eq!(outcome.result, AttemptResult::Unknown, "it may have paged: {outcome:?}");
    let absent = to("pager", vec![Channel::Command(vec!["no-such-program-4711".into()])]);
    let request = AttemptRequest { idempotency_key: None, ..sending(notice(vec![absent], None)) };
    assert_eq!(world.run(request).await.result, AttemptResult::Failed);
}

/// Answers one request with a status, and gives what it heard.
async fn hook(status: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    use tokio::io::AsyncReadExt;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/services/T0/B0/{}", listener.local_addr().unwrap(), "s3cr3t-hook");
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut heard, mut buffer) = (String::new(), vec![0; 8_192]);
        while !heard.contains("\"text\"") {
            let count = stream.read(&mut buffer).await.unwrap();
            heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        if !status.is_empty() {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        heard
    });
    (url, heard)
}

#[tokio::test]
async fn a_webhook_takes_a_message_or_refuses_it_or_nobody_knows() {
    use AttemptResult::{Failed, Succeeded, Unknown};
    for (status, result) in [
        ("200 OK", Succeeded),
        ("403 Forbidden", Failed),
        ("429 Too Many Requests", Failed),
        ("302 Found", Failed),
        ("503 Busy", Unknown),
        ("", Unknown),
    ] {
        let (url, heard) = hook(status).await;
        let world = World::new("messages-hook");
        std::fs::write(world.dir.path().join("token"), &url).unwrap();
        let mut message = notice(vec![to("ops", vec![Channel::Slack("token".into())])], None);
        message.text = Localized::both(Rendered::literal("<!channel> a & b"));
        let outcome =
            tokio::time::timeout(Duration::from_secs(20), world.run(sending(message))).await.unwrap();
        assert_eq!(outcome.result, result, "{status}: {outcome:?}");
        assert!(!contains(format!("{outcome:?}").as_bytes(), b"s3cr3t-hook"), "{outcome:?}");
        let heard = heard.await.unwrap();
        assert!(heard.starts_with("POST /services/T0/B0/s3cr3t-hook HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains(r#"{"text":"*Done*\n&lt;!channel&gt; a &amp; b"}"#), "{heard}");
        assert!(heard.contains("idempotency-key: k-1"), "{heard}");
    }
}
