//! Where a payment would go: asked by operators with the whole explanation, and by programs
//! that only want the answer. Neither changes anything or touches the store.

use axum::Json;
use axum::extract::State;
use domain::{Choice, Considered, Locale, MerchantId, Method, RuleNote, Terms, Tier, Timestamp};
use engine::{Options, Supposed};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::{Caller, Role};
use crate::body::{JsonBody, kind};
use crate::create;
use crate::fields::Fields;
use crate::problem::{Problem, ProblemDocument};
use crate::time::parse_rfc3339;
use crate::view::{LocaleName, MethodName, TierName};

/// A payment that might be.
#[derive(ToSchema)]
#[schema(as = RouteQuestion)]
#[expect(dead_code, reason = "only its schema is used; a test holds it and the reader together")]
pub(crate) struct Question {
    /// How much, in minor units: 1250 is 12.50 CNY.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 1250)]
    amount: i64,
    /// ISO 4217 in upper case.
    #[schema(min_length = 3, max_length = 3, pattern = "^[A-Z]{3}$", example = "CNY")]
    currency: String,
    /// The methods that the customer may pay with, the preferred one first; all when absent.
    #[schema(min_items = 1, max_items = 6, example = json!(["alipay", "wechat_pay"]))]
    methods: Option<Vec<MethodName>>,
    /// The customer's bank, when known.
    #[schema(min_length = 1, max_length = 40, pattern = r"^[A-Za-z0-9_.\-]+$")]
    issuer: Option<String>,
    /// Why you would collect; `checkout` when absent.
    #[schema(min_length = 1, max_length = 24, pattern = "^[a-z][a-z0-9_]*$")]
    purpose: Option<String>,
    /// How you rank the customer; `standard` when absent.
    tier: Option<TierName>,
    /// The customer's language; `zh` when absent.
    locale: Option<LocaleName>,
    /// Whether a saved card would be charged at once; `false` when absent.
    direct: Option<bool>,
    /// Your own notes, which rules can ask about.
    metadata: Option<BTreeMap<String, String>>,
    /// Who would collect; the key's own merchant when absent. Operators may name any.
    #[schema(min_length = 1, max_length = 40, pattern = r"^[A-Za-z0-9_\-]+$")]
    merchant: Option<String>,
    /// The time that rules see (RFC 3339); now when absent. Health is always that of now.
    #[schema(format = DateTime)]
    at: Option<String>,
}

const FIELDS: &[&str] = &[
    "amount", "currency", "methods", "issuer", "purpose", "tier", "locale", "direct", "metadata",
    "merchant", "at",
];

fn read(object: &Map<String, Value>, caller: &Caller) -> Result<Supposed, Problem> {
    let mut fields = Fields::new(object, FIELDS);
    let money = create::money(&mut fields);
    let terms = Terms {
        methods: create::methods(&mut fields).unwrap_or_else(|| Method::ALL.to_vec()),
        issuer: fields.text("issuer", &create::ISSUER),
        purpose: create::purpose(&mut fields),
        tier: fields.one_of("tier", create::TIERS).unwrap_or(Tier::Standard),
        locale: fields.one_of("locale", create::LOCALES).unwrap_or(Locale::Zh),
        // Which card it is decides nothing.
        token: direct(&mut fields).then(|| "saved".to_owned()),
        metadata: create::metadata(&mut fields),
        ..Terms::default()
    };
    let merchant = merchant(&mut fields, caller);
    let at = fields.string("at").and_then(|text| {
        let at = parse_rfc3339(text);
        if at.is_none() {
            fields.mistake("at", "must be a time in RFC 3339", "send 2026-11-24T22:30:00+08:00");
        }
        at
    });
    fields.end()?;
    let money = money.ok_or_else(|| Problem::mistakes(Vec::new()))?;
    Ok(Supposed { merchant, money, terms, at })
}

fn direct(fields: &mut Fields<'_>) -> bool {
    match fields.value("direct") {
        None => false,
        Some(Value::Bool(direct)) => *direct,
        Some(other) => {
            let rule = format!("must be true or false, not {}", kind(other));
            fields.mistake("direct", rule, "leave the quotes out");
            false
        }
    }
}

fn merchant(fields: &mut Fields<'_>, caller: &Caller) -> Option<MerchantId> {
    let named: Option<MerchantId> = fields.parsed("merchant", "send the name of a merchant");
    match (named, caller.role) {
        (Some(named), Role::Merchant) if caller.merchant.as_ref() != Some(&named) => {
            let rule = "is not the merchant of this API key";
            fields.mistake("merchant", rule, "leave it out");
            None
        }
        (named, _) => named.or_else(|| caller.merchant.clone()),
    }
}

