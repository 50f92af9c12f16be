//! `PayPal-Request-Id`: a repeat answers with what the first request's object has become.

use std::collections::HashMap;

use crate::books::Millis;

/// How long ids of orders, and of payments, are remembered.
const ORDERS_MS: Millis = 6 * 3_600_000;
const PAYMENTS_MS: Millis = 45 * 86_400_000;

/// The object that a request made or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made {
    Order(String),
    Refund(String),
}

struct Seen {
    fingerprint: [u8; 32],
    made: Made,
    until: Millis,
}

/// What is known of a request's id.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: carry it out.
    Nothing,
    /// The same request was carried out.
    Same(Made),
    /// Another request had this id.
    Other,
}

/// The ids of one account. Requests that failed are not kept: nothing was made.
#[derive(Default)]
pub(super) struct Idempotency(HashMap<String, Seen>);

impl Idempotency {
    pub(super) fn look(&self, id: &str, fingerprint: &[u8; 32], now: Millis) -> Known {
        match self.0.get(id).filter(|seen| seen.until > now) {
            None => Known::Nothing,
            Some(seen) if seen.fingerprint == *fingerprint => Known::Same(seen.made.clone()),
            Some(_) => Known::Other,
        }
    }

    pub(super) fn keep(&mut self, id: &str, fingerprint: [u8; 32], made: Made, now: Millis) {
        let lasts = match made {
            Made::Order(_) => ORDERS_MS,
            Made::Refund(_) => PAYMENTS_MS,
        };
        self.0.insert(id.to_owned(), Seen { fingerprint, made, until: now + lasts });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_request_for_its_time() {
        let mut ids = Idempotency::default();
        assert_eq!(ids.look("a", &[1; 32], 0), Known::Nothing);
        ids.keep("a", [1; 32], Made::Order("O".to_owned()), 0);
        assert_eq!(ids.look("a", &[1; 32], 1), Known::Same(Made::Order("O".to_owned())));
        assert_eq!(ids.look("a", &[2; 32], 1), Known::Other);
        assert_eq!(ids.look("a", &[1; 32], ORDERS_MS), Known::Nothing);
    }
}
