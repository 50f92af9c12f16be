//! CSV files, with columns as the settings say.

mod plan;
mod presets;
mod read;
mod value;

pub(super) use plan::Plan;
pub use presets::PRESETS;
pub(super) use read::read;
