//! UnionPay's books: payments that exist once the browser's form has come, and the refunds and
//! undos that refer to them. Every transaction is named by number and time together.

use std::collections::{BTreeMap, HashMap};

use super::{
    EntryStatus, IdSource, Millis, OrderEntry, ProviderKind, RefundEntry, RefundStatus,
    ShopperRefusal,
};
use crate::clock;

/// A transaction's name: `orderId` and `txnTime`.
pub(crate) type TxnName = (String, String);

/// What a form asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaymentSpec {
    pub(crate) name: TxnName,
    /// Fen.
    pub(crate) amount: i64,
    pub(crate) description: String,
    pub(crate) front_url: Option<String>,
    pub(crate) back_url: Option<String>,
    pub(crate) reserved: Option<String>,
    pub(crate) pay_timeout: Option<Millis>,
    /// The issuer that the merchant named.
    pub(crate) bank: Option<String>,
}

/// A payment that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Debit {
    pub(crate) at: Millis,
    pub(crate) query_id: String,
    pub(crate) trace_no: String,
    pub(crate) bank: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) spec: PaymentSpec,
    pub(crate) token: String,
    pub(crate) created_at: Millis,
    pub(crate) debit: Option<Debit>,
    /// The code of the last try that the issuer refused.
    pub(crate) failure: Option<String>,
}

/// Whether money goes back as a refund (04) or as an undo (31).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReturnKind {
    Refund,
    Undo,
}

/// What a refund or undo asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReturnSpec {
    pub(crate) name: TxnName,
    pub(crate) kind: ReturnKind,
    pub(crate) amount: i64,
    pub(crate) original: String,
    pub(crate) back_url: Option<String>,
    pub(crate) reserved: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Return {
    pub(crate) spec: ReturnSpec,
    payment: usize,
    pub(crate) query_id: String,
    pub(crate) trace_no: String,
    pub(crate) asked_at: Millis,
    /// When the money is back.
    pub(crate) done_at: Millis,
}

/// A transaction as a query finds it.
pub(crate) enum Found {
    Payment(Payment),
    Return(Return),
}

/// Clearing days end at 23:00 in Beijing.
const CLEARING_SHIFT_MS: Millis = 9 * 3_600_000;
const DAY_MS: Millis = 86_400_000;

/// The number of the clearing day.
fn clearing_day(at: Millis) -> Millis {
    (at + CLEARING_SHIFT_MS).div_euclid(DAY_MS)
}

/// The moment by whose Beijing date the clearing day is called.
pub(crate) fn settled_on(at: Millis) -> Millis {
    clearing_day(at) * DAY_MS
}

/// A clearing day, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClearingDay(Millis);

impl ClearingDay {
    /// The latest one with this `MMdd` that has begun by `now`, within a year.
    pub(crate) fn named(mmdd: &str, now: Millis) -> Option<ClearingDay> {
        let today = clearing_day(now);
        let day = |number: Millis| clock::unionpay_time(number * DAY_MS);
        let named = |number: &Millis| day(*number).get(4..8) == Some(mmdd);
        (today - 365..=today).rev().find(named).map(ClearingDay)
    }

    /// `yyyyMMdd` of its date.
    pub(crate) fn date(self) -> String {
        let mut text = clock::unionpay_time(self.0 * DAY_MS);
        text.truncate(8);
        text
    }
}

/// A transaction of a clearing file.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) name: TxnName,
    pub(crate) kind: SettledKind,
    /// Fen.
    pub(crate) amount: i64,
    pub(crate) query_id: String,
    pub(crate) trace_no: String,
    pub(crate) at: Millis,
    /// Of which payment it gives back.
    pub(crate) original: Option<Payment>,
}

/// What was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettledKind {
    Payment,
    Return(ReturnKind),
}

/// Why the platform refused; each is one `respCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TxnError {
    /// 12
    Duplicate,
    /// 34
    NotFound,
    /// 35
    OriginalNotAllowed,
    /// 43
    AmountOver,
    /// 45
    AlreadyReturned,
    /// 98
    NoFile,
}

/// One merchant's transactions.
pub(crate) struct UnionPayBook {
    account: String,
    ids: IdSource,
    payments: Vec<Payment>,
    returns: Vec<Return>,
    by_token: HashMap<String, usize>,
    by_query_id: HashMap<String, usize>,
}

