//! Notes to customers, in SQL.

use std::collections::HashSet;

use domain::{MerchantId, PaymentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::commit::{number, payment_id};
use super::fault::Failure;
use super::read::counter;
use super::work::{limit, note as audit_line};
use crate::notes::{Ended, NewNote, Note, NoteEnd, NoteState, Private, SentNote};
use crate::{AuditLine, rows};

const COLUMNS: &str = "id, kind, way, addressee, contact, locale, data, since, due_at, \
                       not_after, merchant, payment_id, created_at, tries, state, reason, \
                       sent_at, forced, fence";

/// What is to be looked at, but for people who have a note under way.
pub(super) fn due_query() -> String {
    format!(
        "SELECT {COLUMNS} FROM customer_notes n WHERE state = 'pending' AND due_at <= ?1 \
         AND NOT EXISTS (SELECT 1 FROM customer_notes o WHERE o.addressee = n.addressee \
         AND o.lease_until IS NOT NULL AND o.lease_until > ?1) ORDER BY due_at, id LIMIT ?2"
    )
}

/// The state is part of the text, so that the planner can use an index of that state alone.
pub(super) fn list_query(state: Option<NoteState>) -> String {
    let test = state.map_or("TRUE".into(), |s| format!("state = '{}'", s.name()));
    format!(
        "SELECT {COLUMNS} FROM customer_notes WHERE {test} \
         ORDER BY created_at DESC, id DESC LIMIT ?"
    )
}

pub(super) const SENT: &str = "SELECT id, kind, payment_id, sent_at FROM customer_notes \
     WHERE addressee = ? AND sent_at >= ? ORDER BY sent_at DESC, id DESC LIMIT ?";

pub(super) const NEXT: &str = "SELECT min(due_at) FROM customer_notes WHERE state = 'pending'";

/// Adds a note. One that is there already is the same note: ids are derived.
pub(super) fn insert(
    conn: &Connection,
    (merchant, payment): (&MerchantId, PaymentId),
    note: &NewNote,
    at: Timestamp,
) -> Result<bool, Failure> {
    let inserted = conn
        .prepare_cached(
            "INSERT INTO customer_notes (id, payment_id, merchant, kind, way, addressee, \
             contact, locale, data, since, created_at, due_at, not_after, tries, state, forced, \
             fence) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'pending', 0, 0) \
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            note.id,
            payment.uuid().as_bytes(),
            merchant.as_str(),
            note.kind,
            note.way,
            note.addressee.expose(),
            note.contact.expose(),
            rows::locale(note.locale),
            note.data,
            note.since.as_micros(),
            at.as_micros(),
            note.due_at.as_micros(),
            note.not_after.as_micros(),
        ])?;
    Ok(inserted > 0)
}

pub(super) fn add(
    conn: &Connection,
    about: (&MerchantId, PaymentId),
    note: &NewNote,
    at: Timestamp,
    audit: &AuditLine,
) -> Result<bool, Failure> {
    let added = insert(conn, about, note, at)?;
    if added {
        audit_line(conn, audit)?;
    }
    Ok(added)
}

pub(super) fn claim(
    conn: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
    limit_to: usize,
) -> Result<Vec<Note>, Failure> {
    let mut due = conn.prepare_cached(&due_query())?;
    let mut found = due
        .query_map([now.as_micros(), limit(limit_to)], |row| Ok(read(row)))?
        .collect::<rusqlite::Result<Result<Vec<_>, Failure>>>()??;
    let mut people = HashSet::new();
    found.retain(|note| people.insert(note.what.addressee.expose().to_owned()));
    let mut take = conn.prepare_cached(
        "UPDATE customer_notes SET fence = ?, due_at = ?, lease_until = ? WHERE id = ?",
    )?;
    let until = lease_until.as_micros();
    let taken = |note: Note| {
        let claimed = Note {
            fence: note.fence + 1,
            what: NewNote { due_at: lease_until, ..note.what },
            ..note
        };
        take.execute(params![number(claimed.fence)?, until, until, claimed.what.id])?;
        Ok(claimed)
    };
    found.into_iter().map(taken).collect()
}

/// The fence moves on with the answer, so that the same answer given twice counts once.
pub(super) fn end(
    conn: &Connection,
    id: &str,
    fence: u64,
    end: NoteEnd,
    at: Timestamp,
) -> Result<bool, Failure> {
    let Ended { state, due_at, tried, reason } = Ended::from(end);
    let sent_at = (state == NoteState::Sent).then_some(at.as_micros());
    let changed = conn
        .prepare_cached(
            "UPDATE customer_notes SET state = ?, due_at = coalesce(?, due_at), reason = ?, \
             tries = tries + ?, sent_at = coalesce(?, sent_at), lease_until = NULL, \
             fence = fence + 1 WHERE id = ? AND fence = ? AND state = 'pending'",
        )?
        .execute(params![
            state.name(),
            due_at.map(Timestamp::as_micros),
            reason,
            tried,
            sent_at,
            id,
            number(fence)?
        ])?;
    Ok(changed > 0)
}

