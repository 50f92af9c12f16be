//! Settings that are tried on a share of the payments.

use std::sync::Arc;

use domain::*;
use engine::Options;

use crate::world::{World, channel, wish, world};

async fn made(world: &World, name: &str, share: Share) -> Vec<(bool, String)> {
    let mut made = Vec::new();
    for n in 0..100 {
        let wish = wish(&format!("{name}-{n}"), &[Method::Alipay], None);
        let (payment, _) = world.engine.create(wish, None).await.unwrap();
        made.push((share.takes(payment.id), payment.attempts[0].channel.to_string()));
    }
    made
}

#[tokio::test]
async fn a_payments_way_is_chosen_by_the_settings_of_its_share() {
    let world = world();
    let turned = vec![
        channel("stripe-main", &[(Method::Alipay, Flow::Presented)]),
        channel("alipay-main", &[(Method::Alipay, Flow::Presented)]),
    ];
    let share = Share { percent: 30, salt: 2 };
    world.engine.try_options(Arc::new(Options::new(turned)), share);
    let made = made(&world, "a", share).await;
    let tried = made.iter().filter(|(is_tried, _)| *is_tried).count();
    assert!((10..=60).contains(&tried), "{tried} of 100");
    for (is_tried, channel) in made {
        assert_eq!(channel, if is_tried { "stripe-main" } else { "alipay-main" });
    }
    world.engine.drop_tried();
    let after = self::made(&world, "b", Share::default()).await;
    assert!(after.iter().all(|(_, channel)| channel == "alipay-main"));
}

#[tokio::test]
async fn tried_settings_lose_no_payment_that_those_in_force_take() {
    let world = world();
    let share = Share { percent: 100, salt: 2 };
    let nothing = channel("wechat-main", &[(Method::WechatPay, Flow::Presented)]);
    world.engine.try_options(Arc::new(Options::new(vec![nothing])), share);
    let made = made(&world, "a", share).await;
    assert!(made.iter().all(|(_, channel)| channel == "alipay-main"), "{made:?}");
}
