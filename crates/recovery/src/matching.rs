//! What an entry of a bank statement is for.
//!
//! Pure: entries and expectations in, placements out. A transfer is placed by the payment
//! reference in its text or by the virtual account that it was sent to, and by nothing else:
//! an amount alone never places anything, it only makes a suggestion for a person.
//!
//! [`settle`] places a whole file. It takes the entries in an order of their own, so that the
//! order in the file says nothing, and lets each see what came before it.
//!
//! What is *not* here: remembering anything, and telling the payment (the ledger does both).

use domain::{Currency, Money, PaymentId, ProviderOrderNo, Timestamp};
use providers::bank::statement::Entry;
use providers::bank::{Reference, VirtualAccounts};
use serde::{Deserialize, Serialize};

/// An attempt that money may still come for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// Which attempt.
    pub target: Target,
    /// Its number; the reference is derived from it.
    pub number: ProviderOrderNo,
    /// What the customer was told to write.
    pub reference: Reference,
    /// The virtual account that was allotted to it.
    pub virtual_account: Option<String>,
    /// What is to come altogether.
    pub money: Money,
    /// What has come so far, in minor units.
    pub received_minor: i64,
    /// Where it stands.
    pub state: Standing,
    /// When the customer was shown what to do.
    pub shown_at: Timestamp,
    /// Until when the customer was asked to pay.
    pub expires_at: Timestamp,
    /// The customer's name, where the merchant told it; for suggestions only.
    pub payer_name: Option<String>,
}

/// One attempt of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The payment.
    pub payment: PaymentId,
    /// The attempt's ordinal, from 1.
    pub ordinal: u16,
}

/// Where an expectation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Money is awaited.
    Open,
    /// It ended without being paid: expired, cancelled, or paid by another attempt.
    EndedUnpaid,
    /// It is paid; whatever comes now is too much.
    Paid,
}

/// A credit that was imported before, for reversals to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The entry's [`identity`](Entry::identity).
    pub identity: String,
    /// The entry.
    pub entry: Entry,
    /// Which attempt it was placed with, by rule or by people; `None`: in suspense.
    pub target: Option<Target>,
}

/// Money of ours on its way out: a refund or the return of an excess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Its number; the reference in the transfer's text is derived from it.
    pub number: ProviderOrderNo,
    /// How much.
    pub money: Money,
}

/// What the merchant's bank and its customers' banks do to transfers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatchPolicy {
    /// A transfer, or a sum of parts, that falls short by at most this many minor units counts
    /// as whole: banks on the way may have kept a charge. Never applies to what is over.
    pub short_max_minor: i64,
    /// How virtual account numbers are built, to find them in remittance texts.
    pub virtual_accounts: Option<VirtualAccounts>,
    /// The zone of the bank's booking days, in minutes east of UTC: 480 for China.
    pub utc_offset_minutes: i32,
}

/// What an entry turned out to be for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Placement {
    /// A transfer for one attempt.
    Matched {
        /// For which.
        to: Target,
        /// What said so.
        by: By,
        /// How the amount fits.
        fit: Fit,
        /// Why it comes too late, if it does; then the payment's policy decides (rule 6).
        late: Option<Lateness>,
    },
    /// A credit that names nothing that is expected. It stays in suspense until two people place
    /// it.
    Unreferenced {
        /// Valid references in the text that no expectation has: old ones, another system's.
        unknown: Vec<Reference>,
        /// What it may be for, the likeliest first. Never taken without a person.
        suggestions: Vec<Suggestion>,
    },
    /// A credit that names more than one thing. It stays in suspense until two people place it.
    Ambiguous {
        /// What it names.
        between: Vec<Target>,
        /// Why that does not decide it.
        why: Doubt,
    },
    /// A credit for an attempt, in another currency. It stays in suspense.
    WrongCurrency {
        /// For which.
        to: Target,
        /// The currency that was asked for.
        expected: Currency,
    },
    /// The bank takes back a credit.
    Reversal {
        /// The identity of the credit, when only one can be meant.
        of: Option<String>,
        /// Which attempt that credit was placed with.
        from: Option<Target>,
        /// The identities of the credits that may be meant, when that is not sure.
        candidates: Vec<String>,
    },
    /// Money that went out for a payout of ours.
    Payout {
        /// Which.
        number: ProviderOrderNo,
        /// Whether the amount is the payout's; if not, a person has to look.
        agrees: bool,
    },
    /// A payout that came back: the other bank refused it.
    PayoutReturned {
        /// Which.
        number: ProviderOrderNo,
        /// Whether the amount is the payout's; if not, a charge was kept.
        agrees: bool,
    },
    /// Money that went out for nothing of ours: bank charges, the merchant's own payments.
    OtherDebit,
}

/// What named the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The payment reference in the text.
    Reference,
    /// The virtual account.
    VirtualAccount,
    /// Both, and they agree.
    Both,
}

/// How a transfer's amount fits what is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fit", rename_all = "snake_case")]
pub enum Fit {
    /// The whole at once.
    Exact {
        /// By how much it falls short within the tolerance; 0 for the exact amount.
        short_minor: i64,
    },
    /// A part; more is to come.
    Part {
        /// How much.
        rest_minor: i64,
    },
    /// A part that makes it whole.
    Completes {
        /// By how much the sum falls short within the tolerance.
        short_minor: i64,
    },
    /// More than was asked for, this and earlier parts together.
    Over {
        /// How much of *this* transfer is too much; all of it when the attempt was paid before.
        excess_minor: i64,
    },
}

/// Why a transfer is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// It was booked after the day on which the customer's time ran out.
    Expired,
    /// The attempt had ended unpaid.
    Ended,
}

/// Why an entry is ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The text names several expected references.
    SeveralReferences,
    /// The virtual account belongs to another attempt than the reference.
    AccountDisagrees,
    /// Several live attempts have the same reference; see [`Reference`] on how rare that is.
    SameReference,
}

/// What an unreferenced credit may be for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Which attempt.
    pub to: Target,
    /// What is still to come for it, in minor units.
    pub rest_minor: i64,
    /// What speaks for it.
    pub reasons: Vec<Reason>,
    /// How much speaks for it; only good for comparing.
    pub score: u32,
}

/// What speaks for a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The text holds its reference with one wrong character.
    NearReference,
    /// The amount is exactly what is still to come.
    SameAmount,
    /// The payer is called like the customer.
    SimilarName,
    /// It was shown at most three days before the booking.
    ShownLately,
}
