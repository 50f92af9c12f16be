//! The health of one cell, and the board of all cells.
//!
//! A cell is a channel and a method. Only technical outcomes count: a decline is a healthy
//! channel doing its work (rule 11). A rejection may be one request's own fault or the
//! account's (an expired key): it takes the cell down only by a run of them, which a working
//! account breaks, and adds nothing to the statistic, which one careless caller could drive.
//!
//! The test is a CUSUM on the log-likelihood ratio of "failing at the rate `q1`" against
//! "failing at the base rate `q0`" (Page 1954; optimal in Lorden's sense, Moustakides 1986):
//! a success adds `ln((1-q1)/(1-q0))`, a failure `ln(q1/q0)`, and the sum is kept at or above
//! zero. A run of failures trips the cell at once besides.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{ChannelId, Class, Method, Timestamp};
use serde::{Deserialize, Serialize};

/// What the test assumes and when it acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Share of technical failures on a good day, in (0, 1).
    pub base_failure_rate: f64,
    /// Share that is a fault worth switching for, in (0, 1) and above the base.
    pub fault_failure_rate: f64,
    /// The cell is down when the statistic reaches this (nats).
    pub threshold: f64,
    /// The cell is suspect from this on (nats).
    pub suspect_threshold: f64,
    /// The cell is down after this many failures in a row.
    pub consecutive_failures: u32,
    /// First wait before a down cell is probed.
    pub hold_off_ms: u64,
    /// Longest wait; the hold-off doubles with each relapse up to this.
    pub hold_off_max_ms: u64,
    /// Successful probes that begin the ramp.
    pub probes_to_ramp: u32,
    /// Successes at each step of the ramp.
    pub successes_per_step: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            base_failure_rate: 0.005,
            fault_failure_rate: 0.30,
            threshold: 11.5,
            suspect_threshold: 4.0,
            consecutive_failures: 3,
            hold_off_ms: 5_000,
            hold_off_max_ms: 1_800_000,
            probes_to_ramp: 3,
            successes_per_step: 10,
        }
    }
}

/// Which cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CellKey {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
}

/// How a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum HealthState {
    /// Takes all traffic.
    Healthy,
    /// Takes all traffic, but something is going on.
    Suspect,
    /// Takes none until `until`.
    Down {
        /// When it may be probed.
        until: Timestamp,
    },
    /// Takes single payments to find out.
    Probing {
        /// Probes that went well so far.
        good: u32,
        /// When the last probe was let through.
        last: Timestamp,
    },
    /// Takes a growing share.
    Ramping {
        /// The share in percent: 5, 25 or 50.
        share: u8,
        /// Successes at this step so far.
        good: u32,
    },
}

impl HealthState {
    /// The name that the API and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            HealthState::Healthy => "healthy",
            HealthState::Suspect => "suspect",
            HealthState::Down { .. } => "down",
            HealthState::Probing { .. } => "probing",
            HealthState::Ramping { .. } => "ramping",
        }
    }
}

/// What a call told about its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The channel did its work, whatever the customer's bank said.
    Good,
    /// A technical failure.
    Bad,
    /// The provider refused the request as wrong: key, certificate, permission or parameter.
    Refused,
}

impl Observation {
    /// What an outcome's class says about health (rule 11).
    pub fn of(class: Class) -> Observation {
        match class {
            Class::Ok | Class::Declined => Observation::Good,
            Class::Unavailable | Class::Unknown => Observation::Bad,
            Class::Rejected => Observation::Refused,
        }
    }
}

/// One cell's health.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// How it is.
    pub state: HealthState,
    /// The CUSUM statistic, in nats, at least 0.
    pub statistic: f64,
    /// Failures in a row.
    pub failures_in_a_row: u32,
    /// When the state last changed.
    pub changed_at: Timestamp,
    /// When it last fell, for the doubling of the hold-off.
    pub fell_at: Option<Timestamp>,
    /// Falls within an hour of each other.
    pub relapses: u32,
    /// Outcomes seen, good and bad.
    pub seen: (u64, u64),
}

impl Cell {
    fn new(now: Timestamp) -> Cell {
        Cell {
            state: HealthState::Healthy,
            statistic: 0.0,
            failures_in_a_row: 0,
            changed_at: now,
            fell_at: None,
            relapses: 0,
            seen: (0, 0),
        }
    }

