//! The piecewise-stationary bandit problem PB1 of Besson, Kaufmann, Maillard and Seznec
//! (2019): three arms, five episodes, feedback at once.

use std::collections::VecDeque;

use domain::{ChannelId, Method, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use resilience::{Board, CellKey, Lane, Observation, Request, Sent, Settings};
use serde::Serialize;

use crate::par;
use crate::stats::Mean;

const ARMS: usize = 3;
const HORIZON: usize = 20_000;
const MEANS: [[f64; ARMS]; 5] =
    [[0.9, 0.5, 0.3], [0.9, 0.2, 0.3], [0.1, 0.2, 0.3], [0.1, 0.7, 0.3], [0.1, 0.7, 0.5]];

/// A player of the bandit.
trait Player {
    fn pull(&mut self, step: usize, dice: f64) -> usize;
    fn reward(&mut self, arm: usize, won: bool, step: usize);
}

/// UCB1 with restarts that a test of each arm's rewards asks for, and forced exploration.
struct Restarting<T> {
    counts: [(f64, f64); ARMS],
    since: usize,
    explore: f64,
    tests: [T; ARMS],
    kl: bool,
    told: bool,
}

/// A test for a change of one arm's mean.
trait Change: Default {
    fn changed(&mut self, won: bool) -> bool;
    fn clear(&mut self) {
        *self = Self::default();
    }
}

fn kl(p: f64, q: f64) -> f64 {
    let (p, q) = (p.clamp(1e-9, 1.0 - 1e-9), q.clamp(1e-9, 1.0 - 1e-9));
    p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln()
}

/// Bernoulli GLR with confidence 1/sqrt(T); splits are tried at every fifth reward, every
/// tenth step, as the authors do to save time.
#[derive(Default)]
struct Glr {
    sums: Vec<f64>,
}

impl Change for Glr {
    fn changed(&mut self, won: bool) -> bool {
        let last = self.sums.last().copied().unwrap_or(0.0);
        self.sums.push(last + f64::from(u8::from(won)));
        let n = self.sums.len();
        if !n.is_multiple_of(10) {
            return false;
        }
        let (all, n) = (self.sums[n - 1], n as f64);
        let limit = (3.0 * n * n.sqrt() * (HORIZON as f64).sqrt()).ln();
        (4..self.sums.len() - 1).step_by(5).any(|split| {
            let (s, left) = ((split + 1) as f64, self.sums[split]);
            let mean = all / n;
            s * kl(left / s, mean) + (n - s) * kl((all - left) / (n - s), mean) > limit
        })
    }
}

/// Two-sided CUSUM of Liu, Lee and Shroff (2018): M = 200, epsilon = 0.1, h = ln(T / 4).
#[derive(Default)]
struct Cusum {
    seen: f64,
    sum: f64,
    up: f64,
    down: f64,
}

impl Change for Cusum {
    fn changed(&mut self, won: bool) -> bool {
        let x = f64::from(u8::from(won));
        self.seen += 1.0;
        if self.seen <= 200.0 {
            self.sum += x;
            return false;
        }
        let mean = self.sum / 200.0;
        self.up = (self.up + x - mean - 0.1).max(0.0);
        self.down = (self.down + mean - x - 0.1).max(0.0);
        self.up.max(self.down) > (HORIZON as f64 / 4.0).ln()
    }
}

/// Two halves of a window, Cao et al. (2019): w = 200, b = sqrt(w ln(2 K T^2) / 2).
#[derive(Default)]
struct Halves {
    window: VecDeque<bool>,
}

impl Change for Halves {
    fn changed(&mut self, won: bool) -> bool {
        self.window.push_back(won);
        if self.window.len() > 200 {
            self.window.pop_front();
        }
        if self.window.len() < 200 {
            return false;
        }
        let ones = |from: usize| self.window.range(from..from + 100).filter(|w| **w).count();
        let limit = (100.0 * (2.0 * ARMS as f64 * (HORIZON as f64).powi(2)).ln()).sqrt();
        (ones(0) as f64 - ones(100) as f64).abs() > limit
    }
}

impl<T: Change> Restarting<T> {
    fn new(explore: f64, kl: bool) -> Restarting<T> {
        let tests = std::array::from_fn(|_| T::default());
        Restarting { counts: [(0.0, 0.0); ARMS], since: 0, explore, tests, kl, told: false }
    }

    fn bound(&self, arm: usize, log: f64) -> f64 {
        let (won, all) = self.counts[arm];
        if all == 0.0 {
            return f64::INFINITY;
        }
        let mean = won / all;
        if !self.kl {
            return mean + (2.0 * log / all).sqrt();
        }
        let (mut low, mut high) = (mean, 1.0);
        for _ in 0..20 {
            let middle = 0.5 * (low + high);
            if all * kl(mean, middle) > log { high = middle } else { low = middle }
        }
        low
    }
}

fn best(value: impl Fn(usize) -> f64) -> usize {
    (0..ARMS).rev().max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(0)
}

impl<T: Change> Player for Restarting<T> {
    fn pull(&mut self, step: usize, dice: f64) -> usize {
        if dice < self.explore {
            return ((dice / self.explore) * ARMS as f64) as usize;
        }
        let log = ((step - self.since).max(1) as f64).ln();
        best(|arm| self.bound(arm, log))
    }

    fn reward(&mut self, arm: usize, won: bool, step: usize) {
        self.counts[arm].0 += f64::from(u8::from(won));
        self.counts[arm].1 += 1.0;
        let told = self.told && (step + 1).is_multiple_of(HORIZON / MEANS.len());
        if self.tests[arm].changed(won) || told {
            self.counts = [(0.0, 0.0); ARMS];
            self.since = step;
            self.tests.iter_mut().for_each(Change::clear);
        }
    }
}

/// SW-UCB with the window 2 sqrt(T ln T / changes).
struct Sliding {
    window: VecDeque<(usize, bool)>,
    size: usize,
    counts: [(f64, f64); ARMS],
}

impl Player for Sliding {
    fn pull(&mut self, step: usize, _: f64) -> usize {
        let log = (step.min(self.size).max(2) as f64).ln();
        best(|arm| match self.counts[arm] {
            (_, 0.0) => f64::INFINITY,
            (won, all) => won / all + (0.5 * log / all).sqrt(),
        })
    }

    fn reward(&mut self, arm: usize, won: bool, _: usize) {
        self.window.push_back((arm, won));
        self.counts[arm].0 += f64::from(u8::from(won));
        self.counts[arm].1 += 1.0;
        if self.window.len() > self.size
            && let Some((old, was)) = self.window.pop_front()
        {
            self.counts[old].0 -= f64::from(u8::from(was));
            self.counts[old].1 -= 1.0;
        }
    }
}

/// D-UCB of Garivier and Moulines: counts that fade, with the factor 1 - sqrt(changes / T) / 4.
struct Discounted {
    keep: f64,
    counts: [(f64, f64); ARMS],
}

impl Player for Discounted {
    fn pull(&mut self, _: usize, _: f64) -> usize {
        let all: f64 = self.counts.iter().map(|(_, all)| all).sum();
        let log = all.max(2.0).ln();
        best(|arm| match self.counts[arm] {
            (_, 0.0) => f64::INFINITY,
            (won, all) => won / all + 2.0 * (0.5 * log / all).sqrt(),
        })
    }

    fn reward(&mut self, arm: usize, won: bool, _: usize) {
        for (won, all) in &mut self.counts {
            (*won, *all) = (*won * self.keep, *all * self.keep);
        }
        self.counts[arm].0 += f64::from(u8::from(won));
        self.counts[arm].1 += 1.0;
    }
}

/// Is told of each change: kl-UCB that starts anew then.
#[derive(Default)]
struct Told {
    seen: usize,
}

impl Change for Told {
    fn changed(&mut self, _: bool) -> bool {
        self.seen += 1;
        false
    }
}

/// Ours, as it ships; a step is a fiftieth of a second.
struct Evergate {
    board: Board,
    lanes: Vec<Lane>,
}

fn at(step: usize) -> Timestamp {
    Timestamp::from_millis(43_200_000 + step as i64 * 20)
}

impl Evergate {
    fn new() -> Evergate {
        let mut board = Board::new(Settings::default());
        let lanes = (0..ARMS)
            .filter_map(|a| ChannelId::new(&format!("a{a}")).ok())
            .map(|channel| board.lane(&CellKey { channel, method: Method::Card }, at(0)))
            .collect();
        Evergate { board, lanes }
    }
}

impl Player for Evergate {
    fn pull(&mut self, step: usize, dice: f64) -> usize {
        let Evergate { board, lanes } = self;
        let now = at(step);
        let request =
            Request { candidates: lanes, fees: &[], issuer: None, spare: true, dice, now };
        let index = board.choose(&request).map_or(0, |d| d.index);
        board.sent_lane(Sent { lane: lanes[index], issuer: None, at: now }, dice);
        index
    }

    fn reward(&mut self, arm: usize, won: bool, step: usize) {
        let seen = if won { Observation::Paid } else { Observation::Unpaid };
        let sent = Sent { lane: self.lanes[arm], issuer: None, at: at(step) };
        self.board.learn(sent, seen, at(step + 1));
    }
}

/// A row.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The algorithm.
    pub player: &'static str,
    /// Regret at the horizon.
    pub regret: Mean,
}

