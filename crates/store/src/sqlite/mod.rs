//! The books in one SQLite file.
//!
//! Write-ahead log, `synchronous=FULL`: what was acknowledged outlives a power failure. One
//! thread writes ([`writer`]), some read ([`readers`]), one tidies up the log
//! ([`checkpoint`]). A lock beside the file keeps a second process out.

mod assist;
mod bank;
mod checkpoint;
mod commit;
mod fault;
mod faults;
mod notes;
mod read;
mod readers;
mod schema;
mod versions;
mod work;
mod writer;

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Controls, Event, MerchantId, OrderNo, Payment, PaymentId, Purpose, Status, Timestamp,
};
use rusqlite::Connection;
use tokio::sync::mpsc;
use uuid::Uuid;

use self::fault::{Failure, Lost};
use self::readers::Readers;
use self::writer::{Job, Writer};
use crate::{
    AuditFilter, AuditLine, Change, Claim, Commit, Filter, Message, MessageEnd, MessageState,
    NewNote, NewVersion, Note, NoteEnd, NoteState, Notes, RequestRecord, SentNote, Store,
    StoreError, Version, VersionState, Versions,
};

#[cfg(not(feature = "faults"))]
use self::faults::Faults;
#[cfg(feature = "faults")]
pub use self::faults::{CommitFault, Faults};

/// How a [`SqliteStore`] works. The defaults suit a service on one machine.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The most pieces of work that one transaction takes in.
    pub batch_max: usize,
    /// How many writes may wait. When it is full, callers wait for a place.
    pub queue_max: usize,
    /// Threads that read.
    pub readers: usize,
    /// How long to wait for somebody else's lock on the file, such as a shell's.
    pub busy_timeout: Duration,
    /// The size of the write-ahead log, in pages of 4 KiB, from which on it is moved into the
    /// database in the background.
    pub checkpoint_pages: usize,
    /// The largest size of the database, in pages of 4 KiB; `None` is as large as the disk.
    pub pages_max: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions {
            batch_max: 256,
            queue_max: 1024,
            readers: 2,
            busy_timeout: Duration::from_secs(5),
            checkpoint_pages: 4096,
            pages_max: None,
        }
    }
}

/// How much [`SqliteStore::purge`] threw away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Idempotency records.
    pub requests: usize,
    /// Ids of changes.
    pub changes: usize,
}

/// The books in one SQLite file. See the module's documentation for how it works.
///
/// Dropping it waits for what is queued, as [`SqliteStore::close`] does.
pub struct SqliteStore {
    /// `None` once it is closed.
    open: Option<Open>,
}

struct Open {
    queue: mpsc::Sender<Job>,
    readers: Readers,
    threads: Vec<JoinHandle<()>>,
    lock: schema::Lock,
}

/// How many records one transaction purges: few, so that commits do not wait long.
const PURGE_AT_ONCE: usize = 500;

