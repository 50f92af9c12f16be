//! The settings of a PayPal channel.

use std::path::{Path, PathBuf};

use domain::{Currency, Method};
use serde::Deserialize;

use super::capabilities::{amounts, table};
use super::codec::Paypal;
use super::webhook::Check;
use crate::config::{
    Common, Mistakes, common, default_connect_timeout_ms, default_max_in_flight,
    default_timeout_ms, rebase, source,
};
use crate::crypto::Secret;

/// One PayPal application (REST app). Keys are given in one of three ways each: the text
/// itself, `*_file` or `*_env`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaypalSettings {
    /// The interface's address.
    #[serde(default = "production")]
    pub base_url: String,
    /// The application's client id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: Option<Secret>,
    /// A file with it.
    pub client_secret_file: Option<PathBuf>,
    /// An environment variable with it.
    pub client_secret_env: Option<String>,
    /// The webhook's id from the console. It is part of what PayPal signs.
    pub webhook_id: String,
    /// How webhooks are verified.
    #[serde(default)]
    pub webhook_check: WebhookCheck,
    /// Hosts, with everything below them, that a webhook's certificate may be fetched from.
    #[serde(default = "certificate_hosts")]
    pub webhook_certificate_hosts: Vec<String>,
    /// How old a webhook may be. PayPal sends for three days, with the time of the first.
    #[serde(default = "tolerance")]
    pub webhook_tolerance_s: u32,
    /// Where customers come back to, when an order does not say.
    pub return_url: Option<String>,
    /// Where customers who give up come back to; `return_url` when absent.
    pub cancel_url: Option<String>,
    /// The shop's name on PayPal's page.
    pub brand_name: Option<String>,
    /// Where notifications go; PayPal is told in its console, so this is for people.
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

/// How webhooks are verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookCheck {
    /// Here, with PayPal's certificate, which is fetched and kept.
    #[default]
    Certificate,
    /// By PayPal, which is sent each one back.
    Postback,
}

fn production() -> String {
    "https://api-m.paypal.com".to_owned()
}

fn certificate_hosts() -> Vec<String> {
    vec!["paypal.com".to_owned()]
}

fn tolerance() -> u32 {
    4 * 86_400
}

/// The currencies that PayPal takes with the decimals of ISO 4217. Hungarian forints and
/// Taiwanese dollars it counts whole, so that an amount with decimals would be refused.
pub(super) const CURRENCIES: &[&str] = &[
    "USD", "EUR", "GBP", "AUD", "BRL", "CAD", "CHF", "CZK", "DKK", "HKD", "ILS", "JPY", "MXN",
    "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB",
];

/// Accounts in mainland China alone take it.
const AT_HOME: &str = "CNY";

impl PaypalSettings {
    pub(crate) fn common(&self) -> Common<'_> {
        common!(self)
    }

    pub(crate) fn rebase(&mut self, folder: &Path) {
        rebase(&mut self.client_secret_file, folder);
        rebase(&mut self.ca_file, folder);
    }

    pub(crate) fn codec(&self, notify_url: &str, mistakes: &mut Mistakes) -> Option<Paypal> {
        let base_url = self.common().base_url(mistakes);
        self.common().notify_url(notify_url, mistakes);
        let capabilities = self.common().capabilities(table(), Some(amounts), mistakes);
        self.check_currencies(mistakes);
        mistakes.name("client_id", &self.client_id);
        mistakes.name("webhook_id", &self.webhook_id);
        mistakes.within("webhook_tolerance_s", self.webhook_tolerance_s.into(), 60, 30 * 86_400);
        for (field, url) in [("return_url", &self.return_url), ("cancel_url", &self.cancel_url)] {
            if url.as_deref().is_some_and(|url| reqwest::Url::parse(url).is_err()) {
                mistakes.add(field, "it is not an absolute URL", "write it like https://shop/");
            }
        }
        let check = self.check(mistakes);
        let secret = source!(self, client_secret, client_secret_file, client_secret_env)
            .required(mistakes)?;
        let secret = Secret::new(secret.expose().trim());
        mistakes.name("client_secret", secret.expose());
        Some(Paypal {
            base_url: base_url?,
            client_id: self.client_id.clone(),
            client_secret: secret,
            webhook_id: self.webhook_id.clone(),
            check,
            tolerance_s: self.webhook_tolerance_s.into(),
            return_url: self.return_url.clone(),
            cancel_url: self.cancel_url.clone(),
            brand_name: self.brand_name.clone(),
            capabilities,
        })
    }

    fn check(&self, mistakes: &mut Mistakes) -> Check {
        if self.webhook_check == WebhookCheck::Postback {
            return Check::Postback;
        }
        let is_host = |host: &String| {
            let sign = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
            !host.is_empty() && !host.starts_with('.') && host.bytes().all(sign)
        };
        if self.webhook_certificate_hosts.is_empty()
            || !self.webhook_certificate_hosts.iter().all(is_host)
        {
            mistakes.add(
                "webhook_certificate_hosts",
                "it must be a list of host names without scheme, port or path",
                "leave it out for PayPal itself",
            );
        }
        Check::Certificate { hosts: self.webhook_certificate_hosts.clone() }
    }

    fn check_currencies(&self, mistakes: &mut Mistakes) {
        for currency in self.currencies.iter().flatten() {
            if !CURRENCIES.contains(&currency.code()) && currency.code() != AT_HOME {
                mistakes.add(
                    "currencies",
                    &format!("PayPal does not take {currency}, or counts it in other units"),
                    "remove it from the list",
                );
            }
        }
    }
}
