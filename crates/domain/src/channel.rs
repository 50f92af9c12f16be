//! What a channel's provider promises, as far as the money rules depend on it: plain values that
//! [`Policy`](crate::Policy) carries for every channel. They come from the channel's table of
//! capabilities; the rules know no provider by name.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ChannelId, Fault, Flow, Money, Schedule, Timestamp};

/// A channel's facts that rules 3, 5, 6 and 14 read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelRules {
    /// When to ask what became of an order; the provider's own advice.
    pub query_schedule: Schedule,
    /// What "not found" proves.
    pub not_found: NotFound,
    /// What refunds the provider takes.
    pub refunds: RefundLimits,
}

impl Default for ChannelRules {
    fn default() -> Self {
        let secs = Duration::from_secs;
        ChannelRules {
            query_schedule: Schedule {
                waits: vec![secs(5), secs(30), secs(60), secs(180), secs(300), secs(600)],
                then_every: secs(1800),
            },
            not_found: NotFound::default(),
            refunds: RefundLimits::default(),
        }
    }
}

/// What "we do not know this number" proves, by the flow of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotFound {
    /// Of an order that the customer must act on.
    pub presented: Proves,
    /// Of a charge that the call itself makes.
    pub direct: Proves,
}

impl NotFound {
    /// For one flow.
    pub fn of(self, flow: Flow) -> Proves {
        match flow {
            Flow::Presented => self.presented,
            Flow::Direct => self.direct,
        }
    }
}

impl Default for NotFound {
    fn default() -> Self {
        NotFound { presented: Proves::AfterEnd, direct: Proves::AfterWindow }
    }
}

/// When "not found" is proof that nobody can pay an order any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proves {
    /// Never, however late: only a close, or an end that the provider states, settles it.
    Nothing,
    /// Once the order's own end has passed by [`lapse_margin`](crate::Policy::lapse_margin): the
    /// provider was told that end and takes no money after it, but may learn of the order as
    /// late as the customer opens it.
    AfterEnd,
    /// Once the last moment to send the create call has passed by
    /// [`not_found_settles`](crate::Policy::not_found_settles): the provider would know it by
    /// then, so it was never made, and never will be.
    AfterWindow,
}

impl Proves {
    /// The name that lists and the API use.
    pub fn name(self) -> &'static str {
        match self {
            Proves::Nothing => "nothing",
            Proves::AfterEnd => "after_end",
            Proves::AfterWindow => "after_create_window",
        }
    }
}

/// What refunds a provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundLimits {
    /// Whether less than the whole may go back.
    pub partial: bool,
    /// The most refunds of one payment; `None` when none is stated.
    pub count_max: Option<u16>,
    /// How long after the payment; `None` when no time is stated.
    pub within: Option<Duration>,
    /// The smallest refund in minor units; at least 1.
    pub least_minor: i64,
    /// The shortest time between two refunds of one payment.
    pub apart: Duration,
}

impl Default for RefundLimits {
    /// Anything goes that rule 14 lets pass.
    fn default() -> Self {
        let apart = Duration::ZERO;
        RefundLimits { partial: true, count_max: None, within: None, least_minor: 1, apart }
    }
}

/// A payment's money as far as a further refund of it is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refundable {
    pub(crate) captured: Money,
    pub(crate) paid_at: Timestamp,
    /// Refunds that went through or may yet.
    pub(crate) count: usize,
}

impl RefundLimits {
    /// Whether the provider takes a refund of `amount` at `now`.
    pub(crate) fn allow(
        &self,
        amount: Money,
        of: Refundable,
        now: Timestamp,
    ) -> Result<(), RefundLimit> {
        let age = now.since(of.paid_at);
        if let Some(within) = self.within.filter(|within| age > *within) {
            return Err(RefundLimit::Age { days_max: days(within), days: days(age) });
        }
        if let Some(count_max) = self.count_max.filter(|most| of.count >= usize::from(*most)) {
            return Err(RefundLimit::Count { count_max });
        }
        if amount.minor() < self.least_minor {
            return Err(RefundLimit::Least { least_minor: self.least_minor });
        }
        if !self.partial && (amount != of.captured || of.count > 0) {
            return Err(RefundLimit::Whole { captured_minor: of.captured.minor() });
        }
        Ok(())
    }
}

fn days(span: Duration) -> u64 {
    span.as_secs() / 86_400
}

/// The limit of a provider that a refund is beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefundLimit {
    /// The payment is too old.
    #[error("takes refunds for {days_max} days after the payment, which was made {days} days ago")]
    Age {
        /// The provider's limit, in days.
        days_max: u64,
        /// The payment's age, in whole days.
        days: u64,
    },
    /// It has had as many refunds as the provider takes.
    #[error("takes {count_max} refunds of one payment, and has had them")]
    Count {
        /// The provider's limit.
        count_max: u16,
    },
    /// Less than the provider takes.
    #[error("takes no refund below {least_minor} minor units")]
    Least {
        /// The provider's limit, in minor units.
        least_minor: i64,
    },
    /// A part, where only the whole can go back.
    #[error("gives back a payment as a whole only, which is {captured_minor} minor units")]
    Whole {
        /// The whole, in minor units.
        captured_minor: i64,
    },
}

impl RefundLimit {
    /// The code that an owed refund fails with, and what the API calls the limit.
    pub fn code(self) -> &'static str {
        match self {
            RefundLimit::Age { .. } => "refund_too_late",
            RefundLimit::Count { .. } => "refund_count",
            RefundLimit::Least { .. } => "refund_too_small",
            RefundLimit::Whole { .. } => "refund_whole_only",
        }
    }

    /// What to do instead.
    pub fn way_out(self) -> &'static str {
        match self {
            RefundLimit::Age { .. } | RefundLimit::Count { .. } => {
                "pay the customer back another way, such as a bank transfer, and note it with the \
                 order"
            }
            RefundLimit::Least { .. } => "ask for more, or put it together with a later refund",
            RefundLimit::Whole { .. } => "ask for the whole, or pay a part back another way",
        }
    }

    /// Why an owed refund on `channel` was never sent.
    pub(crate) fn fault(self, channel: &ChannelId) -> Fault {
        let way_out = self.way_out();
        Fault::new(self.code(), format!("the channel {channel} {self}; {way_out}"))
    }
}
