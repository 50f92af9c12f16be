//! How each planted bug shows in the world.

use domain::{
    Answer, Attempt, AttemptState, CloseState, CloseWhy, Event, EventKind, Flow, Operation,
    OrderState, Outcome, PaymentState, ProviderOrderNo, RefundOrder, RefundProgress, RefundReason,
};
use store::{BankChange, BankRecord, Change, PayoutState};

use crate::plant::Plant;
use crate::world::World;

impl World {
    /// A change as an engine with the bug would have made it.
    pub(crate) fn spoil_with(&mut self, plant: Plant, idx: usize, change: &mut Change) {
        let now = self.now;
        let releases = is_release(change);
        let payment = &mut change.payment;
        match plant {
            Plant::SecondSuccessKept => {
                payment.refunds.retain(|r| r.reason != RefundReason::Duplicate);
            }
            Plant::FailedByTimer => {
                for attempt in &mut payment.attempts {
                    if let AttemptState::Unknown { fault, .. } = &attempt.state {
                        let (class, fault) = (domain::Class::Unavailable, fault.clone());
                        attempt.state = AttemptState::Failed { at: now, class, fault };
                    }
                }
            }
            Plant::PaidLowered => {
                let was = self.slots[idx].row(payment.id).map(|r| r.payment.state.clone());
                if matches!(was, Some(PaymentState::Paid { .. })) && payment.refunds.len() > 1 {
                    payment.state = PaymentState::Expired { at: now };
                }
            }
            Plant::GateNotAskedAgain => {
                let proc = self.ctx.proc;
                let paused = |a: &&Attempt| matches!(&a.state, AttemptState::Failed { fault, .. } if fault.code == "paused");
                if let Some(attempt) = payment.attempts.last().filter(paused) {
                    self.check_charge(proc, &attempt.number);
                }
            }
            Plant::ReleaseUnguarded if releases => {
                let version = self.slots[idx].row(payment.id).map_or(0, |r| r.payment.version);
                (change.expected_version, payment.version) = (version, version + 1);
            }
            Plant::HoldEndedTwice => {
                let row = self.slots[idx].row(payment.id);
                let ended = row.and_then(|r| r.payment.hold.as_ref()).and_then(|h| h.ended);
                if let Some(end) = ended {
                    payment.events += 1;
                    let kind = EventKind::HoldReleased { end };
                    change.events.push(Event { seq: payment.events, at: now, kind });
                }
            }
            Plant::LateHoldHonoured => {
                let held = payment.hold.is_some();
                let late = payment.refunds.pop_if(|r| held && r.reason == RefundReason::Late);
                if let Some(late) = late {
                    payment.state = PaymentState::Paid { ordinal: late.attempt, at: now };
                }
            }
            _ => {}
        }
    }

    /// Whether a release that meets a newer version takes place all the same.
    pub(crate) fn is_unguarded(&self, change: &Change) -> bool {
        self.has(Plant::ReleaseUnguarded) && is_release(change)
    }

    /// A change of the bank's books as a ledger with the bug would have made it.
    pub(crate) fn spoil_bank(&mut self, change: &mut BankChange) {
        let Some(plant) = self.run.plant else { return };
        let excess = |r: &BankRecord| matches!(r, BankRecord::Payout(p) if p.kind == store::PayoutKind::Excess);
        if plant == Plant::LeftOverKept {
            change.puts.retain(|(version, record)| *version > 0 || !excess(record));
        }
        for (_, record) in &mut change.puts {
            match (plant, record) {
                (Plant::NewsDropped, BankRecord::Allotment(allotment)) => allotment.news = false,
                (Plant::EntryForgotten, BankRecord::Transfer(transfer)) => transfer.identity = None,
                (Plant::OnePersonEnough, BankRecord::Payout(payout)) => {
                    if let PayoutState::Sent { by, .. } = &mut payout.state {
                        "nobody".clone_into(by);
                    }
                }
                _ => {}
            }
        }
    }

    /// The same change done again under a new version, as if nobody had read it back.
    pub(crate) fn redo(&mut self, mut change: Change) {
        change.expected_version += 1;
        change.payment.version += 1;
        change.claim = None;
        change.request = None;
        change.events.clear();
        let _ = self.apply(change);
    }

    /// A repeated notification is booked once more.
    pub(crate) fn book_again(&mut self, idx: usize) {
        let Some(row) = self.slots[idx].rows.first_mut() else { return };
        let old = row.payment.clone();
        if let Some(attempt) = row.payment.attempts.last().cloned() {
            row.payment.attempts.push(attempt);
        }
        self.check_commit(idx, 0, Some(&old));
    }

    /// What an engine with the bug does instead of a call.
    pub(crate) fn planted_answer(
        &mut self,
        idx: usize,
        order: usize,
        op: &Operation,
    ) -> Option<Answer> {
        match (self.run.plant?, op) {
            (Plant::OrphanForgotten, Operation::Close(_, CloseWhy::Orphan)) => {
                Some(Answer::Close(Outcome::Ok(CloseState::Closed)))
            }
            (Plant::CloseSkipped, Operation::Close(_, CloseWhy::Shown)) => {
                Some(Answer::Close(Outcome::Ok(CloseState::Accepted)))
            }
            (Plant::SuccessDropped, Operation::Close(..))
                if self.slots[idx].orders[order].is_captured() =>
            {
                Some(Answer::Close(Outcome::Ok(CloseState::Closed)))
            }
            _ => None,
        }
    }

    /// What an engine with the bug hears.
    pub(crate) fn planted_hearing(&mut self, idx: usize, order: usize, answer: Answer) -> Answer {
        let direct = self.slots[idx].orders[order].flow == Flow::Direct;
        match (self.run.plant, answer) {
            (Some(Plant::UnknownAsFailed), Answer::Create(Outcome::Unknown(fault))) if direct => {
                Answer::Create(Outcome::Unavailable(fault))
            }
            (Some(Plant::SuccessDropped), Answer::Query(Outcome::Ok(OrderState::Paid(_))))
                if !direct =>
            {
                Answer::Query(Outcome::Ok(OrderState::NotFound))
            }
            (_, answer) => answer,
        }
    }

    /// The number that a refund is sent under.
    pub(crate) fn refund_number(&mut self, idx: usize, refund: &RefundOrder) -> ProviderOrderNo {
        if self.has(Plant::RefundRenumbered) {
            let sent = self.slots[idx].rows.iter().find_map(|row| {
                let known = row.payment.refunds.iter().find(|r| r.number == refund.number)?;
                let again = row.refund_calls.get(usize::from(known.ordinal)).copied()? > 1;
                let moving = matches!(known.progress, RefundProgress::InFlight { .. });
                (again && moving).then_some(row.payment.id)
            });
            if let Some(id) = sent {
                return ProviderOrderNo::of_refund(id, 77);
            }
        }
        refund.number.clone()
    }
}

fn is_release(change: &Change) -> bool {
    change.events.iter().any(|event| event.kind == EventKind::WorkReleased)
}
