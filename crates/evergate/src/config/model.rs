//! The tables of `evergate.toml`, each with its defaults.
//!
//! What a channel can be set to belongs to `providers`, and how the breaker is set to
//! `resilience`; this file holds the rest.

use std::net::SocketAddr;
use std::path::PathBuf;

use domain::{Late, MerchantId};
use serde::Deserialize;

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
