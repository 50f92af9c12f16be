//! The books of the VIP desk in SQL: the checks first, then the rows.

use async_trait::async_trait;
use domain::{PaymentId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use super::SqliteStore;
use super::commit::number;
use super::fault::{Failure, Lost};
use super::read::counter;
use super::work::limit;
use crate::rows::{self, FORMAT, damaged, to_json};
use crate::{
    AssistBooks, AssistChange, AssistFilter, AssistLine, AssistTally, AssistTotal, Case, Commit,
    Conflict, KeptCase, StoreError,
};

/// A change with its JSON written already, by the caller's thread.
struct Prepared {
    change: AssistChange,
    case: String,
    tally: Option<String>,
}

impl Prepared {
    fn new(change: AssistChange) -> Result<Prepared, StoreError> {
        let case = to_json(&change.case)?;
        let tally = change.tally.as_ref().map(|(_, _, tally)| to_json(tally)).transpose()?;
        Ok(Prepared { change, case, tally })
    }
}

fn apply(conn: &Connection, prepared: &Prepared) -> Result<Result<(), Conflict>, Failure> {
    let change = &prepared.change;
    if was_committed(conn, change.id)? {
        return Ok(Ok(()));
    }
    if version(conn, "assist_cases", &change.case.id)? != number(change.expected_version)? {
        return Ok(Err(Conflict::Version));
    }
    if let Some((id, expected, _)) = &change.tally
        && version(conn, "assist_tallies", id)? != number(*expected)?
    {
        return Ok(Err(Conflict::Version));
    }
    if is_key_taken(conn, &change.case)? {
        return Ok(Err(Conflict::KeyTaken));
    }
    put(conn, number(change.expected_version)? + 1, &change.case, &prepared.case)?;
    if let (Some((id, expected, _)), Some(body)) = (&change.tally, &prepared.tally) {
        conn.prepare_cached(
            "INSERT INTO assist_tallies (id, version, format, body) VALUES (?, ?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET version = excluded.version, \
             format = excluded.format, body = excluded.body",
        )?
        .execute(params![id, number(*expected)? + 1, FORMAT, body])?;
    }
    for line in &change.lines {
        tell(conn, &change.case, line)?;
    }
    conn.prepare_cached("INSERT INTO assist_changes (id, at) VALUES (?, ?)")?
        .execute(params![change.id.as_bytes(), change.at.as_micros()])?;
    Ok(Ok(()))
}

fn was_committed(conn: &Connection, change: Uuid) -> Result<bool, Failure> {
    let mut query = conn.prepare_cached("SELECT 1 FROM assist_changes WHERE id = ?")?;
    Ok(query.exists([change.as_bytes()])?)
}

fn version(conn: &Connection, table: &str, id: &str) -> Result<i64, Failure> {
    let mut query = conn.prepare_cached(&format!("SELECT version FROM {table} WHERE id = ?"))?;
    Ok(query.query_row([id], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Whether the payment has another case that is not closed, or another case has the reference.
/// The indices would refuse it too, but not say which it was.
fn is_key_taken(conn: &Connection, case: &Case) -> Result<bool, Failure> {
    let mut twin = conn.prepare_cached(
        "SELECT 1 FROM assist_cases WHERE payment_id = ? AND state <> 'closed' AND id <> ?",
    )?;
    let twin = twin.exists(params![case.payment.uuid().as_bytes(), case.id])?;
    let mut same =
        conn.prepare_cached("SELECT 1 FROM assist_cases WHERE reference = ? AND id <> ?")?;
    let same = match case.key() {
        Some(key) => same.exists(params![key, case.id])?,
        None => false,
    };
    Ok((twin && !case.is_closed()) || same)
}

fn put(conn: &Connection, version: i64, case: &Case, body: &str) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO assist_cases (id, payment_id, merchant, tier, state, amount, currency, \
         reference, opened_at, version, format, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, reference = excluded.reference, \
         version = excluded.version, format = excluded.format, body = excluded.body",
    )?
    .execute(params![
        case.id,
        case.payment.uuid().as_bytes(),
        case.merchant.as_str(),
        rows::tier(case.tier),
        case.state.name(),
        case.money.minor(),
        case.money.currency().code(),
        case.key(),
        case.opened_at.as_micros(),
        version,
        FORMAT,
        body
    ])?;
    Ok(())
}

/// A line of the case's history, and the same of the audit log.
fn tell(conn: &Connection, case: &Case, line: &AssistLine) -> Result<(), Failure> {
    conn.prepare_cached(
        "INSERT INTO assist_events (case_id, at, by, action, reason) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute(params![case.id, line.at.as_micros(), line.by, line.action, line.reason])?;
    super::work::note(conn, &line.audit(case))
}

fn one(
    conn: &Connection,
    test: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<KeptCase>, Failure> {
    let sql = format!("SELECT version, format, body FROM assist_cases WHERE {test}");
    let mut query = conn.prepare_cached(&sql)?;
    query.query_row([value], |row| Ok(kept(row))).optional()?.transpose()
}

fn list(conn: &Connection, filter: &AssistFilter) -> Result<Vec<KeptCase>, Failure> {
    let (mut clauses, mut values) = (Vec::new(), Vec::new());
    if !filter.states.is_empty() {
        clauses.push(format!("state IN ({})", vec!["?"; filter.states.len()].join(", ")));
        values.extend(filter.states.iter().map(|s| Value::Text((*s).to_owned())));
    }
    if let Some(merchant) = &filter.merchant {
        clauses.push("merchant = ?".to_owned());
        values.push(Value::Text(merchant.to_string()));
    }
    if let Some(tier) = filter.tier {
        clauses.push("tier = ?".to_owned());
        values.push(Value::Text(rows::tier(tier).to_owned()));
    }
    if let Some(payment) = filter.payment {
        clauses.push("payment_id = ?".to_owned());
        values.push(Value::Blob(payment.uuid().as_bytes().to_vec()));
    }
    values.push(Value::Integer(limit(filter.limit)));
    let test = if clauses.is_empty() { "TRUE".to_owned() } else { clauses.join(" AND ") };
    let order = match filter.newest_first {
        true => "opened_at DESC, id DESC",
        false => "tier <> 'vip', opened_at, id",
    };
    let sql = format!(
        "SELECT version, format, body FROM assist_cases WHERE {test} ORDER BY {order} LIMIT ?"
    );
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_map(params_from_iter(values), |row| Ok(kept(row)))?
        .collect::<rusqlite::Result<Result<_, _>>>()?
}

fn kept(row: &Row<'_>) -> Result<KeptCase, Failure> {
    Ok(KeptCase { version: counter(row, 0)?, case: body(row)? })
}

/// What the columns `format` and `body`, the second and third, hold.
fn body<T: serde::de::DeserializeOwned>(row: &Row<'_>) -> Result<T, Failure> {
    let format: u32 = row.get(1)?;
    if format != FORMAT {
        return Err(StoreError::Newer { found: format, known: FORMAT }.into());
    }
    let body = row.get_ref(2)?.as_str().map_err(damaged)?;
    let unreadable = |e| damaged(format!("a record of the desk's books is unreadable: {e}"));
    Ok(serde_json::from_str(body).map_err(unreadable)?)
}

fn history(conn: &Connection, case: &str) -> Result<Vec<AssistLine>, Failure> {
    let mut query = conn.prepare_cached(
        "SELECT at, by, action, reason FROM assist_events WHERE case_id = ? ORDER BY seq",
    )?;
    let line = |row: &Row<'_>| {
        Ok(AssistLine {
            at: Timestamp::from_micros(row.get(0)?),
            by: row.get(1)?,
            action: row.get(2)?,
            reason: row.get(3)?,
        })
    };
    Ok(query.query_map([case], line)?.collect::<rusqlite::Result<_>>()?)
}

fn tally(conn: &Connection, id: &str) -> Result<Option<(u64, AssistTally)>, Failure> {
    let mut query =
        conn.prepare_cached("SELECT version, format, body FROM assist_tallies WHERE id = ?")?;
    let read = |row: &Row<'_>| -> Result<(u64, AssistTally), Failure> {
        Ok((counter(row, 0)?, body(row)?))
    };
    query.query_row([id], |row| Ok(read(row))).optional()?.transpose()
}

fn totals(conn: &Connection) -> Result<Vec<AssistTotal>, Failure> {
    let mut query = conn.prepare_cached(
        "SELECT state, count(*), min(opened_at) FROM assist_cases WHERE state <> 'closed' \
         GROUP BY state ORDER BY state",
    )?;
    let total = |row: &Row<'_>| {
        Ok(AssistTotal {
            state: row.get(0)?,
            count: counter(row, 1)?,
            oldest: Timestamp::from_micros(row.get(2)?),
        })
    };
    Ok(query.query_map([], total)?.collect::<rusqlite::Result<_>>()?)
}

#[async_trait]
impl AssistBooks for SqliteStore {
    async fn assist_commit(&self, change: AssistChange) -> Commit {
        let prepared = match Prepared::new(change) {
            Ok(prepared) => prepared,
            Err(error) => return Commit::Failed(error),
        };
        match self.write(move |conn| apply(conn, &prepared)).await {
            Ok(Ok(())) => Commit::Done,
            Ok(Err(conflict)) => Commit::Refused(conflict),
            Err(Lost::Failed(error)) => Commit::Failed(error),
            Err(Lost::Unknown(error)) => Commit::Unknown(error),
        }
    }

    async fn assist_was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        // Through the writer, so that it comes after every commit that is under way.
        Ok(self.write(move |conn| was_committed(conn, change)).await?)
    }

    async fn assist_case(&self, id: &str) -> Result<Option<KeptCase>, StoreError> {
        let id = id.to_owned();
        self.read(move |conn| one(conn, "id = ?", &id)).await
    }

    async fn assist_of(&self, payment: PaymentId) -> Result<Option<KeptCase>, StoreError> {
        let payment = *payment.uuid().as_bytes();
        self.read(move |conn| one(conn, "payment_id = ? AND state <> 'closed'", payment)).await
    }

    async fn assist_by_reference(&self, key: &str) -> Result<Option<KeptCase>, StoreError> {
        let key = key.to_owned();
        self.read(move |conn| one(conn, "reference = ?", &key)).await
    }

    async fn assist_list(&self, filter: &AssistFilter) -> Result<Vec<KeptCase>, StoreError> {
        let filter = filter.clone();
        self.read(move |conn| list(conn, &filter)).await
    }

    async fn assist_history(&self, case: &str) -> Result<Vec<AssistLine>, StoreError> {
        let case = case.to_owned();
        self.read(move |conn| history(conn, &case)).await
    }

    async fn assist_tally(&self, id: &str) -> Result<Option<(u64, AssistTally)>, StoreError> {
        let id = id.to_owned();
        self.read(move |conn| tally(conn, &id)).await
    }

    async fn assist_totals(&self) -> Result<Vec<AssistTotal>, StoreError> {
        self.read(totals).await
    }
}
