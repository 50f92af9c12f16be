//! `Idempotency-Key`: the first executed answer is given again, whatever it was.
//!
//! Pure: time is passed in. Keys are forgotten after a day, as Stripe forgets them.

use std::collections::{HashMap, VecDeque};

use crate::books::Millis;
use crate::server::Reply;

const REMEMBERED_MS: Millis = 24 * 3_600 * 1_000;

/// One account's keys.
#[derive(Default)]
pub(crate) struct Idempotency {
    keys: HashMap<String, Entry>,
    /// Keys by age, so that forgetting touches only what is old.
    ages: VecDeque<(Millis, String)>,
}

struct Entry {
    fingerprint: [u8; 32],
    claimed_at: Millis,
    /// The answer, and from when on it is given; absent while the first request runs.
    answer: Option<(Reply, Millis)>,
}

/// What a key says about a request.
pub(crate) enum Claim {
    /// Never seen: execute it, then [`Idempotency::finish`] or [`Idempotency::release`].
    New,
    /// Seen and answered.
    Replay(Reply),
    /// The first request with this key still runs.
    Conflict,
    /// The key came with other parameters before.
    Mismatch,
}

impl Idempotency {
    pub(crate) fn claim(&mut self, key: &str, fingerprint: [u8; 32], now: Millis) -> Claim {
        self.forget(now);
        if let Some(entry) = self.keys.get(key) {
            return match &entry.answer {
                _ if entry.fingerprint != fingerprint => Claim::Mismatch,
                Some((reply, from)) if *from <= now => Claim::Replay(reply.clone()),
                _ => Claim::Conflict,
            };
        }
        let entry = Entry { fingerprint, claimed_at: now, answer: None };
        self.keys.insert(key.to_owned(), entry);
        self.ages.push_back((now, key.to_owned()));
        Claim::New
    }

    /// Keeps an executed request's answer, to be given from `from` on.
    pub(crate) fn finish(&mut self, key: &str, reply: Reply, from: Millis) {
        if let Some(entry) = self.keys.get_mut(key) {
            entry.answer = Some((reply, from));
        }
    }

    /// Forgets a request that was not executed.
    pub(crate) fn release(&mut self, key: &str) {
        self.keys.remove(key);
    }

    fn forget(&mut self, now: Millis) {
        while self.ages.front().is_some_and(|(at, _)| now - at >= REMEMBERED_MS) {
            if let Some((at, key)) = self.ages.pop_front()
                // A key that was released and used again is younger than this line says.
                && self.keys.get(&key).is_some_and(|entry| entry.claimed_at == at)
            {
                self.keys.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn reply() -> Reply {
        Reply::text(StatusCode::OK, "first")
    }

    #[test]
    fn the_first_answer_is_kept_for_a_day() {
        let mut store = Idempotency::default();
        assert!(matches!(store.claim("k", [1; 32], 0), Claim::New));
        assert!(matches!(store.claim("k", [1; 32], 1), Claim::Conflict));
        store.finish("k", reply(), 5);
        assert!(matches!(store.claim("k", [1; 32], 4), Claim::Conflict));
        assert!(matches!(store.claim("k", [1; 32], 5), Claim::Replay(_)));
        assert!(matches!(store.claim("k", [2; 32], 5), Claim::Mismatch));
        assert!(matches!(store.claim("k", [2; 32], REMEMBERED_MS), Claim::New));
    }

    #[test]
    fn what_was_not_executed_leaves_no_trace() {
        let mut store = Idempotency::default();
        assert!(matches!(store.claim("k", [1; 32], 0), Claim::New));
        store.release("k");
        assert!(matches!(store.claim("k", [2; 32], 10), Claim::New));
        store.finish("k", reply(), 10);
        // The older line in the ages must not take the younger entry with it.
        assert!(matches!(store.claim("k", [2; 32], REMEMBERED_MS + 5), Claim::Replay(_)));
    }
}
