//! An office with a desk: the real engine and the real desk over books in memory, providers that
//! are down or silent, staff who press buttons, and a process that may die at every commit of
//! the payment's books and of the desk's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::*;
use engine::{Caller, Channel, Engine, NewPayment, NoMessages, Options, Parts};
use providers::Capabilities;
use recovery::assist::{AssistError, Desk, Limits, NewCase, NewTaking, Word};
use store::*;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::town::{Counted, Trouble, Wound, shop};

/// The next trouble, and how many commits go well before it.
#[derive(Default)]
pub(crate) struct Troubles {
    next: Mutex<Option<(usize, Trouble)>>,
    seen: AtomicU64,
    died: Notify,
    is_dead: AtomicBool,
}

impl Troubles {
    fn take(&self) -> Option<Trouble> {
        self.seen.fetch_add(1, Ordering::SeqCst);
        let mut next = self.next.lock().unwrap();
        match &mut *next {
            Some((0, trouble)) => {
                let trouble = *trouble;
                *next = None;
                Some(trouble)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    async fn die(&self) -> ! {
        self.is_dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
        std::future::pending::<()>().await;
        unreachable!("nobody polls a dead process")
    }

    async fn commit<F: Future<Output = Commit>>(&self, commit: F) -> Commit {
        let lost = || StoreError::Unavailable("the disk".into());
        match self.take() {
            None => commit.await,
            Some(Trouble::Failed) => Commit::Failed(lost()),
            Some(Trouble::UnknownNot) => Commit::Unknown(lost()),
            Some(Trouble::UnknownDone) => {
                let _ = commit.await;
                Commit::Unknown(lost())
            }
            Some(Trouble::DiesBefore) => self.die().await,
            Some(Trouble::DiesAfter) => {
                let _ = commit.await;
                self.die().await
            }
        }
    }
}

/// Books that have trouble when a test says so.
pub(crate) struct Ailing {
    books: Arc<MemoryStore>,
    troubles: Arc<Troubles>,
}

#[async_trait]
impl AssistBooks for Ailing {
    async fn assist_commit(&self, change: AssistChange) -> Commit {
        self.troubles.commit(self.books.assist_commit(change)).await
    }
    async fn assist_was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        self.books.assist_was_committed(change).await
    }
    async fn assist_case(&self, id: &str) -> Result<Option<KeptCase>, StoreError> {
        self.books.assist_case(id).await
    }
    async fn assist_of(&self, payment: PaymentId) -> Result<Option<KeptCase>, StoreError> {
        self.books.assist_of(payment).await
    }
    async fn assist_by_reference(&self, key: &str) -> Result<Option<KeptCase>, StoreError> {
        self.books.assist_by_reference(key).await
    }
    async fn assist_list(&self, filter: &AssistFilter) -> Result<Vec<KeptCase>, StoreError> {
        self.books.assist_list(filter).await
    }
    async fn assist_history(&self, case: &str) -> Result<Vec<AssistLine>, StoreError> {
        self.books.assist_history(case).await
    }
    async fn assist_tally(&self, id: &str) -> Result<Option<(u64, AssistTally)>, StoreError> {
        self.books.assist_tally(id).await
    }
    async fn assist_totals(&self) -> Result<Vec<AssistTotal>, StoreError> {
        self.books.assist_totals().await
    }
}

#[async_trait]
impl Store for Ailing {
    async fn commit(&self, change: Change) -> Commit {
        self.troubles.commit(self.books.commit(change)).await
    }
    async fn was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        self.books.was_committed(change).await
    }
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.books.payment(id).await
    }
    async fn payment_by_order(
        &self,
        merchant: &MerchantId,
        order: &OrderNo,
    ) -> Result<Option<Payment>, StoreError> {
        self.books.payment_by_order(merchant, order).await
    }
    async fn request(
        &self,
        merchant: &MerchantId,
        key: &str,
    ) -> Result<Option<RequestRecord>, StoreError> {
        self.books.request(merchant, key).await
    }
    async fn list(&self, filter: &Filter) -> Result<Vec<Payment>, StoreError> {
        self.books.list(filter).await
    }
    async fn queue(&self, except: &[Purpose], limit: usize) -> Result<Vec<PaymentId>, StoreError> {
        self.books.queue(except, limit).await
    }
    async fn count_by_status(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        self.books.count_by_status().await
    }
    async fn story(&self, id: PaymentId) -> Result<Vec<Event>, StoreError> {
        self.books.story(id).await
    }
    async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        owner: &str,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        self.books.claim_due(now, lease_until, owner, limit).await
    }
    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<(), StoreError> {
        self.books.release(claim, due_at).await
    }
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.books.next_due().await
    }
    async fn claim_messages(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.books.claim_messages(now, lease_until, limit).await
    }
    async fn message_tried(&self, id: &str, fence: u64, end: MessageEnd) -> Result<(), StoreError> {
        self.books.message_tried(id, fence, end).await
    }
    async fn messages(
        &self,
        state: Option<MessageState>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.books.messages(state, limit).await
    }
    async fn resend_message(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        self.books.resend_message(id, now).await
    }
    async fn controls(&self) -> Result<Controls, StoreError> {
        self.books.controls().await
    }
    async fn set_controls(&self, next: &Controls, audit: AuditLine) -> Result<bool, StoreError> {
        self.books.set_controls(next, audit).await
    }
    async fn note(&self, line: AuditLine) -> Result<(), StoreError> {
        self.books.note(line).await
    }
    async fn audit(&self, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        self.books.audit(limit).await
    }
    async fn audit_page(
        &self,
        filter: &store::AuditFilter,
    ) -> Result<Vec<(u64, AuditLine)>, StoreError> {
        self.books.audit_page(filter).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.books.ping().await
    }
}

