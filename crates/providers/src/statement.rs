//! Statements: what a provider says, line by line, that it settled on a day.
//!
//! A provider's folder knows how to ask for its file and how to read it; what comes out is plain
//! lines, the same for every provider, to be matched with the books elsewhere. A file is
//! believed only when it proves itself (signature, account, day), and is read within bounds: it
//! comes from outside, packed.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use domain::{Currency, Timestamp};
use jiff::civil::Date;

use crate::{Cause, Request, Response, Stamp};

/// A provider's statements.
pub trait Statements: Send + Sync {
    /// The request for the file of a day.
    fn request(&self, day: Date, stamp: &Stamp) -> Request;

    /// Reads the answer.
    ///
    /// # Errors
    /// When there is no file, or it does not prove itself, or cannot be read.
    fn read(
        &self,
        day: Date,
        response: &Response,
        now: Timestamp,
    ) -> Result<Statement, StatementError>;
}

/// How long a file may take; far longer than a call, because nobody waits for it in a shop.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest answer that is read, packed and encoded as it comes: 64 MiB.
pub const STATEMENT_BYTES_MAX: usize = 64 << 20;
/// The most that a file may unpack to, all parts together: 512 MiB, some 900,000 lines.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 512 << 20;
/// Mistakes that are told of one file.
pub(crate) const MISTAKES_MAX: usize = 20;

/// A day of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// The day that it settles.
    pub day: Date,
    /// What the provider calls the file.
    pub file_name: String,
    /// The file as the provider made it, unwrapped from its transport.
    pub file: Vec<u8>,
    /// Its lines, in its order.
    pub lines: Vec<StatementLine>,
    /// Lines that read well and whose sums do not hold, for a person.
    pub remarks: Vec<LineMistake>,
    /// Parts of the file that hold other things.
    pub ignored: Vec<String>,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, bytes, lines) = (&self.file_name, self.file.len(), self.lines.len());
        write!(f, "a statement of {} ({name}, {bytes} bytes, {lines} lines)", self.day)
    }
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineKind {
    /// A customer paid.
    Payment,
    /// Money went back to a customer.
    Refund,
    /// Something that the provider did by itself: a refund by the issuer, a chargeback, a
    /// correction.
    Exception,
    /// Something that is neither.
    Other,
}

impl LineKind {
    /// Every kind, in the order that sums are shown.
    pub const ALL: [LineKind; 4] =
        [LineKind::Payment, LineKind::Refund, LineKind::Exception, LineKind::Other];

    /// The name that lists and JSON use.
    pub fn name(self) -> &'static str {
        match self {
            LineKind::Payment => "payment",
            LineKind::Refund => "refund",
            LineKind::Exception => "exception",
            LineKind::Other => "other",
        }
    }
}

/// One line, in terms that all providers share. It holds no card or account number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// Where it stands: the part of the file, and the line in it from 1.
    pub place: Place,
    /// What it is about.
    pub kind: LineKind,
    /// Our number of the payment or refund; empty where the line names none.
    pub number: String,
    /// The provider's id of it.
    pub reference: String,
    /// The currency of every amount of the line.
    pub currency: Currency,
    /// How much was paid or went back, in minor units; at least 0.
    pub amount_minor: i64,
    /// What the provider keeps, in minor units; below 0 when it gives a fee back.
    pub fee_minor: i64,
    /// What it changes in what the merchant gets, in minor units; below 0 for a refund.
    pub net_minor: i64,
    /// The day that it is settled with.
    pub settled_on: Date,
    /// For a refund: the payment that it belongs to.
    pub original: Option<Original>,
}

/// Where a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The part of the file.
    pub part: String,
    /// The line, from 1.
    pub line: usize,
}

/// The payment that a refund belongs to, as far as the line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Our number of it; empty where it is not named.
    pub number: String,
    /// The provider's id of it; empty where it is not named.
    pub reference: String,
}

/// A line that cannot be read, or whose sums do not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: line {}, {field}: {rule}", place.part, place.line)]
pub struct LineMistake {
    /// Where.
    pub place: Place,
    /// The field.
    pub field: &'static str,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// Sums of the lines of a kind, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many lines.
    pub count: u64,
    /// See [`StatementLine::amount_minor`].
    pub amount_minor: i128,
    /// See [`StatementLine::fee_minor`].
    pub fee_minor: i128,
    /// See [`StatementLine::net_minor`].
    pub net_minor: i128,
}

impl Statement {
    /// The sums of a kind and currency.
    pub fn totals(&self, kind: LineKind, currency: Currency) -> Totals {
        let mut totals = Totals::default();
        for line in self.lines.iter().filter(|l| l.kind == kind && l.currency == currency) {
            totals.count += 1;
            totals.amount_minor += i128::from(line.amount_minor);
            totals.fee_minor += i128::from(line.fee_minor);
            totals.net_minor += i128::from(line.net_minor);
        }
        totals
    }
}

/// Why there is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The channel's provider gives none here.
    #[error("statements of {0} cannot be fetched yet")]
    Unsupported(&'static str),
    /// The provider has no file of that day: it is not made yet, or nothing was settled.
    #[error(
        "the provider has no statement of {day} (code {code}): it is made after the day has \
             ended, and not for a day without transactions"
    )]
    NotThere {
        /// The day.
        day: Date,
        /// The provider's code.
        code: String,
    },
    /// The provider refused, for a reason of its own.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// No whole answer came.
    #[error("no whole answer came: {0}")]
    Silent(String),
    /// It came, and does not prove itself.
    #[error("the answer does not prove itself: {0}")]
    Forged(String),
    /// It proves itself, and is of another account or day.
    #[error("the file is of another {0}")]
    Other(&'static str),
    /// It cannot be unpacked.
    #[error("the file cannot be unpacked: {0}")]
    Packed(String),
    /// Lines cannot be read. All that was found, up to a bound.
    #[error("{} of its lines cannot be read; the first: {}", .0.len(), .0[0])]
    Lines(Vec<LineMistake>),
}

impl From<Cause> for StatementError {
    fn from(cause: Cause) -> StatementError {
        StatementError::Silent(format!("{} ({})", cause.detail, cause.code))
    }
}

/// Reads to the end, and no further than `most` bytes: what is packed small may be large.
pub(crate) fn bounded(reader: impl Read, most: u64) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match reader.take(most.saturating_add(1)).read_to_end(&mut out) {
        Ok(read) if read as u64 > most => Err(format!("it unpacks to more than {most} bytes")),
        Ok(_) => Ok(out),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_that_unpacks_without_end_is_stopped() {
        assert_eq!(bounded(std::io::repeat(7).take(10), 10).unwrap().len(), 10);
        let error = bounded(std::io::repeat(7), 10).unwrap_err();
        assert_eq!(error, "it unpacks to more than 10 bytes");
    }
}
