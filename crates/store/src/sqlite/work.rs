//! The other writes: claims, messages, controls, and what is thrown away by age.

use domain::{Controls, Timestamp};
use rusqlite::{Connection, params};

use super::commit::{number, payment_id};
use super::fault::Failure;
use super::read::{MESSAGE_COLUMNS, counter, message_row};
use crate::{AuditLine, Claim, Message, MessageEnd, StoreError, rows};

/// A limit as SQL wants it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) const DUE_PAYMENTS: &str =
    "SELECT id, fence + 1 FROM payments WHERE wake_at <= ? ORDER BY wake_at, id LIMIT ?";

pub(super) fn due_messages() -> String {
    format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE state = 'pending' AND due_at <= ? \
         ORDER BY due_at, id LIMIT ?"
    )
}

pub(super) fn claim_due(
    conn: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
    owner: &str,
    limit_to: usize,
) -> Result<Vec<Claim>, Failure> {
    let mut due = conn.prepare_cached(DUE_PAYMENTS)?;
    let claims = due
        .query_map([now.as_micros(), limit(limit_to)], |row| {
            Ok(Claim { payment: payment_id(row, 0)?, fence: counter(row, 1)?, lease_until })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut take = conn.prepare_cached(
        "UPDATE payments SET fence = ?, lease_until = ?, owner = ?, wake_at = max(due_at, ?) \
         WHERE id = ?",
    )?;
    let until = lease_until.as_micros();
    for claim in &claims {
        let id = claim.payment.uuid();
        take.execute(params![number(claim.fence)?, until, owner, until, id.as_bytes()])?;
    }
    Ok(claims)
}

pub(super) fn release(conn: &Connection, claim: &Claim, due_at: Timestamp) -> Result<(), Failure> {
    let due_at = due_at.as_micros();
    conn.prepare_cached(
        "UPDATE payments SET lease_until = NULL, owner = NULL, due_at = ?, wake_at = ? \
         WHERE id = ? AND fence = ? AND lease_until IS NOT NULL",
    )?
    .execute(params![
        due_at,
        due_at,
        claim.payment.uuid().as_bytes(),
        number(claim.fence)?
    ])?;
    Ok(())
}

pub(super) fn claim_messages(
    conn: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
    limit_to: usize,
) -> Result<Vec<Message>, Failure> {
    let mut due = conn.prepare_cached(&due_messages())?;
    let found = due
        .query_map([now.as_micros(), limit(limit_to)], |row| Ok(message_row(row)))?
        .collect::<rusqlite::Result<Result<Vec<_>, Failure>>>()??;
    let mut take = conn.prepare_cached("UPDATE messages SET fence = ?, due_at = ? WHERE id = ?")?;
    let taken = |message: Message| {
        let claimed = Message { fence: message.fence + 1, due_at: lease_until, ..message };
        take.execute(params![number(claimed.fence)?, lease_until.as_micros(), claimed.id])?;
        Ok(claimed)
    };
    found.into_iter().map(taken).collect()
}

/// The fence moves on with the answer, so that the same answer given twice counts once.
pub(super) fn message_tried(
    conn: &Connection,
    id: &str,
    fence: u64,
    end: &MessageEnd,
) -> Result<(), Failure> {
    let (state, due_at, error) = match end {
        MessageEnd::Delivered => ("delivered", None, None),
        MessageEnd::Retry { at, error } => ("pending", Some(at.as_micros()), Some(error)),
        MessageEnd::Dead { error } => ("dead", None, Some(error)),
    };
    conn.prepare_cached(
        "UPDATE messages SET state = ?, due_at = coalesce(?, due_at), last_error = ?, \
         tries = tries + 1, fence = fence + 1 WHERE id = ? AND fence = ? AND state = 'pending'",
    )?
    .execute(params![state, due_at, error, id, number(fence)?])?;
    Ok(())
}

pub(super) fn resend_message(conn: &Connection, id: &str, now: Timestamp) -> Result<bool, Failure> {
    let changed = conn
        .prepare_cached(
            "UPDATE messages SET state = 'pending', due_at = ?, tries = 0, fence = fence + 1 \
             WHERE id = ? AND state <> 'pending'",
        )?
        .execute(params![now.as_micros(), id])?;
    if changed > 0 {
        return Ok(true);
    }
    Ok(conn.prepare_cached("SELECT 1 FROM messages WHERE id = ?")?.exists([id])?)
}

pub(super) fn set_controls(
    conn: &Connection,
    next: &Controls,
    audit: &AuditLine,
) -> Result<bool, Failure> {
    let current: i64 = conn
        .prepare_cached("SELECT coalesce(max(version), 0) FROM controls")?
        .query_row([], |row| row.get(0))?;
    let version = number(next.version)?;
    if version != current + 1 {
        return Ok(false);
    }
    conn.prepare_cached(
        "INSERT INTO controls (id, version, body) VALUES (1, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body",
    )?
    .execute(params![version, rows::to_json(next)?])?;
    note(conn, audit)?;
    Ok(true)
}

pub(super) fn note(conn: &Connection, line: &AuditLine) -> Result<(), Failure> {
    conn.prepare_cached("INSERT INTO audit (at, by, action, reason) VALUES (?, ?, ?, ?)")?
        .execute(params![line.at.as_micros(), line.by, line.action, line.reason])?;
    Ok(())
}

/// Deletes up to `limit_to` records that are older than `before`; how many it were.
pub(super) fn purge_requests(
    conn: &Connection,
    before: Timestamp,
    limit_to: usize,
) -> Result<usize, Failure> {
    let deleted = conn
        .prepare_cached(
            "DELETE FROM requests WHERE (merchant, key) IN \
             (SELECT merchant, key FROM requests WHERE at < ? ORDER BY at LIMIT ?)",
        )?
        .execute([before.as_micros(), limit(limit_to)])?;
    Ok(deleted)
}

/// The same for the ids of changes.
pub(super) fn purge_changes(
    conn: &Connection,
    before: Timestamp,
    limit_to: usize,
) -> Result<usize, Failure> {
    let deleted = conn
        .prepare_cached(
            "DELETE FROM changes WHERE id IN \
             (SELECT id FROM changes WHERE at < ? ORDER BY at LIMIT ?)",
        )?
        .execute([before.as_micros(), limit(limit_to)])?;
    Ok(deleted)
}

/// A line that a person's act leaves behind.
pub(super) fn audit_row(row: &rusqlite::Row<'_>) -> Result<AuditLine, StoreError> {
    let read = || -> rusqlite::Result<AuditLine> {
        Ok(AuditLine {
            at: Timestamp::from_micros(row.get(0)?),
            by: row.get(1)?,
            action: row.get(2)?,
            reason: row.get(3)?,
        })
    };
    read().map_err(|e| super::fault::store_error(&e))
}
