//! Messages to merchants, controls and the audit log.
#![expect(clippy::unwrap_used, reason = "what is unwrapped is what the case demands")]
#![expect(clippy::missing_panics_doc, reason = "a case panics when the engine fails it")]

use domain::{Controls, Override, Timestamp};

use super::sample::{at, channel, create, id, merchant, message};
use super::{Shared, done};
use crate::{AuditFilter, AuditLine, Change, Message, MessageEnd, MessageState, Store};

async fn made(store: &dyn Store, n: u64, messages: &[(&str, u64)]) {
    let messages = messages.iter().map(|(id, secs)| message(id, at(*secs))).collect();
    done(store, Change { messages, ..create(n) }).await;
}

async fn claim(store: &dyn Store, now: u64, until: u64) -> Vec<Message> {
    store.claim_messages(at(now), at(until), 10).await.unwrap()
}

async fn only(store: &dyn Store) -> Message {
    let mut all = store.messages(None, 10).await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn retry(secs: u64) -> MessageEnd {
    MessageEnd::Retry { at: at(secs), error: "503".into() }
}

/// A message is claimed when it is due, tried, and tried again, until the merchant has it.
pub async fn a_message_is_sent_until_it_is_delivered(store: Shared) {
    made(&*store, 1, &[("m-1", 10)]).await;
    let fresh = only(&*store).await;
    let expected = Message {
        id: "m-1".into(),
        merchant: merchant("shop"),
        payment: id(1),
        kind: "payment.paid".into(),
        body: "{\"id\":\"m-1\"}".into(),
        created_at: at(1),
        due_at: at(10),
        tries: 0,
        state: MessageState::Pending,
        last_error: None,
        fence: 0,
    };
    assert_eq!(fresh, expected);

    assert_eq!(claim(&*store, 9, 20).await, []);
    let first = claim(&*store, 10, 20).await.remove(0);
    assert!(first.fence > fresh.fence);
    assert_eq!(claim(&*store, 19, 30).await, [], "somebody sends it");
    let second = claim(&*store, 20, 30).await.remove(0);
    assert!(second.fence > first.fence);
    store.message_tried("m-1", first.fence, MessageEnd::Delivered).await.unwrap();
    assert_eq!(only(&*store).await.state, MessageState::Pending, "a stale answer");

    for _ in 0..2 {
        store.message_tried("m-1", second.fence, retry(40)).await.unwrap();
    }
    let tried = only(&*store).await;
    assert_eq!((tried.tries, tried.due_at), (1, at(40)), "the same answer counts once");
    assert_eq!(tried.last_error.as_deref(), Some("503"));
    assert_eq!(claim(&*store, 39, 50).await, []);
    let third = claim(&*store, 40, 50).await.remove(0);
    assert_eq!(third.tries, 1);
    store.message_tried("m-1", third.fence, MessageEnd::Delivered).await.unwrap();
    let end = only(&*store).await;
    assert_eq!((end.state, end.tries, end.last_error), (MessageState::Delivered, 2, None));
    assert_eq!(claim(&*store, 1_000, 2_000).await, []);
    assert_eq!(store.next_due().await.unwrap(), None);
    store.message_tried("m-none", 1, MessageEnd::Delivered).await.unwrap();
}

/// A message that was given up is sent again when somebody asks for it.
pub async fn a_dead_message_can_be_sent_again(store: Shared) {
    made(&*store, 1, &[("m-1", 10)]).await;
    let held = claim(&*store, 10, 20).await.remove(0);
    let dead = MessageEnd::Dead { error: "410".into() };
    store.message_tried("m-1", held.fence, dead).await.unwrap();
    assert_eq!(store.messages(Some(MessageState::Dead), 10).await.unwrap().len(), 1);
    assert_eq!(claim(&*store, 1_000, 2_000).await, []);

    assert!(store.resend_message("m-1", at(50)).await.unwrap());
    assert!(!store.resend_message("m-none", at(50)).await.unwrap());
    store.message_tried("m-1", held.fence, MessageEnd::Delivered).await.unwrap();
    assert_eq!(claim(&*store, 49, 60).await, []);
    let again = claim(&*store, 50, 60).await.remove(0);
    assert!(again.fence > held.fence);
    assert_eq!(again.tries, 0, "the schedule starts over");
    assert!(store.resend_message("m-1", at(51)).await.unwrap(), "it is being sent anyway");
    store.message_tried("m-1", again.fence, MessageEnd::Delivered).await.unwrap();
    assert_eq!(only(&*store).await.state, MessageState::Delivered);
    assert!(store.resend_message("m-1", at(70)).await.unwrap(), "delivered ones, too");
    assert_eq!(claim(&*store, 70, 80).await.len(), 1);
}

/// A message's id is derived from its event: the same id is the same message.
pub async fn a_message_that_is_made_twice_is_one_message(store: Shared) {
    made(&*store, 1, &[("m-1", 10)]).await;
    made(&*store, 2, &[("m-1", 99)]).await;
    assert_eq!(only(&*store).await.payment, id(1));
}

/// Newest first, by state, and no more than asked for.
pub async fn messages_are_listed_newest_first(store: Shared) {
    for n in 1..=4 {
        made(&*store, n, &[(&format!("m-{n}"), n)]).await;
    }
    let held = claim(&*store, 2, 9).await;
    assert_eq!(held.len(), 2);
    store.message_tried("m-1", held[0].fence, MessageEnd::Delivered).await.unwrap();
    let ids = async |state, limit| -> Vec<String> {
        store.messages(state, limit).await.unwrap().into_iter().map(|m| m.id).collect()
    };
    assert_eq!(ids(None, 10).await, ["m-4", "m-3", "m-2", "m-1"]);
    assert_eq!(ids(None, 2).await, ["m-4", "m-3"]);
    assert_eq!(ids(Some(MessageState::Pending), 10).await, ["m-4", "m-3", "m-2"]);
    assert_eq!(ids(Some(MessageState::Delivered), 10).await, ["m-1"]);
    assert_eq!(ids(Some(MessageState::Dead), 10).await, Vec::<String>::new());
    let one = store.claim_messages(at(100), at(200), 1).await.unwrap();
    assert_eq!(one[0].id, "m-3", "the earliest due");
}

/// Controls change by compare and swap, and every change leaves a line.
pub async fn controls_change_one_version_at_a_time(store: Shared) {
    let line = |n: u64| AuditLine {
        at: at(n),
        by: "li".into(),
        action: format!("disable {n}"),
        reason: "维护".into(),
    };
    let off = |n: u64| Override {
        channel: channel("alipay-main"),
        method: None,
        by: "li".into(),
        reason: "maintenance".into(),
        since: at(n),
        until: None,
    };
    assert_eq!(store.controls().await.unwrap(), Controls::default());
    assert_eq!(store.audit(10).await.unwrap(), []);
    let first = Controls::default().disable(off(1), at(1));
    assert!(store.set_controls(&first, line(1)).await.unwrap());
    assert!(!store.set_controls(&first, line(2)).await.unwrap(), "somebody was faster");
    let skips = Controls { version: 3, ..first.clone() };
    assert!(!store.set_controls(&skips, line(3)).await.unwrap());
    assert!(!store.set_controls(&Controls::default(), line(4)).await.unwrap());
    assert_eq!(store.controls().await.unwrap(), first);
    let second = first.enable(&channel("alipay-main"), None, Timestamp::EPOCH);
    assert!(store.set_controls(&second, line(5)).await.unwrap());
    assert_eq!(store.controls().await.unwrap(), second);
    assert_eq!(store.audit(10).await.unwrap(), [line(5), line(1)]);
    assert_eq!(store.audit(1).await.unwrap(), [line(5)]);
    store.note(line(6)).await.unwrap();
    assert_eq!(store.audit(10).await.unwrap(), [line(6), line(5), line(1)]);
    assert_eq!(store.controls().await.unwrap().version, 2, "a note changes no controls");
}

/// The audit log takes lines of its own and is searched page by page.
pub async fn the_audit_log_is_searched_page_by_page(store: Shared) {
    let line = |n: u64, by: &str, action: &str, reason: &str| AuditLine {
        at: at(n),
        by: by.into(),
        action: action.into(),
        reason: reason.into(),
    };
    let lines = [
        line(1, "console:li", "sign in", ""),
        line(2, "li", "disable alipay-main", "Bank says 100% down"),
        line(3, "console:li", "enable alipay-main", "it is back"),
    ];
    for line in &lines {
        store.note(line.clone()).await.unwrap();
    }
    let all = AuditFilter { limit: 10, ..AuditFilter::default() };
    let found = |filter: AuditFilter| {
        let store = &store;
        async move { store.audit_page(&filter).await.unwrap() }
    };
    let texts = |page: &[(u64, AuditLine)]| -> Vec<AuditLine> {
        page.iter().map(|(_, line)| line.clone()).collect()
    };
    let page = found(AuditFilter { limit: 2, ..all.clone() }).await;
    assert_eq!(texts(&page), [lines[2].clone(), lines[1].clone()]);
    let older = found(AuditFilter { before: Some(page[1].0), ..all.clone() }).await;
    assert_eq!(texts(&older), [lines[0].clone()]);
    let by = found(AuditFilter { by: Some("console:li".into()), ..all.clone() }).await;
    assert_eq!(texts(&by), [lines[2].clone(), lines[0].clone()]);
    for (part, places) in [("ALIPAY", vec![2, 1]), ("100%", vec![1]), ("%", vec![1]), ("_", vec![])]
    {
        let hits = found(AuditFilter { text: Some(part.into()), ..all.clone() }).await;
        let wanted: Vec<AuditLine> = places.iter().map(|n: &usize| lines[*n].clone()).collect();
        assert_eq!(texts(&hits), wanted, "{part}");
    }
}
