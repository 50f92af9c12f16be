//! Planned absences, downtimes and synthetic payments over HTTP.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{ChannelId, Currency, Method, Money};
use engine::Trial;
use serde_json::{Value, json};

use crate::world::{Answered, World, world};

#[tokio::test]
async fn an_operator_plans_an_absence_and_takes_it_back() {
    let world = world().await;
    let plan = json!({
        "channel": "alipay-main", "until": "2026-11-24T12:00:00Z", "reason": "announced",
    });
    let path = "/v1/maintenance";
    assert_eq!(world.post(&world.shop, path, &plan).await.problem(), "forbidden");
    let made = world.post(&world.li, path, &plan).await;
    assert_eq!(made.status, 200, "{made:?}");
    let one = &made.json()["maintenance"][0];
    assert_eq!((&one["by"], &one["origin"]), (&json!("li"), &json!("operator")));
    assert_eq!(one["next"]["active"], true);
    // It is in force at once: the channel is drained at the next look at health.
    world.engine.watch_health();
    let order = json!({ "order_no": "S-1", "amount": 100, "currency": "CNY",
        "methods": ["alipay", "wechat_pay"] });
    assert_eq!(world.pay(order).await["channel"], "wechat-main");

    let id = one["id"].as_str().unwrap();
    let gone = format!("{path}/{id}?reason=called%20off");
    assert_eq!(world.delete(&world.li, &format!("{path}/{id}")).await.problem(), "invalid-request");
    assert_eq!(world.delete(&world.li, &gone).await.json()["maintenance"], json!([]));
    assert_eq!(world.delete(&world.li, &gone).await.problem(), "not-found");
    let audit = world.get(&world.li, "/v1/audit").await.json();
    assert_eq!(audit["lines"][0]["action"], format!("drop maintenance {id}"));
    assert_eq!(audit["lines"][0]["reason"], "called off");
}

#[tokio::test]
async fn a_weekly_absence_tells_when_it_falls_next() {
    let world = world().await;
    let plan = json!({
        "method": "alipay", "days": ["wed"], "start": "02:00", "duration_s": 7200,
        "zone": "Asia/Shanghai", "reason": "every week",
    });
    let made = world.post(&world.li, "/v1/maintenance", &plan).await.json();
    let one = &made["maintenance"][0];
    assert_eq!(one["start"], "02:00");
    assert_eq!(one["next"]["from"], "2026-11-24T18:00:00Z");
    let signals = world.get(&world.li, "/v1/signals").await.json();
    assert_eq!(signals["maintenance"][0]["scope"]["method"], "alipay");
    assert_eq!(world.get(&world.shop, "/v1/signals").await.problem(), "forbidden");
}

#[tokio::test]
async fn statements_that_are_none_are_refused_by_field() {
    let world = world().await;
    let week = |over: Value| {
        let mut plan = json!({
            "method": "alipay", "days": ["wed"], "start": "02:00", "duration_s": 7200,
            "zone": "Asia/Shanghai", "reason": "x",
        });
        plan.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        plan
    };
    for (body, field) in [
        (json!({ "reason": "x", "until": "2027-01-01T00:00:00Z" }), "channel"),
        (json!({ "reason": "x", "channel": "alipay-main" }), "until"),
        (json!({ "channel": "alipay-main", "until": "2026-11-25T00:00:00Z" }), "reason"),
        (json!({ "reason": "x", "method": "card", "until": "2020-01-01T00:00:00Z" }), "until"),
        (week(json!({ "zone": "Mars/Olympus" })), "zone"),
        (week(json!({ "start": "25:00" })), "start"),
        (week(json!({ "days": [] })), "days"),
        (week(json!({ "days": ["someday"] })), "days"),
        (week(json!({ "duration_s": 0 })), "duration_s"),
        (week(json!({ "until": "2027-01-01T00:00:00Z" })), "until"),
        (week(json!({ "days": null })), "days"),
        (week(json!({ "why": "y" })), "why"),
    ] {
        let answered = world.post(&world.li, "/v1/maintenance", &body).await;
        assert_eq!(answered.problem(), "invalid-request", "{body}");
        assert_eq!(answered.json()["field"], field, "{body}");
    }
    let plan = json!({ "channel": "nobody", "until": "2026-11-25T00:00:00Z", "reason": "x" });
    assert_eq!(
        world.post(&world.li, "/v1/maintenance", &plan).await.problem(),
        "channel-not-found"
    );
}

async fn health(world: &World, channel: usize) -> Value {
    let listed = world.get(&world.li, "/v1/channels").await.json();
    listed["channels"][channel]["methods"][0]["health"].clone()
}

