//! The settings of a channel, from a table of the configuration file to a codec that works.
//!
//! Every mistake of a channel is reported at once, each with the field, the rule that it breaks
//! and what to do. Nothing here talks to a provider; [`Driver::probe`](crate::Driver::probe)
//! does, with [`ChannelSettings::probe_operation`].

mod command;
mod mistakes;
mod source;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use domain::{ChannelId, Flow, Method, Money, Operation, OrderRef, PaymentId, ProviderOrderNo};
use domain::{Currency, RefundLimits, Timestamp};
use serde::Deserialize;

pub(crate) use mistakes::Mistakes;
pub use mistakes::SettingError;
pub use source::SecretFields;
pub(crate) use source::{KeySlot, Source, common, rebase, slots, source};

use crate::alipay::AlipaySettings;
use crate::bank::BankSettings;
use crate::crypto::{CertificateInfo, infos};
use crate::driver::{CallLimits, Roots};
use crate::paypal::PaypalSettings;
use crate::stripe::StripeSettings;
use crate::unionpay::UnionPaySettings;
use crate::wechatpay::WechatPaySettings;
use crate::{AmountLimits, Capabilities, Provider};

/// One channel's settings. The field `provider` says which protocol it speaks.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "provider", rename_all = "lowercase")]
pub enum ChannelSettings {
    /// Alipay's open platform.
    Alipay(Box<AlipaySettings>),
    /// WeChat Pay, API version 3.
    WechatPay(Box<WechatPaySettings>),
    /// Stripe's PaymentIntents.
    Stripe(Box<StripeSettings>),
    /// UnionPay's full-channel platform, 5.1.0.
    UnionPay(Box<UnionPaySettings>),
    /// PayPal's Orders v2.
    Paypal(Box<PaypalSettings>),
    /// An account at a bank, which nothing is sent to.
    Bank(Box<BankSettings>),
}

