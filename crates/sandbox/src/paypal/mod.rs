//! PayPal: Orders v2, Payments v2, the token that everything needs, and webhook verification.
//!
//! Answers are not signed; the token in `Authorization` says whose books are meant.

mod errors;
mod idempotency;
mod notify;
mod objects;
mod ops;
pub(crate) mod shopper;
mod token;

use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
pub(crate) use notify::{Notification, RESENDS_S};
use serde_json::Value;

use self::errors::Failure;
use self::idempotency::Idempotency;
use self::token::Tokens;
use crate::account::PaypalKeys;
use crate::books::paypal::PaypalBook;
use crate::books::{IdSource, Millis, ProviderKind};
use crate::control::lock;
use crate::faults::{Effect, Fault, Operation};
use crate::keys::{KeyError, SigningKey, VerifyingKey};
use crate::server::{Call, Reply};
use crate::state::{Scene, State};

/// One application with its keys and books.
pub(crate) struct PaypalAccount {
    pub(crate) name: String,
    client_secret: String,
    webhook_id: String,
    pub(crate) webhook_url: Mutex<Option<String>>,
    key: SigningKey,
    public: VerifyingKey,
    certificate_pem: String,
    /// The certificate's name in its address.
    certificate_id: String,
    pub(crate) book: Mutex<PaypalBook>,
    tokens: Mutex<Tokens>,
    idempotency: Mutex<Idempotency>,
    ids: Mutex<IdSource>,
}

impl PaypalAccount {
    pub(crate) fn open(name: &str, keys: &PaypalKeys, seed: u64) -> Result<Self, KeyError> {
        let what = |key: &str| format!("{name}: {key}");
        Ok(Self {
            name: name.to_owned(),
            client_secret: keys.client_secret.clone(),
            webhook_id: keys.webhook_id.clone(),
            webhook_url: Mutex::new(None),
            key: SigningKey::from_pem(&keys.private_key_pem, &what("webhook key"))?,
            public: VerifyingKey::from_certificate(&keys.certificate_pem, &what("certificate"))?,
            certificate_pem: keys.certificate_pem.clone(),
            certificate_id: format!("CERT-{}", keys.webhook_id.to_lowercase()),
            book: Mutex::new(PaypalBook::new(name, seed)),
            tokens: Mutex::new(Tokens::new(seed, name)),
            idempotency: Mutex::new(Idempotency::default()),
            ids: Mutex::new(IdSource::new(seed, &format!("paypal ids {name}"))),
        })
    }
}

/// Whether a path under `/v1` is PayPal's and not Stripe's.
pub(crate) fn owns(path: &str) -> bool {
    path.starts_with("/v1/oauth2/") || path.starts_with("/v1/notifications/")
}

/// A request, read but not believed.
pub(crate) struct Intake {
    call: Call,
    account: Option<Arc<PaypalAccount>>,
    path: Vec<String>,
    pub(crate) scene: Scene,
}

pub(crate) fn read(state: &State, call: Call, now: Millis) -> Intake {
    let path: Vec<String> =
        call.path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let operation = operation(&call.method, &path);
    let account = if operation == Operation::Token {
        token::client(state, &call)
    } else {
        token::bearer(state, &call, now)
    };
    let scene = Scene {
        provider: ProviderKind::Paypal,
        account: account.as_ref().map(|account| account.name.clone()).unwrap_or_default(),
        operation,
        method: Some("paypal"),
        bank: None,
    };
    Intake { call, account, path, scene }
}

fn operation(method: &Method, path: &[String]) -> Operation {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let post = method == Method::POST;
    match parts[..] {
        ["v1", "oauth2", "token"] => Operation::Token,
        ["v1", "notifications", "certs", _] => Operation::Certificates,
        ["v2", "checkout", "orders"] if post => Operation::Create,
        ["v2", "checkout", "orders", _, "capture"] if post => Operation::Capture,
        ["v2", "checkout", "orders", _] | ["v2", "payments", "captures", _] if !post => {
            Operation::Query
        }
        ["v2", "payments", "captures", _, "refund"] if post => Operation::Refund,
        ["v2", "payments", "refunds", _] if !post => Operation::RefundQuery,
        _ => Operation::Other,
    }
}

/// Answers a call, playing the faults that act inside the provider.
pub(crate) fn answer(state: &State, intake: &Intake, fault: Option<&Fault>, now: Millis) -> Reply {
    let debug_id = match &intake.account {
        Some(account) => lock(&account.ids).hex(13),
        None => "0000000000000".to_owned(),
    };
    let reply = match fault {
        Some(Fault::HttpStatus { status, effect: Effect::Before }) => {
            Failure::http(*status).reply(&debug_id)
        }
        Some(Fault::Maintenance) => Failure::http(503).reply(&debug_id),
        Some(Fault::BusinessError { code, sub_code, status }) => {
            Failure::named(code, sub_code.as_deref(), *status).reply(&debug_id)
        }
        _ => done(state, intake, fault, &debug_id, now),
    };
    reply.with("paypal-debug-id", debug_id)
}

fn done(
    state: &State,
    intake: &Intake,
    fault: Option<&Fault>,
    debug_id: &str,
    now: Millis,
) -> Reply {
    let reply = match intake.scene.operation {
        Operation::Token => token::grant(state, intake, now),
        Operation::Certificates => certificate(state, intake),
        _ => authorised(state, intake, matches!(fault, Some(Fault::LyingQuery)), now),
    };
    match (fault, reply) {
        (Some(Fault::HttpStatus { status, effect: Effect::After }), _) => {
            Failure::http(*status).reply(debug_id)
        }
        (_, Ok(reply)) => reply,
        (_, Err(failure)) => failure.reply(debug_id),
    }
}

fn authorised(state: &State, intake: &Intake, lie: bool, now: Millis) -> Result<Reply, Failure> {
    let account = intake.account.as_ref().ok_or_else(Failure::token)?;
    ops::Job { state, account, call: &intake.call, lie, now }.run(&intake.path)
}

/// Anybody may fetch the certificate that webhooks are signed with.
fn certificate(state: &State, intake: &Intake) -> Result<Reply, Failure> {
    let wanted = intake.path.last().map(String::as_str).unwrap_or_default();
    let account = state.paypal.iter().find(|account| account.certificate_id == wanted);
    let account = account.ok_or_else(Failure::not_found)?;
    Ok(Reply::new(StatusCode::OK, "application/x-x509-ca-cert", account.certificate_pem.as_str()))
}

fn json(status: StatusCode, body: &Value) -> Reply {
    Reply::json(status, body)
}
