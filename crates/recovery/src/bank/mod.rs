//! The offline channel `bank`: a ledger of what customers were told to transfer, what came, and
//! what is owed, with the account's statements as its only truth.
//!
//! [`Ledger`] answers the engine as a provider would, from the books alone, so that every rule
//! about payments holds for transfers as it does for codes. [`Desk`] is what people and
//! statement files do to the books, and it tells the engine what is new.
//!
//! The invariants: what is shown to a customer is durable before (rule 1) and the same whenever
//! it is asked for (rule 8); an entry of a statement counts once, in whatever file it comes; no
//! person moves money alone (rule 12); every minor unit that came is counted for an attempt, in
//! suspense, or owed to its payer.
//!
//! What is not here: reading files (`providers`), where an entry belongs (`matching`), and what
//! a payment makes of being paid (`domain`).

mod count;
mod desk;
mod error;
mod import;
mod ledger;
mod payouts;
mod people;
mod work;

pub use desk::Desk;
pub use error::BankError;
pub use import::{Imported, Upload};
pub use ledger::Ledger;
pub use people::{NewTransfer, Word};
