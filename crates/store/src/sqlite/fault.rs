//! What an error of SQLite means for the books: above all, whether a commit may have happened.

use rusqlite::ErrorCode;

use crate::StoreError;

/// Why a piece of work did not do what it should.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite said so.
    Sql(rusqlite::Error),
    /// The rows or the caller said so.
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        Failure::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        match failure {
            Failure::Sql(error) => store_error(&error),
            Failure::Store(error) => error,
        }
    }
}

impl Failure {
    /// Whether the whole transaction must be given up, and not only this piece of work. SQLite
    /// may roll back by itself after these errors, and its manual asks to do so otherwise.
    pub(super) fn spoils(&self) -> bool {
        let Failure::Sql(error) = self else { return false };
        !matches!(
            error.sqlite_error_code(),
            None | Some(
                ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig
            )
        )
    }
}

/// A write that was not done for sure.
#[derive(Clone, Debug)]
pub(super) enum Lost {
    /// Surely not done.
    Failed(StoreError),
    /// Nobody can say.
    Unknown(StoreError),
}

impl From<Lost> for StoreError {
    fn from(lost: Lost) -> StoreError {
        match lost {
            Lost::Failed(error) | Lost::Unknown(error) => error,
        }
    }
}

/// What an error of `COMMIT` says about the transaction.
///
/// In WAL mode `COMMIT` writes the changed pages to the log, the last one with a mark, syncs
/// the log and then tells the other connections through shared memory.
///
/// - *Full* comes from a page that could not be written, so that the mark was not either;
///   *read-only*, *busy*, *locked* and *constraint* come before anything is written. The
///   transaction has surely not happened.
/// - An I/O error may come from the sync (the mark is in the file, perhaps on the disk) or
///   from the shared memory (the mark *is* on the disk). This connection has forgotten the
///   transaction, but a crash now could bring it back: unknown. So is everything that is not
///   listed, because guessing wrong would cost somebody money.
pub(super) fn fate_of_commit(error: &rusqlite::Error) -> Lost {
    let found = store_error(error);
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ConstraintViolation,
        ) => Lost::Failed(found),
        _ => Lost::Unknown(found),
    }
}

/// The error as the rest of Evergate knows it. SQLite's texts name tables and columns and
/// never values, so they may be logged (rule 13).
pub(super) fn store_error(error: &rusqlite::Error) -> StoreError {
    use rusqlite::Error as E;
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::ReadOnly) => StoreError::Full(text),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(text),
        Some(_) => StoreError::Unavailable(text),
        None => match error {
            E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::InvalidColumnType(..)
            | E::Utf8Error(..) => StoreError::Damaged(text),
            _ => StoreError::Unavailable(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn error(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn only_what_surely_did_not_happen_has_failed() {
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY,
        ] {
            assert!(matches!(fate_of_commit(&error(code)), Lost::Failed(_)), "{code}");
        }
        for code in [
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_INTERRUPT,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_ERROR,
        ] {
            assert!(matches!(fate_of_commit(&error(code)), Lost::Unknown(_)), "{code}");
        }
    }

    #[test]
    fn errors_keep_their_meaning() {
        let full = StoreError::Full(String::new());
        let damaged = StoreError::Damaged(String::new());
        let unavailable = StoreError::Unavailable(String::new());
        for (code, meaning) in [
            (ffi::SQLITE_FULL, &full),
            (ffi::SQLITE_READONLY_DIRECTORY, &full),
            (ffi::SQLITE_CORRUPT_INDEX, &damaged),
            (ffi::SQLITE_NOTADB, &damaged),
            (ffi::SQLITE_BUSY, &unavailable),
            (ffi::SQLITE_IOERR_READ, &unavailable),
        ] {
            let found = store_error(&error(code));
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(meaning), "{found}");
        }
    }

    #[test]
    fn one_change_that_breaks_a_constraint_does_not_spoil_the_transaction() {
        assert!(!Failure::Sql(error(ffi::SQLITE_CONSTRAINT_UNIQUE)).spoils());
        assert!(!Failure::Store(StoreError::Damaged(String::new())).spoils());
        assert!(Failure::Sql(error(ffi::SQLITE_FULL)).spoils());
        assert!(Failure::Sql(error(ffi::SQLITE_IOERR_READ)).spoils());
    }
}
