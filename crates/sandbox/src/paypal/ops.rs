//! The operations: from JSON through the books to JSON.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::errors::Failure;
use super::idempotency::{Known, Made};
use super::{PaypalAccount, notify, objects};
use crate::books::Millis;
use crate::books::paypal::OrderSpec;
use crate::control::lock;
use crate::keys::sha256;
use crate::server::{Call, Reply};
use crate::state::State;

/// One call, past its token.
pub(super) struct Job<'a> {
    pub(super) state: &'a State,
    pub(super) account: &'a Arc<PaypalAccount>,
    pub(super) call: &'a Call,
    pub(super) lie: bool,
    pub(super) now: Millis,
}

#[derive(Deserialize)]
struct NewOrder {
    intent: String,
    purchase_units: Vec<NewUnit>,
    #[serde(default)]
    payment_source: Option<Source>,
    #[serde(default)]
    application_context: Option<Context>,
}

#[derive(Deserialize)]
struct NewUnit {
    amount: NewAmount,
    #[serde(default)]
    reference_id: Option<String>,
    #[serde(default)]
    custom_id: Option<String>,
    #[serde(default)]
    invoice_id: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Deserialize)]
struct NewAmount {
    currency_code: String,
    value: String,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    paypal: Option<Wallet>,
}

#[derive(Deserialize)]
struct Wallet {
    #[serde(default)]
    experience_context: Option<Context>,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default)]
    return_url: Option<String>,
    #[serde(default)]
    cancel_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct NewRefund {
    amount: Option<NewAmount>,
    invoice_id: Option<String>,
    custom_id: Option<String>,
    note_to_payer: Option<String>,
}

