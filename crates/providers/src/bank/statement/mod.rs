//! Statements of a bank account, from the bytes of a file to entries.
//!
//! Every mistake of a file is reported at once, with its line; a file with a mistake gives no
//! entries at all, so that nobody takes half of it for the whole. Nothing here panics on any
//! bytes, expands entities, or reads more than [`BYTES_MAX`].
//!
//! What is *not* here: what an entry is for, and which entries are known already.

mod camt;
mod common;
mod csv;
mod entry;
mod format;
mod identity;
mod mt940;

pub use csv::PRESETS;
pub use entry::{Direction, Entry, LineMistake, Party, Skipped, Statement, Why};
pub use format::{
    Camt053Format, Column, Columns, CsvFormat, Encoding, Format, FormatMistake, Mt940Format, Words,
};

/// The largest file that is read: 64 MiB.
pub const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads a file: its statements, one for each account, currency and part that it holds.
///
/// # Errors
/// Every mistake in the file, up to 200; then nothing of the file is good.
pub fn read(bytes: &[u8], format: &Format) -> Result<Vec<Statement>, Vec<LineMistake>> {
    let mut mistakes = common::Mistakes::default();
    if bytes.len() > BYTES_MAX {
        let fix = "export a shorter period";
        mistakes.add(1, "file", "it is larger than 64 MiB", fix);
        return Err(mistakes.list);
    }
    let mut statements = match format {
        Format::Csv(format) => csv::read(bytes, format, &mut mistakes),
        Format::Camt053(_) => camt::read(bytes, &mut mistakes),
        Format::Mt940(format) => mt940::read(bytes, format, &mut mistakes),
    };
    if statements.is_empty() && mistakes.list.is_empty() {
        let fix = "check that it is the right file, in the format that the channel is set to";
        mistakes.add(1, "file", "it holds no statement", fix);
    }
    if !mistakes.list.is_empty() {
        // Balances are checked last; people read a file from its beginning.
        mistakes.list.sort_by_key(|mistake| mistake.line);
        return Err(mistakes.list);
    }
    for statement in &mut statements {
        identity::number_occurrences(&mut statement.entries);
    }
    Ok(statements)
}
