//! What a fact makes of a payment: the one place where attempts, refunds and the payment itself
//! are brought into agreement (rules 2, 3, 5, 6 and 14), and where events are told.
//!
//! What is not here: what an attempt or a refund makes of a fact by itself, and what is due.

use crate::attempt::AttemptFact;
use crate::refund::RefundProgress;
use crate::{
    Attempt, AttemptState, Check, CloseState, EndGoal, Event, EventKind, Flow, HoldEnd, Illegal,
    Late, Method, Money, OrderState, Outcome, Payment, PaymentState, Policy, ProviderOrderNo,
    Refund, RefundReason, Review, Source, Step, Task, Timestamp,
};

/// A payment in the middle of a step.
pub(crate) struct Stepping {
    pub(crate) payment: Payment,
    pub(crate) events: Vec<Event>,
    pub(crate) now: Timestamp,
}

impl Stepping {
    pub(crate) fn done(self) -> Step {
        Step { payment: self.payment, events: self.events }
    }

    pub(crate) fn tell(&mut self, kind: EventKind) {
        self.payment.events += 1;
        self.events.push(Event { seq: self.payment.events, at: self.now, kind });
    }

    pub(crate) fn review(&mut self, why: Review) {
        // Money that Evergate owes a customer is not hidden behind another question.
        let money =
            matches!(why, Review::RefundStuck | Review::MoneyReversed | Review::RefundByHand);
        let more = money && self.payment.review != Some(why);
        if self.payment.review.is_none() || more {
            self.payment.review = Some(why);
            self.tell(EventKind::ReviewRaised { why });
        }
    }

    pub(crate) fn attempt_fact(
        &mut self,
        ordinal: u16,
        fact: AttemptFact,
        policy: &Policy,
    ) -> Result<(), Illegal> {
        let before = self.payment.attempt(ordinal).ok_or(Illegal::NoAttempt(ordinal))?;
        let after = before.apply(fact, self.now, policy);
        let event = change(before, &after);
        let came = (after.received_minor > before.received_minor).then_some(after.received_minor);
        self.payment.attempts[usize::from(ordinal) - 1] = after;
        if let Some(received_minor) = came {
            let rest_minor = (self.payment.money.minor() - received_minor).max(0);
            self.tell(EventKind::PartReceived { ordinal, received_minor, rest_minor });
        }
        if let Some(event) = event {
            let captured = matches!(event, EventKind::AttemptPaid { .. });
            let refused = self.hard_decline(&event);
            self.tell(event);
            if captured {
                self.captured(ordinal, policy);
            }
            if refused && self.payment.state == PaymentState::Open {
                self.decline();
            }
        }
        Ok(())
    }

    fn hard_decline(&self, event: &EventKind) -> bool {
        let EventKind::AttemptDeclined { ordinal, .. } = event else { return false };
        let attempt = self.payment.attempt(*ordinal).map(|a| &a.state);
        matches!(attempt, Some(AttemptState::Declined { decline, .. }) if !decline.soft)
            && !self.payment.attempts.iter().any(Attempt::is_live)
    }

    /// A held order ends as paid, cancelled or expired and no other way (rule 10): a customer who
    /// was refused may try another card until then.
    fn decline(&mut self) {
        if self.payment.is_held() {
            return;
        }
        self.payment.state = PaymentState::Declined { at: self.now };
        self.tell(EventKind::Declined);
    }

    pub(crate) fn no_route_left(&mut self) {
        let last = self.payment.attempts.last().map(|a| &a.state);
        if self.payment.state == PaymentState::Open
            && matches!(last, Some(AttemptState::Declined { .. }))
            && !self.payment.attempts.iter().any(Attempt::is_live)
        {
            self.decline();
        }
    }

    pub(crate) fn close_answered(
        &mut self,
        ordinal: u16,
        outcome: Outcome<CloseState>,
        policy: &Policy,
    ) -> Result<(), Illegal> {
        self.stuck(ordinal, &outcome, policy);
        let fact = AttemptFact::CloseAnswered(outcome.clone());
        match outcome {
            Outcome::Ok(CloseState::PaidAndRefunded(_)) => {
                self.paid_and_refunded(ordinal, fact, Source::Close, policy)
            }
            _ => self.attempt_fact(ordinal, fact, policy),
        }
    }

    /// The provider says of a live attempt what only a person can settle with it.
    fn stuck<T>(&mut self, ordinal: u16, outcome: &Outcome<T>, policy: &Policy) {
        let (Some(attempt), Outcome::Unknown(fault)) = (self.payment.attempt(ordinal), outcome)
        else {
            return;
        };
        let codes = &policy.rules(&attempt.channel).person_codes;
        if attempt.is_live() && codes.contains(&fault.code) {
            self.review(Review::StillUnknown);
        }
    }

