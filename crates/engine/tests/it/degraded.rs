//! The ladder, held orders (rule 10) and paused work (rule 9).

use std::sync::Arc;
use std::time::Duration;

use domain::*;
use engine::*;

use crate::world::*;

const BOTH: &[Method] = &[Method::Alipay, Method::WechatPay];
const HOUR: Duration = Duration::from_secs(3_600);

fn li(reach: Reach, level: Level, now: Timestamp) -> Descent {
    let (mover, reason) = (Mover::Operator("li".into()), "outage".into());
    Descent { reach, level, mover, reason, since: now, until: now + HOUR }
}

fn renewals(now: Timestamp) -> Gate {
    let (by, reason) = ("li".to_owned(), "double charges feared".to_owned());
    Gate { purpose: Purpose::Renewal, by, reason, since: now, until: now + HOUR }
}

fn renewal(order: &str, due_s: u64) -> NewPayment {
    let mut wish = wish(order, &[Method::Card], Some("pm_1"));
    wish.terms.purpose = Purpose::Renewal;
    wish.terms.due_at = Some(Timestamp::from_secs(1_600_000_000) + Duration::from_secs(due_s));
    wish
}

impl World {
    fn now(&self) -> Timestamp {
        self.engine.now()
    }

    async fn all_out(&self) {
        for name in ["alipay-main", "wechat-main", "stripe-main"] {
            let (channel, now) = (ChannelId::new(name).unwrap(), self.now());
            let (by, reason) = ("li".to_owned(), "outage".to_owned());
            let off = Override { channel, method: None, by, reason, since: now, until: None };
            self.engine.disable(off).await.unwrap();
        }
    }

    async fn all_back(&self) {
        for name in ["alipay-main", "wechat-main", "stripe-main"] {
            let channel = ChannelId::new(name).unwrap();
            self.engine.enable(&channel, None, "li", "back").await.unwrap();
        }
    }

    /// Lets the policy look for a while, as the worker does.
    async fn mind(&self, secs: i64) {
        for _ in 0..secs * 2 {
            self.engine.watch_health();
            self.engine.mind_ladder().await.unwrap();
            self.engine.go_round().await.unwrap();
            self.clock.wind_ms(500);
        }
    }

    async fn made(&self, wish: NewPayment) -> Payment {
        self.engine.create(wish, None).await.unwrap().0
    }

    async fn release(&self) -> Vec<PaymentId> {
        let ready = self.engine.releasable().await.unwrap();
        for id in &ready {
            self.engine.release_paused(*id).await.unwrap();
        }
        ready
    }

    async fn told(&self, payment: &Payment) -> Vec<EventKind> {
        self.engine.story(payment.id).await.unwrap().into_iter().map(|e| e.kind).collect()
    }
}

#[tokio::test]
async fn rule_9_what_comes_while_paused_is_kept_and_charged_once_by_due_time() {
    let world = world();
    world.engine.pause(renewals(world.now())).await.unwrap();
    let mut made = Vec::new();
    for (order, due) in [("late", 500), ("early", 100), ("middle", 300)] {
        made.push(world.made(renewal(order, due)).await);
    }
    assert!(made.iter().all(|p| p.status() == Status::Paused));
    world.work().await;
    assert_eq!(world.release().await, [], "paused means paused");
    assert_eq!(world.script.called(), [""; 0], "nothing was charged");
    assert!(matches!(
        world.told(&made[0]).await[..],
        [EventKind::Created, EventKind::Kept { .. }, EventKind::GraceExtended { .. },]
    ));
    assert!(world.engine.resume(Purpose::Renewal, "li", "cause found").await.unwrap());
    assert!(!world.engine.resume(Purpose::Renewal, "wu", "me too").await.unwrap(), "twice is once");
    world.clock.wind(1);
    assert_eq!(world.release().await, [made[1].id, made[2].id, made[0].id]);
    assert_eq!(world.release().await, []);
    for payment in &made {
        assert_eq!(world.reload(payment).await.status(), Status::Paid);
        world.engine.release_paused(payment.id).await.unwrap();
    }
    assert_eq!(world.script.called(), ["create stripe-main"; 3], "each once");
}

