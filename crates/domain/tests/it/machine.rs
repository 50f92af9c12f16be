//! Every attempt state against every fact, legal and illegal; and the payment's own edges.

use domain::*;

use crate::support::*;

/// An attempt in each state, presented and direct, by the shortest way there.
fn states() -> Vec<(&'static str, Payment)> {
    let created = |p: &Payment, outcome| apply(p, Fact::Created { attempt: 1, outcome }, at(1));
    let code = begin(&open(), Method::Alipay, at(0));
    let card = begin(&open(), Method::Card, at(0));
    let shown = created(&code, Outcome::Ok(presented()));
    let orphan = created(&code, Outcome::Unknown(fault()));
    let unknown = created(&card, Outcome::Unknown(fault()));
    let closing = apply(&shown, Fact::SwitchAsked, at(2));
    let closed_answer =
        Fact::CloseAnswered { attempt: 1, outcome: Outcome::Ok(CloseState::Closed) };
    vec![
        ("code in flight", code.clone()),
        ("card in flight", card.clone()),
        ("presented", shown),
        ("orphan", orphan.clone()),
        ("unknown", unknown),
        ("closing", closing),
        ("closed", apply(&orphan, closed_answer, at(3))),
        ("declined", created(&card, Outcome::Declined(decline(false)))),
        ("failed", created(&code, Outcome::Unavailable(fault()))),
        ("paid", created(&card, Outcome::Ok(Created::Paid(receipt())))),
    ]
}

fn facts() -> Vec<(&'static str, Fact)> {
    let attempt = 1;
    let created = |outcome| Fact::Created { attempt, outcome };
    let queried = |outcome| Fact::Queried { attempt, outcome };
    let closed = |outcome| Fact::CloseAnswered { attempt, outcome };
    vec![
        ("created presented", created(Outcome::Ok(presented()))),
        ("created paid", created(Outcome::Ok(Created::Paid(receipt())))),
        ("created processing", created(Outcome::Ok(Created::Processing { reference: None }))),
        ("created number closed", created(Outcome::Ok(Created::NumberClosed))),
        ("created declined", created(Outcome::Declined(decline(false)))),
        ("created rejected", created(Outcome::Rejected(fault()))),
        ("created unavailable", created(Outcome::Unavailable(fault()))),
        ("created unknown", created(Outcome::Unknown(fault()))),
        ("interrupted", Fact::Elapsed(Task::RecoverAttempt(1))),
        ("queried paid", queried(Outcome::Ok(OrderState::Paid(receipt())))),
        ("queried payable", queried(Outcome::Ok(OrderState::Payable))),
        ("queried processing", queried(Outcome::Ok(OrderState::Processing))),
        ("queried closed", queried(Outcome::Ok(OrderState::Closed))),
        ("queried not found", queried(Outcome::Ok(OrderState::NotFound))),
        ("queried declined", queried(Outcome::Ok(OrderState::Declined(decline(false))))),
        ("queried unknown", queried(Outcome::Unknown(fault()))),
        ("noticed paid", Fact::Noticed { attempt, state: OrderState::Paid(receipt()) }),
        ("close closed", closed(Outcome::Ok(CloseState::Closed))),
        ("close accepted", closed(Outcome::Ok(CloseState::Accepted))),
        ("close paid", closed(Outcome::Ok(CloseState::AlreadyPaid(Some(receipt()))))),
        ("close paid, no receipt", closed(Outcome::Ok(CloseState::AlreadyPaid(None)))),
        ("close refunded", closed(Outcome::Ok(CloseState::PaidAndRefunded(receipt())))),
        ("close not found", closed(Outcome::Ok(CloseState::NotFound))),
        ("close unknown", closed(Outcome::Unknown(fault()))),
    ]
}

/// The whole diagram, soon after the calls. A dot is "stays as it is".
const TABLE: &str = "
                        code in flight  card in flight  presented  orphan  unknown  closing  closed  declined  failed  paid
