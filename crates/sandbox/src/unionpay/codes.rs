//! The platform's refusals, by `respCode`.

use http::StatusCode;

use crate::books::unionpay::TxnError;
use crate::pages::escape;
use crate::server::Reply;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    pub(crate) fn missing(field: &str) -> Self {
        Self::new("13", format!("报文字段缺失[{field}]"))
    }

    pub(crate) fn format(field: &str) -> Self {
        Self::new("10", format!("报文格式错误[{field}]"))
    }

    pub(crate) fn signature() -> Self {
        Self::new("11", "验证签名失败[9100004]")
    }

    pub(crate) fn merchant() -> Self {
        Self::new("31", "商户状态不正确[merId]")
    }

    pub(crate) fn unsupported() -> Self {
        Self::new("40", "系统不支持该交易[txnType]")
    }

    pub(crate) fn not_found() -> Self {
        Self::from(TxnError::NotFound)
    }

    /// The platform is closed for maintenance.
    pub(crate) fn maintenance() -> Self {
        Self::new("02", "系统未开放或暂时关闭，请稍后再试[0200000]")
    }

    /// Whatever a fault rule names.
    pub(crate) fn named(code: &str) -> Self {
        Self::new(code, "沙箱故障")
    }
}

impl From<TxnError> for Failure {
    fn from(error: TxnError) -> Self {
        let (code, message) = match error {
            TxnError::Duplicate => ("12", "重复交易[1200000]"),
            TxnError::NotFound => ("34", "查无此交易[2600000]"),
            TxnError::OriginalNotAllowed => ("35", "原交易状态不正确[3500000]"),
            TxnError::AmountOver => ("43", "交易金额超限[4300000]"),
            TxnError::NoFile => ("98", "文件不存在[9800000]"),
            TxnError::AlreadyReturned => ("45", "原交易已被成功退货或已被成功撤销[4500000]"),
        };
        Self::new(code, message)
    }
}

/// A refusal as the customer's browser sees it.
pub(crate) fn page(failed: &Failure) -> Reply {
    let (code, why) = (escape(&failed.code), escape(&failed.message));
    Reply::html(
        StatusCode::OK,
        format!("<!doctype html><meta charset=utf-8><title>{code}</title><h1>{code}</h1><p>{why}"),
    )
}
