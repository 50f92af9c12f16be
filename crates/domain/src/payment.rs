//! A payment: its attempts, its refunds, and the rules between them.
//!
//! [`Payment::apply`] takes a fact and a time and returns the next payment with the events
//! that it caused; [`Payment::due`] says what is to be done next and when. Work to do later is
//! therefore never more than a time stored beside the payment: it cannot be lost, and it
//! cannot disagree with the state (rule 17).

use serde::{Deserialize, Serialize};

use crate::attempt::AttemptFact;
use crate::channel::Refundable;
use crate::refund::RefundProgress;
use crate::stepping::Stepping;
use crate::{
    Ask, Attempt, AttemptState, ChannelId, Choice, CloseState, CloseWhy, Created, Event, EventKind,
    Flow, Hold, MerchantId, Method, Money, OrderNo, OrderState, Outcome, PaymentId, Policy,
    ProviderOrderNo, Receipt, Refund, RefundLimit, RefundReason, RefundState, Source, Terms,
    Timestamp,
};

/// A merchant's wish to collect one amount once for one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payment {
    /// Our id.
    pub id: PaymentId,
    /// Who collects.
    pub merchant: MerchantId,
    /// The merchant's number of the order; one payment per merchant and number (rule 8).
    pub order: OrderNo,
    /// How much.
    pub money: Money,
    /// What else the merchant asked for.
    pub terms: Terms,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends unpaid.
    pub expires_at: Timestamp,
    /// Whether the merchant chose that end; it is not moved then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expiry_fixed: bool,
    /// Where it stands.
    pub state: PaymentState,
    /// Its attempts, by ordinal.
    pub attempts: Vec<Attempt>,
    /// Its refunds, by ordinal.
    pub refunds: Vec<Refund>,
    /// Whether its order is or was kept, to be paid later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Set while a person should look at it.
    pub review: Option<Review>,
    /// How many events it has had.
    pub events: u32,
    /// Counts its commits; guards every change.
    pub version: u64,
}

/// Where a payment stands. What its attempts are doing is theirs to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PaymentState {
    /// Money is being collected, or may be.
    Open,
    /// Its feature is paused: nothing is charged for it (rule 9).
    Paused {
        /// Since when.
        since: Timestamp,
        /// Until when the subscription behind it lives on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace: Option<Timestamp>,
    },
    /// Being ended; what may still be paid is closed first.
    Ending {
        /// How it will end if nobody was faster.
        goal: EndGoal,
        /// Since when.
        since: Timestamp,
    },
    /// Paid, by this attempt.
    Paid {
        /// The attempt's ordinal.
        ordinal: u16,
        /// When we learned it.
        at: Timestamp,
    },
    /// Refused by the customer's side.
    Declined {
        /// When.
        at: Timestamp,
    },
    /// Ended by the merchant.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// Ended by time.
    Expired {
        /// When.
        at: Timestamp,
    },
}

/// How a payment that is being ended will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndGoal {
    /// The merchant cancelled.
    Cancelled,
    /// Its time is over.
    Expired,
}

/// Why a person should look at a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// An effect has been unknown for longer than [`Policy::review_after`].
    StillUnknown,
    /// The provider states another amount or currency than was asked for.
    WrongAmount,
    /// A refund that Evergate owes has failed or does not get through.
    RefundStuck,
    /// The bank took money back that had been counted for the payment.
    MoneyReversed,
    /// Offline money is to be given back, and only people can.
    RefundByHand,
}

