//! Detection and routing against the published rules of others.

pub mod cost;
pub mod detect;
pub mod exact;
pub mod ours;
pub mod par;
pub mod pb1;
pub mod report;
pub mod rivals;
pub mod run;
pub mod scenes;
pub mod silence;
pub mod stats;
pub mod watch;
pub mod world;
