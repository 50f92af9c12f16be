//! What an entry of a bank statement is for.
//!
//! Pure: entries and expectations in, placements out. A transfer is placed by the payment
//! reference in its text or by the virtual account that it was sent to, and by nothing else:
//! an amount alone never places anything, it only makes a suggestion for a person.
//!
//! [`settle`] places a whole file. It takes the entries in an order of their own, so that the
//! order in the file says nothing, and lets each see what came before it.
//!
//! What is *not* here: remembering anything, and telling the payment (the ledger does both).

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::{Currency, Money, PaymentId, ProviderOrderNo, Timestamp};
use providers::bank::statement::{Direction, Entry};
use providers::bank::{Reference, VirtualAccounts};
use serde::{Deserialize, Serialize};

/// An attempt that money may still come for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectation {
    /// Which attempt.
    pub target: Target,
    /// Its number; the reference is derived from it.
    pub number: ProviderOrderNo,
    /// What the customer was told to write.
    pub reference: Reference,
    /// The virtual account that was allotted to it.
    pub virtual_account: Option<String>,
    /// What is to come altogether.
    pub money: Money,
    /// What has come so far, in minor units.
    pub received_minor: i64,
    /// Where it stands.
    pub state: Standing,
    /// When the customer was shown what to do.
    pub shown_at: Timestamp,
    /// Until when the customer was asked to pay.
    pub expires_at: Timestamp,
    /// The customer's name, where the merchant told it; for suggestions only.
    pub payer_name: Option<String>,
}

/// One attempt of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Target {
    /// The payment.
    pub payment: PaymentId,
    /// The attempt's ordinal, from 1.
    pub ordinal: u16,
}

/// Where an expectation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Money is awaited.
    Open,
    /// It ended without being paid: expired, cancelled, or paid by another attempt.
    EndedUnpaid,
    /// It is paid; whatever comes now is too much.
    Paid,
}

/// A credit that was imported before, for reversals to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// The entry's [`identity`](Entry::identity).
    pub identity: String,
    /// The entry.
    pub entry: Entry,
    /// Which attempt it was placed with, by rule or by people; `None`: in suspense.
    pub target: Option<Target>,
}

/// Money of ours on its way out: a refund or the return of an excess.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Its number; the reference in the transfer's text is derived from it.
    pub number: ProviderOrderNo,
    /// How much.
    pub money: Money,
}

/// What the merchant's bank and its customers' banks do to transfers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatchPolicy {
    /// A transfer, or a sum of parts, that falls short by at most this many minor units counts
    /// as whole: banks on the way may have kept a charge. Never applies to what is over.
    pub short_max_minor: i64,
    /// How virtual account numbers are built, to find them in remittance texts.
    pub virtual_accounts: Option<VirtualAccounts>,
    /// The zone of the bank's booking days, in minutes east of UTC: 480 for China.
    pub utc_offset_minutes: i32,
}

/// What an entry turned out to be for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Placement {
    /// A transfer for one attempt.
    Matched {
        /// For which.
        to: Target,
        /// What said so.
        by: By,
        /// How the amount fits.
        fit: Fit,
        /// Why it comes too late, if it does; then the payment's policy decides (rule 6).
        late: Option<Lateness>,
    },
    /// A credit that names nothing that is expected. It stays in suspense until two people place
    /// it.
    Unreferenced {
        /// Valid references in the text that no expectation has: old ones, another system's.
        unknown: Vec<Reference>,
        /// What it may be for, the likeliest first. Never taken without a person.
        suggestions: Vec<Suggestion>,
    },
    /// A credit that names more than one thing. It stays in suspense until two people place it.
    Ambiguous {
        /// What it names.
        between: Vec<Target>,
        /// Why that does not decide it.
        why: Doubt,
    },
    /// A credit for an attempt, in another currency. It stays in suspense.
    WrongCurrency {
        /// For which.
        to: Target,
        /// The currency that was asked for.
        expected: Currency,
    },
    /// The bank takes back a credit.
    Reversal {
        /// The identity of the credit, when only one can be meant.
        of: Option<String>,
        /// Which attempt that credit was placed with.
        from: Option<Target>,
        /// The identities of the credits that may be meant, when that is not sure.
        candidates: Vec<String>,
    },
    /// Money that went out for a payout of ours.
    Payout {
        /// Which.
        number: ProviderOrderNo,
        /// Whether the amount is the payout's; if not, a person has to look.
        agrees: bool,
    },
    /// A payout that came back: the other bank refused it.
    PayoutReturned {
        /// Which.
        number: ProviderOrderNo,
        /// Whether the amount is the payout's; if not, a charge was kept.
        agrees: bool,
    },
    /// Money that went out for nothing of ours: bank charges, the merchant's own payments.
    OtherDebit,
}

