//! What the engine needs from the world.

use async_trait::async_trait;
use domain::{Answer, ChannelId, Event, Operation, Payment, Timestamp};
use store::NewNote;
use uuid::Uuid;

/// Carries operations to providers.
#[async_trait]
pub trait Caller: Send + Sync {
    /// Performs one operation on a channel and says what came of it. It must refuse to send
    /// anything at or after `until` (rule 15), must answer by about `until`, and must answer
    /// with the variant that fits the operation.
    async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer;
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Throws dice.
pub trait Entropy: Send + Sync {
    /// A fresh UUID; version 7 in production, so that ids sort by time.
    fn uuid(&self, now: Timestamp) -> Uuid;
    /// A fresh number in `[0, 1)`, for routing.
    fn dice(&self) -> f64;
}

/// Writes the messages that merchants and customers get.
pub trait Render: Send + Sync {
    /// The body that tells of an event, from the payment after it; `None` when the merchant is
    /// not told.
    fn message(&self, payment: &Payment, event: &Event) -> Option<String>;

    /// The notes to the customer that tell of an event, from the payment after it. Their ids
    /// must be derived from payment and event, so that a commit that is tried again makes the
    /// same notes (rule 8).
    fn notes(&self, payment: &Payment, event: &Event) -> Vec<NewNote> {
        let _ = (payment, event);
        Vec::new()
    }
}

/// Tells nobody anything; for tests and simulations.
#[derive(Clone, Copy, Debug)]
pub struct NoMessages;

impl Render for NoMessages {
    fn message(&self, _payment: &Payment, _event: &Event) -> Option<String> {
        None
    }
}
