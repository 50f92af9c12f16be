//! What the engine tells health, and what follows from it. Time moves only when a test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use domain::*;
use engine::*;
use resilience::{Cause, Settings};
use store::MemoryStore;

use crate::world::{Counted, Wound, channel, good, receipt, shop, wish};

/// What a channel does with create calls.
#[derive(Clone, Debug)]
enum Habit {
    /// Answers well after so many milliseconds.
    After(i64),
    /// Never answers.
    Hang,
    /// Answers this at once.
    Say(Answer),
    /// Fails for this issuer's customers, and answers the others at once.
    Shun(&'static str),
}

struct Habits {
    clock: Arc<Wound>,
    of: Mutex<BTreeMap<String, Habit>>,
}

impl Habits {
    fn set(&self, channel: &str, habit: Habit) {
        self.of.lock().unwrap().insert(channel.to_owned(), habit);
    }

    /// Waits without a timer, until the test has wound the clock that far.
    async fn wait(&self, until: Timestamp) {
        while self.clock.now() < until {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Caller for Habits {
    async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        let Operation::Create(order) = op else { return good(op) };
        let habit = self.of.lock().unwrap().get(channel.as_str()).cloned();
        match habit {
            None => good(op),
            Some(Habit::Say(answer)) => answer,
            Some(Habit::Shun(subject)) if order.subject == subject => refused(),
            Some(Habit::Shun(_)) => good(op),
            Some(Habit::After(ms)) => {
                let ms = u64::try_from(ms).unwrap();
                self.wait(self.clock.now() + std::time::Duration::from_millis(ms)).await;
                good(op)
            }
            Some(Habit::Hang) => {
                self.wait(until).await;
                op.unknown(Fault::new("timeout", "no answer"))
            }
        }
    }
}

fn refused() -> Answer {
    Answer::Create(Outcome::Unavailable(Fault::new("connect", "refused")))
}

fn declined(code: &str) -> Answer {
    Answer::Create(Outcome::Declined(Decline { code: code.into(), soft: true }))
}

struct World {
    engine: Arc<Engine>,
    habits: Arc<Habits>,
    clock: Arc<Wound>,
    store: Arc<MemoryStore>,
}

fn channels() -> Vec<Channel> {
    vec![
        channel("alipay-main", &[(Method::Alipay, Flow::Presented)]),
        channel("stripe-main", &[(Method::Alipay, Flow::Presented)]),
    ]
}

fn world(channels: Vec<Channel>, settings: Settings) -> World {
    let clock = Arc::new(Wound::new());
    let habits = Arc::new(Habits { clock: clock.clone(), of: Mutex::default() });
    let store = Arc::new(MemoryStore::new());
    let engine = process(&store, &habits, &clock, channels, settings);
    World { engine, habits, clock, store }
}

/// A process over these books; a second one is what a restart leaves.
fn process(
    store: &Arc<MemoryStore>,
    habits: &Arc<Habits>,
    clock: &Arc<Wound>,
    channels: Vec<Channel>,
    settings: Settings,
) -> Arc<Engine> {
    let parts = Parts {
        store: store.clone(),
        caller: habits.clone(),
        clock: clock.clone(),
        entropy: Arc::new(Counted::from(1)),
        render: Arc::new(NoMessages),
        owner: "test".into(),
    };
    Arc::new(Engine::new(parts, Options::new(channels), settings))
}

impl World {
    fn order(&self, number: usize, issuer: Option<&str>) -> NewPayment {
        let mut wish = wish(&format!("o-{number}"), &[Method::Alipay], None);
        wish.terms.issuer = issuer.map(str::to_owned);
        wish.terms.subject = issuer.unwrap_or("tea").to_owned();
        wish
    }

    async fn pay(&self, number: usize) -> Payment {
        self.engine.create(self.order(number, None), None).await.unwrap().0
    }

    fn start(&self, number: usize) -> tokio::task::JoinHandle<Payment> {
        let (engine, wish) = (self.engine.clone(), self.order(number, None));
        tokio::spawn(async move { engine.create(wish, None).await.unwrap().0 })
    }

    /// Lets time pass in steps of 10 ms, with a look at health every 50 ms.
    async fn pass(&self, ms: i64) {
        for step in 0..ms / 10 {
            self.clock.wind_ms(10);
            if step % 5 == 0 {
                self.engine.watch_health();
            }
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn notify_paid(&self, payment: &Payment) {
        let attempt = payment.attempts.last().unwrap();
        let state = OrderState::Paid(receipt(payment.money));
        let notice = Notice { number: attempt.number.clone(), kind: NoticeKind::Order(state) };
        self.engine.notice(&attempt.channel, notice).await.unwrap();
    }

    fn view(&self, channel: &str) -> MethodView {
        let found = self.engine.channels().into_iter().find(|c| c.id.as_str() == channel);
        found.unwrap().methods[0].1.clone()
    }
}

fn on(payment: &Payment) -> &str {
    payment.attempts.last().unwrap().channel.as_str()
}

#[tokio::test]
async fn rule_4_a_hang_is_seen_within_a_second_and_what_was_in_flight_is_replaced() {
    let world = world(channels(), Settings::default());
    world.habits.set("alipay-main", Habit::After(100));
    for number in 0..80 {
        let payment = world.start(number);
        world.pass(120).await;
        assert_eq!(on(&payment.await.unwrap()), "alipay-main");
    }
    world.habits.set("alipay-main", Habit::Hang);
    let mut waiting = Vec::new();
    for number in 100..120 {
        waiting.push(world.start(number));
        world.pass(20).await;
    }
    world.pass(600).await;
    let view = world.view("alipay-main");
    assert_eq!((view.health.name(), view.cause), ("down", Some(Cause::Hang)));
    // A second has passed, and the channel's own time-out is three.
    for payment in waiting {
        assert!(payment.is_finished());
        let payment = payment.await.unwrap();
        assert_eq!((on(&payment), payment.status()), ("stripe-main", Status::RequiresCustomer));
    }
    let change = &world.engine.health_changes()[0];
    assert_eq!((change.from, change.to, change.cause), ("healthy", "down", Some(Cause::Hang)));
    assert!(change.evidence >= 11.0);
}

#[tokio::test]
async fn rule_3_a_charge_that_hangs_is_waited_for_and_not_made_elsewhere() {
    let cards = vec![
        channel("stripe-main", &[(Method::Card, Flow::Direct)]),
        channel("stripe-spare", &[(Method::Card, Flow::Direct)]),
    ];
    let world = world(cards, Settings::default());
    world.habits.set("stripe-main", Habit::After(100));
    let charge = |number: usize| {
        let (engine, order) = (world.engine.clone(), format!("c-{number}"));
        let wish = wish(&order, &[Method::Card], Some("pm_1"));
        tokio::spawn(async move { engine.create(wish, None).await.unwrap().0 })
    };
    for number in 0..80 {
        let payment = charge(number);
        world.pass(120).await;
        payment.await.unwrap();
    }
    world.habits.set("stripe-main", Habit::Hang);
    let waiting: Vec<_> = (100..110).map(charge).collect();
    world.pass(1_500).await;
    assert_eq!(world.view("stripe-main").cause, Some(Cause::Hang));
    assert!(waiting.iter().all(|payment| !payment.is_finished()));
    world.pass(2_000).await;
    for payment in waiting {
        let payment = payment.await.unwrap();
        assert_eq!((payment.attempts.len(), payment.status()), (1, Status::Confirming));
    }
}

#[tokio::test]
async fn codes_that_nobody_can_pay_take_a_channel_down_and_paid_ones_bring_it_back() {
    let world = world(channels(), Settings::default());
    for number in 0..80 {
        let payment = world.pay(number).await;
        world.clock.wind(8);
        world.notify_paid(&payment).await;
    }
    for number in 100..106 {
        assert_eq!(on(&world.pay(number).await), "alipay-main");
    }
    assert_eq!(world.view("alipay-main").silence.unpaid_codes, 6);
    let mut waited_s = 0;
    while world.view("alipay-main").health.name() == "healthy" && waited_s < 60 {
        world.clock.wind(1);
        world.engine.watch_health();
        waited_s += 1;
    }
    assert!(waited_s <= 12, "paid within 8 s as a rule, and found after {waited_s} s");
    assert_eq!(world.view("alipay-main").cause, Some(Cause::Conversion));
    assert_eq!(on(&world.pay(200).await), "stripe-main");

    let mut number = 300;
    while world.view("alipay-main").share_percent == 0 && number < 400 {
        world.clock.wind(11);
        let payment = world.pay(number).await;
        world.clock.wind(2);
        world.notify_paid(&payment).await;
        number += 1;
    }
    let states: Vec<&str> = world.engine.health_changes().iter().map(|turn| turn.to).collect();
    assert_eq!(states, ["down", "probing", "ramping"]);
}

#[tokio::test]
async fn codes_of_before_a_restart_say_nothing() {
    let world = world(channels(), Settings::default());
    let mut shown = Vec::new();
    for number in 0..80 {
        shown.push(world.pay(number).await);
    }
    let World { habits, clock, store, .. } = &world;
    let engine = process(store, habits, clock, channels(), Settings::default());
    let after =
        World { engine, habits: habits.clone(), clock: clock.clone(), store: store.clone() };
    after.clock.wind(600);
    for payment in &shown[..60] {
        after.notify_paid(payment).await;
    }
    after.engine.watch_health();
    let silence = after.view("alipay-main").silence;
    assert_eq!((silence.codes.statistic, silence.unpaid_codes), (0.0, 0));
    assert_eq!(shop(), shown[0].merchant);
}

#[tokio::test]
async fn a_spent_budget_of_retries_stops_failover_and_the_attempt_says_so() {
    let world = world(channels(), Settings { retry_share: 0.0, ..Settings::default() });
    // A refusal that another channel may not share: failover, and no sign of bad health.
    world.habits.set("alipay-main", Habit::Say(declined("processor_declined")));
    for number in 0..100 {
        assert_eq!(on(&world.pay(number).await), "stripe-main", "{number}");
    }
    assert_eq!(world.engine.fleet().retries_left, 0.0);
    let payment = world.pay(100).await;
    assert_eq!((payment.attempts.len(), payment.status()), (1, Status::Declined));
    let left_out = &payment.attempts[0].choice.excluded[0];
    assert_eq!(left_out.channel.as_str(), "stripe-main");
    assert_eq!(left_out.why, "not tried: the budget of retries is spent");
    assert_eq!(world.view("alipay-main").health.name(), "healthy");
}

#[tokio::test]
async fn an_issuer_that_fails_on_every_channel_causes_no_switch() {
    let world = world(channels(), Settings::default());
    for number in 0..60 {
        world.pay(number).await;
    }
    world.habits.set("alipay-main", Habit::Shun("bank-a"));
    world.habits.set("stripe-main", Habit::Shun("bank-a"));
    for number in 100..400 {
        world.clock.wind_ms(50);
        world.engine.watch_health();
        let issuer = if number % 4 == 0 { "bank-a" } else { "bank-b" };
        let payment = world.engine.create(world.order(number, Some(issuer)), None).await.unwrap().0;
        if issuer == "bank-b" {
            assert_eq!(on(&payment), "alipay-main", "{number}");
        }
    }
    let sick = world.engine.fleet().sick_issuers;
    assert_eq!(sick.iter().map(|s| s.issuer.as_str()).collect::<Vec<_>>(), ["bank-a"]);
    assert_eq!(world.engine.health_changes().iter().filter(|turn| turn.to == "down").count(), 0);
}

#[tokio::test]
async fn an_issuer_that_fails_on_one_channel_is_routed_around_alone() {
    let world = world(channels(), Settings::default());
    world.habits.set("alipay-main", Habit::Shun("bank-a"));
    for number in 0..200 {
        world.clock.wind_ms(50);
        let issuer = if number % 4 == 0 { "bank-a" } else { "bank-b" };
        world.engine.create(world.order(number, Some(issuer)), None).await.unwrap();
    }
    let view = world.view("alipay-main");
    assert_eq!(view.issuers.iter().map(|i| i.issuer.as_str()).collect::<Vec<_>>(), ["bank-a"]);
    let first = |payment: Payment| payment.attempts[0].channel.to_string();
    let of_a = world.engine.create(world.order(900, Some("bank-a")), None).await.unwrap().0;
    let of_b = world.engine.create(world.order(901, Some("bank-b")), None).await.unwrap().0;
    assert_eq!((first(of_a).as_str(), first(of_b).as_str()), ("stripe-main", "alipay-main"));
}

#[tokio::test]
async fn a_channel_gets_no_more_than_its_headroom() {
    let mut two = channels();
    two[0].max_per_second = Some(2.0);
    let world = world(two, Settings::default());
    let mut taken = Vec::new();
    for number in 0..5 {
        taken.push(on(&world.pay(number).await).to_owned());
    }
    assert_eq!(taken, ["alipay-main", "alipay-main", "stripe-main", "stripe-main", "stripe-main"]);
    assert!(!world.view("alipay-main").has_room);
    world.clock.wind(1);
    assert_eq!(on(&world.pay(9).await), "alipay-main");
}

#[tokio::test]
async fn calls_that_failed_by_our_own_cause_say_nothing() {
    let world = world(channels(), Settings::default());
    for code in ["deadline", "budget", "no_channel"] {
        let fault = Fault::new(code, "ours");
        world.habits.set("alipay-main", Habit::Say(Answer::Create(Outcome::Unavailable(fault))));
        for number in 0..60 {
            world.engine.create(world.order(number, None), None).await.unwrap();
            world.clock.wind(5);
            world.engine.watch_health();
        }
    }
    let view = world.view("alipay-main");
    assert_eq!((view.health.name(), view.seen.1), ("healthy", 0));
    assert_eq!(view.silence.calls.statistic, 0.0);
    assert_eq!(view.latency.map(|l| l.in_flight), None);
}

#[tokio::test]
async fn rule_11_declines_are_no_sign_of_bad_health_and_their_mix_is_a_signal_of_its_own() {
    let world = world(channels(), Settings::default());
    for number in 0..600 {
        let code = if number % 5 == 0 { "expired_card" } else { "insufficient_funds" };
        world.habits.set("alipay-main", Habit::Say(declined(code)));
        world.pay(number).await;
    }
    assert!(world.view("alipay-main").declines.is_none());
    world.habits.set("alipay-main", Habit::Say(declined("risk_control")));
    for number in 1_000..1_060 {
        world.pay(number).await;
    }
    let view = world.view("alipay-main");
    assert_eq!(view.declines.unwrap().code, "risk_control");
    assert_eq!((view.health.name(), view.evidence.statistic), ("healthy", 0.0));
}

#[tokio::test]
async fn slow_is_no_fault_and_caps_what_is_under_way() {
    let world = world(channels(), Settings::default());
    world.habits.set("alipay-main", Habit::After(200));
    for number in 0..320 {
        let payment = world.start(number);
        world.pass(220).await;
        payment.await.unwrap();
    }
    world.habits.set("alipay-main", Habit::After(600));
    for number in 400..440 {
        let payment = world.start(number);
        world.pass(620).await;
        payment.await.unwrap();
    }
    let view = world.view("alipay-main");
    let latency = view.latency.unwrap();
    assert!(latency.is_slow && latency.ratio > 1.5, "{latency:?}");
    assert_eq!((view.health.name(), latency.cap), ("healthy", Some(2)));
    let busy: Vec<_> = (500..504).map(|number| world.start(number)).collect();
    world.pass(1_000).await;
    let mut taken = Vec::new();
    for payment in busy {
        taken.push(on(&payment.await.unwrap()).to_owned());
    }
    assert_eq!(taken, ["alipay-main", "alipay-main", "stripe-main", "stripe-main"]);
}
