//! What a channel's provider promises decides, and nothing else does: rules 3, 5 and 14 over
//! channels with different tables.

use std::time::Duration;

use domain::*;
use proptest::prelude::*;

use crate::support::*;

const DAY: i64 = 86_400;

fn with(rules: ChannelRules) -> Policy {
    Policy { other: rules, ..Policy::default() }
}

fn not_found(proves: Proves) -> Policy {
    let not_found = NotFound { presented: proves, direct: proves };
    with(ChannelRules { not_found, ..ChannelRules::default() })
}

fn refunds(refunds: RefundLimits) -> Policy {
    with(ChannelRules { refunds, ..ChannelRules::default() })
}

fn tell(payment: &Payment, fact: Fact, now: Timestamp, policy: &Policy) -> Payment {
    payment.apply(fact, now, policy).unwrap().payment
}

fn asked(payment: &Payment, now: Timestamp, policy: &Policy) -> &'static str {
    let fact = Fact::Queried { attempt: 1, outcome: Outcome::Ok(OrderState::NotFound) };
    name(&tell(payment, fact, now, policy).attempts[0].state)
}

/// An attempt whose create call was not answered, after a close that proved nothing.
fn silent(method: Method, policy: &Policy) -> Payment {
    let begun = begin(&open(), method, at(0));
    let outcome = Outcome::Unknown(fault());
    let silent = tell(&begun, Fact::Created { attempt: 1, outcome }, at(3), policy);
    let outcome = Outcome::Ok(CloseState::NotFound);
    tell(&silent, Fact::CloseAnswered { attempt: 1, outcome }, at(4), policy)
}

#[test]
fn rule_5_not_found_ends_an_order_only_where_and_when_the_channel_says_that_it_proves() {
    let (window, end) = (at(3 + 120), at(900 + 120));
    for (proves, in_window, at_end) in [
        (Proves::Nothing, "closing_orphan", "closing_orphan"),
        (Proves::AfterEnd, "closing_orphan", "lapsed"),
        (Proves::AfterWindow, "failed", "failed"),
    ] {
        let policy = not_found(proves);
        let orphan = silent(Method::Alipay, &policy);
        assert_eq!(asked(&orphan, at(3 + 119), &policy), "closing_orphan", "{proves:?}");
        assert_eq!(asked(&orphan, window, &policy), in_window, "{proves:?}");
        assert_eq!(asked(&orphan, end, &policy), at_end, "{proves:?}");
        assert_eq!(asked(&orphan, at(400 * DAY), &policy), at_end, "{proves:?}");
    }
}

#[test]
fn rule_5_an_order_that_was_shown_had_been_made_so_the_create_window_proves_nothing_of_it() {
    let policy = not_found(Proves::AfterWindow);
    let begun = begin(&open(), Method::Alipay, at(0));
    let outcome = Outcome::Ok(presented());
    let shown = tell(&begun, Fact::Created { attempt: 1, outcome }, at(1), &policy);
    let closing = tell(&shown, Fact::SwitchAsked, at(2), &policy);
    let outcome = Outcome::Ok(CloseState::NotFound);
    let closing = tell(&closing, Fact::CloseAnswered { attempt: 1, outcome }, at(3), &policy);
    assert_eq!(asked(&closing, at(3 + 120), &policy), "closing_shown");
    assert_eq!(asked(&closing, at(900 + 120), &policy), "lapsed");
}

#[test]
fn rule_3_a_charge_is_never_freed_by_not_found_where_the_channel_does_not_say_so() {
    for (proves, in_window) in [
        (Proves::Nothing, "unknown"),
        (Proves::AfterEnd, "unknown"),
        (Proves::AfterWindow, "failed"),
    ] {
        let policy = not_found(proves);
        let charge = silent(Method::Card, &policy);
        assert_eq!(asked(&charge, at(3 + 119), &policy), "unknown", "{proves:?}");
        let freed = asked(&charge, at(3 + 120), &policy);
        assert_eq!(freed, in_window, "{proves:?}");
    }
    let policy = not_found(Proves::Nothing);
    let charge = silent(Method::Card, &policy);
    let fact = Fact::Queried { attempt: 1, outcome: Outcome::Ok(OrderState::NotFound) };
    let later = tell(&charge, fact, at(300), &policy);
    let blocked = later.may_attempt(Flow::Presented, at(301)).unwrap_err();
    assert_eq!(blocked, Blocked::Unsettled(1), "and it goes on blocking");
}

