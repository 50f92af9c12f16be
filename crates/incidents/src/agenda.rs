//! When to look at what: on a schedule, and at once on suspicion, at a bounded rate.
//!
//! Pure: time and dice come in. Every wait is jittered by a fifth to either side, so that many
//! processes do not look together.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// When to look next; `None` only on suspicion.
    due: Option<Timestamp>,
    /// When it was begun last.
    begun: Option<Timestamp>,
    under_way: bool,
}

/// What is looked at, and when.
#[derive(Clone, Debug)]
pub struct Agenda<K> {
    every: Option<Duration>,
    gap: Duration,
    slots: BTreeMap<K, Slot>,
}

impl<K: Ord + Clone> Agenda<K> {
    /// An empty one. `every`: the schedule, `None` is on suspicion only; `gap`: the least time
    /// between two looks at the same thing, whoever asks.
    pub fn new(every: Option<Duration>, gap: Duration) -> Agenda<K> {
        Agenda { every, gap, slots: BTreeMap::new() }
    }

    /// Adds something; its first look falls anywhere in the first interval, by `dice` in
    /// `[0, 1)`.
    pub fn add(&mut self, key: K, now: Timestamp, dice: f64) {
        let due = self.every.map(|every| now + every.mul_f64(dice.clamp(0.0, 1.0)));
        self.slots.entry(key).or_insert(Slot { due, begun: None, under_way: false });
    }

    /// Asks for a look as soon as the gap allows. What is not on the agenda is not looked at.
    pub fn ask(&mut self, key: &K, now: Timestamp) {
        let gap = self.gap;
        if let Some(slot) = self.slots.get_mut(key) {
            let soonest = slot.begun.map_or(now, |begun| now.max(begun + gap));
            slot.due = Some(slot.due.map_or(soonest, |due| due.min(soonest)));
        }
    }

    /// Takes up to `limit` things that are due; each is under way until [`Agenda::ended`].
    pub fn take(&mut self, now: Timestamp, limit: usize) -> Vec<K> {
        let is_due = |slot: &Slot| !slot.under_way && slot.due.is_some_and(|due| due <= now);
        let mut due: Vec<(Timestamp, K)> = self
            .slots
            .iter()
            .filter(|(_, slot)| is_due(slot))
            .map(|(key, slot)| (slot.due.unwrap_or(now), key.clone()))
            .collect();
        due.sort();
        due.truncate(limit);
        for (_, key) in &due {
            if let Some(slot) = self.slots.get_mut(key) {
                *slot = Slot { due: None, begun: Some(now), under_way: true };
            }
        }
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// Notes that a look has ended, well or not; `dice` in `[0, 1)` jitters the next one.
    pub fn ended(&mut self, key: &K, now: Timestamp, dice: f64) {
        let next = self.every.map(|every| now + jittered(every, dice));
        if let Some(slot) = self.slots.get_mut(key) {
            slot.under_way = false;
            // Asked for while it was under way: that stands.
            slot.due = match (slot.due, next) {
                (Some(asked), Some(next)) => Some(asked.min(next)),
                (asked, next) => asked.or(next),
            };
        }
    }
}

/// A wait with a fifth more or less.
pub fn jittered(wait: Duration, dice: f64) -> Duration {
    wait.mul_f64(0.8 + 0.4 * dice.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(secs)
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_schedule_is_kept_with_a_fifth_of_jitter() {
        let mut agenda = Agenda::new(Some(secs(30)), secs(5));
        agenda.add("a", at(0), 0.5);
        assert!(agenda.take(at(14), 9).is_empty());
        assert_eq!(agenda.take(at(15), 9), ["a"]);
        assert!(agenda.take(at(500), 9).is_empty(), "it is under way");
        agenda.ended(&"a", at(20), 0.0);
        assert!(agenda.take(at(43), 9).is_empty());
        assert_eq!(agenda.take(at(44), 9), ["a"]);
        agenda.ended(&"a", at(50), 1.0);
        assert!(agenda.take(at(85), 9).is_empty());
        assert_eq!(agenda.take(at(86), 9), ["a"]);
    }

    #[test]
    fn suspicion_is_served_at_once_but_not_faster_than_the_gap() {
        let mut agenda = Agenda::new(None, secs(10));
        agenda.add("a", at(0), 0.5);
        assert!(agenda.take(at(9_999), 9).is_empty(), "no schedule");
        agenda.ask(&"a", at(10_000));
        agenda.ask(&"nobody", at(10_000));
        assert_eq!(agenda.take(at(10_000), 9), ["a"]);
        agenda.ask(&"a", at(10_001));
        assert!(agenda.take(at(10_030), 9).is_empty(), "one at a time");
        agenda.ended(&"a", at(10_002), 0.5);
        assert!(agenda.take(at(10_009), 9).is_empty());
        assert_eq!(agenda.take(at(10_010), 9), ["a"]);
        agenda.ended(&"a", at(10_011), 0.5);
        assert!(agenda.take(at(99_999), 9).is_empty());
    }

    #[test]
    fn a_crowd_is_served_in_turn() {
        let mut agenda = Agenda::new(None, secs(1));
        for key in 0..10 {
            agenda.add(key, at(0), 0.0);
            agenda.ask(&key, at(20 - key));
        }
        assert_eq!(agenda.take(at(30), 3), [9, 8, 7], "who waits longest");
        assert_eq!(agenda.take(at(30), 100).len(), 7);
    }

    proptest! {
        /// Whatever is asked, two looks at one thing are never closer than the gap allows.
        #[test]
        fn the_rate_is_bounded(asks in proptest::collection::vec((0..3_u8, 0..20_u64), 1..200)) {
            let mut agenda = Agenda::new(Some(secs(60)), secs(7));
            agenda.add((), at(0), 0.3);
            let (mut now, mut last) = (0, None);
            for (what, wait) in asks {
                now += wait;
                match what {
                    0 => agenda.ask(&(), at(now)),
                    1 => agenda.ended(&(), at(now), 0.5),
                    _ => {
                        for () in agenda.take(at(now), 1) {
                            if let Some(last) = last {
                                prop_assert!(now - last >= 7, "{last} {now}");
                            }
                            last = Some(now);
                        }
                    }
                }
            }
        }
    }
}
