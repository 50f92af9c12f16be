//! Health of channels and the choice among them, as pure functions of outcomes and time.

macro_rules! tune { ($n:literal, $d:expr) => {{ static V: std::sync::OnceLock<f64> = std::sync::OnceLock::new(); *V.get_or_init(|| std::env::var($n).ok().and_then(|v| v.parse().ok()).unwrap_or($d)) }}; }
mod base;
mod board;
mod cell;
mod choose;
mod cusum;
mod rank;
mod route;
mod settings;

pub use base::{Base, Prior};
pub use board::{Board, CellKey, Lane};
pub use cell::{Cause, Cell, HealthState, Observation, Trouble};
pub use choose::{Decision, Request, Why};
pub use cusum::{ARMS, Bank, MILD, RATIOS, Verdict, run_limit};
pub use rank::{Climate, Drifting, Estimate};
pub use route::{Candidate, Excluded, Plan, plan};
pub use settings::Settings;
