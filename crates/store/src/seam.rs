//! What a store must do.

use async_trait::async_trait;
use domain::{
    ChannelId, Controls, Event, MerchantId, Method, OrderNo, Payment, PaymentId, ProviderOrderNo,
    Purpose, Status, Timestamp,
};
use uuid::Uuid;

use crate::notes::NewNote;

/// One engine's books. All methods may be called from many tasks at once.
#[async_trait]
pub trait Store: Send + Sync {
    /// Commits one change as a whole, or nothing of it.
    async fn commit(&self, change: Change) -> Commit;

    /// Whether a change whose commit was [`Commit::Unknown`] took place. Answers for good only
    /// after every commit that was under way when it was called has ended.
    async fn was_committed(&self, change: Uuid) -> Result<bool, StoreError>;

    /// A payment by our id.
    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError>;

    /// A payment by the merchant's order number.
    async fn payment_by_order(
        &self,
        merchant: &MerchantId,
        order: &OrderNo,
    ) -> Result<Option<Payment>, StoreError>;

    /// What was remembered under an idempotency key.
    async fn request(
        &self,
        merchant: &MerchantId,
        key: &str,
    ) -> Result<Option<RequestRecord>, StoreError>;

    /// Payments, newest first.
    async fn list(&self, filter: &Filter) -> Result<Vec<Payment>, StoreError>;

    /// Paused payments ([`Payment::queued_from`]), those that are due longest first; none whose
    /// purpose is among `except`.
    async fn queue(&self, except: &[Purpose], limit: usize) -> Result<Vec<PaymentId>, StoreError>;

    /// How many payments there are in each status, synthetic ones left out.
    async fn count_by_status(&self) -> Result<Vec<(Status, u64)>, StoreError>;

    /// The story of a payment, oldest line first.
    async fn story(&self, id: PaymentId) -> Result<Vec<Event>, StoreError>;

    /// Takes payments whose next task is due and that nobody holds, for `owner`, until
    /// `lease_until`. Each claim's fence is larger than all earlier ones of that payment.
    async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        owner: &str,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError>;

    /// Gives a claim back without a change, so that the payment may be claimed again from
    /// `due_at` on. Does nothing when the fence is stale.
    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<(), StoreError>;

    /// When the next task of any payment, or the next message, is due.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Takes messages to merchants that are due, as [`Store::claim_due`] does payments.
    async fn claim_messages(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError>;

    /// Notes how the delivery of a message went. Does nothing when the fence is stale.
    async fn message_tried(&self, id: &str, fence: u64, end: MessageEnd) -> Result<(), StoreError>;

    /// Messages in one state, newest first.
    async fn messages(
        &self,
        state: Option<MessageState>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError>;

    /// Makes a dead or delivered message due again. `false` when there is none of this id.
    async fn resend_message(&self, id: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// The controls in force.
    async fn controls(&self) -> Result<Controls, StoreError>;

    /// Replaces the controls if their version is still `next.version - 1`, with a line for the
    /// audit log. `false` when somebody else was faster.
    async fn set_controls(&self, next: &Controls, audit: AuditLine) -> Result<bool, StoreError>;

    /// Adds a line to the audit log, for an act that changes no controls.
    async fn note(&self, line: AuditLine) -> Result<(), StoreError>;

    /// The audit log, newest first.
    async fn audit(&self, limit: usize) -> Result<Vec<AuditLine>, StoreError>;

    /// The lines of the audit log that a filter lets through, newest first, each with its
    /// number: the cursor of the page after it.
    async fn audit_page(&self, filter: &AuditFilter) -> Result<Vec<(u64, AuditLine)>, StoreError>;

    /// Whether the store can be read and written right now.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// A change of one payment with everything that goes with it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Unique; what an unknown commit is read back by.
    pub id: Uuid,
    /// The payment as it becomes; its `version` is `expected_version + 1`.
    pub payment: Payment,
    /// The version that it must have now; 0 when it must not exist.
    pub expected_version: u64,
    /// When its next task is due; `None` when there is none.
    pub due_at: Option<Timestamp>,
    /// The claim that the change is made under; checked, and given back with the commit.
    pub claim: Option<Claim>,
    /// What to remember under an idempotency key.
    pub request: Option<RequestRecord>,
    /// Messages to the merchant.
    pub messages: Vec<NewMessage>,
    /// Notes to the customer.
    pub notes: Vec<NewNote>,
    /// Lines of its story.
    pub events: Vec<Event>,
    /// When.
    pub at: Timestamp,
}

/// The answer to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Commit {
    /// Durable.
    Done,
    /// Not done, because the books say otherwise.
    Refused(Conflict),
    /// Not done, and surely so.
    Failed(StoreError),
    /// Nobody can say; read it back by its id.
    Unknown(StoreError),
}

/// What stood in the way of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The payment has another version than expected.
    Version,
    /// The claim's fence is stale (rule 15).
    Fenced,
    /// The merchant's order number belongs to this payment.
    OrderTaken(PaymentId),
    /// The idempotency key is taken; read its record.
    KeyTaken,
}

/// Why the store did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space left, or the file is read-only.
    #[error("the store is full or cannot be written: {0}")]
    Full(String),
    /// Made by a newer version of Evergate.
    #[error("the store has schema {found}, made by a newer Evergate; this one knows up to {known}")]
    Newer {
        /// The version in the file.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// Cannot be read as what it should be.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("the store did not answer: {0}")]
    Unavailable(String),
}

/// The right to work on one payment until the lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The payment.
    pub payment: PaymentId,
    /// Grows with every claim of the payment.
    pub fence: u64,
    /// When the right ends.
    pub lease_until: Timestamp,
}

