//! A running server, its keys, and a provider that answers as it was told to.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use domain::Notice;
use domain::*;
use engine::*;
use incidents::desk::{Signals, SignalsOptions};
use incidents::downtime::{Form, Sender};
use metrics_exporter_prometheus::PrometheusHandle;
use providers::{
    Acknowledgement, Capabilities, Delivery, Forged, Provider, Reply, Stamp, Step, Unsupported,
    Verdict,
};
use serde_json::{Value, json};
use server::*;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::flaky::Flaky;

/// A clock that a test winds.
pub(crate) struct Wound(AtomicI64);

impl Clock for Wound {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Wound {
    pub(crate) fn wind(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

struct Counted(AtomicU64);

impl Entropy for Counted {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        Uuid::from_u128((u128::try_from(now.as_millis()).unwrap() << 80) | (u128::from(n) << 8))
    }

    fn dice(&self) -> f64 {
        0.5
    }
}

/// What the provider answers next; when the script is over, the good answer.
pub(crate) struct Script {
    answers: Mutex<VecDeque<Answer>>,
    pub(crate) calls: AtomicU64,
    /// Create calls take one of these, so that a test can hold them up.
    pub(crate) gate: Semaphore,
}

impl Script {
    pub(crate) fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    /// Takes an answer that nobody asked for back.
    pub(crate) fn take(&self) -> Option<Answer> {
        self.answers.lock().unwrap().pop_front()
    }
}

#[async_trait]
impl Caller for Script {
    async fn call(&self, _channel: &ChannelId, op: &Operation, _until: Timestamp) -> Answer {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if matches!(op, Operation::Create(_)) {
            self.gate.acquire().await.unwrap().forget();
            self.gate.add_permits(1);
        }
        let scripted = self.answers.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| good(op))
    }
}

pub(crate) fn receipt(money: Money) -> Receipt {
    Receipt { reference: "2026112422001".into(), captured: money, paid_at: None }
}

fn good(op: &Operation) -> Answer {
    match op {
        Operation::Create(order) if order.flow == Flow::Direct => {
            Answer::Create(Outcome::Ok(Created::Paid(receipt(order.money))))
        }
        Operation::Create(order) => {
            let content = format!("https://qr.example/{}", order.number);
            let presentation = Presentation::QrCode { content };
            Answer::Create(Outcome::Ok(Created::Presented { presentation, reference: None }))
        }
        Operation::Query(_) => Answer::Query(Outcome::Ok(OrderState::Payable)),
        Operation::Close(..) => Answer::Close(Outcome::Ok(CloseState::Closed)),
        Operation::Refund(_) => Answer::Refund(Outcome::Ok(RefundState::Succeeded)),
        Operation::QueryRefund(_) => Answer::QueryRefund(Outcome::Ok(RefundState::Succeeded)),
    }
}

/// A codec whose notifications are JSON that proves itself by a header.
struct Codec(Capabilities);

impl Provider for Codec {
    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    fn request(&self, _: &Operation, _: &Stamp) -> Result<Verdict, Unsupported> {
        Err(Unsupported("scripted".into()))
    }

    fn reply(&self, op: &Operation, _: &Step, _: &Reply, _: &Stamp) -> Verdict {
        Verdict::Done(good(op))
    }

    fn notice(&self, delivery: &Delivery, _: Timestamp) -> Result<Notice, Forged> {
        if delivery.header("x-proof") != Some("true") {
            return Err(Forged::Signature("the header is missing"));
        }
        let body: Value =
            serde_json::from_slice(&delivery.body).map_err(|e| Forged::Malformed(e.to_string()))?;
        let number = ProviderOrderNo::received(body["number"].as_str().unwrap_or(""));
        let money = Money::new(body["amount"].as_i64().unwrap_or(0), Currency::CNY);
        match body["state"].as_str() {
            Some("paid") => {
                let captured = money.map_err(|e| Forged::Malformed(e.to_string()))?;
                let state = OrderState::Paid(receipt(captured));
                Ok(Notice { number, kind: NoticeKind::Order(state) })
            }
            _ => Err(Forged::Irrelevant("something else".into())),
        }
    }

