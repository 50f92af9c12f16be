//! The configuration of the running gateway: read it again, compare, change it in stages, go
//! back. Everything here needs an operator's key, and every change is audited.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::config_door::{
    ConfigDoor, ConfigStatus, Difference, Refusal, Reloaded, VersionText, VersionView, Who, Wish,
};
use crate::fields::{self, Fields, Text};
use crate::params::NameInPath;
use crate::problem::{Mistake, Problem, ProblemDocument, kinds};

const REASON: Text = Text {
    max: 200,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 200 characters without control characters",
    fix: "say why in a few words, such as \"new key of alipay-main\"",
};

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        match refusal {
            Refusal::Mistakes(found) => Problem::mistakes(
                found
                    .into_iter()
                    .map(|m| Mistake::new(m.field, m.rule, m.fix).placed(m.line, m.column))
                    .collect(),
            ),
            Refusal::Conflict(fix, detail) => {
                Problem::new(&kinds::CONFIG_CONFLICT, detail.clone()).at("version", detail, fix)
            }
            Refusal::NotFound => Problem::new(&kinds::NOT_FOUND, "there is no such version"),
            Refusal::Store(error) => error.into(),
        }
    }
}

/// The door, for operators only.
fn door(state: &Shared, caller: &Caller) -> Result<Arc<dyn ConfigDoor>, Problem> {
    caller.must_operate()?;
    let none = || Problem::new(&kinds::NOT_FOUND, "this server's configuration cannot be changed");
    state.config.clone().ok_or_else(none)
}

/// Read the configuration file and all keys again.
///
/// What has changed counts at once: channels, keys, API keys, merchants, routing and policy.
/// Keys that are replaced go on verifying answers and notifications for a while. A mistake
/// anywhere changes nothing. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/config/reload", tag = "config", operation_id = "reload_config",
    responses(
        (status = 200, body = Reloaded),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn reload(
    State(state): State<Shared>,
    caller: Caller,
) -> Result<Json<Reloaded>, Problem> {
    let door = door(&state, &caller)?;
    Ok(Json(door.reload(&caller.name).await?))
}

/// A configuration.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ConfigText {
    /// The whole configuration file. Paths in it are the server's.
    text: String,
}

