//! What must hold between settings that each read well by themselves.

use std::collections::BTreeSet;

use server::BadOperator;
use toml::de::DeTable;

use super::read::{Reader, place};
use super::{Config, ConfigSection};
use crate::args::duration;

/// Notes every rule that is broken.
pub(super) fn check<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, config: &Config) {
    server(reader, document, config);
    keys(reader, document, config);
    operators(reader, document, config);
    merchants(reader, document, config);
    policy(reader, document, config);
    super::degradation::check(reader, document, &config.degradation);
    super::assist::check(reader, document, &config.assist);
    health(reader, document, &config.health);
    changes(reader, document, &config.changes);
    if document.get("channels").is_none() {
        let fix = "add one `[[channels]]` for each account, the preferred one first";
        reader.note(0..0, "channels", "there is none, so nothing can be paid", fix);
    }
}

fn server<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, config: &Config) {
    let mut rule = |key: &str, holds: bool, rule: &str, fix: &str| {
        if !holds {
            let span = place(document, "server", None, key);
            reader.note(span, &format!("server.{key}"), rule, fix);
        }
    };
    let server = &config.server;
    if let Some(url) = &server.public_url {
        let good = reqwest::Url::parse(url)
            .is_ok_and(|u| matches!(u.scheme(), "http" | "https") && u.query().is_none());
        let text = "it must be an http or https address without a query";
        rule("public_url", good, text, "write it like `https://pay.example.com`");
    }
    let positive = "it must be at least 1";
    rule("max_connections", server.max_connections > 0, positive, "leave it out for 4096");
    rule("max_requests", server.max_requests > 0, positive, "leave it out for 512");
    rule("workers", server.workers > 0, positive, "leave it out for 64");
    let body = (1_024..=16 << 20).contains(&server.max_body_bytes);
    rule("max_body_bytes", body, "it must be 1024 to 16777216", "leave it out for 262144");
    for (key, value) in [
        ("header_timeout_ms", server.header_timeout_ms),
        ("body_timeout_ms", server.body_timeout_ms),
    ] {
        rule(key, value > 0, positive, "leave it out for 10000");
    }
    let idle = server.idle_timeout_ms > server.request_timeout_ms;
    let text = "it must be longer than request_timeout_ms";
    rule("idle_timeout_ms", idle, text, "raise it, or lower the other");
    let deadline = config.policy.request_deadline_ms.unwrap_or(10_000);
    let enough = server.request_timeout_ms > deadline;
    let text = "it must be longer than policy.request_deadline_ms";
    rule("request_timeout_ms", enough, text, "raise it, or lower the other");
}

fn keys<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, config: &Config) {
    let mut seen = BTreeSet::new();
    for (index, key) in config.api_keys.iter().enumerate() {
        let mut note = |field: &str, rule: &str, fix: &str| {
            let span = place(document, "api_keys", Some(index), field);
            reader.note(span, &format!("api_keys[{index}].{field}"), rule, fix);
        };
        let is_hash = key.hash.len() == 64 && key.hash.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash {
            let fix = "make a key with `evergate keys new` and copy the line that it prints";
            note("hash", "it must be the key's SHA-256 in 64 hex digits", fix);
        } else if !seen.insert(key.hash.to_ascii_lowercase()) {
            note("hash", "another key has the same hash", "make one key for each holder");
        }
        let reserved = |m: &domain::MerchantId| m.as_str() == domain::SYNTHETIC_MERCHANT;
        if key.merchant.as_ref().is_some_and(reserved) {
            let fix = "give the key another merchant";
            note("merchant", "this name is kept for Evergate's own synthetic payments", fix);
        }
        if key.role == server::Role::Viewer && key.merchant.is_some() {
            let fix = "leave the merchant out, or give it the role merchant or operator";
            note("merchant", "a key of the role viewer collects for nobody", fix);
        }
        if key.role == server::Role::Merchant && key.merchant.is_none() {
            let fix = "add `merchant = \"...\"`, or give it the role operator";
            note("merchant", "a key of the role merchant needs one", fix);
        }
    }
}

