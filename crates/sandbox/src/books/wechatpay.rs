//! WeChat Pay's books: orders that exist from the prepay call on, and refunds that take a while.

use std::collections::{BTreeMap, HashMap};

use super::{
    EntryStatus, IdSource, Millis, OrderEntry, ProviderKind, RefundEntry, RefundStatus,
    ShopperRefusal,
};
use crate::clock;

const MINUTE: Millis = 60_000;
/// How long an order stays payable when the merchant says nothing.
const ORDER_LIFETIME: Millis = 7 * 24 * 60 * MINUTE;
/// Refunds one order may have.
const REFUNDS_MAX: usize = 50;

/// The product path that an order was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TradeType {
    Native,
    Jsapi,
    App,
    H5,
}

impl TradeType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Native => "NATIVE",
            Self::Jsapi => "JSAPI",
            Self::App => "APP",
            Self::H5 => "MWEB",
        }
    }

    fn code_lifetime(self) -> Millis {
        match self {
            Self::H5 => 5 * MINUTE,
            Self::Native | Self::Jsapi | Self::App => 120 * MINUTE,
        }
    }
}

/// What a merchant asks for. Two calls are the same order when all of this is equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderSpec {
    pub(crate) out_trade_no: String,
    pub(crate) trade_type: TradeType,
    pub(crate) appid: String,
    pub(crate) description: String,
    /// Fen.
    pub(crate) total: i64,
    pub(crate) attach: Option<String>,
    pub(crate) notify_url: String,
    pub(crate) time_expire: Option<Millis>,
    pub(crate) openid: Option<String>,
    pub(crate) bank: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TradeState {
    NotPay,
    Success,
    Refund,
    Closed,
}

impl TradeState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotPay => "NOTPAY",
            Self::Success => "SUCCESS",
            Self::Refund => "REFUND",
            Self::Closed => "CLOSED",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    pub(crate) at: Millis,
    pub(crate) transaction_id: String,
    pub(crate) openid: String,
    pub(crate) bank: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refund {
    pub(crate) out_refund_no: String,
    pub(crate) refund_id: String,
    /// Fen.
    pub(crate) amount: i64,
    pub(crate) reason: Option<String>,
    pub(crate) notify_url: Option<String>,
    pub(crate) created_at: Millis,
    /// When the money arrives.
    pub(crate) arrives_at: Millis,
}

impl Refund {
    pub(crate) fn arrived(&self, now: Millis) -> bool {
        now >= self.arrives_at
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) spec: OrderSpec,
    /// The newest code; earlier ones are dead.
    pub(crate) token: String,
    pub(crate) token_at: Millis,
    pub(crate) created_at: Millis,
    pub(crate) closed_at: Option<Millis>,
    pub(crate) payment: Option<Payment>,
    pub(crate) refunds: Vec<Refund>,
}

impl Order {
    pub(crate) fn deadline(&self) -> Millis {
        self.spec.time_expire.unwrap_or(self.created_at + ORDER_LIFETIME)
    }

    pub(crate) fn state(&self, now: Millis) -> TradeState {
        if self.payment.is_some() {
            if self.refunds.is_empty() { TradeState::Success } else { TradeState::Refund }
        } else if self.closed_at.is_some() || now >= self.deadline() {
            TradeState::Closed
        } else {
            TradeState::NotPay
        }
    }

