//! The health of one cell: its tests, its breaker and its ramp.
//!
//! A cell falls by a test's alarm, waits out a hold-off, is probed, and comes back when a
//! sequential test between "still at the fault's rate" and "back at the base" says so; then
//! its share grows by steps, and a lower limit guards it until it has all of its traffic.
//!
//! Technical outcomes and results of payments are two streams with a base each. A decline is
//! a technical success (rule 11); that *many more* payments than usual fail to be paid is a
//! fact of its own and has its own cause.

use std::time::Duration;

use domain::{Class, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Settings;
use crate::base::{Base, Prior, hour_of};
use crate::cusum::{Bank, Verdict, run_limit};
use crate::rank::{Climate, Drifting, Estimate};

/// How a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum HealthState {
    /// Takes all traffic.
    Healthy,
    /// Takes all traffic that ranking gives it, but something is going on.
    Suspect,
    /// Takes none until `until`.
    Down {
        /// When it may be probed.
        until: Timestamp,
    },
    /// Takes single payments to find out.
    Probing {
        /// Probes that went well so far.
        good: u32,
        /// When the last probe was let through.
        last: Timestamp,
    },
    /// Takes a growing share.
    Ramping {
        /// The share in percent: 5, 25 or 50.
        share: u8,
        /// Successes at this step so far.
        good: u32,
    },
}

impl HealthState {
    /// The name that the API and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            HealthState::Healthy => "healthy",
            HealthState::Suspect => "suspect",
            HealthState::Down { .. } => "down",
            HealthState::Probing { .. } => "probing",
            HealthState::Ramping { .. } => "ramping",
        }
    }

    /// Whether it is out of service but for probes.
    pub fn is_out(self) -> bool {
        matches!(self, HealthState::Down { .. } | HealthState::Probing { .. })
    }
}

/// Which evidence took a cell down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Calls fail.
    Technical,
    /// The provider refuses our requests one after the other.
    Refused,
    /// Far fewer payments than usual are paid.
    Approval,
    /// Calls are not answered.
    Hang,
    /// Codes are shown and nobody pays.
    Conversion,
    /// The provider said that it will be away.
    Maintenance,
}

impl Cause {
    /// The name that the API and metrics use.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Technical => "technical",
            Cause::Refused => "refused",
            Cause::Approval => "approval",
            Cause::Hang => "hang",
            Cause::Conversion => "conversion",
            Cause::Maintenance => "maintenance",
        }
    }
}

/// What a call or a payment told about its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The channel did its work, whatever the customer's bank said.
    Good,
    /// A technical failure.
    Bad,
    /// The provider refused the request as wrong: key, certificate, permission or parameter.
    Refused,
    /// A payment on the cell ended paid.
    Paid,
    /// A payment on the cell ended unpaid, whatever the reason.
    Unpaid,
}

impl Observation {
    /// What the class of a call's outcome says about health (rule 11).
    pub fn of(class: Class) -> Observation {
        match class {
            Class::Ok | Class::Declined => Observation::Good,
            Class::Unavailable | Class::Unknown => Observation::Bad,
            Class::Rejected => Observation::Refused,
        }
    }
}

/// Evidence of recovery kept beyond what is needed, nats.
const SURPLUS: f64 = 1.0;

/// The fault that a cell has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trouble {
    /// The evidence.
    pub cause: Cause,
    /// When it was found.
    pub since: Timestamp,
    /// The rate of success that it left, as far as known.
    pub rate: Estimate,
    good: f64,
    all: f64,
    /// Evidence that it is over, nats.
    recovery: f64,
    /// Outcomes that were asked for this evidence.
    asked: f64,
    /// Since when nothing spoke against recovery.
    clean_since: Timestamp,
}

impl Trouble {
    fn new(cause: Cause, (good, all): (u32, u32), since: Timestamp) -> Trouble {
        let rate = Estimate { mean: 0.5, variance: 0.1 };
        let (good, all) = (f64::from(good), f64::from(all));
        let mut trouble = Trouble {
            cause,
            since,
            rate,
            good,
            all,
            recovery: 0.0,
            asked: 0.0,
            clean_since: since,
        };
        trouble.estimate();
        trouble
    }

