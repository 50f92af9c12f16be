use super::*;
use domain::Currency;
use jiff::civil::{Date, date};
use proptest::prelude::*;
use providers::bank::AccountCheck;
use providers::bank::statement::Party;
use uuid::Uuid;

use crate::returns::{ReturnPolicy, Tally, share};

const DAY: Date = date(2026, 11, 24);

fn target(n: u8) -> Target {
    Target { payment: PaymentId::from_uuid(Uuid::from_u128(n.into())), ordinal: 1 }
}

fn number(n: u8) -> ProviderOrderNo {
    ProviderOrderNo::of(target(n).payment, 1)
}

fn reference(n: u8) -> Reference {
    Reference::of(&number(n))
}

fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY).unwrap()
}

fn noon(day: Date) -> Timestamp {
    Timestamp::from_secs(i64::from(days_since_epoch(day)) * 86_400 + 43_200)
}

fn expectation(n: u8, minor: i64) -> Expectation {
    Expectation {
        target: target(n),
        number: number(n),
        reference: reference(n),
        virtual_account: Some(scheme().number(n.into()).unwrap()),
        money: cny(minor),
        received_minor: 0,
        state: Standing::Open,
        shown_at: noon(DAY),
        expires_at: noon(DAY),
        payer_name: None,
    }
}

fn scheme() -> VirtualAccounts {
    VirtualAccounts { prefix: "6217".into(), serial_digits: 8, check: AccountCheck::Luhn }
}

fn policy() -> MatchPolicy {
    MatchPolicy {
        virtual_accounts: Some(scheme()),
        utc_offset_minutes: 480,
        ..MatchPolicy::default()
    }
}

fn entry(minor: i64, text: &str) -> Entry {
    Entry {
        line: 1,
        bank_reference: None,
        booked_on: DAY,
        value_on: None,
        amount: cny(minor),
        direction: Direction::Credit,
        reversal: false,
        counterparty: Party::default(),
        virtual_account: None,
        text: text.into(),
        end_to_end: None,
        occurrence: 1,
    }
}

fn one(expectation: Expectation) -> Books {
    Books::new(vec![expectation], Vec::new(), Vec::new())
}

fn names(n: u8) -> String {
    format!("附言：{}", reference(n))
}

fn fit_of(placement: Placement) -> (Fit, Option<Lateness>) {
    match placement {
        Placement::Matched { to, fit, late, .. } => {
            assert_eq!(to, target(1));
            (fit, late)
        }
        other => panic!("not matched: {other:?}"),
    }
}

#[test]
fn a_transfer_fits_as_its_amount_and_what_came_before_say() {
    for (received, state, amount, fit) in [
        (0, Standing::Open, 100, Fit::Exact { short_minor: 0 }),
        (0, Standing::Open, 60, Fit::Part { rest_minor: 40 }),
        (60, Standing::Open, 40, Fit::Completes { short_minor: 0 }),
        (60, Standing::Open, 50, Fit::Over { excess_minor: 10 }),
        (0, Standing::Open, 130, Fit::Over { excess_minor: 30 }),
        (100, Standing::Paid, 100, Fit::Over { excess_minor: 100 }),
        (0, Standing::EndedUnpaid, 60, Fit::Part { rest_minor: 40 }),
    ] {
        let books = one(Expectation { received_minor: received, state, ..expectation(1, 100) });
        let placed = place(&entry(amount, &names(1)), &books, &policy());
        assert_eq!(fit_of(placed).0, fit, "{received} {state:?} {amount}");
    }
}

#[test]
fn a_charge_within_the_tolerance_counts_as_whole_and_an_excess_never() {
    let policy = MatchPolicy { short_max_minor: 5, ..policy() };
    for (received, amount, fit) in [
        (0, 95, Fit::Exact { short_minor: 5 }),
        (0, 94, Fit::Part { rest_minor: 6 }),
        (50, 46, Fit::Completes { short_minor: 4 }),
        (0, 101, Fit::Over { excess_minor: 1 }),
    ] {
        let books = one(Expectation { received_minor: received, ..expectation(1, 100) });
        assert_eq!(fit_of(place(&entry(amount, &names(1)), &books, &policy)).0, fit);
    }
}