impl UnionPayBook {
    pub(crate) fn new(account: &str, seed: u64) -> Self {
        Self {
            account: account.to_owned(),
            ids: IdSource::new(seed, &format!("unionpay book {account}")),
            payments: Vec::new(),
            returns: Vec::new(),
            by_token: HashMap::new(),
            by_query_id: HashMap::new(),
        }
    }

    fn is_taken(&self, (number, time): &TxnName) -> bool {
        let day = time.get(..8);
        let same = |(n, t): &TxnName| n == number && t.get(..8) == day;
        self.payments.iter().any(|p| same(&p.spec.name))
            || self.returns.iter().any(|r| same(&r.spec.name))
    }

    /// A form has come: the payment it opens, or the same one again while it can be paid.
    pub(crate) fn open(&mut self, spec: PaymentSpec, now: Millis) -> Result<Payment, TxnError> {
        if let Some(known) = self.payments.iter().find(|p| p.spec.name == spec.name) {
            let again = known.debit.is_none() && known.spec.amount == spec.amount;
            return if again { Ok(known.clone()) } else { Err(TxnError::Duplicate) };
        }
        if self.is_taken(&spec.name) {
            return Err(TxnError::Duplicate);
        }
        let token = format!("up{}", self.ids.alnum(20));
        self.by_token.insert(token.clone(), self.payments.len());
        let payment = Payment { spec, token, created_at: now, debit: None, failure: None };
        self.payments.push(payment.clone());
        Ok(payment)
    }

    pub(crate) fn by_token(&self, token: &str) -> Option<&Payment> {
        self.by_token.get(token).map(|&index| &self.payments[index])
    }

    /// The newest payment under the merchant's number.
    pub(crate) fn token_of(&self, number: &str) -> Option<&str> {
        let found = self.payments.iter().rev().find(|p| p.spec.name.0 == number);
        found.map(|payment| payment.token.as_str())
    }

    /// Whether somebody can pay.
    pub(crate) fn check(&self, token: &str, now: Millis) -> Result<(), ShopperRefusal> {
        let payment = self.by_token(token).ok_or(ShopperRefusal::Unknown)?;
        if payment.debit.is_some() {
            return Err(ShopperRefusal::AlreadyPaid);
        }
        match payment.spec.pay_timeout {
            Some(end) if now >= end => Err(ShopperRefusal::Expired),
            _ => Ok(()),
        }
    }

    fn query_id(&mut self, now: Millis) -> (String, String) {
        let trace = self.ids.digits(6);
        (format!("{}{trace}8", clock::unionpay_time(now)), trace)
    }

    /// The customer pays.
    pub(crate) fn pay(
        &mut self,
        token: &str,
        bank: Option<&str>,
        now: Millis,
    ) -> Result<Payment, ShopperRefusal> {
        self.check(token, now)?;
        let (query_id, trace_no) = self.query_id(now);
        let index = self.by_token[token];
        self.by_query_id.insert(query_id.clone(), index);
        let payment = &mut self.payments[index];
        let bank = bank.map(str::to_owned).or_else(|| payment.spec.bank.clone());
        payment.failure = None;
        payment.debit = Some(Debit { at: now, query_id, trace_no, bank });
        Ok(payment.clone())
    }

    /// The issuer refuses a try; the cashier stays open.
    pub(crate) fn fail(
        &mut self,
        token: &str,
        code: &str,
        now: Millis,
    ) -> Result<(), ShopperRefusal> {
        self.check(token, now)?;
        let index = self.by_token[token];
        self.payments[index].failure = Some(code.to_owned());
        Ok(())
    }

    fn returned(&self, payment: usize) -> i64 {
        self.returns.iter().filter(|r| r.payment == payment).map(|r| r.spec.amount).sum()
    }

    /// Takes a refund or undo, which is done at `done_at`.
    pub(crate) fn give_back(
        &mut self,
        spec: ReturnSpec,
        now: Millis,
        done_at: Millis,
    ) -> Result<Return, TxnError> {
        if self.is_taken(&spec.name) {
            return Err(TxnError::Duplicate);
        }
        let payment = *self.by_query_id.get(&spec.original).ok_or(TxnError::NotFound)?;
        let paid = &self.payments[payment];
        let debit = paid.debit.as_ref().ok_or(TxnError::OriginalNotAllowed)?;
        let rest = paid.spec.amount - self.returned(payment);
        if rest == 0 {
            return Err(TxnError::AlreadyReturned);
        }
        if spec.amount > rest {
            return Err(TxnError::AmountOver);
        }
        let whole = spec.amount == paid.spec.amount;
        let today = clearing_day(debit.at) == clearing_day(now);
        if spec.kind == ReturnKind::Undo && !(whole && today) {
            return Err(TxnError::OriginalNotAllowed);
        }
        let (query_id, trace_no) = self.query_id(now);
        let made = Return { spec, payment, query_id, trace_no, asked_at: now, done_at };
        self.returns.push(made.clone());
        Ok(made)
    }

