//! The bank channels' books in SQL: the checks first, then the rows.

use async_trait::async_trait;
use domain::{ChannelId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use uuid::Uuid;

use super::SqliteStore;
use super::commit::number;
use super::fault::{Failure, Lost};
use super::read::counter;
use super::work::limit;
use crate::bank::check;
use crate::rows::{FORMAT, damaged, to_json};
use crate::{
    BankBooks, BankChange, BankFilter, BankKind, BankLine, BankRecord, BankTotal, Commit, Conflict,
    Kept, StoreError,
};

/// A change with its JSON written already, by the caller's thread.
struct Prepared {
    change: BankChange,
    bodies: Vec<String>,
}

impl Prepared {
    fn new(change: BankChange) -> Result<Prepared, StoreError> {
        check(&change)?;
        let bodies = change.puts.iter().map(|(_, r)| to_json(r)).collect::<Result<_, _>>()?;
        Ok(Prepared { change, bodies })
    }
}

fn apply(conn: &Connection, prepared: &Prepared) -> Result<Result<(), Conflict>, Failure> {
    let change = &prepared.change;
    if was_committed(conn, change.id)? {
        return Ok(Ok(()));
    }
    for (expected, record) in &change.puts {
        if version(conn, record.kind(), record.id())? != number(*expected)? {
            return Ok(Err(Conflict::Version));
        }
    }
    if is_key_taken(conn, change)? {
        return Ok(Err(Conflict::KeyTaken));
    }
    for (_, record) in &change.puts {
        conn.prepare_cached("DELETE FROM bank_keys WHERE kind = ? AND id = ?")?
            .execute([record.kind().table(), record.id()])?;
    }
    for ((expected, record), body) in change.puts.iter().zip(&prepared.bodies) {
        put(conn, number(*expected)? + 1, record, body)?;
    }
    for line in &change.lines {
        conn.prepare_cached(
            "INSERT INTO bank_history (about, at, by, action, reason) VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            line.about,
            line.at.as_micros(),
            line.by,
            line.action,
            line.reason
        ])?;
    }
    conn.prepare_cached("INSERT INTO bank_changes (id, at) VALUES (?, ?)")?
        .execute(params![change.id.as_bytes(), change.at.as_micros()])?;
    Ok(Ok(()))
}

fn was_committed(conn: &Connection, change: Uuid) -> Result<bool, Failure> {
    let mut query = conn.prepare_cached("SELECT 1 FROM bank_changes WHERE id = ?")?;
    Ok(query.exists([change.as_bytes()])?)
}

