//! Health of channels and the choice among them, as pure functions of outcomes and time.

mod ages;
mod base;
mod board;
mod cell;
mod choose;
mod cusum;
mod declines;
mod issuers;
mod latency;
mod load;
mod rank;
mod route;
mod settings;

pub use ages::Ages;
pub use base::{Base, Prior};
pub use board::{Board, CellKey, Lane, Sent};
pub use cell::{Cause, Cell, HealthState, Observation, Trouble};
pub use choose::{Decision, Request, Why};
pub use cusum::{ARMS, Bank, MILD, RATIOS, Verdict, fallen, run_limit};
pub use declines::{DeclineMix, DeclineShift};
pub use issuers::Issuer;
pub use latency::Latency;
pub use load::{Headroom, RetryBudget};
pub use rank::{Climate, Drifting, Estimate};
pub use route::{Candidate, Excluded, Plan, plan};
pub use settings::Settings;
