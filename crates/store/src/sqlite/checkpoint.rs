//! Moves the write-ahead log into the database without keeping commits waiting.
//!
//! A thread of its own moves most of it while commits go on, which takes long because it has
//! to sync the database. The log can start over only at a moment when all of it was moved, and
//! under a steady load that moment never comes by itself: so the writer then moves the small
//! rest between two batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::fault::store_error;
use super::schema::checkpoint;
use super::writer::Job;
use crate::StoreError;

/// How often an idle store looks whether something is left in the log.
const IDLE: Duration = Duration::from_secs(5);

/// The writer's side.
pub(super) struct Progress {
    pages: Arc<AtomicUsize>,
    pages_max: usize,
    /// Never sent to: the checkpointer ends when it is dropped.
    _alive: SyncSender<()>,
}

impl Progress {
    /// Moves the rest of the log, on the writer's thread.
    pub(super) fn finish(&self, conn: &Connection) {
        report(checkpoint(conn, "PASSIVE"));
        self.pages.store(0, Ordering::Relaxed);
    }

    /// Whether the log has grown so long that the checkpointer is not keeping up. The writer
    /// must help then, though everyone waits for it.
    pub(super) fn is_overdue(&self) -> bool {
        self.pages.load(Ordering::Relaxed) > self.pages_max.saturating_mul(16)
    }

    /// Moves everything, at the end.
    pub(super) fn last(&self, conn: &Connection) {
        report(checkpoint(conn, "TRUNCATE"));
    }
}

/// Starts the thread and hooks it to the writer's connection: it is woken when the log has
/// more than `pages_max` pages.
pub(super) fn start(
    writer: &mut Connection,
    own: Connection,
    queue: &mpsc::Sender<Job>,
    pages_max: usize,
) -> Result<(Progress, JoinHandle<()>), StoreError> {
    let (wake, woken) = sync_channel::<()>(1);
    let pages = Arc::new(AtomicUsize::new(0));
    let (seen, waker) = (pages.clone(), wake.clone());
    let hook = move |_: &mut rusqlite::hooks::Wal, count| {
        let count = usize::try_from(count).unwrap_or(0);
        seen.store(count, Ordering::Relaxed);
        if count >= pages_max {
            // A full channel means that it is awake already.
            let _ = waker.try_send(());
        }
        Ok(())
    };
    writer.wal_hook(Some(hook)).map_err(|e| store_error(&e))?;
    // Weak, so that this thread does not keep the writer waiting for work.
    let queue = queue.downgrade();
    let left = pages.clone();
    let thread = std::thread::Builder::new()
        .name("store-checkpoint".into())
        .spawn(move || run(&own, &woken, &queue, &left))
        .map_err(|e| StoreError::Unavailable(format!("cannot start a thread: {e}")))?;
    Ok((Progress { pages, pages_max, _alive: wake }, thread))
}

fn run(
    conn: &Connection,
    woken: &Receiver<()>,
    queue: &mpsc::WeakSender<Job>,
    pages: &AtomicUsize,
) {
    loop {
        match woken.recv_timeout(IDLE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) if pages.load(Ordering::Relaxed) > 0 => {}
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        }
        report(checkpoint(conn, "PASSIVE"));
        // A full queue means that the writer is busy; the next round asks again.
        if let Some(queue) = queue.upgrade() {
            let _ = queue.try_send(Job::FinishCheckpoint);
        }
    }
}

fn report(result: rusqlite::Result<i64>) {
    if let Err(error) = result {
        // The log keeps everything; only its space is not given back yet.
        tracing::warn!(error = %store_error(&error), "the write-ahead log cannot be moved");
    }
}
