//! Replies to answers: orders.

use domain::{
    Answer, CloseState, Created, Decline, Fault, Operation, Order, OrderRef, OrderState, Outcome,
    Presentation,
};

use super::codec::{AFTER, CAPTURE, Paypal, REFUND_LOOK, REFUND_READ};
use super::object::{ErrorObject, OrderObject, Standing};
use super::table::meaning_of_answer;
use crate::common::{answered, malformed, order_ref};
use crate::table::{Call, Meaning, answer};
use crate::{Reply, Response, Step, Verdict};

/// An error answer.
pub(super) struct Said {
    pub(super) meaning: Meaning,
    pub(super) fault: Fault,
}

impl Paypal {
    pub(super) fn answer(&self, op: &Operation, step: &Step, reply: &Reply) -> Verdict {
        // Reading changes nothing, so only what follows a capture or refund is in doubt.
        let earlier = matches!(step.asks, AFTER | REFUND_LOOK);
        let response = match (reply, answered(op, earlier, reply)) {
            // Without a token nothing was sent; with wrong credentials that is our mistake.
            (Reply::NotSent(cause), _) if cause.code == "credentials" && !earlier => {
                let fault = Fault::new("invalid_client", cause.detail.clone());
                return Verdict::Done(op.rejected(fault));
            }
            (_, Ok(response)) => response,
            (_, Err(answer)) => return Verdict::Done(answer),
        };
        let said = read(call_of(op, step), response);
        match op {
            Operation::Create(order) => Verdict::Done(created(op, order, response, said)),
            Operation::Query(order) => self.queried(op, order, step, response, said),
            Operation::Close(order, _) => self.closed(op, order, step, response, said),
            Operation::Refund(refund) | Operation::QueryRefund(refund) => {
                self.refund_answer(op, refund, step, response, said)
            }
        }
    }

    fn queried(
        &self,
        op: &Operation,
        order: &OrderRef,
        step: &Step,
        response: &Response,
        said: Option<Said>,
    ) -> Verdict {
        let done = |state| Verdict::Done(Answer::Query(Outcome::Ok(state)));
        match (step.asks, said) {
            (CAPTURE, Some(Said { meaning: Meaning::Declined { soft }, fault })) => {
                done(OrderState::Declined(Decline { code: fault.code, soft }))
            }
            (_, Some(said)) => self.refused(op, order, step, said),
            (_, None) => match standing(response, order) {
                Ok((id, Standing::Approved)) => self.approved(op, order, step, &id),
                Ok((_, standing)) => done(standing.state()),
                Err(fault) => Verdict::Done(op.unknown(fault)),
            },
        }
    }

    fn closed(
        &self,
        op: &Operation,
        order: &OrderRef,
        step: &Step,
        response: &Response,
        said: Option<Said>,
    ) -> Verdict {
        let done = |state| Verdict::Done(Answer::Close(Outcome::Ok(state)));
        match (step.asks, said) {
            // Nothing was taken, and by this call nothing will be.
            (CAPTURE, Some(Said { meaning: Meaning::Declined { .. }, .. })) => {
                done(CloseState::NotTaken)
            }
            (_, Some(said)) => self.refused(op, order, step, said),
            (_, None) => match standing(response, order) {
                Ok((id, Standing::Approved)) => self.approved(op, order, step, &id),
                Ok((_, standing)) => done(standing.closed()),
                Err(fault) => Verdict::Done(op.unknown(fault)),
            },
        }
    }

    /// A capture was refused without a word about the customer: the order itself tells.
    fn refused(&self, op: &Operation, order: &OrderRef, step: &Step, said: Said) -> Verdict {
        match (step.asks, said.meaning, &order.reference) {
            (CAPTURE, Meaning::Look, Some(id)) => self.read(Step::with(AFTER, said.fault.code), id),
            (AFTER, ..) => Verdict::Done(op.unknown(said.fault)),
            _ => Verdict::Done(answer(op, said.meaning, said.fault)),
        }
    }

