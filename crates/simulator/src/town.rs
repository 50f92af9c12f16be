//! A town's customers, clerks and statements: what moves on the account, and who says what it
//! is. The account is the truth that the ledger's books are held against in the end.

use std::fmt::Write as _;
use std::sync::Arc;

use domain::{Attempt, AttemptState, ChannelId, Method, Money, ProviderOrderNo, Timestamp};
use providers::bank::Reference;
use recovery::bank::{BankError, Desk, Imported, NewTransfer, Upload, Word};
use store::{
    Allotment, BankBooks, BankChange, BankFilter, BankKind, BankRecord, Expecting, MemoryStore,
    NEWS, Payout, PayoutKind, PayoutState, Proposal, Transfer, TransferState,
};
use uuid::Uuid;

use crate::bank::{NAME, at_once};
use crate::executor::Job;
use crate::paths::Path;
use crate::stream::{Purpose, Stream};
use crate::world::{ENDS_WITHIN_S, Event, FAULTS_STOP_S, Shared, Spawn, World, place_of_number};

/// How many entries before the new ones a statement shows again.
const OVERLAP: i64 = 6;
/// People and files come often until this long after faults have stopped, in seconds.
const BUSY_S: i64 = FAULTS_STOP_S + 600;

/// A world's bank.
pub(crate) struct Town {
    /// The ledger's books; they survive every process.
    pub(crate) books: Arc<MemoryStore>,
    pub(crate) dice: Stream,
    pub(crate) ids: u32,
    /// Commits that will land later, by change id, with the time.
    pub(crate) landing: Vec<(Uuid, Timestamp)>,
    pub(crate) landings: Vec<Option<BankChange>>,
    /// Reading an unknown commit back fails so many more times.
    pub(crate) deaf: u32,
    customers: Vec<Stream>,
    /// What the bank has booked.
    account: Vec<Movement>,
    /// What customers mean to transfer.
    plans: Vec<Plan>,
    /// So many movements are in the books for sure.
    imported: usize,
    /// Payouts that staff say cannot be done; nobody transfers them any more.
    given_up: Vec<String>,
}

/// One movement of the account.
struct Movement {
    at: Timestamp,
    /// Positive: it came.
    minor: i64,
    text: String,
    /// The order that its customer meant.
    meant: Option<(usize, usize)>,
    /// The payout that it carries out.
    payout: Option<String>,
}

/// A transfer that a customer is going to make.
struct Plan {
    idx: usize,
    order: usize,
    minor: i64,
    named: bool,
    stubborn: bool,
}

/// What somebody does at the desk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Errand {
    /// The worker tells the engine what is new.
    Tell,
    /// A statement of these movements is imported.
    Import { from: usize, to: usize },
    /// Clerks do what lies on their desks.
    Clerks,
}

/// One thing that a clerk does.
#[derive(Clone, Debug)]
enum Chore {
    Match {
        id: String,
        number: String,
    },
    /// Say that a movement came which no statement has shown yet.
    Record {
        money: Money,
        number: String,
    },
    Return {
        id: String,
    },
    Approve {
        id: String,
        by: &'static str,
        alone: bool,
    },
    Reject {
        id: String,
        by: &'static str,
    },
    Sent {
        id: String,
    },
    Confirm {
        id: String,
        by: &'static str,
        alone: bool,
    },
    Fail {
        id: String,
    },
}

impl Town {
    pub(crate) fn new(seed: u64, size: usize) -> Town {
        let customer = |idx: usize| Stream::new(seed, Purpose::Bank, idx as u64 + 1);
        Town {
            books: Arc::new(MemoryStore::new()),
            dice: Stream::new(seed, Purpose::Bank, 0),
            ids: 0,
            landing: Vec::new(),
            landings: Vec::new(),
            deaf: 0,
            customers: (0..size).map(customer).collect(),
            account: Vec::new(),
            plans: Vec::new(),
            imported: 0,
            given_up: Vec::new(),
        }
    }

