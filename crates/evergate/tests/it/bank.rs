//! Bank transfers through the whole service: a gateway with a bank channel and nothing else,
//! statement files through the command line, two people, and the merchant's webhooks.

use std::io::Write as _;
use std::path::PathBuf;

use evergate::client::Api;
use evergate::demo::Receiver;
use serde_json::{Value, json};

use crate::support::{
    Process, code, eventually, evergate, file, free_port, json_of, order, plain_client, run,
    stderr, stdout,
};

/// A gateway with one bank channel, and the keys to it.
struct Bank {
    folder: tempfile::TempDir,
    url: String,
    shop: String,
    li: String,
    wang: String,
}

const CHANNEL: &str = r#"
[[channels]]
name = "bank-main"
provider = "bank"
payee = { zh = "示例商店有限公司", en = "Sample Shop Ltd" }
bank = { zh = "示例银行", en = "Sample Bank" }
account = "6222020200112233"
short_max_minor = 0
statements = [
    { type = "csv", account = "6222020200112233", currency = "CNY", columns = { booked_on = "date", amount = "amount", bank_reference = "id", counterparty_name = "payer", counterparty_account = "from", text = ["text"] } },
]
"#;

impl Bank {
    fn new(webhook: &str, secret: &str) -> Bank {
        evergate::init();
        let folder = tempfile::tempdir().unwrap();
        let bind = format!("127.0.0.1:{}", free_port());
        let (shop, shop_hash) = server::generate_key([1; 32]);
        let (li, li_hash) = server::generate_key([2; 32]);
        let (wang, wang_hash) = server::generate_key([3; 32]);
        let config = format!(
            r#"
[server]
bind = "{bind}"
[store]
path = "books.db"
[[api_keys]]
merchant = "shop"
role = "merchant"
hash = "{shop_hash}"
[[api_keys]]
name = "li"
role = "operator"
hash = "{li_hash}"
[[api_keys]]
name = "wang"
role = "operator"
hash = "{wang_hash}"
[[merchants]]
name = "shop"
webhook_url = "{webhook}"
webhook_secrets = ["{secret}"]
{CHANNEL}"#
        );
        file(folder.path(), "evergate.toml", &config);
        Bank { folder, url: format!("http://{bind}"), shop, li, wang }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("evergate.toml")
    }

