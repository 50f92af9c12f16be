//! Processes that are killed or run into a limit of the system, for real: this test binary
//! starts itself again as a child that commits and says what was acknowledged.

use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use domain::{Method, PaymentId};
use store::conformance::sample::{at, attempt, create, fact, id, message, paid, request, shown};
use store::{Change, Commit, SqliteOptions, SqliteStore, Store};
use uuid::Uuid;

use crate::{folder, open, shell};

/// Set for the child only: the folder, and the first number of its payments.
const FOLDER: &str = "STORE_TEST_CRASH_FOLDER";
const FIRST: &str = "STORE_TEST_CRASH_FIRST";

/// The id of the change that gives payment `n` this version.
fn change_id(n: u64, version: u64) -> Uuid {
    Uuid::from_u128(u128::from(n) << 64 | u128::from(version))
}

/// The life of payment `n`: made, tried, shown, paid; each with a message and an event.
fn life(n: u64) -> Vec<Change> {
    let first = create(n);
    let first = Change { request: Some(request(&first, &format!("key-{n}"))), ..first };
    let second = attempt(&first.payment, "alipay-main", Method::Alipay, at(n));
    let third = fact(&second.payment, shown(1), at(n));
    let fourth = fact(&third.payment, paid(&third.payment, 1), at(n));
    let finish = |change: Change| {
        let version = change.payment.version;
        let messages = vec![message(&format!("m-{n}-{version}"), at(n))];
        Change { id: change_id(n, version), messages, due_at: Some(at(n)), ..change }
    };
    [first, second, third, fourth].map(finish).into()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The child. Does nothing when the tests run as usual.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let options = SqliteOptions { checkpoint_pages: 100, ..SqliteOptions::default() };
    let store = Arc::new(SqliteStore::open(&folder.join("books.db"), options).unwrap());
    let tasks: Vec<_> =
        (0..8).map(|task| tokio::spawn(work(store.clone(), first + task))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Lives through payment after payment until a commit is not done.
async fn work(store: Arc<SqliteStore>, first: u64) {
    for n in (0..100_000).map(|k| first + 8 * k) {
        for change in life(n) {
            let version = change.payment.version;
            say(&format!("asked {n} {version}"));
            let word = match store.commit(change.clone()).await {
                Commit::Done => "done",
                Commit::Failed(_) => "failed",
                Commit::Unknown(_) => match store.was_committed(change.id).await {
                    Ok(true) => "done",
                    Ok(false) => "failed",
                    Err(_) => "unknown",
                },
                Commit::Refused(conflict) => panic!("{conflict:?}"),
            };
            say(&format!("{word} {n} {version}"));
            if word != "done" {
                return;
            }
        }
    }
}

fn start(folder: &Path, first: u64, limit: Option<u32>) -> Child {
    let binary = std::env::current_exe().unwrap();
    let mut command = match limit {
        None => Command::new(binary),
        Some(blocks) => {
            // Writing past the limit gives an error only when its signal is ignored.
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            let mut shell = Command::new("bash");
            shell.args(["-c", &script]).arg(binary);
            shell
        }
    };
    command
        .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the child said about its changes.
#[derive(Default)]
struct Said {
    asked: Vec<(u64, u64)>,
    done: Vec<(u64, u64)>,
    failed: Vec<(u64, u64)>,
    unknown: usize,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let &[word, n, version] = words.as_slice() else { return };
        let (Ok(n), Ok(version)) = (n.parse(), version.parse()) else { return };
        match word {
            "asked" => self.asked.push((n, version)),
            "done" => self.done.push((n, version)),
            "failed" => self.failed.push((n, version)),
            "unknown" => self.unknown += 1,
            _ => {}
        }
    }
}

/// Everything acknowledged is there, and everything that is there is there as a whole.
async fn check(folder: &Path, said: &Said) {
    let store = open(folder);
    for &(n, version) in &said.done {
        assert!(store.was_committed(change_id(n, version)).await.unwrap(), "{n} {version}");
    }
    for &(n, version) in &said.failed {
        assert!(!store.was_committed(change_id(n, version)).await.unwrap(), "{n} {version}");
    }
    let mut numbers: Vec<u64> = said.asked.iter().map(|(n, _)| *n).collect();
    numbers.dedup();
    numbers.sort_unstable();
    numbers.dedup();
    for n in numbers {
        whole(&store, folder, n).await;
    }
    drop(store);
    let shell = shell(folder);
    let verdict: String = shell.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    assert!(!shell.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap());
}

async fn whole(store: &SqliteStore, folder: &Path, n: u64) {
    let payment = store.payment(id(n)).await.unwrap();
    let version = payment.as_ref().map_or(0, |p| p.version);
    let life = life(n);
    let (past, future) = life.split_at(usize::try_from(version).unwrap());
    assert_eq!(payment.as_ref(), past.last().map(|change| &change.payment));
    let story: Vec<_> = past.iter().flat_map(|change| change.events.clone()).collect();
    assert_eq!(store.story(id(n)).await.unwrap(), story);
    let request = store.request(&life[0].payment.merchant, &format!("key-{n}")).await.unwrap();
    assert_eq!(request.is_some(), version > 0);
    for (changes, there) in [(past, true), (future, false)] {
        for change in changes {
            assert_eq!(store.was_committed(change.id).await.unwrap(), there);
        }
    }
    let count = |table: &str| -> u64 {
        let sql = format!("SELECT count(*) FROM {table} WHERE payment_id = ?");
        let count: i64 = shell(folder).query_row(&sql, [key(id(n))], |row| row.get(0)).unwrap();
        count.unsigned_abs()
    };
    assert_eq!(count("messages"), version);
    assert_eq!(count("attempts"), u64::from(version > 1));
}

fn key(id: PaymentId) -> Vec<u8> {
    id.uuid().as_bytes().to_vec()
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(0) % below
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let folder = folder();
    let mut acknowledged = 0;
    for round in 1..=20_u64 {
        let mut child = start(folder.path(), round * 1_000_000, None);
        let out = BufReader::new(child.stdout.take().unwrap());
        let hearing = std::thread::spawn(move || {
            let mut said = Said::default();
            out.lines().map_while(Result::ok).for_each(|line| said.hear(&line));
            said
        });
        std::thread::sleep(Duration::from_millis(20 + random(120)));
        child.kill().unwrap();
        child.wait().unwrap();
        let said = hearing.join().unwrap();
        acknowledged += said.done.len();
        assert!(said.failed.is_empty());
        check(folder.path(), &said).await;
    }
    assert!(acknowledged > 100, "only {acknowledged} changes in all rounds");
}

/// A file that may not grow is an I/O error in the middle of a commit, from the system itself.
#[tokio::test]
async fn a_process_at_its_file_size_limit_says_the_truth() {
    if !crate::files::ran("bash", &["-c", "trap '' XFSZ; ulimit -f 100000"]) {
        return;
    }
    for blocks in [700, 1000, 1313] {
        let folder = folder();
        let child = start(folder.path(), 1_000_000, Some(blocks));
        let output = child.wait_with_output().unwrap();
        let mut said = Said::default();
        String::from_utf8(output.stdout).unwrap().lines().for_each(|line| said.hear(line));
        assert!(!said.done.is_empty());
        assert!(said.failed.len() + said.unknown > 0, "the limit was never met");
        check(folder.path(), &said).await;
    }
}
