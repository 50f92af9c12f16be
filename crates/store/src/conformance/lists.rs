//! Lists and counts.
#![expect(clippy::unwrap_used, reason = "what is unwrapped is what the case demands")]
#![expect(clippy::missing_panics_doc, reason = "a case panics when the engine fails it")]

use domain::{Method, Payment, ProviderOrderNo, Purpose, Review, SYNTHETIC_MERCHANT, Status};

use super::sample::{
    at, attempt, change, channel, create, created, fact, id, merchant, order, paid, shown,
    unavailable,
};
use super::{Shared, done};
use crate::{Filter, Store};

const NONE: [u64; 0] = [];

async fn ids(store: &dyn Store, filter: Filter) -> Vec<u64> {
    let found = store.list(&filter).await.unwrap();
    found.iter().map(|p| (1..100).find(|n| id(*n) == p.id).unwrap()).collect()
}

/// Five payments that differ in what can be filtered by.
async fn fill(store: &dyn Store) -> Vec<Payment> {
    let mut changes = Vec::new();
    for n in 1..=4 {
        changes.push(create(n));
    }
    changes.push(change(created(5, merchant("other"), order("o-5")), at(5)));
    // 2: failed on one channel, shown on another by another method; 3: paid; 4: in review.
    let mut second = changes[1].payment.clone();
    for (on, method, next) in [
        ("alipay-main", Method::Alipay, unavailable(1)),
        ("wechat-main", Method::WechatPay, shown(2)),
    ] {
        changes.push(attempt(&second, on, method, at(10)));
        changes.push(fact(&changes.last().unwrap().payment, next, at(11)));
        second = changes.last().unwrap().payment.clone();
    }
    changes.push(attempt(&changes[2].payment, "alipay-main", Method::Alipay, at(10)));
    let third = changes.last().unwrap().payment.clone();
    changes.push(fact(&third, paid(&third, 1), at(11)));
    let third = changes.last().unwrap().payment.clone();
    let asked = third.ask_refund(third.money, None, at(12), &domain::Policy::default()).unwrap();
    changes.push(change(asked, at(12)));
    changes.push(change(changes[3].payment.flag(Review::WrongAmount, at(10)), at(10)));
    for change in &changes {
        done(store, change.clone()).await;
    }
    changes.into_iter().map(|change| change.payment).collect()
}

/// Each filter by itself, some together, and none.
pub async fn payments_are_listed_by_every_filter(store: Shared) {
    fill(&*store).await;
    let store = &*store;
    let all = || Filter { limit: 10, ..Filter::default() };
    assert_eq!(ids(store, all()).await, [5, 4, 3, 2, 1]);
    assert_eq!(ids(store, Filter { limit: 2, ..all() }).await, [5, 4]);
    assert_eq!(ids(store, Filter { limit: 0, ..all() }).await, NONE);
    assert_eq!(ids(store, Filter { limit: usize::MAX, ..all() }).await.len(), 5);
    let by = |name| Filter { merchant: Some(merchant(name)), ..all() };
    assert_eq!(ids(store, by("other")).await, [5]);
    assert_eq!(ids(store, by("nobody")).await, NONE);
    let status = |status| Filter { status: Some(status), ..all() };
    assert_eq!(ids(store, status(Status::Unavailable)).await, [5, 4, 1]);
    assert_eq!(ids(store, status(Status::RequiresCustomer)).await, [2]);
    assert_eq!(ids(store, status(Status::Paid)).await, [3]);
    let on = |name| Filter { channel: Some(channel(name)), ..all() };
    assert_eq!(ids(store, on("alipay-main")).await, [3, 2], "any attempt");
    assert_eq!(ids(store, on("wechat-main")).await, [2]);
    let method = |method| Filter { method: Some(method), ..all() };
    assert_eq!(ids(store, method(Method::Alipay)).await, [3], "the latest attempt");
    assert_eq!(ids(store, method(Method::WechatPay)).await, [2]);
    assert_eq!(ids(store, Filter { review: Some(true), ..all() }).await, [4]);
    assert_eq!(ids(store, Filter { review: Some(false), ..all() }).await, [5, 3, 2, 1]);
    assert_eq!(ids(store, Filter { since: Some(at(3)), ..all() }).await, [5, 4, 3]);
    assert_eq!(ids(store, Filter { until: Some(at(3)), ..all() }).await, [2, 1]);
    assert_eq!(ids(store, Filter { synthetic: Some(true), ..all() }).await, NONE);
    assert_eq!(ids(store, Filter { synthetic: Some(false), ..all() }).await, [5, 4, 3, 2, 1]);
    let number = |number| Filter { number: Some(number), ..all() };
    assert_eq!(ids(store, number(ProviderOrderNo::of(id(2), 1))).await, [2]);
    assert_eq!(ids(store, number(ProviderOrderNo::of_refund(id(3), 1))).await, [3]);
    assert_eq!(ids(store, number(ProviderOrderNo::received("' OR 1=1 --"))).await, NONE);
    let together = Filter { review: Some(false), since: Some(at(2)), ..on("alipay-main") };
    assert_eq!(ids(store, together).await, [3, 2]);
    let nothing = Filter { merchant: Some(merchant("other")), ..on("alipay-main") };
    assert_eq!(ids(store, nothing).await, NONE);
}

