//! The desk over HTTP: who may do what, limits, four eyes, the same request again.

use domain::*;
use recovery::assist::Limits;
use serde_json::{Value, json};

use crate::world::{World, order, world};

fn unavailable() -> Answer {
    Answer::Create(Outcome::Unavailable(Fault::new("http_503", "the provider answered 503")))
}

/// A VIP's payment that no channel took.
async fn stranded(world: &World, number: &str, amount: i64) -> Value {
    world.script.next([unavailable(), unavailable()]);
    let mut wish = order(number);
    wish["tier"] = json!("vip");
    wish["amount"] = json!(amount);
    world.pay(wish).await
}

async fn case(world: &World, payment: &Value) -> String {
    let body = json!({ "payment": payment["id"], "reason": "the customer called" });
    let opened = world.post(&world.li, "/v1/assist/cases", &body).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    let id = opened.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(opened.header("location"), format!("/v1/assist/cases/{id}"));
    id
}

async fn act(world: &World, key: &str, id: &str, act: &str) -> crate::world::Answered {
    let path = format!("/v1/assist/cases/{id}/{act}");
    world.post(key, &path, &json!({ "reason": "as agreed" })).await
}

fn cash(reference: &str, amount: i64) -> Value {
    json!({ "kind": "cash", "reference": reference, "amount": amount, "currency": "CNY",
            "reason": "counted twice" })
}

async fn take_cash(world: &World, key: &str, id: &str, body: &Value) -> crate::world::Answered {
    world.post(key, &format!("/v1/assist/cases/{id}/offline"), body).await
}

#[tokio::test]
async fn cash_above_the_amount_takes_two_people_and_pays_once() {
    let world = world().await;
    let payment = stranded(&world, "SO-1", 150_000).await;
    assert_eq!(payment["status"], "unavailable");
    let id = case(&world, &payment).await;
    let body = json!({ "payment": payment["id"], "reason": "asked again" });
    let again = world.post(&world.shop, "/v1/assist/cases", &body).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(again.json()["id"], id.as_str());

    let taken = act(&world, &world.li, &id, "take").await;
    assert_eq!((taken.status, &taken.json()["taken_by"]), (200, &json!("li")));
    let other = act(&world, &world.wang, &id, "take").await;
    assert_eq!((other.status, other.problem().as_str()), (409, "wrong-state"));
    let body = cash("till-3-1187", 150_000);
    let proposed = take_cash(&world, &world.li, &id, &body).await;
    assert_eq!((proposed.status, &proposed.json()["state"]), (200, &json!("proposed")));
    let repeated = take_cash(&world, &world.li, &id, &body).await;
    assert_eq!((repeated.status, &repeated.json()["state"]), (200, &json!("proposed")));

    let own = act(&world, &world.li, &id, "approve").await;
    assert_eq!((own.status, own.problem().as_str()), (403, "second-person"));
    let agreed = act(&world, &world.wang, &id, "approve").await;
    assert_eq!(agreed.status, 200, "{agreed:?}");
    assert_eq!(agreed.json()["end"], "paid_offline");
    assert_eq!(agreed.json()["offline"]["agreed_by"], "wang");
    let twice = act(&world, &world.wang, &id, "approve").await;
    assert_eq!((twice.status, twice.problem().as_str()), (409, "wrong-state"));

    let path = format!("/v1/payments/{}", payment["id"].as_str().unwrap());
    let paid = world.get(&world.shop, &path).await.json();
    assert_eq!((&paid["status"], &paid["method"]), (&json!("paid"), &json!("offline")));
    assert_eq!(paid["channel"], "offline");
    let audit = world.get(&world.li, &format!("/v1/assist/cases/{id}")).await.json();
    let told: Vec<_> = audit["history"].as_array().unwrap().iter().map(|l| &l["action"]).collect();
    let took = json!("1500.00 CNY taken: cash till-3-1187");
    assert_eq!(
        told,
        [&json!("opened"), &json!("taken"), &took, &json!("agreed"), &json!("closed")]
    );

    // A refund of it waits for people.
    let refunds = format!("{path}/refunds");
    world.post(&world.shop, &refunds, &json!({ "amount": 500 })).await;
    assert_eq!(world.get(&world.shop, &path).await.json()["review"], "refund_by_hand");
    let done = format!("/v1/assist/payments/{}/refund", payment["id"].as_str().unwrap());
    let said = json!({ "refund": 1, "outcome": "given_back", "reason": "slip 9, signed" });
    let merchant = world.post(&world.shop, &done, &said).await;
    assert_eq!((merchant.status, merchant.problem().as_str()), (403, "forbidden"));
    for _ in 0..2 {
        let back = world.post(&world.wang, &done, &said).await;
        assert_eq!((back.status, &back.json()["status"]), (200, &json!("partially_refunded")));
        assert_eq!(back.json()["review"], Value::Null);
    }
}

