//! The configuration of a running gateway: what runs, and the one door by which it changes.
//!
//! Three ways lead through it. A *reload* reads the file and the keys again and takes over what
//! has changed at once. An *apply* tries a text on a growing share of the payments, watches, and
//! goes on or back by itself. A *rollback* goes back at once.
//!
//! The invariants: one change at a time; nothing is changed while anything is wrong; an account
//! never changes under a channel's name, because orders that were made under one cannot be asked
//! about under another; the file at boot is the truth, and it is written only when an apply has
//! come to its end.

mod boot;
mod diff;
mod load;
mod save;
mod trial;
mod views;
mod watch;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use domain::{ChannelId, Timestamp};
use engine::Engine;
use incidents::desk::Signals;
use providers::bank::BankSettings;
use providers::{Driver, SettingError};
use server::{
    ApiKeys, ConfigChange, ConfigDoor, ConfigStatus, Difference, Endpoints, NoteDesk, Operators,
    PlacedMistake, Refusal, Reloaded, RolloutEnd, VersionText, VersionView, Who, Wish,
};
use store::{AuditLine, NewVersion, VersionState, Versions};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use toml::Table;

pub use load::{Loaded, load};

use crate::config::{Config, Mistake, Mistakes};
use crate::wire;
use trial::Trial;

/// How often files are looked at again while that is switched off.
const IDLE: Duration = Duration::from_secs(60);

/// How long a change waits for one that is being finished.
const TURN: Duration = Duration::from_secs(1);

/// What a change is made to.
pub(crate) struct Parts {
    pub(crate) engine: Arc<Engine>,
    pub(crate) driver: Arc<Driver>,
    pub(crate) ledger: Arc<recovery::bank::Ledger>,
    pub(crate) assist: Arc<recovery::assist::Desk>,
    pub(crate) signals: Arc<Signals>,
    pub(crate) keys: ApiKeys,
    /// Who may sign in to the console.
    pub(crate) operators: Operators,
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) notes: Arc<NoteDesk>,
    pub(crate) versions: Arc<dyn Versions>,
}

/// What is known besides the configuration that runs.
#[derive(Default)]
struct State {
    /// The version in force, where the store could be read.
    version: Option<u64>,
    trial: Option<Trial>,
    last: Option<RolloutEnd>,
    not_saved: Option<String>,
    /// Every bank channel that the ledger answers for, those included that were removed: their
    /// transfers still come in.
    banks: HashMap<ChannelId, BankSettings>,
}

/// The configuration of a running gateway.
pub struct Live {
    me: Weak<Live>,
    parts: Parts,
    /// What runs.
    running: ArcSwap<Loaded>,
    /// What the process was started with, for what counts only then.
    boot: Table,
    /// One change at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Live {
    /// The door of a gateway that was started with this.
    pub(crate) fn new(parts: Parts, loaded: Loaded) -> Arc<Live> {
        let boot = diff::table(loaded.config.source.text.expose());
        let days = &loaded.config.changes.certificate_days;
        parts.signals.set_certificates(loaded.certificates(), days);
        let state = State { banks: wire::banks(&loaded.config), ..State::default() };
        Arc::new_cyclic(|me| Live {
            me: Weak::clone(me),
            parts,
            running: ArcSwap::from_pointee(loaded),
            boot,
            turn: Arc::default(),
            state: Mutex::new(state),
            task: Mutex::default(),
        })
    }

    /// Ends what is being tried, as a crash would: it is found interrupted at the next start.
    pub(crate) async fn end(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            // Ends by being aborted.
            let _ = task.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.parts.engine.now()
    }

    /// The right to change something, if nobody else has it. A reload that is under way is
    /// waited for a little; a trial is not.
    async fn turn(&self) -> Result<OwnedMutexGuard<()>, Refusal> {
        let busy = || {
            let fix = "wait for its end, or end it with `evergate config rollback`";
            Refusal::Conflict(fix, "another change of the configuration is under way".to_owned())
        };
        if self.state().trial.is_some() {
            return Err(busy());
        }
        let turn = Arc::clone(&self.turn).lock_owned();
        tokio::time::timeout(TURN, turn).await.map_err(|_| busy())
    }

