//! Orders that are kept: held for a customer who cannot pay now, or waiting while their
//! feature is paused.
//!
//! A held order is an open payment with a longer life, which ends exactly once (rule 10). Paused
//! work is a payment that nothing is charged for until it is released (rule 9). Neither is ever
//! without an end: `expires_at` counts as for every payment (rule 17).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::stepping::Stepping;
use crate::{
    Attempt, Blocked, EventKind, Flow, Illegal, Payment, PaymentState, Policy, Purpose, Step,
    Timestamp,
};

/// That an order is kept, to be paid later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Until when; the payment's end.
    pub until: Timestamp,
    /// Whose wish it was.
    pub by: HoldBy,
    /// When the customer was told that it can be paid now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_told: Option<Timestamp>,
    /// Whether the customer was told that it ends soon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expiry_told: bool,
    /// How it ended, once it has; never changed afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<HoldEnd>,
}

/// Whose wish a hold was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "who", content = "name")]
pub enum HoldBy {
    /// The ladder stood at [`Level::Held`](crate::Level::Held) and nothing took it.
    Ladder,
    /// The customer chose to pay later.
    Customer,
    /// The merchant.
    Merchant,
    /// A person.
    Operator(String),
}

/// How a hold ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// Paid.
    Paid,
    /// Cancelled.
    Cancelled,
    /// Expired.
    Expired,
}

impl HoldEnd {
    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            HoldEnd::Paid => "paid",
            HoldEnd::Cancelled => "cancelled",
            HoldEnd::Expired => "expired",
        }
    }
}

/// Why a customer is reminded of a held order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reminder {
    /// It can be paid now.
    Recovered,
    /// It ends soon.
    ExpiresSoon,
}

/// Why an order is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldRefused {
    /// The payment has ended, or is ending.
    #[error("only a payment that is still open can be held")]
    NotOpen,
    /// Its time is over.
    #[error("the payment's time is over")]
    Expired,
    /// The merchant does not want it kept.
    #[error("the payment was made with `hold` false: its order is not to be kept")]
    Unwanted,
    /// It is not held, so that there is nothing to extend.
    #[error("the payment is not held")]
    NotHeld,
    /// The wished end is not later than the present one.
    #[error("the new end must be later than the present one")]
    Sooner,
    /// A charge by a saved card: its customer is not there to come back.
    #[error("a charge of a saved card is not held; it is tried again or ends")]
    Direct,
}

