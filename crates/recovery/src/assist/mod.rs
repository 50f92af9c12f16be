//! The VIP desk: payments that nothing takes by itself, and the staff who help with them.
//!
//! A case is a payment in a queue. Staff take it, see what is known, send the payment to a
//! channel of their choice or record money that they took themselves. The payment's own books
//! are the truth: a case follows its payment, and never the other way round.
//!
//! The invariants: a payment has one open case; nobody works on a case that another holds;
//! offline money is recorded within the limits, above an amount only by two people, each slip
//! once (rule 12); what a process that died has left half done is finished by whoever looks next,
//! and pays once (rules 2 and 16).
//!
//! What is not here: the rules about a payment (`domain`), how it is sent to a channel
//! (`engine`), and who may call what (`server`).

mod desk;
mod error;
mod limits;
mod settle;
mod work;

pub use desk::{Desk, NewCase, NewTaking, PayBy, Seen, Word};
pub use error::AssistError;
pub use limits::Limits;
