//! The real binary, as a user meets it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

mod accounts;
mod alerts;
mod bank;
mod browser;
mod capabilities;
mod changes;
mod check;
mod commands;
mod config;
mod crash;
mod degradation;
mod demo;
mod notes;
mod routing;
mod service;
mod signals;
mod statements;
mod support;
