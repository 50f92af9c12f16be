//! Every kind of bad input gets its own clear error, is counted, and changes nothing.

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use store::StoreError;

use crate::world::{Answered, World, order, world, world_with};

/// A good body with one field replaced (or left out, if the value is null).
fn with(field: &str, value: Value) -> String {
    let mut body = order("SO-1");
    match value {
        Value::Null => drop(body.as_object_mut().unwrap().remove(field)),
        value => body[field] = value,
    }
    body.to_string()
}

async fn create(world: &World, body: impl Into<reqwest::Body>) -> Answered {
    let request = world.http.post(world.url("/v1/payments")).bearer_auth(&world.shop);
    let request = request.header(CONTENT_TYPE, "application/json").body(body);
    Answered::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn fields_that_break_a_rule_are_named() {
    let world = world().await;
    let long = |n: usize| Value::from("x".repeat(n));
    let many: Value = (0..21).map(|i| (format!("k{i}"), json!("v"))).collect();
    let cases = [
        ("amount", json!(0), "must be at least 1"),
        ("amount", json!(-5), "must be at least 1"),
        ("amount", json!(1_000_000_000_001_i64), "must be at most 1000000000000"),
        ("amount", json!(u64::MAX), "must be at most 1000000000000"),
        ("amount", json!(1e300), "must be a whole number, not a number with decimals or too large"),
        ("amount", json!(19.99), "must be a whole number, not a number with decimals or too large"),
        ("amount", json!(19.0), "must be a whole number, not a number with decimals or too large"),
        ("amount", json!("1999"), "must be a whole number, not a text"),
        ("amount", json!(true), "must be a whole number, not true or false"),
        ("amount", json!([1]), "must be a whole number, not a list"),
        ("amount", json!({ "value": 1 }), "must be a whole number, not an object"),
        ("amount", Value::Null, "is required"),
        ("currency", json!("cny"), "must be an ISO 4217 code in upper case that has minor units"),
        ("currency", json!("XXX"), "must be an ISO 4217 code in upper case that has minor units"),
        ("currency", json!(156), "must be a text, not a number"),
        ("currency", Value::Null, "is required"),
        ("order_no", json!(""), "an order number is 1 to 64 letters, digits, '-', '_' or '.'"),
        ("order_no", long(65), "an order number is 1 to 64 letters, digits, '-', '_' or '.'"),
        ("order_no", json!("订单"), "an order number is 1 to 64 letters, digits, '-', '_' or '.'"),
        ("order_no", json!("a b"), "an order number is 1 to 64 letters, digits, '-', '_' or '.'"),
        ("order_no", json!("a\0b"), "an order number is 1 to 64 letters, digits, '-', '_' or '.'"),
        ("order_no", json!(7), "must be a text, not a number"),
        ("methods", json!([]), "must name 1 to 6 methods"),
        ("methods", json!("alipay"), "must be a list, not a text"),
        (
            "methods[0]",
            json!(["cash"]),
            "a method is one of alipay, wechat_pay, union_pay, card, paypal, bank_transfer",
        ),
        ("methods[1]", json!(["card", "card"]), "is named twice"),
        ("methods[0]", json!([1]), "must be a text, not a number"),
        (
            "purpose",
            json!("Fun!"),
            "a purpose is checkout, renewal, top_up, instalment, or a name of the merchant's: 1 to 24 \
             of a-z, 0-9 and _, a letter first",
        ),
        ("tier", json!("gold"), "must be one of standard, vip"),
        ("locale", json!("de"), "must be one of zh, en"),
        ("device", json!("fridge"), "must be one of qr, desktop, mobile, in_app"),
        ("payer_id", json!("in_app"), "is required when the device is in_app"),
        ("subject", long(121), "must be 1 to 120 characters without control characters"),
        ("subject", json!("a\nb"), "must be 1 to 120 characters without control characters"),
        ("contact", long(201), "must be 1 to 200 characters without control characters"),
        ("token", long(201), "must be 1 to 200 visible ASCII characters"),
        (
            "return_url",
            json!("javascript:alert(1)"),
            "must be an http or https address of at most 500 visible ASCII characters",
        ),
        (
            "return_url",
            json!("https://a@evil.example/"),
            "must be an http or https address of at most 500 visible ASCII characters",
        ),
        (
            "return_url",
            json!("ftp://a.example/"),
            "must be an http or https address of at most 500 visible ASCII characters",
        ),
        ("payer_ip", json!("999.1.1.1"), "must be an IPv4 or IPv6 address"),
        ("expires_in_s", json!(0), "must be at least 1"),
        ("expires_in_s", json!(5), "must be from 60 to 86400"),
        ("expires_in_s", json!(31_536_000), "must be from 60 to 86400"),
        ("metadata", json!([]), "must be an object, not a list"),
        ("metadata", many, "must have at most 20 entries"),
        (
            "metadata.note",
            json!({ "note": "x".repeat(501) }),
            "must be at most 500 characters, none of them NUL",
        ),
        ("metadata.note", json!({ "note": 1 }), "must be a text, not a number"),
        (
            "metadata, entry 1",
            json!({ "k".repeat(41): "v" }),
            "the name must be 1 to 40 characters without control characters",
        ),
        ("amout", json!(1), "is no field of this request"),
    ];
    for (field, value, rule) in cases {
        let sent = match field {
            "payer_id" => with("device", value),
            field => with(field.split(['[', '.', ',']).next().unwrap(), value),
        };
        let answered = create(&world, sent.clone()).await;
        assert_eq!(answered.status, 422, "{sent}: {answered:?}");
        assert_eq!(answered.problem(), "invalid-request");
        let body = answered.json();
        assert_eq!(body["field"], field, "{sent}: {body}");
        assert_eq!(body["rule"], rule, "{sent}: {body}");
        assert_eq!(body["errors"].as_array().unwrap().len(), 1, "{sent}: {body}");
    }
    let typo = create(&world, with("amout", json!(1))).await.json();
    assert_eq!(typo["fix"], "did you mean `amount`?");
    assert!(world.metric(r#"evergate_http_problems_total{type="invalid-request"}"#).await >= 48.0);
    assert!(world.get(&world.li, "/v1/payments").await.json()["payments"] == json!([]));
}

#[tokio::test]
async fn all_mistakes_of_a_request_are_told_at_once() {
    let world = world().await;
    let body = json!({ "order_no": "a b", "amount": -1, "currency": "cny", "methods": ["cash"],
        "metadata": { "a": 1 }, "colour": "red" });
    let request = world.http.post(world.url("/v1/payments")).bearer_auth(&world.shop);
    let request = request.header("Idempotency-Key", "two words").json(&body);
    let answered = Answered::of(request.send().await.unwrap()).await;
    assert_eq!(answered.problem(), "invalid-request");
    let body = answered.json();
    let mut fields: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["Idempotency-Key", "amount", "colour", "currency", "metadata.a", "methods[0]", "order_no"]
    );
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let world = world().await;
    let cases: [(&[u8], u16, &str, &str); 8] = [
        (b"{\"amount\": }", 400, "malformed-json", "line 1, column 12"),
        (b"{\"amount\": 1", 400, "malformed-json", "the body ends too early"),
        (b"{\"amount\": 1, \"amount\": 2}", 400, "malformed-json", "a name occurs twice"),
        (b"{\"subject\": \"\xff\xfe\"}", 400, "malformed-json", "not UTF-8 from byte 13"),
        (b"{\"amount\": 1e999}", 400, "malformed-json", "too large"),
        (b"[1]", 422, "invalid-request", "must be a JSON object, not a list"),
        (b"\"x\"", 422, "invalid-request", "must be a JSON object, not a text"),
        (b"", 422, "invalid-request", "3 mistakes"),
    ];
    for (body, status, slug, detail) in cases {
        let answered = create(&world, body).await;
        assert_eq!((answered.status, answered.problem().as_str()), (status, slug), "{answered:?}");
        let told = answered.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.contains(detail), "{told}");
    }
    let deep = create(&world, "[".repeat(100_000)).await;
    assert_eq!(deep.problem(), "malformed-json");
}

#[tokio::test]
async fn types_sizes_and_addresses_have_their_own_problems() {
    let world = world_with(|o| o.max_body_bytes = 1_000).await;
    let request = world.http.post(world.url("/v1/payments")).bearer_auth(&world.shop);
    let request = request.header(CONTENT_TYPE, "text/xml").body(order("SO-1").to_string());
    let answered = Answered::of(request.send().await.unwrap()).await;
    assert_eq!((answered.status, answered.problem().as_str()), (415, "unsupported-content-type"));

    let announced = create(&world, "x".repeat(1_001)).await;
    assert_eq!((announced.status, announced.problem().as_str()), (413, "body-too-large"));

    let missing = world.get(&world.shop, "/v2/payments").await;
    assert_eq!((missing.status, missing.problem().as_str()), (404, "not-found"));
    for path in ["/v1/payments/pay_1", "/v1/payments/%ff", "/v1/payments/..%2f..%2fetc"] {
        let missing = world.get(&world.shop, path).await;
        assert_eq!((missing.status, missing.problem().as_str()), (404, "not-found"), "{path}");
    }
    let request = world.http.delete(world.url("/v1/payments")).bearer_auth(&world.shop);
    let wrong = Answered::of(request.send().await.unwrap()).await;
    assert_eq!((wrong.status, wrong.problem().as_str()), (405, "method-not-allowed"));
    assert!(wrong.header("allow").contains("POST"), "{wrong:?}");

    for query in [
        "limit=0",
        "limit=201",
        "limit=x",
        "status=well",
        "channel=A B",
        "cursor=!!",
        "since=today",
        "review=maybe",
        "order=1",
        "limit=1&limit=2",
        "merchant=other",
    ] {
        let answered = world.get(&world.shop, &format!("/v1/payments?{query}")).await;
        assert_eq!(answered.problem(), "invalid-request", "{query}");
    }
}

#[tokio::test]
async fn keys_are_checked_before_anything_else() {
    let world = world().await;
    let url = world.url("/v1/payments");
    let cases = [
        None,
        Some("Bearer"),
        Some("Bearer evk_wrong"),
        Some("Basic dXNlcjpwYXNz"),
        Some("evk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"),
    ];
    for header in cases {
        let mut request = world.http.post(&url).body("{");
        if let Some(header) = header {
            request = request.header("Authorization", HeaderValue::from_static(header));
        }
        let answered = Answered::of(request.send().await.unwrap()).await;
        assert_eq!((answered.status, answered.problem().as_str()), (401, "unauthorized"));
        assert_eq!(answered.header("www-authenticate"), "Bearer");
        assert!(!answered.text.contains("evk_wrong"));
    }
    let operator = world.post(&world.li, "/v1/payments", &order("SO-1")).await;
    assert_eq!((operator.status, operator.problem().as_str()), (403, "forbidden"));
    let audit = world.get(&world.shop, "/v1/audit").await;
    assert_eq!((audit.status, audit.problem().as_str()), (403, "forbidden"));
}

#[tokio::test]
async fn a_second_payment_under_one_order_number_is_refused() {
    let world = world().await;
    let first = world.pay(order("SO-1")).await;
    let mut second = order("SO-1");
    second["amount"] = json!(2000);
    let answered = world.post(&world.shop, "/v1/payments", &second).await;
    assert_eq!((answered.status, answered.problem().as_str()), (409, "order-conflict"));
    assert_eq!(answered.json()["field"], "order_no");
    assert!(answered.text.contains(first["id"].as_str().unwrap()), "names the payment");
    // Another merchant's numbers are its own.
    assert_eq!(world.post(&world.other, "/v1/payments", &second).await.status, 201);
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() {
    let world = world().await;
    let url = "/v1/payments";
    let first = world.post_keyed(&world.shop, url, "k-1", &order("SO-1")).await;
    assert_eq!(first.status, 201);
    let again = world.post_keyed(&world.shop, url, "k-1", &order("SO-1")).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(again.json()["id"], first.json()["id"]);
    let reused = world.post_keyed(&world.shop, url, "k-1", &order("SO-2")).await;
    assert_eq!((reused.status, reused.problem().as_str()), (422, "idempotency-key-reused"));
    let long = world.post_keyed(&world.shop, url, &"k".repeat(256), &order("SO-3")).await;
    assert_eq!(long.json()["field"], "Idempotency-Key");
    let longest = world.post_keyed(&world.shop, url, &"k".repeat(255), &order("SO-3")).await;
    assert_eq!(longest.status, 201);
}

#[tokio::test]
async fn what_no_channel_takes_is_refused() {
    let world = world().await;
    for (field, value) in
        [("methods", json!(["paypal"])), ("currency", json!("KWD")), ("amount", json!(1_000_001))]
    {
        let answered = create(&world, with(field, value)).await;
        assert_eq!((answered.status, answered.problem().as_str()), (422, "no-channel"));
    }
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_changes_nothing() {
    let world = world().await;
    let cases = [
        (StoreError::Full("disk".into()), "store-full"),
        (StoreError::Unavailable("lock".into()), "store-unavailable"),
        (StoreError::Damaged("page 7".into()), "store-unusable"),
        (StoreError::Newer { found: 9, known: 1 }, "store-unusable"),
    ];
    for (fault, slug) in cases {
        world.store.fail(Some(fault));
        let answered = world.post(&world.shop, "/v1/payments", &order("SO-1")).await;
        assert_eq!((answered.status, answered.problem().as_str()), (503, slug));
        assert!(answered.header("retry-after").parse::<u32>().unwrap() > 0);
        assert!(!answered.text.contains("page 7"), "the store's words are for the log");
        assert_eq!(world.get("", "/readyz").await.status, 503);
        assert_eq!(world.get("", "/healthz").await.status, 200);
        world.store.fail(None);
    }
    assert_eq!(world.get("", "/readyz").await.status, 200);
    *world.store.vague.lock().unwrap() = true;
    let answered = world.post(&world.shop, "/v1/payments", &order("SO-1")).await;
    assert_eq!((answered.status, answered.problem().as_str()), (503, "commit-unknown"));
    *world.store.vague.lock().unwrap() = false;
    let listed = world.get(&world.li, "/v1/payments").await.json();
    assert_eq!(listed["payments"], json!([]));
    assert_eq!(
        world.script.calls.load(std::sync::atomic::Ordering::SeqCst),
        0,
        "no intent, no call"
    );
    world.pay(order("SO-1")).await;
}

#[tokio::test]
async fn every_problem_has_its_page() {
    let world = world().await;
    for kind in server::kinds::ALL {
        let page = world.get("", &format!("/problems/{}", kind.slug)).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains(kind.title) && page.text.contains(kind.title_zh));
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
    }
    assert_eq!(world.get("", "/problems/nothing").await.problem(), "not-found");
    assert_eq!(world.get("", "/problems").await.status, 200);
}
