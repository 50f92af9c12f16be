//! What the control plane knows: probes, synthetic payments, status pages, downtimes, and
//! planned absences. Everything here needs an operator's key, but for a downtime that proves
//! its sender by a signature.
//!
//! Stating an absence changes the controls: it is durable, audited, and undone by its id.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest as _, FromRequestParts as _, Request, State};
use axum::http::Uri;
use domain::{ChannelId, Day, Maintenance, Method, Scope, When};
use http::HeaderMap;
use incidents::calendar::{self, Calendar, Origin, Span};
use incidents::downtime::{self, BadEvent, Event, Proof};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::{self, JsonBody};
use crate::fields::{self, Fields, Text};
use crate::params::NameInPath;
use crate::problem::{Mistake, Problem, ProblemDocument, kinds};
use crate::signals_view::{AbsenceView, SignalsView};
use crate::time::{parse_rfc3339, rfc3339};
use crate::view::MethodName;

const REASON: Text = Text {
    max: 200,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 200 characters without control characters",
    fix: "say why in a few words, such as \"announced by the bank\"",
};
const ISSUER: Text = Text {
    max: 64,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 64 characters without control characters",
    fix: "send the code that payments carry as `issuer`",
};

/// See what the control plane knows.
///
/// The last probe and synthetic payment of every channel, what providers say, and the planned
/// absences of the next eight days. Needs an operator's key.
#[utoipa::path(
    get, path = "/v1/signals", tag = "channels", operation_id = "list_signals",
    responses(
        (status = 200, body = SignalsView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn signals(
    State(state): State<Shared>,
    caller: Caller,
) -> Result<Json<SignalsView>, Problem> {
    caller.must_operate()?;
    let now = state.engine.now();
    let seen = state.signals.as_deref();
    Ok(Json(SignalsView::of(seen, &calendar_of(&state), now)))
}

pub(crate) fn calendar_of(state: &Shared) -> Calendar {
    let now = state.engine.now();
    if let Some(signals) = &state.signals {
        return signals.calendar(now);
    }
    let mut calendar = Calendar::new();
    let stated = state.engine.controls().maintenance.clone();
    calendar.add(stated.into_iter().map(|m| {
        let origin = Origin::Operator(m.by.clone());
        (m, origin)
    }));
    calendar
}

/// Planned absences.
#[derive(Serialize, ToSchema)]
pub(crate) struct MaintenanceList {
    /// In the order in which they fall next; those that are over come last.
    maintenance: Vec<MaintenanceView>,
}

/// A planned absence as it was stated.
#[derive(Serialize, ToSchema)]
#[schema(as = Maintenance)]
pub(crate) struct MaintenanceView {
    /// Names it; `DELETE /v1/maintenance/{id}` takes one back that an operator stated.
    id: String,
    /// The channel that is away; absent: all.
    channel: Option<String>,
    /// The method that is away; absent: all.
    #[schema(value_type = Option<MethodName>)]
    method: Option<&'static str>,
    /// The bank that is away; absent: all customers.
    issuer: Option<String>,
    /// `once` or `weekly`.
    repeats: &'static str,
    /// Once: from when.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Once: until when.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Weekly: the days on which it begins.
    days: Vec<&'static str>,
    /// Weekly: the time at which it begins, by the clock of `zone`.
    start: Option<String>,
    /// Weekly: how long it lasts, in seconds.
    duration_s: Option<u32>,
    /// Weekly: the time zone.
    zone: Option<String>,
    /// Who stated it: an operator's key, a provider's page, or `configuration`.
    by: String,
    /// Why.
    reason: String,
    /// `configuration`, `operator` or `provider`.
    origin: &'static str,
    /// When it falls next, within the next eight days.
    next: Option<AbsenceView>,
}

impl MaintenanceView {
    fn of(stated: &Maintenance, origin: &Origin, next: Option<AbsenceView>) -> MaintenanceView {
        let (mut from, mut until, mut start, mut lasts, mut zone_name) =
            (None, None, None, None, None);
        let mut on = Vec::new();
        let repeats = match &stated.when {
            When::Once { from: begin, until: end } => {
                (from, until) = (Some(rfc3339(*begin)), Some(rfc3339(*end)));
                "once"
            }
            When::Weekly { days, start_minute, duration_s, zone } => {
                on = days.iter().map(|day| day.name()).collect();
                start = Some(format!("{:02}:{:02}", start_minute / 60, start_minute % 60));
                (lasts, zone_name) = (Some(*duration_s), Some(zone.clone()));
                "weekly"
            }
        };
        let (by, origin) = match origin {
            Origin::Configuration => ("configuration".to_owned(), "configuration"),
            Origin::Operator(by) => (by.clone(), "operator"),
            Origin::Provider(name) => (name.clone(), "provider"),
        };
        MaintenanceView {
            id: stated.id.clone(),
            channel: stated.scope.channel.as_ref().map(ToString::to_string),
            method: stated.scope.method.map(Method::name),
            issuer: stated.scope.issuer.clone(),
            repeats,
            from,
            until,
            days: on,
            start,
            duration_s: lasts,
            zone: zone_name,
            by,
            reason: stated.reason.clone(),
            origin,
            next,
        }
    }
}

fn listed(state: &Shared) -> Json<MaintenanceList> {
    let now = state.engine.now();
    let calendar = calendar_of(state);
    let window = Span { from: now, until: now + incidents::desk::AHEAD };
    let mut all: Vec<(Option<Span>, MaintenanceView)> = calendar
        .entries()
        .iter()
        .map(|(stated, origin)| {
            let next = calendar::occurrences(&stated.when, window).into_iter().next();
            let shown = next.map(|span| AbsenceView::of(span, now));
            (next, MaintenanceView::of(stated, origin, shown))
        })
        .collect();
    all.sort_by_key(|(next, _)| (next.is_none(), *next));
    Json(MaintenanceList { maintenance: all.into_iter().map(|(_, view)| view).collect() })
}

/// List planned absences, whoever stated them. Needs an operator's key.
#[utoipa::path(
    get, path = "/v1/maintenance", tag = "channels", operation_id = "list_maintenance",
    responses(
        (status = 200, body = MaintenanceList),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    caller: Caller,
) -> Result<Json<MaintenanceList>, Problem> {
    caller.must_operate()?;
    Ok(listed(&state))
}

/// A planned absence.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct PlanMaintenance {
    /// The channel; absent: all. At least one of channel, method and issuer is sent.
    channel: Option<String>,
    /// The method; absent: all.
    method: Option<MethodName>,
    /// The bank, by the code that payments carry; absent: all customers.
    issuer: Option<String>,
    /// Once: from when (RFC 3339); now when absent.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Once: until when (RFC 3339).
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Weekly: the days on which it begins, such as `["sat", "sun"]`.
    days: Option<Vec<String>>,
    /// Weekly: when it begins by the clock of `zone`, such as `23:30`.
    #[schema(pattern = "^[0-2][0-9]:[0-5][0-9]$")]
    start: Option<String>,
    /// Weekly: how long it lasts in real time.
    #[schema(minimum = 1, maximum = 604_800)]
    duration_s: Option<i64>,
    /// Weekly: an IANA time zone or an offset such as `+08:00`.
    zone: Option<String>,
    /// Why; goes into the audit log.
    #[schema(min_length = 1, max_length = 200, example = "announced by the bank")]
    reason: String,
}

const PLAN: [&str; 10] = [
    "channel",
    "method",
    "issuer",
    "from",
    "until",
    "days",
    "start",
    "duration_s",
    "zone",
    "reason",
];

/// State a planned absence.
///
/// Traffic is led away a little before it begins, and the channel is tried again when it ends.
/// What customers were shown stays payable. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/maintenance", tag = "channels", operation_id = "plan_maintenance",
    request_body = PlanMaintenance,
    responses(
        (status = 200, body = MaintenanceList),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn plan(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<MaintenanceList>, Problem> {
    caller.must_operate()?;
    let now = state.engine.now();
    let mut fields = Fields::new(&body.object, &PLAN);
    let scope = scope(&mut fields);
    fields.require("reason", REASON.fix);
    let reason = fields.text("reason", &REASON);
    let when = when(&mut fields, now);
    if let Some(when) = &when {
        check(&mut fields, &scope, when, now);
    }
    fields.end()?;
    let when = when.ok_or_else(|| Problem::mistakes(Vec::new()))?;
    let id = format!("mnt_{}", state.entropy.uuid(now).simple());
    let by = caller.name;
    let new = Maintenance { id, scope, when, by, reason: reason.unwrap_or_default(), since: now };
    state.engine.plan_absence(new).await?;
    announce(&state);
    Ok(listed(&state))
}

fn scope(fields: &mut Fields<'_>) -> Scope {
    Scope {
        channel: fields.parsed::<ChannelId>("channel", "see GET /v1/channels"),
        method: fields.parsed("method", "send one of the methods"),
        issuer: fields.text("issuer", &ISSUER),
    }
}

fn when(fields: &mut Fields<'_>, now: domain::Timestamp) -> Option<When> {
    let weekly = ["days", "start", "duration_s", "zone"];
    if weekly.iter().all(|name| fields.value(name).is_none()) {
        let from = time(fields, "from").unwrap_or(now);
        fields.require("until", "send its end, or days, start, duration_s and zone instead");
        return Some(When::Once { from, until: time(fields, "until")? });
    }
    for name in ["from", "until"] {
        if fields.value(name).is_some() {
            fields.mistake(name, "cannot stand beside a weekly window", "leave one of them out");
        }
    }
    weekly.iter().for_each(|name| fields.require(name, "a weekly window needs all four"));
    let start = fields.string("start").map(calendar::minute_of_day);
    if start == Some(None) {
        fields.mistake("start", "must be a time of the day", "write it like 02:30");
    }
    let duration = fields.integer("duration_s", 1..=604_800, "send seconds, such as 7200");
    Some(When::Weekly {
        days: days(fields)?,
        start_minute: start.flatten()?,
        duration_s: u32::try_from(duration?).ok()?,
        zone: fields.string("zone")?.to_owned(),
    })
}

fn days(fields: &mut Fields<'_>) -> Option<Vec<Day>> {
    let listed = fields.value("days")?.as_array();
    let read = listed.and_then(|days| {
        days.iter().map(|day| day.as_str()?.parse().ok()).collect::<Option<Vec<Day>>>()
    });
    if read.is_none() {
        let rule = "must be a list of mon, tue, wed, thu, fri, sat, sun";
        fields.mistake("days", rule, "send [\"sat\", \"sun\"], for example");
    }
    read
}

fn time(fields: &mut Fields<'_>, name: &str) -> Option<domain::Timestamp> {
    let read = parse_rfc3339(fields.string(name)?);
    if read.is_none() {
        let fix = "send 2026-11-24T12:00:00Z, for example";
        fields.mistake(name, "must be a time in RFC 3339", fix);
    }
    read
}

fn check(fields: &mut Fields<'_>, scope: &Scope, when: &When, now: domain::Timestamp) {
    if let Err(bad) = calendar::check(scope, when) {
        fields.mistake(bad.field, bad.rule, bad.fix);
    }
    if matches!(when, When::Once { until, .. } if *until <= now) {
        fields.mistake("until", "must be in the future", "send the end of the window");
    }
}

/// Lets the engine know at once instead of at the next beat.
fn announce(state: &Shared) {
    if let Some(signals) = &state.signals {
        signals.announce();
    }
}

/// Why.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct DropParams {
    /// Why; goes into the audit log.
    #[param(min_length = 1, max_length = 200)]
    reason: String,
}

/// Take a planned absence back that an operator stated. Needs an operator's key.
#[utoipa::path(
    delete, path = "/v1/maintenance/{id}", tag = "channels", operation_id = "drop_maintenance",
    params(("id" = String, Path), DropParams),
    responses(
        (status = 200, body = MaintenanceList),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn remove(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    uri: Uri,
) -> Result<Json<MaintenanceList>, Problem> {
    caller.must_operate()?;
    let query = fields::query(uri.query())?;
    let mut fields = Fields::new(&query, &["reason"]);
    fields.require("reason", REASON.fix);
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    fields.end()?;
    state.engine.drop_absence(&id, &caller.name, &reason).await?;
    announce(&state);
    Ok(listed(&state))
}

/// That something is down, or well again.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Downtime {
    /// Names the downtime; its later events carry the same. Made from the scope when absent.
    id: Option<String>,
    /// The channel; at least one of channel, method and issuer is sent.
    channel: Option<String>,
    /// The method.
    method: Option<MethodName>,
    /// The bank, by the code that payments carry.
    issuer: Option<String>,
    /// `started`, `resolved` or `scheduled`.
    status: String,
    /// `low`, `medium` or `high`; `low` when absent.
    severity: Option<String>,
    /// Since when, or from when; now when absent.
    #[schema(format = DateTime)]
    from: Option<String>,
    /// Until when; without it a downtime is forgotten after six hours.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// In a few words.
    reason: Option<String>,
}

/// Who signs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct DowntimeParams {
    /// A sender of the configuration, which proves itself by a signature instead of a key and
    /// speaks about its own channel only.
    sender: Option<String>,
}

/// Whether an event was taken.
#[derive(Serialize, ToSchema)]
pub(crate) struct DowntimeTaken {
    /// Whether it changed anything: a repeated event does not, nor does one about something
    /// that this server has no name for.
    changed: bool,
}

/// Tell that something is down, or well again.
///
/// This is evidence, not an order: what is named becomes suspect, is probed at once, and needs
/// fewer failures of its own to be taken out of service. `scheduled` is a planned absence. Needs
/// an operator's key, or a `sender` of the configuration and its signature (Standard Webhooks,
/// or Razorpay's for its own events).
#[utoipa::path(
    post, path = "/v1/downtime", tag = "channels", operation_id = "tell_downtime",
    security(("api_key" = []), ()),
    params(DowntimeParams),
    request_body = Downtime,
    responses(
        (status = 200, body = DowntimeTaken),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn downtime(
    State(state): State<Shared>,
    request: Request,
) -> Result<Json<DowntimeTaken>, Problem> {
    let query = fields::query(request.uri().query())?;
    let mut fields = Fields::new(&query, &["sender"]);
    let sender = fields.string("sender").map(str::to_owned);
    fields.end()?;
    let event = match sender {
        Some(name) => signed(&state, &name, request).await?,
        None => Some(told(&state, request).await?),
    };
    let signals = state.signals.as_ref();
    let changed = signals.zip(event).is_some_and(|(signals, event)| signals.take(event));
    Ok(Json(DowntimeTaken { changed }))
}

/// By an operator.
async fn told(state: &Shared, request: Request) -> Result<Event, Problem> {
    let (mut parts, sent) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, state).await?;
    caller.must_operate()?;
    let body = JsonBody::from_request(Request::from_parts(parts, sent), state).await?;
    downtime::read(&body.object, state.engine.now()).map_err(unreadable)
}

/// By a sender of the configuration; `None` for what it says about nothing of ours.
async fn signed(
    state: &Shared,
    name: &str,
    request: Request<Body>,
) -> Result<Option<Event>, Problem> {
    let headers: HeaderMap = request.headers().clone();
    let body = body::read(request, state).await?;
    let now = state.engine.now();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let proof = Proof {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature").or_else(|| header("x-razorpay-signature")),
    };
    let sender = state.signals.as_ref().and_then(|signals| signals.sender(name));
    let Some(sender) = sender.filter(|sender| sender.proves(&proof, &body, now)) else {
        // The same answer for an unknown sender, so that names cannot be found out.
        let detail = "the signature does not prove a sender of this name";
        return Err(Problem::new(&kinds::UNAUTHORIZED, detail));
    };
    match sender.read(&body, now) {
        Ok(event) => Ok(Some(event)),
        Err(BadEvent::Irrelevant(what)) => {
            tracing::debug!(sender = name, what, "a downtime event is not handled");
            Ok(None)
        }
        Err(bad) => Err(unreadable(bad)),
    }
}

fn unreadable(bad: BadEvent) -> Problem {
    match bad {
        BadEvent::Fields(bad) => {
            let mistakes = bad.into_iter().map(|b| Mistake::new(b.field, b.rule, b.fix));
            Problem::mistakes(mistakes.collect())
        }
        BadEvent::Irrelevant(what) => Problem::new(&kinds::INVALID_REQUEST, what),
    }
}
