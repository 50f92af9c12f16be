//! Two sets of books, compared: the gateway's, read from its store, and the providers', kept by
//! the sandbox from the protocol alone. They meet only in the provider order number.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Attempt, AttemptState, Flow, Payment, PaymentId, PaymentState, ProviderOrderNo, RefundProgress,
    RefundReason, Status,
};
use sandbox::BooksSnapshot;
use serde::Serialize;

use super::bank::Entry;

/// What the comparison found. Every list holds one line for each finding.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// Captured at a provider, and neither what paid the payment nor given back in full.
    pub lost: Vec<String>,
    /// Payments with more than one captured order that was not given back in full.
    pub charged_twice: Vec<String>,
    /// Orders and refunds whose state or amount differs.
    pub mismatches: Vec<String>,
    /// Payments for which something is still to be found out, closed or given back.
    pub unknown: Vec<String>,
}

impl Comparison {
    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty()
            && self.charged_twice.is_empty()
            && self.mismatches.is_empty()
            && self.unknown.is_empty()
    }
}

/// What the gateway's books alone say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All payments.
    pub payments: u64,
    /// Paid, whatever was given back since.
    pub paid: u64,
    /// Refused by the customer's bank for good.
    #[serde(rename = "ended_declined")]
    pub declined: u64,
    /// Ended unpaid by the merchant.
    pub cancelled: u64,
    /// Ended unpaid by time.
    pub expired: u64,
    /// Still open.
    pub open: u64,
    /// Went to another channel because the preferred one was down, had failed, or is closed to
    /// the customer's bank.
    pub rerouted: u64,
    /// Refunds of second or late successes that have ended well.
    pub refunded_seconds: u64,
    /// Refunds that the merchant asked for and that have ended well.
    pub refunds: u64,
    /// Attempts that their providers know nothing of, watched until they cannot be paid.
    pub watched: u64,
}

/// Whether a payment went elsewhere because its preferred channel was down, had failed, or is
/// closed to the customer's bank.
fn is_rerouted(payment: &Payment) -> bool {
    payment.attempts.iter().any(|a| went_elsewhere(&a.choice.reason) && was_served(a))
}

/// Whether an attempt's reason is that a channel before it was down, had failed, or is closed
/// to the customer's bank.
pub(super) fn went_elsewhere(reason: &str) -> bool {
    reason.starts_with("failover")
        || reason.contains(" is ")
        || reason == "another fails for this bank"
}

/// Whether an attempt came as far as its customer.
pub(super) fn was_served(attempt: &Attempt) -> bool {
    matches!(
        attempt.state,
        AttemptState::Presented { .. }
            | AttemptState::Paid { .. }
            | AttemptState::Closed { .. }
            | AttemptState::Closing { .. }
            | AttemptState::Declined { .. }
    )
}

/// Counts what the gateway's books say.
pub(super) fn totals(payments: &[Payment]) -> Totals {
    let mut totals = Totals { payments: payments.len() as u64, ..Totals::default() };
    for payment in payments {
        let count = match payment.status() {
            Status::Paid | Status::PartiallyRefunded | Status::Refunded => &mut totals.paid,
            Status::Declined => &mut totals.declined,
            Status::Cancelled => &mut totals.cancelled,
            Status::Expired => &mut totals.expired,
            _ => &mut totals.open,
        };
        *count += 1;
        totals.rerouted += u64::from(is_rerouted(payment));
        totals.watched += payment.attempts.iter().filter(|a| is_watched(a)).count() as u64;
        for refund in &payment.refunds {
            let done = matches!(refund.progress, RefundProgress::Succeeded { .. });
            match refund.reason {
                RefundReason::Merchant => totals.refunds += u64::from(done),
                RefundReason::Duplicate | RefundReason::Late | RefundReason::Synthetic => {
                    totals.refunded_seconds += u64::from(done);
                }
            }
        }
    }
    totals
}

/// An order as a provider's books have it: what came in and what went back.
#[derive(Clone, Copy, Default)]
struct Order {
    captured: i64,
    refunded: i64,
}

/// Compares both sets of books.
pub fn compare(payments: &[Payment], books: &BooksSnapshot) -> Comparison {
    compare_with(payments, books, &[])
}

