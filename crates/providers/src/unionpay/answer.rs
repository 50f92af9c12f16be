//! Replies to answers.

use domain::{
    Answer, CloseState, Fault, Operation, OrderRef, OrderState, Outcome, Receipt, RefundOrder,
    RefundState, Timestamp,
};

use super::codec::{CNY, REFUND, REFUND_FIND, REFUND_LOOK, UnionPay};
use super::message::{Fields, split, text};
use super::table::{About, is_success, meaning};
use super::trust::Unproven;
use crate::common::{
    answered, beijing_compact, http_fault, malformed, other, read_beijing_compact, unverified,
};
use crate::table::{Meaning, answer};
use crate::{Reply, Step, Verdict};

/// What an answer says about the call itself.
enum Said {
    /// `respCode` is a success.
    Good(Fields),
    /// It is something else.
    Bad(Meaning, Fault),
}

impl UnionPay {
    pub(super) fn answer(
        &self,
        op: &Operation,
        step: &Step,
        reply: &Reply,
        now: Timestamp,
    ) -> Verdict {
        let said = match self.read(op, step, reply, now) {
            Ok(said) => said,
            Err(answer) => return Verdict::Done(answer),
        };
        match op {
            // A create call is a form; nothing was sent that could be answered.
            Operation::Create(_) => Verdict::Done(op.unknown(malformed("an answer to a form"))),
            Operation::Query(order) => Verdict::Done(match said {
                Said::Good(fields) => Answer::Query(outcome(order_state(&fields, order))),
                Said::Bad(meaning, fault) => answer(op, meaning, fault),
            }),
            Operation::Close(order, _) => Verdict::Done(match said {
                Said::Good(fields) => Answer::Close(closed(order_state(&fields, order))),
                Said::Bad(meaning, fault) => answer(op, meaning, fault),
            }),
            Operation::Refund(refund) => self.refunded(op, refund, step, said),
            Operation::QueryRefund(refund) => Verdict::Done(match said {
                Said::Good(fields) => Answer::QueryRefund(refund_state(&fields, refund)),
                Said::Bad(meaning, fault) => answer(op, meaning, fault),
            }),
        }
    }

    /// The verified message about the transaction that was asked for, by what it says.
    fn read(
        &self,
        op: &Operation,
        step: &Step,
        reply: &Reply,
        now: Timestamp,
    ) -> Result<Said, Answer> {
        let response = answered(op, step.asks == REFUND_LOOK, reply)?;
        if response.status != 200 {
            return Err(op.unknown(http_fault(response.status)));
        }
        let fields = split(&response.body)
            .ok_or_else(|| op.unknown(malformed("no fields that can be read one way only")))?;
        let code = text(&fields, "respCode").unwrap_or_default();
        let about = if step.asks == REFUND { About::Return } else { About::Question };
        let meaning = meaning(about, code);
        let proof = self.trust.prove(&fields, now);
        match proof {
            Err(why) => {
                let fault = match (&why, known_shape(code)) {
                    (Unproven::Unfit(why), Some(code)) if !is_success(code) => {
                        Fault::new(code, format!("UnionPay answered {code} (not proven: {why})"))
                    }
                    _ => unproven(&why),
                };
                // It may only say that the question was not let in.
                let refused = matches!(meaning, Meaning::Rejected | Meaning::Unavailable);
                let question = matches!(op, Operation::Query(_) | Operation::QueryRefund(_));
                return Err(match refused && question {
                    true => answer(op, meaning, fault),
                    false => op.unknown(fault),
                });
            }
            Ok(()) if is_success(code) => {}
            // What is told of another transaction is no word about this one.
            Ok(()) => {
                return match self.names(&fields, op, step) {
                    Err(fault) if text(&fields, "orderId").is_some() => Err(op.unknown(fault)),
                    _ => Ok(Said::Bad(meaning, fault_of(code))),
                };
            }
        }
        match self.names(&fields, op, step) {
            Ok(()) => Ok(Said::Good(fields)),
            Err(fault) => Err(op.unknown(fault)),
        }
    }