#[tokio::test]
async fn rule_9_the_release_is_bounded_and_waits_for_a_channel() {
    let world = world();
    world.engine.pause(renewals(world.now())).await.unwrap();
    for n in 0..20 {
        world.made(renewal(&format!("o-{n}"), n)).await;
    }
    world.engine.resume(Purpose::Renewal, "li", "cause found").await.unwrap();
    world.all_out().await;
    world.release().await;
    world.clock.wind(60);
    assert_eq!(world.release().await, [], "released once, so not into an outage");
    world.all_back().await;
    let mut counts = Vec::new();
    for _ in 0..6 {
        counts.push(world.release().await.len());
        world.clock.wind(1);
    }
    assert_eq!(counts, [5, 5, 5, 5, 0, 0], "five a second, however long it waited");
}

#[tokio::test]
async fn rule_9_what_was_cancelled_while_paused_is_never_charged() {
    let world = world();
    world.engine.pause(renewals(world.now())).await.unwrap();
    let payment = world.made(renewal("o-1", 1)).await;
    let ready = [payment.id];
    let cancelled = world.engine.cancel(&shop(), payment.id).await.unwrap();
    assert_eq!(cancelled.status(), Status::Cancelled);
    world.engine.resume(Purpose::Renewal, "li", "back").await.unwrap();
    // Somebody had it on their list before.
    let after = world.engine.release_paused(ready[0]).await.unwrap();
    assert_eq!(after.status(), Status::Cancelled);
    assert_eq!(world.script.called(), [""; 0]);
}

#[tokio::test]
async fn rule_9_a_pause_stops_a_failover_that_is_under_way() {
    let world = world();
    let refused = Answer::Create(Outcome::Unavailable(Fault::new("connect", "refused")));
    world.script.next([refused]);
    let mut top_up = wish("o-1", BOTH, None);
    top_up.terms.purpose = Purpose::TopUp;
    let gate = Gate { purpose: Purpose::TopUp, ..renewals(world.now()) };
    // The call is on its way when the pause comes.
    let (made, _) = tokio::join!(world.made(top_up), world.engine.pause(gate));
    assert_eq!(world.script.called(), ["create alipay-main"]);
    assert_eq!(made.status(), Status::Paused);
    let again = world.engine.switch(&shop(), made.id, Some(Method::WechatPay)).await.unwrap();
    assert_eq!(again.status(), Status::Paused);
    world.release().await;
    world.engine.resume(Purpose::TopUp, "li", "back").await.unwrap();
    world.clock.wind(1);
    world.release().await;
    let held = world.reload(&made).await;
    assert_eq!(held.status(), Status::Held, "its customer comes back through the link");
    let paid = world.engine.switch(&shop(), made.id, None).await.unwrap();
    assert_eq!(paid.status(), Status::RequiresCustomer);
}

#[tokio::test]
async fn rule_9_a_paused_renewal_ends_at_its_deadline_and_its_subscription_has_grace_until_then() {
    let world = world();
    let long = Gate { until: world.now() + 100 * HOUR, ..renewals(world.now()) };
    world.engine.pause(long).await.unwrap();
    let mut wish = renewal("o-1", 1);
    wish.expires_in = Some(30 * HOUR);
    let payment = world.made(wish).await;
    for _ in 0..31 {
        world.work().await;
        world.clock.wind(3_600);
    }
    let told = world.told(&payment).await;
    let grace = |k: &&EventKind| matches!(k, EventKind::GraceExtended { .. });
    assert_eq!(told.iter().filter(grace).count(), 2, "a day, and what was left: {told:?}");
    assert_eq!(world.reload(&payment).await.status(), Status::Expired);
    assert_eq!(world.script.called(), [""; 0]);
}

