//! Why the ledger does not do what it was asked.

use providers::bank::statement::LineMistake;
use store::StoreError;

/// Why the ledger does not do what it was asked. Nothing was changed then, but for
/// [`BankError::CommitUnknown`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// No bank channel has this name.
    #[error("there is no bank channel of this name")]
    NoSuchChannel,
    /// There is no such transfer or payout.
    #[error("there is no {0} of this id")]
    NotFound(&'static str),
    /// Nothing is expected on the channel under what was named.
    #[error("no payment of this channel has that id, number, reference or account")]
    NoSuchTarget,
    /// It is not in a state in which that can be done: somebody was faster, or it is done.
    #[error("it is {is}; this can be done only while it is {wanted}")]
    WrongState {
        /// Its state.
        is: String,
        /// The states that would do.
        wanted: &'static str,
    },
    /// The person who proposed it may not agree to it (rule 12).
    #[error("`{0}` did the first half; the second needs another person's key, with another `name`")]
    SamePerson(String),
    /// Another currency than the payment's.
    #[error("the transfer is in another currency than the payment")]
    WrongCurrency,
    /// The channel has no format of that name.
    #[error("the channel has no statement format `{0}`")]
    NoSuchFormat(String),
    /// The file has mistakes; nothing of it was imported.
    #[error("{}", told(.0))]
    Mistakes(Vec<LineMistake>),
    /// It changed again and again while it was tried.
    #[error("it is busy; try again")]
    Busy,
    /// The store did not do it.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The store cannot say whether it did it.
    #[error("the store did not answer in time; look before you repeat this")]
    CommitUnknown,
}

fn told(mistakes: &[LineMistake]) -> String {
    match mistakes {
        [one] => one.to_string(),
        many => format!("{} mistakes in the file; nothing of it was imported", many.len()),
    }
}