#[test]
fn whoever_pays_on_the_last_day_is_in_time() {
    let late = |day, state| {
        let books = one(Expectation { state, ..expectation(1, 100) });
        let entry = Entry { booked_on: day, ..entry(100, &names(1)) };
        fit_of(place(&entry, &books, &policy())).1
    };
    assert_eq!(late(DAY, Standing::Open), None);
    assert_eq!(late(date(2026, 11, 25), Standing::Open), Some(Lateness::Expired));
    assert_eq!(late(DAY, Standing::EndedUnpaid), Some(Lateness::Ended));
}

#[test]
fn a_booking_day_begins_in_the_banks_zone() {
    // 17:00 UTC on the 24th is 1:00 on the 25th in Shanghai.
    let expires_at = Timestamp::from_secs(noon(DAY).as_secs() + 5 * 3600);
    let books = one(Expectation { expires_at, ..expectation(1, 100) });
    let entry = Entry { booked_on: date(2026, 11, 25), ..entry(100, &names(1)) };
    assert_eq!(fit_of(place(&entry, &books, &policy())).1, None);
    let utc = MatchPolicy { utc_offset_minutes: 0, ..policy() };
    assert_eq!(fit_of(place(&entry, &books, &utc)).1, Some(Lateness::Expired));
}

#[test]
fn virtual_accounts_name_an_attempt_as_references_do() {
    let books = Books::new(vec![expectation(1, 100), expectation(2, 100)], vec![], vec![]);
    let account = |n: u8| scheme().number(n.into());
    let by = |entry: Entry| match place(&entry, &books, &policy()) {
        Placement::Matched { to, by, .. } => (to, by),
        other => panic!("not matched: {other:?}"),
    };
    let field = Entry { virtual_account: account(2), ..entry(100, "") };
    assert_eq!(by(field), (target(2), By::VirtualAccount));
    let text = entry(100, &format!("to {}", account(2).unwrap()));
    assert_eq!(by(text), (target(2), By::VirtualAccount));
    let both = Entry { virtual_account: account(1), ..entry(100, &names(1)) };
    assert_eq!(by(both), (target(1), By::Both));
    let disagree = Entry { virtual_account: account(2), ..entry(100, &names(1)) };
    assert_eq!(
        place(&disagree, &books, &policy()),
        Placement::Ambiguous { between: vec![target(1), target(2)], why: Doubt::AccountDisagrees }
    );
}

#[test]
fn what_names_two_things_is_left_to_people() {
    let books = Books::new(vec![expectation(1, 100), expectation(2, 100)], vec![], vec![]);
    let text = format!("{} {}", reference(1), reference(2));
    assert!(matches!(
        place(&entry(100, &text), &books, &policy()),
        Placement::Ambiguous { why: Doubt::SeveralReferences, .. }
    ));
    let twin = Expectation { reference: reference(1), ..expectation(2, 100) };
    let books = Books::new(vec![expectation(1, 100), twin], vec![], vec![]);
    assert!(matches!(
        place(&entry(100, &names(1)), &books, &policy()),
        Placement::Ambiguous { why: Doubt::SameReference, .. }
    ));
}

#[test]
fn a_reference_in_the_senders_own_field_counts() {
    let entry = Entry { end_to_end: Some(reference(1).compact().into()), ..entry(100, "") };
    assert!(matches!(
        place(&entry, &one(expectation(1, 100)), &policy()),
        Placement::Matched { .. }
    ));
}

#[test]
fn another_currency_is_never_counted() {
    let amount = Money::new(100, Currency::USD).unwrap();
    let entry = Entry { amount, ..entry(100, &names(1)) };
    let expected = Currency::CNY;
    assert_eq!(
        place(&entry, &one(expectation(1, 100)), &policy()),
        Placement::WrongCurrency { to: target(1), expected }
    );
}

