//! `evergate sandbox` and `evergate serve` as a newcomer runs them, and the commands that talk
//! to them.

use std::time::Duration;

use evergate::demo::Receiver;
use serde_json::{Value, json};

use crate::support::{Town, code, code_of, eventually, json_of, order, stderr, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_from_its_code_to_its_refund() {
    let receiver = Receiver::start().await.unwrap();
    let town = Town::start(&receiver.url(), receiver.secret());
    let _gateway = town.serve();
    town.ready().await;
    let api = town.api();

    for (number, method) in [("A-1", "alipay"), ("W-1", "wechat_pay"), ("C-1", "card")] {
        let (status, payment) =
            api.post("/v1/payments", &order(number, 1_999, method), Some(number)).await.unwrap();
        assert_eq!((status, payment["status"].as_str()), (201, Some("requires_customer")));
        let (again, same) =
            api.post("/v1/payments", &order(number, 1_999, method), Some(number)).await.unwrap();
        assert_eq!((again, &same["id"]), (200, &payment["id"]));

        let result = town.sandbox("pay", json!({ "code": code_of(&payment) })).await;
        assert_eq!(result["paid"], true, "{result}");
        let id = payment["id"].as_str().unwrap();
        eventually("the merchant is told", async || {
            receiver.received().paid.contains(id).then_some(())
        })
        .await;
        let paid = api.get(&format!("/v1/payments/{id}"), &[]).await.unwrap();
        assert_eq!(paid["status"], "paid");
        refund_in_parts(&town, id);
    }
    assert_eq!(receiver.received().forged, 0);
    cancel_another(&town).await;
    look_around(&town);
}

/// At PayPal the customer only approves: the webhook of that makes the gateway capture, but not
/// once the merchant has cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn a_paypal_approval_is_captured_while_it_is_wanted_and_not_afterwards() {
    let receiver = Receiver::start().await.unwrap();
    let town = Town::start(&receiver.url(), receiver.secret());
    let _gateway = town.serve();
    town.ready().await;
    let api = town.api();
    let create = async |number: &str| {
        let mut wish = order(number, 1_999, "paypal");
        wish["currency"] = "USD".into();
        let (status, payment) = api.post("/v1/payments", &wish, None).await.unwrap();
        assert_eq!(status, 201, "{payment}");
        let id = payment["id"].as_str().unwrap().to_owned();
        (id, payment["presentation"]["url"].as_str().unwrap().to_owned())
    };
    let (id, link) = create("P-1").await;
    assert_eq!(town.sandbox("pay", json!({ "code": link })).await["paid"], true);
    eventually("the merchant is told", async || {
        receiver.received().paid.contains(&id).then_some(())
    })
    .await;
    refund_in_parts(&town, &id);

    let (id, link) = create("P-2").await;
    let cancelled = json_of(&town.command(&town.api_key, &["payments", "cancel", &id, "--json"]));
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    let late = town.sandbox("pay", json!({ "code": link })).await;
    assert_eq!(late["provider_status"], "APPROVED", "{late}");
    let number = late["order_no"].as_str().unwrap();
    eventually("the gateway hears of the approval", async || {
        let log = town.sandbox("notifications", Value::Null).await;
        let told = log["notifications"].as_array().unwrap().iter().any(|line| {
            line["order_no"] == number
                && line["event"] == "CHECKOUT.ORDER.APPROVED"
                && line["result"] == "acknowledged"
        });
        told.then_some(())
    })
    .await;
    let books = town.sandbox(&format!("books?order_no={number}"), Value::Null).await;
    assert_eq!(books["orders"][0]["captured_minor"], 0, "{books}");
    let payment = api.get(&format!("/v1/payments/{id}"), &[]).await.unwrap();
    assert_eq!(payment["status"], "cancelled");
}

