//! Replies to answers.

use domain::{
    Answer, CloseState, Created, Fault, Money, Operation, OrderRef, OrderState, Outcome,
    Presentation, Receipt, RefundOrder, RefundState, Timestamp,
};
use serde::Deserialize;

use super::codec::{Alipay, CLOSE, CLOSE_LOOK, CREATE_LOOK, ORPHAN_LOOK, REFUND_LOOK, method_of};
use super::envelope;
use super::table::meaning;
use crate::common::{
    answered, http_fault, is_major, malformed, order_ref, other, read_beijing, unverified,
};
use crate::table::{Call, Meaning, answer};
use crate::{Reply, Step, Verdict};

/// The fields of all answers that are read here. All are texts in this protocol.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    code: String,
    sub_code: Option<String>,
    out_trade_no: Option<String>,
    pub(super) trade_no: Option<String>,
    qr_code: Option<String>,
    trade_status: Option<String>,
    total_amount: Option<String>,
    receipt_amount: Option<String>,
    buyer_pay_amount: Option<String>,
    send_pay_date: Option<String>,
    fund_change: Option<String>,
    refund_fee: Option<String>,
    out_request_no: Option<String>,
    refund_amount: Option<String>,
    refund_status: Option<String>,
}

impl Body {
    /// The code that the table is asked for, and that people read.
    fn fault(&self) -> Fault {
        let code = self.sub_code.as_deref().filter(|c| !c.is_empty()).unwrap_or(&self.code);
        Fault::new(code, format!("Alipay answered {} {code}", self.code))
    }
}

impl Alipay {
    pub(super) fn answer(
        &self,
        op: &Operation,
        step: &Step,
        reply: &Reply,
        now: Timestamp,
    ) -> Verdict {
        let (body, said) = match self.read(op, step, reply) {
            Ok(read) => read,
            Err(answer) => return Verdict::Done(answer),
        };
        match op {
            Operation::Create(_) if step.asks == CREATE_LOOK => {
                Verdict::Done(after_create_look(op, step, &body, said))
            }
            Operation::Create(_) => self.created(op, &body, said, now),
            Operation::Query(order) => Verdict::Done(match said {
                None => Answer::Query(settle(op, order_state(&body, order))),
                Some(meaning) => answer(op, meaning, body.fault()),
            }),
            Operation::Close(order, _) => self.closed(op, order, step, &body, said, now),
            Operation::Refund(refund) => self.refunded(op, refund, step, &body, said, now),
            Operation::QueryRefund(refund) => Verdict::Done(match said {
                None => Answer::QueryRefund(refund_state(&body, refund)),
                Some(meaning) => answer(op, meaning, body.fault()),
            }),
        }
    }

    /// The verified body, with `None` for success or the meaning of its code.
    fn read(
        &self,
        op: &Operation,
        step: &Step,
        reply: &Reply,
    ) -> Result<(Body, Option<Meaning>), Answer> {
        let looked = matches!(step.asks, CREATE_LOOK | CLOSE_LOOK | REFUND_LOOK);
        let response = answered(op, looked, reply)?;
        if response.status != 200 {
            return Err(op.unknown(http_fault(response.status)));
        }
        let envelope = envelope::split(&response.body, method_of(step.asks))
            .ok_or_else(|| op.unknown(malformed("no answer object")))?;
        let body: Body = serde_json::from_str(envelope.node)
            .map_err(|_| op.unknown(malformed("a field of the answer")))?;
        let call = if looked { Call::Query } else { call_of(op, step) };
        let meaning =
            (body.code != "10000").then(|| meaning(call, &body.code, body.sub_code.as_deref()));
        match &envelope.sign {
            Some(signature) => {
                let proven = self.trust.verifies(
                    envelope.node.as_bytes(),
                    signature,
                    envelope.cert_sn.as_deref(),
                );
                if !proven {
                    return Err(op.unknown(unverified("the signature does not fit")));
                }
            }
            None => believe_unsigned(op, call, &body, meaning)?,
        }
        Ok((body, meaning))
    }

    fn created(
        &self,
        op: &Operation,
        body: &Body,
        said: Option<Meaning>,
        now: Timestamp,
    ) -> Verdict {
        let order = order_ref(op);
        match said {
            Some(Meaning::Look) => {
                let step = Step::with(CREATE_LOOK, body.fault().code);
                self.ask_order(step, &order, now)
            }
            Some(meaning) => Verdict::Done(answer(op, meaning, body.fault())),
            None => Verdict::Done(Answer::Create(match &body.qr_code {
                _ if !names(body, &order) => Outcome::Unknown(other("order")),
                Some(code) if !code.is_empty() => Outcome::Ok(Created::Presented {
                    presentation: Presentation::QrCode { content: code.clone() },
                    reference: None,
                }),
                _ => Outcome::Unknown(malformed("no qr_code")),
            })),
        }
    }

