//! Moves the write-ahead log into the database without keeping commits waiting.
//!
//! A thread of its own moves most of it while commits go on, which takes long because it has
//! to sync the database. The log can start over only at a moment when all of it was moved, and
//! under a steady load that moment never comes by itself: so the writer then moves the small
//! rest between two batches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
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

/// What both sides know.
#[derive(Default)]
struct Shared {
    /// The pages in the log after the latest commit.
    pages: AtomicUsize,
    /// Held while the log is moved: a second one who tries at the same time moves nothing.
    turn: Mutex<()>,
}

impl Shared {
    fn checkpoint(&self, conn: &Connection, mode: &str) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = checkpoint(conn, mode) {
            // The log keeps everything; only its space is not given back yet.
            tracing::warn!(error = %store_error(&error), "the write-ahead log cannot be moved");
        }
    }
}

/// The writer's side.
pub(super) struct Progress {
    shared: Arc<Shared>,
    pages_max: usize,
}

impl Progress {
    /// Moves the rest of the log, on the writer's thread.
    pub(super) fn finish(&self, conn: &Connection) {
        self.shared.checkpoint(conn, "PASSIVE");
        self.shared.pages.store(0, Ordering::Relaxed);
    }

    /// Whether the log has grown so long that the checkpointer is not keeping up. The writer
    /// must help then, though everyone waits for it.
    pub(super) fn is_overdue(&self) -> bool {
        self.shared.pages.load(Ordering::Relaxed) > self.pages_max.saturating_mul(16)
    }

    /// Moves everything, at the end.
    pub(super) fn last(&self, conn: &Connection) {
        self.shared.checkpoint(conn, "TRUNCATE");
    }
}

/// Starts the thread and hooks it to the writer's connection: it is woken when the log has
/// more than `pages_max` pages, and ends when the connection is closed.
pub(super) fn start(
    writer: &mut Connection,
    own: Connection,
    queue: &mpsc::Sender<Job>,
    pages_max: usize,
) -> Result<(Progress, JoinHandle<()>), StoreError> {
    let (wake, woken) = sync_channel::<()>(1);
    let shared = Arc::new(Shared::default());
    let seen = shared.clone();
    let hook = move |_: &mut rusqlite::hooks::Wal, count| {
        let count = usize::try_from(count).unwrap_or(0);
        seen.pages.store(count, Ordering::Relaxed);
        if count >= pages_max {
            // A full channel means that it is awake already.
            let _ = wake.try_send(());
        }
        Ok(())
    };
    writer.wal_hook(Some(hook)).map_err(|e| store_error(&e))?;
    // Weak, so that this thread does not keep the writer waiting for work.
    let (queue, ours) = (queue.downgrade(), shared.clone());
    let thread = std::thread::Builder::new()
        .name("store-checkpoint".into())
        .spawn(move || run(&own, &woken, &queue, &ours))
        .map_err(|e| StoreError::Unavailable(format!("cannot start a thread: {e}")))?;
    Ok((Progress { shared, pages_max }, thread))
}

fn run(conn: &Connection, woken: &Receiver<()>, queue: &mpsc::WeakSender<Job>, shared: &Shared) {
    loop {
        match woken.recv_timeout(IDLE) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) if shared.pages.load(Ordering::Relaxed) > 0 => {}
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        }
        shared.checkpoint(conn, "PASSIVE");
        ask_to_finish(queue);
        // What woke it meanwhile has been dealt with.
        let _ = woken.try_recv();
    }
}

/// Has the writer move the rest, and waits until it has.
fn ask_to_finish(queue: &mpsc::WeakSender<Job>) {
    let Some(queue) = queue.upgrade() else { return };
    let (finished, end) = channel();
    let sent = queue.blocking_send(Job::FinishCheckpoint(finished));
    drop(queue);
    if sent.is_ok() {
        // An error means that the writer has ended, and has moved everything.
        let _ = end.recv();
    }
}
