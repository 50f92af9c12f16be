//! Cases follow their payments: what was recorded reaches the payment's books, and a case whose
//! payment ended by itself ends with it. Everything here may be done again by anyone, and after
//! a death at any commit is done by whoever looks next.

use domain::{Level, Offline, OfflineRefused, Payment, PaymentState, Status};
use engine::EngineError;
use store::{AssistFilter, Case, CaseEnd, CaseState, Filter, Opener, Taking};

use super::desk::{ended, has_ended, without};
use super::work::{Counts, OURSELVES, Step, ourselves};
use super::{AssistError, Desk, NewCase, Word};

/// Payments in one state that a look at them reads, the newest first.
const PAGE: usize = 500;

impl Desk {
    /// Brings a case up to date with its payment, and finishes what was left half done.
    ///
    /// # Errors
    /// When there is no such case, or the books do not answer; it is tried again by whoever looks
    /// next.
    pub async fn settle(&self, id: &str) -> Result<Case, AssistError> {
        let kept = self.books.assist_case(id).await?.ok_or(AssistError::NotFound)?;
        let case = kept.case;
        if case.is_closed() {
            return Ok(case);
        }
        if matches!(case.state, CaseState::Recording { .. }) {
            return match self.recorded(case).await {
                // The money is its taker's to hand back or to record again; that was said.
                Err(AssistError::Engine(EngineError::OfflineRefused(_))) => self.case(id).await,
                recorded => recorded,
            };
        }
        let payment = self.payment(case.payment).await?;
        if has_ended(&payment) {
            return self.end_with(&case, &payment).await;
        }
        let now = self.engine.now();
        match &case.state {
            CaseState::Taken { by, until, .. } if *until <= now => {
                let word = ourselves(&format!("{by} let the time pass"));
                self.change(id, None, |case, _, now| match case.state {
                    CaseState::Open => {
                        Ok(Some(Step::to(CaseState::Open, "given back", &word, now)))
                    }
                    _ => Ok(None),
                })
                .await
            }
            _ => Ok(case),
        }
    }

    /// Brings every case that is not closed up to date. How many there were.
    ///
    /// # Errors
    /// When the books cannot be read; a case that cannot be settled is left for the next time.
    pub async fn sweep(&self) -> Result<usize, AssistError> {
        self.open_by_ladder().await?;
        let cases = self.books.assist_list(&AssistFilter::queue()).await?;
        for kept in &cases {
            if let Err(error) = self.settle(&kept.case.id).await {
                tracing::warn!(case = %kept.case.id, %error, "a case is settled later");
            }
        }
        Ok(cases.len())
    }

    /// Opens a case for each payment that the ladder has brought down to the help of staff: its
    /// customer is of such a tier, and nothing takes it. Once a payment: what staff have closed
    /// stays closed.
    async fn open_by_ladder(&self) -> Result<(), AssistError> {
        let (controls, now) = (self.engine.controls(), self.engine.now());
        if !controls.ladder.in_force(now).any(|d| d.level >= Level::Assisted) {
            return Ok(());
        }
        for status in [Status::Unavailable, Status::Held] {
            let filter = Filter {
                status: Some(status),
                synthetic: Some(false),
                limit: PAGE,
                ..Filter::default()
            };
            for payment in self.engine.store().list(&filter).await? {
                if self.offers(&payment) && !self.engine.offer(&payment).can_be_paid() {
                    self.open_once(&payment).await?;
                }
            }
        }
        Ok(())
    }

