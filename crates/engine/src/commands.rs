//! What merchants and operators may ask of the engine, and why it may refuse.

use std::time::Duration;

use domain::{
    Answer, Ask, Attempt, AttemptState, Blocked, ChannelId, Considered, Fact, Fault, Flow,
    HoldRefused, Illegal, MerchantId, Method, Money, Notice, NoticeKind, Order, OrderNo, Outcome,
    Payment, PaymentId, PaymentState, ProviderOrderNo, Purpose, RefundRefused, Review, Status,
    Task, Terms, Timestamp,
};
use resilience::Candidate;
use store::{Conflict, RequestRecord, StoreError};

use crate::engine::UnderWay;
use crate::ledger::{Committed, Draft};
use crate::options::Ask as Asked;
use crate::paused::paused_fault;
use crate::routing::{Next, Route};
use crate::{Engine, Options};

/// A wish to collect. Texts are checked where they come in; the engine checks what needs the
/// channels: methods, currency, amount and expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPayment {
    /// Who collects.
    pub merchant: MerchantId,
    /// The merchant's order number.
    pub order: OrderNo,
    /// How much.
    pub money: Money,
    /// What else.
    pub terms: Terms,
    /// How long it lives; the default when absent.
    pub expires_in: Option<Duration>,
}

/// An idempotency key and a digest of the request that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// The key.
    pub key: String,
    /// The digest: the same key with another one is refused.
    pub fingerprint: Vec<u8>,
}

