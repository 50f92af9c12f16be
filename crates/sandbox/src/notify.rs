//! Telling merchants: a delay queue of notices, delivered by each provider's own schedule.
//!
//! One task keeps the queue; deliveries run beside it, at most [`CONCURRENT`] at a time. What a
//! notice says and how it is signed belongs to the providers' modules.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::books::{Millis, ProviderKind};
use crate::clock;
use crate::control::lock;
use crate::faults::{Fault, Forgery};
use crate::keys::SigningKey;
use crate::state::{Scene, State};
use crate::{alipay, paypal, stripe, unionpay, wechatpay};

/// Deliveries that may be on their way at once.
const CONCURRENT: usize = 128;
/// Lines of the delivery log that are kept.
const LOG_MAX: usize = 10_000;
/// How long a merchant may take to answer; not scaled, since merchants run on real time.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How soon after the event the first delivery starts, milliseconds, before scaling.
const FIRST_DELAY_MS: Millis = 200;

/// What is told, in the provider's own terms.
#[derive(Clone)]
pub(crate) enum Content {
    Alipay(alipay::Notification),
    WechatPay(wechatpay::Notification),
    Stripe(stripe::Notification),
    UnionPay(unionpay::Notification),
    Paypal(paypal::Notification),
}

/// Something to tell a merchant.
#[derive(Clone)]
pub(crate) struct Notice {
    pub(crate) scene: Scene,
    pub(crate) url: String,
    pub(crate) order_no: String,
    pub(crate) event: String,
    /// Milliseconds to wait before the first delivery, after scaling.
    pub(crate) after_ms: Millis,
    pub(crate) content: Content,
}

/// A delivery, signed and ready.
pub(crate) struct Outgoing {
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryResult {
    /// The merchant took it.
    Acknowledged,
    /// The merchant answered something else.
    Refused {
        /// HTTP status.
        status: u16,
    },
    /// No answer came.
    Unanswered {
        /// What happened on the way.
        error: String,
    },
    /// A fault lost it on purpose.
    Lost,
}

/// One line of the delivery log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// When the delivery ended.
    pub at_ms: Millis,
    /// Who tells.
    pub provider: ProviderKind,
    /// The account's name.
    pub account: String,
    /// The merchant's order number, or Stripe's object id.
    pub order_no: String,
    /// `TRADE_SUCCESS`, `TRANSACTION.SUCCESS`, `payment_intent.succeeded`, …
    pub event: String,
    /// Where to.
    pub url: String,
    /// 1 for the first delivery.
    pub attempt: usize,
    /// A forgery that a fault asked for.
    pub forged: bool,
    /// How it ended.
    pub result: DeliveryResult,
    /// Milliseconds until the next try, when there is one.
    pub next_in_ms: Option<Millis>,
}

struct Job {
    due: Instant,
    /// Jobs of the same moment leave in the order in which they came.
    order: u64,
    notice: Arc<Notice>,
    attempt: usize,
    forgery: Option<Forgery>,
    /// Extra copies and forgeries are sent once only.
    resend: bool,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.order) == (other.due, other.order)
    }
}
impl Eq for Job {}
impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.order).cmp(&(other.due, other.order))
    }
}

/// The door to the queue.
#[derive(Clone)]
pub(crate) struct Notifier {
    // Unbounded, because orders are too: the books keep more for each than the queue does.
    queue: mpsc::UnboundedSender<Job>,
    log: Arc<Mutex<VecDeque<Delivery>>>,
}

/// The other end of the queue, until it is run.
pub(crate) struct Queue {
    jobs: mpsc::UnboundedReceiver<Job>,
    notifier: Notifier,
}

impl Notifier {
    pub(crate) fn new() -> (Self, Queue) {
        let (queue, jobs) = mpsc::unbounded_channel();
        let notifier = Self { queue, log: Arc::default() };
        (notifier.clone(), Queue { jobs, notifier })
    }

    /// The newest deliveries, oldest first.
    pub(crate) fn log(&self) -> Vec<Delivery> {
        lock(&self.log).iter().cloned().collect()
    }

    fn record(&self, delivery: Delivery) {
        let mut log = lock(&self.log);
        if log.len() == LOG_MAX {
            log.pop_front();
        }
        log.push_back(delivery);
    }

    fn push(&self, notice: &Arc<Notice>, after_ms: Millis, attempt: usize, how: How) {
        let wait = Duration::from_millis(u64::try_from(after_ms).unwrap_or(0));
        let (forgery, resend) = match how {
            How::Genuine => (None, true),
            How::Copy => (None, false),
            How::Forged(forgery) => (Some(forgery), false),
        };
        let job = Job {
            due: Instant::now() + wait,
            order: 0,
            notice: Arc::clone(notice),
            attempt,
            forgery,
            resend,
        };
        // The queue is gone only when the sandbox stops, and then nobody is told any more.
        let _ = self.queue.send(job);
    }
}

enum How {
    Genuine,
    Copy,
    Forged(Forgery),
}

