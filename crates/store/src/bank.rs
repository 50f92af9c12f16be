//! The books of bank channels: what is expected, what came, what is owed, and who said so.
//!
//! They lie beside the payments and are kept by the same rules: a change is committed as a
//! whole or not at all, over the versions of the records that it was decided from, and an
//! unknown commit is read back by its id (rule 16).
//!
//! What is not here: any decision. The books compare versions and unique keys, nothing else.

use std::fmt;

use async_trait::async_trait;
use domain::{ChannelId, Currency, Money, PaymentId, Presentation, ProviderOrderNo, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Commit, StoreError};

/// The books of every bank channel. All methods may be called from many tasks at once.
#[async_trait]
pub trait BankBooks: Send + Sync {
    /// Commits a change as a whole, or nothing of it. [`Conflict`](crate::Conflict) is
    /// `Version` when a record has another version, `KeyTaken` when another record has one of
    /// its unique keys.
    async fn bank_commit(&self, change: BankChange) -> Commit;

    /// Whether a change whose commit was unknown took place; see
    /// [`Store::was_committed`](crate::Store::was_committed).
    async fn bank_was_committed(&self, change: Uuid) -> Result<bool, StoreError>;

    /// A record by its id.
    async fn bank_record(&self, kind: BankKind, id: &str) -> Result<Option<Kept>, StoreError>;

    /// The records of a kind that have a key, in the order of their ids.
    async fn bank_find(&self, kind: BankKind, key: &str) -> Result<Vec<Kept>, StoreError>;

    /// The records that a filter lets pass.
    async fn bank_list(&self, filter: &BankFilter) -> Result<Vec<Kept>, StoreError>;

    /// What happened to a record, oldest first.
    async fn bank_history(&self, about: &str) -> Result<Vec<BankLine>, StoreError>;

    /// How many transfers and payouts there are in each state, and how much money.
    async fn bank_totals(&self) -> Result<Vec<BankTotal>, StoreError>;
}

/// The kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BankKind {
    /// [`Allotment`]
    Allotment,
    /// [`Transfer`]
    Transfer,
    /// [`Payout`]
    Payout,
    /// [`StatementFile`]
    Statement,
    /// [`Counter`]
    Counter,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum BankRecord {
    /// What is expected.
    Allotment(Allotment),
    /// What came.
    Transfer(Transfer),
    /// What is owed.
    Payout(Payout),
    /// A file that was imported.
    Statement(StatementFile),
    /// How many accounts were given out.
    Counter(Counter),
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Counts its commits; guards every change.
    pub version: u64,
    /// What it says.
    pub record: BankRecord,
}

/// A change of some records, with what is told of it.
#[derive(Clone, Debug)]
pub struct BankChange {
    /// Unique; what an unknown commit is read back by.
    pub id: Uuid,
    /// The records as they become, each with the version that it must have now; 0 when it must
    /// not exist.
    pub puts: Vec<(u64, BankRecord)>,
    /// Lines of their history.
    pub lines: Vec<BankLine>,
    /// When.
    pub at: Timestamp,
}

/// One line of a record's history (rule 12).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankLine {
    /// The record's id.
    pub about: String,
    /// When.
    pub at: Timestamp,
    /// Whose key it was, or `evergate`.
    pub by: String,
    /// What was done, such as `match proposed`.
    pub action: String,
    /// Why, in that person's words.
    pub reason: String,
}

/// Which records to list.
#[derive(Clone, Debug)]
pub struct BankFilter {
    /// Of this kind.
    pub kind: BankKind,
    /// Of this channel.
    pub channel: Option<ChannelId>,
    /// In one of these states; empty is all.
    pub states: Vec<&'static str>,
    /// Only those whose rank is at most this.
    pub rank_max: Option<i64>,
    /// The largest rank first.
    pub newest_first: bool,
    /// At most this many.
    pub limit: usize,
}

impl BankFilter {
    /// Every record of a kind, the oldest first.
    pub fn all(kind: BankKind) -> BankFilter {
        BankFilter {
            kind,
            channel: None,
            states: Vec::new(),
            rank_max: None,
            newest_first: false,
            limit: usize::MAX,
        }
    }
}

