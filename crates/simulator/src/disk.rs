//! The virtual store as one process sees it: `store::Store` over the world's books, with
//! latency, faults, and an await wherever a process may die.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    Controls, Event, MerchantId, OrderNo, Payment, PaymentId, RefundProgress, Status, Timestamp,
};
use store::{
    AuditLine, Change, Claim, Commit, Filter, Message, MessageEnd, MessageState, RequestRecord,
    Store, StoreError,
};
use uuid::Uuid;

use crate::books::Ending;
use crate::executor::Wait;
use crate::faults::Fault;
use crate::host::Point;
use crate::stream::Purpose;
use crate::world::{Leaf, Shared, place_of};

/// A process's connection to the store.
pub(crate) struct Disk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) proc: usize,
}

impl Disk {
    async fn point(&self, point: Point) {
        let wait = self.shared.world().point(self.proc, point);
        if let Some(until) = wait {
            Wait::new(&self.shared, until).await;
        }
    }

    /// A read may be slow or fail.
    async fn read(&self) -> Result<(), StoreError> {
        self.point(Point::Read).await;
        let mut world = self.shared.world();
        let idx = world.ctx.idx;
        match world.strike(idx, Purpose::Disk, &[Fault::ReadFails]) {
            Some(_) => Err(unanswered()),
            None => Ok(()),
        }
    }
}

pub(crate) fn unanswered() -> StoreError {
    StoreError::Unavailable("the read timed out".to_owned())
}

/// Nothing in the engine's commands asks for this.
fn unused() -> StoreError {
    StoreError::Unavailable("not simulated".to_owned())
}

/// Whether a change holds an intent whose call is next.
fn intends(change: &Change) -> bool {
    change.payment.attempts.iter().any(|a| a.state == domain::AttemptState::InFlight)
        || change
            .payment
            .refunds
            .iter()
            .any(|r| matches!(r.progress, RefundProgress::InFlight { .. }))
}

#[async_trait]
impl Store for Disk {
    async fn commit(&self, change: Change) -> Commit {
        self.point(Point::BeforeCommit).await;
        let intends = intends(&change);
        let ending = self.shared.world().commit(change);
        let answer = match ending {
            Ending::Now(answer) => answer,
            Ending::Later(answer, at) => {
                Wait::new(&self.shared, at).await;
                answer
            }
        };
        let leaf =
            if intends && answer == Commit::Done { Leaf::CommittedIntent } else { Leaf::Nothing };
        self.shared.world().leaf(leaf);
        self.point(Point::AfterCommit).await;
        answer
    }

    async fn was_committed(&self, change: Uuid) -> Result<bool, StoreError> {
        loop {
            self.point(Point::ReadBack).await;
            let until = {
                let mut world = self.shared.world();
                let idx = world.ctx.idx;
                if world.slots[idx].deaf > 0 {
                    world.slots[idx].deaf -= 1;
                    return Err(unanswered());
                }
                match world.was_committed(change) {
                    Ok(done) => return Ok(done),
                    Err(until) => until,
                }
            };
            Wait::new(&self.shared, until).await;
        }
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        self.shared.world().turn_to(place_of(id));
        self.read().await?;
        let world = self.shared.world();
        let slot = world.slots.get(place_of(id));
        Ok(slot.and_then(|s| s.row(id)).map(|r| r.payment.clone()))
    }

    async fn payment_by_order(
        &self,
        _: &MerchantId,
        order: &OrderNo,
    ) -> Result<Option<Payment>, StoreError> {
        self.read().await?;
        let world = self.shared.world();
        let rows = &world.slots[world.ctx.idx].rows;
        Ok(rows.iter().find(|r| r.payment.order == *order).map(|r| r.payment.clone()))
    }

    async fn request(
        &self,
        _: &MerchantId,
        key: &str,
    ) -> Result<Option<RequestRecord>, StoreError> {
        self.read().await?;
        let world = self.shared.world();
        Ok(world.slots[world.ctx.idx].records.iter().find(|r| r.key == key).cloned())
    }

    async fn list(&self, filter: &Filter) -> Result<Vec<Payment>, StoreError> {
        self.read().await?;
        Ok(self.shared.world().list(filter))
    }

    async fn queue(
        &self,
        except: &[domain::Purpose],
        limit: usize,
    ) -> Result<Vec<PaymentId>, StoreError> {
        self.read().await?;
        Ok(self.shared.world().queue(self.proc, except, limit))
    }

    async fn count_by_status(&self) -> Result<Vec<(Status, u64)>, StoreError> {
        Err(unused())
    }

    async fn story(&self, _: PaymentId) -> Result<Vec<Event>, StoreError> {
        Err(unused())
    }

    async fn claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        _owner: &str,
        limit: usize,
    ) -> Result<Vec<Claim>, StoreError> {
        let claims = self.shared.world().claim_due(now, lease_until, limit);
        if let Some(first) = claims.first() {
            // Whoever dies here leaves claims behind that only time gives back.
            self.shared.world().ctx.idx = place_of(first.payment);
            self.point(Point::AfterClaim).await;
        }
        Ok(claims)
    }

    async fn release(&self, claim: &Claim, due_at: Timestamp) -> Result<(), StoreError> {
        self.point(Point::BeforeCommit).await;
        let slow = self.shared.world().slow_release(place_of(claim.payment));
        if let Some(until) = slow {
            Wait::new(&self.shared, until).await;
        }
        self.shared.world().release(claim, due_at);
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.shared.world().earliest_work())
    }

    async fn claim_messages(
        &self,
        _: Timestamp,
        _: Timestamp,
        _: usize,
    ) -> Result<Vec<Message>, StoreError> {
        Ok(Vec::new())
    }

    async fn message_tried(&self, _: &str, _: u64, _: MessageEnd) -> Result<(), StoreError> {
        Err(unused())
    }

    async fn messages(
        &self,
        _: Option<MessageState>,
        _: usize,
    ) -> Result<Vec<Message>, StoreError> {
        Ok(Vec::new())
    }

    async fn resend_message(&self, _: &str, _: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn controls(&self) -> Result<Controls, StoreError> {
        self.read().await?;
        Ok(self.shared.world().read_controls(self.proc))
    }

    async fn set_controls(&self, next: &Controls, _: AuditLine) -> Result<bool, StoreError> {
        self.point(Point::BeforeCommit).await;
        let (answer, at) = self.shared.world().set_controls(next);
        if let Some(at) = at {
            Wait::new(&self.shared, at).await;
        }
        self.point(Point::AfterCommit).await;
        if answer == Ok(true) {
            self.shared.world().learns(self.proc, next);
        }
        answer
    }

    async fn note(&self, _: AuditLine) -> Result<(), StoreError> {
        Ok(())
    }

    async fn audit(&self, _: usize) -> Result<Vec<AuditLine>, StoreError> {
        Ok(Vec::new())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
