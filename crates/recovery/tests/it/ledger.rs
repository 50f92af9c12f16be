//! What the ledger answers and what people may do, case by case.

use domain::*;
use recovery::bank::{BankError, NewTransfer};
use serde_json::json;
use store::{BankBooks, BankKind, Expecting, PayoutKind, PayoutState, TransferState};

use crate::town::{DAY, Town, Trouble, bank, mark, settings, shop, upload, word};

fn plain() -> Town {
    Town::new(settings(json!({})))
}

async fn suspended(town: &Town) -> store::Transfer {
    let found = town.transfers().await;
    let one = found.into_iter().find(|t| matches!(t.state, TransferState::Suspense { .. }));
    one.expect("one in suspense")
}

/// Rules 1 and 8: what is shown is in the books before, and the same after a crash.
#[tokio::test]
async fn rules_1_and_8_what_is_shown_is_durable_and_the_same_after_a_crash() {
    let account = json!({
        "identify_by": "virtual_account",
        "virtual_accounts": { "prefix": "6217", "serial_digits": 4 },
    });
    for trouble in [Trouble::DiesAfter, Trouble::UnknownDone] {
        let mut town = Town::new(settings(account.clone()));
        town.trouble(Some(trouble));
        let wish = town.next_order(500, &[Method::BankTransfer]);
        let again = wish.clone();
        town.until_death(async |town: &Town| town.engine.create(wish, None).await.map(drop)).await;
        town.wind(60);
        town.work().await;
        let (payment, _) = town.engine.create(again, None).await.unwrap();
        let payment = town.reload(payment.id).await;
        let allotments = town.allotments().await;
        // The create call that died is an orphan that nobody saw; it is closed, and its account
        // rests. Under UnknownDone the books were read back and the customer sees the account.
        assert_eq!(allotments.len(), 1, "{trouble:?}");
        match trouble {
            Trouble::UnknownDone => assert_eq!(mark(&payment), "62170000"),
            _ => {
                let state = &allotments.values().next().unwrap().state;
                assert!(matches!(state, Expecting::Closed { .. }), "{state:?}");
            }
        }
    }
}

/// A virtual account has one holder, and rests before it has another.
#[tokio::test]
async fn a_virtual_account_rests_before_it_is_given_out_again() {
    let mut town = Town::new(settings(json!({
        "identify_by": "virtual_account",
        "virtual_accounts": { "prefix": "6217", "serial_digits": 4 },
        "virtual_range": [5, 6],
        "quarantine_days": 30,
    })));
    let first = town.create(500).await;
    let second = town.create(500).await;
    assert_eq!((mark(&first), mark(&second)), ("62170005".into(), "62170006".into()));
    let none = town.create(500).await;
    assert_eq!(none.status(), Status::Unavailable, "both are taken");
    town.engine.cancel(&shop(), first.id).await.unwrap();
    town.wind(29 * DAY);
    assert_eq!(town.create(500).await.status(), Status::Unavailable, "it rests");
    town.wind(2 * DAY);
    let third = town.create(700).await;
    assert_eq!(mark(&third), "62170005");
    town.book(700, "62170005");
    town.import_all().await;
    assert_eq!(town.reload(third.id).await.status(), Status::Paid);
    assert_eq!(town.reload(first.id).await.status(), Status::Cancelled);
}

#[tokio::test]
async fn a_transfer_extends_the_life_that_the_merchant_did_not_choose() {
    let mut town = plain();
    let payment = town.create(500).await;
    assert_eq!(payment.expires_at.since(payment.created_at).as_secs(), 72 * 3600);
    let mut wish = town.next_order(500, &[Method::BankTransfer]);
    wish.expires_in = Some(std::time::Duration::from_secs(3600));
    let (short, _) = town.engine.create(wish, None).await.unwrap();
    assert_eq!(short.expires_at.since(short.created_at).as_secs(), 3600);
}

