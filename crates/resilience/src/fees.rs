//! What a payment costs on a channel, from the merchant's price list.
//!
//! A [`FeeTable`] is read from the top, and the first line that covers the payment sets the
//! price: a share of the amount, rounded half up to the minor unit as providers' statements
//! do, plus a fixed part, then raised to the line's least and cut to its most. All of it is
//! whole numbers; no payment that Evergate handles can overflow them. What no line covers has
//! no known price, which is not the same as free.

use domain::{Currency, Method, Money};
use serde::{Deserialize, Serialize};

/// The largest rate: the whole amount.
pub const RATE_PPM_MAX: u32 = 1_000_000;

/// One line of a price list. A condition that is absent covers everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fee {
    /// The method that the line is for.
    pub method: Option<Method>,
    /// The currency that the line is for; needed by every amount below.
    pub currency: Option<Currency>,
    /// The issuers or banks that the line is for, as the merchant names them in payments.
    pub issuers: Vec<String>,
    /// The smallest amount that the line is for, in minor units.
    pub amount_min_minor: Option<i64>,
    /// The largest amount that the line is for, in minor units.
    pub amount_max_minor: Option<i64>,
    /// The share of the amount, in millionths: 6,000 is 0.6 %. At most [`RATE_PPM_MAX`].
    pub rate_ppm: u32,
    /// Added to the share, in minor units.
    pub fixed_minor: i64,
    /// The least price, in minor units.
    pub fee_min_minor: Option<i64>,
    /// The most, in minor units: the cap.
    pub fee_max_minor: Option<i64>,
}

/// A rule that a line breaks, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct InvalidFee {
    /// The setting.
    pub field: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// What to do.
    pub fix: &'static str,
}

impl Fee {
    /// Every rule that the line breaks.
    pub fn mistakes(&self) -> Vec<InvalidFee> {
        let wrong =
            |broken: bool, field, rule, fix| broken.then_some(InvalidFee { field, rule, fix });
        let outside =
            |minor: Option<i64>| minor.is_some_and(|m| !(0..=Money::MAX_MINOR).contains(&m));
        let crossed =
            |low: Option<i64>, high: Option<i64>| low.zip(high).is_some_and(|(l, h)| l > h);
        let amounts =
            [self.amount_min_minor, self.amount_max_minor, self.fee_min_minor, self.fee_max_minor];
        let has_amount = self.fixed_minor != 0 || amounts.iter().any(Option::is_some);
        const RANGE: &str = "it must be 0 to 1,000,000,000,000 minor units";
        const MINOR: &str = "write whole minor units: 30 for 0.30";
        let found = [
            wrong(
                self.rate_ppm > RATE_PPM_MAX,
                "rate_ppm",
                "it must be at most 1,000,000, the whole amount",
                "write millionths: 6000 for 0.6 %",
            ),
            wrong(outside(Some(self.fixed_minor)), "fixed_minor", RANGE, MINOR),
            wrong(outside(self.amount_min_minor), "amount_min_minor", RANGE, MINOR),
            wrong(outside(self.amount_max_minor), "amount_max_minor", RANGE, MINOR),
            wrong(outside(self.fee_min_minor), "fee_min_minor", RANGE, MINOR),
            wrong(outside(self.fee_max_minor), "fee_max_minor", RANGE, MINOR),
            wrong(
                crossed(self.amount_min_minor, self.amount_max_minor),
                "amount_max_minor",
                "it must not be below amount_min_minor",
                "swap the two",
            ),
            wrong(
                crossed(self.fee_min_minor, self.fee_max_minor),
                "fee_max_minor",
                "it must not be below fee_min_minor",
                "swap the two",
            ),
            wrong(
                has_amount && self.currency.is_none(),
                "currency",
                "a line with amounts needs it, because a minor unit is nothing without one",
                "add `currency = \"CNY\"`, or a line for each currency",
            ),
        ];
        found.into_iter().flatten().collect()
    }

    fn covers(&self, money: Money, method: Method, issuer: Option<&str>) -> bool {
        let minor = money.minor();
        self.method.is_none_or(|m| m == method)
            && self.currency.is_none_or(|c| c == money.currency())
            && self.amount_min_minor.is_none_or(|least| minor >= least)
            && self.amount_max_minor.is_none_or(|most| minor <= most)
            && (self.issuers.is_empty()
                || issuer.is_some_and(|i| self.issuers.iter().any(|known| known == i)))
    }

    /// The price of an amount under this line, in its minor units; never below zero, and for
    /// any settings within [`i64`].
    fn price(&self, minor: i64) -> i64 {
        let half = i128::from(RATE_PPM_MAX / 2);
        let share =
            (i128::from(minor) * i128::from(self.rate_ppm) + half) / i128::from(RATE_PPM_MAX);
        let whole = share + i128::from(self.fixed_minor);
        let raised = whole.max(i128::from(self.fee_min_minor.unwrap_or(0)));
        let capped = self.fee_max_minor.map_or(raised, |most| raised.min(i128::from(most)));
        i64::try_from(capped.max(0)).unwrap_or(i64::MAX)
    }
}

/// A channel's price list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeeTable {
    /// The first line that covers a payment sets its price.
    pub lines: Vec<Fee>,
}