    async fn open_once(&self, payment: &Payment) -> Result<(), AssistError> {
        let filter = AssistFilter {
            states: Vec::new(),
            payment: Some(payment.id),
            limit: 1,
            ..AssistFilter::queue()
        };
        if !self.books.assist_list(&filter).await?.is_empty() {
            return Ok(());
        }
        let word = ourselves("nothing takes this payment");
        let new = NewCase { payment: payment.id, merchant: None, opener: Opener::Ladder, word };
        match self.open(&new).await {
            Ok(_) | Err(AssistError::Ended(..)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Books what a case says was taken in the payment's own books, and closes the case by what
    /// they say. Does nothing for a case that records nothing.
    pub(super) async fn recorded(&self, case: Case) -> Result<Case, AssistError> {
        let CaseState::Recording { taken, agreed, .. } = &case.state else { return Ok(case) };
        let offline = Offline {
            kind: taken.kind,
            reference: taken.reference.clone(),
            money: taken.money,
            taken_at: taken.taken_at,
            said: said(taken, agreed.as_deref()),
        };
        match self.engine.record_offline(case.payment, &offline).await {
            Ok(payment) => self.end_with(&case, &payment).await,
            Err(EngineError::OfflineRefused(refused)) => self.refused(&case, taken, refused).await,
            // Not done, or not known: whoever looks next goes on from here.
            Err(error) => Err(error.into()),
        }
    }

    /// The payment did not take the money: it was paid or ended otherwise, or what stands in the
    /// way may pass.
    async fn refused(
        &self,
        case: &Case,
        taken: &Taking,
        refused: OfflineRefused,
    ) -> Result<Case, AssistError> {
        if matches!(refused, OfflineRefused::Paid { .. } | OfflineRefused::Ended(_)) {
            let payment = self.payment(case.payment).await?;
            if has_ended(&payment) {
                return self.end_with(case, &payment).await;
            }
        }
        let word = ourselves(&refused.to_string());
        self.take_back(&case.id, taken, "not recorded", &word).await?;
        Err(EngineError::OfflineRefused(refused).into())
    }

    /// Closes a case as its payment has ended. Offline money that did not pay it is to be handed
    /// back, and counts for nothing.
    async fn end_with(&self, case: &Case, payment: &Payment) -> Result<Case, AssistError> {
        let (end, word) = end(&case.state, payment);
        let unused = end.hand_back().cloned();
        let counts =
            unused.as_ref().map(|taken| Counts { by: &taken.by, currency: taken.money.currency() });
        let before = case.state.clone();
        let closed = self
            .change(&case.id, counts, |case, tally, now| {
                if case.is_closed() {
                    return Ok(None);
                }
                // Somebody was faster and said something of money: decide again from that.
                if case.state.taking() != before.taking() {
                    return Err(AssistError::Busy);
                }
                let (end, by) = (end.clone(), OURSELVES.to_owned());
                let state = CaseState::Closed { end, by, at: now };
                let tally = unused.is_some().then(|| without(tally, &case.id));
                Ok(Some(Step { tally, ..Step::to(state, "closed", &word, now) }))
            })
            .await?;
        ended(&closed);
        Ok(closed)
    }
}

/// How a case ends with its payment, and why.
fn end(state: &CaseState, payment: &Payment) -> (CaseEnd, Word) {
    let taken = state.taking();
    let PaymentState::Paid { ordinal, .. } = payment.state else {
        let status = payment.status();
        let why = format!("the payment has ended as {}", status.name());
        return (CaseEnd::Ended { status, hand_back: taken.cloned() }, told(&why, taken));
    };
    let paying = payment.attempt(ordinal);
    let is_it = |taken: &&Taking| {
        let booked = payment.offline_attempt(&taken.reference);
        booked.is_some_and(|attempt| attempt.ordinal == ordinal)
    };
    if let (Some(taken), CaseState::Recording { agreed, .. }) = (taken.filter(is_it), state) {
        let end = CaseEnd::Offline { taken: taken.clone(), agreed: agreed.clone() };
        return (end, ourselves("the money is in the payment's books"));
    }
    let channel = paying.map_or_else(domain::offline_channel, |a| a.channel.clone());
    let method = paying.map_or(domain::Method::Offline, |a| a.method);
    let why = format!("the payment is paid on {channel}");
    (CaseEnd::Paid { channel, method, hand_back: taken.cloned() }, told(&why, taken))
}

/// What the history says, with a word on money that is nobody's now.
fn told(why: &str, taken: Option<&Taking>) -> Word {
    match taken {
        None => ourselves(why),
        Some(taken) => {
            let Taking { kind, reference, money, by, .. } = taken;
            ourselves(&format!(
                "{why}; hand back {money} that {by} took ({} {reference})",
                kind.name()
            ))
        }
    }
}

/// Who said it, for the attempt's record.
fn said(taken: &Taking, agreed: Option<&str>) -> String {
    match agreed {
        Some(agreed) => format!("taken by {}, agreed by {agreed}", taken.by),
        None => format!("taken by {}", taken.by),
    }
}
