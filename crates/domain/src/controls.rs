//! What operators have set by hand: one small value, read on the hot path.

use serde::{Deserialize, Serialize};

use crate::{ChannelId, Ladder, Maintenance, Method, Timestamp};

/// An operator's word on a channel, or on one method of it: out of service, or put first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The channel.
    pub channel: ChannelId,
    /// One method of it, or all.
    pub method: Option<Method>,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub since: Timestamp,
    /// When it ends by itself; `None` until somebody enables the channel again.
    pub until: Option<Timestamp>,
}

impl Override {
    /// Whether it is in force for a method of a channel.
    pub fn covers(&self, channel: &ChannelId, method: Method, now: Timestamp) -> bool {
        self.channel == *channel
            && self.method.is_none_or(|m| m == method)
            && self.until.is_none_or(|until| now < until)
    }
}

/// All controls in force. Changed only as a whole, with a version that counts the changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controls {
    /// Counts the changes.
    pub version: u64,
    /// Channels out of service.
    pub overrides: Vec<Override>,
    /// Channels put first, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferences: Vec<Override>,
    /// Planned absences that operators stated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Maintenance>,
    /// How far customers are led from the ordinary way to pay, and what is paused.
    #[serde(default, skip_serializing_if = "Ladder::is_empty")]
    pub ladder: Ladder,
}

impl Controls {
    /// The override that keeps a method of a channel out of service, if there is one.
    pub fn disabled(
        &self,
        channel: &ChannelId,
        method: Method,
        now: Timestamp,
    ) -> Option<&Override> {
        self.overrides.iter().find(|o| o.covers(channel, method, now))
    }

    /// With one more override; one for the same scope is replaced, lapsed ones are dropped.
    pub fn disable(&self, new: Override, now: Timestamp) -> Controls {
        let mut next = self.without(&new.channel, new.method, now);
        next.overrides.push(new);
        next
    }

    /// Without the overrides for a channel (all of them, or those for one method).
    pub fn enable(&self, channel: &ChannelId, method: Option<Method>, now: Timestamp) -> Controls {
        let mut next = self.without(channel, method, now);
        if method.is_none() {
            next.overrides.retain(|o| o.channel != *channel);
        }
        next
    }

    fn without(&self, channel: &ChannelId, method: Option<Method>, now: Timestamp) -> Controls {
        let kept = |o: &&Override| {
            !(o.channel == *channel && o.method == method) && o.until.is_none_or(|u| now < u)
        };
        let overrides = self.overrides.iter().filter(kept).cloned().collect();
        Controls { version: self.version + 1, overrides, ..self.clone() }
    }

    /// The override that puts a method of a channel first, and its place among those: 0 is the
    /// newest, which counts most.
    pub fn preferred(
        &self,
        channel: &ChannelId,
        method: Method,
        now: Timestamp,
    ) -> Option<(usize, &Override)> {
        let newest = self.preferences.iter().rev().enumerate();
        newest.into_iter().find(|(_, o)| o.covers(channel, method, now))
    }

    /// With one more preference; one for the same scope is replaced, lapsed ones are dropped.
    pub fn prefer(&self, new: Override, now: Timestamp) -> Controls {
        let mut next = self.release(&new.channel, new.method, now);
        next.preferences.push(new);
        next
    }

    /// Without the preferences for a channel (all of them, or those for one method).
    pub fn release(&self, channel: &ChannelId, method: Option<Method>, now: Timestamp) -> Controls {
        let mut next = self.clone();
        next.version += 1;
        next.preferences.retain(|o| {
            let meant = o.channel == *channel && (method.is_none() || o.method == method);
            !meant && o.until.is_none_or(|until| now < until)
        });
        next
    }

    /// With one more planned absence; those that are over are dropped.
    pub fn plan_absence(&self, new: Maintenance, now: Timestamp) -> Controls {
        let mut next = self.clone();
        next.version += 1;
        next.maintenance.retain(|known| known.id != new.id && !known.is_over(now));
        next.maintenance.push(new);
        next
    }

    /// With another ladder.
    pub fn with_ladder(&self, ladder: Ladder) -> Controls {
        Controls { version: self.version + 1, ladder, ..self.clone() }
    }

    /// Without a planned absence.
    pub fn drop_absence(&self, id: &str) -> Controls {
        let mut next = self.clone();
        next.version += 1;
        next.maintenance.retain(|known| known.id != id);
        next
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_override_ends_by_itself_and_can_be_lifted() {
        let channel = ChannelId::new("alipay-main").unwrap();
        let now = Timestamp::from_secs(1_000);
        let off = |method, until| Override {
            channel: channel.clone(),
            method,
            by: "li".into(),
            reason: "maintenance".into(),
            since: now,
            until,
        };
        let until = now + Duration::from_secs(60);
        let controls = Controls::default().disable(off(None, Some(until)), now);
        assert!(controls.disabled(&channel, Method::Alipay, now).is_some());
        assert!(controls.disabled(&channel, Method::Alipay, until).is_none());
        let controls = controls.disable(off(Some(Method::Card), None), now);
        let controls = controls.enable(&channel, None, now);
        assert!(controls.overrides.is_empty());
        assert_eq!(controls.version, 3);
    }

    #[test]
    fn the_newest_preference_counts_first_and_ends_by_itself() {
        let now = Timestamp::from_secs(1_000);
        let name = |name| ChannelId::new(name).unwrap();
        let first = |channel, method, until| Override {
            channel: name(channel),
            method,
            by: "li".into(),
            reason: "contract".into(),
            since: now,
            until,
        };
        let until = now + Duration::from_secs(60);
        let controls = Controls::default()
            .prefer(first("a", None, None), now)
            .prefer(first("b", Some(Method::Card), Some(until)), now);
        let place = |c: &Controls, channel, method, at| {
            c.preferred(&name(channel), method, at).map(|(place, _)| place)
        };
        assert_eq!(place(&controls, "b", Method::Card, now), Some(0));
        assert_eq!(place(&controls, "a", Method::Card, now), Some(1));
        assert_eq!(place(&controls, "b", Method::Alipay, now), None);
        assert_eq!(place(&controls, "b", Method::Card, until), None);
        let again = controls.prefer(first("a", None, None), until);
        assert_eq!(again.preferences.len(), 1, "replaced, and the lapsed one dropped");
        assert_eq!(again.release(&name("a"), None, until).preferences, []);
        assert_eq!(controls.enable(&name("a"), None, now).preferences.len(), 2);
    }

    #[test]
    fn a_planned_absence_survives_other_changes_and_goes_when_it_is_over() {
        let now = Timestamp::from_secs(1_000);
        let away = |id: &str, from, until| Maintenance {
            id: id.to_owned(),
            scope: crate::Scope { method: Some(Method::Alipay), ..Default::default() },
            when: crate::When::Once { from, until },
            by: "li".into(),
            reason: "announced".into(),
            since: now,
        };
        let hour = Duration::from_secs(3_600);
        let controls = Controls::default().plan_absence(away("a", now, now + hour), now);
        let channel = ChannelId::new("alipay-main").unwrap();
        let controls = controls.enable(&channel, None, now);
        assert_eq!(controls.maintenance.len(), 1);
        let later = now + hour;
        let controls = controls.plan_absence(away("b", later, later + hour), later);
        assert_eq!(controls.maintenance.len(), 1);
        assert_eq!(controls.drop_absence("b").maintenance, []);
        assert_eq!(controls.version, 3);
    }
}
