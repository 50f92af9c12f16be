//! Messages to merchants, by the Standard Webhooks specification.
//!
//! A message is a row that was committed with the change that it tells of, so it cannot be
//! lost. It is sent until the merchant's endpoint answers 2xx: again after waits that grow, for
//! three days; then it is a dead letter, which can be sent again by hand. The body never
//! changes; `webhook-id` is the same at every try, the timestamp and the signature are fresh.
//!
//! A message to a merchant without an endpoint is a dead letter at once: it costs nothing, and
//! can be sent when there is an endpoint.
//!
//! Endpoints come from the operator's configuration only, so private addresses are allowed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::MerchantId;
use engine::{Engine, Entropy};
use store::{Message, MessageEnd, StoreError};
use tokio::time::Instant;

use crate::workers::WorkersOptions;

/// The waits between tries, as the specification suggests: three days in all.
const WAITS_S: [u64; 9] =
    [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600];

/// A try that takes longer makes its endpoint a slow one.
const SLOW: Duration = Duration::from_secs(2);

/// The longest wait that an endpoint may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The secret that messages to an endpoint are signed with. Never printed.
#[derive(Clone)]
pub struct WebhookSecret(Arc<hmac::Key>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

/// Why a webhook secret is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is `whsec_` and the base64 of 24 to 64 bytes")]
pub struct BadSecret;

impl WebhookSecret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// When it is anything else, or of a length that the specification does not allow.
    pub fn parse(text: &str) -> Result<WebhookSecret, BadSecret> {
        let encoded = text.strip_prefix("whsec_").ok_or(BadSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| BadSecret)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(BadSecret);
        }
        Ok(WebhookSecret(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &bytes))))
    }

    /// The signature of a message: `v1,` and base64.
    fn sign(&self, id: &str, at: i64, body: &str) -> String {
        let signed = format!("{id}.{at}.{body}");
        let tag = hmac::sign(&self.0, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

/// Makes the text of a webhook secret from 32 random bytes.
pub fn generate_webhook_secret(random: [u8; 32]) -> String {
    format!("whsec_{}", STANDARD.encode(random))
}

/// Where a merchant wants its messages.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The address, http or https.
    pub url: String,
    /// The secret; two while one replaces the other, and then each message has two signatures.
    pub secrets: Vec<WebhookSecret>,
}

/// The endpoints of all merchants. They can be replaced while messages are sent.
#[derive(Debug, Default)]
pub struct Endpoints(RwLock<Arc<HashMap<MerchantId, Endpoint>>>);

impl Endpoints {
    /// These endpoints.
    pub fn new(endpoints: HashMap<MerchantId, Endpoint>) -> Endpoints {
        Endpoints(RwLock::new(Arc::new(endpoints)))
    }

    /// Replaces them.
    pub fn set(&self, endpoints: HashMap<MerchantId, Endpoint>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(endpoints);
    }

    fn get(&self, merchant: &MerchantId) -> Option<Endpoint> {
        self.all().get(merchant).cloned()
    }

    fn all(&self) -> Arc<HashMap<MerchantId, Endpoint>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How one try went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Try {
    Taken,
    /// The endpoint does not want any message any more.
    Gone,
    Failed {
        error: String,
        retry_after: Option<Duration>,
    },
}

/// Sends messages.
pub(crate) struct Sender {
    engine: Arc<Engine>,
    entropy: Arc<dyn Entropy>,
    endpoints: Arc<Endpoints>,
    http: reqwest::Client,
    timeout: Duration,
    per_slow_merchant: usize,
    loads: Mutex<HashMap<MerchantId, Load>>,
}

/// What a merchant's endpoint has of us.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    under_way: usize,
    /// Whether its last try failed or took long.
    slow: bool,
}

impl Sender {
    pub(crate) fn new(
        engine: Arc<Engine>,
        entropy: Arc<dyn Entropy>,
        endpoints: Arc<Endpoints>,
        options: &WorkersOptions,
    ) -> Result<Sender, reqwest::Error> {
        let tls = endpoints.all().values().any(|e| !e.url.starts_with("http://"));
        let http = client(tls, options.message_timeout)?;
        Ok(Sender {
            engine,
            entropy,
            endpoints,
            http,
            timeout: options.message_timeout,
            per_slow_merchant: options.max_messages_per_slow_merchant.max(1),
            loads: Mutex::new(HashMap::new()),
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) async fn claim(&self, limit: usize) -> Result<Vec<Message>, StoreError> {
        let now = self.engine.now();
        // Twice the time of a try: whoever takes the message over meets no try under way.
        let lease_until = now + self.timeout * 2;
        self.engine.store().claim_messages(now, lease_until, limit).await
    }

    /// One try of a message, and the note of how it went.
    pub(crate) async fn deliver(&self, message: Message) {
        let Some(endpoint) = self.endpoints.get(&message.merchant) else {
            let error = "no endpoint is configured for the merchant".to_owned();
            return self.note(&message, MessageEnd::Dead { error }, "no_endpoint").await;
        };
        // A slow endpoint has its share and no more: the claim lapses and is taken again later.
        let Some(mut turn) = Turn::take(self, &message.merchant) else { return };
        let began = Instant::now();
        let tried = self.send(&endpoint, &message).await;
        turn.slow = tried != Try::Taken || began.elapsed() > SLOW;
        drop(turn);
        let (end, result) = self.ending(&message, tried);
        self.note(&message, end, result).await;
    }

    fn ending(&self, message: &Message, tried: Try) -> (MessageEnd, &'static str) {
        match tried {
            Try::Taken => (MessageEnd::Delivered, "delivered"),
            Try::Gone => {
                let error = "the endpoint answered 410 Gone".to_owned();
                (MessageEnd::Dead { error }, "gone")
            }
            Try::Failed { error, retry_after } => {
                match next_wait(message.tries, self.entropy.dice()) {
                    Some(wait) => {
                        let wait = wait.max(retry_after.unwrap_or_default());
                        let at = self.engine.now() + wait;
                        (MessageEnd::Retry { at, error }, "retry")
                    }
                    None => (MessageEnd::Dead { error }, "dead"),
                }
            }
        }
    }

    async fn send(&self, endpoint: &Endpoint, message: &Message) -> Try {
        let at = self.engine.now().as_secs();
        let request = self
            .http
            .post(&endpoint.url)
            .header("content-type", "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", at.to_string())
            .header("webhook-signature", signatures(endpoint, &message.id, at, &message.body))
            .body(message.body.clone());
        match request.send().await {
            Ok(response) => answered(&response),
            // The error's own text holds the address, which may hold a secret.
            Err(error) => Try::Failed { error: describe(&error).to_owned(), retry_after: None },
        }
    }

    async fn note(&self, message: &Message, end: MessageEnd, result: &'static str) {
        metrics::counter!("evergate_messages_total", "result" => result).increment(1);
        let dead = matches!(end, MessageEnd::Dead { .. }) && result != "no_endpoint";
        if dead {
            tracing::error!(message = %message.id, merchant = %message.merchant, result,
                "a message to a merchant was given up; it can be sent again by hand");
        }
        let noted = self.engine.store().message_tried(&message.id, message.fence, end).await;
        if let Err(error) = noted {
            // It will be sent once more, which the specification lets every receiver expect.
            tracing::warn!(message = %message.id, %error, "a try could not be noted");
        }
    }
}

/// A merchant's place among the tries under way.
struct Turn<'a> {
    sender: &'a Sender,
    merchant: MerchantId,
    slow: bool,
}

impl<'a> Turn<'a> {
    fn take(sender: &'a Sender, merchant: &MerchantId) -> Option<Turn<'a>> {
        let mut loads = sender.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let load = loads.entry(merchant.clone()).or_default();
        if load.slow && load.under_way >= sender.per_slow_merchant {
            return None;
        }
        load.under_way += 1;
        Some(Turn { sender, merchant: merchant.clone(), slow: load.slow })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut loads = self.sender.loads.lock().unwrap_or_else(PoisonError::into_inner);
        // As many entries as there are merchants with an endpoint: they need not be removed.
        if let Some(load) = loads.get_mut(&self.merchant) {
            load.under_way -= 1;
            load.slow = self.slow;
        }
    }
}

/// The client of webhooks. Without https, a machine that has no certificates will do.
pub(crate) fn client(tls: bool, timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(Duration::from_secs(5))
        .timeout(timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("evergate/", env!("CARGO_PKG_VERSION")));
    if tls { builder } else { builder.tls_certs_only([]) }.build()
}

/// The signatures of a body, by each secret of its endpoint.
pub(crate) fn signatures(endpoint: &Endpoint, id: &str, at: i64, body: &str) -> String {
    let signed = endpoint.secrets.iter().map(|secret| secret.sign(id, at, body));
    signed.collect::<Vec<_>>().join(" ")
}

/// The wait after a try that failed, `tries` having failed before it: plus or minus a tenth,
/// so that what failed together does not come back together. `None` after the last one.
fn next_wait(tries: u32, dice: f64) -> Option<Duration> {
    let wait = WAITS_S.get(usize::try_from(tries).ok()?)?;
    Some(Duration::from_secs(*wait).mul_f64(0.9 + 0.2 * dice))
}

fn answered(response: &reqwest::Response) -> Try {
    let status = response.status();
    if status.is_success() {
        return Try::Taken;
    }
    if status == reqwest::StatusCode::GONE {
        return Try::Gone;
    }
    let asked = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
    let retry_after = asked
        .and_then(|text| text.parse().ok())
        .map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    Try::Failed { error: format!("the endpoint answered {}", status.as_u16()), retry_after }
}

pub(crate) fn describe(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "the endpoint did not answer in time"
    } else if error.is_connect() {
        "the endpoint could not be reached"
    } else if error.is_builder() {
        "the endpoint's address cannot be used"
    } else {
        "the connection to the endpoint broke"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_specifications_own_example() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed =
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "WebhookSecret(..)");
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"] {
            assert!(WebhookSecret::parse(bad).is_err(), "{bad}");
        }
        assert!(WebhookSecret::parse(&generate_webhook_secret([7; 32])).is_ok());
    }

    #[test]
    fn tries_go_on_for_three_days_and_end() {
        let total: Duration = (0..).map_while(|tries| next_wait(tries, 0.5)).sum();
        assert!(total >= Duration::from_secs(3 * 86_400), "{total:?}");
        assert!(total <= Duration::from_secs(4 * 86_400), "{total:?}");
        assert_eq!(next_wait(0, 0.0), Some(Duration::from_millis(4_500)));
        assert_eq!(next_wait(9, 0.5), None);
    }
}
