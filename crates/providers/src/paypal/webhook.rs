//! Webhooks: RSA over a text that holds a CRC-32 of the body, or PayPal's own word.
//!
//! Neither proves the body beyond its CRC-32, so that what an event says is not believed: it
//! names one of our orders, and the order is read by a call of ours.

use std::time::Duration;

use domain::{Notice, NoticeKind, ProviderOrderNo, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::codec::Paypal;
use crate::common::read_rfc3339;
use crate::crypto::certificates;
use crate::{Delivery, Forged, Request, Response, Witness};

/// How webhooks are verified.
#[derive(Debug)]
pub(super) enum Check {
    /// With the certificate that the delivery names, from these hosts alone.
    Certificate { hosts: Vec<String> },
    /// By sending the event back.
    Postback,
}

/// Whose name the certificate must bear, whichever host it came from.
const SIGNER: &str = ".paypal.com";
/// Where PayPal keeps its certificates.
const CERTIFICATES: &str = "/v1/notifications/certs/";
/// For how long a certificate is used without fetching it again.
const KEEP: Duration = Duration::from_secs(86_400);

/// The headers that prove an event.
struct Proof<'d> {
    id: &'d str,
    time: &'d str,
    signature: &'d str,
    certificate: &'d str,
    algorithm: &'d str,
}

#[derive(Deserialize)]
struct Event<'a> {
    event_type: String,
    #[serde(borrow)]
    resource: &'a RawValue,
}

/// An order, a capture or a refund: all may bear our number.
#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    custom_id: Option<String>,
    #[serde(default)]
    purchase_units: Vec<Unit>,
}

#[derive(Deserialize)]
struct Unit {
    #[serde(default)]
    custom_id: Option<String>,
}

#[derive(Deserialize)]
struct Verified {
    verification_status: String,
}

impl Paypal {
    /// The question that settles whether a delivery is PayPal's.
    pub(super) fn ask_witness(
        &self,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<Witness, Forged> {
        let proof = proof(delivery)?;
        self.fresh(&proof, now)?;
        match &self.check {
            Check::Certificate { hosts } => {
                let url = self.pinned(proof.certificate, hosts)?;
                let method = http::Method::GET;
                let request = Request { method, url, headers: Vec::new(), body: Vec::new() };
                Ok(Witness { request, with_token: false, keep: Some(KEEP) })
            }
            Check::Postback => {
                let request = self.postback(&proof, delivery)?;
                Ok(Witness { request, with_token: true, keep: None })
            }
        }
    }

    /// Reads a delivery whose witness said something.
    pub(super) fn read_webhook(
        &self,
        delivery: &Delivery,
        said: &Response,
        now: Timestamp,
    ) -> Result<Notice, Forged> {
        let proof = proof(delivery)?;
        self.fresh(&proof, now)?;
        match &self.check {
            Check::Certificate { hosts } => {
                self.pinned(proof.certificate, hosts)?;
                self.signed(&proof, delivery, said, now)?;
            }
            Check::Postback => vouched(said)?,
        }
        notice(&delivery.body)
    }

    /// The certificate's address, if it is PayPal's: https, a configured host, the usual path.
    fn pinned(&self, url: &str, hosts: &[String]) -> Result<String, Forged> {
        let strange = Forged::Signature("PAYPAL-CERT-URL is not where PayPal keeps certificates");
        let parsed = reqwest::Url::parse(url).map_err(|_| strange.clone())?;
        let below = |host: &str| hosts.iter().any(|ours| is_below(host, ours));
        let host = parsed.host_str().filter(|host| below(host)).ok_or(strange.clone())?;
        // A sandbox on this machine speaks http, as its base address does.
        let local = matches!(host, "127.0.0.1" | "localhost");
        let plain = parsed.scheme() == "http" && local && self.base_url.starts_with("http://");
        let bare = parsed.username().is_empty()
            && parsed.password().is_none()
            && parsed.query().is_none()
            && parsed.fragment().is_none();
        let placed = parsed.path().starts_with(CERTIFICATES);
        let usual = parsed.port().is_none() || plain;
        if (parsed.scheme() == "https" || plain) && bare && placed && usual {
            return Ok(parsed.to_string());
        }
        Err(strange)
    }

    fn fresh(&self, proof: &Proof<'_>, now: Timestamp) -> Result<(), Forged> {
        let at = read_rfc3339(proof.time)
            .ok_or(Forged::Signature("PAYPAL-TRANSMISSION-TIME is not a time"))?;
        let skew_s = now.as_secs().saturating_sub(at.as_secs());
        if skew_s.saturating_abs() > self.tolerance_s {
            return Err(Forged::Stale { skew_s, limit_s: self.tolerance_s });
        }
        Ok(())
    }

    fn signed(
        &self,
        proof: &Proof<'_>,
        delivery: &Delivery,
        said: &Response,
        now: Timestamp,
    ) -> Result<(), Forged> {
        if said.status != 200 {
            return Err(Forged::Signature("PayPal has no such certificate"));
        }
        let pem = std::str::from_utf8(&said.body).unwrap_or_default();
        let chain = certificates(pem)
            .map_err(|_| Forged::Signature("what PayPal sent is not a certificate"))?;
        // The signer's own comes first, its issuers after it.
        let signer = chain.first().ok_or(Forged::Signature("no certificate"))?;
        if !signer.common_name().is_some_and(|name| name.ends_with(SIGNER)) {
            return Err(Forged::Signature("the certificate is not PayPal's"));
        }
        if !signer.is_valid_at(now) {
            return Err(Forged::Signature("the certificate has run out, or is not valid yet"));
        }
        let text = signed_text(proof.id, proof.time, &self.webhook_id, &delivery.body);
        if !signer.key.verifies(text.as_bytes(), proof.signature) {
            return Err(Forged::Signature("the signature does not fit"));
        }
        Ok(())
    }

    /// The event goes back byte for byte: PayPal computes its CRC-32 over it again.
    fn postback(&self, proof: &Proof<'_>, delivery: &Delivery) -> Result<Request, Forged> {
        let malformed = |_| Forged::Malformed("the event is not JSON".into());
        let event: &RawValue = serde_json::from_slice(&delivery.body).map_err(malformed)?;
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let body = format!(
            r#"{{"auth_algo":{},"cert_url":{},"transmission_id":{},"transmission_sig":{},"transmission_time":{},"webhook_id":{},"webhook_event":{}}}"#,
            text(proof.algorithm),
            text(proof.certificate),
            text(proof.id),
            text(proof.signature),
            text(proof.time),
            text(&self.webhook_id),
            event.get(),
        );
        Ok(Request {
            method: http::Method::POST,
            url: format!("{}/v1/notifications/verify-webhook-signature", self.base_url),
            headers: vec![
                ("accept", "application/json".to_owned()),
                ("content-type", "application/json".to_owned()),
            ],
            body: body.into_bytes(),
        })
    }
}

fn is_below(host: &str, ours: &str) -> bool {
    let (host, ours) = (host.to_ascii_lowercase(), ours.to_ascii_lowercase());
    host == ours || host.strip_suffix(ours.as_str()).is_some_and(|rest| rest.ends_with('.'))
}

fn proof(delivery: &Delivery) -> Result<Proof<'_>, Forged> {
    let header = |name: &str, missing: &'static str| {
        delivery
            .header(name)
            .filter(|value| !value.is_empty() && value.len() <= 4_096)
            .ok_or(Forged::Signature(missing))
    };
    let proof = Proof {
        id: header("paypal-transmission-id", "no PAYPAL-TRANSMISSION-ID")?,
        time: header("paypal-transmission-time", "no PAYPAL-TRANSMISSION-TIME")?,
        signature: header("paypal-transmission-sig", "no PAYPAL-TRANSMISSION-SIG")?,
        certificate: header("paypal-cert-url", "no PAYPAL-CERT-URL")?,
        algorithm: header("paypal-auth-algo", "no PAYPAL-AUTH-ALGO")?,
    };
    if !proof.algorithm.eq_ignore_ascii_case("SHA256withRSA") {
        return Err(Forged::Signature("PAYPAL-AUTH-ALGO is not SHA256withRSA"));
    }
    Ok(proof)
}

