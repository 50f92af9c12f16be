//! The offline channel `bank`.
