//! Where a payment would go: by rules, prices, operators' words and health, and as the engine
//! does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Answer, Outcome};
use engine::{Channel, Options};
use resilience::{Fee, FeeTable, Guide, RuleText, Rules, Then};
use serde_json::{Value, json};

use crate::world::{World, channel_id, order, world};

/// A second channel for Alipay, which costs less, and these rules.
async fn with_rules(rules: Vec<RuleText>) -> World {
    let world = world().await;
    let mut options = Options::clone(&world.engine.options());
    let main = options.channels[0].clone();
    options.channels.push(Channel { id: channel_id("alipay-backup"), ..main });
    let ids: Vec<_> = options.channels.iter().map(|c| c.id.clone()).collect();
    let price = |rate_ppm| FeeTable { lines: vec![Fee { rate_ppm, ..Fee::default() }] };
    options.guide = Arc::new(Guide {
        rules: Rules::read(&rules, &ids).unwrap(),
        fees: BTreeMap::from([
            (channel_id("alipay-main"), price(6_000)),
            (channel_id("alipay-backup"), price(3_800)),
        ]),
        ..Guide::default()
    });
    world.engine.set_options(options);
    world
}

fn rule(name: &str, when: &str, then: Then) -> RuleText {
    RuleText { name: name.into(), when: Some(when.into()), then, ..RuleText::default() }
}

fn prefer(channel: &str) -> Then {
    Then { prefer: vec![channel_id(channel)], ..Then::default() }
}

fn rules() -> Vec<RuleText> {
    let only = Then { only: vec![channel_id("alipay-main")], ..Then::default() };
    vec![
        RuleText { goes_on: true, ..rule("noted", "metadata.shop == 'x'", prefer("alipay-main")) },
        rule("large", "method == 'alipay' && amount_minor >= 500000", only),
        rule("small", "method == 'alipay'", prefer("alipay-backup")),
    ]
}

fn question(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "CNY", "methods": ["alipay", "wechat_pay"] })
}

async fn explain(world: &World, body: &Value) -> Value {
    let answered = world.post(&world.li, "/v1/route/explain", body).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    answered.json()
}

#[tokio::test]
async fn an_explanation_tells_order_reasons_prices_and_rules() {
    let world = with_rules(rules()).await;
    insta::assert_json_snapshot!("small", explain(&world, &question(12_50)).await);
    insta::assert_json_snapshot!("large", explain(&world, &question(500_000)).await);
    let decided = world.post(&world.shop, "/v1/route/decide", &question(12_50)).await;
    let told = json!({ "channel": "alipay-backup", "method": "alipay",
        "reason": "put first by rule small" });
    assert_eq!(decided.json(), told);
}

/// What is explained is what is done, whatever is down, disabled, preferred or ruled.
#[tokio::test]
async fn the_engine_does_what_the_explanation_says() {
    for case in 0..16_u8 {
        let world = with_rules(if case & 1 == 0 { rules() } else { vec![] }).await;
        let control = |path: &'static str| {
            let body = json!({ "reason": "test", "method": "alipay" });
            let world = &world;
            async move { assert_eq!(world.post(&world.li, path, &body).await.status, 200) }
        };
        if case & 2 != 0 {
            control("/v1/channels/alipay-backup/disable").await;
        }
        if case & 4 != 0 {
            control("/v1/channels/alipay-main/prefer").await;
        }
        if case & 8 != 0 {
            knock_down(&world, "alipay-main").await;
        }
        for (n, amount) in [12_50, 500_000].into_iter().enumerate() {
            let told = explain(&world, &question(amount)).await;
            let again = explain(&world, &question(amount)).await;
            assert_eq!(told, again, "asking changes nothing");
            let mut body = order(&format!("SO-{n}"));
            body["amount"] = json!(amount);
            let attempt = &world.pay(body).await["attempts"][0];
            for field in ["channel", "method", "reason", "order", "excluded", "rules"] {
                assert_eq!(attempt[field], told[field], "case {case}, {amount}, {field}");
            }
        }
    }
}