    fn closed(
        &self,
        op: &Operation,
        order: &OrderRef,
        step: &Step,
        body: &Body,
        said: Option<Meaning>,
        now: Timestamp,
    ) -> Verdict {
        let look = |code: String| self.ask_order(Step::with(CLOSE_LOOK, code), order, now);
        let outcome = match (step.asks, said) {
            (ORPHAN_LOOK, None) => match order_state(body, order) {
                Ok(OrderState::Payable) => return self.ask_order(Step::new(CLOSE), order, now),
                state => looked(state, body.fault()),
            },
            (CLOSE, Some(Meaning::Look)) => return look(body.fault().code),
            (CLOSE, Some(Meaning::NotFound)) => return look(body.fault().code),
            (CLOSE, None) if !names(body, order) => Outcome::Unknown(other("order")),
            (CLOSE, None) => Outcome::Ok(CloseState::Closed),
            (CLOSE_LOOK, None) => {
                looked(order_state(body, order), Fault::new(step.memo.clone(), STILL_OPEN))
            }
            (_, Some(meaning)) => return Verdict::Done(answer(op, meaning, body.fault())),
            (_, None) => Outcome::Unknown(malformed("an answer to no question")),
        };
        Verdict::Done(Answer::Close(outcome))
    }

    fn refunded(
        &self,
        op: &Operation,
        refund: &RefundOrder,
        step: &Step,
        body: &Body,
        said: Option<Meaning>,
        now: Timestamp,
    ) -> Verdict {
        let done = |outcome| Verdict::Done(Answer::Refund(outcome));
        if step.asks == REFUND_LOOK {
            let state = match said {
                None => refund_state(body, refund),
                Some(Meaning::NotFound) => Outcome::Ok(RefundState::NotFound),
                Some(_) => Outcome::Unknown(body.fault()),
            };
            return done(refused_unless(state, &step.memo));
        }
        match said {
            Some(Meaning::Refused | Meaning::Look) => {
                self.ask_refund(Step::with(REFUND_LOOK, body.fault().code), refund, now)
            }
            Some(meaning) => Verdict::Done(answer(op, meaning, body.fault())),
            None if !names(body, &refund.order) => done(Outcome::Unknown(other("order"))),
            None => done(accepted(body, refund)),
        }
    }
}

const STILL_OPEN: &str = "Alipay did not close the order, and a query says that it can be paid";

/// The kind of call that a step makes, which is a question for the looks in between.
fn call_of(op: &Operation, step: &Step) -> Call {
    if step.asks == ORPHAN_LOOK { Call::Query } else { Call::of(op) }
}

/// An unsigned answer proves nothing; it may only say that the gateway did not let us in, and
/// only about a call that moves no money.
fn believe_unsigned(
    op: &Operation,
    call: Call,
    body: &Body,
    meaning: Option<Meaning>,
) -> Result<(), Answer> {
    let refused = matches!(meaning, Some(Meaning::Rejected | Meaning::Unavailable));
    if refused && !call.moves_money() && !Call::of(op).moves_money() {
        return Ok(());
    }
    let mut fault = unverified("it is not signed");
    if !body.code.is_empty() && body.code != "10000" {
        fault = Fault::new(body.fault().code, format!("{} (not signed)", body.fault().detail));
    }
    Err(op.unknown(fault))
}

fn names(body: &Body, order: &OrderRef) -> bool {
    body.out_trade_no.as_deref() == Some(order.number.as_str())
}

fn settle(op: &Operation, state: Result<OrderState, Fault>) -> Outcome<OrderState> {
    debug_assert!(matches!(op, Operation::Query(_)));
    state.map_or_else(Outcome::Unknown, Outcome::Ok)
}

/// The state of the trade, if the answer is about this order and this amount.
fn order_state(body: &Body, order: &OrderRef) -> Result<OrderState, Fault> {
    if !names(body, order) {
        return Err(other("order"));
    }
    if body.total_amount.as_ref().is_some_and(|amount| !is_major(amount, order.money)) {
        return Err(other("amount"));
    }
    match body.trade_status.as_deref() {
        Some("WAIT_BUYER_PAY") => Ok(OrderState::Payable),
        Some("TRADE_SUCCESS" | "TRADE_FINISHED") => receipt(body, order).map(OrderState::Paid),
        // A trade that was paid is closed only when all of it has gone back.
        Some("TRADE_CLOSED") if was_paid(body) => {
            receipt(body, order).map(OrderState::PaidAndRefunded)
        }
        Some("TRADE_CLOSED") => Ok(OrderState::Closed),
        _ => Err(malformed("trade_status")),
    }
}

