//! One story a test.

use domain::*;
use engine::*;

use crate::world::*;

const BOTH: &[Method] = &[Method::Alipay, Method::WechatPay];

fn paid() -> NoticeKind {
    NoticeKind::Order(OrderState::Paid(receipt(Money::new(100, Currency::CNY).unwrap())))
}

async fn notify(world: &World, payment: &Payment, attempt: usize) -> Result<(), EngineError> {
    let attempt = &payment.attempts[attempt - 1];
    let notice = Notice { number: attempt.number.clone(), kind: paid() };
    world.engine.notice(&attempt.channel, notice).await
}

#[tokio::test]
async fn a_dead_channel_is_replaced_within_the_request_same_method_first() {
    let world = world();
    let refused = Answer::Create(Outcome::Unavailable(Fault::new("connect", "refused")));
    world.script.next([refused.clone(), refused]);
    let payment = world.create(BOTH).await;
    assert_eq!(
        world.script.called(),
        ["create alipay-main", "create stripe-main", "create wechat-main"]
    );
    assert_eq!(payment.status(), Status::RequiresCustomer);
    assert_eq!(payment.attempts[2].choice.reason, "failover from stripe-main");
    assert_eq!(payment.attempts[2].choice.excluded.len(), 2);
}

#[tokio::test]
async fn rule_4_an_orphan_is_replaced_at_once_closed_later_and_refunded_if_paid() {
    let world = world();
    world.script.next([silence()]);
    let payment = world.create(&[Method::Alipay]).await;
    assert_eq!(payment.attempts.len(), 2);
    world.script.next([Answer::Close(Outcome::Unknown(Fault::new("timeout", "")))]);
    world.work().await;
    assert_eq!(world.script.called()[2], "close alipay-main");
    notify(&world, &payment, 2).await.unwrap();
    notify(&world, &payment, 1).await.unwrap();
    world.work().await;
    let end = world.reload(&payment).await;
    assert_eq!(end.status(), Status::Paid);
    assert_eq!(end.refunds[0].reason, RefundReason::Duplicate);
    assert!(matches!(end.refunds[0].progress, RefundProgress::Succeeded { .. }));
}

#[tokio::test]
async fn rule_3_a_silent_charge_is_not_tried_elsewhere_and_settles_by_query() {
    let world = world();
    world.script.next([silence()]);
    let wish = wish("o-1", &[Method::Card, Method::Alipay], Some("pm_1"));
    let payment = world.engine.create(wish, None).await.unwrap().0;
    assert_eq!(payment.status(), Status::Confirming);
    assert_eq!(world.script.called(), ["create stripe-main"]);
    let blocked = world.engine.switch(&shop(), payment.id, None).await.unwrap_err();
    assert_eq!(blocked, EngineError::Blocked(Blocked::Unsettled(1)));
    world.clock.wind(5);
    world.script.next([Answer::Query(Outcome::Ok(OrderState::Paid(receipt(payment.money))))]);
    world.work().await;
    assert_eq!(world.reload(&payment).await.status(), Status::Paid);
}

#[tokio::test]
async fn rule_5_switching_closes_first_and_a_faster_customer_wins() {
    let world = world();
    let payment = world.create(BOTH).await;
    let switched = world.engine.switch(&shop(), payment.id, Some(Method::WechatPay)).await.unwrap();
    assert_eq!(
        world.script.called(),
        ["create alipay-main", "close alipay-main", "create wechat-main"]
    );
    assert_eq!(switched.presented().unwrap().method, Method::WechatPay);

    let already = CloseState::AlreadyPaid(Some(receipt(payment.money)));
    world.script.next([Answer::Close(Outcome::Ok(already))]);
    let settled = world.engine.switch(&shop(), payment.id, Some(Method::Alipay)).await.unwrap();
    assert_eq!(settled.status(), Status::Paid);
    assert_eq!(settled.attempts.len(), 2);
}

