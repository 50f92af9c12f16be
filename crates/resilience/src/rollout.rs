//! Whether a change that is tried on a share of the payments goes on, or back.
//!
//! Pure: tallies and a time in, a verdict out. Evidence against the change is a call that it
//! could not do and that the settings in force then did at once, or one whose effect is not
//! known; what both could not do is the provider's fault, and declines say nothing (rule 11).
//!
//! The test is sequential, so it may be looked at after every call: the likelihood of what was
//! seen, under failure rates from bad to hopeless, over its likelihood at the rate that is
//! tolerated. A change that fares no worse than tolerated is rolled back with a probability of
//! at most `false_rollbacks`, however long it is watched (Ville's inequality); a key that is
//! always refused is rolled back at the third call, or the fourth where there is nothing to
//! compare with.

use std::time::Duration;

use domain::{ChannelId, Tally, Timestamp};

/// How a change is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct RolloutSettings {
    /// Shares of the payments in percent, growing; the last one is 100.
    pub stages: Vec<u8>,
    /// How long each stage is watched at least.
    pub watch: Duration,
    /// How long a stage waits for enough calls; afterwards a quiet channel is let through if
    /// its provider took a signed question, or some calls went well.
    pub patience: Duration,
    /// Calls to each touched channel that a stage needs.
    pub calls_min: u64,
    /// The largest probability of rolling back a change that is no worse than tolerated.
    pub false_rollbacks: f64,
    /// The rate of failures that a change may have, 0 to 1.
    pub tolerated: f64,
}

impl Default for RolloutSettings {
    fn default() -> Self {
        RolloutSettings {
            stages: vec![10, 50, 100],
            watch: Duration::from_secs(60),
            patience: Duration::from_secs(600),
            calls_min: 20,
            false_rollbacks: 0.001,
            tolerated: 0.02,
        }
    }
}

/// The failure rates that are weighed against the tolerated one, alike.
const SUSPECTED: [f64; 4] = [0.1, 0.25, 0.6, 0.95];

/// What to do with a change on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Too little is known yet.
    GoOn(Waits),
    /// This stage has been passed.
    NextStage,
    /// It fares worse.
    RollBack(Cause),
}

/// What a stage waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Its time.
    Time,
    /// More calls.
    Calls,
    /// Fewer doubts: it does not fare well enough to go on, nor badly enough to go back.
    Doubt,
}

/// Why a change went back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Calls that count against it.
    pub against: u64,
    /// Those of them that the settings in force did at once.
    pub rescued: u64,
    /// Calls that say anything.
    pub of: u64,
}

/// Judges one channel. `candidate` and `current` are counted since the change is tried;
/// `calls` is how many of the candidate's belong to this stage, `elapsed` how long it lasts.
pub fn judge(
    candidate: &Tally,
    current: &Tally,
    calls: u64,
    elapsed: Duration,
    probed: bool,
    settings: &RolloutSettings,
) -> Judgement {
    let (against, of) = (candidate.rescued + candidate.unknown, telling(candidate));
    let log_odds = log_odds(against, candidate.ok, base_rate(current, settings.tolerated));
    if log_odds >= (1.0 / settings.false_rollbacks).ln() {
        return Judgement::RollBack(Cause { against, rescued: candidate.rescued, of });
    }
    if elapsed < settings.watch {
        return Judgement::GoOn(Waits::Time);
    }
    // Half way to the threshold is no time to let more payments in.
    if log_odds >= 0.5 * (1.0 / settings.false_rollbacks).ln() {
        return Judgement::GoOn(Waits::Doubt);
    }
    let is_known = calls >= settings.calls_min;
    let is_quiet = elapsed >= settings.patience && (probed || candidate.ok > 0);
    if is_known || is_quiet { Judgement::NextStage } else { Judgement::GoOn(Waits::Calls) }
}

/// Calls that say something about the change: not those that nobody could do.
fn telling(candidate: &Tally) -> u64 {
    candidate.ok + candidate.rescued + candidate.unknown
}