fn refund_in_parts(town: &Town, id: &str) {
    let refund = |amount: &str| {
        town.command(&town.api_key, &["payments", "refund", id, "--amount", amount, "--json"])
    };
    let first = refund("500");
    assert_eq!(code(&first), 0, "{}", stderr(&first));
    let too_much = refund("1500");
    assert_eq!(code(&too_much), 2);
    let told = stderr(&too_much);
    assert!(told.contains("1499") && told.lines().count() == 1, "{told}");
    let rest = json_of(&town.command(&town.api_key, &["payments", "refund", id, "--json"]));
    assert_eq!(rest["refund"]["amount"], 1_499, "{rest}");
    assert_eq!(rest["payment"]["refundable_amount"], 0, "{rest}");
}

async fn cancel_another(town: &Town) {
    let (_, payment) =
        town.api().post("/v1/payments", &order("A-2", 700, "wechat_pay"), None).await.unwrap();
    let id = payment["id"].as_str().unwrap().to_owned();
    let cancelled = json_of(&town.command(&town.api_key, &["payments", "cancel", &id, "--json"]));
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    let refused = town.sandbox("pay", json!({ "code": code_of(&payment) })).await;
    assert_ne!(refused["paid"], true, "{refused}");
}

fn look_around(town: &Town) {
    let list = town.command(&town.api_key, &["payments", "list"]);
    assert!(stdout(&list).contains("A-1"), "{}", stdout(&list));
    let paid =
        json_of(&town.command(&town.api_key, &["payments", "list", "--order", "A-1", "--json"]));
    let id = paid["payments"][0]["id"].as_str().unwrap().to_owned();
    let shown = town.command(&town.api_key, &["payments", "show", &id]);
    assert!(stdout(&shown).contains("attempt_started"), "{}", stdout(&shown));

    let seen =
        json_of(&town.command(&town.operator_key, &["channels", "watch", "--once", "--json"]));
    assert_eq!(seen["channels"][0]["methods"][0]["health"], "healthy", "{seen}");
    let frame =
        stdout(&town.command(&town.operator_key, &["channels", "watch", "--once", "--lang", "en"]));
    for part in ["statistic", "alipay-main", "retries left"] {
        assert!(frame.contains(part), "{part} is not in\n{frame}");
    }

    let off = ["channels", "disable", "alipay-main", "--reason", "maintenance", "--for", "5m"];
    let refused = town.command(&town.api_key, &off);
    assert_eq!(code(&refused), 2, "a merchant may not");
    let off = town.command(&town.operator_key, &off);
    assert_eq!(code(&off), 0, "{}", stderr(&off));
    assert!(stdout(&off).contains("maintenance"), "{}", stdout(&off));
    let on = ["channels", "enable", "alipay-main", "--reason", "done", "--json"];
    let on = json_of(&town.command(&town.operator_key, &on));
    assert_eq!(on["channels"][0]["methods"][0]["disabled"], Value::Null, "{on}");

    let messages = json_of(&town.command(&town.operator_key, &["messages", "list", "--json"]));
    let id = messages["messages"][0]["id"].as_str().unwrap().to_owned();
    let again = town.command(&town.operator_key, &["messages", "resend", &id]);
    assert_eq!(code(&again), 0, "{}", stderr(&again));
    let nothing = town.command(&town.api_key, &["payments", "show", "pay_unknown"]);
    assert_eq!(code(&nothing), 2);
    assert_eq!(stderr(&nothing).lines().count(), 1, "{}", stderr(&nothing));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_lets_requests_under_way_end() {
    let receiver = Receiver::start().await.unwrap();
    let town = Town::start(&receiver.url(), receiver.secret());
    let mut gateway = town.serve();
    town.ready().await;
    let slow = json!({
        "match": { "provider": "alipay", "operation": "create" },
        "fault": { "kind": "slow", "delay_ms": 1000 },
    });
    town.sandbox("faults", slow).await;
    let api = town.api();
    let under_way = tokio::spawn(async move {
        api.post("/v1/payments", &order("S-1", 300, "alipay"), Some("S-1")).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let ended = tokio::task::spawn_blocking(move || gateway.terminate()).await.unwrap();
    let (status, payment) = under_way.await.unwrap().unwrap();
    assert_eq!((status, payment["status"].as_str()), (201, Some("requires_customer")));
    assert_eq!(ended, 0, "{}", std::fs::read_to_string(town.log()).unwrap());
}
