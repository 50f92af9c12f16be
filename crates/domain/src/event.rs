//! What happened to a payment, as its story tells it and as merchants are told.

use serde::{Deserialize, Serialize};

use crate::{ChannelId, Class, HoldEnd, Method, Proof, RefundReason, Reminder, Source, Timestamp};

/// One line of a payment's story. `seq` counts a payment's events from 1, so that an event
/// has the same identity however often its commit is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number within the payment.
    pub seq: u32,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
#[expect(missing_docs, reason = "the names of the fields are those of the attempt and refund")]
pub enum EventKind {
    /// The merchant asked for the payment.
    Created,
    /// An attempt became durable and its call may be made.
    AttemptStarted { ordinal: u16, channel: ChannelId, method: Method },
    /// A code or link was shown.
    AttemptShown { ordinal: u16 },
    /// The effect of the attempt's call is not known.
    AttemptUnknown { ordinal: u16, code: String },
    /// The call had surely no effect.
    AttemptFailed { ordinal: u16, class: Class, code: String },
    /// The customer's side refused.
    AttemptDeclined { ordinal: u16, code: String },
    /// The attempt is to be made unpayable.
    CloseAsked { ordinal: u16 },
    /// Nobody can pay the attempt any more.
    AttemptClosed { ordinal: u16, proof: Proof },
    /// The payment lives longer, because a transfer takes its time.
    ExpiryExtended { until: Timestamp },
    /// A part of the money has come; the customer is to pay the rest. Minor units.
    PartReceived { ordinal: u16, received_minor: i64, rest_minor: i64 },
    /// The provider captured the money of this attempt.
    AttemptPaid { ordinal: u16, source: Source },
    /// The payment is paid.
    Paid { ordinal: u16, late: bool },
    /// The payment was refused by the customer's side.
    Declined,
    /// The merchant asked to cancel.
    CancelAsked,
    /// The payment's time is over; its attempts are being closed.
    ExpiryBegan,
    /// The payment ended as the merchant wished.
    Cancelled,
    /// The payment ended unpaid because its time was over.
    Expired,
    /// The order is kept, to be paid later.
    Held { until: Timestamp },
    /// The order is kept for longer.
    HoldExtended { until: Timestamp },
    /// The order is not kept any more: once a hold (rule 10).
    HoldReleased { end: HoldEnd },
    /// The customer is to be reminded of a kept order.
    Reminded { why: Reminder },
    /// The payment's feature is paused: nothing is charged for it (rule 9).
    Kept { until: Timestamp },
    /// Its feature goes on, and so does the payment.
    WorkReleased,
    /// The subscription behind a paused renewal is to live on until then.
    GraceExtended { until: Timestamp },
    /// A refund became durable.
    RefundRequested { refund: u16, reason: RefundReason },
    /// The effect of the refund's call is not known; it will be asked about.
    RefundUnknown { refund: u16, code: String },
    /// The money went back.
    RefundSucceeded { refund: u16 },
    /// The refund ended without effect.
    RefundFailed { refund: u16, code: String },
    /// A person should look at it.
    ReviewRaised { why: crate::Review },
    /// A person has looked at it, or it ended well by itself.
    ReviewCleared,
}

/// What merchants are told, by the name that their endpoints see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification(pub &'static str);

impl EventKind {
    /// What merchants are told about this, if anything.
    pub fn notification(&self) -> Option<Notification> {
        let name = match self {
            EventKind::Paid { .. } => "payment.paid",
            EventKind::PartReceived { .. } => "payment.part_received",
            EventKind::ExpiryExtended { .. } => "payment.extended",
            EventKind::Declined => "payment.declined",
            EventKind::Cancelled => "payment.cancelled",
            EventKind::Expired => "payment.expired",
            EventKind::ReviewRaised { .. } => "payment.review",
            EventKind::Held { .. } => "payment.held",
            EventKind::HoldExtended { .. } => "payment.hold_extended",
            EventKind::HoldReleased { .. } => "payment.released",
            EventKind::Reminded { .. } => "payment.reminder",
            EventKind::Kept { .. } => "payment.paused",
            EventKind::WorkReleased => "payment.resumed",
            EventKind::GraceExtended { .. } => "subscription.grace_extended",
            EventKind::RefundSucceeded { .. } => "refund.succeeded",
            EventKind::RefundFailed { .. } => "refund.failed",
            _ => return None,
        };
        Some(Notification(name))
    }
}
