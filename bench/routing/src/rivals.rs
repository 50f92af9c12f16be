//! The rules of others, from their documentation, as deciders among four channels. Breakers
//! take the first channel in the merchant's order that they allow.

use std::collections::VecDeque;

use crate::run::Router;
use crate::world::{CHANNELS, PER_SECOND};

fn seconds(s: f64) -> usize {
    (s * PER_SECOND as f64) as usize
}

/// Always the first.
pub struct Static;

impl Router for Static {
    fn choose(&mut self, _: usize, _: f64) -> usize {
        0
    }
    fn learn(&mut self, _: usize, _: bool, _: usize, _: usize) {}
    fn leader(&mut self, _: usize) -> usize {
        0
    }
}

/// decision-engine's success rate, version 3: a window of results per channel that begins
/// full of successes, the best mean wins, and a share is spread evenly (hedging). With
/// elimination, a score per channel falls by 5 % a failure and recovers by as much a success,
/// and a channel below 0.05 is left out.
pub struct SuccessRate {
    windows: [VecDeque<bool>; CHANNELS],
    wins: [usize; CHANNELS],
    hedge: f64,
    elimination: Option<[f64; CHANNELS]>,
}

impl SuccessRate {
    /// A window of so many results, and the share that is hedged.
    pub fn new(window: usize, hedge: f64, elimination: bool) -> SuccessRate {
        SuccessRate {
            windows: std::array::from_fn(|_| std::iter::repeat_n(true, window).collect()),
            wins: [window; CHANNELS],
            hedge,
            elimination: elimination.then_some([1.0; CHANNELS]),
        }
    }
}

impl Router for SuccessRate {
    fn choose(&mut self, now: usize, dice: f64) -> usize {
        if dice < self.hedge {
            return ((dice / self.hedge) * CHANNELS as f64) as usize;
        }
        self.leader(now)
    }
    fn learn(&mut self, channel: usize, good: bool, _: usize, _: usize) {
        let window = &mut self.windows[channel];
        let old = window.pop_front().unwrap_or(true);
        window.push_back(good);
        self.wins[channel] = self.wins[channel] + usize::from(good) - usize::from(old);
        if let Some(scores) = &mut self.elimination {
            let score = &mut scores[channel];
            *score = if good { (*score / 0.95).min(1.0) } else { *score * 0.95 };
        }
    }
    fn leader(&mut self, _: usize) -> usize {
        let in_play = |c: &usize| self.elimination.is_none_or(|s| s[*c] >= 0.05);
        // `max_by_key` keeps the last of equals; the merchant's first should win.
        (0..CHANNELS).rev().filter(in_play).max_by_key(|c| self.wins[*c]).unwrap_or(0)
    }
}

/// What a breaker of one channel does.
pub trait Breaker {
    /// Whether it lets a call through now.
    fn allows(&mut self, now: usize) -> bool;
    /// Whether it is closed, looking only.
    fn closed(&self, now: usize) -> bool;
    /// Notes that a call was let through.
    fn sent(&mut self, _now: usize) {}
    /// Takes a result.
    fn learn(&mut self, good: bool, sent: usize, now: usize);
}

/// The first channel whose breaker allows it; the first of all when none does.
pub struct Priority<B> {
    breakers: [B; CHANNELS],
}

impl<B: Breaker> Priority<B> {
    /// Four breakers of a kind.
    pub fn new(make: impl Fn() -> B) -> Priority<B> {
        Priority { breakers: std::array::from_fn(|_| make()) }
    }
}

impl<B: Breaker> Router for Priority<B> {
    fn choose(&mut self, now: usize, _: f64) -> usize {
        let allowed = (0..CHANNELS).find(|c| self.breakers[*c].allows(now)).unwrap_or(0);
        self.breakers[allowed].sent(now);
        allowed
    }
    fn learn(&mut self, channel: usize, good: bool, sent: usize, now: usize) {
        self.breakers[channel].learn(good, sent, now);
    }
    fn leader(&mut self, now: usize) -> usize {
        (0..CHANNELS).find(|c| self.breakers[*c].closed(now)).unwrap_or(0)
    }
}

/// resilience4j: window of 100 calls, open at 50 % failures, 60 s, then 10 trial calls.
#[derive(Default)]
pub struct Resilience4j {
    window: VecDeque<bool>,
    failures: usize,
    open_until: Option<usize>,
    trial: Option<(usize, usize, usize)>,
    since: usize,
}

