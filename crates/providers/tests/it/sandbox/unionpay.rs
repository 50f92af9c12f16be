//! UnionPay's own ways: a form instead of a call, no close, transactions named by number and
//! time, and certificates inside messages.

use std::collections::BTreeMap;

use super::*;

const UP: &str = "unionpay-main";

fn form(shown: &Presentation) -> (&str, &BTreeMap<String, String>) {
    match shown {
        Presentation::Form { url, fields } => (url, fields),
        other => panic!("a form: {other:?}"),
    }
}

fn rule(fault: Fault, on: Call) -> FaultRule {
    FaultRule::always(fault).at(ProviderKind::UnionPay).on(on)
}

fn code_of(code: &str) -> Fault {
    Fault::BusinessError { code: code.into(), sub_code: None, status: None }
}

fn refund_of(made: &OrderRef, ordinal: u16, minor: i64) -> RefundOrder {
    let (payment, _) = ProviderOrderNo::parse(made.number.as_str()).expect("ours");
    RefundOrder {
        order: made.clone(),
        number: ProviderOrderNo::of_refund(payment, ordinal),
        amount: cny(minor),
        reason: "damaged".into(),
        requested_at: now(),
    }
}

async fn paid(stage: &Stage) -> OrderRef {
    let (shown, made) = stage.create(UP, &stage.order(Method::UnionPay, Device::Desktop)).await;
    stage.pay(&shown).await;
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_live_and_are_given_back_at_unionpay() {
    let stage = Stage::set().await;
    for device in [Device::Qr, Device::Desktop, Device::Mobile] {
        whole_life(&stage, UP, stage.order(Method::UnionPay, device)).await;
    }
}

/// A real browser's way: the form is posted, and the cashier's page comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_form_opens_the_cashier_as_often_as_it_is_posted() {
    let stage = Stage::set().await;
    let order = stage.order(Method::UnionPay, Device::Desktop);
    let (shown, made) = stage.create(UP, &order).await;
    let (again, _) = stage.create(UP, &order).await;
    let (url, fields) = form(&shown);
    assert_eq!((url, fields), form(&again), "the same order makes the same form");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    for _ in 0..2 {
        let post = client.post(url).body(body.clone());
        let post = post.header("content-type", "application/x-www-form-urlencoded");
        let page = post.send().await.expect("a page").text().await.expect("text");
        assert!(page.contains("/pay/unionpay/") && page.contains(order.number.as_str()), "{page}");
    }
    assert_eq!(stage.sandbox.books().find(order.number.as_str()).count(), 1);
    stage.pay(&shown).await;
    let books = stage.sandbox.books();
    assert_eq!(books.find(order.number.as_str()).next().expect("an entry").captured_minor, 1234);
    assert!(is_paid(&stage.query(UP, &made).await, &made));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_somebody_changed_opens_nothing() {
    let stage = Stage::set().await;
    let order = stage.order(Method::UnionPay, Device::Desktop);
    let (shown, _) = stage.create(UP, &order).await;
    let (url, fields) = form(&shown);
    let mut fields = fields.clone();
    fields.insert("txnAmt".into(), "1".into());
    let changed = Presentation::Form { url: url.to_owned(), fields };
    assert!(stage.sandbox.pay(&PayTarget::code(code(&changed))).await.is_err());
    assert_eq!(stage.sandbox.books().find(order.number.as_str()).count(), 0);
}

/// There is no close call: a close asks, and an unpaid order stays payable until its own end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unpaid_order_is_never_called_closed_and_lapses_by_its_own_end() {
    let stage = Stage::set().await;
    let (shown, made) = stage.create(UP, &stage.order(Method::UnionPay, Device::Desktop)).await;
    for why in [CloseWhy::Shown, CloseWhy::Orphan] {
        assert_eq!(stage.close(UP, &made, why).await, closed(CloseState::NotFound));
    }
    stage.pay(&shown).await;
    assert!(matches!(
        stage.close(UP, &made, CloseWhy::Shown).await,
        Answer::Close(Outcome::Ok(CloseState::AlreadyPaid(Some(_))))
    ));
    let mut lapsed = stage.order(Method::UnionPay, Device::Desktop);
    lapsed.expires_at = now();
    let (shown, made) = stage.create(UP, &lapsed).await;
    assert!(stage.sandbox.pay(&PayTarget::code(code(&shown))).await.is_err(), "too late");
    assert_eq!(stage.query(UP, &made).await, OrderState::NotFound);
    let capabilities = stage.driver.codec(&ChannelId::new(UP).unwrap()).unwrap();
    let closing = capabilities.capabilities().closing;
    assert_eq!(closing, providers::Closing::LapseOnly);
}

