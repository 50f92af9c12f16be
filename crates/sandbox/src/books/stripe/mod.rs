//! Stripe's books: payment intents, their charges and refunds.

mod cards;
mod intent;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

pub(crate) use cards::{Behaviour, Card};
pub(crate) use intent::{
    Charge, Fact, Intent, IntentStatus, Method, MethodKind, NextAction, PaymentError, Refund,
    bank_hint,
};

use super::{IdSource, Millis, OrderEntry, ShopperRefusal};

/// What a merchant asks for.
#[derive(Debug, Clone)]
pub(crate) struct IntentSpec {
    pub(crate) amount: i64,
    /// Lower case.
    pub(crate) currency: String,
    pub(crate) method_types: Vec<MethodKind>,
    pub(crate) manual_capture: bool,
    pub(crate) description: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) return_url: Option<String>,
    pub(crate) customer: Option<String>,
}

/// How a confirmation is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConfirmSpec {
    pub(crate) method: Option<Method>,
    pub(crate) return_url: Option<String>,
    /// Nobody is there to authenticate, so a card that wants it is declined.
    pub(crate) off_session: bool,
}

/// Which intents a list wants; `created` bounds are seconds, inclusive.
#[derive(Debug, Clone)]
pub(crate) struct ListSpec {
    pub(crate) created_gte: i64,
    pub(crate) created_lte: i64,
    pub(crate) limit: usize,
    pub(crate) starting_after: Option<String>,
    pub(crate) ending_before: Option<String>,
}

/// An intent after a change, and what happened to it.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) intent: Intent,
    pub(crate) facts: Vec<Fact>,
    /// The refund that the change is about.
    pub(crate) refund: Option<Refund>,
}

