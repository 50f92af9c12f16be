//! PayPal's requests, its token, its captures and its webhooks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::{
    Answer, Class, CloseState, CloseWhy, Created, Currency, Device, Flow, Method, Money, Notice,
    NoticeKind, Operation, Order, OrderRef, OrderState, Outcome, Presentation, RefundState,
};
use providers::{Delivery, Forged, Request, Response, Unread, Verdict};
use serde_json::{Value, json};

use crate::fake::{Back, Fake, Got};
use crate::keys::{PAYPAL, STRANGERS};
use crate::peers::{Facts, ORDER, Peer, paypal_order, paypal_settings};
use crate::world::{
    NOW, UNTIL, call, channel, codec, driver, made, number, order, payment, refund, refund_number,
    settings, stamp,
};

fn ask(op: &Operation) -> Request {
    let codec = codec(&settings(paypal_settings()));
    let Ok(Verdict::Ask(request, _)) = codec.request(op, &stamp()) else { panic!("a request") };
    request
}

fn wallet() -> Order {
    order(Method::Paypal, Device::Qr)
}

fn placed() -> OrderRef {
    made(&wallet(), Some(ORDER))
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str())
}

#[test]
fn an_order_is_made_with_the_payments_invoice_and_our_number() {
    let request = ask(&Operation::Create(wallet()));
    assert_eq!(request.url, "http://127.0.0.1:1/v2/checkout/orders");
    let id = format!("{}-create", number());
    assert_eq!(header(&request, "paypal-request-id"), Some(id.as_str()));
    assert_eq!(header(&request, "prefer"), Some("return=representation"));
    assert_eq!(header(&request, "authorization"), None, "the driver adds the token");
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let golden = json!({
        "intent": "CAPTURE",
        "purchase_units": [{
            "reference_id": "default",
            "amount": { "currency_code": "CNY", "value": "12.34" },
            "custom_id": number().as_str(),
            "invoice_id": payment().to_string(),
            "description": "订单 a/b=c&d",
        }],
        "payment_source": { "paypal": { "experience_context": {
            "return_url": "https://shop.example/back?x=1",
            "cancel_url": "https://shop.example/back?x=1",
            "user_action": "PAY_NOW",
            "shipping_preference": "NO_SHIPPING",
            "locale": "zh-CN",
        } } },
    });
    assert_eq!(body, golden);
    let again = ask(&Operation::Create(wallet()));
    assert_eq!(again.body, request.body, "a repeat is the same request");
}

#[test]
fn amounts_have_their_currencys_decimals() {
    for (minor, code, value) in [(1234, "USD", "12.34"), (500, "JPY", "500"), (5, "USD", "0.05")] {
        let money = Money::new(minor, code.parse::<Currency>().expect("a currency")).expect("ok");
        let body = ask(&Operation::Create(Order { money, ..wallet() })).body;
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(
            body["purchase_units"][0]["amount"],
            json!({ "currency_code": code, "value": value })
        );
    }
}

#[test]
fn what_paypal_cannot_do_is_refused_before_anything_is_sent() {
    let codec = codec(&settings(paypal_settings()));
    let refused = |order: Order| codec.request(&Operation::Create(order), &stamp()).is_err();
    assert!(refused(Order { return_url: None, ..wallet() }));
    assert!(refused(Order { flow: Flow::Direct, ..wallet() }));
    let huf = Money::new(100, "HUF".parse().expect("a currency")).expect("an amount");
    assert!(refused(Order { money: huf, ..wallet() }));
    let mut value = paypal_settings();
    value["currencies"] = json!(["HUF"]);
    assert!(settings(value).build(&channel(), "https://a.example/n").is_err());
}

/// Without its id nobody was shown the order, and nobody but us could capture it.
#[test]
fn an_order_without_an_id_needs_no_call() {
    let codec = codec(&settings(paypal_settings()));
    let lost = made(&wallet(), None);
    let close = Operation::Close(lost.clone(), CloseWhy::Orphan);
    let done = |op: &Operation| match codec.request(op, &stamp()) {
        Ok(Verdict::Done(answer)) => answer,
        other => panic!("no call: {other:?}"),
    };
    assert_eq!(done(&close), Answer::Close(Outcome::Ok(CloseState::Closed)));
    let query = Operation::Query(lost.clone());
    assert_eq!(done(&query), Answer::Query(Outcome::Ok(OrderState::NotFound)));
    assert!(codec.request(&Operation::Refund(refund(lost)), &stamp()).is_err());
}