/// The failure rate that is held against the change: the tolerated one, or what the settings in
/// force have now, with a margin for how little is known of it.
fn base_rate(current: &Tally, tolerated: f64) -> f64 {
    /// The tolerated rate counts as so many calls.
    const PRIOR: f64 = 5.0;
    let calls = current.technical() as f64 + PRIOR;
    let rate = (current.failed() as f64 + PRIOR * tolerated) / calls;
    let margin = (rate * (1.0 - rate) / calls).sqrt();
    (rate + margin).clamp(tolerated, 0.9)
}

/// The log of the mixture of likelihood ratios.
fn log_odds(failed: u64, good: u64, base: f64) -> f64 {
    let (failed, good) = (failed as f64, good as f64);
    let ratio = |suspected: f64| {
        let rate = suspected.max(base);
        failed * (rate / base).ln() + good * ((1.0 - rate) / (1.0 - base)).ln()
    };
    let ratios = SUSPECTED.map(ratio);
    let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = ratios.iter().map(|each| (each - most).exp()).sum();
    most + (sum / SUSPECTED.len() as f64).ln()
}

/// How calls went on one touched channel since the change is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The channel.
    pub channel: ChannelId,
    /// With the change.
    pub candidate: Tally,
    /// Without it.
    pub current: Tally,
}

/// What the driver of a rollout does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutStep {
    /// Nothing.
    Stay(Waits),
    /// Try it on this share of the payments, in percent.
    Widen(u8),
    /// Put it in force.
    Finish,
    /// Go back: because of this channel.
    RollBack(ChannelId, Cause),
}

/// A change on its way through its stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    settings: RolloutSettings,
    stage: usize,
    since: Timestamp,
    probed: bool,
    /// Calls of each channel when the stage began.
    before: Vec<(ChannelId, u64)>,
}

impl Rollout {
    /// Begins with the first stage. `probed`: every touched provider took a signed question.
    pub fn new(settings: RolloutSettings, probed: bool, now: Timestamp) -> Rollout {
        Rollout { settings, stage: 0, since: now, probed, before: Vec::new() }
    }

    /// The stage, from 0.
    pub fn stage(&self) -> usize {
        self.stage
    }

    /// The share of the payments that it is tried on now, in percent.
    pub fn percent(&self) -> u8 {
        self.settings.stages.get(self.stage).copied().unwrap_or(100)
    }

    /// Since when this stage is watched.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Looks at how it goes. The worst channel decides: one that fares worse takes all back,
    /// and one that is not known well enough holds all up.
    pub fn step(&mut self, seen: &[Seen], now: Timestamp) -> RolloutStep {
        let mut waits = None;
        for one in seen {
            match self.judge(one, now) {
                Judgement::RollBack(cause) => {
                    return RolloutStep::RollBack(one.channel.clone(), cause);
                }
                Judgement::GoOn(why) => waits = waits.or(Some(why)),
                Judgement::NextStage => {}
            }
        }
        match waits {
            Some(why) => RolloutStep::Stay(why),
            None if now.since(self.since) < self.settings.watch => RolloutStep::Stay(Waits::Time),
            None => self.advance(seen, now),
        }
    }

    fn judge(&self, one: &Seen, now: Timestamp) -> Judgement {
        let before = self.before.iter().find(|(channel, _)| *channel == one.channel);
        let calls = telling(&one.candidate).saturating_sub(before.map_or(0, |(_, n)| *n));
        let elapsed = now.since(self.since);
        judge(&one.candidate, &one.current, calls, elapsed, self.probed, &self.settings)
    }

    fn advance(&mut self, seen: &[Seen], now: Timestamp) -> RolloutStep {
        if self.stage + 1 >= self.settings.stages.len() {
            return RolloutStep::Finish;
        }
        self.stage += 1;
        self.since = now;
        self.before = seen.iter().map(|s| (s.channel.clone(), s.candidate.technical())).collect();
        RolloutStep::Widen(self.percent())
    }
}
