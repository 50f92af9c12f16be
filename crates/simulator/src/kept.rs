//! The checkers of what is kept: paused work (rule 9) and held orders (rule 10).
//!
//! They go by the events that became durable, by the payment before and after, and by what the
//! store has answered each process with; never by the engine's own gate or queue.
//!
//! Rule 9 binds a process from the moment at which the store has answered it with a pause: by its
//! own command, at its start, or when it read the controls again, which its loop does at every
//! turn. A process that has not heard of another's pause goes on until then. A call that was
//! handed to the wires before is under way and is not called back.

use domain::{
    Attempt, AttemptState, EndGoal, EventKind, HoldBy, HoldEnd, Operation, Payment, PaymentId,
    PaymentState, ProviderOrderNo, Purpose, RefundReason, Reminder, Timestamp,
};
use store::Change;

use crate::checks::is_live;
use crate::paths::Path;
use crate::provider::State;
use crate::siege::Siege;
use crate::world::{World, place_of, place_of_number};

/// What has been durable of one payment's keeping, counted by events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    kept: u32,
    released: u32,
    /// Processes that were to release it.
    let_go: u32,
    /// It was cancelled or ended while it was paused.
    ended_paused: bool,
    holds: u32,
    ends: u32,
    recoveries: u32,
    /// The end that its customer was reminded of.
    reminded_of: Option<Timestamp>,
}

impl World {
    /// Rule 9, when a call is handed to the wires.
    pub(crate) fn check_gate(&mut self, proc: usize, op: &Operation) {
        if self.siege.is_none() {
            return;
        }
        match op {
            Operation::Create(order) => self.check_charge(proc, &order.number),
            Operation::Query(order) | Operation::Close(order, _) => {
                self.check_taking(proc, &order.number, order.wanted);
            }
            Operation::Refund(_) | Operation::QueryRefund(_) => {}
        }
    }

    /// A process that knows of a pause charges nothing, and what ended while it was paused is
    /// never charged.
    pub(crate) fn check_charge(&mut self, proc: usize, number: &ProviderOrderNo) {
        let idx = place_of_number(number);
        let Some((id, purpose)) = self.purpose_of(number) else { return };
        if self.is_known_paused(proc, purpose) {
            self.violate(9, idx, || format!("{number} is charged while {purpose} is paused"));
        }
        if self.tallies.get(&id).is_some_and(|tally| tally.ended_paused) {
            self.violate(9, idx, || format!("{number} is charged, and it ended while paused"));
        }
        let here = self.here(proc);
        let paused = |s: &Siege| s.controls.ladder.paused(purpose, here).is_some();
        if self.siege.as_ref().is_some_and(paused) {
            self.reach(Path::PauseNotHeardOf);
        }
    }

    /// Nor does it take what a customer has approved (PayPal).
    fn check_taking(&mut self, proc: usize, number: &ProviderOrderNo, wanted: bool) {
        let idx = place_of_number(number);
        let purpose = self.purpose_of(number).map(|(_, purpose)| purpose);
        let Some(purpose) = purpose.filter(|p| self.is_known_paused(proc, *p)) else { return };
        if wanted {
            self.violate(9, idx, || format!("{number} may be taken while {purpose} is paused"));
        }
        let order = self.slots[idx].order(number);
        if order.is_some_and(|order| order.state == State::Approved) {
            self.reach(Path::ApprovalPaused);
        }
    }

    fn is_known_paused(&self, proc: usize, purpose: Purpose) -> bool {
        self.procs[proc].staff.knows.ladder.paused(purpose, self.here(proc)).is_some()
    }

    fn purpose_of(&self, number: &ProviderOrderNo) -> Option<(PaymentId, Purpose)> {
        let of_it = |p: &&Payment| p.attempts.iter().any(|a| a.number == *number);
        let mut rows = self.slots[place_of_number(number)].rows.iter().map(|row| &row.payment);
        rows.find(of_it).map(|p| (p.id, p.terms.purpose))
    }

    /// Rule 9: what a process is to release now comes in the order of the queue, and never faster
    /// than the rate: a second's worth at once, and what time has brought since.
    pub(crate) fn check_let_go(&mut self, proc: usize, ready: &[PaymentId]) {
        let Some(first) = ready.first() else { return };
        let (idx, now) = (place_of(*first), self.now);
        let rate = self.siege.as_ref().map_or(0.0, |siege| siege.rate);
        let staff = &mut self.procs[proc].staff;
        let most = rate.max(1.0);
        let (tokens, since) = staff.tokens.unwrap_or((most, now));
        let left = (tokens + now.since(since).as_secs_f64() * rate).min(most) - ready.len() as f64;
        staff.tokens = Some((left, now));
        let mut queue = staff.queue.iter();
        let in_order = ready.iter().all(|id| queue.any(|queued| queued == id));
        let skipped = staff.queue.first() != Some(first) && staff.knows.ladder.descents.is_empty();
        if left < -1e-6 {
            let count = ready.len();
            self.violate(9, idx, || format!("process {proc} releases {count}, {left:.2} too many"));
        }
        if !in_order || (skipped && self.run.healthy) {
            self.violate(9, idx, || "paused work is not released by its due time".to_owned());
        }
        for id in ready {
            self.tallies.entry(*id).or_default().let_go += 1;
        }
    }

