//! The durable books, behind one narrow trait.
//!
//! Everything that a change causes is committed with it: the payment, the time of its next
//! task, the idempotency record, the messages to the merchant and the lines of its story. A
//! commit answers *done*, *refused*, *failed* or *unknown*; unknown is settled by reading the
//! change's id back, never by doing it again blindly (rule 16).
//!
//! What is not here: any decision. The store compares versions, fences and unique numbers,
//! and nothing else.

mod seam;

pub use seam::*;
