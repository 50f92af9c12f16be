//! The HTTP skin: one listener for every provider, the control API and the shopper pages.

mod deliver;
mod http;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Method, Request, StatusCode};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::deliver::{HangUp, deliver, hang_up, silence};
pub(crate) use self::http::{Call, Reply, status};
use crate::faults::Fault;
use crate::pages::Lang;
use crate::state::{Scene, State};
use crate::{alipay, api, clock, paypal, stripe, unionpay, wechatpay};

/// How long a client may take to send its headers, idle time before them included; longer than
/// clients keep idle connections, so that no call meets a connection that is being closed.
const HEADERS_WITHIN: Duration = Duration::from_secs(150);
/// How long open connections may go on after the sandbox was asked to stop.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// Everything under one address.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new().fallback(handle).with_state(state)
}

async fn handle(
    axum::extract::State(state): axum::extract::State<Arc<State>>,
    request: Request<Body>,
) -> Response {
    let call = match Call::read(request).await {
        Ok(call) => call,
        Err(reply) => return reply.into_response(),
    };
    let first = call.path.split('/').find(|part| !part.is_empty()).unwrap_or_default();
    match first {
        "gateway.do" => at_alipay(&state, &call).await,
        "v3" => at_wechatpay(&state, call).await,
        "gateway" => at_unionpay(&state, call).await,
        "v1" if paypal::owns(&call.path) => at_paypal(&state, call).await,
        "v2" => at_paypal(&state, call).await,
        "v1" => at_stripe(&state, call).await,
        "sandbox" => api::control(&state, &call).await.into_response(),
        "pay" => api::page(&state, &call).await,
        "" if call.method == Method::GET => api::index(&state, Lang::of(&call)).into_response(),
        _ => Reply::text(StatusCode::NOT_FOUND, "nothing here").into_response(),
    }
}

/// Faults that act before the provider has read a word.
async fn before(state: &State, fault: Option<&Fault>) -> Option<Response> {
    match fault {
        Some(Fault::Refuse) => Some(hang_up()),
        Some(Fault::BlackHole) => Some(silence(&state.stop).await),
        _ => None,
    }
}

fn decide(state: &State, scene: &Scene) -> Option<Fault> {
    let fault = state.fault(scene);
    if let Some(fault) = &fault {
        tracing::debug!(provider = %scene.provider, account = %scene.account,
            operation = ?scene.operation, fault = fault.kind(), "playing a fault");
    }
    fault
}

async fn at_alipay(state: &State, call: &Call) -> Response {
    let intake = alipay::read(state, call);
    let fault = decide(state, &intake.scene);
    if let Some(response) = before(state, fault.as_ref()).await {
        return response;
    }
    let reply = alipay::answer(state, intake, fault.as_ref(), clock::now_ms());
    deliver(reply, fault.as_ref(), &state.stop).await
}

async fn at_wechatpay(state: &State, call: Call) -> Response {
    let intake = wechatpay::read(state, call);
    let fault = decide(state, &intake.scene);
    if let Some(response) = before(state, fault.as_ref()).await {
        return response;
    }
    let reply = wechatpay::answer(state, &intake, fault.as_ref(), clock::now_ms());
    deliver(reply, fault.as_ref(), &state.stop).await
}

async fn at_stripe(state: &State, call: Call) -> Response {
    let intake = stripe::read(state, call);
    let fault = decide(state, &intake.scene);
    if let Some(response) = before(state, fault.as_ref()).await {
        return response;
    }
    let reply = stripe::answer(state, &intake, fault.as_ref(), clock::now_ms());
    deliver(reply, fault.as_ref(), &state.stop).await
}

async fn at_unionpay(state: &State, call: Call) -> Response {
    let intake = unionpay::read(state, &call);
    let fault = decide(state, &intake.scene);
    if let Some(response) = before(state, fault.as_ref()).await {
        return response;
    }
    let reply = unionpay::answer(state, &intake, fault.as_ref(), clock::now_ms());
    deliver(reply, fault.as_ref(), &state.stop).await
}

async fn at_paypal(state: &State, call: Call) -> Response {
    let intake = paypal::read(state, call, clock::now_ms());
    let fault = decide(state, &intake.scene);
    if let Some(response) = before(state, fault.as_ref()).await {
        return response;
    }
    let reply = paypal::answer(state, &intake, fault.as_ref(), clock::now_ms());
    deliver(reply, fault.as_ref(), &state.stop).await
}

/// A service whose error makes hyper drop the connection without an answer.
#[derive(Clone)]
struct Skin(TowerToHyperService<Router>);

#[derive(Debug, thiserror::Error)]
#[error("a fault drops this connection")]
struct Dropped;

impl hyper::service::Service<Request<Incoming>> for Skin {
    type Response = Response;
    type Error = Dropped;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Dropped>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let response = match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<HangUp>().is_some() {
                return Err(Dropped);
            }
            Ok(response)
        })
    }
}

/// Accepts until `stop`, then lets open connections finish for a moment.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let skin = Skin(TowerToHyperService::new(router));
    let connections = TaskTracker::new();
    let kill = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, skin.clone(), stop.clone(), kill.clone()));
            }
            Err(error) => pause_after(&error).await,
        }
    }
    connections.close();
    if tokio::time::timeout(DRAIN_WITHIN, connections.wait()).await.is_err() {
        kill.cancel();
        connections.wait().await;
    }
}

/// Without file descriptors, accepting again at once would only spin.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn connection(
    stream: TcpStream,
    skin: Skin,
    stop: CancellationToken,
    kill: CancellationToken,
) {
    // Answers are small and written at once, so waiting for more bytes only costs time.
    let _ = stream.set_nodelay(true);
    let mut builder = hyper::server::conn::http1::Builder::new();
    // Some SDKs look headers up as the providers write them.
    builder.title_case_headers(true);
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    let served = builder.serve_connection(TokioIo::new(stream), skin);
    tokio::pin!(served);
    let mut stopping = false;
    loop {
        tokio::select! {
            // An error is a client that went away or a fault that was asked for.
            _ = served.as_mut() => return,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
            () = kill.cancelled() => return,
        }
    }
}