/// Whether a command made something or met what was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fresh {
    /// Made now.
    New,
    /// Was there: the same request was made before.
    Replayed,
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No such payment of this merchant.
    #[error("there is no such payment")]
    NotFound,
    /// The order number belongs to a payment with other terms.
    #[error("the order number belongs to payment {0}, which asks for something else")]
    OrderConflict(PaymentId),
    /// The idempotency key was used with another request.
    #[error("the idempotency key was used before with another request")]
    KeyConflict,
    /// No channel takes a method in this currency, amount and time.
    #[error("no channel takes {method} for {money}{why}")]
    NoChannel {
        /// The method.
        method: Method,
        /// The amount.
        money: Money,
        /// What the channels of the method say, each after a `; `; empty when there is none.
        why: String,
    },
    /// The expiry is outside the allowed range.
    #[error("a payment must live between {min_s} and {max_s} seconds")]
    Expiry {
        /// The shortest, in seconds.
        min_s: u64,
        /// The longest, in seconds.
        max_s: u64,
    },
    /// A purpose that the configuration does not name.
    #[error("no purpose `{0}` is configured")]
    NoSuchPurpose(Purpose),
    /// An attempt may not be started now.
    #[error("{0}")]
    Blocked(#[from] Blocked),
    /// The refund is refused.
    #[error("{0}")]
    RefundRefused(#[from] RefundRefused),
    /// Offline money is not recorded.
    #[error("{0}")]
    OfflineRefused(#[from] domain::OfflineRefused),
    /// The payment has ended.
    #[error("the payment has ended as {}", .0.name())]
    Ended(Status),
    /// The order is not held, or not longer.
    #[error("{0}")]
    HoldRefused(#[from] HoldRefused),
    /// A hold or a pause would last longer than it may.
    #[error("{what} may last at most {max_s} seconds")]
    TooLong {
        /// What would.
        what: &'static str,
        /// The longest, in seconds.
        max_s: u64,
    },
    /// What was to end by itself would have ended already.
    #[error("the end must be in the future")]
    EndPassed,
    /// Nothing is set that could be lifted.
    #[error("nobody has moved this scope; what the policy sets comes up by itself")]
    NotMoved,
    /// A notification does not fit its attempt (rule 7).
    #[error("the notification does not fit its payment: {0}")]
    Misfit(String),
    /// There is no such channel.
    #[error("there is no channel of this name")]
    NoSuchChannel,
    /// There is no such planned absence among those that operators stated.
    #[error("no operator stated a planned absence of this id")]
    NoSuchMaintenance,
    /// The payment changed again and again while the command was tried.
    #[error("the payment is busy; try again")]
    Busy,
    /// The store did not do it.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The store cannot say whether it did it; it will be settled by itself.
    #[error("the store did not answer in time; ask for the payment again before you repeat this")]
    CommitUnknown,
}

impl Engine {
    /// Makes a payment and takes it as far as it goes by itself: to a code that the customer
    /// can pay, to money captured, or to a refusal; failing over among channels within
    /// [`Options::request_deadline`](crate::Options). The same request again gives the same
    /// payment (rule 8).
    ///
    /// # Errors
    /// See [`EngineError`]. A payment that no channel would take is no error: it stays open,
    /// with the status `unavailable`.
    pub async fn create(
        &self,
        wish: NewPayment,
        key: Option<KeyedRequest>,
    ) -> Result<(Payment, Fresh), EngineError> {
        self.check(&wish)?;
        let now = self.now();
        let options = self.options();
        let expires_at = now + self.life(&wish);
        let id = PaymentId::from_uuid(self.parts.entropy.uuid(now));
        let new = Payment::open(
            id,
            (wish.merchant.clone(), wish.order.clone()),
            wish.money,
            wish.terms.clone(),
            now,
            expires_at,
        );
        let deadline = now + options.request_deadline;
        let mut draft = Draft::of(new);
        draft.payment.expiry_fixed = wish.expires_in.is_some();
        draft.request = key.as_ref().map(|k| record(&wish.merchant, k, id, None, now));
        let (draft, call) = self.with_next_attempt(draft, 1, None, deadline, now);
        let draft = self.kept_if_nothing_takes_it(draft, now);
        let under_way = UnderWay::new(self, id);
        match self.commit(draft, 0, None, now).await? {
            Committed::Done(payment) => {
                let payment = self.carry_on(payment, call, 1, None, deadline).await?;
                drop(under_way);
                Ok((payment, Fresh::New))
            }
            Committed::Refused(conflict) => {
                drop(under_way);
                let payment = self.replay(&wish, key.as_ref(), conflict).await?;
                self.quiet(payment.id).await;
                let payment = self.parts.store.payment(payment.id).await?.unwrap_or(payment);
                Ok((payment, Fresh::Replayed))
            }
        }
    }

    fn check(&self, wish: &NewPayment) -> Result<(), EngineError> {
        let options = self.options.load();
        if !options.knows(wish.terms.purpose) {
            return Err(EngineError::NoSuchPurpose(wish.terms.purpose));
        }
        let (min, mut max) = options.expiry_range;
        if wish.terms.purpose.is_by_itself() {
            // Nobody waits in front of a screen: the merchant's deadline may be days away.
            max = max.max(options.degradation.paused_max);
        }
        match wish.expires_in {
            Some(asked) if asked < min || asked > max => {
                return Err(EngineError::Expiry { min_s: min.as_secs(), max_s: max.as_secs() });
            }
            _ => {}
        }
        no_channel(&wish.terms, wish.money, self.life(wish), &options).map_or(Ok(()), Err)
    }

    fn life(&self, wish: &NewPayment) -> Duration {
        wish.expires_in.unwrap_or(self.options.load().default_expiry)
    }

    /// The payment that an earlier, equal request made.
    async fn replay(
        &self,
        wish: &NewPayment,
        key: Option<&KeyedRequest>,
        conflict: Conflict,
    ) -> Result<Payment, EngineError> {
        let id = match (conflict, key) {
            (Conflict::KeyTaken, Some(key)) => {
                let known = self.parts.store.request(&wish.merchant, &key.key).await?;
                let known = known.ok_or(EngineError::Busy)?;
                if known.fingerprint != key.fingerprint {
                    return Err(EngineError::KeyConflict);
                }
                known.payment
            }
            (Conflict::OrderTaken(id), _) => id,
            _ => return Err(EngineError::Busy),
        };
        let payment = self.parts.store.payment(id).await?.ok_or(EngineError::Busy)?;
        let same = payment.order == wish.order
            && payment.money == wish.money
            && payment.terms == wish.terms;
        if same { Ok(payment) } else { Err(EngineError::OrderConflict(id)) }
    }

    /// Makes another attempt of an open payment: the customer goes to another method, or tries
    /// again after nothing was available. What was shown is closed first (rule 5).
    ///
    /// # Errors
    /// When the payment has ended, or a charge may have happened and is being confirmed.
    pub async fn switch(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
        method: Option<Method>,
    ) -> Result<Payment, EngineError> {
        let payment = self.payment(merchant, id).await?;
        if let Some(method) = method
            && !payment.terms.methods.contains(&method)
            && !self.offer(&payment).lends(method)
        {
            let why = "; the payment does not allow it".to_owned();
            return Err(EngineError::NoChannel { method, money: payment.money, why });
        }
        if self.gate(&payment).is_some() {
            return self.pause_payment(id).await;
        }
        self.quiet(id).await;
        let _under_way = UnderWay::new(self, id);
        let deadline = self.now() + self.options.load().request_deadline;
        let payment = self.close_shown(id, Fact::SwitchAsked, deadline).await?;
        if payment.state != PaymentState::Open {
            return Ok(payment); // The customer was faster: "already paid" settles it.
        }
        let since = u16::try_from(payment.attempts.len() + 1).unwrap_or(u16::MAX);
        let mut call = None;
        let payment = self
            .change(id, None, |current, now| {
                current.may_attempt(Flow::Presented, now)?;
                let draft = Draft::unchanged(current);
                let (draft, next) = self.with_next_attempt(draft, since, method, deadline, now);
                call = next;
                Ok((draft.payment != *current).then_some(draft))
            })
            .await?;
        self.carry_on(payment, call, since, method, deadline).await
    }

    /// Cancels a payment: closes what may still be paid, then ends it. A customer who was
    /// faster has paid; the payment then says so.
    ///
    /// # Errors
    /// When the payment has ended otherwise.
    pub async fn cancel(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
    ) -> Result<Payment, EngineError> {
        self.payment(merchant, id).await?;
        let deadline = self.now() + self.options.load().request_deadline;
        self.close_shown(id, Fact::CancelAsked, deadline).await
    }

    /// Applies a fact that closes attempts, and performs the closes at once instead of leaving
    /// them to a worker, so that the answer tells how it went.
    pub(crate) async fn close_shown(
        &self,
        id: PaymentId,
        fact: Fact,
        deadline: Timestamp,
    ) -> Result<Payment, EngineError> {
        let options = self.options();
        let mut payment = self
            .change(id, None, |current, now| {
                let step = current.apply(fact.clone(), now, &options.policy).map_err(illegal)?;
                Ok((step.payment != *current).then(|| Draft::of(step)))
            })
            .await?;
        // Each attempt: a close, and a question when the close is no proof by itself.
        for _ in 0..4 {
            let now = self.now();
            let Some(task) = soonest_close(&payment, now) else { break };
            if now >= deadline {
                break;
            }
            payment = self.perform_task(payment, task, None, deadline).await?;
        }
        Ok(payment)
    }

    /// Gives money back, in part or in whole (`amount` absent: all that is left). The wish is
    /// durable before it is sent, and the answer tells how far it got.
    ///
    /// # Errors
    /// When the payment is not paid, or less is left (rule 14).
    pub async fn refund(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
        amount: Option<Money>,
        note: Option<String>,
        key: Option<KeyedRequest>,
    ) -> Result<(Payment, u16, Fresh), EngineError> {
        let before = self.payment(merchant, id).await?;
        if let Some(done) = self.refunded_before(&before, key.as_ref()).await? {
            return Ok((before, done, Fresh::Replayed));
        }
        let mut ordinal = 0;
        let options = self.options();
        let asked = self
            .change(id, None, |current, now| {
                let amount = match amount {
                    Some(amount) => amount,
                    None => everything_left(current)?,
                };
                let step = current.ask_refund(amount, note.clone(), now, &options.policy)?;
                ordinal = u16::try_from(step.payment.refunds.len()).unwrap_or(u16::MAX);
                // Asked and on its way in one commit: the call below is covered by it (rule 1).
                let until = now + options.lease;
                let sending = step.payment.send_refund(ordinal, now, until).map_err(illegal)?;
                let mut draft = Draft::of(step);
                if let Some(sending) = sending {
                    draft = draft.then(sending);
                }
                draft.request = key.as_ref().map(|k| record(merchant, k, id, Some(ordinal), now));
                Ok(Some(draft))
            })
            .await;
        let payment = match (asked, key.as_ref()) {
            // The same key raced with itself: the other one made it.
            (Err(EngineError::KeyConflict), Some(_)) => {
                let done = self.refunded_before(&before, key.as_ref()).await?;
                let payment = self.payment(merchant, id).await?;
                return Ok((payment, done.ok_or(EngineError::Busy)?, Fresh::Replayed));
            }
            (asked, _) => asked?,
        };
        let payment = self.send_refund_call(payment, ordinal).await?;
        Ok((payment, ordinal, Fresh::New))
    }

    async fn refunded_before(
        &self,
        payment: &Payment,
        key: Option<&KeyedRequest>,
    ) -> Result<Option<u16>, EngineError> {
        let Some(key) = key else { return Ok(None) };
        match self.parts.store.request(&payment.merchant, &key.key).await? {
            None => Ok(None),
            Some(known) if known.fingerprint == key.fingerprint && known.payment == payment.id => {
                Ok(known.refund)
            }
            Some(_) => Err(EngineError::KeyConflict),
        }
    }

    /// Takes a notification in that proved itself (rule 7). Repeated ones change nothing.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] when no attempt of this channel has the number;
    /// [`EngineError::Misfit`] when amount or currency differ; store errors, so that the
    /// provider sends it again.
    pub async fn notice(&self, channel: &ChannelId, notice: Notice) -> Result<(), EngineError> {
        let number = notice.number.as_str();
        let (id, attempt) = ProviderOrderNo::parse(number).ok_or(EngineError::NotFound)?;
        let options = self.options();
        let fits = |p: &Payment| {
            p.attempt(attempt).is_some_and(|a| a.number == notice.number && a.channel == *channel)
        };
        let found =
            self.parts.store.payment(id).await?.filter(fits).ok_or(EngineError::NotFound)?;
        if notice.kind == NoticeKind::Hint {
            let until = self.now() + options.lease;
            self.perform_task(found, Task::Query(attempt), None, until).await?;
            return Ok(());
        }
        self.change(id, None, |current, now| {
            let fact = notice_fact(current, attempt, &notice.kind)?;
            let step = match current.apply(fact, now, &options.policy) {
                Err(Illegal::WrongAmount { stated, asked }) => {
                    let why = format!("{stated} stated, {asked} asked");
                    return Err(EngineError::Misfit(why));
                }
                applied => applied.map_err(illegal)?,
            };
            Ok((step.payment != *current).then(|| Draft::of(step)))
        })
        .await?;
        Ok(())
    }

    /// Puts a payment into a person's queue. Again for the same reason changes nothing.
    ///
    /// # Errors
    /// When there is no such payment, or the store does not keep it.
    pub async fn flag(&self, id: PaymentId, why: Review) -> Result<(), EngineError> {
        self.change(id, None, |current, now| {
            let step = current.flag(why, now);
            Ok((step.payment != *current).then(|| Draft::of(step)))
        })
        .await?;
        Ok(())
    }

    /// Adds the next attempt to a draft, if the payment may have one and a channel is left.
    pub(crate) fn with_next_attempt(
        &self,
        mut draft: Draft,
        since: u16,
        only: Option<Method>,
        deadline: Timestamp,
        now: Timestamp,
    ) -> (Draft, Option<u16>) {
        if self.gate(&draft.payment).is_some() {
            return (self.paused_draft(draft, now), None);
        }
        let options = self.options.load();
        let tries = draft.payment.attempts.len() + 1 - usize::from(since);
        let open = draft.payment.may_attempt(Flow::Presented, now).is_ok();
        if now >= deadline || tries >= options.tries_per_request || !open {
            return (draft, None);
        }
        let route = match self.route(&draft.payment, since, only, now) {
            Next::Route(route) => *route,
            Next::Spent(candidate) => {
                not_retried(&mut draft, candidate);
                return (draft, None);
            }
            Next::Nothing => return (draft, None),
        };
        let until = deadline.min(now + route.channel.call_timeout);
        let Route { channel, method, choice, life } = route;
        let mut ends_at = now + life;
        let lives = channel.capabilities.pay_within;
        if let Some(longer) = lives.and_then(|lives| draft.payment.extend(now + lives, now)) {
            ends_at = longer.payment.expires_at;
            draft = draft.then(longer);
        }
        let begun = draft.payment.begin_order(channel.id, method, choice, ends_at, now, until);
        match begun {
            Ok(step) => {
                let ordinal = step.payment.attempts.last().map(|a| a.ordinal);
                (draft.then(step), ordinal)
            }
            Err(_) => (draft, None),
        }
    }

    /// Makes the create call of attempt `call`, whose intent is durable, and goes on to the
    /// next channel while calls fail without effect or leave an orphan that nobody has seen.
    pub(crate) async fn carry_on(
        &self,
        mut payment: Payment,
        mut call: Option<u16>,
        since: u16,
        only: Option<Method>,
        deadline: Timestamp,
    ) -> Result<Payment, EngineError> {
        let options = self.options();
        while let Some(ordinal) = call {
            let Some(attempt) = payment.attempt(ordinal) else { break };
            let outcome = match self.gate(&payment) {
                // The pause was faster than the call: nothing is sent (rule 9).
                Some(gate) => Outcome::Unavailable(paused_fault(&gate)),
                None => match self.call_create(&payment, attempt).await {
                    Answer::Create(outcome) => outcome,
                    _ => break,
                },
            };
            call = None;
            payment = self
                .change(payment.id, None, |current, now| {
                    let fact = Fact::Created { attempt: ordinal, outcome: outcome.clone() };
                    let draft = self.applied(current, fact, now, &options.policy)?;
                    let (draft, next) = self.with_next_attempt(draft, since, only, deadline, now);
                    let draft = match next {
                        Some(_) => draft,
                        None => {
                            let draft = no_route_left(draft, now, &options.policy);
                            self.kept_if_nothing_takes_it(draft, now)
                        }
                    };
                    call = next;
                    Ok(Some(draft))
                })
                .await?;
        }
        Ok(payment)
    }

    /// A fact applied. When a provider states a wrong amount in an answer of its own, the
    /// payment is flagged for a person, and the answer counts as unknown: the question is put
    /// again on its schedule.
    pub(crate) fn applied(
        &self,
        current: &Payment,
        fact: Fact,
        now: Timestamp,
        policy: &domain::Policy,
    ) -> Result<Draft, EngineError> {
        let vague = without_amount(&fact);
        match current.apply(fact, now, policy) {
            Ok(step) => Ok(Draft::of(step)),
            Err(Illegal::WrongAmount { stated, asked }) => {
                tracing::error!(payment = %current.id, %stated, %asked, "wrong amount at provider");
                metrics::counter!("evergate_wrong_amounts_total").increment(1);
                let flagged = Draft::of(current.flag(Review::WrongAmount, now));
                let Some((attempt, vague)) = vague else { return Ok(flagged) };
                let step = flagged.payment.apply(vague(attempt), now, policy).map_err(illegal)?;
                Ok(flagged.then(step))
            }
            Err(error) => Err(illegal(error)),
        }
    }
}

/// That no channel could take a payment, with what each says, if so.
pub(crate) fn no_channel(
    terms: &Terms,
    money: Money,
    left: Duration,
    options: &Options,
) -> Option<EngineError> {
    let asked = |&method| Asked { method, flow: terms.flow(method), money, left };
    let refusals: Option<Vec<_>> =
        terms.methods.iter().map(|method| options.refusals(asked(method))).collect();
    let said = |(channel, why): (&ChannelId, providers::Unfit)| format!("; {channel} {why}");
    let why = refusals?.into_iter().flatten().map(said).collect();
    let method = *terms.methods.first()?;
    Some(EngineError::NoChannel { method, money, why })
}

/// Makes an answer about an attempt that says nothing to rely on.
type Vague = fn(u16) -> Fact;

/// For an answer that may state an amount: the same answer, saying nothing to rely on.
fn without_amount(fact: &Fact) -> Option<(u16, Vague)> {
    fn unknown<T>() -> Outcome<T> {
        Outcome::Unknown(Fault::new("wrong_amount", "the provider states another amount"))
    }
    match *fact {
        Fact::Created { attempt, outcome: Outcome::Ok(_) } => {
            Some((attempt, |attempt| Fact::Created { attempt, outcome: unknown() }))
        }
        Fact::Queried { attempt, outcome: Outcome::Ok(_) } => {
            Some((attempt, |attempt| Fact::Queried { attempt, outcome: unknown() }))
        }
        Fact::CloseAnswered { attempt, outcome: Outcome::Ok(_) } => {
            Some((attempt, |attempt| Fact::CloseAnswered { attempt, outcome: unknown() }))
        }
        _ => None,
    }
}

/// Says in the last attempt's record that the next channel was not tried, and why.
fn not_retried(draft: &mut Draft, candidate: Candidate) {
    let Some(last) = draft.payment.attempts.last_mut() else { return };
    let why = "not tried: the budget of retries is spent".to_owned();
    let Candidate { channel, method } = candidate;
    last.choice.excluded.push(Considered::plain(channel, method, why));
}

fn no_route_left(draft: Draft, now: Timestamp, policy: &domain::Policy) -> Draft {
    match draft.payment.apply(Fact::NoRouteLeft, now, policy) {
        Ok(step) => draft.then(step),
        Err(_) => draft,
    }
}

fn record(
    merchant: &MerchantId,
    key: &KeyedRequest,
    payment: PaymentId,
    refund: Option<u16>,
    at: Timestamp,
) -> RequestRecord {
    RequestRecord {
        merchant: merchant.clone(),
        key: key.key.clone(),
        fingerprint: key.fingerprint.clone(),
        payment,
        refund,
        at,
    }
}

fn everything_left(payment: &Payment) -> Result<Money, EngineError> {
    let PaymentState::Paid { ordinal, .. } = payment.state else {
        return Err(RefundRefused::NotPaid.into());
    };
    Money::new(payment.refundable_minor(ordinal), payment.money.currency())
        .map_err(|_| RefundRefused::TooMuch { left_minor: 0 }.into())
}

fn notice_fact(payment: &Payment, attempt: u16, kind: &NoticeKind) -> Result<Fact, EngineError> {
    match kind {
        NoticeKind::Order(state) => Ok(Fact::Noticed { attempt, state: state.clone() }),
        NoticeKind::Refund { refund, state } => {
            let ours = payment.refunds.iter().find(|r| r.number == *refund);
            let refund = ours.ok_or(EngineError::NotFound)?.ordinal;
            Ok(Fact::RefundLearned { refund, outcome: Outcome::Ok(state.clone()) })
        }
        NoticeKind::Hint => Err(EngineError::NotFound),
    }
}

/// The close, or the question that proves one, that a waiting command can do now: tasks due
/// within two seconds count, because a person waits.
fn soonest_close(payment: &Payment, now: Timestamp) -> Option<Task> {
    let soon = now + Duration::from_secs(2);
    payment.attempts.iter().filter(|a| a.is_shown()).find_map(|a| match &a.state {
        AttemptState::Closing { ask, check, .. } if check.at <= soon && check.tries < 2 => {
            Some(match ask {
                Ask::Close => Task::Close(a.ordinal),
                Ask::Query => Task::Query(a.ordinal),
            })
        }
        _ => None,
    })
}

pub(crate) fn illegal(error: Illegal) -> EngineError {
    match error {
        Illegal::Ended(status) => EngineError::Ended(status),
        Illegal::Paused => EngineError::Blocked(Blocked::Paused),
        Illegal::NoAttempt(_) | Illegal::NoRefund(_) => EngineError::NotFound,
        Illegal::WrongAmount { .. } => EngineError::Misfit(error.to_string()),
    }
}

pub(crate) fn order(payment: &Payment, attempt: &Attempt) -> Order {
    let terms = &payment.terms;
    Order {
        number: attempt.number.clone(),
        money: payment.money,
        method: attempt.method,
        flow: attempt.flow,
        subject: terms.subject.clone(),
        expires_at: attempt.expires_at,
        device: terms.device,
        locale: terms.locale,
        return_url: terms.return_url.clone(),
        payer_ip: terms.payer_ip.clone(),
        payer_id: terms.payer_id.clone(),
        token: terms.token.clone(),
        off_session: match terms.purpose {
            Purpose::Checkout => false,
            Purpose::Renewal | Purpose::TopUp | Purpose::Instalment => true,
            Purpose::Synthetic | Purpose::Named(_) => terms.token.is_some(),
        },
        sent_at: attempt.sent_at,
    }
}