#[tokio::test]
async fn a_merchant_opens_cases_of_its_own_payments_and_does_no_more() {
    let world = world().await;
    let payment = stranded(&world, "SO-1", 1_999).await;
    let body = json!({ "payment": payment["id"], "reason": "our best customer" });
    let strange = world.post(&world.other, "/v1/assist/cases", &body).await;
    assert_eq!((strange.status, strange.problem().as_str()), (404, "not-found"));
    let opened = world.post(&world.shop, "/v1/assist/cases", &body).await;
    assert_eq!((opened.status, &opened.json()["opener"]), (201, &json!("merchant")));
    let id = opened.json()["id"].as_str().unwrap().to_owned();

    let path = format!("/v1/assist/cases/{id}");
    assert_eq!(world.get(&world.other, &path).await.status, 404);
    let own = world.get(&world.shop, &path).await.json();
    assert_eq!(own["money"]["verdict"], "not_charged");
    assert_eq!((&own["history"], &own["ways"]), (&json!([]), &json!([])), "staff's own");
    assert_eq!(world.get(&world.other, "/v1/assist/cases").await.json()["cases"], json!([]));
    let listed = world.get(&world.shop, "/v1/assist/cases?state=open").await.json();
    assert_eq!(listed["cases"].as_array().unwrap().len(), 1);
    for name in ["take", "give_back", "note", "approve", "reject", "close"] {
        let refused = act(&world, &world.shop, &id, name).await;
        assert_eq!((refused.status, refused.problem().as_str()), (403, "forbidden"), "{name}");
    }
    let refused = take_cash(&world, &world.shop, &id, &cash("R-1", 1_999)).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn what_is_known_is_told_and_staff_send_the_payment_on() {
    let world = world().await;
    let payment = stranded(&world, "SO-1", 1_999).await;
    let id = case(&world, &payment).await;
    let path = format!("/v1/assist/cases/{id}");
    let seen = world.get(&world.li, &path).await.json();
    assert_eq!(seen["money"]["verdict"], "not_charged");
    assert_eq!(seen["money"]["words"]["zh"], "账上已证实：客户没有被扣款。");
    let first = &seen["attempts"][0];
    assert_eq!(first["channel"], "alipay-main");
    let words = "alipay-main did not take it (http_503); surely nothing was charged.";
    assert_eq!(first["words"]["en"], words);
    assert_eq!(
        (&seen["offline"]["allowed"], &seen["offline"]["needs_approval"]),
        (&json!(true), &json!(false))
    );
    let works: Vec<_> =
        seen["ways"].as_array().unwrap().iter().filter(|w| w["works"] == true).collect();
    assert!(works.iter().any(|w| w["channel"] == "wechat-main"), "{works:?}");

    let pay = format!("{path}/pay");
    let body = json!({ "channel": "wechat-main", "reason": "it works" });
    let idle = world.post(&world.li, &pay, &body).await;
    assert_eq!((idle.status, idle.problem().as_str()), (409, "wrong-state"));
    act(&world, &world.li, &id, "take").await;
    let sent = world.post(&world.li, &pay, &body).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let sent = sent.json();
    assert_eq!(sent["money"]["verdict"], "may_be_paid");
    assert_eq!(sent["payment"]["presentation"]["type"], "qr_code", "to be passed on");
    assert_eq!(
        sent["payment"]["attempts"].as_array().unwrap().last().unwrap()["reason"],
        format!("chosen by li for case {id}")
    );
    let nowhere = json!({ "reason": "it works" });
    let vague = world.post(&world.li, &pay, &nowhere).await;
    assert_eq!((vague.status, vague.problem().as_str()), (422, "invalid-request"));
    let strange = json!({ "channel": "nobody", "reason": "it works" });
    let strange = world.post(&world.li, &pay, &strange).await;
    assert_eq!((strange.status, strange.problem().as_str()), (422, "no-channel"));

    world.paid(&sent["payment"], 1_999).await;
    world.desk.sweep().await.unwrap();
    let closed = world.get(&world.li, "/v1/assist/cases?state=closed").await.json();
    assert_eq!(closed["cases"][0]["end"], "paid");
    assert_eq!(closed["cases"][0]["channel"], "wechat-main");
    let late = take_cash(&world, &world.li, &id, &cash("R-1", 1_999)).await;
    assert_eq!((late.status, late.problem().as_str()), (409, "wrong-state"));
}

#[tokio::test]
async fn limits_and_mistakes_are_told_by_name() {
    let world = world().await;
    let payment = stranded(&world, "SO-1", 1_999).await;
    let id = case(&world, &payment).await;
    act(&world, &world.li, &id, "take").await;
    let take = async |body: Value| take_cash(&world, &world.li, &id, &body).await;
    let mut bad = cash("", 0);
    bad["kind"] = json!("gold");
    bad["taken_at"] = json!("tomorrow");
    bad["colour"] = json!("red");
    let bad = take(bad).await;
    assert_eq!((bad.status, bad.problem().as_str()), (422, "invalid-request"));
    let fields: Vec<String> = bad.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["field"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(fields, ["colour", "kind", "reference", "amount", "taken_at"]);
    let less = take(cash("R-1", 1_998)).await;
    assert_eq!((less.status, less.problem().as_str()), (422, "invalid-request"));

    world
        .desk
        .set_limits(Limits { max_minor: [(Currency::CNY, 500_000)].into(), ..Limits::default() });
    let large = stranded(&world, "SO-2", 500_001).await;
    let large_case = case(&world, &large).await;
    act(&world, &world.li, &large_case, "take").await;
    let much = take_cash(&world, &world.li, &large_case, &cash("R-2", 500_001)).await;
    assert_eq!((much.status, much.problem().as_str()), (422, "beyond-limit"));

    assert_eq!(take(cash("R-1", 1_999)).await.json()["end"], "paid_offline");
    let third = stranded(&world, "SO-3", 1_999).await;
    let third_case = case(&world, &third).await;
    act(&world, &world.li, &third_case, "take").await;
    let twice = take_cash(&world, &world.li, &third_case, &cash("R-1", 1_999)).await;
    assert_eq!((twice.status, twice.problem().as_str()), (409, "reference-taken"));

    let mut plain = order("SO-4");
    plain["tier"] = json!("standard");
    let plain = world.pay(plain).await;
    let body = json!({ "payment": plain["id"], "reason": "asked" });
    let refused = world.post(&world.li, "/v1/assist/cases", &body).await;
    assert_eq!((refused.status, refused.problem().as_str()), (422, "invalid-request"));
    let nothing = act(&world, &world.li, "as_nothing", "take").await;
    assert_eq!((nothing.status, nothing.problem().as_str()), (404, "not-found"));
    assert!(world.metric("evergate_assist_opened_total{by=\"operator\"}").await >= 3.0);
}
