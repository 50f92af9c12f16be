//! Alipay's books: trades that come to exist when the buyer scans, and what may be done to them.

use std::collections::{BTreeMap, HashMap};

use super::{
    EntryStatus, IdSource, Millis, OrderEntry, ProviderKind, RefundEntry, RefundStatus,
    ShopperRefusal,
};
use crate::clock;

const MINUTE: Millis = 60_000;
const DAY: Millis = 24 * 60 * MINUTE;
/// How long a code stays good when the merchant says nothing.
const CODE_LIFETIME: Millis = 2 * 60 * MINUTE;
/// How long an opened trade stays payable when the merchant says nothing.
const TRADE_LIFETIME: Millis = 15 * DAY;

/// Which product an order was made with; the same number cannot be used with two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Precreate,
    Page,
    Wap,
    App,
    Create,
}

/// What a merchant asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TradeSpec {
    pub(crate) out_trade_no: String,
    /// Fen.
    pub(crate) total: i64,
    pub(crate) subject: String,
    pub(crate) body: Option<String>,
    pub(crate) product: Product,
    pub(crate) notify_url: Option<String>,
    pub(crate) return_url: Option<String>,
    pub(crate) passback_params: Option<String>,
    /// Absolute; wins over `timeout_express`.
    pub(crate) time_expire: Option<Millis>,
    /// Counted from the moment the trade exists.
    pub(crate) timeout_express: Option<Millis>,
    pub(crate) bank: Option<String>,
}

