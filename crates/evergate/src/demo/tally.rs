//! What happens while a demo runs, counted where shoppers and the screen can both see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::{Method, PaymentId};
use hdrhistogram::Histogram;

use super::timing::Seen;

/// How a visit ended.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    /// Paid.
    Paid,
    /// The shopper's bank said no.
    Refused,
    /// The shopper went away.
    Left,
    /// The shopper wanted to pay and could not.
    CouldNot {
        /// What the shopper could have paid with.
        methods: Vec<Method>,
        /// The shopper's bank, where one was chosen.
        bank: Option<&'static str>,
        /// From the first try.
        from: Instant,
        /// To the last one.
        to: Instant,
    },
    /// A charge is still being confirmed.
    Waiting,
}

/// Counts of one run.
pub(super) struct Tally {
    inner: Mutex<Inner>,
    seen: Arc<Mutex<Seen>>,
}

struct Inner {
    asked: u64,
    paid: u64,
    rerouted: BTreeSet<PaymentId>,
    endings: BTreeMap<usize, Ending>,
    /// When shoppers were sent elsewhere.
    reroutes: Vec<Instant>,
    added: Histogram<u64>,
    whole: Histogram<u64>,
    violations: Vec<String>,
    banks: BTreeMap<&'static str, AtCashier>,
    /// When shoppers agreed at PayPal.
    approved: BTreeMap<PaymentId, Instant>,
}

/// What became of a bank's customers whom it refused at UnionPay's cashier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AtCashier {
    /// The shop offered another method.
    pub(super) offered: u64,
    /// They had none.
    pub(super) turned_away: u64,
}

/// Latencies in microseconds: median and 99th percentile.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latency {
    /// Median.
    pub p50_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
}

impl Tally {
    /// Counts beside what the watched caller has seen.
    pub(super) fn new(seen: Arc<Mutex<Seen>>) -> Tally {
        let histogram = || {
            Histogram::new_with_max(600_000_000, 3).expect("10 minutes in 3 digits is a histogram")
        };
        let inner = Inner {
            asked: 0,
            paid: 0,
            rerouted: BTreeSet::new(),
            endings: BTreeMap::new(),
            reroutes: Vec::new(),
            added: histogram(),
            whole: histogram(),
            violations: Vec::new(),
            banks: BTreeMap::new(),
            approved: BTreeMap::new(),
        };
        Tally { inner: Mutex::new(inner), seen }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shopper asked to pay.
    pub(super) fn asked(&self) {
        self.lock().asked += 1;
    }

    /// A shopper has paid.
    pub(super) fn paid(&self) {
        self.lock().paid += 1;
    }

    /// The gateway did what it must never do.
    pub(super) fn violated(&self, what: String) {
        self.lock().violations.push(what);
    }

    /// A bank refused at UnionPay's cashier, and the shop offered another method.
    pub(super) fn offered(&self, bank: &'static str) {
        self.lock().banks.entry(bank).or_default().offered += 1;
    }

    /// A bank refused at UnionPay's cashier, and the shopper had no other method.
    pub(super) fn turned_away(&self, bank: &'static str) {
        self.lock().banks.entry(bank).or_default().turned_away += 1;
    }

    /// What became of a bank's customers whom it refused.
    pub(super) fn at_cashier(&self, bank: &str) -> AtCashier {
        self.lock().banks.get(bank).copied().unwrap_or_default()
    }

    /// A shopper has agreed at PayPal that the money be taken.
    pub(super) fn approved(&self, id: &str) {
        if let Ok(id) = id.parse() {
            self.lock().approved.entry(id).or_insert_with(Instant::now);
        }
    }

    /// Who agreed at PayPal, and when.
    pub(super) fn approvals(&self) -> BTreeMap<PaymentId, Instant> {
        self.lock().approved.clone()
    }

    /// A request was answered. What its provider calls took is subtracted from what it took in
    /// all; read at once, before a later request of the same payment adds to it.
    pub(super) fn answered(&self, id: Option<PaymentId>, took: Option<Duration>, rerouted: bool) {
        let now = Instant::now();
        let in_calls = id.and_then(|id| {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.creating.get(&id).copied()
        });
        let mut inner = self.lock();
        if let (Some(id), true) = (id, rerouted)
            && inner.rerouted.insert(id)
        {
            inner.reroutes.push(now);
        }
        if let (Some(took), Some(in_calls)) = (took, in_calls) {
            inner.added.saturating_record(micros(took.saturating_sub(in_calls)));
            inner.whole.saturating_record(micros(took));
        }
    }

    /// A visit ended.
    pub(super) fn ended(&self, number: usize, ending: Ending) {
        self.lock().endings.insert(number, ending);
    }

    /// Asked, paid and rerouted so far.
    pub(super) fn so_far(&self) -> (u64, u64, u64) {
        let inner = self.lock();
        (inner.asked, inner.paid, inner.rerouted.len() as u64)
    }

    /// How visits ended.
    pub(super) fn endings(&self) -> Vec<Ending> {
        self.lock().endings.values().cloned().collect()
    }

    /// What must never happen and did.
    pub(super) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// From a moment to the first shopper who was sent elsewhere after it.
    pub(super) fn first_reroute_after(&self, moment: Instant) -> Option<Duration> {
        self.lock().reroutes.iter().filter_map(|at| at.checked_duration_since(moment)).min()
    }

    /// What the gateway added, and what create requests took in all.
    pub(super) fn latencies(&self) -> (Latency, Latency) {
        let inner = self.lock();
        let of = |h: &Histogram<u64>| Latency {
            p50_us: h.value_at_quantile(0.50),
            p99_us: h.value_at_quantile(0.99),
        };
        (of(&inner.added), of(&inner.whole))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