    /// What stands under a name. A payment that nobody has tried to make is not there yet.
    pub(crate) fn find(&self, name: &TxnName) -> Option<Found> {
        let payment = self.payments.iter().find(|p| p.spec.name == *name);
        if let Some(payment) = payment {
            let tried = payment.debit.is_some() || payment.failure.is_some();
            return tried.then(|| Found::Payment(payment.clone()));
        }
        self.returns.iter().find(|r| r.spec.name == *name).cloned().map(Found::Return)
    }

    /// The transactions of a clearing day, in the order of its file: payments, then what went
    /// back of any payment.
    pub(crate) fn settled(&self, day: ClearingDay, now: Millis) -> Vec<Settled> {
        let paid = self.payments.iter().filter_map(|payment| {
            let debit = payment.debit.as_ref().filter(|debit| clearing_day(debit.at) == day.0)?;
            Some(Settled {
                name: payment.spec.name.clone(),
                kind: SettledKind::Payment,
                amount: payment.spec.amount,
                query_id: debit.query_id.clone(),
                trace_no: debit.trace_no.clone(),
                at: debit.at,
                original: None,
            })
        });
        let is_done = |r: &&Return| clearing_day(r.asked_at) == day.0 && now >= r.done_at;
        let back = self.returns.iter().filter(is_done).map(|made| Settled {
            name: made.spec.name.clone(),
            kind: SettledKind::Return(made.spec.kind),
            amount: made.spec.amount,
            query_id: made.query_id.clone(),
            trace_no: made.trace_no.clone(),
            at: made.asked_at,
            original: Some(self.payments[made.payment].clone()),
        });
        paid.chain(back).collect()
    }

    /// Every order, oldest first.
    pub(crate) fn entries(&self, now: Millis) -> Vec<OrderEntry> {
        (0..self.payments.len()).map(|index| self.entry(index, now)).collect()
    }

    fn entry(&self, index: usize, now: Millis) -> OrderEntry {
        let payment = &self.payments[index];
        let of_it = self.returns.iter().filter(|r| r.payment == index);
        let refunds: Vec<_> = of_it.map(|made| refund_entry(made, now)).collect();
        let refunded = refunds
            .iter()
            .filter(|r| r.status == RefundStatus::Succeeded)
            .map(|r| r.amount_minor)
            .sum();
        let spec = &payment.spec;
        let debit = payment.debit.as_ref();
        let status = match debit {
            Some(_) if refunded == spec.amount => EntryStatus::Refunded,
            Some(_) => EntryStatus::Paid,
            None if self.check(&payment.token, now).is_ok() => EntryStatus::Open,
            None => EntryStatus::Closed,
        };
        let word = match (debit, &payment.failure) {
            (Some(_), _) => "00",
            (None, Some(code)) => code,
            (None, None) => "34",
        };
        OrderEntry {
            provider: ProviderKind::UnionPay,
            account: self.account.clone(),
            order_no: spec.name.0.clone(),
            provider_no: debit.map(|d| d.query_id.clone()).unwrap_or_default(),
            amount_minor: spec.amount,
            currency: "CNY".to_owned(),
            status,
            provider_status: word.to_owned(),
            method: Some("union_pay".to_owned()),
            bank: debit.and_then(|d| d.bank.clone()).or_else(|| spec.bank.clone()),
            created_at_ms: payment.created_at,
            paid_at_ms: debit.map(|d| d.at),
            captured_minor: debit.map_or(0, |_| spec.amount),
            refunded_minor: refunded,
            refunds,
            metadata: BTreeMap::new(),
        }
    }
}

