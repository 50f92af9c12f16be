//! The degradation ladder, the pauses of features, and held orders. What changes for many needs
//! an operator's key, a reason and an end, and leaves a line in the audit log (rule 12).

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use domain::{Descent, Gate, HoldBy, Level, Mover, Purpose, Reach, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::{Caller, Role};
use crate::body::JsonBody;
use crate::channels::REASON;
use crate::fields::Fields;
use crate::params::{IdInPath, visible};
use crate::payments::seen;
use crate::problem::{Problem, ProblemDocument, kinds};
use crate::time::{parse_rfc3339, rfc3339};
use crate::view::{MethodName, PaymentView};

/// The ladder as it stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ladder {
    /// The level for everybody.
    #[schema(value_type = String, example = "normal")]
    level: Level,
    /// What customers may know of each method; those that work first.
    methods: Vec<MethodStanding>,
    /// Levels below the top, with who moved them, why and until when.
    levels: Vec<LevelView>,
    /// Paused features.
    paused: Vec<PauseView>,
}

/// What customers may know of a method.
#[derive(Serialize, ToSchema)]
pub(crate) struct MethodStanding {
    /// The method.
    #[schema(value_type = MethodName)]
    method: &'static str,
    /// Whether a payment would be tried by it now.
    available: bool,
    /// How far its customers are led away from it.
    #[schema(value_type = String, example = "other_method")]
    level: Level,
    /// What they are asked to use instead.
    #[schema(value_type = Option<MethodName>)]
    instead: Option<&'static str>,
}

/// A level in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct LevelView {
    /// For whom: `all`, `method:<method>`, `channel:<channel>` or `purpose:<purpose>`.
    #[schema(example = "method:alipay")]
    scope: String,
    /// `normal`, `rerouted`, `other_method`, `transfer`, `held` or `assisted`.
    #[schema(value_type = String, example = "other_method")]
    level: Level,
    /// Its number, 0 to 5.
    number: u8,
    /// `policy`, `runbook:<name>` or the name of a person.
    by: String,
    /// Why.
    reason: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// When it ends by itself; the policy's is renewed while its reason lasts.
    #[schema(format = DateTime)]
    until: String,
    /// Whether somebody's word in the same scope counts instead.
    overruled: bool,
}

/// A paused feature.
#[derive(Serialize, ToSchema)]
pub(crate) struct PauseView {
    /// What is not charged: `renewal`, `top_up`, `instalment` or another purpose.
    #[schema(value_type = String, example = "renewal")]
    purpose: Purpose,
    /// Who paused it.
    by: String,
    /// Why.
    reason: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// When it goes on by itself.
    #[schema(format = DateTime)]
    until: String,
}

/// How a scope is written, in the API and on the command line.
pub(crate) fn scope(reach: &Reach) -> String {
    reach.to_string().replace(' ', ":")
}

fn ladder(state: &Shared) -> Ladder {
    let (controls, now, sight) =
        (state.engine.controls(), state.engine.now(), state.engine.sight());
    let set = &controls.ladder;
    let counts = |d: &Descent| set.in_force(now).any(|other| other == d);
    let level = |d: &Descent| LevelView {
        scope: scope(&d.reach),
        level: d.level,
        number: d.level.number(),
        by: match &d.mover {
            Mover::Policy => "policy".to_owned(),
            Mover::Runbook(name) => format!("runbook:{name}"),
            Mover::Operator(name) => name.clone(),
        },
        reason: d.reason.clone(),
        since: rfc3339(d.since),
        until: rfc3339(d.until),
        overruled: !counts(d),
    };
    let pause = |gate: &Gate| PauseView {
        purpose: gate.purpose,
        by: gate.by.clone(),
        reason: gate.reason.clone(),
        since: rfc3339(gate.since),
        until: rfc3339(gate.until),
    };
    Ladder {
        level: sight.level,
        methods: sight
            .methods
            .iter()
            .map(|sight| MethodStanding {
                method: sight.method.name(),
                available: sight.available,
                level: sight.level,
                instead: sight.instead.map(|m| m.name()),
            })
            .collect(),
        levels: set.descents.iter().filter(|d| now < d.until).map(level).collect(),
        paused: set.gates.iter().filter(|gate| now < gate.until).map(pause).collect(),
    }
}

