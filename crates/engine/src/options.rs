//! What the engine is configured with.

use std::sync::Arc;
use std::time::Duration;

use domain::{ChannelId, Flow, Method, Money, Payment, Policy, Purpose, PurposeName};
use providers::{Capabilities, Unfit};
use resilience::{Guide, LadderSettings};

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
    /// What to do when payment cannot be taken.
    pub degradation: Degradation,
    /// Where customers come back to from a provider's page; nowhere in particular when absent.
    pub back: Option<Back>,
}

/// Where a provider sends a customer back to when the payment does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// The payment's own page is this, a slash, and its id.
    pub pages: String,
    /// Channels whose settings say where to, so that nothing is said here.
    pub except: Vec<ChannelId>,
}

/// How far the ladder goes by itself, and how long orders and paused work are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Degradation {
    /// When the policy moves the ladder.
    pub ladder: LadderSettings,
    /// The purposes that the merchant has named beside those that every merchant has. Others
    /// are refused: a name with a slip in it would escape the pause of what was meant.
    pub purposes: Vec<PurposeName>,
    /// How long an order is held.
    pub hold_for: Duration,
    /// The longest that a hold may become, from its beginning.
    pub hold_max: Duration,
    /// How long paused work is kept when the merchant sets no deadline.
    pub paused_for: Duration,
    /// The furthest deadline that a merchant may set for what is charged without the customer.
    pub paused_max: Duration,
    /// The longest pause that may be asked for at once.
    pub pause_max: Duration,
    /// Paused payments that are released a second after a pause, at most.
    pub release_per_second: f64,
}

impl Default for Degradation {
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Degradation {
            ladder: LadderSettings::default(),
            purposes: Vec::new(),
            hold_for: hours(24),
            hold_max: hours(7 * 24),
            paused_for: hours(72),
            paused_max: hours(30 * 24),
            pause_max: hours(7 * 24),
            release_per_second: 5.0,
        }
    }
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
            degradation: Degradation::default(),
            back: None,
        }
    }

    /// Where the customer of an attempt comes back to, when the payment does not say.
    pub(crate) fn back_from(&self, payment: &Payment, channel: &ChannelId) -> Option<String> {
        let back = self.back.as_ref().filter(|back| !back.except.contains(channel))?;
        (!payment.terms.is_synthetic()).then(|| format!("{}/{}", back.pages, payment.id))
    }

    /// Whether payments may be made for this purpose.
    pub(crate) fn knows(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Named(name) => self.degradation.purposes.contains(&name),
            _ => true,
        }
    }

    /// The channel of this name.
    pub fn channel(&self, id: &ChannelId) -> Option<&Channel> {
        self.channels.iter().find(|c| c.id == *id)
    }

    /// Every method of every channel, in the merchant's ranking.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = (&ChannelId, Method)> {
        self.channels.iter().flat_map(|channel| {
            let mut methods: Vec<Method> =
                channel.capabilities.methods.iter().map(|(method, _)| *method).collect();
            methods.dedup();
            methods.into_iter().map(move |method| (&channel.id, method))
        })
    }

    /// Why no channel takes this, if none does; channels without the method have nothing to say.
    pub(crate) fn refusals(&self, ask: Ask) -> Option<Vec<(&ChannelId, Unfit)>> {
        let mut refusals = Vec::new();
        for channel in &self.channels {
            match channel.fit(ask) {
                Fit::Fits(_) => return None,
                Fit::Unfit(why) => refusals.push((&channel.id, why)),
                Fit::OtherMethod => {}
            }
        }
        Some(refusals)
    }
}

/// A payment as far as a channel's capabilities are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) flow: Flow,
    pub(crate) money: Money,
    /// How long the payment has still to live.
    pub(crate) left: Duration,
}

/// Whether a channel can take a payment.
pub(crate) enum Fit {
    /// It can, with an order that lives for so long.
    Fits(Duration),
    /// It has the method, and cannot.
    Unfit(Unfit),
    /// It does not have the method in this flow.
    OtherMethod,
}

impl Channel {
    pub(crate) fn fit(&self, ask: Ask) -> Fit {
        if !self.capabilities.has(ask.method, ask.flow) {
            return Fit::OtherMethod;
        }
        if let Some(why) = self.capabilities.unfit_for(ask.money) {
            return Fit::Unfit(why);
        }
        self.capabilities.life(ask.left).map_or_else(Fit::Unfit, Fit::Fits)
    }
}
