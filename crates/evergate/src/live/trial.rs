//! A version on trial: a signed question first, then a growing share of the payments, then all
//! of them; and back by itself when the touched channels fare worse.
//!
//! What decides is pure and elsewhere ([`resilience::Rollout`]); here it is carried out.

use std::sync::Arc;
use std::time::Duration;

use domain::{ChannelId, Share};
use incidents::layers::{self, Probed};
use resilience::{Rollout, RolloutSettings, RolloutStep, RolloutWaits, Seen};
use server::{Refusal, RolloutEnd, Who, Wish};
use store::VersionState;
use tokio::sync::{Notify, OwnedMutexGuard};

use super::{Live, Loaded};

/// How often it is looked how a version fares.
const LOOK: Duration = Duration::from_millis(50);
/// How often the end of a trial is tried to be written down.
const TRIES: usize = 30;
/// How long a rollback waits for the trial to have ended.
const END_WITHIN: Duration = Duration::from_secs(10);

/// A version on trial.
pub(super) struct Trial {
    pub(super) version: u64,
    pub(super) who: Who,
    pub(super) phase: &'static str,
    pub(super) settings: RolloutSettings,
    pub(super) touched: Vec<ChannelId>,
    pub(super) rollout: Option<Rollout>,
    pub(super) waits: &'static str,
    pub(super) probed: bool,
    cancelled: Option<Who>,
    wake: Arc<Notify>,
}

/// What the task of a trial holds.
struct Task {
    live: Arc<Live>,
    next: Arc<Loaded>,
    version: u64,
    touched: Vec<ChannelId>,
    settings: RolloutSettings,
    probe: bool,
    who: Who,
    wake: Arc<Notify>,
    _turn: OwnedMutexGuard<()>,
}

impl Live {
    /// Validates a wish, keeps it as a version, and begins to try it.
    pub(super) async fn begin(&self, wish: Wish) -> Result<(), Refusal> {
        let turn = self.turn().await?;
        let known = self.state().version;
        if wish.based_on.is_some() && wish.based_on != known {
            let known = known.map_or_else(|| "none".to_owned(), |version| version.to_string());
            let why = format!("version {known} is in force, not the one that this was made from");
            return Err(Refusal::Conflict("compare again with `evergate config diff`", why));
        }
        let (next, running) = (self.prepare(wish.text).await?, self.running.load_full());
        let is_same = next.config.source.text.expose() == running.config.source.text.expose();
        let touched = running.touched(&next);
        if is_same && touched.is_empty() {
            let fix = "change the text first";
            return Err(Refusal::Conflict(fix, "this is what runs already".to_owned()));
        }
        let mut settings = running.config.changes.rollout();
        if !wish.stages.is_empty() {
            settings.stages = wish.stages;
        }
        if let Some(watch) = wish.watch {
            (settings.watch, settings.patience) = (watch, watch * 10);
        }
        settings.patience = wish.patience.unwrap_or(settings.patience);
        settings.calls_min = wish.calls_min.unwrap_or(settings.calls_min);
        let stages: Vec<String> = settings.stages.iter().map(ToString::to_string).collect();
        let action = format!("apply a configuration in stages {}", stages.join(","));
        let version = self.keep(&next, &wish.who, VersionState::Staged, &action).await?;
        let Some(live) = self.me.upgrade() else { return Err(Refusal::NotFound) };
        let wake = Arc::new(Notify::new());
        self.state().trial = Some(Trial {
            version,
            who: wish.who.clone(),
            phase: "probing",
            settings: settings.clone(),
            touched: touched.clone(),
            rollout: None,
            waits: "the providers' answers",
            probed: false,
            cancelled: None,
            wake: Arc::clone(&wake),
        });
        tracing::info!(version, by = %wish.who.by, reason = %wish.who.reason, "a configuration is tried");
        let task = Task {
            live,
            next: Arc::new(next),
            version,
            touched,
            settings,
            probe: wish.probe,
            who: wish.who,
            wake,
            _turn: turn,
        };
        let task = tokio::spawn(task.run());
        *self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(task);
        Ok(())
    }

