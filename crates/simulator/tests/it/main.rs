//! What CI asks of the simulator: a fixed budget of seeds in which no rule breaks and every
//! interesting path is met, exact replays, and checkers that catch every planted bug.

mod budget;
mod found;
mod planted;
mod replay;
