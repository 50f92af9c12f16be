//! Refunds: looked for in their order first, sent under their number, looked for again before a
//! refusal is final.

use domain::{Answer, Fault, Operation, Outcome, RefundOrder, RefundState};
use serde_json::json;

use super::answer::Said;
use super::codec::{Paypal, REFUND, REFUND_LOOK, REFUND_READ, amount, segment};
use super::object::{OrderObject, RefundObject};
use super::table::is_refusal;
use crate::common::{malformed, shorten};
use crate::table::{Meaning, answer};
use crate::{Response, Step, Verdict};

impl Paypal {
    /// Sends a refund of a capture. The id makes a repeat within 45 days the same refund.
    fn refund(&self, capture: &str, refund: &RefundOrder) -> Verdict {
        let mut body = json!({
            "amount": amount(refund.amount),
            "invoice_id": refund.number.as_str(),
            "custom_id": refund.order.number.as_str(),
        });
        if !refund.reason.trim().is_empty() {
            body["note_to_payer"] = shorten(&refund.reason, 255).into();
        }
        let path = format!("/v2/payments/captures/{}/refund", segment(capture));
        self.post(Step::new(REFUND), &path, &body, refund.number.to_string())
    }

    pub(super) fn refund_answer(
        &self,
        op: &Operation,
        refund: &RefundOrder,
        step: &Step,
        response: &Response,
        said: Option<Said>,
    ) -> Verdict {
        let done = |outcome| Verdict::Done(wrap(op, outcome));
        match (step.asks, said) {
            (REFUND, Some(said)) => self.refund_refused(op, refund, said),
            // An order that PayPal does not know cannot tell whether its refund was made.
            (REFUND_READ, Some(said)) if said.meaning == Meaning::NotFound => {
                done(Outcome::Unknown(said.fault))
            }
            (REFUND_LOOK, Some(said)) => done(Outcome::Unknown(said.fault)),
            (_, Some(said)) => Verdict::Done(answer(op, said.meaning, said.fault)),
            (REFUND, None) => match serde_json::from_slice::<RefundObject>(&response.body) {
                Ok(object) => done(object.state(refund)),
                Err(_) => done(Outcome::Unknown(malformed("the refund"))),
            },
            (_, None) => match order(refund, response) {
                Ok(object) => self.refund_in(op, refund, step, &object),
                Err(fault) => done(Outcome::Unknown(fault)),
            },
        }
    }

    /// A refusal counts once the order's own list of refunds agrees.
    fn refund_refused(&self, op: &Operation, refund: &RefundOrder, said: Said) -> Verdict {
        match (said.meaning, &refund.order.reference) {
            (Meaning::Refused | Meaning::Look, Some(id)) => {
                self.read(Step::with(REFUND_LOOK, said.fault.code), id)
            }
            (meaning, _) => Verdict::Done(answer(op, meaning, said.fault)),
        }
    }

    /// The order tells whether the refund stands. If not, it is sent, or was refused, or is
    /// not known, according to what was asked.
    fn refund_in(
        &self,
        op: &Operation,
        refund: &RefundOrder,
        step: &Step,
        order: &OrderObject,
    ) -> Verdict {
        let done = |outcome| Verdict::Done(wrap(op, outcome));
        if let Some(object) = order.refund(refund) {
            return done(object.state(refund));
        }
        let code = step.memo.as_str();
        let fault = || Fault::new(code, format!("PayPal refused the refund: {code}"));
        match (op, step.asks, order.captured()) {
            (Operation::QueryRefund(_), ..) => done(Outcome::Ok(RefundState::NotFound)),
            (_, REFUND_LOOK, _) if is_refusal(code) => {
                done(Outcome::Ok(RefundState::Failed(fault())))
            }
            (_, REFUND_LOOK, _) => done(Outcome::Unknown(fault())),
            (_, _, Some(capture)) => self.refund(capture, refund),
            (_, _, None) => {
                let detail = "the order shows no capture that could be refunded";
                done(Outcome::Rejected(Fault::new("no_capture", detail)))
            }
        }
    }
}

fn order(refund: &RefundOrder, response: &Response) -> Result<OrderObject, Fault> {
    let object: OrderObject =
        serde_json::from_slice(&response.body).map_err(|_| malformed("the order"))?;
    object.check(&refund.order)?;
    Ok(object)
}

fn wrap(op: &Operation, outcome: Outcome<RefundState>) -> Answer {
    match op {
        Operation::QueryRefund(_) => Answer::QueryRefund(outcome),
        _ => Answer::Refund(outcome),
    }
}