/// How a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    /// It answers.
    Fine,
    /// It refuses connections.
    Down,
    /// It takes orders and never answers.
    Silent,
}

/// A provider whose customers pay when a test says so.
pub(crate) struct Provider {
    orders: Mutex<HashMap<String, (Money, &'static str)>>,
    refunds: Mutex<HashMap<String, Money>>,
    pub(crate) weather: Mutex<Weather>,
}

impl Provider {
    /// The customer pays, if the order can be paid.
    pub(crate) fn pay(&self, number: &ProviderOrderNo) -> bool {
        match self.orders.lock().unwrap().get_mut(number.as_str()) {
            Some((_, state)) if *state == "payable" => {
                *state = "paid";
                true
            }
            _ => false,
        }
    }

    /// What the provider holds of customers' money, in minor units.
    pub(crate) fn holds(&self) -> i64 {
        let paid = self.orders.lock().unwrap();
        let paid = paid.values().filter(|(_, state)| *state == "paid").map(|(m, _)| m.minor());
        paid.sum::<i64>() - self.refunds.lock().unwrap().values().map(|m| m.minor()).sum::<i64>()
    }

    fn answer(&self, op: &Operation) -> Answer {
        let mut orders = self.orders.lock().unwrap();
        let number = op.number().as_str().to_owned();
        let receipt =
            |money: Money| Receipt { reference: "w".into(), captured: money, paid_at: None };
        let known = orders.get(&number).copied();
        match op {
            Operation::Create(order) if order.flow == Flow::Direct => {
                orders.insert(number, (order.money, "paid"));
                Answer::Create(Outcome::Ok(Created::Paid(receipt(order.money))))
            }
            Operation::Create(order) => {
                orders.entry(number.clone()).or_insert((order.money, "payable"));
                let presentation = Presentation::QrCode { content: number };
                let shown = Created::Presented { presentation, reference: None };
                Answer::Create(Outcome::Ok(shown))
            }
            Operation::Query(_) => Answer::Query(Outcome::Ok(match known {
                Some((money, "paid")) => OrderState::Paid(receipt(money)),
                Some((_, "closed")) => OrderState::Closed,
                Some(_) => OrderState::Payable,
                None => OrderState::NotFound,
            })),
            Operation::Close(order, _) => Answer::Close(Outcome::Ok(match known {
                Some((money, "paid")) => CloseState::AlreadyPaid(Some(receipt(money))),
                _ => {
                    orders.insert(number, (order.money, "closed"));
                    CloseState::Closed
                }
            })),
            Operation::Refund(refund) => {
                let number = refund.number.to_string();
                self.refunds.lock().unwrap().insert(number, refund.amount);
                Answer::Refund(Outcome::Ok(RefundState::Succeeded))
            }
            Operation::QueryRefund(refund) => {
                let known = self.refunds.lock().unwrap().contains_key(refund.number.as_str());
                let state = if known { RefundState::Succeeded } else { RefundState::NotFound };
                Answer::QueryRefund(Outcome::Ok(state))
            }
        }
    }
}

#[async_trait]
impl Caller for Provider {
    async fn call(&self, _: &ChannelId, op: &Operation, _: Timestamp) -> Answer {
        let fault = |code| Fault::new(code, "no answer");
        let weather = *self.weather.lock().unwrap();
        match (weather, op) {
            (Weather::Fine, _) => self.answer(op),
            (Weather::Down, _) => op.unavailable(fault("connect")),
            (Weather::Silent, Operation::Create(_)) => {
                let _ = self.answer(op);
                op.unknown(fault("timeout"))
            }
            (Weather::Silent, _) => op.unknown(fault("timeout")),
        }
    }
}

pub(crate) struct Office {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) clock: Arc<Wound>,
    entropy: Arc<Counted>,
    limits: Limits,
    troubles: Arc<Troubles>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) desk: Arc<Desk>,
    orders: u32,
}

