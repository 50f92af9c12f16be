//! PayPal's error bodies.

use http::StatusCode;
use serde_json::{Value, json};

use crate::books::paypal::Issue;
use crate::server::{Reply, status};

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: StatusCode,
    name: String,
    message: String,
    issue: Option<(String, Option<String>)>,
    /// The token endpoint's own form.
    oauth: bool,
}

impl Failure {
    fn new(status: StatusCode, name: &str, message: &str) -> Self {
        let (name, message) = (name.to_owned(), message.to_owned());
        Self { status, name, message, issue: None, oauth: false }
    }

    fn oauth(name: &str, message: &str) -> Self {
        let mut failure = Self::new(StatusCode::UNAUTHORIZED, name, message);
        failure.oauth = true;
        failure
    }

    fn with(mut self, issue: &str, field: Option<&str>) -> Self {
        self.issue = Some((issue.to_owned(), field.map(str::to_owned)));
        self
    }

    fn unprocessable(issue: &str) -> Self {
        let message = "The request was understood and cannot be carried out.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "UNPROCESSABLE_ENTITY", message)
            .with(issue, None)
    }

    pub(super) fn client() -> Self {
        Self::oauth("invalid_client", "Client Authentication failed")
    }

    pub(super) fn grant() -> Self {
        let mut failure = Self::oauth("unsupported_grant_type", "unsupported grant_type");
        failure.status = StatusCode::BAD_REQUEST;
        failure
    }

    pub(super) fn token() -> Self {
        Self::oauth("invalid_token", "Token signature verification failed")
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_FOUND", "The resource does not exist.")
            .with("INVALID_RESOURCE_ID", None)
    }

    pub(super) fn malformed() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "The request is not well formed.")
            .with("MALFORMED_REQUEST_JSON", None)
    }

    pub(super) fn missing(field: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "A field is missing.")
            .with("MISSING_REQUIRED_PARAMETER", Some(field))
    }

    pub(super) fn parameter(field: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", "A field is not valid.")
            .with("INVALID_PARAMETER_VALUE", Some(field))
    }

    pub(super) fn currency() -> Self {
        Self::unprocessable("CURRENCY_NOT_SUPPORTED")
    }

    pub(super) fn other_request() -> Self {
        Self::unprocessable("PAYPAL_REQUEST_ID_PREVIOUSLY_USED")
    }

    /// An HTTP status without a cause of its own.
    pub(super) fn http(code: u16) -> Self {
        let name = match code {
            401 => return Self::token(),
            403 => "NOT_AUTHORIZED",
            404 => "RESOURCE_NOT_FOUND",
            409 => "PREVIOUS_REQUEST_IN_PROGRESS",
            415 => "UNSUPPORTED_MEDIA_TYPE",
            429 => "RATE_LIMIT_REACHED",
            503 => "SERVICE_UNAVAILABLE",
            500..=599 => "INTERNAL_SERVER_ERROR",
            _ => "INVALID_REQUEST",
        };
        Self::new(status(code), name, "A fault was asked for.")
    }

    /// A business error by its issue, and by its name when a status of its own goes with it.
    pub(super) fn named(code: &str, issue: Option<&str>, given: Option<u16>) -> Self {
        match (issue, given) {
            (None, None | Some(422)) => Self::unprocessable(code),
            (_, Some(401)) => Self::oauth(code, "A fault was asked for."),
            (issue, given) => {
                let mut failure =
                    Self::new(status(given.unwrap_or(422)), code, "A fault was asked for.");
                if let Some(issue) = issue {
                    failure = failure.with(issue, None);
                }
                failure
            }
        }
    }

    pub(super) fn reply(&self, debug_id: &str) -> Reply {
        if self.oauth {
            let body = json!({ "error": self.name, "error_description": self.message });
            return Reply::json(self.status, &body);
        }
        let details: Vec<Value> = self
            .issue
            .iter()
            .map(|(issue, field)| {
                let mut detail = json!({ "issue": issue, "description": self.message });
                if let Some(field) = field {
                    detail["field"] = field.as_str().into();
                    detail["location"] = "body".into();
                }
                detail
            })
            .collect();
        Reply::json(
            self.status,
            &json!({
                "name": self.name,
                "message": self.message,
                "debug_id": debug_id,
                "details": details,
                "links": [],
            }),
        )
    }
}

impl From<Issue> for Failure {
    fn from(issue: Issue) -> Self {
        match issue {
            Issue::NotFound => Self::not_found(),
            Issue::NotApproved => Self::unprocessable("ORDER_NOT_APPROVED"),
            Issue::AlreadyCaptured => Self::unprocessable("ORDER_ALREADY_CAPTURED"),
            Issue::DuplicateInvoice => Self::unprocessable("DUPLICATE_INVOICE_ID"),
            Issue::FullyRefunded => Self::unprocessable("CAPTURE_FULLY_REFUNDED"),
            Issue::RefundTooMuch => Self::unprocessable("REFUND_AMOUNT_EXCEEDED"),
        }
    }
}