/// At PayPal the customer's approval moves nothing until we capture, and a webhook of it may
/// come after the customer has gone elsewhere.
#[tokio::test]
async fn rule_2_a_hint_about_an_attempt_that_was_left_captures_nothing() {
    let world = world();
    let payment = world.create(BOTH).await;
    let hint = || Notice { number: payment.attempts[0].number.clone(), kind: NoticeKind::Hint };
    let channel = payment.attempts[0].channel.clone();
    world.engine.notice(&channel, hint()).await.unwrap();
    world.engine.switch(&shop(), payment.id, Some(Method::WechatPay)).await.unwrap();
    world.engine.notice(&channel, hint()).await.unwrap();
    assert_eq!(
        world.script.called(),
        [
            "create alipay-main",
            "query alipay-main",
            "close alipay-main",
            "create wechat-main",
            "query alipay-main",
        ]
    );
    assert_eq!(*world.script.wanted.lock().unwrap(), [true, true, false]);
}

#[tokio::test]
async fn rule_8_sixty_four_equal_requests_make_one_payment_and_one_call() {
    let world = std::sync::Arc::new(world());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..64 {
        let world = world.clone();
        // Half of them with a key, half by the order number alone.
        let key = if n % 2 == 0 { World::key("k", "body") } else { None };
        tasks.spawn(async move { world.engine.create(wish("o-1", BOTH, None), key).await });
    }
    let mut fresh = 0;
    let mut ids = std::collections::BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        let (payment, how) = done.unwrap().unwrap();
        assert_eq!(payment.status(), Status::RequiresCustomer, "it waits for the first answer");
        fresh += usize::from(how == Fresh::New);
        ids.insert(payment.id);
    }
    assert_eq!((fresh, ids.len(), world.script.called().len()), (1, 1, 1));
}

#[tokio::test]
async fn rule_8_another_body_under_the_same_key_or_number_is_refused() {
    let world = world();
    let first = wish("o-1", BOTH, None);
    world.engine.create(first.clone(), World::key("k", "a")).await.unwrap();
    let other_body = world.engine.create(wish("o-2", BOTH, None), World::key("k", "b")).await;
    assert_eq!(other_body.unwrap_err(), EngineError::KeyConflict);
    let dearer = NewPayment { money: Money::new(101, Currency::CNY).unwrap(), ..first };
    let conflict = world.engine.create(dearer, None).await.unwrap_err();
    assert!(matches!(conflict, EngineError::OrderConflict(_)));
    assert_eq!(world.script.called().len(), 1);
}

#[tokio::test]
async fn rule_7_a_notification_must_fit_its_attempt() {
    let world = world();
    let payment = world.create(BOTH).await;
    let attempt = &payment.attempts[0];
    let elsewhere = ChannelId::new("wechat-main").unwrap();
    let notice = Notice { number: attempt.number.clone(), kind: paid() };
    let wrong_channel = world.engine.notice(&elsewhere, notice.clone()).await;
    assert_eq!(wrong_channel.unwrap_err(), EngineError::NotFound);
    let cheap = receipt(Money::new(1, Currency::CNY).unwrap());
    let kind = NoticeKind::Order(OrderState::Paid(cheap));
    let cheap = world.engine.notice(&attempt.channel, Notice { kind, ..notice.clone() }).await;
    assert!(matches!(cheap.unwrap_err(), EngineError::Misfit(_)));
    assert_eq!(world.reload(&payment).await, payment);
    for _ in 0..3 {
        world.engine.notice(&attempt.channel, notice.clone()).await.unwrap();
    }
    let end = world.reload(&payment).await;
    assert_eq!((end.status(), end.version), (Status::Paid, payment.version + 1));
}

