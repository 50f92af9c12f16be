//! The providers' own books: orders, their states and every movement of money.
//!
//! Pure: time is passed in, identifiers come from a seeded source, and nothing here knows of
//! HTTP. Each provider's rules live in a file of their own; what they have in common is the
//! snapshot below, which lets anyone compare these books with a gateway's.

pub(crate) mod alipay;
mod ids;
pub(crate) mod paypal;
pub(crate) mod stripe;
pub(crate) mod unionpay;
pub(crate) mod wechatpay;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use ids::IdSource;

/// Milliseconds since 1970 UTC.
pub type Millis = i64;

/// A payment company whose protocol this crate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Alipay, open platform gateway.
    Alipay,
    /// WeChat Pay API v3.
    WechatPay,
    /// Stripe API v1.
    Stripe,
    /// UnionPay's full-channel platform, 5.1.0.
    UnionPay,
    /// PayPal Orders v2.
    Paypal,
}

impl ProviderKind {
    /// Every provider.
    pub const ALL: [Self; 5] =
        [Self::Alipay, Self::WechatPay, Self::Stripe, Self::UnionPay, Self::Paypal];

    /// `alipay`, `wechatpay`, `stripe`, `unionpay` or `paypal`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alipay => "alipay",
            Self::WechatPay => "wechatpay",
            Self::Stripe => "stripe",
            Self::UnionPay => "unionpay",
            Self::Paypal => "paypal",
        }
    }
}

impl std::str::FromStr for ProviderKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| "it is one of alipay, wechatpay, stripe, unionpay, paypal".to_owned())
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an order has come to, in words common to all providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryStatus {
    /// A code or link exists, but the provider has no trade yet (Alipay before the scan).
    NotOpened,
    /// Payable.
    Open,
    /// Held on a card, not captured.
    Authorised,
    /// Paid, and not wholly refunded.
    Paid,
    /// Paid and then wholly refunded.
    Refunded,
    /// Never paid and no longer payable.
    Closed,
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Accepted, on its way.
    Processing,
    /// The money went back.
    Succeeded,
}

/// One refund of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundEntry {
    /// The merchant's refund number (`out_request_no`, `out_refund_no`), or Stripe's `re_…`.
    pub refund_no: String,
    /// The provider's refund number.
    pub provider_no: String,
    /// Minor units.
    pub amount_minor: i64,
    /// Where it stands at the time of the snapshot.
    pub status: RefundStatus,
    /// When it was asked for.
    pub created_at_ms: Millis,
    /// When the money went back; absent while it is on its way.
    pub succeeded_at_ms: Option<Millis>,
}

/// One order as the provider's books have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEntry {
    /// Whose books.
    pub provider: ProviderKind,
    /// The account's name.
    pub account: String,
    /// The merchant's number at the provider: `out_trade_no`; for Stripe `metadata[order_id]`,
    /// for PayPal `custom_id`, and the provider's own id when there is none.
    pub order_no: String,
    /// The provider's number: `trade_no`, `transaction_id` (empty until paid), `pi_…`.
    pub provider_no: String,
    /// Minor units.
    pub amount_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
    /// What it has come to.
    pub status: EntryStatus,
    /// The same in the provider's own word.
    pub provider_status: String,
    /// What the customer paid with, or can: `alipay`, `wechat_pay`, `card`.
    pub method: Option<String>,
    /// The payer's bank, when it was said.
    pub bank: Option<String>,
    /// When the merchant asked for it.
    pub created_at_ms: Millis,
    /// When it was paid.
    pub paid_at_ms: Option<Millis>,
    /// Money taken from the customer, minor units, before refunds.
    pub captured_minor: i64,
    /// Money that went back, minor units; refunds on their way are not in it.
    pub refunded_minor: i64,
    /// Every refund.
    pub refunds: Vec<RefundEntry>,
    /// Stripe's metadata; empty elsewhere.
    pub metadata: BTreeMap<String, String>,
}

/// Which way money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementKind {
    /// From the customer to the merchant.
    Charge,
    /// Back again.
    Refund,
}

/// One movement of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// When.
    pub at_ms: Millis,
    /// Whose books.
    pub provider: ProviderKind,
    /// The account's name.
    pub account: String,
    /// The order, as in [`OrderEntry::order_no`].
    pub order_no: String,
    /// Which way.
    pub kind: MovementKind,
    /// The provider's number of the charge or refund.
    pub reference: String,
    /// Minor units, positive both ways.
    pub amount_minor: i64,
    /// ISO 4217, upper case.
    pub currency: String,
}

/// Every order and movement at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BooksSnapshot {
    /// The moment.
    pub taken_at_ms: Millis,
    /// Orders, account by account, oldest first.
    pub orders: Vec<OrderEntry>,
    /// Movements, by time.
    pub movements: Vec<Movement>,
}

impl BooksSnapshot {
    /// Builds a snapshot, deriving the movements from the orders, so that the two cannot disagree.
    pub(crate) fn of(orders: Vec<OrderEntry>, taken_at_ms: Millis) -> Self {
        let mut movements: Vec<Movement> = orders.iter().flat_map(movements_of).collect();
        movements.sort_by_key(|movement| movement.at_ms);
        Self { taken_at_ms, orders, movements }
    }

    /// The orders under this merchant's number, at whatever provider.
    pub fn find<'a>(&'a self, order_no: &'a str) -> impl Iterator<Item = &'a OrderEntry> {
        self.orders.iter().filter(move |order| order.order_no == order_no)
    }
}

fn movements_of(order: &OrderEntry) -> Vec<Movement> {
    let movement = |at_ms, kind, reference: &str, amount_minor| Movement {
        at_ms,
        provider: order.provider,
        account: order.account.clone(),
        order_no: order.order_no.clone(),
        kind,
        reference: reference.to_owned(),
        amount_minor,
        currency: order.currency.clone(),
    };
    let charge = order
        .paid_at_ms
        .map(|at| movement(at, MovementKind::Charge, &order.provider_no, order.captured_minor));
    let refunds = order.refunds.iter().filter_map(|refund| {
        let at = refund.succeeded_at_ms?;
        Some(movement(at, MovementKind::Refund, &refund.provider_no, refund.amount_minor))
    });
    charge.into_iter().chain(refunds).collect()
}

/// Why a shopper could not do what the shopper wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShopperRefusal {
    /// No order is behind this code.
    #[error("the code is unknown")]
    Unknown,
    /// The order or its code ran out.
    #[error("the code has expired")]
    Expired,
    /// A newer code replaced this one.
    #[error("the code was replaced by a newer one")]
    Replaced,
    /// The merchant closed the order.
    #[error("the order is closed")]
    Closed,
    /// Someone paid already.
    #[error("the order is already paid")]
    AlreadyPaid,
}