/// The same with a bank's books beside the providers'.
pub(super) fn compare_with(
    payments: &[Payment],
    books: &BooksSnapshot,
    transfers: &[Entry],
) -> Comparison {
    let mut found = Comparison::default();
    let by_id: BTreeMap<PaymentId, &Payment> = payments.iter().map(|p| (p.id, p)).collect();
    let mut orders: BTreeMap<&str, Order> = BTreeMap::new();
    for entry in &books.orders {
        let order = orders.entry(&entry.order_no).or_default();
        order.captured += entry.captured_minor;
        order.refunded += entry.refunded_minor;
    }
    for entry in transfers {
        orders.entry(&entry.number).or_default().captured += entry.amount_minor;
    }
    let mut kept: BTreeMap<PaymentId, u32> = BTreeMap::new();
    for (number, order) in &orders {
        let Some((payment, attempt)) = ours(number, &by_id) else {
            if order.captured > 0 {
                found.lost.push(format!("{number}: captured, and in nobody's books"));
            }
            continue;
        };
        if order.captured > order.refunded {
            *kept.entry(payment.id).or_default() += 1;
            if !stands_for(payment, attempt) {
                found.lost.push(format!(
                    "{number} of {}: {} fen are kept, and the payment is {}",
                    payment.id,
                    order.captured - order.refunded,
                    payment.status().name()
                ));
            }
        }
        differences(payment, attempt, *order, &mut found.mismatches);
    }
    let twice = kept.into_iter().filter(|(_, count)| *count > 1);
    found.charged_twice = twice.map(|(id, count)| format!("{id}: {count} orders kept")).collect();
    let numbers: BTreeSet<&str> = orders.keys().copied().collect();
    for payment in payments {
        unheard_of(payment, &numbers, &mut found.mismatches);
        if let Some(why) = unsettled(payment) {
            found.unknown.push(format!("{}: {why}", payment.id));
        }
    }
    found
}

fn ours<'p>(
    number: &str,
    by_id: &BTreeMap<PaymentId, &'p Payment>,
) -> Option<(&'p Payment, &'p Attempt)> {
    let (id, ordinal) = ProviderOrderNo::parse(number)?;
    let payment = by_id.get(&id)?;
    let attempt = payment.attempt(ordinal).filter(|a| a.number.as_str() == number)?;
    Some((payment, attempt))
}

/// Whether this attempt is what paid its payment.
fn stands_for(payment: &Payment, attempt: &Attempt) -> bool {
    matches!(payment.state, PaymentState::Paid { ordinal, .. } if ordinal == attempt.ordinal)
}

fn differences(payment: &Payment, attempt: &Attempt, order: Order, found: &mut Vec<String>) {
    let captured = attempt.receipt().map_or(0, |receipt| receipt.captured.minor());
    let refunded = payment.refunded_minor(attempt.ordinal);
    if captured != order.captured {
        found.push(format!(
            "{} of {}: the provider captured {} fen, our books say {captured}",
            attempt.number, payment.id, order.captured
        ));
    }
    if refunded != order.refunded {
        found.push(format!(
            "{} of {}: the provider gave back {} fen, our books say {refunded}",
            attempt.number, payment.id, order.refunded
        ));
    }
}

/// Money in our books for an order that no provider knows.
fn unheard_of(payment: &Payment, known: &BTreeSet<&str>, found: &mut Vec<String>) {
    let paid = payment.attempts.iter().filter(|a| a.receipt().is_some());
    for attempt in paid.filter(|a| !known.contains(a.number.as_str())) {
        found.push(format!("{}: paid in our books, unknown to the provider", attempt.number));
    }
}

/// What of a payment is not known yet. A code that waits for its customer is not unknown:
/// nobody has lost anything by it. Neither is one whose close the provider has answered, even
/// if only with "I know no such order": that order is not paid. It is watched until it cannot
/// be paid any more; see [`Totals::watched`].
pub(super) fn unsettled(payment: &Payment) -> Option<String> {
    let found = payment.attempts.iter().find_map(|a| {
        let state = match a.state {
            AttemptState::InFlight => "has no answer yet",
            AttemptState::Unknown { .. } => "may have charged",
            AttemptState::Closing { answered: false, .. } => "is being closed",
            AttemptState::Closing { .. } if a.flow == Flow::Direct => "may have charged",
            _ => return None,
        };
        Some(format!("attempt {} on {} {state}", a.ordinal, a.channel))
    });
    found.or_else(|| {
        let refund = payment.refunds.iter().find(|r| r.is_live())?;
        Some(format!("refund {} has not ended", refund.ordinal))
    })
}

/// Whether a payment has ended and nothing of it is unknown. Every shopper of a demo has paid
/// or given up in the end, so a payment that is still open is one whose news has not arrived.
pub(super) fn is_quiet(payment: &Payment) -> bool {
    !payment.may_go_on() && unsettled(payment).is_none()
}

/// Whether an attempt is unpaid for all that its provider knows, and is asked about until its
/// own end has passed, because the provider gives no proof before.
fn is_watched(attempt: &Attempt) -> bool {
    matches!(attempt.state, AttemptState::Closing { answered: true, .. })
        && attempt.flow == Flow::Presented
}