    /// Reads a text with all that it names, off the threads that serve.
    async fn prepare(&self, text: String) -> Result<Loaded, Refusal> {
        let source = self.running.load().config.source.clone();
        let read = move || {
            let mut config = Config::parse(&text, &source.folder)?;
            config.source.file = source.file;
            load(config)
        };
        let loaded = blocking(read).await?;
        self.guard(&loaded)?;
        Ok(loaded)
    }

    /// Refuses another account under the name of a channel that is known: what was begun under
    /// the one could not be asked about, closed or refunded under the other.
    fn guard(&self, next: &Loaded) -> Result<(), Refusal> {
        let strangers = next.channels.iter().filter_map(|channel| {
            let id = &channel.built.id;
            let (old, new) = (self.parts.driver.codec(id)?, &channel.built.codec);
            (old.account() != new.account()).then(|| {
                let (old, new) = (old.account(), new.account());
                next.config.placed(SettingError {
                    field: format!("channels.{id}"),
                    rule: format!("it becomes another account ({old}; now {new})"),
                    fix: "add a new channel with a name of its own, and remove this one".to_owned(),
                })
            })
        });
        let found: Vec<Mistake> = strangers.collect();
        if !found.is_empty() {
            return Err(mistakes(found));
        }
        let new = next.new_channels(self.running.load().is_news());
        self.parts.driver.can_take(&new).map_err(|error| no_client(next, &error))
    }

    /// Puts a configuration in force at once. What signs is the new one from the next call on;
    /// what is replaced is believed for a while.
    fn put_in_force(&self, next: Loaded) -> Result<Reloaded, Refusal> {
        let running = self.running.load_full();
        let until = self.now() + next.changes().overlap();
        let new = next.new_channels(running.is_news());
        let taken = self.parts.driver.set_channels(&new, until);
        taken.map_err(|error| no_client(&next, &error))?;
        let channels: Vec<String> = new.iter().map(|new| new.id.to_string()).collect();
        let sections = self.sections(&running, &next);
        self.follow(next);
        Ok(Reloaded {
            believed_until: (!channels.is_empty()).then(|| views::rfc3339(until)),
            channels,
            sections,
            needs_restart: self.needs_restart(),
        })
    }

    /// Everything but the driver takes over a configuration.
    fn follow(&self, next: Loaded) {
        let Parts { engine, signals, keys, operators, endpoints, notes, assist, .. } = &self.parts;
        assist.set_limits(next.config.assist.limits());
        self.know_banks(wire::banks(&next.config));
        engine.set_options(next.options());
        engine.drop_tried();
        keys.replace(&next.keys);
        operators.replace(&next.operators);
        endpoints.set(next.endpoints.clone());
        notes.set(next.post.clone());
        signals.set_targets(next.targets());
        signals.set_certificates(next.certificates(), &next.changes().certificate_days);
        self.running.store(Arc::new(next));
    }

    /// Has the ledger answer for these bank channels as well, by these settings.
    fn know_banks(&self, banks: HashMap<ChannelId, BankSettings>) {
        let mut state = self.state();
        state.banks.extend(banks);
        self.parts.ledger.set_channels(state.banks.clone());
    }

    /// What differs besides channels and what waits for a restart.
    fn sections(&self, running: &Loaded, next: &Loaded) -> Vec<String> {
        let (old, new) = (running.table(), next.table());
        let mut sections: Vec<String> = [
            "api_keys",
            "operators",
            "merchants",
            "routing",
            "policy",
            "degradation",
            "assist",
            "customer_messages",
            "config",
        ]
        .into_iter()
        .filter(|section| old.get(*section) != new.get(*section))
        .map(str::to_owned)
        .collect();
        let secrets = |loaded: &Loaded| {
            let files =
                loaded.config.merchants.iter().filter_map(|m| m.webhook_secrets_file.as_ref());
            files.map(|file| loaded.files.get(file).copied().flatten()).collect::<Vec<_>>()
        };
        let merchants = "merchants".to_owned();
        if secrets(running) != secrets(next) && !sections.contains(&merchants) {
            sections.push(merchants);
        }
        sections
    }

    /// Settings that differ from what the process was started with and count only then.
    fn needs_restart(&self) -> Vec<String> {
        let now = self.running.load().table();
        let changes = diff::changes(&self.boot, &now).into_iter().filter(|change| !change.live);
        changes.map(|change| change.path).collect()
    }