#[tokio::test]
async fn a_pause_and_a_level_need_an_end_that_is_to_come_and_not_too_far() {
    let world = world();
    let now = world.now();
    let past = Gate { until: now, ..renewals(now) };
    assert_eq!(world.engine.pause(past).await.unwrap_err(), EngineError::EndPassed);
    let endless = Gate { until: Timestamp::MAX, ..renewals(now) };
    assert!(matches!(
        world.engine.pause(endless).await.unwrap_err(),
        EngineError::TooLong { what: "a pause", max_s: 604_800 }
    ));
    let unknown = Gate { purpose: "renewel".parse().unwrap(), ..renewals(now) };
    assert!(matches!(world.engine.pause(unknown).await, Err(EngineError::NoSuchPurpose(_))));
    let never = Descent { until: now, ..li(Reach::All, Level::Held, now) };
    assert_eq!(world.engine.move_level(never).await.unwrap_err(), EngineError::EndPassed);
    let not_there = world.engine.lift_level(&Reach::All, "li", "?").await;
    assert_eq!(not_there.unwrap_err(), EngineError::NotMoved);
    let mut wish = wish("o-1", BOTH, None);
    wish.terms.purpose = "renewel".parse().unwrap();
    let refused = world.engine.create(wish, None).await.unwrap_err();
    assert!(matches!(refused, EngineError::NoSuchPurpose(_)));
}

#[tokio::test]
async fn the_ladder_goes_down_with_health_and_comes_up_by_itself() {
    let world = world();
    let mut sight = world.engine.sight_changed();
    world.engine.start().await.unwrap();
    world.all_out().await;
    assert!(sight.has_changed().unwrap());
    assert!(sight.borrow_and_update().methods.iter().all(|m| !m.available));
    world.mind(3).await;
    let level = |world: &World| world.engine.sight().level;
    assert_eq!(level(&world), Level::Assisted);
    world.all_back().await;
    world.mind(50).await;
    assert_eq!(level(&world), Level::Assisted, "not sooner than a minute");
    world.mind(20).await;
    assert_eq!(level(&world), Level::Normal);
    assert!(world.engine.controls().ladder.is_empty(), "nothing is left behind");
    let audit = world.engine.store().audit(50).await.unwrap();
    let said = |action: &str| audit.iter().any(|l| l.by == "policy" && l.action == action);
    assert!(said("move all from level normal to assisted"), "{audit:?}");
    assert!(said("move all from level assisted to normal"), "{audit:?}");
}

#[tokio::test]
async fn rule_10_an_order_that_nothing_takes_is_held_and_its_customer_comes_back() {
    let world = world();
    world.all_out().await;
    world.mind(3).await;
    let payment = world.create(BOTH).await;
    assert_eq!(payment.status(), Status::Held);
    assert_eq!(payment.expires_at, world.now() + 24 * HOUR);
    assert!(world.engine.offer(&payment).methods.iter().all(|(_, works)| !works));
    world.all_back().await;
    world.mind(70).await;
    let told = world.told(&payment).await;
    let recovered = EventKind::Reminded { why: Reminder::Recovered };
    assert_eq!(told.iter().filter(|k| **k == recovered).count(), 1, "{told:?}");
    // The next day, from another device.
    world.clock.wind(20 * 3_600);
    let shown = world.engine.switch(&shop(), payment.id, Some(Method::WechatPay)).await.unwrap();
    assert_eq!(shown.status(), Status::RequiresCustomer);
    let code = shown.presented().unwrap();
    assert!(code.expires_at <= world.now() + HOUR, "a code that is looked at now, not for days");
    let kind = NoticeKind::Order(OrderState::Paid(receipt(payment.money)));
    let notice = Notice { number: code.number.clone(), kind };
    world.engine.notice(&code.channel, notice).await.unwrap();
    let paid = world.reload(&payment).await;
    assert_eq!((paid.status(), paid.hold.unwrap().ended), (Status::Paid, Some(HoldEnd::Paid)));
}

