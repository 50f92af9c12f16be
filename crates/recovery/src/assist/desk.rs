//! What staff do with a case.

use std::sync::Arc;

use arc_swap::ArcSwap;
use domain::{
    Blocked, ChannelId, Level, MerchantId, Method, Money, OfflineKind, OfflineRefused, Payment,
    PaymentId, Timestamp,
};
use engine::{Engine, EngineError, Entropy, Fresh, Way};
use store::{
    AssistBooks, AssistChange, AssistFilter, AssistLine, AssistTally, Case, CaseEnd, CaseState,
    Conflict, Opener, Taking,
};
use tokio::sync::Notify;

use super::work::{Counts, Step, counting, line};
use super::{AssistError, Limits};

/// Who does it, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The name of the person's key.
    pub by: String,
    /// Why, in that person's words.
    pub reason: String,
}

/// A wish for help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCase {
    /// With which payment.
    pub payment: PaymentId,
    /// Only if it is this merchant's.
    pub merchant: Option<MerchantId>,
    /// Who asks.
    pub opener: Opener,
    /// Who that is, and why.
    pub word: Word,
}

/// Money that staff took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTaking {
    /// How.
    pub kind: OfflineKind,
    /// The number of a till slip, a terminal's receipt or a cheque.
    pub reference: String,
    /// How much; the whole payment.
    pub money: Money,
    /// When; absent: now.
    pub taken_at: Option<Timestamp>,
}

/// Where a payment is to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayBy {
    /// To this channel; absent: the first that works with the method.
    pub channel: Option<ChannelId>,
    /// By this method; absent: the first of the payment's that the channel has.
    pub method: Option<Method>,
}

/// A case with everything that is known about its payment.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The case.
    pub case: Case,
    /// The payment, which is the truth.
    pub payment: Payment,
    /// What happened to the case, oldest first.
    pub history: Vec<AssistLine>,
    /// The ways in which it might be paid now.
    pub ways: Vec<Way>,
}

/// The desk as staff, merchants, customers and workers use it.
pub struct Desk {
    pub(super) books: Arc<dyn AssistBooks>,
    pub(super) engine: Arc<Engine>,
    pub(super) entropy: Arc<dyn Entropy>,
    limits: ArcSwap<Limits>,
    changed: Notify,
}

impl Desk {
    /// A desk over these books, for payments of this engine.
    pub fn new(
        books: Arc<dyn AssistBooks>,
        engine: Arc<Engine>,
        entropy: Arc<dyn Entropy>,
        limits: Limits,
    ) -> Desk {
        let limits = ArcSwap::from_pointee(limits);
        Desk { books, engine, entropy, limits, changed: Notify::new() }
    }

    /// The books, for reading.
    pub fn books(&self) -> &Arc<dyn AssistBooks> {
        &self.books
    }

    /// What staff may do.
    pub fn limits(&self) -> Arc<Limits> {
        self.limits.load_full()
    }

    /// Takes over limits of a changed configuration. What was proposed is judged again by them
    /// only where it is to be recorded.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    /// Opens a case. Asked again, it is the same case.
    ///
    /// # Errors
    /// When there is no such payment, it has ended, or the desk does not help its customer.
    pub async fn open(&self, new: &NewCase) -> Result<(Case, Fresh), AssistError> {
        let payment = self.payment(new.payment).await?;
        if payment.terms.is_synthetic()
            || new.merchant.as_ref().is_some_and(|m| *m != payment.merchant)
        {
            return Err(EngineError::NotFound.into());
        }
        // Two who ask at once: one of them opens it, and both get it.
        for _ in 0..2 {
            if let Some(known) = self.books.assist_of(payment.id).await? {
                let case = counting(known.case, self.engine.now());
                return Ok((case, Fresh::Replayed));
            }
            if has_ended(&payment) {
                return Err(AssistError::Ended(payment.id, payment.status().name()));
            }
            if !self.limits().helps(payment.terms.tier) {
                return Err(AssistError::NotVip);
            }
            if let Some(case) = self.opened(&payment, new).await? {
                self.changed.notify_waiters();
                return Ok((case, Fresh::New));
            }
        }
        Err(AssistError::Busy)
    }

