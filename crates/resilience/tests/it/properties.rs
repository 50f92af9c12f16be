//! Whatever happens, in whatever order.

use std::collections::VecDeque;

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn states_are_legal_and_probabilities_are_probabilities(
        events in prop::collection::vec((0_usize..3, 0_usize..5, 0_u64..30_000, any::<bool>()), 0..400),
    ) {
        let mut world = World::new(3);
        let issuer = Issuer::of("bank");
        for (channel, seen, wait_ms, named) in events {
            // Outcomes may be of things sent long ago, and clocks may step back.
            world.now = if wait_ms == 0 { Timestamp::from_secs(43_200) } else { world.now };
            let chosen = world.choose(named.then_some(issuer));
            prop_assert!(chosen.is_some_and(|c| c < 3));
            world.tell(channel, named.then_some(issuer), SEEN[seen]);
            world.board.tick(world.now);
            world.wait_ms(wait_ms);
            let climate = *world.board.climate();
            for (_, cell) in world.board.cells() {
                prop_assert!(cell.statistic.is_finite() && cell.statistic >= 0.0);
                let estimate = cell.estimate(&climate, world.now);
                prop_assert!((0.0..=1.0).contains(&estimate.mean));
                prop_assert!(estimate.variance.is_finite() && estimate.variance >= 0.0);
                if let HealthState::Ramping { share, .. } = cell.state {
                    prop_assert!([5, 25, 50].contains(&share));
                }
                prop_assert_eq!(cell.state.is_out(), cell.state.is_out() && cell.trouble.is_some());
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