#[tokio::test]
async fn rule_10_a_held_order_ends_once_and_a_late_success_goes_back() {
    let world = world();
    let payment = world.create(BOTH).await;
    let held = world.engine.hold(&shop(), payment.id, Some(HOUR), HoldBy::Merchant).await.unwrap();
    assert_eq!(held.hold.as_ref().unwrap().until, world.now() + HOUR);
    let again = world.engine.hold(&shop(), payment.id, None, HoldBy::Customer).await.unwrap();
    assert_eq!(again, held, "asked twice is held once");
    let until = world.now() + 2 * HOUR;
    let why = ("li", "asked by telephone");
    let longer = world.engine.extend_hold(&shop(), payment.id, until, why).await.unwrap();
    assert_eq!(longer.expires_at, until);
    let sooner = world.engine.extend_hold(&shop(), payment.id, until, why).await.unwrap_err();
    assert_eq!(sooner, EngineError::HoldRefused(HoldRefused::Sooner));
    let beyond = world.engine.extend_hold(&shop(), payment.id, Timestamp::MAX, why).await;
    assert!(matches!(beyond, Err(EngineError::TooLong { .. })));
    for _ in 0..40 {
        world.work().await;
        world.clock.wind(300);
    }
    let expired = world.reload(&payment).await;
    assert_eq!(expired.hold.as_ref().unwrap().ended, Some(HoldEnd::Expired));
    let kind = NoticeKind::Order(OrderState::Paid(receipt(payment.money)));
    let (number, channel) = (payment.attempts[0].number.clone(), &payment.attempts[0].channel);
    world.engine.notice(channel, Notice { number, kind }).await.unwrap();
    world.work().await;
    let after = world.reload(&payment).await;
    assert_eq!(after.status(), Status::Expired, "what was kept for it is sold to others");
    assert_eq!(after.refunds[0].reason, RefundReason::Late);
    let ends = world.told(&payment).await;
    let released = |k: &&EventKind| matches!(k, EventKind::HoldReleased { .. });
    assert_eq!(ends.iter().filter(released).count(), 1);
    let reminded = EventKind::Reminded { why: Reminder::ExpiresSoon };
    assert_eq!(ends.iter().filter(|k| **k == reminded).count(), 1, "before the later end");
}

#[tokio::test]
async fn people_lead_payments_away_and_health_counts_again_when_they_lift_it() {
    let world = world();
    let alipay = Reach::Method(Method::Alipay);
    world.engine.move_level(li(alipay.clone(), Level::OtherMethod, world.now())).await.unwrap();
    let payment = world.create(BOTH).await;
    assert_eq!(world.script.called(), ["create wechat-main"]);
    let excluded = &payment.attempts[0].choice.excluded;
    let why = "led away: method alipay is at level other_method (outage)";
    assert!(excluded.iter().all(|e| e.why == why), "{excluded:?}");
    let offer = world.engine.offer(&payment);
    assert_eq!(offer.methods, [(Method::WechatPay, true), (Method::Alipay, false)]);
    let sight = world.engine.sight();
    let sight = sight.methods.iter().find(|m| m.method == Method::Alipay).unwrap();
    assert_eq!((sight.available, sight.instead), (false, Some(Method::WechatPay)));
    world.engine.lift_level(&alipay, "li", "back").await.unwrap();
    let other = world.made(wish("o-2", BOTH, None)).await;
    assert_eq!(other.attempts[0].method, Method::Alipay);
    world.engine.move_level(li(alipay, Level::OtherMethod, world.now())).await.unwrap();
    world.clock.wind(3_600);
    let later = world.made(wish("o-3", BOTH, None)).await;
    assert_eq!(later.attempts[0].method, Method::Alipay, "it has ended by itself");
}

