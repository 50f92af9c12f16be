//! What a PayPal channel can do.

use std::time::Duration;

use domain::{Currency, Flow, Method, NotFound, Proves, RefundLimits};

use super::settings::CURRENCIES;
use crate::capabilities::{
    AmountLimits, Capabilities, Closing, ExpiryLimits, Notifications, NumberRule, Resend, Row,
    Unique,
};
use crate::common::{days, waits};

pub(super) fn table() -> Capabilities {
    let six_hours = Duration::from_secs(6 * 3_600);
    let number = NumberRule::new(1, 100, "-_", Unique::Note);
    Capabilities {
        provider: "paypal",
        methods: vec![(Method::Paypal, Flow::Presented)],
        amounts: CURRENCIES.iter().filter_map(|code| code.parse().ok()).map(amounts).collect(),
        // PayPal is told no end: it gives six hours to send the payer on, and six more to
        // approve and capture.
        expiry: ExpiryLimits {
            told: false,
            shortest: Duration::ZERO,
            longest: Some(six_hours),
            granularity: Duration::from_secs(1),
        },
        // The question that finds the approval is the one that takes the money, so it comes
        // often at first; the webhook of the approval comes sooner where it arrives.
        query_schedule: waits(&[5, 5, 5, 10, 10, 15, 30, 60, 120, 300], 600),
        // For as long as request ids of orders are kept.
        resend_create: Resend::Within(six_hours),
        closing: Closing::NeverCaptured,
        not_found: NotFound { presented: Proves::AfterEnd, direct: Proves::Nothing },
        refunds: RefundLimits {
            partial: true,
            count_max: None,
            within: Some(days(180)),
            least_minor: 1,
            apart: Duration::ZERO,
        },
        order_number: number,
        refund_number: number,
        // A webhook names its order and says what to look at; the order is read again, because
        // the signature covers no more than a checksum of the body.
        notifications: Notifications { payments: true, refunds: true, states_amount: false },
        unverified: &[Row::Amounts, Row::RefundsWithin],
    }
}

/// Eight digits are the most that an amount may have in any of its currencies.
pub(super) fn amounts(currency: Currency) -> AmountLimits {
    AmountLimits { currency, least_minor: 1, most_minor: 99_999_999 }
}
