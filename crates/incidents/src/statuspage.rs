//! Reads a Statuspage v2 `summary.json`: how a provider says that its parts are.
//!
//! Pages differ and change: unknown fields are ignored, unknown states are read as the mildest
//! that is not "all is well", and an entry that cannot be read is skipped and counted. What
//! is no summary at all is an error, and then the page is no evidence, in either direction.

use domain::{Scope, Timestamp};
use resilience::Severity;
use serde::Deserialize;
use serde_json::Value;

use crate::calendar::{LONGEST, Span};

/// The largest page that is read.
pub const BYTES_MAX: usize = 2 * 1024 * 1024;
/// The most entries of each kind that are looked at.
const ENTRIES_MAX: usize = 2_000;
/// The most characters of a text that are kept.
const TEXT_MAX: usize = 200;

/// A page that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPage {
    /// Larger than [`BYTES_MAX`].
    #[error("the page is larger than 2 MiB")]
    TooLarge,
    /// Not JSON.
    #[error("the page is not JSON: {0}")]
    NotJson(String),
    /// JSON, and no summary.
    #[error("the page is not a Statuspage summary: {0}")]
    NotASummary(&'static str),
}

/// What a page says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Its parts.
    pub components: Vec<Component>,
    /// What is going on, unresolved.
    pub incidents: Vec<Incident>,
    /// What is planned.
    pub planned: Vec<Planned>,
    /// Entries that could not be read.
    pub skipped: usize,
}

/// How a part is said to be, the better ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// All is well.
    Operational,
    /// Planned work.
    UnderMaintenance,
    /// Slow, or something that is not known here.
    DegradedPerformance,
    /// Fails for some.
    PartialOutage,
    /// Fails.
    MajorOutage,
}

impl Condition {
    fn of(text: &str) -> Condition {
        match text {
            "operational" => Condition::Operational,
            "under_maintenance" => Condition::UnderMaintenance,
            "partial_outage" => Condition::PartialOutage,
            "major_outage" => Condition::MajorOutage,
            _ => Condition::DegradedPerformance,
        }
    }

    /// The name on the page.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Operational => "operational",
            Condition::UnderMaintenance => "under_maintenance",
            Condition::DegradedPerformance => "degraded_performance",
            Condition::PartialOutage => "partial_outage",
            Condition::MajorOutage => "major_outage",
        }
    }

    /// What it says about the channels that depend on the part, if anything bad.
    pub fn severity(self) -> Option<Severity> {
        match self {
            Condition::Operational | Condition::UnderMaintenance => None,
            Condition::DegradedPerformance | Condition::PartialOutage => Some(Severity::Minor),
            Condition::MajorOutage => Some(Severity::Major),
        }
    }
}

/// A part of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The page's id of it.
    pub id: String,
    /// Its name, cut to 200 characters.
    pub name: String,
    /// How it is said to be.
    pub condition: Condition,
}

/// Something that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// The page's id of it.
    pub id: String,
    /// What it is called, cut to 200 characters.
    pub name: String,
    /// How bad it is said to be.
    pub severity: Option<Severity>,
    /// The parts that it is about.
    pub parts: Vec<Part>,
}

/// Planned work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The page's id of it.
    pub id: String,
    /// What it is called, cut to 200 characters.
    pub name: String,
    /// When.
    pub span: Span,
    /// The parts that it is about.
    pub parts: Vec<Part>,
}

/// A part as an incident or a plan names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The page's id of it.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Which part of a page is what here. By id where both are given.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartMapping {
    /// The part's exact name on the page.
    pub component: Option<String>,
    /// The part's id on the page.
    pub component_id: Option<String>,
    /// The channel that depends on it.
    pub channel: Option<domain::ChannelId>,
    /// The method that depends on it.
    pub method: Option<domain::Method>,
    /// The bank that it is.
    pub issuer: Option<String>,
}

impl PartMapping {
    /// What depends on the part.
    pub fn scope(&self) -> Scope {
        Scope { channel: self.channel.clone(), method: self.method, issuer: self.issuer.clone() }
    }

    fn is(&self, id: &str, name: &str) -> bool {
        match (&self.component_id, &self.component) {
            (Some(wanted), _) => wanted == id,
            (None, Some(wanted)) => wanted == name,
            (None, None) => false,
        }
    }
}

/// How bad something is said to be, about one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it is about.
    pub scope: Scope,
    /// How bad.
    pub severity: Severity,
    /// In the page's words.
    pub text: String,
}

impl Summary {
    /// Reads a page.
    ///
    /// # Errors
    /// When it is no summary; what is only partly readable is read partly.
    pub fn read(body: &[u8]) -> Result<Summary, BadPage> {
        if body.len() > BYTES_MAX {
            return Err(BadPage::TooLarge);
        }
        let page: Value =
            serde_json::from_slice(body).map_err(|e| BadPage::NotJson(cut(&e.to_string())))?;
        if !page.is_object() {
            return Err(BadPage::NotASummary("it is no object"));
        }
        if !page["components"].is_array() {
            return Err(BadPage::NotASummary("it has no list `components`"));
        }
        let mut skipped = 0;
        let components = entries(&page, "components", &mut skipped, component);
        let incidents = entries(&page, "incidents", &mut skipped, incident);
        let planned = entries(&page, "scheduled_maintenances", &mut skipped, planned);
        Ok(Summary {
            components,
            incidents: incidents.into_iter().flatten().collect(),
            planned: planned.into_iter().flatten().collect(),
            skipped,
        })
    }

