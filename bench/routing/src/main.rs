//! `routing-bench`: every table of detection and routing, for people or as JSON.

use clap::Parser;
use resilience::Settings;
use routing_bench::cost::{Cost, cost};
use routing_bench::detect::{self, Day, Delay, FalseAlarms};
use routing_bench::extras::{self, Extra};
use routing_bench::ours::Ours;
use routing_bench::pb1;
use routing_bench::rivals::*;
use routing_bench::run::{Figures, Router, run};
use routing_bench::silence::{self, Hang, Slow};
use routing_bench::stats::Mean;
use routing_bench::world::{self, World};
use serde::Serialize;

/// Detection and routing against the published rules of others.
#[derive(Parser)]
struct Args {
    /// One JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Seeds per cell of the routing tables.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// Only routers whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Only these tables (routing, held-out, detect, days, silence, extras, pb1, cost).
    #[arg(long, value_delimiter = ',')]
    tables: Vec<String>,
}

/// A router in a world.
#[derive(Serialize)]
struct Cell {
    router: &'static str,
    world: String,
    regret: Mean,
    lost: Mean,
    switches: Mean,
    worst_second: Mean,
}

/// All tables.
#[derive(Default, Serialize)]
struct Report {
    tuned_worlds_tuned_seeds: Vec<Cell>,
    tuned_worlds_held_out_seeds: Vec<Cell>,
    held_out_worlds: Vec<Cell>,
    delays: Vec<Delay>,
    false_alarms: Vec<FalseAlarms>,
    days: Vec<Day>,
    hangs: Vec<Hang>,
    slow: Vec<Slow>,
    extras: Vec<Extra>,
    pb1: Vec<pb1::Row>,
    cost: Option<Cost>,
}

/// Seeds that settings were tuned on begin here; those kept aside begin at `HELD_OUT`.
const TUNED: u64 = 1_000;
const HELD_OUT: u64 = 900_000;

type Make = fn() -> Box<dyn Router>;

fn routers() -> Vec<(&'static str, Make)> {
    vec![
        ("static", || Box::new(Static)),
        ("resilience4j", || Box::new(Priority::new(Resilience4j::default))),
        ("Envoy", || Box::new(Envoy::default())),
        ("Finagle", || Box::new(Priority::new(Finagle::default))),
        ("Hystrix", || Box::new(Priority::new(Hystrix::default))),
        ("Juspay score", || Box::new(Priority::new(JuspayScore::default))),
        ("Juspay 45 in a row", || Box::new(Priority::new(|| JuspayRow::new(45)))),
        ("SR v3 125", || Box::new(SuccessRate::new(125, 0.0, false))),
        ("SR v3 125 hedge elim", || Box::new(SuccessRate::new(125, 0.01, true))),
        ("SR v3 200 hedge", || Box::new(SuccessRate::new(200, 0.01, false))),
        ("discounted Thompson", || Box::new(Thompson::new(0.9995))),
        ("SW-UCB", || Box::new(SlidingUcb::new(2_000, 0.5))),
        ("evergate", || Box::new(Ours::new(Settings::default()))),
    ]
}

fn cells(worlds: &[World], args: &Args, from: u64) -> Vec<Cell> {
    let mut cells = Vec::new();
    let wanted = routers().into_iter().filter(|(name, _)| name.contains(&args.only));
    for (router, make) in wanted {
        for world in worlds {
            let seeds = from..from + args.seeds;
            let runs: Vec<Figures> = seeds.map(|s| run(world, s, make().as_mut())).collect();
            let of =
                |pick: fn(&Figures) -> f64| Mean::of(&runs.iter().map(pick).collect::<Vec<_>>());
            cells.push(Cell {
                router,
                world: world.name.clone(),
                regret: of(|f| f.regret),
                lost: of(|f| f.lost),
                switches: of(|f| f.switches),
                worst_second: of(|f| f.worst_second),
            });
        }
    }
    cells
}

