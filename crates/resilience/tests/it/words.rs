//! What others say about a channel: a provider's page, a probe, a calendar.

use std::time::Duration;

use resilience::{Cause, HealthState, Issuer, Observation, Severity};

use crate::world::World;

fn usual(_: usize, step: usize) -> bool {
    !step.is_multiple_of(12)
}

#[test]
fn a_word_alone_never_takes_a_channel_down_and_its_own_successes_refute_it() {
    let mut world = World::new(2);
    world.drive(3_000, usual);
    for _ in 0..1_000 {
        world.board.hint(world.lanes[0], Severity::Major, world.now);
        assert_eq!(world.cell(0).state, HealthState::Suspect);
        world.tell(0, None, Observation::Good);
    }
    assert!(!world.cell(0).state.is_out());
    (0..40).for_each(|_| world.tell(0, None, Observation::Good));
    assert_eq!(world.cell(0).state, HealthState::Healthy);
}

#[test]
fn after_a_word_fewer_failures_are_needed() {
    let needed = |severity: Option<Severity>| {
        let mut world = World::new(1);
        (0..2_000).for_each(|_| world.tell(0, None, Observation::Good));
        if let Some(severity) = severity {
            world.board.hint(world.lanes[0], severity, world.now);
        }
        (1..).find(|_| {
            world.tell(0, None, Observation::Bad);
            world.cell(0).state.is_out()
        })
    };
    let (none, minor, major) =
        (needed(None), needed(Some(Severity::Minor)), needed(Some(Severity::Major)));
    assert!(major < none && minor <= none && major >= Some(2), "{major:?} {minor:?} {none:?}");
}

#[test]
fn a_channel_that_proves_itself_comes_back_before_its_absence_ends() {
    let mut world = World::new(2);
    world.drive(3_000, usual);
    let (from, until) = (world.now, world.now + Duration::from_secs(3_600));
    let lane = world.lanes[0];
    world.board.announce_absence(lane, from, until);
    world.board.tick(world.now);
    assert_eq!(world.cell(0).trouble.unwrap().cause, Cause::Maintenance);
    for _ in 0..200 {
        // Synthetic payments, and the calendar repeats itself.
        world.wait_ms(1_000);
        world.board.announce_absence(lane, from, until);
        world.board.tick(world.now);
        world.tell(0, None, Observation::Good);
    }
    assert!(!world.cell(0).state.is_out(), "{:?}", world.cell(0).state);
}

#[test]
fn an_absence_that_is_called_off_ends_at_once() {
    let mut world = World::new(2);
    world.drive(3_000, usual);
    let lane = world.lanes[0];
    world.board.announce_absence(lane, world.now, world.now + Duration::from_secs(3_600));
    world.board.tick(world.now);
    world.board.recall_absence(lane, world.now);
    assert_eq!(world.cell(0).state, HealthState::Down { until: world.now });
    // Nothing is undone that another cause did.
    (0..10).for_each(|_| world.tell(1, None, Observation::Bad));
    let before = world.cell(1).state;
    world.board.recall_absence(world.lanes[1], world.now);
    assert_eq!(world.cell(1).state, before);
}

#[test]
fn an_absent_bank_moves_its_own_customers_only() {
    let mut world = World::new(2);
    world.drive(3_000, usual);
    let (away, other) = (Issuer::of("away"), Issuer::of("other"));
    let (from, until) = (world.now, world.now + Duration::from_secs(600));
    world.board.announce_issuer_absences([(world.lanes[0], away, from, until)]);
    let mut went = [[0; 2]; 2];
    for step in 0..400 {
        for (who, issuer) in [away, other].into_iter().enumerate() {
            let channel = world.choose(Some(issuer)).unwrap();
            went[who][channel] += 1;
            let seen = if usual(0, step) { Observation::Paid } else { Observation::Unpaid };
            world.tell(channel, Some(issuer), seen);
        }
    }
    assert_eq!(went[0][0], 0, "{went:?}");
    assert!(went[1][0] > 350, "{went:?}");
    world.board.announce_issuer_absences([]);
    let back = (0..100).filter(|_| world.choose(Some(away)) == Some(0)).count();
    assert!(back > 80, "{back}");
}

#[test]
fn a_bank_that_is_absent_everywhere_is_served_as_ever() {
    let mut world = World::new(2);
    world.drive(3_000, usual);
    let away = Issuer::of("away");
    let (from, until) = (world.now, world.now + Duration::from_secs(600));
    let everywhere: Vec<_> = world.lanes.iter().map(|lane| (*lane, away, from, until)).collect();
    world.board.announce_issuer_absences(everywhere);
    let first = (0..100).filter(|_| world.choose(Some(away)) == Some(0)).count();
    assert!(first > 80, "{first}: nothing else is better, so nothing is switched");
}
