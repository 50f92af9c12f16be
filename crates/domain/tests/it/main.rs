//! The state machines, pair by pair, and the money rules as properties.

mod machine;
mod properties;
mod support;
