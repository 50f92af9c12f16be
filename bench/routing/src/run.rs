//! One router in one world: every router is fed the same pre-drawn outcomes.

use std::collections::VecDeque;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::world::{CHANNELS, LAG, PER_SECOND, World};

/// A router under test. Time is counted in payments.
pub trait Router {
    /// Where the payment goes; `dice` is fresh in `[0, 1)`.
    fn choose(&mut self, payment: usize, dice: f64) -> usize;
    /// What became of the payment that was sent at `sent`.
    fn learn(&mut self, channel: usize, good: bool, sent: usize, now: usize);
    /// The channel that it holds for the best now, probes and exploration aside.
    fn leader(&mut self, now: usize) -> usize;
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
}

/// Runs a router through a world.
pub fn run(world: &World, seed: u64, router: &mut dyn Router) -> Figures {
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
        if channel > 0 {
            figures.worst_second = figures.worst_second.max(second[channel]);
        }
        let now = router.leader(payment);
        figures.switches += f64::from(u8::from(now != leader));
        leader = now;
    }
    figures
}
