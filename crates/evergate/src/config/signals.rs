//! The tables of the control plane: `[probes]`, `[[maintenance]]`, `[[status_feeds]]` and
//! `[[downtime_senders]]`, and what must hold in them.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::{ChannelId, Currency, Maintenance, Method, Money, Scope, Timestamp, When};
use incidents::calendar::{self, BadWindow};
use incidents::desk::{SignalsOptions, TrialOptions};
use incidents::downtime::{Form, Sender};
use incidents::feed::FeedOptions;
use incidents::statuspage::PartMapping;
use providers::Secret;
use serde::Deserialize;
use toml::de::DeTable;

use super::read::{Reader, place};
use crate::args::duration;

/// Everything that the control plane is configured with.
#[derive(Clone, Debug, Default)]
pub struct SignalsSections {
    /// `[probes]`
    pub probes: ProbesSection,
    /// `[[maintenance]]`
    pub maintenance: Vec<MaintenanceSection>,
    /// `[[status_feeds]]`
    pub feeds: Vec<FeedSection>,
    /// `[[downtime_senders]]`
    pub senders: Vec<SenderSection>,
}

/// `[probes]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbesSection {
    /// How often each channel is probed, or `off`.
    pub every: String,
    /// How often each channel and method is tried with a synthetic payment, or `off`.
    pub synthetic_every: String,
    /// Whether a channel under suspicion is tried at once.
    pub synthetic_on_suspicion: bool,
    /// Minor units of a channel's first currency.
    pub synthetic_amount: i64,
    /// The least time between two looks at one thing.
    pub least_gap: String,
    /// Looks at once.
    pub at_once: usize,
    /// What differs by channel.
    pub synthetic: Vec<SyntheticSection>,
}

impl Default for ProbesSection {
    fn default() -> Self {
        ProbesSection {
            every: "30s".to_owned(),
            synthetic_every: "off".to_owned(),
            synthetic_on_suspicion: false,
            synthetic_amount: 1,
            least_gap: "10s".to_owned(),
            at_once: 4,
            synthetic: Vec::new(),
        }
    }
}

/// One of `[[probes.synthetic]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSection {
    /// The channel.
    pub channel: ChannelId,
    /// Minor units.
    pub amount: Option<i64>,
    /// The channel's first when absent.
    pub currency: Option<Currency>,
    /// A saved test instrument; makes trials of cards direct.
    pub token: Option<Secret>,
}

/// One of `[[maintenance]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceSection {
    /// The channel; all when absent.
    pub channel: Option<ChannelId>,
    /// The method; all when absent.
    pub method: Option<Method>,
    /// The bank; all customers when absent.
    pub issuer: Option<String>,
    /// Once: from when, RFC 3339.
    pub from: Option<String>,
    /// Once: until when, RFC 3339.
    pub until: Option<String>,
    /// Weekly: the days on which it begins.
    pub days: Option<Vec<domain::Day>>,
    /// Weekly: when it begins, such as `02:30`.
    pub start: Option<String>,
    /// Weekly: how long it lasts, such as `2h`.
    pub duration: Option<String>,
    /// Weekly: the time zone.
    pub zone: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// One of `[[status_feeds]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSection {
    /// Its name in logs and metrics.
    pub name: String,
    /// The address of a Statuspage v2 `summary.json`.
    pub url: String,
    /// How often it is read; a minute when absent.
    pub every: Option<String>,
    /// Which part is what.
    #[serde(default)]
    pub parts: Vec<PartMapping>,
}

/// One of `[[downtime_senders]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderSection {
    /// Its name, which the address carries.
    pub name: String,
    /// The form and signature of its events.
    pub form: Form,
    /// The only channel that it may speak about.
    pub channel: ChannelId,
    /// What it signs with.
    pub secret: Secret,
}

/// A mistake: the table, which of them, the field, the rule, the fix.
type Wrong = (&'static str, Option<usize>, &'static str, String, String);

fn wrong(
    table: &'static str,
    index: Option<usize>,
    field: &'static str,
    rule: impl Into<String>,
    fix: impl Into<String>,
) -> Wrong {
    (table, index, field, rule.into(), fix.into())
}

/// Notes every rule that is broken.
pub(super) fn check<'t>(
    reader: &mut Reader<'t>,
    document: &DeTable<'t>,
    sections: &SignalsSections,
    channels: &[ChannelId],
) {
    let (_, mut mistakes) = sections.read();
    mistakes.extend(sections.strangers(channels));
    for (table, index, field, rule, fix) in mistakes {
        let at = index.map_or(table.to_owned(), |index| format!("{table}[{index}]"));
        let span = place(document, table, index, field);
        reader.note(span, &format!("{at}.{field}"), &rule, &fix);
    }
}

