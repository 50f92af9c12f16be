//! A shift in why payments are declined: risk control that has tripped, an issuer in trouble.
//!
//! Per kind of decline a CUSUM on "its share among declines has tripled" against its learned
//! share. It says nothing about a channel's health (rule 11); it is a signal of its own.

use crate::base::{Base, Prior};

/// Kinds that are told apart; the last takes all that have no kind of their own.
const KINDS: usize = 8;
/// Evidence of a shift: one false one in about a million declines, over all kinds (nats).
const LIMIT: f64 = 16.0;

/// Declines from which the usual mix is learned before anything counts as a shift.
const ENOUGH: u32 = 128;

/// The kind of decline whose share has risen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclineShift {
    /// Its number.
    pub kind: usize,
}

/// The mix of declines of one lane.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclineMix {
    bases: [Base; KINDS],
    sums: [f64; KINDS],
    /// Declines seen, up to `ENOUGH`.
    seen: u32,
}

impl Default for DeclineMix {
    fn default() -> DeclineMix {
        let prior = Prior { mean: 1.0 / KINDS as f64, weight: 16.0 };
        DeclineMix { bases: std::array::from_fn(|_| Base::new(prior)), sums: [0.0; KINDS], seen: 0 }
    }
}

impl DeclineMix {
    /// Takes a decline in; tells of a shift once, and then takes the new mix for usual.
    pub fn take(&mut self, kind: usize) -> Option<DeclineShift> {
        let kind = kind.min(KINDS - 1);
        if self.seen < ENOUGH {
            self.seen += 1;
            self.bases
                .iter_mut()
                .enumerate()
                .for_each(|(index, base)| base.count(index == kind, 0));
            return None;
        }
        let mut shifted = None;
        for (index, (base, sum)) in self.bases.iter_mut().zip(&mut self.sums).enumerate() {
            let hit = index == kind;
            // The usual share from above: what is little known does not count as a rise.
            let usual = (base.mean() + base.variance().sqrt()).min(0.95);
            let risen = (3.0 * usual).min(0.5 + usual / 2.0);
            let score = if hit { risen / usual } else { (1.0 - risen) / (1.0 - usual) };
            let learn = *sum < 3.0;
            *sum = (*sum + score.ln()).max(0.0);
            if learn {
                base.count(hit, 0);
            }
            if *sum >= LIMIT {
                *sum = 0.0;
                shifted = Some(DeclineShift { kind: index });
            }
        }
        shifted
    }

    /// The learned share of a kind.
    pub fn share(&self, kind: usize) -> f64 {
        self.bases[kind.min(KINDS - 1)].mean()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_that_one_reason_rules_from_the_start_is_no_shift() {
        let mut mix = DeclineMix::default();
        assert!((0..20_000).all(|i| mix.take(usize::from(i % 10 == 0)).is_none()));
    }

    #[test]
    fn a_new_favourite_reason_is_noticed_and_a_steady_mix_is_not() {
        let mut mix = DeclineMix::default();
        for i in 0..20_000 {
            assert_eq!(mix.take([0, 0, 0, 1, 1, 2, 0, 3, 0, 1][i % 10]), None);
        }
        let after = (0..60).position(|_| mix.take(3).is_some());
        assert!(after.is_some_and(|n| n < 15), "{after:?}");
    }
}
