//! PayPal's objects as JSON, and its amounts as text.

use serde_json::{Value, json};

use crate::books::Millis;
use crate::books::paypal::{Order, Refund};

/// Currencies without a minor unit.
const WHOLE: [&str; 1] = ["JPY"];
/// Currencies that are taken; all others are refused.
const TAKEN: [&str; 22] = [
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "JPY", "MXN",
    "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "USD",
];

pub(super) fn is_taken(currency: &str) -> bool {
    TAKEN.contains(&currency)
}

/// Minor units as a decimal text in major units.
pub(super) fn decimal(minor: i64, currency: &str) -> String {
    if WHOLE.contains(&currency) {
        return minor.to_string();
    }
    format!("{}.{:02}", minor / 100, minor % 100)
}

/// Reads such a text; more decimals than the currency has are refused.
pub(super) fn minor(text: &str, currency: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let decimals = if WHOLE.contains(&currency) { 0 } else { 2 };
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > decimals {
        return None;
    }
    let padded = format!("{whole}{part:0<decimals$}");
    padded.parse().ok().filter(|minor| (1..=99_999_999_999).contains(minor))
}

pub(super) fn amount(minor: i64, currency: &str) -> Value {
    json!({ "currency_code": currency, "value": decimal(minor, currency) })
}

/// `2026-11-24T08:00:00Z`.
pub(super) fn time(at: Millis) -> String {
    let moment = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An order; one that lies looks as if nobody had approved it.
pub(super) fn order(order: &Order, base: &str, lie: bool) -> Value {
    let spec = &order.spec;
    let mut unit = json!({
        "reference_id": spec.reference_id,
        "amount": amount(spec.amount, &spec.currency),
        "payee": { "merchant_id": "SANDBOXMERCH1" },
    });
    for (name, text) in [
        ("custom_id", &spec.custom_id),
        ("invoice_id", &spec.invoice_id),
        ("description", &spec.description),
    ] {
        if let Some(text) = text {
            unit[name] = text.as_str().into();
        }
    }
    let captured = capture(order, base).filter(|_| !lie);
    if let Some(captured) = captured {
        unit["payments"] = json!({ "captures": [captured] });
        if !order.refunds.is_empty() {
            let refunds: Vec<_> =
                order.refunds.iter().map(|one| refund(order, one, base)).collect();
            unit["payments"]["refunds"] = refunds.into();
        }
    }
    let unpaid = if spec.has_source { "PAYER_ACTION_REQUIRED" } else { "CREATED" };
    json!({
        "id": order.id,
        "intent": "CAPTURE",
        "status": if lie { unpaid } else { order.status() },
        "purchase_units": [unit],
        "create_time": time(order.created_at),
        "links": links(order, base),
    })
}

fn links(order: &Order, base: &str) -> Value {
    let address = format!("{base}/v2/checkout/orders/{}", order.id);
    let page = format!("{base}/pay/paypal/{}", order.id);
    let rel = if order.spec.has_source { "payer-action" } else { "approve" };
    let mut links = vec![json!({ "href": address, "rel": "self", "method": "GET" })];
    if order.capture.is_none() {
        links.push(json!({ "href": page, "rel": rel, "method": "GET" }));
        let capture = format!("{address}/capture");
        links.push(json!({ "href": capture, "rel": "capture", "method": "POST" }));
    }
    links.into()
}

pub(super) fn capture(order: &Order, base: &str) -> Option<Value> {
    let capture = order.capture.as_ref()?;
    let spec = &order.spec;
    // The fee is 3.4 percent, without the fixed part.
    let fee = spec.amount * 34 / 1_000;
    let mut shown = json!({
        "id": capture.id,
        "status": order.capture_status(),
        "amount": amount(spec.amount, &spec.currency),
        "final_capture": true,
        "seller_receivable_breakdown": {
            "gross_amount": amount(spec.amount, &spec.currency),
            "paypal_fee": amount(fee, &spec.currency),
            "net_amount": amount(spec.amount - fee, &spec.currency),
        },
        "create_time": time(capture.at),
        "update_time": time(order.refunds.last().map_or(capture.at, |refund| refund.at)),
        "links": [{
            "href": format!("{base}/v2/payments/captures/{}", capture.id),
            "rel": "self", "method": "GET",
        }, {
            "href": format!("{base}/v2/checkout/orders/{}", order.id),
            "rel": "up", "method": "GET",
        }],
    });
    for (name, text) in [("custom_id", &spec.custom_id), ("invoice_id", &spec.invoice_id)] {
        if let Some(text) = text {
            shown[name] = text.as_str().into();
        }
    }
    Some(shown)
}

pub(super) fn refund(order: &Order, refund: &Refund, base: &str) -> Value {
    let mut shown = json!({
        "id": refund.id,
        "status": "COMPLETED",
        "amount": amount(refund.amount, &order.spec.currency),
        "create_time": time(refund.at),
        "update_time": time(refund.at),
        "links": [{
            "href": format!("{base}/v2/payments/refunds/{}", refund.id),
            "rel": "self", "method": "GET",
        }],
    });
    for (name, text) in [
        ("custom_id", &refund.custom_id),
        ("invoice_id", &refund.invoice_id),
        ("note_to_payer", &refund.note),
    ] {
        if let Some(text) = text {
            shown[name] = text.as_str().into();
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_their_currencys_decimals() {
        assert_eq!((decimal(1_005, "USD"), decimal(500, "JPY")), ("10.05".into(), "500".into()));
        assert_eq!(minor("10.05", "USD"), Some(1_005));
        assert_eq!(minor("10.5", "USD"), Some(1_050));
        assert_eq!(minor("500", "JPY"), Some(500));
        for (text, currency) in
            [("500.00", "JPY"), ("1.005", "USD"), ("0.00", "USD"), ("-1", "USD"), ("", "USD")]
        {
            assert_eq!(minor(text, currency), None, "{text} {currency}");
        }
    }
}
