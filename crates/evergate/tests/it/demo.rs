//! The demo: an outage, and books that agree afterwards.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::support::{code, json_of, run, stderr};

/// One after the other: each wants the machine for itself.
static TURN: Mutex<()> = Mutex::new(());

fn report(args: &[&str]) -> Value {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = vec!["demo", "--json", "--no-color"];
    all.extend(args);
    let output = run(&all);
    let report = json_of(&output);
    assert_eq!(code(&output), 0, "{report:#}\n{}", stderr(&output));
    report
}

#[test]
fn an_outage_loses_nothing_and_charges_nobody_twice() {
    let report = report(&["--duration", "6s", "--rate", "20", "--seed", "3"]);
    for zero in ["lost", "charged_twice", "unknown", "mismatches", "webhooks_missing"] {
        assert_eq!(report[zero], 0, "{zero}: {report:#}");
    }
    let count = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"));
    assert!(count("payments") > 80, "{report:#}");
    assert!(count("paid") > 60, "{report:#}");
    assert!(count("rerouted") > 0, "{report:#}");
    assert!(count("webhooks_delivered") >= count("paid"), "{report:#}");
    assert!(count("fault_to_reroute_ms") < 5_000, "{report:#}");
    for name in
        ["declined", "abandoned", "added_p50_us", "added_p99_us", "refunded_seconds", "seed"]
    {
        count(name);
    }
    assert_eq!(report["scenario"], "alipay-outage");
    assert_eq!(report["duration_s"], 6.0);
}

#[test]
fn a_calm_day_reroutes_nobody() {
    let report = report(&["--scenario", "calm", "--duration", "3s", "--rate", "10"]);
    assert_eq!(report["rerouted"], 0, "{report:#}");
    assert_eq!(report["fault_to_reroute_ms"], Value::Null);
}

#[test]
fn when_everything_is_down_no_money_goes_astray() {
    let report = report(&["--scenario", "all-down", "--duration", "6s", "--rate", "10"]);
    for zero in ["lost", "charged_twice", "unknown", "mismatches"] {
        assert_eq!(report[zero], 0, "{zero}: {report:#}");
    }
}
