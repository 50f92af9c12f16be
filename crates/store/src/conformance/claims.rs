//! Work that is due, and who may do it (rule 15).
#![expect(clippy::unwrap_used, reason = "what is unwrapped is what the case demands")]
#![expect(clippy::missing_panics_doc, reason = "a case panics when the engine fails it")]

use domain::{Method, PaymentId, Timestamp};

use super::sample::{at, attempt, create, id, message};
use super::{Shared, done};
use crate::{Change, Claim, Commit, Conflict, Store};

async fn due(store: &dyn Store, n: u64, due_at: Timestamp) -> Change {
    let change = Change { due_at: Some(due_at), ..create(n) };
    done(store, change.clone()).await;
    change
}

async fn claim(store: &dyn Store, now: Timestamp, until: Timestamp, limit: usize) -> Vec<Claim> {
    store.claim_due(now, until, "worker", limit).await.unwrap()
}

fn ids(claims: &[Claim]) -> Vec<PaymentId> {
    claims.iter().map(|claim| claim.payment).collect()
}

/// What is not due is left alone; what is, comes earliest first and no more than asked for.
pub async fn only_due_payments_are_claimed_and_the_earliest_first(store: Shared) {
    assert_eq!(claim(&*store, at(100), at(200), 10).await, []);
    for (n, secs) in [(1, 30), (2, 10), (3, 20), (4, 101)] {
        due(&*store, n, at(secs)).await;
    }
    done(&*store, create(5)).await;
    assert_eq!(claim(&*store, at(9), at(200), 10).await, []);
    assert_eq!(claim(&*store, at(100), at(200), 0).await, []);
    let first = claim(&*store, at(100), at(200), 2).await;
    assert_eq!(ids(&first), [id(2), id(3)]);
    assert!(first.iter().all(|c| c.fence == 1 && c.lease_until == at(200)));
    assert_eq!(ids(&claim(&*store, at(100), at(200), 10).await), [id(1)]);
    assert_eq!(ids(&claim(&*store, at(101), at(200), 10).await), [id(4)], "due this moment");
}

/// A lease keeps others out until its very end, and each claim's fence is larger.
pub async fn a_leased_payment_is_claimed_again_only_after_its_lease(store: Shared) {
    due(&*store, 1, at(10)).await;
    let mut fences = Vec::new();
    for (now, until) in [(10, 20), (20, 30), (35, 40)] {
        let claims = claim(&*store, at(now), at(until), 10).await;
        assert_eq!(ids(&claims), [id(1)], "at {now}");
        fences.push(claims[0].fence);
        assert_eq!(claim(&*store, at(until - 1), at(99), 10).await, [], "before {until}");
    }
    assert!(fences.is_sorted_by(|a, b| a < b), "{fences:?}");
}

/// Whoever was overtaken can change nothing any more, even with the right version.
pub async fn a_stale_claim_is_fenced(store: Shared) {
    let first = due(&*store, 1, at(10)).await;
    let old = claim(&*store, at(10), at(20), 1).await.remove(0);
    let new = claim(&*store, at(20), at(30), 1).await.remove(0);
    let next = attempt(&first.payment, "alipay-main", Method::Alipay, at(21));
    let under =
        |claim: &Claim, change: &Change| Change { claim: Some(claim.clone()), ..change.clone() };
    assert_eq!(store.commit(under(&old, &next)).await, Commit::Refused(Conflict::Fenced));
    let mut stale = under(&old, &next);
    stale.expected_version = 9;
    stale.payment.version = 10;
    assert_eq!(store.commit(stale).await, Commit::Refused(Conflict::Fenced), "fence first");
    store.release(&old, at(0)).await.unwrap();
    assert_eq!(claim(&*store, at(25), at(40), 1).await, [], "a stale release does nothing");

    let future = Claim { fence: new.fence + 1, ..new.clone() };
    assert_eq!(store.commit(under(&future, &next)).await, Commit::Refused(Conflict::Fenced));
    done(&*store, under(&new, &next)).await;
    // Given back, but nobody has taken it since: still the latest owner.
    let then = super::sample::fact(&next.payment, super::sample::shown(1), at(22));
    done(&*store, under(&new, &then)).await;

    let absent = create(2);
    let nowhere = Claim { payment: id(2), fence: 0, lease_until: at(30) };
    assert_eq!(store.commit(under(&nowhere, &absent)).await, Commit::Refused(Conflict::Fenced));
}