    /// The customer has approved, and nothing was taken. Money moves here and nowhere else.
    fn approved(&self, op: &Operation, order: &OrderRef, step: &Step, id: &str) -> Verdict {
        let left = match op {
            Operation::Close(..) => Answer::Close(Outcome::Ok(CloseState::NotTaken)),
            _ => Answer::Query(Outcome::Ok(OrderState::Payable)),
        };
        match step.asks {
            CAPTURE => Verdict::Done(op.unknown(malformed("a capture that captured nothing"))),
            // Another order of this payment was captured, so PayPal will not capture this one.
            AFTER if step.memo == "DUPLICATE_INVOICE_ID" && matches!(op, Operation::Close(..)) => {
                Verdict::Done(Answer::Close(Outcome::Ok(CloseState::Closed)))
            }
            AFTER => {
                let detail = "PayPal refused the capture, and the order is still approved";
                Verdict::Done(op.unknown(Fault::new(step.memo.clone(), detail)))
            }
            _ if order.wanted => self.capture(order, id),
            _ => Verdict::Done(left),
        }
    }
}

/// Errors as the table means them; `None` for a success.
fn read(call: Call, response: &Response) -> Option<Said> {
    if matches!(response.status, 200 | 201) {
        return None;
    }
    let error = serde_json::from_slice::<ErrorObject>(&response.body).ok();
    let codes = error.as_ref().map(ErrorObject::codes).filter(|codes| !codes.is_empty());
    let meaning = meaning_of_answer(call, response.status, codes.as_deref());
    let name = codes.and_then(|codes| codes.first().map(|code| (*code).to_owned()));
    let name = name.unwrap_or_else(|| format!("http_{}", response.status));
    let detail = format!("PayPal answered HTTP {} {name}", response.status);
    Some(Said { meaning, fault: Fault::new(name, detail) })
}

/// Reading is a question, whatever it is for; a capture is a charge.
fn call_of(op: &Operation, step: &Step) -> Call {
    match step.asks {
        CAPTURE => Call::Charge,
        REFUND_READ | REFUND_LOOK => Call::QueryRefund,
        _ if matches!(op, Operation::Create(_)) => Call::Create,
        super::codec::REFUND => Call::Refund,
        _ => Call::Query,
    }
}

/// A checked order's id and standing.
fn standing(response: &Response, order: &OrderRef) -> Result<(String, Standing), Fault> {
    let object: OrderObject =
        serde_json::from_slice(&response.body).map_err(|_| malformed("the order"))?;
    object.check(order)?;
    let standing = object.standing(order)?;
    Ok((object.id, standing))
}

fn created(op: &Operation, order: &Order, response: &Response, said: Option<Said>) -> Answer {
    if let Some(said) = said {
        return answer(op, said.meaning, said.fault);
    }
    debug_assert_eq!(op.number(), &order.number);
    Answer::Create(match made(&order_ref(op), response) {
        Ok(made) => Outcome::Ok(made),
        Err(fault) => Outcome::Unknown(fault),
    })
}

/// What a new order means; a repeated create call answers with what it has come to since.
fn made(order: &OrderRef, response: &Response) -> Result<Created, Fault> {
    let object: OrderObject =
        serde_json::from_slice(&response.body).map_err(|_| malformed("the order"))?;
    object.check(order)?;
    let reference = Some(object.id.clone());
    Ok(match object.standing(order)? {
        Standing::Paid(receipt) => Created::Paid(receipt),
        Standing::Closed | Standing::Returned(_) => Created::NumberClosed,
        Standing::Processing => Created::Processing { reference },
        Standing::Payable | Standing::Approved => {
            let url = object.link().ok_or_else(|| malformed("no link to approve it"))?.to_owned();
            Created::Presented { presentation: Presentation::Redirect { url }, reference }
        }
    })
}
