//! What machines that watch the server ask: is it up, may it get traffic, how is it doing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::problem::{Problem, kinds};

/// How long the counts by status are kept, so that scrapes do not load the store.
const COUNTS_KEPT: Duration = Duration::from_secs(5);

/// The longest that a readiness check waits for the store.
const PING_PATIENCE: Duration = Duration::from_secs(2);

/// Whether the server is well.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, `draining` or `store_unavailable`.
    status: &'static str,
}

/// Whether the process is up.
#[utoipa::path(
    get, path = "/healthz", tag = "system", operation_id = "healthz", security(()),
    responses((status = 200, body = Health)),
)]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the server may get traffic: the store answers and no shutdown is under way.
#[utoipa::path(
    get, path = "/readyz", tag = "system", operation_id = "readyz", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health)),
)]
pub(crate) async fn readyz(State(state): State<Shared>) -> Response {
    let status = if state.draining.load(Ordering::Relaxed) {
        "draining"
    } else {
        match tokio::time::timeout(PING_PATIENCE, state.engine.store().ping()).await {
            Ok(Ok(())) => "ok",
            Ok(Err(error)) => {
                tracing::warn!(%error, "not ready: the store does not answer");
                "store_unavailable"
            }
            Err(_) => "store_unavailable",
        }
    };
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Health { status })).into_response()
}

/// Metrics in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "system", operation_id = "metrics", security(()),
    responses((status = 200, content_type = "text/plain", body = String)),
)]
pub(crate) async fn metrics(State(state): State<Shared>) -> Result<Response, Problem> {
    if state.limits.metrics_bind.is_some() {
        return Err(Problem::new(&kinds::NOT_FOUND, "metrics are on a port of their own"));
    }
    metrics_on_own_port(State(state)).await
}

pub(crate) async fn metrics_on_own_port(State(state): State<Shared>) -> Result<Response, Problem> {
    let Some(handle) = &state.metrics else {
        return Err(Problem::new(&kinds::NOT_FOUND, "metrics are switched off"));
    };
    refresh_counts(&state).await;
    crate::health_metrics::refresh(&state.engine);
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, handle.render()).into_response())
}

/// Brings the gauges of payments by status up to date, at most once in a while.
async fn refresh_counts(state: &Shared) {
    {
        let mut counted_at = state.counted_at.lock().await;
        if counted_at.is_some_and(|at: Instant| at.elapsed() < COUNTS_KEPT) {
            return;
        }
        *counted_at = Some(Instant::now());
    }
    match state.engine.store().count_by_status().await {
        Ok(counts) => {
            for status in domain::Status::ALL {
                let count = counts.iter().find(|(s, _)| *s == status).map_or(0, |(_, n)| *n);
                metrics::gauge!("evergate_payments", "status" => status.name()).set(count as f64);
            }
        }
        Err(error) => tracing::warn!(%error, "payments could not be counted"),
    }
    if let Some(desk) = &state.bank {
        crate::bank::gauges::refresh(desk, state.engine.now()).await;
    }
    if let Some(desk) = &state.notes
        && let Ok(due) = desk.rows.next_note_due().await
    {
        let now = state.engine.now();
        let overdue = due.map_or(0.0, |at| now.since(at).as_secs_f64());
        metrics::gauge!("evergate_notes_overdue_seconds").set(overdue);
    }
    if let Some(desk) = &state.assist {
        crate::assist::gauges::refresh(desk, state.engine.now()).await;
    }
}

/// How often the recorder folds what it was told into its histograms; it would keep every
/// single value until then.
const UPKEEP: Duration = Duration::from_secs(5);

/// Folds until the server stops.
pub(crate) async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    while !stop.is_cancelled() {
        handle.run_upkeep();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(UPKEEP) => {}
        }
    }
}

/// A recorder whose histograms have buckets that fit payments, for the binary to install.
///
/// # Errors
/// Never with these buckets; the exporter's own check is passed on.
pub fn prometheus() -> Result<PrometheusBuilder, BuildError> {
    const SECONDS: [f64; 14] =
        [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
}

/// Says what the server's metrics mean, once the recorder is installed.
pub(crate) fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_histogram!(
        "evergate_http_request_seconds",
        Unit::Seconds,
        "Time from a request's head to its answer, by method, route and status"
    );
    crate::console::describe();
    describe_gauge!("evergate_http_in_flight", "Requests under way");
    describe_counter!("evergate_http_problems_total", "Refusals, by type");
    describe_gauge!("evergate_connections_open", "Open connections");
    describe_counter!(
        "evergate_connections_refused_total",
        "Connections that were closed without an answer, by reason"
    );
    describe_counter!(
        "evergate_notifications_total",
        "Notifications of providers, by channel and result"
    );
    describe_counter!("evergate_messages_total", "Tries of messages to merchants, by result");
    describe_counter!("evergate_notes_total", "Looks at notes to customers, by kind, way, result");
    describe_counter!("evergate_note_subscriptions_total", "Unsubscriptions and returns");
    describe_gauge!(
        "evergate_notes_overdue_seconds",
        Unit::Seconds,
        "How long the earliest due note to a customer has been due"
    );
    describe_counter!("evergate_work_total", "Due work of payments, by result");
    describe_counter!("evergate_worker_errors_total", "Failures of the worker loops");
    describe_gauge!(
        "evergate_certificate_days_to_expiry",
        "Days until a channel's certificate ends, by channel and setting; negative: it has ended"
    );
    describe_counter!("evergate_config_reloads_total", "Reloads of the configuration, by result");
    describe_gauge!("evergate_config_version", "The version of the configuration in force");
    describe_gauge!(
        "evergate_config_stage_percent",
        "The share of payments that a configuration is tried on; 0: none is tried"
    );
    describe_counter!(
        "evergate_config_calls_total",
        "Calls while a configuration is tried, by channel, arm and class"
    );
    describe_counter!("evergate_config_rollouts_total", "Configurations that were tried, by end");
    describe_counter!(
        "evergate_former_keys_believed_total",
        "Answers and notifications that only keys proved which are not in force"
    );
    describe_gauge!("evergate_payments", "Payments in the books, by status");
    crate::bank::gauges::describe();
    crate::assist::gauges::describe();
    crate::health_metrics::describe();
}
