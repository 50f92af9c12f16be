//! The demo's figures over many seeds: how soon after the first fault shoppers are sent
//! elsewhere, and that nothing is lost on the way.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use evergate::args::DemoArgs;
use evergate::demo::{self, Report};
use serde::Serialize;

/// Options of `bench failover`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// How many seeds, from 1.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// New payments a second.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// How long shoppers come, each time.
    #[arg(long, default_value = "10s", value_parser = evergate::args::duration)]
    duration: Duration,
    /// The scenario.
    #[arg(long, default_value = "alipay-outage")]
    scenario: String,
    /// Where the store lies; a temporary folder when absent.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    seeds: u64,
    rate: f64,
    duration_s: f64,
    scenario: String,
    payments: u64,
    paid: u64,
    rerouted: u64,
    declined: u64,
    refunded_seconds: u64,
    lost: u64,
    charged_twice: u64,
    unknown: u64,
    mismatches: u64,
    fault_to_reroute_ms: Spread,
    added_p50_us: Spread,
    added_p99_us: Spread,
    /// Seeds whose books were not clean, with what was found.
    bad_seeds: Vec<(u64, Vec<String>)>,
}

/// Least, median and most of one figure over all seeds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Spread {
    min: u64,
    median: u64,
    max: u64,
}

impl Spread {
    fn of(values: impl Iterator<Item = u64>) -> Spread {
        let mut sorted: Vec<u64> = values.collect();
        sorted.sort_unstable();
        match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
            (Some(min), Some(median), Some(max)) => {
                Spread { min: *min, median: *median, max: *max }
            }
            _ => Spread::default(),
        }
    }
}

pub(crate) async fn run(args: &Args) -> Result<Figures> {
    let mut reports = Vec::new();
    for seed in 1..=args.seeds {
        let demo = DemoArgs {
            seed,
            rate: args.rate,
            duration: args.duration,
            scenario: args.scenario.clone(),
            list: false,
            keep: false,
            no_color: true,
            data: args.data.clone(),
            port: 0,
        };
        let report = demo::report(&demo).await?;
        eprintln!(
            "seed {seed}: {} payments, {} rerouted after {} ms, lost {}, charged twice {}",
            report.totals.payments,
            report.totals.rerouted,
            report.fault_to_reroute_ms.map_or("–".to_owned(), |ms| ms.to_string()),
            report.lost,
            report.charged_twice
        );
        reports.push(report);
    }
    Ok(figures(args, &reports))
}

fn figures(args: &Args, reports: &[Report]) -> Figures {
    let sum = |figure: fn(&Report) -> u64| reports.iter().map(figure).sum();
    let bad = reports.iter().filter(|r| !r.is_good());
    Figures {
        seeds: args.seeds,
        rate: args.rate,
        duration_s: args.duration.as_secs_f64(),
        scenario: args.scenario.clone(),
        payments: sum(|r| r.totals.payments),
        paid: sum(|r| r.totals.paid),
        rerouted: sum(|r| r.totals.rerouted),
        declined: sum(|r| r.refused),
        refunded_seconds: sum(|r| r.totals.refunded_seconds),
        lost: sum(|r| r.lost),
        charged_twice: sum(|r| r.charged_twice),
        unknown: sum(|r| r.unknown),
        mismatches: sum(|r| r.mismatches),
        fault_to_reroute_ms: Spread::of(reports.iter().filter_map(|r| r.fault_to_reroute_ms)),
        added_p50_us: Spread::of(reports.iter().map(|r| r.added_p50_us)),
        added_p99_us: Spread::of(reports.iter().map(|r| r.added_p99_us)),
        bad_seeds: bad.map(|r| (r.seed, r.findings.clone())).collect(),
    }
}

impl Figures {
    pub(crate) fn told(&self, json: bool) -> Result<String> {
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["", "min", "median", "max"]);
        for (name, spread, unit) in [
            ("first fault to first rerouted payment", self.fault_to_reroute_ms, "ms"),
            ("added by the gateway, p50", self.added_p50_us, "µs"),
            ("added by the gateway, p99", self.added_p99_us, "µs"),
        ] {
            let figure = |value: u64| format!("{value} {unit}");
            let figures = [spread.min, spread.median, spread.max].map(figure);
            let [min, median, max] = figures;
            table.add_row([name.to_owned(), min, median, max]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(format!(
            "{table}\n{} seeds of {}: {} payments, {} paid, {} rerouted, {} second successes \
             given back; lost {}, charged twice {}, unknown {}, mismatches {}",
            self.seeds,
            self.scenario,
            self.payments,
            self.paid,
            self.rerouted,
            self.refunded_seconds,
            self.lost,
            self.charged_twice,
            self.unknown,
            self.mismatches
        ))
    }
}
