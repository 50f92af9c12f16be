//! Channels' health as the API shows it: states, evidence, and what is done about it.

use domain::Method;
use engine::{
    ChannelView, DeclineTurn, Evidence, Fleet, IssuerView, LatencyView, MethodView, SilenceView,
    Turn,
};
use resilience::Cause;
use serde::Serialize;
use utoipa::ToSchema;

use crate::capability_view::CapabilitiesView;
use crate::channels::OverrideView;
use crate::time::rfc3339;
use crate::view::MethodName;

/// How much of a channel is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// How it is.
    Health,
    /// That, and what it can do.
    Capabilities,
}

/// A channel and how it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Channel)]
pub(crate) struct ChannelStatus {
    /// Its name.
    id: String,
    /// The provider.
    provider: &'static str,
    /// What it can do; only where `capabilities=true` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<CapabilitiesView>,
    /// A line for each method on it.
    methods: Vec<MethodStatus>,
}

/// A method of a channel and how it is.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelMethod)]
pub(crate) struct MethodStatus {
    /// The method.
    #[schema(value_type = MethodName)]
    method: &'static str,
    /// `healthy`, `suspect`, `down`, `probing` or `ramping`.
    health: &'static str,
    /// What is wrong with it: `technical` (calls fail), `refused` (requests are refused one
    /// after the other), `approval` (far fewer payments than usual are made), `hang` (calls are
    /// not answered), `conversion` (codes are shown and nobody pays) or `maintenance`.
    cause: Option<&'static str>,
    /// While down: when it may be probed.
    #[schema(format = DateTime)]
    down_until: Option<String>,
    /// The share of payments that its health lets through, in percent.
    share: u8,
    /// The evidence of its outcomes against it, in nats.
    statistic: f64,
    /// Where the statistic is an alarm.
    threshold: f64,
    /// When its health last changed.
    #[schema(format = DateTime)]
    changed_at: Option<String>,
    /// The newest change of its health since the start.
    last_change: Option<HealthChange>,
    /// Technical successes since the start.
    successes: u64,
    /// Technical failures since the start.
    failures: u64,
    /// The share of calls that work on a good day, as learned, from 0 to 1.
    technical_base: f64,
    /// The share of payments that customers are not refused on a good day, as learned, from 0 to
    /// 1. It ranks channels and is no measure of health.
    approval_base: Option<f64>,
    /// How long calls take; absent until one was answered.
    latency: Option<LatencyStatus>,
    /// Evidence from what does not happen.
    silence: Silence,
    /// Issuers (banks) for whose customers it is routed around.
    issuers: Vec<IssuerStatus>,
    /// The newest shift in why customers are refused: one reason has become far more frequent.
    /// It says nothing about the channel's health.
    decline_shift: Option<DeclineShift>,
    /// Whether it may take one more payment now, by its limit and, while slow, by its cap.
    has_room: bool,
    /// The operator's override in force.
    disabled: Option<OverrideView>,
    /// The operator's preference in force: it comes before rules and the merchant's order.
    preferred: Option<OverrideView>,
}

/// How long a channel's calls take.
#[derive(Serialize, ToSchema)]
pub(crate) struct LatencyStatus {
    /// The usual time in milliseconds, as learned.
    usual_ms: f64,
    /// By how much calls take longer of late; at least 1.
    ratio: f64,
    /// Slow beyond doubt. A slow channel is not down: it gets no more calls at once than `cap`.
    slow: bool,
    /// While slow: the most calls at once.
    cap: Option<u32>,
    /// Calls under way that make a payment.
    in_flight: u32,
}

/// Evidence from what does not happen.
#[derive(Serialize, ToSchema)]
pub(crate) struct Silence {
    /// That calls are not answered.
    calls: EvidenceStatus,
    /// That codes are shown which nobody can pay.
    codes: EvidenceStatus,
    /// Codes that are shown and not paid yet.
    unpaid_codes: u32,
}

/// A statistic and its threshold, in nats.
#[derive(Serialize, ToSchema)]
#[schema(as = Evidence)]
pub(crate) struct EvidenceStatus {
    /// At least 0.
    statistic: f64,
    /// An alarm from here on.
    threshold: f64,
}

/// An issuer for whose customers a channel is routed around.
#[derive(Serialize, ToSchema)]
pub(crate) struct IssuerStatus {
    /// The issuer, as payments name it.
    issuer: String,
    /// Its health on this channel and method.
    health: &'static str,
    /// What is wrong.
    cause: Option<&'static str>,
}

/// A reason for refusals that has become frequent.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeclineShift {
    /// The provider's code; `other` for the rare ones together.
    code: String,
    /// When it was noticed.
    #[schema(format = DateTime)]
    at: String,
}

