//! The Prometheus rules that are handed out: their form, and that they speak of metrics which
//! the gateway has.

use std::collections::BTreeMap;

const RULES: &str = include_str!("../../../../docs/evergate.rules.yml");

/// One alert: its fields by name, `labels.severity` and the like included.
type Alert = BTreeMap<String, String>;

/// Reads the part of YAML that the file is written in: two-space steps, one field a line. Any
/// other line is a mistake.
fn alerts() -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    let mut below = "";
    for line in RULES.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        let (indent, text) = (line.len() - line.trim_start().len(), line.trim_start());
        let (name, value) = text.split_once(':').unwrap_or_else(|| panic!("no field: {line}"));
        let value = value.trim();
        let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        assert!(
            quoted.is_some()
                || !value.contains(['"', '#'])
                || value.contains("{result=")
                || value.contains("{state=")
                || value.contains("{end="),
            "{line}"
        );
        let value = quoted.unwrap_or(value).to_owned();
        match (indent, name) {
            (0, "groups") | (2, "- name") | (4, "rules") => {}
            (6, "- alert") => alerts.push(BTreeMap::from([("alert".to_owned(), value)])),
            (8, "labels" | "annotations") => below = name,
            (8, _) => {
                alerts.last_mut().unwrap().insert(name.to_owned(), value);
            }
            (10, _) => {
                alerts.last_mut().unwrap().insert(format!("{below}.{name}"), value);
            }
            _ => panic!("a line of another form: {line}"),
        }
    }
    alerts
}

/// Alerts that the file holds.
const ALERTS: usize = 11;

#[test]
fn every_alert_is_whole_and_speaks_of_a_metric_that_is_described() {
    let alerts = alerts();
    assert_eq!(alerts.len(), ALERTS);
    let source = concat!(
        include_str!("../../../server/src/system.rs"),
        include_str!("../../../server/src/assist/gauges.rs"),
        include_str!("../../../incidents/src/desk.rs"),
    );
    for alert in &alerts {
        for field in
            ["expr", "for", "labels.severity", "annotations.summary", "annotations.summary_zh"]
        {
            assert!(alert.get(field).is_some_and(|v| !v.is_empty()), "{field} of {alert:?}");
        }
        let metric: String = alert["expr"]
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .find(|word| word.starts_with("evergate_"))
            .unwrap()
            .to_owned();
        assert!(source.contains(&format!("\"{metric}\"")), "{metric} is not a metric");
    }
    let days = |alert: &&Alert| alert["expr"].starts_with("evergate_certificate_days_to_expiry");
    assert_eq!(alerts.iter().filter(days).count(), 4);
}
