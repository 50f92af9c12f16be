//! How much a lane may get, and how often a payment may be tried again.

use domain::Timestamp;

/// Payments a second that a lane can stand, as a bucket that holds one second's worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Headroom {
    per_second: f64,
    tokens: f64,
    at: Timestamp,
}

impl Headroom {
    /// A full bucket of this rate.
    pub fn new(per_second: f64, now: Timestamp) -> Headroom {
        let per_second = per_second.max(0.0);
        Headroom { per_second, tokens: per_second, at: now }
    }

    fn tokens_at(&self, now: Timestamp) -> f64 {
        let filled = now.since(self.at).as_secs_f64() * self.per_second;
        (self.tokens + filled).min(self.per_second)
    }

    /// Whether one more fits.
    pub fn has_room(&self, now: Timestamp) -> bool {
        self.tokens_at(now) >= 1.0
    }

    /// Takes one; the caller has asked whether it fits.
    pub fn take(&mut self, now: Timestamp) {
        self.tokens = (self.tokens_at(now) - 1.0).max(0.0);
        self.at = self.at.max(now);
    }
}

/// Retries over the whole fleet of payments: each first attempt earns a share of one, so that
/// an outage cannot multiply the load. A reserve lets quiet times retry at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryBudget {
    share: f64,
    balance: f64,
}

/// Retries in hand at most: what is in flight when a busy channel dies must be rescued.
const RESERVE: f64 = 100.0;

impl RetryBudget {
    /// A budget of this share of first attempts, with its reserve.
    pub fn new(share: f64) -> RetryBudget {
        RetryBudget { share: share.clamp(0.0, 1.0), balance: RESERVE }
    }

    /// Notes a first attempt.
    pub fn earn(&mut self) {
        self.balance = (self.balance + self.share).min(RESERVE);
    }

    /// Retries in hand.
    pub fn left(&self) -> f64 {
        self.balance
    }

    /// Takes one retry, if there is one.
    pub fn spend(&mut self) -> bool {
        let granted = self.balance >= 1.0;
        self.balance -= f64::from(u8::from(granted));
        granted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_second_gets_more_than_its_headroom_and_one_bucket() {
        let mut now = Timestamp::from_secs(1);
        let mut room = Headroom::new(10.0, now);
        let mut taken = 0;
        for _ in 0..10_000 {
            if room.has_room(now) {
                room.take(now);
                taken += 1;
            }
            now = now + Duration::from_millis(1);
        }
        assert!((105..=110).contains(&taken), "{taken}");
    }

    #[test]
    fn retries_stay_a_share_of_first_attempts() {
        let mut budget = RetryBudget::new(0.1);
        let granted = (0..10_000)
            .filter(|_| {
                budget.earn();
                budget.spend()
            })
            .count();
        assert!((1_050..=1_110).contains(&granted), "{granted}");
    }
}
