//! The checkers that run after every step, by the rules' numbers in `DESIGN.md`.
//!
//! They read the virtual store's rows and the providers' books, never the domain's own
//! deciders: `apply`, `due`, `may_attempt` and their like are what is being checked.

use domain::{
    Attempt, AttemptState, ChannelId, CloseWhy, Flow, Operation, Outcome, Payment, PaymentState,
    Proof, ProviderOrderNo, Refund, RefundProgress, RefundReason, RefundState, Source, Timestamp,
};
use store::Change;

use crate::mail::relative;
use crate::paths::Path;
use crate::provider::{BackState, House, Order};
use crate::world::{Kind, World, place_of_number};

/// More tasks than this within a minute are no progress (rule 17): the schedules begin with a
/// second, and a payment has few attempts and refunds at a time.
const PACE_MAX: u32 = 90;

impl World {
    /// Rules 15 and 16, by the store's own record of what took place: a change comes once,
    /// over the version that it was decided from, and not under a stale fence.
    pub(crate) fn check_claim_and_version(&mut self, idx: usize, change: &Change) {
        let Some(row) = self.slots[idx].row(change.payment.id) else {
            if change.expected_version != 0 {
                self.violate(15, idx, || "a change of a payment that is not there".to_owned());
            }
            return;
        };
        let (version, fence, twice) =
            (row.payment.version, row.fence, row.changes.contains(&change.id));
        if twice {
            self.violate(16, idx, || format!("change {} took place twice", change.id));
        }
        if version != change.expected_version {
            let expected = change.expected_version;
            self.violate(15, idx, || format!("a change over version {expected} met {version}"));
        }
        if let Some(claim) = &change.claim
            && claim.fence != fence
        {
            self.violate(15, idx, || "a stale owner has changed a payment".to_owned());
        }
        let events = change.events.first().map(|e| e.seq);
        let before = self.slots[idx].row(change.payment.id).map_or(0, |r| r.payment.events);
        if events.is_some_and(|seq| seq != before + 1) {
            self.violate(16, idx, || "the story has a gap or a repeated line".to_owned());
        }
    }

    /// What a commit made of a payment.
    pub(crate) fn check_commit(&mut self, idx: usize, at: usize, old: Option<&Payment>) {
        self.note_row(idx, at);
        // The checkers want the world and the payment; no checker below reads other rows.
        let rows = std::mem::take(&mut self.slots[idx].rows);
        let (new, shown) = (&rows[at].payment, rows[at].shown);
        self.trace_commit(idx, old, new);
        if let Some(old) = old {
            self.check_paid_stays(idx, old, new);
            self.check_letter(idx, old, new);
            self.count_payment(old, new);
        }
        for attempt in &new.attempts {
            let before = old.and_then(|o| o.attempt(attempt.ordinal));
            match before {
                None => self.check_started(idx, shown, new, attempt),
                Some(before) if is_live(before) && !is_live(attempt) => {
                    self.check_ended(idx, shown, attempt);
                }
                Some(_) => {}
            }
            self.count_attempt(before, attempt);
        }
        for refund in &new.refunds {
            let before = old.and_then(|o| o.refund(refund.ordinal));
            self.check_refund(idx, new, before, refund);
        }
        self.check_money_back(idx, new);
        self.slots[idx].rows = rows;
    }

    fn note_row(&mut self, idx: usize, at: usize) {
        let row = &mut self.slots[idx].rows[at];
        for attempt in &row.payment.attempts {
            if matches!(attempt.state, AttemptState::Presented { .. }) {
                row.shown |= 1 << attempt.ordinal;
            }
        }
        for refund in &row.payment.refunds {
            let place = usize::from(refund.ordinal);
            if row.refund_until.len() <= place {
                row.refund_until.resize(place + 1, Timestamp::EPOCH);
                row.refund_calls.resize(place + 1, 0);
            }
            if let RefundProgress::InFlight { until, .. } = refund.progress {
                row.refund_until[place] = row.refund_until[place].max(until);
            }
        }
    }