    fn acknowledge(&self, accepted: bool) -> Acknowledgement {
        match accepted {
            true => Acknowledgement { status: 200, content_type: "text/plain", body: "success" },
            false => Acknowledgement { status: 500, content_type: "text/plain", body: "fail" },
        }
    }
}

pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) script: Arc<Script>,
    pub(crate) clock: Arc<Wound>,
    pub(crate) store: Arc<Flaky>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) notes: Arc<NoteDesk>,
    pub(crate) running: Running,
    pub(crate) http: reqwest::Client,
    /// Of the merchant `shop`.
    pub(crate) shop: String,
    /// Of the merchant `other`.
    pub(crate) other: String,
    /// Of the operator `li`.
    pub(crate) li: String,
    /// Of another one, `wang`.
    pub(crate) wang: String,
    pub(crate) desk: Arc<recovery::assist::Desk>,
}

/// Where customers reach the server, as far as it knows.
pub(crate) const PUBLIC_URL: &str = "https://pay.example";

/// The recorder is one for the process.
fn metrics_handle() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || prometheus().unwrap().install_recorder().unwrap();
    HANDLE.get_or_init(install).clone()
}

fn capabilities(methods: &[(Method, Flow)]) -> Capabilities {
    let waits = vec![Duration::from_secs(5)];
    Capabilities {
        query_schedule: Schedule { waits, then_every: Duration::from_secs(30) },
        ..Capabilities::plain("scripted", methods.to_vec(), &[Currency::CNY, Currency::USD])
    }
}

