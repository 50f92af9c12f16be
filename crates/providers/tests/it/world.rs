//! Orders, refunds and drivers for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::{
    Answer, ChannelId, CloseWhy, Currency, Device, Flow, Locale, Method, Money, Operation, Order,
    OrderRef, PaymentId, ProviderOrderNo, RefundOrder, Timestamp,
};
use providers::{ChannelSettings, Driver, Provider, Stamp};
use uuid::Uuid;

/// When everything happens.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
/// The end of every call.
pub(crate) const UNTIL: Timestamp = Timestamp::from_secs(1_790_000_060);

pub(crate) fn stamp() -> Stamp {
    Stamp { now: NOW, nonce: "0123456789abcdef0123456789abcdef".into() }
}

pub(crate) fn payment() -> PaymentId {
    PaymentId::from_uuid(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001))
}

pub(crate) fn number() -> ProviderOrderNo {
    ProviderOrderNo::of(payment(), 1)
}

pub(crate) fn refund_number() -> ProviderOrderNo {
    ProviderOrderNo::of_refund(payment(), 1)
}

pub(crate) fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY).expect("an amount")
}

pub(crate) fn order(method: Method, device: Device) -> Order {
    Order {
        number: number(),
        money: cny(1234),
        method,
        flow: Flow::Presented,
        subject: "订单 a/b=c&d".into(),
        expires_at: NOW + Duration::from_secs(900),
        device,
        locale: Locale::Zh,
        return_url: Some("https://shop.example/back?x=1".into()),
        payer_ip: Some("203.0.113.7".into()),
        payer_id: Some("openid-1".into()),
        token: None,
        off_session: false,
        sent_at: NOW,
    }
}

pub(crate) fn direct() -> Order {
    Order {
        flow: Flow::Direct,
        token: Some("cus_1/pm_1".into()),
        off_session: true,
        ..order(Method::Card, Device::Qr)
    }
}

/// The order as it is asked about later.
pub(crate) fn made(order: &Order, reference: Option<&str>) -> OrderRef {
    OrderRef {
        number: order.number.clone(),
        reference: reference.map(Into::into),
        method: order.method,
        flow: order.flow,
        money: order.money,
        sent_at: NOW,
        wanted: true,
    }
}

pub(crate) fn refund(order: OrderRef) -> RefundOrder {
    RefundOrder {
        order,
        number: refund_number(),
        amount: cny(500),
        reason: "damaged".into(),
        requested_at: NOW,
    }
}

/// The five operations of one order.
pub(crate) fn operations(order: &Order, reference: Option<&str>) -> Vec<Operation> {
    let made = made(order, reference);
    vec![
        Operation::Create(order.clone()),
        Operation::Query(made.clone()),
        Operation::Close(made.clone(), CloseWhy::Shown),
        Operation::Refund(refund(made.clone())),
        Operation::QueryRefund(refund(made)),
    ]
}

pub(crate) fn channel() -> ChannelId {
    ChannelId::new("main").expect("a name")
}

pub(crate) const NOTIFY: &str = "https://pay.example/v1/notifications/main";

pub(crate) fn settings(value: serde_json::Value) -> ChannelSettings {
    serde_json::from_value(value).expect("settings that can be read")
}

pub(crate) fn codec(settings: &ChannelSettings) -> Arc<dyn Provider> {
    settings.build(&channel(), NOTIFY).expect("settings without mistakes").0
}

/// A driver whose clock stands still.
pub(crate) fn bare_driver() -> Driver {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let count = AtomicU64::new(0);
    let nonces = move || format!("{:032}", count.fetch_add(1, Ordering::Relaxed));
    Driver::new(Arc::new(|| NOW), Arc::new(nonces))
}

pub(crate) fn driver(settings: &ChannelSettings) -> Driver {
    let driver = bare_driver();
    let (codec, limits) = settings.build(&channel(), NOTIFY).expect("settings without mistakes");
    driver.set_channel(channel(), codec, &limits).expect("a client");
    driver
}

pub(crate) async fn call(settings: &ChannelSettings, op: &Operation) -> Answer {
    driver(settings).call(&channel(), op, UNTIL).await
}
