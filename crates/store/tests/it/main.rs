//! The store's tests: one suite for every engine, and what only SQLite can get wrong.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod crash;
mod doubt;
mod files;
mod full;
mod model;
mod upkeep;

use std::path::Path;
use std::sync::Arc;

use store::conformance::{Shared, SharedAssist, SharedBooks, SharedNotes};
use store::{MemoryStore, SqliteOptions, SqliteStore};

/// A folder that lives as long as the test.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("books.db"), SqliteOptions::default()).unwrap()
}

/// The file as an operator's shell sees it.
fn shell(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("books.db")).unwrap()
}

mod memory {
    use super::*;

    async fn empty() -> (Shared, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    async fn empty_bank() -> (SharedBooks, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    async fn empty_outbox() -> (SharedNotes, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    store::conformance_suite!(empty);
    async fn empty_assist() -> (SharedAssist, ()) {
        let store = Arc::new(MemoryStore::new());
        ((store.clone(), store), ())
    }

    store::bank_conformance_suite!(empty_bank);
    store::notes_conformance_suite!(empty_outbox);
    store::assist_conformance_suite!(empty_assist);

    #[tokio::test]
    async fn versions_follow_one_another() {
        store::conformance::versions_follow_one_another(&MemoryStore::new()).await;
    }
}

mod sqlite {
    use super::*;

    async fn empty() -> (Shared, tempfile::TempDir) {
        let folder = folder();
        (Arc::new(open(folder.path())), folder)
    }

    async fn empty_bank() -> (SharedBooks, tempfile::TempDir) {
        let folder = folder();
        (Arc::new(open(folder.path())), folder)
    }

    async fn empty_outbox() -> (SharedNotes, tempfile::TempDir) {
        let folder = folder();
        (Arc::new(open(folder.path())), folder)
    }

    store::conformance_suite!(empty);
    async fn empty_assist() -> (SharedAssist, tempfile::TempDir) {
        let folder = folder();
        let store = Arc::new(open(folder.path()));
        ((store.clone(), store), folder)
    }

    store::bank_conformance_suite!(empty_bank);
    store::notes_conformance_suite!(empty_outbox);
    store::assist_conformance_suite!(empty_assist);

    #[tokio::test]
    async fn versions_follow_one_another() {
        let folder = folder();
        store::conformance::versions_follow_one_another(&open(folder.path())).await;
    }
}