/// The issuer's refusal is one try's; the same cashier takes the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_try_is_no_end() {
    let stage = Stage::set().await;
    let (shown, made) = stage.create(UP, &stage.order(Method::UnionPay, Device::Desktop)).await;
    stage.sandbox.faults().add(rule(code_of("64"), Call::Pay)).expect("a rule");
    let tried = stage.sandbox.pay(&PayTarget::code(code(&shown))).await.expect("a try");
    assert_eq!((tried.paid, tried.declined.as_deref()), (false, Some("64")));
    stage.sandbox.faults().clear();
    assert_eq!(stage.query(UP, &made).await, OrderState::NotFound);
    assert_eq!(stage.close(UP, &made, CloseWhy::Shown).await, closed(CloseState::NotFound));
    stage.pay(&shown).await;
    assert!(is_paid(&stage.query(UP, &made).await, &made));
}

/// Number and time together name a transaction.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_time_is_another_transaction() {
    let stage = Stage::set().await;
    let made = paid(&stage).await;
    let other = OrderRef { sent_at: made.sent_at + Duration::from_secs(60), ..made.clone() };
    assert_eq!(stage.query(UP, &other).await, OrderState::NotFound);
    assert!(is_paid(&stage.query(UP, &made).await, &made));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_have_their_classes_on_the_wire() {
    let stage = Stage::set().await;
    let made = paid(&stage).await;
    for (code, class) in [
        ("02", Class::Unavailable),
        ("39", Class::Unavailable),
        ("37", Class::Unavailable),
        ("03", Class::Unknown),
        ("06", Class::Unknown),
        ("11", Class::Rejected),
        ("31", Class::Rejected),
        ("77", Class::Unknown),
    ] {
        stage.sandbox.faults().add(rule(code_of(code), Call::Query)).expect("a rule");
        let answer = stage.call(UP, Operation::Query(made.clone())).await;
        assert_eq!((answer.class(), answer.code()), (class, Some(code)));
        stage.sandbox.faults().clear();
    }
    let mut ordinal = 0;
    for (code, class) in [
        ("02", Class::Unknown),
        ("39", Class::Unavailable),
        ("03", Class::Unknown),
        ("01", Class::Unknown),
        ("10", Class::Rejected),
        ("77", Class::Unknown),
    ] {
        ordinal += 1;
        stage.sandbox.faults().add(rule(code_of(code), Call::Refund)).expect("a rule");
        let refund =
            refund_of(&OrderRef { reference: Some("1".into()), ..made.clone() }, ordinal, 5);
        let answer = stage.call(UP, Operation::Refund(refund)).await;
        assert_eq!((answer.class(), answer.code()), (class, Some(code)));
        stage.sandbox.faults().clear();
    }
}