/// `30s`, or `off`.
fn every(text: &str) -> Result<Option<Duration>, String> {
    if text == "off" {
        return Ok(None);
    }
    let every = duration(text)?;
    if every < Duration::from_secs(1) {
        Err("it must be at least 1s".into())
    } else {
        Ok(Some(every))
    }
}

const HOW_LONG: &str = "write it like 30s, 5m or 1h, or off";

impl SignalsSections {
    /// The control plane's options, from sections without mistakes.
    pub fn options(&self) -> SignalsOptions {
        self.read().0
    }

    fn read(&self) -> (SignalsOptions, Vec<Wrong>) {
        let mut mistakes = Vec::new();
        let mut options = self.probes(&mut mistakes);
        options.maintenance = self.windows(&mut mistakes);
        options.feeds = self.pages(&mut mistakes);
        options.senders = self.partners(&mut mistakes);
        (options, mistakes)
    }

    fn probes(&self, mistakes: &mut Vec<Wrong>) -> SignalsOptions {
        let set = &self.probes;
        let mut time = |field, text: &str| {
            every(text).unwrap_or_else(|rule| {
                mistakes.push(wrong("probes", None, field, rule, HOW_LONG));
                None
            })
        };
        let probe_every = time("every", &set.every);
        let trial_every = time("synthetic_every", &set.synthetic_every);
        let least_gap = time("least_gap", &set.least_gap).unwrap_or(Duration::from_secs(10));
        if !(1..=64).contains(&set.at_once) {
            mistakes.push(wrong(
                "probes",
                None,
                "at_once",
                "it must be 1 to 64",
                "the default is 4",
            ));
        }
        if !(1..=1_000_000).contains(&set.synthetic_amount) {
            let rule = "it must be 1 to 1000000 minor units";
            mistakes.push(wrong("probes", None, "synthetic_amount", rule, "the default is 1"));
        }
        let mut trials = Vec::new();
        for own in &set.synthetic {
            let money = match (own.amount, own.currency) {
                (Some(amount), Some(currency)) => Money::new(amount, currency).ok(),
                (None, None) => None,
                _ => {
                    let rule = "amount and currency go together";
                    let fix = "write both, such as amount = 50 and currency = \"USD\"";
                    mistakes.push(wrong("probes", None, "synthetic", rule, fix));
                    None
                }
            };
            let token = own.token.as_ref().map(|token| token.expose().to_owned());
            trials.push(TrialOptions { channel: own.channel.clone(), money, token });
        }
        SignalsOptions {
            probe_every,
            trial_every,
            trial_on_suspicion: set.synthetic_on_suspicion,
            least_gap,
            at_once: set.at_once,
            trial_amount: set.synthetic_amount,
            trials,
            ..SignalsOptions::default()
        }
    }

    fn windows(&self, mistakes: &mut Vec<Wrong>) -> Vec<Maintenance> {
        let mut windows = Vec::new();
        for (index, set) in self.maintenance.iter().enumerate() {
            let scope = Scope {
                channel: set.channel.clone(),
                method: set.method,
                issuer: set.issuer.clone(),
            };
            let read = set.when().and_then(|when| calendar::check(&scope, &when).map(|()| when));
            match read {
                Ok(when) => windows.push(Maintenance {
                    id: format!("configured-{}", index + 1),
                    scope,
                    when,
                    by: "configuration".to_owned(),
                    reason: set.reason.clone().unwrap_or_else(|| "configured".to_owned()),
                    since: Timestamp::EPOCH,
                }),
                Err(bad) => {
                    // The file says `duration`, the API `duration_s`.
                    let field = if bad.field == "duration_s" { "duration" } else { bad.field };
                    mistakes.push(wrong("maintenance", Some(index), field, bad.rule, bad.fix));
                }
            }
        }
        windows
    }

