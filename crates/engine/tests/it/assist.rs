//! What staff do for one customer, beside providers that fail and answer late.

use domain::*;
use engine::*;

use crate::world::*;

const BOTH: &[Method] = &[Method::Alipay, Method::WechatPay];

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn cash(world: &World) -> Offline {
    Offline {
        kind: OfflineKind::Cash,
        reference: "till-7".to_owned(),
        money: Money::new(100, Currency::CNY).unwrap(),
        taken_at: world.engine.now(),
        said: "taken by li".to_owned(),
    }
}

fn unanswered_close() -> Answer {
    Answer::Close(Outcome::Unknown(Fault::new("timeout", "no answer")))
}

#[tokio::test]
async fn rule_2_cash_pays_and_a_providers_late_success_goes_back() {
    let world = world();
    // Alipay and its second channel hang, WeChat Pay refuses: nothing is shown.
    let refused = Answer::Create(Outcome::Unavailable(Fault::new("connect", "refused")));
    world.script.next([silence(), silence(), refused]);
    let payment = world.create(BOTH).await;
    assert_eq!(payment.status(), Status::Unavailable);
    let paid = world.engine.record_offline(payment.id, &cash(&world)).await.unwrap();
    assert_eq!(paid.status(), Status::Paid);
    assert_eq!(world.script.called().len(), 3, "no provider is asked anything");

    let again = world.engine.record_offline(payment.id, &cash(&world)).await.unwrap();
    assert_eq!(again.attempts.len(), paid.attempts.len(), "the same money is booked once");

    let first = &payment.attempts[0];
    let late = NoticeKind::Order(OrderState::Paid(receipt(payment.money)));
    let notice = Notice { number: first.number.clone(), kind: late };
    world.engine.notice(&first.channel, notice).await.unwrap();
    world.work().await;
    let end = world.reload(&payment).await;
    assert_eq!(end.status(), Status::Paid);
    assert!(matches!(end.state, PaymentState::Paid { ordinal: 4, .. }), "{:?}", end.state);
    let [refund] = end.refunds.as_slice() else { panic!("{:#?}", end.refunds) };
    assert_eq!((refund.attempt, refund.reason), (1, RefundReason::Duplicate));
    assert!(matches!(refund.progress, RefundProgress::Succeeded { .. }));
}

#[tokio::test]
async fn rule_5_what_is_shown_is_closed_before_cash_counts() {
    let world = world();
    let payment = world.create(BOTH).await;
    let paid = world.engine.record_offline(payment.id, &cash(&world)).await.unwrap();
    assert_eq!(world.script.called(), ["create alipay-main", "close alipay-main"]);
    assert_eq!(paid.status(), Status::Paid);
    assert!(matches!(paid.attempts[0].state, AttemptState::Closed { .. }));
}

#[tokio::test]
async fn a_customer_who_paid_by_code_meanwhile_gets_the_cash_back() {
    let world = world();
    let payment = world.create(BOTH).await;
    let already = CloseState::AlreadyPaid(Some(receipt(payment.money)));
    world.script.next([Answer::Close(Outcome::Ok(already))]);
    let refused = world.engine.record_offline(payment.id, &cash(&world)).await.unwrap_err();
    let paid = OfflineRefused::Paid { ordinal: 1, channel: channel("alipay-main") };
    assert_eq!(refused, EngineError::OfflineRefused(paid));
    assert_eq!(world.reload(&payment).await.attempts.len(), 1);
}

#[tokio::test]
async fn rule_3_no_cash_beside_a_charge_that_may_have_happened() {
    let world = world();
    world.script.next([silence()]);
    let wish = wish("o-1", &[Method::Card], Some("pm_1"));
    let payment = world.engine.create(wish, None).await.unwrap().0;
    let refused = world.engine.record_offline(payment.id, &cash(&world)).await.unwrap_err();
    let unsettled = OfflineRefused::Blocked(Blocked::Unsettled(1));
    assert_eq!(refused, EngineError::OfflineRefused(unsettled));
}

