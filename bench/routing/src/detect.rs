//! How late and how often falsely the detector alarms, against the exact bound.

use domain::{ChannelId, Method, Timestamp};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use resilience::{Board, CellKey, Lane, Observation, Sent, Settings};
use serde::Serialize;

use crate::exact;
use crate::ours::Ours;
use crate::par;
use crate::run::run;
use crate::stats::Mean;
use crate::world::{self, CHANNELS};

/// One lane under test.
struct One {
    board: Board,
    key: CellKey,
    lane: Lane,
    now: Timestamp,
    results: bool,
}

impl Clone for One {
    fn clone(&self) -> One {
        One { board: self.board.clone(), key: self.key.clone(), ..*self }
    }
}

impl One {
    fn new(settings: Settings, results: bool) -> Option<One> {
        let now = Timestamp::from_secs(43_200);
        let key = CellKey { channel: ChannelId::new("one").ok()?, method: Method::Card };
        let mut board = Board::new(settings);
        let lane = board.lane(&key, now);
        Some(One { board, key, lane, now, results })
    }

    /// Takes an outcome in; true when the cell alarms on it. `mild` counts a mild alarm too.
    fn feed(&mut self, good: bool, mild: bool) -> bool {
        self.now = Timestamp::from_micros(self.now.as_micros() + 20_000);
        let seen = match (self.results, good) {
            (true, true) => Observation::Paid,
            (true, false) => Observation::Unpaid,
            (false, true) => Observation::Good,
            (false, false) => Observation::Bad,
        };
        let sent = Sent { lane: self.lane, issuer: None, at: self.now };
        self.board.learn(sent, seen, self.now);
        let cell = self.board.cell(&self.key);
        // Going over to the view that rates drift re-ranks as a mild alarm does.
        let drifts = self.board.climate().drifting();
        cell.is_some_and(|c| c.state.is_out() || (mild && (c.trouble.is_some() || drifts)))
    }

    /// A board that has learned its base; a false alarm on the way starts it anew.
    fn warmed(settings: &Settings, results: bool, rate: f64, dice: &mut ChaCha8Rng) -> Option<One> {
        loop {
            let mut one = One::new(settings.clone(), results)?;
            if (0..20_000).all(|_| !one.feed(dice.random::<f64>() < rate, true)) {
                return Some(one);
            }
        }
    }
}

/// A row of the delay table.
#[derive(Clone, Debug, Serialize)]
pub struct Delay {
    /// Which stream: results of payments or technical outcomes.
    pub stream: &'static str,
    /// Rate before and after.
    pub rates: (f64, f64),
    /// Outcomes until the alarm.
    pub outcomes: Mean,
    /// The exact bound at one false alarm in 10^6.
    pub bound: f64,
    /// Ours over the bound.
    pub ratio: f64,
}

/// Settings whose false alarms are as rare as the bound's.
fn at_the_bound() -> Settings {
    Settings { false_alarm_outcomes: 1e6, ..Settings::default() }
}

/// Delays at several depths of a fall, the base learned.
pub fn delays(runs: usize, seed: u64) -> Vec<Delay> {
    let falls = [0.0, 0.3, 0.6, 0.8].map(|p1| ("results", true, 0.92, p1));
    let technical = [0.0, 0.7, 0.9, 0.97].map(|p1| ("technical", false, 0.995, p1));
    let rows = falls.into_iter().chain(technical);
    let rows: Vec<_> = rows.collect();
    let rows = par::map("delays", &rows, |(stream, results, p0, p1)| {
        let (results, p0, p1) = (*results, *p0, *p1);
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut values = Vec::with_capacity(runs);
        let mut warm = One::warmed(&at_the_bound(), results, p0, &mut dice)?;
        for run in 0..runs {
            if run % 100 == 99 {
                warm = One::warmed(&at_the_bound(), results, p0, &mut dice)?;
            }
            // The sum is wherever healthy traffic has left it.
            let mut one = warm.clone();
            let idle = 200 + run % 64;
            if (0..idle).any(|_| one.feed(dice.random::<f64>() < p0, true)) {
                continue;
            }
            let delay = (1..20_000).find(|_| one.feed(dice.random::<f64>() < p1, true));
            values.push(delay.unwrap_or(20_000) as f64);
        }
        let outcomes = Mean::of(&values);
        let bound = exact::bound(p0, p1, 1e6);
        Some(Delay { stream, rates: (p0, p1), outcomes, bound, ratio: outcomes.mean / bound })
    });
    rows.into_iter().flatten().collect()
}