fn play(player: &mut dyn Player, seed: u64) -> f64 {
    let mut rewards = ChaCha8Rng::seed_from_u64(seed);
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x00D1_CE00);
    let mut regret = 0.0;
    for step in 0..HORIZON {
        let means = MEANS[step * MEANS.len() / HORIZON];
        let drawn: [f64; ARMS] = std::array::from_fn(|_| rewards.random());
        let arm = player.pull(step, dice.random());
        player.reward(arm, drawn[arm] < means[arm], step);
        regret += means.iter().copied().fold(0.0, f64::max) - means[arm];
    }
    regret
}

type Make = Box<dyn Fn() -> Box<dyn Player> + Sync>;

fn players() -> Vec<(&'static str, Make)> {
    let horizon = HORIZON as f64;
    let changes = MEANS.len() as f64 - 1.0;
    // Forced exploration: of the order that the papers ask for, with a factor of 0.1 as is
    // usual in experiments; M-UCB has a rate of its own.
    let explore = 0.1 * (changes * horizon.ln() / horizon).sqrt();
    let window = (2.0 * (horizon * horizon.ln() / changes).sqrt()) as usize;
    let limit = (100.0 * (2.0 * ARMS as f64 * horizon.powi(2)).ln()).sqrt();
    let monitored =
        (changes * ARMS as f64 * (2.0 * limit + 3.0 * 200.0_f64.sqrt()) / (2.0 * horizon)).sqrt();
    let keep = 1.0 - (changes / horizon).sqrt() / 4.0;
    let counts = [(0.0, 0.0); ARMS];
    vec![
        (
            "told of the changes, kl-UCB",
            Box::new(|| {
                let told = Restarting::<Told>::new(0.0, true);
                Box::new(Restarting { told: true, ..told })
            }),
        ),
        ("GLR-klUCB", Box::new(move || Box::new(Restarting::<Glr>::new(explore, true)))),
        ("CUSUM-UCB", Box::new(move || Box::new(Restarting::<Cusum>::new(explore, false)))),
        ("CUSUM-klUCB", Box::new(move || Box::new(Restarting::<Cusum>::new(explore, true)))),
        ("M-UCB", Box::new(move || Box::new(Restarting::<Halves>::new(monitored, false)))),
        ("M-klUCB", Box::new(move || Box::new(Restarting::<Halves>::new(explore, true)))),
        (
            "SW-UCB",
            Box::new(move || Box::new(Sliding { window: VecDeque::new(), size: window, counts })),
        ),
        ("D-UCB", Box::new(move || Box::new(Discounted { keep, counts }))),
        ("evergate", Box::new(|| Box::new(Evergate::new()))),
    ]
}

/// All players, on the same rewards.
pub fn rows(runs: u64, seed: u64) -> Vec<Row> {
    let players = players();
    let jobs: Vec<(usize, u64)> =
        (0..players.len()).flat_map(|p| (0..runs).map(move |r| (p, r))).collect();
    let values = par::map("PB1", &jobs, |(p, r)| play((players[*p].1)().as_mut(), seed + r));
    let rows = players.iter().zip(values.chunks(runs.max(1) as usize));
    rows.map(|((player, _), values)| Row { player, regret: Mean::of(values) }).collect()
}
