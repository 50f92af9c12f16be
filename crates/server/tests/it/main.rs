//! The server in one process with a scripted provider and books in memory.

#![expect(clippy::unwrap_used, reason = "a test may stop at once")]

mod accept;
mod assist;
mod bad_input;
mod channels;
mod console;
mod flaky;
mod ladder;
mod mailbox;
mod notes;
mod notifications;
mod openapi;
mod payments;
mod route;
mod signals;
mod webhooks;
mod world;
