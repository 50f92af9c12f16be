//! What machines that watch the server ask: is it up, may it get traffic, how is it doing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde::Serialize;
use tokio::time::Instant;
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
    let Some(handle) = &state.metrics else {
        return Err(Problem::new(&kinds::NOT_FOUND, "metrics are switched off"));
    };
    refresh_counts(&state).await;
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
}
