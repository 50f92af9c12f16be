//! The loops that do what is due: questions, closes, refunds, expiries, messages to merchants
//! and notes to customers.
//!
//! They claim work with a lease, so any number of processes may run them side by side. When
//! the store does not answer they wait, longer each time, and go on; they never end by
//! themselves.

use std::sync::Arc;
use std::time::Duration;

use engine::{Engine, EngineError, Entropy};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::notes::NoteDesk;
use crate::notes::sending::Courier;
use crate::webhooks::{Endpoints, Sender};

/// How much the workers do at once.
#[derive(Clone, Debug)]
pub struct WorkersOptions {
    /// Payments worked on at once.
    pub max_payments: usize,
    /// Messages sent at once.
    pub max_messages: usize,
    /// Messages sent at once to a merchant whose endpoint fails or is slow, so that it does not
    /// hold up everyone's.
    pub max_messages_per_slow_merchant: usize,
    /// Notes to customers looked at at once.
    pub max_notes: usize,
    /// How long one try of a message may take.
    pub message_timeout: Duration,
    /// The longest that the loops wait before they look for work again.
    pub beat: Duration,
    /// How often health is looked at for what does not happen: answers and payments that do
    /// not come.
    pub health_beat: Duration,
    /// How long a shutdown waits for work under way.
    pub drain_timeout: Duration,
}

impl Default for WorkersOptions {
    fn default() -> Self {
        WorkersOptions {
            max_payments: 64,
            max_messages: 64,
            max_notes: 16,
            max_messages_per_slow_merchant: 8,
            message_timeout: Duration::from_secs(15),
            beat: Duration::from_millis(200),
            health_beat: Duration::from_millis(50),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

/// Workers that run.
pub struct WorkersHandle {
    stop: CancellationToken,
    tasks: TaskTracker,
    drain_timeout: Duration,
}

impl WorkersHandle {
    /// Claims nothing more and lets work under way end. What does not end in time is taken up
    /// again by whoever runs next, when its lease is over.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.drain_timeout, self.tasks.wait()).await.is_err() {
            tracing::warn!(left = self.tasks.len(), "workers did not end in time");
        }
    }
}

/// Starts the workers. The process must have installed a rustls crypto provider if any
/// endpoint is https.
///
/// # Errors
/// When no HTTP client can be made for the messages, as with a system that has no TLS
/// certificates although an endpoint needs them.
pub fn spawn(
    engine: Arc<Engine>,
    entropy: Arc<dyn Entropy>,
    endpoints: Arc<Endpoints>,
    desk: Option<Arc<NoteDesk>>,
    options: WorkersOptions,
) -> Result<WorkersHandle, reqwest::Error> {
    let courier =
        desk.map(|desk| Arc::new(Courier::new(Arc::clone(&engine), Arc::clone(&entropy), desk)));
    let sender = Arc::new(Sender::new(Arc::clone(&engine), entropy, endpoints, &options)?);
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let drain_timeout = options.drain_timeout;
    let (stopped, watched, health_beat) = (stop.clone(), Arc::clone(&engine), options.health_beat);
    tasks.spawn(kept_alive("health", stop.clone(), move || {
        health(Arc::clone(&watched), stopped.clone(), health_beat)
    }));
    let (stopped, minded) = (stop.clone(), Arc::clone(&engine));
    tasks.spawn(kept_alive("ladder", stop.clone(), move || {
        ladder(Arc::clone(&minded), stopped.clone())
    }));
    let (stopped, queued, left) = (stop.clone(), Arc::clone(&engine), tasks.clone());
    tasks.spawn(kept_alive("paused", stop.clone(), move || {
        paused(Arc::clone(&queued), stopped.clone(), left.clone())
    }));
    let (stopped, left, limits) = (stop.clone(), tasks.clone(), options.clone());
    tasks.spawn(kept_alive("payments", stop.clone(), move || {
        payments(Arc::clone(&engine), stopped.clone(), left.clone(), limits.clone())
    }));
    if let Some(courier) = courier {
        let (stopped, left, limits) = (stop.clone(), tasks.clone(), options.clone());
        tasks.spawn(kept_alive("notes", stop.clone(), move || {
            notes(Arc::clone(&courier), stopped.clone(), left.clone(), limits.clone())
        }));
    }
    let (stopped, left) = (stop.clone(), tasks.clone());
    tasks.spawn(kept_alive("messages", stop.clone(), move || {
        messages(Arc::clone(&sender), stopped.clone(), left.clone(), options.clone())
    }));
    Ok(WorkersHandle { stop, tasks, drain_timeout })
}

/// Runs a loop, and starts it again should a mistake of ours make it panic: payments must go on
/// being settled (rule 17).
async fn kept_alive<F>(name: &'static str, stop: CancellationToken, start: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tokio::spawn(start()).await {
        tracing::error!(name, %error, "a worker loop stopped; it is started again");
        metrics::counter!("evergate_worker_errors_total", "loop" => name).increment(1);
        Backoff(4).wait(&stop).await;
        if stop.is_cancelled() {
            break;
        }
    }
}

