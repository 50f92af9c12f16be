//! Work whose time has come: questions, closes, refunds, expiries, and recovery after a crash.
//!
//! A worker claims a payment with a fence and a lease. It may send nothing after the lease
//! (the caller refuses), and its commit is refused when somebody else has claimed the payment
//! since (rule 15).

use domain::{
    Answer, Attempt, ChannelId, CloseWhy, Fact, Method, Operation, OrderRef, Payment, Policy,
    Refund, RefundOrder, Task, Timestamp,
};
use store::Claim;

use crate::commands::illegal;
use crate::ledger::Draft;
use crate::{Engine, EngineError};

impl Engine {
    /// Claims payments whose next task is due.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn claim(&self, limit: usize) -> Result<Vec<Claim>, EngineError> {
        let now = self.now();
        let lease_until = now + self.options.load().lease;
        Ok(self.parts.store.claim_due(now, lease_until, &self.parts.owner, limit).await?)
    }

    /// Performs the next task of a claimed payment and gives the claim back. A payment with
    /// several tasks is claimed several times.
    ///
    /// # Errors
    /// When the store does not answer; the claim's lease then runs out by itself.
    pub async fn perform(&self, claim: Claim) -> Result<(), EngineError> {
        let Some(payment) = self.parts.store.payment(claim.payment).await? else {
            return Ok(());
        };
        let due = payment.due(&self.options.load().policy);
        match due {
            Some((at, task)) if at <= self.now() => {
                let until = claim.lease_until;
                match self.perform_task(payment, task, Some(&claim), until).await {
                    Ok(_) => Ok(()),
                    // Somebody else works on it: nothing is lost.
                    Err(EngineError::Busy) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Some((at, _)) => Ok(self.parts.store.release(&claim, at).await?),
            None => Ok(self.parts.store.release(&claim, Timestamp::MAX).await?),
        }
    }

    /// Performs one task and commits what came of it.
    pub(crate) async fn perform_task(
        &self,
        payment: Payment,
        task: Task,
        claim: Option<&Claim>,
        until: Timestamp,
    ) -> Result<Payment, EngineError> {
        let options = self.options();
        match task {
            Task::Query(ordinal) | Task::Close(ordinal) => {
                let Some(attempt) = payment.attempt(ordinal) else { return Ok(payment) };
                let op = question(attempt, &payment, task);
                let until = until.min(self.now() + self.timeout(&attempt.channel));
                let answer = self.call(&attempt.channel, attempt.method, &op, until).await;
                self.learn(&payment, answered(ordinal, answer), claim).await
            }
            Task::Refund(ordinal) => {
                let id = payment.id;
                let sent = self
                    .change(id, claim, |current, now| {
                        let step = current.send_refund(ordinal, now, until).map_err(illegal)?;
                        Ok(step.map(Draft::of))
                    })
                    .await?;
                let intent = sent.refund(ordinal).map(|r| &r.progress);
                match intent {
                    Some(domain::RefundProgress::InFlight { until: mine, .. })
                        if *mine == until =>
                    {
                        self.send_refund_call(sent, ordinal, until).await
                    }
                    // It was on its way already, by somebody else's hand.
                    _ => Ok(sent),
                }
            }
            Task::QueryRefund(ordinal) => {
                let Some(op) = refund_op(&payment, ordinal, Operation::QueryRefund) else {
                    return Ok(payment);
                };
                let (channel, method) = refund_cell(&payment, ordinal);
                let until = until.min(self.now() + self.timeout(&channel));
                let answer = self.call(&channel, method, &op, until).await;
                let Answer::QueryRefund(outcome) = answer else { return Ok(payment) };
                let fact = Fact::RefundLearned { refund: ordinal, outcome };
                self.learn(&payment, Some(fact), claim).await
            }
            Task::RecoverAttempt(_) | Task::RecoverRefund(_) => {
                metrics::counter!("evergate_calls_recovered_total").increment(1);
                self.elapse(&payment, task, claim, &options.policy).await
            }
            Task::Expire | Task::FinishEnding | Task::Review => {
                self.elapse(&payment, task, claim, &options.policy).await
            }
        }
    }

    /// Time has passed; the task is checked again against the payment as it is now.
    async fn elapse(
        &self,
        payment: &Payment,
        task: Task,
        claim: Option<&Claim>,
        policy: &Policy,
    ) -> Result<Payment, EngineError> {
        self.change(payment.id, claim, |current, now| match current.due(policy) {
            Some((at, due)) if due == task && at <= now => {
                let step = current.apply(Fact::Elapsed(task), now, policy).map_err(illegal)?;
                Ok(Some(Draft::of(step)))
            }
            // Keeps the claim's promise to be given back, and changes nothing.
            _ if claim.is_some() => Ok(Some(unchanged(current))),
            _ => Ok(None),
        })
        .await
    }

    /// Commits what an answer taught. Under a claim it commits even when nothing changed, so
    /// that the claim is given back.
    async fn learn(
        &self,
        payment: &Payment,
        fact: Option<Fact>,
        claim: Option<&Claim>,
    ) -> Result<Payment, EngineError> {
        let options = self.options();
        self.change(payment.id, claim, |current, now| {
            let draft = match &fact {
                Some(fact) => self.applied(current, fact.clone(), now, &options.policy)?,
                None => unchanged(current),
            };
            Ok((claim.is_some() || draft.payment != *current).then_some(draft))
        })
        .await
    }

    /// Sends a refund whose intent is durable and commits the answer.
    pub(crate) async fn send_refund_call(
        &self,
        payment: Payment,
        ordinal: u16,
        until: Timestamp,
    ) -> Result<Payment, EngineError> {
        let Some(op) = refund_op(&payment, ordinal, Operation::Refund) else {
            return Ok(payment);
        };
        let (channel, method) = refund_cell(&payment, ordinal);
        let until = until.min(self.now() + self.timeout(&channel));
        let answer = self.call(&channel, method, &op, until).await;
        let Answer::Refund(outcome) = answer else { return Ok(payment) };
        self.learn(&payment, Some(Fact::RefundAnswered { refund: ordinal, outcome }), None).await
    }

    /// One call to a provider; its class goes into the health of the cell.
    pub(crate) async fn call(
        &self,
        channel: &ChannelId,
        method: Method,
        op: &Operation,
        until: Timestamp,
    ) -> Answer {
        let sent = self.called(channel, method);
        let answer = self.parts.caller.call(channel, op, until).await;
        self.observe(sent, channel, method, answer.class());
        answer
    }

    fn timeout(&self, channel: &ChannelId) -> std::time::Duration {
        let options = self.options.load();
        options.channel(channel).map_or(options.lease, |c| c.call_timeout)
    }
}

fn unchanged(payment: &Payment) -> Draft {
    Draft { payment: payment.clone(), events: Vec::new(), request: None }
}

fn question(attempt: &Attempt, payment: &Payment, task: Task) -> Operation {
    let order = order_ref(attempt, payment);
    match task {
        Task::Close(_) if attempt.is_shown() => Operation::Close(order, CloseWhy::Shown),
        Task::Close(_) => Operation::Close(order, CloseWhy::Orphan),
        _ => Operation::Query(order),
    }
}

fn answered(ordinal: u16, answer: Answer) -> Option<Fact> {
    match answer {
        Answer::Query(outcome) => Some(Fact::Queried { attempt: ordinal, outcome }),
        Answer::Close(outcome) => Some(Fact::CloseAnswered { attempt: ordinal, outcome }),
        _ => None,
    }
}

fn order_ref(attempt: &Attempt, payment: &Payment) -> OrderRef {
    OrderRef {
        number: attempt.number.clone(),
        reference: attempt.reference.clone(),
        method: attempt.method,
        flow: attempt.flow,
        money: payment.money,
        sent_at: attempt.sent_at,
    }
}

fn refund_op(
    payment: &Payment,
    ordinal: u16,
    make: fn(RefundOrder) -> Operation,
) -> Option<Operation> {
    let refund: &Refund = payment.refund(ordinal)?;
    let attempt = payment.attempt(refund.attempt)?;
    Some(make(RefundOrder {
        order: order_ref(attempt, payment),
        number: refund.number.clone(),
        amount: refund.amount,
        reference: refund.reference.clone(),
        reason: refund.note.clone().unwrap_or_else(|| "refund".to_owned()),
    }))
}

fn refund_cell(payment: &Payment, ordinal: u16) -> (ChannelId, Method) {
    let attempt = payment.refund(ordinal).and_then(|r| payment.attempt(r.attempt));
    // `refund_op` has found both before.
    let attempt = attempt.unwrap_or(&payment.attempts[0]);
    (attempt.channel.clone(), attempt.method)
}
