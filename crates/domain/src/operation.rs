//! The five things that Evergate asks of a provider.

use serde::{Deserialize, Serialize};

use crate::{
    CloseState, Created, Device, Flow, Locale, Method, Money, OrderState, Outcome, ProviderOrderNo,
    RefundState, Timestamp,
};

/// One call to a provider. Its number makes it the same order however often it is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Make an order, and for a direct flow charge it.
    Create(Order),
    /// What became of an order?
    Query(OrderRef),
    /// Make sure that an order cannot be paid any more.
    Close(OrderRef, CloseWhy),
    /// Give money back.
    Refund(RefundOrder),
    /// What became of a refund?
    QueryRefund(RefundOrder),
}

impl Operation {
    /// The name that metrics and logs use.
    pub fn name(&self) -> &'static str {
        match self {
            Operation::Create(_) => "create",
            Operation::Query(_) => "query",
            Operation::Close(..) => "close",
            Operation::Refund(_) => "refund",
            Operation::QueryRefund(_) => "query_refund",
        }
    }

    /// Our number of the order that it is about.
    pub fn number(&self) -> &ProviderOrderNo {
        match self {
            Operation::Create(order) => &order.number,
            Operation::Query(order) | Operation::Close(order, _) => &order.number,
            Operation::Refund(refund) | Operation::QueryRefund(refund) => &refund.order.number,
        }
    }

    /// An answer of the right kind that says: the effect is not known.
    pub fn unknown(&self, fault: crate::Fault) -> Answer {
        self.failed(Failed::Unknown, fault)
    }

    /// An answer of the right kind that says: surely no effect.
    pub fn unavailable(&self, fault: crate::Fault) -> Answer {
        self.failed(Failed::Unavailable, fault)
    }

    /// An answer of the right kind that says: our own mistake, surely no effect.
    pub fn rejected(&self, fault: crate::Fault) -> Answer {
        self.failed(Failed::Rejected, fault)
    }

    fn failed(&self, class: Failed, fault: crate::Fault) -> Answer {
        match self {
            Operation::Create(_) => Answer::Create(class.of(fault)),
            Operation::Query(_) => Answer::Query(class.of(fault)),
            Operation::Close(..) => Answer::Close(class.of(fault)),
            Operation::Refund(_) => Answer::Refund(class.of(fault)),
            Operation::QueryRefund(_) => Answer::QueryRefund(class.of(fault)),
        }
    }
}

#[derive(Clone, Copy)]
enum Failed {
    Unknown,
    Unavailable,
    Rejected,
}

impl Failed {
    fn of<T>(self, fault: crate::Fault) -> Outcome<T> {
        match self {
            Failed::Unknown => Outcome::Unknown(fault),
            Failed::Unavailable => Outcome::Unavailable(fault),
            Failed::Rejected => Outcome::Rejected(fault),
        }
    }
}

/// The answer to an [`Operation`], of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To [`Operation::Create`].
    Create(Outcome<Created>),
    /// To [`Operation::Query`].
    Query(Outcome<OrderState>),
    /// To [`Operation::Close`].
    Close(Outcome<CloseState>),
    /// To [`Operation::Refund`].
    Refund(Outcome<RefundState>),
    /// To [`Operation::QueryRefund`].
    QueryRefund(Outcome<RefundState>),
}

impl Answer {
    /// The class of the outcome inside.
    pub fn class(&self) -> crate::Class {
        match self {
            Answer::Create(outcome) => outcome.class(),
            Answer::Query(outcome) => outcome.class(),
            Answer::Close(outcome) => outcome.class(),
            Answer::Refund(outcome) | Answer::QueryRefund(outcome) => outcome.class(),
        }
    }

    /// The provider's code, where there was a failure or decline.
    pub fn code(&self) -> Option<&str> {
        match self {
            Answer::Create(outcome) => outcome.code(),
            Answer::Query(outcome) => outcome.code(),
            Answer::Close(outcome) => outcome.code(),
            Answer::Refund(outcome) | Answer::QueryRefund(outcome) => outcome.code(),
        }
    }
}

/// An order to be made at a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Our number.
    pub number: ProviderOrderNo,
    /// How much.
    pub money: Money,
    /// What the customer pays with.
    pub method: Method,
    /// Whether the call itself charges.
    pub flow: Flow,
    /// What the customer sees.
    pub subject: String,
    /// After this the provider must refuse payment, where it can be told so.
    pub expires_at: Timestamp,
    /// The kind of screen.
    pub device: Device,
    /// The customer's language.
    pub locale: Locale,
    /// Where the provider sends the browser afterwards.
    pub return_url: Option<String>,
    /// The customer's network address.
    pub payer_ip: Option<String>,
    /// The customer's id in the wallet's app.
    pub payer_id: Option<String>,
    /// The saved instrument, for a direct flow.
    pub token: Option<String>,
    /// Whether the customer is absent (a renewal or top-up).
    pub off_session: bool,
    /// When the intent became durable. The same in every later [`OrderRef`], for providers that
    /// name an order by number and time (UnionPay).
    pub sent_at: Timestamp,
}

/// An order that was made, or may have been.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderRef {
    /// Our number.
    pub number: ProviderOrderNo,
    /// The provider's id, where it was learned.
    pub reference: Option<String>,
    /// What the customer pays with.
    pub method: Method,
    /// Whether the create call itself charges.
    pub flow: Flow,
    /// How much.
    pub money: Money,
    /// When the intent became durable; the create call was made right after.
    pub sent_at: Timestamp,
    /// Whether the payment still wants money by this attempt. Where the customer's approval
    /// moves none by itself (PayPal), a question that finds it completes the order only then;
    /// an attempt that was left, or whose payment has ended, is never completed.
    pub wanted: bool,
}

/// Why an order is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseWhy {
    /// Its create call never answered, and no customer has seen it (rule 4).
    Orphan,
    /// The customer saw it and goes elsewhere, or the payment ends (rule 5).
    Shown,
}

/// A refund to be made, or one that may have been.
#[derive(Clone, Debug, PartialEq)]
pub struct RefundOrder {
    /// The order that was paid.
    pub order: OrderRef,
    /// Our refund number.
    pub number: ProviderOrderNo,
    /// How much goes back; at most what was captured and not yet refunded.
    pub amount: Money,
    /// What the customer reads on the statement, where the provider shows it.
    pub reason: String,
    /// When it was asked for; the same in every send and question.
    pub requested_at: Timestamp,
}
