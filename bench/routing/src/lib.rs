//! Detection and routing against the published rules of others.

pub mod cost;
pub mod detect;
pub mod exact;
pub mod extras;
pub mod ours;
pub mod pb1;
pub mod rivals;
pub mod run;
pub mod silence;
pub mod stats;
pub mod world;
