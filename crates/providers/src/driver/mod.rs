//! The one driver that talks to providers.
//!
//! It owns what no codec should: connections, time-outs, the budget of calls in flight, the
//! size of answers, metrics and tracing. It never retries, follows no redirect and uses no
//! proxy from the environment: sending a charge again is the engine's decision. The one thing
//! that it sends twice is a request whose token was not believed, which proves that the first
//! had no effect.
//!
//! The invariant: [`Reply::NotSent`] only when surely no byte of the request left for the
//! provider; everything doubtful is [`Reply::Unanswered`].

mod cause;
mod probe;
mod purse;
mod witness;

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::{Answer, ChannelId, Fault, Operation, Timestamp};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument;

pub use probe::{Probe, ProbeLayer};
pub use witness::Unread;

use purse::Purse;
use witness::Witnesses;

use crate::{
    Cause, Provider, Reply, Request, Response, STATEMENT_BYTES_MAX, STATEMENT_TIMEOUT, Stamp,
    Statement, StatementError, Step, Verdict,
};

/// Gives the time. Only the binary and tests make one.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Gives a fresh text of 32 random letters and digits.
pub type Nonces = Arc<dyn Fn() -> String + Send + Sync>;

/// The most requests that one operation may take, looks in between included. Codecs bound
/// themselves more tightly; only the search for a lost charge comes near.
const STEPS_MAX: usize = 24;

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What the driver may spend on one channel.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// For a connection, name lookup and TLS included.
    pub connect_timeout: Duration,
    /// For a whole call, every step of it.
    pub timeout: Duration,
    /// Calls at once; one more is refused and not queued.
    pub max_in_flight: usize,
    /// New payments a second, which routing keeps to; `None` is no limit.
    pub max_per_second: Option<u32>,
    /// Whose TLS certificates are believed.
    pub roots: Roots,
}

/// Whose TLS certificates are believed.
#[derive(Clone, Debug)]
pub enum Roots {
    /// The operating system's.
    System,
    /// These PEM certificates only.
    Only(Vec<u8>),
    /// Nobody's: the channel speaks plain http. A machine without any certificates will do.
    None,
}

/// A channel that could not be put into the driver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the HTTP client of channel {channel} cannot be made: {detail}")]
pub struct DriverError {
    /// Which one.
    pub channel: ChannelId,
    /// Why; without secrets.
    pub detail: String,
}

const LATE: &str = "the time for this call had passed before it was sent";

struct Channel {
    codec: Arc<dyn Provider>,
    http: reqwest::Client,
    budget: Semaphore,
    timeout: Duration,
    purse: Purse,
    witnesses: Witnesses,
}

type Channels = HashMap<ChannelId, Arc<Channel>>;

/// Carries operations to providers and brings answers back.
pub struct Driver {
    channels: ArcSwap<Channels>,
    clock: Clock,
    nonces: Nonces,
}

impl Driver {
    /// A driver without channels. The process must have installed a rustls crypto provider.
    pub fn new(clock: Clock, nonces: Nonces) -> Driver {
        Driver { channels: ArcSwap::default(), clock, nonces }
    }

    /// Adds a channel, or replaces it; calls that are under way end with the old one.
    ///
    /// # Errors
    /// When no HTTP client can be made, as with a system that has no TLS certificates.
    pub fn set_channel(
        &self,
        id: ChannelId,
        codec: Arc<dyn Provider>,
        limits: &CallLimits,
    ) -> Result<(), DriverError> {
        let http = client(limits)
            .map_err(|error| DriverError { channel: id.clone(), detail: cause::chain(&error) })?;
        let channel = Arc::new(Channel {
            codec,
            http,
            budget: Semaphore::new(limits.max_in_flight.min(Semaphore::MAX_PERMITS)),
            timeout: limits.timeout,
            purse: Purse::default(),
            witnesses: Witnesses::default(),
        });
        self.channels.rcu(|now| {
            let mut next = Channels::clone(now);
            next.insert(id.clone(), Arc::clone(&channel));
            next
        });
        Ok(())
    }

    /// Takes a channel away; calls that are under way end in peace.
    pub fn remove_channel(&self, id: &ChannelId) {
        self.channels.rcu(|now| {
            let mut next = Channels::clone(now);
            next.remove(id);
            next
        });
    }

    /// The names of the channels, sorted.
    pub fn channels(&self) -> Vec<ChannelId> {
        let mut names: Vec<_> = self.channels.load().keys().cloned().collect();
        names.sort();
        names
    }

