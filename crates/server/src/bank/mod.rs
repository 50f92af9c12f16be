//! Bank channels: statement files, what came, what is owed, and who agrees. For operators only,
//! because it shows payers' names and moves money; whatever moves any takes two keys (rule 12).

pub(crate) mod gauges;
pub(crate) mod payouts;
pub(crate) mod statements;
pub(crate) mod transfers;

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::Uri;
use domain::{Currency, Money, Timestamp};
use providers::bank::statement::LineMistake;
use recovery::bank::{BankError, Desk, Imported, NewTransfer, Upload, Word};
use serde::Serialize;
use store::{
    BankFilter, BankKind, BankLine, BankRecord, BankTotal, Counts, Hint, Payout, PayoutState,
    Proposal, StatementFile, Transfer, TransferState,
};
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::auth::Caller;
use crate::body::{self, JsonBody};
use crate::fields::{self, Fields, Text};
use crate::params::{ChannelInPath, NameInPath};
use crate::problem::{Mistake, Problem, ProblemDocument, kinds};
use crate::time::rfc3339;

/// The largest statement file.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;

const REASON: Text = Text {
    max: 200,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 200 characters without control characters",
    fix: "say why in a few words, such as \"the customer sent the receipt\"",
};

const PLAIN: Text = Text {
    max: 140,
    allowed: |c| !c.is_control(),
    rule: "must be 1 to 140 characters without control characters",
    fix: "copy it from the account's list",
};

impl From<BankError> for Problem {
    fn from(error: BankError) -> Problem {
        let detail = error.to_string();
        match error {
            BankError::NoSuchChannel => Problem::new(&kinds::CHANNEL_NOT_FOUND, detail),
            BankError::NotFound(_) => Problem::new(&kinds::NOT_FOUND, detail),
            BankError::NoSuchTarget => Problem::mistakes(vec![Mistake::new(
                "payment",
                detail,
                "send the payment's id, or the reference that its customer was shown",
            )]),
            BankError::WrongState { .. } => Problem::new(&kinds::WRONG_STATE, detail),
            BankError::SamePerson(_) => Problem::new(&kinds::SECOND_PERSON, detail),
            BankError::WrongCurrency => Problem::mistakes(vec![Mistake::new(
                "payment",
                detail,
                "send it back, or find the payment in the transfer's currency",
            )]),
            BankError::NoSuchFormat(_) => Problem::mistakes(vec![Mistake::new(
                "format",
                "must be one of the channel's statement formats",
                "send csv, camt053 or mt940; csv needs its columns in the channel's settings",
            )]),
            BankError::Mistakes(list) => Problem::mistakes(list.iter().map(line).collect()),
            BankError::Busy => Problem::new(&kinds::PAYMENT_BUSY, detail).retry_after(1),
            BankError::Store(error) => error.into(),
            BankError::CommitUnknown => Problem::new(&kinds::COMMIT_UNKNOWN, detail),
        }
    }
}

fn line(mistake: &LineMistake) -> Mistake {
    let field = format!("line {}: {}", mistake.line, mistake.field);
    Mistake::new(field, mistake.rule.clone(), mistake.fix.clone())
}

/// The desk, for an operator.
fn desk(state: &Shared, caller: &Caller) -> Result<Arc<Desk>, Problem> {
    caller.must_operate()?;
    let none = || Problem::new(&kinds::CHANNEL_NOT_FOUND, "this server has no bank channel");
    state.bank.clone().ok_or_else(none)
}

/// How much of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ListParams {
    /// In this state only; all when absent.
    state: Option<String>,
    /// At most this many; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u8>,
}

/// The filter of a list, with the states that its records know.
fn filter(uri: &Uri, kind: BankKind, states: &[&'static str]) -> Result<BankFilter, Problem> {
    let query = fields::query(uri.query())?;
    let known: &[&str] = if states.is_empty() { &["limit"] } else { &["state", "limit"] };
    let mut fields = Fields::new(&query, known);
    let choices: Vec<(&str, &'static str)> = states.iter().map(|s| (*s, *s)).collect();
    let state = if states.is_empty() { None } else { fields.one_of("state", &choices) };
    let limit = fields::query_integer(&mut fields, "limit", 1..=200, "send 50, for example");
    fields.end()?;
    Ok(BankFilter {
        states: state.into_iter().collect(),
        newest_first: true,
        limit: usize::try_from(limit.unwrap_or(50)).unwrap_or(1),
        ..BankFilter::all(kind)
    })
}

fn known(desk: &Desk, channel: &domain::ChannelId) -> Result<(), Problem> {
    if desk.ledger().has(channel) { Ok(()) } else { Err(BankError::NoSuchChannel.into()) }
}

/// Why.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct BankWord {
    /// Why; goes into the history.
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

/// What happened to a transfer or payout.
#[derive(Serialize, ToSchema)]
pub(crate) struct BankHistory {
    /// Oldest first.
    lines: Vec<LineView>,
}

/// One line of a history.
#[derive(Serialize, ToSchema)]
#[schema(as = BankHistoryLine)]
pub(crate) struct LineView {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The name of the person's key, `evergate` or `statement`.
    by: String,
    /// What was done.
    action: String,
    /// Why.
    reason: String,
}

/// Read what happened to a transfer or a payout, and who did it. Needs an operator's key.
#[utoipa::path(
    get, path = "/v1/bank/history/{id}", tag = "bank", operation_id = "bank_history",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = BankHistory),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn history(
    State(state): State<Shared>,
    caller: Caller,
    NameInPath(id): NameInPath,
) -> Result<Json<BankHistory>, Problem> {
    let desk = desk(&state, &caller)?;
    let lines = desk.ledger().books().bank_history(&id).await?;
    let view = |line: BankLine| LineView {
        at: rfc3339(line.at),
        by: line.by,
        action: line.action,
        reason: line.reason,
    };
    Ok(Json(BankHistory { lines: lines.into_iter().map(view).collect() }))
}
