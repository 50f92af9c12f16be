//! Evidence from what has *not* happened yet: calls that are not answered, codes that nobody
//! pays.
//!
//! A share `x` of what was begun since the fault never ends. Something pending at age `a` then
//! has likelihood `x + (1 - x) S(a)` against `S(a)` on a good day, and something that ended
//! has `1 - x` against 1. The sum of the logarithms over everything begun since a moment,
//! maximised over that moment, is a CUSUM in order of beginning. `S`, the share that is still
//! pending at an age, is learned on line. It is read at `a / stretch`: a channel that is a
//! little slow is no channel that hangs.

use std::time::Duration;

use domain::Timestamp;

/// Bins of the curve; each is `GROWTH` times as long as the one before.
const BINS: usize = 72;
/// The first bin ends here, seconds.
const FIRST_S: f64 = 0.02;
const GROWTH: f64 = 1.15;
/// Ends that the curve remembers.
const MEMORY: f32 = 4_000.0;
/// Ends before the curve is relied on.
const ENOUGH: f32 = 50.0;
/// Mean times that must have passed besides: of what has begun a moment ago only the fast has
/// ended, and a curve of the fast alone takes the usual for a hang.
const SETTLED: f64 = 10.0;
/// Sum above which the curve is not learned, nats.
const FREEZE: f64 = 4.0;

/// How long things take, with those that never end.
#[derive(Clone, Debug, PartialEq)]
struct Curve {
    counts: [f32; BINS],
    /// Those that were given up, by their age then.
    gone: [f32; BINS],
    all: f32,
    /// Seconds of all ends together.
    took_s: f64,
    survival: [f32; BINS],
    fresh: u32,
}

impl Curve {
    fn new() -> Curve {
        Curve {
            counts: [0.0; BINS],
            gone: [0.0; BINS],
            all: 0.0,
            took_s: 0.0,
            survival: [1.0; BINS],
            fresh: 0,
        }
    }

    fn bin(age_s: f64) -> usize {
        if age_s <= FIRST_S {
            return 0;
        }
        (((age_s / FIRST_S).ln() / GROWTH.ln()) as usize + 1).min(BINS - 1)
    }

    /// Counts one end at an age, or that it was given up then. Whether the curve is to be drawn
    /// anew.
    fn count(&mut self, age_s: f64, ended: bool) -> bool {
        if ended {
            self.counts[Self::bin(age_s)] += 1.0;
            self.took_s += age_s;
        } else {
            self.gone[Self::bin(age_s)] += 1.0;
        }
        self.all += 1.0;
        self.fresh += 1;
        if self.all > MEMORY {
            self.counts.iter_mut().chain(&mut self.gone).for_each(|c| *c *= 0.5);
            self.all *= 0.5;
            self.took_s *= 0.5;
        }
        self.fresh >= 64 || self.all < 128.0
    }

    fn mean_s(&self) -> f64 {
        self.took_s / f64::from(self.all.max(1.0))
    }

    /// Kaplan and Meier (1958): of those that reached an age, how many ended at it. What is
    /// pending, or was given up, counts up to its age and not beyond; without that the first to
    /// end would stand for all, and those that are still awaited would look like a fault.
    fn redraw(&mut self, pending: &[f32; BINS]) {
        self.fresh = 0;
        let waiting: f32 = pending.iter().sum();
        let mut risk = self.all + waiting;
        let least = 0.5 / (risk + 1.0);
        let mut left = 1.0_f32;
        for (bin, waiting) in pending.iter().enumerate() {
            let ended = self.counts[bin];
            if ended > 0.0 {
                left *= ((risk - ended) / risk.max(1.0)).clamp(0.0, 1.0);
            }
            // Half an end is added, so that nothing is taken to be impossible.
            self.survival[bin] = left.max(least);
            risk -= ended + self.gone[bin] + waiting;
        }
    }

