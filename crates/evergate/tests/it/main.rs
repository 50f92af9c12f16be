//! The real binary, as a user meets it.

mod check;
mod commands;
mod config;
mod crash;
mod demo;
mod service;
mod support;
