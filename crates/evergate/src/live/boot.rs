//! What the history says when a gateway starts.
//!
//! The file is the truth. A version that was being tried when the process ended is in the file
//! only when it had come to its end.

use std::collections::BTreeSet;

use domain::ChannelId;
use providers::{ChannelSettings, NewChannel};
use server::{Refusal, Who};
use store::{StoreError, Version, VersionState};

use super::Live;
use crate::config::Config;
use crate::wire::{self, Built};

/// How many versions are looked at.
const LOOK_BACK: usize = 50;

impl Live {
    /// Finds the version of the text that runs, and writes down what happened to others. A store
    /// that does not answer leaves it unknown; the gateway runs all the same.
    pub(crate) async fn boot(&self) {
        match self.recognise().await {
            Ok(version) => self.is_in_force(version),
            Err(error) => {
                tracing::error!(%error, "the history of the configuration cannot be read");
            }
        }
        if let Err(refusal) = self.drain().await {
            let why = super::views::told(&refusal);
            tracing::error!(%why, "channels that were removed cannot be looked for");
        }
    }

    /// Takes up channels that were removed while payments were open there, so that these are
    /// asked about and closed also after a restart.
    async fn drain(&self) -> Result<(), Refusal> {
        let running = self.running.load_full();
        let mut seen = BTreeSet::new();
        for kept in self.parts.versions.versions(LOOK_BACK).await? {
            let Ok(config) = Config::parse(&kept.new.text, &running.config.source.folder) else {
                continue;
            };
            let gone = config.channels.iter().filter(|(id, _)| running.channel(id).is_none());
            let new: Vec<_> = gone.filter(|(id, _)| !seen.contains(id)).cloned().collect();
            for (id, settings) in new {
                seen.insert(id.clone());
                let open = self.open_on(&id).await?;
                if open > 0 {
                    self.take_up(&config, id, settings, open).await;
                }
            }
        }
        Ok(())
    }

    async fn take_up(
        &self,
        config: &Config,
        id: ChannelId,
        settings: ChannelSettings,
        open: usize,
    ) {
        if let Some(bank) = settings.offline() {
            self.know_banks([(id.clone(), bank.clone())].into());
        }
        let notify = ChannelSettings::default_notify_url(&config.public_url(), &id);
        let name = id.clone();
        let build = move || {
            let Built { id, codec, limits } = wire::channel(&id, settings, &notify)?;
            Ok::<_, Vec<providers::SettingError>>(NewChannel { id, codec, limits })
        };
        let built = tokio::task::spawn_blocking(build).await;
        let taken = match built {
            Ok(Ok(new)) => self
                .parts
                .driver
                .set_channels(&[new], domain::Timestamp::EPOCH)
                .map_err(|error| error.to_string()),
            Ok(Err(found)) => {
                Err(found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
            }
            Err(error) => Err(error.to_string()),
        };
        match taken {
            Ok(()) => {
                tracing::warn!(channel = %name, open, "a channel that was removed is drained")
            }
            Err(why) => {
                let text = format!("{name} was removed and has {open} open payments: {why}");
                tracing::error!(channel = %name, open, %why, "a channel cannot be drained");
                self.parts.signals.note("not_drained", text);
            }
        }
    }

    async fn recognise(&self) -> Result<u64, StoreError> {
        let running = self.running.load_full();
        let digest = running.digest();
        let mut known = self.parts.versions.versions(LOOK_BACK).await?;
        let staged = known.iter().find(|v| v.new.state == VersionState::Staged).cloned();
        if let Some(staged) = staged {
            self.end_of(&staged, staged.new.digest == digest).await?;
            known = self.parts.versions.versions(LOOK_BACK).await?;
        }
        let live = known.iter().find(|v| v.new.state == VersionState::Live);
        if let Some(live) = live.filter(|live| live.new.digest == digest) {
            return Ok(live.version);
        }
        let same = known.iter().find(|v| v.new.digest == digest);
        let reason = match (live, same) {
            (None, _) => "first start".to_owned(),
            (_, Some(same)) => format!("the file holds version {} again", same.version),
            (Some(_), None) => "the file was changed by hand".to_owned(),
        };
        let who = Who { by: "start".to_owned(), reason };
        let parent = live.map(|live| live.version);
        let new = self.new_version(&running, &who, parent, VersionState::Live);
        let audit = self.audit(&who, "start with a configuration".to_owned());
        let added = self.parts.versions.add_version(new, audit).await?;
        added.ok_or_else(|| StoreError::Unavailable("somebody else keeps versions here".into()))
    }

    async fn end_of(&self, staged: &Version, is_saved: bool) -> Result<(), StoreError> {
        let (end, cause) = if is_saved {
            (VersionState::Live, "it had been saved when the process ended")
        } else {
            (VersionState::Interrupted, "the process ended while it was tried")
        };
        let version = staged.version;
        tracing::warn!(version, cause, "a configuration was being tried when the process ended");
        let who = Who { by: "start".to_owned(), reason: cause.to_owned() };
        let audit = self.audit(&who, format!("configuration version {version}: {}", end.name()));
        let cause = Some(cause.to_owned());
        self.parts.versions.settle_version(version, end, cause, audit).await?;
        Ok(())
    }
}
