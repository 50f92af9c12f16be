//! The engine and its parts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use domain::{
    ChannelId, Class, Controls, Event, MerchantId, Method, Override, Payment, PaymentId, Timestamp,
};
use resilience::{Board, CellKey, HealthState, Observation, Sent, Settings};
use store::{AuditLine, Store, StoreError};
use tokio::sync::{Notify, watch};

use crate::{Caller, Channel, Clock, EngineError, Entropy, Options, Render};

/// What the engine is built from.
#[derive(Clone)]
pub struct Parts {
    /// The books.
    pub store: Arc<dyn Store>,
    /// The way to the providers.
    pub caller: Arc<dyn Caller>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The dice.
    pub entropy: Arc<dyn Entropy>,
    /// The writer of messages to merchants.
    pub render: Arc<dyn Render>,
    /// Names this process in leases; unique among running processes.
    pub owner: String,
}

/// The data plane's engine. Cheap to share: everything is behind `&self`.
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) options: ArcSwap<Options>,
    pub(crate) controls: ArcSwap<Controls>,
    pub(crate) board: Mutex<Board>,
    /// Create calls under way in this process, so that a repeated request can wait for the
    /// first one's answer instead of telling "processing".
    pub(crate) under_way: Mutex<HashMap<PaymentId, watch::Receiver<()>>>,
    /// Told whenever a commit left work that is due at once.
    pub(crate) work: Notify,
    /// Told whenever a commit made a message to a merchant.
    pub(crate) messages: Notify,
}

/// A channel as operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelView {
    /// Its name.
    pub id: ChannelId,
    /// The provider.
    pub provider: &'static str,
    /// A line for each method on it.
    pub methods: Vec<(Method, MethodView)>,
}

/// A method of a channel as operators see it.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodView {
    /// Its health.
    pub health: HealthState,
    /// The test's statistic in nats.
    pub statistic: f64,
    /// When its health last changed, if it ever did.
    pub changed_at: Option<Timestamp>,
    /// Technical successes and failures seen since the start.
    pub seen: (u64, u64),
    /// The operator's override in force.
    pub disabled: Option<Override>,
}

impl Engine {
    /// Builds an engine; call [`Engine::start`] before the first command.
    pub fn new(parts: Parts, options: Options, health: Settings) -> Engine {
        Engine {
            parts,
            options: ArcSwap::from_pointee(options),
            controls: ArcSwap::from_pointee(Controls::default()),
            board: Mutex::new(Board::new(health)),
            under_way: Mutex::new(HashMap::new()),
            work: Notify::new(),
            messages: Notify::new(),
        }
    }

