//! The state machines, pair by pair, and the money rules as properties.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

mod channels;
mod machine;
mod offline;
mod properties;
mod support;
