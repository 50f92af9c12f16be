//! `evergate demo`: a gateway, fake providers, a shop and its shoppers in one process; an
//! outage in the middle; and at the end two sets of books that must agree.
//!
//! The gateway is started from a configuration text by the same way as `evergate serve`, and
//! shoppers, shop and providers reach each other over real HTTP. Only times are shorter, so
//! that half a minute tells the story.

mod bank;
mod books;
mod catalogue;
mod ladder;
mod live;
mod operator;
mod phases;
mod receiver;
mod report;
mod shopper;
mod stage;
mod story;
mod tally;
mod till;
mod timing;
mod traffic;
mod width;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use domain::{Method, Payment, Timestamp};
use sandbox::{ProviderKind, Scenario};
use store::{Filter, MessageState};
use tokio::task::JoinSet;

pub use books::{Comparison, Totals, compare};
pub use catalogue::{list, load_scenario};
pub use receiver::{Received, Receiver};
pub use report::{ChannelFigures, Report};
pub use stage::{FAST_CHANNEL, FAST_POLICY, Stage, StageOptions};
pub use story::Happened;
pub use traffic::{Mix, Visit, plan};

use crate::args::DemoArgs;
use crate::lang::Lang;
use bank::Bank;
use live::{ChannelLine, Frame, Live};
use shopper::Town;
use tally::{Ending, Tally};
use till::Till;

/// How long the books may take to become quiet once all shoppers have gone.
const SETTLING: Duration = Duration::from_secs(90);

/// A run in the middle.
struct Run<'a> {
    args: &'a DemoArgs,
    lang: Lang,
    live: &'a Live,
    stage: &'a Stage,
    town: Arc<Town>,
    scenario: Scenario,
    began: Instant,
    since: Timestamp,
    ladder: Mutex<ladder::Watch>,
}

/// Runs a demo. `quiet` shows nothing while it runs.
///
/// # Errors
/// When a part cannot be started. A bad result is no error; the report says it.
pub async fn run(args: &DemoArgs, lang: Lang, as_json: bool) -> Result<bool> {
    crate::init();
    if args.list {
        println!("{}", list(lang, as_json));
        return Ok(true);
    }
    let color = !args.no_color && std::io::stderr().is_terminal();
    let scenario = scenario(args)?;
    let mix = Mix::of(&scenario.shoppers)?;
    let stage = Stage::start(&StageOptions::of(args, &scenario)).await?;
    let live = Live::new(lang, color, stage.channel_names().len());
    live.say(&greeting(args, lang, &scenario, &stage));
    let report = perform(args, lang, &live, &stage, (scenario, mix)).await?;
    live.clear();
    if as_json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        let color = !args.no_color && std::io::stdout().is_terminal();
        print!("\n{}", report.text(lang, color));
    }
    if args.keep && !report.interrupted {
        eprintln!("{}", stage.invitation(lang));
        tokio::signal::ctrl_c().await?;
    }
    let good = report.is_good();
    stage.end().await?;
    Ok(good)
}

/// Runs a demo without a word and gives its report; for `bench`.
///
/// # Errors
/// When a part cannot be started.
pub async fn report(args: &DemoArgs) -> Result<Report> {
    crate::init();
    let scenario = scenario(args)?;
    let mix = Mix::of(&scenario.shoppers)?;
    let stage = Stage::start(&StageOptions::of(args, &scenario)).await?;
    let report = perform(args, Lang::En, &Live::silent(), &stage, (scenario, mix)).await?;
    stage.end().await?;
    Ok(report)
}

/// The scenario by name or file, as long as the traffic.
fn scenario(args: &DemoArgs) -> Result<Scenario> {
    let scenario = load_scenario(&args.scenario)?;
    let factor = args.duration.as_secs_f64() / scenario.duration_s.max(0.001);
    Ok(scenario.scaled(factor))
}

