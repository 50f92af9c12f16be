//! Refunds of a payment.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use domain::Money;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::fields::{Fields, Text};
use crate::params::{IdInPath, keyed, own, visible};
use crate::payments::{made, seen};
use crate::problem::{Problem, ProblemDocument};
use crate::view::{PaymentView, RefundView};

/// A wish to give money back.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct CreateRefund {
    /// How much, in minor units of the payment's currency; absent: all that is left.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 500)]
    amount: Option<i64>,
    /// Why; some providers show it to the customer.
    #[schema(
        min_length = 1,
        max_length = 80,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$",
        example = "One ticket was returned"
    )]
    reason: Option<String>,
}

const REASON: Text = Text {
    max: 80,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 80 characters without control characters",
    fix: "shorten it and leave line breaks out",
};

/// A refund and its payment.
#[derive(Serialize, ToSchema)]
pub(crate) struct RefundMade {
    /// The refund.
    refund: RefundView,
    /// The payment after it.
    payment: PaymentView,
}

/// Give money back, in part or in whole.
///
/// The wish is durable before it is sent. `processing` means that the provider's word is
/// awaited; the webhook `refund.succeeded` or `refund.failed` tells the end. Without an
/// Idempotency-Key, every request is a refund of its own.
#[utoipa::path(
    post, path = "/v1/payments/{id}/refunds", tag = "refunds", operation_id = "create_refund",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
            pattern = "^[!-~]+$", description = "A fresh one for every new wish"),
    ),
    request_body(content = Option<CreateRefund>),
    responses(
        (status = 201, description = "Made now", body = RefundMade),
        (status = 200, description = "Was there: the same request came before",
            body = RefundMade, headers(("idempotent-replayed" = String))),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn create(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Problem> {
    let mut mistakes = Vec::new();
    let key = keyed(&headers, &body, &mut mistakes);
    let mut fields = Fields::new(&body.object, &["amount", "reason"]);
    fields.take(mistakes);
    let minor = fields.integer(
        "amount",
        1..=Money::MAX_MINOR,
        "send whole minor units, or leave the amount out to refund all that is left",
    );
    let reason = fields.text("reason", &REASON);
    fields.end()?;
    let before = own(&state, &caller, id).await?;
    // The range was checked above, so the amount is never dropped here.
    let amount = minor.and_then(|minor| Money::new(minor, before.money.currency()).ok());
    let (payment, ordinal, fresh) =
        state.engine.refund(&before.merchant, id, amount, reason, key).await?;
    let refund = payment.refund(ordinal).map(RefundView::of).ok_or_else(|| {
        Problem::new(&crate::problem::kinds::INTERNAL, "the refund is not in the payment")
    })?;
    let view = RefundMade { refund, payment: seen(&state, &payment, &caller) };
    Ok(made(&payment, fresh, view))
}

/// The refunds of a payment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Refunds {
    /// Oldest first.
    refunds: Vec<RefundView>,
    /// What has gone back for sure, in minor units.
    refunded_amount: i64,
    /// What may still be refunded, in minor units.
    refundable_amount: i64,
}

/// List the refunds of a payment.
#[utoipa::path(
    get, path = "/v1/payments/{id}/refunds", tag = "refunds", operation_id = "list_refunds",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Refunds),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
) -> Result<Json<Refunds>, Problem> {
    let payment = visible(&state, &caller, id).await?;
    let view = seen(&state, &payment, &caller);
    Ok(Json(Refunds {
        refunds: view.refunds,
        refunded_amount: view.refunded_amount,
        refundable_amount: view.refundable_amount,
    }))
}
