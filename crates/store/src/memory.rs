//! The books in memory, for tests and simulations. Nothing in it waits or draws lots: the
//! same calls give the same answers, in the same order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use domain::{
    Controls, Event, MerchantId, OrderNo, Payment, PaymentId, ProviderOrderNo, Purpose, Status,
    Timestamp,
};
use uuid::Uuid;

use crate::notes_memory::Outbox;
use crate::{
    AuditFilter, AuditLine, Change, Claim, Commit, Conflict, Filter, Message, MessageEnd,
    MessageState, NewVersion, RequestRecord, Store, StoreError, Version, VersionState, Versions,
    rows,
};

/// The books in memory. Gone when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    books: Mutex<Books>,
    pub(crate) bank: Mutex<crate::bank_memory::Books>,
    pub(crate) assist: Mutex<crate::assist_memory::Books>,
}

#[derive(Debug, Default)]
struct Books {
    payments: BTreeMap<PaymentId, Entry>,
    orders: HashMap<(MerchantId, OrderNo), PaymentId>,
    numbers: HashMap<ProviderOrderNo, PaymentId>,
    requests: HashMap<(MerchantId, String), RequestRecord>,
    changes: HashSet<Uuid>,
    messages: HashMap<String, Message>,
    outbox: Outbox,
    /// When each payment with something to do may be claimed.
    wakes: BTreeSet<(Timestamp, PaymentId)>,
    /// Paused payments by when they were due.
    queue: BTreeSet<(Timestamp, PaymentId)>,
    /// When each pending message may be claimed.
    message_wakes: BTreeSet<(Timestamp, String)>,
    controls: Controls,
    audit: Vec<AuditLine>,
    versions: Vec<Version>,
}

#[derive(Debug)]
struct Entry {
    payment: Payment,
    story: BTreeMap<u32, Event>,
    due_at: Option<Timestamp>,
    fence: u64,
    lease_until: Option<Timestamp>,
}

impl Entry {
    /// A payment under a lease is due again when the lease ends.
    fn wake_at(&self) -> Option<Timestamp> {
        self.due_at.map(|due| due.max(self.lease_until.unwrap_or(due)))
    }
}

impl MemoryStore {
    /// Empty books.
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    pub(crate) fn outbox<T>(&self, work: impl FnOnce(&mut Outbox) -> T) -> T {
        work(&mut self.books().outbox)
    }

    pub(crate) fn add_audit(&self, line: AuditLine) {
        self.books().audit.push(line);
    }

