//! When certificates end: who is told, and how urgently.
//!
//! Pure. A certificate passes through levels, each of which is told once; a new certificate
//! under the same name begins anew.

use std::collections::BTreeMap;

use domain::{ChannelId, Timestamp};

/// The days before its end at which a certificate is told of, unless configured otherwise.
pub const DAYS: [u32; 4] = [30, 14, 7, 1];

const DAY_S: i64 = 86_400;

/// A certificate that a channel uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// The channel.
    pub channel: ChannelId,
    /// The setting that it came from, such as `merchant_certificate`.
    pub name: String,
    /// Whom it names.
    pub subject: String,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Expiring {
    /// Days that are left; negative when it has ended.
    pub fn days_left(&self, now: Timestamp) -> f64 {
        (self.not_after.as_secs() - now.as_secs()) as f64 / DAY_S as f64
    }
}

/// How near the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nearness {
    /// Farther than every level.
    Far,
    /// It ends within so many days.
    Within(u32),
    /// It has ended: the provider refuses what it signs.
    Expired,
}

impl Nearness {
    /// The nearest of the levels that holds; `days` in any order.
    pub fn of(not_after: Timestamp, now: Timestamp, days: &[u32]) -> Nearness {
        let left_s = not_after.as_secs() - now.as_secs();
        if left_s <= 0 {
            return Nearness::Expired;
        }
        let holds = |days: &&u32| left_s <= i64::from(**days) * DAY_S;
        days.iter().filter(holds).min().map_or(Nearness::Far, |days| Nearness::Within(*days))
    }

    /// Whether there is nothing to be told.
    pub fn is_far(self) -> bool {
        self == Nearness::Far
    }
}

/// Every certificate in use, and what was told of it.
#[derive(Clone, Debug)]
pub struct Watch {
    days: Vec<u32>,
    all: Vec<Expiring>,
    told: BTreeMap<(ChannelId, String), (Timestamp, Nearness)>,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch { days: DAYS.to_vec(), all: Vec::new(), told: BTreeMap::new() }
    }
}

impl Watch {
    /// Replaces the certificates, and the levels in days. Returns those that are no longer
    /// there, by channel and name.
    pub fn set(&mut self, all: Vec<Expiring>, days: &[u32]) -> Vec<(ChannelId, String)> {
        let key = |one: &Expiring| (one.channel.clone(), one.name.clone());
        let gone = self.all.iter().map(key).filter(|k| !all.iter().any(|one| key(one) == *k));
        let gone = gone.collect();
        self.days = days.to_vec();
        self.all = all;
        self.told.retain(|known, _| self.all.iter().any(|one| key(one) == *known));
        gone
    }

    /// Every certificate with its level, the nearest end first.
    pub fn list(&self, now: Timestamp) -> Vec<(Expiring, Nearness)> {
        let level = |one: &Expiring| (one.clone(), Nearness::of(one.not_after, now, &self.days));
        let mut all: Vec<_> = self.all.iter().map(level).collect();
        all.sort_by(|(a, _), (b, _)| (a.not_after, &a.name).cmp(&(b.not_after, &b.name)));
        all
    }

    /// Certificates whose level is worth a word now and has not had it.
    pub fn news(&mut self, now: Timestamp) -> Vec<(Expiring, Nearness)> {
        let mut news = Vec::new();
        for (one, level) in self.list(now) {
            let state = (one.not_after, level);
            let before = self.told.insert((one.channel.clone(), one.name.clone()), state);
            if !level.is_far() && before != Some(state) {
                news.push((one, level));
            }
        }
        news
    }

    /// Whether a level calls for somebody at once: it has ended, or is within the last level.
    pub fn is_urgent(&self, level: Nearness) -> bool {
        match level {
            Nearness::Far => false,
            Nearness::Within(days) => self.days.iter().min() == Some(&days),
            Nearness::Expired => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const END: Timestamp = Timestamp::from_secs(1_900_000_000);

    fn before(hours: u64) -> Timestamp {
        END - Duration::from_secs(hours * 3_600)
    }

    fn one(not_after: Timestamp) -> Expiring {
        Expiring {
            channel: ChannelId::new("wechat-main").unwrap(),
            name: "merchant_certificate".to_owned(),
            subject: "CN=1600000000".to_owned(),
            not_after,
        }
    }

    #[test]
    fn levels_are_the_nearest_that_holds() {
        for (hours, level) in [
            (31 * 24, Nearness::Far),
            (30 * 24, Nearness::Within(30)),
            (15 * 24, Nearness::Within(30)),
            (14 * 24, Nearness::Within(14)),
            (7 * 24 + 1, Nearness::Within(14)),
            (25, Nearness::Within(7)),
            (24, Nearness::Within(1)),
            (0, Nearness::Expired),
        ] {
            assert_eq!(Nearness::of(END, before(hours), &DAYS), level, "{hours} h before");
        }
    }

    #[test]
    fn each_level_is_told_once_and_a_new_certificate_begins_anew() {
        let mut watch = Watch::default();
        watch.set(vec![one(END)], &DAYS);
        assert!(watch.news(before(40 * 24)).is_empty());
        assert_eq!(watch.news(before(29 * 24)).len(), 1);
        assert!(watch.news(before(20 * 24)).is_empty(), "told");
        assert_eq!(watch.news(before(13 * 24)).len(), 1);
        let expired = watch.news(END);
        assert_eq!(expired[0].1, Nearness::Expired);
        assert!(watch.is_urgent(expired[0].1) && !watch.is_urgent(Nearness::Within(14)));
        assert!(watch.news(END).is_empty());
        assert!(watch.set(vec![one(END + Duration::from_secs(86_400))], &DAYS).is_empty());
        assert_eq!(watch.news(END)[0].1, Nearness::Within(1), "the new one is near as well");
        let gone = watch.set(Vec::new(), &DAYS);
        assert_eq!(gone.len(), 1);
    }
}
