//! The shared list: every fault switch of the sandbox at every provider. No fault hides what
//! took effect, makes it twice, or makes up what did not happen.
//!
//! The list is a flat match, so that a new switch does not compile until it is said here what
//! it may be taken for.

use super::*;

/// Every switch, with the values that matter.
fn switches() -> Vec<Fault> {
    let status = |status, effect| Fault::HttpStatus { status, effect };
    vec![
        Fault::Refuse,
        Fault::BlackHole,
        Fault::Slow { delay_ms: 20 },
        Fault::Slow { delay_ms: 4_000 },
        Fault::Drip { byte_interval_ms: 400 },
        status(500, Effect::Before),
        status(503, Effect::Before),
        status(500, Effect::After),
        Fault::BusinessError { code: String::new(), sub_code: None, status: None },
        Fault::SuccessThenTimeout,
        Fault::DuplicateNotification { copies: 2 },
        Fault::LateNotification { delay_ms: 200 },
        Fault::ForgedNotification { forgery: Forgery::Tampered, alone: false },
        Fault::ForgedNotification { forgery: Forgery::Unsigned, alone: false },
        Fault::ForgedNotification { forgery: Forgery::WrongKey, alone: true },
        Fault::MissingNotification,
        Fault::ExpiredCertificate,
        Fault::WrongSignature { probe: false },
        Fault::WrongSignature { probe: true },
        Fault::Maintenance,
        Fault::TruncatedBody,
        Fault::LyingQuery,
    ]
}

/// What a call under a fault may be taken for; nothing where the fault is not about calls.
fn may_be(fault: &Fault) -> &'static [Class] {
    use Class::{Ok, Unavailable, Unknown};
    match fault {
        Fault::Slow { delay_ms } if *delay_ms < 1_000 => &[Ok],
        // Nothing was done, and only some of the providers say so in a way that proves it.
        Fault::Refuse | Fault::Maintenance | Fault::BusinessError { .. } => &[Unknown, Unavailable],
        Fault::HttpStatus { effect: Effect::Before, .. } => &[Unknown, Unavailable],
        // It may have been done.
        Fault::BlackHole
        | Fault::Slow { .. }
        | Fault::Drip { .. }
        | Fault::HttpStatus { effect: Effect::After, .. }
        | Fault::SuccessThenTimeout
        | Fault::ExpiredCertificate
        | Fault::WrongSignature { .. }
        | Fault::TruncatedBody => &[Unknown],
        // A lie is an answer; the next one is the truth.
        Fault::LyingQuery => &[Ok],
        Fault::DuplicateNotification { .. }
        | Fault::LateNotification { .. }
        | Fault::ForgedNotification { .. }
        | Fault::MissingNotification => &[],
        // It is about no call of these; the test of clearing files plays it.
        Fault::WrongLine => &[],
    }
}

/// The same fault in a provider's own words.
fn at(fault: &Fault, channel: &str) -> Fault {
    if !matches!(fault, Fault::BusinessError { .. }) {
        return fault.clone();
    }
    let (code, sub_code, status) = match channel {
        "alipay-main" => ("20000", Some("aop.ACQ.SYSTEM_ERROR"), None),
        "wechat-main" => ("SYSTEM_ERROR", None, Some(500)),
        "unionpay-main" => ("02", None, None),
        "paypal-main" => ("INTERNAL_SERVER_ERROR", None, Some(500)),
        // What Stripe answered with 500 it would answer again under the same key.
        _ => ("rate_limit", None, Some(429)),
    };
    Fault::BusinessError { code: code.into(), sub_code: sub_code.map(Into::into), status }
}

fn rule(fault: &Fault, channel: &str, on: &[Call]) -> FaultRule {
    let mut rule = FaultRule::always(at(fault, channel)).at(kind(channel));
    rule.matches.operation = Some(OneOrMany(on.to_vec()));
    rule
}

/// Whether a provider answers the same again whenever the same call comes: Stripe keeps the
/// first answer under an idempotency key, a 500 included, so that only questions tell the truth.
fn is_replayed(channel: &str, fault: &Fault) -> bool {
    channel == "stripe-main" && matches!(fault, Fault::HttpStatus { .. })
}

