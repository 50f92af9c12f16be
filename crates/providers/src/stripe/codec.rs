//! Operations to requests.

use domain::{Device, Flow, Method, Notice, Operation, Order, OrderRef, Timestamp};

use super::object::{FLOW, ORDER, reference};
use crate::common::shorten;
use crate::crypto::Secret;
use crate::{
    Acknowledgement, Capabilities, Delivery, Forged, Provider, Reply, Request, Stamp, Step,
    Unsupported, Verdict,
};

/// One Stripe account.
#[derive(Debug)]
pub(crate) struct Stripe {
    pub(super) base_url: String,
    pub(super) key: Secret,
    pub(super) webhook_secrets: Vec<Secret>,
    pub(super) tolerance_s: i64,
    pub(super) account: Option<String>,
    pub(super) api_version: String,
    pub(super) return_url: Option<String>,
    /// Whether the key is of live or test mode, where it says so.
    pub(super) livemode: Option<bool>,
    pub(super) capabilities: Capabilities,
}

pub(super) const CREATE: &str = "create";
/// Cancels the intent of a soft decline; the memo is the decline's code.
pub(super) const ABANDON: &str = "abandon";
/// Looks for the intent by our number; the memo is the page.
pub(super) const FIND: &str = "find";
pub(super) const READ: &str = "read";
pub(super) const CANCEL: &str = "cancel";
/// Sends a refund; the memo is the intent's id.
pub(super) const REFUND: &str = "refund";
/// Looks for the refund by our number; the memo is the code of a refusal, if there was one.
pub(super) const REFUND_FIND: &str = "refund_find";

impl Provider for Stripe {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn account(&self) -> String {
        let mode = match self.livemode {
            Some(true) => "live",
            Some(false) => "test",
            None => "unknown",
        };
        format!("account {}, {mode} mode", self.account.as_deref().unwrap_or("of the key"))
    }

    fn request(&self, op: &Operation, stamp: &Stamp) -> Result<Verdict, Unsupported> {
        match op {
            Operation::Create(order) => self.create(order),
            Operation::Query(order) => Ok(match reference(order) {
                Some(id) => self.read_intent(id),
                None => self.find_first(order),
            }),
            Operation::Close(order, _) => Ok(match reference(order) {
                Some(id) => self.cancel(id, &order.number, stamp),
                None => self.find_first(order),
            }),
            Operation::Refund(refund) => Ok(match reference(&refund.order) {
                Some(id) => self.refund(id, refund),
                None => self.find_first(&refund.order),
            }),
            Operation::QueryRefund(refund) => Ok(self.ask_refund(refund)),
        }
    }

    fn reply(&self, op: &Operation, step: &Step, reply: &Reply, stamp: &Stamp) -> Verdict {
        self.answer(op, step, reply, stamp)
    }

    fn notice(&self, delivery: &Delivery, now: Timestamp) -> Result<Notice, Forged> {
        self.read_webhook(delivery, now)
    }

