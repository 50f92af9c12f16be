//! Messages to merchants: what was sent, what is waiting, and the dead letters, which can be
//! sent again.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use store::{Message, MessageState};
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::fields::{self, Fields};
use crate::params::NameInPath;
use crate::problem::{Problem, ProblemDocument, kinds};
use crate::time::rfc3339;

/// The filters of the list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct MessageParams {
    /// `pending`, `delivered` or `dead`; all when absent.
    #[param(value_type = Option<StateName>)]
    state: Option<String>,
    /// At most this many; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u8>,
}

/// Where a message stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum StateName {
    Pending,
    Delivered,
    Dead,
}

/// Messages to merchants.
#[derive(Serialize, ToSchema)]
pub(crate) struct Messages {
    /// Newest first.
    messages: Vec<MessageView>,
}

/// A message to a merchant.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    /// The `webhook-id` that its tries carry.
    id: String,
    /// To whom.
    merchant: String,
    /// About which payment.
    payment: String,
    /// Such as `payment.paid`.
    r#type: String,
    /// Where it stands.
    #[schema(value_type = StateName)]
    state: &'static str,
    /// How often it was tried.
    tries: u32,
    /// What the last try met.
    last_error: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// While pending: when it is tried next.
    #[schema(format = DateTime)]
    due_at: Option<String>,
}

impl MessageView {
    fn of(message: Message) -> MessageView {
        let state = match message.state {
            MessageState::Pending => "pending",
            MessageState::Delivered => "delivered",
            MessageState::Dead => "dead",
        };
        let pending = message.state == MessageState::Pending;
        MessageView {
            id: message.id,
            merchant: message.merchant.to_string(),
            payment: message.payment.to_string(),
            r#type: message.kind,
            state,
            tries: message.tries,
            last_error: message.last_error,
            created_at: rfc3339(message.created_at),
            due_at: pending.then(|| rfc3339(message.due_at)),
        }
    }
}

/// List messages to merchants.
///
/// A merchant's key lists that merchant's among the newest, an operator's key all.
#[utoipa::path(
    get, path = "/v1/messages", tag = "messages", operation_id = "list_messages",
    params(MessageParams),
    responses(
        (status = 200, body = Messages),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Messages>, Problem> {
    let query = fields::query(uri.query())?;
    let mut fields = Fields::new(&query, &["state", "limit"]);
    let wanted = fields.one_of(
        "state",
        &[
            ("pending", MessageState::Pending),
            ("delivered", MessageState::Delivered),
            ("dead", MessageState::Dead),
        ],
    );
    let limit = fields::query_integer(&mut fields, "limit", 1..=200, "send 50, for example");
    fields.end()?;
    let limit = usize::try_from(limit.unwrap_or(50)).unwrap_or(1);
    let found = visible(&state, &caller, wanted).await?;
    let messages = found.into_iter().take(limit).map(MessageView::of).collect();
    Ok(Json(Messages { messages }))
}

/// How many of the newest messages are searched for a merchant's own.
const SEARCHED: usize = 5_000;

async fn visible(
    state: &Shared,
    caller: &Caller,
    wanted: Option<MessageState>,
) -> Result<Vec<Message>, Problem> {
    let limit = if caller.sees().is_some() { SEARCHED } else { 200 };
    let mut found = state.engine.store().messages(wanted, limit).await?;
    if let Some(merchant) = caller.sees() {
        found.retain(|m| m.merchant == *merchant);
    }
    Ok(found)
}

/// Send a message again.
///
/// For a dead letter whose endpoint was mended, or a delivered one that was lost behind it.
/// The merchant gets the same body under the same `webhook-id`.
#[utoipa::path(
    post, path = "/v1/messages/{id}/resend", tag = "messages", operation_id = "resend_message",
    params(("id" = String, Path)),
    responses(
        (status = 202, description = "Will be sent at once"),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn resend(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<http::StatusCode, Problem> {
    caller.must_act()?;
    Fields::new(&body.object, &[]).end()?;
    let none = || Problem::new(&kinds::NOT_FOUND, "there is no such message");
    if let Some(merchant) = caller.sees()
        && !belongs(&state, &id, merchant).await?
    {
        return Err(none());
    }
    let done = state.engine.store().resend_message(&id, state.engine.now()).await?;
    if !done {
        return Err(none());
    }
    Ok(http::StatusCode::ACCEPTED)
}

/// Whether the message tells of a payment of this merchant: its id begins with the payment's.
async fn belongs(state: &Shared, id: &str, merchant: &domain::MerchantId) -> Result<bool, Problem> {
    let payment = id
        .strip_prefix("msg_")
        .and_then(|rest| rest.rsplit_once('_'))
        .and_then(|(payment, _seq)| format!("pay_{payment}").parse().ok());
    let Some(payment) = payment else { return Ok(false) };
    let payment = state.engine.store().payment(payment).await?;
    Ok(payment.is_some_and(|p| p.merchant == *merchant))
}
