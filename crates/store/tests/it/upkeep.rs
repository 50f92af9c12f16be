//! What keeps the file small, fast and readable.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use domain::Method;
use store::conformance::sample::{at, attempt, create, id, merchant, request};
use store::conformance::{Shared, done};
use store::{Change, Commit, Purged, SqliteOptions, SqliteStore, Store, StoreError};

use crate::{folder, open, shell};

/// Commits many payments from several tasks.
async fn load(store: &Shared, tasks: u64, each: u64) {
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 1..=each {
                    let change = create(task * each + n);
                    let request = Some(request(&change, &format!("key-{task}-{n}")));
                    done(&*store, Change { request, ..change }).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Under a steady load the log must start over now and then, or it grows without end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_small_under_a_steady_load() {
    let folder = folder();
    let options = SqliteOptions { checkpoint_pages: 64, ..SqliteOptions::default() };
    let store = SqliteStore::open(&folder.path().join("books.db"), options).unwrap();
    let store: Shared = Arc::new(store);
    load(&store, 8, 300).await;
    let log = fs::metadata(folder.path().join("books.db-wal")).unwrap().len();
    let books = fs::metadata(folder.path().join("books.db")).unwrap().len();
    assert!(books > 1 << 20, "nothing was moved: {books}");
    assert!(log < 8 << 20, "the log has {log} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_keys_and_change_ids_are_thrown_away_and_nothing_else() {
    let folder = folder();
    let store = Arc::new(open(folder.path()));
    let shared: Shared = store.clone();
    load(&shared, 8, 150).await;
    // `create(n)` happens at `at(n)`; 1,100 are older than `at(1_101)`.
    let purged = store.purge(at(1_101), at(1_001)).await.unwrap();
    assert_eq!(purged, Purged { requests: 1_100, changes: 1_000 });
    assert_eq!(store.purge(at(1_101), at(1_001)).await.unwrap(), Purged::default());
    let shop = merchant("shop");
    assert_eq!(store.request(&shop, "key-7-50").await.unwrap(), None);
    assert!(store.request(&shop, "key-7-51").await.unwrap().is_some());
    assert_eq!(store.count_by_status().await.unwrap()[0].1, 1_200);
    assert!(store.payment(id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_person_with_a_shell_can_read_the_books() {
    let folder = folder();
    let store = open(folder.path());
    let first = create(1);
    done(&store, first.clone()).await;
    let mut next = attempt(&first.payment, "alipay-main", Method::Alipay, at(2));
    next.due_at = Some(at(3));
    done(&store, next).await;
    store.claim_due(at(3), at(33), "worker-7", 1).await.unwrap();
    let shell = shell(folder.path());
    let row = shell
        .query_row(
            "SELECT payment, order_no, status, method, created, due, leased_until, owner \
             FROM payments_v",
            [],
            |row| (0..8).map(|n| row.get(n)).collect::<Result<Vec<String>, _>>(),
        )
        .unwrap();
    let expected = [
        id(1).to_string().as_str(),
        "o-1",
        "processing",
        "alipay",
        "2027-01-15 08:00:01.000",
        "2027-01-15 08:00:03.000",
        "2027-01-15 08:00:33.000",
        "worker-7",
    ]
    .map(str::to_owned);
    assert_eq!(row, expected);
    let state: String =
        shell.query_row("SELECT state FROM attempts", [], |row| row.get(0)).unwrap();
    assert_eq!(state, "in_flight");
}

/// A caller that stops waiting leaves a whole change or none, and the store goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_may_stop_waiting() {
    let folder = folder();
    let store = Arc::new(open(folder.path()));
    let tasks: Vec<_> = (1..=200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(create(n)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    let mut acknowledged = Vec::new();
    for (n, task) in (1..).zip(tasks) {
        if let Ok(end) = task.await {
            assert_eq!(end, Commit::Done);
            acknowledged.push(n);
        }
    }
    // What was queued and not given up is done before this.
    store.ping().await.unwrap();
    for n in 1..=200 {
        let payment = store.payment(id(n)).await.unwrap();
        assert!(payment.is_some() || !acknowledged.contains(&n));
        let story = store.story(id(n)).await.unwrap();
        assert_eq!(payment.is_some(), story.len() == 1);
    }
    done(&*store, create(1_000)).await;
}

/// Somebody else who holds the file costs everyone one time-out, and not each their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_else_holds_is_a_failure_for_all_at_once() {
    let folder = folder();
    let busy_timeout = Duration::from_millis(300);
    let options = SqliteOptions { busy_timeout, ..SqliteOptions::default() };
    let store = SqliteStore::open(&folder.path().join("books.db"), options).unwrap();
    let store = Arc::new(store);
    let somebody = shell(folder.path());
    somebody.execute_batch("BEGIN IMMEDIATE").unwrap();
    let tasks: Vec<_> = (1..=100)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(create(n)).await })
        })
        .collect();
    let ends = async {
        for task in tasks {
            let end = task.await.unwrap();
            assert!(matches!(end, Commit::Failed(StoreError::Unavailable(_))), "{end:?}");
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ends).await.unwrap();
    assert!(store.ping().await.is_err());
    assert_eq!(store.payment(id(1)).await.unwrap(), None, "readers do not care");
    somebody.execute_batch("ROLLBACK").unwrap();
    store.ping().await.unwrap();
    done(&*store, create(1)).await;
}
