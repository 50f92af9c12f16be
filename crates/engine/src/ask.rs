//! Where a payment would go: the same decision as for a real one, without making it.

use std::sync::PoisonError;

use domain::{Choice, MerchantId, Money, Terms, Timestamp};
use resilience::{Issuer, Occasion};

use crate::routing::{Field, Wish, choice, reason};
use crate::{Engine, EngineError};

/// A payment that might be.
#[derive(Clone, Debug, PartialEq)]
pub struct Supposed {
    /// Who would collect.
    pub merchant: Option<MerchantId>,
    /// How much.
    pub money: Money,
    /// What else.
    pub terms: Terms,
    /// The time that rules see; absent: now. Health is always that of now.
    pub at: Option<Timestamp>,
}

impl Engine {
    /// The choice that a payment would get now: what its first attempt would record. Nothing is
    /// changed by asking: no probe is spent, no headroom taken, nothing learned or stored.
    /// Leaders count without the payments that are spared for exploration. In a split, without
    /// a payment's id, the largest share stands for all.
    ///
    /// # Errors
    /// When no channel takes any of the methods in this currency and amount.
    pub fn suppose(&self, supposed: &Supposed) -> Result<Choice, EngineError> {
        let (options, controls, now) = (self.options(), self.controls(), self.now());
        let Supposed { merchant, money, terms, at } = supposed;
        let at = at.unwrap_or(now);
        let wish = Wish { id: None, merchant: merchant.as_ref(), money: *money, terms, at };
        let field = Field::of(&wish, &options, None);
        if field.candidates.is_empty() {
            let method = terms.methods.first().copied().unwrap_or(domain::Method::Card);
            return Err(EngineError::NoChannel { method, money: *money });
        }
        let issuer = terms.issuer.as_deref().map(Issuer::of);
        let occasion = Occasion { issuer, spare: false, ..field.occasion(now) };
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = resilience::plan_quietly(&field.candidates, &mut board, &controls, &occasion);
        drop(board);
        let reason = reason(&plan);
        Ok(choice(reason, &plan, field.notes))
    }
}
