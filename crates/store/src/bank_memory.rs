//! The bank channels' books in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::PoisonError;

use async_trait::async_trait;
use domain::Timestamp;
use uuid::Uuid;

use crate::bank::check;
use crate::{
    BankBooks, BankChange, BankFilter, BankKind, BankLine, BankRecord, BankTotal, Commit, Conflict,
    Kept, MemoryStore, StoreError,
};

#[derive(Debug, Default)]
pub(crate) struct Books {
    records: BTreeMap<(BankKind, String), Kept>,
    /// Who holds a unique key.
    unique: HashMap<(BankKind, String), String>,
    /// Who has a key, unique or not.
    holders: HashMap<(BankKind, String), BTreeSet<String>>,
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
        // All leave their keys before any takes one: two may change places.
        for (_, record) in &change.puts {
            self.leave_keys(record.kind(), record.id());
        }
        for (expected, record) in change.puts {
            self.take_keys(&record);
            let (key, version) = ((record.kind(), record.id().to_owned()), expected + 1);
            self.records.insert(key, Kept { version, record });
        }
        self.lines.extend(change.lines);
        self.changes.insert(change.id);
        Commit::Done
    }

    /// Whether a unique key would have two holders after the change.
    fn is_key_taken(&self, change: &BankChange) -> bool {
        let put: HashSet<(BankKind, &str)> =
            change.puts.iter().map(|(_, record)| (record.kind(), record.id())).collect();
        let mut taken = HashSet::new();
        change.puts.iter().any(|(_, record)| {
            let keys = record.keys().into_iter().filter(|key| key.is_unique);
            keys.map(|key| (record.kind(), key.text)).any(|key| {
                let other = self.unique.get(&key);
                let stays = other.is_some_and(|holder| !put.contains(&(key.0, holder.as_str())));
                stays || !taken.insert(key)
            })
        })
    }

    /// A record that is about to change, or to come, holds no keys.
    fn leave_keys(&mut self, kind: BankKind, id: &str) {
        let Some(kept) = self.records.get(&(kind, id.to_owned())) else { return };
        for key in kept.record.keys() {
            let key = (kind, key.text);
            if self.unique.get(&key).is_some_and(|holder| holder == id) {
                self.unique.remove(&key);
            }
            if let Some(holders) = self.holders.get_mut(&key) {
                holders.remove(id);
            }
        }
    }

    fn take_keys(&mut self, record: &BankRecord) {
        for key in record.keys() {
            let place = (record.kind(), key.text);
            if key.is_unique {
                self.unique.insert(place.clone(), record.id().to_owned());
            }
            self.holders.entry(place).or_default().insert(record.id().to_owned());
        }
    }

    fn find(&self, kind: BankKind, key: &str) -> Vec<Kept> {
        let holders = self.holders.get(&(kind, key.to_owned())).into_iter().flatten();
        holders.filter_map(|id| self.records.get(&(kind, id.clone()))).cloned().collect()
    }

    fn of_kind(&self, kind: BankKind) -> impl Iterator<Item = &Kept> {
        let from = self.records.range((kind, String::new())..);
        from.take_while(move |((each, _), _)| *each == kind).map(|(_, kept)| kept)
    }

    fn list(&self, filter: &BankFilter) -> Vec<Kept> {
        let passes = |kept: &&Kept| {
            let record = &kept.record;
            filter.channel.as_ref().is_none_or(|c| c == record.channel())
                && (filter.states.is_empty() || filter.states.contains(&record.state()))
                && filter.rank_max.is_none_or(|max| record.rank() <= max)
        };
        let mut found: Vec<&Kept> = self.of_kind(filter.kind).filter(passes).collect();
        found.sort_by(|a, b| {
            (a.record.rank(), a.record.id()).cmp(&(b.record.rank(), b.record.id()))
        });
        if filter.newest_first {
            found.reverse();
        }
        found.truncate(filter.limit);
        found.into_iter().cloned().collect()
    }

    fn totals(&self) -> Vec<BankTotal> {
        let mut totals: BTreeMap<(BankKind, String, String, String), BankTotal> = BTreeMap::new();
        for kept in self.of_kind(BankKind::Transfer).chain(self.of_kind(BankKind::Payout)) {
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
