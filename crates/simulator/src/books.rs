//! The virtual store's books: what is durable, and the semantics of `store::Store`.
//!
//! A payment's rows, its idempotency records and its provider's orders live together in one
//! [`Slot`], found by the low bits of the payment's id. Everything here survives crashes.

use domain::{Payment, PaymentId, Timestamp};
use store::{Change, Claim, Commit, Conflict, RequestRecord, StoreError};
use uuid::Uuid;

use crate::faults::Fault;
use crate::paths::Path;
use crate::plant::Plant;
use crate::provider::Order;
use crate::script::{Act, Client};
use crate::stream::{Purpose, Stream};
use crate::world::{Event, Leaf, World, place_of};

/// Everything about one payment of the seed: both sides' books, the people, and the dice.
pub(crate) struct Slot {
    pub(crate) rows: Vec<Row>,
    pub(crate) records: Vec<RequestRecord>,
    pub(crate) orders: Vec<Order>,
    pub(crate) acts: Vec<Act>,
    pub(crate) client: Client,
    /// How many faults have struck it.
    pub(crate) struck: u32,
    /// Commits that will land later, by change id, with the time.
    pub(crate) landing: Vec<(Uuid, Timestamp)>,
    /// Reading an unknown commit back fails so many more times.
    pub(crate) deaf: u32,
    dice: [Stream; 7],
}

/// A payment in the store.
pub(crate) struct Row {
    pub(crate) payment: Payment,
    pub(crate) due: Option<Timestamp>,
    pub(crate) fence: u64,
    pub(crate) held_until: Timestamp,
    /// Ids of the changes that took place.
    pub(crate) changes: Vec<Uuid>,
    /// Attempts that were shown in any durable version, by ordinal.
    pub(crate) shown: u64,
    /// The latest lease under which a refund may be sent, by ordinal.
    pub(crate) refund_until: Vec<Timestamp>,
    /// How often a refund's call was made, by ordinal.
    pub(crate) refund_calls: Vec<u32>,
    /// What was durable before a change that a planted bug keeps in memory.
    pub(crate) undone: Option<Payment>,
    /// Tasks done at one moment: the moment, and how many.
    pub(crate) pace: (Timestamp, u32),
}

impl Slot {
    pub(crate) fn new(seed: u64, idx: usize) -> Slot {
        let dice = [
            Purpose::Merchant,
            Purpose::Customer,
            Purpose::Network,
            Purpose::Mail,
            Purpose::Disk,
            Purpose::Host,
            Purpose::Dice,
        ];
        Slot {
            rows: Vec::new(),
            records: Vec::new(),
            orders: Vec::new(),
            acts: Vec::new(),
            client: Client::default(),
            struck: 0,
            landing: Vec::new(),
            deaf: 0,
            dice: dice.map(|purpose| Stream::new(seed, purpose, idx as u64)),
        }
    }

    pub(crate) fn dice(&mut self, purpose: Purpose) -> &mut Stream {
        let at = (purpose as usize).saturating_sub(Purpose::Merchant as usize);
        &mut self.dice[at.min(6)]
    }

    pub(crate) fn row(&self, id: PaymentId) -> Option<&Row> {
        self.rows.iter().find(|r| r.payment.id == id)
    }

    pub(crate) fn row_mut(&mut self, id: PaymentId) -> Option<&mut Row> {
        self.rows.iter_mut().find(|r| r.payment.id == id)
    }

    pub(crate) fn order(&self, number: &domain::ProviderOrderNo) -> Option<&Order> {
        self.orders.iter().find(|o| o.number == *number)
    }
}

impl Row {
    /// What would survive a crash now.
    pub(crate) fn durable(&self) -> &Payment {
        self.undone.as_ref().unwrap_or(&self.payment)
    }
}

/// How a commit goes on after it reached the store.
pub(crate) enum Ending {
    /// It is over.
    Now(Commit),
    /// It takes place now and says so after a while.
    Later(Commit, Timestamp),
}

