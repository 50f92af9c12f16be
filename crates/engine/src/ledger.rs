//! The one way in which a change reaches the books.
//!
//! A commit that nobody can vouch for is read back by its id (rule 16); a change that met a
//! newer version of its payment is decided again from what is there now.

use domain::{Event, EventKind, Payment, PaymentId, Timestamp};
use store::{Change, Claim, Commit, Conflict, NewMessage, RequestRecord, StoreError};

use crate::{Engine, EngineError};

/// How often a change is decided again before the payment counts as busy.
const TRIES: usize = 16;
/// How often an unknown commit is read back.
const READ_BACKS: usize = 3;

/// A payment as it becomes, with what goes with it.
pub(crate) struct Draft {
    pub(crate) payment: Payment,
    pub(crate) events: Vec<Event>,
    pub(crate) request: Option<RequestRecord>,
}

impl Draft {
    pub(crate) fn of(step: domain::Step) -> Draft {
        Draft { payment: step.payment, events: step.events, request: None }
    }

    /// A payment as it is, to be taken further.
    pub(crate) fn unchanged(payment: &Payment) -> Draft {
        Draft { payment: payment.clone(), events: Vec::new(), request: None }
    }

    /// Takes another step of the same payment into this commit.
    pub(crate) fn then(mut self, step: domain::Step) -> Draft {
        self.payment = step.payment;
        self.events.extend(step.events);
        self
    }
}

/// How a commit ended, for the callers that care which conflict it was.
pub(crate) enum Committed {
    Done(Payment),
    Refused(Conflict),
}

impl Engine {
    /// Commits a draft over `expected_version` (0 for a new payment).
    pub(crate) async fn commit(
        &self,
        draft: Draft,
        expected_version: u64,
        claim: Option<&Claim>,
        now: Timestamp,
    ) -> Result<Committed, EngineError> {
        let Draft { mut payment, events, request } = draft;
        payment.version = expected_version + 1;
        let due_at = payment.due(&self.options.load().policy).map(|(at, _)| at);
        let messages = events.iter().filter_map(|e| self.message(&payment, e, now)).collect();
        let notes = match payment.terms.is_synthetic() {
            true => Vec::new(), // Nobody's payment: there is no customer to tell.
            false => events.iter().flat_map(|e| self.parts.render.notes(&payment, e)).collect(),
        };
        let change = Change {
            id: self.parts.entropy.uuid(now),
            payment,
            expected_version,
            due_at,
            claim: claim.cloned(),
            request,
            messages,
            notes,
            events,
            at: now,
        };
        let (id, payment) = (change.id, change.payment.clone());
        let due_now = change.due_at.is_some_and(|at| at <= now);
        let told = !change.messages.is_empty();
        let noted = !change.notes.is_empty();
        let kinds: Vec<_> = change.events.iter().map(|e| e.kind.clone()).collect();
        match self.parts.store.commit(change).await {
            Commit::Done => {}
            Commit::Refused(conflict) => return Ok(Committed::Refused(conflict)),
            Commit::Failed(error) => return Err(error.into()),
            Commit::Unknown(error) => self.read_back(id, error).await?,
        }
        if due_now {
            self.work.notify_one();
        }
        if told {
            self.messages.notify_one();
        }
        if noted {
            self.notes.notify_one();
        }
        // Nobody listening is no mistake.
        let _ = self.commits.send(payment.id);
        for kind in &kinds {
            count(mark(kind), &payment);
            self.told(&payment, kind);
        }
        self.tell_news();
        Ok(Committed::Done(payment))
    }

    /// Settles an unknown commit by reading its id (rule 16). `Ok` when it took place.
    async fn read_back(&self, id: uuid::Uuid, error: StoreError) -> Result<(), EngineError> {
        for _ in 0..READ_BACKS {
            match self.parts.store.was_committed(id).await {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(error.into()),
                Err(_) => continue,
            }
        }
        metrics::counter!("evergate_commits_unknown_total").increment(1);
        tracing::error!(change = %id, %error, "a commit's effect is not known");
        Err(EngineError::CommitUnknown)
    }