    /// Ends what is being tried. `false` when nothing is.
    pub(super) async fn cancel(&self, to: Option<u64>, who: &Who) -> Result<bool, Refusal> {
        let wake = {
            let mut state = self.state();
            let Some(trial) = &mut state.trial else { return Ok(false) };
            if to.is_some() {
                let fix = "end it first: `evergate config rollback` without `--to`";
                let why = format!("version {} is being tried", trial.version);
                return Err(Refusal::Conflict(fix, why));
            }
            trial.cancelled = Some(who.clone());
            Arc::clone(&trial.wake)
        };
        wake.notify_one();
        let until = tokio::time::Instant::now() + END_WITHIN;
        while self.state().trial.is_some() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(true)
    }
}

impl Task {
    async fn run(self) {
        match self.tried().await {
            Ok(()) => self.finish().await,
            Err(cause) => self.back(&cause).await,
        }
        metrics::gauge!("evergate_config_stage_percent").set(0.0);
        self.live.state().trial = None;
    }

    /// Everything up to the end of the last stage. `Err` is why it goes back.
    async fn tried(&self) -> Result<(), String> {
        if self.touched.is_empty() {
            return Ok(());
        }
        let probed = self.probe && self.probes().await?;
        let new = self.next.new_channels(|c| self.touched.contains(&c.built.id));
        let mut rollout = Rollout::new(self.settings.clone(), probed, self.live.now());
        let share = self.share(rollout.percent());
        self.live.parts.driver.try_channels(&new, share).map_err(|error| error.to_string())?;
        // New ones only: what is known keeps its settings until the end.
        let mut banks = crate::wire::banks(&self.next.config);
        banks.retain(|id, _| !self.live.state().banks.contains_key(id));
        self.live.know_banks(banks);
        let options = Arc::new(self.next.options());
        self.live.parts.engine.try_options(Arc::clone(&options), share);
        loop {
            self.tell(&rollout, probed);
            self.wait().await?;
            match rollout.step(&self.seen(), self.live.now()) {
                RolloutStep::Stay(waits) => self.wait_for(waits),
                RolloutStep::Widen(percent) => {
                    let (version, share) = (self.version, self.share(percent));
                    tracing::info!(version, percent, "the configuration is tried on more payments");
                    self.live.parts.driver.set_share(share);
                    self.live.parts.engine.try_options(Arc::clone(&options), share);
                }
                RolloutStep::Finish => return Ok(()),
                RolloutStep::RollBack(channel, cause) => {
                    return Err(format!(
                        "{channel}: {} of {} calls failed with the new settings; the settings in \
                         force then did {} of them",
                        cause.against, cause.of, cause.rescued
                    ));
                }
            }
        }
    }

    fn share(&self, percent: u8) -> Share {
        Share { percent, salt: self.version }
    }