#[tokio::test]
async fn another_amount_closes_nothing() {
    let world = world();
    let payment = world.create(BOTH).await;
    let less = Offline { money: Money::new(99, Currency::CNY).unwrap(), ..cash(&world) };
    let refused = world.engine.record_offline(payment.id, &less).await.unwrap_err();
    assert!(matches!(refused, EngineError::OfflineRefused(OfflineRefused::Amount { .. })));
    assert_eq!(world.reload(&payment).await.status(), Status::RequiresCustomer);
}

#[tokio::test]
async fn staff_choose_a_channel_and_no_other_is_tried() {
    let world = world();
    let payment = world.create(&[Method::Alipay]).await;
    world.script.next([unanswered_close(), unanswered_close()]);
    let stripe = channel("stripe-main");
    let sent = world.engine.switch_to(payment.id, &stripe, None, "chosen by li").await.unwrap();
    assert_eq!(sent.presented().unwrap().channel, stripe);
    assert_eq!(sent.presented().unwrap().choice.reason, "chosen by li");

    let refused = Answer::Create(Outcome::Unavailable(Fault::new("connect", "refused")));
    world.script.next([Answer::Close(Outcome::Ok(CloseState::Closed)), refused]);
    let wechat = channel("wechat-main");
    let sent = world.engine.switch_to(payment.id, &wechat, None, "chosen by li").await.unwrap();
    assert_eq!(sent.status(), Status::Unavailable, "it stays open, and nobody else was asked");
    assert_eq!(sent.attempts.last().unwrap().channel, wechat);
    assert_eq!(sent.attempts.len(), 3);
}

#[tokio::test]
async fn a_channel_that_an_operator_took_out_is_not_to_be_chosen() {
    let world = world();
    let payment = world.create(&[Method::Alipay]).await;
    let stripe = channel("stripe-main");
    let off = Override {
        channel: stripe.clone(),
        method: None,
        by: "wang".into(),
        reason: "audit".into(),
        since: world.engine.now(),
        until: None,
    };
    world.engine.disable(off).await.unwrap();
    let ways = world.engine.ways(&world.reload(&payment).await);
    let named: Vec<_> =
        ways.iter().filter(|w| w.named).map(|w| (w.channel.as_str(), w.works())).collect();
    assert_eq!(named, [("alipay-main", true), ("stripe-main", false)]);
    let refused = world.engine.switch_to(payment.id, &stripe, None, "li").await.unwrap_err();
    assert!(refused.to_string().contains("taken out of service by wang: audit"), "{refused}");
    assert_eq!(world.reload(&payment).await.status(), Status::RequiresCustomer);
}

#[tokio::test]
async fn rule_14_a_refund_of_cash_is_asked_of_no_provider() {
    let world = world();
    let payment = world.create(BOTH).await;
    world.engine.record_offline(payment.id, &cash(&world)).await.unwrap();
    let before = world.script.called().len();
    let part = Money::new(40, Currency::CNY).unwrap();
    let asked = world.engine.refund(&shop(), payment.id, Some(part), None, None).await.unwrap();
    assert_eq!(asked.0.review, Some(Review::RefundByHand));
    for _ in 0..50 {
        world.clock.wind(3_600);
        world.work().await;
    }
    assert_eq!(world.script.called().len(), before);
    let done = world.engine.refunded_by_hand(payment.id, 1, Ok(())).await.unwrap();
    assert_eq!((done.status(), done.review), (Status::PartiallyRefunded, None));
    let again = world.engine.refunded_by_hand(payment.id, 1, Ok(())).await.unwrap();
    assert_eq!(again.version, done.version);
    let none = world.engine.refunded_by_hand(payment.id, 9, Ok(())).await.unwrap_err();
    assert_eq!(none, EngineError::NotFound);
}