pub(crate) fn word(by: &str) -> Word {
    Word { by: by.into(), reason: "the customer called".into() }
}

pub(crate) fn cash(reference: &str, minor: i64) -> NewTaking {
    NewTaking {
        kind: OfflineKind::Cash,
        reference: reference.into(),
        money: Money::new(minor, Currency::CNY).unwrap(),
        taken_at: None,
    }
}

impl Office {
    pub(crate) fn new(limits: Limits) -> Office {
        let store = Arc::new(MemoryStore::new());
        let provider = Arc::new(Provider {
            orders: Mutex::default(),
            refunds: Mutex::default(),
            weather: Mutex::new(Weather::Fine),
        });
        let clock = Arc::new(Wound(AtomicI64::new(1_795_000_000_000_000)));
        let entropy = Arc::new(Counted(AtomicU64::new(1)));
        let troubles = Arc::<Troubles>::default();
        let parts = (Arc::clone(&store), Arc::clone(&troubles));
        let (engine, desk) = start(parts, &provider, &clock, &entropy, &limits);
        Office { store, provider, clock, entropy, limits, troubles, engine, desk, orders: 0 }
    }

    /// A new process on the same books.
    pub(crate) fn restart(&mut self) {
        self.troubles = Arc::default();
        let parts = (Arc::clone(&self.store), Arc::clone(&self.troubles));
        (self.engine, self.desk) =
            start(parts, &self.provider, &self.clock, &self.entropy, &self.limits);
    }

    /// The commit after `later` others has this trouble.
    pub(crate) fn trouble(&self, later: usize, trouble: Trouble) {
        *self.troubles.next.lock().unwrap() = Some((later, trouble));
    }

    /// How many commits there were since the start.
    pub(crate) fn commits(&self) -> u64 {
        self.troubles.seen.load(Ordering::SeqCst)
    }

    /// Whether the trouble that was asked for has come.
    pub(crate) fn is_calm(&self) -> bool {
        self.troubles.next.lock().unwrap().is_none()
    }