    /// Share that is still pending at an age: of the bin before, which errs to the safe side.
    fn survival(&self, age_s: f64) -> f64 {
        match Self::bin(age_s) {
            0 => 1.0,
            bin => f64::from(self.survival[bin - 1]),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Pending,
    Ended,
    /// Given up; it counts as pending at its age for good.
    Never,
    /// It says nothing: it failed for a reason that is seen elsewhere, or was ours to end.
    Void,
}

/// The test, for one lane and one kind of waiting.
#[derive(Clone, Debug, PartialEq)]
pub struct Ages {
    curve: Curve,
    /// Begun at, and how it ended; a ring in order of beginning.
    ring: Vec<(Timestamp, End)>,
    next: usize,
    pending: u32,
    /// Given up, and still in the ring.
    never: u32,
    /// When the first of all began.
    first: Option<Timestamp>,
    /// Shares that never end, under test.
    shares: [f64; 2],
    sum: f64,
    capacity: usize,
    /// After this long, what is pending was lost by us rather than held by them.
    forget: Duration,
}

impl Ages {
    /// A test for these shares that never end, over the last `capacity` beginnings of which
    /// none is older than `forget`.
    pub fn new(shares: [f64; 2], capacity: usize, forget: Duration) -> Ages {
        Ages {
            curve: Curve::new(),
            ring: Vec::new(),
            next: 0,
            pending: 0,
            never: 0,
            first: None,
            shares,
            sum: 0.0,
            capacity: capacity.max(1),
            forget,
        }
    }

    /// Notes a beginning.
    pub fn begin(&mut self, now: Timestamp) {
        self.first.get_or_insert(now);
        if self.ring.len() < self.capacity {
            // Grows to its capacity once, and never again.
            self.ring.push((now, End::Pending));
        } else {
            match self.ring[self.next].1 {
                End::Pending => self.pending = self.pending.saturating_sub(1),
                End::Never => self.never = self.never.saturating_sub(1),
                End::Ended | End::Void => {}
            }
            self.ring[self.next] = (now, End::Pending);
        }
        self.next = (self.next + 1) % self.capacity;
        self.pending += 1;
    }

    /// Notes an end of what began at `begun`; `ended` is false when it was given up.
    pub fn end(&mut self, begun: Timestamp, ended: bool, now: Timestamp) {
        let Some(index) = self.find(begun) else { return };
        self.ring[index].1 = if ended { End::Ended } else { End::Never };
        self.never += u32::from(!ended);
        self.pending = self.pending.saturating_sub(1);
        if self.sum < FREEZE && self.curve.count(now.since(begun).as_secs_f64(), ended) {
            self.redraw(now);
        }
    }

    fn redraw(&mut self, now: Timestamp) {
        let mut pending = [0.0; BINS];
        for (begun, end) in &self.ring {
            let age = now.since(*begun);
            if *end == End::Pending && age <= self.forget {
                pending[Curve::bin(age.as_secs_f64())] += 1.0;
            }
        }
        self.curve.redraw(&pending);
    }

    /// Notes an end that says nothing about how long things take.
    pub fn void(&mut self, begun: Timestamp) {
        if let Some(index) = self.find(begun) {
            self.ring[index].1 = End::Void;
            self.pending = self.pending.saturating_sub(1);
        }
    }

    /// Share of what began that ended well, once enough was seen.
    pub fn share_that_ends(&self) -> Option<f64> {
        (self.curve.all >= ENOUGH).then(|| 1.0 - f64::from(self.curve.survival[BINS - 1]))
    }

    /// What is pending.
    pub fn pending(&self) -> u32 {
        self.pending
    }

    fn find(&self, begun: Timestamp) -> Option<usize> {
        let len = self.ring.len();
        let oldest = if len < self.capacity { 0 } else { self.next };
        let at = |i: usize| self.ring[(oldest + i) % len.max(1)];
        let (mut low, mut high) = (0, len);
        while low < high {
            let middle = (low + high) / 2;
            if at(middle).0 < begun { low = middle + 1 } else { high = middle }
        }
        let open = |i: &usize| at(*i) == (begun, End::Pending);
        let found = (low..len).take_while(|i| at(*i).0 == begun).find(open);
        // A clock that stepped back has left the ring out of order; that is rare.
        found.or_else(|| (0..len).find(open)).map(|i| (oldest + i) % len)
    }

    fn is_known(&self, now: Timestamp) -> bool {
        let watched_s = self.first.map_or(0.0, |first| now.since(first).as_secs_f64());
        self.curve.all >= ENOUGH && watched_s >= SETTLED * self.curve.mean_s()
    }

    /// The evidence now, nats, reading the curve at ages divided by `stretch`.
    pub fn test(&mut self, stretch: f64, now: Timestamp) -> f64 {
        self.sum = 0.0;
        if !self.is_known(now) {
            return 0.0;
        }
        let len = self.ring.len();
        let ended = self.shares.map(|x| (1.0 - x).ln());
        let mut suffix = [0.0_f64; 2];
        // Only what has not ended adds to the sum: behind the last of it there is nothing to find.
        let mut left = self.pending + self.never;
        for back in 1..=len {
            let (begun, end) = self.ring[(self.next + 2 * len - back) % len];
            if left == 0 || now.since(begun) > self.forget {
                break;
            }
            match end {
                End::Void => {}
                End::Ended => (0..2).for_each(|k| suffix[k] += ended[k]),
                End::Pending | End::Never => {
                    left -= 1;
                    let age_s = now.since(begun).as_secs_f64() / stretch;
                    let survival = self.curve.survival(age_s);
                    (0..2).for_each(|k| {
                        let x = self.shares[k];
                        suffix[k] += (x / survival + 1.0 - x).ln();
                    });
                }
            }
            self.sum = self.sum.max(suffix[0]).max(suffix[1]);
        }
        self.sum
    }

    /// The evidence as of the last test, nats.
    pub fn statistic(&self) -> f64 {
        self.sum
    }

    /// Forgets what is pending, after a fall: it is known now.
    pub fn reset(&mut self) {
        self.ring.clear();
        self.next = 0;
        self.pending = 0;
        self.never = 0;
        self.sum = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn healthy(ages: &mut Ages) {
        for i in 0..500 {
            ages.begin(at(i * 20));
            if i >= 25 {
                ages.end(at((i - 25) * 20), true, at(i * 20));
            }
        }
    }

    #[test]
    fn silence_is_seen_before_any_time_out() {
        let mut ages = Ages::new([0.3, 0.9], 512, Duration::from_secs(120));
        healthy(&mut ages);
        assert!(ages.test(1.3, at(499 * 20)) < 5.0);
        for i in 500..550 {
            ages.begin(at(i * 20));
        }
        assert!(ages.test(1.3, at(550 * 20)) > 12.0);
    }

    #[test]
    fn a_little_slower_is_no_hang() {
        let mut ages = Ages::new([0.3, 0.9], 512, Duration::from_secs(120));
        healthy(&mut ages);
        for i in 500..560 {
            ages.begin(at(i * 20));
            if i % 2 == 0 {
                ages.end(at((i - 30) * 20), true, at(i * 20));
                ages.end(at((i - 29) * 20), true, at(i * 20));
            }
            assert!(ages.test(1.3, at(i * 20)) < 9.0, "{i}");
        }
    }
}
