//! The VIP desk: payments that nothing takes by itself, and the staff who help with them.
//! Merchants open cases of their own payments and see how they stand; everything else needs an
//! operator's key, and agreeing to what another took needs an approver's (rule 12).

pub(crate) mod acts;
pub(crate) mod gauges;
pub(crate) mod view;
pub(crate) mod words;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use domain::{MerchantId, PaymentId, Tier};
use engine::Fresh;
use http::{HeaderValue, StatusCode};
use recovery::assist::{AssistError, Desk, NewCase, Word};
use serde::Serialize;
use store::{AssistFilter, CaseState, Opener};
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::{Caller, Role};
use crate::body::JsonBody;
use crate::fields::{self, Fields, Text};
use crate::notes::api::staff_will_call;
use crate::params::NameInPath;
use crate::problem::{Mistake, Problem, ProblemDocument, kinds};
use view::{CaseDetail, CaseView};

/// Why, in a few words.
pub(crate) const REASON: Text = Text {
    max: 200,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 200 characters without control characters",
    fix: "say why in a few words, such as \"the customer called\"",
};

impl From<AssistError> for Problem {
    fn from(error: AssistError) -> Problem {
        let detail = error.to_string();
        match error {
            AssistError::NotFound => Problem::new(&kinds::NOT_FOUND, detail),
            AssistError::NotVip => Problem::mistakes(vec![Mistake::new(
                "payment",
                detail,
                "make payments of such customers with `tier` vip, or set `assist.everyone`",
            )]),
            AssistError::NotOffered => Problem::new(&kinds::WRONG_STATE, detail),
            AssistError::Ended(..) => Problem::new(&kinds::PAYMENT_ENDED, detail),
            AssistError::WrongState { .. } => Problem::new(&kinds::WRONG_STATE, detail),
            AssistError::SamePerson(_) => Problem::new(&kinds::SECOND_PERSON, detail),
            AssistError::Kind(_) => Problem::mistakes(vec![Mistake::new(
                "kind",
                detail,
                "send a kind that is in `assist.kinds` of the configuration",
            )]),
            AssistError::TooMuch { .. }
            | AssistError::NoLimit(_)
            | AssistError::DailyLimit { .. } => Problem::new(&kinds::BEYOND_LIMIT, detail),
            AssistError::ReferenceTaken(_) => Problem::new(&kinds::REFERENCE_TAKEN, detail).at(
                "reference",
                "pays another payment already",
                "look at the slip again; each has a number of its own",
            ),
            AssistError::Engine(error) => error.into(),
            AssistError::Busy => Problem::new(&kinds::PAYMENT_BUSY, detail).retry_after(1),
            AssistError::Store(error) => error.into(),
            AssistError::CommitUnknown => {
                Problem::new(&kinds::COMMIT_UNKNOWN, detail).retry_after(5)
            }
        }
    }
}

/// The desk, which a server may be without.
pub(crate) fn desk(state: &Shared) -> Result<Arc<Desk>, Problem> {
    let none = || Problem::new(&kinds::NOT_FOUND, "this server has no desk");
    state.assist.clone().ok_or_else(none)
}

/// The desk, for staff.
pub(super) fn staffed(state: &Shared, caller: &Caller) -> Result<Arc<Desk>, Problem> {
    caller.must_operate()?;
    desk(state)
}

/// Which cases to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct CaseListParams {
    /// `open`, `taken`, `proposed`, `recording` or `closed`; all that are not closed when absent.
    state: Option<String>,
    /// `standard` or `vip`.
    tier: Option<String>,
    /// Of this merchant; a merchant's key sees its own only.
    merchant: Option<String>,
    /// Of this payment, closed ones as well.
    payment: Option<String>,
    /// At most this many; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u8>,
}

/// Cases.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cases {
    /// VIPs first, and among equals the one that waits longest; closed ones newest first.
    cases: Vec<CaseView>,
}

