//! Minute by minute.
use rand::{RngExt, SeedableRng};
use routing_bench::{ours::Ours, run::Router, world::*};
use std::collections::VecDeque;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let name = &args[1];
    let seed: u64 = args[2].parse().unwrap();
    let world = nine().into_iter().chain(held_out()).find(|w| &w.name == name).unwrap();
    let mut r = Ours::new(resilience::Settings::default());
    let mut o = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut d = rand_chacha::ChaCha8Rng::seed_from_u64(seed ^ 0x00D1_CE00);
    let mut pend: VecDeque<(usize, bool)> = VecDeque::new();
    let (mut reg, mut cnt, mut sw, mut last) = (0.0, [0; 4], 0, 0);
    for t in 0..world.payments() {
        if t >= LAG { let (c, g) = pend.pop_front().unwrap(); r.learn(c, g, t - LAG, t); }
        let p = world.rates(t);
        let u: [f64; 4] = std::array::from_fn(|_| o.random());
        let c = r.choose(t, d.random());
        pend.push_back((c, u[c] < p[c]));
        reg += p.iter().copied().fold(0.0, f64::max) - p[c];
        cnt[c] += 1;
        let l = r.leader(t);
        if l != last { sw += 1; last = l; }
        if t % 1500 == 1499 {
            println!("{:5.1} reg {reg:6.1} lead {l} sw {sw} cnt {cnt:?} rates {p:.2?} {}", t as f64 / 3000.0, r.describe(t));
            reg = 0.0; cnt = [0; 4]; sw = 0;
        }
    }
}
