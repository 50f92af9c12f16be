//! Every table of detection and routing, for people or as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use resilience::Settings;
use serde::Serialize;

use crate::cost::{Cost, cost};
use crate::detect::{self, Day, Delay, FalseAlarms};
use crate::ours::Ours;
use crate::rivals::{
    Envoy, Finagle, Hystrix, JuspayRow, JuspayScore, Priority, Resilience4j, SlidingUcb, Static,
    SuccessRate, Thompson,
};
use crate::run::{Figures, Oracle, Router, run};
use crate::scenes::{self, Scene};
use crate::silence::{self, Hang, Slow};
use crate::stats::Mean;
use crate::world::{self, LAG, World};
use crate::{exact, par, pb1};

/// Options of the routing comparison.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Seeds per cell of the routing tables, from 1.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Only detectors whose name contains this.
    #[arg(long, default_value = "")]
    pub only: String,
    /// Only these tables.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub tables: Vec<Kind>,
}

/// The tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The nine worlds, with seeds that settings were tuned on, and with others.
    Routing,
    /// Other worlds and magnitudes.
    HeldOut,
    /// Hangs, slowness, issuers, silent failure, maintenance, a day.
    Scenes,
    /// Delay of detection against the exact bound, and false alarms.
    Detect,
    /// Leader switches of healthy days.
    Days,
    /// Seconds until a hang is seen, and what slowness is taken for.
    Silence,
    /// The piecewise-stationary bandit problem.
    Pb1,
    /// What a decision costs.
    Cost,
}

/// A detector in a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which table: `tuned`, `held_out_seeds`, `held_out`, `scenes`.
    pub table: &'static str,
    /// The detector.
    pub detector: &'static str,
    /// The scenario.
    pub scenario: String,
    /// Expected payments lost against the oracle.
    pub regret: Mean,
    /// Payments that failed.
    pub lost: Mean,
    /// Payments sent into the fault until it was left for five payments in a row.
    pub delay_payments: Option<Mean>,
    /// Seconds until then.
    pub delay_s: Option<Mean>,
    /// Share of runs in which it was never left.
    pub never_left: Option<f64>,
    /// Outcomes known when it was left, over the exact bound at one false alarm in 10^6.
    pub bound_ratio: Option<f64>,
    /// Changes of leader.
    pub switches: Mean,
    /// Payments on the busiest backup in its worst second.
    pub worst_second: Mean,
    /// Share of payments that the fault did not concern and that went elsewhere meanwhile.
    pub moved: Mean,
}

/// All tables.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    rows: Vec<Row>,
    delays: Vec<Delay>,
    false_alarms: Vec<FalseAlarms>,
    days: Vec<Day>,
    hangs: Vec<Hang>,
    slow: Vec<Slow>,
    pb1: Vec<pb1::Row>,
    cost: Option<Cost>,
}

/// Seeds that settings were tuned on begin here; those kept aside begin at `HELD_OUT`.
const TUNED: u64 = 1_000;
const HELD_OUT: u64 = 900_000;

type Make = fn() -> Box<dyn Router>;

/// The name of the one that knows the true rates.
const ORACLE: &str = "oracle";

fn detectors() -> Vec<(&'static str, Make)> {
    vec![
        (ORACLE, || Box::new(Static)),
        ("static", || Box::new(Static)),
        ("resilience4j", || Box::new(Priority::new(Resilience4j::default))),
        ("Envoy", || Box::new(Envoy::default())),
        ("Finagle", || Box::new(Priority::new(Finagle::default))),
        ("Hystrix", || Box::new(Priority::new(Hystrix::default))),
        ("Juspay score", || Box::new(Priority::new(JuspayScore::default))),
        ("Juspay 45 in a row", || Box::new(Priority::new(|| JuspayRow::new(45)))),
        ("SR v3 (200, hedge 5 %)", || Box::new(SuccessRate::new(200, 0.05, false))),
        ("SR v3 (125, hedge 5 %)", || Box::new(SuccessRate::new(125, 0.05, false))),
        ("SR v3 (200, hedge 1 %)", || Box::new(SuccessRate::new(200, 0.01, false))),
        ("SR v3 + elimination", || Box::new(SuccessRate::new(200, 0.05, true))),
        ("discounted Thompson", || Box::new(Thompson::new(0.9998))),
        ("SW-UCB (20,000, 0.5)", || Box::new(SlidingUcb::new(20_000, 0.5))),
        ("SW-UCB (10,000, 0.01)", || Box::new(SlidingUcb::new(10_000, 0.01))),
        ("evergate", || Box::new(Ours::new(Settings::default()))),
    ]
}

