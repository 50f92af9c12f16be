//! What came, what it is for, and who agrees.

use super::*;

/// Money that came to the account.
#[derive(Serialize, ToSchema)]
#[schema(as = IncomingTransfer)]
pub(crate) struct TransferView {
    /// Our id.
    #[schema(example = "tr_019ab3c04f6e7c119df1a0f2b3c4d5e6")]
    id: String,
    /// The channel.
    channel: String,
    /// How much, in minor units.
    amount: i64,
    /// ISO 4217.
    currency: &'static str,
    /// The same in major units, for people.
    amount_text: String,
    /// The day of booking.
    #[schema(format = Date)]
    booked_on: String,
    /// When we learned of it.
    #[schema(format = DateTime)]
    learned_at: String,
    /// Who sent it.
    payer_name: Option<String>,
    /// From which account.
    payer_account: Option<String>,
    /// What the payer wrote.
    text: String,
    /// The bank's own id.
    bank_reference: Option<String>,
    /// Whether a statement shows it.
    proven: bool,
    /// Who recorded it, where staff did.
    recorded_by: Option<String>,
    /// `suspense`, `proposed`, `matched`, `returning`, `reversed`, `payout_back` or `refused`.
    state: &'static str,
    /// Why it is in suspense: `unreferenced`, `ambiguous`, `wrong_currency` or `late`.
    why: Option<String>,
    /// What is proposed: `match`, `record` or `return`.
    proposal: Option<&'static str>,
    /// Who proposed it; the second person must be another.
    proposed_by: Option<String>,
    /// Why.
    reason: Option<String>,
    /// The attempt that it is counted for, or is proposed to be.
    number: Option<String>,
    /// That attempt's payment.
    payment: Option<String>,
    /// What decided it: `reference`, `virtual_account`, or two people's names.
    matched_by: Option<String>,
    /// The payout by which it goes back, or that came back with it.
    payout: Option<String>,
    /// What it may be for, the likeliest first.
    suggestions: Vec<HintView>,
}

/// What an unplaced transfer may be for.
#[derive(Serialize, ToSchema)]
#[schema(as = TransferSuggestion)]
pub(crate) struct HintView {
    /// The payment.
    payment: String,
    /// The attempt's number.
    number: String,
    /// What is still to come for it, in minor units.
    rest: i64,
    /// `near_reference`, `same_amount`, `similar_name` or `shown_lately`.
    reasons: Vec<String>,
}

impl HintView {
    fn of(hint: &Hint) -> HintView {
        HintView {
            payment: hint.payment.to_string(),
            number: hint.number.to_string(),
            rest: hint.rest_minor,
            reasons: hint.reasons.clone(),
        }
    }
}

impl TransferView {
    fn of(transfer: &Transfer) -> TransferView {
        let number = transfer.state.number();
        let payment = number.and_then(|n| domain::ProviderOrderNo::parse(n.as_str()));
        let mut view = TransferView {
            id: transfer.id.clone(),
            channel: transfer.channel.to_string(),
            amount: transfer.money.minor(),
            currency: transfer.money.currency().code(),
            amount_text: transfer.money.to_major(),
            booked_on: transfer.booked_on.clone(),
            learned_at: rfc3339(transfer.learned_at),
            payer_name: transfer.payer_name.clone(),
            payer_account: transfer.payer_account.clone(),
            text: transfer.text.clone(),
            bank_reference: transfer.bank_reference.clone(),
            proven: transfer.identity.is_some(),
            recorded_by: transfer.recorded_by.clone(),
            state: transfer.state.name(),
            why: None,
            proposal: None,
            proposed_by: None,
            reason: None,
            number: number.map(ToString::to_string),
            payment: payment.map(|(id, _)| id.to_string()),
            matched_by: None,
            payout: None,
            suggestions: transfer.suggestions.iter().map(HintView::of).collect(),
        };
        view.tell(&transfer.state);
        view
    }

