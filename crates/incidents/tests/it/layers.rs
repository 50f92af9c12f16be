//! Each layer, broken by itself.

use incidents::layers::{Layer, Probed, probe};
use tokio::net::TcpListener;

use crate::peer::{Does, KEY, channel, encrypted, now, plain, target};

async fn at(base_url: &str, ca_file: Option<&str>) -> Probed {
    let (driver, target) = channel(base_url, KEY, ca_file);
    probe(&driver, &target, now()).await
}

/// The layer that broke, and the layers that were timed.
fn story(probed: &Probed) -> (Option<(Layer, &str)>, Vec<Layer>) {
    let broken = probed.broken.as_ref().map(|b| (b.layer, b.code.as_str()));
    (broken, probed.times.iter().map(|(layer, _)| *layer).collect())
}

const OK: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}";
const FAILS: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn a_name_without_an_address() {
    // RFC 6761 keeps `.invalid` without addresses for ever.
    let probed = at("https://pay.invalid", None).await;
    let (broken, layers) = story(&probed);
    assert_eq!(broken.unwrap().0, Layer::Dns);
    assert_eq!(layers, [Layer::Dns]);
}

#[tokio::test]
async fn a_port_that_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let probed = at(&url, None).await;
    assert_eq!(story(&probed), (Some((Layer::Tcp, "connect")), vec![Layer::Dns, Layer::Tcp]));
}

#[tokio::test]
async fn a_listener_that_takes_the_connection_and_never_speaks_tls() {
    let url = plain(Does::Nothing).await.replace("http:", "https:");
    let probed = at(&url, None).await;
    let layers = vec![Layer::Dns, Layer::Tcp, Layer::Tls];
    assert_eq!(story(&probed), (Some((Layer::Tls, "timeout")), layers));
    assert!(probed.address.is_some());
}

#[tokio::test]
async fn an_expired_certificate_and_the_days_that_it_has_had() {
    let (url, file) = encrypted(Does::Says(OK), (-30, -3)).await;
    let probed = at(&url, file.path().to_str()).await;
    assert_eq!(story(&probed).0, Some((Layer::Tls, "tls")));
    let broken = probed.broken.as_ref().unwrap();
    assert!(broken.detail.to_lowercase().contains("expired"), "{broken:?}");
    let days = probed.certificate.unwrap().days_left(now());
    assert!((-4..=-3).contains(&days), "{days}");
}

#[tokio::test]
async fn a_certificate_of_somebody_else() {
    let (url, _) = encrypted(Does::Says(OK), (-3, 30)).await;
    let (_, other) = encrypted(Does::Says(OK), (-3, 30)).await;
    let probed = at(&url, other.path().to_str()).await;
    assert_eq!(story(&probed).0.unwrap().0, Layer::Tls);
    assert!(probed.certificate.is_some(), "it was looked at all the same");
}

#[tokio::test]
async fn a_good_certificate_is_counted_in_days_and_the_next_layer_is_asked() {
    let (url, file) = encrypted(Does::Nothing, (-3, 21)).await;
    let probed = at(&url, file.path().to_str()).await;
    let layers = vec![Layer::Dns, Layer::Tcp, Layer::Tls, Layer::Http];
    assert_eq!(story(&probed), (Some((Layer::Http, "timeout")), layers));
    let days = probed.certificate.unwrap().days_left(now());
    assert!((20..=21).contains(&days), "{days}");
}

#[tokio::test]
async fn a_server_that_does_not_speak_http_and_one_that_fails() {
    let probed = at(&plain(Does::Says("SSH-2.0-OpenSSH\r\n")).await, None).await;
    assert_eq!(story(&probed).0, Some((Layer::Http, "malformed")));
    let probed = at(&plain(Does::Says(FAILS)).await, None).await;
    assert_eq!(story(&probed).0.unwrap().0, Layer::Http);
    assert_eq!(probed.status, Some(500));
}

#[tokio::test]
async fn the_sandbox_takes_the_right_key_and_refuses_a_wrong_one() {
    let sandbox = sandbox::Sandbox::start(sandbox::Options::demo(3)).await.unwrap();
    let secret =
        sandbox::Options::demo(3).accounts.iter().find_map(|a| match a.merchant_material() {
            sandbox::MerchantMaterial::Stripe { secret_key, .. } => Some(secret_key),
            _ => None,
        });
    let (driver, good) = channel(&sandbox.base_url(), &secret.unwrap(), None);
    let probed = probe(&driver, &good, now()).await;
    let all = vec![Layer::Dns, Layer::Tcp, Layer::Http, Layer::Signed];
    assert_eq!(story(&probed), (None, all), "{probed:?}");
    let probed = at(&sandbox.base_url(), None).await;
    assert_eq!(story(&probed).0.unwrap().0, Layer::Signed, "{probed:?}");
    sandbox.shutdown().await;
}

#[tokio::test]
async fn a_full_budget_says_nothing_about_the_provider() {
    let url = plain(Does::Nothing).await;
    let settings = serde_json::from_value(serde_json::json!({
        "provider": "stripe", "secret_key": KEY, "base_url": plain(Does::Says(OK)).await,
        "webhook_secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "timeout_ms": 400, "max_in_flight": 1,
    }))
    .unwrap();
    let (driver, target) = target(&settings);
    // The one place is taken by a call to a provider that hangs.
    let busy = serde_json::from_value(serde_json::json!({
        "provider": "stripe", "secret_key": KEY, "base_url": url,
        "webhook_secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "timeout_ms": 60_000, "max_in_flight": 1,
    }))
    .unwrap();
    let (slow, hanging) = self::target(&busy);
    let held = slow.probe(&hanging.channel, &hanging.question);
    let free = probe(&driver, &target, now());
    tokio::pin!(held);
    tokio::select! {
        _ = &mut held => panic!("it hangs"),
        probed = free => assert!(!probed.crowded, "channels do not share their places"),
    }
    let crowd = tokio::select! {
        _ = &mut held => panic!("it hangs"),
        again = slow.probe(&hanging.channel, &hanging.question) => again,
    };
    assert_eq!(crowd.reached, providers::ProbeLayer::Local);
}
