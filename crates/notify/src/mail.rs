//! E-mail by SMTP (RFC 5321), one connection a letter.
//!
//! A letter's Message-ID is derived from its note, so that one which went out twice, because
//! nobody could write down that it had gone, is one for whoever reads it.

use std::time::{Duration, SystemTime};

use domain::Timestamp;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use crate::text::{Written, one_line};

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte; port 465 (RFC 8314).
    Required,
    /// After a first exchange, and not without; port 587.
    StartTls,
    /// Not at all; for a server on the same machine only; port 25.
    None,
}

impl Tls {
    /// The port that is usual.
    pub fn port(self) -> u16 {
        match self {
            Tls::Required => 465,
            Tls::StartTls => 587,
            Tls::None => 25,
        }
    }
}

/// How a [`Mailer`] works.
#[derive(Clone)]
pub struct MailerOptions {
    /// The server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: Tls,
    /// User and password.
    pub login: Option<(String, String)>,
    /// Trusted besides the system's issuers of certificates, in PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// The sender where a merchant has none of its own.
    pub from: String,
    /// The longest time for a letter.
    pub timeout: Duration,
}

impl std::fmt::Debug for MailerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let MailerOptions { host, port, tls, .. } = self;
        write!(f, "MailerOptions({host}:{port}, {tls:?})")
    }
}

/// A note as a letter.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// The note's id.
    pub note: &'a str,
    /// The sender; [`MailerOptions::from`] when absent.
    pub from: Option<&'a str>,
    /// What the sender is called, where `from` is an address alone.
    pub brand: &'a str,
    /// Who gets it.
    pub to: &'a str,
    /// What it says.
    pub written: &'a Written,
    /// Where reminders are unsubscribed from, by one click (RFC 8058).
    pub unsubscribe: Option<&'a str>,
    /// When it is sent.
    pub at: Timestamp,
}

/// Why a letter did not go. The texts hold no address of a customer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Worth another try.
    #[error("{0}")]
    Later(String),
    /// The server will not take it.
    #[error("{0}")]
    Never(String),
}

/// Sends letters.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: String,
    timeout: Duration,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

/// Answers about the login: an operator mends them, and then every letter goes (RFC 4954).
const LOGIN: [u16; 4] = [530, 534, 535, 538];

impl Mailer {
    /// Reads what can be read without a connection.
    ///
    /// # Errors
    /// The setting and the rule that it breaks.
    pub fn new(options: &MailerOptions) -> Result<Mailer, (&'static str, String)> {
        use lettre::transport::smtp::client::Tls as Wire;
        mailbox(&options.from, "").map_err(|rule| ("from", rule))?;
        let parameters = || -> Result<TlsParameters, (&'static str, String)> {
            let mut builder = TlsParameters::builder(options.host.clone());
            if let Some(pem) = &options.ca_pem {
                let unreadable = |_| ("ca_file", "it holds no certificate in PEM".to_owned());
                let certificate = Certificate::from_pem(pem).map_err(unreadable)?;
                builder = builder.add_root_certificate(certificate);
            }
            builder.build_rustls().map_err(|error| ("tls", causes(&error)))
        };
        let tls = match options.tls {
            Tls::Required => Wire::Wrapper(parameters()?),
            Tls::StartTls => Wire::Required(parameters()?),
            Tls::None => Wire::None,
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&options.host)
            .port(options.port)
            .tls(tls)
            .hello_name(ClientId::Domain(domain_of(&options.from).to_owned()))
            .timeout(Some(options.timeout));
        if let Some((user, password)) = &options.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Mailer {
            transport: builder.build(),
            from: options.from.clone(),
            timeout: options.timeout,
        })
    }

    /// Sends a letter. Where the answer got lost it may have gone all the same.
    ///
    /// # Errors
    /// When it did not go, and whether to try again.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<(), SendError> {
        let message = self.message(letter).map_err(SendError::Never)?;
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(sorted(&error)),
            Err(_) => Err(SendError::Later("the mail server did not answer in time".into())),
        }
    }

    /// Connects, greets and logs in.
    ///
    /// # Errors
    /// What went wrong, in one line.
    pub async fn probe(&self) -> Result<(), String> {
        match tokio::time::timeout(self.timeout, self.transport.test_connection()).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("the mail server hung up".into()),
            Ok(Err(error)) => Err(causes(&error)),
            Err(_) => Err("the mail server did not answer in time".into()),
        }
    }

    fn message(&self, letter: &Letter<'_>) -> Result<Message, String> {
        let from = letter.from.unwrap_or(&self.from);
        let id = format!("<{}@{}>", letter.note, domain_of(from));
        let at = Duration::from_micros(letter.at.as_micros().max(0).unsigned_abs());
        let mut builder = Message::builder()
            .message_id(Some(id))
            .date(SystemTime::UNIX_EPOCH + at)
            .from(mailbox(from, letter.brand)?)
            .to(mailbox(letter.to, "").map_err(|_| "the address cannot be written to")?)
            .subject(one_line(&letter.written.subject, 200))
            // So that nobody's holiday answer comes back (RFC 3834).
            .raw_header(header("Auto-Submitted", "auto-generated"));
        if let Some(link) = letter.unsubscribe {
            builder = builder
                .raw_header(header("List-Unsubscribe", &format!("<{link}>")))
                .raw_header(header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
        }
        let Written { text, html, .. } = letter.written;
        let both = MultiPart::alternative_plain_html(text.clone(), html.clone());
        builder.multipart(both).map_err(|_| "the letter could not be put together".to_owned())
    }
}

