//! Mail by SMTP.
//!
//! Owns when a mail has been sent: once the server has answered its last line with yes. Up to then every no, and every
//! broken connection, means that it was not; from the first byte of its text on, a connection that breaks without an
//! answer means that nobody knows. One connection for each mail; a password never goes over one that is not encrypted.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};

use super::{Sent, Words};
use crate::plan::{ErrorClass, MailServer, Notice};
use crate::runner::Call;
use crate::runner::fill::{Filled, Plain};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Saying good-bye is not worth a longer wait.
const FAREWELL: Duration = Duration::from_secs(1);
/// The port where a connection is encrypted from its first byte on.
const ENCRYPTED: u16 = 465;

/// Whoever answers by itself leaves this mail alone (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

pub(super) async fn send(
    call: &Call<'_>,
    filled: &Filled,
    notice: &Notice<Plain>,
    address: &str,
    id: &str,
    words: &Words<'_>,
    acting: &(dyn Fn() + Sync),
) -> Sent {
    let no = |why: &str| Sent::No(ErrorClass::Other, why.to_owned());
    let Some(server) = &notice.mail else { return no("no server takes our mail") };
    let now = u64::try_from(call.context.clock.now().millis()).unwrap_or(0);
    let written = SystemTime::UNIX_EPOCH + Duration::from_millis(now);
    let (bytes, envelope) = match letter(&server.from, address, id, words, written) {
        Ok(letter) => letter,
        Err(why) => return no(&why),
    };
    let mut connection = match connect(server, &call.context.base_dir).await {
        Ok(connection) => connection,
        Err(sent) => return sent,
    };
    let password = server.password.as_deref().map(|name| filled.secret(name));
    let sent = converse(&mut connection, server, password, &envelope, &bytes, acting).await;
    // Whatever was said has been said.
    let _ = tokio::time::timeout(FAREWELL, connection.abort()).await;
    sent
}

/// The bytes of a mail, all of them ASCII, with no line that a header could be smuggled in by.
fn letter(
    from: &str,
    to: &str,
    id: &str,
    words: &Words<'_>,
    written: SystemTime,
) -> Result<(Vec<u8>, Envelope), String> {
    let address =
        |text: &str| text.parse::<lettre::Address>().map_err(|_| "not an address of mail".to_owned());
    let (from, to) = (address(from)?, address(to)?);
    let id = format!("<{id}@{}>", from.domain());
    let message = Message::builder()
        .from(Mailbox::new(None, from))
        .to(Mailbox::new(None, to))
        .subject(words.subject)
        .date(written)
        .message_id(Some(id))
        .header(AutoSubmitted)
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(words.text.replace("\r\n", "\n").replace('\r', "\n"))
        .map_err(|error| format!("not a mail: {error}"))?;
    Ok((message.formatted(), message.envelope().clone()))
}

async fn connect(server: &MailServer, base_dir: &Path) -> Result<AsyncSmtpConnection, Sent> {
    let no = |class, why: String| Sent::No(class, why);
    let hello = ClientId::default();
    let tls = if server.tls {
        Some(encryption(server, base_dir).map_err(|why| no(ErrorClass::Other, why))?)
    } else {
        None
    };
    let at_once = tls.clone().filter(|_| server.port == ENCRYPTED);
    let place = (server.host.as_str(), server.port);
    let begun =
        AsyncSmtpConnection::connect_tokio1(place, Some(CONNECT_TIMEOUT), &hello, at_once, None).await;
    let mut connection = begun.map_err(|error| no(connecting(&error), told("no connection", &error)))?;
    if let Some(tls) = tls.filter(|_| !connection.is_encrypted()) {
        if !connection.can_starttls() {
            let _ = tokio::time::timeout(FAREWELL, connection.abort()).await;
            let why = "the server offers no STARTTLS, and `tls: required` sends nothing in the clear";
            return Err(no(ErrorClass::Other, why.to_owned()));
        }
        let encrypted = connection.starttls(tls, &hello).await;
        encrypted.map_err(|error| no(connecting(&error), told("no encryption", &error)))?;
    }
    Ok(connection)
}

