//! PayPal's objects, as far as they are read.

use domain::{
    CloseState, Fault, Money, OrderRef, OrderState, Outcome, Receipt, RefundOrder, RefundState,
};
use serde::Deserialize;

use crate::common::{is_major, malformed, other, read_rfc3339};

/// An order.
#[derive(Deserialize)]
pub(super) struct OrderObject {
    pub(super) id: String,
    status: String,
    #[serde(default)]
    purchase_units: Vec<Unit>,
    #[serde(default)]
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Unit {
    #[serde(default)]
    amount: Option<Amount>,
    #[serde(default)]
    custom_id: Option<String>,
    #[serde(default)]
    payments: Payments,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Payments {
    captures: Vec<Capture>,
    refunds: Vec<RefundObject>,
}

/// An amount in major units.
#[derive(Deserialize)]
struct Amount {
    currency_code: String,
    value: String,
}

#[derive(Deserialize)]
struct Capture {
    id: String,
    status: String,
    #[serde(default)]
    amount: Option<Amount>,
    #[serde(default)]
    custom_id: Option<String>,
    #[serde(default)]
    create_time: Option<String>,
}

/// A refund, in an order or by itself.
#[derive(Deserialize)]
pub(super) struct RefundObject {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    amount: Option<Amount>,
    #[serde(default)]
    invoice_id: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
    rel: String,
}

/// An error's body.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorObject {
    name: Option<String>,
    details: Vec<Detail>,
    /// The token endpoint's and the gateway's own form.
    error: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    issue: Option<String>,
}

impl ErrorObject {
    /// Codes from the most specific to the least. Texts that are no codes are left out, so
    /// that nothing a provider writes in prose comes into logs.
    pub(super) fn codes(&self) -> Vec<&str> {
        let issues = self.details.iter().filter_map(|d| d.issue.as_deref());
        let names = [self.name.as_deref(), self.error.as_deref()].into_iter().flatten();
        issues.chain(names).filter(|code| is_code(code)).collect()
    }
}

fn is_code(text: &str) -> bool {
    let sign = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
    !text.is_empty() && text.len() <= 100 && text.bytes().all(sign)
}

/// What an order has come to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    Paid(Receipt),
    Returned(Receipt),
    Processing,
    /// The customer has not approved it, or has to once more.
    Payable,
    /// The customer has approved it, and nothing was taken.
    Approved,
    Closed,
}

impl Amount {
    fn is(&self, money: Money) -> bool {
        self.currency_code == money.currency().code() && is_major(&self.value, money)
    }
}

impl OrderObject {
    /// Whether this is the order that was asked about: id, number and amount.
    pub(super) fn check(&self, order: &OrderRef) -> Result<(), Fault> {
        if order.reference.as_ref().is_some_and(|id| *id != self.id) {
            return Err(other("order"));
        }
        let [unit] = self.purchase_units.as_slice() else {
            return Err(malformed("not one purchase unit"));
        };
        let captures = &unit.payments.captures;
        let mut numbers = unit.custom_id.iter().chain(captures.iter().flat_map(|c| &c.custom_id));
        let named = numbers.next().is_some_and(|n| n == order.number.as_str());
        if !named || !numbers.all(|n| n == order.number.as_str()) {
            return Err(other("order"));
        }
        let mut amounts = unit.amount.iter().chain(captures.iter().flat_map(|c| &c.amount));
        let right = amounts.next().is_some_and(|a| a.is(order.money));
        if !right || !amounts.all(|a| a.is(order.money)) {
            return Err(other("amount"));
        }
        Ok(())
    }

