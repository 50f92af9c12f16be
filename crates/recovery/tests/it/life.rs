//! Whole lives of a bank channel under every trouble: customers who pay exactly, in parts, too
//! much, late, without a reference and twice over; a wallet that is paid as well; overlapping
//! statements; clerks who agree, refuse and get in each other's way; processes that die at any
//! commit of the ledger. When troubles stop, everything must end, and every minor unit that
//! came must be somewhere (rules 2, 5, 6, 14, 16 and 17).

use std::collections::BTreeMap;

use domain::*;
use proptest::prelude::*;
use serde_json::json;
use store::{BankKind, BankRecord, PayoutKind, PayoutState, TransferState};

use crate::town::{DAY, Town, Trouble, bank, settings, shop, upload, word};

/// One thing that happens. Numbers pick among what there is.
#[derive(Clone, Debug)]
enum Act {
    Order {
        minor: i64,
        both: bool,
    },
    /// A transfer for some payment: per cent of its amount.
    Transfer {
        which: usize,
        percent: i64,
    },
    /// A transfer that names nothing.
    Stray {
        minor: i64,
    },
    /// Two payments' references in one text.
    Double {
        which: usize,
    },
    PayByWallet {
        which: usize,
    },
    Switch {
        which: usize,
        to_wallet: bool,
    },
    Cancel {
        which: usize,
    },
    Refund {
        which: usize,
        percent: i64,
    },
    /// A statement of some of the account's movements.
    Statement {
        from: usize,
        len: usize,
    },
    Propose {
        which: usize,
        payment: usize,
        back: bool,
        by: usize,
    },
    Approve {
        which: usize,
        by: usize,
    },
    Reject {
        which: usize,
        by: usize,
    },
    Send {
        which: usize,
        by: usize,
        shown: bool,
    },
    Confirm {
        which: usize,
        by: usize,
    },
    Wind {
        seconds: i64,
    },
    Work,
    Trouble(Trouble),
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let which = || 0..8_usize;
    let by = || 0..3_usize;
    let trouble = prop_oneof![
        Just(Trouble::Failed),
        Just(Trouble::UnknownDone),
        Just(Trouble::UnknownNot),
        Just(Trouble::DiesBefore),
        Just(Trouble::DiesAfter),
    ];
    let act = prop_oneof![
        4 => (100..2_000_i64, any::<bool>()).prop_map(|(minor, both)| Act::Order { minor, both }),
        6 => (which(), prop_oneof![Just(100), Just(100), Just(40), Just(60), Just(130)])
            .prop_map(|(which, percent)| Act::Transfer { which, percent }),
        1 => (1..500_i64).prop_map(|minor| Act::Stray { minor }),
        1 => which().prop_map(|which| Act::Double { which }),
        1 => which().prop_map(|which| Act::PayByWallet { which }),
        1 => (which(), any::<bool>())
            .prop_map(|(which, to_wallet)| Act::Switch { which, to_wallet }),
        1 => which().prop_map(|which| Act::Cancel { which }),
        1 => (which(), 1..101_i64).prop_map(|(which, percent)| Act::Refund { which, percent }),
        6 => (0..20_usize, 1..20_usize).prop_map(|(from, len)| Act::Statement { from, len }),
        2 => (which(), which(), any::<bool>(), by())
            .prop_map(|(which, payment, back, by)| Act::Propose { which, payment, back, by }),
        3 => (which(), by()).prop_map(|(which, by)| Act::Approve { which, by }),
        1 => (which(), by()).prop_map(|(which, by)| Act::Reject { which, by }),
        1 => (which(), by(), any::<bool>())
            .prop_map(|(which, by, shown)| Act::Send { which, by, shown }),
        1 => (which(), by()).prop_map(|(which, by)| Act::Confirm { which, by }),
        3 => prop_oneof![Just(60), Just(3_600), Just(DAY), Just(4 * DAY)]
            .prop_map(|seconds| Act::Wind { seconds }),
        3 => Just(Act::Work),
        4 => trouble.prop_map(Act::Trouble),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 5..60)
}

