//! What every request goes through: an id, a place, a task of its own, a deadline, and at the
//! end its problem written out, its line in the log and its metrics.
//!
//! A request runs in a task of its own, so that a client that hangs up does not stop a payment
//! in the middle, and so that a shutdown can wait for it. The log line holds no body, header,
//! query or address (rule 13): the route's pattern, not the path.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::Instrument;

use crate::app::Shared;
use crate::problem::{Problem, kinds};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a handler notes whose key it was, for the log.
#[derive(Clone, Default)]
pub(crate) struct Who(Arc<Mutex<Option<String>>>);

impl Who {
    pub(crate) fn set(&self, name: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The places for requests under way.
pub(crate) struct Gate {
    requests: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn new(requests: usize, reserve: usize) -> Gate {
        Gate {
            requests: Arc::new(Semaphore::new(requests.min(Semaphore::MAX_PERMITS))),
            reserve: Arc::new(Semaphore::new(reserve.min(Semaphore::MAX_PERMITS))),
        }
    }

    fn enter(&self, route: &str) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.requests).try_acquire_owned();
        match place {
            Err(_) if route.starts_with("/v1/notifications/") => {
                Arc::clone(&self.reserve).try_acquire_owned().ok()
            }
            place => place.ok(),
        }
    }
}

/// The whole way of a request.
pub(crate) async fn run(
    State(shared): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = route(&request);
    let id = request_id(request.headers(), &shared);
    let who = Who::default();
    request.extensions_mut().insert(who.clone());
    let in_flight = InFlight::enter();
    let span = tracing::info_span!("request", request_id = %id);
    let mut response = admitted(&shared, &route, request, next).instrument(span.clone()).await;
    drop(in_flight);
    let problem =
        response.extensions_mut().remove::<Problem>().or_else(|| unknown_error(&response));
    if let Some(problem) = &problem {
        metrics::counter!("evergate_http_problems_total", "type" => problem.kind.slug).increment(1);
        response = carry_headers(problem.write(&id), &response);
    }
    finish(&mut response, &id);
    let (status, took) = (response.status().as_u16(), began.elapsed());
    let _in_span = span.entered();
    tracing::info!(
        target: "evergate::access",
        method = %method, route = %route, status, duration_ms = took.as_secs_f64() * 1e3,
        key = who.get(), problem = problem.as_ref().map(|p| p.kind.slug), "request"
    );
    measure(method.as_str(), route, status, took);
    response
}

fn measure(method: &str, route: String, status: u16, took: Duration) {
    let known = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"];
    let method = known.into_iter().find(|m| *m == method).unwrap_or("other");
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.to_string())];
    metrics::histogram!("evergate_http_request_seconds", &labels).record(took.as_secs_f64());
}

/// A place, if one is free; liveness and metrics always have one, or nobody could look at an
/// overloaded server.
async fn admitted(shared: &Shared, route: &str, request: Request, next: Next) -> Response {
    let place = if route.starts_with("/v1/") && route != AVAILABILITY {
        match shared.gate.enter(route) {
            Some(place) => Some(place),
            None => {
                let detail = "all places for requests are taken";
                return Problem::new(&kinds::OVERLOADED, detail).retry_after(1).into_response();
            }
        }
    } else {
        None
    };
    // A decision has nothing to finish when its client is gone, and a task of its own would
    // take as long as the decision.
    if route == DECIDE {
        let response = tokio::time::timeout(shared.limits.request_timeout, next.run(request)).await;
        drop(place);
        return response.unwrap_or_else(|_| too_late());
    }
    detached(shared, place, request, next).await
}

/// Answered from memory; an overloaded server would otherwise tell shops nothing.
const AVAILABILITY: &str = "/v1/availability";
const DECIDE: &str = "/v1/route/decide";

fn too_late() -> Response {
    let detail = "the work goes on; ask for the payment before you repeat this";
    Problem::new(&kinds::REQUEST_TIMEOUT, detail).retry_after(5).into_response()
}

/// Runs the rest in a task of its own, which outlives the client and the deadline.
async fn detached(
    shared: &Shared,
    place: Option<OwnedSemaphorePermit>,
    request: Request,
    next: Next,
) -> Response {
    let work = async move {
        let response = next.run(request).await;
        drop(place);
        response
    };
    let task = shared.tasks.spawn(work.in_current_span());
    match tokio::time::timeout(shared.limits.request_timeout, task).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::error!(panicked = error.is_panic(), "a request's task stopped");
            Problem::new(&kinds::INTERNAL, "the request's work stopped by a mistake of ours")
                .into_response()
        }
        Err(_) => too_late(),
    }
}

fn route(request: &Request) -> String {
    request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned())
}

/// The client's id of the request if it is a sane one, or a fresh one.
fn request_id(headers: &HeaderMap, shared: &Shared) -> String {
    let sane = |text: &&str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        (1..=64).contains(&text.len()) && text.bytes().all(allowed)
    };
    let given = headers.get(REQUEST_ID).and_then(|v| v.to_str().ok()).filter(sane);
    given.map_or_else(
        || format!("req_{}", shared.entropy.uuid(shared.engine.now()).simple()),
        str::to_owned,
    )
}

/// An error that some layer made without a problem: give it one.
fn unknown_error(response: &Response) -> Option<Problem> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error())
        || response.headers().contains_key(header::CONTENT_TYPE)
    {
        return None;
    }
    let kind = match status {
        StatusCode::NOT_FOUND => &kinds::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => &kinds::METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => &kinds::BODY_TOO_LARGE,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => &kinds::UNSUPPORTED_CONTENT_TYPE,
        s if s.is_client_error() => &kinds::INVALID_REQUEST,
        _ => &kinds::INTERNAL,
    };
    Some(Problem::new(kind, kind.title))
}

/// Keeps what the router had said in headers, such as `Allow`.
fn carry_headers(mut written: Response, before: &Response) -> Response {
    if let Some(allow) = before.headers().get(header::ALLOW) {
        written.headers_mut().insert(header::ALLOW, allow.clone());
    }
    written
}

fn finish(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Counts a request while it is under way, however it ends.
struct InFlight(metrics::Gauge);

impl InFlight {
    fn enter() -> InFlight {
        let gauge = metrics::gauge!("evergate_http_in_flight");
        gauge.increment(1.0);
        InFlight(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
