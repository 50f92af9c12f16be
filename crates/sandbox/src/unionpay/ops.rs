//! The operations: from fields through the books to the fields of an answer.

use std::sync::Arc;

use super::codes::Failure;
use super::message::{Fields, trace_time};
use super::{UnionPayAccount, notify};
use crate::books::unionpay::{
    Found, Payment, PaymentSpec, Return, ReturnKind, ReturnSpec, TxnName, settled_on,
};
use crate::books::{Millis, ShopperRefusal};
use crate::clock;
use crate::control::lock;
use crate::state::State;

/// How long a refund is on its way, milliseconds before scaling.
const SETTLES_MS: Millis = 5_000;
/// How old or early `txnTime` may be. The provider says "near now" and publishes no figure; a
/// form is posted when the customer gets to it.
const OLD_MS: Millis = 24 * 3_600_000;
const EARLY_MS: Millis = 15 * 60_000;

fn need<'f>(fields: &'f Fields, name: &str) -> Result<&'f str, Failure> {
    optional(fields, name).ok_or_else(|| Failure::missing(name))
}

fn optional<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// `orderId` and `txnTime`.
fn name(fields: &Fields) -> Result<TxnName, Failure> {
    let (number, time) = (need(fields, "orderId")?, need(fields, "txnTime")?);
    let fits =
        (8..=40).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_alphanumeric());
    if !fits {
        return Err(Failure::format("orderId"));
    }
    clock::parse_unionpay_time(time).ok_or_else(|| Failure::format("txnTime"))?;
    Ok((number.to_owned(), time.to_owned()))
}

/// A new transaction's name, whose time must be near now.
fn new_name(fields: &Fields, now: Millis) -> Result<TxnName, Failure> {
    let name = name(fields)?;
    let at = clock::parse_unionpay_time(&name.1).unwrap_or_default();
    let near = (now - OLD_MS..=now + EARLY_MS).contains(&at);
    if near { Ok(name) } else { Err(Failure::format("txnTime")) }
}

fn amount(fields: &Fields) -> Result<i64, Failure> {
    let text = need(fields, "txnAmt")?;
    let digits = text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
    let amount = text.parse().ok().filter(|amount: &i64| digits && *amount > 0);
    amount.ok_or_else(|| Failure::format("txnAmt"))
}

fn exactly(fields: &Fields, wanted: &[(&str, &str)]) -> Result<(), Failure> {
    match wanted.iter().find(|(name, value)| fields.get(*name).map(String::as_str) != Some(value)) {
        Some((name, _)) => Err(Failure::format(name)),
        None => Ok(()),
    }
}

/// The browser's form: the payment that the cashier opens for.
pub(crate) fn front(
    account: &UnionPayAccount,
    fields: &Fields,
    now: Millis,
) -> Result<Payment, Failure> {
    exactly(
        fields,
        &[("txnType", "01"), ("txnSubType", "01"), ("bizType", "000201"), ("currencyCode", "156")],
    )?;
    if !matches!(need(fields, "channelType")?, "07" | "08") {
        return Err(Failure::format("channelType"));
    }
    let pay_timeout = match optional(fields, "payTimeout") {
        None => None,
        Some(text) => {
            Some(clock::parse_unionpay_time(text).ok_or_else(|| Failure::format("payTimeout"))?)
        }
    };
    let owned = |name: &str| optional(fields, name).map(str::to_owned);
    let spec = PaymentSpec {
        name: new_name(fields, now)?,
        amount: amount(fields)?,
        description: owned("orderDesc").unwrap_or_default(),
        front_url: Some(need(fields, "frontUrl")?.to_owned()),
        back_url: Some(need(fields, "backUrl")?.to_owned()),
        reserved: owned("reqReserved"),
        pay_timeout,
        bank: owned("issInsCode"),
    };
    Ok(lock(&account.book).open(spec, now)?)
}