fn version(conn: &Connection, kind: BankKind, id: &str) -> Result<i64, Failure> {
    let sql = format!("SELECT version FROM {} WHERE id = ?", kind.table());
    let mut query = conn.prepare_cached(&sql)?;
    Ok(query.query_row([id], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Whether a unique key would have two holders after the change. A holder that the change puts
/// as well may give its key up.
fn is_key_taken(conn: &Connection, change: &BankChange) -> Result<bool, Failure> {
    let mut wanted = std::collections::HashSet::new();
    let mut query = conn
        .prepare_cached("SELECT id FROM bank_keys WHERE kind = ? AND key = ? AND is_unique = 1")?;
    for (_, record) in &change.puts {
        for key in record.keys().into_iter().filter(|key| key.is_unique) {
            let table = record.kind().table();
            let holder: Option<String> =
                query.query_row([table, &key.text], |row| row.get(0)).optional()?;
            let put = |id: &str| {
                change.puts.iter().any(|(_, r)| r.kind() == record.kind() && r.id() == id)
            };
            if holder.is_some_and(|id| !put(&id)) || !wanted.insert((table, key.text)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn put(conn: &Connection, version: i64, record: &BankRecord, body: &str) -> Result<(), Failure> {
    let table = record.kind().table();
    let (amount, currency) = record.money();
    let sql = format!(
        "INSERT INTO {table} (id, channel, state, amount, currency, rank, version, format, body) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET \
         channel = excluded.channel, state = excluded.state, amount = excluded.amount, \
         currency = excluded.currency, rank = excluded.rank, version = excluded.version, \
         format = excluded.format, body = excluded.body"
    );
    conn.prepare_cached(&sql)?.execute(params![
        record.id(),
        record.channel().as_str(),
        record.state(),
        amount,
        currency,
        record.rank(),
        version,
        FORMAT,
        body
    ])?;
    for key in record.keys() {
        conn.prepare_cached(
            "INSERT INTO bank_keys (kind, key, id, is_unique) VALUES (?, ?, ?, ?)",
        )?
        .execute(params![table, key.text, record.id(), key.is_unique])?;
    }
    Ok(())
}

fn record(conn: &Connection, kind: BankKind, id: &str) -> Result<Option<Kept>, Failure> {
    let sql = format!("SELECT version, format, body FROM {} WHERE id = ?", kind.table());
    let mut query = conn.prepare_cached(&sql)?;
    query.query_row([id], |row| Ok(kept(row))).optional()?.transpose()
}

fn find(conn: &Connection, kind: BankKind, key: &str) -> Result<Vec<Kept>, Failure> {
    let sql = format!(
        "SELECT r.version, r.format, r.body FROM bank_keys k JOIN {0} r ON r.id = k.id \
         WHERE k.kind = '{0}' AND k.key = ? ORDER BY k.id",
        kind.table()
    );
    let mut query = conn.prepare_cached(&sql)?;
    query.query_map([key], |row| Ok(kept(row)))?.collect::<rusqlite::Result<Result<_, _>>>()?
}

fn list(conn: &Connection, filter: &BankFilter) -> Result<Vec<Kept>, Failure> {
    let (mut clauses, mut values) = (Vec::new(), Vec::new());
    if let Some(channel) = &filter.channel {
        clauses.push("channel = ?".to_owned());
        values.push(Value::Text(channel.to_string()));
    }
    if !filter.states.is_empty() {
        clauses.push(format!("state IN ({})", vec!["?"; filter.states.len()].join(", ")));
        values.extend(filter.states.iter().map(|s| Value::Text((*s).to_owned())));
    }
    if let Some(max) = filter.rank_max {
        clauses.push("rank <= ?".to_owned());
        values.push(Value::Integer(max));
    }
    values.push(Value::Integer(limit(filter.limit)));
    let test = if clauses.is_empty() { "TRUE".to_owned() } else { clauses.join(" AND ") };
    let order = if filter.newest_first { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT version, format, body FROM {} WHERE {test} ORDER BY rank {order}, id {order} \
         LIMIT ?",
        filter.kind.table()
    );
    let mut query = conn.prepare_cached(&sql)?;
    query
        .query_map(params_from_iter(values), |row| Ok(kept(row)))?
        .collect::<rusqlite::Result<Result<_, _>>>()?
}

fn kept(row: &Row<'_>) -> Result<Kept, Failure> {
    let format: u32 = row.get(1)?;
    if format != FORMAT {
        return Err(StoreError::Newer { found: format, known: FORMAT }.into());
    }
    let body = row.get_ref(2)?.as_str().map_err(damaged)?;
    let record = serde_json::from_str(body)
        .map_err(|e| damaged(format!("a record of the bank's books is unreadable: {e}")))?;
    Ok(Kept { version: counter(row, 0)?, record })
}

fn history(conn: &Connection, about: &str) -> Result<Vec<BankLine>, Failure> {
    let mut query = conn.prepare_cached(
        "SELECT about, at, by, action, reason FROM bank_history WHERE about = ? ORDER BY seq",
    )?;
    let line = |row: &Row<'_>| {
        Ok(BankLine {
            about: row.get(0)?,
            at: Timestamp::from_micros(row.get(1)?),
            by: row.get(2)?,
            action: row.get(3)?,
            reason: row.get(4)?,
        })
    };
    Ok(query.query_map([about], line)?.collect::<rusqlite::Result<_>>()?)
}

fn totals(conn: &Connection) -> Result<Vec<BankTotal>, Failure> {
    let mut totals = Vec::new();
    for kind in [BankKind::Transfer, BankKind::Payout] {
        let sql = format!(
            "SELECT channel, state, currency, count(*), sum(amount), min(rank) FROM {} \
             GROUP BY channel, state, currency ORDER BY channel, state, currency",
            kind.table()
        );
        let mut query = conn.prepare_cached(&sql)?;
        let rows = query.query_map([], |row| {
            let channel: String = row.get(0)?;
            let count = counter(row, 3)?;
            Ok((channel, row.get(1)?, row.get(2)?, count, row.get(4)?, row.get(5)?))
        })?;
        for row in rows {
            let (channel, state, currency, count, amount_minor, oldest) = row?;
            totals.push(BankTotal {
                kind,
                channel: ChannelId::new(&channel).map_err(damaged)?,
                state,
                currency,
                count,
                amount_minor,
                oldest: Timestamp::from_micros(oldest),
            });
        }
    }
    Ok(totals)
}

#[async_trait]
impl BankBooks for SqliteStore {
    async fn bank_commit(&self, change: BankChange) -> Commit {
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

    async fn bank_was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        // Through the writer, so that it comes after every commit that is under way.
        Ok(self.write(move |conn| was_committed(conn, change)).await?)
    }

    async fn bank_record(&self, kind: BankKind, id: &str) -> Result<Option<Kept>, StoreError> {
        let id = id.to_owned();
        self.read(move |conn| record(conn, kind, &id)).await
    }

    async fn bank_find(&self, kind: BankKind, key: &str) -> Result<Vec<Kept>, StoreError> {
        let key = key.to_owned();
        self.read(move |conn| find(conn, kind, &key)).await
    }

    async fn bank_list(&self, filter: &BankFilter) -> Result<Vec<Kept>, StoreError> {
        let filter = filter.clone();
        self.read(move |conn| list(conn, &filter)).await
    }

    async fn bank_history(&self, about: &str) -> Result<Vec<BankLine>, StoreError> {
        let about = about.to_owned();
        self.read(move |conn| history(conn, &about)).await
    }

    async fn bank_totals(&self) -> Result<Vec<BankTotal>, StoreError> {
        self.read(totals).await
    }
}
