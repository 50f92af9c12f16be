//! What a credit makes of an expectation, and what a close leaves over. Pure.

use domain::{Money, Timestamp};
use providers::bank::{BankSettings, Reference, Spare};
use store::{Allotment, Expecting, Payout, PayoutKind, PayoutState, Transfer};

/// Money that an attempt has no use for, in minor units, and why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) minor: i64,
    pub(super) kind: PayoutKind,
}

/// Counts a transfer for an attempt. What it is too much by is left over; a part that comes
/// after the end cannot become whole and is left over as well. `enough`: two people have said
/// that what came is to do.
pub(super) fn count(
    allotment: &mut Allotment,
    transfer: &Transfer,
    booked_at: Timestamp,
    enough: bool,
    settings: &BankSettings,
    now: Timestamp,
) -> Option<Left> {
    let came = transfer.money.minor();
    if matches!(allotment.state, Expecting::Paid { .. }) {
        return left(came, PayoutKind::Excess);
    }
    let asked = allotment.money.minor();
    let sum = allotment.received_minor.saturating_add(came);
    if sum < asked - settings.short_max_minor && !enough {
        if matches!(allotment.state, Expecting::Closed { .. }) {
            return left(came, PayoutKind::Part);
        }
        allotment.received_minor = sum;
        allotment.news = true;
        return None;
    }
    let currency = allotment.money.currency();
    let captured = Money::new(sum.min(asked), currency).unwrap_or(allotment.money);
    allotment.received_minor = captured.minor();
    allotment.state =
        Expecting::Paid { at: now, captured, transfer: transfer.id.clone(), booked_at };
    allotment.free_at = allotment.account.is_some().then(|| now + settings.quarantine());
    allotment.news = true;
    left(sum - captured.minor(), PayoutKind::Excess)
}

fn left(minor: i64, kind: PayoutKind) -> Option<Left> {
    (minor > 0).then_some(Left { minor, kind })
}

/// Ends an expectation that is not paid. The parts that had come are left over.
pub(super) fn close(
    allotment: &mut Allotment,
    settings: &BankSettings,
    now: Timestamp,
) -> Option<Left> {
    if allotment.state != Expecting::Open {
        return None;
    }
    let parts = std::mem::take(&mut allotment.received_minor);
    allotment.state = Expecting::Closed { at: now };
    allotment.free_at = allotment.account.is_some().then(|| now + settings.quarantine());
    left(parts, PayoutKind::Part)
}

/// The bank took a counted credit back. What is paid stays paid (rule 14), and is flagged.
pub(super) fn reverse(allotment: &mut Allotment, minor: i64) {
    match allotment.state {
        Expecting::Paid { .. } => allotment.reversed_minor += minor,
        Expecting::Open | Expecting::Closed { .. } => {
            allotment.received_minor = (allotment.received_minor - minor).max(0);
        }
    }
    allotment.news = true;
}

/// The payout of something left over.
pub(super) fn payout(
    id: String,
    left: Left,
    allotment: &Allotment,
    payer: &Transfer,
    settings: &BankSettings,
    now: Timestamp,
) -> Option<Payout> {
    let money = Money::new(left.minor, allotment.money.currency()).ok()?;
    let spare = if left.kind == PayoutKind::Part { settings.part } else { settings.over };
    let state = match spare {
        Spare::Return => PayoutState::Requested,
        Spare::Hold => PayoutState::Held,
    };
    Some(Payout {
        reference: reference(&id),
        id,
        channel: allotment.channel.clone(),
        money,
        kind: left.kind,
        number: Some(allotment.number.clone()),
        transfer: Some(payer.id.clone()),
        to_name: payer.payer_name.clone(),
        to_account: payer.payer_account.clone(),
        requested_at: now,
        state,
        entries: Vec::new(),
        news: false,
    })
}

/// What is to be written into a payout's transfer.
pub(super) fn reference(id: &str) -> String {
    Reference::of(&domain::ProviderOrderNo::received(id)).to_string()
}
