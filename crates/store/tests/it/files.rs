//! Files that are not what they should be, each with its clear error.

use std::fs;
use std::path::Path;
use std::process::Command;

use store::conformance::done;
use store::conformance::sample::{create, id};
use store::{Commit, SqliteOptions, SqliteStore, Store, StoreError};

use crate::{folder, open, shell};

fn error(path: &Path) -> StoreError {
    SqliteStore::open(path, SqliteOptions::default()).unwrap_err()
}

async fn filled(folder: &Path, payments: u64) {
    let store = open(folder);
    for n in 1..=payments {
        done(&store, create(n)).await;
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn books_are_there_after_they_were_closed_or_dropped() {
    let folder = folder();
    for n in 1..=4 {
        let store = open(folder.path());
        done(&store, create(n)).await;
        assert_eq!(store.count_by_status().await.unwrap()[0].1, n);
        if n % 2 == 0 { store.close().await.unwrap() } else { drop(store) }
    }
    fs::write(folder.path().join("empty.db"), []).unwrap();
    let empty = SqliteStore::open(&folder.path().join("empty.db"), SqliteOptions::default());
    empty.unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let folder = folder();
    let first = open(folder.path());
    let path = folder.path().join("books.db");
    let StoreError::Unavailable(text) = error(&path) else { panic!() };
    assert!(text.contains("another process"), "{text}");
    done(&first, create(1)).await;
    first.close().await.unwrap();
    let again = open(folder.path());
    assert!(again.payment(id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let folder = folder();
    filled(folder.path(), 1).await;
    shell(folder.path()).pragma_update(None, "user_version", 999).unwrap();
    let path = folder.path().join("books.db");
    let before = fs::read(&path).unwrap();
    assert!(matches!(error(&path), StoreError::Newer { found: 999, known: 1.. }));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_body_is_refused() {
    let folder = folder();
    filled(folder.path(), 1).await;
    shell(folder.path()).execute("UPDATE payments SET format = 7", []).unwrap();
    let store = open(folder.path());
    let newer = StoreError::Newer { found: 7, known: 1 };
    assert_eq!(store.payment(id(1)).await.unwrap_err(), newer);
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("books.db");
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE cats (name TEXT)").unwrap();
    drop(foreign);
    let database = fs::read(&path).unwrap();
    for bytes in [database, b"merchant,order\nshop,1\n".repeat(100), vec![0xA5; 9_000]] {
        fs::write(&path, &bytes).unwrap();
        let found = error(&path);
        assert!(matches!(found, StoreError::Damaged(_)), "{found}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_a_wrong_answer() {
    let folder = folder();
    filled(folder.path(), 60).await;
    let path = folder.path().join("books.db");
    let whole = fs::read(&path).unwrap();
    let mut met = 0;
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xA5);
        fs::write(&path, &bytes).unwrap();
        let store = match SqliteStore::open(&path, SqliteOptions::default()) {
            Ok(store) => store,
            Err(StoreError::Damaged(_)) => {
                met += 1;
                continue;
            }
            Err(other) => panic!("page {page}: {other}"),
        };
        for n in 1..=60 {
            match store.payment(id(n)).await {
                Ok(payment) => assert_eq!(payment, Some(create(n).payment), "page {page}"),
                Err(StoreError::Damaged(_)) => met += 1,
                Err(other) => panic!("page {page}: {other}"),
            }
        }
        // A write may meet the damage as well; it must not be acknowledged then.
        match store.commit(create(1_000)).await {
            Commit::Done | Commit::Failed(StoreError::Damaged(_)) => {}
            other => panic!("page {page}: {other:?}"),
        }
    }
    assert!(met > 0);
    let half = whole.len() / 8192 * 4096;
    fs::write(&path, &whole[..half]).unwrap();
    let _ = fs::remove_file(folder.path().join("books.db-wal"));
    let cut = match SqliteStore::open(&path, SqliteOptions::default()) {
        Ok(store) => store.payment(id(60)).await.map(|payment| payment.map(|p| p.id)),
        Err(error) => Err(error),
    };
    assert!(matches!(cut, Err(StoreError::Damaged(_))), "{cut:?}");
}

#[test]
fn a_place_that_is_no_place_for_a_file_is_a_clear_error() {
    let folder = folder();
    let missing = folder.path().join("missing").join("books.db");
    assert!(matches!(error(&missing), StoreError::Unavailable(_)));
    let directory = folder.path().join("books.db");
    fs::create_dir(&directory).unwrap();
    assert!(matches!(error(&directory), StoreError::Unavailable(_)));
}

/// Runs a command; whether it worked.
pub(crate) fn ran(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}

/// A mounted memory disk that is unmounted at the end. `None` where mounting is not allowed.
pub(crate) struct Mount(tempfile::TempDir);

impl Mount {
    pub(crate) fn new(options: &str) -> Option<Mount> {
        let folder = folder();
        let path = folder.path().to_str().unwrap();
        ran("mount", &["-t", "tmpfs", "-o", options, "tmpfs", path]).then_some(Mount(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        ran("umount", &["-l", self.0.path().to_str().unwrap()]);
    }
}

#[tokio::test]
async fn a_read_only_place_is_a_clear_error() {
    // Root may write where permissions forbid it, so it needs a real read-only file system.
    let Some(mount) = Mount::new("size=4m") else {
        let folder = folder();
        let mut permissions = fs::metadata(folder.path()).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(folder.path(), permissions).unwrap();
        if fs::write(folder.path().join("probe"), []).is_err() {
            let found = error(&folder.path().join("books.db"));
            assert!(matches!(found, StoreError::Full(_)), "{found}");
        }
        return;
    };
    filled(mount.path(), 1).await;
    let path = mount.path().join("books.db");
    assert!(ran("mount", &["-o", "remount,ro", path.parent().unwrap().to_str().unwrap()]));
    for path in [path, mount.path().join("new.db")] {
        let found = error(&path);
        assert!(matches!(found, StoreError::Full(_)), "{found}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_books() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let store = open(folder.path());
    done(&store, create(1)).await;
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has mode {mode:o}", file.file_name());
    }
}