impl ChannelSettings {
    /// The provider's name.
    pub fn provider(&self) -> &'static str {
        match self {
            ChannelSettings::Alipay(_) => "alipay",
            ChannelSettings::WechatPay(_) => "wechatpay",
            ChannelSettings::Stripe(_) => "stripe",
            ChannelSettings::UnionPay(_) => "unionpay",
            ChannelSettings::Paypal(_) => "paypal",
            ChannelSettings::Bank(_) => "bank",
        }
    }

    /// Makes relative `*_file` paths relative to `folder`, where the configuration lies.
    pub fn rebase(&mut self, folder: &Path) {
        self.paths().into_iter().for_each(|path| rebase(path, folder));
    }

    /// Every file that the settings name: keys, certificates, the issuers of TLS certificates.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut copy = self.clone();
        copy.paths().into_iter().filter_map(|path| path.take()).collect()
    }

    /// Runs every command that prints a key, once, and keeps what it printed.
    ///
    /// # Errors
    /// Every command that gave no key.
    pub fn run_commands(&mut self, channel: &ChannelId) -> Result<(), Vec<SettingError>> {
        let mut mistakes = Mistakes::new(channel);
        self.keys_mut().into_iter().for_each(|key| key.run(&mut mistakes));
        mistakes.finish(Some(()))
    }

    /// A digest of all keys and certificates as they can be read now, to tell whether any has
    /// changed. Commands are not run.
    pub fn material(&self) -> [u8; 32] {
        let mut copy = self.clone();
        let mut digest = digest::Context::new(&digest::SHA256);
        let mut add = |name: &str, bytes: Option<Vec<u8>>| {
            let bytes = bytes.unwrap_or_default();
            digest.update(&(name.len() as u64).to_be_bytes());
            digest.update(name.as_bytes());
            digest.update(&(bytes.len() as u64).to_be_bytes());
            digest.update(&bytes);
        };
        copy.keys_mut().iter().for_each(|key| add(key.field, key.text()));
        self.files().iter().for_each(|file| add("file", std::fs::read(file).ok()));
        let mut sum = [0; 32];
        sum.copy_from_slice(digest.finish().as_ref());
        sum
    }

    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        match self {
            ChannelSettings::Alipay(settings) => settings.keys_mut(),
            ChannelSettings::WechatPay(settings) => settings.keys_mut(),
            ChannelSettings::Stripe(settings) => settings.keys_mut(),
            ChannelSettings::UnionPay(settings) => settings.keys_mut(),
            ChannelSettings::Paypal(settings) => settings.keys_mut(),
            ChannelSettings::Bank(_) => Vec::new(),
        }
    }

    fn paths(&mut self) -> Vec<&mut Option<PathBuf>> {
        match self {
            ChannelSettings::Alipay(settings) => settings.paths(),
            ChannelSettings::WechatPay(settings) => settings.paths(),
            ChannelSettings::Stripe(settings) => settings.paths(),
            ChannelSettings::UnionPay(settings) => settings.paths(),
            ChannelSettings::Paypal(settings) => settings.paths(),
            ChannelSettings::Bank(_) => Vec::new(),
        }
    }

    /// The address that notifications of this channel come to, unless the settings name one:
    /// `public_url` is where customers and providers reach Evergate.
    pub fn default_notify_url(public_url: &str, channel: &ChannelId) -> String {
        format!("{}/v1/notifications/{channel}", public_url.trim_end_matches('/'))
    }

    /// The codec and the driver's limits. `notify_url` is used where the settings give none.
    ///
    /// # Errors
    /// Every mistake in the settings.
    pub fn build(
        &self,
        channel: &ChannelId,
        notify_url: &str,
    ) -> Result<(Arc<dyn Provider>, CallLimits), Vec<SettingError>> {
        let mut mistakes = Mistakes::new(channel);
        let built: Option<(Arc<dyn Provider>, CallLimits)> = match self {
            ChannelSettings::Alipay(settings) => {
                let limits = settings.common().limits(&mut mistakes);
                settings.codec(notify_url, &mut mistakes).map(|c| (Arc::new(c) as _, limits))
            }
            ChannelSettings::WechatPay(settings) => {
                let limits = settings.common().limits(&mut mistakes);
                settings.codec(notify_url, &mut mistakes).map(|c| (Arc::new(c) as _, limits))
            }
            ChannelSettings::UnionPay(settings) => {
                let limits = settings.common().limits(&mut mistakes);
                settings.codec(notify_url, &mut mistakes).map(|c| (Arc::new(c) as _, limits))
            }
            ChannelSettings::Stripe(settings) => {
                let limits = settings.common().limits(&mut mistakes);
                settings.codec(notify_url, &mut mistakes).map(|c| (Arc::new(c) as _, limits))
            }
            ChannelSettings::Paypal(settings) => {
                let limits = settings.common().limits(&mut mistakes);
                settings.codec(notify_url, &mut mistakes).map(|c| (Arc::new(c) as _, limits))
            }
            ChannelSettings::Bank(settings) => {
                let (codec, limits) = settings.codec(&mut mistakes);
                Some((Arc::new(codec) as _, limits))
            }
        };
        mistakes.finish(built)
    }

    /// The certificates that can be read, for the table of `evergate check` and the metric of
    /// their expiry; those that cannot be read are mistakes that [`build`](Self::build) reports.
    ///
    /// Where one setting holds several, those after the first are numbered: `name[2]`.
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        let (mut found, ca_file) = match self {
            ChannelSettings::Alipay(settings) => (settings.certificates(), &settings.ca_file),
            ChannelSettings::WechatPay(settings) => (settings.certificates(), &settings.ca_file),
            ChannelSettings::UnionPay(settings) => (settings.certificates(), &settings.ca_file),
            ChannelSettings::Stripe(settings) => (Vec::new(), &settings.ca_file),
            ChannelSettings::Paypal(settings) => (Vec::new(), &settings.ca_file),
            ChannelSettings::Bank(_) => return Vec::new(),
        };
        let issuers = ca_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        found.extend(issuers.map(|pem| infos(&pem, "ca_file")).unwrap_or_default());
        numbered(found)
    }

    /// The settings of a bank channel, which is answered by a ledger of ours: it has no address,
    /// and there is nothing to probe.
    pub fn offline(&self) -> Option<&BankSettings> {
        match self {
            ChannelSettings::Bank(settings) => Some(settings),
            _ => None,
        }
    }

    /// The provider's address, as it is configured; empty for a channel that is
    /// [`offline`](Self::offline).
    pub fn base_url(&self) -> &str {
        match self {
            ChannelSettings::Alipay(settings) => settings.common().base_url,
            ChannelSettings::WechatPay(settings) => settings.common().base_url,
            ChannelSettings::UnionPay(settings) => settings.common().base_url,
            ChannelSettings::Stripe(settings) => settings.common().base_url,
            ChannelSettings::Paypal(settings) => settings.common().base_url,
            ChannelSettings::Bank(_) => "",
        }
    }

    /// Whether it says where customers come back to when a payment does not.
    pub fn has_return_url(&self) -> bool {
        match self {
            ChannelSettings::UnionPay(settings) => settings.return_url.is_some(),
            ChannelSettings::Stripe(settings) => settings.return_url.is_some(),
            ChannelSettings::Paypal(settings) => settings.return_url.is_some(),
            ChannelSettings::Alipay(_)
            | ChannelSettings::WechatPay(_)
            | ChannelSettings::Bank(_) => false,
        }
    }

    /// A signed question that changes nothing: about an order number that is never given out.
    pub fn probe_operation(&self) -> Operation {
        let (method, currency) = match self {
            ChannelSettings::Alipay(_) => (Method::Alipay, Currency::CNY),
            ChannelSettings::WechatPay(_) => (Method::WechatPay, Currency::CNY),
            ChannelSettings::UnionPay(_) => (Method::UnionPay, Currency::CNY),
            ChannelSettings::Stripe(_) => (Method::Card, Currency::USD),
            ChannelSettings::Paypal(_) => (Method::Paypal, Currency::USD),
            ChannelSettings::Bank(_) => (Method::BankTransfer, Currency::CNY),
        };
        Operation::Query(OrderRef {
            // Ordinals count from 1, and no payment has the nil id.
            number: ProviderOrderNo::of(PaymentId::from_uuid(uuid::Uuid::nil()), 0),
            // PayPal finds orders by its own ids only; this has the form of one.
            reference: matches!(self, ChannelSettings::Paypal(_))
                .then(|| "0EVERGATE0PROBE00".to_owned()),
            method,
            flow: Flow::Presented,
            money: Money::new(1, currency).expect("1 is an amount"),
            sent_at: Timestamp::EPOCH,
            wanted: false,
        })
    }
}

