//! Whatever happens, in whatever order.

use std::collections::VecDeque;
use std::time::Duration;

use domain::Timestamp;
use proptest::prelude::*;
use resilience::{HealthState, Issuer, Observation, Sent};

use crate::world::World;

const SEEN: [Observation; 5] = [
    Observation::Good,
    Observation::Bad,
    Observation::Refused,
    Observation::Paid,
    Observation::Unpaid,
];

/// Anything that can be told.
#[derive(Clone, Debug)]
enum Event {
    Choose { named: bool },
    Tell { lane: usize, seen: usize, named: bool, sent_ago_ms: i64 },
    Answer { lane: usize, answered: bool, ago_ms: u64 },
    Show { lane: usize },
    Pay { lane: usize, paid: bool, ago_ms: u64 },
    Decline { lane: usize, kind: usize },
    Absence { lane: usize, in_s: u64, for_s: u64 },
    Tick,
    Wait { ms: u64 },
    StepBack { ms: u64 },
}

fn event() -> impl Strategy<Value = Event> {
    let lane = 0_usize..3;
    prop_oneof![
        4 => any::<bool>().prop_map(|named| Event::Choose { named }),
        // Of things sent long ago, or in a future that never came.
        8 => (lane.clone(), 0_usize..5, any::<bool>(), -60_000_i64..600_000)
            .prop_map(|(lane, seen, named, sent_ago_ms)| {
                Event::Tell { lane, seen, named, sent_ago_ms }
            }),
        2 => (lane.clone(), any::<bool>(), 0_u64..40_000)
            .prop_map(|(lane, answered, ago_ms)| Event::Answer { lane, answered, ago_ms }),
        1 => lane.clone().prop_map(|lane| Event::Show { lane }),
        1 => (lane.clone(), any::<bool>(), 0_u64..400_000)
            .prop_map(|(lane, paid, ago_ms)| Event::Pay { lane, paid, ago_ms }),
        1 => (lane.clone(), 0_usize..20).prop_map(|(lane, kind)| Event::Decline { lane, kind }),
        1 => (lane, 0_u64..60, 0_u64..600)
            .prop_map(|(lane, in_s, for_s)| Event::Absence { lane, in_s, for_s }),
        2 => Just(Event::Tick),
        3 => (0_u64..30_000).prop_map(|ms| Event::Wait { ms }),
        1 => (0_u64..3_600_000).prop_map(|ms| Event::StepBack { ms }),
    ]
}

fn apply(world: &mut World, event: Event) -> Result<(), TestCaseError> {
    let now = world.now;
    let bank = |named: bool| named.then(|| Issuer::of("bank"));
    let ago = |ms: u64| Timestamp::from_micros(now.as_micros() - ms as i64 * 1_000);
    match event {
        Event::Choose { named } => {
            let chosen = world.choose(bank(named));
            prop_assert!(chosen.is_some_and(|channel| channel < 3));
        }
        Event::Tell { lane, seen, named, sent_ago_ms } => {
            let at = Timestamp::from_micros(now.as_micros() - sent_ago_ms * 1_000);
            let sent = Sent { lane: world.lanes[lane], issuer: bank(named), at };
            world.board.learn(sent, SEEN[seen], now);
        }
        Event::Answer { lane, answered, ago_ms } => {
            let sent = Sent { lane: world.lanes[lane], issuer: None, at: ago(ago_ms) };
            world.board.answered(sent, answered, now);
        }
        Event::Show { lane } => world.board.shown(world.lanes[lane], now),
        Event::Pay { lane, paid, ago_ms } => {
            world.board.paid(world.lanes[lane], ago(ago_ms), paid, now);
        }
        Event::Decline { lane, kind } => {
            world.board.declined(world.lanes[lane], kind);
        }
        Event::Absence { lane, in_s, for_s } => {
            let from = now + Duration::from_secs(in_s);
            world.board.announce_absence(
                world.lanes[lane],
                from,
                from + Duration::from_secs(for_s),
            );
        }
        Event::Tick => world.board.tick(now),
        Event::Wait { ms } => world.wait_ms(ms),
        Event::StepBack { ms } => world.now = ago(ms),
    }
    Ok(())
}

fn states(world: &World) -> Vec<(&'static str, Timestamp)> {
    world.board.cells().map(|(_, cell)| (cell.state.name(), cell.changed_at)).collect()
}

