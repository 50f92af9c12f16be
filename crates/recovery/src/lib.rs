//! The recovery plane: what providers state afterwards, matched with our books.
//!
//! [`bank`] keeps the ledger of a bank account whose truth is its statement, and answers the
//! engine from it; [`assist`] is the desk where staff help with single payments.
//!
//! What is not here: reading files (that is `providers`), keeping rows (`store`), and any rule
//! about a payment (`domain`).

pub mod assist;
pub mod bank;
pub mod matching;
pub mod returns;
