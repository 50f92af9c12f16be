//! The channel `bank-main` of a town: the real ledger, inside the process that runs the engine,
//! over books that survive it.
//!
//! There is no network on this way, so what goes wrong is what goes wrong at home: the process
//! dies before, between and after the ledger's commits, commits fail, are unknown or land when
//! nobody waits for them any more, and answers get lost. What the books say is mirrored into
//! [`Order`](crate::provider::Order), so that the checkers see one more provider.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Answer, ChannelId, Operation, Timestamp};
use engine::{Caller, Entropy};
use providers::bank::BankSettings;
use recovery::bank::Ledger;
use store::{
    Allotment, BankBooks, BankChange, BankFilter, BankKind, BankLine, BankRecord, BankTotal,
    Commit, Expecting, Kept, Payout, PayoutKind, PayoutState, StoreError,
};
use uuid::Uuid;

use crate::disk::unanswered;
use crate::executor::Wait;
use crate::faults::Fault;
use crate::host::{HostClock, Point};
use crate::paths::Path;
use crate::provider::{Back, BackState, House, State};
use crate::stream::Purpose;
use crate::wire::{Wire, fault};
use crate::world::{Event, Leaf, Run, Shared, World, place_of_number};

/// How long a town's customers may take to transfer.
pub(crate) const PAY_WITHIN: Duration = Duration::from_secs(600);

/// The bank channel's name.
pub(crate) const NAME: &str = "bank-main";

/// A process's ledger, if its world has a bank.
pub(crate) fn ledger(shared: &Arc<Shared>, proc: usize, clock: HostClock) -> Option<Arc<Ledger>> {
    let world = shared.world();
    world.town.as_ref()?;
    let channels = HashMap::from([(ChannelId::new(NAME).ok()?, settings(&world.run)?)]);
    drop(world);
    let books = Arc::new(BankDisk { shared: Arc::clone(shared), proc });
    let entropy = Arc::new(TownDice { shared: Arc::clone(shared) });
    Some(Arc::new(Ledger::new(books, Arc::new(clock), entropy, channels)))
}

/// The account. Every other town keeps what is over, and what comes late, for people; every
/// fourth gives each payment an account of its own.
fn settings(run: &Run) -> Option<BankSettings> {
    let kept = run.seed % 16 == 7;
    let (spare, late) = if kept { ("hold", "suspense") } else { ("return", "settle") };
    let own = (run.seed / 16).is_multiple_of(4);
    let identify = if own { "virtual_account" } else { "reference" };
    let settings = serde_json::json!({
        "payee": "Shop", "bank": "Bank", "account": "62220001", "utc_offset_minutes": 0,
        "identify_by": identify,
        "virtual_accounts": { "prefix": "6217", "serial_digits": 6, "check": "luhn" },
        "over": spare, "part": spare, "late": late,
        "statements": [{
            "type": "csv", "account": "62220001", "currency": "CNY",
            "columns": { "booked_on": "date", "amount": "amount", "bank_reference": "id",
                         "counterparty_account": "from", "text": ["text"] },
        }],
    });
    serde_json::from_value(settings).ok()
}

/// What a future says that waits for nothing.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(said) => Some(said),
        Poll::Pending => None,
    }
}

/// The ledger's ids; they carry no payment.
struct TownDice {
    shared: Arc<Shared>,
}

impl Entropy for TownDice {
    fn uuid(&self, now: Timestamp) -> Uuid {
        let mut world = self.shared.world();
        let Some(town) = &mut world.town else { return Uuid::nil() };
        town.ids += 1;
        let random = u128::from(town.dice.bits44());
        let ms = u128::from(now.as_millis().unsigned_abs() & 0xffff_ffff_ffff);
        Uuid::from_u128((ms << 80) | (7 << 76) | (random << 32) | u128::from(town.ids))
    }

    fn dice(&self) -> f64 {
        self.shared.world().town.as_mut().map_or(0.5, |town| town.dice.unit())
    }
}

/// A process's connection to the bank's books.
struct BankDisk {
    shared: Arc<Shared>,
    proc: usize,
}