    /// A process's clock has jumped: by its clock a second may have passed, or a day.
    pub(crate) fn clock_jumped(&mut self, proc: usize) {
        self.procs[proc].staff.tokens = None;
    }

    /// Rules 9 and 10, when a change becomes durable.
    pub(crate) fn check_keeping(&mut self, idx: usize, change: &Change) {
        // The checkers want the world and the payment; none below reads other rows.
        let rows = std::mem::take(&mut self.slots[idx].rows);
        let old = rows.iter().map(|row| &row.payment).find(|p| p.id == change.payment.id);
        self.check_kept(idx, old, change);
        self.slots[idx].rows = rows;
    }

    fn check_kept(&mut self, idx: usize, old: Option<&Payment>, change: &Change) {
        let new = &change.payment;
        let mut tally = self.tallies.remove(&new.id).unwrap_or_default();
        for event in &change.events {
            self.check_kept_event(idx, &mut tally, new, &event.kind);
        }
        if let Some(old) = old {
            self.check_paused(idx, &mut tally, old, new);
            self.count_kept(old, new);
        }
        self.check_hold(idx, &tally, old, new);
        if tally.kept + tally.holds + tally.let_go > 0 {
            self.tallies.insert(new.id, tally);
        }
    }

    fn check_kept_event(&mut self, idx: usize, tally: &mut Tally, new: &Payment, kind: &EventKind) {
        match kind {
            EventKind::Kept { .. } => {
                tally.kept += 1;
                self.reach(Path::Kept);
                if tally.kept > 1 {
                    self.reach(Path::KeptAgain);
                }
            }
            EventKind::WorkReleased => {
                tally.released += 1;
                let Tally { kept, released, let_go, .. } = *tally;
                if released > kept {
                    self.violate(9, idx, || {
                        format!("kept {kept} times, released {released} times")
                    });
                }
                if released > let_go {
                    self.violate(9, idx, || {
                        "released, and no process was to release it".to_owned()
                    });
                }
                self.count_release(new);
            }
            EventKind::GraceExtended { .. } => self.reach(Path::GraceExtended),
            EventKind::Held { until } => {
                tally.holds += 1;
                if tally.holds > 1 || new.expires_at != *until {
                    self.violate(10, idx, || "held twice, or with two ends".to_owned());
                }
                self.reach(match new.hold.as_ref().map(|h| &h.by) {
                    Some(HoldBy::Ladder) => Path::HeldByLadder,
                    _ => Path::HeldByPeople,
                });
            }
            EventKind::HoldExtended { .. } => self.reach(Path::HoldExtended),
            EventKind::HoldReleased { end } => {
                tally.ends += 1;
                if tally.ends > tally.holds {
                    self.violate(10, idx, || format!("a hold ended again, as {}", end.name()));
                }
                if !is_end_of(*end, &new.state) {
                    let (end, state) = (end.name(), &new.state);
                    self.violate(10, idx, || format!("a hold ended as {end}; it is {state:?}"));
                }
                self.reach(match end {
                    HoldEnd::Paid => Path::HoldPaid,
                    HoldEnd::Cancelled => Path::HoldCancelled,
                    HoldEnd::Expired => Path::HoldExpired,
                });
            }
            EventKind::Reminded { why } => self.check_reminder(idx, tally, new, *why),
            _ => {}
        }
    }

    /// Rule 10: a customer is told once that it can be paid, and once of each end.
    fn check_reminder(&mut self, idx: usize, tally: &mut Tally, new: &Payment, why: Reminder) {
        let again = match why {
            Reminder::Recovered => {
                self.reach(Path::RecoveryTold);
                tally.recoveries += 1;
                tally.recoveries > 1
            }
            Reminder::ExpiresSoon => {
                self.reach(Path::ExpiryTold);
                tally.reminded_of.replace(new.expires_at) == Some(new.expires_at)
            }
        };
        if again || tally.holds == tally.ends {
            self.violate(10, idx, || format!("reminded again, or of nothing: {why:?}"));
        }
    }

