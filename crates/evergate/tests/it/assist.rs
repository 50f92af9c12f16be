//! The VIP desk through the whole service, by the command line: everything is down, a case
//! appears, staff take cash, a second person agrees, and what a provider took after all goes back.

use evergate::client::Api;
use evergate::demo::Receiver;
use serde_json::{Value, json};

use crate::support::{Town, code, eventually, json_of, plain_client, stderr, stdout};

/// A town with a second operator, `wang`.
fn town(receiver: &Receiver) -> (Town, String) {
    let town = Town::start(&receiver.url(), receiver.secret());
    let (wang, hash) = server::generate_key([7; 32]);
    let mut text = std::fs::read_to_string(town.config()).unwrap();
    let key = format!("[[api_keys]]\nname = \"wang\"\nrole = \"operator\"\nhash = \"{hash}\"\n");
    text.push_str(&format!("\n{key}"));
    std::fs::write(town.config(), text).unwrap();
    (town, wang)
}

fn act(town: &Town, key: &str, args: &[&str]) -> Value {
    let output = town.command(key, &[args, &["--json"]].concat());
    assert_eq!(code(&output), 0, "{args:?}: {}", stderr(&output));
    json_of(&output)
}

fn refused(town: &Town, key: &str, args: &[&str]) -> String {
    let output = town.command(key, args);
    assert_ne!(code(&output), 0, "{args:?}: {}", stdout(&output));
    let told = stderr(&output);
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

/// Rules 2, 3, 12 and 14, as staff and the merchant see them.
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_down_and_a_vip_pays_cash_at_the_desk_once() {
    let receiver = Receiver::start().await.unwrap();
    let (town, wang) = town(&receiver);
    let mut gateway = town.serve();
    town.ready().await;
    // Alipay takes orders and never says so; nobody answers anything else.
    let silent = json!({ "match": { "provider": "alipay", "operation": "create" },
        "fault": "success_then_timeout" });
    town.sandbox("faults", silent).await;
    let operations = ["query", "close", "cancel"];
    let deaf = json!({ "match": { "provider": "alipay", "operation": operations },
        "fault": "black_hole" });
    town.sandbox("faults", deaf).await;
    for provider in ["wechatpay", "unionpay", "stripe", "paypal"] {
        let down = json!({ "match": { "provider": provider }, "fault": "black_hole" });
        town.sandbox("faults", down).await;
    }
    let wish = json!({ "order_no": "V-1", "amount": 150_000, "currency": "CNY",
        "methods": ["alipay"], "tier": "vip" });
    let (_, made) = town.api().post("/v1/payments", &wish, None).await.unwrap();
    let payment = made["id"].as_str().unwrap().to_owned();
    assert_eq!(made["attempts"][0]["channel"], "alipay-main", "{made}");
    let all = ["ladder", "move", "all", "assisted", "--reason", "all is down", "--for", "1h"];
    act(&town, &town.operator_key, &all);

    // The case appears by itself.
    let case = eventually("a case", async || {
        let page = act(&town, &town.operator_key, &["assist", "list", "--tier", "vip"]);
        page["cases"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let li = town.operator_key.clone();
    let seen = act(&town, &li, &["assist", "show", &case]);
    assert_eq!(seen["case"]["opener"], "ladder", "{seen}");
    assert_eq!(seen["money"]["verdict"], "being_closed", "{seen}");
    let people = stdout(&town.command(&li, &["assist", "show", &case]));
    assert!(people.contains("alipay-main never answered"), "{people}");
    let reason = ["--reason", "the customer is at the desk"];
    let cash = [
        "assist",
        "offline",
        &case,
        "--kind",
        "cash",
        "--reference",
        "till-3-1187",
        "--amount",
        "150000",
    ];
    let cash = [&cash[..], &reason].concat();
    let idle = refused(&town, &li, &cash);
    assert!(idle.contains("the case is open"), "{idle}");
    act(&town, &li, &[&["assist", "take", &case][..], &reason].concat());
    let proposed = act(&town, &li, &cash);
    assert_eq!(proposed["state"], "proposed", "{proposed}");
    let approve = [&["assist", "approve", &case][..], &reason].concat();
    let own = refused(&town, &li, &approve);
    assert!(own.contains("another person"), "{own}");

    // The process dies between the two; what was said is still there.
    gateway.kill();
    let _gateway = town.serve();
    town.ready().await;
    let closed = act(&town, &wang, &approve);
    assert_eq!((&closed["state"], &closed["end"]), (&json!("closed"), &json!("paid_offline")));
    let twice = refused(&town, &wang, &approve);
    assert!(twice.contains("closed by evergate as paid_offline"), "{twice}");
    let paid = town.api().get(&format!("/v1/payments/{payment}"), &[]).await.unwrap();
    assert_eq!((&paid["status"], &paid["method"]), (&json!("paid"), &json!("offline")));
    eventually("the merchant is told once", async || {
        (receiver.received().paid.len() == 1).then_some(())
    })
    .await;

    // The provider had the order after all, and somebody pays it.
    let first = paid["attempts"][0]["number"].as_str().unwrap();
    let faults = format!("{}/sandbox/faults", town.sandbox_url);
    plain_client().delete(faults).send().await.unwrap();
    let late = json!({ "provider": "alipay", "order_no": first });
    let late = town.sandbox("pay", late).await;
    assert_eq!(late["paid"], true, "{late}");
    let end = eventually("the late success goes back", async || {
        let now = town.api().get(&format!("/v1/payments/{payment}"), &[]).await.ok()?;
        (now["refunds"][0]["status"] == "succeeded").then_some(now)
    })
    .await;
    assert_eq!(
        (&end["status"], &end["refunds"][0]["cause"]),
        (&json!("paid"), &json!("duplicate"))
    );
    assert_eq!(end["refunds"].as_array().unwrap().len(), 1);
    let staff = Api::new(&town.gateway_url, &li).unwrap();
    let audit = staff.get("/v1/audit", &[("limit", "50".to_owned())]).await.unwrap();
    assert!(audit.to_string().contains("1500.00 CNY taken: cash till-3-1187"), "{audit}");
}
