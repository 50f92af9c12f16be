//! Payments to fill books with.
#![expect(clippy::unwrap_used, reason = "the values are constants that are known to be valid")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::{
    ChannelId, Choice, Created, Device, Fact, Fault, Locale, MerchantId, Method, Money, OrderNo,
    Outcome, Payment, PaymentId, Policy, Presentation, Purpose, Receipt, Step, Terms, Tier,
    Timestamp,
};
use uuid::Uuid;

use crate::{Change, NewMessage, RequestRecord};

/// `secs` seconds after the time at which all samples begin.
pub fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000) + Duration::from_secs(secs)
}

/// The payment id of sample `n`; ids sort by `n`.
pub fn id(n: u64) -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 | u128::from(n)))
}

/// A change id that no other call of this process returned.
pub fn change_id() -> Uuid {
    static COUNTER: AtomicU64 = AtomicU64::new(1);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 | u128::from(n))
}

/// A merchant's name.
pub fn merchant(name: &str) -> MerchantId {
    MerchantId::new(name).unwrap()
}

/// A channel's name.
pub fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).unwrap()
}

/// An order number.
pub fn order(name: &str) -> OrderNo {
    OrderNo::new(name).unwrap()
}

/// Ordinary terms.
pub fn terms() -> Terms {
    Terms {
        methods: vec![Method::Alipay, Method::WechatPay],
        purpose: Purpose::Checkout,
        tier: Tier::Standard,
        subject: "一杯咖啡".into(),
        issuer: None,
        contact: Some("li@example.com".into()),
        push_token: Some("device-1".into()),
        locale: Locale::Zh,
        return_url: None,
        payer_ip: None,
        payer_id: None,
        device: Device::Qr,
        token: None,
        metadata: BTreeMap::from([("cart".into(), "c-1".into())]),
        pinned: None,
        due_at: None,
        lapses_at: None,
        no_hold: false,
    }
}

/// A new payment `n` of a merchant, made at `at(n)`.
pub fn created(n: u64, merchant: MerchantId, order: OrderNo) -> Step {
    let money = Money::new(i64::try_from(n).unwrap() + 1, domain::Currency::CNY).unwrap();
    Payment::open(id(n), (merchant, order), money, terms(), at(n), at(n + 900))
}

/// A step as the change that commits it, with nothing around it.
pub fn change(step: Step, at: Timestamp) -> Change {
    let Step { mut payment, events } = step;
    let expected_version = payment.version;
    payment.version += 1;
    Change {
        id: change_id(),
        payment,
        expected_version,
        due_at: None,
        claim: None,
        request: None,
        messages: Vec::new(),
        notes: Vec::new(),
        events,
        at,
    }
}

/// The change that makes payment `n` of the merchant `shop`, order `o-n`.
pub fn create(n: u64) -> Change {
    change(created(n, merchant("shop"), order(&format!("o-{n}"))), at(n))
}

/// A change that starts an attempt.
pub fn attempt(payment: &Payment, on: &str, method: Method, now: Timestamp) -> Change {
    let choice = Choice::plain("preferred");
    let until = now + Duration::from_secs(10);
    change(payment.begin(channel(on), method, choice, now, until).unwrap(), now)
}

/// A change by a fact.
pub fn fact(payment: &Payment, fact: Fact, now: Timestamp) -> Change {
    change(payment.apply(fact, now, &Policy::default()).unwrap(), now)
}

/// The fact that an attempt's code can be shown.
pub fn shown(attempt: u16) -> Fact {
    let presentation = Presentation::QrCode { content: "https://qr.example/1".into() };
    let created = Created::Presented { presentation, reference: Some("ref-1".into()) };
    Fact::Created { attempt, outcome: Outcome::Ok(created) }
}

/// The fact that an attempt's money was captured.
pub fn paid(payment: &Payment, attempt: u16) -> Fact {
    let captured = payment.money;
    let receipt = Receipt { reference: "trade-1".into(), captured, paid_at: None };
    Fact::Created { attempt, outcome: Outcome::Ok(Created::Paid(receipt)) }
}

/// The fact that an attempt surely had no effect.
pub fn unavailable(attempt: u16) -> Fact {
    let fault = Fault::new("refused", "the provider did not take the connection");
    Fact::Created { attempt, outcome: Outcome::Unavailable(fault) }
}

/// What a request with a key leaves behind.
pub fn request(change: &Change, key: &str) -> RequestRecord {
    RequestRecord {
        merchant: change.payment.merchant.clone(),
        key: key.into(),
        fingerprint: vec![1, 2, 3],
        payment: change.payment.id,
        refund: None,
        at: change.at,
    }
}

/// A message to the merchant.
pub fn message(id: &str, due_at: Timestamp) -> NewMessage {
    let body = format!("{{\"id\":\"{id}\"}}");
    NewMessage { id: id.into(), kind: "payment.paid".into(), body, due_at }
}
