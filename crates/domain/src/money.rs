//! Amounts of money: whole minor units of one currency.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency with a known number of decimals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The renminbi.
    pub const CNY: Currency = Currency(iso_currency::Currency::CNY);
    /// The United States dollar.
    pub const USD: Currency = Currency(iso_currency::Currency::USD);

    /// The three upper-case letters, such as `CNY`.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Decimals between the major and the minor unit: 2 for CNY, 0 for JPY, 3 for KWD.
    pub fn decimals(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = InvalidMoney;
    fn from_str(code: &str) -> Result<Self, InvalidMoney> {
        let known = iso_currency::Currency::from_code(code).filter(|c| c.exponent().is_some());
        known.map(Currency).ok_or(InvalidMoney::Currency)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let code = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

/// Why an amount is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// Zero or negative.
    #[error("the amount must be at least 1 minor unit (for CNY: 1 fen)")]
    NotPositive,
    /// Above [`Money::MAX_MINOR`].
    #[error("the amount is above the limit of 1,000,000,000,000 minor units")]
    TooLarge,
    /// Not three upper-case letters that ISO 4217 lists with a number of decimals.
    #[error("the currency must be an ISO 4217 code in upper case, such as CNY")]
    Currency,
}

/// A positive amount of money, at most [`Money::MAX_MINOR`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// The largest amount that Evergate handles, in minor units. No provider takes as much;
    /// the bound keeps every sum of a payment's refunds far from overflow.
    pub const MAX_MINOR: i64 = 1_000_000_000_000;

    /// `minor` units of `currency`.
    ///
    /// # Errors
    /// When `minor` is outside `1..=MAX_MINOR`.
    pub fn new(minor: i64, currency: Currency) -> Result<Money, InvalidMoney> {
        match minor {
            ..=0 => Err(InvalidMoney::NotPositive),
            1..=Self::MAX_MINOR => Ok(Money { minor, currency }),
            _ => Err(InvalidMoney::TooLarge),
        }
    }

    /// The number of minor units (fen, cents).
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// The amount in major units with the currency's decimals, such as `12.30`; a provider's
    /// codec that speaks yuan writes this.
    pub fn to_major(self) -> String {
        let decimals = self.currency.decimals();
        if decimals == 0 {
            return self.minor.to_string();
        }
        let scale = 10_i64.pow(decimals);
        let (whole, part) = (self.minor / scale, self.minor % scale);
        format!("{whole}.{part:0width$}", width = decimals as usize)
    }

    /// Reads an amount in major units, such as `12.3` or `12.30`, exactly.
    ///
    /// # Errors
    /// When the text is not a plain decimal number with at most the currency's decimals, or
    /// the amount is out of range.
    pub fn from_major(text: &str, currency: Currency) -> Result<Money, InvalidMoney> {
        let decimals = currency.decimals() as usize;
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 13 || !digits(whole) || !digits(part) {
            return Err(InvalidMoney::NotPositive);
        }
        let (kept, rest) = part.split_at(part.len().min(decimals));
        if rest.bytes().any(|b| b != b'0') {
            return Err(InvalidMoney::NotPositive);
        }
        let text = format!("{whole}{kept:0<decimals$}");
        Money::new(text.parse().map_err(|_| InvalidMoney::TooLarge)?, currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.to_major(), self.currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn major_units_round_trip(minor in 1..=Money::MAX_MINOR, code in 0..4_usize) {
            let currency: Currency = ["CNY", "USD", "JPY", "KWD"][code].parse().unwrap();
            let money = Money::new(minor, currency).unwrap();
            prop_assert_eq!(Money::from_major(&money.to_major(), currency), Ok(money));
        }
    }

    #[test]
    fn amounts_that_are_no_amounts_are_refused() {
        for text in
            ["", ".5", "-1", "1e3", "1.234", "0", "0.00", "１", " 1", "1.2.3", "99999999999999"]
        {
            assert!(Money::from_major(text, Currency::CNY).is_err(), "{text}");
        }
        assert_eq!(Money::new(0, Currency::CNY), Err(InvalidMoney::NotPositive));
        assert_eq!(Money::new(i64::MAX, Currency::CNY), Err(InvalidMoney::TooLarge));
        assert!("XXX".parse::<Currency>().is_err(), "no decimals are defined for it");
        assert!("cny".parse::<Currency>().is_err());
    }
}
