//! UnionPay's full-channel platform, message version 5.1.0, signed with RSA (`signMethod` 01).
//!
//! What the protocol makes dangerous, and what is done here:
//! - A payment begins with a form that the customer's browser posts: no call of ours, and no
//!   answer. Until the form arrives a query says 34, which is `NotFound` (no proof).
//! - There is no close call. Every order carries `payTimeout`; a close here is a query, and an
//!   unpaid order lapses. A net bank may still debit after that; UnionPay then gives the money
//!   back by itself and tells nobody, so such a debit never becomes a success of ours.
//! - A transaction is named by merchant, number and `txnTime` together. The time is the one at
//!   which our intent became durable, so that every question and repeat names the same.
//! - A try that the issuer refused does not end the order: the cashier lets the customer try
//!   again until `payTimeout`. It counts as `NotFound`.
//! - An undo (消费撤销) gives a payment back in full before the clearing day's end, a refund at
//!   any time. Refunds are sent as refunds; undo only where the settings ask for it, because
//!   one whose answer is lost at 23:00 could not be repeated.
//! - The certificate that proves a message comes inside the message. It is believed only with
//!   its chain, its dates and the owner's name in its subject.
//!
//! Codes that [`table`] does not list are unknown in every call.
//!
//! Sources: the open platform's pages for 消费, 查询, 消费撤销 and 退货, and its signing rules.

mod answer;
mod capabilities;
mod codec;
mod message;
mod notice;
mod settings;
mod table;
mod trust;

/// A message's text read and written again, for published vectors.
#[cfg(test)]
pub(crate) fn canonical_again(text: &str) -> Option<String> {
    message::split(text.as_bytes()).map(|fields| message::canonical(&fields))
}

pub use settings::{Environment, UnionPaySettings};