impl FeeTable {
    /// What a payment costs, in its currency's minor units; `None` when no line covers it.
    pub fn fee(&self, money: Money, method: Method, issuer: Option<&str>) -> Option<i64> {
        let line = self.lines.iter().find(|line| line.covers(money, method, issuer))?;
        Some(line.price(money.minor()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cny(minor: i64) -> Money {
        Money::new(minor, Currency::CNY).unwrap()
    }

    fn line() -> impl Strategy<Value = Fee> {
        let amount = 0..=Money::MAX_MINOR;
        let bounds = (proptest::option::of(amount.clone()), proptest::option::of(amount.clone()));
        (0..=RATE_PPM_MAX, amount, bounds).prop_map(|(rate_ppm, fixed_minor, (a, b))| {
            let (low, high) = match (a, b) {
                (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
                other => other,
            };
            Fee {
                currency: Some(Currency::CNY),
                rate_ppm,
                fixed_minor,
                fee_min_minor: low,
                fee_max_minor: high,
                ..Fee::default()
            }
        })
    }

    proptest! {
        #[test]
        fn a_price_is_within_its_bounds_and_grows_with_the_amount(
            fee in line(),
            a in 1..=Money::MAX_MINOR,
            b in 1..=Money::MAX_MINOR,
        ) {
            prop_assert_eq!(fee.mistakes(), vec![]);
            let table = FeeTable { lines: vec![fee.clone()] };
            let price = |minor| table.fee(cny(minor), Method::Alipay, None).unwrap();
            let (small, large) = (price(a.min(b)), price(a.max(b)));
            prop_assert!(0 <= small && small <= large);
            prop_assert!(fee.fee_max_minor.is_none_or(|most| large <= most));
            prop_assert!(fee.fee_min_minor.is_none_or(|least| small >= least));
        }

        /// Without a fixed part and bounds, rounding is off by half a minor unit at most.
        #[test]
        fn rounding_is_half_up(rate_ppm in 0..=RATE_PPM_MAX, minor in 1..=Money::MAX_MINOR) {
            let fee = Fee { rate_ppm, ..Fee::default() };
            let exact = i128::from(minor) * i128::from(rate_ppm);
            let off = i128::from(fee.price(minor)) * 1_000_000 - exact;
            prop_assert!(-500_000 < off && off <= 500_000, "{}", off);
        }

        #[test]
        fn no_settings_overflow(
            rate_ppm: u32, fixed_minor: i64, low: Option<i64>, high: Option<i64>, minor: i64,
        ) {
            let bounds = Fee { fee_min_minor: low, fee_max_minor: high, ..Fee::default() };
            let fee = Fee { rate_ppm, fixed_minor, ..bounds };
            prop_assert!(fee.price(minor) >= 0);
            let _ = fee.mistakes();
        }
    }

    #[test]
    fn prices_that_providers_publish() {
        let wechat = Fee { rate_ppm: 6_000, ..Fee::default() };
        assert_eq!(wechat.price(10_000), 60, "0.6 % of 100.00");
        assert_eq!(wechat.price(83), 0, "0.498 fen");
        assert_eq!(wechat.price(84), 1, "0.504 fen");
        let stripe = Fee { rate_ppm: 29_000, fixed_minor: 30, ..Fee::default() };
        assert_eq!(stripe.price(1_250), 66, "2.9 % of 12.50 is 36.25 cents, and 30 more");
        let debit = Fee { rate_ppm: 8_000, fee_max_minor: Some(500), ..Fee::default() };
        assert_eq!(debit.price(100_000), 500, "0.8 %, at most 5.00");
    }

    #[test]
    fn the_first_line_that_covers_the_payment_counts() {
        let cards = Fee { method: Some(Method::Card), rate_ppm: 20_000, ..Fee::default() };
        let icbc = Fee { issuers: vec!["icbc".into()], rate_ppm: 1_000, ..Fee::default() };
        let large = Fee {
            currency: Some(Currency::CNY),
            amount_min_minor: Some(100_000),
            rate_ppm: 2_000,
            ..Fee::default()
        };
        let table = FeeTable { lines: vec![cards, icbc, large] };
        let fee = |minor, method, issuer| table.fee(cny(minor), method, issuer);
        assert_eq!(fee(10_000, Method::Card, Some("icbc")), Some(200));
        assert_eq!(fee(10_000, Method::Alipay, Some("icbc")), Some(10));
        assert_eq!(fee(100_000, Method::Alipay, Some("abc")), Some(200));
        assert_eq!(fee(99_999, Method::Alipay, None), None, "unknown, not free");
        let dollars = Money::new(100_000, Currency::USD).unwrap();
        assert_eq!(table.fee(dollars, Method::Alipay, None), None);
    }

    #[test]
    fn lines_that_cannot_be_meant_are_told() {
        let fee = Fee {
            rate_ppm: 1_000_001,
            fixed_minor: -1,
            amount_min_minor: Some(5),
            amount_max_minor: Some(4),
            fee_min_minor: Some(9),
            fee_max_minor: Some(8),
            ..Fee::default()
        };
        let fields: Vec<&str> = fee.mistakes().iter().map(|m| m.field).collect();
        assert_eq!(
            fields,
            ["rate_ppm", "fixed_minor", "amount_max_minor", "fee_max_minor", "currency"]
        );
    }
}