/// The commit ends the lease and says when the next task is due.
pub async fn a_commit_under_a_claim_gives_it_back(store: Shared) {
    let first = due(&*store, 1, at(10)).await;
    let held = claim(&*store, at(10), at(100), 1).await.remove(0);
    let mut next = attempt(&first.payment, "alipay-main", Method::Alipay, at(11));
    next.claim = Some(held.clone());
    next.due_at = Some(at(15));
    done(&*store, next.clone()).await;
    assert_eq!(claim(&*store, at(14), at(100), 1).await, []);
    let again = claim(&*store, at(15), at(100), 1).await.remove(0);
    assert!(again.fence > held.fence);

    let mut last = super::sample::fact(&next.payment, super::sample::shown(1), at(16));
    last.claim = Some(again);
    done(&*store, last).await;
    assert_eq!(claim(&*store, at(1_000), at(2_000), 1).await, [], "nothing is left to do");
}

/// A commit by somebody else moves the due time, but not the lease.
pub async fn a_commit_without_a_claim_leaves_the_lease_alone(store: Shared) {
    let first = due(&*store, 1, at(10)).await;
    let held = claim(&*store, at(10), at(50), 1).await.remove(0);
    let mut other = attempt(&first.payment, "alipay-main", Method::Alipay, at(11));
    other.due_at = Some(at(12));
    done(&*store, other.clone()).await;
    assert_eq!(claim(&*store, at(49), at(99), 1).await, [], "the lease holds");
    assert_eq!(store.next_due().await.unwrap(), Some(at(50)));

    let mut late = attempt(&first.payment, "wechat-main", Method::WechatPay, at(13));
    late.claim = Some(held.clone());
    assert_eq!(store.commit(late).await, Commit::Refused(Conflict::Version));
    store.release(&held, at(20)).await.unwrap();
    assert_eq!(ids(&claim(&*store, at(20), at(99), 1).await), [id(1)]);

    let mut end = super::sample::fact(&other.payment, super::sample::shown(1), at(21));
    end.due_at = None;
    done(&*store, end).await;
    assert_eq!(store.next_due().await.unwrap(), None, "nothing to do, so nothing to wait for");
    assert_eq!(claim(&*store, at(1_000), at(2_000), 1).await, []);
}

/// A released payment may be claimed again from the given time on; a release counts once.
pub async fn a_released_payment_is_due_when_it_was_said(store: Shared) {
    due(&*store, 1, at(10)).await;
    let held = claim(&*store, at(10), at(100), 1).await.remove(0);
    store.release(&held, at(30)).await.unwrap();
    store.release(&held, at(5)).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)));
    assert_eq!(claim(&*store, at(29), at(100), 1).await, []);
    let again = claim(&*store, at(30), at(100), 1).await.remove(0);
    assert!(again.fence > held.fence);
    let nowhere = Claim { payment: id(9), ..again };
    store.release(&nowhere, at(1)).await.unwrap();
}

/// A sleeper that waits for this time misses nothing and does not spin.
pub async fn the_next_due_time_counts_leases_and_messages(store: Shared) {
    assert_eq!(store.next_due().await.unwrap(), None);
    due(&*store, 1, at(10)).await;
    due(&*store, 2, at(40)).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(10)));
    claim(&*store, at(10), at(30), 1).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(30)), "when the lease ends");
    claim(&*store, at(30), at(90), 1).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(40)), "the other payment");
    let with_message = Change { messages: vec![message("m-1", at(35))], ..create(3) };
    done(&*store, with_message).await;
    assert_eq!(store.next_due().await.unwrap(), Some(at(35)), "the message");
    store.claim_messages(at(35), at(60), 1).await.unwrap();
    assert_eq!(store.next_due().await.unwrap(), Some(at(40)));
    due(&*store, 4, Timestamp::MAX).await;
    assert_eq!(claim(&*store, at(1 << 40), at(1 << 41), 9).await.len(), 2);
}
