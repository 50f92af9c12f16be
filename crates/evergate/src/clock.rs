//! The one place of the product that reads the clock and throws dice.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use uuid::Uuid;

/// Letters and digits for texts that nobody may guess.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Names by how many seconds the clock runs ahead, for tests of what happens tomorrow. Only a
/// configuration whose providers are all on this machine may be served so.
pub const AHEAD: &str = "EVERGATE_CLOCK_AHEAD_S";

/// By how much the clock runs ahead; nothing outside of such tests.
pub fn ahead() -> Duration {
    static BY: OnceLock<Duration> = OnceLock::new();
    *BY.get_or_init(|| {
        let said = std::env::var(AHEAD).ok().and_then(|text| text.parse().ok());
        Duration::from_secs(said.unwrap_or(0))
    })
}

/// Now, by the system's clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + ahead();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl engine::Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// The system's dice.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl engine::Entropy for SystemEntropy {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let micros = u64::try_from(now.as_micros()).unwrap_or(0);
        let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, micros / 1_000_000, nanos))
    }

    fn dice(&self) -> f64 {
        // 53 bits are what a double holds below 1.
        (u64::from_le_bytes(random()) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A fresh id of version 7.
pub fn fresh_id() -> Uuid {
    engine::Entropy::uuid(&SystemEntropy, now())
}

/// Bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source works once it is up");
    bytes
}

/// `N` random letters and digits.
pub fn random_text<const N: usize>() -> String {
    let mut text = String::with_capacity(N);
    while text.len() < N {
        // 248 is the largest multiple of 62 in a byte: no letter is likelier than another.
        let fair = random::<64>().into_iter().filter(|b| *b < 248);
        text.extend(fair.take(N - text.len()).map(|b| char::from(ALPHABET[usize::from(b % 62)])));
    }
    text
}

/// What codecs may not find out by themselves.
pub fn driver() -> providers::Driver {
    providers::Driver::new(Arc::new(now), Arc::new(random_text::<32>))
}

#[cfg(test)]
mod tests {
    use engine::Entropy;

    use super::*;

    #[test]
    fn ids_sort_by_time_and_dice_stay_in_range() {
        let early = SystemEntropy.uuid(Timestamp::from_secs(1_800_000_000));
        let late = SystemEntropy.uuid(Timestamp::from_millis(1_800_000_000_001));
        assert!(early < late);
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&SystemEntropy.dice())));
        assert_eq!(random_text::<32>().len(), 32);
    }
}
