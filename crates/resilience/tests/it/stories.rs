//! What happens to channels, told from the outside.

use std::time::Duration;

use domain::{Class, Timestamp};
use resilience::{Cause, HealthState, Issuer, Observation, Request, Sent, Why};

use crate::world::World;

/// Eleven of twelve are paid, evenly.
fn usual(_: usize, step: usize) -> bool {
    !step.is_multiple_of(12)
}

#[test]
fn three_technical_failures_take_a_fresh_cell_down_and_declines_never_do() {
    let mut world = World::new(1);
    (0..1_000).for_each(|_| world.tell(0, None, Observation::of(Class::Declined)));
    assert_eq!(world.cell(0).state, HealthState::Healthy);
    (0..3).for_each(|_| world.tell(0, None, Observation::Bad));
    assert!(world.cell(0).state.is_out());
    assert_eq!(world.cell(0).trouble.unwrap().cause, Cause::Technical);
}

#[test]
fn one_careless_caller_does_not_take_a_channel_down_but_a_dead_key_does() {
    let mut world = World::new(1);
    for i in 0..200 {
        let seen = if i % 3 == 0 { Observation::Good } else { Observation::Refused };
        world.tell(0, None, seen);
    }
    assert_eq!(world.cell(0).state, HealthState::Healthy);
    (0..6).for_each(|_| world.tell(0, None, Observation::Refused));
    assert!(world.cell(0).state.is_out());
}

#[test]
fn a_dead_channel_is_left_probed_and_taken_back_by_steps() {
    let mut world = World::new(2);
    world.drive(5_000, usual);
    let sent = world.drive(3_000, |channel, step| channel == 1 && usual(channel, step));
    assert!(sent[0] < 40, "{sent:?}");
    let mut shares = Vec::new();
    for _ in 0..200 {
        world.drive(50, usual);
        if let HealthState::Ramping { share, .. } = world.cell(0).state
            && shares.last() != Some(&share)
        {
            shares.push(share);
        }
    }
    assert_eq!(shares, [5, 25, 50]);
    assert_eq!(world.cell(0).state, HealthState::Healthy);
    let sent = world.drive(1_000, usual);
    assert!(sent[0] > 800, "{sent:?}");
}

#[test]
fn flapping_is_met_with_growing_patience() {
    let mut world = World::new(2);
    world.drive(5_000, usual);
    let mut lost = Vec::new();
    for _ in 0..6 {
        let sent = world.drive(1_500, |channel, step| channel == 1 && usual(channel, step));
        lost.push(sent[0]);
        world.drive(1_500, usual);
    }
    assert!(lost[3..].iter().sum::<usize>() < 60, "{lost:?}");
}

#[test]
fn when_everything_fails_the_merchants_order_holds() {
    let mut world = World::new(3);
    world.drive(5_000, usual);
    world.drive(1_000, |_, _| false);
    let sent = world.drive(1_000, |_, _| false);
    assert!(sent[0] > 950, "{sent:?}");
    world.drive(500, usual);
    assert_eq!(world.cell(0).state.name(), "healthy");
}

#[test]
fn the_rest_of_a_good_channel_is_preferred_to_a_worse_one() {
    let mut world = World::new(2);
    // The second is known, and bad.
    (0..400).for_each(|i| {
        let seen = if i % 10 < 3 { Observation::Paid } else { Observation::Unpaid };
        world.tell(1, None, seen);
    });
    world.drive(5_000, |channel, step| channel == 0 && usual(channel, step));
    let rest = |channel, step: usize| {
        if channel == 0 { !step.is_multiple_of(3) } else { step.is_multiple_of(4) }
    };
    world.drive(500, rest);
    let sent = world.drive(1_000, rest);
    assert!(world.cell(0).trouble.is_some());
    assert!(sent[0] > 800, "{sent:?}");
}

#[test]
fn an_issuer_that_fails_on_one_channel_goes_around_it_alone() {
    let mut world = World::new(2);
    let (bad, good) = (Issuer::of("bad"), Issuer::of("good"));
    let mut after = [0, 0];
    for step in 0..6_000 {
        let issuer = if step % 4 == 0 { bad } else { good };
        let channel = world.choose(Some(issuer)).unwrap();
        let faulty = step > 3_000 && channel == 0 && issuer == bad;
        let seen = if faulty || step % 13 == 0 { Observation::Unpaid } else { Observation::Paid };
        world.tell(channel, Some(issuer), seen);
        if step > 4_000 {
            after[usize::from(issuer == bad)] += usize::from(channel == 1);
        }
    }
    assert_eq!(world.cell(0).state.name(), "healthy");
    assert!(after[0] < 60 && after[1] > 480, "{after:?}");
}

