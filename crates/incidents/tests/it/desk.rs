//! The desk over a real engine with a clock that is wound by hand and a scripted provider.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::*;
use engine::{Caller, Channel, Clock, Engine, Entropy, NewPayment, NoMessages, Options, Parts};
use incidents::desk::{Signals, SignalsOptions};
use incidents::downtime;
use providers::{Capabilities, Driver};
use store::MemoryStore;
use uuid::Uuid;

struct Wound(AtomicI64);

impl Clock for Wound {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

struct Counted(AtomicU64);

impl Entropy for Counted {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        Uuid::from_u128((u128::try_from(now.as_millis()).unwrap() << 80) | u128::from(n))
    }

    fn dice(&self) -> f64 {
        (self.0.fetch_add(1, Ordering::SeqCst) as f64 * 0.618_033_988_749).fract()
    }
}

/// Shows codes; the channels in `away` give no answer.
#[derive(Default)]
struct Provider {
    away: Mutex<Vec<ChannelId>>,
}

#[async_trait]
impl Caller for Provider {
    async fn call(&self, channel: &ChannelId, op: &Operation, _until: Timestamp) -> Answer {
        if self.away.lock().unwrap().contains(channel) {
            return op.unavailable(Fault::new("maintenance", "away"));
        }
        match op {
            Operation::Create(_) => {
                let presentation = Presentation::QrCode { content: "https://qr".into() };
                Answer::Create(Outcome::Ok(Created::Presented { presentation, reference: None }))
            }
            Operation::Close(..) => Answer::Close(Outcome::Ok(CloseState::Closed)),
            _ => op.unknown(Fault::new("unscripted", "")),
        }
    }
}

struct World {
    engine: Arc<Engine>,
    clock: Arc<Wound>,
    provider: Arc<Provider>,
    signals: Signals,
}

