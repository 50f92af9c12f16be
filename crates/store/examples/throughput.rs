//! How many durable commits and how many reads a second the SQLite store does here.
//!
//! `cargo run --release -p store --example throughput -- [folder] [seconds]`. The folder decides
//! the disk that is measured. One commit is one change of a payment's life (made, tried, shown,
//! paid), with an idempotency record, events and a message where a real one has them.
#![expect(clippy::unwrap_used, reason = "a measurement that fails has nothing to report")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::Method;
use store::conformance::sample::{
    at, attempt, create, fact, id, merchant, message, order, paid, request, shown,
};
use store::{Change, Commit, SqliteOptions, SqliteStore, Store};

/// The next payment's number.
static NEXT: AtomicU64 = AtomicU64::new(1);
/// The next reader's number.
static SEED: AtomicU64 = AtomicU64::new(1);

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = args.next().map_or(3.0, |text| text.parse().unwrap());
    let time = Duration::from_secs_f64(seconds);
    let folder = tempfile::tempdir_in(folder).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let path = folder.path().join("books.db");
        let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap());
        for committers in [1, 16, 64, 256] {
            commits(&store, committers, time).await;
        }
        let bytes = std::fs::metadata(folder.path().join("books.db-wal")).unwrap().len();
        println!("write-ahead log afterwards: {} MiB", bytes >> 20);
        for readers in [1, 16, 64] {
            reads(&store, readers, time).await;
        }
    });
}

/// The changes of one payment's life.
fn life(n: u64) -> [Change; 4] {
    let first = create(n);
    let first = Change { request: Some(request(&first, &format!("key-{n}"))), ..first };
    let second = attempt(&first.payment, "alipay-main", Method::Alipay, at(n));
    let third = fact(&second.payment, shown(1), at(n));
    let fourth = fact(&third.payment, paid(&third.payment, 1), at(n));
    let messages = vec![message(&format!("m-{n}"), at(n))];
    let open = |change| Change { due_at: Some(at(n + 60)), ..change };
    [open(first), open(second), open(third), Change { messages, ..fourth }]
}

async fn commits(store: &Arc<SqliteStore>, committers: u64, time: Duration) {
    let worker = |store: Arc<SqliteStore>, end: Instant| async move {
        let mut waits = Vec::new();
        while Instant::now() < end {
            for change in life(NEXT.fetch_add(1, Ordering::Relaxed)) {
                let start = Instant::now();
                assert_eq!(store.commit(change).await, Commit::Done);
                waits.push(start.elapsed());
            }
        }
        waits
    };
    measure("committers", store, committers, time, worker).await;
}

async fn reads(store: &Arc<SqliteStore>, readers: u64, time: Duration) {
    let count = NEXT.load(Ordering::Relaxed) - 1;
    let worker = |store: Arc<SqliteStore>, end: Instant| async move {
        let mut waits = Vec::new();
        let mut n = SEED.fetch_add(1, Ordering::Relaxed);
        let shop = merchant("shop");
        while Instant::now() < end {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let which = (n >> 33) % count + 1;
            let start = Instant::now();
            let found = match n >> 62 {
                0 => store.request(&shop, &format!("key-{which}")).await.unwrap().is_some(),
                1 => {
                    let order = order(&format!("o-{which}"));
                    store.payment_by_order(&shop, &order).await.unwrap().is_some()
                }
                _ => store.payment(id(which)).await.unwrap().is_some(),
            };
            assert!(found, "{which}");
            waits.push(start.elapsed());
        }
        waits
    };
    measure("readers", store, readers, time, worker).await;
}

async fn measure<F>(
    what: &str,
    store: &Arc<SqliteStore>,
    tasks: u64,
    time: Duration,
    worker: impl Fn(Arc<SqliteStore>, Instant) -> F,
) where
    F: Future<Output = Vec<Duration>> + Send + 'static,
{
    let start = Instant::now();
    let tasks_running: Vec<_> =
        (0..tasks).map(|_| tokio::spawn(worker(store.clone(), start + time))).collect();
    let mut waits = Vec::new();
    for task in tasks_running {
        waits.extend(task.await.unwrap());
    }
    let each_second = waits.len() as f64 / start.elapsed().as_secs_f64();
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    println!(
        "{tasks:>4} {what:<10} {each_second:>8.0}/s   p50 {:>9.1?}   p99 {:>9.1?}   max {:>9.1?}",
        at(0.5),
        at(0.99),
        at(1.0),
    );
}