/// A refund or undo.
pub(crate) fn back(
    state: &State,
    account: &Arc<UnionPayAccount>,
    fields: &Fields,
    now: Millis,
) -> Result<Fields, Failure> {
    exactly(fields, &[("txnSubType", "00"), ("bizType", "000201")])?;
    let kind = match need(fields, "txnType")? {
        "04" => ReturnKind::Refund,
        "31" => ReturnKind::Undo,
        _ => return Err(Failure::unsupported()),
    };
    let owned = |name: &str| optional(fields, name).map(str::to_owned);
    let spec = ReturnSpec {
        name: new_name(fields, now)?,
        kind,
        amount: amount(fields)?,
        original: need(fields, "origQryId")?.to_owned(),
        back_url: Some(need(fields, "backUrl")?.to_owned()),
        reserved: owned("reqReserved"),
    };
    let done_at = now + state.scaled(SETTLES_MS);
    let made = lock(&account.book).give_back(spec, now, done_at)?;
    notify::given_back(state, account, &made);
    Ok(return_fields(account, &made))
}

/// What became of a transaction; `lie` says that there is none.
pub(crate) fn query(
    account: &UnionPayAccount,
    fields: &Fields,
    lie: bool,
    now: Millis,
) -> Result<Fields, Failure> {
    exactly(fields, &[("txnType", "00"), ("txnSubType", "00")])?;
    let name = name(fields)?;
    let found = lock(&account.book).find(&name).filter(|_| !lie);
    let (mut answer, code) = match found {
        None => return Err(Failure::not_found()),
        Some(Found::Payment(payment)) => {
            let code = payment.failure.clone().unwrap_or_else(|| "00".to_owned());
            (payment_fields(account, &payment), code)
        }
        Some(Found::Return(made)) => {
            let code = if now >= made.done_at { "00" } else { "05" };
            (return_fields(account, &made), code.to_owned())
        }
    };
    answer.insert("txnType".to_owned(), "00".to_owned());
    answer.insert("txnSubType".to_owned(), "00".to_owned());
    answer.insert("origRespCode".to_owned(), code);
    answer.insert("origRespMsg".to_owned(), "沙箱[0000000]".to_owned());
    Ok(answer)
}

fn base(account: &UnionPayAccount, kind: &str, sub: &str, name: &TxnName, amount: i64) -> Fields {
    [
        ("version", "5.1.0"),
        ("encoding", "UTF-8"),
        ("signMethod", "01"),
        ("txnType", kind),
        ("txnSubType", sub),
        ("bizType", "000201"),
        ("accessType", "0"),
        ("merId", &account.mer_id),
        ("orderId", &name.0),
        ("txnTime", &name.1),
        ("txnAmt", &amount.to_string()),
        ("currencyCode", "156"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into_iter()
    .collect()
}

/// A payment as queries and notifications state it.
pub(crate) fn payment_fields(account: &UnionPayAccount, payment: &Payment) -> Fields {
    let spec = &payment.spec;
    let mut fields = base(account, "01", "01", &spec.name, spec.amount);
    let mut put = |name: &str, value: String| {
        fields.insert(name.to_owned(), value);
    };
    if let Some(reserved) = &spec.reserved {
        put("reqReserved", reserved.clone());
    }
    if let Some(debit) = &payment.debit {
        put("queryId", debit.query_id.clone());
        put("traceNo", debit.trace_no.clone());
        put("traceTime", trace_time(debit.at));
        put("settleDate", clock::unionpay_time(settled_on(debit.at))[4..8].to_owned());
        put("settleAmt", spec.amount.to_string());
        put("settleCurrencyCode", "156".to_owned());
        put("payCardType", "01".to_owned());
        put("accNo", "6226********0065".to_owned());
    }
    fields
}

/// A refund or undo as answers, queries and notifications state it.
pub(crate) fn return_fields(account: &UnionPayAccount, made: &Return) -> Fields {
    let kind = if made.spec.kind == ReturnKind::Undo { "31" } else { "04" };
    let mut fields = base(account, kind, "00", &made.spec.name, made.spec.amount);
    let mut put = |name: &str, value: String| {
        fields.insert(name.to_owned(), value);
    };
    put("queryId", made.query_id.clone());
    put("traceNo", made.trace_no.clone());
    put("traceTime", trace_time(made.asked_at));
    put("origQryId", made.spec.original.clone());
    if let Some(reserved) = &made.spec.reserved {
        put("reqReserved", reserved.clone());
    }
    fields
}

/// Whether the cashier can still take money for it.
pub(crate) fn payable(
    account: &UnionPayAccount,
    token: &str,
    now: Millis,
) -> Result<(), ShopperRefusal> {
    lock(&account.book).check(token, now)
}
