//! The questions in SQL.

use domain::{
    Controls, Event, MerchantId, OrderNo, Payment, PaymentId, Purpose, SYNTHETIC_MERCHANT, Status,
    Timestamp,
};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::commit::payment_id;
use super::fault::Failure;
use super::work::limit;
use crate::{AuditFilter, AuditLine, Filter, Message, MessageState, RequestRecord, rows};

pub(super) fn payment(conn: &Connection, id: PaymentId) -> Result<Option<Payment>, Failure> {
    let mut query = conn.prepare_cached("SELECT format, body FROM payments WHERE id = ?")?;
    one(&mut query, params![id.uuid().as_bytes()], payment_row)
}

pub(super) fn payment_by_order(
    conn: &Connection,
    merchant: &MerchantId,
    order: &OrderNo,
) -> Result<Option<Payment>, Failure> {
    let mut query = conn
        .prepare_cached("SELECT format, body FROM payments WHERE merchant = ? AND order_no = ?")?;
    one(&mut query, params![merchant.as_str(), order.as_str()], payment_row)
}

pub(super) fn request(
    conn: &Connection,
    merchant: &MerchantId,
    key: &str,
) -> Result<Option<RequestRecord>, Failure> {
    let mut query = conn.prepare_cached(
        "SELECT fingerprint, payment_id, refund, at FROM requests WHERE merchant = ? AND key = ?",
    )?;
    one(&mut query, params![merchant.as_str(), key], |row| {
        Ok(RequestRecord {
            merchant: merchant.clone(),
            key: key.to_owned(),
            fingerprint: row.get(0)?,
            payment: payment_id(row, 1)?,
            refund: row.get(2)?,
            at: Timestamp::from_micros(row.get(3)?),
        })
    })
}

pub(super) fn list(conn: &Connection, filter: &Filter) -> Result<Vec<Payment>, Failure> {
    let (sql, values) = list_query(filter);
    all(&mut *conn.prepare_cached(&sql)?, params_from_iter(values), payment_row)
}

fn list_query(filter: &Filter) -> (String, Vec<Value>) {
    let mut clauses: Vec<&str> = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut with = |clause, value: Option<Value>| {
        if let Some(value) = value {
            clauses.push(clause);
            values.push(value);
        }
    };
    let text = |s: &str| Value::Text(s.to_owned());
    let time = |t: Timestamp| Value::Integer(t.as_micros());
    let id = |id: PaymentId| Value::Blob(id.uuid().as_bytes().to_vec());
    with("merchant = ?", filter.merchant.as_ref().map(|m| text(m.as_str())));
    with("order_no = ?", filter.order.as_ref().map(|o| text(o.as_str())));
    with("status = ?", filter.status.map(|s| text(s.name())));
    with("method = ?", filter.method.map(|m| text(m.name())));
    with("created_at >= ?", filter.since.map(time));
    with("created_at < ?", filter.until.map(time));
    with("id < ?", filter.before.map(id));
    with(
        "EXISTS (SELECT 1 FROM attempts a WHERE a.payment_id = payments.id AND a.channel = ?)",
        filter.channel.as_ref().map(|c| text(c.as_str())),
    );
    let by_number = filter.number.as_ref().map(|n| text(n.as_str()));
    with(
        "id IN (SELECT payment_id FROM attempts WHERE number = ? \
         UNION ALL SELECT payment_id FROM refunds WHERE number = ?)",
        by_number.clone(),
    );
    values.extend(by_number);
    match filter.review {
        Some(true) => clauses.push("review IS NOT NULL"),
        Some(false) => clauses.push("review IS NULL"),
        None => {}
    }
    match filter.synthetic {
        Some(true) => clauses.push("purpose = 'synthetic'"),
        Some(false) => clauses.push("purpose <> 'synthetic'"),
        None => {}
    }
    values.push(Value::Integer(limit(filter.limit)));
    let test = if clauses.is_empty() { "TRUE".to_owned() } else { clauses.join(" AND ") };
    let sql = format!("SELECT format, body FROM payments WHERE {test} ORDER BY id DESC LIMIT ?");
    (sql, values)
}

pub(super) fn queue(
    conn: &Connection,
    except: &[Purpose],
    limit_to: usize,
) -> Result<Vec<PaymentId>, Failure> {
    let mut values: Vec<Value> =
        except.iter().map(|purpose| Value::Text(purpose.name().to_owned())).collect();
    values.push(Value::Integer(limit(limit_to)));
    let mut query = conn.prepare_cached(&queue_query(except.len()))?;
    all(&mut query, params_from_iter(values), |row| Ok(payment_id(row, 0)?))
}