fn encryption(server: &MailServer, base_dir: &Path) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(file) = &server.ca_file {
        let path = base_dir.join(file);
        let pem = std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let root = Certificate::from_pem(&pem)
            .map_err(|_| format!("{} is not a file of PEM certificates", path.display()))?;
        builder = builder.add_root_certificate(root);
    }
    builder.build_rustls().map_err(|error| told("cannot set up TLS", &error))
}

async fn converse(
    connection: &mut AsyncSmtpConnection,
    server: &MailServer,
    password: Option<&str>,
    envelope: &Envelope,
    bytes: &[u8],
    acting: &(dyn Fn() + Sync),
) -> Sent {
    if let (Some(user), Some(password)) = (&server.user, password) {
        let who = Credentials::new(user.clone(), password.to_owned());
        if let Err(error) = connection.auth(&[Mechanism::Plain, Mechanism::Login], &who).await {
            return Sent::No(class(&error), told("the server does not let us in", &error));
        }
    }
    let mut options = Vec::new();
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    if !addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "the server takes no addresses but ASCII ones";
            return Sent::No(ErrorClass::Other, why.to_owned());
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    if let Err(error) = connection.command(Mail::new(envelope.from().cloned(), options)).await {
        return Sent::No(class(&error), told("refused", &error));
    }
    for to in envelope.to() {
        if let Err(error) = connection.command(Rcpt::new(to.clone(), Vec::new())).await {
            return Sent::No(class(&error), told("refused", &error));
        }
    }
    if let Err(error) = connection.command(Data).await {
        return Sent::No(class(&error), told("refused", &error));
    }
    acting();
    match connection.message(bytes).await {
        Ok(_) => Sent::Yes,
        Err(error) if error.is_transient() || error.is_permanent() => {
            Sent::No(class(&error), told("refused", &error))
        }
        Err(error) => Sent::Perhaps(ErrorClass::Server, told("no answer to the mail", &error)),
    }
}

/// Of an error before a connection could be used.
fn connecting(error: &Error) -> ErrorClass {
    if error.is_transient() || error.is_permanent() { class(error) } else { ErrorClass::Connect }
}

/// Whether it makes sense to try again: a server that says "later" (4xx), one that is gone, or neither.
fn class(error: &Error) -> ErrorClass {
    if error.is_transient() {
        ErrorClass::TooMany
    } else if error.is_permanent() || error.is_client() {
        ErrorClass::Other
    } else if error.is_timeout() {
        ErrorClass::Timeout
    } else {
        ErrorClass::Connect
    }
}

/// In words, on one line.
fn told(what: &str, error: &Error) -> String {
    let mut out = format!("{what}: {error}");
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        let text = source.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = source.source();
    }
    out.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, text: &str) -> String {
        let words = Words { subject, text };
        let (bytes, _) =
            letter("run@example.com", "ops@example.com", "k1.0", &words, SystemTime::UNIX_EPOCH).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_mail_is_ascii_and_its_id_is_that_of_the_message() {
        let mail = mail("Suspendre « Acmé » ✓", "Déjà fait\n.\nfin");
        assert!(mail.is_ascii(), "{mail}");
        assert!(mail.contains("Message-ID: <k1.0@example.com>\r\n"), "{mail}");
        assert!(mail.contains("Auto-Submitted: auto-generated\r\n"), "{mail}");
        assert!(mail.contains("Subject: Suspendre =?utf-8?b?wqsgQWNtw6kgwrsg4pyT?=\r\n"), "{mail}");
        assert!(mail.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"), "{mail}");
    }

    #[test]
    fn no_line_of_a_subject_becomes_a_header() {
        let mail = mail("x\r\nBcc: eve@example.com", "text");
        let (headers, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
        let words = Words { subject: "x", text: "y" };
        for bad in ["a@example.com\r\nBcc: eve@example.com", "a@example.com>\r\nDATA", "nobody", ""] {
            assert!(letter("run@example.com", bad, "k", &words, SystemTime::UNIX_EPOCH).is_err(), "{bad:?}");
        }
    }
}
