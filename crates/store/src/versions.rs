//! Versions of the configuration: what was in force, when, by whom and why.

use async_trait::async_trait;
use domain::Timestamp;

use crate::{AuditLine, StoreError};

/// Keeps versions of the configuration. At most one is live, and at most one is staged.
#[async_trait]
pub trait Versions: Send + Sync {
    /// Adds a version, if `new.parent` is the live one and none is staged, with a line for the
    /// audit log. One that is added live supersedes its parent. Gives its number; `None` when
    /// somebody else was faster.
    async fn add_version(
        &self,
        new: NewVersion,
        audit: AuditLine,
    ) -> Result<Option<u64>, StoreError>;

    /// Ends the trial of a staged version; one that becomes live supersedes the one that was.
    /// `false` when it is not staged any more (rule 15).
    async fn settle_version(
        &self,
        version: u64,
        end: VersionState,
        cause: Option<String>,
        audit: AuditLine,
    ) -> Result<bool, StoreError>;

    /// One version.
    async fn version(&self, version: u64) -> Result<Option<Version>, StoreError>;

    /// Versions, newest first.
    async fn versions(&self, limit: usize) -> Result<Vec<Version>, StoreError>;
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VersionState {
    /// Being tried.
    Staged,
    /// In force.
    Live,
    /// Was tried, and went back.
    RolledBack,
    /// Was in force; another is.
    Superseded,
    /// Was being tried when the process ended.
    Interrupted,
}

impl VersionState {
    const ALL: [VersionState; 5] = [
        VersionState::Staged,
        VersionState::Live,
        VersionState::RolledBack,
        VersionState::Superseded,
        VersionState::Interrupted,
    ];

    /// The name that the store and the API use.
    pub fn name(self) -> &'static str {
        match self {
            VersionState::Staged => "staged",
            VersionState::Live => "live",
            VersionState::RolledBack => "rolled_back",
            VersionState::Superseded => "superseded",
            VersionState::Interrupted => "interrupted",
        }
    }

    pub(crate) fn of(name: &str) -> Option<VersionState> {
        VersionState::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A version to be kept.
#[derive(Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// The whole text. It may hold secrets.
    pub text: String,
    /// The SHA-256 of the text in hex.
    pub digest: String,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The version that was live when it was made; `None` for the first.
    pub parent: Option<u64>,
    /// Staged or live.
    pub state: VersionState,
}

/// A version that was kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Version {
    /// Counts up from 1.
    pub version: u64,
    /// What it was made as; `state` as it is now.
    pub new: NewVersion,
    /// Why it is in its state, where there is more to say.
    pub cause: Option<String>,
}

impl std::fmt::Debug for NewVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the text (rule 13).
        write!(f, "{} {} by {}", self.digest, self.state.name(), self.by)
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "version {}: {:?}", self.version, self.new)
    }
}