pub(super) fn resend(
    conn: &Connection,
    id: &str,
    now: Timestamp,
    audit: &AuditLine,
) -> Result<bool, Failure> {
    let changed = conn
        .prepare_cached(
            "UPDATE customer_notes SET state = 'pending', due_at = ?, tries = 0, forced = 1, \
             lease_until = NULL, fence = fence + 1 WHERE id = ?",
        )?
        .execute(params![now.as_micros(), id])?;
    if changed > 0 {
        audit_line(conn, audit)?;
    }
    Ok(changed > 0)
}

pub(super) fn one(conn: &Connection, id: &str) -> Result<Option<Note>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM customer_notes WHERE id = ?");
    first(conn, &sql, id)
}

pub(super) fn latest_to(conn: &Connection, addressee: &str) -> Result<Option<Note>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM customer_notes WHERE addressee = ? \
         ORDER BY created_at DESC, id DESC LIMIT 1"
    );
    first(conn, &sql, addressee)
}

fn first(conn: &Connection, sql: &str, key: &str) -> Result<Option<Note>, Failure> {
    conn.prepare_cached(sql)?.query_row([key], |row| Ok(read(row))).optional()?.transpose()
}

pub(super) fn of_payment(conn: &Connection, payment: PaymentId) -> Result<Vec<Note>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM customer_notes WHERE payment_id = ? ORDER BY created_at, id"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_map([payment.uuid().as_bytes()], |row| Ok(read(row)))?
        .collect::<rusqlite::Result<Result<_, _>>>()?
}

pub(super) fn list(
    conn: &Connection,
    state: Option<NoteState>,
    limit_to: usize,
) -> Result<Vec<Note>, Failure> {
    conn.prepare_cached(&list_query(state))?
        .query_map([limit(limit_to)], |row| Ok(read(row)))?
        .collect::<rusqlite::Result<Result<_, _>>>()?
}

pub(super) fn sent_to(
    conn: &Connection,
    addressee: &str,
    since: Timestamp,
    limit_to: usize,
) -> Result<Vec<SentNote>, Failure> {
    let read = |row: &Row<'_>| {
        Ok(SentNote {
            id: row.get(0)?,
            kind: row.get(1)?,
            payment: payment_id(row, 2)?,
            at: Timestamp::from_micros(row.get(3)?),
        })
    };
    let found = conn
        .prepare_cached(SENT)?
        .query_map(params![addressee, since.as_micros(), limit(limit_to)], read)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

pub(super) fn next_due(conn: &Connection) -> Result<Option<Timestamp>, Failure> {
    let earliest: Option<i64> = conn.prepare_cached(NEXT)?.query_row([], |row| row.get(0))?;
    Ok(earliest.map(Timestamp::from_micros))
}

pub(super) fn unsubscribed(
    conn: &Connection,
    addressee: &str,
) -> Result<Option<Timestamp>, Failure> {
    let at: Option<i64> = conn
        .prepare_cached("SELECT at FROM unsubscribed WHERE addressee = ?")?
        .query_row([addressee], |row| row.get(0))
        .optional()?;
    Ok(at.map(Timestamp::from_micros))
}

pub(super) fn set_subscribed(
    conn: &Connection,
    addressee: &str,
    wanted: bool,
    at: Timestamp,
) -> Result<(), Failure> {
    if wanted {
        conn.prepare_cached("DELETE FROM unsubscribed WHERE addressee = ?")?
            .execute([addressee])?;
    } else {
        conn.prepare_cached(
            "INSERT INTO unsubscribed (addressee, at) VALUES (?, ?) \
             ON CONFLICT (addressee) DO NOTHING",
        )?
        .execute(params![addressee, at.as_micros()])?;
    }
    Ok(())
}

pub(super) fn secret(conn: &Connection, name: &str, fresh: &[u8]) -> Result<Vec<u8>, Failure> {
    conn.prepare_cached(
        "INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
    )?
    .execute(params![name, fresh])?;
    Ok(conn
        .prepare_cached("SELECT value FROM secrets WHERE name = ?")?
        .query_row([name], |row| row.get(0))?)
}

fn read(row: &Row<'_>) -> Result<Note, Failure> {
    let text = |column: usize| -> Result<&str, Failure> {
        Ok(row.get_ref(column)?.as_str().map_err(rows::damaged)?)
    };
    let time =
        |column| -> rusqlite::Result<Timestamp> { Ok(Timestamp::from_micros(row.get(column)?)) };
    let state = text(14)?;
    let unknown = || rows::damaged(format!("a note has the state {state:?}"));
    let sent_at: Option<i64> = row.get(16)?;
    Ok(Note {
        what: NewNote {
            id: row.get(0)?,
            kind: row.get(1)?,
            way: row.get(2)?,
            addressee: Private::new(text(3)?),
            contact: Private::new(text(4)?),
            locale: rows::read_locale(text(5)?)?,
            data: row.get(6)?,
            since: time(7)?,
            due_at: time(8)?,
            not_after: time(9)?,
        },
        merchant: MerchantId::new(text(10)?).map_err(rows::damaged)?,
        payment: payment_id(row, 11)?,
        created_at: time(12)?,
        tries: row.get(13)?,
        state: NoteState::of(state).ok_or_else(unknown)?,
        reason: row.get(15)?,
        sent_at: sent_at.map(Timestamp::from_micros),
        forced: row.get(17)?,
        fence: counter(row, 18)?,
    })
}
