//! What charts show, and the news that there is something to look at again.

use std::time::Duration;

use domain::*;
use engine::{ChannelSeries, Trial};
use resilience::Point;

use crate::world::{silence, world};

const MINUTE: Duration = Duration::from_secs(60);

fn of(series: &[ChannelSeries], name: &str) -> Point {
    let channel = series.iter().find(|s| s.channel.as_str() == name).unwrap();
    let calls = |p: &&Point| p.ok + p.declined + p.failed + p.unknown > 0;
    *channel.points.iter().rev().find(calls).unwrap_or(&channel.points[0])
}

#[tokio::test]
async fn calls_are_charted_by_channel_and_tell_that_there_is_news() {
    let world = world();
    let mut news = world.engine.news();
    assert!(!news.has_changed().unwrap());
    world.script.next([silence()]);
    let payment = world.create(&[Method::Alipay]).await;
    assert!(payment.presented().is_some(), "another channel took it");
    assert!(news.has_changed().unwrap());
    news.mark_unchanged();
    let series = world.engine.series(MINUTE);
    assert_eq!(series.len(), world.engine.options().channels.len());
    assert_eq!(series[0].points.len(), 12, "steps of five seconds");
    let (first, second) = (&payment.attempts[0].channel, &payment.attempts[1].channel);
    assert_eq!(of(&series, first.as_str()).unknown, 1);
    assert_eq!(of(&series, second.as_str()).ok, 1);
    let controls = world.engine.disable(Override {
        channel: first.clone(),
        method: None,
        by: "li".into(),
        reason: "fault".into(),
        since: world.engine.now(),
        until: None,
    });
    controls.await.unwrap();
    assert!(news.has_changed().unwrap(), "controls are news");
}

#[tokio::test]
async fn synthetic_payments_are_on_no_chart() {
    let world = world();
    let trial = Trial {
        channel: ChannelId::new("stripe-main").unwrap(),
        method: Method::Alipay,
        money: Money::new(1, Currency::CNY).unwrap(),
        token: None,
        subject: "check".to_owned(),
    };
    world.engine.try_channel(&trial).await.unwrap().unwrap();
    let series = world.engine.series(MINUTE);
    let point = of(&series, "stripe-main");
    assert_eq!((point.ok, point.p50_ms), (0, None), "rule 11");
}
