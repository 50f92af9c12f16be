//! Commits whose end is unknown (rule 16), by injected faults.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::Method;
use store::conformance::sample::{at, attempt, create, id};
use store::conformance::{Shared, done};
use store::{
    Change, Commit, CommitFault, Conflict, Faults, SqliteOptions, SqliteStore, Store, StoreError,
};

use crate::{folder, shell};

fn faulty() -> (Arc<SqliteStore>, Faults, tempfile::TempDir) {
    let (folder, faults) = (folder(), Faults::default());
    let path = folder.path().join("books.db");
    let store = SqliteStore::open_with_faults(&path, SqliteOptions::default(), faults.clone());
    (Arc::new(store.unwrap()), faults, folder)
}

#[tokio::test]
async fn a_lost_commit_that_was_not_done_is_read_back_as_not_done() {
    let (store, faults, _folder) = faulty();
    let first = create(1);
    faults.push(CommitFault::LostUndone);
    assert!(matches!(store.commit(first.clone()).await, Commit::Unknown(_)));
    assert!(!store.was_committed(first.id).await.unwrap());
    assert_eq!(store.payment(id(1)).await.unwrap(), None);
    done(&*store, first.clone()).await;
    assert!(store.was_committed(first.id).await.unwrap());
}

#[tokio::test]
async fn a_lost_commit_that_was_done_is_read_back_as_done() {
    let (store, faults, _folder) = faulty();
    let first = create(1);
    faults.push(CommitFault::LostDone);
    assert!(matches!(store.commit(first.clone()).await, Commit::Unknown(_)));
    assert!(store.was_committed(first.id).await.unwrap());
    done(&*store, first.clone()).await;
    assert_eq!(store.story(id(1)).await.unwrap(), first.events);
}

#[tokio::test]
async fn a_full_disk_at_the_commit_is_a_failure_and_leaves_nothing() {
    let (store, faults, _folder) = faulty();
    let first = create(1);
    faults.push(CommitFault::Full);
    let end = store.commit(first.clone()).await;
    assert!(matches!(end, Commit::Failed(StoreError::Full(_))), "{end:?}");
    assert!(!store.was_committed(first.id).await.unwrap());
    done(&*store, first).await;
}

/// Pages of a lost commit may be behind the end of the log, where recovery would find them:
/// whatever is answered next must have been written over them, or must say that it was not.
#[tokio::test]
async fn nothing_is_answered_about_a_lost_commit_before_the_log_was_written_over_it() {
    let (store, faults, folder) = faulty();
    done(&*store, create(1)).await;
    let writes = || -> i64 {
        let read = "SELECT n FROM barrier";
        shell(folder.path()).query_row(read, [], |row| row.get(0)).unwrap()
    };
    let lost = create(2);
    let before = writes();
    faults.push(CommitFault::LostUndone);
    assert!(matches!(store.commit(lost.clone()).await, Commit::Unknown(_)));
    faults.push(CommitFault::LostUndone);
    assert!(store.was_committed(lost.id).await.is_err(), "that write was lost, too");
    assert_eq!(writes(), before);
    assert!(!store.was_committed(lost.id).await.unwrap());
    assert_eq!(writes(), before + 1);
    assert!(!store.was_committed(lost.id).await.unwrap());
    assert_eq!(writes(), before + 1, "the doubt is settled");

    // A refusal writes nothing by itself, so it must not settle the doubt by accident.
    faults.push(CommitFault::LostUndone);
    assert!(matches!(store.commit(lost.clone()).await, Commit::Unknown(_)));
    let again = Change { id: create(1).id, ..create(1) };
    assert_eq!(store.commit(again).await, Commit::Refused(Conflict::Version));
    assert_eq!(writes(), before + 2);
}

#[tokio::test]
async fn a_lost_claim_is_an_error_and_its_lease_runs_out() {
    let (store, faults, _folder) = faulty();
    done(&*store, Change { due_at: Some(at(1)), ..create(1) }).await;
    faults.push(CommitFault::LostDone);
    assert!(store.claim_due(at(5), at(10), "worker", 1).await.is_err());
    assert_eq!(store.claim_due(at(9), at(20), "worker", 1).await.unwrap(), []);
    let claims = store.claim_due(at(10), at(20), "worker", 1).await.unwrap();
    assert_eq!(claims[0].fence, 2);
}

/// Commits `1..=n` while somebody else holds the file, so that the writer finds them all
/// queued and puts them in one transaction. The transaction before it is a ping's.
async fn at_once(store: &Shared, folder: &Path, n: u64) -> Vec<(Change, Commit)> {
    let somebody = shell(folder);
    somebody.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ping = {
        let store = store.clone();
        tokio::spawn(async move { store.ping().await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let tasks: Vec<_> = (1..=n)
        .map(|n| {
            let (store, change) = (store.clone(), create(n));
            tokio::spawn(async move { (change.clone(), store.commit(change).await) })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    somebody.execute_batch("ROLLBACK").unwrap();
    ping.await.unwrap().unwrap();
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap());
    }
    ends
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_a_lost_batch_is_unknown_and_can_be_read_back() {
    for fault in [CommitFault::LostDone, CommitFault::LostUndone] {
        let (store, faults, folder) = faulty();
        let store: Shared = store;
        faults.push(CommitFault::None);
        faults.push(fault);
        let mut unknown = 0;
        for (change, end) in at_once(&store, folder.path(), 64).await {
            let there = store.was_committed(change.id).await.unwrap();
            match end {
                Commit::Done => assert!(there),
                Commit::Unknown(_) => {
                    unknown += 1;
                    assert_eq!(there, fault == CommitFault::LostDone);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(store.payment(change.payment.id).await.unwrap().is_some(), there);
        }
        assert!(unknown > 0);
    }
}

/// When a batch is too large for the disk, those that fit alone are done alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_does_not_fit_is_done_one_by_one() {
    let (store, faults, folder) = faulty();
    let store: Shared = store;
    faults.push(CommitFault::None);
    for _ in 0..4 {
        faults.push(CommitFault::Full);
    }
    let ends = at_once(&store, folder.path(), 64).await;
    for (change, end) in &ends {
        assert!(matches!(end, Commit::Done | Commit::Failed(StoreError::Full(_))), "{end:?}");
        let there = store.was_committed(change.id).await.unwrap();
        assert_eq!(there, *end == Commit::Done);
    }
    let failed = ends.iter().filter(|(_, end)| *end != Commit::Done).count();
    assert!(failed <= 4, "{failed} failed by 4 faults");
}

/// One change that fails by itself does not spoil those that share its transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_change_does_not_spoil_its_neighbours() {
    let (store, _faults, folder) = faulty();
    let first = create(1_000);
    done(&*store, first.clone()).await;
    let mut twice = attempt(&first.payment, "alipay-main", Method::Alipay, at(2));
    twice.events = first.events;
    let spoiler = {
        let (store, twice) = (store.clone(), twice.clone());
        tokio::spawn(async move { store.commit(twice).await })
    };
    let shared: Shared = store.clone();
    let ends = at_once(&shared, folder.path(), 64).await;
    assert!(ends.iter().all(|(_, end)| *end == Commit::Done));
    assert!(matches!(spoiler.await.unwrap(), Commit::Failed(_)));
    let payment = store.payment(id(1_000)).await.unwrap().unwrap();
    assert_eq!(payment.version, 1);
}
