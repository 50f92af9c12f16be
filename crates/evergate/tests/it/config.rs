//! Configuration: every mistake at once, and a reference that reads.

use crate::support::{code, file, run, stderr, stdout};

const WRONG: &str = r#"
[server]
bind = "127.0.0.1:8080"
publik_url = "https://pay.example.com"
max_connections = "many"
drain_timeout_ms = 1000

[servre]
x = 1

[log]
format = "xml"

[[api_keys]]
role = "merchant"
hash = "1234"

[[operators]]
name = "li"
role = "merchant"
password_hash = "my-secret-password"

[[merchants]]
name = "shop"
webhook_url = "ftp://shop.example.com"

[[channels]]
name = "Alipay Main"
provider = "alipay"
app_id = "2021000000000000"
timeout_ms = "8 seconds"

[[channels]]
name = "wechat-main"
provider = "wechatpay"
app_id = "wx0000000000000000"

[[channels]]
name = "pal"
provider = "adyen"

[policy]
late_after_expiry = "keep"
expiry_s = 10

[health]
technical_base = 1.5
hold_off_ms = 5000
hold_off_max_ms = 1000
"#;

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_its_fix() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "evergate.toml", WRONG);
    let output = run(&["serve", "--config", &config.to_string_lossy()]);
    assert_eq!(code(&output), 2);
    let told = stderr(&output).replace(&*folder.path().to_string_lossy(), "[folder]");
    insta::assert_snapshot!(told);
}

#[test]
fn broken_toml_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let config = file(folder.path(), "evergate.toml", "[server]\nbind = \n");
    let output = run(&["serve", "--config", &config.to_string_lossy()]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("evergate.toml:2:"), "{}", stderr(&output));
}

#[test]
fn a_missing_file_is_told_in_one_line() {
    let output = run(&["serve", "--config", "/nowhere/evergate.toml"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("cannot be read"), "{}", stderr(&output));
}

#[test]
fn the_reference_is_printed_and_keys_that_are_not_there_are_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let reference = run(&["config", "default"]);
    assert_eq!(code(&reference), 0);
    let config = file(folder.path(), "evergate.toml", &stdout(&reference));
    let output = run(&["serve", "--config", &config.to_string_lossy()]);
    assert_eq!(code(&output), 2);
    let told = stderr(&output);
    assert!(told.contains("channels.alipay-main.private_key_file"), "{told}");
    assert!(told.contains("channels.stripe-main.secret_key_env"), "{told}");
}
