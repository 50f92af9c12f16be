//! PayPal's own ways: an approval that moves no money, a capture that a question makes, no
//! close, a token before everything, and webhooks that are only hints.

use super::*;

/// Approves, so that the next question takes the money.
async fn approved(stage: &Stage, order: &Order) -> OrderRef {
    let (shown, made) = stage.create("paypal-main", order).await;
    assert_eq!(stage.query("paypal-main", &made).await, OrderState::Payable);
    stage.pay(&shown).await;
    made
}

fn captured(stage: &Stage, order: &Order) -> i64 {
    let books = stage.sandbox.books();
    books.find(order.number.as_str()).map(|entry| entry.captured_minor).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_live_and_are_given_back_at_paypal() {
    let stage = Stage::set().await;
    let order = stage.order(Method::Paypal, Device::Mobile);
    let mut made = approved(&stage, &order).await;
    assert_eq!(captured(&stage, &order), 0, "an approval moves no money");
    let hint = |notice: &Notice| notice.number == order.number && notice.kind == NoticeKind::Hint;
    stage.notice("paypal-main", hint).await;
    let OrderState::Paid(receipt) = stage.query("paypal-main", &made).await else { panic!("paid") };
    assert_eq!((receipt.captured, captured(&stage, &order)), (order.money, 1234));
    for why in [CloseWhy::Shown, CloseWhy::Orphan] {
        let answer = stage.close("paypal-main", &made, why).await;
        assert!(is_already_paid(&answer, &receipt), "{why:?}: {answer:?}");
    }
    // The same number again is the same order, with what it has come to.
    let again = stage.call("paypal-main", Operation::Create(order.clone())).await;
    assert!(matches!(again, Answer::Create(Outcome::Ok(Created::Paid(_)))), "{again:?}");
    made.reference = Some(receipt.reference);
    refund_in_parts(&stage, "paypal-main", made).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_at_paypal_is_never_captured() {
    let stage = Stage::set().await;
    let order = stage.order(Method::Paypal, Device::Qr);
    let (shown, made) = stage.create("paypal-main", &order).await;
    for _ in 0..2 {
        let answer = stage.close("paypal-main", &made, CloseWhy::Shown).await;
        assert_eq!(answer, closed(CloseState::NotTaken));
    }
    // The customer may still approve; without a capture of ours nothing comes of it.
    stage.pay(&shown).await;
    let left = OrderRef { wanted: false, ..made.clone() };
    assert_eq!(stage.query("paypal-main", &left).await, OrderState::Payable);
    let answer = stage.close("paypal-main", &left, CloseWhy::Shown).await;
    assert_eq!(answer, closed(CloseState::NotTaken));
    assert_eq!(captured(&stage, &order), 0);
    // While the payment wants it, a close that meets an approval is too late.
    let answer = stage.close("paypal-main", &made, CloseWhy::Shown).await;
    assert!(matches!(answer, Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(_))))));
    assert_eq!(captured(&stage, &order), 1234);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_is_captured_once_however_many_orders_paypal_has_of_it() {
    let stage = Stage::set().await;
    let first = stage.order(Method::Paypal, Device::Qr);
    let (payment, ordinal) = ProviderOrderNo::parse(first.number.as_str()).expect("ours");
    let second = Order { number: ProviderOrderNo::of(payment, ordinal + 1), ..first.clone() };
    let (one, two) = (approved(&stage, &first).await, approved(&stage, &second).await);
    assert!(is_paid(&stage.query("paypal-main", &one).await, &one));
    let answer = stage.call("paypal-main", Operation::Query(two.clone())).await;
    assert_eq!((answer.class(), answer.code()), (Class::Unknown, Some("DUPLICATE_INVOICE_ID")));
    let answer = stage.close("paypal-main", &two, CloseWhy::Shown).await;
    assert_eq!(answer, closed(CloseState::Closed));
    assert_eq!((captured(&stage, &first), captured(&stage, &second)), (1234, 0));
}

