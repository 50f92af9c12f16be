//! PayPal's books: orders that a payer approves, captures that the merchant makes, refunds of
//! captures.

use std::collections::{BTreeMap, HashMap};

use super::{
    EntryStatus, IdSource, Millis, OrderEntry, ProviderKind, RefundEntry, RefundStatus,
    ShopperRefusal,
};

/// How long a payer may take to approve, and the merchant then to capture.
const LIFETIME: Millis = 6 * 3_600_000;
const ID: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// What a merchant asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderSpec {
    /// Minor units.
    pub(crate) amount: i64,
    pub(crate) currency: String,
    pub(crate) reference_id: String,
    pub(crate) custom_id: Option<String>,
    pub(crate) invoice_id: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) cancel_url: Option<String>,
    /// Whether a payment source came with the order, which changes its first status.
    pub(crate) has_source: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capture {
    pub(crate) id: String,
    pub(crate) at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refund {
    pub(crate) id: String,
    /// Minor units.
    pub(crate) amount: i64,
    pub(crate) invoice_id: Option<String>,
    pub(crate) custom_id: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) at: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) spec: OrderSpec,
    pub(crate) created_at: Millis,
    pub(crate) approved_at: Option<Millis>,
    pub(crate) bank: Option<String>,
    pub(crate) capture: Option<Capture>,
    pub(crate) refunds: Vec<Refund>,
}

/// Why a call is refused, in PayPal's own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issue {
    NotFound,
    NotApproved,
    AlreadyCaptured,
    DuplicateInvoice,
    FullyRefunded,
    RefundTooMuch,
}

impl Order {
    pub(crate) fn refunded(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    /// An order that was not captured in its time is not there any more.
    fn is_gone(&self, now: Millis) -> bool {
        let since = self.approved_at.unwrap_or(self.created_at);
        self.capture.is_none() && now >= since + LIFETIME
    }

    pub(crate) fn status(&self) -> &'static str {
        match (&self.capture, self.approved_at, self.spec.has_source) {
            (Some(_), ..) => "COMPLETED",
            (None, Some(_), _) => "APPROVED",
            (None, None, true) => "PAYER_ACTION_REQUIRED",
            (None, None, false) => "CREATED",
        }
    }

    pub(crate) fn capture_status(&self) -> &'static str {
        match self.refunded() {
            0 => "COMPLETED",
            sum if sum == self.spec.amount => "REFUNDED",
            _ => "PARTIALLY_REFUNDED",
        }
    }

    /// What books and shoppers call it.
    pub(crate) fn number(&self) -> &str {
        self.spec.custom_id.as_deref().unwrap_or(&self.id)
    }

    fn check(&self, now: Millis) -> Result<(), ShopperRefusal> {
        if self.capture.is_some() || self.approved_at.is_some() {
            return Err(ShopperRefusal::AlreadyPaid);
        }
        if self.is_gone(now) { Err(ShopperRefusal::Expired) } else { Ok(()) }
    }

    fn entry(&self, account: &str, now: Millis) -> OrderEntry {
        let status = match &self.capture {
            Some(_) if self.refunded() == self.spec.amount => EntryStatus::Refunded,
            Some(_) => EntryStatus::Paid,
            None if self.is_gone(now) => EntryStatus::Closed,
            None => EntryStatus::Open,
        };
        let refund = |refund: &Refund| RefundEntry {
            refund_no: refund.invoice_id.clone().unwrap_or_else(|| refund.id.clone()),
            provider_no: refund.id.clone(),
            amount_minor: refund.amount,
            status: RefundStatus::Succeeded,
            created_at_ms: refund.at,
            succeeded_at_ms: Some(refund.at),
        };
        OrderEntry {
            provider: ProviderKind::Paypal,
            account: account.to_owned(),
            order_no: self.number().to_owned(),
            provider_no: self.id.clone(),
            amount_minor: self.spec.amount,
            currency: self.spec.currency.clone(),
            status,
            provider_status: self.status().to_owned(),
            method: Some("paypal".to_owned()),
            bank: self.bank.clone(),
            created_at_ms: self.created_at,
            paid_at_ms: self.capture.as_ref().map(|capture| capture.at),
            captured_minor: if self.capture.is_some() { self.spec.amount } else { 0 },
            refunded_minor: self.refunded(),
            refunds: self.refunds.iter().map(refund).collect(),
            metadata: BTreeMap::new(),
        }
    }
}