    fn acknowledge(&self, accepted: bool) -> Acknowledgement {
        let (status, body) =
            if accepted { (200, r#"{"received":true}"#) } else { (400, r#"{"received":false}"#) };
        Acknowledgement { status, content_type: "application/json", body }
    }
}

impl Stripe {
    fn create(&self, order: &Order) -> Result<Verdict, Unsupported> {
        if !self.capabilities.takes(order.method, order.flow, order.money) {
            return Err(Unsupported("the channel does not take this method or amount".into()));
        }
        let mut form = Form::default();
        form.add("amount", &order.money.minor().to_string());
        form.add("currency", &order.money.currency().code().to_ascii_lowercase());
        form.add(&format!("metadata[{ORDER}]"), order.number.as_str());
        // The name that Stripe's own reports and most dashboards look for.
        form.add("metadata[order_id]", order.number.as_str());
        let flow = if order.flow == Flow::Direct { "direct" } else { "presented" };
        form.add(&format!("metadata[{FLOW}]"), flow);
        if !order.subject.trim().is_empty() {
            form.add("description", shorten(&order.subject, 500));
        }
        match (order.method, order.flow) {
            (Method::Card, Flow::Direct) => direct(&mut form, order)?,
            (Method::Card, Flow::Presented) => form.add("payment_method_types[]", "card"),
            (Method::Alipay, _) => {
                wallet(&mut form, "alipay");
                let back = order.return_url.as_ref().or(self.return_url.as_ref());
                let back = back.ok_or_else(|| {
                    Unsupported("Alipay through Stripe needs a return_url".into())
                })?;
                form.add("return_url", back);
            }
            _ => {
                wallet(&mut form, "wechat_pay");
                form.add("payment_method_options[wechat_pay][client]", "web");
            }
        }
        if order.method == Method::WechatPay && order.device == Device::InApp {
            return Err(Unsupported("WeChat Pay through Stripe shows a code only".into()));
        }
        let key = format!("{}:create", order.number);
        Ok(self.post(Step::new(CREATE), "/v1/payment_intents", form, key))
    }

    /// Reads an intent by its id.
    pub(super) fn read_intent(&self, id: &str) -> Verdict {
        let query = Form::default().with("expand[]", "latest_charge");
        self.get(Step::new(READ), &format!("/v1/payment_intents/{}", segment(id)), &query)
    }

    /// Cancels an intent. Doing it twice is harmless, so the key need not be the same again,
    /// and must not: a stored refusal ("processing") would be repeated for a day.
    pub(super) fn cancel(
        &self,
        id: &str,
        number: &domain::ProviderOrderNo,
        stamp: &Stamp,
    ) -> Verdict {
        self.cancel_as(Step::new(CANCEL), id, number, stamp)
    }

    pub(super) fn cancel_as(
        &self,
        step: Step,
        id: &str,
        number: &domain::ProviderOrderNo,
        stamp: &Stamp,
    ) -> Verdict {
        let path = format!("/v1/payment_intents/{}/cancel", segment(id));
        let key = format!("{number}:cancel:{}", stamp.nonce);
        self.post(step, &path, Form::default(), key)
    }

    pub(super) fn find_first(&self, order: &OrderRef) -> Verdict {
        self.find_page(order, 1, None)
    }

    pub(super) fn get(&self, step: Step, path: &str, query: &Form) -> Verdict {
        let joint = if query.0.is_empty() { "" } else { "?" };
        let url = format!("{}{path}{joint}{}", self.base_url, query.encode());
        let headers = self.headers();
        Verdict::Ask(Request { method: http::Method::GET, url, headers, body: Vec::new() }, step)
    }

    pub(super) fn post(&self, step: Step, path: &str, form: Form, key: String) -> Verdict {
        let mut headers = self.headers();
        headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        headers.push(("idempotency-key", key));
        let url = format!("{}{path}", self.base_url);
        let body = form.encode().into_bytes();
        Verdict::Ask(Request { method: http::Method::POST, url, headers, body }, step)
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("authorization", format!("Bearer {}", self.key.expose())),
            ("stripe-version", self.api_version.clone()),
            ("accept", "application/json".to_owned()),
        ];
        if let Some(account) = &self.account {
            headers.push(("stripe-account", account.clone()));
        }
        headers
    }
}

/// A saved card. The token is a payment method, or `customer/payment method`.
/// An absent customer cannot authenticate: Stripe then declines by itself; of a present one
/// it must be asked, because a direct flow shows nothing to anybody.
fn direct(form: &mut Form, order: &Order) -> Result<(), Unsupported> {
    let token = order
        .token
        .as_deref()
        .ok_or_else(|| Unsupported("the direct flow needs a saved card (token)".into()))?;
    let (customer, method) = match token.split_once('/') {
        Some((customer, method)) => (Some(customer), method),
        None => (None, token),
    };
    if let Some(customer) = customer {
        form.add("customer", customer);
    }
    form.add("payment_method", method);
    form.add("payment_method_types[]", "card");
    form.add("confirm", "true");
    if order.off_session {
        form.add("off_session", "true");
    } else {
        form.add("error_on_requires_action", "true");
    }
    Ok(())
}

fn wallet(form: &mut Form, kind: &str) {
    form.add("payment_method_types[]", kind);
    form.add("payment_method_data[type]", kind);
    form.add("confirm", "true");
}

/// Form fields in the order that they were added.
#[derive(Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Form {
        self.add(name, value);
        self
    }

    fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }
}

/// An id as a part of a path; Stripe's own need no escaping.
pub(super) fn segment(id: &str) -> String {
    const KEEP: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'_');
    percent_encoding::utf8_percent_encode(id, KEEP).to_string()
}
