//! Customers in a real browser: headless Chromium, driven by the scripts of `tests/browser`.
//!
//! The scripts need the system's `chromium` (Debian: `apt-get install -y chromium
//! fonts-wqy-microhei`), Python with venv, and the Python package registry; the environment is
//! made once under cargo's temporary folder. Pictures of every page are left beside it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Process, Town};

/// How long all scenarios of a phase may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Twenty hours: an order is kept for twenty-four.
const TOMORROW: u64 = 20 * 3_600;

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser")
}

fn must(command: &mut Command, hint: &str) {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}. {hint}"));
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} failed. {hint}\n{out}{err}");
}

/// The system's browser.
fn chromium() -> &'static str {
    let known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    known.into_iter().find(|path| Path::new(path).exists()).unwrap_or_else(|| {
        panic!(
            "this test needs Chromium. On Debian and Ubuntu: \
             apt-get install -y chromium fonts-wqy-microhei"
        )
    })
}

/// A Python environment with the pinned packages; made once.
fn python() -> PathBuf {
    let wanted = std::fs::read_to_string(scripts().join("requirements.txt")).unwrap();
    let home = folder().join("venv");
    std::fs::create_dir_all(folder()).unwrap();
    let (python, stamp) = (home.join("bin/python"), home.join("installed.txt"));
    // Tests run in processes of their own, so the lock has to be a file.
    let lock = File::create(folder().join("lock")).unwrap();
    lock.lock().unwrap();
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let _ = std::fs::remove_dir_all(&home);
    let hint = "On Debian and Ubuntu: apt-get install -y python3 python3-venv";
    must(Command::new("python3").args(["-m", "venv"]).arg(&home), hint);
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    let list = scripts().join("requirements.txt");
    let hint = "The packages come from the Python package registry.";
    must(Command::new(&python).args(install).arg(list), hint);
    std::fs::write(&stamp, wanted).unwrap();
    python
}

/// What the scripts need to know; gives the file.
fn told(town: &Town, shots: &Path) -> PathBuf {
    let config = json!({
        "gateway": town.gateway_url,
        "sandbox": town.sandbox_url,
        "api_key": town.api_key,
        "operator_key": town.operator_key,
        "console_password": town.console_password,
        "chromium": chromium(),
        "shots": shots,
        "state": town.folder.path().join("browser-state.json"),
    });
    let file = town.folder.path().join("browser.json");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// Plays a phase; its lines go to this test's output as they come.
fn play(python: &Path, config: &Path, phase: &str) {
    let mut command = Command::new(python);
    command.arg(scripts().join("scenarios.py")).arg(config).arg(phase);
    // One scenario alone: EVERGATE_SCENARIO=two_tabs cargo test ... browser
    command.args(std::env::var("EVERGATE_SCENARIO").ok());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "127.0.0.1,localhost");
    let mut child = command.stdin(Stdio::null()).spawn().expect("python starts");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the scenarios of {phase} take longer than {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "scenarios of {phase} failed; they are named above");
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_in_a_browser() {
    let python = tokio::task::spawn_blocking(python).await.unwrap();
    let shots = folder().join("shots");
    let mut town =
        Town::start("http://127.0.0.1:9/", "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    let settings = std::fs::read_to_string(town.config()).unwrap();
    // What is out stays out for as long as a customer takes to look at the page.
    let settings = settings.replace("hold_off_ms = 1500", "hold_off_ms = 8000");
    let settings = settings.replace("hold_off_max_ms = 6000", "hold_off_max_ms = 8000");
    std::fs::write(town.config(), settings).unwrap();
    let mut gateway: Process = town.serve();
    town.ready().await;
    let config = told(&town, &shots);
    println!("pictures: {}", shots.display());
    let (run, file) = (python.clone(), config.clone());
    tokio::task::spawn_blocking(move || play(&run, &file, "today")).await.unwrap();
    assert_eq!(tokio::task::spawn_blocking(move || gateway.terminate()).await.unwrap(), 0);

    // The next day, on the same books.
    town.sandbox_ahead(TOMORROW);
    let _gateway = town.serve_ahead(TOMORROW);
    town.ready().await;
    tokio::task::spawn_blocking(move || play(&python, &config, "tomorrow")).await.unwrap();
}
