//! Health of channels and the choice among them, as pure functions of outcomes and time.
//!
//! A [`Board`] is told what was sent, answered, paid and declined, and says where the next
//! payment should go. It knows no clock and no dice: both come in.
//!
//! * `base`, `cusum`: the learned rate of a stream and the bank of sequential tests on it.
//! * `ages`, `latency`, `declines`: evidence from silence, from slowness, and from reasons.
//! * `cell`: the breaker of one cell: falling, probing, recovering, ramping.
//! * `issuers`: whether a fault is a bank's or a channel's.
//! * `rank`, `choose`: what success to expect, who leads, what is tried besides.
//! * `load`: headroom and the retry budget. `route`: the plan with its reasons, in names.
//!
//! Kept in every state: an estimate is a probability; a statistic is finite and not below
//! zero; a ramp gives at most its share; no lane is chosen beyond its headroom.
//!
//! * `fees`, `rules`: what a payment costs, and what the merchant's rules say of it.
//!
//! Not done here: calling providers for synthetic probes and reading their status pages. Those
//! feed this crate.

mod ages;
mod base;
mod board;
mod cell;
mod choose;
mod cusum;
mod declines;
mod fees;
mod guide;
mod issuers;
mod ladder;
mod latency;
mod load;
mod rank;
mod rollout;
mod route;
mod rules;
mod series;
mod settings;

pub use ages::Ages;
pub use base::{Base, Prior};
pub use board::{Board, CellKey, Lane, Sent, Severity};
pub use cell::{Cause, Cell, HealthState, Observation, Trouble};
pub use choose::{Decision, Request, Why};
pub use cusum::{ARMS, Bank, MILD, RATIOS, Verdict, fallen, run_limit};
pub use declines::{DeclineMix, DeclineShift};
pub use fees::{Fee, FeeTable, InvalidFee, RATE_PPM_MAX};
pub use guide::Guide;
pub use issuers::Issuer;
pub use ladder::{LadderPolicy, LadderSettings, LaneSight, Move};
pub use latency::Latency;
pub use load::{Headroom, RetryBudget};
pub use rank::{Climate, Drifting, Estimate};
pub use rollout::{
    Cause as RolloutCause, Judgement, Rollout, RolloutSettings, RolloutStep, Seen,
    Waits as RolloutWaits, judge as judge_rollout,
};
pub use route::{Candidate, Occasion, Out, Plan, Weighed, plan, plan_quietly};
pub use rules::{
    DEPTH_MAX, Facts, FailedRule, InvalidRule, RULES_MAX, RuleText, Rules, Ruling, Standing,
    TEXT_MAX, Then, WEIGHT_MAX, Wrong,
};
pub use series::{Point, Series};
pub use settings::Settings;