fn paid_at(secs: i64, policy: &Policy) -> Payment {
    let card = begin(&open(), Method::Card, at(0));
    let receipt = Receipt { paid_at: Some(at(secs)), ..receipt() };
    let outcome = Outcome::Ok(Created::Paid(receipt));
    tell(&card, Fact::Created { attempt: 1, outcome }, at(1), policy)
}

fn limit(refused: RefundRefused) -> RefundLimit {
    match refused {
        RefundRefused::Beyond { channel, limit } if channel.as_str() == "stripe" => limit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rule_14_a_refund_that_the_provider_would_not_take_is_refused_by_its_limit() {
    let within = Some(Duration::from_secs(90 * 86_400));
    let policy = refunds(RefundLimits { within, least_minor: 5, ..RefundLimits::default() });
    let paid = paid_at(1, &policy);
    let ask = |p: &Payment, minor, now| p.ask_refund(cny(minor), None, now, &policy);
    assert!(ask(&paid, 5, at(1 + 90 * DAY)).is_ok(), "the last moment");
    let late = ask(&paid, 5, at(2 + 90 * DAY)).unwrap_err();
    let text = late.to_string();
    assert!(text.starts_with("the channel stripe takes refunds for 90 days"), "{text}");
    assert!(text.ends_with("and note it with the order"), "the way out: {text}");
    assert_eq!(limit(late), RefundLimit::Age { days_max: 90, days: 90 });
    let small = ask(&paid, 4, at(2)).unwrap_err();
    assert_eq!(limit(small), RefundLimit::Least { least_minor: 5 });

    let policy = refunds(RefundLimits { partial: false, ..RefundLimits::default() });
    let paid = paid_at(1, &policy);
    let part = paid.ask_refund(cny(99), None, at(2), &policy).unwrap_err();
    assert_eq!(limit(part), RefundLimit::Whole { captured_minor: 100 });
    assert!(paid.ask_refund(cny(100), None, at(2), &policy).is_ok());
}

#[test]
fn rule_14_refunds_are_counted_as_the_provider_counts_them_and_keep_their_distance() {
    let apart = Duration::from_secs(60);
    let policy = refunds(RefundLimits { count_max: Some(2), apart, ..RefundLimits::default() });
    let paid = paid_at(1, &policy);
    let one = paid.ask_refund(cny(10), None, at(2), &policy).unwrap().payment;
    assert!(one.send_refund(1, at(2), at(9)).unwrap().is_some(), "the first goes at once");
    let two = one.ask_refund(cny(10), None, at(12), &policy).unwrap().payment;
    assert!(two.send_refund(2, at(12), at(20)).unwrap().is_none(), "too soon after the first");
    let second = two.refunds[1].progress.clone();
    let RefundProgress::Requested { check } = second else { panic!("{second:?}") };
    assert_eq!(check.at, at(62));
    assert!(two.send_refund(2, at(62), at(70)).unwrap().is_some());
    let third = two.ask_refund(cny(10), None, at(200), &policy).unwrap_err();
    assert_eq!(limit(third), RefundLimit::Count { count_max: 2 });

    let sent = one.send_refund(1, at(2), at(9)).unwrap().unwrap().payment;
    let outcome = Outcome::Rejected(fault());
    let failed = tell(&sent, Fact::RefundAnswered { refund: 1, outcome }, at(3), &policy);
    let again = failed.ask_refund(cny(10), None, at(4), &policy).unwrap().payment;
    assert!(again.send_refund(2, at(4), at(9)).unwrap().is_some(), "a failed one does not count");
}

#[test]
fn rule_2_an_owed_refund_beyond_the_limits_goes_to_a_person_at_once() {
    let within = Some(Duration::from_secs(30 * 86_400));
    let policy = refunds(RefundLimits { within, ..RefundLimits::default() });
    let begun = begin(&open(), Method::Alipay, at(0));
    let outcome = Outcome::Unknown(fault());
    let orphan = tell(&begun, Fact::Created { attempt: 1, outcome }, at(3), &policy);
    let second = begin(&orphan, Method::Alipay, at(4));
    let outcome = Outcome::Ok(presented());
    let second = tell(&second, Fact::Created { attempt: 2, outcome }, at(5), &policy);
    let paid = OrderState::Paid(Receipt { paid_at: Some(at(6)), ..receipt() });
    let state = paid.clone();
    let done = tell(&second, Fact::Noticed { attempt: 2, state }, at(6), &policy);
    // The first was paid as well, and nobody hears of it for a month and a day.
    let late = at(7 + 31 * DAY);
    let fact = Fact::Noticed { attempt: 1, state: paid };
    let step = done.apply(fact, late, &policy).unwrap();
    let refund = &step.payment.refunds[0];
    assert_eq!(refund.reason, RefundReason::Duplicate);
    let RefundProgress::Failed { fault, .. } = &refund.progress else { panic!("{refund:?}") };
    assert_eq!(fault.code, "refund_too_late");
    assert!(fault.detail.contains("the channel alipay takes refunds for 30 days"), "{fault:?}");
    assert_eq!(step.payment.review, Some(Review::RefundStuck));
    let told = step.events.iter().any(
        |e| matches!(&e.kind, EventKind::RefundFailed { code, .. } if code == "refund_too_late"),
    );
    assert!(told, "{:?}", step.events);
    assert_eq!(step.payment.due(&policy), None, "no call that must fail is ever made");
    assert_eq!(step.payment.status(), Status::Paid, "paid stays paid");
}

#[test]
fn rule_17_what_only_a_person_can_settle_reaches_one_at_once_and_clears_by_itself() {
    let person_codes = vec!["74".to_owned()];
    let policy = with(ChannelRules { person_codes, ..ChannelRules::default() });
    let begun = begin(&open(), Method::Alipay, at(0));
    let outcome = Outcome::Ok(presented());
    let shown = tell(&begun, Fact::Created { attempt: 1, outcome }, at(1), &policy);
    let queried = |code: &str| Fact::Queried {
        attempt: 1,
        outcome: Outcome::Unknown(Fault::new(code, "the provider says so")),
    };
    assert_eq!(tell(&shown, queried("06"), at(6), &policy).review, None, "an ordinary doubt");
    let stuck = tell(&shown, queried("74"), at(6), &policy);
    assert_eq!(stuck.review, Some(Review::StillUnknown));
    assert_eq!(stuck.status(), Status::RequiresCustomer, "not paid, and not closed either");
    assert!(matches!(stuck.due(&policy), Some((_, Task::Query(1)))), "and asked about");
    let again = stuck.apply(queried("74"), at(40), &policy).unwrap();
    assert!(again.events.is_empty(), "one call for a person is enough: {:?}", again.events);
    let outcome = Outcome::Ok(OrderState::Paid(receipt()));
    let paid = tell(&stuck, Fact::Queried { attempt: 1, outcome }, at(50), &policy);
    assert_eq!((paid.status(), paid.review), (Status::Paid, None));
    let closing = tell(&shown, Fact::SwitchAsked, at(2), &policy);
    let outcome = Outcome::Unknown(Fault::new("74", "debited"));
    let fact = Fact::CloseAnswered { attempt: 1, outcome };
    assert_eq!(tell(&closing, fact, at(3), &policy).review, Some(Review::StillUnknown));
}

proptest! {
    /// Rule 14 over any table: whatever a provider allows, no more than the capture goes back,
    /// and no table ever lets pass what the rule itself refuses.
    #[test]
    fn rule_14_holds_under_any_limits(
        partial: bool,
        count_max in proptest::option::of(0_u16..4),
        days in proptest::option::of(0_u64..3),
        least_minor in 1_i64..40,
        apart_s in 0_u64..100,
        asks in proptest::collection::vec((1_i64..120, 0_i64..4 * DAY), 1..8),
    ) {
        let limits = RefundLimits {
            partial,
            count_max,
            within: days.map(|days| Duration::from_secs(days * 86_400)),
            least_minor,
            apart: Duration::from_secs(apart_s),
        };
        let policy = refunds(limits);
        let mut payment = paid_at(1, &policy);
        let mut now = at(2);
        for (minor, later) in asks {
            now = now + Duration::from_secs(later.unsigned_abs());
            let Ok(step) = payment.ask_refund(cny(minor), None, now, &policy) else { continue };
            payment = step.payment;
            let age = now.since(at(1));
            prop_assert!(limits.within.is_none_or(|within| age <= within));
            prop_assert!(minor >= least_minor && (partial || minor == 100));
        }
        let total: i64 = payment.refunds.iter().map(|r| r.amount.minor()).sum();
        prop_assert!(total <= 100);
        prop_assert!(count_max.is_none_or(|most| payment.refunds.len() <= usize::from(most)));
    }
}