    fn estimate(&mut self) {
        let mean = (self.good + 0.5) / (self.all + 1.0);
        self.rate = Estimate { mean, variance: mean * (1.0 - mean) / (self.all + 1.0) };
    }

    fn count(&mut self, good: bool) {
        self.good += f64::from(u8::from(good));
        self.all += 1.0;
        self.estimate();
    }

    /// Page's test for the way up, between the fault's rate and the base.
    fn recover(&mut self, good: bool, base: f64, now: Timestamp, settings: &Settings) {
        let fault = self.rate.mean.clamp(0.02, (base * 0.97).max(0.021));
        let base = base.max(fault + 0.01).min(0.998);
        let score = if good { base / fault } else { (1.0 - base) / (1.0 - fault) };
        // What it says beyond what is needed is not hoarded: a second fault must show at once.
        let needed = self.needed(settings);
        self.recovery = (self.recovery + score.ln()).clamp(0.0, needed + SURPLUS);
        self.asked += 1.0;
        if self.recovery <= needed / 2.0 {
            self.clean_since = now;
        }
    }

    /// Evidence that ends it, nats. The more outcomes were asked, the more they must say, or
    /// chance would have its way in the end.
    fn needed(&self, settings: &Settings) -> f64 {
        settings.recover_nats + (1.0 + self.asked / 60.0).ln().min(6.0)
    }

    /// Whether it is over. After relapses it must have looked so for a while.
    fn is_over(&self, relapses: u32, now: Timestamp, settings: &Settings) -> bool {
        let wait_ms = if relapses == 0 { 0 } else { 12_000 * (1 + u64::from(relapses.min(2))) };
        self.recovery >= self.needed(settings)
            && now.since(self.clean_since) >= Duration::from_millis(wait_ms)
    }
}

/// A stream of outcomes with its learned base and its tests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stream {
    pub(crate) base: Base,
    pub(crate) bank: Bank,
}

impl Stream {
    fn new(prior: Prior, log_arl: f64) -> Stream {
        Stream { base: Base::new(prior), bank: Bank::new(log_arl) }
    }

    /// `cap` bounds the base that is tested against, where the rate is known to be lower now.
    fn take(&mut self, good: bool, cap: f64, hour: usize, settings: &Settings) -> Verdict {
        // Decided before the outcome is looked at, which keeps the learned rate unbiased.
        let learn = self.bank.statistic() < settings.suspect_nats;
        let verdict = self.bank.take(good, self.base.cautious(hour, 1.0).min(cap).max(0.01));
        if learn {
            self.base.count(good, hour);
        }
        verdict
    }
}

/// One cell's health.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// How it is.
    pub state: HealthState,
    /// The highest statistic of its tests, in nats, at least 0.
    pub statistic: f64,
    /// Failures and refusals in a row.
    pub failures_in_a_row: u32,
    /// When the state last changed.
    pub changed_at: Timestamp,
    /// When it last fell, for the doubling of the hold-off.
    pub fell_at: Option<Timestamp>,
    /// Falls within an hour of each other.
    pub relapses: u32,
    /// Outcomes seen, good and bad.
    pub seen: (u64, u64),
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
    pub(crate) technical: Stream,
    pub(crate) approval: Stream,
    pub(crate) drifting: Drifting,
    step_at: Timestamp,
    /// It was given all traffic although it was out, because all others were out too.
    pub(crate) carried: bool,
    pub(crate) next_probe: Timestamp,
    /// Milliseconds between probes, as routing last set it from what a probe costs.
    pub(crate) probe_every_ms: u64,
}

