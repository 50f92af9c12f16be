//! What the control plane may tell about channels: planned absences, and words of others.
//!
//! Both change what the board of health expects, and never what a payment is. Absences that
//! operators state are controls: durable, audited, in force for every process.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use domain::{ChannelId, Controls, Maintenance, Method, Timestamp};
use resilience::{CellKey, Issuer, Severity};
use store::AuditLine;

use crate::{Engine, EngineError};

/// A planned absence of a lane, for everyone or for one bank's customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// The channel.
    pub channel: ChannelId,
    /// The method on it.
    pub method: Method,
    /// One bank only.
    pub issuer: Option<String>,
    /// From when; it is drained a little before.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

impl Engine {
    /// Tells the board of all planned absences that are under way or near; what was announced
    /// before and is missing now is taken back. Each lane has at most one for everyone.
    pub fn announce(&self, away: &[Away]) {
        let (options, now) = (self.options(), self.now());
        // Sorted before the board is taken, since payments wait for the board.
        let mut here: BTreeMap<CellKey, Vec<&Away>> = BTreeMap::new();
        for absent in away {
            let key = CellKey { channel: absent.channel.clone(), method: absent.method };
            here.entry(key).or_default().push(absent);
        }
        let mut banks = Vec::new();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        for (channel, method) in options.lanes() {
            let key = CellKey { channel: channel.clone(), method };
            let lane = board.lane(&key, now);
            let absences = here.remove(&key).unwrap_or_default();
            match absences.iter().find(|absent| absent.issuer.is_none()) {
                Some(whole) => board.announce_absence(lane, whole.from, whole.until),
                None => board.recall_absence(lane, now),
            }
            let of_banks = absences.iter().filter_map(|a| Some((a.issuer.as_ref()?, a)));
            banks.extend(of_banks.map(|(code, a)| (lane, Issuer::of(code), a.from, a.until)));
        }
        board.announce_issuer_absences(banks);
    }

    /// Tells the board that somebody else says that a lane is in trouble. That alone takes
    /// nothing out of service.
    pub fn hint(&self, channel: &ChannelId, method: Method, severity: Severity) {
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = board.lane(&CellKey { channel: channel.clone(), method }, now);
        board.hint(lane, severity, now);
    }

    /// States a planned absence; one with the same id is replaced.
    ///
    /// # Errors
    /// When it names a channel that there is not, or the store does not keep the change.
    pub async fn plan_absence(&self, new: Maintenance) -> Result<Arc<Controls>, EngineError> {
        if let Some(channel) = &new.scope.channel {
            self.known(channel)?;
        }
        let line = AuditLine {
            at: self.now(),
            by: new.by.clone(),
            action: format!("plan maintenance {} of {}", new.id, new.scope),
            reason: new.reason.clone(),
        };
        self.change_controls(line, |controls, now| controls.plan_absence(new.clone(), now)).await
    }

    /// Takes a planned absence back.
    ///
    /// # Errors
    /// When there is none of this id, or the store does not keep the change.
    pub async fn drop_absence(
        &self,
        id: &str,
        by: &str,
        reason: &str,
    ) -> Result<Arc<Controls>, EngineError> {
        if !self.controls().maintenance.iter().any(|known| known.id == id) {
            return Err(EngineError::NoSuchMaintenance);
        }
        let line = AuditLine {
            at: self.now(),
            by: by.to_owned(),
            action: format!("drop maintenance {id}"),
            reason: reason.to_owned(),
        };
        self.change_controls(line, |controls, _| controls.drop_absence(id)).await
    }
}
