//! The books of the VIP desk in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::PoisonError;

use async_trait::async_trait;
use domain::{PaymentId, Tier};
use uuid::Uuid;

use crate::{
    AssistBooks, AssistChange, AssistFilter, AssistLine, AssistTally, AssistTotal, AuditLine,
    Commit, Conflict, KeptCase, MemoryStore, StoreError,
};

#[derive(Debug, Default)]
pub(crate) struct Books {
    cases: BTreeMap<String, KeptCase>,
    tallies: HashMap<String, (u64, AssistTally)>,
    lines: HashMap<String, Vec<AssistLine>>,
    changes: HashSet<Uuid>,
}

impl Books {
    /// What stands in the way, if anything; otherwise it is done.
    fn commit(&mut self, change: AssistChange) -> Commit {
        if self.changes.contains(&change.id) {
            return Commit::Done;
        }
        let version = |id: &str| self.cases.get(id).map_or(0, |kept| kept.version);
        let tally = |id: &str| self.tallies.get(id).map_or(0, |(version, _)| *version);
        let stale = change.tally.as_ref().is_some_and(|(id, expected, _)| tally(id) != *expected);
        if stale || version(&change.case.id) != change.expected_version {
            return Commit::Refused(Conflict::Version);
        }
        if self.is_key_taken(&change) {
            return Commit::Refused(Conflict::KeyTaken);
        }
        let AssistChange { id, expected_version, case, tally, lines, .. } = change;
        self.lines.entry(case.id.clone()).or_default().extend(lines);
        let version = expected_version + 1;
        self.cases.insert(case.id.clone(), KeptCase { version, case });
        self.tallies.extend(tally.map(|(id, version, tally)| (id, (version + 1, tally))));
        self.changes.insert(id);
        Commit::Done
    }

    fn is_key_taken(&self, change: &AssistChange) -> bool {
        let new = &change.case;
        let mut others = self.cases.values().map(|kept| &kept.case).filter(|c| c.id != new.id);
        others.any(|other| {
            let twin = !new.is_closed() && !other.is_closed() && other.payment == new.payment;
            twin || (new.key().is_some() && new.key() == other.key())
        })
    }

    fn list(&self, filter: &AssistFilter) -> Vec<KeptCase> {
        let passes = |kept: &&KeptCase| {
            let case = &kept.case;
            (filter.states.is_empty() || filter.states.contains(&case.state.name()))
                && filter.merchant.as_ref().is_none_or(|m| *m == case.merchant)
                && filter.tier.is_none_or(|tier| tier == case.tier)
                && filter.payment.is_none_or(|payment| payment == case.payment)
        };
        let mut found: Vec<KeptCase> = self.cases.values().filter(passes).cloned().collect();
        if filter.newest_first {
            found.sort_by(|a, b| {
                (b.case.opened_at, &b.case.id).cmp(&(a.case.opened_at, &a.case.id))
            });
        } else {
            let rank = |k: &KeptCase| (k.case.tier != Tier::Vip, k.case.opened_at);
            found.sort_by(|a, b| (rank(a), &a.case.id).cmp(&(rank(b), &b.case.id)));
        }
        found.truncate(filter.limit);
        found
    }

    fn totals(&self) -> Vec<AssistTotal> {
        let mut totals: BTreeMap<&str, AssistTotal> = BTreeMap::new();
        for case in self.cases.values().map(|kept| &kept.case).filter(|case| !case.is_closed()) {
            let state = case.state.name();
            let total = totals.entry(state).or_insert_with(|| AssistTotal {
                state: state.to_owned(),
                count: 0,
                oldest: case.opened_at,
            });
            total.count += 1;
            total.oldest = total.oldest.min(case.opened_at);
        }
        totals.into_values().collect()
    }
}

impl MemoryStore {
    fn assist(&self) -> std::sync::MutexGuard<'_, Books> {
        // A panic elsewhere leaves the books whole: every method checks before it writes.
        self.assist.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find_case(&self, test: impl Fn(&KeptCase) -> bool) -> Option<KeptCase> {
        self.assist().cases.values().find(|kept| test(kept)).cloned()
    }
}

#[async_trait]
impl AssistBooks for MemoryStore {
    async fn assist_commit(&self, change: AssistChange) -> Commit {
        let audit: Vec<AuditLine> = change.lines.iter().map(|l| l.audit(&change.case)).collect();
        let known = self.assist().changes.contains(&change.id);
        let commit = self.assist().commit(change);
        if commit == Commit::Done && !known {
            self.note_all(audit);
        }
        commit
    }

    async fn assist_was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        Ok(self.assist().changes.contains(&change))
    }

    async fn assist_case(&self, id: &str) -> Result<Option<KeptCase>, StoreError> {
        Ok(self.assist().cases.get(id).cloned())
    }

    async fn assist_of(&self, payment: PaymentId) -> Result<Option<KeptCase>, StoreError> {
        Ok(self.find_case(|kept| kept.case.payment == payment && !kept.case.is_closed()))
    }

    async fn assist_by_reference(&self, key: &str) -> Result<Option<KeptCase>, StoreError> {
        Ok(self.find_case(|kept| kept.case.key().as_deref() == Some(key)))
    }

    async fn assist_list(&self, filter: &AssistFilter) -> Result<Vec<KeptCase>, StoreError> {
        Ok(self.assist().list(filter))
    }

    async fn assist_history(&self, case: &str) -> Result<Vec<AssistLine>, StoreError> {
        Ok(self.assist().lines.get(case).cloned().unwrap_or_default())
    }

    async fn assist_tally(&self, id: &str) -> Result<Option<(u64, AssistTally)>, StoreError> {
        Ok(self.assist().tallies.get(id).cloned())
    }

    async fn assist_totals(&self) -> Result<Vec<AssistTotal>, StoreError> {
        Ok(self.assist().totals())
    }
}
