//! Channels: how they are, and the controls that take them out of service. Controls need an
//! operator's key, a reason, and leave a line in the audit log (rule 12).

use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::Uri;
use domain::{ChannelId, Method, Override, Timestamp};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::channel_view::{ChannelStatus, FleetStatus, Show};
use crate::fields::{self, Fields, Text};
use crate::params::ChannelInPath;
use crate::problem::{Problem, ProblemDocument};
use crate::time::{parse_rfc3339, rfc3339};
use crate::view::MethodName;

pub(crate) const REASON: Text = Text {
    max: 200,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 200 characters without control characters",
    fix: "say why in a few words, such as \"maintenance until noon\"",
};

/// The channels of this server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Channels {
    /// Counts the changes of the controls.
    controls_version: u64,
    /// The preferred ones first.
    channels: Vec<ChannelStatus>,
    /// What concerns all of them together.
    fleet: FleetStatus,
}

/// An operator's override.
#[derive(Serialize, ToSchema)]
#[schema(as = Override)]
pub(crate) struct OverrideView {
    /// One method of the channel, or all.
    #[schema(value_type = Option<MethodName>)]
    method: Option<&'static str>,
    /// The name of the operator's key.
    by: String,
    /// Why.
    reason: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    until: Option<String>,
}

impl OverrideView {
    pub(crate) fn of(over: &Override) -> OverrideView {
        OverrideView {
            method: over.method.map(Method::name),
            by: over.by.clone(),
            reason: over.reason.clone(),
            since: rfc3339(over.since),
            until: over.until.map(rfc3339),
        }
    }
}

fn channels(state: &Shared, show: Show) -> Json<Channels> {
    let channels = state.engine.channels();
    Json(Channels {
        controls_version: state.engine.controls().version,
        channels: channels.iter().map(|channel| ChannelStatus::of(channel, show)).collect(),
        fleet: FleetStatus::of(&state.engine.fleet()),
    })
}

/// List the channels with their health and overrides.
#[utoipa::path(
    get, path = "/v1/channels", tag = "channels", operation_id = "list_channels",
    params(ShowParams),
    responses(
        (status = 200, body = Channels),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    _caller: Caller,
    RawQuery(raw): RawQuery,
) -> Result<Json<Channels>, Problem> {
    let query = fields::query(raw.as_deref())?;
    let mut fields = Fields::new(&query, &["capabilities"]);
    let choices = [("true", Show::Capabilities), ("false", Show::Health)];
    let show = fields.one_of("capabilities", &choices).unwrap_or(Show::Health);
    fields.end()?;
    Ok(channels(&state, show))
}

/// What to show of channels.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ShowParams {
    /// Also what each channel can do: amounts, expiry, refunds, closing, numbers.
    capabilities: Option<bool>,
}

/// Why, and for how long.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct DisableChannel {
    /// One method of the channel; absent: all.
    method: Option<MethodName>,
    /// Why; goes into the audit log.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "maintenance announced by the bank"
    )]
    reason: String,
    /// For how many seconds; absent (and without `until`): until somebody enables it.
    #[schema(minimum = 1, maximum = 31_536_000)]
    for_s: Option<i64>,
    /// Until when (RFC 3339), instead of `for_s`.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Take a channel, or one method of it, out of service.