    /// Whether a message is about the transaction of this call, at this merchant.
    fn names(&self, fields: &Fields, op: &Operation, step: &Step) -> Result<(), Fault> {
        let (number, at) = match op {
            Operation::Refund(refund) if step.asks != REFUND_FIND => {
                (&refund.number, refund.requested_at)
            }
            Operation::QueryRefund(refund) => (&refund.number, refund.requested_at),
            Operation::Refund(refund) => (&refund.order.number, refund.order.sent_at),
            Operation::Create(order) => (&order.number, order.sent_at),
            Operation::Query(order) | Operation::Close(order, _) => (&order.number, order.sent_at),
        };
        if text(fields, "merId") != Some(&self.mer_id) {
            return Err(other("account"));
        }
        let ours = text(fields, "orderId") == Some(number.as_str())
            && text(fields, "txnTime") == Some(&beijing_compact(at));
        if ours { Ok(()) } else { Err(other("order")) }
    }

    fn refunded(&self, op: &Operation, refund: &RefundOrder, step: &Step, said: Said) -> Verdict {
        let done = |outcome| Verdict::Done(Answer::Refund(outcome));
        match (step.asks, said) {
            (REFUND_FIND, Said::Good(fields)) => match order_state(&fields, &refund.order) {
                Ok(OrderState::Paid(receipt)) => self.give_back(refund, &receipt.reference),
                Ok(_) => done(Outcome::Unknown(Fault::new(
                    "not_paid",
                    "a query finds no payment that could be given back",
                ))),
                Err(fault) => done(Outcome::Unknown(fault)),
            },
            (REFUND_LOOK, Said::Good(fields)) => done(refund_state(&fields, refund)),
            // Refused, and nothing stands under its number: ended for good. A number that was
            // called taken and is not there is a doubt.
            (REFUND_LOOK, Said::Bad(Meaning::NotFound, _)) => {
                let code = step.memo.clone();
                let fault = Fault::new(&*code, format!("UnionPay refused the refund: {code}"));
                done(match meaning(About::Return, &code) {
                    Meaning::Refused => Outcome::Ok(RefundState::Failed(fault)),
                    _ => Outcome::Unknown(fault),
                })
            }
            (REFUND_FIND | REFUND_LOOK, Said::Bad(_, fault)) => done(Outcome::Unknown(fault)),
            (_, Said::Bad(Meaning::Refused | Meaning::Look, fault)) => {
                self.ask_refund(Step::with(REFUND_LOOK, fault.code), refund)
            }
            (_, Said::Bad(meaning, fault)) => Verdict::Done(answer(op, meaning, fault)),
            // Taken, not done: a notification or a query says when it is.
            (_, Said::Good(fields)) => done(match is_amount(&fields, refund.amount.minor()) {
                Some(false) => Outcome::Unknown(other("amount")),
                _ => Outcome::Ok(RefundState::Pending),
            }),
        }
    }
}

/// Our code for a message that does not prove itself; a certificate that has run out is told
/// apart, since it is UnionPay's to replace and no attack.
fn unproven(why: &Unproven) -> Fault {
    match why {
        Unproven::Unfit(why) => unverified(why),
        Unproven::Expired { .. } => {
            Fault::new("certificate_expired", format!("the answer does not prove itself: {why}"))
        }
    }
}

fn fault_of(code: &str) -> Fault {
    match known_shape(code) {
        Some(code) => Fault::new(code, format!("UnionPay answered {code}")),
        None => malformed("respCode"),
    }
}

/// A code is two letters or digits; anything else may be somebody's data.
fn known_shape(code: &str) -> Option<&str> {
    (code.len() == 2 && code.bytes().all(|b| b.is_ascii_alphanumeric())).then_some(code)
}

fn outcome<T>(state: Result<T, Fault>) -> Outcome<T> {
    state.map_or_else(Outcome::Unknown, Outcome::Ok)
}

