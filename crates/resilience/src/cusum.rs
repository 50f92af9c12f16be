//! A bank of sequential tests for a fall of a success rate.
//!
//! Each arm is Page's CUSUM (1954) on the log-likelihood ratio of "the rate fell to `ratio` of
//! the base" against "it did not": a success adds `ln(ratio)`, a failure
//! `ln((1 - ratio p0) / (1 - p0))`, and the sum never goes below zero. Matched to its change,
//! that is the fastest rule there is at its rate of false alarms (Lorden 1971, Moustakides
//! 1986). Four arms cover every depth of a fall at a cost of about a tenth in delay.

/// What is left of the base rate in each arm's hypothesis.
pub const RATIOS: [f64; ARMS] = [0.02, 0.33, 0.65, 0.87];
/// Arms of a bank.
pub const ARMS: usize = 4;
/// The arm whose alarm alone says "somewhat worse", not "broken".
pub const MILD: usize = 3;

/// The rate in an arm's hypothesis. Where failures are rare, somewhat worse is many times as
/// many failures: the mildest arm looks for a fifth where a twelfth is usual, and for one in
/// twenty-six where one in two hundred is.
pub fn fallen(base: f64, arm: usize) -> f64 {
    let ratio = base * RATIOS[arm];
    if arm == MILD { ratio.max(1.0 - 0.2 * ((1.0 - base) / 0.08).powf(0.6)) } else { ratio }
}

/// Threshold of an arm less `ln(ARL0)`, by base rate; from the exact Markov chain (see
/// `routing-bench calibrate`). Columns are the arms.
const OFFSETS: [(f64, [f64; ARMS]); 10] = include!("offsets.in");

/// One test.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Arm {
    /// Nats, at least 0.
    sum: f64,
    /// Score of a success and of a failure.
    scores: [f64; 2],
    limit: f64,
    /// Outcomes since the sum was last 0, and successes among them.
    since: u32,
    good: u32,
}

/// What a bank says after an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Quiet,
    /// The mildest arm alone has passed its limit.
    Mild,
    /// Broken.
    Broken,
}

/// The tests of one stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Bank {
    arms: [Arm; ARMS],
    base: f64,
    log_arl: f64,
}

impl Bank {
    /// A bank whose mean number of good outcomes between false alarms, over all arms, is
    /// `e^log_arl`.
    pub fn new(log_arl: f64) -> Bank {
        Bank { arms: [Arm::default(); ARMS], base: 0.0, log_arl }
    }

    /// Takes an outcome in. `base` is the rate on a good day as it is known now.
    pub fn take(&mut self, good: bool, base: f64) -> Verdict {
        if (base - self.base).abs() > 0.02 * (1.0 - self.base).min(self.base) {
            self.rescore(base);
        }
        let mut verdict = Verdict::Quiet;
        for (index, arm) in self.arms.iter_mut().enumerate() {
            arm.sum += arm.scores[usize::from(!good)];
            if arm.sum <= 0.0 {
                (arm.sum, arm.since, arm.good) = (0.0, 0, 0);
                continue;
            }
            arm.since += 1;
            arm.good += u32::from(good);
            if arm.sum >= arm.limit {
                let mild = index == MILD && verdict == Verdict::Quiet;
                verdict = if mild { Verdict::Mild } else { Verdict::Broken };
            }
        }
        verdict
    }

    fn rescore(&mut self, base: f64) {
        let log_arl = self.log_arl + (ARMS as f64).ln();
        for (index, arm) in self.arms.iter_mut().enumerate() {
            let fallen = fallen(base, index);
            arm.scores = [(fallen / base).ln(), ((1.0 - fallen) / (1.0 - base)).ln()];
            arm.limit = log_arl + offset(base, index);
        }
        self.base = base;
    }

    /// The highest sum, in nats.
    pub fn statistic(&self) -> f64 {
        self.arms.iter().map(|a| a.sum).fold(0.0, f64::max)
    }

    /// The sum that is closest to its limit, and that limit, in nats.
    pub fn lead(&self) -> (f64, f64) {
        let lead = self.arms.iter().filter(|a| a.limit > 0.0).max_by(|a, b| {
            let (a, b) = (a.sum / a.limit, b.sum / b.limit);
            a.total_cmp(&b)
        });
        lead.map_or((0.0, self.log_arl + (ARMS as f64).ln()), |arm| (arm.sum, arm.limit))
    }

    /// The highest sum as a share of its limit; 1 is an alarm.
    pub fn closeness(&self) -> f64 {
        self.arms.iter().map(|a| a.sum / a.limit.max(1.0)).fold(0.0, f64::max)
    }

    /// The highest sum of the arms that say "broken", in nats.
    pub fn broken_statistic(&self) -> f64 {
        self.arms[..MILD].iter().map(|a| a.sum).fold(0.0, f64::max)
    }

    /// Successes and outcomes since the fall, as the arm closest to its limit dates it.
    pub fn since_fall(&self) -> (u32, u32) {
        let worst = self.arms.iter().max_by(|a, b| {
            let (a, b) = (a.sum / a.limit.max(1.0), b.sum / b.limit.max(1.0));
            a.total_cmp(&b)
        });
        worst.map_or((0, 0), |arm| (arm.good, arm.since))
    }

    /// Begins as if this share of the evidence for "broken" were there already (Lucas and
    /// Crosier 1982). Good outcomes wear it off like any evidence; below 1 it is no alarm.
    pub(crate) fn head_start(&mut self, share: f64, base: f64) {
        self.rescore(base);
        for arm in &mut self.arms[..MILD] {
            arm.sum = arm.sum.max(share.clamp(0.0, 0.9) * arm.limit);
        }
    }

    /// Forgets what was going on.
    pub fn reset(&mut self) {
        for arm in &mut self.arms {
            (arm.sum, arm.since, arm.good) = (0.0, 0, 0);
        }
    }
}

/// Failures in a row that alone reach `nats` of evidence when a failure has probability
/// `1 - base`: the fast path for a channel that is hard down.
pub fn run_limit(base: f64, nats: f64) -> u32 {
    let each = -(1.0 - base).ln();
    // At least two, since one failure of any kind proves nothing; bounded so that it fits.
    (nats / each).ceil().clamp(2.0, 1_000.0) as u32
}

/// The offset at a base rate, interpolated in the table.
fn offset(base: f64, arm: usize) -> f64 {
    let above = OFFSETS.partition_point(|(rate, _)| *rate < base).clamp(1, OFFSETS.len() - 1);
    let ((low, left), (high, right)) = (OFFSETS[above - 1], OFFSETS[above]);
    let share = ((base - low) / (high - low)).clamp(0.0, 1.0);
    left[arm] + share * (right[arm] - left[arm])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_alone_break_it_and_successes_never() {
        let mut bank = Bank::new(1e6_f64.ln());
        (0..1_000).for_each(|_| assert_eq!(bank.take(true, 0.92), Verdict::Quiet));
        let run = (1..).take_while(|_| bank.take(false, 0.92) == Verdict::Quiet).count() + 1;
        assert!((5..=8).contains(&run), "{run}");
    }

    #[test]
    fn a_run_is_shorter_where_failures_are_rare() {
        assert_eq!(run_limit(0.995, 13.8), 3);
        assert_eq!(run_limit(0.92, 13.8), 6);
        assert!(run_limit(0.70, 13.8) >= 11);
    }
}
