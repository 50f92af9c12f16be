//! Virtual providers: their own books of orders, captures and refunds, kept apart from ours.
//!
//! Five personalities, shaped like the real ones where it matters for money:
//! - **Alipay**: a code makes no trade until the customer scans it; until then query and close
//!   say "not found" though the code can be paid. The order's own expiry is enforced.
//! - **WeChat Pay**: close says yes to anything and only a query confirms it; paying takes a
//!   moment during which the order is "processing"; an open cashier may pay a little after
//!   the expiry.
//! - **Stripe**: a direct charge happens in the call, idempotent by number; cancel is the
//!   arbiter; nothing expires by itself.
//! - **UnionPay**: a form that nobody calls for; there is no close, and a question only finds
//!   what was paid. An order lapses at its own end, until which it can be paid whatever we do.
//!   A customer who is debited after that gets it back from UnionPay, and nobody is told.
//! - **PayPal**: customers approve, and no money moves by that; a question or a close that still
//!   wants the order takes it. Nothing can be closed: what nobody takes is never taken.
//!
//! Nothing here knows of faults in the network; those are `wire`'s.

use std::time::Duration;

use domain::{
    CloseState, Created, Decline, Fault, Flow, Money, OrderState, Outcome, Presentation,
    ProviderOrderNo, Receipt, RefundState, Timestamp,
};

/// How long after its expiry an open WeChat cashier can still pay.
const CASHIER_GRACE: Duration = Duration::from_secs(30);

/// A provider's manners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum House {
    Alipay,
    Wechat,
    Stripe,
    UnionPay,
    Paypal,
    /// The real ledger, whose books this mirrors (see `bank`).
    Bank,
}

/// An order in a provider's books.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) number: ProviderOrderNo,
    pub(crate) channel: usize,
    pub(crate) house: House,
    pub(crate) flow: Flow,
    pub(crate) money: Money,
    pub(crate) expires_at: Timestamp,
    pub(crate) state: State,
    pub(crate) captured_at: Option<Timestamp>,
    /// Somebody gave all of it back by hand at the provider, past us.
    pub(crate) given_back: bool,
    /// A process heard so and committed what it made of it.
    pub(crate) given_back_booked: bool,
    pub(crate) refunds: Vec<Back>,
    /// Create calls that are on the way and will take effect.
    pub(crate) creates_coming: u32,
    /// Refund calls that are on the way and will take effect.
    pub(crate) refunds_coming: Vec<ProviderOrderNo>,
    /// Create calls that were ever made.
    pub(crate) creates: u32,
    /// The ledger has called it closed once; what comes later is a late success.
    pub(crate) closed_before: bool,
    /// Close calls that were ever made.
    pub(crate) closes: u32,
    /// Our notification of the success was accepted once.
    pub(crate) told_paid: bool,
    /// It states a wrong amount until then.
    pub(crate) misquoted_until: Timestamp,
    /// A query denied the success.
    pub(crate) denied: bool,
    /// The merchant was told of the code.
    pub(crate) shown: bool,
    /// A customer means to pay it.
    pub(crate) courted: bool,
    /// A call of ours took the money and nobody heard of it.
    pub(crate) taken_unheard: bool,
}

/// Where an order stands at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Never arrived.
    Absent,
    /// Alipay: there is a code and no trade.
    Code,
    Payable,
    /// PayPal: the customer has approved, and nothing was taken.
    Approved,
    Processing,
    Captured,
    Closed,
    Declined {
        soft: bool,
    },
}

/// A refund in a provider's books.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) number: ProviderOrderNo,
    pub(crate) minor: i64,
    pub(crate) state: BackState,
    pub(crate) since: Timestamp,
    pub(crate) told: bool,
}

/// Where a refund stands at its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackState {
    Working,
    Done,
    Failed,
}

/// What becomes of a direct charge that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    Captured,
    Working,
    Declined { soft: bool },
}

impl Order {
    pub(crate) fn new(
        number: ProviderOrderNo,
        channel: usize,
        house: House,
        flow: Flow,
        money: Money,
    ) -> Order {
        Order {
            number,
            channel,
            house,
            flow,
            money,
            expires_at: Timestamp::MAX,
            state: State::Absent,
            captured_at: None,
            given_back: false,
            given_back_booked: false,
            refunds: Vec::new(),
            creates_coming: 0,
            refunds_coming: Vec::new(),
            creates: 0,
            closed_before: false,
            closes: 0,
            told_paid: false,
            misquoted_until: Timestamp::EPOCH,
            denied: false,
            shown: false,
            courted: false,
            taken_unheard: false,
        }
    }

