//! The only loop of the data plane: load, decide, commit, then perform the effects.
//!
//! Every decision is `domain`'s or `resilience`'s; every byte to a provider goes through a
//! [`Caller`]; every change goes through one commit. The engine keeps two orders of things:
//! an intent is durable before its call is made (rule 1), and an answer is applied to the
//! payment as it is *now*, not as it was when the call was made (rule 14).
//!
//! It has no timer of its own: a caller enforces deadlines, and whoever runs the engine calls
//! [`Engine::claim`] and [`Engine::perform`] when work is due. So the simulator can drive the
//! very same code on virtual time, and drop it at any await.

mod absences;
mod ask;
mod assist;
mod commands;
mod engine;
mod health;
mod holds;
mod ladder;
mod ledger;
mod options;
mod paused;
mod preferences;
mod routing;
mod seam;
mod trial;
mod views;
mod work;

pub use absences::Away;
pub use ask::{Supposed, suppose};
pub use assist::Way;
pub use commands::{EngineError, Fresh, KeyedRequest, NewPayment};
pub use engine::{Engine, Parts};
pub use health::{DeclineTurn, Turn};
pub use ladder::{MethodSight, Offer, Sighted};
pub use options::{Back, Channel, Degradation, Options};
pub use seam::{Caller, Clock, Entropy, NoMessages, Render};
pub use trial::{Trial, TrialAnswer, Tried};
pub use views::{
    ChannelView, Evidence, Fleet, IssuerView, LatencyView, MethodView, SickIssuer, SilenceView,
};
