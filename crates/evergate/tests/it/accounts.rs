//! Several accounts at one provider are as many channels: keys, limits, fees, health and
//! switches of their own, and a customer who sees nothing of it when one stands in for another.

use evergate::demo::Receiver;
use serde_json::{Value, json};

use crate::support::{Town, code, code_of, eventually, json_of, order, stderr};

async fn town(change: impl FnOnce(String) -> String) -> (Town, Receiver) {
    let receiver = Receiver::start().await.unwrap();
    let spares = ["--spare", "alipay", "--spare", "stripe"];
    let town = Town::start_with(&receiver.url(), receiver.secret(), &spares);
    let written = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), change(written)).unwrap();
    (town, receiver)
}

/// A line more in the table of a channel.
fn with_line(config: &str, channel: &str, line: &str) -> String {
    let name = format!("name = \"{channel}\"\n");
    assert!(config.contains(&name), "{channel} is configured");
    config.replace(&name, &format!("{name}{line}\n"))
}

fn channel(payment: &Value) -> &str {
    payment["channel"].as_str().unwrap()
}

/// One account of two at a provider refuses everything.
async fn outage(town: &Town, account: &str) {
    let rule = json!({ "match": { "account": account }, "fault": { "kind": "refuse" } });
    assert!(town.sandbox("faults", rule).await["id"].is_string());
}