    fn pages(&self, mistakes: &mut Vec<Wrong>) -> Vec<FeedOptions> {
        let (mut pages, mut names) = (Vec::new(), BTreeSet::new());
        for (index, set) in self.feeds.iter().enumerate() {
            let mut note = |field, rule: &str, fix: &str| {
                mistakes.push(wrong("status_feeds", Some(index), field, rule, fix));
            };
            if set.name.is_empty() || !names.insert(set.name.clone()) {
                note("name", "it must be a name of its own", "name each page once");
            }
            let url = reqwest::Url::parse(&set.url);
            if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
                let fix = "such as https://status.example.com/api/v2/summary.json";
                note("url", "it must be an http or https address", fix);
            }
            if set.parts.is_empty() {
                let fix = "add [[status_feeds.parts]] with component and channel";
                note("parts", "no part is named, so the page says nothing", fix);
            }
            let nameless = |p: &PartMapping| p.component.is_none() && p.component_id.is_none();
            if set.parts.iter().any(|part| nameless(part) || part.scope().is_empty()) {
                let rule =
                    "each names a component (or component_id) and a channel, method or issuer";
                note("parts", rule, "complete the part");
            }
            let text = set.every.as_deref().unwrap_or("60s");
            match duration(text) {
                Ok(every) if every >= Duration::from_secs(1) => pages.push(FeedOptions {
                    name: set.name.clone(),
                    url: set.url.clone(),
                    every,
                    mapping: set.parts.clone(),
                }),
                Ok(_) => note("every", "it must be at least 1s", "the default is 60s"),
                Err(rule) => note("every", &rule, "the default is 60s"),
            }
        }
        pages
    }

    fn partners(&self, mistakes: &mut Vec<Wrong>) -> Vec<Sender> {
        let (mut partners, mut names) = (Vec::new(), BTreeSet::new());
        for (index, set) in self.senders.iter().enumerate() {
            let mut note = |field, rule: &str, fix: &str| {
                mistakes.push(wrong("downtime_senders", Some(index), field, rule, fix));
            };
            if set.name.is_empty() || !names.insert(set.name.clone()) {
                note("name", "it must be a name of its own", "name each sender once");
            }
            match Sender::new(&set.name, set.form, set.channel.clone(), set.secret.expose()) {
                Ok(sender) => partners.push(sender),
                Err(rule) => note("secret", rule, "copy it from the sender's console"),
            }
        }
        partners
    }

    /// What names a channel that is not configured.
    fn strangers(&self, channels: &[ChannelId]) -> Vec<Wrong> {
        let is_known = |channel: &Option<ChannelId>| {
            channel.as_ref().is_none_or(|channel| channels.contains(channel))
        };
        let rule = "no channel has this name";
        let fix = "name one of [[channels]]";
        let mut strangers = Vec::new();
        for (index, set) in self.maintenance.iter().enumerate() {
            if !is_known(&set.channel) {
                strangers.push(wrong("maintenance", Some(index), "channel", rule, fix));
            }
        }
        for (index, set) in self.feeds.iter().enumerate() {
            if set.parts.iter().any(|part| !is_known(&part.channel)) {
                strangers.push(wrong("status_feeds", Some(index), "parts", rule, fix));
            }
        }
        for (index, set) in self.senders.iter().enumerate() {
            if !is_known(&Some(set.channel.clone())) {
                strangers.push(wrong("downtime_senders", Some(index), "channel", rule, fix));
            }
        }
        if self.probes.synthetic.iter().any(|own| !is_known(&Some(own.channel.clone()))) {
            strangers.push(wrong("probes", None, "synthetic", rule, fix));
        }
        strangers
    }
}

impl MaintenanceSection {
    fn when(&self) -> Result<When, BadWindow> {
        let bad = |field, rule, fix| BadWindow { field, rule, fix };
        let weekly = self.days.is_some() || self.start.is_some() || self.duration.is_some();
        let once = self.from.is_some() || self.until.is_some();
        match (once, weekly || self.zone.is_some()) {
            (true, false) => Ok(When::Once {
                from: time("from", self.from.as_deref())?,
                until: time("until", self.until.as_deref())?,
            }),
            (false, true) => self.weekly(),
            (true, true) => {
                let rule = "from and until cannot stand beside a weekly window";
                Err(bad("from", rule, "leave one of them out"))
            }
            (false, false) => {
                let rule = "say when: from and until, or days, start, duration and zone";
                Err(bad("from", rule, "see `evergate config default`"))
            }
        }
    }

    fn weekly(&self) -> Result<When, BadWindow> {
        let missing = |field| BadWindow {
            field,
            rule: "a weekly window needs days, start, duration and zone",
            fix: "add what is missing",
        };
        let start = self.start.as_deref().ok_or(missing("start"))?;
        let lasts = self.duration.as_deref().ok_or(missing("duration"))?;
        let lasts = duration(lasts).map_err(|_| BadWindow {
            field: "duration",
            rule: "it cannot be read",
            fix: "write it like 90m or 2h",
        })?;
        Ok(When::Weekly {
            days: self.days.clone().ok_or(missing("days"))?,
            // What is no time of the day is no minute of one, which the calendar refuses.
            start_minute: calendar::minute_of_day(start).unwrap_or(u16::MAX),
            duration_s: u32::try_from(lasts.as_secs()).unwrap_or(u32::MAX),
            zone: self.zone.clone().ok_or(missing("zone"))?,
        })
    }
}

fn time(field: &'static str, text: Option<&str>) -> Result<Timestamp, BadWindow> {
    let rule = "it must be a time in RFC 3339";
    let bad = BadWindow { field, rule, fix: "write it like \"2026-11-29T02:00:00+08:00\"" };
    let at: jiff::Timestamp = text.ok_or(bad.clone())?.parse().map_err(|_| bad)?;
    Ok(Timestamp::from_micros(at.as_microsecond()))
}
