//! What every format is read into: statements, and the entries on them.

use std::fmt;

use domain::{Currency, Money};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// One account's statement, or one part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The account as the file names it, or as the format's settings do where the file does not.
    pub account: String,
    /// The currency of the account and of every balance.
    pub currency: Currency,
    /// The bank's own number of the statement, where it gives one.
    pub number: Option<String>,
    /// The first day that the statement covers, where it says so.
    pub from: Option<Date>,
    /// The last day that the statement covers, where it says so.
    pub to: Option<Date>,
    /// What the account held before the first entry, in minor units; negative when overdrawn.
    pub opening_minor: Option<i64>,
    /// What it held after the last entry, in minor units.
    pub closing_minor: Option<i64>,
    /// The booked entries, in the order of the file.
    pub entries: Vec<Entry>,
    /// What was read and left out, with the reason; shown to whoever uploaded the file.
    pub skipped: Vec<Skipped>,
}

/// One booked movement of an account. Its `Debug` leaves out what may be personal (rule 13).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it begins in the file: a line, from 1.
    pub line: u32,
    /// The bank's own id of the entry; `None` where the bank gave none, or a mere placeholder
    /// such as `NONREF`.
    pub bank_reference: Option<String>,
    /// When the bank booked it.
    pub booked_on: Date,
    /// From when it bears interest, where the file says so.
    pub value_on: Option<Date>,
    /// How much; always positive.
    pub amount: Money,
    /// Into or out of the account. For a reversal this is the way that *this* entry's money
    /// went: the reversal of a credit is a debit.
    pub direction: Direction,
    /// Whether the bank takes back an entry that it made before.
    pub reversal: bool,
    /// Who is on the other side.
    pub counterparty: Party,
    /// The account that the sender named, where it differs from the statement's own: a virtual
    /// account of the payee.
    pub virtual_account: Option<String>,
    /// The remittance text: all its parts, joined by one space.
    pub text: String,
    /// The sender's own reference, where it gave one (`EndToEndId`).
    pub end_to_end: Option<String>,
    /// Which one it is, from 1, among the file's entries that would else have the same
    /// [`identity`](Entry::identity).
    pub occurrence: u32,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("line", &self.line)
            .field("bank_reference", &self.bank_reference)
            .field("booked_on", &self.booked_on)
            .field("amount", &self.amount)
            .field("direction", &self.direction)
            .field("reversal", &self.reversal)
            .field("counterparty", &self.counterparty)
            .field("occurrence", &self.occurrence)
            .finish_non_exhaustive()
    }
}

/// Which way money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Into the account.
    Credit,
    /// Out of the account.
    Debit,
}

impl Direction {
    /// The other one.
    pub fn reversed(self) -> Direction {
        match self {
            Direction::Credit => Direction::Debit,
            Direction::Debit => Direction::Credit,
        }
    }

    /// 1 for money that came, -1 for money that went.
    pub fn sign(self) -> i64 {
        match self {
            Direction::Credit => 1,
            Direction::Debit => -1,
        }
    }
}

/// The other side of an entry, as far as the bank tells. Personal data (rule 13): its `Debug`
/// says only what is there.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The name of the account's holder.
    pub name: Option<String>,
    /// The account, an IBAN or a number.
    pub account: Option<String>,
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |part: &Option<String>| part.as_ref().map_or("none", |_| "given");
        write!(f, "Party(name {}, account {})", told(&self.name), told(&self.account))
    }
}

/// Something in a file that is no booked entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Where it is in the file: a line, from 1.
    pub line: u32,
    /// Why it was left out.
    pub why: Why,
}

/// Why something in a file is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Announced and not booked: it will come again when it is.
    Pending,
    /// For information only.
    Information,
    /// No money moved.
    ZeroAmount,
    /// A line at the file's end that the settings name: sums, signatures.
    Footer,
}

/// One mistake in a file: where, which field, which rule it breaks, what to do. It never holds
/// names, account numbers or remittance texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("line {line}: {field}: {rule}; {fix}")]
pub struct LineMistake {
    /// The line, from 1; 1 for what concerns the file as a whole.
    pub line: u32,
    /// The field: a column's title, an element's path, or a tag such as `:61:`.
    pub field: String,
    /// The rule that it breaks.
    pub rule: String,
    /// What to do about it.
    pub fix: String,
}