    /// `None` when somebody else has opened one meanwhile.
    async fn opened(&self, payment: &Payment, new: &NewCase) -> Result<Option<Case>, AssistError> {
        let now = self.engine.now();
        let case = Case {
            id: format!("as_{}", self.entropy.uuid(now).simple()),
            payment: payment.id,
            merchant: payment.merchant.clone(),
            tier: payment.terms.tier,
            money: payment.money,
            opened_at: now,
            opener: new.opener,
            opened_by: new.word.by.clone(),
            reason: new.word.reason.clone(),
            state: CaseState::Open,
        };
        let change = AssistChange {
            id: self.entropy.uuid(now),
            expected_version: 0,
            case: case.clone(),
            tally: None,
            lines: vec![line("opened", &new.word, now)],
            at: now,
        };
        match self.commit(change).await? {
            Ok(()) => {
                metrics::counter!("evergate_assist_opened_total", "by" => new.opener.name())
                    .increment(1);
                Ok(Some(case))
            }
            Err(Conflict::KeyTaken) => Ok(None),
            Err(_) => Err(AssistError::Busy),
        }
    }

    /// The customer asks for help on the checkout page. Asked again, it is the same case.
    ///
    /// # Errors
    /// See [`Desk::open`]; and when help is not offered for the payment now.
    pub async fn ask(&self, payment: PaymentId) -> Result<(Case, Fresh), AssistError> {
        let known = self.books.assist_of(payment).await?;
        if known.is_none() && !self.offers(&self.payment(payment).await?) {
            return Err(AssistError::NotOffered);
        }
        let reason = "asked on the checkout page".to_owned();
        let word = Word { by: "customer".to_owned(), reason };
        self.open(&NewCase { payment, merchant: None, opener: Opener::Customer, word }).await
    }

    /// Whether the customer of a payment may ask for help: the ladder has come down that far, and
    /// the desk helps such customers.
    pub fn offers(&self, payment: &Payment) -> bool {
        let is_low = self.engine.offer(payment).level >= Level::Assisted;
        is_low && self.limits().helps(payment.terms.tier)
    }

    /// Cases as they count now.
    ///
    /// # Errors
    /// When the books cannot be read.
    pub async fn list(&self, filter: &AssistFilter) -> Result<Vec<Case>, AssistError> {
        let now = self.engine.now();
        let kept = self.books.assist_list(filter).await?;
        Ok(kept.into_iter().map(|kept| counting(kept.case, now)).collect())
    }

    /// A case with everything that is known, brought up to date with its payment first.
    ///
    /// # Errors
    /// When there is no such case, or the books cannot be read.
    pub async fn see(&self, id: &str) -> Result<Seen, AssistError> {
        let case = match self.settle(id).await {
            // What cannot be settled now can be seen all the same.
            Err(AssistError::Engine(error)) => {
                tracing::warn!(case = id, %error, "a case is settled later");
                self.case(id).await?
            }
            settled => settled?,
        };
        let payment = self.payment(case.payment).await?;
        let history = self.books.assist_history(id).await?;
        let ways = if has_ended(&payment) { Vec::new() } else { self.engine.ways(&payment) };
        Ok(Seen { case, payment, history, ways })
    }

    /// Takes a case from the queue. Its taker may take it again, which renews the time.
    ///
    /// # Errors
    /// When another has it, it waits for a second person, or it is closed.
    pub async fn take(&self, id: &str, word: &Word) -> Result<Case, AssistError> {
        self.settle(id).await?;
        let lease = self.limits().lease;
        self.change(id, None, |case, _, now| {
            let taken = CaseState::Taken { by: word.by.clone(), since: now, until: now + lease };
            match &case.state {
                CaseState::Open => Ok(Some(Step::to(taken, "taken", word, now))),
                CaseState::Taken { by, .. } if *by == word.by => {
                    Ok(Some(Step { state: taken, tally: None, line: None }))
                }
                state => Err(wrong(state, "open")),
            }
        })
        .await
    }

