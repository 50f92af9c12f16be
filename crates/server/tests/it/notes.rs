//! Notes to customers, end to end: from a payment's event through a real SMTP server, and
//! through webhooks, with everything that may keep them back.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::{Answer, Fault, HoldBy, Outcome};
use notify::{
    Brand, House, Limits, Mailer, MailerOptions, QuietHours, Settings, Templates, Tls, Way,
};
use serde_json::{Value, json};
use server::{Endpoint, Post, WebhookSecret, WorkersHandle, WorkersOptions, workers};

use crate::mailbox::Mailbox;
use crate::webhooks::{Shop, verify};
use crate::world::{World, order, world};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

fn settings() -> Settings {
    let brand = Some(Brand { zh: "示例商店".into(), en: "Sample Shop".into() });
    let zone = notify::zone("Asia/Shanghai").unwrap();
    Settings {
        usual: House { brand, from: None, zone, quiet: Some(QuietHours::default()) },
        merchants: BTreeMap::new(),
        limits: Limits::default(),
        receipts_always: false,
        templates: Templates::default(),
    }
}

fn options(port: u16) -> MailerOptions {
    MailerOptions {
        host: "127.0.0.1".into(),
        port,
        tls: Tls::None,
        login: None,
        ca_pem: None,
        from: "orders@shop.example".into(),
        timeout: Duration::from_secs(10),
    }
}

/// A world whose customers get mail by this server.
async fn with_mail(options: &MailerOptions) -> (World, WorkersHandle) {
    let mailer = Mailer::new(options).unwrap();
    with_post(Some(mailer), HashMap::new()).await
}

async fn with_post(
    mailer: Option<Mailer>,
    hooks: HashMap<Way, Endpoint>,
) -> (World, WorkersHandle) {
    let world = world().await;
    let post = Post::new(settings(), "https://pay.example.com/".into(), mailer, hooks).unwrap();
    world.notes.set(Some(Arc::new(post)));
    let options = WorkersOptions { beat: Duration::from_millis(5), ..WorkersOptions::default() };
    let desk = Some(world.notes.clone());
    let endpoints = Arc::default();
    let workers =
        workers::spawn(world.engine.clone(), world.entropy.clone(), endpoints, desk, options);
    (world, workers.unwrap())
}

/// A payment of a customer who can be reached, its order held for a day.
async fn held(world: &World, order_no: &str, contact: &str) -> Value {
    held_as(world, order_no, json!({ "contact": contact, "locale": "zh" }), HoldBy::Customer).await
}

async fn held_as(world: &World, order_no: &str, more: Value, by: HoldBy) -> Value {
    let mut wish = order(order_no);
    wish["expires_in_s"] = json!(3_600);
    let more = more.as_object().unwrap();
    more.iter().for_each(|(name, value)| wish[name] = value.clone());
    let payment = world.pay(wish).await;
    let merchant = domain::MerchantId::new("shop").unwrap();
    let id = payment["id"].as_str().unwrap().parse().unwrap();
    world.engine.hold(&merchant, id, Some(24 * HOUR), by).await.unwrap();
    payment
}

async fn notes(world: &World, payment: &Value) -> Vec<Value> {
    let path = format!("/v1/payments/{}/notes", payment["id"].as_str().unwrap());
    world.get(&world.shop, &path).await.json()["notes"].as_array().unwrap().clone()
}