    /// Loads what must be known before the first command.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(&self) -> Result<(), StoreError> {
        self.controls.store(Arc::new(self.parts.store.controls().await?));
        Ok(())
    }

    /// The settings in force.
    pub fn options(&self) -> Arc<Options> {
        self.options.load_full()
    }

    /// Replaces the settings.
    pub fn set_options(&self, options: Options) {
        self.options.store(Arc::new(options));
    }

    /// The books, for reading.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    /// Now, by the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// The controls in force.
    pub fn controls(&self) -> Arc<Controls> {
        self.controls.load_full()
    }

    /// Waits until a commit has left work that is due at once.
    pub async fn work_arrived(&self) {
        self.work.notified().await;
    }

    /// Waits until a commit has made a message to a merchant.
    pub async fn message_arrived(&self) {
        self.messages.notified().await;
    }

    /// The channels with their health and overrides.
    pub fn channels(&self) -> Vec<ChannelView> {
        let (options, controls, now) = (self.options(), self.controls(), self.now());
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        options.channels.iter().map(|c| channel_view(c, &board, &controls, now)).collect()
    }

    /// Takes a channel, or one method of it, out of service.
    ///
    /// # Errors
    /// When there is no such channel or the store does not keep the change.
    pub async fn disable(&self, new: Override) -> Result<Arc<Controls>, EngineError> {
        self.known(&new.channel)?;
        let scope = new.method.map(|m| format!(" {m}")).unwrap_or_default();
        let until = new.until.map_or(String::new(), |u| format!(" until {}", u.as_secs()));
        let line = AuditLine {
            at: self.now(),
            by: new.by.clone(),
            action: format!("disable {}{scope}{until}", new.channel),
            reason: new.reason.clone(),
        };
        self.change_controls(line, |controls, now| controls.disable(new.clone(), now)).await
    }

    /// Puts a channel, or one method of it, back into service.
    ///
    /// # Errors
    /// When there is no such channel or the store does not keep the change.
    pub async fn enable(
        &self,
        channel: &ChannelId,
        method: Option<Method>,
        by: &str,
        reason: &str,
    ) -> Result<Arc<Controls>, EngineError> {
        self.known(channel)?;
        let scope = method.map(|m| format!(" {m}")).unwrap_or_default();
        let line = AuditLine {
            at: self.now(),
            by: by.to_owned(),
            action: format!("enable {channel}{scope}"),
            reason: reason.to_owned(),
        };
        self.change_controls(line, |controls, now| controls.enable(channel, method, now)).await
    }

    fn known(&self, channel: &ChannelId) -> Result<(), EngineError> {
        self.options().channel(channel).map(|_| ()).ok_or(EngineError::NoSuchChannel)
    }

    async fn change_controls(
        &self,
        audit: AuditLine,
        change: impl Fn(&Controls, Timestamp) -> Controls,
    ) -> Result<Arc<Controls>, EngineError> {
        for _ in 0..8 {
            let current = self.parts.store.controls().await?;
            let next = change(&current, self.now());
            if self.parts.store.set_controls(&next, audit.clone()).await? {
                let next = Arc::new(next);
                self.controls.store(Arc::clone(&next));
                return Ok(next);
            }
        }
        Err(EngineError::Busy)
    }

    /// Notes that a call leaves; what is not answered is evidence as well.
    pub(crate) fn called(&self, channel: &ChannelId, method: Method) -> Sent {
        let key = CellKey { channel: channel.clone(), method };
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.called(&key, self.now())
    }

    /// Looks at what silence tells about channels; to be called about every 50 ms.
    pub fn watch_health(&self) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.tick(self.now());
    }

    /// Takes the outcome of a call into the health of its cell. A decline is a good sign
    /// (rule 11).
    pub(crate) fn observe(&self, sent: Sent, channel: &ChannelId, method: Method, class: Class) {
        let key = CellKey { channel: channel.clone(), method };
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let before = board.cell(&key).map(|c| c.state.name());
        board.answered(sent, class != Class::Unknown, now);
        board.learn(sent, Observation::of(class), now);
        let after = board.cell(&key).map(|c| c.state.name());
        drop(board);
        if before.is_some() && before != after {
            let (before, after) = (before.unwrap_or(""), after.unwrap_or(""));
            tracing::info!(%channel, %method, before, after, "channel health changed");
        }
    }
}

fn channel_view(
    channel: &Channel,
    board: &Board,
    controls: &Controls,
    now: Timestamp,
) -> ChannelView {
    let mut methods: Vec<Method> =
        channel.capabilities.methods.iter().map(|(method, _)| *method).collect();
    methods.dedup();
    let view = |method: Method| {
        let key = CellKey { channel: channel.id.clone(), method };
        let cell = board.cell(&key);
        MethodView {
            health: cell.map_or(HealthState::Healthy, |c| c.state),
            statistic: cell.map_or(0.0, |c| c.statistic),
            changed_at: cell.map(|c| c.changed_at),
            seen: cell.map_or((0, 0), |c| c.seen),
            disabled: controls.disabled(&channel.id, method, now).cloned(),
        }
    };
    ChannelView {
        id: channel.id.clone(),
        provider: channel.capabilities.provider,
        methods: methods.into_iter().map(|m| (m, view(m))).collect(),
    }
}

/// What a repeated create request waits on while the first one is under way.
pub(crate) struct UnderWay<'a> {
    engine: &'a Engine,
    id: PaymentId,
    _done: watch::Sender<()>,
}

impl<'a> UnderWay<'a> {
    pub(crate) fn new(engine: &'a Engine, id: PaymentId) -> UnderWay<'a> {
        let (done, wait) = watch::channel(());
        let mut map = engine.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        map.insert(id, wait);
        UnderWay { engine, id, _done: done }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut map = self.engine.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        map.remove(&self.id);
    }
}

impl Engine {
    /// Waits until no create call of this payment is under way in this process.
    pub(crate) async fn quiet(&self, id: PaymentId) {
        let wait = {
            let map = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            map.get(&id).cloned()
        };
        if let Some(mut wait) = wait {
            // Ends with an error when the sender is dropped, which is what is waited for.
            let _ = wait.changed().await;
        }
    }

    /// A payment of a merchant.
    ///
    /// # Errors
    /// When there is none, or the store cannot be read.
    pub async fn payment(
        &self,
        merchant: &MerchantId,
        id: PaymentId,
    ) -> Result<Payment, EngineError> {
        let found = self.parts.store.payment(id).await?;
        found.filter(|p| p.merchant == *merchant).ok_or(EngineError::NotFound)
    }

    /// The story of a payment, oldest line first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn story(&self, id: PaymentId) -> Result<Vec<Event>, EngineError> {
        Ok(self.parts.store.story(id).await?)
    }
}
