//! Provider codecs and the one driver that talks.
//!
//! A codec translates: an [`Operation`](domain::Operation) becomes a [`Request`], a [`Reply`]
//! becomes an [`Answer`](domain::Answer), a delivery becomes a
//! [`Notice`](domain::Notice). It does no I/O and reads no clock: time and nonces come
//! in by [`Stamp`]. The driver owns time-outs, budgets, redaction and metrics, once for all
//! providers, and never retries, because repeating a charge is the engine's decision.
//!
//! The invariant: an answer is evidence only when it proves itself, and is about the number and
//! the amount that were asked for. Everything else is unknown wherever money may have moved.
//!
//! What is *not* here: when to ask, what to do with an answer, and which channel to take.
//! A new provider is a folder here and one line in [`ChannelSettings`].

mod alipay;
pub mod bank;
mod capabilities;
mod common;
mod config;
mod crypto;
mod driver;
mod paypal;
mod seam;
mod statement;
mod stripe;
mod table;
mod unionpay;
#[cfg(test)]
mod vectors;
mod wechatpay;

pub use alipay::AlipaySettings;
pub use capabilities::{
    AmountLimits, Capabilities, Closing, ExpiryLimits, Notifications, NumberRule, Resend, Row,
    Unfit, Unique,
};
pub use config::{ChannelSettings, SecretFields, SettingError};
pub use crypto::{CertificateInfo, Secret};
pub use driver::{
    Arms, CallLimits, Clock, Driver, DriverError, NewChannel, Nonces, Probe, ProbeLayer, Roots,
    Unread,
};
pub use paypal::PaypalSettings;
pub use seam::*;
pub use statement::{
    LineKind, LineMistake, Original, Place, STATEMENT_BYTES_MAX, STATEMENT_TIMEOUT, Statement,
    StatementError, StatementLine, Statements, Totals,
};
pub use stripe::StripeSettings;
pub use unionpay::{Environment, UnionPaySettings};
pub use wechatpay::WechatPaySettings;
