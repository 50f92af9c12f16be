//! Prints the table of thresholds for `resilience`: limit less the log of the run length.
use resilience::{ARMS, fallen};
use routing_bench::exact::*;

fn main() {
    for p1 in [0.0, 0.3, 0.6, 0.8] {
        eprintln!("bound {p1}: {:.2}", bound(0.92, p1, 1e6));
    }
    println!("[");
    for base in [0.5, 0.6, 0.7, 0.8, 0.88, 0.92, 0.95, 0.98, 0.99, 0.998] {
        let arl = 4e6;
        let of = |arm: usize| limit_for(base, fallen(base, arm), arl) - f64::ln(arl);
        let row: Vec<String> = (0..ARMS).map(|arm| format!("{:.2}", of(arm))).collect();
        println!("    ({base:?}, [{}]),", row.join(", "));
    }
    println!("]");
}
