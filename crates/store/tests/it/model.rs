//! Both engines, given the same random calls, give the same answers.

use domain::{Fact, Method, Money, Payment, PaymentId, Review, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use store::conformance::sample::{
    at, attempt, change, channel, created, fact, id, merchant, message, order, paid, request,
    shown, unavailable,
};
use store::{
    AuditLine, Change, Claim, Filter, MemoryStore, Message, MessageEnd, MessageState, Store,
};

use crate::{folder, open};

/// One call. Numbers pick from what there is, so that most calls meet something.
#[derive(Clone, Debug)]
enum Call {
    Create {
        n: u64,
        order: u8,
        key: Option<u8>,
        due: Option<u8>,
    },
    Advance {
        pick: usize,
        how: u8,
        stale: bool,
        claim: Option<usize>,
        key: Option<u8>,
        due: Option<u8>,
    },
    Repeat {
        pick: usize,
    },
    ClaimDue {
        now: u8,
        lease: u8,
        limit: usize,
    },
    Release {
        pick: usize,
        due: u8,
    },
    ClaimMessages {
        now: u8,
        lease: u8,
        limit: usize,
    },
    Tried {
        pick: usize,
        end: u8,
    },
    Resend {
        pick: usize,
        now: u8,
    },
    Controls {
        skip: u8,
    },
}

fn call() -> impl Strategy<Value = Call> {
    let due = || proptest::option::weighted(0.8, 0..60_u8);
    let key = || proptest::option::weighted(0.3, 0..4_u8);
    prop_oneof![
        3 => (1..12_u64, 0..6_u8, key(), due())
            .prop_map(|(n, order, key, due)| Call::Create { n, order, key, due }),
        6 => (any::<usize>(), 0..9_u8, proptest::bool::weighted(0.15),
              proptest::option::weighted(0.4, any::<usize>()), key(), due())
            .prop_map(|(pick, how, stale, claim, key, due)| {
                Call::Advance { pick, how, stale, claim, key, due }
            }),
        1 => any::<usize>().prop_map(|pick| Call::Repeat { pick }),
        3 => (0..80_u8, 1..20_u8, 0..4_usize)
            .prop_map(|(now, lease, limit)| Call::ClaimDue { now, lease, limit }),
        1 => (any::<usize>(), 0..60_u8).prop_map(|(pick, due)| Call::Release { pick, due }),
        2 => (0..80_u8, 1..20_u8, 0..4_usize)
            .prop_map(|(now, lease, limit)| Call::ClaimMessages { now, lease, limit }),
        2 => (any::<usize>(), 0..3_u8).prop_map(|(pick, end)| Call::Tried { pick, end }),
        1 => (any::<usize>(), 0..60_u8).prop_map(|(pick, now)| Call::Resend { pick, now }),
        1 => (0..3_u8).prop_map(|skip| Call::Controls { skip }),
    ]
}

/// What the caller of a store remembers.
#[derive(Default)]
struct Caller {
    /// Every change that was ever tried.
    changes: Vec<Change>,
    /// Every payment as it was at some time.
    payments: Vec<Payment>,
    claims: Vec<Claim>,
    messages: Vec<Message>,
}

fn pick<T: Clone>(from: &[T], n: usize) -> Option<T> {
    from.get(n % from.len().max(1)).cloned()
}

fn second(n: u8) -> Timestamp {
    at(u64::from(n))
}

/// Some change of a payment; every payment can at least be flagged.
fn advance(payment: &Payment, how: u8) -> Change {
    let now = at(5);
    let legal = |f: Fact| payment.apply(f, now, &domain::Policy::default()).is_ok();
    let last = u16::try_from(payment.attempts.len()).unwrap();
    let on = ["alipay-main", "wechat-main"][usize::from(how % 2)];
    let part = Money::new(1, payment.money.currency()).unwrap();
    let next = match how {
        0..=2 if payment.may_attempt(domain::Flow::Presented, now).is_ok() => {
            return attempt(
                payment,
                on,
                [Method::Alipay, Method::WechatPay][usize::from(how % 2)],
                now,
            );
        }
        3 => Some(shown(last)),
        4 => Some(unavailable(last)),
        5 => Some(paid(payment, last)),
        6 => Some(Fact::SwitchAsked),
        7 => Some(Fact::CancelAsked),
        _ => None,
    };
    match (next, payment.ask_refund(part, None, now, &domain::Policy::default())) {
        (Some(next), _) if legal(next.clone()) => fact(payment, next, now),
        (_, Ok(refund)) => change(refund, now),
        _ => change(payment.flag(Review::WrongAmount, now), now),
    }
}

/// Prepares a call once, so that both stores get the very same values.
async fn make(store: &dyn Store, caller: &mut Caller, call: &Call) -> String {
    match call.clone() {
        Call::Create { n, order: number, key, due } => {
            let step = created(n, merchant("shop"), order(&format!("o-{number}")));
            let change = dress(change(step, at(n)), key, due, None);
            commit(store, caller, change).await
        }
        Call::Advance { pick: n, how, stale, claim, key, due } => {
            let Some(mut payment) = pick(&caller.payments, n) else { return String::new() };
            if !stale {
                payment = store.payment(payment.id).await.unwrap().unwrap();
            }
            let claim = claim.and_then(|n| {
                let of: Vec<_> =
                    caller.claims.iter().filter(|c| c.payment == payment.id).cloned().collect();
                pick(&of, n)
            });
            commit(store, caller, dress(advance(&payment, how), key, due, claim)).await
        }
        Call::Repeat { pick: n } => match pick(&caller.changes, n) {
            Some(change) => format!("{:?}", store.commit(change).await),
            None => String::new(),
        },
        Call::ClaimDue { now, lease, limit } => {
            let (now, until) = (second(now), second(now + lease));
            let claims = store.claim_due(now, until, "worker", limit).await.unwrap();
            caller.claims.extend(claims.clone());
            format!("{claims:?}")
        }
        Call::Release { pick: n, due } => match pick(&caller.claims, n) {
            Some(claim) => format!("{:?}", store.release(&claim, second(due)).await),
            None => String::new(),
        },
        Call::ClaimMessages { now, lease, limit } => {
            let (now, until) = (second(now), second(now + lease));
            let messages = store.claim_messages(now, until, limit).await.unwrap();
            caller.messages.extend(messages.clone());
            format!("{messages:?}")
        }
        Call::Tried { pick: n, end } => {
            let Some(message) = pick(&caller.messages, n) else { return String::new() };
            let end = match end {
                0 => MessageEnd::Delivered,
                1 => MessageEnd::Retry { at: second(30), error: "503".into() },
                _ => MessageEnd::Dead { error: "410".into() },
            };
            format!("{:?}", store.message_tried(&message.id, message.fence, end).await)
        }
        Call::Resend { pick: n, now } => {
            let id = pick(&caller.messages, n).map_or("none".into(), |message| message.id);
            format!("{:?}", store.resend_message(&id, second(now)).await)
        }
        Call::Controls { skip } => {
            let mut next = store.controls().await.unwrap();
            next.version += u64::from(skip);
            let (by, action) = ("li".into(), format!("to {}", next.version));
            let line = AuditLine { at: at(1), by, action, reason: String::new() };
            format!("{:?}", store.set_controls(&next, line).await)
        }
    }
}

fn dress(change: Change, key: Option<u8>, due: Option<u8>, claim: Option<Claim>) -> Change {
    let request = key.map(|key| request(&change, &format!("key-{key}")));
    let told = format!("{}-{}", change.payment.id, change.events.first().map_or(0, |e| e.seq));
    let messages = vec![message(&told, due.map_or(at(0), second))];
    Change { request, messages, due_at: due.map(second), claim, ..change }
}

async fn commit(store: &dyn Store, caller: &mut Caller, mut change: Change) -> String {
    // The same id for the same call on both stores.
    change.id = uuid::Uuid::from_u128(caller.changes.len() as u128);
    caller.changes.push(change.clone());
    let end = store.commit(change.clone()).await;
    if end == store::Commit::Done {
        caller.payments.push(change.payment);
    }
    format!("{end:?}")
}

/// Everything that can be asked.
async fn everything(store: &dyn Store, caller: &Caller) -> Vec<String> {
    let mut all = Vec::new();
    let filters = [
        Filter::default(),
        Filter { review: Some(true), ..Filter::default() },
        Filter { channel: Some(channel("alipay-main")), ..Filter::default() },
        Filter { method: Some(Method::WechatPay), ..Filter::default() },
        Filter { status: Some(domain::Status::Paid), ..Filter::default() },
        Filter { since: Some(at(4)), until: Some(at(9)), before: Some(id(8)), ..Filter::default() },
    ];
    for filter in filters {
        let found = store.list(&Filter { limit: 5, ..filter }).await.unwrap();
        let ids: Vec<PaymentId> = found.iter().map(|payment| payment.id).collect();
        all.push(format!("{ids:?}"));
    }
    for n in 1..12 {
        all.push(format!("{:?} {:?}", store.payment(id(n)).await, store.story(id(n)).await));
        let shop = merchant("shop");
        let by_order = store.payment_by_order(&shop, &order(&format!("o-{n}"))).await.unwrap();
        all.push(format!("{:?}", by_order.map(|payment| payment.id)));
        all.push(format!("{:?}", store.request(&shop, &format!("key-{n}")).await));
    }
    for change in &caller.changes {
        all.push(format!("{:?}", store.was_committed(change.id).await));
    }
    for state in [None, Some(MessageState::Pending), Some(MessageState::Dead)] {
        all.push(format!("{:?}", store.messages(state, 7).await));
    }
    all.push(format!("{:?} {:?}", store.next_due().await, store.count_by_status().await));
    all.push(format!("{:?} {:?}", store.controls().await, store.audit(5).await));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn both_engines_give_the_same_answers(calls in vec(call(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = folder();
            let (model, real) = (MemoryStore::new(), open(folder.path()));
            let (mut a, mut b) = (Caller::default(), Caller::default());
            for call in &calls {
                let expected = make(&model, &mut a, call).await;
                prop_assert_eq!(make(&real, &mut b, call).await, expected, "{:?}", call);
                prop_assert_eq!(real.next_due().await, model.next_due().await, "{:?}", call);
            }
            prop_assert_eq!(everything(&real, &b).await, everything(&model, &a).await);
            Ok(())
        })?;
    }
}
