//! Faults of a commit that a test can ask for. Without the feature there are none.

#[cfg(not(feature = "faults"))]
pub(super) use none::Faults;
#[cfg(feature = "faults")]
pub use some::{CommitFault, Faults};

#[cfg(not(feature = "faults"))]
mod none {
    /// No faults.
    #[derive(Debug, Default)]
    pub(in crate::sqlite) struct Faults(());

    impl Faults {
        pub(in crate::sqlite) fn commit(
            &self,
            execute: impl FnOnce(&str) -> rusqlite::Result<()>,
        ) -> rusqlite::Result<()> {
            execute("COMMIT")
        }
    }
}

#[cfg(feature = "faults")]
mod some {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex, PoisonError};

    use rusqlite::ffi;

    /// How one `COMMIT` of the writer is to go.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum CommitFault {
        /// As it should.
        None,
        /// The disk is full: surely not done.
        Full,
        /// An I/O error, and the transaction was not done.
        LostUndone,
        /// An I/O error, and the transaction was done.
        LostDone,
    }

    /// A queue of faults, shared with the store that it was given to. Each commit takes one;
    /// none left means no fault.
    #[derive(Clone, Debug, Default)]
    pub struct Faults(Arc<Mutex<VecDeque<CommitFault>>>);

    impl Faults {
        /// Asks for a fault of the commit after those that are queued.
        pub fn push(&self, fault: CommitFault) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(fault);
        }

        pub(in crate::sqlite) fn commit(
            &self,
            execute: impl FnOnce(&str) -> rusqlite::Result<()>,
        ) -> rusqlite::Result<()> {
            let fault = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let (sql, code) = match fault.unwrap_or(CommitFault::None) {
                CommitFault::None => return execute("COMMIT"),
                CommitFault::Full => ("ROLLBACK", ffi::SQLITE_FULL),
                CommitFault::LostUndone => ("ROLLBACK", ffi::SQLITE_IOERR_FSYNC),
                CommitFault::LostDone => ("COMMIT", ffi::SQLITE_IOERR_SHMSIZE),
            };
            execute(sql)?;
            Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("injected".into())))
        }
    }
}
