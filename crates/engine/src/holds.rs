//! Orders that are kept for customers who cannot pay now (rule 10): who holds them, and the
//! rounds that look for those to be held and those to be reminded.

use std::sync::PoisonError;
use std::time::Duration;

use domain::{HoldBy, HoldRefused, Level, MerchantId, Payment, PaymentId, Status, Timestamp};
use store::{AuditLine, Filter};

use crate::ladder::is_waited_for;
use crate::ledger::Draft;
use crate::paused::Trickle;
use crate::{Engine, EngineError};

/// Payments that one step of a round looks at.
const PAGE: usize = 50;

/// What is walked through step by step, so that no step takes long.
#[derive(Debug)]
pub(crate) struct Rounds {
    /// Looks for orders to hold, since the ladder went down.
    hold: Option<Walk>,
    /// Looks for customers to remind, since the ladder came up.
    remind: Option<Walk>,
    /// What paused work may be released now.
    pub(crate) release: Trickle,
}

impl Default for Rounds {
    /// After a start nobody knows what came up meanwhile.
    fn default() -> Self {
        Rounds { hold: None, remind: Some(Walk::default()), release: Trickle::default() }
    }
}

/// How far a round has come: newest first.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    before: Option<PaymentId>,
}

impl Engine {
    /// Keeps an order for its customer, for a while or the configured time. Held already: the
    /// payment as it is.
    ///
    /// # Errors
    /// When the payment is not open any more, may not be held, or not for so long.
    pub async fn hold(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
        lasts: Option<Duration>,
        by: HoldBy,
    ) -> Result<Payment, EngineError> {
        self.payment(merchant, id).await?;
        let degradation = &self.options().degradation;
        let lasts = lasts.unwrap_or(degradation.hold_for);
        if lasts > degradation.hold_max {
            return Err(too_long(degradation.hold_max));
        }
        let payment = self
            .change(id, None, |current, now| {
                Ok(current.keep_order(now + lasts, by.clone(), now)?.map(Draft::of))
            })
            .await?;
        if let HoldBy::Operator(by) = by {
            let (at, action) = (self.now(), format!("hold {id} for {} s", lasts.as_secs()));
            let reason = "asked for by staff".to_owned();
            self.parts.store.note(AuditLine { at, by, action, reason }).await?;
        }
        Ok(payment)
    }

    /// Keeps a held order for longer, by a person, whose reason goes to the audit log.
    ///
    /// # Errors
    /// When it is not held, ends later already, or would be held for longer than may be.
    pub async fn extend_hold(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
        until: Timestamp,
        (by, reason): (&str, &str),
    ) -> Result<Payment, EngineError> {
        self.payment(merchant, id).await?;
        let most = self.options().degradation.hold_max;
        let payment = self
            .change(id, None, |current, now| {
                let since = current.hold.as_ref().ok_or(HoldRefused::NotHeld)?.since;
                if until.since(since) > most {
                    return Err(too_long(most));
                }
                Ok(Some(Draft::of(current.keep_longer(until, now)?)))
            })
            .await?;
        let (by, reason) = (by.to_owned(), reason.to_owned());
        let action = format!("extend the hold of {id} until {}", until.as_secs());
        self.parts.store.note(AuditLine { at: self.now(), by, action, reason }).await?;
        Ok(payment)
    }

    /// The draft with its order kept, when nothing takes it and the ladder is that far down.
    pub(crate) fn kept_if_nothing_takes_it(&self, draft: Draft, now: Timestamp) -> Draft {
        let payment = &draft.payment;
        if payment.terms.is_synthetic() || is_waited_for(payment) || payment.is_held() {
            return draft;
        }
        let offer = self.offer(payment);
        if offer.level < Level::Held || offer.can_be_paid() {
            return draft;
        }
        let until = now + self.options().degradation.hold_for;
        match payment.keep_order(until, HoldBy::Ladder, now) {
            Ok(Some(step)) => draft.then(step),
            _ => draft,
        }
    }

    /// The ladder has moved somewhere.
    pub(crate) fn moved(&self, from: Level, to: Level) {
        let mut rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        if to >= Level::Held {
            rounds.hold = Some(Walk::default());
        }
        if to < from {
            rounds.remind = Some(Walk::default());
        }
    }

    /// One step of each round under way; to be called about every second.
    ///
    /// # Errors
    /// When the store does not answer; the step is made again by the next call.
    pub async fn go_round(&self) -> Result<(), EngineError> {
        let (hold, remind) = {
            let rounds = self.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            (rounds.hold, rounds.remind)
        };
        if let Some(walk) = hold {
            let next = self.hold_page(walk).await?;
            self.rounds.lock().unwrap_or_else(PoisonError::into_inner).hold = next;
        }
        if let Some(walk) = remind {
            let next = self.remind_page(walk).await?;
            self.rounds.lock().unwrap_or_else(PoisonError::into_inner).remind = next;
        }
        Ok(())
    }

    async fn hold_page(&self, walk: Walk) -> Result<Option<Walk>, EngineError> {
        let page = self.page(Status::Unavailable, walk).await?;
        for payment in &page {
            self.change(payment.id, None, |current, now| {
                let draft = Draft::unchanged(current);
                let draft = self.kept_if_nothing_takes_it(draft, now);
                Ok((draft.payment != *current).then_some(draft))
            })
            .await?;
        }
        Ok(after(&page))
    }

    async fn remind_page(&self, walk: Walk) -> Result<Option<Walk>, EngineError> {
        let page = self.page(Status::Held, walk).await?;
        for payment in &page {
            self.remind(payment.id).await?;
        }
        Ok(after(&page))
    }

    /// Has the customer of a held order told that it can be paid, if it can; once a hold.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn remind(&self, id: PaymentId) -> Result<Payment, EngineError> {
        self.change(id, None, |current, now| {
            let payable = self.offer(current).can_be_paid();
            Ok(payable.then(|| current.remind_of_recovery(now)).flatten().map(Draft::of))
        })
        .await
    }

    async fn page(&self, status: Status, walk: Walk) -> Result<Vec<Payment>, EngineError> {
        let filter = Filter {
            status: Some(status),
            before: walk.before,
            synthetic: Some(false),
            limit: PAGE,
            ..Filter::default()
        };
        Ok(self.parts.store.list(&filter).await?)
    }
}

fn after(page: &[Payment]) -> Option<Walk> {
    let last = page.last().filter(|_| page.len() == PAGE)?;
    Some(Walk { before: Some(last.id) })
}

fn too_long(most: Duration) -> EngineError {
    EngineError::TooLong { what: "a hold", max_s: most.as_secs() }
}