#[tokio::test]
async fn a_downtime_makes_a_channel_suspect_and_takes_nothing_from_it() {
    let world = world().await;
    let event =
        |status: &str| json!({ "channel": "alipay-main", "status": status, "severity": "high" });
    let path = "/v1/downtime";
    assert_eq!(world.post(&world.shop, path, &event("started")).await.problem(), "forbidden");
    assert_eq!(world.post("", path, &event("started")).await.problem(), "unauthorized");
    let taken = world.post(&world.li, path, &event("started")).await;
    assert_eq!(taken.json()["changed"], true, "{taken:?}");
    assert_eq!(world.post(&world.li, path, &event("started")).await.json()["changed"], false);
    assert_eq!(health(&world, 0).await, "suspect");
    let order = json!({ "order_no": "S-1", "amount": 100, "currency": "CNY",
        "methods": ["alipay", "wechat_pay"] });
    assert_eq!(world.pay(order).await["channel"], "alipay-main");
    let signals = world.get(&world.li, "/v1/signals").await.json();
    assert_eq!(signals["downtimes"][0]["severity"], "major");
    assert_eq!(world.post(&world.li, path, &event("resolved")).await.json()["changed"], true);
    let bad = world.post(&world.li, path, &json!({ "status": "gone" })).await;
    assert_eq!(bad.problem(), "invalid-request");
}

async fn signed(world: &World, sender: &str, body: &str, key: [u8; 32]) -> Answered {
    let time = world.engine.now().as_secs().to_string();
    let signed = ["id-1", ".", &time, ".", body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signature = format!("v1,{}", STANDARD.encode(hmac::sign(&key, signed.as_bytes())));
    let request = world.http.post(world.url(&format!("/v1/downtime?sender={sender}")));
    let request = request
        .header("webhook-id", "id-1")
        .header("webhook-timestamp", time)
        .header("webhook-signature", signature)
        .body(body.to_owned());
    Answered::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_partner_proves_itself_and_speaks_about_its_channel_only() {
    let world = world().await;
    let event = r#"{"method":"card","status":"started","severity":"high"}"#;
    for (sender, key) in [("partner", [8; 32]), ("stranger", [7; 32])] {
        assert_eq!(signed(&world, sender, event, key).await.problem(), "unauthorized");
    }
    let taken = signed(&world, "partner", event, [7; 32]).await;
    assert_eq!(taken.json()["changed"], true, "{taken:?}");
    assert_eq!(health(&world, 2).await, "suspect");
    let foreign = r#"{"channel":"alipay-main","status":"started","severity":"high"}"#;
    assert_eq!(signed(&world, "partner", foreign, [7; 32]).await.json()["changed"], false);
    assert_eq!(health(&world, 0).await, "healthy");
    let broken = signed(&world, "partner", "{", [7; 32]).await;
    assert_eq!(broken.problem(), "invalid-request");
}

#[tokio::test]
async fn synthetic_payments_are_shown_to_operators_who_ask() {
    let world = world().await;
    let trial = Trial {
        channel: ChannelId::new("alipay-main").unwrap(),
        method: Method::Alipay,
        money: Money::new(1, Currency::CNY).unwrap(),
        token: None,
        subject: "check".to_owned(),
    };
    let tried = world.engine.try_channel(&trial).await.unwrap().unwrap();
    let count = async |key: &str, query: &str| {
        let listed = world.get(key, &format!("/v1/payments{query}")).await.json();
        listed["payments"].as_array().unwrap().len()
    };
    assert_eq!(count(&world.li, "").await, 0);
    assert_eq!(count(&world.li, "?synthetic=true").await, 1);
    assert_eq!(count(&world.shop, "?synthetic=true").await, 0);
    let path = format!("/v1/payments/{}", tried.payment.id);
    let shown = world.get(&world.li, &path).await.json();
    assert_eq!((&shown["synthetic"], &shown["purpose"]), (&json!(true), &json!("synthetic")));
    assert_eq!(world.get(&world.shop, &path).await.problem(), "not-found");
    let messages = world.get(&world.li, "/v1/messages").await.json();
    assert_eq!(messages["messages"], json!([]));
    let order = json!({ "order_no": "S-1", "amount": 100, "currency": "CNY",
        "methods": ["alipay"], "purpose": "synthetic" });
    let refused = world.post(&world.shop, "/v1/payments", &order).await;
    assert_eq!(refused.problem(), "invalid-request", "merchants have no such purpose");
}