    /// What the page says about the scopes of a mapping: the worst word for each, of its parts
    /// and of the incidents that name them.
    pub fn said(&self, mapping: &[PartMapping]) -> Vec<Said> {
        let mut said: Vec<Said> = Vec::new();
        let mut hear = |scope: Scope, severity: Severity, text: String| match said
            .iter_mut()
            .find(|known| known.scope == scope)
        {
            Some(known) if known.severity >= severity => {}
            Some(known) => (known.severity, known.text) = (severity, text),
            None => said.push(Said { scope, severity, text }),
        };
        for map in mapping {
            for part in self.components.iter().filter(|c| map.is(&c.id, &c.name)) {
                if let Some(severity) = part.condition.severity() {
                    let text = format!("{}: {}", part.name, part.condition.name());
                    hear(map.scope(), severity, text);
                }
            }
            for incident in &self.incidents {
                let about = incident.parts.iter().any(|part| map.is(&part.id, &part.name));
                if let Some(severity) = incident.severity.filter(|_| about) {
                    hear(map.scope(), severity, incident.name.clone());
                }
            }
        }
        said
    }

    /// The planned absences of the scopes of a mapping. Only a provider's own planned window
    /// of a mapped part counts; a plan that names no part is about nobody in particular.
    pub fn absences(&self, mapping: &[PartMapping]) -> Vec<(Scope, &Planned)> {
        let mut absences: Vec<(Scope, &Planned)> = Vec::new();
        for plan in &self.planned {
            for map in mapping {
                let about = plan.parts.iter().any(|part| map.is(&part.id, &part.name));
                let scope = map.scope();
                let known = absences.iter().any(|(s, p)| *s == scope && p.id == plan.id);
                if about && !known {
                    absences.push((scope, plan));
                }
            }
        }
        absences
    }

    /// Names of mapped parts that the page does not have: most likely a renamed part.
    pub fn missing<'m>(&self, mapping: &'m [PartMapping]) -> Vec<&'m str> {
        let known = |map: &&PartMapping| self.components.iter().any(|c| map.is(&c.id, &c.name));
        let name = |map: &'m PartMapping| {
            map.component_id.as_deref().or(map.component.as_deref()).unwrap_or("")
        };
        mapping.iter().filter(|map| !known(map)).map(name).collect()
    }
}

fn entries<T>(
    page: &Value,
    name: &str,
    skipped: &mut usize,
    read: fn(&Value) -> Option<T>,
) -> Vec<T> {
    let all = page[name].as_array().map_or(&[][..], Vec::as_slice);
    *skipped += all.len().saturating_sub(ENTRIES_MAX);
    let mut found = Vec::new();
    for entry in all.iter().take(ENTRIES_MAX) {
        match read(entry) {
            Some(entry) => found.push(entry),
            None => *skipped += 1,
        }
    }
    found
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(TEXT_MAX).collect()
}

fn text(entry: &Value, name: &str) -> Option<String> {
    entry[name].as_str().map(cut)
}

fn component(entry: &Value) -> Option<Component> {
    // A group only gathers other parts, which speak for themselves.
    let condition = match entry["group"].as_bool() {
        Some(true) => Condition::Operational,
        _ => Condition::of(entry["status"].as_str()?),
    };
    Some(Component { id: text(entry, "id")?, name: text(entry, "name")?, condition })
}

/// `Some(None)` for one that is over.
fn incident(entry: &Value) -> Option<Option<Incident>> {
    let over = matches!(entry["status"].as_str()?, "resolved" | "postmortem" | "completed");
    if over {
        return Some(None);
    }
    let severity = match entry["impact"].as_str().unwrap_or("none") {
        "none" | "maintenance" => None,
        "major" | "critical" => Some(Severity::Major),
        _ => Some(Severity::Minor),
    };
    let (id, name) = (text(entry, "id")?, text(entry, "name")?);
    Some(Some(Incident { id, name, severity, parts: parts(entry) }))
}

fn planned(entry: &Value) -> Option<Option<Planned>> {
    let over = matches!(entry["status"].as_str()?, "completed" | "resolved" | "postmortem");
    if over {
        return Some(None);
    }
    let (from, until) = (time(&entry["scheduled_for"])?, time(&entry["scheduled_until"])?);
    if until <= from || until.since(from) > LONGEST {
        return None;
    }
    let span = Span { from, until };
    Some(Some(Planned {
        id: text(entry, "id")?,
        name: text(entry, "name")?,
        span,
        parts: parts(entry),
    }))
}

