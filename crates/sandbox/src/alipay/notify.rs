//! Notifications: a signed form that the merchant has to answer with `success`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::biz::yuan;
use super::{AlipayAccount, Params, sign};
use crate::books::alipay::{Trade, TradeStatus};
use crate::books::{Millis, ProviderKind};
use crate::clock::alipay_time;
use crate::faults::{Forgery, Operation};
use crate::keys::SigningKey;
use crate::notify::{Content, Notice, Outgoing};
use crate::state::{Scene, State};

/// Waits between deliveries, seconds: 4 m, 10 m, 10 m, 1 h, 2 h, 6 h, 15 h.
pub(crate) const RESENDS_S: &[u64] = &[240, 600, 600, 3_600, 7_200, 21_600, 54_000];

/// A notification; only its time and signature change from one delivery to the next.
#[derive(Clone)]
pub(crate) struct Notification {
    account: Arc<AlipayAccount>,
    fields: Params,
}

impl Notification {
    pub(crate) fn outgoing(
        &self,
        forgery: Option<(Forgery, &SigningKey)>,
        now: Millis,
    ) -> Outgoing {
        let mut fields = self.fields.clone();
        fields.insert("notify_time".to_owned(), alipay_time(now));
        let text = sign::notification_text(&fields);
        let signature = match forgery {
            None | Some((Forgery::Tampered, _)) => {
                Some(self.account.alipay_key.sign(text.as_bytes()))
            }
            Some((Forgery::WrongKey, stranger)) => Some(stranger.sign(text.as_bytes())),
            Some((Forgery::Unsigned, _)) => None,
        };
        if let Some((Forgery::Tampered, _)) = forgery {
            fields.insert("total_amount".to_owned(), "0.01".to_owned());
        }
        fields.extend(signature.map(|signature| ("sign".to_owned(), signature)));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        Outgoing {
            content_type: "application/x-www-form-urlencoded; charset=utf-8",
            headers: Vec::new(),
            body,
        }
    }
}

/// Tells that a trade was paid.
pub(crate) fn paid(state: &State, account: &Arc<AlipayAccount>, trade: &Trade, now: Millis) {
    send(state, account, trade, Map::new(), now);
}

/// Tells of the newest refund. A full one closes the trade, and the status says so.
pub(crate) fn refunded(state: &State, account: &Arc<AlipayAccount>, trade: &Trade, now: Millis) {
    let Some(refund) = trade.refunds.last() else { return };
    let mut more = Map::new();
    more.insert("out_biz_no".to_owned(), refund.out_request_no.as_str().into());
    more.insert("refund_fee".to_owned(), yuan(trade.refunded()).into());
    more.insert("gmt_refund".to_owned(), alipay_time(refund.at).into());
    send(state, account, trade, more, now);
}

fn send(
    state: &State,
    account: &Arc<AlipayAccount>,
    trade: &Trade,
    more: Map<String, Value>,
    now: Millis,
) {
    let Some(url) = &trade.spec.notify_url else { return };
    let status = trade.status(now).unwrap_or(TradeStatus::WaitBuyerPay).as_str();
    let mut fields = base_fields(account, trade, status);
    fields.extend(money_fields(trade));
    fields.extend(more);
    let fields = fields
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect();
    let scene = Scene {
        provider: ProviderKind::Alipay,
        account: account.name.clone(),
        operation: Operation::Notify,
        method: Some("alipay"),
        bank: trade.buyer.as_ref().and_then(|buyer| buyer.bank.clone()),
    };
    state.notify(Notice {
        scene,
        url: url.clone(),
        order_no: trade.spec.out_trade_no.clone(),
        event: status.to_owned(),
        after_ms: 0,
        content: Content::Alipay(Notification { account: Arc::clone(account), fields }),
    });
}

fn base_fields(account: &AlipayAccount, trade: &Trade, status: &str) -> Map<String, Value> {
    let refunds = trade.refunds.len();
    let mut fields = Map::new();
    let mut put = |name: &str, value: String| {
        fields.insert(name.to_owned(), value.into());
    };
    // The same for every delivery of one event, and different for each event of a trade.
    put("notify_id", format!("{}{}{refunds:04}", trade.trade_no, status.len()));
    put("notify_type", "trade_status_sync".to_owned());
    put("app_id", account.app_id.clone());
    put("auth_app_id", account.app_id.clone());
    put("charset", "utf-8".to_owned());
    put("version", "1.0".to_owned());
    put("sign_type", "RSA2".to_owned());
    put("trade_no", trade.trade_no.clone());
    put("out_trade_no", trade.spec.out_trade_no.clone());
    put("trade_status", status.to_owned());
    put("total_amount", yuan(trade.spec.total));
    put("subject", trade.spec.subject.clone());
    put("seller_id", account.seller_id.clone());
    put("seller_email", format!("{}@sandbox.example", account.seller_id));
    put("gmt_create", alipay_time(trade.opened_at.unwrap_or(trade.created_at)));
    if let Some(at) = trade.paid_at {
        put("gmt_payment", alipay_time(at));
        put("fund_bill_list", json!([fund_bill_notified(trade)]).to_string());
    }
    if let Some(buyer) = &trade.buyer {
        put("buyer_id", buyer.id.clone());
        put("buyer_logon_id", buyer.logon_id.clone());
    }
    if let Some(body) = &trade.spec.body {
        put("body", body.clone());
    }
    if let Some(passback) = &trade.spec.passback_params {
        put("passback_params", passback.clone());
    }
    fields
}

/// What was paid and received; the sandbox knows no coupons, so all are the total.
pub(crate) fn money_fields(trade: &Trade) -> Map<String, Value> {
    let total = yuan(trade.spec.total);
    let mut fields = Map::new();
    for name in ["receipt_amount", "buyer_pay_amount", "invoice_amount"] {
        fields.insert(name.to_owned(), total.as_str().into());
    }
    fields.insert("point_amount".to_owned(), "0.00".into());
    fields
}

fn channel(trade: &Trade) -> &'static str {
    match trade.buyer.as_ref().and_then(|buyer| buyer.bank.as_ref()) {
        Some(_) => "BANKCARD",
        None => "ALIPAYACCOUNT",
    }
}

/// Where the money came from, as a query says it.
pub(crate) fn fund_bill(trade: &Trade) -> Value {
    let mut bill = json!({ "fund_channel": channel(trade), "amount": yuan(trade.spec.total) });
    if let Some(bank) = trade.buyer.as_ref().and_then(|buyer| buyer.bank.as_ref()) {
        bill["bank_code"] = bank.as_str().into();
    }
    bill
}

/// The same, as a notification says it.
fn fund_bill_notified(trade: &Trade) -> Value {
    json!({ "fundChannel": channel(trade), "amount": yuan(trade.spec.total) })
}