fn refund_entry(made: &Return, now: Millis) -> RefundEntry {
    let done = now >= made.done_at;
    RefundEntry {
        refund_no: made.spec.name.0.clone(),
        provider_no: made.query_id.clone(),
        amount_minor: made.spec.amount,
        status: if done { RefundStatus::Succeeded } else { RefundStatus::Processing },
        created_at_ms: made.asked_at,
        succeeded_at_ms: done.then_some(made.done_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: &str) -> TxnName {
        (number.to_owned(), "20261124100000".to_owned())
    }

    fn spec(number: &str) -> PaymentSpec {
        PaymentSpec {
            name: name(number),
            amount: 1_000,
            description: "tea".to_owned(),
            front_url: None,
            back_url: None,
            reserved: None,
            pay_timeout: Some(100),
            bank: None,
        }
    }

    fn back(number: &str, kind: ReturnKind, amount: i64, original: &str) -> ReturnSpec {
        let original = original.to_owned();
        ReturnSpec { name: name(number), kind, amount, original, back_url: None, reserved: None }
    }

    fn paid(book: &mut UnionPayBook, number: &str) -> String {
        let token = book.open(spec(number), 0).unwrap().token;
        book.pay(&token, None, 1).unwrap().debit.unwrap().query_id
    }

    #[test]
    fn a_form_opens_one_payment_until_it_is_paid_or_lapses() {
        let mut book = UnionPayBook::new("main", 1);
        let token = book.open(spec("order001"), 0).unwrap().token;
        assert_eq!(book.open(spec("order001"), 1).unwrap().token, token);
        assert!(book.find(&name("order001")).is_none(), "nobody has tried");
        let other = PaymentSpec { amount: 999, ..spec("order001") };
        assert_eq!(book.open(other, 1).err(), Some(TxnError::Duplicate));
        let mut later = spec("order001");
        later.name.1 = "20261124120000".to_owned();
        assert_eq!(book.open(later, 1).err(), Some(TxnError::Duplicate), "the same day");
        assert_eq!(book.pay(&token, None, 100).err(), Some(ShopperRefusal::Expired));
        assert!(book.pay(&token, None, 99).is_ok());
        assert_eq!(book.pay(&token, None, 99).err(), Some(ShopperRefusal::AlreadyPaid));
        assert_eq!(book.open(spec("order001"), 99).err(), Some(TxnError::Duplicate));
    }

    #[test]
    fn a_refused_try_leaves_the_cashier_open() {
        let mut book = UnionPayBook::new("main", 1);
        let token = book.open(spec("order001"), 0).unwrap().token;
        book.fail(&token, "64", 1).unwrap();
        assert_eq!(book.entries(1)[0].provider_status, "64");
        assert!(book.pay(&token, Some("ICBC"), 2).is_ok());
        assert_eq!(book.entries(2)[0].provider_status, "00");
    }

    #[test]
    fn refunds_add_up_and_a_number_is_used_once() {
        let mut book = UnionPayBook::new("main", 1);
        let original = paid(&mut book, "order001");
        let refund = |number: &str, amount| back(number, ReturnKind::Refund, amount, &original);
        assert!(book.give_back(refund("refund01", 300), 2, 9).is_ok());
        let again = book.give_back(refund("refund01", 300), 2, 9).err();
        assert_eq!(again, Some(TxnError::Duplicate));
        let over = book.give_back(refund("refund02", 701), 2, 9).err();
        assert_eq!(over, Some(TxnError::AmountOver));
        assert!(book.give_back(refund("refund03", 700), 2, 9).is_ok());
        let more = book.give_back(refund("refund04", 1), 2, 9).err();
        assert_eq!(more, Some(TxnError::AlreadyReturned));
        assert_eq!(book.entries(8)[0].status, EntryStatus::Paid);
        assert_eq!(book.entries(9)[0].status, EntryStatus::Refunded);
        let stranger = back("refund05", ReturnKind::Refund, 1, "nobody");
        assert_eq!(book.give_back(stranger, 2, 9).err(), Some(TxnError::NotFound));
    }

    #[test]
    fn an_undo_takes_the_whole_amount_on_the_clearing_day() {
        let mut book = UnionPayBook::new("main", 1);
        let original = paid(&mut book, "order001");
        let part = back("undo0001", ReturnKind::Undo, 300, &original);
        assert_eq!(book.give_back(part, 2, 9).err(), Some(TxnError::OriginalNotAllowed));
        let whole = back("undo0002", ReturnKind::Undo, 1_000, &original);
        let late = book.give_back(whole.clone(), DAY_MS, DAY_MS).err();
        assert_eq!(late, Some(TxnError::OriginalNotAllowed));
        assert!(book.give_back(whole, 2, 2).is_ok());
    }
}