created presented       presented       presented       .          .       .        .        .       .         .       .
created paid            paid            paid            paid       paid    paid     paid     paid    paid      paid    .
created processing      closing_orphan  unknown         .          .       .        .        .       .         .       .
created number closed   closed          closed          .          closed  closed   closed   .       .         .       .
created declined        declined        declined        .          declined declined declined .      .         .       .
created rejected        failed          failed          .          failed  failed   failed   .       .         .       .
created unavailable     failed          failed          .          failed  failed   failed   .       .         .       .
created unknown         closing_orphan  unknown         .          .       .        .        .       .         .       .
interrupted             closing_orphan  unknown         .          .       .        .        .       .         .       .
queried paid            paid            paid            paid       paid    paid     paid     paid    paid      paid    .
queried payable         .               .               .          .       .        .        .       .         .       .
queried processing      .               .               .          .       .        .        .       .         .       .
queried closed          closed          closed          closed     closed  closed   closed   .       .         .       .
queried not found       .               .               .          .       .        .        .       .         .       .
queried declined        .               .               .          declined declined declined .      .         .       .
queried unknown         .               .               .          .       .        .        .       .         .       .
noticed paid            paid            paid            paid       paid    paid     paid     paid    paid      paid    .
close closed            closed          closed          closed     closed  closed   closed   .       .         .       .
close accepted          .               .               .          .       .        .        .       .         .       .
close paid              paid            paid            paid       paid    paid     paid     paid    paid      paid    .
close paid, no receipt  .               .               .          .       .        .        .       .         .       .
close refunded          paid            paid            paid       paid    paid     paid     paid    paid      paid    .
close not found         .               .               .          .       .        .        .       .         .       .
close unknown           .               .               .          .       .        .        .       .         .       .
";

#[test]
fn every_state_meets_every_fact_as_the_table_says() {
    let mut rows = TABLE.lines().skip(2);
    for (fact_name, fact) in facts() {
        let row = rows.next().unwrap();
        assert!(row.starts_with(fact_name), "{fact_name}: {row}");
        let wanted: Vec<&str> = row[24..].split_whitespace().collect();
        for ((state_name, payment), wanted) in states().into_iter().zip(wanted) {
            let before = name(&payment.attempts[0].state);
            let after = apply(&payment, fact.clone(), at(5));
            let got = name(&after.attempts[0].state);
            let wanted = if wanted == "." { before } else { wanted };
            assert_eq!(got, wanted, "{state_name} + {fact_name}");
        }
    }
}

#[test]
fn facts_about_what_is_not_there_are_illegal_and_change_nothing() {
    let payment = begin(&open(), Method::Alipay, at(0));
    let paid = Outcome::Ok(OrderState::Paid(receipt()));
    let policy = policy();
    let no = payment.apply(Fact::Queried { attempt: 2, outcome: paid.clone() }, at(1), &policy);
    assert_eq!(no.unwrap_err(), Illegal::NoAttempt(2));
    let no = payment.apply(
        Fact::RefundAnswered { refund: 1, outcome: Outcome::Ok(RefundState::Succeeded) },
        at(1),
        &policy,
    );
    assert_eq!(no.unwrap_err(), Illegal::NoRefund(1));
    let wrong = Receipt { captured: cny(99), ..receipt() };
    let fact = Fact::Noticed { attempt: 1, state: OrderState::Paid(wrong) };
    let no = payment.apply(fact, at(1), &policy);
    assert_eq!(no.unwrap_err(), Illegal::WrongAmount { stated: cny(99), asked: cny(100) });
}