#[tokio::test]
async fn a_part_waits_and_goes_back_when_the_time_is_over() {
    let mut town = plain();
    let payment = town.create(500).await;
    town.book(200, &mark(&payment));
    town.import_all().await;
    let part = town.reload(payment.id).await;
    assert_eq!((part.status(), part.attempts[0].received_minor), (Status::RequiresCustomer, 200));
    town.wind(4 * DAY);
    town.work().await;
    assert_eq!(town.reload(payment.id).await.status(), Status::Expired);
    let payouts = town.payouts().await;
    assert_eq!((payouts.len(), payouts[0].kind), (1, PayoutKind::Part));
    assert_eq!((payouts[0].money.minor(), &payouts[0].state), (200, &PayoutState::Requested));
    assert_eq!(payouts[0].to_account.as_deref(), Some("ACC1"));
    // The rest comes after the end: it goes back as well.
    town.book(300, &mark(&part));
    town.import_all().await;
    assert_eq!(town.payouts().await.iter().map(|p| p.money.minor()).sum::<i64>(), 500);
}

/// Rule 6: a late transfer is fulfilled or refunded by the payment's own policy.
#[tokio::test]
async fn rule_6_a_late_transfer_settles_by_policy_even_if_the_process_died() {
    for (cancel, status) in [(false, Status::Paid), (true, Status::Cancelled)] {
        let mut town = plain();
        let payment = town.create(500).await;
        let reference = mark(&payment);
        if cancel {
            town.engine.cancel(&shop(), payment.id).await.unwrap();
        }
        town.wind(4 * DAY);
        town.work().await;
        town.book(500, &reference);
        // The books have it, and the process dies before the engine is told.
        town.trouble(Some(Trouble::DiesAfter));
        let file = upload(&town.account);
        let died = town
            .until_death(async |town: &Town| town.desk.import(&bank(), &file).await.is_ok())
            .await;
        assert_eq!(died, None);
        assert_ne!(town.reload(payment.id).await.status(), Status::Paid);
        assert!(town.desk.tell().await.unwrap() > 0);
        assert_eq!(town.reload(payment.id).await.status(), status);
        let payouts = town.work_and_payouts().await;
        let refunds = payouts.iter().filter(|p| p.kind == PayoutKind::Refund).count();
        assert_eq!(refunds, usize::from(cancel), "a cancelled one goes back");
        assert_eq!(town.desk.tell().await.unwrap(), 0, "told once");
    }
}

/// Rule 2: paid by the wallet and by a transfer, the later one goes back.
#[tokio::test]
async fn rule_2_paid_elsewhere_and_by_transfer_the_later_goes_back() {
    let mut town = plain();
    let wish = town.next_order(500, &[Method::BankTransfer, Method::Alipay]);
    let (payment, _) = town.engine.create(wish, None).await.unwrap();
    let reference = mark(&payment);
    let switched = town.engine.switch(&shop(), payment.id, Some(Method::Alipay)).await.unwrap();
    let code = switched.attempts.last().unwrap().number.clone();
    assert!(town.wallet.pay(&code));
    town.book(500, &reference);
    town.import_all().await;
    assert_eq!(town.reload(payment.id).await.status(), Status::Paid, "by the transfer");
    town.wind(DAY);
    town.work().await;
    let after = town.reload(payment.id).await;
    let captured = after.attempts.iter().filter(|a| a.receipt().is_some()).count();
    assert_eq!((captured, after.refunds.len()), (1 + 1, 1), "{after:?}");
    assert_eq!(after.refunds[0].reason, RefundReason::Duplicate);
    assert_eq!(after.refunds[0].attempt, 2, "the later one");
}

/// Rule 12: nobody moves money alone, and whoever comes second is told what is.
#[tokio::test]
async fn rule_12_a_match_takes_two_people() {
    let mut town = plain();
    let payment = town.create(500).await;
    town.book(500, "for the tea");
    town.import_all().await;
    let transfer = suspended(&town).await;
    let ledger = town.desk.ledger();
    let id = payment.id.to_string();
    assert_eq!(
        town.desk.approve(&transfer.id, &word("li")).await,
        Err(BankError::WrongState { is: "suspense".into(), wanted: "proposed" })
    );
    ledger.propose_match(&transfer.id, &id, &word("li")).await.unwrap();
    let same = town.desk.approve(&transfer.id, &word("li")).await;
    assert_eq!(same, Err(BankError::SamePerson("li".into())));
    // Two people approve at the same moment: one does it, the other is told.
    let (li, wang) = (word("chen"), word("wang"));
    let (a, b) =
        tokio::join!(town.desk.approve(&transfer.id, &li), town.desk.approve(&transfer.id, &wang));
    assert_eq!([a.is_ok(), b.is_ok()].iter().filter(|ok| **ok).count(), 1, "{a:?} {b:?}");
    assert_eq!(town.reload(payment.id).await.status(), Status::Paid);
    assert!(town.payouts().await.is_empty(), "counted once");
    let history = town.store.bank_history(&transfer.id).await.unwrap();
    let told: Vec<&str> = history.iter().map(|l| l.action.as_str()).collect();
    assert_eq!(told, ["suspense", "match proposed", "counted", "approved"]);
}

