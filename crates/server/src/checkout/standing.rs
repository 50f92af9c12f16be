//! Where a payment stands for its customer: decided from the payment and what is offered now,
//! without a clock or a socket.
//!
//! The costly word is "not charged". It is said only when no attempt of the payment is paid or
//! could still turn out paid ([`charge`]); everything else is "being confirmed".

use domain::{Attempt, AttemptState, Flow, Payment, PaymentState, Status};
use pages::{Back, Charge};

/// What the page shows, as far as the payment decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stands {
    /// A way to pay is to be chosen; the last one was perhaps refused.
    Choose,
    /// Something to pay by is shown.
    Pay,
    /// A call is under way that only shows something.
    Working,
    /// A charge may have happened.
    Confirming,
    /// Paid, and perhaps a second time.
    Paid(Option<Back>),
    /// Paid and given back.
    Refunded,
    /// Paid after the end.
    Late(Back),
    /// Refused by the customer's side.
    Declined(Charge),
    /// Ended by the merchant, or being ended.
    Cancelled(Charge),
    /// Ended by time, or being ended.
    Expired(Charge),
    /// Its feature is paused.
    Paused,
}

/// Whether the customer was surely not charged: no attempt is paid, and none may still be.
pub(crate) fn charge(payment: &Payment) -> Charge {
    let may_be = |a: &Attempt| a.is_live() || a.receipt().is_some();
    if payment.attempts.iter().any(may_be) { Charge::Doubtful } else { Charge::Proven }
}

/// Where it stands.
pub(crate) fn stands(payment: &Payment) -> Stands {
    match payment.status() {
        Status::Paid | Status::PartiallyRefunded => Stands::Paid(twice(payment)),
        Status::Refunded => Stands::Refunded,
        status => unpaid(payment, status),
    }
}

fn unpaid(payment: &Payment, status: Status) -> Stands {
    // Money that came although the payment was not to be paid any more is on its way back.
    if let Some(back) = of_all(payment, |_| true).filter(|_| payment.state != PaymentState::Open) {
        return Stands::Late(back);
    }
    let charge = charge(payment);
    match status {
        Status::Processing if is_charging(payment) => Stands::Confirming,
        Status::Processing => Stands::Working,
        Status::RequiresCustomer => Stands::Pay,
        Status::Confirming => Stands::Confirming,
        Status::Declined => Stands::Declined(charge),
        Status::Cancelled | Status::Cancelling => Stands::Cancelled(charge),
        Status::Expired | Status::Expiring => Stands::Expired(charge),
        Status::Paused => Stands::Paused,
        _ if was_declined(payment) => Stands::Declined(charge),
        _ => Stands::Choose,
    }
}

/// Whether the call under way moves money by itself.
fn is_charging(payment: &Payment) -> bool {
    payment.attempts.iter().any(|a| a.flow == Flow::Direct && a.is_live())
}

fn was_declined(payment: &Payment) -> bool {
    let last = payment.attempts.last();
    last.is_some_and(|a| matches!(a.state, AttemptState::Declined { .. }))
}

/// What becomes of money that came a second time (rule 2).
fn twice(payment: &Payment) -> Option<Back> {
    let PaymentState::Paid { ordinal, .. } = payment.state else { return None };
    of_all(payment, |a| a.ordinal != ordinal)
}

