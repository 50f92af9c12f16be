//! What staff may do, and up to how much.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Currency, Money, OfflineKind, Payment, Tier, Timestamp};
use store::{AssistSum, AssistTally};

use super::AssistError;
use super::desk::may_take;

/// How far back what one person took counts.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What staff may do, and up to how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether the desk helps everyone, and not VIPs only.
    pub everyone: bool,
    /// The kinds of money that staff may take.
    pub kinds: Vec<OfflineKind>,
    /// The largest payment that may be paid offline, by currency, in minor units. Nothing is
    /// taken in a currency that is not here.
    pub max_minor: BTreeMap<Currency, i64>,
    /// From this amount on a second person has to agree, by currency, in minor units; always in
    /// a currency that is not here.
    pub four_eyes_from_minor: BTreeMap<Currency, i64>,
    /// How much one person may take in 24 hours, by currency, in minor units; no limit in a
    /// currency that is not here.
    pub daily_minor: BTreeMap<Currency, i64>,
    /// How long a case that was taken stays with its taker when nothing is done about it.
    pub lease: Duration,
    /// Whether staff may use methods that the merchant did not name for the payment.
    pub other_methods: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        let cny = |minor| BTreeMap::from([(Currency::CNY, minor)]);
        Limits {
            everyone: false,
            kinds: OfflineKind::ALL.to_vec(),
            max_minor: cny(5_000_000),
            four_eyes_from_minor: cny(100_000),
            daily_minor: cny(20_000_000),
            lease: Duration::from_secs(15 * 60),
            other_methods: true,
        }
    }
}

impl Limits {
    /// Whether the desk helps customers of this tier.
    pub fn helps(&self, tier: Tier) -> bool {
        self.everyone || tier == Tier::Vip
    }

    /// Whether money of this kind and amount may be taken.
    pub(super) fn allow(&self, kind: OfflineKind, money: Money) -> Result<(), AssistError> {
        if !self.kinds.contains(&kind) {
            return Err(AssistError::Kind(kind));
        }
        let currency = money.currency();
        let most = self.max_minor.get(&currency).ok_or(AssistError::NoLimit(currency))?;
        match Money::new(*most, currency) {
            Ok(most) if money.minor() > most.minor() => {
                Err(AssistError::TooMuch { most, asked: money })
            }
            _ => Ok(()),
        }
    }

    /// Why money may not be taken for a payment now, by any kind, if so.
    pub fn refuses(&self, payment: &Payment, now: Timestamp) -> Option<AssistError> {
        let any = self.kinds.first().map_or(Err(AssistError::Kind(OfflineKind::Cash)), |kind| {
            self.allow(*kind, payment.money)
        });
        any.and_then(|()| may_take(payment, payment.money, now)).err()
    }

    /// Whether a second person has to agree.
    pub fn needs_two(&self, money: Money) -> bool {
        self.four_eyes_from_minor.get(&money.currency()).is_none_or(|from| money.minor() >= *from)
    }

    /// What a person took within 24 hours, with one more sum, if that is within the limit.
    pub(super) fn count(
        &self,
        by: &str,
        mut tally: AssistTally,
        case: &str,
        money: Money,
        now: Timestamp,
    ) -> Result<AssistTally, AssistError> {
        tally.sums.retain(|sum| now.since(sum.at) < DAY && sum.case != case);
        let taken_minor: i64 = tally.sums.iter().map(|sum| sum.minor).sum();
        let most = self.daily_minor.get(&money.currency());
        if let Some(most) = most.and_then(|most| Money::new(*most, money.currency()).ok())
            && taken_minor.saturating_add(money.minor()) > most.minor()
        {
            let by = by.to_owned();
            return Err(AssistError::DailyLimit { by, taken_minor, most, asked: money });
        }
        tally.sums.push(AssistSum { at: now, case: case.to_owned(), minor: money.minor() });
        Ok(tally)
    }
}

/// What a person's tally in a currency is kept under.
pub(super) fn tally_id(by: &str, currency: Currency) -> String {
    format!("{by} {currency}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cny(minor: i64) -> Money {
        Money::new(minor, Currency::CNY).unwrap()
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + secs)
    }

    #[test]
    fn money_beyond_a_limit_is_refused_by_its_limit() {
        let limits = Limits { kinds: vec![OfflineKind::Cash], ..Limits::default() };
        let most = cny(5_000_000);
        let usd = Money::new(1, Currency::USD).unwrap();
        let table = [
            (OfflineKind::Cash, cny(1), Ok(())),
            (OfflineKind::Cash, most, Ok(())),
            (OfflineKind::Pos, cny(1), Err(AssistError::Kind(OfflineKind::Pos))),
            (
                OfflineKind::Cash,
                cny(5_000_001),
                Err(AssistError::TooMuch { most, asked: cny(5_000_001) }),
            ),
            (OfflineKind::Cash, usd, Err(AssistError::NoLimit(Currency::USD))),
        ];
        for (kind, money, wanted) in table {
            assert_eq!(limits.allow(kind, money), wanted, "{kind:?} {money}");
        }
    }

    #[test]
    fn two_people_from_the_amount_on_and_always_where_no_amount_is_set() {
        let limits = Limits::default();
        assert!(!limits.needs_two(cny(99_999)));
        assert!(limits.needs_two(cny(100_000)));
        assert!(limits.needs_two(Money::new(1, Currency::USD).unwrap()));
        let always = Limits { four_eyes_from_minor: [(Currency::CNY, 0)].into(), ..limits };
        assert!(always.needs_two(cny(1)));
    }

    #[test]
    fn what_one_person_took_counts_for_a_day_and_once_a_case() {
        let limits = Limits { daily_minor: [(Currency::CNY, 100)].into(), ..Limits::default() };
        let count = |tally, case, minor, now| limits.count("li", tally, case, cny(minor), now);
        let one = count(AssistTally::default(), "a", 60, at(0)).unwrap();
        let again = count(one.clone(), "a", 60, at(1)).unwrap();
        assert_eq!(again.sums.len(), 1, "the same case again is the same money");
        let (taken_minor, most, asked) = (60, cny(100), cny(41));
        let beyond = AssistError::DailyLimit { by: "li".into(), taken_minor, most, asked };
        assert_eq!(count(one.clone(), "b", 41, at(1)), Err(beyond));
        let two = count(one, "b", 40, at(1)).unwrap();
        let next_day = count(two, "c", 60, at(24 * 3_600)).unwrap();
        assert_eq!(next_day.sums.len(), 2, "the first is a day old");
    }
}
