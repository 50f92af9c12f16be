//! `evergate statements fetch` against the sandbox: what was paid comes back as lines and sums.

use evergate::demo::Receiver;
use serde_json::{Value, json};

use crate::support::{Town, code, eventually, json_of, order, stderr, stdout};

/// The clearing day of now: it ends at 23:00 in Beijing, which is 15:00 UTC.
fn today() -> jiff::civil::Date {
    let shifted = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(9);
    jiff::tz::Offset::UTC.to_datetime(shifted).date()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_days_clearing_file_is_fetched_verified_and_told_in_both_languages() {
    let receiver = Receiver::start().await.unwrap();
    let town = Town::start(&receiver.url(), receiver.secret());
    let _gateway = town.serve();
    town.ready().await;
    let made = town.api().post("/v1/payments", &order("U-1", 1_999, "union_pay"), None).await;
    let payment = made.unwrap().1;
    let form = &payment["presentation"];
    let fields = form["fields"].as_object().unwrap();
    let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    let link = reqwest::Url::parse_with_params(form["url"].as_str().unwrap(), pairs).unwrap();
    let paid = town.sandbox("pay", json!({ "code": link.as_str() })).await;
    assert_eq!(paid["paid"], true, "{paid}");
    let id = payment["id"].as_str().unwrap();
    eventually("the merchant is told", async || {
        receiver.received().paid.contains(id).then_some(())
    })
    .await;

    let config = town.config().to_string_lossy().into_owned();
    let day = today().to_string();
    let fetch = |channel: &str, more: &[&str]| {
        let command =
            ["statements", "fetch", "--config", &config, "--channel", channel, "--day", &day];
        town.command("", &[&command[..], more].concat())
    };
    let out = town.folder.path().join("clearing.zip");
    let kept = out.to_string_lossy().into_owned();
    let told = json_of(&fetch("unionpay-main", &["--json", "--out", &kept]));
    let line = &told["lines"][0];
    assert_eq!(line["number"], payment["attempts"][0]["number"], "{told}");
    assert_eq!((&line["amount"], &line["fee"]), (&json!(1_999), &json!(12)));
    assert_eq!(told["totals"][0]["net"], 1_987, "{told}");
    assert_eq!(told["remarks"], Value::Array(vec![]));
    assert!(std::fs::read(&out).unwrap().starts_with(b"PK"), "the provider's own file");
    let again = fetch("unionpay-main", &["--out", &kept]);
    assert_eq!(code(&again), 2, "nothing is overwritten");

    // A key that a program prints does as well as one in a file.
    let file = "keys/unionpay-main.private_key.pem";
    let folder = town.config().parent().unwrap().to_owned();
    let path = folder.join(file);
    let by_command = std::fs::read_to_string(town.config()).unwrap().replace(
        &format!("private_key_file = \"{file}\""),
        &format!("private_key_command = [\"cat\", \"{}\"]", path.display()),
    );
    assert!(by_command.contains("private_key_command"), "{by_command}");
    let other = crate::support::file(&folder, "by-command.toml", &by_command);
    let other = other.to_string_lossy().into_owned();
    let command = ["statements", "fetch", "--config", &other, "--channel", "unionpay-main"];
    let command = [&command[..], &["--day", &day, "--json"]].concat();
    assert_eq!(json_of(&town.command("", &command))["totals"], told["totals"]);

    let wrong = json!({
        "match": { "operation": "statement" }, "fault": { "kind": "wrong_line" },
    });
    town.sandbox("faults", wrong).await;
    for (lang, words) in [
        ("en", ["payment: 1", "fee 0.12", "look at", "settlement amount"]),
        ("zh", ["收款: 1", "手续费 0.12", "请核对", "settlement amount"]),
    ] {
        let text = stdout(&fetch("unionpay-main", &["--lang", lang]));
        for word in words {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
    }
    let other = fetch("stripe-main", &[]);
    assert_eq!(code(&other), 2);
    assert!(stderr(&other).contains("stripe"), "{}", stderr(&other));
    let nobody = fetch("nobody", &[]);
    assert!(stderr(&nobody).contains("unionpay-main"), "names what there is: {}", stderr(&nobody));
}