/// See the ladder: levels, what customers may know of methods, and paused features.
#[utoipa::path(
    get, path = "/v1/ladder", tag = "ladder", operation_id = "get_ladder",
    responses(
        (status = 200, body = Ladder),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn show(State(state): State<Shared>, _caller: Caller) -> Json<Ladder> {
    Json(ladder(&state))
}

/// Where to, for whom, why, and until when.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct MoveLevel {
    /// `all`, `method:<method>`, `channel:<channel>` or `purpose:<purpose>`.
    #[schema(pattern = "^(all|(method|channel|purpose):.+)$", example = "method:alipay")]
    scope: String,
    /// `normal` (keeps the policy from moving it), `rerouted`, `other_method`, `transfer`, `held`,
    /// `assisted`.
    #[schema(example = "other_method")]
    level: String,
    /// Why; goes into the audit log.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    reason: String,
    /// For how many seconds; this or `until` is required.
    #[schema(minimum = 1, maximum = 31_536_000, example = 3600)]
    for_s: Option<i64>,
    /// Until when (RFC 3339), instead of `for_s`.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Move a scope to a level of the ladder.
///
/// In that scope it counts instead of what health says, until its end. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/ladder/move", tag = "ladder", operation_id = "move_level",
    request_body = MoveLevel,
    responses(
        (status = 200, body = Ladder),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn shift(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<Ladder>, Problem> {
    caller.must_operate()?;
    let now = state.engine.now();
    let mut fields = Fields::new(&body.object, &["scope", "level", "reason", "for_s", "until"]);
    let reach: Option<Reach> = reach(&mut fields);
    fields.require("level", "send a level, such as other_method");
    let level: Option<Level> = fields.parsed("level", "send a level, such as other_method");
    let (reason, until) = why_and_until(&mut fields, now);
    fields.end()?;
    // `end` has succeeded, so every required field was read.
    if let (Some(reach), Some(level), Some(until)) = (reach, level, until) {
        let mover = Mover::Operator(caller.name);
        let new = Descent { reach, level, mover, reason, since: now, until };
        state.engine.move_level(new).await?;
    }
    Ok(Json(ladder(&state)))
}

/// For whom, and why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct LiftLevel {
    /// `all`, `method:<method>`, `channel:<channel>` or `purpose:<purpose>`.
    #[schema(pattern = "^(all|(method|channel|purpose):.+)$", example = "method:alipay")]
    scope: String,
    /// Why; goes into the audit log.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    reason: String,
}

/// Take people's word on a scope back.
///
/// What health says counts again. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/ladder/lift", tag = "ladder", operation_id = "lift_level",
    request_body = LiftLevel,
    responses(
        (status = 200, body = Ladder),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn lift(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<Ladder>, Problem> {
    caller.must_operate()?;
    let mut fields = Fields::new(&body.object, &["scope", "reason"]);
    let reach = reach(&mut fields);
    let reason = reason(&mut fields);
    fields.end()?;
    if let Some(reach) = reach {
        state.engine.lift_level(&reach, &caller.name, &reason).await?;
    }
    Ok(Json(ladder(&state)))
}

/// Why, and until when.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct PauseFeature {
    /// Why; goes into the audit log.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    reason: String,
    /// For how many seconds; this or `until` is required: a pause without an end is forgotten.
    #[schema(minimum = 1, maximum = 31_536_000, example = 7200)]
    for_s: Option<i64>,
    /// Until when (RFC 3339), instead of `for_s`.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Pause a feature: nothing is charged for this purpose until it goes on.
///
/// What comes meanwhile is kept (status `paused`), may be cancelled, and is released afterwards
/// at a bounded rate, what is due longest first. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/features/{purpose}/pause", tag = "ladder", operation_id = "pause_feature",
    params(("purpose" = String, Path, example = "renewal")),
    request_body = PauseFeature,
    responses(
        (status = 200, body = Ladder),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn pause(
    State(state): State<Shared>,
    caller: Caller,
    Path(purpose): Path<String>,
    body: JsonBody,
) -> Result<Json<Ladder>, Problem> {
    caller.must_operate()?;
    let purpose = feature(&purpose)?;
    let now = state.engine.now();
    let mut fields = Fields::new(&body.object, &["reason", "for_s", "until"]);
    let (reason, until) = why_and_until(&mut fields, now);
    fields.end()?;
    if let Some(until) = until {
        let by = caller.name;
        state.engine.pause(Gate { purpose, by, reason, since: now, until }).await?;
    }
    Ok(Json(ladder(&state)))
}

/// Why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ResumeFeature {
    /// Why; goes into the audit log.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    reason: String,
}

/// What became of a pause.
#[derive(Serialize, ToSchema)]
pub(crate) struct Resumed {
    /// Whether it was paused; asked twice, the second answer says false and nothing happens.
    was_paused: bool,
    /// The ladder now.
    #[serde(flatten)]
    ladder: Ladder,
}

/// Let a paused feature go on.
///
/// Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/features/{purpose}/resume", tag = "ladder", operation_id = "resume_feature",
    params(("purpose" = String, Path, example = "renewal")),
    request_body = ResumeFeature,
    responses(
        (status = 200, body = Resumed),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn resume(
    State(state): State<Shared>,
    caller: Caller,
    Path(purpose): Path<String>,
    body: JsonBody,
) -> Result<Json<Resumed>, Problem> {
    caller.must_operate()?;
    let purpose = feature(&purpose)?;
    let mut fields = Fields::new(&body.object, &["reason"]);
    let reason = reason(&mut fields);
    fields.end()?;
    let was_paused = state.engine.resume(purpose, &caller.name, &reason).await?;
    Ok(Json(Resumed { was_paused, ladder: ladder(&state) }))
}

/// For how long.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct HoldPayment {
    /// For how many seconds; the configured time (a day) when absent.
    #[schema(minimum = 60, maximum = 31_536_000, example = 86_400)]
    for_s: Option<i64>,
}

/// Keep an order, to be paid later.
///
/// The customer may pay it through its link until it ends, which it does once: paid, cancelled
/// or expired. Held already: the payment as it is.
#[utoipa::path(
    post, path = "/v1/payments/{id}/hold", tag = "payments", operation_id = "hold_payment",
    params(("id" = String, Path)),
    request_body(content = Option<HoldPayment>),
    responses(
        (status = 200, body = PaymentView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn hold(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
    body: JsonBody,
) -> Result<Json<PaymentView>, Problem> {
    let mut fields = Fields::new(&body.object, &["for_s"]);
    let for_s = fields.integer("for_s", 60..=31_536_000, "send a number of seconds, such as 86400");
    fields.end()?;
    let payment = visible(&state, &caller, id).await?;
    let by = match caller.role {
        Role::Merchant => HoldBy::Merchant,
        _ => {
            caller.must_operate()?;
            HoldBy::Operator(caller.name.clone())
        }
    };
    let lasts = for_s.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    let payment = state.engine.hold(&payment.merchant, id, lasts, by).await?;
    Ok(Json(seen(&state, &payment, &caller)))
}

/// Until when, and why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ExtendHold {
    /// Why; goes into the audit log.
    #[schema(min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    reason: String,
    /// For how many seconds from now; this or `until` is required.
    #[schema(minimum = 1, maximum = 31_536_000)]
    for_s: Option<i64>,
    /// Until when (RFC 3339), instead of `for_s`.
    #[schema(format = DateTime)]
    until: Option<String>,
}

/// Keep a held order for longer.
///
/// By its merchant or by an operator.
#[utoipa::path(
    post, path = "/v1/payments/{id}/extend", tag = "payments", operation_id = "extend_hold",
    params(("id" = String, Path)),
    request_body = ExtendHold,
    responses(
        (status = 200, body = PaymentView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn extend(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
    body: JsonBody,
) -> Result<Json<PaymentView>, Problem> {
    if caller.role != Role::Merchant {
        caller.must_operate()?;
    }
    let mut fields = Fields::new(&body.object, &["reason", "for_s", "until"]);
    let (reason, until) = why_and_until(&mut fields, state.engine.now());
    fields.end()?;
    let mut payment = visible(&state, &caller, id).await?;
    if let Some(until) = until {
        let who = (caller.name.as_str(), reason.as_str());
        payment = state.engine.extend_hold(&payment.merchant, id, until, who).await?;
    }
    Ok(Json(seen(&state, &payment, &caller)))
}

fn feature(name: &str) -> Result<Purpose, Problem> {
    let refuse = |detail: &str| Problem::new(&kinds::NOT_FOUND, detail.to_owned());
    match name.parse() {
        Ok(Purpose::Synthetic) => Err(refuse("Evergate's own trials are not paused")),
        Ok(purpose) => Ok(purpose),
        Err(error) => Err(refuse(error.rule)),
    }
}

fn reach(fields: &mut Fields<'_>) -> Option<Reach> {
    const FIX: &str = "send all, method:alipay, channel:alipay-main or purpose:renewal";
    fields.require("scope", FIX);
    fields.parsed("scope", FIX)
}

fn reason(fields: &mut Fields<'_>) -> String {
    fields.require("reason", REASON.fix);
    fields.text("reason", &REASON).unwrap_or_default()
}

/// Why, and an end, which is required: what has none is forgotten.
fn why_and_until(fields: &mut Fields<'_>, now: Timestamp) -> (String, Option<Timestamp>) {
    const FIX: &str = "send 2026-11-24T12:00:00Z, for example, or for_s instead";
    let reason = reason(fields);
    let for_s = fields.integer("for_s", 1..=31_536_000, "send a number of seconds, such as 3600");
    let stated = fields.string("until").map(parse_rfc3339);
    let until = stated.flatten().filter(|until| *until > now);
    if stated.is_some() && until.is_none() {
        fields.mistake("until", "must be a time in the future in RFC 3339", FIX);
    }
    match (fields.value("for_s"), fields.value("until")) {
        (None, None) => fields.mistake("until", "is required: everything here has an end", FIX),
        (Some(_), Some(_)) => {
            fields.mistake("until", "cannot stand beside for_s", "send one of the two");
        }
        _ => {}
    }
    let wait = for_s.and_then(|s| u64::try_from(s).ok()).map(Duration::from_secs);
    (reason, until.or_else(|| wait.map(|wait| now + wait)))
}
