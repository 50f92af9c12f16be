//! What a UnionPay channel can do.

use std::time::Duration;

use domain::{Currency, Flow, Method, NotFound, Proves, RefundLimits};

use crate::capabilities::{
    AmountLimits, Capabilities, Closing, ExpiryLimits, Notifications, NumberRule, Resend, Row,
    Unique,
};
use crate::common::{days, waits};

pub(super) fn table() -> Capabilities {
    let number = NumberRule::new(8, 40, "", Unique::AccountAndTime);
    Capabilities {
        provider: "unionpay",
        methods: vec![(Method::UnionPay, Flow::Presented), (Method::Card, Flow::Presented)],
        // Twelve digits of fen.
        amounts: AmountLimits::same(&[Currency::CNY], 1, 999_999_999_999),
        // `payTimeout`, to the second. Its bounds are Evergate's own: nobody fills in the
        // cashier's page in less, and an order that nobody can close should not live longer.
        expiry: ExpiryLimits {
            told: true,
            shortest: Duration::from_secs(60),
            longest: Some(days(1)),
            granularity: Duration::from_secs(1),
        },
        query_schedule: waits(&[4, 8, 16, 32, 64, 300, 600, 1_800, 3_600], 7_200),
        // The order is a form in the customer's browser; the same form is the same order.
        resend_create: Resend::WhileOpen,
        closing: Closing::LapseOnly,
        // 34 while the form is open means that it was not submitted yet. After `payTimeout` the
        // cashier refuses; what a bank debits later still, UnionPay gives back by itself.
        not_found: NotFound { presented: Proves::AfterEnd, direct: Proves::Nothing },
        // 90 days as a rule and 330 at most, by agreement: the setting `refund_days` states it.
        refunds: RefundLimits {
            partial: true,
            count_max: None,
            within: Some(days(330)),
            least_minor: 1,
            apart: Duration::ZERO,
        },
        order_number: number,
        refund_number: number,
        notifications: Notifications { payments: true, refunds: true, states_amount: true },
        unverified: &[Row::Expiry, Row::ResendCreate],
    }
}