    /// Until it is time to look again. `Err` when somebody has ended the trial.
    async fn wait(&self) -> Result<(), String> {
        tokio::select! {
            () = self.wake.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        let state = self.live.state();
        match state.trial.as_ref().and_then(|trial| trial.cancelled.as_ref()) {
            Some(who) => Err(format!("by {}: {}", who.by, who.reason)),
            None => Ok(()),
        }
    }

    fn seen(&self) -> Vec<Seen> {
        let driver = &self.live.parts.driver;
        let seen = self.touched.iter().map(|channel| {
            let arms = driver.arms(channel).unwrap_or_default();
            Seen { channel: channel.clone(), candidate: arms.candidate, current: arms.current }
        });
        seen.collect()
    }

    fn tell(&self, rollout: &Rollout, probed: bool) {
        metrics::gauge!("evergate_config_stage_percent").set(f64::from(rollout.percent()));
        if let Some(trial) = &mut self.live.state().trial {
            (trial.phase, trial.probed) = ("watching", probed);
            trial.rollout = Some(rollout.clone());
        }
    }

    fn wait_for(&self, waits: RolloutWaits) {
        if let Some(trial) = &mut self.live.state().trial {
            trial.waits = match waits {
                RolloutWaits::Time => "time",
                RolloutWaits::Calls => "calls",
                RolloutWaits::Doubt => "fewer doubts",
            };
        }
    }

    /// Asks every touched provider a signed question with the new settings. `Err` when one
    /// refuses them that takes those in force, or that nothing is in force for; `Ok(false)` when
    /// a provider cannot be asked either way.
    async fn probes(&self) -> Result<bool, String> {
        let mut all_good = true;
        for channel in &self.touched {
            self.wait_not_at_all()?;
            let Some(target) = self.next.targets().into_iter().find(|t| t.channel == *channel)
            else {
                continue;
            };
            let bare = crate::clock::driver();
            let new = self.next.new_channels(|c| c.built.id == *channel);
            bare.set_channels(&new, domain::Timestamp::EPOCH).map_err(|e| e.to_string())?;
            let probed = layers::probe(&bare, &target, self.live.now()).await;
            let Some(why) = broken(&probed) else {
                all_good &= !probed.crowded;
                continue;
            };
            match self.current_is_well(channel).await {
                Some(false) => all_good = false,
                _ => {
                    return Err(format!(
                        "{channel}: a signed question was not answered well: {why}"
                    ));
                }
            }
        }
        Ok(all_good)
    }

    fn wait_not_at_all(&self) -> Result<(), String> {
        let state = self.live.state();
        match state.trial.as_ref().and_then(|trial| trial.cancelled.as_ref()) {
            Some(who) => Err(format!("by {}: {}", who.by, who.reason)),
            None => Ok(()),
        }
    }

    /// Whether the settings in force get a good answer now; `None` when there are none.
    async fn current_is_well(&self, channel: &ChannelId) -> Option<bool> {
        let running = self.live.running.load_full();
        let target = running.targets().into_iter().find(|t| t.channel == *channel)?;
        let probed = layers::probe(&self.live.parts.driver, &target, self.live.now()).await;
        Some(broken(&probed).is_none())
    }

    /// Puts the version in force: the file first, so that a crash in between is found by its
    /// text; then the store; then everything that runs.
    async fn finish(&self) {
        if let Some(trial) = &mut self.live.state().trial {
            trial.phase = "saving";
        }
        let running = self.live.running.load_full();
        self.live.save(&self.next, &running).await;
        if !self.settle(VersionState::Live, None).await {
            self.live.save(&running, &self.next).await;
            return self.back("the store did not keep it").await;
        }
        let until = self.live.now() + self.next.config.changes.overlap();
        let channels = self.live.arms(&self.touched);
        self.live.is_in_force(self.version);
        self.live.parts.signals.settle("rolled_back");
        self.live.parts.driver.keep_tried(until);
        // Bank channels are not tried, but their codecs say what they take.
        let banks = self.next.new_channels(|c| c.settings.offline().is_some());
        if let Err(error) = self.live.parts.driver.set_channels(&banks, until) {
            tracing::error!(%error, "a bank channel was not taken over");
        }
        self.live.follow(Loaded::clone(&self.next));
        let end = RolloutEnd { version: self.version, state: "live", cause: None, channels };
        self.end(end);
    }

    /// Goes back: first where payments are made, then in the books.
    async fn back(&self, cause: &str) {
        let channels = self.live.arms(&self.touched);
        self.live.parts.engine.drop_tried();
        self.live.parts.driver.drop_tried();
        let version = self.version;
        tracing::warn!(version, cause, "a configuration that was tried was rolled back");
        self.live.parts.signals.note("rolled_back", format!("version {version}: {cause}"));
        let cause = Some(cause.to_owned());
        self.settle(VersionState::RolledBack, cause.clone()).await;
        self.end(RolloutEnd { version, state: "rolled_back", cause, channels });
    }

    fn end(&self, end: RolloutEnd) {
        metrics::counter!("evergate_config_rollouts_total", "end" => end.state).increment(1);
        self.live.state().last = Some(end);
    }

    /// Writes the end down; a store that does not answer is asked again, and read back.
    async fn settle(&self, end: VersionState, cause: Option<String>) -> bool {
        let versions = &self.live.parts.versions;
        let action = format!("configuration version {}: {}", self.version, end.name());
        for _ in 0..TRIES {
            let audit = self.live.audit(&self.who, action.clone());
            match versions.settle_version(self.version, end, cause.clone(), audit).await {
                Ok(true) => return true,
                // Settled by a try whose answer was lost, or by nobody we know.
                Ok(false) => {
                    let kept = versions.version(self.version).await;
                    return matches!(kept, Ok(Some(kept)) if kept.new.state == end);
                }
                Err(error) => {
                    tracing::error!(%error, "the end of a trial cannot be written down");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        false
    }
}

fn broken(probed: &Probed) -> Option<String> {
    let broken = probed.broken.as_ref()?;
    Some(format!("{}: {}: {}", broken.layer.name(), broken.code, broken.detail))
}
