//! A town with a bank account, a wallet, customers and clerks: the real engine and the real
//! ledger over books in memory, where a process may die at every commit of the ledger.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::*;
use engine::{Caller, Channel, Clock, Engine, Entropy, NewPayment, NoMessages, Options, Parts};
use providers::Capabilities;
use providers::bank::BankSettings;
use recovery::bank::{BankError, Desk, Imported, Ledger, Upload, Word};
use store::{
    BankBooks, BankChange, BankFilter, BankKind, BankLine, BankRecord, BankTotal, Commit, Kept,
    MemoryStore, Payout, Store, StoreError, Transfer,
};
use tokio::sync::Notify;
use uuid::Uuid;

pub(crate) const DAY: i64 = 86_400;

/// A clock that a test winds.
pub(crate) struct Wound(pub(crate) AtomicI64);

impl Clock for Wound {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Counted(pub(crate) AtomicU64);

impl Entropy for Counted {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        Uuid::from_u128((u128::try_from(now.as_millis()).unwrap() << 80) | u128::from(n))
    }

    fn dice(&self) -> f64 {
        0.5
    }
}

/// What goes wrong with a commit of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Surely not done.
    Failed,
    /// Done, and nobody is told.
    UnknownDone,
    /// Not done, and nobody is told.
    UnknownNot,
    /// The process dies before it.
    DiesBefore,
    /// The process dies after it, and nobody hears the answer.
    DiesAfter,
}

/// Books that have trouble when a test says so.
pub(crate) struct Troubled {
    books: Arc<MemoryStore>,
    next: Mutex<Option<Trouble>>,
    died: Notify,
    is_dead: AtomicBool,
}

impl Troubled {
    async fn die(&self) -> ! {
        self.is_dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
        std::future::pending::<()>().await;
        unreachable!("nobody polls a dead process")
    }
}

#[async_trait]
impl BankBooks for Troubled {
    async fn bank_commit(&self, change: BankChange) -> Commit {
        let trouble = self.next.lock().unwrap().take();
        let lost = || StoreError::Unavailable("the disk".into());
        match trouble {
            None => self.books.bank_commit(change).await,
            Some(Trouble::Failed) => Commit::Failed(lost()),
            Some(Trouble::UnknownNot) => Commit::Unknown(lost()),
            Some(Trouble::UnknownDone) => {
                let _ = self.books.bank_commit(change).await;
                Commit::Unknown(lost())
            }
            Some(Trouble::DiesBefore) => self.die().await,
            Some(Trouble::DiesAfter) => {
                let _ = self.books.bank_commit(change).await;
                self.die().await
            }
        }
    }

    async fn bank_was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        self.books.bank_was_committed(change).await
    }

    async fn bank_record(&self, kind: BankKind, id: &str) -> Result<Option<Kept>, StoreError> {
        self.books.bank_record(kind, id).await
    }

    async fn bank_find(&self, kind: BankKind, key: &str) -> Result<Vec<Kept>, StoreError> {
        self.books.bank_find(kind, key).await
    }

    async fn bank_list(&self, filter: &BankFilter) -> Result<Vec<Kept>, StoreError> {
        self.books.bank_list(filter).await
    }

    async fn bank_history(&self, about: &str) -> Result<Vec<BankLine>, StoreError> {
        self.books.bank_history(about).await
    }

    async fn bank_totals(&self) -> Result<Vec<BankTotal>, StoreError> {
        self.books.bank_totals().await
    }
}