impl BankDisk {
    async fn point(&self, point: Point) {
        let wait = self.shared.world().point(self.proc, point);
        if let Some(until) = wait {
            Wait::new(&self.shared, until).await;
        }
    }

    /// A read may be slow or fail.
    async fn read(&self) -> Result<(), StoreError> {
        self.point(Point::Read).await;
        let mut world = self.shared.world();
        let idx = world.ctx.idx;
        match world.strike(idx, Purpose::Disk, &[Fault::ReadFails]) {
            Some(_) => Err(unanswered()),
            None => Ok(()),
        }
    }

    fn books(&self) -> Result<Arc<store::MemoryStore>, StoreError> {
        let world = self.shared.world();
        world.town.as_ref().map(|town| Arc::clone(&town.books)).ok_or_else(unanswered)
    }
}

#[async_trait]
impl BankBooks for BankDisk {
    async fn bank_commit(&self, change: BankChange) -> Commit {
        self.point(Point::BeforeCommit).await;
        let (answer, at) = self.shared.world().bank_commit(change);
        if let Some(at) = at {
            Wait::new(&self.shared, at).await;
        }
        self.point(Point::AfterCommit).await;
        answer
    }

    async fn bank_was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        loop {
            self.point(Point::ReadBack).await;
            let until = {
                let mut world = self.shared.world();
                let Some(town) = &mut world.town else { return Err(unanswered()) };
                if town.deaf > 0 {
                    town.deaf -= 1;
                    return Err(unanswered());
                }
                match town.landing.iter().find(|(id, _)| *id == change) {
                    Some((_, at)) => *at,
                    None => break,
                }
            };
            Wait::new(&self.shared, until).await;
        }
        let done = self.books()?.bank_was_committed(change).await;
        let path = match done {
            Ok(true) => Path::UnknownCommitDone,
            _ => Path::UnknownCommitNotDone,
        };
        self.shared.world().reach(path);
        done
    }

    async fn bank_record(&self, kind: BankKind, id: &str) -> Result<Option<Kept>, StoreError> {
        self.read().await?;
        self.books()?.bank_record(kind, id).await
    }

    /// No point at which a process dies: an import looks for every entry, so that nothing else
    /// would ever happen, and in an order of its own choosing.
    async fn bank_find(&self, kind: BankKind, key: &str) -> Result<Vec<Kept>, StoreError> {
        self.books()?.bank_find(kind, key).await
    }

    async fn bank_list(&self, filter: &BankFilter) -> Result<Vec<Kept>, StoreError> {
        self.read().await?;
        self.books()?.bank_list(filter).await
    }

    async fn bank_history(&self, about: &str) -> Result<Vec<BankLine>, StoreError> {
        self.books()?.bank_history(about).await
    }

    async fn bank_totals(&self) -> Result<Vec<BankTotal>, StoreError> {
        self.books()?.bank_totals().await
    }
}

/// What may befall a call that stays in its process.
const HOME_FAULTS: [Fault; 5] =
    [Fault::NotSent, Fault::HangNoEffect, Fault::HangEffect, Fault::ErrorEffect, Fault::SlowCall];

impl Wire {
    /// A call that the process's own ledger answers.
    pub(crate) async fn to_ledger(
        &self,
        ledger: &Ledger,
        channel: &ChannelId,
        op: &Operation,
        until: Timestamp,
    ) -> Answer {
        let (idx, order, struck) =
            match self.shared.world().send_home(self.proc, channel, op, until) {
                Ok(sent) => sent,
                Err(answer) => return *answer,
            };
        let wait = match struck {
            Some(Fault::NotSent) => return op.unavailable(fault("ledger")),
            Some(Fault::HangNoEffect) => Some(self.shared.world().true_time(self.proc, until)),
            Some(Fault::SlowCall) => Some(self.shared.world().now + Duration::from_secs(3)),
            _ => None,
        };
        if let Some(until) = wait {
            Wait::new(&self.shared, until).await;
        }
        if struck == Some(Fault::HangNoEffect) {
            return op.unknown(fault("timeout"));
        }
        let answer = ledger.call(channel, op, until).await;
        let wait = self.shared.world().point(self.proc, Point::DuringCall);
        if let Some(until) = wait {
            Wait::new(&self.shared, until).await;
        }
        let mut world = self.shared.world();
        world.leaf(Leaf::Answered);
        world.say(idx, || format!("ledger: {answer:?}"));
        match struck {
            Some(Fault::HangEffect | Fault::ErrorEffect) => {
                world.reach(Path::LedgerUnheard);
                op.unknown(fault("timeout"))
            }
            _ => world.planted_hearing(idx, order, answer),
        }
    }
}

