//! Changes that are tried: how soon a bad one goes back, and how seldom a good one.

use std::time::Duration;

use domain::{ChannelId, Class, Tally, Timestamp};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use resilience::{
    Judgement, Rollout, RolloutSettings, RolloutStep, RolloutWaits as Waits, Seen, judge_rollout,
};

const NOW: Timestamp = Timestamp::from_secs(1_900_000_000);

fn tally(ok: u64, rescued: u64, unknown: u64) -> Tally {
    Tally { ok, unknown, rescued, rejected: rescued, ..Tally::default() }
}

fn verdict(candidate: Tally, current: Tally, elapsed_s: u64, probed: bool) -> Judgement {
    let settings = RolloutSettings::default();
    let calls = candidate.technical();
    let elapsed = Duration::from_secs(elapsed_s);
    judge_rollout(&candidate, &current, calls, elapsed, probed, &settings)
}

fn goes_back(judgement: &Judgement) -> bool {
    matches!(judgement, Judgement::RollBack(_))
}

#[test]
fn a_key_that_is_refused_goes_back_at_the_third_call() {
    let busy = tally(200, 0, 0);
    assert!(!goes_back(&verdict(tally(0, 2, 0), busy, 1, true)));
    assert!(goes_back(&verdict(tally(0, 3, 0), busy, 1, true)));
    // With nothing to compare with, as when everything is changed at once: one call later.
    assert!(goes_back(&verdict(tally(0, 4, 0), Tally::default(), 1, true)));
    // Silence counts as well.
    assert!(goes_back(&verdict(tally(0, 0, 3), busy, 1, true)));
    // A share that fails is found as well.
    assert!(goes_back(&verdict(tally(60, 20, 0), busy, 1, true)));
}

#[test]
fn what_both_cannot_do_and_what_customers_refuse_say_nothing() {
    let both = Tally { rejected: 40, unavailable: 60, declined: 500, ..Tally::default() };
    assert!(!goes_back(&verdict(both, tally(0, 0, 0), 1, true)));
    // The provider hangs for everyone.
    assert!(!goes_back(&verdict(tally(10, 0, 30), tally(25, 0, 75), 1, true)));
}

#[test]
fn a_stage_needs_its_time_and_enough_calls() {
    let quiet = Tally::default();
    for (candidate, elapsed_s, probed, wanted) in [
        (tally(500, 0, 0), 59, true, Judgement::GoOn(Waits::Time)),
        (tally(19, 0, 0), 60, true, Judgement::GoOn(Waits::Calls)),
        (tally(20, 0, 0), 60, true, Judgement::NextStage),
        (quiet, 599, true, Judgement::GoOn(Waits::Calls)),
        (quiet, 600, true, Judgement::NextStage),
        (quiet, 600_000, false, Judgement::GoOn(Waits::Calls)),
        (tally(1, 0, 0), 600, false, Judgement::NextStage),
        (tally(20, 2, 0), 60, true, Judgement::NextStage),
        (tally(3, 2, 0), 6_000, true, Judgement::GoOn(Waits::Doubt)),
    ] {
        let got = verdict(candidate, tally(100, 0, 0), elapsed_s, probed);
        assert_eq!(got, wanted, "{candidate:?} after {elapsed_s} s, probed {probed}");
    }
}

/// 10,000 changes that are as good as what runs (2 % of the calls fail, the rate that is
/// tolerated), each looked at after every one of 1,000 calls.
#[test]
fn a_good_change_goes_back_less_than_once_in_a_thousand() {
    let mut dice = ChaCha8Rng::seed_from_u64(20_261_124);
    let current = tally(4_900, 0, 100);
    let back = (0..10_000).filter(|_| goes_wrong(&mut dice, 0.02, current)).count();
    assert!(back <= 10, "{back} of 10000");
    assert!(back > 0, "so strict a test would see nothing: {back}");
}

/// With nothing known of what runs, and few failures, as on most days.
#[test]
fn an_unknown_past_makes_no_false_alarm() {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let back = (0..2_000).filter(|_| goes_wrong(&mut dice, 0.01, Tally::default())).count();
    assert!(back <= 2, "{back} of 2000");
}

fn goes_wrong(dice: &mut ChaCha8Rng, rate: f64, current: Tally) -> bool {
    let mut candidate = Tally::default();
    (0..1_000).any(|_| {
        if dice.random_bool(rate) {
            candidate.count(Class::Rejected);
            candidate.rescued += 1;
        } else {
            candidate.count(Class::Ok);
        }
        goes_back(&verdict(candidate, current, 0, true))
    })
}

fn seen(candidate: Tally) -> Vec<Seen> {
    let channel = ChannelId::new("alipay-main").unwrap();
    vec![Seen { channel, candidate, current: tally(100, 0, 0) }]
}

#[test]
fn the_stages_follow_one_another_and_each_counts_its_own_calls() {
    let mut rollout = Rollout::new(RolloutSettings::default(), true, NOW);
    let at = |s: u64| NOW + Duration::from_secs(s);
    assert_eq!(rollout.percent(), 10);
    assert_eq!(rollout.step(&seen(tally(30, 0, 0)), at(59)), RolloutStep::Stay(Waits::Time));
    assert_eq!(rollout.step(&seen(tally(30, 0, 0)), at(60)), RolloutStep::Widen(50));
    assert_eq!(rollout.step(&seen(tally(45, 0, 0)), at(121)), RolloutStep::Stay(Waits::Calls));
    assert_eq!(rollout.step(&seen(tally(50, 0, 0)), at(122)), RolloutStep::Widen(100));
    assert_eq!(rollout.step(&seen(tally(99, 0, 0)), at(182)), RolloutStep::Finish);
    let back = rollout.step(&seen(tally(99, 40, 0)), at(183));
    assert!(matches!(back, RolloutStep::RollBack(..)), "the last watch goes back too: {back:?}");
}

proptest! {
    /// More failures never turn a return into a stay, more successes never the other way.
    #[test]
    fn the_verdict_is_monotone(ok in 0_u64..500, bad in 0_u64..50, more in 1_u64..20) {
        let current = tally(100, 0, 0);
        let before = goes_back(&verdict(tally(ok, bad, 0), current, 1, true));
        if before {
            prop_assert!(goes_back(&verdict(tally(ok, bad + more, 0), current, 1, true)));
        } else {
            prop_assert!(!goes_back(&verdict(tally(ok + more, bad, 0), current, 1, true)));
        }
    }

    /// However long it stays quiet, nothing is let through without any evidence.
    #[test]
    fn no_evidence_lets_nothing_through(hours in 0_u64..1_000) {
        let mut rollout = Rollout::new(RolloutSettings::default(), false, NOW);
        let later = NOW + Duration::from_secs(hours * 3_600);
        let step = rollout.step(&seen(Tally::default()), later);
        prop_assert!(matches!(step, RolloutStep::Stay(_)), "{:?}", step);
    }
}
