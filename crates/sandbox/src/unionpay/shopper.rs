//! The customer's side: the cashier.

use std::sync::Arc;

use super::{UnionPayAccount, notify};
use crate::books::unionpay::Payment;
use crate::books::{Millis, ProviderKind, ShopperRefusal};
use crate::control::lock;
use crate::pages::{Bill, BillKind};
use crate::state::State;

/// The account and the payment behind a cashier's page.
pub(crate) fn find(state: &State, token: &str) -> Option<(Arc<UnionPayAccount>, Payment)> {
    state.unionpay.iter().find_map(|account| {
        let payment = lock(&account.book).by_token(token)?.clone();
        Some((Arc::clone(account), payment))
    })
}

/// The page of an order, by the merchant's number.
pub(crate) fn token_of(state: &State, account: Option<&str>, number: &str) -> Option<String> {
    state
        .unionpay
        .iter()
        .filter(|candidate| account.is_none_or(|name| name == candidate.name))
        .find_map(|candidate| lock(&candidate.book).token_of(number).map(str::to_owned))
}

/// The customer pays, and the merchant is told.
pub(crate) fn pay(
    state: &State,
    account: &Arc<UnionPayAccount>,
    token: &str,
    bank: Option<&str>,
    now: Millis,
) -> Result<Payment, ShopperRefusal> {
    let payment = lock(&account.book).pay(token, bank, now)?;
    notify::paid(state, account, &payment);
    Ok(payment)
}

/// The issuer refuses with a code. Anything that is no code is a customer who went away.
pub(crate) fn refuse(
    account: &UnionPayAccount,
    token: &str,
    code: &str,
    now: Millis,
) -> Result<(), ShopperRefusal> {
    if code.len() == 2 {
        return lock(&account.book).fail(token, code, now);
    }
    lock(&account.book).check(token, now)
}

/// What the cashier shows.
pub(crate) fn bill(
    account: &UnionPayAccount,
    payment: &Payment,
    refusal: Option<ShopperRefusal>,
) -> Bill {
    let status = match (&payment.debit, &payment.failure) {
        (Some(_), _) => "00",
        (None, Some(code)) => code,
        (None, None) => "34",
    };
    Bill {
        provider: ProviderKind::UnionPay,
        kind: BillKind::Wallet,
        account: account.name.clone(),
        token: payment.token.clone(),
        order_no: payment.spec.name.0.clone(),
        subject: payment.spec.description.clone(),
        amount_minor: payment.spec.amount,
        currency: "CNY".to_owned(),
        method: "union_pay",
        bank: payment.spec.bank.clone(),
        return_url: payment.spec.front_url.clone(),
        refusal,
        status: status.to_owned(),
    }
}