impl TradeSpec {
    fn same_order(&self, other: &Self) -> bool {
        self.total == other.total && self.subject == other.subject && self.product == other.product
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TradeStatus {
    WaitBuyerPay,
    Success,
    Closed,
}

impl TradeStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::WaitBuyerPay => "WAIT_BUYER_PAY",
            Self::Success => "TRADE_SUCCESS",
            Self::Closed => "TRADE_CLOSED",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Buyer {
    pub(crate) id: String,
    pub(crate) logon_id: String,
    pub(crate) bank: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TradeRefund {
    pub(crate) out_request_no: String,
    /// Fen.
    pub(crate) amount: i64,
    pub(crate) at: Millis,
}

#[derive(Debug, Clone)]
pub(crate) struct Trade {
    pub(crate) spec: TradeSpec,
    pub(crate) trade_no: String,
    /// What the code or link ends in.
    pub(crate) token: String,
    pub(crate) created_at: Millis,
    pub(crate) opened_at: Option<Millis>,
    pub(crate) paid_at: Option<Millis>,
    pub(crate) closed_at: Option<Millis>,
    pub(crate) buyer: Option<Buyer>,
    pub(crate) refunds: Vec<TradeRefund>,
}

impl Trade {
    /// The moment after which nobody can pay.
    pub(crate) fn deadline(&self) -> Millis {
        if let Some(at) = self.spec.time_expire {
            return at;
        }
        match self.opened_at {
            None => self.created_at + CODE_LIFETIME,
            Some(at) => at + self.spec.timeout_express.unwrap_or(TRADE_LIFETIME),
        }
    }

    pub(crate) fn refunded(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    /// `None` while no trade exists: nobody has scanned yet.
    pub(crate) fn status(&self, now: Millis) -> Option<TradeStatus> {
        self.opened_at?;
        Some(if self.paid_at.is_some() {
            if self.refunded() == self.spec.total {
                TradeStatus::Closed
            } else {
                TradeStatus::Success
            }
        } else if self.closed_at.is_some() || now >= self.deadline() {
            TradeStatus::Closed
        } else {
            TradeStatus::WaitBuyerPay
        })
    }

    fn payable(&self, now: Millis) -> Result<(), ShopperRefusal> {
        match self.status(now) {
            None if now < self.deadline() => Ok(()),
            None => Err(ShopperRefusal::Expired),
            Some(TradeStatus::WaitBuyerPay) => Ok(()),
            Some(_) if self.paid_at.is_some() => Err(ShopperRefusal::AlreadyPaid),
            Some(_) if self.closed_at.is_some() => Err(ShopperRefusal::Closed),
            Some(_) => Err(ShopperRefusal::Expired),
        }
    }

    fn entry(&self, account: &str, now: Millis) -> OrderEntry {
        let status = self.status(now);
        OrderEntry {
            provider: ProviderKind::Alipay,
            account: account.to_owned(),
            order_no: self.spec.out_trade_no.clone(),
            provider_no: self.trade_no.clone(),
            amount_minor: self.spec.total,
            currency: "CNY".to_owned(),
            status: match status {
                None if now >= self.deadline() => EntryStatus::Closed,
                None => EntryStatus::NotOpened,
                Some(TradeStatus::WaitBuyerPay) => EntryStatus::Open,
                Some(TradeStatus::Success) => EntryStatus::Paid,
                Some(TradeStatus::Closed) if self.paid_at.is_some() => EntryStatus::Refunded,
                Some(TradeStatus::Closed) => EntryStatus::Closed,
            },
            provider_status: status.map_or("", TradeStatus::as_str).to_owned(),
            method: Some("alipay".to_owned()),
            bank: self
                .buyer
                .as_ref()
                .and_then(|buyer| buyer.bank.clone())
                .or(self.spec.bank.clone()),
            created_at_ms: self.created_at,
            paid_at_ms: self.paid_at,
            captured_minor: if self.paid_at.is_some() { self.spec.total } else { 0 },
            refunded_minor: self.refunded(),
            refunds: self.refunds.iter().map(|refund| self.refund_entry(refund)).collect(),
            metadata: BTreeMap::new(),
        }
    }

    fn refund_entry(&self, refund: &TradeRefund) -> RefundEntry {
        RefundEntry {
            refund_no: refund.out_request_no.clone(),
            provider_no: format!("{}-{}", self.trade_no, refund.out_request_no),
            amount_minor: refund.amount,
            status: RefundStatus::Succeeded,
            created_at_ms: refund.at,
            succeeded_at_ms: Some(refund.at),
        }
    }
}

/// Why the business layer refused; each is one `ACQ.` code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TradeError {
    NotExist,
    HasSuccess,
    HasClose,
    ContextInconsistent,
    StatusError,
    RefundFeeError,
    DiscordantRepeat,
    NotAllowRefund,
    Expired,
}

/// What a cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelAction {
    Close,
    Refund,
}

/// One account's trades.
pub(crate) struct AlipayBook {
    account: String,
    ids: IdSource,
    trades: Vec<Trade>,
    by_number: HashMap<String, usize>,
    by_trade_no: HashMap<String, usize>,
    by_token: HashMap<String, usize>,
}

impl AlipayBook {
    pub(crate) fn new(account: &str, seed: u64) -> Self {
        Self {
            account: account.to_owned(),
            ids: IdSource::new(seed, &format!("alipay book {account}")),
            trades: Vec::new(),
            by_number: HashMap::new(),
            by_trade_no: HashMap::new(),
            by_token: HashMap::new(),
        }
    }

    /// Registers an order, or finds the one already registered under its number.
    pub(crate) fn order(&mut self, spec: TradeSpec, now: Millis) -> Result<Trade, TradeError> {
        if let Some(&index) = self.by_number.get(&spec.out_trade_no) {
            return self.repeat(index, &spec, now);
        }
        if spec.time_expire.is_some_and(|at| at <= now) {
            return Err(TradeError::Expired);
        }
        let trade_no = format!("{}22001{}", clock::compact_day(now), self.ids.digits(15));
        let token = format!("bax{}", self.ids.alnum(20));
        let index = self.trades.len();
        self.by_number.insert(spec.out_trade_no.clone(), index);
        self.by_trade_no.insert(trade_no.clone(), index);
        self.by_token.insert(token.clone(), index);
        let opened_at = (spec.product == Product::Create).then_some(now);
        let trade = Trade {
            spec,
            trade_no,
            token,
            created_at: now,
            opened_at,
            paid_at: None,
            closed_at: None,
            buyer: None,
            refunds: Vec::new(),
        };
        self.trades.push(trade.clone());
        Ok(trade)
    }

    fn repeat(&self, index: usize, spec: &TradeSpec, now: Millis) -> Result<Trade, TradeError> {
        let trade = &self.trades[index];
        match trade.payable(now) {
            Err(ShopperRefusal::AlreadyPaid) => Err(TradeError::HasSuccess),
            Err(_) => Err(TradeError::HasClose),
            Ok(()) if trade.spec.same_order(spec) => Ok(trade.clone()),
            Ok(()) => Err(TradeError::ContextInconsistent),
        }
    }

    /// A trade that exists. `trade_no` wins when both numbers are given.
    pub(crate) fn find(
        &self,
        trade_no: Option<&str>,
        out_trade_no: Option<&str>,
        now: Millis,
    ) -> Result<&Trade, TradeError> {
        let index = match (trade_no, out_trade_no) {
            (Some(number), _) => self.by_trade_no.get(number),
            (None, Some(number)) => self.by_number.get(number),
            (None, None) => None,
        };
        index
            .map(|&index| &self.trades[index])
            .filter(|trade| trade.status(now).is_some())
            .ok_or(TradeError::NotExist)
    }

    fn find_mut(
        &mut self,
        trade_no: Option<&str>,
        out_trade_no: Option<&str>,
        now: Millis,
    ) -> Result<&mut Trade, TradeError> {
        let token = self.find(trade_no, out_trade_no, now)?.token.clone();
        let index = self.by_token[&token];
        Ok(&mut self.trades[index])
    }

    /// Closes an unpaid trade for ever.
    pub(crate) fn close(
        &mut self,
        trade_no: Option<&str>,
        out_trade_no: Option<&str>,
        now: Millis,
    ) -> Result<Trade, TradeError> {
        let trade = self.find_mut(trade_no, out_trade_no, now)?;
        if trade.status(now) != Some(TradeStatus::WaitBuyerPay) {
            return Err(TradeError::StatusError);
        }
        trade.closed_at = Some(now);
        Ok(trade.clone())
    }

    /// Closes an unpaid trade or refunds a paid one; says nothing about a number it does not know.
    pub(crate) fn cancel(
        &mut self,
        trade_no: Option<&str>,
        out_trade_no: Option<&str>,
        now: Millis,
    ) -> Option<(Trade, CancelAction)> {
        let trade = self.find_mut(trade_no, out_trade_no, now).ok()?;
        if trade.paid_at.is_none() {
            trade.closed_at.get_or_insert(now);
            return Some((trade.clone(), CancelAction::Close));
        }
        let rest = trade.spec.total - trade.refunded();
        if rest > 0 {
            let out_request_no = format!("cancel-{}", trade.trade_no);
            trade.refunds.push(TradeRefund { out_request_no, amount: rest, at: now });
        }
        Some((trade.clone(), CancelAction::Refund))
    }

    /// Refunds once for each `out_request_no`; the flag says whether money moved this time.
    pub(crate) fn refund(
        &mut self,
        trade_no: Option<&str>,
        out_trade_no: Option<&str>,
        out_request_no: Option<&str>,
        amount: i64,
        now: Millis,
    ) -> Result<(Trade, bool), TradeError> {
        let trade = self.find_mut(trade_no, out_trade_no, now)?;
        if trade.paid_at.is_none() {
            return Err(TradeError::NotAllowRefund);
        }
        // A request number may be left out of a full refund only.
        let number = match out_request_no {
            Some(number) => number.to_owned(),
            None if amount == trade.spec.total => trade.spec.out_trade_no.clone(),
            None => return Err(TradeError::RefundFeeError),
        };
        if let Some(known) = trade.refunds.iter().find(|refund| refund.out_request_no == number) {
            return if known.amount == amount {
                Ok((trade.clone(), false))
            } else {
                Err(TradeError::DiscordantRepeat)
            };
        }
        if amount > trade.spec.total - trade.refunded() {
            return Err(TradeError::RefundFeeError);
        }
        trade.refunds.push(TradeRefund { out_request_no: number, amount, at: now });
        Ok((trade.clone(), true))
    }

    /// The order behind a code or link, existing trade or not.
    pub(crate) fn by_token(&self, token: &str) -> Option<&Trade> {
        self.by_token.get(token).map(|&index| &self.trades[index])
    }

    /// The token of the order under the merchant's number.
    pub(crate) fn token_of(&self, out_trade_no: &str) -> Option<&str> {
        self.by_number.get(out_trade_no).map(|&index| self.trades[index].token.as_str())
    }

    /// The buyer scans or opens the cashier: from now on the trade exists.
    pub(crate) fn open(&mut self, token: &str, now: Millis) -> Result<&mut Trade, ShopperRefusal> {
        let index = *self.by_token.get(token).ok_or(ShopperRefusal::Unknown)?;
        let trade = &mut self.trades[index];
        trade.payable(now)?;
        trade.opened_at.get_or_insert(now);
        Ok(trade)
    }

    /// The buyer pays.
    pub(crate) fn pay(
        &mut self,
        token: &str,
        bank: Option<&str>,
        now: Millis,
    ) -> Result<Trade, ShopperRefusal> {
        let buyer = Buyer {
            id: format!("2088{}", self.ids.digits(12)),
            logon_id: format!("138****{}", self.ids.digits(4)),
            bank: bank.map(str::to_owned),
        };
        let trade = self.open(token, now)?;
        trade.paid_at = Some(now);
        trade.buyer = Some(buyer);
        Ok(trade.clone())
    }

    /// Every order, oldest first.
    pub(crate) fn entries(&self, now: Millis) -> Vec<OrderEntry> {
        self.trades.iter().map(|trade| trade.entry(&self.account, now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(number: &str, total: i64) -> TradeSpec {
        TradeSpec {
            out_trade_no: number.to_owned(),
            total,
            subject: "tea".to_owned(),
            body: None,
            product: Product::Precreate,
            notify_url: None,
            return_url: None,
            passback_params: None,
            time_expire: None,
            timeout_express: None,
            bank: None,
        }
    }

    fn book() -> AlipayBook {
        AlipayBook::new("main", 1)
    }

    fn opened(book: &mut AlipayBook, number: &str) -> String {
        let token = book.order(spec(number, 1_000), 0).unwrap().token;
        book.open(&token, 1).unwrap();
        token
    }

    #[test]
    fn no_trade_exists_before_the_scan() {
        let mut book = book();
        let token = book.order(spec("a", 1_000), 0).unwrap().token;
        assert_eq!(book.find(None, Some("a"), 1).err(), Some(TradeError::NotExist));
        assert_eq!(book.close(None, Some("a"), 1).err(), Some(TradeError::NotExist));
        assert!(book.cancel(None, Some("a"), 1).is_none());
        // Neither stopped the code from being payable.
        assert!(book.pay(&token, None, 2).is_ok());
    }

    #[test]
    fn closing_an_open_trade_beats_the_buyer_and_losing_says_so() {
        let mut book = book();
        let token = opened(&mut book, "a");
        assert!(book.close(None, Some("a"), 2).is_ok());
        assert_eq!(book.pay(&token, None, 3).err(), Some(ShopperRefusal::Closed));
        let token = opened(&mut book, "b");
        book.pay(&token, None, 3).unwrap();
        assert_eq!(book.close(None, Some("b"), 4).err(), Some(TradeError::StatusError));
    }

    #[test]
    fn the_same_number_again() {
        let mut book = book();
        let first = book.order(spec("a", 1_000), 0).unwrap();
        assert_eq!(book.order(spec("a", 1_000), 1).unwrap().token, first.token);
        assert_eq!(book.order(spec("a", 999), 1).err(), Some(TradeError::ContextInconsistent));
        book.pay(&first.token, None, 2).unwrap();
        assert_eq!(book.order(spec("a", 1_000), 3).err(), Some(TradeError::HasSuccess));
    }

    #[test]
    fn time_expire_closes_both_the_code_and_the_trade() {
        let mut book = book();
        let expiring = |number| TradeSpec { time_expire: Some(100), ..spec(number, 5) };
        let unopened = book.order(expiring("a"), 0).unwrap().token;
        let scanned = book.order(expiring("b"), 0).unwrap().token;
        book.open(&scanned, 50).unwrap();
        assert_eq!(book.pay(&unopened, None, 100).err(), Some(ShopperRefusal::Expired));
        assert_eq!(book.pay(&scanned, None, 100).err(), Some(ShopperRefusal::Expired));
        assert_eq!(book.find(None, Some("a"), 100).err(), Some(TradeError::NotExist));
        let status = book.find(None, Some("b"), 100).unwrap().status(100);
        assert_eq!(status, Some(TradeStatus::Closed));
    }

    #[test]
    fn refunds_add_up_and_repeat_harmlessly() {
        let mut book = book();
        let token = opened(&mut book, "a");
        let refund = |book: &mut AlipayBook, no, amount| {
            book.refund(None, Some("a"), Some(no), amount, 9)
                .map(|(t, moved)| (t.refunded(), moved))
        };
        assert_eq!(refund(&mut book, "r1", 300), Err(TradeError::NotAllowRefund));
        book.pay(&token, None, 2).unwrap();
        assert_eq!(refund(&mut book, "r1", 300), Ok((300, true)));
        assert_eq!(refund(&mut book, "r1", 300), Ok((300, false)));
        assert_eq!(refund(&mut book, "r1", 301), Err(TradeError::DiscordantRepeat));
        assert_eq!(refund(&mut book, "r2", 701), Err(TradeError::RefundFeeError));
        assert_eq!(refund(&mut book, "r2", 700), Ok((1_000, true)));
        let trade = book.find(None, Some("a"), 10).unwrap();
        assert_eq!(trade.status(10), Some(TradeStatus::Closed));
        assert_eq!(trade.entry("main", 10).status, EntryStatus::Refunded);
    }

    #[test]
    fn cancel_closes_or_refunds() {
        let mut book = book();
        opened(&mut book, "a");
        let token = opened(&mut book, "b");
        book.pay(&token, None, 2).unwrap();
        assert_eq!(book.cancel(None, Some("a"), 3).unwrap().1, CancelAction::Close);
        for _ in 0..2 {
            let (trade, action) = book.cancel(None, Some("b"), 4).unwrap();
            assert_eq!((trade.refunded(), action), (1_000, CancelAction::Refund));
        }
    }
}