    /// What a question or a notification taught of an attempt.
    pub(crate) fn learned(
        &mut self,
        ordinal: u16,
        outcome: Outcome<OrderState>,
        source: Source,
        policy: &Policy,
    ) -> Result<(), Illegal> {
        self.stuck(ordinal, &outcome, policy);
        let returned = matches!(outcome, Outcome::Ok(OrderState::PaidAndRefunded(_)));
        let fact = AttemptFact::Learned(outcome, source);
        if returned {
            self.paid_and_refunded(ordinal, fact, source, policy)
        } else {
            self.attempt_fact(ordinal, fact, policy)
        }
    }

    /// The provider says that an attempt was paid and that all of it went back.
    fn paid_and_refunded(
        &mut self,
        ordinal: u16,
        fact: AttemptFact,
        source: Source,
        policy: &Policy,
    ) -> Result<(), Illegal> {
        let before = self.payment.attempt(ordinal).ok_or(Illegal::NoAttempt(ordinal))?;
        if before.receipt().is_none() {
            // Both are booked at once, and the refund stands for the one that rule 2 or the
            // policy would have asked for.
            let after = before.apply(fact, self.now, policy);
            if source == Source::Close {
                self.tell(EventKind::CloseAsked { ordinal });
            }
            self.payment.attempts[usize::from(ordinal) - 1] = after;
            self.tell(EventKind::AttemptPaid { ordinal, source });
        }
        self.gave_back(ordinal, policy);
        Ok(())
    }

    /// Everything that an attempt captured has gone back by the provider's own hand, also when
    /// the capture was booked before and a refund of it was on its way.
    fn gave_back(&mut self, ordinal: u16, policy: &Policy) {
        let of_it = |r: &&Refund| r.attempt == ordinal && r.is_live();
        let mut done: Vec<u16> =
            self.payment.refunds.iter().filter(of_it).map(|r| r.ordinal).collect();
        let left = self.payment.refundable_minor(ordinal);
        if let Ok(left) = Money::new(left, self.payment.money.currency()) {
            done.push(self.request_refund(ordinal, left, RefundReason::Duplicate, None, policy));
        }
        let at = self.now;
        for refund in done {
            self.payment.refunds[usize::from(refund) - 1].progress =
                RefundProgress::Succeeded { at };
            self.tell(EventKind::RefundSucceeded { refund });
        }
    }

    /// An attempt's money was captured: it pays the payment, or it goes back (rules 2 and 6).
    fn captured(&mut self, ordinal: u16, policy: &Policy) {
        match self.payment.state {
            PaymentState::Open | PaymentState::Paused { .. } | PaymentState::Ending { .. } => {
                self.pay(ordinal, false);
            }
            PaymentState::Paid { .. } => self.give_back(ordinal, RefundReason::Duplicate, policy),
            PaymentState::Cancelled { .. } => self.late(ordinal, policy.late_after_cancel, policy),
            PaymentState::Expired { .. } | PaymentState::Declined { .. } => {
                self.late(ordinal, policy.late_after_expiry, policy);
            }
        }
        let given = self.payment.refunds.iter().any(|r| r.attempt == ordinal);
        if self.payment.terms.is_synthetic() && !given {
            // Nobody ordered anything. What a rule above gives back already is not given twice.
            self.give_back(ordinal, RefundReason::Synthetic, policy);
        }
    }

    fn late(&mut self, ordinal: u16, late: Late, policy: &Policy) {
        // What was kept for the order is sold to others since: its end stands (rule 10).
        let late = if self.payment.hold.is_some() { Late::Refund } else { late };
        match late {
            Late::Honour => self.pay(ordinal, true),
            Late::Refund => self.give_back(ordinal, RefundReason::Late, policy),
        }
    }

    fn pay(&mut self, ordinal: u16, late: bool) {
        self.payment.state = PaymentState::Paid { ordinal, at: self.now };
        self.tell(EventKind::Paid { ordinal, late });
        self.end_hold(HoldEnd::Paid);
    }

    /// Money that is owed goes back by itself; what the channel's provider would not take is a
    /// person's to pay, and is told at once instead of after calls that must fail.
    fn give_back(&mut self, ordinal: u16, reason: RefundReason, policy: &Policy) {
        let left = self.payment.refundable_minor(ordinal);
        let Ok(amount) = Money::new(left, self.payment.money.currency()) else { return };
        let beyond = self.payment.beyond(ordinal, amount, self.now, policy);
        let fault = beyond.map(|(channel, limit)| limit.fault(channel));
        let refund = self.request_refund(ordinal, amount, reason, None, policy);
        if let Some(fault) = fault {
            let (at, code) = (self.now, fault.code.clone());
            self.payment.refunds[usize::from(refund) - 1].progress =
                RefundProgress::Failed { at, fault };
            self.tell(EventKind::RefundFailed { refund, code });
            self.review(Review::RefundStuck);
        }
    }