    /// Rule 14: paid stays paid, by the same attempt and with the same proof; a refund that is
    /// done stays done.
    fn check_paid_stays(&mut self, idx: usize, old: &Payment, new: &Payment) {
        if let PaymentState::Paid { ordinal, .. } = old.state
            && !matches!(new.state, PaymentState::Paid { ordinal: now, .. } if now == ordinal)
        {
            self.violate(14, idx, || format!("a paid payment became {:?}", new.state));
        }
        for attempt in &old.attempts {
            if let AttemptState::Paid { receipt, .. } = &attempt.state {
                let now = new.attempt(attempt.ordinal).map(|a| &a.state);
                let same =
                    matches!(now, Some(AttemptState::Paid { receipt: now, .. }) if now == receipt);
                if !same {
                    self.violate(14, idx, || {
                        format!("paid attempt {} was lowered", attempt.ordinal)
                    });
                }
            }
        }
        for refund in &old.refunds {
            let now = new.refund(refund.ordinal);
            let kept = now.is_some_and(|n| {
                n.number == refund.number
                    && n.amount == refund.amount
                    && n.attempt == refund.attempt
            });
            let done = matches!(refund.progress, RefundProgress::Succeeded { .. });
            let undone = done
                && !now.is_some_and(|n| matches!(n.progress, RefundProgress::Succeeded { .. }));
            if !kept || undone {
                self.violate(14, idx, || format!("refund {} was lost or undone", refund.ordinal));
            }
        }
    }

    /// Rule 7: a false notification changes nothing, and a repeated one changes nothing more.
    fn check_letter(&mut self, idx: usize, old: &Payment, new: &Payment) {
        let Kind::Letter(letter) = self.ctx.kind else { return };
        let Some(which) = self.letter_must_not_change(letter) else { return };
        if old.state != new.state || old.attempts != new.attempts || old.refunds != new.refunds {
            self.violate(7, idx, || format!("{which} changed the payment"));
        }
    }

    /// Rules 3, 5 and 8, when an attempt becomes durable.
    fn check_started(&mut self, idx: usize, shown: u64, payment: &Payment, attempt: &Attempt) {
        let ordinal = attempt.ordinal;
        let right = ProviderOrderNo::of(payment.id, ordinal);
        let twice = payment.attempts.iter().filter(|a| a.number == attempt.number).count() > 1;
        if attempt.number != right || twice {
            self.violate(8, idx, || format!("attempt {ordinal} has number {}", attempt.number));
        }
        for earlier in payment.attempts.iter().filter(|a| a.ordinal < ordinal) {
            let order = self.slots[idx].order(&earlier.number);
            let closes = order.map_or(0, |o| o.closes);
            let money = order.is_some_and(|o| o.is_captured() && !o.given_back && o.left() > 0);
            let coming = order.is_some_and(|o| o.flow == Flow::Direct && o.may_capture(self.now));
            let live = is_live(earlier);
            let which = earlier.ordinal;
            if live && (attempt.flow == Flow::Direct || earlier.flow == Flow::Direct) {
                self.violate(3, idx, || {
                    format!("attempt {ordinal} began while attempt {which} is not settled")
                });
            }
            if coming || (attempt.flow == Flow::Direct && money && live) {
                self.violate(3, idx, || {
                    format!("attempt {ordinal} began while attempt {which} may be charged")
                });
            }
            if live && shown & (1 << which) != 0 {
                if closes == 0 {
                    self.violate(5, idx, || {
                        format!("attempt {ordinal} began and nobody tried to close attempt {which}")
                    });
                }
                self.reach(Path::SwitchedWithoutProof);
            }
            if !live && shown & (1 << which) != 0 {
                self.reach(Path::SwitchedAfterClose);
            }
        }
        self.count_account(payment, attempt);
        let reason = attempt.choice.reason.as_str();
        if reason.starts_with("failover") {
            self.reach(Path::Rerouted);
        } else if reason.contains(" is ") {
            self.reach(Path::RoutedAroundDown);
        }
    }

    fn count_account(&mut self, payment: &Payment, attempt: &Attempt) {
        let at = |id: &ChannelId| self.channels.iter().position(|c| c.id == *id);
        let house = |id: &ChannelId| at(id).map(|at| self.channels[at].house);
        let before = payment.attempts.iter().filter(|a| a.ordinal < attempt.ordinal);
        let mut others = before.filter(|a| a.channel != attempt.channel);
        let own = house(&attempt.channel);
        let bazaar = matches!(own, Some(House::UnionPay | House::Paypal));
        if bazaar && others.any(|a| house(&a.channel) == own) {
            self.reach(Path::OtherAccount);
        }
    }