fn queue_query(except: usize) -> String {
    let marks = vec!["?"; except].join(", ");
    format!(
        "SELECT id FROM payments WHERE queued_from IS NOT NULL AND purpose NOT IN ({marks}) \
         ORDER BY queued_from, id LIMIT ?"
    )
}

pub(super) fn count_by_status(conn: &Connection) -> Result<Vec<(Status, u64)>, Failure> {
    // All are counted on the index of statuses, and the synthetic ones, which are few, on that
    // of merchants.
    let mut query = conn.prepare_cached(
        "SELECT status, sum(n) FROM (\
         SELECT status, count(*) AS n FROM payments GROUP BY status \
         UNION ALL SELECT status, -count(*) FROM payments WHERE merchant = ? GROUP BY status) \
         GROUP BY status HAVING sum(n) > 0",
    )?;
    let mut counts = all(&mut query, [SYNTHETIC_MERCHANT], |row| {
        let status = row.get_ref(0)?.as_str().map_err(rows::damaged)?.parse::<Status>();
        Ok((status.map_err(rows::damaged)?, counter(row, 1)?))
    })?;
    counts.sort_unstable();
    Ok(counts)
}

pub(super) fn story(conn: &Connection, id: PaymentId) -> Result<Vec<Event>, Failure> {
    let mut query =
        conn.prepare_cached("SELECT body FROM events WHERE payment_id = ? ORDER BY seq")?;
    all(&mut query, params![id.uuid().as_bytes()], |row| {
        Ok(rows::event(row.get_ref(0)?.as_str().map_err(rows::damaged)?)?)
    })
}

const NEXT_DUE: &str = "SELECT min(at) FROM (\
     SELECT min(wake_at) AS at FROM payments WHERE wake_at IS NOT NULL \
     UNION ALL SELECT min(due_at) FROM messages WHERE state = 'pending')";

pub(super) fn next_due(conn: &Connection) -> Result<Option<Timestamp>, Failure> {
    let mut query = conn.prepare_cached(NEXT_DUE)?;
    let earliest: Option<i64> = query.query_row([], |row| row.get(0))?;
    Ok(earliest.map(Timestamp::from_micros))
}

pub(super) fn messages(
    conn: &Connection,
    state: Option<MessageState>,
    limit_to: usize,
) -> Result<Vec<Message>, Failure> {
    let mut query = conn.prepare_cached(&messages_query(state))?;
    all(&mut query, [limit(limit_to)], message_row)
}

/// The state is part of the text, so that the planner can use an index of that state alone.
fn messages_query(state: Option<MessageState>) -> String {
    let test = state.map_or("TRUE".into(), |s| format!("state = '{}'", rows::message_state(s)));
    format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE {test} \
         ORDER BY created_at DESC, id DESC LIMIT ?"
    )
}

pub(super) fn controls(conn: &Connection) -> Result<Controls, Failure> {
    let mut query = conn.prepare_cached("SELECT body FROM controls WHERE id = 1")?;
    let read = |row: &Row<'_>| {
        let body = row.get_ref(0)?.as_str().map_err(rows::damaged)?;
        let unreadable = |e| rows::damaged(format!("the controls are unreadable: {e}"));
        Ok(serde_json::from_str(body).map_err(unreadable)?)
    };
    Ok(one(&mut query, [], read)?.unwrap_or_default())
}

pub(super) fn audit(conn: &Connection, limit_to: usize) -> Result<Vec<AuditLine>, Failure> {
    let mut query =
        conn.prepare_cached("SELECT at, by, action, reason FROM audit ORDER BY seq DESC LIMIT ?")?;
    all(&mut query, [limit(limit_to)], |row| Ok(super::work::audit_row(row)?))
}

/// A part of a text is looked for by `instr`, to which no character means anything else.
pub(super) fn audit_page(
    conn: &Connection,
    filter: &AuditFilter,
) -> Result<Vec<(u64, AuditLine)>, Failure> {
    let mut query = conn.prepare_cached(
        "SELECT at, by, action, reason, seq FROM audit \
         WHERE (?1 IS NULL OR by = ?1) AND (?2 IS NULL OR seq < ?2) \
         AND (?3 IS NULL OR instr(lower(action), lower(?3)) OR instr(lower(reason), lower(?3))) \
         ORDER BY seq DESC LIMIT ?4",
    )?;
    let before = filter.before.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let asked = params![filter.by, before, filter.text, limit(filter.limit)];
    all(&mut query, asked, |row| Ok((counter(row, 4)?, super::work::audit_row(row)?)))
}

