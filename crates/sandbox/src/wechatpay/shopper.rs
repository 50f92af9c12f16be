//! The shopper's side: paying by a code, a link or a prepay id.

use std::sync::Arc;

use super::{WechatPayAccount, notify};
use crate::books::wechatpay::Order;
use crate::books::{Millis, ProviderKind, ShopperRefusal};
use crate::clock;
use crate::control::lock;
use crate::pages::{Bill, BillKind};
use crate::state::State;

/// The account and the order behind a code.
pub(crate) fn find(state: &State, token: &str) -> Option<(Arc<WechatPayAccount>, Order)> {
    state.wechatpay.iter().find_map(|account| {
        let order = lock(&account.book).by_token(token)?.clone();
        Some((Arc::clone(account), order))
    })
}

/// The newest code of an order, by the merchant's number.
pub(crate) fn token_of(state: &State, account: Option<&str>, out_trade_no: &str) -> Option<String> {
    state
        .wechatpay
        .iter()
        .filter(|candidate| account.is_none_or(|name| name == candidate.name))
        .find_map(|candidate| {
            let book = lock(&candidate.book);
            book.by_number(out_trade_no).ok().map(|order| order.token.clone())
        })
}

/// Whether this code could be paid now.
pub(crate) fn check(
    account: &WechatPayAccount,
    token: &str,
    now: Millis,
) -> Result<(), ShopperRefusal> {
    lock(&account.book).check(token, now).map(|_| ())
}

/// The shopper pays, and the merchant is told.
pub(crate) fn pay(
    state: &State,
    account: &Arc<WechatPayAccount>,
    token: &str,
    bank: Option<&str>,
    now: Millis,
) -> Result<Order, ShopperRefusal> {
    let order = lock(&account.book).pay(token, bank, now)?;
    notify::paid(state, account, &order, now);
    Ok(order)
}

/// What the shopper's phone shows.
pub(crate) fn bill(
    account: &WechatPayAccount,
    order: &Order,
    token: &str,
    refusal: Option<ShopperRefusal>,
) -> Bill {
    Bill {
        provider: ProviderKind::WechatPay,
        kind: BillKind::Wallet,
        account: account.name.clone(),
        token: token.to_owned(),
        order_no: order.spec.out_trade_no.clone(),
        subject: order.spec.description.clone(),
        amount_minor: order.spec.total,
        currency: "CNY".to_owned(),
        method: "wechat_pay",
        bank: order.spec.bank.clone(),
        return_url: None,
        refusal,
        status: order.state(clock::now_ms()).as_str().to_owned(),
    }
}