    fn refunding(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    fn refunded(&self, now: Millis) -> i64 {
        self.refunds.iter().filter(|refund| refund.arrived(now)).map(|refund| refund.amount).sum()
    }

    fn payable(&self, token: &str, now: Millis) -> Result<(), ShopperRefusal> {
        match self.state(now) {
            TradeState::Success | TradeState::Refund => Err(ShopperRefusal::AlreadyPaid),
            TradeState::Closed if self.closed_at.is_some() => Err(ShopperRefusal::Closed),
            TradeState::Closed => Err(ShopperRefusal::Expired),
            TradeState::NotPay if self.token != token => Err(ShopperRefusal::Replaced),
            TradeState::NotPay if now >= self.token_at + self.spec.trade_type.code_lifetime() => {
                Err(ShopperRefusal::Expired)
            }
            TradeState::NotPay => Ok(()),
        }
    }

    fn entry(&self, account: &str, now: Millis) -> OrderEntry {
        let (state, refunded) = (self.state(now), self.refunded(now));
        let payment = self.payment.as_ref();
        OrderEntry {
            provider: ProviderKind::WechatPay,
            account: account.to_owned(),
            order_no: self.spec.out_trade_no.clone(),
            provider_no: payment.map(|p| p.transaction_id.clone()).unwrap_or_default(),
            amount_minor: self.spec.total,
            currency: "CNY".to_owned(),
            status: match state {
                TradeState::NotPay => EntryStatus::Open,
                TradeState::Closed => EntryStatus::Closed,
                _ if refunded == self.spec.total => EntryStatus::Refunded,
                _ => EntryStatus::Paid,
            },
            provider_status: state.as_str().to_owned(),
            method: Some("wechat_pay".to_owned()),
            bank: payment.and_then(|p| p.bank.clone()).or(self.spec.bank.clone()),
            created_at_ms: self.created_at,
            paid_at_ms: payment.map(|p| p.at),
            captured_minor: if payment.is_some() { self.spec.total } else { 0 },
            refunded_minor: refunded,
            refunds: self.refunds.iter().map(|refund| refund_entry(refund, now)).collect(),
            metadata: BTreeMap::new(),
        }
    }
}

fn refund_entry(refund: &Refund, now: Millis) -> RefundEntry {
    let arrived = refund.arrived(now);
    RefundEntry {
        refund_no: refund.out_refund_no.clone(),
        provider_no: refund.refund_id.clone(),
        amount_minor: refund.amount,
        status: if arrived { RefundStatus::Succeeded } else { RefundStatus::Processing },
        created_at_ms: refund.created_at,
        succeeded_at_ms: arrived.then_some(refund.arrives_at),
    }
}

/// Why a call was refused; each is one code of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderError {
    NotExist,
    Paid,
    Closed,
    NumberUsed,
    NotPaid,
    RefundMismatch,
    RefundTooMuch,
    RefundTooMany,
    RefundNotExist,
}

/// A refund as asked for.
#[derive(Debug, Clone)]
pub(crate) struct RefundSpec {
    pub(crate) transaction_id: Option<String>,
    pub(crate) out_trade_no: Option<String>,
    pub(crate) out_refund_no: String,
    pub(crate) amount: i64,
    pub(crate) total: i64,
    pub(crate) reason: Option<String>,
    pub(crate) notify_url: Option<String>,
}

/// One account's orders.
pub(crate) struct WechatPayBook {
    account: String,
    ids: IdSource,
    orders: Vec<Order>,
    by_number: HashMap<String, usize>,
    by_transaction: HashMap<String, usize>,
    by_token: HashMap<String, usize>,
    by_refund: HashMap<String, (usize, usize)>,
}

impl WechatPayBook {
    pub(crate) fn new(account: &str, seed: u64) -> Self {
        Self {
            account: account.to_owned(),
            ids: IdSource::new(seed, &format!("wechatpay book {account}")),
            orders: Vec::new(),
            by_number: HashMap::new(),
            by_transaction: HashMap::new(),
            by_token: HashMap::new(),
            by_refund: HashMap::new(),
        }
    }

    /// Makes an order, or a new code for the same one, and returns the code.
    pub(crate) fn prepay(&mut self, spec: OrderSpec, now: Millis) -> Result<String, OrderError> {
        let token = match spec.trade_type {
            TradeType::Native => format!("{}zz", self.ids.alnum(9)),
            _ => format!("wx{}{}", clock::compact_day(now), self.ids.hex(26)),
        };
        match self.by_number.get(&spec.out_trade_no).copied() {
            Some(index) => self.renew(index, &spec, &token, now)?,
            None => {
                self.by_number.insert(spec.out_trade_no.clone(), self.orders.len());
                self.by_token.insert(token.clone(), self.orders.len());
                self.orders.push(Order {
                    spec,
                    token: token.clone(),
                    token_at: now,
                    created_at: now,
                    closed_at: None,
                    payment: None,
                    refunds: Vec::new(),
                });
            }
        }
        Ok(token)
    }

    fn renew(
        &mut self,
        index: usize,
        spec: &OrderSpec,
        token: &str,
        now: Millis,
    ) -> Result<(), OrderError> {
        let order = &mut self.orders[index];
        match order.state(now) {
            TradeState::Success | TradeState::Refund => return Err(OrderError::Paid),
            TradeState::Closed => return Err(OrderError::Closed),
            TradeState::NotPay if order.spec != *spec => return Err(OrderError::NumberUsed),
            TradeState::NotPay => {}
        }
        token.clone_into(&mut order.token);
        order.token_at = now;
        self.by_token.insert(token.to_owned(), index);
        Ok(())
    }