    /// A channel's codec, for notifications and capabilities.
    pub fn codec(&self, channel: &ChannelId) -> Option<Arc<dyn Provider>> {
        self.channels.load().get(channel).map(|c| Arc::clone(&c.codec))
    }

    /// Makes one operation at a channel. Nothing is sent at or after `until`, and the whole
    /// call ends by then: whoever owns the operation afterwards must not meet it (rule 15).
    pub async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        let span = tracing::info_span!(
            "provider_call", %channel, operation = op.name(), number = %op.number(),
            class = tracing::field::Empty, code = tracing::field::Empty,
        );
        let began = Instant::now();
        let answer = self.answer(channel, op, until).instrument(span.clone()).await;
        let class = answer.class().name();
        span.record("class", class);
        if let Some(code) = answer.code() {
            span.record("code", code);
        }
        span.in_scope(|| tracing::debug!("the provider call ended"));
        let name = channel.to_string();
        metrics::counter!(
            "evergate_provider_calls_total",
            "channel" => name.clone(), "operation" => op.name(), "class" => class
        )
        .increment(1);
        metrics::histogram!(
            "evergate_provider_call_seconds", "channel" => name, "operation" => op.name()
        )
        .record(began.elapsed().as_secs_f64());
        answer
    }

    /// Fetches the statement of a day. It moves no money, takes minutes at most, and counts
    /// against none of the channel's calls.
    ///
    /// # Errors
    /// When there is none, or it does not prove itself, or cannot be read.
    pub async fn statement(
        &self,
        id: &ChannelId,
        day: jiff::civil::Date,
    ) -> Result<Statement, StatementError> {
        let channel = self.channels.load().get(id).cloned();
        let channel = channel.ok_or(StatementError::Unsupported("an unknown channel"))?;
        let provider = channel.codec.capabilities().provider;
        let statements = channel.codec.statements().ok_or(StatementError::Unsupported(provider))?;
        let request = statements.request(day, &self.stamp());
        let deadline = Instant::now() + STATEMENT_TIMEOUT;
        let fetched = within(deadline, exchange(&channel.http, request, STATEMENT_BYTES_MAX));
        match fetched.await {
            Some(Reply::Answered(response)) => statements.read(day, &response, (self.clock)()),
            Some(Reply::NotSent(cause) | Reply::Unanswered(cause)) => Err(cause.into()),
            None => Err(StatementError::Silent("the time for it is over".to_owned())),
        }
    }

    async fn answer(&self, id: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        let Some(channel) = self.channels.load().get(id).cloned() else {
            return op.unavailable(Fault::new("no_channel", "the channel is not configured"));
        };
        if (self.clock)() >= until {
            return op.unavailable(Fault::new("deadline", LATE));
        }
        let deadline = self.deadline(&channel, until);
        let mut verdict = match channel.codec.request(op, &self.stamp()) {
            Ok(verdict) => verdict,
            Err(why) => return op.rejected(Fault::new("unsupported", why.0)),
        };
        for _ in 0..STEPS_MAX {
            let (request, step) = match verdict {
                Verdict::Done(answer) => return answer,
                Verdict::Ask(request, step) => (request, step),
            };
            let reply = self.send(id, &channel, request, &step, deadline, until).await;
            verdict = channel.codec.reply(op, &step, &reply, &self.stamp());
        }
        match verdict {
            Verdict::Done(answer) => answer,
            Verdict::Ask(..) => {
                op.unknown(Fault::new("too_many_steps", "the provider's answers led nowhere"))
            }
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp { now: (self.clock)(), nonce: (self.nonces)() }
    }

    /// The end of the whole call: the owner's, or the channel's if that is sooner.
    fn deadline(&self, channel: &Channel, until: Timestamp) -> Instant {
        Instant::now() + until.since((self.clock)()).min(channel.timeout)
    }

    async fn send(
        &self,
        id: &ChannelId,
        channel: &Channel,
        request: Request,
        step: &Step,
        deadline: Instant,
        until: Timestamp,
    ) -> Reply {
        if (self.clock)() >= until || Instant::now() >= deadline {
            return not_sent("deadline", LATE);
        }
        let Ok(_permit) = channel.budget.try_acquire() else {
            return not_sent("budget", "all calls that the channel allows at once are in use");
        };
        let _gauge = InFlight::enter(id);
        tracing::trace!(step = step.asks, "asking the provider");
        self.carried(channel, request, deadline, until).await
    }

    /// Sends a request with the channel's token, if it has such a thing, and once more with a
    /// new one when the provider does not believe the first.
    async fn carried(
        &self,
        channel: &Channel,
        request: Request,
        deadline: Instant,
        until: Timestamp,
    ) -> Reply {
        let Some(login) = channel.codec.login() else {
            return whole(deadline, &channel.http, request).await;
        };
        let bearer = |disbelieved| {
            let Channel { purse, http, .. } = channel;
            purse.bearer(login, http, &self.clock, deadline, disbelieved)
        };
        let first = match bearer(None).await {
            Ok(token) => token,
            Err(cause) => return Reply::NotSent(cause),
        };
        if (self.clock)() >= until {
            return not_sent("deadline", LATE);
        }
        let reply = whole(deadline, &channel.http, carrying(&request, &first)).await;
        if !matches!(&reply, Reply::Answered(response) if login.disbelieved(response)) {
            return reply;
        }
        match bearer(Some(&first)).await {
            Ok(second) if (self.clock)() < until && Instant::now() < deadline => {
                whole(deadline, &channel.http, carrying(&request, &second)).await
            }
            Ok(_) => not_sent("deadline", LATE),
            // The first request was refused at the door, so nothing has happened.
            Err(cause) => Reply::NotSent(cause),
        }
    }
}