    fn records(&self, kind: BankKind) -> Vec<BankRecord> {
        let kept = at_once(self.books.bank_list(&BankFilter::all(kind)));
        let kept = kept.and_then(Result::ok).unwrap_or_default();
        kept.into_iter().map(|kept| kept.record).collect()
    }

    fn transfers(&self) -> Vec<Transfer> {
        let transfer = |record| match record {
            BankRecord::Transfer(transfer) => Some(transfer),
            _ => None,
        };
        self.records(BankKind::Transfer).into_iter().filter_map(transfer).collect()
    }

    fn payouts(&self) -> Vec<Payout> {
        let payout = |record| match record {
            BankRecord::Payout(payout) => Some(payout),
            _ => None,
        };
        self.records(BankKind::Payout).into_iter().filter_map(payout).collect()
    }

    fn allotments(&self) -> Vec<Allotment> {
        let allotment = |record| match record {
            BankRecord::Allotment(allotment) => Some(allotment),
            _ => None,
        };
        self.records(BankKind::Allotment).into_iter().filter_map(allotment).collect()
    }

    /// Whether the engine has not been told of everything.
    pub(crate) fn has_news(&self) -> bool {
        let news = |kind| at_once(self.books.bank_find(kind, NEWS)).and_then(Result::ok);
        let some = |kind| news(kind).is_some_and(|found| !found.is_empty());
        some(BankKind::Allotment) || some(BankKind::Payout)
    }

    /// What a customer is told to write, or the account of its own that it transfers to.
    fn mark(&self, number: &ProviderOrderNo) -> Option<(String, bool)> {
        let found = self.allotments().into_iter().find(|a| a.number == *number)?;
        let own = found.account.is_some();
        Some((found.account.unwrap_or_else(|| Reference::of(number).to_string()), own))
    }

    /// The debit that carries a payout out, if the bank has booked it.
    fn is_booked(&self, payout: &str) -> bool {
        self.account.iter().any(|m| m.payout.as_deref() == Some(payout))
    }

    /// A statement file of some movements.
    fn file(&self, from: usize, to: usize) -> Upload {
        let mut text = "date,amount,id,from,text\n".to_owned();
        for (at, m) in self.account.iter().enumerate().take(to).skip(from) {
            let sign = if m.minor < 0 { "-" } else { "" };
            let (whole, part) = (m.minor.abs() / 100, m.minor.abs() % 100);
            let day = 15 + (m.at.as_secs() - crate::world::START_S + 8 * 3600) / 86_400;
            let line = format!("2027-01-{day:02},{sign}{whole}.{part:02},B{at},ACC{at},{}", m.text);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
        let name = format!("statement {from}-{to}");
        Upload { name, bytes: text.into_bytes(), format: None, dry_run: false, by: "li".into() }
    }
}

impl World {
    /// What a town's merchants offer.
    pub(crate) fn town_methods(&mut self, idx: usize) -> Option<Vec<Method>> {
        let dice = &mut self.town.as_mut()?.customers[idx];
        Some(match dice.below(10) {
            0..=3 => vec![Method::BankTransfer],
            4..=6 => vec![Method::BankTransfer, Method::Alipay],
            7 => vec![Method::Alipay, Method::BankTransfer],
            8 => vec![Method::BankTransfer, Method::WechatPay],
            _ => vec![Method::Card, Method::BankTransfer],
        })
    }

    /// The first files, clerks and looks at what is new.
    pub(crate) fn open_town(&mut self) {
        for (event, ms) in
            [(Event::Tell, 20_000), (Event::Statement, 60_000), (Event::Clerks, 90_000)]
        {
            self.after_ms(ms, event);
        }
    }

