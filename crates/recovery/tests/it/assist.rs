//! The desk: what staff do for one customer, beside providers that fail, other staff, and
//! processes that die at any commit.

use std::collections::BTreeMap;

use domain::*;
use engine::EngineError;
use proptest::prelude::*;
use recovery::assist::{AssistError, Limits, NewCase, PayBy};
use store::{AssistBooks, Case, CaseEnd, CaseState, Opener, Store};

use crate::office::{Office, Weather, cash, word};
use crate::town::{Trouble, shop};

const DAY_LONG: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);
const ABOVE: i64 = 150_000;
const BELOW: i64 = 50_000;

fn offline_attempts(payment: &Payment) -> usize {
    payment.attempts.iter().filter(|a| a.method == Method::Offline).count()
}

fn is_wrong_state<T: std::fmt::Debug>(result: Result<T, AssistError>, is: &str) {
    match result {
        Err(AssistError::WrongState { is: found, .. }) => assert!(found.contains(is), "{found}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn one_case_a_payment_however_often_it_is_asked_for() {
    let mut office = Office::new(Limits::default());
    let payment = office.create(BELOW).await;
    let early = office.desk.ask(payment.id).await.unwrap_err();
    assert_eq!(early, AssistError::NotOffered, "all is well");
    let case = office.open(&payment).await;
    let (again, fresh) = office.desk.ask(payment.id).await.unwrap();
    assert_eq!((again.id, fresh), (case.id.clone(), engine::Fresh::Replayed));
    let stranger = NewCase {
        payment: payment.id,
        merchant: Some(MerchantId::new("other").unwrap()),
        opener: Opener::Merchant,
        word: word("other"),
    };
    let refused = office.desk.open(&stranger).await.unwrap_err();
    assert_eq!(refused, AssistError::Engine(EngineError::NotFound));
    office.desk.close(&case.id, &word("li")).await.unwrap();
    assert_ne!(office.open(&payment).await.id, case.id, "asked after the end, it is a new one");
}

#[tokio::test]
async fn the_ladder_opens_cases_of_vips_whom_nothing_serves_once() {
    let mut office = Office::new(Limits::default());
    office.weather(Weather::Down);
    let vip = office.create(BELOW).await;
    let mut plain = office.next_order(BELOW);
    plain.terms.tier = Tier::Standard;
    office.engine.create(plain, None).await.unwrap();
    office.desk.sweep().await.unwrap();
    assert_eq!(office.cases().await, [], "the ladder is not that far down");
    let now = office.now();
    let down = Descent {
        reach: Reach::All,
        level: Level::Assisted,
        mover: Mover::Operator("li".into()),
        reason: "everything is down".into(),
        since: now,
        until: now + std::time::Duration::from_secs(3_600),
    };
    office.engine.move_level(down).await.unwrap();
    for _ in 0..2 {
        office.desk.sweep().await.unwrap();
    }
    let cases = office.cases().await;
    let [case] = cases.as_slice() else { panic!("{cases:#?}") };
    assert_eq!(
        (case.payment, case.opener, case.opened_by.as_str()),
        (vip.id, Opener::Ladder, "evergate")
    );
    office.desk.close(&case.id, &word("li")).await.unwrap();
    office.desk.sweep().await.unwrap();
    assert_eq!(office.cases().await.len(), 1, "what staff closed stays closed");
    let (asked, fresh) = office.desk.ask(vip.id).await.unwrap();
    assert_eq!((asked.opener, fresh), (Opener::Customer, engine::Fresh::New));
}

#[tokio::test]
async fn the_desk_is_for_vips_unless_it_is_for_everyone() {
    let mut office = Office::new(Limits::default());
    let mut wish = office.next_order(BELOW);
    wish.terms.tier = Tier::Standard;
    let payment = office.engine.create(wish, None).await.unwrap().0;
    assert_eq!(office.try_open(payment.id).await.unwrap_err(), AssistError::NotVip);
    office.desk.set_limits(Limits { everyone: true, ..Limits::default() });
    office.try_open(payment.id).await.unwrap();
}

#[tokio::test]
async fn a_case_has_one_taker_until_the_time_is_over() {
    let mut office = Office::new(Limits::default());
    let payment = office.create(BELOW).await;
    let id = office.open(&payment).await.id;
    let desk = office.desk.clone();
    is_wrong_state(desk.offline(&id, &cash("R-1", BELOW), &word("li")).await, "open");
    desk.take(&id, &word("li")).await.unwrap();
    is_wrong_state(desk.take(&id, &word("wang")).await, "taken by li");
    is_wrong_state(desk.give_back(&id, &word("wang")).await, "taken by li");
    is_wrong_state(desk.offline(&id, &cash("R-1", BELOW), &word("wang")).await, "taken by li");
    office.wind(14 * 60);
    desk.take(&id, &word("li")).await.unwrap();
    office.wind(14 * 60);
    is_wrong_state(desk.take(&id, &word("wang")).await, "taken by li");
    office.wind(60);
    desk.take(&id, &word("wang")).await.unwrap();
    let lines = office.store.assist_history(&id).await.unwrap();
    let told: Vec<String> = lines.iter().map(|l| format!("{} {}", l.by, l.action)).collect();
    assert_eq!(told, ["li opened", "li taken", "evergate given back", "wang taken"]);
}

#[tokio::test]
async fn cash_below_the_amount_is_recorded_at_once_and_once() {
    let mut office = Office::new(Limits::default());
    office.weather(Weather::Down);
    let payment = office.create(BELOW).await;
    assert_eq!(payment.status(), Status::Unavailable);
    let id = office.open(&payment).await.id;
    office.desk.take(&id, &word("li")).await.unwrap();
    for _ in 0..2 {
        let case = office.desk.offline(&id, &cash("R-1", BELOW), &word("li")).await.unwrap();
        let CaseState::Closed { end: CaseEnd::Offline { agreed: None, .. }, .. } = case.state
        else {
            panic!("{case:?}")
        };
    }
    let paid = office.reload(payment.id).await;
    assert_eq!((paid.status(), offline_attempts(&paid)), (Status::Paid, 1));
    let (_, tally) = office.store.assist_tally("li CNY").await.unwrap().unwrap();
    assert_eq!(tally.sums.iter().map(|s| s.minor).sum::<i64>(), BELOW, "counted once");
    let audit = office.store.audit(9).await.unwrap();
    assert!(
        audit.iter().any(|line| line.action.contains("500.00 CNY taken: cash R-1")),
        "{audit:?}"
    );
}

#[tokio::test]
async fn rule_12_above_the_amount_a_second_person_agrees() {
    let mut office = Office::new(Limits::default());
    office.weather(Weather::Down);
    let payment = office.create(ABOVE).await;
    let id = office.open(&payment).await.id;
    let desk = office.desk.clone();
    desk.take(&id, &word("li")).await.unwrap();
    let case = desk.offline(&id, &cash("R-1", ABOVE), &word("li")).await.unwrap();
    assert_eq!(case.state.name(), "proposed");
    assert_eq!(office.reload(payment.id).await.status(), Status::Unavailable);
    let same = desk.approve(&id, &word("li")).await.unwrap_err();
    assert_eq!(same, AssistError::SamePerson("li".into()));
    is_wrong_state(desk.take(&id, &word("wang")).await, "proposed by li");
    desk.approve(&id, &word("wang")).await.unwrap();
    is_wrong_state(desk.approve(&id, &word("chen")).await, "closed");
    let paid = office.reload(payment.id).await;
    assert_eq!((paid.status(), offline_attempts(&paid)), (Status::Paid, 1));
    assert_eq!(paid.attempts.last().unwrap().choice.reason, "cash, taken by li, agreed by wang");
}

#[tokio::test]
async fn what_a_second_person_refuses_is_its_takers_again_and_counts_for_nothing() {
    let mut office = Office::new(Limits::default());
    let payment = office.create(ABOVE).await;
    let id = office.open(&payment).await.id;
    let desk = office.desk.clone();
    desk.take(&id, &word("li")).await.unwrap();
    desk.offline(&id, &cash("R-1", ABOVE), &word("li")).await.unwrap();
    let case = desk.reject(&id, &word("wang")).await.unwrap();
    assert!(matches!(case.state, CaseState::Taken { ref by, .. } if by == "li"));
    let (_, tally) = office.store.assist_tally("li CNY").await.unwrap().unwrap();
    assert!(tally.sums.is_empty());
    is_wrong_state(desk.reject(&id, &word("wang")).await, "taken");
    desk.offline(&id, &cash("R-1", ABOVE), &word("li")).await.unwrap();
    desk.approve(&id, &word("wang")).await.unwrap();
}

#[tokio::test]
async fn money_beyond_a_limit_is_refused_and_one_slip_pays_one_payment() {
    let daily_minor = BTreeMap::from([(Currency::CNY, 80_000)]);
    let mut office = Office::new(Limits { daily_minor, ..Limits::default() });
    let (first, second, third) =
        (office.create(BELOW).await, office.create(20_000).await, office.create(BELOW).await);
    let desk = office.desk.clone();
    let mut ids = Vec::new();
    for payment in [&first, &second, &third] {
        ids.push(office.open(payment).await.id);
        desk.take(ids.last().unwrap(), &word("li")).await.unwrap();
    }
    desk.offline(&ids[0], &cash("R-1", BELOW), &word("li")).await.unwrap();
    let twice = desk.offline(&ids[1], &cash("R-1", 20_000), &word("li")).await.unwrap_err();
    assert_eq!(twice, AssistError::ReferenceTaken(first.id));
    let less = desk.offline(&ids[1], &cash("R-2", 19_999), &word("li")).await.unwrap_err();
    assert!(less.to_string().contains("the payment is over 200.00 CNY, not 199.99 CNY"), "{less}");
    let beyond = desk.offline(&ids[2], &cash("R-3", BELOW), &word("li")).await.unwrap_err();
    assert!(matches!(beyond, AssistError::DailyLimit { .. }), "{beyond}");
    desk.offline(&ids[1], &cash("R-2", 20_000), &word("li")).await.unwrap();
    // A day later the first does not count any more, nor does the payment live.
    office.wind(5 * 3_600);
    desk.give_back(&ids[2], &word("li")).await.unwrap();
    desk.take(&ids[2], &word("wang")).await.unwrap();
    desk.offline(&ids[2], &cash("R-3", BELOW), &word("wang")).await.unwrap();
}

#[tokio::test]
async fn staff_send_the_payment_to_a_channel_and_the_case_ends_when_it_is_paid() {
    let mut office = Office::new(Limits::default());
    let payment = office.create(BELOW).await;
    let id = office.open(&payment).await.id;
    office.desk.take(&id, &word("li")).await.unwrap();
    let seen = office.desk.see(&id).await.unwrap();
    let ways: Vec<_> = seen.ways.iter().map(|w| (w.channel.as_str(), w.named)).collect();
    assert_eq!(ways, [("alipay-main", true), ("wechat-main", false)]);
    let by = PayBy { method: Some(Method::WechatPay), ..PayBy::default() };
    office.desk.pay_by(&id, &by, &word("li")).await.unwrap();
    let sent = office.reload(payment.id).await;
    assert_eq!(sent.presented().unwrap().channel.as_str(), "wechat-main");
    office.desk.set_limits(Limits { other_methods: false, ..Limits::default() });
    let refused = office.desk.pay_by(&id, &by, &word("li")).await.unwrap_err();
    assert!(matches!(refused, AssistError::Engine(EngineError::NoChannel { .. })));

    assert!(office.provider.pay(&sent.presented().unwrap().number));
    office.wind(120);
    office.work().await;
    office.desk.sweep().await.unwrap();
    let case = office.desk.see(&id).await.unwrap().case;
    let CaseState::Closed { end: CaseEnd::Paid { channel, hand_back: None, .. }, by, .. } =
        case.state
    else {
        panic!("{case:?}")
    };
    assert_eq!((channel.as_str(), by.as_str()), ("wechat-main", "evergate"));
}

#[tokio::test]
async fn rule_2_a_customer_who_paid_meanwhile_gets_the_cash_back() {
    let mut office = Office::new(Limits::default());
    let payment = office.create(ABOVE).await;
    let id = office.open(&payment).await.id;
    office.desk.take(&id, &word("li")).await.unwrap();
    office.desk.offline(&id, &cash("R-1", ABOVE), &word("li")).await.unwrap();
    // The second person agrees to it just when the customer has paid by the code that is shown.
    assert!(office.provider.pay(&payment.presented().unwrap().number));
    let case = office.desk.approve(&id, &word("wang")).await.unwrap();
    let CaseState::Closed { end, .. } = &case.state else { panic!("{case:?}") };
    assert_eq!(end.hand_back().map(|taken| taken.reference.as_str()), Some("R-1"));
    let lines = office.store.assist_history(&id).await.unwrap();
    let last = &lines.last().unwrap().reason;
    assert!(last.contains("hand back 1500.00 CNY that li took (cash R-1)"), "{last}");
    assert_eq!(offline_attempts(&office.reload(payment.id).await), 0);
    let (_, tally) = office.store.assist_tally("li CNY").await.unwrap().unwrap();
    assert!(tally.sums.is_empty());
}

#[tokio::test]
async fn rule_3_no_cash_is_taken_beside_a_charge_that_may_have_happened() {
    let mut office = Office::new(Limits::default());
    let mut wish = office.next_order(BELOW);
    wish.terms.methods = vec![Method::Card];
    wish.terms.token = Some("pm_1".into());
    let direct = engine::Channel {
        capabilities: providers::Capabilities::plain(
            "office",
            vec![(Method::Card, Flow::Direct)],
            &[Currency::CNY],
        ),
        ..office.engine.options().channels[0].clone()
    };
    office.engine.set_options(engine::Options::new(vec![direct]));
    office.weather(Weather::Silent);
    let payment = office.engine.create(wish, None).await.unwrap().0;
    assert_eq!(payment.status(), Status::Confirming);
    let id = office.open(&payment).await.id;
    office.desk.take(&id, &word("li")).await.unwrap();
    let refused = office.desk.offline(&id, &cash("R-1", BELOW), &word("li")).await.unwrap_err();
    let unsettled = OfflineRefused::Blocked(Blocked::Unsettled(1));
    assert_eq!(refused, AssistError::Engine(EngineError::OfflineRefused(unsettled)));
    assert_eq!(office.desk.see(&id).await.unwrap().case.state.name(), "taken");
}

#[tokio::test]
async fn a_case_ends_with_its_payment() {
    let mut office = Office::new(Limits::default());
    let (expires, cancelled) = (office.create(BELOW).await, office.create(BELOW).await);
    let (a, b) = (office.open(&expires).await.id, office.open(&cancelled).await.id);
    office.engine.cancel(&shop(), cancelled.id).await.unwrap();
    office.wind(7 * 3_600);
    office.work().await;
    assert_eq!(office.desk.sweep().await.unwrap(), 2);
    for (id, wanted) in [(a, Status::Expired), (b, Status::Cancelled)] {
        let case = office.desk.see(&id).await.unwrap().case;
        let CaseState::Closed { end: CaseEnd::Ended { status, .. }, .. } = case.state else {
            panic!("{case:?}")
        };
        assert_eq!(status, wanted);
    }
    assert_eq!(office.desk.sweep().await.unwrap(), 0);
    let ended = office.try_open(expires.id).await.unwrap_err();
    assert_eq!(ended, AssistError::Ended(expires.id, "expired"));
}

#[tokio::test]
async fn rule_10_a_held_order_that_staff_take_cash_for_ends_as_paid() {
    let mut office = Office::new(Limits::default());
    office.weather(Weather::Down);
    let payment = office.create(BELOW).await;
    office.engine.hold(&shop(), payment.id, None, HoldBy::Customer).await.unwrap();
    let id = office.open(&payment).await.id;
    office.desk.take(&id, &word("li")).await.unwrap();
    office.desk.offline(&id, &cash("R-1", BELOW), &word("li")).await.unwrap();
    let paid = office.reload(payment.id).await;
    assert_eq!(paid.hold.unwrap().ended, Some(HoldEnd::Paid));
}

#[tokio::test]
async fn rule_14_a_refund_of_cash_is_said_to_be_done_by_staff() {
    let mut office = Office::new(Limits::default());
    let payment = office.create(BELOW).await;
    let id = office.open(&payment).await.id;
    office.desk.take(&id, &word("li")).await.unwrap();
    office.desk.offline(&id, &cash("R-1", BELOW), &word("li")).await.unwrap();
    office.engine.refund(&shop(), payment.id, None, None, None).await.unwrap();
    assert_eq!(office.reload(payment.id).await.review, Some(Review::RefundByHand));
    for _ in 0..2 {
        let back = office.desk.refunded(payment.id, 1, Ok(()), &word("wang")).await.unwrap();
        assert_eq!((back.status(), back.review), (Status::Refunded, None));
    }
    let lines = office.store.assist_history(&id).await.unwrap();
    let told = lines.iter().filter(|line| line.action == "refund 1 given back").count();
    assert_eq!(told, 1);
    let none = office.desk.refunded(payment.id, 2, Ok(()), &word("wang")).await.unwrap_err();
    assert_eq!(none, AssistError::Engine(EngineError::NotFound));
}

const TROUBLES: [Trouble; 5] = [
    Trouble::Failed,
    Trouble::UnknownDone,
    Trouble::UnknownNot,
    Trouble::DiesBefore,
    Trouble::DiesAfter,
];

/// The whole way, as staff go it: a provider that took the order and never answered, a VIP at
/// the desk, cash above the amount, a second person; at the end the provider says that its order
/// was paid as well. `press` is pressed again until it is done, as people do.
async fn the_whole_way(office: &mut Office) -> PaymentId {
    office.weather(Weather::Silent);
    let wish = office.next_order(ABOVE);
    let mut payment = None;
    while payment.is_none() {
        let wish = wish.clone();
        let made = office.until_death(async |o: &Office| o.engine.create(wish, None).await).await;
        payment = made.and_then(Result::ok).map(|(payment, _)| payment.id);
    }
    let payment = payment.unwrap();
    let mut id = String::new();
    for step in 0..4 {
        for press in 0.. {
            assert!(press < 4, "step {step} is never done");
            let case = id.clone();
            let done = office
                .until_death(async |o: &Office| match step {
                    0 => o.try_open(payment).await,
                    1 => o.desk.take(&case, &word("li")).await,
                    2 => o.desk.offline(&case, &cash("R-1", ABOVE), &word("li")).await,
                    _ => o.desk.approve(&case, &word("wang")).await,
                })
                .await;
            match done {
                Some(Ok(case)) => {
                    id = case.id;
                    break;
                }
                // It was done before the answer was lost.
                Some(Err(AssistError::WrongState { is, .. }))
                    if step == 3 && is.contains("paid_offline") =>
                {
                    break;
                }
                // A call that was cut off is settled by the workers.
                _ => {
                    office.wind(60);
                    office.until_death(async |o: &Office| o.work().await).await;
                }
            }
        }
    }
    office.until_death(async |o: &Office| o.desk.sweep().await).await;
    payment
}

/// Every commit of the way meets every trouble, one at a time (rules 2, 12, 16).
#[tokio::test]
async fn the_whole_way_with_a_death_at_each_commit_pays_once() {
    let mut calm = Office::new(Limits::default());
    the_whole_way(&mut calm).await;
    let commits = usize::try_from(calm.commits()).unwrap();
    assert!(commits >= 7, "{commits}: every step of the way commits");
    for at in 0..commits {
        for trouble in TROUBLES {
            let mut office = Office::new(Limits::default());
            office.trouble(at, trouble);
            let payment = the_whole_way(&mut office).await;
            assert!(office.is_calm(), "commit {at} was never reached");
            check_the_way(&mut office, payment, &format!("{trouble:?} at commit {at}")).await;
        }
    }
}

async fn check_the_way(office: &mut Office, payment: PaymentId, name: &str) {
    let paid = office.reload(payment).await;
    assert_eq!((paid.status(), offline_attempts(&paid)), (Status::Paid, 1), "{name}");
    let cases = office.cases().await;
    let [case] = cases.as_slice() else { panic!("{name}: {cases:#?}") };
    let CaseState::Closed { end: CaseEnd::Offline { agreed, .. }, .. } = &case.state else {
        panic!("{name}: {case:?}")
    };
    assert_eq!(agreed.as_deref(), Some("wang"), "{name}");
    let (_, tally) = office.store.assist_tally("li CNY").await.unwrap().unwrap();
    assert_eq!(tally.sums.len(), 1, "{name}");
    // What the silent provider took is paid by somebody, late.
    office.weather(Weather::Fine);
    let orders = paid.attempts.iter().filter(|a| a.method != Method::Offline);
    let late = orders.filter(|a| office.provider.pay(&a.number)).count();
    for _ in 0..8 {
        office.wind(1_200);
        office.work().await;
    }
    let end = office.reload(payment).await;
    assert_eq!(end.status(), Status::Paid, "{name}");
    assert_eq!(end.refunds.len(), late, "{name}: {end:#?}");
    assert!(end.refunds.iter().all(|r| r.reason == RefundReason::Duplicate), "{name}");
    assert_eq!(office.provider.holds(), 0, "{name}: rule 2");
}

/// One thing that happens. Numbers pick among what there is.
#[derive(Clone, Debug)]
enum Act {
    Order { minor: i64 },
    Weather(Weather),
    Pay { which: usize },
    Open { which: usize },
    Take { which: usize, by: usize },
    GiveBack { which: usize, by: usize },
    Send { which: usize, by: usize },
    Cash { which: usize, by: usize, slip: usize },
    Approve { which: usize, by: usize },
    Reject { which: usize, by: usize },
    Close { which: usize, by: usize },
    Cancel { which: usize },
    Refund { which: usize },
    GiveMoneyBack { which: usize, by: usize },
    Wind { seconds: i64 },
    Work,
    Sweep,
    Trouble(usize, Trouble),
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let which = || 0..4_usize;
    let by = || 0..3_usize;
    let trouble = proptest::sample::select(TROUBLES.to_vec());
    let weather = prop_oneof![Just(Weather::Fine), Just(Weather::Down), Just(Weather::Silent)];
    let act = prop_oneof![
        3 => prop_oneof![Just(BELOW), Just(ABOVE)].prop_map(|minor| Act::Order { minor }),
        2 => weather.prop_map(Act::Weather),
        2 => which().prop_map(|which| Act::Pay { which }),
        4 => which().prop_map(|which| Act::Open { which }),
        5 => (which(), by()).prop_map(|(which, by)| Act::Take { which, by }),
        1 => (which(), by()).prop_map(|(which, by)| Act::GiveBack { which, by }),
        2 => (which(), by()).prop_map(|(which, by)| Act::Send { which, by }),
        6 => (which(), by(), 0..3_usize)
            .prop_map(|(which, by, slip)| Act::Cash { which, by, slip }),
        4 => (which(), by()).prop_map(|(which, by)| Act::Approve { which, by }),
        1 => (which(), by()).prop_map(|(which, by)| Act::Reject { which, by }),
        1 => (which(), by()).prop_map(|(which, by)| Act::Close { which, by }),
        1 => which().prop_map(|which| Act::Cancel { which }),
        1 => which().prop_map(|which| Act::Refund { which }),
        1 => (which(), by()).prop_map(|(which, by)| Act::GiveMoneyBack { which, by }),
        2 => prop_oneof![Just(60), Just(1_000), Just(4 * 3_600)]
            .prop_map(|seconds| Act::Wind { seconds }),
        2 => Just(Act::Work),
        2 => Just(Act::Sweep),
        3 => (0..3_usize, trouble).prop_map(|(later, trouble)| Act::Trouble(later, trouble)),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 5..60)
}

const PEOPLE: [&str; 3] = ["li", "wang", "chen"];

fn pick<T: Clone>(all: &[T], n: usize) -> Option<T> {
    all.get(n % all.len().max(1)).cloned()
}

async fn happen(office: &mut Office, act: &Act) {
    match act {
        Act::Order { minor } => {
            let wish = office.next_order(*minor);
            office
                .until_death(async |o: &Office| o.engine.create(wish, None).await.map(drop))
                .await;
        }
        Act::Weather(weather) => office.weather(*weather),
        Act::Pay { which } => {
            let Some(payment) = pick(&office.payments().await, *which) else { return };
            for attempt in &payment.attempts {
                office.provider.pay(&attempt.number);
            }
        }
        Act::Open { which } => {
            let Some(payment) = pick(&office.payments().await, *which) else { return };
            office.until_death(async |o: &Office| o.try_open(payment.id).await.map(drop)).await;
        }
        Act::Cancel { which } => {
            let Some(payment) = pick(&office.payments().await, *which) else { return };
            office
                .until_death(async |o: &Office| {
                    o.engine.cancel(&shop(), payment.id).await.map(drop)
                })
                .await;
        }
        Act::Refund { which } => {
            let Some(payment) = pick(&office.payments().await, *which) else { return };
            office
                .until_death(async |o: &Office| {
                    o.engine.refund(&shop(), payment.id, None, None, None).await.map(drop)
                })
                .await;
        }
        Act::GiveMoneyBack { which, by } => {
            let Some(payment) = pick(&office.payments().await, *which) else { return };
            let word = word(PEOPLE[*by]);
            office
                .until_death(async |o: &Office| {
                    o.desk.refunded(payment.id, 1, Ok(()), &word).await.map(drop)
                })
                .await;
        }
        Act::Wind { seconds } => office.wind(*seconds),
        Act::Work => drop(office.until_death(async |o: &Office| o.work().await).await),
        Act::Sweep => drop(office.until_death(async |o: &Office| o.desk.sweep().await).await),
        Act::Trouble(later, trouble) => office.trouble(*later, *trouble),
        Act::Restart => office.restart(),
        staff => by_staff(office, staff).await,
    }
}

async fn by_staff(office: &mut Office, act: &Act) {
    let (Act::Take { which, by }
    | Act::GiveBack { which, by }
    | Act::Send { which, by }
    | Act::Cash { which, by, .. }
    | Act::Approve { which, by }
    | Act::Reject { which, by }
    | Act::Close { which, by }) = act
    else {
        return;
    };
    let open = office.cases().await.into_iter().filter(|c| !c.is_closed()).collect::<Vec<_>>();
    let Some(case) = pick(&open, *which) else { return };
    let (id, word) = (&case.id, word(PEOPLE[*by]));
    let minor = case.money.minor();
    let done = office
        .until_death(async |o: &Office| match act {
            Act::Take { .. } => o.desk.take(id, &word).await,
            Act::GiveBack { .. } => o.desk.give_back(id, &word).await,
            Act::Send { .. } => o.desk.pay_by(id, &PayBy::default(), &word).await,
            Act::Cash { slip, .. } => {
                o.desk.offline(id, &cash(&format!("R-{slip}"), minor), &word).await
            }
            Act::Approve { .. } => o.desk.approve(id, &word).await,
            Act::Reject { .. } => o.desk.reject(id, &word).await,
            _ => o.desk.close(id, &word).await,
        })
        .await;
    if let (Act::Approve { .. }, Some(Ok(after))) = (act, done) {
        let proposer = case.state.taking().map(|taken| taken.by.clone());
        assert!(proposer.is_some_and(|by| by != word.by), "rule 12: {after:?}");
    }
}

/// What must hold at every moment, whatever happened.
async fn check(office: &Office) {
    let cases = office.cases().await;
    let mut slips = BTreeMap::new();
    for case in &cases {
        let payment = office.reload(case.payment).await;
        if let Some(taken) = case.state.taking() {
            let twice = slips.insert(taken.reference.clone(), case.id.clone());
            assert_eq!(twice, None, "a slip pays once: {cases:#?}");
        }
        check_end(case, &payment);
        let open = cases.iter().filter(|c| c.payment == case.payment && !c.is_closed()).count();
        assert!(open <= 1, "one open case a payment: {cases:#?}");
    }
    check_tallies(office, &cases).await;
    for payment in office.payments().await {
        assert!(offline_attempts(&payment) <= 1, "rule 2: {payment:#?}");
        // Whatever cash is in a payment's books was said in a case, and by enough people.
        let cash = payment.attempts.iter().find(|a| a.method == Method::Offline);
        let Some(receipt) = cash.and_then(Attempt::receipt) else { continue };
        let said = cases.iter().find_map(|case| match &case.state {
            CaseState::Recording { taken, agreed, .. }
            | CaseState::Closed { end: CaseEnd::Offline { taken, agreed }, .. }
                if case.payment == payment.id && taken.reference == receipt.reference =>
            {
                Some((taken.clone(), agreed.clone()))
            }
            _ => None,
        });
        let (taken, agreed) = said.unwrap_or_else(|| panic!("{payment:#?} {cases:#?}"));
        let two = agreed.is_some_and(|agreed| agreed != taken.by);
        assert!(taken.money.minor() < 100_000 || two, "rule 12: {taken:?}");
    }
}

/// What counts towards a person's limit is what that person took and has not given back.
async fn check_tallies(office: &Office, cases: &[Case]) {
    for by in PEOPLE {
        let tally = office.store.assist_tally(&format!("{by} CNY")).await.unwrap();
        let mut counted: Vec<_> =
            tally.unwrap_or_default().1.sums.into_iter().map(|s| (s.case, s.minor)).collect();
        let own = cases.iter().filter_map(|c| Some((c, c.state.taking()?)));
        let mut held: Vec<_> = own
            .filter(|(_, taken)| taken.by == by)
            .map(|(case, taken)| (case.id.clone(), taken.money.minor()))
            .collect();
        counted.sort();
        held.sort();
        // A day's old sums are dropped when the next is counted; no life here is that long before
        // it ends.
        held.retain(|one| counted.contains(one) || office.now() < office.began() + DAY_LONG);
        assert_eq!(counted, held, "{by}: {cases:#?}");
    }
}

fn check_end(case: &Case, payment: &Payment) {
    let CaseState::Closed { end, .. } = &case.state else { return };
    let paying = match payment.state {
        PaymentState::Paid { ordinal, .. } => payment.attempt(ordinal),
        _ => None,
    };
    match end {
        CaseEnd::Offline { taken, .. } => {
            let receipt = paying.and_then(Attempt::receipt).map(|r| r.reference.as_str());
            assert_eq!(receipt, Some(taken.reference.as_str()), "{case:#?} {payment:#?}");
        }
        CaseEnd::Paid { channel, hand_back, .. } => {
            assert_eq!(paying.map(|a| &a.channel), Some(channel), "{case:#?} {payment:#?}");
            let kept = hand_back.as_ref().and_then(|t| payment.offline_attempt(&t.reference));
            assert!(kept.is_none(), "money to be handed back is in no books: {case:#?}");
        }
        CaseEnd::Ended { .. } => assert!(!payment.may_go_on()),
        CaseEnd::GaveUp { .. } => {}
    }
}

/// Troubles stop: the provider answers, the desk looks, people say what they did with refunds.
async fn finish(office: &mut Office) {
    office.restart();
    office.weather(Weather::Fine);
    for _ in 0..12 {
        for payment in office.payments().await {
            for refund in &payment.refunds {
                if matches!(refund.progress, RefundProgress::ByHand { .. }) {
                    let word = word("li");
                    office.desk.refunded(payment.id, refund.ordinal, Ok(()), &word).await.unwrap();
                }
            }
        }
        office.wind(1_200);
        office.work().await;
        office.wind(4 * 3_600);
        office.work().await;
        office.desk.sweep().await.unwrap();
    }
}

async fn live(acts: &[Act]) {
    let mut office = Office::new(Limits::default());
    for act in acts {
        happen(&mut office, act).await;
        check(&office).await;
    }
    finish(&mut office).await;
    check(&office).await;
    let mut kept = 0;
    for payment in office.payments().await {
        assert!(payment.is_settled(), "rule 17: {payment:#?}");
        let held = payment.attempts.iter().filter(|a| a.method != Method::Offline);
        kept += held.map(|a| payment.refundable_minor(a.ordinal)).sum::<i64>();
    }
    assert_eq!(
        office.provider.holds(),
        kept,
        "rules 2 and 6: every provider's unit is in the books"
    );
    for case in office.cases().await {
        assert!(case.is_closed(), "rule 17: {case:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_life_of_the_desk_pays_twice_or_loses_money(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(live(&acts));
    }
}
