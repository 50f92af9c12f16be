//! The books of the VIP desk.
#![expect(clippy::missing_panics_doc, reason = "a case panics when the engine fails it")]

use std::sync::Arc;

use domain::{Currency, MerchantId, Money, OfflineKind, PaymentId, Status, Tier, Timestamp};
use uuid::Uuid;

use crate::{
    AssistBooks, AssistChange, AssistFilter, AssistLine, AssistSum, AssistTally, Case, CaseEnd,
    CaseState, Commit, Conflict, Opener, Store, Taking,
};

/// The desk's books, with the store that they lie in.
pub type SharedAssist = (Arc<dyn AssistBooks>, Arc<dyn Store>);

/// Makes a test of each case about the desk's books; see
/// [`conformance_suite!`](crate::conformance_suite).
#[macro_export]
macro_rules! assist_conformance_suite {
    ($make:expr) => {
        $crate::assist_conformance_suite! { @cases $make;
            a_case_its_tally_and_its_lines_are_there_as_a_whole,
            a_case_changes_over_its_version_only,
            a_payment_has_one_open_case_and_a_slip_pays_once,
            cases_come_back_as_they_were,
            the_queue_shows_vips_first_and_the_longest_wait_first,
            one_of_many_takes_a_case,
        }
    };
    (@cases $make:expr; $($case:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (books, _guard) = $make().await;
                $crate::conformance::$case(books).await;
            }
        )*
    };
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + seconds)
}

fn case(n: u128, tier: Tier, opened: i64) -> Case {
    Case {
        id: format!("as_{n}"),
        payment: PaymentId::from_uuid(Uuid::from_u128(n)),
        merchant: MerchantId::new("shop").expect("a name"),
        tier,
        money: Money::new(1_000, Currency::CNY).expect("an amount"),
        opened_at: at(opened),
        opener: Opener::Customer,
        opened_by: "customer".into(),
        reason: "nothing \"works\"; 请帮忙".into(),
        state: CaseState::Open,
    }
}

fn taking(reference: &str) -> Taking {
    Taking {
        kind: OfflineKind::Cash,
        reference: reference.into(),
        money: Money::new(1_000, Currency::CNY).expect("an amount"),
        taken_at: at(5),
        by: "li".into(),
        reason: "counted twice".into(),
        at: at(6),
    }
}

fn taken(by: &str) -> CaseState {
    CaseState::Taken { by: by.into(), since: at(1), until: at(900) }
}

fn closed() -> CaseState {
    let end = CaseEnd::Ended { status: Status::Expired, hand_back: Some(taking("R-9")) };
    CaseState::Closed { end, by: "evergate".into(), at: at(9) }
}

fn put(change: u128, expected_version: u64, case: &Case) -> AssistChange {
    AssistChange {
        id: Uuid::from_u128(change),
        expected_version,
        case: case.clone(),
        tally: None,
        lines: Vec::new(),
        at: at(0),
    }
}

async fn done(books: &SharedAssist, change: AssistChange) {
    assert_eq!(books.0.assist_commit(change).await, Commit::Done);
}

/// Case, tally, history and audit log of one change are all there, or none of it.
pub async fn a_case_its_tally_and_its_lines_are_there_as_a_whole(books: SharedAssist) {
    let line =
        AssistLine { at: at(1), by: "li".into(), action: "opened".into(), reason: "asked".into() };
    let sum = AssistSum { at: at(1), case: "as_1".into(), minor: 1_000 };
    let tally = AssistTally { sums: vec![sum] };
    let change = AssistChange {
        tally: Some(("li CNY".into(), 0, tally.clone())),
        lines: vec![line.clone()],
        ..put(1, 0, &case(1, Tier::Vip, 0))
    };
    done(&books, change.clone()).await;
    done(&books, change).await;
    assert_eq!(books.0.assist_history("as_1").await, Ok(vec![line]));
    assert_eq!(books.0.assist_tally("li CNY").await, Ok(Some((1, tally.clone()))));
    let audit = books.1.audit(9).await.unwrap_or_default();
    let payment = case(1, Tier::Vip, 0).payment;
    let told: Vec<String> = audit.into_iter().map(|line| line.action).collect();
    assert_eq!(
        told,
        [format!("assist as_1 ({payment}): opened")],
        "once, however often it is sent"
    );

    // The tally has moved on, so nothing of this is done.
    let half = AssistChange {
        tally: Some(("li CNY".into(), 0, AssistTally::default())),
        ..put(2, 0, &case(2, Tier::Vip, 0))
    };
    assert_eq!(books.0.assist_commit(half).await, Commit::Refused(Conflict::Version));
    assert_eq!(books.0.assist_case("as_2").await, Ok(None));
    assert_eq!(books.0.assist_tally("li CNY").await, Ok(Some((1, tally))));
    assert_eq!(books.0.assist_was_committed(Uuid::from_u128(1)).await, Ok(true));
    assert_eq!(books.0.assist_was_committed(Uuid::from_u128(2)).await, Ok(false));
}

/// A case changes only over the version that it was read with.
pub async fn a_case_changes_over_its_version_only(books: SharedAssist) {
    let case = case(1, Tier::Vip, 0);
    done(&books, put(1, 0, &case)).await;
    done(&books, put(2, 1, &Case { state: taken("li"), ..case.clone() })).await;
    for stale in [0, 1, 3] {
        let refused = books.0.assist_commit(put(10 + u128::from(stale), stale, &case)).await;
        assert_eq!(refused, Commit::Refused(Conflict::Version), "{stale}");
    }
    let kept = books.0.assist_case("as_1").await.ok().flatten();
    assert_eq!(kept.map(|kept| (kept.version, kept.case.state)), Some((2, taken("li"))));
}

