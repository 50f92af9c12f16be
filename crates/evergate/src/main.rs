//! The command line of Evergate.

fn main() {}