/// The diagram of the breaker. Down and probing lead to healthy when the cell carried all
/// traffic meanwhile, and to suspect when the fault turned out to be another's; only an
/// announced absence leads from probing or ramping to down without an outcome.
fn is_legal(from: &str, to: &str) -> bool {
    match (from, to) {
        ("healthy", "probing" | "ramping") | ("suspect", "probing" | "ramping") => false,
        ("ramping", "probing") => false,
        ("healthy" | "suspect" | "down" | "probing" | "ramping", _) => true,
        _ => false,
    }
}

/// What holds in every state.
fn check(world: &World) -> Result<(), TestCaseError> {
    let climate = *world.board.climate();
    let cells = world.board.cells().zip(&world.lanes);
    for ((_, cell), lane) in cells {
        prop_assert!(cell.statistic.is_finite() && cell.statistic >= 0.0);
        let (calls, codes) = world.board.silence(*lane);
        prop_assert!(calls.is_finite() && calls >= 0.0 && codes.is_finite() && codes >= 0.0);
        let estimate = cell.estimate(&climate, world.now);
        prop_assert!((0.0..=1.0).contains(&estimate.mean));
        prop_assert!(estimate.variance.is_finite() && estimate.variance >= 0.0);
        prop_assert!(world.board.latency(*lane).ratio().is_finite());
        if let HealthState::Ramping { share, .. } = cell.state {
            prop_assert!([5, 25, 50].contains(&share));
        }
        // What is out of service is out for a reason.
        prop_assert!(!cell.state.is_out() || cell.trouble.is_some());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn states_are_legal_and_probabilities_are_probabilities(
        events in prop::collection::vec(event(), 0..400),
    ) {
        let mut world = World::new(3);
        let mut before = states(&world);
        for event in events {
            apply(&mut world, event)?;
            let after = states(&world);
            for (from, to) in before.iter().zip(&after) {
                prop_assert!(is_legal(from.0, to.0), "{} -> {}", from.0, to.0);
                // A clock that steps back does not take a change back.
                prop_assert!(to.1 >= from.1);
            }
            before = after;
            check(&world)?;
        }
    }

    #[test]
    fn a_ramp_gets_no_more_than_its_share(
        rates in prop::collection::vec(0_usize..20, 1..12),
        extra in 0_usize..50,
    ) {
        let mut world = World::new(2);
        world.drive(3_000, |_, step| !step.is_multiple_of(12));
        world.drive(400 + extra, |channel, _| channel == 1);
        for fail_one_in in rates {
            for _ in 0..20 {
                let before = world.cell(0).state;
                let sent = world.drive(60, |channel, step| {
                    channel == 1 || fail_one_in < 2 || !step.is_multiple_of(fail_one_in)
                });
                let HealthState::Ramping { share, .. } = before else { continue };
                let after = world.cell(0).state;
                if matches!(after, HealthState::Ramping { share: now, .. } if now == share) {
                    // Dice are dice: five standard deviations above the share.
                    let share = f64::from(share) / 100.0;
                    let most = 60.0 * share + 5.0 * (60.0 * share * (1.0 - share)).sqrt() + 1.0;
                    prop_assert!(sent[0] as f64 <= most, "{share}: {sent:?}");
                }
            }
        }
    }

    #[test]
    fn no_lane_gets_more_than_its_headroom_in_any_second(
        rooms in prop::collection::vec(0_u32..40, 3),
        outcomes in prop::collection::vec(any::<bool>(), 50..600),
        gap_ms in 5_u64..60,
    ) {
        let mut world = World::new(3);
        for (lane, room) in world.lanes.clone().iter().zip(&rooms) {
            world.board.set_headroom(*lane, Some(f64::from(*room)), world.now);
        }
        let mut sent: Vec<VecDeque<Timestamp>> = vec![VecDeque::new(); 3];
        for good in outcomes {
            if let Some(channel) = world.choose(None) {
                let second = &mut sent[channel];
                second.push_back(world.now);
                while world.now.since(second[0]).as_millis() >= 1_000 {
                    second.pop_front();
                }
                // A full bucket and what flows into it in the second.
                prop_assert!(second.len() <= 2 * rooms[channel] as usize);
                let seen = if good { Observation::Paid } else { Observation::Unpaid };
                let lane = world.lanes[channel];
                world.board.learn(Sent { lane, issuer: None, at: world.now }, seen, world.now);
            }
            world.wait_ms(gap_ms);
        }
    }
}
