//! PayPal's codes and what they mean. The column of a charge is the capture.

use crate::table::{
    Call, HARD, Look, Meaning, NotFound, Refused, Rejected, Row, SOFT, Unavailable, Unknown,
};

/// The payer's side said no to a capture.
const fn decline(code: &'static str, how: Meaning) -> Row {
    Row::new(code, [Rejected, how, Unknown, Unknown, Look, Unknown])
}

/// The order has a state that contradicts the call, or tells more than the code does.
const fn state(code: &'static str) -> Row {
    Row::new(code, [Unknown, Look, Unknown, Unknown, Look, Unknown])
}

/// A refund that cannot be made.
const fn refund_only(code: &'static str, refund: Meaning) -> Row {
    Row::new(code, [Unknown, Look, Unknown, Unknown, refund, Unknown])
}

/// A parameter that was refused before anything happened.
const fn invalid(code: &'static str) -> Row {
    Row::new(code, [Rejected, Rejected, Rejected, Rejected, Refused, Rejected])
}

static ROWS: &[Row] = &[
    // Not known whether anything happened.
    Row::all("INTERNAL_SERVER_ERROR", Unknown),
    Row::all("SERVICE_UNAVAILABLE", Unknown),
    Row::all("PREVIOUS_REQUEST_IN_PROGRESS", Unknown),
    // The request's id was used for something else: what that was, the object tells.
    state("PAYPAL_REQUEST_ID_PREVIOUSLY_USED"),
    state("DUPLICATE_REQUEST_ID"),
    state("ACTION_DOES_NOT_MATCH_INTENT"),
    // Account, keys and permissions: never reached the business layer.
    Row::all("AUTHENTICATION_FAILURE", Rejected),
    Row::all("invalid_client", Rejected),
    Row::all("invalid_token", Rejected),
    Row::all("NOT_AUTHORIZED", Rejected),
    Row::all("PERMISSION_DENIED", Rejected),
    invalid("PAYEE_ACCOUNT_RESTRICTED"),
    invalid("PAYEE_BLOCKED_TRANSACTION"),
    invalid("CURRENCY_NOT_SUPPORTED"),
    // The limiter stands in front of everything.
    Row::all("RATE_LIMIT_REACHED", Unavailable),
    // Parameters.
    invalid("INVALID_REQUEST"),
    invalid("MALFORMED_REQUEST"),
    invalid("MALFORMED_REQUEST_JSON"),
    invalid("MISSING_REQUIRED_PARAMETER"),
    invalid("INVALID_PARAMETER_SYNTAX"),
    invalid("INVALID_PARAMETER_VALUE"),
    invalid("INVALID_STRING_LENGTH"),
    invalid("UNSUPPORTED_MEDIA_TYPE"),
    // Declines for good.
    decline("CARD_EXPIRED", HARD),
    decline("TRANSACTION_REFUSED", HARD),
    decline("PAYER_CANNOT_PAY", HARD),
    decline("PAYER_ACCOUNT_LOCKED_OR_CLOSED", HARD),
    decline("PAYER_ACCOUNT_RESTRICTED", HARD),
    decline("COMPLIANCE_VIOLATION", HARD),
    // Declines that another instrument or channel may not repeat.
    decline("INSTRUMENT_DECLINED", SOFT),
    decline("REDIRECT_PAYER_FOR_ALTERNATE_FUNDING", SOFT),
    decline("MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED", SOFT),
    decline("TRANSACTION_LIMIT_EXCEEDED", SOFT),
    decline("TRANSACTION_RECEIVING_LIMIT_EXCEEDED", SOFT),
    // The customer has to act; the order says so itself.
    state("PAYER_ACTION_REQUIRED"),
    state("ORDER_NOT_APPROVED"),
    // States.
    state("ORDER_ALREADY_CAPTURED"),
    state("ORDER_ALREADY_AUTHORIZED"),
    state("ORDER_COMPLETED_OR_VOIDED"),
    state("ORDER_EXPIRED"),
    state("AUTHORIZATION_ALREADY_CAPTURED"),
    state("AUTHORIZATION_VOIDED"),
    state("DUPLICATE_INVOICE_ID"),
    state("AMOUNT_MISMATCH"),
    Row::new("RESOURCE_NOT_FOUND", [Rejected, Look, NotFound, NotFound, Refused, NotFound]),
    Row::new("INVALID_RESOURCE_ID", [Rejected, Look, NotFound, NotFound, Refused, NotFound]),
    // Refunds. Without balance the same number goes through once the account is filled up.
    refund_only("CAPTURE_FULLY_REFUNDED", Refused),
    refund_only("REFUND_AMOUNT_EXCEEDED", Refused),
    refund_only("REFUND_TIME_LIMIT_EXCEEDED", Refused),
    refund_only("REFUND_NOT_ALLOWED", Refused),
    refund_only("PENDING_CAPTURE", Unavailable),
    refund_only("INSUFFICIENT_FUNDS", Unavailable),
];