/// How much there is in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankTotal {
    /// Transfers or payouts.
    pub kind: BankKind,
    /// The channel.
    pub channel: ChannelId,
    /// The state's name.
    pub state: String,
    /// The currency's code.
    pub currency: String,
    /// How many.
    pub count: u64,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// When the oldest was made.
    pub oldest: Timestamp,
}

/// What a customer was told to transfer, and what has come of it. Durable before it is shown
/// (rule 1), and found again under the attempt's number (rule 8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Allotment {
    /// The attempt's number: the record's id.
    pub number: ProviderOrderNo,
    /// The channel.
    pub channel: ChannelId,
    /// The payment.
    pub payment: PaymentId,
    /// The attempt's ordinal.
    pub ordinal: u16,
    /// How much is to come.
    pub money: Money,
    /// What the customer was shown, word for word.
    pub shown: Presentation,
    /// The reference that finds it in a transfer's text, as the bank's readers write it.
    pub reference: String,
    /// The virtual account, where it has one of its own.
    pub account: Option<String>,
    /// When it was allotted.
    pub shown_at: Timestamp,
    /// Until when money is waited for.
    pub expires_at: Timestamp,
    /// Where it stands.
    pub state: Expecting,
    /// What is counted for it and has not gone back, in minor units.
    pub received_minor: i64,
    /// Of that: what the bank took back after it was paid; paid stays paid (rule 14).
    #[serde(default)]
    pub reversed_minor: i64,
    /// From when its account may be given to another payment.
    pub free_at: Option<Timestamp>,
    /// Whether the payment has not been told yet what is new here.
    pub news: bool,
}

/// Where an expectation stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Expecting {
    /// Money is waited for.
    Open,
    /// It ended unpaid.
    Closed {
        /// When.
        at: Timestamp,
    },
    /// It is paid.
    Paid {
        /// When that was known.
        at: Timestamp,
        /// How much is the payment's; what came beyond it is a payout.
        captured: Money,
        /// The transfer that made it whole.
        transfer: String,
        /// The booking day of that transfer, as a time.
        booked_at: Timestamp,
    },
}

/// Money that came to the account, or that somebody says has come.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// `tr_` and letters.
    pub id: String,
    /// The channel.
    pub channel: ChannelId,
    /// How much.
    pub money: Money,
    /// The day of booking, `2026-11-24`.
    pub booked_on: String,
    /// When we learned of it.
    pub learned_at: Timestamp,
    /// Who sent it. Personal data (rule 13).
    pub payer_name: Option<String>,
    /// From which account. Personal data (rule 13).
    pub payer_account: Option<String>,
    /// What the payer wrote. Personal data (rule 13).
    pub text: String,
    /// The bank's own id.
    pub bank_reference: Option<String>,
    /// The statement entry's identity; `None` while only staff say that it came.
    pub identity: Option<String>,
    /// The file that the entry was in.
    pub statement: Option<String>,
    /// The statement entry as it was read, for the readers of statements.
    pub entry: Option<serde_json::Value>,
    /// Who recorded it, where staff did.
    pub recorded_by: Option<String>,
    /// What it may be for, the likeliest first.
    pub suggestions: Vec<Hint>,
    /// The identity of the entry by which the bank took it back.
    pub reversed_by: Option<String>,
    /// Where its money is.
    pub state: TransferState,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("id", &self.id)
            .field("money", &self.money)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What an unplaced transfer may be for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// The attempt's number.
    pub number: ProviderOrderNo,
    /// Its payment.
    pub payment: PaymentId,
    /// What is still to come for it, in minor units.
    pub rest_minor: i64,
    /// What speaks for it, by name.
    pub reasons: Vec<String>,
}

