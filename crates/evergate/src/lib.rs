//! The command line of Evergate, and the wiring of its parts.
//!
//! Everything here is thin: it reads the configuration, builds the parts, and hands over. Of
//! the whole product only this crate (and the simulator) supplies clock and entropy.
//!
//! What is not here: any rule about money, any wire format, any HTTP handler.

pub mod args;
pub mod assist_args;
pub mod bank_args;
pub mod check;
pub mod client;
pub mod clock;
pub mod config;
pub mod demo;
pub mod keys;
pub mod lang;
pub mod live;
pub mod operators;
pub mod probe;
pub mod sandbox_command;
pub mod serve;
pub mod setup;
pub mod statements;
pub mod wire;

/// Chooses the process's TLS provider. Safe to call again.
pub fn init() {
    // Fails only when one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
