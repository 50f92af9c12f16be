//! The books of the VIP desk: cases that staff work on, and what each of them recorded.
//!
//! They lie beside the payments and are kept by the same rules: a change is committed as a whole
//! or not at all, over the versions that it was decided from; an unknown commit is read back by
//! its id (rule 16); every change has its lines in the case's history and in the audit log
//! (rule 12).
//!
//! What is not here: any decision. The books compare versions and unique keys, nothing else.

use std::fmt;

use async_trait::async_trait;
use domain::{
    ChannelId, MerchantId, Method, Money, OfflineKind, PaymentId, Status, Tier, Timestamp,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AuditLine, Commit, StoreError};

/// The books of the desk. All methods may be called from many tasks at once.
#[async_trait]
pub trait AssistBooks: Send + Sync {
    /// Commits a change as a whole, or nothing of it. [`Conflict`](crate::Conflict) is `Version`
    /// when the case or the tally has another version, `KeyTaken` when the payment has another
    /// case that is not closed, or another case has the reference.
    async fn assist_commit(&self, change: AssistChange) -> Commit;

    /// Whether a change whose commit was unknown took place; see
    /// [`Store::was_committed`](crate::Store::was_committed).
    async fn assist_was_committed(&self, change: Uuid) -> Result<bool, StoreError>;

    /// A case by its id.
    async fn assist_case(&self, id: &str) -> Result<Option<KeptCase>, StoreError>;

    /// The case of a payment that is not closed. There is at most one.
    async fn assist_of(&self, payment: PaymentId) -> Result<Option<KeptCase>, StoreError>;

    /// The case that has a [reference](Case::reference_key).
    async fn assist_by_reference(&self, key: &str) -> Result<Option<KeptCase>, StoreError>;

    /// The cases that a filter lets pass.
    async fn assist_list(&self, filter: &AssistFilter) -> Result<Vec<KeptCase>, StoreError>;

    /// What happened to a case, oldest first.
    async fn assist_history(&self, case: &str) -> Result<Vec<AssistLine>, StoreError>;

    /// What a member of staff recorded lately in one currency, with its version.
    async fn assist_tally(&self, id: &str) -> Result<Option<(u64, AssistTally)>, StoreError>;

    /// How many cases that are not closed there are in each state.
    async fn assist_totals(&self) -> Result<Vec<AssistTotal>, StoreError>;
}

/// A case as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptCase {
    /// Counts its commits; guards every change.
    pub version: u64,
    /// What it says.
    pub case: Case,
}

/// A payment that staff are to help with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// `as_` and letters.
    pub id: String,
    /// The payment.
    pub payment: PaymentId,
    /// Who collects.
    pub merchant: MerchantId,
    /// How the merchant ranks the customer.
    pub tier: Tier,
    /// What is to be paid.
    pub money: Money,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Who opened it.
    pub opener: Opener,
    /// Who that was: the name of a key, or `evergate`.
    pub opened_by: String,
    /// Why, in that person's words.
    pub reason: String,
    /// Where it stands.
    pub state: CaseState,
}

/// Who asked for help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opener {
    /// The customer, on the checkout page.
    Customer,
    /// The merchant, by its key.
    Merchant,
    /// Staff.
    Operator,
    /// The ladder, because nothing else takes a payment of this tier.
    Ladder,
}

impl Opener {
    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Opener::Customer => "customer",
            Opener::Merchant => "merchant",
            Opener::Operator => "operator",
            Opener::Ladder => "ladder",
        }
    }
}

/// Where a case stands; each state holds only what is true in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum CaseState {
    /// Nobody has it.
    Open,
    /// A member of staff has it.
    Taken {
        /// Who.
        by: String,
        /// Since when.
        since: Timestamp,
        /// Until when; afterwards it is in the queue again.
        until: Timestamp,
    },
    /// Offline money was taken, and a second person has to agree (rule 12).
    Proposed {
        /// What was taken.
        taken: Taking,
    },
    /// Offline money is being booked: said by one person or by two, and to be in the payment's
    /// books as soon as they take it. Whoever finds it so goes on from here.
    Recording {
        /// What was taken.
        taken: Taking,
        /// Who agreed, where it took two.
        agreed: Option<String>,
        /// Since when.
        at: Timestamp,
    },
    /// It has ended.
    Closed {
        /// How.
        end: CaseEnd,
        /// Who ended it, or `evergate`.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// Offline money, as the person who took it says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// How.
    pub kind: OfflineKind,
    /// The number of a till slip, a terminal's receipt or a cheque. Unique for the merchant and
    /// kind, so that one slip pays one payment.
    pub reference: String,
    /// How much.
    pub money: Money,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Who took it.
    pub by: String,
    /// Why it is believed, in that person's words.
    pub reason: String,
    /// When it was said.
    pub at: Timestamp,
}

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Taking")
            .field("kind", &self.kind)
            .field("money", &self.money)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum CaseEnd {
    /// The payment was paid on a channel.
    Paid {
        /// Which.
        channel: ChannelId,
        /// By which method.
        method: Method,
        /// Offline money that was taken all the same, and is to be handed back.
        hand_back: Option<Taking>,
    },
    /// The payment was paid by offline money.
    Offline {
        /// What was taken.
        taken: Taking,
        /// Who agreed, where it took two.
        agreed: Option<String>,
    },
    /// The customer does not want it any more, says staff.
    GaveUp {
        /// Why.
        why: String,
    },
    /// The payment ended unpaid.
    Ended {
        /// How.
        status: Status,
        /// Offline money that was taken all the same, and is to be handed back.
        hand_back: Option<Taking>,
    },
}

