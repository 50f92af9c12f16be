//! A change that is tried on a share of the payments before it counts for all of them.

use serde::{Deserialize, Serialize};

use crate::{Class, PaymentId};

/// Which payments a change is tried on. Decided by the payment's id alone, so that an attempt
/// is treated alike from its first call to its last, by whichever worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// How many of a hundred payments, 0 to 100.
    pub percent: u8,
    /// Another one chooses other payments.
    pub salt: u64,
}

impl Share {
    /// Whether this payment is in. A larger share with the same salt holds the smaller one.
    pub fn takes(self, payment: PaymentId) -> bool {
        mixed(payment, self.salt) % 100 < u64::from(self.percent)
    }
}

/// FNV-1a over id and salt, and a finish that spreads every bit to all.
fn mixed(payment: PaymentId, salt: u64) -> u64 {
    let (id, salt) = (payment.uuid().as_u128().to_be_bytes(), salt.to_be_bytes());
    let bytes = id.into_iter().chain(salt);
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// How calls to a channel ended, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Done, or answered.
    pub ok: u64,
    /// Refused by the customer's side: says nothing (rule 11).
    pub declined: u64,
    /// Our own mistake.
    pub rejected: u64,
    /// Surely no effect.
    pub unavailable: u64,
    /// Effect not known.
    pub unknown: u64,
    /// Of the rejected and unavailable: those that the settings in force then did at once, and
    /// all of them where nothing is in force.
    pub rescued: u64,
}

impl Tally {
    /// Counts one call.
    pub fn count(&mut self, class: Class) {
        *match class {
            Class::Ok => &mut self.ok,
            Class::Declined => &mut self.declined,
            Class::Rejected => &mut self.rejected,
            Class::Unavailable => &mut self.unavailable,
            Class::Unknown => &mut self.unknown,
        } += 1;
    }

    /// Calls that say something about the channel.
    pub fn technical(&self) -> u64 {
        self.ok + self.failed()
    }

    /// Those of them that failed.
    pub fn failed(&self) -> u64 {
        self.rejected + self.unavailable + self.unknown
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn ids() -> impl Iterator<Item = PaymentId> {
        (0..20_000_u128).map(|n| PaymentId::from_uuid(Uuid::from_u128((n << 64) | 7)))
    }

    #[test]
    fn a_share_is_as_large_as_it_says_and_grows_by_adding_only() {
        for percent in [0, 1, 10, 50, 100] {
            let share = Share { percent, salt: 3 };
            let taken = ids().filter(|id| share.takes(*id)).count();
            let wanted = 20_000 * usize::from(percent) / 100;
            assert!(taken.abs_diff(wanted) <= 250, "{percent}: {taken}");
            let larger = Share { percent: percent.saturating_add(20).min(100), ..share };
            assert!(ids().all(|id| !share.takes(id) || larger.takes(id)));
        }
    }

    #[test]
    fn another_salt_takes_other_payments() {
        let (one, two) = (Share { percent: 10, salt: 1 }, Share { percent: 10, salt: 2 });
        let both = ids().filter(|id| one.takes(*id) && two.takes(*id)).count();
        assert!((100..300).contains(&both), "about one in a hundred: {both}");
    }
}
