//! Money that staff took outside any provider's call: cash, a card terminal, a cheque, a transfer
//! that they saw on the account. It becomes an attempt of the payment that is paid from the
//! start, on a channel that is none, so that every rule between attempts holds for it too: it is
//! taken only while nothing else may be taken (rules 3 and 5), it pays a payment once (rule 2),
//! and a provider's success that comes later is the one that goes back.
//!
//! What is not here: who may record it, up to how much, and who has to agree.

use serde::{Deserialize, Serialize};

use crate::attempt::AttemptFact;
use crate::{
    Attempt, AttemptState, Blocked, ChannelId, Choice, EventKind, Flow, Illegal, Locale, Method,
    Money, OrderState, Outcome, Payment, Policy, ProviderOrderNo, Receipt, RefundProgress, Source,
    Status, Step, Timestamp,
};

/// The name of the channel that offline money is booked on; no channel may be configured so.
pub const OFFLINE_CHANNEL: &str = "offline";

/// How staff took the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfflineKind {
    /// 现金
    Cash,
    /// A card terminal that Evergate does not know.
    Pos,
    /// 支票
    Cheque,
    /// A transfer that staff saw on an account that Evergate reads no statements of.
    TransferSeen,
}

impl OfflineKind {
    /// Every kind, in the order that lists show them.
    pub const ALL: [OfflineKind; 4] =
        [OfflineKind::Cash, OfflineKind::Pos, OfflineKind::Cheque, OfflineKind::TransferSeen];

    /// The name that the API and configuration use.
    pub fn name(self) -> &'static str {
        match self {
            OfflineKind::Cash => "cash",
            OfflineKind::Pos => "pos",
            OfflineKind::Cheque => "cheque",
            OfflineKind::TransferSeen => "transfer_seen",
        }
    }

    /// What people call it, in their language.
    pub fn label(self, locale: Locale) -> &'static str {
        match (self, locale) {
            (OfflineKind::Cash, Locale::Zh) => "现金",
            (OfflineKind::Cash, Locale::En) => "Cash",
            (OfflineKind::Pos, Locale::Zh) => "POS 刷卡",
            (OfflineKind::Pos, Locale::En) => "Card terminal",
            (OfflineKind::Cheque, Locale::Zh) => "支票",
            (OfflineKind::Cheque, Locale::En) => "Cheque",
            (OfflineKind::TransferSeen, Locale::Zh) => "已到账的转账",
            (OfflineKind::TransferSeen, Locale::En) => "Transfer seen on the account",
        }
    }
}

impl std::str::FromStr for OfflineKind {
    type Err = crate::InvalidText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OfflineKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or(crate::InvalidText {
            rule: "a kind of offline money is one of cash, pos, cheque, transfer_seen",
        })
    }
}

/// Money that staff took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offline {
    /// How.
    pub kind: OfflineKind,
    /// What staff find it by again: the number of a till slip, a terminal's receipt or a cheque.
    /// The same reference again is the same money.
    pub reference: String,
    /// How much; the whole payment, or it is refused.
    pub money: Money,
    /// When it was taken, as staff say.
    pub taken_at: Timestamp,
    /// Who says so, and who agreed, as the attempt's record names them.
    pub said: String,
}

/// Why offline money is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfflineRefused {
    /// Something else may have taken, or may yet take, the customer's money.
    #[error("{0}")]
    Blocked(#[from] Blocked),
    /// The payment was paid otherwise: what staff took is to be handed back.
    #[error("the payment is paid already, by attempt {ordinal} on {channel}")]
    Paid {
        /// The attempt that pays it.
        ordinal: u16,
        /// Its channel.
        channel: ChannelId,
    },
    /// The payment has ended.
    #[error("the payment has ended as {}", .0.name())]
    Ended(Status),
    /// Another amount or currency than the payment's.
    #[error("the payment is over {asked}, not {stated}")]
    Amount {
        /// What staff say that they took.
        stated: Money,
        /// What the payment is over.
        asked: Money,
    },
    /// Nobody ordered anything (rule 11).
    #[error("it is a synthetic payment, and nobody's to pay")]
    Synthetic,
}