/// Whether the message's amount and currency are these; `None` when it names no amount.
pub(super) fn is_amount(fields: &Fields, minor: i64) -> Option<bool> {
    let amount = text(fields, "txnAmt")?;
    let yuan = text(fields, "currencyCode").is_none_or(|code| code == CNY);
    Some(yuan && amount.parse() == Ok(minor))
}

/// The state of a payment as a query tells it.
fn order_state(fields: &Fields, order: &OrderRef) -> Result<OrderState, Fault> {
    let code = text(fields, "origRespCode").ok_or_else(|| malformed("no origRespCode"))?;
    if is_amount(fields, order.money.minor()) == Some(false) {
        return Err(other("amount"));
    }
    if is_success(code) {
        return receipt(fields, order).map(OrderState::Paid);
    }
    match meaning(About::Payment, code) {
        Meaning::Processing => Ok(OrderState::Processing),
        // This try failed; another may follow at the same cashier until `payTimeout`, so it
        // proves no more than an order that nobody has begun to pay.
        Meaning::Declined { .. } | Meaning::Rejected | Meaning::Unavailable | Meaning::NotFound => {
            Ok(OrderState::NotFound)
        }
        _ => Err(Fault::new(
            fault_of(code).code,
            format!("UnionPay says {code} of the payment: money may have moved"),
        )),
    }
}

fn receipt(fields: &Fields, order: &OrderRef) -> Result<Receipt, Fault> {
    match (text(fields, "queryId"), text(fields, "txnAmt")) {
        (Some(reference), Some(_)) => Ok(Receipt {
            reference: reference.to_owned(),
            captured: order.money,
            paid_at: paid_at(fields),
        }),
        _ => Err(malformed("a payment without queryId or txnAmt")),
    }
}

/// `traceTime` has no year: it is that of the order, or the next one.
pub(super) fn paid_at(fields: &Fields) -> Option<Timestamp> {
    let (ordered, trace) = (text(fields, "txnTime")?, text(fields, "traceTime")?);
    let year: u16 = ordered.get(..4)?.parse().ok()?;
    let next = u16::from(trace.get(..2)? < ordered.get(4..6)?);
    read_beijing_compact(&format!("{:04}{trace}", year.checked_add(next)?))
}

/// What a query proves about the end of an order: only a payment, never that none can come.
fn closed(state: Result<OrderState, Fault>) -> Outcome<CloseState> {
    match state {
        Ok(OrderState::Paid(receipt)) => Outcome::Ok(CloseState::AlreadyPaid(Some(receipt))),
        Ok(OrderState::Processing) => Outcome::Ok(CloseState::Processing),
        Ok(_) => Outcome::Ok(CloseState::NotFound),
        Err(fault) => Outcome::Unknown(fault),
    }
}

/// The state of a refund or undo as a query tells it.
fn refund_state(fields: &Fields, refund: &RefundOrder) -> Outcome<RefundState> {
    let Some(code) = text(fields, "origRespCode") else {
        return Outcome::Unknown(malformed("no origRespCode"));
    };
    if is_success(code) {
        return match is_amount(fields, refund.amount.minor()) {
            Some(true) => Outcome::Ok(RefundState::Succeeded),
            _ => Outcome::Unknown(other("amount")),
        };
    }
    match meaning(About::Returned, code) {
        Meaning::Processing => Outcome::Ok(RefundState::Pending),
        Meaning::Refused => Outcome::Ok(RefundState::Failed(fault_of(code))),
        _ => Outcome::Unknown(fault_of(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_of_a_payment_comes_from_its_order() {
        let at = |ordered: &str, trace: &str| {
            let fields = [("txnTime", ordered), ("traceTime", trace)];
            paid_at(&fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect())
        };
        assert_eq!(at("20261124100000", "1124100102"), read_beijing_compact("20261124100102"));
        assert_eq!(at("20261231235900", "0101000030"), read_beijing_compact("20270101000030"));
        assert_eq!(at("20261231235900", "soon"), None);
        assert_eq!(at("99999999999999", "0101000030"), None);
    }
}
