//! Alipay's codes and what they mean.

use crate::table::{
    Call, HARD, Look, Meaning, NotFound, Refused, Rejected, Row, Unavailable, Unknown,
};

/// A business code: columns create, query, close, refund, refund query. Alipay has no direct
/// flow here, so that column is unknown.
const fn row(
    code: &'static str,
    [create, query, close, refund, query_refund]: [Meaning; 5],
) -> Row {
    Row::new(code, [create, Unknown, query, close, refund, query_refund])
}

/// The buyer's side said no. Only a create call can be told so.
const fn buyer(code: &'static str) -> Row {
    row(code, [HARD, Unknown, Unknown, Unknown, Unknown])
}

/// The number has a state that contradicts the call.
const fn state(code: &'static str) -> Row {
    row(code, [Look, Unknown, Look, Refused, Unknown])
}

/// Ours or the account's to mend; stops an order from being made and a refund from running.
const fn ours(code: &'static str) -> Row {
    row(code, [Rejected, Rejected, Rejected, Rejected, Rejected])
}

/// A refund that cannot be made.
const fn refund_only(code: &'static str, refund: Meaning) -> Row {
    row(code, [Unknown, Unknown, Unknown, refund, Unknown])
}

static ROWS: &[Row] = &[
    // The gateway's outer codes.
    Row::all("10003", Unknown),
    Row::all("20000", Unknown),
    ours("20001"),
    ours("40001"),
    ours("40002"),
    ours("40003"),
    Row::all("40004", Unknown),
    Row::all("40005", Unavailable),
    ours("40006"),
    // The service's state is not known.
    Row::all("isp.unknow-error", Unknown),
    Row::all("aop.unknow-error", Unknown),
    Row::all("aop.ACQ.SYSTEM_ERROR", Unknown),
    Row::all("ACQ.SYSTEM_ERROR", Unknown),
    Row::all("AQC.SYSTEM_ERROR", Unknown),
    row("ACQ.PAYMENT_REQUEST_HAS_RISK", [Unknown; 5]),
    // Stopped in front of the business layer.
    ours("isv.invalid-app-id"),
    ours("isv.invalid-signature"),
    ours("isv.invalid-timestamp"),
    ours("isv.missing-signature-config"),
    ours("isv.app-cert-expired"),
    Row::all("isv.app-call-limited", Unavailable),
    Row::all("isv.method-call-limited", Unavailable),
    Row::all("isp.call-limited", Unavailable),
    // The account.
    ours("ACQ.ACCESS_FORBIDDEN"),
    ours("ACQ.PARTNER_ERROR"),
    ours("ACQ.SELLER_NOT_EXIST"),
    // The buyer.
    buyer("ACQ.BUYER_BALANCE_NOT_ENOUGH"),
    buyer("ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH"),
    buyer("ACQ.ERROR_BALANCE_PAYMENT_DISABLE"),
    buyer("ACQ.BUYER_SELLER_EQUAL"),
    buyer("ACQ.TRADE_BUYER_NOT_MATCH"),
    buyer("ACQ.BUYER_ENABLE_STATUS_FORBID"),
    buyer("ACQ.PULL_MOBILE_CASHIER_FAIL"),
    buyer("ACQ.TOTAL_FEE_EXCEED"),
    buyer("ACQ.PAYMENT_AUTH_CODE_INVALID"),
    // Something already happened under this number.
    state("ACQ.TRADE_HAS_SUCCESS"),
    state("ACQ.TRADE_HAS_CLOSE"),
    state("ACQ.TRADE_HAS_FINISHED"),
    state("ACQ.CONTEXT_INCONSISTENT"),
    state("ACQ.APPLY_PC_MERCHANT_CODE_ERROR"),
    state("ACQ.TRADE_STATUS_ERROR"),
    state("ACQ.REASON_TRADE_STATUS_INVALID"),
    state("ACQ.REASON_ILLEGAL_STATUS"),
    row("ACQ.TRADE_NOT_EXIST", [Unknown, NotFound, NotFound, Refused, NotFound]),
    // Answers to `alipay.trade.cancel`, which is not called; kept so that one is never unlisted.
    row("ACQ.TRADE_CANCEL_TIME_OUT", [Unknown, Unknown, Look, Unknown, Unknown]),
    row("ACQ.CANCEL_NOT_ALLOWED", [Unknown, Unknown, Look, Unknown, Unknown]),
    // Limits of the account or of the order, which stop it before it exists.
    row("ACQ.BEYOND_PAY_RESTRICTION", [Rejected, Unknown, Unknown, Unknown, Unknown]),
    row("ACQ.BEYOND_PER_RECEIPT_RESTRICTION", [Rejected, Unknown, Unknown, Unknown, Unknown]),
    row("ACQ.SELLER_BEEN_BLOCKED", [Rejected, Unknown, Unknown, Unknown, Unknown]),
    row("ACQ.EXIST_FORBIDDEN_WORD", [Rejected, Unknown, Unknown, Unknown, Unknown]),
    // Refunds. Without balance the same number goes through once the account is filled up.
    refund_only("ACQ.SELLER_BALANCE_NOT_ENOUGH", Unavailable),
    refund_only("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", Refused),
    refund_only("ACQ.REASON_TRADE_BEEN_FREEZEN", Refused),
    refund_only("ACQ.REASON_TRADE_REFUND_FEE_ERR", Refused),
    refund_only("ACQ.TRADE_NOT_ALLOW_REFUND", Refused),
    refund_only("ACQ.DISCORDANT_REPEAT_REQUEST", Look),
];