impl World {
    /// A process means to ask its ledger: what is checked of every call is checked here too.
    /// Where the call is of, and what befalls it.
    fn send_home(
        &mut self,
        proc: usize,
        channel: &ChannelId,
        op: &Operation,
        until: Timestamp,
    ) -> Result<(usize, usize, Option<Fault>), Box<Answer>> {
        let idx = place_of_number(op.number());
        let at = self.channels.iter().position(|c| c.id == *channel).unwrap_or(0);
        let order = self.admit(idx, proc, at, op, until)?;
        let struck = self.strike(idx, Purpose::Network, &HOME_FAULTS);
        let (name, number) = (op.name(), op.number());
        self.say(idx, || match struck {
            Some(fault) => format!("{name} of {number} to the ledger: {}", fault.name()),
            None => format!("{name} of {number} to the ledger"),
        });
        Ok((idx, order, struck))
    }

    /// A change of the bank's books. What its owner hears, and when if not now.
    fn bank_commit(&mut self, change: BankChange) -> (Commit, Option<Timestamp>) {
        let idx = self.ctx.idx;
        let faults = [
            Fault::DiskFull,
            Fault::CommitUnknownDone,
            Fault::CommitUnknownNot,
            Fault::CommitUnknownLate,
            Fault::CommitSlow,
        ];
        let Some(fault) = self.strike(idx, Purpose::Disk, &faults) else {
            return (self.bank_apply(change), None);
        };
        self.tell(|| format!("the bank's books: {}", fault.name()));
        let deaf = match self.strike(idx, Purpose::Disk, &[Fault::ReadBackFails]) {
            Some(_) => self.slots[idx].dice(Purpose::Disk).below(6),
            None => 0,
        };
        let unknown = Commit::Unknown(StoreError::Unavailable("the connection broke".to_owned()));
        let later = self.slots[idx].dice(Purpose::Disk).between(10, 20_000);
        let at = self.now + Duration::from_millis(later.unsigned_abs());
        let Some(town) = &mut self.town else { return (unknown, None) };
        town.deaf = deaf;
        match fault {
            Fault::DiskFull => (Commit::Failed(StoreError::Full("no space left".to_owned())), None),
            Fault::CommitUnknownDone => {
                let _ = self.bank_apply(change);
                (unknown, None)
            }
            Fault::CommitUnknownNot => (unknown, None),
            Fault::CommitUnknownLate => {
                town.landing.push((change.id, at));
                town.landings.push(Some(change));
                let landing = u32::try_from(town.landings.len() - 1).unwrap_or(u32::MAX);
                self.schedule(at, Event::BankLand(landing));
                (unknown, None)
            }
            _ => (self.bank_apply(change), Some(at)),
        }
    }

    /// A commit lands that its caller had given up on.
    pub(crate) fn bank_land(&mut self, landing: u32) {
        let Some(town) = &mut self.town else { return };
        let Some(change) = town.landings[landing as usize].take() else { return };
        town.landing.retain(|(known, _)| *known != change.id);
        if self.bank_apply(change) == Commit::Done {
            self.reach(Path::CommitLandedLate);
        }
    }

    fn bank_apply(&mut self, mut change: BankChange) -> Commit {
        self.spoil_bank(&mut change);
        let Some(town) = &self.town else { return Commit::Failed(unanswered()) };
        let books = Arc::clone(&town.books);
        let puts: Vec<BankRecord> = change.puts.iter().map(|(_, record)| record.clone()).collect();
        let did = at_once(books.bank_commit(change)).unwrap_or(Commit::Failed(unanswered()));
        if did == Commit::Done {
            puts.iter().for_each(|record| self.mirror(record));
        }
        did
    }