#[tokio::test]
async fn another_currency_is_for_people_and_only_to_be_returned() {
    let mut town = plain();
    let mut wish = town.next_order(500, &[Method::BankTransfer]);
    wish.money = Money::new(500, Currency::USD).unwrap();
    let (payment, _) = town.engine.create(wish, None).await.unwrap();
    town.book(500, &mark(&payment));
    town.import_all().await;
    let transfer = suspended(&town).await;
    assert_eq!(transfer.state, TransferState::Suspense { why: "wrong_currency".into() });
    let id = payment.id.to_string();
    let refused = town.desk.ledger().propose_match(&transfer.id, &id, &word("li")).await;
    assert_eq!(refused, Err(BankError::WrongCurrency));
    town.desk.ledger().propose_return(&transfer.id, &word("li")).await.unwrap();
    town.desk.approve(&transfer.id, &word("wang")).await.unwrap();
    assert_eq!(town.payouts().await[0].kind, PayoutKind::Return);
}

#[tokio::test]
async fn two_uploads_at_once_and_overlapping_ones_count_once() {
    let mut town = plain();
    let payments = [town.create(500).await, town.create(600).await];
    town.book(500, &mark(&payments[0]));
    town.book(600, &mark(&payments[1]));
    let (all, half) = (upload(&town.account), upload(&town.account[1..]));
    let desk = &town.desk;
    let channel = bank();
    let (a, b, c) = tokio::join!(
        desk.import(&channel, &all),
        desk.import(&channel, &all),
        desk.import(&channel, &half)
    );
    let counts = [a.unwrap().file.counts, b.unwrap().file.counts, c.unwrap().file.counts];
    assert_eq!(counts.iter().map(|c| c.matched).sum::<u64>(), 2, "{counts:?}");
    assert_eq!(counts.iter().map(|c| c.known).sum::<u64>(), 3, "{counts:?}");
    for payment in payments {
        assert_eq!(town.reload(payment.id).await.status(), Status::Paid);
    }
    assert!(town.payouts().await.is_empty());
    assert_eq!(town.records(BankKind::Statement).await.len(), 2);
}

#[tokio::test]
async fn what_staff_recorded_counts_only_with_a_second_word_or_a_statement() {
    let mut town = plain();
    let payment = town.create(500).await;
    let new = NewTransfer {
        money: Money::new(500, Currency::CNY).unwrap(),
        booked_on: "2026-11-24".into(),
        payer_name: None,
        payer_account: None,
        bank_reference: None,
        target: mark(&payment),
    };
    let recorded = town.desk.record(&bank(), &new, &word("li")).await.unwrap();
    assert_eq!(town.reload(payment.id).await.status(), Status::RequiresCustomer);
    town.desk.ledger().reject(&recorded.id, &word("wang")).await.unwrap();
    let again = town.desk.record(&bank(), &new, &word("li")).await.unwrap();
    town.book(500, &mark(&payment));
    let done = town.import_all().await;
    assert_eq!((done.file.counts.reconciled, done.file.counts.matched), (1, 0));
    assert_eq!(town.reload(payment.id).await.status(), Status::Paid);
    let gone = town.desk.approve(&again.id, &word("wang")).await;
    assert!(matches!(gone, Err(BankError::WrongState { .. })), "{gone:?}");
    assert!(town.payouts().await.is_empty(), "it came once");
}

