//! The one thread that writes. It takes whatever is queued, does it in one transaction, and
//! answers everyone after the one `COMMIT`: many payments share the price of one sync.
//!
//! Each piece of work runs in a savepoint of its own, so that one that fails leaves no trace
//! and does not spoil the others. When the transaction as a whole cannot be saved, and surely
//! had no effect, each piece is done again in a transaction of its own, so that a change that
//! still fits on a full disk is not refused because of its neighbours.

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Progress;
use super::fault::{Failure, Lost, fate_of_commit, store_error};
use crate::StoreError;

/// Something for the thread to do.
pub(super) enum Job {
    /// In a transaction.
    Write(Box<dyn Write>),
    /// The log was moved into the database as far as possible while work went on; move the
    /// rest now, while nobody writes, so that the log starts over; and say so.
    FinishCheckpoint(std::sync::mpsc::Sender<()>),
}

/// A piece of work. May be run more than once; only the last run counts.
pub(super) trait Write: Send {
    /// Nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;
    /// Does it.
    fn run(&mut self, conn: &Connection) -> Result<(), Failure>;
    /// Says how it ended: with the last run's result when the transaction is durable.
    fn answer(self: Box<Self>, end: Result<(), Lost>);
}

/// A piece of work as a closure, and who waits for it.
struct Call<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, Lost>>,
}

impl<T, F> Write for Call<T, F>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, Failure> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, conn: &Connection) -> Result<(), Failure> {
        self.result = Some((self.work)(conn)?);
        Ok(())
    }

    fn answer(self: Box<Self>, end: Result<(), Lost>) {
        let Call { result, reply, .. } = *self;
        let missing = || Lost::Unknown(StoreError::Unavailable("no result".into()));
        let result = end.and_then(|()| result.ok_or_else(missing));
        // Whoever asked may have gone.
        let _ = reply.send(result);
    }
}

/// Queues a piece of work and waits for its end.
pub(super) async fn call<T: Send + 'static>(
    queue: &mpsc::Sender<Job>,
    work: impl FnMut(&Connection) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Lost> {
    let (reply, end) = oneshot::channel();
    let job = Job::Write(Box::new(Call { work, result: None, reply }));
    let stopped = |text: &str| StoreError::Unavailable(text.into());
    queue.send(job).await.map_err(|_| Lost::Failed(stopped("the store is closed")))?;
    end.await.unwrap_or_else(|_| Err(Lost::Unknown(stopped("the writer stopped unexpectedly"))))
}

/// The thread's state.
pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) batch_max: usize,
    pub(super) progress: Progress,
    /// A commit's end is unknown, and nothing was written since.
    pub(super) doubtful: bool,
    pub(super) faults: super::Faults,
}

/// How a batch did not happen, as a whole.
enum Spoilt {
    /// Nothing can be written now, whatever it is.
    NotBegun(StoreError),
    /// Some of the work, or all of it together, could not be saved.
    RolledBack(StoreError),
    Unknown(StoreError),
}

