//! Operations to requests.

use domain::{Answer, Created, Notice, Outcome, Presentation};
use domain::{CloseWhy, Device, Flow, Operation, Order, OrderRef, RefundOrder, Timestamp};
use serde_json::{Map, Value};

use super::sign::{Parameters, Trust, encode, sign};
use crate::common::{beijing, shorten};
use crate::crypto::PrivateKey;
use crate::{
    Acknowledgement, Capabilities, Delivery, Forged, Provider, Reply, Request, Stamp, Step,
    Unsupported, Verdict,
};

/// One Alipay application.
#[derive(Debug)]
pub(crate) struct Alipay {
    pub(super) base_url: String,
    pub(super) app_id: String,
    pub(super) seller_id: Option<String>,
    pub(super) notify_url: String,
    pub(super) qr_product_code: String,
    pub(super) key: PrivateKey,
    pub(super) trust: Trust,
    /// `app_cert_sn` and `alipay_root_cert_sn`, in certificate mode.
    pub(super) certificate_names: Option<(String, String)>,
    pub(super) capabilities: Capabilities,
}

/// The questions, by the step that carries them.
pub(super) const PRECREATE: &str = "precreate";
pub(super) const CREATE_LOOK: &str = "create_look";
pub(super) const QUERY: &str = "query";
pub(super) const CLOSE: &str = "close";
pub(super) const CLOSE_LOOK: &str = "close_look";
pub(super) const ORPHAN_LOOK: &str = "orphan_look";
pub(super) const REFUND: &str = "refund";
pub(super) const REFUND_LOOK: &str = "refund_look";
pub(super) const REFUND_QUERY: &str = "refund_query";

/// The interface that a step asks.
pub(super) fn method_of(asks: &str) -> &'static str {
    match asks {
        PRECREATE => "alipay.trade.precreate",
        CLOSE => "alipay.trade.close",
        REFUND => "alipay.trade.refund",
        REFUND_LOOK | REFUND_QUERY => "alipay.trade.fastpay.refund.query",
        _ => "alipay.trade.query",
    }
}

impl Provider for Alipay {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn account(&self) -> String {
        format!("app_id {}", self.app_id)
    }

    fn request(&self, op: &Operation, stamp: &Stamp) -> Result<Verdict, Unsupported> {
        match op {
            Operation::Create(order) => self.create(order, stamp.now),
            Operation::Query(order) => Ok(self.ask_order(Step::new(QUERY), order, stamp.now)),
            Operation::Close(order, CloseWhy::Shown) => {
                Ok(self.ask_order(Step::new(CLOSE), order, stamp.now))
            }
            Operation::Close(order, CloseWhy::Orphan) => {
                Ok(self.ask_order(Step::new(ORPHAN_LOOK), order, stamp.now))
            }
            Operation::Refund(refund) => Ok(self.refund(refund, stamp.now)),
            Operation::QueryRefund(refund) => {
                Ok(self.ask_refund(Step::new(REFUND_QUERY), refund, stamp.now))
            }
        }
    }

    fn reply(&self, op: &Operation, step: &Step, reply: &Reply, stamp: &Stamp) -> Verdict {
        self.answer(op, step, reply, stamp.now)
    }

    fn notice(&self, delivery: &Delivery, _now: Timestamp) -> Result<Notice, Forged> {
        self.read_notice(delivery)
    }

    fn acknowledge(&self, accepted: bool) -> Acknowledgement {
        // The body must be exactly these seven bytes; anything else makes Alipay send again.
        let (status, body) = if accepted { (200, "success") } else { (400, "fail") };
        Acknowledgement { status, content_type: "text/plain; charset=utf-8", body }
    }
}