pub(crate) fn channel_id(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn merchant(name: &str) -> Option<MerchantId> {
    Some(MerchantId::new(name).unwrap())
}

pub(crate) async fn world() -> World {
    world_with(|_| {}).await
}

pub(crate) async fn world_with(adjust: impl FnOnce(&mut ServerOptions)) -> World {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let metrics = metrics_handle();
    let script = Arc::new(Script {
        answers: Mutex::default(),
        calls: AtomicU64::new(0),
        gate: Semaphore::new(1),
    });
    let clock = Arc::new(Wound(AtomicI64::new(1_795_500_000_000_000)));
    let entropy: Arc<dyn Entropy> = Arc::new(Counted(AtomicU64::new(1)));
    let store = Arc::new(Flaky::default());
    let notes = Arc::new(NoteDesk::open(store.clone(), [9; 32]).await.unwrap());
    let parts = Parts {
        store: store.clone(),
        caller: script.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        render: Arc::new(NoteRenderer::new(notes.clone(), MessageRenderer::new(PUBLIC_URL))),
        owner: "test".into(),
    };
    let sold = [
        ("alipay-main", vec![(Method::Alipay, Flow::Presented)]),
        ("wechat-main", vec![(Method::WechatPay, Flow::Presented)]),
        ("stripe-main", vec![(Method::Card, Flow::Direct), (Method::Card, Flow::Presented)]),
    ];
    let channels = sold.iter().map(|(name, methods)| Channel {
        id: channel_id(name),
        capabilities: capabilities(methods),
        call_timeout: Duration::from_secs(3),
        max_per_second: None,
    });
    let options = Options::new(channels.collect());
    let engine = Arc::new(Engine::new(parts, options, resilience::Settings::default()));
    engine.start().await.unwrap();
    let codecs: HashMap<ChannelId, Arc<dyn Provider>> = sold
        .iter()
        .map(|(name, methods)| {
            let codec: Arc<dyn Provider> = Arc::new(Codec(capabilities(methods)));
            (channel_id(name), codec)
        })
        .collect();
    let (shop, shop_hash) = generate_key([1; 32]);
    let (other, other_hash) = generate_key([2; 32]);
    let (li, li_hash) = generate_key([3; 32]);
    let (wang, wang_hash) = generate_key([4; 32]);
    let key = |name: &str, hash, role, merchant| ApiKey { name: name.into(), hash, role, merchant };
    let keys = ApiKeys::new(vec![
        key("shop", shop_hash, Role::Merchant, merchant("shop")),
        key("other", other_hash, Role::Merchant, merchant("other")),
        key("li", li_hash, Role::Operator, None),
        key("wang", wang_hash, Role::Operator, None),
    ])
    .unwrap();
    let signals = signals(&engine);
    let books = Arc::new(store::MemoryStore::new());
    let limits = recovery::assist::Limits::default();
    let desk =
        Arc::new(recovery::assist::Desk::new(books, engine.clone(), entropy.clone(), limits));
    let app = App {
        bank: None,
        assist: Some(desk.clone()),
        engine: engine.clone(),
        codecs: Arc::new(codecs),
        entropy: entropy.clone(),
        keys,
        signals: Some(signals),
        notes: Some(notes.clone()),
        config: None,
        metrics: Some(metrics),
    };
    let mut limits = ServerOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    limits.public_url = Some(PUBLIC_URL.to_owned());
    adjust(&mut limits);
    let running = Server::start(app, limits).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    World {
        engine,
        script,
        clock,
        store,
        entropy,
        notes,
        running,
        http,
        shop,
        other,
        li,
        wang,
        desk,
    }
}

/// The secret that signs for `partner`: 32 times the byte 7.
pub(crate) const PARTNER_SECRET: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// Signals that look at nothing by themselves, and a partner that may tell of downtimes.
fn signals(engine: &Arc<Engine>) -> Arc<Signals> {
    let driver = providers::Driver::new(Arc::new(|| Timestamp::EPOCH), Arc::new(String::new));
    let channel = ChannelId::new("stripe-main").unwrap();
    let partner = Sender::new("partner", Form::Standard, channel, PARTNER_SECRET).unwrap();
    let options = SignalsOptions { senders: vec![partner], ..SignalsOptions::default() };
    Arc::new(Signals::new(Arc::clone(engine), Arc::new(driver), Vec::new(), options))
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answered {
    pub(crate) async fn of(response: reqwest::Response) -> Answered {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answered { status, headers, text: response.text().await.unwrap() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|e| panic!("{e}: {} {:?}", self.status, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The problem's slug, after checking that it is one of RFC 9457.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        for field in ["title", "detail", "fix", "request_id"] {
            assert!(body[field].as_str().is_some_and(|t| !t.is_empty()), "{field}: {body}");
        }
        assert_eq!(body["request_id"].as_str(), Some(self.header("x-request-id")));
        body["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }
}

impl World {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addr())
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Answered {
        let request = self.http.get(self.url(path)).bearer_auth(key);
        Answered::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: &Value) -> Answered {
        let request = self.http.post(self.url(path)).bearer_auth(key).json(body);
        Answered::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, key: &str, path: &str) -> Answered {
        let request = self.http.delete(self.url(path)).bearer_auth(key);
        Answered::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn post_keyed(
        &self,
        key: &str,
        path: &str,
        idempotency_key: &str,
        body: &Value,
    ) -> Answered {
        let request = self.http.post(self.url(path)).bearer_auth(key).json(body);
        let request = request.header("Idempotency-Key", idempotency_key);
        Answered::of(request.send().await.unwrap()).await
    }

    /// Makes a payment that must be made.
    pub(crate) async fn pay(&self, body: Value) -> Value {
        let made = self.post(&self.shop, "/v1/payments", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        made.json()
    }

    /// A provider's notification.
    pub(crate) async fn notify(&self, channel: &str, proof: &str, body: String) -> Answered {
        let request = self.http.post(self.url(&format!("/v1/notifications/{channel}")));
        let request = request.header("x-proof", proof).body(body);
        Answered::of(request.send().await.unwrap()).await
    }

    /// The notification that an attempt was paid.
    pub(crate) async fn paid(&self, payment: &Value, amount: i64) -> Answered {
        let attempt = payment["attempts"].as_array().unwrap().last().unwrap();
        let body = json!({ "number": attempt["number"], "state": "paid", "amount": amount });
        self.notify(attempt["channel"].as_str().unwrap(), "true", body.to_string()).await
    }

    /// A metric's value, or 0.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let text = self.get("", "/metrics").await.text;
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
        found.map_or(0.0, |v| v.parse().unwrap())
    }
}

/// The smallest whole request.
pub(crate) fn order(order_no: &str) -> Value {
    json!({ "order_no": order_no, "amount": 1999, "currency": "CNY",
        "methods": ["alipay", "wechat_pay"] })
}