    /// A line for the audit log (rule 12).
    fn audit(&self, who: &Who, action: String) -> AuditLine {
        AuditLine { at: self.now(), by: who.by.clone(), action, reason: who.reason.clone() }
    }

    fn new_version(
        &self,
        loaded: &Loaded,
        who: &Who,
        parent: Option<u64>,
        state: VersionState,
    ) -> NewVersion {
        NewVersion {
            text: loaded.config.source.text.expose().to_owned(),
            digest: loaded.digest(),
            at: self.now(),
            by: who.by.clone(),
            reason: who.reason.clone(),
            parent,
            state,
        }
    }

    /// Keeps a version, whose number it gives. An answer that got lost is read back (rule 16).
    async fn keep(
        &self,
        loaded: &Loaded,
        who: &Who,
        state: VersionState,
        action: &str,
    ) -> Result<u64, Refusal> {
        self.clear_stale().await?;
        let parent = self.state().version;
        let new = self.new_version(loaded, who, parent, state);
        let audit = self.audit(who, action.to_owned());
        match self.parts.versions.add_version(new.clone(), audit).await {
            Ok(Some(version)) => Ok(version),
            Ok(None) => {
                let fix = "compare again with `evergate config diff`";
                let why = "another version is in force than this server knows of".to_owned();
                Err(Refusal::Conflict(fix, why))
            }
            Err(error) => {
                let newest = self.parts.versions.versions(1).await?.into_iter().next();
                match newest.filter(|kept| kept.new == new) {
                    Some(kept) => Ok(kept.version),
                    None => Err(error.into()),
                }
            }
        }
    }

    /// A version that is staged while nothing is being tried was left behind.
    async fn clear_stale(&self) -> Result<(), Refusal> {
        let newest = self.parts.versions.versions(1).await?.into_iter().next();
        if let Some(left) = newest.filter(|v| v.new.state == VersionState::Staged) {
            let who = Who { by: "evergate".to_owned(), reason: "left behind".to_owned() };
            let audit = self.audit(&who, format!("version {} was interrupted", left.version));
            let cause = Some("its end could not be written down".to_owned());
            let end = VersionState::Interrupted;
            self.parts.versions.settle_version(left.version, end, cause, audit).await?;
        }
        Ok(())
    }

    /// Takes the new version's number, and puts its text into the file.
    async fn save(&self, loaded: &Loaded, known: &Loaded) {
        let texts = (known.config.source.text.clone(), loaded.config.source.text.clone());
        let Some(file) = loaded.config.source.file.clone() else { return };
        let write = move || save::replace(&file, texts.0.expose(), texts.1.expose());
        let saved = tokio::task::spawn_blocking(write).await;
        let saved = saved.unwrap_or_else(|_| Err("writing it failed".to_owned()));
        match &saved {
            Ok(()) => self.parts.signals.settle("not_saved"),
            Err(why) => {
                tracing::error!(%why, "the configuration that is in force was not saved");
                let text = format!("not saved: {why}; a restart would bring the old one back");
                self.parts.signals.note("not_saved", text);
            }
        }
        self.state().not_saved = saved.err();
    }

    fn is_in_force(&self, version: u64) {
        self.state().version = Some(version);
        metrics::gauge!("evergate_config_version").set(version as f64);
    }

    /// Reads the file and all keys again, for a signal or a person.
    ///
    /// # Errors
    /// Every mistake; nothing is changed then.
    pub(crate) async fn reload_file(&self, by: &str) -> Result<Reloaded, Refusal> {
        let reloaded = self.try_reload(by, true).await;
        self.tell_reload(by, &reloaded);
        reloaded
    }

    /// Reads all keys again, for a key file that has changed.
    async fn reload_keys(&self) -> Result<Reloaded, Refusal> {
        let by = "a key file has changed";
        let reloaded = self.try_reload(by, false).await;
        self.tell_reload(by, &reloaded);
        reloaded
    }