impl Job<'_> {
    pub(super) fn run(&self, path: &[String]) -> Result<Reply, Failure> {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let post = self.call.method == Method::POST;
        let get = self.call.method == Method::GET;
        match parts[..] {
            ["v2", "checkout", "orders"] if post => self.once(|| self.create()),
            ["v2", "checkout", "orders", id] if get => self.show_order(id, StatusCode::OK),
            ["v2", "checkout", "orders", id, "capture"] if post => self.once(|| self.capture(id)),
            ["v2", "payments", "captures", id] if get => self.show_capture(id),
            ["v2", "payments", "captures", id, "refund"] if post => self.once(|| self.refund(id)),
            ["v2", "payments", "refunds", id] if get => self.show_refund(id, StatusCode::OK),
            ["v1", "notifications", "verify-webhook-signature"] if post => {
                notify::verify(self.state, self.account, &self.call.body)
            }
            _ => Err(Failure::not_found()),
        }
    }

    fn body<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let kind = self.call.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/json") {
            return Err(Failure::http(415));
        }
        serde_json::from_slice(&self.call.body).map_err(|_| Failure::malformed())
    }

    /// Carries a request out, or shows what the first of its id has become.
    fn once(&self, act: impl FnOnce() -> Result<Made, Failure>) -> Result<Reply, Failure> {
        let id = self.call.header("paypal-request-id").filter(|id| !id.is_empty());
        let Some(id) = id else {
            return self.show(&act()?, StatusCode::CREATED);
        };
        let print =
            sha256([self.call.path.as_bytes(), b"\n", &self.call.body[..]].concat().as_slice());
        let known = lock(&self.account.idempotency).look(id, &print, self.now);
        match known {
            Known::Same(made) => self.show(&made, StatusCode::OK),
            Known::Other => Err(Failure::other_request()),
            Known::Nothing => {
                let made = act()?;
                lock(&self.account.idempotency).keep(id, print, made.clone(), self.now);
                self.show(&made, StatusCode::CREATED)
            }
        }
    }

    fn show(&self, made: &Made, status: StatusCode) -> Result<Reply, Failure> {
        match made {
            Made::Order(id) => self.show_order(id, status),
            Made::Refund(id) => self.show_refund(id, status),
        }
    }

    fn create(&self) -> Result<Made, Failure> {
        let asked: NewOrder = self.body()?;
        if asked.intent != "CAPTURE" {
            return Err(Failure::parameter("/intent"));
        }
        let [unit] = asked.purchase_units.as_slice() else {
            return Err(Failure::missing("/purchase_units"));
        };
        let currency = unit.amount.currency_code.as_str();
        if !objects::is_taken(currency) {
            return Err(Failure::currency());
        }
        let amount = objects::minor(&unit.amount.value, currency)
            .ok_or_else(|| Failure::parameter("/purchase_units/@reference_id=='default'/amount"))?;
        for text in [&unit.custom_id, &unit.invoice_id, &unit.description].into_iter().flatten() {
            if text.is_empty() || text.chars().count() > 127 {
                return Err(Failure::parameter("/purchase_units"));
            }
        }
        let wallet = asked.payment_source.and_then(|source| source.paypal);
        let has_source = wallet.is_some();
        // An order with a source is sent only with an id of its own.
        if has_source && self.call.header("paypal-request-id").is_none() {
            return Err(Failure::missing("PayPal-Request-Id"));
        }
        let context = wallet.and_then(|w| w.experience_context).or(asked.application_context);
        let (return_url, cancel_url) =
            context.map(|c| (c.return_url, c.cancel_url)).unwrap_or_default();
        let spec = OrderSpec {
            amount,
            currency: currency.to_owned(),
            reference_id: unit.reference_id.clone().unwrap_or_else(|| "default".to_owned()),
            custom_id: unit.custom_id.clone(),
            invoice_id: unit.invoice_id.clone(),
            description: unit.description.clone(),
            return_url,
            cancel_url,
            has_source,
        };
        Ok(Made::Order(lock(&self.account.book).create(spec, self.now).id))
    }

    fn capture(&self, id: &str) -> Result<Made, Failure> {
        let order = lock(&self.account.book).capture(id, self.now)?;
        notify::captured(self.state, self.account, &order, self.now);
        Ok(Made::Order(order.id))
    }

    fn refund(&self, capture: &str) -> Result<Made, Failure> {
        let asked: NewRefund =
            if self.call.body.is_empty() { NewRefund::default() } else { self.body()? };
        let currency = {
            let book = lock(&self.account.book);
            let order = book.by_capture(capture).ok_or_else(Failure::not_found)?;
            order.spec.currency.clone()
        };
        let amount = match &asked.amount {
            None => None,
            Some(amount) if amount.currency_code != currency => {
                return Err(Failure::parameter("/amount/currency_code"));
            }
            Some(amount) => Some(
                objects::minor(&amount.value, &currency)
                    .ok_or_else(|| Failure::parameter("/amount/value"))?,
            ),
        };
        let names = (asked.invoice_id, asked.custom_id, asked.note_to_payer);
        let (order, refund) = lock(&self.account.book).refund(capture, amount, names, self.now)?;
        notify::refunded(self.state, self.account, &order, &refund, self.now);
        Ok(Made::Refund(refund.id))
    }

    fn show_order(&self, id: &str, status: StatusCode) -> Result<Reply, Failure> {
        let book = lock(&self.account.book);
        let order = book.order(id, self.now)?;
        let whole = objects::order(order, &self.state.public_url, self.lie);
        Ok(super::json(status, &self.preferred(whole)))
    }

    /// What changes something answers in short, unless the whole is asked for.
    fn preferred(&self, whole: Value) -> Value {
        let asks = self.call.header("prefer").is_some_and(|p| p.contains("representation"));
        if asks || self.call.method == Method::GET {
            return whole;
        }
        let mut short = json!({});
        for name in ["id", "status", "links"] {
            short[name] = whole[name].clone();
        }
        if !whole["purchase_units"][0]["payments"].is_null() {
            let unit = &whole["purchase_units"][0];
            short["purchase_units"] =
                json!([{ "reference_id": unit["reference_id"], "payments": unit["payments"] }]);
        }
        short
    }

    fn show_capture(&self, id: &str) -> Result<Reply, Failure> {
        let book = lock(&self.account.book);
        let order = book.by_capture(id).ok_or_else(Failure::not_found)?;
        let shown = objects::capture(order, &self.state.public_url);
        Ok(super::json(StatusCode::OK, &shown.ok_or_else(Failure::not_found)?))
    }

    fn show_refund(&self, id: &str, status: StatusCode) -> Result<Reply, Failure> {
        let book = lock(&self.account.book);
        let (order, refund) = book.by_refund(id).ok_or_else(Failure::not_found)?;
        let shown = objects::refund(order, refund, &self.state.public_url);
        Ok(super::json(status, &self.preferred_refund(shown)))
    }

    fn preferred_refund(&self, whole: Value) -> Value {
        let asks = self.call.header("prefer").is_some_and(|p| p.contains("representation"));
        if asks || self.call.method == Method::GET {
            return whole;
        }
        json!({ "id": whole["id"], "status": whole["status"], "links": whole["links"] })
    }
}
