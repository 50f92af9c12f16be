//! What staff do for one customer: send the payment to a channel of their choice, book money
//! that they took themselves, and say that offline money went back.
//!
//! Nothing here is above the money rules: what was shown is closed first (rule 5), a charge that
//! may have happened stands in the way (rule 3), and money pays a payment once (rule 2).

use std::sync::PoisonError;

use domain::{
    Answer, ChannelId, Choice, Fact, Fault, Flow, Method, Offline, OfflineRefused, Payment,
    PaymentId, PaymentState, Timestamp, offline_channel,
};
use resilience::{CellKey, HealthState, Sent};

use crate::commands::illegal;
use crate::engine::UnderWay;
use crate::ledger::Draft;
use crate::options::{Ask, Fit};
use crate::{Channel, Engine, EngineError};

/// A way in which a payment might be paid now.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
    /// Whether the call itself charges.
    pub flow: Flow,
    /// Whether the merchant named the method for this payment.
    pub named: bool,
    /// How the channel is with this method.
    pub health: HealthState,
    /// Why it cannot be used, if so: an operator took it out, or it does not take this payment.
    pub barred: Option<String>,
}

impl Way {
    /// Whether it is expected to work.
    pub fn works(&self) -> bool {
        self.barred.is_none() && !self.health.is_out()
    }
}

impl Engine {
    /// Every way in which a payment might be paid now: by method as the merchant ranked them,
    /// then the methods that the merchant did not name, each by channel in their order.
    pub fn ways(&self, payment: &Payment) -> Vec<Way> {
        let (options, now) = (self.options(), self.now());
        let named = payment.terms.methods.iter().copied();
        let others = Method::ALL.into_iter().filter(|m| !payment.terms.methods.contains(m));
        let methods: Vec<Method> = named.chain(others).collect();
        let lanes = methods
            .iter()
            .flat_map(|method| options.channels.iter().map(move |channel| (channel, *method)));
        lanes.filter_map(|(channel, method)| self.way(payment, channel, method, now)).collect()
    }

    fn way(
        &self,
        payment: &Payment,
        channel: &Channel,
        method: Method,
        now: Timestamp,
    ) -> Option<Way> {
        let flow = payment.terms.flow(method);
        let left = payment.expires_at.since(now);
        let unfit = match channel.fit(Ask { method, flow, money: payment.money, left }) {
            Fit::OtherMethod => return None,
            Fit::Unfit(why) => Some(why.to_string()),
            Fit::Fits(_) => None,
        };
        let controls = self.controls();
        let disabled = controls.disabled(&channel.id, method, now);
        let out = disabled.map(|by| format!("taken out of service by {}: {}", by.by, by.reason));
        let key = CellKey { channel: channel.id.clone(), method };
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let health = board.cell(&key).map_or(HealthState::Healthy, |cell| cell.state);
        let named = payment.terms.methods.contains(&method);
        Some(Way {
            channel: channel.id.clone(),
            method,
            flow,
            named,
            health,
            barred: out.or(unfit),
        })
    }

    /// Sends a payment to one channel and no other, whatever its health: staff have chosen it.
    /// What was shown is closed first (rule 5). A call without effect leaves the payment open.
    ///
    /// # Errors
    /// When the payment has ended, a charge may have happened, or the channel does not take it.
    pub async fn switch_to(
        &self,
        id: PaymentId,
        channel: &ChannelId,
        method: Option<Method>,
        why: &str,
    ) -> Result<Payment, EngineError> {
        let payment = self.parts.store.payment(id).await?.ok_or(EngineError::NotFound)?;
        let way = self.chosen(&payment, channel, method)?;
        self.quiet(id).await;
        let _under_way = UnderWay::new(self, id);
        let deadline = self.now() + self.options.load().request_deadline;
        let payment = self.close_shown(id, Fact::SwitchAsked, deadline).await?;
        if payment.state != PaymentState::Open {
            return Ok(payment); // The customer was faster: "already paid" settles it.
        }
        let mut ordinal = 0;
        let payment = self
            .change(id, None, |current, now| {
                let draft = self.sent_to(current, &way, why, deadline, now)?;
                ordinal = draft.payment.attempts.last().map_or(0, |a| a.ordinal);
                Ok(Some(draft))
            })
            .await?;
        let Some(attempt) = payment.attempt(ordinal) else { return Ok(payment) };
        let Answer::Create(outcome) = self.call_create(&payment, attempt).await else {
            return Ok(payment);
        };
        let options = self.options();
        self.change(id, None, |current, now| {
            let fact = Fact::Created { attempt: ordinal, outcome: outcome.clone() };
            self.applied(current, fact, now, &options.policy).map(Some)
        })
        .await
    }

