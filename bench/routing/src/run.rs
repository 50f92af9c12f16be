//! One router in one world: every router is fed the same pre-drawn outcomes.

use std::collections::VecDeque;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::watch::Watch;
use crate::world::{CHANNELS, LAG, PER_MINUTE, PER_SECOND, World};

/// A router under test. Time is counted in payments.
pub trait Router {
    /// Where the payment goes; `dice` is fresh in `[0, 1)`.
    fn choose(&mut self, payment: usize, dice: f64) -> usize;
    /// What became of the payment that was sent at `sent`.
    fn learn(&mut self, channel: usize, good: bool, sent: usize, now: usize);
    /// The channel that it holds for the best now, probes and exploration aside.
    fn leader(&mut self, now: usize) -> usize;

    // What only some rules ask for; a rule that does not is told nothing.

    /// The same as `choose`, for a customer of an issuer.
    fn choose_for(&mut self, _issuer: usize, now: usize, dice: f64) -> usize {
        self.choose(now, dice)
    }
    /// The same as `learn`, for a customer of an issuer.
    fn learn_for(&mut self, _issuer: usize, channel: usize, good: bool, sent: usize, now: usize) {
        self.learn(channel, good, sent, now);
    }
    /// A call was answered, or given up.
    fn answered(&mut self, _channel: usize, _answered: bool, _sent: usize, _now: usize) {}
    /// A code was shown.
    fn shown(&mut self, _channel: usize, _now: usize) {}
    /// What was shown was paid, or has expired.
    fn paid(&mut self, issuer: usize, channel: usize, paid: bool, shown: usize, now: usize) {
        self.learn_for(issuer, channel, paid, shown, now);
    }
    /// Time has passed.
    fn tick(&mut self, _now: usize) {}
    /// A channel will be away.
    fn announced(&mut self, _channel: usize, _from: usize, _until: usize) {}
}

/// Figures of one run.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Figures {
    /// Expected payments lost against one that knows the true rates.
    pub regret: f64,
    /// Payments that failed.
    pub lost: f64,
    /// Changes of leader.
    pub switches: f64,
    /// The most payments that one channel other than the first got in one second.
    pub worst_second: f64,
    /// Payments sent into the first fault before it was left, and seconds until then; `None`
    /// when there is no fault of one channel, or when it was not left.
    pub delay: Option<(f64, f64)>,
    /// Share of payments that the fault did not concern and that went elsewhere for it.
    pub moved: f64,
}

/// The best of some rates.
pub fn best(rates: &[f64]) -> usize {
    let better = |a: &usize, b: &usize| rates[*a].total_cmp(&rates[*b]);
    (0..rates.len()).rev().max_by(better).unwrap_or(0)
}

/// Knows the true rates; its regret is 0 by definition.
pub struct Oracle {
    world: World,
}

impl Oracle {
    /// Of a world.
    pub fn of(world: &World) -> Oracle {
        Oracle { world: world.clone() }
    }
}

impl Router for Oracle {
    fn choose(&mut self, now: usize, _: f64) -> usize {
        self.leader(now)
    }
    fn learn(&mut self, _: usize, _: bool, _: usize, _: usize) {}
    fn leader(&mut self, now: usize) -> usize {
        best(&self.world.rates(now))
    }
}

/// Runs a router through a world.
pub fn run(world: &World, seed: u64, router: &mut dyn Router) -> Figures {
    let fault = world.faults.first().filter(|f| f.channel == Some(0));
    let fault = fault.map(|f| [f.minutes.0, f.minutes.1].map(|m| (m * PER_MINUTE as f64) as usize));
    let mut watch = Watch::default();
    let mut outcomes = ChaCha8Rng::seed_from_u64(seed);
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x00D1_CE00);
    let mut pending: VecDeque<(usize, bool)> = VecDeque::with_capacity(LAG + 1);
    let mut figures = Figures::default();
    let mut second = [0.0_f64; CHANNELS];
    let mut leader = router.leader(0);
    for payment in 0..world.payments() {
        if payment >= LAG
            && let Some((channel, good)) = pending.pop_front()
        {
            router.learn(channel, good, payment - LAG, payment);
        }
        let rates = world.rates(payment);
        let drawn: [f64; CHANNELS] = std::array::from_fn(|_| outcomes.random());
        let channel = router.choose(payment, dice.random());
        if payment % PER_SECOND == 0 {
            second = [0.0; CHANNELS];
        }
        second[channel] += 1.0;
        let borne = channel > 0 || second[0] <= world.bears(payment);
        let good = borne && drawn[channel] < rates[channel];
        pending.push_back((channel, good));
        let rate = if borne { rates[channel] } else { 0.0 };
        figures.regret += rates.iter().copied().fold(0.0, f64::max) - rate;
        figures.lost += f64::from(u8::from(!good));
        if let Some([from, until]) = fault
            && (from..until).contains(&payment)
        {
            watch.see(channel == 0, payment - from);
        }
        if channel > 0 {
            figures.worst_second = figures.worst_second.max(second[channel]);
        }
        let now = router.leader(payment);
        figures.switches += f64::from(u8::from(now != leader));
        leader = now;
    }
    let left = watch.left().map(|(hit, ticks)| (hit as f64, ticks as f64 / PER_SECOND as f64));
    figures.delay = left;
    figures
}
