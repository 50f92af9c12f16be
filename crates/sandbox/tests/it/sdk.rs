//! The providers' own SDKs against the sandbox, unchanged: only the address and the keys are set.
//!
//! Each test starts a sandbox, makes a Python environment with pinned versions under cargo's
//! temporary folder when there is none yet, and runs a script of `tests/sdk/` in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sandbox::{Options, Sandbox};
use serde_json::json;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|why| panic!("cannot run {command:?}: {why}"))
}

fn must(command: &mut Command, hint: &str) {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} failed. {hint}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The Python of an environment with these requirements; made once, whoever asks first.
fn python(requirements: &str) -> PathBuf {
    let list = folder().join(requirements);
    let wanted = fs::read_to_string(&list).unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sdk-{requirements}"));
    let (python, stamp) = (home.join("bin/python"), home.join("installed.txt"));
    // Tests run in processes of their own, so the lock has to be a file.
    let lock = File::create(home.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let _ = fs::remove_dir_all(&home);
    let hint = "On Debian and Ubuntu: apt-get install -y python3 python3-venv";
    must(Command::new("python3").args(["-m", "venv"]).arg(&home), hint);
    let hint = "The SDKs come from the Python package registry.";
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    must(Command::new(&python).args(install).arg(&list), hint);
    fs::write(&stamp, wanted).unwrap();
    python
}

async fn trial(script: &str, requirements: &'static str) {
    let python = tokio::task::spawn_blocking(move || python(requirements)).await.unwrap();
    let sandbox = Sandbox::start(Options::demo(7)).await.unwrap();
    let material: Vec<_> = sandbox.accounts().iter().map(|one| one.merchant_material()).collect();
    let config = json!({
        "base_url": sandbox.base_url(),
        "alipay": material[0],
        "wechatpay": material[1],
        "stripe": material[2],
        "paypal": sandbox.accounts().iter().find(|one| one.name == "paypal-main")
            .map(|one| one.merchant_material()),
    });
    let work = tempfile::tempdir().unwrap();
    let config_file = work.path().join("config.json");
    fs::write(&config_file, config.to_string()).unwrap();
    let mut command = Command::new(python);
    // Merchants of Alipay run on Beijing time, and its official SDK stamps requests with it.
    command.arg(folder().join(script)).arg(&config_file).env("TZ", "CST-8");
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "127.0.0.1");
    let output = tokio::task::spawn_blocking(move || bounded(command)).await.unwrap();
    sandbox.shutdown().await;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script} failed\n{out}\n{err}");
    assert!(out.contains("all as expected"), "{script} said {out}");
}

/// Runs a script that may hang for at most two minutes.
fn bounded(mut command: Command) -> Output {
    use std::process::Stdio;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alipays_official_sdk() {
    trial("alipay_official.py", "requirements-a.txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_communitys_alipay_sdk() {
    trial("alipay_community.py", "requirements-b.txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wechatpayv3() {
    trial("wechatpay_v3.py", "requirements-a.txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paypals_official_sdk() {
    trial("paypal_official.py", "requirements-c.txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stripes_official_sdk() {
    trial("stripe_official.py", "requirements-a.txt").await;
}