/// What is remembered under an idempotency key (rule 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// Whose key.
    pub merchant: MerchantId,
    /// The key.
    pub key: String,
    /// A digest of the request: the same key with another request is an error.
    pub fingerprint: Vec<u8>,
    /// The payment that it made or changed.
    pub payment: PaymentId,
    /// The refund that it made.
    pub refund: Option<u16>,
    /// When.
    pub at: Timestamp,
}

/// Which payments to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this merchant.
    pub merchant: Option<MerchantId>,
    /// With this status.
    pub status: Option<Status>,
    /// With an attempt on this channel.
    pub channel: Option<ChannelId>,
    /// Whose latest attempt used this method.
    pub method: Option<Method>,
    /// In a person's queue, or not.
    pub review: Option<bool>,
    /// Made by Evergate to try a channel, or not.
    pub synthetic: Option<bool>,
    /// Made at or after.
    pub since: Option<Timestamp>,
    /// Made before.
    pub until: Option<Timestamp>,
    /// Older than this payment: the cursor. Ids sort by the time they were made.
    pub before: Option<PaymentId>,
    /// With this order number of its merchant's, whoever the merchant is.
    pub order: Option<OrderNo>,
    /// By the number at a provider.
    pub number: Option<ProviderOrderNo>,
    /// At most this many.
    pub limit: usize,
}

/// A message to a merchant, made with the change that it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Derived from the payment and the event's number, so that a commit that is tried again
    /// makes the same message.
    pub id: String,
    /// Such as `payment.paid`.
    pub kind: String,
    /// The body, sent unchanged at every try.
    pub body: String,
    /// When to send it first.
    pub due_at: Timestamp,
}

/// A message to a merchant and how its delivery goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// See [`NewMessage::id`].
    pub id: String,
    /// To whom.
    pub merchant: MerchantId,
    /// About which payment.
    pub payment: PaymentId,
    /// Such as `payment.paid`.
    pub kind: String,
    /// The body.
    pub body: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When to try next.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// Where it stands.
    pub state: MessageState,
    /// What the last try met.
    pub last_error: Option<String>,
    /// The claim's fence.
    pub fence: u64,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// To be sent.
    Pending,
    /// The merchant has it.
    Delivered,
    /// Given up; can be sent again by hand.
    Dead,
}

/// How a try of a message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageEnd {
    /// The merchant has it.
    Delivered,
    /// Try again then.
    Retry {
        /// When.
        at: Timestamp,
        /// What the try met.
        error: String,
    },
    /// Give up.
    Dead {
        /// What the last try met.
        error: String,
    },
}

/// One line of the audit log (rule 12).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AuditLine {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What was done, such as `disable alipay-main`.
    pub action: String,
    /// Why.
    pub reason: String,
}

/// Which lines of the audit log to read.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// By whom, exactly.
    pub by: Option<String>,
    /// Found in the act or its reason; ASCII letters count the same in either case.
    pub text: Option<String>,
    /// Older than the line of this number: the cursor.
    pub before: Option<u64>,
    /// At most this many.
    pub limit: usize,
}
