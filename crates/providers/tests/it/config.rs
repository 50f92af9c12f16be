//! Settings: every mistake at once, each with its field and its cure.

use std::path::Path;

use providers::{ChannelSettings, SettingError};
use serde_json::{Value, json};

use crate::keys::{OURS, STRANGERS, THEIRS};
use crate::peers::{alipay_settings, paypal_settings, stripe_settings, wechatpay_settings};
use crate::world::{NOTIFY, channel, settings};

fn mistakes(value: Value) -> Vec<SettingError> {
    settings(value).build(&channel(), NOTIFY).err().unwrap_or_default()
}

fn fields(value: Value) -> Vec<String> {
    let found = mistakes(value);
    found.iter().map(|m| m.field.trim_start_matches("channels.main.").to_owned()).collect()
}

fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (name, change) in changes {
        value[*name] = change.clone();
        if change.is_null() {
            value.as_object_mut().expect("a table").remove(*name);
        }
    }
    value
}

#[test]
fn good_settings_have_no_mistakes_and_unknown_fields_are_refused() {
    for value in [alipay_settings(), wechatpay_settings(), stripe_settings(), paypal_settings()] {
        assert_eq!(mistakes(value.clone()), []);
        let odd = with(value, &[("tiemout_ms", 5.into())]);
        let error = serde_json::from_value::<ChannelSettings>(odd).expect_err("a wrong name");
        assert!(error.to_string().contains("tiemout_ms"), "{error}");
    }
    let odd = json!({ "provider": "adyen" });
    assert!(serde_json::from_value::<ChannelSettings>(odd).is_err());
}

#[test]
fn all_mistakes_are_told_at_once() {
    let found = fields(with(
        wechatpay_settings(),
        &[
            ("base_url", "ftp://x".into()),
            ("mch_id", "19 00".into()),
            ("api_v3_key", "short".into()),
            ("merchant_private_key", "not a key".into()),
            ("platform_certificates", "-----BEGIN CERTIFICATE-----\nAAAA".into()),
            ("wechatpay_public_key_id", Value::Null),
            ("timeout_ms", 0.into()),
            ("methods", json!(["alipay"])),
            ("currencies", json!(["USD"])),
            ("amount_min_minor", 0.into()),
        ],
    ));
    for field in [
        "base_url",
        "mch_id",
        "api_v3_key",
        "merchant_private_key",
        "platform_certificates",
        "wechatpay_public_key_id",
        "timeout_ms",
        "methods",
        "currencies",
        "amount_min_minor",
    ] {
        assert!(found.iter().any(|f| f == field), "{field} is missing in {found:?}");
    }
}

#[test]
fn a_key_that_does_not_match_its_certificate_is_told() {
    let strange = STRANGERS.private_pem();
    let found =
        mistakes(with(wechatpay_settings(), &[("merchant_private_key", strange.clone().into())]));
    assert_eq!(found.len(), 1);
    assert!(found[0].rule.contains("merchant_certificate"), "{}", found[0]);
    let found = mistakes(with(
        alipay_settings(),
        &[
            ("alipay_public_key", Value::Null),
            ("private_key", strange.into()),
            ("app_certificate", OURS.certificate_pem.clone().into()),
            ("alipay_certificate", THEIRS.certificate_pem.clone().into()),
            ("alipay_root_certificate", THEIRS.certificate_pem.clone().into()),
        ],
    ));
    assert_eq!(found.len(), 1);
    assert!(found[0].rule.contains("app_certificate"), "{}", found[0]);
}

#[test]
fn our_own_key_in_the_providers_place_is_told() {
    let ours = [("alipay_public_key", Value::from(OURS.public_pem()))];
    assert_eq!(fields(with(alipay_settings(), &ours)), ["alipay_public_key"]);
    let private = [("alipay_public_key", Value::from(THEIRS.private_pem()))];
    assert_eq!(fields(with(alipay_settings(), &private)), ["alipay_public_key"]);
    let ours = [("wechatpay_public_key", Value::from(OURS.public_pem()))];
    assert_eq!(fields(with(wechatpay_settings(), &ours)), ["wechatpay_public_key"]);
}

