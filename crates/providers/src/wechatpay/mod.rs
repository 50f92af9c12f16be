//! WeChat Pay, API version 3, for a direct merchant: WECHATPAY2-SHA256-RSA2048.
//!
//! What the protocol makes dangerous, and what is done here:
//! - Only 2xx answers are signed. An error body is a hint: it may stop an order from being
//!   *made* (nobody has seen it), but whenever a code speaks of a state, the signed query is
//!   asked in the same operation and only its answer counts.
//! - Close answers 204 for numbers that never existed. Every close therefore ends with a query,
//!   and only its `CLOSED` is proof.
//! - `SUCCESS` and `REFUND` both mean that the order was paid.
//! - A refund's HTTP 200 says "accepted"; its `status` says the rest. A refused refund has
//!   failed only when the refund query knows no refund of that number. `ABNORMAL` keeps the
//!   number: somebody must act in the merchant's console, so it stays unknown.
//! - 429 stops a new order in front of the business layer; on a refund and a close it may not.
//!
//! Codes that [`table`] does not list are unknown in every call, except that with a create call's
//! 400, 401, 403 and 404 no order was made, and a question's 401 and 403 were not let in.
//! An error without any code may come from something in between and is unknown, but for a
//! plain 429, the limiter in front of create calls and questions. Codes are compared without underscores, because both spellings occur.
//!
//! Sources: the merchant documentation's pages for each interface, its rules for signing and
//! for callbacks.

mod answer;
mod capabilities;
mod codec;
mod notice;
mod settings;
mod sign;
mod table;

pub use settings::WechatPaySettings;
#[cfg(test)]
pub(crate) use sign::{authorization, pay_sign};
