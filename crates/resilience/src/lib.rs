//! Health of channels and the choice among them, as pure functions of outcomes and time.

mod health;
mod route;

pub use health::{Board, Cell, CellKey, HealthState, Observation, Settings};
pub use route::{Candidate, Excluded, Plan, plan};
