//! Whether a lane is slow: a state of its own. A slow channel still takes money; what it must
//! not take is everything at once.
//!
//! The logarithm of latency has a learned mean and variance. A CUSUM on the normal likelihood
//! ratio of a shift by `SHIFT` tells slow from well, and one the other way tells when it is
//! over. While it is slow, calls in flight are capped by Little's law at what the lane had in
//! flight on a good day, so that a slow provider is not pushed over the edge.

use std::time::Duration;

/// The shift under test: latency times 1.5.
const SHIFT: f64 = 0.405;
/// Evidence, nats.
const LIMIT: f64 = 12.0;
/// Calls that the mean remembers.
const MEMORY: f64 = 5_000.0;
/// Calls before the mean is relied on. The first to be answered are the fast ones.
const ENOUGH: f64 = 300.0;

/// The latency of one lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    mean: f64,
    variance: f64,
    seen: f64,
    /// Mean of the last twenty or so.
    recent: f64,
    up: f64,
    down: f64,
    slow: bool,
    /// Calls in flight on a good day.
    usual_in_flight: f64,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency {
            mean: 0.0,
            variance: 0.4,
            seen: 0.0,
            recent: 0.0,
            up: 0.0,
            down: 0.0,
            slow: false,
            usual_in_flight: 0.0,
        }
    }
}

impl Latency {
    /// Takes in how long an answered call took, with so many still in flight.
    pub fn take(&mut self, took: Duration, in_flight: u32) {
        let x = took.as_secs_f64().max(1e-4).ln();
        self.seen = (self.seen + 1.0).min(MEMORY);
        if self.seen < ENOUGH {
            self.learn(x, in_flight);
            self.recent = self.mean;
            return;
        }
        self.recent += (x - self.recent) / 20.0;
        let weight = SHIFT / self.variance.max(0.05);
        self.up = (self.up + weight * (x - self.mean - SHIFT / 2.0)).clamp(0.0, 2.0 * LIMIT);
        self.down = (self.down - weight * (x - self.mean - SHIFT / 2.0)).clamp(0.0, 2.0 * LIMIT);
        if self.slow {
            self.slow = self.down < LIMIT;
        } else {
            self.slow = self.up >= LIMIT;
            if self.up < 3.0 {
                self.learn(x, in_flight);
            }
            self.down = 0.0;
        }
    }

    fn learn(&mut self, x: f64, in_flight: u32) {
        let gain = 1.0 / self.seen;
        let away = x - self.mean;
        self.mean += gain * away;
        if self.seen > 10.0 {
            self.variance += gain * (away * away - self.variance);
        }
        self.usual_in_flight +=
            (f64::from(in_flight) - self.usual_in_flight) / self.seen.min(500.0);
    }

    /// Whether anything was seen of it.
    pub fn is_known(&self) -> bool {
        self.seen > 0.0
    }

    /// Whether it is slow.
    pub fn is_slow(&self) -> bool {
        self.slow
    }

    /// By how much it is slower than usual, at least 1.
    pub fn ratio(&self) -> f64 {
        (self.recent - self.mean).exp().max(1.0)
    }

    /// Usual latency, seconds.
    pub fn usual_s(&self) -> f64 {
        self.mean.exp()
    }

    /// Its logarithm, once it is known.
    pub(crate) fn usual_ln(&self) -> Option<f64> {
        (self.seen >= ENOUGH).then_some(self.mean)
    }

    /// Most calls in flight while it is slow; `None` while it is not.
    pub fn cap(&self) -> Option<u32> {
        self.slow.then(|| (self.usual_in_flight * 1.5).max(2.0) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_noticed_capped_and_forgotten() {
        let mut latency = Latency::default();
        let ms =
            |i: u64, factor: f64| Duration::from_secs_f64((0.5 + 0.1 * (i % 10) as f64) * factor);
        (0..500).for_each(|i| latency.take(ms(i, 1.0), 40));
        assert!(!latency.is_slow() && latency.cap().is_none());
        (0..100).for_each(|i| latency.take(ms(i, 2.0), 90));
        assert!(latency.is_slow() && latency.ratio() > 1.7);
        assert!((50..=70).contains(&latency.cap().unwrap()));
        (0..200).for_each(|i| latency.take(ms(i, 1.0), 40));
        assert!(!latency.is_slow());
    }
}
