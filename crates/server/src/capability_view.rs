//! What a channel can do, as the API shows it.

use std::time::Duration;

use domain::{Flow, Method, Proves};
use engine::Channel;
use providers::{AmountLimits, Capabilities, ExpiryLimits, Notifications, NumberRule, Resend};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::view::MethodName;

/// A channel's table: what it takes, and what its provider promises.
#[derive(Serialize, ToSchema)]
#[schema(as = Capabilities)]
pub(crate) struct CapabilitiesView {
    /// Its methods, each with a flow.
    methods: Vec<MethodFlow>,
    /// The currencies that it takes, each with its limits.
    amounts: Vec<AmountsView>,
    /// How long its orders may live.
    expiry: ExpiryView,
    /// How long the customer may take to pay, in seconds, where that is longer than a code lives:
    /// such an attempt lets its payment live so long.
    pay_within_s: Option<u64>,
    /// Waits in seconds between questions about an order; the last one repeats.
    query_waits_s: Vec<u64>,
    /// Whether a create call without an answer may be sent again under its number: `never`,
    /// `within` (see `resend_within_s`) or `while_open`.
    resend_create: &'static str,
    /// For how long, where `resend_create` is `within`.
    resend_within_s: Option<u64>,
    /// What the end of an unpaid order rests on: `proven` (a close call proves it), `lapse_only`
    /// (it ends by itself only), `never_captured` (a capture of Evergate's takes the money, and
    /// is not made) or `ledger_only` (a bank: money that still comes is honoured or given back).
    closing: &'static str,
    /// What "not found" proves of an order that the customer must act on: `nothing`, that nobody
    /// can pay it `after_end` (its own end), or that it was never made
    /// `after_create_window`.
    not_found: &'static str,
    /// The same of a charge that the call itself makes; absent where there is none.
    not_found_direct: Option<&'static str>,
    /// What refunds it takes.
    refunds: RefundsView,
    /// What it takes for an order number.
    order_number: NumberView,
    /// What it takes for a refund number.
    refund_number: NumberView,
    /// What it tells unasked.
    notifications: NotificationsView,
    /// The provider's codes of an order that only a person can settle with it.
    person_codes: &'static [&'static str],
    /// New payments a second that it is given at most, by its settings.
    max_per_second: Option<f64>,
    /// Fields of this table that no document or experiment has confirmed.
    unverified: Vec<&'static str>,
}

/// A method in a flow.
#[derive(Serialize, ToSchema)]
pub(crate) struct MethodFlow {
    /// The method.
    #[schema(value_type = MethodName)]
    method: &'static str,
    /// `presented` (the customer acts first) or `direct` (the call charges).
    flow: &'static str,
}

/// The limits of a currency, in minor units.
#[derive(Serialize, ToSchema)]
#[schema(as = AmountLimits)]
pub(crate) struct AmountsView {
    /// ISO 4217.
    currency: &'static str,
    /// Decimals between the major and the minor unit.
    decimals: u32,
    /// The smallest amount.
    least: i64,
    /// The largest.
    most: i64,
}

/// How long orders may live.
#[derive(Serialize, ToSchema)]
#[schema(as = ExpiryLimits)]
pub(crate) struct ExpiryView {
    /// Whether the provider is told an order's end and refuses payment after it.
    told: bool,
    /// The shortest life in seconds.
    shortest_s: u64,
    /// The longest; absent where orders do not end by themselves.
    longest_s: Option<u64>,
    /// The end is told in units of so many seconds.
    granularity_s: u64,
}

/// What refunds a channel takes.
#[derive(Serialize, ToSchema)]
#[schema(as = RefundLimits)]
pub(crate) struct RefundsView {
    /// Whether a part may go back.
    partial: bool,
    /// The most refunds of one payment; absent when none is stated.
    count_max: Option<u16>,
    /// How long after the payment in seconds; absent when no time is stated.
    within_s: Option<u64>,
    /// The smallest refund in minor units.
    least: i64,
    /// The shortest time between two refunds of one payment, in seconds.
    apart_s: u64,
}

