//! Stripe's error objects.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::objects;
use crate::books::stripe::IntentError;
use crate::server::{Reply, status};

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    status: StatusCode,
    kind: &'static str,
    message: String,
    more: Map<String, Value>,
    /// Whether the request got past validation, so that an idempotency key keeps the answer.
    executed: bool,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), more: Map::new(), executed: false }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    fn executed(mut self) -> Self {
        self.executed = true;
        self
    }

    pub(crate) fn is_executed(&self) -> bool {
        self.executed
    }

    pub(crate) fn parameter(param: &str, why: &str) -> Self {
        Self::invalid(format!("Invalid {param}: {why}.")).with("param", param)
    }

    pub(crate) fn parameter_missing(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}."))
            .with("param", param)
            .with("code", "parameter_missing")
    }

    pub(crate) fn parameter_unknown(param: &str) -> Self {
        Self::invalid(format!("Received unknown parameter: {param}"))
            .with("param", param)
            .with("code", "parameter_unknown")
    }

    pub(crate) fn integer(param: &str, text: &str) -> Self {
        Self::invalid(format!("Invalid integer: {text}"))
            .with("param", param)
            .with("code", "parameter_invalid_integer")
    }

    pub(crate) fn coded(param: &str, code: &str, message: impl Into<String>) -> Self {
        Self::invalid(message).with("param", param).with("code", code)
    }

    pub(crate) fn missing(object: &str, id: &str) -> Self {
        let message = format!("No such {object}: '{id}'");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
            .with("code", "resource_missing")
            .with("param", if object == "payment_intent" { "intent" } else { "id" })
    }

    pub(crate) fn unrecognised(method: &Method, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", message)
    }

    pub(crate) fn no_key() -> Self {
        let message = "You did not provide an API key in the Authorization header.";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    pub(crate) fn unknown_key(key: &str) -> Self {
        // Only the ends of a key may be shown.
        let tail: String =
            key.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
        let message = format!("Invalid API Key provided: ****{tail}");
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", message)
    }

    pub(crate) fn secret_key_needed() -> Self {
        let message = "This API call cannot be made with a publishable API key.";
        Self::new(StatusCode::FORBIDDEN, "invalid_request_error", message)
            .with("code", "secret_key_required")
    }

    pub(crate) fn long_key() -> Self {
        Self::invalid("Idempotency keys have 1 to 255 characters.")
    }

    pub(crate) fn in_use(key: &str) -> Self {
        let message =
            format!("There is currently another in-progress request using the key {key}.");
        Self::new(StatusCode::CONFLICT, "idempotency_error", message)
            .with("code", "idempotency_key_in_use")
    }

    pub(crate) fn other_parameters(key: &str) -> Self {
        let message = format!(
            "The idempotency key {key} was first used with other parameters or another path."
        );
        Self::new(StatusCode::BAD_REQUEST, "idempotency_error", message)
    }

    /// What this status says by itself.
    pub(crate) fn http(code: u16) -> Self {
        match code {
            429 => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "invalid_request_error",
                "Request rate limit exceeded.",
            )
            .with("code", "rate_limit"),
            500.. => Self::new(status(code), "api_error", "Something went wrong on our side."),
            _ => Self::new(status(code), "invalid_request_error", "The request failed."),
        }
    }

    /// Whatever a fault rule names, with the status that the code usually has.
    pub(crate) fn named(code: &str, decline_code: Option<&str>, given: Option<StatusCode>) -> Self {
        let card = matches!(
            code,
            "card_declined"
                | "expired_card"
                | "incorrect_cvc"
                | "incorrect_number"
                | "processing_error"
                | "authentication_required"
        );
        let usual = match code {
            _ if card => StatusCode::PAYMENT_REQUIRED,
            "rate_limit" | "lock_timeout" => StatusCode::TOO_MANY_REQUESTS,
            "api_key_expired" => StatusCode::UNAUTHORIZED,
            "resource_missing" => StatusCode::NOT_FOUND,
            "idempotency_key_in_use" => StatusCode::CONFLICT,
            _ => StatusCode::BAD_REQUEST,
        };
        let status = given.unwrap_or(usual);
        let kind = match status.as_u16() {
            402 => "card_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        let mut failed = Self::new(status, kind, "A fault of the sandbox.").with("code", code);
        if let Some(decline_code) = decline_code {
            failed = failed.with("decline_code", decline_code);
        }
        if status == StatusCode::PAYMENT_REQUIRED || status.is_server_error() {
            failed = failed.executed();
        }
        failed
    }

    pub(crate) fn reply(&self, request_id: &str) -> Reply {
        let mut error = self.more.clone();
        error.insert("type".to_owned(), self.kind.into());
        error.insert("message".to_owned(), self.message.as_str().into());
        error.insert("request_log_url".to_owned(), format!("sandbox:{request_id}").into());
        Reply::json(self.status, &json!({ "error": error }))
    }
}

impl From<IntentError> for Failure {
    fn from(error: IntentError) -> Self {
        match error {
            IntentError::Missing { object, id } => Self::missing(object, &id),
            IntentError::UnexpectedState(intent, verb) => Self::invalid(format!(
                "You cannot {verb} this PaymentIntent because it has a status of {}.",
                intent.status.as_str()
            ))
            .with("code", "payment_intent_unexpected_state")
            .with("payment_intent", objects::intent(&intent, &[], ""))
            .executed(),
            IntentError::Parameter { param, code, message } => Self::coded(param, code, message),
            IntentError::AlreadyRefunded => Self::invalid("The charge has already been refunded.")
                .with("code", "charge_already_refunded")
                .executed(),
            IntentError::Declined(change) => {
                let mut failed = Self::new(StatusCode::PAYMENT_REQUIRED, "card_error", "");
                if let Some(why) = &change.intent.last_error {
                    let why = objects::payment_error(why);
                    failed.message = why["message"].as_str().unwrap_or_default().to_owned();
                    if let Value::Object(fields) = why {
                        failed.more.extend(fields);
                    }
                }
                failed.with("payment_intent", objects::intent(&change.intent, &[], "")).executed()
            }
        }
    }
}
