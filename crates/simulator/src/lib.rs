//! The whole system on virtual time, under every fault we can think of.