impl CaseEnd {
    /// The name that the API uses.
    pub fn name(&self) -> &'static str {
        match self {
            CaseEnd::Paid { .. } => "paid",
            CaseEnd::Offline { .. } => "paid_offline",
            CaseEnd::GaveUp { .. } => "gave_up",
            CaseEnd::Ended { .. } => "ended",
        }
    }

    /// Offline money that was taken and did not pay: staff hand it back.
    pub fn hand_back(&self) -> Option<&Taking> {
        match self {
            CaseEnd::Paid { hand_back, .. } | CaseEnd::Ended { hand_back, .. } => {
                hand_back.as_ref()
            }
            CaseEnd::Offline { .. } | CaseEnd::GaveUp { .. } => None,
        }
    }
}

impl CaseState {
    /// Every state's name.
    pub const NAMES: [&str; 5] = ["open", "taken", "proposed", "recording", "closed"];

    /// The name that the API and lists use.
    pub fn name(&self) -> &'static str {
        match self {
            CaseState::Open => "open",
            CaseState::Taken { .. } => "taken",
            CaseState::Proposed { .. } => "proposed",
            CaseState::Recording { .. } => "recording",
            CaseState::Closed { .. } => "closed",
        }
    }

    /// Offline money that pays the payment, or is to.
    pub fn taking(&self) -> Option<&Taking> {
        match self {
            CaseState::Proposed { taken } | CaseState::Recording { taken, .. } => Some(taken),
            CaseState::Closed { end: CaseEnd::Offline { taken, .. }, .. } => Some(taken),
            _ => None,
        }
    }
}

impl Case {
    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, CaseState::Closed { .. })
    }

    /// What a case is found by while its offline money pays, or is to: merchant, kind and
    /// reference. One case has it at a time.
    pub fn reference_key(merchant: &MerchantId, kind: OfflineKind, reference: &str) -> String {
        format!("{merchant} {} {reference}", kind.name())
    }

    pub(crate) fn key(&self) -> Option<String> {
        let taken = self.state.taking()?;
        Some(Case::reference_key(&self.merchant, taken.kind, &taken.reference))
    }
}

/// What a member of staff recorded lately in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssistTally {
    /// Each sum with its time and case.
    pub sums: Vec<AssistSum>,
}

/// One sum of a [`AssistTally`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssistSum {
    /// When.
    pub at: Timestamp,
    /// Of which case.
    pub case: String,
    /// How much, in minor units.
    pub minor: i64,
}

/// A change of one case, with the tally that it counts in.
#[derive(Clone, Debug)]
pub struct AssistChange {
    /// Unique; what an unknown commit is read back by.
    pub id: Uuid,
    /// The version that the case must have now; 0 when it must not exist.
    pub expected_version: u64,
    /// The case as it becomes.
    pub case: Case,
    /// A tally as it becomes: its id, the version that it must have now, and what it says.
    pub tally: Option<(String, u64, AssistTally)>,
    /// Lines of the case's history, which are lines of the audit log as well.
    pub lines: Vec<AssistLine>,
    /// When.
    pub at: Timestamp,
}

/// One line of a case's history (rule 12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssistLine {
    /// When.
    pub at: Timestamp,
    /// Whose key it was, or `evergate`.
    pub by: String,
    /// What was done, such as `taken`.
    pub action: String,
    /// Why, in that person's words.
    pub reason: String,
}

impl AssistLine {
    /// The same for the audit log, which tells of everything.
    pub(crate) fn audit(&self, case: &Case) -> AuditLine {
        let AssistLine { at, by, action, reason } = self.clone();
        let action = format!("assist {} ({}): {action}", case.id, case.payment);
        AuditLine { at, by, action, reason }
    }
}

/// Which cases to list.
#[derive(Clone, Debug)]
pub struct AssistFilter {
    /// In one of these states; empty is all.
    pub states: Vec<&'static str>,
    /// Of this merchant.
    pub merchant: Option<MerchantId>,
    /// Of customers of this tier.
    pub tier: Option<Tier>,
    /// Of this payment.
    pub payment: Option<PaymentId>,
    /// The newest first; else VIPs first, and among equals the one that waits longest.
    pub newest_first: bool,
    /// At most this many.
    pub limit: usize,
}

impl AssistFilter {
    /// Every case that is not closed, as the queue shows them.
    pub fn queue() -> AssistFilter {
        AssistFilter {
            states: vec!["open", "taken", "proposed", "recording"],
            merchant: None,
            tier: None,
            payment: None,
            newest_first: false,
            limit: usize::MAX,
        }
    }
}

/// How many cases there are in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssistTotal {
    /// The state's name.
    pub state: String,
    /// How many.
    pub count: u64,
    /// When the oldest was opened.
    pub oldest: Timestamp,
}
