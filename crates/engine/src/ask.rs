//! Where a payment would go: the same decision as for a real one, without making it.

use std::sync::PoisonError;

use domain::{Choice, Controls, MerchantId, Money, Terms, Timestamp};
use resilience::{Board, Issuer, Occasion, Plan};

use crate::commands::no_channel;
use crate::routing::{Field, Wish, choice, reason};
use crate::{Engine, EngineError, Options};

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
        let (options, controls) = (self.options.load(), self.controls.load());
        let field = field(supposed, &options, &controls, self.now())?;
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = weigh(supposed, &field, &mut board, &controls, self.now());
        drop(board);
        Ok(choice(reason(&plan), &plan, field))
    }
}

/// The same by settings alone: every channel is healthy, and no operator has said anything.
///
/// # Errors
/// When no channel takes any of the methods in this currency and amount.
pub fn suppose(
    supposed: &Supposed,
    options: &Options,
    now: Timestamp,
) -> Result<Choice, EngineError> {
    let field = field(supposed, options, &Controls::default(), now)?;
    let plan = weigh(supposed, &field, &mut Board::default(), &Controls::default(), now);
    Ok(choice(reason(&plan), &plan, field))
}

fn field<'o>(
    supposed: &Supposed,
    options: &'o Options,
    controls: &Controls,
    now: Timestamp,
) -> Result<Field<'o>, EngineError> {
    let Supposed { merchant, money, terms, at } = supposed;
    let (merchant, at) = (merchant.as_ref(), at.unwrap_or(now));
    let left = options.default_expiry;
    if let Some(error) = no_channel(terms, *money, left, options) {
        return Err(error);
    }
    let wish = Wish { id: None, merchant, money: *money, terms, left, at };
    Ok(Field::of(&wish, options, &controls.ladder, None))
}

fn weigh(
    supposed: &Supposed,
    field: &Field<'_>,
    board: &mut Board,
    controls: &Controls,
    now: Timestamp,
) -> Plan {
    let issuer = supposed.terms.issuer.as_deref().map(Issuer::of);
    let occasion = Occasion { issuer, ..field.occasion(now) };
    resilience::plan_quietly(&field.candidates, board, controls, &occasion)
}