impl State {
    /// Queues a notice, with whatever a fault makes of it.
    pub(crate) fn notify(&self, notice: Notice) {
        let fault = self.fault(&notice.scene);
        let after = notice.after_ms + self.scaled(FIRST_DELAY_MS);
        let notice = Arc::new(notice);
        let genuine = |delay| self.notifier.push(&notice, after + delay, 1, How::Genuine);
        match fault {
            Some(Fault::MissingNotification) => {
                self.notifier.record(line(&notice, 1, false, DeliveryResult::Lost, None));
            }
            Some(Fault::LateNotification { delay_ms }) => {
                genuine(i64::try_from(delay_ms).unwrap_or(i64::MAX / 2));
            }
            Some(Fault::DuplicateNotification { copies }) => {
                genuine(0);
                for _ in 0..copies {
                    self.notifier.push(&notice, after, 1, How::Copy);
                }
            }
            Some(Fault::ForgedNotification { forgery, alone }) => {
                self.notifier.push(&notice, after, 1, How::Forged(forgery));
                if !alone {
                    genuine(0);
                }
            }
            _ => genuine(0),
        }
    }
}

fn line(
    notice: &Notice,
    attempt: usize,
    forged: bool,
    result: DeliveryResult,
    next_in_ms: Option<Millis>,
) -> Delivery {
    Delivery {
        at_ms: clock::now_ms(),
        provider: notice.scene.provider,
        account: notice.scene.account.clone(),
        order_no: notice.order_no.clone(),
        event: notice.event.clone(),
        url: notice.url.clone(),
        attempt,
        forged,
        result,
        next_in_ms,
    }
}

impl Queue {
    /// Delivers until `stop`; deliveries that are on their way then are given up.
    pub(crate) async fn run(
        mut self,
        client: reqwest::Client,
        scale: f64,
        stop: CancellationToken,
    ) {
        let postman = Arc::new(Postman {
            client,
            scale,
            notifier: self.notifier.clone(),
            stranger: std::sync::OnceLock::new(),
        });
        let slots = Arc::new(Semaphore::new(CONCURRENT));
        let running = TaskTracker::new();
        let mut waiting: BinaryHeap<Reverse<Job>> = BinaryHeap::new();
        let mut order = 0;
        loop {
            let due = waiting.peek().map(|Reverse(job)| job.due);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(due), if due.is_some() => {
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
                    if let Some(Reverse(job)) = waiting.pop() {
                        let (postman, stop) = (Arc::clone(&postman), stop.clone());
                        running.spawn(async move {
                            tokio::select! {
                                () = postman.deliver(job) => {}
                                () = stop.cancelled() => {}
                            }
                            drop(slot);
                        });
                    }
                }
                job = self.jobs.recv() => {
                    let Some(mut job) = job else { break };
                    order += 1;
                    job.order = order;
                    waiting.push(Reverse(job));
                }
            }
        }
        running.close();
        running.wait().await;
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

struct Postman {
    client: reqwest::Client,
    scale: f64,
    notifier: Notifier,
    /// The key that forgeries are signed with, made when the first one is wanted.
    stranger: std::sync::OnceLock<SigningKey>,
}

impl Postman {
    async fn deliver(&self, job: Job) {
        let notice = &job.notice;
        let forgery = job.forgery.map(|how| (how, self.stranger.get_or_init(SigningKey::generate)));
        let now = clock::now_ms();
        let outgoing = match &notice.content {
            Content::Alipay(content) => content.outgoing(forgery, now),
            Content::WechatPay(content) => content.outgoing(forgery, now),
            Content::Stripe(content) => content.outgoing(forgery, now),
            Content::UnionPay(content) => content.outgoing(forgery),
            Content::Paypal(content) => content.outgoing(forgery, now),
        };
        let result = self.post(notice, outgoing).await;
        let failed = result != DeliveryResult::Acknowledged;
        let next = if failed && job.resend { self.next_in(notice, job.attempt) } else { None };
        self.notifier.record(line(notice, job.attempt, forgery.is_some(), result, next));
        if let Some(wait) = next {
            self.notifier.push(notice, wait, job.attempt + 1, How::Genuine);
        }
    }

    fn next_in(&self, notice: &Notice, attempt: usize) -> Option<Millis> {
        let schedule = match notice.content {
            Content::Alipay(_) => alipay::RESENDS_S,
            Content::WechatPay(_) => wechatpay::RESENDS_S,
            Content::Stripe(_) => stripe::RESENDS_S,
            Content::UnionPay(_) => unionpay::RESENDS_S,
            Content::Paypal(_) => paypal::RESENDS_S,
        };
        let wait_s = schedule.get(attempt - 1)?;
        Some((*wait_s as f64 * 1_000.0 * self.scale) as Millis)
    }

    async fn post(&self, notice: &Notice, outgoing: Outgoing) -> DeliveryResult {
        let mut request = self
            .client
            .post(&notice.url)
            .timeout(ANSWER_WITHIN)
            .header(http::header::CONTENT_TYPE, outgoing.content_type)
            .body(outgoing.body);
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return unanswered(error),
        };
        let status = answer.status();
        let taken = match &notice.content {
            // Alipay reads the body, and only these seven bytes will do.
            Content::Alipay(_) => match answer.bytes().await {
                Ok(body) => status.is_success() && body.as_ref() == b"success",
                Err(error) => return unanswered(error),
            },
            Content::WechatPay(_) => matches!(status.as_u16(), 200 | 204),
            Content::UnionPay(_) => status.as_u16() == 200,
            Content::Stripe(_) | Content::Paypal(_) => status.is_success(),
        };
        if taken {
            DeliveryResult::Acknowledged
        } else {
            DeliveryResult::Refused { status: status.as_u16() }
        }
    }
}

fn unanswered(error: reqwest::Error) -> DeliveryResult {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    DeliveryResult::Unanswered { error: text }
}