impl Breaker for Resilience4j {
    fn allows(&mut self, now: usize) -> bool {
        if self.open_until.is_some_and(|until| now >= until) {
            self.open_until = None;
            self.trial = Some((0, 0, 0));
            self.since = now;
        }
        self.open_until.is_none() && self.trial.is_none_or(|(sent, ..)| sent < 10)
    }
    fn closed(&self, _: usize) -> bool {
        self.open_until.is_none() && self.trial.is_none()
    }
    fn sent(&mut self, _: usize) {
        if let Some((sent, ..)) = &mut self.trial {
            *sent += 1;
        }
    }
    fn learn(&mut self, good: bool, sent: usize, now: usize) {
        if self.open_until.is_some() || sent < self.since {
            return;
        }
        if let Some((_, seen, bad)) = &mut self.trial {
            *seen += 1;
            *bad += usize::from(!good);
            if *seen == 10 {
                self.open_until = (*bad >= 5).then(|| now + seconds(60.0));
                self.trial = None;
                self.window.clear();
                self.failures = 0;
            }
            return;
        }
        self.window.push_back(good);
        self.failures += usize::from(!good);
        if self.window.len() > 100 {
            self.failures -= usize::from(self.window.pop_front() == Some(false));
        }
        if self.window.len() >= 100 && self.failures >= 50 {
            self.open_until = Some(now + seconds(60.0));
        }
    }
}

/// Finagle: 5 failures in a row, or an exponential success rate over 30 s below 0.8; dead for
/// 5 s, doubling to 300 s; one success revives.
pub struct Finagle {
    row: usize,
    rate: f64,
    last: usize,
    dead_until: Option<usize>,
    backoff: f64,
    trial: Option<bool>,
    since: usize,
}

impl Default for Finagle {
    fn default() -> Finagle {
        Finagle {
            row: 0,
            rate: 1.0,
            last: 0,
            dead_until: None,
            backoff: 5.0,
            trial: None,
            since: 0,
        }
    }
}

impl Finagle {
    fn die(&mut self, now: usize) {
        self.dead_until = Some(now + seconds(self.backoff));
        self.backoff = (self.backoff * 2.0).min(300.0);
        self.trial = None;
        self.row = 0;
        self.rate = 1.0;
    }
}

impl Breaker for Finagle {
    fn allows(&mut self, now: usize) -> bool {
        if self.dead_until.is_some_and(|until| now >= until) {
            self.dead_until = None;
            self.trial = Some(false);
            self.since = now;
        }
        self.dead_until.is_none() && self.trial != Some(true)
    }
    fn closed(&self, _: usize) -> bool {
        self.dead_until.is_none() && self.trial.is_none()
    }
    fn sent(&mut self, _: usize) {
        if let Some(sent) = &mut self.trial {
            *sent = true;
        }
    }
    fn learn(&mut self, good: bool, sent: usize, now: usize) {
        if self.dead_until.is_some() || sent < self.since {
            return;
        }
        if self.trial.is_some() {
            if good {
                self.trial = None;
                self.backoff = 5.0;
            } else {
                self.die(now);
            }
            return;
        }
        let keep = (-(now.saturating_sub(self.last) as f64 / seconds(30.0) as f64)).exp();
        self.rate = self.rate * keep + f64::from(u8::from(good)) * (1.0 - keep);
        self.last = now;
        self.row = if good { 0 } else { self.row + 1 };
        if self.row >= 5 || self.rate < 0.8 {
            self.die(now);
        }
    }
}

/// Hystrix: at least 20 calls and 50 % errors in 10 s; open 5 s, then one trial call.
#[derive(Default)]
pub struct Hystrix {
    window: VecDeque<(usize, bool)>,
    failures: usize,
    open_until: Option<usize>,
    trial: Option<bool>,
    since: usize,
}

