//! What a bank channel can do: what its ledger does, since nobody is called.

use std::time::Duration;

use domain::{Flow, Method, NotFound, Proves, RefundLimits, Schedule};

use super::settings::BankSettings;
use crate::capabilities::{
    AmountLimits, Capabilities, Closing, ExpiryLimits, Notifications, NumberRule, Resend, Unique,
};

pub(super) fn table(set: &BankSettings) -> Capabilities {
    let minutes = |m: u64| Duration::from_secs(m * 60);
    let number = NumberRule::new(1, 64, "", Unique::Account);
    Capabilities {
        provider: "bank",
        methods: vec![(Method::BankTransfer, Flow::Presented)],
        amounts: AmountLimits::same(&set.currencies, set.amount_min_minor, set.amount_max_minor),
        // A bank is told no end and refuses nothing.
        expiry: ExpiryLimits {
            told: false,
            shortest: Duration::ZERO,
            longest: None,
            granularity: Duration::from_secs(1),
        },
        pay_within: Some(set.pay_within()),
        // Imports tell the engine at once; these questions are for when that word was lost.
        query_schedule: Schedule {
            waits: vec![minutes(10), minutes(30), minutes(60)],
            then_every: minutes(180),
        },
        resend_create: Resend::WhileOpen,
        closing: Closing::LedgerOnly,
        not_found: NotFound { presented: Proves::AfterEnd, direct: Proves::Nothing },
        // Refunds are transfers that people make: nothing limits them but what was received.
        refunds: RefundLimits::default(),
        order_number: number,
        refund_number: number,
        // A statement is its notification.
        notifications: Notifications { payments: true, refunds: true, states_amount: true },
        person_codes: &[],
        unverified: &[],
    }
}
