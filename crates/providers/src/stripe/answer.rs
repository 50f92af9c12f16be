//! Replies to answers: orders.

use domain::{
    Answer, CloseState, Created, Decline, Fault, Flow, Operation, Order, OrderRef, OrderState,
    Outcome, Presentation,
};
use serde::Deserialize;

use super::codec::{ABANDON, CANCEL, FIND, REFUND_FIND, Stripe};
use super::find::Found;
use super::object::{ErrorObject, Intent, decline};
use super::table::meaning_of_answer;
use crate::common::{answered, malformed, order_ref};
use crate::table::{Call, Meaning, answer};
use crate::{Reply, Response, Stamp, Step, Verdict};

#[derive(Deserialize)]
struct Envelope {
    error: ErrorObject,
}

/// An error answer.
pub(super) struct Said {
    pub(super) meaning: Meaning,
    pub(super) fault: Fault,
    pub(super) error: ErrorObject,
}

impl Stripe {
    pub(super) fn answer(
        &self,
        op: &Operation,
        step: &Step,
        reply: &Reply,
        stamp: &Stamp,
    ) -> Verdict {
        if step.asks == ABANDON {
            return Verdict::Done(self.abandoned(op, step, reply));
        }
        // Searches change nothing, so only what follows a cancel or refund is in doubt.
        let earlier = matches!(op, Operation::Close(..)) && step.asks == super::codec::READ
            || matches!(op, Operation::Refund(_)) && step.asks == REFUND_FIND;
        let response = match answered(op, earlier, reply) {
            Ok(response) => response,
            Err(answer) => return Verdict::Done(answer),
        };
        let said = read(call_of(op, step), response);
        match op {
            Operation::Create(order) => self.created(op, order, response, said, stamp),
            Operation::Query(order) => self.queried(op, order, step, response, said),
            Operation::Close(order, _) => self.closed(op, order, step, response, said, stamp),
            Operation::Refund(refund) | Operation::QueryRefund(refund) => {
                self.refund_answer(op, refund, step, response, said)
            }
        }
    }

    fn created(
        &self,
        op: &Operation,
        order: &Order,
        response: &Response,
        said: Option<Said>,
        stamp: &Stamp,
    ) -> Verdict {
        if let Some(said) = said {
            return match (said.meaning, said.error.intent()) {
                // Cancelled before the decline is told, since a channel may be tried next.
                (Meaning::Declined { soft: true }, Some(intent)) => {
                    let step = Step::with(ABANDON, said.fault.code.clone());
                    self.cancel_as(step, intent, &order.number, stamp)
                }
                (meaning, _) => Verdict::Done(answer(op, meaning, said.fault)),
            };
        }
        Verdict::Done(Answer::Create(match intent(response, &order_ref(op)) {
            Ok(intent) => made(intent, order.flow),
            Err(fault) => Outcome::Unknown(fault),
        }))
    }

    /// After a soft decline its intent was cancelled. The decline stands whatever that said,
    /// unless the intent turns out paid, which an answer to this order alone can say.
    fn abandoned(&self, op: &Operation, step: &Step, reply: &Reply) -> Answer {
        let paid = answered(op, true, reply)
            .ok()
            .filter(|response| response.status == 200)
            .and_then(|response| intent(response, &order_ref(op)).ok())
            .filter(|intent| intent.status == "succeeded")
            .and_then(|intent| intent.receipt().ok());
        Answer::Create(match paid {
            Some(receipt) => Outcome::Ok(Created::Paid(receipt)),
            None => Outcome::Declined(Decline { code: step.memo.clone(), soft: true }),
        })
    }

    fn queried(
        &self,
        op: &Operation,
        order: &OrderRef,
        step: &Step,
        response: &Response,
        said: Option<Said>,
    ) -> Verdict {
        if let Some(said) = said {
            return Verdict::Done(answer(op, said.meaning, said.fault));
        }
        let state = if step.asks == FIND {
            match self.found(op, order, step, response) {
                Ok(Found::More(verdict)) => return verdict,
                Ok(Found::Nothing) => Ok(OrderState::NotFound),
                Ok(Found::Intent(intent)) => {
                    intent.check(order).and_then(|()| intent.state(order.flow))
                }
                Err(fault) => Err(fault),
            }
        } else {
            intent(response, order).and_then(|intent| intent.state(order.flow))
        };
        Verdict::Done(Answer::Query(state.map_or_else(Outcome::Unknown, Outcome::Ok)))
    }