const PEOPLE: [&str; 3] = ["li", "wang", "chen"];

fn pick<T: Clone>(all: &[T], n: usize) -> Option<T> {
    all.get(n % all.len().max(1)).cloned()
}

/// The reference of a payment's first attempt by transfer, whatever has become of it.
async fn reference(town: &Town, payment: &Payment) -> Option<String> {
    let attempt = payment.attempts.iter().rev().find(|a| a.method == Method::BankTransfer)?;
    let shown = town.allotments().await.remove(attempt.number.as_str())?.shown;
    match shown {
        Presentation::BankTransfer(to) => to.reference,
        _ => None,
    }
}

async fn happen(town: &mut Town, act: &Act) {
    let payments = town.payments().await;
    match act {
        Act::Order { minor, both } => {
            let methods: &[Method] = if *both {
                &[Method::BankTransfer, Method::Alipay]
            } else {
                &[Method::BankTransfer]
            };
            let wish = town.next_order(*minor, methods);
            town.until_death(async |town: &Town| town.engine.create(wish, None).await.map(drop))
                .await;
        }
        Act::Transfer { which, percent } => {
            let Some(payment) = pick(&payments, *which) else { return };
            let Some(reference) = reference(town, &payment).await else { return };
            let minor = (payment.money.minor() * percent / 100).max(1);
            town.book(minor, &format!("order {reference}"));
        }
        Act::Stray { minor } => drop(town.book(*minor, "greetings")),
        Act::Double { which } => {
            let (Some(a), Some(b)) = (pick(&payments, *which), pick(&payments, which + 1)) else {
                return;
            };
            let (a, b) = (reference(town, &a).await, reference(town, &b).await);
            if let (Some(a), Some(b)) = (a, b) {
                town.book(250, &format!("{a} / {b}"));
            }
        }
        Act::PayByWallet { which } => {
            let Some(payment) = pick(&payments, *which) else { return };
            let codes = payment.attempts.iter().filter(|a| a.method == Method::Alipay);
            for attempt in codes {
                town.wallet.pay(&attempt.number);
            }
        }
        Act::Switch { which, to_wallet } => {
            let Some(payment) = pick(&payments, *which) else { return };
            let method = if *to_wallet { Method::Alipay } else { Method::BankTransfer };
            town.until_death(async |town: &Town| {
                town.engine.switch(&shop(), payment.id, Some(method)).await.map(drop)
            })
            .await;
        }
        Act::Cancel { which } => {
            let Some(payment) = pick(&payments, *which) else { return };
            town.until_death(async |town: &Town| {
                town.engine.cancel(&shop(), payment.id).await.map(drop)
            })
            .await;
        }
        Act::Refund { which, percent } => {
            let Some(payment) = pick(&payments, *which) else { return };
            let minor = (payment.money.minor() * percent / 100).max(1);
            let amount = Money::new(minor, Currency::CNY).ok();
            town.until_death(async |town: &Town| {
                town.engine.refund(&shop(), payment.id, amount, None, None).await.map(drop)
            })
            .await;
        }
        Act::Statement { from, len } => {
            let from = from % town.account.len().max(1);
            let to = town.account.len().min(from + len);
            let file = upload(&town.account[from..to]);
            town.until_death(async |town: &Town| town.desk.import(&bank(), &file).await.map(drop))
                .await;
        }
        Act::Wind { seconds } => town.wind(*seconds),
        Act::Work => {
            town.until_death(async |town: &Town| town.work().await).await;
        }
        Act::Trouble(trouble) => town.trouble(Some(*trouble)),
        Act::Restart => town.restart(),
        people => by_people(town, people, &payments).await,
    }
}