impl Breaker for Hystrix {
    fn allows(&mut self, now: usize) -> bool {
        if self.open_until.is_some_and(|until| now >= until) {
            self.open_until = None;
            self.trial = Some(false);
            self.since = now;
        }
        self.open_until.is_none() && self.trial != Some(true)
    }
    fn closed(&self, _: usize) -> bool {
        self.open_until.is_none() && self.trial.is_none()
    }
    fn sent(&mut self, _: usize) {
        if let Some(sent) = &mut self.trial {
            *sent = true;
        }
    }
    fn learn(&mut self, good: bool, sent: usize, now: usize) {
        if self.open_until.is_some() || sent < self.since {
            return;
        }
        if self.trial.is_some() {
            self.trial = None;
            self.window.clear();
            self.failures = 0;
            self.open_until = (!good).then(|| now + seconds(5.0));
            return;
        }
        self.window.push_back((now, good));
        self.failures += usize::from(!good);
        while self.window.front().is_some_and(|(at, _)| at + seconds(10.0) < now) {
            self.failures -= usize::from(self.window.pop_front().is_some_and(|(_, g)| !g));
        }
        if self.window.len() >= 20 && self.failures * 2 >= self.window.len() {
            self.open_until = Some(now + seconds(5.0));
        }
    }
}

/// Juspay's outage score: each attempt costs 5 %, each success gives 10 %; below 0.1 down,
/// for 30 min, then 0.425 and five trials.
pub struct JuspayScore {
    score: f64,
    down_until: Option<usize>,
    trials: Option<usize>,
}

impl Default for JuspayScore {
    fn default() -> JuspayScore {
        JuspayScore { score: 1.0, down_until: None, trials: None }
    }
}

impl Breaker for JuspayScore {
    fn allows(&mut self, now: usize) -> bool {
        if self.down_until.is_some_and(|until| now >= until) {
            self.down_until = None;
            self.score = 0.425;
            self.trials = Some(5);
        }
        self.down_until.is_none() && self.trials != Some(0)
    }
    fn closed(&self, _: usize) -> bool {
        self.down_until.is_none() && self.trials.is_none()
    }
    fn sent(&mut self, _: usize) {
        if let Some(left) = &mut self.trials {
            *left = left.saturating_sub(1);
        }
    }
    fn learn(&mut self, good: bool, _: usize, now: usize) {
        if self.down_until.is_some() {
            return;
        }
        self.score *= if good { 0.95 * 1.1 } else { 0.95 };
        self.score = self.score.min(1.0);
        if good && self.trials.is_some() {
            self.trials = None;
        }
        if self.score < 0.1 || (self.trials == Some(0) && self.score < 0.35) {
            self.down_until = Some(now + seconds(1_800.0));
            self.trials = None;
        }
    }
}

/// Juspay's documented rule of failures in a row (45 by default, 20 in its aggressive form).
pub struct JuspayRow {
    limit: usize,
    row: usize,
    down_until: Option<usize>,
}

impl JuspayRow {
    /// Down after so many in a row.
    pub fn new(limit: usize) -> JuspayRow {
        JuspayRow { limit, row: 0, down_until: None }
    }
}

impl Breaker for JuspayRow {
    fn allows(&mut self, now: usize) -> bool {
        if self.down_until.is_some_and(|until| now >= until) {
            self.down_until = None;
            self.row = self.limit.saturating_sub(5);
        }
        self.down_until.is_none()
    }
    fn closed(&self, _: usize) -> bool {
        self.down_until.is_none()
    }
    fn learn(&mut self, good: bool, _: usize, now: usize) {
        if self.down_until.is_some() {
            return;
        }
        self.row = if good { 0 } else { self.row + 1 };
        if self.row >= self.limit {
            self.down_until = Some(now + seconds(1_800.0));
        }
    }
}

/// Envoy outlier detection: 5 failures in a row eject for 30 s times the number of ejections,
/// at most 300 s; the number falls by one in each clean interval of 10 s; at most half are
/// ejected at once.
#[derive(Default)]
pub struct Envoy {
    row: [usize; CHANNELS],
    until: [usize; CHANNELS],
    ejections: [usize; CHANNELS],
    swept: usize,
}

