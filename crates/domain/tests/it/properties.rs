//! The rules over any order of any facts.

use std::time::Duration;

use domain::*;
use proptest::prelude::*;

use crate::support::*;

/// A step that a fuzzer may take: anything that the world may do to a payment.
#[derive(Clone, Debug)]
enum Act {
    Begin(Method),
    Created(u16, u8),
    Queried(u16, u8),
    Noticed(u16, u8),
    Closed(u16, u8),
    Switch,
    Cancel,
    Due,
    AskRefund(i64),
    RefundAnswered(u16, u8),
    RefundLearned(u16, u8),
    Offline(u8),
    ByHand(u16, bool),
    Wait(u16),
    Hold(u16),
    HoldLonger(u16),
    Recovered,
    Pause,
    Release,
}

fn act() -> impl Strategy<Value = Act> {
    let n = 1..4_u16;
    prop_oneof![
        3 => prop_oneof![Just(Method::Alipay), Just(Method::Card)].prop_map(Act::Begin),
        4 => (n.clone(), 0..8_u8).prop_map(|(a, o)| Act::Created(a, o)),
        3 => (n.clone(), 0..8_u8).prop_map(|(a, o)| Act::Queried(a, o)),
        2 => (n.clone(), 0..4_u8).prop_map(|(a, o)| Act::Noticed(a, o)),
        3 => (n.clone(), 0..9_u8).prop_map(|(a, o)| Act::Closed(a, o)),
        1 => Just(Act::Switch),
        1 => Just(Act::Cancel),
        6 => Just(Act::Due),
        2 => (1..120_i64).prop_map(Act::AskRefund),
        2 => (n.clone(), 0..7_u8).prop_map(|(a, o)| Act::RefundAnswered(a, o)),
        2 => (n.clone(), 0..7_u8).prop_map(|(a, o)| Act::RefundLearned(a, o)),
        2 => (0..2_u8).prop_map(Act::Offline),
        2 => (n, any::<bool>()).prop_map(|(r, done)| Act::ByHand(r, done)),
        3 => (0..2000_u16).prop_map(Act::Wait),
        2 => (0..9_000_u16).prop_map(Act::Hold),
        1 => (0..9_000_u16).prop_map(Act::HoldLonger),
        1 => Just(Act::Recovered),
        1 => Just(Act::Pause),
        1 => Just(Act::Release),
    ]
}

fn created(o: u8) -> Outcome<Created> {
    match o {
        0 => Outcome::Ok(presented()),
        1 => Outcome::Ok(Created::Paid(receipt())),
        2 => Outcome::Ok(Created::Processing { reference: None }),
        3 => Outcome::Ok(Created::NumberClosed),
        4 => Outcome::Declined(decline(o == 4)),
        5 => Outcome::Rejected(fault()),
        6 => Outcome::Unavailable(fault()),
        _ => Outcome::Unknown(fault()),
    }
}

fn state(o: u8) -> OrderState {
    match o {
        0 => OrderState::Paid(receipt()),
        1 => OrderState::Payable,
        2 => OrderState::Closed,
        3 => OrderState::NotFound,
        4 => OrderState::Processing,
        6 => OrderState::PaidAndRefunded(receipt()),
        _ => OrderState::Declined(decline(false)),
    }
}

fn queried(o: u8) -> Outcome<OrderState> {
    if o < 7 { Outcome::Ok(state(o)) } else { Outcome::Unknown(fault()) }
}

fn closed(o: u8) -> Outcome<CloseState> {
    match o {
        0 => Outcome::Ok(CloseState::Closed),
        1 => Outcome::Ok(CloseState::Accepted),
        2 => Outcome::Ok(CloseState::AlreadyPaid(None)),
        3 => Outcome::Ok(CloseState::AlreadyPaid(Some(receipt()))),
        4 => Outcome::Ok(CloseState::PaidAndRefunded(receipt())),
        5 => Outcome::Ok(CloseState::NotFound),
        6 => Outcome::Rejected(fault()),
        7 => Outcome::Ok(CloseState::NotTaken),
        _ => Outcome::Unknown(fault()),
    }
}

fn refunded(o: u8) -> Outcome<RefundState> {
    match o {
        0 => Outcome::Ok(RefundState::Succeeded),
        1 => Outcome::Ok(RefundState::Pending),
        2 => Outcome::Ok(RefundState::Failed(fault())),
        3 => Outcome::Ok(RefundState::NotFound),
        4 => Outcome::Unavailable(fault()),
        5 => Outcome::Rejected(fault()),
        _ => Outcome::Unknown(fault()),
    }
}

