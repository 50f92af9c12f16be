//! Reading request bodies and checking what the protocol says of their fields.

use serde::Deserialize;

use super::WechatPayAccount;
use super::codes::Failure;
use crate::alipay::bank_hint;
use crate::books::Millis;
use crate::books::wechatpay::{OrderSpec, RefundSpec, TradeType};
use crate::clock;

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;

#[derive(Deserialize)]
struct Prepay {
    appid: String,
    mchid: String,
    description: String,
    out_trade_no: String,
    time_expire: Option<String>,
    attach: Option<String>,
    notify_url: String,
    amount: Amount,
    payer: Option<Payer>,
    scene_info: Option<SceneInfo>,
}

#[derive(Deserialize)]
struct Amount {
    total: i64,
    currency: Option<String>,
}

#[derive(Deserialize)]
struct Payer {
    openid: Option<String>,
}

#[derive(Deserialize)]
struct SceneInfo {
    payer_client_ip: Option<String>,
    h5_info: Option<H5Info>,
}

#[derive(Deserialize)]
struct H5Info {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Close {
    mchid: String,
}

#[derive(Deserialize)]
struct Refund {
    transaction_id: Option<String>,
    out_trade_no: Option<String>,
    out_refund_no: String,
    reason: Option<String>,
    notify_url: Option<String>,
    amount: RefundAmount,
}

#[derive(Deserialize)]
struct RefundAmount {
    refund: i64,
    total: i64,
    currency: String,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|why| Failure::parameter("body", &why.to_string()))
}

fn check(holds: bool, field: &str, issue: &str) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::parameter(field, issue)) }
}

/// Letters, digits and a few marks, within a length.
fn is_number(text: &str, lengths: std::ops::RangeInclusive<usize>, marks: &[u8]) -> bool {
    lengths.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
}

fn is_notify_url(url: &str) -> bool {
    // The provider wants https; a merchant on one's own machine has http, so both will do here.
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains('?')) && url.len() <= 255
}

/// The merchant that a body names must be the one that signed.
fn same_merchant(account: &WechatPayAccount, mchid: &str) -> Result<(), Failure> {
    check(mchid == account.mch_id, "mchid", "商户号与签名的商户不一致")
}

pub(crate) fn prepay(
    account: &WechatPayAccount,
    trade_type: TradeType,
    body: &[u8],
    now: Millis,
) -> Result<OrderSpec, Failure> {
    let order: Prepay = read(body)?;
    same_merchant(account, &order.mchid)?;
    if order.appid != account.app_id {
        return Err(Failure::account("APPID_MCHID_NOT_MATCH", "AppID 与商户号不匹配"));
    }
    let described = (1..=127).contains(&order.description.chars().count());
    check(described, "description", "长度需在 1 到 127 之间")?;
    check(is_number(&order.out_trade_no, 6..=32, b"_-|*"), "out_trade_no", "格式错误")?;
    check(is_notify_url(&order.notify_url), "notify_url", "需为不带参数的完整 URL")?;
    check(order.amount.total >= 1, "amount.total", "需为正整数，单位为分")?;
    let currency = order.amount.currency.as_deref().unwrap_or("CNY");
    check(currency == "CNY", "amount.currency", "仅支持 CNY")?;
    let attach_fits = order.attach.as_ref().is_none_or(|text| text.chars().count() <= 128);
    check(attach_fits, "attach", "超过 128 个字符")?;
    let openid = order.payer.and_then(|payer| payer.openid).filter(|id| !id.is_empty());
    check(trade_type != TradeType::Jsapi || openid.is_some(), "payer.openid", "缺少参数")?;
    if trade_type == TradeType::H5 {
        let scene = order.scene_info.as_ref();
        check(
            scene.and_then(|s| s.payer_client_ip.as_ref()).is_some(),
            "scene_info.payer_client_ip",
            "缺少参数",
        )?;
        let kind = scene.and_then(|s| s.h5_info.as_ref()).and_then(|h5| h5.kind.as_ref());
        check(kind.is_some(), "scene_info.h5_info.type", "缺少参数")?;
    }
    Ok(OrderSpec {
        trade_type,
        total: order.amount.total,
        time_expire: time_expire(order.time_expire.as_deref(), now)?,
        bank: order.attach.as_deref().and_then(bank_hint),
        out_trade_no: order.out_trade_no,
        appid: order.appid,
        description: order.description,
        attach: order.attach,
        notify_url: order.notify_url,
        openid,
    })
}

fn time_expire(text: Option<&str>, now: Millis) -> Result<Option<Millis>, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let at = clock::parse_rfc3339(text)
        .ok_or_else(|| Failure::parameter("time_expire", "需为 RFC 3339 格式"))?;
    // A second of grace: the merchant's stamp has whole seconds, our clock has not.
    let within = at >= now + MINUTE - 1_000 && at <= now + 15 * DAY;
    check(within, "time_expire", "需晚于当前 1 分钟，且不晚于 15 天")?;
    Ok(Some(at))
}

pub(crate) fn close(account: &WechatPayAccount, body: &[u8]) -> Result<(), Failure> {
    let close: Close = read(body)?;
    same_merchant(account, &close.mchid)
}

pub(crate) fn refund(body: &[u8]) -> Result<RefundSpec, Failure> {
    let refund: Refund = read(body)?;
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (transaction_id, out_trade_no) = (some(refund.transaction_id), some(refund.out_trade_no));
    let named = transaction_id.is_some() || out_trade_no.is_some();
    check(named, "out_trade_no", "transaction_id 与 out_trade_no 需二选一")?;
    check(is_number(&refund.out_refund_no, 1..=64, b"_-|*@"), "out_refund_no", "格式错误")?;
    check(refund.amount.refund >= 1, "amount.refund", "需为正整数，单位为分")?;
    check(refund.amount.total >= 1, "amount.total", "需为正整数，单位为分")?;
    check(refund.amount.currency == "CNY", "amount.currency", "仅支持 CNY")?;
    let short = refund.reason.as_ref().is_none_or(|reason| reason.chars().count() <= 80);
    check(short, "reason", "超过 80 个字符")?;
    let notify_url = some(refund.notify_url);
    check(notify_url.as_deref().is_none_or(is_notify_url), "notify_url", "需为不带参数的完整 URL")?;
    Ok(RefundSpec {
        transaction_id,
        out_trade_no,
        out_refund_no: refund.out_refund_no,
        amount: refund.amount.refund,
        total: refund.amount.total,
        reason: refund.reason,
        notify_url,
    })
}

/// The bank that a body's `attach` names.
pub(crate) fn bank_in(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Attached {
        attach: Option<String>,
    }
    // Most orders name none, and then there is nothing to parse.
    if !body.windows(5).any(|window| window == b"bank=") {
        return None;
    }
    serde_json::from_slice::<Attached>(body).ok()?.attach.as_deref().and_then(bank_hint)
}