/// How far the money of captured attempts is on its way back; `None` where none is meant.
fn of_all(payment: &Payment, meant: impl Fn(&Attempt) -> bool) -> Option<Back> {
    let captured = payment.attempts.iter().filter(|a| meant(a)).filter_map(|a| {
        let back = payment.refunded_minor(a.ordinal) >= a.receipt()?.captured.minor();
        Some(if back { Back::Done } else { Back::Under })
    });
    captured.max_by_key(|back| *back == Back::Under)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::*;
    use proptest::prelude::*;

    use super::*;

    /// An order at its provider, as it truly is, whatever we have heard of it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Truth {
        /// There is none, and its call is over: nobody can pay it.
        Nothing,
        /// Its call is under way: it may come to be.
        OnItsWay,
        Payable,
        Paid,
        Closed,
    }

    /// What may happen to an attempt, or to the payment.
    #[derive(Clone, Copy, Debug)]
    enum Act {
        Begin(bool),
        /// The answer to the create call, by number.
        Answer(usize, u8),
        /// The customer pays what can be paid.
        Pay(usize),
        Ask(usize),
        /// A close, whose answer may be lost.
        Close(usize, bool),
        Switch,
        Cancel,
        Due,
        Wait(u16),
    }

    fn act() -> impl Strategy<Value = Act> {
        let attempt = 0..3_usize;
        prop_oneof![
            3 => any::<bool>().prop_map(Act::Begin),
            4 => (attempt.clone(), 0..7_u8).prop_map(|(a, o)| Act::Answer(a, o)),
            2 => attempt.clone().prop_map(Act::Pay),
            3 => attempt.clone().prop_map(Act::Ask),
            3 => (attempt, any::<bool>()).prop_map(|(a, lost)| Act::Close(a, lost)),
            1 => Just(Act::Switch),
            1 => Just(Act::Cancel),
            4 => Just(Act::Due),
            2 => (0..900_u16).prop_map(Act::Wait),
        ]
    }

    fn receipt() -> Receipt {
        Receipt { reference: "2026".into(), captured: cny(), paid_at: None }
    }

    fn cny() -> Money {
        Money::new(1_990, Currency::CNY).unwrap()
    }

    fn fault() -> Fault {
        Fault::new("timeout", "no answer")
    }

    struct World {
        payment: Payment,
        truths: Vec<Truth>,
        now: Timestamp,
    }

    impl World {
        fn new() -> World {
            let terms = Terms {
                methods: vec![Method::Alipay, Method::Card],
                token: Some("pm_1".into()),
                ..Terms::default()
            };
            let (id, now) = (PaymentId::from_uuid(uuid::Uuid::from_u128(7)), Timestamp::EPOCH);
            let who = (MerchantId::new("shop").unwrap(), OrderNo::new("o-1").unwrap());
            let end = now + Duration::from_secs(900);
            let payment = Payment::open(id, who, cny(), terms, now, end).payment;
            World { payment, truths: Vec::new(), now }
        }

        fn apply(&mut self, fact: Fact) {
            if let Ok(step) = self.payment.apply(fact, self.now, &Policy::default()) {
                self.payment = step.payment;
            }
        }

        fn act(&mut self, act: Act) {
            let ordinal = |a: usize| u16::try_from(a + 1).unwrap();
            match act {
                Act::Wait(secs) => self.now = self.now + Duration::from_secs(u64::from(secs)),
                Act::Begin(charge) => self.begin(charge),
                Act::Answer(a, o) if self.truths.get(a) == Some(&Truth::OnItsWay) => {
                    let (truth, outcome) = self.answer(a, o);
                    self.truths[a] = truth;
                    self.apply(Fact::Created { attempt: ordinal(a), outcome });
                }
                Act::Pay(a) if self.truths.get(a) == Some(&Truth::Payable) => {
                    self.truths[a] = Truth::Paid;
                }
                Act::Ask(a) if a < self.truths.len() => {
                    let outcome = match self.truths[a] {
                        Truth::Paid => Outcome::Ok(OrderState::Paid(receipt())),
                        Truth::Payable => Outcome::Ok(OrderState::Payable),
                        Truth::Closed => Outcome::Ok(OrderState::Closed),
                        Truth::Nothing | Truth::OnItsWay => Outcome::Unknown(fault()),
                    };
                    self.apply(Fact::Queried { attempt: ordinal(a), outcome });
                }
                Act::Close(a, lost) if a < self.truths.len() => self.close(a, lost, ordinal(a)),
                Act::Switch => self.apply(Fact::SwitchAsked),
                Act::Cancel => self.apply(Fact::CancelAsked),
                Act::Due => {
                    if let Some((at, task)) = self.payment.due(&Policy::default()) {
                        self.now = self.now.max(at);
                        self.apply(Fact::Elapsed(task));
                    }
                }
                _ => {}
            }
        }

        fn begin(&mut self, charge: bool) {
            let method = if charge { Method::Card } else { Method::Alipay };
            let (channel, choice) = (ChannelId::new("any").unwrap(), Choice::default());
            let until = self.now + Duration::from_secs(3);
            if let Ok(step) = self.payment.begin(channel, method, choice, self.now, until) {
                self.payment = step.payment;
                self.truths.push(Truth::OnItsWay);
            }
        }

        fn answer(&self, a: usize, o: u8) -> (Truth, Outcome<Created>) {
            let presentation = Presentation::QrCode { content: "https://qr".into() };
            let shown = Created::Presented { presentation, reference: None };
            let decline = Decline { code: "do_not_honor".into(), soft: true };
            let direct = self.payment.attempts[a].flow == Flow::Direct;
            match o {
                0 | 1 if direct => (Truth::Paid, Outcome::Ok(Created::Paid(receipt()))),
                0 | 1 => (Truth::Payable, Outcome::Ok(shown)),
                2 if direct => (Truth::Paid, Outcome::Unknown(fault())),
                2 => (Truth::Payable, Outcome::Unknown(fault())),
                3 => (Truth::Nothing, Outcome::Unknown(fault())),
                4 => (Truth::Nothing, Outcome::Declined(decline)),
                5 => (Truth::Nothing, Outcome::Rejected(fault())),
                _ => (Truth::Nothing, Outcome::Unavailable(fault())),
            }
        }

        fn close(&mut self, a: usize, lost: bool, attempt: u16) {
            let word = match self.truths[a] {
                Truth::Paid => CloseState::AlreadyPaid(Some(receipt())),
                Truth::Payable | Truth::Closed => {
                    self.truths[a] = Truth::Closed;
                    CloseState::Closed
                }
                Truth::Nothing | Truth::OnItsWay => return,
            };
            let outcome = if lost { Outcome::Unknown(fault()) } else { Outcome::Ok(word) };
            self.apply(Fact::CloseAnswered { attempt, outcome });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]

        /// "Not charged" is said only when no order of the payment is paid or can be paid at its
        /// provider, whatever got lost on the way.
        #[test]
        fn not_charged_is_true_at_the_providers(acts in prop::collection::vec(act(), 1..40)) {
            let mut world = World::new();
            for act in acts {
                world.act(act);
                let nobody_can = |t: &Truth| matches!(t, Truth::Nothing | Truth::Closed);
                if charge(&world.payment) == Charge::Proven {
                    prop_assert!(world.truths.iter().all(nobody_can), "{:?}", world.truths);
                }
                let said = stands(&world.payment);
                let free = matches!(
                    said,
                    Stands::Declined(Charge::Proven)
                        | Stands::Cancelled(Charge::Proven)
                        | Stands::Expired(Charge::Proven)
                );
                let paid = world.truths.contains(&Truth::Paid);
                prop_assert!(!(free && paid), "{said:?} {:?}", world.truths);
            }
        }
    }

    fn after(acts: &[Act]) -> Stands {
        let mut world = World::new();
        acts.iter().for_each(|act| world.act(*act));
        stands(&world.payment)
    }

    #[test]
    fn what_is_proven_is_said() {
        use Act::*;
        let (shown, silent, refused) = (Answer(0, 0), Answer(0, 3), Answer(0, 6));
        assert_eq!(after(&[]), Stands::Choose);
        assert_eq!(after(&[Begin(false)]), Stands::Working);
        assert_eq!(after(&[Begin(true)]), Stands::Confirming, "a charge under way");
        assert_eq!(after(&[Begin(false), shown]), Stands::Pay);
        assert_eq!(after(&[Begin(false), refused]), Stands::Choose);
        assert_eq!(after(&[Begin(false), Answer(0, 4)]), Stands::Declined(Charge::Proven));
        assert_eq!(after(&[Begin(true), silent]), Stands::Confirming);
        assert_eq!(after(&[Begin(false), shown, Pay(0), Ask(0)]), Stands::Paid(None));
        let cancelled = [Begin(false), shown, Cancel];
        assert_eq!(after(&cancelled), Stands::Cancelled(Charge::Doubtful));
        let closed = [&cancelled[..], &[Close(0, false)]].concat();
        assert_eq!(after(&closed), Stands::Cancelled(Charge::Proven));
    }

    #[test]
    fn a_second_payment_and_a_late_one_are_said_to_go_back() {
        use Act::*;
        let switched = [Begin(false), Answer(0, 0), Switch, Close(0, true)];
        let again = [Begin(false), Answer(1, 0), Pay(1), Ask(1)];
        let mut world = World::new();
        [&switched[..], &again[..]].concat().iter().for_each(|act| world.act(*act));
        assert_eq!(stands(&world.payment), Stands::Paid(None));
        // The first code was paid as well, on another device, before its close arrived.
        let state = OrderState::Paid(receipt());
        world.apply(Fact::Noticed { attempt: 1, state });
        assert_eq!(stands(&world.payment), Stands::Paid(Some(Back::Under)));
        let until = world.now + Duration::from_secs(3);
        world.payment = world.payment.send_refund(1, world.now, until).unwrap().unwrap().payment;
        let outcome = Outcome::Ok(RefundState::Succeeded);
        world.apply(Fact::RefundAnswered { refund: 1, outcome });
        assert_eq!(stands(&world.payment), Stands::Paid(Some(Back::Done)));
    }
}