    async fn try_reload(&self, by: &str, with_file: bool) -> Result<Reloaded, Refusal> {
        let _turn = self.turn().await?;
        let running = self.running.load_full();
        let next = match running.config.source.file.clone().filter(|_| with_file) {
            Some(file) => {
                let read = move || {
                    Config::load(&file).map_err(|Mistakes { found, .. }| found).and_then(load)
                };
                let next = blocking(read).await?;
                self.guard(&next)?;
                next
            }
            None => self.prepare(running.config.source.text.expose().to_owned()).await?,
        };
        if next.config.source.text.expose() != running.config.source.text.expose() {
            let who = Who { by: by.to_owned(), reason: "the file was changed by hand".to_owned() };
            let action = "take over the configuration file";
            let version = self.keep(&next, &who, VersionState::Live, action).await?;
            self.is_in_force(version);
            self.state().not_saved = None;
        }
        self.put_in_force(next)
    }

    fn tell_reload(&self, by: &str, reloaded: &Result<Reloaded, Refusal>) {
        let result = match reloaded {
            Ok(done) => {
                let (channels, sections) = (done.channels.join(" "), done.sections.join(" "));
                tracing::info!(by, %channels, %sections, "the configuration was read again");
                self.parts.signals.settle("reload_failed");
                "ok"
            }
            Err(refusal) => {
                let why = views::told(refusal);
                tracing::warn!(by, %why, "the configuration was read again and is not taken over");
                self.parts.signals.note("reload_failed", why);
                "refused"
            }
        };
        metrics::counter!("evergate_config_reloads_total", "result" => result).increment(1);
    }

    /// Looks at the key files again and again, and reloads when one has changed.
    pub(crate) async fn keep_watching(self: Arc<Live>) {
        let mut watch = watch::Watch::default();
        loop {
            let every = self.running.load().changes().watch_files();
            tokio::time::sleep(every.unwrap_or(IDLE)).await;
            if every.is_none() || self.state().trial.is_some() {
                continue;
            }
            let running = self.running.load_full();
            let look = move || load::digests(running.files.keys());
            let Ok(now) = tokio::task::spawn_blocking(look).await else { continue };
            let running = self.running.load_full();
            if watch.look(&running.files, now)
                && let Err(Refusal::Mistakes(_)) = self.reload_keys().await
            {
                watch.failed();
            }
        }
    }

    /// The newest version before the one in force that was in force itself.
    async fn before(&self) -> Result<u64, Refusal> {
        let version = self.state().version.ok_or(Refusal::NotFound)?;
        let kept = self.parts.versions.version(version).await?;
        kept.and_then(|kept| kept.new.parent).ok_or(Refusal::NotFound)
    }

    async fn go_back(&self, to: u64, who: &Who) -> Result<(), Refusal> {
        let _turn = self.turn().await?;
        let kept = self.parts.versions.version(to).await?.ok_or(Refusal::NotFound)?;
        let (next, running) = (self.prepare(kept.new.text).await?, self.running.load_full());
        if next.config.source.text.expose() == running.config.source.text.expose() {
            let fix = "see `evergate config history`";
            return Err(Refusal::Conflict(fix, format!("version {to} is what runs")));
        }
        let reason = format!("rollback to version {to}: {}", who.reason);
        let noted = Who { by: who.by.clone(), reason };
        let action = format!("roll back to version {to} of the configuration");
        let version = self.keep(&next, &noted, VersionState::Live, &action).await?;
        self.is_in_force(version);
        self.save(&next, &running).await;
        self.put_in_force(next)?;
        tracing::warn!(by = %who.by, reason = %who.reason, to, "the configuration was rolled back");
        Ok(())
    }
}

impl Loaded {
    fn changes(&self) -> &crate::config::ConfigSection {
        &self.config.changes
    }

    fn table(&self) -> Table {
        diff::table(self.config.source.text.expose())
    }

    /// Whether a channel of another configuration differs from ours in anything that its codec
    /// or its connections are made from.
    fn is_news(&self) -> impl Fn(&load::LoadedChannel) -> bool {
        |channel| self.channel(&channel.built.id).is_none_or(|old| old.mark != channel.mark)
    }

    /// Channels whose settings read the same while a key that they name does not.
    fn rekeyed(&self, next: &Loaded) -> Vec<ConfigChange> {
        let (old, new, is_news) = (self.table(), next.table(), self.is_news());
        let is_same = |channel: &&load::LoadedChannel| {
            let id = channel.built.id.as_str();
            is_news(channel) && diff::channel(&old, id) == diff::channel(&new, id)
        };
        let rekeyed = next.channels.iter().filter(is_same);
        rekeyed.map(|channel| diff::rekeyed(channel.built.id.as_str())).collect()
    }