    fn count_unclosable(&mut self, old: &Attempt, new: &Attempt) {
        use AttemptState as S;
        let slot = place_of_number(&new.number);
        let order = self.slots[slot].order(&new.number);
        if order.is_none_or(|order| order.house != House::UnionPay) {
            return;
        }
        match (&old.state, &new.state) {
            (S::Closing { .. }, S::Closed { proof: Proof::Lapsed, .. }) => {
                self.reach(Path::UnclosableLapsed);
            }
            (S::Closing { .. }, S::Paid { .. }) => self.reach(Path::UnclosablePaid),
            _ => {}
        }
    }

    /// Rules 3, 4, 5 and 6, when an attempt ends: whatever our books say now must be true at
    /// its provider from now on.
    fn check_ended(&mut self, idx: usize, shown: u64, attempt: &Attempt) {
        let ordinal = attempt.ordinal;
        let number = attempt.number.clone();
        let order = self.slots[idx].order(&number);
        // A bank's customer can transfer after everything is closed, which is a late success.
        let late = order.is_some_and(|o| o.closed_before);
        let captured = order.is_some_and(|o| o.is_captured() && !o.given_back) && !late;
        let coming = order.is_some_and(|o| o.may_capture(self.now));
        let paid = matches!(attempt.state, AttemptState::Paid { .. });
        let direct = attempt.flow == Flow::Direct;
        let shown = shown & (1 << ordinal) != 0;
        if paid && !order.is_some_and(Order::is_captured) {
            self.violate(7, idx, || format!("attempt {ordinal} is paid and no money was captured"));
        }
        if paid {
            return;
        }
        let state = state_name(&attempt.state);
        let number_of_rule = match (direct, captured) {
            (true, _) => 3,
            (false, true) => 6,
            (false, false) if shown => 5,
            (false, false) => 4,
        };
        if captured || coming {
            let what = if captured { "was captured" } else { "may still be captured" };
            self.violate(number_of_rule, idx, || {
                format!("attempt {ordinal} is {state} and at its provider it {what}")
            });
        }
    }

    /// Rules 14 and 16, for one refund.
    fn check_refund(&mut self, idx: usize, payment: &Payment, old: Option<&Refund>, new: &Refund) {
        let ordinal = new.ordinal;
        if old.is_none() {
            let right = ProviderOrderNo::of_refund(payment.id, ordinal);
            if new.number != right {
                self.violate(8, idx, || format!("refund {ordinal} has number {}", new.number));
            }
            let same = |r: &&Refund| r.note.is_some() && r.note == new.note;
            if payment.refunds.iter().filter(same).count() > 1 {
                self.violate(16, idx, || "one refund request was booked twice".to_owned());
            }
        }
        let ended = old.is_none_or(|o| o.progress != new.progress);
        if !ended {
            return;
        }
        let number = payment.attempt(new.attempt).map(|a| a.number.clone());
        let order = number.and_then(|n| self.slots[idx].order(&n));
        let known = order.and_then(|o| o.refunds.iter().find(|r| r.number == new.number));
        let at_provider = known.map(|r| r.state);
        let coming = order.is_some_and(|o| o.refunds_coming.contains(&new.number));
        let by_close = order.is_some_and(|o| o.given_back);
        match &new.progress {
            RefundProgress::Failed { .. }
                if coming || at_provider.is_some_and(|s| s != BackState::Failed) =>
            {
                self.violate(14, idx, || {
                    format!("refund {ordinal} is booked as failed and its provider has it")
                });
            }
            RefundProgress::Succeeded { .. }
                if at_provider != Some(BackState::Done) && !by_close =>
            {
                self.violate(14, idx, || {
                    format!("refund {ordinal} is booked as done and its provider has not done it")
                });
            }
            _ => {}
        }
        self.count_refund(old, new);
    }

