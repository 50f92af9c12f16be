//! Operations to requests.

use domain::{Device, Flow, Notice, Operation, Order, OrderRef, RefundOrder, Timestamp};
use serde_json::{Value, json};

use super::sign::{Trust, authorization};
use crate::common::{beijing_rfc3339, shorten};
use crate::crypto::{PrivateKey, Secret};
use crate::{
    Acknowledgement, Capabilities, Delivery, Forged, Provider, Reply, Request, Stamp, Step,
    Unsupported, Verdict,
};

/// One merchant account at WeChat Pay.
#[derive(Debug)]
pub(crate) struct WechatPay {
    pub(super) base_url: String,
    /// The path in front of every interface's own, when the base URL has one.
    pub(super) base_path: String,
    pub(super) app_id: String,
    pub(super) mch_id: String,
    pub(super) serial: String,
    pub(super) key: PrivateKey,
    pub(super) api_v3_key: Secret,
    pub(super) trust: Trust,
    /// In public-key mode, the name of the key that answers shall be signed with.
    pub(super) answer_key: Option<String>,
    pub(super) notify_url: String,
    pub(super) capabilities: Capabilities,
}

pub(super) const NATIVE: &str = "native";
pub(super) const H5: &str = "h5";
pub(super) const JSAPI: &str = "jsapi";
pub(super) const CREATE_LOOK: &str = "create_look";
pub(super) const QUERY: &str = "query";
pub(super) const CLOSE: &str = "close";
pub(super) const CLOSE_LOOK: &str = "close_look";
pub(super) const REFUND: &str = "refund";
pub(super) const REFUND_LOOK: &str = "refund_look";
pub(super) const REFUND_QUERY: &str = "refund_query";

impl Provider for WechatPay {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn account(&self) -> String {
        format!("mch_id {}, app_id {}", self.mch_id, self.app_id)
    }

    fn request(&self, op: &Operation, stamp: &Stamp) -> Result<Verdict, Unsupported> {
        match op {
            Operation::Create(order) => self.create(order, stamp),
            Operation::Query(order) => Ok(self.ask_order(Step::new(QUERY), order, stamp)),
            Operation::Close(order, _) => Ok(self.close(order, stamp)),
            Operation::Refund(refund) => Ok(self.refund(refund, stamp)),
            Operation::QueryRefund(refund) => {
                Ok(self.ask_refund(Step::new(REFUND_QUERY), refund, stamp))
            }
        }
    }

    fn reply(&self, op: &Operation, step: &Step, reply: &Reply, stamp: &Stamp) -> Verdict {
        self.answer(op, step, reply, stamp)
    }

    fn notice(&self, delivery: &Delivery, now: Timestamp) -> Result<Notice, Forged> {
        self.read_notice(delivery, now)
    }

