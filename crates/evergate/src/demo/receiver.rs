//! The shop's own server: takes webhooks, verifies their signatures, and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What has arrived so far.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Messages by id; the value is the kind.
    pub messages: BTreeMap<String, String>,
    /// Payments of which `payment.paid` was told.
    pub paid: BTreeSet<String>,
    /// Messages that came again.
    pub repeated: u64,
    /// Messages whose signature was wrong.
    pub forged: u64,
}

/// A running receiver; it stops when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    secret: String,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

struct Inner {
    key: hmac::Key,
    received: Mutex<Received>,
}

impl Receiver {
    /// Starts on a free port of this machine.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> std::io::Result<Receiver> {
        let bytes = crate::clock::random::<32>();
        let secret = format!("whsec_{}", STANDARD.encode(bytes));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let inner = Arc::new(Inner { key, received: Mutex::default() });
        let app = Router::new().route("/webhooks", post(take)).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move {
            // Ends only with the task.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Receiver { address, secret, inner, task })
    }

    /// Where messages go.
    pub fn url(&self) -> String {
        format!("http://{}/webhooks", self.address)
    }

    /// What they are signed with.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// What has arrived so far.
    pub fn received(&self) -> Received {
        self.inner.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many messages have arrived so far.
    pub fn count(&self) -> usize {
        self.inner.received.lock().unwrap_or_else(PoisonError::into_inner).messages.len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let id = header("webhook-id");
    let proven =
        verified(&inner.key, id, header("webhook-timestamp"), header("webhook-signature"), &body);
    let mut received = inner.received.lock().unwrap_or_else(PoisonError::into_inner);
    if !proven {
        received.forged += 1;
        return StatusCode::UNAUTHORIZED;
    }
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let kind = message["type"].as_str().unwrap_or("").to_owned();
    if kind == "payment.paid"
        && let Some(payment) = message["data"]["id"].as_str()
    {
        received.paid.insert(payment.to_owned());
    }
    if received.messages.insert(id.to_owned(), kind).is_some() {
        received.repeated += 1;
    }
    StatusCode::NO_CONTENT
}

/// Whether one of the signatures is right: `v1,` and the Base64 of HMAC-SHA-256 over
/// `id.timestamp.body`.
fn verified(key: &hmac::Key, id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> bool {
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    signatures.split(' ').filter_map(|s| s.strip_prefix("v1,")).any(|signature| {
        STANDARD.decode(signature).is_ok_and(|tag| hmac::verify(key, &signed, &tag).is_ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_signature_proves_a_message() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let sign = |text: &str| STANDARD.encode(hmac::sign(&key, text.as_bytes()));
        let good = format!("v1,AAAA v1,{}", sign("msg_1.1700000000.{}"));
        assert!(verified(&key, "msg_1", "1700000000", &good, b"{}"));
        assert!(!verified(&key, "msg_2", "1700000000", &good, b"{}"));
        assert!(!verified(&key, "msg_1", "1700000000", "", b"{}"));
    }
}
