//! Names and numbers: ours, the merchant's and the ones that providers see.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a name is refused: which field, and the rule it broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct InvalidText {
    /// The rule, as a sentence for the person who sent the text.
    pub rule: &'static str,
}

/// Crockford's base 32: no letter that is read as a digit, so that a clerk can read it aloud.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn base32(value: u128) -> String {
    (0..26).rev().map(|i| ALPHABET[((value >> (i * 5)) & 31) as usize] as char).collect()
}

fn from_base32(text: &str) -> Option<u128> {
    if text.len() != 26 {
        return None;
    }
    text.bytes().try_fold(0_u128, |acc, byte| {
        let digit = ALPHABET.iter().position(|&a| a == byte)? as u128;
        // The first digit carries 3 bits only: 26 * 5 = 130.
        (acc >> 123 == 0).then_some((acc << 5) | digit)
    })
}

/// One payment. Shown as `pay_` and 26 letters and digits; a UUID of version 7 inside, so
/// that ids sort by the time they were made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentId(Uuid);

impl PaymentId {
    /// Wraps a UUID (version 7 in production).
    pub const fn from_uuid(uuid: Uuid) -> Self {
        PaymentId(uuid)
    }

    /// The UUID inside.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pay_{}", base32(self.0.as_u128()))
    }
}

impl fmt::Debug for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PaymentId {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, InvalidText> {
        text.strip_prefix("pay_")
            .and_then(from_base32)
            .map(|value| PaymentId(Uuid::from_u128(value)))
            .ok_or(InvalidText { rule: "a payment id is `pay_` and 26 letters and digits" })
    }
}

impl Serialize for PaymentId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PaymentId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $max:literal, $allowed:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// When the text breaks the rule that the type's documentation states.
            pub fn new(text: &str) -> Result<Self, InvalidText> {
                let allowed: fn(u8) -> bool = $allowed;
                if text.is_empty() || text.len() > $max || !text.bytes().all(allowed) {
                    return Err(InvalidText { rule: $rule });
                }
                Ok($type(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidText;
            fn from_str(text: &str) -> Result<Self, InvalidText> {
                $type::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidText;
            fn try_from(text: String) -> Result<Self, InvalidText> {
                $type::new(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                (*name.0).to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A configured account at a provider: 1 to 40 lower-case letters, digits, `-` or `_`.
    ChannelId, 40, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_',
    "a channel name is 1 to 40 lower-case letters, digits, '-' or '_'"
);
name!(
    /// The merchant's own number of the order: 1 to 64 letters, digits, `-`, `_` or `.`.
    OrderNo, 64, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'),
    "an order number is 1 to 64 letters, digits, '-', '_' or '.'"
);
name!(
    /// Who owns a payment: the name behind an API key. 1 to 40 letters, digits, `-` or `_`.
    MerchantId, 40, |b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_',
    "a merchant name is 1 to 40 letters, digits, '-' or '_'"
);

/// Whose synthetic payments are; no key of a configuration may belong to it.
pub const SYNTHETIC_MERCHANT: &str = "evergate-synthetic";

/// The order number that a provider sees: derived from the payment and the attempt's ordinal,
/// so that a re-send after a crash is the same order at the provider (rule 8).
///
/// Upper-case letters and digits, [`LEN`](ProviderOrderNo::LEN) of them; every provider's table
/// of capabilities is checked against that when it is compiled.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ProviderOrderNo(Arc<str>);

impl ProviderOrderNo {
    /// How many signs a number of ours has, of an order or a refund.
    pub const LEN: usize = 29;

    /// The number of attempt `ordinal` (from 1) of `payment`.
    pub fn of(payment: PaymentId, ordinal: u16) -> Self {
        ProviderOrderNo(format!("E{}{ordinal:02}", base32(payment.uuid().as_u128())).into())
    }

    /// The number of refund `ordinal` (from 1) of `payment`.
    pub fn of_refund(payment: PaymentId, ordinal: u16) -> Self {
        ProviderOrderNo(format!("R{}{ordinal:02}", base32(payment.uuid().as_u128())).into())
    }

    /// The payment and ordinal that a number was derived from; `None` when it is not ours.
    pub fn parse(text: &str) -> Option<(PaymentId, u16)> {
        let (_kind, rest) = text.split_at_checked(1).filter(|(k, _)| matches!(*k, "E" | "R"))?;
        let (id, ordinal) = rest.split_at_checked(26)?;
        let ordinal: u16 = ordinal.parse().ok().filter(|_| ordinal.len() >= 2)?;
        Some((PaymentId(Uuid::from_u128(from_base32(id)?)), ordinal))
    }

    /// A number as a provider sent it, not checked; compare it with ours.
    pub fn received(text: &str) -> Self {
        ProviderOrderNo(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ProviderOrderNo {
    fn from(text: String) -> Self {
        ProviderOrderNo(text.into())
    }
}

impl From<ProviderOrderNo> for String {
    fn from(number: ProviderOrderNo) -> String {
        (*number.0).to_owned()
    }
}

impl fmt::Display for ProviderOrderNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProviderOrderNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_and_numbers_round_trip(value: u128, ordinal in 1..100_u16) {
            let id = PaymentId::from_uuid(Uuid::from_u128(value));
            prop_assert_eq!(id.to_string().parse::<PaymentId>(), Ok(id));
            let number = ProviderOrderNo::of(id, ordinal);
            prop_assert_eq!(ProviderOrderNo::parse(number.as_str()), Some((id, ordinal)));
            prop_assert_eq!(number.as_str().len(), ProviderOrderNo::LEN);
            let refund = ProviderOrderNo::of_refund(id, ordinal);
            prop_assert_eq!(refund.as_str().len(), ProviderOrderNo::LEN);
        }

        #[test]
        fn no_text_panics_the_readers(text: String) {
            let _ = text.parse::<PaymentId>();
            let _ = ProviderOrderNo::parse(&text);
            let _ = OrderNo::new(&text);
        }
    }

    #[test]
    fn odd_order_numbers_are_refused() {
        for text in ["", "a b", "订单1", "a/b", "a\n", &"x".repeat(65)] {
            assert!(OrderNo::new(text).is_err(), "{text}");
        }
    }
}