    /// The way that staff mean.
    fn chosen(
        &self,
        payment: &Payment,
        channel: &ChannelId,
        method: Option<Method>,
    ) -> Result<Way, EngineError> {
        self.known(channel)?;
        let ways = self.ways(payment).into_iter();
        let mut ways =
            ways.filter(|w| w.channel == *channel && method.is_none_or(|m| m == w.method));
        let way = ways.next().ok_or_else(|| {
            let method = method.or(payment.terms.methods.first().copied());
            let why = format!("; {channel} does not have it");
            EngineError::NoChannel {
                method: method.unwrap_or(Method::Card),
                money: payment.money,
                why,
            }
        })?;
        match way.barred {
            None => Ok(way),
            Some(barred) => Err(EngineError::NoChannel {
                method: way.method,
                money: payment.money,
                why: format!("; {channel} {barred}"),
            }),
        }
    }

    /// The intent (rule 1).
    fn sent_to(
        &self,
        current: &Payment,
        way: &Way,
        why: &str,
        deadline: Timestamp,
        now: Timestamp,
    ) -> Result<Draft, EngineError> {
        let options = self.options.load();
        let channel = options.channel(&way.channel).ok_or(EngineError::NoSuchChannel)?;
        let mut draft = Draft { payment: current.clone(), events: vec![], request: None };
        let ask = |left| Ask { method: way.method, flow: way.flow, money: current.money, left };
        let Fit::Fits(life) = channel.fit(ask(current.expires_at.since(now))) else {
            return Err(EngineError::Busy); // It fitted a moment ago: its time is running out.
        };
        let mut ends_at = now + life;
        let lives = channel.capabilities.pay_within;
        if let Some(longer) = lives.and_then(|lives| current.extend(now + lives, now)) {
            ends_at = longer.payment.expires_at;
            draft = draft.then(longer);
        }
        let until = deadline.min(now + channel.call_timeout);
        let (id, choice) = (channel.id.clone(), Choice::plain(why));
        let begun = draft.payment.begin_order(id, way.method, choice, ends_at, now, until)?;
        let key = CellKey { channel: channel.id.clone(), method: way.method };
        let dice = self.parts.entropy.dice();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = board.lane(&key, now);
        board.given(Sent { lane, issuer: None, at: now }, dice);
        Ok(draft.then(begun))
    }

    /// Books money that staff took, and closes first what the customer might still pay. The same
    /// money again, by its reference, changes nothing (rule 8).
    ///
    /// # Errors
    /// When the payment is paid or has ended, a charge may have happened, what is shown could
    /// not be closed, or the amount is not the payment's.
    pub async fn record_offline(
        &self,
        id: PaymentId,
        offline: &Offline,
    ) -> Result<Payment, EngineError> {
        let payment = self.parts.store.payment(id).await?.ok_or(EngineError::NotFound)?;
        if payment.offline_attempt(&offline.reference).is_some() {
            return Ok(payment);
        }
        if offline.money != payment.money {
            let (stated, asked) = (offline.money, payment.money);
            return Err(OfflineRefused::Amount { stated, asked }.into());
        }
        if payment.state == PaymentState::Open {
            self.quiet(id).await;
            let _under_way = UnderWay::new(self, id);
            let deadline = self.now() + self.options.load().request_deadline;
            match self.close_shown(id, Fact::SwitchAsked, deadline).await {
                // Ended meanwhile: the books say below what that means for the money.
                Ok(_) | Err(EngineError::Ended(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let options = self.options();
        self.change(id, None, |current, now| {
            let step = current.record_offline(offline, now, &options.policy)?;
            Ok(step.map(Draft::of))
        })
        .await
    }

    /// Notes that people gave offline money back, or could not. Said twice, it is done once.
    ///
    /// # Errors
    /// When there is no such refund of offline money.
    pub async fn refunded_by_hand(
        &self,
        id: PaymentId,
        refund: u16,
        done: Result<(), Fault>,
    ) -> Result<Payment, EngineError> {
        let options = self.options();
        self.change(id, None, |current, now| {
            let of = current.refund(refund).and_then(|r| current.attempt(r.attempt));
            if of.is_none_or(|attempt| attempt.channel != offline_channel()) {
                return Err(EngineError::NotFound);
            }
            let step = current.refunded_by_hand(refund, done.clone(), now, &options.policy);
            Ok(step.map_err(illegal)?.map(Draft::of))
        })
        .await
    }
}
