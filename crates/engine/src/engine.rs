//! The engine and its parts.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use domain::{
    ChannelId, Controls, Event, MerchantId, Method, Override, Payment, PaymentId, Reach, Share,
    Timestamp,
};
use resilience::{Board, LadderPolicy, Settings};
use store::{AuditLine, Store, StoreError};
use tokio::sync::{Notify, broadcast, watch};

use crate::health::Journal;
use crate::holds::Rounds;
use crate::ladder::{Looked, Sighted};
use crate::preferences::scope;
use crate::{Caller, Clock, EngineError, Entropy, Options, Render};

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

/// Commits that a listener may be behind.
const COMMITS_KEPT: usize = 1_024;

struct Tried {
    options: Arc<Options>,
    share: Share,
}

/// The data plane's engine. Cheap to share: everything is behind `&self`.
pub struct Engine {
    pub(crate) parts: Parts,
    pub(crate) options: ArcSwap<Options>,
    /// Settings that are tried on a share of the payments.
    tried: ArcSwapOption<Tried>,
    pub(crate) controls: ArcSwap<Controls>,
    /// Taken before `journal` where both are needed.
    pub(crate) board: Mutex<Board>,
    pub(crate) journal: Mutex<Journal>,
    /// Told at every look at health while a channel does not answer.
    pub(crate) beat: Notify,
    /// Create calls under way in this process, so that a repeated request can wait for the
    /// first one's answer instead of telling "processing".
    pub(crate) under_way: Mutex<HashMap<PaymentId, watch::Receiver<()>>>,
    /// Told whenever a commit left work that is due at once.
    pub(crate) work: Notify,
    /// Told whenever a commit made a message to a merchant.
    pub(crate) messages: Notify,
    /// Told whenever there is a note to a customer to look at.
    pub(crate) notes: Notify,
    /// Told of every commit of this process.
    pub(crate) commits: broadcast::Sender<PaymentId>,
    /// What customers may know of methods, and a count of its changes.
    pub(crate) sight: watch::Sender<Arc<Sighted>>,
    /// What the last look at them was made from.
    pub(crate) looked: Mutex<Option<Looked>>,
    pub(crate) ladder: Mutex<LadderPolicy>,
    /// The policy's words in the controls that are this process's: where, and since when.
    pub(crate) owned: Mutex<BTreeSet<(Reach, Timestamp)>>,
    pub(crate) rounds: Mutex<Rounds>,
}

impl Engine {
    /// Builds an engine; call [`Engine::start`] before the first command.
    pub fn new(parts: Parts, options: Options, health: Settings) -> Engine {
        let engine = Engine {
            parts,
            options: ArcSwap::from_pointee(options),
            tried: ArcSwapOption::empty(),
            controls: ArcSwap::from_pointee(Controls::default()),
            board: Mutex::new(Board::new(health)),
            journal: Mutex::default(),
            beat: Notify::new(),
            under_way: Mutex::new(HashMap::new()),
            work: Notify::new(),
            messages: Notify::new(),
            notes: Notify::new(),
            commits: broadcast::channel(COMMITS_KEPT).0,
            sight: watch::channel(Arc::default()).0,
            looked: Mutex::default(),
            ladder: Mutex::default(),
            owned: Mutex::default(),
            rounds: Mutex::default(),
        };
        engine.set_headroom();
        engine
    }

    /// Loads what must be known before the first command.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(&self) -> Result<(), StoreError> {
        let controls = self.parts.store.controls().await?;
        self.take_up(&controls);
        self.adopt(controls);
        Ok(())
    }

    /// Reads the controls again: what another process has changed, and what a change of our own
    /// came to whose answer was lost. To be called a few times a second, so that a pause is known
    /// everywhere soon (rule 9).
    ///
    /// # Errors
    /// When the store does not answer; the last known controls stay in force.
    pub async fn follow_controls(&self) -> Result<(), StoreError> {
        self.adopt(self.parts.store.controls().await?);
        Ok(())
    }

    /// Goes by controls that the store has answered with, unless newer ones are known: an answer
    /// may come late, and must not lift what was set since.
    fn adopt(&self, read: Controls) -> Arc<Controls> {
        let read = Arc::new(read);
        self.controls.rcu(|known| match known.version < read.version {
            true => Arc::clone(&read),
            false => Arc::clone(known),
        });
        self.look_around();
        read
    }

    /// The settings in force.
    pub fn options(&self) -> Arc<Options> {
        self.options.load_full()
    }

    /// Replaces the settings.
    pub fn set_options(&self, options: Options) {
        self.options.store(Arc::new(options));
        self.set_headroom();
    }

    /// Tries settings on a share of the payments: their ways are chosen by these, those of the
    /// others by the settings in force, which stay what everything else goes by.
    pub fn try_options(&self, options: Arc<Options>, share: Share) {
        self.tried.store(Some(Arc::new(Tried { options, share })));
    }

    /// Tries no settings any more.
    pub fn drop_tried(&self) {
        self.tried.store(None);
    }

    /// The settings that a payment's way is chosen by.
    pub(crate) fn options_of(&self, payment: PaymentId) -> Arc<Options> {
        match self.tried.load().as_ref().filter(|tried| tried.share.takes(payment)) {
            Some(tried) => Arc::clone(&tried.options),
            None => self.options(),
        }
    }

    /// Tells the board what the channels are configured to stand.
    fn set_headroom(&self) {
        let (options, now) = (self.options.load(), self.now());
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in &options.channels {
            board.set_channel_headroom(&channel.id, channel.max_per_second, now);
        }
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

    /// Waits until there is a note to a customer to look at.
    pub async fn note_arrived(&self) {
        self.notes.notified().await;
    }

    /// Has [`Engine::note_arrived`] return: somebody added a note, or made room for one.
    pub fn look_at_notes(&self) {
        self.notes.notify_one();
    }

    /// Every commit of this process, as it happens. Whoever is slow misses some, and is told so.
    pub fn commits(&self) -> broadcast::Receiver<PaymentId> {
        self.commits.subscribe()
    }

    /// Takes a channel, or one method of it, out of service.
    ///
    /// # Errors
    /// When there is no such channel or the store does not keep the change.
    pub async fn disable(&self, new: Override) -> Result<Arc<Controls>, EngineError> {
        self.known(&new.channel)?;
        let scope = scope(new.method);
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
        let scope = scope(method);
        let line = AuditLine {
            at: self.now(),
            by: by.to_owned(),
            action: format!("enable {channel}{scope}"),
            reason: reason.to_owned(),
        };
        self.change_controls(line, |controls, now| controls.enable(channel, method, now)).await
    }

    pub(crate) fn known(&self, channel: &ChannelId) -> Result<(), EngineError> {
        self.options().channel(channel).map(|_| ()).ok_or(EngineError::NoSuchChannel)
    }

    pub(crate) async fn change_controls(
        &self,
        audit: AuditLine,
        change: impl Fn(&Controls, Timestamp) -> Controls,
    ) -> Result<Arc<Controls>, EngineError> {
        for _ in 0..8 {
            let current = self.adopt(self.parts.store.controls().await?);
            let next = change(&current, self.now());
            if self.parts.store.set_controls(&next, audit.clone()).await? {
                return Ok(self.adopt(next));
            }
        }
        Err(EngineError::Busy)
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