    async fn serve(&self) -> Process {
        let config = self.config();
        let log = std::fs::OpenOptions::new();
        let path = self.folder.path().join("log");
        let log = { log }.create(true).append(true).open(path).unwrap();
        let mut command = evergate(&["serve", "--config", &config.to_string_lossy()]);
        let process = Process::start(command.stderr(log));
        let http = plain_client();
        eventually("the gateway is ready", async || {
            let ready = http.get(format!("{}/readyz", self.url)).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        process
    }

    fn api(&self, key: &str) -> Api {
        Api::new(&self.url, key).unwrap()
    }

    async fn create(&self, number: &str, amount: i64) -> Value {
        let wish = order(number, amount, "bank_transfer");
        let (status, payment) =
            self.api(&self.shop).post("/v1/payments", &wish, None).await.unwrap();
        assert_eq!(status, 201, "{payment}");
        assert_eq!(payment["status"], "requires_customer", "{payment}");
        payment
    }

    async fn show(&self, payment: &Value) -> Value {
        let id = payment["id"].as_str().unwrap();
        self.api(&self.shop).get(&format!("/v1/payments/{id}"), &[]).await.unwrap()
    }

    /// Uploads a statement of these lines.
    fn import(&self, name: &str, lines: &[String]) -> Value {
        let mut text = "date,amount,id,payer,from,text\n".to_owned();
        lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        let path = file(self.folder.path(), name, &text);
        let path = path.to_string_lossy().into_owned();
        let done = self.ask(
            &self.li,
            &["bank", "import", &path, "--channel", "bank-main", "--format", "csv", "--json"],
        );
        json_of(&done)["statement"]["counts"].clone()
    }

    fn ask(&self, key: &str, args: &[&str]) -> std::process::Output {
        let mut command = evergate(args);
        command.env("EVERGATE_URL", &self.url).env("EVERGATE_API_KEY", key);
        command.output().unwrap()
    }

    fn transfers(&self, state: &str) -> Vec<Value> {
        let list = ["bank", "transfers", "--channel", "bank-main", "--state", state, "--json"];
        json_of(&self.ask(&self.li, &list))["transfers"].as_array().unwrap().clone()
    }

    fn payouts(&self) -> Vec<Value> {
        json_of(&self.ask(&self.li, &["bank", "payouts", "--json"]))["payouts"]
            .as_array()
            .unwrap()
            .clone()
    }
}

fn reference(payment: &Value) -> &str {
    payment["presentation"]["reference"].as_str().unwrap()
}

fn line(day: &str, amount: &str, id: &str, text: &str) -> String {
    format!("{day},{amount},{id},张三,6217000000000001,{text}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_shown_comes_by_a_statement_and_is_paid() {
    let receiver = Receiver::start().await.unwrap();
    let bank = Bank::new(&receiver.url(), receiver.secret());
    let gateway = bank.serve().await;

    let payment = bank.create("T-1", 12_345).await;
    let shown = &payment["presentation"];
    assert_eq!(shown["type"], "bank_transfer");
    assert_eq!(shown["account"], "6222020200112233");
    assert_eq!(shown["payee"]["zh"], "示例商店有限公司");
    assert_eq!(shown["amount_text"], "123.45");
    assert!(shown["instructions"]["en"].as_str().unwrap().contains(reference(&payment)));
    assert_eq!((&payment["received_amount"], &payment["rest_amount"]), (&json!(0), &json!(12_345)));
    let days = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let lives = days(&payment["expires_at"]).as_second() - days(&payment["created_at"]).as_second();
    assert_eq!(lives, 72 * 3600, "a transfer has three days");

    let lines = [line("2026-11-24", "123.45", "B1", &format!("order {}", reference(&payment)))];
    let counts = bank.import("one.csv", &lines);
    assert_eq!((&counts["entries"], &counts["matched"]), (&json!(1), &json!(1)), "{counts}");
    assert_eq!(bank.show(&payment).await["status"], "paid", "before the import has answered");
    let id = payment["id"].as_str().unwrap();
    eventually("the merchant is told", async || {
        receiver.received().paid.contains(id).then_some(())
    })
    .await;

    // The same file again, and another file that holds the same entry and a new one.
    assert_eq!(bank.import("one.csv", &lines)["known"], 1);
    let more = bank.create("T-2", 500).await;
    let both = [lines[0].clone(), line("2026-11-25", "5.00", "B2", reference(&more))];
    let counts = bank.import("two.csv", &both);
    assert_eq!((&counts["known"], &counts["matched"]), (&json!(1), &json!(1)), "{counts}");
    assert_eq!(bank.transfers("matched").len(), 2);

    // After a kill the same details are there, and the money is.
    let third = bank.create("T-3", 700).await;
    drop(gateway);
    let _gateway = bank.serve().await;
    assert_eq!(bank.show(&third).await["presentation"], third["presentation"]);
    assert_eq!(bank.show(&payment).await["status"], "paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_and_what_is_over_find_their_places() {
    let receiver = Receiver::start().await.unwrap();
    let bank = Bank::new(&receiver.url(), receiver.secret());
    let _gateway = bank.serve().await;

    let payment = bank.create("P-1", 10_000).await;
    let first = line("2026-11-24", "40.00", "B1", reference(&payment));
    bank.import("first.csv", std::slice::from_ref(&first));
    let part = bank.show(&payment).await;
    assert_eq!(part["status"], "requires_customer");
    assert_eq!((&part["received_amount"], &part["rest_amount"]), (&json!(4_000), &json!(6_000)));
    assert_eq!(part["presentation"]["amount_text"], "60.00", "the customer sees the rest");
    let story = bank
        .api(&bank.shop)
        .get(&format!("/v1/payments/{}/events", payment["id"].as_str().unwrap()), &[])
        .await
        .unwrap();
    let told = story["events"].as_array().unwrap();
    assert!(told.iter().any(|e| e["event"] == "part_received"), "{story}");
    assert!(told.iter().any(|e| e["event"] == "expiry_extended"), "{story}");

    bank.import("rest.csv", &[first, line("2026-11-25", "75.00", "B2", reference(&payment))]);
    let paid = bank.show(&payment).await;
    assert_eq!(paid["status"], "paid");
    assert_eq!(paid["refundable_amount"], 10_000, "what is over is not the payment's");
    let payouts = bank.payouts();
    assert_eq!(payouts.len(), 1, "{payouts:?}");
    let over = &payouts[0];
    assert_eq!((&over["kind"], &over["amount"]), (&json!("excess"), &json!(1_500)));

    // The person who sent it cannot confirm it; another one can, once.
    let id = over["id"].as_str().unwrap();
    let on = |key: &str, act: &str| bank.ask(key, &["bank", act, id, "--reason", "done", "--json"]);
    assert_eq!(code(&on(&bank.wang, "payout-confirm")), 2, "nothing was sent");
    assert_eq!(json_of(&on(&bank.li, "payout-sent"))["state"], "sent");
    let alone = on(&bank.li, "payout-confirm");
    assert!(stderr(&alone).contains("second-person"), "{}", stderr(&alone));
    assert_eq!(json_of(&on(&bank.wang, "payout-confirm"))["state"], "confirmed");
    assert_eq!(code(&on(&bank.wang, "payout-confirm")), 2, "it is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_nothing_takes_two_people() {
    let receiver = Receiver::start().await.unwrap();
    let bank = Bank::new(&receiver.url(), receiver.secret());
    let _gateway = bank.serve().await;

    let payment = bank.create("S-1", 8_800).await;
    let lines =
        [line("2026-11-24", "88.00", "B1", "货款"), line("2026-11-24", "3.00", "B2", "who knows")];
    assert_eq!(bank.import("lost.csv", &lines)["suspense"], 2);
    assert_eq!(bank.show(&payment).await["status"], "requires_customer");
    let lost = bank.transfers("suspense");
    let find = |amount: i64| lost.iter().find(|t| t["amount"] == amount).unwrap();
    let (fits, strange) = (find(8_800), find(300));
    assert_eq!(fits["suggestions"][0]["payment"], payment["id"], "{fits}");

    let id = fits["id"].as_str().unwrap();
    let number = payment["id"].as_str().unwrap();
    let matched = |key: &str| {
        bank.ask(
            key,
            &["bank", "match", id, "--payment", number, "--reason", "the amount", "--json"],
        )
    };
    let act = |key: &str, act: &str, id: &str| {
        bank.ask(key, &["bank", act, id, "--reason", "looked at the receipt", "--json"])
    };
    assert_eq!(json_of(&matched(&bank.li))["state"], "proposed");
    assert_eq!(code(&matched(&bank.wang)), 2, "it is proposed already");
    let alone = act(&bank.li, "approve", id);
    assert!(stderr(&alone).contains("second-person"), "{}", stderr(&alone));
    assert_eq!(bank.show(&payment).await["status"], "requires_customer");
    // Refused, proposed again, agreed.
    assert_eq!(json_of(&act(&bank.wang, "reject", id))["state"], "suspense");
    json_of(&matched(&bank.wang));
    let agreed = json_of(&act(&bank.li, "approve", id));
    assert_eq!(agreed["matched_by"], "wang + li");
    assert_eq!(bank.show(&payment).await["status"], "paid");
    assert_eq!(code(&act(&bank.li, "approve", id)), 2, "once");
    let history = json_of(&bank.ask(&bank.li, &["bank", "history", id, "--json"]));
    let told: Vec<&str> =
        history["lines"].as_array().unwrap().iter().filter_map(|l| l["action"].as_str()).collect();
    let acts = ["suspense", "match proposed", "rejected", "match proposed", "counted", "approved"];
    assert_eq!(told, acts);

    let id = strange["id"].as_str().unwrap();
    assert_eq!(json_of(&act(&bank.wang, "return", id))["proposal"], "return");
    let back = json_of(&act(&bank.li, "approve", id));
    assert_eq!(back["state"], "returning");
    let payout = bank.payouts().into_iter().find(|p| p["id"] == back["payout"]).unwrap();
    assert_eq!(
        (&payout["kind"], &payout["to_account"]),
        (&json!("return"), &json!("6217000000000001"))
    );
    // The statement proves that it went.
    let out = format!(
        "2026-11-26,-3.00,B3,张三,6217000000000001,{}",
        payout["reference"].as_str().unwrap()
    );
    assert_eq!(bank.import("out.csv", &[out])["payouts"], 1);
    assert_eq!(bank.payouts()[0]["state"], "confirmed");

    // A merchant's key sees none of it.
    let refused = bank.ask(&bank.shop, &["bank", "payouts"]);
    assert!(stderr(&refused).contains("forbidden"), "{}", stderr(&refused));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_recorded_and_the_statement_shows_counts_once() {
    let receiver = Receiver::start().await.unwrap();
    let bank = Bank::new(&receiver.url(), receiver.secret());
    let _gateway = bank.serve().await;

    let payment = bank.create("R-1", 6_600).await;
    let id = payment["id"].as_str().unwrap();
    let recorded = json_of(&bank.ask(
        &bank.li,
        &[
            "bank",
            "record",
            "--channel",
            "bank-main",
            "--payment",
            id,
            "--amount",
            "6600",
            "--booked-on",
            "2026-11-24",
            "--reason",
            "seen in the bank's app",
            "--json",
        ],
    ));
    assert_eq!((&recorded["state"], &recorded["proven"]), (&json!("proposed"), &json!(false)));
    let transfer = recorded["id"].as_str().unwrap();
    let approve = ["bank", "approve", transfer, "--reason", "seen as well", "--json"];
    assert_eq!(json_of(&bank.ask(&bank.wang, &approve))["state"], "matched");
    assert_eq!(bank.show(&payment).await["status"], "paid");

    let counts =
        bank.import("later.csv", &[line("2026-11-24", "66.00", "B1", reference(&payment))]);
    assert_eq!((&counts["reconciled"], &counts["matched"]), (&json!(1), &json!(0)), "{counts}");
    let all = bank.transfers("matched");
    assert_eq!(all.len(), 1);
    assert_eq!((&all[0]["id"], &all[0]["proven"]), (&json!(transfer), &json!(true)));
    assert!(bank.payouts().is_empty(), "nothing came twice");

    // A refund is a payout; a second person's word ends it, and the payment knows.
    let refund = ["payments", "refund", id, "--amount", "600", "--json"];
    assert_eq!(json_of(&bank.ask(&bank.shop, &refund))["refund"]["status"], "processing");
    let payouts = bank.payouts();
    let payout = payouts[0]["id"].as_str().unwrap();
    assert_eq!(payouts[0]["kind"], "refund");
    for (key, act) in [(&bank.li, "payout-sent"), (&bank.wang, "payout-confirm")] {
        json_of(&bank.ask(key, &["bank", act, payout, "--reason", "done", "--json"]));
    }
    let after = bank.show(&payment).await;
    assert_eq!(
        (&after["status"], &after["refunded_amount"]),
        (&json!("partially_refunded"), &json!(600))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_a_mistake_is_refused_as_a_whole() {
    let receiver = Receiver::start().await.unwrap();
    let bank = Bank::new(&receiver.url(), receiver.secret());
    let _gateway = bank.serve().await;
    let payment = bank.create("M-1", 1_000).await;

    let path = bank.folder.path().join("bad.csv");
    let mut out = std::fs::File::create(&path).unwrap();
    writeln!(out, "date,amount,id,payer,from,text").unwrap();
    writeln!(out, "{}", line("2026-11-24", "10.00", "B1", reference(&payment))).unwrap();
    writeln!(out, "{}", line("24 Nov", "ten", "B2", "x")).unwrap();
    drop(out);
    let path = path.to_string_lossy().into_owned();
    let refused = bank.ask(&bank.li, &["bank", "import", &path, "--channel", "bank-main"]);
    assert_eq!(code(&refused), 2);
    assert!(stderr(&refused).contains("line 3"), "{}", stderr(&refused));
    assert_eq!(bank.show(&payment).await["status"], "requires_customer");
    assert!(bank.transfers("matched").is_empty());

    // A dry run says what would be, and writes nothing.
    let good = file(
        bank.folder.path(),
        "good.csv",
        &format!(
            "date,amount,id,payer,from,text\n{}\n",
            line("2026-11-24", "10.00", "B1", reference(&payment))
        ),
    );
    let good = good.to_string_lossy().into_owned();
    let dry = ["bank", "import", &good, "--channel", "bank-main", "--dry-run"];
    let told = bank.ask(&bank.li, &dry);
    assert!(stdout(&told).contains("matched 1"), "{}{}", stdout(&told), stderr(&told));
    assert!(bank.transfers("matched").is_empty());
}

#[test]
fn a_bank_channel_is_checked_and_never_probed() {
    let bank = Bank::new("http://127.0.0.1:9/", &server::generate_webhook_secret([7; 32]));
    let config = bank.config().to_string_lossy().into_owned();
    let checked = run(&["check", "--config", &config]);
    assert!(stdout(&checked).contains("offline, nothing to probe"), "{}", stdout(&checked));
    let probed = run(&["probe", "--config", &config, "--channel", "bank-main"]);
    assert_eq!(code(&probed), 2);
    assert!(stderr(&probed).contains("nothing to probe"), "{}", stderr(&probed));
}