/// Compare a configuration with what runs.
///
/// By meaning, not by line: comments and order do not count. Secrets are never shown. Needs an
/// operator's key.
#[utoipa::path(
    post, path = "/v1/config/diff", tag = "config", operation_id = "diff_config",
    request_body = ConfigText,
    responses(
        (status = 200, body = Difference),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn diff(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<Difference>, Problem> {
    let door = door(&state, &caller)?;
    let mut fields = Fields::new(&body.object, &["text"]);
    fields.require("text", "send the whole file");
    let text = fields.string("text").unwrap_or_default();
    fields.end()?;
    Ok(Json(door.diff(text).await?))
}

/// A configuration to be put in force.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ApplyConfig {
    /// The whole configuration file. Paths in it are the server's.
    text: String,
    /// Why; goes into the history and the audit log.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
    /// The version that the text was made from, as `diff` says it; refused when another one is
    /// in force. Absent: whatever is in force.
    #[schema(minimum = 0)]
    based_on: Option<u64>,
    /// Percent of the payments, growing, the last one 100; `[10, 50, 100]` when absent.
    stages: Option<Vec<u8>>,
    /// All payments at once; watched and rolled back as with stages.
    at_once: Option<bool>,
    /// How long each stage is watched; 60 when absent.
    #[schema(minimum = 1, maximum = 86_400)]
    watch_s: Option<u64>,
    /// How long a stage waits for enough calls; ten times `watch_s` when absent.
    #[schema(minimum = 1, maximum = 604_800)]
    patience_s: Option<u64>,
    /// Calls to each touched channel that a stage needs; 20 when absent.
    #[schema(minimum = 1, maximum = 1_000_000)]
    calls_min: Option<u64>,
    /// Ask providers a signed question before any payment is tried; true when absent.
    probe: Option<bool>,
}

const APPLY: [&str; 9] = [
    "text",
    "reason",
    "based_on",
    "stages",
    "at_once",
    "watch_s",
    "patience_s",
    "calls_min",
    "probe",
];

/// Put a configuration in force, in stages.
///
/// The answer comes when it has been validated and begun; `GET /v1/config` tells how it goes.
/// It rolls back by itself when the touched channels fare worse. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/config/apply", tag = "config", operation_id = "apply_config",
    request_body = ApplyConfig,
    responses(
        (status = 200, body = ConfigStatus),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn apply(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<ConfigStatus>, Problem> {
    let door = door(&state, &caller)?;
    let wish = wish(&body, caller.name)?;
    Ok(Json(door.apply(wish).await?))
}

fn wish(body: &JsonBody, by: String) -> Result<Wish, Problem> {
    let mut fields = Fields::new(&body.object, &APPLY);
    fields.require("text", "send the whole file");
    fields.require("reason", REASON.fix);
    let text = fields.string("text").unwrap_or_default().to_owned();
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    let mut number = |name: &str, most: i64, fix: &str| {
        let least = i64::from(name != "based_on");
        fields.integer(name, least..=most, fix).and_then(|n| u64::try_from(n).ok())
    };
    let based_on = number("based_on", i64::MAX, "send the version that `diff` told");
    let watch = number("watch_s", 86_400, "send 60, for example");
    let patience = number("patience_s", 604_800, "send 600, for example");
    let calls_min = number("calls_min", 1_000_000, "send 20, for example");
    let at_once = flag(&mut fields, "at_once").unwrap_or(false);
    let probe = flag(&mut fields, "probe").unwrap_or(true);
    let stages = stages(&mut fields, at_once);
    fields.end()?;
    let seconds = Duration::from_secs;
    Ok(Wish {
        text,
        who: Who { by, reason },
        based_on,
        stages,
        watch: watch.map(seconds),
        patience: patience.map(seconds),
        calls_min,
        probe,
    })
}

fn flag(fields: &mut Fields<'_>, name: &str) -> Option<bool> {
    match fields.value(name)? {
        Value::Bool(flag) => Some(*flag),
        _ => {
            fields.mistake(name, "must be true or false", "send true, for example");
            None
        }
    }
}

fn stages(fields: &mut Fields<'_>, at_once: bool) -> Vec<u8> {
    let Some(value) = fields.value("stages") else {
        return if at_once { vec![100] } else { Vec::new() };
    };
    let read = |value: &Value| value.as_u64().and_then(|n| u8::try_from(n).ok());
    let read = value.as_array().and_then(|all| all.iter().map(read).collect::<Option<Vec<u8>>>());
    let is_good = |stages: &[u8]| {
        stages.len() <= 20
            && stages.first().is_some_and(|first| *first > 0)
            && stages.is_sorted_by(|a, b| a < b)
            && stages.last() == Some(&100)
    };
    match read.filter(|stages| is_good(stages)) {
        Some(stages) if !at_once => stages,
        Some(_) => {
            fields.mistake("stages", "cannot stand beside at_once", "leave one of them out");
            Vec::new()
        }
        None => {
            let rule = "must be growing percentages, the last one 100";
            fields.mistake("stages", rule, "send [10, 50, 100], for example");
            Vec::new()
        }
    }
}

/// Where to go back to.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct RollbackConfig {
    /// The version to go back to; absent: end what is being tried, or else the version before
    /// the one in force.
    #[schema(minimum = 1)]
    to: Option<u64>,
    /// Why; goes into the history and the audit log.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Go back: end what is being tried, or put an earlier version in force again.
///
/// New calls go back at once. What was begun meanwhile is still asked about and closed. Needs
/// an operator's key.
#[utoipa::path(
    post, path = "/v1/config/rollback", tag = "config", operation_id = "roll_back_config",
    request_body = RollbackConfig,
    responses(
        (status = 200, body = ConfigStatus),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn rollback(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<ConfigStatus>, Problem> {
    let door = door(&state, &caller)?;
    let mut fields = Fields::new(&body.object, &["to", "reason"]);
    fields.require("reason", REASON.fix);
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    let to = fields.integer("to", 1..=i64::MAX, "see GET /v1/config/versions");
    fields.end()?;
    let to = to.and_then(|to| u64::try_from(to).ok());
    Ok(Json(door.rollback(to, &Who { by: caller.name, reason }).await?))
}

/// See which version is in force and how one that is tried fares. Needs an operator's key.
#[utoipa::path(
    get, path = "/v1/config", tag = "config", operation_id = "config_status",
    responses(
        (status = 200, body = ConfigStatus),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn status(
    State(state): State<Shared>,
    caller: Caller,
) -> Result<Json<ConfigStatus>, Problem> {
    Ok(Json(door(&state, &caller)?.status().await?))
}

/// How many versions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct VersionsParams {
    /// At most this many; 20 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u8>,
}

/// Versions of the configuration.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfigVersions {
    /// Newest first.
    versions: Vec<VersionView>,
}

/// List the versions of the configuration, newest first. Needs an operator's key.
#[utoipa::path(
    get, path = "/v1/config/versions", tag = "config", operation_id = "list_config_versions",
    params(VersionsParams),
    responses(
        (status = 200, body = ConfigVersions),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn versions(
    State(state): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<ConfigVersions>, Problem> {
    let door = door(&state, &caller)?;
    let query = fields::query(uri.query())?;
    let mut fields = Fields::new(&query, &["limit"]);
    let limit = fields::query_integer(&mut fields, "limit", 1..=200, "send 20, for example");
    fields.end()?;
    let limit = usize::try_from(limit.unwrap_or(20)).unwrap_or(1);
    Ok(Json(ConfigVersions { versions: door.versions(limit).await? }))
}

/// Read one version of the configuration, without comments and secrets. Needs an operator's
/// key.
#[utoipa::path(
    get, path = "/v1/config/versions/{version}", tag = "config", operation_id = "show_config_version",
    params(("version" = u64, Path)),
    responses(
        (status = 200, body = VersionText),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn version(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(number): NameInPath,
) -> Result<Json<VersionText>, Problem> {
    let door = door(&state, &caller)?;
    let number = number.parse().map_err(|_| Refusal::NotFound)?;
    Ok(Json(door.version(number).await?))
}
