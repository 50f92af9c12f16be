//! The ladder, pauses and holds over HTTP: who may, what is refused and how.

use serde_json::json;

use crate::world::{order, world};

#[tokio::test]
async fn what_has_no_end_or_reason_is_refused_by_name() {
    let world = world().await;
    let long = json!({ "reason": "x", "for_s": 30_000_000 });
    for (path, body, field) in [
        ("/v1/features/renewal/pause", json!({ "reason": "x" }), "until"),
        ("/v1/features/renewal/pause", json!({ "for_s": 60 }), "reason"),
        ("/v1/features/renewal/pause", long, "until"),
        ("/v1/features/renewal/resume", json!({}), "reason"),
        ("/v1/ladder/move", json!({ "scope": "all", "level": "held", "reason": "x" }), "until"),
        ("/v1/ladder/move", json!({ "scope": "you", "level": "held", "reason": "x" }), "scope"),
        ("/v1/ladder/move", json!({ "scope": "all", "level": "six", "reason": "x" }), "level"),
        ("/v1/ladder/lift", json!({ "reason": "x" }), "scope"),
    ] {
        assert_eq!(world.post(&world.shop, path, &body).await.problem(), "forbidden");
        let answered = world.post(&world.li, path, &body).await;
        assert_eq!(answered.problem(), "invalid-request", "{path} {body}");
        let told = answered.json();
        let named = told["errors"].as_array().unwrap().iter().any(|e| e["field"] == field);
        assert!(named, "{path} {body}: {told}");
    }
    for (name, rule) in [("Renewal!", "a purpose is"), ("synthetic", "own trials")] {
        let path = format!("/v1/features/{name}/pause");
        let answered = world.post(&world.li, &path, &json!({ "reason": "x", "for_s": 60 })).await;
        assert_eq!(answered.problem(), "not-found");
        assert!(answered.json()["detail"].as_str().unwrap().contains(rule), "{answered:?}");
    }
    let ladder = world.get(&world.shop, "/v1/ladder").await.json();
    assert_eq!((&ladder["level"], &ladder["paused"]), (&json!("normal"), &json!([])));
}

#[tokio::test]
async fn a_pause_is_seen_and_resumed_once() {
    let world = world().await;
    let pause = json!({ "reason": "double charges feared", "for_s": 3_600 });
    let paused = world.post(&world.li, "/v1/features/top_up/pause", &pause).await.json();
    assert_eq!(paused["paused"][0]["purpose"], "top_up");
    assert_eq!(paused["paused"][0]["by"], "li");
    let mut top_up = order("T-1");
    top_up["purpose"] = "top_up".into();
    let kept = world.pay(top_up).await;
    assert_eq!(kept["status"], "paused");
    assert_eq!(kept["notice"]["zh"], "扣款功能暂停中，恢复后将自动处理，期间不会扣款");
    let path = format!("/v1/payments/{}/attempts", kept["id"].as_str().unwrap());
    assert_eq!(world.post(&world.shop, &path, &json!({})).await.json()["status"], "paused");
    let resume = json!({ "reason": "cause found" });
    for was_paused in [true, false] {
        let path = "/v1/features/top_up/resume";
        let resumed = world.post(&world.li, path, &resume).await.json();
        assert_eq!(resumed["was_paused"], was_paused, "{resumed}");
    }
}

#[tokio::test]
async fn holds_are_the_merchants_and_extended_by_a_later_end_only() {
    let world = world().await;
    let payment = world.pay(order("H-1")).await;
    let id = payment["id"].as_str().unwrap();
    let path = |act: &str| format!("/v1/payments/{id}/{act}");
    let longer = json!({ "reason": "asked", "for_s": 172_800 });
    let not_held = world.post(&world.shop, &path("extend"), &longer).await;
    assert_eq!(not_held.problem(), "wrong-state");
    let too_long = world.post(&world.shop, &path("hold"), &json!({ "for_s": 9_000_000 })).await;
    assert_eq!(too_long.problem(), "invalid-request");
    let held = world.post(&world.shop, &path("hold"), &json!({})).await.json();
    assert_eq!((&held["hold"]["by"], &held["hold"]["ended"]), (&json!("merchant"), &json!(null)));
    assert_eq!(held["expires_at"], held["hold"]["until"]);
    let again = world.post(&world.li, &path("hold"), &json!({ "for_s": 60 })).await.json();
    assert_eq!(again["hold"], held["hold"], "held already");
    let sooner = json!({ "reason": "asked", "for_s": 60 });
    let sooner = world.post(&world.li, &path("extend"), &sooner).await;
    assert_eq!(sooner.json()["errors"][0]["field"], "until", "{sooner:?}");
    let extended = world.post(&world.li, &path("extend"), &longer).await.json();
    assert!(extended["expires_at"].as_str() > held["expires_at"].as_str());
    let cancelled = world.post(&world.shop, &path("cancel"), &json!({})).await.json();
    assert_eq!(cancelled["hold"]["ended"], "cancelled", "{cancelled}");
    assert_eq!(world.post(&world.li, &path("hold"), &json!({})).await.problem(), "payment-ended");
    let mut never = order("H-2");
    never["hold"] = false.into();
    let id = world.pay(never).await["id"].as_str().unwrap().to_owned();
    let refused = world.post(&world.shop, &format!("/v1/payments/{id}/hold"), &json!({})).await;
    assert_eq!(refused.problem(), "wrong-state");
}
