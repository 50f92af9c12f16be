//! The background duties: each in a task of its own, started again when it panics, and each
//! look bounded in time, so that none can hold up another and none can hold up a payment.

use std::sync::Arc;
use std::time::Duration;

use domain::{ChannelId, Timestamp};
use engine::TrialAnswer;
use tokio::task::{JoinHandle, JoinSet};

use crate::agenda::jittered;
use crate::desk::{Cell, Signals, TrialEnd, severity_of};
use crate::feed::{FeedError, Fetched, Fetcher};
use crate::layers::{Probed, probe};

/// How often the calendar is told and suspicion is looked for.
const BEAT: Duration = Duration::from_secs(1);
/// How often certificates are looked at.
const HOUR: Duration = Duration::from_secs(3_600);
/// How often the agendas are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A look that takes longer is given up: a hang of ours must not end the duty.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// The wait before a duty that panicked is started again.
const AGAIN: Duration = Duration::from_secs(5);

/// Duties that run until they are ended.
pub struct Duties(Vec<JoinHandle<()>>);

impl Duties {
    /// Starts all of them. The process must have installed a rustls crypto provider.
    pub fn start(signals: &Arc<Signals>) -> Duties {
        let mut tasks = vec![
            keep(signals, "calendar", calendar),
            keep(signals, "suspicion", suspicion),
            keep(signals, "probes", probes),
            keep(signals, "trials", trials),
            keep(signals, "certificates", certificates),
        ];
        for index in 0..signals.options.feeds.len() {
            tasks.push(keep(signals, "feed", move |signals| feed(signals, index)));
        }
        Duties(tasks)
    }

    /// Ends them. A trial that is under way is left as it is: its payment ends by itself.
    pub async fn end(self) {
        self.0.iter().for_each(JoinHandle::abort);
        for task in self.0 {
            // Ends by being aborted.
            let _ = task.await;
        }
    }
}

/// Runs a duty in a task of its own, for ever.
fn keep<F>(
    signals: &Arc<Signals>,
    name: &'static str,
    duty: impl Fn(Arc<Signals>) -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let signals = Arc::clone(signals);
    tokio::spawn(again_and_again(name, AGAIN, move || duty(Arc::clone(&signals))))
}

/// Starts a duty again whenever it ends, which only a mistake of ours makes it do.
async fn again_and_again<F>(name: &'static str, wait: Duration, start: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        // A set aborts what is in it when the task around it is aborted.
        let mut running = JoinSet::new();
        running.spawn(start());
        let ended = running.join_next().await;
        let why = ended.and_then(Result::err).map_or("it ended".to_owned(), |e| e.to_string());
        tracing::error!(duty = name, why, "a duty stopped; it is started again");
        metrics::counter!("evergate_duty_restarts_total", "duty" => name).increment(1);
        tokio::time::sleep(wait).await;
    }
}

async fn certificates(signals: Arc<Signals>) {
    loop {
        signals.look_at_certificates();
        tokio::time::sleep(HOUR).await;
    }
}

async fn calendar(signals: Arc<Signals>) {
    loop {
        signals.announce();
        // Words end by time as well.
        signals.hear();
        tokio::time::sleep(BEAT).await;
    }
}

