//! Payments from the wish to the refund, as a merchant sees them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::*;
use serde_json::{Value, json};

use crate::world::{World, order, world, world_with};

fn unavailable() -> Answer {
    Answer::Create(Outcome::Unavailable(Fault::new("http_503", "the provider answered 503")))
}

#[tokio::test]
async fn a_payment_is_made_paid_and_refunded_in_parts() {
    let world = world().await;
    let made = world.post(&world.shop, "/v1/payments", &order("SO-1")).await;
    assert_eq!(made.status, 201);
    let payment = made.json();
    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    assert_eq!(made.header("location"), path);
    assert_eq!(payment["status"], "requires_customer");
    assert_eq!(payment["presentation"]["type"], "qr_code");
    assert_eq!(payment["presentation"]["qr_svg_url"], format!("{path}/qr.svg"));
    assert_eq!(payment["notice"], Value::Null);
    let qr = world.get(&world.shop, &format!("{path}/qr.svg")).await;
    assert_eq!((qr.status, qr.header("content-type")), (200, "image/svg+xml"));
    assert!(qr.text.contains("<svg"));

    let acknowledged = world.paid(&payment, 1999).await;
    assert_eq!((acknowledged.status, acknowledged.text.as_str()), (200, "success"));
    let paid = world.get(&world.shop, &path).await.json();
    assert_eq!(paid["status"], "paid");
    assert_eq!(paid["presentation"], Value::Null);
    assert_eq!(paid["paid_at"], "2026-11-24T06:00:00Z");
    assert_eq!((&paid["refunded_amount"], &paid["refundable_amount"]), (&json!(0), &json!(1999)));

    let refunds = format!("{path}/refunds");
    let part = json!({ "amount": 500, "reason": "one came back" });
    let first = world.post_keyed(&world.shop, &refunds, "r-1", &part).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.json()["refund"]["status"], "succeeded");
    assert_eq!(first.json()["payment"]["status"], "partially_refunded");
    let again = world.post_keyed(&world.shop, &refunds, "r-1", &part).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    let more = json!({ "amount": 1500 });
    let too_much = world.post(&world.shop, &refunds, &more).await;
    assert_eq!((too_much.status, too_much.problem().as_str()), (422, "refund-too-much"));
    assert_eq!(too_much.json()["rule"], "must be at most 1499");
    let rest = world.post(&world.shop, &refunds, &json!({})).await;
    assert_eq!(rest.json()["refund"]["amount"], 1499);
    assert_eq!(rest.json()["payment"]["status"], "refunded");
    let listed = world.get(&world.shop, &refunds).await.json();
    assert_eq!(listed["refunds"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&listed["refunded_amount"], &listed["refundable_amount"]),
        (&json!(1999), &json!(0))
    );

    let story = world.get(&world.shop, &format!("{path}/events")).await.json();
    let names: Vec<&str> =
        story["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(names[..5], ["created", "attempt_started", "attempt_shown", "attempt_paid", "paid"]);
    assert_eq!(story["events"][1]["channel"], "alipay-main");
}

#[tokio::test]
async fn the_view_of_a_payment() {
    let world = world().await;
    let mut body = order("SO-1");
    body["contact"] = json!("li@example.com");
    body["payer_id"] = json!("openid-1");
    body["metadata"] = json!({ "cart": "c-77" });
    world.script.next([unavailable()]);
    let payment = world.pay(body).await;
    insta::assert_json_snapshot!(payment);
    let text = payment.to_string();
    assert!(!text.contains("li@example.com") && !text.contains("openid-1"), "rule 13");
}

