//! The parts of the server and its routes.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use engine::{Engine, Entropy};
use incidents::desk::Signals;
use metrics_exporter_prometheus::PrometheusHandle;
use recovery::bank::Desk;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::ApiKeys;
use crate::config_door::ConfigDoor;
use crate::notes::{self, NoteDesk};
use crate::notifications::Codecs;
use crate::options::ServerOptions;
use crate::pipeline::{self, Gate};
use crate::problem::{Problem, kinds};
use crate::{
    assist, availability, bank, channels, checkout, config_api, docs, ladder, messages,
    notifications, payments, refunds, route, signals, spec, status_page, system,
};

/// What the server is built from.
#[derive(Clone)]
pub struct App {
    /// Does everything that has to do with money.
    pub engine: Arc<Engine>,
    /// Reads notifications; `providers::Driver` has them.
    pub codecs: Arc<dyn Codecs>,
    /// Makes ids of requests.
    pub entropy: Arc<dyn Entropy>,
    /// Who may call.
    pub keys: ApiKeys,
    /// What the control plane knows; absent: only what operators stated.
    pub signals: Option<Arc<Signals>>,
    /// The ledger of bank channels; absent: there are none.
    pub bank: Option<Arc<Desk>>,
    /// Notes to customers; absent: none are made.
    pub notes: Option<Arc<NoteDesk>>,
    /// The desk where staff help with single payments; absent: there is none.
    pub assist: Option<Arc<recovery::assist::Desk>>,
    /// Holds the configuration; absent: it cannot be changed over HTTP.
    pub config: Option<Arc<dyn ConfigDoor>>,
    /// Renders `/metrics`; the binary installs the recorder. Absent: 404.
    pub metrics: Option<PrometheusHandle>,
}

/// What handlers share.
pub(crate) struct Inner {
    pub(crate) engine: Arc<Engine>,
    pub(crate) codecs: Arc<dyn Codecs>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) keys: ApiKeys,
    pub(crate) signals: Option<Arc<Signals>>,
    pub(crate) bank: Option<Arc<Desk>>,
    pub(crate) notes: Option<Arc<NoteDesk>>,
    pub(crate) assist: Option<Arc<recovery::assist::Desk>>,
    pub(crate) config: Option<Arc<dyn ConfigDoor>>,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) limits: ServerOptions,
    pub(crate) gate: Gate,
    pub(crate) openapi: Arc<Value>,
    /// Requests under way, which outlive their clients.
    pub(crate) tasks: TaskTracker,
    pub(crate) draining: AtomicBool,
    /// Ends what would stand open for ever, so that a shutdown is not held up by it.
    pub(crate) ending: CancellationToken,
    /// Where customers reach the server, without a slash at its end.
    pub(crate) public_url: String,
    pub(crate) checkout: checkout::Desk,
    pub(crate) availability: availability::Kept,
    pub(crate) history: status_page::History,
    pub(crate) counted_at: Mutex<Option<Instant>>,
}

pub(crate) type Shared = Arc<Inner>;