/// A payment's status as merchants and operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A call to a provider is under way.
    Processing,
    /// The customer has a code or link.
    RequiresCustomer,
    /// A charge may have happened; being confirmed.
    Confirming,
    /// No channel took it so far; it can be tried again until it expires.
    Unavailable,
    /// Its order is kept; the customer pays later.
    Held,
    /// Its feature is paused; it is charged later.
    Paused,
    /// Being cancelled.
    Cancelling,
    /// Being expired.
    Expiring,
    /// Paid.
    Paid,
    /// Paid, and part of it given back.
    PartiallyRefunded,
    /// Paid, and all of it given back.
    Refunded,
    /// Refused by the customer's side.
    Declined,
    /// Cancelled, unpaid.
    Cancelled,
    /// Expired, unpaid.
    Expired,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 14] = [
        Status::Processing,
        Status::RequiresCustomer,
        Status::Confirming,
        Status::Unavailable,
        Status::Held,
        Status::Paused,
        Status::Cancelling,
        Status::Expiring,
        Status::Paid,
        Status::PartiallyRefunded,
        Status::Refunded,
        Status::Declined,
        Status::Cancelled,
        Status::Expired,
    ];

    /// The name that the API, the store and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Status::Processing => "processing",
            Status::RequiresCustomer => "requires_customer",
            Status::Confirming => "confirming",
            Status::Unavailable => "unavailable",
            Status::Held => "held",
            Status::Paused => "paused",
            Status::Cancelling => "cancelling",
            Status::Expiring => "expiring",
            Status::Paid => "paid",
            Status::PartiallyRefunded => "partially_refunded",
            Status::Refunded => "refunded",
            Status::Declined => "declined",
            Status::Cancelled => "cancelled",
            Status::Expired => "expired",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = crate::InvalidText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Status::ALL.into_iter().find(|s| s.name() == text).ok_or(crate::InvalidText {
            rule: "a status is one of processing, requires_customer, confirming, unavailable, \
                   held, paused, cancelling, expiring, paid, partially_refunded, refunded, declined, cancelled, \
                   expired",
        })
    }
}

/// Something learned or asked about a payment.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The create call of an attempt was answered.
    Created {
        /// The attempt.
        attempt: u16,
        /// The answer.
        outcome: Outcome<Created>,
    },
    /// A query about an attempt was answered.
    Queried {
        /// The attempt.
        attempt: u16,
        /// The answer.
        outcome: Outcome<OrderState>,
    },
    /// The provider said something about an attempt unasked, and proved itself (rule 7).
    Noticed {
        /// The attempt.
        attempt: u16,
        /// What it said.
        state: OrderState,
    },
    /// A close of an attempt was answered.
    CloseAnswered {
        /// The attempt.
        attempt: u16,
        /// The answer.
        outcome: Outcome<CloseState>,
    },
    /// The call of a refund was answered.
    RefundAnswered {
        /// The refund.
        refund: u16,
        /// The answer.
        outcome: Outcome<RefundState>,
    },
    /// A question about a refund was answered, or the provider spoke unasked.
    RefundLearned {
        /// The refund.
        refund: u16,
        /// The answer.
        outcome: Outcome<RefundState>,
    },
    /// The customer goes to another channel: what was shown is to be closed (rule 5).
    SwitchAsked,
    /// The merchant cancels.
    CancelAsked,
    /// No channel is left to try after a soft decline.
    NoRouteLeft,
    /// Time has passed; [`Payment::due`] said so.
    Elapsed(Task),
}

/// Something to do for a payment, now that its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Take the create call of this attempt for interrupted.
    RecoverAttempt(u16),
    /// Take the call of this refund for interrupted.
    RecoverRefund(u16),
    /// Ask what became of this attempt.
    Query(u16),
    /// Close this attempt.
    Close(u16),
    /// Send this refund.
    Refund(u16),
    /// Ask what became of this refund.
    QueryRefund(u16),
    /// The payment's time is over.
    Expire,
    /// Its end has waited long enough for the providers' word.
    FinishEnding,
    /// Put it in a person's queue.
    Review,
    /// Its held order ends soon.
    Remind,
    /// The subscription behind it would lapse while it is paused.
    ExtendGrace,
}

/// Why an attempt may not be started now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// The payment is not open.
    #[error("the payment is not open any more")]
    NotOpen,
    /// Its time is over.
    #[error("the payment's time is over")]
    Expired,
    /// Its feature is paused (rule 9).
    #[error("its feature is paused; it goes on by itself when the pause is over")]
    Paused,
    /// A call is under way.
    #[error("attempt {0} is under way")]
    InFlight(u16),
    /// A charge may have happened (rule 3).
    #[error("attempt {0} may have charged the customer and is being confirmed")]
    Unsettled(u16),
    /// A code is shown and was not closed (rule 5).
    #[error("attempt {0} is shown to the customer and must be closed first")]
    StillShown(u16),
    /// [`Payment::MAX_ATTEMPTS`] were made.
    #[error("the payment has had as many attempts as it may have")]
    TooMany,
}

