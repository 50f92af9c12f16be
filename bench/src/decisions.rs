//! How many routing decisions a second the gateway makes over HTTP, and how long each takes.
//!
//! The named baseline is an empty handler of the same server, `GET /healthz`, measured in turns
//! with `POST /v1/route/decide` in the same run, so that a busy machine slows both. A decision
//! checks the API key, reads and checks the JSON body, evaluates six rules for each of two
//! methods, looks up prices and weighs every channel; it touches no store. Clients keep their
//! connections and speak plain HTTP/1.1 from one thread of this process, so what they take of
//! the processor is taken from the server.
//!
//! First closed-loop, for the most a second; then open-loop at a fixed rate, where a request
//! that has to wait for its connection counts from when it was due: no slow answer hides the
//! wait that it causes. Processor time for each answer, clients included, is told as well: it
//! does not depend on what else runs on the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use evergate::demo::{Stage, StageOptions};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Prices, and rules of which some hold and most do not, as a merchant would have.
const SETTINGS: &str = r#"
[policy]
query_waits_ms = [600000]

[routing]
time_zone = "Asia/Shanghai"

[[routing.rules]]
name = "night"
when = "time >= '02:00' && time < '02:05'"
then = { avoid = ["stripe-main"] }
continue = true

[[routing.rules]]
name = "renewals"
when = "purpose == 'renewal' && tier == 'vip'"
then = { prefer = ["stripe-main"] }

[[routing.rules]]
name = "large dollars"
when = "currency == 'USD' && amount_minor >= 100000"
then = { only = ["stripe-main"] }

[[routing.rules]]
name = "banks"
when = "issuer in ['icbc', 'abc', 'ccb'] && method == 'card'"
then = { prefer = ["stripe-main"] }

[[routing.rules]]
name = "luna"
when = "has(metadata.brand) && metadata.brand == 'luna'"
then = { prefer = ["alipay-main"] }

[[routing.rules]]
name = "small alipay"
when = "method == 'alipay' && amount_minor < 100000"
then = { split = { alipay-main = 70, stripe-main = 30 } }
"#;

const QUESTION: &str = r#"{"amount":12500,"currency":"CNY","methods":["alipay","wechat_pay"],"issuer":"cmb","metadata":{"cart":"c-77"}}"#;

/// Options of `bench decisions`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Connections at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
    clients: u16,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=50))]
    rounds: u16,
    /// Seconds a round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Requests a second of the open-loop rounds.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
}

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    clients: u16,
    /// Processors that this process may use; server and clients share them.
    processors: usize,
    /// The empty handler, as many as there can be.
    empty: Side,
    /// Decisions, as many as there can be.
    decisions: Side,
    /// Decisions a second for each empty answer a second.
    ratio: f64,
    /// Requests a second that were sent.
    rate: u32,
    /// The empty handler at that rate.
    empty_at_rate: Side,
    /// Decisions at that rate.
    decisions_at_rate: Side,
}

/// One side of the comparison.
#[derive(Clone, Debug, Serialize)]
struct Side {
    count: u64,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
    /// Processor time of this process for each answer, clients included; 0 where the system
    /// does not tell.
    cpu_us: f64,
}

/// What is asked, and the answer that it must get.
struct Asked {
    address: std::net::SocketAddr,
    request: Vec<u8>,
    expected: &'static [u8],
}

pub(crate) async fn run(args: &Args) -> Result<Figures> {
    let options = StageOptions {
        seed: 1,
        port: 0,
        data: None,
        settings: SETTINGS,
        certificate_ends: None,
        transfers: false,
    };
    let stage = Stage::start(&options).await?;
    let address = stage.gateway.addr();
    let key = &stage.api_key;
    let empty = Arc::new(Asked {
        address,
        request: format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes(),
        expected: b"\"ok\"",
    });
    let decide = Arc::new(Asked {
        address,
        request: format!(
            "POST /v1/route/decide HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{QUESTION}",
            QUESTION.len()
        )
        .into_bytes(),
        expected: b"\"channel\":\"alipay-main\"",
    });
    let clients = args.clients;
    let args_for_clients = args.clone();
    // The clients have a thread of their own.
    let measured = std::thread::spawn(move || -> Result<[Measure; 4]> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(measure(&args_for_clients, &empty, &decide))
    });
    let measured = tokio::task::spawn_blocking(move || measured.join()).await?;
    let Ok(measured) = measured else { bail!("the clients' thread stopped") };
    let [empty, decisions, empty_at_rate, decisions_at_rate] =
        measured?.map(|measure| measure.side());
    stage.end().await?;
    Ok(Figures {
        clients,
        processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        ratio: decisions.per_second / empty.per_second.max(f64::MIN_POSITIVE),
        empty,
        decisions,
        rate: args.rate,
        empty_at_rate,
        decisions_at_rate,
    })
}

async fn measure(args: &Args, empty: &Arc<Asked>, decide: &Arc<Asked>) -> Result<[Measure; 4]> {
    let mut all = [Measure::new()?, Measure::new()?, Measure::new()?, Measure::new()?];
    let time = Duration::from_secs(u64::from(args.seconds));
    let every = Duration::from_secs_f64(1.0 / f64::from(args.rate));
    // One round of each that does not count: connections and caches.
    for asked in [empty, decide] {
        round(asked, args, None, Duration::from_millis(500)).await?;
    }
    for number in 1..=args.rounds {
        eprintln!("round {number} of {}", args.rounds);
        for (place, asked, every) in
            [(0, empty, None), (1, decide, None), (2, empty, Some(every)), (3, decide, Some(every))]
        {
            all[place].take(round(asked, args, every, time).await?)?;
        }
    }
    Ok(all)
}

