//! Messages to customers: what is to be said to whom, how it went, and who wants no more.
//!
//! A note is a row of the commit that it tells of. Contacts are personal data: they live here
//! and nowhere else, and no `Debug` prints them (rule 13). A person is known by an *addressee*,
//! a keyed digest of merchant and contact, which is what limits are counted by and what a link
//! that unsubscribes carries.

use async_trait::async_trait;
use domain::{Locale, MerchantId, PaymentId, Timestamp};

use crate::{AuditLine, StoreError};

/// Keeps notes to customers.
#[async_trait]
pub trait Notes: Send + Sync {
    /// Adds a note that no change of a payment makes, such as one that an operator asked for,
    /// with a line for the audit log. `false` when there is one of this id already.
    async fn add_note(
        &self,
        about: (&MerchantId, PaymentId),
        note: NewNote,
        at: Timestamp,
        audit: AuditLine,
    ) -> Result<bool, StoreError>;

    /// Takes notes that are due, until `lease_until`, the earliest first. No person has two
    /// notes under way at once, so that whoever counts what one got counts all of it.
    async fn claim_notes(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Note>, StoreError>;

    /// Notes how a try went. `false` when the fence is stale (rule 15) and nothing was noted.
    async fn end_note(
        &self,
        id: &str,
        fence: u64,
        end: NoteEnd,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// One note.
    async fn find_note(&self, id: &str) -> Result<Option<Note>, StoreError>;

    /// The notes about a payment, oldest first.
    async fn notes_of(&self, payment: PaymentId) -> Result<Vec<Note>, StoreError>;

    /// Notes in one state, newest first.
    async fn notes(&self, state: Option<NoteState>, limit: usize) -> Result<Vec<Note>, StoreError>;

    /// What a person was sent at or after `since`, newest first, at most `limit`.
    async fn sent_to(
        &self,
        addressee: &str,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<SentNote>, StoreError>;

    /// Makes a note due at once, whatever its state, with a line for the audit log: its tries
    /// start over, and limits and hours do not keep it back. `false` when there is none.
    async fn resend_note(
        &self,
        id: &str,
        now: Timestamp,
        audit: AuditLine,
    ) -> Result<bool, StoreError>;

    /// When the earliest pending note is due; for one that is claimed, when its lease ends.
    async fn next_note_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// A note that was made for a person, the latest one.
    async fn latest_to(&self, addressee: &str) -> Result<Option<Note>, StoreError>;

    /// Since when a person wants no reminders.
    async fn unsubscribed(&self, addressee: &str) -> Result<Option<Timestamp>, StoreError>;

    /// Writes down whether a person wants reminders. The first time of several stays.
    async fn set_subscribed(
        &self,
        addressee: &str,
        wanted: bool,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// The secret of a name, which is kept for good; `fresh` becomes it when there is none.
    async fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, StoreError>;
}

/// A text that is personal data. It does not print itself (rule 13).
#[derive(Clone, PartialEq, Eq)]
pub struct Private(String);

impl Private {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Private {
        Private(text.into())
    }

    /// The text; for the way that it goes and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Private {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A note to a customer, made with the change that it tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNote {
    /// Derived from the payment and the event's number, so that a commit that is tried again
    /// makes the same note (rule 8).
    pub id: String,
    /// What it says, such as `held`.
    pub kind: String,
    /// By which way it goes: `email`, `sms` or `push`.
    pub way: String,
    /// Who gets it, as a keyed digest.
    pub addressee: Private,
    /// Who gets it, as the way needs it.
    pub contact: Private,
    /// The customer's language.
    pub locale: Locale,
    /// What the text is filled with: a small JSON object.
    pub data: String,
    /// When what it tells of began. A like note that the person got since then told of the
    /// same incident.
    pub since: Timestamp,
    /// When to look at it next.
    pub due_at: Timestamp,
    /// Pointless from then on.
    pub not_after: Timestamp,
}

/// A note and how it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it says, to whom.
    pub what: NewNote,
    /// In whose name.
    pub merchant: MerchantId,
    /// About which payment.
    pub payment: PaymentId,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// Where it stands.
    pub state: NoteState,
    /// Why it waits, was not sent, or what the last try met.
    pub reason: Option<String>,
    /// When the way took it.
    pub sent_at: Option<Timestamp>,
    /// Whether an operator wants it out whatever limits and hours say.
    pub forced: bool,
    /// The claim's fence.
    pub fence: u64,
}

/// What a person was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentNote {
    /// See [`NewNote::id`].
    pub id: String,
    /// See [`NewNote::kind`].
    pub kind: String,
    /// About which payment.
    pub payment: PaymentId,
    /// When the way took it.
    pub at: Timestamp,
}

/// Where a note stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoteState {
    /// To be sent.
    Pending,
    /// The way took it.
    Sent,
    /// Not sent, for a reason: nobody missed anything.
    Suppressed,
    /// Given up; can be sent again by hand.
    Dead,
}

impl NoteState {
    /// Every state.
    pub const ALL: [NoteState; 4] =
        [NoteState::Pending, NoteState::Sent, NoteState::Suppressed, NoteState::Dead];

    /// The name that the store and the API use.
    pub fn name(self) -> &'static str {
        match self {
            NoteState::Pending => "pending",
            NoteState::Sent => "sent",
            NoteState::Suppressed => "suppressed",
            NoteState::Dead => "dead",
        }
    }

    pub(crate) fn of(name: &str) -> Option<NoteState> {
        NoteState::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// How a look at a note ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoteEnd {
    /// The way took it.
    Sent,
    /// A try failed; try again then.
    Retry {
        /// When.
        at: Timestamp,
        /// What the try met.
        error: String,
    },
    /// It may not be sent yet; no try was made.
    Wait {
        /// When to look again.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// It is not sent.
    Suppressed {
        /// Why.
        reason: String,
    },
    /// Give up.
    Dead {
        /// What the last try met.
        error: String,
    },
}

/// A note's row after a look at it; what both engines write.
pub(crate) struct Ended {
    pub(crate) state: NoteState,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) tried: bool,
    pub(crate) reason: Option<String>,
}

impl From<NoteEnd> for Ended {
    fn from(end: NoteEnd) -> Ended {
        let (state, due_at, tried, reason) = match end {
            NoteEnd::Sent => (NoteState::Sent, None, true, None),
            NoteEnd::Retry { at, error } => (NoteState::Pending, Some(at), true, Some(error)),
            NoteEnd::Wait { at, reason } => (NoteState::Pending, Some(at), false, Some(reason)),
            NoteEnd::Suppressed { reason } => (NoteState::Suppressed, None, false, Some(reason)),
            NoteEnd::Dead { error } => (NoteState::Dead, None, true, Some(error)),
        };
        Ended { state, due_at, tried, reason }
    }
}