    /// Puts a case back into the queue.
    ///
    /// # Errors
    /// When another has it, it waits for a second person, or it is closed.
    pub async fn give_back(&self, id: &str, word: &Word) -> Result<Case, AssistError> {
        self.change(id, None, |case, _, now| match &case.state {
            CaseState::Open => Ok(None),
            CaseState::Taken { by, .. } if *by == word.by => {
                Ok(Some(Step::to(CaseState::Open, "given back", word, now)))
            }
            state => Err(wrong(state, "taken by you")),
        })
        .await
    }

    /// Adds a note, in whatever state the case is.
    ///
    /// # Errors
    /// When there is no such case.
    pub async fn note(&self, id: &str, word: &Word) -> Result<Case, AssistError> {
        self.change(id, None, |case, _, now| {
            Ok(Some(Step::to(case.state.clone(), "noted", word, now)))
        })
        .await
    }

    /// Sends the payment to a channel: a code, a link or an account that staff pass on to the
    /// customer, or a charge of the instrument that the merchant saved. What was shown before is
    /// closed first (rule 5).
    ///
    /// # Errors
    /// When the caller does not have the case, no channel takes it so, the payment has ended, or
    /// a charge may have happened (rule 3).
    pub async fn pay_by(&self, id: &str, by: &PayBy, word: &Word) -> Result<Case, AssistError> {
        let payment = self.held(id, word).await?;
        let way = self.way(&payment, by)?;
        let lease = self.limits().lease;
        let action = format!("sent to {} by {}", way.channel, way.method);
        // Said before it is done, and the time is the holder's again (rules 1 and 12).
        self.change(id, None, |case, _, now| match &case.state {
            CaseState::Taken { by, since, .. } if *by == word.by => {
                let (by, since) = (by.clone(), *since);
                let state = CaseState::Taken { by, since, until: now + lease };
                Ok(Some(Step::to(state, &action, word, now)))
            }
            state => Err(wrong(state, "taken by you")),
        })
        .await?;
        let why = format!("chosen by {} for case {id}", word.by);
        self.engine.switch_to(payment.id, &way.channel, Some(way.method), &why).await?;
        self.settle(id).await
    }

    /// The way that is meant: the first that works, or else the first that is not barred.
    fn way(&self, payment: &Payment, by: &PayBy) -> Result<Way, AssistError> {
        let others = self.limits().other_methods;
        let fits = |way: &Way| {
            (way.named || others)
                && by.channel.as_ref().is_none_or(|c| *c == way.channel)
                && by.method.is_none_or(|m| m == way.method)
        };
        let ways: Vec<Way> = self.engine.ways(payment).into_iter().filter(fits).collect();
        let best = ways.iter().find(|way| way.works());
        let best = best.or_else(|| ways.iter().find(|way| way.barred.is_none())).cloned();
        best.ok_or_else(|| {
            let barred = ways.iter().filter_map(|w| Some((&w.channel, w.barred.as_ref()?)));
            let why: String = barred.map(|(c, why)| format!("; {c} {why}")).collect();
            let method = by.method.or(payment.terms.methods.first().copied());
            let method = method.unwrap_or(Method::Card);
            EngineError::NoChannel { method, money: payment.money, why }.into()
        })
    }

    /// Says that money was taken outside any channel. Below the amount from which two people
    /// must agree it is recorded at once; else it waits for [`Desk::approve`]. The same again is
    /// the same money (rule 8).
    ///
    /// # Errors
    /// When the caller does not have the case, the money is beyond a limit, its reference pays
    /// another payment, the payment has ended, or a charge may have happened (rule 3).
    pub async fn offline(
        &self,
        id: &str,
        new: &NewTaking,
        word: &Word,
    ) -> Result<Case, AssistError> {
        if let Some(known) = self.same(id, new, word).await? {
            return Ok(known);
        }
        let payment = self.held(id, word).await?;
        let limits = self.limits();
        limits.allow(new.kind, new.money)?;
        may_take(&payment, new.money, self.engine.now())?;
        let counts = Counts { by: &word.by, currency: new.money.currency() };
        let case = self
            .change(id, Some(counts), |case, tally, now| {
                held_by(case, word)?;
                let taken = taking(new, word, now);
                let tally = limits.count(&word.by, tally, id, new.money, now)?;
                let (kind, reference) = (new.kind.name(), &new.reference);
                let action = format!("{} taken: {kind} {reference}", new.money);
                let state = if limits.needs_two(new.money) {
                    CaseState::Proposed { taken }
                } else {
                    CaseState::Recording { taken, agreed: None, at: now }
                };
                Ok(Some(Step { tally: Some(tally), ..Step::to(state, &action, word, now) }))
            })
            .await?;
        self.recorded(case).await
    }