/// One run, by seed, name and maker of the detector.
type Play<'a> = dyn Fn(u64, &str, Make) -> Figures + Sync + 'a;

/// What every row needs of its scenario.
struct Place<'a> {
    table: &'static str,
    name: String,
    from: u64,
    bound: Option<f64>,
    faulty: bool,
    play: Box<Play<'a>>,
}

fn in_world<'a>(table: &'static str, world: &'a World, from: u64, bounded: bool) -> Place<'a> {
    let fault = world.faults.first().filter(|f| f.channel == Some(0));
    let fallen = fault.map(|f| world.base[0] * f.factor);
    Place {
        table,
        name: world.name.clone(),
        from,
        bound: fallen.filter(|_| bounded).map(|rate| exact::bound(world.base[0], rate, 1e6)),
        faulty: fault.is_some(),
        play: Box::new(|seed, name, make| match name {
            ORACLE => run(world, seed, &mut Oracle::of(world)),
            _ => run(world, seed, make().as_mut()),
        }),
    }
}

fn in_scene(scene: &Scene) -> Place<'_> {
    let hurt = scene
        .events
        .first()
        .is_some_and(|e| e.channel == Some(0) && !matches!(e.what, scenes::What::Slow(_)));
    Place {
        table: "scenes",
        name: scene.name.to_owned(),
        from: HELD_OUT,
        bound: None,
        faulty: hurt,
        play: Box::new(|seed, name, make| match name {
            ORACLE => scenes::play(scene, seed, None),
            _ => scenes::play(scene, seed, Some(make().as_mut())),
        }),
    }
}

