//! What a provider's code means, as data: one row a code, one column a kind of call.
//!
//! The same code can mean different things: a limiter in front of an order's creation has
//! surely stopped it, a limiter in front of a refund may sit behind the refund itself.

use domain::{Answer, Fault, Flow, Operation, Outcome};

/// What a code means in one kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The effect is not known.
    Unknown,
    /// Our mistake; surely no effect.
    Rejected,
    /// Surely no effect; another time, or another channel, may do.
    Unavailable,
    /// The customer's side said no.
    Declined {
        /// Whether another channel may fare better.
        soft: bool,
    },
    /// Something already happened under this number: look at the order (or refund) itself.
    Look,
    /// A refusal for good, unless an earlier send of the same refund succeeded: look first.
    Refused,
    /// The provider does not know the number.
    NotFound,
    /// A payment is being made just now.
    Processing,
}

pub(crate) use Meaning::{Look, NotFound, Processing, Refused, Rejected, Unavailable, Unknown};

/// The customer's own refusal.
pub(crate) const HARD: Meaning = Meaning::Declined { soft: false };
/// A refusal that another channel may not repeat.
pub(crate) const SOFT: Meaning = Meaning::Declined { soft: true };

/// The columns: kinds of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// A create call of a presented flow: moves no money by itself.
    Create,
    /// A create call of a direct flow: moves money.
    Charge,
    /// A question about an order.
    Query,
    /// The end of an unpaid order.
    Close,
    /// Money back.
    Refund,
    /// A question about a refund.
    QueryRefund,
}

impl Call {
    /// Every kind, in the order of the columns.
    #[cfg(test)]
    pub(crate) const ALL: [Call; 6] =
        [Call::Create, Call::Charge, Call::Query, Call::Close, Call::Refund, Call::QueryRefund];

    /// The kind of call that an operation is.
    pub(crate) fn of(op: &Operation) -> Call {
        match op {
            Operation::Create(order) if order.flow == Flow::Direct => Call::Charge,
            Operation::Create(_) => Call::Create,
            Operation::Query(_) => Call::Query,
            Operation::Close(..) => Call::Close,
            Operation::Refund(_) => Call::Refund,
            Operation::QueryRefund(_) => Call::QueryRefund,
        }
    }

    /// Whether the call by itself can move money, so that a doubtful answer must stay in doubt.
    pub(crate) fn moves_money(self) -> bool {
        matches!(self, Call::Charge | Call::Close | Call::Refund)
    }
}

/// A code and its meaning in each [`Call`].
pub(crate) struct Row {
    /// The provider's code, as the table spells it.
    pub(crate) code: &'static str,
    means: [Meaning; 6],
}

impl Row {
    /// A row; `means` in the order create, charge, query, close, refund, query refund.
    pub(crate) const fn new(code: &'static str, means: [Meaning; 6]) -> Row {
        Row { code, means }
    }

    /// A code with the same meaning everywhere.
    pub(crate) const fn all(code: &'static str, meaning: Meaning) -> Row {
        Row { code, means: [meaning; 6] }
    }

    /// The meaning in one kind of call.
    pub(crate) fn meaning(&self, call: Call) -> Meaning {
        self.means[call as usize]
    }
}

/// The answer that a meaning leads to where no further question is asked. `Look` and
/// `Refused` that were not looked into, and shapes that an operation does not have, are
/// unknown: silence is never failure.
pub(crate) fn answer(op: &Operation, meaning: Meaning, fault: Fault) -> Answer {
    use domain::{CloseState, Created, OrderState, RefundState};
    match (meaning, op) {
        (Meaning::Rejected, _) => op.rejected(fault),
        (Meaning::Unavailable, _) => op.unavailable(fault),
        (Meaning::Declined { soft }, Operation::Create(_)) => {
            Answer::Create(Outcome::Declined(domain::Decline { code: fault.code, soft }))
        }
        (Meaning::NotFound, Operation::Query(_)) => {
            Answer::Query(Outcome::Ok(OrderState::NotFound))
        }
        (Meaning::NotFound, Operation::Close(..)) => {
            Answer::Close(Outcome::Ok(CloseState::NotFound))
        }
        (Meaning::NotFound, Operation::QueryRefund(_)) => {
            Answer::QueryRefund(Outcome::Ok(RefundState::NotFound))
        }
        (Meaning::Processing, Operation::Create(_)) => {
            Answer::Create(Outcome::Ok(Created::Processing { reference: None }))
        }
        (Meaning::Processing, Operation::Query(_)) => {
            Answer::Query(Outcome::Ok(OrderState::Processing))
        }
        (Meaning::Processing, Operation::Close(..)) => {
            Answer::Close(Outcome::Ok(CloseState::Processing))
        }
        _ => op.unknown(fault),
    }
}