    /// Takes one outcome in.
    pub fn record(&mut self, seen: Observation, now: Timestamp, settings: &Settings) {
        let (q0, q1) = (settings.base_failure_rate, settings.fault_failure_rate);
        let score = match seen {
            Observation::Good => ((1.0 - q1) / (1.0 - q0)).ln(),
            Observation::Bad => (q1 / q0).ln(),
            Observation::Refused => 0.0,
        };
        self.statistic = (self.statistic + score).max(0.0);
        match seen {
            Observation::Good => {
                self.failures_in_a_row = 0;
                self.seen.0 += 1;
            }
            Observation::Bad | Observation::Refused => {
                self.failures_in_a_row += 1;
                self.seen.1 += 1;
            }
        }
        self.step(seen, now, settings);
    }

    fn step(&mut self, seen: Observation, now: Timestamp, settings: &Settings) {
        use HealthState as H;
        let tripped = self.statistic >= settings.threshold
            || self.failures_in_a_row >= settings.consecutive_failures;
        match (self.state, seen) {
            (H::Healthy | H::Suspect, _) if tripped => self.fall(now, settings),
            (H::Healthy | H::Suspect, _) => {
                let suspect = self.statistic >= settings.suspect_threshold;
                self.enter(if suspect { H::Suspect } else { H::Healthy }, now);
            }
            // Late answers of calls made before it fell.
            (H::Down { .. }, _) => {}
            (H::Probing { .. } | H::Ramping { .. }, Observation::Bad | Observation::Refused) => {
                self.fall(now, settings);
            }
            (H::Probing { good, .. }, Observation::Good) if good + 1 >= settings.probes_to_ramp => {
                self.statistic = 0.0;
                self.enter(H::Ramping { share: 5, good: 0 }, now);
            }
            (H::Probing { good, last }, Observation::Good) => {
                self.state = H::Probing { good: good + 1, last };
            }
            (H::Ramping { share, good }, Observation::Good) => {
                self.state = ramp(share, good + 1, settings);
                if self.state == H::Healthy {
                    self.changed_at = now;
                }
            }
        }
    }

    fn fall(&mut self, now: Timestamp, settings: &Settings) {
        let relapse = self.fell_at.is_some_and(|at| now.since(at) < Duration::from_secs(3600));
        self.relapses = if relapse { self.relapses + 1 } else { 0 };
        let wait = settings
            .hold_off_ms
            .saturating_mul(1 << self.relapses.min(20))
            .min(settings.hold_off_max_ms.max(settings.hold_off_ms));
        self.fell_at = Some(now);
        self.statistic = 0.0;
        self.failures_in_a_row = 0;
        self.enter(HealthState::Down { until: now + Duration::from_millis(wait) }, now);
    }

    fn enter(&mut self, state: HealthState, now: Timestamp) {
        if self.state.name() != state.name() {
            self.changed_at = now;
        }
        self.state = state;
    }

    /// Whether the cell would take a payment now. `dice` is a fresh number in `[0, 1)` that
    /// the ramp's share is drawn with.
    pub fn admits(&self, dice: f64, now: Timestamp) -> bool {
        match self.state {
            HealthState::Healthy | HealthState::Suspect => true,
            HealthState::Down { until } => now >= until,
            HealthState::Probing { last, .. } => now.since(last) >= Duration::from_millis(500),
            HealthState::Ramping { share, .. } => dice * 100.0 < f64::from(share),
        }
    }

    /// Notes that a payment was sent to the cell; the first one after a hold-off is the probe.
    pub fn sent(&mut self, now: Timestamp) {
        match self.state {
            HealthState::Down { until } if now >= until => {
                self.enter(HealthState::Probing { good: 0, last: now }, now);
            }
            HealthState::Probing { good, .. } => {
                self.state = HealthState::Probing { good, last: now };
            }
            _ => {}
        }
    }
}

fn ramp(share: u8, good: u32, settings: &Settings) -> HealthState {
    if good < settings.successes_per_step {
        return HealthState::Ramping { share, good };
    }
    match share {
        ..25 => HealthState::Ramping { share: 25, good: 0 },
        25..50 => HealthState::Ramping { share: 50, good: 0 },
        _ => HealthState::Healthy,
    }
}

/// The health of all cells.
#[derive(Clone, Debug, Default)]
pub struct Board {
    cells: BTreeMap<CellKey, Cell>,
    settings: Settings,
}