#[test]
fn an_issuer_that_fails_everywhere_moves_nothing() {
    let mut world = World::new(2);
    let (bad, good) = (Issuer::of("bad"), Issuer::of("good"));
    let mut moved = 0;
    for step in 0..6_000 {
        let issuer = if step % 4 == 0 { bad } else { good };
        let channel = world.choose(Some(issuer)).unwrap();
        let faulty = step > 3_000 && issuer == bad;
        let seen = if faulty || step % 13 == 0 { Observation::Unpaid } else { Observation::Paid };
        world.tell(channel, Some(issuer), seen);
        moved += usize::from(step > 4_000 && channel == 1);
    }
    assert_eq!(world.cell(0).state.name(), "healthy");
    assert!(world.board.issuer_sick_until(bad).is_some());
    assert!(moved < 60, "{moved}");
}

#[test]
fn an_announced_absence_is_drained_before_and_probed_at_its_end() {
    let mut world = World::new(2);
    world.drive(2_000, usual);
    let from = world.now + Duration::from_secs(20);
    let until = from + Duration::from_secs(60);
    world.board.announce_absence(world.lanes[0], from, until);
    let mut during = 0;
    while world.now < until {
        let now = world.now;
        world.board.tick(now);
        let sent = world.drive(1, |channel, _| channel == 1 || now < from);
        during += if now >= from { sent[0] } else { 0 };
    }
    assert_eq!(during, 0);
    assert_eq!(world.cell(0).trouble.unwrap().cause, Cause::Maintenance);
    for _ in 0..4_000 {
        let now = world.now;
        world.board.tick(now);
        world.drive(1, |_, _| true);
    }
    assert_eq!(world.cell(0).state.name(), "healthy");
}

#[test]
fn calls_that_are_not_answered_take_a_cell_down_before_any_time_out() {
    let mut world = World::new(1);
    let key = crate::world::key(0);
    let mut open = Vec::new();
    for step in 0..1_500 {
        let sent = world.board.called(&key, world.now);
        open.push(sent);
        if step >= 1_000 {
            world.board.tick(world.now);
        } else if open.len() > 20 {
            let first = open.remove(0);
            world.board.answered(first, true, world.now);
        }
        if world.cell(0).state.is_out() {
            assert!((1_001..1_060).contains(&step), "{step}");
            assert_eq!(world.cell(0).trouble.unwrap().cause, Cause::Hang);
            return;
        }
        world.wait_ms(20);
    }
    panic!("the hang was not seen");
}

#[test]
fn codes_that_nobody_pays_are_noticed() {
    let mut world = World::new(1);
    let lane = world.lanes[0];
    let mut shown: Vec<Timestamp> = Vec::new();
    for step in 0..2_000_usize {
        world.board.shown(lane, world.now);
        shown.push(world.now);
        if shown.len() > 30 && step < 1_000 {
            // Two of three are paid after half a minute.
            world.board.paid(lane, shown.remove(0), !step.is_multiple_of(3), world.now);
        }
        if step >= 100 {
            world.board.tick(world.now);
        }
        if world.cell(0).state.is_out() {
            assert!((1_000..1_200).contains(&step), "{step}");
            assert_eq!(world.cell(0).trouble.unwrap().cause, Cause::Conversion);
            return;
        }
        world.wait_ms(1_000);
    }
    panic!("the silent failure was not seen");
}

/// Both lanes known as well as each other, one asked with what it would cost.
fn priced(seconds: [f64; 2], fees: [Option<i64>; 2], worse: bool) -> resilience::Decision {
    let mut world = World::new(2);
    for step in 0..4_000_usize {
        for (channel, took) in seconds.into_iter().enumerate() {
            let sent = Sent { lane: world.lanes[channel], issuer: None, at: world.now };
            world.board.sent_lane(sent, 0.5);
            let answered = world.now + Duration::from_secs_f64(took);
            world.board.answered(sent, true, answered);
            let paid = !step.is_multiple_of(if worse && channel == 1 { 8 } else { 12 });
            let seen = if paid { Observation::Paid } else { Observation::Unpaid };
            world.board.learn(sent, seen, answered);
        }
        world.wait_ms(2_000);
    }
    let lanes = world.lanes.clone();
    let request = Request {
        candidates: &lanes,
        fees: &fees,
        issuer: None,
        spare: true,
        dice: 0.9,
        now: world.now,
    };
    world.board.choose(&request).unwrap()
}

#[test]
fn among_equals_the_cheaper_wins_and_at_one_price_the_faster() {
    let even = [1.0, 1.0];
    let chosen = priced(even, [Some(60), Some(38)], false);
    assert_eq!((chosen.index, chosen.why), (1, Why::Cheaper));
    // No price is known, which is not the same as free.
    assert_eq!(priced(even, [Some(60), None], false).index, 0);
    assert_eq!(priced(even, [Some(60), Some(60)], false).index, 0);
    let chosen = priced([1.0, 0.4], [Some(60), Some(60)], false);
    assert_eq!((chosen.index, chosen.why), (1, Why::Faster));
    assert_eq!(priced([1.0, 0.4], [Some(60), Some(61)], false).index, 0);
}

#[test]
fn success_comes_before_price() {
    assert_eq!(priced([1.0, 0.1], [Some(60), Some(0)], true).index, 0);
}