fn rows(places: &[Place<'_>], args: &Args) -> Vec<Row> {
    let detectors: Vec<_> =
        detectors().into_iter().filter(|(name, _)| name.contains(&args.only)).collect();
    let mut jobs = Vec::new();
    for place in 0..places.len() {
        for detector in 0..detectors.len() {
            jobs.extend((0..args.seeds).map(|seed| (place, detector, seed)));
        }
    }
    let figures = par::map("routing", &jobs, |(place, detector, seed)| {
        let ((name, make), place) = (detectors[*detector], &places[*place]);
        (place.play)(place.from + seed, name, make)
    });
    let of_cell = figures.chunks(args.seeds.max(1) as usize);
    let cells = places.iter().flat_map(|p| detectors.iter().map(move |(name, _)| (p, *name)));
    cells.zip(of_cell).map(|((place, name), runs)| row(place, name, runs)).collect()
}

fn row(place: &Place<'_>, detector: &'static str, runs: &[Figures]) -> Row {
    let of = |pick: fn(&Figures) -> f64| Mean::of(&runs.iter().map(pick).collect::<Vec<_>>());
    let left: Vec<(f64, f64)> = runs.iter().filter_map(|f| f.delay).collect();
    let known = !left.is_empty();
    let payments: Vec<f64> = left.iter().map(|(hit, _)| *hit).collect();
    let seconds: Vec<f64> = left.iter().map(|(_, late)| *late).collect();
    let seen =
        Mean::of(&payments.iter().map(|hit| (hit - LAG as f64).max(0.0)).collect::<Vec<_>>());
    Row {
        table: place.table,
        detector,
        scenario: place.name.clone(),
        regret: of(|f| f.regret),
        lost: of(|f| f.lost),
        delay_payments: known.then(|| Mean::of(&payments)),
        delay_s: known.then(|| Mean::of(&seconds)),
        never_left: place.faulty.then(|| 1.0 - left.len() as f64 / runs.len().max(1) as f64),
        bound_ratio: place.bound.filter(|_| left.len() == runs.len()).map(|b| seen.mean / b),
        switches: of(|f| f.switches),
        worst_second: of(|f| f.worst_second),
        moved: of(|f| f.moved),
    }
}

/// Measures all that is asked for. Progress goes to standard error.
pub fn report(args: &Args) -> Report {
    let wants = |kind: Kind| args.tables.is_empty() || args.tables.contains(&kind);
    let mut report = Report::default();
    let nine = world::nine();
    let mut held_out = world::held_out();
    held_out.push(world::convalescent());
    let scenes = scenes::scenes();
    let mut places = Vec::new();
    if wants(Kind::Routing) {
        places.extend(nine.iter().map(|w| in_world("tuned", w, TUNED, true)));
        places.extend(nine.iter().map(|w| in_world("held_out_seeds", w, HELD_OUT, false)));
    }
    if wants(Kind::HeldOut) {
        places.extend(held_out.iter().map(|w| in_world("held_out", w, HELD_OUT, false)));
    }
    if wants(Kind::Scenes) {
        places.extend(scenes.iter().map(in_scene));
    }
    report.rows = rows(&places, args);
    if wants(Kind::Detect) {
        report.delays = detect::delays(2_000, HELD_OUT);
        report.false_alarms = detect::all_false_alarms(20_000_000, HELD_OUT);
    }
    if wants(Kind::Days) {
        report.days = detect::days(5, HELD_OUT);
    }
    if wants(Kind::Silence) {
        report.hangs = silence::hangs(20, HELD_OUT);
        report.slow = silence::slow(40, HELD_OUT);
    }
    if wants(Kind::Pb1) {
        report.pb1 = pb1::rows(100, HELD_OUT);
    }
    if wants(Kind::Cost) {
        report.cost = Some(cost());
    }
    report
}

/// One line a scenario, one column a detector.
fn matrix(told: &mut String, title: &str, rows: &[&Row], cell: impl Fn(&Row) -> String) {
    let mut detectors: Vec<&str> = Vec::new();
    let mut lines: BTreeMap<usize, (String, BTreeMap<&str, String>)> = BTreeMap::new();
    for row in rows {
        if !detectors.contains(&row.detector) {
            detectors.push(row.detector);
        }
        let at = rows.iter().position(|r| r.scenario == row.scenario).unwrap_or(0);
        let line = lines.entry(at).or_insert_with(|| (row.scenario.clone(), BTreeMap::new()));
        line.1.insert(row.detector, cell(row));
    }
    let _ = writeln!(told, "\n{title}\n\n| scenario | {} |", detectors.join(" | "));
    let _ = writeln!(told, "|---|{}", "---:|".repeat(detectors.len()));
    for (_, (scenario, cells)) in lines {
        let cells = detectors.iter().map(|d| cells.get(d).cloned().unwrap_or_default());
        let _ = writeln!(told, "| {scenario} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

fn regrets(told: &mut String, title: &str, rows: &[&Row]) {
    let best = |scenario: &str| {
        let rivals = rows.iter().filter(|r| r.scenario == scenario && r.detector != ORACLE);
        rivals.map(|r| r.regret.mean).fold(f64::INFINITY, f64::min)
    };
    matrix(told, title, rows, |row| {
        let mark = if row.regret.mean <= best(&row.scenario) + 0.05 { "*" } else { "" };
        format!("{}{mark}", row.regret)
    });
    let mut totals: Vec<(&str, f64)> = Vec::new();
    for row in rows {
        match totals.iter_mut().find(|(name, _)| *name == row.detector) {
            Some((_, total)) => *total += row.regret.mean,
            None => totals.push((row.detector, row.regret.mean)),
        }
    }
    let totals: Vec<String> = totals.iter().map(|(n, t)| format!("{n} {t:.0}")).collect();
    let _ = writeln!(told, "\nTotals: {}. (* is the best of a row.)", totals.join("; "));
}

fn delay(row: &Row) -> String {
    match (row.delay_payments, row.delay_s, row.never_left) {
        (_, _, None) => String::new(),
        (Some(hit), Some(late), Some(0.0)) => format!("{:.0} ({:.1} s)", hit.mean, late.mean),
        (Some(hit), Some(late), Some(never)) => {
            format!("{:.0} ({:.1} s), never in {:.0} %", hit.mean, late.mean, never * 100.0)
        }
        _ => "never".to_owned(),
    }
}

impl Report {
    /// For a terminal, or as one JSON document on one line.
    ///
    /// # Errors
    ///
    /// When a figure cannot be written as JSON.
    pub fn told(&self, json: bool) -> Result<String, serde_json::Error> {
        if json {
            return serde_json::to_string(self);
        }
        let mut told = String::new();
        for (table, title) in [
            ("tuned", "The nine worlds, seeds that settings were tuned on: regret, payments"),
            ("held_out_seeds", "The nine worlds, held-out seeds: regret, payments"),
            ("held_out", "Held-out worlds, magnitudes and seeds: regret, payments"),
            ("scenes", "Other scenes, held-out seeds: regret, payments"),
        ] {
            let rows: Vec<&Row> = self.rows.iter().filter(|r| r.table == table).collect();
            if !rows.is_empty() {
                self.tell_rows(&mut told, title, &rows);
            }
        }
        self.tell_detection(&mut told);
        Ok(told)
    }

    fn tell_rows(&self, told: &mut String, title: &str, rows: &[&Row]) {
        regrets(told, title, rows);
        let faulty: Vec<&Row> = rows.iter().filter(|r| r.never_left.is_some()).copied().collect();
        matrix(told, "Payments lost", rows, |r| format!("{:.0}", r.lost.mean));
        matrix(told, "Payments (seconds) until the fault was left", &faulty, delay);
        if rows.iter().any(|r| r.bound_ratio.is_some()) {
            matrix(told, "Outcomes known then, over the exact bound", &faulty, |r| {
                r.bound_ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
            });
        }
        matrix(told, "Changes of leader", rows, |r| format!("{:.1}", r.switches.mean));
        matrix(told, "Payments on the busiest backup in its worst second", rows, |r| {
            format!("{:.0}", r.worst_second.mean)
        });
        if rows.iter().any(|r| r.moved.mean > 0.0) {
            matrix(told, "Bystanders moved, percent", rows, |r| {
                format!("{:.1}", r.moved.mean * 100.0)
            });
        }
    }

    fn tell_detection(&self, told: &mut String) {
        for d in &self.delays {
            let (p0, p1) = d.rates;
            let _ = writeln!(
                told,
                "delay, {} {p0} -> {p1}: {} outcomes, bound {:.2}, ratio {:.2}",
                d.stream, d.outcomes, d.bound, d.ratio
            );
        }
        for f in &self.false_alarms {
            let _ = writeln!(
                told,
                "false alarms at {}: {:.2} trips and {:.2} mild in 10^6",
                f.rate, f.trips_per_million, f.mild_per_million
            );
        }
        for d in &self.days {
            let _ = writeln!(
                told,
                "healthy day at {}: {} switches, regret {}",
                d.rate, d.switches, d.regret
            );
        }
        for h in &self.hangs {
            let _ = writeln!(
                told,
                "hang of {} at {}/s: {} s (five in a row: {} s)",
                h.share, h.rate, h.seconds, h.five_in_a_row
            );
        }
        for s in &self.slow {
            let _ = writeln!(
                told,
                "latency x{}: down {}, slow {} of {}",
                s.factor, s.down, s.slow, s.of
            );
        }
        for p in &self.pb1 {
            let _ = writeln!(told, "PB1 {}: {}", p.player, p.regret);
        }
        if let Some(cost) = &self.cost {
            let _ = writeln!(told, "{cost:?}");
        }
    }
}
