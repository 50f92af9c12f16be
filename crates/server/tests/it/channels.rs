//! Channels and their controls.

use serde_json::{Value, json};

use crate::world::{order, world};

#[tokio::test]
async fn an_operator_takes_a_channel_out_and_puts_it_back() {
    let world = world().await;
    let listed = world.get(&world.shop, "/v1/channels").await.json();
    assert_eq!(listed["channels"][0]["id"], "alipay-main");
    assert_eq!(listed["channels"][0]["methods"][0]["health"], "healthy");

    let off = json!({ "reason": "maintenance", "for_s": 3600 });
    let path = "/v1/channels/alipay-main/disable";
    assert_eq!(world.post(&world.shop, path, &off).await.problem(), "forbidden");
    let done = world.post(&world.li, path, &off).await;
    assert_eq!(done.status, 200, "{done:?}");
    let over = &done.json()["channels"][0]["methods"][0]["disabled"];
    assert_eq!((&over["by"], &over["reason"]), (&json!("li"), &json!("maintenance")));
    assert_eq!(over["until"], "2026-11-24T07:00:00Z");
    let rerouted = world.pay(order("SO-1")).await;
    assert_eq!(rerouted["method"], "wechat_pay");
    assert_eq!(rerouted["notice"]["zh"], "支付宝暂时不可用，请使用微信支付");

    let on = world.post(&world.li, "/v1/channels/alipay-main/enable", &json!({})).await;
    assert_eq!(on.json()["channels"][0]["methods"][0]["disabled"], Value::Null);
    assert_eq!(world.pay(order("SO-2")).await["method"], "alipay");
    let audit = world.get(&world.li, "/v1/audit").await.json();
    let actions: Vec<&str> =
        audit["lines"].as_array().unwrap().iter().map(|l| l["action"].as_str().unwrap()).collect();
    assert_eq!(actions[0], "enable alipay-main");
    assert!(actions[1].starts_with("disable alipay-main until"));
}

#[tokio::test]
async fn a_channels_health_is_told_with_its_evidence_and_as_metrics() {
    let world = world().await;
    world.pay(order("SO-1")).await;
    let listed = world.get(&world.li, "/v1/channels").await.json();
    let method = &listed["channels"][0]["methods"][0];
    assert_eq!((&method["health"], &method["cause"]), (&json!("healthy"), &Value::Null));
    assert_eq!((&method["share"], &method["has_room"]), (&json!(100), &json!(true)));
    assert_eq!((&method["successes"], &method["failures"]), (&json!(1), &json!(0)));
    assert!(method["threshold"].as_f64().unwrap() > method["statistic"].as_f64().unwrap());
    assert!(method["technical_base"].as_f64().unwrap() > 0.99);
    assert_eq!(method["latency"]["slow"], false);
    assert_eq!(method["silence"]["calls"]["threshold"], 11.0);
    assert_eq!(method["silence"]["unpaid_codes"], 1);
    assert_eq!((&method["issuers"], &method["last_change"]), (&json!([]), &Value::Null));
    assert_eq!(listed["fleet"]["changes"], json!([]));
    assert!(listed["fleet"]["retries_left"].as_f64().unwrap() > 0.0);

    let metrics = world.get("", "/metrics").await.text;
    let state = r#"evergate_cell_state{channel="alipay-main",method="alipay",state="healthy"} 1"#;
    for line in [state, "evergate_cell_threshold_nats{", "evergate_retries_left "] {
        assert!(metrics.contains(line), "{line}");
    }
}

#[tokio::test]
async fn controls_are_refused_with_reasons() {
    let world = world().await;
    let path = "/v1/channels/alipay-main/disable";
    for (body, field) in [
        (json!({}), "reason"),
        (json!({ "reason": "" }), "reason"),
        (json!({ "reason": "x", "for_s": 0 }), "for_s"),
        (json!({ "reason": "x", "until": "2020-01-01T00:00:00Z" }), "until"),
        (json!({ "reason": "x", "until": "2027-01-01T00:00:00Z", "for_s": 5 }), "until"),
        (json!({ "reason": "x", "method": "cash" }), "method"),
        (json!({ "reason": "x", "why": "y" }), "why"),
    ] {
        let answered = world.post(&world.li, path, &body).await;
        assert_eq!(answered.problem(), "invalid-request", "{body}");
        assert_eq!(answered.json()["field"], field, "{body}");
    }
    let nobody =
        world.post(&world.li, "/v1/channels/nobody/disable", &json!({ "reason": "x" })).await;
    assert_eq!((nobody.status, nobody.problem().as_str()), (404, "channel-not-found"));
}
