//! What CI asks of the simulator.

mod found;
