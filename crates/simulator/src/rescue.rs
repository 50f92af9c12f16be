//! How many payments a fault costs end to end, through the real engine: what health routes
//! around, what the failover within a request saves, and what is saved of the calls that were
//! in flight.
//!
//! One channel has a fault for a minute while payments keep coming; the other two could take
//! all of them. The same traffic runs against the engine as it is and against parts of it, so
//! that each part's share shows. The money rules are checked after every step as ever.
//!
//! Lost is a payment whose request was answered without a code for the customer; late is one
//! whose code took longer than [`LATE_S`].

use std::time::Duration;

use domain::{Payment, Status, Timestamp};
use resilience::Settings;
use serde::Serialize;

use crate::faults::Fault;
use crate::sim::simulate;
use crate::world::{Run, World};

/// Payments a second.
pub const RATE: i64 = 50;
/// When the fault begins, in seconds from the start: by then health has learned what is usual.
const FROM_S: i64 = 60;
/// How long it lasts, in seconds.
const LASTS_S: i64 = 60;
/// When the last payment comes, in seconds from the start.
const ENDS_S: i64 = 180;
/// A code that takes longer than this finds its customer gone, in seconds.
pub const LATE_S: u64 = 3;

/// What is wrong with the first channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Connections are refused.
    Down,
    /// This share of calls is refused, in percent.
    Brown(u32),
    /// This share of calls is not answered, in percent.
    Hang(u32),
    /// Three seconds refused, three seconds well, and so on.
    Flap,
    /// Every answer takes two to eight seconds.
    Slow,
}

impl Trouble {
    /// What is measured, by name.
    pub const ALL: &'static [(&'static str, Trouble)] = &[
        ("down", Trouble::Down),
        ("brown60", Trouble::Brown(60)),
        ("brown30", Trouble::Brown(30)),
        ("hang100", Trouble::Hang(100)),
        ("hang30", Trouble::Hang(30)),
        ("flap", Trouble::Flap),
        ("slow", Trouble::Slow),
    ];
}

/// How much of the engine takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// Without looking at what does not happen: health hears of outcomes only.
    Deaf,
    /// Without failover within a request.
    OneTry,
    /// Without health and without failover: the merchant's order and nothing else.
    Order,
}

impl Part {
    /// What is compared, by name.
    pub const ALL: &'static [(&'static str, Part)] = &[
        ("whole", Part::Whole),
        ("no_silence", Part::Deaf),
        ("no_failover", Part::OneTry),
        ("fixed_order", Part::Order),
    ];
}

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescue {
    /// The fault.
    pub trouble: Trouble,
    /// The engine.
    pub part: Part,
}

impl Rescue {
    /// Payments that come in all.
    pub(crate) fn payments(self) -> usize {
        usize::try_from(RATE * ENDS_S).unwrap_or(0)
    }

    /// When a payment comes, in milliseconds from the start.
    pub(crate) fn comes_ms(self, idx: usize) -> i64 {
        i64::try_from(idx).unwrap_or(0) * 1_000 / RATE
    }

    /// What befalls a call to the first channel now; `roll` is below 100.
    pub(crate) fn strikes(self, elapsed_us: i64, roll: u32) -> Option<Fault> {
        let since_s = elapsed_us / 1_000_000 - FROM_S;
        if !(0..LASTS_S).contains(&since_s) {
            return None;
        }
        match self.trouble {
            Trouble::Down => Some(Fault::NotSent),
            Trouble::Brown(share) => (roll < share).then_some(Fault::NotSent),
            Trouble::Hang(share) => (roll < share).then_some(Fault::HangNoEffect),
            Trouble::Flap => (since_s / 3 % 2 == 0).then_some(Fault::NotSent),
            Trouble::Slow => Some(Fault::SlowCall),
        }
    }

    pub(crate) fn options(self, mut options: engine::Options) -> engine::Options {
        // As in production.
        options.channels.iter_mut().for_each(|c| c.call_timeout = Duration::from_secs(8));
        if matches!(self.part, Part::OneTry | Part::Order) {
            options.tries_per_request = 1;
        }
        options
    }

    pub(crate) fn settings(self) -> Settings {
        match self.part {
            // Nothing is ever evidence enough.
            Part::Order => Settings {
                false_alarm_outcomes: f64::INFINITY,
                silence_nats: f64::INFINITY,
                explore: 0.0,
                explore_doubtful: 0.0,
                explore_hopeful: 0.0,
                ..Settings::default()
            },
            _ => Settings::default(),
        }
    }

