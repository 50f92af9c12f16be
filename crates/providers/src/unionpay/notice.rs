//! Notifications: a form posted to `backUrl`, for successes only.

use domain::{
    Currency, Money, Notice, NoticeKind, OrderState, ProviderOrderNo, Receipt, RefundState,
    Timestamp,
};

use super::answer::{is_amount, paid_at};
use super::codec::UnionPay;
use super::message::{Fields, decode, text};
use super::table::is_success;
use super::trust::Unproven;
use crate::{Delivery, Forged};

impl UnionPay {
    pub(super) fn read_notice(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Notice, Forged> {
        let fields = decode(&delivery.body)
            .ok_or_else(|| Forged::Malformed("no form that can be read one way only".into()))?;
        self.trust.prove(&fields, now).map_err(|why| {
            Forged::Signature(match why {
                Unproven::Unfit(why) => why,
                Unproven::Expired { .. } => "its certificate has run out",
            })
        })?;
        if text(&fields, "merId") != Some(&self.mer_id) {
            return Err(Forged::Account("merId"));
        }
        let number = text(&fields, "orderId").ok_or_else(|| missing("orderId"))?;
        let good = text(&fields, "respCode").is_some_and(is_success);
        match text(&fields, "txnType") {
            Some("01") => {
                let number = ProviderOrderNo::received(number);
                Ok(Notice { number, kind: if good { paid(&fields)? } else { NoticeKind::Hint } })
            }
            Some("04" | "31") => given_back(&fields, number, good),
            _ => Err(Forged::Irrelevant("another kind of transaction".to_owned())),
        }
    }
}

fn missing(field: &str) -> Forged {
    Forged::Malformed(format!("{field} is missing or cannot be read"))
}

fn paid(fields: &Fields) -> Result<NoticeKind, Forged> {
    let minor = text(fields, "txnAmt").and_then(|amount| amount.parse().ok());
    let captured = minor
        .filter(|minor| is_amount(fields, *minor) == Some(true))
        .and_then(|minor| Money::new(minor, Currency::CNY).ok())
        .ok_or_else(|| missing("txnAmt or currencyCode"))?;
    let reference = text(fields, "queryId").ok_or_else(|| missing("queryId"))?.to_owned();
    let receipt = Receipt { reference, captured, paid_at: paid_at(fields) };
    Ok(NoticeKind::Order(OrderState::Paid(receipt)))
}

/// The refund's own number is in `orderId`; the order's came along as `reqReserved`.
fn given_back(fields: &Fields, number: &str, good: bool) -> Result<Notice, Forged> {
    let order = text(fields, "reqReserved").ok_or_else(|| missing("reqReserved"))?;
    let refund = ProviderOrderNo::received(number);
    let kind = match good {
        true => NoticeKind::Refund { refund, state: RefundState::Succeeded },
        false => NoticeKind::Hint,
    };
    Ok(Notice { number: ProviderOrderNo::received(order), kind })
}
