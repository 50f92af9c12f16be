//! Operations to requests.

use domain::{
    Answer, Created, Device, Flow, Notice, Operation, Order, OrderRef, Outcome, Presentation,
    ProviderOrderNo, RefundOrder, Timestamp,
};

use super::message::{Fields, encode, sign};
use super::trust::Trust;
use crate::common::{beijing_compact, shorten};
use crate::crypto::PrivateKey;
use crate::{
    Acknowledgement, Capabilities, Delivery, Forged, Provider, Reply, Request, Stamp, Statements,
    Step, Unsupported, Verdict,
};

/// One merchant number at UnionPay.
#[derive(Debug)]
pub(crate) struct UnionPay {
    pub(super) base_url: String,
    /// Where clearing files are asked for.
    pub(super) file_url: String,
    pub(super) mer_id: String,
    /// The decimal serial of the certificate that our signatures are checked with.
    pub(super) cert_id: String,
    pub(super) notify_url: String,
    pub(super) return_url: Option<String>,
    /// Whether a whole refund inside the clearing day is sent as an undo.
    pub(super) undo: bool,
    pub(super) key: PrivateKey,
    pub(super) trust: Trust,
    pub(super) capabilities: Capabilities,
}

/// The questions, by the step that carries them.
pub(super) const QUERY: &str = "query";
pub(super) const REFUND_FIND: &str = "refund_find";
pub(super) const REFUND: &str = "refund";
pub(super) const REFUND_LOOK: &str = "refund_look";
pub(super) const REFUND_QUERY: &str = "refund_query";

impl Provider for UnionPay {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn account(&self) -> String {
        format!("mer_id {}", self.mer_id)
    }

    fn request(&self, op: &Operation, stamp: &Stamp) -> Result<Verdict, Unsupported> {
        let _ = stamp;
        match op {
            Operation::Create(order) => self.create(order),
            // There is no close call: what a close can do is ask.
            Operation::Query(order) | Operation::Close(order, _) => {
                Ok(self.ask_order(Step::new(QUERY), order))
            }
            Operation::Refund(refund) => Ok(match &refund.order.reference {
                Some(reference) => self.give_back(refund, reference),
                None => self.ask_order(Step::new(REFUND_FIND), &refund.order),
            }),
            Operation::QueryRefund(refund) => Ok(self.ask_refund(Step::new(REFUND_QUERY), refund)),
        }
    }

    fn reply(&self, op: &Operation, step: &Step, reply: &Reply, stamp: &Stamp) -> Verdict {
        self.answer(op, step, reply, stamp.now)
    }

    fn notice(&self, delivery: &Delivery, now: Timestamp) -> Result<Notice, Forged> {
        self.read_notice(delivery, now)
    }

    fn statements(&self) -> Option<&dyn Statements> {
        Some(self)
    }

    fn acknowledge(&self, accepted: bool) -> Acknowledgement {
        // Only the status counts; anything but 200 makes UnionPay send again.
        let (status, body) = if accepted { (200, "ok") } else { (400, "fail") };
        Acknowledgement { status, content_type: "text/plain; charset=utf-8", body }
    }
}

impl UnionPay {
    /// The form that the customer's browser posts to the cashier. No call is made, so the same
    /// order makes the same form however often it is asked for.
    fn create(&self, order: &Order) -> Result<Verdict, Unsupported> {
        if order.flow == Flow::Direct {
            return Err(Unsupported("UnionPay channels have no direct flow".into()));
        }
        if !self.capabilities.takes(order.method, order.flow, order.money) {
            return Err(Unsupported("the channel does not take this method or amount".into()));
        }
        let back = order.return_url.as_ref().or(self.return_url.as_ref()).ok_or_else(|| {
            Unsupported("UnionPay's cashier needs a return_url, of the payment or channel".into())
        })?;
        let channel = match order.device {
            Device::Qr | Device::Desktop => "07",
            Device::Mobile | Device::InApp => "08",
        };
        let mut fields = self.fields(("01", "01"), "000201", &order.number, order.sent_at);
        for (name, value) in [
            ("channelType", channel),
            ("txnAmt", &order.money.minor().to_string()),
            ("currencyCode", CNY),
            ("payTimeout", &beijing_compact(order.expires_at)),
            ("orderDesc", &description(&order.subject)),
            ("frontUrl", back),
            ("backUrl", &self.notify_url),
        ] {
            fields.insert(name.to_owned(), value.to_owned());
        }
        sign(&mut fields, &self.key);
        let url = format!("{}/frontTransReq.do", self.base_url);
        let presentation = Presentation::Form { url, fields };
        let created = Created::Presented { presentation, reference: None };
        Ok(Verdict::Done(Answer::Create(Outcome::Ok(created))))
    }