/// Rule 14: what the bank takes back after the capture lowers nothing, and a person looks.
#[tokio::test]
async fn rule_14_a_reversal_flags_and_never_lowers_paid() {
    let words = json!({ "credit": ["C"], "debit": ["D"], "credit_reversal": ["RC"] });
    let mut town = Town::new(settings(json!({ "statements": [{
        "type": "csv", "account": "62220001", "currency": "CNY", "words": words,
        "columns": { "booked_on": "date", "amount": "amount", "direction": "way",
                     "bank_reference": "id", "text": ["text"] },
    }] })));
    let payment = town.create(500).await;
    let file = |lines: &[String]| {
        let text = format!("date,amount,way,id,text\n{}\n", lines.join("\n"));
        recovery::bank::Upload { bytes: text.into_bytes(), ..upload(&[]) }
    };
    let came = format!("2026-11-24,5.00,C,B1,{}", mark(&payment));
    town.desk.import(&bank(), &file(std::slice::from_ref(&came))).await.unwrap();
    assert_eq!(town.reload(payment.id).await.status(), Status::Paid);
    let back = "2026-11-25,5.00,RC,B1,returned".to_owned();
    for _ in 0..2 {
        let done = town.desk.import(&bank(), &file(&[came.clone(), back.clone()])).await.unwrap();
        assert!(done.file.counts.reversed <= 1);
    }
    let after = town.reload(payment.id).await;
    assert_eq!((after.status(), after.review), (Status::Paid, Some(Review::MoneyReversed)));
    let allotment = town.allotments().await.into_values().next().unwrap();
    assert_eq!((allotment.received_minor, allotment.reversed_minor), (500, 500));
}

#[tokio::test]
async fn a_refund_is_a_payout_that_a_statement_proves() {
    let mut town = plain();
    let payment = town.create(500).await;
    town.book(500, &mark(&payment));
    town.import_all().await;
    let (after, ..) = town.engine.refund(&shop(), payment.id, None, None, None).await.unwrap();
    assert!(after.refunds[0].is_live());
    let payout = town.payouts().await.pop().unwrap();
    assert_eq!(payout.id, after.refunds[0].number.as_str());
    town.book(-500, &payout.reference);
    assert_eq!(town.import_all().await.file.counts.payouts, 1);
    assert_eq!(town.reload(payment.id).await.status(), Status::Refunded);
    // It comes back: the merchant was told that it had gone, so a person looks.
    town.book(500, &payout.reference);
    town.import_all().await;
    let flagged = town.reload(payment.id).await;
    assert_eq!((flagged.status(), flagged.review), (Status::Refunded, Some(Review::RefundStuck)));
    assert_eq!(town.payouts().await[0].state.name(), "failed");
}

#[tokio::test]
async fn a_refund_goes_to_whoever_paid_and_not_to_whoever_paid_again() {
    let mut town = plain();
    let payment = town.create(500).await;
    town.book(500, &mark(&payment));
    town.import_all().await;
    let paid_by = town.transfers().await.pop().unwrap();
    town.book(500, &mark(&payment));
    town.import_all().await;
    let (after, ..) = town.engine.refund(&shop(), payment.id, None, None, None).await.unwrap();
    let number = after.refunds[0].number.as_str().to_owned();
    let payouts = town.payouts().await;
    let refund = payouts.iter().find(|payout| payout.id == number).unwrap();
    assert_eq!(refund.transfer.as_ref(), Some(&paid_by.id));
    let again = payouts.iter().find(|payout| payout.kind == PayoutKind::Excess).unwrap();
    assert_ne!(again.transfer, refund.transfer);
}

/// Rule 16: an unknown commit is read back, and done again only if it was not done.
#[tokio::test]
async fn rule_16_an_unknown_commit_is_read_back() {
    for trouble in [Trouble::UnknownDone, Trouble::UnknownNot, Trouble::Failed] {
        let mut town = plain();
        let payment = town.create(500).await;
        town.book(500, &mark(&payment));
        town.trouble(Some(trouble));
        let first = town.import(&town.account).await;
        assert_eq!(first.is_ok(), trouble == Trouble::UnknownDone, "{trouble:?}");
        let second = town.import_all().await;
        assert_eq!(second.file.counts.known, u64::from(trouble == Trouble::UnknownDone));
        assert_eq!(town.reload(payment.id).await.status(), Status::Paid);
        assert_eq!(town.transfers().await.len(), 1);
    }
}

impl Town {
    async fn work_and_payouts(&self) -> Vec<store::Payout> {
        self.work().await;
        self.payouts().await
    }
}
