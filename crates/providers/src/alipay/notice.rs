//! Asynchronous notifications.

use std::collections::BTreeMap;

use domain::{
    Currency, Money, Notice, NoticeKind, OrderState, ProviderOrderNo, Receipt, RefundState,
};
use percent_encoding::percent_decode;

use super::codec::Alipay;
use crate::common::read_beijing;
use crate::{Delivery, Forged};

/// A notification's fields. Signatures cover bytes, so names and values stay bytes until then.
type Fields = BTreeMap<String, Vec<u8>>;

impl Alipay {
    pub(super) fn read_notice(&self, delivery: &Delivery) -> Result<Notice, Forged> {
        let fields = fields(&delivery.body)?;
        self.prove(&fields)?;
        let text = |name: &str| {
            fields.get(name).and_then(|v| std::str::from_utf8(v).ok()).filter(|v| !v.is_empty())
        };
        if text("app_id") != Some(&self.app_id) {
            return Err(Forged::Account("app_id"));
        }
        if let (Some(ours), Some(theirs)) = (&self.seller_id, text("seller_id"))
            && ours != theirs
        {
            return Err(Forged::Account("seller_id"));
        }
        match text("notify_type") {
            Some("trade_status_sync") => {}
            other => {
                let kind = other.map_or("nothing", known_kind);
                return Err(Forged::Irrelevant(kind.to_owned()));
            }
        }
        let number = text("out_trade_no").ok_or_else(|| missing("out_trade_no"))?;
        Ok(Notice { number: ProviderOrderNo::received(number), kind: kind(&text)? })
    }

    /// Trade notifications are signed without `sign_type`, others with it.
    fn prove(&self, fields: &Fields) -> Result<(), Forged> {
        let text = |name: &str| fields.get(name).and_then(|v| std::str::from_utf8(v).ok());
        let signature = text("sign").ok_or(Forged::Signature("no sign field"))?;
        let trade = text("notify_type") == Some("trade_status_sync");
        let kept = fields.iter().filter(|(name, value)| {
            !value.is_empty() && *name != "sign" && !(trade && *name == "sign_type")
        });
        let mut message = Vec::new();
        for (name, value) in kept {
            if !message.is_empty() {
                message.push(b'&');
            }
            message.extend_from_slice(name.as_bytes());
            message.push(b'=');
            message.extend_from_slice(value);
        }
        if self.trust.verifies(&message, signature, text("alipay_cert_sn")) {
            Ok(())
        } else {
            Err(Forged::Signature("RSA2"))
        }
    }
}

/// Only names that we know go into a log.
fn known_kind(kind: &str) -> &str {
    match kind {
        "servicemarket_order_notify" | "open_app_auth_notify" | "fund_auth_freeze" => kind,
        _ => "another subject",
    }
}

fn missing(field: &str) -> Forged {
    Forged::Malformed(format!("{field} is missing or cannot be read"))
}

/// The form's fields as bytes; a name that comes twice could be read two ways and is refused.
fn fields(body: &[u8]) -> Result<Fields, Forged> {
    let mut fields = Fields::new();
    for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let mut parts = pair.splitn(2, |b| *b == b'=');
        let name = decode(parts.next().unwrap_or_default());
        let name = String::from_utf8(name).map_err(|_| missing("a field's name"))?;
        if fields.insert(name, decode(parts.next().unwrap_or_default())).is_some() {
            return Err(Forged::Malformed("a field comes twice".into()));
        }
    }
    Ok(fields)
}

fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect();
    percent_decode(&spaced).collect()
}

/// What the notification says. Refunds come with the trade's own status beside them.
fn kind<'f>(text: &impl Fn(&str) -> Option<&'f str>) -> Result<NoticeKind, Forged> {
    let refund = text("out_biz_no")
        .filter(|no| no.starts_with('R') && ProviderOrderNo::parse(no).is_some())
        .filter(|_| text("gmt_refund").is_some() || text("refund_fee").is_some());
    if let Some(refund) = refund {
        let refund = ProviderOrderNo::received(refund);
        return Ok(NoticeKind::Refund { refund, state: RefundState::Succeeded });
    }
    let paid = text("gmt_payment").is_some() || text("refund_fee").is_some();
    Ok(match text("trade_status").ok_or_else(|| missing("trade_status"))? {
        "TRADE_SUCCESS" | "TRADE_FINISHED" => NoticeKind::Order(OrderState::Paid(receipt(text)?)),
        // A trade that was paid is closed only when all of it has gone back.
        "TRADE_CLOSED" if paid => NoticeKind::Order(OrderState::PaidAndRefunded(receipt(text)?)),
        "TRADE_CLOSED" => NoticeKind::Order(OrderState::Closed),
        "WAIT_BUYER_PAY" => NoticeKind::Order(OrderState::Payable),
        _ => NoticeKind::Hint,
    })
}

fn receipt<'f>(text: &impl Fn(&str) -> Option<&'f str>) -> Result<Receipt, Forged> {
    let amount = text("total_amount")
        .and_then(|amount| Money::from_major(amount, Currency::CNY).ok())
        .ok_or_else(|| missing("total_amount"))?;
    Ok(Receipt {
        reference: text("trade_no").ok_or_else(|| missing("trade_no"))?.to_owned(),
        captured: amount,
        paid_at: text("gmt_payment").and_then(read_beijing),
    })
}
