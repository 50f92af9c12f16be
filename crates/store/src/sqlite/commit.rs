//! One change in SQL: the checks first, then the rows, so that a refusal has written nothing.

use domain::{Payment, PaymentId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::fault::Failure;
use crate::{Change, Conflict, NewMessage, RequestRecord, StoreError, rows};

/// A change with its JSON written already, by the caller's thread, because the writer's is the
/// one that everybody waits for.
pub(super) struct Prepared {
    change: Change,
    body: String,
    events: Vec<String>,
}

impl Prepared {
    /// Checks that the change's parts belong together, and writes its JSON.
    pub(super) fn new(change: Change) -> Result<Prepared, StoreError> {
        rows::check_shape(&change)?;
        let body = rows::to_json(&change.payment)?;
        let events = change.events.iter().map(rows::to_json).collect::<Result<_, _>>()?;
        Ok(Prepared { change, body, events })
    }
}

/// What the books say about a payment's guard columns.
struct Guard {
    version: i64,
    fence: i64,
    lease_until: Option<i64>,
}

/// Commits a change within the transaction, or says what stands in its way.
pub(super) fn apply(
    conn: &Connection,
    prepared: &Prepared,
) -> Result<Result<(), Conflict>, Failure> {
    let change = &prepared.change;
    if was_committed(conn, change.id)? {
        return Ok(Ok(()));
    }
    let guard = guard(conn, change.payment.id)?;
    if let Some(conflict) = conflict(conn, change, guard.as_ref())? {
        return Ok(Err(conflict));
    }
    match guard {
        None => insert(conn, prepared)?,
        Some(guard) => update(conn, prepared, &guard)?,
    }
    children(conn, prepared)?;
    if let Some(request) = &change.request {
        remember(conn, request)?;
    }
    let payment = &change.payment;
    conn.prepare_cached("INSERT INTO changes (id, payment_id, version, at) VALUES (?, ?, ?, ?)")?
        .execute(params![
        change.id.as_bytes(),
        payment.id.uuid().as_bytes(),
        number(payment.version)?,
        change.at.as_micros()
    ])?;
    Ok(Ok(()))
}

/// Whether the change is in the books.
pub(super) fn was_committed(conn: &Connection, change: Uuid) -> Result<bool, Failure> {
    let mut query = conn.prepare_cached("SELECT 1 FROM changes WHERE id = ?")?;
    Ok(query.exists([change.as_bytes()])?)
}

/// Counters are `u64` outside and `i64` in rows; nothing counts that far.
pub(super) fn number(value: u64) -> Result<i64, Failure> {
    i64::try_from(value).map_err(|_| rows::damaged("a counter is out of range").into())
}

fn guard(conn: &Connection, id: PaymentId) -> Result<Option<Guard>, Failure> {
    let mut query =
        conn.prepare_cached("SELECT version, fence, lease_until FROM payments WHERE id = ?")?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Guard { version: row.get(0)?, fence: row.get(1)?, lease_until: row.get(2)? })
    };
    Ok(query.query_row([id.uuid().as_bytes()], read).optional()?)
}

/// What stands in the way, in the order that callers rely on: a stale claim, another version,
/// a taken key, a taken order number. The key comes before the order, because a request that
/// was sent twice meets both, and its key's record is the better answer.
fn conflict(
    conn: &Connection,
    change: &Change,
    guard: Option<&Guard>,
) -> Result<Option<Conflict>, Failure> {
    if let Some(claim) = &change.claim
        && guard.map(|g| g.fence) != Some(number(claim.fence)?)
    {
        return Ok(Some(Conflict::Fenced));
    }
    if guard.map_or(0, |g| g.version) != number(change.expected_version)? {
        return Ok(Some(Conflict::Version));
    }
    if let Some(request) = &change.request
        && key_taken(conn, request)?
    {
        return Ok(Some(Conflict::KeyTaken));
    }
    if guard.is_none()
        && let Some(other) = order_taken(conn, &change.payment)?
    {
        return Ok(Some(Conflict::OrderTaken(other)));
    }
    Ok(None)
}

fn key_taken(conn: &Connection, request: &RequestRecord) -> Result<bool, Failure> {
    let mut query = conn.prepare_cached("SELECT 1 FROM requests WHERE merchant = ? AND key = ?")?;
    Ok(query.exists(params![request.merchant.as_str(), request.key])?)
}

fn order_taken(conn: &Connection, payment: &Payment) -> Result<Option<PaymentId>, Failure> {
    let mut query =
        conn.prepare_cached("SELECT id FROM payments WHERE merchant = ? AND order_no = ?")?;
    let key = [payment.merchant.as_str(), payment.order.as_str()];
    Ok(query.query_row(key, |row| payment_id(row, 0)).optional()?)
}

/// A payment's id in a column.
pub(super) fn payment_id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<PaymentId> {
    row.get(column).map(|bytes| PaymentId::from_uuid(Uuid::from_bytes(bytes)))
}

