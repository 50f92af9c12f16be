//! The one driver that talks to providers.
//!
//! It owns what no codec should: connections, time-outs, the budget of calls in flight, the
//! size of answers, metrics and tracing. It never retries, follows no redirect and uses no
//! proxy from the environment: sending a charge again is the engine's decision. Two things only
//! are sent twice, both because the first had surely no effect: a request whose token was not
//! believed, and an operation that settings which are only being tried could not do (see
//! [`Driver::try_channels`]).
//!
//! The invariant: [`Reply::NotSent`] only when surely no byte of the request left for the
//! provider; everything doubtful is [`Reply::Unanswered`].

mod cause;
mod probe;
mod purse;
mod slot;
mod witness;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use domain::{Answer, ChannelId, Class, Fault, Operation, ProviderOrderNo, Share, Timestamp};
use tokio::time::Instant;
use tracing::Instrument;

pub use probe::{Probe, ProbeLayer};
pub use slot::Arms;
pub use witness::Unread;

use slot::{Channel, Counted, Slot, is_ours};

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

type Channels = HashMap<ChannelId, Slot>;

/// Settings of a channel, ready to be called with.
#[derive(Clone)]
pub struct NewChannel {
    /// Its name.
    pub id: ChannelId,
    /// Its codec.
    pub codec: Arc<dyn Provider>,
    /// What may be spent on it.
    pub limits: CallLimits,
}

/// Carries operations to providers and brings answers back.
pub struct Driver {
    channels: ArcSwap<Channels>,
    /// Which payments are called for with settings that are being tried.
    share: ArcSwap<Share>,
    clock: Clock,
    nonces: Nonces,
}

impl Driver {
    /// A driver without channels. The process must have installed a rustls crypto provider.
    pub fn new(clock: Clock, nonces: Nonces) -> Driver {
        let (channels, share) = (ArcSwap::default(), ArcSwap::default());
        Driver { channels, share, clock, nonces }
    }

    /// Adds a channel, or replaces it; calls that are under way end with the old one, which is
    /// not believed any more afterwards.
    ///
    /// # Errors
    /// When no HTTP client can be made, as with a system that has no TLS certificates.
    pub fn set_channel(
        &self,
        id: ChannelId,
        codec: Arc<dyn Provider>,
        limits: &CallLimits,
    ) -> Result<(), DriverError> {
        let new = NewChannel { id, codec, limits: limits.clone() };
        self.set_channels(&[new], Timestamp::EPOCH)
    }

    /// Puts settings of several channels in force, all or none of them. What they replace goes
    /// on verifying answers and notifications until `believe_until`; calls that are under way
    /// end with what sent them. Connections and budgets stay where the limits do.
    ///
    /// # Errors
    /// When no HTTP client can be made; nothing is changed then.
    pub fn set_channels(
        &self,
        new: &[NewChannel],
        believe_until: Timestamp,
    ) -> Result<(), DriverError> {
        let now = (self.clock)();
        let ready = self.ready(new)?;
        self.change(|channels| {
            for (id, channel) in &ready {
                let slot = channels.entry(id.clone()).or_default();
                slot.replace(Arc::clone(channel), now, believe_until);
            }
        });
        Ok(())
    }

    /// Whether an HTTP client can be made for each of these, before anything depends on it.
    ///
    /// # Errors
    /// When one cannot.
    pub fn can_take(&self, new: &[NewChannel]) -> Result<(), DriverError> {
        self.ready(new).map(drop)
    }

    fn ready(&self, new: &[NewChannel]) -> Result<Vec<(ChannelId, Arc<Channel>)>, DriverError> {
        let (known, nothing) = (self.channels.load(), Slot::default());
        let ready = new.iter().map(|NewChannel { id, codec, limits }| {
            let slot = known.get(id).unwrap_or(&nothing);
            let ready = slot.ready(Arc::clone(codec), limits);
            let failed = |error| DriverError { channel: id.clone(), detail: cause::chain(&error) };
            Ok((id.clone(), ready.map_err(failed)?))
        });
        ready.collect()
    }

    fn change(&self, change: impl Fn(&mut Channels)) {
        self.channels.rcu(|now| {
            let mut next = Channels::clone(now);
            change(&mut next);
            next
        });
    }

    /// Tries settings on a share of the payments; the others keep what is in force.
    ///
    /// When the tried settings answer `rejected` or `unavailable`, which is to say that surely
    /// nothing happened, the same operation under the same number is done at once with those in
    /// force, and that answer counts. So a wrong key costs no payment. After `unknown` nothing
    /// is sent again (rule 3).
    ///
    /// # Errors
    /// When no HTTP client can be made; nothing is changed then.
    pub fn try_channels(&self, new: &[NewChannel], share: Share) -> Result<(), DriverError> {
        let ready = self.ready(new)?;
        self.share.store(Arc::new(share));
        self.change(|channels| {
            for (id, channel) in &ready {
                let slot = channels.entry(id.clone()).or_default();
                slot.candidate = Some(Arc::clone(channel));
                slot.arms = Arc::default();
            }
        });
        Ok(())
    }

