//! Short names for making payments in any state.

use std::time::Duration;

use domain::*;
use uuid::Uuid;

pub(crate) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_000_000 + secs)
}

pub(crate) fn cny(minor: i64) -> Money {
    Money::new(minor, Currency::CNY).unwrap()
}

pub(crate) fn terms(token: bool) -> Terms {
    Terms {
        methods: vec![Method::Alipay, Method::Card],
        purpose: Purpose::Checkout,
        tier: Tier::Standard,
        subject: "tea".into(),
        issuer: None,
        contact: None,
        push_token: None,
        locale: Locale::Zh,
        return_url: None,
        payer_ip: None,
        payer_id: None,
        device: Device::Qr,
        token: token.then(|| "pm_1".to_owned()),
        metadata: Default::default(),
        pinned: None,
        due_at: None,
        lapses_at: None,
        no_hold: false,
    }
}

pub(crate) fn open() -> Payment {
    let who = (MerchantId::new("shop").unwrap(), OrderNo::new("o-1").unwrap());
    Payment::open(
        PaymentId::from_uuid(Uuid::from_u128(7)),
        who,
        cny(100),
        terms(true),
        at(0),
        at(900),
    )
    .payment
}

pub(crate) fn begin(payment: &Payment, method: Method, now: Timestamp) -> Payment {
    let channel = ChannelId::new(if method == Method::Card { "stripe" } else { "alipay" }).unwrap();
    let until = now + Duration::from_secs(3);
    payment.begin(channel, method, Choice::default(), now, until).unwrap().payment
}

pub(crate) fn presented() -> Created {
    let presentation = Presentation::QrCode { content: "https://qr".into() };
    Created::Presented { presentation, reference: None }
}

pub(crate) fn receipt() -> Receipt {
    Receipt { reference: "2026".into(), captured: cny(100), paid_at: None }
}

pub(crate) fn fault() -> Fault {
    Fault::new("timeout", "no answer")
}

pub(crate) fn decline(soft: bool) -> Decline {
    Decline { code: "do_not_honor".into(), soft }
}

pub(crate) fn policy() -> Policy {
    Policy::default()
}

pub(crate) fn apply(payment: &Payment, fact: Fact, now: Timestamp) -> Payment {
    payment.apply(fact, now, &policy()).unwrap().payment
}

pub(crate) fn name(state: &AttemptState) -> &'static str {
    match state {
        AttemptState::InFlight => "in_flight",
        AttemptState::Presented { .. } => "presented",
        AttemptState::Unknown { .. } => "unknown",
        AttemptState::Closing { why: CloseWhy::Orphan, .. } => "closing_orphan",
        AttemptState::Closing { why: CloseWhy::Shown, .. } => "closing_shown",
        AttemptState::Closed { proof: Proof::Provider, .. } => "closed",
        AttemptState::Closed { proof: Proof::Lapsed, .. } => "lapsed",
        AttemptState::Declined { .. } => "declined",
        AttemptState::Failed { .. } => "failed",
        AttemptState::Paid { .. } => "paid",
    }
}