/// The answer to a refund is lost after it took effect; the question and a repeat find one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_whose_answer_is_lost_is_made_once() {
    let stage = Stage::set().await;
    let made = paid(&stage).await;
    let lost = [
        Fault::SuccessThenTimeout,
        Fault::TruncatedBody,
        Fault::WrongSignature { probe: false },
        Fault::ExpiredCertificate,
    ];
    for (ordinal, fault) in (1..).zip(lost) {
        let refund = refund_of(&made, ordinal, 100);
        stage.sandbox.faults().add(rule(fault.clone(), Call::Refund)).expect("a rule");
        let answer = stage.call(UP, Operation::Refund(refund.clone())).await;
        assert_eq!(answer.class(), Class::Unknown, "{fault:?}: {answer:?}");
        stage.sandbox.faults().clear();
        settle_refund(&stage, UP, &refund).await;
    }
    let books = stage.sandbox.books();
    let entry = books.find(made.number.as_str()).next().expect("an entry");
    assert_eq!((entry.refunds.len(), entry.refunded_minor), (4, 400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_told_with_both_numbers() {
    let stage = Stage::set().await;
    let made = paid(&stage).await;
    let refund = refund_of(&made, 1, 500);
    settle_refund(&stage, UP, &refund).await;
    let told = stage.notice(UP, |notice| matches!(notice.kind, NoticeKind::Refund { .. })).await;
    assert_eq!(told.number, made.number);
    let wanted = NoticeKind::Refund { refund: refund.number, state: RefundState::Succeeded };
    assert_eq!(told.kind, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_for_another_merchant_is_refused() {
    let stage = Stage::set().await;
    let made = paid(&stage).await;
    stage.notice(UP, |notice| notice.number == made.number).await;
    let delivery = stage.deliveries(UP).remove(0);
    // The same platform and chain, another merchant's channel.
    let (_, ours) = stage.settings.iter().find(|(id, _)| id.as_str() == UP).expect("settings");
    let ChannelSettings::UnionPay(settings) = ours.clone() else { panic!("UnionPay's") };
    let mut settings = *settings;
    settings.mer_id = "777000000000000".into();
    let other = ChannelSettings::UnionPay(Box::new(settings));
    let codec = other.build(&ChannelId::new("other").unwrap(), "https://a.example/n").unwrap().0;
    assert_eq!(codec.notice(&delivery, now()), Err(Forged::Account("merId")));
    // Signed by the right key, read when its certificate has run out.
    let late = Timestamp::from_secs(2_400_000_000);
    let ours = stage.driver.codec(&ChannelId::new(UP).unwrap()).unwrap();
    assert!(matches!(ours.notice(&delivery, late), Err(Forged::Signature(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forgeries_of_every_kind_are_refused() {
    let stage = Stage::set().await;
    for forgery in [Forgery::WrongKey, Forgery::Tampered, Forgery::Unsigned] {
        let fault = Fault::ForgedNotification { forgery, alone: true };
        stage.sandbox.faults().add(rule(fault, Call::Notify)).expect("a rule");
        let seen = stage.deliveries(UP).len();
        paid(&stage).await;
        let began = Instant::now();
        while stage.deliveries(UP).len() == seen {
            assert!(began.elapsed() < Duration::from_secs(20), "{forgery:?}: nothing came");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let read = stage.read(UP, &stage.deliveries(UP)[seen]).await;
        assert!(matches!(read, Err(Forged::Signature(_))), "{forgery:?}: {read:?}");
        stage.sandbox.faults().clear();
    }
}

/// An undo is a transaction of its own; it is asked about and repeated like a refund.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_refund_may_be_sent_as_an_undo() {
    let stage = Stage::set().await;
    let (id, ours) = stage.settings.iter().find(|(id, _)| id.as_str() == UP).expect("settings");
    let ChannelSettings::UnionPay(settings) = ours.clone() else { panic!("UnionPay's") };
    let settings = ChannelSettings::UnionPay(Box::new(providers::UnionPaySettings {
        undo: true,
        ..*settings
    }));
    let notify = ChannelSettings::default_notify_url(&stage.inbox.url(), id);
    let (codec, limits) = settings.build(id, &notify).expect("good settings");
    stage.driver.set_channel(id.clone(), codec, &limits).expect("a client");
    let made = paid(&stage).await;
    let undo = refund_of(&made, 1, 1234);
    settle_refund(&stage, UP, &undo).await;
    settle_refund(&stage, UP, &undo).await;
    let books = stage.sandbox.books();
    let entry = books.find(made.number.as_str()).next().expect("an entry");
    assert_eq!((entry.refunds.len(), entry.refunded_minor), (1, 1234));
    let events: Vec<_> = stage.sandbox.notifications().into_iter().map(|d| d.event).collect();
    let clearing_day = |s: i64| (s + 9 * 3_600).div_euclid(86_400);
    let one_day = clearing_day(made.sent_at.as_secs()) == clearing_day(undo.requested_at.as_secs());
    let wanted = if one_day { "txnType 31" } else { "txnType 04" };
    assert!(events.iter().any(|event| event == wanted), "{events:?}");
}

/// A bank's maintenance night: one bank's customers are refused, the others pay, and the
/// platform's own closing is surely without effect on questions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_banks_night_is_not_everybodys() {
    let stage = Stage::set().await;
    let (shown, made) = stage.create(UP, &stage.order(Method::UnionPay, Device::Desktop)).await;
    // The scenario's rules, each for as long as this test wants it.
    let scenario = ::sandbox::Scenario::embedded("unionpay-night").expect("a scenario");
    let step = |id: &str| {
        let found = scenario.steps.iter().find(|s| s.id.as_deref() == Some(id)).expect("a step");
        FaultRule {
            id: found.id.clone(),
            matches: found.matches.clone(),
            fault: found.fault.clone(),
        }
    };
    stage.sandbox.faults().add(step("unionpay-icbc-closed")).expect("a rule");
    let pay = |bank: &str| PayTarget::code(code(&shown)).bank(bank);
    let tried = stage.sandbox.pay(&pay("ICBC")).await.expect("a try");
    assert_eq!((tried.paid, tried.declined.as_deref()), (false, Some("62")));
    assert_eq!(stage.query(UP, &made).await, OrderState::NotFound);
    let rule = stage.sandbox.faults().add(step("unionpay-closed")).expect("a rule");
    let answer = stage.call(UP, Operation::Query(made.clone())).await;
    assert_eq!((answer.class(), answer.code()), (Class::Unavailable, Some("02")));
    assert!(stage.sandbox.pay(&pay("CMB")).await.is_err(), "the cashier is closed");
    assert!(stage.sandbox.faults().remove(&rule));
    assert!(stage.sandbox.pay(&pay("CMB")).await.expect("a payment").paid);
    assert!(is_paid(&stage.query(UP, &made).await, &made));
}

/// The clearing day that a moment falls into, which ends at 23:00 in Beijing (15:00 UTC).
fn settle_day(at: Timestamp) -> jiff::civil::Date {
    let shifted = jiff::Timestamp::from_second(at.as_secs() + 9 * 3_600).expect("a time");
    jiff::tz::Offset::UTC.to_datetime(shifted).date()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clearing_file_tells_every_payment_and_refund_with_fee_and_settlement() {
    let stage = Stage::set().await;
    let (first, second) = (paid(&stage).await, paid(&stage).await);
    let refund = refund_of(&first, 1, 500);
    stage.call(UP, Operation::Refund(refund.clone())).await;
    let ask = Operation::QueryRefund(refund.clone());
    let done = Answer::QueryRefund(Outcome::Ok(RefundState::Succeeded));
    let until = Instant::now() + Duration::from_secs(10);
    while stage.call(UP, ask.clone()).await != done {
        assert!(Instant::now() < until, "the refund ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (channel, day) = (ChannelId::new(UP).expect("a name"), settle_day(now()));
    let statement = stage.driver.statement(&channel, day).await.expect("a file");
    assert_eq!(
        (statement.remarks.len(), statement.ignored.as_slice()),
        (0, &["readme.txt".to_owned()][..])
    );
    let line = |number: &str| {
        let found = statement.lines.iter().find(|line| line.number == number);
        found.unwrap_or_else(|| panic!("{number} is in {:?}", statement.lines))
    };
    for made in [&first, &second] {
        let line = line(made.number.as_str());
        assert_eq!((line.kind, line.amount_minor), (LineKind::Payment, 1_234));
        assert_eq!((line.fee_minor, line.net_minor), (7, 1_227));
        assert_eq!(line.settled_on, day);
    }
    let back = line(refund.number.as_str());
    assert_eq!((back.kind, back.amount_minor, back.fee_minor), (LineKind::Refund, 500, -3));
    assert_eq!(back.net_minor, -497);
    let original = back.original.as_ref().expect("a refund has one");
    assert_eq!(original.number, first.number.as_str());
    assert_eq!(original.reference, line(first.number.as_str()).reference);
    let totals = statement.totals(LineKind::Payment, Currency::CNY);
    assert_eq!((totals.count, totals.amount_minor, totals.net_minor), (2, 2_468, 2_454));

    // A line that states another amount reads well, and its sums tell on it.
    let wrong = rule(Fault::WrongLine, Call::Statement);
    let id = stage.sandbox.faults().add(wrong).expect("a rule");
    let odd = stage.driver.statement(&channel, day).await.expect("a file");
    assert_eq!((odd.remarks[0].place.line, odd.remarks[0].field), (1, "settlement amount"));
    assert_eq!(odd.lines[0].amount_minor, 1_235);
    stage.sandbox.faults().remove(&id);

    let yesterday = day.yesterday().expect("a day");
    let nothing = stage.driver.statement(&channel, yesterday).await;
    assert!(matches!(nothing, Err(StatementError::NotThere { .. })), "{nothing:?}");
    for (fault, wanted) in [
        (Fault::WrongSignature { probe: false }, "the answer does not prove itself"),
        (Fault::ExpiredCertificate, "the answer does not prove itself"),
        (code_of("11"), "the provider refused"),
        (Fault::TruncatedBody, "no whole answer came"),
    ] {
        let id = stage.sandbox.faults().add(rule(fault, Call::Statement)).expect("a rule");
        let error = stage.driver.statement(&channel, day).await.expect_err("no file");
        assert!(error.to_string().starts_with(wanted), "{error}");
        stage.sandbox.faults().remove(&id);
    }
    let alipay = ChannelId::new("alipay-main").expect("a name");
    let none = stage.driver.statement(&alipay, day).await;
    assert_eq!(none, Err(StatementError::Unsupported("alipay")));
}
