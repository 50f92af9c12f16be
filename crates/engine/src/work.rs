//! Work whose time has come: questions, closes, refunds, expiries, and recovery after a crash.
//!
//! A worker claims a payment with a fence and a lease. It may send nothing after the lease
//! (the caller refuses), and its commit is refused when somebody else has claimed the payment
//! since (rule 15).

use domain::{
    Answer, Attempt, ChannelId, CloseState, CloseWhy, Fact, Fault, Flow, Method, Operation,
    OrderRef, OrderState, Outcome, Payment, PaymentId, Policy, Refund, RefundOrder, RefundProgress,
    RefundState, Task, Timestamp,
};
use resilience::CellKey;
use store::Claim;

use crate::commands::{illegal, order};
use crate::ledger::Draft;
use crate::{Engine, EngineError};

/// Why a call was not waited for.
const GIVEN_UP: &str = "the channel has stopped answering; the call was not waited for";

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
            _ => self.give_back(payment.id, &claim).await,
        }
    }

    /// Gives a claim back that found nothing due, by a commit over the version that it was
    /// decided from: work that somebody else has caused meanwhile keeps its time (rule 17).
    async fn give_back(&self, id: PaymentId, claim: &Claim) -> Result<(), EngineError> {
        match self.change(id, Some(claim), |current, _| Ok(Some(Draft::unchanged(current)))).await {
            Ok(_) | Err(EngineError::Busy) => Ok(()),
            Err(error) => Err(error),
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
                let op = self.question(attempt, &payment, task);
                let until = until.min(self.now() + self.timeout(&attempt.channel));
                let answer = self.call(&attempt.channel, attempt.method, &op, until).await;
                self.learn(&payment, answered(ordinal, answer), claim, until).await
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
                    Some(RefundProgress::InFlight { until: mine, .. }) if *mine == until => {
                        self.send_refund_call(sent, ordinal).await
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
                self.learn(&payment, Some(fact), claim, until).await
            }
            Task::RecoverAttempt(_) | Task::RecoverRefund(_) => {
                metrics::counter!("evergate_calls_recovered_total").increment(1);
                self.elapse(&payment, task, claim, &options.policy).await
            }
            Task::Expire | Task::FinishEnding | Task::Review | Task::Remind | Task::ExtendGrace => {
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
            _ if claim.is_some() => Ok(Some(Draft::unchanged(current))),
            _ => Ok(None),
        })
        .await
    }

    /// Commits what the answer to a question taught, which was asked until `asked`. Under a
    /// claim it commits even when nothing changed, so that the claim is given back.
    async fn learn(
        &self,
        payment: &Payment,
        fact: Option<Fact>,
        claim: Option<&Claim>,
        asked: Timestamp,
    ) -> Result<Payment, EngineError> {
        let options = self.options();
        self.change(payment.id, claim, |current, now| {
            let stale = now > asked + options.policy.grace;
            let draft = match &fact {
                Some(fact) => {
                    let fact = if stale { outdated(fact) } else { fact.clone() };
                    self.applied(current, fact, now, &options.policy)?
                }
                None => Draft::unchanged(current),
            };
            Ok((claim.is_some() || draft.payment != *current).then_some(draft))
        })
        .await
    }

    /// Sends a refund whose intent is durable, under the lease that is durable with it and no
    /// other (rule 15), and commits the answer.
    pub(crate) async fn send_refund_call(
        &self,
        payment: Payment,
        ordinal: u16,
    ) -> Result<Payment, EngineError> {
        let intent = payment.refund(ordinal).map(|r| &r.progress);
        let Some(&RefundProgress::InFlight { until: lease, .. }) = intent else {
            return Ok(payment);
        };
        let Some(op) = refund_op(&payment, ordinal, Operation::Refund) else {
            return Ok(payment);
        };
        let (channel, method) = refund_cell(&payment, ordinal);
        let until = lease.min(self.now() + self.timeout(&channel));
        let answer = self.call(&channel, method, &op, until).await;
        let Answer::Refund(outcome) = answer else { return Ok(payment) };
        let options = self.options();
        self.change(payment.id, None, |current, now| {
            // When others have given this call up and sent the refund again, "no effect" is said
            // of a call that does not count any more (rule 14); an effect always counts.
            if !matches!(outcome, Outcome::Ok(_)) && !is_sent_until(current, ordinal, lease) {
                return Ok(None);
            }
            let fact = Fact::RefundAnswered { refund: ordinal, outcome: outcome.clone() };
            let draft = self.applied(current, fact, now, &options.policy)?;
            Ok((draft.payment != *current).then_some(draft))
        })
        .await
    }

    /// A question, a close or a refund; its class goes into the health of the cell.
    async fn call(
        &self,
        channel: &ChannelId,
        method: Method,
        op: &Operation,
        until: Timestamp,
    ) -> Answer {
        let answer = self.parts.caller.call(channel, op, until).await;
        self.observe(&CellKey { channel: channel.clone(), method }, &answer);
        answer
    }

    /// The create call of an attempt. One that would show something is given up when its
    /// channel has stopped answering: nobody has seen it, so it may be replaced (rule 4).
    pub(crate) async fn call_create(&self, payment: &Payment, attempt: &Attempt) -> Answer {
        let mut order = order(payment, attempt);
        if order.return_url.is_none() {
            order.return_url = self.options.load().back_from(payment, &attempt.channel);
        }
        let op = Operation::Create(order);
        let key = CellKey { channel: attempt.channel.clone(), method: attempt.method };
        let sent = self.called(&key, self.issuer_of(payment));
        let call = self.parts.caller.call(&attempt.channel, &op, attempt.until);
        let answer = match attempt.flow {
            Flow::Direct => call.await,
            // In this order, so that the same events always end the same way.
            Flow::Presented => tokio::select! {
                biased;
                answer = call => answer,
                () = self.given_up(&key, sent) => op.unknown(Fault::new("hang", GIVEN_UP)),
            },
        };
        self.answered(&key, sent, &answer, attempt.until);
        answer
    }

    fn question(&self, attempt: &Attempt, payment: &Payment, task: Task) -> Operation {
        let mut order = order_ref(attempt, payment);
        // Where a call of ours takes the money, a pause keeps it from being taken (rule 9).
        order.wanted &= self.gate(payment).is_none();
        match task {
            Task::Close(_) if attempt.is_shown() => Operation::Close(order, CloseWhy::Shown),
            Task::Close(_) => Operation::Close(order, CloseWhy::Orphan),
            _ => Operation::Query(order),
        }
    }

    fn timeout(&self, channel: &ChannelId) -> std::time::Duration {
        let options = self.options.load();
        options.channel(channel).map_or(options.lease, |c| c.call_timeout)
    }
}

