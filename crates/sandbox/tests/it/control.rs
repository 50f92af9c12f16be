//! The control API: what it takes, what it refuses, and what it shows.

use sandbox::{PayTarget, ProviderKind};
use serde_json::{Value, json};

use crate::client::{Alipay, Stripe, http};

async fn call(base: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = http().request(method, format!("{base}{path}")).body(body.to_owned());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_come_and_go() {
    let stripe = Stripe::start().await;
    let base = stripe.sandbox.base_url();
    let rule = r#"{"match":{"provider":"stripe","operation":["create","query"],"probability":0.5},
                   "fault":{"kind":"slow","delay_ms":5}}"#;
    let (status, made) = call(&base, "POST", "/sandbox/faults", rule).await;
    assert_eq!((status, &made["id"]), (201, &json!("fault-1")));
    let (_, list) = call(&base, "GET", "/sandbox/faults", "").await;
    assert_eq!(list["faults"][0]["fault"], json!({ "kind": "slow", "delay_ms": 5 }));
    assert_eq!(list["faults"][0]["match"]["provider"], json!(["stripe"]));
    assert_eq!(call(&base, "DELETE", "/sandbox/faults/nobody", "").await.0, 404);
    assert_eq!(call(&base, "DELETE", "/sandbox/faults/fault-1", "").await.0, 200);
    let (status, refusal) =
        call(&base, "POST", "/sandbox/faults", r#"{"fault":{"kind":"explode"}}"#).await;
    assert_eq!((status, &refusal["error"]["code"]), (400, &json!("invalid_body")));
    assert!(refusal["error"]["message"].as_str().unwrap().contains("unknown fault kind `explode`"));
    let (status, refusal) = call(
        &base,
        "POST",
        "/sandbox/faults",
        r#"{"match":{"provider":"stripe"},"fault":"expired_certificate"}"#,
    )
    .await;
    assert_eq!((status, &refusal["error"]["code"]), (422, &json!("invalid_fault")));
    assert_eq!(call(&base, "PUT", "/sandbox/faults", "").await.0, 405);
    assert_eq!(call(&base, "GET", "/sandbox/unicorns", "").await.0, 404);
    stripe.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_load_by_name_as_json_and_as_toml() {
    let stripe = Stripe::start().await;
    let base = stripe.sandbox.base_url();
    let (_, known) = call(&base, "GET", "/sandbox/scenarios", "").await;
    let names: Vec<&str> = sandbox::Scenario::names();
    assert!(names.contains(&"alipay-outage") && names.contains(&"offline"), "{names:?}");
    assert_eq!(known["scenarios"].as_array().unwrap().len(), names.len());
    let (status, loaded) =
        call(&base, "POST", "/sandbox/scenario", r#"{"name":"alipay-outage","scale":0.5}"#).await;
    assert_eq!((status, loaded["faults"].as_array().unwrap().len()), (200, 3));
    assert_eq!(loaded["faults"][0]["match"]["from_ms"], 5_000);
    let custom = json!({
        "name": "mine", "description": { "zh": "我的", "en": "mine" }, "duration_s": 2,
        "step": [{ "at_s": 0, "until_s": 1.5, "fault": "refuse" }],
    });
    let (status, loaded) = call(&base, "POST", "/sandbox/scenario", &custom.to_string()).await;
    assert_eq!((status, &loaded["faults"][0]["id"]), (200, &json!("mine-1")));
    let toml = "name = 'calm'\ndescription = { zh = '', en = '' }\nduration_s = 1\n";
    let answer = http()
        .post(format!("{base}/sandbox/scenario"))
        .header("content-type", "application/toml")
        .body(toml)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert!(stripe.sandbox.faults().rules().is_empty());
    assert_eq!(call(&base, "POST", "/sandbox/scenario", r#"{"name":"storm"}"#).await.0, 404);
    assert_eq!(
        call(&base, "POST", "/sandbox/scenario", r#"{"name":"calm","scale":-1}"#).await.0,
        422
    );
    stripe.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn books_accounts_and_pages() {
    let alipay = Alipay::start().await;
    let base = alipay.sandbox.base_url();
    let order = json!({ "out_trade_no": "a1", "total_amount": "1.00", "subject": "<b>tea</b>" });
    assert_eq!(
        alipay.call("alipay.trade.precreate", order).await["sub_code"],
        "ACQ.INVALID_PARAMETER"
    );
    let order = json!({ "out_trade_no": "a1", "total_amount": "1.00", "subject": "<b>tea" });
    let code = alipay.call("alipay.trade.precreate", order).await["qr_code"].clone();
    let (_, books) = call(&base, "GET", "/sandbox/books", "").await;
    assert_eq!(books["orders"][0]["status"], "not_opened");
    let page = http().get(code.as_str().unwrap()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("&lt;b&gt;tea") && !page.contains("<b>"), "{page}");
    let (status, paid) =
        call(&base, "POST", "/sandbox/pay", &json!({ "code": code, "bank": "CMB" }).to_string())
            .await;
    assert_eq!((status, &paid["paid"]), (200, &json!(true)));
    let (_, books) = call(&base, "GET", "/sandbox/books", "").await;
    assert_eq!(books["orders"][0]["status"], "paid");
    assert_eq!(books["orders"][0]["bank"], "CMB");
    assert_eq!(books["movements"][0]["amount_minor"], 100);
    let (_, none) = call(&base, "GET", "/sandbox/books?order_no=a2", "").await;
    assert_eq!((&none["orders"], &none["movements"]), (&json!([]), &json!([])));
    let index = http().get(&base).header("accept-language", "zh-CN").send().await.unwrap();
    assert!(index.text().await.unwrap().contains("沙箱"));
    let (_, accounts) = call(&base, "GET", "/sandbox/accounts", "").await;
    assert_eq!(accounts["accounts"][0].get("material"), None);
    alipay.sandbox.reveal_keys(true);
    let (_, accounts) = call(&base, "GET", "/sandbox/accounts", "").await;
    assert!(accounts["accounts"][0]["material"]["app_private_key_pem"].is_string());
    for wrong in [
        json!({}),
        json!({ "code": "x", "order_no": "y" }),
        json!({ "code": "x", "outcome": "steal" }),
        json!({ "code": "x", "colour": "red" }),
    ] {
        assert_eq!(call(&base, "POST", "/sandbox/pay", &wrong.to_string()).await.0, 400, "{wrong}");
    }
    assert_eq!(call(&base, "POST", "/sandbox/pay", r#"{"code":"x"}"#).await.0, 404);
    alipay.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_of_one_provider_have_books_and_faults_of_their_own() {
    use sandbox::{Account, Fault, FaultRule, MerchantMaterial, OneOrMany};
    let accounts: Vec<Account> =
        ["one", "two"].iter().map(|name| Account::generate_stripe(name, 7, None)).collect();
    let secrets: Vec<String> = accounts
        .iter()
        .map(|account| match account.merchant_material() {
            MerchantMaterial::Stripe { secret_key, .. } => secret_key,
            _ => panic!("Stripe accounts have Stripe material"),
        })
        .collect();
    let sandbox = crate::client::start(accounts).await;
    let mut rule = FaultRule::always(Fault::Refuse);
    rule.matches.account = Some(OneOrMany(vec!["two".to_owned()]));
    sandbox.faults().add(rule).unwrap();
    let create = |secret: &str| {
        http()
            .post(format!("{}/v1/payment_intents", sandbox.base_url()))
            .basic_auth(secret, None::<&str>)
            .header("idempotency-key", "k")
            .body("amount=500&currency=usd&metadata[order_id]=o1")
            .send()
    };
    let made: Value = create(&secrets[0]).await.unwrap().json().await.unwrap();
    assert!(create(&secrets[1]).await.is_err());
    sandbox.faults().clear();
    let other: Value = create(&secrets[1]).await.unwrap().json().await.unwrap();
    assert_ne!(made["id"], other["id"], "keys are per account");
    let books = sandbox.books();
    assert_eq!(books.find("o1").map(|o| o.account.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let target = PayTarget::order(ProviderKind::Stripe, Some("two"), "o1");
    assert_eq!(sandbox.pay(&target).await.unwrap().account, "two");
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_page_says_what_it_is_told_to_say() {
    let stripe = Stripe::start().await;
    let base = stripe.sandbox.base_url();
    let (_, page) = call(&base, "GET", "/sandbox/status/summary.json", "").await;
    assert_eq!(page["components"][0]["name"], "st");
    assert_eq!(page["components"][0]["status"], "operational");
    let told = r#"{"components":{"st":"major_outage"}}"#;
    assert_eq!(call(&base, "POST", "/sandbox/status", told).await.0, 200);
    let url = format!("{base}/sandbox/status/summary.json");
    let answer = http().get(&url).send().await.unwrap();
    let etag = answer.headers()["etag"].clone();
    let page: Value = answer.json().await.unwrap();
    assert_eq!(page["components"][0]["status"], "major_outage");
    let same = http().get(&url).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(same.status(), 304);
    assert_eq!(call(&base, "POST", "/sandbox/status", r#"{"parts":1}"#).await.0, 400);
    assert_eq!(call(&base, "DELETE", "/sandbox/status", "").await.0, 200);
    let changed = http().get(&url).header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(changed.status(), 200);
    assert_eq!(call(&base, "PUT", "/sandbox/status", "").await.0, 405);
    stripe.sandbox.shutdown().await;
}
