//! Keys that change: who signs, who is believed, and what stands in for settings that are only
//! being tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use domain::{Class, Operation, OrderState, Outcome, Share, Timestamp};
use providers::{ChannelSettings, Driver, NewChannel};
use serde_json::Value;

use crate::fake::{Back, Fake, Got};
use crate::keys::{STRANGERS, THEIRS};
use crate::peers::{Facts, PEERS, Peer, alipay_settings, stripe_settings, wechatpay_settings};
use crate::world::{NOTIFY, NOW, UNTIL, bare_driver, channel, operations, settings};

fn new(settings: &ChannelSettings) -> NewChannel {
    let (codec, limits) = settings.build(&channel(), NOTIFY).expect("settings without mistakes");
    NewChannel { id: channel(), codec, limits }
}

fn stripe(fake: &Fake, key: &str) -> ChannelSettings {
    let mut value = stripe_settings();
    value["base_url"] = fake.url().into();
    value["secret_key"] = key.into();
    settings(value)
}

/// Takes one key only.
async fn stripe_with(key: &'static str) -> Fake {
    Fake::start(move |got| {
        let bearer = format!("Bearer {key}");
        if got.header("authorization") == Some(bearer.as_str()) {
            return Peer::Stripe.answer(got, &Facts::good());
        }
        let error = r#"{"error":{"type":"invalid_request_error","message":"Invalid API Key"}}"#;
        Back::json(401, error)
    })
    .await
}

fn all() -> Share {
    Share { percent: 100, salt: 1 }
}

#[tokio::test]
async fn settings_in_force_stand_in_when_those_that_are_tried_had_no_effect() {
    let fake = stripe_with("sk_test_right").await;
    let driver = bare_driver();
    driver.set_channels(&[new(&stripe(&fake, "sk_test_right"))], Timestamp::EPOCH).unwrap();
    driver.try_channels(&[new(&stripe(&fake, "sk_test_wrong"))], all()).unwrap();
    for op in operations(&Peer::Stripe.order(), Peer::Stripe.reference()) {
        let answer = driver.call(&channel(), &op, UNTIL).await;
        assert_eq!(answer.class(), Class::Ok, "{}", op.name());
    }
    let arms = driver.arms(&channel()).unwrap();
    assert_eq!((arms.candidate.rejected, arms.candidate.rescued), (5, 5), "{arms:?}");
    assert_eq!((arms.candidate.ok, arms.current.technical()), (0, 0), "{arms:?}");
    // The same number in both calls (rule 8).
    let creates: Vec<Got> = fake.requests().into_iter().take(2).collect();
    let key = |got: &Got| got.header("idempotency-key").map(str::to_owned);
    assert!(key(&creates[0]).is_some() && key(&creates[0]) == key(&creates[1]), "{creates:?}");

    // Outside of the share, and after going back, only those in force are used.
    driver.set_share(Share::default());
    let before = fake.requests().len();
    driver.call(&channel(), &query(), UNTIL).await;
    assert_eq!(driver.arms(&channel()).unwrap().current.ok, 1);
    driver.drop_tried();
    driver.call(&channel(), &query(), UNTIL).await;
    assert_eq!(fake.requests().len(), before + 2);
}

#[tokio::test]
async fn nothing_is_sent_again_after_an_unknown_effect() {
    // PayPal's first request is for a token, which moves nothing.
    for peer in PEERS.into_iter().filter(|peer| *peer != Peer::Paypal) {
        let fake = Fake::start(|_| Back::Close).await;
        let driver = bare_driver();
        let settings = peer.settings(&fake.url());
        driver.set_channels(&[new(&settings)], Timestamp::EPOCH).unwrap();
        driver.try_channels(&[new(&settings)], all()).unwrap();
        let refund = peer.operations().remove(3);
        let answer = driver.call(&channel(), &refund, UNTIL).await;
        assert_eq!(answer.class(), Class::Unknown, "{peer:?}: {answer:?}");
        assert_eq!(fake.requests().len(), 1, "rule 3, {peer:?}");
        let arms = driver.arms(&channel()).unwrap();
        assert_eq!((arms.candidate.unknown, arms.candidate.rescued), (1, 0), "{peer:?}");
    }
    let driver = bare_driver();
    let create = operations(&Peer::Stripe.order(), None).remove(0);
    // A caller that goes away leaves an unknown effect behind.
    let hung = Fake::start(|_| Back::Hang).await;
    driver.try_channels(&[new(&stripe(&hung, "sk_test_hangs"))], all()).unwrap();
    let name = channel();
    let gone = driver.call(&name, &create, UNTIL);
    assert!(tokio::time::timeout(Duration::from_millis(100), gone).await.is_err());
    assert_eq!(driver.arms(&channel()).unwrap().candidate.unknown, 1);
}

