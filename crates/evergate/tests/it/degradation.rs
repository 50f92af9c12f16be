//! Orders that are held and renewals that are paused, as an operator and a merchant see them.

use evergate::demo::Receiver;
use serde_json::{Value, json};

use crate::support::{Town, code, code_of, eventually, json_of, order, stderr, stdout};

fn operate(town: &Town, args: &[&str]) -> Value {
    let output = town.command(&town.operator_key, &[args, &["--json"]].concat());
    assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
    json_of(&output)
}

fn refused(town: &Town, args: &[&str]) -> String {
    let output = town.command(&town.operator_key, args);
    assert_ne!(code(&output), 0, "{args:?}: {}", stdout(&output));
    let told = stderr(&output);
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

/// What the merchant was told of a payment.
fn kinds(receiver: &Receiver, id: &str) -> Vec<String> {
    let of_it = format!("msg_{}_", id.trim_start_matches("pay_"));
    let received = receiver.received().messages.into_iter();
    received.filter(|(id, _)| id.starts_with(&of_it)).map(|(_, kind)| kind).collect()
}

async fn show(town: &Town, id: &str) -> Value {
    town.api().get(&format!("/v1/payments/{id}"), &[]).await.unwrap()
}

/// Rule 10, as a merchant with a stock sees it.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_held_extended_paid_once_and_released_once() {
    let receiver = Receiver::start().await.unwrap();
    let town = Town::start(&receiver.url(), receiver.secret());
    let _gateway = town.serve();
    town.ready().await;
    let all = ["ladder", "move", "all", "held", "--reason", "hostile traffic"];
    let endless = refused(&town, &all);
    assert!(endless.contains("until") && endless.contains("end"), "{endless}");
    let moved = operate(&town, &[&all[..], &["--for", "1h"]].concat());
    assert_eq!(moved["level"], "held", "{moved}");
    let (status, held) =
        town.api().post("/v1/payments", &order("H-1", 1_999, "alipay"), None).await.unwrap();
    assert_eq!((status, held["status"].as_str()), (201, Some("held")), "{held}");
    assert_eq!(held["hold"]["by"], "ladder");
    let id = held["id"].as_str().unwrap();
    let people = stdout(&town.command(&town.operator_key, &["payments", "show", id]));
    assert!(people.contains("order kept until"), "{people}");
    let longer = ["payments", "extend", id, "--reason", "asked by telephone", "--for", "48h"];
    let longer = operate(&town, &longer);
    assert!(longer["expires_at"].as_str() > held["expires_at"].as_str(), "{longer}");

    operate(&town, &["ladder", "lift", "all", "--reason", "traffic is gone"]);
    let again = refused(&town, &["ladder", "lift", "all", "--reason", "twice"]);
    assert!(again.contains("nobody has moved"), "{again}");
    let path = format!("/v1/payments/{id}/attempts");
    let (_, shown) = town.api().post(&path, &json!({}), None).await.unwrap();
    assert_eq!(shown["status"], "requires_customer", "{shown}");
    assert_eq!(town.sandbox("pay", json!({ "code": code_of(&shown) })).await["paid"], true);
    let told = eventually("the merchant is told of the end", async || {
        let kinds = kinds(&receiver, id);
        kinds.contains(&"payment.released".to_owned()).then_some(kinds)
    })
    .await;
    let count = |kind: &str| told.iter().filter(|told| *told == kind).count();
    assert_eq!((count("payment.held"), count("payment.released")), (1, 1), "{told:?}");
    let paid = show(&town, id).await;
    assert_eq!((&paid["status"], &paid["hold"]["ended"]), (&json!("paid"), &json!("paid")));
}

/// Rule 9: a pause keeps renewals from being charged, survives a crash, and lets them go on.
#[tokio::test(flavor = "multi_thread")]
async fn renewals_are_paused_over_a_crash_and_charged_once_afterwards() {
    let receiver = Receiver::start().await.unwrap();
    let town = Town::start(&receiver.url(), receiver.secret());
    let mut gateway = town.serve();
    town.ready().await;
    let pause = ["features", "pause", "renewal", "--reason", "double charges feared"];
    assert!(refused(&town, &pause).contains("until"));
    let typo = ["features", "pause", "renewals", "--reason", "x", "--for", "1h"];
    assert!(refused(&town, &typo).contains("purpose"));
    operate(&town, &[&pause[..], &["--for", "2h"]].concat());
    let renewal = |number: &str| {
        let mut wish = order(number, 2_500, "card");
        wish["purpose"] = "renewal".into();
        wish["token"] = "pm_card_visa".into();
        wish["due_at"] = "2026-11-01T00:00:00Z".into();
        wish
    };
    let mut ids = Vec::new();
    for number in ["R-1", "R-2", "R-3"] {
        let (_, kept) = town.api().post("/v1/payments", &renewal(number), None).await.unwrap();
        assert_eq!(kept["status"], "paused", "{kept}");
        assert_eq!(kept["paused"]["due_at"], "2026-11-01T00:00:00Z");
        ids.push(kept["id"].as_str().unwrap().to_owned());
    }
    let cancelled = town.command(&town.api_key, &["payments", "cancel", &ids[1], "--json"]);
    assert_eq!(json_of(&cancelled)["status"], "cancelled");
    gateway.kill();
    let _gateway = town.serve();
    town.ready().await;
    assert_eq!(show(&town, &ids[0]).await["status"], "paused");
    let resume = ["features", "resume", "renewal", "--reason", "cause found"];
    assert_eq!(operate(&town, &resume)["was_paused"], true);
    assert_eq!(operate(&town, &resume)["was_paused"], false, "twice is once");
    for id in [&ids[0], &ids[2]] {
        let paid = eventually("it is charged", async || {
            Some(show(&town, id).await).filter(|payment| payment["status"] == "paid")
        })
        .await;
        assert_eq!(paid["attempts"].as_array().unwrap().len(), 1, "{paid}");
    }
    assert_eq!(show(&town, &ids[1]).await["status"], "cancelled");
    let told = eventually("the merchant is told", async || {
        let kinds = kinds(&receiver, &ids[0]);
        kinds.contains(&"payment.paid".to_owned()).then_some(kinds)
    })
    .await;
    for kind in ["payment.paused", "payment.resumed", "subscription.grace_extended"] {
        assert_eq!(told.iter().filter(|told| *told == kind).count(), 1, "{kind}: {told:?}");
    }
}