    pub(crate) fn request_refund(
        &mut self,
        attempt: u16,
        amount: Money,
        reason: RefundReason,
        note: Option<String>,
        policy: &Policy,
    ) -> u16 {
        // MAX_ATTEMPTS and MAX_REFUNDS keep this far below the end of u16.
        let ordinal = u16::try_from(self.payment.refunds.len() + 1).unwrap_or(u16::MAX);
        let from = self.payment.refund_from(attempt, self.now, policy);
        let by_hand = self.payment.attempt(attempt).is_some_and(|a| a.method == Method::Offline);
        self.payment.refunds.push(Refund {
            ordinal,
            attempt,
            number: ProviderOrderNo::of_refund(self.payment.id, ordinal),
            amount,
            reason,
            note,
            requested_at: self.now,
            progress: if by_hand {
                RefundProgress::ByHand { since: self.now }
            } else {
                RefundProgress::Requested { check: Check { at: from, tries: 0 } }
            },
        });
        self.tell(EventKind::RefundRequested { refund: ordinal, reason });
        if by_hand {
            self.review(Review::RefundByHand);
        }
        ordinal
    }

    pub(crate) fn refund_fact(
        &mut self,
        ordinal: u16,
        change: impl FnOnce(&Refund) -> Refund,
    ) -> Result<(), Illegal> {
        let before = self.payment.refund(ordinal).ok_or(Illegal::NoRefund(ordinal))?;
        let after = change(before);
        let owed = after.reason != RefundReason::Merchant;
        let unknown = matches!(before.progress, RefundProgress::InFlight { .. })
            && matches!(after.progress, RefundProgress::Pending { accepted: false, .. });
        let ended = before.is_live() && !after.is_live();
        let progress = after.progress.clone();
        self.payment.refunds[usize::from(ordinal) - 1] = after;
        match progress {
            RefundProgress::Succeeded { .. } if ended => {
                self.tell(EventKind::RefundSucceeded { refund: ordinal });
            }
            RefundProgress::Failed { fault, .. } if ended => {
                self.tell(EventKind::RefundFailed { refund: ordinal, code: fault.code });
                if owed {
                    self.review(Review::RefundStuck);
                }
            }
            RefundProgress::Pending { .. } if unknown => {
                let code = "unanswered".to_owned();
                self.tell(EventKind::RefundUnknown { refund: ordinal, code });
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn switch_asked(&mut self, policy: &Policy) -> Result<(), Illegal> {
        match self.payment.state {
            PaymentState::Open => {}
            PaymentState::Paused { .. } => return Err(Illegal::Paused),
            _ => return Err(Illegal::Ended(self.payment.status())),
        }
        self.close_all(|a| matches!(a.state, AttemptState::Presented { .. }), policy)
    }

    pub(crate) fn end_asked(&mut self, goal: EndGoal, policy: &Policy) -> Result<(), Illegal> {
        match self.payment.state {
            PaymentState::Open | PaymentState::Paused { .. } => {
                let since = self.now;
                self.payment.state = PaymentState::Ending { goal, since };
                self.tell(match goal {
                    EndGoal::Cancelled => EventKind::CancelAsked,
                    EndGoal::Expired => EventKind::ExpiryBegan,
                });
                self.close_all(Attempt::is_live, policy)
            }
            // Asked twice, or asked while it expires: it is ending already.
            PaymentState::Ending { .. } | PaymentState::Cancelled { .. } => Ok(()),
            _ => Err(Illegal::Ended(self.payment.status())),
        }
    }

    fn close_all(
        &mut self,
        which: impl Fn(&Attempt) -> bool,
        policy: &Policy,
    ) -> Result<(), Illegal> {
        let ordinals: Vec<u16> =
            self.payment.attempts.iter().filter(|a| which(a)).map(|a| a.ordinal).collect();
        ordinals
            .into_iter()
            .try_for_each(|ordinal| self.attempt_fact(ordinal, AttemptFact::CloseAsked, policy))
    }

    pub(crate) fn elapsed(&mut self, task: Task, policy: &Policy) -> Result<(), Illegal> {
        match task {
            Task::RecoverAttempt(ordinal) => {
                self.attempt_fact(ordinal, AttemptFact::Interrupted, policy)
            }
            Task::RecoverRefund(ordinal) => {
                let now = self.now;
                self.refund_fact(ordinal, |r| r.interrupted(now, policy))
            }
            Task::Expire if !matches!(self.payment.state, PaymentState::Ending { .. }) => {
                if self.payment.may_go_on() {
                    self.end_asked(EndGoal::Expired, policy)?;
                }
                Ok(())
            }
            Task::Remind => {
                self.remind_of_expiry();
                Ok(())
            }
            Task::ExtendGrace => self.extend_grace(policy.grace_step),
            Task::FinishEnding => {
                self.finish_ending();
                Ok(())
            }
            Task::Review => {
                let refund = self.payment.refunds.iter().any(Refund::is_live);
                self.review(if refund { Review::RefundStuck } else { Review::StillUnknown });
                Ok(())
            }
            Task::Expire
            | Task::Query(_)
            | Task::Close(_)
            | Task::Refund(_)
            | Task::QueryRefund(_) => Ok(()),
        }
    }

    /// What follows from the state by itself.
    pub(crate) fn settle(&mut self, policy: &Policy) {
        if self.payment.attempts.iter().all(Attempt::is_quiet) {
            self.end();
        }
        if self.payment.state != PaymentState::Open {
            // Ending or ended: whatever may still be paid is made unpayable, also what a charge
            // that was on its way when the end was asked for has shown since. Every ordinal
            // exists.
            let _ = self.close_all(
                |a| {
                    matches!(a.state, AttemptState::Presented { .. } | AttemptState::Unknown { .. })
                },
                policy,
            );
        }
        self.clear_review();
    }

    fn finish_ending(&mut self) {
        // A charge whose effect is unknown keeps its payment from ending (rule 3); a person
        // hears of it by then. Anything presented is guarded by rule 2.
        let charge = |a: &Attempt| a.flow == Flow::Direct && a.is_live();
        if self.payment.attempts.iter().any(charge) {
            self.review(Review::StillUnknown);
            let PaymentState::Ending { since, .. } = &mut self.payment.state else { return };
            *since = self.now;
        } else {
            self.end();
        }
    }

    fn end(&mut self) {
        let PaymentState::Ending { goal, .. } = self.payment.state else { return };
        let at = self.now;
        match goal {
            EndGoal::Cancelled => {
                self.payment.state = PaymentState::Cancelled { at };
                self.tell(EventKind::Cancelled);
                self.end_hold(HoldEnd::Cancelled);
            }
            EndGoal::Expired => {
                self.payment.state = PaymentState::Expired { at };
                self.tell(EventKind::Expired);
                self.end_hold(HoldEnd::Expired);
            }
        }
    }

    /// A doubt that resolved itself needs no person any more.
    fn clear_review(&mut self) {
        let resolved = match self.payment.review {
            Some(Review::StillUnknown) => !self.payment.attempts.iter().any(Attempt::is_live),
            Some(Review::RefundStuck) => !self.refunds_any(|r| {
                r.is_live() || (r.reason != RefundReason::Merchant && !r.counts())
            }),
            Some(Review::RefundByHand) => {
                !self.refunds_any(|r| matches!(r.progress, RefundProgress::ByHand { .. }))
            }
            Some(Review::WrongAmount | Review::MoneyReversed) | None => false,
        };
        if resolved {
            self.payment.review = None;
            self.tell(EventKind::ReviewCleared);
            // What waited behind the question that is settled now.
            if self.refunds_any(|r| r.reason != RefundReason::Merchant && !r.counts()) {
                self.review(Review::RefundStuck);
            }
        }
    }

    fn refunds_any(&self, test: impl Fn(&Refund) -> bool) -> bool {
        self.payment.refunds.iter().any(test)
    }
}

/// The event that tells of an attempt's change, if its state changed in kind.
fn change(before: &Attempt, after: &Attempt) -> Option<EventKind> {
    let ordinal = after.ordinal;
    if std::mem::discriminant(&before.state) == std::mem::discriminant(&after.state) {
        return None;
    }
    Some(match &after.state {
        AttemptState::InFlight => return None,
        AttemptState::Presented { .. } => EventKind::AttemptShown { ordinal },
        AttemptState::Unknown { fault, .. } => {
            EventKind::AttemptUnknown { ordinal, code: fault.code.clone() }
        }
        AttemptState::Closing { .. } => EventKind::CloseAsked { ordinal },
        AttemptState::Closed { proof, .. } => EventKind::AttemptClosed { ordinal, proof: *proof },
        AttemptState::Declined { decline, .. } => {
            EventKind::AttemptDeclined { ordinal, code: decline.code.clone() }
        }
        AttemptState::Failed { class, fault, .. } => {
            EventKind::AttemptFailed { ordinal, class: *class, code: fault.code.clone() }
        }
        AttemptState::Paid { source, .. } => EventKind::AttemptPaid { ordinal, source: *source },
    })
}
