//! Operations to requests.

use domain::{
    Answer, CloseState, Locale, Notice, Operation, Order, OrderRef, OrderState, Outcome,
    ProviderOrderNo, Timestamp,
};
use serde_json::{Value, json};

use super::webhook::Check;
use crate::common::shorten;
use crate::crypto::Secret;
use crate::{
    Acknowledgement, Capabilities, Delivery, Forged, Login, Provider, Reply, Request, Response,
    Stamp, Step, Unsupported, Verdict, Witness,
};

/// One PayPal application.
#[derive(Debug)]
pub(crate) struct Paypal {
    pub(super) base_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
    pub(super) webhook_id: String,
    pub(super) check: Check,
    pub(super) tolerance_s: i64,
    pub(super) return_url: Option<String>,
    pub(super) cancel_url: Option<String>,
    pub(super) brand_name: Option<String>,
    pub(super) capabilities: Capabilities,
}

pub(super) const CREATE: &str = "create";
pub(super) const READ: &str = "read";
/// Takes the money of an approved order.
pub(super) const CAPTURE: &str = "capture";
/// Reads the order again after a capture was refused; the memo is the refusal's code.
pub(super) const AFTER: &str = "after_capture";
/// Reads the order of a refund: its capture, and whether the refund stands already.
pub(super) const REFUND_READ: &str = "refund_read";
pub(super) const REFUND: &str = "refund";
/// Reads the order again after a refund was refused; the memo is the refusal's code.
pub(super) const REFUND_LOOK: &str = "refund_look";

impl Provider for Paypal {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn account(&self) -> String {
        format!("client_id {}", self.client_id)
    }

    fn request(&self, op: &Operation, _stamp: &Stamp) -> Result<Verdict, Unsupported> {
        match op {
            Operation::Create(order) => self.create(order),
            Operation::Query(order) => Ok(match reference(order) {
                Some(id) => self.read(Step::new(READ), id),
                None => Verdict::Done(Answer::Query(Outcome::Ok(OrderState::NotFound))),
            }),
            Operation::Close(order, _) => Ok(match reference(order) {
                Some(id) => self.read(Step::new(READ), id),
                // Without its id we never had its link, so nobody was shown it, and a capture
                // that nobody can make is never made.
                None => Verdict::Done(Answer::Close(Outcome::Ok(CloseState::Closed))),
            }),
            Operation::Refund(refund) | Operation::QueryRefund(refund) => {
                match reference(&refund.order) {
                    Some(id) => Ok(self.read(Step::new(REFUND_READ), id)),
                    None => Err(Unsupported("PayPal's id of the order is not known".into())),
                }
            }
        }
    }

    fn reply(&self, op: &Operation, step: &Step, reply: &Reply, _stamp: &Stamp) -> Verdict {
        self.answer(op, step, reply)
    }

    /// Nothing is believed without its [`witness`](Provider::witness).
    fn notice(&self, _delivery: &Delivery, _now: Timestamp) -> Result<Notice, Forged> {
        Err(Forged::Signature("it needs PayPal's certificate or word, which was not asked for"))
    }

    fn acknowledge(&self, accepted: bool) -> Acknowledgement {
        let (status, body) =
            if accepted { (200, r#"{"received":true}"#) } else { (400, r#"{"received":false}"#) };
        Acknowledgement { status, content_type: "application/json", body }
    }

    fn login(&self) -> Option<&dyn Login> {
        Some(self)
    }

    fn witness(&self, delivery: &Delivery, now: Timestamp) -> Result<Option<Witness>, Forged> {
        self.ask_witness(delivery, now).map(Some)
    }

    fn testified(
        &self,
        delivery: &Delivery,
        said: &Response,
        now: Timestamp,
    ) -> Result<Notice, Forged> {
        self.read_webhook(delivery, said, now)
    }
}

impl Paypal {
    fn create(&self, order: &Order) -> Result<Verdict, Unsupported> {
        if !self.capabilities.takes(order.method, order.flow, order.money) {
            return Err(Unsupported("the channel does not take this method or amount".into()));
        }
        let back = order.return_url.as_ref().or(self.return_url.as_ref()).ok_or_else(|| {
            Unsupported("PayPal needs a return_url, of the order or of the channel".into())
        })?;
        let mut context = json!({
            "return_url": back,
            "cancel_url": self.cancel_url.as_ref().unwrap_or(back),
            "user_action": "PAY_NOW",
            "shipping_preference": "NO_SHIPPING",
            "locale": match order.locale { Locale::Zh => "zh-CN", Locale::En => "en-US" },
        });
        if let Some(name) = &self.brand_name {
            context["brand_name"] = shorten(name, 127).into();
        }
        let mut unit = json!({
            "reference_id": "default",
            "amount": amount(order.money),
            "custom_id": order.number.as_str(),
            "invoice_id": invoice(&order.number),
        });
        if !order.subject.trim().is_empty() {
            unit["description"] = shorten(&order.subject, 127).into();
        }
        let body = json!({
            "intent": "CAPTURE",
            "purchase_units": [unit],
            "payment_source": { "paypal": { "experience_context": context } },
        });
        let id = format!("{}-create", order.number);
        Ok(self.post(Step::new(CREATE), "/v2/checkout/orders", &body, id))
    }

    /// Reads an order by PayPal's id.
    pub(super) fn read(&self, step: Step, id: &str) -> Verdict {
        let url = format!("{}/v2/checkout/orders/{}", self.base_url, segment(id));
        let headers = vec![("accept", "application/json".to_owned())];
        Verdict::Ask(Request { method: http::Method::GET, url, headers, body: Vec::new() }, step)
    }

    /// Takes the money of an approved order. The id makes every repeat the same capture.
    pub(super) fn capture(&self, order: &OrderRef, id: &str) -> Verdict {
        let path = format!("/v2/checkout/orders/{}/capture", segment(id));
        let request_id = format!("{}-capture", order.number);
        self.post(Step::new(CAPTURE), &path, &json!({}), request_id)
    }

    pub(super) fn post(&self, step: Step, path: &str, body: &Value, id: String) -> Verdict {
        let headers = vec![
            ("accept", "application/json".to_owned()),
            ("content-type", "application/json".to_owned()),
            ("paypal-request-id", id),
            ("prefer", "return=representation".to_owned()),
        ];
        let url = format!("{}{path}", self.base_url);
        let body = body.to_string().into_bytes();
        Verdict::Ask(Request { method: http::Method::POST, url, headers, body }, step)
    }
}

/// PayPal's id of an order, where it looks like one.
pub(super) fn reference(order: &OrderRef) -> Option<&str> {
    order.reference.as_deref().filter(|id| !id.is_empty())
}

/// An amount as PayPal writes it: major units, with the currency's own decimals.
pub(super) fn amount(money: domain::Money) -> Value {
    json!({ "currency_code": money.currency().code(), "value": money.to_major() })
}

/// One invoice a payment, so that PayPal refuses to capture a second order of it.
fn invoice(number: &ProviderOrderNo) -> String {
    match ProviderOrderNo::parse(number.as_str()) {
        Some((payment, _)) => payment.to_string(),
        None => number.to_string(),
    }
}

/// An id as a part of a path; PayPal's own need no escaping.
pub(super) fn segment(id: &str) -> String {
    const KEEP: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'_').remove(b'-');
    percent_encoding::utf8_percent_encode(id, KEEP).to_string()
}