/// The payment's notes, once the last one is in this state.
async fn notes_in(world: &World, payment: &Value, state: &str) -> Vec<Value> {
    for _ in 0..2_000 {
        let notes = notes(world, payment).await;
        if notes.last().is_some_and(|note| note["state"] == state) {
            return notes;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("not {state}: {:?}", notes(world, payment).await);
}

/// Once the last note waits for this reason.
async fn waits_for(world: &World, payment: &Value, reason: &str) -> Value {
    for _ in 0..2_000 {
        let note = notes(world, payment).await.pop().unwrap_or_default();
        if note["reason"] == reason {
            assert_eq!(note["state"], "pending", "{note}");
            return note;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("does not wait: {:?}", notes(world, payment).await);
}

fn header<'a>(letter: &'a Value, name: &str) -> Option<&'a str> {
    let headers = letter["headers"].as_array().unwrap();
    let mut found = headers.iter().filter(|h| h[0].as_str().unwrap().eq_ignore_ascii_case(name));
    let value = found.next().map(|h| h[1].as_str().unwrap());
    assert!(found.next().is_none(), "{name} occurs twice");
    value
}

async fn refund(world: &World, payment: &Value, amount: i64) {
    let path = format!("/v1/payments/{}/refunds", payment["id"].as_str().unwrap());
    let made = world.post_keyed(&world.shop, &path, "r-1", &json!({ "amount": amount })).await;
    assert!(made.status < 300, "{made:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_order_is_told_of_in_a_letter_that_reads_well() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    let mut wish = json!({ "contact": "Li.Lei@Example.com", "locale": "zh" });
    wish["subject"] = json!("两张 <歌剧> 票 & 更多");
    let payment = held_as(&world, "o-1", wish, HoldBy::Customer).await;
    let letter = mailbox.next().await;
    assert_eq!(letter["to"], json!(["Li.Lei@example.com"]));
    assert_eq!(letter["subject"], "【示例商店】订单 o-1 已为您保留，可稍后付款");
    assert_eq!(letter["type"], "multipart/alternative");
    assert_eq!(letter["defects"], json!([]));
    let link = format!("https://pay.example.com/pay/{}", payment["id"].as_str().unwrap());
    let (text, html) = (letter["text"].as_str().unwrap(), letter["html"].as_str().unwrap());
    assert!(text.contains(&link) && text.contains("请在 11月25日 14:00 前"), "{text}");
    assert!(text.contains("（两张 <歌剧> 票 & 更多）\n金额：¥19.99"), "{text}");
    assert!(html.contains(&format!("href=\"{link}\"")), "{html}");
    assert!(html.contains("两张 &lt;歌剧&gt; 票 &amp; 更多") && !html.contains("<歌剧>"), "{html}");
    assert_eq!(header(&letter, "from"), Some("示例商店 <orders@shop.example>"));
    let leave = header(&letter, "list-unsubscribe").unwrap();
    assert!(leave.starts_with("<https://pay.example.com/u/"), "{leave}");
    assert_eq!(header(&letter, "list-unsubscribe-post"), Some("List-Unsubscribe=One-Click"));
    assert!(!leave.to_lowercase().contains("li"), "the link holds no address: {leave}");

    let told = notes_in(&world, &payment, "sent").await;
    let note = &told[0];
    assert_eq!(told.len(), 1);
    assert_eq!(note["to"], "L***@example.com");
    assert_eq!(
        (&note["kind"], &note["way"], &note["locale"], &note["tries"]),
        (&json!("held"), &json!("email"), &json!("zh"), &json!(1))
    );
    assert_eq!(note["sent_at"], "2026-11-24T06:00:00Z");
    let id = format!("<{}@shop.example>", note["id"].as_str().unwrap());
    assert_eq!(header(&letter, "message-id"), Some(id.as_str()));
    // Another merchant sees none of it.
    let path = format!("/v1/payments/{}/notes", payment["id"].as_str().unwrap());
    assert_eq!(world.get(&world.other, &path).await.status, 404);
    assert_eq!(world.get(&world.other, "/v1/notes").await.json()["notes"], json!([]));
    let listed = world.get(&world.li, "/v1/notes?state=sent").await.json();
    assert_eq!(listed["notes"], json!(told));
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_is_paid_and_given_back_is_receipted_in_english() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    let wish = json!({ "contact": "ann@example.com", "locale": "en" });
    let payment = held_as(&world, "o-1", wish, HoldBy::Customer).await;
    let letter = mailbox.next().await;
    assert_eq!(letter["subject"], "Sample Shop: your order o-1 is kept, you can pay later");
    assert_eq!(world.paid(&payment, 1_999).await.status, 200);
    let letter = mailbox.next().await;
    assert_eq!(letter["subject"], "Sample Shop: your order o-1 is paid");
    assert_eq!(header(&letter, "list-unsubscribe"), None, "a receipt is owed");
    refund(&world, &payment, 500).await;
    let letter = mailbox.next().await;
    assert_eq!(letter["subject"], "Sample Shop: ¥5.00 refunded for your order o-1");
    let kinds: Vec<Value> = notes_in(&world, &payment, "sent").await;
    let kinds: Vec<&str> = kinds.iter().map(|note| note["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["held", "paid", "refunded"]);
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_reached_or_was_not_held_up_gets_nothing() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    for (order_no, contact) in [("o-1", json!("call me")), ("o-2", json!("13800001234"))] {
        let payment =
            held_as(&world, order_no, json!({ "contact": contact }), HoldBy::Ladder).await;
        assert_eq!(notes(&world, &payment).await, Vec::<Value>::new(), "{order_no}");
    }
    let mut wish = order("o-3");
    wish["contact"] = json!("li@example.com");
    let payment = world.pay(wish).await;
    assert_eq!(world.paid(&payment, 1_999).await.status, 200);
    assert_eq!(notes(&world, &payment).await, Vec::<Value>::new());
    mailbox.is_quiet().await;
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_off_is_tried_again_and_what_is_refused_is_given_up() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    let deferred = held(&world, "o-1", "defer@example.com").await;
    let note = waits_for(&world, &deferred, "the mail server answered 451 (4.7.1)").await;
    assert_eq!(note["tries"], 1);
    mailbox.is_quiet().await;
    world.clock.wind(MINUTE);
    let letter = mailbox.next().await;
    assert_eq!(letter["to"], json!(["defer@example.com"]));
    assert_eq!(notes_in(&world, &deferred, "sent").await[0]["tries"], 2);

    let gone = held(&world, "o-2", "gone@example.com").await;
    let note = notes_in(&world, &gone, "dead").await.remove(0);
    assert_eq!(note["reason"], "the mail server answered 550 (5.1.1)");
    assert!(!note.to_string().contains("gone@"), "{note}");
    let dead = world.get(&world.li, "/v1/notes?state=dead").await.json();
    assert_eq!(dead["notes"][0]["id"], note["id"]);
    let again = format!("/v1/notes/{}/resend", note["id"].as_str().unwrap());
    let reason = json!({ "reason": "they have moved" });
    assert_eq!(world.post(&world.shop, &again, &reason).await.problem(), "forbidden");
    assert_eq!(world.post(&world.li, &again, &json!({})).await.problem(), "invalid-request");
    assert_eq!(world.post(&world.li, &again, &reason).await.status, 202);
    for _ in 0..2_000 {
        if notes(&world, &gone).await[0]["tries"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let audit = world.get(&world.li, "/v1/audit").await.text;
    assert!(audit.contains("they have moved") && audit.contains("send note note_"), "{audit}");
    let unknown = world.post(&world.li, "/v1/notes/note_none/resend", &reason).await;
    assert_eq!(unknown.problem(), "not-found");
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_costs_tries_and_no_letter() {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let (world, workers) = with_mail(&options(port)).await;
    let payment = held(&world, "o-1", "li@example.com").await;
    let down = "the mail server could not be reached, or the connection broke";
    waits_for(&world, &payment, down).await;
    // The hold's end makes the note pointless, and so the tries end (rule 17).
    for _ in 0..16 {
        let last = notes(&world, &payment).await.remove(0);
        if last["state"] == "dead" {
            assert_eq!(last["reason"], down);
            return workers.shutdown().await;
        }
        let tries = last["tries"].as_u64().unwrap();
        world.clock.wind(3 * HOUR);
        for _ in 0..2_000 {
            let now = notes(&world, &payment).await.remove(0);
            if now["tries"].as_u64().unwrap() > tries || now["state"] != "pending" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let last = notes(&world, &payment).await.remove(0);
    assert_ne!(last["state"], "pending", "{last}");
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_went_twice_is_one_letter() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    *world.store.forgetful.lock().unwrap() = true;
    let payment = held(&world, "o-1", "li@example.com").await;
    let first = mailbox.next().await;
    mailbox.is_quiet().await;
    assert_eq!(notes(&world, &payment).await[0]["state"], "pending", "nobody wrote it down");
    *world.store.forgetful.lock().unwrap() = false;
    world.clock.wind(2 * MINUTE);
    let second = mailbox.next().await;
    assert!(header(&first, "message-id").is_some());
    assert_eq!(header(&first, "message-id"), header(&second, "message-id"));
    notes_in(&world, &payment, "sent").await;
    mailbox.is_quiet().await;
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_reminded_at_night_and_nobody_is_forgotten() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    // 14:00 in Shanghai; at 23:00 the customer is at the checkout and staff extend an order.
    world.clock.wind(9 * HOUR);
    let payment = held(&world, "o-1", "li@example.com").await;
    assert_eq!(mailbox.next().await["subject"], "【示例商店】订单 o-1 已为您保留，可稍后付款");
    let extend = format!("/v1/payments/{}/extend", payment["id"].as_str().unwrap());
    let body = json!({ "for_s": 172_800, "reason": "the outage goes on" });
    let extended = world.post(&world.li, &extend, &body).await;
    assert_eq!(extended.status, 200, "{extended:?}");
    let note = waits_for(&world, &payment, "quiet_hours").await;
    assert_eq!((&note["kind"], &note["tries"]), (&json!("extended"), &json!(0)));
    assert_eq!(note["due_at"], "2026-11-25T00:00:00Z", "08:00 in Shanghai");
    mailbox.is_quiet().await;
    world.clock.wind(9 * HOUR);
    assert_eq!(mailbox.next().await["subject"], "【示例商店】订单 o-1 的保留时间已延长");
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_incident_one_word_and_so_much_a_day() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    let mut payments = Vec::new();
    for n in 1..=3 {
        // No channel takes it: there is no code to be looked at, and the customer waits.
        let refused = || {
            let fault = Fault::new("refused", "the provider did not take the connection");
            Answer::Create(Outcome::Unavailable(fault))
        };
        world.script.next([refused(), refused()]);
        payments.push(held(&world, &format!("o-{n}"), "li@example.com").await);
        mailbox.next().await;
    }
    let ids = payments.iter().map(|p| p["id"].as_str().unwrap().parse().unwrap());
    for id in ids {
        world.engine.remind(id).await.unwrap();
    }
    let told = mailbox.next().await;
    assert!(told["subject"].as_str().unwrap().contains("支付已恢复"), "{told}");
    mailbox.is_quiet().await;
    let mut states = Vec::new();
    for payment in &payments {
        let last = notes(&world, payment).await.pop().unwrap();
        assert_eq!(last["kind"], "recovered");
        states.push((last["state"].clone(), last["reason"].clone()));
    }
    let told_already = (json!("suppressed"), json!("told_already"));
    assert_eq!(states[1..], [told_already.clone(), told_already]);

    // Four are sent; two more are, and then the day is full.
    let extend = format!("/v1/payments/{}/extend", payments[0]["id"].as_str().unwrap());
    for n in 1..=3 {
        let body = json!({ "for_s": 86_400 + n * 7_200, "reason": "once more" });
        let extended = world.post(&world.li, &extend, &body).await;
        assert_eq!(extended.status, 200, "{extended:?}");
        if n < 3 {
            mailbox.next().await;
        }
    }
    let note = waits_for(&world, &payments[0], "limit").await;
    assert_eq!(note["due_at"], "2026-11-25T06:00:00Z", "a day after the first");
    mailbox.is_quiet().await;
    world.clock.wind(24 * HOUR);
    mailbox.next().await;
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_leave_and_come_back_on_their_page() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    let payment = held(&world, "o-1", "li@example.com").await;
    let letter = mailbox.next().await;
    let link = header(&letter, "list-unsubscribe").unwrap().trim_matches(['<', '>']).to_owned();
    let path = link.strip_prefix("https://pay.example.com").unwrap();
    let page = world.get("", path).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("l***@example.com") && !page.text.contains("li@"), "{}", page.text);
    assert!(page.text.contains("示例商店") && page.text.contains("value=\"leave\""));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    let english = world.get("", &format!("{path}?lang=en")).await.text;
    assert!(english.contains("Unsubscribe") && english.contains("Sample Shop"), "{english}");

    // As a mail reader's button does it (RFC 8058).
    let form = |body: &'static str| {
        let post = world.http.post(world.url(path));
        post.header("content-type", "application/x-www-form-urlencoded").body(body).send()
    };
    let left = form("List-Unsubscribe=One-Click").await.unwrap();
    assert_eq!(left.status(), 200);
    assert!(left.text().await.unwrap().contains("您已退订"));
    let extend = format!("/v1/payments/{}/extend", payment["id"].as_str().unwrap());
    let longer = async |seconds: i64| {
        let body = json!({ "for_s": seconds, "reason": "once more" });
        let extended = world.post(&world.li, &extend, &body).await;
        assert_eq!(extended.status, 200, "{extended:?}");
    };
    longer(100_000).await;
    let note = notes_in(&world, &payment, "suppressed").await.pop().unwrap();
    assert_eq!(note["reason"], "unsubscribed");
    // What is owed comes all the same.
    assert_eq!(world.paid(&payment, 1_999).await.status, 200);
    assert!(mailbox.next().await["subject"].as_str().unwrap().contains("已支付"));

    let back = form("do=return").await.unwrap();
    assert!(back.text().await.unwrap().contains("value=\"leave\""));
    let other = held(&world, "o-2", "li@example.com").await;
    assert!(mailbox.next().await["subject"].as_str().unwrap().contains("o-2"));
    notes_in(&world, &other, "sent").await;
    for unknown in ["/u/x", "/u/AAAAAAAAAAAAAAAAAAAAAAAA", "/u/%00"] {
        let page = world.get("", unknown).await;
        assert_eq!(page.status, 404, "{unknown}");
        assert!(page.text.contains("链接无效"), "{}", page.text);
    }
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_say_sorry_once() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    let mut wish = order("o-1");
    wish["contact"] = json!("li@example.com");
    let payment = world.pay(wish).await;
    let path = format!("/v1/payments/{}/notes", payment["id"].as_str().unwrap());
    let sorry = json!({ "kind": "apology", "coupon": "SORRY-5", "reason": "the outage" });
    assert_eq!(world.post(&world.shop, &path, &sorry).await.problem(), "forbidden");
    for _ in 0..2 {
        let answer = world.post(&world.li, &path, &sorry).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.json()["notes"].as_array().unwrap().len(), 1);
    }
    let letter = mailbox.next().await;
    assert!(letter["text"].as_str().unwrap().contains("SORRY-5"), "{letter}");
    mailbox.is_quiet().await;
    for (body, field) in [
        (json!({ "kind": "held", "reason": "x" }), "kind"),
        (json!({ "kind": "assist", "coupon": "c", "reason": "x" }), "coupon"),
        (json!({ "kind": "apology" }), "reason"),
        (json!({ "kind": "apology", "reason": "x", "coupon": "a\r\nb" }), "coupon"),
    ] {
        let answer = world.post(&world.li, &path, &body).await;
        assert_eq!(answer.problem(), "invalid-request");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{answer:?}");
    }
    let nobody = world.pay(order("o-2")).await;
    let path = format!("/v1/payments/{}/notes", nobody["id"].as_str().unwrap());
    assert_eq!(world.post(&world.li, &path, &sorry).await.problem(), "wrong-state");
    world.notes.set(None);
    assert_eq!(world.post(&world.li, &path, &sorry).await.problem(), "wrong-state");
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_at_the_desk_tells_its_customer() {
    let mut mailbox = Mailbox::open().await;
    let (world, workers) = with_mail(&options(mailbox.port)).await;
    let mut wish = order("o-1");
    (wish["contact"], wish["tier"], wish["locale"]) =
        (json!("li@example.com"), json!("vip"), json!("en"));
    let payment = world.pay(wish).await;
    let case = json!({ "payment": payment["id"], "reason": "nothing takes the card" });
    for status in [201, 200] {
        let opened = world.post(&world.li, "/v1/assist/cases", &case).await;
        assert_eq!(opened.status, status, "{opened:?}");
    }
    let letter = mailbox.next().await;
    let subject = letter["subject"].as_str().unwrap();
    assert!(subject.starts_with("Sample Shop: we will contact you"), "{subject}");
    mailbox.is_quiet().await;
    workers.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_messages_and_apps_get_signed_webhooks() {
    const SECRET: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let (shop, url) = Shop::open().await;
    let hook =
        || Endpoint { url: url.clone(), secrets: vec![WebhookSecret::parse(SECRET).unwrap()] };
    let hooks = HashMap::from([(Way::Sms, hook()), (Way::Push, hook())]);
    let (world, workers) = with_post(None, hooks).await;
    let wish = json!({ "contact": "13800001234", "push_token": "device-1", "locale": "zh" });
    let payment = held_as(&world, "o-1", wish, HoldBy::Customer).await;
    let mut got = shop.wait_for(2).await;
    got.sort_by_key(|(_, body)| body.clone());
    let bodies: Vec<Value> =
        got.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    for ((headers, body), read) in got.iter().zip(&bodies) {
        assert!(verify(SECRET, headers, body));
        assert_eq!(headers["webhook-id"].to_str().unwrap(), read["data"]["id"]);
        assert_eq!(headers["idempotency-key"], headers["webhook-id"]);
    }
    let by = |way: &str| bodies.iter().find(|b| b["type"] == format!("note.{way}")).unwrap();
    let (sms, push) = (&by("sms")["data"], &by("push")["data"]);
    assert_eq!((&sms["to"], &push["to"]), (&json!("+8613800001234"), &json!("device-1")));
    assert_eq!((&sms["kind"], &sms["locale"]), (&json!("held"), &json!("zh")));
    let text = sms["text"].as_str().unwrap();
    assert!(text.starts_with("【示例商店】订单已保留至11月25日 14:00"), "{text}");
    assert_eq!(sms["parts"], 2, "{text}");
    assert_eq!(push["title"], "【示例商店】订单 o-1 已为您保留，可稍后付款");
    let told = notes_in(&world, &payment, "sent").await;
    let to: Vec<&Value> = told.iter().map(|note| &note["to"]).collect();
    assert_eq!(to, [&json!("138****1234"), &json!("devi***")]);

    // A refusal ends a note, trouble does not.
    for (order_no, status, state) in [("o-2", 400, "dead"), ("o-3", 503, "pending")] {
        shop.answer(status);
        let payment = held(&world, order_no, "13800009999").await;
        if state == "dead" {
            let note = notes_in(&world, &payment, "dead").await.remove(0);
            assert_eq!(note["reason"], "the webhook answered 400");
        } else {
            waits_for(&world, &payment, "the webhook answered 503").await;
        }
    }
    workers.shutdown().await;
}

fn certificate(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key, made.cert.pem().into_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_connection_is_checked_and_logged_in() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key, pem) = certificate(folder.path());
    let mut mailbox = Mailbox::guarded(&certificate, &key, ("evergate", "s3cret")).await;
    let good = MailerOptions {
        host: "localhost".into(),
        tls: Tls::StartTls,
        login: Some(("evergate".into(), "s3cret".into())),
        ca_pem: Some(pem),
        ..options(mailbox.port)
    };
    Mailer::new(&good).unwrap().probe().await.unwrap();
    let stranger = MailerOptions { ca_pem: None, ..good.clone() };
    let why = Mailer::new(&stranger).unwrap().probe().await.unwrap_err();
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    let wrong = MailerOptions { login: Some(("evergate".into(), "guess".into())), ..good.clone() };
    let why = Mailer::new(&wrong).unwrap().probe().await.unwrap_err();
    assert!(why.contains("535") && !why.contains("guess"), "{why}");

    // A wrong login is the operator's to mend: the note waits for it.
    let (world, workers) = with_mail(&wrong).await;
    let payment = held(&world, "o-1", "li@example.com").await;
    let note = waits_for(&world, &payment, "the mail server answered 535 (5.7.8)").await;
    let mailer = Mailer::new(&good).unwrap();
    let post =
        Post::new(settings(), "https://pay.example.com".into(), Some(mailer), HashMap::new());
    world.notes.set(Some(Arc::new(post.unwrap())));
    world.clock.wind(MINUTE);
    let letter = mailbox.next().await;
    assert_eq!((&letter["tls"], &letter["user"]), (&json!(true), &json!("evergate")));
    let id = format!("<{}@shop.example>", note["id"].as_str().unwrap());
    assert_eq!(header(&letter, "message-id"), Some(id.as_str()));
    workers.shutdown().await;
}