impl Writer {
    /// Works until every sender is gone and the queue is empty.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut batch = Vec::new();
            let mut finish = None;
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Write(work) => batch.push(work),
                    Job::FinishCheckpoint(finished) => finish = Some(finished),
                }
                next = if batch.len() < self.batch_max { queue.try_recv().ok() } else { None };
            }
            self.batch(batch);
            if finish.is_some() || self.progress.is_overdue() {
                self.progress.finish(&self.conn);
            }
            if let Some(finished) = finish {
                // It waits for this word.
                let _ = finished.send(());
            }
        }
        self.progress.last(&self.conn);
    }

    fn batch(&mut self, mut batch: Vec<Box<dyn Write>>) {
        batch.retain(|work| !work.is_abandoned());
        if batch.is_empty() {
            return;
        }
        match self.transact(&mut batch) {
            Ok(failures) => answer(batch, failures),
            Err(Spoilt::RolledBack(_)) if batch.len() > 1 => {
                batch.into_iter().for_each(|work| self.batch(vec![work]));
            }
            Err(Spoilt::NotBegun(error) | Spoilt::RolledBack(error)) => {
                answer_all(batch, &Lost::Failed(error))
            }
            Err(Spoilt::Unknown(error)) => {
                tracing::error!(%error, "a commit's end is unknown");
                answer_all(batch, &Lost::Unknown(error));
            }
        }
    }

    /// One transaction. Returns what failed by itself.
    fn transact(
        &mut self,
        batch: &mut [Box<dyn Write>],
    ) -> Result<Vec<Option<StoreError>>, Spoilt> {
        self.roll_back();
        self.begin().map_err(|failure| {
            self.roll_back();
            Spoilt::NotBegun(failure.into())
        })?;
        let mut failures = Vec::with_capacity(batch.len());
        for work in batch {
            let failure = self.one(work.as_mut()).map_err(|failure| {
                self.roll_back();
                Spoilt::RolledBack(failure.into())
            })?;
            failures.push(failure);
        }
        self.commit()?;
        Ok(failures)
    }

    /// Begins a transaction in which everything that is read is final.
    ///
    /// After a `COMMIT` that failed with an I/O error, its pages may be in the log behind the
    /// last good ones: this process does not see them, and recovery after a crash might. Any
    /// later commit that changes something is written over them. So nobody is told that such a
    /// transaction did not happen, nor anything else, before one has been.
    fn begin(&self) -> Result<(), Failure> {
        self.execute("BEGIN IMMEDIATE")?;
        if self.doubtful { prove_writable(&self.conn) } else { Ok(()) }
    }

    /// One piece of work in its savepoint. `Err` when the whole transaction is spoilt.
    fn one(&self, work: &mut dyn Write) -> Result<Option<StoreError>, Failure> {
        self.execute("SAVEPOINT one")?;
        let failure = match work.run(&self.conn) {
            Ok(()) => None,
            Err(failure) if failure.spoils() || self.conn.is_autocommit() => return Err(failure),
            Err(failure) => {
                self.execute("ROLLBACK TO one")?;
                Some(failure.into())
            }
        };
        self.execute("RELEASE one")?;
        Ok(failure)
    }

    fn commit(&mut self) -> Result<(), Spoilt> {
        match self.try_commit() {
            Ok(()) => {
                self.doubtful = false;
                Ok(())
            }
            Err(error) => {
                self.roll_back();
                Err(match fate_of_commit(&error) {
                    Lost::Failed(error) => Spoilt::RolledBack(error),
                    Lost::Unknown(error) => {
                        self.doubtful = true;
                        Spoilt::Unknown(error)
                    }
                })
            }
        }
    }

    fn try_commit(&self) -> rusqlite::Result<()> {
        self.faults.commit(|sql| self.conn.prepare_cached(sql)?.execute([]).map(drop))
    }

    fn execute(&self, sql: &str) -> Result<(), Failure> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    /// Leaves whatever transaction is open. Should that fail, the next one tries again, and
    /// fails as a whole if it cannot.
    fn roll_back(&self) {
        if !self.conn.is_autocommit()
            && let Err(error) = self.conn.execute_batch("ROLLBACK")
        {
            tracing::error!(error = %store_error(&error), "a transaction cannot be rolled back");
        }
    }
}

/// Changes something that nobody reads, so that the commit has to reach the disk.
pub(super) fn prove_writable(conn: &Connection) -> Result<(), Failure> {
    conn.prepare_cached("UPDATE barrier SET n = n + 1 WHERE id = 1")?.execute([])?;
    Ok(())
}

fn answer(batch: Vec<Box<dyn Write>>, failures: Vec<Option<StoreError>>) {
    for (work, failure) in batch.into_iter().zip(failures) {
        work.answer(failure.map_or(Ok(()), |error| Err(Lost::Failed(error))));
    }
}

fn answer_all(batch: Vec<Box<dyn Write>>, end: &Lost) {
    batch.into_iter().for_each(|work| work.answer(Err(end.clone())));
}