fn id(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn channel(name: &str) -> Channel {
    Channel {
        id: id(name),
        capabilities: Capabilities {
            query_schedule: Schedule { waits: vec![], then_every: Duration::from_secs(3_600) },
            ..Capabilities::plain(
                "scripted",
                vec![(Method::Alipay, Flow::Presented)],
                &[Currency::CNY],
            )
        },
        call_timeout: Duration::from_secs(3),
        max_per_second: None,
    }
}

/// Tuesday, 24 November 2026, 12:00 in Shanghai.
const NOON: i64 = 1_795_492_800;

fn world(options: SignalsOptions) -> World {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let clock = Arc::new(Wound(AtomicI64::new(NOON * 1_000_000)));
    let provider = Arc::new(Provider::default());
    let parts = Parts {
        store: Arc::new(MemoryStore::new()),
        caller: provider.clone(),
        clock: clock.clone(),
        entropy: Arc::new(Counted(AtomicU64::new(1))),
        render: Arc::new(NoMessages),
        owner: "test".into(),
    };
    let channels = Options::new(vec![channel("first"), channel("second")]);
    let engine = Arc::new(Engine::new(parts, channels, resilience::Settings::default()));
    let driver = Driver::new(Arc::new(|| Timestamp::EPOCH), Arc::new(String::new));
    let signals = Signals::new(engine.clone(), Arc::new(driver), Vec::new(), options);
    World { engine, clock, provider, signals }
}

impl World {
    async fn pay(&self, number: &str) -> Payment {
        self.pay_from(number, None).await
    }

    async fn pay_from(&self, number: &str, issuer: Option<&str>) -> Payment {
        let terms = Terms {
            methods: vec![Method::Alipay],
            purpose: Purpose::Checkout,
            tier: Tier::Standard,
            subject: "tea".into(),
            issuer: issuer.map(str::to_owned),
            contact: None,
            push_token: None,
            locale: Locale::Zh,
            return_url: None,
            payer_ip: None,
            payer_id: None,
            device: Device::Qr,
            token: None,
            metadata: Default::default(),
            pinned: None,
            due_at: None,
            lapses_at: None,
            no_hold: false,
        };
        let wish = NewPayment {
            merchant: MerchantId::new("shop").unwrap(),
            order: OrderNo::new(number).unwrap(),
            money: Money::new(100, Currency::CNY).unwrap(),
            terms,
            expires_in: None,
        };
        self.engine.create(wish, None).await.unwrap().0
    }

    fn wait(&self, secs: i64) {
        self.clock.0.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }
}

/// Every Tuesday at 12:10 by the clock of Shanghai, for ten minutes.
fn weekly() -> SignalsOptions {
    let stated = Maintenance {
        id: "configured-1".to_owned(),
        scope: Scope { channel: Some(id("first")), ..Scope::default() },
        when: When::Weekly {
            days: vec![Day::Tue],
            start_minute: 12 * 60 + 10,
            duration_s: 600,
            zone: "Asia/Shanghai".to_owned(),
        },
        by: "configuration".to_owned(),
        reason: "every week".to_owned(),
        since: Timestamp::EPOCH,
    };
    SignalsOptions { maintenance: vec![stated], ..SignalsOptions::default() }
}

#[tokio::test]
async fn a_configured_window_is_drained_before_it_begins_and_left_when_it_is_over() {
    let world = world(weekly());
    let (mut lost, mut before, mut after) = (0, 0, 0);
    for second in 0..2_400_i64 {
        // The beat of the calendar and of health.
        world.signals.announce();
        world.engine.watch_health();
        let away = (600..1_200).contains(&second);
        *world.provider.away.lock().unwrap() = if away { vec![id("first")] } else { vec![] };
        let payment = world.pay(&format!("o-{second}")).await;
        let first = payment.attempts[0].channel == id("first");
        lost += u32::from(away && first);
        before += u32::from(second < 595 && first);
        after += u32::from(second >= 2_200 && first);
        world.wait(1);
    }
    assert!(lost <= 1, "{lost} reached a channel that was away");
    assert!(before > 550, "{before} of 595 before it began");
    assert!(after > 150, "{after} of 200 once it had come back");
}

#[tokio::test]
async fn a_synthetic_payment_brings_a_channel_back_before_its_window_ends() {
    let world = world(weekly());
    world.wait(600);
    world.signals.announce();
    world.engine.watch_health();
    let health = || world.engine.channels()[0].methods[0].1.health;
    assert!(health().is_out());
    let trial = engine::Trial {
        channel: id("first"),
        method: Method::Alipay,
        money: Money::new(1, Currency::CNY).unwrap(),
        token: None,
        subject: "check".to_owned(),
    };
    for _ in 0..6 {
        world.wait(10);
        world.signals.announce();
        world.engine.watch_health();
        world.engine.try_channel(&trial).await.unwrap();
    }
    assert!(!health().is_out(), "{:?}", health());
}

#[tokio::test]
async fn a_downtime_hints_once_and_a_banks_hints_nothing() {
    let world = world(SignalsOptions::default());
    let now = world.engine.now();
    let event = |json: serde_json::Value| downtime::read(json.as_object().unwrap(), now).unwrap();
    let health = || world.engine.channels()[0].methods[0].1.health.name();
    let bank = serde_json::json!({ "channel": "first", "issuer": "icbc", "status": "started",
        "severity": "high" });
    assert!(world.signals.take(event(bank)));
    assert_eq!(health(), "healthy");
    let down = serde_json::json!({ "channel": "first", "status": "started", "severity": "high" });
    assert!(world.signals.take(event(down.clone())));
    assert_eq!(health(), "suspect");
    // Its payments go through: the word is refuted, and saying it again changes nothing.
    for n in 0..60 {
        world.pay(&format!("o-{n}")).await;
        world.wait(1);
        world.signals.hear();
    }
    assert_eq!(health(), "healthy");
    assert!(!world.signals.take(event(down)));
    assert_eq!(health(), "healthy");
}

#[tokio::test]
async fn a_scheduled_downtime_is_an_absence() {
    let world = world(SignalsOptions::default());
    let now = world.engine.now();
    let event = serde_json::json!({ "method": "alipay", "status": "scheduled",
        "from": "2026-11-24T05:00:00Z", "until": "2026-11-24T06:00:00Z" });
    world.signals.take(downtime::read(event.as_object().unwrap(), now).unwrap());
    let due = world.signals.due(Duration::from_secs(86_400));
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].span.until.since(due[0].span.from).as_secs(), 3_600);
}

#[tokio::test]
async fn a_bank_away_on_one_channel_goes_around_it_and_a_bank_away_everywhere_does_not() {
    let world = world(SignalsOptions::default());
    let now = world.engine.now();
    let plan = |channel: Option<&str>, bank: &str| {
        let event = serde_json::json!({ "channel": channel, "issuer": bank, "id": bank,
            "status": "scheduled", "from": "2026-11-24T04:00:00Z",
            "until": "2026-11-24T05:00:00Z" });
        downtime::read(event.as_object().unwrap(), now).unwrap()
    };
    world.signals.take(plan(Some("first"), "here"));
    world.signals.take(plan(None, "everywhere"));
    world.signals.announce();
    let mut first = [0, 0, 0];
    for n in 0..40 {
        for (who, bank) in ["here", "everywhere", "other"].into_iter().enumerate() {
            let payment = world.pay_from(&format!("{bank}-{n}"), Some(bank)).await;
            first[who] += u32::from(payment.attempts[0].channel == id("first"));
        }
        world.wait(1);
        world.engine.watch_health();
    }
    assert_eq!(first[0], 0, "{first:?}");
    assert!(first[1] > 30 && first[2] > 30, "{first:?}");
}
