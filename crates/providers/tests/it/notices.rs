//! Notifications: proofs, forgeries, and everything in between.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{NoticeKind, OrderState, RefundState};
use providers::{Delivery, Forged, Provider};
use serde_json::{Value, json};

use crate::keys::{Pair, STRANGERS, THEIRS};
use crate::peers::{
    API_V3_KEY, Facts, KEY_ID, Peer, intent, transaction, wechat_headers, wechatpay_settings,
};
use crate::world::{NOW, codec, number, refund_number, settings};

pub(crate) type Fields = std::collections::BTreeMap<String, String>;

pub(crate) fn alipay_fields() -> Fields {
    [
        ("app_id", "2021000000000001"),
        ("seller_id", "2088000000000001"),
        ("notify_type", "trade_status_sync"),
        ("notify_id", "n1"),
        ("sign_type", "RSA2"),
        ("charset", "utf-8"),
        ("version", "1.0"),
        ("trade_no", "2026T"),
        ("out_trade_no", number().as_str()),
        ("trade_status", "TRADE_SUCCESS"),
        ("total_amount", "12.34"),
        ("gmt_payment", "2026-09-21 22:13:20"),
        ("subject", "订单 1"),
        ("fund_bill_list", r#"[{"amount":"12.34"}]"#),
        ("empty", ""),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

pub(crate) fn alipay_delivery(fields: &Fields, key: &Pair) -> Delivery {
    let signed: Vec<_> = fields
        .iter()
        .filter(|(name, value)| *name != "sign_type" && !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut fields = fields.clone();
    fields.insert("sign".into(), key.sign(signed.join("&").as_bytes()));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    Delivery { headers: vec![], body: body.into_bytes() }
}

#[test]
fn alipay_notices() {
    let codec = codec(&Peer::Alipay.settings("http://127.0.0.1:1"));
    let read = |fields: &Fields, key| codec.notice(&alipay_delivery(fields, key), NOW);
    let good = alipay_fields();
    let notice = read(&good, &THEIRS).expect("a proof");
    assert_eq!(notice.number, number());
    let NoticeKind::Order(OrderState::Paid(receipt)) = notice.kind else { panic!("paid") };
    assert_eq!((receipt.captured.minor(), receipt.paid_at), (1234, Some(NOW)));
    assert!(matches!(read(&good, &STRANGERS), Err(Forged::Signature(_))));
    let with = |name: &str, value: &str| {
        let mut fields = good.clone();
        fields.insert(name.into(), value.into());
        fields
    };
    let other = read(&with("app_id", "2021000000000002"), &THEIRS);
    assert_eq!(other, Err(Forged::Account("app_id")));
    let other = read(&with("seller_id", "2088000000000002"), &THEIRS);
    assert_eq!(other, Err(Forged::Account("seller_id")));
    let mut closed = with("trade_status", "TRADE_CLOSED");
    assert!(matches!(
        read(&closed, &THEIRS).unwrap().kind,
        NoticeKind::Order(OrderState::PaidAndRefunded(_))
    ));
    closed.remove("gmt_payment");
    assert_eq!(read(&closed, &THEIRS).unwrap().kind, NoticeKind::Order(OrderState::Closed));
    let mut refunded = with("out_biz_no", refund_number().as_str());
    refunded.insert("gmt_refund".into(), "2026-09-21 22:20:00".into());
    refunded.insert("refund_fee".into(), "5.00".into());
    assert_eq!(
        read(&refunded, &THEIRS).unwrap().kind,
        NoticeKind::Refund { refund: refund_number(), state: RefundState::Succeeded }
    );
    refunded.insert("out_biz_no".into(), "console-1".into());
    assert!(matches!(
        read(&refunded, &THEIRS).unwrap().kind,
        NoticeKind::Order(OrderState::Paid(_))
    ));
    let mut delivery = alipay_delivery(&good, &THEIRS);
    delivery.body.extend_from_slice(b"&total_amount=99.99");
    assert!(matches!(codec.notice(&delivery, NOW), Err(Forged::Malformed(_))));
    let cut = Delivery { headers: vec![], body: delivery.body[..60].to_vec() };
    assert!(codec.notice(&cut, NOW).is_err());
    assert_eq!(codec.acknowledge(true).body, "success");
    assert_ne!(codec.acknowledge(false).body, "success");
}

fn seal(plain: &Value) -> Value {
    let key = LessSafeKey::new(
        UnboundKey::new(&AES_256_GCM, API_V3_KEY.as_bytes()).expect("a key, a nonce and room"),
    );
    let mut bytes = plain.to_string().into_bytes();
    let nonce = Nonce::try_assume_unique_for_key(b"nonce0000012").expect("a key, a nonce and room");
    key.seal_in_place_append_tag(nonce, Aad::from(b"transaction"), &mut bytes)
        .expect("a key, a nonce and room");
    json!({
        "original_type": "transaction", "algorithm": "AEAD_AES_256_GCM",
        "associated_data": "transaction", "nonce": "nonce0000012",
        "ciphertext": STANDARD.encode(bytes),
    })
}

fn wechat_delivery(event: &str, plain: &Value, serial: &str, key: &Pair, at: i64) -> Delivery {
    let body = json!({
        "id": "1", "event_type": event, "resource_type": "encrypt-resource",
        "resource": seal(plain), "summary": "支付成功",
    })
    .to_string();
    Delivery { headers: wechat_headers(&body, key, serial, at), body: body.into_bytes() }
}

#[test]
fn wechat_pay_notices_in_either_key_mode() {
    let codec = codec(&settings(wechatpay_settings()));
    let now = NOW.as_secs();
    let trade = transaction(&Facts::good());
    let paid = "TRANSACTION.SUCCESS";
    for serial in [THEIRS.serial_hex.as_str(), KEY_ID] {
        let delivery = wechat_delivery(paid, &trade, serial, &THEIRS, now);
        let notice = codec.notice(&delivery, NOW).expect("a proof");
        assert_eq!(notice.number, number());
        assert!(matches!(notice.kind, NoticeKind::Order(OrderState::Paid(_))));
    }
    let forged = wechat_delivery(paid, &trade, KEY_ID, &STRANGERS, now);
    assert!(matches!(codec.notice(&forged, NOW), Err(Forged::Signature(_))));
    let strange = wechat_delivery(paid, &trade, "PUB_KEY_ID_1", &THEIRS, now);
    assert!(matches!(codec.notice(&strange, NOW), Err(Forged::Signature(_))));
    for at in [now - 301, now + 301] {
        let stale = wechat_delivery(paid, &trade, KEY_ID, &THEIRS, at);
        assert!(matches!(codec.notice(&stale, NOW), Err(Forged::Stale { limit_s: 300, .. })));
    }
    let mut foreign = trade.clone();
    foreign["mchid"] = "1900000002".into();
    let delivery = wechat_delivery(paid, &foreign, KEY_ID, &THEIRS, now);
    assert!(matches!(codec.notice(&delivery, NOW), Err(Forged::Account(_))));
    let other = wechat_delivery("VIOLATION.PUNISH", &trade, KEY_ID, &THEIRS, now);
    assert!(matches!(codec.notice(&other, NOW), Err(Forged::Irrelevant(_))));
    let mut probe = wechat_delivery(paid, &trade, KEY_ID, &THEIRS, now);
    for (name, value) in &mut probe.headers {
        if name == "wechatpay-signature" {
            *value = format!("WECHATPAY/SIGNTEST/{}", &value[19..]);
        }
    }
    assert!(matches!(codec.notice(&probe, NOW), Err(Forged::Signature(_))));
}

#[test]
fn wechat_pay_refund_notices() {
    let codec = codec(&settings(wechatpay_settings()));
    for (event, status, state) in [
        ("REFUND.SUCCESS", "SUCCESS", Some(RefundState::Succeeded)),
        ("REFUND.ABNORMAL", "ABNORMAL", Some(RefundState::Pending)),
        ("REFUND.CLOSED", "CLOSED", None),
    ] {
        let refund = json!({
            "mchid": "1900000001", "out_trade_no": number().as_str(),
            "out_refund_no": refund_number().as_str(), "refund_status": status,
            "amount": { "total": 1234, "refund": 500, "payer_total": 1234, "payer_refund": 500 },
        });
        let delivery = wechat_delivery(event, &refund, KEY_ID, &THEIRS, NOW.as_secs());
        let notice = codec.notice(&delivery, NOW).expect("a proof");
        let NoticeKind::Refund { refund, state: said } = notice.kind else { panic!("a refund") };
        assert_eq!(refund, refund_number());
        match state {
            Some(state) => assert_eq!(said, state),
            None => assert!(matches!(said, RefundState::Failed(_))),
        }
    }
}

fn stripe_delivery(kind: &str, object: &Value, secrets: &[&str], at: i64) -> Delivery {
    let body = json!({
        "id": "evt_1", "object": "event", "type": kind, "livemode": false,
        "data": { "object": object },
    })
    .to_string();
    let mut header = format!("t={at}");
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, format!("{at}.{body}").as_bytes());
        header += &format!(",v1={}", hex::encode(tag));
    }
    header += ",v0=00";
    Delivery { headers: vec![("stripe-signature".into(), header)], body: body.into_bytes() }
}

fn stripe() -> std::sync::Arc<dyn Provider> {
    codec(&Peer::Stripe.settings("http://127.0.0.1:1"))
}

#[test]
fn stripe_webhooks_prove_themselves_by_any_secret() {
    let codec = stripe();
    let object = intent(&Facts::good());
    let now = NOW.as_secs();
    let read = |secrets: &[&str], at| {
        codec.notice(&stripe_delivery("payment_intent.succeeded", &object, secrets, at), NOW)
    };
    for secrets in [&["whsec_new"][..], &["whsec_old"], &["whsec_gone", "whsec_new"]] {
        let notice = read(secrets, now).expect("a proof");
        assert_eq!(notice.number, number());
        assert!(matches!(notice.kind, NoticeKind::Order(OrderState::Paid(_))));
    }
    for secrets in [&["whsec_gone"][..], &[]] {
        assert!(matches!(read(secrets, now), Err(Forged::Signature(_))));
    }
    assert!(read(&["whsec_new"], now - 300).is_ok());
    assert!(matches!(read(&["whsec_new"], now - 301), Err(Forged::Stale { .. })));
    let delivery = stripe_delivery("payment_intent.succeeded", &object, &["whsec_new"], now);
    let late = NOW + Duration::from_secs(3_600);
    assert!(codec.notice(&delivery, late).is_err(), "a replay");
    let mut changed = delivery.clone();
    changed.body = String::from_utf8(changed.body).unwrap().replace("1234", "1235").into();
    assert!(matches!(codec.notice(&changed, NOW), Err(Forged::Signature(_))));
}

#[test]
fn stripe_webhooks_say_what_their_object_says() {
    let codec = stripe();
    let read = |kind: &str, object: &Value| {
        codec.notice(&stripe_delivery(kind, object, &["whsec_new"], NOW.as_secs()), NOW)
    };
    let mut failed = intent(&Facts::good());
    failed["status"] = "requires_payment_method".into();
    failed["last_payment_error"] = json!({ "type": "card_error", "code": "expired_card" });
    let kind = read("payment_intent.payment_failed", &failed).unwrap().kind;
    assert!(matches!(kind, NoticeKind::Order(OrderState::Declined(_))));
    failed["metadata"]["evergate_flow"] = "presented".into();
    let kind = read("payment_intent.payment_failed", &failed).unwrap().kind;
    assert_eq!(kind, NoticeKind::Hint, "the customer may try again");
    let canceled = intent(&Facts { closed: true, ..Facts::good() });
    let kind = read("payment_intent.canceled", &canceled).unwrap().kind;
    assert_eq!(kind, NoticeKind::Order(OrderState::Closed));
    let kind = read("payment_intent.succeeded", &canceled).unwrap().kind;
    assert_eq!(kind, NoticeKind::Hint, "an event that its object contradicts");
    let refund = |status: &str| {
        json!({ "id": "re_1", "amount": 500, "currency": "cny", "status": status,
                "metadata": { "evergate_order": number().as_str(),
                              "evergate_refund": refund_number().as_str() } })
    };
    for (status, state) in
        [("succeeded", RefundState::Succeeded), ("pending", RefundState::Pending)]
    {
        assert_eq!(
            read("refund.updated", &refund(status)).unwrap().kind,
            NoticeKind::Refund { refund: refund_number(), state }
        );
    }
    let mut foreign = intent(&Facts::good());
    foreign["metadata"] = json!({});
    let kind = "payment_intent.succeeded";
    assert!(matches!(read(kind, &foreign), Err(Forged::Irrelevant(_))));
    assert!(matches!(read("invoice.paid", &foreign), Err(Forged::Irrelevant(_))));
    assert!(matches!(read(kind, &json!("text")), Err(Forged::Malformed(_))));
    let mut live = stripe_settings_live();
    live["base_url"] = "http://127.0.0.1:1".into();
    let delivery = stripe_delivery(kind, &intent(&Facts::good()), &["whsec_new"], NOW.as_secs());
    let live = crate::world::codec(&settings(live));
    assert_eq!(live.notice(&delivery, NOW), Err(Forged::Account("livemode")));
}

fn stripe_settings_live() -> Value {
    let mut value = crate::peers::stripe_settings();
    value["secret_key"] = "sk_live_evergate".into();
    value
}