#[test]
fn rule_2_a_second_success_goes_back_by_itself() {
    let first = begin(&open(), Method::Alipay, at(0));
    let orphan =
        apply(&first, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(1));
    let second = begin(&orphan, Method::Alipay, at(1));
    let shown =
        apply(&second, Fact::Created { attempt: 2, outcome: Outcome::Ok(presented()) }, at(2));
    let paid = |p: &Payment, attempt| {
        apply(p, Fact::Noticed { attempt, state: OrderState::Paid(receipt()) }, at(3))
    };
    let twice = paid(&paid(&shown, 2), 1);
    assert_eq!(twice.status(), Status::Paid);
    assert_eq!(twice.refunds.len(), 1);
    assert_eq!((twice.refunds[0].attempt, twice.refunds[0].reason), (1, RefundReason::Duplicate));
    assert_eq!(twice.due(&policy()).unwrap(), (at(3), Task::Refund(1)));
    assert_eq!(paid(&paid(&twice, 1), 2), twice, "hearing it again changes nothing");
}

#[test]
fn rule_3_an_unknown_charge_blocks_everything_until_it_is_settled() {
    let card = begin(&open(), Method::Card, at(0));
    let unknown =
        apply(&card, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(1));
    for flow in [Flow::Direct, Flow::Presented] {
        assert_eq!(unknown.may_attempt(flow, at(2)), Err(Blocked::Unsettled(1)));
    }
    let not_found = Fact::Queried { attempt: 1, outcome: Outcome::Ok(OrderState::NotFound) };
    let soon = apply(&unknown, not_found.clone(), at(60));
    assert_eq!(name(&soon.attempts[0].state), "unknown", "one 'not found' is no proof");
    let later = apply(&unknown, not_found, at(3 + 120));
    assert_eq!(name(&later.attempts[0].state), "failed");
    assert_eq!(later.may_attempt(Flow::Direct, at(200)), Ok(()));
}

#[test]
fn rule_17_what_a_charge_shows_after_the_end_was_asked_for_is_closed() {
    let card = begin(&open(), Method::Card, at(0));
    let ending = apply(&card, Fact::CancelAsked, at(1));
    assert_eq!(name(&ending.attempts[0].state), "in_flight", "a charge is not called back");
    let shown =
        apply(&ending, Fact::Created { attempt: 1, outcome: Outcome::Ok(presented()) }, at(2));
    assert_eq!(name(&shown.attempts[0].state), "closing_shown");
    assert_eq!(shown.due(&policy()).unwrap(), (at(2), Task::Close(1)));
    let unknown =
        apply(&ending, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(2));
    assert_eq!(name(&unknown.attempts[0].state), "closing_orphan");
}

#[test]
fn rule_14_what_the_provider_gave_back_is_booked_as_paid_and_refunded() {
    let returned = || Fact::Queried {
        attempt: 1,
        outcome: Outcome::Ok(OrderState::PaidAndRefunded(receipt())),
    };
    let code = begin(&open(), Method::Alipay, at(0));
    let orphan =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(1));
    let told = apply(&orphan, returned(), at(2));
    assert_eq!(name(&told.attempts[0].state), "paid");
    assert_eq!(told.state, PaymentState::Open, "the customer has the money back and may pay again");
    assert_eq!(told.refunds.len(), 1);
    assert!(matches!(told.refunds[0].progress, RefundProgress::Succeeded { .. }));

    let paid = apply(
        &code,
        Fact::Created { attempt: 1, outcome: Outcome::Ok(Created::Paid(receipt())) },
        at(1),
    );
    let asked = paid.ask_refund(cny(30), None, at(2), &domain::Policy::default()).unwrap().payment;
    let told = apply(
        &asked,
        Fact::Noticed { attempt: 1, state: OrderState::PaidAndRefunded(receipt()) },
        at(3),
    );
    let amounts: Vec<i64> = told.refunds.iter().map(|r| r.amount.minor()).collect();
    assert_eq!(amounts, [30, 70]);
    assert!(told.refunds.iter().all(|r| matches!(r.progress, RefundProgress::Succeeded { .. })));
    assert_eq!(told.status(), Status::Refunded);
    let again = apply(&told, returned(), at(4));
    assert_eq!(again.refunds, told.refunds, "said twice, booked once");
}

