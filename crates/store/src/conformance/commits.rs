//! One change: as a whole, once, and only when nothing stands in its way.
#![expect(clippy::unwrap_used, reason = "what is unwrapped is what the case demands")]
#![expect(clippy::missing_panics_doc, reason = "a case panics when the engine fails it")]

use domain::{Fact, Method, Money, Outcome, Payment, RefundState};

use super::sample::{
    at, attempt, change, change_id, create, created, fact, id, merchant, message, order, paid,
    request, shown, unavailable,
};
use super::{Shared, done};
use crate::{Change, Claim, Commit, Conflict, Store};

/// Everything that a change carries can be read afterwards.
pub async fn a_change_is_there_as_a_whole(store: Shared) {
    let mut first = create(1);
    first.request = Some(request(&first, "key-1"));
    first.messages = vec![message("m-1", at(1))];
    done(&*store, first.clone()).await;
    let mut second = attempt(&first.payment, "alipay-main", Method::Alipay, at(2));
    second.messages = vec![message("m-2", at(2))];
    done(&*store, second.clone()).await;

    let payment = Some(second.payment.clone());
    assert_eq!(store.payment(id(1)).await.unwrap(), payment);
    let (shop, number) = (merchant("shop"), order("o-1"));
    assert_eq!(store.payment_by_order(&shop, &number).await.unwrap(), payment);
    assert_eq!(store.request(&shop, "key-1").await.unwrap(), first.request);
    let story = [first.events, second.events].concat();
    assert_eq!(store.story(id(1)).await.unwrap(), story);
    assert_eq!(store.messages(None, 10).await.unwrap().len(), 2);
    assert!(store.was_committed(first.id).await.unwrap());
    assert!(store.was_committed(second.id).await.unwrap());

    assert!(!store.was_committed(change_id()).await.unwrap());
    assert_eq!(store.payment(id(2)).await.unwrap(), None);
    assert_eq!(store.payment_by_order(&merchant("other"), &number).await.unwrap(), None);
    assert_eq!(store.payment_by_order(&shop, &order("o-2")).await.unwrap(), None);
    assert_eq!(store.request(&shop, "key-2").await.unwrap(), None);
    assert_eq!(store.request(&merchant("other"), "key-1").await.unwrap(), None);
    assert_eq!(store.story(id(2)).await.unwrap(), []);
}

/// A change that is committed again is done already, whatever has happened since.
pub async fn the_same_change_twice_is_one_change(store: Shared) {
    let mut first = create(1);
    first.request = Some(request(&first, "key-1"));
    first.messages = vec![message("m-1", at(1))];
    let second = attempt(&first.payment, "alipay-main", Method::Alipay, at(2));
    for change in [&first, &first, &second, &first, &second] {
        done(&*store, change.clone()).await;
    }
    assert_eq!(store.payment(id(1)).await.unwrap(), Some(second.payment));
    let story = [first.events, second.events].concat();
    assert_eq!(store.story(id(1)).await.unwrap(), story);
    assert_eq!(store.messages(None, 10).await.unwrap().len(), 1);
}

/// A change that was decided on another version than the one in the books is refused.
pub async fn another_version_is_refused(store: Shared) {
    let refused = Commit::Refused(Conflict::Version);
    let first = create(1);
    let early = attempt(&first.payment, "alipay-main", Method::Alipay, at(2));
    assert_eq!(store.commit(early).await, refused, "there is no such payment");
    done(&*store, first.clone()).await;
    let again = Change { id: change_id(), ..first.clone() };
    assert_eq!(store.commit(again).await, refused, "it is there already");

    let second = attempt(&first.payment, "alipay-main", Method::Alipay, at(2));
    let rival = attempt(&first.payment, "wechat-main", Method::WechatPay, at(2));
    done(&*store, second.clone()).await;
    assert_eq!(store.commit(rival).await, refused, "somebody was faster");
    assert_eq!(store.payment(id(1)).await.unwrap(), Some(second.payment));
}

