//! Watches every provider call of the demo: how long it took, and how it ended.
//!
//! It sits between the engine and the driver, where nothing but the call itself happens, so
//! that "what the gateway added" can be told from "what the provider took": a create request's
//! calls are made one after the other, and their sum is subtracted from what the shopper's
//! client measured.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::{
    Answer, ChannelId, CloseState, Fault, Operation, OrderState, Outcome, PaymentId,
    ProviderOrderNo, Timestamp,
};
use engine::Caller;

/// The watched way to the providers.
pub(super) struct Watched {
    inner: Arc<dyn Caller>,
    seen: Arc<Mutex<Seen>>,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How long the create calls of each payment took in all.
    pub(super) creating: HashMap<PaymentId, Duration>,
    /// Counts by channel.
    pub(super) channels: BTreeMap<ChannelId, Counts>,
    /// Why create calls failed.
    pub(super) codes: Codes,
    /// Orders whose effect is not known at this moment.
    pub(super) unsettled: HashSet<ProviderOrderNo>,
    /// Orders whose effect was unknown once and is known now.
    pub(super) settled: u64,
    /// Certificates that had run out, by channel.
    pub(super) certificates: BTreeMap<ChannelId, Lapsed>,
}

/// A provider signed with a certificate that had run out.
#[derive(Clone, Debug)]
pub(super) struct Lapsed {
    /// Which one and since when, as the codec says it.
    pub(super) detail: String,
    /// The first such answer.
    pub(super) first: Instant,
    /// The last one.
    pub(super) last: Instant,
    /// How many.
    pub(super) answers: u64,
}

/// Create calls of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Answered: a code, a charge, or the customer's own refusal.
    pub(super) good: u64,
    /// Failed technically.
    pub(super) bad: u64,
}

/// How often each code was the reason of a failed create call, by channel.
pub(super) type Codes = BTreeMap<(ChannelId, String), u64>;

impl Watched {
    /// Watches the calls of `inner`.
    pub(super) fn new(inner: Arc<dyn Caller>, seen: Arc<Mutex<Seen>>) -> Watched {
        Watched { inner, seen }
    }
}

#[async_trait]
impl Caller for Watched {
    async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        let began = Instant::now();
        let answer = self.inner.call(channel, op, until).await;
        let took = began.elapsed();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.note(channel, op, &answer, took);
        answer
    }
}

impl Seen {
    fn note(&mut self, channel: &ChannelId, op: &Operation, answer: &Answer, took: Duration) {
        let number = op.number();
        if let Some(fault) = fault_of(answer).filter(|fault| fault.code == "certificate_expired") {
            self.note_certificate(channel, &fault.detail);
        }
        match answer {
            Answer::Create(outcome) => {
                if let Some((payment, _)) = ProviderOrderNo::parse(number.as_str()) {
                    *self.creating.entry(payment).or_default() += took;
                }
                if let Outcome::Unknown(f) | Outcome::Rejected(f) | Outcome::Unavailable(f) =
                    outcome
                {
                    *self.codes.entry((channel.clone(), f.code.clone())).or_default() += 1;
                }
                let counts = self.channels.entry(channel.clone()).or_default();
                match outcome {
                    Outcome::Ok(_) | Outcome::Declined(_) => counts.good += 1,
                    Outcome::Unknown(_) => {
                        counts.bad += 1;
                        self.unsettled.insert(number.clone());
                    }
                    Outcome::Rejected(_) | Outcome::Unavailable(_) => counts.bad += 1,
                }
            }
            Answer::Query(outcome) => {
                if matches!(
                    outcome,
                    Outcome::Ok(OrderState::Paid(_) | OrderState::Closed | OrderState::Declined(_))
                ) {
                    self.settle(number);
                }
            }
            Answer::Close(outcome) => {
                if matches!(
                    outcome,
                    Outcome::Ok(
                        CloseState::Closed
                            | CloseState::NotFound
                            | CloseState::NotTaken
                            | CloseState::AlreadyPaid(Some(_))
                            | CloseState::PaidAndRefunded(_)
                    )
                ) {
                    self.settle(number);
                }
            }
            Answer::Refund(_) | Answer::QueryRefund(_) => {}
        }
    }

    fn note_certificate(&mut self, channel: &ChannelId, detail: &str) {
        let now = Instant::now();
        let fresh = || Lapsed { detail: detail.to_owned(), first: now, last: now, answers: 0 };
        let known = self.certificates.entry(channel.clone()).or_insert_with(fresh);
        (known.last, known.answers) = (now, known.answers + 1);
    }

    fn settle(&mut self, number: &ProviderOrderNo) {
        if self.unsettled.remove(number) {
            self.settled += 1;
        }
    }
}

/// What went wrong with a call, if it did.
fn fault_of(answer: &Answer) -> Option<&Fault> {
    fn of<T>(outcome: &Outcome<T>) -> Option<&Fault> {
        match outcome {
            Outcome::Unknown(fault) | Outcome::Rejected(fault) | Outcome::Unavailable(fault) => {
                Some(fault)
            }
            Outcome::Ok(_) | Outcome::Declined(_) => None,
        }
    }
    match answer {
        Answer::Create(outcome) => of(outcome),
        Answer::Query(outcome) => of(outcome),
        Answer::Close(outcome) => of(outcome),
        Answer::Refund(outcome) | Answer::QueryRefund(outcome) => of(outcome),
    }
}