    /// Whether the engine looks at health by itself.
    pub(crate) fn looks(self) -> bool {
        matches!(self.part, Part::Whole | Part::OneTry)
    }
}

/// How a request ended.
#[derive(Clone, Debug)]
struct Answered {
    shown: bool,
    took: Duration,
    tries: usize,
    given_up: bool,
}

/// What was seen of the requests that came while the fault lasted.
#[derive(Clone, Debug, Default)]
pub struct Tally(Vec<Answered>);

impl World {
    /// Notes how a create request was answered.
    pub(crate) fn note_rescue(&mut self, idx: usize, payment: &Payment) {
        let Some(rescue) = self.run.rescue else { return };
        let comes_ms = rescue.comes_ms(idx);
        // From a little before: what was in flight when the fault began counts too.
        if !(FROM_S * 1_000 - 500..(FROM_S + LASTS_S) * 1_000).contains(&comes_ms) {
            return;
        }
        let ms = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        let asked: Timestamp = self.start + ms(comes_ms);
        let given_up = payment.attempts.iter().any(|a| {
            matches!(&a.state, domain::AttemptState::Closing { why: domain::CloseWhy::Orphan, .. })
        });
        self.rescued.0.push(Answered {
            shown: payment.status() == Status::RequiresCustomer || payment.status() == Status::Paid,
            took: self.now.since(asked),
            tries: payment.attempts.len(),
            given_up,
        });
    }
}

/// One row of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The fault.
    pub scenario: &'static str,
    /// How much of the engine took part.
    pub engine: &'static str,
    /// Requests that came while the fault lasted.
    pub asked: usize,
    /// Answered without a code.
    pub lost: usize,
    /// Their code took longer than [`LATE_S`].
    pub late: usize,
    /// Saved by a further try within the request.
    pub rescued_in_request: usize,
    /// Of those, whose first call was not answered.
    pub rescued_in_flight: usize,
    /// Time from request to answer, milliseconds.
    pub p50_ms: u64,
    /// The same, for one in a hundred.
    pub p99_ms: u64,
    /// A broken money rule.
    pub violation: Option<String>,
}

/// Measures everything with so many seeds from the first.
pub fn measure(first_seed: u64, seeds: u64) -> Vec<Row> {
    let mut rows = Vec::new();
    for (scenario, trouble) in Trouble::ALL {
        for (engine, part) in Part::ALL {
            let rescue = Rescue { trouble: *trouble, part: *part };
            rows.push(row((scenario, engine), rescue, first_seed..first_seed + seeds));
        }
    }
    rows
}

/// Measures one fault with one part of the engine, under these names.
pub fn row(
    (scenario, engine): (&'static str, &'static str),
    rescue: Rescue,
    seeds: std::ops::Range<u64>,
) -> Row {
    let (mut all, mut violation) = (Vec::new(), None);
    for seed in seeds {
        let run = Run { rescue: Some(rescue), healthy: true, ..Run::new(seed, rescue.payments()) };
        let outcome = simulate(run);
        all.extend(outcome.rescued.0);
        violation = violation.or(outcome.violation.map(|v| format!("rule {}: {}", v.rule, v.text)));
    }
    let mut took: Vec<Duration> = all.iter().map(|a| a.took).collect();
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 100).map_or(0, |t| t.as_millis() as u64);
    let late = |a: &&Answered| a.shown && a.took > Duration::from_secs(LATE_S);
    let again = |a: &&Answered| a.shown && a.tries > 1;
    Row {
        scenario,
        engine,
        asked: all.len(),
        lost: all.iter().filter(|a| !a.shown).count(),
        late: all.iter().filter(late).count(),
        rescued_in_request: all.iter().filter(again).count(),
        rescued_in_flight: all.iter().filter(again).filter(|a| a.given_up).count(),
        p50_ms: at(50),
        p99_ms: at(99),
        violation,
    }
}

/// The report for a person.
pub fn print(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<9} {:<12} {:>7} {:>7} {:>7} {:>9} {:>9} {:>8} {:>8}\n",
        "fault", "engine", "asked", "lost", "late", "rescued", "in flight", "p50 ms", "p99 ms"
    );
    for row in rows {
        text += &format!(
            "{:<9} {:<12} {:>7} {:>7} {:>7} {:>9} {:>9} {:>8} {:>8}\n",
            row.scenario,
            row.engine,
            row.asked,
            row.lost,
            row.late,
            row.rescued_in_request,
            row.rescued_in_flight,
            row.p50_ms,
            row.p99_ms
        );
        if let Some(violation) = &row.violation {
            text += &format!("          {violation}\n");
        }
    }
    text
}
