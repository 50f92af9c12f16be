//! Why a merchant collects; what a pause of a feature is about.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::InvalidText;

/// Why the merchant collects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Purpose {
    /// A customer at a checkout.
    #[default]
    Checkout,
    /// A subscription's next period.
    Renewal,
    /// A balance filled up automatically.
    TopUp,
    /// The next rate of a purchase that is paid in parts.
    Instalment,
    /// Evergate itself tries a channel: pinned to it, closed at once, given back if it was
    /// paid after all, and kept out of lists, books and success rates (rule 11).
    Synthetic,
    /// What the merchant named.
    Named(PurposeName),
}

impl Purpose {
    /// Those that every merchant has.
    pub const COMMON: [Purpose; 4] =
        [Purpose::Checkout, Purpose::Renewal, Purpose::TopUp, Purpose::Instalment];

    /// The name that the API, the store and metrics use.
    pub fn name(&self) -> &str {
        match self {
            Purpose::Checkout => "checkout",
            Purpose::Renewal => "renewal",
            Purpose::TopUp => "top_up",
            Purpose::Instalment => "instalment",
            Purpose::Synthetic => "synthetic",
            Purpose::Named(name) => name.as_str(),
        }
    }

    /// Whether the customer is away: the merchant's own clock has asked for the money.
    pub fn is_by_itself(&self) -> bool {
        matches!(self, Purpose::Renewal | Purpose::TopUp | Purpose::Instalment)
    }
}

impl FromStr for Purpose {
    type Err = InvalidText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let common = Purpose::COMMON.into_iter().find(|p| p.name() == text);
        match common {
            Some(purpose) => Ok(purpose),
            None if text == Purpose::Synthetic.name() => Ok(Purpose::Synthetic),
            None => PurposeName::new(text).map(Purpose::Named),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Purpose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Purpose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A purpose that a merchant has named, such as `donation`; small enough to be copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PurposeName {
    /// Padded with zeros, which no name contains.
    bytes: [u8; Self::LONGEST],
}

impl PurposeName {
    /// The most characters that a name may have.
    pub const LONGEST: usize = 24;

    const RULE: &'static str = "a purpose is checkout, renewal, top_up, instalment, or a name of \
                                the merchant's: 1 to 24 of a-z, 0-9 and _, a letter first";

    /// Checks and takes a name.
    ///
    /// # Errors
    /// When it breaks the rule for names, or means one of [`Purpose`]'s own.
    pub fn new(text: &str) -> Result<PurposeName, InvalidText> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let well_made = text.len() <= Self::LONGEST
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(allowed);
        let own = Purpose::COMMON.iter().any(|p| p.name() == text) || text == "synthetic";
        if !well_made || own {
            return Err(InvalidText { rule: Self::RULE });
        }
        let mut bytes = [0; Self::LONGEST];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(PurposeName { bytes })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let end = self.bytes.iter().position(|b| *b == 0).unwrap_or(Self::LONGEST);
        // Only ASCII was let in.
        std::str::from_utf8(&self.bytes[..end]).unwrap_or_default()
    }
}

impl fmt::Debug for PurposeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_own_words_are_not_taken() {
        for text in ["checkout", "renewal", "top_up", "instalment", "synthetic", "donation", "a1_"]
        {
            let purpose: Purpose = text.parse().unwrap();
            assert_eq!(purpose.name(), text);
            let json = serde_json::to_string(&purpose).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Purpose>(&json).unwrap(), purpose);
        }
        let long = "a".repeat(PurposeName::LONGEST);
        assert_eq!(long.parse::<Purpose>().unwrap().name(), long);
        for bad in ["", "1a", "Donation", "a b", "捐", &format!("{long}a")] {
            assert!(bad.parse::<Purpose>().is_err(), "{bad}");
        }
        assert!(PurposeName::new("renewal").is_err());
    }
}
