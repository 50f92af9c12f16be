//! Notifications as a merchant receives them: resends, copies, losses.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use sandbox::{DeliveryResult, Fault, FaultRule, PayTarget, ProviderKind};
use serde_json::json;

use crate::client::{Alipay, Stripe, UnionPay};

/// A merchant's endpoint that keeps what it gets and answers from a list, then as told.
#[derive(Clone, Default)]
struct Shop {
    got: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<Vec<(StatusCode, &'static str)>>>,
}

impl Shop {
    async fn open(self, then: (StatusCode, &'static str)) -> (Self, String) {
        let shop = self.clone();
        let handler = move |body: String| async move {
            shop.got.lock().unwrap().push(body);
            let mut answers = shop.answers.lock().unwrap();
            if answers.is_empty() { then } else { answers.remove(0) }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/notify", listener.local_addr().unwrap());
        let router = Router::new().route("/notify", post(handler));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (self, url)
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }

    async fn wait_for(&self, count: usize) {
        let start = Instant::now();
        while self.count() < count {
            assert!(start.elapsed() < Duration::from_secs(10), "got {} of {count}", self.count());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits long enough for anything that should not come.
    async fn stays_at(&self, count: usize) {
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(self.count(), count);
    }
}

async fn paid_order(alipay: &Alipay, number: &str, url: &str) {
    let biz = json!({ "out_trade_no": number, "total_amount": "1.00", "subject": "tea" });
    let mut params = alipay.params("alipay.trade.precreate", &biz);
    params.insert("notify_url".to_owned(), url.to_owned());
    let answer = alipay.send(&alipay.signed(params)).await;
    assert!(answer.contains("10000"), "{answer}");
    let target = PayTarget::order(ProviderKind::Alipay, None, number);
    assert!(alipay.sandbox.pay(&target).await.unwrap().paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn alipay_asks_for_exactly_seven_bytes() {
    let alipay = Alipay::start().await;
    let shop = Shop::default();
    shop.answers.lock().unwrap().extend([
        (StatusCode::INTERNAL_SERVER_ERROR, "success"),
        (StatusCode::OK, "fail"),
        (StatusCode::OK, "success\n"),
    ]);
    let (shop, url) = shop.open((StatusCode::OK, "success")).await;
    paid_order(&alipay, "a1", &url).await;
    shop.wait_for(4).await;
    shop.stays_at(4).await;
    let id =
        |body: &String| body.split('&').find(|p| p.starts_with("notify_id")).unwrap().to_owned();
    let ids: Vec<_> = shop.got.lock().unwrap().iter().map(id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    let log = alipay.sandbox.notifications();
    assert_eq!(log.iter().map(|line| line.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(log[0].next_in_ms, Some(240));
    assert_eq!(log[3].result, DeliveryResult::Acknowledged);
    assert_eq!(log[3].next_in_ms, None);
    alipay.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_losses_and_delays() {
    let alipay = Alipay::start().await;
    let (shop, url) = Shop::default().open((StatusCode::OK, "success")).await;
    let play = |fault| {
        alipay.sandbox.faults().clear();
        alipay.sandbox.faults().add(FaultRule::always(fault)).unwrap();
    };
    play(Fault::DuplicateNotification { copies: 3 });
    paid_order(&alipay, "a1", &url).await;
    shop.wait_for(4).await;
    play(Fault::MissingNotification);
    paid_order(&alipay, "a2", &url).await;
    shop.stays_at(4).await;
    assert_eq!(alipay.sandbox.notifications().last().unwrap().result, DeliveryResult::Lost);
    play(Fault::LateNotification { delay_ms: 700 });
    paid_order(&alipay, "a3", &url).await;
    shop.stays_at(4).await;
    shop.wait_for(5).await;
    alipay.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stripe_has_one_endpoint_for_each_account() {
    let stripe = Stripe::start().await;
    // Nobody is told while there is no endpoint.
    stripe.charge("a").send().await.unwrap();
    let (shop, url) = Shop::default().open((StatusCode::NO_CONTENT, "")).await;
    stripe.sandbox.set_webhook("st", &url);
    stripe.charge("b").send().await.unwrap();
    shop.wait_for(1).await;
    shop.stays_at(1).await;
    assert!(shop.got.lock().unwrap()[0].contains("payment_intent.succeeded"));
    stripe.sandbox.shutdown().await;
}

/// The body does not count, the status does; after the first, five more come.
#[tokio::test(flavor = "multi_thread")]
async fn unionpay_sends_six_times_and_no_more() {
    let unionpay = UnionPay::start().await;
    let (shop, url) = Shop::default().open((StatusCode::NOT_FOUND, "ok")).await;
    unionpay.send("frontTransReq.do", unionpay.signed(unionpay.payment("order001", &url))).await;
    let target = PayTarget::order(ProviderKind::UnionPay, None, "order001");
    assert!(unionpay.sandbox.pay(&target).await.unwrap().paid);
    shop.wait_for(6).await;
    shop.stays_at(6).await;
    let (shop, url) = Shop::default().open((StatusCode::OK, "whatever")).await;
    unionpay.send("frontTransReq.do", unionpay.signed(unionpay.payment("order002", &url))).await;
    let target = PayTarget::order(ProviderKind::UnionPay, None, "order002");
    assert!(unionpay.sandbox.pay(&target).await.unwrap().paid);
    shop.wait_for(1).await;
    shop.stays_at(1).await;
    assert!(shop.got.lock().unwrap()[0].contains("txnType=01"));
}