#[test]
fn suggestions_are_ranked_and_never_taken() {
    let named = |n, minor, name: &str| Expectation {
        payer_name: Some(name.into()),
        ..expectation(n, minor)
    };
    let paid = Expectation { state: Standing::Paid, ..expectation(5, 100) };
    let all = vec![
        expectation(1, 100),
        named(2, 100, "上海李四商贸有限公司"),
        named(3, 999, "李四商贸"),
        expectation(4, 777),
        paid,
    ];
    let books = Books::new(all, vec![], vec![]);
    let mut wrong = reference(4).compact().to_owned();
    let last = if wrong.ends_with('A') { "B" } else { "A" };
    wrong.replace_range(11.., last);
    let counterparty = Party { name: Some("李四商贸有限公司".into()), account: None };
    let entry = Entry { counterparty, ..entry(100, &wrong) };
    let Placement::Unreferenced { unknown, suggestions } = place(&entry, &books, &policy()) else {
        panic!("placed without a reference");
    };
    assert_eq!(unknown, []);
    let ranked: Vec<_> = suggestions.iter().map(|s| (s.to, s.reasons.clone())).collect();
    use Reason::{NearReference, SameAmount, ShownLately, SimilarName};
    assert_eq!(
        ranked,
        [
            (target(4), vec![NearReference, ShownLately]),
            (target(2), vec![SameAmount, SimilarName, ShownLately]),
            (target(1), vec![SameAmount, ShownLately]),
            (target(3), vec![SimilarName, ShownLately]),
        ]
    );
}

#[test]
fn an_unknown_reference_is_told() {
    let placed = place(&entry(100, &names(9)), &one(expectation(1, 55)), &policy());
    let unknown = vec![reference(9)];
    assert_eq!(placed, Placement::Unreferenced { unknown, suggestions: vec![] });
}

fn earlier(identity: &str, entry: Entry, to: Option<Target>) -> Earlier {
    Earlier { identity: identity.into(), entry, target: to }
}

#[test]
fn a_reversal_finds_its_credit_by_the_banks_reference_or_suggests() {
    let with = |reference: &str| Entry { bank_reference: Some(reference.into()), ..entry(100, "") };
    let credits = vec![
        earlier("a", with("B1"), Some(target(1))),
        earlier("b", with("B2"), Some(target(2))),
        earlier("c", entry(70, ""), None),
    ];
    let books = Books::new(vec![], credits, vec![]);
    let reversal = |entry: Entry| {
        let entry = Entry { direction: Direction::Debit, reversal: true, ..entry };
        place(&entry, &books, &policy())
    };
    assert_eq!(
        reversal(with("B2")),
        Placement::Reversal { of: Some("b".into()), from: Some(target(2)), candidates: vec![] }
    );
    let unsure = |candidates: &[&str]| Placement::Reversal {
        of: None,
        from: None,
        candidates: candidates.iter().map(|c| (*c).to_owned()).collect(),
    };
    assert_eq!(reversal(with("B9")), unsure(&["a", "b"]));
    assert_eq!(reversal(entry(70, "")), unsure(&["c"]), "an amount alone is no proof");
    assert_eq!(reversal(entry(71, "")), unsure(&[]));
}

#[test]
fn outgoing_money_is_matched_to_payouts_by_their_reference() {
    let number = ProviderOrderNo::of_refund(target(1).payment, 1);
    let text = Reference::of(&number).to_string();
    let payouts = vec![Payout { number: number.clone(), money: cny(30) }];
    let books = Books::new(vec![], vec![], payouts);
    let debit = |minor, text: &str| Entry { direction: Direction::Debit, ..entry(minor, text) };
    let payout = |agrees| Placement::Payout { number: number.clone(), agrees };
    assert_eq!(place(&debit(30, &text), &books, &policy()), payout(true));
    assert_eq!(place(&debit(31, &text), &books, &policy()), payout(false));
    assert_eq!(place(&debit(30, "rent"), &books, &policy()), Placement::OtherDebit);
    assert_eq!(
        place(&entry(30, &format!("退汇 {text}")), &books, &policy()),
        Placement::PayoutReturned { number: number.clone(), agrees: true }
    );
}

#[test]
fn names_are_similar_when_they_may_be_one_persons() {
    for (a, b) in
        [("张三", "张三"), ("ZHANG SAN", "Zhang, San"), ("李四商贸", "上海李四商贸有限公司")]
    {
        assert!(similar(a, b), "{a} {b}");
    }
    for (a, b) in [("张三", "李四"), ("", ""), ("A", "AB"), ("Erika Mustermann", "Max Meier")] {
        assert!(!similar(a, b), "{a} {b}");
    }
}