    /// The case when this very money was said before: a request that is sent again.
    async fn same(
        &self,
        id: &str,
        new: &NewTaking,
        word: &Word,
    ) -> Result<Option<Case>, AssistError> {
        let case = self.case(id).await?;
        let is_same = |taken: &Taking| {
            taken.by == word.by
                && (taken.kind, &taken.reference, taken.money)
                    == (new.kind, &new.reference, new.money)
        };
        match case.state.taking().is_some_and(is_same) {
            true => Ok(Some(self.recorded(case).await?)),
            false => Ok(None),
        }
    }

    /// Agrees to what another person took, and records it.
    ///
    /// # Errors
    /// When nothing is proposed, it was the same person (rule 12), or the payment does not take
    /// it any more.
    pub async fn approve(&self, id: &str, word: &Word) -> Result<Case, AssistError> {
        self.settle(id).await?;
        let limits = self.limits();
        let case = self
            .change(id, None, |case, _, now| {
                let CaseState::Proposed { taken } = &case.state else {
                    return Err(wrong(&case.state, "proposed"));
                };
                if taken.by == word.by {
                    return Err(AssistError::SamePerson(taken.by.clone()));
                }
                limits.allow(taken.kind, taken.money)?;
                let (taken, agreed) = (taken.clone(), Some(word.by.clone()));
                let state = CaseState::Recording { taken, agreed, at: now };
                Ok(Some(Step::to(state, "agreed", word, now)))
            })
            .await?;
        self.recorded(case).await
    }

    /// Refuses what was proposed: the case is its proposer's again, who hands the money back.
    /// The proposer may take it back like this.
    ///
    /// # Errors
    /// When nothing is proposed.
    pub async fn reject(&self, id: &str, word: &Word) -> Result<Case, AssistError> {
        let case = self.case(id).await?;
        let CaseState::Proposed { taken } = &case.state else {
            return Err(wrong(&case.state, "proposed"));
        };
        self.take_back(id, taken, "refused", word).await
    }

    /// Ends a case because the customer does not want help any more. The payment goes on as it
    /// is.
    ///
    /// # Errors
    /// When another has it, it waits for a second person, or it is closed.
    pub async fn close(&self, id: &str, word: &Word) -> Result<Case, AssistError> {
        self.settle(id).await?;
        self.change(id, None, |case, _, now| {
            match &case.state {
                CaseState::Open => {}
                CaseState::Taken { by, .. } if *by == word.by => {}
                state => return Err(wrong(state, "open, or taken by you")),
            }
            let end = CaseEnd::GaveUp { why: word.reason.clone() };
            let state = CaseState::Closed { end, by: word.by.clone(), at: now };
            Ok(Some(Step::to(state, "closed", word, now)))
        })
        .await
        .inspect(ended)
    }

    /// Notes that offline money of a payment went back to its customer, or cannot. Said twice,
    /// it is done once.
    ///
    /// # Errors
    /// When there is no such refund of offline money.
    pub async fn refunded(
        &self,
        payment: PaymentId,
        refund: u16,
        done: Result<(), domain::Fault>,
        word: &Word,
    ) -> Result<Payment, AssistError> {
        let known = self.payment(payment).await?;
        let waits = known
            .refund(refund)
            .is_some_and(|r| matches!(r.progress, domain::RefundProgress::ByHand { .. }));
        if waits && let Some(id) = self.case_of_money(payment).await? {
            let action = match &done {
                Ok(()) => format!("refund {refund} given back"),
                Err(_) => format!("refund {refund} cannot be given back"),
            };
            // Said before it is done (rule 12).
            self.change(&id, None, |case, _, now| {
                Ok(Some(Step::to(case.state.clone(), &action, word, now)))
            })
            .await?;
        }
        Ok(self.engine.refunded_by_hand(payment, refund, done).await?)
    }

