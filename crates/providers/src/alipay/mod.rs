//! Alipay's open platform, gateway version 2 (`gateway.do`), signed with RSA2.
//!
//! What the protocol makes dangerous, and what is done here:
//! - A precreated code, a page or a phone link makes no trade until the buyer acts. Until then
//!   query and close say `ACQ.TRADE_NOT_EXIST` although the code may be payable, so that answer
//!   is `NotFound` (no proof) and every order carries `time_expire`.
//! - Close is `alipay.trade.close`. `alipay.trade.cancel` is never called: it gives a payment
//!   back that nobody may have told us of yet, and when its answer is lost a success that was
//!   notified before stays in our books although the money is gone. It proves nothing more
//!   either: no trade, no `action`, and the code can still be scanned. An orphan that a query
//!   does not find waits for its `time_expire`, and rule 2 guards the time until then.
//! - `TRADE_CLOSED` is "never paid" or "paid and all of it given back"; traces of a payment
//!   decide.
//! - Answers are verified over the bytes as received. An unsigned answer (the gateway sends
//!   them when it cannot tell who asks) is believed only where the call moves no money, and
//!   only when it says that the business layer was not reached.
//!
//! Codes that [`table`] does not list are taken by their outer code: `40001`, `40002`, `40003`,
//! `40005`, `40006` and `20001` stop in front of the business layer; `40004` and `20000` with an
//! unlisted inner code are unknown in every call, as is any code that is not listed at all.
//!
//! Sources: the open platform's interface pages for `alipay.trade.*` and its signing rules.

mod answer;
mod capabilities;
mod codec;
mod envelope;
mod notice;
mod settings;
mod sign;
mod table;

pub use settings::AlipaySettings;
