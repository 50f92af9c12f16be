//! Health and routing as stories, and properties over any sequence of events.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

mod properties;
mod rollout;
mod stories;
mod words;
mod world;