/// What named the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The payment reference in the text.
    Reference,
    /// The virtual account.
    VirtualAccount,
    /// Both, and they agree.
    Both,
}

/// How a transfer's amount fits what is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fit", rename_all = "snake_case")]
pub enum Fit {
    /// The whole at once.
    Exact {
        /// By how much it falls short within the tolerance; 0 for the exact amount.
        short_minor: i64,
    },
    /// A part; more is to come.
    Part {
        /// How much.
        rest_minor: i64,
    },
    /// A part that makes it whole.
    Completes {
        /// By how much the sum falls short within the tolerance.
        short_minor: i64,
    },
    /// More than was asked for, this and earlier parts together.
    Over {
        /// How much of *this* transfer is too much; all of it when the attempt was paid before.
        excess_minor: i64,
    },
}

/// Why a transfer is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// It was booked after the day on which the customer's time ran out.
    Expired,
    /// The attempt had ended unpaid.
    Ended,
}

/// Why an entry is ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The text names several expected references.
    SeveralReferences,
    /// The virtual account belongs to another attempt than the reference.
    AccountDisagrees,
    /// Several live attempts have the same reference; see [`Reference`] on how rare that is.
    SameReference,
}

/// What an unreferenced credit may be for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// Which attempt.
    pub to: Target,
    /// What is still to come for it, in minor units.
    pub rest_minor: i64,
    /// What speaks for it.
    pub reasons: Vec<Reason>,
    /// How much speaks for it; only good for comparing.
    pub score: u32,
}

/// What speaks for a suggestion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The text holds its reference with one wrong character.
    NearReference,
    /// The amount is exactly what is still to come.
    SameAmount,
    /// The payer is called like the customer.
    SimilarName,
    /// It was shown at most three days before the booking.
    ShownLately,
}

impl Expectation {
    /// What is still to come, in minor units; never negative.
    pub fn rest_minor(&self) -> i64 {
        self.money.minor().saturating_sub(self.received_minor).max(0)
    }
}

/// Everything that entries are placed against.
#[derive(Clone, Debug, Default)]
pub struct Books {
    expectations: BTreeMap<Target, Expectation>,
    by_reference: HashMap<Reference, Vec<Target>>,
    by_account: HashMap<String, Vec<Target>>,
    payouts: HashMap<Reference, Payout>,
    credits: BTreeMap<String, Earlier>,
    reversed: HashSet<String>,
    noted: HashSet<String>,
}

impl Books {
    /// Books of what is expected, what was imported before (credits that may still be taken
    /// back) and what is on its way out.
    pub fn new(
        expectations: Vec<Expectation>,
        credits: Vec<Earlier>,
        payouts: Vec<Payout>,
    ) -> Books {
        let mut books = Books::default();
        for expectation in expectations {
            let target = expectation.target;
            books.by_reference.entry(expectation.reference).or_default().push(target);
            if let Some(account) = &expectation.virtual_account {
                books.by_account.entry(digits(account)).or_default().push(target);
            }
            books.expectations.insert(target, expectation);
        }
        books.credits = credits.into_iter().map(|c| (c.identity.clone(), c)).collect();
        books.payouts = payouts.into_iter().map(|p| (Reference::of(&p.number), p)).collect();
        books
    }