    /// What became of an order?
    pub(super) fn ask_order(&self, step: Step, order: &OrderRef) -> Verdict {
        self.ask(step, &order.number, order.sent_at)
    }

    /// What became of a refund or undo?
    pub(super) fn ask_refund(&self, step: Step, refund: &RefundOrder) -> Verdict {
        self.ask(step, &refund.number, refund.requested_at)
    }

    fn ask(&self, step: Step, number: &ProviderOrderNo, at: Timestamp) -> Verdict {
        let fields = self.fields(("00", "00"), "000000", number, at);
        Verdict::Ask(self.post("queryTrans.do", fields), step)
    }

    /// A refund, or an undo where it may be one, of the payment that UnionPay calls `reference`.
    pub(super) fn give_back(&self, refund: &RefundOrder, reference: &str) -> Verdict {
        let kind = if self.undo && undoable(refund) { "31" } else { "04" };
        let mut fields = self.fields((kind, "00"), "000201", &refund.number, refund.requested_at);
        for (name, value) in [
            ("txnAmt", refund.amount.minor().to_string()),
            ("origQryId", reference.to_owned()),
            ("backUrl", self.notify_url.clone()),
            // Comes back with the notification, which does not name the order otherwise.
            ("reqReserved", refund.order.number.as_str().to_owned()),
        ] {
            fields.insert(name.to_owned(), value);
        }
        Verdict::Ask(self.post("backTransReq.do", fields), Step::new(REFUND))
    }

    fn fields(
        &self,
        (kind, sub_kind): (&str, &str),
        business: &str,
        number: &ProviderOrderNo,
        at: Timestamp,
    ) -> Fields {
        let fields = [
            ("version", "5.1.0"),
            ("encoding", "UTF-8"),
            ("certId", &self.cert_id),
            ("signMethod", "01"),
            ("txnType", kind),
            ("txnSubType", sub_kind),
            ("bizType", business),
            ("channelType", "07"),
            ("accessType", "0"),
            ("merId", &self.mer_id),
            ("orderId", number.as_str()),
            ("txnTime", &beijing_compact(at)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn post(&self, path: &str, mut fields: Fields) -> Request {
        sign(&mut fields, &self.key);
        self.form(format!("{}/{path}", self.base_url), &fields)
    }

    /// A request of fields that are signed already.
    pub(super) fn form(&self, url: String, fields: &Fields) -> Request {
        Request {
            method: http::Method::POST,
            url,
            headers: vec![(
                "content-type",
                "application/x-www-form-urlencoded;charset=UTF-8".to_owned(),
            )],
            body: encode(fields),
        }
    }
}

/// The yuan's number in ISO 4217.
pub(super) const CNY: &str = "156";

/// Whether an undo is surely inside the payment's clearing day: the payment was made between
/// the order and the refund, so both of them on one day is enough. Both times never change, so
/// a repeat is the same transaction.
fn undoable(refund: &RefundOrder) -> bool {
    refund.amount == refund.order.money
        && clearing_day(refund.order.sent_at) == clearing_day(refund.requested_at)
}

/// Clearing days go from 23:00 to 23:00 in Beijing, which is 15:00 UTC.
fn clearing_day(at: Timestamp) -> i64 {
    (at.as_secs() + 9 * 3_600).div_euclid(86_400)
}

/// What the cashier shows: at most 32 bytes, without signs that have a meaning in messages.
fn description(text: &str) -> String {
    let odd = |c: char| matches!(c, '&' | '=' | '{' | '}' | '[' | ']') || c.is_control();
    let clean: String = text.chars().map(|c| if odd(c) { ' ' } else { c }).collect();
    shorten(clean.trim(), 32).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clearing_days_change_at_23_in_beijing() {
        // 2026-11-24 23:00:00 +08:00.
        let change = 1_795_532_400;
        let day = |s: i64| clearing_day(Timestamp::from_secs(s));
        assert_eq!(beijing_compact(Timestamp::from_secs(change)), "20261124230000");
        assert_eq!(day(change), day(change - 1) + 1);
        assert_eq!(day(change), day(change + 86_399));
    }

    #[test]
    fn descriptions_hold_nothing_that_messages_use() {
        assert_eq!(description("订单 a/b=c&d{e}"), "订单 a/b c d e");
        assert_eq!(description(&"单".repeat(40)).len(), 30);
        assert_eq!(description("\n&"), "");
    }
}