/// One open case a payment; one case a reference, until it is given up.
pub async fn a_payment_has_one_open_case_and_a_slip_pays_once(books: SharedAssist) {
    let first = case(1, Tier::Vip, 0);
    done(&books, put(1, 0, &first)).await;
    let twin = Case { id: "as_twin".into(), ..first.clone() };
    let refused = books.0.assist_commit(put(2, 0, &twin)).await;
    assert_eq!(refused, Commit::Refused(Conflict::KeyTaken));
    done(&books, put(3, 1, &Case { state: closed(), ..first.clone() })).await;
    assert_eq!(books.0.assist_of(first.payment).await, Ok(None));
    done(&books, put(4, 0, &twin)).await;
    let open = books.0.assist_of(first.payment).await.ok().flatten();
    assert_eq!(open.map(|kept| kept.case.id).as_deref(), Some("as_twin"));

    let proposed = CaseState::Proposed { taken: taking("R-1") };
    done(&books, put(5, 1, &Case { state: proposed.clone(), ..twin.clone() })).await;
    let other = Case { state: proposed, ..case(2, Tier::Vip, 0) };
    let refused = books.0.assist_commit(put(6, 0, &other)).await;
    assert_eq!(refused, Commit::Refused(Conflict::KeyTaken));
    let key = Case::reference_key(&other.merchant, OfflineKind::Cash, "R-1");
    let holder = books.0.assist_by_reference(&key).await.ok().flatten();
    assert_eq!(holder.map(|kept| kept.case.id).as_deref(), Some("as_twin"));
    done(&books, put(7, 2, &Case { state: taken("li"), ..twin })).await;
    done(&books, put(8, 0, &other)).await;
}

/// Every state is read back as it was written.
pub async fn cases_come_back_as_they_were(books: SharedAssist) {
    let offline = CaseEnd::Offline { taken: taking("R-3"), agreed: Some("wang".into()) };
    let gone = CaseEnd::GaveUp { why: "went home".into() };
    let close = |end| CaseState::Closed { end, by: "li".into(), at: at(9) };
    let states = [
        CaseState::Open,
        taken("li"),
        CaseState::Proposed { taken: taking("R-1") },
        CaseState::Recording { taken: taking("R-2"), agreed: None, at: at(7) },
        closed(),
        close(offline),
        close(gone),
    ];
    for (n, state) in (1..).zip(states) {
        let case = Case { state, ..case(n, Tier::Standard, 0) };
        done(&books, put(n, 0, &case)).await;
        let kept = books.0.assist_case(&case.id).await.ok().flatten();
        assert_eq!(kept.map(|kept| kept.case), Some(case));
    }
    let totals = books.0.assist_totals().await.unwrap_or_default();
    let counts: Vec<_> = totals.iter().map(|t| (t.state.as_str(), t.count)).collect();
    assert_eq!(counts, [("open", 1), ("proposed", 1), ("recording", 1), ("taken", 1)]);
}

/// The queue's order, and the filters.
pub async fn the_queue_shows_vips_first_and_the_longest_wait_first(books: SharedAssist) {
    let cases = [
        case(1, Tier::Standard, 0),
        case(2, Tier::Vip, 20),
        case(3, Tier::Vip, 10),
        Case { state: closed(), ..case(4, Tier::Vip, 30) },
        Case { merchant: MerchantId::new("other").expect("a name"), ..case(5, Tier::Vip, 40) },
    ];
    for (n, case) in (1..).zip(&cases) {
        done(&books, put(n, 0, case)).await;
    }
    let list = async |filter: AssistFilter| -> Vec<String> {
        let found = books.0.assist_list(&filter).await.unwrap_or_default();
        found.into_iter().map(|kept| kept.case.id).collect()
    };
    assert_eq!(list(AssistFilter::queue()).await, ["as_3", "as_2", "as_5", "as_1"]);
    let shop = Some(cases[0].merchant.clone());
    let own = AssistFilter { merchant: shop, limit: 2, ..AssistFilter::queue() };
    assert_eq!(list(own).await, ["as_3", "as_2"]);
    let standard = AssistFilter { tier: Some(Tier::Standard), ..AssistFilter::queue() };
    assert_eq!(list(standard).await, ["as_1"]);
    let all = AssistFilter { states: Vec::new(), newest_first: true, ..AssistFilter::queue() };
    assert_eq!(list(all.clone()).await, ["as_5", "as_4", "as_2", "as_3", "as_1"]);
    let of = AssistFilter { payment: Some(cases[3].payment), ..all };
    assert_eq!(list(of).await, ["as_4"]);
}

/// Two members of staff press the button at once.
pub async fn one_of_many_takes_a_case(books: SharedAssist) {
    let open = case(1, Tier::Vip, 0);
    done(&books, put(1, 0, &open)).await;
    let takers = (0..8_u128).map(|n| {
        let books = Arc::clone(&books.0);
        let state = taken(&format!("staff-{n}"));
        let change = put(100 + n, 1, &Case { state, ..open.clone() });
        tokio::spawn(async move { books.assist_commit(change).await })
    });
    let mut won = 0;
    for taker in takers.collect::<Vec<_>>() {
        match taker.await {
            Ok(Commit::Done) => won += 1,
            Ok(Commit::Refused(Conflict::Version)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won, 1);
}