#[tokio::test]
async fn notices_say_what_to_do() {
    let world = world().await;
    world.script.next([unavailable()]);
    let rerouted = world.pay(order("SO-1")).await;
    assert_eq!(rerouted["method"], "wechat_pay");
    assert_eq!(rerouted["notice"]["zh"], "支付宝暂时不可用，请使用微信支付");
    assert_eq!(
        rerouted["notice"]["en"],
        "Alipay is unavailable at the moment, please use WeChat Pay"
    );

    // The customer's own choice is no outage.
    let shown = world.pay(order("SO-2")).await;
    let attempts = format!("/v1/payments/{}/attempts", shown["id"].as_str().unwrap());
    let chosen = world.post(&world.shop, &attempts, &json!({ "method": "wechat_pay" })).await;
    assert_eq!(chosen.status, 200, "{chosen:?}");
    assert_eq!(chosen.json()["method"], "wechat_pay");
    assert_eq!(chosen.json()["notice"], Value::Null);

    let mut saved = order("SO-3");
    saved["methods"] = json!(["card"]);
    saved["token"] = json!("pm_1");
    let silence = Fault::new("timeout", "no answer");
    world.script.next([Answer::Create(Outcome::Unknown(silence))]);
    let unknown = world.pay(saved.clone()).await;
    assert_eq!(unknown["status"], "confirming");
    assert_eq!(unknown["notice"]["zh"], "正在确认，请勿重复支付");
    let attempts = format!("/v1/payments/{}/attempts", unknown["id"].as_str().unwrap());
    let blocked = world.post(&world.shop, &attempts, &json!({})).await;
    assert_eq!((blocked.status, blocked.problem().as_str()), (409, "being-confirmed"));

    world.script.next([unavailable()]);
    saved["order_no"] = json!("SO-4");
    let nothing = world.pay(saved).await;
    assert_eq!(nothing["status"], "unavailable");
    assert!(nothing["notice"]["en"].as_str().unwrap().contains("not possible at the moment"));
}

#[tokio::test]
async fn sixty_four_equal_requests_make_one_payment() {
    let world = world().await;
    world.script.gate.acquire().await.unwrap().forget();
    let body = order("SO-1");
    let send = |_| world.post_keyed(&world.shop, "/v1/payments", "k-1", &body);
    let all = futures(0..64, send);
    let open = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.script.gate.add_permits(1);
    };
    let (answers, ()) = tokio::join!(all, open);
    let ids: std::collections::BTreeSet<String> =
        answers.iter().map(|a| a.json()["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1);
    let made = answers.iter().filter(|a| a.status == 201).count();
    let replayed = answers.iter().filter(|a| a.status == 200).count();
    assert_eq!((made, replayed), (1, 63));
    // Whoever came second waited for the first one's code instead of being told "processing".
    assert!(answers.iter().all(|a| a.json()["status"] == "requires_customer"));
    assert_eq!(world.script.calls.load(Ordering::SeqCst), 1);
}

/// Awaits all at once.
async fn futures<I, F, T>(items: I, make: impl Fn(I::Item) -> F) -> Vec<T>
where
    I: IntoIterator,
    F: Future<Output = T>,
{
    let mut all: Vec<_> = items.into_iter().map(|i| Box::pin(make(i))).collect();
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(move |cx| {
        for (future, done) in all.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *done = Some(value);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(done.iter_mut().map(|d| d.take().unwrap()).collect()),
            false => std::task::Poll::Pending,
        }
    })
    .await
}

#[tokio::test]
async fn merchants_see_their_own_and_operators_see_all() {
    let world = world().await;
    let payment = world.pay(order("SO-1")).await;
    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    for path in [path.clone(), format!("{path}/events"), format!("{path}/refunds")] {
        assert_eq!(world.get(&world.other, &path).await.problem(), "not-found", "{path}");
    }
    let cancel = format!("{path}/cancel");
    assert_eq!(world.post(&world.other, &cancel, &json!({})).await.problem(), "not-found");
    let seen = world.get(&world.li, &path).await.json();
    assert_eq!(seen["presentation"], Value::Null, "nothing payable for operators");
    assert_eq!(world.post(&world.li, &cancel, &json!({})).await.problem(), "forbidden");
    let cancelled = world.post(&world.shop, &cancel, &json!({})).await.json();
    assert_eq!(cancelled["status"], "cancelled");
    let listed = world.get(&world.other, "/v1/payments").await.json();
    assert_eq!(listed["payments"], json!([]));
}

