//! Payments that only try a channel.
//!
//! A trial is a payment like any other: its intent is durable before its call (rule 1), what
//! was shown is closed at the provider, and what was paid after all goes back (see
//! `domain::Purpose::Synthetic`). It is pinned to one channel and one method, so no failover
//! follows it, and it uses none of the fleet's retries.

use std::sync::PoisonError;
use std::time::Duration;

use domain::{
    AttemptState, ChannelId, Choice, Class, Device, Flow, Locale, MerchantId, Method, Money,
    OrderNo, Payment, PaymentState, Purpose, SYNTHETIC_MERCHANT, Terms, Tier, Timestamp,
};
use resilience::{CellKey, Sent};
use store::Filter;

use crate::options::{Ask, Fit};
use crate::routing::{Next, Route};
use crate::{Engine, EngineError, NewPayment};

/// Recent trials of a lane that are looked at for one that is still open.
const RECENT: usize = 8;

/// A channel and method to try.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
    /// How much to ask for; as little as the channel takes.
    pub money: Money,
    /// A saved instrument for tests, which makes the flow direct; without one the customer's
    /// code is made, closed, and never shown.
    pub token: Option<String>,
    /// What the provider's own lists call it.
    pub subject: String,
}

/// What a trial's create call showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrialAnswer {
    /// A code that could have been paid, or money taken: the channel works.
    Works,
    /// The customer's side would not pay: the channel works (rule 11).
    Declined(String),
    /// Surely no effect; the class and the code.
    Failed(Class, String),
    /// Nobody knows; the code is being closed.
    Unanswered,
    /// No call was made.
    NotTried,
}

/// A trial after its end was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The payment as it is now.
    pub payment: Payment,
    /// What its create call showed.
    pub answer: TrialAnswer,
    /// How long the create call took, with its commits.
    pub took: Duration,
}

fn answer(payment: &Payment) -> TrialAnswer {
    match payment.attempts.first().map(|attempt| &attempt.state) {
        Some(AttemptState::Presented { .. } | AttemptState::Paid { .. }) => TrialAnswer::Works,
        Some(AttemptState::Declined { decline, .. }) => TrialAnswer::Declined(decline.code.clone()),
        Some(AttemptState::Failed { class, fault, .. }) => {
            TrialAnswer::Failed(*class, fault.code.clone())
        }
        Some(_) => TrialAnswer::Unanswered,
        None => TrialAnswer::NotTried,
    }
}

impl Engine {
    /// A fresh number in `[0, 1)`, to spread timers.
    pub fn dice(&self) -> f64 {
        self.parts.entropy.dice()
    }

    /// Tries a channel with a payment of nobody's: makes it, ends it at once, and gives the
    /// payment as it is then, and what it showed. What is left to do (a close without proof, a refund) is done by
    /// the workers as for any payment. `Ok(None)` when the lane's last trial has not ended.
    ///
    /// # Errors
    /// When the channel does not take it, or the store does not keep it.
    pub async fn try_channel(&self, trial: &Trial) -> Result<Option<Tried>, EngineError> {
        if self.has_open_trial(&trial.channel, trial.method).await? {
            return Ok(None);
        }
        let now = self.now();
        let order = format!("{}-{}", trial.method, self.parts.entropy.uuid(now).simple());
        let order = OrderNo::new(&order).expect("a method's name and hex digits");
        // As short as may be: a code that its provider cannot close ends with it.
        let options = self.options();
        let shortest = options.channel(&trial.channel).map(|c| c.capabilities.expiry.shortest);
        let (least, most) = options.expiry_range;
        let wish = NewPayment {
            merchant: synthetic_merchant(),
            order,
            money: trial.money,
            terms: terms(trial),
            expires_in: Some(shortest.unwrap_or(least).clamp(least, most)),
        };
        let (payment, _) = self.create(wish, None).await?;
        let (answer, took) = (answer(&payment), self.now().since(now));
        let payment = self.end_trial(payment).await?;
        Ok(Some(Tried { payment, answer, took }))
    }

    async fn end_trial(&self, payment: Payment) -> Result<Payment, EngineError> {
        if payment.state != PaymentState::Open {
            return Ok(payment);
        }
        match self.cancel(&payment.merchant, payment.id).await {
            // Paid between the two calls: it goes back by itself.
            Err(EngineError::Ended(_)) => self.payment(&payment.merchant, payment.id).await,
            cancelled => cancelled,
        }
    }

    async fn has_open_trial(
        &self,
        channel: &ChannelId,
        method: Method,
    ) -> Result<bool, EngineError> {
        let filter = Filter {
            merchant: Some(synthetic_merchant()),
            channel: Some(channel.clone()),
            method: Some(method),
            limit: RECENT,
            ..Filter::default()
        };
        let recent = self.parts.store.list(&filter).await?;
        Ok(recent.iter().any(|payment| !payment.is_settled()))
    }

    /// The only way of a pinned payment: one attempt, whatever the health of its channel.
    pub(crate) fn pinned(
        &self,
        payment: &Payment,
        channel: &ChannelId,
        only: Option<Method>,
        now: Timestamp,
    ) -> Next {
        let method = payment.terms.methods.iter().copied().find(|m| only.is_none_or(|o| o == *m));
        let options = self.options.load();
        let (Some(method), Some(channel), []) =
            (method, options.channel(channel), payment.attempts.as_slice())
        else {
            return Next::Nothing;
        };
        let flow: Flow = payment.terms.flow(method);
        let left = payment.expires_at.since(now);
        let Fit::Fits(life) = channel.fit(Ask { method, flow, money: payment.money, left }) else {
            return Next::Nothing;
        };
        let dice = self.parts.entropy.dice();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = board.lane(&CellKey { channel: channel.id.clone(), method }, now);
        board.given(Sent { lane, issuer: None, at: now }, dice);
        let choice = Choice::plain("pinned: synthetic");
        Next::Route(Box::new(Route { channel: channel.clone(), method, choice, life }))
    }
}

fn synthetic_merchant() -> MerchantId {
    MerchantId::new(SYNTHETIC_MERCHANT).expect("a merchant's name")
}

fn terms(trial: &Trial) -> Terms {
    Terms {
        methods: vec![trial.method],
        purpose: Purpose::Synthetic,
        tier: Tier::Standard,
        subject: trial.subject.clone(),
        issuer: None,
        contact: None,
        push_token: None,
        locale: Locale::En,
        return_url: None,
        payer_ip: None,
        payer_id: None,
        device: Device::Qr,
        token: trial.token.clone(),
        metadata: Default::default(),
        pinned: Some(trial.channel.clone()),
        due_at: None,
        lapses_at: None,
        no_hold: true,
    }
}