#[test]
fn rule_3_an_orphan_blocks_a_charge_but_rule_4_not_another_code() {
    let code = begin(&open(), Method::Alipay, at(0));
    let orphan =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(1));
    assert_eq!(orphan.may_attempt(Flow::Presented, at(1)), Ok(()));
    assert_eq!(orphan.may_attempt(Flow::Direct, at(1)), Err(Blocked::Unsettled(1)));
    assert_eq!(orphan.due(&policy()).unwrap(), (at(1), Task::Close(1)), "closed in the background");
}

#[test]
fn rule_5_what_is_shown_is_closed_before_another_code_is_made() {
    let code = begin(&open(), Method::Alipay, at(0));
    let shown =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Ok(presented()) }, at(1));
    assert_eq!(shown.may_attempt(Flow::Presented, at(2)), Err(Blocked::StillShown(1)));
    let asked = apply(&shown, Fact::SwitchAsked, at(2));
    assert_eq!(asked.may_attempt(Flow::Presented, at(2)), Err(Blocked::StillShown(1)));
    let silent = apply(
        &asked,
        Fact::CloseAnswered { attempt: 1, outcome: Outcome::Unknown(fault()) },
        at(5),
    );
    assert_eq!(
        silent.may_attempt(Flow::Presented, at(5)),
        Ok(()),
        "no answer: rule 2 is the guard"
    );
}

/// Where a call of ours takes the money, it is made only for the link that the customer holds.
#[test]
fn rule_2_an_approval_is_wanted_only_by_the_attempt_that_the_customer_holds() {
    let code = begin(&open(), Method::Alipay, at(0));
    assert!(!code.wants(1), "in flight, nothing is shown");
    let orphan =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(1));
    assert!(!orphan.wants(1), "nobody has seen it");
    let shown =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Ok(presented()) }, at(1));
    assert!(shown.wants(1) && !shown.wants(2) && !shown.wants(0));
    let leaving = apply(&shown, Fact::SwitchAsked, at(2));
    assert!(leaving.wants(1), "a customer who approved before the close was faster");
    let silent = Fact::CloseAnswered { attempt: 1, outcome: Outcome::Unknown(fault()) };
    let other = begin(&apply(&leaving, silent, at(3)), Method::Alipay, at(3));
    assert!(!other.wants(1), "another attempt was begun");
    let closed = Fact::CloseAnswered { attempt: 1, outcome: Outcome::Ok(CloseState::Closed) };
    assert!(!apply(&leaving, closed, at(3)).wants(1), "closed is closed");
    assert!(!apply(&shown, Fact::CancelAsked, at(2)).wants(1), "the merchant has cancelled");
    assert!(apply(&shown, Fact::Elapsed(Task::Expire), at(900)).wants(1), "it came in time");
    let paid = Fact::Noticed { attempt: 1, state: OrderState::Paid(receipt()) };
    assert!(!apply(&shown, paid, at(2)).wants(1));
}

#[test]
fn rule_6_a_late_success_is_honoured_or_refunded_never_dropped() {
    let code = begin(&open(), Method::Alipay, at(0));
    let shown =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Ok(presented()) }, at(1));
    let close = Fact::CloseAnswered { attempt: 1, outcome: Outcome::Ok(CloseState::NotFound) };
    let end = |fact| apply(&apply(&shown, fact, at(900)), close.clone(), at(901));
    let success = Fact::Noticed { attempt: 1, state: OrderState::Paid(receipt()) };

    let expired = end(Fact::Elapsed(Task::Expire));
    assert_eq!(expired.status(), Status::Expired);
    assert_eq!(apply(&expired, success.clone(), at(902)).status(), Status::Paid);

    let cancelled = end(Fact::CancelAsked);
    assert_eq!(cancelled.status(), Status::Cancelled);
    let late = apply(&cancelled, success, at(902));
    assert_eq!(late.status(), Status::Cancelled);
    assert_eq!(late.refunds[0].reason, RefundReason::Late);
}