fn payment_row(row: &Row<'_>) -> Result<Payment, Failure> {
    let body = row.get_ref(1)?.as_str().map_err(rows::damaged)?;
    Ok(rows::payment(row.get(0)?, body)?)
}

/// What [`message_row`] reads.
pub(super) const MESSAGE_COLUMNS: &str = "id, merchant, payment_id, kind, body, created_at, \
                                          due_at, tries, state, last_error, fence";

pub(super) fn message_row(row: &Row<'_>) -> Result<Message, Failure> {
    let merchant = row.get_ref(1)?.as_str().map_err(rows::damaged)?;
    Ok(Message {
        id: row.get(0)?,
        merchant: MerchantId::new(merchant).map_err(rows::damaged)?,
        payment: payment_id(row, 2)?,
        kind: row.get(3)?,
        body: row.get(4)?,
        created_at: Timestamp::from_micros(row.get(5)?),
        due_at: Timestamp::from_micros(row.get(6)?),
        tries: row.get(7)?,
        state: rows::read_message_state(row.get_ref(8)?.as_str().map_err(rows::damaged)?)?,
        last_error: row.get(9)?,
        fence: counter(row, 10)?,
    })
}

/// A counter in a column.
pub(super) fn counter(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

fn one<T>(
    query: &mut rusqlite::Statement<'_>,
    params: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Failure>,
) -> Result<Option<T>, Failure> {
    query.query_row(params, |row| Ok(read(row))).optional()?.transpose()
}

fn all<T>(
    query: &mut rusqlite::Statement<'_>,
    params: impl rusqlite::Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    query.query_map(params, |row| Ok(read(row)))?.collect::<rusqlite::Result<Result<_, _>>>()?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sqlite::schema::open_writer;

    /// A list of ten must not read and sort all payments that there ever were.
    #[test]
    fn no_list_sorts_and_no_queue_is_scanned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("books.db");
        let conn = open_writer(&path, Duration::from_secs(1)).unwrap();
        let plan = |sql: &str| -> String {
            let mut query = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let nulls = vec![Value::Null; query.parameter_count()];
            let steps = query.query_map(params_from_iter(nulls), |row| row.get::<_, String>(3));
            steps.unwrap().collect::<Result<Vec<_>, _>>().unwrap().join("; ")
        };
        let all = || Filter { limit: 10, ..Filter::default() };
        let shop = MerchantId::new("shop").ok();
        let before = Some(PaymentId::from_uuid(uuid::Uuid::nil()));
        let filters = [
            all(),
            Filter { before, ..all() },
            Filter { merchant: shop.clone(), ..all() },
            Filter { merchant: shop, before, status: Some(Status::Paid), ..all() },
            Filter { status: Some(Status::Paid), ..all() },
            Filter { review: Some(true), ..all() },
            Filter { since: Some(Timestamp::EPOCH), until: Some(Timestamp::MAX), ..all() },
            Filter { channel: domain::ChannelId::new("alipay").ok(), ..all() },
            Filter { method: Some(domain::Method::Card), ..all() },
            Filter { order: OrderNo::new("SO-1").ok(), ..all() },
        ];
        for filter in filters {
            let plan = plan(&list_query(&filter).0);
            assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        }
        for state in [None, Some(MessageState::Pending), Some(MessageState::Dead)] {
            let plan = plan(&messages_query(state));
            assert!(!plan.contains("TEMP B-TREE"), "{state:?}: {plan}");
        }
        use crate::NoteState;
        use crate::sqlite::notes;
        for state in [None, Some(NoteState::Pending), Some(NoteState::Dead)] {
            let plan = plan(&notes::list_query(state));
            assert!(!plan.contains("TEMP B-TREE"), "{state:?}: {plan}");
        }
        for (sql, index) in [
            (notes::due_query(), "customer_notes_due"),
            (notes::due_query(), "customer_notes_leased"),
            (notes::SENT.to_owned(), "customer_notes_sent"),
            (notes::NEXT.to_owned(), "customer_notes_due"),
        ] {
            let plan = plan(&sql);
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
        }
        assert!(plan(&messages_query(Some(MessageState::Dead))).contains("messages_dead"));
        let queue = plan(&queue_query(2));
        assert!(queue.contains("payments_queue") && !queue.contains("TEMP B-TREE"), "{queue}");
        assert!(plan(crate::sqlite::work::DUE_PAYMENTS).contains("USING INDEX payments_wake"));
        assert!(plan(&crate::sqlite::work::due_messages()).contains("USING INDEX messages_due"));
        let next = plan(NEXT_DUE);
        assert!(next.contains("payments_wake") && next.contains("messages_due"), "{next}");
    }
}
