//! A small client of the gateway's HTTP API, used by the commands and by the demo's shop.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

/// A gateway and the key to speak to it with.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    key: String,
}

/// Why a call gave nothing.
#[derive(Clone, Debug)]
pub enum ApiError {
    /// The gateway refused, and says why (RFC 9457).
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem's kind, such as `order-conflict`.
        kind: String,
        /// What happened and what to do, in one line.
        message: String,
    },
    /// No usable answer came.
    Silent(String),
}

impl ApiError {
    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            ApiError::Refused { status, .. } => Some(*status),
            ApiError::Silent(_) => None,
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiError::Refused { status, kind, message } => {
                write!(f, "{message} (HTTP {status}, {kind})")
            }
            ApiError::Silent(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ApiError {}

impl Api {
    /// A client of the gateway at `base`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str, key: &str) -> Result<Api, ApiError> {
        let builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(256)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("evergate-cli/", env!("CARGO_PKG_VERSION")));
        // Plain http needs no certificates, and a bare machine has none.
        let plain = base.starts_with("http:");
        let builder = if plain { builder.no_proxy().tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(|error| ApiError::Silent(describe(&error)))?;
        Ok(Api { http, base: base.trim_end_matches('/').to_owned(), key: key.to_owned() })
    }

    /// Reads something.
    ///
    /// # Errors
    /// When the gateway refuses or does not answer.
    pub async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, ApiError> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query.iter().map(|(n, v)| (*n, v.as_str())));
        }
        self.send(self.http.request(Method::GET, url)).await.map(|(_, value)| value)
    }

    /// Asks for something to be done. Gives the status too, because 200 is a repetition where
    /// 201 is new.
    ///
    /// # Errors
    /// When the gateway refuses or does not answer.
    pub async fn post(
        &self,
        path: &str,
        body: &Value,
        idempotency_key: Option<&str>,
    ) -> Result<(u16, Value), ApiError> {
        let mut request = self.http.request(Method::POST, self.url(path)?);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if !body.is_null() {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.send(request).await
    }

    /// Sends a file as it is.
    ///
    /// # Errors
    /// When the gateway refuses or does not answer.
    pub async fn send_file(
        &self,
        path: &str,
        query: &[(&str, String)],
        bytes: Vec<u8>,
    ) -> Result<Value, ApiError> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query.iter().map(|(n, v)| (*n, v.as_str())));
        let request = self.http.request(Method::POST, url);
        let request = request.header("content-type", "application/octet-stream").body(bytes);
        self.send(request).await.map(|(_, value)| value)
    }

    /// Takes something away.
    ///
    /// # Errors
    /// When the gateway refuses or does not answer.
    pub async fn delete(&self, path: &str, query: &[(&str, String)]) -> Result<Value, ApiError> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query.iter().map(|(n, v)| (*n, v.as_str())));
        self.send(self.http.request(Method::DELETE, url)).await.map(|(_, value)| value)
    }

    fn url(&self, path: &str) -> Result<reqwest::Url, ApiError> {
        let text = format!("{}{path}", self.base);
        reqwest::Url::parse(&text)
            .map_err(|_| ApiError::Silent(format!("`{}` is not an address", self.base)))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(u16, Value), ApiError> {
        let silent = |error: reqwest::Error| {
            ApiError::Silent(format!("no answer from {}: {}", self.base, describe(&error)))
        };
        let response = request.bearer_auth(&self.key).send().await.map_err(silent)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(silent)?;
        let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status < 400 {
            return Ok((status, value));
        }
        Err(refused(status, &value))
    }
}

fn refused(status: u16, problem: &Value) -> ApiError {
    let text = |name: &str| problem[name].as_str().unwrap_or("").trim().to_owned();
    let kind = text("type").rsplit('/').next().unwrap_or("").to_owned();
    let (title, detail, fix) = (text("title"), text("detail"), text("fix"));
    let mut parts: Vec<String> = Vec::new();
    let placed = |error: &Value| error["line"].is_u64();
    let many = |errors: &&Vec<Value>| errors.len() > 1 || errors.iter().any(placed);
    match problem["errors"].as_array().filter(many) {
        Some(errors) => parts.extend(errors.iter().map(|error| {
            let text = |name: &str| error[name].as_str().unwrap_or("").to_owned();
            let place = match (error["line"].as_u64(), error["column"].as_u64()) {
                (Some(line), Some(column)) => format!("{line}:{column}: "),
                _ => String::new(),
            };
            format!("{place}{}: {}; {}", text("field"), text("rule"), text("fix"))
        })),
        None => parts.extend([detail, fix].into_iter().filter(|part| !part.is_empty())),
    }
    if parts.is_empty() {
        parts.push(if title.is_empty() { "the answer says no more".to_owned() } else { title });
    }
    let kind = if kind.is_empty() { "no problem document".to_owned() } else { kind };
    ApiError::Refused { status, kind, message: parts.join("; ") }
}

/// The innermost reason of an HTTP client's error: the outer ones only repeat the address.
fn describe(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_one_line() {
        let problem = serde_json::json!({
            "type": "/problems/not-found", "title": "There is nothing here", "status": 404,
            "detail": "there is no such payment", "fix": "check the id",
        });
        let told = refused(404, &problem).to_string();
        assert_eq!(told, "there is no such payment; check the id (HTTP 404, not-found)");
        let problem = serde_json::json!({
            "type": "/problems/invalid-request",
            "errors": [{ "field": "log.format", "rule": "no", "fix": "yes", "line": 3, "column": 1 }],
        });
        let told = refused(422, &problem).to_string();
        assert!(told.starts_with("3:1: log.format: no; yes"), "{told}");
        assert!(refused(502, &Value::Null).to_string().contains("HTTP 502"));
    }
}