/// Why a refund is refused before it is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundRefused {
    /// Nothing was captured.
    #[error("the payment is not paid, so there is nothing to refund")]
    NotPaid,
    /// More than is left (rule 14).
    #[error("at most {left_minor} minor units can still be refunded")]
    TooMuch {
        /// What is left, in minor units.
        left_minor: i64,
    },
    /// Another currency than the payment's.
    #[error("the refund must be in the payment's currency")]
    Currency,
    /// [`Payment::MAX_REFUNDS`] were made.
    #[error("the payment has had as many refunds as it may have")]
    TooMany,
    /// Beyond what the channel's provider takes.
    #[error("the channel {channel} {limit}; {}", limit.way_out())]
    Beyond {
        /// The channel that captured the money.
        channel: ChannelId,
        /// Its limit.
        limit: RefundLimit,
    },
}

/// A fact that cannot be about this payment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// There is no such attempt.
    #[error("the payment has no attempt {0}")]
    NoAttempt(u16),
    /// There is no such refund.
    #[error("the payment has no refund {0}")]
    NoRefund(u16),
    /// The provider states another amount or currency than the attempt's (rule 7).
    #[error("the provider states {stated} for an attempt of {asked}")]
    WrongAmount {
        /// What the provider states.
        stated: Money,
        /// What was asked for.
        asked: Money,
    },
    /// The payment has ended, so it cannot be cancelled or switched.
    #[error("the payment has ended as {}", .0.name())]
    Ended(Status),
    /// The payment's feature is paused, so it cannot be switched.
    #[error("its feature is paused; it goes on by itself when the pause is over")]
    Paused,
}

/// What a fact made of a payment.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Step {
    /// The payment afterwards; its version is the old one, which the commit raises.
    pub payment: Payment,
    /// What happened.
    pub events: Vec<Event>,
}

impl Payment {
    /// The most attempts that a payment may have: two digits are left in its order numbers.
    pub const MAX_ATTEMPTS: u16 = 40;
    /// The most refunds: two digits are left in their numbers. Providers may take fewer
    /// ([`RefundLimits::count_max`](crate::RefundLimits::count_max)).
    pub const MAX_REFUNDS: u16 = 50;

    /// A new payment and its first event.
    pub fn open(
        id: PaymentId,
        (merchant, order): (MerchantId, OrderNo),
        money: Money,
        terms: Terms,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Step {
        let payment = Payment {
            id,
            merchant,
            order,
            money,
            terms,
            created_at: now,
            expires_at,
            expiry_fixed: false,
            state: PaymentState::Open,
            attempts: Vec::new(),
            refunds: Vec::new(),
            hold: None,
            review: None,
            events: 0,
            version: 0,
        };
        let mut step = Stepping { payment, events: Vec::new(), now };
        step.tell(EventKind::Created);
        step.done()
    }

    /// The status as merchants and operators see it.
    pub fn status(&self) -> Status {
        match &self.state {
            PaymentState::Paid { ordinal, .. } => self.paid_status(*ordinal),
            PaymentState::Declined { .. } => Status::Declined,
            PaymentState::Cancelled { .. } => Status::Cancelled,
            PaymentState::Expired { .. } => Status::Expired,
            PaymentState::Ending { goal: EndGoal::Cancelled, .. } => Status::Cancelling,
            PaymentState::Ending { goal: EndGoal::Expired, .. } => Status::Expiring,
            PaymentState::Paused { .. } => Status::Paused,
            PaymentState::Open => self.open_status(),
        }
    }

    fn paid_status(&self, ordinal: u16) -> Status {
        let back = self.refunded_minor(ordinal);
        match self.attempt(ordinal).and_then(Attempt::receipt) {
            Some(receipt) if back >= receipt.captured.minor() => Status::Refunded,
            _ if back > 0 => Status::PartiallyRefunded,
            _ => Status::Paid,
        }
    }

    fn open_status(&self) -> Status {
        let any = |test: fn(&Attempt) -> bool| self.attempts.iter().any(test);
        if any(|a| a.state == AttemptState::InFlight) {
            Status::Processing
        } else if any(|a| a.flow == Flow::Direct && a.is_live()) {
            Status::Confirming
        } else if any(|a| matches!(a.state, AttemptState::Presented { .. })) {
            Status::RequiresCustomer
        } else if self.is_held() {
            Status::Held
        } else {
            Status::Unavailable
        }
    }

    /// Whether nothing is left to do for it: no effect unknown, no refund under way.
    pub fn is_settled(&self) -> bool {
        !self.may_go_on()
            && !self.attempts.iter().any(Attempt::is_live)
            && !self.refunds.iter().any(Refund::is_live)
    }

    /// Whether it has not ended yet.
    pub fn may_go_on(&self) -> bool {
        matches!(
            self.state,
            PaymentState::Open | PaymentState::Paused { .. } | PaymentState::Ending { .. }
        )
    }

    /// The attempt with this ordinal.
    pub fn attempt(&self, ordinal: u16) -> Option<&Attempt> {
        self.attempts.get(usize::from(ordinal).checked_sub(1)?)
    }

    /// Whether money is still wanted by this attempt, where it takes a call of ours to take it
    /// (see [`OrderRef::wanted`](crate::OrderRef)): the customer holds its link and was given
    /// no other since, and nobody has cancelled. An approval before the payment's end counts
    /// like a payment before it (rule 6); one after a switch does not (rule 2). Once a close has
    /// been answered that nothing was taken, nothing is taken any more, or no close could ever
    /// be proof (rule 5).
    pub fn wants(&self, ordinal: u16) -> bool {
        let open = matches!(
            self.state,
            PaymentState::Open | PaymentState::Ending { goal: EndGoal::Expired, .. }
        );
        let last = usize::from(ordinal) == self.attempts.len();
        open && self.attempt(ordinal).is_some_and(|attempt| match attempt.state {
            AttemptState::Presented { .. } => true,
            AttemptState::Closing { why: CloseWhy::Shown, left: None, .. } => last,
            _ => false,
        })
    }

    /// The refund with this ordinal.
    pub fn refund(&self, ordinal: u16) -> Option<&Refund> {
        self.refunds.get(usize::from(ordinal).checked_sub(1)?)
    }

    /// The attempt that the customer should act on.
    pub fn presented(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|a| matches!(a.state, AttemptState::Presented { .. }))
    }