/// Credits for three attempts, some without a reference, and reversals of some of them.
fn file() -> impl Strategy<Value = Vec<(String, Entry)>> {
    let row = (0..5_u8, 1..150_i64, 20..28_i8, any::<bool>());
    prop::collection::vec(row, 0..20).prop_map(|rows| {
        let mut entries = Vec::new();
        for (i, (n, minor, day, reversed)) in rows.into_iter().enumerate() {
            let text = if n < 3 { names(n) } else { String::new() };
            let credit = Entry {
                booked_on: date(2026, 11, day),
                bank_reference: Some(format!("B{i}")),
                ..entry(minor, &text)
            };
            if reversed {
                let booked_on = date(2026, 11, day + 1);
                let back = Entry {
                    booked_on,
                    direction: Direction::Debit,
                    reversal: true,
                    ..credit.clone()
                };
                entries.push(back);
            }
            entries.push(credit);
        }
        entries.into_iter().map(|e| (e.identity("42"), e)).collect()
    })
}

fn books() -> Books {
    let ended = Expectation { state: Standing::EndedUnpaid, ..expectation(2, 90) };
    Books::new(vec![expectation(0, 100), expectation(1, 250), ended], vec![], vec![])
}

fn totals(books: &Books) -> Vec<(i64, Standing)> {
    books.expectations.values().map(|e| (e.received_minor, e.state)).collect()
}

proptest! {
    #[test]
    fn the_order_of_a_file_says_nothing(
        (file, shuffled) in file().prop_flat_map(|f| (Just(f.clone()), Just(f).prop_shuffle())),
    ) {
        let (mut a, mut b) = (books(), books());
        let first = settle(&file, &mut a, &policy());
        let second = settle(&shuffled, &mut b, &policy());
        prop_assert_eq!(totals(&a), totals(&b));
        for (entry, placement) in shuffled.iter().zip(&second) {
            let at = file.iter().position(|other| other == entry).unwrap();
            prop_assert_eq!(placement, &first[at]);
        }
    }

    #[test]
    fn a_file_that_comes_twice_changes_nothing(file in file()) {
        let mut books = books();
        settle(&file, &mut books, &policy());
        let once = totals(&books);
        settle(&file, &mut books, &policy());
        prop_assert_eq!(totals(&books), once);
    }

    #[test]
    fn every_minor_unit_that_came_is_somewhere(file in file()) {
        let mut books = books();
        let placements = settle(&file, &mut books, &policy());
        let mut suspense = 0;
        let mut suspended = HashSet::new();
        for ((identity, entry), placement) in file.iter().zip(&placements) {
            match placement {
                Placement::Unreferenced { .. } => {
                    suspended.insert(identity.clone());
                    suspense += entry.amount.minor();
                }
                Placement::Reversal { of, from: None, .. } => {
                    prop_assert!(of.is_some(), "every reversal names its credit here");
                    suspense -= entry.amount.minor();
                }
                _ => {}
            }
        }
        let came: i64 = file.iter().map(|(_, e)| e.direction.sign() * e.amount.minor()).sum();
        let placed: i64 = books.expectations.values().map(|e| e.received_minor).sum();
        prop_assert_eq!(came, placed + suspense);
        for expectation in books.expectations.values() {
            // What is whole is captured once, and never more than was asked for (rule 14).
            let received_minor = expectation.received_minor;
            let whole = received_minor >= expectation.money.minor();
            let captured_minor = if whole { expectation.money.minor() } else { 0 };
            let ended = expectation.state != Standing::Open;
            let tally = Tally { received_minor, captured_minor, ended, ..Tally::default() };
            let shares = share(&tally, &ReturnPolicy::default());
            let somewhere =
                shares.captured_minor + shares.to_return_minor + shares.suspense_minor;
            prop_assert_eq!(received_minor, somewhere);
        }
    }

    #[test]
    fn nothing_is_placed_by_its_amount(minor in 1..300_i64, n in 0..3_u8) {
        let books = books();
        let money = books.expectations[&target(n)].money;
        for amount in [minor, money.minor()] {
            let placed = place(&entry(amount, "no reference"), &books, &policy());
            let is_unreferenced = matches!(placed, Placement::Unreferenced { .. });
            prop_assert!(is_unreferenced);
        }
    }
}