impl World {
    /// A change reaches the store.
    pub(crate) fn commit(&mut self, change: Change) -> Ending {
        let idx = place_of(change.payment.id);
        let faults = [
            Fault::DiskFull,
            Fault::CommitUnknownDone,
            Fault::CommitUnknownNot,
            Fault::CommitUnknownLate,
            Fault::CommitSlow,
        ];
        let Some(fault) = self.strike(idx, Purpose::Disk, &faults) else {
            return Ending::Now(self.apply(change));
        };
        self.say(idx, || format!("disk: {}", fault.name()));
        let nobody = || StoreError::Unavailable("the connection broke".to_owned());
        self.slots[idx].deaf = match self.strike(idx, Purpose::Disk, &[Fault::ReadBackFails]) {
            Some(_) => self.slots[idx].dice(Purpose::Disk).below(6),
            None => 0,
        };
        match fault {
            Fault::DiskFull => {
                self.reach(Path::CommitFailed);
                Ending::Now(Commit::Failed(StoreError::Full("no space left".to_owned())))
            }
            Fault::CommitUnknownDone => {
                let again = self.has(Plant::UnknownRedone).then(|| change.clone());
                let done = self.apply(change);
                if let (Some(change), Commit::Done) = (again, done) {
                    self.redo(change);
                }
                Ending::Now(Commit::Unknown(nobody()))
            }
            Fault::CommitUnknownNot => Ending::Now(Commit::Unknown(nobody())),
            Fault::CommitUnknownLate => {
                let ms = self.slots[idx].dice(Purpose::Disk).between(10, 20_000);
                let at = self.now + std::time::Duration::from_millis(ms.unsigned_abs());
                self.slots[idx].landing.push((change.id, at));
                self.landings.push(Some(change));
                let landing = u32::try_from(self.landings.len() - 1).unwrap_or(u32::MAX);
                self.schedule(at, Event::Land(landing));
                Ending::Now(Commit::Unknown(nobody()))
            }
            _ => {
                let ms = self.slots[idx].dice(Purpose::Disk).between(500, 40_000);
                let at = self.now + std::time::Duration::from_millis(ms.unsigned_abs());
                Ending::Later(self.apply(change), at)
            }
        }
    }

    /// A commit lands that its caller had given up on.
    pub(crate) fn land(&mut self, landing: u32) {
        let Some(change) = self.landings[landing as usize].take() else { return };
        let idx = place_of(change.payment.id);
        let id = change.id;
        self.slots[idx].landing.retain(|(known, _)| *known != id);
        if self.apply(change) == Commit::Done {
            self.reach(Path::CommitLandedLate);
        }
    }

    /// The semantics of a commit, as `store::Store` states them.
    pub(crate) fn apply(&mut self, mut change: Change) -> Commit {
        let idx = place_of(change.payment.id);
        if let Some(conflict) = self.conflict(idx, &change) {
            self.say(idx, || format!("commit refused: {conflict:?}"));
            match conflict {
                Conflict::Version => self.reach(Path::VersionConflict),
                Conflict::Fenced => self.reach(Path::StaleOwnerRefused),
                Conflict::OrderTaken(_) | Conflict::KeyTaken => {}
            }
            return Commit::Refused(conflict);
        }
        if let Some((task, heard, order)) = self.heard_back
            && (task, heard) == (self.ctx.task, idx)
        {
            self.slots[idx].orders[order].given_back_booked = true;
            self.heard_back = None;
        }
        self.spoil(idx, &mut change);
        self.check_keeping(idx, &change);
        self.check_claim_and_version(idx, &change);
        self.write(idx, change);
        Commit::Done
    }

    fn conflict(&self, idx: usize, change: &Change) -> Option<Conflict> {
        let slot = &self.slots[idx];
        let unique = !self.has(Plant::OrderNotUnique);
        if let Some(request) = &change.request
            && slot.records.iter().any(|r| r.key == request.key)
            && unique
        {
            return Some(Conflict::KeyTaken);
        }
        let id = change.payment.id;
        let Some(row) = slot.row(id) else {
            let same = |r: &&Row| r.payment.order == change.payment.order;
            let taken = slot.rows.iter().find(same).filter(|_| unique);
            return taken.map(|r| Conflict::OrderTaken(r.payment.id));
        };
        if self.has(Plant::FencesIgnored) || self.is_unguarded(change) {
            return None;
        }
        match &change.claim {
            Some(claim) if claim.fence != row.fence => Some(Conflict::Fenced),
            _ if change.expected_version != row.payment.version => Some(Conflict::Version),
            _ => None,
        }
    }

