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
    /// Whether this is better than `other` by so many standard errors, more than none.
    ///
    /// (A square root is spared: the signs are looked at first.)
    pub fn beats(&self, other: &Estimate, errors: f64) -> bool {
        let ahead = self.mean - other.mean;
        ahead > 0.0 && ahead * ahead >= errors * errors * (self.variance + other.variance)
    }

    /// By how many standard errors this is better than `other`.
    pub fn above(&self, other: &Estimate) -> f64 {
        (self.mean - other.mean) / (self.variance + other.variance).max(1e-12).sqrt()
    }
}

/// Standard deviation of a drifting rate around its base.
const SPREAD: f64 = 0.05;
/// Time in which a drifting rate forgets where it was, seconds.
const MEMORY_S: f64 = 300.0;

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
        Drifting { away: 0.0, variance: SPREAD.powi(2), at: now }
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
            variance: self.variance * keep * keep + SPREAD.powi(2) * (1.0 - keep * keep),
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
    /// Success over all cells of late, and how many results that rests on.
    level: f64,
    seen: f64,
}

/// Least and most of the sum while calm, and the most while drifting, nats. Drift is believed
/// at the upper edge of calm, and until the whole reservoir is spent: in between, a drifting
/// world looks calm for minutes at its turning points.
const CALM: (f64, f64) = (-8.0, 3.0);
const RESERVOIR: f64 = 20.0;
/// Results that the level over all cells remembers.
const LEVEL_MEMORY: f64 = 20_000.0;
/// Results of one cell that weigh as much as the level of all, where its mean is concerned.
const GLIMPSE: f64 = 3_000.0;

impl Default for Climate {
    fn default() -> Climate {
        Climate { sum: -2.0, drifting: false, level: 0.9, seen: 1.0 }
    }
}

impl Climate {
    /// Takes in an outcome that one view expected with `calm` and the other with `drift`.
    pub fn take(&mut self, good: bool, calm: f64, drift: f64) {
        let (calm, drift) = if good { (calm, drift) } else { (1.0 - calm, 1.0 - drift) };
        let score = (drift / calm).ln();
        self.seen = (self.seen + 1.0).min(LEVEL_MEMORY);
        self.level += (f64::from(u8::from(good)) - self.level) / self.seen;
        if self.drifting {
            self.sum = (self.sum + score).min(RESERVOIR);
            self.drifting = self.sum > 0.0;
            self.sum = if self.drifting { self.sum } else { CALM.0 };
        } else {
            self.sum = (self.sum + score).max(CALM.0);
            self.drifting = self.sum >= CALM.1;
            self.sum = if self.drifting { RESERVOIR } else { self.sum };
        }
    }

    /// A sudden change was found and dealt with; it is no sign of drift.
    pub fn excuse(&mut self) {
        if !self.drifting {
            self.sum = (self.sum - 6.0).max(CALM.0);
        }
    }

    /// Where a drifting cell tends to: its own mean as far as it was seen for long, else what
    /// all cells have. A glimpse of a drifting rate says little about its mean.
    pub fn anchor(&self, own: f64, weight: f64) -> f64 {
        (own * weight + self.level * GLIMPSE) / (weight + GLIMPSE)
    }

    /// Whether rates drift.
    pub fn drifting(&self) -> bool {
        self.drifting
    }
}
