//! The HTTP API, the webhooks to merchants, and their documentation.
//!
//! A request goes a straight way: [`accept`] takes the connection, [`pipeline`] gives it an id,
//! a place, a task and a deadline, a handler turns it into a command of the engine's or a
//! question to its books, and [`view`] writes the answer. Every refusal is a [`problem`].
//!
//! The invariants: a body is read strictly and whole before anything is done; a client that
//! hangs up stops nothing; no secret, contact, token or card number gets into a log, an error
//! or a message (rule 13); nothing that a client can hold on to is without a limit.
//!
//! What is not here: any decision about money. That is the engine's.

mod accept;
mod app;
mod assist;
mod auth;
mod availability;
mod bank;
mod body;
mod capability_view;
mod channel_view;
mod channels;
mod checkout;
mod config_api;
mod config_door;
mod create;
mod docs;
mod failure;
mod fields;
mod health_metrics;
mod idle;
mod ladder;
mod listing;
mod messages;
mod notes;
mod notice;
mod notifications;
mod options;
mod params;
mod payments;
mod pipeline;
mod problem;
mod refunds;
mod render;
mod route;
mod signals;
mod signals_view;
mod spec;
mod status_page;
mod system;
mod time;
mod view;
mod webhooks;
pub mod workers;

pub use accept::{Running, Server};
pub use app::{App, openapi};
pub use auth::{ApiKey, ApiKeys, BadKey, Role, generate_key, hash_key};
pub use capability_view::capabilities_offline;
pub use config_door::{
    ArmsView, ConfigChange, ConfigDoor, ConfigStatus, Difference, Draining, PlacedMistake, Refusal,
    Reloaded, RolloutEnd, RolloutView, TallyView, VersionText, VersionView, Who, Wish,
};
pub use notes::{NoteDesk, NoteRenderer, Post};
pub use notifications::Codecs;
pub use options::ServerOptions;
pub use problem::{Kind, kinds};
pub use render::MessageRenderer;
pub use route::{ConsideredView, RuleView, explain_offline};
pub use system::prometheus;
pub use view::{AttemptView, Notice, PaymentView, PresentationView, RefundView};
pub use webhooks::{BadSecret, Endpoint, Endpoints, WebhookSecret, generate_webhook_secret};
pub use workers::{WorkersHandle, WorkersOptions};