fn unpaid(status: &str) -> Value {
    let mut order = paypal_order(&Facts { closed: true, ..Facts::good() });
    order["status"] = status.into();
    order
}

fn paid() -> Value {
    paypal_order(&Facts::good())
}

fn issue(code: &str) -> Back {
    let body = json!({ "name": "UNPROCESSABLE_ENTITY", "details": [{ "issue": code }] });
    Back::json(422, body.to_string())
}

/// PayPal with an order that reads as `shown`, and a capture that answers `taken`.
async fn asked(op: &Operation, shown: Value, taken: Back) -> (Answer, Vec<Got>) {
    let fake = Fake::start(move |got| match got.path() {
        _ if Peer::Paypal.token(got).is_some() => Peer::Paypal.token(got).expect("a token"),
        path if path.ends_with("/capture") => taken.clone(),
        _ => Back::json(200, shown.to_string()),
    })
    .await;
    let answer = call(&Peer::Paypal.settings(&fake.url()), op).await;
    let captures = fake.requests().into_iter().filter(|got| got.path().ends_with("/capture"));
    (answer, captures.collect())
}

fn query(wanted: bool) -> Operation {
    Operation::Query(OrderRef { wanted, ..placed() })
}

fn close(wanted: bool) -> Operation {
    Operation::Close(OrderRef { wanted, ..placed() }, CloseWhy::Shown)
}

#[tokio::test]
async fn an_approval_is_captured_once_it_is_found_and_only_while_it_is_wanted() {
    let taken = Back::json(201, paid().to_string());
    let (answer, captures) = asked(&query(true), unpaid("APPROVED"), taken.clone()).await;
    assert!(
        matches!(&answer, Answer::Query(Outcome::Ok(OrderState::Paid(r)))
        if r.reference == ORDER && r.captured == wallet().money),
        "{answer:?}"
    );
    let id = format!("{}-capture", number());
    assert_eq!(captures.len(), 1);
    assert_eq!(captures[0].header("paypal-request-id"), Some(id.as_str()));
    assert_eq!(captures[0].header("authorization"), Some("Bearer A21AAtoken"));
    let (answer, captures) = asked(&close(true), unpaid("APPROVED"), taken.clone()).await;
    assert!(matches!(answer, Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(_))))));
    assert_eq!(captures[0].header("paypal-request-id"), Some(id.as_str()), "the same capture");
    // An attempt that was left, or whose payment has ended, is never captured.
    let (answer, captures) = asked(&query(false), unpaid("APPROVED"), taken.clone()).await;
    assert_eq!(answer, Answer::Query(Outcome::Ok(OrderState::Payable)));
    assert!(captures.is_empty());
    let (answer, captures) = asked(&close(false), unpaid("APPROVED"), taken).await;
    assert_eq!(answer, Answer::Close(Outcome::Ok(CloseState::NotTaken)), "a call may be under way");
    assert!(captures.is_empty());
}

#[tokio::test]
async fn the_captures_say_whether_money_moved_and_the_order_does_not() {
    let with = |status: &str, order: &str| {
        let mut object = paid();
        object["status"] = order.into();
        object["purchase_units"][0]["payments"]["captures"][0]["status"] = status.into();
        object
    };
    let state = async |object: Value| match asked(&query(true), object, issue("NEW")).await.0 {
        Answer::Query(Outcome::Ok(state)) => Some(state),
        _ => None,
    };
    assert!(matches!(state(with("COMPLETED", "COMPLETED")).await, Some(OrderState::Paid(_))));
    let returned = state(with("REFUNDED", "COMPLETED")).await;
    assert!(matches!(returned, Some(OrderState::PaidAndRefunded(_))));
    assert_eq!(state(with("PENDING", "COMPLETED")).await, Some(OrderState::Processing));
    assert_eq!(state(with("DECLINED", "COMPLETED")).await, Some(OrderState::Closed));
    assert_eq!(state(with("BRAND_NEW", "COMPLETED")).await, None);
    assert_eq!(state(unpaid("COMPLETED")).await, None, "no capture, no payment");
    for status in ["CREATED", "SAVED", "PAYER_ACTION_REQUIRED"] {
        assert_eq!(state(unpaid(status)).await, Some(OrderState::Payable), "{status}");
    }
    assert_eq!(state(unpaid("VOIDED")).await, Some(OrderState::Closed));
}

