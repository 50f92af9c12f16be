//! What the engine's and the store's refusals mean to a client.

use domain::{Blocked, HoldRefused, OfflineRefused, RefundRefused};
use engine::EngineError;
use store::StoreError;

use crate::problem::{Problem, kinds};

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Problem {
        let detail = error.to_string();
        match error {
            EngineError::NotFound => Problem::new(&kinds::NOT_FOUND, detail),
            EngineError::OrderConflict(_) => Problem::new(&kinds::ORDER_CONFLICT, detail).at(
                "order_no",
                "names another payment already",
                "ask for that payment, or use a new order number",
            ),
            EngineError::KeyConflict => Problem::new(&kinds::KEY_REUSED, detail).at(
                "Idempotency-Key",
                "was used with another request",
                "use a fresh key for a new wish",
            ),
            EngineError::NoChannel { .. } => Problem::new(&kinds::NO_CHANNEL, detail).at(
                "methods",
                "no channel takes this method, currency and amount",
                "see GET /v1/channels for what this server takes",
            ),
            EngineError::NoSuchPurpose(_) => Problem::new(&kinds::INVALID_REQUEST, detail).at(
                "purpose",
                "must be checkout, renewal, top_up, instalment, or a configured name",
                "name it under purposes in the section [degradation] of the configuration",
            ),
            EngineError::Expiry { min_s, max_s } => Problem::new(&kinds::INVALID_REQUEST, detail)
                .at(
                    "expires_in_s",
                    format!("must be from {min_s} to {max_s}"),
                    "send a number of seconds in this range, or leave it out",
                ),
            EngineError::Blocked(blocked) => of_blocked(blocked, detail),
            EngineError::RefundRefused(refused) => of_refused(refused, detail),
            EngineError::OfflineRefused(refused) => of_offline(refused, detail),
            EngineError::Ended(_) => Problem::new(&kinds::PAYMENT_ENDED, detail),
            EngineError::HoldRefused(refused) => of_hold(refused, detail),
            EngineError::TooLong { max_s, .. } => Problem::new(&kinds::INVALID_REQUEST, detail).at(
                "until",
                format!("must be within {max_s} seconds"),
                "send an earlier end",
            ),
            EngineError::EndPassed => Problem::new(&kinds::INVALID_REQUEST, detail).at(
                "until",
                "must be in the future",
                "send a later end, or for_s instead",
            ),
            EngineError::NotMoved => Problem::new(&kinds::WRONG_STATE, detail),
            EngineError::Misfit(_) => Problem::new(&kinds::INVALID_REQUEST, detail),
            EngineError::NoSuchChannel => Problem::new(&kinds::CHANNEL_NOT_FOUND, detail),
            EngineError::NoSuchMaintenance => Problem::new(&kinds::NOT_FOUND, detail),
            EngineError::Busy => Problem::new(&kinds::PAYMENT_BUSY, detail).retry_after(1),
            EngineError::Store(error) => error.into(),
            EngineError::CommitUnknown => {
                Problem::new(&kinds::COMMIT_UNKNOWN, detail).retry_after(5)
            }
        }
    }
}

fn of_blocked(blocked: Blocked, detail: String) -> Problem {
    match blocked {
        Blocked::NotOpen | Blocked::Expired => Problem::new(&kinds::PAYMENT_ENDED, detail),
        Blocked::InFlight(_) | Blocked::StillShown(_) => {
            Problem::new(&kinds::PAYMENT_BUSY, detail).retry_after(2)
        }
        Blocked::Paused => Problem::new(&kinds::FEATURE_PAUSED, detail),
        Blocked::Unsettled(_) => Problem::new(&kinds::BEING_CONFIRMED, detail),
        Blocked::TooMany => Problem::new(&kinds::TOO_MANY, detail),
    }
}

fn of_offline(refused: OfflineRefused, detail: String) -> Problem {
    match refused {
        OfflineRefused::Blocked(blocked) => of_blocked(blocked, detail),
        OfflineRefused::Paid { .. } | OfflineRefused::Ended(_) => {
            Problem::new(&kinds::PAYMENT_ENDED, detail)
        }
        OfflineRefused::Amount { asked, .. } => Problem::new(&kinds::INVALID_REQUEST, detail).at(
            "amount",
            format!("must be the payment's whole amount, {} minor units", asked.minor()),
            "take the whole amount, or cancel the payment and make one of the other amount",
        ),
        OfflineRefused::Synthetic => Problem::new(&kinds::INVALID_REQUEST, detail),
    }
}

fn of_hold(refused: HoldRefused, detail: String) -> Problem {
    match refused {
        HoldRefused::NotOpen | HoldRefused::Expired => Problem::new(&kinds::PAYMENT_ENDED, detail),
        HoldRefused::Unwanted | HoldRefused::NotHeld | HoldRefused::Direct => {
            Problem::new(&kinds::WRONG_STATE, detail)
        }
        HoldRefused::Sooner => Problem::new(&kinds::INVALID_REQUEST, detail).at(
            "until",
            "must be later than the present end",
            "see hold.until of the payment",
        ),
    }
}

fn of_refused(refused: RefundRefused, detail: String) -> Problem {
    match refused {
        RefundRefused::NotPaid => Problem::new(&kinds::NOTHING_TO_REFUND, detail),
        RefundRefused::TooMuch { left_minor } => Problem::new(&kinds::REFUND_TOO_MUCH, detail).at(
            "amount",
            format!("must be at most {left_minor}"),
            "see refundable_amount of the payment, or leave the amount out to refund all of it",
        ),
        RefundRefused::Currency => Problem::new(&kinds::INVALID_REQUEST, detail),
        RefundRefused::TooMany => Problem::new(&kinds::TOO_MANY, detail),
        RefundRefused::Beyond { channel, limit } => Problem::new(
            &kinds::REFUND_BEYOND_CHANNEL,
            detail,
        )
        .at("amount", format!("{}: {channel} {limit}", limit.code()), limit.way_out()),
    }
}

/// The store's own words go to the log; the client learns what it may do.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        tracing::error!(%error, "the store did not do it");
        match error {
            StoreError::Full(_) => {
                Problem::new(&kinds::STORE_FULL, "nothing was done").retry_after(30)
            }
            StoreError::Unavailable(_) => {
                Problem::new(&kinds::STORE_UNAVAILABLE, "nothing was done").retry_after(2)
            }
            StoreError::Newer { found, known } => Problem::new(
                &kinds::STORE_UNUSABLE,
                format!("the store has schema {found}, this Evergate knows up to {known}"),
            )
            .retry_after(60),
            StoreError::Damaged(_) => {
                Problem::new(&kinds::STORE_UNUSABLE, "the store is damaged").retry_after(60)
            }
        }
    }
}