    /// Sends somebody to the desk, and plans the next one.
    pub(crate) fn errand(&mut self, event: Event) {
        let elapsed_s = self.elapsed_us() / 1_000_000;
        let Some(town) = &mut self.town else { return };
        let (soon, later) = match event {
            Event::Tell => ((10_000, 40_000), 300_000),
            Event::Statement => ((40_000, 150_000), 900_000),
            _ => ((50_000, 160_000), 900_000),
        };
        let ms = if elapsed_s < BUSY_S { town.dice.between(soon.0, soon.1) } else { later };
        let errand = match event {
            Event::Tell => Some(Errand::Tell),
            Event::Clerks => Some(Errand::Clerks),
            _ => {
                let to = town.account.len();
                let back = usize::try_from(town.dice.between(0, OVERLAP)).unwrap_or(0);
                let from = town.imported.saturating_sub(back);
                let again = town.dice.percent(10);
                (to > town.imported || again).then_some(Errand::Import { from, to })
            }
        };
        if elapsed_s < FAULTS_STOP_S + ENDS_WITHIN_S {
            self.after_ms(ms, event);
        }
        if let (Some(errand), Some(proc)) = (errand, self.pick_proc()) {
            self.spawns.push(Spawn::Desk { proc, errand });
        }
    }

    /// A customer sees where to transfer, and makes up its mind.
    pub(crate) fn court_transfer(&mut self, idx: usize, at: usize, expires_at: Timestamp) {
        let money = self.slots[idx].orders[at].money.minor();
        let left_ms = expires_at.since(self.now).as_millis() as i64;
        let Some(town) = &mut self.town else { return };
        let dice = &mut town.customers[idx];
        let stubborn = dice.percent(50);
        let mut soon = dice.between(5_000, 240_000);
        let again = soon + dice.between(5_000, 200_000);
        let part = (money * dice.between(10, 90) / 100).clamp(1, money);
        let mut named = true;
        let what = match dice.below(20) {
            0..=5 => vec![(soon, money)],
            6..=8 if part < money => vec![(soon, part), (again, money - part)],
            9 => vec![(soon, part)],
            10..=11 => vec![(soon, money + part)],
            12 => vec![(soon, money), (again, money)],
            13..=15 => {
                soon = left_ms.max(0) + dice.between(1_000, 400_000);
                vec![(soon, money)]
            }
            16..=17 => {
                named = false;
                vec![(soon, money)]
            }
            _ => vec![],
        };
        for (ms, minor) in what {
            let Some(town) = &mut self.town else { return };
            town.plans.push(Plan { idx, order: at, minor, named, stubborn });
            let plan = u32::try_from(town.plans.len() - 1).unwrap_or(u32::MAX);
            self.after_ms(ms, Event::Transfer(plan));
        }
    }

    /// A customer transfers; the bank books it.
    pub(crate) fn transfer(&mut self, plan: u32) {
        let Some(town) = &self.town else { return };
        let Plan { idx, order, minor, named, stubborn } = town.plans[plan as usize];
        let last_shown = self.slots[idx].orders.iter().rposition(|o| o.shown);
        if last_shown.is_some_and(|last| last > order) && !stubborn {
            return;
        }
        let orders = &self.slots[idx].orders;
        let elsewhere = orders.iter().enumerate().any(|(at, o)| at != order && o.is_captured());
        let shown = town.mark(&orders[order].number);
        let text = match shown.filter(|_| named) {
            Some((mark, own)) => {
                if own {
                    self.reach(Path::TransferToOwnAccount);
                }
                format!("order {mark}")
            }
            None => "greetings".to_owned(),
        };
        let at = self.now;
        self.say(idx, || format!("customer transfers {minor} ({text})"));
        if elsewhere {
            self.reach(Path::TransferBesidesCode);
        }
        let meant = Some((idx, order));
        if let Some(town) = &mut self.town {
            town.account.push(Movement { at, minor, text, meant, payout: None });
        }
    }

    /// Counts what became of a transfer.
    pub(crate) fn count_transfer(&mut self, transfer: &Transfer) {
        let path = match &transfer.state {
            TransferState::Suspense { why } if why == "late" => Path::TransferLateInSuspense,
            TransferState::Suspense { .. } => Path::TransferInSuspense,
            TransferState::Matched { by, .. } if by.contains(" + ") => Path::TransferByTwoPeople,
            TransferState::Returning { .. } => Path::TransferReturned,
            _ => return,
        };
        self.reach(path);
    }

