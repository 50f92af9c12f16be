//! How values are written in rows: bodies as JSON with a format number, states as their names.
//!
//! Both engines use it, so that the same payment is the same row everywhere.

use domain::{
    AttemptState, Event, Locale, Method, Payment, RefundProgress, RefundReason, Review, Tier,
};

use crate::{Change, MessageState, StoreError};

/// The format of [`Payment`]'s JSON. Raise it with a change that older programs cannot read,
/// and keep reading the older ones.
pub(crate) const FORMAT: u32 = 1;

/// A number in a row that does not fit where it belongs, or a text that is no value.
pub(crate) fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(what.to_string())
}

/// Any JSON that we write; it can fail only for maps with odd keys, which we have none of.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Unavailable(format!("cannot write: {e}")))
}

/// Reads a payment's body.
pub(crate) fn payment(format: u32, body: &str) -> Result<Payment, StoreError> {
    if format != FORMAT {
        return Err(StoreError::Newer { found: format, known: FORMAT });
    }
    serde_json::from_str(body).map_err(|e| damaged(format!("a payment's body is unreadable: {e}")))
}

/// Reads a line of a story.
pub(crate) fn event(body: &str) -> Result<Event, StoreError> {
    serde_json::from_str(body).map_err(|e| damaged(format!("an event's body is unreadable: {e}")))
}

/// Refuses a change whose parts do not belong together, which is a mistake of the caller.
pub(crate) fn check_shape(change: &Change) -> Result<(), StoreError> {
    let payment = &change.payment;
    let wrong = if change.expected_version.checked_add(1) != Some(payment.version) {
        "its version does not follow the expected one"
    } else if change.claim.as_ref().is_some_and(|claim| claim.payment != payment.id) {
        "its claim is for another payment"
    } else {
        return Ok(());
    };
    Err(StoreError::Unavailable(format!("the change {} is malformed: {wrong}", change.id)))
}

pub(crate) fn latest_method(payment: &Payment) -> Option<Method> {
    payment.attempts.last().map(|attempt| attempt.method)
}

pub(crate) fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Standard => "standard",
        Tier::Vip => "vip",
    }
}

pub(crate) fn review(review: Review) -> &'static str {
    match review {
        Review::StillUnknown => "still_unknown",
        Review::WrongAmount => "wrong_amount",
        Review::RefundStuck => "refund_stuck",
        Review::MoneyReversed => "money_reversed",
        Review::RefundByHand => "refund_by_hand",
    }
}

pub(crate) fn attempt_state(state: &AttemptState) -> &'static str {
    match state {
        AttemptState::InFlight => "in_flight",
        AttemptState::Presented { .. } => "presented",
        AttemptState::Unknown { .. } => "unknown",
        AttemptState::Closing { .. } => "closing",
        AttemptState::Closed { .. } => "closed",
        AttemptState::Declined { .. } => "declined",
        AttemptState::Failed { .. } => "failed",
        AttemptState::Paid { .. } => "paid",
    }
}

pub(crate) fn refund_state(progress: &RefundProgress) -> &'static str {
    match progress {
        RefundProgress::Requested { .. } => "requested",
        RefundProgress::InFlight { .. } => "in_flight",
        RefundProgress::Pending { .. } => "pending",
        RefundProgress::ByHand { .. } => "by_hand",
        RefundProgress::Succeeded { .. } => "succeeded",
        RefundProgress::Failed { .. } => "failed",
    }
}

pub(crate) fn refund_reason(reason: RefundReason) -> &'static str {
    match reason {
        RefundReason::Merchant => "merchant",
        RefundReason::Duplicate => "duplicate",
        RefundReason::Late => "late",
        RefundReason::Synthetic => "synthetic",
    }
}

pub(crate) fn locale(locale: Locale) -> &'static str {
    match locale {
        Locale::Zh => "zh",
        Locale::En => "en",
    }
}

pub(crate) fn read_locale(text: &str) -> Result<Locale, StoreError> {
    let all = [Locale::Zh, Locale::En];
    let unknown = || damaged(format!("a note has the language {text:?}"));
    all.into_iter().find(|l| locale(*l) == text).ok_or_else(unknown)
}

pub(crate) fn message_state(state: MessageState) -> &'static str {
    match state {
        MessageState::Pending => "pending",
        MessageState::Delivered => "delivered",
        MessageState::Dead => "dead",
    }
}

pub(crate) fn read_message_state(text: &str) -> Result<MessageState, StoreError> {
    Ok(match text {
        "pending" => MessageState::Pending,
        "delivered" => MessageState::Delivered,
        "dead" => MessageState::Dead,
        other => return Err(damaged(format!("a message has the state {other:?}"))),
    })
}
