//! Payments that only try a channel, and absences.

use std::time::Duration;

use domain::*;
use engine::*;
use resilience::Severity;
use store::Filter;

use crate::world::{World, receipt, silence, wish, world};

fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

fn trial(name: &str, method: Method, token: Option<&str>) -> Trial {
    Trial {
        channel: channel(name),
        method,
        money: Money::new(1, Currency::CNY).unwrap(),
        token: token.map(str::to_owned),
        subject: "check".to_owned(),
    }
}

async fn again(world: &World, payment: &Payment) -> Payment {
    world.engine.store().payment(payment.id).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_trial_is_shown_to_nobody_closed_at_once_and_pinned() {
    let world = world();
    let trial = trial("stripe-main", Method::Alipay, None);
    let tried = world.engine.try_channel(&trial).await.unwrap().unwrap();
    assert_eq!(tried.answer, TrialAnswer::Works);
    let payment = tried.payment;
    assert_eq!(payment.status(), Status::Cancelled);
    assert_eq!(payment.attempts[0].choice.reason, "pinned: synthetic");
    assert_eq!(world.script.called(), ["create stripe-main", "close stripe-main"]);
    assert!(payment.is_settled());
}

#[tokio::test]
async fn a_trial_fails_over_to_nobody_and_waits_for_the_one_before() {
    let world = world();
    let trial = trial("alipay-main", Method::Alipay, None);
    let never = Answer::Close(Outcome::Unknown(Fault::new("timeout", "no answer")));
    world.script.next([silence(), never]);
    let tried = world.engine.try_channel(&trial).await.unwrap().unwrap();
    assert_eq!(tried.answer, TrialAnswer::Unanswered);
    let payment = tried.payment;
    assert_eq!(payment.attempts.len(), 1, "nobody else was asked");
    assert!(!payment.is_settled(), "the orphan is not proven closed");
    assert_eq!(world.engine.try_channel(&trial).await.unwrap(), None);
    for _ in 0..10 {
        world.clock.wind(60);
        world.work().await;
    }
    assert!(again(&world, &payment).await.is_settled());
    assert!(world.engine.try_channel(&trial).await.unwrap().is_some());
}

#[tokio::test]
async fn a_trial_that_was_paid_is_refunded_by_itself() {
    let world = world();
    // Faster than the close: a customer whom nobody knows.
    let paid = CloseState::AlreadyPaid(Some(receipt(Money::new(1, Currency::CNY).unwrap())));
    world.script.next([crate::world::shown(), Answer::Close(Outcome::Ok(paid))]);
    let payment =
        world.engine.try_channel(&trial("alipay-main", Method::Alipay, None)).await.unwrap();
    let payment = payment.unwrap().payment;
    assert_eq!(payment.refunds.len(), 1);
    assert_eq!(payment.refunds[0].reason, RefundReason::Synthetic);
    world.work().await;
    assert_eq!(again(&world, &payment).await.status(), Status::Refunded);
}

#[tokio::test]
async fn a_direct_trial_charges_its_test_card_and_gives_it_back() {
    let world = world();
    let trial = trial("stripe-main", Method::Card, Some("pm_test"));
    let payment = world.engine.try_channel(&trial).await.unwrap().unwrap().payment;
    world.work().await;
    assert_eq!(again(&world, &payment).await.status(), Status::Refunded);
    assert_eq!(world.script.called(), ["create stripe-main", "refund stripe-main"]);
}

#[tokio::test]
async fn trials_are_told_apart_and_tell_no_merchant() {
    let world = world();
    world.create(&[Method::Alipay]).await;
    world.engine.try_channel(&trial("alipay-main", Method::Alipay, None)).await.unwrap();
    let store = world.engine.store();
    let only = |synthetic| Filter { synthetic: Some(synthetic), limit: 9, ..Filter::default() };
    assert_eq!(store.list(&only(true)).await.unwrap().len(), 1);
    assert_eq!(store.list(&only(false)).await.unwrap().len(), 1);
    assert_eq!(store.messages(None, 9).await.unwrap(), []);
}

fn away(name: &str, from: Timestamp, until: Timestamp) -> Away {
    Away { channel: channel(name), method: Method::Alipay, issuer: None, from, until }
}

/// One payment a second across the beginning of an absence: whatever reaches the channel while
/// it is away is lost.
#[tokio::test]
async fn a_channel_is_drained_before_it_goes_and_at_most_one_payment_is_lost() {
    let world = world();
    let start = world.engine.now();
    let (from, until) = (start + Duration::from_secs(60), start + Duration::from_secs(120));
    let (mut lost, mut before) = (0, 0);
    for n in 0..110 {
        let now = world.engine.now();
        world.engine.announce(&[away("alipay-main", from, until)]);
        world.engine.watch_health();
        let is_away = now >= from;
        let wish = wish(&format!("o-{n}"), &[Method::Alipay], None);
        let (payment, _) = world.engine.create(wish, None).await.unwrap();
        let here = payment.attempts[0].channel == channel("alipay-main");
        lost += u32::from(here && is_away);
        before += u32::from(here && !is_away);
        world.clock.wind(1);
    }
    assert!(lost <= 1, "{lost}");
    assert!(before >= 50, "{before}: it works until shortly before");
}

#[tokio::test]
async fn what_is_shown_before_an_absence_stays_payable() {
    let world = world();
    let shown = world.create(&[Method::Alipay]).await;
    let now = world.engine.now();
    world.engine.announce(&[away("alipay-main", now, now + Duration::from_secs(600))]);
    world.engine.watch_health();
    assert_eq!(world.reload(&shown).await.status(), Status::RequiresCustomer);
    assert_eq!(world.script.called(), ["create alipay-main"], "nothing was closed");
}

#[tokio::test]
async fn an_absence_that_is_not_announced_any_more_is_over() {
    let world = world();
    let now = world.engine.now();
    world.engine.announce(&[away("alipay-main", now, now + Duration::from_secs(600))]);
    world.engine.watch_health();
    let state = |world: &World| world.engine.channels()[0].methods[0].1.health;
    assert!(state(&world).is_out());
    world.engine.announce(&[]);
    world.engine.watch_health();
    assert_eq!(state(&world), resilience::HealthState::Down { until: now });
}

#[tokio::test]
async fn a_providers_word_alone_takes_no_traffic_away() {
    let world = world();
    for n in 0..40 {
        world.engine.hint(&channel("alipay-main"), Method::Alipay, Severity::Major);
        let wish = wish(&format!("o-{n}"), &[Method::Alipay], None);
        let (payment, _) = world.engine.create(wish, None).await.unwrap();
        assert_eq!(payment.attempts[0].channel, channel("alipay-main"));
        world.clock.wind(1);
        world.engine.watch_health();
    }
}

#[tokio::test]
async fn planned_absences_are_controls_with_a_line_in_the_audit_log() {
    let world = world();
    let now = world.engine.now();
    let plan = |name: &str| Maintenance {
        id: "mnt_1".to_owned(),
        scope: Scope { channel: Some(channel(name)), ..Scope::default() },
        when: When::Once { from: now, until: now + Duration::from_secs(60) },
        by: "li".to_owned(),
        reason: "announced".to_owned(),
        since: now,
    };
    let unknown = world.engine.plan_absence(plan("nobody")).await;
    assert_eq!(unknown.unwrap_err(), EngineError::NoSuchChannel);
    world.engine.plan_absence(plan("alipay-main")).await.unwrap();
    assert_eq!(world.engine.controls().maintenance.len(), 1);
    let kept = world.engine.store().controls().await.unwrap();
    assert_eq!(kept.maintenance, world.engine.controls().maintenance);
    world.engine.drop_absence("mnt_1", "li", "called off").await.unwrap();
    let gone = world.engine.drop_absence("mnt_1", "li", "called off").await;
    assert_eq!(gone.unwrap_err(), EngineError::NoSuchMaintenance);
    let lines = world.engine.store().audit(9).await.unwrap();
    let actions: Vec<&str> = lines.iter().map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["drop maintenance mnt_1", "plan maintenance mnt_1 of alipay-main"]);
}