    fn tell(&mut self, state: &TransferState) {
        match state {
            TransferState::Suspense { why } => self.why = Some(why.clone()),
            TransferState::Proposed { what, by, reason, why, .. } => {
                self.why = Some(why.clone()).filter(|why| !why.is_empty());
                self.proposed_by = Some(by.clone());
                self.reason = Some(reason.clone());
                self.proposal = Some(match what {
                    Proposal::Match { .. } => "match",
                    Proposal::Record { .. } => "record",
                    Proposal::Return => "return",
                });
            }
            TransferState::Matched { by, .. } => self.matched_by = Some(by.clone()),
            TransferState::Returning { payout } | TransferState::PayoutBack { payout } => {
                self.payout = Some(payout.clone());
            }
            TransferState::Reversed { number, .. } => {
                self.number = number.as_ref().map(ToString::to_string);
            }
            TransferState::Refused { by, .. } => self.matched_by = Some(by.clone()),
        }
    }
}

/// Transfers to the account.
#[derive(Serialize, ToSchema)]
pub(crate) struct Transfers {
    /// Newest first.
    transfers: Vec<TransferView>,
}

pub(super) const TRANSFER_STATES: [&str; 7] =
    ["suspense", "proposed", "matched", "returning", "reversed", "payout_back", "refused"];

