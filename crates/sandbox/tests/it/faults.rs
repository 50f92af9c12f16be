//! Every fault, as a merchant meets it.

use std::time::{Duration, Instant};

use sandbox::faults::Effect;
use sandbox::{Fault, FaultRule, Operation, PayError, PayOutcome, PayTarget, ProviderKind};
use serde_json::{Value, json};

use crate::client::{Alipay, Stripe, WechatPay};

const SHORT: Duration = Duration::from_millis(300);

fn play(stripe: &Stripe, fault: Fault, on: Operation) {
    stripe.sandbox.faults().clear();
    stripe.sandbox.faults().add(FaultRule::always(fault).on(on)).unwrap();
}

fn paid(stripe: &Stripe, order: &str) -> bool {
    stripe.sandbox.books().find(order).any(|entry| entry.paid_at_ms.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_never_arrive_leave_no_trace() {
    let stripe = Stripe::start().await;
    play(&stripe, Fault::Refuse, Operation::Create);
    assert!(stripe.charge("a").send().await.unwrap_err().is_request());
    play(&stripe, Fault::BlackHole, Operation::Create);
    assert!(stripe.charge("b").timeout(SHORT).send().await.unwrap_err().is_timeout());
    let before = Fault::HttpStatus { status: 503, effect: Effect::Before };
    play(&stripe, before, Operation::Create);
    assert_eq!(stripe.charge("c").send().await.unwrap().status(), 503);
    play(&stripe, Fault::Maintenance, Operation::Create);
    assert_eq!(stripe.charge("d").send().await.unwrap().status(), 503);
    assert!(stripe.sandbox.books().orders.is_empty());
    // Other operations are untouched.
    assert_eq!(stripe.get("/v1/balance").send().await.unwrap().status(), 200);
    stripe.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_whose_answer_is_lost_took_effect() {
    let stripe = Stripe::start().await;
    play(&stripe, Fault::SuccessThenTimeout, Operation::Create);
    assert!(stripe.charge("a").timeout(SHORT).send().await.unwrap_err().is_timeout());
    let after = Fault::HttpStatus { status: 500, effect: Effect::After };
    play(&stripe, after, Operation::Create);
    assert_eq!(stripe.charge("b").send().await.unwrap().status(), 500);
    play(&stripe, Fault::TruncatedBody, Operation::Create);
    let cut = stripe.charge("c").send().await.unwrap();
    assert_eq!(cut.status(), 200);
    assert!(cut.text().await.is_err());
    play(&stripe, Fault::Slow { delay_ms: 5_000 }, Operation::Create);
    assert!(stripe.charge("d").timeout(SHORT).send().await.unwrap_err().is_timeout());
    for order in ["a", "b", "c", "d"] {
        assert!(paid(&stripe, order), "{order}");
    }
    stripe.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_dripping_answers_arrive_whole() {
    let stripe = Stripe::start().await;
    play(&stripe, Fault::Slow { delay_ms: 200 }, Operation::Create);
    let start = Instant::now();
    assert_eq!(stripe.charge("a").send().await.unwrap().status(), 200);
    assert!(start.elapsed() >= Duration::from_millis(200));
    play(&stripe, Fault::Drip { byte_interval_ms: 1 }, Operation::Other);
    let start = Instant::now();
    let text = stripe.get("/v1/balance").send().await.unwrap().text().await.unwrap();
    let balance: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(balance["available"][0]["amount"], 2_000);
    assert!(start.elapsed() >= Duration::from_millis(text.len() as u64));
    stripe.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_keeps_its_idempotency_key_busy() {
    let stripe = Stripe::start().await;
    play(&stripe, Fault::Slow { delay_ms: 600 }, Operation::Create);
    let keyed = || stripe.charge("a").header("idempotency-key", "k");
    let first = tokio::spawn(keyed().send());
    tokio::time::sleep(Duration::from_millis(250)).await;
    stripe.sandbox.faults().clear();
    let busy = keyed().send().await.unwrap();
    assert_eq!(busy.status(), 409);
    assert_eq!(busy.json::<Value>().await.unwrap()["error"]["code"], "idempotency_key_in_use");
    let first: Value = first.await.unwrap().unwrap().json().await.unwrap();
    let again = keyed().send().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.json::<Value>().await.unwrap()["id"], first["id"]);
    assert_eq!(stripe.sandbox.books().orders.len(), 1);
    stripe.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn business_errors_have_the_providers_shape() {
    let stripe = Stripe::start().await;
    let error = |code: &str, sub_code: Option<&str>| Fault::BusinessError {
        code: code.to_owned(),
        sub_code: sub_code.map(str::to_owned),
        status: None,
    };
    play(&stripe, error("card_declined", Some("do_not_honor")), Operation::Create);
    let declined = stripe.charge("a").send().await.unwrap();
    assert_eq!(declined.status(), 402);
    let body: Value = declined.json().await.unwrap();
    assert_eq!(body["error"]["type"], "card_error");
    assert_eq!(body["error"]["decline_code"], "do_not_honor");
    play(&stripe, error("rate_limit", None), Operation::Create);
    assert_eq!(stripe.charge("b").send().await.unwrap().status(), 429);
    assert!(stripe.sandbox.books().orders.is_empty());
    stripe.sandbox.shutdown().await;

    let alipay = Alipay::start().await;
    let rule = FaultRule::always(error("20000", Some("aop.ACQ.SYSTEM_ERROR")));
    alipay.sandbox.faults().add(rule).unwrap();
    let answer = alipay.call("alipay.trade.query", json!({ "out_trade_no": "x" })).await;
    assert_eq!(
        (&answer["code"], &answer["sub_code"]),
        (&json!("20000"), &json!("aop.ACQ.SYSTEM_ERROR"))
    );
    alipay.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_lie_on_request() {
    let stripe = Stripe::start().await;
    let made: Value = stripe.charge("a").send().await.unwrap().json().await.unwrap();
    let path = format!("/v1/payment_intents/{}", made["id"].as_str().unwrap());
    play(&stripe, Fault::LyingQuery, Operation::Query);
    let seen: Value = stripe.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(seen["status"], "requires_payment_method");
    stripe.sandbox.faults().clear();
    let seen: Value = stripe.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(seen["status"], "succeeded");
    stripe.sandbox.shutdown().await;

    let wechat = WechatPay::start().await;
    wechat.native("order-1").await;
    let target = PayTarget::order(ProviderKind::WechatPay, None, "order-1");
    wechat.sandbox.pay(&target).await.unwrap();
    wechat.sandbox.faults().add(FaultRule::always(Fault::LyingQuery)).unwrap();
    let seen: Value = wechat.query("order-1").await.json().await.unwrap();
    assert_eq!(seen["trade_state"], "NOTPAY");
    assert!(seen.get("transaction_id").is_none());
    wechat.sandbox.shutdown().await;

    let alipay = Alipay::start().await;
    let order = json!({ "out_trade_no": "a1", "total_amount": "1.00", "subject": "tea" });
    alipay.call("alipay.trade.precreate", order).await;
    alipay.sandbox.pay(&PayTarget::order(ProviderKind::Alipay, None, "a1")).await.unwrap();
    alipay.sandbox.faults().add(FaultRule::always(Fault::LyingQuery)).unwrap();
    let seen = alipay.call("alipay.trade.query", json!({ "out_trade_no": "a1" })).await;
    assert_eq!(seen["trade_status"], "WAIT_BUYER_PAY");
    assert!(seen.get("send_pay_date").is_none());
    alipay.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bank_only() {
    let alipay = Alipay::start().await;
    let rule: FaultRule = serde_json::from_value(json!({
        "match": { "operation": "pay", "bank": "ICBC" },
        "fault": { "kind": "business_error", "code": "ISSUER_UNAVAILABLE" },
    }))
    .unwrap();
    alipay.sandbox.faults().add(rule).unwrap();
    for number in ["a1", "a2"] {
        let order = json!({ "out_trade_no": number, "total_amount": "1.00", "subject": "tea" });
        alipay.call("alipay.trade.precreate", order).await;
    }
    let from =
        |number: &str, bank: &str| PayTarget::order(ProviderKind::Alipay, None, number).bank(bank);
    let stuck = alipay.sandbox.pay(&from("a1", "ICBC")).await.unwrap();
    assert_eq!((stuck.paid, stuck.declined.as_deref()), (false, Some("ISSUER_UNAVAILABLE")));
    assert!(alipay.sandbox.pay(&from("a2", "CMB")).await.unwrap().paid);
    // The order stays payable from another bank.
    assert!(alipay.sandbox.pay(&from("a1", "CMB")).await.unwrap().paid);
    alipay.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_method_only() {
    let stripe = Stripe::start().await;
    let rule: FaultRule = serde_json::from_value(json!({
        "match": { "method": "wechat_pay" }, "fault": { "kind": "http_status", "status": 502 },
    }))
    .unwrap();
    stripe.sandbox.faults().add(rule).unwrap();
    let other = stripe.post(
        "/v1/payment_intents",
        &[("amount", "100"), ("currency", "cny"), ("payment_method_types[]", "wechat_pay")],
    );
    assert_eq!(other.send().await.unwrap().status(), 502);
    assert_eq!(stripe.charge("a").send().await.unwrap().status(), 200);
    stripe.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shoppers_meet_faults_too() {
    let alipay = Alipay::start().await;
    let order = json!({ "out_trade_no": "a1", "total_amount": "1.00", "subject": "tea" });
    alipay.call("alipay.trade.precreate", order).await;
    let target = PayTarget::order(ProviderKind::Alipay, None, "a1");
    let rule = FaultRule::always(Fault::Refuse).on(Operation::Pay);
    let id = alipay.sandbox.faults().add(rule).unwrap();
    assert_eq!(alipay.sandbox.pay(&target).await, Err(PayError::Unreachable));
    alipay.sandbox.faults().remove(&id);
    let declined = target.clone().outcome(PayOutcome::Decline);
    assert!(!alipay.sandbox.pay(&declined).await.unwrap().paid);
    assert!(alipay.sandbox.pay(&target).await.unwrap().paid);
    assert!(alipay.sandbox.pay(&target).await.is_err());
    alipay.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_frees_those_who_hang() {
    let stripe = Stripe::start().await;
    play(&stripe, Fault::BlackHole, Operation::Create);
    let hanging = tokio::spawn(stripe.charge("a").send());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    stripe.sandbox.shutdown().await;
    assert!(hanging.await.unwrap().is_err());
    assert!(start.elapsed() < Duration::from_secs(3));
}
