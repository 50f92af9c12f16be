//! The configuration's state as the API tells it.

use domain::{ChannelId, Status, Timestamp};
use server::{ArmsView, ConfigStatus, Draining, Refusal, RolloutView, VersionView};
use store::{Filter, Version};

use super::Live;

/// At most so many open payments of a channel are counted.
const COUNTED_MAX: usize = 1_000;

/// As RFC 3339 in UTC.
pub(super) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| "?".to_owned(), |t| t.to_string())
}

pub(super) fn version(kept: &Version) -> VersionView {
    let new = &kept.new;
    VersionView {
        version: kept.version,
        digest: new.digest.chars().take(12).collect(),
        at: rfc3339(new.at),
        by: new.by.clone(),
        reason: new.reason.clone(),
        parent: new.parent,
        state: new.state.name(),
        cause: kept.cause.clone(),
    }
}

/// A refusal in one line.
pub(super) fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Mistakes(found) => {
            let one = |m: &server::PlacedMistake| {
                format!("{}:{}: {}: {}; {}", m.line, m.column, m.field, m.rule, m.fix)
            };
            found.iter().map(one).collect::<Vec<_>>().join(" | ")
        }
        Refusal::Conflict(fix, why) => format!("{why}; {fix}"),
        Refusal::NotFound => "there is no such version".to_owned(),
        Refusal::Store(error) => error.to_string(),
    }
}

impl Live {
    /// How calls went on these channels since something is tried on them.
    pub(super) fn arms(&self, channels: &[ChannelId]) -> Vec<ArmsView> {
        let view = |channel: &ChannelId| {
            let arms = self.parts.driver.arms(channel).unwrap_or_default();
            ArmsView {
                channel: channel.to_string(),
                candidate: arms.candidate.into(),
                current: arms.current.into(),
            }
        };
        channels.iter().map(view).collect()
    }

    pub(super) async fn views_status(&self) -> Result<ConfigStatus, Refusal> {
        let draining = self.draining().await?;
        let (rollout, needs_restart) = (self.rollout(), self.needs_restart());
        let state = self.state();
        Ok(ConfigStatus {
            version: state.version,
            rollout,
            last: state.last.clone(),
            draining,
            not_saved: state.not_saved.clone(),
            needs_restart,
        })
    }

    fn rollout(&self) -> Option<RolloutView> {
        let now = self.now();
        let state = self.state();
        let trial = state.trial.as_ref()?;
        let rollout = trial.rollout.as_ref();
        Some(RolloutView {
            version: trial.version,
            by: trial.who.by.clone(),
            reason: trial.who.reason.clone(),
            phase: trial.phase,
            stage: rollout.map_or(1, |rollout| rollout.stage() + 1),
            stages: trial.settings.stages.clone(),
            percent: rollout.map_or(0, resilience::Rollout::percent),
            elapsed_s: rollout.map_or(0.0, |rollout| now.since(rollout.since()).as_secs_f64()),
            watch_s: trial.settings.watch.as_secs_f64(),
            waits_for: trial.waits.to_owned(),
            probed: trial.probed,
            channels: self.arms(&trial.touched),
        })
    }

    /// Channels that are gone from the configuration and may still have attempts that are open.
    async fn draining(&self) -> Result<Vec<Draining>, Refusal> {
        let running = self.running.load_full();
        let tried = self.state().trial.as_ref().map(|t| t.touched.clone()).unwrap_or_default();
        let gone = self.parts.driver.channels().into_iter();
        let gone = gone.filter(|id| running.channel(id).is_none() && !tried.contains(id));
        let mut draining = Vec::new();
        for channel in gone {
            let open = self.open_on(&channel).await?;
            if open > 0 {
                draining.push(Draining { channel: channel.to_string(), open });
            }
        }
        Ok(draining)
    }

    /// How many payments with an attempt on this channel have not ended.
    pub(super) async fn open_on(&self, channel: &ChannelId) -> Result<usize, Refusal> {
        let open = [
            Status::Processing,
            Status::RequiresCustomer,
            Status::Confirming,
            Status::Unavailable,
            Status::Cancelling,
            Status::Expiring,
        ];
        let mut count = 0;
        for status in open {
            let filter = Filter {
                channel: Some(channel.clone()),
                status: Some(status),
                limit: COUNTED_MAX,
                ..Filter::default()
            };
            count += self.parts.engine.store().list(&filter).await?.len();
        }
        Ok(count)
    }
}