fn operators<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, config: &Config) {
    let mut seen = BTreeSet::new();
    for (index, operator) in config.operators.iter().enumerate() {
        let mut note = |field: &str, rule: &str, fix: &str| {
            let span = place(document, "operators", Some(index), field);
            reader.note(span, &format!("operators[{index}].{field}"), rule, fix);
        };
        if !seen.insert(&operator.name) {
            note("name", "two operators have this name", "give each person a name of their own");
        }
        let one = server::Operators::new(vec![crate::serve::operator(operator)]);
        for mistake in one.err().into_iter().flatten() {
            match mistake {
                BadOperator::Name(_) => {
                    let rule = "it must be 1 to 40 letters, digits, _ and -";
                    note("name", rule, "it stands in the audit log, such as `li`");
                }
                BadOperator::Role(_) => {
                    let fix = "merchants use API keys; people at the console are one of these";
                    note("role", "it must be viewer, operator or approver", fix);
                }
                BadOperator::Hash { rule, .. } => {
                    let fix = "make it with `evergate operators hash` and copy the line it prints";
                    note("password_hash", &format!("it {rule}"), fix);
                }
                BadOperator::Twice(_) => {}
            }
        }
    }
}

fn merchants<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, config: &Config) {
    let mut seen = BTreeSet::new();
    for (index, merchant) in config.merchants.iter().enumerate() {
        let mut note = |field: &str, rule: &str, fix: &str| {
            let span = place(document, "merchants", Some(index), field);
            reader.note(span, &format!("merchants[{index}].{field}"), rule, fix);
        };
        if !seen.insert(merchant.name.clone()) {
            note("name", "two merchants have this name", "keep one of them");
        }
        let Some(url) = &merchant.webhook_url else { continue };
        let good = reqwest::Url::parse(url).is_ok_and(|u| matches!(u.scheme(), "http" | "https"));
        if !good {
            note("webhook_url", "it must be an http or https address", "such as https://…");
        }
        if merchant.webhook_secrets.is_empty() && merchant.webhook_secrets_file.is_none() {
            let fix = "add `webhook_secrets = [\"whsec_...\"]`, or `webhook_secrets_file`";
            note("webhook_secrets", "messages must be signed with at least one secret", fix);
        }
    }
}

fn policy<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, config: &Config) {
    let policy = &config.policy;
    let mut note = |key: &str, rule: &str, fix: &str| {
        let span = place(document, "policy", None, key);
        reader.note(span, &format!("policy.{key}"), rule, fix);
    };
    for (key, value) in [
        ("request_deadline_ms", policy.request_deadline_ms),
        ("lease_ms", policy.lease_ms),
        ("expiry_s", policy.expiry_s),
        ("expiry_s_min", policy.expiry_s_min),
        ("tries_per_request", policy.tries_per_request.map(|tries| tries as u64)),
    ] {
        if value == Some(0) {
            note(key, "it must be at least 1", "leave it out for the default");
        }
    }
    let (least, most) = (policy.expiry_s_min.unwrap_or(60), policy.expiry_s_max.unwrap_or(86_400));
    let usual = policy.expiry_s.unwrap_or(900);
    if least > most || !(least..=most).contains(&usual) {
        let rule = "it must hold expiry_s_min <= expiry_s <= expiry_s_max";
        note("expiry_s", rule, "the defaults are 60, 900 and 86400");
    }
    for (key, waits) in [
        ("query_waits_ms", &policy.query_waits_ms),
        ("close_waits_ms", &policy.close_waits_ms),
        ("refund_waits_ms", &policy.refund_waits_ms),
    ] {
        if waits.as_ref().is_some_and(|w| w.is_empty() || w.contains(&0)) {
            let fix = "write milliseconds, such as [3000, 10000, 30000]; the last one repeats";
            note(key, "it must be a list of waits, each at least 1", fix);
        }
    }
}