/// Where a transfer's money is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TransferState {
    /// Nobody's yet; a person has to look.
    Suspense {
        /// Why, by name: `unreferenced`, `ambiguous`, `wrong_currency`, `late`.
        why: String,
    },
    /// A person has said what to do with it; a second one has to agree (rule 12).
    Proposed {
        /// What to do.
        what: Proposal,
        /// Who said so.
        by: String,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
        /// Why it was in suspense, for a refusal to go back to.
        why: String,
    },
    /// Counted for an attempt.
    Matched {
        /// Its number.
        number: ProviderOrderNo,
        /// What said so: `reference`, `virtual_account`, `both`, or two people's names.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Goes back to the payer.
    Returning {
        /// By this payout.
        payout: String,
    },
    /// The bank took it back.
    Reversed {
        /// When we learned it.
        at: Timestamp,
        /// What it was counted for.
        number: Option<ProviderOrderNo>,
    },
    /// A payout of ours that came back; the payout says what is owed.
    PayoutBack {
        /// Which.
        payout: String,
    },
    /// Somebody said that it had come, and the second person did not agree: there is no money.
    Refused {
        /// Who refused.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// What is proposed for a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "proposal")]
pub enum Proposal {
    /// Count it for this attempt.
    Match {
        /// Its number.
        number: ProviderOrderNo,
    },
    /// Believe that it came, which no statement says yet, and count it for this attempt.
    Record {
        /// Its number.
        number: ProviderOrderNo,
    },
    /// Send it back.
    Return,
}

/// Money of ours that is to go out.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Payout {
    /// The record's id: a refund's number, or `po_` and letters.
    pub id: String,
    /// The channel.
    pub channel: ChannelId,
    /// How much.
    pub money: Money,
    /// Why it is owed.
    pub kind: PayoutKind,
    /// What is to be written into the outgoing transfer, so that its entry proves it.
    pub reference: String,
    /// The attempt that its money was for.
    pub number: Option<ProviderOrderNo>,
    /// The transfer that its money came with.
    pub transfer: Option<String>,
    /// To whom. Personal data (rule 13).
    pub to_name: Option<String>,
    /// To which account. Personal data (rule 13).
    pub to_account: Option<String>,
    /// When it was owed.
    pub requested_at: Timestamp,
    /// Where it stands.
    pub state: PayoutState,
    /// The identities of the statement entries that showed it.
    #[serde(default)]
    pub entries: Vec<String>,
    /// Whether the refund that it carries out has not been told yet.
    pub news: bool,
}

impl fmt::Debug for Payout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payout")
            .field("id", &self.id)
            .field("money", &self.money)
            .field("kind", &self.kind)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Why a payout is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutKind {
    /// A refund of the payment.
    Refund,
    /// More came than was asked for.
    Excess,
    /// A part of a payment that ended.
    Part,
    /// A transfer that was nobody's.
    Return,
}

impl PayoutKind {
    /// The name that the API and files use.
    pub fn name(self) -> &'static str {
        match self {
            PayoutKind::Refund => "refund",
            PayoutKind::Excess => "excess",
            PayoutKind::Part => "part",
            PayoutKind::Return => "return",
        }
    }
}

/// Where a payout stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum PayoutState {
    /// Kept until a person decides to send it.
    Held,
    /// To be transferred by staff.
    Requested,
    /// Transferred, says one person.
    Sent {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Transferred, says the statement or a second person.
    Confirmed {
        /// Who, or `statement`.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// Not possible: a person has to find another way.
    Failed {
        /// Who says so, or `statement`.
        by: String,
        /// Why.
        why: String,
        /// When.
        at: Timestamp,
    },
}

/// A statement file that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementFile {
    /// The record's id: channel and digest.
    pub id: String,
    /// The channel.
    pub channel: ChannelId,
    /// What whoever uploaded it called it.
    pub name: String,
    /// The SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Who uploaded it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The first and last day that it covers, where it says so.
    pub from: Option<String>,
    /// See `from`.
    pub to: Option<String>,
    /// The currency of its balances.
    pub currency: Option<Currency>,
    /// What the account held before and after, in minor units.
    pub opening_minor: Option<i64>,
    /// See `opening_minor`.
    pub closing_minor: Option<i64>,
    /// What its entries were.
    pub counts: Counts,
}

