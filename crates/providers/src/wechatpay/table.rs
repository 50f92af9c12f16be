//! WeChat Pay's codes and what they mean.

use crate::table::{
    Call, HARD, Look, Meaning, NotFound, Processing, Refused, Rejected, Row, Unavailable, Unknown,
};

/// Columns create, query, close, refund, refund query; there is no direct flow here.
const fn row(
    code: &'static str,
    [create, query, close, refund, query_refund]: [Meaning; 5],
) -> Row {
    Row::new(code, [create, Unknown, query, close, refund, query_refund])
}

/// Validation, permission and signature: the request was turned away. For a refund only once
/// the refund query agrees, because the refusal is not signed.
const fn turned_away(code: &'static str) -> Row {
    row(code, [Rejected, Rejected, Rejected, Refused, Rejected])
}

/// The order has a state that contradicts the call.
const fn state(code: &'static str) -> Row {
    row(code, [Look, Unknown, Look, Refused, Unknown])
}

/// A refund that cannot be made.
const fn refund_only(code: &'static str) -> Row {
    row(code, [Unknown, Unknown, Unknown, Refused, Unknown])
}

/// The customer's side said no; only a create call can be told so.
const fn customer(code: &'static str) -> Row {
    row(code, [HARD, Unknown, Unknown, Unknown, Unknown])
}

/// Codes without underscores, as [`meaning`] compares them.
static ROWS: &[Row] = &[
    // The effect is not known.
    Row::all("SYSTEMERROR", Unknown),
    Row::all("SERVICEUNAVAILABLE", Unknown),
    Row::all("BANKERROR", Unknown),
    row("USERPAYING", [Unknown, Processing, Processing, Unknown, Unknown]),
    // Turned away.
    turned_away("PARAMERROR"),
    turned_away("INVALIDREQUEST"),
    turned_away("APPIDMCHIDNOTMATCH"),
    turned_away("MCHNOTEXISTS"),
    turned_away("SIGNERROR"),
    turned_away("NOAUTH"),
    turned_away("RULELIMIT"),
    turned_away("ACCOUNTERROR"),
    // A limiter stops a new order and a question; on a refund or close it may stand behind.
    row("FREQUENCYLIMITED", [Unavailable, Unavailable, Unknown, Unknown, Unavailable]),
    row("RATELIMITEXCEEDED", [Unavailable, Unavailable, Unknown, Unknown, Unavailable]),
    // The customer. `NOT_ENOUGH` on a refund is our own balance: the number works again later.
    row("NOTENOUGH", [HARD, Unknown, Unknown, Unavailable, Unknown]),
    customer("AUTHCODEEXPIRED"),
    customer("AUTHCODEINVALID"),
    customer("TRADEERROR"),
    // The order has a state.
    state("ORDERPAID"),
    state("ORDERCLOSED"),
    state("OUTTRADENOUSED"),
    state("ORDERREVERSED"),
    row("ORDERNOTEXIST", [Unknown, NotFound, Look, Refused, Unknown]),
    // Refunds.
    refund_only("USERACCOUNTABNORMAL"),
    refund_only("TRADEOVERDUE"),
    refund_only("REFUNDFEEMISMATCH"),
    row("RESOURCENOTEXISTS", [Unknown, NotFound, Look, Refused, NotFound]),
];

/// What an error answer means in a kind of call.
pub(super) fn meaning(call: Call, status: u16, code: &str) -> Meaning {
    let plain: String = code.chars().filter(|c| *c != '_').collect();
    match ROWS.iter().find(|row| row.code == plain) {
        Some(row) => row.meaning(call),
        None => by_status(call, status, plain.is_empty()),
    }
}

