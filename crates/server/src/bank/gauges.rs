//! The gauges of the banks' books.

use std::collections::BTreeSet;

use super::payouts::PAYOUT_STATES;
use super::transfers::TRANSFER_STATES;
use super::*;

/// Brings the gauges of the bank's books up to date.
pub(crate) async fn refresh(desk: &Desk, now: Timestamp) {
    let totals = match desk.ledger().books().bank_totals().await {
        Ok(totals) => totals,
        Err(error) => return tracing::warn!(%error, "the bank's books could not be counted"),
    };
    for channel in desk.ledger().channels() {
        let own: Vec<&BankTotal> = totals.iter().filter(|t| t.channel == channel).collect();
        for state in TRANSFER_STATES {
            gauges("transfers", (BankKind::Transfer, state), channel.as_str(), &own, now);
        }
        for state in PAYOUT_STATES {
            gauges("payouts", (BankKind::Payout, state), channel.as_str(), &own, now);
        }
    }
}

/// The gauges of one state of one channel, also where nothing is in it any more.
fn gauges(
    what: &str,
    (kind, state): (BankKind, &'static str),
    channel: &str,
    own: &[&BankTotal],
    now: Timestamp,
) {
    let here: Vec<_> = own.iter().filter(|t| t.kind == kind && t.state == state).collect();
    let labels = [("channel", channel.to_owned()), ("state", state.to_owned())];
    let count: u64 = here.iter().map(|t| t.count).sum();
    let oldest = here.iter().map(|t| t.oldest).min();
    let age = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
    metrics::gauge!(format!("evergate_bank_{what}"), &labels).set(count as f64);
    metrics::gauge!(format!("evergate_bank_{what}_oldest_seconds"), &labels).set(age);
    let currencies: BTreeSet<&str> = own.iter().map(|t| t.currency.as_str()).collect();
    for currency in currencies {
        let of_it = here.iter().filter(|t| t.currency == currency);
        let sum: i64 = of_it.map(|t| t.amount_minor).sum();
        let [channel, state] = labels.clone();
        let labels = [channel, state, ("currency", currency.to_owned())];
        metrics::gauge!(format!("evergate_bank_{what}_amount_minor"), &labels).set(sum as f64);
    }
}

/// Says what the gauges mean.
pub(crate) fn describe() {
    use metrics::describe_gauge;
    describe_gauge!("evergate_bank_transfers", "Transfers that came, by channel and state");
    describe_gauge!("evergate_bank_transfers_amount_minor", "Their sum, in minor units");
    describe_gauge!("evergate_bank_transfers_oldest_seconds", "Age of the oldest one");
    describe_gauge!("evergate_bank_payouts", "Money owed to payers, by channel and state");
    describe_gauge!("evergate_bank_payouts_amount_minor", "Its sum, in minor units");
    describe_gauge!("evergate_bank_payouts_oldest_seconds", "Age of the oldest one");
}
