//! What a provider's codec must do.

use std::fmt;
use std::time::Duration;

use domain::{Answer, Notice, Operation, Timestamp};

use crate::Capabilities;

/// A provider's codec for one configured channel.
pub trait Provider: Send + Sync {
    /// What this channel can do.
    fn capabilities(&self) -> &Capabilities;

    /// The first request of an operation, or its answer at once where no call is needed
    /// (Alipay's page pay is a link that is signed here).
    ///
    /// # Errors
    /// When the channel cannot do it; nothing was sent then.
    fn request(&self, op: &Operation, stamp: &Stamp) -> Result<Verdict, Unsupported>;

    /// What a reply to the request of `step` means. A codec may ask once more (a close that
    /// only a query proves) by [`Verdict::Ask`].
    /// An unreadable or unverifiable reply is unknown wherever money may have moved.
    fn reply(&self, op: &Operation, step: &Step, reply: &Reply, stamp: &Stamp) -> Verdict;

    /// Verifies and reads a notification (rule 7): signature, freshness, account.
    /// Amount, currency and number are compared with the attempt by the engine.
    ///
    /// # Errors
    /// When it does not prove itself, or cannot be read.
    fn notice(&self, delivery: &Delivery, now: Timestamp) -> Result<Notice, Forged>;

    /// What to answer a notification with, so that the provider stops (or goes on) sending.
    fn acknowledge(&self, accepted: bool) -> Acknowledgement;

    /// How calls get the token that they carry, where the provider wants one.
    fn login(&self) -> Option<&dyn Login> {
        None
    }

    /// What has to be asked before a delivery can be verified, where its own bytes and the
    /// channel's settings are not enough. The driver then hands the answer to
    /// [`testified`](Provider::testified) instead of calling [`notice`](Provider::notice).
    ///
    /// # Errors
    /// When it cannot prove itself whatever the answer would be.
    fn witness(&self, delivery: &Delivery, now: Timestamp) -> Result<Option<Witness>, Forged> {
        let _ = (delivery, now);
        Ok(None)
    }

    /// Verifies and reads a notification with its witness's answer.
    ///
    /// # Errors
    /// As [`notice`](Provider::notice).
    fn testified(
        &self,
        delivery: &Delivery,
        said: &Response,
        now: Timestamp,
    ) -> Result<Notice, Forged> {
        let _ = said;
        self.notice(delivery, now)
    }
}

/// A token that all calls of a channel carry as `Authorization: Bearer`. The driver keeps it,
/// fetches it once however many calls wait for it, and does so again before it runs out or
/// when the provider does not believe it any more.
pub trait Login: Send + Sync {
    /// The request for a token.
    fn request(&self) -> Request;

    /// The token in its answer.
    ///
    /// # Errors
    /// When there is none.
    fn token(&self, response: &Response) -> Result<Token, NoToken>;

    /// Whether an answer says that the token is not believed, and that therefore nothing was
    /// done: the driver fetches another and sends the same request once more.
    fn disbelieved(&self, response: &Response) -> bool;
}

/// A token and how long it may be used from now.
#[derive(Clone, Debug)]
pub struct Token {
    /// The text after `Bearer`.
    pub bearer: crate::Secret,
    /// Until when it is used; the codec takes its safety margin off.
    pub lasts: Duration,
}

/// Why an answer holds no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// The provider does not accept our credentials: our mistake.
    Refused(String),
    /// The provider cannot give one now.
    Unavailable(String),
}

/// A question about a delivery.
#[derive(Clone, Debug)]
pub struct Witness {
    /// The question.
    pub request: Request,
    /// Whether it carries the channel's token.
    pub with_token: bool,
    /// For how long an answer with status 200 to the same address may be used again; only for
    /// things that do not depend on the delivery, such as certificates.
    pub keep: Option<Duration>,
}

/// What a codec may not find out by itself: the time and a fresh random text.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Now.
    pub now: Timestamp,
    /// 32 random letters and digits.
    pub nonce: String,
}

/// An HTTP request, ready to send. Its headers may hold secrets and its body personal data, so
/// it prints as verb and path only.
#[derive(Clone)]
pub struct Request {
    /// The verb.
    pub method: http::Method,
    /// The whole address.
    pub url: String,
    /// Headers; may hold secrets, never logged.
    pub headers: Vec<(&'static str, String)>,
    /// The body's bytes exactly as signed.
    pub body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split('?').next().unwrap_or_default();
        write!(f, "{} {path} ({} bytes)", self.method, self.body.len())
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A whole answer.
    Answered(Response),
    /// Surely nothing reached the provider: no address, no connection, no TLS, no budget.
    NotSent(Cause),
    /// Bytes may have reached the provider, and no whole answer came back.
    Unanswered(Cause),
}

/// A whole HTTP answer. It may hold a client secret or personal data, so it prints as its
/// status and size only.
#[derive(Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers as received, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's raw bytes.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} ({} bytes)", self.status, self.body.len())
    }
}

impl Response {
    /// The first header of this name (give it in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Why no answer came: our own code (`timeout`, `dns`, `connect`, `tls`, `reset`, `budget`,
/// `deadline`, `too_large`, `malformed`) and a sentence without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Short, stable, lower case.
    pub code: &'static str,
    /// For a person.
    pub detail: String,
}

/// What to do after a reply.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The operation is answered.
    Done(Answer),
    /// A request is needed before it is.
    Ask(Request, Step),
}

/// Which question of an operation this is, and what the codec wanted to remember. Codecs keep
/// no state between calls, so the driver carries this from the request to its reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// The codec's own name for the question, such as `close` or `confirm`.
    pub asks: &'static str,
    /// What an earlier answer said, when this one needs it. No secrets and no personal data.
    pub memo: String,
}

impl Step {
    /// A question that needs no memory.
    pub const fn new(asks: &'static str) -> Step {
        Step { asks, memo: String::new() }
    }

    /// A question that remembers something.
    pub fn with(asks: &'static str, memo: impl Into<String>) -> Step {
        Step { asks, memo: memo.into() }
    }
}

/// The channel cannot do what was asked; nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub String);

/// A notification as it arrived. Prints as its size only.
#[derive(Clone)]
pub struct Delivery {
    /// The headers as received, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's raw bytes.
    pub body: Vec<u8>,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a delivery of {} bytes", self.body.len())
    }
}

impl Delivery {
    /// The first header of this name (give it in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Why a notification is refused. The text goes to a log and a metric, never to the sender.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// The signature is missing or does not fit.
    #[error("the signature does not prove the sender: {0}")]
    Signature(&'static str),
    /// Older (or newer) than the provider's tolerance.
    #[error("the notification's time is {skew_s} s off, more than the {limit_s} s allowed")]
    Stale {
        /// How far off, in seconds.
        skew_s: i64,
        /// The limit, in seconds.
        limit_s: i64,
    },
    /// Signed rightly, but meant for another account.
    #[error("the notification is for another account ({0})")]
    Account(&'static str),
    /// Not the shape that the protocol states.
    #[error("the notification cannot be read: {0}")]
    Malformed(String),
    /// Signed rightly, about something that Evergate does not handle: acknowledge and ignore.
    #[error("the notification is about {0}, which is not handled")]
    Irrelevant(String),
}

/// An answer to a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The status code.
    pub status: u16,
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
}