/// What a status says about a code that is not listed. An answer without any code (`bare`)
/// may come from something in between, and says nothing but "too many".
fn by_status(call: Call, status: u16, bare: bool) -> Meaning {
    match (status, call) {
        (400 | 401 | 403 | 404, Call::Create) if !bare => Rejected,
        (401 | 403, Call::Query | Call::QueryRefund) if !bare => Rejected,
        (429, Call::Create | Call::Query | Call::QueryRefund) => Unavailable,
        _ => Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(codes: &[&str], call: Call, wanted: Meaning) {
        for code in codes {
            assert_eq!(meaning(call, 499, code), wanted, "{code} {call:?}");
        }
    }

    /// Every code that the protocol's documents name, by the class that they give it.
    #[test]
    fn every_documented_code_has_its_class() {
        for call in Call::ALL {
            all(&["SYSTEM_ERROR", "SERVICE_UNAVAILABLE", "BANK_ERROR", "BANKERROR"], call, Unknown);
        }
        let away = [
            "PARAM_ERROR",
            "INVALID_REQUEST",
            "APPID_MCHID_NOT_MATCH",
            "MCH_NOT_EXISTS",
            "SIGN_ERROR",
            "NO_AUTH",
            "RULE_LIMIT",
            "ACCOUNT_ERROR",
        ];
        all(&away, Call::Create, Rejected);
        all(&away, Call::Query, Rejected);
        all(&away, Call::Refund, Refused);
        let limits = ["FREQUENCY_LIMITED", "RATELIMIT_EXCEEDED"];
        all(&limits, Call::Create, Unavailable);
        all(&limits, Call::Refund, Unknown);
        all(&limits, Call::Close, Unknown);
        let declines = ["NOT_ENOUGH", "AUTH_CODE_EXPIRED", "AUTH_CODE_INVALID", "TRADE_ERROR"];
        all(&declines, Call::Create, HARD);
        let states = [
            "ORDER_PAID",
            "ORDERPAID",
            "ORDER_CLOSED",
            "ORDERCLOSED",
            "OUT_TRADE_NO_USED",
            "ORDERREVERSED",
        ];
        all(&states, Call::Create, Look);
        all(&states, Call::Close, Look);
        all(&states, Call::Refund, Refused);
        all(&["ORDER_NOT_EXIST", "ORDERNOTEXIST"], Call::Query, NotFound);
        all(&["ORDER_NOT_EXIST", "ORDERNOTEXIST"], Call::Create, Unknown);
        all(&["ORDER_NOT_EXIST"], Call::Close, Look);
        all(&["USERPAYING"], Call::Close, Processing);
        all(&["USERPAYING"], Call::Query, Processing);
        let refund = [
            "USER_ACCOUNT_ABNORMAL",
            "TRADE_OVERDUE",
            "REFUND_FEE_MISMATCH",
            "RESOURCE_NOT_EXISTS",
            "INVALID_REQUEST",
        ];
        all(&refund, Call::Refund, Refused);
        all(&["NOT_ENOUGH"], Call::Refund, Unavailable);
        all(&["RESOURCE_NOT_EXISTS"], Call::QueryRefund, NotFound);
    }

    #[test]
    fn what_is_not_listed_goes_by_its_status_and_stays_unknown_where_money_moves() {
        for status in [200, 202, 400, 401, 403, 404, 429, 500, 502, 503, 504] {
            assert_eq!(meaning(Call::Refund, status, "NEW"), Unknown, "{status}");
        }
        for status in [400, 401, 403, 404, 429, 500, 502, 503, 504] {
            assert_eq!(meaning(Call::Close, status, "NEW"), Unknown, "{status}");
        }
        for status in [400, 401, 403, 404] {
            assert_eq!(meaning(Call::Create, status, "NEW"), Rejected, "{status}");
        }
        assert_eq!(meaning(Call::Create, 429, ""), Unavailable);
        for status in [202, 400, 401, 403, 404] {
            assert_eq!(meaning(Call::Create, status, ""), Unknown, "{status}");
        }
        for status in [500, 502, 503, 504] {
            assert_eq!(meaning(Call::Create, status, ""), Unknown, "{status}");
            assert_eq!(meaning(Call::Query, status, ""), Unknown, "{status}");
        }
        assert_eq!(meaning(Call::Query, 404, ""), Unknown, "a wrong path proves nothing");
        let mut codes: Vec<_> = ROWS.iter().map(|row| row.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