    /// How an expectation stands now.
    pub fn expectation(&self, target: &Target) -> Option<&Expectation> {
        self.expectations.get(target)
    }

    /// Takes a placement into account for the entries after it. Idempotent for one identity.
    pub fn note(&mut self, identity: &str, entry: &Entry, placement: &Placement) {
        if self.credits.contains_key(identity) || !self.noted.insert(identity.to_owned()) {
            return;
        }
        let mut target = None;
        match placement {
            Placement::Matched { to, fit, .. } => {
                target = Some(*to);
                if let Some(expectation) = self.expectations.get_mut(to) {
                    expectation.received_minor += entry.amount.minor();
                    if !matches!(fit, Fit::Part { .. }) {
                        expectation.state = Standing::Paid;
                    }
                }
            }
            Placement::Reversal { of: Some(of), from, .. } => {
                self.reversed.insert(of.clone());
                if let Some(expectation) = from.and_then(|t| self.expectations.get_mut(&t)) {
                    expectation.received_minor -= entry.amount.minor();
                }
            }
            _ => {}
        }
        if entry.direction == Direction::Credit && !entry.reversal {
            let earlier = Earlier { identity: identity.into(), entry: entry.clone(), target };
            self.credits.entry(identity.into()).or_insert(earlier);
        }
    }
}

/// Places the new entries of a file, one after the other, in an order that does not depend on
/// the file: by day, credits before what takes them back, then by identity. Returns the
/// placements in the order of `entries`.
pub fn settle(
    entries: &[(String, Entry)],
    books: &mut Books,
    policy: &MatchPolicy,
) -> Vec<Placement> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|i| {
        let (identity, entry) = &entries[*i];
        (entry.booked_on, entry.reversal, entry.direction, identity.clone())
    });
    let mut placed: BTreeMap<usize, Placement> = BTreeMap::new();
    for i in order {
        let (identity, entry) = &entries[i];
        let placement = place(entry, books, policy);
        books.note(identity, entry, &placement);
        placed.insert(i, placement);
    }
    placed.into_values().collect()
}

/// What one entry is for.
pub fn place(entry: &Entry, books: &Books, policy: &MatchPolicy) -> Placement {
    match (entry.direction, entry.reversal) {
        (Direction::Debit, true) => reversal(entry, books),
        (Direction::Debit, false) => match payout(entry, books) {
            Some((number, agrees)) => Placement::Payout { number, agrees },
            None => Placement::OtherDebit,
        },
        (Direction::Credit, _) => match payout(entry, books) {
            Some((number, agrees)) => Placement::PayoutReturned { number, agrees },
            None => credit(entry, books, policy),
        },
    }
}

/// The references in all that the sender wrote.
fn references(entry: &Entry) -> Vec<Reference> {
    let mut found = Reference::find(&entry.text);
    let more = entry.end_to_end.as_deref().map(Reference::find).unwrap_or_default();
    found.extend(more.into_iter().filter(|r| !found.contains(r)).collect::<Vec<_>>());
    found
}

fn payout(entry: &Entry, books: &Books) -> Option<(ProviderOrderNo, bool)> {
    let payout = references(entry).iter().find_map(|r| books.payouts.get(r))?;
    Some((payout.number.clone(), payout.money == entry.amount))
}

