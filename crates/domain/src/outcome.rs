//! What a provider told us. Every answer of every provider ends as one of these values, and
//! a failure answers one question first: could money have moved?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Money, ProviderOrderNo, Timestamp};

/// The five classes of [`Outcome`], for tables and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The provider did what was asked, or answered the question.
    Ok,
    /// The customer or the issuer said no. Says nothing about the channel (rule 11).
    Declined,
    /// Our mistake: key, certificate, parameter, permission. Surely no effect.
    Rejected,
    /// Surely no effect: not sent, or refused before the business layer was reached.
    Unavailable,
    /// The effect is not known; only a query or a close settles it (rule 3).
    Unknown,
}

impl Class {
    /// The name that the API and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Class::Ok => "ok",
            Class::Declined => "declined",
            Class::Rejected => "rejected",
            Class::Unavailable => "unavailable",
            Class::Unknown => "unknown",
        }
    }
}

/// Why a call did not succeed: the provider's code or one of ours, and a redacted sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The provider's own code (`ACQ.SYSTEM_ERROR`), or ours in lower case (`timeout`).
    pub code: String,
    /// For a person; carries no secret and no personal data (rule 13).
    pub detail: String,
}

impl Fault {
    /// A fault with its code and explanation.
    pub fn new(code: impl Into<String>, detail: impl Into<String>) -> Fault {
        Fault { code: code.into(), detail: detail.into() }
    }
}

/// A refusal by the customer, the issuer or the provider's risk control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// The provider's code.
    pub code: String,
    /// Whether another channel may fare better (the issuer could not be reached, say).
    pub soft: bool,
}

/// The result of one provider operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// Done, or answered.
    Ok(T),
    /// Refused by the customer's side.
    Declined(Decline),
    /// Our mistake; surely no effect.
    Rejected(Fault),
    /// Surely no effect.
    Unavailable(Fault),
    /// Effect not known.
    Unknown(Fault),
}

impl<T> Outcome<T> {
    /// The class.
    pub fn class(&self) -> Class {
        match self {
            Outcome::Ok(_) => Class::Ok,
            Outcome::Declined(_) => Class::Declined,
            Outcome::Rejected(_) => Class::Rejected,
            Outcome::Unavailable(_) => Class::Unavailable,
            Outcome::Unknown(_) => Class::Unknown,
        }
    }

    /// The provider's code, where there was a failure or decline.
    pub fn code(&self) -> Option<&str> {
        match self {
            Outcome::Ok(_) => None,
            Outcome::Declined(decline) => Some(&decline.code),
            Outcome::Rejected(f) | Outcome::Unavailable(f) | Outcome::Unknown(f) => Some(&f.code),
        }
    }
}

/// What the customer needs in order to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Presentation {
    /// Draw this text as a QR code.
    QrCode {
        /// The text inside the code.
        content: String,
    },
    /// Send the browser here.
    Redirect {
        /// The address.
        url: String,
    },
    /// Send the browser here by POST with these fields: a form that the page submits
    /// (UnionPay's cashier takes nothing else).
    Form {
        /// The address.
        url: String,
        /// The form's fields by name, not yet encoded.
        fields: BTreeMap<String, String>,
    },
    /// Call the wallet's script with these parameters (WeChat JSAPI).
    WalletScript {
        /// The script's parameters by name.
        parameters: BTreeMap<String, String>,
    },
    /// Hand this to the provider's browser library (Stripe's client secret).
    ClientSecret {
        /// The provider's id of the order.
        reference: String,
        /// The secret: only for the customer's browser, never logged.
        secret: String,
    },
    /// Transfer this amount to this account by a bank (method `bank_transfer`).
    BankTransfer(Box<TransferTo>),
}

/// Where a bank transfer goes, and what stands on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferTo {
    /// Whose account it is.
    pub payee: Bilingual,
    /// The bank's name.
    pub bank: Bilingual,
    /// The account's number or IBAN; with virtual accounts this payment's own.
    pub account: String,
    /// The bank's code where transfers need one: a BIC, or a CNAPS code.
    pub bank_code: Option<String>,
    /// What the customer must write into the transfer; `None` where the account says it.
    pub reference: Option<String>,
    /// How much in all, whatever has come of it so far.
    pub money: Money,
    /// Until when the money must have come.
    pub expires_at: Timestamp,
}

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bilingual {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// Proof of money: a captured success as the provider states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The provider's own id of the trade.
    pub reference: String,
    /// What was captured.
    pub captured: Money,
    /// When the provider says that it was paid.
    pub paid_at: Option<Timestamp>,
}

/// The good answers to a create call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Created {
    /// A code or link is ready.
    Presented {
        /// What to show.
        presentation: Presentation,
        /// The provider's id, when it gives one now.
        reference: Option<String>,
    },
    /// The money is captured.
    Paid(Receipt),
    /// The provider works on it; ask later.
    Processing {
        /// The provider's id, when it gives one now.
        reference: Option<String>,
    },
    /// The number was closed before: nothing can be paid under it.
    NumberClosed,
}

/// The good answers to a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Captured, even if a part of it, or all, was refunded since.
    Paid(Receipt),
    /// Captured, and the whole of it has gone back: by refunds of ours, by a close that gave
    /// the money back and whose answer was lost, or by somebody's hand at the provider. Only
    /// providers whose answer tells it from [`OrderState::Paid`] say so.
    PaidAndRefunded(Receipt),
    /// Waits for the customer.
    Payable,
    /// Waits for the rest: less than was asked for has come (bank transfers).
    PartlyPaid {
        /// What has come so far and is still there; less than was asked for.
        received: Money,
    },
    /// The provider works on it.
    Processing,
    /// Nobody can pay it any more, and nobody did.
    Closed,
    /// The provider does not know the number *now*. With several providers that is no proof:
    /// the order may be in flight, or come to be when the customer scans the code.
    NotFound,
    /// A direct charge was refused; the order is at an end.
    Declined(Decline),
}

/// The good answers to a close.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseState {
    /// Proof: nobody can pay it any more.
    Closed,
    /// The provider said yes, but says so to anything: a query must confirm it.
    Accepted,
    /// The customer was faster. The receipt is there when the answer had it.
    AlreadyPaid(Option<Receipt>),
    /// The customer had paid and all of it has gone back, by this call or by somebody's hand
    /// at the provider: a payment and a refund.
    PaidAndRefunded(Receipt),
    /// A payment is being made right now; ask again.
    Processing,
    /// The provider does not know the number; no proof, as in [`OrderState::NotFound`].
    NotFound,
    /// Where it takes a call of ours to take the money (see
    /// [`OrderRef::wanted`](crate::OrderRef)): nothing was taken yet. Proof only when no call is
    /// under way any more that was sent while the payment still wanted it.
    NotTaken,
}

/// The good answers to a refund, and to the question after one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// The money went back.
    Succeeded,
    /// Accepted; ask later.
    Pending,
    /// Ended without effect, for good.
    Failed(Fault),
    /// The provider does not know this refund number.
    NotFound,
}

/// A notification that proved itself (rule 7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Our order number, as the provider sent it.
    pub number: ProviderOrderNo,
    /// What it says.
    pub kind: NoticeKind,
}

/// What a notification says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// The order is in this state.
    Order(OrderState),
    /// A refund of the order is in this state.
    Refund {
        /// Our refund number.
        refund: ProviderOrderNo,
        /// Its state.
        state: RefundState,
    },
    /// Worth asking the provider about now; says nothing by itself.
    Hint,
}
