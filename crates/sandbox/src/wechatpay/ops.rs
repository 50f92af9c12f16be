//! The operations: from a request through the books to an answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::codes::Failure;
use super::{Answer, Intake, Route, WechatPayAccount, input, notify};
use crate::books::Millis;
use crate::books::wechatpay::{Order, Refund, TradeState, TradeType};
use crate::clock::wechat_time;
use crate::control::lock;
use crate::keys::seal;
use crate::state::State;

/// How long the money of a refund is on its way, before scaling.
const REFUND_SETTLES_MS: Millis = 5_000;

/// One call, past authentication.
pub(crate) struct Job<'a> {
    pub(crate) state: &'a State,
    pub(crate) account: &'a Arc<WechatPayAccount>,
    pub(crate) intake: &'a Intake,
    pub(crate) lie: bool,
    pub(crate) expired: bool,
    pub(crate) now: Millis,
}

impl Job<'_> {
    pub(crate) fn run(&self) -> Result<Answer, Failure> {
        match self.intake.route.as_ref().ok_or_else(Failure::not_found)? {
            Route::Prepay(trade_type) => self.prepay(*trade_type),
            Route::QueryByNumber(number) => {
                self.same_merchant()?;
                let order = lock(&self.account.book).by_number(number)?.clone();
                self.query(&order)
            }
            Route::QueryById(id) => {
                self.same_merchant()?;
                let order = lock(&self.account.book).by_transaction(id)?.clone();
                self.query(&order)
            }
            Route::Close(number) => {
                input::close(self.account, &self.intake.call.body)?;
                lock(&self.account.book).close(number, self.now)?;
                Ok(Answer::Nothing)
            }
            Route::Refund => self.refund(),
            Route::RefundQuery(number) => {
                let (order, refund) = {
                    let book = lock(&self.account.book);
                    let (order, refund) = book.find_refund(number)?;
                    (order.clone(), refund.clone())
                };
                Ok(Answer::Json(refund_view(&order, &refund, self.now)))
            }
            Route::Certificates => self.certificates(),
        }
    }

    fn same_merchant(&self) -> Result<(), Failure> {
        match self.intake.call.query_value("mchid") {
            Some(mchid) if mchid == self.account.mch_id => Ok(()),
            Some(_) => Err(Failure::account("MCH_NOT_EXISTS", "商户号与签名的商户不一致")),
            None => Err(Failure::parameter("mchid", "缺少参数")),
        }
    }

    fn prepay(&self, trade_type: TradeType) -> Result<Answer, Failure> {
        let spec = input::prepay(self.account, trade_type, &self.intake.call.body, self.now)?;
        let token = lock(&self.account.book).prepay(spec, self.now)?;
        Ok(Answer::Json(match trade_type {
            TradeType::Native => {
                json!({ "code_url": format!("weixin://wxpay/bizpayurl?pr={token}") })
            }
            TradeType::H5 => {
                json!({ "h5_url": format!("{}/pay/wechatpay/{token}", self.state.public_url) })
            }
            TradeType::Jsapi | TradeType::App => json!({ "prepay_id": token }),
        }))
    }

    fn query(&self, order: &Order) -> Result<Answer, Failure> {
        if !self.lie {
            return Ok(Answer::Json(order_view(self.account, order, self.now)));
        }
        let unpaid = Order { payment: None, closed_at: None, ..order.clone() };
        let mut view = order_view(self.account, &unpaid, order.created_at);
        view["trade_state"] = TradeState::NotPay.as_str().into();
        Ok(Answer::Json(view))
    }

    fn refund(&self) -> Result<Answer, Failure> {
        let spec = input::refund(&self.intake.call.body)?;
        let settle_ms = self.state.scaled(REFUND_SETTLES_MS);
        let (order, refund, new) = lock(&self.account.book).refund(spec, settle_ms, self.now)?;
        if new {
            notify::refunded(self.state, self.account, &order, &refund, settle_ms);
        }
        Ok(Answer::Json(refund_view(&order, &refund, self.now)))
    }

    /// The platform certificate, sealed with the merchant's APIv3 key.
    fn certificates(&self) -> Result<Answer, Failure> {
        if self.account.public_key_mode.load(Ordering::Relaxed) {
            return Err(Failure::no_certificate());
        }
        let account = self.account;
        let (pem, serial, from, until) = if self.expired {
            let serial = &account.expired_serial;
            (&account.expired_certificate, serial, "2015-01-01", "2020-01-01")
        } else {
            (&account.platform_certificate, &account.platform.serial, "2024-01-01", "2044-01-01")
        };
        let nonce = lock(&account.ids).nonce12();
        let sealed = seal(&account.api_v3_key, &nonce, b"certificate", pem.as_bytes());
        Ok(Answer::Json(json!({ "data": [{
            "serial_no": serial,
            "effective_time": format!("{from}T08:00:00+08:00"),
            "expire_time": format!("{until}T08:00:00+08:00"),
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": String::from_utf8_lossy(&nonce),
                "associated_data": "certificate",
                "ciphertext": sealed,
            },
        }]})))
    }
}

fn state_words(state: TradeState) -> &'static str {
    match state {
        TradeState::NotPay => "订单未支付",
        TradeState::Success => "支付成功",
        TradeState::Refund => "订单发生过退款",
        TradeState::Closed => "订单已关闭",
    }
}

/// An order as queries and notifications show it.
pub(crate) fn order_view(account: &WechatPayAccount, order: &Order, now: Millis) -> Value {
    let state = order.state(now);
    let mut view = json!({
        "appid": order.spec.appid,
        "mchid": account.mch_id,
        "out_trade_no": order.spec.out_trade_no,
        "trade_state": state.as_str(),
        "trade_state_desc": state_words(state),
        "attach": order.spec.attach.as_deref().unwrap_or_default(),
        "promotion_detail": [],
        "amount": { "total": order.spec.total, "currency": "CNY" },
        "payer": {},
    });
    if let Some(payment) = &order.payment {
        view["transaction_id"] = payment.transaction_id.as_str().into();
        view["trade_type"] = order.spec.trade_type.as_str().into();
        view["bank_type"] = payment.bank.as_deref().unwrap_or("OTHERS").into();
        view["success_time"] = wechat_time(payment.at).into();
        view["payer"]["openid"] = payment.openid.as_str().into();
        view["amount"]["payer_total"] = order.spec.total.into();
        view["amount"]["payer_currency"] = "CNY".into();
    }
    view
}

/// A refund as answers show it.
fn refund_view(order: &Order, refund: &Refund, now: Millis) -> Value {
    let arrived = refund.arrived(now);
    let mut view = json!({
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": order.payment.as_ref().map(|payment| payment.transaction_id.as_str()),
        "out_trade_no": order.spec.out_trade_no,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": wechat_time(refund.created_at),
        "status": if arrived { "SUCCESS" } else { "PROCESSING" },
        "funds_account": "UNSETTLED",
        "amount": {
            "total": order.spec.total,
            "refund": refund.amount,
            "from": [],
            "payer_total": order.spec.total,
            "payer_refund": refund.amount,
            "settlement_refund": refund.amount,
            "settlement_total": order.spec.total,
            "discount_refund": 0,
            "currency": "CNY",
        },
        "promotion_detail": [],
    });
    if arrived {
        view["success_time"] = wechat_time(refund.arrives_at).into();
    }
    view
}
