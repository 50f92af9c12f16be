//! Statements of a bank account, from the bytes of a file to entries.
//!
//! Every mistake of a file is reported at once, with its line; a file with a mistake gives no
//! entries at all, so that nobody takes half of it for the whole. Nothing here panics on any
//! bytes, expands entities, or reads more than [`BYTES_MAX`].
//!
//! What is *not* here: what an entry is for, and which entries are known already.

mod entry;
mod format;
mod identity;

pub use entry::{Direction, Entry, LineMistake, Party, Skipped, Statement, Why};
pub use format::{
    Camt053Format, Column, Columns, CsvFormat, Encoding, Format, FormatMistake, Mt940Format, Words,
};

/// The largest file that is read: 64 MiB.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;