    /// Rules 2 and 14: refunds never exceed what was captured, and every success beside the one
    /// that pays is on its way back.
    fn check_money_back(&mut self, idx: usize, payment: &Payment) {
        let pays = match payment.state {
            PaymentState::Paid { ordinal, .. } => Some(ordinal),
            _ => None,
        };
        for attempt in &payment.attempts {
            let AttemptState::Paid { receipt, .. } = &attempt.state else { continue };
            let ordinal = attempt.ordinal;
            let of_it = || payment.refunds.iter().filter(move |r| r.attempt == ordinal);
            let taken: i64 = of_it()
                .filter(|r| !matches!(r.progress, RefundProgress::Failed { .. }))
                .map(|r| r.amount.minor())
                .sum();
            if taken > receipt.captured.minor() {
                self.violate(14, idx, || format!("more than attempt {ordinal} captured goes back"));
            }
            let owed = of_it().filter(|r| r.reason != RefundReason::Merchant).count();
            if pays != Some(ordinal) && owed == 0 {
                self.violate(2, idx, || {
                    format!("attempt {ordinal} is a second success and is kept")
                });
            }
        }
    }

    /// Rules 1, 8, 14 and 15, when a call is about to leave.
    pub(crate) fn check_call(
        &mut self,
        idx: usize,
        proc: usize,
        channel: usize,
        op: &Operation,
        until: Timestamp,
    ) {
        if self.here(proc) >= until {
            self.violate(15, idx, || format!("{} was sent after its lease", op.name()));
        }
        let lease = self.ctx.lease;
        if until > lease {
            let (until, lease) = (relative(until, self.start), relative(lease, self.start));
            self.violate(15, idx, || {
                format!("{} may be sent until {until}, its claim ends at {lease}", op.name())
            });
        }
        match op {
            Operation::Create(order) => {
                self.check_create(idx, channel, &order.number, order.money.minor(), until);
            }
            Operation::Refund(refund) => self.check_refund_call(idx, refund, until),
            Operation::Query(_) | Operation::Close(..) | Operation::QueryRefund(_) => {}
        }
    }

    fn check_create(
        &mut self,
        idx: usize,
        channel: usize,
        number: &ProviderOrderNo,
        minor: i64,
        until: Timestamp,
    ) {
        let name: ChannelId = self.channels[channel].id.clone();
        let rows = &self.slots[idx].rows;
        let intent = rows.iter().find_map(|r| {
            r.durable().attempts.iter().find(|a| a.number == *number && a.channel == name)
        });
        let Some(lease) = intent.map(|a| a.until) else {
            return self.violate(1, idx, || format!("{number} is created before it is durable"));
        };
        if until > lease {
            self.violate(15, idx, || format!("{number} may be created after its durable lease"));
        }
        let Some(order) = self.slots[idx].order(number) else { return };
        if order.creates > 0 && (order.channel != channel || order.money.minor() != minor) {
            self.violate(8, idx, || format!("{number} is created again as another order"));
        }
    }

    fn check_refund_call(&mut self, idx: usize, asked: &domain::RefundOrder, until: Timestamp) {
        let number = &asked.number;
        let found = self.slots[idx].rows.iter().enumerate().find_map(|(at, row)| {
            let refund = row.durable().refunds.iter().find(|r| r.number == *number)?;
            Some((at, usize::from(refund.ordinal), refund.amount == asked.amount))
        });
        let Some((at, place, same)) = found else {
            return self.violate(1, idx, || format!("refund {number} is sent and is not durable"));
        };
        let row = &mut self.slots[idx].rows[at];
        let lease = row.refund_until[place];
        row.refund_calls[place] += 1;
        let again = row.refund_calls[place] > 1;
        if again {
            self.reach(Path::RefundResentSameNumber);
        }
        if lease == Timestamp::EPOCH {
            self.violate(1, idx, || format!("refund {number} is sent before that is durable"));
        }
        if until > lease {
            let late = relative(until, self.start);
            self.violate(15, idx, || {
                format!("refund {number} may be sent until {late}, after its durable lease")
            });
        }
        if !same {
            self.violate(14, idx, || format!("refund {number} is sent with another amount"));
        }
    }

    /// A provider refuses a refund that asks for more than is left: our books should have known
    /// (rule 14), unless a close gave the money back and nobody has heard of it yet.
    pub(crate) fn refund_refused(
        &mut self,
        idx: usize,
        at: usize,
        number: &ProviderOrderNo,
        minor: i64,
    ) -> Outcome<RefundState> {
        let order = &self.slots[idx].orders[at];
        let left = order.left();
        if !order.given_back {
            self.violate(14, idx, || {
                format!("refund {number} asks for {minor}, and {left} is left")
            });
        }
        Outcome::Rejected(domain::Fault::new("REFUND_EXCEEDS", "more than is left"))
    }