/// Whether the last call of a refund is the one that might be sent until `lease`.
fn is_sent_until(payment: &Payment, ordinal: u16, lease: Timestamp) -> bool {
    match payment.refund(ordinal).map(|r| &r.progress) {
        Some(RefundProgress::InFlight { until, .. } | RefundProgress::Pending { until, .. }) => {
            *until == lease
        }
        _ => false,
    }
}

/// An answer that a process slept on. What it saw happen did happen; that it saw nothing says
/// nothing about the time since, and time is what makes "not found" a proof (rule 3).
fn outdated(fact: &Fact) -> Fact {
    let fault = || Fault::new("outdated", "the answer is too old to prove anything");
    match fact {
        Fact::Queried {
            attempt,
            outcome: Outcome::Ok(OrderState::NotFound | OrderState::Payable),
        } => Fact::Queried { attempt: *attempt, outcome: Outcome::Unknown(fault()) },
        Fact::CloseAnswered { attempt, outcome: Outcome::Ok(CloseState::NotTaken) } => {
            Fact::CloseAnswered { attempt: *attempt, outcome: Outcome::Unknown(fault()) }
        }
        Fact::RefundLearned { refund, outcome: Outcome::Ok(RefundState::NotFound) } => {
            Fact::RefundLearned { refund: *refund, outcome: Outcome::Unknown(fault()) }
        }
        fact => fact.clone(),
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
        wanted: payment.wants(attempt.ordinal),
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
        reason: refund.note.clone().unwrap_or_else(|| "refund".to_owned()),
        requested_at: refund.requested_at,
    }))
}

fn refund_cell(payment: &Payment, ordinal: u16) -> (ChannelId, Method) {
    let attempt = payment.refund(ordinal).and_then(|r| payment.attempt(r.attempt));
    // `refund_op` has found both before.
    let attempt = attempt.unwrap_or(&payment.attempts[0]);
    (attempt.channel.clone(), attempt.method)
}