impl Alipay {
    fn create(&self, order: &Order, now: Timestamp) -> Result<Verdict, Unsupported> {
        if order.flow == Flow::Direct {
            return Err(Unsupported("Alipay channels have no direct flow".into()));
        }
        if !self.capabilities.takes(order.method, order.flow, order.money) {
            return Err(Unsupported("the channel does not take this method or amount".into()));
        }
        let (method, product) = match order.device {
            Device::Qr => (method_of(PRECREATE), self.qr_product_code.as_str()),
            Device::Desktop => ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
            Device::Mobile | Device::InApp => ("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
        };
        let content = content([
            ("out_trade_no", order.number.as_str()),
            ("total_amount", &order.money.to_major()),
            ("subject", &subject(&order.subject)),
            ("product_code", product),
            ("time_expire", &beijing(order.expires_at)),
        ]);
        let mut parameters = self.system(method, now);
        parameters.insert("notify_url", self.notify_url.clone());
        if order.device == Device::Qr {
            return Ok(Verdict::Ask(self.post(parameters, content), Step::new(PRECREATE)));
        }
        parameters.insert("return_url", order.return_url.clone().unwrap_or_default());
        Ok(Verdict::Done(presented(self.link(parameters, content))))
    }

    /// A question that names an order and nothing else.
    pub(super) fn ask_order(&self, step: Step, order: &OrderRef, now: Timestamp) -> Verdict {
        let content = content([("out_trade_no", order.number.as_str())]);
        self.ask(step, content, now)
    }

    /// A question about a refund.
    pub(super) fn ask_refund(&self, step: Step, refund: &RefundOrder, now: Timestamp) -> Verdict {
        let content = content([
            ("out_trade_no", refund.order.number.as_str()),
            ("out_request_no", refund.number.as_str()),
        ]);
        self.ask(step, content, now)
    }

    fn refund(&self, refund: &RefundOrder, now: Timestamp) -> Verdict {
        let content = content([
            ("out_trade_no", refund.order.number.as_str()),
            ("refund_amount", &refund.amount.to_major()),
            ("out_request_no", refund.number.as_str()),
            ("refund_reason", shorten(&refund.reason, 256)),
        ]);
        self.ask(Step::new(REFUND), content, now)
    }

    fn ask(&self, step: Step, content: String, now: Timestamp) -> Verdict {
        let parameters = self.system(method_of(step.asks), now);
        Verdict::Ask(self.post(parameters, content), step)
    }

    fn system(&self, method: &str, now: Timestamp) -> Parameters {
        let mut parameters = Parameters::from([
            ("app_id", self.app_id.clone()),
            ("method", method.to_owned()),
            ("format", "JSON".to_owned()),
            ("charset", "utf-8".to_owned()),
            ("sign_type", "RSA2".to_owned()),
            ("timestamp", beijing(now)),
            ("version", "1.0".to_owned()),
        ]);
        if let Some((app, root)) = &self.certificate_names {
            parameters.insert("app_cert_sn", app.clone());
            parameters.insert("alipay_root_cert_sn", root.clone());
        }
        parameters
    }

    /// System parameters in the query string, `biz_content` in the body, both signed.
    fn post(&self, mut parameters: Parameters, content: String) -> Request {
        parameters.insert("biz_content", content);
        sign(&mut parameters, &self.key);
        let content = parameters.remove("biz_content").unwrap_or_default();
        Request {
            method: http::Method::POST,
            url: self.address(&parameters),
            headers: vec![
                ("content-type", "application/x-www-form-urlencoded;charset=utf-8".into()),
                ("accept", "application/json".into()),
            ],
            body: encode([("biz_content", content.as_str())].into_iter()).into_bytes(),
        }
    }

    /// A signed link that the customer's browser opens: no call is made.
    fn link(&self, mut parameters: Parameters, content: String) -> String {
        parameters.insert("biz_content", content);
        sign(&mut parameters, &self.key);
        self.address(&parameters)
    }

    fn address(&self, parameters: &Parameters) -> String {
        let kept = parameters.iter().filter(|(_, value)| !value.is_empty());
        format!("{}?{}", self.base_url, encode(kept.map(|(name, value)| (*name, value.as_str()))))
    }
}

fn presented(url: String) -> Answer {
    let presentation = Presentation::Redirect { url };
    Answer::Create(Outcome::Ok(Created::Presented { presentation, reference: None }))
}

fn content<const N: usize>(fields: [(&str, &str); N]) -> String {
    let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
    let object: Map<String, Value> = fields.map(|(k, v)| (k.to_owned(), v.into())).collect();
    Value::Object(object).to_string()
}

/// The subject may hold at most 256 characters and none of `/`, `=` and `&`.
fn subject(text: &str) -> String {
    let clean =
        text.chars().map(|c| if matches!(c, '/' | '=' | '&') || c.is_control() { ' ' } else { c });
    let short: String = clean.take(256).collect();
    if short.trim().is_empty() { "-".to_owned() } else { short }
}
