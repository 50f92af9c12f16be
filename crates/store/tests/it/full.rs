//! A full disk: a clear failure, nothing half done, and work goes on once there is space.

use std::fs;
use std::sync::Arc;

use domain::Method;
use store::conformance::sample::{at, attempt, create, id};
use store::conformance::{Shared, done};
use store::{Change, Commit, SqliteOptions, SqliteStore, Store, StoreError};

use crate::files::Mount;
use crate::{folder, open};

/// Commits from several tasks until the disk is full. What was done, and what was refused.
async fn fill(store: &Shared) -> (Vec<Change>, Vec<Change>) {
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = Vec::new();
                for n in 1.. {
                    let change = create(task * 1_000_000 + n);
                    match store.commit(change.clone()).await {
                        Commit::Done => done.push(change),
                        Commit::Failed(StoreError::Full(_)) => return (done, change),
                        other => panic!("{other:?}"),
                    }
                }
                unreachable!("no disk is that large")
            })
        })
        .collect();
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for task in tasks {
        let (some, one) = task.await.unwrap();
        done.extend(some);
        refused.push(one);
    }
    (done, refused)
}

async fn check(store: &dyn Store, done: &[Change], refused: &[Change]) {
    for change in done {
        let payment = store.payment(change.payment.id).await.unwrap();
        assert_eq!(payment.as_ref(), Some(&change.payment));
        assert_eq!(store.story(change.payment.id).await.unwrap(), change.events);
    }
    for change in refused {
        assert_eq!(store.payment(change.payment.id).await.unwrap(), None);
        assert_eq!(store.story(change.payment.id).await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_database_refuses_what_does_not_fit_and_keeps_the_rest() {
    let folder = folder();
    let options = SqliteOptions { pages_max: Some(120), ..SqliteOptions::default() };
    let store = SqliteStore::open(&folder.path().join("books.db"), options).unwrap();
    let store: Shared = Arc::new(store);
    let (done, refused) = fill(&store).await;
    assert!(!done.is_empty());
    check(&*store, &done, &refused).await;
    drop(store);
    let roomy = open(folder.path());
    check(&roomy, &done, &refused).await;
    for change in refused {
        assert!(!roomy.was_committed(change.id).await.unwrap());
        store::conformance::done(&roomy, change).await;
    }
}

/// The real thing: a small file system. Skipped where mounting is not allowed; the test above
/// is the one that always runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_work_until_there_is_space_again() {
    let Some(mount) = Mount::new("size=6m") else { return };
    let ballast = mount.path().join("ballast");
    fs::write(&ballast, vec![0; 3 << 20]).unwrap();
    let store: Shared = Arc::new(open(mount.path()));
    let (mut done_before, mut refused) = fill(&store).await;
    assert!(store.ping().await.is_err() || done_before.len() > 1, "reads still work");
    check(&*store, &done_before, &refused).await;

    fs::remove_file(&ballast).unwrap();
    let again = refused.remove(0);
    assert!(!store.was_committed(again.id).await.unwrap());
    done(&*store, again.clone()).await;
    store.ping().await.unwrap();
    done_before.push(again.clone());
    let more = attempt(&again.payment, "alipay-main", Method::Alipay, at(9));
    done(&*store, more).await;
    done_before.pop();
    check(&*store, &done_before, &refused).await;
    drop(store);
    let reopened = open(mount.path());
    check(&reopened, &done_before, &refused).await;
    assert_eq!(reopened.payment(again.payment.id).await.unwrap().unwrap().version, 2);
    assert_eq!(reopened.payment(id(999_999)).await.unwrap(), None);
}
