//! The operators' console at `/console`: who may look and act, its rooms, and what makes them
//! live.
//!
//! The way of a request: [`visitor`] proves who it is, a room fills parts of [`pages::console`]
//! from the engine's views and the books, and [`reply`] sends the page with its policy. A form
//! goes to a handler that reads it strictly ([`form`]), acts through the engine's audited door
//! as `console:NAME` with a reason and an end (rule 12), and answers with a redirect; with a
//! mistake the same room comes back with everything that was typed.
//!
//! What is not here: money. An operator of the console sets controls and looks.
//!
//! A new room is a module with a function like [`audit::room`], its routes in [`router`], and a
//! line in [`pages::console::Room`]; see `CONTRIBUTING.md`.

mod assets;
mod audit;
mod channels;
mod door;
mod form;
mod ladder;
mod live;
mod operators;
mod overview;
mod payment;
mod payments;
mod reply;
mod say;
mod sessions;
mod throttle;
mod visitor;

use std::fmt;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use crate::app::Shared;

pub use operators::{BadOperator, Operator, Operators, hash_password, weakness};

/// Passwords that are checked at once: each takes a core and many megabytes for a while.
const AT_ONCE: usize = 2;
/// Streams of news at once.
const STREAMS: usize = 64;

/// What the console is built from.
#[derive(Clone)]
pub struct ConsoleOptions {
    /// Who may sign in.
    pub operators: Operators,
    /// Makes fresh secrets: 256 bits that nobody can guess.
    pub random: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
    /// Where browsers reach it, such as `https://pay.example.com`: cookies are for https alone
    /// when this is https.
    pub public_url: String,
}

impl fmt::Debug for ConsoleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleOptions").field("operators", &self.operators).finish_non_exhaustive()
    }
}

/// The console's own state.
pub(crate) struct Console {
    operators: Operators,
    random: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
    is_secure: bool,
    /// Host and port of the public address.
    authority: String,
    sessions: sessions::Sessions,
    throttle: Mutex<throttle::Throttle>,
    hashing: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Console {
    pub(crate) fn new(options: ConsoleOptions) -> Console {
        let url: Option<http::Uri> = options.public_url.parse().ok();
        let part = |of: fn(&http::Uri) -> Option<String>| url.as_ref().and_then(of);
        Console {
            operators: options.operators,
            random: options.random,
            is_secure: part(|url| url.scheme_str().map(str::to_owned)).as_deref() == Some("https"),
            authority: part(|url| url.authority().map(ToString::to_string)).unwrap_or_default(),
            sessions: sessions::Sessions::default(),
            throttle: Mutex::default(),
            hashing: Arc::new(Semaphore::new(AT_ONCE)),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }
    }

    fn random(&self) -> [u8; 32] {
        (self.random)()
    }
}

/// The console's routes.
pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/console", get(overview::show))
        .route("/console/series", get(live::series))
        .route("/console/events", get(live::events))
        .route("/console/channels", get(channels::show))
        .route("/console/channels/disable", post(channels::disable))
        .route("/console/channels/enable", post(channels::enable))
        .route("/console/payments", get(payments::show))
        .route("/console/payments/{id}", get(payment::show))
        .route("/console/ladder", get(ladder::show))
        .route("/console/ladder/move", post(ladder::shift))
        .route("/console/ladder/lift", post(ladder::lift))
        .route("/console/ladder/pause", post(ladder::pause))
        .route("/console/ladder/resume", post(ladder::resume))
        .route("/console/audit", get(audit::show))
        .route("/console/sign-in", get(door::show).post(door::sign_in))
        .route("/console/sign-out", post(door::sign_out))
        .route("/console/language", post(door::language))
        .route("/console/assets/{name}", get(assets::asset))
        .route("/console/{*rest}", get(reply::nothing_here))
}

pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_counter!(
        "evergate_console_sign_ins_total",
        "Tries to sign in to the console, by end: ok, wrong, throttled, busy"
    );
    describe_counter!("evergate_console_acts_total", "Forms of the console, by act and end");
    describe_gauge!("evergate_console_sessions", "Sessions of the console");
    describe_gauge!("evergate_console_streams", "Open streams of news of the console");
}