    pub(crate) fn by_number(&self, out_trade_no: &str) -> Result<&Order, OrderError> {
        self.by_number
            .get(out_trade_no)
            .map(|&index| &self.orders[index])
            .ok_or(OrderError::NotExist)
    }

    pub(crate) fn by_transaction(&self, transaction_id: &str) -> Result<&Order, OrderError> {
        self.by_transaction
            .get(transaction_id)
            .map(|&index| &self.orders[index])
            .ok_or(OrderError::NotExist)
    }

    /// Closes; numbers that are unknown or already closed succeed too, as at the real provider.
    pub(crate) fn close(&mut self, out_trade_no: &str, now: Millis) -> Result<(), OrderError> {
        let Some(&index) = self.by_number.get(out_trade_no) else { return Ok(()) };
        let order = &mut self.orders[index];
        if order.payment.is_some() {
            return Err(OrderError::Paid);
        }
        order.closed_at.get_or_insert(now);
        Ok(())
    }

    /// Accepts a refund once for each `out_refund_no`; the flag says whether it is new.
    pub(crate) fn refund(
        &mut self,
        spec: RefundSpec,
        settle_ms: Millis,
        now: Millis,
    ) -> Result<(Order, Refund, bool), OrderError> {
        let order = match (&spec.transaction_id, &spec.out_trade_no) {
            (Some(id), _) => self.by_transaction(id)?,
            (None, Some(number)) => self.by_number(number)?,
            (None, None) => return Err(OrderError::NotExist),
        };
        if let Some(&(owner, at)) = self.by_refund.get(&spec.out_refund_no) {
            let known = &self.orders[owner].refunds[at];
            let same_order = self.orders[owner].spec.out_trade_no == order.spec.out_trade_no;
            return if same_order && known.amount == spec.amount && order.spec.total == spec.total {
                Ok((order.clone(), known.clone(), false))
            } else {
                Err(OrderError::RefundMismatch)
            };
        }
        check_refund(order, &spec)?;
        let index = self.by_number[&order.spec.out_trade_no];
        let refund = Refund {
            refund_id: format!("503{}{}", clock::compact_day(now), self.ids.digits(17)),
            out_refund_no: spec.out_refund_no,
            amount: spec.amount,
            reason: spec.reason,
            notify_url: spec.notify_url,
            created_at: now,
            arrives_at: now + settle_ms,
        };
        let order = &mut self.orders[index];
        self.by_refund.insert(refund.out_refund_no.clone(), (index, order.refunds.len()));
        order.refunds.push(refund.clone());
        Ok((order.clone(), refund, true))
    }

    pub(crate) fn find_refund(&self, out_refund_no: &str) -> Result<(&Order, &Refund), OrderError> {
        let &(index, at) = self.by_refund.get(out_refund_no).ok_or(OrderError::RefundNotExist)?;
        Ok((&self.orders[index], &self.orders[index].refunds[at]))
    }

    pub(crate) fn by_token(&self, token: &str) -> Option<&Order> {
        self.by_token.get(token).map(|&index| &self.orders[index])
    }

    /// Whether the shopper could pay with this code now.
    pub(crate) fn check(&self, token: &str, now: Millis) -> Result<&Order, ShopperRefusal> {
        let order = self.by_token(token).ok_or(ShopperRefusal::Unknown)?;
        order.payable(token, now)?;
        Ok(order)
    }

    /// The shopper pays.
    pub(crate) fn pay(
        &mut self,
        token: &str,
        bank: Option<&str>,
        now: Millis,
    ) -> Result<Order, ShopperRefusal> {
        self.check(token, now)?;
        let index = self.by_token[token];
        let transaction_id = format!("42000{}{}", clock::compact_day(now), self.ids.digits(15));
        let openid = self.orders[index].spec.openid.clone();
        let openid = openid.unwrap_or_else(|| format!("o{}", self.ids.alnum(27)));
        self.by_transaction.insert(transaction_id.clone(), index);
        let order = &mut self.orders[index];
        let bank = bank.map(str::to_owned);
        order.payment = Some(Payment { at: now, transaction_id, openid, bank });
        Ok(order.clone())
    }

    /// Every order, oldest first.
    pub(crate) fn entries(&self, now: Millis) -> Vec<OrderEntry> {
        self.orders.iter().map(|order| order.entry(&self.account, now)).collect()
    }
}