impl Payment {
    /// Whether offline money may be recorded now: what [`Payment::record_offline`] would refuse
    /// for, whatever the money.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn may_take_offline(&self, now: Timestamp) -> Result<(), OfflineRefused> {
        if self.terms.is_synthetic() {
            return Err(OfflineRefused::Synthetic);
        }
        if let crate::PaymentState::Paid { ordinal, .. } = self.state {
            let paying = self.attempt(ordinal).map(|a| a.channel.clone());
            let channel = paying.unwrap_or_else(offline_channel);
            return Err(OfflineRefused::Paid { ordinal, channel });
        }
        // Like a code that is shown (rules 3 to 5): an orphan that no customer has seen does not
        // stand in the way, or nothing could be taken while its provider is down; what may have
        // charged does, and so does a code that was not tried to be closed.
        self.may_attempt(Flow::Presented, now).map_err(|blocked| match blocked {
            Blocked::NotOpen => OfflineRefused::Ended(self.status()),
            blocked => OfflineRefused::Blocked(blocked),
        })
    }

    /// Books money that staff took: an attempt that is paid from the start. `None` when this very
    /// money, by its reference, is booked already.
    ///
    /// # Errors
    /// When something else may have taken the customer's money or may yet take it (rules 3 and
    /// 5), the payment has ended or is paid, or the amount is not the payment's.
    pub fn record_offline(
        &self,
        offline: &Offline,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Option<Step>, OfflineRefused> {
        if self.offline_attempt(&offline.reference).is_some() {
            return Ok(None);
        }
        if offline.money != self.money {
            return Err(OfflineRefused::Amount { stated: offline.money, asked: self.money });
        }
        self.may_take_offline(now)?;
        let too_many = |_| OfflineRefused::Blocked(Blocked::TooMany);
        let ordinal = u16::try_from(self.attempts.len() + 1).map_err(too_many)?;
        let mut step = self.stepping(now);
        let attempt = self.offline(ordinal, offline, now);
        let (channel, method) = (attempt.channel.clone(), attempt.method);
        step.tell(EventKind::AttemptStarted { ordinal, channel, method });
        step.payment.attempts.push(attempt);
        let receipt = Receipt {
            reference: offline.reference.clone(),
            captured: offline.money,
            paid_at: Some(offline.taken_at),
        };
        let paid = Outcome::Ok(OrderState::Paid(receipt));
        step.attempt_fact(ordinal, AttemptFact::Learned(paid, Source::Staff), policy)
            .map_err(|_| OfflineRefused::Blocked(Blocked::TooMany))?;
        step.settle(policy);
        Ok(Some(step.done()))
    }

    /// The attempt that books the offline money of this reference.
    pub fn offline_attempt(&self, reference: &str) -> Option<&Attempt> {
        let is_it = |a: &&Attempt| {
            a.method == Method::Offline && a.receipt().is_some_and(|r| r.reference == reference)
        };
        self.attempts.iter().find(is_it)
    }

    fn offline(&self, ordinal: u16, offline: &Offline, now: Timestamp) -> Attempt {
        Attempt {
            ordinal,
            channel: offline_channel(),
            method: Method::Offline,
            flow: Flow::Presented,
            number: ProviderOrderNo::of(self.id, ordinal),
            sent_at: now,
            until: now,
            expires_at: now,
            reference: None,
            received_minor: 0,
            choice: Choice::plain(&format!("{}, {}", offline.kind.name(), offline.said)),
            state: AttemptState::InFlight,
        }
    }

    /// The refund of offline money that people are to make, as they say that it was made, or
    /// that it cannot be.
    ///
    /// # Errors
    /// When there is no such refund. `Ok(None)` when it does not wait for people's hands.
    pub fn refunded_by_hand(
        &self,
        refund: u16,
        done: Result<(), crate::Fault>,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Option<Step>, Illegal> {
        let known = self.refund(refund).ok_or(Illegal::NoRefund(refund))?;
        if !matches!(known.progress, RefundProgress::ByHand { .. }) {
            return Ok(None);
        }
        let state =
            done.map_or_else(crate::RefundState::Failed, |()| crate::RefundState::Succeeded);
        let fact = crate::Fact::RefundLearned { refund, outcome: Outcome::Ok(state) };
        self.apply(fact, now, policy).map(Some)
    }
}

/// The channel that offline money is booked on.
pub fn offline_channel() -> ChannelId {
    ChannelId::new(OFFLINE_CHANNEL).expect("a channel's name")
}