#[test]
fn a_cancel_loses_to_a_customer_who_was_faster() {
    let code = begin(&open(), Method::Alipay, at(0));
    let shown =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Ok(presented()) }, at(1));
    let cancelling = apply(&shown, Fact::CancelAsked, at(2));
    assert_eq!(cancelling.status(), Status::Cancelling);
    let paid = Fact::CloseAnswered {
        attempt: 1,
        outcome: Outcome::Ok(CloseState::AlreadyPaid(Some(receipt()))),
    };
    assert_eq!(apply(&cancelling, paid, at(3)).status(), Status::Paid);
}

#[test]
fn a_soft_decline_leaves_the_payment_open_until_no_route_is_left() {
    let card = begin(&open(), Method::Card, at(0));
    let outcome = Outcome::Declined(decline(true));
    let soft = apply(&card, Fact::Created { attempt: 1, outcome }, at(1));
    assert_eq!(soft.status(), Status::Unavailable);
    assert_eq!(apply(&soft, Fact::NoRouteLeft, at(1)).status(), Status::Declined);
}

#[test]
fn rule_14_refunds_never_exceed_the_capture_and_an_unknown_one_is_asked_about() {
    let card = begin(&open(), Method::Card, at(0));
    let outcome = Outcome::Ok(Created::Paid(receipt()));
    let paid = apply(&card, Fact::Created { attempt: 1, outcome }, at(1));
    let one = paid.ask_refund(cny(60), None, at(2), &domain::Policy::default()).unwrap().payment;
    assert_eq!(
        one.ask_refund(cny(41), None, at(2), &domain::Policy::default()).unwrap_err(),
        RefundRefused::TooMuch { left_minor: 40 }
    );
    let sent = one.send_refund(1, at(2), at(5)).unwrap().unwrap().payment;
    assert!(sent.send_refund(1, at(2), at(5)).unwrap().is_none(), "sent once");
    let fact = Fact::RefundAnswered { refund: 1, outcome: Outcome::Unknown(fault()) };
    let unknown = apply(&sent, fact, at(5));
    assert!(matches!(unknown.due(&policy()), Some((_, Task::QueryRefund(1)))));
    let not_found = Fact::RefundLearned { refund: 1, outcome: Outcome::Ok(RefundState::NotFound) };
    let early = apply(&unknown, not_found.clone(), at(10));
    assert!(matches!(early.due(&policy()), Some((_, Task::QueryRefund(1)))), "not yet proof");
    let again = apply(&unknown, not_found, at(5 + 120));
    assert!(matches!(again.due(&policy()), Some((_, Task::Refund(1)))));
    assert_eq!(again.refunds[0].number, one.refunds[0].number, "the same number");
}

#[test]
fn rule_17_an_unknown_charge_reaches_a_person_after_an_hour_and_leaves_it_when_settled() {
    let card = begin(&open(), Method::Card, at(0));
    let unknown =
        apply(&card, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(1));
    let late = apply(&unknown, Fact::Elapsed(Task::Review), at(3700));
    assert_eq!(late.review, Some(Review::StillUnknown));
    let paid = Fact::Queried { attempt: 1, outcome: Outcome::Ok(OrderState::Paid(receipt())) };
    assert_eq!(apply(&late, paid, at(3701)).review, None);
}

#[test]
fn rule_11_a_synthetic_payment_that_was_paid_goes_back_by_itself_exactly_once() {
    let mut payment = open();
    payment.terms.purpose = Purpose::Synthetic;
    let shown = begin(&payment, Method::Alipay, at(0));
    let shown =
        apply(&shown, Fact::Created { attempt: 1, outcome: Outcome::Ok(presented()) }, at(1));
    let noticed = Fact::Noticed { attempt: 1, state: OrderState::Paid(receipt()) };
    // Paid while it was shown, and paid after it was cancelled and expired.
    let early = apply(&shown, noticed.clone(), at(2));
    let ending = apply(&shown, Fact::CancelAsked, at(2));
    let closed = Fact::CloseAnswered { attempt: 1, outcome: Outcome::Ok(CloseState::Closed) };
    let cancelled = apply(&ending, closed, at(3));
    assert_eq!(cancelled.status(), Status::Cancelled);
    let late = apply(&cancelled, noticed.clone(), at(4));
    for (paid, reason) in [(early, RefundReason::Synthetic), (late, RefundReason::Late)] {
        assert_eq!(paid.refunds.len(), 1);
        assert_eq!((paid.refunds[0].amount, paid.refunds[0].reason), (cny(100), reason));
        assert_eq!(apply(&paid, noticed.clone(), at(5)), paid, "hearing it again changes nothing");
    }
}