fn vouched(said: &Response) -> Result<(), Forged> {
    let verified: Option<Verified> = serde_json::from_slice(&said.body).ok();
    match verified {
        Some(v) if said.status == 200 && v.verification_status == "SUCCESS" => Ok(()),
        _ => Err(Forged::Signature("PayPal does not vouch for it")),
    }
}

/// What PayPal signs.
pub(super) fn signed_text(id: &str, time: &str, webhook_id: &str, body: &[u8]) -> String {
    format!("{id}|{time}|{webhook_id}|{}", crc32(body))
}

/// CRC-32 as IEEE 802.3 has it (reflected, polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    let fold = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(u32::MAX, fold)
}

/// The order that an event is about, as a hint to ask.
fn notice(body: &[u8]) -> Result<Notice, Forged> {
    let malformed = |_| Forged::Malformed("the event is not the documented JSON".into());
    let event: Event<'_> = serde_json::from_slice(body).map_err(malformed)?;
    let kind = event.event_type.as_str();
    let handled = kind.starts_with("CHECKOUT.ORDER.")
        || kind.starts_with("CHECKOUT.PAYMENT-APPROVAL.")
        || kind.starts_with("PAYMENT.CAPTURE.")
        || kind.starts_with("PAYMENT.REFUND.");
    if !handled {
        return Err(Forged::Irrelevant("another kind of event".into()));
    }
    let resource: Resource = serde_json::from_str(event.resource.get())
        .map_err(|_| Forged::Malformed("the event's resource is not the documented one".into()))?;
    let units = resource.purchase_units.into_iter().find_map(|unit| unit.custom_id);
    let number = resource
        .custom_id
        .or(units)
        .ok_or_else(|| Forged::Irrelevant("an object that Evergate did not make".into()))?;
    Ok(Notice { number: ProviderOrderNo::received(&number), kind: NoticeKind::Hint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_crc_32_comes_out() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn hosts_are_matched_by_whole_labels() {
        assert!(is_below("api.paypal.com", "paypal.com"));
        assert!(is_below("API.PayPal.com", "paypal.com"));
        assert!(is_below("paypal.com", "paypal.com"));
        assert!(!is_below("evilpaypal.com", "paypal.com"));
        assert!(!is_below("paypal.com.evil.example", "paypal.com"));
    }

    #[test]
    fn the_published_signed_text_comes_out() {
        let Some(vector) = crate::vectors::vector("pp-crc-1") else { return };
        let text = |name: &str| vector[name].as_str().unwrap().to_owned();
        let signed = signed_text(
            &text("transmission_id"),
            &text("transmission_time"),
            &text("webhook_id"),
            text("body").as_bytes(),
        );
        assert_eq!(signed, text("signed_string"));
    }
}