    pub(crate) fn receipt(&self) -> Receipt {
        Receipt {
            reference: self.number.as_str().to_owned(),
            captured: self.money,
            paid_at: self.captured_at,
        }
    }

    /// A create call arrives. The same number again is the same order.
    pub(crate) fn create(&mut self, charge: Charge, now: Timestamp) -> Outcome<Created> {
        if self.state == State::Absent {
            self.state = match (self.flow, self.house, charge) {
                (Flow::Presented, House::Alipay | House::UnionPay, _) => State::Code,
                (Flow::Presented, _, _) => State::Payable,
                (Flow::Direct, _, Charge::Captured) => State::Captured,
                (Flow::Direct, _, Charge::Working) => State::Processing,
                (Flow::Direct, _, Charge::Declined { soft }) => State::Declined { soft },
            };
            if self.state == State::Captured {
                self.captured_at = Some(now);
            }
        }
        match self.state {
            State::Absent | State::Code | State::Payable | State::Approved => {
                // Without its id nothing can be asked of PayPal.
                let id = (self.house == House::Paypal).then(|| self.number.as_str().to_owned());
                Outcome::Ok(Created::Presented {
                    presentation: Presentation::QrCode { content: String::new() },
                    reference: id,
                })
            }
            State::Processing => Outcome::Ok(Created::Processing { reference: None }),
            State::Captured => Outcome::Ok(Created::Paid(self.receipt())),
            State::Closed => Outcome::Ok(Created::NumberClosed),
            State::Declined { soft } => Outcome::Declined(decline(soft)),
        }
    }

    /// A query arrives. `deny`: it does not see a success yet.
    pub(crate) fn query(&mut self, deny: bool, now: Timestamp) -> OrderState {
        self.expire(now);
        // Stripe, PayPal and WeChat Pay know an order from its creation on and may see a success
        // late; Alipay knows it from the scan on, UnionPay and a direct charge from its success.
        let late = matches!(self.house, House::Alipay | House::UnionPay);
        let knows = !late && self.flow == Flow::Presented;
        match self.state {
            State::Captured if deny && knows => OrderState::Payable,
            State::Captured if deny => OrderState::NotFound,
            State::Absent | State::Code => OrderState::NotFound,
            State::Payable | State::Approved => OrderState::Payable,
            State::Processing => OrderState::Processing,
            State::Captured if self.is_returned() => OrderState::PaidAndRefunded(self.receipt()),
            State::Captured => OrderState::Paid(self.receipt()),
            State::Closed => OrderState::Closed,
            State::Declined { soft } => OrderState::Declined(decline(soft)),
        }
    }

    /// A close arrives. `mute`: "paid" comes without a receipt; `deny`: the look at an Alipay
    /// orphan does not see a success yet.
    pub(crate) fn close(&mut self, mute: bool, deny: bool, now: Timestamp) -> CloseState {
        self.expire(now);
        if self.state == State::Captured {
            return match self.house {
                House::Wechat => CloseState::AlreadyPaid(None),
                House::Alipay | House::UnionPay if deny => CloseState::NotFound,
                _ if self.is_returned() => CloseState::PaidAndRefunded(self.receipt()),
                _ if mute => CloseState::AlreadyPaid(None),
                _ => CloseState::AlreadyPaid(Some(self.receipt())),
            };
        }
        match (self.state, self.house) {
            (State::Processing, _) => CloseState::Processing,
            (State::Closed, House::Wechat) => CloseState::Accepted,
            (State::Closed, _) => CloseState::Closed,
            (State::Absent, House::Wechat) => CloseState::Accepted,
            (State::Absent | State::Code, _) => CloseState::NotFound,
            // Nothing is closed there, and nothing was taken.
            (_, House::Paypal) => CloseState::NotTaken,
            (State::Payable | State::Approved | State::Declined { .. } | State::Captured, _) => {
                self.state = State::Closed;
                if self.house == House::Wechat { CloseState::Accepted } else { CloseState::Closed }
            }
        }
    }

