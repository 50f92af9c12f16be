//! The recovery plane: what providers state afterwards, matched with our books.
//!
//! Today it holds the offline channel: [`bank`] keeps the ledger of a bank account whose truth
//! is its statement, and answers the engine from it.
//!
//! What is not here: reading files (that is `providers`), keeping rows (`store`), and any rule
//! about a payment (`domain`).

pub mod bank;
pub mod matching;
pub mod returns;
