//! Messages to merchants: signed, tried again, given up, sent again by hand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::MerchantId;
use serde_json::{Value, json};
use server::{
    Endpoint, Endpoints, WebhookSecret, WorkersOptions, generate_webhook_secret, workers,
};

use crate::world::{World, order, world};

/// A merchant's endpoint that notes what it gets and answers as it was told to.
#[derive(Clone, Default)]
pub(crate) struct Shop {
    got: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<Vec<StatusCode>>>,
}

async fn take(State(shop): State<Shop>, headers: HeaderMap, body: String) -> StatusCode {
    shop.got.lock().unwrap().push((headers, body));
    let mut answers = shop.answers.lock().unwrap();
    if answers.is_empty() { StatusCode::NO_CONTENT } else { answers.remove(0) }
}

impl Shop {
    pub(crate) async fn open() -> (Shop, String) {
        let shop = Shop::default();
        let router =
            axum::Router::new().route("/hook", axum::routing::post(take)).with_state(shop.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let io = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(async move {
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service).await
                });
            }
        });
        (shop, url)
    }

    /// What it answers next.
    pub(crate) fn answer(&self, status: u16) {
        self.answers.lock().unwrap().push(StatusCode::from_u16(status).unwrap());
    }

    pub(crate) async fn wait_for(&self, count: usize) -> Vec<(HeaderMap, String)> {
        loop {
            let got = self.got.lock().unwrap().clone();
            if got.len() >= count {
                return got;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn start(world: &World, endpoints: HashMap<MerchantId, Endpoint>) -> workers::WorkersHandle {
    let options = WorkersOptions { beat: Duration::from_millis(5), ..WorkersOptions::default() };
    let endpoints = Arc::new(Endpoints::new(endpoints));
    workers::spawn(world.engine.clone(), world.entropy.clone(), endpoints, None, options).unwrap()
}

fn endpoint(url: &str, secrets: &[&str]) -> HashMap<MerchantId, Endpoint> {
    let secrets = secrets.iter().map(|s| WebhookSecret::parse(s).unwrap()).collect();
    HashMap::from([(MerchantId::new("shop").unwrap(), Endpoint { url: url.into(), secrets })])
}

/// The specification, written anew.
pub(crate) fn verify(secret: &str, headers: &HeaderMap, body: &str) -> bool {
    let text = |name: &str| headers[name].to_str().unwrap();
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let signed = format!("{}.{}.{body}", text("webhook-id"), text("webhook-timestamp"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    text("webhook-signature").split(' ').any(|signature| {
        let tag = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
        hmac::verify(&key, signed.as_bytes(), &tag).is_ok()
    })
}

async fn message(world: &World) -> Value {
    let listed = world.get(&world.shop, "/v1/messages").await.json();
    listed["messages"][0].clone()
}

async fn message_in(world: &World, state: &str) -> Value {
    loop {
        let message = message(world).await;
        if message["state"] == state {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_merchant_is_told_with_a_signature_that_verifies() {
    let world = world().await;
    let (old, new) = (generate_webhook_secret([7; 32]), generate_webhook_secret([8; 32]));
    let (shop, url) = Shop::open().await;
    let running = start(&world, endpoint(&url, &[&old, &new]));
    let mut wish = order("SO-1");
    wish["contact"] = json!("li@example.com");
    let payment = world.pay(wish).await;
    world.paid(&payment, 1999).await;
    let (headers, body) = shop.wait_for(1).await.remove(0);
    assert!(verify(&old, &headers, &body) && verify(&new, &headers, &body));
    assert!(!verify(&generate_webhook_secret([9; 32]), &headers, &body));
    assert_eq!(headers["content-type"], "application/json");
    let told: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["type"], "payment.paid");
    assert_eq!(told["timestamp"], "2026-11-24T06:00:00Z");
    assert_eq!(told["data"]["id"], payment["id"]);
    assert_eq!(told["data"]["status"], "paid");
    assert!(!body.contains("li@example.com"), "rule 13");
    let delivered = message_in(&world, "delivered").await;
    assert_eq!(delivered["id"], headers["webhook-id"].to_str().unwrap());

    let path = format!("/v1/payments/{}/refunds", payment["id"].as_str().unwrap());
    world.post(&world.shop, &path, &json!({ "amount": 5 })).await;
    let told: Value = serde_json::from_str(&shop.wait_for(2).await.remove(1).1).unwrap();
    assert_eq!(told["type"], "refund.succeeded");
    assert_eq!(told["data"]["refund"]["amount"], 5);
    running.shutdown().await;
}

#[tokio::test]
async fn a_failing_endpoint_is_tried_again_then_given_up_then_sent_again_by_hand() {
    let world = world().await;
    let secret = generate_webhook_secret([7; 32]);
    let (shop, url) = Shop::open().await;
    shop.answers.lock().unwrap().extend(std::iter::repeat_n(StatusCode::INTERNAL_SERVER_ERROR, 10));
    let running = start(&world, endpoint(&url, &[&secret]));
    let payment = world.pay(order("SO-1")).await;
    world.paid(&payment, 1999).await;
    for tries in 1..=9 {
        shop.wait_for(tries).await;
        loop {
            let message = message(&world).await;
            if message["tries"] == tries {
                assert_eq!(message["state"], "pending");
                assert_eq!(message["last_error"], "the endpoint answered 500");
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.clock.wind(Duration::from_secs(25 * 3600));
    }
    let got = shop.wait_for(10).await;
    let ids: Vec<_> = got.iter().map(|(h, _)| h["webhook-id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "the same message at every try");
    assert_ne!(got[0].0["webhook-timestamp"], got[9].0["webhook-timestamp"]);
    assert!(got.iter().all(|(headers, body)| verify(&secret, headers, body)));
    let dead = message_in(&world, "dead").await;
    assert_eq!(dead["tries"], 10);

    let resend = format!("/v1/messages/{}/resend", dead["id"].as_str().unwrap());
    assert_eq!(world.post(&world.other, &resend, &json!({})).await.problem(), "not-found");
    assert_eq!(world.post(&world.shop, &resend, &json!({})).await.status, 202);
    message_in(&world, "delivered").await;
    assert_eq!(shop.wait_for(11).await.len(), 11);
    let nothing = world.post(&world.li, "/v1/messages/msg_1_1/resend", &json!({})).await;
    assert_eq!(nothing.problem(), "not-found");
    running.shutdown().await;
}

#[tokio::test]
async fn gone_redirected_and_missing_endpoints() {
    let world = world().await;
    let secret = generate_webhook_secret([7; 32]);
    let (shop, url) = Shop::open().await;
    shop.answers.lock().unwrap().extend([StatusCode::GONE, StatusCode::FOUND]);
    let running = start(&world, endpoint(&url, &[&secret]));
    let payment = world.pay(order("SO-1")).await;
    world.paid(&payment, 1999).await;
    assert_eq!(message_in(&world, "dead").await["last_error"], "the endpoint answered 410 Gone");
    let payment = world.pay(order("SO-2")).await;
    world.clock.wind(Duration::from_secs(1));
    world.paid(&payment, 1999).await;
    shop.wait_for(2).await;
    let retried = message_in(&world, "pending").await;
    assert!(matches!(retried["last_error"].as_str(), None | Some("the endpoint answered 302")));

    let other = world.post(&world.other, "/v1/payments", &order("SO-3")).await.json();
    world.paid(&other, 1999).await;
    let dead = loop {
        let listed = world.get(&world.other, "/v1/messages?state=dead").await.json();
        if let Some(message) = listed["messages"].get(0) {
            break message.clone();
        }
    };
    assert_eq!(dead["last_error"], "no endpoint is configured for the merchant");
    running.shutdown().await;
}

#[tokio::test]
async fn workers_survive_a_store_that_fails_and_do_what_is_due() {
    let world = world().await;
    let payment = world.pay(order("SO-1")).await;
    world.store.fail(Some(store::StoreError::Unavailable("lock".into())));
    let running = start(&world, HashMap::new());
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.store.fail(None);
    world.clock.wind(Duration::from_secs(16 * 60));
    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    while world.get(&world.shop, &path).await.json()["status"] != "expired" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    running.shutdown().await;
}