    /// The channels on which a change to `next` is tried: those of whose settings or keys
    /// something is new, and all of them when the way of every payment may change.
    fn touched(&self, next: &Loaded) -> Vec<ChannelId> {
        let (old, new) = (self.table(), next.table());
        let section = |name: &str| old.get(name) != new.get(name);
        let both = |of: &Loaded, other: &Loaded| {
            let ids = of.channels.iter().map(|c| c.built.id.clone());
            ids.filter(|id| other.channel(id).is_some()).collect::<Vec<_>>()
        };
        let ranked = both(self, next) != both(next, self);
        let fees = self.config.guide.fees != next.config.guide.fees;
        let all = section("routing") || section("policy") || fees || ranked;
        let is_news = self.is_news();
        // No call is made to a bank, so that nothing could be counted there.
        let is_called = |channel: &load::LoadedChannel| channel.settings.offline().is_none();
        let is_touched =
            |channel: &&load::LoadedChannel| is_called(channel) && (all || is_news(channel));
        next.channels.iter().filter(is_touched).map(|c| c.built.id.clone()).collect()
    }
}

/// No HTTP client can be made for a channel.
fn no_client(next: &Loaded, error: &providers::DriverError) -> Refusal {
    mistakes(vec![next.config.placed(SettingError {
        field: format!("channels.{}", error.channel),
        rule: error.to_string(),
        fix: "install the system's TLS certificates, or set `ca_file`".to_owned(),
    })])
}

/// Reads something off the threads that serve.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, Vec<Mistake>> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(mistakes),
        Err(_) => Err(mistakes(vec![Mistake {
            line: 0,
            column: 0,
            field: String::new(),
            rule: "reading it failed by a mistake of Evergate's".to_owned(),
            fix: "see the log".to_owned(),
        }])),
    }
}

fn mistakes(found: Vec<Mistake>) -> Refusal {
    let placed = |Mistake { line, column, field, rule, fix }: Mistake| PlacedMistake {
        line,
        column,
        field,
        rule,
        fix,
    };
    Refusal::Mistakes(found.into_iter().map(placed).collect())
}

#[async_trait]
impl ConfigDoor for Live {
    async fn reload(&self, by: &str) -> Result<Reloaded, Refusal> {
        self.reload_file(by).await
    }

    async fn diff(&self, text: &str) -> Result<Difference, Refusal> {
        let next = self.prepare(text.to_owned()).await?;
        let running = self.running.load_full();
        let mut changes = diff::changes(&running.table(), &next.table());
        changes.extend(running.rekeyed(&next));
        Ok(Difference {
            based_on: self.state().version,
            changes,
            touched: running.touched(&next).iter().map(ToString::to_string).collect(),
        })
    }

    async fn apply(&self, wish: Wish) -> Result<ConfigStatus, Refusal> {
        self.begin(wish).await?;
        self.status().await
    }

    async fn rollback(&self, to: Option<u64>, who: &Who) -> Result<ConfigStatus, Refusal> {
        if !self.cancel(to, who).await? {
            let to = match to {
                Some(to) => to,
                None => self.before().await?,
            };
            self.go_back(to, who).await?;
        }
        self.status().await
    }

    async fn status(&self) -> Result<ConfigStatus, Refusal> {
        self.views_status().await
    }

    async fn versions(&self, limit: usize) -> Result<Vec<VersionView>, Refusal> {
        let found = self.parts.versions.versions(limit).await?;
        Ok(found.iter().map(views::version).collect())
    }

    async fn version(&self, number: u64) -> Result<VersionText, Refusal> {
        let kept = self.parts.versions.version(number).await?.ok_or(Refusal::NotFound)?;
        let text = diff::shown(&kept.new.text);
        Ok(VersionText { version: views::version(&kept), text })
    }
}

/// Reads a configuration file with all that it names.
///
/// # Errors
/// Every mistake.
pub fn load_file(file: &Path) -> Result<Loaded, Mistakes> {
    let config = Config::load(file)?;
    load(config).map_err(|found| Mistakes { file: file.to_owned(), found })
}
