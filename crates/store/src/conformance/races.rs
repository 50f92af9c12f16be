//! Many tasks at once: exactly one wins.
#![expect(clippy::unwrap_used, reason = "what is unwrapped is what the case demands")]
#![expect(clippy::missing_panics_doc, reason = "a case panics when the engine fails it")]

use std::collections::HashSet;
use std::sync::Arc;

use domain::{Controls, Method};
use tokio::sync::Barrier;

use super::sample::{at, attempt, change, create, created, id, merchant, order, request};
use super::{Shared, done};
use crate::{AuditLine, Change, Commit, Conflict};

const RACERS: u64 = 64;

/// Runs one task for each racer, all let go at the same moment.
async fn race<T: Send + 'static>(
    run: impl Fn(u64) -> std::pin::Pin<Box<dyn Future<Output = T> + Send>>,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(usize::try_from(RACERS).unwrap()));
    let tasks: Vec<_> = (0..RACERS)
        .map(|n| {
            let (start, racer) = (start.clone(), run(n));
            tokio::spawn(async move {
                start.wait().await;
                racer.await
            })
        })
        .collect();
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap());
    }
    ends
}

async fn commits(store: &Shared, change: impl Fn(u64) -> Change) -> Vec<Commit> {
    race(|n| {
        let (store, change) = (store.clone(), change(n));
        Box::pin(async move { store.commit(change).await })
    })
    .await
}

fn one_done(ends: &[Commit]) -> u64 {
    let winners: Vec<u64> =
        (0..).zip(ends).filter(|(_, end)| **end == Commit::Done).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1, "{ends:?}");
    winners[0]
}

/// However concurrently an order is sent, it makes one payment, and all learn which.
pub async fn one_of_many_wins_an_order_number(store: Shared) {
    let racer = |n| change(created(n + 1, merchant("shop"), order("o-1")), at(1));
    let ends = commits(&store, racer).await;
    let winner = id(one_done(&ends) + 1);
    let lost = Commit::Refused(Conflict::OrderTaken(winner));
    assert_eq!(ends.iter().filter(|end| **end == lost).count() as u64, RACERS - 1);
    let count: u64 = store.count_by_status().await.unwrap().iter().map(|(_, n)| n).sum();
    assert_eq!(count, 1);
}

/// The same for an idempotency key.
pub async fn one_of_many_wins_a_key(store: Shared) {
    let racer = |n| {
        let change = create(n + 1);
        Change { request: Some(request(&change, "key-1")), ..change }
    };
    let ends = commits(&store, racer).await;
    let winner = id(one_done(&ends) + 1);
    let lost = Commit::Refused(Conflict::KeyTaken);
    assert_eq!(ends.iter().filter(|end| **end == lost).count() as u64, RACERS - 1);
    let record = store.request(&merchant("shop"), "key-1").await.unwrap().unwrap();
    assert_eq!(record.payment, winner);
}

/// Of many changes that were decided on the same version, one happens.
pub async fn one_of_many_wins_a_version(store: Shared) {
    let first = create(1);
    done(&*store, first.clone()).await;
    let racer = |n| attempt(&first.payment, &format!("channel-{n}"), Method::Alipay, at(2));
    let ends = commits(&store, racer).await;
    let winner = format!("channel-{}", one_done(&ends));
    let lost = Commit::Refused(Conflict::Version);
    assert_eq!(ends.iter().filter(|end| **end == lost).count() as u64, RACERS - 1);
    let payment = store.payment(id(1)).await.unwrap().unwrap();
    assert_eq!(payment.attempts.len(), 1);
    assert_eq!(payment.attempts[0].channel.as_str(), winner);
}

/// Workers that look for work at the same time never get the same payment.
pub async fn many_workers_share_the_due_payments(store: Shared) {
    for n in 1..=100 {
        done(&*store, Change { due_at: Some(at(n)), ..create(n) }).await;
    }
    let claims = race(|n| {
        let store = store.clone();
        Box::pin(async move {
            let owner = format!("worker-{n}");
            store.claim_due(at(200), at(300), &owner, 3).await.unwrap()
        })
    })
    .await
    .concat();
    assert_eq!(claims.len(), 100);
    let ids: HashSet<_> = claims.iter().map(|claim| claim.payment).collect();
    assert_eq!(ids.len(), 100);
    assert!(claims.iter().all(|claim| claim.fence == 1));
}

/// Of many operators, one changes the controls; the others look again.
pub async fn one_of_many_wins_the_controls(store: Shared) {
    let wins = race(|n| {
        let store = store.clone();
        Box::pin(async move {
            let next = Controls { version: 1, ..Controls::default() };
            let (by, reason) = (format!("operator-{n}"), "test".into());
            let line = AuditLine { at: at(n), by, action: "enable".into(), reason };
            store.set_controls(&next, line).await.unwrap()
        })
    })
    .await;
    assert_eq!(wins.iter().filter(|won| **won).count(), 1);
    assert_eq!(store.audit(100).await.unwrap().len(), 1);
}
