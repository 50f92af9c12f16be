//! The bank channels' books.
#![expect(clippy::missing_panics_doc, reason = "a case panics when the engine fails it")]

use std::sync::Arc;

use domain::{
    Bilingual, ChannelId, Currency, Money, PaymentId, Presentation, ProviderOrderNo, Timestamp,
    TransferTo,
};
use uuid::Uuid;

use crate::{
    Allotment, BankBooks, BankChange, BankFilter, BankKind, BankLine, BankRecord, Commit, Conflict,
    Counter, Expecting, Payout, PayoutKind, PayoutState, Transfer, TransferState,
};

/// Books that many tasks may use.
pub type SharedBooks = Arc<dyn BankBooks>;

/// Makes a test of each case about the bank's books; see
/// [`conformance_suite!`](crate::conformance_suite).
#[macro_export]
macro_rules! bank_conformance_suite {
    ($make:expr) => {
        $crate::bank_conformance_suite! { @cases $make;
            a_bank_change_is_there_as_a_whole,
            a_bank_change_over_another_version_is_refused,
            a_unique_key_has_one_holder_at_a_time,
            the_same_bank_change_twice_is_one_change,
            records_are_found_and_listed,
            bank_records_come_back_as_they_were,
            one_of_many_wins_a_record,
            one_of_many_wins_a_unique_key,
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

fn channel() -> ChannelId {
    ChannelId::new("bank-main").expect("a name")
}

fn money(minor: i64) -> Money {
    Money::new(minor, Currency::CNY).expect("an amount")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + seconds)
}

fn allotment(n: u128, account: Option<&str>) -> Allotment {
    let payment = PaymentId::from_uuid(Uuid::from_u128(n));
    let both = |text: &str| Bilingual { zh: text.into(), en: text.into() };
    Allotment {
        number: ProviderOrderNo::of(payment, 1),
        channel: channel(),
        payment,
        ordinal: 1,
        money: money(1_000),
        shown: Presentation::BankTransfer(Box::new(TransferTo {
            payee: both("商店"),
            bank: both("银行"),
            account: "62".into(),
            bank_code: None,
            reference: Some("R".into()),
            money: money(1_000),
            expires_at: at(100),
        })),
        reference: "SAME".into(),
        account: account.map(str::to_owned),
        shown_at: at(0),
        expires_at: at(100),
        state: Expecting::Open,
        received_minor: 0,
        reversed_minor: 0,
        free_at: None,
        news: false,
    }
}

fn transfer(id: &str, identity: Option<&str>, minor: i64) -> Transfer {
    Transfer {
        id: id.into(),
        channel: channel(),
        money: money(minor),
        booked_on: "2026-11-24".into(),
        learned_at: at(minor),
        payer_name: Some("张三".into()),
        payer_account: None,
        text: "a 'quoted' text".into(),
        bank_reference: None,
        identity: identity.map(str::to_owned),
        statement: None,
        entry: Some(serde_json::json!({ "line": 3 })),
        recorded_by: None,
        suggestions: Vec::new(),
        reversed_by: None,
        state: TransferState::Suspense { why: "unreferenced".into() },
    }
}

fn put(id: u128, puts: Vec<(u64, BankRecord)>) -> BankChange {
    BankChange { id: Uuid::from_u128(id), puts, lines: Vec::new(), at: at(0) }
}

async fn done(books: &SharedBooks, change: BankChange) {
    assert_eq!(books.bank_commit(change).await, Commit::Done);
}

/// Records and lines of one change are all there, or none of them.
pub async fn a_bank_change_is_there_as_a_whole(books: SharedBooks) {
    let line = BankLine {
        about: "tr_1".into(),
        at: at(1),
        by: "li".into(),
        action: "recorded".into(),
        reason: "seen".into(),
    };
    let both = vec![
        (0, BankRecord::Transfer(transfer("tr_1", None, 5))),
        (0, BankRecord::Allotment(allotment(1, None))),
    ];
    let change = BankChange { lines: vec![line.clone()], ..put(1, both) };
    done(&books, change).await;
    assert_eq!(books.bank_history("tr_1").await, Ok(vec![line]));
    let half = vec![
        (0, BankRecord::Transfer(transfer("tr_2", None, 5))),
        (0, BankRecord::Allotment(allotment(1, None))),
    ];
    let refused = books.bank_commit(put(2, half)).await;
    assert_eq!(refused, Commit::Refused(Conflict::Version));
    assert_eq!(books.bank_record(BankKind::Transfer, "tr_2").await, Ok(None));
    assert_eq!(books.bank_was_committed(Uuid::from_u128(1)).await, Ok(true));
    assert_eq!(books.bank_was_committed(Uuid::from_u128(2)).await, Ok(false));
    let twice = vec![
        (0, BankRecord::Transfer(transfer("tr_3", None, 5))),
        (0, BankRecord::Transfer(transfer("tr_3", None, 5))),
    ];
    assert!(matches!(books.bank_commit(put(3, twice)).await, Commit::Failed(_)));
}

/// A record changes only over the version that it was read with.
pub async fn a_bank_change_over_another_version_is_refused(books: SharedBooks) {
    let record = || BankRecord::Transfer(transfer("tr_1", None, 5));
    done(&books, put(1, vec![(0, record())])).await;
    done(&books, put(2, vec![(1, record())])).await;
    for stale in [0, 1, 3] {
        let refused = books.bank_commit(put(10 + u128::from(stale), vec![(stale, record())])).await;
        assert_eq!(refused, Commit::Refused(Conflict::Version), "{stale}");
    }
    let kept = books.bank_record(BankKind::Transfer, "tr_1").await;
    assert_eq!(kept.ok().flatten().map(|kept| kept.version), Some(2));
}

/// An entry counts once and an account has one holder, until it is given up.
pub async fn a_unique_key_has_one_holder_at_a_time(books: SharedBooks) {
    done(&books, put(1, vec![(0, BankRecord::Transfer(transfer("tr_1", Some("E1"), 5)))])).await;
    let again = put(2, vec![(0, BankRecord::Transfer(transfer("tr_2", Some("E1"), 5)))]);
    assert_eq!(books.bank_commit(again).await, Commit::Refused(Conflict::KeyTaken));
    let twins = vec![
        (0, BankRecord::Transfer(transfer("tr_3", Some("E2"), 5))),
        (0, BankRecord::Transfer(transfer("tr_4", Some("E2"), 5))),
    ];
    assert_eq!(books.bank_commit(put(3, twins)).await, Commit::Refused(Conflict::KeyTaken));

    done(&books, put(4, vec![(0, BankRecord::Allotment(allotment(1, Some("6217"))))])).await;
    let other = put(5, vec![(0, BankRecord::Allotment(allotment(2, Some("6217"))))]);
    assert_eq!(books.bank_commit(other).await, Commit::Refused(Conflict::KeyTaken));
    let handed_over = vec![
        (1, BankRecord::Allotment(allotment(1, None))),
        (0, BankRecord::Allotment(allotment(2, Some("6217")))),
    ];
    done(&books, put(6, handed_over)).await;
    let key = Allotment::by_account(&channel(), "6217");
    let holders = books.bank_find(BankKind::Allotment, &key).await.unwrap_or_default();
    assert_eq!(holders.len(), 1);
    assert_eq!(holders[0].record, BankRecord::Allotment(allotment(2, Some("6217"))));
}

/// A change that is sent again after an unknown end is the same change.
pub async fn the_same_bank_change_twice_is_one_change(books: SharedBooks) {
    let change = put(1, vec![(0, BankRecord::Counter(Counter { channel: channel(), next: 7 }))]);
    done(&books, change.clone()).await;
    done(&books, change).await;
    let kept = books.bank_record(BankKind::Counter, "bank-main").await.ok().flatten();
    assert_eq!(kept.map(|kept| kept.version), Some(1));
}

/// By keys, by state, by rank, in order.
pub async fn records_are_found_and_listed(books: SharedBooks) {
    let mut puts = Vec::new();
    for (n, minor) in [30, 10, 20].into_iter().enumerate() {
        puts.push((0, BankRecord::Transfer(transfer(&format!("tr_{n}"), None, minor))));
    }
    puts.push((0, BankRecord::Allotment(allotment(1, None))));
    puts.push((0, BankRecord::Allotment(allotment(2, None))));
    done(&books, put(1, puts)).await;
    let shared = Allotment::by_reference(&channel(), "SAME");
    assert_eq!(books.bank_find(BankKind::Allotment, &shared).await.map(|f| f.len()), Ok(2));
    let one = Allotment::by_payment(PaymentId::from_uuid(Uuid::from_u128(2)));
    assert_eq!(books.bank_find(BankKind::Allotment, &one).await.map(|f| f.len()), Ok(1));
    let ids = async |filter: BankFilter| -> Vec<String> {
        let kept = books.bank_list(&filter).await.unwrap_or_default();
        kept.iter().map(|kept| kept.record.id().to_owned()).collect()
    };
    let all = || BankFilter { channel: Some(channel()), ..BankFilter::all(BankKind::Transfer) };
    assert_eq!(ids(all()).await, ["tr_1", "tr_2", "tr_0"]);
    let newest = BankFilter { newest_first: true, limit: 2, ..all() };
    assert_eq!(ids(newest).await, ["tr_0", "tr_2"]);
    let early = BankFilter { rank_max: Some(at(20).as_micros()), ..all() };
    assert_eq!(ids(early).await, ["tr_1", "tr_2"]);
    assert_eq!(ids(BankFilter { states: vec!["matched"], ..all() }).await, [""; 0]);
    let waiting = BankFilter { states: vec!["proposed", "suspense"], ..all() };
    assert_eq!(ids(waiting).await.len(), 3);
    let elsewhere = BankFilter { channel: ChannelId::new("bank-other").ok(), ..all() };
    assert_eq!(ids(elsewhere).await, [""; 0]);
    let totals = books.bank_totals().await.unwrap_or_default();
    assert_eq!(totals.len(), 1);
    let total = &totals[0];
    assert_eq!((total.count, total.amount_minor, total.oldest), (3, 60, at(10)));
    assert_eq!((total.state.as_str(), total.currency.as_str()), ("suspense", "CNY"));
}

/// Every record is read as it was written.
pub async fn bank_records_come_back_as_they_were(books: SharedBooks) {
    let number = ProviderOrderNo::of(PaymentId::from_uuid(Uuid::from_u128(1)), 1);
    let payout = |n: u8, state| Payout {
        id: format!("po_{n}"),
        channel: channel(),
        money: money(3),
        kind: PayoutKind::Excess,
        reference: "ABCD".into(),
        number: Some(number.clone()),
        transfer: Some("tr_1".into()),
        to_name: Some("李四".into()),
        to_account: None,
        requested_at: at(1),
        state,
        entries: vec![format!("E{n}")],
        news: true,
    };
    let paid = Allotment {
        state: Expecting::Paid {
            at: at(3),
            captured: money(1_000),
            transfer: "tr_1".into(),
            booked_at: at(2),
        },
        account: Some("6217".into()),
        free_at: Some(at(9)),
        news: true,
        ..allotment(1, None)
    };
    let records = vec![
        BankRecord::Allotment(paid),
        BankRecord::Transfer(transfer("tr_1", Some("E1"), 5)),
        BankRecord::Payout(payout(1, PayoutState::Held)),
        BankRecord::Payout(payout(2, PayoutState::Sent { by: "li".into(), at: at(4) })),
        BankRecord::Payout(payout(
            3,
            PayoutState::Failed { by: "wang".into(), why: "closed".into(), at: at(5) },
        )),
    ];
    done(&books, put(1, records.iter().cloned().map(|r| (0, r)).collect())).await;
    for record in records {
        let kept = books.bank_record(record.kind(), record.id()).await.ok().flatten();
        assert_eq!(kept.map(|kept| kept.record), Some(record));
    }
    assert_eq!(books.bank_find(BankKind::Payout, crate::NEWS).await.map(|f| f.len()), Ok(3));
}

/// Of many changes of one record at once, one is done and the others are told.
pub async fn one_of_many_wins_a_record(books: SharedBooks) {
    let ends = race(&books, |n| {
        vec![(0, BankRecord::Counter(Counter { channel: channel(), next: u64::from(n) }))]
    })
    .await;
    assert_eq!(ends.iter().filter(|end| **end == Commit::Done).count(), 1);
    let lost = |end: &&Commit| **end == Commit::Refused(Conflict::Version);
    assert_eq!(ends.iter().filter(lost).count(), ends.len() - 1);
}

/// Of many that want one key at once, one has it: two uploads of a file count once.
pub async fn one_of_many_wins_a_unique_key(books: SharedBooks) {
    let ends = race(&books, |n| {
        vec![(0, BankRecord::Transfer(transfer(&format!("tr_{n}"), Some("E1"), 5)))]
    })
    .await;
    assert_eq!(ends.iter().filter(|end| **end == Commit::Done).count(), 1);
    let lost = |end: &&Commit| **end == Commit::Refused(Conflict::KeyTaken);
    assert_eq!(ends.iter().filter(lost).count(), ends.len() - 1);
}

async fn race(books: &SharedBooks, puts: impl Fn(u32) -> Vec<(u64, BankRecord)>) -> Vec<Commit> {
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let (books, change) = (Arc::clone(books), put(u128::from(n), puts(n)));
            tokio::spawn(async move { books.bank_commit(change).await })
        })
        .collect();
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.expect("it ends"));
    }
    ends
}
