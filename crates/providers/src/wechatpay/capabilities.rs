//! What a WeChat Pay channel can do.

use std::time::Duration;

use domain::{Currency, Flow, Method, NotFound, Proves, RefundLimits};

use crate::capabilities::{
    AmountLimits, Capabilities, Closing, ExpiryLimits, Notifications, NumberRule, Resend, Row,
    Unique,
};
use crate::common::{days, waits};

pub(super) fn table() -> Capabilities {
    Capabilities {
        provider: "wechatpay",
        methods: vec![(Method::WechatPay, Flow::Presented)],
        // At least a fen; no page states the most, which is Evergate's own bound.
        amounts: AmountLimits::same(&[Currency::CNY], 1, 10_000_000_000),
        // At least a minute; one page allows fifteen days, another seven, which holds for both.
        expiry: ExpiryLimits {
            told: true,
            shortest: Duration::from_secs(60),
            longest: Some(days(7)),
            granularity: Duration::from_secs(1),
        },
        // 5 s, 30 s, 1 m, 3 m, 5 m, 10 m and 30 m after ordering, as the documentation advises.
        query_schedule: waits(&[5, 25, 30, 120, 120, 300, 1_200], 1_800),
        // The same number with the same parameters gives a new code, and the old one dies.
        resend_create: Resend::WhileOpen,
        closing: Closing::Proven,
        // After an unanswered create call the order may still be on its way.
        not_found: NotFound { presented: Proves::AfterEnd, direct: Proves::Nothing },
        refunds: RefundLimits {
            partial: true,
            count_max: Some(50),
            within: Some(days(365)),
            least_minor: 1,
            // "About a minute"; a refund that comes too soon is answered with 429, which on a
            // refund says nothing about its effect.
            apart: Duration::from_secs(60),
        },
        order_number: NumberRule::new(6, 32, "_-|*", Unique::Account),
        refund_number: NumberRule::new(1, 64, "_-|*@", Unique::Account),
        notifications: Notifications { payments: true, refunds: true, states_amount: true },
        unverified: &[Row::Amounts],
    }
}
