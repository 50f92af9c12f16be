use super::*;
use crate::books::EntryStatus;

fn book() -> StripeBook {
    StripeBook::new("main", 1)
}

fn spec(kind: MethodKind) -> IntentSpec {
    IntentSpec {
        amount: 1_000,
        currency: "usd".to_owned(),
        method_types: vec![kind],
        manual_capture: false,
        description: None,
        metadata: BTreeMap::from([("order_id".to_owned(), "o1".to_owned())]),
        return_url: Some("http://shop".to_owned()),
        customer: None,
    }
}

fn confirm_with(book: &mut StripeBook, id: &str, token: &str) -> Result<Change, IntentError> {
    let method = book.method(token, 0).unwrap();
    book.confirm(id, ConfirmSpec { method: Some(method), ..ConfirmSpec::default() }, 1)
}

#[test]
fn a_decline_leaves_the_intent_payable() {
    let mut book = book();
    let id = book.create(spec(MethodKind::Card), 0).id;
    let declined = confirm_with(&mut book, &id, "pm_card_visa_chargeDeclinedInsufficientFunds");
    let Err(IntentError::Declined(change)) = declined else { panic!("{declined:?}") };
    assert_eq!(change.intent.status, IntentStatus::RequiresPaymentMethod);
    assert_eq!(change.intent.last_error.unwrap().decline_code, Some("insufficient_funds"));
    let change = confirm_with(&mut book, &id, "pm_card_visa").unwrap();
    assert_eq!(change.intent.status, IntentStatus::Succeeded);
    assert_eq!(change.facts, [Fact::Succeeded]);
    assert_eq!(book.entries()[0].status, EntryStatus::Paid);
}

#[test]
fn at_most_one_success_and_no_cancel_after_it() {
    let mut book = book();
    let id = book.create(spec(MethodKind::Card), 0).id;
    confirm_with(&mut book, &id, "pm_card_visa").unwrap();
    let again = confirm_with(&mut book, &id, "pm_card_visa");
    assert!(matches!(again, Err(IntentError::UnexpectedState(..))));
    assert!(matches!(book.cancel(&id, None, 2), Err(IntentError::UnexpectedState(..))));
    assert_eq!(book.entries()[0].captured_minor, 1_000);
}

#[test]
fn cancel_closes_the_shoppers_link() {
    let mut book = book();
    let id = book.create(spec(MethodKind::Alipay), 0).id;
    let method = book.add_method(MethodKind::Alipay, None, 0);
    let confirm = ConfirmSpec { method: Some(method), ..ConfirmSpec::default() };
    let token = book.confirm(&id, confirm, 1).unwrap().intent.token;
    book.cancel(&id, None, 2).unwrap();
    let paid = book.complete(&token, true, None, 3);
    assert_eq!(paid.err(), Some(ShopperRefusal::Closed));
}

#[test]
fn manual_capture_holds_first() {
    let mut book = book();
    let id = book.create(IntentSpec { manual_capture: true, ..spec(MethodKind::Card) }, 0).id;
    let held = confirm_with(&mut book, &id, "pm_card_visa").unwrap().intent;
    assert_eq!((held.amount_capturable(), held.amount_received()), (1_000, 0));
    assert_eq!(book.entries()[0].status, EntryStatus::Authorised);
    let change = book.capture(&id, Some(600), 2).unwrap();
    assert_eq!(change.intent.amount_received(), 600);
    assert!(book.refund(&id, Some(601), None, BTreeMap::new(), 3).is_err());
}

#[test]
fn the_same_refund_twice_is_two_refunds() {
    let mut book = book();
    let id = book.create(spec(MethodKind::Card), 0).id;
    assert!(book.refund(&id, None, None, BTreeMap::new(), 1).is_err());
    confirm_with(&mut book, &id, "pm_card_visa").unwrap();
    for _ in 0..2 {
        book.refund(&id, Some(400), None, BTreeMap::new(), 2).unwrap();
    }
    let third = book.refund(&id, Some(400), None, BTreeMap::new(), 2);
    assert!(matches!(third, Err(IntentError::Parameter { .. })));
    book.refund(&id, None, None, BTreeMap::new(), 2).unwrap();
    let fourth = book.refund(&id, None, None, BTreeMap::new(), 2);
    assert!(matches!(fourth, Err(IntentError::AlreadyRefunded)));
    assert_eq!(book.entries()[0].status, EntryStatus::Refunded);
    assert_eq!(book.list_refunds(Some(&id), 10).len(), 3);
}

#[test]
fn authentication_waits_for_the_holder_unless_nobody_is_there() {
    let mut book = book();
    let id = book.create(spec(MethodKind::Card), 0).id;
    let waiting = confirm_with(&mut book, &id, "pm_card_authenticationRequired").unwrap().intent;
    assert_eq!(waiting.next_action, Some(NextAction::Authenticate));
    assert!(book.complete(&waiting.token, true, None, 2).is_ok());
    let id = book.create(spec(MethodKind::Card), 0).id;
    let method = book.method("pm_card_authenticationRequired", 0).unwrap();
    let confirm = ConfirmSpec { method: Some(method), off_session: true, ..ConfirmSpec::default() };
    assert!(matches!(book.confirm(&id, confirm, 1), Err(IntentError::Declined(_))));
}

#[test]
fn lists_are_newest_first_and_paged() {
    let mut book = book();
    let ids: Vec<String> =
        (0..5).map(|i| book.create(spec(MethodKind::Card), i * 1_000).id).collect();
    let mut spec = ListSpec {
        created_gte: 1,
        created_lte: 3,
        limit: 2,
        starting_after: None,
        ending_before: None,
    };
    let names = |page: &[Intent]| page.iter().map(|i| i.id.clone()).collect::<Vec<_>>();
    let (page, more) = book.list(&spec).unwrap();
    assert_eq!((names(&page), more), (vec![ids[3].clone(), ids[2].clone()], true));
    spec.starting_after = Some(ids[2].clone());
    let (page, more) = book.list(&spec).unwrap();
    assert_eq!((names(&page), more), (vec![ids[1].clone()], false));
    assert_eq!(book.with_metadata("order_id", "o1").len(), 5);
    assert!(book.with_metadata("order_id", "o2").is_empty());
}