impl Cell {
    pub(crate) fn new(now: Timestamp, settings: &Settings) -> Cell {
        Cell {
            state: HealthState::Healthy,
            statistic: 0.0,
            failures_in_a_row: 0,
            changed_at: now,
            fell_at: None,
            relapses: 0,
            seen: (0, 0),
            trouble: None,
            technical: Stream::new(settings.technical_prior(), settings.log_arl()),
            approval: Stream::new(settings.approval_prior(), settings.log_arl()),
            drifting: Drifting::new(now),
            step_at: now,
            carried: false,
            next_probe: now,
            probe_every_ms: settings.probe_every_ms,
        }
    }

    /// Success to expect of it, for ranking.
    pub fn estimate(&self, climate: &Climate, now: Timestamp) -> Estimate {
        let base = self.approval.base.mean();
        match self.trouble {
            Some(trouble) if self.state.is_out() || self.state == HealthState::Suspect => {
                self.left(&trouble)
            }
            _ if climate.drifting() => self.drifting.estimate(self.anchor(climate), now),
            _ => Estimate { mean: base, variance: self.approval.base.variance() },
        }
    }

    /// Success that a fault leaves. A technical fault leaves its share of the usual approvals.
    fn left(&self, trouble: &Trouble) -> Estimate {
        let share = match trouble.cause {
            Cause::Approval | Cause::Conversion => 1.0,
            _ => self.approval.base.mean() / self.technical.base.mean(),
        };
        let Estimate { mean, variance } = trouble.rate;
        Estimate { mean: mean * share, variance: variance * share * share }
    }

    /// The evidence that is closest to taking it down, and where it would, in nats.
    pub fn evidence(&self, settings: &Settings) -> (f64, f64) {
        if let HealthState::Ramping { share, .. } = self.state {
            let broken = |stream: &Stream| stream.bank.broken_statistic();
            let sum = broken(&self.technical).max(broken(&self.approval));
            return (sum, relapse_limit(share, settings));
        }
        let (technical, approval) = (self.technical.bank.lead(), self.approval.bank.lead());
        let closer = approval.0 * technical.1 > technical.0 * approval.1;
        if closer { approval } else { technical }
    }

    /// The share of calls that work on a good day, as learned.
    pub fn technical_base(&self) -> f64 {
        self.technical.base.mean()
    }

    /// The share of payments that are paid on a good day, as learned.
    pub fn approval_base(&self) -> f64 {
        self.approval.base.mean()
    }

    /// The share of traffic that its breaker lets through, in percent.
    pub fn share_percent(&self) -> u8 {
        match self.state {
            HealthState::Healthy | HealthState::Suspect => 100,
            HealthState::Down { .. } | HealthState::Probing { .. } => 0,
            HealthState::Ramping { share, .. } => share,
        }
    }

    /// Takes in for ranking only whether a payment was made. A customer's refusal is no sign
    /// of bad health (rule 11), and a channel on which fewer are refused is still the better.
    pub(crate) fn rank(&mut self, paid: bool, now: Timestamp, climate: &mut Climate) {
        if self.state.is_out() {
            return;
        }
        let ramping = matches!(self.state, HealthState::Ramping { .. });
        if !ramping && self.trouble.is_none() {
            self.compare_views(paid, now, climate);
        }
        let anchor = self.anchor(climate);
        self.drifting.take(paid, anchor, now);
        self.approval.base.count(paid, hour_of(now));
    }

    /// How many results of payments its estimate rests on.
    pub fn known(&self) -> f64 {
        self.approval.base.weight()
    }

    /// Takes one outcome in, of something sent at `sent_at`.
    pub(crate) fn record(
        &mut self,
        seen: Observation,
        sent_at: Timestamp,
        now: Timestamp,
        climate: &mut Climate,
        settings: &Settings,
    ) {
        let good = matches!(seen, Observation::Good | Observation::Paid);
        if good {
            self.seen.0 += 1;
        } else {
            self.seen.1 += 1;
        }
        if self.state.is_out() {
            self.record_out(seen, good, sent_at, now, settings);
        } else {
            self.record_in(seen, good, now, climate, settings);
        }
    }