    /// Rules 1 and 8: what a customer is shown is in the books, word for word.
    pub(crate) fn check_transfer_shown(&mut self, idx: usize, attempt: &Attempt) {
        let AttemptState::Presented { presentation, .. } = &attempt.state else { return };
        let Some(town) = &self.town else { return };
        let same = |a: &Allotment| a.number == attempt.number && a.shown == *presentation;
        if !town.allotments().iter().any(same) {
            let number = &attempt.number;
            self.violate(1, idx, || format!("{number} is shown and the ledger has it otherwise"));
        }
    }

    fn imported(&mut self, to: usize, result: Result<Imported, BankError>) {
        match result {
            Ok(done) => {
                let counts = done.file.counts;
                self.tell(|| format!("a statement to {to} is in the books: {counts:?}"));
                if let Some(town) = &mut self.town {
                    town.imported = town.imported.max(to);
                }
                if counts.known > 0 && !done.seen_before {
                    self.reach(Path::StatementOverlaps);
                }
                if counts.reconciled > 0 {
                    self.reach(Path::TransferRecorded);
                }
                if counts.payouts > 0 {
                    self.reach(Path::PayoutShown);
                }
            }
            Err(error @ BankError::Mistakes(_)) => {
                self.violate(17, 0, || format!("a good statement is refused: {error}"));
            }
            Err(error) => {
                self.reach(Path::ImportStopped);
                self.tell(|| format!("a statement stops half-way: {error}"));
            }
        }
    }

    /// What lies on the clerks' desks. Money that they sent is booked by the bank.
    fn chores(&mut self) -> Vec<Chore> {
        let now = self.now;
        let eager = !self.faults_on;
        let Some(town) = &mut self.town else { return Vec::new() };
        let mut chores = Vec::new();
        for transfer in town.transfers() {
            let roll = town.dice.below(100);
            chores.extend(chore_of_transfer(&transfer, roll, eager));
        }
        for movement in town.imported..town.account.len() {
            let seen = town.dice.percent(15) && !eager;
            let Movement { minor, meant: Some((idx, order)), .. } = town.account[movement] else {
                continue;
            };
            let order = &self.slots[idx].orders[order];
            let money = Money::new(minor, order.money.currency());
            if let (true, Ok(money)) = (seen, money) {
                chores.push(Chore::Record { money, number: order.number.to_string() });
            }
        }
        for payout in town.payouts() {
            let roll = town.dice.below(100);
            let id = payout.id.clone();
            let given_up = town.given_up.contains(&id);
            match &payout.state {
                PayoutState::Held | PayoutState::Requested if eager || roll < 70 => {
                    chores.push(Chore::Sent { id });
                }
                PayoutState::Failed { .. } if payout.kind != PayoutKind::Refund => {
                    town.given_up.retain(|known| *known != id);
                    chores.push(Chore::Sent { id });
                }
                PayoutState::Sent { .. } if given_up => chores.push(Chore::Fail { id }),
                PayoutState::Sent { .. } if town.is_booked(&id) => match roll {
                    0..=29 => chores.push(Chore::Confirm { id, by: "wang", alone: false }),
                    30..=39 => chores.push(Chore::Confirm { id, by: "li", alone: true }),
                    _ => {}
                },
                PayoutState::Sent { .. } if !eager && roll < 15 => {
                    town.given_up.push(id.clone());
                    chores.push(Chore::Fail { id });
                }
                PayoutState::Sent { .. } => town.account.push(Movement {
                    at: now,
                    minor: -payout.money.minor(),
                    text: payout.reference.clone(),
                    meant: None,
                    payout: Some(id),
                }),
                _ => {}
            }
        }
        chores
    }

    fn chore_done(&mut self, chore: &Chore, result: Result<(), BankError>) {
        self.tell(|| format!("clerks: {chore:?}: {result:?}"));
        let (Chore::Approve { alone: true, .. } | Chore::Confirm { alone: true, .. }) = chore
        else {
            return;
        };
        match result {
            Ok(()) => self.violate(12, 0, || format!("one person was enough: {chore:?}")),
            Err(BankError::SamePerson(_)) => self.reach(Path::OnePersonRefused),
            Err(_) => {}
        }
    }

