//! Exact run lengths of a CUSUM on yes/no outcomes, by solving its Markov chain on a lattice.
//!
//! The sum moves by one of two scores and is held at zero; on a lattice, a move between two
//! points is split between them so that its mean is kept. Expected steps until the limit solve
//! `(I - P) E = 1`, which Gaussian elimination does.

/// Points of the lattice.
const POINTS: usize = 500;

/// Mean outcomes until the sum, from 0, reaches `limit`, when an outcome is good with
/// probability `rate`, and good and bad ones score `good` (below 0) and `bad`.
pub fn run_length(limit: f64, rate: f64, good: f64, bad: f64) -> f64 {
    let step = limit / POINTS as f64;
    let mut rows = vec![vec![0.0; POINTS + 1]; POINTS];
    for (from, row) in rows.iter_mut().enumerate() {
        row[from] += 1.0;
        row[POINTS] = 1.0;
        for (chance, score) in [(rate, good), (1.0 - rate, bad)] {
            let to = (from as f64 + score / step).max(0.0);
            let (low, part) = (to.floor(), to - to.floor());
            for (point, share) in [(low as usize, 1.0 - part), (low as usize + 1, part)] {
                if point < POINTS {
                    row[point] -= chance * share;
                }
            }
        }
    }
    solve(rows)
}

fn solve(mut rows: Vec<Vec<f64>>) -> f64 {
    let size = rows.len();
    // From the last unknown to the first, so that the first is known in the end. The matrix is
    // diagonally dominant: no pivoting is needed.
    for pivot in (0..size).rev() {
        let (above, below) = rows.split_at_mut(pivot);
        let row = &below[0];
        for other in above.iter_mut() {
            let factor = other[pivot] / row[pivot];
            if factor != 0.0 {
                for column in 0..pivot {
                    other[column] -= factor * row[column];
                }
                other[size] -= factor * row[size];
            }
        }
    }
    rows[0][size] / rows[0][0]
}

/// Scores of the test for a fall from `base` to `fallen`.
pub fn scores(base: f64, fallen: f64) -> (f64, f64) {
    ((fallen / base).ln(), ((1.0 - fallen) / (1.0 - base)).ln())
}

/// The limit at which false alarms are `arl` outcomes apart.
pub fn limit_for(base: f64, fallen: f64, arl: f64) -> f64 {
    let (good, bad) = scores(base, fallen);
    let (mut low, mut high) = (1.0, 25.0);
    for _ in 0..18 {
        let middle = 0.5 * (low + high);
        if run_length(middle, base, good, bad) < arl { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// Mean delay of the matched test, in outcomes: the bound for any rule with that `arl`.
pub fn bound(base: f64, fallen: f64, arl: f64) -> f64 {
    // A rate of exactly 0 would score minus infinity.
    let fallen = fallen.max(1e-9);
    let (good, bad) = scores(base, fallen);
    run_length(limit_for(base, fallen, arl), fallen, good, bad)
}