/// What became of the entries of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All entries.
    pub entries: u64,
    /// Known from before; nothing was added for them.
    pub known: u64,
    /// Counted for an attempt.
    pub matched: u64,
    /// What staff had recorded and the statement now proves.
    pub reconciled: u64,
    /// Left for a person.
    pub suspense: u64,
    /// Credits that the bank took back.
    pub reversed: u64,
    /// Payouts that the statement proves.
    pub payouts: u64,
    /// Money that went out for nothing of ours.
    pub other: u64,
    /// Credits taken back that could not be told: a person has to look at the file.
    pub unplaced: u64,
    /// Left out by the reader: pending, or for information only.
    pub skipped: u64,
}

/// How many account numbers of a channel were ever given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The channel: the record's id.
    pub channel: ChannelId,
    /// The next serial number.
    pub next: u64,
}

/// A key that a record is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) is_unique: bool,
}

fn unique(text: String) -> Key {
    Key { text, is_unique: true }
}

fn shared(text: String) -> Key {
    Key { text, is_unique: false }
}

/// What records that have something to tell are found by.
pub const NEWS: &str = "news";

impl BankKind {
    /// The table's name.
    pub(crate) fn table(self) -> &'static str {
        match self {
            BankKind::Allotment => "bank_allotments",
            BankKind::Transfer => "bank_transfers",
            BankKind::Payout => "bank_payouts",
            BankKind::Statement => "bank_statements",
            BankKind::Counter => "bank_counters",
        }
    }
}

impl BankRecord {
    /// Its kind.
    pub fn kind(&self) -> BankKind {
        match self {
            BankRecord::Allotment(_) => BankKind::Allotment,
            BankRecord::Transfer(_) => BankKind::Transfer,
            BankRecord::Payout(_) => BankKind::Payout,
            BankRecord::Statement(_) => BankKind::Statement,
            BankRecord::Counter(_) => BankKind::Counter,
        }
    }

    /// Its id among its kind.
    pub fn id(&self) -> &str {
        match self {
            BankRecord::Allotment(a) => a.number.as_str(),
            BankRecord::Transfer(t) => &t.id,
            BankRecord::Payout(p) => &p.id,
            BankRecord::Statement(s) => &s.id,
            BankRecord::Counter(c) => c.channel.as_str(),
        }
    }

    pub(crate) fn channel(&self) -> &ChannelId {
        match self {
            BankRecord::Allotment(a) => &a.channel,
            BankRecord::Transfer(t) => &t.channel,
            BankRecord::Payout(p) => &p.channel,
            BankRecord::Statement(s) => &s.channel,
            BankRecord::Counter(c) => &c.channel,
        }
    }

    /// The name of its state.
    pub fn state(&self) -> &'static str {
        match self {
            BankRecord::Allotment(a) => match a.state {
                Expecting::Open => "open",
                Expecting::Closed { .. } => "closed",
                Expecting::Paid { .. } => "paid",
            },
            BankRecord::Transfer(t) => t.state.name(),
            BankRecord::Payout(p) => p.state.name(),
            BankRecord::Statement(_) | BankRecord::Counter(_) => "kept",
        }
    }

    pub(crate) fn money(&self) -> (i64, &'static str) {
        let of = |money: Money| (money.minor(), money.currency().code());
        match self {
            BankRecord::Allotment(a) => of(a.money),
            BankRecord::Transfer(t) => of(t.money),
            BankRecord::Payout(p) => of(p.money),
            BankRecord::Statement(_) | BankRecord::Counter(_) => (0, ""),
        }
    }

    pub(crate) fn rank(&self) -> i64 {
        match self {
            BankRecord::Allotment(a) => a.free_at.map_or(i64::MAX, Timestamp::as_micros),
            BankRecord::Transfer(t) => t.learned_at.as_micros(),
            BankRecord::Payout(p) => p.requested_at.as_micros(),
            BankRecord::Statement(s) => s.at.as_micros(),
            BankRecord::Counter(_) => 0,
        }
    }

    /// Whether it is found by this key.
    pub fn has_key(&self, key: &str) -> bool {
        self.keys().iter().any(|each| each.text == key)
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        match self {
            BankRecord::Allotment(a) => a.keys(),
            BankRecord::Transfer(t) => t.keys(),
            BankRecord::Payout(p) => p.keys(),
            BankRecord::Statement(_) | BankRecord::Counter(_) => Vec::new(),
        }
    }
}

