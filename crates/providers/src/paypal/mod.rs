//! PayPal's Orders v2 and Payments v2.
//!
//! What the protocol makes dangerous, and what is done here:
//! - The customer only *approves*; money moves when we capture. The capture is made by the
//!   question that finds the approval, under one `PayPal-Request-Id` that derives from our
//!   number, and only while the payment wants it
//!   ([`OrderRef::wanted`](domain::OrderRef::wanted)). A capture without an answer is asked
//!   about, and repeated under the same id if the order still waits for it; PayPal captures an
//!   order once only, whatever the id.
//! - There is no close. An order that is not approved is closed by never capturing it. One that
//!   is approved may have a capture under way: it is captured for a definite answer where the
//!   payment still wants it, and else left.
//! - PayPal finds orders by its own id only. When a create call gave no answer, nobody was
//!   shown a link and nothing will be captured: such an order is closed without a call.
//! - `invoice_id` is the payment and not the attempt, so that PayPal refuses a second capture
//!   of the same payment by itself; `custom_id` is our order number.
//! - A completed order proves no payment; its captures do.
//! - A webhook's signature covers a CRC-32 of its body, which can be forged to fit. A webhook
//!   is therefore only ever a hint to ask.
//!
//! Codes that [`table`] does not list: 400 and 415 are validation, 401 and 403 never reached
//! the business layer, 429 is the limiter; another 422 on a capture or refund is looked into.
//! Everything else is unknown where money may have moved.
//!
//! Sources: developer.paypal.com on orders, payments, idempotency, webhooks and errors.

mod answer;
mod capabilities;
mod codec;
mod login;
mod object;
mod refund;
mod settings;
mod table;
mod webhook;

pub use settings::PaypalSettings;