#[tokio::test]
async fn a_refused_capture_is_a_decline_or_is_looked_into() {
    let (answer, captures) =
        asked(&query(true), unpaid("APPROVED"), issue("INSTRUMENT_DECLINED")).await;
    assert!(matches!(answer, Answer::Query(Outcome::Ok(OrderState::Declined(d)))
        if d.code == "INSTRUMENT_DECLINED" && d.soft));
    assert_eq!(captures.len(), 1);
    let (answer, _) = asked(&close(true), unpaid("APPROVED"), issue("INSTRUMENT_DECLINED")).await;
    assert_eq!(answer, Answer::Close(Outcome::Ok(CloseState::NotTaken)));
    for code in ["BRAND_NEW", "ORDER_ALREADY_CAPTURED", "DUPLICATE_INVOICE_ID"] {
        let (answer, captures) = asked(&query(true), unpaid("APPROVED"), issue(code)).await;
        assert_eq!((answer.class(), answer.code()), (Class::Unknown, Some(code)));
        assert_eq!(captures.len(), 1, "it is not captured twice in one call");
    }
    // Another order of the payment was captured: this one can never be.
    let (answer, _) = asked(&close(true), unpaid("APPROVED"), issue("DUPLICATE_INVOICE_ID")).await;
    assert_eq!(answer, Answer::Close(Outcome::Ok(CloseState::Closed)));
    for back in [Back::Close, Back::Hang, Back::json(500, "{}"), Back::json(409, "{}")] {
        for op in [query(true), close(true)] {
            let (answer, _) = asked(&op, unpaid("APPROVED"), back.clone()).await;
            assert_eq!(answer.class(), Class::Unknown, "{back:?}");
        }
    }
}

#[tokio::test]
async fn a_new_order_shows_its_link() {
    let fake = Fake::start(|got| {
        let made = || Back::json(201, unpaid("PAYER_ACTION_REQUIRED").to_string());
        Peer::Paypal.token(got).unwrap_or_else(made)
    })
    .await;
    let answer = call(&Peer::Paypal.settings(&fake.url()), &Operation::Create(wallet())).await;
    let url = "https://www.paypal.com/checkoutnow?token=x".to_owned();
    let presentation = Presentation::Redirect { url };
    let reference = Some(ORDER.to_owned());
    let shown = Created::Presented { presentation, reference };
    assert_eq!(answer, Answer::Create(Outcome::Ok(shown)));
}

#[tokio::test]
async fn a_refund_is_sent_under_its_number_once_its_order_does_not_list_it() {
    let mut unrefunded = paid();
    unrefunded["purchase_units"][0]["payments"]["refunds"] = json!([]);
    let fake = Fake::start(move |got| match Peer::Paypal.token(got) {
        Some(token) => token,
        None if got.method == "GET" => Back::json(200, unrefunded.to_string()),
        None => {
            let sent: Value = serde_json::from_slice(&got.body).expect("JSON");
            let mut made = json!({ "id": "R1", "status": "COMPLETED" });
            made["amount"] = sent["amount"].clone();
            made["invoice_id"] = sent["invoice_id"].clone();
            Back::json(201, made.to_string())
        }
    })
    .await;
    let settings = Peer::Paypal.settings(&fake.url());
    let answer = call(&settings, &Operation::Refund(refund(placed()))).await;
    assert_eq!(answer, Answer::Refund(Outcome::Ok(RefundState::Succeeded)));
    let sent = fake.requests().into_iter().find(|got| got.path().ends_with("/refund"));
    let sent = sent.expect("a refund");
    assert_eq!(sent.path(), "/v2/payments/captures/3C679366HH908993F/refund");
    assert_eq!(sent.header("paypal-request-id"), Some(refund_number().as_str()));
    let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    assert_eq!(body["amount"], json!({ "currency_code": "CNY", "value": "5.00" }));
    let answer = call(&settings, &Operation::QueryRefund(refund(placed()))).await;
    assert_eq!(answer, Answer::QueryRefund(Outcome::Ok(RefundState::NotFound)));
}

