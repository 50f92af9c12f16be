//! A world that answers as it was told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::*;
use engine::*;
use providers::Capabilities;
use store::MemoryStore;
use uuid::Uuid;

/// A clock that a test winds.
pub(crate) struct Wound(AtomicI64);

impl Clock for Wound {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Wound {
    pub(crate) fn wind(&self, secs: i64) {
        self.wind_ms(secs * 1_000);
    }

    pub(crate) fn wind_ms(&self, ms: i64) {
        self.0.fetch_add(ms * 1_000, Ordering::SeqCst);
    }

    pub(crate) fn new() -> Wound {
        Wound(AtomicI64::new(1_700_000_000_000_000))
    }
}

pub(crate) struct Counted(AtomicU64);

impl Counted {
    pub(crate) fn from(first: u64) -> Counted {
        Counted(AtomicU64::new(first))
    }
}

impl Entropy for Counted {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        Uuid::from_u128((u128::try_from(now.as_millis()).unwrap() << 80) | u128::from(n))
    }

    fn dice(&self) -> f64 {
        0.5
    }
}

/// What a channel answers next; when the script is over, the good answer.
#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<VecDeque<Answer>>,
    pub(crate) calls: Mutex<Vec<(String, &'static str, String)>>,
    /// What queries and closes said of [`OrderRef::wanted`].
    pub(crate) wanted: Mutex<Vec<bool>>,
}

impl Script {
    pub(crate) fn next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn called(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls.iter().map(|(channel, op, _)| format!("{op} {channel}")).collect()
    }
}

#[async_trait]
impl Caller for Script {
    async fn call(&self, channel: &ChannelId, op: &Operation, _until: Timestamp) -> Answer {
        if let Operation::Query(order) | Operation::Close(order, _) = op {
            self.wanted.lock().unwrap().push(order.wanted);
        }
        let number = op.number().to_string();
        self.calls.lock().unwrap().push((channel.to_string(), op.name(), number));
        tokio::task::yield_now().await;
        let scripted = self.answers.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| good(op))
    }
}

pub(crate) fn receipt(money: Money) -> Receipt {
    Receipt { reference: "2026".into(), captured: money, paid_at: None }
}

pub(crate) fn good(op: &Operation) -> Answer {
    match op {
        Operation::Create(order) if order.flow == Flow::Direct => {
            Answer::Create(Outcome::Ok(Created::Paid(receipt(order.money))))
        }
        Operation::Create(_) => shown(),
        Operation::Query(_) => Answer::Query(Outcome::Ok(OrderState::Payable)),
        Operation::Close(..) => Answer::Close(Outcome::Ok(CloseState::Closed)),
        Operation::Refund(_) => Answer::Refund(Outcome::Ok(RefundState::Succeeded)),
        Operation::QueryRefund(_) => Answer::QueryRefund(Outcome::Ok(RefundState::Succeeded)),
    }
}

pub(crate) fn shown() -> Answer {
    let presentation = Presentation::QrCode { content: "https://qr".into() };
    Answer::Create(Outcome::Ok(Created::Presented { presentation, reference: None }))
}

pub(crate) fn silence() -> Answer {
    Answer::Create(Outcome::Unknown(Fault::new("timeout", "no answer")))
}

pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) script: Arc<Script>,
    pub(crate) clock: Arc<Wound>,
}

pub(crate) fn world() -> World {
    let script = Arc::new(Script::default());
    let clock = Arc::new(Wound::new());
    let parts = Parts {
        store: Arc::new(MemoryStore::new()),
        caller: script.clone(),
        clock: clock.clone(),
        entropy: Arc::new(Counted::from(1)),
        render: Arc::new(NoMessages),
        owner: "test".into(),
    };
    let channels = vec![
        channel("alipay-main", &[(Method::Alipay, Flow::Presented)]),
        channel("wechat-main", &[(Method::WechatPay, Flow::Presented)]),
        channel("stripe-main", &[(Method::Alipay, Flow::Presented), (Method::Card, Flow::Direct)]),
    ];
    let engine = Engine::new(parts, Options::new(channels), resilience::Settings::default());
    World { engine: Arc::new(engine), script, clock }
}

pub(crate) fn channel(name: &str, methods: &[(Method, Flow)]) -> Channel {
    let waits = vec![Duration::from_secs(5)];
    Channel {
        id: ChannelId::new(name).unwrap(),
        capabilities: Capabilities {
            query_schedule: Schedule { waits, then_every: Duration::from_secs(30) },
            ..Capabilities::plain("scripted", methods.to_vec(), &[Currency::CNY])
        },
        call_timeout: Duration::from_secs(3),
        max_per_second: None,
    }
}

pub(crate) fn shop() -> MerchantId {
    MerchantId::new("shop").unwrap()
}

pub(crate) fn wish(order: &str, methods: &[Method], token: Option<&str>) -> NewPayment {
    NewPayment {
        merchant: shop(),
        order: OrderNo::new(order).unwrap(),
        money: Money::new(100, Currency::CNY).unwrap(),
        terms: Terms {
            methods: methods.to_vec(),
            purpose: Purpose::Checkout,
            tier: Tier::Standard,
            subject: "tea".into(),
            issuer: None,
            contact: None,
            push_token: None,
            locale: Locale::Zh,
            return_url: None,
            payer_ip: None,
            payer_id: None,
            device: Device::Qr,
            token: token.map(str::to_owned),
            metadata: Default::default(),
            pinned: None,
            due_at: None,
            lapses_at: None,
            no_hold: false,
        },
        expires_in: None,
    }
}

impl World {
    pub(crate) async fn create(&self, methods: &[Method]) -> Payment {
        self.engine.create(wish("o-1", methods, None), None).await.unwrap().0
    }

    /// Performs everything that is due now.
    pub(crate) async fn work(&self) {
        loop {
            let claims = self.engine.claim(10).await.unwrap();
            if claims.is_empty() {
                return;
            }
            for claim in claims {
                self.engine.perform(claim).await.unwrap();
            }
        }
    }

    pub(crate) async fn reload(&self, payment: &Payment) -> Payment {
        self.engine.payment(&shop(), payment.id).await.unwrap()
    }

    pub(crate) fn key(name: &str, body: &str) -> Option<KeyedRequest> {
        Some(KeyedRequest { key: name.into(), fingerprint: body.as_bytes().to_vec() })
    }
}