fn carrying(request: &Request, token: &crate::Secret) -> Request {
    let mut request = request.clone();
    request.headers.push(("authorization", format!("Bearer {}", token.expose())));
    request
}

async fn whole(deadline: Instant, http: &reqwest::Client, request: Request) -> Reply {
    let reply = within(deadline, exchange(http, request, ANSWER_BYTES_MAX)).await;
    reply.unwrap_or_else(|| unanswered("timeout", "no whole answer came within the call's time"))
}

/// Counts a call while it is under way, however it ends.
struct InFlight(metrics::Gauge);

impl InFlight {
    fn enter(channel: &ChannelId) -> InFlight {
        let gauge =
            metrics::gauge!("evergate_provider_in_flight", "channel" => channel.to_string());
        gauge.increment(1.0);
        InFlight(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

fn not_sent(code: &'static str, detail: &str) -> Reply {
    Reply::NotSent(Cause { code, detail: detail.to_owned() })
}

fn unanswered(code: &'static str, detail: &str) -> Reply {
    Reply::Unanswered(Cause { code, detail: detail.to_owned() })
}

fn client(limits: &CallLimits) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        // One call a connection: a connection that hangs takes one call with it, not all.
        .http1_only()
        .connect_timeout(limits.connect_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(limits.max_in_flight.min(64))
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .user_agent(concat!("evergate/", env!("CARGO_PKG_VERSION")));
    match &limits.roots {
        Roots::System => builder,
        Roots::Only(pem) => builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem)?),
        Roots::None => builder.tls_certs_only([]),
    }
    .build()
}

/// Runs a future until `deadline`, and not one step after it. A process that slept through its
/// deadline must find that out before it goes on connecting and sends something (rule 15);
/// tokio's own time-out lets the future run once more first.
async fn within<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let guarded = std::future::poll_fn(|context| {
        if Instant::now() >= deadline {
            return Poll::Ready(None);
        }
        future.as_mut().poll(context).map(Some)
    });
    tokio::time::timeout_at(deadline, guarded).await.ok().flatten()
}

/// One request and its whole answer.
async fn exchange(http: &reqwest::Client, request: Request, bytes_max: usize) -> Reply {
    let mut builder = http.request(request.method, &request.url);
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    let built = match builder.body(request.body).build() {
        Ok(built) => built,
        Err(_) => return not_sent("request", "the request cannot be written as HTTP"),
    };
    let response = match http.execute(built).await {
        Ok(response) => response,
        Err(error) => return cause::reply(&error),
    };
    read(response, bytes_max).await
}

async fn read(mut response: reqwest::Response, bytes_max: usize) -> Reply {
    let status = response.status().as_u16();
    let headers = response.headers().iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let headers = headers.collect();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > bytes_max => {
                let detail = format!("the answer is larger than {} MiB", bytes_max >> 20);
                return unanswered("too_large", &detail);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Reply::Answered(Response { status, headers, body }),
            Err(error) => return cause::cut_off(&error),
        }
    }
}