///
/// New payments go elsewhere at once; what was shown stays payable. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/channels/{id}/disable", tag = "channels", operation_id = "disable_channel",
    params(("id" = String, Path)),
    request_body = DisableChannel,
    responses(
        (status = 200, body = Channels),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn disable(
    State(state): State<Shared>,
    caller: Caller,
    ChannelInPath(channel): ChannelInPath,
    body: JsonBody,
) -> Result<Json<Channels>, Problem> {
    caller.must_operate()?;
    let new = read_override(&body, channel, caller.name, state.engine.now())?;
    state.engine.disable(new).await?;
    Ok(channels(&state, Show::Health))
}

/// Reads what is to be in force, why and until when.
fn read_override(
    body: &JsonBody,
    channel: ChannelId,
    by: String,
    now: Timestamp,
) -> Result<Override, Problem> {
    let mut fields = Fields::new(&body.object, &["method", "reason", "for_s", "until"]);
    let method = fields.parsed("method", "send one of the channel's methods");
    fields.require("reason", REASON.fix);
    let reason = fields.text("reason", &REASON);
    let for_s = fields.integer("for_s", 1..=31_536_000, "send a number of seconds, such as 3600");
    let until = match fields.string("until").map(parse_rfc3339) {
        Some(Some(until)) if until > now => Some(until),
        Some(_) => {
            fields.mistake(
                "until",
                "must be a time in the future in RFC 3339",
                "send 2026-11-24T12:00:00Z, for example, or for_s instead",
            );
            None
        }
        None => None,
    };
    if for_s.is_some() && until.is_some() {
        fields.mistake("until", "cannot stand beside for_s", "send one of the two");
    }
    fields.end()?;
    let wait = for_s.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    Ok(Override {
        channel,
        method,
        by,
        reason: reason.unwrap_or_default(),
        since: now,
        until: until.or_else(|| wait.map(|wait| now + wait)),
    })
}

/// Put a channel, or one method of it, before all others.
///
/// It comes before the rules and the merchant's order; its health still counts, and a disabled
/// channel stays disabled. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/channels/{id}/prefer", tag = "channels", operation_id = "prefer_channel",
    params(("id" = String, Path)),
    request_body = DisableChannel,
    responses(
        (status = 200, body = Channels),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn prefer(
    State(state): State<Shared>,
    caller: Caller,
    ChannelInPath(channel): ChannelInPath,
    body: JsonBody,
) -> Result<Json<Channels>, Problem> {
    caller.must_operate()?;
    let new = read_override(&body, channel, caller.name, state.engine.now())?;
    state.engine.prefer(new).await?;
    Ok(channels(&state, Show::Health))
}

/// End the preference for a channel, or for one method of it.
///
/// Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/channels/{id}/release", tag = "channels", operation_id = "release_channel",
    params(("id" = String, Path)),
    request_body(content = Option<EnableChannel>),
    responses(
        (status = 200, body = Channels),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn release(
    State(state): State<Shared>,
    caller: Caller,
    ChannelInPath(channel): ChannelInPath,
    body: JsonBody,
) -> Result<Json<Channels>, Problem> {
    caller.must_operate()?;
    let mut fields = Fields::new(&body.object, &["method", "reason"]);
    let method = fields.parsed("method", "send one of the channel's methods");
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    fields.end()?;
    state.engine.release(&channel, method, &caller.name, &reason).await?;
    Ok(channels(&state, Show::Health))
}

/// Why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct EnableChannel {
    /// One method of the channel; absent: all.
    method: Option<MethodName>,
    /// Why; goes into the audit log.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "the bank is back"
    )]
    reason: Option<String>,
}

/// Put a channel, or one method of it, back into service.
///
/// Lifts the operators' overrides; the channel's measured health still counts. Needs an
/// operator's key.
#[utoipa::path(
    post, path = "/v1/channels/{id}/enable", tag = "channels", operation_id = "enable_channel",
    params(("id" = String, Path)),
    request_body(content = Option<EnableChannel>),
    responses(
        (status = 200, body = Channels),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn enable(
    State(state): State<Shared>,
    caller: Caller,
    ChannelInPath(channel): ChannelInPath,
    body: JsonBody,
) -> Result<Json<Channels>, Problem> {
    caller.must_operate()?;
    let mut fields = Fields::new(&body.object, &["method", "reason"]);
    let method = fields.parsed("method", "send one of the channel's methods");
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    fields.end()?;
    state.engine.enable(&channel, method, &caller.name, &reason).await?;
    Ok(channels(&state, Show::Health))
}

/// How much of the audit log.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct AuditParams {
    /// At most this many lines; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u8>,
}

/// The audit log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Audit {
    /// Newest first.
    lines: Vec<AuditLine>,
}

/// One line of the audit log.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuditLine {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The name of the operator's key.
    by: String,
    /// What was done.
    action: String,
    /// Why.
    reason: String,
}

/// Read the audit log. Needs a key of the role viewer, operator or approver.
#[utoipa::path(
    get, path = "/v1/audit", tag = "channels", operation_id = "list_audit",
    params(AuditParams),
    responses(
        (status = 200, body = Audit),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn audit(
    State(state): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Audit>, Problem> {
    caller.must_look()?;
    let query = fields::query(uri.query())?;
    let mut fields = Fields::new(&query, &["limit"]);
    let limit = fields::query_integer(&mut fields, "limit", 1..=200, "send 50, for example");
    fields.end()?;
    let limit = usize::try_from(limit.unwrap_or(50)).unwrap_or(1);
    let lines = state.engine.store().audit(limit).await?.into_iter().map(|line| AuditLine {
        at: rfc3339(line.at),
        by: line.by,
        action: line.action,
        reason: line.reason,
    });
    Ok(Json(Audit { lines: lines.collect() }))
}