    /// What of an attempt's money has gone back for sure, in minor units.
    pub fn refunded_minor(&self, attempt: u16) -> i64 {
        let done = |r: &&Refund| matches!(r.progress, RefundProgress::Succeeded { .. });
        self.of_attempt(attempt).filter(done).map(|r| r.amount.minor()).sum()
    }

    /// What of an attempt's money may still be refunded, in minor units (rule 14).
    pub fn refundable_minor(&self, attempt: u16) -> i64 {
        let captured =
            self.attempt(attempt).and_then(Attempt::receipt).map_or(0, |r| r.captured.minor());
        let taken: i64 =
            self.of_attempt(attempt).filter(|r| r.counts()).map(|r| r.amount.minor()).sum();
        captured - taken
    }

    fn of_attempt(&self, attempt: u16) -> impl Iterator<Item = &Refund> {
        self.refunds.iter().filter(move |r| r.attempt == attempt)
    }

    /// Whether an attempt of this flow may be started now (rules 3 to 5).
    ///
    /// # Errors
    /// What stands in the way.
    pub fn may_attempt(&self, flow: Flow, now: Timestamp) -> Result<(), Blocked> {
        match self.state {
            PaymentState::Open => {}
            PaymentState::Paused { .. } => return Err(Blocked::Paused),
            _ => return Err(Blocked::NotOpen),
        }
        if now >= self.expires_at {
            return Err(Blocked::Expired);
        }
        if self.attempts.len() >= usize::from(Self::MAX_ATTEMPTS) {
            return Err(Blocked::TooMany);
        }
        self.attempts.iter().try_for_each(|attempt| attempt.lets_pass(flow))
    }

