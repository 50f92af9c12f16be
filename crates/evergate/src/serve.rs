//! `evergate serve`: the parts of a gateway, started and ended in their order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use domain::{MerchantId, Timestamp};
use engine::{Caller, Engine, Parts};
use incidents::desk::Signals;
use incidents::duties::Duties;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use providers::Driver;
use recovery::bank::{Desk, Ledger};
use server::{
    ApiKey, ApiKeys, App, Endpoint, Endpoints, MessageRenderer, NoteDesk, NoteRenderer, Role,
    Running, Server, ServerOptions, WebhookSecret, WorkersOptions, workers,
};
use store::{SqliteOptions, SqliteStore};

use crate::args::ServeArgs;
use crate::clock::{SystemClock, SystemEntropy};
use crate::config::{Config, LogFormat, LogSection};
use crate::live::{self, Live, Loaded};
use crate::wire::{self, ByChannel, ByDriver};

/// How long idempotency records and ids of changes are kept.
const KEEP: Duration = Duration::from_secs(7 * 86_400);
/// How often the banks' books are looked at for news that was not told.
const NEWS: Duration = Duration::from_secs(15);
/// How often the cases of the VIP desk are looked at.
const CASES: Duration = Duration::from_secs(2);
/// How often housekeeping is done.
const HOUSEKEEPING: Duration = Duration::from_secs(3_600);

/// A gateway that runs.
pub struct Gateway {
    /// Does everything that has to do with money.
    pub engine: Arc<Engine>,
    /// Speaks to the providers.
    pub driver: Arc<Driver>,
    /// Changes the configuration.
    pub live: Arc<Live>,
    running: Running,
    store: Arc<SqliteStore>,
    housekeeping: Vec<tokio::task::JoinHandle<()>>,
    duties: Duties,
}

/// Runs a gateway until a signal ends it.
///
/// # Errors
/// When the configuration has mistakes or a part cannot be started.
pub async fn run(args: &ServeArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    logs(&config.log)?;
    let loaded = live::load_file(&args.config)?;
    let gateway = Gateway::start_loaded(loaded, |caller| caller).await?;
    tracing::info!(
        address = %gateway.addr(), channels = config.channels.len(),
        store = %config.store.path.display(), "evergate serves"
    );
    let reloading = tokio::spawn(reload_on_hangup(Arc::clone(&gateway.live)));
    wait_for_a_signal().await?;
    tracing::info!("a signal came; draining");
    reloading.abort();
    // It holds the door; ends at once by being aborted.
    let _ = reloading.await;
    gateway.shutdown().await
}

impl Gateway {
    /// Builds and starts every part. `watch` may put something between engine and driver.
    ///
    /// # Errors
    /// When a part cannot be built or started.
    pub async fn start(
        config: &Config,
        watch: impl FnOnce(Arc<dyn Caller>) -> Arc<dyn Caller>,
    ) -> Result<Gateway> {
        let loaded = live::load(config.clone()).map_err(|mistakes| {
            let lines = mistakes.iter().map(|m| format!("{}: {}; {}", m.field, m.rule, m.fix));
            anyhow!("{}", lines.collect::<Vec<_>>().join("\n"))
        })?;
        Gateway::start_loaded(loaded, watch).await
    }