    /// An outcome while the cell takes traffic.
    fn record_in(
        &mut self,
        seen: Observation,
        good: bool,
        now: Timestamp,
        climate: &mut Climate,
        settings: &Settings,
    ) {
        let hour = hour_of(now);
        let ramping = matches!(self.state, HealthState::Ramping { .. });
        let verdict = match seen {
            Observation::Refused => self.run(now, settings),
            Observation::Good | Observation::Bad => {
                let verdict = self.technical.take(good, 1.0, hour, settings);
                self.failures_in_a_row = if good { 0 } else { self.failures_in_a_row + 1 };
                (verdict, Cause::Technical)
            }
            Observation::Paid | Observation::Unpaid => {
                if !ramping && self.trouble.is_none() {
                    self.compare_views(good, now, climate);
                }
                let anchor = self.anchor(climate);
                let cap =
                    if climate.drifting() { self.drifting.estimate(anchor, now).mean } else { 1.0 };
                self.drifting.take(good, anchor, now);
                (self.approval.take(good, cap, hour, settings), Cause::Approval)
            }
        };
        self.statistic = self.technical.bank.statistic().max(self.approval.bank.statistic());
        let (verdict, cause) = verdict;
        let relapse = match self.state {
            // With more traffic there are more chances for a false alarm, and less to gain.
            HealthState::Ramping { share, .. } => {
                self.broken_statistic(cause) >= relapse_limit(share, settings)
            }
            _ => false,
        };
        match verdict {
            Verdict::Broken => {
                climate.excuse();
                self.fall(cause, now, settings);
            }
            _ if relapse => self.fall(cause, now, settings),
            Verdict::Mild if !climate.drifting() && self.trouble.is_none() => {
                climate.excuse();
                self.ail(cause, now);
            }
            Verdict::Mild => self.bank(cause).reset(),
            Verdict::Quiet => self.carry_on(cause, good, now, settings),
        }
    }

    fn bank(&mut self, cause: Cause) -> &mut Bank {
        match cause {
            Cause::Approval | Cause::Conversion => &mut self.approval.bank,
            _ => &mut self.technical.bank,
        }
    }

    fn broken_statistic(&mut self, cause: Cause) -> f64 {
        self.bank(cause).broken_statistic()
    }

    /// A refusal may be one careless caller's: only a run of them counts.
    fn run(&mut self, now: Timestamp, settings: &Settings) -> (Verdict, Cause) {
        self.failures_in_a_row += 1;
        let base = self.technical.base.cautious(hour_of(now), 1.0);
        let broken = self.failures_in_a_row >= run_limit(base, settings.log_arl());
        (if broken { Verdict::Broken } else { Verdict::Quiet }, Cause::Refused)
    }

    fn anchor(&self, climate: &Climate) -> f64 {
        let base = &self.approval.base;
        if climate.drifting() { climate.anchor(base.mean(), base.weight()) } else { base.mean() }
    }

    fn compare_views(&self, good: bool, now: Timestamp, climate: &mut Climate) {
        let base = self.approval.base.mean();
        if self.approval.base.weight() >= 200.0 {
            climate.take(good, base, self.drifting.estimate(base, now).mean);
        }
    }

    /// Nothing new: grow the ramp, heal a mild fault, or note suspicion.
    fn carry_on(&mut self, cause: Cause, good: bool, now: Timestamp, settings: &Settings) {
        if let HealthState::Ramping { share, good: count } = self.state {
            if good {
                self.grow(share, count + 1, now, settings);
            }
            return;
        }
        let base = self.base_of(cause, now);
        if let Some(trouble) = self.trouble.as_mut().filter(|t| t.cause == cause) {
            trouble.recover(good, base, now, settings);
            if trouble.is_over(0, now, settings) {
                self.trouble = None;
                self.bank(cause).reset();
            }
        }
        // It takes more to become suspect than to stay so, or the name would flicker.
        let limit = if self.state == HealthState::Suspect { 1.0 } else { 2.0 };
        let suspect = self.trouble.is_some() || self.statistic >= limit * settings.suspect_nats;
        self.enter(if suspect { HealthState::Suspect } else { HealthState::Healthy }, now);
    }