    /// Adds lines to the audit log.
    pub(crate) fn note_all(&self, lines: Vec<AuditLine>) {
        self.books().audit.extend(lines);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A panic elsewhere leaves the books whole: every method checks before it writes.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn commit(&mut self, change: Change) -> Commit {
        if let Err(error) = rows::check_shape(&change) {
            return Commit::Failed(error);
        }
        if self.changes.contains(&change.id) {
            return Commit::Done;
        }
        if let Some(conflict) = self.conflict(&change) {
            return Commit::Refused(conflict);
        }
        if let Err(error) = self.check_unique(&change) {
            return Commit::Failed(error);
        }
        self.apply(change);
        Commit::Done
    }

    /// What stands in the way, in the order that callers rely on: a stale claim, another
    /// version, a taken key, a taken order number.
    fn conflict(&self, change: &Change) -> Option<Conflict> {
        let payment = &change.payment;
        let entry = self.payments.get(&payment.id);
        if let Some(claim) = &change.claim
            && entry.map(|e| e.fence) != Some(claim.fence)
        {
            return Some(Conflict::Fenced);
        }
        if entry.map_or(0, |e| e.payment.version) != change.expected_version {
            return Some(Conflict::Version);
        }
        if let Some(request) = &change.request
            && self.requests.contains_key(&(request.merchant.clone(), request.key.clone()))
        {
            return Some(Conflict::KeyTaken);
        }
        let order = (payment.merchant.clone(), payment.order.clone());
        self.orders
            .get(&order)
            .filter(|_| entry.is_none())
            .map(|other| Conflict::OrderTaken(*other))
    }

    /// What a database's constraints would refuse; a mistake of the caller.
    fn check_unique(&self, change: &Change) -> Result<(), StoreError> {
        let payment = &change.payment;
        let twice = |what: &dyn std::fmt::Display| {
            Err(StoreError::Unavailable(format!("{what} is in the books already")))
        };
        for number in numbers(payment) {
            if self.numbers.get(number).is_some_and(|other| *other != payment.id) {
                return twice(number);
            }
        }
        let story = self.payments.get(&payment.id).map(|entry| &entry.story);
        let mut fresh = HashSet::new();
        for event in &change.events {
            if !fresh.insert(event.seq) || story.is_some_and(|s| s.contains_key(&event.seq)) {
                return twice(&format_args!("event {} of {}", event.seq, payment.id));
            }
        }
        Ok(())
    }

    fn apply(&mut self, change: Change) {
        let Change { id, payment, due_at, claim, request, messages, notes, events, at, .. } =
            change;
        self.changes.insert(id);
        for number in numbers(&payment) {
            self.numbers.insert(number.clone(), payment.id);
        }
        if let Some(request) = request {
            self.requests.insert((request.merchant.clone(), request.key.clone()), request);
        }
        for message in messages {
            self.add_message(&payment, message, at);
        }
        for note in notes {
            self.outbox.add((&payment.merchant, payment.id), note, at);
        }
        self.orders.insert((payment.merchant.clone(), payment.order.clone()), payment.id);
        self.schedule(payment.id, |books| {
            let entry = books.payments.entry(payment.id).or_insert_with(|| Entry {
                payment: payment.clone(),
                story: BTreeMap::new(),
                due_at,
                fence: 0,
                lease_until: None,
            });
            entry.payment = payment;
            entry.due_at = due_at;
            if claim.is_some() {
                entry.lease_until = None;
            }
            entry.story.extend(events.into_iter().map(|event| (event.seq, event)));
        });
    }

    fn add_message(&mut self, payment: &Payment, new: crate::NewMessage, at: Timestamp) {
        if self.messages.contains_key(&new.id) {
            return;
        }
        self.message_wakes.insert((new.due_at, new.id.clone()));
        let message = Message {
            id: new.id.clone(),
            merchant: payment.merchant.clone(),
            payment: payment.id,
            kind: new.kind,
            body: new.body,
            created_at: at,
            due_at: new.due_at,
            tries: 0,
            state: MessageState::Pending,
            last_error: None,
            fence: 0,
        };
        self.messages.insert(new.id, message);
    }

    /// Changes an entry and keeps its place in the queue right.
    fn schedule(&mut self, id: PaymentId, change: impl FnOnce(&mut Books)) {
        let wake = |books: &Books| books.payments.get(&id).and_then(Entry::wake_at);
        let queued = |books: &Books| books.payments.get(&id).and_then(|e| e.payment.queued_from());
        if let Some(at) = wake(self) {
            self.wakes.remove(&(at, id));
        }
        if let Some(from) = queued(self) {
            self.queue.remove(&(from, id));
        }
        change(self);
        if let Some(from) = queued(self) {
            self.queue.insert((from, id));
        }
        if let Some(at) = wake(self) {
            self.wakes.insert((at, id));
        }
    }

    /// The same for a message.
    fn schedule_message(&mut self, id: &str, change: impl FnOnce(&mut Message)) {
        let Some(message) = self.messages.get_mut(id) else { return };
        self.message_wakes.remove(&(message.due_at, id.to_owned()));
        change(message);
        if message.state == MessageState::Pending {
            self.message_wakes.insert((message.due_at, id.to_owned()));
        }
    }

    fn claim(&mut self, id: PaymentId, lease_until: Timestamp) -> Option<Claim> {
        let mut claim = None;
        self.schedule(id, |books| {
            let Some(entry) = books.payments.get_mut(&id) else { return };
            entry.fence += 1;
            entry.lease_until = Some(lease_until);
            claim = Some(Claim { payment: id, fence: entry.fence, lease_until });
        });
        claim
    }

    fn matches(filter: &Filter, payment: &Payment) -> bool {
        fn is<T: PartialEq>(wanted: &Option<T>, value: &T) -> bool {
            wanted.as_ref().is_none_or(|wanted| wanted == value)
        }
        is(&filter.merchant, &payment.merchant)
            && filter.status.is_none_or(|status| status == payment.status())
            && filter.method.is_none_or(|method| rows::latest_method(payment) == Some(method))
            && filter.review.is_none_or(|review| review == payment.review.is_some())
            && filter.synthetic.is_none_or(|synthetic| synthetic == payment.terms.is_synthetic())
            && filter.since.is_none_or(|since| payment.created_at >= since)
            && filter.until.is_none_or(|until| payment.created_at < until)
            && filter
                .channel
                .as_ref()
                .is_none_or(|channel| payment.attempts.iter().any(|a| a.channel == *channel))
            && is(&filter.order, &payment.order)
            && filter.number.as_ref().is_none_or(|number| numbers(payment).any(|n| n == number))
    }
}

fn passes(filter: &AuditFilter, number: u64, line: &AuditLine) -> bool {
    let holds =
        |text: &str, part: &str| text.to_ascii_lowercase().contains(&part.to_ascii_lowercase());
    filter.before.is_none_or(|before| number < before)
        && filter.by.as_ref().is_none_or(|by| *by == line.by)
        && filter
            .text
            .as_ref()
            .is_none_or(|part| holds(&line.action, part) || holds(&line.reason, part))
}

fn numbers(payment: &Payment) -> impl Iterator<Item = &ProviderOrderNo> {
    let refunds = payment.refunds.iter().map(|refund| &refund.number);
    payment.attempts.iter().map(|attempt| &attempt.number).chain(refunds)
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, change: Change) -> Commit {
        self.books().commit(change)
    }

