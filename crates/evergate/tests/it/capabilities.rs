//! What channels can do, asked of a running gateway and of a configuration alone.

use evergate::demo::Receiver;
use serde_json::{Value, json};

use crate::support::{Town, code, json_of, stderr, stdout};

fn can<'v>(told: &'v Value, channel: &str) -> &'v Value {
    let all = told["channels"].as_array().unwrap();
    &all.iter().find(|c| c["id"] == channel).unwrap()["capabilities"]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_are_the_same_with_and_without_a_server_and_in_both_languages() {
    let receiver = Receiver::start().await.unwrap();
    let town = Town::start(&receiver.url(), receiver.secret());
    let config = town.config().to_string_lossy().into_owned();
    let list = ["channels", "list", "--capabilities"];
    let offline = [&list[..], &["--config", &config]].concat();
    let alone = json_of(&town.command("", &[&offline[..], &["--json"]].concat()));

    assert_eq!(can(&alone, "unionpay-main")["closing"], "lapse_only");
    assert_eq!(can(&alone, "paypal-main")["closing"], "never_captured");
    assert_eq!(can(&alone, "alipay-main")["resend_create"], "never");
    let wechat = can(&alone, "wechat-main");
    assert_eq!(wechat["refunds"]["count_max"], 50);
    assert_eq!(wechat["refunds"]["within_s"], 365 * 86_400);
    assert_eq!(wechat["not_found"], "after_end");
    assert_eq!(can(&alone, "stripe-main")["not_found_direct"], "after_create_window");
    assert_eq!(can(&alone, "stripe-main")["expiry"]["longest_s"], Value::Null);
    let unverified = can(&alone, "paypal-main")["unverified"].to_string();
    assert!(unverified.contains("refunds.within_s"), "{unverified}");

    let _gateway = town.serve();
    town.ready().await;
    let online = json_of(&town.command(&town.api_key, &[&list[..], &["--json"]].concat()));
    for channel in ["alipay-main", "wechat-main", "stripe-main", "unionpay-main", "paypal-main"] {
        assert_eq!(can(&online, channel), can(&alone, channel), "{channel}");
    }
    let plain = json_of(&town.command(&town.api_key, &["channels", "list", "--json"]));
    assert_eq!(plain["channels"][0].get("capabilities"), None, "only when asked for");
    let odd = town.api().get("/v1/channels", &[("capabilities", "maybe".to_owned())]).await;
    assert!(odd.unwrap_err().to_string().contains("capabilities"), "an odd value is told");

    for (lang, words) in [
        ("en", ["order lives", "unverified", "0.01–100000000.00 CNY", "no close call"]),
        ("zh", ["订单有效期", "未证实", "0.01–100000000.00 CNY", "没有关单接口"]),
    ] {
        let text = stdout(&town.command("", &[&offline[..], &["--lang", lang]].concat()));
        for word in words {
            assert!(text.contains(word), "{word} is not in\n{text}");
        }
    }
    let nothing = town.command("", &["channels", "list", "--capabilities", "--config", "/nowhere"]);
    assert_eq!(code(&nothing), 2);
    assert!(stderr(&nothing).contains("/nowhere"), "{}", stderr(&nothing));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_14_a_refund_that_an_agreement_does_not_allow_is_refused_with_the_way_out() {
    let receiver = Receiver::start().await.unwrap();
    let town = Town::start(&receiver.url(), receiver.secret());
    let written = std::fs::read_to_string(town.config()).unwrap();
    let wrong = written
        .replace("provider = \"wechatpay\"\n", "provider = \"wechatpay\"\nrefund_days = 366\n");
    std::fs::write(town.config(), wrong).unwrap();
    let config = town.config().to_string_lossy().into_owned();
    let check = town.command("", &["check", "--offline", "--config", &config]);
    assert_eq!(code(&check), 2, "more than the provider allows");
    assert!(stdout(&check).contains("refund_days"), "{}", stdout(&check));

    let right = written
        .replace("provider = \"wechatpay\"\n", "provider = \"wechatpay\"\nrefund_days = 90\n");
    std::fs::write(town.config(), right).unwrap();
    let offline = ["channels", "list", "--capabilities", "--config", &config, "--json"];
    let told = json_of(&town.command("", &offline));
    assert_eq!(can(&told, "wechat-main")["refunds"]["within_s"], json!(90 * 86_400));
}