fn credit(entry: &Entry, books: &Books, policy: &MatchPolicy) -> Placement {
    let found = references(entry);
    let known: Vec<&Vec<Target>> = found.iter().filter_map(|r| books.by_reference.get(r)).collect();
    let by_account = accounts(entry, books, policy);
    if known.len() > 1 {
        let between = known.into_iter().flatten().copied().collect();
        return Placement::Ambiguous { between, why: Doubt::SeveralReferences };
    }
    match (known.first().map(|targets| targets.as_slice()), by_account.as_slice()) {
        (None, []) => unreferenced(entry, found, books),
        (None, [one]) => fits(entry, *one, By::VirtualAccount, books, policy),
        (Some([one]), []) => fits(entry, *one, By::Reference, books, policy),
        (Some([one]), [other]) if one == other => fits(entry, *one, By::Both, books, policy),
        // A virtual account decides between equal references, and between nothing else.
        (Some(several), [one]) if several.contains(one) => {
            fits(entry, *one, By::Both, books, policy)
        }
        (Some(several), []) => {
            Placement::Ambiguous { between: several.to_vec(), why: Doubt::SameReference }
        }
        (named, several) => {
            let mut between = named.unwrap_or_default().to_vec();
            between.extend(several.iter().filter(|t| !named.unwrap_or_default().contains(t)));
            Placement::Ambiguous { between, why: Doubt::AccountDisagrees }
        }
    }
}

/// Whose virtual accounts the transfer names, in its own field or else in the text.
fn accounts(entry: &Entry, books: &Books, policy: &MatchPolicy) -> Vec<Target> {
    let named: Vec<String> = match &entry.virtual_account {
        Some(account) => vec![digits(account)],
        None => policy.virtual_accounts.as_ref().map_or(Vec::new(), |s| s.find(&entry.text)),
    };
    let mut targets: Vec<Target> =
        named.iter().filter_map(|a| books.by_account.get(a)).flatten().copied().collect();
    targets.sort();
    targets.dedup();
    targets
}

fn digits(account: &str) -> String {
    account.chars().filter(char::is_ascii_alphanumeric).collect()
}

fn fits(entry: &Entry, to: Target, by: By, books: &Books, policy: &MatchPolicy) -> Placement {
    let Some(expectation) = books.expectations.get(&to) else {
        return unreferenced(entry, references(entry), books);
    };
    if entry.amount.currency() != expectation.money.currency() {
        return Placement::WrongCurrency { to, expected: expectation.money.currency() };
    }
    let fit = fit(entry.amount.minor(), expectation, policy.short_max_minor);
    Placement::Matched { to, by, fit, late: lateness(entry, expectation, policy) }
}

fn fit(amount: i64, expectation: &Expectation, short_max_minor: i64) -> Fit {
    if expectation.state == Standing::Paid {
        return Fit::Over { excess_minor: amount };
    }
    // Not `rest_minor`: what came before may already be more than the whole.
    let missing = expectation.money.minor() - expectation.received_minor - amount;
    match missing {
        ..0 => Fit::Over { excess_minor: (-missing).min(amount) },
        _ if missing > short_max_minor.max(0) => Fit::Part { rest_minor: missing },
        _ if expectation.received_minor > 0 => Fit::Completes { short_minor: missing },
        _ => Fit::Exact { short_minor: missing },
    }
}

fn lateness(entry: &Entry, expectation: &Expectation, policy: &MatchPolicy) -> Option<Lateness> {
    match expectation.state {
        Standing::EndedUnpaid => Some(Lateness::Ended),
        // A bank tells only the day: whoever paid on the last one was in time.
        Standing::Open if day_begins(entry, policy) > expectation.expires_at => {
            Some(Lateness::Expired)
        }
        Standing::Open | Standing::Paid => None,
    }
}

/// When the entry's day of booking began, in the bank's zone.
fn day_begins(entry: &Entry, policy: &MatchPolicy) -> Timestamp {
    const DAY_S: i64 = 86_400;
    let day = i64::from(days_since_epoch(entry.booked_on));
    Timestamp::from_secs(day * DAY_S - i64::from(policy.utc_offset_minutes) * 60)
}

fn days_since_epoch(day: jiff::civil::Date) -> i32 {
    let epoch = jiff::civil::date(1970, 1, 1);
    day.since(epoch).map_or(0, |span| span.get_days())
}

