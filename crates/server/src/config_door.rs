//! What the API asks of whoever holds the configuration, and how it is told.
//!
//! The server reads no configuration; the binary does, and hands in a [`ConfigDoor`].

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use utoipa::ToSchema;

/// Changes the configuration of a running gateway. Every change is one at a time.
#[async_trait]
pub trait ConfigDoor: Send + Sync {
    /// Reads the configuration file and every key again, and takes over what has changed.
    ///
    /// # Errors
    /// Every mistake; nothing is changed then.
    async fn reload(&self, by: &str) -> Result<Reloaded, Refusal>;

    /// What a text would change.
    ///
    /// # Errors
    /// Every mistake in the text.
    async fn diff(&self, text: &str) -> Result<Difference, Refusal>;

    /// Begins to put a text in force.
    ///
    /// # Errors
    /// Every mistake, or why it cannot be begun now; nothing is changed then.
    async fn apply(&self, wish: Wish) -> Result<ConfigStatus, Refusal>;

    /// Goes back to an earlier version, or ends what is being tried.
    ///
    /// # Errors
    /// As for [`apply`](Self::apply).
    async fn rollback(&self, to: Option<u64>, who: &Who) -> Result<ConfigStatus, Refusal>;

    /// Where things stand.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn status(&self) -> Result<ConfigStatus, Refusal>;

    /// Versions, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn versions(&self, limit: usize) -> Result<Vec<VersionView>, Refusal>;

    /// One version with its text, secrets taken out.
    ///
    /// # Errors
    /// When there is none of this number.
    async fn version(&self, number: u64) -> Result<VersionText, Refusal>;
}

/// Who asks for a change, and why (rule 12).
#[derive(Clone, Debug)]
pub struct Who {
    /// The name of the operator's key.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A text to be put in force.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The whole configuration.
    pub text: String,
    /// Who, and why.
    pub who: Who,
    /// The version that it was made from; `None` does not care.
    pub based_on: Option<u64>,
    /// The shares in percent, growing, the last one 100; empty: the default.
    pub stages: Vec<u8>,
    /// How long each stage is watched; `None`: the default.
    pub watch: Option<Duration>,
    /// How long a stage waits for enough calls at most; `None`: the default.
    pub patience: Option<Duration>,
    /// How many calls to each touched channel a stage needs; `None`: the default.
    pub calls_min: Option<u64>,
    /// Whether providers are asked a signed question first.
    pub probe: bool,
}

/// Why a configuration is not taken.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It has mistakes.
    Mistakes(Vec<PlacedMistake>),
    /// Something stands in the way now: what, and what to do.
    Conflict(&'static str, String),
    /// There is no such version.
    NotFound,
    /// The store did not answer.
    Store(store::StoreError),
}

impl From<store::StoreError> for Refusal {
    fn from(error: store::StoreError) -> Refusal {
        Refusal::Store(error)
    }
}

/// A mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedMistake {
    /// From 1; 0 when the text as a whole is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// Such as `channels.alipay-main.app_id`.
    pub field: String,
    /// The rule that it breaks.
    pub rule: String,
    /// What to do.
    pub fix: String,
}

/// What a reload has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Reloaded {
    /// Channels whose settings or keys are new.
    pub channels: Vec<String>,
    /// What else is new: `api_keys`, `merchants`, `routing`, `policy`.
    pub sections: Vec<String>,
    /// Settings that differ in the file and count only after a restart.
    pub needs_restart: Vec<String>,
    /// Until when the keys that were replaced are still believed.
    #[schema(format = DateTime)]
    pub believed_until: Option<String>,
}

/// What a text would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// The version in force, to be sent as `based_on`.
    pub based_on: Option<u64>,
    /// Every setting that differs, by its path.
    pub changes: Vec<ConfigChange>,
    /// The channels that are tried in stages, because something of theirs is new.
    pub touched: Vec<String>,
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigChange {
    /// Such as `channels.alipay-main.timeout_ms`.
    pub path: String,
    /// `added`, `removed` or `changed`.
    pub kind: &'static str,
    /// What it is now; secrets as `(changed)`.
    pub from: Option<String>,
    /// What it becomes; secrets as `(changed)`.
    pub to: Option<String>,
    /// Whether it counts at once; if not, after a restart.
    pub live: bool,
}

