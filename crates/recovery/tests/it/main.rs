//! The ledger as the engine and people use it.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod ledger;
mod life;
mod town;
