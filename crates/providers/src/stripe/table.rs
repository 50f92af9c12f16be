//! Stripe's codes and what they mean.

use crate::table::{
    Call, HARD, Look, Meaning, NotFound, Refused, Rejected, Row, SOFT, Unavailable, Unknown,
};

/// The issuer's refusal, from the card's network or the wallet.
const fn decline(code: &'static str, how: Meaning) -> Row {
    Row::new(code, [how, how, Unknown, Look, Look, Unknown])
}

/// The object has a state that contradicts the call.
const fn state(code: &'static str) -> Row {
    Row::new(code, [Unknown, Unknown, Unknown, Look, Refused, Unknown])
}

/// A refund that cannot be made.
const fn refund_only(code: &'static str, refund: Meaning) -> Row {
    Row::new(code, [Unknown, Unknown, Unknown, Look, refund, Unknown])
}

/// A parameter that was refused before anything happened.
const fn invalid(code: &'static str) -> Row {
    Row::new(code, [Rejected, Rejected, Rejected, Look, Refused, Rejected])
}

static ROWS: &[Row] = &[
    // Error types, where there is no code.
    Row::all("api_error", Unknown),
    Row::all("idempotency_error", Unknown),
    // The effect is not known, or another request with the key is still running.
    Row::all("idempotency_key_in_use", Unknown),
    Row::new("lock_timeout", [Unknown, Unknown, Unavailable, Unknown, Unknown, Unavailable]),
    // Account and keys: never reached the business layer.
    Row::all("api_key_expired", Rejected),
    Row::all("testmode_charges_only", Rejected),
    Row::all("livemode_mismatch", Rejected),
    Row::all("account_invalid", Rejected),
    Row::all("payment_method_unactivated", Rejected),
    Row::all("tls_version_unsupported", Rejected),
    // Limiters stand in front of everything.
    Row::all("rate_limit", Unavailable),
    Row::all("card_decline_rate_limit_exceeded", Unavailable),
    Row::all("payment_intent_rate_limit_exceeded", Unavailable),
    // Parameters.
    invalid("amount_too_large"),
    invalid("amount_too_small"),
    invalid("parameter_invalid_empty"),
    invalid("parameter_invalid_integer"),
    invalid("parameter_invalid_string_blank"),
    invalid("parameter_invalid_string_empty"),
    invalid("parameter_missing"),
    invalid("parameter_unknown"),
    invalid("parameters_exclusive"),
    // Declines for good.
    decline("card_declined", HARD),
    decline("insufficient_funds", HARD),
    decline("lost_card", HARD),
    decline("stolen_card", HARD),
    decline("fraudulent", HARD),
    decline("do_not_honor", HARD),
    decline("generic_decline", HARD),
    decline("pickup_card", HARD),
    decline("restricted_card", HARD),
    decline("transaction_not_allowed", HARD),
    decline("card_not_supported", HARD),
    decline("currency_not_supported", HARD),
    decline("withdrawal_count_limit_exceeded", HARD),
    decline("expired_card", HARD),
    decline("incorrect_cvc", HARD),
    decline("incorrect_number", HARD),
    decline("invalid_cvc", HARD),
    decline("invalid_number", HARD),
    decline("invalid_expiry_month", HARD),
    decline("invalid_expiry_year", HARD),
    decline("authentication_required", HARD),
    decline("payment_intent_authentication_failure", HARD),
    // Declines that another channel may not repeat.
    decline("processing_error", SOFT),
    decline("issuer_not_available", SOFT),
    decline("try_again_later", SOFT),
    decline("reenter_transaction", SOFT),
    decline("approve_with_id", SOFT),
    decline("payment_method_provider_timeout", SOFT),
    decline("payment_method_provider_decline", SOFT),
    // States.
    state("payment_intent_unexpected_state"),
    state("intent_invalid_state"),
    state("charge_already_captured"),
    state("charge_already_refunded"),
    state("charge_disputed"),
    state("charge_expired_for_capture"),
    Row::new("resource_missing", [Rejected, Rejected, NotFound, NotFound, Refused, NotFound]),
    // Refunds. Without balance the same number goes through once the account is filled up.
    refund_only("balance_insufficient", Unavailable),
    refund_only("refund_disputed_payment", Refused),
    refund_only("charge_not_refundable", Refused),
];

/// What an error means in a kind of call; `codes` from the most specific to the least
/// (decline code, code, type), empty ones left out. `None` when the answer is not a Stripe
/// error at all; then it may come from something in between.
pub(super) fn meaning_of_answer(call: Call, status: u16, codes: Option<&[&str]>) -> Meaning {
    match codes {
        Some(codes) => meaning(call, status, codes),
        None if call.moves_money() || status >= 500 => Unknown,
        None => by_status(call, status, false),
    }
}

/// What an error's codes mean in a kind of call.
pub(super) fn meaning(call: Call, status: u16, codes: &[&str]) -> Meaning {
    if status >= 500 {
        return Unknown;
    }
    let listed = codes.iter().find_map(|code| ROWS.iter().find(|row| row.code == *code));
    match listed {
        Some(row) => row.meaning(call),
        // The type alone is no code: a bare validation error has only that.
        None => by_status(call, status, codes.iter().all(|code| *code == "invalid_request_error")),
    }
}