    fn write(&mut self, idx: usize, change: Change) {
        let Change { id, payment, due_at, claim, request, .. } = change;
        let late = self.has(Plant::IntentAfterCall);
        let slot = &mut self.slots[idx];
        let intent = payment.attempts.len();
        let old = match slot.rows.iter_mut().find(|r| r.payment.id == payment.id) {
            Some(row) => {
                let starts = intent > row.payment.attempts.len();
                row.undone = (late && starts).then(|| row.payment.clone());
                let old = std::mem::replace(&mut row.payment, payment);
                row.due = due_at;
                row.changes.push(id);
                if claim.is_some() {
                    row.held_until = Timestamp::EPOCH;
                }
                Some(old)
            }
            None => {
                let undone = (late && intent > 0)
                    .then(|| Payment { attempts: Vec::new(), ..payment.clone() });
                slot.rows.push(Row {
                    payment,
                    due: due_at,
                    fence: 0,
                    held_until: Timestamp::EPOCH,
                    changes: vec![id],
                    shown: 0,
                    refund_until: Vec::new(),
                    refund_calls: Vec::new(),
                    undone,
                    pace: (Timestamp::EPOCH, 0),
                });
                None
            }
        };
        let at = match &old {
            Some(old) => slot.rows.iter().position(|r| r.payment.id == old.id).unwrap_or(0),
            None => slot.rows.len() - 1,
        };
        if let Some(request) = request {
            slot.records.push(request);
        }
        self.note_work(idx);
        self.check_commit(idx, at, old.as_ref());
    }

    /// What a planted bug makes of a change.
    fn spoil(&mut self, idx: usize, change: &mut Change) {
        match self.run.plant {
            None => {}
            Some(plant) => self.spoil_with(plant, idx, change),
        }
    }

    /// Notes that a claim was given out.
    pub(crate) fn claim_due(
        &mut self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Vec<Claim> {
        let mut claims = Vec::new();
        for idx in 0..self.slots.len() {
            if self.agenda[idx] > now {
                continue;
            }
            for row in &mut self.slots[idx].rows {
                let due = row.due.is_some_and(|at| at <= now);
                if due && row.held_until <= now && claims.len() < limit {
                    row.fence += 1;
                    row.held_until = lease_until;
                    claims.push(Claim { payment: row.payment.id, fence: row.fence, lease_until });
                }
            }
            self.note_work(idx);
        }
        claims
    }

    /// Giving a claim back may take seconds, like every write.
    pub(crate) fn slow_release(&mut self, idx: usize) -> Option<Timestamp> {
        self.strike(idx, Purpose::Disk, &[Fault::CommitSlow])?;
        let ms = self.slots[idx].dice(Purpose::Disk).between(500, 40_000);
        Some(self.now + std::time::Duration::from_millis(ms.unsigned_abs()))
    }

    pub(crate) fn release(&mut self, claim: &Claim, due_at: Timestamp) {
        let idx = place_of(claim.payment);
        if let Some(row) = self.slots[idx].row_mut(claim.payment)
            && row.fence == claim.fence
        {
            row.held_until = Timestamp::EPOCH;
            row.due = (due_at < Timestamp::MAX).then_some(due_at);
            self.say(idx, || "its claim is given back".to_owned());
        }
        self.note_work(idx);
    }

    /// When any row may be claimed next.
    pub(crate) fn earliest_work(&self) -> Option<Timestamp> {
        self.agenda.iter().min().copied().filter(|at| *at < Timestamp::MAX)
    }

    /// Notes when a slot's earliest work may be claimed.
    fn note_work(&mut self, idx: usize) {
        let rows = self.slots[idx].rows.iter();
        let due = rows.filter_map(|r| r.due.map(|at| at.max(r.held_until))).min();
        self.agenda[idx] = due.unwrap_or(Timestamp::MAX);
        self.work_changed = true;
    }

    /// Whether a change took place; `Err` holds the time at which that can be known.
    pub(crate) fn was_committed(&mut self, change: Uuid) -> Result<bool, Timestamp> {
        let idx = (change.as_u128() & 0xffff_ffff) as usize;
        let Some(slot) = self.slots.get(idx) else { return Ok(false) };
        if let Some((_, at)) = slot.landing.iter().find(|(id, _)| *id == change) {
            return Err(*at);
        }
        let done = slot.rows.iter().any(|r| r.changes.contains(&change));
        self.say(idx, || format!("an unknown commit is read back: {done}"));
        self.reach(if done { Path::UnknownCommitDone } else { Path::UnknownCommitNotDone });
        Ok(done)
    }

    /// Notes what the present task did last.
    pub(crate) fn leaf(&mut self, leaf: Leaf) {
        let place = self.ctx.task.place as usize;
        if let Some(known) = self.leaves.get_mut(place) {
            *known = leaf;
        }
    }
}
