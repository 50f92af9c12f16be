//! Events and their webhooks.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{API_VERSION, StripeAccount, objects};
use crate::books::stripe::{Change, Fact};
use crate::books::{Millis, ProviderKind};
use crate::control::lock;
use crate::faults::{Forgery, Operation};
use crate::keys::{SigningKey, hmac_hex};
use crate::notify::{Content, Notice, Outgoing};
use crate::state::{Scene, State};

/// Waits between deliveries, seconds: back-off up to twelve hours, for three days in all.
pub(crate) const RESENDS_S: &[u64] =
    &[60, 300, 1_800, 7_200, 18_000, 36_000, 43_200, 43_200, 43_200, 43_200];

/// Who caused an event, for its `request` field. A shopper has neither.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) request: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
}

/// A webhook; signed anew for each delivery.
#[derive(Clone)]
pub(crate) struct Notification {
    account: Arc<StripeAccount>,
    body: Arc<str>,
}

impl Notification {
    pub(crate) fn outgoing(
        &self,
        forgery: Option<(Forgery, &SigningKey)>,
        now: Millis,
    ) -> Outgoing {
        let at = now.div_euclid(1_000);
        let text = format!("{at}.{}", self.body);
        let sign = |secret: &str| {
            let signature = hmac_hex(secret.as_bytes(), text.as_bytes());
            vec![("stripe-signature", format!("t={at},v1={signature}"))]
        };
        let headers = match forgery {
            None | Some((Forgery::Tampered, _)) => sign(&self.account.webhook_secret),
            Some((Forgery::WrongKey, _)) => sign("whsec_of_a_stranger"),
            Some((Forgery::Unsigned, _)) => Vec::new(),
        };
        let body = match forgery {
            Some((Forgery::Tampered, _)) => self.body.replacen("\"amount\":", "\"amount\":9", 1),
            _ => self.body.to_string(),
        };
        Outgoing { content_type: "application/json; charset=utf-8", headers, body }
    }
}

/// Makes the events of a change, keeps them, and sends them to the endpoint if there is one.
pub(crate) fn tell(
    state: &State,
    account: &Arc<StripeAccount>,
    change: &Change,
    origin: Origin<'_>,
    now: Millis,
) {
    for fact in &change.facts {
        let intent = || objects::intent(&change.intent, &[], &state.public_url);
        match fact {
            Fact::Succeeded => {
                send(state, account, change, "payment_intent.succeeded", intent(), origin, now);
            }
            Fact::PaymentFailed => {
                let name = "payment_intent.payment_failed";
                send(state, account, change, name, intent(), origin, now);
            }
            Fact::RequiresAction => {
                let name = "payment_intent.requires_action";
                send(state, account, change, name, intent(), origin, now);
            }
            Fact::AmountCapturable => {
                let name = "payment_intent.amount_capturable_updated";
                send(state, account, change, name, intent(), origin, now);
            }
            Fact::Canceled => {
                send(state, account, change, "payment_intent.canceled", intent(), origin, now);
            }
            Fact::Refunded => {
                if let Some(refund) = &change.refund {
                    let object = objects::refund(&change.intent, refund);
                    send(state, account, change, "refund.created", object, origin, now);
                }
                if let Some(charge) = change.intent.charges.iter().find(|c| c.failure.is_none()) {
                    let object = objects::charge(&change.intent, charge);
                    send(state, account, change, "charge.refunded", object, origin, now);
                }
            }
        }
    }
}

fn send(
    state: &State,
    account: &Arc<StripeAccount>,
    change: &Change,
    name: &str,
    object: Value,
    origin: Origin<'_>,
    now: Millis,
) {
    let id = format!("evt_3{}", lock(&account.ids).alnum(23));
    let url = lock(&account.webhook_url).clone();
    let event = json!({
        "id": id,
        "object": "event",
        "api_version": API_VERSION,
        "created": now.div_euclid(1_000),
        "data": { "object": object },
        "livemode": false,
        "pending_webhooks": i32::from(url.is_some()),
        "request": { "id": origin.request, "idempotency_key": origin.key },
        "type": name,
    });
    let event: Arc<str> = event.to_string().into();
    lock(&account.events).insert(id, Arc::clone(&event));
    let Some(url) = url else { return };
    let intent = &change.intent;
    let scene = Scene {
        provider: ProviderKind::Stripe,
        account: account.name.clone(),
        operation: Operation::Notify,
        method: intent.spec.method_types.first().map(|kind| kind.as_str()),
        bank: intent.bank.clone(),
    };
    state.notify(Notice {
        scene,
        url,
        order_no: intent.spec.metadata.get("order_id").unwrap_or(&intent.id).clone(),
        event: name.to_owned(),
        after_ms: 0,
        content: Content::Stripe(Notification { account: Arc::clone(account), body: event }),
    });
}
