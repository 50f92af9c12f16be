//! Webhooks: HMAC-SHA256 over time and body.

use domain::{Flow, Notice, NoticeKind, OrderState, ProviderOrderNo, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::codec::Stripe;
use super::object::{FLOW, Intent, ORDER, REFUND, Refund, decline};
use crate::crypto::hmac_sha256_matches;
use crate::{Delivery, Forged};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    livemode: Option<bool>,
    #[serde(default)]
    account: Option<String>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
struct Charge {
    #[serde(default)]
    metadata: std::collections::BTreeMap<String, String>,
}

impl Stripe {
    pub(super) fn read_webhook(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Notice, Forged> {
        self.prove(delivery, now)?;
        let event: Event<'_> = serde_json::from_slice(&delivery.body)
            .map_err(|_| Forged::Malformed("the event is not the documented JSON".into()))?;
        if let (Some(ours), Some(theirs)) = (self.livemode, event.livemode)
            && ours != theirs
        {
            return Err(Forged::Account("livemode"));
        }
        if let Some(theirs) = &event.account
            && self.account.as_ref() != Some(theirs)
        {
            return Err(Forged::Account("account"));
        }
        match event.kind.as_str() {
            "payment_intent.succeeded"
            | "payment_intent.canceled"
            | "payment_intent.payment_failed"
            | "payment_intent.processing"
            | "payment_intent.requires_action"
            | "payment_intent.amount_capturable_updated" => {
                intent_notice(&event.kind, &object(event.data.object)?)
            }
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                refund_notice(&object(event.data.object)?)
            }
            "charge.refunded" => hint(&object(event.data.object)?),
            _ => Err(Forged::Irrelevant("another kind of event".into())),
        }
    }

    /// Any of our secrets may fit any of the header's `v1` values: both change in a rotation.
    fn prove(&self, delivery: &Delivery, now: Timestamp) -> Result<(), Forged> {
        let header = delivery
            .header("stripe-signature")
            .ok_or(Forged::Signature("no Stripe-Signature header"))?;
        let parts: Vec<_> = header.split(',').filter_map(|part| part.split_once('=')).collect();
        let time = parts.iter().find(|(name, _)| name.trim() == "t").map(|(_, value)| *value);
        let time = time.ok_or(Forged::Signature("no time in Stripe-Signature"))?;
        let mut message = time.as_bytes().to_vec();
        message.push(b'.');
        message.extend_from_slice(&delivery.body);
        let fits = parts.iter().filter(|(name, _)| name.trim() == "v1").take(8).any(|(_, tag)| {
            let fits = |secret: &crate::Secret| {
                hmac_sha256_matches(secret.expose().as_bytes(), &message, tag)
            };
            self.webhook_secrets.iter().any(fits)
        });
        if !fits {
            return Err(Forged::Signature("no v1 value fits"));
        }
        let time: i64 = time.parse().map_err(|_| Forged::Signature("the time is not a number"))?;
        let skew_s = now.as_secs().saturating_sub(time);
        if skew_s.saturating_abs() > self.tolerance_s {
            return Err(Forged::Stale { skew_s, limit_s: self.tolerance_s });
        }
        Ok(())
    }
}

fn object<T: DeserializeOwned>(raw: &RawValue) -> Result<T, Forged> {
    serde_json::from_str(raw.get())
        .map_err(|_| Forged::Malformed("the event's object is not the documented one".into()))
}

fn intent_notice(kind: &str, intent: &Intent) -> Result<Notice, Forged> {
    let number = intent.metadata.get(ORDER).ok_or_else(foreign)?;
    let direct = intent.metadata.get(FLOW).is_some_and(|flow| flow == "direct");
    let flow = if direct { Flow::Direct } else { Flow::Presented };
    let malformed = |fault: domain::Fault| Forged::Malformed(fault.detail);
    let kind = match (kind, intent.status.as_str()) {
        ("payment_intent.succeeded", "succeeded") => {
            NoticeKind::Order(OrderState::Paid(intent.receipt().map_err(malformed)?))
        }
        ("payment_intent.canceled", "canceled") => NoticeKind::Order(OrderState::Closed),
        ("payment_intent.processing", "processing") => NoticeKind::Order(OrderState::Processing),
        ("payment_intent.payment_failed", "requires_payment_method") if flow == Flow::Direct => {
            match &intent.last_payment_error {
                Some(error) => NoticeKind::Order(OrderState::Declined(decline(error))),
                None => NoticeKind::Hint,
            }
        }
        // A presented intent can be paid again after a failure, and states that contradict
        // their event are worth a question and nothing more.
        _ => NoticeKind::Hint,
    };
    Ok(Notice { number: ProviderOrderNo::received(number), kind })
}

fn refund_notice(refund: &Refund) -> Result<Notice, Forged> {
    let order = refund.metadata.get(ORDER).ok_or_else(foreign)?;
    let number = refund.metadata.get(REFUND).ok_or_else(foreign)?;
    let state = refund.state().map_err(|fault| Forged::Malformed(fault.detail))?;
    Ok(Notice {
        number: ProviderOrderNo::received(order),
        kind: NoticeKind::Refund { refund: ProviderOrderNo::received(number), state },
    })
}

fn hint(charge: &Charge) -> Result<Notice, Forged> {
    let number = charge.metadata.get(ORDER).ok_or_else(foreign)?;
    Ok(Notice { number: ProviderOrderNo::received(number), kind: NoticeKind::Hint })
}

fn foreign() -> Forged {
    Forged::Irrelevant("an object that Evergate did not make".into())
}
