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

/// A story of six seconds with four zeros; what happened, by kind.
fn story(scenario: &str, seed: &str, rate: &str) -> Value {
    let report =
        report(&["--scenario", scenario, "--duration", "6s", "--rate", rate, "--seed", seed]);
    for zero in ["lost", "charged_twice", "unknown", "mismatches"] {
        assert_eq!(report[zero], 0, "{zero}: {report:#}");
    }
    report
}

fn happened<'r>(report: &'r Value, kind: &str) -> &'r Value {
    let story = report["story"].as_array().unwrap_or_else(|| panic!("no story: {report:#}"));
    let found = story.iter().find(|happened| happened["kind"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}: {report:#}"))
}

fn paid_on(report: &Value, channel: &str) -> u64 {
    let channels = report["channels"].as_array().expect("channels");
    let found = channels.iter().find(|c| c["name"] == channel).expect("the channel");
    found["paid"].as_u64().expect("a number")
}

#[test]
fn in_a_banks_night_its_customers_are_led_elsewhere_and_others_go_on() {
    let report = story("unionpay-night", "3", "15");
    let stated = happened(&report, "operator");
    assert_eq!(stated["refused"], Value::Null, "{stated:#}");
    let night = happened(&report, "bank");
    assert_eq!(night["bank"], "ICBC");
    let count = |name: &str| night[name].as_u64().unwrap_or_else(|| panic!("{name}: {night:#}"));
    assert!(count("led") + count("offered") > 0, "{night:#}");
    assert!(count("others_paid") > 0, "{night:#}");
}

#[test]
fn what_was_agreed_while_paypal_gave_no_token_is_taken_afterwards() {
    let report = story("paypal-token-outage", "3", "15");
    let agreed = happened(&report, "approved");
    assert_eq!(agreed["channel"], "paypal-main");
    assert_eq!(agreed["approved"], agreed["captured"], "{agreed:#}");
    assert!(agreed["approved"].as_u64().is_some_and(|n| n > 0), "{agreed:#}");
    assert!(report["rerouted"].as_u64().is_some_and(|n| n > 0), "{report:#}");
}

#[test]
fn a_certificate_that_ran_out_is_named_and_payments_go_elsewhere() {
    let report = story("expired-certificate", "3", "15");
    let told = happened(&report, "certificate");
    assert_eq!(told["channel"], "unionpay-main");
    let text = told["certificate"].as_str().expect("words");
    assert!(text.contains("UnionPay's certificate ") && text.contains(" ran out at 2"), "{text}");
    assert!(told["answers"].as_u64().is_some_and(|n| n > 0), "{told:#}");
    assert!(told["elsewhere"].as_u64().is_some_and(|n| n > 0), "{told:#}");
    assert!(paid_on(&report, "unionpay-main") > 0, "{report:#}");
}

#[test]
fn a_wrong_key_that_an_operator_pushes_is_taken_back_and_loses_nobody() {
    let report = story("wrong-key", "3", "15");
    let pushed = happened(&report, "operator");
    assert_eq!(pushed["refused"], Value::Null, "{pushed:#}");
    let trial = happened(&report, "trial");
    assert_eq!(
        (&trial["channel"], &trial["state"]),
        (&"stripe-main".into(), &"rolled_back".into())
    );
    let count = |name: &str| trial[name].as_u64().unwrap_or_else(|| panic!("{name}: {trial:#}"));
    assert!(count("failed") > 0 && count("rescued") == count("failed"), "{trial:#}");
    assert_eq!(report["no_channel_left"], 0, "{report:#}");
    assert!(paid_on(&report, "stripe-main") > 0, "{report:#}");
}

#[test]
fn when_nothing_online_works_transfers_are_made_and_matched() {
    let report = story("offline", "3", "15");
    let transfers = happened(&report, "transfers");
    assert!(transfers["made"].as_u64().is_some_and(|n| n > 0), "{transfers:#}");
    assert_eq!(transfers["made"], transfers["matched"], "{transfers:#}");
    assert_eq!(transfers["made"], paid_on(&report, "bank-main"), "{report:#}");
}

#[test]
fn the_list_names_every_scenario_in_both_languages() {
    for (lang, word) in [("en", "UnionPay"), ("zh", "银联")] {
        let output = run(&["--lang", lang, "demo", "--list"]);
        let text = crate::support::stdout(&output);
        assert_eq!(code(&output), 0, "{text}{}", stderr(&output));
        assert!(text.contains("expired-certificate") && text.contains(word), "{text}");
    }
}