    fn base_of(&self, cause: Cause, now: Timestamp) -> f64 {
        let hour = hour_of(now);
        match cause {
            Cause::Approval | Cause::Conversion => self.approval.base.mean_at(hour),
            _ => self.technical.base.mean_at(hour),
        }
    }

    /// An outcome while the cell is out: of what was sent before it fell, or of a probe.
    fn record_out(
        &mut self,
        seen: Observation,
        good: bool,
        sent_at: Timestamp,
        now: Timestamp,
        settings: &Settings,
    ) {
        let Some(trouble) = self.trouble.as_mut() else { return };
        let result = matches!(seen, Observation::Paid | Observation::Unpaid);
        let speaks = match trouble.cause {
            Cause::Approval | Cause::Conversion => result,
            Cause::Technical | Cause::Refused => !result,
            Cause::Hang | Cause::Maintenance => true,
        };
        if !speaks {
            return;
        }
        if sent_at < trouble.since {
            return trouble.count(good);
        }
        let cause = trouble.cause;
        let base = self.base_of(cause, now);
        let Some(trouble) = self.trouble.as_mut() else { return };
        trouble.recover(good, base, now, settings);
        if trouble.is_over(self.relapses, now, settings) {
            self.technical.bank.reset();
            self.approval.bank.reset();
            self.statistic = 0.0;
            self.failures_in_a_row = 0;
            self.step_at = now;
            self.drifting = Drifting::new(now);
            if self.carried {
                self.trouble = None;
                self.enter(HealthState::Healthy, now);
            } else {
                self.enter(HealthState::Ramping { share: 5, good: 0 }, now);
            }
        } else if let HealthState::Probing { good: count, last } = self.state {
            let count = if good { count + 1 } else { 0 };
            self.state = HealthState::Probing { good: count, last };
        }
        if !good {
            self.next_probe = now + Duration::from_millis(self.probe_every_ms);
        } else if self.leans_well() {
            let soon = now + Duration::from_millis(self.probe_every_ms / 10);
            self.next_probe = self.next_probe.min(soon);
        }
    }

    fn leans_well(&self) -> bool {
        self.trouble.is_some_and(|t| t.recovery > 1.0)
    }

    fn grow(&mut self, share: u8, good: u32, now: Timestamp, settings: &Settings) {
        // The first step outlasts the good half of most flapping, at a twentieth of its price.
        let step_ms = match (share, self.relapses) {
            (..25, 0) => 28_000,
            (..25, _) => 30_000,
            _ => settings.ramp_step_ms,
        };
        let waited = now.since(self.step_at) >= Duration::from_millis(step_ms);
        if good < settings.ramp_outcomes || !waited {
            self.state = HealthState::Ramping { share, good };
            return;
        }
        self.step_at = now;
        match share {
            ..25 => self.state = HealthState::Ramping { share: 25, good: 0 },
            25..50 => self.state = HealthState::Ramping { share: 50, good: 0 },
            _ => {
                self.trouble = None;
                self.enter(HealthState::Healthy, now);
            }
        }
    }

    /// Somewhat worse: ranked by what is left of it, and not taken out.
    fn ail(&mut self, cause: Cause, now: Timestamp) {
        let since = self.bank(cause).since_fall();
        self.trouble = Some(Trouble::new(cause, since, now));
        self.bank(cause).reset();
        self.enter(HealthState::Suspect, now);
    }