/// Looks at health on every beat, also while the store does not answer.
async fn health(engine: Arc<Engine>, stop: CancellationToken, beat: Duration) {
    while !stop.is_cancelled() {
        engine.watch_health();
        wait(&stop, beat).await;
    }
}

/// How often the ladder is minded.
const LADDER_BEAT: Duration = Duration::from_millis(250);

/// Learns what others have set, moves the ladder with health, holds orders and reminds customers.
/// When the store does not answer, payments go on with the last known levels.
async fn ladder(engine: Arc<Engine>, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        match mind(&engine).await {
            Ok(()) => {
                backoff.reset();
                wait(&stop, LADDER_BEAT).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the ladder could not be minded");
                metrics::counter!("evergate_worker_errors_total", "loop" => "ladder").increment(1);
                backoff.wait(&stop).await;
            }
        }
    }
}

async fn mind(engine: &Engine) -> Result<(), EngineError> {
    engine.follow_controls().await?;
    engine.mind_ladder().await?;
    engine.go_round().await
}

/// Releases paused payments whose feature goes on, as fast as they may go.
async fn paused(engine: Arc<Engine>, stop: CancellationToken, tasks: TaskTracker) {
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        match engine.releasable().await {
            Ok(ready) => {
                backoff.reset();
                for payment in ready {
                    let engine = Arc::clone(&engine);
                    tasks.spawn(async move {
                        if let Err(error) = engine.release_paused(payment).await {
                            tracing::warn!(%payment, %error, "paused work was not released");
                        }
                    });
                }
                wait(&stop, LADDER_BEAT).await;
            }
            Err(error) => {
                tracing::warn!(%error, "paused work could not be looked for");
                metrics::counter!("evergate_worker_errors_total", "loop" => "paused").increment(1);
                backoff.wait(&stop).await;
            }
        }
    }
}

async fn wait(stop: &CancellationToken, how_long: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(how_long) => {}
    }
}

/// What a look for work found.
enum Found {
    /// As much as was asked for: there may be more.
    Plenty,
    /// All there was.
    Drained,
}

async fn payments(
    engine: Arc<Engine>,
    stop: CancellationToken,
    tasks: TaskTracker,
    options: WorkersOptions,
) {
    let places = Arc::new(Semaphore::new(options.max_payments));
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        match claim_payments(&engine, &tasks, &places).await {
            Ok(Found::Plenty) => {
                backoff.reset();
                continue;
            }
            Ok(Found::Drained) => {
                backoff.reset();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = engine.work_arrived() => {}
                    () = tokio::time::sleep(options.beat) => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "due payments could not be claimed");
                metrics::counter!("evergate_worker_errors_total", "loop" => "payments")
                    .increment(1);
                backoff.wait(&stop).await;
            }
        }
    }
}

async fn claim_payments(
    engine: &Arc<Engine>,
    tasks: &TaskTracker,
    places: &Arc<Semaphore>,
) -> Result<Found, engine::EngineError> {
    let Some(free) = wait_for_places(places).await else { return Ok(Found::Drained) };
    let claims = engine.claim(free).await?;
    let found = if claims.len() >= free { Found::Plenty } else { Found::Drained };
    for claim in claims {
        let Ok(place) = Arc::clone(places).acquire_owned().await else { break };
        let engine = Arc::clone(engine);
        tasks.spawn(async move {
            let payment = claim.payment;
            let result = match engine.perform(claim).await {
                Ok(()) => "done",
                Err(error) => {
                    tracing::warn!(%payment, %error, "due work was not done; its lease will end");
                    "failed"
                }
            };
            metrics::counter!("evergate_work_total", "result" => result).increment(1);
            drop(place);
        });
    }
    Ok(found)
}

