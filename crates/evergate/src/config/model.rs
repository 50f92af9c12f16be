//! The tables of `evergate.toml`, each with its defaults.
//!
//! What a channel can be set to belongs to `providers`, and how the breaker is set to
//! `resilience`; this file holds the rest.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::{Late, MerchantId};
use resilience::RolloutSettings;
use serde::Deserialize;

use crate::args::duration;

/// `[server]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSection {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Where providers and customers reach it; `http://` and `bind` when absent.
    pub public_url: Option<String>,
    /// Where to listen for `/metrics` alone; on `bind` when absent.
    pub metrics_bind: Option<SocketAddr>,
    /// The largest request body.
    pub max_body_bytes: usize,
    /// The longest time for a whole request; above `policy.request_deadline_ms`.
    pub request_timeout_ms: u64,
    /// The longest time for a request's head.
    pub header_timeout_ms: u64,
    /// The longest time for its body.
    pub body_timeout_ms: u64,
    /// How long a connection may stand still; above `request_timeout_ms`.
    pub idle_timeout_ms: u64,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address; 0 is no limit.
    pub max_connections_per_ip: usize,
    /// API requests at once.
    pub max_requests: usize,
    /// Open checkout pages that are told of changes at once.
    pub max_streams: usize,
    /// Further places for notifications of providers only.
    pub notification_reserve: usize,
    /// How long a shutdown still takes connections while `/readyz` says no.
    pub lame_duck_ms: u64,
    /// How long a shutdown waits for requests that are under way.
    pub drain_timeout_ms: u64,
    /// Payments and messages worked on at once in the background.
    pub workers: usize,
}

impl Default for ServerSection {
    fn default() -> Self {
        ServerSection {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            metrics_bind: None,
            max_body_bytes: 256 * 1024,
            request_timeout_ms: 30_000,
            header_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            max_connections: 4096,
            max_connections_per_ip: 0,
            max_requests: 512,
            max_streams: 1024,
            notification_reserve: 64,
            lame_duck_ms: 0,
            drain_timeout_ms: 20_000,
            workers: 64,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// The SQLite file.
    pub path: PathBuf,
}

impl Default for StoreSection {
    fn default() -> Self {
        StoreSection { path: "evergate.db".into() }
    }
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, or filters such as `info,engine=debug`.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        LogSection { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For machines: one JSON object a line.
    Json,
    /// For people.
    Text,
}

/// One of `[[api_keys]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeySection {
    /// Names the key in logs and in the audit log; merchant and role when absent.
    pub name: Option<String>,
    /// Whose payments it is for; an operator's key may do without.
    pub merchant: Option<MerchantId>,
    /// What it may do.
    pub role: server::Role,
    /// The key's digest, from `evergate keys new`.
    pub hash: String,
}

/// One of `[[merchants]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantSection {
    /// The merchant.
    pub name: MerchantId,
    /// Where its messages go; none are sent when absent.
    pub webhook_url: Option<String>,
    /// What they are signed with; several while a secret is changed.
    #[serde(default)]
    pub webhook_secrets: Vec<providers::Secret>,
    /// A file with one secret a line, instead.
    pub webhook_secrets_file: Option<PathBuf>,
}

/// `[policy]`: absent fields keep the engine's and the domain's own defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySection {
    /// A success after expiry.
    pub late_after_expiry: Option<Late>,
    /// A success after the merchant cancelled.
    pub late_after_cancel: Option<Late>,
    /// One create request in all, failover included.
    pub request_deadline_ms: Option<u64>,
    /// How long a worker holds a payment.
    pub lease_ms: Option<u64>,
    /// The most channels that one request tries.
    pub tries_per_request: Option<usize>,
    /// How long a payment lives when the merchant does not say.
    pub expiry_s: Option<u64>,
    /// The shortest life that a merchant may ask for.
    pub expiry_s_min: Option<u64>,
    /// The longest.
    pub expiry_s_max: Option<u64>,
    /// Added to a call's deadline before anyone takes it for interrupted.
    pub grace_ms: Option<u64>,
    /// Waits before the questions about an order; each provider's own when absent.
    pub query_waits_ms: Option<Vec<u64>>,
    /// Waits before the tries to close an order.
    pub close_waits_ms: Option<Vec<u64>>,
    /// Waits before the questions about a refund.
    pub refund_waits_ms: Option<Vec<u64>>,
    /// How long "not found" must be the answer about a charge before it never arrived.
    pub not_found_settles_ms: Option<u64>,
    /// Added to an order's own end before "unpaid" proves that it lapsed.
    pub lapse_margin_ms: Option<u64>,
    /// How long an ending payment waits for its provider's word.
    pub ending_patience_ms: Option<u64>,
    /// When an unknown effect goes to a person's queue as well.
    pub review_after_ms: Option<u64>,
}

/// `[config]`: how keys and this file itself change while the gateway runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigSection {
    /// How often key files are looked at, or `off`.
    pub watch_files: String,
    /// How long keys that were replaced are still believed.
    pub overlap: String,
    /// Days before the end of a certificate at which it is told of.
    pub certificate_days: Vec<u32>,
    /// Shares of the payments, in percent, that a new configuration is tried on.
    pub stages: Vec<u8>,
    /// How long each stage is watched.
    pub stage_watch: String,
    /// Calls to each touched channel that a stage needs.
    pub stage_calls: u64,
    /// The largest probability of rolling back a change that is no worse than tolerated.
    pub false_rollbacks: f64,
    /// The rate of technical failures that a change may have.
    pub tolerated_failures: f64,
}

impl Default for ConfigSection {
    fn default() -> Self {
        ConfigSection {
            watch_files: "10s".to_owned(),
            overlap: "24h".to_owned(),
            certificate_days: vec![30, 14, 7, 1],
            stages: vec![10, 50, 100],
            stage_watch: "60s".to_owned(),
            stage_calls: 20,
            false_rollbacks: 0.001,
            tolerated_failures: 0.02,
        }
    }
}

impl ConfigSection {
    /// How often key files are looked at; `None` when they are not.
    pub fn watch_files(&self) -> Option<Duration> {
        (self.watch_files != "off").then(|| duration(&self.watch_files).unwrap_or(TEN_SECONDS))
    }

    /// How long keys that were replaced are still believed.
    pub fn overlap(&self) -> Duration {
        // Another way of `0s`, which `duration` does not read.
        if self.overlap == "off" {
            return Duration::ZERO;
        }
        duration(&self.overlap).unwrap_or(Duration::from_secs(86_400))
    }

    /// How a new configuration is tried.
    pub fn rollout(&self) -> RolloutSettings {
        let watch = duration(&self.stage_watch).unwrap_or(Duration::from_secs(60));
        RolloutSettings {
            stages: self.stages.clone(),
            watch,
            patience: watch * 10,
            calls_min: self.stage_calls,
            false_rollbacks: self.false_rollbacks,
            tolerated: self.tolerated_failures,
        }
    }
}

const TEN_SECONDS: Duration = Duration::from_secs(10);
