//! The shopper's side: entering a card, authenticating, scanning, following a link.

use std::sync::Arc;

use super::{StripeAccount, notify};
use crate::books::stripe::{
    Card, Change, ConfirmSpec, Intent, IntentError, IntentStatus, MethodKind, NextAction,
};
use crate::books::{Millis, ProviderKind, ShopperRefusal};
use crate::control::lock;
use crate::pages::{Bill, BillKind};
use crate::state::State;

/// What came of a try to pay.
pub(crate) enum Tried {
    /// Paid or held.
    Paid(Intent),
    /// The card was declined, with this code.
    Declined(Intent, String),
    /// The holder has to do something first, at this token.
    Waiting(Intent),
}

const NOBODY: notify::Origin<'static> = notify::Origin { request: None, key: None };

/// The account and the intent behind a link's token, an intent's id or a client secret.
pub(crate) fn find(state: &State, code: &str) -> Option<(Arc<StripeAccount>, Intent)> {
    state.stripe.iter().find_map(|account| {
        let book = lock(&account.book);
        let by_secret = || {
            let (id, _) = code.split_once("_secret_")?;
            book.intent(id).ok().filter(|intent| intent.client_secret == code)
        };
        let intent =
            book.by_token(code).or_else(|| book.intent(code).ok()).or_else(by_secret)?.clone();
        Some((Arc::clone(account), intent))
    })
}

/// The newest token of the newest intent with this order id in its metadata, or of this id.
pub(crate) fn token_of(state: &State, account: Option<&str>, order_no: &str) -> Option<String> {
    state
        .stripe
        .iter()
        .filter(|candidate| account.is_none_or(|name| name == candidate.name))
        .find_map(|candidate| {
            let book = lock(&candidate.book);
            let by_order = book.with_metadata("order_id", order_no).into_iter().next();
            by_order.or_else(|| book.intent(order_no).ok().cloned()).map(|intent| intent.token)
        })
}

/// Whether the shopper could act through this token now.
pub(crate) fn check(account: &StripeAccount, token: &str) -> Result<(), ShopperRefusal> {
    lock(&account.book).check(token).map(|_| ())
}

/// Finishes what `next_action` asked for.
pub(crate) fn complete(
    state: &State,
    account: &Arc<StripeAccount>,
    token: &str,
    pays: bool,
    bank: Option<&str>,
    now: Millis,
) -> Result<Tried, ShopperRefusal> {
    let change = lock(&account.book).complete(token, pays, bank, now)?;
    notify::tell(state, account, &change, NOBODY, now);
    Ok(tried(change))
}

/// Enters a card on the merchant's page, as a browser with the client secret does.
pub(crate) fn enter_card(
    state: &State,
    account: &Arc<StripeAccount>,
    token: &str,
    number: &str,
    now: Millis,
) -> Result<Tried, ShopperRefusal> {
    let card = Card::from_number(number, 12, 2034).ok_or(ShopperRefusal::Unknown)?;
    let result = {
        let mut book = lock(&account.book);
        let id = book.check(token)?.id.clone();
        let method = book.add_method(MethodKind::Card, Some(card), now);
        book.confirm(&id, ConfirmSpec { method: Some(method), ..ConfirmSpec::default() }, now)
    };
    let change = match result {
        Ok(change) => change,
        Err(IntentError::Declined(change)) => *change,
        // The intent takes no cards, or its state changed in between.
        Err(_) => return Err(ShopperRefusal::Closed),
    };
    notify::tell(state, account, &change, NOBODY, now);
    Ok(tried(change))
}

fn tried(change: Change) -> Tried {
    let intent = change.intent;
    match intent.status {
        IntentStatus::Succeeded | IntentStatus::RequiresCapture => Tried::Paid(intent),
        IntentStatus::RequiresAction => Tried::Waiting(intent),
        _ => {
            let error = intent.last_error.as_ref();
            let code = error.map_or("declined", |error| error.decline_code.unwrap_or(error.code));
            let code = code.to_owned();
            Tried::Declined(intent, code)
        }
    }
}

/// What the shopper's browser or phone shows.
pub(crate) fn bill(
    account: &StripeAccount,
    intent: &Intent,
    refusal: Option<ShopperRefusal>,
) -> Bill {
    let waits = intent.status == IntentStatus::RequiresAction;
    let (kind, method) = match intent.next_action.filter(|_| waits) {
        Some(NextAction::AlipayRedirect) => (BillKind::Wallet, "alipay"),
        Some(NextAction::WechatPayQr) => (BillKind::Wallet, "wechat_pay"),
        Some(NextAction::Authenticate) => (BillKind::Authentication, "card"),
        None => (BillKind::Card, "card"),
    };
    let subject = intent.spec.description.clone().unwrap_or_else(|| intent.id.clone());
    Bill {
        provider: ProviderKind::Stripe,
        kind,
        account: account.name.clone(),
        token: intent.token.clone(),
        order_no: intent.spec.metadata.get("order_id").unwrap_or(&intent.id).clone(),
        subject,
        amount_minor: intent.spec.amount,
        currency: intent.spec.currency.to_uppercase(),
        method,
        bank: crate::books::stripe::bank_hint(&intent.spec.metadata),
        return_url: intent.spec.return_url.clone(),
        refusal,
        status: intent.status.as_str().to_owned(),
    }
}
