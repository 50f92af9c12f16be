//! Budgets, deadlines, connections and probes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Answer, ChannelId, Class, Operation, Timestamp};
use providers::{CallLimits, Probe, ProbeLayer, Roots};

use crate::fake::{Back, Fake};
use crate::keys::STRANGERS;
use crate::peers::{Facts, Peer};
use crate::world::{NOTIFY, NOW, UNTIL, bare_driver, call, channel, driver, operations, settings};

fn query() -> Operation {
    operations(&Peer::Stripe.order(), Peer::Stripe.reference()).remove(1)
}

fn said(answer: &Answer) -> (Class, Option<&str>) {
    (answer.class(), answer.code())
}

#[tokio::test]
async fn nothing_is_sent_once_the_owners_time_is_over() {
    let fake = Fake::start(|got| Peer::Stripe.answer(got, &Facts::good())).await;
    let driver = driver(&Peer::Stripe.settings(&fake.url()));
    for until in [NOW, NOW - Duration::from_secs(1), Timestamp::EPOCH] {
        let answer = driver.call(&channel(), &query(), until).await;
        assert_eq!(said(&answer), (Class::Unavailable, Some("deadline")));
    }
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn a_call_ends_with_the_owners_time_if_that_is_sooner() {
    let fake = Fake::start(|_| Back::Hang).await;
    let driver = driver(&Peer::Stripe.settings(&fake.url()));
    let began = Instant::now();
    let answer = driver.call(&channel(), &query(), NOW + Duration::from_millis(80)).await;
    assert_eq!(said(&answer), (Class::Unknown, Some("timeout")));
    assert!(began.elapsed() < Duration::from_millis(600), "{:?}", began.elapsed());
}

#[tokio::test]
async fn calls_over_the_budget_are_refused_at_once_and_the_budget_comes_back() {
    let fake = Fake::start(|_| Back::Hang).await;
    let mut value = crate::peers::stripe_settings();
    value["base_url"] = fake.url().into();
    value["timeout_ms"] = 300.into();
    value["max_in_flight"] = 2.into();
    let driver = driver(&settings(value));
    let (channel, op) = (channel(), query());
    let one = driver.call(&channel, &op, UNTIL);
    let two = driver.call(&channel, &op, UNTIL);
    let three = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        driver.call(&channel, &op, UNTIL).await
    };
    let (one, two, three) = tokio::join!(one, two, three);
    assert_eq!(said(&one), (Class::Unknown, Some("timeout")));
    assert_eq!(said(&two), (Class::Unknown, Some("timeout")));
    assert_eq!(said(&three), (Class::Unavailable, Some("budget")));
    let again = driver.call(&channel, &op, UNTIL).await;
    assert_eq!(said(&again), (Class::Unknown, Some("timeout")));
}

#[tokio::test]
async fn a_call_that_its_caller_gives_up_frees_its_place() {
    let fake = Fake::start(|_| Back::Hang).await;
    let mut value = crate::peers::stripe_settings();
    value["base_url"] = fake.url().into();
    value["max_in_flight"] = 1.into();
    value["timeout_ms"] = 300.into();
    let driver = driver(&settings(value));
    let (channel, op) = (channel(), query());
    let gone = driver.call(&channel, &op, UNTIL);
    assert!(tokio::time::timeout(Duration::from_millis(50), gone).await.is_err());
    let answer = driver.call(&channel, &op, UNTIL).await;
    assert_eq!(said(&answer), (Class::Unknown, Some("timeout")));
}

#[tokio::test]
async fn an_unknown_host_and_a_refused_certificate_are_not_sent() {
    let mut value = crate::peers::stripe_settings();
    value["base_url"] = "https://provider.invalid".into();
    let answer = call_with_roots(value.clone()).await;
    assert_eq!(said(&answer), (Class::Unavailable, Some("dns")), "{answer:?}");
    let tls = tls_server().await;
    value["base_url"] = format!("https://localhost:{tls}").into();
    let answer = call_with_roots(value.clone()).await;
    assert_eq!(said(&answer), (Class::Unavailable, Some("tls")), "{answer:?}");
    // A server that speaks no TLS at all.
    let plain = Fake::start(|_| Back::Close).await;
    value["base_url"] = format!("https://localhost:{}", plain.address.port()).into();
    let answer = call_with_roots(value).await;
    assert_eq!(answer.class(), Class::Unavailable, "{answer:?}");
}

