//! The parts that talk, against real listeners on this machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

mod desk;
mod feed;
mod layers;
mod peer;