fn parts(entry: &Value) -> Vec<Part> {
    let all = entry["components"].as_array().map_or(&[][..], Vec::as_slice);
    let read = |part: &Value| Some(Part { id: text(part, "id")?, name: text(part, "name")? });
    all.iter().take(ENTRIES_MAX).filter_map(read).collect()
}

fn time(value: &Value) -> Option<Timestamp> {
    let at: jiff::Timestamp = value.as_str()?.parse().ok()?;
    Some(Timestamp::from_micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use domain::{ChannelId, Method};
    use proptest::prelude::*;

    use super::*;

    const GOOD: &[u8] = include_bytes!("../golden/summary.json");
    const ODD: &[u8] = include_bytes!("../golden/odd.json");

    fn map(component: Option<&str>, id: Option<&str>, channel: &str) -> PartMapping {
        PartMapping {
            component: component.map(str::to_owned),
            component_id: id.map(str::to_owned),
            channel: Some(ChannelId::new(channel).unwrap()),
            method: None,
            issuer: None,
        }
    }

    #[test]
    fn a_page_is_read() {
        let page = Summary::read(GOOD).unwrap();
        assert_eq!(page.skipped, 0);
        let conditions: Vec<_> = page.components.iter().map(|c| c.condition.name()).collect();
        let all = ["major_outage", "partial_outage", "operational", "under_maintenance"];
        assert_eq!(conditions, [&all[..], &["operational"]].concat());
        assert_eq!(page.incidents.len(), 1, "the resolved one is over");
        assert_eq!(page.planned.len(), 1, "the completed one is over");
        assert_eq!(page.planned[0].span.until.since(page.planned[0].span.from).as_secs(), 7_200);
    }

    #[test]
    fn parts_are_told_by_id_or_by_their_exact_name() {
        let page = Summary::read(GOOD).unwrap();
        let mapping = [
            map(Some("Payments API"), None, "stripe-main"),
            map(Some("renamed since"), Some("k7c"), "stripe-cards"),
            map(Some("payments api"), None, "nobody"),
            map(Some("Dashboard"), None, "fine"),
        ];
        let said = page.said(&mapping);
        let told: Vec<_> = said.iter().map(|s| (s.scope.to_string(), s.severity)).collect();
        assert_eq!(
            told,
            [
                ("stripe-main".to_owned(), Severity::Major),
                // The incident is worse than what the part itself shows.
                ("stripe-cards".to_owned(), Severity::Major),
            ]
        );
        assert_eq!(page.missing(&mapping), ["payments api"]);
        let absences = page.absences(&mapping);
        assert_eq!(absences.len(), 1);
        assert_eq!(absences[0].0.channel.as_ref().unwrap().as_str(), "fine");
    }

    #[test]
    fn a_mapping_may_name_a_method_everywhere() {
        let page = Summary::read(GOOD).unwrap();
        let map = PartMapping {
            channel: None,
            method: Some(Method::Card),
            ..map(Some("Payments API"), None, "x")
        };
        assert_eq!(page.said(&[map])[0].scope.to_string(), "card");
    }

    #[test]
    fn odd_entries_are_skipped_and_counted_and_the_rest_is_read() {
        let page = Summary::read(ODD).unwrap();
        let names: Vec<_> = page.components.iter().map(|c| c.name.chars().count()).collect();
        assert_eq!(names, [4, 200, 7]);
        assert_eq!(page.components[0].condition, Condition::DegradedPerformance, "unknown state");
        assert_eq!(page.planned.len(), 0, "backwards, endless, and without an end");
        assert_eq!(page.incidents.len(), 1);
        assert_eq!(page.incidents[0].severity, Some(Severity::Minor), "unknown impact");
        assert_eq!(page.skipped, 3 + 1 + 3);
    }

    #[test]
    fn what_is_no_summary_is_an_error() {
        assert_eq!(Summary::read(b"[]"), Err(BadPage::NotASummary("it is no object")));
        let empty = Summary::read(b"{}");
        assert_eq!(empty, Err(BadPage::NotASummary("it has no list `components`")));
        for text in [&b""[..], b"<html>", b"{\"components\": [", b"\xff\xfe", b"null{}"] {
            assert!(matches!(Summary::read(text), Err(BadPage::NotJson(_))), "{text:?}");
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(Summary::read(deep.as_bytes()), Err(BadPage::NotJson(_))));
        let huge = vec![b' '; BYTES_MAX + 1];
        assert_eq!(Summary::read(&huge), Err(BadPage::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_reader(body: Vec<u8>) {
            let _ = Summary::read(&body);
        }

        /// The golden page with a piece cut out or replaced anywhere.
        #[test]
        fn no_damage_panics_the_reader(at in 0..GOOD.len(), cut in 0..40_usize, with: Vec<u8>) {
            let end = (at + cut).min(GOOD.len());
            let body = [&GOOD[..at], &with, &GOOD[end..]].concat();
            if let Ok(page) = Summary::read(&body) {
                let mapping = [map(Some("Payments API"), None, "a"), map(None, Some("k7c"), "b")];
                prop_assert!(page.said(&mapping).len() <= 2);
                prop_assert!(page.absences(&mapping).len() <= 2 * page.planned.len());
            }
        }
    }
}
