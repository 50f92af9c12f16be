//! What the tests assume and when the breaker acts.

use serde::{Deserialize, Serialize};

use crate::base::Prior;

/// Settings of health and routing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Mean number of healthy outcomes between two false alarms of one stream.
    pub false_alarm_outcomes: f64,
    /// Share of technical successes believed before anything is seen.
    pub technical_base: f64,
    /// Share of approvals believed before anything is seen.
    pub approval_base: f64,
    /// From this statistic on its base is not learned; at twice as much a cell is suspect (nats).
    pub suspect_nats: f64,
    /// A ramping cell falls again at this statistic (nats); lower than the healthy limit.
    pub relapse_nats: f64,
    /// Evidence that a fallen cell is back at its base (nats).
    pub recover_nats: f64,
    /// First wait before a fallen cell is probed.
    pub hold_off_ms: u64,
    /// Longest wait; the hold-off doubles with each relapse within an hour.
    pub hold_off_max_ms: u64,
    /// Time between probes of a cell that loses everything; milder faults are probed more
    /// often, at the same loss.
    pub probe_every_ms: u64,
    /// Least time at 25 and at 50 percent of the ramp.
    pub ramp_step_ms: u64,
    /// Good outcomes at each step of the ramp.
    pub ramp_outcomes: u32,
    /// Share of payments that try another channel in quiet times.
    pub explore: f64,
    /// The same while a cell is hardly known or might be better than the leader.
    pub explore_doubtful: f64,
    /// The same while another looks better but not beyond doubt, or rates drift.
    pub explore_hopeful: f64,
    /// Lanes whose success differs by no more than this share of payments are as good as each
    /// other, and price decides between them.
    pub near_success: f64,
    /// Retries allowed, as a share of first attempts.
    pub retry_share: f64,
    /// Evidence that calls hang or codes are not paid (nats).
    pub silence_nats: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            false_alarm_outcomes: 4e6,
            technical_base: 0.995,
            approval_base: 0.9,
            suspect_nats: 3.0,
            relapse_nats: 8.0,
            recover_nats: 6.0,
            hold_off_ms: 5_000,
            hold_off_max_ms: 1_800_000,
            probe_every_ms: 10_000,
            ramp_step_ms: 8_000,
            ramp_outcomes: 10,
            explore: 0.005,
            explore_doubtful: 0.03,
            explore_hopeful: 0.03,
            near_success: 0.002,
            retry_share: 0.1,
            silence_nats: 11.0,
        }
    }
}

impl Settings {
    /// Nats of a false alarm.
    pub(crate) fn log_arl(&self) -> f64 {
        self.false_alarm_outcomes.max(10.0).ln()
    }

    pub(crate) fn technical_prior(&self) -> Prior {
        Prior { mean: self.technical_base, weight: 200.0 }
    }

    pub(crate) fn approval_prior(&self) -> Prior {
        Prior { mean: self.approval_base, weight: 2.0 }
    }
}