/// Where the payment would go.
#[derive(Serialize, ToSchema)]
#[schema(as = RouteDecision)]
pub(crate) struct Decision {
    /// The channel; absent when nothing that is allowed takes it now.
    channel: Option<String>,
    /// The method on it.
    #[schema(value_type = Option<MethodName>)]
    method: Option<&'static str>,
    /// Why, in a few words.
    reason: String,
}

impl Decision {
    fn of(choice: &Choice) -> Decision {
        let first = choice.order.first();
        Decision {
            channel: first.map(|c| c.channel.to_string()),
            method: first.map(|c| c.method.name()),
            reason: choice.reason.clone(),
        }
    }
}

/// Where the payment would go, and why.
#[derive(Serialize, ToSchema)]
#[schema(as = RouteExplanation)]
pub(crate) struct Explanation {
    /// The answer.
    #[serde(flatten)]
    decision: Decision,
    /// What would be tried, in this order.
    order: Vec<ConsideredView>,
    /// What is left out.
    excluded: Vec<ConsideredView>,
    /// The rules that hold, in their order, and those that were skipped.
    rules: Vec<RuleView>,
}

impl Explanation {
    fn of(choice: &Choice) -> Explanation {
        Explanation {
            decision: Decision::of(choice),
            order: choice.order.iter().map(ConsideredView::of).collect(),
            excluded: choice.excluded.iter().map(ConsideredView::of).collect(),
            rules: choice.rules.iter().map(RuleView::of).collect(),
        }
    }
}

/// A channel that was considered, and what was known of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Considered)]
pub struct ConsideredView {
    /// The channel.
    pub channel: String,
    /// The method on it.
    #[schema(value_type = MethodName)]
    pub method: &'static str,
    /// Why it is where it is, in a few words.
    pub why: String,
    /// Its health: `healthy`, `suspect`, `down`, `probing` or `ramping`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Expected success, from 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<f64>,
    /// What the payment would cost on it, in minor units, where the price is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_minor: Option<i64>,
}

impl ConsideredView {
    pub(crate) fn of(considered: &Considered) -> ConsideredView {
        ConsideredView {
            channel: considered.channel.to_string(),
            method: considered.method.name(),
            why: considered.why.clone(),
            state: considered.state.clone(),
            success: considered.success_ppm.map(|ppm| f64::from(ppm) / 1e6),
            fee_minor: considered.fee_minor,
        }
    }
}

/// What a rule said.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RuleNote)]
pub struct RuleView {
    /// Its name.
    pub name: String,
    /// What it did, or why it was skipped.
    pub said: String,
    /// Whether it was skipped, because its condition could not be evaluated.
    pub skipped: bool,
}

impl RuleView {
    pub(crate) fn of(note: &RuleNote) -> RuleView {
        RuleView { name: note.name.clone(), said: note.said.clone(), skipped: note.skipped }
    }
}

/// What `POST /v1/route/explain` would answer to this body by settings alone: every channel is
/// healthy, and no operator has said anything.
///
/// # Errors
/// Every mistake of the body, in one line.
pub fn explain_offline(options: &Options, body: &Value, now: Timestamp) -> Result<Value, String> {
    let caller = Caller { name: String::new(), role: Role::Operator, merchant: None };
    let object = body.as_object().cloned().unwrap_or_default();
    let supposed = read(&object, &caller).map_err(|problem| problem.in_one_line())?;
    let choice = engine::suppose(&supposed, options, now).map_err(|error| error.to_string())?;
    serde_json::to_value(Explanation::of(&choice)).map_err(|error| error.to_string())
}

/// Explain where a payment would go now.
///
/// The same decision as for a real payment, with everything it rests on. Nothing is changed by
/// asking: no probe is spent, and no headroom taken.
#[utoipa::path(
    post, path = "/v1/route/explain", tag = "routing", operation_id = "explain_route",
    request_body = Question,
    responses(
        (status = 200, body = Explanation),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn explain(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<Explanation>, Problem> {
    let supposed = read(&body.object, &caller)?;
    Ok(Json(Explanation::of(&state.engine.suppose(&supposed)?)))
}

/// Decide where a payment would go now.
///
/// The answer of `explain` without the explanation, for programs that ask often.
#[utoipa::path(
    post, path = "/v1/route/decide", tag = "routing", operation_id = "decide_route",
    request_body = Question,
    responses(
        (status = 200, body = Decision),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn decide(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<Decision>, Problem> {
    let supposed = read(&body.object, &caller)?;
    Ok(Json(Decision::of(&state.engine.suppose(&supposed)?)))
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::Schema;

    use super::*;

    #[test]
    fn the_schema_names_the_fields_that_are_read() {
        let RefOr::T(Schema::Object(object)) = Question::schema() else {
            unreachable!("a struct is an object")
        };
        let mut names: Vec<&str> = object.properties.keys().map(String::as_str).collect();
        let mut read = FIELDS.to_vec();
        names.sort_unstable();
        read.sort_unstable();
        assert_eq!(names, read);
    }
}
