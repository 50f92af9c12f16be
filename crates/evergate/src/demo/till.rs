//! The shopper's side of a provider, over the sandbox's HTTP API.

use std::time::Duration;

use serde_json::{Value, json};

/// Where shoppers pay.
#[derive(Clone)]
pub(super) struct Till {
    http: reqwest::Client,
    url: String,
}

/// What a shopper pays with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Purse<'a> {
    /// The number of the card that is typed in; a good one when absent.
    pub(super) card: Option<&'a str>,
    /// The bank that is chosen at UnionPay's cashier.
    pub(super) bank: Option<&'a str>,
}

/// What a shopper got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TillAnswer {
    /// The money is taken; at PayPal, the shopper has agreed that it be taken.
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

    /// Pays what a payment's presentation shows, with the shopper's own card or bank where one
    /// is asked for.
    pub(super) async fn pay(&self, presentation: &Value, purse: Purse<'_>) -> TillAnswer {
        let Some(code) = code(presentation) else { return TillAnswer::Refused };
        let mut wish = json!({ "code": code });
        if let Some(card) = purse.card {
            wish["card"] = json!(card);
        }
        if let Some(bank) = purse.bank {
            wish["bank"] = json!(bank);
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

/// What stands on the code, or where the link or the form leads.
fn code(presentation: &Value) -> Option<String> {
    if let Some(fields) = presentation["fields"].as_object() {
        let fields = fields.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
        let url = reqwest::Url::parse_with_params(presentation["url"].as_str()?, fields).ok()?;
        return Some(url.into());
    }
    let shown = ["content", "url", "secret"].iter().find_map(|f| presentation[f].as_str());
    shown.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_its_address_with_its_fields() {
        let form = json!({ "type": "form", "url": "http://u/frontTransReq.do",
            "fields": { "orderId": "E1", "orderDesc": "a b&c" } });
        let code = code(&form).unwrap();
        assert_eq!(code, "http://u/frontTransReq.do?orderDesc=a+b%26c&orderId=E1");
    }
}