/// All routes that the OpenAPI document describes.
fn described() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(payments::create, payments::list))
        .routes(routes!(payments::show))
        .routes(routes!(payments::events))
        .routes(routes!(payments::qr))
        .routes(routes!(payments::cancel))
        .routes(routes!(payments::attempt))
        .routes(routes!(refunds::create, refunds::list))
        .routes(routes!(channels::list))
        .routes(routes!(channels::disable))
        .routes(routes!(channels::enable))
        .routes(routes!(channels::prefer))
        .routes(routes!(channels::release))
        .routes(routes!(route::explain))
        .routes(routes!(route::decide))
        .routes(routes!(channels::audit))
        .routes(routes!(ladder::show))
        .routes(routes!(ladder::shift))
        .routes(routes!(ladder::lift))
        .routes(routes!(ladder::pause))
        .routes(routes!(ladder::resume))
        .routes(routes!(ladder::hold))
        .routes(routes!(ladder::extend))
        .routes(routes!(signals::signals))
        .routes(routes!(signals::list, signals::plan))
        .routes(routes!(signals::remove))
        .routes(routes!(signals::downtime))
        .routes(routes!(bank::statements::import, bank::statements::statements))
        .routes(routes!(bank::transfers::transfers, bank::transfers::record))
        .routes(routes!(bank::transfers::propose_match))
        .routes(routes!(bank::transfers::propose_return))
        .routes(routes!(bank::transfers::approve))
        .routes(routes!(bank::transfers::reject))
        .routes(routes!(bank::payouts::payouts))
        .routes(routes!(bank::payouts::sent))
        .routes(routes!(bank::payouts::confirm))
        .routes(routes!(bank::payouts::failed))
        .routes(routes!(bank::history))
        .routes(routes!(assist::list, assist::open))
        .routes(routes!(assist::show))
        .routes(routes!(assist::acts::take))
        .routes(routes!(assist::acts::give_back))
        .routes(routes!(assist::acts::note))
        .routes(routes!(assist::acts::pay))
        .routes(routes!(assist::acts::offline))
        .routes(routes!(assist::acts::approve))
        .routes(routes!(assist::acts::reject))
        .routes(routes!(assist::acts::close))
        .routes(routes!(assist::acts::refunded))
        .routes(routes!(config_api::status))
        .routes(routes!(config_api::reload))
        .routes(routes!(config_api::diff))
        .routes(routes!(config_api::apply))
        .routes(routes!(config_api::rollback))
        .routes(routes!(config_api::versions))
        .routes(routes!(config_api::version))
        .routes(routes!(messages::list))
        .routes(routes!(messages::resend))
        .routes(routes!(notes::api::of_payment, notes::api::send))
        .routes(routes!(notes::api::list))
        .routes(routes!(notes::api::resend))
        .routes(routes!(notifications::receive))
        .routes(routes!(availability::feed))
        .routes(routes!(system::healthz))
        .routes(routes!(system::readyz))
        .routes(routes!(system::metrics))
}

/// The OpenAPI 3.1 document, from the code.
pub fn openapi() -> Value {
    let (_, paths) = described().split_for_parts();
    spec::document(paths)
}

/// The routes over their shared state.
pub(crate) fn build(app: App, limits: ServerOptions) -> (Router, Shared) {
    let (router, paths) = described().split_for_parts();
    let shared = Arc::new(Inner {
        engine: app.engine,
        codecs: app.codecs,
        entropy: app.entropy,
        keys: app.keys,
        signals: app.signals,
        bank: app.bank,
        notes: app.notes,
        assist: app.assist,
        config: app.config,
        metrics: app.metrics,
        ending: CancellationToken::new(),
        public_url: limits.public_url().trim_end_matches('/').to_owned(),
        checkout: checkout::Desk::new(limits.max_streams),
        availability: availability::Kept::default(),
        history: status_page::History::default(),
        gate: Gate::new(limits.max_requests, limits.notification_reserve),
        limits,
        openapi: Arc::new(spec::document(paths)),
        tasks: TaskTracker::new(),
        draining: AtomicBool::new(false),
        counted_at: Mutex::new(None),
    });
    let router = router
        .route("/pay/{id}", get(checkout::page).post(checkout::returned))
        .route("/pay/{id}/panel", get(checkout::panel))
        .route("/pay/{id}/events", get(checkout::events))
        .route("/pay/{id}/method", post(checkout::method))
        .route("/pay/{id}/later", post(checkout::later))
        .route("/pay/{id}/assist", post(checkout::assist))
        .route("/assets/checkout.css", get(checkout::style))
        .route("/assets/checkout.js", get(checkout::script))
        .route("/availability.js", get(availability::script))
        .route("/status", get(status_page::page))
        .route("/api/v2/{*name}", get(status_page::feed))
        .route("/u/{token}", get(notes::leaving::show).post(notes::leaving::change))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs", get(docs::page))
        .route("/docs/rapidoc.js", get(docs::script))
        .route("/docs/LICENSE.txt", get(docs::script_license))
        .route("/problems", get(docs::problems))
        .route("/problems/{slug}", get(docs::problem))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        // Bodies are limited where they are read, which can say so in a problem.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), pipeline::run))
        .with_state(Arc::clone(&shared));
    (router, shared)
}

/// `/metrics` alone, for a port of its own.
pub(crate) fn metrics_only(shared: &Shared) -> Router {
    Router::new()
        .route("/metrics", get(system::metrics_on_own_port))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(shared), pipeline::run))
        .with_state(Arc::clone(shared))
}

async fn nothing_here() -> Problem {
    Problem::new(&kinds::NOT_FOUND, "there is nothing at this address; /docs lists the paths")
}

async fn wrong_method() -> Problem {
    Problem::new(&kinds::METHOD_NOT_ALLOWED, "the header Allow lists the methods")
}
