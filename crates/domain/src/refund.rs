//! One refund, as a state machine.
//!
//! A refund whose effect is unknown is asked about, and sent again only under its own number
//! and only after the provider said that it does not know it (rule 14).

use serde::{Deserialize, Serialize};

use crate::attempt::spread;
use crate::{Check, Fault, Money, Outcome, Policy, ProviderOrderNo, RefundState, Timestamp};

/// Money on its way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    /// Its place among the payment's refunds, from 1.
    pub ordinal: u16,
    /// The attempt whose money goes back.
    pub attempt: u16,
    /// The number at the provider, derived from the payment and the ordinal.
    pub number: ProviderOrderNo,
    /// How much.
    pub amount: Money,
    /// Why.
    pub reason: RefundReason,
    /// The merchant's own words, where it gave any.
    pub note: Option<String>,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Where it stands.
    pub progress: RefundProgress,
}

/// Why money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// The merchant asked.
    Merchant,
    /// A second success of the same payment (rule 2).
    Duplicate,
    /// A success after the payment's end, by policy (rule 6).
    Late,
    /// A synthetic payment that was paid after all.
    Synthetic,
}

/// Where a refund stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RefundProgress {
    /// Durable, and surely not at the provider; to be sent.
    Requested {
        /// When to send it.
        check: Check,
    },
    /// The call may be on the wire.
    InFlight {
        /// The caller's lease.
        until: Timestamp,
        /// How often it was sent or asked about before.
        tries: u32,
    },
    /// At the provider, or perhaps; asked about.
    Pending {
        /// Whether the provider has confirmed that it has it.
        accepted: bool,
        /// The last moment at which a call may have been sent.
        until: Timestamp,
        /// The next question.
        check: Check,
    },
    /// Offline money: no provider has it, so people give it back and say so.
    ByHand {
        /// Since when they are to.
        since: Timestamp,
    },
    /// The money went back.
    Succeeded {
        /// When we learned it.
        at: Timestamp,
    },
    /// Ended without effect.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        fault: Fault,
    },
}

impl Refund {
    /// Whether it takes away from what can still be refunded.
    pub fn counts(&self) -> bool {
        !matches!(self.progress, RefundProgress::Failed { .. })
    }

    /// Whether it has not ended yet.
    pub fn is_live(&self) -> bool {
        !matches!(self.progress, RefundProgress::Failed { .. } | RefundProgress::Succeeded { .. })
    }

    /// The intent to send it, made durable before the call (rule 1).
    pub(crate) fn sending(&self, now: Timestamp, until: Timestamp) -> Option<Refund> {
        let due = matches!(self.progress, RefundProgress::Requested { check } if check.at <= now);
        due.then(|| Refund {
            progress: RefundProgress::InFlight { until, tries: self.tries() },
            ..self.clone()
        })
    }

    /// The caller stopped before an answer: ask the provider.
    pub(crate) fn interrupted(&self, now: Timestamp, policy: &Policy) -> Refund {
        match self.progress {
            RefundProgress::InFlight { until, .. } => {
                self.with(self.pending(false, until, now, policy))
            }
            _ => self.clone(),
        }
    }

    /// The refund after an answer to its call.
    pub(crate) fn answered(
        &self,
        outcome: Outcome<RefundState>,
        now: Timestamp,
        policy: &Policy,
    ) -> Refund {
        use RefundProgress as P;
        let until = match self.progress {
            P::Succeeded { .. } | P::Failed { .. } | P::ByHand { .. } => return self.clone(),
            P::InFlight { until, .. } | P::Pending { until, .. } => until,
            P::Requested { .. } => now,
        };
        self.with(match outcome {
            Outcome::Ok(RefundState::Succeeded) => P::Succeeded { at: now },
            Outcome::Ok(RefundState::Pending) => self.pending(true, until, now, policy),
            Outcome::Ok(RefundState::Failed(fault)) => P::Failed { at: now, fault },
            Outcome::Ok(RefundState::NotFound) | Outcome::Unknown(_) => {
                self.pending(false, until, now, policy)
            }
            // Surely no effect. What a person owes goes back whatever it takes; a merchant's
            // wish that the provider refuses is the merchant's to mend.
            Outcome::Unavailable(_) => self.to_send(now, policy),
            Outcome::Rejected(fault) if self.reason == RefundReason::Merchant => {
                P::Failed { at: now, fault }
            }
            Outcome::Rejected(_) => self.to_send(now, policy),
            Outcome::Declined(decline) => P::Failed {
                at: now,
                fault: Fault::new(decline.code, "the provider refused the refund"),
            },
        })
    }

    /// The refund after an answer to a question about it, or a notification.
    pub(crate) fn learned(
        &self,
        outcome: Outcome<RefundState>,
        now: Timestamp,
        policy: &Policy,
    ) -> Refund {
        use RefundProgress as P;
        match (&self.progress, outcome) {
            (P::Succeeded { .. } | P::Failed { .. }, _) => self.clone(),
            (_, Outcome::Ok(RefundState::Succeeded)) => self.with(P::Succeeded { at: now }),
            (_, Outcome::Ok(RefundState::Failed(fault))) => self.with(P::Failed { at: now, fault }),
            (P::Pending { accepted: false, until, .. }, Outcome::Ok(RefundState::NotFound))
                if now >= *until + policy.not_found_settles =>
            {
                self.with(self.to_send(now, policy))
            }
            (P::Pending { until, accepted, .. }, outcome) => {
                let accepted = *accepted || matches!(outcome, Outcome::Ok(RefundState::Pending));
                self.with(self.pending(accepted, *until, now, policy))
            }
            _ => self.clone(),
        }
    }

    fn with(&self, progress: RefundProgress) -> Refund {
        Refund { progress, ..self.clone() }
    }

    fn tries(&self) -> u32 {
        match &self.progress {
            RefundProgress::Requested { check } | RefundProgress::Pending { check, .. } => {
                check.tries + 1
            }
            RefundProgress::InFlight { tries, .. } => *tries,
            RefundProgress::ByHand { .. }
            | RefundProgress::Succeeded { .. }
            | RefundProgress::Failed { .. } => 0,
        }
    }

    fn next_check(&self, now: Timestamp, policy: &Policy) -> Check {
        let tries = self.tries();
        let wait = spread(self.number.as_str(), tries, policy.refund_schedule.wait(tries));
        Check { at: now + wait, tries }
    }

    fn pending(
        &self,
        accepted: bool,
        until: Timestamp,
        now: Timestamp,
        policy: &Policy,
    ) -> RefundProgress {
        RefundProgress::Pending { accepted, until, check: self.next_check(now, policy) }
    }

    fn to_send(&self, now: Timestamp, policy: &Policy) -> RefundProgress {
        RefundProgress::Requested { check: self.next_check(now, policy) }
    }
}
