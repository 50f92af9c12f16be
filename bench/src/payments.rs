//! How many payments a second become durable, and what that costs against calling the same
//! sandbox with the same codec and driver, but without a gateway.
//!
//! Both are measured in turns in the same run, so that a busy machine slows both: a round of
//! direct create calls, a round of payments through the gateway's HTTP API, and so on. Load is
//! closed-loop: each of `clients` sends its next order when its last was answered. Through the
//! gateway a payment is two durable commits (the intent before the call, the answer after it)
//! besides the same provider call. Nobody pays, and questions about unpaid orders are put off, so
//! that nothing else calls the providers meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use domain::{
    Answer, ChannelId, Currency, Device, Flow, Locale, Method, Money, Operation, Order, Outcome,
    PaymentId, ProviderOrderNo,
};
use evergate::clock::fresh_id;
use evergate::demo::{Stage, StageOptions};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::json;
use tokio::task::JoinSet;

/// Nobody pays here, and questions about unpaid orders would only be more provider calls.
const SETTINGS: &str = "[policy]\nquery_waits_ms = [600000]\n";

/// Options of `bench payments`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Clients at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=512))]
    clients: u16,
    /// Rounds of each kind.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=50))]
    rounds: u16,
    /// Seconds a round.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=60))]
    seconds: u16,
    /// Where the store lies; a temporary folder when absent. Commits are as fast as its disk.
    #[arg(long, value_name = "DIR")]
    data: Option<std::path::PathBuf>,
}

/// The figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    clients: u16,
    direct: Side,
    gateway: Side,
    /// Through the gateway minus directly, median.
    added_p50_us: i64,
    /// The same, 99th percentile.
    added_p99_us: i64,
    /// The gateway's payments a second for each direct call a second.
    throughput_ratio: f64,
    /// The gateway's median for the direct median.
    p50_ratio: f64,
}

/// One side of the comparison.
#[derive(Clone, Debug, Serialize)]
struct Side {
    count: u64,
    per_second: f64,
    p50_us: u64,
    p99_us: u64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Direct,
    Gateway,
}

pub(crate) async fn run(args: &Args) -> Result<Figures> {
    let options = StageOptions {
        seed: 1,
        port: 0,
        data: args.data.clone(),
        settings: SETTINGS,
        certificate_ends: None,
        transfers: false,
    };
    let stage = Arc::new(Stage::start(&options).await?);
    let (mut direct, mut gateway) = (Measure::new()?, Measure::new()?);
    // One round of each that does not count: connections and caches.
    round(&stage, Way::Direct, args, Duration::from_secs(1)).await?;
    round(&stage, Way::Gateway, args, Duration::from_secs(1)).await?;
    let time = Duration::from_secs(u64::from(args.seconds));
    for number in 1..=args.rounds {
        eprintln!("round {number} of {}", args.rounds);
        direct.take(round(&stage, Way::Direct, args, time).await?)?;
        gateway.take(round(&stage, Way::Gateway, args, time).await?)?;
    }
    if let Some(stage) = Arc::into_inner(stage) {
        stage.end().await?;
    }
    Ok(figures(args, &direct.side(), &gateway.side()))
}

fn figures(args: &Args, direct: &Side, gateway: &Side) -> Figures {
    let minus = |a: u64, b: u64| i64::try_from(a).unwrap_or(0) - i64::try_from(b).unwrap_or(0);
    Figures {
        clients: args.clients,
        direct: direct.clone(),
        gateway: gateway.clone(),
        added_p50_us: minus(gateway.p50_us, direct.p50_us),
        added_p99_us: minus(gateway.p99_us, direct.p99_us),
        throughput_ratio: gateway.per_second / direct.per_second.max(f64::MIN_POSITIVE),
        p50_ratio: gateway.p50_us as f64 / direct.p50_us.max(1) as f64,
    }
}

/// Latencies and time of one way.
struct Measure {
    latencies: Histogram<u64>,
    time: Duration,
}

impl Measure {
    fn new() -> Result<Measure> {
        Ok(Measure { latencies: histogram()?, time: Duration::ZERO })
    }

    fn take(&mut self, other: Measure) -> Result<()> {
        self.latencies.add(&other.latencies)?;
        self.time += other.time;
        Ok(())
    }

