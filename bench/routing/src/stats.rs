//! Means with their 95 % intervals.

use serde::Serialize;

/// A mean over seeds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % interval.
    pub half: f64,
    /// The 95th percentile of the values.
    pub p95: f64,
}

impl Mean {
    /// Of these values.
    pub fn of(values: &[f64]) -> Mean {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let deviation = (spread / (count - 1.0).max(1.0)).sqrt();
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let rank = ((count * 0.95).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
        let p95 = sorted.get(rank).copied().unwrap_or_default();
        Mean { mean, half: 1.96 * deviation / count.sqrt(), p95 }
    }
}

impl std::fmt::Display for Mean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = usize::from(self.mean.abs() < 100.0);
        write!(f, "{:.digits$} ± {:.digits$}", self.mean, self.half)
    }
}
