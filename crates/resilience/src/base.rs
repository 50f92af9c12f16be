//! The rate that a stream of outcomes has on a good day, learned from the stream itself.
//!
//! Beta counts with a bounded memory, one pair over all and one per hour of the day, the hour
//! shrunk to the whole and the whole to a prior (the parent's rate, when there is one). The
//! caller decides *before* it sees an outcome whether the outcome may be counted, so freezing
//! the counts while something is going on does not bias them.

use domain::Timestamp;

/// Prior belief about a rate: so many outcomes with this mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Mean of the rate, in (0, 1).
    pub mean: f64,
    /// How many outcomes the belief is worth.
    pub weight: f64,
}

/// Outcomes that the memory holds; older ones fade out.
const MEMORY: f64 = 20_000.0;
/// The same for one hour of the day.
const HOUR_MEMORY: f64 = 5_000.0;
/// Outcomes that the rate over all hours is worth when one hour is estimated.
const HOUR_SHRINK: f64 = 1_000.0;
/// No rate is taken to be nearer to 0 or 1 than this: one outcome never proves anything.
const EDGE: f64 = 0.002;

/// Learned rate of success.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    good: f64,
    all: f64,
    prior: Prior,
    hours: [(f32, f32); 24],
}

impl Base {
    /// Nothing seen yet.
    pub fn new(prior: Prior) -> Base {
        Base { good: 0.0, all: 0.0, prior, hours: [(0.0, 0.0); 24] }
    }

    /// Takes the parent's rate as what is believed before anything is seen.
    pub fn set_prior(&mut self, prior: Prior) {
        self.prior = prior;
    }

    /// Counts one outcome.
    pub fn count(&mut self, good: bool, hour: usize) {
        let won = f64::from(u8::from(good));
        let keep = if self.all < MEMORY { 1.0 } else { 1.0 - 1.0 / MEMORY };
        self.good = self.good * keep + won;
        self.all = self.all * keep + 1.0;
        let (hour_good, hour_all) = &mut self.hours[hour % 24];
        let keep = if f64::from(*hour_all) < HOUR_MEMORY { 1.0 } else { 1.0 - 1.0 / HOUR_MEMORY };
        *hour_good = (f64::from(*hour_good) * keep + won) as f32;
        *hour_all = (f64::from(*hour_all) * keep + 1.0) as f32;
    }

    /// Outcomes in memory.
    pub fn weight(&self) -> f64 {
        self.all
    }

    /// Mean over all hours.
    pub fn mean(&self) -> f64 {
        let Prior { mean, weight } = self.prior;
        clamp((self.good + mean * weight) / (self.all + weight))
    }

    /// Mean at an hour of the day.
    pub fn mean_at(&self, hour: usize) -> f64 {
        let (good, all) = self.hours[hour % 24];
        let all = f64::from(all);
        if all < 1.0 || all >= self.all - 1.0 {
            return self.mean();
        }
        clamp((f64::from(good) + self.mean() * HOUR_SHRINK) / (all + HOUR_SHRINK))
    }

    /// Variance of the mean, with two successes and two failures added (Agresti and Coull
    /// 1998): thirty successes out of thirty do not make a rate certain.
    pub fn variance(&self) -> f64 {
        let Prior { mean, weight } = self.prior;
        let all = self.all + weight + 4.0;
        let rate = (self.good + mean * weight + 2.0) / all;
        rate * (1.0 - rate) / all
    }

    /// The mean less `z` standard errors: what a test may rely on while little was seen. A
    /// test against this rate does not call a fault what is only ignorance.
    pub fn cautious(&self, hour: usize, z: f64) -> f64 {
        clamp(self.mean_at(hour) - z * self.variance().sqrt())
    }
}

fn clamp(rate: f64) -> f64 {
    rate.clamp(EDGE, 1.0 - EDGE)
}

/// The hour of the day, UTC.
pub(crate) fn hour_of(now: Timestamp) -> usize {
    usize::try_from(now.as_secs().div_euclid(3_600).rem_euclid(24)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_learns_and_knows_how_little_it_knows() {
        let mut base = Base::new(Prior { mean: 0.9, weight: 2.0 });
        assert!(base.cautious(0, 1.0) < 0.8);
        (0..10_000).for_each(|i| base.count(i % 10 < 7, 0));
        assert!((base.mean() - 0.7).abs() < 0.001);
        assert!(base.mean() - base.cautious(0, 1.0) < 0.006);
    }

    #[test]
    fn an_hour_of_its_own_kind_is_told_apart() {
        let mut base = Base::new(Prior { mean: 0.9, weight: 2.0 });
        (0..5_000).for_each(|i| base.count(i % 10 != 0, 12));
        (0..5_000).for_each(|i| base.count(i % 10 < 7, 3));
        assert!(base.mean_at(12) > 0.87 && base.mean_at(3) < 0.73);
    }
}
