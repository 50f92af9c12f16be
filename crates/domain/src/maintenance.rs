//! Planned absences of a channel, a method or a bank, as operators state them.
//!
//! Only what is stated is here. When a weekly window falls, in a time zone that knows summer
//! time, is worked out by the control plane, which has a calendar.

use serde::{Deserialize, Serialize};

use crate::{ChannelId, Method, Timestamp};

/// What a statement about health is about. An absent field is all of them; at least one field
/// is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// One channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    /// One method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// One bank, by the code that merchants send as `issuer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

impl Scope {
    /// Whether it says nothing, which would be everything.
    pub fn is_empty(&self) -> bool {
        self.channel.is_none() && self.method.is_none() && self.issuer.is_none()
    }

    /// Whether a method of a channel lies in it, for the customers of its issuer.
    pub fn covers(&self, channel: &ChannelId, method: Method) -> bool {
        self.channel.as_ref().is_none_or(|c| c == channel)
            && self.method.is_none_or(|m| m == method)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let channel = self.channel.as_ref().map(ToString::to_string);
        let issuer = self.issuer.as_ref().map(|issuer| format!("bank {issuer}"));
        let method = self.method.map(|method| method.name().to_owned());
        let parts: Vec<String> = [channel, method, issuer].into_iter().flatten().collect();
        f.write_str(&parts.join(" "))
    }
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Day {
    /// Monday
    Mon,
    /// Tuesday
    Tue,
    /// Wednesday
    Wed,
    /// Thursday
    Thu,
    /// Friday
    Fri,
    /// Saturday
    Sat,
    /// Sunday
    Sun,
}

impl Day {
    /// Every day, from Monday.
    pub const ALL: [Day; 7] =
        [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

    /// The name in the API and in the configuration.
    pub fn name(self) -> &'static str {
        ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][self as usize]
    }
}

impl std::str::FromStr for Day {
    type Err = crate::InvalidText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Day::ALL
            .into_iter()
            .find(|day| day.name() == text)
            .ok_or(crate::InvalidText { rule: "a day is one of mon, tue, wed, thu, fri, sat, sun" })
    }
}

/// When something is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "repeats")]
pub enum When {
    /// One time.
    Once {
        /// From then.
        from: Timestamp,
        /// Until then, which is later.
        until: Timestamp,
    },
    /// Every week.
    Weekly {
        /// On these days, by the clock of `zone`; not empty.
        days: Vec<Day>,
        /// Minutes after midnight by the same clock, 0 to 1439.
        start_minute: u16,
        /// How long, in seconds of real time; at most a week.
        duration_s: u32,
        /// An IANA name such as `Asia/Shanghai`, or an offset such as `+08:00`.
        zone: String,
    },
}

/// A planned absence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// Names it, so that it can be taken back.
    pub id: String,
    /// What is away.
    pub scope: Scope,
    /// When.
    pub when: When,
    /// Who stated it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When it was stated.
    pub since: Timestamp,
}

impl Maintenance {
    /// Whether it lies wholly in the past.
    pub fn is_over(&self, now: Timestamp) -> bool {
        matches!(self.when, When::Once { until, .. } if until <= now)
    }
}
