//! What staff do with a case. Each needs a reason, and leaves a line in the case's history and in
//! the audit log (rule 12).

use domain::{ChannelId, Currency, Fault, Method, Money, OfflineKind, Timestamp};
use recovery::assist::{NewTaking, PayBy};
use store::Case;

use super::*;
use crate::params::IdInPath;
use crate::time::parse_rfc3339;
use crate::view::{MethodName, PaymentView};

/// Why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct AssistWord {
    /// Why; goes into the case's history and the audit log.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

fn word(body: &JsonBody, by: String) -> Result<Word, Problem> {
    let mut fields = Fields::new(&body.object, &["reason"]);
    fields.require("reason", REASON.fix);
    let reason = fields.text("reason", &REASON);
    fields.end()?;
    Ok(Word { by, reason: reason.unwrap_or_default() })
}

fn told(state: &Shared, case: &Case) -> Json<CaseView> {
    Json(CaseView::of(case, state.engine.now()))
}

/// Take a case from the queue.
///
/// It is the caller's for some minutes; taking it again renews them. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/assist/cases/{id}/take", tag = "assist", operation_id = "take_assist_case",
    params(("id" = String, Path)), request_body = AssistWord,
    responses(
        (status = 200, body = CaseView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn take(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<CaseView>, Problem> {
    let desk = staffed(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(told(&state, &desk.take(&id, &word).await?))
}

/// Put a case back into the queue. Needs the key that took it.
#[utoipa::path(
    post, path = "/v1/assist/cases/{id}/give_back", tag = "assist",
    operation_id = "give_back_assist_case",
    params(("id" = String, Path)), request_body = AssistWord,
    responses(
        (status = 200, body = CaseView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn give_back(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<CaseView>, Problem> {
    let desk = staffed(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(told(&state, &desk.give_back(&id, &word).await?))
}

/// Add a note to a case. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/assist/cases/{id}/note", tag = "assist", operation_id = "note_assist_case",
    params(("id" = String, Path)), request_body = AssistWord,
    responses(
        (status = 200, body = CaseView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn note(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<CaseView>, Problem> {
    let desk = staffed(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(told(&state, &desk.note(&id, &word).await?))
}

/// Where to send the payment, and why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct AssistPay {
    /// To this channel; absent: the first that works with the method.
    channel: Option<String>,
    /// By this method; absent: the first that the channel has, as the merchant ranked them.
    #[schema(value_type = Option<MethodName>)]
    method: Option<String>,
    /// Why; goes into the case's history and the audit log.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Send the payment of a case to a channel.
///
/// The answer's payment has the code, link or account to pass on to the customer; where the
/// merchant saved an instrument and the method is a card, it is charged. What was shown before is
/// closed first. Needs the key that took the case.
#[utoipa::path(
    post, path = "/v1/assist/cases/{id}/pay", tag = "assist", operation_id = "pay_assist_case",
    params(("id" = String, Path)), request_body = AssistPay,
    responses(
        (status = 200, body = CaseDetail),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn pay(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<CaseDetail>, Problem> {
    let desk = staffed(&state, &caller)?;
    let mut fields = Fields::new(&body.object, &["channel", "method", "reason"]);
    fields.require("reason", REASON.fix);
    let channel: Option<ChannelId> = fields.parsed("channel", "see GET /v1/channels");
    let method: Option<Method> = fields.parsed("method", "send wechat_pay, for example");
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    if channel.is_none() && method.is_none() {
        fields.mistake("channel", "or `method` is required", "say by which way it is to be paid");
    }
    fields.end()?;
    let word = Word { by: caller.name, reason };
    desk.pay_by(&id, &PayBy { channel, method }, &word).await?;
    let seen = desk.see(&id).await?;
    Ok(Json(CaseDetail::of(&seen, &desk.limits(), true, (&state.public_url, state.engine.now()))))
}

/// Money that was taken outside any channel.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct AssistTake {
    /// `cash`, `pos`, `cheque` or `transfer_seen`.
    #[schema(example = "cash")]
    kind: String,
    /// The number of the till slip, the terminal's receipt or the cheque.
    #[schema(min_length = 1, max_length = 64, example = "till-3-1187")]
    reference: String,
    /// How much, in minor units; the payment's whole amount.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    amount: i64,
    /// ISO 4217.
    #[schema(example = "CNY")]
    currency: String,
    /// When it was taken; absent: now.
    #[schema(format = DateTime)]
    taken_at: Option<String>,
    /// Why it is believed; goes into the case's history and the audit log.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

const REFERENCE: Text = Text {
    max: 64,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 64 characters without control characters",
    fix: "copy the number of the slip",
};

/// Record money that was taken outside any channel.
///
/// It pays the payment at once, or once a second person approves it, when the amount is as much
/// as the configuration says. The same again is the same money. Needs the key that took the case.
#[utoipa::path(
    post, path = "/v1/assist/cases/{id}/offline", tag = "assist",
    operation_id = "record_assist_offline",
    params(("id" = String, Path)), request_body = AssistTake,
    responses(
        (status = 200, body = CaseView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn offline(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<CaseView>, Problem> {
    let desk = staffed(&state, &caller)?;
    let (new, word) = taking(&body, caller.name, state.engine.now())?;
    Ok(told(&state, &desk.offline(&id, &new, &word).await?))
}

fn taking(body: &JsonBody, by: String, now: Timestamp) -> Result<(NewTaking, Word), Problem> {
    let names = ["kind", "reference", "amount", "currency", "taken_at", "reason"];
    let mut fields = Fields::new(&body.object, &names);
    for name in ["kind", "reference", "amount", "currency", "reason"] {
        fields.require(name, "it is needed to know the money again");
    }
    let kind: Option<OfflineKind> = fields.parsed("kind", "send cash, for example");
    let reference = fields.text("reference", &REFERENCE);
    let amount = fields.integer("amount", 1..=Money::MAX_MINOR, "send whole minor units");
    let currency = match fields.string("currency").map(str::parse::<Currency>) {
        Some(Ok(currency)) => Some(currency),
        Some(Err(error)) => {
            fields.mistake("currency", error.to_string(), "send CNY, for example");
            None
        }
        None => None,
    };
    let taken_at = fields.string("taken_at").map(parse_rfc3339);
    if taken_at.is_some_and(|at| at.is_none_or(|at| at > now)) {
        let fix = "send 2026-11-24T10:30:00+08:00, for example";
        fields.mistake("taken_at", "must be a time of RFC 3339 that has passed", fix);
    }
    let reason = fields.text("reason", &REASON);
    fields.end()?;
    // Every one of them was required above, so that nothing is missing here.
    let missing = || Problem::new(&kinds::INVALID_REQUEST, "the amount is missing");
    let money = amount.zip(currency).and_then(|(amount, c)| Money::new(amount, c).ok());
    let new = NewTaking {
        kind: kind.ok_or_else(missing)?,
        reference: reference.unwrap_or_default(),
        money: money.ok_or_else(missing)?,
        taken_at: taken_at.flatten(),
    };
    Ok((new, Word { by, reason: reason.unwrap_or_default() }))
}

/// Agree to offline money that another person took, and record it.
///
/// Needs another person's key than the one that took it.
#[utoipa::path(
    post, path = "/v1/assist/cases/{id}/approve", tag = "assist",
    operation_id = "approve_assist_case",
    params(("id" = String, Path)), request_body = AssistWord,
    responses(
        (status = 200, body = CaseView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn approve(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<CaseView>, Problem> {
    let desk = staffed(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(told(&state, &desk.approve(&id, &word).await?))
}

/// Refuse offline money that was proposed; whoever took it hands it back.
///
/// Whoever proposed it may take it back like this. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/assist/cases/{id}/reject", tag = "assist",
    operation_id = "reject_assist_case",
    params(("id" = String, Path)), request_body = AssistWord,
    responses(
        (status = 200, body = CaseView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn reject(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<CaseView>, Problem> {
    let desk = staffed(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(told(&state, &desk.reject(&id, &word).await?))
}

/// Close a case because the customer does not want help any more.
///
/// The payment goes on as it is. Needs the key that took the case, or nobody has it.
#[utoipa::path(
    post, path = "/v1/assist/cases/{id}/close", tag = "assist", operation_id = "close_assist_case",
    params(("id" = String, Path)), request_body = AssistWord,
    responses(
        (status = 200, body = CaseView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn close(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<CaseView>, Problem> {
    let desk = staffed(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(told(&state, &desk.close(&id, &word).await?))
}

/// What became of a refund of offline money.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct AssistRefund {
    /// The refund's ordinal.
    #[schema(minimum = 1, maximum = 99)]
    refund: i64,
    /// `given_back`, or `impossible`: then the merchant may ask for it again.
    #[schema(example = "given_back")]
    outcome: String,
    /// How, such as the number of the slip that the customer signed; goes into the audit log.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Say what became of a refund of offline money.
///
/// Such a refund waits for people, with `review` of the payment `refund_by_hand`. Said again it
/// is done once. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/assist/payments/{id}/refund", tag = "assist",
    operation_id = "assist_refunded",
    params(("id" = String, Path)), request_body = AssistRefund,
    responses(
        (status = 200, body = PaymentView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn refunded(
    State(state): State<Shared>,
    caller: Caller,
    IdInPath(id): IdInPath,
    body: JsonBody,
) -> Result<Json<PaymentView>, Problem> {
    let desk = staffed(&state, &caller)?;
    let mut fields = Fields::new(&body.object, &["refund", "outcome", "reason"]);
    for name in ["refund", "outcome", "reason"] {
        fields.require(name, "say which refund, and what became of it");
    }
    let refund = fields.integer("refund", 1..=99, "send the refund's ordinal");
    let outcome = fields.one_of("outcome", &[("given_back", true), ("impossible", false)]);
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    fields.end()?;
    let refund = u16::try_from(refund.unwrap_or_default()).unwrap_or_default();
    let done = match outcome {
        Some(true) => Ok(()),
        _ => Err(Fault::new("not_given_back", reason.clone())),
    };
    let word = Word { by: caller.name.clone(), reason };
    let payment = desk.refunded(id, refund, done, &word).await?;
    Ok(Json(crate::payments::seen(&state, &payment, &caller)))
}