    async fn was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        Ok(self.books().changes.contains(&change))
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        Ok(self.books().payments.get(&id).map(|entry| entry.payment.clone()))
    }

    async fn payment_by_order(
        &self,
        merchant: &MerchantId,
        order: &OrderNo,
    ) -> Result<Option<Payment>, StoreError> {
        let books = self.books();
        let id = books.orders.get(&(merchant.clone(), order.clone()));
        Ok(id.and_then(|id| books.payments.get(id)).map(|entry| entry.payment.clone()))
    }

    async fn request(
        &self,
        merchant: &MerchantId,
        key: &str,
    ) -> Result<Option<RequestRecord>, StoreError> {
        Ok(self.books().requests.get(&(merchant.clone(), key.to_owned())).cloned())
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Payment>, StoreError> {
        let books = self.books();
        let older: Box<dyn Iterator<Item = (&PaymentId, &Entry)> + Send> = match filter.before {
            Some(before) => Box::new(books.payments.range(..before)),
            None => Box::new(books.payments.iter()),
        };
        // Ids sort by age, so the last is the newest.
        let mut found: Vec<&Payment> = older.map(|(_, entry)| &entry.payment).collect();
        found.reverse();
        found.retain(|payment| Books::matches(filter, payment));
        Ok(found.into_iter().take(filter.limit).cloned().collect())
    }

    async fn queue(&self, except: &[Purpose], limit: usize) -> Result<Vec<PaymentId>, StoreError> {
        let books = self.books();
        let meant = |id: &PaymentId| {
            let purpose = books.payments.get(id).map(|entry| entry.payment.terms.purpose);
            purpose.is_some_and(|purpose| !except.contains(&purpose))
        };
        Ok(books.queue.iter().map(|(_, id)| *id).filter(meant).take(limit).collect())
    }

    async fn count_by_status(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        let mut counts = BTreeMap::new();
        let real = |entry: &&Entry| !entry.payment.terms.is_synthetic();
        for entry in self.books().payments.values().filter(real) {
            *counts.entry(entry.payment.status()).or_insert(0) += 1;
        }
        Ok(counts.into_iter().collect())
    }

    async fn story(&self, id: PaymentId) -> Result<Vec<Event>, StoreError> {
        let story = |entry: &Entry| entry.story.values().cloned().collect();
        Ok(self.books().payments.get(&id).map(story).unwrap_or_default())
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        _owner: &str,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let mut books = self.books();
        let due = books.wakes.iter().take_while(|(at, _)| *at <= now).take(limit);
        let due: Vec<PaymentId> = due.map(|(_, id)| *id).collect();
        Ok(due.into_iter().filter_map(|id| books.claim(id, lease_until)).collect())
    }

    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<(), StoreError> {
        self.books().schedule(claim.payment, |books| {
            let entry = books.payments.get_mut(&claim.payment);
            if let Some(entry) = entry.filter(|e| e.fence == claim.fence)
                && entry.lease_until.take().is_some()
            {
                entry.due_at = Some(due_at);
            }
        });
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let books = self.books();
        let payment = books.wakes.first().map(|(at, _)| *at);
        let message = books.message_wakes.first().map(|(at, _)| *at);
        Ok(payment.into_iter().chain(message).min())
    }

    async fn claim_messages(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let mut books = self.books();
        let due = books.message_wakes.iter().take_while(|(at, _)| *at <= now).take(limit);
        let due: Vec<String> = due.map(|(_, id)| id.clone()).collect();
        for id in &due {
            books.schedule_message(id, |message| {
                message.fence += 1;
                message.due_at = lease_until;
            });
        }
        Ok(due.iter().filter_map(|id| books.messages.get(id).cloned()).collect())
    }

    async fn message_tried(&self, id: &str, fence: u64, end: MessageEnd) -> Result<(), StoreError> {
        self.books().schedule_message(id, |message| {
            if message.fence != fence || message.state != MessageState::Pending {
                return;
            }
            message.fence += 1;
            message.tries += 1;
            let (state, error) = match end {
                MessageEnd::Delivered => (MessageState::Delivered, None),
                MessageEnd::Dead { error } => (MessageState::Dead, Some(error)),
                MessageEnd::Retry { at, error } => {
                    message.due_at = at;
                    (MessageState::Pending, Some(error))
                }
            };
            message.state = state;
            message.last_error = error;
        });
        Ok(())
    }

    async fn messages(
        &self,
        state: Option<MessageState>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let books = self.books();
        let mut found: Vec<&Message> =
            books.messages.values().filter(|m| state.is_none_or(|s| s == m.state)).collect();
        found.sort_unstable_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        Ok(found.into_iter().take(limit).cloned().collect())
    }

    async fn resend_message(&self, id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut books = self.books();
        books.schedule_message(id, |message| {
            if message.state != MessageState::Pending {
                message.state = MessageState::Pending;
                message.due_at = now;
                message.tries = 0;
                message.fence += 1;
            }
        });
        Ok(books.messages.contains_key(id))
    }

    async fn controls(&self) -> Result<Controls, StoreError> {
        Ok(self.books().controls.clone())
    }

    async fn set_controls(&self, next: &Controls, audit: AuditLine) -> Result<bool, StoreError> {
        let mut books = self.books();
        if books.controls.version.checked_add(1) != Some(next.version) {
            return Ok(false);
        }
        books.controls = next.clone();
        books.audit.push(audit);
        Ok(true)
    }

    async fn note(&self, line: AuditLine) -> Result<(), StoreError> {
        self.books().audit.push(line);
        Ok(())
    }

    async fn audit(&self, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        Ok(self.books().audit.iter().rev().take(limit).cloned().collect())
    }

    async fn audit_page(&self, filter: &AuditFilter) -> Result<Vec<(u64, AuditLine)>, StoreError> {
        let books = self.books();
        let lines: Vec<(u64, &AuditLine)> = (1..).zip(&books.audit).collect();
        let wanted = lines.into_iter().rev().filter(|(number, line)| passes(filter, *number, line));
        Ok(wanted.take(filter.limit).map(|(number, line)| (number, line.clone())).collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Books {
    fn version_in(&self, state: VersionState) -> Option<u64> {
        self.versions.iter().find(|v| v.new.state == state).map(|v| v.version)
    }

    /// What is live is so no longer.
    fn supersede(&mut self) {
        let live = self.versions.iter_mut().filter(|v| v.new.state == VersionState::Live);
        live.for_each(|version| version.new.state = VersionState::Superseded);
    }
}

#[async_trait]
impl Versions for MemoryStore {
    async fn add_version(
        &self,
        new: NewVersion,
        audit: AuditLine,
    ) -> Result<Option<u64>, StoreError> {
        let mut books = self.books();
        let is_staged = books.version_in(VersionState::Staged).is_some();
        if is_staged || books.version_in(VersionState::Live) != new.parent {
            return Ok(None);
        }
        if new.state == VersionState::Live {
            books.supersede();
        }
        let version = books.versions.len() as u64 + 1;
        books.versions.push(Version { version, new, cause: None });
        books.audit.push(audit);
        Ok(Some(version))
    }

    async fn settle_version(
        &self,
        version: u64,
        end: VersionState,
        cause: Option<String>,
        audit: AuditLine,
    ) -> Result<bool, StoreError> {
        let mut books = self.books();
        if books.version_in(VersionState::Staged) != Some(version) {
            return Ok(false);
        }
        if end == VersionState::Live {
            books.supersede();
        }
        if let Some(staged) = books.versions.iter_mut().find(|v| v.version == version) {
            staged.new.state = end;
            staged.cause = cause;
        }
        books.audit.push(audit);
        Ok(true)
    }

    async fn version(&self, version: u64) -> Result<Option<Version>, StoreError> {
        Ok(self.books().versions.iter().find(|v| v.version == version).cloned())
    }

    async fn versions(&self, limit: usize) -> Result<Vec<Version>, StoreError> {
        Ok(self.books().versions.iter().rev().take(limit).cloned().collect())
    }
}
