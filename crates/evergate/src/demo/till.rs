//! The shopper's side of a provider, over the sandbox's HTTP API.

use std::time::Duration;

use serde_json::{Value, json};

/// Where shoppers pay.
#[derive(Clone)]
pub(super) struct Till {
    http: reqwest::Client,
    url: String,
}

/// What a shopper got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TillAnswer {
    /// The money is taken.
    Paid,
    /// The shopper's bank said no.
    Declined,
    /// The code is closed, expired or paid already.
    Refused,
    /// The provider's page cannot be reached.
    Unreachable,
}

impl Till {
    /// The pages of the sandbox at this address.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub(super) fn new(sandbox_url: &str) -> reqwest::Result<Till> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .tcp_nodelay(true)
            .timeout(Duration::from_secs(5))
            .build()?;
        Ok(Till { http, url: format!("{sandbox_url}/sandbox/pay") })
    }

    /// Pays what a payment's presentation shows, with a card where one is asked for.
    pub(super) async fn pay(&self, presentation: &Value, card: Option<&str>) -> TillAnswer {
        let shown = ["content", "url", "secret"].iter().find_map(|f| presentation[f].as_str());
        let Some(code) = shown else { return TillAnswer::Refused };
        let mut wish = json!({ "code": code });
        if let Some(card) = card {
            wish["card"] = json!(card);
        }
        let request = self.http.post(&self.url).header("content-type", "application/json");
        let Ok(answer) = request.body(wish.to_string()).send().await else {
            return TillAnswer::Unreachable;
        };
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap_or_default();
        let result: Value = serde_json::from_slice(&body).unwrap_or_default();
        match status {
            200 if result["paid"] == true => TillAnswer::Paid,
            200 => TillAnswer::Declined,
            400..500 => TillAnswer::Refused,
            _ => TillAnswer::Unreachable,
        }
    }
}