fn greeting(args: &DemoArgs, lang: Lang, scenario: &Scenario, stage: &Stage) -> String {
    let what = lang.pick(&scenario.description.en, &scenario.description.zh);
    let (gateway, providers) = (stage.url(), stage.sandbox.base_url());
    let (rate, seconds, seed) = (args.rate, args.duration.as_secs_f64(), args.seed);
    let name = &scenario.name;
    let story = width::hang(what, "             ", width::SCREEN);
    lang.pick(
        format!(
            "Evergate demo\n  \
             gateway    {gateway}\n  \
             providers  {providers} (sandbox)\n  \
             traffic    {rate} shoppers/s for {seconds} s, seed {seed}\n  \
             scenario   {name}\n{story}\n"
        ),
        format!(
            "Evergate 演示\n  \
             网关       {gateway}\n  \
             服务商     {providers}（沙箱）\n  \
             流量       每秒 {rate} 位顾客，共 {seconds} 秒，种子 {seed}\n  \
             场景       {name}\n{story}\n"
        ),
    )
}

async fn perform(
    args: &DemoArgs,
    lang: Lang,
    live: &Live,
    stage: &Stage,
    (scenario, mix): (Scenario, Mix),
) -> Result<Report> {
    let town = Town {
        api: stage.api()?,
        till: Till::new(&stage.sandbox.base_url())?,
        bank: Arc::new(Bank::new(&stage.url(), &stage.operator_key)?),
        tally: Arc::new(Tally::new(Arc::clone(&stage.seen))),
        run: format!("D{}-{}", args.seed, crate::clock::random_text::<6>()),
    };
    let since = crate::clock::now();
    stage.sandbox.load_scenario(&scenario);
    let began = Instant::now();
    let (town, ladder) = (Arc::new(town), Mutex::default());
    let run = Run { args, lang, live, stage, town, scenario, began, since, ladder };
    let bank = Arc::clone(&run.town.bank);
    let statements = tokio::spawn(async move { bank.tell().await });
    let mut visits = JoinSet::new();
    let plan = plan(args.seed, args.rate, args.duration, &mix);
    let (interrupted, done) = run.open_the_doors(&mut visits, plan).await?;
    let last_shopper = Instant::now();
    stage.sandbox.faults().clear();
    let payments = run.settle(&mut visits, interrupted).await;
    statements.abort();
    let payments = payments?;
    let mut report = run.judge(&payments, interrupted, last_shopper.elapsed());
    report.story = done;
    report.story.extend(run.story(&payments));
    Ok(report)
}