/// Fails calls on a channel until its cell is down.
async fn knock_down(world: &World, channel: &str) {
    let refused = || Answer::Create(Outcome::Unavailable(domain::Fault::new("refused", "")));
    for n in 0..20 {
        let before = explain(world, &question(12_50)).await;
        let down = before["excluded"].as_array().unwrap();
        if down.iter().any(|c| c["channel"] == channel && c["why"] == "down") {
            return;
        }
        world.script.next(std::iter::repeat_with(refused).take(4));
        world.post(&world.shop, "/v1/payments", &order(&format!("KO-{n}"))).await;
        while world.script.take().is_some() {}
    }
    panic!("{channel} did not fall");
}

#[tokio::test]
async fn an_operator_prefers_a_channel_until_it_is_released() {
    let world = with_rules(rules()).await;
    let body = json!({ "reason": "contract", "for_s": 3600 });
    let path = "/v1/channels/alipay-main/prefer";
    assert_eq!(world.post(&world.shop, path, &body).await.problem(), "forbidden");
    let done = world.post(&world.li, path, &body).await.json();
    assert_eq!(done["channels"][0]["methods"][0]["preferred"]["by"], "li");
    let told = explain(&world, &question(12_50)).await;
    assert_eq!(
        (&told["channel"], &told["reason"]),
        (&json!("alipay-main"), &json!("preferred by li"))
    );
    world.clock.wind(std::time::Duration::from_secs(3_601));
    assert_eq!(explain(&world, &question(12_50)).await["channel"], "alipay-backup", "it has ended");
    world.post(&world.li, path, &json!({ "reason": "again" })).await;
    let released = world.post(&world.li, "/v1/channels/alipay-main/release", &json!({})).await;
    assert_eq!(released.json()["channels"][0]["methods"][0]["preferred"], Value::Null);
    let audit = world.get(&world.li, "/v1/audit").await.json();
    assert_eq!(audit["lines"][0]["action"], "release alipay-main");
    assert_eq!(audit["lines"][1]["action"], "prefer alipay-main");
}

#[tokio::test]
async fn a_rule_that_cannot_be_evaluated_is_counted_and_loses_no_payment() {
    let world = with_rules(rules()).await;
    let metric = "evergate_routing_rule_errors_total{rule=\"noted\"}";
    let before = world.metric(metric).await;
    let paid = world.pay(order("SO-1")).await;
    assert_eq!(paid["attempts"][0]["channel"], "alipay-backup");
    let skipped = &paid["attempts"][0]["rules"][1];
    assert_eq!((&skipped["name"], &skipped["skipped"]), (&json!("noted"), &json!(true)));
    assert!(world.metric(metric).await > before);
    let mut body = order("SO-2");
    body["metadata"] = json!({ "shop": "x" });
    assert_eq!(world.pay(body).await["attempts"][0]["channel"], "alipay-main");
}

#[tokio::test]
async fn questions_are_refused_with_reasons() {
    let world = world().await;
    for path in ["/v1/route/explain", "/v1/route/decide"] {
        assert_eq!(world.post("", path, &question(1)).await.problem(), "unauthorized");
        for (field, value) in [
            ("amount", json!(0)),
            ("currency", json!("yuan")),
            ("methods", json!(["cash"])),
            ("issuer", json!("")),
            ("purpose", json!("synthetic")),
            ("tier", json!("gold")),
            ("direct", json!("yes")),
            ("metadata", json!({ "a": 1 })),
            ("merchant", json!("other")),
            ("at", json!("tomorrow")),
            ("when", json!("now")),
        ] {
            let mut body = question(12_50);
            body[field] = value;
            let answered = world.post(&world.shop, path, &body).await;
            assert_eq!(answered.problem(), "invalid-request", "{field}");
            let told = answered.json()["field"].as_str().unwrap().to_owned();
            assert!(told.starts_with(field), "{field}: {told}");
        }
        let nobody = json!({ "amount": 1, "currency": "EUR" });
        assert_eq!(world.post(&world.shop, path, &nobody).await.problem(), "no-channel");
    }
}
