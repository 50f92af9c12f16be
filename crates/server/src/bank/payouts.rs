//! Money that is owed to payers, and how it goes back.

use super::*;

/// Money of ours that is to go out.
#[derive(Serialize, ToSchema)]
#[schema(as = Payout)]
pub(crate) struct PayoutView {
    /// Our id: a refund's number, or one of its own.
    id: String,
    /// The channel.
    channel: String,
    /// How much, in minor units.
    amount: i64,
    /// ISO 4217.
    currency: &'static str,
    /// The same in major units, for people.
    amount_text: String,
    /// Why it is owed: `refund`, `excess`, `part` or `return`.
    kind: &'static str,
    /// What to write into the outgoing transfer, so that the statement proves it.
    reference: String,
    /// To whom.
    to_name: Option<String>,
    /// To which account.
    to_account: Option<String>,
    /// The payment that its money was for.
    payment: Option<String>,
    /// The transfer that its money came with.
    transfer: Option<String>,
    /// `held`, `requested`, `sent`, `confirmed` or `failed`.
    state: &'static str,
    /// Who brought it there.
    by: Option<String>,
    /// Why it failed.
    why: Option<String>,
    /// When it was owed.
    #[schema(format = DateTime)]
    requested_at: String,
}

impl PayoutView {
    fn of(payout: &Payout) -> PayoutView {
        let payment =
            payout.number.as_ref().and_then(|n| domain::ProviderOrderNo::parse(n.as_str()));
        let (by, why) = match &payout.state {
            PayoutState::Held | PayoutState::Requested => (None, None),
            PayoutState::Sent { by, .. } | PayoutState::Confirmed { by, .. } => {
                (Some(by.clone()), None)
            }
            PayoutState::Failed { by, why, .. } => (Some(by.clone()), Some(why.clone())),
        };
        PayoutView {
            id: payout.id.clone(),
            channel: payout.channel.to_string(),
            amount: payout.money.minor(),
            currency: payout.money.currency().code(),
            amount_text: payout.money.to_major(),
            kind: payout.kind.name(),
            reference: payout.reference.clone(),
            to_name: payout.to_name.clone(),
            to_account: payout.to_account.clone(),
            payment: payment.map(|(id, _)| id.to_string()),
            transfer: payout.transfer.clone(),
            state: payout.state.name(),
            by,
            why,
            requested_at: rfc3339(payout.requested_at),
        }
    }
}

/// Money on its way out.
#[derive(Serialize, ToSchema)]
pub(crate) struct Payouts {
    /// Newest first.
    payouts: Vec<PayoutView>,
}

pub(super) const PAYOUT_STATES: [&str; 5] = ["held", "requested", "sent", "confirmed", "failed"];

/// List what is owed to payers, and what has gone out. Needs an operator's key.
#[utoipa::path(
    get, path = "/v1/bank/payouts", tag = "bank", operation_id = "list_bank_payouts",
    params(ListParams),
    responses(
        (status = 200, body = Payouts),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn payouts(
    State(state): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Payouts>, Problem> {
    let desk = desk(&state, &caller)?;
    let filter = filter(&uri, BankKind::Payout, &PAYOUT_STATES)?;
    let kept = desk.ledger().books().bank_list(&filter).await?;
    let payouts = kept.iter().filter_map(|kept| match &kept.record {
        BankRecord::Payout(payout) => Some(PayoutView::of(payout)),
        _ => None,
    });
    Ok(Json(Payouts { payouts: payouts.collect() }))
}

/// Say that a payout was transferred. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/bank/payouts/{id}/sent", tag = "bank", operation_id = "bank_payout_sent",
    params(("id" = String, Path)),
    request_body = BankWord,
    responses(
        (status = 200, body = PayoutView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn sent(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<PayoutView>, Problem> {
    let desk = desk(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(Json(PayoutView::of(&desk.ledger().payout_sent(&id, &word).await?)))
}

/// Confirm that a payout left the account.
///
/// Needs an operator's key, another than the one that sent it; a statement confirms it as well.
#[utoipa::path(
    post, path = "/v1/bank/payouts/{id}/confirm", tag = "bank",
    operation_id = "bank_payout_confirm",
    params(("id" = String, Path)),
    request_body = BankWord,
    responses(
        (status = 200, body = PayoutView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn confirm(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<PayoutView>, Problem> {
    let desk = desk(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(Json(PayoutView::of(&desk.payout_confirm(&id, &word).await?)))
}

/// Say that a payout is not possible, or came back.
///
/// One that was sent needs another key than the one that sent it. A refund that failed can be
/// asked for again. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/bank/payouts/{id}/failed", tag = "bank", operation_id = "bank_payout_failed",
    params(("id" = String, Path)),
    request_body = BankWord,
    responses(
        (status = 200, body = PayoutView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn failed(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<PayoutView>, Problem> {
    let desk = desk(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(Json(PayoutView::of(&desk.payout_failed(&id, &word).await?)))
}
