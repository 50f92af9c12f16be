//! A change in the making: what it has read, what it means to write, and its commit.

use std::collections::BTreeMap;

use domain::{ChannelId, ProviderOrderNo, Timestamp};
use store::{
    Allotment, BankBooks, BankChange, BankKind, BankLine, BankRecord, Commit, Kept, Payout,
    StoreError, Transfer,
};

use super::{BankError, Ledger};

/// How often a change is decided again before it counts as busy.
pub(super) const TRIES: usize = 16;
/// How often an unknown commit is read back.
const READ_BACKS: usize = 3;

/// Records as they were read, with what is to become of them.
pub(super) struct Work<'l> {
    books: &'l dyn BankBooks,
    pub(super) now: Timestamp,
    read: BTreeMap<(BankKind, String), Slot>,
    lines: Vec<BankLine>,
}

/// One record: the version in the books (0: none), and what it is or becomes.
#[derive(Clone)]
struct Slot {
    version: u64,
    record: Option<BankRecord>,
    is_changed: bool,
}

impl<'l> Work<'l> {
    pub(super) async fn record(
        &mut self,
        kind: BankKind,
        id: &str,
    ) -> Result<Option<BankRecord>, StoreError> {
        let key = (kind, id.to_owned());
        if let Some(slot) = self.read.get(&key) {
            return Ok(slot.record.clone());
        }
        let kept = self.books.bank_record(kind, id).await?;
        let version = kept.as_ref().map_or(0, |kept| kept.version);
        let record = kept.map(|kept| kept.record);
        self.read.insert(key, Slot { version, record: record.clone(), is_changed: false });
        Ok(record)
    }

    /// The records that have a key, those of this change as they become.
    pub(super) async fn find(
        &mut self,
        kind: BankKind,
        key: &str,
    ) -> Result<Vec<BankRecord>, StoreError> {
        for kept in self.books.bank_find(kind, key).await? {
            self.keep(kept);
        }
        let slots = self.read.iter().filter(|((each, _), _)| *each == kind);
        let records = slots.filter_map(|(_, slot)| slot.record.as_ref());
        Ok(records.filter(|record| record.has_key(key)).cloned().collect())
    }

    /// Every record of a kind that was read or is to be written, as it becomes.
    pub(super) fn all(&self, kind: BankKind) -> Vec<BankRecord> {
        let slots = self.read.iter().filter(|((each, _), _)| *each == kind);
        slots.filter_map(|(_, slot)| slot.record.clone()).collect()
    }

    /// Notes a record as it was read, unless it was read before.
    pub(super) fn keep(&mut self, kept: Kept) {
        let key = (kept.record.kind(), kept.record.id().to_owned());
        self.read.entry(key).or_insert(Slot {
            version: kept.version,
            record: Some(kept.record),
            is_changed: false,
        });
    }

    /// Means to write a record. One that was not read before must not exist.
    pub(super) fn put(&mut self, record: BankRecord) {
        let key = (record.kind(), record.id().to_owned());
        let version = self.read.get(&key).map_or(0, |slot| slot.version);
        self.read.insert(key, Slot { version, record: Some(record), is_changed: true });
    }

    /// A line of a record's history.
    pub(super) fn tell(&mut self, about: &str, by: &str, action: &str, reason: &str) {
        self.lines.push(BankLine {
            about: about.to_owned(),
            at: self.now,
            by: by.to_owned(),
            action: action.to_owned(),
            reason: reason.to_owned(),
        });
    }

    pub(super) async fn allotment(
        &mut self,
        number: &ProviderOrderNo,
    ) -> Result<Option<Allotment>, StoreError> {
        let record = self.record(BankKind::Allotment, number.as_str()).await?;
        Ok(record.and_then(as_allotment))
    }

    pub(super) async fn transfer(&mut self, id: &str) -> Result<Option<Transfer>, StoreError> {
        Ok(self.record(BankKind::Transfer, id).await?.and_then(as_transfer))
    }

