//! A real SMTP server (aiosmtpd), started by a test on a free port and ended with it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde_json::Value;

/// A server that runs, and what it got.
pub(crate) struct Mailbox {
    child: Child,
    pub(crate) port: u16,
    got: Receiver<Value>,
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // It is our own child; it may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mailbox {
    /// Takes everything from everyone.
    pub(crate) async fn open() -> Mailbox {
        Mailbox::with(Vec::new()).await
    }

    /// Demands STARTTLS and a login.
    pub(crate) async fn guarded(certificate: &Path, key: &Path, login: (&str, &str)) -> Mailbox {
        let paths = [certificate, key].map(|path| path.to_string_lossy().into_owned());
        Mailbox::with([&paths[..], &[login.0.to_owned(), login.1.to_owned()]].concat()).await
    }

    async fn with(arguments: Vec<String>) -> Mailbox {
        tokio::task::spawn_blocking(move || start(&arguments)).await.unwrap()
    }

    /// The next letter.
    pub(crate) async fn next(&mut self) -> Value {
        for _ in 0..2_000 {
            match self.got.try_recv() {
                Ok(letter) => return letter,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        panic!("no letter came");
    }

    /// That nothing more has come.
    pub(crate) async fn is_quiet(&mut self) {
        tokio::time::sleep(Duration::from_millis(150)).await;
        if let Ok(letter) = self.got.try_recv() {
            panic!("a letter came: {letter}");
        }
    }
}

fn start(arguments: &[String]) -> Mailbox {
    let script = folder().join("server.py");
    let mut child = Command::new(python())
        .arg(script)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = listen(child.stdout.take().unwrap());
    let port = match lines.recv_timeout(Duration::from_secs(30)) {
        Ok(port) => u16::try_from(port.as_u64().unwrap()).unwrap(),
        Err(RecvTimeoutError::Timeout) => panic!("the mail server did not start in 30 s"),
        Err(RecvTimeoutError::Disconnected) => panic!("the mail server ended at once"),
    };
    Mailbox { child, port, got: lines }
}

fn listen(out: ChildStdout) -> Receiver<Value> {
    let (tell, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if tell.send(serde_json::from_str(&line).unwrap()).is_err() {
                break;
            }
        }
    });
    lines
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail")
}

/// The Python of an environment with aiosmtpd in it; made once, whoever asks first.
fn python() -> PathBuf {
    let list = folder().join("requirements.txt");
    let wanted = fs::read_to_string(&list).unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mail-server");
    let (python, stamp) = (home.join("bin/python"), home.join("installed.txt"));
    // Tests may run in processes of their own, so the lock has to be a file.
    let lock = File::create(home.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let _ = fs::remove_dir_all(&home);
    must(Command::new("python3").args(["-m", "venv"]).arg(&home));
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    must(Command::new(&python).args(install).arg(&list));
    fs::write(&stamp, wanted).unwrap();
    python
}

fn must(command: &mut Command) {
    let hint = "The mail tests need Python with venv and pip (Debian, Ubuntu: apt-get install -y \
                python3 python3-venv python3-pip) and a package index for aiosmtpd.";
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            panic!("{command:?} failed. {hint}\n{}", String::from_utf8_lossy(&output.stderr))
        }
        Err(why) => panic!("{command:?} cannot be run: {why}. {hint}"),
    }
}
