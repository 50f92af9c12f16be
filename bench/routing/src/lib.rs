//! Detection and routing against the published rules of others.

pub mod detect;
pub mod exact;
pub mod ours;
pub mod rivals;
pub mod run;
pub mod silence;
pub mod stats;
pub mod world;