impl Board {
    /// An empty board; every cell begins healthy.
    pub fn new(settings: Settings) -> Board {
        Board { cells: BTreeMap::new(), settings }
    }

    /// Takes the outcome of a call in.
    pub fn record(&mut self, key: &CellKey, seen: Observation, now: Timestamp) {
        let settings = &self.settings;
        match self.cells.get_mut(key) {
            Some(cell) => cell.record(seen, now, settings),
            None => {
                let mut cell = Cell::new(now);
                cell.record(seen, now, settings);
                self.cells.insert(key.clone(), cell);
            }
        }
    }

    /// Notes that a payment was sent to a cell.
    pub fn sent(&mut self, key: &CellKey, now: Timestamp) {
        if let Some(cell) = self.cells.get_mut(key) {
            cell.sent(now);
        }
    }

    /// A cell, once something was seen of it.
    pub fn cell(&self, key: &CellKey) -> Option<&Cell> {
        self.cells.get(key)
    }

    /// All cells of which something was seen.
    pub fn cells(&self) -> impl Iterator<Item = (&CellKey, &Cell)> {
        self.cells.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_dead_channel_is_down_within_three_failures() {
        let settings = Settings::default();
        let mut cell = Cell::new(at(0));
        (1..=100).for_each(|i| cell.record(Observation::Good, at(i), &settings));
        (0..3).for_each(|i| cell.record(Observation::Bad, at(200 + i), &settings));
        assert_eq!(cell.state.name(), "down");
        assert!(!cell.admits(0.0, at(300)));
    }

    #[test]
    fn it_comes_back_by_probes_and_a_ramp() {
        let settings = Settings::default();
        let mut cell = Cell::new(at(0));
        (0..3).for_each(|i| cell.record(Observation::Bad, at(i), &settings));
        let later = at(6_000);
        assert!(cell.admits(0.9, later));
        cell.sent(later);
        assert!(!cell.admits(0.9, later), "one probe at a time");
        (0..3).for_each(|i| cell.record(Observation::Good, at(6_100 + i), &settings));
        assert_eq!(cell.state, HealthState::Ramping { share: 5, good: 0 });
        assert!(cell.admits(0.04, later) && !cell.admits(0.06, later));
        (0..30).for_each(|i| cell.record(Observation::Good, at(7_000 + i), &settings));
        assert_eq!(cell.state, HealthState::Healthy);
    }

    #[test]
    fn flapping_doubles_the_hold_off() {
        let settings = Settings::default();
        let mut cell = Cell::new(at(0));
        let mut now = at(10_000_000);
        let mut waits = Vec::new();
        for _ in 0..3 {
            while cell.state.name() != "down" {
                cell.record(Observation::Bad, now, &settings);
            }
            let HealthState::Down { until } = cell.state else { unreachable!() };
            waits.push(until.since(now).as_millis());
            now = until;
            cell.sent(now);
        }
        assert_eq!(waits, [5_000, 10_000, 20_000]);
    }

    #[test]
    fn one_careless_caller_does_not_take_a_channel_down_but_a_dead_key_does() {
        let settings = Settings::default();
        let mut cell = Cell::new(at(0));
        for i in 0..200 {
            let seen = if i % 3 == 0 { Observation::Good } else { Observation::Refused };
            cell.record(seen, at(i), &settings);
        }
        assert_eq!(cell.state, HealthState::Healthy);
        (0..3).for_each(|i| cell.record(Observation::Refused, at(300 + i), &settings));
        assert_eq!(cell.state.name(), "down");
    }

    proptest! {
        #[test]
        fn the_statistic_is_finite_and_states_are_legal(outcomes: Vec<(bool, u16)>) {
            let settings = Settings::default();
            let mut cell = Cell::new(at(0));
            let mut now = at(0);
            for (good, wait) in outcomes {
                now = now + Duration::from_millis(u64::from(wait));
                if cell.admits(0.5, now) {
                    cell.sent(now);
                }
                let seen = if good { Observation::Good } else { Observation::Bad };
                cell.record(seen, now, &settings);
                prop_assert!(cell.statistic.is_finite() && cell.statistic >= 0.0);
                if let HealthState::Ramping { share, .. } = cell.state {
                    prop_assert!([5, 25, 50].contains(&share));
                }
            }
        }
    }
}