    /// The town's books against its account, when everything should have ended.
    pub(crate) fn town_verdict(&mut self) {
        let Some(town) = self.town.take() else { return };
        self.check_transfers(&town);
        self.check_conserved(&town);
        self.check_allotments(&town);
        self.check_paid_out(&town);
        if town.has_news() {
            self.violate(6, 0, || "the ledger knows what the engine was never told".to_owned());
        }
        self.town = Some(town);
    }

    /// Rule 2's sum: what came is counted for a payment, in suspense, or given back.
    fn check_conserved(&mut self, town: &Town) {
        let came: i64 = town.account.iter().map(|m| m.minor.max(0)).sum();
        let counted: i64 = town.allotments().iter().map(|a| a.received_minor).sum();
        let waits = |t: &&Transfer| {
            matches!(t.state, TransferState::Suspense { .. } | TransferState::Proposed { .. })
        };
        let transfers = town.transfers();
        let suspense: i64 = transfers.iter().filter(waits).map(|t| t.money.minor()).sum();
        let back = |p: &&Payout| p.kind != PayoutKind::Refund;
        let owed: i64 = town.payouts().iter().filter(back).map(|p| p.money.minor()).sum();
        if came != counted + suspense + owed {
            self.violate(2, 0, || {
                format!("{came} came; {counted} are counted, {suspense} wait, {owed} go back")
            });
        }
    }

    /// Every transfer is in the books once and has its place; one of the whole amount that names
    /// its payment made it paid, or went back.
    fn check_transfers(&mut self, town: &Town) {
        let transfers = town.transfers();
        for (at, movement) in town.account.iter().enumerate().filter(|(_, m)| m.minor > 0) {
            let Some((idx, order)) = movement.meant else { continue };
            let id = format!("B{at}");
            let mut found = transfers.iter().filter(|t| t.bank_reference.as_ref() == Some(&id));
            let (one, more) = (found.next(), found.next());
            let minor = movement.minor;
            let (Some(one), None) = (one, more) else {
                self.violate(16, idx, || format!("a transfer of {minor} is not there once"));
                continue;
            };
            let money = self.slots[idx].orders[order].money.minor();
            let paid = self.slots[idx].orders[order].is_captured();
            let state = one.state.name();
            match &one.state {
                TransferState::Returning { .. } => {}
                TransferState::Matched { .. } if minor < money || paid => {}
                TransferState::Matched { number, .. }
                    if *number != self.slots[idx].orders[order].number => {}
                _ => self.violate(17, idx, || {
                    format!("a transfer of {minor} for {money} is {state}, and it is not paid")
                }),
            }
        }
    }

    /// Nothing is waited for, and what the ledger has captured is what the payment has.
    fn check_allotments(&mut self, town: &Town) {
        for allotment in town.allotments() {
            let idx = place_of_number(&allotment.number);
            let number = &allotment.number;
            let row = self.slots[idx].row(allotment.payment);
            let attempt = row.and_then(|r| r.payment.attempt(allotment.ordinal));
            let captured = attempt.and_then(|a| a.receipt()).map(|r| r.captured.minor());
            match allotment.state {
                Expecting::Open => {
                    self.violate(17, idx, || format!("the ledger still waits for {number}"));
                }
                Expecting::Paid { .. } if captured != Some(allotment.received_minor) => {
                    let came = allotment.received_minor;
                    self.violate(6, idx, || {
                        format!("{came} came for {number} and the payment has {captured:?}")
                    });
                }
                _ => {}
            }
        }
    }