    /// Starts an attempt: the intent, to be made durable before the call (rule 1). The caller
    /// may send the create call until `until`, and not after (rule 15).
    ///
    /// # Errors
    /// What stands in the way.
    pub fn begin(
        &self,
        channel: ChannelId,
        method: Method,
        choice: Choice,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Step, Blocked> {
        self.begin_order(channel, method, choice, self.expires_at, now, until)
    }

    /// The same with an end of the order's own, where the channel's provider wants a longer or
    /// shorter life than is left to the payment.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn begin_order(
        &self,
        channel: ChannelId,
        method: Method,
        choice: Choice,
        expires_at: Timestamp,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Step, Blocked> {
        let flow = self.terms.flow(method);
        self.may_attempt(flow, now)?;
        let mut step = self.stepping(now);
        let ordinal = u16::try_from(self.attempts.len() + 1).map_err(|_| Blocked::TooMany)?;
        step.tell(EventKind::AttemptStarted { ordinal, channel: channel.clone(), method });
        step.payment.attempts.push(Attempt {
            ordinal,
            channel,
            method,
            flow,
            number: ProviderOrderNo::of(self.id, ordinal),
            sent_at: now,
            until,
            expires_at,
            reference: None,
            received_minor: 0,
            choice,
            state: AttemptState::InFlight,
        });
        Ok(step.done())
    }

    /// Lets an open payment live until `until` at least, because a way of paying takes longer
    /// than a code lives (a bank transfer). Never makes it shorter, and keeps to an end that
    /// the merchant chose; `None` when nothing changes.
    pub fn extend(&self, until: Timestamp, now: Timestamp) -> Option<Step> {
        if self.state != PaymentState::Open || self.expiry_fixed || until <= self.expires_at {
            return None;
        }
        let mut step = self.stepping(now);
        step.lengthen(until);
        step.tell(EventKind::ExpiryExtended { until });
        Some(step.done())
    }

    /// Asks for a refund by the merchant: a durable wish, sent later by its task.
    ///
    /// # Errors
    /// When the payment is not paid, less than `amount` is left (rule 14), or the provider would
    /// not take it.
    pub fn ask_refund(
        &self,
        amount: Money,
        note: Option<String>,
        now: Timestamp,
        policy: &Policy,
    ) -> Result<Step, RefundRefused> {
        let PaymentState::Paid { ordinal, .. } = self.state else {
            return Err(RefundRefused::NotPaid);
        };
        if amount.currency() != self.money.currency() {
            return Err(RefundRefused::Currency);
        }
        let left_minor = self.refundable_minor(ordinal);
        if amount.minor() > left_minor {
            return Err(RefundRefused::TooMuch { left_minor });
        }
        if self.refunds.len() >= usize::from(Self::MAX_REFUNDS) {
            return Err(RefundRefused::TooMany);
        }
        if let Some((channel, limit)) = self.beyond(ordinal, amount, now, policy) {
            return Err(RefundRefused::Beyond { channel: channel.clone(), limit });
        }
        let mut step = self.stepping(now);
        step.request_refund(ordinal, amount, RefundReason::Merchant, note, policy);
        Ok(step.done())
    }

    /// The limit of its channel's provider that a refund of `amount` of an attempt's money is
    /// beyond, if any.
    pub(crate) fn beyond(
        &self,
        attempt: u16,
        amount: Money,
        now: Timestamp,
        policy: &Policy,
    ) -> Option<(&ChannelId, RefundLimit)> {
        let attempt = self.attempt(attempt)?;
        let AttemptState::Paid { at, receipt, .. } = &attempt.state else { return None };
        let of = Refundable {
            captured: receipt.captured,
            paid_at: receipt.paid_at.unwrap_or(*at),
            count: self.of_attempt(attempt.ordinal).filter(|r| r.counts()).count(),
        };
        let limits = &policy.rules(&attempt.channel).refunds;
        limits.allow(amount, of, now).err().map(|limit| (&attempt.channel, limit))
    }

    /// When a further refund of an attempt's money may be sent: providers want some time between
    /// two.
    pub(crate) fn refund_from(&self, attempt: u16, now: Timestamp, policy: &Policy) -> Timestamp {
        let Some(channel) = self.attempt(attempt).map(|a| &a.channel) else { return now };
        let last = self.of_attempt(attempt).filter(|r| r.counts()).map(|r| r.requested_at).max();
        last.map_or(now, |last| now.max(last + policy.rules(channel).refunds.apart))
    }

    /// The intent to send a refund, to be made durable before its call (rule 1).
    ///
    /// # Errors
    /// When there is no such refund. `Ok(None)` when it is not waiting to be sent, or not yet.
    pub fn send_refund(
        &self,
        refund: u16,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Step>, Illegal> {
        let sending = self.refund(refund).ok_or(Illegal::NoRefund(refund))?.sending(now, until);
        Ok(sending.map(|sending| {
            let mut step = self.stepping(now);
            step.payment.refunds[usize::from(refund) - 1] = sending;
            step.done()
        }))
    }

    /// The payment after a fact.
    ///
    /// # Errors
    /// When the fact cannot be about this payment; nothing has changed then.
    pub fn apply(&self, fact: Fact, now: Timestamp, policy: &Policy) -> Result<Step, Illegal> {
        let mut step = self.stepping(now);
        match fact {
            Fact::Created { attempt, outcome } => {
                self.check_amount(attempt, created_receipt(&outcome))?;
                step.attempt_fact(attempt, AttemptFact::Created(outcome), policy)?;
            }
            Fact::Queried { attempt, outcome } => {
                self.check_amount(attempt, queried_receipt(&outcome))?;
                step.learned(attempt, outcome, Source::Query, policy)?;
            }
            Fact::Noticed { attempt, state } => {
                let outcome = Outcome::Ok(state);
                self.check_amount(attempt, queried_receipt(&outcome))?;
                step.learned(attempt, outcome, Source::Notification, policy)?;
            }
            Fact::CloseAnswered { attempt, outcome } => {
                self.check_amount(attempt, closed_receipt(&outcome))?;
                step.close_answered(attempt, outcome, policy)?;
            }
            Fact::RefundAnswered { refund, outcome } => {
                step.refund_fact(refund, |r| r.answered(outcome, now, policy))?;
            }
            Fact::RefundLearned { refund, outcome } => {
                step.refund_fact(refund, |r| r.learned(outcome, now, policy))?;
            }
            Fact::SwitchAsked => step.switch_asked(policy)?,
            Fact::CancelAsked => step.end_asked(EndGoal::Cancelled, policy)?,
            Fact::NoRouteLeft => step.no_route_left(),
            Fact::Elapsed(task) => step.elapsed(task, policy)?,
        }
        step.settle(policy);
        Ok(step.done())
    }

    /// What is to be done, and when: the earliest task.
    pub fn due(&self, policy: &Policy) -> Option<(Timestamp, Task)> {
        let state = match self.state {
            PaymentState::Open | PaymentState::Paused { .. } => {
                Some((self.expires_at, Task::Expire))
            }
            PaymentState::Ending { since, .. } => {
                Some((since + policy.ending_patience, Task::FinishEnding))
            }
            _ => None,
        };
        let attempts = self.attempts.iter().filter_map(|a| a.due(policy));
        let refunds = self.refunds.iter().filter_map(|r| r.due(policy));
        let review = self.review_due(policy).map(|at| (at, Task::Review));
        let remind = self.reminder_due(policy).map(|at| (at, Task::Remind));
        let grace = self.grace_due().map(|at| (at, Task::ExtendGrace));
        let own = state.into_iter().chain(review).chain(remind).chain(grace);
        attempts.chain(refunds).chain(own).min_by_key(|(at, _)| *at)
    }

    fn review_due(&self, policy: &Policy) -> Option<Timestamp> {
        if self.review.is_some() {
            return None;
        }
        let attempts = self
            .attempts
            .iter()
            .filter(|a| a.flow == Flow::Direct || self.is_ending())
            .filter_map(Attempt::unknown_since);
        let refunds = self.refunds.iter().filter(|r| r.is_live() && !self.is_with_people(r));
        let refunds = refunds.map(|r| r.requested_at);
        attempts.chain(refunds).min().map(|since| since + policy.review_after)
    }

    /// Whether a refund waits in a list that people work through: one by bank transfer, once the
    /// ledger has it, and one of offline money.
    fn is_with_people(&self, refund: &Refund) -> bool {
        if matches!(refund.progress, RefundProgress::ByHand { .. }) {
            return true;
        }
        let by_transfer =
            self.attempt(refund.attempt).is_some_and(|a| a.method == Method::BankTransfer);
        by_transfer && matches!(refund.progress, RefundProgress::Pending { accepted: true, .. })
    }

    fn is_ending(&self) -> bool {
        matches!(self.state, PaymentState::Ending { .. })
    }

    fn check_amount(&self, attempt: u16, receipt: Option<&Receipt>) -> Result<(), Illegal> {
        let (Some(receipt), Some(attempt)) = (receipt, self.attempt(attempt)) else {
            return Ok(());
        };
        let (stated, asked) = (receipt.captured, self.money);
        // A transfer that was short by a bank's fee may be taken for enough, by policy or by
        // two people; the receipt says how much it was, and no more is ever refunded (rule 14).
        let short = attempt.method == Method::BankTransfer
            && stated.currency() == asked.currency()
            && stated.minor() < asked.minor();
        if stated == asked || short { Ok(()) } else { Err(Illegal::WrongAmount { stated, asked }) }
    }

    /// The same payment, marked for a person because a provider states a wrong amount.
    pub fn flag(&self, why: Review, now: Timestamp) -> Step {
        let mut step = self.stepping(now);
        step.review(why);
        step.done()
    }

    pub(crate) fn stepping(&self, now: Timestamp) -> Stepping {
        Stepping { payment: self.clone(), events: Vec::new(), now }
    }
}

impl Attempt {
    /// Whether another attempt of `flow` may start beside this one.
    fn lets_pass(&self, flow: Flow) -> Result<(), Blocked> {
        match &self.state {
            AttemptState::InFlight => Err(Blocked::InFlight(self.ordinal)),
            AttemptState::Presented { .. } => Err(Blocked::StillShown(self.ordinal)),
            AttemptState::Unknown { .. } => Err(Blocked::Unsettled(self.ordinal)),
            // An orphan blocks nothing that is presented (rule 4), and neither does a shown one
            // whose close was tried (rule 5); anything unsettled blocks a charge (rule 3).
            AttemptState::Closing { .. } if self.flow == Flow::Direct || flow == Flow::Direct => {
                Err(Blocked::Unsettled(self.ordinal))
            }
            AttemptState::Closing { check, answered: false, .. }
                if self.is_shown() && check.tries == 0 =>
            {
                Err(Blocked::StillShown(self.ordinal))
            }
            _ => Ok(()),
        }
    }

    fn due(&self, policy: &Policy) -> Option<(Timestamp, Task)> {
        match &self.state {
            AttemptState::InFlight => {
                Some((self.until + policy.grace, Task::RecoverAttempt(self.ordinal)))
            }
            AttemptState::Presented { check, .. } | AttemptState::Unknown { check, .. } => {
                Some((check.at, Task::Query(self.ordinal)))
            }
            AttemptState::Closing { ask: Ask::Query, check, .. } => {
                Some((check.at, Task::Query(self.ordinal)))
            }
            AttemptState::Closing { ask: Ask::Close, check, .. } => {
                Some((check.at, Task::Close(self.ordinal)))
            }
            _ => None,
        }
    }

    /// Whether a payment may end beside this attempt: it has ended, or its close was answered
    /// and only the proof is missing, which the guard of rule 2 covers.
    pub(crate) fn is_quiet(&self) -> bool {
        match &self.state {
            AttemptState::Closing { answered, .. } => *answered && self.flow == Flow::Presented,
            _ => !self.is_live(),
        }
    }
}

impl Refund {
    fn due(&self, policy: &Policy) -> Option<(Timestamp, Task)> {
        match &self.progress {
            RefundProgress::Requested { check } => Some((check.at, Task::Refund(self.ordinal))),
            RefundProgress::InFlight { until, .. } => {
                Some((*until + policy.grace, Task::RecoverRefund(self.ordinal)))
            }
            RefundProgress::Pending { check, .. } => {
                Some((check.at, Task::QueryRefund(self.ordinal)))
            }
            RefundProgress::ByHand { .. }
            | RefundProgress::Succeeded { .. }
            | RefundProgress::Failed { .. } => None,
        }
    }
}

fn created_receipt(outcome: &Outcome<Created>) -> Option<&Receipt> {
    match outcome {
        Outcome::Ok(Created::Paid(receipt)) => Some(receipt),
        _ => None,
    }
}

fn queried_receipt(outcome: &Outcome<OrderState>) -> Option<&Receipt> {
    match outcome {
        Outcome::Ok(OrderState::Paid(receipt) | OrderState::PaidAndRefunded(receipt)) => {
            Some(receipt)
        }
        _ => None,
    }
}

fn closed_receipt(outcome: &Outcome<CloseState>) -> Option<&Receipt> {
    match outcome {
        Outcome::Ok(CloseState::AlreadyPaid(Some(r)) | CloseState::PaidAndRefunded(r)) => Some(r),
        _ => None,
    }
}
