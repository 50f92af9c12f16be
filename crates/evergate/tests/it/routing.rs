//! Rules, prices and `route explain`: by the handbook's own examples, and by a running gateway.

use std::path::Path;

use serde_json::Value;

use crate::support::{code, file, json_of, run, stderr, stdout};

/// The channels that the handbook's cookbook speaks of. Stripe's settings need no key files.
const CHANNELS: &str = r#"
[[channels]]
name = "alipay-main"
provider = "stripe"
secret_key = "sk_test_1"
webhook_secret = "whsec_1"
methods = ["alipay"]
currencies = ["CNY", "USD"]
return_url = "https://shop.example/thanks"

[[channels]]
name = "alipay-backup"
provider = "stripe"
secret_key = "sk_test_2"
webhook_secret = "whsec_2"
methods = ["alipay"]
currencies = ["CNY", "USD"]
return_url = "https://shop.example/thanks"

[[channels]]
name = "wechat-main"
provider = "stripe"
secret_key = "sk_test_3"
webhook_secret = "whsec_3"
methods = ["wechat_pay"]
currencies = ["CNY", "USD"]
return_url = "https://shop.example/thanks"

[[channels]]
name = "stripe-main"
provider = "stripe"
secret_key = "sk_test_4"
webhook_secret = "whsec_4"
methods = ["alipay", "card"]
currencies = ["CNY", "USD"]
return_url = "https://shop.example/thanks"
"#;

/// A rule of the handbook, and what it says comes of it.
struct Example {
    toml: String,
    /// Arguments, and the first line of the answer.
    asked: Vec<(Vec<String>, String)>,
}

/// A fenced block in the language, from the text on; and the rest.
fn block<'t>(text: &'t str, language: &str) -> Option<(&'t str, &'t str)> {
    let opening = format!("```{language}\n");
    let (_, rest) = text.split_once(&opening)?;
    rest.split_once("```")
}

fn cookbook(handbook: &str) -> Vec<Example> {
    let heading = ["### Cookbook\n", "### 示例\n"];
    let mut rest = heading.iter().find_map(|h| handbook.split_once(h)).map_or("", |(_, r)| r);
    let mut found = Vec::new();
    while let Some((toml, after)) = block(rest, "toml") {
        let (console, after) = block(after, "console").expect("an answer follows each example");
        let lines: Vec<&str> = console.lines().collect();
        let asked = lines.chunks(2).map(|pair| {
            let args = pair[0].strip_prefix("$ evergate ").expect("a command");
            (args.split(' ').map(str::to_owned).collect(), pair[1].to_owned())
        });
        found.push(Example { toml: toml.to_owned(), asked: asked.collect() });
        rest = after;
    }
    found
}

#[test]
fn every_example_of_the_handbook_does_what_it_says() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let folder = tempfile::tempdir().unwrap();
    for name in ["handbook.md", "handbook.zh-CN.md"] {
        let handbook = std::fs::read_to_string(docs.join(name)).unwrap();
        let examples = cookbook(&handbook);
        assert!(examples.len() >= 6, "{name}: {}", examples.len());
        for Example { toml, asked } in examples {
            let config = file(folder.path(), "evergate.toml", &format!("{CHANNELS}\n{toml}"));
            let config = config.to_string_lossy();
            for (args, expected) in asked {
                let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
                args.extend(["--config", &*config]);
                let output = run(&args);
                assert_eq!(code(&output), 0, "{toml}\n{}", stderr(&output));
                let told = stdout(&output);
                assert_eq!(told.lines().next(), Some(&*expected), "{toml}\n{told}");
            }
        }
    }
}

const PRICED: &str = r#"
[[channels.fees]]
method = "alipay"
rate_ppm = 6000

[routing]
time_zone = "Asia/Shanghai"

[[routing.rules]]
name = "noted"
when = "metadata.shop == 'x'"
then = { prefer = ["stripe-main"] }

[[routing.rules]]
name = "cards elsewhere"
when = "method == 'alipay' && time >= '10:00' && time < '10:30'"
then = { avoid = ["alipay-main"], only = ["alipay-main", "stripe-main"] }
"#;

#[test]
fn an_explanation_is_a_table_for_people_and_json_for_machines() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "evergate.toml", &format!("{CHANNELS}{PRICED}"));
    let config = config.to_string_lossy();
    let asked = [
        "route",
        "explain",
        "--amount",
        "12.50",
        "--method",
        "alipay",
        "--method",
        "wechat_pay",
        "--at",
        "2026-11-24T02:05:00Z",
        "--config",
        &config,
    ];
    let told = run(&asked);
    assert_eq!(code(&told), 0, "{}", stderr(&told));
    insta::assert_snapshot!("explained", stdout(&told));
    let told = run(&[&asked[..], &["--lang", "zh"]].concat());
    insta::assert_snapshot!("explained_zh", stdout(&told));
    let told = json_of(&run(&[&asked[..], &["--json"]].concat()));
    assert_eq!(
        (&told["channel"], &told["order"][0]["fee_minor"]),
        (&"stripe-main".into(), &8.into())
    );
    assert_eq!(told["rules"][1]["skipped"], Value::Bool(true));
}

#[test]
fn questions_that_cannot_be_read_are_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "evergate.toml", CHANNELS);
    let config = config.to_string_lossy();
    for (asked, why) in [
        (["--amount", "12.505"], "write it like 12.50"),
        (["--amount", "1e3"], "write it like 12.50"),
        (["--tier", "gold"], "standard, vip"),
        (["--method", "cash"], "wechat_pay"),
        (["--metadata", "brand"], "name=value"),
    ] {
        let base: &[&str] = if asked[0] == "--amount" { &[] } else { &["--amount", "5"] };
        let args = [&["route", "explain"], base, &asked, &["--config", &config]].concat();
        let output = run(&args);
        assert_eq!(code(&output), 2, "{asked:?}");
        let told = stderr(&output);
        assert!(told.contains(why) && told.lines().count() == 1, "{asked:?}: {told}");
    }
}
