//! The only loop of the data plane: load, decide, commit, then perform the effects.