/// Whether a text is a sender: an address, or a name and an address in angles.
///
/// # Errors
/// The rule that it breaks.
pub fn check_sender(text: &str) -> Result<(), String> {
    mailbox(text, "").map(drop)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// A sender or receiver: an address, or a name and an address in angles.
fn mailbox(text: &str, name: &str) -> Result<Mailbox, String> {
    if text.chars().any(char::is_control) {
        return Err("it must be one line".into());
    }
    let unreadable = |_| "it must be an address, or a name and `<address>`".to_owned();
    let mut mailbox: Mailbox = text.parse().map_err(unreadable)?;
    if mailbox.name.is_none() && !name.is_empty() {
        // lettre panics at a name with control characters.
        mailbox.name = Some(one_line(name, 60));
    }
    Ok(mailbox)
}

/// The domain of a mailbox.
fn domain_of(mailbox: &str) -> &str {
    let address = mailbox.rsplit('<').next().unwrap_or(mailbox).trim_end_matches('>');
    address.rsplit_once('@').map_or("localhost", |(_, domain)| domain.trim())
}

/// Whether to try again. Of what the server said only the codes are kept: its sentence may
/// repeat the address (rule 13).
fn sorted(error: &lettre::transport::smtp::Error) -> SendError {
    let Some(status) = error.status() else { return SendError::Later(kind(error).to_owned()) };
    let code = u16::from(status);
    let detail = enhanced(&causes(error)).map_or(String::new(), |code| format!(" ({code})"));
    let text = format!("the mail server answered {code}{detail}");
    match error.is_permanent() && !LOGIN.contains(&code) {
        true => SendError::Never(text),
        false => SendError::Later(text),
    }
}

fn kind(error: &lettre::transport::smtp::Error) -> &'static str {
    if error.is_timeout() {
        "the mail server did not answer in time"
    } else if error.is_tls() {
        "no protected connection to the mail server could be made"
    } else if error.is_response() {
        "the mail server's answer could not be read"
    } else if error.is_client() {
        "the mail server does not offer what the settings ask for"
    } else {
        "the mail server could not be reached, or the connection broke"
    }
}

/// An enhanced status code (RFC 3463), such as `5.1.1`.
fn enhanced(text: &str) -> Option<&str> {
    text.split([' ', ':', '-', '(', ')']).find(|word| {
        let parts: Vec<&str> = word.split('.').collect();
        let number =
            |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        parts.len() == 3 && matches!(parts[0], "4" | "5") && parts.iter().all(number)
    })
}

/// An error with what is behind it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !line.contains(&cause_text) {
            line.push_str(": ");
            line.push_str(&cause_text);
        }
        next = cause.source();
    }
    line.replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer(from: &str) -> Result<Mailer, (&'static str, String)> {
        Mailer::new(&MailerOptions {
            host: "127.0.0.1".into(),
            port: 25,
            tls: Tls::None,
            login: None,
            ca_pem: None,
            from: from.into(),
            timeout: Duration::from_secs(1),
        })
    }

    fn text_of(subject: &str, brand: &str) -> String {
        let written = Written {
            subject: subject.into(),
            text: "您好：\n".into(),
            html: "<p>您好</p>".into(),
            short: String::new(),
        };
        let letter = Letter {
            note: "note_01_3",
            from: None,
            brand,
            to: "li@example.com",
            written: &written,
            unsubscribe: Some("https://pay.example.com/u/abc"),
            at: Timestamp::from_secs(1_795_500_000),
        };
        let message = mailer("orders@shop.example").unwrap().message(&letter).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    fn headers(message: &str) -> Vec<&str> {
        let head = message.split("\r\n\r\n").next().unwrap();
        let names = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
        names.map(|line| line.split(':').next().unwrap()).collect()
    }

    #[test]
    fn a_letter_has_the_headers_that_readers_need() {
        let message = text_of("订单已保留", "示例商店");
        for line in [
            "Message-ID: <note_01_3@shop.example>\r\n",
            "Date: Tue, 24 Nov 2026 06:00:00 +0000\r\n",
            "To: li@example.com\r\n",
            "List-Unsubscribe: <https://pay.example.com/u/abc>\r\n",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Content-Type: multipart/alternative;",
        ] {
            assert!(message.contains(line), "{line}\n{message}");
        }
        assert!(message.contains("<orders@shop.example>\r\n"), "{message}");
    }

    #[test]
    fn no_text_becomes_a_header() {
        let usual = text_of("a", "b");
        for evil in [
            "x\r\nBcc: x@y.zz",
            "x\nBcc: x@y.zz",
            "x\rBcc: x@y.zz",
            "\r\n\r\nbody",
            "a\u{2028}b",
            "=?utf-8?q?=0d=0aBcc:_x@y.zz?=",
            "\" <x@y.zz>, \"",
            "订单\r\nBcc: x@y.zz",
        ] {
            for message in [text_of(evil, "b"), text_of("a", evil)] {
                assert_eq!(headers(&message), headers(&usual), "{evil:?}: {message}");
            }
        }
    }

    #[test]
    fn senders_are_checked_when_they_are_read() {
        assert!(mailer("示例商店 <orders@shop.example>").is_ok());
        for bad in ["", "orders", "orders@", "a@b.cc\r\nBcc: x@y.zz", "<>"] {
            assert!(mailer(bad).is_err_and(|(field, _)| field == "from"), "{bad:?}");
        }
    }

    #[test]
    fn of_an_answer_the_codes_are_kept() {
        let said = "permanent error (550): 5.1.1 <li@example.com>: user unknown";
        assert_eq!(enhanced(said), Some("5.1.1"));
        assert_eq!(enhanced("550 no such user at 10.0.0.1"), None);
        assert_eq!(domain_of("Shop <orders@shop.example>"), "shop.example");
    }
}
