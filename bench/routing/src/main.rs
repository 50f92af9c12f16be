//! Prints the tables.

use resilience::Settings;
use routing_bench::ours::Ours;
use routing_bench::rivals::*;
use routing_bench::run::{Router, run};
use routing_bench::world;

type Make = (&'static str, Box<dyn Fn() -> Box<dyn Router>>);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seeds: u64 = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(5);
    let only = args.get(2).cloned().unwrap_or_default();
    let held = args.get(3).is_some();
    let all: Vec<Make> = vec![
        ("static", Box::new(|| Box::new(Static))),
        ("r4j", Box::new(|| Box::new(Priority::new(Resilience4j::default)))),
        ("envoy", Box::new(|| Box::new(Envoy::default()))),
        ("finagle", Box::new(|| Box::new(Priority::new(Finagle::default)))),
        ("hystrix", Box::new(|| Box::new(Priority::new(Hystrix::default)))),
        ("juspay", Box::new(|| Box::new(Priority::new(JuspayScore::default)))),
        ("srv3-125", Box::new(|| Box::new(SuccessRate::new(125, 0.0, false)))),
        ("srv3-200h", Box::new(|| Box::new(SuccessRate::new(200, 0.01, false)))),
        ("dts", Box::new(|| Box::new(Thompson::new(0.9995)))),
        ("swucb", Box::new(|| Box::new(SlidingUcb::new(2000, 0.5)))),
        ("ours", Box::new(|| Box::new(Ours::new(Settings::default())))),
    ];
    let worlds = if held { world::held_out() } else { world::nine() };
    let want = std::env::var("WORLD").unwrap_or_default();
    let worlds: Vec<_> = worlds.into_iter().filter(|w| w.name.starts_with(&want)).collect();
    for (name, make) in all.iter().filter(|(n, _)| only.is_empty() || n.contains(&only)) {
        let mut total = 0.0;
        print!("{name:10}");
        for world in &worlds {
            let mut sum = 0.0;
            let mut sq = 0.0;
            let mut switches = 0.0;
            for seed in 0..seeds {
                let f = run(world, 1000 + seed, make().as_mut());
                if std::env::var("EACH").is_ok() { eprint!("{:.0} ", f.regret); }
                sum += f.regret;
                sq += f.regret * f.regret;
                switches += f.switches;
            }
            let n = seeds as f64;
            let mean = sum / n;
            let sd = (sq / n - mean * mean).max(0.0).sqrt();
            total += mean;
            print!(" {}:{:.0}±{:.0}({:.1})", world.name, mean, 1.96 * sd / n.sqrt(), switches / n);
        }
        println!(" total {total:.0}");
    }
}
