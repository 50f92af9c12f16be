//! Opening the file: its lock, its settings, its schema.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::fault::{Failure, store_error};
use super::writer::prove_writable;
use crate::StoreError;

/// In the file's header, so that a foreign database is told from ours: `EVGT`.
const APPLICATION_ID: i32 = 0x4556_4754;

/// The scripts by version, from 1. A script never changes once it was released.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_books.sql"),
    include_str!("../../migrations/sqlite/0002_bank.sql"),
    include_str!("../../migrations/sqlite/0003_config_versions.sql"),
    include_str!("../../migrations/sqlite/0004_queue.sql"),
    include_str!("../../migrations/sqlite/0005_assist.sql"),
    include_str!("../../migrations/sqlite/0006_notes.sql"),
    include_str!("../../migrations/sqlite/0007_console.sql"),
];

/// The newest schema that this program knows.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// A lock beside the database that only one process can hold. The system lets go of it when
/// the process ends, however it ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(database: &Path) -> Result<Lock, StoreError> {
        let path = beside(database, ".lock");
        let file = open_private(&path).map_err(|e| io_error("open", &path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Unavailable(format!(
                "another process has {} open; stop it first, or give this one a file of its own",
                database.display()
            ))),
            Err(std::fs::TryLockError::Error(e)) => Err(io_error("lock", &path, &e)),
        }
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Makes a file that only its owner can read: the books hold personal data.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn io_error(what: &str, path: &Path, error: &io::Error) -> StoreError {
    let text = format!("cannot {what} {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::PermissionDenied => StoreError::Full(text),
        _ => StoreError::Unavailable(text),
    }
}

/// Opens the connection that writes, and brings the schema up to date.
pub(super) fn open_writer(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    open_private(path).map_err(|e| io_error("open", path, &e))?;
    let mut conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, busy_timeout)?;
    recognise(&conn)?;
    prepare(&conn).map_err(|e| store_error(&e))?;
    migrate(&mut conn).map_err(StoreError::from)?;
    checkpoint(&conn, "TRUNCATE").map_err(|e| store_error(&e))?;
    // What recovery found in the log may never have reached the disk itself. A commit syncs
    // the log, and so makes it durable before anyone is told that it is there (rule 16); it
    // also shows now, and not at the first payment, when nothing can be written.
    prove_writable(&conn)?;
    Ok(conn)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(path: &Path, busy_timeout: Duration) -> Result<Connection, StoreError> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, busy_timeout)?;
    conn.pragma_update(None, "query_only", true).map_err(|e| store_error(&e))?;
    Ok(conn)
}

/// Opens the connection that moves the log into the database.
pub(super) fn open_checkpointer(
    path: &Path,
    busy_timeout: Duration,
) -> Result<Connection, StoreError> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, busy_timeout)?;
    prepare(&conn).map_err(|e| store_error(&e))?;
    Ok(conn)
}

fn connect(
    path: &Path,
    flags: OpenFlags,
    busy_timeout: Duration,
) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|e| store_error(&e))?;
    conn.busy_timeout(busy_timeout).map_err(|e| store_error(&e))?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(conn)
}

/// Refuses a file that is not ours or that is newer, before anything is written to it.
fn recognise(conn: &Connection) -> Result<(), StoreError> {
    let pragma = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let read = || -> rusqlite::Result<(i32, i32, i64)> {
        let tables = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, tables))
    };
    let (application, version, tables) = read().map_err(|e| store_error(&e))?;
    match (application, u32::try_from(version)) {
        (0, Ok(0)) if tables == 0 => Ok(()),
        (APPLICATION_ID, Ok(found)) if found > KNOWN => {
            Err(StoreError::Newer { found, known: KNOWN })
        }
        (APPLICATION_ID, Ok(1..)) => Ok(()),
        _ => Err(StoreError::Damaged("the file is a database, but not one of Evergate's".into())),
    }
}

fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // FULL syncs the log at every commit: an acknowledged change outlives a power failure.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // The checkpointer decides when; see there.
    conn.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    // A log that had to grow gives its space back when it starts over.
    conn.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
    // What savepoints remember for going back would otherwise be written to a file.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", -16_384)
}

fn migrate(conn: &mut Connection) -> Result<(), Failure> {
    let found: u32 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (script, version) in MIGRATIONS.iter().zip(1..).skip(found as usize) {
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(script)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

/// Moves the log into the database. How many pages of the log are left to move, if known.
pub(super) fn checkpoint(conn: &Connection, mode: &str) -> rusqlite::Result<i64> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    conn.query_row(&sql, [], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No test can cut the power, so at least nobody changes these by accident.
    #[test]
    fn an_acknowledged_change_outlives_a_power_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("books.db");
        let writer = open_writer(&path, Duration::from_secs(1)).unwrap();
        let checkpointer = open_checkpointer(&path, Duration::from_secs(1)).unwrap();
        for conn in [&writer, &checkpointer] {
            let number = |name| conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let mode: String =
                conn.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
            assert_eq!(mode, "wal");
            assert_eq!(number("synchronous"), Ok(2), "FULL");
            assert_eq!(number("foreign_keys"), Ok(1));
            assert_eq!(number("wal_autocheckpoint"), Ok(0));
        }
        let reader = open_reader(&path, Duration::from_secs(1)).unwrap();
        assert!(reader.execute("DELETE FROM payments", []).is_err());
    }

    #[test]
    fn a_migration_that_was_done_is_not_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("books.db");
        for _ in 0..3 {
            let conn = open_writer(&path, Duration::from_secs(1)).unwrap();
            let version = conn.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
            assert_eq!(version, Ok(KNOWN));
        }
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("books.db");
        drop(open_private(&path).unwrap());
        let timeout = Duration::from_secs(1);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let mut conn = connect(&path, flags, timeout).unwrap();
        // The second half of the script meets a table of the same name.
        conn.execute_batch("CREATE TABLE audit (x)").unwrap();
        assert!(migrate(&mut conn).is_err());
        let tables: i64 =
            conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        assert_eq!(tables, 1);
    }
}
