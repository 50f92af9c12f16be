//! The checkers that run when everything should have ended: our books against the providers'.

use domain::{AttemptState, Payment, PaymentState, RefundProgress, Review};

use crate::checks::is_live;
use crate::provider::{BackState, Order};
use crate::world::{ENDS_WITHIN_S, World};

impl World {
    /// Compares both sides' books, payment by payment.
    pub(crate) fn verdict(&mut self) {
        for idx in 0..self.slots.len() {
            let rows = std::mem::take(&mut self.slots[idx].rows);
            let orders = std::mem::take(&mut self.slots[idx].orders);
            for row in &rows {
                self.check_ended_well(idx, &row.payment);
                self.check_kept_ended(idx, &row.payment);
                self.check_successes(idx, &row.payment, &orders);
                self.check_refunds(idx, &row.payment, &orders);
            }
            self.check_nothing_foreign(idx, &rows, &orders);
            (self.slots[idx].rows, self.slots[idx].orders) = (rows, orders);
            self.check_answered(idx);
        }
        self.town_verdict();
    }

    /// Rule 17: a final state or a person's queue, within the bound.
    fn check_ended_well(&mut self, idx: usize, payment: &Payment) {
        let open = payment.may_go_on();
        let attempt = payment.attempts.iter().find(|a| is_live(a)).map(|a| a.ordinal);
        let refund = payment.refunds.iter().find(|r| {
            !matches!(r.progress, RefundProgress::Succeeded { .. } | RefundProgress::Failed { .. })
        });
        if payment.review.is_none() && (open || attempt.is_some() || refund.is_some()) {
            let (status, refund) = (payment.status().name(), refund.map(|r| r.ordinal));
            self.violate(17, idx, || {
                format!(
                    "{ENDS_WITHIN_S} s after faults stopped the payment is {status}, with attempt \
                     {attempt:?} and refund {refund:?} open, and nobody was told"
                )
            });
        }
    }

    /// Rules 2 and 6: every success at a provider is in our books and the other way round; at
    /// most one stays.
    fn check_successes(&mut self, idx: usize, payment: &Payment, orders: &[Order]) {
        let of_payment = |o: &&Order| payment.attempts.iter().any(|a| a.number == o.number);
        let kept = orders.iter().filter(of_payment).filter(|o| {
            o.is_captured() && !o.given_back && o.money.minor() > o.back(|s| s == BackState::Done)
        });
        let kept = kept.count();
        let stuck = payment.review == Some(Review::RefundStuck);
        if kept > 1 && !stuck {
            self.violate(2, idx, || format!("{kept} successes are kept at the providers"));
        }
        for attempt in &payment.attempts {
            let order = orders.iter().find(|o| o.number == attempt.number);
            let captured = order.is_some_and(Order::is_captured);
            let given_back = order.is_some_and(|o| o.given_back);
            let ours = matches!(attempt.state, AttemptState::Paid { .. });
            let ordinal = attempt.ordinal;
            if captured && !ours && !given_back && payment.review != Some(Review::WrongAmount) {
                self.violate(6, idx, || {
                    format!("attempt {ordinal} was captured and our books never heard of it")
                });
            }
            if ours && !captured {
                self.violate(6, idx, || format!("attempt {ordinal} is paid in our books only"));
            }
        }
        if let PaymentState::Paid { ordinal, .. } = payment.state {
            let order =
                payment.attempt(ordinal).and_then(|a| orders.iter().find(|o| o.number == a.number));
            let back: i64 = done_refunds(payment, ordinal);
            let unbooked = order.filter(|o| o.given_back && back < payment.money.minor());
            if unbooked.is_some_and(|o| !o.given_back_booked) {
                self.counts.given_back_unheard += 1;
            } else if unbooked.is_some() {
                self.violate(6, idx, || {
                    "the payment is paid in our books and its provider gave the money back"
                        .to_owned()
                });
            }
        }
    }

    /// Rule 14: the refunds in our books are the providers'.
    fn check_refunds(&mut self, idx: usize, payment: &Payment, orders: &[Order]) {
        for attempt in &payment.attempts {
            let Some(order) = orders.iter().find(|o| o.number == attempt.number) else { continue };
            let ours = done_refunds(payment, attempt.ordinal);
            let closed = if order.given_back { order.money.minor() } else { 0 };
            let theirs = closed + order.back(|s| s == BackState::Done);
            let known = matches!(attempt.state, AttemptState::Paid { .. });
            let open = payment.refunds.iter().any(|r| {
                !matches!(
                    r.progress,
                    RefundProgress::Succeeded { .. } | RefundProgress::Failed { .. }
                )
            });
            let unheard = order.given_back && !order.given_back_booked;
            if known && ours != theirs && !open && !unheard {
                let ordinal = attempt.ordinal;
                self.violate(14, idx, || {
                    format!("of attempt {ordinal} we gave back {ours} and its provider {theirs}")
                });
            }
            if theirs > order.money.minor() {
                self.violate(14, idx, || "a provider gave back more than it captured".to_owned());
            }
        }
    }

    /// Rule 8: no order at a provider that is not an attempt of ours, and one payment for each
    /// of the merchant's orders.
    fn check_nothing_foreign(&mut self, idx: usize, rows: &[crate::books::Row], orders: &[Order]) {
        let ours = |o: &Order| {
            rows.iter().any(|r| r.payment.attempts.iter().any(|a| a.number == o.number))
        };
        if orders.iter().any(|o| !ours(o)) {
            self.violate(8, idx, || {
                "a provider has an order that is no attempt of ours".to_owned()
            });
        }
        let order_twice = |(at, row): (usize, &crate::books::Row)| {
            rows.iter().skip(at + 1).any(|other| other.payment.order == row.payment.order)
        };
        if rows.iter().enumerate().any(order_twice) {
            self.violate(8, idx, || "one order number has two payments".to_owned());
        }
    }

    /// A merchant that asked long enough was answered, and with a payment that is there.
    fn check_answered(&mut self, idx: usize) {
        for known in self.slots[idx].client.known.into_iter().flatten() {
            if self.slots[idx].row(known).is_none() {
                self.violate(8, idx, || format!("{known} was answered and is not there"));
            }
        }
    }
}

fn done_refunds(payment: &Payment, attempt: u16) -> i64 {
    let done = payment
        .refunds
        .iter()
        .filter(|r| r.attempt == attempt && matches!(r.progress, RefundProgress::Succeeded { .. }));
    done.map(|r| r.amount.minor()).sum()
}