/// What the act makes of the payment; `None` when it is refused.
fn perform(payment: &Payment, act: &Act, now: &mut Timestamp) -> Option<Payment> {
    let policy = policy();
    let fact = match act.clone() {
        Act::Wait(secs) => {
            *now = *now + Duration::from_secs(u64::from(secs));
            return None;
        }
        Act::Begin(method) => {
            let channel = ChannelId::new("any").unwrap();
            let until = *now + Duration::from_secs(3);
            let step = payment.begin(channel, method, Choice::default(), *now, until);
            return step.ok().map(|s| s.payment);
        }
        Act::AskRefund(minor) => {
            return payment
                .ask_refund(cny(minor), None, *now, &domain::Policy::default())
                .ok()
                .map(|s| s.payment);
        }
        Act::Offline(slip) => {
            let offline = Offline {
                kind: OfflineKind::Cash,
                reference: format!("R-{slip}"),
                money: cny(100),
                taken_at: *now,
                said: "taken by li".into(),
            };
            return payment.record_offline(&offline, *now, &policy).ok()?.map(|s| s.payment);
        }
        Act::ByHand(refund, done) => {
            let done = if done { Ok(()) } else { Err(fault()) };
            let step = payment.refunded_by_hand(refund, done, *now, &policy).ok()?;
            return step.map(|s| s.payment);
        }
        Act::Due => {
            let (at, task) = payment.due(&policy)?;
            *now = (*now).max(at);
            match task {
                Task::Refund(n) => {
                    let until = *now + Duration::from_secs(3);
                    return payment.send_refund(n, *now, until).unwrap().map(|s| s.payment);
                }
                task => Fact::Elapsed(task),
            }
        }
        Act::Hold(secs) => {
            let until = *now + Duration::from_secs(u64::from(secs));
            return payment.keep_order(until, HoldBy::Customer, *now).ok()?.map(|s| s.payment);
        }
        Act::HoldLonger(secs) => {
            let until = *now + Duration::from_secs(u64::from(secs));
            return payment.keep_longer(until, *now).ok().map(|s| s.payment);
        }
        Act::Recovered => return payment.remind_of_recovery(*now).map(|s| s.payment),
        Act::Pause => {
            let until = *now + Duration::from_secs(9_000);
            return payment.pause(until, *now).ok().map(|s| s.payment);
        }
        Act::Release => return payment.release(*now).map(|s| s.payment),
        Act::Created(attempt, o) => Fact::Created { attempt, outcome: created(o) },
        Act::Queried(attempt, o) => Fact::Queried { attempt, outcome: queried(o) },
        Act::Noticed(attempt, o) => Fact::Noticed { attempt, state: state(o) },
        Act::Closed(attempt, o) => Fact::CloseAnswered { attempt, outcome: closed(o) },
        Act::Switch => Fact::SwitchAsked,
        Act::Cancel => Fact::CancelAsked,
        Act::RefundAnswered(refund, o) => Fact::RefundAnswered { refund, outcome: refunded(o) },
        Act::RefundLearned(refund, o) => Fact::RefundLearned { refund, outcome: refunded(o) },
    };
    payment.apply(fact, *now, &policy).ok().map(|s| s.payment)
}

/// What must hold of a payment by itself, whatever led to it.
fn check(before: &Payment, after: &Payment, now: Timestamp) {
    // Rule 2: every captured attempt but the paying one is refunded or on its way back.
    let keeper = match after.state {
        // Rule 11: of a synthetic payment nothing is kept.
        PaymentState::Paid { ordinal, .. } if !after.terms.is_synthetic() => Some(ordinal),
        _ => None,
    };
    for attempt in &after.attempts {
        let Some(receipt) = attempt.receipt() else { continue };
        let taken: i64 = after
            .refunds
            .iter()
            .filter(|r| r.attempt == attempt.ordinal && r.counts())
            .map(|r| r.amount.minor())
            .sum();
        // Rule 14: refunds never exceed the capture.
        assert!(taken <= receipt.captured.minor());
        if keeper != Some(attempt.ordinal) && after.review.is_none() {
            assert_eq!(taken, receipt.captured.minor(), "rule 2: {after:#?}");
        }
    }
    // Rule 14: paid stays paid, and so does every captured attempt.
    if let PaymentState::Paid { ordinal, .. } = before.state {
        assert!(matches!(after.state, PaymentState::Paid { ordinal: o, .. } if o == ordinal));
    }
    for (b, a) in before.attempts.iter().zip(&after.attempts) {
        assert!(b.receipt().is_none() || b.receipt() == a.receipt());
        assert_eq!(b.number, a.number, "rule 8");
    }
    // Rule 3: at most one direct attempt is live, and then nothing else is.
    let live: Vec<&Attempt> = after.attempts.iter().filter(|a| a.is_live()).collect();
    if live.iter().any(|a| a.flow == Flow::Direct) {
        let newest = live.iter().map(|a| a.ordinal).max();
        assert!(live.iter().filter(|a| a.flow == Flow::Direct).count() == 1, "{newest:?}");
    }
    // Rules 2 and 3: offline money is the money that is kept, and it is taken beside no charge
    // whose effect is not known.
    for cash in after.attempts.iter().filter(|a| a.method == Method::Offline) {
        assert_eq!(keeper, Some(cash.ordinal), "{after:#?}");
        let new = before.attempts.len() < usize::from(cash.ordinal);
        let charge = live.iter().any(|a| a.flow == Flow::Direct);
        assert!(!(new && charge), "{after:#?}");
    }
    // Rule 9: while a payment is paused nothing of it may be charged, and nothing begins.
    if after.is_paused() {
        assert!(!after.attempts.iter().any(Attempt::is_live), "rule 9: {after:#?}");
        assert_eq!(after.may_attempt(Flow::Presented, now), Err(Blocked::Paused));
    }
    check_hold(before, after);
    // Rule 17: whatever is not settled has a next task, or waits for people's hands.
    let by_hand = after.refunds.iter().any(|r| matches!(r.progress, RefundProgress::ByHand { .. }));
    assert!(!by_hand || after.review.is_some(), "{after:#?}");
    let waits = after.due(&policy()).is_some() || by_hand;
    assert!(after.is_settled() || waits, "{after:#?} at {now:?}");
}

