//! The choices that a merchant may set, and the times that the rules use.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ChannelId, ChannelRules};

/// What to do with a success that arrives after the payment has ended without one (rule 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// Book it: the payment becomes paid, and the merchant fulfils.
    Honour,
    /// Book it and give the money back.
    Refund,
}

/// When to ask again: fixed waits first, then a steady beat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Wait before question 1, 2, 3 and so on, each counted from the one before.
    pub waits: Vec<Duration>,
    /// The wait between all later questions.
    pub then_every: Duration,
}

impl Schedule {
    /// The wait before question number `tries` (from 0).
    pub fn wait(&self, tries: u32) -> Duration {
        self.waits.get(tries as usize).copied().unwrap_or(self.then_every)
    }
}

/// The times and choices that decide how a payment goes on. One value for a whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// A success after expiry.
    pub late_after_expiry: Late,
    /// A success after the merchant cancelled.
    pub late_after_cancel: Late,
    /// Added to a call's deadline before anyone takes it for interrupted, so that the caller
    /// itself speaks first.
    pub grace: Duration,
    /// What each channel's provider promises.
    pub channels: BTreeMap<ChannelId, ChannelRules>,
    /// The same for a channel that is not in the map, such as one that was configured once.
    pub other: ChannelRules,
    /// How often a close is tried again while the provider gives no proof.
    pub close_schedule: Schedule,
    /// How often a refund is asked about or sent again under its number.
    pub refund_schedule: Schedule,
    /// How long after the last possible moment of a create call or a refund "not found" must
    /// still be the answer before it counts as "never arrived", where it may
    /// ([`Proves::AfterWindow`](crate::Proves::AfterWindow)). Longer than any provider holds a
    /// call.
    pub not_found_settles: Duration,
    /// Added to an order's own expiry before "not found" proves that it lapsed, where it may
    /// ([`Proves::AfterEnd`](crate::Proves::AfterEnd)).
    pub lapse_margin: Duration,
    /// How long a payment that is being cancelled or expired waits for its provider's word
    /// before it ends with the guard of rule 2 only.
    pub ending_patience: Duration,
    /// An effect that is still unknown after this goes to a person's queue as well (rule 17).
    pub review_after: Duration,
    /// How long before a held order ends its customer is reminded; a quarter of the hold when
    /// that is shorter.
    pub remind_before: Duration,
    /// By how much a subscription's life is lengthened each time that its paused renewal would
    /// let it lapse.
    pub grace_step: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Policy {
            late_after_expiry: Late::Honour,
            late_after_cancel: Late::Refund,
            grace: secs(2),
            channels: BTreeMap::new(),
            other: ChannelRules::default(),
            close_schedule: Schedule {
                waits: vec![secs(1), secs(3), secs(10), secs(30), secs(60)],
                then_every: secs(300),
            },
            refund_schedule: Schedule {
                waits: vec![secs(3), secs(10), secs(30), secs(60), secs(300), secs(900)],
                then_every: secs(3600),
            },
            not_found_settles: secs(120),
            lapse_margin: secs(120),
            ending_patience: secs(600),
            review_after: secs(3600),
            remind_before: secs(2 * 3600),
            grace_step: secs(24 * 3600),
        }
    }
}

impl Policy {
    /// How long after the last moment at which a call may begin the world has surely seen the
    /// last of it: once for a process that was slow to send it, once for a provider that held it.
    pub(crate) fn calls_land(&self) -> Duration {
        self.not_found_settles * 2
    }

    /// What a channel's provider promises.
    pub fn rules(&self, channel: &ChannelId) -> &ChannelRules {
        self.channels.get(channel).unwrap_or(&self.other)
    }
}
