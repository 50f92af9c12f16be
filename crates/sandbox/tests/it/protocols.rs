//! Requests that no SDK would send, and what the providers make of them.

use reqwest::Response;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Alipay, Stripe, UnionPay, WechatPay, beijing_compact, now_s};

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

/// A field's value in an answer that is not URL-encoded.
fn said<'a>(answer: &'a str, name: &str) -> &'a str {
    let marked = format!("{name}=");
    let found = answer.split('&').find_map(|pair| pair.strip_prefix(marked.as_str()));
    found.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn unionpays_platform_checks_before_any_business() {
    let unionpay = UnionPay::start().await;
    let ask = async |changes: &[(&str, &str)]| {
        let mut fields = unionpay.fields("00", "00", "order001");
        fields.extend(changes.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        fields.retain(|_, value| !value.is_empty());
        let answer = unionpay.send("queryTrans.do", unionpay.signed(fields)).await;
        said(&answer, "respCode").to_owned()
    };
    assert_eq!(ask(&[]).await, "34");
    assert_eq!(ask(&[("certId", "1")]).await, "11");
    assert_eq!(ask(&[("signMethod", "11")]).await, "11");
    assert_eq!(ask(&[("merId", "777000000000000")]).await, "31");
    assert_eq!(ask(&[("merId", "")]).await, "13");
    assert_eq!(ask(&[("version", "5.0.0")]).await, "10");
    assert_eq!(ask(&[("orderId", "short")]).await, "10");
    assert_eq!(ask(&[("orderId", "order_001-")]).await, "10");
    assert_eq!(ask(&[("txnTime", "2026-11-24")]).await, "10");
    // Changed after it was signed.
    let form = unionpay.signed(unionpay.fields("00", "00", "order001"));
    let changed = form.replace("orderId=order001", "orderId=order002");
    let answer = unionpay.send("queryTrans.do", changed).await;
    assert_eq!(said(&answer, "respCode"), "11", "{answer}");
    assert!(answer.contains("-----BEGIN CERTIFICATE-----"), "it brings its certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn unionpays_forms_open_a_page_and_refunds_name_the_payment() {
    let unionpay = UnionPay::start().await;
    let back = "http://127.0.0.1:9/n";
    let mut old = unionpay.payment("order009", back);
    old.insert("txnTime".to_owned(), beijing_compact(now_s() - 2 * 86_400));
    let page = unionpay.send("frontTransReq.do", unionpay.signed(old)).await;
    assert!(page.contains("<h1>10</h1>"), "a time that is not near now: {page}");
    let form = unionpay.payment("order001", back);
    let page = unionpay.send("frontTransReq.do", unionpay.signed(form.clone())).await;
    assert!(page.contains("/pay/unionpay/"), "{page}");
    let target = sandbox::PayTarget::order(sandbox::ProviderKind::UnionPay, None, "order001");
    assert!(unionpay.sandbox.pay(&target).await.unwrap().paid);
    let mut query = unionpay.fields("00", "00", "order001");
    query.insert("txnTime".to_owned(), form["txnTime"].clone());
    let answer = unionpay.send("queryTrans.do", unionpay.signed(query)).await;
    assert_eq!((said(&answer, "origRespCode"), said(&answer, "txnAmt")), ("00", "100"));
    let refund = async |number: &str, amount: &str, original: &str| {
        let mut fields = unionpay.fields("04", "00", number);
        for (name, value) in [("txnAmt", amount), ("origQryId", original), ("backUrl", back)] {
            fields.insert(name.to_owned(), value.to_owned());
        }
        let answer = unionpay.send("backTransReq.do", unionpay.signed(fields)).await;
        said(&answer, "respCode").to_owned()
    };
    let original = said(&answer, "queryId");
    assert_eq!(original.len(), 21);
    assert_eq!(refund("refund01", "101", original).await, "43");
    assert_eq!(refund("refund01", "60", "1").await, "34");
    assert_eq!(refund("refund01", "60", original).await, "00");
    assert_eq!(refund("refund01", "60", original).await, "12");
    assert_eq!(refund("refund02", "1.00", original).await, "10");
    assert_eq!(refund("refund03", "40", original).await, "00");
    assert_eq!(refund("refund04", "1", original).await, "45");
}