fn report(args: &Args) -> Report {
    let wants = |table: &str| args.tables.is_empty() || args.tables.iter().any(|t| t == table);
    let mut report = Report::default();
    if wants("routing") {
        report.tuned_worlds_tuned_seeds = cells(&world::nine(), args, TUNED);
        report.tuned_worlds_held_out_seeds = cells(&world::nine(), args, HELD_OUT);
    }
    if wants("held-out") {
        let mut worlds = world::held_out();
        worlds.push(world::convalescent());
        report.held_out_worlds = cells(&worlds, args, HELD_OUT);
    }
    if wants("detect") {
        report.delays = detect::delays(2_000, HELD_OUT);
        let rates = [0.70, 0.80, 0.92, 0.97];
        let alarms = rates.iter().filter_map(|r| detect::false_alarms(*r, 20_000_000, HELD_OUT));
        report.false_alarms = alarms.collect();
    }
    if wants("days") {
        let days = [0.70, 0.80, 0.92, 0.97].map(|r| detect::day(r, HELD_OUT..HELD_OUT + 5));
        report.days = days.to_vec();
    }
    if wants("silence") {
        report.hangs = silence::hangs(20, HELD_OUT);
        report.slow = silence::slow(40, HELD_OUT);
    }
    if wants("extras") {
        report.extras = extras::extras(HELD_OUT..HELD_OUT + args.seeds);
    }
    if wants("pb1") {
        report.pb1 = pb1::rows(100, HELD_OUT);
    }
    if wants("cost") {
        report.cost = Some(cost());
    }
    report
}

/// One line a router, one column a world, and the total.
fn table(title: &str, cells: &[Cell]) {
    if cells.is_empty() {
        return;
    }
    println!("\n{title}: regret (switches; worst second on a backup)");
    let mut routers: Vec<&str> = cells.iter().map(|c| c.router).collect();
    routers.dedup();
    for router in routers {
        let row: Vec<&Cell> = cells.iter().filter(|c| c.router == router).collect();
        let total: f64 = row.iter().map(|c| c.regret.mean).sum();
        println!("{router}: total {total:.0}");
        for cell in row {
            let best = cells.iter().filter(|c| c.world == cell.world);
            let best = best.map(|c| c.regret.mean).fold(f64::INFINITY, f64::min);
            let mark = if cell.regret.mean <= best + 0.5 { "best" } else { "" };
            println!(
                "  {:26} {:>16} ({:.1}; {:.0}) {mark}",
                cell.world,
                cell.regret.to_string(),
                cell.switches.mean,
                cell.worst_second.mean
            );
        }
    }
}

fn print(report: &Report) {
    table("Tuned worlds, tuned seeds", &report.tuned_worlds_tuned_seeds);
    table("Tuned worlds, held-out seeds", &report.tuned_worlds_held_out_seeds);
    table("Held-out worlds and seeds", &report.held_out_worlds);
    for d in &report.delays {
        let (p0, p1) = d.rates;
        println!(
            "delay, {} {p0} -> {p1}: {} outcomes, bound {:.2}, ratio {:.2}",
            d.stream, d.outcomes, d.bound, d.ratio
        );
    }
    for f in &report.false_alarms {
        println!(
            "false alarms at {}: {:.2} trips and {:.2} mild in 10^6",
            f.rate, f.trips_per_million, f.mild_per_million
        );
    }
    for d in &report.days {
        println!("healthy day at {}: {} switches, regret {}", d.rate, d.switches, d.regret);
    }
    for h in &report.hangs {
        println!(
            "hang of {} at {}/s: {} s (five in a row: {} s)",
            h.share, h.rate, h.seconds, h.five_in_a_row
        );
    }
    for s in &report.slow {
        println!("latency x{}: down {}, slow {} of {}", s.factor, s.down, s.slow, s.of);
    }
    for e in &report.extras {
        println!(
            "{}: regret {}, switches {}, lost to the fault {}, bystanders moved {:.3}",
            e.name, e.regret, e.switches, e.lost_to_fault, e.moved_elsewhere.mean
        );
    }
    for p in &report.pb1 {
        println!("PB1 {}: {}", p.player, p.regret);
    }
    if let Some(cost) = &report.cost {
        println!("{cost:?}");
    }
}

fn main() -> Result<(), serde_json::Error> {
    let args = Args::parse();
    let report = report(&args);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}