/// What an error answer means in a kind of call; `codes` from the most specific to the least.
/// `None` when the body is not PayPal's: then something in between may have sent it.
pub(super) fn meaning_of_answer(call: Call, status: u16, codes: Option<&[&str]>) -> Meaning {
    match codes {
        Some(codes) => meaning(call, status, codes),
        None if call.moves_money() || status >= 500 => Unknown,
        None => by_status(call, status),
    }
}

fn meaning(call: Call, status: u16, codes: &[&str]) -> Meaning {
    if status >= 500 {
        return Unknown;
    }
    // `UNPROCESSABLE_ENTITY` is a name for all issues: it is no row, so the issue decides.
    let listed = codes.iter().find_map(|code| ROWS.iter().find(|row| row.code == *code));
    match listed {
        Some(row) => row.meaning(call),
        None => by_status(call, status),
    }
}

/// Whether a refund that was refused with this code, and does not stand, has failed for good.
pub(super) fn is_refusal(code: &str) -> bool {
    ROWS.iter().any(|row| row.code == code && row.meaning(Call::Refund) == Refused)
}

/// What a status says about a code that is not listed, or about no code.
fn by_status(call: Call, status: u16) -> Meaning {
    match (status, call) {
        (401 | 403, _) => Rejected,
        (429, _) => Unavailable,
        (400 | 415, Call::Refund) => Look,
        (400 | 415, _) => Rejected,
        (404, Call::Query | Call::Close | Call::QueryRefund) => NotFound,
        (404 | 422, Call::Charge | Call::Refund) => Look,
        // No money moves before the capture.
        (404 | 422, Call::Create) => Rejected,
        _ => Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(status: u16, codes: &[&str], call: Call, wanted: Meaning) {
        for code in codes {
            let found = meaning(call, status, &[code, "UNPROCESSABLE_ENTITY"]);
            assert_eq!(found, wanted, "{code} {call:?}");
        }
    }

    /// Every code that the protocol's documents name, by the class that they give it.
    #[test]
    fn every_documented_code_has_its_class() {
        let hard = [
            "CARD_EXPIRED",
            "TRANSACTION_REFUSED",
            "PAYER_CANNOT_PAY",
            "PAYER_ACCOUNT_LOCKED_OR_CLOSED",
            "PAYER_ACCOUNT_RESTRICTED",
            "COMPLIANCE_VIOLATION",
        ];
        let soft = [
            "INSTRUMENT_DECLINED",
            "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING",
            "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED",
            "TRANSACTION_LIMIT_EXCEEDED",
            "TRANSACTION_RECEIVING_LIMIT_EXCEEDED",
        ];
        all(422, &hard, Call::Charge, HARD);
        all(422, &soft, Call::Charge, SOFT);
        let account = [
            "AUTHENTICATION_FAILURE",
            "invalid_client",
            "invalid_token",
            "NOT_AUTHORIZED",
            "PERMISSION_DENIED",
        ];
        let ambiguous =
            ["INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "PREVIOUS_REQUEST_IN_PROGRESS"];
        for call in Call::ALL {
            all(401, &account, call, Rejected);
            all(429, &["RATE_LIMIT_REACHED"], call, Unavailable);
            all(409, &ambiguous, call, Unknown);
        }
        let payee =
            ["PAYEE_ACCOUNT_RESTRICTED", "PAYEE_BLOCKED_TRANSACTION", "CURRENCY_NOT_SUPPORTED"];
        let invalid = [
            "INVALID_REQUEST",
            "MALFORMED_REQUEST",
            "MALFORMED_REQUEST_JSON",
            "MISSING_REQUIRED_PARAMETER",
            "INVALID_PARAMETER_SYNTAX",
            "INVALID_PARAMETER_VALUE",
            "INVALID_STRING_LENGTH",
            "UNSUPPORTED_MEDIA_TYPE",
        ];
        for call in [Call::Create, Call::Charge] {
            all(422, &payee, call, Rejected);
            all(400, &invalid, call, Rejected);
        }
        all(400, &invalid, Call::Refund, Refused);
        let states = [
            "PAYPAL_REQUEST_ID_PREVIOUSLY_USED",
            "DUPLICATE_REQUEST_ID",
            "ACTION_DOES_NOT_MATCH_INTENT",
            "PAYER_ACTION_REQUIRED",
            "ORDER_NOT_APPROVED",
            "ORDER_ALREADY_CAPTURED",
            "ORDER_ALREADY_AUTHORIZED",
            "ORDER_COMPLETED_OR_VOIDED",
            "ORDER_EXPIRED",
            "AUTHORIZATION_ALREADY_CAPTURED",
            "AUTHORIZATION_VOIDED",
            "DUPLICATE_INVOICE_ID",
            "AMOUNT_MISMATCH",
        ];
        all(422, &states, Call::Charge, Look);
        all(422, &states, Call::Refund, Look);
        all(422, &states, Call::Create, Unknown);
        for code in ["RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID"] {
            all(404, &[code], Call::Query, NotFound);
            all(404, &[code], Call::Charge, Look);
            all(404, &[code], Call::Refund, Refused);
        }
        let refused = [
            "CAPTURE_FULLY_REFUNDED",
            "REFUND_AMOUNT_EXCEEDED",
            "REFUND_TIME_LIMIT_EXCEEDED",
            "REFUND_NOT_ALLOWED",
        ];
        all(422, &refused, Call::Refund, Refused);
        assert!(refused.iter().all(|code| is_refusal(code)) && !is_refusal("BRAND_NEW"));
        all(422, &["PENDING_CAPTURE", "INSUFFICIENT_FUNDS"], Call::Refund, Unavailable);
    }

    #[test]
    fn a_server_error_is_unknown_whatever_it_says() {
        for status in [500, 502, 503, 504] {
            for call in Call::ALL {
                assert_eq!(meaning(call, status, &["INSTRUMENT_DECLINED"]), Unknown);
                assert_eq!(meaning_of_answer(call, status, None), Unknown);
            }
        }
    }

    #[test]
    fn what_is_not_listed_goes_by_its_status() {
        for call in Call::ALL {
            assert_eq!(meaning(call, 401, &[]), Rejected);
            assert_eq!(meaning(call, 403, &["NEW"]), Rejected);
            assert_eq!(meaning(call, 429, &[]), Unavailable);
            assert_eq!(meaning(call, 409, &["NEW"]), Unknown);
        }
        for call in [Call::Charge, Call::Refund] {
            assert_eq!(meaning(call, 422, &["NEW"]), Look);
            assert_eq!(meaning_of_answer(call, 422, None), Unknown);
        }
        assert_eq!(meaning(Call::Create, 422, &["NEW"]), Rejected);
        let mut codes: Vec<_> = ROWS.iter().map(|row| row.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