/// With one stranger's certificate as the only root, so that the machine's own do not matter.
async fn call_with_roots(value: serde_json::Value) -> Answer {
    let (codec, limits) = settings(value).build(&channel(), NOTIFY).expect("no mistakes");
    let limits =
        CallLimits { roots: Roots::Only(STRANGERS.certificate_pem.clone().into()), ..limits };
    let driver = bare_driver();
    driver.set_channel(channel(), codec, &limits).expect("a client");
    driver.call(&channel(), &query(), UNTIL).await
}

/// Accepts TLS with a certificate that nobody trusts; says nothing over it.
async fn tls_server() -> u16 {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()),
        )
        .expect("a server's configuration");
    let listener = std::net::TcpListener::bind("localhost:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let Ok(mut tls) = rustls::ServerConnection::new(Arc::clone(&config)) else { continue };
            let _ = tls.complete_io(&mut stream);
        }
    });
    port
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Fake::start(|got| Peer::Stripe.answer(got, &Facts::good())).await;
    let to = format!("{}/v1/payment_intents/pi_3Evergate", target.url());
    let fake =
        Fake::start(move |_| Back::Http(302, vec![("location".into(), to.clone())], vec![])).await;
    let answer = call(&Peer::Stripe.settings(&fake.url()), &query()).await;
    assert_eq!(answer.class(), Class::Unknown);
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn channels_come_and_go_while_it_runs() {
    let fake = Fake::start(|got| Peer::Stripe.answer(got, &Facts::good())).await;
    let driver = bare_driver();
    let absent = driver.call(&channel(), &query(), UNTIL).await;
    assert_eq!(said(&absent), (Class::Unavailable, Some("no_channel")));
    let settings = Peer::Stripe.settings(&fake.url());
    let (codec, limits) = settings.build(&channel(), NOTIFY).expect("no mistakes");
    driver.set_channel(channel(), Arc::clone(&codec), &limits).expect("a client");
    assert_eq!(driver.channels(), [channel()]);
    assert!(driver.codec(&channel()).is_some_and(|c| c.capabilities().provider == "stripe"));
    assert_eq!(driver.call(&channel(), &query(), UNTIL).await.class(), Class::Ok);
    let other = ChannelId::new("other").expect("a name");
    driver.set_channel(other.clone(), codec, &limits).expect("a client");
    driver.remove_channel(&channel());
    assert_eq!(driver.channels(), [other]);
}

async fn probe(
    peer: Peer,
    answer: impl Fn(&crate::fake::Got) -> Back + Send + Sync + 'static,
) -> Probe {
    let fake = Fake::start(answer).await;
    let settings = peer.settings(&fake.url());
    driver(&settings).probe(&channel(), &settings.probe_operation()).await
}

#[tokio::test]
async fn a_probe_tells_the_layers_apart() {
    let dated = |status: u16, body: &str| {
        let date = "Mon, 21 Sep 2026 14:14:20 GMT";
        Back::Http(status, vec![("date".into(), date.into())], body.into())
    };
    let found = probe(Peer::WechatPay, move |_| dated(404, r#"{"code":"ORDER_NOT_EXIST"}"#)).await;
    assert_eq!((found.reached, found.status), (ProbeLayer::Accepted, Some(404)));
    assert_eq!(found.clock_skew_s, Some(60));
    let found = probe(Peer::WechatPay, move |_| dated(401, r#"{"code":"SIGN_ERROR"}"#)).await;
    assert_eq!(found.reached, ProbeLayer::Answered);
    assert_eq!(found.fault.map(|f| f.code).as_deref(), Some("SIGN_ERROR"));
    let found = probe(Peer::Stripe, |_| Back::json(200, r#"{"data":[],"has_more":false}"#)).await;
    assert_eq!((found.reached, found.fault), (ProbeLayer::Accepted, None));
    let found = probe(Peer::Alipay, |_| Back::Close).await;
    assert_eq!(found.reached, ProbeLayer::Http);
    let settings = Peer::Alipay.settings("http://127.0.0.1:1");
    let found = driver(&settings).probe(&channel(), &settings.probe_operation()).await;
    assert_eq!(found.reached, ProbeLayer::Connect);
}
