//! Statement files: importing one, and those that were imported.

use super::*;

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
