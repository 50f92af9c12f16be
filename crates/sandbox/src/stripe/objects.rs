//! Stripe's JSON objects.

use serde_json::{Value, json};

use crate::books::Millis;
use crate::books::stripe::{
    Charge, Intent, IntentStatus, Method, NextAction, PaymentError, Refund,
};

fn seconds(ms: Millis) -> i64 {
    ms.div_euclid(1_000)
}

pub(crate) fn list(url: &str, data: Vec<Value>, more: bool) -> Value {
    json!({ "object": "list", "url": url, "has_more": more, "data": data })
}

pub(crate) fn intent(intent: &Intent, expand: &[&str], public_url: &str) -> Value {
    let wants =
        |name: &str| expand.iter().any(|path| path.strip_prefix("data.").unwrap_or(path) == name);
    let latest = intent.charges.last();
    let latest_charge = match latest {
        Some(one) if wants("latest_charge") => charge(intent, one),
        Some(one) => one.id.as_str().into(),
        None => Value::Null,
    };
    let payment_method = match &intent.method {
        Some(one) if wants("payment_method") => method(one),
        Some(one) => one.id.as_str().into(),
        None => Value::Null,
    };
    let types: Vec<&str> = intent.spec.method_types.iter().map(|kind| kind.as_str()).collect();
    json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.spec.amount,
        "amount_capturable": intent.amount_capturable(),
        "amount_details": { "tip": {} },
        "amount_received": intent.amount_received(),
        "application": Value::Null,
        "application_fee_amount": Value::Null,
        "automatic_payment_methods": Value::Null,
        "canceled_at": intent.canceled_at.map(seconds),
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": if intent.spec.manual_capture { "manual" } else { "automatic" },
        "client_secret": intent.client_secret,
        "confirmation_method": "automatic",
        "created": intent.created_s(),
        "currency": intent.spec.currency,
        "customer": intent.spec.customer,
        "description": intent.spec.description,
        "last_payment_error": intent.last_error.as_ref().map(payment_error),
        "latest_charge": latest_charge,
        "livemode": false,
        "metadata": intent.spec.metadata,
        "next_action": next_action(intent, public_url),
        "on_behalf_of": Value::Null,
        "payment_method": payment_method,
        "payment_method_options": {},
        "payment_method_types": types,
        "processing": Value::Null,
        "receipt_email": Value::Null,
        "review": Value::Null,
        "setup_future_usage": Value::Null,
        "shipping": Value::Null,
        "source": Value::Null,
        "statement_descriptor": Value::Null,
        "statement_descriptor_suffix": Value::Null,
        "status": intent.status.as_str(),
        "transfer_data": Value::Null,
        "transfer_group": Value::Null,
    })
}

fn next_action(intent: &Intent, public_url: &str) -> Value {
    if intent.status != IntentStatus::RequiresAction {
        return Value::Null;
    }
    let url = format!("{public_url}/pay/stripe/{}", intent.token);
    let return_url = &intent.spec.return_url;
    match intent.next_action {
        None => Value::Null,
        Some(NextAction::Authenticate) => json!({
            "type": "redirect_to_url",
            "redirect_to_url": { "url": url, "return_url": return_url },
        }),
        Some(NextAction::AlipayRedirect) => json!({
            "type": "alipay_handle_redirect",
            "alipay_handle_redirect": {
                "native_data": Value::Null,
                "native_url": Value::Null,
                "return_url": return_url,
                "url": url,
            },
        }),
        Some(NextAction::WechatPayQr) => json!({
            "type": "wechat_pay_display_qr_code",
            "wechat_pay_display_qr_code": {
                "data": format!("weixin://wxpay/bizpayurl?pr={}", intent.token),
                "hosted_instructions_url": url,
                "image_data_url": "",
                "image_url_png": format!("{url}/qr.png"),
                "image_url_svg": format!("{url}/qr.svg"),
            },
        }),
    }
}

/// What the customer's side said, in Stripe's words.
fn decline_message(code: &str, decline_code: Option<&str>) -> &'static str {
    match (code, decline_code) {
        (_, Some("insufficient_funds")) => "Your card has insufficient funds.",
        ("expired_card", _) => "Your card has expired.",
        ("incorrect_cvc", _) => "Your card's security code is incorrect.",
        ("processing_error", _) => {
            "An error occurred while processing your card. Try again in a little bit."
        }
        ("authentication_required", _) => {
            "Your card was declined. This transaction requires authentication."
        }
        ("payment_intent_authentication_failure", _) => {
            "The provided PaymentMethod has failed authentication."
        }
        _ => "Your card was declined.",
    }
}

pub(crate) fn payment_error(error: &PaymentError) -> Value {
    let authentication = error.code == "payment_intent_authentication_failure";
    let mut value = json!({
        "type": if authentication { "invalid_request_error" } else { "card_error" },
        "code": error.code,
        "message": decline_message(error.code, error.decline_code),
        "doc_url": format!("https://stripe.com/docs/error-codes/{}", error.code.replace('_', "-")),
    });
    if let Some(decline_code) = error.decline_code {
        value["decline_code"] = decline_code.into();
    }
    if let Some(one) = &error.method {
        value["payment_method"] = method(one);
    }
    if let Some(charge) = &error.charge {
        value["charge"] = charge.as_str().into();
    }
    value
}

pub(crate) fn method(method: &Method) -> Value {
    let mut value = json!({
        "id": method.id,
        "object": "payment_method",
        "billing_details": { "address": {}, "email": Value::Null, "name": Value::Null },
        "created": seconds(method.created_at),
        "customer": Value::Null,
        "livemode": false,
        "metadata": {},
        "type": method.kind.as_str(),
    });
    value[method.kind.as_str()] = match &method.card {
        None => json!({}),
        Some(card) => json!({
            "brand": card.brand,
            "country": "US",
            "exp_month": card.exp_month,
            "exp_year": card.exp_year,
            "funding": "credit",
            "last4": card.last4,
        }),
    };
    value
}

pub(crate) fn charge(intent: &Intent, charge: &Charge) -> Value {
    let failed = charge.failure.is_some();
    let refunded = if failed { 0 } else { intent.refunded() };
    let mut details = json!({ "type": charge.method.kind.as_str() });
    details[charge.method.kind.as_str()] =
        method(&charge.method)[charge.method.kind.as_str()].clone();
    json!({
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": charge.captured,
        "amount_refunded": refunded,
        "balance_transaction": if failed { Value::Null } else { transaction(&charge.id).into() },
        "captured": charge.captured > 0,
        "created": seconds(charge.created_at),
        "currency": intent.spec.currency,
        "description": intent.spec.description,
        "failure_code": charge.failure.map(|(code, _)| code),
        "failure_message": charge.failure.map(|(code, decline)| decline_message(code, decline)),
        "livemode": false,
        "metadata": intent.spec.metadata,
        "paid": !failed,
        "payment_intent": intent.id,
        "payment_method": charge.method.id,
        "payment_method_details": details,
        "refunded": !failed && refunded > 0 && refunded == charge.captured,
        "status": if failed { "failed" } else { "succeeded" },
    })
}

/// The balance transaction of a charge or refund, derived from its id.
fn transaction(id: &str) -> String {
    format!("txn_{}", &id[3..])
}

pub(crate) fn refund(intent: &Intent, refund: &Refund) -> Value {
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": transaction(&refund.id),
        "charge": refund.charge,
        "created": seconds(refund.created_at),
        "currency": intent.spec.currency,
        "metadata": refund.metadata,
        "payment_intent": intent.id,
        "reason": refund.reason,
        "receipt_number": Value::Null,
        "status": "succeeded",
    })
}