    /// Tries them on another share of the payments.
    pub fn set_share(&self, share: Share) {
        self.share.store(Arc::new(share));
    }

    /// How calls went since settings of this channel are tried.
    pub fn arms(&self, channel: &ChannelId) -> Option<Arms> {
        let channels = self.channels.load();
        let slot = channels.get(channel)?;
        Some(*slot.arms.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts in force what was tried; what it replaces is believed until `believe_until`.
    pub fn keep_tried(&self, believe_until: Timestamp) {
        let now = (self.clock)();
        self.change(|channels| {
            for slot in channels.values_mut() {
                if let Some(tried) = slot.candidate.take() {
                    slot.replace(tried, now, believe_until);
                }
            }
        });
    }

    /// Goes back to what is in force. A channel that was only tried keeps its settings when it
    /// may have made orders, so that these can be asked about and closed; else it is gone.
    pub fn drop_tried(&self) {
        self.change(|channels| {
            for slot in channels.values_mut() {
                if let Some(tried) = slot.candidate.take().filter(|_| slot.current.is_none()) {
                    let arms = *slot.arms.lock().unwrap_or_else(PoisonError::into_inner);
                    let may_have_orders = arms.candidate.ok + arms.candidate.unknown > 0;
                    slot.current = may_have_orders.then_some(tried);
                }
            }
            channels.retain(|_, slot| slot.current.is_some());
        });
        self.share.store(Arc::default());
    }

    /// Takes a channel away; calls that are under way end in peace.
    pub fn remove_channel(&self, id: &ChannelId) {
        self.change(|channels| {
            channels.remove(id);
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
        self.channels.load().get(channel)?.usual().map(|c| Arc::clone(&c.codec))
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
        let slot = self.channels.load().get(id).cloned();
        let channel = slot.as_ref().and_then(|slot| slot.usual());
        let channel = channel.ok_or(StatementError::Unsupported("an unknown channel"))?;
        let provider = channel.codec.capabilities().provider;
        let statements = channel.codec.statements().ok_or(StatementError::Unsupported(provider))?;
        let request = statements.request(day, &self.stamp());
        let deadline = Instant::now() + STATEMENT_TIMEOUT;
        let fetched = within(deadline, exchange(&channel.line.http, request, STATEMENT_BYTES_MAX));
        match fetched.await {
            Some(Reply::Answered(response)) => statements.read(day, &response, (self.clock)()),
            Some(Reply::NotSent(cause) | Reply::Unanswered(cause)) => Err(cause.into()),
            None => Err(StatementError::Silent("the time for it is over".to_owned())),
        }
    }

    async fn answer(&self, id: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        let Some(slot) = self.channels.load().get(id).cloned() else {
            return op.unavailable(Fault::new("no_channel", "the channel is not configured"));
        };
        match (&slot.candidate, &slot.current) {
            (Some(tried), Some(current)) if self.is_shared(op) => {
                self.tried(id, &slot, (tried, current), op, until).await
            }
            (Some(_), Some(current)) => {
                let counted = Counted::new(&slot.arms, |arms| &mut arms.current);
                let answer = self.by(id, &slot, current, op, until).await;
                counted.end(&answer, false);
                tell_arm(id, "current", &answer);
                answer
            }
            (Some(only), None) => {
                let counted = Counted::new(&slot.arms, |arms| &mut arms.candidate);
                let answer = self.by(id, &slot, only, op, until).await;
                // Nothing stands in here, so that every failure speaks against it.
                let failed = matches!(answer.class(), Class::Rejected | Class::Unavailable);
                counted.end(&answer, failed);
                tell_arm(id, "candidate", &answer);
                answer
            }
            (None, Some(current)) => self.by(id, &slot, current, op, until).await,
            (None, None) => {
                op.unavailable(Fault::new("no_channel", "the channel is not configured"))
            }
        }
    }

    /// Whether the operation's payment is one of those that settings are tried on.
    fn is_shared(&self, op: &Operation) -> bool {
        let payment = ProviderOrderNo::parse(op.number().as_str());
        payment.is_some_and(|(payment, _)| self.share.load().takes(payment))
    }

    /// A call with settings that are being tried, and with those in force when the first had
    /// surely no effect.
    ///
    /// Why that is safe: `rejected` and `unavailable` mean that no money can have moved and no
    /// order was made (the codecs' conformance suite holds them to it); the number is the same,
    /// so that even a provider that did keep something takes it for the same order (rule 8);
    /// and `until` binds both, so nobody else acts on the attempt meanwhile (rule 15).
    async fn tried(
        &self,
        id: &ChannelId,
        slot: &Slot,
        (tried, current): (&Arc<Channel>, &Arc<Channel>),
        op: &Operation,
        until: Timestamp,
    ) -> Answer {
        let counted = Counted::new(&slot.arms, |arms| &mut arms.candidate);
        let first = self.by(id, slot, tried, op, until).await;
        tell_arm(id, "candidate", &first);
        let had_no_effect = matches!(first.class(), Class::Rejected | Class::Unavailable);
        let spent = matches!(first.code(), Some("budget" | "deadline"));
        if !had_no_effect || spent {
            counted.end(&first, false);
            return first;
        }
        let second = self.by(id, slot, current, op, until).await;
        if is_ours(&second) {
            counted.end(&first, false);
            return first;
        }
        counted.end(&first, matches!(second.class(), Class::Ok | Class::Declined));
        second
    }

    /// One operation with one set of a channel's settings.
    async fn by(
        &self,
        id: &ChannelId,
        slot: &Slot,
        channel: &Channel,
        op: &Operation,
        until: Timestamp,
    ) -> Answer {
        if (self.clock)() >= until {
            return op.unavailable(Fault::new("deadline", LATE));
        }
        let deadline = self.deadline(channel, until);
        let mut verdict = match channel.codec.request(op, &self.stamp()) {
            Ok(verdict) => verdict,
            Err(why) => return op.rejected(Fault::new("unsupported", why.0)),
        };
        for _ in 0..STEPS_MAX {
            let (request, step) = match verdict {
                Verdict::Done(answer) => return answer,
                Verdict::Ask(request, step) => (request, step),
            };
            let reply = self.send(id, channel, request, &step, deadline, until).await;
            verdict = self.read(id, slot, channel, op, &step, &reply);
        }
        match verdict {
            Verdict::Done(answer) => answer,
            Verdict::Ask(..) => {
                op.unknown(Fault::new("too_many_steps", "the provider's answers led nowhere"))
            }
        }
    }

    /// What a reply means: by the settings that asked, or, when those cannot make sure of it,
    /// by any others that are still believed.
    fn read(
        &self,
        id: &ChannelId,
        slot: &Slot,
        channel: &Channel,
        op: &Operation,
        step: &Step,
        reply: &Reply,
    ) -> Verdict {
        let stamp = self.stamp();
        let verdict = channel.codec.reply(op, step, reply, &stamp);
        let is_sure = |v: &Verdict| !matches!(v, Verdict::Done(a) if a.class() == Class::Unknown);
        if is_sure(&verdict) || !matches!(reply, Reply::Answered(_)) {
            return verdict;
        }
        let others = slot.believed(stamp.now);
        let others = others.iter().filter(|other| !std::ptr::eq(&raw const ***other, channel));
        let second = others.map(|other| other.codec.reply(op, step, reply, &stamp)).find(is_sure);
        if second.is_some() {
            metrics::counter!("evergate_former_keys_believed_total", "channel" => id.to_string())
                .increment(1);
        }
        second.unwrap_or(verdict)
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
        let Ok(_permit) = channel.line.budget.try_acquire() else {
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
            return whole(deadline, &channel.line.http, request).await;
        };
        let http = &channel.line.http;
        let bearer =
            |disbelieved| channel.purse.bearer(login, http, &self.clock, deadline, disbelieved);
        let first = match bearer(None).await {
            Ok(token) => token,
            Err(cause) => return Reply::NotSent(cause),
        };
        if (self.clock)() >= until {
            return not_sent("deadline", LATE);
        }
        let reply = whole(deadline, http, carrying(&request, &first)).await;
        if !matches!(&reply, Reply::Answered(response) if login.disbelieved(response)) {
            return reply;
        }
        match bearer(Some(&first)).await {
            Ok(second) if (self.clock)() < until && Instant::now() < deadline => {
                whole(deadline, http, carrying(&request, &second)).await
            }
            Ok(_) => not_sent("deadline", LATE),
            // The first request was refused at the door, so nothing has happened.
            Err(cause) => Reply::NotSent(cause),
        }
    }
}

/// Counts a call that was made while settings are tried.
fn tell_arm(channel: &ChannelId, arm: &'static str, answer: &Answer) {
    metrics::counter!(
        "evergate_config_calls_total",
        "channel" => channel.to_string(), "arm" => arm, "class" => answer.class().name()
    )
    .increment(1);
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