    /// The case in which a payment's offline money was recorded.
    async fn case_of_money(&self, payment: PaymentId) -> Result<Option<String>, AssistError> {
        let filter = AssistFilter {
            states: Vec::new(),
            payment: Some(payment),
            newest_first: true,
            ..AssistFilter::queue()
        };
        let kept = self.books.assist_list(&filter).await?;
        Ok(kept.into_iter().map(|k| k.case).find(|c| c.state.taking().is_some()).map(|c| c.id))
    }

    /// The payment of a case that the caller holds, after a look at whether it is still so.
    async fn held(&self, id: &str, word: &Word) -> Result<Payment, AssistError> {
        let case = self.settle(id).await?;
        held_by(&case, word)?;
        self.payment(case.payment).await
    }

    pub(super) async fn case(&self, id: &str) -> Result<Case, AssistError> {
        let kept = self.books.assist_case(id).await?.ok_or(AssistError::NotFound)?;
        Ok(counting(kept.case, self.engine.now()))
    }

    pub(super) async fn payment(&self, id: PaymentId) -> Result<Payment, AssistError> {
        let found = self.engine.store().payment(id).await?;
        found.ok_or_else(|| EngineError::NotFound.into())
    }

    /// Takes a taking off a case: it is the taker's to work on again, and counts for nothing.
    pub(super) async fn take_back(
        &self,
        id: &str,
        taken: &Taking,
        action: &str,
        word: &Word,
    ) -> Result<Case, AssistError> {
        let lease = self.limits().lease;
        let counts = Counts { by: &taken.by, currency: taken.money.currency() };
        self.change(id, Some(counts), |case, tally, now| {
            if case.state.taking() != Some(taken) || case.is_closed() {
                return Err(wrong(&case.state, "proposed"));
            }
            let state = CaseState::Taken { by: taken.by.clone(), since: now, until: now + lease };
            let tally = Some(without(tally, id));
            Ok(Some(Step { tally, ..Step::to(state, action, word, now) }))
        })
        .await
    }
}

/// A tally without what a case counted in it.
pub(super) fn without(mut tally: AssistTally, case: &str) -> AssistTally {
    tally.sums.retain(|sum| sum.case != case);
    tally
}

fn taking(new: &NewTaking, word: &Word, now: Timestamp) -> Taking {
    Taking {
        kind: new.kind,
        reference: new.reference.clone(),
        money: new.money,
        taken_at: new.taken_at.unwrap_or(now).min(now),
        by: word.by.clone(),
        reason: word.reason.clone(),
        at: now,
    }
}

/// Whether the payment would take money from a hand, so that staff learn it before they take
/// any. What is shown is no obstacle: recording closes it first.
pub(super) fn may_take(payment: &Payment, money: Money, now: Timestamp) -> Result<(), AssistError> {
    let refused = match payment.may_take_offline(now) {
        Err(OfflineRefused::Blocked(Blocked::StillShown(_))) | Ok(()) => {
            let (stated, asked) = (money, payment.money);
            (stated != asked).then_some(OfflineRefused::Amount { stated, asked })
        }
        Err(refused) => Some(refused),
    };
    refused.map_or(Ok(()), |refused| Err(EngineError::OfflineRefused(refused).into()))
}

fn held_by(case: &Case, word: &Word) -> Result<(), AssistError> {
    match &case.state {
        CaseState::Taken { by, .. } if *by == word.by => Ok(()),
        state => Err(wrong(state, "taken by you")),
    }
}

fn wrong(state: &CaseState, wanted: &'static str) -> AssistError {
    let is = match state {
        CaseState::Taken { by, .. } => format!("taken by {by}"),
        CaseState::Proposed { taken } => format!("proposed by {}, for a second person", taken.by),
        CaseState::Closed { end, by, .. } => format!("closed by {by} as {}", end.name()),
        state => state.name().to_owned(),
    };
    AssistError::WrongState { is, wanted }
}

pub(super) fn has_ended(payment: &Payment) -> bool {
    !payment.may_go_on()
}

/// Counts the end of a case.
pub(super) fn ended(case: &Case) {
    if let CaseState::Closed { end, .. } = &case.state {
        metrics::counter!("evergate_assist_closed_total", "end" => end.name()).increment(1);
    }
}