/// The settings that all providers share, borrowed from where each keeps them.
pub(crate) struct Common<'s> {
    pub(crate) base_url: &'s str,
    pub(crate) notify_url: Option<&'s str>,
    pub(crate) timeout_ms: u64,
    pub(crate) connect_timeout_ms: u64,
    pub(crate) max_in_flight: usize,
    pub(crate) max_per_second: Option<u32>,
    pub(crate) methods: Option<&'s [Method]>,
    pub(crate) currencies: Option<&'s [Currency]>,
    pub(crate) amount_min_minor: Option<i64>,
    pub(crate) amount_max_minor: Option<i64>,
    pub(crate) refund_days: Option<u32>,
    pub(crate) allow_insecure: bool,
    pub(crate) ca_file: Option<&'s Path>,
}

/// The limits of a currency that a provider takes besides those in its table.
pub(crate) type OtherCurrencies = fn(Currency) -> AmountLimits;

impl Common<'_> {
    /// The base URL without a slash at its end, if it is one that may be used.
    pub(crate) fn base_url(&self, mistakes: &mut Mistakes) -> Option<String> {
        self.url("base_url", self.base_url, mistakes)?;
        Some(self.base_url.trim_end_matches('/').to_owned())
    }

    /// Where the provider sends notifications.
    pub(crate) fn notify_url(&self, default: &str, mistakes: &mut Mistakes) -> Option<String> {
        let url = self.notify_url.unwrap_or(default);
        let parsed =
            reqwest::Url::parse(url).ok().filter(|u| matches!(u.scheme(), "http" | "https"));
        match parsed {
            Some(parsed) if parsed.query().is_none() && url.len() <= 255 => Some(url.to_owned()),
            _ => {
                mistakes.add(
                    "notify_url",
                    "it must be an http or https address of at most 255 characters without a query",
                    "set `notify_url`, or the server's public URL, to an address that the provider can reach",
                );
                None
            }
        }
    }

    pub(crate) fn url(
        &self,
        field: &str,
        text: &str,
        mistakes: &mut Mistakes,
    ) -> Option<reqwest::Url> {
        let Some(url) = reqwest::Url::parse(text).ok().filter(|u| u.has_host()) else {
            mistakes.add(field, "it is not an absolute URL", "write it like `https://host/path`");
            return None;
        };
        let plain = url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            let rule = "it must have no query, fragment, user name or password";
            mistakes.add(field, rule, "write the bare address; keys have fields of their own");
            return None;
        }
        match url.scheme() {
            "https" => Some(url),
            "http" if self.allow_insecure || is_loopback(&url) => Some(url),
            _ => {
                mistakes.add(
                    field,
                    "only https is allowed, except to this machine itself",
                    "use https, or set `allow_insecure = true` for a test network",
                );
                None
            }
        }
    }

    /// The driver's limits.
    pub(crate) fn limits(&self, mistakes: &mut Mistakes) -> CallLimits {
        mistakes.within("timeout_ms", self.timeout_ms, 100, 120_000);
        mistakes.within("connect_timeout_ms", self.connect_timeout_ms, 10, 60_000);
        mistakes.within("max_in_flight", self.max_in_flight as u64, 1, 100_000);
        if let Some(most) = self.max_per_second {
            mistakes.within("max_per_second", most.into(), 1, 100_000);
        }
        CallLimits {
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            timeout: Duration::from_millis(self.timeout_ms),
            max_in_flight: self.max_in_flight,
            max_per_second: self.max_per_second,
            roots: self.roots(mistakes),
        }
    }

    fn roots(&self, mistakes: &mut Mistakes) -> Roots {
        let Some(file) = self.ca_file else {
            let encrypted = self.base_url.starts_with("https:");
            return if encrypted { Roots::System } else { Roots::None };
        };
        match std::fs::read(file) {
            Ok(pem) if reqwest::Certificate::from_pem_bundle(&pem).is_ok_and(|c| !c.is_empty()) => {
                Roots::Only(pem)
            }
            Ok(_) => {
                mistakes.add(
                    "ca_file",
                    "it holds no PEM certificate",
                    "give the issuer's certificate",
                );
                Roots::System
            }
            Err(error) => {
                mistakes.unreadable("ca_file", file, &error);
                Roots::System
            }
        }
    }

    /// What the channel can do: the provider's table, narrowed by the settings.
    pub(crate) fn capabilities(
        &self,
        table: Capabilities,
        others: Option<OtherCurrencies>,
        mistakes: &mut Mistakes,
    ) -> Capabilities {
        Capabilities {
            methods: self.methods(&table, mistakes),
            amounts: self.amounts(&table, others, mistakes),
            refunds: self.refunds(&table, mistakes),
            ..table
        }
    }

    fn methods(&self, table: &Capabilities, mistakes: &mut Mistakes) -> Vec<(Method, Flow)> {
        let Some(wanted) = self.methods else { return table.methods.clone() };
        for method in wanted.iter().filter(|m| !table.methods.iter().any(|(known, _)| known == *m))
        {
            mistakes.add(
                "methods",
                &format!("{} does not take the method {method}", table.provider),
                "remove it from the list",
            );
        }
        if wanted.is_empty() {
            mistakes.add("methods", "the list is empty", "name a method, or leave the field out");
        }
        table.methods.iter().filter(|(method, _)| wanted.contains(method)).copied().collect()
    }

    fn amounts(
        &self,
        table: &Capabilities,
        others: Option<OtherCurrencies>,
        mistakes: &mut Mistakes,
    ) -> Vec<AmountLimits> {
        let (least, most) = (self.amount_min_minor, self.amount_max_minor);
        let narrowed = |limits: AmountLimits| AmountLimits {
            least_minor: least.unwrap_or(limits.least_minor),
            most_minor: most.unwrap_or(limits.most_minor),
            ..limits
        };
        let limits: Vec<AmountLimits> =
            self.currencies(table, others, mistakes).into_iter().map(narrowed).collect();
        let holds = |l: &AmountLimits| {
            1 <= l.least_minor && l.least_minor <= l.most_minor && l.most_minor <= Money::MAX_MINOR
        };
        // Also where no currency is left to hold them.
        let (low, high) = (least.unwrap_or(1), most.unwrap_or(Money::MAX_MINOR));
        let bare = AmountLimits { currency: Currency::CNY, least_minor: low, most_minor: high };
        if !limits.iter().chain([&bare]).all(holds) {
            mistakes.add(
                "amount_min_minor",
                "the limits must hold 1 <= amount_min_minor <= amount_max_minor <= 1000000000000",
                "write both in minor units (fen, cents)",
            );
        }
        limits
    }

    fn currencies(
        &self,
        table: &Capabilities,
        others: Option<OtherCurrencies>,
        mistakes: &mut Mistakes,
    ) -> Vec<AmountLimits> {
        let Some(wanted) = self.currencies else { return table.amounts.clone() };
        let mut taken = Vec::new();
        for currency in wanted {
            match (table.limits(*currency), others) {
                (Some(limits), _) => taken.push(*limits),
                (None, Some(limits)) => taken.push(limits(*currency)),
                (None, None) => mistakes.add(
                    "currencies",
                    &format!("{} does not take the currency {currency}", table.provider),
                    "remove it from the list",
                ),
            }
        }
        if wanted.is_empty() {
            mistakes.add("currencies", "the list is empty", "name one, or leave the field out");
        }
        taken
    }

    fn refunds(&self, table: &Capabilities, mistakes: &mut Mistakes) -> RefundLimits {
        let Some(stated) = self.refund_days else { return table.refunds };
        let most = table.refunds.within.map_or(3_650, |most| most.as_secs() / 86_400);
        mistakes.within("refund_days", stated.into(), 1, most);
        RefundLimits { within: Some(crate::common::days(stated)), ..table.refunds }
    }
}

/// Gives each certificate a name of its own.
fn numbered(mut found: Vec<CertificateInfo>) -> Vec<CertificateInfo> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for info in &mut found {
        let count = counts.entry(info.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            info.name = format!("{}[{count}]", info.name);
        }
    }
    found
}

fn is_loopback(url: &reqwest::Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_matches(['[', ']']);
        host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

/// The default whole-call time-out of every provider.
pub(crate) fn default_timeout_ms() -> u64 {
    8_000
}

/// The default time-out for a connection.
pub(crate) fn default_connect_timeout_ms() -> u64 {
    2_000
}

/// The default number of calls at once.
pub(crate) fn default_max_in_flight() -> usize {
    256
}
