//! The buyer's side: scanning, paying, walking away.

use std::sync::Arc;

use super::biz::bank_hint;
use super::{AlipayAccount, notify};
use crate::books::alipay::{Trade, TradeStatus};
use crate::books::{Millis, ProviderKind, ShopperRefusal};
use crate::clock;
use crate::control::lock;
use crate::pages::{Bill, BillKind};
use crate::state::State;

/// The account and the order behind a code.
pub(crate) fn find(state: &State, token: &str) -> Option<(Arc<AlipayAccount>, Trade)> {
    state.alipay.iter().find_map(|account| {
        let trade = lock(&account.book).by_token(token)?.clone();
        Some((Arc::clone(account), trade))
    })
}

/// The code of an order, by the merchant's number.
pub(crate) fn token_of(state: &State, account: Option<&str>, out_trade_no: &str) -> Option<String> {
    state
        .alipay
        .iter()
        .filter(|candidate| account.is_none_or(|name| name == candidate.name))
        .find_map(|candidate| lock(&candidate.book).token_of(out_trade_no).map(str::to_owned))
}

/// The buyer scans: the trade comes to exist.
pub(crate) fn open(
    account: &AlipayAccount,
    token: &str,
    now: Millis,
) -> Result<Trade, ShopperRefusal> {
    lock(&account.book).open(token, now).map(|trade| trade.clone())
}

/// The buyer pays, and the merchant is told.
pub(crate) fn pay(
    state: &State,
    account: &Arc<AlipayAccount>,
    token: &str,
    bank: Option<&str>,
    now: Millis,
) -> Result<Trade, ShopperRefusal> {
    let trade = lock(&account.book).pay(token, bank, now)?;
    notify::paid(state, account, &trade, now);
    Ok(trade)
}

/// What the cashier shows.
pub(crate) fn bill(
    account: &AlipayAccount,
    trade: &Trade,
    refusal: Option<ShopperRefusal>,
) -> Bill {
    Bill {
        provider: ProviderKind::Alipay,
        kind: BillKind::Wallet,
        account: account.name.clone(),
        token: trade.token.clone(),
        order_no: trade.spec.out_trade_no.clone(),
        subject: trade.spec.subject.clone(),
        amount_minor: trade.spec.total,
        currency: "CNY".to_owned(),
        method: "alipay",
        bank: trade.spec.bank.clone(),
        return_url: trade.spec.return_url.clone(),
        refusal,
        status: trade.status(clock::now_ms()).map_or("", TradeStatus::as_str).to_owned(),
    }
}

/// The bank that a create call's `biz_content` names.
pub(crate) fn bank_in(biz_content: &str) -> Option<String> {
    // Most orders name none, and then there is nothing to parse.
    if !biz_content.contains("bank") {
        return None;
    }
    let biz: serde_json::Value = serde_json::from_str(biz_content).ok()?;
    ["passback_params", "body"].iter().find_map(|field| bank_hint(biz.get(field)?.as_str()?))
}
