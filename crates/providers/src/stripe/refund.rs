//! Refunds: sent with the key of their number, found by it.

use domain::{Answer, Fault, Operation, Outcome, RefundOrder, RefundState};

use super::answer::Said;
use super::codec::{FIND, Form, REFUND, REFUND_FIND, Stripe};
use super::find::Found;
use super::object::{List, ORDER, REFUND as NUMBER, Refund, reference};
use super::table::meaning;
use crate::common::malformed;
use crate::table::{Call, Meaning, answer};
use crate::{Response, Step, Verdict};

impl Stripe {
    /// Sends a refund. The key makes a re-send within a day the same refund.
    pub(super) fn refund(&self, intent: &str, refund: &RefundOrder) -> Verdict {
        let form = Form::default()
            .with("payment_intent", intent)
            .with("amount", &refund.amount.minor().to_string())
            .with(&format!("metadata[{NUMBER}]"), refund.number.as_str())
            .with(&format!("metadata[{ORDER}]"), refund.order.number.as_str());
        let key = format!("{}:refund", refund.number);
        self.post(Step::with(REFUND, intent), "/v1/refunds", form, key)
    }

    /// Looks for a refund among those of its intent.
    pub(super) fn ask_refund(&self, refund: &RefundOrder) -> Verdict {
        match reference(&refund.order) {
            Some(intent) => self.find_refund(intent, ""),
            None => self.find_first(&refund.order),
        }
    }

    /// Lists the refunds of an intent; `refusal` is remembered for the answer.
    fn find_refund(&self, intent: &str, refusal: &str) -> Verdict {
        let query = Form::default().with("payment_intent", intent).with("limit", "100");
        self.get(Step::with(REFUND_FIND, refusal), "/v1/refunds", &query)
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
        match (said, step.asks) {
            (Some(said), REFUND) => self.refused(op, &step.memo, said),
            // An order that Stripe does not know cannot be settled by its refunds.
            (Some(said), FIND) if said.meaning == Meaning::NotFound => {
                done(Outcome::Unknown(said.fault))
            }
            (Some(said), REFUND_FIND) if matches!(op, Operation::Refund(_)) => {
                done(Outcome::Unknown(said.fault))
            }
            (Some(said), _) => Verdict::Done(answer(op, said.meaning, said.fault)),
            (None, FIND) => self.refund_found_order(op, refund, step, response),
            (None, REFUND_FIND) => done(listed(refund, step, response)),
            (None, _) => match serde_json::from_slice::<Refund>(&response.body) {
                Ok(object) => done(object.state_for(refund)),
                Err(_) => done(Outcome::Unknown(malformed("the refund"))),
            },
        }
    }

    /// A refusal counts once the intent's own list of refunds agrees.
    fn refused(&self, op: &Operation, intent: &str, said: Said) -> Verdict {
        if matches!(said.meaning, Meaning::Refused | Meaning::Look) {
            return self.find_refund(intent, &said.fault.code);
        }
        Verdict::Done(answer(op, said.meaning, said.fault))
    }

    /// The search for the order whose refund it is has come to an end, or goes on.
    fn refund_found_order(
        &self,
        op: &Operation,
        refund: &RefundOrder,
        step: &Step,
        response: &Response,
    ) -> Verdict {
        let done = |fault| Verdict::Done(wrap(op, Outcome::Unknown(fault)));
        match self.found(op, &refund.order, step, response) {
            Ok(Found::More(verdict)) => verdict,
            Ok(Found::Nothing) => {
                done(Fault::new("order_not_found", "Stripe lists no intent of this order"))
            }
            Ok(Found::Intent(intent)) => match intent.check(&refund.order) {
                Err(fault) => done(fault),
                Ok(()) if matches!(op, Operation::Refund(_)) => self.refund(&intent.id, refund),
                Ok(()) => self.find_refund(&intent.id, ""),
            },
            Err(fault) => done(fault),
        }
    }
}

fn wrap(op: &Operation, outcome: Outcome<RefundState>) -> Answer {
    match op {
        Operation::QueryRefund(_) => Answer::QueryRefund(outcome),
        _ => Answer::Refund(outcome),
    }
}

/// What the list of an intent's refunds says about this one.
fn listed(refund: &RefundOrder, step: &Step, response: &Response) -> Outcome<RefundState> {
    let Ok(list) = serde_json::from_slice::<List<Refund>>(&response.body) else {
        return Outcome::Unknown(malformed("the list of refunds"));
    };
    if let Some(object) = list.data.iter().find(|object| object.is_about(refund)) {
        return object.state_for(refund);
    }
    if list.has_more {
        return Outcome::Unknown(Fault::new("search_bound", "the order has over 100 refunds"));
    }
    let code = step.memo.as_str();
    let fault = || Fault::new(code, format!("Stripe refused the refund: {code}"));
    let bare = code.starts_with("http_");
    match meaning(Call::Refund, 400, if bare { &[] } else { std::slice::from_ref(&code) }) {
        _ if code.is_empty() => Outcome::Ok(RefundState::NotFound),
        Meaning::Refused => Outcome::Ok(RefundState::Failed(fault())),
        _ => Outcome::Unknown(fault()),
    }
}
