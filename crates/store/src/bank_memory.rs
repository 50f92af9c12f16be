//! The bank channels' books in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::PoisonError;

use async_trait::async_trait;
use domain::Timestamp;
use uuid::Uuid;

use crate::bank::check;
use crate::{
    BankBooks, BankChange, BankFilter, BankKind, BankLine, BankTotal, Commit, Conflict, Kept,
    MemoryStore, StoreError,
};

#[derive(Debug, Default)]
pub(crate) struct Books {
    records: BTreeMap<(BankKind, String), Kept>,
    /// Who holds a unique key.
    unique: HashMap<(BankKind, String), String>,
    lines: Vec<BankLine>,
    changes: HashSet<Uuid>,
}

impl Books {
    fn commit(&mut self, change: BankChange) -> Commit {
        if let Err(error) = check(&change) {
            return Commit::Failed(error);
        }
        if self.changes.contains(&change.id) {
            return Commit::Done;
        }
        for (expected, record) in &change.puts {
            let key = (record.kind(), record.id().to_owned());
            if self.records.get(&key).map_or(0, |kept| kept.version) != *expected {
                return Commit::Refused(Conflict::Version);
            }
        }
        if self.is_key_taken(&change) {
            return Commit::Refused(Conflict::KeyTaken);
        }
        for (expected, record) in change.puts {
            let id = record.id().to_owned();
            self.unique.retain(|(kind, _), holder| *kind != record.kind() || *holder != id);
            let version = expected + 1;
            self.records.insert((record.kind(), id), Kept { version, record });
        }
        self.index();
        self.lines.extend(change.lines);
        self.changes.insert(change.id);
        Commit::Done
    }

    /// Whether a unique key would have two holders after the change.
    fn is_key_taken(&self, change: &BankChange) -> bool {
        let put: HashSet<_> =
            change.puts.iter().map(|(_, r)| (r.kind(), r.id().to_owned())).collect();
        let mut taken: HashSet<(BankKind, String)> = self
            .unique
            .iter()
            .filter(|((kind, _), holder)| !put.contains(&(*kind, (*holder).clone())))
            .map(|(key, _)| key.clone())
            .collect();
        change.puts.iter().any(|(_, record)| {
            let keys = record.keys().into_iter().filter(|key| key.is_unique);
            keys.map(|key| (record.kind(), key.text)).any(|key| !taken.insert(key))
        })
    }

    fn index(&mut self) {
        for ((kind, id), kept) in &self.records {
            for key in kept.record.keys().into_iter().filter(|key| key.is_unique) {
                self.unique.insert((*kind, key.text), id.clone());
            }
        }
    }

    fn find(&self, kind: BankKind, key: &str) -> Vec<Kept> {
        let has = |kept: &&Kept| kept.record.keys().iter().any(|k| k.text == key);
        let of_kind = self.records.iter().filter(|((each, _), _)| *each == kind);
        of_kind.map(|(_, kept)| kept).filter(has).cloned().collect()
    }

    fn list(&self, filter: &BankFilter) -> Vec<Kept> {
        let passes = |kept: &&Kept| {
            let record = &kept.record;
            record.kind() == filter.kind
                && filter.channel.as_ref().is_none_or(|c| c == record.channel())
                && (filter.states.is_empty() || filter.states.contains(&record.state()))
                && filter.rank_max.is_none_or(|max| record.rank() <= max)
        };
        let mut found: Vec<Kept> = self.records.values().filter(passes).cloned().collect();
        found.sort_by(|a, b| {
            (a.record.rank(), a.record.id()).cmp(&(b.record.rank(), b.record.id()))
        });
        if filter.newest_first {
            found.reverse();
        }
        found.truncate(filter.limit);
        found
    }

    fn totals(&self) -> Vec<BankTotal> {
        let mut totals: BTreeMap<(BankKind, String, String, String), BankTotal> = BTreeMap::new();
        let counted = |kind| matches!(kind, BankKind::Transfer | BankKind::Payout);
        for kept in self.records.values().filter(|kept| counted(kept.record.kind())) {
            let record = &kept.record;
            let (minor, currency) = record.money();
            let at = Timestamp::from_micros(record.rank());
            let key = (
                record.kind(),
                record.channel().to_string(),
                record.state().to_owned(),
                currency.to_owned(),
            );
            let total = totals.entry(key).or_insert_with(|| BankTotal {
                kind: record.kind(),
                channel: record.channel().clone(),
                state: record.state().to_owned(),
                currency: currency.to_owned(),
                count: 0,
                amount_minor: 0,
                oldest: at,
            });
            total.count += 1;
            total.amount_minor = total.amount_minor.saturating_add(minor);
            total.oldest = total.oldest.min(at);
        }
        totals.into_values().collect()
    }
}

impl MemoryStore {
    fn bank(&self) -> std::sync::MutexGuard<'_, Books> {
        // A panic elsewhere leaves the books whole: every method checks before it writes.
        self.bank.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BankBooks for MemoryStore {
    async fn bank_commit(&self, change: BankChange) -> Commit {
        self.bank().commit(change)
    }

    async fn bank_was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        Ok(self.bank().changes.contains(&change))
    }

    async fn bank_record(&self, kind: BankKind, id: &str) -> Result<Option<Kept>, StoreError> {
        Ok(self.bank().records.get(&(kind, id.to_owned())).cloned())
    }

    async fn bank_find(&self, kind: BankKind, key: &str) -> Result<Vec<Kept>, StoreError> {
        Ok(self.bank().find(kind, key))
    }

    async fn bank_list(&self, filter: &BankFilter) -> Result<Vec<Kept>, StoreError> {
        Ok(self.bank().list(filter))
    }

    async fn bank_history(&self, about: &str) -> Result<Vec<BankLine>, StoreError> {
        let books = self.bank();
        Ok(books.lines.iter().filter(|line| line.about == about).cloned().collect())
    }

    async fn bank_totals(&self) -> Result<Vec<BankTotal>, StoreError> {
        Ok(self.bank().totals())
    }
}
