//! What the engine is configured with.

use std::sync::Arc;
use std::time::Duration;

use domain::{ChannelId, Flow, Method, Money, Policy};
use providers::Capabilities;
use resilience::Guide;

/// A channel as the engine sees it; the order of the list is the merchant's ranking.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its name.
    pub id: ChannelId,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// New payments a second that it can stand, over all of its methods; `None` is no limit.
    pub max_per_second: Option<f64>,
}

/// The engine's settings; replaced as a whole while it runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Channels, the preferred ones first.
    pub channels: Vec<Channel>,
    /// The merchant's rules and price lists.
    pub guide: Arc<Guide>,
    /// Times and choices of the rules.
    pub policy: Policy,
    /// How long one create request may take in all, failover included.
    pub request_deadline: Duration,
    /// How long a worker holds a payment.
    pub lease: Duration,
    /// The most channels that one request tries.
    pub tries_per_request: usize,
    /// How long a payment lives when the merchant does not say.
    pub default_expiry: Duration,
    /// The shortest and longest life that a merchant may ask for.
    pub expiry_range: (Duration, Duration),
}

impl Options {
    /// Settings for these channels, everything else at its default.
    pub fn new(channels: Vec<Channel>) -> Options {
        let mut policy = Policy::default();
        for channel in &channels {
            policy.channels.insert(channel.id.clone(), channel.capabilities.rules());
        }
        Options {
            channels,
            guide: Arc::default(),
            policy,
            request_deadline: Duration::from_secs(10),
            lease: Duration::from_secs(30),
            tries_per_request: 4,
            default_expiry: Duration::from_secs(15 * 60),
            expiry_range: (Duration::from_secs(60), Duration::from_secs(24 * 3600)),
        }
    }

    /// The channel of this name.
    pub fn channel(&self, id: &ChannelId) -> Option<&Channel> {
        self.channels.iter().find(|c| c.id == *id)
    }

    /// Whether any channel takes this at all.
    pub fn anyone_takes(&self, method: Method, flow: Flow, money: Money) -> bool {
        self.channels.iter().any(|c| c.capabilities.takes(method, flow, money))
    }
}