/// Page after page, everything comes once, though the newest keep coming.
pub async fn a_list_is_paged_by_its_cursor(store: Shared) {
    for n in 1..=7 {
        done(&*store, create(n)).await;
    }
    let mut seen = Vec::new();
    let mut before = None;
    for fresh in 8..=11 {
        let page = ids(&*store, Filter { before, limit: 2, ..Filter::default() }).await;
        before = page.last().map(|n| id(*n));
        seen.extend(page);
        done(&*store, create(fresh)).await;
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(&*store, Filter { before, limit: 2, ..Filter::default() }).await, NONE);
}

/// Each payment counts once, under its present status; statuses without any are left out.
pub async fn payments_are_counted_by_status(store: Shared) {
    assert_eq!(store.count_by_status().await.unwrap(), []);
    fill(&*store).await;
    let counts = [(Status::RequiresCustomer, 1), (Status::Unavailable, 3), (Status::Paid, 1)];
    assert_eq!(store.count_by_status().await.unwrap(), counts);
}

/// Synthetic payments are told from real ones, and are no part of any count.
pub async fn synthetic_payments_stay_apart(store: Shared) {
    let mut change = change(created(1, merchant(SYNTHETIC_MERCHANT), order("alipay-1")), at(1));
    change.payment.terms.purpose = Purpose::Synthetic;
    change.payment.terms.pinned = Some(channel("alipay-main"));
    done(&*store, change.clone()).await;
    assert_eq!(store.count_by_status().await.unwrap(), []);
    done(&*store, create(2)).await;
    assert_eq!(store.count_by_status().await.unwrap(), [(Status::Unavailable, 1)]);
    let only = |synthetic| Filter { synthetic: Some(synthetic), limit: 10, ..Filter::default() };
    assert_eq!(ids(&*store, only(true)).await, [1]);
    assert_eq!(ids(&*store, only(false)).await, [2]);
    assert_eq!(store.payment(id(1)).await.unwrap(), Some(change.payment));
}

/// Paused payments queue by when they were due, not by when they came; released ones leave.
pub async fn paused_payments_queue_by_their_due_time(store: Shared) {
    let paused = |n: u64, purpose, due: u64| {
        let mut change = create(n);
        change.payment.terms.purpose = purpose;
        change.payment.terms.due_at = Some(at(due));
        change.payment.state = domain::PaymentState::Paused { since: at(n), grace: None };
        change
    };
    let named = "donation".parse().unwrap();
    let latest = paused(1, Purpose::Renewal, 900);
    done(&*store, latest.clone()).await;
    done(&*store, paused(2, named, 500)).await;
    done(&*store, paused(3, Purpose::Renewal, 100)).await;
    done(&*store, create(4)).await;
    let queue = |except: &'static [Purpose], limit| {
        let store = std::sync::Arc::clone(&store);
        async move { store.queue(except, limit).await.unwrap() }
    };
    assert_eq!(queue(&[], 9).await, [id(3), id(2), id(1)]);
    assert_eq!(queue(&[], 2).await, [id(3), id(2)]);
    assert_eq!(queue(&[Purpose::Renewal, Purpose::TopUp], 9).await, [id(2)]);
    let released = latest.payment.release(at(10)).unwrap();
    done(&*store, change(released, at(10))).await;
    assert_eq!(queue(&[], 9).await, [id(3), id(2)]);
}

/// A healthy store says so.
pub async fn the_store_answers_a_ping(store: Shared) {
    store.ping().await.unwrap();
    done(&*store, create(1)).await;
    store.ping().await.unwrap();
    assert_eq!(store.count_by_status().await.unwrap(), [(Status::Unavailable, 1)]);
}
