//! Requests that no SDK would send, and what the providers make of them.

use reqwest::Response;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Alipay, Stripe, WechatPay, now_s};

async fn code(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn alipays_gateway_checks_before_any_business() {
    let alipay = Alipay::start().await;
    let biz = json!({ "out_trade_no": "a1" });
    let good = alipay.params("alipay.trade.query", &biz);
    let with = |name: &str, value: &str| {
        let mut params = good.clone();
        params.insert(name.to_owned(), value.to_owned());
        params
    };
    let without = |name: &str| {
        let mut params = good.clone();
        params.remove(name);
        params
    };
    for (params, sub_code, signed) in [
        (with("app_id", "2021000000000000"), "isv.invalid-app-id", false),
        (without("app_id"), "isv.missing-app-id", false),
        (without("timestamp"), "isv.missing-timestamp", false),
        (with("timestamp", "2020-01-01 00:00:00"), "isv.invalid-timestamp", true),
        (with("timestamp", "yesterday"), "isv.invalid-timestamp", true),
        (with("charset", "gbk"), "isv.invalid-charset", true),
        (with("version", "2.0"), "isv.invalid-version", true),
        (with("method", "alipay.trade.steal"), "isv.invalid-method", true),
        (with("biz_content", "[]"), "ACQ.INVALID_PARAMETER", true),
    ] {
        let text = alipay.send(&alipay.signed(params)).await;
        assert!(text.contains(sub_code), "{sub_code}: {text}");
        assert_eq!(text.contains("\"sign\""), signed, "{sub_code}: {text}");
    }
    let mut changed = alipay.signed(good.clone());
    changed.insert("biz_content".to_owned(), json!({ "out_trade_no": "a2" }).to_string());
    assert!(alipay.send(&changed).await.contains("isv.invalid-signature"));
    alipay.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absolute_targets_are_taken() {
    let stripe = Stripe::start().await;
    let mut stream = tokio::net::TcpStream::connect(stripe.sandbox.addr()).await.unwrap();
    let request = "GET http://api.example/v1/balance HTTP/1.1\r\nHost: api.example\r\n\
                   Authorization: Bearer nobody\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    stripe.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wechat_pay_verifies_the_exact_bytes() {
    let wechat = WechatPay::start().await;
    let target = format!("/v3/pay/transactions/out-trade-no/order-1?mchid={}", wechat.mch_id);
    let fresh = || wechat.request("GET", &target, "");
    assert_eq!(code(fresh().send().await.unwrap()).await, (404, "ORDER_NOT_EXIST".to_owned()));
    let old = wechat.authorization("GET", &target, now_s() - 301, "");
    let other = wechat.authorization("GET", &format!("{target}&x=1"), now_s(), "");
    for wrong in
        [old, other, "WECHATPAY2-SHA256-RSA2048 mchid=\"1\"".to_owned(), "Bearer x".to_owned()]
    {
        // reqwest adds headers, and the first one counts, so a bare request is built anew.
        let bare = crate::client::http()
            .get(format!("{}{target}", wechat.sandbox.base_url()))
            .header("authorization", wrong)
            .header("accept", "*/*")
            .header("user-agent", "test");
        let answer = bare.send().await.unwrap();
        assert!(answer.headers().get("wechatpay-signature").is_none());
        assert_eq!(code(answer).await, (401, "SIGN_ERROR".to_owned()));
    }
    wechat.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wechat_pay_signs_with_the_key_that_was_asked_for() {
    let wechat = WechatPay::start().await;
    let certificates = |serial: Option<&str>| {
        let request = wechat.request("GET", "/v3/certificates", "");
        match serial {
            Some(serial) => request.header("wechatpay-serial", serial),
            None => request,
        }
    };
    let by_certificate = certificates(None).send().await.unwrap();
    assert_eq!(by_certificate.headers()["wechatpay-serial"], wechat.platform_serial.as_str());
    assert_eq!(by_certificate.headers()["wechatpay-signature-type"], "WECHATPAY2-SHA256-RSA2048");
    let none = certificates(Some(&wechat.public_key_id)).send().await.unwrap();
    assert_eq!(code(none).await, (404, "RESOURCE_NOT_EXISTS".to_owned()));
    let stranger = certificates(Some("PUB_KEY_ID_0")).send().await.unwrap();
    assert_eq!(code(stranger).await, (400, "PARAM_ERROR".to_owned()));
    let body = json!({ "mchid": wechat.mch_id }).to_string();
    let close = "/v3/pay/transactions/out-trade-no/order-9/close";
    let closed =
        wechat.request("POST", close, &body).header("wechatpay-serial", &wechat.public_key_id);
    let closed = closed.send().await.unwrap();
    assert_eq!(closed.status(), 204);
    assert_eq!(closed.headers()["wechatpay-serial"], wechat.public_key_id.as_str());
    assert!(closed.headers().contains_key("wechatpay-signature"));
    assert!(closed.bytes().await.unwrap().is_empty());
    wechat.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wechat_pay_checks_every_field() {
    let wechat = WechatPay::start().await;
    let good = json!({
        "appid": wechat.app_id, "mchid": wechat.mch_id, "description": "tea",
        "out_trade_no": "order-1", "notify_url": "https://shop.example/n",
        "amount": { "total": 100, "currency": "CNY" },
    });
    for (field, value, expected) in [
        ("appid", json!("wx0"), "APPID_MCHID_NOT_MATCH"),
        ("mchid", json!("1600000000"), "PARAM_ERROR"),
        ("description", json!(""), "PARAM_ERROR"),
        ("out_trade_no", json!("short"), "PARAM_ERROR"),
        ("out_trade_no", json!("with space"), "PARAM_ERROR"),
        ("out_trade_no", json!("x".repeat(33)), "PARAM_ERROR"),
        ("notify_url", json!("https://shop.example/n?a=1"), "PARAM_ERROR"),
        ("amount", json!({ "total": 0 }), "PARAM_ERROR"),
        ("amount", json!({ "total": 1.5 }), "PARAM_ERROR"),
        ("amount", json!({ "total": 1, "currency": "USD" }), "PARAM_ERROR"),
        ("time_expire", json!("2020-01-01T00:00:00+08:00"), "PARAM_ERROR"),
        ("time_expire", json!("soon"), "PARAM_ERROR"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let text = body.to_string();
        let answer = wechat.request("POST", "/v3/pay/transactions/native", &text).send().await;
        assert_eq!(code(answer.unwrap()).await, (400, expected.to_owned()), "{text}");
    }
    assert!(wechat.sandbox.books().orders.is_empty());
    wechat.sandbox.shutdown().await;
}