    fn side(&self) -> Side {
        Side {
            count: self.latencies.len(),
            per_second: self.latencies.len() as f64 / self.time.as_secs_f64().max(0.001),
            p50_us: self.latencies.value_at_quantile(0.50),
            p99_us: self.latencies.value_at_quantile(0.99),
        }
    }
}

/// Microseconds up to ten minutes, three digits.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(600_000_000, 3)?)
}

async fn round(stage: &Arc<Stage>, way: Way, args: &Args, time: Duration) -> Result<Measure> {
    let began = Instant::now();
    let until = began + time;
    let mut clients = JoinSet::new();
    for client in 0..args.clients {
        let stage = Arc::clone(stage);
        clients.spawn(async move { drive(&stage, way, client, until).await });
    }
    let mut all = Measure::new()?;
    while let Some(client) = clients.join_next().await {
        all.latencies.add(client??)?;
    }
    all.time = began.elapsed();
    ensure!(!all.latencies.is_empty(), "not one call was made in {time:?}");
    Ok(all)
}

async fn drive(stage: &Stage, way: Way, client: u16, until: Instant) -> Result<Histogram<u64>> {
    let mut latencies = histogram()?;
    let api = stage.api()?;
    let wechat = client % 2 == 1;
    while Instant::now() < until {
        let began = Instant::now();
        match way {
            Way::Direct => direct(stage, wechat).await?,
            Way::Gateway => {
                let id = fresh_id();
                let method = if wechat { "wechat_pay" } else { "alipay" };
                let order = json!({
                    "order_no": id.to_string(), "amount": 1_999, "currency": "CNY",
                    "methods": [method],
                });
                let (status, payment) =
                    api.post("/v1/payments", &order, Some(&id.to_string())).await?;
                ensure!(
                    status == 201 && payment["status"] == "requires_customer",
                    "a payment went wrong: {payment}"
                );
            }
        }
        latencies.saturating_record(u64::try_from(began.elapsed().as_micros())?);
    }
    Ok(latencies)
}

/// The same provider call by the same codec and driver, without a gateway.
async fn direct(stage: &Stage, wechat: bool) -> Result<()> {
    let (channel, method) = match wechat {
        true => ("wechat-main", Method::WechatPay),
        false => ("alipay-main", Method::Alipay),
    };
    let now = evergate::clock::now();
    let order = Order {
        number: ProviderOrderNo::of(PaymentId::from_uuid(fresh_id()), 1),
        money: Money::new(1_999, Currency::CNY)?,
        method,
        flow: Flow::Presented,
        subject: "bench".to_owned(),
        expires_at: now + Duration::from_secs(900),
        device: Device::Qr,
        locale: Locale::Zh,
        return_url: None,
        payer_ip: None,
        payer_id: None,
        token: None,
        off_session: false,
        sent_at: now,
    };
    let until = now + Duration::from_secs(5);
    let channel = ChannelId::new(channel)?;
    match stage.gateway.driver.call(&channel, &Operation::Create(order), until).await {
        Answer::Create(Outcome::Ok(_)) => Ok(()),
        other => bail!("a direct call went wrong: {other:?}"),
    }
}

impl Figures {
    pub(crate) fn told(&self, json: bool) -> Result<String> {
        if json {
            return Ok(serde_json::to_string(self)?);
        }
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["", "per second", "p50", "p99", "calls"]);
        for (name, side) in
            [("provider called directly", &self.direct), ("through Evergate", &self.gateway)]
        {
            table.add_row([
                name.to_owned(),
                format!("{:.0}", side.per_second),
                format!("{:.2} ms", side.p50_us as f64 / 1e3),
                format!("{:.2} ms", side.p99_us as f64 / 1e3),
                side.count.to_string(),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Ok(format!(
            "{table}\nadded: p50 {:.2} ms, p99 {:.2} ms; {:.2} payments for each direct call; \
             p50 ratio {:.2}; {} clients",
            self.added_p50_us as f64 / 1e3,
            self.added_p99_us as f64 / 1e3,
            self.throughput_ratio,
            self.p50_ratio,
            self.clients
        ))
    }
}