impl Payment {
    /// Whether its order is kept for the customer, who may pay until it ends.
    pub fn is_held(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.ended.is_none())
    }

    /// Keeps the order until `until`, or its present end if that is later. Held already: `None`.
    ///
    /// # Errors
    /// When it is not open any more, or must not be kept.
    pub fn keep_order(
        &self,
        until: Timestamp,
        by: HoldBy,
        now: Timestamp,
    ) -> Result<Option<Step>, HoldRefused> {
        if self.state != PaymentState::Open {
            return Err(HoldRefused::NotOpen);
        }
        if now >= self.expires_at {
            return Err(HoldRefused::Expired);
        }
        if self.is_held() {
            return Ok(None);
        }
        if self.terms.no_hold {
            return Err(HoldRefused::Unwanted);
        }
        if self.terms.methods.iter().all(|method| self.terms.flow(*method) == Flow::Direct) {
            return Err(HoldRefused::Direct);
        }
        let until = until.max(self.expires_at);
        let mut step = self.stepping(now);
        step.payment.expires_at = until;
        step.payment.hold = Some(Hold {
            since: now,
            until,
            by,
            recovery_told: None,
            expiry_told: false,
            ended: None,
        });
        step.tell(EventKind::Held { until });
        Ok(Some(step.done()))
    }

    /// Keeps a held order for longer.
    ///
    /// # Errors
    /// When it is not held, or ends later already.
    pub fn keep_longer(&self, until: Timestamp, now: Timestamp) -> Result<Step, HoldRefused> {
        if self.state != PaymentState::Open {
            return Err(HoldRefused::NotOpen);
        }
        let held = self.hold.as_ref().filter(|_| self.is_held()).ok_or(HoldRefused::NotHeld)?;
        if until <= held.until {
            return Err(HoldRefused::Sooner);
        }
        let mut step = self.stepping(now);
        step.lengthen(until);
        step.tell(EventKind::HoldExtended { until });
        Ok(step.done())
    }

    /// Tells the customer of a held order that it can be paid now; once a hold. `None` when
    /// there is nobody to tell.
    pub fn remind_of_recovery(&self, now: Timestamp) -> Option<Step> {
        let waits = self.state == PaymentState::Open && !self.attempts.iter().any(Attempt::is_live);
        let held = self.hold.as_ref().filter(|_| self.is_held() && waits)?;
        if held.recovery_told.is_some() || now >= held.until {
            return None;
        }
        let mut step = self.stepping(now);
        if let Some(hold) = &mut step.payment.hold {
            hold.recovery_told = Some(now);
        }
        step.tell(EventKind::Reminded { why: Reminder::Recovered });
        Some(step.done())
    }

    /// When the customer is to be told that a held order ends soon.
    pub(crate) fn reminder_due(&self, policy: &Policy) -> Option<Timestamp> {
        let held = self.hold.as_ref().filter(|h| self.is_held() && !h.expiry_told)?;
        let before = policy.remind_before.min(held.until.since(held.since) / 4);
        (self.state == PaymentState::Open).then(|| held.until - before)
    }

    /// Keeps a payment whose feature is paused: nothing is charged for it until it is released
    /// (rule 9). It lives until `until` at least, unless the merchant chose its end.
    ///
    /// # Errors
    /// When it is not open, or something of it may still be paid.
    pub fn pause(&self, until: Timestamp, now: Timestamp) -> Result<Step, Blocked> {
        self.may_attempt(Flow::Direct, now)?;
        let mut step = self.stepping(now);
        if !self.expiry_fixed {
            step.lengthen(until.max(self.expires_at));
        }
        step.payment.state = PaymentState::Paused { since: now, grace: None };
        let until = step.payment.expires_at;
        step.tell(EventKind::Kept { until });
        Ok(step.done())
    }

    /// Lets a paused payment go on; its first attempt may be part of the same commit. `None`
    /// when it is not paused: it was released, cancelled or has ended, and nothing follows
    /// (rule 9).
    pub fn release(&self, now: Timestamp) -> Option<Step> {
        if !self.is_paused() || now >= self.expires_at {
            return None;
        }
        let mut step = self.stepping(now);
        step.payment.state = PaymentState::Open;
        step.tell(EventKind::WorkReleased);
        Some(step.done())
    }

    /// Whether it waits for its feature.
    pub fn is_paused(&self) -> bool {
        matches!(self.state, PaymentState::Paused { .. })
    }

    /// Where paused work stands in the queue of what is released: when it was due, by the
    /// merchant's word or by its arrival.
    pub fn queued_from(&self) -> Option<Timestamp> {
        self.is_paused().then(|| self.terms.due_at.unwrap_or(self.created_at))
    }

    /// When a paused renewal's subscription would lapse next; `None` for other work, and when
    /// grace has reached the merchant's own deadline.
    pub(crate) fn grace_due(&self) -> Option<Timestamp> {
        let PaymentState::Paused { since, grace } = self.state else { return None };
        if self.terms.purpose != Purpose::Renewal {
            return None;
        }
        let lapses = self.terms.lapses_at.or(self.terms.due_at).unwrap_or(since);
        let at = grace.unwrap_or(lapses.max(since));
        (at < self.expires_at).then_some(at)
    }
}

impl Stepping {
    /// Moves the payment's end, and its hold's.
    pub(crate) fn lengthen(&mut self, until: Timestamp) {
        self.payment.expires_at = until;
        if let Some(hold) = self.payment.hold.as_mut().filter(|hold| hold.ended.is_none()) {
            hold.until = until;
            hold.expiry_told = false;
        }
    }

    /// A hold ends with its payment, once (rule 10).
    pub(crate) fn end_hold(&mut self, end: HoldEnd) {
        let held = self.payment.hold.as_mut().filter(|hold| hold.ended.is_none());
        if let Some(hold) = held {
            hold.ended = Some(end);
            self.tell(EventKind::HoldReleased { end });
        }
    }

    pub(crate) fn remind_of_expiry(&mut self) {
        if let Some(hold) = self.payment.hold.as_mut().filter(|hold| !hold.expiry_told) {
            hold.expiry_told = true;
            self.tell(EventKind::Reminded { why: Reminder::ExpiresSoon });
        }
    }

    /// The subscription behind a paused renewal lapses through no fault of its customer.
    pub(crate) fn extend_grace(&mut self, step: Duration) -> Result<(), Illegal> {
        let until = (self.now + step).min(self.payment.expires_at);
        if let PaymentState::Paused { grace, .. } = &mut self.payment.state {
            *grace = Some(until);
            self.tell(EventKind::GraceExtended { until });
        }
        Ok(())
    }
}