/// A token endpoint that counts, and an interface that believes the tokens from `good` on.
async fn tokens(good: usize, lasts: u64) -> (Fake, Arc<AtomicUsize>) {
    let granted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&granted);
    let fake = Fake::start(move |got| {
        if got.path() == "/v1/oauth2/token" {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let body = json!({
                "access_token": format!("T{number}"), "token_type": "Bearer", "expires_in": lasts,
            });
            return Back::json(200, body.to_string());
        }
        let token = got.header("authorization").unwrap_or_default();
        let number = token.trim_start_matches("Bearer T").parse().unwrap_or(0);
        if number < good {
            return Back::json(401, r#"{"error":"invalid_token"}"#);
        }
        Back::json(200, paid().to_string())
    })
    .await;
    (fake, granted)
}

#[tokio::test]
async fn one_token_serves_all_who_wait_for_it() {
    let (fake, granted) = tokens(0, 32_400).await;
    let driver = driver(&Peer::Paypal.settings(&fake.url()));
    let (channel, op) = (channel(), query(true));
    let call = || driver.call(&channel, &op, UNTIL);
    let (a, b, c) = tokio::join!(call(), call(), call());
    for answer in [a, b, c, call().await] {
        assert_eq!(answer.class(), Class::Ok, "{answer:?}");
    }
    assert_eq!(granted.load(Ordering::SeqCst), 1);
    let sent = fake.requests();
    let first = sent.first().expect("a request for a token");
    assert_eq!(first.header("authorization"), Some("Basic QUNsaWVudDpFU2VjcmV0"));
    assert_eq!(first.body, b"grant_type=client_credentials");
}