/// One payment per merchant and order number (rule 8).
pub async fn a_taken_order_number_is_refused(store: Shared) {
    done(&*store, create(1)).await;
    let same = |n, who| change(created(n, merchant(who), order("o-1")), at(n));
    assert_eq!(store.commit(same(2, "shop")).await, Commit::Refused(Conflict::OrderTaken(id(1))));
    done(&*store, same(3, "other")).await;
    let found = store.payment_by_order(&merchant("other"), &order("o-1")).await.unwrap();
    assert_eq!(found.map(|p| p.id), Some(id(3)));
    assert_eq!(store.payment(id(2)).await.unwrap(), None);
}

/// A request that was sent twice meets its key first, whose record is the better answer; one
/// for a payment that has moved on meets the version first.
pub async fn a_taken_key_is_refused_before_a_taken_order_number(store: Shared) {
    let with_key = |mut change: Change, key| {
        change.request = Some(request(&change, key));
        change
    };
    let first = with_key(create(1), "key-1");
    done(&*store, first.clone()).await;
    let twin = with_key(change(created(2, merchant("shop"), order("o-1")), at(2)), "key-1");
    assert_eq!(store.commit(twin).await, Commit::Refused(Conflict::KeyTaken));
    let other_order = with_key(create(3), "key-1");
    assert_eq!(store.commit(other_order).await, Commit::Refused(Conflict::KeyTaken));
    let other_merchant = change(created(4, merchant("other"), order("o-1")), at(4));
    done(&*store, with_key(other_merchant, "key-1")).await;

    let later = attempt(&first.payment, "alipay-main", Method::Alipay, at(5));
    let with_old_key = Change { id: change_id(), ..with_key(later.clone(), "key-1") };
    assert_eq!(store.commit(with_old_key.clone()).await, Commit::Refused(Conflict::KeyTaken));
    done(&*store, with_key(later, "key-2")).await;
    assert_eq!(store.commit(with_old_key).await, Commit::Refused(Conflict::Version));
}

/// Asserts that nothing of a change is there beside what `before` had.
async fn no_trace(store: &dyn Store, refused: &Change, before: Option<&Payment>) {
    let payment = store.payment(refused.payment.id).await.unwrap();
    assert_eq!(payment.as_ref(), before);
    assert!(!store.was_committed(refused.id).await.unwrap());
    let request = refused.request.as_ref().unwrap();
    assert_eq!(store.request(&request.merchant, &request.key).await.unwrap(), None);
    let told = store.messages(None, 100).await.unwrap();
    assert!(refused.messages.iter().all(|new| told.iter().all(|m| m.id != new.id)));
    let story = store.story(refused.payment.id).await.unwrap();
    assert_eq!(story.len(), before.map_or(0, |p| p.events as usize));
}

fn laden(mut change: Change) -> Change {
    change.request = Some(request(&change, "key-of-the-refused"));
    change.messages = vec![message("m-refused", at(0))];
    change.due_at = Some(at(0));
    change
}

/// Nothing of a refused change is left, whatever it was refused for.
pub async fn a_refused_change_leaves_no_trace(store: Shared) {
    let first = create(1);
    done(&*store, first.clone()).await;
    let taken = laden(change(created(2, merchant("shop"), order("o-1")), at(2)));
    assert!(matches!(store.commit(taken.clone()).await, Commit::Refused(_)));
    no_trace(&*store, &taken, None).await;

    let mut stale = laden(attempt(&first.payment, "alipay-main", Method::Alipay, at(2)));
    stale.expected_version += 1;
    stale.payment.version += 1;
    assert!(matches!(store.commit(stale.clone()).await, Commit::Refused(_)));
    no_trace(&*store, &stale, Some(&first.payment)).await;

    let mut fenced = laden(attempt(&first.payment, "alipay-main", Method::Alipay, at(2)));
    fenced.claim = Some(Claim { payment: id(1), fence: 7, lease_until: at(9) });
    assert_eq!(store.commit(fenced.clone()).await, Commit::Refused(Conflict::Fenced));
    no_trace(&*store, &fenced, Some(&first.payment)).await;
    assert_eq!(store.next_due().await.unwrap(), None);
}

