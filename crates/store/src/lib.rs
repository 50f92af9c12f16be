//! The durable books, behind one narrow trait.
//!
//! Everything that a change causes is committed with it: the payment, the time of its next
//! task, the idempotency record, the messages to merchant and customer and the lines of its story. A
//! commit answers *done*, *refused*, *failed* or *unknown*; unknown is settled by reading the
//! change's id back, never by doing it again blindly (rule 16).
//!
//! [`SqliteStore`] keeps the books in a file; [`MemoryStore`] keeps them in memory, for tests
//! and simulations. What every engine must do is written down in `conformance`.
//!
//! What is not here: any decision. The store compares versions, fences and unique numbers,
//! and nothing else.

mod assist;
mod assist_memory;
mod bank;
mod bank_memory;
#[cfg(feature = "conformance")]
pub mod conformance;
mod memory;
mod notes;
mod notes_memory;
mod rows;
mod seam;
mod sqlite;
mod versions;

pub use assist::*;
pub use bank::*;
pub use memory::MemoryStore;
pub use notes::{NewNote, Note, NoteEnd, NoteState, Notes, Private, SentNote};
pub use seam::*;
#[cfg(feature = "faults")]
pub use sqlite::{CommitFault, Faults};
pub use sqlite::{Purged, SqliteOptions, SqliteStore};
pub use versions::{NewVersion, Version, VersionState, Versions};