/// Has every cell looked at that has left healthy.
async fn suspicion(signals: Arc<Signals>) {
    loop {
        for cell in left_healthy(&signals) {
            signals.suspect(&cell);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Cells that have left healthy since this was asked last.
fn left_healthy(signals: &Signals) -> Vec<Cell> {
    let changes = signals.engine.health_changes();
    let mut state = signals.state();
    let seen = state.health_seen;
    let new = changes.into_iter().filter(|turn| turn.at > seen);
    let mut cells = Vec::new();
    for turn in new {
        state.health_seen = state.health_seen.max(turn.at);
        if turn.from == "healthy" {
            cells.push((turn.channel, turn.method));
        }
    }
    cells
}

async fn probes(signals: Arc<Signals>) {
    let mut running: JoinSet<()> = JoinSet::new();
    loop {
        let (now, room) = (signals.engine.now(), room(&signals, &running));
        let due = signals.state().probe_agenda.take(now, room);
        for channel in due {
            running.spawn(one_probe(Arc::clone(&signals), channel));
        }
        wait(&signals, &mut running).await;
    }
}

fn room(signals: &Signals, running: &JoinSet<()>) -> usize {
    signals.options.at_once.saturating_sub(running.len())
}

/// Until it is time to look at the agenda again: something ended, was asked for, or is due.
async fn wait(signals: &Signals, running: &mut JoinSet<()>) {
    tokio::select! {
        Some(ended) = running.join_next() => {
            if let Err(error) = ended {
                tracing::error!(%error, "a look at a channel failed by a mistake of ours");
            }
        }
        () = signals.wake.notified() => {}
        () = tokio::time::sleep(LOOK) => {}
    }
}

/// Gives a thing back to its agenda, also when the look at it panicked or was given up.
struct Back<F: FnMut()>(F);

impl<F: FnMut()> Drop for Back<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

async fn one_probe(signals: Arc<Signals>, channel: ChannelId) {
    let _back = Back(|| {
        let (now, dice) = (signals.engine.now(), signals.engine.dice());
        signals.state().probe_agenda.ended(&channel, now, dice);
    });
    let targets = signals.targets();
    let Some(target) = targets.iter().find(|t| t.channel == channel) else { return };
    let now = signals.engine.now();
    let looked = probe(&signals.driver, target, now);
    match tokio::time::timeout(LOOK_MAX, looked).await {
        Ok(probed) => take_probe(&signals, probed),
        Err(_) => tracing::error!(%channel, "a probe did not end and was given up"),
    }
}

fn take_probe(signals: &Signals, probed: Probed) {
    tell_probe(&probed, signals.engine.now());
    if probed.crowded {
        return; // It says nothing about the provider; what was seen before stands.
    }
    let channel = probed.channel.clone();
    signals.engine.probed(&channel, !probed.is_bad());
    let severity = severity_of(&probed);
    let before = signals.state().probes.insert(channel.clone(), probed.clone());
    let was_bad = before.as_ref().is_some_and(Probed::is_bad);
    match (&probed.broken, was_bad) {
        (Some(broken), _) if before.as_ref().is_none_or(|b| b.broken.as_ref() != Some(broken)) => {
            let (layer, code, detail) = (broken.layer.name(), &broken.code, &broken.detail);
            tracing::warn!(%channel, layer, %code, %detail, "a probe found a broken layer");
        }
        (None, true) => tracing::info!(%channel, "a probe found it well again"),
        _ => {}
    }
    // Once when it breaks: its own payments have the last word.
    if let Some(severity) = severity.filter(|_| !was_bad) {
        for (other, method) in crate::desk::cells(&signals.engine) {
            if other == channel {
                signals.engine.hint(&channel, method, severity);
            }
        }
    }
}

fn tell_probe(probed: &Probed, now: Timestamp) {
    let channel = probed.channel.to_string();
    for (layer, took) in &probed.times {
        metrics::histogram!(
            "evergate_probe_layer_seconds", "channel" => channel.clone(), "layer" => layer.name()
        )
        .record(took.as_secs_f64());
    }
    if let Some(ending) = &probed.certificate {
        metrics::gauge!("evergate_probe_certificate_days", "channel" => channel.clone())
            .set(ending.days_left(now) as f64);
    }
    if probed.crowded {
        return;
    }
    let good = if probed.is_bad() { 0.0 } else { 1.0 };
    metrics::gauge!("evergate_probe_ok", "channel" => channel.clone()).set(good);
    let layer = probed.broken.as_ref().map_or("none", |broken| broken.layer.name());
    metrics::counter!("evergate_probes_total", "channel" => channel, "broken" => layer)
        .increment(1);
}

async fn trials(signals: Arc<Signals>) {
    let mut running: JoinSet<()> = JoinSet::new();
    loop {
        let (now, room) = (signals.engine.now(), room(&signals, &running));
        let due = signals.state().trial_agenda.take(now, room);
        for cell in due {
            running.spawn(one_trial(Arc::clone(&signals), cell));
        }
        wait(&signals, &mut running).await;
    }
}

async fn one_trial(signals: Arc<Signals>, cell: Cell) {
    let _back = Back(|| {
        let (now, dice) = (signals.engine.now(), signals.engine.dice());
        signals.state().trial_agenda.ended(&cell, now, dice);
    });
    let now = signals.engine.now();
    if signals.is_left_in_peace(&cell, now) {
        return;
    }
    let Some(trial) = signals.trial(&cell) else { return };
    match tokio::time::timeout(LOOK_MAX, signals.engine.try_channel(&trial)).await {
        Ok(Ok(Some(tried))) => {
            let payment = Some(tried.payment.id);
            let end =
                TrialEnd { at: now, payment, answer: tried.answer, error: None, took: tried.took };
            take_trial(&signals, cell.clone(), end);
        }
        Ok(Ok(None)) => tracing::debug!(
            channel = %cell.0, method = %cell.1, "the last synthetic payment has not ended"
        ),
        Ok(Err(error)) => {
            let end = TrialEnd {
                at: now,
                payment: None,
                answer: TrialAnswer::NotTried,
                error: Some(error.to_string()),
                took: Duration::ZERO,
            };
            take_trial(&signals, cell.clone(), end);
        }
        Err(_) => tracing::error!(channel = %cell.0, "a trial did not end and was given up"),
    }
}

/// The name of a trial's result in the API and in metrics.
pub fn result_name(answer: &TrialAnswer) -> &'static str {
    match answer {
        TrialAnswer::Works => "works",
        TrialAnswer::Declined(_) => "declined",
        TrialAnswer::Failed(..) => "failed",
        TrialAnswer::Unanswered => "unanswered",
        TrialAnswer::NotTried => "not_tried",
    }
}

fn take_trial(signals: &Signals, cell: Cell, end: TrialEnd) {
    let (channel, method) = (cell.0.clone(), cell.1);
    let result = result_name(&end.answer);
    metrics::counter!(
        "evergate_synthetic_payments_total",
        "channel" => channel.to_string(), "method" => method.name(), "result" => result
    )
    .increment(1);
    let before = signals.state().trials.insert(cell, end.clone());
    if before.is_none_or(|before| before.answer != end.answer) {
        let error = end.error.as_deref().unwrap_or("");
        match end.answer {
            TrialAnswer::Works | TrialAnswer::Declined(_) => {
                tracing::info!(%channel, %method, result, "a synthetic payment went through");
            }
            _ => tracing::warn!(
                %channel, %method, result, answer = ?end.answer, error, "a synthetic payment failed"
            ),
        }
    }
}

async fn feed(signals: Arc<Signals>, index: usize) {
    let Some(options) = signals.options.feeds.get(index).cloned() else {
        return std::future::pending().await;
    };
    let mut fetcher = Fetcher::new(&options.url);
    loop {
        let fetched = match &mut fetcher {
            Ok(fetcher) => tokio::time::timeout(LOOK_MAX, fetcher.fetch()).await,
            Err(error) => Ok(Err(FeedError::Unreachable(error.to_string()))),
        };
        let fetched =
            fetched.unwrap_or_else(|_| Err(FeedError::Unreachable("it did not end".to_owned())));
        take_feed(&signals, index, fetched);
        signals.hear();
        tokio::time::sleep(jittered(options.every, signals.engine.dice())).await;
    }
}

fn take_feed(signals: &Signals, index: usize, fetched: Result<Fetched, FeedError>) {
    let now = signals.engine.now();
    let Some(options) = signals.options.feeds.get(index) else { return };
    let name = &options.name;
    let result = match &fetched {
        Ok(Fetched::Same) => "same",
        Ok(Fetched::Page(_)) => "page",
        Err(error) => error.kind(),
    };
    metrics::counter!("evergate_feed_reads_total", "feed" => name.clone(), "result" => result)
        .increment(1);
    if let Ok(Fetched::Page(page)) = &fetched {
        for part in page.missing(&options.mapping) {
            tracing::warn!(feed = %name, part, "the status page has no such part");
        }
        if page.skipped > 0 {
            let skipped = page.skipped;
            tracing::info!(feed = %name, skipped, "parts of the status page could not be read");
        }
    }
    let error = fetched.as_ref().err().map(ToString::to_string);
    let mut state = signals.state();
    let Some(feed) = state.feeds.get_mut(index) else { return };
    let is_turn = feed.take(fetched, now);
    drop(state);
    match error {
        Some(error) if is_turn => {
            tracing::warn!(feed = %name, %error, "a status page cannot be read: no evidence");
        }
        None if is_turn => tracing::info!(feed = %name, "a status page can be read again"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_duty_that_panics_or_ends_is_started_again_and_ends_when_it_is_told() {
        let (starts, third) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let (counted, told) = (Arc::clone(&starts), Arc::clone(&third));
        let kept = tokio::spawn(again_and_again("test", Duration::ZERO, move || {
            let (n, told) = (counted.fetch_add(1, Ordering::SeqCst), Arc::clone(&told));
            async move {
                match n {
                    0 => panic!("a mistake of ours"),
                    1 => {}
                    _ => {
                        told.notify_one();
                        std::future::pending().await
                    }
                }
            }
        }));
        third.notified().await;
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        kept.abort();
        assert!(kept.await.unwrap_err().is_cancelled());
    }
}