/// A version of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConfigVersion)]
pub struct VersionView {
    /// Counts up from 1.
    pub version: u64,
    /// The first twelve digits of its SHA-256.
    pub digest: String,
    /// When it was made.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who made it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The version that it came after.
    pub parent: Option<u64>,
    /// `staged`, `live`, `rolled_back`, `superseded` or `interrupted`.
    pub state: &'static str,
    /// Why it is in that state, where there is more to say.
    pub cause: Option<String>,
}

/// A version with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConfigVersionText)]
pub struct VersionText {
    /// The version.
    #[serde(flatten)]
    pub version: VersionView,
    /// Its settings, without comments and with secrets replaced by `***`.
    pub text: String,
}

/// Where the configuration stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ConfigStatus {
    /// The version in force.
    pub version: Option<u64>,
    /// What is being tried.
    pub rollout: Option<RolloutView>,
    /// How the last one that was tried ended.
    pub last: Option<RolloutEnd>,
    /// Channels that get no new payments and wait for the end of their attempts.
    pub draining: Vec<Draining>,
    /// Why the configuration file does not hold the version in force.
    pub not_saved: Option<String>,
    /// Settings that count only after a restart.
    pub needs_restart: Vec<String>,
}

/// A version that is being tried.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfigRollout)]
pub struct RolloutView {
    /// The version.
    pub version: u64,
    /// Who, and why.
    pub by: String,
    /// Why.
    pub reason: String,
    /// `probing`, `watching` or `saving`.
    pub phase: &'static str,
    /// The stage, from 1.
    pub stage: usize,
    /// All stages, in percent of the payments.
    pub stages: Vec<u8>,
    /// The share now, in percent.
    pub percent: u8,
    /// For how long this stage has been watched, in seconds.
    pub elapsed_s: f64,
    /// How long it is watched at least, in seconds.
    pub watch_s: f64,
    /// What it waits for, for a person.
    pub waits_for: String,
    /// Whether providers took a signed question.
    pub probed: bool,
    /// How calls went on each touched channel.
    pub channels: Vec<ArmsView>,
}

/// How calls went on a channel while a version is tried.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfigArms)]
pub struct ArmsView {
    /// The channel.
    pub channel: String,
    /// With the new settings.
    pub candidate: TallyView,
    /// With those in force, for the other payments.
    pub current: TallyView,
}

/// Calls by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConfigTally)]
pub struct TallyView {
    /// Done, or answered.
    pub ok: u64,
    /// Refused by the customer's side.
    pub declined: u64,
    /// Our own mistake.
    pub rejected: u64,
    /// Surely no effect.
    pub unavailable: u64,
    /// Effect not known.
    pub unknown: u64,
    /// Of the rejected and unavailable: done at once with the settings in force.
    pub rescued: u64,
}

impl From<domain::Tally> for TallyView {
    fn from(tally: domain::Tally) -> TallyView {
        let domain::Tally { ok, declined, rejected, unavailable, unknown, rescued } = tally;
        TallyView { ok, declined, rejected, unavailable, unknown, rescued }
    }
}

/// How a version that was tried ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfigRolloutEnd)]
pub struct RolloutEnd {
    /// The version.
    pub version: u64,
    /// `live` or `rolled_back`.
    pub state: &'static str,
    /// Why.
    pub cause: Option<String>,
    /// How calls went on each touched channel.
    pub channels: Vec<ArmsView>,
}

/// A channel that is no longer configured and still has attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ConfigDraining)]
pub struct Draining {
    /// The channel.
    pub channel: String,
    /// Payments that may still be paid there, as far as they were counted.
    pub open: usize,
}
