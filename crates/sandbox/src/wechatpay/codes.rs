//! WeChat Pay's refusals: an HTTP status, a code and a message, unsigned.

use http::StatusCode;
use serde_json::{Value, json};

use crate::books::wechatpay::OrderError;
use crate::server::{Reply, status};

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    status: StatusCode,
    code: String,
    message: String,
    detail: Option<Value>,
}

impl Failure {
    fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned(), detail: None }
    }

    /// A parameter is absent or wrong.
    pub(crate) fn parameter(field: &str, issue: &str) -> Self {
        let detail = json!({ "field": field, "issue": issue, "location": "body" });
        let mut failed = Self::new(StatusCode::BAD_REQUEST, "PARAM_ERROR", "参数错误");
        failed.detail = Some(detail);
        failed
    }

    /// The request does not prove where it comes from.
    pub(crate) fn sign(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "SIGN_ERROR", message)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "请求的资源不存在")
    }

    pub(crate) fn account(code: &str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Merchants that verify with a public key have no certificates to download.
    pub(crate) fn no_certificate() -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_EXISTS", "无可用的平台证书")
    }

    pub(crate) fn maintenance() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", "系统维护中，请稍后重试")
    }

    /// Whatever a fault rule names, with the status that the code usually has.
    pub(crate) fn named(code: &str, given: Option<StatusCode>) -> Self {
        let usual = match code {
            "SIGN_ERROR" => StatusCode::UNAUTHORIZED,
            "NO_AUTH" | "RULE_LIMIT" | "OUT_TRADE_NO_USED" | "NOT_ENOUGH" | "ACCOUNT_ERROR" => {
                StatusCode::FORBIDDEN
            }
            "ORDER_NOT_EXIST" | "ORDERNOTEXIST" | "RESOURCE_NOT_EXISTS" => StatusCode::NOT_FOUND,
            "FREQUENCY_LIMITED" | "RATELIMIT_EXCEEDED" => StatusCode::TOO_MANY_REQUESTS,
            "SYSTEM_ERROR" | "BANK_ERROR" | "BANKERROR" => StatusCode::INTERNAL_SERVER_ERROR,
            "SERVICE_UNAVAILABLE" => StatusCode::SERVICE_UNAVAILABLE,
            "USERPAYING" => StatusCode::ACCEPTED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(given.unwrap_or(usual), code, "沙箱故障")
    }

    /// What this status says by itself.
    pub(crate) fn http(code: u16) -> Self {
        let name = match code {
            429 => "FREQUENCY_LIMITED",
            502..=504 => "SERVICE_UNAVAILABLE",
            500.. => "SYSTEM_ERROR",
            _ => "INVALID_REQUEST",
        };
        Self::new(status(code), name, "系统异常，请用相同参数重新调用")
    }

    pub(crate) fn reply(&self, request_id: &str) -> Reply {
        let mut body = json!({ "code": self.code, "message": self.message });
        if let Some(detail) = &self.detail {
            body["detail"] = detail.clone();
        }
        Reply::json(self.status, &body).with("request-id", request_id)
    }
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Self {
        let (status, code, message) = match error {
            OrderError::NotExist => (StatusCode::NOT_FOUND, "ORDER_NOT_EXIST", "订单不存在"),
            OrderError::Paid => (StatusCode::BAD_REQUEST, "ORDERPAID", "该订单已支付"),
            OrderError::Closed => (StatusCode::BAD_REQUEST, "ORDER_CLOSED", "该订单已关闭"),
            OrderError::NumberUsed => {
                (StatusCode::FORBIDDEN, "OUT_TRADE_NO_USED", "商户订单号重复")
            }
            OrderError::NotPaid => (StatusCode::BAD_REQUEST, "INVALID_REQUEST", "订单未支付"),
            OrderError::RefundMismatch => {
                (StatusCode::BAD_REQUEST, "INVALID_REQUEST", "订单金额或退款金额与之前请求不一致")
            }
            OrderError::RefundTooMuch => {
                (StatusCode::BAD_REQUEST, "INVALID_REQUEST", "退款金额超过可退金额")
            }
            OrderError::RefundTooMany => {
                (StatusCode::BAD_REQUEST, "INVALID_REQUEST", "部分退款次数超限")
            }
            OrderError::RefundNotExist => {
                (StatusCode::NOT_FOUND, "RESOURCE_NOT_EXISTS", "退款单不存在")
            }
        };
        Self::new(status, code, message)
    }
}