/// What an answer's outer and inner code mean in a kind of call.
pub(super) fn meaning(call: Call, code: &str, sub_code: Option<&str>) -> Meaning {
    let find = |wanted: &str| ROWS.iter().find(|row| row.code == wanted);
    sub_code.and_then(find).or_else(|| find(code)).map_or(Unknown, |row| row.meaning(call))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code that the protocol's documents name, by the class that they give it.
    #[test]
    fn every_documented_code_has_its_class() {
        let create = |sub: &str| meaning(Call::Create, "40004", Some(sub));
        let unknown = [
            "ACQ.SYSTEM_ERROR",
            "AQC.SYSTEM_ERROR",
            "isp.unknow-error",
            "aop.unknow-error",
            "aop.ACQ.SYSTEM_ERROR",
            "ACQ.PAYMENT_REQUEST_HAS_RISK",
        ];
        for sub in unknown {
            for call in Call::ALL {
                assert_eq!(meaning(call, "40004", Some(sub)), Unknown, "{sub} {call:?}");
                assert_eq!(meaning(call, "20000", Some(sub)), Unknown, "{sub} {call:?}");
            }
        }
        let buyer = [
            "ACQ.BUYER_BALANCE_NOT_ENOUGH",
            "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH",
            "ACQ.ERROR_BALANCE_PAYMENT_DISABLE",
            "ACQ.BUYER_SELLER_EQUAL",
            "ACQ.TRADE_BUYER_NOT_MATCH",
            "ACQ.BUYER_ENABLE_STATUS_FORBID",
            "ACQ.PULL_MOBILE_CASHIER_FAIL",
            "ACQ.TOTAL_FEE_EXCEED",
            "ACQ.PAYMENT_AUTH_CODE_INVALID",
        ];
        assert!(buyer.into_iter().all(|sub| create(sub) == HARD));
        let state = [
            "ACQ.TRADE_HAS_SUCCESS",
            "ACQ.TRADE_HAS_CLOSE",
            "ACQ.TRADE_HAS_FINISHED",
            "ACQ.CONTEXT_INCONSISTENT",
            "ACQ.APPLY_PC_MERCHANT_CODE_ERROR",
            "ACQ.TRADE_STATUS_ERROR",
            "ACQ.REASON_TRADE_STATUS_INVALID",
            "ACQ.REASON_ILLEGAL_STATUS",
        ];
        for sub in state {
            assert_eq!(create(sub), Look, "{sub}");
            assert_eq!(meaning(Call::Close, "40004", Some(sub)), Look, "{sub}");
            assert_eq!(meaning(Call::Refund, "40004", Some(sub)), Refused, "{sub}");
        }
        let limits = [
            "ACQ.BEYOND_PAY_RESTRICTION",
            "ACQ.BEYOND_PER_RECEIPT_RESTRICTION",
            "ACQ.SELLER_BEEN_BLOCKED",
            "ACQ.EXIST_FORBIDDEN_WORD",
            "ACQ.ACCESS_FORBIDDEN",
            "ACQ.PARTNER_ERROR",
            "ACQ.SELLER_NOT_EXIST",
        ];
        assert!(limits.into_iter().all(|sub| create(sub) == Rejected));
        for sub in ["ACQ.TRADE_CANCEL_TIME_OUT", "ACQ.CANCEL_NOT_ALLOWED"] {
            assert_eq!(meaning(Call::Close, "40004", Some(sub)), Look, "{sub}");
        }
        let refused = [
            "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
            "ACQ.REASON_TRADE_BEEN_FREEZEN",
            "ACQ.REASON_TRADE_REFUND_FEE_ERR",
            "ACQ.TRADE_NOT_ALLOW_REFUND",
            "ACQ.TRADE_HAS_FINISHED",
            "ACQ.TRADE_NOT_EXIST",
        ];
        for sub in refused {
            assert_eq!(meaning(Call::Refund, "40004", Some(sub)), Refused, "{sub}");
        }
        let refund = |sub| meaning(Call::Refund, "40004", Some(sub));
        assert_eq!(refund("ACQ.SELLER_BALANCE_NOT_ENOUGH"), Unavailable);
        assert_eq!(refund("ACQ.DISCORDANT_REPEAT_REQUEST"), Look);
        for call in [Call::Query, Call::Close, Call::QueryRefund] {
            assert_eq!(meaning(call, "40004", Some("ACQ.TRADE_NOT_EXIST")), NotFound, "{call:?}");
        }
    }

    #[test]
    fn the_gateways_own_refusals_stop_before_the_business_layer() {
        let refusals = [
            ("40001", "isv.missing-app-id"),
            ("40002", "isv.invalid-app-id"),
            ("40002", "isv.invalid-signature"),
            ("40002", "isv.invalid-timestamp"),
            ("40002", "isv.invalid-anything"),
            ("40003", "isv.missing-signature-config"),
            ("40006", "isv.insufficient-isv-permissions"),
            ("20001", "aop.invalid-auth-token"),
            ("40002", "isv.app-cert-expired"),
        ];
        let limits = ["isv.app-call-limited", "isv.method-call-limited", "isp.call-limited"];
        for call in [Call::Create, Call::Query, Call::Close, Call::Refund, Call::QueryRefund] {
            for (code, sub) in refusals {
                assert_eq!(meaning(call, code, Some(sub)), Rejected, "{code} {sub}");
                assert_eq!(meaning(call, code, None), Rejected, "{code}");
            }
            for sub in limits {
                assert_eq!(meaning(call, "40005", Some(sub)), Unavailable, "{sub}");
            }
        }
    }

    #[test]
    fn what_is_not_listed_is_unknown_and_nothing_is_listed_twice() {
        for call in Call::ALL {
            assert_eq!(meaning(call, "40004", Some("ACQ.BRAND_NEW")), Unknown);
            assert_eq!(meaning(call, "20000", None), Unknown);
            assert_eq!(meaning(call, "77777", None), Unknown);
        }
        let mut codes: Vec<_> = ROWS.iter().map(|row| row.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
