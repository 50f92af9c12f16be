//! Paused means paused (rule 9): while a purpose is paused nothing is charged for it. What comes
//! is kept, and released once, later, those that are due longest first, at a bounded rate.
//!
//! The gate is asked when a payment is decided about, and once more before its call is made:
//! between the two somebody may have paused.

use std::sync::PoisonError;

use domain::{Fault, Flow, Gate, HoldBy, Payment, PaymentId, Purpose, Timestamp};

use crate::ledger::Draft;
use crate::{Engine, EngineError};

/// Queued payments that are looked at for each that may be released: the channels of some may
/// be out while those of others work.
const LOOKED_AT: usize = 8;

/// Lets so many a second through, and at most a second's worth at once, however long nobody
/// asked and however the clock steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trickle {
    tokens: f64,
    at: Option<Timestamp>,
}

impl Trickle {
    /// How many may go now.
    fn allows(&mut self, per_second: f64, now: Timestamp) -> usize {
        let most = per_second.max(1.0);
        let passed = self.at.map_or(0.0, |at| now.since(at).as_secs_f64());
        self.tokens = (self.tokens + passed * per_second).min(most);
        self.at = Some(now);
        self.tokens as usize
    }

    /// So many go at `now`, which may be long after it was asked: what came meanwhile is no
    /// more than a second's worth either.
    fn spend(&mut self, count: usize, per_second: f64, now: Timestamp) {
        self.allows(per_second, now);
        self.tokens = (self.tokens - count as f64).max(0.0);
    }
}

/// What a call that a pause was faster than counts as.
pub(crate) fn paused_fault(gate: &Gate) -> Fault {
    Fault::new("paused", format!("{} is paused; nothing was sent", gate.purpose))
}

impl Engine {
    /// The pause that a payment meets, if there is one.
    pub(crate) fn gate(&self, payment: &Payment) -> Option<Gate> {
        let controls = self.controls.load();
        controls.ladder.paused(payment.terms.purpose, self.now()).cloned()
    }

    /// The draft with its payment kept until its feature goes on, if nothing of it may be paid
    /// any more.
    pub(crate) fn paused_draft(&self, draft: Draft, now: Timestamp) -> Draft {
        let until = now + self.options.load().degradation.paused_for;
        match draft.payment.pause(until, now) {
            Ok(step) => draft.then(step),
            Err(_) => draft,
        }
    }

    /// Keeps an open payment until its feature goes on.
    ///
    /// # Errors
    /// When something of it may still be paid, or it is not open.
    pub(crate) async fn pause_payment(&self, id: PaymentId) -> Result<Payment, EngineError> {
        let until = self.now() + self.options.load().degradation.paused_for;
        self.change(id, None, |current, now| {
            if current.is_paused() {
                return Ok(None);
            }
            Ok(Some(Draft::of(current.pause(until, now)?)))
        })
        .await
    }

    /// Paused payments that may be released now, those that are due longest first; each is to
    /// be given to [`Engine::release_paused`]. To be called a few times a second.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn releasable(&self) -> Result<Vec<PaymentId>, EngineError> {
        let (options, now) = (self.options(), self.now());
        let rate = options.degradation.release_per_second;
        let allowed = self.trickle(|trickle| trickle.allows(rate, now));
        if allowed == 0 {
            return Ok(Vec::new());
        }
        let paused: Vec<Purpose> = {
            let controls = self.controls.load();
            let gates = controls.ladder.gates.iter().filter(|gate| now < gate.until);
            gates.map(|gate| gate.purpose).collect()
        };
        let mut ready = Vec::new();
        for id in self.parts.store.queue(&paused, allowed * LOOKED_AT).await? {
            if ready.len() == allowed {
                break;
            }
            let payment = self.parts.store.payment(id).await?;
            // Nothing is gained by a release into a channel that is out: it is released once.
            if payment.is_some_and(|p| self.would_be_taken(&p)) {
                ready.push(id);
            }
        }
        let now = self.now();
        self.trickle(|trickle| trickle.spend(ready.len(), rate, now));
        Ok(ready)
    }

    fn would_be_taken(&self, payment: &Payment) -> bool {
        let mut open = payment.clone();
        open.state = domain::PaymentState::Open;
        self.offer(&open).can_be_paid()
    }

    fn trickle<T>(&self, with: impl FnOnce(&mut Trickle) -> T) -> T {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        with(&mut rounds.release)
    }

    /// Lets a paused payment go on. A charge of a saved card is made at once, its intent in the
    /// same commit as the release; what a customer must act on is held for them. Cancelled,
    /// ended, released or paused again meanwhile: nothing happens (rule 9).
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn release_paused(&self, id: PaymentId) -> Result<Payment, EngineError> {
        let deadline = self.now() + self.options.load().request_deadline;
        let (mut call, mut since) = (None, 1);
        let payment = self
            .change(id, None, |current, now| {
                call = None;
                if self.gate(current).is_some() {
                    return Ok(None);
                }
                let Some(step) = current.release(now) else { return Ok(None) };
                let draft = Draft::of(step);
                if !is_charged_by_itself(&draft.payment) {
                    return Ok(Some(kept_for_customer(draft, now)));
                }
                since = u16::try_from(current.attempts.len() + 1).unwrap_or(u16::MAX);
                let (draft, next) = self.with_next_attempt(draft, since, None, deadline, now);
                call = next;
                Ok(Some(draft))
            })
            .await?;
        self.carry_on(payment, call, since, None, deadline).await
    }
}

fn is_charged_by_itself(payment: &Payment) -> bool {
    payment.terms.methods.iter().any(|m| payment.terms.flow(*m) == Flow::Direct)
}

/// The customer comes back through the order's link.
fn kept_for_customer(draft: Draft, now: Timestamp) -> Draft {
    let until = draft.payment.expires_at;
    match draft.payment.keep_order(until, HoldBy::Ladder, now) {
        Ok(Some(step)) => draft.then(step),
        _ => draft,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However often it is asked, however long the answer takes to be acted on and however
        /// the clock steps back: never more than the rate and one second's worth.
        #[test]
        fn the_rate_is_bounded(
            rate in 0.2_f64..50.0,
            steps in prop::collection::vec((-2_000_i64..5_000, 0_u64..3_000), 1..200),
        ) {
            let mut trickle = Trickle::default();
            let (mut at, mut forward, mut gone) = (Timestamp::from_secs(1_000_000), 0.0, 0);
            for (ms, slow_ms) in steps {
                at = if ms < 0 {
                    at - Duration::from_millis(ms.unsigned_abs())
                } else {
                    at + Duration::from_millis(ms.unsigned_abs())
                };
                let now = trickle.allows(rate, at);
                at = at + Duration::from_millis(slow_ms);
                forward += (ms.max(0) as u64 + slow_ms) as f64 / 1e3;
                trickle.spend(now, rate, at);
                gone += now;
                prop_assert!(gone as f64 <= forward * rate + rate.max(1.0) + 1e-6);
            }
        }
    }
}
