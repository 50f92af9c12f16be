//! The sandbox from outside, over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod client;
mod control;
mod faults;
mod notifications;
mod protocols;
mod sdk;
