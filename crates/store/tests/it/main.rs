//! The store's tests: one suite for every engine, and what only SQLite can get wrong.

use std::sync::Arc;

use store::conformance::Shared;
use store::{MemoryStore, SqliteOptions, SqliteStore};

mod memory {
    use super::*;

    async fn empty() -> (Shared, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    store::conformance_suite!(empty);
}

mod sqlite {
    use super::*;

    async fn empty() -> (Shared, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("books.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        (Arc::new(store), folder)
    }

    store::conformance_suite!(empty);
}