    /// A customer pays. `slow`: the provider works on it for a moment. Whether it was possible.
    pub(crate) fn pay(&mut self, slow: bool, now: Timestamp) -> bool {
        self.expire(now);
        if !matches!(self.state, State::Code | State::Payable) || !self.open_to_customers(now) {
            return false;
        }
        match self.house {
            House::Paypal => self.state = State::Approved,
            House::Wechat | House::UnionPay if slow => self.state = State::Processing,
            _ => self.capture(now),
        }
        true
    }

    pub(crate) fn capture(&mut self, now: Timestamp) {
        self.state = State::Captured;
        self.captured_at = Some(now);
    }

    /// A customer scans the code and walks away.
    pub(crate) fn scan(&mut self, now: Timestamp) {
        if self.state == State::Code && self.open_to_customers(now) {
            self.state = State::Payable;
        }
    }

    /// Alipay closes its trades by itself.
    fn expire(&mut self, now: Timestamp) {
        if self.house == House::Alipay && self.state == State::Payable && now >= self.expires_at {
            self.state = State::Closed;
        }
    }

    fn open_to_customers(&self, now: Timestamp) -> bool {
        match self.house {
            House::Alipay | House::UnionPay => now < self.expires_at,
            House::Wechat => now < self.expires_at + CASHIER_GRACE,
            House::Stripe | House::Paypal | House::Bank => true,
        }
    }

    /// Whether money was captured under this order, or may still be.
    pub(crate) fn may_capture(&self, now: Timestamp) -> bool {
        if self.house == House::Paypal {
            // Only a call of ours takes it.
            return false;
        }
        let arriving = self.creates_coming > 0
            && (self.flow == Flow::Direct || self.open_to_customers(now))
            && self.state == State::Absent;
        let here = match self.state {
            State::Code | State::Payable => {
                self.flow == Flow::Presented && self.open_to_customers(now)
            }
            State::Processing => true,
            State::Absent
            | State::Approved
            | State::Captured
            | State::Closed
            | State::Declined { .. } => false,
        };
        arriving || here
    }

    pub(crate) fn is_captured(&self) -> bool {
        self.captured_at.is_some()
    }

    /// Somebody gives everything back by hand; only before we touched it, so that the hand and
    /// a refund of ours cannot give back more than was captured.
    pub(crate) fn give_back_by_hand(&mut self) {
        if self.is_captured() && self.refunds.is_empty() && self.refunds_coming.is_empty() {
            self.given_back = true;
        }
    }

    /// Whether this provider says that all of it went back. Alipay closes such a trade; the
    /// others' answers do not tell it from a part.
    fn is_returned(&self) -> bool {
        let done = || self.back(|s| s == BackState::Done) == self.money.minor();
        self.house == House::Alipay && (self.given_back || done())
    }

    /// A refund arrives. `None` when it asks for more than is left, which must never happen.
    pub(crate) fn refund(
        &mut self,
        number: &ProviderOrderNo,
        minor: i64,
        slow: bool,
        now: Timestamp,
    ) -> Option<RefundState> {
        if let Some(known) = self.refunds.iter().find(|r| r.number == *number) {
            return (known.minor == minor).then(|| known.answer());
        }
        if !self.is_captured() || minor > self.left() {
            return None;
        }
        let state = if slow { BackState::Working } else { BackState::Done };
        let back = Back { number: number.clone(), minor, state, since: now, told: false };
        let answer = back.answer();
        self.refunds.push(back);
        Some(answer)
    }

    /// What could still be refunded.
    pub(crate) fn left(&self) -> i64 {
        if self.given_back { 0 } else { self.money.minor() - self.back(|s| s != BackState::Failed) }
    }

    /// What the provider has given back or will.
    pub(crate) fn back(&self, which: impl Fn(BackState) -> bool) -> i64 {
        self.refunds.iter().filter(|r| which(r.state)).map(|r| r.minor).sum()
    }
}

impl Back {
    pub(crate) fn answer(&self) -> RefundState {
        match self.state {
            BackState::Working => RefundState::Pending,
            BackState::Done => RefundState::Succeeded,
            BackState::Failed => {
                RefundState::Failed(Fault::new("REFUND_ABNORMAL", "the refund failed"))
            }
        }
    }
}

pub(crate) fn decline(soft: bool) -> Decline {
    let code = if soft { "issuer_not_available" } else { "card_declined" };
    Decline { code: code.to_owned(), soft }
}
