//! The token: OAuth 2, client credentials.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::codec::Paypal;
use crate::crypto::Secret;
use crate::{Login, NoToken, Request, Response, Token};

/// The safety margin taken off a token's time: a tenth of it, a minute at most.
const MARGIN_S_MAX: u64 = 60;

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: u64,
}

impl Login for Paypal {
    fn request(&self) -> Request {
        let pair = format!("{}:{}", self.client_id, self.client_secret.expose());
        Request {
            method: http::Method::POST,
            url: format!("{}/v1/oauth2/token", self.base_url),
            headers: vec![
                ("authorization", format!("Basic {}", STANDARD.encode(pair))),
                ("content-type", "application/x-www-form-urlencoded".to_owned()),
                ("accept", "application/json".to_owned()),
            ],
            body: b"grant_type=client_credentials".to_vec(),
        }
    }

    fn token(&self, response: &Response) -> Result<Token, NoToken> {
        match response.status {
            200 => {}
            // A limiter and a server error pass; every other refusal is about our credentials.
            400..=403 => {
                let detail = "PayPal does not accept client_id and client_secret";
                return Err(NoToken::Refused(detail.to_owned()));
            }
            status => {
                let detail = format!("no token, so nothing was sent: HTTP {status}");
                return Err(NoToken::Unavailable(detail));
            }
        }
        let granted: Option<Granted> = serde_json::from_slice(&response.body).ok();
        let usable = granted.filter(|g| {
            let sound = g.access_token.bytes().all(|b| b.is_ascii_graphic());
            sound && !g.access_token.is_empty() && g.token_type.eq_ignore_ascii_case("bearer")
        });
        let granted = usable.ok_or_else(|| {
            NoToken::Unavailable("no token, so nothing was sent: the answer holds none".to_owned())
        })?;
        let margin = (granted.expires_in / 10).min(MARGIN_S_MAX);
        Ok(Token {
            bearer: Secret::new(granted.access_token),
            // A day at most, whatever the answer says.
            lasts: Duration::from_secs((granted.expires_in - margin).min(86_400)),
        })
    }

    fn disbelieved(&self, response: &Response) -> bool {
        response.status == 401
    }
}