async fn by_people(town: &mut Town, act: &Act, payments: &[Payment]) {
    let (transfers, payouts) = (town.transfers().await, town.payouts().await);
    match act {
        Act::Propose { which, payment, back, by } => {
            let lost: Vec<_> = transfers
                .iter()
                .filter(|t| matches!(t.state, TransferState::Suspense { .. }))
                .map(|t| t.id.clone())
                .collect();
            let Some(id) = pick(&lost, *which) else { return };
            let target = pick(payments, *payment).map(|p| p.id.to_string()).unwrap_or_default();
            let word = word(PEOPLE[*by]);
            town.until_death(async |town: &Town| {
                let ledger = town.desk.ledger();
                if *back {
                    ledger.propose_return(&id, &word).await.map(drop)
                } else {
                    ledger.propose_match(&id, &target, &word).await.map(drop)
                }
            })
            .await;
        }
        Act::Approve { which, by } | Act::Reject { which, by } => {
            let Some(transfer) = pick(&transfers, *which) else { return };
            let (word, agree) = (word(PEOPLE[*by]), matches!(act, Act::Approve { .. }));
            let proposer = match &transfer.state {
                TransferState::Proposed { by, .. } => Some(by.clone()),
                _ => None,
            };
            let done = town
                .until_death(async |town: &Town| {
                    if agree {
                        town.desk.approve(&transfer.id, &word).await
                    } else {
                        town.desk.ledger().reject(&transfer.id, &word).await
                    }
                })
                .await;
            if let Some(Ok(_)) = done {
                assert!(proposer.is_some(), "only what is proposed is decided");
                assert!(!agree || proposer != Some(word.by), "rule 12: two people");
            }
        }
        Act::Send { which, by, shown } => {
            let Some(payout) = pick(&payouts, *which) else { return };
            let word = word(PEOPLE[*by]);
            let sent = town
                .until_death(async |town: &Town| {
                    town.desk.ledger().payout_sent(&payout.id, &word).await
                })
                .await;
            if *shown && matches!(sent, Some(Ok(_))) {
                town.book(-payout.money.minor(), &payout.reference);
            }
        }
        Act::Confirm { which, by } => {
            let Some(payout) = pick(&payouts, *which) else { return };
            let word = word(PEOPLE[*by]);
            let sender = match &payout.state {
                PayoutState::Sent { by, .. } => Some(by.clone()),
                _ => None,
            };
            let done = town
                .until_death(async |town: &Town| town.desk.payout_confirm(&payout.id, &word).await)
                .await;
            if let Some(Ok(_)) = done {
                assert!(sender.is_some() && sender != Some(word.by), "rule 12: two people");
            }
        }
        _ => {}
    }
}

/// Troubles stop: everything that came is in a statement, people do their work, time passes.
async fn finish(town: &mut Town) {
    town.trouble(None);
    town.restart();
    for round in 0..6 {
        town.desk.tell().await.unwrap();
        town.import_all().await;
        for transfer in town.transfers().await {
            if matches!(transfer.state, TransferState::Suspense { .. }) {
                town.desk.ledger().propose_return(&transfer.id, &word("li")).await.unwrap();
            }
        }
        for transfer in town.transfers().await {
            if let TransferState::Proposed { by, .. } = &transfer.state {
                let other = PEOPLE.iter().find(|p| **p != by).unwrap();
                town.desk.approve(&transfer.id, &word(other)).await.unwrap();
            }
        }
        for payout in town.payouts().await {
            if matches!(payout.state, PayoutState::Requested | PayoutState::Held) {
                town.desk.ledger().payout_sent(&payout.id, &word("li")).await.unwrap();
                town.book(-payout.money.minor(), &payout.reference);
            }
            if let PayoutState::Sent { by, .. } = &payout.state {
                let other = PEOPLE.iter().find(|p| **p != by).unwrap();
                town.desk.payout_confirm(&payout.id, &word(other)).await.unwrap();
            }
        }
        town.wind(if round < 3 { 2 * DAY } else { 3_600 });
        town.work().await;
    }
}