fn health<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, health: &resilience::Settings) {
    let mut rule = |key: &str, holds: bool, rule: &str, fix: &str| {
        if !holds {
            let span = place(document, "health", None, key);
            reader.note(span, &format!("health.{key}"), rule, fix);
        }
    };
    let text = "it must be a number from 10 to 1e12";
    let arl = (10.0..=1e12).contains(&health.false_alarm_outcomes);
    rule("false_alarm_outcomes", arl, text, "the default is 4000000.0");
    let text = "it must be above 0 and below 1";
    for (key, value, fix) in [
        ("technical_base", health.technical_base, "the default is 0.995"),
        ("approval_base", health.approval_base, "the default is 0.9"),
    ] {
        rule(key, value > 0.0 && value < 1.0, text, fix);
    }
    let text = "it must be from 0 to 1";
    for (key, value, fix) in [
        ("explore", health.explore, "the default is 0.005"),
        ("explore_doubtful", health.explore_doubtful, "the default is 0.03"),
        ("explore_hopeful", health.explore_hopeful, "the default is 0.03"),
        ("near_success", health.near_success, "the default is 0.002"),
        ("retry_share", health.retry_share, "the default is 0.1"),
    ] {
        rule(key, (0.0..=1.0).contains(&value), text, fix);
    }
    let text = "it must be above 0 and at most 1000 nats";
    for (key, value, fix) in [
        ("suspect_nats", health.suspect_nats, "the default is 3.0"),
        ("relapse_nats", health.relapse_nats, "the default is 8.0"),
        ("recover_nats", health.recover_nats, "the default is 6"),
        ("silence_nats", health.silence_nats, "the default is 11.0"),
    ] {
        rule(key, value > 0.0 && value <= 1_000.0, text, fix);
    }
    let text = "it must be at least 1";
    rule("hold_off_ms", health.hold_off_ms > 0, text, "the default is 5000");
    let ordered = health.hold_off_max_ms >= health.hold_off_ms;
    let rule_text = "it must be at least hold_off_ms";
    rule("hold_off_max_ms", ordered, rule_text, "the default is 1800000");
    rule("probe_every_ms", health.probe_every_ms > 0, text, "the default is 10000");
    rule("ramp_step_ms", health.ramp_step_ms > 0, text, "the default is 8000");
    rule("ramp_outcomes", health.ramp_outcomes > 0, text, "the default is 10");
}

fn changes<'t>(reader: &mut Reader<'t>, document: &DeTable<'t>, set: &ConfigSection) {
    let mut rule = |key: &str, holds: bool, rule: &str, fix: &str| {
        if !holds {
            let span = place(document, "config", None, key);
            reader.note(span, &format!("config.{key}"), rule, fix);
        }
    };
    let time = "it must be a time, or off";
    for (key, text, fix) in [
        ("watch_files", &set.watch_files, "the default is 10s"),
        ("overlap", &set.overlap, "the default is 24h"),
    ] {
        rule(key, text == "off" || duration(text).is_ok(), time, fix);
    }
    let is_time = duration(&set.stage_watch).is_ok();
    rule("stage_watch", is_time, "it must be a time", "the default is 60s");
    let days = !set.certificate_days.is_empty() && !set.certificate_days.contains(&0);
    let text = "it must be a list of days, each at least 1";
    rule("certificate_days", days, text, "the default is [30, 14, 7, 1]");
    let stages = set.stages.first().is_some_and(|first| *first > 0)
        && set.stages.is_sorted_by(|a, b| a < b)
        && set.stages.last() == Some(&100);
    let text = "it must be growing percentages, the last one 100";
    rule("stages", stages, text, "the default is [10, 50, 100]");
    rule("stage_calls", set.stage_calls > 0, "it must be at least 1", "the default is 20");
    let text = "it must be above 0 and below 0.5";
    for (key, value, fix) in [
        ("false_rollbacks", set.false_rollbacks, "the default is 0.001"),
        ("tolerated_failures", set.tolerated_failures, "the default is 0.02"),
    ] {
        rule(key, value > 0.0 && value < 0.5, text, fix);
    }
}
