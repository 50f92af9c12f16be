//! What a channel's calls are made with: the settings in force, those that are being tried,
//! and those that were in force and are still believed.
//!
//! Whoever signs is one; whoever is believed may be several, so that a key that changes at the
//! provider later, or earlier, than here costs no answer and no notification.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::{Answer, Class, Tally, Timestamp};
use tokio::sync::Semaphore;

use super::CallLimits;
use super::purse::Purse;
use super::witness::Witnesses;
use crate::Provider;

/// Settings of one channel that are still believed, at most; the oldest give way.
const FORMER_MAX: usize = 4;

/// The connections of a channel and the budget of calls on them. They outlive a change of keys.
pub(super) struct Line {
    pub(super) http: reqwest::Client,
    pub(super) budget: Semaphore,
    pub(super) limits: CallLimits,
}

impl Line {
    pub(super) fn new(limits: &CallLimits) -> Result<Line, reqwest::Error> {
        Ok(Line {
            http: super::client(limits)?,
            budget: Semaphore::new(limits.max_in_flight.min(Semaphore::MAX_PERMITS)),
            limits: limits.clone(),
        })
    }

    /// Whether these limits leave the connections as they are; the time of a call is not theirs.
    fn serves(&self, limits: &CallLimits) -> bool {
        self.limits.connect_timeout == limits.connect_timeout
            && self.limits.max_in_flight == limits.max_in_flight
            && self.limits.roots == limits.roots
    }
}

/// One set of a channel's settings, ready to call.
pub(super) struct Channel {
    pub(super) codec: Arc<dyn Provider>,
    pub(super) line: Arc<Line>,
    pub(super) timeout: Duration,
    pub(super) purse: Purse,
    pub(super) witnesses: Witnesses,
}

/// A channel.
#[derive(Clone, Default)]
pub(super) struct Slot {
    /// In force; `None` for a channel that is only being tried.
    pub(super) current: Option<Arc<Channel>>,
    /// Being tried on a share of the payments.
    pub(super) candidate: Option<Arc<Channel>>,
    /// No longer in force, believed until then.
    former: Vec<(Arc<Channel>, Timestamp)>,
    pub(super) arms: Arc<Mutex<Arms>>,
}

/// How calls went while settings were tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arms {
    /// With the settings that are tried.
    pub candidate: Tally,
    /// With those in force, for the other payments.
    pub current: Tally,
}

impl Slot {
    /// These settings, on the connections that the channel has where they fit.
    pub(super) fn ready(
        &self,
        codec: Arc<dyn Provider>,
        limits: &CallLimits,
    ) -> Result<Arc<Channel>, reqwest::Error> {
        let known = self.current.as_ref().or(self.candidate.as_ref());
        let line = match known.filter(|known| known.line.serves(limits)) {
            Some(known) => Arc::clone(&known.line),
            None => Arc::new(Line::new(limits)?),
        };
        let (purse, witnesses) = (Purse::default(), Witnesses::default());
        Ok(Arc::new(Channel { codec, line, timeout: limits.timeout, purse, witnesses }))
    }

    /// Puts settings in force; what they replace is believed until then.
    pub(super) fn replace(&mut self, next: Arc<Channel>, now: Timestamp, until: Timestamp) {
        self.former.retain(|(_, end)| now < *end);
        // Each costs a verification of whatever nobody signed.
        let surplus = (self.former.len() + 1).saturating_sub(FORMER_MAX);
        self.former.drain(..surplus);
        if let Some(old) = self.current.replace(next).filter(|_| now < until) {
            self.former.push((old, until));
        }
    }

    /// Whoever may be believed at `now`, whoever signs first.
    pub(super) fn believed(&self, now: Timestamp) -> Vec<Arc<Channel>> {
        let former = self.former.iter().filter(|(_, until)| now < *until).map(|(old, _)| old);
        self.current.iter().chain(&self.candidate).chain(former).cloned().collect()
    }

    /// The settings in force, or those that are tried where there are none.
    pub(super) fn usual(&self) -> Option<&Arc<Channel>> {
        self.current.as_ref().or(self.candidate.as_ref())
    }
}

/// A call that is counted however it ends; one whose caller goes away has an unknown effect.
pub(super) struct Counted<'s> {
    arms: &'s Mutex<Arms>,
    of: fn(&mut Arms) -> &mut Tally,
    /// Nobody has counted it yet.
    open: bool,
}

impl<'s> Counted<'s> {
    pub(super) fn new(arms: &'s Mutex<Arms>, of: fn(&mut Arms) -> &mut Tally) -> Counted<'s> {
        Counted { arms, of, open: true }
    }

    /// Counts the answer. One that was made up here, because of our own clock or budget, says
    /// nothing about the settings.
    pub(super) fn end(mut self, answer: &Answer, rescued: bool) {
        self.open = false;
        if is_ours(answer) {
            return;
        }
        self.with(|tally| {
            tally.count(answer.class());
            tally.rescued += u64::from(rescued);
        });
    }

    fn with(&self, change: impl FnOnce(&mut Tally)) {
        let mut arms = self.arms.lock().unwrap_or_else(PoisonError::into_inner);
        change((self.of)(&mut arms));
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if self.open {
            self.with(|tally| tally.count(Class::Unknown));
        }
    }
}

/// Whether nothing but this process had a say in the answer.
pub(super) fn is_ours(answer: &Answer) -> bool {
    let ours = ["budget", "deadline", "no_channel", "unsupported"];
    answer.code().is_some_and(|code| ours.contains(&code))
}
