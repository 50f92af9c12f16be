//! `[degradation]`: how far the ladder goes by itself, and how long orders and paused work are
//! kept.

use std::time::Duration;

use domain::{Level, Policy, PurposeName};
use engine::Degradation;
use resilience::LadderSettings;
use serde::Deserialize;
use toml::de::DeTable;

use super::read::{Reader, place};
use crate::args::duration;

/// `[degradation]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DegradationSection {
    /// Whether health moves the ladder.
    pub automatic: bool,
    /// How long things must be out before it goes down.
    pub down_after: String,
    /// How long things must be in service before it comes up.
    pub up_after: String,
    /// The lowest rung that it goes to by itself.
    pub lowest: Level,
    /// How long an order is held.
    pub hold_for: String,
    /// The longest that a hold may become.
    pub hold_max: String,
    /// How long before a hold ends its customer is reminded.
    pub remind_before: String,
    /// Purposes that the merchant has named.
    pub purposes: Vec<String>,
    /// How long paused work is kept when the merchant sets no deadline.
    pub paused_for: String,
    /// The furthest deadline of what is charged without the customer.
    pub paused_max: String,
    /// The longest pause, and the longest move of the ladder by hand.
    pub pause_max: String,
    /// Paused payments that are released a second.
    pub release_per_second: f64,
    /// By how much a subscription's life is lengthened at a time.
    pub grace: String,
}

impl Default for DegradationSection {
    fn default() -> Self {
        let text = str::to_owned;
        DegradationSection {
            automatic: true,
            down_after: text("1s"),
            up_after: text("60s"),
            lowest: Level::Assisted,
            hold_for: text("24h"),
            hold_max: text("7d"),
            remind_before: text("2h"),
            purposes: Vec::new(),
            paused_for: text("72h"),
            paused_max: text("30d"),
            pause_max: text("7d"),
            release_per_second: 5.0,
            grace: text("24h"),
        }
    }
}

impl DegradationSection {
    fn times(&self) -> [(&'static str, &str, &'static str); 9] {
        [
            ("down_after", &self.down_after, "the default is 1s"),
            ("up_after", &self.up_after, "the default is 60s"),
            ("hold_for", &self.hold_for, "the default is 24h"),
            ("hold_max", &self.hold_max, "the default is 7d"),
            ("remind_before", &self.remind_before, "the default is 2h"),
            ("paused_for", &self.paused_for, "the default is 72h"),
            ("paused_max", &self.paused_max, "the default is 30d"),
            ("pause_max", &self.pause_max, "the default is 7d"),
            ("grace", &self.grace, "the default is 24h"),
        ]
    }

    /// The engine's part of it.
    pub fn settings(&self) -> Degradation {
        let usual = Degradation::default();
        let time = |text: &str, usual| duration(text).unwrap_or(usual);
        let ms = |text: &str, usual: u64| {
            duration(text).map_or(usual, |t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX))
        };
        let named = self.purposes.iter().filter_map(|name| PurposeName::new(name).ok());
        Degradation {
            ladder: LadderSettings {
                automatic: self.automatic,
                down_after_ms: ms(&self.down_after, usual.ladder.down_after_ms),
                up_after_ms: ms(&self.up_after, usual.ladder.up_after_ms),
                lowest: self.lowest,
            },
            purposes: named.collect(),
            hold_for: time(&self.hold_for, usual.hold_for),
            hold_max: time(&self.hold_max, usual.hold_max),
            paused_for: time(&self.paused_for, usual.paused_for),
            paused_max: time(&self.paused_max, usual.paused_max),
            pause_max: time(&self.pause_max, usual.pause_max),
            release_per_second: self.release_per_second,
        }
    }

    /// The domain's part of it.
    pub fn set_policy(&self, policy: &mut Policy) {
        let time = |text: &str, usual: Duration| duration(text).unwrap_or(usual);
        policy.remind_before = time(&self.remind_before, policy.remind_before);
        policy.grace_step = time(&self.grace, policy.grace_step);
    }
}

/// Notes every rule that is broken.
pub(super) fn check<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, set: &DegradationSection) {
    let mut note = |key: &str, rule: &str, fix: &str| {
        let span = place(document, "degradation", None, key);
        reader.note(span, &format!("degradation.{key}"), rule, fix);
    };
    for (key, text, fix) in set.times() {
        if duration(text).is_err() {
            note(key, "it must be a time, such as 30m or 24h", fix);
        }
    }
    let longer = |long: &str, short: &str| match (duration(long), duration(short)) {
        (Ok(long), Ok(short)) => long >= short,
        _ => true,
    };
    if !longer(&set.hold_max, &set.hold_for) {
        note("hold_max", "it must be at least hold_for", "the defaults are 24h and 7d");
    }
    if !longer(&set.paused_max, &set.paused_for) {
        note("paused_max", "it must be at least paused_for", "the defaults are 72h and 30d");
    }
    if !longer(&set.grace, "1m") {
        note("grace", "it must be at least 1m", "the default is 24h");
    }
    if !(0.01..=1_000.0).contains(&set.release_per_second) {
        note("release_per_second", "it must be from 0.01 to 1000", "the default is 5.0");
    }
    for name in &set.purposes {
        if let Err(error) = PurposeName::new(name) {
            note("purposes", error.rule, "leave out those that every merchant has");
        }
    }
}
