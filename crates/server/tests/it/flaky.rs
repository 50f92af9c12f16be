//! Books that fail on request.

use std::sync::Mutex;

use async_trait::async_trait;
use domain::*;
use store::*;
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct Flaky {
    pub(crate) books: MemoryStore,
    /// What every commit and every question answers, while it is set.
    pub(crate) fault: Mutex<Option<StoreError>>,
    /// Whether a commit answers "unknown" and cannot be read back.
    pub(crate) vague: Mutex<bool>,
    /// Whether the end of a note cannot be written down, as when the process dies before that.
    pub(crate) forgetful: Mutex<bool>,
}

impl Flaky {
    pub(crate) fn fail(&self, fault: Option<StoreError>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn check(&self) -> Result<(), StoreError> {
        self.fault.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Store for Flaky {
    async fn commit(&self, change: Change) -> Commit {
        if let Err(error) = self.check() {
            return Commit::Failed(error);
        }
        if *self.vague.lock().unwrap() {
            return Commit::Unknown(StoreError::Unavailable("timeout".into()));
        }
        self.books.commit(change).await
    }
    async fn was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        if *self.vague.lock().unwrap() {
            return Err(StoreError::Unavailable("timeout".into()));
        }
        self.books.was_committed(change).await
    }
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.check()?;
        self.books.payment(id).await
    }
    async fn payment_by_order(
        &self,
        merchant: &MerchantId,
        order: &OrderNo,
    ) -> Result<Option<Payment>, StoreError> {
        self.check()?;
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
        self.check()?;
        self.books.list(filter).await
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
        self.check()?;
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
        self.check()?;
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
    async fn note(&self, line: AuditLine) -> Result<(), StoreError> {
        self.books.note(line).await
    }

    async fn queue(
        &self,
        except: &[domain::Purpose],
        limit: usize,
    ) -> Result<Vec<PaymentId>, StoreError> {
        self.books.queue(except, limit).await
    }

    async fn set_controls(&self, next: &Controls, audit: AuditLine) -> Result<bool, StoreError> {
        self.check()?;
        self.books.set_controls(next, audit).await
    }
    async fn audit(&self, limit: usize) -> Result<Vec<AuditLine>, StoreError> {
        self.books.audit(limit).await
    }
    async fn audit_page(&self, filter: &AuditFilter) -> Result<Vec<(u64, AuditLine)>, StoreError> {
        self.check()?;
        self.books.audit_page(filter).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.check()
    }
}

#[async_trait]
impl Notes for Flaky {
    async fn add_note(
        &self,
        about: (&MerchantId, PaymentId),
        note: NewNote,
        at: Timestamp,
        audit: AuditLine,
    ) -> Result<bool, StoreError> {
        self.books.add_note(about, note, at, audit).await
    }
    async fn claim_notes(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Note>, StoreError> {
        self.books.claim_notes(now, lease_until, limit).await
    }
    async fn end_note(
        &self,
        id: &str,
        fence: u64,
        end: NoteEnd,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        if *self.forgetful.lock().unwrap() {
            return Err(StoreError::Unavailable("the process died".into()));
        }
        self.books.end_note(id, fence, end, at).await
    }
    async fn find_note(&self, id: &str) -> Result<Option<Note>, StoreError> {
        self.books.find_note(id).await
    }
    async fn notes_of(&self, payment: PaymentId) -> Result<Vec<Note>, StoreError> {
        self.books.notes_of(payment).await
    }
    async fn notes(&self, state: Option<NoteState>, limit: usize) -> Result<Vec<Note>, StoreError> {
        self.books.notes(state, limit).await
    }
    async fn sent_to(
        &self,
        addressee: &str,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SentNote>, StoreError> {
        self.books.sent_to(addressee, since, limit).await
    }
    async fn resend_note(
        &self,
        id: &str,
        now: Timestamp,
        audit: AuditLine,
    ) -> Result<bool, StoreError> {
        self.books.resend_note(id, now, audit).await
    }
    async fn next_note_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.books.next_note_due().await
    }
    async fn latest_to(&self, addressee: &str) -> Result<Option<Note>, StoreError> {
        self.books.latest_to(addressee).await
    }
    async fn unsubscribed(&self, addressee: &str) -> Result<Option<Timestamp>, StoreError> {
        self.books.unsubscribed(addressee).await
    }
    async fn set_subscribed(
        &self,
        addressee: &str,
        wanted: bool,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.books.set_subscribed(addressee, wanted, at).await
    }
    async fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.books.secret(name, fresh).await
    }
}