impl SqliteStore {
    /// Opens the books, or makes them when the file does not exist or is empty.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when another process has them open or the folder does not
    /// exist, [`StoreError::Full`] when they cannot be written, [`StoreError::Newer`] when a
    /// newer Evergate made them, [`StoreError::Damaged`] when the file is not what it should be.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<SqliteStore, StoreError> {
        Self::start(path, options, Faults::default())
    }

    /// As [`SqliteStore::open`], with commits that go as the test wishes.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    #[cfg(feature = "faults")]
    pub fn open_with_faults(
        path: &Path,
        options: SqliteOptions,
        faults: Faults,
    ) -> Result<SqliteStore, StoreError> {
        Self::start(path, options, faults)
    }

    fn start(
        path: &Path,
        options: SqliteOptions,
        faults: Faults,
    ) -> Result<SqliteStore, StoreError> {
        let lock = schema::Lock::take(path)?;
        let mut conn = schema::open_writer(path, options.busy_timeout)?;
        if let Some(pages) = options.pages_max {
            conn.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
                .map_err(|e| fault::store_error(&e))?;
        }
        let tidy = schema::open_checkpointer(path, options.busy_timeout)?;
        let (queue, jobs) = mpsc::channel(options.queue_max.max(1));
        let (readers, mut threads) =
            Readers::start(path, options.readers, options.queue_max, options.busy_timeout)?;
        let (progress, tidying) =
            checkpoint::start(&mut conn, tidy, &queue, options.checkpoint_pages)?;
        let writer =
            Writer { conn, batch_max: options.batch_max.max(1), progress, doubtful: false, faults };
        let writing = std::thread::Builder::new()
            .name("store-write".into())
            .spawn(move || writer.run(jobs))
            .map_err(|e| StoreError::Unavailable(format!("cannot start a thread: {e}")))?;
        // In the order in which they are waited for: the writer's last act is to tidy up, which
        // goes further when nobody reads.
        threads.push(writing);
        threads.push(tidying);
        Ok(SqliteStore { open: Some(Open { queue, readers, threads, lock }) })
    }

    /// Does what is queued, tidies up and lets go of the file.
    ///
    /// # Errors
    /// When a thread has panicked; what was acknowledged is durable all the same.
    pub async fn close(mut self) -> Result<(), StoreError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let end = |error| StoreError::Unavailable(format!("closing was interrupted: {error}"));
        tokio::task::spawn_blocking(|| open.close()).await.map_err(end)?
    }

    /// Throws away idempotency records that are older than `requests_before`, and the ids of
    /// changes older than `changes_before`, in small steps between which others are served.
    ///
    /// # Errors
    /// When a step failed; earlier steps stay done.
    pub async fn purge(
        &self,
        requests_before: Timestamp,
        changes_before: Timestamp,
    ) -> Result<Purged, StoreError> {
        let mut purged = Purged::default();
        loop {
            let step = self
                .write(move |conn| {
                    Ok(Purged {
                        requests: work::purge_requests(conn, requests_before, PURGE_AT_ONCE)?,
                        changes: work::purge_changes(conn, changes_before, PURGE_AT_ONCE)?,
                    })
                })
                .await?;
            purged.requests += step.requests;
            purged.changes += step.changes;
            if step.requests < PURGE_AT_ONCE && step.changes < PURGE_AT_ONCE {
                return Ok(purged);
            }
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Lost> {
        match &self.open {
            Some(open) => writer::call(&open.queue, work).await,
            None => Err(Lost::Failed(StoreError::Unavailable("the store is closed".into()))),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.open {
            Some(open) => open.readers.call(query).await,
            None => Err(StoreError::Unavailable("the store is closed".into())),
        }
    }
}

impl Open {
    /// Every thread ends when it has nothing left to do and nobody can send it more.
    fn close(self) -> Result<(), StoreError> {
        let Open { queue, readers, threads, lock } = self;
        drop((queue, readers));
        let panicked = threads.into_iter().map(JoinHandle::join).filter(Result::is_err).count();
        drop(lock);
        match panicked {
            0 => Ok(()),
            n => Err(StoreError::Unavailable(format!("{n} of the store's threads panicked"))),
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.open.take().map(Open::close) {
            tracing::error!(%error, "the store was not closed well");
        }
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("open", &self.open.is_some()).finish()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, change: Change) -> Commit {
        let prepared = match commit::Prepared::new(change) {
            Ok(prepared) => prepared,
            Err(error) => return Commit::Failed(error),
        };
        match self.write(move |conn| commit::apply(conn, &prepared)).await {
            Ok(Ok(())) => Commit::Done,
            Ok(Err(conflict)) => Commit::Refused(conflict),
            Err(Lost::Failed(error)) => Commit::Failed(error),
            Err(Lost::Unknown(error)) => Commit::Unknown(error),
        }
    }

    async fn was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        // Through the writer, so that it comes after every commit that is under way.
        Ok(self.write(move |conn| commit::was_committed(conn, change)).await?)
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.read(move |conn| read::payment(conn, id)).await
    }

    async fn payment_by_order(
        &self,
        merchant: &MerchantId,
        order: &OrderNo,
    ) -> Result<Option<Payment>, StoreError> {
        let (merchant, order) = (merchant.clone(), order.clone());
        self.read(move |conn| read::payment_by_order(conn, &merchant, &order)).await
    }

    async fn request(
        &self,
        merchant: &MerchantId,
        key: &str,
    ) -> Result<Option<RequestRecord>, StoreError> {
        let (merchant, key) = (merchant.clone(), key.to_owned());
        self.read(move |conn| read::request(conn, &merchant, &key)).await
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Payment>, StoreError> {
        let filter = filter.clone();
        self.read(move |conn| read::list(conn, &filter)).await
    }

    async fn queue(&self, except: &[Purpose], limit: usize) -> Result<Vec<PaymentId>, StoreError> {
        let except = except.to_vec();
        self.read(move |conn| read::queue(conn, &except, limit)).await
    }

    async fn count_by_status(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        self.read(read::count_by_status).await
    }

    async fn story(&self, id: PaymentId) -> Result<Vec<Event>, StoreError> {
        self.read(move |conn| read::story(conn, id)).await
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        owner: &str,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let owner = owner.to_owned();
        let take = move |conn: &Connection| work::claim_due(conn, now, lease_until, &owner, limit);
        Ok(self.write(take).await?)
    }

    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<(), StoreError> {
        let claim = claim.clone();
        Ok(self.write(move |conn| work::release(conn, &claim, due_at)).await?)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(read::next_due).await
    }

    async fn claim_messages(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let take = move |conn: &Connection| work::claim_messages(conn, now, lease_until, limit);
        Ok(self.write(take).await?)
    }

    async fn message_tried(&self, id: &str, fence: u64, end: MessageEnd) -> Result<(), StoreError> {
        let id = id.to_owned();
        Ok(self.write(move |conn| work::message_tried(conn, &id, fence, &end)).await?)
    }

    async fn messages(
        &self,
        state: Option<MessageState>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.read(move |conn| read::messages(conn, state, limit)).await
    }

    async fn resend_message(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let id = id.to_owned();
        Ok(self.write(move |conn| work::resend_message(conn, &id, now)).await?)
    }

    async fn controls(&self) -> Result<Controls, StoreError> {
        self.read(read::controls).await
    }

    async fn set_controls(&self, next: &Controls, audit: AuditLine) -> Result<bool, StoreError> {
        let next = next.clone();
        Ok(self.write(move |conn| work::set_controls(conn, &next, &audit)).await?)
    }

    async fn note(&self, line: AuditLine) -> Result<(), StoreError> {
        Ok(self.write(move |conn| work::note(conn, &line)).await?)
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        self.read(move |conn| read::audit(conn, limit)).await
    }

    async fn audit_page(&self, filter: &AuditFilter) -> Result<Vec<(u64, AuditLine)>, StoreError> {
        let filter = filter.clone();
        self.read(move |conn| read::audit_page(conn, &filter)).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.write(writer::prove_writable).await?;
        self.read(|conn| read::controls(conn).map(drop)).await
    }
}

#[async_trait]
impl Versions for SqliteStore {
    async fn add_version(
        &self,
        new: NewVersion,
        audit: AuditLine,
    ) -> Result<Option<u64>, StoreError> {
        Ok(self.write(move |conn| versions::add(conn, &new, &audit)).await?)
    }

    async fn settle_version(
        &self,
        version: u64,
        end: VersionState,
        cause: Option<String>,
        audit: AuditLine,
    ) -> Result<bool, StoreError> {
        let settle =
            move |conn: &Connection| versions::settle(conn, version, end, cause.as_deref(), &audit);
        Ok(self.write(settle).await?)
    }

    async fn version(&self, version: u64) -> Result<Option<Version>, StoreError> {
        self.read(move |conn| versions::one(conn, version)).await
    }

    async fn versions(&self, limit: usize) -> Result<Vec<Version>, StoreError> {
        self.read(move |conn| versions::list(conn, limit)).await
    }
}

#[async_trait]
impl Notes for SqliteStore {
    async fn add_note(
        &self,
        (merchant, payment): (&MerchantId, PaymentId),
        note: NewNote,
        at: Timestamp,
        audit: AuditLine,
    ) -> Result<bool, StoreError> {
        let merchant = merchant.clone();
        let add =
            move |conn: &Connection| notes::add(conn, (&merchant, payment), &note, at, &audit);
        Ok(self.write(add).await?)
    }

    async fn claim_notes(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Note>, StoreError> {
        let take = move |conn: &Connection| notes::claim(conn, now, lease_until, limit);
        Ok(self.write(take).await?)
    }

    async fn end_note(
        &self,
        id: &str,
        fence: u64,
        end: NoteEnd,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        Ok(self.write(move |conn| notes::end(conn, &id, fence, end.clone(), at)).await?)
    }

    async fn find_note(&self, id: &str) -> Result<Option<Note>, StoreError> {
        let id = id.to_owned();
        self.read(move |conn| notes::one(conn, &id)).await
    }

    async fn notes_of(&self, payment: PaymentId) -> Result<Vec<Note>, StoreError> {
        self.read(move |conn| notes::of_payment(conn, payment)).await
    }

    async fn notes(&self, state: Option<NoteState>, limit: usize) -> Result<Vec<Note>, StoreError> {
        self.read(move |conn| notes::list(conn, state, limit)).await
    }

    async fn sent_to(
        &self,
        addressee: &str,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SentNote>, StoreError> {
        let addressee = addressee.to_owned();
        self.read(move |conn| notes::sent_to(conn, &addressee, since, limit)).await
    }

    async fn resend_note(
        &self,
        id: &str,
        now: Timestamp,
        audit: AuditLine,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        Ok(self.write(move |conn| notes::resend(conn, &id, now, &audit)).await?)
    }

    async fn next_note_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(notes::next_due).await
    }

    async fn latest_to(&self, addressee: &str) -> Result<Option<Note>, StoreError> {
        let addressee = addressee.to_owned();
        self.read(move |conn| notes::latest_to(conn, &addressee)).await
    }

    async fn unsubscribed(&self, addressee: &str) -> Result<Option<Timestamp>, StoreError> {
        let addressee = addressee.to_owned();
        self.read(move |conn| notes::unsubscribed(conn, &addressee)).await
    }

    async fn set_subscribed(
        &self,
        addressee: &str,
        wanted: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let addressee = addressee.to_owned();
        Ok(self.write(move |conn| notes::set_subscribed(conn, &addressee, wanted, at)).await?)
    }

    async fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (name, fresh) = (name.to_owned(), fresh.to_owned());
        Ok(self.write(move |conn| notes::secret(conn, &name, &fresh)).await?)
    }
}
