//! What CI asks of the simulator: a fixed budget of seeds in which no rule breaks and every
//! interesting path is met, exact replays, and checkers that catch every planted bug.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so at once")]

mod budget;
mod found;
mod planted;
mod replay;
mod rescue;