    fn acknowledge(&self, accepted: bool) -> Acknowledgement {
        let (status, body) = if accepted {
            (200, r#"{"code":"SUCCESS"}"#)
        } else {
            (400, r#"{"code":"FAIL","message":"refused"}"#)
        };
        Acknowledgement { status, content_type: "application/json", body }
    }
}

impl WechatPay {
    fn create(&self, order: &Order, stamp: &Stamp) -> Result<Verdict, Unsupported> {
        if order.flow == Flow::Direct {
            return Err(Unsupported("WeChat Pay channels have no direct flow".into()));
        }
        if !self.capabilities.takes(order.method, order.flow, order.money) {
            return Err(Unsupported("the channel does not take this method or amount".into()));
        }
        let mut body = json!({
            "appid": self.app_id,
            "mchid": self.mch_id,
            "description": description(&order.subject),
            "out_trade_no": order.number.as_str(),
            "time_expire": beijing_rfc3339(order.expires_at),
            "notify_url": self.notify_url,
            "amount": { "total": order.money.minor(), "currency": "CNY" },
        });
        let asks = match order.device {
            Device::Qr | Device::Desktop => NATIVE,
            Device::Mobile => {
                let ip = order.payer_ip.as_deref().ok_or_else(|| {
                    Unsupported(
                        "WeChat Pay's H5 flow needs the customer's address (payer_ip)".into(),
                    )
                })?;
                let h5 = json!({ "payer_client_ip": ip, "h5_info": { "type": "Wap" } });
                insert(&mut body, "scene_info", h5);
                H5
            }
            Device::InApp => {
                let openid = order.payer_id.as_deref().ok_or_else(|| {
                    Unsupported("WeChat Pay's JSAPI flow needs the openid (payer_id)".into())
                })?;
                insert(&mut body, "payer", json!({ "openid": openid }));
                JSAPI
            }
        };
        Ok(self.post(Step::new(asks), &format!("/v3/pay/transactions/{asks}"), &body, stamp))
    }

    /// A question about an order.
    pub(super) fn ask_order(&self, step: Step, order: &OrderRef, stamp: &Stamp) -> Verdict {
        let path = format!(
            "/v3/pay/transactions/out-trade-no/{}?mchid={}",
            segment(order.number.as_str()),
            self.mch_id
        );
        self.send(step, http::Method::GET, &path, Vec::new(), stamp)
    }

    fn close(&self, order: &OrderRef, stamp: &Stamp) -> Verdict {
        let number = segment(order.number.as_str());
        let path = format!("/v3/pay/transactions/out-trade-no/{number}/close");
        self.post(Step::new(CLOSE), &path, &json!({ "mchid": self.mch_id }), stamp)
    }

    fn refund(&self, refund: &RefundOrder, stamp: &Stamp) -> Verdict {
        let mut body = json!({
            "out_trade_no": refund.order.number.as_str(),
            "out_refund_no": refund.number.as_str(),
            "notify_url": self.notify_url,
            "amount": {
                "refund": refund.amount.minor(),
                "total": refund.order.money.minor(),
                "currency": "CNY",
            },
        });
        if !refund.reason.is_empty() {
            insert(&mut body, "reason", shorten(&refund.reason, 80).into());
        }
        self.post(Step::new(REFUND), "/v3/refund/domestic/refunds", &body, stamp)
    }

    /// A question about a refund.
    pub(super) fn ask_refund(&self, step: Step, refund: &RefundOrder, stamp: &Stamp) -> Verdict {
        let path = format!("/v3/refund/domestic/refunds/{}", segment(refund.number.as_str()));
        self.send(step, http::Method::GET, &path, Vec::new(), stamp)
    }

    fn post(&self, step: Step, path: &str, body: &Value, stamp: &Stamp) -> Verdict {
        self.send(step, http::Method::POST, path, body.to_string().into_bytes(), stamp)
    }

    fn send(
        &self,
        step: Step,
        method: http::Method,
        path: &str,
        body: Vec<u8>,
        stamp: &Stamp,
    ) -> Verdict {
        let target = format!("{}{path}", self.base_path);
        let authorization = authorization(
            (&self.mch_id, &self.serial),
            &self.key,
            (method.as_str(), &target, &body),
            stamp.now,
            &stamp.nonce,
        );
        let mut headers =
            vec![("accept", "application/json".to_owned()), ("authorization", authorization)];
        if method == http::Method::POST {
            headers.push(("content-type", "application/json".to_owned()));
        }
        if let Some(key) = &self.answer_key {
            headers.push(("wechatpay-serial", key.clone()));
        }
        Verdict::Ask(
            Request { method, url: format!("{}{path}", self.base_url), headers, body },
            step,
        )
    }
}

fn insert(body: &mut Value, name: &str, value: Value) {
    if let Some(object) = body.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

/// Our own numbers need no escaping; this keeps a foreign one from changing the path.
fn segment(number: &str) -> String {
    percent_encoding::utf8_percent_encode(number, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// At most 127 bytes, which holds for either reading of the documented limit.
fn description(subject: &str) -> String {
    let clean: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let short = shorten(clean.trim(), 127);
    if short.is_empty() { "-".to_owned() } else { short.to_owned() }
}