fn reversal(entry: &Entry, books: &Books) -> Placement {
    let open = books.credits.values().filter(|earlier| {
        earlier.entry.amount == entry.amount
            && earlier.entry.booked_on <= entry.booked_on
            && !books.reversed.contains(&earlier.identity)
    });
    let (sure, likely): (Vec<&Earlier>, Vec<&Earlier>) =
        open.partition(|earlier| same_reference(entry, &earlier.entry));
    if let [one] = sure[..] {
        let (of, from) = (Some(one.identity.clone()), one.target);
        return Placement::Reversal { of, from, candidates: Vec::new() };
    }
    let meant = if sure.is_empty() { likely } else { sure };
    let alike = meant.into_iter().filter(|earlier| same_party(entry, &earlier.entry));
    let candidates = alike.map(|earlier| earlier.identity.clone()).collect();
    Placement::Reversal { of: None, from: None, candidates }
}

fn same_reference(a: &Entry, b: &Entry) -> bool {
    a.bank_reference.is_some() && a.bank_reference == b.bank_reference
}

/// Whether nothing that both tell of the other side differs.
fn same_party(a: &Entry, b: &Entry) -> bool {
    let agree = |x: &Option<String>, y: &Option<String>| x.is_none() || y.is_none() || x == y;
    agree(&a.counterparty.account, &b.counterparty.account)
        && (a.counterparty.account.is_some() || agree(&a.counterparty.name, &b.counterparty.name))
}

/// How many suggestions a person is given at most.
const SUGGESTIONS_MAX: usize = 5;

fn unreferenced(entry: &Entry, unknown: Vec<Reference>, books: &Books) -> Placement {
    let near: HashSet<Reference> = Reference::near(&entry.text).into_iter().collect();
    let mut suggestions: Vec<Suggestion> = books
        .expectations
        .values()
        .filter(|e| e.state == Standing::Open && e.money.currency() == entry.amount.currency())
        .filter_map(|e| suggest(entry, e, &near))
        .collect();
    suggestions.sort_by(|a, b| b.score.cmp(&a.score).then(a.to.cmp(&b.to)));
    suggestions.truncate(SUGGESTIONS_MAX);
    Placement::Unreferenced { unknown, suggestions }
}

fn suggest(entry: &Entry, e: &Expectation, near: &HashSet<Reference>) -> Option<Suggestion> {
    let named =
        matches!((&entry.counterparty.name, &e.payer_name), (Some(a), Some(b)) if similar(a, b));
    let days = days_since_epoch(entry.booked_on) - (e.shown_at.as_secs() / 86_400) as i32;
    let told = [
        (Reason::NearReference, near.contains(&e.reference), 8),
        (Reason::SameAmount, e.rest_minor() == entry.amount.minor(), 4),
        (Reason::SimilarName, named, 3),
        (Reason::ShownLately, (-1..=3).contains(&days), 1),
    ];
    let holds = told.into_iter().filter(|(_, holds, _)| *holds);
    let (reasons, points): (Vec<Reason>, Vec<u32>) = holds.map(|(r, _, p)| (r, p)).unzip();
    // That it is recent says nothing by itself.
    let score = points.iter().sum();
    (score > 1).then(|| Suggestion { to: e.target, rest_minor: e.rest_minor(), reasons, score })
}

/// Whether two names may be one person's: equal, one within the other, or sharing most pairs of
/// neighbouring letters. Case, spaces and punctuation count for nothing.
fn similar(a: &str, b: &str) -> bool {
    let plain = |s: &str| -> Vec<char> {
        s.to_lowercase().chars().filter(|c| c.is_alphanumeric()).take(100).collect()
    };
    let (a, b) = (plain(a), plain(b));
    if a.len().min(b.len()) < 2 {
        return a == b && !a.is_empty();
    }
    let (short, long) = if a.len() < b.len() { (&a, &b) } else { (&b, &a) };
    let within = long.windows(short.len()).any(|w| w == &short[..]);
    let pairs: HashSet<&[char]> = short.windows(2).collect();
    let shared = long.windows(2).filter(|pair| pairs.contains(pair)).count();
    within || 10 * 2 * shared >= 7 * (short.len() + long.len() - 2)
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
