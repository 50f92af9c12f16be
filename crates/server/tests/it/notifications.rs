//! Forged, replayed, truncated and misfit notifications.

use serde_json::json;

use crate::world::{order, world};

#[tokio::test]
async fn notifications_prove_themselves_and_change_nothing_otherwise() {
    let world = world().await;
    let payment = world.pay(order("SO-1")).await;
    let number = payment["attempts"][0]["number"].as_str().unwrap();
    let paid = json!({ "number": number, "state": "paid", "amount": 1999 }).to_string();
    let wrong = json!({ "number": number, "state": "paid", "amount": 1 }).to_string();
    let nobody = json!({ "number": "E1", "state": "paid", "amount": 1999 }).to_string();
    let refused = (500, "fail".to_owned());
    let taken = (200, "success".to_owned());
    let cases = [
        ("alipay-main", "false", paid.clone(), &refused, "forged"),
        ("alipay-main", "true", paid[..20].to_owned(), &refused, "malformed"),
        ("alipay-main", "true", wrong, &refused, "misfit"),
        ("alipay-main", "true", nobody, &refused, "no_payment"),
        ("wechat-main", "true", paid.clone(), &refused, "no_payment"),
        ("alipay-main", "true", "{}".to_owned(), &taken, "irrelevant"),
    ];
    for (channel, proof, body, expected, result) in cases {
        let metric =
            format!(r#"evergate_notifications_total{{channel="{channel}",result="{result}"}}"#);
        let before = world.metric(&metric).await;
        let answered = world.notify(channel, proof, body.clone()).await;
        assert_eq!(&(answered.status, answered.text), expected, "{result}");
        assert!(world.metric(&metric).await > before, "{metric}");
    }
    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    assert_eq!(world.get(&world.shop, &path).await.json()["status"], "requires_customer");

    for _ in 0..3 {
        let replayed = world.notify("alipay-main", "true", paid.clone()).await;
        assert_eq!((replayed.status, replayed.text), taken);
    }
    let after = world.get(&world.shop, &path).await.json();
    assert_eq!(after["status"], "paid");
    let story = world.get(&world.shop, &format!("{path}/events")).await.text;
    assert_eq!(story.matches(r#""attempt_paid""#).count(), 1);

    let unknown = world.notify("nobody", "true", paid).await;
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "channel-not-found"));
}

#[tokio::test]
async fn a_notification_that_cannot_be_kept_is_asked_for_again() {
    let world = world().await;
    let payment = world.pay(order("SO-1")).await;
    world.store.fail(Some(store::StoreError::Full("disk".into())));
    let answered = world.paid(&payment, 1999).await;
    assert_eq!((answered.status, answered.text.as_str()), (500, "fail"));
    world.store.fail(None);
    assert_eq!(world.paid(&payment, 1999).await.text, "success");
}