/// Latencies and time of one way.
struct Measure {
    latencies: Histogram<u64>,
    time: Duration,
    cpu: Duration,
}

impl Measure {
    fn new() -> Result<Measure> {
        let latencies = crate::payments::histogram()?;
        Ok(Measure { latencies, time: Duration::ZERO, cpu: Duration::ZERO })
    }

    fn take(&mut self, other: Measure) -> Result<()> {
        self.latencies.add(&other.latencies)?;
        self.time += other.time;
        self.cpu += other.cpu;
        Ok(())
    }

    fn side(&self) -> Side {
        Side {
            count: self.latencies.len(),
            per_second: self.latencies.len() as f64 / self.time.as_secs_f64().max(0.001),
            p50_us: self.latencies.value_at_quantile(0.50),
            p99_us: self.latencies.value_at_quantile(0.99),
            cpu_us: self.cpu.as_secs_f64() * 1e6 / self.latencies.len().max(1) as f64,
        }
    }
}

async fn round(
    asked: &Arc<Asked>,
    args: &Args,
    every: Option<Duration>,
    time: Duration,
) -> Result<Measure> {
    let mut connections = Vec::new();
    for _ in 0..args.clients {
        let stream = TcpStream::connect(asked.address).await?;
        stream.set_nodelay(true)?;
        connections.push(stream);
    }
    let (began, cpu) = (Instant::now(), processor_time());
    let schedule = every.map(|every| Arc::new(Schedule::new(began, every)));
    let pacer =
        schedule.clone().map(|schedule| std::thread::spawn(move || schedule.pace(began + time)));
    let mut clients = JoinSet::new();
    for stream in connections {
        clients.spawn(drive(Arc::clone(asked), stream, schedule.clone(), began + time));
    }
    let mut all = Measure::new()?;
    while let Some(client) = clients.join_next().await {
        all.latencies.add(client??)?;
    }
    all.time = began.elapsed();
    all.cpu = processor_time().saturating_sub(cpu);
    if let Some(pacer) = pacer {
        ensure!(pacer.join().is_ok(), "the pacer stopped");
    }
    ensure!(!all.latencies.is_empty(), "not one answer came in {time:?}");
    Ok(all)
}

/// What this process has used of all processors so far, from Linux; ticks are hundredths of a
/// second there.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program may hold spaces, and ends with the last bracket.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// When each request of an open-loop round is due, and how many of them may be sent by now. A
/// thread lets them go, because the runtime's timers are too coarse.
struct Schedule {
    began: Instant,
    every: Duration,
    due: Semaphore,
    next: AtomicU32,
}

impl Schedule {
    fn new(began: Instant, every: Duration) -> Schedule {
        Schedule { began, every, due: Semaphore::new(0), next: AtomicU32::new(0) }
    }

    fn pace(&self, until: Instant) {
        let mut released = 0;
        while Instant::now() < until {
            let due = (self.began.elapsed().as_secs_f64() / self.every.as_secs_f64()) as usize;
            self.due.add_permits(due - released);
            released = due;
            std::thread::sleep(Duration::from_micros(100));
        }
        self.due.close();
    }

    /// Waits for the next request to be due; `None` when there are no more.
    async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        Some(self.began + self.every * self.next.fetch_add(1, Ordering::Relaxed))
    }
}

async fn drive(
    asked: Arc<Asked>,
    mut stream: TcpStream,
    schedule: Option<Arc<Schedule>>,
    until: Instant,
) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new_with_max(600_000_000, 3)?;
    let mut buffer = Vec::with_capacity(4_096);
    while Instant::now() < until {
        let due = match &schedule {
            None => Instant::now(),
            Some(schedule) => match schedule.next().await {
                Some(due) => due,
                None => break,
            },
        };
        stream.write_all(&asked.request).await?;
        answer(&mut stream, &mut buffer).await?;
        let found = buffer.windows(asked.expected.len()).any(|w| w == asked.expected);
        ensure!(found, "a wrong answer: {}", String::from_utf8_lossy(&buffer));
        latencies.saturating_record(u64::try_from(due.elapsed().as_micros())?);
    }
    Ok(latencies)
}

/// Reads one whole answer.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    loop {
        ensure!(stream.read_buf(buffer).await? > 0, "the server closed a connection");
        let Some(end) = find(buffer, b"\r\n\r\n") else { continue };
        let head = &buffer[..end];
        let Some(at) = find(head, b"content-length: ") else {
            bail!("an answer without a length: {}", String::from_utf8_lossy(head));
        };
        let digits = head[at + 16..].iter().take_while(|b| b.is_ascii_digit());
        let length = digits.fold(0_usize, |n, digit| n * 10 + usize::from(digit - b'0'));
        if buffer.len() >= end + 4 + length {
            return Ok(());
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

impl Figures {
    pub(crate) fn told(&self, json: bool) -> Result<String> {
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["", "per second", "p50", "p99", "processor", "answers"]);
        for (name, side) in [
            ("empty handler, closed loop".to_owned(), &self.empty),
            ("decisions, closed loop".to_owned(), &self.decisions),
            (format!("empty handler at {} a second", self.rate), &self.empty_at_rate),
            (format!("decisions at {} a second", self.rate), &self.decisions_at_rate),
        ] {
            table.add_row([
                name,
                format!("{:.0}", side.per_second),
                format!("{:.2} ms", side.p50_us as f64 / 1e3),
                format!("{:.2} ms", side.p99_us as f64 / 1e3),
                format!("{:.0} µs", side.cpu_us),
                side.count.to_string(),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(format!(
            "{table}\n{:.2} decisions for each empty answer; {} connections, {} processors for \
             server and clients together",
            self.ratio, self.clients, self.processors
        ))
    }
}