impl Run<'_> {
    /// Lets shoppers in at their times, whatever the gateway does, while the operator works.
    /// Says whether it was stopped, and what the operator did.
    async fn open_the_doors(
        &self,
        visits: &mut JoinSet<()>,
        plan: Vec<Visit>,
    ) -> Result<(bool, Vec<Happened>)> {
        let key = (self.stage.url(), self.stage.operator_key.as_str());
        let operator =
            operator::hire((&key.0, key.1), self.live, self.lang, self.began, self.stage)?;
        let arrivals = async {
            for visit in plan {
                tokio::time::sleep_until((self.began + visit.at).into()).await;
                let town = Arc::clone(&self.town);
                visits.spawn(async move { town.visit(&visit).await });
            }
            tokio::time::sleep_until((self.began + self.args.duration).into()).await;
        };
        let both = async { tokio::join!(arrivals, operator.work(&self.scenario)).1 };
        Ok(tokio::select! {
            done = both => (false, done),
            _ = tokio::signal::ctrl_c() => (true, Vec::new()),
            () = self.narrate(self.args.duration) => (false, Vec::new()),
        })
    }

    /// Shows how things are, and what the sandbox does; ends only by being dropped.
    async fn narrate(&self, of: Duration) {
        let mut phases = phases::phases(&self.scenario, self.lang).into_iter().peekable();
        let mut phase = self.lang.pick("all is well", "一切正常").to_owned();
        let mut screen = Screen::default();
        let mut healths = self.healths();
        let mut named = BTreeSet::new();
        loop {
            let at = self.began.elapsed();
            while let Some(next) = phases.next_if(|next| next.at <= at) {
                self.live.announce(next.at, &next.text);
                phase = next.text;
            }
            self.tell_health(at, &mut healths);
            self.tell_ladder(at);
            self.tell_certificates(at, &mut named);
            if self.live.is_due(at, of) {
                self.live.show(&screen.frame(self, at, of, &phase));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn healths(&self) -> Vec<&'static str> {
        let names = self.stage.channel_names().iter();
        names.map(|name| self.stage.worst_health(name.as_str())).collect()
    }

    /// Says when a channel goes out of service by itself, and when it comes back.
    fn tell_health(&self, at: Duration, before: &mut [&'static str]) {
        for (name, before) in self.stage.channel_names().iter().zip(before) {
            let now = self.stage.worst_health(name.as_str());
            if now == *before {
                continue;
            }
            *before = now;
            let (en, zh) = match now {
                "down" => {
                    ("is down: new payments take another channel", "已下线，新支付改走其他通道")
                }
                "ramping" => ("answers again: it gets a growing share", "恢复应答，流量逐步回升"),
                "healthy" => ("is healthy", "恢复健康"),
                _ => continue,
            };
            self.live.announce(at, &format!("{name} {}", self.lang.pick(en, zh)));
        }
    }

    /// Says when the ladder moves.
    fn tell_ladder(&self, at: Duration) {
        let engine = &self.stage.gateway.engine;
        let (controls, now) = (engine.controls(), engine.now());
        let mut watch = self.ladder.lock().unwrap_or_else(PoisonError::into_inner);
        for text in watch.look(&controls.ladder, now, at, self.lang) {
            self.live.announce(at, &text);
        }
    }

    /// Says which certificate has run out and since when, once for each channel.
    fn tell_certificates(&self, at: Duration, named: &mut BTreeSet<domain::ChannelId>) {
        let fresh: Vec<(domain::ChannelId, String)> = self.seen(|seen| {
            let fresh = seen.certificates.iter().filter(|(channel, _)| !named.contains(*channel));
            fresh.map(|(channel, lapsed)| (channel.clone(), lapsed.detail.clone())).collect()
        });
        for (channel, detail) in fresh {
            let which = story::which_certificate(&detail, self.lang);
            let text = self.lang.pick(
                format!("{channel}: {which}; its answers prove nothing"),
                format!("{channel}：{which}，其应答不予采信"),
            );
            self.live.announce(at, &text);
            named.insert(channel);
        }
    }

    /// Waits for the last shoppers and then for the books; both waits are bounded.
    async fn settle(&self, visits: &mut JoinSet<()>, interrupted: bool) -> Result<Vec<Payment>> {
        let patience = if interrupted { SETTLING / 6 } else { SETTLING };
        let until = Instant::now() + patience;
        let words = self.lang.pick("settling", "正在查清剩余状态");
        let shown = async {
            let mut screen = Screen::default();
            let mut healths = self.healths();
            loop {
                let at = self.began.elapsed();
                self.tell_health(at, &mut healths);
                self.tell_ladder(at);
                if self.live.is_due(at, self.args.duration) {
                    self.live.show(&screen.frame(self, at, self.args.duration, words));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let quiet = async {
            let gone = async { while visits.join_next().await.is_some() {} };
            // Whoever is still there at the end shows in the report as waiting.
            let _ = tokio::time::timeout_at(until.into(), gone).await;
            loop {
                let payments = self.payments().await?;
                let told = self.stage.store().messages(Some(MessageState::Pending), 1).await?;
                let quiet = payments.iter().all(books::is_quiet);
                if (quiet && told.is_empty()) || Instant::now() >= until {
                    return anyhow::Ok(payments);
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            payments = quiet => payments,
            () = shown => bail!("the screen ended"),
            _ = tokio::signal::ctrl_c(), if !interrupted => self.payments().await,
        }
    }

    /// Everything of this run, read back from the store.
    async fn payments(&self) -> Result<Vec<Payment>> {
        let since = self.since;
        let mut all: Vec<Payment> = Vec::new();
        loop {
            let before = all.last().map(|p| p.id);
            let filter = Filter { since: Some(since), before, limit: 500, ..Filter::default() };
            let page = self.stage.store().list(&filter).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    fn judge(&self, payments: &[Payment], interrupted: bool, settling: Duration) -> Report {
        let tally = &self.town.tally;
        let endings = tally.endings();
        let count = |test: fn(&Ending) -> bool| endings.iter().filter(|e| test(e)).count() as u64;
        let (needless, forced): (Vec<&Ending>, Vec<&Ending>) = endings
            .iter()
            .filter(|e| matches!(e, Ending::CouldNot { .. }))
            .partition(|e| self.was_needless(e));
        let (added, whole) = tally.latencies();
        let received = self.stage.receiver.received();
        let untold = payments.iter().filter(|p| {
            matches!(p.state, domain::PaymentState::Paid { .. })
                && !received.paid.contains(&p.id.to_string())
        });
        let reroute = self
            .scenario
            .first_fault_s()
            .and_then(|s| tally.first_reroute_after(self.began + Duration::from_secs_f64(s)));
        let mut report = Report {
            version: env!("CARGO_PKG_VERSION"),
            seed: self.args.seed,
            rate: self.args.rate,
            duration_s: self.args.duration.as_secs_f64(),
            scenario: self.scenario.name.clone(),
            interrupted,
            totals: books::totals(payments),
            abandoned: count(|e| matches!(e, Ending::Left)),
            refused: count(|e| matches!(e, Ending::Refused)),
            lost: 0,
            lost_sales: needless.len() as u64,
            no_channel_left: forced.len() as u64,
            charged_twice: 0,
            unknown: 0,
            mismatches: 0,
            fault_to_reroute_ms: reroute.map(|r| u64::try_from(r.as_millis()).unwrap_or(u64::MAX)),
            added_p50_us: added.p50_us,
            added_p99_us: added.p99_us,
            create_p50_us: whole.p50_us,
            create_p99_us: whole.p99_us,
            webhooks_delivered: received.messages.len() as u64,
            webhooks_missing: untold.count() as u64,
            unknown_settled: self.seen(|seen| seen.settled),
            settle_ms: u64::try_from(settling.as_millis()).unwrap_or(u64::MAX),
            channels: self.figures(payments),
            findings: Vec::new(),
            story: Vec::new(),
        };
        let transfers = self.town.bank.entries();
        report.judge(books::compare_with(payments, &self.stage.sandbox.books(), &transfers));
        for ending in needless {
            report.findings.push(self.tell_lost(ending));
        }
        let violations = tally.violations();
        report.mismatches += violations.len() as u64 + received.forged;
        report.findings.extend(violations.into_iter().map(|v| format!("mismatch: {v}")));
        if received.forged > 0 {
            report.findings.push(format!("mismatch: {} webhooks were forged", received.forged));
        }
        report
    }

    /// Whether a shopper who could not pay could have: a channel that takes one of the
    /// shopper's methods had no fault all the while.
    fn was_needless(&self, ending: &Ending) -> bool {
        let Ending::CouldNot { methods, bank, from, to } = ending else { return false };
        let at = |moment: &Instant| moment.saturating_duration_since(self.began);
        let well = |provider| {
            let bank = bank.filter(|_| provider == ProviderKind::UnionPay);
            phases::was_well(&self.scenario, (provider, bank), at(from), at(to))
        };
        methods.iter().any(|method| match method {
            Method::Alipay => well(ProviderKind::Alipay) || well(ProviderKind::Stripe),
            Method::WechatPay => well(ProviderKind::WechatPay) || well(ProviderKind::Stripe),
            Method::UnionPay => well(ProviderKind::UnionPay),
            Method::Paypal => well(ProviderKind::Paypal),
            Method::Card => well(ProviderKind::Stripe),
            Method::BankTransfer | Method::Offline => true,
        })
    }

    /// What happened, besides what the operator did.
    fn story(&self, payments: &[Payment]) -> Vec<Happened> {
        let lapsed = self.seen(|seen| {
            seen.certificates.iter().map(|(id, lapsed)| (id.clone(), lapsed.clone())).collect()
        });
        let sources = story::Sources {
            scenario: &self.scenario,
            payments,
            turns: &self.stage.gateway.engine.health_changes(),
            tally: &self.town.tally,
            transfers: self.town.bank.entries().len() as u64,
            lapsed,
            began: (self.began, self.since),
        };
        let mut story = sources.story();
        story.extend(self.ladder.lock().unwrap_or_else(PoisonError::into_inner).story());
        story
    }

    fn tell_lost(&self, ending: &Ending) -> String {
        let Ending::CouldNot { methods, from, to, .. } = ending else { return String::new() };
        let at = |moment: &Instant| moment.saturating_duration_since(self.began).as_secs_f64();
        let methods: Vec<&str> = methods.iter().map(|m| m.name()).collect();
        format!(
            "lost: a shopper could not pay by {} from {:.1} s to {:.1} s",
            methods.join(" or "),
            at(from),
            at(to)
        )
    }

    fn seen<T>(&self, read: impl FnOnce(&timing::Seen) -> T) -> T {
        read(&self.stage.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn figures(&self, payments: &[Payment]) -> Vec<ChannelFigures> {
        let of = |name: &domain::ChannelId| {
            let counts = self.seen(|seen| seen.channels.get(name).copied().unwrap_or_default());
            let codes = self.seen(|seen| {
                let of_channel = seen.codes.iter().filter(|((channel, _), _)| channel == name);
                of_channel.map(|((_, code), count)| (code.clone(), *count)).collect()
            });
            let paid = payments.iter().flat_map(|p| &p.attempts);
            let paid = paid.filter(|a| a.channel == *name && a.receipt().is_some());
            ChannelFigures {
                name: name.to_string(),
                calls: counts.good + counts.bad,
                failed: counts.bad,
                paid: paid.count() as u64,
                codes,
            }
        };
        self.stage.channel_names().iter().map(of).collect()
    }
}

/// What the screen remembers from one second to the next.
#[derive(Default)]
struct Screen {
    /// Counts at the beginning of the second that is shown.
    last: Vec<timing::Counts>,
    last_at: Duration,
    lines: Vec<ChannelLine>,
}

impl Screen {
    fn frame(&mut self, run: &Run<'_>, at: Duration, of: Duration, phase: &str) -> Frame {
        let names = run.stage.channel_names();
        if at >= self.last_at + Duration::from_secs(1) || self.lines.is_empty() {
            let now: Vec<timing::Counts> = run.seen(|seen| {
                names.iter().map(|n| seen.channels.get(n).copied().unwrap_or_default()).collect()
            });
            self.last.resize(names.len(), timing::Counts::default());
            let seconds = at.saturating_sub(self.last_at).as_secs_f64().max(0.2);
            let lines = names.iter().zip(&now).zip(&self.last).map(|((name, now), last)| {
                let (good, bad) = (now.good - last.good, now.bad - last.bad);
                ChannelLine {
                    name: name.to_string(),
                    per_second: ((good + bad) as f64 / seconds).round() as u64,
                    success: (good + bad > 0).then(|| 100 * good / (good + bad)),
                    health: "",
                }
            });
            self.lines = lines.collect();
            (self.last, self.last_at) = (now, at);
        }
        for line in &mut self.lines {
            line.health = run.stage.worst_health(&line.name);
        }
        let (asked, paid, rerouted) = run.town.tally.so_far();
        let (unknown, settled) = run.seen(|s| (s.unsettled.len() as u64, s.settled));
        let channels = self.lines.clone();
        Frame { at, of, channels, asked, paid, rerouted, unknown, settled, phase: phase.to_owned() }
    }
}
