//! End-to-end load and comparisons; every published figure comes from here.

fn main() {}
