//! Tokens by client credentials.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::StatusCode;
use serde_json::json;

use super::errors::Failure;
use super::{Intake, PaypalAccount};
use crate::books::{IdSource, Millis};
use crate::control::lock;
use crate::server::{Call, Reply};
use crate::state::State;

/// How long a token lasts, before scaling: nine hours.
const LASTS_MS: Millis = 9 * 3_600_000;

/// An account's tokens that are still good.
pub(super) struct Tokens {
    ids: IdSource,
    until: HashMap<String, Millis>,
}

impl Tokens {
    pub(super) fn new(seed: u64, account: &str) -> Self {
        let ids = IdSource::new(seed, &format!("paypal tokens {account}"));
        Self { ids, until: HashMap::new() }
    }

    fn grant(&mut self, lasts: Millis, now: Millis) -> String {
        self.until.retain(|_, until| *until > now);
        let token = format!("A21AA{}", self.ids.alnum(64));
        self.until.insert(token.clone(), now + lasts);
        token
    }
}

/// The account of the client id in `Authorization: Basic`.
pub(super) fn client(state: &State, call: &Call) -> Option<Arc<PaypalAccount>> {
    state.paypal.get(&basic(call)?.0).cloned()
}

fn basic(call: &Call) -> Option<(String, String)> {
    let header = call.header("authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64.decode(header.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

/// The account that a token was granted to, while it is good.
pub(super) fn bearer(state: &State, call: &Call, now: Millis) -> Option<Arc<PaypalAccount>> {
    let token = call.header("authorization")?.strip_prefix("Bearer ")?.trim();
    let good = |account: &&Arc<PaypalAccount>| {
        lock(&account.tokens).until.get(token).is_some_and(|until| *until > now)
    };
    state.paypal.iter().find(good).cloned()
}

pub(super) fn grant(state: &State, intake: &Intake, now: Millis) -> Result<Reply, Failure> {
    let secret = basic(&intake.call).map(|(_, secret)| secret).unwrap_or_default();
    let account = intake.account.as_ref().filter(|account| account.client_secret == secret);
    let account = account.ok_or_else(Failure::client)?;
    let grants = form_urlencoded::parse(&intake.call.body)
        .any(|(name, value)| name == "grant_type" && value == "client_credentials");
    if !grants {
        return Err(Failure::grant());
    }
    // At least a minute, so that a fast sandbox does not grant tokens that have run out.
    let lasts = state.scaled(LASTS_MS).max(60_000);
    let token = lock(&account.tokens).grant(lasts, now);
    Ok(super::json(
        StatusCode::OK,
        &json!({
            "scope": "https://uri.paypal.com/services/payments/payment",
            "access_token": token,
            "token_type": "Bearer",
            "app_id": "APP-80W284485P519543T",
            "expires_in": lasts / 1_000,
            "nonce": format!("{now}"),
        }),
    ))
}