/// A change whose parts do not belong together is a mistake of the caller, and fails.
pub async fn a_malformed_change_fails_and_leaves_no_trace(store: Shared) {
    let mut skips = laden(create(1));
    skips.payment.version = 5;
    assert!(matches!(store.commit(skips.clone()).await, Commit::Failed(_)));
    no_trace(&*store, &skips, None).await;
    let mut foreign = laden(create(1));
    foreign.claim = Some(Claim { payment: id(2), fence: 1, lease_until: at(9) });
    assert!(matches!(store.commit(foreign.clone()).await, Commit::Failed(_)));
    no_trace(&*store, &foreign, None).await;
}

/// Two events with one number are a mistake of the caller; the whole change fails.
pub async fn an_event_number_is_used_once(store: Shared) {
    let first = create(1);
    done(&*store, first.clone()).await;
    let mut twice = laden(attempt(&first.payment, "alipay-main", Method::Alipay, at(2)));
    twice.events = first.events.clone();
    assert!(matches!(store.commit(twice.clone()).await, Commit::Failed(_)));
    no_trace(&*store, &twice, Some(&first.payment)).await;
}

/// A payment through most of its states, and texts that other layers like to spoil.
pub async fn every_state_and_text_comes_back_as_it_was(store: Shared) {
    let mut first = create(1);
    let odd = "\u{0}\u{1f}'\";--\\ 支付 💴 \u{202e}x\r\n".to_owned();
    first.payment.terms.subject = odd.clone();
    first.payment.terms.issuer = Some(String::new());
    first.payment.terms.metadata.insert(odd.clone(), "长".repeat(20_000));
    let mut message = message("m-odd", at(1));
    // A body is JSON, which writes control characters as escapes.
    message.body = serde_json::to_string(&odd).unwrap();
    first.messages = vec![message.clone()];
    let mut changes = vec![first];
    let last = |changes: &[Change]| changes.last().unwrap().payment.clone();

    let facts = [("alipay-main", unavailable(1)), ("alipay-spare", shown(2))];
    for (channel, next) in facts {
        changes.push(attempt(&last(&changes), channel, Method::Alipay, at(2)));
        changes.push(fact(&last(&changes), next, at(3)));
    }
    changes.push(fact(&last(&changes), Fact::SwitchAsked, at(4)));
    let receipt = paid(&last(&changes), 2);
    changes.push(fact(&last(&changes), receipt, at(5)));
    let part = Money::new(1, last(&changes).money.currency()).unwrap();
    for (refund, outcome) in [(1, RefundState::Pending), (2, RefundState::Succeeded)]
        .into_iter()
        .map(|(n, s)| (n, Outcome::Ok(s)))
    {
        let asked = last(&changes)
            .ask_refund(part, Some("破损".into()), at(6), &domain::Policy::default())
            .unwrap();
        changes.push(change(asked, at(6)));
        let sent = last(&changes).send_refund(refund, at(7), at(9)).unwrap().unwrap();
        changes.push(change(sent, at(7)));
        let answered = Fact::RefundAnswered { refund, outcome };
        changes.push(fact(&last(&changes), answered, at(8)));
    }
    for change in &changes {
        done(&*store, change.clone()).await;
        assert_eq!(store.payment(id(1)).await.unwrap().as_ref(), Some(&change.payment));
    }
    let story: Vec<_> = changes.into_iter().flat_map(|change| change.events).collect();
    assert_eq!(store.story(id(1)).await.unwrap(), story);
    assert_eq!(store.messages(None, 1).await.unwrap()[0].body, message.body);
}
