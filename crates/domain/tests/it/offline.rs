//! Money that staff took, beside everything that providers may say.

use domain::*;

use crate::support::*;

fn cash(reference: &str) -> Offline {
    Offline {
        kind: OfflineKind::Cash,
        reference: reference.to_owned(),
        money: cny(100),
        taken_at: at(4),
        said: "taken by li".to_owned(),
    }
}

fn record(payment: &Payment, offline: &Offline) -> Result<Option<Payment>, OfflineRefused> {
    let step = payment.record_offline(offline, at(5), &policy())?;
    Ok(step.map(|step| step.payment))
}

fn created(payment: &Payment, outcome: Outcome<Created>) -> Payment {
    apply(payment, Fact::Created { attempt: 1, outcome }, at(1))
}

/// Every state that a payment may be in before, and what recording says then.
#[test]
fn offline_money_is_taken_only_while_nothing_else_may_be() {
    let code = begin(&open(), Method::Alipay, at(0));
    let card = begin(&open(), Method::Card, at(0));
    let shown = created(&code, Outcome::Ok(presented()));
    let orphan = created(&code, Outcome::Unknown(fault()));
    let closing = apply(&shown, Fact::SwitchAsked, at(2));
    let unknown_close = Fact::CloseAnswered { attempt: 1, outcome: Outcome::Unknown(fault()) };
    let proof = Fact::CloseAnswered { attempt: 1, outcome: Outcome::Ok(CloseState::Closed) };
    let synthetic =
        Payment { terms: Terms { purpose: Purpose::Synthetic, ..open().terms }, ..open() };
    let blocked = |why| Err(OfflineRefused::Blocked(why));
    let (stripe, ordinal) = (ChannelId::new("stripe").unwrap(), 1);
    let table = [
        ("nothing tried", open(), Ok(())),
        ("code in flight", code.clone(), blocked(Blocked::InFlight(1))),
        ("card in flight (rule 3)", card.clone(), blocked(Blocked::InFlight(1))),
        (
            "charge unknown (rule 3)",
            created(&card, Outcome::Unknown(fault())),
            blocked(Blocked::Unsettled(1)),
        ),
        ("code shown (rule 5)", shown.clone(), blocked(Blocked::StillShown(1))),
        ("close not tried (rule 5)", closing.clone(), blocked(Blocked::StillShown(1))),
        ("close tried, not answered", apply(&closing, unknown_close, at(3)), Ok(())),
        ("code closed", apply(&closing, proof, at(3)), Ok(())),
        ("orphan that nobody saw (rule 4)", orphan, Ok(())),
        ("every call without effect", created(&code, Outcome::Unavailable(fault())), Ok(())),
        (
            "refused by the bank",
            created(&card, Outcome::Declined(decline(false))),
            Err(OfflineRefused::Ended(Status::Declined)),
        ),
        (
            "paid by card (rule 2)",
            created(&card, Outcome::Ok(Created::Paid(receipt()))),
            Err(OfflineRefused::Paid { ordinal, channel: stripe }),
        ),
        (
            "cancelled",
            apply(&open(), Fact::CancelAsked, at(2)),
            Err(OfflineRefused::Ended(Status::Cancelled)),
        ),
        ("its time is over", Payment { expires_at: at(5), ..open() }, blocked(Blocked::Expired)),
        ("nobody's (rule 11)", synthetic, Err(OfflineRefused::Synthetic)),
    ];
    for (name, payment, wanted) in table {
        let got = record(&payment, &cash("R-1"));
        assert_eq!(got.clone().map(|_| ()), wanted, "{name}");
        assert_eq!(payment.may_take_offline(at(5)), wanted, "{name}");
        let Ok(Some(after)) = got else { continue };
        assert_eq!(after.status(), Status::Paid, "{name}");
        let paying = after.attempts.last().unwrap();
        assert_eq!((paying.method, paying.channel.as_str()), (Method::Offline, OFFLINE_CHANNEL));
        assert_eq!(paying.receipt().unwrap().reference, "R-1");
        assert_eq!(paying.choice.reason, "cash, taken by li");
    }
}

