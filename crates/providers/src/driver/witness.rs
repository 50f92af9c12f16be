//! Notifications whose proof needs an answer from the provider: a certificate, or its word.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::{ChannelId, Notice, Timestamp};
use tokio::sync::Semaphore;

use super::Driver;
use super::slot::Channel;
use crate::{Cause, Delivery, Forged, Reply, Response, Witness};

/// Witnesses that a channel asks at once. Anybody can send deliveries, so these calls have a
/// budget of their own that leaves the payments' alone.
const AT_ONCE: usize = 4;
/// Answers that are kept; there is one certificate, and two while it changes.
const KEPT_MAX: usize = 8;

/// Why a notification was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// No channel has this name.
    #[error("no channel of this name")]
    NoChannel,
    /// It does not prove itself, or cannot be read.
    #[error(transparent)]
    Refused(#[from] Forged),
    /// Whether it proves itself could not be found out; it is worth sending again.
    #[error("it could not be verified: {}", .0.detail)]
    Unverified(Cause),
}

/// A channel's witnesses.
pub(super) struct Witnesses {
    budget: Semaphore,
    kept: Mutex<HashMap<String, (Response, Timestamp)>>,
}

impl Default for Witnesses {
    fn default() -> Witnesses {
        Witnesses { budget: Semaphore::new(AT_ONCE), kept: Mutex::default() }
    }
}

impl Witnesses {
    fn kept(&self, url: &str, now: Timestamp) -> Option<Response> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(url).filter(|(_, until)| now < *until).map(|(said, _)| said.clone())
    }

    fn keep(&self, url: String, said: &Response, until: Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(url, (said.clone(), until));
    }
}

impl Driver {
    /// Verifies and reads a notification, asking the provider where its proof needs that. Every
    /// set of the channel's settings that is believed now may prove it.
    ///
    /// # Errors
    /// When it does not prove itself, or that could not be found out.
    pub async fn notice(&self, id: &ChannelId, delivery: &Delivery) -> Result<Notice, Unread> {
        let slot = self.channels.load().get(id).cloned().ok_or(Unread::NoChannel)?;
        let now = (self.clock)();
        let mut first = None;
        for (place, channel) in slot.believed(now).iter().enumerate() {
            match self.notice_by(channel, delivery, now).await {
                // Another key does not help against these.
                Err(Unread::Refused(why @ (Forged::Irrelevant(_) | Forged::Stale { .. }))) => {
                    return Err(why.into());
                }
                Err(why) => first = first.or(Some(why)),
                Ok(notice) => {
                    if place > 0 {
                        let name = "evergate_former_keys_believed_total";
                        metrics::counter!(name, "channel" => id.to_string()).increment(1);
                    }
                    return Ok(notice);
                }
            }
        }
        Err(first.unwrap_or(Unread::NoChannel))
    }

    async fn notice_by(
        &self,
        channel: &Channel,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Notice, Unread> {
        let Some(witness) = channel.codec.witness(delivery, now)? else {
            return Ok(channel.codec.notice(delivery, now)?);
        };
        let said = self.ask(channel, witness, now).await.map_err(Unread::Unverified)?;
        Ok(channel.codec.testified(delivery, &said, now)?)
    }

    async fn ask(
        &self,
        channel: &Channel,
        witness: Witness,
        now: Timestamp,
    ) -> Result<Response, Cause> {
        let url = witness.request.url.clone();
        if let Some(said) = channel.witnesses.kept(&url, now) {
            return Ok(said);
        }
        let Ok(_permit) = channel.witnesses.budget.try_acquire() else {
            let detail = "too many notifications are being verified at once".to_owned();
            return Err(Cause { code: "budget", detail });
        };
        let deadline = self.deadline(channel, Timestamp::MAX);
        let reply = if witness.with_token {
            self.carried(channel, witness.request, deadline, Timestamp::MAX).await
        } else {
            super::whole(deadline, &channel.line.http, witness.request).await
        };
        match (reply, witness.keep) {
            (Reply::Answered(said), keep) => {
                if let Some(keep) = keep.filter(|_| said.status == 200) {
                    channel.witnesses.keep(url, &said, now + keep);
                }
                Ok(said)
            }
            (Reply::NotSent(cause) | Reply::Unanswered(cause), _) => Err(cause),
        }
    }
}
