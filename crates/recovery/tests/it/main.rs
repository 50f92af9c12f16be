//! The ledger and the desk as the engine and people use them.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod assist;
mod ledger;
mod life;
mod office;
mod town;
