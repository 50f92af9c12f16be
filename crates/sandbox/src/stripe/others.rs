//! The small rest: payment methods, customers, events, the balance.

use serde_json::{Value, json};

use super::errors::Failure;
use super::{Job, objects};
use crate::control::lock;

impl Job<'_> {
    pub(super) fn create_method(&self) -> Result<Value, Failure> {
        Ok(objects::method(&self.method_from("")?))
    }

    pub(super) fn retrieve_method(&self, id: &str) -> Result<Value, Failure> {
        Ok(objects::method(&lock(&self.account.book).method(id, self.now)?))
    }

    /// Customers are not kept: intents take any customer's id.
    pub(super) fn create_customer(&self) -> Value {
        let id = format!("cus_{}", lock(&self.account.ids).alnum(14));
        json!({
            "id": id,
            "object": "customer",
            "created": self.now.div_euclid(1_000),
            "email": self.form.some("email").ok().flatten(),
            "name": self.form.some("name").ok().flatten(),
            "metadata": self.form.map("metadata"),
            "livemode": false,
        })
    }

    pub(super) fn retrieve_event(&self, id: &str) -> Result<Value, Failure> {
        let event = lock(&self.account.events).get(id).cloned();
        let event = event.ok_or_else(|| Failure::missing("event", id))?;
        Ok(serde_json::from_str(&event).expect("events are kept as they were written"))
    }

    pub(super) fn balance(&self) -> Value {
        let amounts: Vec<Value> = lock(&self.account.book)
            .balance()
            .into_iter()
            .map(|(currency, amount)| json!({ "amount": amount, "currency": currency }))
            .collect();
        json!({ "object": "balance", "available": amounts, "pending": [], "livemode": false })
    }
}
