//! Detector tables, quickly.
fn main() {
    let which = std::env::args().nth(1).unwrap_or_default();
    if which.contains('d') { for d in routing_bench::detect::delays(2000, 7) { println!("{} {:?} {} p95 {:.0} bound {:.2} ratio {:.2}", d.stream, d.rates, d.outcomes, d.outcomes.p95, d.bound, d.ratio); } }
    if which.contains('h') { for h in routing_bench::silence::hangs(20, 7) { println!("{h:?}"); } }
    if which.contains('s') { for h in routing_bench::silence::slow(40, 7) { println!("{h:?}"); } }
    if which.contains('f') { for r in [0.70, 0.8, 0.92, 0.97] { println!("{:?}", routing_bench::detect::false_alarms(r, 20_000_000, 3)); } }
    if which.contains('y') { for r in [0.70, 0.8, 0.92, 0.97] { println!("{:?}", routing_bench::detect::day(r, 0..3)); } }
}