/// Rule 10: a hold lasts as long as its payment is not ended, and ends once, as its payment does.
fn check_hold(before: &Payment, after: &Payment) {
    let end = |payment: &Payment| payment.hold.as_ref().and_then(|hold| hold.ended);
    assert!(end(before).is_none() || end(before) == end(after), "rule 10: it ends once");
    let Some(hold) = &after.hold else {
        assert!(before.hold.is_none(), "rule 10: it is not forgotten");
        return;
    };
    let meant = match after.state {
        PaymentState::Paid { .. } => Some(HoldEnd::Paid),
        PaymentState::Cancelled { .. } => Some(HoldEnd::Cancelled),
        PaymentState::Expired { .. } => Some(HoldEnd::Expired),
        PaymentState::Declined { .. } => panic!("rule 10: refused for good: {after:#?}"),
        _ => None,
    };
    assert_eq!(hold.ended, meant, "rule 10: {after:#?}");
    assert_eq!(hold.until, after.expires_at);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_order_of_any_facts_keeps_the_rules(
        purpose in prop_oneof![
            Just(Purpose::Checkout), Just(Purpose::Renewal), Just(Purpose::Synthetic)
        ],
        acts in prop::collection::vec(act(), 1..60),
    ) {
        let mut payment = open();
        payment.terms.purpose = purpose;
        let mut now = at(0);
        for act in &acts {
            if let Some(after) = perform(&payment, act, &mut now) {
                check(&payment, &after, now);
                payment = after;
            }
        }
        let text = serde_json::to_string(&payment).unwrap();
        prop_assert_eq!(serde_json::from_str::<Payment>(&text).unwrap(), payment, "it survives the store");
    }

    /// Rule 17: once the provider answers the truth, every payment ends in a bounded number of
    /// tasks, whatever happened before.
    #[test]
    fn when_faults_stop_work_ends(acts in prop::collection::vec(act(), 1..60)) {
        let mut payment = open();
        let mut now = at(0);
        for act in &acts {
            if let Some(after) = perform(&payment, act, &mut now) {
                payment = after;
            }
        }
        let policy = policy();
        for _ in 0..400 {
            let Some((at, task)) = payment.due(&policy) else { break };
            now = now.max(at);
            let fact = match task {
                Task::Query(attempt) => Fact::Queried { attempt, outcome: Outcome::Ok(OrderState::NotFound) },
                Task::Close(attempt) => Fact::CloseAnswered { attempt, outcome: Outcome::Ok(CloseState::NotFound) },
                Task::Refund(refund) => {
                    let until = now + Duration::from_secs(3);
                    payment = payment.send_refund(refund, now, until).unwrap().unwrap().payment;
                    Fact::RefundAnswered { refund, outcome: Outcome::Ok(RefundState::Succeeded) }
                }
                Task::QueryRefund(refund) => Fact::RefundLearned { refund, outcome: Outcome::Ok(RefundState::Succeeded) },
                task => Fact::Elapsed(task),
            };
            payment = payment.apply(fact, now, &policy).unwrap().payment;
        }
        for refund in 1..=u16::try_from(payment.refunds.len()).unwrap() {
            if let Some(done) = payment.refunded_by_hand(refund, Ok(()), now, &policy).unwrap() {
                payment = done.payment;
            }
        }
        prop_assert!(payment.is_settled(), "{:#?}", payment);
    }
}