#[tokio::test]
async fn a_channel_that_was_only_tried_is_kept_when_it_may_have_orders() {
    let fake = stripe_with("sk_test_right").await;
    let driver = bare_driver();
    driver.try_channels(&[new(&stripe(&fake, "sk_test_wrong"))], all()).unwrap();
    driver.call(&channel(), &query(), UNTIL).await;
    assert_eq!(driver.arms(&channel()).unwrap().candidate.rescued, 1, "others stand in");
    driver.drop_tried();
    assert!(driver.channels().is_empty(), "it has made nothing");
    driver.try_channels(&[new(&stripe(&fake, "sk_test_right"))], all()).unwrap();
    driver.call(&channel(), &query(), UNTIL).await;
    driver.drop_tried();
    let answer = driver.call(&channel(), &query(), UNTIL).await;
    assert_eq!(answer.class(), Class::Ok, "its orders can be asked about");
}

fn query() -> Operation {
    operations(&Peer::Stripe.order(), Peer::Stripe.reference()).remove(1)
}

/// A driver and the clock that a test winds.
fn wound() -> (Driver, Arc<AtomicI64>) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let clock = Arc::new(AtomicI64::new(NOW.as_micros()));
    let read = Arc::clone(&clock);
    let now = move || Timestamp::from_micros(read.load(Ordering::SeqCst));
    (Driver::new(Arc::new(now), Arc::new(|| "0".repeat(32))), clock)
}

/// The provider goes on signing with the old key for a while.
#[tokio::test]
async fn keys_that_were_replaced_are_believed_until_the_overlap_ends() {
    let fake = Fake::start(|got| Peer::Alipay.answer(got, &Facts::good())).await;
    let with = |key: &str| {
        let mut value = alipay_settings();
        value["base_url"] = format!("{}/gateway.do", fake.url()).into();
        value["alipay_public_key"] = key.into();
        new(&settings(value))
    };
    let (driver, clock) = wound();
    let day = Duration::from_secs(86_400);
    driver.set_channels(&[with(&THEIRS.public_pem())], Timestamp::EPOCH).unwrap();
    driver.set_channels(&[with(&STRANGERS.public_pem())], NOW + day).unwrap();
    let op = operations(&Peer::Alipay.order(), None).remove(1);
    let ask = async |at: Timestamp| {
        clock.store(at.as_micros(), Ordering::SeqCst);
        driver.call(&channel(), &op, at + Duration::from_secs(60)).await
    };
    let answer = ask(NOW + day - Duration::from_secs(1)).await;
    assert!(
        matches!(answer, domain::Answer::Query(Outcome::Ok(OrderState::Paid(_)))),
        "{answer:?}"
    );
    let delivery = crate::notices::alipay_delivery(&crate::notices::alipay_fields(), &THEIRS);
    assert!(driver.notice(&channel(), &delivery).await.is_ok(), "notifications as well");
    let answer = ask(NOW + day).await;
    assert_eq!(answer.class(), Class::Unknown, "the overlap is over: {answer:?}");
    assert!(driver.notice(&channel(), &delivery).await.is_err());
}