    /// The same from a configuration whose keys have been read.
    ///
    /// # Errors
    /// When a part cannot be built or started.
    pub async fn start_loaded(
        loaded: Loaded,
        watch: impl FnOnce(Arc<dyn Caller>) -> Arc<dyn Caller>,
    ) -> Result<Gateway> {
        let config = &loaded.config;
        let driver = Arc::new(crate::clock::driver());
        driver.set_channels(&loaded.all_channels(), Timestamp::EPOCH)?;
        let path = &config.store.path;
        let store = SqliteStore::open(path, SqliteOptions::default())
            .with_context(|| format!("the store {}", path.display()))?;
        let store = Arc::new(store);
        let entropy = Arc::new(SystemEntropy);
        let ledger = Arc::new(Ledger::new(
            Arc::clone(&store) as _,
            Arc::new(SystemClock),
            Arc::clone(&entropy) as _,
            wire::banks(config),
        ));
        let caller =
            ByChannel { ledger: Arc::clone(&ledger), driver: ByDriver(Arc::clone(&driver)) };
        let notes = NoteDesk::open(Arc::clone(&store) as _, crate::clock::random()).await;
        let notes = Arc::new(notes.context("the store cannot be read")?);
        notes.set(loaded.post.clone());
        let parts = Parts {
            store: Arc::clone(&store) as _,
            caller: watch(Arc::new(caller)),
            clock: Arc::new(SystemClock),
            entropy: Arc::clone(&entropy) as _,
            render: Arc::new(NoteRenderer::new(
                Arc::clone(&notes),
                MessageRenderer::new(&config.public_url()),
            )),
            owner: format!("evergate-{}-{}", std::process::id(), crate::clock::random_text::<8>()),
        };
        let engine = Arc::new(Engine::new(parts, loaded.options(), config.health.clone()));
        engine.start().await.context("the store cannot be read")?;
        let signals = Arc::new(Signals::new(
            Arc::clone(&engine),
            Arc::clone(&driver),
            loaded.targets(),
            config.signals.options(),
        ));
        // Books of a channel that is configured no more are still to be looked after.
        let desk = Arc::new(Desk::new(Arc::clone(&ledger), Arc::clone(&engine)));
        let assist = Arc::new(recovery::assist::Desk::new(
            Arc::clone(&store) as _,
            Arc::clone(&engine),
            Arc::clone(&entropy) as _,
            recovery::assist::Limits::default(),
        ));
        let endpoints = Arc::new(Endpoints::new(loaded.endpoints.clone()));
        let door = live::Parts {
            engine: Arc::clone(&engine),
            driver: Arc::clone(&driver),
            ledger,
            signals: Arc::clone(&signals),
            keys: loaded.keys.clone(),
            endpoints: Arc::clone(&endpoints),
            notes: Arc::clone(&notes),
            versions: Arc::clone(&store) as _,
        };
        let live = Live::new(door, loaded.clone());
        live.boot().await;
        let app = App {
            bank: Some(Arc::clone(&desk)),
            assist: Some(Arc::clone(&assist)),
            engine: Arc::clone(&engine),
            codecs: Arc::clone(&driver) as _,
            entropy: Arc::clone(&entropy) as _,
            keys: loaded.keys.clone(),
            signals: Some(Arc::clone(&signals)),
            notes: Some(Arc::clone(&notes)),
            config: Some(Arc::clone(&live) as _),
            metrics: Some(recorder()?),
        };
        let server = Server::start(app, limits(config))
            .await
            .with_context(|| format!("cannot listen on {}", config.server.bind))?;
        let workers = workers::spawn(
            Arc::clone(&engine),
            entropy,
            endpoints,
            Some(notes),
            workers_options(config),
        )
        .context("the sender of messages to merchants")?;
        let housekeeping = vec![
            tokio::spawn(keep_house(Arc::clone(&store))),
            tokio::spawn(Arc::clone(&live).keep_watching()),
            tokio::spawn(tell_news(desk)),
            tokio::spawn(look_at_cases(assist)),
        ];
        let running = server.with_workers(workers);
        let duties = Duties::start(&signals);
        Ok(Gateway { engine, driver, live, running, store, housekeeping, duties })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.running.addr()
    }

    /// Lets requests that are under way end, then the workers, then closes the store.
    ///
    /// # Errors
    /// When the store could not be closed well; what was acknowledged is durable all the same.
    pub async fn shutdown(self) -> Result<()> {
        self.duties.end().await;
        self.live.end().await;
        for task in self.housekeeping {
            task.abort();
            // It holds the store; ends at once by being aborted.
            let _ = task.await;
        }
        self.running.shutdown().await;
        drop((self.engine, self.live));
        match Arc::into_inner(self.store) {
            Some(store) => store.close().await.context("the store"),
            // Somebody still holds it: dropping the last handle closes it as well.
            None => Ok(()),
        }
    }
}

pub(crate) fn keys(config: &Config) -> Result<ApiKeys> {
    let keys = config.api_keys.iter().map(|key| {
        let merchant = key.merchant.as_ref().map_or("", MerchantId::as_str);
        let role = match key.role {
            Role::Merchant => "merchant",
            Role::Operator => "operator",
        };
        let usual = format!("{merchant}-{role}").trim_start_matches('-').to_owned();
        ApiKey {
            name: key.name.clone().unwrap_or(usual),
            hash: key.hash.clone(),
            role: key.role,
            merchant: key.merchant.clone(),
        }
    });
    ApiKeys::new(keys.collect()).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        anyhow!("{}", lines.join("\n"))
    })
}