/// A refund of one fen under a fault; afterwards it is there once.
async fn a_refund_is_made_once(stage: &Stage, channel: &str, fault: &Fault, refund: &RefundOrder) {
    let on = rule(fault, channel, &[Call::Refund]);
    let Ok(id) = stage.sandbox.faults().add(on) else { return };
    let answer = stage.call(channel, Operation::Refund(refund.clone())).await;
    stage.sandbox.faults().remove(&id);
    assert!(may_be(fault).contains(&answer.class()), "{channel} {fault:?}: {answer:?}");
    again_until_good(stage, channel, Operation::Refund(refund.clone())).await;
    settle_refund(stage, channel, refund).await;
}

/// Sends it again. The first call may still be under way at the provider, which then says so.
async fn again_until_good(stage: &Stage, channel: &str, op: Operation) {
    let began = Instant::now();
    loop {
        let again = stage.call(channel, op.clone()).await;
        if again.class() == Class::Ok {
            return;
        }
        let late = began.elapsed() > Duration::from_secs(15);
        assert!(again.class() == Class::Unknown && !late, "{channel}, sent again: {again:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An order is made and another one asked about under a fault; afterwards both are what they
/// were.
async fn orders_are_what_they_are(
    stage: &Stage,
    channel: &str,
    method: Method,
    fault: &Fault,
    paid: &OrderRef,
) {
    let on = rule(fault, channel, &[Call::Create, Call::Query]);
    let Ok(id) = stage.sandbox.faults().add(on) else { return };
    let order = stage.order(method, Device::Qr);
    let (made, asked) = tokio::join!(
        stage.call(channel, Operation::Create(order.clone())),
        stage.call(channel, Operation::Query(paid.clone()))
    );
    stage.sandbox.faults().remove(&id);
    assert!(may_be(fault).contains(&asked.class()), "{channel} {fault:?}: {asked:?}");
    let home = channel == "unionpay-main" || *fault == Fault::LyingQuery;
    let wanted = if home { &[Class::Ok] } else { may_be(fault) };
    assert!(wanted.contains(&made.class()), "{channel} {fault:?}: {made:?}");
    assert!(is_paid(&stage.query(channel, paid).await, paid), "{channel} {fault:?}");
    if !is_replayed(channel, fault) {
        again_until_good(stage, channel, Operation::Create(order.clone())).await;
    }
    let books = stage.sandbox.books();
    let orders = books.find(order.number.as_str()).count();
    assert!(orders <= 1, "{channel} {fault:?}: {orders} orders of one number");
}

/// Calls of one provider under every switch, one after the other.
async fn calls(stage: &Stage, channel: &str, method: Method) {
    let (shown, mut paid) = stage.create(channel, &stage.order(method, Device::Qr)).await;
    stage.pay(&shown).await;
    let OrderState::Paid(receipt) = stage.query(channel, &paid).await else {
        panic!("{channel}: paid")
    };
    paid.reference = Some(receipt.reference);
    let (payment, _) = ProviderOrderNo::parse(paid.number.as_str()).expect("ours");
    let mut refunds = 0_u16;
    for fault in switches().iter().filter(|fault| !may_be(fault).is_empty()) {
        orders_are_what_they_are(stage, channel, method, fault, &paid).await;
        let acts = rule(fault, channel, &[Call::Refund]).validate().is_ok();
        if !acts || is_replayed(channel, fault) {
            continue;
        }
        refunds += 1;
        let refund = RefundOrder {
            order: paid.clone(),
            number: ProviderOrderNo::of_refund(payment, refunds),
            amount: cny(1),
            reason: "damaged".into(),
            requested_at: now(),
        };
        a_refund_is_made_once(stage, channel, fault, &refund).await;
    }
    let books = stage.sandbox.books();
    let entry = books.find(paid.number.as_str()).next().expect("an entry");
    let (many, sum) = (entry.refunds.len(), entry.refunded_minor);
    assert_eq!((many, sum), (usize::from(refunds), i64::from(refunds)), "{channel}");
    assert!(refunds >= 9, "{channel}: {refunds} switches act on refunds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_switch_at_any_provider_hides_or_doubles_anything() {
    let stage = Stage::set().await;
    // All at once: most of the time is spent waiting for what does not answer.
    let [alipay, wechat, stripe, unionpay, paypal] = CHANNELS.map(|(c, m)| calls(&stage, c, m));
    tokio::join!(alipay, wechat, stripe, unionpay, paypal);
}

/// What reached our side about an order, as its codec read it.
async fn read_all(stage: &Stage, channel: &str) -> Vec<Result<Notice, Forged>> {
    let mut read = Vec::new();
    for delivery in stage.deliveries(channel) {
        read.push(stage.read(channel, &delivery).await);
    }
    read
}

async fn notifications(stage: &Stage, channel: &str, method: Method) {
    for fault in switches().iter().filter(|fault| may_be(fault).is_empty()) {
        let order = stage.order(method, Device::Qr);
        let (shown, made) = stage.create(channel, &order).await;
        let before = stage.deliveries(channel).len();
        let on = rule(fault, channel, &[Call::Notify]);
        let id = stage.sandbox.faults().add(on).expect("a rule");
        stage.pay(&shown).await;
        // At PayPal the payer's approval is told, and ours is the call that takes the money.
        assert!(is_paid(&stage.query(channel, &made).await, &made), "{channel} {fault:?}");
        let genuine = |notice: &Notice| match &notice.kind {
            NoticeKind::Order(state) => notice.number == made.number && is_paid(state, &made),
            kind => {
                channel == "paypal-main"
                    && notice.number == made.number
                    && *kind == NoticeKind::Hint
            }
        };
        let (forged, told) = match fault {
            Fault::MissingNotification => (false, 0),
            Fault::ForgedNotification { alone, .. } => (true, usize::from(!alone)),
            Fault::DuplicateNotification { copies } => (false, *copies as usize + 1),
            _ => (false, 1),
        };
        let began = Instant::now();
        loop {
            let read: Vec<_> = read_all(stage, channel).await.into_iter().skip(before).collect();
            let is_forged = |r: &Result<Notice, Forged>| matches!(r, Err(why) if !matches!(why, Forged::Irrelevant(_)));
            let seen_forged = read.iter().any(is_forged);
            let seen_told = read.iter().flatten().filter(|notice| genuine(notice)).count();
            assert!(!seen_forged || forged, "{channel} {fault:?}: {read:?}");
            if told == 0 && !forged {
                // Nothing is to come; a moment shows that nothing does.
                tokio::time::sleep(Duration::from_millis(300)).await;
                assert_eq!(stage.deliveries(channel).len(), before, "{channel} {fault:?}");
                break;
            }
            if seen_forged == forged && seen_told >= told {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{channel} {fault:?}: {read:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        stage.sandbox.faults().remove(&id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_under_every_switch_prove_themselves_or_nothing() {
    let stage = Stage::set().await;
    let [alipay, wechat, stripe, unionpay, paypal] =
        CHANNELS.map(|(c, m)| notifications(&stage, c, m));
    tokio::join!(alipay, wechat, stripe, unionpay, paypal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_number_twice_is_one_order_at_every_provider() {
    let stage = Stage::set().await;
    for (channel, method) in CHANNELS {
        let order = stage.order(method, Device::Qr);
        let (_, made) = stage.create(channel, &order).await;
        // The newer code counts: some providers replace the older one.
        let (shown, again) = stage.create(channel, &order).await;
        assert_eq!(again, made, "{channel}");
        stage.pay(&shown).await;
        assert!(is_paid(&stage.query(channel, &made).await, &made), "{channel}");
        // After the payment the number is taken, and the answer claims nothing else.
        let late = stage.call(channel, Operation::Create(order.clone())).await;
        let declined = late.class() == Class::Declined;
        assert!(!declined, "{channel}: a paid order is not declined: {late:?}");
        let books = stage.sandbox.books();
        let entries: Vec<_> = books.find(order.number.as_str()).collect();
        assert_eq!(entries.len(), 1, "{channel}");
        assert_eq!(entries[0].captured_minor, 1234, "{channel}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_unionpays_that_ran_out_is_named() {
    let stage = Stage::set().await;
    let (shown, made) =
        stage.create("unionpay-main", &stage.order(Method::UnionPay, Device::Qr)).await;
    stage.pay(&shown).await;
    let on = rule(&Fault::ExpiredCertificate, "unionpay-main", &[Call::Query]);
    stage.sandbox.faults().add(on).expect("a rule");
    let answer = stage.call("unionpay-main", Operation::Query(made.clone())).await;
    let Answer::Query(Outcome::Unknown(fault)) = answer else { panic!("unknown: {answer:?}") };
    assert_eq!(fault.code, "certificate_expired");
    assert!(fault.detail.ends_with(" ran out at 2020-01-01T00:00:00Z"), "{}", fault.detail);
}