/// A closed trade was paid when it has a time of payment or any amount that somebody paid.
fn was_paid(body: &Body) -> bool {
    let some = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    let amount = |text: &Option<String>| {
        text.as_ref().is_some_and(|t| t.bytes().any(|b| (b'1'..=b'9').contains(&b)))
    };
    some(&body.send_pay_date) || amount(&body.receipt_amount) || amount(&body.buyer_pay_amount)
}

fn receipt(body: &Body, order: &OrderRef) -> Result<Receipt, Fault> {
    let reference = body.trade_no.clone().filter(|no| !no.is_empty());
    match (reference, &body.total_amount) {
        (Some(reference), Some(_)) => Ok(Receipt {
            reference,
            captured: order.money,
            paid_at: body.send_pay_date.as_deref().and_then(read_beijing),
        }),
        _ => Err(malformed("a paid trade without trade_no or total_amount")),
    }
}

/// What a query between two closes proves.
fn looked(state: Result<OrderState, Fault>, open: Fault) -> Outcome<CloseState> {
    match state {
        Ok(OrderState::Paid(receipt)) => Outcome::Ok(CloseState::AlreadyPaid(Some(receipt))),
        Ok(OrderState::PaidAndRefunded(receipt)) => {
            Outcome::Ok(CloseState::PaidAndRefunded(receipt))
        }
        Ok(OrderState::Closed) => Outcome::Ok(CloseState::Closed),
        Ok(OrderState::NotFound) => Outcome::Ok(CloseState::NotFound),
        Ok(OrderState::Processing) => Outcome::Ok(CloseState::Processing),
        Ok(OrderState::Payable | OrderState::PartlyPaid { .. } | OrderState::Declined(_)) => {
            Outcome::Unknown(open)
        }
        Err(fault) => Outcome::Unknown(fault),
    }
}

/// After a create call was told that its number has a state of its own.
fn after_create_look(op: &Operation, step: &Step, body: &Body, said: Option<Meaning>) -> Answer {
    let fault = || Fault::new(step.memo.clone(), "the number has a state at Alipay already");
    let state = match said {
        None => order_state(body, &order_ref(op)),
        Some(_) => Err(fault()),
    };
    Answer::Create(match state {
        Ok(OrderState::Paid(receipt)) => Outcome::Ok(Created::Paid(receipt)),
        Ok(OrderState::Closed) => Outcome::Ok(Created::NumberClosed),
        Ok(_) => Outcome::Unknown(fault()),
        Err(fault) => Outcome::Unknown(fault),
    })
}

/// `fund_change=N` is no failure: it says that this call moved nothing, which is also true of
/// a repeat. `refund_fee` is the sum of all refunds, so it can only be too small.
fn accepted(body: &Body, refund: &RefundOrder) -> Outcome<RefundState> {
    let enough = body.refund_fee.as_deref().is_none_or(|sum| {
        Money::from_major(sum, refund.amount.currency())
            .is_ok_and(|sum| sum.minor() >= refund.amount.minor())
    });
    match body.fund_change.as_deref() {
        Some("Y") if !enough => Outcome::Unknown(other("amount")),
        Some("Y") => Outcome::Ok(RefundState::Succeeded),
        _ => Outcome::Ok(RefundState::Pending),
    }
}

/// A refund query that names no state says that the refund has not been made.
fn refund_state(body: &Body, refund: &RefundOrder) -> Outcome<RefundState> {
    let differs = |text: &Option<String>, ours: &str| {
        text.as_deref().is_some_and(|theirs| !theirs.is_empty() && theirs != ours)
    };
    if differs(&body.out_trade_no, refund.order.number.as_str())
        || differs(&body.out_request_no, refund.number.as_str())
    {
        return Outcome::Unknown(other("refund"));
    }
    match body.refund_status.as_deref() {
        None | Some("") => Outcome::Ok(RefundState::NotFound),
        Some("REFUND_SUCCESS") if body.out_request_no.is_none() => {
            Outcome::Unknown(malformed("a refund without out_request_no"))
        }
        Some("REFUND_SUCCESS") => match &body.refund_amount {
            Some(amount) if is_major(amount, refund.amount) => Outcome::Ok(RefundState::Succeeded),
            _ => Outcome::Unknown(other("amount")),
        },
        Some(_) => Outcome::Unknown(malformed("refund_status")),
    }
}

/// A refund was refused with `code`; it failed for good only if none stands under its number.
fn refused_unless(state: Outcome<RefundState>, code: &str) -> Outcome<RefundState> {
    let fault = || Fault::new(code, format!("Alipay refused the refund: {code}"));
    match state {
        Outcome::Ok(RefundState::NotFound)
            if meaning(Call::Refund, "40004", Some(code)) == Meaning::Refused =>
        {
            Outcome::Ok(RefundState::Failed(fault()))
        }
        Outcome::Ok(RefundState::NotFound) => Outcome::Unknown(fault()),
        state => state,
    }
}