/// Where messages to merchants go.
///
/// # Errors
/// Every secret that cannot be read: its field, and why.
pub fn merchants(config: &Config) -> Result<HashMap<MerchantId, Endpoint>, Vec<(String, String)>> {
    let (mut endpoints, mut mistakes) = (HashMap::new(), Vec::new());
    for merchant in &config.merchants {
        let Some(url) = merchant.webhook_url.clone() else { continue };
        let at = |field: &str| format!("merchants.{}.{field}", merchant.name);
        let mut texts: Vec<String> =
            merchant.webhook_secrets.iter().map(|s| s.expose().to_owned()).collect();
        if let Some(file) = &merchant.webhook_secrets_file {
            match std::fs::read_to_string(file) {
                Ok(text) => {
                    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                    texts.extend(lines.map(str::to_owned));
                }
                Err(error) => {
                    let why = format!("{} cannot be read ({})", file.display(), error.kind());
                    mistakes.push((at("webhook_secrets_file"), why));
                }
            }
        }
        let mut secrets = Vec::new();
        for text in &texts {
            match WebhookSecret::parse(text) {
                Ok(secret) => secrets.push(secret),
                Err(why) => mistakes.push((at("webhook_secrets"), why.to_string())),
            }
        }
        endpoints.insert(merchant.name.clone(), Endpoint { url, secrets });
    }
    if mistakes.is_empty() { Ok(endpoints) } else { Err(mistakes) }
}

fn limits(config: &Config) -> ServerOptions {
    let set = &config.server;
    let millis = Duration::from_millis;
    ServerOptions {
        bind: set.bind,
        public_url: Some(config.public_url()),
        max_streams: set.max_streams,
        metrics_bind: set.metrics_bind,
        max_body_bytes: set.max_body_bytes,
        request_timeout: millis(set.request_timeout_ms),
        header_timeout: millis(set.header_timeout_ms),
        body_timeout: millis(set.body_timeout_ms),
        idle_timeout: millis(set.idle_timeout_ms),
        max_connections: set.max_connections,
        max_connections_per_ip: set.max_connections_per_ip,
        max_requests: set.max_requests,
        notification_reserve: set.notification_reserve,
        lame_duck: millis(set.lame_duck_ms),
        drain_timeout: millis(set.drain_timeout_ms),
    }
}

fn workers_options(config: &Config) -> WorkersOptions {
    WorkersOptions {
        max_payments: config.server.workers,
        max_messages: config.server.workers,
        drain_timeout: Duration::from_millis(config.server.drain_timeout_ms),
        ..WorkersOptions::default()
    }
}

/// The recorder of metrics: one for the process, however many gateways it starts.
fn recorder() -> Result<PrometheusHandle> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    const SECONDS: [f64; 14] =
        [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
        .context("metrics")?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// Forgets what is old, refreshes what changes slowly.
async fn keep_house(store: Arc<SqliteStore>) {
    let upkeep = async {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            if let Ok(handle) = recorder() {
                handle.run_upkeep();
            }
        }
    };
    let hourly = async {
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            let before = crate::clock::now() - KEEP;
            match store.purge(before, before).await {
                Ok(purged) => tracing::debug!(?purged, "old records were forgotten"),
                Err(error) => tracing::warn!(%error, "old records could not be forgotten"),
            }
        }
    };
    tokio::join!(upkeep, hourly);
}

/// Brings what is new in the banks' books to the payments: at the start what a process before
/// this one left untold, then whenever something comes, and now and then for what failed.
async fn tell_news(desk: Arc<Desk>) {
    loop {
        match desk.tell().await {
            Ok(0) => {}
            Ok(told) => tracing::info!(told, "the banks' books had news"),
            Err(error) => tracing::warn!(%error, "the banks' books could not be read"),
        }
        // Whoever makes news tells it; this is for news whose teller died or was refused.
        let _ = tokio::time::timeout(NEWS, desk.news_arrived()).await;
    }
}

/// Brings the cases of the VIP desk up to date with their payments, and finishes what a process
/// before this one left half done.
async fn look_at_cases(desk: Arc<recovery::assist::Desk>) {
    loop {
        if let Err(error) = desk.sweep().await {
            tracing::warn!(%error, "the desk's cases could not be read");
        }
        tokio::time::sleep(CASES).await;
    }
}

/// Starts the log as configured.
///
/// # Errors
/// When the level is not one.
pub fn logs(settings: &LogSection) -> Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(&settings.level)
        .with_context(|| format!("log.level: `{}` cannot be read", settings.level))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(is_terminal).try_init()
        }
    };
    started.map_err(|error| anyhow!("the log cannot be started: {error}"))
}

/// Reads the configuration again whenever SIGHUP comes; mistakes change nothing.
async fn reload_on_hangup(live: Arc<Live>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::error!(%error, "SIGHUP cannot be listened for"),
        };
        while hangup.recv().await.is_some() {
            // How it went is told in the log, in a metric and among the signals.
            let _ = live.reload_file("SIGHUP").await;
        }
    }
    #[cfg(not(unix))]
    drop(live);
}

/// Ends with SIGINT or SIGTERM.
///
/// # Errors
/// When signals cannot be listened for.
pub async fn wait_for_a_signal() -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            ended = tokio::signal::ctrl_c() => ended?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