/// What the customer holds, without what differs from order to order.
fn shown(payment: &Value) -> (Value, Value, Value) {
    let kind = payment["presentation"]["type"].clone();
    (payment["status"].clone(), payment["method"].clone(), kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_stands_in_for_another_of_its_provider_and_the_customer_sees_nothing() {
    let (town, receiver) = town(|config| config).await;
    let _gateway = town.serve();
    town.ready().await;
    let api = town.api();
    let create = async |number: &str| {
        let made = api.post("/v1/payments", &order(number, 1_999, "alipay"), None).await;
        made.unwrap().1
    };
    let calm = create("A-1").await;
    assert_eq!(channel(&calm), "alipay-main");
    outage(&town, "alipay-main").await;

    let rescued = create("A-2").await;
    assert_eq!(channel(&rescued), "alipay-spare");
    assert_eq!(rescued["attempts"][1]["reason"], "failover from alipay-main", "{rescued}");
    assert_eq!(shown(&rescued), shown(&calm), "the same method, the same kind of code");

    // Money, notification, books and refund are the second account's alone.
    let paid = town.sandbox("pay", json!({ "code": code_of(&rescued) })).await;
    assert_eq!(paid["paid"], true, "{paid}");
    let id = rescued["id"].as_str().unwrap().to_owned();
    eventually("the merchant is told", async || {
        receiver.received().paid.contains(&id).then_some(())
    })
    .await;
    let log = town.sandbox("notifications", Value::Null).await;
    let sent = &log["notifications"].as_array().unwrap()[0];
    let url = sent["url"].as_str().unwrap();
    assert!(url.ends_with("/v1/notifications/alipay-spare"), "{sent}");
    let refund = town.command(&town.api_key, &["payments", "refund", &id, "--json"]);
    assert_eq!(json_of(&refund)["payment"]["status"], "refunded");
    let books = town.sandbox("books?account=alipay-spare", Value::Null).await;
    assert_eq!(books["orders"][0]["refunded_minor"], 1_999, "{books}");
    let main = town.sandbox("books?account=alipay-main", Value::Null).await;
    assert!(main["movements"].as_array().unwrap().is_empty(), "{main}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_3_a_saved_card_goes_to_the_other_account_only_when_surely_nothing_was_charged() {
    let (town, _receiver) = town(|config| config).await;
    let _gateway = town.serve();
    town.ready().await;
    let api = town.api();
    let charge = async |number: &str| {
        let mut wish = order(number, 1_999, "card");
        wish["token"] = "pm_card_visa".into();
        let made = api.post("/v1/payments", &wish, None).await.unwrap().1;
        (channel(&made).to_owned(), made["status"].clone(), made)
    };
    let full = json!({
        "match": { "account": "stripe-main" },
        "fault": { "kind": "business_error", "code": "rate_limit", "status": 429 },
    });
    town.sandbox("faults", full).await;
    let (channel, status, made) = charge("C-1").await;
    assert_eq!((channel.as_str(), &status), ("stripe-spare", &json!("paid")), "{made}");
    let silent = json!({
        "match": { "account": "stripe-spare", "operation": "create" },
        "fault": { "kind": "success_then_timeout" },
    });
    town.sandbox("faults", silent).await;
    let off = ["channels", "disable", "stripe-main", "--reason", "audit", "--for", "1m"];
    assert_eq!(code(&town.command(&town.operator_key, &off)), 0);
    let (channel, status, made) = charge("C-2").await;
    assert_eq!(channel, "stripe-spare", "{made}");
    assert_ne!(status, "unavailable", "the charge may have happened: {made}");
    let books = town.sandbox("books?account=stripe-main", Value::Null).await;
    assert!(books["orders"].as_array().unwrap().is_empty(), "never both: {books}");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_fees_and_switches_are_the_accounts_own() {
    let (town, _receiver) = town(|config| {
        let config = with_line(&config, "alipay-main", "amount_max_minor = 100000");
        with_line(&config, "stripe-main", "max_per_second = 1")
    })
    .await;
    let _gateway = town.serve();
    town.ready().await;
    let api = town.api();
    let create = async |number: &str, amount, method| {
        let made = api.post("/v1/payments", &order(number, amount, method), None).await;
        made.unwrap().1
    };
    // An amount beyond one account's limit goes to the other, and the record says why.
    let large = create("A-1", 100_001, "alipay").await;
    assert_eq!(channel(&large), "alipay-spare");
    let told = large["attempts"][0]["excluded"].to_string();
    assert!(told.contains("takes 1000.00 CNY at most"), "{large}");
    assert_eq!(channel(&create("A-2", 100_000, "alipay").await), "alipay-main");

    // What one account cannot stand in a second overflows to the other.
    let burst = (0..6).map(|n| {
        let (api, number) = (town.api(), format!("B-{n}"));
        tokio::spawn(async move {
            api.post("/v1/payments", &order(&number, 1_999, "card"), None).await.unwrap().1
        })
    });
    let mut spread = Vec::new();
    for each in burst.collect::<Vec<_>>() {
        spread.push(channel(&each.await.unwrap()).to_owned());
    }
    assert!(spread.iter().any(|c| c == "stripe-main"), "{spread:?}");
    assert!(spread.iter().any(|c| c == "stripe-spare"), "{spread:?}");

    // One account is switched off, and nobody notices.
    let off = ["channels", "disable", "alipay-main", "--reason", "audit", "--for", "1m"];
    let off = town.command(&town.operator_key, &off);
    assert_eq!(code(&off), 0, "{}", stderr(&off));
    assert_eq!(channel(&create("A-3", 500, "alipay").await), "alipay-spare");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_has_prices_of_its_own() {
    let (town, _receiver) = town(|config| {
        let fees = |config: &str, channel: &str, rate: u32| {
            let name = format!("name = \"{channel}\"\n");
            let at = config.find(&name).unwrap();
            let end = config[at..].find("\n[[").map_or(config.len(), |end| at + end);
            let fee = format!("\n[[channels.fees]]\nmethod = \"alipay\"\nrate_ppm = {rate}\n");
            format!("{}{fee}{}", &config[..end], &config[end..])
        };
        fees(&fees(&config, "alipay-main", 6_000), "alipay-spare", 3_800)
    })
    .await;
    let config = town.config();
    let explain = town.command(
        &town.operator_key,
        &[
            "route",
            "explain",
            "--amount",
            "100",
            "--method",
            "alipay",
            "--config",
            &config.to_string_lossy(),
            "--json",
        ],
    );
    let told = json_of(&explain);
    let fee = |channel: &str| {
        let order = told["order"].as_array().unwrap();
        order.iter().find(|c| c["channel"] == channel).unwrap()["fee_minor"].clone()
    };
    assert_eq!((fee("alipay-main"), fee("alipay-spare")), (json!(60), json!(38)), "{told}");
}
