//! Routing and refunds read the channel's table, and say which line of it stood in the way.

use std::time::Duration;

use domain::*;
use engine::*;
use providers::{Capabilities, Closing, ExpiryLimits};

use crate::world::*;

const ALIPAY: &[Method] = &[Method::Alipay];

/// The world's channels with another table for `alipay-main`.
fn changed(change: impl FnOnce(&mut Capabilities)) -> World {
    let world = world();
    let mut channels = world.engine.options().channels.clone();
    change(&mut channels[0].capabilities);
    world.engine.set_options(Options::new(channels));
    world
}

fn why<'p>(payment: &'p Payment, channel: &str) -> &'p str {
    let excluded = &payment.attempts[0].choice.excluded;
    &excluded.iter().find(|c| c.channel.as_str() == channel).unwrap().why
}

#[tokio::test]
async fn a_channel_whose_limits_a_payment_breaks_is_left_out_with_the_reason() {
    let world = changed(|table| table.amounts[0].least_minor = 101);
    let payment = world.create(ALIPAY).await;
    assert_eq!(world.script.called(), ["create stripe-main"]);
    assert_eq!(why(&payment, "alipay-main"), "takes 1.01 CNY at least");
}

#[tokio::test]
async fn when_no_channel_takes_it_the_refusal_says_what_each_wants() {
    let world = world();
    let wish = NewPayment {
        money: Money::new(1_000_001, Currency::CNY).unwrap(),
        ..wish("o-1", ALIPAY, None)
    };
    let error = world.engine.create(wish, None).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "no channel takes alipay for 10000.01 CNY; alipay-main takes 10000.00 CNY at most; \
         stripe-main takes 10000.00 CNY at most"
    );
}

#[tokio::test]
async fn rule_5_an_order_that_nobody_can_close_is_not_made_when_it_would_outlive_its_payment() {
    let world = changed(|table| table.closing = Closing::LapseOnly);
    let shortest =
        NewPayment { expires_in: Some(Duration::from_secs(60)), ..wish("o-1", ALIPAY, None) };
    let payment = world.engine.create(shortest.clone(), None).await.unwrap().0;
    assert_eq!(payment.attempts[0].channel.as_str(), "alipay-main");
    // The same a second later is a payment with less left than the order needs.
    world.clock.wind(1);
    let again = world.engine.switch(&shop(), payment.id, None).await.unwrap();
    let next = &again.attempts[1];
    assert_eq!(next.channel.as_str(), "stripe-main");
    let out = &next.choice.excluded[0];
    assert_eq!(out.channel.as_str(), "alipay-main");
    assert_eq!(out.why, "its orders live 60 s at least and cannot be closed before");
    assert_eq!(next.expires_at, next.sent_at + Duration::from_secs(60), "and this one is closed");
}

#[tokio::test]
async fn an_order_that_cannot_live_as_long_as_its_payment_ends_sooner_and_says_so() {
    let hour = Duration::from_secs(3_600);
    let world = changed(|table| {
        table.expiry = ExpiryLimits { longest: Some(hour), ..table.expiry };
    });
    let long = NewPayment { expires_in: Some(hour * 3), ..wish("o-1", ALIPAY, None) };
    let payment = world.engine.create(long, None).await.unwrap().0;
    let attempt = &payment.attempts[0];
    assert_eq!(attempt.expires_at, attempt.sent_at + hour);
    assert_eq!(attempt.choice.reason, "preferred; its order ends before the payment, after 3600 s");
}

#[tokio::test]
async fn rule_14_a_refund_beyond_the_channels_window_is_refused_and_nothing_is_sent() {
    let days = Duration::from_secs(30 * 86_400);
    let world = world();
    let mut channels = world.engine.options().channels.clone();
    channels[2].capabilities.refunds.within = Some(days);
    world.engine.set_options(Options::new(channels));
    let wish = wish("o-1", &[Method::Card], Some("pm_1"));
    let payment = world.engine.create(wish, None).await.unwrap().0;
    world.clock.wind(31 * 86_400);
    let error = world.engine.refund(&shop(), payment.id, None, None, None).await.unwrap_err();
    let limit = RefundLimit::Age { days_max: 30, days: 31 };
    let channel = ChannelId::new("stripe-main").unwrap();
    assert_eq!(error, EngineError::RefundRefused(RefundRefused::Beyond { channel, limit }));
    assert_eq!(world.script.called(), ["create stripe-main"]);
}

#[tokio::test]
async fn rule_14_a_second_refund_waits_as_long_as_the_provider_wants_between_two() {
    let world = world();
    let mut channels = world.engine.options().channels.clone();
    channels[2].capabilities.refunds.apart = Duration::from_secs(60);
    world.engine.set_options(Options::new(channels));
    let wish = wish("o-1", &[Method::Card], Some("pm_1"));
    let payment = world.engine.create(wish, None).await.unwrap().0;
    let shop = shop();
    let refund = |minor| {
        let amount = Money::new(minor, Currency::CNY).ok();
        world.engine.refund(&shop, payment.id, amount, None, None)
    };
    refund(10).await.unwrap();
    refund(20).await.unwrap();
    world.clock.wind(59);
    world.work().await;
    assert_eq!(world.script.called(), ["create stripe-main", "refund stripe-main"]);
    world.clock.wind(1);
    world.work().await;
    assert_eq!(world.reload(&payment).await.refunded_minor(1), 30);
}