fn check_refund(order: &Order, spec: &RefundSpec) -> Result<(), OrderError> {
    if order.payment.is_none() {
        Err(OrderError::NotPaid)
    } else if spec.total != order.spec.total {
        Err(OrderError::RefundMismatch)
    } else if spec.amount > order.spec.total - order.refunding() {
        Err(OrderError::RefundTooMuch)
    } else if order.refunds.len() >= REFUNDS_MAX {
        Err(OrderError::RefundTooMany)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(number: &str) -> OrderSpec {
        OrderSpec {
            out_trade_no: number.to_owned(),
            trade_type: TradeType::Native,
            appid: "wx1".to_owned(),
            description: "tea".to_owned(),
            total: 1_000,
            attach: None,
            notify_url: "http://shop".to_owned(),
            time_expire: None,
            openid: None,
            bank: None,
        }
    }

    fn refund(number: &str, refund_no: &str, amount: i64) -> RefundSpec {
        RefundSpec {
            transaction_id: None,
            out_trade_no: Some(number.to_owned()),
            out_refund_no: refund_no.to_owned(),
            amount,
            total: 1_000,
            reason: None,
            notify_url: None,
        }
    }

    #[test]
    fn a_second_prepay_kills_the_first_code() {
        let mut book = WechatPayBook::new("main", 1);
        let first = book.prepay(spec("order1"), 0).unwrap();
        let second = book.prepay(spec("order1"), 1).unwrap();
        assert_ne!(first, second);
        assert_eq!(book.pay(&first, None, 2).err(), Some(ShopperRefusal::Replaced));
        assert!(book.pay(&second, None, 2).is_ok());
        assert_eq!(book.prepay(spec("order1"), 3), Err(OrderError::Paid));
    }

    #[test]
    fn another_order_under_the_same_number_is_refused() {
        let mut book = WechatPayBook::new("main", 1);
        book.prepay(spec("order1"), 0).unwrap();
        let dearer = OrderSpec { total: 1_001, ..spec("order1") };
        assert_eq!(book.prepay(dearer, 1), Err(OrderError::NumberUsed));
        let elsewhere = OrderSpec { trade_type: TradeType::H5, ..spec("order1") };
        assert_eq!(book.prepay(elsewhere, 1), Err(OrderError::NumberUsed));
    }

    #[test]
    fn close_says_yes_to_strangers_and_no_to_the_paid() {
        let mut book = WechatPayBook::new("main", 1);
        assert_eq!(book.close("nobody", 0), Ok(()));
        let token = book.prepay(spec("order1"), 0).unwrap();
        book.close("order1", 1).unwrap();
        assert_eq!(book.close("order1", 2), Ok(()));
        assert_eq!(book.pay(&token, None, 3).err(), Some(ShopperRefusal::Closed));
        assert_eq!(book.prepay(spec("order1"), 4), Err(OrderError::Closed));
        let token = book.prepay(spec("order2"), 0).unwrap();
        book.pay(&token, None, 1).unwrap();
        assert_eq!(book.close("order2", 2), Err(OrderError::Paid));
    }

    #[test]
    fn refunds_arrive_later_and_once() {
        let mut book = WechatPayBook::new("main", 1);
        let token = book.prepay(spec("order1"), 0).unwrap();
        assert_eq!(
            book.refund(refund("order1", "r1", 400), 50, 1).err(),
            Some(OrderError::NotPaid)
        );
        book.pay(&token, None, 1).unwrap();
        assert!(book.refund(refund("order1", "r1", 400), 50, 10).unwrap().2);
        assert!(!book.refund(refund("order1", "r1", 400), 50, 11).unwrap().2);
        let other = book.refund(refund("order1", "r1", 401), 50, 11).err();
        assert_eq!(other, Some(OrderError::RefundMismatch));
        let much = book.refund(refund("order1", "r2", 601), 50, 11).err();
        assert_eq!(much, Some(OrderError::RefundTooMuch));
        assert_eq!(book.entries(59)[0].refunded_minor, 0);
        assert_eq!(book.entries(60)[0].refunded_minor, 400);
        assert_eq!(book.by_number("order1").unwrap().state(60), TradeState::Refund);
    }

    #[test]
    fn time_expire_closes() {
        let mut book = WechatPayBook::new("main", 1);
        let token = book.prepay(OrderSpec { time_expire: Some(100), ..spec("order1") }, 0).unwrap();
        assert_eq!(book.by_number("order1").unwrap().state(99), TradeState::NotPay);
        assert_eq!(book.by_number("order1").unwrap().state(100), TradeState::Closed);
        assert_eq!(book.pay(&token, None, 100).err(), Some(ShopperRefusal::Expired));
    }
}
