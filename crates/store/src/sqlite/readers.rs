//! The threads that read. Each has a connection of its own; readers and the writer never wait
//! for each other.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::fault::Failure;
use super::schema::open_reader;
use crate::StoreError;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The pool. Its threads end when it is dropped.
pub(super) struct Readers {
    queue: mpsc::Sender<Job>,
}

impl Readers {
    /// Starts `count` threads (at least one).
    pub(super) fn start(
        path: &Path,
        count: usize,
        queue_max: usize,
        busy_timeout: Duration,
    ) -> Result<(Readers, Vec<JoinHandle<()>>), StoreError> {
        let (queue, jobs) = mpsc::channel::<Job>(queue_max.max(1));
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = (0..count.max(1)).map(|n| {
            let conn = open_reader(path, busy_timeout)?;
            let jobs = jobs.clone();
            std::thread::Builder::new()
                .name(format!("store-read-{n}"))
                .spawn(move || {
                    while let Some(job) = next(&jobs) {
                        job(&conn)
                    }
                })
                .map_err(|e| StoreError::Unavailable(format!("cannot start a thread: {e}")))
        });
        let threads = threads.collect::<Result<_, _>>()?;
        Ok((Readers { queue }, threads))
    }

    /// Runs a query on one of the threads.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, end) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            if !reply.is_closed() {
                let _ = reply.send(query(conn).map_err(StoreError::from));
            }
        });
        let stopped = || StoreError::Unavailable("the store is closed".into());
        self.queue.send(job).await.map_err(|_| stopped())?;
        end.await.unwrap_or_else(|_| Err(stopped()))
    }
}

fn next(jobs: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
}