/// List what came to the account of a channel. Needs an operator's key.
#[utoipa::path(
    get, path = "/v1/bank/{channel}/transfers", tag = "bank",
    operation_id = "list_bank_transfers",
    params(("channel" = String, Path), ListParams),
    responses(
        (status = 200, body = Transfers),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn transfers(
    State(state): State<Shared>,
    caller: Caller,
    ChannelInPath(channel): ChannelInPath,
    uri: Uri,
) -> Result<Json<Transfers>, Problem> {
    let desk = desk(&state, &caller)?;
    known(&desk, &channel)?;
    let filter = filter(&uri, BankKind::Transfer, &TRANSFER_STATES)?;
    let filter = BankFilter { channel: Some(channel), ..filter };
    let kept = desk.ledger().books().bank_list(&filter).await?;
    let transfers = kept.iter().filter_map(|kept| match &kept.record {
        BankRecord::Transfer(transfer) => Some(TransferView::of(transfer)),
        _ => None,
    });
    Ok(Json(Transfers { transfers: transfers.collect() }))
}

/// A transfer that staff have seen and no statement shows yet.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct RecordTransfer {
    /// What it is for: a payment's id, an attempt's number, a reference or a virtual account.
    payment: String,
    /// How much, in minor units.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    amount: i64,
    /// ISO 4217.
    #[schema(example = "CNY")]
    currency: String,
    /// The day of booking.
    #[schema(format = Date)]
    booked_on: String,
    /// Who sent it.
    #[schema(min_length = 1, max_length = 140)]
    payer_name: Option<String>,
    /// From which account.
    #[schema(min_length = 1, max_length = 140)]
    payer_account: Option<String>,
    /// The bank's own id; it makes the statement's entry known again.
    #[schema(min_length = 1, max_length = 140)]
    bank_reference: Option<String>,
    /// Why it is believed.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Record a transfer that no statement shows yet.
///
/// It counts once a second person approves it, or a statement shows it; then it is the same
/// money and counts once. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/bank/{channel}/transfers", tag = "bank",
    operation_id = "record_bank_transfer",
    params(("channel" = String, Path)),
    request_body = RecordTransfer,
    responses(
        (status = 200, body = TransferView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn record(
    State(state): State<Shared>,
    caller: Caller,
    ChannelInPath(channel): ChannelInPath,
    body: JsonBody,
) -> Result<Json<TransferView>, Problem> {
    let desk = desk(&state, &caller)?;
    let (new, word) = read_transfer(&body, caller.name)?;
    Ok(Json(TransferView::of(&desk.record(&channel, &new, &word).await?)))
}

fn read_transfer(body: &JsonBody, by: String) -> Result<(NewTransfer, Word), Problem> {
    let names = [
        "payment",
        "amount",
        "currency",
        "booked_on",
        "payer_name",
        "payer_account",
        "bank_reference",
        "reason",
    ];
    let mut fields = Fields::new(&body.object, &names);
    for name in ["payment", "amount", "currency", "booked_on", "reason"] {
        fields.require(name, "it is needed to know the transfer again");
    }
    let target = fields.text("payment", &PLAIN);
    let amount = fields.integer("amount", 1..=Money::MAX_MINOR, "send whole minor units");
    let currency = match fields.string("currency").map(str::parse::<Currency>) {
        Some(Ok(currency)) => Some(currency),
        Some(Err(error)) => {
            fields.mistake("currency", error.to_string(), "send CNY, for example");
            None
        }
        None => None,
    };
    let day = fields.string("booked_on").map(str::to_owned);
    if day.as_deref().is_some_and(|day| day.parse::<jiff::civil::Date>().is_err()) {
        fields.mistake("booked_on", "must be a day as YYYY-MM-DD", "send 2026-11-24, for example");
    }
    let (payer_name, payer_account) =
        (fields.text("payer_name", &PLAIN), fields.text("payer_account", &PLAIN));
    let bank_reference = fields.text("bank_reference", &PLAIN);
    let reason = fields.text("reason", &REASON);
    fields.end()?;
    // Every one of them was required above, so that nothing is missing here.
    let money = amount.zip(currency).and_then(|(amount, c)| Money::new(amount, c).ok());
    let missing = || Problem::new(&kinds::INVALID_REQUEST, "the amount is missing");
    let new = NewTransfer {
        money: money.ok_or_else(missing)?,
        booked_on: day.unwrap_or_default(),
        payer_name,
        payer_account,
        bank_reference,
        target: target.unwrap_or_default(),
    };
    Ok((new, Word { by, reason: reason.unwrap_or_default() }))
}

/// Which payment a transfer is for, and why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct MatchTransfer {
    /// A payment's id, an attempt's number, a reference or a virtual account.
    payment: String,
    /// Why; goes into the transfer's history.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Say which payment a transfer in suspense is for.
///
/// It counts once another person's key approves it. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/bank/transfers/{id}/match", tag = "bank",
    operation_id = "match_bank_transfer",
    params(("id" = String, Path)),
    request_body = MatchTransfer,
    responses(
        (status = 200, body = TransferView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn propose_match(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<TransferView>, Problem> {
    let desk = desk(&state, &caller)?;
    let mut fields = Fields::new(&body.object, &["payment", "reason"]);
    fields.require("payment", "send the payment's id");
    fields.require("reason", REASON.fix);
    let target = fields.text("payment", &PLAIN).unwrap_or_default();
    let reason = fields.text("reason", &REASON).unwrap_or_default();
    fields.end()?;
    let word = Word { by: caller.name, reason };
    Ok(Json(TransferView::of(&desk.ledger().propose_match(&id, &target, &word).await?)))
}

/// Say that a transfer in suspense should go back to its payer.
///
/// It becomes a payout once another person's key approves it. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/bank/transfers/{id}/return", tag = "bank",
    operation_id = "return_bank_transfer",
    params(("id" = String, Path)),
    request_body = BankWord,
    responses(
        (status = 200, body = TransferView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn propose_return(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<TransferView>, Problem> {
    let desk = desk(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(Json(TransferView::of(&desk.ledger().propose_return(&id, &word).await?)))
}

/// Agree to what another person proposed for a transfer, and do it.
///
/// Needs an operator's key, another than the one that proposed it.
#[utoipa::path(
    post, path = "/v1/bank/transfers/{id}/approve", tag = "bank",
    operation_id = "approve_bank_transfer",
    params(("id" = String, Path)),
    request_body = BankWord,
    responses(
        (status = 200, body = TransferView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn approve(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<TransferView>, Problem> {
    let desk = desk(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(Json(TransferView::of(&desk.approve(&id, &word).await?)))
}

/// Refuse what was proposed for a transfer.
///
/// It is in suspense again; one that only staff have seen counts for nothing. Whoever proposed
/// it may take it back like this. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/bank/transfers/{id}/reject", tag = "bank",
    operation_id = "reject_bank_transfer",
    params(("id" = String, Path)),
    request_body = BankWord,
    responses(
        (status = 200, body = TransferView),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn reject(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
    body: JsonBody,
) -> Result<Json<TransferView>, Problem> {
    let desk = desk(&state, &caller)?;
    let word = word(&body, caller.name)?;
    Ok(Json(TransferView::of(&desk.ledger().reject(&id, &word).await?)))
}
