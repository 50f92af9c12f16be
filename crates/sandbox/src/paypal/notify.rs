//! Events, how they are signed, and PayPal's own verification of them.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::errors::Failure;
use super::{PaypalAccount, objects};
use crate::books::paypal::{Order, Refund};
use crate::books::{Millis, ProviderKind};
use crate::control::lock;
use crate::faults::{Forgery, Operation};
use crate::keys::SigningKey;
use crate::notify::{Content, Notice, Outgoing};
use crate::server::Reply;
use crate::state::{Scene, State};

/// Waits between deliveries, seconds: twenty-five within three days.
pub(crate) const RESENDS_S: &[u64] = &[
    60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_389, 14_389, 14_389, 14_389, 14_389, 14_389,
    14_389, 14_389, 14_389, 14_389, 14_389, 14_389, 14_389, 14_389, 14_389, 14_389, 14_389,
];

/// A webhook. Its id and time stay the same in every delivery.
#[derive(Clone)]
pub(crate) struct Notification {
    account: Arc<PaypalAccount>,
    transmission_id: String,
    at: Millis,
    certificate_url: String,
    body: Arc<str>,
}

/// What the signature covers.
fn signed(id: &str, time: &str, webhook_id: &str, body: &[u8]) -> String {
    format!("{id}|{time}|{webhook_id}|{}", crc32(body))
}

/// CRC-32/ISO-HDLC by a table of half bytes.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = [
        0x0000_0000,
        0x1DB7_1064,
        0x3B6E_20C8,
        0x26D9_30AC,
        0x76DC_4190,
        0x6B6B_51F4,
        0x4DB2_6158,
        0x5005_713C,
        0xEDB8_8320,
        0xF00F_9344,
        0xD6D6_A3E8,
        0xCB61_B38C,
        0x9B64_C2B0,
        0x86D3_D2D4,
        0xA00A_E278,
        0xBDBD_F21C,
    ];
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
    }
    !crc
}

impl Notification {
    pub(crate) fn outgoing(
        &self,
        forgery: Option<(Forgery, &SigningKey)>,
        _now: Millis,
    ) -> Outgoing {
        let time = objects::time(self.at);
        let text =
            signed(&self.transmission_id, &time, &self.account.webhook_id, self.body.as_bytes());
        let signature = match forgery {
            None | Some((Forgery::Tampered, _)) => Some(self.account.key.sign(text.as_bytes())),
            Some((Forgery::WrongKey, key)) => Some(key.sign(text.as_bytes())),
            Some((Forgery::Unsigned, _)) => None,
        };
        let mut headers = vec![
            ("paypal-transmission-id", self.transmission_id.clone()),
            ("paypal-transmission-time", time),
            ("paypal-cert-url", self.certificate_url.clone()),
            ("paypal-auth-algo", "SHA256withRSA".to_owned()),
        ];
        headers.extend(signature.map(|signature| ("paypal-transmission-sig", signature)));
        let body = match forgery {
            Some((Forgery::Tampered, _)) => self.body.replacen("\"value\":\"", "\"value\":\"9", 1),
            _ => self.body.to_string(),
        };
        Outgoing { content_type: "application/json", headers, body }
    }
}

pub(super) fn approved(state: &State, account: &Arc<PaypalAccount>, order: &Order, now: Millis) {
    let resource = objects::order(order, &state.public_url, false);
    send(state, account, order, ("CHECKOUT.ORDER.APPROVED", "checkout-order"), resource, now);
}

pub(super) fn captured(state: &State, account: &Arc<PaypalAccount>, order: &Order, now: Millis) {
    let Some(resource) = objects::capture(order, &state.public_url) else { return };
    send(state, account, order, ("PAYMENT.CAPTURE.COMPLETED", "capture"), resource, now);
}

pub(super) fn refunded(
    state: &State,
    account: &Arc<PaypalAccount>,
    order: &Order,
    refund: &Refund,
    now: Millis,
) {
    let resource = objects::refund(order, refund, &state.public_url);
    send(state, account, order, ("PAYMENT.CAPTURE.REFUNDED", "refund"), resource, now);
}

fn send(
    state: &State,
    account: &Arc<PaypalAccount>,
    order: &Order,
    (kind, resource_type): (&str, &str),
    resource: Value,
    now: Millis,
) {
    let Some(url) = lock(&account.webhook_url).clone() else { return };
    let (event_id, transmission_id) = {
        let mut ids = lock(&account.ids);
        let part = |ids: &mut crate::books::IdSource, n| ids.hex(n);
        let id = format!("WH-{}-{}", ids.digits(17), ids.digits(17));
        let groups = [8, 4, 4, 4, 12].map(|n| part(&mut ids, n)).join("-");
        (id, groups)
    };
    let event = json!({
        "id": event_id,
        "event_version": "1.0",
        "create_time": objects::time(now),
        "resource_type": resource_type,
        "resource_version": "2.0",
        "event_type": kind,
        "summary": format!("{kind} {}", order.id),
        "resource": resource,
        "links": [],
    });
    state.notify(Notice {
        scene: Scene {
            provider: ProviderKind::Paypal,
            account: account.name.clone(),
            operation: Operation::Notify,
            method: Some("paypal"),
            bank: order.bank.clone(),
        },
        url,
        order_no: order.number().to_owned(),
        event: kind.to_owned(),
        after_ms: 0,
        content: Content::Paypal(Notification {
            account: Arc::clone(account),
            transmission_id,
            at: now,
            certificate_url: certificate_url(state, account),
            body: event.to_string().into(),
        }),
    });
}

fn certificate_url(state: &State, account: &PaypalAccount) -> String {
    format!("{}/v1/notifications/certs/{}", state.public_url, account.certificate_id)
}

#[derive(Deserialize)]
struct Question<'a> {
    auth_algo: String,
    cert_url: String,
    transmission_id: String,
    transmission_sig: String,
    transmission_time: String,
    webhook_id: String,
    #[serde(borrow)]
    webhook_event: &'a RawValue,
}

/// Says whether a delivery that was sent back is one of ours.
pub(super) fn verify(
    state: &State,
    account: &PaypalAccount,
    body: &[u8],
) -> Result<Reply, Failure> {
    let asked: Question<'_> = serde_json::from_slice(body).map_err(|_| Failure::malformed())?;
    let text = signed(
        &asked.transmission_id,
        &asked.transmission_time,
        &asked.webhook_id,
        asked.webhook_event.get().as_bytes(),
    );
    let holds = asked.auth_algo == "SHA256withRSA"
        && asked.cert_url == certificate_url(state, account)
        && asked.webhook_id == account.webhook_id
        && account.public.verify(text.as_bytes(), &asked.transmission_sig);
    let status = if holds { "SUCCESS" } else { "FAILURE" };
    Ok(super::json(StatusCode::OK, &json!({ "verification_status": status })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc_32_comes_out() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn resends_end_within_three_days() {
        assert_eq!(RESENDS_S.len(), 25);
        let sum: u64 = RESENDS_S.iter().sum();
        assert!((250_000..=259_200).contains(&sum), "{sum}");
    }
}