impl Router for Envoy {
    fn choose(&mut self, now: usize, _: f64) -> usize {
        self.leader(now)
    }
    fn learn(&mut self, channel: usize, good: bool, _: usize, now: usize) {
        if now >= self.swept + seconds(10.0) {
            self.swept = now;
            for c in 0..CHANNELS {
                if now >= self.until[c] {
                    self.ejections[c] = self.ejections[c].saturating_sub(1);
                }
            }
        }
        self.row[channel] = if good { 0 } else { self.row[channel] + 1 };
        let ejected = self.until.iter().filter(|u| now < **u).count();
        if self.row[channel] >= 5 && now >= self.until[channel] && 2 * (ejected + 1) <= CHANNELS {
            self.ejections[channel] += 1;
            let time = seconds(30.0) * self.ejections[channel];
            self.until[channel] = now + time.min(seconds(300.0));
            self.row[channel] = 0;
        }
    }
    fn leader(&mut self, now: usize) -> usize {
        (0..CHANNELS).find(|c| now >= self.until[*c]).unwrap_or(0)
    }
}

/// Thompson sampling on Beta counts that fade by `keep` with every result.
pub struct Thompson {
    counts: [(f64, f64); CHANNELS],
    keep: f64,
}

impl Thompson {
    /// Counts that fade by this factor a result.
    pub fn new(keep: f64) -> Thompson {
        Thompson { counts: [(0.0, 0.0); CHANNELS], keep }
    }

    fn mean(&self, c: usize) -> (f64, f64) {
        let (won, lost) = self.counts[c];
        let (a, b) = (won + 1.0, lost + 1.0);
        let mean = a / (a + b);
        (mean, (mean * (1.0 - mean) / (a + b + 1.0)).sqrt())
    }
}

impl Router for Thompson {
    fn choose(&mut self, _: usize, dice: f64) -> usize {
        let mut state = dice.to_bits();
        let sample = |c: usize| {
            let (mean, deviation) = self.mean(c);
            mean + deviation * normal(&mut state)
        };
        let samples: Vec<f64> = (0..CHANNELS).map(sample).collect();
        (0..CHANNELS).max_by(|a, b| samples[*a].total_cmp(&samples[*b])).unwrap_or(0)
    }
    fn learn(&mut self, channel: usize, good: bool, _: usize, _: usize) {
        for (won, lost) in &mut self.counts {
            *won *= self.keep;
            *lost *= self.keep;
        }
        let (won, lost) = &mut self.counts[channel];
        if good { *won += 1.0 } else { *lost += 1.0 }
    }
    fn leader(&mut self, _: usize) -> usize {
        (0..CHANNELS).rev().max_by(|a, b| self.mean(*a).0.total_cmp(&self.mean(*b).0)).unwrap_or(0)
    }
}

/// A normal number, as the sum of twelve uniform ones less six.
fn normal(state: &mut u64) -> f64 {
    let mut sum = -6.0;
    for _ in 0..12 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        sum += ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    }
    sum
}

/// SW-UCB (Garivier and Moulines 2011): the best upper bound over the last `window` results.
pub struct SlidingUcb {
    window: VecDeque<(usize, bool)>,
    size: usize,
    counts: [(f64, f64); CHANNELS],
    bonus: f64,
}

impl SlidingUcb {
    /// A window of so many results and the bonus' factor under the root.
    pub fn new(size: usize, bonus: f64) -> SlidingUcb {
        SlidingUcb { window: VecDeque::new(), size, counts: [(0.0, 0.0); CHANNELS], bonus }
    }
}

impl Router for SlidingUcb {
    fn choose(&mut self, _: usize, _: f64) -> usize {
        let log = (self.window.len().max(2) as f64).ln();
        let bound = |c: usize| match self.counts[c] {
            (_, 0.0) => f64::INFINITY,
            (won, all) => won / all + (self.bonus * log / all).sqrt(),
        };
        (0..CHANNELS).rev().max_by(|a, b| bound(*a).total_cmp(&bound(*b))).unwrap_or(0)
    }
    fn learn(&mut self, channel: usize, good: bool, _: usize, _: usize) {
        self.window.push_back((channel, good));
        self.counts[channel].0 += f64::from(u8::from(good));
        self.counts[channel].1 += 1.0;
        if self.window.len() > self.size
            && let Some((c, g)) = self.window.pop_front()
        {
            self.counts[c].0 -= f64::from(u8::from(g));
            self.counts[c].1 -= 1.0;
        }
    }
    fn leader(&mut self, _: usize) -> usize {
        let mean = |c: usize| self.counts[c].0 / self.counts[c].1.max(1.0);
        (0..CHANNELS).rev().max_by(|a, b| mean(*a).total_cmp(&mean(*b))).unwrap_or(0)
    }
}
