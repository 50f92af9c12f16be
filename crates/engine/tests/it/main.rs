//! The engine over a memory store and a scripted world: failover, repetition, switching,
//! refunds and recovery. Every fault at every step is the simulator's to find.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

mod assist;
mod capabilities;
mod charts;
mod degraded;
mod health;
mod scenarios;
mod trials;
mod tried;
mod world;
