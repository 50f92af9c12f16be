//! How often somebody may try a password: by name, and in all.
//!
//! A name has five tries in a row and one more every half minute; all names together have
//! thirty, and one more every five seconds. A try that succeeds gives its name all tries back.
//! Names that are nobody's count like others, so that the answer does not tell them apart.

use std::collections::HashMap;
use std::time::Duration;

use domain::Timestamp;

const OF_A_NAME: (u32, Duration) = (5, Duration::from_secs(30));
const IN_ALL: (u32, Duration) = (30, Duration::from_secs(5));
/// Names that are remembered; when there are more, those with most tries left are forgotten.
const NAMES: usize = 1_024;

/// Tries that are left, as the time at which all of them are back.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full_at: Timestamp,
}

impl Bucket {
    /// Takes one try, or says how long there is none.
    fn take(&mut self, (tries, each): (u32, Duration), now: Timestamp) -> Result<(), Duration> {
        let from = self.full_at.max(now);
        let next = from + each;
        let most = each * tries;
        match next.since(now).checked_sub(most).filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(wait),
            None => {
                self.full_at = next;
                Ok(())
            }
        }
    }
}

/// The tries of everybody.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    all: Bucket,
    names: HashMap<String, Bucket>,
}

impl Throttle {
    /// Takes a try of this name.
    ///
    /// # Errors
    /// How long there is none.
    pub(crate) fn take(&mut self, name: &str, now: Timestamp) -> Result<(), Duration> {
        if self.names.len() >= NAMES {
            self.forget(now);
        }
        let bucket = self.names.entry(name.to_owned()).or_default();
        let mut taken = *bucket;
        taken.take(OF_A_NAME, now)?;
        self.all.take(IN_ALL, now)?;
        *bucket = taken;
        Ok(())
    }

    /// Gives a name its tries back.
    pub(crate) fn succeeded(&mut self, name: &str) {
        self.names.remove(name);
    }

    fn forget(&mut self, now: Timestamp) {
        self.names.retain(|_, bucket| bucket.full_at > now);
        if self.names.len() >= NAMES {
            let mut times: Vec<Timestamp> = self.names.values().map(|b| b.full_at).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.names.retain(|_, bucket| bucket.full_at > middle);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[test]
    fn a_name_has_five_tries_and_then_one_each_half_minute() {
        let mut throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(throttle.take("li", NOW), Ok(()));
        }
        assert_eq!(throttle.take("li", NOW), Err(Duration::from_secs(30)));
        assert_eq!(throttle.take("wang", NOW), Ok(()), "another name");
        let later = NOW + Duration::from_secs(30);
        assert_eq!(throttle.take("li", later), Ok(()));
        assert!(throttle.take("li", later).is_err());
        throttle.succeeded("li");
        assert_eq!(throttle.take("li", later), Ok(()));
    }

    #[test]
    fn all_names_together_have_thirty() {
        let mut throttle = Throttle::default();
        let taken = (0..100).filter(|n| throttle.take(&n.to_string(), NOW).is_ok()).count();
        assert_eq!(taken, 30);
        assert_eq!(throttle.take("li", NOW), Err(Duration::from_secs(5)));
    }

    #[test]
    fn names_that_are_tried_do_not_fill_the_memory() {
        let mut throttle = Throttle::default();
        for n in 0..5_000_i64 {
            let _ = throttle.take(&n.to_string(), NOW + Duration::from_millis(n.unsigned_abs()));
        }
        assert!(throttle.names.len() <= NAMES);
    }
}