/// False alarms of one lane in healthy traffic.
#[derive(Clone, Debug, Serialize)]
pub struct FalseAlarms {
    /// Base rate.
    pub rate: f64,
    /// Outcomes fed.
    pub outcomes: usize,
    /// Cells taken out, per million outcomes, with the default settings.
    pub trips_per_million: f64,
    /// Mild alarms, which only re-rank, per million outcomes.
    pub mild_per_million: f64,
}

/// Counts false alarms with the default settings.
pub fn false_alarms(rate: f64, outcomes: usize, seed: u64) -> Option<FalseAlarms> {
    let settings = Settings::default();
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let warm = One::warmed(&settings, true, rate, &mut dice)?;
    let mut one = warm.clone();
    let (mut trips, mut mild) = (0_u32, 0_u32);
    for _ in 0..outcomes {
        if one.feed(dice.random::<f64>() < rate, true) {
            let out = one.board.cell(&one.key).is_some_and(|c| c.state.is_out());
            trips += u32::from(out);
            mild += u32::from(!out);
            one = warm.clone();
        }
    }
    let million = outcomes as f64 / 1e6;
    Some(FalseAlarms {
        rate,
        outcomes,
        trips_per_million: f64::from(trips) / million,
        mild_per_million: f64::from(mild) / million,
    })
}

/// The same at several base rates.
pub fn all_false_alarms(outcomes: usize, seed: u64) -> Vec<FalseAlarms> {
    let rates = [0.70, 0.80, 0.92, 0.97];
    let rows = par::map("false alarms", &rates, |rate| false_alarms(*rate, outcomes, seed));
    rows.into_iter().flatten().collect()
}

/// Leader switches of a healthy day at a base rate.
#[derive(Clone, Debug, Serialize)]
pub struct Day {
    /// Rate of the first channel; the others are 1, 2 and 4 points behind.
    pub rate: f64,
    /// Switches a day.
    pub switches: Mean,
    /// Payments lost against always the first.
    pub regret: Mean,
}

/// Healthy days at several base rates, `runs` times each.
pub fn days(runs: u64, seed: u64) -> Vec<Day> {
    let rates = [0.70, 0.80, 0.92, 0.97];
    let jobs: Vec<(f64, u64)> =
        rates.into_iter().flat_map(|rate| (0..runs).map(move |run| (rate, seed + run))).collect();
    let figures = par::map("days", &jobs, |(rate, seed)| day(*rate, *seed));
    let days = rates.into_iter().zip(figures.chunks(runs.max(1) as usize));
    days.map(|(rate, runs)| {
        let of = |pick: fn(&crate::run::Figures) -> f64| {
            Mean::of(&runs.iter().map(pick).collect::<Vec<_>>())
        };
        Day { rate, switches: of(|f| f.switches), regret: of(|f| f.regret) }
    })
    .collect()
}

fn day(rate: f64, seed: u64) -> crate::run::Figures {
    let mut world = world::healthy();
    world.minutes = 24 * 60;
    let behind = [0.0, 0.01, 0.02, 0.04];
    world.base = std::array::from_fn::<f64, CHANNELS, _>(|c| rate - behind[c]);
    run(&world, seed, &mut Ours::new(Settings::default()))
}