#[tokio::test]
async fn several_keys_of_a_provider_are_believed_at_once() {
    let both = format!("{}\n{}", STRANGERS.public_pem(), THEIRS.public_pem());
    let bare = |pem: &str| -> String { pem.lines().filter(|l| !l.starts_with('-')).collect() };
    let bare = format!("{}\n\n{}\n", bare(&STRANGERS.public_pem()), bare(&THEIRS.public_pem()));
    for keys in [both.as_str(), bare.as_str()] {
        let mut value = alipay_settings();
        value["alipay_public_key"] = keys.into();
        let codec = crate::world::codec(&settings(value));
        let fields = crate::notices::alipay_fields();
        for key in [&*THEIRS, &*STRANGERS] {
            let delivery = crate::notices::alipay_delivery(&fields, key);
            assert!(codec.notice(&delivery, NOW).is_ok());
        }
    }
    let mut value = wechatpay_settings();
    value["wechatpay_public_key"] = both.clone().into();
    let mistakes = settings(value.clone()).build(&channel(), NOTIFY).err().unwrap();
    assert!(mistakes[0].rule.contains("as many ids"), "{mistakes:?}");
    value["wechatpay_public_key_id"] = "PUB_KEY_ID_1 PUB_KEY_ID_2".into();
    assert!(settings(value).build(&channel(), NOTIFY).is_ok());
}

/// Calls under way count against the budget of whatever replaces their settings.
#[tokio::test]
async fn the_budget_outlives_a_change_of_keys() {
    let fake = Fake::start(|_| Back::Hang).await;
    let small = |key: &str| {
        let mut value: Value = stripe_settings();
        value["base_url"] = fake.url().into();
        value["secret_key"] = key.into();
        (value["max_in_flight"], value["timeout_ms"]) = (1.into(), 400.into());
        new(&settings(value))
    };
    let driver = bare_driver();
    driver.set_channels(&[small("sk_test_1")], Timestamp::EPOCH).unwrap();
    let (channel, op) = (channel(), query());
    let first = driver.call(&channel, &op, UNTIL);
    let second = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        driver.set_channels(&[small("sk_test_2")], NOW + Duration::from_secs(60)).unwrap();
        driver.call(&channel, &op, UNTIL).await
    };
    let (_, second) = tokio::join!(first, second);
    assert_eq!((second.class(), second.code()), (Class::Unavailable, Some("budget")));
}

/// A program that prints a key: run once, no shell, and a failure names its field.
#[cfg(unix)]
#[test]
fn a_key_may_come_from_a_program() {
    let mut value = stripe_settings();
    value.as_object_mut().unwrap().remove("secret_key");
    value["secret_key_command"] = serde_json::json!(["printf", "sk_test_printed"]);
    let mut printed = settings(value.clone());
    let before = printed.material();
    printed.run_commands(&channel()).unwrap();
    assert_ne!(printed.material(), before, "what it printed counts");
    assert!(printed.build(&channel(), NOTIFY).is_ok());
    value["secret_key_command"] =
        serde_json::json!(["sh", "-c", "echo sk_test_secret >&2; exit 1"]);
    let found = settings(value.clone()).run_commands(&channel()).unwrap_err();
    assert_eq!(found[0].field, "channels.main.secret_key_command");
    assert!(!found[0].to_string().contains("sk_test_secret\n"), "{}", found[0]);
    assert!(!found[0].to_string().contains("echo"), "arguments may be secret: {}", found[0]);
    // Two ways at once are a mistake, and nothing is run.
    value["secret_key"] = "sk_test_inline".into();
    let mut both = settings(value);
    assert!(both.run_commands(&channel()).is_ok());
    let found = both.build(&channel(), NOTIFY).err().unwrap();
    assert!(found[0].rule.contains("more than once"), "{found:?}");
}

#[test]
fn every_certificate_of_a_chain_and_of_ca_file_has_a_name_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let issuers = folder.path().join("ca.pem");
    std::fs::write(&issuers, &STRANGERS.certificate_pem).unwrap();
    let mut value = wechatpay_settings();
    let both = format!("{}\n{}", THEIRS.certificate_pem, STRANGERS.certificate_pem);
    value["platform_certificates"] = both.into();
    value["ca_file"] = issuers.to_string_lossy().into_owned().into();
    let settings = settings(value);
    let names: Vec<String> = settings.certificates().into_iter().map(|c| c.name).collect();
    for name in ["platform_certificates", "platform_certificates[2]", "ca_file"] {
        assert!(names.iter().any(|n| n == name), "{name} is not in {names:?}");
    }
    assert_eq!(settings.files(), [issuers]);
}
