//! Counting what happened, and telling it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::faults::{FAULTS, Fault};
use crate::host::{POINTS, Point};
use crate::paths::{PATHS, Path};
use crate::world::Violation;

/// What happened in one world, or in many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Payments that merchants asked for.
    pub payments: u64,
    /// Polls of futures.
    pub steps: u64,
    /// Faults by kind.
    pub faults: [u64; FAULTS],
    /// How often each kind of await was reached.
    pub points: [u64; POINTS],
    /// How often a process died at it.
    pub crashes: [u64; POINTS],
    /// Interesting paths.
    pub paths: [u64; PATHS],
    /// Payments that are paid in our books although somebody gave the money back by hand at the
    /// provider, and no answer told us: only the provider's statement can (reconciliation).
    pub given_back_unheard: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            payments: 0,
            steps: 0,
            faults: [0; FAULTS],
            points: [0; POINTS],
            crashes: [0; POINTS],
            paths: [0; PATHS],
            given_back_unheard: 0,
        }
    }
}

impl Counts {
    /// Adds another world's counts.
    pub fn add(&mut self, other: &Counts) {
        self.payments += other.payments;
        self.steps += other.steps;
        self.given_back_unheard += other.given_back_unheard;
        add(&mut self.faults, &other.faults);
        add(&mut self.points, &other.points);
        add(&mut self.crashes, &other.crashes);
        add(&mut self.paths, &other.paths);
    }

    /// The paths that were never reached.
    pub fn missed(&self) -> Vec<&'static str> {
        let missed = |p: &&Path| self.paths[**p as usize] == 0;
        Path::ALL.iter().filter(missed).map(|p| p.name()).collect()
    }
}

/// User and system time of this process: fields 14 and 15 of `/proc/self/stat`, in hundredths.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / 100.0)
}

fn add(to: &mut [u64], from: &[u64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// A violation as it is reported: where, which rule, and the shortest trace that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The seed.
    pub seed: u64,
    /// The rule's number in `DESIGN.md`.
    pub rule: u8,
    /// What is wrong.
    pub text: String,
    /// The steps that lead there.
    pub trace: Vec<String>,
}

impl Found {
    /// From a violation and its trace, of which only lines about the payment and about no
    /// payment are kept.
    pub fn new(seed: u64, violation: &Violation, mut trace: Vec<String>) -> Found {
        let theirs = |line: &String| {
            let payment = line.split("  p").nth(1).and_then(|rest| rest.split(' ').next());
            payment.and_then(|p| p.parse::<usize>().ok())
        };
        trace.retain(|line| theirs(line).is_none_or(|payment| payment == violation.payment));
        Found { seed, rule: violation.rule, text: violation.text.clone(), trace }
    }

    /// For a person.
    pub fn print(&self) -> String {
        let Found { seed, rule, text, trace } = self;
        let lines = trace.join("\n");
        format!("seed {seed} breaks rule {rule}: {text}\n{lines}\n")
    }
}

/// The report of many seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Seeds that ran.
    pub seeds: u64,
    /// The first of them.
    pub first_seed: u64,
    /// Payments that merchants asked for.
    pub payments: u64,
    /// Polls of futures, after each of which the checkers ran.
    pub steps: u64,
    /// How long it took.
    pub seconds: f64,
    /// Payments a minute of real time.
    pub payments_per_minute: u64,
    /// Processor time that all threads took, where the system tells (Linux); on a busy machine
    /// it says more than the clock.
    pub cpu_seconds: Option<f64>,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// How often each kind of await was reached.
    pub crash_points: BTreeMap<&'static str, u64>,
    /// How often a process died at it.
    pub crashes: BTreeMap<&'static str, u64>,
    /// Interesting paths.
    pub paths: BTreeMap<&'static str, u64>,
    /// Paths that were never reached.
    pub paths_missed: Vec<&'static str>,
    /// See [`Counts::given_back_unheard`].
    pub given_back_unheard: u64,
    /// Broken rules.
    pub violations: Vec<Found>,
}

impl Report {
    /// From the counts of all seeds.
    pub fn new(seeds: (u64, u64), counts: &Counts, took: Duration, found: Vec<Found>) -> Report {
        let seconds = took.as_secs_f64();
        let per_minute = counts.payments as f64 * 60.0 / seconds.max(1e-9);
        let points =
            |of: &[u64; POINTS]| Point::ALL.iter().map(|p| (p.name(), of[*p as usize])).collect();
        Report {
            seeds: seeds.1,
            first_seed: seeds.0,
            payments: counts.payments,
            steps: counts.steps,
            seconds,
            payments_per_minute: per_minute as u64,
            cpu_seconds: cpu_seconds(),
            faults: Fault::ALL.iter().map(|f| (f.name(), counts.faults[*f as usize])).collect(),
            crash_points: points(&counts.points),
            crashes: points(&counts.crashes),
            paths: Path::ALL.iter().map(|p| (p.name(), counts.paths[*p as usize])).collect(),
            paths_missed: counts.missed(),
            given_back_unheard: counts.given_back_unheard,
            violations: found,
        }
    }

    /// For a person.
    pub fn print(&self) -> String {
        let cpu = self.cpu_seconds.map(|s| format!(" ({s:.1} s of CPU)")).unwrap_or_default();
        let mut text = format!(
            "{} seeds from {}, {} payments, {} steps in {:.1} s{cpu}: {} payments a minute\n",
            self.seeds,
            self.first_seed,
            self.payments,
            self.steps,
            self.seconds,
            self.payments_per_minute
        );
        let mut table = |title: &str, rows: &BTreeMap<&'static str, u64>| {
            text += &format!("\n{title}\n");
            rows.iter().for_each(|(name, n)| text += &format!("  {n:>12}  {name}\n"));
        };
        table("faults", &self.faults);
        table("awaits at which a process may die", &self.crash_points);
        table("deaths at them", &self.crashes);
        table("paths", &self.paths);
        if !self.paths_missed.is_empty() {
            text += &format!("\nnever reached: {}\n", self.paths_missed.join(", "));
        }
        text += &format!(
            "\n{} payments paid in our books that a close gave back unheard (known gap)\n",
            self.given_back_unheard
        );
        text += &format!("\n{} violations\n", self.violations.len());
        self.violations.iter().for_each(|found| text += &format!("\n{}", found.print()));
        text
    }
}