    pub(crate) fn fall(&mut self, cause: Cause, now: Timestamp, settings: &Settings) {
        self.carried = false;
        let since = self.bank(cause).since_fall();
        self.trouble = Some(Trouble::new(cause, since, now));
        let relapse = self.fell_at.is_some_and(|at| now.since(at) < Duration::from_secs(3_600));
        self.relapses = if relapse { self.relapses + 1 } else { 0 };
        let wait = settings
            .hold_off_ms
            .saturating_mul(1 << self.relapses.min(20))
            .min(settings.hold_off_max_ms.max(settings.hold_off_ms));
        self.fell_at = Some(now);
        self.technical.bank.reset();
        self.approval.bank.reset();
        self.statistic = 0.0;
        self.failures_in_a_row = 0;
        let until = now + Duration::from_millis(wait);
        self.next_probe = until;
        self.enter(HealthState::Down { until }, now);
    }

    /// Out of service from now until a known time; no relapse, and no doubt about the cause.
    pub(crate) fn pause(&mut self, until: Timestamp, now: Timestamp) {
        self.trouble = Some(Trouble::new(Cause::Maintenance, (0, 20), now));
        self.technical.bank.reset();
        self.approval.bank.reset();
        self.next_probe = until;
        self.enter(HealthState::Down { until }, now);
    }

    /// Somebody else says that it is broken: fewer outcomes of its own are needed to believe
    /// that, and its own successes still refute it.
    pub(crate) fn hint(&mut self, share: f64, now: Timestamp, settings: &Settings) {
        if self.state.is_out() {
            return;
        }
        let base = self.technical.base.cautious(hour_of(now), 1.0);
        self.technical.bank.head_start(share, base);
        self.statistic = self.technical.bank.statistic().max(self.approval.bank.statistic());
        if self.state == HealthState::Healthy && self.statistic >= settings.suspect_nats {
            self.enter(HealthState::Suspect, now);
        }
    }

    /// Its absence was called off: it may be probed now.
    pub(crate) fn recall(&mut self, now: Timestamp) {
        let away = self.trouble.is_some_and(|t| t.cause == Cause::Maintenance);
        if away && matches!(self.state, HealthState::Down { .. }) {
            self.state = HealthState::Down { until: now };
            self.next_probe = now;
        }
    }

    /// Takes back a fall that turned out to be another's fault.
    pub(crate) fn absolve(&mut self, now: Timestamp) {
        self.trouble = None;
        self.technical.bank.reset();
        self.approval.bank.reset();
        self.statistic = 0.0;
        self.failures_in_a_row = 0;
        self.enter(HealthState::Suspect, now);
    }

    fn enter(&mut self, state: HealthState, now: Timestamp) {
        if self.state.name() != state.name() {
            self.changed_at = self.changed_at.max(now);
        }
        self.state = state;
    }

    /// Notes that it gets all traffic because nothing is better.
    pub(crate) fn carry(&mut self) {
        self.carried = self.state.is_out();
    }

    /// Whether it ails and should be asked now and then, though it is ranked behind.
    pub(crate) fn ails(&self) -> bool {
        self.trouble.is_some() && self.state == HealthState::Suspect
    }

    /// Whether a payment may be spent on finding out how it is.
    pub(crate) fn probe_due(&self, now: Timestamp) -> bool {
        (self.state.is_out() || self.ails()) && now >= self.next_probe
    }

    /// Notes that a payment was sent to the cell. `dice` in `[0, 1)` jitters the next probe.
    pub(crate) fn sent(&mut self, dice: f64, now: Timestamp) {
        match self.state {
            HealthState::Down { until } if now >= until => {
                self.enter(HealthState::Probing { good: 0, last: now }, now);
            }
            HealthState::Probing { good, .. } => {
                self.state = HealthState::Probing { good, last: now }
            }
            HealthState::Suspect if self.trouble.is_some() => {}
            _ => return,
        }
        let every = if self.leans_well() { self.probe_every_ms / 10 } else { self.probe_every_ms };
        let jittered = every as f64 * (0.8 + 0.4 * dice);
        self.next_probe = now + Duration::from_millis(jittered as u64);
    }
}

/// Evidence at which a cell falls again that has this share of its traffic, nats.
fn relapse_limit(share: u8, settings: &Settings) -> f64 {
    settings.relapse_nats + 1.5 * (f64::from(share) / 5.0).ln()
}