/// A change of a channel's health.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthChange {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The channel.
    channel: String,
    /// The method on it.
    #[schema(value_type = MethodName)]
    method: &'static str,
    /// The state before.
    from: &'static str,
    /// The state after.
    to: &'static str,
    /// What is wrong with it.
    cause: Option<&'static str>,
    /// The evidence just before, in nats.
    evidence: f64,
}

/// What concerns all channels together.
#[derive(Serialize, ToSchema)]
pub(crate) struct FleetStatus {
    /// Further attempts of requests that may be made now; a share of first attempts is added.
    retries_left: f64,
    /// Success rates drift, so that recent results count for more.
    drifting: bool,
    /// Issuers that fail on every channel: their own fault, for which nothing is switched.
    sick_issuers: Vec<SickIssuerStatus>,
    /// Changes of health since the start, newest last; at most 64.
    changes: Vec<HealthChange>,
}

/// An issuer that fails on every channel.
#[derive(Serialize, ToSchema)]
#[schema(as = SickIssuer)]
pub(crate) struct SickIssuerStatus {
    /// The issuer, as payments name it.
    issuer: String,
    /// When its results count again.
    #[schema(format = DateTime)]
    until: String,
}

impl ChannelStatus {
    pub(crate) fn of(view: &ChannelView, show: Show) -> ChannelStatus {
        let methods = view.methods.iter().map(|(method, view)| MethodStatus::of(*method, view));
        let capabilities = || CapabilitiesView::of(&view.capabilities, view.max_per_second);
        ChannelStatus {
            id: view.id.to_string(),
            provider: view.capabilities.provider,
            capabilities: (show == Show::Capabilities).then(capabilities),
            methods: methods.collect(),
        }
    }
}

impl MethodStatus {
    fn of(method: Method, view: &MethodView) -> MethodStatus {
        let down_until = match view.health {
            resilience::HealthState::Down { until } => Some(rfc3339(until)),
            _ => None,
        };
        MethodStatus {
            method: method.name(),
            health: view.health.name(),
            cause: view.cause.map(Cause::name),
            down_until,
            share: view.share_percent,
            statistic: view.evidence.statistic,
            threshold: view.evidence.threshold,
            changed_at: view.changed_at.map(rfc3339),
            last_change: view.last_change.as_ref().map(HealthChange::of),
            successes: view.seen.0,
            failures: view.seen.1,
            technical_base: view.technical_base,
            approval_base: view.approval_base,
            latency: view.latency.map(LatencyStatus::of),
            silence: Silence::of(view.silence),
            issuers: view.issuers.iter().map(IssuerStatus::of).collect(),
            decline_shift: view.declines.as_ref().map(DeclineShift::of),
            has_room: view.has_room,
            disabled: view.disabled.as_ref().map(OverrideView::of),
            preferred: view.preferred.as_ref().map(OverrideView::of),
        }
    }
}

impl LatencyStatus {
    fn of(view: LatencyView) -> LatencyStatus {
        let LatencyView { usual_ms, ratio, is_slow, cap, in_flight } = view;
        LatencyStatus { usual_ms, ratio, slow: is_slow, cap, in_flight }
    }
}

impl Silence {
    fn of(view: SilenceView) -> Silence {
        let evidence =
            |e: Evidence| EvidenceStatus { statistic: e.statistic, threshold: e.threshold };
        Silence {
            calls: evidence(view.calls),
            codes: evidence(view.codes),
            unpaid_codes: view.unpaid_codes,
        }
    }
}

impl IssuerStatus {
    fn of(view: &IssuerView) -> IssuerStatus {
        IssuerStatus {
            issuer: view.issuer.clone(),
            health: view.health.name(),
            cause: view.cause.map(Cause::name),
        }
    }
}

impl DeclineShift {
    fn of(turn: &DeclineTurn) -> DeclineShift {
        DeclineShift { code: turn.code.clone(), at: rfc3339(turn.at) }
    }
}

impl HealthChange {
    fn of(turn: &Turn) -> HealthChange {
        HealthChange {
            at: rfc3339(turn.at),
            channel: turn.channel.to_string(),
            method: turn.method.name(),
            from: turn.from,
            to: turn.to,
            cause: turn.cause.map(Cause::name),
            evidence: turn.evidence,
        }
    }
}

impl FleetStatus {
    pub(crate) fn of(fleet: &Fleet) -> FleetStatus {
        let sick = fleet.sick_issuers.iter().map(|sick| SickIssuerStatus {
            issuer: sick.issuer.clone(),
            until: rfc3339(sick.until),
        });
        FleetStatus {
            retries_left: fleet.retries_left,
            drifting: fleet.is_drifting,
            sick_issuers: sick.collect(),
            changes: fleet.changes.iter().map(HealthChange::of).collect(),
        }
    }
}
