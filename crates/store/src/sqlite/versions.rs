//! Versions of the configuration, in SQL.

use domain::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::fault::Failure;
use super::work::note;
use crate::{AuditLine, NewVersion, StoreError, Version, VersionState};

const COLUMNS: &str = "version, text, digest, at, by, reason, parent, state, cause";

pub(super) fn add(
    conn: &Connection,
    new: &NewVersion,
    audit: &AuditLine,
) -> Result<Option<u64>, Failure> {
    let live = with_state(conn, VersionState::Live)?;
    if live != new.parent || with_state(conn, VersionState::Staged)?.is_some() {
        return Ok(None);
    }
    if new.state == VersionState::Live {
        supersede(conn)?;
    }
    let next: i64 = conn
        .prepare_cached("SELECT coalesce(max(version), 0) + 1 FROM config_versions")?
        .query_row([], |row| row.get(0))?;
    conn.prepare_cached(
        "INSERT INTO config_versions (version, text, digest, at, by, reason, parent, state) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        next,
        new.text,
        new.digest,
        new.at.as_micros(),
        new.by,
        new.reason,
        new.parent.map(u64::cast_signed),
        new.state.name(),
    ])?;
    note(conn, audit)?;
    Ok(Some(next.cast_unsigned()))
}

pub(super) fn settle(
    conn: &Connection,
    version: u64,
    end: VersionState,
    cause: Option<&str>,
    audit: &AuditLine,
) -> Result<bool, Failure> {
    if with_state(conn, VersionState::Staged)? != Some(version) {
        return Ok(false);
    }
    if end == VersionState::Live {
        supersede(conn)?;
    }
    conn.prepare_cached("UPDATE config_versions SET state = ?, cause = ? WHERE version = ?")?
        .execute(params![end.name(), cause, version.cast_signed()])?;
    note(conn, audit)?;
    Ok(true)
}

fn supersede(conn: &Connection) -> Result<(), Failure> {
    conn.prepare_cached("UPDATE config_versions SET state = 'superseded' WHERE state = 'live'")?
        .execute([])?;
    Ok(())
}

fn with_state(conn: &Connection, state: VersionState) -> Result<Option<u64>, Failure> {
    let found: Option<i64> = conn
        .prepare_cached("SELECT version FROM config_versions WHERE state = ?")?
        .query_row([state.name()], |row| row.get(0))
        .optional()?;
    Ok(found.map(i64::cast_unsigned))
}

pub(super) fn one(conn: &Connection, version: u64) -> Result<Option<Version>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM config_versions WHERE version = ?");
    let found = conn
        .prepare_cached(&sql)?
        .query_row([version.cast_signed()], |row| Ok(read(row)))
        .optional()?;
    Ok(found.transpose()?)
}

pub(super) fn list(conn: &Connection, limit: usize) -> Result<Vec<Version>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM config_versions ORDER BY version DESC LIMIT ?");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(&sql)?;
    let rows = statement.query_map([limit], |row| Ok(read(row)))?;
    let mut found = Vec::new();
    for row in rows {
        found.push(row??);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Version, StoreError> {
    let read = || -> rusqlite::Result<(Version, String)> {
        let new = NewVersion {
            text: row.get(1)?,
            digest: row.get(2)?,
            at: Timestamp::from_micros(row.get(3)?),
            by: row.get(4)?,
            reason: row.get(5)?,
            parent: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
            state: VersionState::Superseded,
        };
        let version = row.get::<_, i64>(0)?.cast_unsigned();
        Ok((Version { version, new, cause: row.get(8)? }, row.get(7)?))
    };
    let (mut version, state) = read().map_err(|e| super::fault::store_error(&e))?;
    version.new.state = VersionState::of(&state)
        .ok_or_else(|| StoreError::Damaged("a version of the configuration has no state".into()))?;
    Ok(version)
}