    /// Rule 4: what a merchant is shown has been durable as shown.
    pub(crate) fn check_shown(&mut self, idx: usize, payment: &Payment, attempt: &Attempt) {
        let row = self.slots[idx].row(payment.id);
        let durable = row.is_some_and(|r| r.shown & (1 << attempt.ordinal) != 0);
        if !durable {
            let ordinal = attempt.ordinal;
            self.violate(4, idx, || {
                format!("attempt {ordinal} is shown and the books do not say so")
            });
        }
    }

    /// Rule 17: work goes on; the same payment is not worked on again and again in no time.
    pub(crate) fn check_pace(&mut self, id: domain::PaymentId) {
        let idx = crate::world::place_of(id);
        let now = self.now;
        let Some(row) = self.slots[idx].row_mut(id) else { return };
        let minute = Timestamp::from_secs(now.as_secs() / 60 * 60);
        row.pace = if row.pace.0 == minute { (minute, row.pace.1 + 1) } else { (minute, 1) };
        if row.pace.1 > PACE_MAX {
            self.violate(17, idx, || format!("{PACE_MAX} tasks within a minute and no end"));
        }
    }

    fn trace_commit(&mut self, idx: usize, old: Option<&Payment>, new: &Payment) {
        if !self.run.trace {
            return;
        }
        let mut text = format!("store: version {}, {}", new.version, new.status().name());
        for attempt in &new.attempts {
            let name = state_name(&attempt.state);
            let was = old.and_then(|o| o.attempt(attempt.ordinal)).map(|a| state_name(&a.state));
            match was {
                Some(was) if was == name => {
                    text += &format!("; attempt {} {name}", attempt.ordinal)
                }
                Some(was) => text += &format!("; attempt {} {was} -> {name}", attempt.ordinal),
                None => {
                    text += &format!("; attempt {} on {} {name}", attempt.ordinal, attempt.channel);
                }
            }
        }
        for refund in &new.refunds {
            let name = progress_name(&refund.progress);
            text += &format!("; refund {} of {} {name}", refund.ordinal, refund.amount.minor());
        }
        if let Some(review) = new.review {
            text += &format!("; review {review:?}");
        }
        self.say(idx, || text);
    }

    fn count_payment(&mut self, old: &Payment, new: &Payment) {
        if std::mem::discriminant(&old.state) != std::mem::discriminant(&new.state) {
            match (&old.state, &new.state) {
                (_, PaymentState::Declined { .. }) => self.reach(Path::Declined),
                (_, PaymentState::Cancelled { .. }) => self.reach(Path::Cancelled),
                (_, PaymentState::Expired { .. }) => self.reach(Path::Expired),
                _ => {}
            }
            let ended =
                matches!(new.state, PaymentState::Cancelled { .. } | PaymentState::Expired { .. });
            if ended && new.attempts.iter().any(is_live) {
                self.reach(Path::EndedWithoutProof);
            }
        }
        match (old.review, new.review) {
            (None, Some(why)) => {
                self.reach(Path::ReviewRaised);
                match why {
                    domain::Review::WrongAmount => self.reach(Path::WrongAmountFlagged),
                    domain::Review::RefundStuck => self.reach(Path::RefundStuck),
                    domain::Review::StillUnknown
                    | domain::Review::MoneyReversed
                    | domain::Review::RefundByHand => {}
                }
            }
            (Some(_), None) => self.reach(Path::ReviewCleared),
            _ => {}
        }
        let more = new.attempts.iter().filter(|a| a.receipt().is_some()).count()
            > old.attempts.iter().filter(|a| a.receipt().is_some()).count();
        match old.state {
            PaymentState::Expired { .. } if more => self.reach(Path::LateSuccessAfterExpiry),
            PaymentState::Cancelled { .. } if more => self.reach(Path::LateSuccessAfterCancel),
            _ => {}
        }
    }

