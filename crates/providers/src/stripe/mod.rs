//! Stripe's API version 1: PaymentIntents.
//!
//! What the protocol makes dangerous, and what is done here:
//! - Stripe has no unique order number, so ours goes into `metadata[evergate_order]` and into
//!   the idempotency key. The key lasts a day; an order whose intent is not known is therefore
//!   looked up in the list of intents around the time it was sent, never posted again blindly.
//! - An answer counts only when metadata, amount and currency are the order's own.
//! - A 5xx is indeterminate, and the same key repeats it: the object itself is read.
//! - A declined intent stays payable for whoever holds its client secret. In the direct flow
//!   nobody does; after a soft decline the intent is cancelled before the decline is reported,
//!   because the engine may charge elsewhere next.
//! - The cancel call is the arbiter between us and the customer's browser. Cancelling twice is
//!   harmless, and a stored failure would be repeated for a day, so each cancel has a fresh key.
//! - A refund is sent with the key of its number, and looked for before a refusal is final.
//!
//! Codes that [`table`] does not list: with a 402 the card was declined; 401 and 403 never
//! reached the business layer; 429 is the limiter in front of it; 400 and 404 without a code
//! are validation. Every other unlisted code is unknown where money may have moved, and so is
//! an error whose body is not Stripe's, because something in between may have sent it.
//!
//! Sources: docs.stripe.com on PaymentIntents, idempotent requests, low-level errors, decline
//! codes and webhook signatures.

mod answer;
mod capabilities;
mod codec;
mod find;
mod object;
mod refund;
mod settings;
mod table;
mod webhook;

pub use settings::StripeSettings;
