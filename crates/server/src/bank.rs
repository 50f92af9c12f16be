//! Bank channels: statement files, what came, what is owed, and who agrees. For operators only,
//! because it shows payers' names and moves money; whatever moves any takes two keys (rule 12).

use std::collections::BTreeSet;
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

/// A statement file that was imported.
#[derive(Serialize, ToSchema)]
#[schema(as = Statement)]
pub(crate) struct StatementView {
    /// The channel.
    channel: String,
    /// What it was called.
    name: String,
    /// The SHA-256 of its bytes.
    digest: String,
    /// The name of the key that sent it.
    by: String,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The first day that it covers, where it says so.
    from: Option<String>,
    /// The last day that it covers, where it says so.
    to: Option<String>,
    /// ISO 4217.
    currency: Option<&'static str>,
    /// What the account held before, in minor units.
    opening: Option<i64>,
    /// What the account held after, in minor units.
    closing: Option<i64>,
    /// What became of its entries.
    counts: CountsView,
}

/// What became of the entries of a file.
#[derive(Serialize, ToSchema)]
#[schema(as = StatementCounts)]
pub(crate) struct CountsView {
    /// All entries.
    entries: u64,
    /// Known from before; nothing was added for them.
    known: u64,
    /// Counted for a payment.
    matched: u64,
    /// What staff had recorded and the statement proves.
    reconciled: u64,
    /// Left for a person.
    suspense: u64,
    /// Credits that the bank took back.
    reversed: u64,
    /// Credits that the bank took back and that could not be told: look at the file.
    unplaced: u64,
    /// Payouts that the statement proves.
    payouts: u64,
    /// Money that went out for nothing of ours.
    other: u64,
    /// Left out by the reader: pending, or for information only.
    skipped: u64,
}

impl CountsView {
    fn of(counts: &Counts) -> CountsView {
        CountsView {
            entries: counts.entries,
            known: counts.known,
            matched: counts.matched,
            reconciled: counts.reconciled,
            suspense: counts.suspense,
            reversed: counts.reversed,
            unplaced: counts.unplaced,
            payouts: counts.payouts,
            other: counts.other,
            skipped: counts.skipped,
        }
    }
}

impl StatementView {
    fn of(file: &StatementFile) -> StatementView {
        StatementView {
            channel: file.channel.to_string(),
            name: file.name.clone(),
            digest: file.digest.clone(),
            by: file.by.clone(),
            at: rfc3339(file.at),
            from: file.from.clone(),
            to: file.to.clone(),
            currency: file.currency.map(Currency::code),
            opening: file.opening_minor,
            closing: file.closing_minor,
            counts: CountsView::of(&file.counts),
        }
    }
}

/// What an import did.
#[derive(Serialize, ToSchema)]
pub(crate) struct ImportDone {
    /// The file.
    statement: StatementView,
    /// Whether the very same file was imported before.
    seen_before: bool,
    /// Whether nothing was written.
    dry_run: bool,
    /// What was done with each entry that was new.
    entries: Vec<EntryDone>,
}

/// What was done with one entry.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntryDone {
    /// Its line in the file.
    line: u32,
    /// `matched`, `reconciled`, `unreferenced`, `ambiguous`, `wrong_currency`, `late`,
    /// `reversed`, `reversal_unplaced`, `payout`, `payout_back` or `other`.
    result: &'static str,
}

impl ImportDone {
    fn of(done: &Imported) -> ImportDone {
        let entry = |(line, result): &(u32, &'static str)| EntryDone { line: *line, result };
        ImportDone {
            statement: StatementView::of(&done.file),
            seen_before: done.seen_before,
            dry_run: done.dry_run,
            entries: done.entries.iter().map(entry).collect(),
        }
    }
}

/// A file's bytes and what is asked about it.
pub(crate) struct File {
    upload: Upload,
}

/// How a file is to be read.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ImportParams {
    /// `csv`, `camt053` or `mt940`; the channel's first when absent.
    format: Option<String>,
    /// What to call the file.
    #[param(max_length = 140)]
    name: Option<String>,
    /// Only say what would become of it.
    dry_run: Option<bool>,
}

impl FromRequest<Shared> for File {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Problem> {
        let query = fields::query(request.uri().query())?;
        let mut fields = Fields::new(&query, &["format", "name", "dry_run"]);
        let formats = [("csv", "csv"), ("camt053", "camt053"), ("mt940", "mt940")];
        let format = fields.one_of("format", &formats).map(str::to_owned);
        let name = fields.text("name", &PLAIN).unwrap_or_else(|| "statement".to_owned());
        let dry_run = fields.one_of("dry_run", &[("true", true), ("false", false)]);
        fields.end()?;
        let bytes = body::read_up_to(request, state, FILE_BYTES_MAX).await?;
        let dry_run = dry_run.unwrap_or(false);
        let by = String::new();
        Ok(File { upload: Upload { name, bytes: bytes.to_vec(), format, dry_run, by } })
    }
}