impl Allotment {
    /// What allotments with this reference are found by.
    pub fn by_reference(channel: &ChannelId, reference: &str) -> String {
        format!("reference {channel} {reference}")
    }

    /// What the allotment that holds this account is found by.
    pub fn by_account(channel: &ChannelId, account: &str) -> String {
        format!("account {channel} {account}")
    }

    /// What the allotments of a payment are found by.
    pub fn by_payment(payment: PaymentId) -> String {
        format!("payment {payment}")
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = vec![
            shared(Allotment::by_reference(&self.channel, &self.reference)),
            shared(Allotment::by_payment(self.payment)),
        ];
        keys.extend(self.account.iter().map(|a| unique(Allotment::by_account(&self.channel, a))));
        keys.extend(self.news.then(|| shared(NEWS.to_owned())));
        keys
    }
}

impl Transfer {
    /// What the transfer of a statement entry is found by.
    pub fn by_identity(channel: &ChannelId, identity: &str) -> String {
        format!("entry {channel} {identity}")
    }

    /// What the transfers that were counted for an attempt, or are to be, are found by.
    pub fn by_number(number: &ProviderOrderNo) -> String {
        format!("number {number}")
    }

    /// What transfers that no statement has shown yet are found by.
    pub fn unproven(channel: &ChannelId) -> String {
        format!("unproven {channel}")
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        let identities = self.identity.iter().chain(&self.reversed_by);
        keys.extend(identities.map(|i| unique(Transfer::by_identity(&self.channel, i))));
        keys.extend(self.state.number().map(|n| shared(Transfer::by_number(n))));
        let refused = matches!(self.state, TransferState::Refused { .. });
        if self.identity.is_none() && !refused {
            keys.push(shared(Transfer::unproven(&self.channel)));
        }
        keys
    }
}

impl TransferState {
    /// The name that the API and lists use.
    pub fn name(&self) -> &'static str {
        match self {
            TransferState::Suspense { .. } => "suspense",
            TransferState::Proposed { .. } => "proposed",
            TransferState::Matched { .. } => "matched",
            TransferState::Returning { .. } => "returning",
            TransferState::Reversed { .. } => "reversed",
            TransferState::PayoutBack { .. } => "payout_back",
            TransferState::Refused { .. } => "refused",
        }
    }

    /// The attempt that it is counted for, or is proposed to be.
    pub fn number(&self) -> Option<&ProviderOrderNo> {
        match self {
            TransferState::Matched { number, .. }
            | TransferState::Proposed {
                what: Proposal::Match { number } | Proposal::Record { number },
                ..
            } => Some(number),
            _ => None,
        }
    }
}

impl Payout {
    /// What the payout of a statement entry is found by.
    pub fn by_identity(channel: &ChannelId, identity: &str) -> String {
        format!("entry {channel} {identity}")
    }

    /// What the payouts of an attempt's money are found by.
    pub fn by_number(number: &ProviderOrderNo) -> String {
        format!("number {number}")
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys = Vec::new();
        keys.extend(self.number.iter().map(|n| shared(Payout::by_number(n))));
        let shown = self.entries.iter();
        keys.extend(shown.map(|i| unique(Payout::by_identity(&self.channel, i))));
        keys.extend(self.news.then(|| shared(NEWS.to_owned())));
        keys
    }
}

impl PayoutState {
    /// The name that the API and lists use.
    pub fn name(&self) -> &'static str {
        match self {
            PayoutState::Held => "held",
            PayoutState::Requested => "requested",
            PayoutState::Sent { .. } => "sent",
            PayoutState::Confirmed { .. } => "confirmed",
            PayoutState::Failed { .. } => "failed",
        }
    }
}

/// Refuses a change whose parts do not belong together, which is a mistake of the caller.
pub(crate) fn check(change: &BankChange) -> Result<(), StoreError> {
    let mut seen = std::collections::BTreeSet::new();
    let twice = change.puts.iter().any(|(_, record)| !seen.insert((record.kind(), record.id())));
    match twice {
        false => Ok(()),
        true => Err(StoreError::Unavailable(format!(
            "the change {} is malformed: it puts a record twice",
            change.id
        ))),
    }
}