// These four were found by seeds of the simulator, which lose their force as the engine changes.

#[test]
fn rule_5_payable_is_no_proof_of_lapse_however_late_it_is() {
    let code = begin(&open(), Method::Alipay, at(0));
    let shown =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Ok(presented()) }, at(1));
    let ending = apply(&shown, Fact::Elapsed(Task::Expire), at(900));
    let asked = apply(
        &ending,
        Fact::CloseAnswered { attempt: 1, outcome: Outcome::Unknown(fault()) },
        at(901),
    );
    let told = |state| Fact::Queried { attempt: 1, outcome: Outcome::Ok(state) };
    let payable = apply(&asked, told(OrderState::Payable), at(90_000));
    assert_eq!(name(&payable.attempts[0].state), "closing_shown");
    assert_eq!(payable.status(), Status::Expiring);
    let gone = apply(&asked, told(OrderState::NotFound), at(90_000));
    assert_eq!(name(&gone.attempts[0].state), "lapsed");
}

#[test]
fn rule_14_a_return_by_close_is_booked_also_after_a_notification_of_the_success() {
    let code = begin(&open(), Method::Alipay, at(0));
    let orphan =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(1));
    let paid =
        apply(&orphan, Fact::Noticed { attempt: 1, state: OrderState::Paid(receipt()) }, at(2));
    assert_eq!(paid.status(), Status::Paid);
    let returned = CloseState::PaidAndRefunded(receipt());
    let told =
        apply(&paid, Fact::CloseAnswered { attempt: 1, outcome: Outcome::Ok(returned) }, at(3));
    assert_eq!(told.status(), Status::Refunded);
}

#[test]
fn rule_5_an_answer_to_an_earlier_question_is_no_try_to_close() {
    let code = begin(&open(), Method::Alipay, at(0));
    let shown =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Ok(presented()) }, at(1));
    let asked = apply(&shown, Fact::SwitchAsked, at(2));
    let early = Fact::Queried { attempt: 1, outcome: Outcome::Ok(OrderState::Payable) };
    let told = apply(&asked, early, at(3));
    assert_eq!(told.due(&policy()).unwrap(), (at(2), Task::Close(1)), "it is still to be closed");
    assert_eq!(told.may_attempt(Flow::Presented, at(3)), Err(Blocked::StillShown(1)));
}

#[test]
fn rule_17_a_stuck_refund_is_not_hidden_behind_another_review() {
    let code = begin(&open(), Method::Alipay, at(0));
    let orphan =
        apply(&code, Fact::Created { attempt: 1, outcome: Outcome::Unknown(fault()) }, at(1));
    let other = begin(&orphan, Method::Alipay, at(1));
    let paid = |p: &Payment, attempt| {
        apply(p, Fact::Noticed { attempt, state: OrderState::Paid(receipt()) }, at(3))
    };
    let twice = paid(&paid(&other, 2), 1);
    let flagged = twice.flag(Review::WrongAmount, at(4)).payment;
    let sent = flagged.send_refund(1, at(4), at(7)).unwrap().unwrap().payment;
    let failed = Outcome::Ok(RefundState::Failed(fault()));
    let stuck = apply(&sent, Fact::RefundAnswered { refund: 1, outcome: failed }, at(5));
    assert_eq!(stuck.review, Some(Review::RefundStuck));
}
