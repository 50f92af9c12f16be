//! From a configuration to the parts of a running gateway.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use async_trait::async_trait;
use domain::{Answer, ChannelId, Operation, Policy, Schedule, Timestamp};
use engine::{Back, Caller, Channel, Options};
use incidents::layers::Target;
use providers::bank::BankSettings;
use providers::{CallLimits, ChannelSettings, Driver, Provider, SettingError};
use recovery::bank::Ledger;

use crate::config::{Config, PolicySection};

/// The driver as the engine's way to the providers.
pub struct ByDriver(pub Arc<Driver>);

#[async_trait]
impl Caller for ByDriver {
    async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        self.0.call(channel, op, until).await
    }
}

/// The way to the channels: the ledger answers for banks, the driver carries to everyone else.
pub struct ByChannel {
    /// The banks' books.
    pub ledger: Arc<Ledger>,
    /// The way to the providers.
    pub driver: ByDriver,
}

#[async_trait]
impl Caller for ByChannel {
    async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        if self.ledger.has(channel) {
            return self.ledger.call(channel, op, until).await;
        }
        self.driver.call(channel, op, until).await
    }
}

/// The settings of the channels that a ledger answers for.
pub fn banks(config: &Config) -> HashMap<ChannelId, BankSettings> {
    let banks = config.channels.iter();
    banks.filter_map(|(id, settings)| Some((id.clone(), settings.offline()?.clone()))).collect()
}

/// One channel, built.
#[derive(Clone)]
pub struct Built {
    /// Its name.
    pub id: ChannelId,
    /// Its codec.
    pub codec: Arc<dyn Provider>,
    /// What the driver may spend on it.
    pub limits: CallLimits,
}

/// Runs the commands that print a channel's keys, and builds it. Blocks while they run.
///
/// # Errors
/// Every mistake of the channel.
pub fn channel(
    id: &ChannelId,
    mut settings: ChannelSettings,
    notify: &str,
) -> Result<Built, Vec<SettingError>> {
    settings.run_commands(id)?;
    let (codec, limits) = settings.build(id, notify)?;
    Ok(Built { id: id.clone(), codec, limits })
}

/// Builds every channel of a configuration, in its order.
///
/// # Errors
/// Every mistake of every channel.
pub fn channels(config: &Config) -> Result<Vec<Built>, Vec<SettingError>> {
    let (mut built, mut mistakes) = (Vec::new(), Vec::new());
    for (id, settings) in &config.channels {
        let notify = ChannelSettings::default_notify_url(&config.public_url(), id);
        match channel(id, settings.clone(), &notify) {
            Ok(channel) => built.push(channel),
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() { Ok(built) } else { Err(mistakes) }
}

/// The engine's settings by a configuration that no server runs: keys and certificates are read,
/// nothing is asked of any provider.
///
/// # Errors
/// When the file or a channel has mistakes.
pub fn options_of(file: &Path) -> Result<Options> {
    let config = Config::load(file).map_err(|mistakes| anyhow!("{mistakes}"))?;
    let channels = channels(&config).map_err(|errors| not_built(&errors))?;
    Ok(options(&config, &channels))
}

/// The mistakes of channels in one line.
pub fn not_built(errors: &[SettingError]) -> anyhow::Error {
    let told = errors.iter().map(|e| format!("{}: {} ({})", e.field, e.rule, e.fix));
    anyhow!("{}", told.collect::<Vec<_>>().join("; "))
}

/// A driver that speaks to these channels.
///
/// # Errors
/// When an HTTP client cannot be made, as on a machine without TLS certificates.
pub fn driver(channels: &[Built]) -> Result<Driver> {
    let driver = crate::clock::driver();
    for Built { id, codec, limits } in channels {
        driver
            .set_channel(id.clone(), Arc::clone(codec), limits)
            .with_context(|| format!("channel {id}"))?;
    }
    Ok(driver)
}

/// Where each channel is probed, and what may be spent on it. A channel that is offline has
/// nothing to be probed.
pub fn targets(config: &Config, channels: &[Built]) -> Vec<Target> {
    let built = |id: &ChannelId| channels.iter().find(|built| built.id == *id);
    let targets = config
        .channels
        .iter()
        .filter(|(_, settings)| settings.offline().is_none())
        .filter_map(|(id, settings)| Some(target(id, settings, &built(id)?.limits)));
    targets.collect()
}

/// Where one channel is probed.
pub fn target(id: &ChannelId, settings: &ChannelSettings, limits: &CallLimits) -> Target {
    Target {
        channel: id.clone(),
        base_url: settings.base_url().to_owned(),
        limits: limits.clone(),
        question: settings.probe_operation(),
    }
}

/// The engine's settings.
pub fn options(config: &Config, channels: &[Built]) -> Options {
    let channels = channels.iter().map(|built| Channel {
        id: built.id.clone(),
        capabilities: built.codec.capabilities().clone(),
        call_timeout: built.limits.timeout,
        max_per_second: built.limits.max_per_second.map(f64::from),
    });
    let mut options = Options::new(channels.collect());
    options.guide = Arc::new(config.guide.clone());
    let says = config.channels.iter().filter(|(_, settings)| settings.has_return_url());
    options.back = Some(Back {
        pages: format!("{}/pay", config.public_url().trim_end_matches('/')),
        except: says.map(|(id, _)| id.clone()).collect(),
    });
    let set = &config.policy;
    let seconds = Duration::from_secs;
    options.request_deadline = millis(set.request_deadline_ms, options.request_deadline);
    options.lease = millis(set.lease_ms, options.lease);
    options.tries_per_request = set.tries_per_request.unwrap_or(options.tries_per_request);
    options.default_expiry = set.expiry_s.map_or(options.default_expiry, seconds);
    let (least, most) = options.expiry_range;
    options.expiry_range =
        (set.expiry_s_min.map_or(least, seconds), set.expiry_s_max.map_or(most, seconds));
    policy(set, &mut options.policy);
    options.degradation = config.degradation.settings();
    config.degradation.set_policy(&mut options.policy);
    options
}

fn policy(set: &PolicySection, policy: &mut Policy) {
    policy.late_after_expiry = set.late_after_expiry.unwrap_or(policy.late_after_expiry);
    policy.late_after_cancel = set.late_after_cancel.unwrap_or(policy.late_after_cancel);
    policy.grace = millis(set.grace_ms, policy.grace);
    policy.not_found_settles = millis(set.not_found_settles_ms, policy.not_found_settles);
    policy.lapse_margin = millis(set.lapse_margin_ms, policy.lapse_margin);
    policy.ending_patience = millis(set.ending_patience_ms, policy.ending_patience);
    policy.review_after = millis(set.review_after_ms, policy.review_after);
    if let Some(schedule) = schedule(set.query_waits_ms.as_deref()) {
        let all = policy.channels.values_mut().chain([&mut policy.other]);
        all.for_each(|rules| rules.query_schedule.clone_from(&schedule));
    }
    if let Some(schedule) = schedule(set.close_waits_ms.as_deref()) {
        policy.close_schedule = schedule;
    }
    if let Some(schedule) = schedule(set.refund_waits_ms.as_deref()) {
        policy.refund_schedule = schedule;
    }
}

fn millis(set: Option<u64>, default: Duration) -> Duration {
    set.map_or(default, Duration::from_millis)
}

/// Waits as they are written: the last one repeats.
fn schedule(waits_ms: Option<&[u64]>) -> Option<Schedule> {
    let (last, first) = waits_ms?.split_last()?;
    Some(Schedule {
        waits: first.iter().copied().map(Duration::from_millis).collect(),
        then_every: Duration::from_millis(*last),
    })
}
