//! What a Stripe channel can do.

use std::time::Duration;

use domain::{Currency, Flow, Method, NotFound, Proves, RefundLimits};

use crate::capabilities::{
    AmountLimits, Capabilities, Closing, ExpiryLimits, Notifications, NumberRule, Resend, Row,
    Unique,
};
use crate::common::waits;

/// The currencies that a channel takes unless its settings say otherwise.
const USUAL: [&str; 10] = ["CNY", "USD", "EUR", "GBP", "HKD", "SGD", "JPY", "AUD", "CAD", "NZD"];

pub(super) fn table() -> Capabilities {
    let number = NumberRule::new(1, 200, "-_:", Unique::Note);
    Capabilities {
        provider: "stripe",
        methods: vec![
            (Method::Card, Flow::Direct),
            (Method::Card, Flow::Presented),
            (Method::Alipay, Flow::Presented),
            (Method::WechatPay, Flow::Presented),
        ],
        amounts: USUAL.iter().filter_map(|code| code.parse().ok()).map(amounts).collect(),
        // An intent is not told an end and does not end by itself; the engine cancels it.
        expiry: ExpiryLimits {
            told: false,
            shortest: Duration::ZERO,
            longest: None,
            granularity: Duration::from_secs(1),
        },
        query_schedule: waits(&[5, 10, 30, 60, 120, 300, 600], 1_800),
        // For as long as idempotency keys are kept.
        resend_create: Resend::Within(Duration::from_secs(86_400)),
        closing: Closing::Proven,
        // Of a busy account the search is asked, whose index lags, so of an intent that a
        // customer could pay "not found" is believed at the payment's end only. A charge is
        // looked for in the whole list, which is exact.
        not_found: NotFound { presented: Proves::AfterEnd, direct: Proves::AfterWindow },
        // How long a charge can be refunded depends on the card's scheme; Stripe refuses.
        refunds: RefundLimits {
            partial: true,
            count_max: None,
            within: None,
            least_minor: 1,
            apart: Duration::ZERO,
        },
        order_number: number,
        refund_number: number,
        notifications: Notifications { payments: true, refunds: true, states_amount: true },
        unverified: &[Row::Amounts, Row::RefundsWithin],
    }
}

/// The smallest charge is about half a dollar; the largest has eight digits.
pub(super) fn amounts(currency: Currency) -> AmountLimits {
    let least_minor = match currency.code() {
        "GBP" => 30,
        "HKD" => 400,
        _ => 50,
    };
    AmountLimits { currency, least_minor, most_minor: 99_999_999 }
}