/// One account's orders.
pub(crate) struct PaypalBook {
    account: String,
    ids: IdSource,
    orders: Vec<Order>,
    by_id: HashMap<String, usize>,
    by_capture: HashMap<String, usize>,
}

impl PaypalBook {
    pub(crate) fn new(account: &str, seed: u64) -> Self {
        Self {
            account: account.to_owned(),
            ids: IdSource::new(seed, &format!("paypal book {account}")),
            orders: Vec::new(),
            by_id: HashMap::new(),
            by_capture: HashMap::new(),
        }
    }

    pub(crate) fn create(&mut self, spec: OrderSpec, now: Millis) -> Order {
        let order = Order {
            id: self.ids.pick(ID, 17),
            spec,
            created_at: now,
            approved_at: None,
            bank: None,
            capture: None,
            refunds: Vec::new(),
        };
        self.by_id.insert(order.id.clone(), self.orders.len());
        self.orders.push(order.clone());
        order
    }

    fn place(&self, id: &str, now: Millis) -> Result<usize, Issue> {
        let place = *self.by_id.get(id).ok_or(Issue::NotFound)?;
        if self.orders[place].is_gone(now) { Err(Issue::NotFound) } else { Ok(place) }
    }

    pub(crate) fn order(&self, id: &str, now: Millis) -> Result<&Order, Issue> {
        self.place(id, now).map(|place| &self.orders[place])
    }

    /// The order as a shopper's page has it, gone or not.
    pub(crate) fn page(&self, id: &str) -> Option<&Order> {
        self.by_id.get(id).map(|place| &self.orders[*place])
    }

    /// The newest order with this `custom_id`.
    pub(crate) fn newest(&self, number: &str) -> Option<&Order> {
        self.orders.iter().rev().find(|order| order.number() == number)
    }

    pub(crate) fn by_capture(&self, capture: &str) -> Option<&Order> {
        self.by_capture.get(capture).map(|place| &self.orders[*place])
    }

    pub(crate) fn by_refund(&self, refund: &str) -> Option<(&Order, &Refund)> {
        self.orders.iter().find_map(|order| {
            order.refunds.iter().find(|one| one.id == refund).map(|one| (order, one))
        })
    }

    /// Whether the payer could approve now.
    pub(crate) fn check(&self, id: &str, now: Millis) -> Result<(), ShopperRefusal> {
        self.page(id).ok_or(ShopperRefusal::Unknown)?.check(now)
    }

    /// The payer approves; no money moves.
    pub(crate) fn approve(
        &mut self,
        id: &str,
        bank: Option<&str>,
        now: Millis,
    ) -> Result<Order, ShopperRefusal> {
        self.check(id, now)?;
        let order = &mut self.orders[self.by_id[id]];
        order.approved_at = Some(now);
        order.bank = bank.map(str::to_owned);
        Ok(order.clone())
    }

    /// Money moves, once an order and once an invoice.
    pub(crate) fn capture(&mut self, id: &str, now: Millis) -> Result<Order, Issue> {
        let place = self.place(id, now)?;
        let order = &self.orders[place];
        if order.capture.is_some() {
            return Err(Issue::AlreadyCaptured);
        }
        if order.approved_at.is_none() {
            return Err(Issue::NotApproved);
        }
        let invoice = order.spec.invoice_id.as_ref();
        let taken = |other: &Order| {
            other.capture.is_some()
                && invoice.is_some()
                && other.spec.invoice_id.as_ref() == invoice
        };
        if self.orders.iter().any(taken) {
            return Err(Issue::DuplicateInvoice);
        }
        let capture = Capture { id: self.ids.pick(ID, 17), at: now };
        self.by_capture.insert(capture.id.clone(), place);
        self.orders[place].capture = Some(capture);
        Ok(self.orders[place].clone())
    }

