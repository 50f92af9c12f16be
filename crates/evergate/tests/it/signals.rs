//! Probes, synthetic payments, a provider's word and planned absences, end to end.

use serde_json::{Value, json};

use crate::support::{Process, Town, code, eventually, file, json_of, order, run, stderr, stdout};

/// A town whose gateway looks at its channels with these settings.
async fn town(more: &str) -> (Town, Process) {
    let town = Town::start("http://127.0.0.1:1/hook", SECRET);
    let config = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), format!("{config}\n{more}")).unwrap();
    let gateway = town.serve();
    town.ready().await;
    (town, gateway)
}

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

async fn signals(town: &Town) -> Value {
    let command = ["signals", "--json"];
    json_of(&town.command(&town.operator_key, &command))
}

fn all<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().unwrap()
}

/// Orders of synthetic payments in the provider's own books.
async fn orders(town: &Town) -> Vec<Value> {
    let asked = ["payments", "list", "--synthetic", "--limit", "100", "--json"];
    let listed = json_of(&town.command(&town.operator_key, &asked));
    let numbers: Vec<Value> = all(&listed, "payments")
        .iter()
        .flat_map(|payment| all(payment, "attempts").iter().map(|a| a["number"].clone()))
        .collect();
    let books = town.sandbox("books", Value::Null).await;
    all(&books, "orders").iter().filter(|o| numbers.contains(&o["order_no"])).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn synthetic_payments_try_every_channel_and_stay_out_of_everything_else() {
    let more = "[probes]\nevery = \"1s\"\nsynthetic_every = \"1s\"\nleast_gap = \"1s\"\n";
    let (town, _gateway) = town(more).await;
    let seen = eventually("every channel and method was probed and tried", async || {
        let seen = signals(&town).await;
        let works = |t: &&Value| t["result"] == "works";
        let tried = all(&seen, "synthetic").iter().filter(works).count();
        (all(&seen, "probes").len() == 5 && tried >= 5).then_some(seen)
    })
    .await;
    for probe in all(&seen, "probes") {
        assert_eq!(probe["ok"], true, "{probe}");
        assert!(probe["times_ms"]["signed"].as_f64().is_some(), "{probe}");
    }
    // Nobody sees them who did not ask.
    let listed = json_of(&town.command(&town.operator_key, &["payments", "list", "--json"]));
    assert_eq!(all(&listed, "payments").len(), 0, "{listed}");
    let messages = json_of(&town.command(&town.operator_key, &["messages", "list", "--json"]));
    assert_eq!(all(&messages, "messages").len(), 0, "{messages}");
    // And none stays payable at its provider.
    drop(_gateway);
    let _gateway = quiet(&town).await;
    let left = eventually("all are closed in the providers' books", async || {
        let orders = orders(&town).await;
        // Alipay has no trade before a code is scanned, and so none to close: the code itself
        // ends with the shortest life that there is.
        // PayPal knows no close, and needs none: what Evergate never captures is never paid.
        let open = |o: &&Value| {
            o["provider"] != "paypal"
                && !matches!(o["status"].as_str(), Some("closed" | "not_opened"))
        };
        (!orders.is_empty() && orders.iter().filter(open).count() == 0).then_some(orders)
    })
    .await;
    assert!(left.iter().all(|o| o["captured_minor"] == 0), "{left:?}");
}

/// The same gateway without a schedule of synthetic payments.
async fn quiet(town: &Town) -> Process {
    let config = std::fs::read_to_string(town.config()).unwrap();
    let off = config.replace("synthetic_every = \"1s\"", "synthetic_every = \"off\"");
    std::fs::write(town.config(), off).unwrap();
    let gateway = town.serve();
    town.ready().await;
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synthetic_payment_that_was_paid_goes_back() {
    let more = "[probes]\nevery = \"off\"\nsynthetic_every = \"1s\"\nleast_gap = \"1s\"\n";
    let (town, gateway) = town(more).await;
    // Its close is never answered, so that somebody has the time to pay it.
    let fault = json!({ "match": { "provider": "wechatpay", "operation": "close" },
        "fault": "black_hole" });
    town.sandbox("faults", fault).await;
    let order = eventually("an order is open", async || {
        let orders = orders(&town).await;
        orders.into_iter().find(|o| o["provider"] == "wechatpay" && o["status"] == "open")
    })
    .await;
    let pay = json!({ "provider": "wechatpay", "order_no": order["order_no"] });
    let paid = town.sandbox("pay", pay).await;
    assert_eq!(paid["paid"], true, "{paid}");
    drop(gateway);
    let _gateway = quiet(&town).await;
    eventually("the money went back", async || {
        let orders = orders(&town).await;
        let order = orders.into_iter().find(|o| o["order_no"] == order["order_no"])?;
        (order["refunded_minor"] == order["captured_minor"] && order["captured_minor"] != 0)
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_page_makes_a_channel_suspect_and_a_broken_one_is_no_evidence() {
    let town = Town::start("http://127.0.0.1:1/hook", SECRET);
    let feed = format!(
        "[probes]\nevery = \"off\"\nleast_gap = \"1s\"\n[[status_feeds]]\nname = \"sandbox\"\n\
         url = \"{}/sandbox/status/summary.json\"\nevery = \"1s\"\n[[status_feeds.parts]]\n\
         component = \"alipay-main\"\nchannel = \"alipay-main\"\n",
        town.sandbox_url
    );
    let config = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), format!("{config}\n{feed}")).unwrap();
    let _gateway = town.serve();
    town.ready().await;
    town.sandbox("status", json!({ "components": { "alipay-main": "major_outage" } })).await;
    let seen = eventually("the word is heard and the channel probed at once", async || {
        let seen = signals(&town).await;
        let probed = all(&seen, "probes").iter().any(|p| p["channel"] == "alipay-main");
        (all(&seen["feeds"][0], "said").len() == 1 && probed).then_some(seen)
    })
    .await;
    assert_eq!(seen["feeds"][0]["said"][0]["severity"], "major", "{seen}");
    // Its own payments succeed, so it keeps its traffic.
    for n in 0..8 {
        let order = order(&format!("S-{n}"), 100, "alipay");
        let (status, paid) = town.api().post("/v1/payments", &order, None).await.unwrap();
        assert_eq!((status, paid["channel"].as_str()), (201, Some("alipay-main")), "{paid}");
    }
    town.sandbox("status", json!({ "raw": "<html>we are down too" })).await;
    eventually("nonsense is no evidence", async || {
        let seen = signals(&town).await;
        let feed = &seen["feeds"][0];
        (feed["error"].is_string() && feed["stale"] == true && all(feed, "said").is_empty())
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_leaves_healthy_is_probed_and_tried_at_once() {
    let more = "[probes]\nevery = \"off\"\nsynthetic_on_suspicion = true\nleast_gap = \"1s\"\n";
    let (town, _gateway) = town(more).await;
    assert_eq!(all(&signals(&town).await, "probes").len(), 0, "nothing is on a schedule");
    let fault = json!({ "match": { "provider": "alipay", "operation": "create" },
        "fault": "refuse" });
    town.sandbox("faults", fault).await;
    for n in 0..6 {
        let body = json!({ "order_no": format!("S-{n}"), "amount": 100, "currency": "CNY",
            "methods": ["alipay", "wechat_pay"] });
        town.api().post("/v1/payments", &body, None).await.unwrap();
    }
    let seen = eventually("it was probed and tried", async || {
        let seen = signals(&town).await;
        let about = |v: &Value| v["channel"] == "alipay-main";
        let tried = all(&seen, "synthetic").iter().any(about);
        (all(&seen, "probes").iter().any(about) && tried).then_some(seen)
    })
    .await;
    let alipay = |name: &str| {
        let found = all(&seen, name).iter().find(|v| v["channel"] == "alipay-main");
        found.unwrap().clone()
    };
    // Questions are answered, orders are not: only a payment finds that out.
    assert_eq!(alipay("probes")["ok"], true, "{seen}");
    assert_ne!(alipay("synthetic")["result"], "works", "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_plans_maintenance_by_command() {
    let (town, _gateway) = town("[probes]\nevery = \"off\"\n").await;
    let add = [
        "maintenance",
        "add",
        "--channel",
        "alipay-main",
        "--for",
        "1h",
        "--reason",
        "announced",
        "--json",
    ];
    assert_eq!(code(&town.command(&town.api_key, &add)), 2, "a merchant may not");
    let made = json_of(&town.command(&town.operator_key, &add));
    let id = made["maintenance"][0]["id"].as_str().unwrap().to_owned();
    eventually("the channel is drained", async || {
        let listed = json_of(&town.command(&town.operator_key, &["channels", "list", "--json"]));
        (listed["channels"][0]["methods"][0]["health"] == "down").then_some(())
    })
    .await;
    let shown = town.command(&town.operator_key, &["maintenance", "list"]);
    assert!(stdout(&shown).contains("now, until"), "{}", stdout(&shown));
    let gone = ["maintenance", "remove", &id, "--reason", "called off", "--json"];
    let gone = json_of(&town.command(&town.operator_key, &gone));
    assert_eq!(all(&gone, "maintenance").len(), 0, "{gone}");
    let nothing = ["maintenance", "add", "--for", "1h", "--reason", "x"];
    assert!(stderr(&town.command(&town.operator_key, &nothing)).contains("--channel"));
    let weekly = [
        "maintenance",
        "add",
        "--method",
        "alipay",
        "--days",
        "sat,sun",
        "--start",
        "23:30",
        "--for",
        "2h",
        "--zone",
        "Asia/Shanghai",
        "--reason",
        "weekly",
        "--json",
    ];
    let made = json_of(&town.command(&town.operator_key, &weekly));
    assert_eq!(made["maintenance"][0]["duration_s"], 7_200, "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_by_command_names_the_layer() {
    let town = Town::start("http://127.0.0.1:1/hook", SECRET);
    let config = town.config().to_string_lossy().into_owned();
    let probe = |more: &[&str]| {
        let args = [&["probe", "--json", "--config", &config], more].concat();
        run(&args)
    };
    let good = probe(&[]);
    assert_eq!(code(&good), 0, "{}{}", stdout(&good), stderr(&good));
    assert_eq!(all(&json_of(&good), "probes").len(), 5);
    let fault = json!({ "match": { "provider": "alipay" }, "fault": "black_hole" });
    town.sandbox("faults", fault).await;
    let bad = probe(&["--channel", "alipay-main"]);
    assert_eq!(code(&bad), 2);
    assert_eq!(json_of(&bad)["probes"][0]["broken"], "http", "{}", stdout(&bad));
    assert!(stderr(&probe(&["--channel", "nobody"])).contains("nobody"));
}

#[test]
fn mistakes_in_the_control_planes_tables_are_told_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
[[channels]]
name = "stripe-main"
provider = "stripe"
secret_key = "sk_test_0123456789abcdef0123456789abcdef"
webhook_secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

[probes]
every = "soon"
at_once = 0

[[maintenance]]
channel = "nobody"
days = ["sun"]
start = "02:00"
duration = "2h"
zone = "Asia/Atlantis"

[[maintenance]]
channel = "stripe-main"
from = "2026-11-29T02:00:00Z"
until = "2026-11-28T02:00:00Z"

[[status_feeds]]
name = "stripe"
url = "status.stripe.com"

[[downtime_senders]]
name = "partner"
form = "standard"
channel = "stripe-main"
secret = "short"
"#;
    let config = file(folder.path(), "evergate.toml", text);
    let checked = run(&["check", "--offline", "--json", "--config", &config.to_string_lossy()]);
    let told = json_of(&checked);
    let fields: Vec<&str> =
        all(&told, "findings").iter().map(|f| f["what"].as_str().unwrap()).collect();
    for field in [
        "probes.every",
        "probes.at_once",
        "maintenance[0].channel",
        "maintenance[0].zone",
        "maintenance[1].until",
        "status_feeds[0].url",
        "status_feeds[0].parts",
        "downtime_senders[0].secret",
    ] {
        assert!(fields.contains(&field), "{field}: {fields:?}");
    }
    assert_eq!(code(&checked), 2);
}
