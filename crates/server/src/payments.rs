//! Payments: make one, see it and its story, cancel it, go to another channel.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use domain::{Method, Payment};
use engine::Fresh;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::create::{self, CreatePayment};
use crate::fields::Fields;
use crate::listing;
use crate::params::{IdInPath, keyed, own, visible};
use crate::problem::{Mistake, Problem, ProblemDocument, kinds};
use crate::time::rfc3339;
use crate::view::{MethodName, PaymentView, Show, qr_content};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The payment as this caller may see it.
pub(crate) fn seen(state: &Shared, payment: &Payment, caller: &Caller) -> PaymentView {
    let show = if caller.owns(payment) { Show::Everything } else { Show::NothingPayable };
    PaymentView::of(payment, show, &state.public_url)
}

/// Make a payment.
///
/// Takes it as far as it goes by itself: to a code or link for the customer, to money
/// captured, or to a refusal; and fails over to other channels on the way. Send it again as
/// often as you like: the same order number, or the same Idempotency-Key, is one payment.
#[utoipa::path(
    post, path = "/v1/payments", tag = "payments", operation_id = "create_payment",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        pattern = "^[!-~]+$", description = "A fresh one for every new wish")),
    request_body = CreatePayment,
    responses(
        (status = 201, description = "Made now", body = PaymentView,
            headers(("location" = String))),
        (status = 200, description = "Was there: the same request came before",
            body = PaymentView, headers(("idempotent-replayed" = String))),
        (status = "4XX", description = "Refused; nothing was done",
            content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", description = "Not done, or not known whether it was; the type says which",
            content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn create(
    State(state): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    let merchant = caller.merchant()?;
    let mut mistakes = Vec::new();
    let key = keyed(&headers, &body, &mut mistakes);
    let wish = create::read(&body.object, merchant, mistakes)?;
    let (payment, fresh) = state.engine.create(wish, key).await?;
    Ok(made(&payment, fresh, seen(&state, &payment, &caller)))
}

/// 201 with the payment's address when it is new, 200 when it was there.
pub(crate) fn made(payment: &Payment, fresh: Fresh, view: impl Serialize) -> Response {
    match fresh {
        Fresh::New => {
            let mut response = (StatusCode::CREATED, Json(view)).into_response();
            if let Ok(place) = HeaderValue::from_str(&format!("/v1/payments/{}", payment.id)) {
                response.headers_mut().insert(header::LOCATION, place);
            }
            response
        }
        Fresh::Replayed => {
            let mut response = (StatusCode::OK, Json(view)).into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            response
        }
    }
}

/// See a payment.
#[utoipa::path(
    get, path = "/v1/payments/{id}", tag = "payments", operation_id = "get_payment",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = PaymentView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn show(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
) -> Result<Json<PaymentView>, Problem> {
    let payment = visible(&state, &caller, id).await?;
    Ok(Json(seen(&state, &payment, &caller)))
}

/// A page of payments.
#[derive(Serialize, ToSchema)]
pub(crate) struct PaymentPage {
    /// Newest first.
    pub(crate) payments: Vec<PaymentView>,
    /// Ask for the next page with `cursor` set to this; null at the end.
    pub(crate) next_cursor: Option<String>,
}

/// List payments.
///
/// Newest first. A merchant's key lists that merchant's payments, an operator's key all.
#[utoipa::path(
    get, path = "/v1/payments", tag = "payments", operation_id = "list_payments",
    params(listing::ListParams),
    responses(
        (status = 200, body = PaymentPage),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<PaymentPage>, Problem> {
    let wanted = listing::read(uri.query(), &caller)?;
    Ok(Json(listing::page(&state, wanted).await?))
}

/// The story of a payment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Story {
    /// Oldest first.
    events: Vec<StoryLine>,
}

/// One line of a payment's story.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoryLine {
    /// Counts the payment's events from 1.
    seq: u32,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What happened, such as `attempt_started`.
    event: String,
    /// More about it: `ordinal`, `channel`, `method`, `code`, `source` and so on.
    #[serde(flatten)]
    #[schema(additional_properties, value_type = Object)]
    more: Map<String, Value>,
}

/// The story of a payment.
#[utoipa::path(
    get, path = "/v1/payments/{id}/events", tag = "payments", operation_id = "get_payment_events",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Story),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn events(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
) -> Result<Json<Story>, Problem> {
    visible(&state, &caller, id).await?;
    let events = state.engine.story(id).await?;
    let lines = events.into_iter().map(|event| {
        let mut more = match serde_json::to_value(&event.kind) {
            Ok(Value::Object(more)) => more,
            _ => Map::new(),
        };
        let name = match more.remove("event") {
            Some(Value::String(name)) => name,
            _ => String::new(),
        };
        StoryLine { seq: event.seq, at: rfc3339(event.at), event: name, more }
    });
    Ok(Json(Story { events: lines.collect() }))
}

