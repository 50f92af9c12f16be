//! Random numbers, one stream for each purpose.
//!
//! A stream's key is the seed, the purpose and whom it belongs to. So a new draw for one
//! purpose disturbs no other, and leaving one payment out of a run leaves the dice of all
//! others as they were, which is what lets a violation shrink.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Which faults this seed has at all, outages, how many processes.
    Weather = 1,
    /// What the merchant of a payment does.
    Merchant,
    /// What the customer of a payment does.
    Customer,
    /// Latency and faults of calls.
    Network,
    /// Notifications.
    Mail,
    /// Faults of the store.
    Disk,
    /// Crashes, pauses and clocks.
    Host,
    /// The engine's own dice.
    Dice,
    /// Where commands go.
    Balance,
    /// A bank, its customers and its clerks.
    Bank,
    /// A siege, its operators and customers.
    Siege,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of `purpose` for `who` under a seed.
    pub(crate) fn new(seed: u64, purpose: Purpose, who: u64) -> Stream {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&who.to_le_bytes());
        key[16] = purpose as u8;
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// A number in `0..n`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        let wide = u64::from(self.0.next_u32()) * u64::from(n);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// A number in `from..=to`.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        let span = u64::try_from(to.saturating_sub(from)).unwrap_or(0).saturating_add(1);
        from + i64::try_from(self.0.next_u64() % span).unwrap_or(0)
    }

    /// True in `percent` of a hundred draws.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// A number in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// 44 random bits, for ids.
    pub(crate) fn bits44(&mut self) -> u64 {
        self.0.next_u64() >> 20
    }
}