#[tokio::test]
async fn a_token_that_runs_out_or_is_not_believed_is_fetched_once_more() {
    let (fake, granted) = tokens(2, 32_400).await;
    let driver = driver(&Peer::Paypal.settings(&fake.url()));
    let answer = driver.call(&channel(), &query(true), UNTIL).await;
    assert_eq!(answer.class(), Class::Ok, "{answer:?}");
    assert_eq!(granted.load(Ordering::SeqCst), 2);
    let (fake, granted) = tokens(9, 32_400).await;
    let answer = call(&Peer::Paypal.settings(&fake.url()), &query(true)).await;
    assert_eq!((answer.class(), answer.code()), (Class::Rejected, Some("invalid_token")));
    assert_eq!(granted.load(Ordering::SeqCst), 2, "once more, and no oftener");
    // A token without any time left is not kept.
    let (fake, granted) = tokens(0, 0).await;
    let driver = crate::world::driver(&Peer::Paypal.settings(&fake.url()));
    for _ in 0..2 {
        driver.call(&channel(), &query(true), UNTIL).await;
    }
    assert_eq!(granted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let outages =
        [Back::json(503, "{}"), Back::json(429, "{}"), Back::json(200, "{}"), Back::Close];
    let ops = [Operation::Create(wallet()), query(true), close(true)];
    for back in outages {
        for op in ops.iter().chain([&Operation::Refund(refund(placed()))]) {
            let outage = back.clone();
            let fake = Fake::start(move |_| outage.clone()).await;
            let answer = call(&Peer::Paypal.settings(&fake.url()), op).await;
            assert_eq!((answer.class(), answer.code()), (Class::Unavailable, Some("token")));
            assert!(fake.requests().iter().all(|got| got.path() == "/v1/oauth2/token"));
        }
    }
    let fake = Fake::start(|_| Back::json(401, r#"{"error":"invalid_client"}"#)).await;
    let answer = call(&Peer::Paypal.settings(&fake.url()), &ops[0]).await;
    assert_eq!((answer.class(), answer.code()), (Class::Rejected, Some("invalid_client")));
}

#[tokio::test]
async fn a_token_outage_is_not_made_worse_by_asking_in_turn() {
    let fake = Fake::start(|_| Back::json(503, "{}")).await;
    let driver = driver(&Peer::Paypal.settings(&fake.url()));
    for _ in 0..5 {
        let answer = driver.call(&channel(), &query(true), UNTIL).await;
        assert_eq!(answer.class(), Class::Unavailable);
    }
    assert_eq!(fake.requests().len(), 1, "a failure is remembered for a second");
}

const CERTIFICATE: &str = "https://api.paypal.com/v1/notifications/certs/CERT-1";

fn event(kind: &str, resource: &Value) -> Vec<u8> {
    let event = json!({ "id": "WH-1", "event_type": kind, "resource": resource });
    event.to_string().into_bytes()
}

fn sealed(body: Vec<u8>, key: &crate::keys::Pair) -> Delivery {
    sealed_at(body, key, "2026-09-21T14:13:20Z")
}

fn sealed_at(body: Vec<u8>, key: &crate::keys::Pair, time: &str) -> Delivery {
    // CRC-32 as its definition has it: bit by bit.
    let mut crc = u32::MAX;
    for byte in &body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let signature = key.sign(format!("tr-1|{time}|4JH86294D6297924G|{}", !crc).as_bytes());
    let headers = [
        ("paypal-transmission-id", "tr-1"),
        ("paypal-transmission-time", time),
        ("paypal-transmission-sig", &signature),
        ("paypal-cert-url", CERTIFICATE),
        ("paypal-auth-algo", "SHA256withRSA"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Delivery { headers: headers.to_vec(), body }
}

fn said(status: u16, body: &str) -> Response {
    Response { status, headers: vec![], body: body.as_bytes().to_vec() }
}

fn capture_event() -> Vec<u8> {
    event("PAYMENT.CAPTURE.COMPLETED", &json!({ "custom_id": number().as_str() }))
}

#[test]
fn webhooks_prove_themselves_with_paypals_certificate_and_are_hints() {
    let codec = codec(&settings(paypal_settings()));
    let pem = said(200, &PAYPAL.certificate_pem);
    let delivery = sealed(capture_event(), &PAYPAL);
    let witness = codec.witness(&delivery, NOW).expect("a witness").expect("a question");
    assert_eq!((witness.request.url.as_str(), witness.with_token), (CERTIFICATE, false));
    let notice = codec.testified(&delivery, &pem, NOW).expect("a proof");
    assert_eq!(notice, Notice { number: number(), kind: NoticeKind::Hint });
    let forged = |delivery: &Delivery, said: &Response| {
        matches!(codec.testified(delivery, said, NOW), Err(Forged::Signature(_)))
    };
    assert!(forged(&sealed(capture_event(), &STRANGERS), &pem), "a stranger's key");
    let strange = said(200, &STRANGERS.certificate_pem);
    assert!(forged(&delivery, &strange));
    assert!(forged(&sealed(capture_event(), &STRANGERS), &strange), "not PayPal's name");
    assert!(forged(&delivery, &said(404, &PAYPAL.certificate_pem)));
    assert!(forged(&delivery, &said(200, "hello")));
    let mut changed = delivery.clone();
    changed.body.push(b' ');
    assert!(forged(&changed, &pem));
    for index in 0..delivery.headers.len() {
        let mut without = delivery.clone();
        without.headers.remove(index);
        assert!(forged(&without, &pem) && codec.witness(&without, NOW).is_err());
    }
    let late = NOW + Duration::from_secs(4 * 86_400 + 1);
    assert!(matches!(codec.testified(&delivery, &pem, late), Err(Forged::Stale { .. })));
    assert!(matches!(codec.notice(&delivery, NOW), Err(Forged::Signature(_))), "no witness");
    // The certificate's last day is the first of 4096.
    let old = sealed_at(capture_event(), &PAYPAL, "4096-01-02T00:00:00Z");
    let then = domain::Timestamp::from_secs(67_090_204_800);
    assert!(matches!(codec.testified(&old, &pem, then), Err(Forged::Signature(why))
        if why.contains("run out")));
}

#[test]
fn certificates_come_from_paypal_only() {
    let codec = codec(&settings(paypal_settings()));
    for url in [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-1",
        "https://evilpaypal.com/v1/notifications/certs/CERT-1",
        "https://user@api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/../../open?to=evil",
        "http://169.254.169.254/v1/notifications/certs/CERT-1",
        "http://127.0.0.1/v1/notifications/certs/CERT-1",
        "file:///v1/notifications/certs/CERT-1",
        "",
    ] {
        let mut delivery = sealed(capture_event(), &PAYPAL);
        delivery.headers[3].1 = url.to_owned();
        assert!(codec.witness(&delivery, NOW).is_err(), "{url}");
        let pem = said(200, &PAYPAL.certificate_pem);
        assert!(codec.testified(&delivery, &pem, NOW).is_err(), "{url}");
    }
}

#[test]
fn webhooks_name_their_order_wherever_it_stands() {
    let codec = codec(&settings(paypal_settings()));
    let read = |kind: &str, resource: Value| {
        let pem = said(200, &PAYPAL.certificate_pem);
        codec.testified(&sealed(event(kind, &resource), &PAYPAL), &pem, NOW)
    };
    let ours = json!({ "purchase_units": [{ "custom_id": number().as_str() }] });
    let hint = Notice { number: number(), kind: NoticeKind::Hint };
    assert_eq!(read("CHECKOUT.ORDER.APPROVED", ours.clone()), Ok(hint.clone()));
    assert_eq!(read("CHECKOUT.PAYMENT-APPROVAL.REVERSED", ours.clone()), Ok(hint.clone()));
    let refunded = json!({ "custom_id": number().as_str() });
    assert_eq!(read("PAYMENT.CAPTURE.REFUNDED", refunded), Ok(hint));
    assert!(matches!(read("CUSTOMER.DISPUTE.CREATED", ours), Err(Forged::Irrelevant(_))));
    let foreign = read("PAYMENT.CAPTURE.COMPLETED", json!({}));
    assert!(matches!(foreign, Err(Forged::Irrelevant(_))));
    let odd = read("PAYMENT.CAPTURE.COMPLETED", json!("text"));
    assert!(matches!(odd, Err(Forged::Malformed(_))));
}

#[tokio::test]
async fn paypal_can_be_asked_about_each_webhook_instead() {
    let fake = Fake::start(|got| match got.path() {
        "/v1/notifications/verify-webhook-signature" => {
            let asked = String::from_utf8_lossy(&got.body);
            let exact = String::from_utf8(capture_event()).expect("text");
            let good = asked.contains(&exact) && got.header("authorization").is_some();
            let status = if good { "SUCCESS" } else { "FAILURE" };
            Back::json(200, json!({ "verification_status": status }).to_string())
        }
        _ => Peer::Paypal.token(got).unwrap_or(Back::Close),
    })
    .await;
    let mut value = paypal_settings();
    value["base_url"] = fake.url().into();
    value["webhook_check"] = "postback".into();
    let driver = driver(&settings(value));
    let good = sealed(capture_event(), &PAYPAL);
    let notice = driver.notice(&channel(), &good).await;
    assert_eq!(notice, Ok(Notice { number: number(), kind: NoticeKind::Hint }));
    let other = sealed(event("PAYMENT.CAPTURE.COMPLETED", &json!({ "custom_id": "E" })), &PAYPAL);
    let refused = driver.notice(&channel(), &other).await;
    assert!(matches!(refused, Err(Unread::Refused(Forged::Signature(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_webhook_whose_witness_is_silent_is_worth_sending_again() {
    let fake = Fake::start(|got| Peer::Paypal.token(got).unwrap_or(Back::Close)).await;
    let mut value = paypal_settings();
    value["base_url"] = fake.url().into();
    value["webhook_check"] = "postback".into();
    let (driver, channel) = (driver(&settings(value)), channel());
    let unread = driver.notice(&channel, &sealed(capture_event(), &PAYPAL)).await;
    assert!(matches!(unread, Err(Unread::Unverified(_))), "{unread:?}");
}

#[tokio::test]
async fn a_certificate_is_fetched_once_and_without_the_token() {
    let fake =
        Fake::start(|_| Back::Http(200, vec![], PAYPAL.certificate_pem.clone().into())).await;
    let mut value = paypal_settings();
    value["base_url"] = fake.url().into();
    value["webhook_certificate_hosts"] = json!(["127.0.0.1"]);
    let driver = driver(&settings(value));
    let mut delivery = sealed(capture_event(), &PAYPAL);
    delivery.headers[3].1 = format!("{}/v1/notifications/certs/CERT-1", fake.url());
    for _ in 0..3 {
        assert!(driver.notice(&channel(), &delivery).await.is_ok());
    }
    let sent = fake.requests();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].header("authorization"), None);
}
