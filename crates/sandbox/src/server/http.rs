//! A request as all providers see it, and an answer before faults touch it.

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};

/// Bytes of a request body that are read; the providers' own limits are of this order.
const BODY_MAX: usize = 1 << 20;

/// A request, read whole.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Without `?`; empty when there is none.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    /// Reads a request; absolute-form targets lose their scheme and host here.
    pub(crate) async fn read(request: Request<Body>) -> Result<Self, Reply> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, BODY_MAX)
            .await
            .map_err(|_| Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"))?;
        Ok(Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Path and query exactly as sent, which WeChat Pay's signature covers.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// The value of a query parameter.
    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// An answer, whole and right; faults act on it afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(
        status: StatusCode,
        content_type: &'static str,
        body: impl Into<Vec<u8>>,
    ) -> Self {
        Self { status, content_type, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn text(status: StatusCode, body: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    pub(crate) fn html(status: StatusCode, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/html;charset=utf-8", body)
    }

    pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The headers and status of this answer over some body.
    pub(crate) fn into_response_with(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status != StatusCode::NO_CONTENT {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            // Values come from our own ids and signatures, except echoes of request headers,
            // which were header values before.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }

    pub(crate) fn into_response(mut self) -> Response {
        let body = Body::from(std::mem::take(&mut self.body));
        self.into_response_with(body)
    }
}

/// An HTTP status from a number that validation has kept within 400 and 599.
pub(crate) fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