    /// Money goes back; without an amount, all that is left.
    pub(crate) fn refund(
        &mut self,
        capture: &str,
        amount: Option<i64>,
        names: (Option<String>, Option<String>, Option<String>),
        now: Millis,
    ) -> Result<(Order, Refund), Issue> {
        let place = *self.by_capture.get(capture).ok_or(Issue::NotFound)?;
        let order = &self.orders[place];
        let left = order.spec.amount - order.refunded();
        let amount = amount.unwrap_or(left);
        if left == 0 {
            return Err(Issue::FullyRefunded);
        }
        if amount > left {
            return Err(Issue::RefundTooMuch);
        }
        let (invoice_id, custom_id, note) = names;
        let id = self.ids.pick(ID, 17);
        let refund = Refund { id, amount, invoice_id, custom_id, note, at: now };
        self.orders[place].refunds.push(refund.clone());
        Ok((self.orders[place].clone(), refund))
    }

    pub(crate) fn entries(&self, now: Millis) -> Vec<OrderEntry> {
        self.orders.iter().map(|order| order.entry(&self.account, now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(custom: &str, invoice: &str) -> OrderSpec {
        OrderSpec {
            amount: 1_000,
            currency: "USD".to_owned(),
            reference_id: "default".to_owned(),
            custom_id: Some(custom.to_owned()),
            invoice_id: Some(invoice.to_owned()),
            description: None,
            return_url: None,
            cancel_url: None,
            has_source: true,
        }
    }

    const NAMELESS: (Option<String>, Option<String>, Option<String>) = (None, None, None);

    #[test]
    fn money_moves_at_the_capture_and_once() {
        let mut book = PaypalBook::new("a", 1);
        let id = book.create(spec("E1", "I1"), 0).id;
        assert_eq!(book.capture(&id, 1), Err(Issue::NotApproved));
        let approved = book.approve(&id, None, 2).unwrap();
        assert_eq!((approved.status(), approved.capture), ("APPROVED", None));
        assert_eq!(book.entries(3)[0].captured_minor, 0);
        assert_eq!(book.approve(&id, None, 3), Err(ShopperRefusal::AlreadyPaid));
        let captured = book.capture(&id, 4).unwrap();
        assert_eq!((captured.status(), captured.capture_status()), ("COMPLETED", "COMPLETED"));
        assert_eq!(book.capture(&id, 5), Err(Issue::AlreadyCaptured));
        assert_eq!(book.entries(6)[0].captured_minor, 1_000);
    }

    #[test]
    fn an_invoice_is_captured_once() {
        let mut book = PaypalBook::new("a", 1);
        let ids = [book.create(spec("E1", "I1"), 0).id, book.create(spec("E2", "I1"), 0).id];
        for id in &ids {
            book.approve(id, None, 1).unwrap();
        }
        book.capture(&ids[0], 2).unwrap();
        assert_eq!(book.capture(&ids[1], 3), Err(Issue::DuplicateInvoice));
    }

    #[test]
    fn refunds_never_exceed_the_capture() {
        let mut book = PaypalBook::new("a", 1);
        let id = book.create(spec("E1", "I1"), 0).id;
        book.approve(&id, None, 1).unwrap();
        let capture = book.capture(&id, 2).unwrap().capture.unwrap().id;
        let (order, _) = book.refund(&capture, Some(400), NAMELESS, 3).unwrap();
        assert_eq!(order.capture_status(), "PARTIALLY_REFUNDED");
        assert_eq!(book.refund(&capture, Some(601), NAMELESS, 3), Err(Issue::RefundTooMuch));
        let (order, rest) = book.refund(&capture, None, NAMELESS, 4).unwrap();
        assert_eq!((rest.amount, order.capture_status()), (600, "REFUNDED"));
        assert_eq!(book.refund(&capture, None, NAMELESS, 5), Err(Issue::FullyRefunded));
    }

    #[test]
    fn what_is_not_captured_in_time_is_gone() {
        let mut book = PaypalBook::new("a", 1);
        let id = book.create(spec("E1", "I1"), 0).id;
        assert!(book.order(&id, LIFETIME - 1).is_ok());
        assert_eq!(book.order(&id, LIFETIME).err(), Some(Issue::NotFound));
        assert_eq!(book.approve(&id, None, LIFETIME), Err(ShopperRefusal::Expired));
    }
}