    pub(super) async fn payout(&mut self, id: &str) -> Result<Option<Payout>, StoreError> {
        Ok(self.record(BankKind::Payout, id).await?.and_then(as_payout))
    }

    /// The transfers that are counted for an attempt, or proposed to be.
    pub(super) async fn transfers_of(
        &mut self,
        number: &ProviderOrderNo,
    ) -> Result<Vec<Transfer>, StoreError> {
        let found = self.find(BankKind::Transfer, &Transfer::by_number(number)).await?;
        Ok(found.into_iter().filter_map(as_transfer).collect())
    }

    /// The transfer of a statement entry, or the one that the entry took back.
    pub(super) async fn by_identity(
        &mut self,
        channel: &ChannelId,
        identity: &str,
    ) -> Result<Option<Transfer>, StoreError> {
        let key = Transfer::by_identity(channel, identity);
        Ok(self.find(BankKind::Transfer, &key).await?.into_iter().find_map(as_transfer))
    }

    /// Whether a statement entry is in the books.
    pub(super) async fn is_known(
        &mut self,
        channel: &ChannelId,
        identity: &str,
    ) -> Result<bool, StoreError> {
        let key = Payout::by_identity(channel, identity);
        Ok(self.by_identity(channel, identity).await?.is_some()
            || !self.find(BankKind::Payout, &key).await?.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && !self.read.values().any(|slot| slot.is_changed)
    }
}

pub(super) fn as_allotment(record: BankRecord) -> Option<Allotment> {
    match record {
        BankRecord::Allotment(allotment) => Some(allotment),
        _ => None,
    }
}

pub(super) fn as_transfer(record: BankRecord) -> Option<Transfer> {
    match record {
        BankRecord::Transfer(transfer) => Some(transfer),
        _ => None,
    }
}

pub(super) fn as_payout(record: BankRecord) -> Option<Payout> {
    match record {
        BankRecord::Payout(payout) => Some(payout),
        _ => None,
    }
}

impl Ledger {
    /// Begins a change.
    pub(super) fn work(&self) -> Work<'_> {
        Work {
            books: self.books.as_ref(),
            now: self.clock.now(),
            read: BTreeMap::new(),
            lines: Vec::new(),
        }
    }

    /// Commits a change. `false` when somebody else was faster: decide again from what is there
    /// now. An unknown commit is read back by its id (rule 16).
    pub(super) async fn commit(&self, work: Work<'_>) -> Result<bool, BankError> {
        if work.is_empty() {
            return Ok(true);
        }
        let id = self.entropy.uuid(work.now);
        let puts = work.read.into_values().filter(|slot| slot.is_changed);
        let change = BankChange {
            id,
            puts: puts.filter_map(|slot| Some((slot.version, slot.record?))).collect(),
            lines: work.lines,
            at: work.now,
        };
        match self.books.bank_commit(change).await {
            Commit::Done => Ok(true),
            Commit::Refused(_) => Ok(false),
            Commit::Failed(error) => Err(error.into()),
            Commit::Unknown(error) => {
                for _ in 0..READ_BACKS {
                    match self.books.bank_was_committed(id).await {
                        Ok(true) => return Ok(true),
                        Ok(false) => return Err(error.into()),
                        Err(_) => {}
                    }
                }
                tracing::error!(change = %id, %error, "a commit's effect is not known");
                Err(BankError::CommitUnknown)
            }
        }
    }
}

/// Decides and commits until nobody was faster: `$decide` is an expression over `$work`.
macro_rules! changed {
    ($ledger:expr, |$work:ident| $decide:expr) => {{
        let mut end = Err($crate::bank::BankError::Busy);
        for _ in 0..$crate::bank::work::TRIES {
            let mut $work = $ledger.work();
            let decided = $decide;
            if $ledger.commit($work).await? {
                end = Ok(decided);
                break;
            }
        }
        end
    }};
}
pub(super) use changed;
