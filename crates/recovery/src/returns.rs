//! What becomes of the money that came: captured, given back, or kept in suspense.
//!
//! Pure. The invariant: every minor unit that came for an attempt is exactly one of captured,
//! given back, on its way back, to be given back, and in suspense. What a bank took back after
//! it was captured or given back is `missing`, and a person's business.
//!
//! What is *not* here: refunds of captured money, which belong to the payment (rule 14).

use serde::{Deserialize, Serialize};

/// The money of one attempt, in minor units of its currency; none of them negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All credits that were placed with it, less those that the bank took back.
    pub received_minor: i64,
    /// What the payment has booked as captured; 0 while it is not paid.
    pub captured_minor: i64,
    /// What went back and arrived, without refunds of captured money.
    pub returned_minor: i64,
    /// What is on its way back: intents whose end is not known.
    pub returning_minor: i64,
    /// Whether nothing more is awaited: the attempt is paid, or has ended unpaid.
    pub ended: bool,
}

/// What to do with money that is not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReturnPolicy {
    /// What is over after a capture.
    pub excess: Uncaptured,
    /// Parts for a payment that ended unpaid.
    pub ended_part: Uncaptured,
    /// Less than this is not sent back by itself, in minor units: a transfer costs more. It
    /// stays in suspense.
    pub return_min_minor: i64,
}

impl Default for ReturnPolicy {
    fn default() -> Self {
        let (excess, ended_part) = (Uncaptured::Return, Uncaptured::Return);
        ReturnPolicy { excess, ended_part, return_min_minor: 1 }
    }
}

/// What to do with money that came and is not captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Uncaptured {
    /// Give it back to where it came from.
    Return,
    /// Keep it in suspense until people decide.
    Suspense,
}

/// Where every minor unit of an attempt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Booked for the payment.
    pub captured_minor: i64,
    /// Given back.
    pub returned_minor: i64,
    /// On its way back.
    pub returning_minor: i64,
    /// To be given back now.
    pub to_return_minor: i64,
    /// Kept: waiting for the rest, or for people.
    pub suspense_minor: i64,
    /// Captured or given back, and taken back by the bank since.
    pub missing_minor: i64,
}

/// What is owed to the payer: received and neither captured nor given back. Never negative.
pub fn owed_back(received_minor: i64, captured_minor: i64, returned_minor: i64) -> i64 {
    received_minor.saturating_sub(captured_minor).saturating_sub(returned_minor).max(0)
}

/// Where every minor unit is, and what is to be given back now.
pub fn share(tally: &Tally, policy: &ReturnPolicy) -> Shares {
    let gone = tally.returned_minor.saturating_add(tally.returning_minor);
    let owed = owed_back(tally.received_minor, tally.captured_minor, gone);
    let back = owed >= policy.return_min_minor && wanted(tally, policy) == Uncaptured::Return;
    let to_return_minor = if back { owed } else { 0 };
    Shares {
        captured_minor: tally.captured_minor,
        returned_minor: tally.returned_minor,
        returning_minor: tally.returning_minor,
        to_return_minor,
        suspense_minor: owed - to_return_minor,
        missing_minor: owed_back(
            tally.captured_minor.saturating_add(gone),
            tally.received_minor,
            0,
        ),
    }
}

fn wanted(tally: &Tally, policy: &ReturnPolicy) -> Uncaptured {
    match (tally.captured_minor > 0, tally.ended) {
        (true, _) => policy.excess,
        (false, true) => policy.ended_part,
        // The rest may still come.
        (false, false) => Uncaptured::Suspense,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> impl Strategy<Value = ReturnPolicy> {
        let way = || prop_oneof![Just(Uncaptured::Return), Just(Uncaptured::Suspense)];
        (way(), way(), 0..200_i64).prop_map(|(excess, ended_part, return_min_minor)| ReturnPolicy {
            excess,
            ended_part,
            return_min_minor,
        })
    }

    proptest! {
        #[test]
        fn every_minor_unit_is_in_exactly_one_place(
            received_minor in 0..10_000_i64, captured_minor in 0..10_000_i64,
            returned_minor in 0..10_000_i64, returning_minor in 0..10_000_i64,
            ended: bool, policy in policy(),
        ) {
            let tally =
                Tally { received_minor, captured_minor, returned_minor, returning_minor, ended };
            let shares = share(&tally, &policy);
            let placed = shares.captured_minor + shares.returned_minor + shares.returning_minor
                + shares.to_return_minor + shares.suspense_minor;
            prop_assert_eq!(received_minor + shares.missing_minor, placed);
            prop_assert!(shares.to_return_minor >= 0 && shares.suspense_minor >= 0);
            prop_assert!(shares.to_return_minor == 0 || shares.missing_minor == 0);
        }

        #[test]
        fn what_was_given_back_is_never_given_back_again(
            received_minor in 0..10_000_i64, captured_minor in 0..10_000_i64, policy in policy(),
        ) {
            let tally = Tally { received_minor, captured_minor, ended: true, ..Tally::default() };
            let sent = share(&tally, &policy).to_return_minor;
            for tally in [
                Tally { returning_minor: sent, ..tally },
                Tally { returned_minor: sent, ..tally },
            ] {
                let again = share(&tally, &policy);
                prop_assert!(sent == 0 || again.to_return_minor == 0);
            }
        }
    }

    #[test]
    fn a_part_waits_while_the_rest_may_come() {
        let part = Tally { received_minor: 40, ..Tally::default() };
        assert_eq!(share(&part, &ReturnPolicy::default()).suspense_minor, 40);
        let ended = Tally { ended: true, ..part };
        assert_eq!(share(&ended, &ReturnPolicy::default()).to_return_minor, 40);
    }

    #[test]
    fn what_is_too_little_to_send_stays_in_suspense() {
        let over =
            Tally { received_minor: 105, captured_minor: 100, ended: true, ..Tally::default() };
        let policy = ReturnPolicy { return_min_minor: 10, ..ReturnPolicy::default() };
        assert_eq!(share(&over, &policy).suspense_minor, 5);
        assert_eq!(share(&over, &ReturnPolicy::default()).to_return_minor, 5);
    }

    #[test]
    fn a_credit_taken_back_after_the_capture_is_missing() {
        let tally = Tally { received_minor: 0, captured_minor: 100, ..Tally::default() };
        let shares = share(&tally, &ReturnPolicy::default());
        assert_eq!((shares.missing_minor, shares.to_return_minor), (100, 0));
    }
}