    /// Changes a payment: decides from what is there now, commits, and decides again when
    /// somebody else was faster. `decide` returns `None` when there is nothing to change.
    pub(crate) async fn change(
        &self,
        id: PaymentId,
        claim: Option<&Claim>,
        mut decide: impl FnMut(&Payment, Timestamp) -> Result<Option<Draft>, EngineError> + Send,
    ) -> Result<Payment, EngineError> {
        for _ in 0..TRIES {
            let current = self.parts.store.payment(id).await?.ok_or(EngineError::NotFound)?;
            let now = self.now();
            let Some(draft) = decide(&current, now)? else { return Ok(current) };
            match self.commit(draft, current.version, claim, now).await? {
                Committed::Done(payment) => return Ok(payment),
                Committed::Refused(Conflict::Version) => {}
                Committed::Refused(Conflict::KeyTaken) => return Err(EngineError::KeyConflict),
                Committed::Refused(Conflict::Fenced | Conflict::OrderTaken(_)) => {
                    return Err(EngineError::Busy);
                }
            }
        }
        Err(EngineError::Busy)
    }

    fn message(&self, payment: &Payment, event: &Event, now: Timestamp) -> Option<NewMessage> {
        if payment.terms.is_synthetic() {
            return None; // Nobody's payment: there is no merchant to tell.
        }
        let kind = event.kind.notification()?;
        let body = self.parts.render.message(payment, event)?;
        let id = format!("msg_{}_{}", &payment.id.to_string()[4..], event.seq);
        Some(NewMessage { id, kind: kind.0.to_owned(), body, due_at: now })
    }
}

/// What an event is counted as, and the attempt that it is about.
fn mark(kind: &EventKind) -> (&'static str, Option<u16>) {
    match kind {
        EventKind::Created => ("created", None),
        EventKind::AttemptStarted { ordinal, .. } => ("attempt_started", Some(*ordinal)),
        EventKind::AttemptShown { ordinal } => ("attempt_shown", Some(*ordinal)),
        EventKind::AttemptUnknown { ordinal, .. } => ("attempt_unknown", Some(*ordinal)),
        EventKind::AttemptFailed { ordinal, .. } => ("attempt_failed", Some(*ordinal)),
        EventKind::AttemptDeclined { ordinal, .. } => ("attempt_declined", Some(*ordinal)),
        EventKind::CloseAsked { ordinal } => ("close_asked", Some(*ordinal)),
        EventKind::AttemptClosed { ordinal, .. } => ("attempt_closed", Some(*ordinal)),
        EventKind::AttemptPaid { ordinal, .. } => ("attempt_paid", Some(*ordinal)),
        EventKind::ExpiryExtended { .. } => ("expiry_extended", None),
        EventKind::PartReceived { ordinal, .. } => ("part_received", Some(*ordinal)),
        EventKind::Paid { ordinal, .. } => ("paid", Some(*ordinal)),
        EventKind::Declined => ("declined", None),
        EventKind::CancelAsked => ("cancel_asked", None),
        EventKind::ExpiryBegan => ("expiry_began", None),
        EventKind::Cancelled => ("cancelled", None),
        EventKind::Expired => ("expired", None),
        EventKind::Held { .. } => ("held", None),
        EventKind::HoldExtended { .. } => ("hold_extended", None),
        EventKind::HoldReleased { .. } => ("hold_released", None),
        EventKind::Reminded { .. } => ("reminded", None),
        EventKind::Kept { .. } => ("paused", None),
        EventKind::WorkReleased => ("resumed", None),
        EventKind::GraceExtended { .. } => ("grace_extended", None),
        EventKind::RefundRequested { .. } => ("refund_requested", None),
        EventKind::RefundUnknown { .. } => ("refund_unknown", None),
        EventKind::RefundSucceeded { .. } => ("refund_succeeded", None),
        EventKind::RefundFailed { .. } => ("refund_failed", None),
        EventKind::ReviewRaised { .. } => ("review_raised", None),
        EventKind::ReviewCleared => ("review_cleared", None),
    }
}

/// Counts what was committed, by the cell that it happened on.
fn count((event, attempt): (&'static str, Option<u16>), payment: &Payment) {
    let attempt = attempt.and_then(|ordinal| payment.attempt(ordinal));
    let channel = attempt.map_or(String::new(), |a| a.channel.to_string());
    let method = attempt.map_or("", |a| a.method.name());
    let synthetic = if payment.terms.is_synthetic() { "true" } else { "false" };
    metrics::counter!(
        "evergate_payment_events_total",
        "event" => event, "channel" => channel, "method" => method, "synthetic" => synthetic
    )
    .increment(1);
}