/// Cancel a payment.
///
/// Closes what may still be paid, then ends it. A customer who was faster has paid: the
/// answer's status is then `paid`. `cancelling` means that a provider's word is awaited.
#[utoipa::path(
    post, path = "/v1/payments/{id}/cancel", tag = "payments", operation_id = "cancel_payment",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = PaymentView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn cancel(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
    body: JsonBody,
) -> Result<Json<PaymentView>, Problem> {
    Fields::new(&body.object, &[]).end()?;
    let before = own(&state, &caller, id).await?;
    let payment = state.engine.cancel(&before.merchant, id).await?;
    Ok(Json(seen(&state, &payment, &caller)))
}

/// Another try of a payment.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct NewAttempt {
    /// The method that the customer chose now, one of the payment's own; absent: whichever
    /// works.
    method: Option<MethodName>,
}

/// Go to another channel or method.
///
/// What was shown before is closed at its provider first, so that the customer cannot pay
/// twice. A customer who was faster has paid: the answer's status is then `paid`.
#[utoipa::path(
    post, path = "/v1/payments/{id}/attempts", tag = "payments", operation_id = "create_attempt",
    params(("id" = String, Path)),
    request_body(content = Option<NewAttempt>),
    responses(
        (status = 200, body = PaymentView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn attempt(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
    body: JsonBody,
) -> Result<Json<PaymentView>, Problem> {
    let mut fields = Fields::new(&body.object, &["method"]);
    let method: Option<Method> = fields.parsed("method", "send one of the payment's methods");
    fields.end()?;
    let before = own(&state, &caller, id).await?;
    if method.is_some_and(|method| !before.terms.methods.contains(&method)) {
        let rule = "must be one of the payment's own methods";
        let fix = "see methods of the payment; other methods need a new payment";
        return Err(Problem::mistakes(vec![Mistake::new("method", rule, fix)]));
    }
    let payment = state.engine.switch(&before.merchant, id, method).await?;
    Ok(Json(seen(&state, &payment, &caller)))
}

/// The code to scan, as a picture.
///
/// 404 while there is no QR code to scan.
#[utoipa::path(
    get, path = "/v1/payments/{id}/qr.svg", tag = "payments", operation_id = "get_payment_qr",
    params(("id" = String, Path)),
    responses(
        (status = 200, content_type = "image/svg+xml", body = String),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn qr(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
) -> Result<Response, Problem> {
    let payment = visible(&state, &caller, id).await?;
    let content = qr_content(&payment).filter(|_| caller.owns(&payment));
    let drawn = content.and_then(draw).ok_or_else(|| {
        Problem::new(&kinds::NOT_FOUND, "the payment has no QR code to scan at the moment")
    })?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], drawn).into_response())
}

pub(crate) fn draw(content: &str) -> Option<String> {
    use qrcode::render::svg;
    let code = qrcode::QrCode::new(content.as_bytes()).ok()?;
    Some(code.render::<svg::Color<'_>>().min_dimensions(240, 240).quiet_zone(true).build())
}