    fn count_attempt(&mut self, old: Option<&Attempt>, new: &Attempt) {
        use AttemptState as S;
        let Some(old) = old else { return };
        if old.received_minor < new.received_minor {
            self.reach(Path::PartSeen);
        }
        self.count_unclosable(old, new);
        let direct = new.flow == Flow::Direct;
        let path = match (&old.state, &new.state) {
            (S::Closing { why: CloseWhy::Orphan, .. }, S::Paid { .. }) if !direct => {
                Path::OrphanPaid
            }
            (S::Closing { .. }, S::Paid { source: Source::Close, .. }) => Path::CloseLostToPayment,
            (
                S::Closing { why: CloseWhy::Orphan, .. },
                S::Closed { proof: Proof::Provider, .. },
            ) => Path::OrphanClosed,
            (_, S::Closed { proof: Proof::Lapsed, .. })
                if !matches!(old.state, S::Closed { .. }) =>
            {
                Path::LapsedByTime
            }
            (S::Unknown { .. }, S::Paid { .. }) => Path::DirectUnknownSettledPaid,
            (S::Unknown { .. }, S::Declined { .. }) => Path::DirectUnknownDeclined,
            (S::Unknown { .. }, S::Failed { .. }) => Path::DirectUnknownNeverArrived,
            (S::InFlight, S::Paid { source: Source::Notification, .. }) => {
                Path::NotificationBeforeAnswer
            }
            (S::InFlight, S::Unknown { fault, .. }) if fault.code == "interrupted" => {
                Path::Interrupted
            }
            _ => return,
        };
        self.reach(path);
        let lied = matches!(new.state, S::Paid { .. })
            && self.slots[place_of_number(&new.number)]
                .order(&new.number)
                .is_some_and(|o| o.denied);
        if lied {
            self.reach(Path::LyingQuery);
        }
    }

    fn count_refund(&mut self, old: Option<&Refund>, new: &Refund) {
        use RefundProgress as P;
        let before = old.map(|o| &o.progress);
        match (before, &new.progress) {
            (Some(P::Pending { accepted: false, .. }), P::Succeeded { .. }) => {
                self.reach(Path::RefundUnknownSettled);
            }
            (Some(P::Pending { accepted: true, .. }), P::Succeeded { .. }) => {
                self.reach(Path::RefundPendingThenDone);
            }
            (_, P::Failed { .. }) => self.reach(Path::RefundFailed),
            (None, P::Succeeded { .. }) => self.reach(Path::PaidAndRefundedByClose),
            _ => {}
        }
        if matches!(new.progress, P::Succeeded { .. }) {
            match new.reason {
                RefundReason::Duplicate if before.is_some() => {
                    self.reach(Path::RefundOfSecondSuccess);
                }
                RefundReason::Late => self.reach(Path::RefundOfLateSuccess),
                _ => {}
            }
        }
    }
}

/// Whether money may still move under an attempt, as our books see it.
pub(crate) fn is_live(attempt: &Attempt) -> bool {
    matches!(
        attempt.state,
        AttemptState::InFlight
            | AttemptState::Presented { .. }
            | AttemptState::Unknown { .. }
            | AttemptState::Closing { .. }
    )
}

fn state_name(state: &AttemptState) -> &'static str {
    match state {
        AttemptState::InFlight => "in flight",
        AttemptState::Presented { .. } => "presented",
        AttemptState::Unknown { .. } => "unknown",
        AttemptState::Closing { why: CloseWhy::Orphan, .. } => "closing (orphan)",
        AttemptState::Closing { why: CloseWhy::Shown, .. } => "closing (shown)",
        AttemptState::Closed { proof: Proof::Provider, .. } => "closed",
        AttemptState::Closed { proof: Proof::Lapsed, .. } => "lapsed",
        AttemptState::Declined { .. } => "declined",
        AttemptState::Failed { .. } => "failed",
        AttemptState::Paid { .. } => "paid",
    }
}

fn progress_name(progress: &RefundProgress) -> &'static str {
    match progress {
        RefundProgress::Requested { .. } => "requested",
        RefundProgress::InFlight { .. } => "in flight",
        RefundProgress::Pending { accepted: true, .. } => "pending (accepted)",
        RefundProgress::Pending { accepted: false, .. } => "pending (unknown)",
        RefundProgress::ByHand { .. } => "by hand",
        RefundProgress::Succeeded { .. } => "done",
        RefundProgress::Failed { .. } => "failed",
    }
}