fn insert(conn: &Connection, Prepared { change, body, .. }: &Prepared) -> Result<(), Failure> {
    let payment = &change.payment;
    let due_at = change.due_at.map(Timestamp::as_micros);
    conn.prepare_cached(
        "INSERT INTO payments (id, merchant, order_no, status, amount, currency, purpose, tier, \
         method, review, created_at, expires_at, version, due_at, fence, wake_at, format, body, \
         queued_from) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?)",
    )?
    .execute(params![
        payment.id.uuid().as_bytes(),
        payment.merchant.as_str(),
        payment.order.as_str(),
        payment.status().name(),
        payment.money.minor(),
        payment.money.currency().code(),
        payment.terms.purpose.name(),
        rows::tier(payment.terms.tier),
        rows::latest_method(payment).map(domain::Method::name),
        payment.review.map(rows::review),
        payment.created_at.as_micros(),
        payment.expires_at.as_micros(),
        number(payment.version)?,
        due_at,
        due_at,
        rows::FORMAT,
        body,
        payment.queued_from().map(Timestamp::as_micros),
    ])?;
    Ok(())
}

/// A change under a claim gives the claim back. One without a claim leaves a lease alone: its
/// holder will meet the new version.
fn update(conn: &Connection, prepared: &Prepared, guard: &Guard) -> Result<(), Failure> {
    let Prepared { change, body, .. } = prepared;
    let payment = &change.payment;
    let due_at = change.due_at.map(Timestamp::as_micros);
    let lease_until = guard.lease_until.filter(|_| change.claim.is_none());
    let wake_at = due_at.map(|due| due.max(lease_until.unwrap_or(due)));
    conn.prepare_cached(
        "UPDATE payments SET status = ?, method = ?, review = ?, expires_at = ?, version = ?, \
         due_at = ?, lease_until = ?, owner = CASE WHEN ? THEN owner END, wake_at = ?, \
         format = ?, body = ?, queued_from = ? WHERE id = ?",
    )?
    .execute(params![
        payment.status().name(),
        rows::latest_method(payment).map(domain::Method::name),
        payment.review.map(rows::review),
        payment.expires_at.as_micros(),
        number(payment.version)?,
        due_at,
        lease_until,
        lease_until.is_some(),
        wake_at,
        rows::FORMAT,
        body,
        payment.queued_from().map(Timestamp::as_micros),
        payment.id.uuid().as_bytes(),
    ])?;
    Ok(())
}

fn children(conn: &Connection, prepared: &Prepared) -> Result<(), Failure> {
    let Prepared { change, events, .. } = prepared;
    attempts(conn, &change.payment)?;
    refunds(conn, &change.payment)?;
    let id = change.payment.id.uuid();
    for (event, body) in change.events.iter().zip(events) {
        conn.prepare_cached("INSERT INTO events (payment_id, seq, at, body) VALUES (?, ?, ?, ?)")?
            .execute(params![id.as_bytes(), event.seq, event.at.as_micros(), body])?;
    }
    change.messages.iter().try_for_each(|m| message(conn, change, m))?;
    let about = (&change.payment.merchant, change.payment.id);
    let mut notes = change.notes.iter();
    notes.try_for_each(|note| super::notes::insert(conn, about, note, change.at).map(drop))
}

/// Writes the attempts whose row differs; most changes touch one of them or none.
fn attempts(conn: &Connection, payment: &Payment) -> Result<(), Failure> {
    for attempt in &payment.attempts {
        conn.prepare_cached(
            "INSERT INTO attempts \
             (payment_id, ordinal, channel, method, number, state, sent_at, reference) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (payment_id, ordinal) DO UPDATE \
             SET state = excluded.state, reference = excluded.reference \
             WHERE attempts.state <> excluded.state \
             OR attempts.reference IS DISTINCT FROM excluded.reference",
        )?
        .execute(params![
            payment.id.uuid().as_bytes(),
            attempt.ordinal,
            attempt.channel.as_str(),
            attempt.method.name(),
            attempt.number.as_str(),
            rows::attempt_state(&attempt.state),
            attempt.sent_at.as_micros(),
            attempt.reference,
        ])?;
    }
    Ok(())
}

fn refunds(conn: &Connection, payment: &Payment) -> Result<(), Failure> {
    for refund in &payment.refunds {
        conn.prepare_cached(
            "INSERT INTO refunds \
             (payment_id, ordinal, attempt, number, amount, reason, state, requested_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (payment_id, ordinal) DO UPDATE SET state = excluded.state \
             WHERE refunds.state <> excluded.state",
        )?
        .execute(params![
            payment.id.uuid().as_bytes(),
            refund.ordinal,
            refund.attempt,
            refund.number.as_str(),
            refund.amount.minor(),
            rows::refund_reason(refund.reason),
            rows::refund_state(&refund.progress),
            refund.requested_at.as_micros(),
        ])?;
    }
    Ok(())
}

fn message(conn: &Connection, change: &Change, message: &NewMessage) -> Result<(), Failure> {
    let payment = &change.payment;
    // The id is derived from the event that the message tells of: one that is there already
    // is the same message.
    conn.prepare_cached(
        "INSERT INTO messages (id, payment_id, merchant, kind, body, created_at, due_at, tries, \
         state, fence) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 'pending', 0) ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![
        message.id,
        payment.id.uuid().as_bytes(),
        payment.merchant.as_str(),
        message.kind,
        message.body,
        change.at.as_micros(),
        message.due_at.as_micros(),
    ])?;
    Ok(())
}

fn remember(conn: &Connection, request: &RequestRecord) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO requests (merchant, key, fingerprint, payment_id, refund, at) \
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        request.merchant.as_str(),
        request.key,
        request.fingerprint,
        request.payment.uuid().as_bytes(),
        request.refund,
        request.at.as_micros(),
    ])?;
    Ok(())
}
