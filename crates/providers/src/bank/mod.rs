//! The offline channel `bank`: transfers to an account of the merchant's, told by its statements.

pub(crate) mod capabilities;
mod reference;
mod settings;
pub mod statement;
mod virtual_account;

pub use reference::{InvalidReference, Reference};
pub use settings::{BankSettings, IdentifyBy, LateTransfer, Names, Spare};
pub use virtual_account::{AccountCheck, VirtualAccounts};
