//! Runs seeds and reports what became of them.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use simulator::{Counts, Found, Report, Run, shrink, simulate};

/// A world is made of many small values; the system's allocator took a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simulates payments under faults on virtual time, and checks the money rules after every
/// step. Exits with 1 when a rule was broken.
#[derive(Debug, Parser)]
struct Args {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000, default_value_if("rescue", "true", "3"))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first_seed: u64,
    /// Payments in each seed.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    payments_per_seed: u16,
    /// Replays one seed and prints its trace; the shortest one if a rule breaks.
    #[arg(long, conflicts_with_all = ["seeds", "first_seed"])]
    seed: Option<u64>,
    /// No faults at all.
    #[arg(long)]
    healthy: bool,
    /// Measures instead what a minute's fault of one channel costs end to end, with and without
    /// parts of the engine; `--seeds` are 3 then unless given.
    #[arg(long, conflicts_with = "seed")]
    rescue: bool,
    /// One object on one line instead of tables.
    #[arg(long)]
    json: bool,
    /// Threads; each seed is one thread's.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Stop after this many violations.
    #[arg(long, default_value_t = 3)]
    stop_after: usize,
}

impl Args {
    fn run(&self, seed: u64) -> Run {
        let mut run = Run::new(seed, usize::from(self.payments_per_seed));
        run.healthy = self.healthy;
        run
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.rescue {
        return rescue(&args);
    }
    let report = match args.seed {
        Some(seed) => replay(&args, seed),
        None => run_all(&args),
    };
    if args.json {
        match serde_json::to_string(&report) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("the report cannot be written: {error}"),
        }
    } else {
        print!("{}", report.print());
    }
    if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures what faults cost; a row is an object on a line with `--json`.
fn rescue(args: &Args) -> ExitCode {
    let rows = simulator::rescue::measure(args.first_seed, args.seeds);
    if args.json {
        for row in &rows {
            match serde_json::to_string(row) {
                Ok(line) => println!("{line}"),
                Err(error) => eprintln!("a row cannot be written: {error}"),
            }
        }
    } else {
        print!("{}", simulator::rescue::print(&rows));
    }
    let well = rows.iter().all(|row| row.violation.is_none());
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one seed; its trace goes to stderr when no rule breaks.
fn replay(args: &Args, seed: u64) -> Report {
    let began = Instant::now();
    let mut run = args.run(seed);
    run.trace = true;
    let outcome = simulate(run.clone());
    let found = match shrink(&run) {
        Some((_, shrunk)) => found(seed, &shrunk),
        None => {
            outcome.trace.iter().for_each(|line| eprintln!("{line}"));
            None
        }
    };
    Report::new((seed, 1), &outcome.counts, began.elapsed(), found.into_iter().collect())
}

fn found(seed: u64, outcome: &simulator::Outcome) -> Option<Found> {
    outcome.violation.as_ref().map(|v| Found::new(seed, v, outcome.trace.clone()))
}

fn run_all(args: &Args) -> Report {
    let bar = ProgressBar::new(args.seeds);
    let style = "{elapsed_precise} {wide_bar} {pos}/{len} seeds, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let began = Instant::now();
    let (next, total) = (AtomicU64::new(0), Mutex::new((Counts::default(), Vec::new(), 0)));
    std::thread::scope(|scope| {
        for _ in 0..args.threads {
            scope.spawn(|| work(args, &next, &total, &bar));
        }
    });
    let took = began.elapsed();
    bar.finish_and_clear();
    let (counts, mut found, seeds) = match total.into_inner() {
        Ok(total) => total,
        Err(poisoned) => poisoned.into_inner(),
    };
    found.sort_by_key(|f: &Found| f.seed);
    Report::new((args.first_seed, seeds), &counts, took, found)
}

type Total = Mutex<(Counts, Vec<Found>, u64)>;

fn work(args: &Args, next: &AtomicU64, total: &Total, bar: &ProgressBar) {
    let mut counts = Counts::default();
    let mut seeds = 0;
    loop {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        if nth >= args.seeds {
            break;
        }
        let run = args.run(args.first_seed + nth);
        let outcome = simulate(run.clone());
        counts.add(&outcome.counts);
        seeds += 1;
        bar.inc(1);
        if outcome.violation.is_some() {
            let shrunk = shrink(&run).map_or(outcome, |(_, shrunk)| shrunk);
            let mut total = total.lock().unwrap_or_else(|p| p.into_inner());
            total.1.extend(found(run.seed, &shrunk));
            if total.1.len() >= args.stop_after {
                next.store(args.seeds, Ordering::Relaxed);
            }
        }
    }
    let mut total = total.lock().unwrap_or_else(|p| p.into_inner());
    total.0.add(&counts);
    total.2 += seeds;
}