    /// Does something until it ends or the process dies; then another one starts.
    pub(crate) async fn until_death<T>(
        &mut self,
        act: impl AsyncFnOnce(&Office) -> T,
    ) -> Option<T> {
        let troubles = Arc::clone(&self.troubles);
        let ended = tokio::select! {
            biased;
            ended = act(self) => Some(ended),
            () = troubles.died.notified() => None,
        };
        if troubles.is_dead.load(Ordering::SeqCst) {
            self.restart();
        }
        ended
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// When the test began.
    pub(crate) fn began(&self) -> Timestamp {
        Timestamp::from_micros(1_795_000_000_000_000)
    }

    pub(crate) fn weather(&self, weather: Weather) {
        *self.provider.weather.lock().unwrap() = weather;
    }

    pub(crate) fn wind(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    pub(crate) fn next_order(&mut self, minor: i64) -> NewPayment {
        self.orders += 1;
        NewPayment {
            merchant: shop(),
            order: OrderNo::new(&format!("o-{}", self.orders)).unwrap(),
            money: Money::new(minor, Currency::CNY).unwrap(),
            terms: Terms {
                methods: vec![Method::Alipay],
                subject: "tea".into(),
                tier: Tier::Vip,
                ..Terms::default()
            },
            expires_in: Some(Duration::from_secs(6 * 3_600)),
        }
    }

    pub(crate) async fn create(&mut self, minor: i64) -> Payment {
        let wish = self.next_order(minor);
        self.engine.create(wish, None).await.unwrap().0
    }

    pub(crate) async fn open(&self, payment: &Payment) -> Case {
        self.try_open(payment.id).await.unwrap()
    }

    pub(crate) async fn try_open(&self, payment: PaymentId) -> Result<Case, AssistError> {
        let opener = Opener::Operator;
        let new = NewCase { payment, merchant: None, opener, word: word("li") };
        self.desk.open(&new).await.map(|(case, _)| case)
    }

    pub(crate) async fn reload(&self, id: PaymentId) -> Payment {
        self.store.payment(id).await.unwrap().unwrap()
    }

    pub(crate) async fn payments(&self) -> Vec<Payment> {
        let filter = Filter { limit: 10_000, ..Filter::default() };
        self.store.list(&filter).await.unwrap()
    }

    pub(crate) async fn cases(&self) -> Vec<Case> {
        let all = AssistFilter { states: Vec::new(), newest_first: true, ..AssistFilter::queue() };
        self.desk.list(&all).await.unwrap()
    }

    /// Performs everything that is due now.
    pub(crate) async fn work(&self) {
        for _ in 0..400 {
            let claims = self.engine.claim(10).await.unwrap();
            if claims.is_empty() {
                return;
            }
            for claim in claims {
                // A claim that was not performed runs out by itself.
                let _ = self.engine.perform(claim).await;
            }
        }
        panic!("work does not end");
    }
}

fn start(
    (store, troubles): (Arc<MemoryStore>, Arc<Troubles>),
    provider: &Arc<Provider>,
    clock: &Arc<Wound>,
    entropy: &Arc<Counted>,
    limits: &Limits,
) -> (Arc<Engine>, Arc<Desk>) {
    let books = Arc::new(Ailing { books: store, troubles });
    let parts = Parts {
        store: Arc::clone(&books) as _,
        caller: Arc::clone(provider) as _,
        clock: Arc::clone(clock) as _,
        entropy: Arc::clone(entropy) as _,
        render: Arc::new(NoMessages),
        owner: "test".into(),
    };
    let channels =
        vec![channel("alipay-main", Method::Alipay), channel("wechat-main", Method::WechatPay)];
    let engine = Engine::new(parts, Options::new(channels), resilience::Settings::default());
    let engine = Arc::new(engine);
    let desk = Desk::new(books, Arc::clone(&engine), Arc::clone(entropy) as _, limits.clone());
    (engine, Arc::new(desk))
}

fn channel(name: &str, method: Method) -> Channel {
    Channel {
        id: ChannelId::new(name).unwrap(),
        capabilities: Capabilities {
            query_schedule: Schedule {
                waits: vec![Duration::from_secs(60)],
                then_every: Duration::from_secs(600),
            },
            ..Capabilities::plain("office", vec![(method, Flow::Presented)], &[Currency::CNY])
        },
        call_timeout: Duration::from_secs(3),
        max_per_second: None,
    }
}