/// Every fault that an HTTP call can have, and whether money may move although it is played.
fn http_faults() -> Vec<(Fault, bool)> {
    use ::sandbox::faults::Effect;
    let status = |status, effect| Fault::HttpStatus { status, effect };
    let business =
        |code: &str, status| Fault::BusinessError { code: code.into(), sub_code: None, status };
    vec![
        (Fault::Refuse, false),
        (Fault::BlackHole, false),
        (Fault::Maintenance, false),
        (status(500, Effect::Before), false),
        (status(429, Effect::Before), false),
        (status(409, Effect::Before), false),
        (business("INTERNAL_SERVER_ERROR", Some(500)), false),
        (business("BRAND_NEW", None), false),
        (business("invalid_token", Some(401)), false),
        (status(503, Effect::After), true),
        (Fault::SuccessThenTimeout, true),
        (Fault::TruncatedBody, true),
        (Fault::Slow { delay_ms: 5_000 }, true),
        (Fault::Drip { byte_interval_ms: 100 }, true),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_at_paypal_hides_a_capture_or_makes_a_second() {
    let stage = Stage::set().await;
    for (fault, moves) in http_faults() {
        let order = stage.order(Method::Paypal, Device::Qr);
        let made = approved(&stage, &order).await;
        let rule = FaultRule::always(fault.clone()).at(ProviderKind::Paypal).on(Call::Capture);
        stage.sandbox.faults().add(rule).expect("a rule");
        let answer = stage.call("paypal-main", Operation::Query(made.clone())).await;
        stage.sandbox.faults().clear();
        assert_ne!(answer.class(), Class::Ok, "{fault:?}: {answer:?}");
        if moves {
            assert_eq!(answer.class(), Class::Unknown, "{fault:?}: {answer:?}");
        }
        assert_eq!(captured(&stage, &order), if moves { 1234 } else { 0 }, "{fault:?}");
        assert!(is_paid(&stage.query("paypal-main", &made).await, &made), "{fault:?}");
        assert_eq!(captured(&stage, &order), 1234, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_at_paypal_hides_a_refund_or_makes_a_second() {
    let stage = Stage::set().await;
    for (fault, moves) in http_faults() {
        let order = stage.order(Method::Paypal, Device::Qr);
        let made = approved(&stage, &order).await;
        assert!(is_paid(&stage.query("paypal-main", &made).await, &made));
        let (payment, _) = ProviderOrderNo::parse(made.number.as_str()).expect("ours");
        let refund = RefundOrder {
            order: made,
            number: ProviderOrderNo::of_refund(payment, 1),
            amount: cny(500),
            reason: "damaged".into(),
            requested_at: now(),
        };
        let rule = FaultRule::always(fault.clone()).at(ProviderKind::Paypal).on(Call::Refund);
        stage.sandbox.faults().add(rule).expect("a rule");
        let answer = stage.call("paypal-main", Operation::Refund(refund.clone())).await;
        stage.sandbox.faults().clear();
        assert_ne!(answer.class(), Class::Ok, "{fault:?}: {answer:?}");
        if moves {
            assert_eq!(answer.class(), Class::Unknown, "{fault:?}: {answer:?}");
        }
        settle_refund(&stage, "paypal-main", &refund).await;
        let books = stage.sandbox.books();
        let entry = books.find(order.number.as_str()).next().expect("an entry");
        assert_eq!((entry.refunded_minor, entry.refunds.len()), (500, 1), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_outage_is_surely_without_effect_and_passes() {
    let stage = Stage::set().await;
    let scenario = ::sandbox::Scenario::embedded("paypal-token-outage").expect("a scenario");
    let order = stage.order(Method::Paypal, Device::Qr);
    let made = approved(&stage, &order).await;
    for step in scenario.steps {
        let rule = FaultRule { id: step.id, matches: step.matches, fault: step.fault };
        stage.sandbox.faults().add(rule).expect("a rule");
    }
    let fresh = stage.order(Method::Paypal, Device::Qr);
    for op in [Operation::Query(made.clone()), Operation::Create(fresh)] {
        let answer = stage.call("paypal-main", op).await;
        let said = (answer.class(), answer.code());
        assert_eq!(said, (Class::Unavailable, Some("token")), "{answer:?}");
    }
    assert_eq!(captured(&stage, &order), 0);
    stage.sandbox.faults().clear();
    let began = Instant::now();
    loop {
        let answer = stage.call("paypal-main", Operation::Query(made.clone())).await;
        match answer {
            Answer::Query(Outcome::Ok(state)) => {
                assert!(is_paid(&state, &made), "{state:?}");
                break;
            }
            // The failure is remembered for a second.
            answer => assert_eq!(answer.class(), Class::Unavailable, "{answer:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
