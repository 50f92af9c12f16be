//! What success to expect of a cell, for ranking cells that are not broken.
//!
//! Two views of the same outcomes. The calm one is the learned base: the rate stands still.
//! The drifting one is a scalar Kalman filter on an Ornstein–Uhlenbeck rate that wanders
//! around the base with standard deviation `SPREAD` and forgets within `MEMORY_S` seconds; a
//! cell that is not used loses its certainty and returns to its base. Which view holds is
//! decided by what both had predicted ([`Climate`]), so a quiet world is not disturbed by a
//! restless estimate and a moving one is followed.

use domain::Timestamp;

/// A rate and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Expected success, in (0, 1).
    pub mean: f64,
    /// Variance of the mean.
    pub variance: f64,
}

impl Estimate {
    /// By how many standard errors this is better than `other`.
    pub fn above(&self, other: &Estimate) -> f64 {
        (self.mean - other.mean) / (self.variance + other.variance).max(1e-12).sqrt()
    }
}

/// Standard deviation of a drifting rate around its base.
pub const SPREAD: f64 = 0.04;
/// Time in which a drifting rate forgets where it was, seconds.
pub const MEMORY_S: f64 = 300.0;

/// The drifting view of one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drifting {
    /// Deviation from the base.
    away: f64,
    variance: f64,
    at: Timestamp,
}

impl Drifting {
    /// Nothing known but the base.
    pub fn new(now: Timestamp) -> Drifting {
        Drifting { away: 0.0, variance: SPREAD * SPREAD, at: now }
    }

    /// The estimate at a time, around a base rate.
    pub fn estimate(&self, base: f64, now: Timestamp) -> Estimate {
        let moved = self.moved(now);
        let mean = (base + moved.away).clamp(0.002, 0.998);
        Estimate { mean, variance: moved.variance }
    }

    /// Takes an outcome in.
    pub fn take(&mut self, good: bool, base: f64, now: Timestamp) {
        *self = self.moved(now);
        let mean = (base + self.away).clamp(0.02, 0.98);
        let noise = mean * (1.0 - mean);
        let gain = self.variance / (self.variance + noise);
        self.away += gain * (f64::from(u8::from(good)) - mean);
        self.variance *= 1.0 - gain;
    }

    fn moved(&self, now: Timestamp) -> Drifting {
        let passed = now.since(self.at).as_secs_f64();
        if passed == 0.0 {
            return *self;
        }
        let keep = (-passed / MEMORY_S).exp();
        Drifting {
            away: self.away * keep,
            variance: self.variance * keep * keep + SPREAD * SPREAD * (1.0 - keep * keep),
            at: now.max(self.at),
        }
    }
}

/// Whether rates stand still or drift, by which view predicts better: the sum of the
/// log-likelihood ratio of the two predictions, kept in bounds so that it can change its mind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climate {
    /// Nats in favour of drift.
    sum: f64,
    drifting: bool,
}

/// Bound of the sum on either side, nats.
const BOUND: f64 = 8.0;
/// The sum at which drift is believed, and at which it no longer is.
const TURN: (f64, f64) = (3.0, -5.0);

impl Default for Climate {
    fn default() -> Climate {
        Climate { sum: -2.0, drifting: false }
    }
}

impl Climate {
    /// Takes in an outcome that one view expected with `calm` and the other with `drift`.
    pub fn take(&mut self, good: bool, calm: f64, drift: f64) {
        let (calm, drift) = if good { (calm, drift) } else { (1.0 - calm, 1.0 - drift) };
        self.sum = (self.sum + (drift / calm).ln()).clamp(-BOUND, BOUND);
        self.turn();
    }

    /// A sudden change was found and dealt with; it is no sign of drift.
    pub fn excuse(&mut self) {
        self.sum = (self.sum - 6.0).max(-BOUND);
        self.turn();
    }

    fn turn(&mut self) {
        self.drifting = if self.drifting { self.sum > TURN.1 } else { self.sum > TURN.0 };
    }

    /// Whether rates drift.
    pub fn drifting(&self) -> bool {
        self.drifting
    }
}