#[test]
fn the_same_money_twice_pays_once_and_other_money_is_refused() {
    let paid = record(&open(), &cash("R-1")).unwrap().unwrap();
    assert_eq!(record(&paid, &cash("R-1")), Ok(None), "rule 8: the same slip is the same money");
    let channel = offline_channel();
    assert_eq!(
        record(&paid, &cash("R-2")),
        Err(OfflineRefused::Paid { ordinal: 1, channel }),
        "rule 2"
    );
}

#[test]
fn another_amount_or_currency_is_refused() {
    let asked = cny(100);
    for stated in [cny(99), cny(101), Money::new(100, Currency::USD).unwrap()] {
        let offline = Offline { money: stated, ..cash("R-1") };
        assert_eq!(record(&open(), &offline), Err(OfflineRefused::Amount { stated, asked }));
    }
}

/// Rule 2: the provider's success comes later, so it goes back; the cash stays.
#[test]
fn a_late_success_of_a_provider_goes_back_and_the_cash_stays() {
    let code = begin(&open(), Method::Alipay, at(0));
    let orphan = created(&code, Outcome::Unknown(fault()));
    let paid = record(&orphan, &cash("R-1")).unwrap().unwrap();
    let late = Fact::Noticed { attempt: 1, state: OrderState::Paid(receipt()) };
    let after = apply(&paid, late, at(60));
    assert!(matches!(after.state, PaymentState::Paid { ordinal: 2, .. }));
    let [refund] = after.refunds.as_slice() else { panic!("{:#?}", after.refunds) };
    assert_eq!((refund.attempt, refund.reason), (1, RefundReason::Duplicate));
    assert!(matches!(refund.progress, RefundProgress::Requested { .. }));
    assert_eq!(after.due(&policy()).unwrap().1, Task::Refund(1));
}

/// Rule 5: what the customer might still pay is closed by the engine as after any success.
#[test]
fn events_tell_the_story_and_the_merchant() {
    let step = open().record_offline(&cash("R-1"), at(5), &policy()).unwrap().unwrap();
    let kinds: Vec<EventKind> = step.events.into_iter().map(|e| e.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::AttemptStarted {
                ordinal: 1,
                channel: offline_channel(),
                method: Method::Offline
            },
            EventKind::AttemptPaid { ordinal: 1, source: Source::Staff },
            EventKind::Paid { ordinal: 1, late: false },
        ]
    );
}

/// Rule 14: a refund of offline money waits for people, and never for a provider.
#[test]
fn offline_money_goes_back_by_peoples_hands() {
    let paid = record(&open(), &cash("R-1")).unwrap().unwrap();
    let asked = paid.ask_refund(cny(40), None, at(10), &policy()).unwrap().payment;
    assert_eq!(asked.review, Some(Review::RefundByHand));
    assert_eq!(asked.due(&policy()), None, "there is nothing that a worker could do");
    assert_eq!(asked.send_refund(1, at(11), at(14)), Ok(None));
    let too_much = asked.ask_refund(cny(61), None, at(11), &policy());
    assert_eq!(too_much, Err(RefundRefused::TooMuch { left_minor: 60 }));

    let by_hand = |p: &Payment, done| p.refunded_by_hand(1, done, at(20), &policy()).unwrap();
    let done = by_hand(&asked, Ok(())).unwrap().payment;
    assert_eq!((done.status(), done.review), (Status::PartiallyRefunded, None));
    assert_eq!(by_hand(&done, Ok(())), None, "said twice, it is done once");
    let failed = by_hand(&asked, Err(fault())).unwrap().payment;
    assert_eq!((failed.status(), failed.review), (Status::Paid, None));
    assert_eq!(failed.refundable_minor(1), 100);
}

#[test]
fn a_refund_at_a_provider_is_not_peoples_to_call_done() {
    let card = begin(&open(), Method::Card, at(0));
    let paid = created(&card, Outcome::Ok(Created::Paid(receipt())));
    let asked = paid.ask_refund(cny(40), None, at(10), &policy()).unwrap().payment;
    assert_eq!(asked.refunded_by_hand(1, Ok(()), at(20), &policy()), Ok(None));
    let none = asked.refunded_by_hand(2, Ok(()), at(20), &policy());
    assert_eq!(none, Err(Illegal::NoRefund(2)));
}

#[test]
fn nobody_can_ask_for_the_method() {
    assert!("offline".parse::<Method>().is_err());
    assert!(!Method::ALL.contains(&Method::Offline));
    for kind in OfflineKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
}
