//! kill -9 at any moment, and a restart: nothing is lost and nothing is repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use evergate::client::{Api, ApiError};
use evergate::demo::{Receiver, compare};
use serde_json::{Value, json};
use store::{Filter, SqliteOptions, SqliteStore, Store as _};

use crate::support::{Town, eventually, order, plain_client};

const ROUNDS: u64 = 5;
const SHOPPERS: usize = 6;

/// One shopper after another, each stubborn: repeats its request under its key until it is
/// answered, and then pays. Gives the payments that it made.
async fn shop(town: Arc<Town>, lane: usize, closing: Arc<AtomicBool>, paid: Arc<AtomicUsize>) {
    let (api, http) = (town.api(), plain_client());
    for number in 0.. {
        if closing.load(Ordering::Relaxed) {
            return;
        }
        let name = format!("K-{lane}-{number}");
        let method = ["alipay", "wechat_pay", "card"][(lane + number) % 3];
        let mut body = order(&name, 1_000 + number as i64, method);
        if method == "card" && number % 2 == 0 {
            body["token"] = json!("pm_card_visa");
        }
        let payment = stubborn(&api, &body, &name).await;
        assert_eq!(payment["order_no"], name.as_str());
        let shown = &payment["presentation"];
        let code = ["content", "url", "secret"].iter().find_map(|f| shown[f].as_str());
        if let Some(code) = code {
            let url = format!("{}/sandbox/pay", town.sandbox_url);
            let wish = json!({ "code": code }).to_string();
            let request = http.post(url).header("content-type", "application/json").body(wish);
            let answer = request.send().await.expect("the sandbox is not killed");
            assert!(answer.status().is_success(), "{:?}", answer.text().await);
        }
        paid.fetch_add(1, Ordering::Relaxed);
    }
}

async fn stubborn(api: &Api, body: &Value, key: &str) -> Value {
    let until = Instant::now() + Duration::from_secs(40);
    while Instant::now() < until {
        match api.post("/v1/payments", body, Some(key)).await {
            // A repeated request may meet the payment in the middle of its recovery.
            Ok((_, payment)) => match payment["status"].as_str() {
                Some("requires_customer" | "paid") => return payment,
                Some("unavailable") => {
                    let id = payment["id"].as_str().unwrap_or_default();
                    let _ =
                        api.post(&format!("/v1/payments/{id}/attempts"), &Value::Null, None).await;
                }
                _ => {}
            },
            Err(ApiError::Refused { status: 400..500, message, .. }) => panic!("{message}"),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{key} was never answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_gateway_loses_nothing_and_repeats_nothing() {
    let receiver = Receiver::start().await.unwrap();
    let town = Arc::new(Town::start(&receiver.url(), receiver.secret()));
    let mut gateway = town.serve();
    town.ready().await;
    let lossy = json!({
        "match": { "provider": "alipay", "operation": "create", "probability": 0.1 },
        "fault": "success_then_timeout",
    });
    town.sandbox("faults", lossy).await;
    let (closing, paid) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let shoppers: Vec<_> = (0..SHOPPERS)
        .map(|lane| tokio::spawn(shop(town.clone(), lane, closing.clone(), paid.clone())))
        .collect();
    for round in 1..=ROUNDS {
        // Moments that differ from round to round and from each other by primes.
        let moment = 300 + (round * 1_237 + 411 * u64::from(std::process::id())) % 900;
        tokio::time::sleep(Duration::from_millis(moment)).await;
        gateway.kill();
        gateway = town.serve();
    }
    town.ready().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    closing.store(true, Ordering::Relaxed);
    for shopper in shoppers {
        shopper.await.unwrap();
    }
    let paid = paid.load(Ordering::Relaxed);
    assert!(paid > 20, "only {paid} payments met the kills");
    settled(&town, gateway, paid, &receiver).await;
}

/// Waits for quiet books, ends the gateway, and compares.
async fn settled(
    town: &Town,
    mut gateway: crate::support::Process,
    paid: usize,
    receiver: &Receiver,
) {
    let api = town.api();
    eventually("all that was paid is paid in our books", async || {
        let open = ["processing", "requires_customer", "confirming", "unavailable"];
        for status in open {
            let query = [("status", status.to_owned())];
            let page = api.get("/v1/payments", &query).await.ok()?;
            if page["payments"].as_array().is_none_or(|found| !found.is_empty()) {
                return None;
            }
        }
        Some(())
    })
    .await;
    eventually("merchants are told", async || {
        (receiver.received().paid.len() >= paid).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let ended = tokio::task::spawn_blocking(move || gateway.terminate()).await.unwrap();
    assert_eq!(ended, 0);
    let books = town.sandbox("books", Value::Null).await;
    let books: sandbox::BooksSnapshot = serde_json::from_value(books).unwrap();
    let store = SqliteStore::open(&town.store(), SqliteOptions::default()).unwrap();
    let payments = store.list(&Filter { limit: 10_000, ..Filter::default() }).await.unwrap();
    assert_eq!(payments.len(), paid);
    let found = compare(&payments, &books);
    assert!(found.is_clean(), "{found:#?}");
}