#[tokio::test]
async fn refunds_in_parts_repeat_under_their_key_and_stop_at_the_capture() {
    let world = world();
    let wish = wish("o-1", &[Method::Card], Some("pm_1"));
    let payment = world.engine.create(wish, None).await.unwrap().0;
    let shop = shop();
    let part = |minor| Money::new(minor, Currency::CNY).ok();
    let refund = |amount, key: &'static str| {
        world.engine.refund(&shop, payment.id, amount, None, World::key(key, key))
    };
    let (after, first, how) = refund(part(60), "a").await.unwrap();
    assert_eq!((first, how, after.status()), (1, Fresh::New, Status::PartiallyRefunded));
    let (_, again, how) = refund(part(60), "a").await.unwrap();
    assert_eq!((again, how), (1, Fresh::Replayed));
    let too_much = refund(part(41), "b").await.unwrap_err();
    let left = RefundRefused::TooMuch { left_minor: 40 };
    assert_eq!(too_much, EngineError::RefundRefused(left));
    let (end, _, _) = refund(None, "c").await.unwrap();
    assert_eq!(end.status(), Status::Refunded);
}

#[tokio::test]
async fn a_crash_between_commit_and_call_is_recovered_under_the_same_number() {
    let world = world();
    {
        let create = world.engine.create(wish("o-1", BOTH, None), None);
        let mut create = Box::pin(create);
        // Polled until the call is on the wire, then dropped: the process died there.
        while world.script.called().is_empty() {
            let _ = futures_poll(create.as_mut()).await;
        }
    }
    let newest = store::Filter { limit: 1, ..Default::default() };
    let payment = world.engine.store().list(&newest).await.unwrap().remove(0);
    assert_eq!(payment.status(), Status::Processing);
    world.clock.wind(10);
    world.work().await;
    let recovered = world.reload(&payment).await;
    assert!(matches!(recovered.attempts[0].state, AttemptState::Closed { .. }));
    assert_eq!(recovered.status(), Status::Unavailable);
    let again = world.engine.switch(&shop(), payment.id, None).await.unwrap();
    assert_eq!(again.status(), Status::RequiresCustomer);
    let numbers: Vec<_> =
        world.script.calls.lock().unwrap().iter().map(|(_, _, n)| n.clone()).collect();
    assert_eq!(numbers[0], numbers[1], "closed under the number that was sent");
}

async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    let mut once = false;
    std::future::poll_fn(move |cx| {
        if once {
            return std::task::Poll::Ready(None);
        }
        once = true;
        match future.as_mut().poll(cx) {
            std::task::Poll::Ready(out) => std::task::Poll::Ready(Some(out)),
            std::task::Poll::Pending => {
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            }
        }
    })
    .await
}

#[tokio::test]
async fn an_expired_payment_closes_its_code_and_ends() {
    let world = world();
    let payment = world.create(BOTH).await;
    world.clock.wind(15 * 60);
    world.work().await;
    let end = world.reload(&payment).await;
    assert_eq!(end.status(), Status::Expired);
    assert!(end.is_settled());
}

#[tokio::test]
async fn a_disabled_channel_takes_nothing_until_its_time() {
    let world = world();
    let now = world.engine.now();
    let off = Override {
        channel: ChannelId::new("alipay-main").unwrap(),
        method: None,
        by: "li".into(),
        reason: "maintenance".into(),
        since: now,
        until: Some(now + std::time::Duration::from_secs(60)),
    };
    world.engine.disable(off).await.unwrap();
    let payment = world.create(&[Method::Alipay]).await;
    assert_eq!(payment.attempts[0].channel.as_str(), "stripe-main");
    assert!(payment.attempts[0].choice.reason.contains("disabled by li"));
    world.clock.wind(61);
    let next = world.engine.create(wish("o-2", &[Method::Alipay], None), None).await.unwrap().0;
    assert_eq!(next.attempts[0].channel.as_str(), "alipay-main");
    assert_eq!(world.engine.store().audit(10).await.unwrap()[0].by, "li");
}