/// A wallet whose customers pay when a test says so.
#[derive(Default)]
pub(crate) struct Wallet {
    orders: Mutex<HashMap<String, (Money, &'static str)>>,
    refunds: Mutex<HashMap<String, Money>>,
}

impl Wallet {
    /// The customer pays, if the code can still be paid.
    pub(crate) fn pay(&self, number: &ProviderOrderNo) -> bool {
        match self.orders.lock().unwrap().get_mut(number.as_str()) {
            Some((_, state)) if *state == "payable" => {
                *state = "paid";
                true
            }
            _ => false,
        }
    }
}

#[async_trait]
impl Caller for Wallet {
    async fn call(&self, _: &ChannelId, op: &Operation, _: Timestamp) -> Answer {
        let mut orders = self.orders.lock().unwrap();
        let number = op.number().as_str().to_owned();
        let receipt =
            |money: Money| Receipt { reference: "w".into(), captured: money, paid_at: None };
        let known = orders.get(&number).copied();
        match op {
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

struct Both {
    ledger: Arc<Ledger>,
    wallet: Arc<Wallet>,
}

#[async_trait]
impl Caller for Both {
    async fn call(&self, channel: &ChannelId, op: &Operation, until: Timestamp) -> Answer {
        if self.ledger.has(channel) {
            return self.ledger.call(channel, op, until).await;
        }
        self.wallet.call(channel, op, until).await
    }
}

/// One movement of the account, as the bank has it.
#[derive(Clone, Debug)]
pub(crate) struct Movement {
    pub(crate) id: u32,
    pub(crate) day: String,
    /// Positive: it came.
    pub(crate) minor: i64,
    pub(crate) text: String,
}

pub(crate) struct Town {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) clock: Arc<Wound>,
    entropy: Arc<Counted>,
    settings: BankSettings,
    pub(crate) books: Arc<Troubled>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) desk: Arc<Desk>,
    /// What the bank has booked.
    pub(crate) account: Vec<Movement>,
    orders: u32,
}

pub(crate) fn bank() -> ChannelId {
    ChannelId::new("bank-main").unwrap()
}

pub(crate) fn shop() -> MerchantId {
    MerchantId::new("shop").unwrap()
}

pub(crate) fn word(by: &str) -> Word {
    Word { by: by.into(), reason: "looked at it".into() }
}

/// Settings as the configuration would hold them, with more of them.
pub(crate) fn settings(more: serde_json::Value) -> BankSettings {
    let mut all = serde_json::json!({
        "payee": "Shop", "bank": "Bank", "account": "62220001", "utc_offset_minutes": 0,
        "statements": [{
            "type": "csv", "account": "62220001", "currency": "CNY",
            "columns": { "booked_on": "date", "amount": "amount", "bank_reference": "id",
                         "counterparty_account": "from", "text": ["text"] },
        }],
    });
    for (name, value) in more.as_object().unwrap() {
        all[name] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

impl Town {
    pub(crate) fn new(settings: BankSettings) -> Town {
        let store = Arc::new(MemoryStore::new());
        let wallet = Arc::new(Wallet::default());
        let clock = Arc::new(Wound(AtomicI64::new(1_795_000_000_000_000)));
        let entropy = Arc::new(Counted(AtomicU64::new(1)));
        let (books, engine, desk) = start(&store, &wallet, &clock, &entropy, &settings);
        Town {
            store,
            wallet,
            clock,
            entropy,
            settings,
            books,
            engine,
            desk,
            account: Vec::new(),
            orders: 0,
        }
    }

    /// A new process on the same books.
    pub(crate) fn restart(&mut self) {
        let (books, engine, desk) =
            start(&self.store, &self.wallet, &self.clock, &self.entropy, &self.settings);
        (self.books, self.engine, self.desk) = (books, engine, desk);
    }

    /// The ledger's next commit has this trouble.
    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        *self.books.next.lock().unwrap() = trouble;
    }

    /// Does something until it ends or the process dies; then another one starts.
    pub(crate) async fn until_death<T>(&mut self, act: impl AsyncFnOnce(&Town) -> T) -> Option<T> {
        let books = Arc::clone(&self.books);
        let ended = tokio::select! {
            biased;
            ended = act(self) => Some(ended),
            () = books.died.notified() => None,
        };
        if books.is_dead.load(Ordering::SeqCst) {
            self.restart();
        }
        ended
    }

    pub(crate) fn wind(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    pub(crate) fn next_order(&mut self, minor: i64, methods: &[Method]) -> NewPayment {
        self.orders += 1;
        NewPayment {
            merchant: shop(),
            order: OrderNo::new(&format!("o-{}", self.orders)).unwrap(),
            money: Money::new(minor, Currency::CNY).unwrap(),
            terms: Terms { methods: methods.to_vec(), subject: "tea".into(), ..Terms::default() },
            expires_in: None,
        }
    }

    pub(crate) async fn create(&mut self, minor: i64) -> Payment {
        let wish = self.next_order(minor, &[Method::BankTransfer]);
        self.engine.create(wish, None).await.unwrap().0
    }

    pub(crate) async fn reload(&self, id: PaymentId) -> Payment {
        self.store.payment(id).await.unwrap().unwrap()
    }

    pub(crate) async fn payments(&self) -> Vec<Payment> {
        let filter = store::Filter { limit: 10_000, ..store::Filter::default() };
        self.store.list(&filter).await.unwrap()
    }

    /// Performs everything that is due now.
    pub(crate) async fn work(&self) {
        for _ in 0..200 {
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

    /// The bank books a movement; a customer writes `text`.
    pub(crate) fn book(&mut self, minor: i64, text: &str) -> Movement {
        let secs = self.clock.now().as_secs();
        let day = jiff::Timestamp::from_second(secs).unwrap().strftime("%Y-%m-%d").to_string();
        let id = u32::try_from(self.account.len() + 1).unwrap();
        let movement = Movement { id, day, minor, text: text.to_owned() };
        self.account.push(movement.clone());
        movement
    }

    /// Uploads a statement of some movements.
    pub(crate) async fn import(&self, movements: &[Movement]) -> Result<Imported, BankError> {
        self.desk.import(&bank(), &upload(movements)).await
    }

    pub(crate) async fn import_all(&self) -> Imported {
        self.import(&self.account).await.unwrap()
    }

    pub(crate) async fn records(&self, kind: BankKind) -> Vec<BankRecord> {
        let kept = self.store.bank_list(&BankFilter::all(kind)).await.unwrap();
        kept.into_iter().map(|kept| kept.record).collect()
    }

    pub(crate) async fn transfers(&self) -> Vec<Transfer> {
        let records = self.records(BankKind::Transfer).await.into_iter();
        let transfer = |record| match record {
            BankRecord::Transfer(transfer) => Some(transfer),
            _ => None,
        };
        records.filter_map(transfer).collect()
    }

    pub(crate) async fn payouts(&self) -> Vec<Payout> {
        let records = self.records(BankKind::Payout).await.into_iter();
        let payout = |record| match record {
            BankRecord::Payout(payout) => Some(payout),
            _ => None,
        };
        records.filter_map(payout).collect()
    }

    /// The allotments by number.
    pub(crate) async fn allotments(&self) -> BTreeMap<String, store::Allotment> {
        let records = self.records(BankKind::Allotment).await.into_iter();
        let allotment = |record| match record {
            BankRecord::Allotment(a) => Some((a.number.to_string(), a)),
            _ => None,
        };
        records.filter_map(allotment).collect()
    }
}

pub(crate) fn upload(movements: &[Movement]) -> Upload {
    let mut text = "date,amount,id,from,text\n".to_owned();
    for m in movements {
        let sign = if m.minor < 0 { "-" } else { "" };
        let (whole, part) = (m.minor.abs() / 100, m.minor.abs() % 100);
        writeln!(text, "{},{sign}{whole}.{part:02},B{},ACC{},{}", m.day, m.id, m.id, m.text)
            .unwrap();
    }
    Upload {
        name: "file".into(),
        bytes: text.into_bytes(),
        format: None,
        dry_run: false,
        by: "li".into(),
    }
}

/// What the customer was told to write, or the account to transfer to.
pub(crate) fn mark(payment: &Payment) -> String {
    let shown = payment.attempts.iter().rev().find_map(|a| match &a.state {
        AttemptState::Presented { presentation: Presentation::BankTransfer(to), .. } => {
            Some(to.reference.clone().unwrap_or_else(|| to.account.clone()))
        }
        _ => None,
    });
    shown.unwrap()
}

type Process = (Arc<Troubled>, Arc<Engine>, Arc<Desk>);

fn start(
    store: &Arc<MemoryStore>,
    wallet: &Arc<Wallet>,
    clock: &Arc<Wound>,
    entropy: &Arc<Counted>,
    settings: &BankSettings,
) -> Process {
    let books = Arc::new(Troubled {
        books: Arc::clone(store),
        next: Mutex::new(None),
        died: Notify::new(),
        is_dead: AtomicBool::new(false),
    });
    let ledger = Arc::new(Ledger::new(
        Arc::clone(&books) as _,
        Arc::clone(clock) as _,
        Arc::clone(entropy) as _,
        HashMap::from([(bank(), settings.clone())]),
    ));
    let parts = Parts {
        store: Arc::clone(store) as _,
        caller: Arc::new(Both { ledger: Arc::clone(&ledger), wallet: Arc::clone(wallet) }),
        clock: Arc::clone(clock) as _,
        entropy: Arc::clone(entropy) as _,
        render: Arc::new(NoMessages),
        owner: "test".into(),
    };
    let channels = vec![
        channel("wallet-main", Method::Alipay, None),
        channel("bank-main", Method::BankTransfer, Some(settings.pay_within())),
    ];
    let engine = Engine::new(parts, Options::new(channels), resilience::Settings::default());
    let engine = Arc::new(engine);
    let desk = Arc::new(Desk::new(ledger, Arc::clone(&engine)));
    (books, engine, desk)
}

fn channel(name: &str, method: Method, pay_within: Option<Duration>) -> Channel {
    Channel {
        id: ChannelId::new(name).unwrap(),
        capabilities: Capabilities {
            pay_within,
            query_schedule: Schedule {
                waits: vec![Duration::from_secs(600)],
                then_every: Duration::from_secs(3 * 3600),
            },
            ..Capabilities::plain(
                "town",
                vec![(method, Flow::Presented)],
                &[Currency::CNY, Currency::USD],
            )
        },
        call_timeout: Duration::from_secs(3),
        max_per_second: None,
    }
}
