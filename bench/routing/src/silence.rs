//! Calls that hang and calls that are slow, on virtual time.
//!
//! Latency is lognormal with a median of 0.9 s and a 99th percentile of 4 s; calls are given
//! up after 30 s. A hang holds what is in flight when it begins as well as what comes after.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use domain::{ChannelId, Method, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use resilience::{Board, CellKey, HealthState, Observation, Sent, Settings};
use serde::Serialize;

use crate::stats::Mean;

const MEDIAN_S: f64 = 0.9;
/// ln(4 / 0.9) over the normal 99th percentile.
const SIGMA: f64 = 0.6412;
const TIMEOUT_S: f64 = 30.0;
const TICK_MS: u64 = 50;

/// A row: what happened and when it was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Hang {
    /// Calls a second.
    pub rate: f64,
    /// Share that hangs.
    pub share: f64,
    /// Seconds until the cell falls, by ours.
    pub seconds: Mean,
    /// Seconds until five completed calls in a row have failed.
    pub five_in_a_row: Mean,
}

/// A row: a change of latency, and what the cell took it for.
#[derive(Clone, Debug, Serialize)]
pub struct Slow {
    /// Latency is multiplied by this.
    pub factor: f64,
    /// Minutes in which the cell was taken down, of those simulated.
    pub down: usize,
    /// Minutes in which it was called slow.
    pub slow: usize,
    /// Minutes.
    pub of: usize,
}

struct Sim {
    board: Board,
    key: CellKey,
    dice: ChaCha8Rng,
    now: Timestamp,
    rate: f64,
    next: Timestamp,
    // Due, begun, and whether it is answered.
    due: BinaryHeap<Reverse<(Timestamp, Timestamp, bool)>>,
    row: u32,
    five_at: Option<Timestamp>,
}

impl Sim {
    fn new(rate: f64, seed: u64) -> Option<Sim> {
        let now = Timestamp::from_secs(43_200);
        let key = CellKey { channel: ChannelId::new("one").ok()?, method: Method::Card };
        Some(Sim {
            board: Board::new(Settings::default()),
            key,
            dice: ChaCha8Rng::seed_from_u64(seed),
            now,
            rate,
            next: now,
            due: BinaryHeap::new(),
            row: 0,
            five_at: None,
        })
    }

    fn latency(&mut self, factor: f64) -> Duration {
        // Box and Muller.
        let (u, v): (f64, f64) = (self.dice.random(), self.dice.random());
        let normal = (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        Duration::from_secs_f64((MEDIAN_S * factor * (SIGMA * normal).exp()).min(TIMEOUT_S))
    }

    fn begin(&mut self, hang: f64, factor: f64) {
        let at = self.next;
        self.board.called(&self.key, at);
        let latency = self.latency(factor);
        let hangs = self.dice.random::<f64>() < hang;
        let takes = if hangs { Duration::from_secs_f64(TIMEOUT_S) } else { latency };
        let answered = !hangs && latency.as_secs_f64() < TIMEOUT_S;
        self.due.push(Reverse((at + takes, at, answered)));
        let gap = -(1.0 - self.dice.random::<f64>()).ln() / self.rate;
        self.next = at + Duration::from_secs_f64(gap);
    }

    fn finish(&mut self, at: Timestamp, begun: Timestamp, answered: bool) {
        let lane = self.board.lane(&self.key, at);
        let sent = Sent { lane, issuer: None, at: begun };
        self.board.answered(sent, answered, at);
        let seen = if answered { Observation::Good } else { Observation::Bad };
        self.board.learn(sent, seen, at);
        self.row = if answered { 0 } else { self.row + 1 };
        if self.row >= 5 && self.five_at.is_none() {
            self.five_at = Some(at);
        }
    }

    /// Runs until `until`, or until the cell falls when `stop` says so.
    fn run(&mut self, until: Timestamp, hang: f64, factor: f64, stop: bool) -> bool {
        while self.now < until {
            self.now = self.now + Duration::from_millis(TICK_MS);
            loop {
                let due = self.due.peek().map(|Reverse(d)| *d);
                match due {
                    Some((at, begun, answered)) if at <= self.next.min(self.now) => {
                        self.due.pop();
                        self.finish(at, begun, answered);
                    }
                    _ if self.next <= self.now => self.begin(hang, factor),
                    _ => break,
                }
            }
            self.board.tick(self.now);
            if stop && self.is_down() {
                return true;
            }
        }
        false
    }

    fn is_down(&self) -> bool {
        self.board.cell(&self.key).is_some_and(|c| matches!(c.state, HealthState::Down { .. }))
    }

    /// What is in flight begins to hang.
    fn freeze(&mut self, share: f64) {
        let flying: Vec<_> = self.due.drain().collect();
        for Reverse((at, begun, answered)) in flying {
            let hangs = self.dice.random::<f64>() < share;
            let at = if hangs { begun + Duration::from_secs_f64(TIMEOUT_S) } else { at };
            self.due.push(Reverse((at, begun, answered && !hangs)));
        }
    }
}

/// How soon hangs are seen.
pub fn hangs(runs: u64, seed: u64) -> Vec<Hang> {
    let cases = [(50.0, 1.0), (50.0, 0.3), (5.0, 1.0), (0.5, 1.0)];
    let row = |(rate, share): (f64, f64)| {
        let mut ours = Vec::new();
        let mut five = Vec::new();
        for run in 0..runs {
            let Some(mut sim) = Sim::new(rate, seed + run) else { continue };
            let warm = (1_500.0 / rate).max(60.0);
            let start = sim.now + Duration::from_secs_f64(warm);
            sim.run(start, 0.0, 1.0, false);
            sim.freeze(share);
            let end = sim.now + Duration::from_secs(120);
            sim.row = 0;
            sim.five_at = None;
            let begun = sim.now;
            sim.run(end, share, 1.0, true);
            ours.push(sim.now.since(begun).as_secs_f64());
            sim.run(end, share, 1.0, false);
            five.push(sim.five_at.unwrap_or(end).since(begun).as_secs_f64());
        }
        Hang { rate, share, seconds: Mean::of(&ours), five_in_a_row: Mean::of(&five) }
    };
    cases.map(row).to_vec()
}

/// What a minute of slower answers is taken for.
pub fn slow(runs: u64, seed: u64) -> Vec<Slow> {
    let row = |factor: f64| {
        let (mut down, mut slow) = (0, 0);
        for run in 0..runs {
            let Some(mut sim) = Sim::new(50.0, seed + 1_000 + run) else { continue };
            let start = sim.now + Duration::from_secs(60);
            sim.run(start, 0.0, 1.0, false);
            let end = sim.now + Duration::from_secs(60);
            down += usize::from(sim.run(end, 0.0, factor, true));
            let lane = sim.board.lane(&sim.key.clone(), sim.now);
            slow += usize::from(sim.board.latency(lane).is_slow());
        }
        Slow { factor, down, slow, of: runs as usize }
    };
    [1.0, 1.2, 1.5, 2.0].map(row).to_vec()
}