/// Why a call was refused.
#[derive(Debug, Clone)]
pub(crate) enum IntentError {
    /// No such object of this account.
    Missing { object: &'static str, id: String },
    /// The intent's status does not allow it.
    UnexpectedState(Box<Intent>, &'static str),
    /// A parameter is wrong; `code` is Stripe's error code.
    Parameter { param: &'static str, code: &'static str, message: String },
    /// The customer's side declined; the intent was changed.
    Declined(Box<Change>),
    /// Nothing is left to refund.
    AlreadyRefunded,
}

/// One account's objects.
pub(crate) struct StripeBook {
    account: String,
    ids: IdSource,
    intents: Vec<Intent>,
    by_id: HashMap<String, usize>,
    by_charge: HashMap<String, usize>,
    by_token: HashMap<String, usize>,
    by_metadata: HashMap<(String, String), Vec<usize>>,
    refunds: Vec<(usize, usize)>,
    by_refund: HashMap<String, (usize, usize)>,
    methods: HashMap<String, Method>,
}

impl StripeBook {
    pub(crate) fn new(account: &str, seed: u64) -> Self {
        Self {
            account: account.to_owned(),
            ids: IdSource::new(seed, &format!("stripe book {account}")),
            intents: Vec::new(),
            by_id: HashMap::new(),
            by_charge: HashMap::new(),
            by_token: HashMap::new(),
            by_metadata: HashMap::new(),
            refunds: Vec::new(),
            by_refund: HashMap::new(),
            methods: HashMap::new(),
        }
    }

    pub(crate) fn create(&mut self, spec: IntentSpec, now: Millis) -> Intent {
        let id = format!("pi_3{}", self.ids.alnum(23));
        let client_secret = format!("{id}_secret_{}", self.ids.alnum(25));
        let token = self.ids.alnum(24);
        let index = self.intents.len();
        self.by_id.insert(id.clone(), index);
        self.by_token.insert(token.clone(), index);
        for (key, value) in &spec.metadata {
            self.by_metadata.entry((key.clone(), value.clone())).or_default().push(index);
        }
        let intent = Intent::new(id, client_secret, token, spec, now);
        self.intents.push(intent.clone());
        intent
    }

    fn index(&self, id: &str) -> Result<usize, IntentError> {
        self.by_id
            .get(id)
            .copied()
            .ok_or_else(|| IntentError::Missing { object: "payment_intent", id: id.to_owned() })
    }

    pub(crate) fn intent(&self, id: &str) -> Result<&Intent, IntentError> {
        self.index(id).map(|index| &self.intents[index])
    }

    pub(crate) fn charge(&self, id: &str) -> Result<(&Intent, &Charge), IntentError> {
        let missing = || IntentError::Missing { object: "charge", id: id.to_owned() };
        let intent = &self.intents[*self.by_charge.get(id).ok_or_else(missing)?];
        let charge = intent.charges.iter().find(|charge| charge.id == id).ok_or_else(missing)?;
        Ok((intent, charge))
    }

    /// Changes what may be changed before the end: metadata, description and, unpaid, the amount.
    pub(crate) fn update(
        &mut self,
        id: &str,
        amount: Option<i64>,
        description: Option<String>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Intent, IntentError> {
        let index = self.index(id)?;
        let intent = &mut self.intents[index];
        if let Some(amount) = amount {
            intent.set_amount(amount)?;
        }
        if description.is_some() {
            intent.spec.description = description;
        }
        for (key, value) in metadata {
            // An empty value removes a key, as Stripe documents for metadata.
            if value.is_empty() {
                intent.spec.metadata.remove(key);
            } else {
                intent.spec.metadata.insert(key.clone(), value.clone());
                self.by_metadata.entry((key.clone(), value.clone())).or_default().push(index);
            }
        }
        Ok(intent.clone())
    }

    /// Attaches a method without trying it.
    pub(crate) fn attach(&mut self, id: &str, method: Method) -> Result<Intent, IntentError> {
        let index = self.index(id)?;
        self.intents[index].attach(method);
        Ok(self.intents[index].clone())
    }

    /// Tries to pay with the intent's method.
    pub(crate) fn confirm(
        &mut self,
        id: &str,
        confirm: ConfirmSpec,
        now: Millis,
    ) -> Result<Change, IntentError> {
        let index = self.index(id)?;
        let (charge_id, token) = (format!("ch_3{}", self.ids.alnum(23)), self.ids.alnum(24));
        let result = self.intents[index].confirm(confirm, &charge_id, token, now);
        self.learn(index);
        result
    }

    /// Indexes what a change may have added to an intent.
    fn learn(&mut self, index: usize) {
        let intent = &self.intents[index];
        if let Some(charge) = intent.charges.last() {
            self.by_charge.insert(charge.id.clone(), index);
        }
        self.by_token.insert(intent.token.clone(), index);
    }

    pub(crate) fn cancel(
        &mut self,
        id: &str,
        reason: Option<String>,
        now: Millis,
    ) -> Result<Change, IntentError> {
        let index = self.index(id)?;
        self.intents[index].cancel(reason, now)
    }

    pub(crate) fn capture(
        &mut self,
        id: &str,
        amount: Option<i64>,
        now: Millis,
    ) -> Result<Change, IntentError> {
        let index = self.index(id)?;
        self.intents[index].capture(amount, now)
    }

    /// Refunds an intent, or the intent of a charge. Every call is a new refund.
    pub(crate) fn refund(
        &mut self,
        intent_id: &str,
        amount: Option<i64>,
        reason: Option<String>,
        metadata: BTreeMap<String, String>,
        now: Millis,
    ) -> Result<Change, IntentError> {
        let index = self.index(intent_id)?;
        let id = format!("re_3{}", self.ids.alnum(23));
        let change = self.intents[index].refund(id.clone(), amount, reason, metadata, now)?;
        let place = (index, self.intents[index].refunds.len() - 1);
        self.by_refund.insert(id, place);
        self.refunds.push(place);
        Ok(change)
    }

    pub(crate) fn find_refund(&self, id: &str) -> Result<(&Intent, &Refund), IntentError> {
        let missing = || IntentError::Missing { object: "refund", id: id.to_owned() };
        let &(index, at) = self.by_refund.get(id).ok_or_else(missing)?;
        Ok((&self.intents[index], &self.intents[index].refunds[at]))
    }

    /// Refunds, newest first, of one intent or of all.
    pub(crate) fn list_refunds(&self, intent: Option<&str>, limit: usize) -> Vec<(Intent, Refund)> {
        self.refunds
            .iter()
            .rev()
            .map(|&(index, at)| (&self.intents[index], &self.intents[index].refunds[at]))
            .filter(|(owner, _)| intent.is_none_or(|id| owner.id == id))
            .take(limit)
            .map(|(owner, refund)| (owner.clone(), refund.clone()))
            .collect()
    }

    /// Intents, newest first, and whether there are more.
    pub(crate) fn list(&self, spec: &ListSpec) -> Result<(Vec<Intent>, bool), IntentError> {
        // Intents stand in the order of their creation, so bounds are positions.
        let mut low = self.intents.partition_point(|i| i.created_s() < spec.created_gte);
        let mut high = self.intents.partition_point(|i| i.created_s() <= spec.created_lte);
        if let Some(id) = &spec.starting_after {
            high = high.min(self.index(id)?);
        }
        if let Some(id) = &spec.ending_before {
            low = low.max(self.index(id)? + 1);
        }
        let window = self.intents.get(low..high).unwrap_or_default();
        if spec.ending_before.is_some() {
            let more = window.len() > spec.limit;
            let page = window.iter().take(spec.limit).rev().cloned().collect();
            return Ok((page, more));
        }
        let page = window.iter().rev().take(spec.limit).cloned().collect();
        Ok((page, window.len() > spec.limit))
    }

    /// Intents with this metadata, newest first.
    pub(crate) fn with_metadata(&self, key: &str, value: &str) -> Vec<Intent> {
        let key = (key.to_owned(), value.to_owned());
        self.by_metadata
            .get(&key)
            .into_iter()
            .flatten()
            .rev()
            .map(|&index| &self.intents[index])
            .filter(|intent| intent.spec.metadata.get(&key.0) == Some(&key.1))
            .cloned()
            .collect()
    }

    /// Keeps a payment method and gives it an id.
    pub(crate) fn add_method(
        &mut self,
        kind: MethodKind,
        card: Option<Card>,
        now: Millis,
    ) -> Method {
        let id = format!("pm_1{}", self.ids.alnum(23));
        let method = Method { id: id.clone(), kind, card, created_at: now };
        self.methods.insert(id, method.clone());
        method
    }

    /// A kept method, or one of the test tokens that always exist.
    pub(crate) fn method(&mut self, id: &str, now: Millis) -> Result<Method, IntentError> {
        if let Some(method) = self.methods.get(id) {
            return Ok(method.clone());
        }
        match Card::from_token(id) {
            Some(card) => Ok(self.add_method(MethodKind::Card, Some(card), now)),
            None => Err(IntentError::Missing { object: "PaymentMethod", id: id.to_owned() }),
        }
    }

    /// The intent behind a shopper's link.
    pub(crate) fn by_token(&self, token: &str) -> Option<&Intent> {
        self.by_token.get(token).map(|&index| &self.intents[index])
    }

    /// Whether the shopper could act through this link now.
    pub(crate) fn check(&self, token: &str) -> Result<&Intent, ShopperRefusal> {
        let intent = self.by_token(token).ok_or(ShopperRefusal::Unknown)?;
        match intent.status {
            IntentStatus::Succeeded | IntentStatus::RequiresCapture => {
                Err(ShopperRefusal::AlreadyPaid)
            }
            IntentStatus::Canceled => Err(ShopperRefusal::Closed),
            _ if intent.token != token => Err(ShopperRefusal::Replaced),
            _ => Ok(intent),
        }
    }

    /// The shopper authenticates, scans or follows the link, and then pays or does not.
    pub(crate) fn complete(
        &mut self,
        token: &str,
        pays: bool,
        bank: Option<&str>,
        now: Millis,
    ) -> Result<Change, ShopperRefusal> {
        self.check(token)?;
        let index = self.by_token[token];
        let charge_id = format!("ch_3{}", self.ids.alnum(23));
        let change = self.intents[index].complete(pays, bank, &charge_id, now)?;
        self.learn(index);
        Ok(change)
    }

    /// Every intent, oldest first.
    pub(crate) fn entries(&self) -> Vec<OrderEntry> {
        self.intents.iter().map(|intent| intent.entry(&self.account)).collect()
    }

    /// Minor units held for the merchant, by currency: captured less refunded.
    pub(crate) fn balance(&self) -> BTreeMap<String, i64> {
        let mut balance = BTreeMap::new();
        for intent in &self.intents {
            let net = intent.amount_received() - intent.refunded();
            *balance.entry(intent.spec.currency.clone()).or_default() += net;
        }
        balance
    }
}