/// Waits until at least one place is free and says how many are.
async fn wait_for_places(places: &Arc<Semaphore>) -> Option<usize> {
    // Taken and given back at once: only this loop takes places, so they stay free.
    let _one = places.acquire().await.ok()?;
    Some(places.available_permits() + 1)
}

async fn messages(
    sender: Arc<Sender>,
    stop: CancellationToken,
    tasks: TaskTracker,
    options: WorkersOptions,
) {
    let places = Arc::new(Semaphore::new(options.max_messages));
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        match claim_messages(&sender, &tasks, &places).await {
            Ok(Found::Plenty) => backoff.reset(),
            Ok(Found::Drained) => {
                backoff.reset();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sender.engine().message_arrived() => {}
                    () = tokio::time::sleep(options.beat) => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "due messages could not be claimed");
                metrics::counter!("evergate_worker_errors_total", "loop" => "messages")
                    .increment(1);
                backoff.wait(&stop).await;
            }
        }
    }
}

async fn claim_messages(
    sender: &Arc<Sender>,
    tasks: &TaskTracker,
    places: &Arc<Semaphore>,
) -> Result<Found, store::StoreError> {
    let Some(free) = wait_for_places(places).await else { return Ok(Found::Drained) };
    let messages = sender.claim(free).await?;
    let found = if messages.len() >= free { Found::Plenty } else { Found::Drained };
    for message in messages {
        let Ok(place) = Arc::clone(places).acquire_owned().await else { break };
        let sender = Arc::clone(sender);
        tasks.spawn(async move {
            sender.deliver(message).await;
            drop(place);
        });
    }
    Ok(found)
}

/// Looks at notes to customers when one is due; between them it only reads.
async fn notes(
    courier: Arc<Courier>,
    stop: CancellationToken,
    tasks: TaskTracker,
    options: WorkersOptions,
) {
    let places = Arc::new(Semaphore::new(options.max_notes));
    let mut backoff = Backoff::default();
    while !stop.is_cancelled() {
        match claim_notes(&courier, &tasks, &places).await {
            Ok(Found::Plenty) => backoff.reset(),
            Ok(Found::Drained) => {
                backoff.reset();
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = courier.engine().note_arrived() => {}
                    () = tokio::time::sleep(options.beat) => {}
                }
            }
            Err(error) => {
                tracing::error!(%error, "due notes could not be claimed");
                metrics::counter!("evergate_worker_errors_total", "loop" => "notes").increment(1);
                backoff.wait(&stop).await;
            }
        }
    }
}

async fn claim_notes(
    courier: &Arc<Courier>,
    tasks: &TaskTracker,
    places: &Arc<Semaphore>,
) -> Result<Found, store::StoreError> {
    let Some(free) = wait_for_places(places).await else { return Ok(Found::Drained) };
    let due = courier.next_due().await?;
    if due.is_none_or(|at| at > courier.engine().now()) {
        return Ok(Found::Drained);
    }
    let notes = courier.claim(free).await?;
    let found = if notes.len() >= free { Found::Plenty } else { Found::Drained };
    for note in notes {
        let Ok(place) = Arc::clone(places).acquire_owned().await else { break };
        let courier = Arc::clone(courier);
        tasks.spawn(async move {
            courier.handle(note).await;
            drop(place);
        });
    }
    Ok(found)
}

/// Waits that double while the store does not answer.
#[derive(Default)]
struct Backoff(u32);

impl Backoff {
    fn reset(&mut self) {
        self.0 = 0;
    }

    async fn wait(&mut self, stop: &CancellationToken) {
        let wait = Duration::from_millis(100) * 2_u32.pow(self.0.min(6));
        self.0 += 1;
        self::wait(stop, wait).await;
    }
}