    /// What became durable in the bank's books, as the checkers read a provider's books.
    fn mirror(&mut self, record: &BankRecord) {
        match record {
            BankRecord::Allotment(allotment) => self.mirror_allotment(allotment),
            BankRecord::Payout(payout) => self.mirror_payout(payout),
            BankRecord::Transfer(transfer) => self.count_transfer(transfer),
            BankRecord::Statement(_) | BankRecord::Counter(_) => {}
        }
    }

    fn mirror_allotment(&mut self, allotment: &Allotment) {
        let idx = place_of_number(&allotment.number);
        let now = self.now;
        let Some(order) = self.slots[idx].orders.iter_mut().find(|o| o.number == allotment.number)
        else {
            return self.violate(8, idx, || format!("nobody asked for {}", allotment.number));
        };
        let was = order.state;
        match allotment.state {
            Expecting::Open => order.state = State::Payable,
            Expecting::Closed { .. } => {
                order.state = State::Closed;
                order.closed_before = true;
            }
            Expecting::Paid { .. } => order.state = State::Captured,
        }
        let (is, asked) = (order.state, order.money);
        if is == State::Captured && was != State::Captured {
            order.capture(now);
        }
        let number = &allotment.number;
        self.say(idx, || format!("ledger: {number} is {is:?} with {}", allotment.received_minor));
        if was == State::Captured && is != State::Captured {
            self.violate(14, idx, || format!("{number} was paid in the ledger and is {is:?}"));
        }
        if was == State::Closed && is == State::Payable {
            self.violate(5, idx, || format!("{number} was closed in the ledger and is open"));
        }
        if allotment.money != asked {
            self.violate(8, idx, || format!("{number} is expected with another amount"));
        }
        match (was, is) {
            (State::Payable, State::Captured) => self.reach(Path::TransferMatched),
            (State::Closed, State::Captured) => self.reach(Path::TransferAfterClose),
            _ => {}
        }
    }

    fn mirror_payout(&mut self, payout: &Payout) {
        let Some(number) = &payout.number else { return };
        match (payout.kind, &payout.state) {
            (PayoutKind::Excess, _) => self.reach(Path::TransferOver),
            (PayoutKind::Part, _) => self.reach(Path::PartGivenBack),
            (PayoutKind::Refund, PayoutState::Failed { .. }) => self.reach(Path::PayoutFailed),
            _ => {}
        }
        if payout.kind != PayoutKind::Refund {
            return;
        }
        let (idx, now) = (place_of_number(number), self.now);
        let state = match payout.state {
            PayoutState::Held | PayoutState::Requested | PayoutState::Sent { .. } => {
                BackState::Working
            }
            PayoutState::Confirmed { .. } => BackState::Done,
            PayoutState::Failed { .. } => BackState::Failed,
        };
        let minor = payout.money.minor();
        let Some(order) = self.slots[idx].orders.iter_mut().find(|o| o.number == *number) else {
            return self.violate(8, idx, || format!("a refund of {number}, which nobody knows"));
        };
        match order.refunds.iter_mut().find(|r| r.number.as_str() == payout.id) {
            Some(back) => back.state = state,
            None => order.refunds.push(Back {
                number: domain::ProviderOrderNo::received(&payout.id),
                minor,
                state,
                since: now,
                told: false,
            }),
        }
        let over = order.back(|s| s != BackState::Failed) > order.money.minor();
        let unpaid = !order.is_captured();
        self.say(idx, || format!("ledger: refund {} is {state:?}", payout.id));
        if over || unpaid {
            self.violate(14, idx, || format!("the refunds of {number} exceed what came"));
        }
    }

    /// Whether an order's truth is the bank's books.
    pub(crate) fn is_bank(&self, idx: usize, at: usize) -> bool {
        self.slots[idx].orders[at].house == House::Bank
    }
}
