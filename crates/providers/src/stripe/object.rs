//! Stripe's objects, as far as they are read.

use std::collections::BTreeMap;

use domain::{
    Decline, Fault, Flow, Money, OrderRef, OrderState, Outcome, Presentation, Receipt, RefundOrder,
    RefundState, Timestamp,
};
use serde::{Deserialize, Deserializer};

use super::table::meaning;
use crate::common::{malformed, other};
use crate::table::{Call, Meaning};

/// Where our order number lives.
pub(super) const ORDER: &str = "evergate_order";
/// Where our refund number lives.
pub(super) const REFUND: &str = "evergate_refund";
/// Where the flow lives, so that a webhook can tell a final decline from a second chance.
pub(super) const FLOW: &str = "evergate_flow";

/// A PaymentIntent.
#[derive(Deserialize)]
pub(super) struct Intent {
    pub(super) id: String,
    pub(super) amount: i64,
    #[serde(default)]
    pub(super) amount_received: Option<i64>,
    pub(super) currency: String,
    pub(super) status: String,
    #[serde(default)]
    pub(super) client_secret: Option<String>,
    #[serde(default)]
    latest_charge: Option<serde_json::Value>,
    #[serde(default)]
    pub(super) last_payment_error: Option<ErrorObject>,
    #[serde(default)]
    pub(super) next_action: Option<NextAction>,
    #[serde(default, deserialize_with = "metadata")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// A Refund.
#[derive(Deserialize)]
pub(super) struct Refund {
    pub(super) amount: i64,
    pub(super) currency: String,
    #[serde(default)]
    pub(super) status: Option<String>,
    #[serde(default)]
    failure_reason: Option<String>,
    #[serde(default, deserialize_with = "metadata")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// An error, in an answer or in an intent.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorObject {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    payment_intent: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(super) struct NextAction {
    alipay_handle_redirect: Option<Url>,
    redirect_to_url: Option<Url>,
    wechat_pay_display_qr_code: Option<Qr>,
}

#[derive(Deserialize)]
struct Url {
    url: Option<String>,
}

#[derive(Deserialize)]
struct Qr {
    data: Option<String>,
}

/// Metadata may hold other people's keys; those with odd values are passed over.
fn metadata<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let read: Option<BTreeMap<String, serde_json::Value>> = Deserialize::deserialize(from)?;
    let texts = read.unwrap_or_default().into_iter();
    Ok(texts.filter_map(|(k, v)| Some((k, v.as_str()?.to_owned()))).collect())
}

impl ErrorObject {
    /// The id of the intent that the error is about: the whole object comes with it.
    pub(super) fn intent(&self) -> Option<&str> {
        let value = self.payment_intent.as_ref()?;
        value.as_str().or_else(|| value.get("id")?.as_str()).filter(|id| id.starts_with("pi_"))
    }

    /// Codes from the most specific to the least.
    pub(super) fn codes(&self) -> Vec<&str> {
        [&self.decline_code, &self.code, &self.kind]
            .into_iter()
            .filter_map(|code| code.as_deref().filter(|code| is_code(code)))
            .collect()
    }
}

/// A code is lower-case letters, digits and underscores; anything else may be somebody's data.
fn is_code(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(fits)
}

impl NextAction {
    /// What the customer follows or scans.
    pub(super) fn presentation(self) -> Option<Presentation> {
        if let Some(content) = self.wechat_pay_display_qr_code.and_then(|qr| qr.data) {
            return Some(Presentation::QrCode { content });
        }
        let redirect = self.alipay_handle_redirect.or(self.redirect_to_url);
        redirect.and_then(|to| to.url).map(|url| Presentation::Redirect { url })
    }
}

impl Intent {
    /// Whether it carries our number.
    pub(super) fn is_about(&self, order: &OrderRef) -> bool {
        self.metadata.get(ORDER).is_some_and(|number| number == order.number.as_str())
    }

    /// Whether it is this order, number, amount, currency and (where known) id.
    pub(super) fn check(&self, order: &OrderRef) -> Result<(), Fault> {
        if !self.is_about(order) || reference(order).is_some_and(|id| id != self.id) {
            return Err(other("order"));
        }
        let currency = self.currency.eq_ignore_ascii_case(order.money.currency().code());
        if self.amount != order.money.minor() || !currency {
            return Err(other("amount"));
        }
        Ok(())
    }

    /// The state of a checked intent.
    pub(super) fn state(&self, flow: Flow) -> Result<OrderState, Fault> {
        match self.status.as_str() {
            "succeeded" => self.receipt().map(OrderState::Paid),
            "processing" | "requires_capture" => Ok(OrderState::Processing),
            "canceled" => Ok(OrderState::Closed),
            "requires_payment_method" => match &self.last_payment_error {
                Some(error) if flow == Flow::Direct => Ok(OrderState::Declined(decline(error))),
                _ => Ok(OrderState::Payable),
            },
            "requires_action" | "requires_confirmation" => Ok(OrderState::Payable),
            _ => Err(malformed("the intent's status")),
        }
    }

    /// The proof of money of a succeeded intent.
    pub(super) fn receipt(&self) -> Result<Receipt, Fault> {
        let received = self.amount_received.unwrap_or(self.amount);
        if received != self.amount {
            return Err(other("amount"));
        }
        let currency = self.currency.to_ascii_uppercase().parse().map_err(|_| other("amount"))?;
        let captured = Money::new(received, currency).map_err(|_| other("amount"))?;
        let paid_at =
            self.latest_charge.as_ref().and_then(|charge| charge.get("created")?.as_i64());
        Ok(Receipt {
            reference: self.id.clone(),
            captured,
            paid_at: paid_at.map(Timestamp::from_secs),
        })
    }
}

/// The decline that an error states. The table's word on softness counts, and whatever is not
/// listed there is hard.
pub(super) fn decline(error: &ErrorObject) -> Decline {
    let codes = error.codes();
    let soft = meaning(Call::Charge, 402, &codes) == Meaning::Declined { soft: true };
    Decline { code: codes.first().copied().unwrap_or("card_declined").to_owned(), soft }
}

/// The order's intent, where we know it.
pub(super) fn reference(order: &OrderRef) -> Option<&str> {
    order.reference.as_deref().filter(|id| id.starts_with("pi_"))
}

impl Refund {
    /// Its state, if it is this refund.
    pub(super) fn state_for(&self, refund: &RefundOrder) -> Outcome<RefundState> {
        if !self.is_about(refund) {
            return Outcome::Unknown(other("refund"));
        }
        let currency = self.currency.eq_ignore_ascii_case(refund.amount.currency().code());
        if self.amount != refund.amount.minor() || !currency {
            return Outcome::Unknown(other("amount"));
        }
        self.state().map_or_else(Outcome::Unknown, Outcome::Ok)
    }

    /// Whether it carries our number.
    pub(super) fn is_about(&self, refund: &RefundOrder) -> bool {
        self.metadata.get(REFUND).is_some_and(|number| number == refund.number.as_str())
    }

    /// What its status says.
    pub(super) fn state(&self) -> Result<RefundState, Fault> {
        match self.status.as_deref() {
            Some("succeeded") => Ok(RefundState::Succeeded),
            Some("pending" | "requires_action") => Ok(RefundState::Pending),
            Some(ended @ ("failed" | "canceled")) => {
                let reason = self.failure_reason.as_deref().filter(|r| is_code(r));
                let code = reason.unwrap_or(ended).to_owned();
                Ok(RefundState::Failed(Fault::new(code, format!("the refund is {ended}"))))
            }
            _ => Err(malformed("the refund's status")),
        }
    }
}
