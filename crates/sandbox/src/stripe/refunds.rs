//! Refunds. Every call without an idempotency key is a new refund, as at the real provider.

use serde_json::Value;

use super::errors::Failure;
use super::intents::metadata;
use super::{Job, notify, objects};
use crate::control::lock;

const REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer"];

impl Job<'_> {
    pub(super) fn create_refund(&self) -> Result<Value, Failure> {
        self.form.only(&[
            "payment_intent",
            "charge",
            "amount",
            "reason",
            "metadata",
            "expand",
            "instructions_email",
            "refund_application_fee",
            "reverse_transfer",
            "origin",
            "currency",
        ])?;
        let (intent, charge) = (self.form.some("payment_intent")?, self.form.some("charge")?);
        let amount = self.form.integer("amount")?;
        if amount.is_some_and(|amount| amount < 1) {
            return Err(Failure::parameter("amount", "must be greater than or equal to 1"));
        }
        let reason = self.form.some("reason")?;
        if reason.is_some_and(|reason| !REASONS.contains(&reason)) {
            return Err(Failure::parameter("reason", "is not one of the known"));
        }
        let (reason, metadata) = (reason.map(str::to_owned), metadata(self.form)?);
        let change = {
            let mut book = lock(&self.account.book);
            let id = match (intent, charge) {
                (Some(id), _) => id.to_owned(),
                (None, Some(id)) => book.charge(id)?.0.id.clone(),
                (None, None) => return Err(Failure::parameter_missing("payment_intent")),
            };
            book.refund(&id, amount, reason, metadata, self.now)?
        };
        notify::tell(self.state, self.account, &change, self.origin(), self.now);
        let refund = change.refund.as_ref().map(|refund| objects::refund(&change.intent, refund));
        Ok(refund.unwrap_or_default())
    }

    pub(super) fn retrieve_refund(&self, id: &str) -> Result<Value, Failure> {
        let book = lock(&self.account.book);
        let (intent, refund) = book.find_refund(id)?;
        Ok(objects::refund(intent, refund))
    }

    pub(super) fn list_refunds(&self) -> Result<Value, Failure> {
        let limit = self.limit()?;
        let by_charge = match self.form.some("charge")? {
            Some(id) => Some(lock(&self.account.book).charge(id)?.0.id.clone()),
            None => None,
        };
        let intent = self.form.some("payment_intent")?.or(by_charge.as_deref());
        let mut found = lock(&self.account.book).list_refunds(intent, limit + 1);
        let more = found.len() > limit;
        found.truncate(limit);
        let data = found.iter().map(|(intent, refund)| objects::refund(intent, refund)).collect();
        Ok(objects::list("/v1/refunds", data, more))
    }
}