/// Every minor unit that the bank booked is in exactly one place.
async fn check_money(town: &Town) {
    let came: i64 = town.account.iter().map(|m| m.minor).filter(|minor| *minor > 0).sum();
    let transfers = town.transfers().await;
    let known: i64 = transfers.iter().map(|t| t.money.minor()).sum();
    assert_eq!(came, known, "every credit is in the books once");
    let suspense: i64 = transfers
        .iter()
        .filter(|t| {
            matches!(t.state, TransferState::Suspense { .. } | TransferState::Proposed { .. })
        })
        .map(|t| t.money.minor())
        .sum();
    let counted: i64 = town.allotments().await.values().map(|a| a.received_minor).sum();
    let owed: i64 = town
        .payouts()
        .await
        .iter()
        .filter(|p| p.kind != PayoutKind::Refund)
        .map(|p| p.money.minor())
        .sum();
    assert_eq!(came, counted + suspense + owed, "received = counted + suspense + given back");
}

/// What the payments say is what the ledger and the wallet say.
async fn check_payments(town: &Town) {
    let allotments = town.allotments().await;
    for payment in town.payments().await {
        let stuck = format!("{payment:#?}");
        assert!(payment.is_settled(), "rule 17: {stuck}");
        let kept: Vec<u16> = payment
            .attempts
            .iter()
            .filter(|a| a.receipt().is_some() && payment.refundable_minor(a.ordinal) > 0)
            .map(|a| a.ordinal)
            .collect();
        assert!(kept.len() <= 1, "rule 2: {stuck}");
        for attempt in payment.attempts.iter().filter(|a| a.method == Method::BankTransfer) {
            let Some(allotment) = allotments.get(attempt.number.as_str()) else { continue };
            let paid = matches!(allotment.state, store::Expecting::Paid { .. });
            let captured = attempt.receipt().map(|r| r.captured.minor());
            let booked = paid.then_some(allotment.received_minor);
            assert_eq!(captured, booked, "rule 6: {stuck}");
        }
    }
    let payouts: BTreeMap<String, _> =
        town.payouts().await.into_iter().map(|p| (p.id.clone(), p)).collect();
    for refund in town.payments().await.iter().flat_map(|p| p.refunds.clone()) {
        if let Some(payout) = payouts.get(refund.number.as_str()) {
            let gone = matches!(refund.progress, RefundProgress::Succeeded { .. });
            assert_eq!(gone, matches!(payout.state, PayoutState::Confirmed { .. }), "{refund:?}");
        }
    }
}

/// Nothing that is open is out of sight: rule 17's "a person's queue".
async fn check_nothing_hides(town: &Town) {
    for record in town.records(BankKind::Allotment).await {
        let BankRecord::Allotment(a) = record else { continue };
        assert!(!a.news, "everything was told: {a:?}");
        assert!(!matches!(a.state, store::Expecting::Open), "nothing is waited for: {a:?}");
    }
    assert_eq!(town.desk.tell().await, Ok(0));
}

fn live(more: serde_json::Value, acts: &[Act]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut town = Town::new(settings(more));
        let mut paid: Vec<PaymentId> = Vec::new();
        for act in acts {
            happen(&mut town, act).await;
            for payment in town.payments().await {
                let is_paid = matches!(payment.state, PaymentState::Paid { .. });
                assert!(is_paid || !paid.contains(&payment.id), "rule 14: paid stays paid");
                if is_paid && !paid.contains(&payment.id) {
                    paid.push(payment.id);
                }
            }
        }
        finish(&mut town).await;
        check_money(&town).await;
        check_payments(&town).await;
        check_nothing_hides(&town).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn rules_2_5_6_14_16_17_money_is_conserved_and_everything_ends(acts in acts()) {
        live(json!({}), &acts);
    }

    #[test]
    fn rules_2_5_6_14_16_17_hold_where_everything_is_kept_for_people(acts in acts()) {
        live(
            json!({ "over": "hold", "part": "hold", "late": "suspense", "short_max_minor": 0 }),
            &acts,
        );
    }
}