/// What a status says about a code that is not listed, or about no code (`bare`).
fn by_status(call: Call, status: u16, bare: bool) -> Meaning {
    match (status, call) {
        (401 | 403, _) => Rejected,
        (429, _) => Unavailable,
        (402, Call::Create | Call::Charge) => HARD,
        (400 | 404, Call::Create | Call::Charge) if bare => Rejected,
        (400, Call::Create | Call::Query | Call::QueryRefund) => Rejected,
        (400 | 402, Call::Refund) if bare => Refused,
        (400 | 402 | 404, Call::Refund) => Look,
        (400 | 402, Call::Close) => Look,
        _ => Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(status: u16, codes: &[&str], call: Call, wanted: Meaning) {
        for code in codes {
            assert_eq!(meaning(call, status, &[code]), wanted, "{code} {call:?}");
        }
    }

    /// Every code that the protocol's documents name, by the class that they give it.
    #[test]
    fn every_documented_code_has_its_class() {
        let hard = [
            "card_declined",
            "insufficient_funds",
            "lost_card",
            "stolen_card",
            "fraudulent",
            "do_not_honor",
            "generic_decline",
            "pickup_card",
            "restricted_card",
            "transaction_not_allowed",
            "card_not_supported",
            "currency_not_supported",
            "withdrawal_count_limit_exceeded",
            "expired_card",
            "incorrect_cvc",
            "incorrect_number",
            "invalid_expiry_month",
            "invalid_expiry_year",
            "authentication_required",
            "payment_intent_authentication_failure",
        ];
        let soft = [
            "processing_error",
            "issuer_not_available",
            "try_again_later",
            "reenter_transaction",
            "approve_with_id",
            "payment_method_provider_timeout",
            "payment_method_provider_decline",
        ];
        for call in [Call::Create, Call::Charge] {
            all(402, &hard, call, HARD);
            all(402, &soft, call, SOFT);
        }
        let account = [
            "api_key_expired",
            "testmode_charges_only",
            "livemode_mismatch",
            "account_invalid",
            "payment_method_unactivated",
            "tls_version_unsupported",
        ];
        let rate = [
            "rate_limit",
            "card_decline_rate_limit_exceeded",
            "payment_intent_rate_limit_exceeded",
        ];
        for call in Call::ALL {
            all(400, &account, call, Rejected);
            all(429, &rate, call, Unavailable);
            all(409, &["idempotency_key_in_use"], call, Unknown);
            all(400, &["idempotency_error"], call, Unknown);
            all(400, &["api_error"], call, Unknown);
        }
        for call in [Call::Charge, Call::Refund, Call::Close] {
            all(429, &["lock_timeout"], call, Unknown);
        }
        let states = [
            "payment_intent_unexpected_state",
            "intent_invalid_state",
            "charge_already_captured",
            "charge_already_refunded",
            "charge_disputed",
            "charge_expired_for_capture",
        ];
        all(400, &states, Call::Close, Look);
        all(400, &states, Call::Refund, Refused);
        all(400, &states, Call::Charge, Unknown);
        all(404, &["resource_missing"], Call::Query, NotFound);
        all(404, &["resource_missing"], Call::Close, NotFound);
        all(404, &["resource_missing"], Call::Charge, Rejected);
        all(400, &["balance_insufficient"], Call::Refund, Unavailable);
        all(400, &["refund_disputed_payment", "charge_not_refundable"], Call::Refund, Refused);
    }

    #[test]
    fn the_decline_code_wins_over_the_code_beside_it() {
        let codes = ["issuer_not_available", "card_declined", "card_error"];
        assert_eq!(meaning(Call::Charge, 402, &codes), SOFT);
        let codes = ["brand_new", "card_declined", "card_error"];
        assert_eq!(meaning(Call::Charge, 402, &codes), HARD);
    }

    #[test]
    fn a_server_error_is_unknown_whatever_it_says() {
        for status in [500, 502, 503, 504] {
            for call in Call::ALL {
                assert_eq!(meaning(call, status, &["card_declined"]), Unknown);
                assert_eq!(meaning(call, status, &[]), Unknown);
            }
        }
    }

    #[test]
    fn what_is_not_listed_goes_by_its_status() {
        for call in Call::ALL {
            assert_eq!(meaning(call, 401, &[]), Rejected);
            assert_eq!(meaning(call, 403, &[]), Rejected);
            assert_eq!(meaning(call, 429, &[]), Unavailable);
            assert_eq!(meaning(call, 409, &[]), Unknown);
            assert_eq!(meaning(call, 424, &[]), Unknown);
        }
        assert_eq!(meaning(Call::Charge, 400, &["invalid_request_error"]), Rejected);
        assert_eq!(meaning(Call::Charge, 400, &["new", "invalid_request_error"]), Unknown);
        assert_eq!(meaning(Call::Refund, 400, &["new", "invalid_request_error"]), Look);
        assert_eq!(meaning(Call::Close, 400, &["new"]), Look);
        assert_eq!(meaning(Call::Charge, 402, &["new", "card_error"]), HARD);
        let mut codes: Vec<_> = ROWS.iter().map(|row| row.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
