//! The payer's side: approving an order, or not. Approving moves no money.

use std::sync::Arc;

use super::{PaypalAccount, notify};
use crate::books::paypal::Order;
use crate::books::{Millis, ProviderKind, ShopperRefusal};
use crate::control::lock;
use crate::pages::{Bill, BillKind};
use crate::state::State;

/// The account and the order behind a page's token, which is the order's id.
pub(crate) fn find(state: &State, token: &str) -> Option<(Arc<PaypalAccount>, Order)> {
    state.paypal.iter().find_map(|account| {
        let order = lock(&account.book).page(token)?.clone();
        Some((Arc::clone(account), order))
    })
}

/// The newest order with this `custom_id`.
pub(crate) fn token_of(state: &State, account: Option<&str>, order_no: &str) -> Option<String> {
    state
        .paypal
        .iter()
        .filter(|candidate| account.is_none_or(|name| name == candidate.name))
        .find_map(|candidate| lock(&candidate.book).newest(order_no).map(|one| one.id.clone()))
}

/// Whether the payer could approve now.
pub(crate) fn check(
    account: &PaypalAccount,
    token: &str,
    now: Millis,
) -> Result<(), ShopperRefusal> {
    lock(&account.book).check(token, now)
}

pub(crate) fn approve(
    state: &State,
    account: &Arc<PaypalAccount>,
    token: &str,
    bank: Option<&str>,
    now: Millis,
) -> Result<Order, ShopperRefusal> {
    let order = lock(&account.book).approve(token, bank, now)?;
    notify::approved(state, account, &order, now);
    Ok(order)
}

/// What the payer's browser shows.
pub(crate) fn bill(
    account: &PaypalAccount,
    order: &Order,
    refusal: Option<ShopperRefusal>,
) -> Bill {
    let spec = &order.spec;
    let done = order.approved_at.is_some();
    Bill {
        provider: ProviderKind::Paypal,
        kind: BillKind::Wallet,
        account: account.name.clone(),
        token: order.id.clone(),
        order_no: order.number().to_owned(),
        subject: spec.description.clone().unwrap_or_else(|| order.id.clone()),
        amount_minor: spec.amount,
        currency: spec.currency.clone(),
        method: "paypal",
        bank: order.bank.clone(),
        return_url: if done { spec.return_url.clone() } else { spec.cancel_url.clone() },
        refusal,
        status: order.status().to_owned(),
    }
}
