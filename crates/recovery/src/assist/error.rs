//! Why the desk does not do what it was asked.

use domain::{Currency, Money, OfflineKind, PaymentId};
use engine::EngineError;
use store::StoreError;

/// Why the desk does not do what it was asked. Nothing was changed then, but for
/// [`AssistError::CommitUnknown`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssistError {
    /// There is no such case.
    #[error("there is no case of this id")]
    NotFound,
    /// The desk is for VIPs.
    #[error("the desk helps customers of the tier vip; this payment is of the tier standard")]
    NotVip,
    /// Nothing is so bad that the customer is offered help.
    #[error("the help of staff is not offered for this payment now")]
    NotOffered,
    /// The payment has ended, so there is nothing to help with.
    #[error("the payment {0} has ended as {1}")]
    Ended(PaymentId, &'static str),
    /// It is not in a state in which that can be done: somebody was faster, or it is done.
    #[error("the case is {is}; this can be done only while it is {wanted}")]
    WrongState {
        /// Its state, with who has it.
        is: String,
        /// The states that would do.
        wanted: &'static str,
    },
    /// The person who took the money may not agree to it (rule 12).
    #[error("`{0}` took the money; agreeing to it needs another person")]
    SamePerson(String),
    /// This kind of money is not taken here.
    #[error("{} is not taken here; the kinds in `assist.kinds` are", .0.name())]
    Kind(OfflineKind),
    /// More than may be taken outside a channel.
    #[error("at most {most} may be taken outside a channel; this is {asked}")]
    TooMuch {
        /// The limit.
        most: Money,
        /// What is to be taken.
        asked: Money,
    },
    /// No limit is set for the currency, so nothing may be taken in it.
    #[error("no limit is set for {0}, so nothing may be taken in it outside a channel")]
    NoLimit(Currency),
    /// More than one person may take in 24 hours.
    #[error(
        "`{by}` may take {most} in 24 hours, and has taken {taken_minor} minor units of it: {asked} \
         more is too much"
    )]
    DailyLimit {
        /// Who.
        by: String,
        /// What was taken, this not counted, in minor units.
        taken_minor: i64,
        /// The limit.
        most: Money,
        /// What is to be taken.
        asked: Money,
    },
    /// The slip pays another payment.
    #[error("this reference was recorded for payment {0} before")]
    ReferenceTaken(PaymentId),
    /// The engine does not do it.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// It changed again and again while it was tried.
    #[error("the case is busy; try again")]
    Busy,
    /// The store did not do it.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The store cannot say whether it did it.
    #[error("the store did not answer in time; look at the case before you repeat this")]
    CommitUnknown,
}
