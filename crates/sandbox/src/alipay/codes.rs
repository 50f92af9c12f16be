//! Alipay's refusals: gateway codes and the business layer's `ACQ.` codes.

use http::StatusCode;
use serde_json::{Value, json};

use crate::books::alipay::TradeError;
use crate::server::Reply;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    code: String,
    sub_code: Option<String>,
    sub_msg: String,
}

impl Failure {
    fn new(code: &str, sub_code: &str, sub_msg: impl Into<String>) -> Self {
        Self { code: code.to_owned(), sub_code: Some(sub_code.to_owned()), sub_msg: sub_msg.into() }
    }

    /// A system parameter is absent.
    pub(crate) fn missing(param: &str) -> Self {
        let name = match param {
            "sign" => "signature".to_owned(),
            "sign_type" => "signature-type".to_owned(),
            other => other.replace('_', "-"),
        };
        Self::new("40001", &format!("isv.missing-{name}"), format!("缺少参数 {param}"))
    }

    /// A system parameter is wrong.
    pub(crate) fn invalid(name: &str) -> Self {
        let sub_msg = match name {
            "signature" => "验签出错，请检查应用私钥与平台上的应用公钥是否成对".to_owned(),
            "app-id" => "无效的 AppID 参数".to_owned(),
            "timestamp" => "时间戳参数无效".to_owned(),
            other => format!("参数无效：{other}"),
        };
        Self::new("40002", &format!("isv.invalid-{name}"), sub_msg)
    }

    /// A business parameter is wrong.
    pub(crate) fn parameter(why: &str) -> Self {
        Self::new("40004", "ACQ.INVALID_PARAMETER", format!("参数无效：{why}"))
    }

    /// The provider is closed for maintenance.
    pub(crate) fn maintenance() -> Self {
        Self::new("20000", "isp.unknow-error", "系统维护中，请稍后再试")
    }

    /// Whatever a fault rule names.
    pub(crate) fn named(code: &str, sub_code: Option<&str>) -> Self {
        Self {
            code: code.to_owned(),
            sub_code: sub_code.map(str::to_owned),
            sub_msg: "沙箱故障".to_owned(),
        }
    }

    /// The gateway's own refusals are not signed: it does not trust who is asking.
    pub(crate) fn is_signed(&self) -> bool {
        let sub_code = self.sub_code.as_deref().unwrap_or_default();
        !matches!(sub_code, "isv.invalid-signature" | "isv.invalid-app-id")
            && !sub_code.starts_with("isv.missing-")
    }

    fn msg(&self) -> &'static str {
        match self.code.as_str() {
            "10003" => "order success pay inprocess",
            "20000" => "Service Currently Unavailable",
            "20001" => "Insufficient Token Permissions",
            "40001" => "Missing Required Arguments",
            "40002" => "Invalid Arguments",
            "40003" => "Insufficient Conditions",
            "40005" => "Call Limited",
            "40006" => "Insufficient Permissions",
            _ => "Business Failed",
        }
    }

    pub(crate) fn fields(&self) -> Value {
        let mut fields = json!({ "code": self.code, "msg": self.msg() });
        if let Some(sub_code) = &self.sub_code {
            fields["sub_code"] = sub_code.as_str().into();
            fields["sub_msg"] = self.sub_msg.as_str().into();
        }
        fields
    }
}

impl From<TradeError> for Failure {
    fn from(error: TradeError) -> Self {
        let (sub_code, sub_msg) = match error {
            TradeError::NotExist => ("ACQ.TRADE_NOT_EXIST", "交易不存在"),
            TradeError::HasSuccess => ("ACQ.TRADE_HAS_SUCCESS", "交易已被支付"),
            TradeError::HasClose => ("ACQ.TRADE_HAS_CLOSE", "交易已经关闭"),
            TradeError::ContextInconsistent => ("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改"),
            TradeError::StatusError => ("ACQ.TRADE_STATUS_ERROR", "交易状态不合法"),
            TradeError::RefundFeeError => ("ACQ.REASON_TRADE_REFUND_FEE_ERR", "退款金额无效"),
            TradeError::DiscordantRepeat => ("ACQ.DISCORDANT_REPEAT_REQUEST", "不一致的请求"),
            TradeError::NotAllowRefund => ("ACQ.TRADE_NOT_ALLOW_REFUND", "当前交易不允许退款"),
            TradeError::Expired => ("ACQ.INVALID_PARAMETER", "time_expire 已过"),
        };
        Self::new("40004", sub_code, sub_msg)
    }
}

/// A refusal as the buyer's browser sees it.
pub(crate) fn page(failed: &Failure) -> Reply {
    let code = failed.sub_code.as_deref().unwrap_or(&failed.code);
    let (code, why) = (crate::pages::escape(code), crate::pages::escape(&failed.sub_msg));
    Reply::html(
        StatusCode::OK,
        format!("<!doctype html><meta charset=utf-8><title>{code}</title><h1>{code}</h1><p>{why}"),
    )
}