/// Import a statement file.
///
/// The body is the file as the bank gave it. Each entry counts once, in whatever file and
/// however often it comes; a file with a mistake is refused as a whole. Needs an operator's key.
#[utoipa::path(
    post, path = "/v1/bank/{channel}/statements", tag = "bank",
    operation_id = "import_bank_statement",
    params(("channel" = String, Path), ImportParams),
    request_body(content = String, content_type = "application/octet-stream"),
    responses(
        (status = 200, body = ImportDone),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn import(
    State(state): State<Shared>,
    caller: Caller,
    ChannelInPath(channel): ChannelInPath,
    file: File,
) -> Result<Json<ImportDone>, Problem> {
    let desk = desk(&state, &caller)?;
    let upload = Upload { by: caller.name, ..file.upload };
    Ok(Json(ImportDone::of(&desk.import(&channel, &upload).await?)))
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

/// The statement files of a channel.
#[derive(Serialize, ToSchema)]
pub(crate) struct Statements {
    /// Newest first.
    statements: Vec<StatementView>,
}

/// List the statement files that were imported. Needs an operator's key.
#[utoipa::path(
    get, path = "/v1/bank/{channel}/statements", tag = "bank",
    operation_id = "list_bank_statements",
    params(("channel" = String, Path), ("limit" = Option<u8>, Query, minimum = 1, maximum = 200)),
    responses(
        (status = 200, body = Statements),
        (status = "4XX", content_type = "application/problem+json", body = ProblemDocument),
        (status = "5XX", content_type = "application/problem+json", body = ProblemDocument),
    ),
)]
pub(crate) async fn statements(
    State(state): State<Shared>,
    caller: Caller,
    ChannelInPath(channel): ChannelInPath,
    uri: Uri,
) -> Result<Json<Statements>, Problem> {
    let desk = desk(&state, &caller)?;
    known(&desk, &channel)?;
    let filter = BankFilter { channel: Some(channel), ..filter(&uri, BankKind::Statement, &[])? };
    let kept = desk.ledger().books().bank_list(&filter).await?;
    let statements = kept.iter().filter_map(|kept| match &kept.record {
        BankRecord::Statement(file) => Some(StatementView::of(file)),
        _ => None,
    });
    Ok(Json(Statements { statements: statements.collect() }))
}

fn known(desk: &Desk, channel: &domain::ChannelId) -> Result<(), Problem> {
    if desk.ledger().has(channel) { Ok(()) } else { Err(BankError::NoSuchChannel.into()) }
}

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

const TRANSFER_STATES: [&str; 7] =
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

const PAYOUT_STATES: [&str; 5] = ["held", "requested", "sent", "confirmed", "failed"];

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

/// Brings the gauges of the bank's books up to date.
pub(crate) async fn refresh(desk: &Desk, now: Timestamp) {
    let totals = match desk.ledger().books().bank_totals().await {
        Ok(totals) => totals,
        Err(error) => return tracing::warn!(%error, "the bank's books could not be counted"),
    };
    for channel in desk.ledger().channels() {
        let own: Vec<&BankTotal> = totals.iter().filter(|t| t.channel == channel).collect();
        for state in TRANSFER_STATES {
            gauges("transfers", (BankKind::Transfer, state), channel.as_str(), &own, now);
        }
        for state in PAYOUT_STATES {
            gauges("payouts", (BankKind::Payout, state), channel.as_str(), &own, now);
        }
    }
}

/// The gauges of one state of one channel, also where nothing is in it any more.
fn gauges(
    what: &str,
    (kind, state): (BankKind, &'static str),
    channel: &str,
    own: &[&BankTotal],
    now: Timestamp,
) {
    let here: Vec<_> = own.iter().filter(|t| t.kind == kind && t.state == state).collect();
    let labels = [("channel", channel.to_owned()), ("state", state.to_owned())];
    let count: u64 = here.iter().map(|t| t.count).sum();
    let oldest = here.iter().map(|t| t.oldest).min();
    let age = oldest.map_or(0.0, |oldest| now.since(oldest).as_secs_f64());
    metrics::gauge!(format!("evergate_bank_{what}"), &labels).set(count as f64);
    metrics::gauge!(format!("evergate_bank_{what}_oldest_seconds"), &labels).set(age);
    let currencies: BTreeSet<&str> = own.iter().map(|t| t.currency.as_str()).collect();
    for currency in currencies {
        let of_it = here.iter().filter(|t| t.currency == currency);
        let sum: i64 = of_it.map(|t| t.amount_minor).sum();
        let [channel, state] = labels.clone();
        let labels = [channel, state, ("currency", currency.to_owned())];
        metrics::gauge!(format!("evergate_bank_{what}_amount_minor"), &labels).set(sum as f64);
    }
}

/// Says what the gauges mean.
pub(crate) fn describe() {
    use metrics::describe_gauge;
    describe_gauge!("evergate_bank_transfers", "Transfers that came, by channel and state");
    describe_gauge!("evergate_bank_transfers_amount_minor", "Their sum, in minor units");
    describe_gauge!("evergate_bank_transfers_oldest_seconds", "Age of the oldest one");
    describe_gauge!("evergate_bank_payouts", "Money owed to payers, by channel and state");
    describe_gauge!("evergate_bank_payouts_amount_minor", "Its sum, in minor units");
    describe_gauge!("evergate_bank_payouts_oldest_seconds", "Age of the oldest one");
}
