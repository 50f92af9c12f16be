//! What a provider's codec must do.

use std::fmt;
use std::time::Duration;

use domain::{Answer, Method, Money, Notice, Operation, Schedule, Timestamp};

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
}

/// What a channel can do. Routing and the money rules read it.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The provider's name, such as `alipay`.
    pub provider: &'static str,
    /// The methods that it takes, each with the flows that it knows.
    pub methods: Vec<(Method, domain::Flow)>,
    /// Currencies that it takes.
    pub currencies: Vec<domain::Currency>,
    /// The smallest and largest amount in minor units of any of those currencies.
    pub amount_minor: (i64, i64),
    /// The shortest and longest time that an order may live.
    pub expiry: (Duration, Duration),
    /// When to ask what became of an order.
    pub query_schedule: Schedule,
    /// Whether a create call without an answer may be sent again under the same number
    /// (WeChat Pay and Stripe say so; Alipay's precreate refuses a repeated number).
    pub resend_create: bool,
}

impl Capabilities {
    /// Whether this channel can take this payment.
    pub fn takes(&self, method: Method, flow: domain::Flow, money: Money) -> bool {
        self.methods.contains(&(method, flow))
            && self.currencies.contains(&money.currency())
            && (self.amount_minor.0..=self.amount_minor.1).contains(&money.minor())
    }
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