    /// Rule 14: what left the account is what the payouts say, once each.
    fn check_paid_out(&mut self, town: &Town) {
        for payout in town.payouts() {
            let left = town.account.iter().filter(|m| m.payout.as_ref() == Some(&payout.id));
            let left = left.count();
            let said = usize::from(matches!(payout.state, PayoutState::Confirmed { .. }));
            let failed = matches!(payout.state, PayoutState::Failed { .. });
            let open = said == 0 && !(failed && payout.kind == PayoutKind::Refund);
            let idx = payout.number.as_ref().map_or(0, place_of_number);
            let (id, state) = (&payout.id, payout.state.name());
            if left != said {
                self.violate(14, idx, || format!("payout {id} is {state} and left {left} times"));
            } else if open {
                self.violate(17, idx, || format!("payout {id} is {state} in the end"));
            }
        }
    }
}

/// What a clerk makes of a transfer, if anything now.
fn chore_of_transfer(transfer: &Transfer, roll: u32, eager: bool) -> Option<Chore> {
    let id = transfer.id.clone();
    match &transfer.state {
        TransferState::Suspense { .. } if eager || roll < 80 => {
            match transfer.suggestions.first().filter(|_| roll < 60) {
                Some(hint) => Some(Chore::Match { id, number: hint.number.to_string() }),
                None => Some(Chore::Return { id }),
            }
        }
        // The statement is waited for; what it does not show did not come.
        TransferState::Proposed { what: Proposal::Record { .. }, .. } => {
            (eager || roll < 20).then_some(Chore::Reject { id, by: "wang" })
        }
        TransferState::Proposed { by, .. } => {
            let (same, other) = if by == "li" { ("li", "wang") } else { ("wang", "li") };
            match roll {
                0..=9 => Some(Chore::Approve { id, by: same, alone: true }),
                10..=24 if !eager => Some(Chore::Reject { id, by: other }),
                _ => Some(Chore::Approve { id, by: other, alone: false }),
            }
        }
        _ => None,
    }
}

/// What is done at the desk, as a task of its process.
pub(crate) fn job(shared: Arc<Shared>, desk: Arc<Desk>, errand: Errand) -> Job {
    Box::pin(async move {
        match errand {
            Errand::Tell => {
                // What could not be told stays marked.
                let _ = desk.tell().await;
            }
            Errand::Import { from, to } => {
                let Ok(bank) = ChannelId::new(NAME) else { return };
                let file = shared.world().town.as_ref().map(|town| town.file(from, to));
                let Some(file) = file else { return };
                let result = desk.import(&bank, &file).await;
                shared.world().imported(to, result);
            }
            Errand::Clerks => {
                let chores = shared.world().chores();
                for chore in chores {
                    let result = do_chore(&desk, &chore).await;
                    shared.world().chore_done(&chore, result);
                }
            }
        }
    })
}

async fn do_chore(desk: &Desk, chore: &Chore) -> Result<(), BankError> {
    let word = |by: &str| Word { by: by.to_owned(), reason: "looked at it".to_owned() };
    let ledger = desk.ledger();
    match chore {
        Chore::Match { id, number } => {
            ledger.propose_match(id, number, &word("li")).await.map(drop)
        }
        Chore::Record { money, number } => {
            let bank = ChannelId::new(NAME).map_err(|_| BankError::NoSuchChannel)?;
            let new = NewTransfer {
                money: *money,
                booked_on: "2027-01-15".to_owned(),
                payer_name: None,
                payer_account: None,
                bank_reference: None,
                target: number.clone(),
            };
            desk.record(&bank, &new, &word("li")).await.map(drop)
        }
        Chore::Return { id } => ledger.propose_return(id, &word("wang")).await.map(drop),
        Chore::Approve { id, by, .. } => desk.approve(id, &word(by)).await.map(drop),
        Chore::Reject { id, by } => ledger.reject(id, &word(by)).await.map(drop),
        Chore::Sent { id } => ledger.payout_sent(id, &word("li")).await.map(drop),
        Chore::Confirm { id, by, .. } => desk.payout_confirm(id, &word(by)).await.map(drop),
        Chore::Fail { id } => desk.payout_failed(id, &word("wang")).await.map(drop),
    }
}

/// Long enough for what is transferred last to be placed and given back: see `ENDS_WITHIN_S`.
const _: () = assert!(BUSY_S < FAULTS_STOP_S + ENDS_WITHIN_S);
