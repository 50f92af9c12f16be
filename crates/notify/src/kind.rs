//! What customers are told.

use std::fmt;
use std::str::FromStr;

use crate::decide::Standing;

/// What a note says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The order is kept; here is the link to pay it later, and until when.
    Held,
    /// It is kept for longer.
    Extended,
    /// Payment works again.
    Recovered,
    /// The order is kept for a little while only.
    ExpiresSoon,
    /// The order is paid.
    Paid,
    /// The order ended unpaid.
    Expired,
    /// Money was given back, as the merchant wished.
    Refunded,
    /// Money that was taken by mistake was given back.
    Returned,
    /// Staff will get in touch.
    Assist,
    /// A renewal is late and the subscription goes on.
    Grace,
    /// Sorry, and perhaps a coupon.
    Apology,
}

/// A text that names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a kind is one of held, extended, recovered, expires_soon, paid, expired, refunded, \
     returned, assist, grace, apology"
)]
pub struct NoSuchKind;

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 11] = [
        Kind::Held,
        Kind::Extended,
        Kind::Recovered,
        Kind::ExpiresSoon,
        Kind::Paid,
        Kind::Expired,
        Kind::Refunded,
        Kind::Returned,
        Kind::Assist,
        Kind::Grace,
        Kind::Apology,
    ];

    /// The name that configuration, API and store use.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Held => "held",
            Kind::Extended => "extended",
            Kind::Recovered => "recovered",
            Kind::ExpiresSoon => "expires_soon",
            Kind::Paid => "paid",
            Kind::Expired => "expired",
            Kind::Refunded => "refunded",
            Kind::Returned => "returned",
            Kind::Assist => "assist",
            Kind::Grace => "grace",
            Kind::Apology => "apology",
        }
    }

    /// Whether the customer must be told whatever else holds: receipts of money that moved.
    /// Neither limits, hours nor an unsubscription keep them back.
    pub fn is_owed(self) -> bool {
        matches!(self, Kind::Paid | Kind::Refunded | Kind::Returned)
    }

    /// Whether it is worth saying while the payment stands so.
    pub fn fits(self, standing: Standing) -> bool {
        match self {
            Kind::Held | Kind::Extended | Kind::Recovered | Kind::ExpiresSoon | Kind::Grace => {
                standing == Standing::Open
            }
            Kind::Expired => standing != Standing::Paid,
            Kind::Assist => standing != Standing::Paid,
            Kind::Paid | Kind::Refunded | Kind::Returned | Kind::Apology => true,
        }
    }

    /// How often it is said at most about what began at one moment.
    pub(crate) fn once(self) -> Once {
        match self {
            Kind::Recovered => Once::Person,
            Kind::Held | Kind::Expired | Kind::Assist | Kind::Grace | Kind::Apology => {
                Once::Payment
            }
            _ => Once::Event,
        }
    }

    /// What its text may be filled with, besides what every text may.
    pub(crate) fn own_places(self) -> &'static [&'static str] {
        match self {
            Kind::Held | Kind::Extended | Kind::Recovered | Kind::ExpiresSoon | Kind::Grace => {
                &["until"]
            }
            Kind::Refunded | Kind::Returned => &["refund"],
            Kind::Apology => &["coupon"],
            Kind::Paid | Kind::Expired | Kind::Assist => &[],
        }
    }
}

/// How often something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Once {
    /// Each event by itself; the note's id sees to it.
    Event,
    /// Once a payment.
    Payment,
    /// Once a person, however many payments are meant.
    Person,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = NoSuchKind;
    fn from_str(text: &str) -> Result<Kind, NoSuchKind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or(NoSuchKind)
    }
}