/// List the cases of the desk, as staff work through them.
#[utoipa::path(
    get, path = "/v1/assist/cases", tag = "assist", operation_id = "list_assist_cases",
    params(CaseListParams),
    responses(
        (status = 200, body = Cases),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Cases>, Problem> {
    let desk = desk(&state)?;
    let mut filter = filter(&uri)?;
    if let Some(own) = caller.sees() {
        filter.merchant = Some(own.clone());
    }
    let now = state.engine.now();
    let cases = desk.list(&filter).await?;
    Ok(Json(Cases { cases: cases.iter().map(|case| CaseView::of(case, now)).collect() }))
}

fn filter(uri: &Uri) -> Result<AssistFilter, Problem> {
    let query = fields::query(uri.query())?;
    let mut fields = Fields::new(&query, &["state", "tier", "merchant", "payment", "limit"]);
    let states: Vec<(&str, &'static str)> = CaseState::NAMES.iter().map(|s| (*s, *s)).collect();
    let state = fields.one_of("state", &states);
    let tier = fields.one_of("tier", &[("vip", Tier::Vip), ("standard", Tier::Standard)]);
    let merchant: Option<MerchantId> = fields.parsed("merchant", "send a merchant's name");
    let payment: Option<PaymentId> = fields.parsed("payment", "send a payment's id");
    let limit = fields::query_integer(&mut fields, "limit", 1..=200, "send 50, for example");
    fields.end()?;
    let queue = AssistFilter::queue();
    let states = match (state, payment) {
        (Some(state), _) => vec![state],
        (None, Some(_)) => Vec::new(),
        (None, None) => queue.states.clone(),
    };
    let newest_first = state == Some("closed") || payment.is_some();
    let limit = usize::try_from(limit.unwrap_or(50)).unwrap_or(1);
    Ok(AssistFilter { states, merchant, tier, payment, newest_first, limit })
}

/// A wish for help.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct OpenCase {
    /// The payment's id.
    payment: String,
    /// Why; goes into the case's history.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Ask staff to help with a payment.
///
/// A payment has one case at a time: asked again, it is the same. A merchant's key opens cases of
/// its own payments; staff open them for anyone.
#[utoipa::path(
    post, path = "/v1/assist/cases", tag = "assist", operation_id = "open_assist_case",
    request_body = OpenCase,
    responses(
        (status = 201, description = "Opened now", body = CaseView,
            headers(("location" = String))),
        (status = 200, description = "Was open already", body = CaseView,
            headers(("idempotent-replayed" = String))),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn open(
    State(state): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<impl axum::response::IntoResponse, Problem> {
    let opener = match caller.role {
        Role::Merchant => Opener::Merchant,
        _ => {
            caller.must_operate()?;
            Opener::Operator
        }
    };
    let desk = desk(&state)?;
    let mut fields = Fields::new(&body.object, &["payment", "reason"]);
    fields.require("payment", "send the payment's id");
    fields.require("reason", REASON.fix);
    let payment: Option<PaymentId> = fields.parsed("payment", "send the payment's id");
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    fields.end()?;
    let missing = || Problem::new(&kinds::INVALID_REQUEST, "the payment is missing");
    let payment = payment.ok_or_else(missing)?;
    let merchant = caller.sees().cloned();
    let word = Word { by: caller.name.clone(), reason: reason.clone() };
    let (case, fresh) = desk.open(&NewCase { payment, merchant, opener, word }).await?;
    if matches!(fresh, Fresh::New) {
        staff_will_call(&state, payment, (&caller.name, &reason)).await;
    }
    let view = Json(CaseView::of(&case, state.engine.now()));
    let location = HeaderValue::from_str(&format!("/v1/assist/cases/{}", case.id));
    let location = location.unwrap_or_else(|_| HeaderValue::from_static("/v1/assist/cases"));
    Ok(match fresh {
        Fresh::New => (StatusCode::CREATED, [("location", location)], view),
        Fresh::Replayed => {
            (StatusCode::OK, [("idempotent-replayed", HeaderValue::from_static("true"))], view)
        }
    })
}

/// See a case, with everything that is known about its payment.
///
/// What is proven, what is not, and what each provider said, in Chinese and English; which ways
/// of paying work now; who did what. A merchant's key sees its own cases, without the words of
/// the staff.
#[utoipa::path(
    get, path = "/v1/assist/cases/{id}", tag = "assist", operation_id = "get_assist_case",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = CaseDetail),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn show(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
) -> Result<Json<CaseDetail>, Problem> {
    let desk = desk(&state)?;
    // Those of other merchants are not there, like their payments.
    let unseen = || Problem::from(AssistError::NotFound);
    let known = desk.books().assist_case(&id).await?.ok_or_else(unseen)?;
    if caller.sees().is_some_and(|own| *own != known.case.merchant) {
        return Err(unseen());
    }
    let seen = desk.see(&id).await?;
    let at = (state.public_url.as_str(), state.engine.now());
    Ok(Json(CaseDetail::of(&seen, &desk.limits(), caller.sees().is_none(), at)))
}