async fn listed(world: &World, key: &str, query: &str) -> (Vec<String>, Value) {
    let page = world.get(key, &format!("/v1/payments?{query}")).await.json();
    let orders = page["payments"].as_array().unwrap_or_else(|| panic!("{page}"));
    let orders = orders.iter().map(|p| p["order_no"].as_str().unwrap().to_owned()).collect();
    (orders, page["next_cursor"].clone())
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let world = world().await;
    for n in 1..=5 {
        world.pay(order(&format!("SO-{n}"))).await;
        world.clock.wind(Duration::from_secs(1));
    }
    let (first, cursor) = listed(&world, &world.shop, "limit=2").await;
    assert_eq!(first, ["SO-5", "SO-4"]);
    world.pay(order("SO-6")).await;
    let next = format!("limit=2&cursor={}", cursor.as_str().unwrap());
    let (second, cursor) = listed(&world, &world.shop, &next).await;
    assert_eq!(second, ["SO-3", "SO-2"], "a new payment shifts nothing");
    let next = format!("limit=2&cursor={}", cursor.as_str().unwrap());
    let (third, cursor) = listed(&world, &world.shop, &next).await;
    assert_eq!((third, cursor), (vec!["SO-1".to_owned()], Value::Null));

    let (found, _) = listed(&world, &world.shop, "order_no=SO-3").await;
    assert_eq!(found, ["SO-3"]);
    let (found, _) = listed(&world, &world.li, "order_no=SO-3&merchant=shop").await;
    assert_eq!(found, ["SO-3"]);
    let (found, _) = listed(&world, &world.shop, "order_no=SO-3&status=paid").await;
    assert!(found.is_empty());
    let (found, _) = listed(&world, &world.shop, "status=requires_customer&limit=200").await;
    assert_eq!(found.len(), 6);
    let (found, _) = listed(&world, &world.shop, "channel=wechat-main").await;
    assert!(found.is_empty());
    let (found, _) = listed(&world, &world.shop, "until=2026-11-24T06:00:02Z").await;
    assert_eq!(found, ["SO-2", "SO-1"]);
    let (found, _) = listed(&world, &world.shop, "since=2026-11-24T14:00:04%2B08:00").await;
    assert_eq!(found, ["SO-6", "SO-5"]);
    let (found, _) = listed(&world, &world.shop, "review=true").await;
    assert!(found.is_empty());
}

#[tokio::test]
async fn a_request_that_takes_too_long_goes_on_behind_the_scenes() {
    let world = world_with(|o| o.request_timeout = Duration::from_millis(100)).await;
    world.script.gate.acquire().await.unwrap().forget();
    let late = world.post(&world.shop, "/v1/payments", &order("SO-1")).await;
    assert_eq!((late.status, late.problem().as_str()), (504, "request-timeout"));
    world.script.gate.add_permits(1);
    let mut status = Value::Null;
    while status != "requires_customer" {
        let again = world.post(&world.shop, "/v1/payments", &order("SO-1")).await;
        status = again.json()["status"].clone();
    }
    assert_eq!(world.script.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn above_the_limit_requests_are_shed_but_notifications_have_a_reserve() {
    let world = world_with(|o| {
        o.max_requests = 1;
        o.notification_reserve = 1;
    })
    .await;
    let shown = world.pay(order("SO-1")).await;
    world.script.gate.acquire().await.unwrap().forget();
    let body = order("SO-2");
    let held = world.post(&world.shop, "/v1/payments", &body);
    tokio::pin!(held);
    let shed = async {
        loop {
            let answered = world.get(&world.shop, "/v1/payments").await;
            if answered.status == 503 {
                return answered;
            }
        }
    };
    let shed = tokio::select! { shed = shed => shed, early = &mut held => panic!("{early:?}") };
    assert_eq!(shed.problem(), "overloaded");
    assert_eq!(shed.header("retry-after"), "1");
    assert_eq!(world.paid(&shown, 1999).await.text, "success");
    assert_eq!(world.get("", "/healthz").await.status, 200);
    world.script.gate.add_permits(1);
    assert_eq!(held.await.status, 201);
}