    fn closed(
        &self,
        op: &Operation,
        order: &OrderRef,
        step: &Step,
        response: &Response,
        said: Option<Said>,
        stamp: &Stamp,
    ) -> Verdict {
        let done = |outcome| Verdict::Done(Answer::Close(outcome));
        match (said, step.asks) {
            (Some(said), CANCEL) if said.meaning == Meaning::Look => {
                match intent_id(response, order) {
                    Some(id) => self.read_intent(&id),
                    None => self.find_first(order),
                }
            }
            (Some(said), _) => Verdict::Done(answer(op, said.meaning, said.fault)),
            (None, FIND) => match self.found(op, order, step, response) {
                Ok(Found::More(verdict)) => verdict,
                Ok(Found::Nothing) => done(Outcome::Ok(CloseState::NotFound)),
                Ok(Found::Intent(intent)) => match ended(&intent, order) {
                    Some(outcome) => done(outcome),
                    None => self.cancel(&intent.id, &order.number, stamp),
                },
                Err(fault) => done(Outcome::Unknown(fault)),
            },
            (None, _) => match intent(response, order) {
                Ok(intent) => done(ended(&intent, order).unwrap_or_else(|| still_open(&intent))),
                Err(fault) => done(Outcome::Unknown(fault)),
            },
        }
    }
}

/// Errors as the table means them; `None` for a 200.
pub(super) fn read(call: Call, response: &Response) -> Option<Said> {
    if response.status == 200 {
        return None;
    }
    let error = serde_json::from_slice::<Envelope>(&response.body).ok().map(|body| body.error);
    let codes = error.as_ref().map(ErrorObject::codes);
    let meaning = meaning_of_answer(call, response.status, codes.as_deref());
    let codes = codes.unwrap_or_default();
    let name = codes
        .first()
        .filter(|code| **code != "invalid_request_error")
        .map_or_else(|| format!("http_{}", response.status), |code| (*code).to_owned());
    let detail = format!("Stripe answered HTTP {} {name}", response.status);
    let fault = Fault::new(name, detail);
    Some(Said { meaning, fault, error: error.unwrap_or_default() })
}

/// Looking for something or reading it is a question, whatever it is for.
fn call_of(op: &Operation, step: &Step) -> Call {
    match step.asks {
        FIND | super::codec::READ => Call::Query,
        REFUND_FIND => Call::QueryRefund,
        _ => Call::of(op),
    }
}

/// A checked intent from an answer's body.
fn intent(response: &Response, order: &OrderRef) -> Result<Intent, Fault> {
    let intent: Intent =
        serde_json::from_slice(&response.body).map_err(|_| malformed("the intent"))?;
    intent.check(order)?;
    Ok(intent)
}

/// The intent's id, from us or from the error itself.
fn intent_id(response: &Response, order: &OrderRef) -> Option<String> {
    let told = || {
        let body: Envelope = serde_json::from_slice(&response.body).ok()?;
        body.error.intent().map(ToOwned::to_owned)
    };
    super::object::reference(order).map(ToOwned::to_owned).or_else(told)
}

/// What a new intent means.
fn made(intent: Intent, flow: Flow) -> Outcome<Created> {
    let reference = Some(intent.id.clone());
    match (intent.status.as_str(), flow) {
        ("succeeded", _) => {
            intent.receipt().map_or_else(Outcome::Unknown, |r| Outcome::Ok(Created::Paid(r)))
        }
        ("processing" | "requires_capture", _) => Outcome::Ok(Created::Processing { reference }),
        ("canceled", _) => Outcome::Ok(Created::NumberClosed),
        ("requires_payment_method", Flow::Direct) => match &intent.last_payment_error {
            Some(error) => Outcome::Declined(decline(error)),
            None => Outcome::Unknown(malformed("a direct intent without a charge")),
        },
        // Nobody is there to act, and nobody was given the secret.
        ("requires_action", Flow::Direct) => {
            Outcome::Declined(Decline { code: "authentication_required".to_owned(), soft: false })
        }
        ("requires_payment_method", Flow::Presented) => secret(intent),
        ("requires_action", Flow::Presented) => {
            match intent.next_action.and_then(super::object::NextAction::presentation) {
                Some(presentation) => Outcome::Ok(Created::Presented { presentation, reference }),
                None => Outcome::Unknown(malformed("nothing to show the customer")),
            }
        }
        _ => Outcome::Unknown(malformed("the intent's status")),
    }
}

fn secret(intent: Intent) -> Outcome<Created> {
    match intent.client_secret {
        Some(secret) => Outcome::Ok(Created::Presented {
            presentation: Presentation::ClientSecret { reference: intent.id.clone(), secret },
            reference: Some(intent.id),
        }),
        None => Outcome::Unknown(malformed("no client_secret")),
    }
}

/// The end that a checked intent has come to, if it has.
fn ended(intent: &Intent, order: &OrderRef) -> Option<Outcome<CloseState>> {
    if let Err(fault) = intent.check(order) {
        return Some(Outcome::Unknown(fault));
    }
    match intent.state(order.flow) {
        Ok(OrderState::Paid(receipt)) => Some(Outcome::Ok(CloseState::AlreadyPaid(Some(receipt)))),
        Ok(OrderState::Closed) => Some(Outcome::Ok(CloseState::Closed)),
        Err(fault) => Some(Outcome::Unknown(fault)),
        Ok(_) => None,
    }
}

fn still_open(intent: &Intent) -> Outcome<CloseState> {
    if intent.status == "processing" {
        return Outcome::Ok(CloseState::Processing);
    }
    Outcome::Unknown(Fault::new("still_open", "the intent was not cancelled and can be paid"))
}
