//! What an Alipay channel can do.

use std::time::Duration;

use domain::{Currency, Flow, Method, NotFound, Proves, RefundLimits};

use crate::capabilities::{
    AmountLimits, Capabilities, Closing, ExpiryLimits, Notifications, NumberRule, Resend, Unique,
};
use crate::common::{days, waits};

pub(super) fn table() -> Capabilities {
    Capabilities {
        provider: "alipay",
        methods: vec![(Method::Alipay, Flow::Presented)],
        // 0.01 to 100,000,000.00 yuan.
        amounts: AmountLimits::same(&[Currency::CNY], 1, 10_000_000_000),
        // `time_expire`, to the second.
        expiry: ExpiryLimits {
            told: true,
            shortest: Duration::from_secs(60),
            longest: Some(days(15)),
            granularity: Duration::from_secs(1),
        },
        query_schedule: waits(&[3, 5, 5, 10, 15, 30, 60, 120, 300], 600),
        // A repeated precreate may be refused, and the first code is lost with its answer.
        resend_create: Resend::Never,
        closing: Closing::Proven,
        // Precreate and the pages make no trade until the customer opens the cashier, so "no
        // such trade" proves nothing while the code may still be scanned.
        not_found: NotFound { presented: Proves::AfterEnd, direct: Proves::Nothing },
        // Twelve months; some agreements have less, which the setting `refund_days` states.
        refunds: RefundLimits {
            partial: true,
            count_max: None,
            within: Some(days(365)),
            least_minor: 1,
            apart: Duration::from_secs(3),
        },
        order_number: NumberRule::new(1, 64, "_", Unique::Account),
        refund_number: NumberRule::new(1, 64, "_", Unique::Payment),
        notifications: Notifications { payments: true, refunds: true, states_amount: true },
        unverified: &[],
    }
}
