//! `[assist]`: what staff at the VIP desk may do, and up to how much.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Currency, OfflineKind};
use recovery::assist::Limits;
use serde::Deserialize;
use toml::de::DeTable;

use super::read::{Reader, place};
use crate::args::duration;

/// `[assist]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AssistSection {
    /// Whether the desk helps everyone, and not customers of tier vip only.
    pub everyone: bool,
    /// The kinds of money that staff may take.
    pub kinds: Vec<String>,
    /// Whether staff may use methods that the merchant did not name for the payment.
    pub other_methods: bool,
    /// How long a case stays with whoever took it when nothing is done about it.
    pub lease: String,
    /// The largest offline payment, by currency, in minor units.
    pub max_minor: BTreeMap<String, i64>,
    /// From this amount on a second person has to agree, by currency, in minor units.
    pub four_eyes_from_minor: BTreeMap<String, i64>,
    /// What one person may take in 24 hours, by currency, in minor units.
    pub daily_minor: BTreeMap<String, i64>,
}

impl Default for AssistSection {
    fn default() -> Self {
        let usual = Limits::default();
        let amounts = |of: &BTreeMap<Currency, i64>| {
            of.iter().map(|(currency, minor)| (currency.code().to_owned(), *minor)).collect()
        };
        AssistSection {
            everyone: usual.everyone,
            kinds: usual.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
            other_methods: usual.other_methods,
            lease: "15m".to_owned(),
            max_minor: amounts(&usual.max_minor),
            four_eyes_from_minor: amounts(&usual.four_eyes_from_minor),
            daily_minor: amounts(&usual.daily_minor),
        }
    }
}

impl AssistSection {
    /// The desk's limits. What could not be read is left out; [`check`] has told it.
    pub fn limits(&self) -> Limits {
        let amounts = |of: &BTreeMap<String, i64>| -> BTreeMap<Currency, i64> {
            let read = of.iter().filter_map(|(code, minor)| Some((code.parse().ok()?, *minor)));
            read.collect()
        };
        Limits {
            everyone: self.everyone,
            kinds: self.kinds.iter().filter_map(|kind| kind.parse().ok()).collect(),
            other_methods: self.other_methods,
            lease: duration(&self.lease).unwrap_or(Limits::default().lease),
            max_minor: amounts(&self.max_minor),
            four_eyes_from_minor: amounts(&self.four_eyes_from_minor),
            daily_minor: amounts(&self.daily_minor),
        }
    }
}

/// Notes every rule that is broken.
pub(super) fn check<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, set: &AssistSection) {
    let mut note = |key: &str, rule: &str, fix: &str| {
        let span = place(document, "assist", None, key);
        reader.note(span, &format!("assist.{key}"), rule, fix);
    };
    let lease = duration(&set.lease);
    let in_range = |lease: &Duration| (60..=86_400).contains(&lease.as_secs());
    if !lease.as_ref().is_ok_and(in_range) {
        note("lease", "it must be a time from 1m to 24h", "the default is 15m");
    }
    for kind in &set.kinds {
        if let Err(error) = kind.parse::<OfflineKind>() {
            note("kinds", error.rule, "leave out those that are not taken");
        }
    }
    let amounts = [
        ("max_minor", &set.max_minor, 1),
        ("four_eyes_from_minor", &set.four_eyes_from_minor, 0),
        ("daily_minor", &set.daily_minor, 1),
    ];
    for (key, amounts, least) in amounts {
        for (code, minor) in amounts {
            if let Err(error) = code.parse::<Currency>() {
                note(key, &error.to_string(), "write it like `{ CNY = 100000 }`");
            } else if !(least..=domain::Money::MAX_MINOR).contains(minor) {
                let rule =
                    format!("an amount must be from {least} to {}", domain::Money::MAX_MINOR);
                note(key, &rule, "it is in minor units: 100000 are 1000.00 CNY");
            }
        }
    }
}
