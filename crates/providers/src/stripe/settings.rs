//! The settings of a Stripe channel.

use std::path::{Path, PathBuf};

use domain::{Currency, Method};
use serde::Deserialize;

use super::capabilities::{amounts, table};
use super::codec::Stripe;
use crate::config::{
    Common, Mistakes, common, default_connect_timeout_ms, default_max_in_flight,
    default_timeout_ms, rebase, source,
};
use crate::crypto::Secret;

/// One Stripe account. Keys are given in one of three ways each: the text itself, `*_file` or
/// `*_env`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeSettings {
    /// The interface's address.
    #[serde(default = "production")]
    pub base_url: String,
    /// The secret key (`sk_...` or a restricted `rk_...`).
    pub secret_key: Option<Secret>,
    /// A file with it.
    pub secret_key_file: Option<PathBuf>,
    /// An environment variable with it.
    pub secret_key_env: Option<String>,
    /// The webhook's secret (`whsec_...`). Two, with a space or comma between, while it changes.
    pub webhook_secret: Option<Secret>,
    /// A file with it.
    pub webhook_secret_file: Option<PathBuf>,
    /// An environment variable with it.
    pub webhook_secret_env: Option<String>,
    /// How old a webhook may be.
    #[serde(default = "tolerance")]
    pub webhook_tolerance_s: u32,
    /// The connected account to act for (`acct_...`).
    pub account: Option<String>,
    /// The version of the interface that the account is asked to speak.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// Where customers of redirecting methods come back to, when an order does not say.
    pub return_url: Option<String>,
    /// Where notifications go; Stripe is told in its dashboard, so this is for people.
    pub notify_url: Option<String>,
    /// The longest time for a whole call.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
    /// The longest time for a connection.
    #[serde(default = "default_connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// The most calls at once.
    #[serde(default = "default_max_in_flight")]
    pub max_in_flight: usize,
    /// The most new payments a second that it is given; no limit by default.
    pub max_per_second: Option<u32>,
    /// A part of the methods; all by default.
    pub methods: Option<Vec<Method>>,
    /// The currencies that the account takes.
    pub currencies: Option<Vec<Currency>>,
    /// The smallest amount in minor units.
    pub amount_min_minor: Option<i64>,
    /// The largest amount in minor units.
    pub amount_max_minor: Option<i64>,
    /// For how many days after a payment the agreement allows refunds, where that is less than
    /// the provider's own limit.
    pub refund_days: Option<u32>,
    /// Allows plain http to another machine: for test networks only.
    #[serde(default)]
    pub allow_insecure: bool,
    /// Trust these issuers of TLS certificates instead of the system's.
    pub ca_file: Option<PathBuf>,
}

fn production() -> String {
    "https://api.stripe.com".to_owned()
}

fn api_version() -> String {
    "2026-10-28.endive".to_owned()
}

fn tolerance() -> u32 {
    300
}

const DASHBOARD: &str = "copy it from the developers' page of the dashboard";

impl StripeSettings {
    pub(crate) fn common(&self) -> Common<'_> {
        common!(self)
    }

    pub(crate) fn rebase(&mut self, folder: &Path) {
        rebase(&mut self.secret_key_file, folder);
        rebase(&mut self.webhook_secret_file, folder);
        rebase(&mut self.ca_file, folder);
    }

    pub(crate) fn codec(&self, notify_url: &str, mistakes: &mut Mistakes) -> Option<Stripe> {
        let base_url = self.common().base_url(mistakes);
        self.common().notify_url(notify_url, mistakes);
        let capabilities = self.common().capabilities(table(), Some(amounts), mistakes);
        self.check_currencies(mistakes);
        let key = self.key(mistakes);
        let webhook_secrets = self.webhook_secrets(mistakes);
        mistakes.within("webhook_tolerance_s", self.webhook_tolerance_s.into(), 1, 3_600);
        mistakes.name("api_version", &self.api_version);
        if let Some(account) = &self.account {
            mistakes.name("account", account);
        }
        let back = self.return_url.as_deref();
        if back.is_some_and(|url| reqwest::Url::parse(url).is_err()) {
            mistakes.add("return_url", "it is not an absolute URL", "write it like https://shop/");
        }
        let key = key?;
        Some(Stripe {
            base_url: base_url?,
            livemode: mode(key.expose()),
            key,
            webhook_secrets: webhook_secrets?,
            tolerance_s: self.webhook_tolerance_s.into(),
            account: self.account.clone(),
            api_version: self.api_version.clone(),
            return_url: self.return_url.clone(),
            capabilities,
        })
    }

    fn key(&self, mistakes: &mut Mistakes) -> Option<Secret> {
        let text = source!(self, secret_key, secret_key_file, secret_key_env).required(mistakes)?;
        let key = Secret::new(text.expose().trim());
        let known = key.expose().starts_with("sk_") || key.expose().starts_with("rk_");
        if !known || !key.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            mistakes.add("secret_key", "a secret key starts with sk_ or rk_", DASHBOARD);
            return None;
        }
        Some(key)
    }

    fn webhook_secrets(&self, mistakes: &mut Mistakes) -> Option<Vec<Secret>> {
        let text = source!(self, webhook_secret, webhook_secret_file, webhook_secret_env)
            .required(mistakes)?;
        let split = |c: char| c.is_whitespace() || c == ',';
        let secrets: Vec<_> =
            text.expose().split(split).filter(|s| !s.is_empty()).map(Secret::new).collect();
        if secrets.is_empty() || secrets.iter().any(|s| !s.expose().starts_with("whsec_")) {
            mistakes.add("webhook_secret", "a webhook secret starts with whsec_", DASHBOARD);
            return None;
        }
        Some(secrets)
    }

    /// Stripe counts these currencies in other units than ISO 4217 does.
    fn check_currencies(&self, mistakes: &mut Mistakes) {
        for currency in self.currencies.iter().flatten() {
            if currency.decimals() > 2 || matches!(currency.code(), "ISK" | "MGA" | "UGX") {
                mistakes.add(
                    "currencies",
                    &format!("{currency} is counted in other units at Stripe"),
                    "remove it from the list",
                );
            }
        }
    }
}

fn mode(key: &str) -> Option<bool> {
    let kind = key.get(3..8)?;
    (kind == "live_").then_some(true).or((kind == "test_").then_some(false))
}