#[test]
fn plain_http_is_for_this_machine_only() {
    let url = |url: &str| [("base_url", Value::from(url))];
    for good in ["http://127.0.0.1:8", "http://localhost:8", "http://[::1]:8", "https://h.example"]
    {
        assert_eq!(fields(with(stripe_settings(), &url(good))), [] as [&str; 0], "{good}");
    }
    for bad in [
        "http://10.0.0.1",
        "http://localhost.evil.example",
        "nonsense",
        "https://u:p@h.example",
        "https://h.example?x=1",
        "",
    ] {
        assert_eq!(fields(with(stripe_settings(), &url(bad))), ["base_url"], "{bad}");
    }
    let mut value = with(stripe_settings(), &url("http://10.0.0.1"));
    value["allow_insecure"] = true.into();
    assert_eq!(fields(value), [] as [&str; 0]);
}

#[test]
fn keys_come_from_files_and_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("app.pem"), OURS.private_pem()).expect("a file");
    let mut value = with(
        alipay_settings(),
        &[("private_key", Value::Null), ("private_key_file", "app.pem".into())],
    );
    let mut moved = settings(value.clone());
    moved.rebase(folder.path());
    assert!(moved.build(&channel(), NOTIFY).is_ok());
    assert_eq!(fields(value.clone()), ["private_key_file"], "not where the tests run");
    value["private_key"] = OURS.private_pem().into();
    assert_eq!(fields(value), ["private_key"], "given twice");
    let missing = [("secret_key", Value::Null), ("secret_key_env", "EVERGATE_NO_SUCH".into())];
    assert_eq!(fields(with(stripe_settings(), &missing)), ["secret_key_env"]);
    let path = Path::new("Cargo.toml").to_str().expect("text");
    let wrong = [("private_key", Value::Null), ("private_key_file", path.into())];
    assert_eq!(fields(with(alipay_settings(), &wrong)), ["private_key"]);
    assert_eq!(fields(with(alipay_settings(), &[("private_key", Value::Null)])), ["private_key"]);
}

#[test]
fn bare_base64_keys_are_read() {
    let bare = |pem: String| -> Value {
        pem.lines().filter(|l| !l.starts_with("-----")).collect::<String>().into()
    };
    let changes = [
        ("private_key", bare(OURS.private_pem())),
        ("alipay_public_key", bare(THEIRS.public_pem())),
    ];
    assert_eq!(mistakes(with(alipay_settings(), &changes)), []);
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let shown = format!(
        "{:?} {:?} {:?}",
        settings(alipay_settings()),
        settings(wechatpay_settings()),
        settings(stripe_settings())
    );
    assert!(!shown.contains("PRIVATE KEY"));
    assert!(!shown.contains("sk_test_evergate") && !shown.contains("whsec_"));
    assert!(!shown.contains(crate::peers::API_V3_KEY));
    let broken = [("secret_key", Value::from("pk_live_oops_secret"))];
    let shown = format!("{:?}", mistakes(with(stripe_settings(), &broken)));
    assert!(shown.contains("secret_key") && !shown.contains("oops"), "{shown}");
}

#[test]
fn certificates_are_listed_with_their_dates() {
    let found = settings(wechatpay_settings()).certificates();
    let names: Vec<_> = found.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["merchant_certificate", "platform_certificates"]);
    assert!(found.iter().all(|c| c.not_before < c.not_after && c.subject.contains("Evergate")));
}

#[test]
fn the_probe_asks_about_a_number_that_is_never_given_out() {
    for value in [alipay_settings(), wechatpay_settings(), stripe_settings()] {
        let op = settings(value).probe_operation();
        let (_, ordinal) = domain::ProviderOrderNo::parse(op.number().as_str()).expect("ours");
        assert_eq!((op.name(), ordinal), ("query", 0));
    }
}