/// What a provider takes for a number: ASCII letters and digits, and perhaps more.
#[derive(Serialize, ToSchema)]
#[schema(as = NumberRule)]
pub(crate) struct NumberView {
    /// The fewest signs.
    least: usize,
    /// The most.
    most: usize,
    /// Signs besides letters and digits.
    signs: &'static str,
    /// Where a number may stand once only: `account`, `account_and_time` (it names an order
    /// together with its time), `payment` (that is refunded) or `note` (nowhere: the provider
    /// keeps it as a note).
    unique: &'static str,
}

/// What a provider tells unasked.
#[derive(Serialize, ToSchema)]
#[schema(as = Notifications)]
pub(crate) struct NotificationsView {
    /// That an order is paid.
    payments: bool,
    /// What became of a refund.
    refunds: bool,
    /// Whether it states the amount, and so books the payment by itself; otherwise Evergate asks.
    states_amount: bool,
}

impl CapabilitiesView {
    pub(crate) fn of(table: &Capabilities, max_per_second: Option<f64>) -> CapabilitiesView {
        let is_direct = table.methods.iter().any(|(_, flow)| *flow == Flow::Direct);
        let schedule = &table.query_schedule;
        let waits = schedule.waits.iter().chain([&schedule.then_every]);
        CapabilitiesView {
            methods: table.methods.iter().map(method_flow).collect(),
            amounts: table.amounts.iter().map(AmountsView::of).collect(),
            expiry: ExpiryView::of(table.expiry),
            pay_within_s: table.pay_within.map(|within| within.as_secs()),
            query_waits_s: waits.map(Duration::as_secs).collect(),
            resend_create: table.resend_create.name(),
            resend_within_s: match table.resend_create {
                Resend::Within(span) => Some(span.as_secs()),
                Resend::Never | Resend::WhileOpen => None,
            },
            closing: table.closing.name(),
            not_found: Proves::name(table.not_found.presented),
            not_found_direct: is_direct.then(|| table.not_found.direct.name()),
            refunds: RefundsView::of(table.refunds),
            order_number: NumberView::of(table.order_number),
            refund_number: NumberView::of(table.refund_number),
            notifications: NotificationsView::of(table.notifications),
            person_codes: table.person_codes,
            max_per_second,
            unverified: table.unverified.iter().map(|row| row.name()).collect(),
        }
    }
}

fn method_flow(&(method, flow): &(Method, Flow)) -> MethodFlow {
    let flow = match flow {
        Flow::Presented => "presented",
        Flow::Direct => "direct",
    };
    MethodFlow { method: method.name(), flow }
}

impl AmountsView {
    fn of(limits: &AmountLimits) -> AmountsView {
        AmountsView {
            currency: limits.currency.code(),
            decimals: limits.currency.decimals(),
            least: limits.least_minor,
            most: limits.most_minor,
        }
    }
}

impl ExpiryView {
    fn of(limits: ExpiryLimits) -> ExpiryView {
        ExpiryView {
            told: limits.told,
            shortest_s: limits.shortest.as_secs(),
            longest_s: limits.longest.map(|longest| longest.as_secs()),
            granularity_s: limits.granularity.as_secs(),
        }
    }
}

impl RefundsView {
    fn of(limits: domain::RefundLimits) -> RefundsView {
        RefundsView {
            partial: limits.partial,
            count_max: limits.count_max,
            within_s: limits.within.map(|within| within.as_secs()),
            least: limits.least_minor,
            apart_s: limits.apart.as_secs(),
        }
    }
}

impl NumberView {
    fn of(rule: NumberRule) -> NumberView {
        let NumberRule { least, most, signs, unique } = rule;
        NumberView { least, most, signs, unique: unique.name() }
    }
}

impl NotificationsView {
    fn of(told: Notifications) -> NotificationsView {
        let Notifications { payments, refunds, states_amount } = told;
        NotificationsView { payments, refunds, states_amount }
    }
}

/// The tables of channels that no server runs, in the shape of `GET /v1/channels`.
pub fn capabilities_offline(channels: &[Channel]) -> Value {
    let line = |channel: &Channel| {
        json!({
            "id": channel.id.to_string(),
            "provider": channel.capabilities.provider,
            "capabilities": CapabilitiesView::of(&channel.capabilities, channel.max_per_second),
        })
    };
    json!({ "channels": channels.iter().map(line).collect::<Vec<_>>() })
}