/// A second process on the same books.
fn beside(world: &World) -> Engine {
    let parts = Parts {
        store: Arc::clone(world.engine.store()),
        caller: world.script.clone(),
        clock: world.clock.clone(),
        entropy: Arc::new(Counted::from(1_000_000)),
        render: Arc::new(NoMessages),
        owner: "beside".into(),
    };
    let options = world.engine.options();
    Engine::new(parts, options.as_ref().clone(), resilience::Settings::default())
}

#[tokio::test]
async fn rule_9_a_pause_of_another_process_is_known_at_the_next_turn_and_can_be_lifted_anywhere() {
    let world = world();
    let other = beside(&world);
    other.start().await.unwrap();
    world.engine.pause(renewals(world.now())).await.unwrap();
    other.follow_controls().await.unwrap();
    let kept = other.create(renewal("o-1", 1), None).await.unwrap().0;
    assert_eq!(kept.status(), Status::Paused);
    let third = beside(&world);
    assert!(third.resume(Purpose::Renewal, "wu", "cause found").await.unwrap(), "it looks first");
    other.follow_controls().await.unwrap();
    world.clock.wind(1);
    other.releasable().await.unwrap();
    world.clock.wind(1);
    assert_eq!(other.releasable().await.unwrap(), [kept.id]);
}

#[tokio::test]
async fn a_level_of_another_processes_policy_is_left_alone() {
    let world = world();
    let refused = Answer::Create(Outcome::Unavailable(Fault::new("connect", "refused")));
    world.script.next(vec![refused; 200]);
    for n in 0..200 {
        world.made(wish(&format!("o-{n}"), &[Method::Card], Some("pm_1"))).await;
        world.clock.wind_ms(100);
    }
    world.mind(3).await;
    let set = world.engine.controls().ladder.clone();
    assert!(!set.descents.is_empty(), "cards are out");
    let other = beside(&world);
    for _ in 0..200 {
        other.follow_controls().await.unwrap();
        other.mind_ladder().await.unwrap();
        world.clock.wind_ms(500);
    }
    assert_eq!(other.controls().ladder, set, "it sees nothing wrong, and lifts nothing");
    // A process that takes the first one's place does.
    let heir = beside(&world);
    heir.start().await.unwrap();
    for _ in 0..200 {
        heir.mind_ladder().await.unwrap();
        world.clock.wind_ms(500);
    }
    assert!(heir.controls().ladder.descents.is_empty());
}

/// At night nobody comes who could prove that a channel is back.
#[tokio::test]
async fn a_channel_that_answers_questions_is_offered_again_when_nobody_asks() {
    let world = world();
    let refused = || Answer::Create(Outcome::Unavailable(Fault::new("connect", "refused")));
    world.script.next((0..2_000).map(|_| refused()));
    for n in 0..60 {
        world.made(wish(&format!("o-{n}"), BOTH, None)).await;
        world.clock.wind_ms(200);
    }
    world.mind(3).await;
    let offered = |world: &World| {
        let sight = world.engine.sight();
        sight.methods.iter().any(|m| m.available && BOTH.contains(&m.method))
    };
    assert!(!offered(&world));
    let held = world.made(wish("held", BOTH, None)).await;
    assert_eq!(held.status(), Status::Held);
    let alipay = ChannelId::new("alipay-main").unwrap();
    world.engine.probed(&alipay, false);
    world.mind(70).await;
    world.engine.watch_health();
    assert!(!offered(&world), "it does not answer");
    world.engine.probed(&alipay, true);
    world.engine.watch_health();
    assert!(offered(&world), "it answers, and nobody has asked for a minute");
    for _ in 0..3 {
        world.engine.probed(&alipay, true);
        world.mind(30).await;
    }
    let told = world.told(&held).await;
    let recovered = EventKind::Reminded { why: Reminder::Recovered };
    assert!(told.contains(&recovered), "the customer is told: {told:?}");
}