    /// What a checked order has come to. Its captures say whether money moved; its own status
    /// does not.
    pub(super) fn standing(&self, order: &OrderRef) -> Result<Standing, Fault> {
        let mut failed = false;
        let captures = self.purchase_units.iter().flat_map(|unit| &unit.payments.captures);
        for capture in captures {
            match capture.status.as_str() {
                "COMPLETED" | "PARTIALLY_REFUNDED" => {
                    return Ok(Standing::Paid(self.receipt(capture, order)?));
                }
                "REFUNDED" => return Ok(Standing::Returned(self.receipt(capture, order)?)),
                "PENDING" => return Ok(Standing::Processing),
                "DECLINED" | "FAILED" => failed = true,
                _ => return Err(malformed("a capture's status")),
            }
        }
        match self.status.as_str() {
            "CREATED" | "SAVED" | "PAYER_ACTION_REQUIRED" => Ok(Standing::Payable),
            "APPROVED" => Ok(Standing::Approved),
            "VOIDED" => Ok(Standing::Closed),
            "COMPLETED" if failed => Ok(Standing::Closed),
            _ => Err(malformed("the order's status")),
        }
    }

    /// The reference is the order's id: queries and refunds start from it.
    fn receipt(&self, capture: &Capture, order: &OrderRef) -> Result<Receipt, Fault> {
        if capture.id.is_empty() || capture.amount.is_none() {
            return Err(malformed("a capture without id or amount"));
        }
        Ok(Receipt {
            reference: self.id.clone(),
            captured: order.money,
            paid_at: capture.create_time.as_deref().and_then(read_rfc3339),
        })
    }

    /// Where the customer approves it.
    pub(super) fn link(&self) -> Option<&str> {
        let link = |rel: &str| self.links.iter().find(|link| link.rel == rel);
        let link = link("payer-action").or_else(|| link("approve"))?;
        let web = link.href.starts_with("https://") || link.href.starts_with("http://");
        web.then_some(link.href.as_str())
    }

    /// The capture that a refund goes against.
    pub(super) fn captured(&self) -> Option<&str> {
        let mut captures = self.purchase_units.iter().flat_map(|unit| &unit.payments.captures);
        captures
            .find(|c| matches!(c.status.as_str(), "COMPLETED" | "PARTIALLY_REFUNDED" | "REFUNDED"))
            .map(|c| c.id.as_str())
    }

    /// The refund of this number.
    pub(super) fn refund(&self, refund: &RefundOrder) -> Option<&RefundObject> {
        let mut refunds = self.purchase_units.iter().flat_map(|unit| &unit.payments.refunds);
        refunds.find(|r| r.invoice_id.as_deref() == Some(refund.number.as_str()))
    }
}

impl RefundObject {
    /// What it has come to, if it is this refund.
    pub(super) fn state(&self, refund: &RefundOrder) -> Outcome<RefundState> {
        if self.invoice_id.as_deref() != Some(refund.number.as_str()) {
            return Outcome::Unknown(other("refund"));
        }
        if !self.amount.as_ref().is_some_and(|a| a.is(refund.amount)) {
            return Outcome::Unknown(other("amount"));
        }
        match self.status.as_deref() {
            Some("COMPLETED") => Outcome::Ok(RefundState::Succeeded),
            Some("PENDING") => Outcome::Ok(RefundState::Pending),
            Some(end @ ("CANCELLED" | "FAILED")) => {
                let fault = Fault::new(end, "PayPal ended the refund without effect");
                Outcome::Ok(RefundState::Failed(fault))
            }
            _ => Outcome::Unknown(malformed("the refund's status")),
        }
    }
}

impl Standing {
    /// As the answer to a question.
    pub(super) fn state(self) -> OrderState {
        match self {
            Standing::Paid(receipt) => OrderState::Paid(receipt),
            Standing::Returned(receipt) => OrderState::PaidAndRefunded(receipt),
            Standing::Processing => OrderState::Processing,
            Standing::Payable | Standing::Approved => OrderState::Payable,
            Standing::Closed => OrderState::Closed,
        }
    }

    /// As the answer to a close: what was not captured is closed, because nobody but us could.
    pub(super) fn closed(self) -> CloseState {
        match self {
            Standing::Paid(receipt) => CloseState::AlreadyPaid(Some(receipt)),
            Standing::Returned(receipt) => CloseState::PaidAndRefunded(receipt),
            Standing::Processing => CloseState::Processing,
            Standing::Payable | Standing::Approved => CloseState::NotTaken,
            Standing::Closed => CloseState::Closed,
        }
    }
}