    /// Rule 9: paused work goes on by its release or ends, and nothing of it may be paid.
    fn check_paused(&mut self, idx: usize, tally: &mut Tally, old: &Payment, new: &Payment) {
        let was = matches!(old.state, PaymentState::Paused { .. });
        let is = matches!(new.state, PaymentState::Paused { .. });
        if is && let Some(live) = new.attempts.iter().find(|a| is_live(a)) {
            let ordinal = live.ordinal;
            self.violate(9, idx, || format!("paused, and attempt {ordinal} may be paid"));
        }
        let kept = tally.kept.saturating_sub(tally.released);
        let gone = was && new.state == PaymentState::Open;
        if (is && kept != 1) || (gone && kept != 0) {
            self.violate(9, idx, || format!("it is {:?} and kept {kept} times", new.state));
        }
        let ended = !is && new.state != PaymentState::Open;
        if was && ended && kept == 1 {
            tally.ended_paused = true;
            match new.state {
                PaymentState::Expired { .. }
                | PaymentState::Ending { goal: EndGoal::Expired, .. } => {
                    self.reach(Path::ExpiredWhilePaused);
                }
                PaymentState::Cancelled { .. } | PaymentState::Ending { .. } => {
                    self.reach(Path::CancelledWhilePaused);
                }
                _ => {}
            }
        } else if tally.ended_paused && new.attempts.len() > old.attempts.len() {
            self.violate(9, idx, || "an attempt of what ended while it was paused".to_owned());
        }
    }

    /// Rule 10: a held order has one end, which is the payment's, never comes sooner, and is
    /// never undone.
    fn check_hold(&mut self, idx: usize, tally: &Tally, old: Option<&Payment>, new: &Payment) {
        let before = old.and_then(|o| o.hold.as_ref());
        let Some(hold) = &new.hold else {
            if before.is_some() {
                self.violate(10, idx, || "a hold was forgotten".to_owned());
            }
            return;
        };
        let state = &new.state;
        let right = match hold.ended {
            Some(end) => is_end_of(end, state),
            None => new.may_go_on() && hold.until == new.expires_at,
        };
        if !right {
            self.violate(10, idx, || format!("the hold is {hold:?}, the payment is {state:?}"));
        }
        if (tally.ends > 0) != hold.ended.is_some() {
            self.violate(10, idx, || format!("{} ends were told of {hold:?}", tally.ends));
        }
        let Some(before) = before else { return };
        let undone = before.ended.is_some() && before.ended != hold.ended;
        if undone || hold.until < before.until || hold.since != before.since {
            self.violate(10, idx, || format!("{before:?} became {hold:?}"));
        }
        self.count_after_hold(old, new);
    }

    fn count_after_hold(&mut self, old: Option<&Payment>, new: &Payment) {
        let back =
            new.refunds.last().filter(|_| old.is_none_or(|o| o.refunds.len() < new.refunds.len()));
        match back.map(|refund| refund.reason) {
            Some(RefundReason::Duplicate) => self.reach(Path::HeldPaidTwice),
            Some(RefundReason::Late) => self.reach(Path::LateAfterHold),
            _ => {}
        }
    }

    fn count_release(&mut self, new: &Payment) {
        let now = self.now;
        let lapsed = self.siege.as_ref().is_some_and(|siege| {
            let mut gates = siege.controls.ladder.gates.iter();
            gates.any(|g| g.purpose == new.terms.purpose && g.until <= now)
        });
        if lapsed {
            self.reach(Path::PauseLapsed);
        }
        self.reach(match new.is_held() {
            true => Path::ReleasedToCustomer,
            false => Path::ReleasedAndSent,
        });
    }

    fn count_kept(&mut self, old: &Payment, new: &Payment) {
        let stopped = |(was, is): (&Attempt, &Attempt)| {
            was.state == AttemptState::InFlight
                && matches!(&is.state, AttemptState::Failed { fault, .. } if fault.code == "paused")
        };
        if old.attempts.iter().zip(&new.attempts).any(stopped) {
            self.reach(Path::CallStoppedByPause);
        }
    }

    /// What was kept has ended, once each, when everything should have.
    pub(crate) fn check_kept_ended(&mut self, idx: usize, payment: &Payment) {
        let Some(tally) = self.tallies.get(&payment.id).cloned() else { return };
        if tally.holds != tally.ends && !payment.may_go_on() {
            self.violate(10, idx, || {
                format!("held {} times and ended {} times", tally.holds, tally.ends)
            });
        }
    }
}

/// Whether a hold's end is how its payment stands.
fn is_end_of(end: HoldEnd, state: &PaymentState) -> bool {
    matches!(
        (end, state),
        (HoldEnd::Paid, PaymentState::Paid { .. })
            | (HoldEnd::Cancelled, PaymentState::Cancelled { .. })
            | (HoldEnd::Expired, PaymentState::Expired { .. })
    )
}
