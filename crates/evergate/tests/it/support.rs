//! Starts the binary, talks to it, and cleans up behind it.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use evergate::client::Api;
use evergate::demo::{FAST_CHANNEL, FAST_POLICY};
use serde_json::{Value, json};

/// The binary under test, away from this machine's environment.
pub(crate) fn evergate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evergate"));
    command.args(args).env_remove("EVERGATE_URL").env_remove("EVERGATE_API_KEY");
    command.env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    evergate(args).output().expect("the binary runs")
}

/// Its exit code, with what it said when that is not the expected one.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// What it printed.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The one JSON object that it printed.
pub(crate) fn json_of(output: &Output) -> Value {
    let text = stdout(output);
    assert_eq!(text.trim().lines().count(), 1, "one line: {text}{}", stderr(output));
    serde_json::from_str(&text).expect("it is JSON")
}

/// What it complained about.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that does not outlive its test.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Process {
        Process(command.spawn().expect("the binary starts"))
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("it has ended");
    }

    /// SIGHUP.
    pub(crate) fn hang_up(&self) {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// SIGTERM; waits for the end and gives the exit code.
    pub(crate) fn terminate(&mut self) -> i32 {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.0.try_wait().expect("it can be asked") {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "it ends within its drain time");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A free port; another process may be faster, which has not been seen.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// `evergate sandbox` and the configuration that it wrote.
pub(crate) struct Town {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) sandbox_url: String,
    pub(crate) gateway_url: String,
    pub(crate) api_key: String,
    pub(crate) operator_key: String,
    /// Of the operator `admin`.
    pub(crate) console_password: String,
    _sandbox: Process,
}

impl Town {
    /// Starts the sandbox; messages go to `webhook`, signed with `secret`.
    pub(crate) fn start(webhook: &str, secret: &str) -> Town {
        Town::start_with(webhook, secret, &[])
    }

    /// The same with more options of the sandbox.
    pub(crate) fn start_with(webhook: &str, secret: &str, more: &[&str]) -> Town {
        evergate::init();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("sandbox");
        let (bind, gateway) =
            (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let dir_text = dir.to_string_lossy().into_owned();
        let mut command = evergate(&[
            "sandbox",
            "--json",
            "--bind",
            &bind,
            "--gateway",
            &gateway,
            "--dir",
            &dir_text,
            "--webhook",
            webhook,
            "--time-scale",
            "0.01",
        ]);
        let mut child =
            command.args(more).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("it tells its keys");
        let told: Value = serde_json::from_str(&line).expect("it is JSON");
        let text = |name: &str| told[name].as_str().expect(name).to_owned();
        let config = dir.join("evergate.toml");
        let written = std::fs::read_to_string(&config).expect("it wrote a configuration");
        let fast = written
            .replace(&text("webhook_secret"), secret)
            .replace("[[channels]]\n", &format!("[[channels]]\n{FAST_CHANNEL}"));
        std::fs::write(&config, format!("{fast}\n{FAST_POLICY}")).expect("it can be changed");
        Town {
            folder,
            sandbox_url: text("url"),
            gateway_url: format!("http://{gateway}"),
            api_key: text("api_key"),
            operator_key: text("operator_key"),
            console_password: text("console_password"),
            _sandbox: Process(child),
        }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("sandbox/evergate.toml")
    }

    /// The sandbox again, with the same accounts, on a clock that runs ahead.
    pub(crate) fn sandbox_ahead(&mut self, seconds: u64) {
        self._sandbox.kill();
        let bind = |url: &str| url.trim_start_matches("http://").to_owned();
        let dir = self.folder.path().join("sandbox").to_string_lossy().into_owned();
        let (own, gateway) = (bind(&self.sandbox_url), bind(&self.gateway_url));
        let mut command = evergate(&["sandbox", "--json", "--bind", &own, "--gateway", &gateway]);
        command.args(["--dir", &dir, "--time-scale", "0.01"]);
        command.env(evergate::clock::AHEAD, seconds.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let out = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("it says that it is there");
        self._sandbox = Process(child);
    }

    /// `evergate serve` on that configuration.
    pub(crate) fn serve(&self) -> Process {
        self.serve_ahead(0)
    }

    /// The same on a clock that runs ahead.
    pub(crate) fn serve_ahead(&self, seconds: u64) -> Process {
        let config = self.config();
        let mut command = evergate(&["serve", "--config", &config.to_string_lossy()]);
        command.env(evergate::clock::AHEAD, seconds.to_string());
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("a log file");
        Process::start(command.stderr(log))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("serve.log")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("sandbox/evergate.db")
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(&self.gateway_url, &self.api_key).expect("a client")
    }

    /// Waits until the gateway is ready.
    pub(crate) async fn ready(&self) {
        let http = plain_client();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = http.get(format!("{}/readyz", self.gateway_url)).send().await;
            if answer.is_ok_and(|a| a.status().is_success()) {
                return;
            }
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < until, "the gateway is ready:\n{log}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The sandbox's control API.
    pub(crate) async fn sandbox(&self, path: &str, body: Value) -> Value {
        let http = plain_client();
        let url = format!("{}/sandbox/{path}", self.sandbox_url);
        let request = if body.is_null() {
            http.get(url)
        } else {
            http.post(url).header("content-type", "application/json").body(body.to_string())
        };
        let answer = request.send().await.expect("the sandbox answers");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("it is JSON")
    }

    /// A client command against the gateway.
    pub(crate) fn command(&self, key: &str, args: &[&str]) -> Output {
        let mut command = evergate(args);
        command.env("EVERGATE_URL", &self.gateway_url).env("EVERGATE_API_KEY", key);
        command.output().expect("the binary runs")
    }
}

/// An order by one method.
pub(crate) fn order(number: &str, amount: i64, method: &str) -> Value {
    json!({ "order_no": number, "amount": amount, "currency": "CNY", "methods": [method] })
}

/// What the customer scans or follows.
pub(crate) fn code_of(payment: &Value) -> String {
    let shown = &payment["presentation"];
    let code = ["content", "url", "secret"].iter().find_map(|name| shown[name].as_str());
    code.unwrap_or_else(|| panic!("something to pay: {payment}")).to_owned()
}

pub(crate) fn plain_client() -> reqwest::Client {
    evergate::init();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(10))
        .build()
        .expect("a client")
}

/// Asks until the answer pleases, or too long.
pub(crate) async fn eventually<F, T>(what: &str, mut ask: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < until, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A text in the folder as a file.
pub(crate) fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("it can be written");
    path
}
